"""A server to try the client on: lines, answers, outages.

It listens on a loopback port of its own, sends a line a second, answers what
it is sent, and now and then drops everybody and is gone for a while.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import Factory

from nbclient import framing
from nbclient.connection.protocol import FrameProtocol

TICK = 1.0
UP = 8.0
DOWN = 5.0
"""Seconds between two lines, from an outage to the next, and of an outage."""

INTRODUCTION = (
    "demo: a server in this process sends a line a second and answers what you type; every"
    f" {UP:g} s it is gone for {DOWN:g} s, and the client comes back to it. Ctrl-C ends it"
)


class DemoConnection(FrameProtocol):
    """The server's side of one connection."""

    framing = framing.lines(max_frame=4096)

    def connectionMade(self) -> None:
        """Say hello."""
        self._feed.connections.append(self)
        self.sendFrame(b"welcome to the demo feed")

    def frameReceived(self, frame: bytes) -> None:
        """Answer."""
        self.sendFrame(b"you said " + frame)

    def tailReceived(self, tail: bytes) -> None:
        """Nothing to do with half a line."""

    def connectionLost(self, reason: object = None) -> None:
        """Forget this connection."""
        self._feed.connections.remove(self)

    @property
    def _feed(self) -> DemoFeed:
        return cast(DemoFeed, self.factory)


if TYPE_CHECKING:
    DemoFactory = Factory[DemoConnection]
else:
    DemoFactory = Factory  # only generic in newer Twisted


class DemoFeed(DemoFactory):
    """The server.

    :param reactor: listens and tells the time.
    :ivar connections: those that are up.
    """

    protocol = DemoConnection
    noisy = False

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._listening: Any = None
        self._port = 0
        self._ticks = 0
        self._timers: dict[str, IDelayedCall] = {}
        self.connections: list[DemoConnection] = []

    def start(self) -> int:
        """Begin to listen.

        :return: the port, on 127.0.0.1.
        """
        self._up()
        self._tick()
        return self._port

    def stop(self) -> None:
        """Drop everybody and listen no more."""
        timers, self._timers = self._timers, {}
        for timer in timers.values():
            timer.cancel()
        self._drop()

    def _later(self, name: str, delay: float, call: Any) -> None:
        self._timers[name] = self._reactor.callLater(delay, call)

    def _tick(self) -> None:
        self._later("tick", TICK, self._tick)
        self._ticks += 1
        for connection in self.connections:
            connection.sendFrame(b"tick %d" % self._ticks)

    def _up(self) -> None:
        self._listening = self._reactor.listenTCP(self._port, self, interface="127.0.0.1")
        self._port = self._listening.getHost().port
        self._later("outage", UP, self._down)

    def _down(self) -> None:
        self._drop()
        self._later("outage", DOWN, self._up)

    def _drop(self) -> None:
        listening, self._listening = self._listening, None
        if listening is not None:
            listening.stopListening()
        for connection in tuple(self.connections):
            connection.loseConnection()
