"""The ledger: frames against acknowledged bytes, whatever the writes and acknowledgements were."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbclient.delivery import ledger as ledger_module
from nbclient.delivery.ledger import CipherMap, Ledger, payload


def wrote(ledger: Ledger, lengths: Sequence[int]) -> None:
    ledger.wrote_frames(len(lengths), sum(lengths), lambda: lengths)


def test_the_syn_is_not_payload() -> None:
    assert payload(1, handed_over=0) == 0
    assert payload(1001, handed_over=1000) == 1000


def test_our_fin_is_not_payload() -> None:
    assert payload(1002, handed_over=1000) == 1000


def test_a_fin_does_not_pass_for_the_byte_that_was_never_handed_over() -> None:
    """999 of 1,000 bytes reached the kernel, then the socket was shut down."""
    assert payload(1001, handed_over=999) == 999


def test_before_the_syn_is_acknowledged_nothing_is() -> None:
    assert payload(0, handed_over=0) == 0


def test_the_counter_may_begin_elsewhere() -> None:
    """The side that accepted begins at 0; behind a proxy's greeting it is more."""
    assert payload(1000, handed_over=1000, base=0) == 1000
    assert payload(1040, handed_over=1000, base=41) == 999


def test_a_frame_counts_when_its_last_byte_is_acknowledged_and_not_before() -> None:
    ledger = Ledger()
    wrote(ledger, [10])
    assert ledger.acknowledged(9) == 0
    assert (ledger.unacknowledged_frames, ledger.unacknowledged_bytes) == (1, 1)
    assert ledger.acknowledged(10) == 1
    assert (ledger.unacknowledged_frames, ledger.unacknowledged_bytes) == (0, 0)


def test_frames_of_one_batch_are_acknowledged_one_after_the_other() -> None:
    ledger = Ledger()
    wrote(ledger, [3, 4, 5])
    assert [ledger.acknowledged(total) for total in (2, 3, 6, 7, 11, 12)] == [0, 1, 0, 1, 0, 1]


def test_where_nobody_knows_how_a_write_divides_it_counts_as_a_whole() -> None:
    """A framing of one's own that does not say the same a second time."""
    ledger = Ledger()
    ledger.wrote_frames(2, 10, lambda: [4, 5])
    assert [ledger.acknowledged(total) for total in (4, 9, 10)] == [0, 0, 2]


def test_a_write_acknowledged_whole_is_not_divided() -> None:
    asked = []
    ledger = Ledger()
    for _ in range(3):
        ledger.wrote_frames(2, 10, lambda: asked.append(True) or [5, 5])
    assert (ledger.acknowledged(20), asked) == (4, [])
    assert (ledger.acknowledged(24), ledger.acknowledged(26), asked) == (0, 1, [True])


def test_one_acknowledgement_may_cover_several_batches_and_cut_the_next() -> None:
    ledger = Ledger()
    for _ in range(3):
        wrote(ledger, [5, 5])
    assert ledger.acknowledged(25) == 5
    assert ledger.unacknowledged_frames == 1
    assert ledger.acknowledged(30) == 1


def test_the_other_lane_moves_the_offsets_and_is_no_frame_of_the_outbox() -> None:
    ledger = Ledger()
    ledger.wrote(7)  # an opening
    wrote(ledger, [10])
    ledger.wrote(3)  # a heartbeat
    wrote(ledger, [10])
    assert ledger.written == 30
    assert [ledger.acknowledged(total) for total in (10, 16, 17, 20, 29, 30)] == [0, 0, 1, 0, 0, 1]


def test_an_older_total_changes_nothing() -> None:
    ledger = Ledger()
    wrote(ledger, [5, 5])
    assert ledger.acknowledged(7) == 1
    assert ledger.acknowledged(2) == 0
    assert ledger.acked == 7
    assert ledger.acknowledged(10) == 1


def test_more_than_was_written_cannot_be_acknowledged() -> None:
    ledger = Ledger()
    wrote(ledger, [5])
    with pytest.raises(ValueError, match="6 bytes acknowledged, but only 5 written"):
        ledger.acknowledged(6)
    assert (ledger.acked, ledger.unacknowledged_frames) == (0, 1)


def test_a_frame_without_bytes_goes_with_what_is_before_it() -> None:
    """An empty frame of a raw framing: there is nothing the peer could lack."""
    ledger = Ledger()
    wrote(ledger, [0])
    assert ledger.acknowledged(0) == 1
    wrote(ledger, [4, 0, 4])
    assert ledger.acknowledged(4) == 2
    assert ledger.acknowledged(8) == 1


def test_what_is_acknowledged_is_forgotten() -> None:
    ledger = Ledger()
    for _ in range(1000):
        wrote(ledger, [1, 1])
        ledger.acknowledged(ledger.written - 1)
    assert len(ledger._batches) == 1


