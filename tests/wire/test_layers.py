"""Between the socket and the protocol there may be layers: wrappers, TLS, both, TLS begun late."""

from __future__ import annotations

from typing import Any

from twisted.internet import ssl
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol, wrapClientTLS
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.protocols.policies import TimeoutFactory, WrappingFactory
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import TestCase

from nbclient import FrameProtocol, framing
from tests.conformance.dialers import arrived, certs, reactor, turn, until


class Lines(FrameProtocol):
    framing = framing.lines()

    def __init__(self) -> None:
        self.events: list[Any] = []

    def connectionReady(self) -> None:
        self.events.append("ready")

    def frameReceived(self, frame: bytes) -> Any:
        self.events.append(frame)

    def connectionLost(self, reason: Any = None) -> None:
        self.events.append("lost")


class Quiet(Protocol):
    def connectionLost(self, reason: Any = None) -> None:
        self.gone = True

    gone = False


def server_tls() -> Any:
    return ssl.DefaultOpenSSLContextFactory(certs().good_key, certs().good)


def client_tls() -> Any:
    with open(certs().ca, "rb") as file:
        authority = ssl.Certificate.loadPEM(file.read())
    return ssl.optionsForClientTLS("localhost", trustRoot=authority)


class LayerTests(TestCase):
    """The protocol on the server's side, under whatever its application puts below it."""

    timeout = 10

    def serve(self, protocol: Lines, wrap: Any) -> Any:
        factory: Any = Factory.forProtocol(lambda: protocol)
        factory.noisy = False
        wrapped = wrap(factory)
        wrapped.noisy = False
        port = reactor.listenTCP(0, wrapped, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port)

    async def exchange(self, protocol: Lines, wrap: Any, secure: bool) -> Any:
        """A line, a frame paused behind it, a reset: all of it must arrive, then the loss."""
        endpoint = self.serve(protocol, wrap)
        if secure:
            endpoint = wrapClientTLS(client_tls(), endpoint)
        client = await connectProtocol(endpoint, Quiet())
        await until(lambda: "ready" in protocol.events)
        client.transport.write(b"one\n")
        await until(lambda: protocol.events == ["ready", b"one"])
        token = protocol.pauseReading()
        client.transport.write(b"two\nthree\n")
        await until(lambda: arrived(protocol) > 0)  # Nagle's algorithm may hold it for a while
        client.transport.abortConnection()
        await until(lambda: client.gone)
        while not protocol.losing:
            protocol.sendFrame(b"into the void")
            await turn()
        self.assertEqual(protocol.events, ["ready", b"one"])
        token.resume()
        self.assertEqual(protocol.events[2:], [b"two", b"three", "lost"])

    async def test_a_wrapper(self) -> None:
        await self.exchange(Lines(), WrappingFactory, False)

    async def test_two_wrappers(self) -> None:
        await self.exchange(
            Lines(), lambda factory: WrappingFactory(TimeoutFactory(factory, 60)), False
        )

    async def test_tls(self) -> None:
        await self.exchange(
            Lines(), lambda factory: TLSMemoryBIOFactory(server_tls(), False, factory), True
        )

    async def test_a_wrapper_over_tls(self) -> None:
        await self.exchange(
            Lines(),
            lambda factory: TLSMemoryBIOFactory(server_tls(), False, WrappingFactory(factory)),
            True,
        )

    async def test_tls_inside_of_tls(self) -> None:
        """The connection can be used once the layer next to the protocol has verified the peer.

        That is the one whose certificate is the peer's; the other's may be a proxy's.
        """
        server: Any = Factory.forProtocol(Quiet)
        server.noisy = False
        twice = TLSMemoryBIOFactory(server_tls(), False, server)
        endpoint = self.serve(Lines(), lambda _: TLSMemoryBIOFactory(server_tls(), False, twice))
        tunnel = wrapClientTLS(client_tls(), endpoint)
        trusting: Any = await connectProtocol(wrapClientTLS(client_tls(), tunnel), Lines())
        await until(lambda: bool(trusting.events))
        self.assertEqual(trusting.events, ["ready"])
        trusting.abortConnection()
        refusing = Lines()
        nobody = ssl.optionsForClientTLS("localhost", trustRoot=ssl.trustRootFromCertificates([]))
        await connectProtocol(wrapClientTLS(nobody, tunnel), refusing)
        await until(lambda: bool(refusing.events) and refusing.events[-1] == "lost")
        self.assertEqual(refusing.events, ["lost"])

    async def test_tls_begun_late(self) -> None:
        """The socket's own protocol is exchanged under the hook."""

        class Upgrading(Lines):
            def frameReceived(self, frame: bytes) -> None:
                super().frameReceived(frame)
                if frame == b"STARTTLS":
                    self.transport.startTLS(server_tls())  # type: ignore[union-attr]

        protocol = Upgrading()
        endpoint = self.serve(protocol, lambda factory: factory)
        client = await connectProtocol(endpoint, Quiet())
        client.transport.write(b"STARTTLS\n")
        await until(lambda: b"STARTTLS" in protocol.events)
        client.transport.startTLS(client_tls())
        client.transport.write(b"secret\n")
        await until(lambda: b"secret" in protocol.events)
        client.transport.abortConnection()
        await until(lambda: protocol.events[-1] == "lost")

    async def test_our_close_while_reading_is_held_ends_under_tls_too(self) -> None:
        """TLS closes when it has read the peer's close: somebody has to read."""

        class Closing(Lines):
            async def frameReceived(self, frame: bytes) -> None:  # type: ignore[override]
                self.events.append(frame)
                waited: Deferred[None] = deferLater(reactor, 0.01, lambda: None)
                await waited
                self.loseConnection()

        protocol = Closing()
        endpoint = self.serve(
            protocol, lambda factory: TLSMemoryBIOFactory(server_tls(), False, factory)
        )

        client = await connectProtocol(wrapClientTLS(client_tls(), endpoint), Quiet())
        client.transport.write(b"one\n")
        await until(lambda: client.gone)
        await until(lambda: protocol.events[-1] == "lost")
