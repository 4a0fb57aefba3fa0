"""gpsd with a receiver that plays a log: reports as JSON lines, or the receiver's own sentences."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from nbclient import State, framing
from nbclient.endpoints import tcp
from tests.real.children import QUICKLY, Child, python, wait_until
from tests.real.links import Inbox, Link, RealServerTestCase, reactor
from tests.real.servers import HOST, Gpsd

WATCH = '?WATCH={"enable":true,"json":true};'
WATCHING = re.compile(rb'"class":"WATCH","enable":true')
FIX = re.compile(rb'"class":"TPV".*"mode":3')


class Watcher(Inbox):
    """Asks for reports; gpsd says nothing of its own accord but its version."""

    framing = framing.lines()

    async def opening(self) -> None:
        self.sendFrame(WATCH.encode())
        await self.expect(WATCHING)


class Sentences(Inbox):
    """Asks for what the receiver says, and changes the framing once gpsd has agreed."""

    framing = framing.lines()

    async def opening(self) -> None:
        self.sendFrame(b'?WATCH={"enable":true,"nmea":true};')
        await self.expect(WATCHING)
        self.setFraming(framing.nmea())


class GpsdTests(RealServerTestCase):
    """The library."""

    def setUp(self) -> None:
        self.server = Gpsd(self.folder())
        self.addCleanup(self.server.close)
        self.server.start()

    async def test_the_reports_go_on_after_each_kill(self) -> None:
        """It has forgotten who was watching, so each connection has to say so again."""
        link = self.link(tcp(reactor, HOST, self.server.port), Watcher)
        await self.fix(link)
        for round in range(1, 3):
            down = link.reaches(State.WAITING)
            self.server.kill()
            await down
            self.server.start()
            await self.fix(link)
            await link.ready()
            await self.check_carried_on(link, losses=round)

    async def test_the_receivers_own_sentences(self) -> None:
        """Sentences with good checksums right behind the JSON that announced them."""
        link = self.link(tcp(reactor, HOST, self.server.port), Sentences)
        await link.ready()
        while (await link.frame()).startswith(b"{"):
            pass
        for _ in range(20):
            self.assertRegex(await link.frame(), rb"^\$GP(GGA|RMC),1200\d\d\.00,")
        self.assertEqual(link.stats().losses, 0)

    async def fix(self, link: Link) -> None:
        """Read on to a new connection, and to a report there of where we are: on the track."""
        while b'"class":"VERSION"' not in await link.frame():
            pass
        while not FIX.search(frame := await link.frame()):
            pass
        report = json.loads(frame)
        self.assertAlmostEqual(report["lat"], 52.52, places=2)
        self.assertAlmostEqual(report["lon"], 13.40, places=2)


@pytest.fixture
def gpsd(tmp_path: Path) -> Iterator[Gpsd]:
    with Gpsd(tmp_path) as server:
        server.start()
        yield server


def test_the_command_line_keeps_the_reports_in_a_file(gpsd: Gpsd, tmp_path: Path) -> None:
    """Whole lines of JSON only, through a kill."""
    kept = tmp_path / "gps.json"

    def fixes() -> int:
        return len(FIX.findall(kept.read_bytes())) if kept.exists() else 0

    command = python(
        *("-m", "nbclient", HOST, str(gpsd.port), "--framing", "lines", *QUICKLY),
        *("--input", "none", "--output", f"file:{kept}"),
        *("--opening", WATCH, "--expect", '"class":"WATCH"'),
    )
    with Child(command, cwd=tmp_path) as child:
        wait_until(lambda: fixes() >= 3)
        gpsd.kill()
        child.err.expect("connection refused")
        before = fixes()
        gpsd.start()
        wait_until(lambda: fixes() >= before + 3)
        child.interrupt()
        assert child.wait() == 130
        assert "Traceback" not in child.err.text
    reports = [json.loads(line) for line in kept.read_text().splitlines()]
    assert [report["class"] for report in reports].count("VERSION") == 2
