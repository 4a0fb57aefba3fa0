"""The kernel's counter is that of the socket, whatever lies between it and the protocol."""

from __future__ import annotations

from functools import partial
from typing import Any

from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory
from twisted.protocols.policies import TimeoutFactory, WrappingFactory
from twisted.trial.unittest import TestCase

from nbclient import FrameProtocol, endpoints, framing
from nbclient.kernel.ack_tracker import Acknowledging
from tests.conformance.dialers import (
    Server,
    TCPServing,
    TLSServing,
    reactor,
    turn,
    until,
)


class Counting(FrameProtocol):
    """Keeps account of what it writes."""

    framing = framing.lines()
    acks: Acknowledging
    ready = False

    def connectionMade(self) -> None:
        self.acks = Acknowledging(self.transport, self.secure)
        self.ledger = self.acks.ledger

    def connectionReady(self) -> None:
        self.ready = True

    def frameReceived(self, frame: bytes) -> None:
        pass


class Layers:
    """Level `tcp` by hand, under wrappers of an application."""

    addCleanup: Any
    assertEqual: Any
    server: Server

    async def connect(self, endpoint: Any, *wrappers: Any) -> Any:
        connection: Any = Counting()
        factory: Any = Factory.forProtocol(lambda: connection)
        factory.noisy = False
        for wrap in wrappers:
            factory = wrap(factory)
            factory.noisy = False
        await endpoint.connect(factory)
        self.addCleanup(self.end, connection)
        await until(lambda: connection.ready)
        return connection

    async def end(self, connection: Any) -> None:
        connection.acks.probe.close()
        connection.abortConnection()
        await until(lambda: connection.settled)

    async def count(self, connection: Any) -> None:
        """Frames that the peer's kernel has count as delivered, and no others do."""
        await until(lambda: self.server.connections)
        connection.writeFrames([b"one", b"two"], outbox=True)
        self.assertEqual(connection.acks.newly(), 0)  # they wait for the reactor's next turn
        newly = 0
        while newly < 2:
            newly += connection.acks.newly()
            await turn()
        self.assertEqual(newly, 2)
        await until(lambda: bytes(self.server.last.received) == b"one\ntwo\n")


class PlainTests(Layers, TCPServing, TestCase):
    async def test_under_two_wrappers(self) -> None:
        self.serve()
        inner = TCP4ClientEndpoint(reactor, "127.0.0.1", self.number)
        limited = partial(TimeoutFactory, timeoutPeriod=60)
        await self.count(await self.connect(inner, limited, WrappingFactory))


class TLSTests(Layers, TLSServing, TestCase):
    async def test_under_a_wrapper_over_tls(self) -> None:
        """The socket is two layers down, and what is counted there is ciphertext."""
        self.serve()
        inner = endpoints.tcp(reactor, "127.0.0.1", self.number)
        secured = endpoints.tls(inner, "127.0.0.1", self.trust())
        await self.count(await self.connect(secured, WrappingFactory))
