"""Ask, and get a Deferred of the answer.

`RequestProtocol` is a `FrameProtocol` with `RequestProtocol.request`. Which
answer is whose is decided by `nbclient.delivery.outstanding`; here are the
timer, the requests that wait for their turn, and the part that keeps
``await self.request(...)`` inside a callback from being a deadlock: while a
callback is waited for and requests are outstanding, reading goes on. Answers
are matched at once, and every other frame waits in order (`_sift`).
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from functools import partial
from inspect import getattr_static
from typing import Any, ClassVar

from attrs import frozen
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from nbclient.connection.overrides import Result, at_once
from nbclient.connection.protocol import FrameProtocol
from nbclient.connection.timers import Timer, Timers, timers_of
from nbclient.core.arguments import CLOCK, check, is_clock, is_number, is_whole
from nbclient.core.liveness import INSTANT
from nbclient.delivery.outbox import FRAME_COST
from nbclient.delivery.outstanding import Outstanding, Request
from nbclient.errors import ConnectionClosed, PeerError, RequestsFull, RequestTimeout
from nbclient.framing.base import check_frames, no_frame

HELD_BYTES = 16 * 1024 * 1024
"""Most bytes of frames held back behind a callback that is waited for while
requests are outstanding, `FRAME_COST` a frame included, a security limit: a peer
that floods and does not answer must not fill our memory. It may be exceeded by
one read. As much again may be left of what was held back before."""


REQUEST_COST = 1024
"""Bytes charged for each request that waits for its turn, beside its frame."""


_ARGUMENTS: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
    ("requestWindow", lambda value: is_whole(value) and value >= 1, "a whole number from 1"),
    (
        "requestTimeout",
        lambda value: value is None or (is_number(value) and value > 0),
        "a number of seconds above 0, or None",
    ),
    ("requestBytes", lambda value: is_whole(value) and value >= 1, "a whole number from 1"),
    ("clock", lambda value: value is None or is_clock(value), f"{CLOCK}, or None"),
)
"""What the class attributes of a `RequestProtocol` take."""


@frozen
class _Waiting:
    """A request that waits for its turn."""

    frame: bytes
    key: Hashable | None

    @property
    def cost(self) -> int:
        return len(self.frame) + REQUEST_COST


class RequestProtocol(FrameProtocol):
    """A connection on which one asks and is answered.

    Answers come in turn, the n-th for the n-th request, unless `answerKey` is
    overridden. Frames that answer nothing go to `frameReceived`, as usual.

    :cvar requestWindow: how many requests may be on their way at once. 1: each
        waits for the answer before. More: they are pipelined.
    :cvar requestTimeout: seconds from a request's leaving to its answer; None:
        for ever. In turn a timeout drops the connection, since nobody could say
        whose the next answer is; by key only the request fails.
    :cvar requestBytes: bound of the requests that wait for their turn, bytes,
        `REQUEST_COST` for each included.
    :cvar clock: an `IReactorTime`, for tests; None: that of the link, which is the
        reactor where it was given no other.
    """

    requestWindow: ClassVar[int] = 1
    requestTimeout: ClassVar[float | None] = 30.0
    requestBytes: ClassVar[int] = 64 * 1024 * 1024
    clock: IReactorTime | None = None

    # Class attributes until they differ, as in `FrameReceiver`.
    _outstanding: Outstanding[Deferred[bytes]] | None = None
    _queue: OrderedDict[Deferred[bytes], _Waiting] | None = None
    _queueBytes = 0
    _requestTimer: Timer | None = None
    _timers: Any = None
    _now: Callable[[], float]

    _arrivals = 0  # chunks received: requests and frames are told apart by it
    _kept: deque[bytes] | None = None  # behind `_rest`, before `_batch`
    _keptBytes = 0
    _ahead = False  # frames behind those that wait were looked at
    _fresh = False  # the frame being offered was not offered before
    _interrupted = False
    _unasked = False  # it was said that frames which answer nothing are dropped

    def __init_subclass__(cls, **more: Any) -> None:
        """Refuse a class whose figures make no sense.

        :raises ArgumentError: as said.
        """
        super().__init_subclass__(**more)
        for name, fits, takes in _ARGUMENTS:
            value = getattr_static(cls, name)
            if not hasattr(value, "__get__"):  # a property is looked at when it is used
                check(f"{cls.__name__}.{name}", value, fits(value), takes)

    # -- what applications override ------------------------------------------

    def answerKey(self, frame: bytes) -> Hashable | None:
        """Override for answers by key: what an answer has in common with its request.

        :return: None: `frame` answers nothing.
        """
        return None

    def requestKey(self, frame: bytes) -> Hashable | None:
        """By key: the same, found in a request; by default in the same way."""
        return self.answerKey(frame)

    def frameReceived(self, frame: bytes) -> Result:
        """Override for what answers nothing; by default it is dropped, which is said once."""
        if not self._unasked:
            self._unasked = True
            (self.log.warn if self._link.isNews("answers nothing") else self.log.debug)(
                "{link}: what answers no request is dropped: frameReceived is not overridden",
                link=self._name(),
            )
        return None

    # -- what applications call ------------------------------------------------

    def request(self, frame: bytes) -> Deferred[bytes]:
        """Send a frame on this connection and wait for its answer; it is never sent again.

        May be awaited anywhere: in `opening` and in `frameReceived`, too.

        :return: the frame that answers. Fails with `FrameError` (the framing
            cannot carry it), `LocalError` (by key: no key, or an answer to that
            key is still owed), `RequestsFull`, `RequestTimeout`, or
            `ConnectionClosed`. Cancelling withdraws a request that waits; the
            answer to one that has left is awaited and thrown away.
        """
        if not self.connected or self.ending:
            return fail(ConnectionClosed("there is no connection: nobody would answer"))
        answered: Deferred[bytes] = Deferred(self._withdraw)
        try:
            outstanding = self._outstanding
            if outstanding is None:
                outstanding = self._prepare()
            key = self.requestKey(frame) if self._keyed else None
            at_once("requestKey", key)
            # By key a timeout makes room: at a peer that does not read they would pile up.
            if self._queue or outstanding.room <= 0 or self._full:
                self._wait(answered, frame, key)
            else:
                self._ask(answered, frame, key)
        except BaseException:
            return fail()
        if self._awaiting:
            self._run()
        return answered

    # -- asking ----------------------------------------------------------------

    @property
    def _keyed(self) -> bool:
        return type(self).answerKey is not RequestProtocol.answerKey

    def _prepare(self) -> Outstanding[Deferred[bytes]]:
        for name, fits, takes in _ARGUMENTS:
            value = getattr(self, name)
            check(f"{type(self).__name__}.{name}", value, fits(value), takes)
        self._outstanding = Outstanding(
            self.requestWindow, self.requestTimeout, self.answerKey if self._keyed else None
        )
        self._timers = self.clock or self._link.clock
        # Ages are monotonic whatever the reactor's clock is; tests inject both.
        self._now = self._link._now if self.clock is None else self.clock.seconds
        return self._outstanding

    def _ask(self, answered: Deferred[bytes], frame: bytes, key: Hashable | None) -> None:
        outstanding: Any = self._outstanding
        outstanding.sent(answered, self._now(), key, self._arrivals)
        try:
            # Not `sendFrame`, which stops reading when much is written to a peer
            # that does not read: that peer may wait for us to read its answers.
            # What is written here is bounded by the window.
            self.writeFrames((frame,))
        except BaseException:
            outstanding.unsent()
            raise
        if self._requestTimer is None:
            self._watchRequests()

    def _wait(self, answered: Deferred[bytes], frame: bytes, key: Hashable | None) -> None:
        if not isinstance(frame, bytes):
            raise no_frame(frame)
        check_frames(self.framing, (frame,))
        waiting = _Waiting(frame, key)
        if self._queueBytes + waiting.cost > self.requestBytes:
            raise RequestsFull(self.requestBytes)
        if self._queue is None:
            self._queue = OrderedDict()
        self._queue[answered] = waiting
        self._queueBytes += waiting.cost

    def _withdraw(self, answered: Deferred[bytes]) -> None:
        """Cancelled: a request that has left stays, for its answer will come."""
        if self._queue and answered in self._queue:
            self._queueBytes -= self._queue.pop(answered).cost

    def _askWaiting(self) -> None:
        """There may be room: the requests that wait, in order."""
        while (
            self._queue
            and self._outstanding is not None
            and self._outstanding.room > 0
            and not self._full
        ):
            answered, waiting = self._queue.popitem(last=False)
            self._queueBytes -= waiting.cost
            try:
                self._ask(answered, waiting.frame, waiting.key)
            except BaseException:
                answered.errback()

    def _fulfil(self, request: Request[Deferred[bytes]], frame: bytes) -> None:
        if self._queue:
            self._askWaiting()
        if not request.item.called:  # cancelled
            request.item.callback(frame)

    # -- deadlines ---------------------------------------------------------------

    def _watchRequests(self) -> None:
        """Wake up when the oldest request will be overdue, if it is still there then."""
        left = None if self._outstanding is None else self._outstanding.remaining(self._now())
        if left is not None and self._requestTimer is None:
            self._wakeIn(left, RequestProtocol._requestsDue)

    def _wakeIn(self, left: float, call: Callable[[Any], None]) -> None:
        due = partial(RequestProtocol._guarded, self, call)
        self._requestTimer = self._deadlines.after(max(0.0, left), due, self)

    @property
    def _deadlines(self) -> Timers:
        return timers_of(self._timers)

    def _requestsDue(self) -> None:
        """The oldest request should be overdue; a timer after a standstill is no proof."""
        late = self._deadlines.late
        if self._overdue() and late and self.spokeWithin(late):
            # It may have left only behind the standstill: once more.
            outstanding: Any = self._outstanding
            self._wakeIn(outstanding.timeout, RequestProtocol._requestsOverdue)
        else:
            self._requestsOverdue()

    def _overdue(self) -> bool:
        """Whether the oldest request is overdue, with all read that has reached this host."""
        self._requestTimer = None
        self.catchUp()
        left = None if self._outstanding is None else self._outstanding.remaining(self._soon)
        return left is not None and left <= 0

    @property
    def _soon(self) -> float:
        """Now, as deadlines are judged: a timer for a shorter time may add nothing to the clock."""
        return self._now() + INSTANT

    def _requestsOverdue(self) -> None:
        if not self._overdue():
            self._watchRequests()
            return
        outstanding: Any = self._outstanding
        late = Failure(RequestTimeout(outstanding.timeout, self.tail))
        overdue = outstanding.expired(self._soon)
        if outstanding.broken and not self._isOver:
            self._timedOut(late)  # the link first: it must not offer this connection again
        for request in overdue:
            if not request.item.called:
                request.item.errback(late)
        if outstanding.broken:
            self._failRequests()
        self._askWaiting()
        self._watchRequests()
        if self._awaiting:
            self._run()

    def _timedOut(self, late: Failure) -> None:
        """In turn: nobody can say whose the next answer is. What arrived is delivered."""
        if not self._pending:
            self._stopListening()
        self._link.connectionFailed(self, late)

    # -- the end -----------------------------------------------------------------

    def _failRequests(self) -> None:
        timer, self._requestTimer = self._requestTimer, None
        if timer is not None:
            self._deadlines.cancel(timer)
        outstanding, self._outstanding = self._outstanding, None
        queue, self._queue = self._queue, None
        self._queueBytes = 0
        lost = [] if outstanding is None else [each.item for each in outstanding.lost()]
        over = [*lost, *(queue or ())]
        if over:
            self._link.afterwards(lambda: _tellLost(over))

    def _failWaiters(self) -> None:
        super()._failWaiters()
        self._failRequests()

    def _noMoreComes(self) -> None:
        # What waits behind an awaited callback was looked at; no answer is there.
        if not self._chunks and self._next >= len(self._batch):
            self._failRequests()
        super()._noMoreComes()

    def _stopListening(self) -> None:
        super()._stopListening()
        self._kept = None

    def _nothingComes(self) -> None:
        self._failRequests()

    def _notFull(self) -> None:
        super()._notFull()
        if self._queue and not self._isOver:
            self._askWaiting()

    # -- answers among what arrives ----------------------------------------------

    def dataReceived(self, data: bytes) -> None:
        """Bytes from the peer."""
        self._arrivals += 1
        super().dataReceived(data)
        if self._chunks and self._matching:
            self._run()

    @property
    def _matching(self) -> bool:
        """Whether answers are looked for behind a callback that is waited for."""
        return bool(self._outstanding) and 0 < self._awaiting == self._pauses

    @property
    def _roomToKeep(self) -> bool:
        # After the end what there is lies in memory anyway.
        return self._keptBytes < HELD_BYTES or self._isOver

    def _updateHold(self) -> None:
        held = self._blocked and not (self._matching and self._roomToKeep)
        if held is not self.readingHeld:
            self._switchHold()

    @property
    def _undelivered(self) -> bool:
        return bool(self._kept) or super()._undelivered

    def _untaken(self) -> list[bytes]:
        # What waits came before an answer that was taken: it is of the old framing.
        return self._batch[self._next :] if self._ahead else super()._untaken()

    def _halt(self) -> None:
        self._interrupted = True
        super()._halt()

    def _tokenReturned(self) -> None:
        self._interrupted = True
        super()._tokenReturned()

    def _deliver(self) -> None:
        while not self._deaf:
            if self._pauses and self._blocked:
                if not (self._matching and self._sift()):
                    return
            elif self._kept:
                if (self._answer or self._lookers) and self._turnIsOver():
                    return
                if self._due:
                    self._sendDue()
                if self._restNext < len(self._rest):
                    self._handRest()
                else:
                    self._handKept()
            else:
                super()._deliver()
                if not (self._pauses and self._blocked):
                    return

    def _sift(self) -> bool:
        """Match the answers in the next of what was received; keep every other frame."""
        if self._next >= len(self._batch):
            if self._decoder.fault is not None:
                self._streamEnds(self._decoder.fault)
                return True
            if not (self._chunks and self._roomToKeep):
                return False
            self._decodeChunk(self._chunks.popleft())
        outstanding: Any = self._outstanding
        frames, arrival, looking = self._batch, self._arrival, self._singly
        self._ahead = True
        self._interrupted = False
        while self._next < len(frames) and not self._interrupted:
            frame = frames[self._next]
            self._next += 1
            if looking and outstanding.first((frame,), 0, arrival) == 0:
                self._look(frame)
            request = outstanding.matched(frame, arrival)
            if request is not None:
                self._fulfil(request, frame)
            elif not self._deaf:
                self._keep(frame)
        return True

    def _streamEnds(self, fault: PeerError) -> None:
        """No answer comes any more; the frames that wait are still the application's."""
        if not self.ending:
            self._link.connectionFailed(self, Failure(fault))
        self._failRequests()

    def _look(self, frame: bytes) -> None:
        """Let everybody see an answer who sees each frame."""
        if self._answer is not None:
            self._prepareAnswer(self._answer(frame))
        super()._taken(frame)

    @property
    def _arrival(self) -> int:
        """The number of the chunk that the batch is of."""
        return self._arrivals - len(self._chunks or ())

    def _keep(self, frame: bytes) -> None:
        if self._kept is None:
            self._kept = deque()
        self._kept.append(frame)
        self._keptBytes += len(frame) + FRAME_COST

    # -- delivery ----------------------------------------------------------------

    def _handKept(self) -> None:
        """What was kept behind a callback, now that it is done: it answers nothing."""
        kept: Any = self._kept
        self._fresh = False
        if self._singly:
            frame = kept.popleft()
            self._keptBytes -= len(frame) + FRAME_COST
            if not self._stillDue(frame):
                if self._looked:
                    self._keptBytes += len(frame) + FRAME_COST
                    kept.appendleft(frame)
                return
            frames = [frame]
        else:
            frames = list(kept)
            self._kept, self._keptBytes = None, 0
        self._handRun(frames)

    def _handRest(self) -> None:
        self._fresh = False
        super()._handRest()

    def _handOver(self) -> None:
        self._fresh = True
        self._ahead = False
        outstanding = self._outstanding
        if outstanding is None or not (outstanding or outstanding.retired) or self._singly:
            super()._handOver()
            return
        frames, arrival = self._batch, self._arrival
        self._interrupted = False
        while self._next < len(frames) and not self._interrupted:
            start = self._next
            request = outstanding.matched(frames[start], arrival)
            if request is None:
                self._next = outstanding.first(frames, start + 1, arrival)
                self._handRun(frames[start : self._next])
                return
            self._next += 1
            self._fulfil(request, frames[start])

    def _handRun(self, frames: list[bytes]) -> None:
        result = self.framesReceived(frames)
        if result is not None:
            self._await(result)

    def _taken(self, frame: bytes) -> bool:
        """Offer a frame to `nextFrame`, to `expect`, and then to the requests.

        A loop over `frames` has what answers nothing, so that requests come before it.
        """
        outstanding = self._outstanding if self._fresh else None
        if outstanding is None:
            return super()._taken(frame)
        if not self._pulled and super()._taken(frame):
            outstanding.late(frame)
            return True
        request = outstanding.matched(frame, self._arrival)
        if request is None:
            return self._pulled and super()._taken(frame)
        if self._pulled:
            self._showLookers(frame)
        self._fulfil(request, frame)
        return True


def _tellLost(requests: list[Deferred[bytes]]) -> None:
    closed = Failure(ConnectionClosed("the connection ended before the answer came"))
    for answered in requests:
        if not answered.called:  # the callback of one may cancel another
            answered.errback(closed)
