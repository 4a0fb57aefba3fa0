"""Fifty simulated lives of a link under faults; tools/simulate.py lives a thousand."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from nbclient.link.spooling import Spooling
from tests.conformance.scripts import script_as_module

LIVES = 50


@pytest.fixture(scope="module")
def simulation() -> Iterator[ModuleType]:
    """tools/simulate.py as a module."""
    with script_as_module("simulate") as module:
        yield module


def test_nothing_is_lost_or_doubled_that_the_level_does_not_allow(simulation: ModuleType) -> None:
    """On failure the message holds the seed, which lives the same life again."""
    assert list(simulation.run(range(1, LIVES + 1), jobs=1)) == []


def test_the_seeds_lead_everywhere(simulation: ModuleType) -> None:
    """Fifty plans have every level with and without a spool, every rule, every window."""
    plans = [simulation.Plan.draw(simulation.random.Random(seed)) for seed in range(1, LIVES + 1)]
    for level in ("written", "tcp", "reply"):
        assert {plan.spooled for plan in plans if plan.level == level} == {True, False}
    for name, least in (("when_full", 3), ("on_reject", 3), ("window", 3), ("max_age", 3)):
        assert len({getattr(plan, name) for plan in plans}) == least


def test_a_seed_is_the_same_life_every_time(simulation: ModuleType) -> None:
    def events(seed: int, folder: Path) -> list[str]:
        folder.mkdir(mode=0o700)
        world = simulation.World(seed, str(folder))
        with simulation.listening(world):
            world.live()
        return list(world.events)

    with tempfile.TemporaryDirectory() as place:
        assert events(3, Path(place, "a")) == events(3, Path(place, "b"))


# -- it can fail: each oracle notices what it is there for


def failure(simulation: ModuleType, wanted: str) -> str:
    """What the first life says that notices."""
    for seed in range(1, LIVES + 1):
        why = simulation.simulate(seed)
        if why is not None and wanted in why:
            return str(why)
    raise AssertionError(f"no life in {LIVES} noticed")


def test_a_frame_that_is_not_sent_again_is_missed(
    simulation: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forget(outbox: Any) -> int:
        count = len(outbox._flight)
        if count:
            outbox.acknowledge(count)
        return count

    monkeypatch.setattr("nbclient.delivery.outbox.Outbox.rewind", forget)
    why = failure(simulation, "accepted, and gone")
    assert why.startswith("seed ")


def test_frames_in_another_order_are_noticed(
    simulation: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def last_first(outbox: Any) -> int:
        count = len(outbox._flight)
        outbox._waiting.extend(outbox._flight)
        outbox._flight.clear()
        outbox._again += count
        return count

    monkeypatch.setattr("nbclient.delivery.outbox.Outbox.rewind", last_first)
    failure(simulation, "on one connection")


def test_a_frame_that_is_counted_nowhere_is_noticed(
    simulation: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silently(outbox: Any, size: int) -> list[tuple[int, int]]:
        ranges: list[tuple[int, int]] = outbox._forget(min(1, len(outbox._waiting)))
        return ranges

    monkeypatch.setattr("nbclient.delivery.outbox.Outbox.drop_oldest", silently)
    failure(simulation, "not accounted for")


def test_accepting_before_storing_is_noticed(
    simulation: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = Spooling.append

    def at_once(spooling: Any, frames: Any, cursor: Any, done: Any) -> None:
        append(spooling, frames, cursor, lambda error: None)
        done(None)

    monkeypatch.setattr(Spooling, "append", at_once)
    for seed in range(1, LIVES + 1):
        if simulation.simulate(seed) is not None:
            return
    raise AssertionError("no life noticed")


def test_a_link_that_no_longer_dials_is_noticed(
    simulation: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulation, "PATIENCE", 5.0)
    monkeypatch.setattr(simulation.World, "decide", lambda world: None)
    failure(simulation, "not everything is delivered")


# -- the script


def test_it_says_how_many_held(simulation: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert simulation.main(["--seeds", "2", "--jobs", "1"]) == 0
    assert capsys.readouterr().out.startswith("2 of 2 lives held")


def test_it_says_how_to_live_a_failed_life_again(
    simulation: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def breaks(world: Any) -> None:
        raise simulation.Broken("it broke")

    monkeypatch.setattr(simulation.World, "live", breaks)
    assert simulation.main(["--seeds", "1", "--first", "7", "--jobs", "1"]) == 1
    out = capsys.readouterr().out
    assert "seed 7: it broke" in out
    assert "tools/simulate.py --trace --first 7" in out
    assert simulation.main(["--trace", "--first", "7"]) == 1


def test_a_life_can_be_seen(simulation: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert simulation.main(["--trace", "--first", "1"]) == 0
    out = capsys.readouterr().out
    assert "Plan(level=" in out
    assert "no more faults" in out
    assert out.endswith("all held\n")
