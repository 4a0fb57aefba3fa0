"""Through proxies on real sockets: a link behind one is a link like any other.

The proxy here is a doorman: it has the handshake with the client, written by
hand from the RFCs, and then the peer takes the very same connection over.
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import socket
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from twisted.internet import ssl
from twisted.internet.defer import gatherResults
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.utils import getProcessOutputAndValue
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import TestCase

from nbclient import LinkService, endpoints
from nbclient.connection.wording import explain
from nbclient.endpoints import tls_endpoint
from nbclient.endpoints.failover import alternatives
from nbclient.endpoints.proxy import Credentials, ProxyFailed, via_http_connect, via_socks5
from tests.certs import Certs, make_certs
from tests.conformance.dialers import DialerConformance, Server, reactor, until

LOGIN = Credentials("joe", "s:cret")
ROOT = str(Path(__file__).parent.parent.parent)


@cache
def certs() -> Certs:
    """One set of certificates for this file."""
    folder = tempfile.mkdtemp(prefix="nbclient-certs-")
    atexit.register(shutil.rmtree, folder, True)
    return make_certs(folder)


def over_tls(factory: Any) -> Any:
    """The server side of TLS around what a factory builds."""
    options = ssl.DefaultOpenSSLContextFactory(certs().good_key, certs().good)
    return TLSMemoryBIOFactory(options, False, factory)


class Doorman(Protocol):
    """The proxy's side of a handshake, a message at a time, then whatever the factory builds."""

    house: House

    def __init__(self) -> None:
        self.buffer = b""
        self.steps = self.script()
        self.wanted: re.Pattern[bytes] = next(self.steps)

    def script(self) -> Any:
        """Yields the pattern of the next message; is sent its match."""
        raise NotImplementedError

    def say(self, data: bytes) -> None:
        self.transport.write(data)  # type: ignore[union-attr]

    def dataReceived(self, data: bytes) -> None:
        self.buffer += data
        while match := self.wanted.match(self.buffer):
            self.buffer = self.buffer[match.end() :]
            try:
                self.wanted = self.steps.send(match)
            except StopIteration:
                self.leave()
                return

    def leave(self) -> None:
        transport: Any = self.transport
        peer = self.house.peers.buildProtocol(None)
        if hasattr(transport, "wrappedProtocol"):
            transport.wrappedProtocol = peer
        else:
            transport.protocol = peer
        peer.makeConnection(transport)
        if self.buffer:
            peer.dataReceived(self.buffer)


class SOCKS5Doorman(Doorman):
    def script(self) -> Any:
        hello = yield re.compile(b"\5.([\0\2]+)", re.DOTALL)
        if b"\2" in hello[1]:
            self.say(b"\5\2")
            login = yield re.compile(b"\1.(joe).(s:cret|wrong!)", re.DOTALL)
            self.say(b"\1\0" if login[2] == b"s:cret" else b"\1\1")
        else:
            self.say(b"\5\0")
        target = yield re.compile(b"\5\1\0\3.([a-z.]+)(..)", re.DOTALL)
        self.house.asked.append((target[1], int.from_bytes(target[2], "big")))
        verdict = b"\4" if target[1] in self.house.unreachable else self.house.verdict
        self.say(b"\5" + verdict + b"\0\1\0\0\0\0\0\0")
        if verdict != b"\0":
            yield re.compile(b"nothing more")


class HTTPDoorman(Doorman):
    def script(self) -> Any:
        request = yield re.compile(rb"CONNECT ([a-z.]+):(\d+) HTTP/1.1\r\n(?:.+\r\n)*\r\n")
        self.house.asked.append((request[1], int(request[2])))
        self.say(b"HTTP/1.0 200 Connection established\r\nProxy-agent: doorman\r\n\r\n")


