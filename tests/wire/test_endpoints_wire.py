"""The endpoints on real sockets: what connects, and what is refused before a byte of ours left."""

from __future__ import annotations

import socket
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from shutil import copy, rmtree
from typing import Any

from OpenSSL import SSL
from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import (
    ConnectError,
    ConnectingCancelledError,
    ConnectionRefusedError,
)
from twisted.internet.interfaces import IOpenSSLContextFactory, IStreamClientEndpoint
from twisted.internet.protocol import ClientFactory, Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from nbclient.endpoints import (
    CertificateRefused,
    TLSSettings,
    context_factory,
    explain_tls,
    from_string,
    tcp,
    tls,
    unix,
)
from nbclient.endpoints.resolver import Resolver
from nbclient.errors import LinkError, LocalError
from tests.certs import Certs, make_certs

reactor: Any = _reactor

GREETING = b"hello"
WRONG_PIN = "sha256:" + "ab" * 32


class Client(Protocol):
    """Greets, ends when the greeting comes back, and keeps the reason of its loss."""

    def __init__(self) -> None:
        self.received = b""
        self.reason: Failure | None = None
        self.lost: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        self.transport.write(GREETING)  # type: ignore[union-attr]

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        if self.received == GREETING:
            self.transport.loseConnection()  # type: ignore[union-attr]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.reason = reason
        self.lost.callback(None)


class ClientMaker(ClientFactory):
    """Keeps the one protocol it builds."""

    noisy = False

    def __init__(self) -> None:
        self.built: Deferred[Client] = Deferred()

    def buildProtocol(self, addr: object) -> Client:
        protocol = Client()
        # At the next turn, as with an endpoint: the transport is up by then.
        reactor.callLater(0, self.built.callback, protocol)
        return protocol


class Echo(Protocol):
    factory: EchoFactory

    def connectionMade(self) -> None:
        self.factory.connections.add(self)
        if self.factory.banner:
            self.transport.write(self.factory.banner)  # type: ignore[union-attr]

    def dataReceived(self, data: bytes) -> None:
        self.factory.received += data
        if self.factory.hang_up:
            self.transport.loseConnection()  # type: ignore[union-attr]
        else:
            self.transport.write(data)  # type: ignore[union-attr]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.factory.connections.discard(self)
        if not self.factory.connections:
            idle, self.factory.idle = self.factory.idle, None
            if idle is not None:
                idle.callback(None)


class EchoFactory(Factory):
    noisy = False
    protocol = Echo  # type: ignore[assignment]

    def __init__(self, banner: bytes = b"", hang_up: bool = False) -> None:
        self.banner = banner
        self.hang_up = hang_up
        self.received = b""
        self.connections: set[Echo] = set()
        self.idle: Deferred[None] | None = None

    def when_idle(self) -> Deferred[None] | None:
        if self.connections:
            self.idle = Deferred()
        return self.idle


@implementer(IOpenSSLContextFactory)
class ServerContext:
    """A server's side of TLS."""

    def __init__(
        self, cert: str, key: str, *, newest: int | None = None, client_ca: str | None = None
    ) -> None:
        self._context = SSL.Context(SSL.TLS_METHOD)
        self._context.use_certificate_chain_file(cert)
        self._context.use_privatekey_file(key)
        if newest is not None:
            self._context.set_cipher_list(b"ALL:@SECLEVEL=0")  # else it refuses TLS 1.1 itself
            self._context.set_max_proto_version(newest)
        if client_ca is not None:
            self._context.load_verify_locations(client_ca)
            self._context.set_verify(
                SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *args: bool(args[-1])
            )

    def getContext(self) -> SSL.Context:
        return self._context


class WireTestCase(TestCase):
    timeout = 20

    certs: Certs
    folder: str

    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = tempfile.mkdtemp()
        cls.addClassCleanup(rmtree, cls.folder)
        cls.certs = make_certs(cls.folder)

    def serve(
        self,
        factory: EchoFactory,
        context: ServerContext | None = None,
        interface: str = "127.0.0.1",
    ) -> int:
        """Listen; return the port."""
        if context is None:
            port = reactor.listenTCP(0, factory, interface=interface)
        else:
            port = reactor.listenSSL(0, factory, context, interface=interface)
        self.addCleanup(factory.when_idle)
        self.addCleanup(port.stopListening)
        return int(port.getHost().port)

    async def through(self, endpoint: IStreamClientEndpoint) -> Client:
        """Connect, and wait for the end of the connection."""
        client: Any = await endpoint.connect(ClientMaker())
        await client.lost
        assert isinstance(client, Client)
        return client


