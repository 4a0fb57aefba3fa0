"""A quiet link beside a flooding one: work is counted, not time."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from twisted.internet import reactor as _reactor
from twisted.trial.unittest import TestCase

from nbclient import FrameProtocol, ReconnectingFactory, framing
from nbclient.endpoints import tcp
from tests.conformance.dialers import until
from tests.conformance.scripts import script_as_module
from tests.real.children import ROOT, Child, python

reactor: Any = _reactor
SCRIPT = ROOT / "tools" / "fairness.py"

A_READ = 64 * 1024
"""What Twisted reads at most before it turns to the next connection, bytes."""


class Flooded(FrameProtocol):
    """Its peer has always more to say."""

    framing = framing.lines()

    def framesReceived(self, frames: list[bytes]) -> None:
        self.factory.took()  # type: ignore[union-attr]


class Quiet(FrameProtocol):
    framing = framing.lines()

    def frameReceived(self, frame: bytes) -> None:
        self.factory.heard()  # type: ignore[union-attr]


class FairnessTests(TestCase):
    """Both peers are sockets in the hands of the test, so that every turn is the same."""

    timeout = 20

    async def connect(self, protocol: type[FrameProtocol]) -> tuple[Any, socket.socket]:
        listening = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listening.close)
        link: Any = ReconnectingFactory.forProtocol(protocol)
        link.start(tcp(reactor, "127.0.0.1", listening.getsockname()[1]), reactor)
        await link.whenReady()  # the kernel connects by itself
        peer, _ = listening.accept()
        self.addCleanup(peer.close)
        peer.setblocking(False)
        return link, peer

    async def test_a_quiet_link_waits_for_two_reads_of_a_flood_at_most(self) -> None:
        """What it is sent during one read is handed over after the next one."""
        flood, flooding = await self.connect(Flooded)
        quiet, asking = await self.connect(Quiet)
        block = b"x" * 99 + b"\n"
        asked: list[int] = []
        waited: list[int] = []
        reads: list[int] = []

        def fill() -> None:
            try:
                while True:
                    flooding.send(block * 1000)
            except BlockingIOError:
                pass

        def took() -> None:
            reads.append(flood.connection.bytesIn - sum(reads))
            fill()
            if len(asked) == len(waited):
                asked.append(flood.connection.bytesIn)
                asking.send(b"?\n")

        flood.took = took
        quiet.heard = lambda: waited.append(flood.connection.bytesIn - asked[-1])
        fill()
        await until(lambda: len(waited) >= 200)
        flood.took = lambda: None
        flooding.close()
        self.assertEqual(max(reads), A_READ)  # it was a flood
        self.assertLessEqual(max(waited), 2 * A_READ)
        await quiet.stop()
        await flood.stop()


@pytest.fixture(scope="module")
def fairness() -> Iterator[ModuleType]:
    """tools/fairness.py as a module."""
    with script_as_module("fairness") as module:
        yield module


def test_a_percentile_is_a_value_that_occurred(fairness: Any) -> None:
    assert fairness.summary(range(1, 101)) == fairness.Waits(100, 50, 99, 100)
    assert fairness.summary([3.0, 1.0, 2.0]) == fairness.Waits(3, 2.0, 3.0, 3.0)
    assert fairness.summary([7.0]) == fairness.Waits(1, 7.0, 7.0, 7.0)


def test_it_runs_and_ends_by_itself() -> None:
    with Child(python(str(SCRIPT), "--seconds", "0.2", "--each")) as child:
        assert child.wait(30) == 0, child.err.end()
        lines = child.out.end().splitlines()
        assert [line.split("  ")[0] for line in lines[1:]] == [
            "alone",
            "flood in another",
            "flood beside it",
            "a read of it",
        ]


@pytest.mark.parametrize("words", [("--seconds", "1e9"), ("--frame", "0"), ("--floods", "x")])
def test_its_bounds_are_kept(
    fairness: Any, words: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        fairness.parse(words)
    assert caught.value.code == 2
    assert words[0] in capsys.readouterr().err
