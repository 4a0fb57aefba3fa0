"""What every way of dialling must give a link, on real sockets.

A dialer's test case mixes `DialerConformance` into trial's `TestCase` and says
how to listen and how to dial. Trial fails a test that leaves a timer, a port
or a connection behind, which is half of what is checked here.
"""

from __future__ import annotations

import atexit
import fcntl
import shutil
import socket
import struct
import tempfile
import termios
from collections.abc import Callable
from functools import cache
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet import ssl
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from zope.interface import implementer

from nbclient import Backoff, FrameProtocol, ReconnectingFactory, State, framing
from nbclient.endpoints import tls_endpoint
from nbclient.errors import ConnectTimeout, SilenceTimeout
from nbclient.kernel.tcpinfo import tcp_socket
from tests.certs import Certs, make_certs

reactor: Any = _reactor
TICK = 0.005
QUICK = Backoff(initial=0.01, maximum=0.02, stable_after=0.01)


async def until(condition: Callable[[], Any], seconds: float = 12.0) -> None:
    """Wait for something to become true, looking every few milliseconds."""
    deadline = reactor.seconds() + seconds
    while not condition():
        if reactor.seconds() > deadline:
            raise AssertionError(f"still not true after {seconds} s")
        await deferLater(reactor, TICK, lambda: None)


async def turn() -> None:
    """Let the reactor run once."""
    await deferLater(reactor, 0, lambda: None)


@implementer(IHalfCloseableProtocol)
class ServerSide(Protocol):
    """One accepted connection."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.received = bytearray()
        self.gone = False

    def connectionMade(self) -> None:
        self.server.connections.append(self)
        self.server.greet(self)

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def readConnectionLost(self) -> None:
        if not self.server.answersLate:
            self.transport.loseConnection()  # type: ignore[union-attr]

    def writeConnectionLost(self) -> None:
        pass

    def connectionLost(self, reason: Any = None) -> None:
        self.gone = True


def arrived(connection: Any) -> int:
    """Bytes that this side's kernel has and nobody has read (FIONREAD; tcp(7), unix(7))."""
    handle = connection.socketTransport.getHandle()
    return int(struct.unpack("i", fcntl.ioctl(handle, termios.FIONREAD, b"\0" * 4))[0])


class Server(Factory):  # type: ignore[type-arg]
    """Remembers its connections; `greet` is what a test does with a new one."""

    noisy = False
    answersLate = False  # writes after the client's half-close, instead of closing too

    def __init__(self) -> None:
        self.connections: list[ServerSide] = []
        self.greet: Callable[[ServerSide], object] = lambda connection: None

    def buildProtocol(self, addr: Any) -> ServerSide:
        return ServerSide(self)

    @property
    def last(self) -> ServerSide:
        return self.connections[-1]


class Recorder(FrameProtocol):
    """Puts what happens on the factory, over all connections."""

    framing = framing.lines()

    def opening(self) -> Any:
        return self.factory.opening()  # type: ignore[union-attr]

    def frameReceived(self, frame: bytes) -> Any:
        self.factory.events.append(frame)  # type: ignore[union-attr]
        return self.factory.onFrame(frame)  # type: ignore[union-attr]

    def connectionLost(self, reason: Any = None) -> None:
        self.factory.events.append(reason.type)  # type: ignore[union-attr]


class Serving:
    """A server on loopback and links to it; a subclass says how to listen and to dial.

    :cvar secure: TLS: no half-close, and a handshake that may never come.
    """

    timeout = 8
    secure = False
    addCleanup: Any
    assertEqual: Any
    assertIs: Any
    assertLess: Any
    assertFalse: Any
    assertIn: Any
    assertNotIn: Any

    def listen(self, factory: Any, again: Any = None) -> Any:
        """Listen for connections of this kind; `again`: at the address of this port.

        :return: the listening port.
        """
        raise NotImplementedError

    def listenSilently(self, factory: Any) -> Any:
        """Listen at the same kind of address without speaking TLS."""
        raise NotImplementedError

    def dial(self, link: Any, port: Any) -> None:
        """Start the link towards the port."""
        raise NotImplementedError

    # -- helpers

    def serve(self, listen: Any = None) -> Server:
        self.server = Server()
        self.port = (listen or self.listen)(self.server)
        self.addCleanup(self._stopServing)
        return self.server

    def _stopServing(self) -> Any:
        for connection in self.server.connections:
            if not connection.gone:
                connection.transport.abortConnection()  # type: ignore[union-attr]
        return self.port.stopListening()

    def link(self, **options: Any) -> Any:
        options.setdefault("backoff", QUICK)
        link: Any = ReconnectingFactory.forProtocol(Recorder, **options)
        link.events = []
        link.opening = lambda: None
        link.onFrame = lambda frame: None
        self.addCleanup(link.stop)
        return link

    async def ready(self, **options: Any) -> Any:
        link = self.link(**options)
        self.dial(link, self.port)
        await link.whenReady()
        await until(lambda: self.server.connections)
        # `whenReady` resumes us inside the link's transition, where events are queued.
        await turn()
        return link

    def frames(self, link: Any) -> list[bytes]:
        return [event for event in link.events if isinstance(event, bytes)]

    async def writeUntilLost(self, link: Any) -> None:
        """A paused link hears of a reset only when it writes, and then not always at once."""
        while link.state is State.READY:
            link.connection.writeFrames([b"into the void"])
            await turn()
        self.assertIs(link.state, State.SETTLING)