class TCPTests(WireTestCase):
    async def test_literals_of_both_families_and_a_name_connect(self) -> None:
        for interface, hosts in (("127.0.0.1", ("127.0.0.1", "localhost")), ("::1", ("::1",))):
            port = self.serve(EchoFactory(), interface=interface)
            for host in hosts:
                client = await self.through(tcp(reactor, host, port))
                self.assertEqual(client.received, GREETING)

    async def test_a_local_address_is_bound_to(self) -> None:
        factory = EchoFactory()
        port = self.serve(factory)
        peers: list[Any] = []
        factory.buildProtocol = lambda addr: (  # type: ignore[method-assign]
            peers.append(addr) or Factory.buildProtocol(factory, addr)  # type: ignore[func-returns-value]
        )
        await self.through(tcp(reactor, "127.0.0.1", port, bind=("127.0.0.5", 0)))
        self.assertEqual([peer.host for peer in peers], ["127.0.0.5"])

    async def test_of_several_addresses_the_one_that_answers_is_taken(self) -> None:
        port = self.serve(EchoFactory())
        resolver = Resolver(getaddrinfo=answering("127.0.0.2", "127.0.0.1"))
        client = await self.through(tcp(reactor, "h.example", port, resolver=resolver))
        self.assertEqual(client.received, GREETING)

    async def test_nobody_listening_is_a_refused_connection(self) -> None:
        for host in ("127.0.0.1", "localhost"):
            with self.assertRaises(ConnectionRefusedError):
                await self.through(tcp(reactor, host, await self.closed_port()))

    async def closed_port(self) -> int:
        port = reactor.listenTCP(0, EchoFactory(), interface="127.0.0.1")
        number = int(port.getHost().port)
        await port.stopListening()
        return number

    async def test_a_unix_socket_connects_and_a_missing_one_does_not(self) -> None:
        path = str(Path(self.folder, "socket"))
        factory = EchoFactory()
        port = reactor.listenUNIX(path, factory)
        self.addCleanup(factory.when_idle)
        client = await self.through(unix(reactor, path))
        self.assertEqual(client.received, GREETING)
        await port.stopListening()
        with self.assertRaises(ConnectError):
            await self.through(unix(reactor, path))

    async def test_twelve_hung_names_do_not_keep_a_thirteenth_waiting(self) -> None:
        release = threading.Event()
        self.addCleanup(release.set)

        def getaddrinfo(host: str, *args: Any) -> list[tuple[Any, ...]]:
            if host.startswith("hung"):
                release.wait()
            return answering("127.0.0.1")()

        resolver = Resolver(getaddrinfo=getaddrinfo)
        port = self.serve(EchoFactory())
        hung = [
            tcp(reactor, f"hung{n}.example", port, resolver=resolver).connect(ClientMaker())
            for n in range(12)
        ]
        client = await self.through(tcp(reactor, "good.example", port, resolver=resolver))
        self.assertEqual(client.received, GREETING)
        for connecting in hung:
            connecting.cancel()
            self.failureResultOf(connecting, ConnectingCancelledError)


def answering(*addresses: str) -> Callable[..., list[tuple[Any, ...]]]:
    """A getaddrinfo with one answer."""
    answer = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 0)) for each in addresses]
    return lambda *args: answer


