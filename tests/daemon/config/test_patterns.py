"""Patterns from the command line: nothing a peer sends can keep them busy."""

from __future__ import annotations

import re
import time

import pytest

from nbclient.daemon.config.patterns import BUDGET, LIMIT, SLOW, WATCHED, Budget, Pattern
from nbclient.errors import PatternTimeout


def test_it_finds_what_re_would() -> None:
    pattern = Pattern(rb"^a(.)c")
    found = pattern.search(b"a\nc d")
    assert (found[0], found[1], found.expand(rb"<\1>")) == (b"a\nc", b"\n", b"<\n>")
    assert pattern.search(b"abd") is None
    assert (pattern.groups, pattern.pattern) == (1, rb"^a(.)c")
    assert found.re.groups == 1


def test_two_of_one_text_are_the_same() -> None:
    assert Pattern(b"a") == Pattern(b"a") != Pattern(b"b")
    assert "_compiled" not in repr(Pattern(b"a"))


@pytest.mark.parametrize(
    ("text", "frame"),
    [
        (rb"(.*),(.*),(.*),(.*),(.*)x", b"abc," * 900),
        (rb"(a|aa)+$", b"a" * 4000 + b"!"),
        (rb"(.*)*x(.*)*y(.*)*z", b"x" * 300 + b"y" * 300),
    ],
)
def test_a_frame_made_to_keep_it_busy_is_the_peers_fault(text: bytes, frame: bytes) -> None:
    """What `re` would need for the first of these is minutes, for the others more than a life."""
    began = time.process_time()
    with pytest.raises(PatternTimeout, match=r"took more than 0\.1 s"):
        Pattern(text).search(frame)
    # Not how long, but that it ended: a hundred times what it is given.
    assert time.process_time() - began < 100 * LIMIT


def test_what_is_no_pattern_or_no_template_is_refused() -> None:
    with pytest.raises(re.error):
        Pattern(b"(")
    Pattern(b"(a)").check(rb"\1")
    with pytest.raises(re.error):
        Pattern(b"(a)").check(rb"\2")


# -- the budget of a second --------------------------------------------------------------


class Worker:
    """A thread whose matches take what the test says, of its own time and of the clock's."""

    def __init__(self) -> None:
        self.time = self.worked = 0.0
        self.budget = Budget(lambda: self.time, lambda: self.worked)
        self.pattern = Pattern(b"x", budget=self.budget)
        object.__setattr__(self.pattern, "_compiled", self)
        self.takes = self.stands = 0.0
        self.timeouts: list[float] = []

    def search(self, data: bytes, timeout: float) -> None:
        """As a compiled pattern of `regex`."""
        self.timeouts.append(timeout)
        took = min(self.takes, timeout)
        self.worked += took
        self.time += took + self.stands
        if self.takes > timeout:
            raise TimeoutError

    def match(self, takes: float, stands: float = 0.0, pause: float = 0.0) -> None:
        """One match, which takes so long; the process stands still meanwhile, idles after."""
        self.takes, self.stands = takes, stands
        self.pattern.search(b"")
        self.time += pause

    def matches(self, count: int, takes: float) -> None:
        """One behind the other."""
        for _ in range(count):
            self.match(takes)


def test_matches_that_take_a_little_less_than_one_may_are_stopped_together() -> None:
    worker = Worker()
    began = worker.worked
    with pytest.raises(PatternTimeout, match=r"took more than 0\.25 s of a second"):
        worker.matches(100, 0.9 * LIMIT)
    assert worker.worked - began < BUDGET + 3 * LIMIT


def test_the_first_slow_one_has_a_limit_of_its_own() -> None:
    worker = Worker()
    with pytest.raises(PatternTimeout, match=r"took more than 0\.1 s"):
        worker.match(2 * LIMIT)
    assert worker.timeouts == [LIMIT]


def test_what_is_left_of_the_budget_is_the_limit_of_the_next() -> None:
    worker = Worker()
    worker.matches(4, 0.9 * LIMIT)
    with pytest.raises(PatternTimeout, match="of a second") as caught:
        worker.match(50.0)
    assert caught.value.each_second
    assert SLOW < worker.timeouts[-1] < LIMIT


def test_slow_ones_now_and_then_are_let_be() -> None:
    worker = Worker()
    for _ in range(100):
        worker.match(0.9 * LIMIT, pause=0.5)


def test_fast_ones_are_free_however_many_there_are() -> None:
    worker = Worker()
    worker.match(2 * SLOW)
    for _ in range(10 * WATCHED):
        worker.match(0.9 * SLOW)
    assert worker.budget.watched == 0


def test_a_process_that_stood_still_was_not_at_work() -> None:
    worker = Worker()
    for _ in range(10):
        worker.match(2 * SLOW, stands=60.0)


def test_one_that_takes_too_long_by_itself_is_said_to() -> None:
    worker = Worker()
    worker.match(2 * SLOW)
    with pytest.raises(PatternTimeout, match=r"took more than 0\.1 s on a frame"):
        worker.match(50.0)


def test_the_patterns_of_a_process_share_one_budget() -> None:
    assert Pattern(b"a").budget is Pattern(b"b").budget
