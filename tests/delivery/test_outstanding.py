"""Outstanding requests: each answer to its own request, or to none."""

from __future__ import annotations

from collections.abc import Hashable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbclient.delivery import outstanding as outstanding_module
from nbclient.delivery.outstanding import OWED, Outstanding, Request
from nbclient.errors import LocalError


def in_turn(window: int = 3, timeout: float | None = 10) -> Outstanding[str]:
    return Outstanding(window, timeout)


def by_key(window: int = 3, timeout: float | None = 10) -> Outstanding[str]:
    def key(frame: bytes) -> Hashable | None:
        head, colon, _ = frame.partition(b":")
        return head if colon else None

    return Outstanding(window, timeout, key)


def items(requests: list[Request[str]]) -> list[str]:
    return [request.item for request in requests]


def answered(requests: Outstanding[str], frame: bytes = b"answer") -> str | None:
    request = requests.matched(frame)
    return None if request is None else request.item


@pytest.mark.parametrize(("window", "timeout"), [(0, 1.0), (-1, 1.0), (1, 0.0), (1, -1.0)])
def test_figures_that_make_no_sense_are_refused(window: int, timeout: float) -> None:
    with pytest.raises(ValueError, match="must be"):
        Outstanding(window, timeout)


def test_a_timeout_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="timeout"):
        Outstanding(1, float("nan"))


# -- in turn


def test_answers_in_turn_belong_to_the_requests_in_their_order() -> None:
    requests = in_turn()
    for item in "abc":
        requests.sent(item, now=0)
    assert [answered(requests) for _ in range(3)] == ["a", "b", "c"]


def test_a_frame_while_nothing_is_asked_answers_nothing() -> None:
    assert in_turn().matched(b"news") is None


def test_what_was_asked_and_when_comes_back_with_the_answer() -> None:
    requests = in_turn()
    requests.sent("a", now=5)
    assert requests.matched(b"answer") == Request("a", None, 5)


def test_with_a_window_of_one_each_request_waits_for_the_answer_before() -> None:
    """As HL7's MLLP wants it."""
    requests = in_turn(window=1)
    assert requests.room == 1
    requests.sent("a", now=0)
    assert (requests.room, len(requests)) == (0, 1)
    with pytest.raises(LocalError, match="no room: 1 of 1 requests wait"):
        requests.sent("b", now=0)
    requests.matched(b"answer")
    requests.sent("b", now=1)
    assert items(requests.lost()) == ["b"]


def test_after_a_timeout_in_turn_no_answer_is_believed_any_more() -> None:
    """The answer to "a" may only be late; it must not pass for the answer to "b"."""
    requests = in_turn()
    requests.sent("a", now=0)
    requests.sent("b", now=4)
    assert items(requests.expired(10)) == ["a"]
    assert requests.broken
    assert requests.matched(b"the late answer to a") is None
    assert requests.room == 0
    with pytest.raises(LocalError):
        requests.sent("c", now=10)
    assert items(requests.lost()) == ["b"]


def test_on_a_broken_connection_nothing_more_becomes_overdue() -> None:
    """What is left comes back with the loss, once."""
    requests = in_turn()
    requests.sent("a", now=0)
    requests.sent("b", now=4)
    requests.expired(10)
    assert requests.remaining(100) is None
    assert requests.expired(100) == []
    assert requests.broken


def test_the_next_connection_starts_afresh() -> None:
    requests = in_turn()
    requests.sent("a", now=0)
    requests.expired(10)
    assert requests.lost() == []
    requests.sent("b", now=20)
    assert answered(requests) == "b"


def test_several_overdue_at_once_come_back_in_order() -> None:
    requests = in_turn()
    for item in "abc":
        requests.sent(item, now=ord(item) - ord("a"))
    assert items(requests.expired(11.5)) == ["a", "b"]
    assert items(requests.lost()) == ["c"]


# -- deadlines


