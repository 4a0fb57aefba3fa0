"""One connection: frames both ways over one transport, and nothing lost in between.

`FrameProtocol` needs a `framing` and a transport, nothing of its factory: it
works under `nbclient.ReconnectingFactory`, `Factory.forProtocol`,
`connectProtocol`, `ClientService` and on the server side. How frames reach the
application is in `nbclient.connection.receiver`; here are the way out, the opening, and
the beginning and the end of the connection.

Three faults of the stock classes shape this file (each has its test):

* A failed write makes Twisted discard what the kernel had already received.
  The transport's ``connectionLost`` is therefore hooked, and the socket read
  to its end first (`_transportLost`).
* A connection's end may come while the application still works on its frames.
  The application's own ``connectionLost`` is held back until the last frame
  was delivered (`_finishLoss`).
* A protocol that declares two interfaces loses one of them behind an endpoint.
  This class declares `IHalfCloseableProtocol` only; the TLS handshake is
  listened for on the transport's wrapper (`makeConnection`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IHandshakeListener,
    ISSLTransport,
)
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import alsoProvides, implementer

from nbclient.connection.connecting import ConnectedToItself, is_itself
from nbclient.connection.interface import LinkObserver
from nbclient.connection.overrides import Result, deferred
from nbclient.connection.receiver import NOTHING, FrameReceiver, PauseToken
from nbclient.connection.wording import explain
from nbclient.delivery.ledger import Ledger
from nbclient.errors import (
    CallbackFailed,
    ConnectionClosed,
    FrameError,
    LocalError,
    NBClientError,
    OpeningFailed,
)
from nbclient.framing import Framing
from nbclient.framing.base import check_framing, no_frame, not_carried
from nbclient.kernel.tcpinfo import no_delay, received, sent_within, supported, tcp_socket

DRAIN_LIMIT = 64 * 1024 * 1024
"""Most bytes read from a socket after its loss, a security limit. The kernel's
own receive buffer is far smaller; only a peer that is still sending gets here."""

ANSWER_LIMIT = 1024 * 1024
"""Most bytes that callbacks may write to a full transport before reading stops,
a security limit: a peer that asks and does not read must not fill our memory.
What is written outside of a callback does not count: to stop reading for our own
bulk would be a deadlock with a peer that echoes."""

CATCH_UP_LIMIT = 8 * 1024 * 1024
"""Most bytes read from a socket before a deadline is judged; Linux' receive buffers grow
to 6 MiB unless told otherwise."""

DRAIN_CHUNK = 256 * 1024

_BYTES = {bytes}


@implementer(IHalfCloseableProtocol)
class FrameProtocol(FrameReceiver):
    """A connection that speaks in frames.

    Override `frameReceived` (or, for batches, `framesReceived`), and as needed
    `opening`, `connectionReady`, `tailReceived`, `connectionMade` and
    `connectionLost`; none of them needs an up-call. Each may be ``async`` or return
    a Deferred; an exception or a failed Deferred from any of them is logged once and
    aborts the connection. Frames wait for `frameReceived` and `framesReceived`, and
    the link for `opening`; nothing waits for the others, and what they are still
    at when the connection has ended is cancelled. Any other ``async`` method in place
    of one of this class is refused when its class is made.

    :cvar framing: how bytes become frames; required.
    :cvar wiretap: called with ``"in"`` or ``"out"`` and the bytes as they pass.
    :ivar framesIn: frames decoded.
    :ivar framesOut: frames written.
    :ivar bytesIn: bytes received.
    :ivar bytesOut: bytes written.
    :ivar readingHeld: somebody holds a `PauseToken`.
    :ivar secure: the transport speaks TLS.
    :ivar up: the transport can be used: connected and, under TLS, handshake done.
    :ivar aborted: this side has aborted the transport.
    :ivar writable: the transport would rather have more than less; never while a
        read is handled.
    :ivar wanted: the link asks to be told once it is writable again.
    :ivar wrote: called after each write, where the link wants to know.
    :ivar ledger: keeps account of what is written, where the link wants it.
    :ivar finishing: the peer has closed; this side closes once everything
        received was delivered.
    :ivar sending: the peer has closed its side, and the link has more for it: this side
        does not close yet.
    :ivar settled: the application has been told everything, the loss included.
    """

    framesOut = 0
    bytesOut = 0
    aborted = False
    wanted = False
    ledger: Ledger | None = None
    wrote: Callable[[], object] | None = None

    _full = False  # the transport told us to pause
    _fullToken: PauseToken | None = None
    _mute = False  # it was said that an answer cannot be sent
    _answered = 0  # bytes written from callbacks since the transport was full
    _cork: list[bytes] | None = None

    _raw: Any = None
    _secure = False
    up = False
    _peerClosed = False
    sending = False
    _writeClosed = False
    _tlsGone = False  # the peer has said goodbye: TLS takes nothing more
    _closed = False  # the transport was told to close
    _open = False  # connected, and none of these: it takes more

    # -- what applications override ------------------------------------------

    def opening(self) -> Result:
        """Say what must be said before the link is ready; nothing by default.

        May use `sendFrame` and ``await self.nextFrame()``. The connection is
        ready when the result is; a failure ends it as a failed attempt.
        """
        return None

    def connectionReady(self) -> Result:
        """The opening is done; nothing by default."""
        return None

    def tailReceived(self, tail: bytes) -> Result:
        """The connection ended inside a frame: the bytes of it that arrived."""
        (self.log.warn if self._link.isNews("inside a frame") else self.log.debug)(
            "{link}: the connection ended inside a frame; {size} bytes of it: {shown!r}",
            link=self._name(),
            size=len(tail),
            shown=tail[:40],
        )
        return None

    # -- sending ---------------------------------------------------------------

    def sendFrame(self, frame: bytes) -> None:
        """Send one frame on this connection only; it is never sent again.

        :raises FrameError: the framing cannot carry it; nothing was written or counted.
        :raises TypeError: it is no bytes (a bytearray and a memoryview are none); as before.
        :raises ConnectionClosed: there is no connection yet, this side has closed, or the
            connection is lost. Of a
            callback that lets it pass, that is no fault: the frames that arrived before
            the loss are delivered all the same. Where only the peer has closed, the
            frame is sent: it may still read.
        """
        if not self._open or self.wrote is not None or self.wiretap is not None:
            self.sendFrames((frame,))  # what is rare is looked at there
            return
        # What follows is `writeFrames` for one frame, without the calls.
        if frame.__class__ is not bytes and not isinstance(frame, bytes):
            raise no_frame(frame)
        try:
            data = self.framing.image(frame)
        except FrameError:
            raise
        except BaseException as error:
            raise not_carried((frame,), error) from error
        if data.__class__ is not bytes:
            self._mustBeBytes((frame,), data)
        size = len(data)
        self.framesOut += 1
        self.bytesOut += size
        ledger = self.ledger
        if ledger is not None:
            ledger.written += size
        if self._cork is not None:
            self._cork.append(data)
        elif self._busy:
            self._cork = [data]
        else:
            transport: Any = self.transport
            if transport is not self._raw or not _joins(transport, data):
                transport.write(data)

    def sendFrames(self, frames: Sequence[bytes]) -> None:
        """Send frames on this connection only; see `sendFrame`."""
        before = self.bytesOut
        self.writeFrames(frames)
        if self._full and (self._busy or self._awaiting):
            self._boundAnswers(self.bytesOut - before)

    def _boundAnswers(self, size: int) -> None:
        self._answered += size
        if self._answered > ANSWER_LIMIT and self._fullToken is None:
            # Answers to a peer that does not read: take no more questions.
            self._fullToken = self.pauseReading()

    def _sendRaw(self, data: bytes) -> None:
        if self._writeClosed or self._closed or self.losing:
            return  # what an ending connection would answer is of no use any more
        if self.ledger is not None:
            self.ledger.wrote(len(data))
        self._write(data)
        if self._full:
            self._boundAnswers(len(data))

    def writeFrames(self, frames: Sequence[bytes], outbox: bool = False) -> None:
        """The one way out: both lanes, this one and the link's `outbox`, end here."""
        if self.transport is None:
            raise ConnectionClosed("there is no connection yet: nothing can be sent")
        if self._writeClosed or self._closed:
            raise ConnectionClosed("this side has closed the connection: nothing more can be sent")
        if self.losing or self._tlsGone:
            raise ConnectionClosed("the connection is lost: nothing more can be sent")
        if not outbox and {*map(type, frames)} != _BYTES:
            _refuseOthers(frames)  # some framings would take an array, and send it wrong
        framing = self.framing
        try:
            data = framing.image(frames[0]) if len(frames) == 1 else framing.joined(frames)
        except FrameError:
            raise
        except BaseException as error:
            raise not_carried(frames, error) from error
        if data.__class__ is not bytes:
            self._mustBeBytes(frames, data)
        self.framesOut += len(frames)
        if self.ledger is None:
            pass
        elif outbox:
            self.ledger.wrote_frames(
                len(frames), len(data), lambda: map(len, framing.encode(frames))
            )
        else:
            self.ledger.wrote(len(data))
        self._write(data)

    def _mustBeBytes(self, frames: Sequence[object], data: object) -> None:
        """Before anything is counted: what the transport refuses was not sent."""
        if not isinstance(data, bytes):
            made = f"the framing makes {type(data).__name__} of a frame, not bytes"
            raise not_carried(frames, TypeError(made))

    def _write(self, data: bytes) -> None:
        self.bytesOut += len(data)
        if self.wiretap is not None:
            self._tap("out", data)
        if self._cork is not None:
            self._cork.append(data)
        elif self._busy:
            # Cork: what is written while one read is handled leaves in one piece.
            self._cork = [data]
        else:
            transport: Any = self.transport
            if transport is not self._raw or not _joins(transport, data):
                transport.write(data)
        if self.wrote is not None:
            self.wrote()

    @property
    def ending(self) -> bool:
        """Whether one of the two sides has ended it: nothing is to be begun on it any more.

        So while it is on its way out already, and after our own half-close.
        """
        return self._closed or self._writeClosed or self._isOver

    @property
    def full(self) -> bool:
        """Whether the transport has more than it can send: what is written now only waits."""
        return self._full

    @property
    def socketTransport(self) -> Any:
        """The transport with the socket, below TLS and any wrapper; None when it is gone."""
        return self._raw

    def finishWriting(self) -> None:
        """Half-close: the peer sees the end once everything written has left.

        Under TLS, which knows no half-close, this does nothing.
        """
        if self.transport is None:
            return
        if self.secure or self._closed or self._writeClosed or self._gone is not None:
            return
        self._uncork()
        self._writeClosed = True
        self._open = self.writable = False
        transport = self._transport()
        # A paused producer would keep Twisted from ever shutting the socket down.
        transport.unregisterProducer()
        transport.loseWriteConnection()
        self._notFull()  # nobody will say so any more

    # -- receiving -------------------------------------------------------------

    # -- ending ----------------------------------------------------------------

    def loseConnection(self) -> None:
        """Close once everything written has left; no further frame is delivered.

        Before the connection is made there is nothing to close.
        """
        if self.transport is None:
            return
        self._stopListening()
        self._close()
        self._nothingComes()

    def abortConnection(self) -> None:
        """Close at once; what was not sent is lost, no further frame is delivered."""
        if self.transport is None:
            return
        self._stopListening()
        self.abandonTransport()
        self._nothingComes()

    def finish(self) -> None:
        """Deliver what was received, send what was written, then close."""
        self.finishing = True
        self._run()

    def abandonTransport(self) -> None:
        """Abort the transport; frames already received are still delivered."""
        if self._gone is not None or self.transport is None:
            return
        if not self._closed:
            self._closed = True
            self._open = self.writable = False
            self._link.connectionClosing(self)
        self._cork = None
        self.aborted = True
        self._transport(plain=True).abortConnection()

    def catchUp(self) -> None:
        """Read what has reached this host before a deadline is judged by it.

        One turn of the reactor reads 64 KiB, and a standstill leaves more. Nothing is read
        where this side holds back reading.
        """
        if self._raw is not None and not (self._busy or self.readingHeld or self._closed):
            self._drain(self._raw, CATCH_UP_LIMIT)

    @property
    def answered(self) -> bool:
        """Whether the peer has sent anything at all, as far as the kernel can tell."""
        sock = tcp_socket(self._raw)
        return sock is not None and bool(supported()) and received(sock)

    def spokeWithin(self, seconds: float) -> bool:
        """Whether something left this host so lately; False where the kernel cannot tell.

        After a standstill: what left only then could not be answered in time.
        """
        sock = tcp_socket(self._raw)
        return sock is not None and bool(supported()) and sent_within(sock, seconds)

    def sendingFailed(self, reason: Failure) -> None:
        """What was to be sent could not be, and not for want of a connection: end this one."""
        self._logFailure("sending", reason)
        self._failed(Failure(CallbackFailed(f"sending failed: {explain(reason)}")))

    def discard(self) -> None:
        """Deliver nothing more of what was received; settle now if the transport is gone."""
        self._stopListening()
        self._nothingComes()
        self._run()

    def forsake(self) -> None:
        """Take the connection for lost although the transport never said so."""
        self._stopListening()
        self._connectionGone(Failure(ConnectionAborted()))
        self._nothingComes()

    # -- what the link calls -----------------------------------------------------

    def join(self, link: LinkObserver) -> None:
        """Belong to a link, which decides from now on when to open and to close."""
        self._link = link

    # -- the opening -------------------------------------------------------------

    def open(self) -> None:
        """Run the application's opening."""
        try:
            opening = deferred(self.opening())
        except BaseException:
            self._openingFailed(Failure())
            return
        if opening is None:
            self._openingDone(None)
        else:
            self._opening = opening
            opening.addCallbacks(self._openingDone, self._openingFailed)

    def endOpening(self) -> None:
        """Its time is up: what comes yet is not its own any more."""
        opening, self._opening = self._opening, None
        if opening is not None:
            self._failWaiters()
            self._link.afterwards(opening.cancel)

    def announce(self) -> None:
        """The link takes this connection for ready."""
        self._guarded(self.connectionReady)

    def _openingDone(self, _: object) -> None:
        if self._opening is not None:  # each attribute costs memory on each link
            self._opening = None
        if not (self._deaf or self.settled):
            self._link.connectionOpened(self)
            self._link.afterwards(self._release)  # behind what begins when the link is ready

    def _openingFailed(self, reason: Failure) -> None:
        self._opening = None
        if self._deaf or self.aborted or self._gone is not None:
            return
        if reason.check(NBClientError):
            self._failed(reason)
        else:
            self._logFailure("opening", reason)
            self._failed(Failure(OpeningFailed(f"the opening failed: {explain(reason)}")))

    # -- what the transport calls ------------------------------------------------

    def makeConnection(self, transport: Any) -> None:
        """Hook the transport, then take it; see the head of this module."""
        self._layOut()
        self.transport = transport
        try:
            self._hook(transport)
            self._decode(framing_of(self))
            self._link.transportMade(self)
        except BaseException as error:
            self._cannotBegin(error)
            return
        if is_itself(self._raw):
            self._failed(Failure(ConnectedToItself()))
            return
        self._guarded(self.connectionMade)
        if not self.secure:
            self.handshakeCompleted()

    def _cannotBegin(self, error: BaseException) -> None:
        """Nothing can be received: a connection that fails, with its loss reported as any other."""
        why = explain(Failure(error))
        if isinstance(error, NBClientError):
            (self.log.error if self._link.isNews("cannot begin") else self.log.debug)(
                "{link}: {why}", link=self._name(), why=why
            )
        else:
            self._logFailure("framing", Failure(error))
            why = f"the connection could not begin: {why}"
        self._stopListening()
        self._link.connectionUseless(self, Failure(CallbackFailed(why)))
        self.loseConnection()

    def _hook(self, transport: Any) -> None:
        self.connected = 1
        tls = self._descend(transport)
        self.secure = tls is not None
        if self._raw is not None:
            self._raw.connectionLost = self._transportLost
            if self.secure:
                self._raw.loseConnection = self._tlsOver
            no_delay(self._raw)
        transport.loseConnection = self.loseConnection
        transport.abortConnection = self.abortConnection
        # By name, not through `__dict__`: an object whose dict was asked for takes five
        # times as long for each of its attributes, those of the application among them.
        self.connectionLost = self._connectionGone  # type: ignore[method-assign, assignment]
        transport.registerProducer(self, True)
        if tls is not None:
            listener = tls.wrappedProtocol
            if not hasattr(listener, "handshakeCompleted"):  # a wrapper that does not pass it on
                listener.handshakeCompleted = self.handshakeCompleted
            alsoProvides(listener, IHandshakeListener)

    def _layOut(self) -> None:
        """Set what any traffic will set.

        CPython keeps the attributes of objects of a class in a common layout, which only
        the first of them shape. Where those have seen no traffic when the others are made,
        each of the others gets a dictionary of its own with its first frame: 0.8 KB.
        """
        self.bytesIn = self.framesIn = self.bytesOut = self.framesOut = self._next = 0
        self._open = self.writable = True
        self._busy = False
        self._chunk, self._batch, self._running = b"", NOTHING, NOTHING
        self._iterator = self._cork = None

    def _descend(self, transport: Any) -> Any:
        """Find the transport with the socket, below TLS and any wrapper.

        :return: the TLS layer on the way, or None; of two the nearer one, which is the
            peer's: the other's may be a proxy's.
        """
        tls = None
        while hasattr(transport, "wrappedProtocol"):
            if tls is None and ISSLTransport.implementedBy(type(transport)):
                tls = transport
            transport = transport.transport
        if hasattr(transport, "getHandle") and hasattr(transport, "protocol"):
            self._raw = transport
        return tls

    def handshakeCompleted(self) -> None:
        """The transport can be used: at once in plain, after the handshake under TLS.

        OpenSSL reports a renegotiation the same way; only the first counts.
        """
        if not self.up and not self._closed:
            self.up = True
            if self.readingHeld:
                self._holdTransport(True)
            self._link.connectionUp(self)

    def readConnectionLost(self) -> None:
        """The peer's FIN: what it sent is delivered, what we wrote is sent."""
        self._peerClosed = True
        self._link.peerClosed(self)

    def _tlsOver(self, *args: Any) -> None:
        """TLS has ended (the peer's close_notify, or a fault) and closes the socket.

        What it wrote before still leaves, but while a producer is registered Twisted
        waits for more, and nothing more can come.
        """
        raw = self._raw
        raw.__dict__.pop("loseConnection", None)
        raw.unregisterProducer()
        raw.loseConnection(*args)
        if self.up and not self._closed:
            self._tlsGone = self.finishing = True
            self._open = self.writable = False
            self._link.connectionClosing(self)  # before anybody is told
            self.finish()

    def writeConnectionLost(self) -> None:
        """Our half-close is done."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is over, after its last frame; nothing by default."""

    def pauseProducing(self) -> None:
        """The transport is full. Twisted says so again at every further write."""
        self._full = True
        self._seeWritable()

    def resumeProducing(self) -> None:
        """The transport has sent everything."""
        self._notFull()
        self._link.connectionWritable(self)

    def stopProducing(self) -> None:
        """The transport is going; its loss is reported separately."""

    def _transportLost(self, reason: Failure) -> None:
        """Read the socket to its end, then let the transport go."""
        raw, self._raw = self._raw, None
        if raw is None:  # Twisted's abort had the hook in a timer already
            return
        del raw.connectionLost
        raw.__dict__.pop("loseConnection", None)
        self.losing = True
        self._open = self.writable = False
        try:
            if not self._deaf:
                self._drain(raw, DRAIN_LIMIT)
            self._link.transportClosing(self)
        finally:
            raw.connectionLost(reason)

    def _drain(self, raw: Any, left: int) -> None:
        # From the bottom: TLS, or a wrapper, may be between the socket and us.
        receive = raw.protocol.dataReceived
        # After startTLS the handle is that of TLS; the socket is still there.
        handle = getattr(raw, "socket", None) or raw.getHandle()
        while left > 0 and not (self._deaf or (self.readingHeld and not self.losing)):
            try:
                data = handle.recv(DRAIN_CHUNK)
            except OSError:  # empty, or the error that ended the connection
                return
            if not data:
                return
            left -= len(data)
            if self.losing:  # before the application finds that it cannot answer this
                self._link.connectionClosing(self)
            receive(data)

    def _connectionGone(self, reason: Failure) -> None:
        if self._gone is not None:
            return
        self._gone = reason
        self.losing = True
        self._open = self.writable = False
        self.connected = 0
        self._cork = None
        self._unhookTransport()
        self._link.transportLost(self, reason)
        self._notFull()
        self._run()

    def _notFull(self) -> None:
        self._full = False
        self._seeWritable()
        self._answered = 0
        token, self._fullToken = self._fullToken, None
        if token is not None:
            token.resume()

    def _seeWritable(self) -> None:
        # What is written during a read is only corked, which would bound nothing.
        shut = self._closed or self._writeClosed or self._tlsGone
        self._open = not (self._full or shut or self.losing)
        self.writable = self._open and not self._busy

    def _unhookTransport(self) -> None:
        """Give the transport its own methods back, and drop the reference cycle."""
        if self.transport is not None:  # else the application kept it from us
            self._transport(plain=True)
        raw, self._raw = self._raw, None
        if raw is not None:
            raw.__dict__.pop("connectionLost", None)
            raw.__dict__.pop("loseConnection", None)

    # -- delivery ----------------------------------------------------------------

    def _holdTransport(self, hold: bool) -> None:
        # Not before the handshake, which needs reading to go on.
        if self.up and self._gone is None and not (self._peerClosed or self._closed):
            (self._transport().pauseProducing if hold else self._transport().resumeProducing)()

    def _sendAnswer(self, frame: bytes) -> None:
        if self.losing:  # an answer to what arrived before the loss: as lost as one sent then
            return
        try:
            self.sendFrame(frame)
        except (FrameError, ConnectionClosed) as error:
            if not self._mute:  # once a connection: the peer could fill the log
                self._mute = True
                (self.log.error if self._link.isNews("no answer") else self.log.debug)(
                    "{link}: no answer: {why}", link=self._name(), why=str(error)
                )

    def _afterRun(self) -> None:
        if self._cork is not None:
            self._uncork()
        if self._turnEnds is not None:
            self._turnEnds = None
        self.writable = self._open
        if self._afterwards is not None and not self._yielded:
            self._readOver()
        if self.wanted and self._open:
            self.wanted = False
            self._link.connectionWritable(self)
        if self.finishing or self._gone is not None:
            self._afterEnd()

    def _afterEnd(self) -> None:
        """Nothing more comes from the peer: end with the last frame."""
        if not self._deaf:
            self._noMoreComes()
        if self._gone is not None:
            if not self.settled and (self._deaf or not self._pending):
                self._finishLoss()
        elif self.finishing and not self._pending:
            if self.sending:
                self._failWaiters()
            else:
                self._close()

    # -- closing -----------------------------------------------------------------

    def _close(self) -> None:
        if self._closed or self.losing:
            return
        self._uncork()
        self._closed = True
        self._open = self.writable = False
        self._link.connectionClosing(self)
        transport = self._transport(plain=True)
        # With a producer registered, TLS never closes and TCP may hang.
        transport.unregisterProducer()
        transport.loseConnection()
        if self.secure and self.readingHeld:
            # TLS closes when the peer's close has been read; we no longer listen.
            transport.resumeProducing()

    def _uncork(self) -> None:
        cork, self._cork = self._cork, None
        if not cork:
            return
        data = cork[0] if len(cork) == 1 else b"".join(cork)
        transport: Any = self.transport
        if transport is self._raw and not self.losing:
            data = _unsent(transport, data)
        if data:
            transport.write(data)

    def _finishLoss(self) -> None:
        self.settled = True
        reason = cast(Failure, self._gone)
        self._guarded(self._endTail)
        self._failWaiters()
        opening, self._opening = self._opening, None
        if opening is not None:
            self._guarded(opening.cancel)
        self._cancelHooks()
        # Whatever a forsaken transport still reports is known by now.
        self.connectionLost = _lossIsKnown  # type: ignore[method-assign, assignment]
        self._guarded(type(self).connectionLost, self, reason)
        self._link.connectionSettled(self)

    def _endTail(self) -> Result:
        tail = b"" if self._deaf or self._decoder.fault is not None else self._decoder.eof()
        return self.tailReceived(tail) if tail else None

    def _transport(self, plain: bool = False) -> Any:
        """The transport; with `plain`, freed of our own hooks first."""
        if plain:
            for name in ("loseConnection", "abortConnection"):
                self.transport.__dict__.pop(name, None)
        return self.transport

    # -- faults --------------------------------------------------------------------


