"""What may happen very often, and is worth a line: the first at once, then numbers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.interfaces import IDelayedCall

EVERY = 60.0
"""Seconds at least between two lines of one kind."""

Say = Callable[[int, float], object]
"""Told how many, and within how many seconds; the first time within 0."""


class Tally:
    """Counts events of one kind; says the first at once, then their number once a minute.

    What comes while there is no clock is said once there is one.

    :param say: writes the line.
    :param every: seconds at least from one line to the next.
    """

    __slots__ = ("_clock", "_every", "_pending", "_say", "_timer")

    def __init__(self, say: Say, every: float = EVERY) -> None:
        self._say = say
        self._every = every
        self._pending = 0
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
        """Nothing is said later: at an end the totals are told."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        self._pending = 0

    def _tell(self, within: float) -> None:
        pending, self._pending = self._pending, 0
        self._timer = self._clock.callLater(self._every, self._due)
        self._say(pending, within)

    def _due(self) -> None:
        self._timer = None
        if self._pending:
            self._tell(self._every)


class Tallies:
    """The tallies of one link, one for each text.

    :param warn: logs a line: a text and what is put into it.
    :param name: what the link is called.
    """

    __slots__ = ("_details", "_name", "_tallies", "_warn")

    def __init__(self, warn: Callable[..., object], name: Callable[[], str]) -> None:
        self._warn = warn
        self._name = name
        self._tallies: dict[str, Tally] = {}
        self._details: dict[str, dict[str, object]] = {}

    def count(self, text: str, number: int, clock: Any, **details: object) -> None:
        """So many more of this kind; see `Tally.count`.

        :param text: with ``{link}``, ``{number}``, ``{within}`` (empty the first time) and
            the details, of which the last are told.
        """
        self._details[text] = details
        if text not in self._tallies:
            self._tallies[text] = Tally(partial(self._say, text))
        self._tallies[text].count(number, clock)

    def stop(self) -> None:
        """Nothing is said later."""
        for tally in self._tallies.values():
            tally.stop()

    def _say(self, text: str, number: int, within: float) -> None:
        self._warn(
            text,
            link=self._name(),
            number=number,
            within=f" in the last {within:.0f} s" if within else "",
            **self._details[text],
        )
