"""What is worth a line while a link is not up."""

from __future__ import annotations

import pytest

from nbclient.core.outage import MOST, Outage, duration


def test_milestones_come_ever_later_and_then_each_hour() -> None:
    outage = Outage(100.0)
    seen = []
    for _ in range(6):
        seen.append(outage.due - 100.0)
        outage.passed()
    assert seen == [60, 600, 3600, 7200, 10800, 14400]
    assert outage.warned


def test_a_kind_of_reason_is_news_once_and_not_too_many_are() -> None:
    outage = Outage(0.0)
    assert outage.news("refused")
    assert not outage.news("refused")
    assert sum(outage.news(f"kind {number}") for number in range(50)) == MOST - 1


def test_a_success_begins_anew_and_what_was_told_is_told() -> None:
    outage = Outage(0.0)
    outage.news("refused")
    outage.attempts = 9
    outage.passed()
    outage.restart(70.0)
    assert outage.due == 130.0
    assert (outage.attempts, outage.warned) == (0, False)
    assert not outage.news("refused")


def test_how_long_and_how_often() -> None:
    outage = Outage(0.0)
    outage.attempts = 1
    assert outage.lasted(12.34) == "12.3 s, 1 attempt"
    outage.attempts = 2
    assert outage.lasted(60.0) == "1 min, 2 attempts"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.04, "0.0 s"),
        (59.9, "59.9 s"),
        (60, "1 min"),
        (3540, "59 min"),
        (3599, "1 h"),
        (3660, "1 h 1 min"),
        (7200, "2 h"),
        (47 * 3600, "47 h"),
        (50 * 3600, "2 d 2 h"),
    ],
)
def test_a_length_of_time_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words
