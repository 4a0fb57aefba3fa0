"""ngircd: a login by an opening, which is over when the server says so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from nbclient import State, framing
from nbclient.core.automation import Answer
from nbclient.endpoints import tcp
from tests.real.children import QUICKLY, Child, python
from tests.real.links import Inbox, RealServerTestCase, reactor
from tests.real.servers import HOST, Ngircd

WELCOME = re.compile(rb"^:\S+ 001 (\S+) ")
PING = re.compile(rb"^PING :?(.*)")


class User(Inbox):
    """Logs in; everything the server says reaches the application as well."""

    framing = framing.crlf()

    async def opening(self) -> None:
        self.sendFrames([b"NICK robot", b"USER robot 0 * :A robot"])
        welcome = await self.expect(WELCOME)
        assert welcome[1] == b"robot"


class NgircdTests(RealServerTestCase):
    """The library."""

    def setUp(self) -> None:
        self.server = Ngircd(self.folder())
        self.addCleanup(self.server.close)
        self.server.start()

    async def test_it_logs_in_again_after_each_kill(self) -> None:
        """What is sent while the server is away leaves only after the login."""
        link = self.link(tcp(reactor, HOST, self.server.port), User)
        await link.ready()
        await self.wait_for(link, WELCOME)  # `expect` looks, and takes nothing
        for round in range(1, 3):
            down = link.reaches(State.WAITING)
            self.server.kill()
            await down
            await link.send([b"PING :round%d" % round])
            self.server.start()
            await self.wait_for(link, WELCOME)
            await self.wait_for(link, re.compile(rb"PONG .*:round%d$" % round))
            await self.check_carried_on(link, losses=round)

    async def test_a_login_that_is_refused_is_a_failed_attempt(self) -> None:
        """The nickname is taken: connected, but never ready, and ready once it is free."""
        first = self.link(tcp(reactor, HOST, self.server.port), User)
        await first.ready()
        second = self.link(tcp(reactor, HOST, self.server.port), User, openingTimeout=0.2)
        await second.reaches(State.WAITING)
        await second.reaches(State.WAITING)
        self.assertIn("opening was not done within 0.2 s", str(second.lastReason.value))
        self.assertEqual(second.stats().readies, 0)
        await self.wait_for(second, re.compile(rb" 433 .*robot"))
        await first.stop()
        await second.ready()

    async def test_a_ping_in_the_middle_of_the_login_is_answered(self) -> None:
        """There is no welcome without; the opening waits for that, and knows of no PING."""
        self.server.ping_first = True
        self.server.restart()
        rules = (Answer(PING, rb"PONG :\1"),)
        link = self.link(tcp(reactor, HOST, self.server.port), User, answers=rules)
        for round in range(1, 3):
            await self.wait_for(link, PING)
            await self.wait_for(link, WELCOME)
            await self.check_carried_on(link, losses=round - 1)
            down = link.reaches(State.WAITING)
            self.server.restart()
            await down

    async def test_without_an_answer_to_the_ping_the_login_fails(self) -> None:
        """So the test above shows what it says."""
        self.server.ping_first = True
        self.server.restart()
        link = self.link(tcp(reactor, HOST, self.server.port), User, openingTimeout=0.3)
        await self.wait_for(link, PING)
        await link.reaches(State.WAITING)
        self.assertEqual(link.stats().readies, 0)

    async def wait_for(self, link: object, pattern: re.Pattern[bytes]) -> None:
        """Read on until a frame matches."""
        while not pattern.search(await link.frame()):
            pass


@pytest.fixture
def ngircd(tmp_path: Path) -> Iterator[Ngircd]:
    with Ngircd(tmp_path) as server:
        server.start()
        yield server


def test_the_command_line_logs_in_again_after_a_kill(ngircd: Ngircd, tmp_path: Path) -> None:
    (tmp_path / "login").write_text("NICK robot\nUSER robot 0 * :A robot\n")
    command = python(
        *("-m", "nbclient", HOST, str(ngircd.port), "--framing", "crlf", *QUICKLY),
        *("--opening-file", "login", "--expect", "^:[^ ]+ 001 "),
    )
    with Child(command, cwd=tmp_path) as child:
        child.out.expect("^:irc.example.net 001 robot ")
        child.type("PING :first\n")
        child.out.expect("PONG .*:first")
        ngircd.kill()
        child.err.expect("connection refused")
        child.type("PING :second\n")
        ngircd.start()
        child.out.expect("^:irc.example.net 001 robot ")
        child.out.expect("PONG .*:second")
        assert "Traceback" not in child.err.text


def test_the_command_line_answers_the_ping_of_the_login(ngircd: Ngircd, tmp_path: Path) -> None:
    """A password from a file, and an answer that is none of the script's business."""
    (tmp_path / "secret").write_text("hush\n")
    ngircd.ping_first, ngircd.password = True, "hush"
    ngircd.restart()
    command = python(
        *("-m", "nbclient", HOST, str(ngircd.port), "--framing", "crlf", *QUICKLY),
        *("--opening", "PASS ${file:secret}", "--opening", "NICK robot"),
        *("--opening", "USER robot 0 * :A robot", "--expect", "^:[^ ]+ 001 "),
        *("--answer", r"/^PING :?(.*)/PONG :\1/"),
    )
    with Child(command, cwd=tmp_path) as child:
        for _ in range(2):
            child.out.expect("^PING :")
            child.out.expect("^:irc.example.net 001 robot ")
            child.type("JOIN #rooms\n")
            child.out.expect("JOIN :#rooms")
            ngircd.restart()
        assert "Traceback" not in child.err.text
        assert "hush" not in child.err.text
