"""One connection: bytes to frames, frames to bytes, and nothing lost in between.

`FrameProtocol` needs a `framing` and a transport, nothing of its factory: it
works under `nbclient.ReconnectingFactory`, `Factory.forProtocol`,
`connectProtocol`, `ClientService` and on the server side.

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

import re
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, ClassVar, Literal, cast

from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IHandshakeListener,
    ISSLTransport,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import alsoProvides, implementer

from nbclient.errors import (
    CallbackFailed,
    ConnectionClosed,
    LocalError,
    NBClientError,
    OpeningFailed,
)
from nbclient.framing import Decoder, Framing

DRAIN_LIMIT = 64 * 1024 * 1024
"""Most bytes read from a socket after its loss, a security limit. The kernel's
own receive buffer is far smaller; only a peer that is still sending gets here."""

ANSWER_LIMIT = 1024 * 1024
"""Most bytes that callbacks may write to a full transport before reading stops,
a security limit: a peer that asks and does not read must not fill our memory.
What is written outside of a callback does not count: to stop reading for our own
bulk would be a deadlock with a peer that echoes."""

DRAIN_CHUNK = 256 * 1024

Result = Awaitable[Any] | None
"""What a callback may return: what is not None pauses reading until it is done."""

NOTHING: list[bytes] = []  # shared and never changed: most links have nothing pending


class LinkObserver:
    """What a connection tells the link it belongs to; this one is its own link.

    Without a link a connection opens as soon as it is up, closes when the
    peer has closed, and aborts on a fault.
    """

    def connectionUp(self, connection: Any) -> None:
        """Transport connected and, under TLS, handshake done."""
        connection.open()

    def connectionOpened(self, connection: Any) -> None:
        """The application's opening is done."""
        connection.announce()

    def connectionClosing(self, connection: Any) -> None:
        """This side has begun to close."""

    def peerClosed(self, connection: Any) -> None:
        """The peer will send no more; it may still read."""
        connection.finish()

    def connectionFailed(self, connection: Any, reason: Failure) -> None:
        """This connection is of no more use; nothing more is delivered from it."""
        connection.abortConnection()

    def connectionWritable(self, connection: Any) -> None:
        """The transport has room again."""

    def transportLost(self, connection: Any, reason: Failure) -> None:
        """The transport is gone; frames may still be on their way to the application."""

    def connectionSettled(self, connection: Any) -> None:
        """The application has been told everything, the loss included."""

    def readingHeld(self, connection: Any, held: bool) -> None:
        """This side stopped reading (True) or reads again (False)."""


ALONE = LinkObserver()


class PauseToken:
    """Holds back reading until `resume`; several may be out at once."""

    __slots__ = ("_owner",)

    def __init__(self, owner: FrameProtocol) -> None:
        self._owner: FrameProtocol | None = owner

    def resume(self) -> None:
        """Give the token back; a second call does nothing."""
        owner, self._owner = self._owner, None
        if owner is not None:
            owner._tokenReturned()


