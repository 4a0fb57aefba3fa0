"""The back-off: full jitter under a growing cap, and what that does to a herd."""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Callable
from random import Random

import pytest
from attrs.exceptions import FrozenInstanceError
from hypothesis import given
from hypothesis import strategies as st

from nbclient.core.backoff import Backoff
from nbclient.errors import ArgumentError

POLICIES = st.builds(
    Backoff,
    initial=st.floats(0.001, 100),
    maximum=st.floats(0.001, 10_000),
    factor=st.floats(1, 10),
)


def lowest() -> float:
    """The least that `random.random` returns."""
    return 0.0


def highest() -> float:
    """The most that `random.random` returns."""
    return math.nextafter(1.0, 0.0)


# -- one client


@given(POLICIES, st.integers(1, 10**6), st.floats(0, 1, exclude_max=True))
def test_a_delay_lies_between_nothing_and_the_cap_whatever_the_dice_say(
    policy: Backoff, failures: int, drawn: float
) -> None:
    assert 0 <= policy.delay(failures, lambda: drawn) <= policy.cap(failures) <= policy.maximum


def test_the_jitter_is_full_so_that_a_delay_may_be_anything_from_zero_to_the_cap() -> None:
    policy = Backoff(initial=8, maximum=60)
    assert policy.delay(1, lowest) == 0
    assert policy.delay(1, lambda: 0.25) == 2
    assert policy.delay(1, highest) == pytest.approx(8)


def test_the_cap_doubles_from_the_initial_to_the_maximum_and_stays_there() -> None:
    caps = [Backoff().cap(failures) for failures in range(1, 11)]
    assert caps == [0.5, 1, 2, 4, 8, 16, 32, 60, 60, 60]


@given(POLICIES, st.integers(1, 2000))
def test_the_cap_never_shrinks_from_one_failure_to_the_next(policy: Backoff, failures: int) -> None:
    assert policy.cap(failures) <= policy.cap(failures + 1)


def test_a_factor_of_one_waits_the_same_for_ever() -> None:
    assert {Backoff(factor=1).cap(failures) for failures in (1, 2, 50, 10**6)} == {0.5}


def test_a_maximum_below_the_initial_bounds_the_first_delay_too() -> None:
    assert Backoff(initial=5, maximum=2).cap(1) == 2


@pytest.mark.parametrize(
    "policy",
    [Backoff(), Backoff(factor=1.001), Backoff(initial=0.5, maximum=60), Backoff(1, 60, 2)],
    ids=["floats", "slow growth", "whole maximum", "whole numbers"],
)
def test_months_of_failures_do_not_overflow(policy: Backoff) -> None:
    # 2.0 ** 1024 is no float any more; at one attempt in 30 s that is nine hours.
    assert policy.cap(1024) <= 60
    assert policy.cap(10**6) == 60


# -- giving up


@given(st.floats(0.001, 60), st.integers(1, 100), st.floats(0, 1, exclude_max=True))
def test_no_wait_is_shorter_than_the_least(least: float, failures: int, die: float) -> None:
    policy = Backoff(least=least)
    assert least <= policy.delay(failures, lambda: die) <= policy.maximum


def test_above_the_least_there_is_jitter_all_the_same() -> None:
    policy = Backoff(initial=0.5, least=30)
    assert policy.delay(1, lowest) == 30
    assert policy.delay(1, highest) == pytest.approx(30.5)
    assert policy.delay(20, highest) == pytest.approx(60)


def test_a_least_above_the_maximum_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"least takes at most 'maximum' \(60 s\), not 61"):
        Backoff(least=61)


def test_without_a_limit_the_link_never_gives_up() -> None:
    assert not Backoff().exhausted(10**6)


@pytest.mark.parametrize("retries", [0, 1, 5])
def test_retries_are_the_attempts_after_the_first_failed(retries: int) -> None:
    policy = Backoff(retries=retries)
    assert not policy.exhausted(retries)
    assert policy.exhausted(retries + 1)