def test_the_oldest_request_is_the_first_to_be_overdue() -> None:
    requests = in_turn()
    assert requests.remaining(0) is None
    requests.sent("a", now=100)
    requests.sent("b", now=103)
    assert requests.remaining(104) == 6
    requests.matched(b"answer")
    assert requests.remaining(104) == 9


def test_the_limit_has_passed_when_nothing_remains_and_not_before() -> None:
    requests = in_turn()
    requests.sent("a", now=0)
    assert requests.expired(9.9) == []
    assert not requests.broken
    assert items(requests.expired(10)) == ["a"]


def test_without_a_timeout_nothing_is_ever_overdue() -> None:
    requests = in_turn(timeout=None)
    requests.sent("a", now=0)
    assert requests.remaining(10**9) is None
    assert requests.expired(10**9) == []
    assert answered(requests) == "a"


# -- by key


def test_answers_by_key_may_come_in_any_order() -> None:
    requests = by_key()
    for item in "abc":
        requests.sent(item, now=0, key=item.encode())
    frames = (b"b:2", b"c:3", b"a:1")
    assert [answered(requests, frame) for frame in frames] == ["b", "c", "a"]


def test_a_frame_with_a_strange_key_or_none_answers_nothing() -> None:
    requests = by_key()
    requests.sent("a", now=0, key=b"a")
    assert requests.matched(b"x:1") is None
    assert requests.matched(b"news") is None
    assert len(requests) == 1


def test_an_answer_that_comes_twice_counts_once() -> None:
    requests = by_key()
    requests.sent("a", now=0, key=b"a")
    assert answered(requests, b"a:1") == "a"
    assert requests.matched(b"a:1") is None


@pytest.mark.parametrize("key", [None, b"a"])
def test_a_key_that_is_missing_or_in_flight_is_refused(key: bytes | None) -> None:
    requests = by_key()
    requests.sent("a", now=0, key=b"a")
    with pytest.raises(LocalError, match="cannot be used"):
        requests.sent("b", now=0, key=key)
    assert items(requests.lost()) == ["a"]


def test_a_late_answer_by_key_is_ignored_and_the_connection_stays() -> None:
    requests = by_key()
    requests.sent("a", now=0, key=b"a")
    requests.sent("b", now=5, key=b"b")
    assert items(requests.expired(10)) == ["a"]
    assert not requests.broken
    assert requests.matched(b"a:late") is None
    assert answered(requests, b"b:2") == "b"


def test_the_key_of_an_overdue_request_waits_for_its_late_answer() -> None:
    """Numbers of 16 bits come round again, and a late answer would be taken for the new one's."""
    requests = by_key()
    requests.sent("a", now=0, key=b"a")
    requests.expired(10)
    assert not requests.usable(b"a")
    with pytest.raises(LocalError):
        requests.sent("again", now=11, key=b"a")
    requests.matched(b"a:late")
    assert requests.usable(b"a")
    requests.sent("again", now=12, key=b"a")
    assert answered(requests, b"a:in time") == "again"


def test_a_late_answer_is_found_wherever_it_stands_among_others() -> None:
    requests = by_key()
    requests.sent("a", now=0, key=b"a")
    requests.expired(10)
    assert requests.first([b"x", b"news", b"a:late", b"more"], 0) == 2


def test_an_answer_that_never_comes_is_not_owed_for_ever() -> None:
    """Else a peer that sometimes answers nothing would use up every key that there is."""
    requests = by_key()
    requests.sent("a", now=0, key=b"a")
    requests.expired(10)
    with pytest.raises(LocalError):
        requests.sent("again", now=10 + OWED * 10 - 1, key=b"a")
    requests.sent("again", now=10 + OWED * 10, key=b"a")
    assert answered(requests, b"a:1") == "again"


def test_a_new_connection_owes_no_late_answers() -> None:
    requests = by_key()
    requests.sent("a", now=0, key=b"a")
    requests.expired(10)
    requests.lost()
    assert requests.usable(b"a")


def test_keys_waiting_for_late_answers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outstanding_module, "RETIRED", 2)
    requests = by_key()
    for now, key in enumerate((b"a", b"b", b"c")):
        requests.sent("x", now=now * 10, key=key)
        requests.expired(now * 10 + 10)
    assert [requests.usable(key) for key in (b"a", b"b", b"c")] == [True, False, False]


