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

GAP = 2 * LOOK
"""Looks that are so many seconds apart show that this process stood still: what the peer
did meanwhile is not read yet, so that its connection has not been seen to live on."""

LISTENED = 16
"""So many frames of the peer are looked at, each singly, whether they are refusals."""

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
        self._counted = self._last  # what `_time` was then
        self._over: float | None = None  # when the connection was no longer ready
        self._halfClosed = False  # and nothing taken behind that yet
        self._draining = False  # it goes on taking
        self._heard = 0  # frames of the peer that were looked at
        self._doubted = False  # one of them looked like a refusal: only time proves
        self._listening: Deferred[Any] | None = None

    @property
    def held(self) -> int:
        """How many frames are acknowledged and not settled."""
        return self._frames.acknowledged

    def wrote(self, count: int) -> None:
        """So many frames were written."""
        connection = self._connection
        self._frames.wrote(count, connection.framesIn, connection.bytesIn)
        if self._listening is None:
            self._listen()

    def acknowledged(self, count: int) -> int:
        """So many more are acknowledged; how many are settled with that, from the oldest."""
        first, self._halfClosed = self._halfClosed, False
        if first and count:
            # It reads on: from here on time proves again, all of it that is needed.
            self._over, self._last = None, self._now()
            self._draining = True
            self._frames.restart(self._time())
        self._frames.acknowledge(count, self._time())
        return self._look()

    def over(self) -> None:
        """The connection has lived: what is still on its way counts, but no more time does.

        What has passed since the last look does not, for it did not live that long.
        """
        if self._over is None:
            self._over = self._counted

    def halfClosed(self) -> None:
        """The peer has closed its side: time proves nothing until it takes more behind that.

        Where it has closed both, what it is sent now is answered with a reset. One that has
        said no before reads what it throws away.
        """
        self.over()
        self._halfClosed = True
        if self._doubted:
            self.refused()

    @property
    def settling(self) -> bool:
        """Whether a peer that has closed its side has taken frames that time still settles."""
        return self._draining and self.held > 0 and not self._frames.refused

    @property
    def turnedAway(self) -> bool:
        """Whether nothing more is settled: the peer has said no."""
        return self._frames.refused

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
        self._counted = now - self._stood
        return self._counted

    def _look(self, ours: bool = False) -> int:
        connection, time = self._connection, self._time()
        frames = connection.framesIn if self._heard and not self._doubted else 0
        settled = self._frames.settle(time, frames, connection.bytesIn, ours, self._crowded())
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

    # -- what the peer says ----------------------------------------------------------------

    def _listen(self) -> None:
        """Look at the peer's next frame: it may be a refusal."""
        self._listening = self._connection.expect(_ANY)
        self._listening.addCallbacks(self._said, lambda _: None)

    def _said(self, match: re.Match[bytes]) -> None:
        self._heard += 1
        self._doubted = looks_like_refusal(match.string)
        if self._doubted:
            if self._halfClosed or self._draining:
                self.refused()
        elif self._heard < LISTENED:
            self._listen()
