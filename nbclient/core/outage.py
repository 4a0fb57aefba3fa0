"""What is worth a line of the log while a link is not up: its beginning, a few milestones, its end.

A link that dials for a day makes some two thousand attempts. One line for each hides all
else, and none at all hides the outage.
"""

from __future__ import annotations

from typing import Any

MILESTONES = (60.0, 600.0, 3600.0)
"""Seconds of an outage after which it is warned of; then each time that the last passes again."""

MOST = 8
"""So many kinds of reasons of one outage are worth a line."""


class Outage:
    """One time in which a link is not up for long.

    All times are seconds on one monotonic scale that the caller chooses.

    :param since: when it began.

    :ivar attempts: failed attempts, and connections that did not last.
    :ivar warned: a milestone has passed.
    :ivar flapping: it was up within, too briefly to be the end.
    :ivar up: how long the connection was ready that was lost last, seconds; None: none was.
    :ivar timer: its owner's.
    """

    __slots__ = ("_kinds", "_passed", "attempts", "flapping", "since", "timer", "up", "warned")

    def __init__(self, since: float) -> None:
        self.since = since
        self.attempts = 0
        self.warned = False
        self.flapping = False
        self.up: float | None = None
        self.timer: Any = None
        self._passed = 0
        self._kinds: tuple[str, ...] = ()

    @property
    def due(self) -> float:
        """When the next milestone passes."""
        more = self._passed - len(MILESTONES) + 1
        if more <= 0:
            return self.since + MILESTONES[self._passed]
        return self.since + MILESTONES[-1] * (1 + more)

    def passed(self) -> None:
        """The next milestone has passed."""
        self._passed += 1
        self.warned = True

    def news(self, kind: str) -> bool:
        """Whether something of this kind is worth a line: the first, and of not too many."""
        if kind in self._kinds or len(self._kinds) == MOST:
            return False
        self._kinds = (*self._kinds, kind)
        return True

    def restart(self, now: float) -> None:
        """The connection lost last was a success, if a short one: it begins anew, told already."""
        self.since = now
        self.attempts = 0
        self.warned = False
        self._passed = 0

    def lasted(self, now: float) -> str:
        """How long, and how many attempts, in words."""
        noun = "attempt" if self.attempts == 1 else "attempts"
        return f"{duration(now - self.since)}, {self.attempts} {noun}"


def duration(seconds: float) -> str:
    """A length of time in words, as exact as its length deserves."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{hours // 24} d {hours % 24} h"