@cache
def certs() -> Certs:
    """One set of certificates for this file."""
    folder = tempfile.mkdtemp(prefix="nbclient-certs-")
    atexit.register(shutil.rmtree, folder, True)
    return make_certs(folder)


class TCPServing(Serving):
    """Listens on loopback; remembers the number, to listen there again."""

    interface = "127.0.0.1"
    number = 0

    def listenTCP(self, factory: Any) -> Any:
        port = reactor.listenTCP(self.number, factory, interface=self.interface)
        self.number = port.getHost().port
        return port

    def listen(self, factory: Any, again: Any = None) -> Any:
        return self.listenTCP(factory)


class TLSServing(TCPServing):
    secure = True

    def listen(self, factory: Any, again: Any = None) -> Any:
        options = ssl.DefaultOpenSSLContextFactory(certs().good_key, certs().good)
        port = reactor.listenSSL(self.number, factory, options, interface=self.interface)
        self.number = port.getHost().port
        return port

    def listenSilently(self, factory: Any) -> Any:
        return self.listenTCP(factory)

    def trust(self) -> tls_endpoint.TLSSettings:
        return tls_endpoint.TLSSettings(ca=certs().ca)


class DialerConformance(Serving):
    """The tests."""

    async def test_frames_both_ways(self) -> None:
        self.serve().greet = lambda c: c.transport.write(b"hello\r\n")
        link = await self.ready()
        await link.send([b"one", b"two"])
        await until(lambda: self.server.last.received == b"one\ntwo\n")
        await until(lambda: link.events == [b"hello"])

    async def test_what_is_written_leaves_at_once(self) -> None:
        """Two sides that wait for each other's answers lose 40 ms a time to Nagle's algorithm."""
        self.serve()
        link = await self.ready()
        sock = tcp_socket(link.connection.socketTransport)
        if sock is not None:  # over TCP
            self.assertTrue(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    async def test_a_loss_is_counted_once_and_redialled(self) -> None:
        """Dialled, built and lost agree."""
        self.serve().greet = lambda c: c.transport.write(b"hello\n")
        link = await self.ready()
        for count in range(1, 4):
            await until(lambda count=count: len(self.frames(link)) == count)
            await link.whenReady()
            self.server.last.transport.abortConnection()  # type: ignore[union-attr]
            await until(lambda count=count: link.stats().losses == count)
        await link.whenReady()
        stats = link.stats()
        self.assertEqual((stats.dials, stats.connects, stats.losses), (4, 4, 3))

    async def test_a_refused_dial_is_counted_once_and_repeated(self) -> None:
        self.serve()
        await self.port.stopListening()
        link = self.link()
        self.dial(link, self.port)
        await until(lambda: link.stats().attempts >= 2)
        self.assertEqual(link.stats().connects, 0)
        self.assertLess(link.stats().dials - link.stats().attempts, 2)
        self.port = self.listen(self.server, again=self.port)
        await link.whenReady()

    async def test_the_peers_half_close_does_not_drop_what_we_had_queued(self) -> None:
        if self.secure:
            return
        size = 6_000_000
        server = self.serve()
        server.greet = lambda c: c.transport.pauseProducing()
        link = await self.ready()
        for _ in range(6):
            link.connection.sendFrame(b"x" * 999_999)
        first = server.last
        first.transport.loseWriteConnection()  # type: ignore[union-attr]
        await until(lambda: link.state is State.DROPPING)
        first.transport.resumeProducing()  # type: ignore[union-attr]
        await until(lambda: len(first.received) >= size)
        await until(lambda: link.stats().losses == 1)

    async def test_our_half_close_sends_everything_and_still_receives(self) -> None:
        server = self.serve()
        server.answersLate = True
        link = await self.ready()
        link.connection.sendFrame(b"question")
        link.connection.finishWriting()
        await until(lambda: server.last.received == b"question\n")
        server.last.transport.write(b"answer\n")  # type: ignore[union-attr]
        await until(lambda: link.events == [b"answer"])

    async def test_what_reached_this_host_comes_before_the_loss(self) -> None:
        """A write that fails makes Twisted forget what it has not read."""
        server = self.serve()
        link = await self.ready()
        token = link.connection.pauseReading()
        server.last.transport.write(b"0123456789abcde\n" * 2000)  # type: ignore[union-attr]
        await until(lambda: arrived(link.connection) >= 32_000)
        server.last.transport.abortConnection()  # type: ignore[union-attr]
        await until(lambda: server.last.gone)
        await self.writeUntilLost(link)
        self.assertEqual(link.events, [])
        token.resume()
        self.assertEqual(len(self.frames(link)), 2000)
        self.assertIs(link.events[-1], ConnectionLost)

    async def test_a_handshake_that_never_comes_ends_at_the_deadline(self) -> None:
        if not self.secure:
            return
        self.serve(self.listenSilently)
        link = self.link(connectTimeout=0.1)
        never = link.whenReady()
        never.addErrback(lambda _: None)
        self.dial(link, self.port)
        await until(lambda: link.stats().attempts >= 2)
        self.assertIs(link.lastReason.type, ConnectTimeout)
        self.assertEqual(link.stats().connects, 0)
        self.assertFalse(never.called)

    async def test_plain_text_where_tls_should_be_backs_off(self) -> None:
        if not self.secure:
            return
        self.serve(self.listenSilently).greet = lambda c: c.transport.write(b"220 hello\r\n" * 9)
        link = self.link()
        self.dial(link, self.port)
        await until(lambda: link.stats().attempts >= 2)
        self.assertEqual(link.stats().connects, 0)
        self.assertEqual(link.events[:1], [link.lastReason.type])

    async def test_silence_is_noticed(self) -> None:
        self.serve()
        link = await self.ready(silenceTimeout=0.05)
        await until(lambda: link.stats().losses)
        self.assertIs(link.lastReason.type, SilenceTimeout)

    # -- stop, in every state

    async def stopped(self, link: Any) -> None:
        await link.stop()
        self.assertIs(link.state, State.STOPPED)
        await until(lambda: all(c.gone for c in self.server.connections))

    async def test_stop_while_dialling(self) -> None:
        self.serve()
        link = self.link()
        self.dial(link, self.port)
        self.assertIs(link.state, State.CONNECTING)
        await self.stopped(link)

    async def test_stop_while_opening(self) -> None:
        self.serve()
        link = self.link()
        link.opening = Deferred
        self.dial(link, self.port)
        await until(lambda: link.state is State.OPENING)
        await self.stopped(link)

    async def test_stop_while_ready_sends_what_was_written(self) -> None:
        server = self.serve()
        link = await self.ready()
        await link.send([b"x" * 300_000])
        await self.stopped(link)
        self.assertEqual(len(server.last.received), 300_001)

    async def test_stop_with_a_stalled_peer_ends_at_the_deadline(self) -> None:
        server = self.serve()
        link = await self.ready(closeTimeout=0.1)
        server.last.transport.pauseProducing()  # type: ignore[union-attr]
        link.connection.writeFrames([b"x" * 1_000_000] * 8)
        await link.stop()
        self.assertIs(link.state, State.STOPPED)

    async def test_stop_while_dropping(self) -> None:
        server = self.serve()
        link = await self.ready(closeTimeout=0.1)
        server.last.transport.pauseProducing()  # type: ignore[union-attr]
        link.connection.writeFrames([b"x" * 1_000_000] * 8)
        link.reconnectNow()
        self.assertIs(link.state, State.DROPPING)
        await link.stop()
        self.assertIs(link.state, State.STOPPED)

    async def test_stop_while_settling(self) -> None:
        self.serve().greet = lambda c: c.transport.write(b"hello\n")
        link = self.link(closeTimeout=0.05)
        link.onFrame = lambda frame: Deferred()
        self.dial(link, self.port)
        await until(lambda: link.events)
        self.server.last.transport.abortConnection()  # type: ignore[union-attr]
        await until(lambda: self.server.last.gone)
        await self.writeUntilLost(link)
        await self.stopped(link)

    async def test_stop_while_waiting(self) -> None:
        self.serve()
        await self.port.stopListening()
        link = self.link(backoff=Backoff(initial=60), random=lambda: 1.0)
        self.dial(link, self.port)
        await until(lambda: link.state is State.WAITING)
        await self.stopped(link)

    async def test_stop_inside_a_ready_callback(self) -> None:
        self.serve()
        link = self.link()
        done: list[Any] = []
        link.whenReady().addCallback(lambda _: done.append(link.stop()))
        self.dial(link, self.port)
        await until(lambda: done)
        await done[0]
        await self.stopped(link)
