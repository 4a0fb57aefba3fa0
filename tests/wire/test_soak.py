"""The soak itself: that it can fail, and a few seconds of it."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from tests.conformance.scripts import script_as_module
from tests.real.children import ROOT, Child, python

SOAK = ROOT / "tools" / "soak.py"


@pytest.fixture(scope="module")
def soak() -> Iterator[ModuleType]:
    """tools/soak.py as a module."""
    with script_as_module("soak") as module:
        yield module


def samples(soak: ModuleType, **growth: float) -> list[Any]:
    """A hundred of them, in which some figure grows by so much in all."""
    return [
        soak.Sample(
            **{
                name: first + int(growth.get(name, 0) * index / 100)
                for name, first in (("rss", 50_000), ("descriptors", 40), ("timers", 20))
            }
        )
        for index in range(100)
    ]


def test_flat_figures_pass(soak: ModuleType) -> None:
    assert soak.growth(samples(soak), 20) == []


@pytest.mark.parametrize(("name", "leak"), [("rss", 20_000), ("descriptors", 100), ("timers", 100)])
def test_a_figure_that_grows_is_a_violation(soak: ModuleType, name: str, leak: int) -> None:
    found = soak.growth(samples(soak, **{name: leak}), 20)
    assert [what.split()[0] for what in found] == [name]


def test_what_happens_while_it_warms_up_does_not_count(soak: ModuleType) -> None:
    cold = [soak.Sample(rss=10_000, descriptors=3, timers=0)] * 25
    assert soak.growth(cold + samples(soak), 20) == []


@pytest.mark.parametrize("name", ["descriptors", "timers", "connections"])
def test_one_too_many_in_the_last_calm_is_a_violation(soak: ModuleType, name: str) -> None:
    calm = {"descriptors": 40, "timers": 20, "connections": 20}
    before = soak.Census(**calm)
    assert soak.differences(before, before) == []
    found = soak.differences(before, soak.Census(**{**calm, name: calm[name] + 1}))
    assert [what.split(":")[0] for what in found] == [name]


def test_an_hour_of_outage_is_too_long(soak: ModuleType) -> None:
    assert soak.too_long("it", 3600.0, soak.LONGEST_OUTAGE) == ["it took 3600.0 s (limit 20 s)"]
    assert soak.too_long("it", 1.0, soak.LONGEST_OUTAGE) == []


def test_a_few_seconds_of_it() -> None:
    """Greetings, faults of most kinds, recovery, a table, and status 0."""
    with Child(python(str(SOAK), "--seconds", "2", "--links", "6")) as child:
        status = child.wait(60)
        said = child.out.end() + child.err.end()
        assert status == 0, said
        assert said.splitlines()[-1] == "passed"
        assert "rss " in said


@pytest.mark.parametrize("option", [("--seconds", "0"), ("--links", "9999"), ("--seed", "x")])
def test_bounds_are_kept(
    soak: ModuleType, option: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        soak.parse(option)
    assert caught.value.code == 2
    assert option[0] in capsys.readouterr().err