class House(Factory):
    """Doormen of one kind in front of one factory of peers."""

    noisy = False

    def __init__(self, doorman: type[Doorman], peers: Any) -> None:
        self.doorman = doorman
        self.peers = peers
        self.asked: list[tuple[bytes, int]] = []
        self.verdict = b"\0"
        self.unreachable: set[bytes] = set()

    def buildProtocol(self, addr: Any) -> Doorman:
        built = self.doorman()
        built.house = self
        return built


class ProxyConformance(DialerConformance):
    """A link through a proxy, held to what every dialer is held to."""

    doorman: type[Doorman]
    number = 0

    def open(self, factory: Any) -> Any:
        port = reactor.listenTCP(self.number, House(self.doorman, factory), interface="127.0.0.1")
        self.number = port.getHost().port
        return port

    def listen(self, factory: Any, again: Any = None) -> Any:
        return self.open(over_tls(factory) if self.secure else factory)

    def listenSilently(self, factory: Any) -> Any:
        return self.open(factory)

    def proxy(self) -> Any:
        return endpoints.tcp(reactor, "127.0.0.1", self.number)

    def dial(self, link: Any, port: Any) -> None:
        LinkService(self.endpoint(), link).startService()

    def endpoint(self) -> Any:
        raise NotImplementedError


class ViaSOCKS5Tests(ProxyConformance, TestCase):
    doorman = SOCKS5Doorman

    def endpoint(self) -> Any:
        return via_socks5(self.proxy(), "feed.example", 5000, LOGIN)


class TLSViaHTTPConnectTests(ProxyConformance, TestCase):
    doorman = HTTPDoorman
    secure = True

    def endpoint(self) -> Any:
        inner = via_http_connect(self.proxy(), "localhost", 443)
        return tls_endpoint.tls(inner, "localhost", tls_endpoint.TLSSettings(ca=certs().ca))


