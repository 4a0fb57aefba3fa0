"""What docs/framing.md shows is true, and its example keeps the contract."""

from __future__ import annotations

import doctest
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import strategies as st

from nbclient.errors import BadFrame
from nbclient.framing import named
from nbclient.framing.spec import KNOWN
from tests.conformance import framing as suite
from tests.conformance.counting import check_linear

PAGE = Path(__file__).parents[2] / "docs" / "framing.md"


def packet(body: bytes) -> bytes:
    return b"\x47" + body.ljust(187, b"\xff")


@pytest.fixture
def feeds() -> Iterator[ModuleType]:
    """The example as the module that the page says it is in."""
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.S | re.M)
    made = ModuleType("feeds")
    sys.modules["feeds"] = made
    exec(compile(code, str(PAGE), "exec"), vars(made))
    yield made
    del sys.modules["feeds"]


def test_what_the_page_shows_in_a_session_is_what_happens() -> None:
    failed, tried = doctest.testfile(str(PAGE), module_relative=False)
    assert tried >= 8
    assert not failed


def test_every_spec_in_the_tables_is_understood() -> None:
    specs = re.findall(
        r"`((?:(?:length|fixed|digits):\d|between:[^S`]|stx-etx,[ct]|nmea,c)[^`]*)`",
        PAGE.read_text("utf-8"),
    )
    assert len(specs) >= 12
    for spec in specs:
        assert named(str(named(spec))) == named(spec)


def test_every_spec_there_is_stands_in_the_table() -> None:
    page = PAGE.read_text("utf-8")
    for spec in KNOWN.split(", "):
        kind = re.split(r"[:\[]", spec)[0]
        assert f"| `{kind}" in page


def test_the_example_of_ones_own_framing_keeps_the_contract(feeds: ModuleType) -> None:
    sample = suite.Sample(
        named("feeds:TransportStream"),
        [packet(b"one"), packet(b"\x47\x47")],
        st.binary(max_size=187).map(packet),
        refused=[b"", packet(b"")[:-1], packet(b"") + b"x", b"x" * 188],
        faults=[(b"x" * 188, BadFrame)],
    )
    suite.check_recipe(sample)
    suite.check_whole(sample)
    suite.check_byte_by_byte(sample)
    suite.check_trailing(sample, sample.frames, [5, 200])
    suite.check_unread(sample, sample.frames, [5, 200], b"more")
    suite.check_fault(sample, *sample.faults[0], cuts=[100, 400], more=b"more")
    suite.check_garbage(sample, b"\x47" * 500, [1, 190])
    suite.check_encode(sample, sample.frames)
    suite.check_refusals(sample, sample.refused)


def test_the_example_is_linear_because_its_rest_is_short(feeds: ModuleType) -> None:
    """Byte by byte it looks at the rest again each time, but that is never over 188 bytes."""
    recipe = named("feeds:TransportStream")
    image = packet(b"")
    check_linear(recipe, lambda size: suite.single(image * (size // 188)), 1880, most=190)
    check_linear(
        recipe, lambda size: suite.cut(image * (size // 188), range(0, size, 1000)), 18_800
    )
