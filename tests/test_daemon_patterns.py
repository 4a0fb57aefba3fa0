"""Patterns from the command line: nothing a peer sends can keep them busy."""

from __future__ import annotations

import re
import time

import pytest

from nbclient.daemon.patterns import LIMIT, Pattern
from nbclient.errors import PatternTimeout


def test_it_finds_what_re_would() -> None:
    pattern = Pattern(rb"^a(.)c")
    found = pattern.search(b"a\nc d")
    assert (found[0], found[1], found.expand(rb"<\1>")) == (b"a\nc", b"\n", b"<\n>")
    assert pattern.search(b"abd") is None
    assert (pattern.groups, pattern.pattern) == (1, rb"^a(.)c")
    assert found.re.groups == 1


def test_two_of_one_text_are_the_same() -> None:
    assert Pattern(b"a") == Pattern(b"a") != Pattern(b"b")
    assert "_compiled" not in repr(Pattern(b"a"))


@pytest.mark.parametrize(
    ("text", "frame"),
    [
        (rb"(.*),(.*),(.*),(.*),(.*)x", b"abc," * 900),
        (rb"(a|aa)+$", b"a" * 4000 + b"!"),
        (rb"(.*)*x(.*)*y(.*)*z", b"x" * 300 + b"y" * 300),
    ],
)
def test_a_frame_made_to_keep_it_busy_is_the_peers_fault(text: bytes, frame: bytes) -> None:
    """What `re` would need for the first of these is minutes, for the others more than a life."""
    began = time.process_time()
    with pytest.raises(PatternTimeout, match=r"took more than 0\.1 s"):
        Pattern(text).search(frame)
    # Not how long, but that it ended: a hundred times what it is given.
    assert time.process_time() - began < 100 * LIMIT


def test_what_is_no_pattern_or_no_template_is_refused() -> None:
    with pytest.raises(re.error):
        Pattern(b"(")
    Pattern(b"(a)").check(rb"\1")
    with pytest.raises(re.error):
        Pattern(b"(a)").check(rb"\2")
