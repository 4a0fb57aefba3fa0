"""Who may enter the outbox now, who waits for room, and who is turned away."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from attrs import define
from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure

from nbclient.delivery.outbox import Outbox
from nbclient.errors import LocalError, NBClientError, OutboxFull
from nbclient.link.spooling import Cursor, Spooling

WHEN_FULL = ("wait", "refuse", "drop-oldest")
"""What becomes of frames for which there is no room."""

_READ_ON = "not stored: what was read before it was withdrawn"


@define(eq=False)
class Sender:
    """A batch that is not in the outbox yet.

    :ivar frames: what of it is still to enter.
    :ivar size: of these, bytes.
    """

    frames: Sequence[bytes]
    size: int
    cursor: Cursor | None
    accepted: Deferred[None]


class Admission:
    """The way into an outbox in memory.

    :param whenFull: one of `WHEN_FULL`.
    :param now: seconds on the outbox's monotonic scale.
    :param withdrawn: called when one who waited does so no more.

    :ivar size: bytes that wait for room.
    """

    __slots__ = (
        "_admitting",
        "_now",
        "_outbox",
        "_senders",
        "_told",
        "_whenFull",
        "size",
    )

    def __init__(
        self,
        outbox: Outbox,
        whenFull: str,
        now: Callable[[], float],
        withdrawn: Callable[[], object],
    ) -> None:
        self._outbox = outbox
        self._whenFull = whenFull
        self._now = now
        self._told = withdrawn
        # Made when first needed: most links never wait.
        self._senders: deque[Sender] | None = None
        self._admitting = False
        self.size = 0

    def __bool__(self) -> bool:
        """Whether somebody waits."""
        return bool(self._senders)

    def offer(self, frames: Sequence[bytes], cursor: Cursor | None = None) -> Deferred[None]:
        """Accept `frames`, now or as room comes free; see `Pump.offer`."""
        size = self._outbox.cost(frames)
        room = 0 if self._senders else self._room
        # All or nothing: who offers a refused batch again must not send half of it twice.
        if size > room and (self._whenFull == "refuse" or self._tooMuch(size, room)):
            return self.refuse(frames, Failure(OutboxFull(self.limit, size)))
        return self._take(frames, cursor)

    def refuse(self, frames: Sequence[bytes], reason: Failure) -> Deferred[None]:
        """Count `frames` as refused."""
        self._outbox.counters.refused += len(frames)
        return fail(reason)

    def admit(self) -> None:
        """Room may have come free: those that wait, in order."""
        if self._admitting:  # whoever was told of it offers more: the outer call goes on
            return
        self._admitting = True
        try:
            while self._senders and self._admitFirst(self._senders[0]):
                pass
        finally:
            self._admitting = False

    def _admitFirst(self, sender: Sender) -> bool:
        """Whether something of the first who waits has entered."""
        before = sender.size
        self._makeRoom(before)
        return self._enter(sender) or sender.size < before

    def end(self, reason: Failure) -> None:
        """Turn away everybody who waits."""
        # One after the other: the callback of one may cancel another.
        while self._senders:
            sender = self._senders.popleft()
            self._withdrawn(sender)
            sender.accepted.errback(reason)

    # -- in memory -----------------------------------------------------------------------

    @property
    def limit(self) -> int:
        """The bound that there is no more room beyond, bytes."""
        return self._outbox.limit

    @property
    def _room(self) -> int:
        return self._outbox.limit - self._outbox.size

    def _tooMuch(self, size: int, room: int) -> bool:
        """Whether so much may not even wait: as much again as the outbox holds may."""
        return size - room > self.limit - self.size

    def _makeRoom(self, size: int) -> None:
        """Have room for `size` bytes, where older frames are to make it and can."""
        if self._whenFull == "drop-oldest" and size > self._room:
            self._drop(size - self._room)

    def _drop(self, size: int) -> None:
        self._outbox.drop_oldest(size)

    def _take(self, frames: Sequence[bytes], cursor: Cursor | None) -> Deferred[None]:
        if frames and (self._senders or self._whenFull == "drop-oldest"):
            return self._queue(frames, cursor)
        taken = self._outbox.accept(frames, self._now())
        return self._wait(frames[taken:], cursor) if taken < len(frames) else succeed(None)

    def _queue(self, frames: Sequence[bytes], cursor: Cursor | None) -> Deferred[None]:
        """Behind those who wait, which may be nobody."""
        accepted = self._wait(frames, cursor)
        self.admit()
        return accepted

    def _enter(self, sender: Sender) -> bool:
        """What fits of the first who waits enters; whether that was all of it."""
        taken = self._outbox.accept(sender.frames, self._now())
        self._outbox.counters.undecided -= taken
        self.size -= self._outbox.cost(sender.frames[:taken])
        sender.frames = sender.frames[taken:]
        sender.size = self._outbox.cost(sender.frames)
        if sender.frames:
            return False
        self._leave(sender)
        sender.accepted.callback(None)
        return True

    # -- those that wait -----------------------------------------------------------------

    def _wait(self, frames: Sequence[bytes], cursor: Cursor | None) -> Deferred[None]:
        def withdraw(_: Deferred[None]) -> None:
            if sender in waiting:  # else it is on its way to the disk
                behind = self._withdraw_with(sender)
                self.admit()  # one behind it may be smaller
                self._told()
                for each in behind:
                    each.accepted.errback(LocalError(_READ_ON))

        sender = Sender(frames, self._outbox.cost(frames), cursor, Deferred(withdraw))
        waiting = self._senders = deque() if self._senders is None else self._senders
        waiting.append(sender)
        self.size += sender.size
        self._outbox.counters.undecided += len(frames)
        return sender.accepted

    def _withdraw_with(self, sender: Sender) -> list[Sender]:
        """One does not want to wait any more; who else cannot be accepted then."""
        self._withdraw(sender)
        return []

    def _leave(self, sender: Sender) -> None:
        """The first of those that wait does so no more."""
        assert self._senders is not None
        self._senders.popleft()

    def _withdraw(self, sender: Sender) -> None:
        """One of those that wait, whichever, does so no more."""
        assert self._senders is not None
        self._senders.remove(sender)
        self._withdrawn(sender)

    def _withdrawn(self, sender: Sender) -> None:
        self.size -= sender.size
        self._outbox.counters.undecided -= len(sender.frames)
        self._outbox.counters.refused += len(sender.frames)


class SpoolAdmission(Admission):
    """The way into an outbox through its spool: accepted means stored."""

    __slots__ = ("_spooling",)

    def __init__(
        self,
        outbox: Outbox,
        whenFull: str,
        now: Callable[[], float],
        withdrawn: Callable[[], object],
        spooling: Spooling,
    ) -> None:
        super().__init__(outbox, whenFull, now, withdrawn)
        self._spooling = spooling

    @property
    def limit(self) -> int:
        """The spool's bound, bytes."""
        return self._spooling.spool.limit

    @property
    def _room(self) -> int:
        return self._spooling.room

    def _tooMuch(self, size: int, room: int) -> bool:
        # A batch is stored whole; what waits for that is bounded as memory is.
        return size > self.limit or (bool(self) and size > self._outbox.limit - self.size)

    def _drop(self, size: int) -> None:
        self._spooling.forget(self._outbox.drop_oldest(size - self._spooling.freeing))

    def _take(self, frames: Sequence[bytes], cursor: Cursor | None) -> Deferred[None]:
        return self._queue(frames, cursor)

    def _enter(self, sender: Sender) -> bool:
        if sender.size > self._room:
            return False
        self._leave(sender)
        self.size -= sender.size
        counters = self._outbox.counters
        count = len(sender.frames)

        def told(error: Exception | None) -> None:
            counters.undecided -= count
            if error is None:
                counters.accepted += count
            else:
                counters.refused += count
            behind = [] if error is None else self._behind(sender.cursor)
            if not sender.accepted.called:  # cancelled, too late
                sender.accepted.callback(None) if error is None else sender.accepted.errback(error)
            for each in behind:
                each.accepted.errback(error)

        try:
            self._spooling.append(sender.frames, sender.cursor, told)
        except NBClientError as error:
            told(error)
        return True

    def _withdraw_with(self, sender: Sender) -> list[Sender]:
        assert self._senders is not None
        place = self._senders.index(sender)
        self._withdraw(sender)
        return self._behind(sender.cursor, place)

    def _behind(self, cursor: Cursor | None, place: int = 0) -> list[Sender]:
        """Those who wait with a later place of this cursor, which may not be stored now."""
        waiting = list(self._senders or ())[place:]
        behind = [
            each for each in waiting if cursor and each.cursor and each.cursor[0] == cursor[0]
        ]
        for each in behind:
            self._withdraw(each)
        return behind
