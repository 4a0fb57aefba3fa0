"""Frames accepted for a link and not yet delivered, in order, bounded by bytes.

A frame is *waiting*, then *in flight* (handed to a connection), then
*acknowledged* at whatever level the link promises. What was in flight when a
connection ended goes back to waiting, in front, whole.

Conservation holds at any moment, and `OutboxStats.conserved` checks it::

    offered  = accepted + refused + undecided
    accepted = acknowledged + waiting + set aside + abandoned
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from attrs import define, frozen

FRAME_COST = 64
"""Bytes charged for each frame beside its content, so that empty frames are bounded too."""


@define
class Counters:
    """Frames, by what became of them; `undecided` are those of a send that waits for room."""

    offered: int = 0
    accepted: int = 0
    refused: int = 0
    undecided: int = 0
    acknowledged: int = 0
    resent: int = 0
    set_aside: int = 0
    abandoned: int = 0


@frozen
class OutboxStats:
    """A snapshot: `Counters`, and what is waiting now (in flight included)."""

    offered: int
    accepted: int
    refused: int
    undecided: int
    acknowledged: int
    resent: int
    set_aside: int
    abandoned: int
    waiting: int
    waiting_bytes: int

    def conserved(self) -> bool:
        """Whether every frame is accounted for (the law above)."""
        settled = self.acknowledged + self.set_aside + self.abandoned
        return (
            self.offered == self.accepted + self.refused + self.undecided
            and self.accepted == settled + self.waiting
        )


class Outbox:
    """A bounded queue of frames in memory.

    :param limit: the bound in bytes, `FRAME_COST` a frame included.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.counters = Counters()
        self._waiting: deque[bytes] = deque()
        self._flight: deque[bytes] = deque()
        self._size = 0

    def __len__(self) -> int:
        return len(self._waiting) + len(self._flight)

    @property
    def sendable(self) -> bool:
        """Whether a frame waits that is not in flight."""
        return bool(self._waiting)

    @property
    def size(self) -> int:
        """What is charged against the limit now, bytes."""
        return self._size

    @staticmethod
    def cost(frames: Sequence[bytes]) -> int:
        """What `frames` are charged with, bytes."""
        return sum(map(len, frames)) + FRAME_COST * len(frames)

    def accept(self, frames: Sequence[bytes]) -> int:
        """Take as many of `frames`, from the first, as there is room for.

        :return: how many were taken. An empty outbox takes at least one, so
            that no frame waits for ever.
        """
        room = self.limit - self._size
        cost = self.cost(frames)
        taken = frames if cost <= room or not frames else self._fitting(frames, room)
        self._waiting.extend(taken)
        self._size += cost if taken is frames else self.cost(taken)
        self.counters.accepted += len(taken)
        return len(taken)

    def _fitting(self, frames: Sequence[bytes], room: int) -> Sequence[bytes]:
        count = 0
        room -= len(frames[0]) + FRAME_COST
        while room >= 0:  # ends before the last frame: all of them do not fit
            count += 1
            room -= len(frames[count]) + FRAME_COST
        if not count and not self:
            count = 1
        return frames[:count]

    def take(self, most: int) -> list[bytes]:
        """Put the oldest waiting frames in flight: about `most` bytes, at least one frame."""
        waiting, flight = self._waiting, self._flight
        taken = []
        while waiting and most > 0:
            frame = waiting.popleft()
            most -= len(frame) + FRAME_COST
            taken.append(frame)
        flight.extend(taken)
        return taken

    def acknowledge(self, count: int) -> None:
        """The oldest `count` frames in flight are delivered."""
        self.counters.acknowledged += count

        popleft = self._flight.popleft
        for _ in range(count):
            self._size -= len(popleft()) + FRAME_COST

    def give_back(self, count: int) -> None:
        """The `count` frames taken last were not sent after all: they wait, in front."""
        for _ in range(count):
            self._waiting.appendleft(self._flight.pop())

    def set_aside(self) -> bytes:
        """The frame taken last can never be sent as it is.

        :return: the frame, which is no more in the outbox.
        """
        frame = self._flight.pop()
        self._size -= len(frame) + FRAME_COST
        self.counters.set_aside += 1
        return frame

    def rewind(self) -> int:
        """What is in flight was on a connection that ended: it will be sent again, first.

        :return: how many frames that is.
        """
        count = len(self._flight)
        self._waiting.extendleft(reversed(self._flight))
        self._flight.clear()
        self.counters.resent += count
        return count

    def abandon(self) -> int:
        """Drop everything: the link stopped for good.

        :return: how many frames that was.
        """
        count = len(self)
        self._waiting.clear()
        self._flight.clear()
        self._size = 0
        self.counters.abandoned += count
        return count

    def stats(self) -> OutboxStats:
        """A snapshot of the counters and of what waits."""
        c = self.counters
        return OutboxStats(
            c.offered,
            c.accepted,
            c.refused,
            c.undecided,
            c.acknowledged,
            c.resent,
            c.set_aside,
            c.abandoned,
            len(self),
            self._size,
        )
