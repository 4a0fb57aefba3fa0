"""Frames that the peer's kernel has acknowledged, and that nobody knows the fate of yet.

A balancer whose backend is down accepts, takes the bytes and closes; a full server does
so with a line that says no. The kernel of either acknowledges what neither passes on. So
a frame can be held back after its acknowledgement until its connection has *settled* it:

* the connection has lived for a while since, or
* the peer has sent a frame since this one was written. Each frame of the peer settles one, the
  oldest: a peer that says one thing and closes has taken one at most, as far as is known.
  A greeting before it proves nothing.

What is not settled when the connection ends is sent again: less is lost with a peer that
dies, and more comes twice.
"""

from __future__ import annotations

import re
from collections import deque
from typing import Any

from nbclient.core.liveness import INSTANT

GRAINS = 16
"""Acknowledgements within such a part of the wait are settled together."""

LOOKED_AT = 200
"""Bytes of a frame in which words of refusal are looked for."""

_REFUSAL = re.compile(
    rb"^(?:\s*$|\x15)"
    rb"|^\W{0,4}(?:err\b|nak\b|noauth\b|loading\b|misconf\b|readonly\b|[45]\d\d\b)"
    rb"|^HTTP/\d(?:\.\d)? [45]\d\d\b"
    rb"|\b(?:error|refused|rejected|denied|forbidden|unavailable|unauthori[sz]ed|banned|busy"
    rb"|too many|limit|max(?:imum)?|full|shutting down|try again|not (?:allowed|permitted)"
    rb"|overloaded|no more connections|maintenance|login failed|exceeded|time-?out|timed out"
    rb"|go away|good ?bye)\b",
    re.IGNORECASE,
)


def looks_like_refusal(frame: bytes) -> bool:
    """Whether a frame of the peer may say that it takes nothing: then it is no proof.

    Where it is taken for one and is none, frames are settled by time all the same.
    """
    return _REFUSAL.search(frame[:LOOKED_AT]) is not None


class Unsettled:
    """The frames of one connection that were written and are not settled, oldest first.

    All times are seconds on one monotonic scale that the caller chooses.

    :param after: how long the connection has to live beyond an acknowledgement, seconds.

    :ivar acknowledged: how many of them are acknowledged.
    :ivar refused: the peer has said no: nothing is settled any more.
    """

    __slots__ = (
        "_acks",
        "_after",
        "_first",
        "_proven",
        "_used",
        "_written",
        "acknowledged",
        "refused",
    )

    def __init__(self, after: float) -> None:
        self.acknowledged = 0
        self.refused = False
        self._after = after
        self._written: deque[list[Any]] = deque()  # how many; frames, bytes heard before
        self._acks: deque[list[Any]] = deque()  # how many; when the first and the last came
        self._first: float | None = None
        self._proven = False
        self._used = 0  # frames of the peer that have settled one of ours

    def wrote(self, count: int, frames: int, received: int) -> None:
        """So many were written.

        :param frames: how many frames of the peer had been decoded by then.
        :param received: how many bytes of it had arrived.
        """
        last = self._written[-1] if self._written else None
        if last is not None and last[1:] == [frames, received]:
            last[0] += count
        else:
            self._written.append([count, frames, received])

    def acknowledge(self, count: int, now: float) -> None:
        """So many more, the oldest that were not, are acknowledged."""
        if self._first is None:
            self._first = now
        self.acknowledged += count
        last = self._acks[-1] if self._acks else None
        if last is not None and now - last[1] < self._after / GRAINS:
            last[0] += count
            last[2] = now
        else:
            self._acks.append([count, now, now])

    def restart(self, now: float) -> None:
        """What was proven is so no more: all that is acknowledged counts from now."""
        self._first = now if self.acknowledged else None
        self._proven = False
        if self.acknowledged:
            self._acks = deque([[self.acknowledged, now, now]])

    def lived(self, now: float) -> bool:
        """Whether time has settled a frame, or could have settled one."""
        return self._first is not None and now - self._first >= self._after - INSTANT

    def proven(self, now: float) -> bool:
        """Whether the connection has settled, or could have settled, a frame."""
        return (self._proven or self.lived(now)) and not self.refused

    def due(self) -> float:
        """When the oldest of those acknowledged are settled, if nothing else happens."""
        return float(self._acks[0][2]) + self._after

    def settle(
        self, now: float, frames: int, received: int, ours: bool = False, crowded: bool = False
    ) -> int:
        """Forget those that are settled.

        :param frames: how many frames of the peer have been decoded.
        :param received: how many bytes of it have arrived.
        :param ours: this side has ended the connection: once that is proven, what is
            acknowledged waits no longer.
        :param crowded: there is no room to wait in: the same once the connection has lived.
            By what a peer says it is not known to go on.
        :return: how many they are.
        """
        if self.refused or not self.acknowledged:
            return 0
        spoken = self._heard(frames, received)
        self._proven = self._proven or spoken > 0
        settled = max(spoken, self._outlived(now))
        if (ours and self.proven(now)) or (crowded and self.lived(now)):
            settled = self.acknowledged
        settled = min(settled, self.acknowledged)
        _take(self._written, settled)
        _take(self._acks, settled)
        self.acknowledged -= settled
        return settled

    def _heard(self, frames: int, received: int) -> int:
        """How many are settled by what the peer has said since they were written."""
        count = 0
        for written, before, arrived in self._written:
            if frames <= before or received <= arrived:
                break
            used = max(self._used, before)
            taken = min(written, frames - used, self.acknowledged - count)
            self._used = used + taken
            count += taken
            if taken < written:
                break
        return count

    def _outlived(self, now: float) -> int:
        """How many were acknowledged long enough ago."""
        count = 0
        for acknowledged, _, last in self._acks:
            if now - last < self._after - INSTANT:
                break
            count += acknowledged
        return count


def _take(queue: deque[list[Any]], count: int) -> None:
    """Take so many out of a queue of counts."""
    while count:
        taken = min(count, queue[0][0])
        queue[0][0] -= taken
        count -= taken
        if not queue[0][0]:
            queue.popleft()