def counted(monkeypatch: pytest.MonkeyPatch, name: str) -> list[int]:
    """How many frames each use of a function of the module went through."""
    plain: Callable[..., Any] = getattr(ledger_module, name)
    sizes: list[int] = []

    def counting(sequence: Sequence[int], *args: Any, **kwargs: Any) -> Any:
        sizes.append(len(sequence))
        return plain(sequence, *args, **kwargs)

    monkeypatch.setattr(ledger_module, name, counting)
    return sizes


def test_a_batch_acknowledged_whole_costs_nothing_per_frame(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    summed, searched = counted(monkeypatch, "accumulate"), counted(monkeypatch, "bisect_right")
    ledger = Ledger()
    wrote(ledger, [1] * 1000)
    ledger.acknowledged(1000)
    assert (summed, searched) == ([], [])


def test_a_batch_acknowledged_in_crumbs_is_added_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    summed, searched = counted(monkeypatch, "accumulate"), counted(monkeypatch, "bisect_right")
    ledger = Ledger()
    wrote(ledger, [1] * 1000)
    for total in range(1, 1001):
        ledger.acknowledged(total)
    assert summed == [1000]
    assert len(searched) == 999


WRITES = st.lists(
    st.one_of(st.integers(0, 30), st.lists(st.integers(1, 30), min_size=1, max_size=6)),
    max_size=12,
)


@given(WRITES, st.data())
def test_any_writes_and_acknowledgements_give_what_counting_by_hand_gives(
    writes: list[int | list[int]], data: st.DataObject
) -> None:
    ledger, ends, offset, acked, told = Ledger(), [], 0, 0, 0
    for write in writes:
        if isinstance(write, int):
            ledger.wrote(write)
            offset += write
        else:
            wrote(ledger, write)
            for length in write:
                offset += length
                ends.append(offset)
        total = data.draw(st.integers(0, offset))
        acked = max(acked, total)
        told += ledger.acknowledged(total)
        assert told == sum(end <= acked for end in ends)
        assert ledger.unacknowledged_frames == len(ends) - told
        assert ledger.unacknowledged_bytes == offset - acked
    told += ledger.acknowledged(offset)
    assert told == len(ends)


# -- ciphertext


def test_a_record_counts_when_all_of_its_ciphertext_is_acknowledged() -> None:
    cipher = CipherMap()
    cipher.mark(517 + 122, 100)
    cipher.mark(517 + 244, 200)
    assert [cipher.plain(acked) for acked in (0, 638, 639, 760, 761)] == [0, 0, 100, 100, 200]


def test_ciphertext_without_plaintext_is_no_mark() -> None:
    """Handshakes, key updates and alerts."""
    cipher = CipherMap()
    cipher.mark(517, 0)
    assert len(cipher) == 0
    cipher.mark(600, 50)
    cipher.mark(640, 50)
    assert len(cipher) == 1
    assert cipher.plain(599) == 0
    assert cipher.plain(600) == 50


def test_two_marks_at_one_place_are_one() -> None:
    cipher = CipherMap()
    cipher.mark(600, 50)
    cipher.mark(600, 80)
    assert len(cipher) == 1
    assert cipher.plain(600) == 80


def test_the_same_mark_twice_is_kept_once() -> None:
    cipher = CipherMap()
    cipher.mark(600, 50)
    cipher.mark(600, 50)
    assert cipher.plain(600) == 50


def test_marks_acknowledged_are_forgotten_and_the_answer_never_goes_back() -> None:
    cipher = CipherMap()
    for n in range(1, 101):
        cipher.mark(n * 122, n * 100)
    assert cipher.plain(50 * 122 + 1) == 5000
    assert len(cipher) == 50
    assert cipher.plain(0) == 5000
    cipher.mark(100 * 122 + 30, 10_000)  # an alert, behind the last
    assert len(cipher) == 50


def test_marks_that_nobody_asks_about_are_bounded_and_the_answer_never_runs_ahead() -> None:
    """A link that sends a heartbeat for years, and nothing that needs an acknowledgement."""
    cipher, total = CipherMap(), 10 * CipherMap.MOST
    for n in range(1, total + 1):
        cipher.mark(n * 122, n * 100)
        assert len(cipher) < CipherMap.MOST
    assert cipher.plain(122) == 0
    for n in (total // 2, total - 1):
        assert 0 < cipher.plain(n * 122) <= n * 100
    assert cipher.plain(total * 122) == total * 100


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 40)), max_size=12), st.data())
def test_any_marks_give_the_most_plaintext_that_fits(
    records: list[tuple[int, int]], data: st.DataObject
) -> None:
    cipher, marks, total, plain, acked = CipherMap(), [(0, 0)], 0, 0, 0
    for length, overhead in records:
        total, plain = total + length + overhead, plain + length
        cipher.mark(total, plain)
        marks.append((total, plain))
        acked = max(acked, data.draw(st.integers(0, total)))
        expected = max(p for c, p in marks if c <= acked)
        assert cipher.plain(acked) == expected
