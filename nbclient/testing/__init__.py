"""Fakes for people who write protocols on this package: no sockets, no waiting.

Twisted's own fakes cannot redial: `MemoryReactor.connectTCP` never calls
``startedConnecting`` and its connector forgets its attempts. Here a
`FakeReactor` (a `Clock` that dials) or a `FakeEndpoint` records every attempt,
and the test decides what becomes of each::

    reactor = FakeReactor()
    factory = ReconnectingFactory.forProtocol(Ticker, clock=reactor)
    reactor.connectTCP("feed.example", 5000, factory)
    peer = reactor.attempts[-1].accept()
    peer.send(b"hello\\n")
    reactor.turn()

The pipe between the two ends behaves as TCP under Twisted does where it
matters to a protocol: writes leave on the next turn, a full transport pauses
its producer, a half-close ends one direction, an abort ends both, and a write
that fails makes the transport forget what the kernel had already received.
"""

from __future__ import annotations

from nbclient.testing.pipe import (
    HIGH_WATER,
    READ_SIZE,
    Attempt,
    FakeConnector,
    FakeEndpoint,
    FakeReactor,
    Kernel,
    MemoryTLS,
    MemoryTransport,
    Peer,
    ScriptedPeer,
    every_split,
)

__all__ = [
    "HIGH_WATER",
    "READ_SIZE",
    "Attempt",
    "FakeConnector",
    "FakeEndpoint",
    "FakeReactor",
    "Kernel",
    "MemoryTLS",
    "MemoryTransport",
    "Peer",
    "ScriptedPeer",
    "every_split",
]
