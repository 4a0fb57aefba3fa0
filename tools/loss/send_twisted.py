"""Frames sent with Twisted as one would: write when connected, else keep a queue.

python -m tools.loss.send_twisted HOST PORT COUNT --rate N [--tls-ca FILE]
"""

from __future__ import annotations

import argparse
from collections import deque
from pathlib import Path
from typing import Any

from twisted.internet import ssl
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, ReconnectingClientFactory
from twisted.internet.task import deferLater, react

from tools.loss.frames import batches, frame


class Sender(Protocol):
    """One connection; what waited goes first."""

    factory: Queue

    def connectionMade(self) -> None:
        self.factory.resetDelay()
        self.factory.sender = self
        self.factory.flush()

    def connectionLost(self, reason: Any = None) -> None:
        self.factory.sender = None


class Queue(ReconnectingClientFactory):
    """Frames that wait for a connection."""

    protocol = Sender  # type: ignore[assignment]
    initialDelay = 0.05
    maxDelay = 0.2  # type: ignore[assignment]
    noisy = False

    def __init__(self) -> None:
        self.waiting: deque[bytes] = deque()
        self.sender: Any = None
        self.ended: Deferred[None] = Deferred()

    def send(self, line: bytes) -> None:
        self.waiting.append(line)
        self.flush()

    def flush(self) -> None:
        while self.sender is not None and self.waiting:
            self.sender.transport.write(self.waiting.popleft())

    def clientConnectionLost(self, connector: Any, reason: Any) -> None:
        if self.continueTrying:
            super().clientConnectionLost(connector, reason)
        else:
            self.ended.callback(None)


async def send_all(reactor: Any, given: argparse.Namespace) -> None:
    queue = Queue()
    if given.tls_ca:
        trust = ssl.Certificate.loadPEM(Path(given.tls_ca).read_bytes())
        options = ssl.optionsForClientTLS(given.host, trustRoot=trust)
        reactor.connectSSL(given.host, given.port, queue, options)
    else:
        reactor.connectTCP(given.host, given.port, queue)
    for wait, numbers in batches(given.count, given.rate):
        await deferLater(reactor, wait)
        for number in numbers:
            queue.send(frame(number) + b"\n")
    while queue.waiting or queue.sender is None:
        await deferLater(reactor, 0.05)
    queue.stopTrying()
    queue.sender.transport.loseConnection()  # once all of it is written
    await queue.ended


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("count", type=int)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--tls-ca")
    given = parser.parse_args()
    react(lambda reactor: Deferred.fromCoroutine(send_all(reactor, given)))


if __name__ == "__main__":
    main()
