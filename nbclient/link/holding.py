"""Keeps frames in the outbox beyond their acknowledgement, until their connection has settled them.

The rule is in `nbclient.delivery.unsettled`; this puts it on the clock of one connection.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from nbclient.connection.timers import Timer, timers_of
from nbclient.delivery.unsettled import Unsettled, looks_like_refusal

LOOK = 0.1
"""Seconds between two looks for what the peer may have said, while frames are held."""

GAP = 0.5
"""Looks that are so many seconds apart show that this process stood still: what the peer
did meanwhile is not read yet, so that its connection has not been seen to live on."""

DOUBTED = 16
"""So many frames of the peer in a row may look like refusals; the next is taken for an answer."""

_ANY = re.compile(rb"")


class Holding:
    """Holds the acknowledged frames of one connection.

    :param after: seconds, as in `Unsettled`.
    :param connection: of which ``framesIn``, ``bytesIn`` and ``expect`` are needed.
    :param clock: an `IReactorTime`, for the timer.
    :param now: seconds on a monotonic scale.
    :param settled: told how many frames, from the oldest, are delivered.
    :param crowded: whether the outbox has no room to hold what need not be held.
    """

    def __init__(
        self,
        after: float,
        connection: Any,
        clock: Any,
        now: Callable[[], float],
        settled: Callable[[int], object],
        crowded: Callable[[], bool],
    ) -> None:
        self._frames = Unsettled(after)
        self._connection = connection
        self._timers = timers_of(clock)
        self._now = now
        self._settled = settled
        self._crowded = crowded
        self._timer: Timer | None = None
        self._last = now()  # when it was looked
        self._stood = 0.0  # seconds for which this process stood still
        self._over: float | None = None  # when the connection was no longer ready
        self._halfClosed = False
        self._doubts = 0  # frames of the peer that are no proof
        self._answers = False  # one that is has come
        self._listening: Deferred[Any] | None = None

    @property
    def held(self) -> int:
        """How many frames are acknowledged and not settled."""
        return self._frames.acknowledged

    def wrote(self, count: int) -> None:
        """So many frames were written."""
        connection = self._connection
        self._frames.wrote(count, connection.framesIn - self._doubts, connection.bytesIn)
        if self._listening is None:
            self._listen()

    def acknowledged(self, count: int) -> int:
        """So many more are acknowledged; how many are settled with that, from the oldest."""
        self._frames.acknowledge(count, self._time())
        if self._halfClosed:
            self._frames.prove()
        return self._look(self._halfClosed)

    def over(self) -> None:
        """The connection has lived: what is still on its way counts, but no more time does."""
        if self._over is None:
            self._over = self._time()

    def halfClosed(self) -> None:
        """The peer has closed its side: time proves nothing any more, that it goes on taking does.

        Where it has closed both, what it is sent now is answered with a reset.
        """
        self.over()
        self._halfClosed = True

    def refused(self) -> None:
        """The peer has said no."""
        self._frames.refused = True
        self._stopTimer()

    def stop(self, ours: bool) -> int:
        """The connection is gone, and its last acknowledgement is in.

        :param ours: this side wanted that, which is no sign that the peer took nothing.
        :return: how many more frames are settled.
        """
        self.over()
        settled = self._look(ours)
        self._stopTimer()
        if self._listening is not None:
            self._listening.cancel()
        return settled

    def _time(self) -> float:
        """Seconds on a scale that stands still with this process, and from `over` on."""
        if self._over is not None:
            return self._over
        now = self._now()
        gap, self._last = now - self._last, now
        if gap > GAP and self._frames.acknowledged:
            self._stood += gap - LOOK
        return now - self._stood

    def _look(self, at_once: bool = False) -> int:
        at_once = at_once or self._crowded()
        connection, time = self._connection, self._time()
        frames = connection.framesIn - self._doubts if self._answers else 0
        settled = self._frames.settle(time, frames, connection.bytesIn, at_once)
        waits = self._frames.acknowledged and not self._frames.refused
        if waits and self._timer is None and self._over is None:
            left = max(0.0, self._frames.due() - time)
            self._timer = self._timers.after(min(left, LOOK), Holding._lookAgain, self)
        return settled

    def _lookAgain(self) -> None:
        self._timer = None
        settled = self._look()
        if settled:
            self._settled(settled)

    def _stopTimer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            self._timers.cancel(timer)

    # -- what the peer says first ----------------------------------------------------------

    def _listen(self) -> None:
        """Look at the peer's next frame: it may be a refusal."""
        self._listening = self._connection.expect(_ANY)
        self._listening.addCallbacks(self._said, lambda _: None)

    def _said(self, match: re.Match[bytes]) -> None:
        self._answers = self._doubts == DOUBTED or not looks_like_refusal(match.string)
        if not self._answers:
            self._doubts += 1
            self._listen()
