"""One process, many connections, and a keyboard that always answers.

    python examples/switchboard.py HOST:PORT [HOST:PORT ...]

    text        a line to all
    2: text     a line to number 2
    ?           how each of them is
    Ctrl-D      the end (Ctrl-C too)

What it teaches: nothing waits for anything else. The keyboard is one more
connection (`StandardIO`) beside the others, and so is the screen, so that not
even a stopped terminal holds up a link. `send` keeps what is typed while a
link is down and sends it once it is up again, in order. What outlives a
connection, here its number on the board, belongs into a subclass of the factory.
"""

from __future__ import annotations

import os
import re
import sys
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.stdio import StandardIO
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure
from zope.interface import implementer

from nbclient import FrameProtocol, ReconnectingFactory, State, framing
from nbclient.endpoints import parse_host_port, tcp
from nbclient.errors import SpecError
from nbclient.reasons import explain
from nbclient.terminal import escape

USAGE = "usage: switchboard.py HOST:PORT [HOST:PORT ...]"


def lines(number: int) -> str:
    return f"{number} line{'' if number == 1 else 's'}"


class Line(FrameProtocol):
    framing = framing.lines()

    def frameReceived(self, frame: bytes) -> None:
        self.factory.say(escape(frame))


class Extension(ReconnectingFactory):
    """One link, and its place on the board."""

    protocol = Line

    def __init__(self, board: Switchboard, number: int, name: str) -> None:
        super().__init__(name=name)
        self.board = board
        self.number = number
        self.observe(self.changed)

    def say(self, text: str) -> None:
        self.board.say(f"[{self.number}] {text}")

    def changed(self, old: State, new: State, reason: Failure | None) -> None:
        if new is State.READY:
            self.say(f"{self.name} is connected")
        elif new is State.WAITING and reason is not None:
            self.say(f"{self.name}: {explain(reason)}; trying again")

    def transmit(self, text: bytes) -> None:
        self.send([text]).addErrback(lambda failure: self.say(f"not sent: {explain(failure)}"))

    def describe(self) -> None:
        stats = self.stats()
        self.say(
            f"{stats.name} {stats.state.name} for {stats.since:.0f} s, {lines(stats.frames_in)} in,"
            f" {stats.frames_out} out, {stats.outbox.waiting} waiting"
        )


@implementer(IHalfCloseableProtocol)
class Switchboard(LineOnlyReceiver):
    """The keyboard and the screen."""

    delimiter = b"\n"

    def __init__(self, reactor: Any) -> None:
        self.reactor = reactor
        self.links: list[Extension] = []
        self.ending = False
        self.closed: Deferred[None] = Deferred()

    def plug(self, host: str, port: int) -> None:
        link = Extension(self, len(self.links) + 1, f"{host}:{port}")
        self.links.append(link)
        link.start(tcp(self.reactor, host, port))

    def say(self, text: str) -> None:
        self.transport.write(text.encode() + b"\n")

    def lineReceived(self, line: bytes) -> None:
        one = re.fullmatch(rb"([1-9]\d{0,8}): ?(.*)", line)
        if line == b"?":
            for link in self.links:
                link.describe()
        elif one is None:
            for link in self.links:
                link.transmit(line)
        elif int(one[1]) <= len(self.links):
            self.links[int(one[1]) - 1].transmit(one[2])
        else:
            self.say(f"there is no {int(one[1])}")

    def readConnectionLost(self) -> None:
        if not self.ending:
            self.reactor.stop()

    def writeConnectionLost(self) -> None:
        """The screen is gone; the keyboard's end will follow."""

    def connectionLost(self, reason: Failure | None = None) -> None:
        self.closed.callback(None)

    def hangUp(self) -> Deferred[None]:
        """Before the reactor stops: links first, then what is still to be shown."""
        self.ending = True
        stopped = DeferredList([link.stop() for link in self.links])
        return stopped.addCallback(self._farewell)

    def _farewell(self, _: object) -> Deferred[None]:
        for link in self.links:
            left = link.stats().outbox.abandoned
            if left:
                link.say(f"not delivered: {lines(left)}")
        self.transport.loseConnection()
        return self.closed


def main(arguments: list[str]) -> int:
    from twisted.internet import reactor

    running: Any = reactor
    try:
        peers = [parse_host_port(argument) for argument in arguments]
    except SpecError as error:
        print(f"Error: {error}")
        peers = []
    if not peers or any(port is None for _, port in peers):
        print(USAGE)
        return 1
    blocking = {fd: os.get_blocking(fd) for fd in (0, 1, 2)}
    try:
        board = Switchboard(running)
        StandardIO(board)
        for host, port in peers:
            board.plug(host, int(port or 0))
        running.addSystemEventTrigger("before", "shutdown", board.hangUp)
        running.run()
    finally:
        for fd, was in blocking.items():  # the shell shares them, and wants them back
            os.set_blocking(fd, was)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
