"""The watch, which stands still while nobody listens, and the rule for a dead path."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from nbclient.core.liveness import (
    SHORTEST,
    DeadPath,
    KeepAlive,
    Watch,
    dead,
    keepalive_for,
    probe_gap,
)


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


# -- the dead path


@frozen
class Look:
    """What the kernel knows, as far as the rule asks."""

    retransmits: int = 0
    probes: int = 0
    last_ack_recv: int = 0


SILENT = 61_000
"""Milliseconds, longer than the limit of most tests here."""


@pytest.mark.parametrize(
    ("look", "outstanding", "verdict"),
    [
        (Look(retransmits=3, last_ack_recv=SILENT), True, True),
        (Look(probes=1, last_ack_recv=SILENT), True, True),
        (Look(retransmits=3, last_ack_recv=60_000), True, False),
        (Look(last_ack_recv=SILENT), True, False),
        (Look(probes=1, last_ack_recv=SILENT), False, False),
    ],
    ids=["sent again", "asked", "not for long enough", "nobody asked", "nothing is owed"],
)
def test_a_path_is_dead_that_owes_an_answer_for_longer_than_the_limit(
    look: Look, outstanding: bool, verdict: bool
) -> None:
    assert dead(look, outstanding, 60) is verdict


def first_verdict(
    path: DeadPath, looks: Callable[[float], Look | None], until: float
) -> float | None:
    """Look at intervals, as a link does; when the path was found dead.

    :param looks: what the kernel says at a time; None where nothing is outstanding.
    """
    steps = range(int(until / path.interval) + 1)
    for now in (step * path.interval for step in steps):
        look = looks(now)
        if path.look(now, look or Look(), look is not None):
            return now
    return None


@given(st.floats(2, 600), st.floats(0, 1), st.floats(0.01, 0.4))
def test_a_dead_path_is_noticed_within_the_limit_and_not_much_before(
    limit: float, phase: float, timeout: float
) -> None:
    path = DeadPath(limit)
    died = limit + phase * path.interval
    last_ack = died - 0.001

    def looks(now: float) -> Look | None:
        if now <= died:
            return None
        again = int(now > died + timeout * limit)
        return Look(retransmits=again, last_ack_recv=int((now - last_ack) * 1000))

    found = first_verdict(path, looks, 3 * limit)
    assert found is not None
    assert 0.9 * limit - 0.01 <= found - died <= limit + 0.01


def test_a_stream_that_is_acknowledged_is_never_dead_though_data_is_always_outstanding() -> None:
    def looks(now: float) -> Look:
        return Look(retransmits=int(now) % 2, last_ack_recv=200)

    assert first_verdict(DeadPath(60), looks, 6000) is None


@given(st.floats(2, 120), st.floats(0, 1))
def test_a_live_peer_that_does_not_read_is_never_dead(gap: float, round_trip: float) -> None:
    """The kernel asks every two minutes at the latest, and is answered a little later.

    Between question and answer a single look takes the peer for dead.
    """
    path = DeadPath(60)
    round_trip *= min(gap, path.limit / 4 - path.interval)

    def looks(now: float) -> Look:
        since_asked = now % gap
        answered = since_asked >= round_trip
        age = since_asked - round_trip + (0 if answered else gap)
        return Look(probes=int(not answered), last_ack_recv=int(age * 1000))

    assert first_verdict(path, looks, 600) is None


def test_a_single_look_does_take_such_a_peer_for_dead() -> None:
    """Or the test above would show nothing."""
    assert dead(Look(probes=1, last_ack_recv=120_000), True, 60)
    assert not DeadPath(60).look(0, Look(probes=1, last_ack_recv=120_000), True)


def test_one_packet_lost_after_a_long_silence_is_no_dead_path() -> None:
    """The last acknowledgement is an hour old because nothing was sent, not because it failed."""
    path = DeadPath(60)
    assert not path.look(0, Look(last_ack_recv=3_600_000), False)
    lost = Look(retransmits=1, last_ack_recv=3_600_300)
    assert dead(lost, True, 60)
    assert not any(path.look(now, lost, True) for now in range(3, 50, 3))


def test_what_was_outstanding_before_does_not_count_once_it_was_acknowledged() -> None:
    path = DeadPath(60)
    again = Look(retransmits=2, last_ack_recv=SILENT)
    path.look(0, again, True)
    path.look(50, Look(), False)
    assert not path.look(53, again, True)
    assert not path.look(103, again, True)
    assert path.look(107, again, True)


def test_a_question_just_asked_gets_a_quarter_of_the_limit() -> None:
    path = DeadPath(60)
    path.look(0, Look(), True)
    unasked, asked = Look(last_ack_recv=100_000), Look(probes=1, last_ack_recv=100_000)
    assert not path.look(90, unasked, True)
    assert not path.look(93, asked, True)
    assert not path.look(105, asked, True)
    assert path.look(108, asked, True)


def test_an_answer_in_between_begins_a_new_quarter() -> None:
    path = DeadPath(60)
    asked = Look(probes=1, last_ack_recv=100_000)
    path.look(0, Look(), True)
    path.look(90, asked, True)
    path.look(102, Look(), True)
    assert not path.look(190, asked, True)
    assert path.look(205, asked, True)


@pytest.mark.parametrize("limit", [0, 1.9, -1, float("nan")])
def test_a_limit_too_short_to_tell_is_refused(limit: float) -> None:
    with pytest.raises(ValueError, match="limit"):
        DeadPath(limit)
    with pytest.raises(ValueError, match="less than 2 s"):
        keepalive_for(limit)


@given(st.floats(SHORTEST, 1e9))
def test_keepalive_ends_an_idle_connection_within_the_limit(limit: float) -> None:
    values = keepalive_for(limit)
    assert min(values.idle, values.interval, values.count) >= 1
    assert values.idle <= 32767  # what Linux takes
    total = values.idle + values.count * values.interval
    assert total <= (limit if limit < 5 else 0.9 * limit)


def test_keepalive_asks_three_times_where_there_is_time_for_it() -> None:
    assert keepalive_for(60) == KeepAlive(idle=30, interval=8, count=3)
    assert keepalive_for(2) == KeepAlive(idle=1, interval=1, count=1)


def test_the_kernel_asks_four_times_within_the_limit_as_far_as_it_can() -> None:
    assert [probe_gap(limit) for limit in (2, 60, 480, 10_000)] == [1, 15, 120, 120]