class EndToEndTests(TestCase):
    timeout = 5
    get = DialerConformance.link

    def serve(self, doorman: type[Doorman], greeting: bytes = b"", secure: bool = False) -> House:
        server = Server()
        server.greet = lambda peer: peer.transport.write(greeting)  # type: ignore[union-attr]
        self.server = server
        self.house = House(doorman, server)
        port = reactor.listenTCP(
            0, over_tls(self.house) if secure else self.house, interface="127.0.0.1"
        )
        self.number = port.getHost().port
        self.addCleanup(port.stopListening)
        return self.house

    def proxy(self) -> Any:
        return endpoints.tcp(reactor, "127.0.0.1", self.number)

    def start(self, endpoint: Any) -> Any:
        link = self.get()
        LinkService(endpoint, link).startService()
        return link

    async def test_the_peers_greeting_comes_in_one_piece_with_the_proxys_answer(self) -> None:
        house = self.serve(SOCKS5Doorman, b"hello\n")
        link = self.start(via_socks5(self.proxy(), "feed.example", 5000))
        await until(lambda: link.events == [b"hello"])
        self.assertEqual(house.asked, [(b"feed.example", 5000)])

    async def test_a_link_through_a_proxy_that_is_reached_over_tls(self) -> None:
        """Its handshake is over by the time the link's protocol comes to listen for it."""
        self.serve(HTTPDoorman, b"hello\n", secure=True)
        outer = tls_endpoint.tls(self.proxy(), "localhost", tls_endpoint.TLSSettings(ca=certs().ca))
        link = self.start(via_http_connect(outer, "feed.example", 5000))
        await until(lambda: link.events == [b"hello"])
        await link.send([b"one"])
        await until(lambda: self.server.last.received == b"one\n")
        await link.stop()
        await until(lambda: self.server.last.gone)

    async def test_a_proxy_whose_certificate_is_refused_is_named(self) -> None:
        self.serve(HTTPDoorman, secure=True)
        outer = tls_endpoint.tls(
            self.proxy(), "localhost", tls_endpoint.TLSSettings(ca=certs().other_ca)
        )
        link = self.start(via_http_connect(outer, "feed.example", 5000))
        await until(lambda: link.lastReason is not None)
        said = explain(link.lastReason)
        self.assertIn("the connection to the proxy was lost: the server's certificate", said)
        self.assertEqual(self.house.asked, [])

    async def test_a_refusal_by_the_proxy_is_one_line_and_backs_off(self) -> None:
        house = self.serve(SOCKS5Doorman)
        house.verdict = b"\5"
        link = self.start(via_socks5(self.proxy(), "feed.example", 5000))
        await until(lambda: link.stats().attempts >= 2)
        self.assertIs(link.lastReason.type, ProxyFailed)
        said = "the proxy cannot connect to feed.example:5000: connection refused"
        self.assertEqual(explain(link.lastReason), said)
        self.assertEqual(link.stats().connects, 0)

    async def test_a_login_that_is_wrong_is_said(self) -> None:
        self.serve(SOCKS5Doorman)
        wrong = Credentials("joe", "wrong!")
        link = self.start(via_socks5(self.proxy(), "feed.example", 5000, wrong))
        await until(lambda: link.lastReason is not None)
        self.assertEqual(explain(link.lastReason), "the proxy refused the login")

    async def test_fail_over_to_a_peer_behind_a_proxy_and_back_once_the_first_speaks_tls(
        self,
    ) -> None:
        """What listens at the first peer's port and does not speak TLS is not the first peer."""
        self.serve(SOCKS5Doorman, b"from the second\n")
        first = Server()
        port = reactor.listenTCP(0, first, interface="127.0.0.1")
        number = port.getHost().port
        first.greet = lambda peer: peer.transport.write(b"plain text\n")  # type: ignore[union-attr]
        secure = tls_endpoint.tls(
            endpoints.tcp(reactor, "127.0.0.1", number),
            "localhost",
            tls_endpoint.TLSSettings(ca=certs().ca),
        )
        behind = via_socks5(self.proxy(), "feed.example", 5000)
        link = self.start(alternatives([secure, behind], failback=0.02, clock=reactor))
        await until(lambda: link.events[-1:] == [b"from the second"])
        await until(lambda: len(first.connections) >= 4)  # one attempt, and looks
        self.assertEqual(link.stats().readies, 1)
        await port.stopListening()
        first.greet = lambda peer: peer.transport.write(b"from the first\n")  # type: ignore[union-attr]
        port = reactor.listenTCP(number, over_tls(first), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        await until(lambda: link.events[-1:] == [b"from the first"])
        await until(lambda: self.server.last.gone)
        await link.stop()
        await until(lambda: all(peer.gone for peer in first.connections))


class CommandLineTests(TestCase):
    """`python -m nbclient` through a proxy, as people run it."""

    timeout = 30

    def setUp(self) -> None:
        self.server = Server()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def serve(
        self, doorman: type[Doorman], peers: Any = None, secure: bool = False
    ) -> tuple[House, str]:
        """A proxy, and its host and port as in a URL."""
        house = House(doorman, peers or self.server)
        outside = over_tls(house) if secure else house
        port = reactor.listenTCP(0, outside, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return house, f"127.0.0.1:{port.getHost().port}"

    def login(self, text: str) -> str:
        path = Path(self.folder) / text.replace(":", "-")
        path.write_text(f"{text}\n")
        path.chmod(0o600)
        return str(path)

    def run_client(self, *words: str) -> Any:
        """Its output, its log in lines, and its status."""
        done: Any = getProcessOutputAndValue(
            sys.executable,
            ["-m", "nbclient", *words],
            env={**os.environ, "PYTHONPATH": ROOT},
            path=ROOT,
        )
        return done.addCallback(lambda ended: (ended[0], ended[1].decode().splitlines(), ended[2]))

    async def test_the_next_peer_is_reached_through_the_proxy_too(self) -> None:
        house, where = self.serve(SOCKS5Doorman)
        house.unreachable = {b"feed.example"}

        def greet(peer: Any) -> None:
            peer.transport.write(b"hello\n")
            peer.transport.loseConnection()

        self.server.greet = greet
        words = ["feed.example", "5000", "--peer", "spare.example:5001", "--input", "none"]
        words += ["--retry-initial", "0.01", "--retries", "1", "--proxy", f"socks5://{where}"]
        out, log, status = await self.run_client(*words, "--proxy-auth", self.login("joe:s:cret"))
        self.assertEqual((out[:6], status), (b"hello\n", 3), log)
        self.assertEqual(house.asked[:2], [(b"feed.example", 5000), (b"spare.example", 5001)])
        said = "\n".join(log)
        self.assertIn(
            f"the proxy socks5://{where} cannot connect to feed.example:5000: host unreachable",
            said,
        )
        self.assertIn("delivery: written (handed to the system; what is acknowledged, the", said)
        self.assertIn("a dead peer would not be noticed, --dead-after ends at the proxy", said)

    async def test_a_check_of_tls_inside_a_tunnel(self) -> None:
        house, where = self.serve(HTTPDoorman, over_tls(self.server))
        words = ["localhost", "443", "--tls", "--tls-ca", str(certs().ca), "--check"]
        out, log, status = await self.run_client(*words, "--proxy", f"http://{where}")
        self.assertEqual(status, 0, log)
        self.assertEqual(house.asked, [(b"localhost", 443)])
        lines = out.decode().splitlines()
        self.assertEqual(lines[0], f"connected: {where}")
        self.assertIn(f"through: http://{where}, which has connected us", lines[1])
        self.assertIn("security: TLSv1.3", lines[2])

    async def test_a_check_through_a_proxy_that_is_reached_over_tls(self) -> None:
        """And it is verified: without its authority there is no connection."""
        house, where = self.serve(HTTPDoorman, secure=True)
        proxy = f"https://localhost:{where.partition(':')[2]}"
        words = ["localhost", "443", "--check", "-4", "--proxy", proxy]
        out, log, status = await self.run_client(*words, "--proxy-tls-ca", str(certs().ca))
        self.assertEqual(status, 0, log)
        self.assertEqual(house.asked, [(b"localhost", 443)])
        self.assertIn(f"through: {proxy}, which has", out.decode())
        self.assertIn("security to the proxy: TLSv1.3", out.decode())
        _, log, status = await self.run_client(*words)
        self.assertEqual(status, 3, log)
        said = f"the connection to the proxy {proxy} was lost: the server's certificate was refused"
        self.assertIn(said, log[-1])

    async def test_whatever_a_proxy_does_not_do_is_one_line(self) -> None:
        house, refusing = self.serve(SOCKS5Doorman)
        house.verdict = b"\2"
        with socket.create_server(("127.0.0.1", 0)) as taken:
            dead = f"127.0.0.1:{taken.getsockname()[1]}"
        wrong = ("--proxy-auth", self.login("joe:wrong!"))
        cases: dict[tuple[str, ...], str] = {
            (f"socks5://{refusing}", *wrong): f"the proxy socks5://{refusing} refused the login",
            (f"http://{dead}",): f"the proxy http://{dead} cannot be reached: connection refused",
            (f"socks5://{refusing}",): f"the proxy socks5://{refusing} cannot connect to"
            " feed.example:5000: connection not allowed by ruleset",
        }
        runs = [
            self.run_client("feed.example", "5000", "--input", "none", "--once", "--proxy", *words)
            for words in cases
        ]
        for said, (out, log, status) in zip(cases.values(), await gatherResults(runs), strict=True):
            self.assertEqual((out, status), (b"", 3), log)
            self.assertEqual(
                [line.partition(" ")[2] for line in log if said in line],
                [f"feed.example:5000: gave up after 1 attempt: {said}"],
                log,
            )
