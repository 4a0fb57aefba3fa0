"""Which frames are answers, and what they say."""

from __future__ import annotations

import re
from typing import Any

import pytest

from nbclient.core.automation import LOOK
from nbclient.delivery.replies import Reply, Says
from nbclient.errors import FrameError, PatternTimeout

OK = re.compile(rb"^ok")
NO = re.compile(rb"^no")
KEY = re.compile(rb"id=(\d+)")


def test_with_no_rule_every_frame_is_an_answer() -> None:
    assert Reply().says(b"whatever") is Says.TAKEN


def test_only_what_matches_is_an_answer() -> None:
    reply = Reply(match=OK)
    assert reply.says(b"ok 7") is Says.TAKEN
    assert reply.says(b"by the way") is Says.NOTHING


def test_a_rejection_is_an_answer_whether_it_matches_or_not() -> None:
    """It comes first: AA, AE and AR of HL7 all match a pattern for MSA segments."""
    assert Reply(match=OK, reject=NO).says(b"no way") is Says.REJECTED
    assert Reply(match=re.compile(rb""), reject=NO).says(b"no way") is Says.REJECTED
    assert Reply(match=OK, reject=NO).says(b"ok") is Says.TAKEN
    assert Reply(reject=NO).says(b"anything") is Says.TAKEN


def test_the_key_is_the_first_group_or_all_that_matched() -> None:
    assert Reply(key=KEY).key_of(b"x id=12 y") == b"12"
    assert Reply(key=re.compile(rb"id=\d+")).key_of(b"x id=12 y") == b"id=12"
    assert Reply(key=KEY).key_of(b"none here") is None
    assert Reply().key_of(b"id=12") is None


def test_a_frame_whose_answer_could_not_be_told_is_refused() -> None:
    Reply(key=KEY).check(b"id=1")
    Reply().check(b"no key needed")
    with pytest.raises(FrameError, match="no key for its answer: b'none'"):
        Reply(key=KEY).check(b"none")


def test_patterns_see_the_beginning_of_a_frame_so_that_none_can_cost_too_much() -> None:
    late = bytes(LOOK) + b"no id=1"
    reply = Reply(match=re.compile(rb"no"), reject=re.compile(rb"no"), key=KEY)
    assert reply.says(late) is Says.NOTHING
    assert reply.key_of(late) is None


@pytest.mark.parametrize("wrong", [{"window": 0}, {"timeout": 0.0}, {"timeout": -1.0}])
def test_a_figure_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Reply(**wrong)  # type: ignore[arg-type]


def test_an_answer_may_take_for_ever() -> None:
    assert Reply(timeout=None).timeout is None


def test_a_key_that_takes_too_long_to_find_is_none() -> None:
    """Of a frame of ours: that one is refused, and the peer has nothing to do with it."""

    class Slow:
        def search(self, data: bytes) -> None:
            raise PatternTimeout(0.1, b"slow")

    slow: Any = Slow()
    with pytest.raises(FrameError, match="slow"):
        Reply(key=slow).check(b"a")
