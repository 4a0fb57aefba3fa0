"""rsyslogd: octet-counted messages of RFC 6587, each kept exactly once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from nbclient import State, framing
from nbclient.endpoints import tcp
from tests.real.children import QUICKLY, Child, python, wait_until
from tests.real.links import Inbox, RealServerTestCase, reactor
from tests.real.servers import HOST, Rsyslogd

HEADER = "<13>1 2026-06-15T12:00:00Z host test - - - "


class Sender(Inbox):
    """Nothing ever comes back."""

    framing = framing.octet_counted()


def numbers(server: Rsyslogd) -> list[int]:
    """The messages that were kept, each known by the number behind its header."""
    if not server.kept.exists():
        return []
    text = server.kept.read_text()
    lines = text[: text.rfind("\n") + 1].splitlines()  # the last one may be half written
    assert all(line.startswith(HEADER) for line in lines), "a torn message"
    return [int(line[len(HEADER) :].split()[0]) for line in lines]


def messages(numbers: Sequence[int], padding: str = "") -> list[bytes]:
    return [f"{HEADER}{number}{padding}".encode() for number in numbers]


class RsyslogdTests(RealServerTestCase):
    """The library."""

    def setUp(self) -> None:
        self.server = Rsyslogd(self.folder())
        self.addCleanup(self.server.close)
        self.server.start()

    async def test_each_message_is_kept_exactly_once_through_kills(self) -> None:
        """Between the kills and during them; what was on its way is the next test's."""
        link = self.link(tcp(reactor, HOST, self.server.port), Sender)
        for batch in range(0, 3000, 1000):
            await link.send(messages(range(batch, batch + 500)))
            await self.keeps(range(batch + 500))
            down = link.reaches(State.WAITING)
            self.server.kill()
            await down
            await link.send(messages(range(batch + 500, batch + 1000)))
            self.server.start()
            await self.keeps(range(batch + 1000))
        await self.check_carried_on(link, losses=3)

    async def test_what_a_killed_server_had_not_acknowledged_is_sent_again(self) -> None:
        """`tcp` loses what the dead one's kernel had, and not a message more."""
        link = self.link(tcp(reactor, HOST, self.server.port), Sender, delivery="tcp")
        await link.send(messages([0]))
        await self.keeps([0])
        self.server.freeze()  # its kernel takes what fits, and nobody reads it
        await link.send(messages(range(1, 2000), " " * 400))
        await self.eventually(lambda: link.stats().outbox.acknowledged > 1)
        down = link.reaches(State.WAITING)
        self.server.kill()
        await down
        had = link.stats().outbox.acknowledged
        self.assertLess(had, 2000)
        self.server.start()
        await self.keeps([0, *range(had, 2000)])
        await self.check_carried_on(link)
        self.assertGreater(link.stats().outbox.resent, 0)

    async def test_a_message_of_several_lines_is_one_message(self) -> None:
        """The length says where it ends, so it may hold anything; rsyslogd writes #012 for LF."""
        link = self.link(tcp(reactor, HOST, self.server.port), Sender)
        await link.send(messages([1], " Traceback:\n  File") + messages([2]))
        await self.keeps([1, 2])
        self.assertIn("1 Traceback:#012  File\n", self.server.kept.read_text())

    async def keeps(self, expected: Sequence[int]) -> None:
        """Wait for as many messages, which are these, each once and in order."""
        await self.eventually(lambda: len(numbers(self.server)) >= len(expected))
        kept = numbers(self.server)
        # assertEqual would take minutes to say how two such lists differ.
        if kept != list(expected):
            missing = sorted(set(expected) - set(kept))
            self.fail(f"{len(kept)} kept, {len(expected)} expected; missing: {missing[:9]}")


@pytest.fixture
def rsyslogd(tmp_path: Path) -> Iterator[Rsyslogd]:
    with Rsyslogd(tmp_path) as server:
        server.start()
        yield server


def nbclient(server: Rsyslogd, *options: str) -> list[str]:
    return python(
        *("-m", "nbclient", HOST, str(server.port), "--framing", "octet-counted", *QUICKLY),
        *("--output", "none", *options),
    )


def lines(numbers: Sequence[int]) -> str:
    return "".join(f"{message.decode()}\n" for message in messages(numbers))


def test_the_command_line_sends_a_file_although_the_server_is_killed_and_away(
    rsyslogd: Rsyslogd, tmp_path: Path
) -> None:
    """What is appended to a log is kept once, whether the collector was there or not."""
    log = tmp_path / "growing.log"
    log.write_text(lines(range(100)))
    command = nbclient(rsyslogd, "--input", f"tail:{log},from=start")
    with Child(command, cwd=tmp_path) as child:
        wait_until(lambda: len(numbers(rsyslogd)) == 100)
        rsyslogd.kill()
        child.err.expect("connection refused")
        with log.open("a") as more:
            more.write(lines(range(100, 200)))
        rsyslogd.start()
        wait_until(lambda: len(numbers(rsyslogd)) == 200)
        assert "Traceback" not in child.err.text
    assert numbers(rsyslogd) == list(range(200))


def test_the_command_line_ends_when_a_batch_is_delivered(
    rsyslogd: Rsyslogd, tmp_path: Path
) -> None:
    """Started before the collector, and ended with status 0 once all is there."""
    rsyslogd.kill()
    with Child(nbclient(rsyslogd, "--drain"), cwd=tmp_path) as child:
        child.type(lines(range(1000)))
        child.hang_up()
        child.err.expect("connection refused")
        rsyslogd.start()
        assert child.wait() == 0
    wait_until(lambda: numbers(rsyslogd) == list(range(1000)))
