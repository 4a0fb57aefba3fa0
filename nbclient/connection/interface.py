"""What a connection tells the link it belongs to, and what it does without one."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from twisted.python.failure import Failure


class LinkObserver:
    """What a connection tells the link it belongs to; this one is its own link.

    Without a link a connection opens as soon as it is up, closes when the
    peer has closed, and aborts on a fault.

    """

    _now: Callable[[], float] = staticmethod(time.monotonic)
    """Seconds on a monotonic scale, for ages: a reactor's own clock may be the time of day."""

    @property
    def clock(self) -> Any:
        """An `IReactorTime` for timers, never None: the reactor, unless there is another."""
        return global_reactor()

    def transportMade(self, connection: Any) -> None:
        """There is a transport; nothing was written on it yet."""

    def transportClosing(self, connection: Any) -> None:
        """The transport is about to close its socket."""

    def connectionUp(self, connection: Any) -> None:
        """Transport connected and, under TLS, handshake done."""
        connection.open()

    def connectionOpened(self, connection: Any) -> None:
        """The application's opening is done."""
        connection.announce()

    def connectionClosing(self, connection: Any) -> None:
        """This side has begun to close."""

    def peerClosed(self, connection: Any) -> None:
        """The peer will send no more; it may still read."""
        connection.finish()

    def connectionFailed(self, connection: Any, reason: Failure) -> None:
        """This connection is of no more use; what it still delivers is its own to say."""
        connection.abandonTransport()

    def connectionUseless(self, connection: Any, reason: Failure) -> None:
        """This connection cannot begin, which is not the peer's fault: end it in good order."""
        connection.loseConnection()

    def connectionWritable(self, connection: Any) -> None:
        """The transport has room again."""

    def transportLost(self, connection: Any, reason: Failure) -> None:
        """The transport is gone; frames may still be on their way to the application."""

    def connectionSettled(self, connection: Any) -> None:
        """The application has been told everything, the loss included."""

    def isNews(self, kind: str) -> bool:
        """Whether what has happened is worth a line: each attempt may do the same."""
        return True

    def afterwards(self, call: Callable[[], None]) -> None:
        """Call `call` once what was reported has had its effect: at once, but for a link at work.

        Where a connection ends, its waiters learn of it so: never before the link does.
        """
        call()

    def readingHeld(self, connection: Any, held: bool) -> None:
        """This side stopped reading (True) or reads again (False)."""


ALONE = LinkObserver()


def global_reactor() -> Any:
    """The reactor of this process, which is installed where there is none yet."""
    from twisted.internet import reactor

    return reactor
