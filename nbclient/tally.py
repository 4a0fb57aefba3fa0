"""What may happen very often, and is worth a line: the first at once, then numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall

EVERY = 60.0
"""Seconds at least between two lines of one kind."""

Say = Callable[[int, float], object]
"""Told how many, and within how many seconds; the first time within 0."""


class Tally:
    """Counts events of one kind; says the first at once, then their number once a minute.

    What comes while there is no clock is said once there is one, or at the end.

    :param say: writes the line.
    :param every: seconds at least from one line to the next.
    """

    __slots__ = ("_clock", "_every", "_pending", "_said", "_say", "_timer")

    def __init__(self, say: Say, every: float = EVERY) -> None:
        self._say = say
        self._every = every
        self._pending = 0
        self._said = 0.0
        self._timer: IDelayedCall | None = None

    def count(self, number: int, clock: Any) -> None:
        """So many more.

        :param clock: an `IReactorTime`, or None where there is none yet.
        """
        self._pending += number
        if self._timer is None and clock is not None:
            self._clock = clock
            self._tell(0.0)

    def stop(self) -> None:
        """Say what was not said yet; nothing is said later."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        if self._pending:
            within = 0.0 if timer is None else self._clock.seconds() - self._said
            pending, self._pending = self._pending, 0
            self._say(pending, within)

    def _tell(self, within: float) -> None:
        pending, self._pending = self._pending, 0
        self._said = self._clock.seconds()
        self._timer = self._clock.callLater(self._every, self._due)
        self._say(pending, within)

    def _due(self) -> None:
        self._timer = None
        if self._pending:
            self._tell(self._every)