@implementer(IHalfCloseableProtocol)
class FrameProtocol(Protocol):
    """A connection that speaks in frames.

    Override `frameReceived` (or, for batches, `framesReceived`), and as needed
    `opening`, `connectionReady`, `tailReceived`, `connectionMade` and
    `connectionLost`; none of them needs an up-call. An exception or a failed
    Deferred from any of them is logged once and aborts the connection.

    :cvar framing: how bytes become frames; required.
    :cvar wiretap: called with ``"in"`` or ``"out"`` and the bytes as they pass.
    :ivar framesIn: frames decoded.
    :ivar framesOut: frames written.
    :ivar bytesIn: bytes received.
    :ivar bytesOut: bytes written.
    :ivar readingHeld: somebody holds a `PauseToken`.
    :ivar finishing: the peer has closed; this side closes once everything
        received was delivered.
    :ivar settled: the application has been told everything, the loss included.
    """

    framing: Framing
    wiretap: Callable[[Literal["in", "out"], bytes], None] | None = None

    framesIn = 0
    framesOut = 0
    bytesIn = 0
    bytesOut = 0
    readingHeld = False
    finishing = False
    settled = False

    log: ClassVar[Logger] = Logger(namespace="nbclient")

    # Everything below is a class attribute until it differs: ten thousand quiet
    # links share the values. What is pending, oldest first: the rest of what the
    # loop over `frameReceived` was at (`_rest` from `_restNext`), the batch being
    # handed over (`_batch` from `_next`, out of `_chunk`), chunks not yet decoded.
    _link: LinkObserver = ALONE
    _heard: Callable[[bool], None] | None = None
    _decoder: Decoder
    _skippedBefore = 0
    _chunk = b""
    _chunks: deque[bytes] | None = None
    _batch = NOTHING
    _next = 0
    _rest = NOTHING
    _restNext = 0
    _iterator: Any = None
    _running = NOTHING

    _busy = False  # inside _run
    _deaf = False  # we closed: no more frames for the application
    _pauses = 0
    _awaiting = False  # for a callback's Deferred
    _full = False  # the transport told us to pause
    _fullToken: PauseToken | None = None
    _answered = 0  # bytes written from callbacks since the transport was full
    _cork: list[bytes] | None = None
    _takers: deque[Deferred[bytes]] | None = None
    _lookers: list[tuple[re.Pattern[bytes], Deferred[re.Match[bytes]]]] | None = None
    _opening: Deferred[Any] | None = None

    _raw: Any = None
    _secure = False
    _up = False
    _ready = False
    _peerClosed = False
    _writeClosed = False
    _closed = False  # the transport was told to close
    _gone: Failure | None = None

    # -- what applications override ------------------------------------------

    def opening(self) -> Result:
        """Say what must be said before the link is ready; nothing by default.

        May use `sendFrame` and ``await self.nextFrame()``. The connection is
        ready when the result is; a failure ends it as a failed attempt.
        """
        return None

    def connectionReady(self) -> None:
        """The opening is done; nothing by default."""

    def frameReceived(self, frame: bytes) -> Result:
        """One frame, in order. A Deferred or coroutine pauses reading until done."""
        raise NotImplementedError("override frameReceived or framesReceived")

    def framesReceived(self, frames: list[bytes]) -> Result:
        """The frames completed by one read; by default `frameReceived` for each."""
        if self._pauses or self._restNext < len(self._rest):
            # An override that hands on piecemeal, and an earlier piece was interrupted.
            self._rest = [*self._rest[self._restNext :], *frames]
            self._restNext = 0
        elif not self._deaf:
            self._each(frames, 0)
        return None

    def tailReceived(self, tail: bytes) -> None:
        """The connection ended inside a frame: the bytes of it that arrived."""
        self.log.warn(
            "{link}: the connection ended inside a frame; {size} bytes of it: {shown!r}",
            link=self._name(),
            size=len(tail),
            shown=tail[:40],
        )

    # -- sending ---------------------------------------------------------------

    def sendFrame(self, frame: bytes) -> None:
        """Send one frame on this connection only; it is never sent again.

        :raises FrameError: the framing cannot carry it; nothing was written.
        :raises ConnectionClosed: this side has closed. Where the peer has, or the
            connection is lost, the frame goes nowhere.
        """
        self.sendFrames((frame,))

    def sendFrames(self, frames: Sequence[bytes]) -> None:
        """Send frames on this connection only; see `sendFrame`."""
        before = self.bytesOut
        self.writeFrames(frames)
        if self._busy and self._full:
            self._answered += self.bytesOut - before
            if self._answered > ANSWER_LIMIT and self._fullToken is None:
                # Answers to a peer that does not read: take no more questions.
                self._fullToken = self.pauseReading()

    def writeFrames(self, frames: Sequence[bytes]) -> None:
        """The one way out: both lanes, this and the link's outbox, end here."""
        if self._writeClosed or (self._closed and self._gone is None):
            raise ConnectionClosed("this side has closed the connection: nothing more can be sent")
        images = self.framing.encode(frames)
        if self._gone is not None:
            # The application still works on what arrived before the loss, and
            # may answer it; that answer is as lost as one written just before.
            return
        data = images[0] if len(images) == 1 else b"".join(images)
        self.framesOut += len(images)
        self.bytesOut += len(data)
        if self.wiretap is not None:
            self.wiretap("out", data)
        if self._busy:
            # Cork: what is written while one read is handled leaves in one piece.
            if self._cork is None:
                self._cork = []
            self._cork.append(data)
        else:
            self._transport().write(data)

    @property
    def writable(self) -> bool:
        """Whether the transport would rather have more than less."""
        return not (self._full or self._closed or self._writeClosed or self._gone is not None)

    def finishWriting(self) -> None:
        """Half-close: the peer sees the end once everything written has left.

        Under TLS, which knows no half-close, this does nothing.
        """
        if self._secure or self._closed or self._writeClosed or self._gone is not None:
            return
        self._uncork()
        self._writeClosed = True
        transport = self._transport()
        # A paused producer would keep Twisted from ever shutting the socket down.
        transport.unregisterProducer()
        transport.loseWriteConnection()

    # -- receiving -------------------------------------------------------------

    def nextFrame(self) -> Deferred[bytes]:
        """The next frame, which then does not reach `framesReceived`.

        :return: fails with `ConnectionClosed` where none comes; may be cancelled.
        """
        if self.settled or self._deaf:
            return fail(ConnectionClosed("no more frames come on this connection"))
        if self._takers is None:
            self._takers = deque()
        taken: Deferred[bytes] = Deferred(self._takers.remove)
        self._takers.append(taken)
        self._halt()
        return taken

    def expect(self, pattern: re.Pattern[bytes]) -> Deferred[re.Match[bytes]]:
        """The first match of `pattern` in a frame yet to come.

        It only looks: every frame still reaches `framesReceived`.

        :return: fails with `ConnectionClosed` where none comes; may be cancelled.
        """
        if self.settled or self._deaf:
            return fail(ConnectionClosed("no more frames come on this connection"))
        seen: Deferred[re.Match[bytes]] = Deferred(self._forgetLooker)
        self._lookers = [*(self._lookers or ()), (pattern, seen)]
        self._halt()
        return seen

    def setFraming(self, framing: Framing) -> None:
        """Change the framing between two frames.

        What was received behind the last frame taken goes to the new decoder.
        """
        self._halt()
        untaken = self._rest[self._restNext :] + self._batch[self._next :]
        self._rest = self._batch = NOTHING
        self._restNext = self._next = 0
        chunk, self._chunk = self._chunk, b""
        rest = self._decoder.unread(chunk, untaken) if chunk else self._decoder.eof()
        self._skippedBefore = self.skipped
        self.framing = framing
        self._decoder = framing.decoder()
        self.framesIn -= len(untaken)
        if rest:
            self._hold().appendleft(rest)
            self._run()

    def pauseReading(self) -> PauseToken:
        """Deliver no further frame until the token's `resume`.

        :return: one of any number of tokens; reading goes on when all are back.
        """
        self._pauses += 1
        self._halt()
        if not self.readingHeld:
            self.readingHeld = True
            self._link.readingHeld(self, True)
            if self._gone is None and not self._peerClosed:
                self._transport().pauseProducing()
        return PauseToken(self)

    # -- ending ----------------------------------------------------------------

    def loseConnection(self) -> None:
        """Close once everything written has left; no further frame is delivered."""
        self._stopListening()
        self._close()

    def abortConnection(self) -> None:
        """Close at once; what was not sent is lost, no further frame is delivered."""
        self._stopListening()
        self.abandonTransport()

    def finish(self) -> None:
        """Deliver what was received, send what was written, then close."""
        self.finishing = True
        self._run()

    def abandonTransport(self) -> None:
        """Abort the transport; frames already received are still delivered."""
        if self._gone is not None:
            return
        if not self._closed:
            self._closed = True
            self._link.connectionClosing(self)
        self._cork = None
        self._transport(plain=True).abortConnection()

    def discard(self) -> None:
        """Deliver nothing more of what was received; settle now if the transport is gone."""
        self._stopListening()
        self._run()

    def forsake(self) -> None:
        """Take the connection for lost although the transport never said so."""
        self._stopListening()
        self._connectionGone(Failure(ConnectionAborted()))

    # -- what the link calls -----------------------------------------------------

    def join(self, link: LinkObserver) -> None:
        """Belong to a link, which decides from now on when to open and to close."""
        self._link = link

    def watch(self, heard: Callable[[bool], None]) -> None:
        """Have `heard` called at each chunk: with True where it ended or began a frame."""
        self._heard = heard

    @property
    def unfinished(self) -> bool:
        """Whether the peer has begun a frame and not finished it."""
        return self._decoder.begun

    @property
    def skipped(self) -> int:
        """Faulty frames passed over."""
        return self._skippedBefore + self._decoder.skipped

    # -- the opening -------------------------------------------------------------

    def open(self) -> None:
        """Run the application's opening."""
        try:
            self._opening = _deferred(self.opening())
        except Exception:
            self._openingFailed(Failure())
            return
        if self._opening is None:
            self._openingDone(None)
        else:
            self._opening.addCallbacks(self._openingDone, self._openingFailed)

    def announce(self) -> None:
        """The link takes this connection for ready."""
        self._ready = True
        self._guarded(self.connectionReady)

    def _openingDone(self, _: object) -> None:
        self._opening = None
        if not (self._deaf or self.settled):
            self._link.connectionOpened(self)

    def _openingFailed(self, reason: Failure) -> None:
        self._opening = None
        if self._deaf or self._gone is not None:
            return
        if reason.check(NBClientError):
            self._failed(reason)
        else:
            self._logFailure("opening", reason)
            self._failed(Failure(OpeningFailed(f"the opening failed: {reason.value!r}")))

    # -- what the transport calls ------------------------------------------------

    def makeConnection(self, transport: Any) -> None:
        """Hook the transport, then take it; see the head of this module."""
        if getattr(self, "framing", None) is None:
            raise LocalError(f"{type(self).__name__} has no framing: set the class attribute")
        self._decoder = self.framing.decoder()
        self.transport = transport
        self.connected = 1
        self._secure = ISSLTransport.providedBy(transport)
        self._raw = transport.transport if self._secure else transport
        if hasattr(self._raw, "getHandle"):
            self._raw.connectionLost = self._transportLost
        transport.loseConnection = self.loseConnection
        transport.abortConnection = self.abortConnection
        self.__dict__["connectionLost"] = self._connectionGone
        transport.registerProducer(self, True)
        if self._secure:
            alsoProvides(transport.wrappedProtocol, IHandshakeListener)
        self._guarded(self.connectionMade)
        if not self._secure:
            self.handshakeCompleted()

    def handshakeCompleted(self) -> None:
        """The transport can be used: at once in plain, after the handshake under TLS.

        OpenSSL reports a renegotiation the same way; only the first counts.
        """
        if not self._up and not self._closed:
            self._up = True
            self._link.connectionUp(self)

    def dataReceived(self, data: bytes) -> None:
        """Bytes from the peer; decoded at once unless something is pending."""
        if self._deaf:
            return
        self.bytesIn += len(data)
        if self.wiretap is not None:
            self.wiretap("in", data)
        if self._busy or self._pauses or self._chunks:
            self._hold().append(data)
        else:
            self._run(data)

    def readConnectionLost(self) -> None:
        """The peer's FIN: what it sent is delivered, what we wrote is sent."""
        self._peerClosed = True
        self._link.peerClosed(self)

    def writeConnectionLost(self) -> None:
        """Our half-close is done."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is over, after its last frame; nothing by default."""

    def pauseProducing(self) -> None:
        """The transport is full. Twisted says so again at every further write."""
        self._full = True

    def resumeProducing(self) -> None:
        """The transport has sent everything."""
        self._full = False
        self._answered = 0
        token, self._fullToken = self._fullToken, None
        if token is not None:
            token.resume()
        self._link.connectionWritable(self)

    def stopProducing(self) -> None:
        """The transport is going; its loss is reported separately."""

    def _transportLost(self, reason: Failure) -> None:
        """Read the socket to its end, then let the transport go."""
        raw, self._raw = self._raw, None
        if raw is None:  # Twisted's abort had the hook in a timer already
            return
        del raw.connectionLost
        if not self._deaf:
            self._drain(raw)
        raw.connectionLost(reason)

    def _drain(self, raw: Any) -> None:
        receive = self._transport().dataReceived if self._secure else self.dataReceived
        left = DRAIN_LIMIT
        handle = raw.getHandle()
        while left > 0 and not self._deaf:
            try:
                data = handle.recv(DRAIN_CHUNK)
            except OSError:  # empty, or the error that ended the connection
                return
            if not data:
                return
            left -= len(data)
            receive(data)

    def _connectionGone(self, reason: Failure) -> None:
        if self._gone is not None:
            return
        self._gone = reason
        self.connected = 0
        self._cork = None
        self._unhookTransport()
        self._link.transportLost(self, reason)
        self._full = False
        token, self._fullToken = self._fullToken, None
        if token is not None:
            token.resume()
        self._run()

    def _unhookTransport(self) -> None:
        """Give the transport its own methods back, and drop the reference cycle."""
        for name in ("loseConnection", "abortConnection"):
            self.transport.__dict__.pop(name, None)
        if self._raw is not None:
            self._raw.__dict__.pop("connectionLost", None)

    # -- delivery ----------------------------------------------------------------

    def _run(self, data: bytes | None = None) -> None:
        """Hand over what is there, until nothing is left or somebody pauses."""
        if self._busy:
            return
        self._busy = True
        try:
            while self._deliverSome(data):
                data = None
        except Exception:
            self._callbackFailed(Failure())
        finally:
            self._busy = False
        self._uncork()
        self._afterRun()

    def _deliverSome(self, data: bytes | None) -> bool:
        """One step of `_run`: the oldest of what is pending. False: nothing more now."""
        if self._pauses or self._deaf:
            return False
        if self._restNext < len(self._rest):
            self._handRest()
            return True
        if self._next < len(self._batch):
            self._handOver()
            return True
        self._chunk = b""
        self._batch, self._next = NOTHING, 0
        if self._decoder.fault is not None:
            self._failed(Failure(self._decoder.fault))
            return False
        if data is None:
            if not self._chunks:
                return False
            data = self._chunks.popleft()
        decoder = self._decoder
        if self._heard is None:
            frames = decoder.feed(data)
        else:
            begun = decoder.begun
            frames = decoder.feed(data)
            self._heard(bool(frames) or not begun)
        self.framesIn += len(frames)
        self._chunk, self._batch = data, frames
        return True

    def _handOver(self) -> None:
        """The batch to the application, or its next frame where somebody waits for one."""
        frames = self._batch
        if self._takers or self._lookers:
            frame = frames[self._next]
            self._next += 1
            if self._taken(frame):
                return
            frames = [frame]
        else:
            if self._next:
                frames = frames[self._next :]
            self._next = len(self._batch)
        result = self.framesReceived(frames)
        if result is not None:
            self._await(result)

    def _handRest(self) -> None:
        """Go on with an interrupted loop; whoever waits for one frame comes first."""
        frames, start = self._rest, self._restNext
        if self._takers or self._lookers:
            self._restNext += 1
            if not self._taken(frames[start]):
                self._each(frames[start : start + 1], 0)
        else:
            self._rest, self._restNext = NOTHING, 0
            self._each(frames, start)

    def _taken(self, frame: bytes) -> bool:
        """Offer a frame to `nextFrame`, else to `expect`; whether the former took it."""
        if self._takers:
            self._takers.popleft().callback(frame)
            return True
        for looker in tuple(self._lookers or ()):
            match = looker[0].search(frame)
            if match is not None:
                self._forgetLooker(looker[1])
                looker[1].callback(match)
        return False

    def _each(self, frames: list[bytes], start: int) -> None:
        """`frameReceived` for each frame from `start`.

        This is the hot loop. ``filter(None, map(...))`` hands frames over
        without work of our own per frame: the body runs only for a callback
        that returned something. Whoever pauses, closes or changes the framing
        in a callback moves the iterator to its end (`_halt`), so the loop ends
        exactly there; both moves are O(1), so that a flood of tiny frames
        cannot make them quadratic.
        """
        self._iterator = iterator = cast(Any, iter(frames))
        self._running = frames
        if start:
            iterator.__setstate__(start)
        for result in filter(None, map(self.frameReceived, iterator)):
            self._await(result)
        if self._iterator is iterator:
            self._iterator = None
            self._running = NOTHING

    def _halt(self) -> None:
        """End the loop of `_each` after the frame it is at; the rest is kept."""
        iterator, self._iterator = self._iterator, None
        if iterator is None:
            return
        frames, self._running = self._running, NOTHING
        left = iterator.__length_hint__()
        iterator.__setstate__(len(frames))
        if left:
            # Either the loop ran over all that was pending, or over a single frame.
            self._rest, self._restNext = frames, len(frames) - left

    def _await(self, result: Result) -> None:
        """Pause until a callback's Deferred or coroutine is done."""
        deferred = cast("Deferred[Any]", _deferred(result))
        waiting = _Waiting(self)
        deferred.addCallbacks(waiting.done, waiting.failed)
        waiting.pauseUnlessDone()

    def _tokenReturned(self) -> None:
        self._pauses -= 1
        if self._pauses:
            return
        self._run()
        if not self._pauses and self.readingHeld:
            self.readingHeld = False
            self._link.readingHeld(self, False)
            if self._gone is None and not (self._peerClosed or self._closed):
                self._transport().resumeProducing()

    def _hold(self) -> deque[bytes]:
        if self._chunks is None:
            self._chunks = deque()
        return self._chunks

    def _forgetLooker(self, deferred: Deferred[re.Match[bytes]]) -> None:
        self._lookers = [each for each in self._lookers or () if each[1] is not deferred]

    @property
    def _pending(self) -> bool:
        """Whether something received is still on its way to the application."""
        if self._awaiting:
            return True
        return not self._deaf and bool(
            self._chunks or self._restNext < len(self._rest) or self._next < len(self._batch)
        )

    def _afterRun(self) -> None:
        if self._gone is not None:
            if not self.settled and (self._deaf or not self._pending):
                self._finishLoss()
        elif self.finishing and not self._pending:
            self._close()

    # -- closing -----------------------------------------------------------------

    def _stopListening(self) -> None:
        """From our close on, no frame: drop what is pending, and end the loop."""
        self._deaf = True
        self._halt()
        self._rest = self._batch = NOTHING
        self._restNext = self._next = 0
        self._chunks = None
        self._chunk = b""

    def _close(self) -> None:
        if self._closed or self._gone is not None:
            return
        self._uncork()
        self._closed = True
        self._link.connectionClosing(self)
        transport = self._transport(plain=True)
        # With a producer registered, TLS never closes and TCP may hang.
        transport.unregisterProducer()
        transport.loseConnection()

    def _uncork(self) -> None:
        cork, self._cork = self._cork, None
        if cork:
            self._transport().write(cork[0] if len(cork) == 1 else b"".join(cork))

    def _finishLoss(self) -> None:
        self.settled = True
        reason = cast(Failure, self._gone)
        if not self._deaf and self._decoder.fault is None:
            tail = self._decoder.eof()
            if tail:
                self._guarded(self.tailReceived, tail)
        self._failWaiters()
        # Whatever a forsaken transport still reports is known by now.
        self.__dict__["connectionLost"] = _lossIsKnown
        self._guarded(type(self).connectionLost, self, reason)
        self._link.connectionSettled(self)

    def _failWaiters(self) -> None:
        closed = Failure(ConnectionClosed("the connection ended"))
        # One after the other: the callback of one may cancel another.
        while self._takers:
            self._takers.popleft().errback(closed)
        while self._lookers:
            self._lookers.pop(0)[1].errback(closed)
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.cancel()

    def _transport(self, plain: bool = False) -> Any:
        """The transport; with `plain`, freed of our own hooks first."""
        if plain:
            for name in ("loseConnection", "abortConnection"):
                self.transport.__dict__.pop(name, None)
        return self.transport

    # -- faults --------------------------------------------------------------------

    def _failed(self, reason: Failure) -> None:
        self._stopListening()
        self._link.connectionFailed(self, reason)

    def _callbackFailed(self, reason: Failure) -> None:
        self._logFailure("callback", reason)
        self._failed(Failure(CallbackFailed(f"a callback failed: {reason.value!r}")))

    def _guarded(self, callback: Callable[..., object], *args: object) -> None:
        try:
            callback(*args)
        except Exception:
            self._callbackFailed(Failure())

    def _logFailure(self, what: str, reason: Failure) -> None:
        self.log.failure(
            "{link}: the application's {what} failed", reason, link=self._name(), what=what
        )

    def _name(self) -> str:
        return getattr(self.factory, "name", None) or type(self).__name__


def _lossIsKnown(reason: Failure) -> None:
    """In the place of ``connectionLost``, once that was called."""


class _Waiting:
    """A callback's result that may or may not be there yet."""

    __slots__ = ("_done", "_protocol", "_token")

    def __init__(self, protocol: FrameProtocol) -> None:
        self._protocol = protocol
        self._done = False
        self._token: PauseToken | None = None

    def pauseUnlessDone(self) -> None:
        if not self._done:
            self._protocol._awaiting = True
            self._token = self._protocol.pauseReading()

    def done(self, _: object) -> None:
        self._done = True
        if self._token is not None:
            self._protocol._awaiting = False
            self._token.resume()

    def failed(self, reason: Failure) -> None:
        self._protocol._callbackFailed(reason)
        self.done(None)


def _deferred(result: Result) -> Deferred[Any] | None:
    if result is None or isinstance(result, Deferred):
        return result
    if isinstance(result, Coroutine):
        return Deferred.fromCoroutine(result)
    raise TypeError(f"a callback may return None, a Deferred or a coroutine, not {result!r}")
