"""A server that processes numbered frames, answers each, and dies now and then."""

from __future__ import annotations

import random
from typing import Any

from twisted.internet.protocol import Factory
from twisted.protocols.basic import LineOnlyReceiver


def numbered(first: int, last: int) -> list[bytes]:
    return [b"%06d" % number + b"x" * 93 for number in range(first, last + 1)]


class Answering(LineOnlyReceiver):
    """Processes each line and answers it; dies in between when its server says so."""

    delimiter = b"\n"

    def connectionMade(self) -> None:
        self.factory.alive.append(self)  # type: ignore[union-attr]

    def lineReceived(self, line: bytes) -> None:
        server: Any = self.factory
        if self.transport.disconnecting or self not in server.alive:  # type: ignore[union-attr]
            return
        server.processed.append(line)
        if server.dies():
            server.alive.remove(self)
            self.transport.abortConnection()  # type: ignore[union-attr]
        else:
            self.sendLine(b"ok " + line[:6])

    def connectionLost(self, reason: Any = None) -> None:
        if self in self.factory.alive:  # type: ignore[union-attr]
            self.factory.alive.remove(self)  # type: ignore[union-attr]


class AnsweringServer(Factory):  # type: ignore[type-arg]
    """:ivar processed: every line, over all connections."""

    noisy = False
    protocol = Answering

    def __init__(self, deaths: float) -> None:
        self.processed: list[bytes] = []
        self.alive: list[Answering] = []
        self._random = random.Random(5)
        self._deaths = deaths

    def dies(self) -> bool:
        return self._random.random() < self._deaths
