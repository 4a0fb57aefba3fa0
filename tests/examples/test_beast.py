"""examples/beast.py, the documented framing of one's own, keeps the contract."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nbclient.errors import BadFrame
from nbclient.framing import Framing, named
from tests.conformance import framing as suite
from tests.conformance.counting import check_linear
from tests.conformance.framing import cut, decode, single

FOLDER = Path(__file__).parents[2] / "examples"
MARK = b"\x1a"
SHORT = b"2" + bytes(6) + b"\x80" + b"\x5d\x4c\xa2\xd1\x58\xc9\x01"
MODE_AC = b"1" + MARK * 9
FRAMES = [SHORT, MODE_AC, b"3" + b"\x1a1" * 10 + MARK, b"3" + b"\x1a3\0" * 7]
few = settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def beast(monkeypatch: pytest.MonkeyPatch) -> Iterator[suite.Sample]:
    """The framing as the command line loads it in its folder."""
    monkeypatch.syspath_prepend(str(FOLDER))
    yield sample(named("beast:framing"))
    del sys.modules["beast"]


def sample(recipe: Framing, junk: bytes = b"") -> suite.Sample:
    return suite.Sample(
        recipe,
        FRAMES,
        st.sampled_from(FRAMES) | st.binary(min_size=9, max_size=9).map(b"1".__add__),
        refused=[b"", b"2", SHORT + b"x", b"6" + bytes(21), MARK * 10],
        faults=[(b"noise", BadFrame), (b"\x1a6", BadFrame), (b"\x1a2ab\x1a3", BadFrame)],
        junk=junk,
        sized=None,
    )


def test_a_mark_inside_a_message_is_sent_twice(beast: suite.Sample) -> None:
    assert beast.framing.encode([b"1time!\x1as\x1ad"]) == [b"\x1a1time!\x1a\x1as\x1a\x1ad"]
    assert decode(beast.framing, [b"\x1a1time!\x1a\x1as\x1a\x1ad"])[0] == [b"1time!\x1as\x1ad"]


def test_it_passes_the_checks_of_every_framing(beast: suite.Sample) -> None:
    suite.check_recipe(beast)
    suite.check_whole(beast)
    suite.check_byte_by_byte(beast)
    suite.check_every_split(beast)
    suite.check_trailing(beast, beast.frames, [5, 40])
    for place in range(80):
        suite.check_unread(beast, beast.frames, [place], b"\x1a")
    for bad, kind in beast.faults:
        suite.check_fault(beast, bad, kind, [3, 30, 60], b"more")
    suite.check_encode(beast, beast.frames)
    suite.check_refusals(beast, beast.refused)


@pytest.mark.parametrize(
    "junk", [b"noise", b"\x1a\x1a3x", b"\x1a2cut short", b"\x1a9\x1a", b"\x1a4status\x1a\x1a1"]
)
def test_it_finds_the_next_message_by_itself(beast: suite.Sample, junk: bytes) -> None:
    """Two marks are never the beginning of one, wherever the network cuts them."""
    if junk.endswith(MARK):
        junk += b"x"
    skipping = sample(named("beast:skipping", on_bad_frame="skip"), junk)
    suite.check_whole(skipping)
    suite.check_byte_by_byte(skipping)
    suite.check_every_split(skipping)


@few
@given(
    data=st.lists(st.sampled_from(b"\x1a\x1a\x1a1239x"), max_size=80).map(bytes),
    cuts=st.lists(st.integers(1, 80), max_size=6),
)
def test_no_bytes_of_a_peer_raise(beast: suite.Sample, data: bytes, cuts: list[int]) -> None:
    for name in ("framing", "skipping"):
        suite.check_garbage(sample(named(f"beast:{name}")), data, cuts)


def test_it_is_linear_for_its_rest_is_short(beast: suite.Sample) -> None:
    recipe = beast.framing
    (image,) = recipe.encode([SHORT])
    check_linear(recipe, lambda size: single(image * (size // 16)), 800, most=60)
    check_linear(recipe, lambda size: cut(image * (size // 16), range(0, size, 500)), 8_000)
