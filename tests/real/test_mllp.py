"""An HL7 server over MLLP: a message is answered by name, and the next one sent then."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from nbclient import State, framing
from nbclient.endpoints import tcp
from tests.real.children import QUICKLY, Child, python
from tests.real.links import Inbox, RealServerTestCase, reactor
from tests.real.servers import HOST, MLLPServer

ACCEPTED = re.compile(r"MSA\|AA\|(\w+)")


def message(identifier: str) -> bytes:
    """An admission, of two segments; each ends in CR."""
    header = f"MSH|^~\\&|WARD|HOSPITAL|LAB|HOSPITAL|20260615120000||ADT^A01|{identifier}|P|2.5"
    return f"{header}\rPID|1||4711||Doe^Jane\r".encode()


def verdict(answer: bytes) -> tuple[str, str]:
    """The code of an acknowledgement, and the identifier of the message it is for."""
    found = re.search(r"\rMSA\|(\w\w)\|(\w*)", answer.decode())
    assert found, answer
    return found[1], found[2]


class Sender(Inbox):
    """A frame is a message."""

    framing = framing.mllp()


class MLLPTests(RealServerTestCase):
    """The library."""

    def setUp(self) -> None:
        self.server = MLLPServer(self.folder())
        self.addCleanup(self.server.close)
        self.server.start()

    async def test_each_message_is_accepted_once_through_kills(self) -> None:
        """Stop and wait; what is handed over while the server is away waits for it."""
        link = self.link(tcp(reactor, HOST, self.server.port), Sender)
        expected = []
        for round in range(3):
            for number in range(5):
                identifier = f"up{round}{number}"
                self.assertEqual(verdict(await link.ask(message(identifier))), ("AA", identifier))
                expected.append(identifier)
            down = link.reaches(State.WAITING)
            self.server.kill()
            await down
            identifier = f"down{round}"
            await link.send([message(identifier)])
            self.server.start()
            self.assertEqual(verdict(await link.frame()), ("AA", identifier))
            expected.append(identifier)
        self.assertEqual(self.server.kept.read_text().splitlines(), expected)
        await self.check_carried_on(link, losses=3)

    async def test_a_message_without_a_name_is_rejected_and_the_next_one_accepted(self) -> None:
        """A refusal is an answer like any other: the connection stays."""
        link = self.link(tcp(reactor, HOST, self.server.port), Sender)
        self.assertEqual(verdict(await link.ask(message(""))), ("AR", ""))
        self.assertEqual(verdict(await link.ask(message("good"))), ("AA", "good"))
        self.assertEqual(link.stats().losses, 0)


@pytest.fixture
def mllp(tmp_path: Path) -> Iterator[MLLPServer]:
    with MLLPServer(tmp_path) as server:
        server.start()
        yield server


def blocks(*identifiers: str) -> str:
    """A file of messages, as such files are kept."""
    return "".join(f"\x0b{message(identifier).decode()}\x1c\r" for identifier in identifiers)


def nbclient(server: MLLPServer, *options: str) -> list[str]:
    return python(
        *("-m", "nbclient", HOST, str(server.port), "--framing", "mllp"),
        *("--input-framing", "mllp", "--output", "-", "--output-framing", "record", *options),
    )


def test_the_command_line_carries_on_after_a_kill(mllp: MLLPServer, tmp_path: Path) -> None:
    with Child(nbclient(mllp, *QUICKLY), cwd=tmp_path) as child:
        child.type(blocks("first", "second"))
        child.out.expect(r"MSA\|AA\|first\b")
        child.out.expect(r"MSA\|AA\|second\b")
        mllp.kill()
        child.err.expect("connection refused")
        child.type(blocks("third"))
        mllp.start()
        child.out.expect(r"MSA\|AA\|third\b")
        assert "Traceback" not in child.err.text
    assert mllp.kept.read_text().split() == ["first", "second", "third"]


def test_the_command_line_sends_a_file_and_takes_the_answers(
    mllp: MLLPServer, tmp_path: Path
) -> None:
    """--once: our side is closed behind the last message, and its answer still comes."""
    names = [f"m{number}" for number in range(100)]
    (tmp_path / "batch.hl7").write_text(blocks(*names), newline="")
    with Child(nbclient(mllp, "--input", "file:batch.hl7", "--once"), cwd=tmp_path) as child:
        assert child.wait() == 0, child.err.text
        assert [found[1] for found in ACCEPTED.finditer(child.out.end())] == names
    assert mllp.kept.read_text().split() == names