# -- what arrived before


@pytest.mark.parametrize("keyed", [False, True])
def test_what_had_arrived_when_a_request_left_is_no_answer_to_it(keyed: bool) -> None:
    requests = by_key() if keyed else in_turn()
    requests.sent("a", now=0, key=b"a", mark=3)
    for arrival in (0, 2, 3):
        assert requests.matched(b"a:1", arrival) is None
    assert len(requests) == 1
    assert requests.matched(b"a:1", 4) == Request("a", b"a", 0, 3)


def test_who_numbers_no_arrivals_is_answered_by_whatever_comes() -> None:
    requests = by_key()
    requests.sent("a", now=0, key=b"a", mark=3)
    assert requests.first([b"a:1"], 0) == 0
    assert answered(requests, b"a:1") == "a"


@pytest.mark.parametrize("start", [0, 1, 2])
def test_in_turn_the_first_answer_is_the_very_next_frame_or_none(start: int) -> None:
    requests = in_turn()
    frames = [b"x", b"y"]
    assert requests.first(frames, start, 5) == 2
    requests.sent("a", now=0, mark=4)
    assert requests.first(frames, start, 4) == 2
    assert requests.first(frames, start, 5) == start
    assert len(requests) == 1


def test_by_key_the_first_answer_is_the_first_frame_whose_key_is_asked_for() -> None:
    requests = by_key()
    requests.sent("a", now=0, key=b"a", mark=1)
    requests.sent("b", now=0, key=b"b", mark=2)
    frames = [b"a:", b"news", b"c:", b"b:", b"a:"]
    assert [requests.first(frames, start, 3) for start in range(6)] == [0, 3, 3, 3, 4, 5]
    assert requests.first(frames, 1, 2) == 4  # "b" left after that
    assert requests.first([b"news", b"c:"], 0, 3) == 2
    assert len(requests) == 2


@pytest.mark.parametrize("keyed", [False, True])
def test_a_request_that_did_not_leave_after_all_is_the_last_one(keyed: bool) -> None:
    requests = by_key() if keyed else in_turn()
    for item in "ab":
        requests.sent(item, now=0, key=item.encode())
    requests.unsent()
    assert requests.usable(b"b") is True
    assert items(requests.lost()) == ["a"]


def test_what_is_lost_comes_back_in_the_order_it_was_sent() -> None:
    requests = by_key()
    for item in "cab":
        requests.sent(item, now=0, key=item.encode())
    requests.matched(b"a:1")
    assert items(requests.lost()) == ["c", "b"]
    assert len(requests) == 0
    assert requests.room == 3


STEPS = st.lists(
    st.tuples(st.sampled_from(["send", "answer", "late", "pass", "lose"]), st.integers(0, 12)),
    max_size=60,
)


@given(STEPS, st.booleans())
def test_each_request_comes_back_once_and_never_with_another_ones_answer(
    steps: list[tuple[str, int]], keyed: bool
) -> None:
    requests = by_key(timeout=10) if keyed else in_turn(timeout=10)
    sent: list[str] = []  # of this connection, in order, never answered by the peer
    back: list[str] = []
    now, count = 0, 0
    for verb, figure in steps:
        if verb == "send" and requests.room:
            item = str(count)
            count += 1
            requests.sent(item, now, item.encode() if keyed else None)
            sent.append(item)
        elif verb in ("answer", "late") and sent:
            # In turn the peer answers in order; by key in any.
            place = figure % len(sent) if keyed else 0
            item = sent.pop(place)
            found = answered(requests, item.encode() + b":")
            assert found in (None, item)
            back.extend([found] if found else [])
        elif verb == "pass":
            now += figure
            back.extend(items(requests.expired(now)))
        elif verb == "lose":
            back.extend(items(requests.lost()))
            sent.clear()
    back.extend(items(requests.lost()))
    assert sorted(back, key=int) == [str(n) for n in range(count)]
