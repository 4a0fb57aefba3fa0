"""The two ends of a connection in memory, and what dials: see `nbclient.testing`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from attrs import define, field
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.error import (
    ConnectingCancelledError,
    ConnectionAborted,
    ConnectionDone,
    ConnectionLost,
    ConnectionRefusedError,
    NotConnectingError,
    UserError,
)
from twisted.internet.interfaces import (
    IConsumer,
    IHalfCloseableProtocol,
    IHandshakeListener,
    IPushProducer,
    ISSLTransport,
    IStreamClientEndpoint,
    ITransport,
)
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

HIGH_WATER = 64 * 1024
"""Bytes unsent from which a transport pauses its producer, as Twisted's do."""

READ_SIZE = 64 * 1024
"""Most bytes handed to ``dataReceived`` at once, as Twisted's transports do."""


class Kernel:
    """What `MemoryTransport.getHandle` gives: the received bytes not yet read."""

    def __init__(self) -> None:
        self.queue = bytearray()
        self.ended = False

    def recv(self, size: int) -> bytes:
        """The next bytes; ``b""`` after the peer's end.

        :raises BlockingIOError: nothing there now.
        """
        if not self.queue and not self.ended:
            raise BlockingIOError
        data = bytes(self.queue[:size])
        del self.queue[:size]
        return data


