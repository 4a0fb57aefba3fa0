"""What the tests against real servers share on the library's side."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred, DeferredQueue
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from nbclient import Backoff, FrameProtocol, ReconnectingFactory, State
from tests.real.children import PATIENCE

reactor: Any = _reactor
QUICK = Backoff(initial=0.05, maximum=0.2, stable_after=0.1)


class Inbox(FrameProtocol):
    """Frames go to the link's queue."""

    def frameReceived(self, frame: bytes) -> None:
        self.factory.frames.put(frame)


class Link(ReconnectingFactory):
    """A link whose frames a test can wait for."""

    protocol = Inbox

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"backoff": QUICK, **options})
        self.frames: DeferredQueue[bytes] = DeferredQueue()

    def frame(self) -> Deferred[bytes]:
        """The next frame of the link, whichever connection it comes on."""
        return self._soon(self.frames.get())

    async def ask(self, *frames: bytes) -> bytes:
        """Send, and give the first frame that comes then."""
        await self.send(frames)
        return await self.frame()

    def ready(self) -> Deferred[Any]:
        """The connection, when there is one."""
        return self._soon(self.whenReady())

    def reaches(
        self, state: State, when: Callable[[Failure | None], object] = lambda reason: True
    ) -> Deferred[None]:
        """Fires at the next change to `state` for such a reason."""
        reached: Deferred[None] = Deferred(lambda _: forget())

        def changed(old: State, new: State, reason: Failure | None) -> None:
            if new is state and when(reason):
                forget()
                reached.callback(None)

        forget = self.observe(changed)
        return self._soon(reached)

    def _soon(self, awaited: Deferred[Any]) -> Deferred[Any]:
        """Give up on it after a while, and say how the link was then."""

        def too_late(result: Any, _: float) -> None:
            raise AssertionError(f"nothing for {PATIENCE} s: {self.stats()}")

        return awaited.addTimeout(PATIENCE, reactor, too_late)


class RealServerTestCase(TestCase):
    """A folder of its own, and links that are stopped with the test."""

    timeout = 60

    def folder(self) -> Path:
        """A new one, removed with the test."""
        path = Path(tempfile.mkdtemp(prefix="nbclient-test-"))
        self.addCleanup(shutil.rmtree, path)
        return path

    def link(self, endpoint: Any, protocol: type[FrameProtocol] = Inbox, **options: Any) -> Link:
        """One that is started, and stopped with the test."""
        link = Link(closeTimeout=2.0, **options)
        link.protocol = protocol
        self.addCleanup(link.stop)
        link.start(endpoint, reactor)
        return link

    async def eventually(self, happened: Callable[[], object]) -> None:
        """Look again and again until it has happened."""
        for _ in range(round(PATIENCE / 0.02)):
            if happened():
                return
            await deferLater(reactor, 0.02)
        self.fail("it has not happened")

    async def check_carried_on(self, link: Link, losses: int = 1) -> None:
        """The counters after `losses` outages, the link being up again."""
        await link.whenDrained().addTimeout(PATIENCE, reactor)
        stats = link.stats()
        self.assertIs(stats.state, State.READY)
        self.assertEqual(
            (stats.losses, stats.connects, stats.readies), (losses, losses + 1, losses + 1)
        )
        self.assertGreaterEqual(stats.dials, losses + 1)
        self.assertTrue(stats.outbox.conserved())
        self.assertEqual(stats.outbox.waiting, 0)