class TLSTests(WireTestCase):
    """Each case through every way of asking for TLS with our settings."""

    def good(self, **options: Any) -> ServerContext:
        return ServerContext(self.certs.good, self.certs.good_key, **options)

    async def by_endpoint(self, host: str, port: int, settings: TLSSettings) -> Client:
        return await self.through(tls(tcp(reactor, host, port), host, settings))

    async def by_connect_ssl(self, host: str, port: int, settings: TLSSettings) -> Client:
        factory = ClientMaker()
        reactor.connectSSL(host, port, factory, context_factory(host, settings))
        client = await factory.built
        await client.lost
        return client

    async def outcomes(
        self,
        context: ServerContext | None,
        settings: TLSSettings,
        host: str = "127.0.0.1",
        **server: Any,
    ) -> list[tuple[Client, bytes]]:
        """The clients and what the server had received, one of each way."""
        found = []
        for way in (self.by_endpoint, self.by_connect_ssl):
            factory = EchoFactory(**server)
            client = await way(host, self.serve(factory, context), settings)
            found.append((client, factory.received))
        return found

    async def accepted(
        self, context: ServerContext, settings: TLSSettings, host: str = "127.0.0.1"
    ) -> None:
        for client, received in await self.outcomes(context, settings, host):
            self.assertEqual((client.received, received), (GREETING, GREETING))

    async def refused(
        self, context: ServerContext, settings: TLSSettings, why: str, host: str = "127.0.0.1"
    ) -> None:
        """Refused for this reason, with nothing of ours sent."""
        for client, received in await self.outcomes(context, settings, host):
            assert client.reason is not None
            refusal = client.reason.value
            assert isinstance(refusal, CertificateRefused)
            self.assertEqual((refusal.why, client.received, received), (why, b"", b""))
            self.assertEqual(explain_tls(client.reason), str(refusal))

    async def explained(
        self, context: ServerContext | None, settings: TLSSettings, words: str, **server: Any
    ) -> None:
        """Failed in these words, with nothing that the server understood."""
        for client, received in await self.outcomes(context, settings, **server):
            assert client.reason is not None
            self.assertIn(words, explain_tls(client.reason) or "")
            self.assertEqual(client.received, b"")
            self.assertNotIn(GREETING, received)

    async def test_a_good_certificate_is_accepted(self) -> None:
        for host in ("127.0.0.1", "localhost"):
            await self.accepted(self.good(), TLSSettings(ca=self.certs.ca), host)

    async def test_tls_1_2_is_still_spoken(self) -> None:
        await self.accepted(self.good(newest=SSL.TLS1_2_VERSION), TLSSettings(ca=self.certs.ca))

    async def test_a_self_signed_certificate_is_refused(self) -> None:
        context = ServerContext(self.certs.self_signed, self.certs.self_signed_key)
        await self.refused(context, TLSSettings(), "self-signed")
        await self.refused(context, TLSSettings(ca=self.certs.ca), "self-signed")

    async def test_an_unknown_authority_is_refused(self) -> None:
        await self.refused(self.good(), TLSSettings(), "unknown-ca")
        await self.refused(self.good(), TLSSettings(ca=self.certs.other_ca), "unknown-ca")

    async def test_a_wrong_name_is_refused_unless_it_is_the_one_asked_for(self) -> None:
        context = ServerContext(self.certs.wrong_name, self.certs.wrong_name_key)
        await self.refused(context, TLSSettings(ca=self.certs.ca), "wrong-name")
        await self.accepted(context, TLSSettings(ca=self.certs.ca, name="other.example"))

    async def test_an_expired_certificate_is_refused(self) -> None:
        context = ServerContext(self.certs.expired, self.certs.expired_key)
        await self.refused(context, TLSSettings(ca=self.certs.ca), "expired")

    async def test_a_refusal_is_the_same_before_tls_1_3(self) -> None:
        old = SSL.TLS1_2_VERSION
        context = ServerContext(self.certs.self_signed, self.certs.self_signed_key, newest=old)
        await self.refused(context, TLSSettings(), "self-signed")
        await self.refused(context, TLSSettings(insecure=True, pins=(WRONG_PIN,)), "pin")

    async def test_a_server_of_tls_1_1_is_refused_even_insecurely(self) -> None:
        context = self.good(newest=SSL.TLS1_1_VERSION)
        for settings in (TLSSettings(ca=self.certs.ca), TLSSettings(insecure=True)):
            await self.explained(context, settings, "no TLS 1.2 or newer")

    async def test_plain_text_on_the_port_is_told_as_that(self) -> None:
        settings = TLSSettings(ca=self.certs.ca)
        for server in ({}, {"banner": b"220 ready when you are\r\n"}, {"banner": b"HTTP/1.1 400"}):
            await self.explained(None, settings, "is this a plain text port?", **server)

    async def test_a_server_that_hangs_up_on_the_handshake_is_told_as_that(self) -> None:
        words = "closed during the TLS handshake"
        await self.explained(None, TLSSettings(), words, hang_up=True)

    async def test_a_pin_is_checked_beside_the_rest_or_instead_of_it(self) -> None:
        with self.assertRaises(CertificateRefused) as caught:
            raise (await self.pin_refused()).value
        right = (caught.exception.pin,)
        ca = self.certs.ca
        await self.accepted(self.good(), TLSSettings(ca=ca, pins=right))
        await self.accepted(self.good(), TLSSettings(insecure=True, pins=right))
        await self.refused(self.good(), TLSSettings(pins=right), "unknown-ca")
        await self.refused(self.good(), TLSSettings(ca=ca, pins=(WRONG_PIN,)), "pin")

    async def pin_refused(self) -> Any:
        settings = TLSSettings(insecure=True, pins=(WRONG_PIN,))
        client, _ = (await self.outcomes(self.good(), settings))[0]
        return client.reason

    async def test_insecure_accepts_anything_that_is_tls(self) -> None:
        context = ServerContext(self.certs.expired, self.certs.expired_key)
        await self.accepted(context, TLSSettings(insecure=True))

    async def test_a_certificate_of_ours_is_shown(self) -> None:
        context = self.good(client_ca=self.certs.ca)
        certs = self.certs
        await self.accepted(
            context, TLSSettings(ca=certs.ca, cert=certs.client, key=certs.client_key)
        )

    async def test_a_server_that_wants_a_certificate_is_told_as_that(self) -> None:
        settings = TLSSettings(ca=self.certs.ca)
        await self.explained(self.good(client_ca=self.certs.ca), settings, "a certificate")

    async def test_a_server_that_refuses_our_certificate_is_told_as_that(self) -> None:
        certs = self.certs
        settings = TLSSettings(ca=certs.ca, cert=certs.client, key=certs.client_key)
        context = self.good(client_ca=certs.other_ca)
        await self.explained(context, settings, "the server refused our certificate")

    async def test_files_replaced_between_two_connects_are_picked_up(self) -> None:
        trusted = str(Path(self.folder, "trusted.pem"))
        settings = TLSSettings(ca=trusted)
        port = self.serve(EchoFactory(), self.good())
        endpoint = tls(tcp(reactor, "127.0.0.1", port), "127.0.0.1", settings)
        context = context_factory("127.0.0.1", settings)
        for ca, received in ((self.certs.other_ca, b""), (self.certs.ca, GREETING)):
            copy(ca, trusted)
            client = await self.through(endpoint)
            self.assertEqual(client.received, received)
            factory = ClientMaker()
            reactor.connectSSL("127.0.0.1", port, factory, context)
            client = await factory.built
            await client.lost
            self.assertEqual(client.received, received)

    async def test_a_file_gone_between_two_connects_is_the_reason_of_the_failure(self) -> None:
        settings = TLSSettings(ca=str(Path(self.folder, "gone.pem")))
        port = self.serve(EchoFactory(), self.good())
        with self.assertRaises(LocalError):
            await self.by_endpoint("127.0.0.1", port, settings)
        client = await self.by_connect_ssl("127.0.0.1", port, settings)
        assert client.reason is not None
        self.assertIsInstance(client.reason.value, LocalError)

    async def test_a_string_is_verified_too_and_its_failures_are_told(self) -> None:
        """Twisted's own tls: has no settings of ours, and yet one clear line."""
        folder = Path(self.folder, "trust")
        folder.mkdir(exist_ok=True)
        copy(self.certs.ca, folder)
        for name, words in (
            ("good", None),
            ("self_signed", "could not be verified"),
            ("wrong_name", "is for another name"),
        ):
            cert, key = getattr(self.certs, name), getattr(self.certs, f"{name}_key")
            port = self.serve(EchoFactory(), ServerContext(cert, key))
            text = f"tls:127.0.0.1:{port}:trustRoots={folder}"
            client = await self.through(from_string(reactor, text))
            assert client.reason is not None
            self.assertEqual(client.received, b"" if words else GREETING)
            self.assertIn(words or "", explain_tls(client.reason) or "")

    async def test_what_is_refused_is_a_failure_of_the_link(self) -> None:
        self.assertIsInstance((await self.pin_refused()).value, LinkError)
