"""The spool: accepted means stored, a failed commit lies to nobody, a restart carries on."""

from __future__ import annotations

import os
import queue
import random
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from nbclient.delivery.outbox import FRAME_COST
from nbclient.errors import FrameError, LocalError, OutboxFull
from nbclient.spool import file as spool_file
from nbclient.spool import spool as spool_module
from nbclient.spool.database import SpooledFrame
from nbclient.spool.folder import DATABASE, RESERVE, SpoolError, SpoolInUse, folder_name
from nbclient.spool.spool import Spool, SpoolFailed, SpoolOfAnotherPeer

ROOT = Path(__file__).parents[2]
SOON = 15.0
"""Seconds after which something that should happen at once has not happened."""
MIB = 1024 * 1024
PEER = "feed.example:5000"


class Disk(sqlite3.Connection):
    """A connection that fails as a disk does, when told to.

    :ivar failing: the beginnings of the statements that fail, and how often still.
    """

    failing: dict[str, int]
    words = "database or disk is full"

    def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
        self._fail(sql)
        return super().execute(sql, *arguments)

    def executemany(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
        self._fail(sql)
        return super().executemany(sql, *arguments)

    def executescript(self, sql: str) -> sqlite3.Cursor:
        self._fail(sql)
        return super().executescript(sql)

    def _fail(self, sql: str) -> None:
        for start, left in self.failing.items():
            if left and sql.startswith(start):
                self.failing[start] = left - 1
                raise sqlite3.OperationalError(self.words)


class Bench:
    """A spool without its thread, on a disk that can fail, with a clock that is set by hand.

    :ivar told: how each request ended, in order, by the name it was given.
    :ivar failing: see `Disk`.
    :ivar delivered: how often the caller's thread was woken.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.told: list[tuple[str, str | None]] = []
        self.failing: dict[str, int] = {}
        self.time = 1000.0
        self.delivered = 0
        self.disk = Disk

    def connect(self, uri: str) -> sqlite3.Connection:
        db = sqlite3.connect(
            uri, uri=True, isolation_level=None, check_same_thread=False, factory=self.disk
        )
        db.failing = self.failing
        return db

    def deliver(self, call: Callable[[], None]) -> None:
        self.delivered += 1
        call()

    def open(self, link: str = "feed", peer: str = PEER, limit: int = MIB, **more: Any) -> Spool:
        return Spool.open(
            self.directory,
            link,
            peer,
            limit,
            deliver=self.deliver,
            now=lambda: self.time,
            connect=self.connect,
            **{"wait": 0.0, **more},
        )

    def note(self, name: str) -> Callable[[Exception | None], None]:
        """A callback that notes under this name how it ended."""
        return lambda error: self.told.append((name, None if error is None else str(error)))

    def failed(self) -> list[str]:
        return [name for name, error in self.told if error is not None]

    def stored(self) -> list[str]:
        return [name for name, error in self.told if error is None]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def waiting(spool: Spool) -> list[SpooledFrame]:
    """Every frame that waits, read back from the disk."""
    found: list[SpooledFrame] = []

    def loaded(error: Exception | None, frames: Any) -> None:
        assert error is None
        found.extend(frames)

    spool.load(0, 10**9, loaded)
    while spool._queue:
        spool.step()
    return found


def held(spool: Spool) -> list[bytes]:
    return [frame.frame for frame in waiting(spool)]


def ignore(_: Exception | None) -> None:
    """For when the end does not matter."""


# -- accepted means stored


def test_nothing_is_accepted_before_it_is_stored(bench: Bench) -> None:
    spool = bench.open()
    assert spool.append([b"a", b"b"], bench.note("ab")) == 1
    assert bench.told == []
    assert spool.totals.waiting == 0
    spool.step()
    assert bench.told == [("ab", None)]
    assert spool.totals.waiting == 2
    spool.close()


def test_what_was_accepted_is_there_after_a_restart_in_order(bench: Bench) -> None:
    spool = bench.open()
    spool.append([b"a", b"b"], ignore)
    spool.append([b"c"], ignore)
    spool.close()
    spool = bench.open()
    assert spool.totals.waiting == 3
    assert waiting(spool) == [
        SpooledFrame(1, b"a", 1000.0, 0),
        SpooledFrame(2, b"b", 1000.0, 0),
        SpooledFrame(3, b"c", 1000.0, 0),
    ]
    spool.close()


def test_all_that_waits_is_one_commit_and_wakes_the_caller_once(bench: Bench) -> None:
    spool = bench.open()
    spool.append([b"old"], ignore)
    spool.step()
    bench.delivered = 0
    for name in "abc":
        spool.append([name.encode()], bench.note(name))
    spool.acknowledge(1, bench.note("ack"))
    bench.failing["COMMIT"] = 0
    spool.step()
    assert bench.delivered == 1
    assert bench.stored() == ["a", "b", "c", "ack"]
    assert held(spool) == [b"a", b"b", b"c"]
    spool.close()


def test_a_commit_takes_no_more_than_its_share(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "TRANSACTION_BYTES", 2 * (10 + FRAME_COST))
    spool = bench.open()
    for n in range(5):
        spool.append([bytes(10)], bench.note(str(n)))
    sizes = []
    while len(bench.told) < 5:
        before = len(bench.told)
        spool.step()
        sizes.append(len(bench.told) - before)
    assert sizes == [2, 2, 1]
    spool.close()


def test_a_callback_that_raises_does_not_keep_the_others_from_being_told(bench: Bench) -> None:
    def broken(_: Exception | None) -> None:
        raise ValueError("a bug")

    spool = bench.open()
    spool.append([b"a"], bench.note("before"))
    spool.append([b"b"], broken)
    spool.append([b"c"], bench.note("after"))
    with pytest.raises(ValueError, match="a bug"):
        spool.step()
    assert bench.stored() == ["before", "after"]
    spool.close()


def test_numbers_count_on_from_the_one_returned_also_after_a_restart(bench: Bench) -> None:
    spool = bench.open()
    assert spool.append([b"a", b"b"], ignore) == 1
    assert spool.append([b"c"], ignore) == 3
    assert spool.last_seq == 3
    spool.acknowledge(3)
    spool.close()
    spool = bench.open()
    assert spool.totals.waiting == 0
    assert spool.append([b"d"], ignore) == 4
    spool.close()


# -- delivered means forgotten


def test_what_is_acknowledged_is_forgotten(bench: Bench) -> None:
    spool = bench.open()
    spool.append([b"a", b"b", b"c"], ignore)
    spool.acknowledge(2, bench.note("ack"))
    spool.acknowledge(2)
    spool.step()
    assert bench.stored() == ["ack"]
    assert held(spool) == [b"c"]
    assert spool.totals.waiting_bytes == 1 + FRAME_COST
    spool.close()


def test_frames_in_the_middle_can_be_dropped(bench: Bench) -> None:
    spool = bench.open()
    spool.append([b"a", b"b", b"c", b"d"], ignore)
    spool.drop(2, 3, bench.note("expired"))
    spool.drop(2, 3)
    spool.step()
    assert held(spool) == [b"a", b"d"]
    spool.close()


def test_attempts_and_what_is_set_aside_outlive_the_process(bench: Bench) -> None:
    spool = bench.open()
    spool.append([b"poison", b"good"], ignore)
    spool.attempted(1, 2, bench.note("attempt"))
    spool.attempted(1, 1)
    spool.step()
    assert [frame.attempts for frame in waiting(spool)] == [2, 1]
    spool.set_aside(1, "lost each time", bench.note("aside"))
    spool.set_aside(99, "no such frame")
    spool.close()
    spool = bench.open()
    assert held(spool) == [b"good"]
    assert (spool.totals.set_aside, spool.totals.set_aside_bytes) == (1, 6 + FRAME_COST)
    spool.close()
    assert bench.stored() == ["attempt", "aside"]


def test_the_age_of_the_oldest_is_told_by_the_time_of_day(bench: Bench) -> None:
    spool = bench.open()
    assert spool.oldest_age is None
    spool.append([b"a"], ignore)
    bench.time += 5
    spool.append([b"b"], ignore)
    spool.step()
    bench.time += 10
    assert spool.oldest_age == 15
    spool.acknowledge(1)
    spool.step()
    assert spool.oldest_age == 10
    bench.time -= 3600
    assert spool.oldest_age == 0, "a clock that was set back makes nothing younger than now"
    spool.close()


# -- reading back


def test_frames_are_loaded_in_pieces(bench: Bench) -> None:
    spool = bench.open()
    spool.append([bytes(100)] * 5, ignore)
    pieces: list[list[int]] = []
    spool.load(0, 2 * (100 + FRAME_COST), lambda _, f: pieces.append([x.seq for x in f]))
    spool.load(2, 10**6, lambda _, f: pieces.append([x.seq for x in f]))
    spool.load(5, 10**6, lambda _, f: pieces.append([x.seq for x in f]))
    spool.close()
    assert pieces == [[1, 2], [3, 4, 5], []]


def test_a_load_sees_what_was_asked_before_it_and_nothing_after(bench: Bench) -> None:
    spool = bench.open()
    order: list[object] = []
    spool.append([b"a"], lambda _: order.append("a"))
    spool.load(0, 10**6, lambda _, frames: order.append([x.frame for x in frames]))
    spool.append([b"b"], lambda _: order.append("b"))
    spool.close()
    assert order == ["a", [b"a"], "b"]


def test_a_load_that_fails_says_why(bench: Bench) -> None:
    spool = bench.open()
    bench.failing["SELECT seq, frame"] = 1
    told: list[tuple[str, int]] = []
    spool.load(0, 10**6, lambda error, frames: told.append((str(error), len(frames))))
    spool.step()
    assert told == [(f"{spool.folder / DATABASE}: cannot be read: database or disk is full", 0)]
    spool.close()


# -- a bound


def test_what_does_not_fit_is_refused_before_it_is_asked_for(bench: Bench) -> None:
    spool = bench.open(limit=3 * (10 + FRAME_COST))
    spool.append([bytes(10)] * 2, ignore)
    assert spool.room == 10 + FRAME_COST, "what is on its way counts"
    with pytest.raises(OutboxFull):
        spool.append([bytes(11)], ignore)
    spool.append([bytes(10)], ignore)
    spool.step()
    assert spool.room == 0
    spool.acknowledge(1)
    spool.step()
    assert spool.room == 10 + FRAME_COST
    spool.close()


def test_what_fails_gives_its_room_back(bench: Bench) -> None:
    spool = bench.open(limit=1000)
    bench.failing["COMMIT"] = 1
    spool.append([bytes(800)], ignore)
    assert spool.room == 1000 - 800 - FRAME_COST
    spool.step()
    assert spool.room == 1000
    spool.close()


def test_what_is_set_aside_counts_for_it_is_on_the_disk(bench: Bench) -> None:
    spool = bench.open(limit=1000)
    spool.append([bytes(800)], ignore)
    spool.set_aside(1, "poison")
    spool.step()
    assert spool.room == 1000 - 800 - FRAME_COST
    spool.close()


def test_a_smaller_bound_than_before_leaves_no_room_and_takes_nothing_away(bench: Bench) -> None:
    spool = bench.open()
    spool.append([bytes(800)], ignore)
    spool.close()
    spool = bench.open(limit=100)
    assert (spool.room, spool.totals.waiting) == (0, 1)
    spool.cursor("file:/a", "1")
    spool.close()


def test_a_frame_longer_than_sqlite_stores_is_refused_by_itself(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_file, "LONGEST", 100)
    spool = bench.open()
    with pytest.raises(FrameError, match="up to 100 bytes"):
        spool.append([b"", bytes(101)], ignore)
    spool.append([bytes(100)] * 2, bench.note("together they may be longer"))
    spool.step()
    assert len(bench.stored()) == 1
    spool.close()


def test_a_log_that_somebody_keeps_from_being_written_back_is_bounded(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "LOG_SPARE", 0)
    spool = bench.open(limit=50_000)
    reader = sqlite3.connect(spool.folder / DATABASE, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM frames").fetchall()
    for n in range(10):
        spool.append([bytes(20_000)], bench.note("add"))
        spool.acknowledge(n + 1, bench.note("ack"))
        spool.step()
    assert "its log is over 50000 bytes long, for another program" in str(bench.told[-1][1])
    reader.close()
    spool.step()
    bench.told.clear()
    spool.append([b"again"], bench.note("add"))
    spool.step()
    assert bench.stored() == ["add"]
    assert held(spool) == [b"again"]
    spool.close()


# -- the cursors of inputs


def test_a_cursor_is_stored_with_the_frames_read_up_to_it(bench: Bench) -> None:
    spool = bench.open()
    spool.append([b"a"], ignore, cursor=("file:/a", "2"))
    assert spool.cursors == {}
    spool.step()
    assert spool.cursors == {"file:/a": "2"}
    spool.cursor("file:/a", "3", bench.note("alone"))
    spool.close()
    assert bench.stored() == ["alone"]
    spool = bench.open()
    assert spool.cursors == {"file:/a": "3"}
    spool.close()


def test_a_cursor_does_not_move_past_frames_that_were_not_stored(bench: Bench) -> None:
    spool = bench.open()
    bench.failing["COMMIT"] = 1
    spool.append([b"a"], ignore, cursor=("file:/a", "2"))
    spool.step()
    spool.close()
    spool = bench.open()
    assert (spool.cursors, held(spool)) == ({}, [])
    spool.close()


def test_what_was_read_behind_a_failed_batch_fails_too_until_its_reader_knows(
    bench: Bench,
) -> None:
    # Were `c` stored with its cursor, a crash now would lose `a` for ever.
    posted: list[Callable[[], None]] = []
    bench.deliver = posted.append  # type: ignore[method-assign]
    spool = bench.open()
    spool.append([b"a"], bench.note("a"), cursor=("file:/a", "2"))
    spool.append([b"z"], bench.note("z"), cursor=("file:/z", "2"))
    bench.failing["COMMIT"] = 1
    spool.step()
    spool.append([b"c"], bench.note("c"), cursor=("file:/a", "4"))
    spool.append([b"d"], bench.note("d"))
    spool.step()
    while posted:
        posted.pop(0)()
    assert bench.failed() == ["a", "z", "c"]
    assert bench.stored() == ["d"], "who has no cursor has nothing to do with it"
    spool.append([b"a"], bench.note("a again"), cursor=("file:/a", "2"))
    spool.append([b"c"], bench.note("c again"), cursor=("file:/a", "4"))
    spool.step()
    while posted:
        posted.pop(0)()
    assert bench.stored() == ["d", "a again", "c again"]
    assert spool.cursors == {"file:/a": "4"}
    spool.close()


# -- a disk that fails


@pytest.mark.parametrize("words", ["database or disk is full", "disk I/O error"])
@pytest.mark.parametrize("where", ["BEGIN", "INSERT INTO frames", "SELECT stored", "COMMIT"])
def test_a_failed_commit_fails_exactly_what_was_in_it(
    bench: Bench, where: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Disk, "words", words)
    spool = bench.open()
    spool.append([b"before"], bench.note("before"))
    spool.step()
    spool.append([b"a"], bench.note("a"))
    spool.append([b"b"], bench.note("b"))
    bench.failing[where] = 1
    spool.step()
    assert bench.failed() == ["a", "b"]
    assert bench.told[-1][1] == f"{spool.folder / DATABASE}: not stored: {words}"
    assert isinstance(spool.trouble, SpoolFailed)
    spool.append([b"after"], bench.note("after"))
    spool.step()
    assert bench.stored() == ["before", "after"]
    assert spool.trouble is None
    assert held(spool) == [b"before", b"after"]
    spool.close()
    spool = bench.open()
    assert held(spool) == [b"before", b"after"]
    spool.close()


def test_a_spool_that_was_moved_away_accepts_nothing_until_it_is_back(bench: Bench) -> None:
    """What is written to a file without a name is there for nobody."""
    spool = bench.open()
    spool.append([b"before"], bench.note("before"))
    spool.step()
    away = bench.directory / "away"
    spool.folder.rename(away)
    spool.append([b"lost"], bench.note("lost"))
    spool.acknowledge(0, bench.note("noted"))  # there is no harm in that
    spool.step()
    spool.step()
    why = dict(bench.told)["lost"]
    assert why is not None
    assert why.endswith("spool.db: not stored: the file was moved or removed while in use")
    spool.folder.mkdir()
    (spool.folder / DATABASE).write_bytes(b"another")
    spool.append([b"other"], bench.note("other"))
    spool.step()
    assert bench.failed() == ["lost", "other"]
    (spool.folder / DATABASE).unlink()
    spool.folder.rmdir()
    away.rename(spool.folder)
    spool.append([b"after"], bench.note("after"))
    spool.step()
    assert bench.stored() == ["before", "noted", "after"]
    assert held(spool) == [b"before", b"after"]
    spool.close()


def test_a_failure_of_the_disk_is_the_users_to_mend(bench: Bench) -> None:
    assert issubclass(SpoolFailed, LocalError)


def test_a_commit_that_cannot_even_be_undone_spoils_nothing_for_later_ones(bench: Bench) -> None:
    spool = bench.open()
    spool.append([b"a"], bench.note("a"))
    bench.failing.update({"COMMIT": 1, "ROLLBACK": 1})
    spool.step()
    spool.append([b"b"], bench.note("b"))
    spool.step()
    assert (bench.failed(), bench.stored()) == (["a"], ["b"])
    assert held(spool) == [b"b"]
    spool.close()


def test_a_full_disk_is_noticed_before_what_could_not_be_written_back_is_accepted(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    spool = bench.open()
    monkeypatch.setattr(os, "posix_fallocate", full)
    spool.append([b"a"], bench.note("a"))
    spool.step()
    monkeypatch.undo()
    assert bench.told == [("a", f"{spool.folder / DATABASE}: not stored: No space left on device")]
    spool.append([b"b"], bench.note("b"))
    spool.step()
    assert bench.stored() == ["b"]
    spool.close()


def test_an_acknowledgement_that_could_not_be_stored_is_stored_later(bench: Bench) -> None:
    spool = bench.open()
    spool.append([b"a", b"b", b"c"], ignore)
    spool.step()
    bench.failing["COMMIT"] = 100
    spool.acknowledge(1, bench.note("1"))
    spool.step()
    spool.acknowledge(2, bench.note("2"))
    spool.step()
    assert bench.told == []
    bench.failing.clear()
    spool.step()
    assert bench.stored() == ["1", "2"]
    assert held(spool) == [b"c"]
    spool.close()


def test_what_is_tried_again_does_not_wait_for_frames_that_do_not_fit(bench: Bench) -> None:
    spool = bench.open()
    spool.append([b"a"], ignore)
    spool.step()
    bench.failing["COMMIT"] = 1
    spool.acknowledge(1, bench.note("ack"))
    spool.step()
    bench.failing["INSERT INTO frames"] = 1
    spool.append([b"b"], bench.note("b"))
    spool.acknowledge(1, bench.note("newer"))
    spool.step()
    assert (bench.stored(), bench.failed()) == (["ack", "newer"], ["b"])
    spool.close()


def test_setting_aside_is_never_overtaken_by_an_acknowledgement_that_would_delete_the_frame(
    bench: Bench,
) -> None:
    spool = bench.open()
    spool.append([b"a", b"poison", b"c"], ignore)
    spool.step()
    bench.failing["COMMIT"] = 100
    spool.set_aside(2, "why")
    spool.step()
    spool.acknowledge(3)
    spool.step()
    bench.failing.clear()
    spool.step()
    assert (spool.totals.waiting, spool.totals.set_aside) == (0, 1)
    spool.close()


class Cramped(Disk):
    """A connection to a disk with room to forget two frames at a time."""

    def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
        if sql.startswith("DELETE FROM frames WHERE seq BETWEEN"):
            count = "SELECT count(*) FROM frames WHERE seq BETWEEN ? AND ?"
            if super().execute(count, *arguments).fetchone()[0] > 2:
                raise sqlite3.OperationalError(self.words)
        return super().execute(sql, *arguments)


@pytest.mark.parametrize("by", ["trying again", "closing"])
@pytest.mark.parametrize("first", [1, 3])
def test_what_does_not_fit_on_a_full_disk_at_once_is_forgotten_bit_by_bit(
    bench: Bench, first: int, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was delivered, and what expired."""
    monkeypatch.setattr(spool_module, "MOST_FORGOTTEN", 16)
    bench.disk = Cramped
    spool = bench.open()
    spool.append([b"x"] * 9, ignore)
    spool.set_aside(4, "why")
    spool.step()
    if first == 1:
        spool.acknowledge(7, bench.note("gone"))
    else:
        spool.drop(first, 7, bench.note("gone"))
    spool.attempted(9, 9, bench.note("attempt"))
    spool.step()
    assert bench.told == []
    if by == "trying again":
        spool.step()
    spool.close()
    assert bench.stored() == ["gone", "attempt"]
    spool = bench.open()
    assert [frame.seq for frame in waiting(spool)] == [*range(1, first), 8, 9]
    assert spool.totals.set_aside == 1
    spool.close()


def test_bit_by_bit_nothing_overtakes_what_sets_a_frame_aside(bench: Bench) -> None:
    bench.disk = Cramped
    spool = bench.open()
    spool.append([b"x"] * 9, ignore)
    spool.step()
    bench.failing["INSERT INTO set_aside"] = 3
    spool.set_aside(4, "why", bench.note("aside"))
    spool.acknowledge(9, bench.note("ack"))
    spool.step()
    spool.step()
    assert (bench.told, spool.totals.waiting) == ([], 9)
    spool.step()
    assert bench.stored() == ["aside", "ack"]
    assert (spool.totals.waiting, spool.totals.set_aside) == (0, 1)
    spool.close()


def test_acknowledgements_do_not_pile_up_while_the_disk_fails(bench: Bench) -> None:
    spool = bench.open()
    spool.append([b"x"] * 20, ignore)
    spool.step()
    bench.failing["COMMIT"] = 10_000
    for n in range(1, 11):
        spool.acknowledge(n, bench.note(str(n)))
        spool.step()
    assert len(spool._again) == 1
    spool.attempted(11, 11)
    for n in range(11, 21):
        spool.acknowledge(n)
        spool.step()
    assert len(spool._again) == 3
    bench.failing.clear()
    spool.step()
    assert bench.stored() == [str(n) for n in range(1, 11)]
    assert spool.totals.waiting == 0
    spool.close()


def test_giving_back_room_may_fail_and_costs_nobody_anything(bench: Bench) -> None:
    spool = bench.open(limit=64 * MIB)
    spool.append([bytes(4000)] * 1000, ignore)
    spool.step()
    bench.failing["PRAGMA incremental_vacuum"] = 2
    spool.acknowledge(1000, bench.note("ack"))
    spool.step()
    assert bench.stored() == ["ack"]
    assert bench.failing["PRAGMA incremental_vacuum"] == 0
    spool.close()


def test_room_is_given_back_while_nothing_else_is_to_be_done(bench: Bench) -> None:
    spool = bench.open(limit=64 * MIB)
    spool.append([bytes(4000)] * 2000, ignore)
    spool.step()
    spool.acknowledge(2000)
    spool.step()
    while spool._untidy:
        spool.step()
    assert (spool.folder / DATABASE).stat().st_size < 2 * MIB
    spool.step()
    spool.close()


# -- whose it is


def test_frames_for_another_peer_are_not_sent_to_the_new_one(bench: Bench) -> None:
    spool = bench.open()
    spool.append([b"a", b"b"], ignore, cursor=("file:/a", "2"))
    spool.set_aside(2, "why")
    spool.close()
    with pytest.raises(
        SpoolOfAnotherPeer,
        match=r"holds 2 frames for feed\.example:5000, not for b:1; --spool-adopt sends",
    ) as caught:
        bench.open(peer="b:1")
    assert (caught.value.frames, caught.value.peer) == (2, PEER)
    spool = bench.open()
    assert held(spool) == [b"a"]
    spool.close()


def test_one_frame_is_one_frame(bench: Bench) -> None:
    assert "holds 1 frame for" in str(SpoolOfAnotherPeer(Path("x"), 1, "a", "b"))


def test_adopted_frames_go_to_the_new_peer_and_inputs_go_on_where_they_stopped(
    bench: Bench,
) -> None:
    spool = bench.open()
    spool.append([b"a"], ignore, cursor=("file:/a", "2"))
    spool.close()
    spool = bench.open(peer="b:1", adopt=True)
    assert (held(spool), spool.cursors) == ([b"a"], {"file:/a": "2"})
    spool.close()
    bench.open(peer="b:1").close()


def test_an_empty_spool_goes_to_a_new_peer_who_has_seen_nothing_yet(bench: Bench) -> None:
    spool = bench.open()
    spool.append([b"a"], ignore, cursor=("file:/a", "2"))
    spool.acknowledge(1)
    spool.close()
    spool = bench.open(peer="b:1")
    assert spool.cursors == {}
    assert spool.append([b"b"], ignore) == 2
    spool.close()
    with pytest.raises(SpoolOfAnotherPeer):
        bench.open()


def test_a_change_of_peer_that_cannot_be_stored_opens_nothing(bench: Bench) -> None:
    bench.open().close()
    bench.failing["COMMIT"] = 1
    with pytest.raises(SpoolError, match="cannot be changed: database or disk is full"):
        bench.open(peer="b:1")
    bench.open(peer="c:1").close()


def test_a_folder_that_was_copied_for_another_link_is_refused(bench: Bench) -> None:
    bench.open("feed").close()
    (bench.directory / folder_name("feed")).rename(bench.directory / folder_name("other"))
    with pytest.raises(SpoolError, match="belongs to the link 'feed', not to 'other'"):
        bench.open("other")


def test_links_have_spools_of_their_own(bench: Bench) -> None:
    one, two = bench.open("one"), bench.open("two")
    one.append([b"a"], ignore)
    one.step()
    assert held(two) == []
    one.close()
    two.close()


def test_one_owner_at_a_time(bench: Bench) -> None:
    first = bench.open()
    with pytest.raises(SpoolInUse) as caught:
        bench.open()
    assert caught.value.pid == os.getpid()
    first.close()
    bench.open().close()


def test_the_second_waits_for_the_first(bench: Bench) -> None:
    first = bench.open()
    first.append([b"a"], ignore)

    def pause(_: float) -> bool:
        first.close()
        return False

    second = bench.open(wait=10.0, pause=pause)
    assert held(second) == [b"a"]
    second.close()


@pytest.mark.parametrize("damage", [b"", b"not a database" * 100])
def test_a_file_that_is_refused_is_left_as_it_was_and_the_lock_let_go_of(
    bench: Bench, damage: bytes
) -> None:
    spool = bench.open()
    spool.close()
    path = spool.folder / DATABASE
    path.write_bytes(damage)
    with pytest.raises(SpoolError, match="is not a spool"):
        bench.open()
    with pytest.raises(SpoolError, match="is not a spool"):
        bench.open()
    assert path.read_bytes() == damage
    assert not Path(f"{path}-wal").exists()


def test_a_relative_path_holds_also_when_the_process_goes_elsewhere(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(bench.directory)
    spool = Spool.open("spool", "feed", PEER, MIB, deliver=bench.deliver)
    assert spool.folder.is_absolute()
    spool.close()


def test_a_spool_in_memory_says_so(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = bench.open()
    monkeypatch.setattr(spool_module, "is_volatile", lambda path: path == spool.folder)
    assert spool.volatile
    spool.close()


# -- the end


def test_closing_does_first_what_was_asked(bench: Bench) -> None:
    spool = bench.open()
    spool.append([b"a"], bench.note("a"))
    spool.close(bench.note("closed"))
    assert bench.told == [("a", None), ("closed", None)]
    assert sorted(path.name for path in spool.folder.iterdir()) == ["lock", RESERVE, DATABASE]
    assert (spool.folder / RESERVE).stat().st_size == 0


def test_closing_again_is_told_at_once(bench: Bench) -> None:
    spool = bench.open()
    spool.close()
    spool.close(bench.note("again"))
    assert bench.stored() == ["again"]
    assert spool.join()


def test_a_closed_spool_refuses_everything(bench: Bench) -> None:
    spool = bench.open()
    spool.close()
    for ask in (
        partial(spool.append, [b"a"], ignore),
        partial(spool.acknowledge, 1),
        partial(spool.load, 0, 1, lambda *_: None),
    ):
        with pytest.raises(SpoolError, match="is closed"):
            ask()
    assert spool.room == MIB


def test_closing_says_when_an_acknowledgement_could_not_be_stored(bench: Bench) -> None:
    spool = bench.open()
    spool.append([b"a"], ignore)
    spool.step()
    bench.failing["COMMIT"] = 100
    spool.acknowledge(1, bench.note("ack"))
    spool.close(bench.note("closed"))
    assert bench.failed() == ["ack", "closed"]
    assert "not everything delivered could be noted as such" in str(bench.told[-1][1])
    bench.failing.clear()
    spool = bench.open()
    assert held(spool) == [b"a"], "it is sent twice, not lost"
    spool.close()


def test_closing_tries_once_more_what_failed(bench: Bench) -> None:
    spool = bench.open()
    spool.append([b"a"], ignore)
    spool.step()
    bench.failing["COMMIT"] = 1
    spool.acknowledge(1, bench.note("ack"))
    spool.close(bench.note("closed"))
    assert bench.stored() == ["ack", "closed"]


def test_closing_that_fails_says_why_and_lets_go_of_the_lock(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(5, "Input/output error")

    spool = bench.open()
    monkeypatch.setattr(os, "ftruncate", full)
    spool.close(bench.note("closed"))
    monkeypatch.undo()
    assert bench.told == [("closed", f"{spool.folder / DATABASE}: not stored: Input/output error")]
    bench.open().close()


# -- the thread


class Caller:
    """The caller's thread: makes the calls that the spool's thread hands over."""

    def __init__(self) -> None:
        self.calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()

    def until(self, done: Callable[[], object]) -> None:
        while not done():
            self.calls.get(timeout=SOON)()


def test_the_thread_commits_and_the_callbacks_come_on_the_callers(tmp_path: Path) -> None:
    caller = Caller()
    spool = Spool.open(tmp_path, "feed", PEER, MIB, deliver=caller.calls.put)
    spool.start()
    told: list[tuple[Exception | None, threading.Thread]] = []
    for n in range(20):
        spool.append([b"%d" % n], lambda error: told.append((error, threading.current_thread())))
    caller.until(lambda: len(told) == 20)
    assert set(told) == {(None, threading.current_thread())}
    closed: list[Exception | None] = []
    spool.close(closed.append)
    caller.until(lambda: closed)
    assert spool.join(SOON)
    assert closed == [None]


def test_the_thread_sleeps_when_there_is_nothing_to_do_and_wakes_when_there_is(
    tmp_path: Path,
) -> None:
    caller = Caller()
    spool = Spool.open(tmp_path, "feed", PEER, MIB, deliver=caller.calls.put)
    spool.start()
    for _ in range(5):
        told: list[Exception | None] = []
        spool.append([b"a"], told.append)
        caller.until(lambda told=told: told)
    spool.close()
    assert spool.join(SOON)


def test_the_thread_tries_again_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "RETRY", 0.001)
    caller, bench = Caller(), Bench(tmp_path)
    bench.deliver = caller.calls.put  # type: ignore[method-assign]
    spool = bench.open()
    spool.append([b"a"], ignore)
    spool.step()
    bench.failing["COMMIT"] = 3
    spool.start()
    acknowledged: list[Exception | None] = []
    spool.acknowledge(1, acknowledged.append)
    caller.until(lambda: acknowledged)
    assert bench.failing["COMMIT"] == 0
    spool.close()
    assert spool.join(SOON)


def test_the_thread_does_not_keep_the_process_from_ending(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path, "feed", PEER, MIB, deliver=lambda call: call())
    spool.start()
    assert spool._thread is not None
    assert spool._thread.daemon
    spool.close()
    assert spool.join(SOON)


def test_the_spool_and_its_tool_load_where_there_is_no_twisted() -> None:
    code = (
        "import sys; sys.modules['twisted'] = None;"
        " import nbclient.spool.spool, nbclient.spool;"
        " print([name for name in sys.modules if name.startswith('twisted.')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


# -- anything may happen in any order

FAULTS = (
    "BEGIN",
    "INSERT INTO frames",
    "DELETE",
    "SELECT count",
    "COMMIT",
    "ROLLBACK",
    "PRAGMA wal",
)


class Model:
    """A spool under a seeded schedule of requests, faults and restarts, and what must be true."""

    def __init__(self, directory: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.bench = Bench(directory)
        self.spool = self.bench.open(limit=20_000)
        self.accepted: dict[int, bytes] = {}
        self.refused: set[bytes] = set()
        self.acknowledged = 0
        self.aside: set[int] = set()
        self.made = 0

    def append(self) -> None:
        frames = [b"%d," % (self.made + n) * self.random.randrange(1, 40) for n in range(3)]
        self.made += 3
        first = self.spool.last_seq + 1

        def done(error: Exception | None) -> None:
            numbered = dict(enumerate(frames, first))
            if error is None:
                self.accepted.update(numbered)
            else:
                self.refused.update(frames)

        if self.spool.room > 1000:
            assert self.spool.append(frames, done) == first

    def acknowledge(self) -> None:
        if self.accepted:
            upto = self.random.choice(sorted(self.accepted)[:10])
            self.acknowledged = max(self.acknowledged, upto)
            self.spool.acknowledge(upto)

    def set_aside(self) -> None:
        waiting = [seq for seq in self.accepted if seq > self.acknowledged]
        if waiting:
            seq = self.random.choice(waiting)
            self.aside.add(seq)
            self.spool.set_aside(seq, "why")

    def step(self) -> None:
        for fault in FAULTS:
            self.bench.failing[fault] = int(self.random.random() < 0.1)
        self.spool.step()

    def restart(self) -> None:
        self.bench.failing.clear()
        self.spool.close()
        self.spool = self.bench.open(limit=20_000)
        self.check()

    def check(self) -> None:
        found = {frame.seq: frame.frame for frame in waiting(self.spool)}
        expected = {
            seq: frame
            for seq, frame in sorted(self.accepted.items())
            if seq > self.acknowledged and seq not in self.aside
        }
        assert found == expected
        assert list(found) == sorted(found)
        assert self.refused.isdisjoint(found.values())
        assert self.spool.totals.waiting == len(found)
        assert self.spool.totals.set_aside == len(self.aside)
        assert self.spool.last_seq >= max(self.accepted, default=0)

    def run(self, steps: int) -> None:
        for _ in range(steps):
            act = self.random.choices(
                (self.append, self.acknowledge, self.set_aside, self.step, self.restart),
                (8, 4, 1, 8, 1),
            )[0]
            act()
        self.restart()
        self.bench.told.clear()
        self.spool.acknowledge(self.spool.last_seq)
        self.spool.append([b"alive"], self.bench.note("alive"))
        self.spool.step()
        assert self.bench.stored() == ["alive"], "once the faults stop, it goes on"
        self.spool.close()


@pytest.mark.parametrize("seed", range(8))
def test_whatever_fails_and_whenever_what_was_accepted_is_there_and_what_was_refused_is_not(
    tmp_path: Path, seed: int
) -> None:
    Model(tmp_path, seed).run(120)
