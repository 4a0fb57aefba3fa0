"""Bytes to frames to the application: once, whole, in order, and only while it wants them.

`FrameReceiver` decodes what arrives and hands it over; it can be paused between
any two frames, asked for a single frame, and told to change the framing. What
a transport needs besides is in `nbclient.connection.protocol`.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Sequence
from inspect import getattr_static, isfunction
from typing import Any, ClassVar, Literal, cast

from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.protocol import Protocol
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

from nbclient.connection.interface import ALONE, LinkObserver
from nbclient.connection.overrides import Result, at_once, awaited, deferred, refuse_async
from nbclient.connection.pulling import Frames
from nbclient.connection.wording import explain
from nbclient.errors import (
    CallbackFailed,
    ConnectionClosed,
    LocalError,
    PatternTimeout,
    PeerError,
)
from nbclient.framing import Decoder, Framing
from nbclient.framing.base import check_framing

NOTHING: list[bytes] = []  # shared and never changed: most links have nothing pending
SPENT = iter(NOTHING)  # of a loop over a single frame: nothing is behind it


AWAITED = frozenset(
    {
        "connectionLost",
        "connectionMade",
        "connectionReady",
        "frameReceived",
        "framesReceived",
        "opening",
        "tailReceived",
    }
)
"""The hooks that may be coroutines or return Deferreds."""


TURN = 0.1
"""How long frames are looked at one by one until the reactor has a turn, seconds."""


class PauseToken:
    """Holds back reading until `resume`; several may be out at once."""

    __slots__ = ("_owner",)

    def __init__(self, owner: FrameReceiver) -> None:
        self._owner: FrameReceiver | None = owner

    def resume(self) -> None:
        """Give the token back; a second call does nothing."""
        owner, self._owner = self._owner, None
        if owner is not None:
            owner._tokenReturned()


class _Silent(Decoder):
    """Of a connection that could not begin, with which nothing is received."""

    def feed(self, data: bytes) -> list[bytes]:
        return []

    def eof(self) -> bytes:
        return b""

    def unread(self, data: bytes, frames: Sequence[bytes]) -> bytes:
        return b""


class FrameReceiver(Protocol):
    """The receiving half of `nbclient.FrameProtocol`.

    :cvar framing: how bytes become frames; required.
    :cvar wiretap: called with ``"in"`` or ``"out"`` and the bytes as they pass.
    :cvar rejected: called with the bytes of each bad frame, bounded, and what was wrong.
    :ivar framesIn: frames decoded.
    :ivar bytesIn: bytes received.
    :ivar writable: not while a read is handled; see `nbclient.FrameProtocol`.
    :ivar readingHeld: somebody holds a `PauseToken`.
    :ivar finishing: the peer has closed; this side closes once everything
        received was delivered.
    :ivar losing: the transport is on its way out: nothing more can be sent.
    :ivar settled: the application has been told everything, the loss included.
    """

    framing: Framing
    wiretap: Callable[[Literal["in", "out"], bytes], None] | None = None
    rejected: Callable[[bytes, PeerError], object] | None = None

    framesIn = 0
    bytesIn = 0
    writable = True
    readingHeld = False
    finishing = False
    losing = False
    settled = False

    log: ClassVar[Logger] = Logger(namespace="nbclient")

    # Everything below is a class attribute until it differs: ten thousand quiet
    # links share the values. What is pending, oldest first: the rest of what the
    # loop over `frameReceived` was at (`_rest` from `_restNext`), the batch being
    # handed over (`_batch` from `_next`, out of `_chunk`), chunks not yet decoded.
    _link: LinkObserver = ALONE
    _heard: Callable[[bool], None] | None = None
    _answer: Callable[[bytes], bytes | None] | None = None
    _due: deque[bytes] | None = None  # answers to send once the application took the frame
    _decoder: Decoder = _Silent()
    _skippedBefore = 0
    _chunk = b""
    _chunks: deque[bytes] | None = None
    _batch = NOTHING
    _next = 0
    _rest = NOTHING
    _restNext = 0
    _iterator: Any = None
    _running = NOTHING
    _looked = False  # the next frame was offered to whoever waits for one

    _gone: Failure | None = None  # why the transport went
    _busy = False  # inside _run
    _deaf = False  # we closed: no more frames for the application
    _pauses = 0
    _awaiting = 0  # callbacks whose Deferreds are not done: a pause for each
    _opening: Deferred[Any] | None = None
    _untilReady: PauseToken | None = None  # for what nothing takes before
    _pulled = False  # a loop has the frames, which counts as such a callback
    _takers: deque[Deferred[bytes]] | None = None
    _lookers: list[tuple[re.Pattern[bytes], Deferred[re.Match[bytes]]]] | None = None
    _hooks: list[Deferred[Any]] | None = None  # what they began and has not ended
    _turnEnds: float | None = None  # when the reactor is to have a turn
    _yielded = False  # it has that turn: the rest of the read comes after it
    _afterwards: list[Callable[[], object]] | None = None  # to call once the read is handed over

    def __init_subclass__(cls, **more: Any) -> None:
        """Refuse a class that could not work.

        :raises ArgumentError: its `framing` is none.
        :raises LocalError: it has an ``async def`` where the result is needed at once.
        """
        super().__init_subclass__(**more)
        refuse_async(cls, AWAITED)
        own = getattr_static(cls, "framing", None)
        if own is not None and (isfunction(own) or not hasattr(own, "__get__")):
            check_framing(f"{cls.__name__}.framing", own)

    # -- what applications override ------------------------------------------

    def frameReceived(self, frame: bytes) -> Result:
        """One frame, in order. A Deferred or coroutine pauses reading until done.

        Where a class overrides neither this nor `framesReceived`, what the opening does not
        take waits for the loop over `frames` that begins once the link is ready.
        """
        if self._opening is None or self._isOver:
            raise NotImplementedError(
                "override frameReceived or framesReceived, or take the frames in a loop by"
                " frames(), begun as soon as whenReady() has fired"
            )
        self._halt()
        self._rest, self._restNext = [frame, *self._rest[self._restNext :]], 0
        self._untilReady = self.pauseReading()
        return None

    def framesReceived(self, frames: list[bytes]) -> Result:
        """The frames completed by one read; by default `frameReceived` for each."""
        if self._iterator is not None:
            # A callback that unpacks its frame: these come before the rest.
            self._halt()
            self._rest = [*frames, *self._rest[self._restNext :]]
            self._restNext = 0
        elif (self._pauses and self._blocked) or (self._rest and self._restNext < len(self._rest)):
            # An override that hands on piecemeal, and an earlier piece was interrupted.
            self._rest = [*self._rest[self._restNext :], *frames]
            self._restNext = 0
        elif self._deaf:
            pass
        elif len(frames) == 1:
            # As in `_each`, without a loop: what answers to requests come to.
            self._iterator = SPENT
            result = self.frameReceived(frames[0])
            self._iterator = None
            if result:
                self._await(result)
        else:
            self._each(frames, 0)
        return None

    # -- what applications call ------------------------------------------------

    def nextFrame(self) -> Deferred[bytes]:
        """The next frame, which then does not reach `framesReceived`.

        May be awaited anywhere, in `frameReceived`, too. It is for one frame: those
        behind it reach `framesReceived`, unless it is asked again before anything else is
        waited for. A loop that waits for other things too takes `frames`.

        :return: fails with `ConnectionClosed` where none comes, with `LocalError` where
            `frames` has them; may be cancelled.
        """
        if self._pulled:
            return fail(LocalError("frames() has the frames of this connection"))
        return self._take()

    def frames(self) -> Frames:
        """All frames from here on for one loop, which may wait for what it likes in between.

        Until it is closed none reaches `framesReceived`; see `nbclient.connection.pulling.Frames`.
        Automatic answers, and a request's answer, are no frames of it. What is sent
        while it is open counts as an answer: see `nbclient.connection.protocol.ANSWER_LIMIT`.

        :raises LocalError: another loop has them.
        """
        if self._pulled:
            raise LocalError("another loop has the frames of this connection")
        if self._saidAll:
            return Frames(self, None)
        self._pulled = True
        self._awaiting += 1
        return Frames(self, self.pauseReading())

    def _giveBack(self, token: PauseToken) -> None:
        self._pulled = False
        self._awaiting -= 1
        token.resume()

    def _take(self) -> Deferred[bytes]:
        if self._saidAll:
            return fail(ConnectionClosed("no more frames come on this connection"))
        if self._takers is None:
            self._takers = deque()
        taken: Deferred[bytes] = Deferred(self._forgetTaker)
        self._takers.append(taken)
        self._release()
        self._halt()
        if self._awaiting:
            self._run()
        return taken

    def _release(self) -> None:
        """What waits until the link is ready waits no longer."""
        token = self._untilReady
        if token is not None:
            self._untilReady = None
            token.resume()

    def expect(self, pattern: re.Pattern[bytes]) -> Deferred[re.Match[bytes]]:
        """The first match of `pattern` in a frame yet to come.

        It only looks: every frame still reaches `framesReceived`. So a
        `frameReceived` that awaits it waits for ever: it holds back the frames.

        :param pattern: compiled, of bytes.
        :return: fails with `ConnectionClosed` where none comes; may be cancelled.
        :raises TypeError: it is something else.
        """
        if not hasattr(pattern, "search") or isinstance(getattr(pattern, "pattern", b""), str):
            raise TypeError(f"expect takes a compiled pattern of bytes, not {pattern!r}")
        if self._saidAll:
            return fail(ConnectionClosed("no more frames come on this connection"))
        seen: Deferred[re.Match[bytes]] = Deferred(self._forgetLooker)
        self._lookers = [*(self._lookers or ()), (pattern, seen)]
        self._halt()
        return seen

    def setFraming(self, framing: Framing, *, ahead: bytes = b"", skip: int = 0) -> None:
        """Change the framing between two frames.

        What was received behind the last frame taken goes to the new decoder.

        :param ahead: bytes that it has before that: the end of the frame taken, which
            was none of it.
        :param skip: bytes of what was received that it does not have: the beginning of
            a frame that was not finished, and was understood all the same.
        :raises ArgumentError: `framing` is none.
        """
        check_framing("framing", framing)
        decoder = self._made(framing)  # before anything changes: it may not be to be had
        self._halt()
        untaken = self._untaken()
        self._batch, self._next = NOTHING, 0
        self._looked = False
        chunk, self._chunk = self._chunk, b""
        rest = self._decoder.unread(chunk, untaken) if chunk else self._decoder.eof()
        rest = ahead + rest[skip:]
        self._skippedBefore = self.skipped
        self.framing = framing
        self._decoder = decoder
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
        if not self._busy:
            self._updateHold()
        return PauseToken(self)

    # -- what the link calls ---------------------------------------------------

    def answerBy(self, answer: Callable[[bytes], bytes | None]) -> None:
        """Have `answer` see each frame first; what it returns is sent back.

        It is sent once the application took the frame: its callback returned,
        and what that returned is done.
        """
        self._answer = answer

    def watch(self, heard: Callable[[bool], None]) -> None:
        """Have `heard` called at each chunk: with True where it ended or began a frame."""
        self._heard = heard

    @property
    def unfinished(self) -> bool:
        """Whether the peer has begun a frame and not finished it."""
        return self._decoder.begun

    @property
    def tail(self) -> bytes:
        """What the peer has sent of a frame that is not finished, as received."""
        return self._decoder.eof()

    @property
    def skipped(self) -> int:
        """Faulty frames passed over."""
        return self._skippedBefore + self._decoder.skipped

    @property
    def awaited(self) -> bool:
        """Whether something received is still on its way to the application."""
        return self._pending

    def afterRead(self, call: Callable[[], object], whole: bool = False) -> bool:
        """Have `call` called once the frames of the read in hand have been handed over.

        What a frame leads to before the application has it, and may end in our close,
        waits for that: after our close no frame is delivered.

        :param whole: where a pause keeps back the rest of a read, that counts as in hand.
            At the next pause `call` is called all the same, and may ask again.
        :return: False where no read is in hand, and `call` is not called.
        """
        if not (self._busy or self._yielded or (whole and self._undelivered)):
            return False
        self._afterwards = list(dict.fromkeys([*(self._afterwards or ()), call]))  # each once
        return True

    # -- what the transport calls ----------------------------------------------

    def dataReceived(self, data: bytes) -> None:
        """Bytes from the peer; decoded at once unless something is pending."""
        if self._deaf:
            return
        self.bytesIn += len(data)
        if self.wiretap is not None:
            self._tap("in", data)
        if self._busy or (self._pauses and (self._blocked or self._chunks)):
            self._hold().append(data)
            return
        # As `_run`, which would be one call more for each read.
        self._busy = True
        self.writable = False
        try:
            self._handChunk(data)
        except BaseException:
            self._raised(Failure())
        finally:
            self._busy = False
        if self._pauses:  # else it is not held: nothing comes in while it is
            self._updateHold()
        self._afterRun()

    # -- what the other half provides --------------------------------------------

    def _afterRun(self) -> None:
        """Nothing more can be handed over now."""

    def _readOver(self) -> None:
        """The frames of the read in hand have been handed over."""
        calls, self._afterwards = self._afterwards, None
        for call in calls or ():
            call()

    def _holdTransport(self, hold: bool) -> None:
        """Make the transport stop reading, or read again."""

    def _sendAnswer(self, frame: bytes) -> None:
        """Send a frame on this connection."""

    def _sendRaw(self, data: bytes) -> None:
        """Send what the framing itself answers, as it is."""

    # -- delivery ----------------------------------------------------------------

    def _run(self) -> None:
        """Hand over what is there, until nothing is left or somebody pauses."""
        if self._busy:
            return
        self._busy = True
        self.writable = False
        try:
            self._deliver()
        except BaseException:
            self._raised(Failure())
        finally:
            self._busy = False
        if self._pauses or self.readingHeld:
            self._updateHold()
        self._afterRun()

    def _deliver(self) -> None:
        """Hand over what is pending, the oldest first, until nothing is or somebody pauses."""
        while not (self._deaf or (self._pauses and self._blocked)):
            if (self._answer or self._lookers) and self._turnIsOver():
                return
            if self._due:
                self._sendDue()
            if self._rest and self._restNext < len(self._rest):
                self._handRest()
            elif self._next < len(self._batch):
                self._handOver()
            elif self._decoder.fault is not None:
                self._failed(Failure(self._decoder.fault))
            elif self._chunks:
                self._decodeChunk(self._chunks.popleft())
            else:
                over = self.finishing or self._gone is not None
                held = self._decoder.eof() if over else b""
                self._batch, self._next = self._decoder.last() if over else NOTHING, 0
                self.framesIn += len(self._batch)
                self._chunk = held if self._batch else b""
                if not self._batch:
                    return

    def _turnIsOver(self) -> bool:
        """Whether the reactor is to have a turn before the next frame; then it has one.

        Where each frame is looked at, how long that takes is the peer's choice, and one
        read may hold thousands of frames: signals and timers would wait for all of them.
        """
        now = self._link._now()
        if self._turnEnds is None:
            self._turnEnds = now + TURN
        if now < self._turnEnds:
            return False
        self._yielded = True
        self._link.clock.callLater(0, self._turnHad, self.pauseReading())
        return True

    def _turnHad(self, token: PauseToken) -> None:
        self._yielded = False
        token.resume()

    def _handChunk(self, data: bytes) -> None:
        """Decode and hand over a chunk before which nothing is pending.

        The same as `_deliver`, which looks at more before and between: of a peer
        that sends one short frame at a time, each read comes this way.
        """
        self._decodeChunk(data)
        if self._batch and not (self._deaf or self._pauses):
            self._handOver()
        if (
            self._pauses
            or self._next < len(self._batch)
            or self._rest
            or self._due
            or self._chunks
            or self._decoder.fault is not None
        ):
            self._deliver()
        else:
            self._chunk, self._batch = b"", NOTHING

    def _sendDue(self) -> None:
        while self._due:
            self._sendAnswer(self._due.popleft())

    def _decodeChunk(self, data: bytes) -> None:
        """The frames that this chunk completes are the batch now."""
        decoder = self._decoder
        if self._heard is None:
            frames = decoder.feed(data)
        else:
            begun = decoder.begun
            frames = decoder.feed(data)
            self._heard(bool(frames) or not begun)
        self.framesIn += len(frames)
        self._chunk, self._batch, self._next = data, frames, 0

    def _handOver(self) -> None:
        """The batch to the application, or its next frame where somebody waits for one."""
        frames = self._batch
        if self._takers or self._lookers or self._looked or self._answer:  # `_singly`
            frame = frames[self._next]
            self._next += 1
            if not self._stillDue(frame):
                if self._looked:
                    self._putBack(frame)
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
        if self._singly:
            self._restNext += 1
            if self._stillDue(frames[start]):
                self._each([frames[start]], 0)
            elif self._looked:
                self._rest = [frames[start], *self._rest[self._restNext :]]
                self._restNext = 0
        else:
            self._rest, self._restNext = NOTHING, 0
            self._each(frames, start)

    @property
    def _singly(self) -> bool:
        """Whether frames are to be looked at one by one."""
        return bool(self._takers or self._lookers or self._looked or self._answer)

    def _prepareAnswer(self, answer: bytes | None) -> None:
        if answer is not None:
            if self._due is None:
                self._due = deque()
            self._due.append(answer)

    def _stillDue(self, frame: bytes) -> bool:
        """Offer a frame to whoever waits for one; whether it is to be handed over now.

        Whoever looks at it may close, and then it is dropped, or pause, and then
        it is to be held back, not to be looked at again (`_looked`).
        """
        if not self._looked:
            if self._answer is not None:
                self._prepareAnswer(self._answer(frame))
            if self._deaf or self._taken(frame):  # deaf: whoever looked has closed
                return False
        self._looked = self._blocked and not self._deaf
        return not (self._looked or self._deaf)

    def _putBack(self, frame: bytes) -> None:
        """Hold back a frame of the batch that was looked at."""
        if self._next:
            self._next -= 1
        else:  # whoever looked has changed the framing: behind this frame
            self._batch = [frame]

    def _taken(self, frame: bytes) -> bool:
        """Offer a frame to `nextFrame`, else to `expect`; whether the former took it."""
        if self._takers:
            self._takers.popleft().callback(frame)
            return True
        self._showLookers(frame)
        return False

    def _showLookers(self, frame: bytes) -> None:
        for looker in tuple(self._lookers or ()):
            match = looker[0].search(frame)
            if match is not None:
                self._forgetLooker(looker[1])
                looker[1].callback(match)

    def _each(self, frames: list[bytes], start: int) -> None:
        """`frameReceived` for each frame from `start`.

        This is the hot loop. ``filter(None, map(...))`` hands frames over
        without work of our own per frame: the body runs only for a callback
        that returned something. Whoever pauses, closes or changes the framing
        in a callback moves the iterator to its end (`_halt`), so the loop ends
        exactly there; both moves are O(1), so that a flood of tiny frames
        cannot make them quadratic.
        """
        iterator: Any = iter(frames)
        self._iterator, self._running = iterator, frames
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
        waiting = _Waiting(self)
        cast("Deferred[Any]", deferred(result)).addCallbacks(waiting.done, waiting.failed)
        waiting.pauseUnlessDone()

    def _tokenReturned(self) -> None:
        self._pauses -= 1
        self._run()

    @property
    def _blocked(self) -> bool:
        """Whether no frame may be handed over now.

        A callback that awaits `nextFrame` holds back everything but that frame:
        to wait for it *and* hold it back would be a deadlock.
        """
        return self._pauses > (self._awaiting if self._awaiting and self._takers else 0)

    @property
    def _isOver(self) -> bool:
        """Whether nothing more comes: one of the two sides has ended the connection."""
        return self._deaf or self.finishing or self.losing or self._gone is not None

    def _updateHold(self) -> None:
        """Make the transport follow; what is pending goes first, so after `_run`."""
        if self._blocked is not self.readingHeld:
            self._switchHold()

    def _switchHold(self) -> None:
        self.readingHeld = not self.readingHeld
        self._link.readingHeld(self, self.readingHeld)
        self._holdTransport(self.readingHeld)

    def _untaken(self) -> list[bytes]:
        """The frames behind the last one taken; they are pending no longer."""
        rest, self._rest = self._rest[self._restNext :], NOTHING
        self._restNext = 0
        return rest + self._batch[self._next :]

    def _decode(self, framing: Framing) -> None:
        """From here on the bytes are frames of `framing`."""
        self._decoder = self._made(framing)

    def _made(self, framing: Framing) -> Decoder:
        decoder = framing.decoder()
        if self.rejected is not None:
            decoder.rejected = self._reject
        if framing.answers:
            decoder.answer = self._sendRaw
        return decoder

    def _hold(self) -> deque[bytes]:
        if self._chunks is None:
            self._chunks = deque()
        return self._chunks

    def _forgetTaker(self, deferred: Deferred[bytes]) -> None:
        cast("deque[Deferred[bytes]]", self._takers).remove(deferred)
        if not self._busy:  # a callback that waited for it now holds back everything
            self._updateHold()

    def _forgetLooker(self, deferred: Deferred[re.Match[bytes]]) -> None:
        self._lookers = [each for each in self._lookers or () if each[1] is not deferred]

    @property
    def _pending(self) -> bool:
        """Whether something received is still on its way to the application."""
        if self._awaiting:
            return True
        return not self._deaf and self._undelivered

    @property
    def _undelivered(self) -> bool:
        return bool(
            self._chunks or self._restNext < len(self._rest) or self._next < len(self._batch)
        )

    def _noMoreComes(self) -> None:
        """The peer has ended: whoever waits for more than is there waits in vain.

        A callback that does would otherwise hold up the end of the connection,
        and that its waiting.
        """
        self._release()
        if self._awaiting and not self._undelivered:
            self._failWaiters()

    def _nothingComes(self) -> None:
        """This side has closed, and the link knows: what that took away fails now."""

    @property
    def _saidAll(self) -> bool:
        """Whether no frame is there, and none comes."""
        return self.settled or self._deaf or (self.finishing and not (self._busy or self._pending))

    def _stopListening(self) -> None:
        """From our close on, no frame: drop what is pending, and end the loop.

        Nobody is told of it here: the link comes first, then `_nothingComes`.
        """
        self._deaf = True
        self._halt()
        self._rest = self._batch = NOTHING
        self._restNext = self._next = 0
        self._chunks = self._due = None
        self._chunk = b""
        self._looked = False

    def _failWaiters(self) -> None:
        if self._takers or self._lookers:
            self._link.afterwards(self._tellWaiters)

    def _tellWaiters(self) -> None:
        closed = Failure(ConnectionClosed("the connection ended"))
        # One after the other: the callback of one may cancel another.
        while self._takers:
            self._takers.popleft().errback(closed)
        while self._lookers:
            self._lookers.pop(0)[1].errback(closed)

    # -- faults --------------------------------------------------------------------

    def _failed(self, reason: Failure) -> None:
        self._stopListening()
        self._link.connectionFailed(self, reason)
        self._nothingComes()

    def _raised(self, reason: Failure) -> None:
        """A callback has raised, while what was received is handed over.

        One that could not use what the end took away is not at fault: what else
        was received is the application's all the same.
        """
        while self._endedIt(reason):
            self._halt()
            try:
                self._deliver()
            except BaseException:
                reason = Failure()
            else:
                return
        self._callbackFailed(reason)

    def _endedIt(self, reason: Failure) -> bool:
        """Whether the connection's end, and no fault, is what ended a callback."""
        if not (self._isOver and reason.check(ConnectionClosed, CancelledError)):
            return False
        self.log.debug("{link}: a callback ended with the connection", link=self._name())
        return True

    def _callbackFailed(self, reason: Failure) -> None:
        if reason.check(PatternTimeout):  # no fault of the application's
            self._failed(reason)
            return
        self._logFailure("callback", reason)
        self._failed(Failure(CallbackFailed(f"a callback failed: {explain(reason)}")))

    def _resultFailed(self, reason: Failure) -> None:
        """A callback's Deferred failed."""
        if not self._endedIt(reason):
            self._callbackFailed(reason)

    def _guarded(self, callback: Callable[..., object], *args: object) -> None:
        """Call a hook that holds up nothing; what it returns is run to its end all the same."""
        try:
            running = awaited(callback(*args))
        except BaseException:
            self._resultFailed(Failure())
            return
        if running is not None:
            if not self.settled:
                self._hooks = [*(self._hooks or ()), running]
            running.addErrback(self._resultFailed)
            running.addCallback(lambda _: self._forgetHook(running))

    def _forgetHook(self, running: Deferred[Any]) -> None:
        if self._hooks is not None:
            self._hooks = [each for each in self._hooks if each is not running] or None

    def _cancelHooks(self) -> None:
        """The connection is over, and with it what its hooks had begun."""
        hooks, self._hooks = self._hooks, None
        for running in hooks or ():
            running.cancel()

    def _tap(self, direction: Literal["in", "out"], data: bytes) -> None:
        """Show the wiretap what passes; one that raises is not asked again."""
        try:
            made = cast(Any, self.wiretap)(direction, data)
            if made is not None:
                at_once("wiretap", made)
        except BaseException:
            self.wiretap = None
            self._logFailure("wiretap", Failure())

    def _reject(self, data: bytes, error: PeerError) -> None:
        at_once("rejected", cast(Any, self.rejected)(data, error))

    def _logFailure(self, what: str, reason: Failure) -> None:
        self.log.failure(
            "{link}: the application's {what} failed",
            reason,
            LogLevel.critical if self._link.isNews(f"failed {what}") else LogLevel.debug,
            link=self._name(),
            what=what,
        )

    def _name(self) -> str:
        return getattr(self.factory, "name", None) or type(self).__name__


class _Waiting:
    """A callback's result that may or may not be there yet."""

    __slots__ = ("_done", "_protocol", "_token")

    def __init__(self, protocol: FrameReceiver) -> None:
        self._protocol = protocol
        self._done = False
        self._token: PauseToken | None = None

    def pauseUnlessDone(self) -> None:
        if not self._done:
            self._protocol._awaiting += 1
            self._token = self._protocol.pauseReading()

    def done(self, _: object) -> None:
        self._done = True
        if self._token is not None:
            self._protocol._awaiting -= 1
            self._token.resume()

    def failed(self, reason: Failure) -> None:
        self._protocol._resultFailed(reason)
        self.done(None)
