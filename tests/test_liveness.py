"""The watch: a limit on silence that stands still while nobody listens."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nbclient.liveness import Watch


def test_time_runs_from_the_last_sign() -> None:
    watch = Watch(limit=10, since=100)
    assert watch.remaining(100) == 10
    assert watch.remaining(104) == 6
    watch.seen(105)
    assert watch.remaining(106) == 9


def test_the_limit_has_passed_when_nothing_remains_and_not_before() -> None:
    watch = Watch(limit=10, since=100)
    assert not watch.expired(109.9)
    assert watch.expired(110)
    assert watch.expired(1000)
    assert watch.remaining(112) == -2


def test_while_held_it_stands_still_because_silence_then_says_nothing_about_the_peer() -> None:
    watch = Watch(limit=10, since=100)
    watch.hold(104)
    assert watch.remaining(104) == 6
    assert watch.remaining(9999) == 6
    assert not watch.expired(9999)


def test_after_the_release_it_counts_on_from_where_it_was_held() -> None:
    watch = Watch(limit=10, since=100)
    watch.hold(104)
    watch.release(500)
    assert watch.remaining(500) == 6
    assert watch.remaining(505) == 1
    assert watch.expired(506)


def test_a_second_hold_changes_nothing_so_that_the_first_counts() -> None:
    watch = Watch(limit=10, since=100)
    watch.hold(104)
    watch.hold(108)
    watch.release(200)
    assert watch.remaining(200) == 6


def test_a_release_without_a_hold_changes_nothing() -> None:
    watch = Watch(limit=10, since=100)
    watch.release(105)
    assert watch.remaining(105) == 5


def test_a_second_release_changes_nothing() -> None:
    watch = Watch(limit=10, since=100)
    watch.hold(101)
    watch.release(103)
    watch.release(109)
    assert watch.remaining(109) == 3


def test_a_sign_while_held_gives_the_whole_limit_back_from_the_release_on() -> None:
    # What the transport had read already still arrives while reading is held.
    watch = Watch(limit=10, since=100)
    watch.hold(104)
    watch.seen(106)
    assert watch.remaining(300) == 10
    watch.release(300)
    assert watch.remaining(300) == 10
    assert watch.expired(310)


def test_it_can_be_held_again_after_a_release() -> None:
    watch = Watch(limit=10, since=0)
    for start in (1, 11, 21):
        watch.hold(start)
        watch.release(start + 9)
    assert watch.remaining(30) == 7


@given(
    st.lists(
        st.tuples(st.sampled_from(["seen", "hold", "release", "pass"]), st.integers(0, 50)),
        max_size=40,
    )
)
def test_what_has_passed_is_the_time_not_held_since_the_last_sign(
    steps: list[tuple[str, int]],
) -> None:
    watch, now, passed, held = Watch(limit=100, since=0), 0, 0, False
    for verb, seconds in steps:
        now += seconds
        passed += 0 if held else seconds
        if verb == "seen":
            passed = 0
            watch.seen(now)
        elif verb != "pass":
            held = verb == "hold"
            getattr(watch, verb)(now)
        assert watch.remaining(now) == 100 - passed
        assert watch.expired(now) == (passed >= 100)