@implementer(ITransport, IConsumer, IPushProducer)
class MemoryTransport:
    """The client's end of a pipe in memory."""

    def __init__(self, clock: Clock, protocol: Any, address: Any) -> None:
        self.clock = clock
        self.protocol = protocol
        self.peer = Peer(self)
        self.kernel = Kernel()
        self.unsent = bytearray()
        self.reading = True
        self.connected = True
        self.disconnecting = False
        self.aborted = False
        self.producer: Any = None
        self.paused = False
        self._address = address
        self._halfClosing = False
        self._halfClosed = False
        self._finSeen = False
        self._scheduled = False

    # -- ITransport, ITCPTransport

    def write(self, data: bytes) -> None:
        if not isinstance(data, bytes):
            raise TypeError(f"write takes bytes, not {type(data).__name__}")
        if not self.connected or self._halfClosed:
            return
        self.unsent += data
        if len(self.unsent) > HIGH_WATER and self.producer is not None:
            self.paused = True
            self.producer.pauseProducing()
        self._schedule()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        if self.connected:
            self.disconnecting = True
            self.reading = False
            self._schedule()

    def loseWriteConnection(self) -> None:
        self._halfClosing = True
        self._schedule()

    def abortConnection(self) -> None:
        if self.connected and not self.aborted:
            self.aborted = True
            self.clock.callLater(0, self.connectionLost, Failure(ConnectionAborted()))

    def getPeer(self) -> Any:
        return self._address

    def getHost(self) -> Any:
        return IPv4Address("TCP", "127.0.0.1", 50000)

    def getHandle(self) -> Kernel:
        return self.kernel

    # -- IConsumer, IPushProducer

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        if self.producer is not None:
            raise RuntimeError("a producer is registered already")
        if self.connected:
            self.producer = producer
        else:
            producer.stopProducing()

    def unregisterProducer(self) -> None:
        self.producer = None
        self._schedule()

    def pauseProducing(self) -> None:
        self.reading = False

    def resumeProducing(self) -> None:
        if self.connected and not self.disconnecting:
            self.reading = True
            self._schedule()

    def stopProducing(self) -> None:
        self.loseConnection()

    # -- the reactor's part

    def connectionLost(self, reason: Failure) -> None:
        """The reactor's last word; forgets whatever the kernel still holds."""
        if not self.connected:
            return
        self.connected = False
        producer, self.producer = self.producer, None
        if producer is not None:
            producer.stopProducing()
        protocol, self.protocol = self.protocol, None
        self.peer.clientGone(aborted=reason.check(ConnectionAborted) is not None)
        protocol.connectionLost(reason)
        self.peer.lost(reason)

    def _schedule(self) -> None:
        if not self._scheduled and self.connected:
            self._scheduled = True
            self.clock.callLater(0, self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        if self.connected and not self.aborted:
            self._send()
        if self.connected and not self.aborted and self.reading:
            self._receive()

    def _send(self) -> None:
        if self.unsent and self.peer.resets:
            # As Twisted does it: what has been received and not read is not looked at.
            self.connectionLost(Failure(ConnectionLost()))
            return
        room = len(self.unsent) if self.peer.window is None else self.peer.window
        sent, self.unsent = self.unsent[:room], self.unsent[room:]
        if sent:
            self.peer.take(bytes(sent))
        if not self.unsent:
            self._sentAll()

    def _sentAll(self) -> None:
        if self.producer is not None and self.paused:
            self.paused = False
            self.producer.resumeProducing()
        elif self.disconnecting:
            self.connectionLost(Failure(ConnectionDone()))
        elif self._halfClosing and not self._halfClosed:
            self._halfClosed = True
            self.peer.finished = True
            if IHalfCloseableProtocol.providedBy(self.protocol):
                self.protocol.writeConnectionLost()

    def _receive(self) -> None:
        if self.kernel.queue:
            data = self.kernel.recv(READ_SIZE)
            self.protocol.dataReceived(data)
            self._schedule()
        elif self.peer.resets:
            self.connectionLost(Failure(ConnectionLost()))
        elif self.kernel.ended and not self._finSeen:
            self._finSeen = True
            if IHalfCloseableProtocol.providedBy(self.protocol):
                self.protocol.readConnectionLost()
            else:
                self.connectionLost(Failure(ConnectionDone()))

    def arrived(self) -> None:
        """The peer has done something."""
        self._schedule()


@implementer(ISSLTransport)
class MemoryTLS:
    """A TLS layer that encrypts nothing, over a `MemoryTransport`.

    It has what distinguishes TLS for a protocol: the transport is there before
    the handshake is done, and there is no half-close.
    """

    def __init__(self, protocol: Any) -> None:
        self.wrappedProtocol = protocol
        self.transport: Any = None
        self.handshaken = False

    def __getattr__(self, name: str) -> Any:
        if name == "loseWriteConnection":
            raise AttributeError("TLS has no half-close")
        return getattr(self.transport, name)

    def makeConnection(self, transport: Any) -> None:
        self.transport = transport
        self.wrappedProtocol.makeConnection(self)

    def dataReceived(self, data: bytes) -> None:
        self.wrappedProtocol.dataReceived(data)

    def connectionLost(self, reason: Failure) -> None:
        self.wrappedProtocol.connectionLost(reason)

    def handshake(self) -> None:
        """The handshake is done."""
        self.handshaken = True
        if IHandshakeListener.providedBy(self.wrappedProtocol):
            self.wrappedProtocol.handshakeCompleted()


class Peer:
    """The server's end of a pipe, moved by the test.

    :ivar received: what the client sent and this end has read.
    :ivar window: how many bytes more this end takes; None: any number.
    :ivar finished: the client has half-closed or closed.
    :ivar aborted: the client has aborted.
    :ivar resets: this end has reset the connection.
    """

    def __init__(self, transport: MemoryTransport) -> None:
        self.transport = transport
        self.received = b""
        self.window: int | None = None
        self.finished = False
        self.aborted = False
        self.resets = False
        self.tls: MemoryTLS | None = None
        self.onReceived: Callable[[Peer], object] | None = None
        self._lost: list[Callable[[Failure], None]] = []

    @property
    def connected(self) -> bool:
        """Whether the client's transport is still up."""
        return self.transport.connected

    def send(self, data: bytes) -> None:
        """Data for the client; it arrives on the next turn."""
        self.transport.kernel.queue += data
        self.transport.arrived()

    def close(self) -> None:
        """FIN: this end sends no more, and goes on reading."""
        self.transport.kernel.ended = True
        self.transport.arrived()

    def reset(self) -> None:
        """RST: the connection is dead in both directions."""
        self.resets = True
        self.transport.arrived()

    def stall(self) -> None:
        """Read no more."""
        self.window = 0

    def unstall(self) -> None:
        """Read whatever comes."""
        self.window = None
        self.transport.arrived()

    def finishHandshake(self) -> None:
        """Complete the TLS handshake of a connection that is ``secure``."""
        if self.tls is None:
            raise ValueError("this connection was not accepted with secure=True")
        self.tls.handshake()

    def take(self, data: bytes) -> None:
        """Called by the transport with what the client sent."""
        self.received += data
        if self.window is not None:
            self.window -= len(data)
        if self.onReceived is not None:
            self.onReceived(self)

    def clientGone(self, aborted: bool) -> None:
        """Called by the transport at its end."""
        self.finished = True
        self.aborted = aborted

    def whenLost(self, callback: Callable[[Failure], None]) -> None:
        """Call `callback` with the reason once the client's transport has reported its end."""
        self._lost.append(callback)

    def lost(self, reason: Failure) -> None:
        """Called by the transport after the protocol knows."""
        for callback in self._lost:
            callback(reason)


@define
class ScriptedPeer:
    """Answers by a list of steps: ``("receive", bytes)``, ``("send", bytes)``, ``("close",)``
    and ``("reset",)``.

    A ``receive`` step waits for exactly these bytes; anything else raises
    `AssertionError` in the test that made the client send it.
    """

    peer: Peer
    steps: list[tuple[Any, ...]]
    _seen: int = 0

    def __attrs_post_init__(self) -> None:
        self.peer.onReceived = lambda _: self.advance()
        self.advance()

    @property
    def done(self) -> bool:
        """Whether every step was taken."""
        return not self.steps

    def advance(self) -> None:
        """Take every step that can be taken now."""
        while self.steps and self._step(*self.steps[0]):
            self.steps.pop(0)

    def _step(self, verb: str, *data: bytes) -> bool:
        if verb != "receive":
            getattr(self.peer, verb)(*data)
            return True
        wanted = data[0]
        got = self.peer.received[self._seen : self._seen + len(wanted)]
        if not wanted.startswith(got):
            raise AssertionError(f"expected {wanted!r}, received {got!r}")
        if got != wanted:
            return False
        self._seen += len(wanted)
        return True


@define
class Attempt:
    """One attempt to connect, waiting for the test's decision.

    :ivar secure: made by `FakeReactor.connectSSL`: what is accepted speaks TLS.
    :ivar pending: not decided yet.
    """

    clock: Clock
    factory: Any
    address: Any
    _succeeded: Callable[[Any], None] = field(repr=False)
    _failed: Callable[[Failure], None] = field(repr=False)
    secure: bool = False
    pending: bool = True
    _lost: Callable[[Failure], None] = field(default=lambda _: None, repr=False)
    _transport: Any = field(default=None, repr=False)

    def accept(self, secure: bool = False) -> Peer:
        """The connection is made.

        :param secure: under a `MemoryTLS`, whose handshake is still to come; always
            so where the attempt was made by `FakeReactor.connectSSL`.
        :return: the server's end of it.
        """
        self._decide()
        secure = secure or self.secure
        protocol = self.factory.buildProtocol(self.address)
        top = MemoryTLS(protocol) if secure else protocol
        transport = self._transport = MemoryTransport(self.clock, top, self.address)
        transport.peer.tls = top if secure else None
        transport.peer.whenLost(self._lost)
        top.makeConnection(transport)
        self._succeeded(protocol)
        return transport.peer

    def refuse(self, reason: Exception | None = None) -> None:
        """The connection is not made: refused, unless another reason is given."""
        self._decide()
        self._failed(Failure(ConnectionRefusedError() if reason is None else reason))

    def disconnect(self) -> None:
        """The client closes the connection that was made; called by the dialer."""
        self._transport.loseConnection()

    def withdraw(self, reason: Exception) -> None:
        """The client gave up waiting; called by the dialer."""
        self._decide()
        self._failed(Failure(reason))

    def _decide(self) -> None:
        if not self.pending:
            raise ValueError("this attempt was decided, or withdrawn, already")
        self.pending = False


class FakeConnector:
    """What `FakeReactor.connectTCP` returns; keeps Twisted's rules on when to dial."""

    def __init__(
        self, reactor: FakeReactor, factory: Any, address: Any, secure: bool = False
    ) -> None:
        self.reactor = reactor
        self.factory = factory
        self.state = "disconnected"
        self.attempt: Attempt | None = None
        self._address = address
        self._secure = secure
        self._started = False

    def connect(self) -> None:
        """Dial again.

        :raises RuntimeError: the last attempt or connection is not over.
        """
        if self.state != "disconnected":
            raise RuntimeError("can't connect in this state")
        self.state = "connecting"
        if not self._started:
            self.factory.doStart()
            self._started = True
        self.attempt = Attempt(
            self.reactor, self, self._address, lambda _: None, self._connectFailed, self._secure
        )
        self.attempt._lost = self._connectionLost
        self.reactor.attempts.append(self.attempt)
        self.factory.startedConnecting(self)

    def buildProtocol(self, address: Any) -> Any:
        self.state = "connected"
        return self.factory.buildProtocol(address)

    def stopConnecting(self) -> None:
        """Withdraw the attempt.

        :raises NotConnectingError: there is none.
        """
        if self.state != "connecting" or self.attempt is None:
            raise NotConnectingError("we're not trying to connect")
        self.attempt.withdraw(UserError())

    def disconnect(self) -> None:
        """Withdraw the attempt, or close the connection; whichever there is."""
        if self.state == "connecting":
            self.stopConnecting()
        elif self.state == "connected" and self.attempt is not None:
            self.attempt.disconnect()

    def getDestination(self) -> Any:
        return self._address

    def _connectFailed(self, reason: Failure) -> None:
        self.state = "disconnected"
        self.factory.clientConnectionFailed(self, reason)
        self._stopped()

    def _connectionLost(self, reason: Failure) -> None:
        self.state = "disconnected"
        self.factory.clientConnectionLost(self, reason)
        self._stopped()

    def _stopped(self) -> None:
        if self.state == "disconnected":
            self.factory.doStop()
            self._started = False


class FakeReactor(Clock):
    """A `Clock` that dials: `connectTCP`, `connectSSL` and `connectUNIX` record their attempts.

    :ivar attempts: every `Attempt`, oldest first.
    """

    def __init__(self) -> None:
        super().__init__()
        self.attempts: list[Attempt] = []

    def connectTCP(
        self, host: str, port: int, factory: Any, timeout: float = 30, bindAddress: Any = None
    ) -> FakeConnector:
        return self._dial(factory, IPv4Address("TCP", host, port))

    def connectSSL(
        self,
        host: str,
        port: int,
        factory: Any,
        contextFactory: Any,
        timeout: float = 30,
        bindAddress: Any = None,
    ) -> FakeConnector:
        """As `connectTCP`; the handshake is the test's, too: `Peer.finishHandshake`."""
        return self._dial(factory, IPv4Address("TCP", host, port), secure=True)

    def connectUNIX(
        self, address: str, factory: Any, timeout: float = 30, checkPID: bool = False
    ) -> FakeConnector:
        return self._dial(factory, UNIXAddress(address))

    def _dial(self, factory: Any, address: Any, secure: bool = False) -> FakeConnector:
        connector = FakeConnector(self, factory, address, secure)
        connector.connect()
        return connector

    def turn(self, turns: int = 10) -> None:
        """Let what is due happen, a few times over, without time passing."""
        for _ in range(turns):
            self.advance(0)

    def pending(self) -> list[str]:
        """The timers that are set, in words: a test's last look."""
        return [str(call) for call in self.getDelayedCalls()]


@implementer(IStreamClientEndpoint)
class FakeEndpoint:
    """A client endpoint whose attempts the test decides.

    :ivar attempts: every `Attempt`, oldest first.
    """

    name = "fake:1"

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.attempts: list[Attempt] = []

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        """Record an attempt; cancelling the Deferred withdraws it."""
        address = IPv4Address("TCP", "192.0.2.1", 1)

        def cancel(_: Deferred[Any]) -> None:
            attempt.withdraw(ConnectingCancelledError(address))

        def failed(reason: Failure) -> None:
            connected.errback(reason)
            protocolFactory.doStop()

        connected: Deferred[Any] = Deferred(cancel)
        protocolFactory.doStart()
        attempt = Attempt(self.clock, protocolFactory, address, connected.callback, failed)
        attempt._lost = lambda _: protocolFactory.doStop()
        self.attempts.append(attempt)
        return connected


def every_split(data: bytes) -> Iterator[list[bytes]]:
    """`data` whole, byte by byte, and cut in two at every place."""
    yield [data]
    yield [data[i : i + 1] for i in range(len(data))]
    for cut in range(1, len(data)):
        yield [data[:cut], data[cut:]]
