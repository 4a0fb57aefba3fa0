"""A Modbus TCP server: requests and answers with a length in their header; polls."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from nbclient import State, framing
from nbclient.endpoints import tcp
from tests.real.children import QUICKLY, Child, python, wait_until
from tests.real.links import Inbox, RealServerTestCase, reactor
from tests.real.servers import HOST, ModbusServer

MODBUS = "length:2,offset=4,keep-header"
READ, WRITE = 3, 6


def message(number: int, function: int, *words: int) -> bytes:
    """To or from unit 1: the header with its transaction number, and a request's two words."""
    return framed(number, bytes([function]) + packed(words))


def registers(number: int, *values: int) -> bytes:
    """The answer to `message(number, READ, first, count)`."""
    return framed(number, bytes([READ, 2 * len(values)]) + packed(values))


def framed(number: int, body: bytes) -> bytes:
    return struct.pack(">HHHB", number, 0, 1 + len(body), 1) + body


def packed(words: Sequence[int]) -> bytes:
    return struct.pack(f">{len(words)}H", *words)


class Master(Inbox):
    """A frame is a message with its header."""

    framing = framing.named(MODBUS)


class ModbusTests(RealServerTestCase):
    """The library."""

    def setUp(self) -> None:
        self.server = ModbusServer(self.folder())
        self.addCleanup(self.server.close)
        self.server.start()

    async def test_a_killed_server_costs_nothing_but_time(self) -> None:
        """What is asked while it is away is answered when it is back, with its old values."""
        link = self.link(tcp(reactor, HOST, self.server.port), Master)
        self.assertEqual(await link.ask(message(1, READ, 0, 2)), registers(1, 17, 4711))
        self.assertEqual(await link.ask(message(2, WRITE, 0, 18)), message(2, WRITE, 0, 18))
        self.assertEqual(await link.ask(message(3, READ, 0, 1)), registers(3, 18))
        down = link.reaches(State.WAITING)
        self.server.kill()
        await down
        await link.send([message(4, READ, 0, 1)])
        self.server.start()
        self.assertEqual(await link.frame(), registers(4, 17))
        await self.check_carried_on(link)

    async def test_many_requests_at_once_are_answered_in_order(self) -> None:
        """Each answer has its request's number and its own length."""
        link = self.link(tcp(reactor, HOST, self.server.port), Master)
        await link.send([message(number, READ, 0, 1 + number % 2) for number in range(1000)])
        for number in range(1000):
            values = (17, 4711)[: 1 + number % 2]
            self.assertEqual(await link.frame(), registers(number, *values))

    async def test_an_exception_of_the_device_is_an_answer(self) -> None:
        """A function that it does not know: 0x80 added, and why."""
        link = self.link(tcp(reactor, HOST, self.server.port), Master)
        self.assertEqual(await link.ask(message(7, 99, 0, 1)), framed(7, bytes([0x80 + 99, 1])))


@pytest.fixture
def modbus(tmp_path: Path) -> Iterator[ModbusServer]:
    with ModbusServer(tmp_path) as server:
        server.start()
        yield server


def test_the_command_line_polls_into_a_file_through_a_kill(
    modbus: ModbusServer, tmp_path: Path
) -> None:
    """Every answer is a line; what could not be asked while it was away is not made up for."""
    kept = tmp_path / "registers.hex"
    answer = registers(1, 17, 4711).hex()

    def answers() -> list[str]:
        return kept.read_text().splitlines() if kept.exists() else []

    poll = "".join(f"\\x{byte:02x}" for byte in message(1, READ, 0, 2))
    command = python(
        *("-m", "nbclient", HOST, str(modbus.port), "--framing", MODBUS, *QUICKLY),
        *("--input", "none", "--output", f"file:{kept}", "--output-framing", "hex"),
        *("--poll", poll, "--poll-every", "0.05"),
    )
    with Child(command, cwd=tmp_path) as child:
        wait_until(lambda: len(answers()) >= 3)
        modbus.kill()
        child.err.expect("connection refused")
        before = len(answers())
        modbus.start()
        wait_until(lambda: len(answers()) >= before + 3)
        child.interrupt()
        assert child.wait() == 130
        assert "Traceback" not in child.err.text
    assert set(answers()) == {answer}
