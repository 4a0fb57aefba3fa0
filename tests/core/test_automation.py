"""What a link says by itself, and when."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbclient.core.automation import LOOK, Answer, Heartbeat, Poll, Polling, first_answer

PING = Answer(re.compile(rb"^PING (.*)"), rb"PONG \1")


def test_an_answer_repeats_what_its_pattern_found() -> None:
    assert PING.to(b"PING :irc.example") == b"PONG :irc.example"
    assert PING.to(b"NOTICE PING x") is None


def test_the_first_match_wins() -> None:
    answers = [PING, Answer(re.compile(rb"P"), b"second")]
    assert first_answer(answers, b"PING x") == b"PONG x"
    assert first_answer(answers, b"P") == b"second"
    assert first_answer(answers, b"x") is None


def test_a_pattern_sees_only_the_beginning_of_a_long_frame() -> None:
    late = Answer(re.compile(b"end"), b"found")
    assert late.to(b"x" * (LOOK - 3) + b"end") == b"found"
    assert late.to(b"x" * LOOK + b"end") is None


def test_a_heartbeat_is_due_after_the_last_thing_sent() -> None:
    assert Heartbeat(b"", 30).due(100.0) == 130.0


@pytest.mark.parametrize("make", [lambda: Heartbeat(b"", 0), lambda: Poll(b"", 0)])
def test_figures_that_make_no_sense_are_refused(make: object) -> None:
    with pytest.raises(ValueError, match="every"):
        make()  # type: ignore[operator]


def test_a_poll_is_asked_on_a_fixed_schedule_while_it_is_answered() -> None:
    polling = Polling(Poll(b"?", every=2), start=10)
    asked = []
    now = 9.0
    for _ in range(3):
        now = polling.due(now)
        assert polling.tick(now)
        asked.append(now)
        now += 0.7
        polling.heard()
    assert asked == [10, 12, 14]
    assert (polling.asked, polling.unanswered) == (3, 0)


def test_ticks_missed_while_an_answer_is_awaited_are_skipped() -> None:
    polling = Polling(Poll(b"?", every=2, timeout=60), start=0)
    assert polling.tick(0)
    assert not polling.tick(2)
    assert not polling.tick(4)
    polling.heard()  # at 5.5
    assert polling.due(5.5) == 6
    assert polling.tick(6)
    assert polling.unanswered == 0


def test_a_poll_that_is_never_answered_is_given_up_and_asked_again_at_a_tick() -> None:
    polling = Polling(Poll(b"?", every=2, timeout=5), start=0)
    assert [now for now in range(0, 20, 2) if polling.tick(now)] == [0, 6, 12, 18]
    assert (polling.asked, polling.unanswered) == (4, 3)


@given(st.lists(st.tuples(st.floats(0, 20), st.booleans()), max_size=50))
def test_never_two_questions_without_an_answer_or_the_timeout_between(
    steps: list[tuple[float, bool]],
) -> None:
    polling = Polling(Poll(b"?", every=3, timeout=7), start=0)
    now, last, answered = 0.0, None, True
    for wait, heard in steps:
        if heard:
            polling.heard()
            answered = True
        due = polling.due(now + wait)
        assert now + wait < due <= now + wait + 3.001
        now = due
        if polling.tick(now):
            assert answered or last is None or now - last >= 7
            last, answered = now, False