def framing_of(protocol: Any) -> Framing:
    """The framing of a connection, or of a class of connections.

    :raises LocalError: it has none, or what it has is no `nbclient.framing.Framing`.
    """
    name = getattr(protocol, "__name__", None) or type(protocol).__name__
    framing = getattr(protocol, "framing", None)
    if framing is None:
        raise LocalError(f"{name} has no framing: set the class attribute")
    check_framing(f"{name}.framing", framing)
    return cast(Framing, framing)


def _refuseOthers(frames: Sequence[object]) -> None:
    """Refuse what is no bytes, whatever the framing would make of it."""
    for frame in frames:
        if not isinstance(frame, bytes):
            raise no_frame(frame)


def _unsent(transport: Any, data: bytes) -> bytes:
    """What the kernel did not take at once.

    ``write`` would wait for the reactor's next turn and cost three system calls
    more. Only where nothing waits in the transport, so that order is kept, and
    never under TLS. A failure is left to ``write``, which reports it as a loss.
    """
    try:
        if transport._tempDataBuffer or transport.dataBuffer or transport.TLS:
            return data
    except AttributeError:  # another kind of transport
        return data
    sent = transport.writeSomeData(data)
    return data[sent:] if isinstance(sent, int) else data


def _joins(transport: Any, data: bytes) -> bool:
    """Put data to what waits in the transport for the reactor's next turn, if it may.

    Where something waits already, and there is room, all that ``write`` would do
    besides is to find that out. Never under TLS.
    """
    waiting = getattr(transport, "_tempDataBuffer", None)
    if not waiting or transport.TLS or type(data) is not bytes:
        return False
    size = transport._tempDataLen + len(data)
    if size + len(transport.dataBuffer) > transport.bufferSize:
        return False  # full: let the transport say so
    waiting.append(data)
    transport._tempDataLen = size
    return True


def _lossIsKnown(reason: Failure) -> None:
    """In the place of ``connectionLost``, once that was called."""
