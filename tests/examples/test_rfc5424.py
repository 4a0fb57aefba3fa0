"""examples/rfc5424.py, a framing of the recipes, keeps the contract."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nbclient.errors import BadFrame, FrameTooLong
from nbclient.framing import named
from tests.conformance import framing as suite

FOLDER = Path(__file__).parents[2] / "examples"
HEADER = f"<134>1 - {os.uname().nodename} app - - - ".encode()
few = settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def syslog(monkeypatch: pytest.MonkeyPatch) -> Iterator[suite.Sample]:
    """The framing as the command line loads it in its folder."""
    monkeypatch.syspath_prepend(str(FOLDER))
    yield suite.Sample(
        named("rfc5424:framing"),
        [b"", b"a line", b"12 <134>1", b"\xe2\x88\x86 {}"],
        st.binary(max_size=9),
        refused=[bytes(1024 * 1024 + 1)],
        faults=[
            (b"HTTP/1.1 400", BadFrame),
            (b"12 <134>1 - x -", BadFrame),
            (b"0 ", BadFrame),
            (b"1048700 <134>1", FrameTooLong),
        ],
        sized=lambda size: b"x" * size,
    )
    del sys.modules["rfc5424"]


def test_the_header_and_the_length_are_put_on(syslog: suite.Sample) -> None:
    message = HEADER + b"a line"
    assert syslog.framing.encode([b"a line"]) == [b"%d %b" % (len(message), message)]


def test_it_passes_the_checks_of_every_framing(syslog: suite.Sample) -> None:
    suite.check_recipe(syslog)
    suite.check_whole(syslog)
    suite.check_byte_by_byte(syslog)
    suite.check_every_split(syslog)
    suite.check_trailing(syslog, syslog.frames, [5, 40])
    for place in range(200):
        suite.check_unread(syslog, syslog.frames, [place], b"12 <134>")
    for bad, kind in syslog.faults:
        suite.check_fault(syslog, bad, kind, [3, 60, 100], b"more")
    suite.check_encode(syslog, syslog.frames)
    suite.check_refusals(syslog, syslog.refused)


@few
@given(
    data=st.lists(st.sampled_from([b"12 ", b"44 ", HEADER, b"40 " + HEADER, b"x"]), max_size=9).map(
        b"".join
    ),
    cuts=st.lists(st.integers(1, 80), max_size=6),
)
def test_no_bytes_of_a_peer_raise(syslog: suite.Sample, data: bytes, cuts: list[int]) -> None:
    suite.check_garbage(syslog, data, cuts)


def test_it_holds_no_more_than_its_limit(syslog: suite.Sample) -> None:
    recipe = syslog.framing
    suite.check_memory(recipe, b"1048576 " + HEADER)
    suite.check_declared(recipe, b"9999999 ")
