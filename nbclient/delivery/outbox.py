"""Frames accepted for a link and not yet delivered, in order, bounded by bytes.

A frame is *waiting*, then *in flight* (handed to a connection), then
*acknowledged* at whatever level the link promises. What was in flight when a
connection ended goes back to waiting, in front, whole. Each frame has a number,
ascending in the order of sending.

Conservation holds at any moment, and `OutboxStats.conserved` checks it::

    offered  = accepted + refused + undecided
    restored + accepted = acknowledged + waiting
                          + expired + dropped + set aside + abandoned
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice, repeat
from typing import Any

from attrs import define, frozen

FRAME_COST = 64
"""Bytes charged for each frame beside its content, so that empty frames are bounded too."""

GRAIN = 0.01
"""Frames accepted within so many seconds share one note of when: ages are that exact."""

Ranges = list[tuple[int, int]]
"""First and last number of frames that followed each other."""


def fitting(frames: Sequence[bytes], room: int) -> int:
    """How many of `frames`, from the first, fit into `room` bytes; not for all of them."""
    count = 0
    room -= len(frames[0]) + FRAME_COST
    while room >= 0:  # ends before the last frame: all of them do not fit
        count += 1
        room -= len(frames[count]) + FRAME_COST
    return count


@define
class Counters:
    """Frames, by what became of them.

    :ivar restored: were in the spool when the link began.
    :ivar undecided: of a send that waits for room, or for the disk.
    :ivar sent: handed to a connection, each time; `resent`: of these, not for
        the first time.
    :ivar expired: were older than allowed; `dropped`: made room for newer ones.
    :ivar set_aside: are kept, and sent no more; `abandoned`: ended with the link.
    """

    offered: int = 0
    accepted: int = 0
    restored: int = 0
    refused: int = 0
    undecided: int = 0
    sent: int = 0
    resent: int = 0
    acknowledged: int = 0
    expired: int = 0
    dropped: int = 0
    set_aside: int = 0
    abandoned: int = 0


@frozen
class OutboxStats:
    """A snapshot: `Counters`, and what is waiting now (in flight included).

    :ivar waiting_bytes: `FRAME_COST` a frame included.
    :ivar oldest: how long the first of those waiting has waited, seconds; None: none waits.
    :ivar unsettled: of those waiting, acknowledged, but on a connection that may be turning
        everything away (`nbclient.delivery.unsettled`).
    """

    offered: int
    accepted: int
    restored: int
    refused: int
    undecided: int
    sent: int
    resent: int
    acknowledged: int
    expired: int
    dropped: int
    set_aside: int
    abandoned: int
    waiting: int
    waiting_bytes: int
    oldest: float | None
    unsettled: int = 0

    def conserved(self) -> bool:
        """Whether every frame is accounted for (the law above)."""
        settled = self.acknowledged + self.set_aside + self.abandoned
        settled += self.expired + self.dropped
        return (
            self.offered == self.accepted + self.refused + self.undecided
            and self.restored + self.accepted == settled + self.waiting
        )


@frozen
class Aside:
    """A frame that was set aside.

    :ivar seq: its number.
    :ivar why: in a line.
    :ivar when: seconds on the scale of the caller of `Outbox.set_aside`.
    """

    seq: int
    frame: bytes
    why: str
    when: float


@define(eq=False)
class _Span:
    """Neighbouring frames that were accepted together.

    :ivar first: the number of the first; the others count on from it.
    :ivar since: when, seconds on the caller's monotonic scale.
    """

    first: int
    count: int
    since: float


_NONE: deque[Any] = deque()
"""Stands for each queue of an outbox without a frame, and is never changed: an empty
deque is 600 bytes, and most links are quiet."""


class Outbox:
    """A bounded queue of frames in memory.

    All times are seconds on one monotonic scale that the caller chooses.

    :param limit: the bound in bytes, `FRAME_COST` a frame included.

    :ivar aside: what was set aside and is kept here; counts against the limit.
    """

    __slots__ = (
        "_again",
        "_aside_size",
        "_attempts",
        "_flight",
        "_last",
        "_size",
        "_spans",
        "_taken_again",
        "_waiting",
        "aside",
        "counters",
        "limit",
    )

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.counters = Counters()
        self.aside: list[Aside] = []
        self._waiting: deque[bytes] = _NONE
        self._flight: deque[bytes] = _NONE
        self._spans: deque[_Span] = _NONE  # of all frames, those in flight first
        self._attempts: dict[int, int] = {}  # by number; of most frames there is none
        self._size = 0
        self._aside_size = 0
        self._last = 0
        self._again = 0  # the first so many that wait were sent before
        self._taken_again = 0  # and of those taken last

    def __len__(self) -> int:
        return len(self._waiting) + len(self._flight)

    @property
    def sendable(self) -> bool:
        """Whether a frame waits that is not in flight."""
        return bool(self._waiting)

    @property
    def in_flight(self) -> int:
        """How many frames are in flight."""
        return len(self._flight)

    @property
    def size(self) -> int:
        """What is charged against the limit now, bytes."""
        return self._size

    @property
    def next(self) -> bytes:
        """The oldest frame that waits and is not in flight."""
        return self._waiting[0]

    @property
    def first(self) -> int:
        """The number of the oldest frame."""
        return self._spans[0].first

    @property
    def last(self) -> int:
        """The highest number given to a frame so far, 0 before the first."""
        return self._last

    @property
    def oldest(self) -> float | None:
        """When the oldest frame was accepted; None: there is none."""
        return self._spans[0].since if self._spans else None

    @property
    def next_since(self) -> float | None:
        """When the oldest frame that is not in flight was accepted; None: there is none."""
        if not self._waiting:
            return None
        return next(since for _, since in self._numbered(len(self._flight)))

    @staticmethod
    def cost(frames: Sequence[bytes]) -> int:
        """What `frames` are charged with, bytes."""
        return sum(map(len, frames)) + FRAME_COST * len(frames)

    # -- in ------------------------------------------------------------------------------

    def accept(self, frames: Sequence[bytes], now: float = 0.0) -> int:
        """Take as many of `frames`, from the first, as there is room for.

        :return: how many were taken. An empty outbox takes at least one, so
            that no frame waits for ever.
        """
        room = self.limit - self._size
        cost = self.cost(frames)
        taken = frames if cost <= room or not frames else self._fitting(frames, room)
        if taken:
            self._enter(taken, self._last + 1, now)
        self._size += cost if taken is frames else self.cost(taken)
        self.counters.accepted += len(taken)
        return len(taken)

    def add(self, frames: Sequence[bytes], first: int, since: float) -> None:
        """Add frames that were accepted elsewhere, and are counted there; past the bound, too.

        :param first: the number of the first one, higher than any before.
        """
        self._enter(frames, first, since)
        self._size += self.cost(frames)

    def _enter(self, frames: Sequence[bytes], first: int, since: float) -> None:
        if self._waiting is _NONE:
            self._waiting, self._flight, self._spans = deque(), deque(), deque()
        self._waiting.extend(frames)
        last = self._spans[-1] if self._spans else None
        self._last = first + len(frames) - 1
        if last is not None and last.first + last.count == first and since - last.since < GRAIN:
            last.count += len(frames)
        else:
            self._spans.append(_Span(first, len(frames), since))

    def _fitting(self, frames: Sequence[bytes], room: int) -> Sequence[bytes]:
        count = fitting(frames, room)
        if not count and not self:
            count = 1
        return frames[:count]

    # -- out -----------------------------------------------------------------------------

    def take(self, most: int) -> list[bytes]:
        """Put the oldest waiting frames in flight: about `most` bytes, at least one frame."""
        waiting, flight = self._waiting, self._flight
        taken = []
        while waiting and most > 0:
            frame = waiting.popleft()
            most -= len(frame) + FRAME_COST
            taken.append(frame)
        flight.extend(taken)
        self.counters.sent += len(taken)
        if self._again or self._taken_again:
            self._taken_again = min(self._again, len(taken))
            self._again -= self._taken_again
            self.counters.resent += self._taken_again
        return taken

    def give_back(self, count: int) -> None:
        """What was taken last, `count` frames, was not sent after all: it waits, in front."""
        for _ in range(count):
            self._waiting.appendleft(self._flight.pop())
        self._again += self._taken_again
        self.not_sent(count)

    def not_sent(self, count: int) -> None:
        """What was taken last, `count` frames, was not sent after all."""
        self.counters.sent -= count
        self.counters.resent -= self._taken_again
        self._taken_again = 0

    def acknowledge(self, count: int) -> int:
        """The oldest `count` frames in flight are delivered.

        :return: the number of the last of them.
        """
        self.counters.acknowledged += count
        flight = self._flight
        popleft = flight.popleft
        self._size -= sum(map(len, islice(flight, count))) + FRAME_COST * count
        for _ in repeat(None, count):
            popleft()
        upto = self._advance(count)
        if not self._spans:
            self._waiting = self._flight = self._spans = _NONE
        return upto

    def _advance(self, count: int) -> int:
        """Forget the numbers of the oldest `count` frames; the last of them."""
        spans = self._spans
        while count >= spans[0].count:
            span = spans.popleft()
            count -= span.count
            if not count:
                return self._forget_attempts(span.first + span.count - 1)
        spans[0].first += count
        spans[0].count -= count
        return self._forget_attempts(spans[0].first - 1)

    def _forget_attempts(self, upto: int) -> int:
        if self._attempts:
            self._attempts = {seq: n for seq, n in self._attempts.items() if seq > upto}
        return upto

    def answered(self, seq: int) -> None:
        """The frame of this number, which is in flight, is delivered, whatever is before it."""
        self._remove_from_flight(seq)
        self.counters.acknowledged += 1

    def set_aside(self, seq: int, why: str, when: float, keep: bool = True) -> Aside:
        """The frame of this number, which is in flight, is not to be sent again.

        :param keep: keep it in `aside`; else it is kept elsewhere.
        """
        aside = Aside(seq, self._remove_from_flight(seq), why, when)
        self.counters.set_aside += 1
        if keep:
            self.aside.append(aside)
            self._aside_size += len(aside.frame) + FRAME_COST
            self._size += len(aside.frame) + FRAME_COST
        return aside

    def _remove_from_flight(self, seq: int) -> bytes:
        index = next(i for i, (each, _) in enumerate(self._numbered(0)) if each == seq)
        frame = self._flight[index]
        del self._flight[index]
        self._size -= len(frame) + FRAME_COST
        self._cut(index, 1)
        self._attempts.pop(seq, None)
        return frame

    def rewind(self) -> int:
        """What is in flight was on a connection that ended: it will be sent again, first.

        :return: how many frames that is.
        """
        count = len(self._flight)
        self._waiting.extendleft(reversed(self._flight))
        self._flight.clear()
        self._again += count
        return count

    # -- frames that will not be delivered -----------------------------------------------

    def attempted(self, seq: int, times: int = 1) -> int:
        """The frame of this number was sent in vain; how often that was by now."""
        self._attempts[seq] = self._attempts.get(seq, 0) + times
        return self._attempts[seq]

    def expire(self, before: float) -> Ranges:
        """Forget frames accepted at or before this time that are not in flight.

        :return: which.
        """
        count = 0
        for _, since in self._numbered(len(self._flight)):
            if since > before:
                break
            count += 1
        self.counters.expired += count
        return self._forget(count)

    def drop_oldest(self, size: int) -> Ranges:
        """Forget the oldest frames that are not in flight, to free `size` bytes.

        :return: which; all that wait where that is not enough.
        """
        count = 0
        for frame in self._waiting:
            if size <= 0:
                break
            size -= len(frame) + FRAME_COST
            count += 1
        self.counters.dropped += count
        return self._forget(count)

    def _forget(self, count: int) -> Ranges:
        """The first `count` of those that wait are gone."""
        if not count:
            return []
        for _ in range(count):
            self._size -= len(self._waiting.popleft()) + FRAME_COST
        self._again = max(0, self._again - count)
        ranges = self._cut(len(self._flight), count)
        for first, last in ranges:
            for seq in [seq for seq in self._attempts if first <= seq <= last]:
                del self._attempts[seq]
        return ranges

    def abandon(self) -> int:
        """Drop everything: the link stopped for good.

        :return: how many frames that was.
        """
        count = len(self)
        self._waiting.clear()
        self._flight.clear()
        self._spans.clear()
        self._attempts.clear()
        self._again = self._taken_again = 0
        self._size = self._aside_size
        self.counters.abandoned += count
        return count

    # -- numbers -------------------------------------------------------------------------

    def seq_of(self, index: int) -> int:
        """The number of the frame at `index`, counted from the oldest."""
        return next(self._numbered(index))[0]

    def _numbered(self, index: int) -> Iterator[tuple[int, float]]:
        """Number and time of each frame from `index` on."""
        for span in self._spans:
            if index < span.count:
                for seq in range(span.first + index, span.first + span.count):
                    yield seq, span.since
            index = max(0, index - span.count)

    def _cut(self, index: int, count: int) -> Ranges:
        """Take `count` numbers out, from `index` on; which they were."""
        kept: list[_Span] = []
        cut: Ranges = []
        while count:  # the spans behind are not looked at: there may be very many
            span = self._spans.popleft()
            before = min(index, span.count)
            taken = min(count, span.count - before)
            first = span.first + before
            after = span.count - before - taken
            if taken and cut and cut[-1][1] + 1 == first:
                cut[-1] = (cut[-1][0], first + taken - 1)
            elif taken:
                cut.append((first, first + taken - 1))
            if before:
                kept.append(_Span(span.first, before, span.since))
            if after:
                kept.append(_Span(first + taken, after, span.since))
            index -= before
            count -= taken
        self._spans.extendleft(reversed(kept))
        return cut

    def stats(self, now: float = 0.0) -> OutboxStats:
        """A snapshot of the counters and of what waits.

        :param now: for the age of the oldest.
        """
        c = self.counters
        oldest = self.oldest
        return OutboxStats(
            offered=c.offered,
            accepted=c.accepted,
            restored=c.restored,
            refused=c.refused,
            undecided=c.undecided,
            sent=c.sent,
            resent=c.resent,
            acknowledged=c.acknowledged,
            expired=c.expired,
            dropped=c.dropped,
            set_aside=c.set_aside,
            abandoned=c.abandoned,
            waiting=len(self),
            waiting_bytes=self._size - self._aside_size,
            oldest=None if oldest is None else now - oldest,
        )
