"""The first of many at once, then their number once a minute."""

from __future__ import annotations

from twisted.internet.task import Clock

from nbclient.link.tally import EVERY, Tallies, Tally


class Said(list[tuple[int, float]]):
    """What was said: how many, and within how many seconds."""

    def __call__(self, number: int, within: float) -> None:
        self.append((number, within))


def made() -> tuple[Clock, Said, Tally]:
    said = Said()
    return Clock(), said, Tally(said)


def test_the_first_is_said_at_once_and_what_follows_once_a_minute() -> None:
    clock, said, tally = made()
    tally.count(2, clock)
    assert said == [(2, 0.0)]
    for _ in range(50):
        clock.advance(1)
        tally.count(1, clock)
    assert len(said) == 1
    clock.advance(EVERY - 50)
    assert said[1:] == [(50, EVERY)]
    clock.advance(1)
    tally.count(3, clock)
    assert len(said) == 2
    clock.advance(EVERY)
    assert said[2:] == [(3, EVERY)]


def test_after_a_quiet_minute_the_next_is_said_at_once() -> None:
    clock, said, tally = made()
    tally.count(1, clock)
    clock.advance(EVERY)
    assert clock.getDelayedCalls() == []
    tally.count(4, clock)
    assert said == [(1, 0.0), (4, 0.0)]


def test_at_the_end_nothing_more_is_said() -> None:
    """The totals are, by others."""
    clock, said, tally = made()
    tally.count(1, clock)
    tally.count(5, clock)
    tally.stop()
    assert said == [(1, 0.0)]
    assert clock.getDelayedCalls() == []
    tally.stop()
    tally.count(2, clock)
    assert said[1:] == [(2, 0.0)]
    tally.stop()


def test_what_comes_before_there_is_a_clock_is_said_once_there_is_one() -> None:
    clock, said, tally = made()
    tally.count(3, None)
    assert said == []
    tally.count(1, clock)
    assert said == [(4, 0.0)]


def test_each_text_has_its_own_and_the_last_details_are_told() -> None:
    clock = Clock()
    lines: list[str] = []

    def warn(text: str, **values: object) -> None:
        lines.append(text.format(**values))

    tallies = Tallies(warn, lambda: "feed")
    text = "{link}: {number} dropped{within}: {why}"
    tallies.count(text, 1, clock, why="full")
    tallies.count("{link}: {number} too old{within}", 7, clock)
    tallies.count(text, 2, clock, why="full")
    tallies.count(text, 3, clock, why="fuller")
    clock.advance(EVERY)
    assert lines == [
        "feed: 1 dropped: full",
        "feed: 7 too old",
        "feed: 5 dropped in the last 60 s: fuller",
    ]
    tallies.stop()
    assert clock.getDelayedCalls() == []
