"""examples/fix.py, a framing of the recipes, keeps the contract."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nbclient.errors import BadFrame, FrameTooLong
from nbclient.framing import named
from tests.conformance import framing as suite
from tests.conformance.counting import check_linear
from tests.conformance.framing import cut, single

FOLDER = Path(__file__).parents[2] / "examples"
# Added up by hand: 8=FIX.4.4|9=5|35=0| is 1187, and 163 modulo 256.
HEARTBEAT = b"8=FIX.4.4\x019=5\x0135=0\x0110=163\x01"
FRAMES = [b"35=0", b"35=A\x0149=ME\x0196=a\x0110=000\x01b", b"35=0\x018=FIX.4.4\x019=1\x01"]
few = settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def fix(monkeypatch: pytest.MonkeyPatch) -> Iterator[suite.Sample]:
    """The framing as the command line loads it in its folder."""
    monkeypatch.syspath_prepend(str(FOLDER))
    yield suite.Sample(
        named("fix:framing"),
        FRAMES,
        st.binary(max_size=9).map(b"35=".__add__),
        refused=[b"", b"3", b"49=ME", b"35=" + bytes(65536)],
        faults=[
            (b"HTTP/1.1 400", BadFrame),
            (b"8=FIX.4.4\x0135=A\x01", BadFrame),
            (b"8=FIX.4.4 and no end of it", BadFrame),
            (b"8=FIX.4.4\x019=0\x01", BadFrame),
            (b"8=FIX.4.4\x019=65538\x01", FrameTooLong),
            (HEARTBEAT.replace(b"163", b"164"), BadFrame),
            (HEARTBEAT.replace(b"9=5", b"9=4") + b"x", BadFrame),
        ],
        sized=lambda size: b"35=".ljust(size, b"x"),
    )
    del sys.modules["fix"]


def test_length_and_checksum_are_put_on(fix: suite.Sample) -> None:
    assert fix.framing.encode([b"35=0"]) == [HEARTBEAT]


def test_it_passes_the_checks_of_every_framing(fix: suite.Sample) -> None:
    suite.check_recipe(fix)
    suite.check_whole(fix)
    suite.check_byte_by_byte(fix)
    suite.check_every_split(fix)
    suite.check_trailing(fix, fix.frames, [5, 40])
    for place in range(120):
        suite.check_unread(fix, fix.frames, [place], b"8=FIX")
    for bad, kind in fix.faults:
        suite.check_fault(fix, bad, kind, [3, 60, 100], b"more")
    suite.check_encode(fix, fix.frames)
    suite.check_refusals(fix, fix.refused)


@few
@given(
    data=st.lists(
        st.sampled_from([b"8=FIX", b"\x019=5\x01", b"35=0\x01", b"10=", b"x"]), max_size=9
    )
    .map(b"".join)
    .map(HEARTBEAT.__add__),
    cuts=st.lists(st.integers(1, 80), max_size=6),
)
def test_no_bytes_of_a_peer_raise(fix: suite.Sample, data: bytes, cuts: list[int]) -> None:
    suite.check_garbage(fix, data, cuts)


def test_it_is_linear_and_holds_no_more_than_its_limit(fix: suite.Sample) -> None:
    recipe = fix.framing
    check_linear(recipe, lambda size: single(recipe.encode([b"35=".ljust(size, b"x")])[0]), 800)
    check_linear(recipe, lambda size: cut(HEARTBEAT * (size // 20), range(0, size, 500)), 8_000)
    suite.check_memory(recipe, b"8=FIX.4.4\x019=65537\x01")
    suite.check_declared(recipe, b"8=FIX.4.4\x019=9999999\x01")
