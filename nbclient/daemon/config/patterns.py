"""Regular expressions from the command line, which no frame can keep busy for long.

A pattern that backtracks may need hours for forty bytes that a peer chose. The
`regex` module gives up after a time; `re` does not. And what takes a little less than
that time, frame after frame, has a budget of each second.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import regex
from attrs import field, frozen

from nbclient.errors import PatternTimeout

LIMIT = 0.1
"""How long a pattern may take on one frame, seconds."""

BUDGET = 0.25
"""How long slow matches may take together, seconds of each second."""

SLOW = 0.001
"""A match that takes longer is slow, seconds: in 4 KiB a sane pattern takes a fiftieth."""

WATCHED = 100
"""So many matches behind a slow one are measured exactly, which costs 4 microseconds each."""


class Budget:
    """What slow matches have taken of late, by all patterns that share it.

    A peer whose every frame takes a little less than `LIMIT` would otherwise have all of
    this process. Fast matches are free, however many they are.

    :param now: seconds on a monotonic scale.
    :param cpu: seconds that this thread has worked: it may have been stopped meanwhile.
    :ivar watched: so many matches are still to be measured.
    """

    def __init__(
        self,
        now: Callable[[], float] = time.monotonic,
        cpu: Callable[[], float] = time.thread_time,
    ) -> None:
        self.now = now
        self.cpu = cpu
        self.watched = 0
        self._taken = 0.0
        self._at = now()

    @property
    def left(self) -> float:
        """How long the next match may take, seconds."""
        now = self.now()
        self._taken = max(0.0, self._taken - (now - self._at) * BUDGET)
        self._at = now
        return min(LIMIT, max(SLOW, BUDGET - self._taken))

    def charge(self, seconds: float) -> None:
        """A match took so long."""
        if seconds <= SLOW:
            self.watched -= 1
        else:
            self.watched = WATCHED
            self._taken += seconds


SHARED = Budget()
"""Of all patterns of the process, which has one link."""


@frozen
class Pattern:
    """As a compiled pattern of `re`, as far as it is needed here.

    :ivar pattern: its text.
    :ivar budget: what its slow matches are charged to.
    :raises re.error: it is no regular expression of Python's.
    """

    pattern: bytes
    budget: Budget = field(default=SHARED, eq=False, repr=False)
    _compiled: Any = field(init=False, eq=False, repr=False)

    @_compiled.default
    def _compile(self) -> Any:
        re.compile(self.pattern)  # no more is promised than what Python's own knows
        return regex.compile(self.pattern, regex.DOTALL | regex.VERSION0)

    @property
    def groups(self) -> int:
        """How many groups it has."""
        return int(self._compiled.groups)

    def search(self, data: bytes) -> Any:
        """The first match in `data`, or None.

        :raises PatternTimeout: it takes longer than `LIMIT`, or slow matches together
            longer than `BUDGET`.
        """
        budget = self.budget
        if budget.watched > 0:
            return self._measured(data, budget)
        began = budget.now()
        try:
            found = self._compiled.search(data, timeout=LIMIT)
        except TimeoutError:
            raise PatternTimeout(LIMIT, self.pattern) from None
        if budget.now() - began > SLOW:  # or this process stood still: the next ones show
            budget.watched = WATCHED
        return found

    def _measured(self, data: bytes, budget: Budget) -> Any:
        """The same, charged: one of the matches before was slow."""
        left = budget.left
        began = budget.cpu()
        try:
            found = self._compiled.search(data, timeout=left)
        except TimeoutError:
            budget.charge(left)
            each_second = left < LIMIT
            limit = BUDGET if each_second else LIMIT
            raise PatternTimeout(limit, self.pattern, each_second) from None
        budget.charge(budget.cpu() - began)
        return found

    def check(self, template: bytes) -> None:
        """Whether an answer can be made of what it matches.

        :raises re.error, IndexError: the template names a group that is not there.
        """
        re.compile(self.pattern).sub(template, b"")