# -- the policy as a value


@pytest.mark.parametrize(
    ("name", "figure"),
    [
        ("initial", 0),
        ("initial", -1),
        ("initial", math.nan),
        ("maximum", 0),
        ("maximum", -1),
        ("maximum", math.nan),
        ("factor", 0.99),
        ("factor", math.nan),
        ("retries", -1),
        ("stable_after", -0.1),
        ("stable_after", math.nan),
    ],
)
def test_a_figure_that_makes_no_sense_is_refused_by_name(name: str, figure: float) -> None:
    with pytest.raises(ValueError, match=name):
        Backoff(**{name: figure})  # type: ignore[arg-type]


def test_half_a_retry_is_no_number_of_retries() -> None:
    with pytest.raises(ValueError, match="retries"):
        Backoff(retries=1.5)  # type: ignore[arg-type]


def test_the_least_figures_that_make_sense_are_accepted() -> None:
    policy = Backoff(initial=1e-9, maximum=1e-9, factor=1, retries=0, stable_after=0)
    assert policy.cap(3) == 1e-9


def test_a_policy_is_a_value_so_that_many_links_can_share_and_compare_it() -> None:
    assert Backoff(maximum=30) == Backoff(maximum=30) != Backoff()
    assert len({Backoff(), Backoff(), Backoff(retries=3)}) == 2


def test_a_policy_cannot_change_under_the_links_that_share_it() -> None:
    with pytest.raises(FrozenInstanceError):
        Backoff().maximum = 1  # type: ignore[misc]


# -- a herd, as a simulation: no clock, a seeded random

CLIENTS = 10_000


def peak_and_mean(times: list[float], begin: float, end: float) -> tuple[int, float]:
    """The busiest whole second of ``[begin, end)``, and the mean of them all."""
    seconds = Counter(int(time - begin) for time in times if begin <= time < end)
    return max(seconds.values()), seconds.total() / (end - begin)


def attempts_during(policy: Backoff, outage: float, random: Callable[[], float]) -> list[float]:
    """When `CLIENTS` cut off at 0 dial until `outage` is over; then each gets in."""
    due = [(policy.delay(1, random), 1) for _ in range(CLIENTS)]
    heapq.heapify(due)
    times = []
    while due:
        time, failures = due[0]
        times.append(time)
        if time >= outage:
            heapq.heappop(due)
        else:
            again = time + policy.delay(failures + 1, random)
            heapq.heapreplace(due, (again, failures + 1))
    return times


@pytest.mark.parametrize("failures", range(4, 10))
def test_clients_cut_off_together_come_back_spread_evenly_over_the_cap(failures: int) -> None:
    policy, random = Backoff(), Random(failures).random
    times = [policy.delay(failures, random) for _ in range(CLIENTS)]
    peak, mean = peak_and_mean(times, 0, policy.cap(failures))
    assert peak <= 2 * mean


def test_a_server_that_returns_after_a_common_loss_meets_no_storm() -> None:
    outage = 300.0
    times = attempts_during(Backoff(), outage, Random(7).random)
    peak, mean = peak_and_mean(times, 120, outage)
    assert peak <= 2 * mean
    # It returns to the same trickle, and within one cap every client is back.
    first, _ = peak_and_mean(times, outage, outage + 60)
    assert first <= 2 * mean
    assert max(times) < outage + 60


def test_without_the_jitter_the_same_herd_would_come_as_one() -> None:
    # A test of the tests above: they must be able to fail.
    peak, mean = peak_and_mean(attempts_during(Backoff(), 300.0, lambda: 0.5), 120, 300)
    assert peak > 20 * mean


@pytest.mark.parametrize("figure", ["initial", "maximum", "factor", "stable_after"])
def test_a_figure_without_end_is_none(figure: str) -> None:
    """An endless maximum times a random part is no number at all in the end."""
    with pytest.raises(ValueError, match=f"^Backoff: {figure} takes a number.*, not inf$"):
        Backoff(**{figure: float("inf")})
