"""A spool's file: ours and sound, or refused and left as it was; what it stores and forgets."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from nbclient.delivery.outbox import FRAME_COST
from nbclient.spool import file as spool_file
from nbclient.spool.database import (
    VACUUM_PAGES,
    AsideFrame,
    ChangingStore,
    Description,
    SpooledFrame,
    Totals,
)
from nbclient.spool.file import check_files, create, examine, open_to_change, reading
from nbclient.spool.folder import DATABASE, RESERVE, SpoolError

WHOSE = Description("feed", "feed.example:5000")
EMPTY = Totals(0, 0, 0, 0, None)

ROOT = Path(__file__).parents[2]
CRASH = """
import os, sys
from pathlib import Path
from nbclient.spool.file import open_to_change
store = open_to_change(Path(sys.argv[1]))
store.begin()
store.append(1, [b"only in the log"], 1.0)
store.commit()
os._exit(0)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an empty spool."""
    create(tmp_path, WHOSE)
    return tmp_path


@contextlib.contextmanager
def changing(folder: Path) -> Iterator[ChangingStore]:
    """The spool in `folder`; what is done is one transaction."""
    store = open_to_change(folder)
    try:
        store.begin()
        yield store
        store.commit()
    finally:
        store.close()


def filled(folder: Path, *frames: bytes, first: int = 1, now: float = 100.0) -> None:
    with changing(folder) as store:
        store.append(first, frames, now)


def raw(folder: Path, *statements: str) -> None:
    """Change the file behind the back of everything."""
    with contextlib.closing(sqlite3.connect(folder / DATABASE, isolation_level=None)) as db:
        for statement in statements:
            db.execute(statement)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def untouched(folder: Path, message: str) -> None:
    """`folder` is refused with this message, and left exactly as it was."""
    before = contents(folder)
    with pytest.raises(SpoolError, match=message) as caught:
        examine(folder)
    assert "\n" not in str(caught.value)
    assert contents(folder) == before


# -- making one


def test_a_new_spool_is_empty_and_says_whose_it_is(folder: Path) -> None:
    assert examine(folder) == (WHOSE, EMPTY)
    assert [path.name for path in folder.iterdir()] == [DATABASE]
    assert (folder / DATABASE).stat().st_mode & 0o777 == 0o600


def test_a_path_may_hold_anything(tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"50%20?mode=memory#\xff&")
    odd.mkdir()
    create(odd, WHOSE)
    filled(odd, b"x")
    assert examine(odd)[1].waiting == 1


def test_what_a_crash_left_of_the_making_is_cleared_away(tmp_path: Path) -> None:
    for suffix in ("", "-journal", "-wal"):
        (tmp_path / f"{DATABASE}.new{suffix}").write_bytes(b"half")
    create(tmp_path, WHOSE)
    assert [path.name for path in tmp_path.iterdir()] == [DATABASE]


def test_a_crash_in_the_making_leaves_no_spool_that_is_half_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(spool_file, "_use_wal", crash)
    with pytest.raises(KeyboardInterrupt):
        create(tmp_path, WHOSE)
    assert not check_files(tmp_path)


def test_a_spool_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    with pytest.raises(SpoolError, match="cannot be made: No such file or directory"):
        create(tmp_path / "missing", WHOSE)


def test_a_file_system_that_does_not_take_wal_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What SQLite answers there: the mode that it stays in.
    monkeypatch.setattr(spool_file, "connect", lambda _: sqlite3.connect(":memory:"))
    with pytest.raises(SpoolError, match="does not take WAL mode, only memory"):
        create(tmp_path, WHOSE)


# -- refused, and left as it was


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / DATABASE).write_text("somebody's notes\n" * 100)
    untouched(tmp_path, "is not a spool of nbclient .not a database of SQLite 3.")


def test_an_empty_file_is_refused_for_nobody_knows_what_it_was(tmp_path: Path) -> None:
    (tmp_path / DATABASE).touch()
    untouched(tmp_path, "is not a spool of nbclient .too short.")


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    untouched(tmp_path, "spool.db: No such file or directory")


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    raw(tmp_path, "CREATE TABLE recipes (name)", "PRAGMA user_version = 1")
    untouched(tmp_path, "another program's database")


def test_a_later_format_is_refused_and_named(folder: Path) -> None:
    raw(folder, "PRAGMA user_version = 2")
    untouched(folder, "has format 2; this nbclient reads format 1")


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE more (x)",
        "DROP TABLE set_aside",
        "CREATE TRIGGER t AFTER INSERT ON frames BEGIN DELETE FROM frames; END",
        "CREATE VIEW v AS SELECT 1",
        "ALTER TABLE frames ADD COLUMN x",
    ],
)
def test_tables_that_are_not_ours_are_refused_above_all_what_runs_by_itself(
    folder: Path, statement: str
) -> None:
    raw(folder, statement)
    untouched(folder, "is not a spool of nbclient .other tables.")


def test_a_spool_that_does_not_say_whose_it_is_is_refused(folder: Path) -> None:
    raw(folder, "DELETE FROM meta WHERE key = 'peer'")
    untouched(folder, "names no link and peer")


def test_a_file_cut_short_is_refused(folder: Path) -> None:
    filled(folder, *[bytes(3000)] * 30)
    os.truncate(folder / DATABASE, 40_000)
    untouched(folder, "cannot be read|is damaged")


def test_a_damaged_frame_is_found_before_it_is_sent(folder: Path) -> None:
    filled(folder, bytes(100_000))
    image = bytearray((folder / DATABASE).read_bytes())
    # The middle of the frame says that its next page is one that does not exist.
    image[-10 * 4096 : -10 * 4096 + 4] = b"\xff\xff\xff\xff"
    (folder / DATABASE).write_bytes(image)
    untouched(folder, "is damaged: ")


ASIDE = "INSERT INTO set_aside VALUES (9, x'61', 1.0, 1, 'why', 2.0)"


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("UPDATE frames SET frame = 'text'", "a frame"),
        ("UPDATE frames SET stored = 'text'", "a frame"),
        ("UPDATE frames SET stored = 9e999", "a frame"),
        ("UPDATE frames SET attempts = 1.5", "a frame"),
        ("UPDATE set_aside SET frame = 'text'", "a frame set aside"),
        ("UPDATE set_aside SET reason = x'ff'", "a frame set aside"),
        ("UPDATE set_aside SET moved = -9e999", "a frame set aside"),
        ("INSERT INTO cursors VALUES ('file:a', x'ff')", "a cursor"),
        ("UPDATE meta SET value = x'ff'", "its description"),
    ],
)
def test_a_value_that_is_of_another_type_is_damage(folder: Path, statement: str, what: str) -> None:
    """One flipped bit in a row's head does that; SQLite itself takes a value of any type."""
    filled(folder, b"a")
    raw(folder, ASIDE, statement)
    untouched(folder, f"is damaged: {what} is not")


def test_what_is_damaged_while_it_is_open_is_not_read(folder: Path) -> None:
    filled(folder, b"a", b"b")
    raw(folder, ASIDE)
    with reading(folder) as store:
        assert [aside.reason for aside in store.load_aside(0, 100)] == ["why"]
        raw(folder, "UPDATE frames SET frame = 'b' WHERE seq = 2")
        raw(folder, "UPDATE set_aside SET moved = 'now'")
        with pytest.raises(SpoolError, match="frame 2 is damaged"):
            store.load(0, 1000)
        with pytest.raises(SpoolError, match="frame 9 is damaged"):
            store.load_aside(0, 1000)


def test_a_damaged_table_is_found(folder: Path) -> None:
    filled(folder, *[bytes([n]) * 300 for n in range(200)])
    image = bytearray((folder / DATABASE).read_bytes())
    # The head of each leaf but the schema's: number of cells, and where they are.
    for page in range(2, len(image) // 4096):
        image[page * 4096 + 3 : page * 4096 + 7] = b"\xff\xff\xff\xff"
    (folder / DATABASE).write_bytes(image)
    untouched(folder, "is damaged|cannot be read")


def test_what_is_only_in_the_log_of_a_crash_is_examined_too(folder: Path) -> None:
    subprocess.run([sys.executable, "-c", CRASH, folder], cwd=ROOT, timeout=30, check=True)
    assert (folder / f"{DATABASE}-wal").stat().st_size > 0
    before = (folder / DATABASE).read_bytes()
    assert examine(folder)[1].waiting == 1
    assert (folder / DATABASE).read_bytes() == before


def test_a_log_without_its_database_is_refused_it_would_fill_a_new_one(tmp_path: Path) -> None:
    (tmp_path / f"{DATABASE}-wal").touch(0o600)
    with pytest.raises(SpoolError, match=r"is missing, though spool\.db-wal is there"):
        check_files(tmp_path)


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
def test_a_symbolic_link_in_place_of_a_file_is_not_followed(folder: Path, suffix: str) -> None:
    path = folder / f"{DATABASE}{suffix}"
    path.unlink(missing_ok=True)
    path.symlink_to(folder / "elsewhere")
    with pytest.raises(SpoolError, match="is not a plain file"):
        check_files(folder)


@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal"])
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("none", path)])
def test_what_is_no_file_beside_the_database_is_refused_and_not_waited_for(
    folder: Path, make: Callable[[Path], object], suffix: str
) -> None:
    beside = folder / f"{DATABASE}{suffix}"
    make(beside)
    for look in (lambda path: reading(path).__enter__(), examine, check_files):
        with pytest.raises(SpoolError) as caught:
            look(folder)
        assert str(caught.value) == f"{beside}: is not a plain file"


def test_a_folder_beside_the_database_is_refused(folder: Path) -> None:
    """Apart from the FIFO above, for which SQLite would wait for ever."""
    (folder / f"{DATABASE}-journal").mkdir()
    with pytest.raises(SpoolError, match="is not a plain file"), reading(folder):
        pass


def test_a_file_beside_that_is_gone_when_it_is_looked_at_is_no_fault(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its owner has closed the spool in between."""
    monkeypatch.setattr(spool_file, "_beside", lambda path: [Path(f"{path}-wal")])
    assert examine(folder) == (WHOSE, EMPTY)


def test_a_file_beside_that_cannot_be_looked_at_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = folder / DATABASE / "no folder"
    monkeypatch.setattr(spool_file, "_beside", lambda path: [beside])
    with pytest.raises(SpoolError) as caught:
        examine(folder)
    assert str(caught.value) == f"{beside}: Not a directory"


def test_a_file_that_others_may_read_is_refused(folder: Path) -> None:
    (folder / DATABASE).chmod(0o644)
    with pytest.raises(SpoolError, match=r"open to others \(mode 0644\)"):
        check_files(folder)


def test_a_spool_in_order_is_there(folder: Path) -> None:
    assert check_files(folder)


def test_opening_that_fails_leaves_nothing_open(folder: Path) -> None:
    opened: list[sqlite3.Connection] = []

    def connect(uri: str) -> sqlite3.Connection:
        opened.append(spool_file.connect(uri))
        opened[0].execute("DROP TABLE cursors")
        return opened[0]

    with pytest.raises(SpoolError, match="cannot be read: no such table"):
        open_to_change(folder, connect)
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        opened[0].execute("SELECT 1")


# -- durable


@pytest.mark.parametrize(("free", "words"), [(0, " (the disk is full)"), (10**9, ""), (-1, "")])
def test_a_disk_too_full_to_open_a_spool_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, free: int, words: str
) -> None:
    def cannot(uri: str) -> sqlite3.Connection:
        raise sqlite3.OperationalError("disk I/O error")

    def look(_: Path) -> SimpleNamespace:
        if free < 0:
            raise OSError(5, "Input/output error")
        return SimpleNamespace(f_bavail=free, f_frsize=1)

    monkeypatch.setattr(os, "statvfs", look)
    with pytest.raises(SpoolError) as caught:
        open_to_change(folder, cannot)
    assert str(caught.value) == f"{folder / DATABASE}: cannot be read: disk I/O error{words}"


def test_every_commit_is_synced_in_wal_mode(folder: Path) -> None:
    opened: list[sqlite3.Connection] = []

    def connect(uri: str) -> sqlite3.Connection:
        opened.append(spool_file.connect(uri))
        return opened[0]

    store = open_to_change(folder, connect)
    (db,) = opened
    assert db.execute("PRAGMA synchronous").fetchone() == (2,), "FULL: NORMAL loses at a power cut"
    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert db.execute("PRAGMA auto_vacuum").fetchone() == (2,), "INCREMENTAL: room is given back"
    assert db.execute("PRAGMA secure_delete").fetchone() == (0,)
    store.close()


# -- in and out


def test_frames_come_back_whole_and_in_order(folder: Path) -> None:
    filled(folder, b"", b"\0\xff\n", b"x" * 100_000, now=5.5)
    filled(folder, b"last", first=4, now=6.5)
    with reading(folder) as store:
        assert store.load(0, 10**9) == [
            SpooledFrame(1, b"", 5.5, 0),
            SpooledFrame(2, b"\0\xff\n", 5.5, 0),
            SpooledFrame(3, b"x" * 100_000, 5.5, 0),
            SpooledFrame(4, b"last", 6.5, 0),
        ]
        assert store.totals == Totals(4, 100_007 + 4 * FRAME_COST, 0, 0, 5.5)
        assert store.description() == WHOSE


@pytest.mark.parametrize("count", [1, 49, 50, 51, 100, 1234])
def test_any_number_of_frames_may_be_added_at_once(folder: Path, count: int) -> None:
    frames = [b"%d" % n for n in range(count)]
    filled(folder, *frames, first=7)
    with reading(folder) as store:
        found = store.load(0, 10**9)
        assert [(frame.seq, frame.frame) for frame in found] == list(enumerate(frames, 7))
        assert (store.last_seq, store.totals.waiting) == (count + 6, count)


def test_frames_are_read_in_pieces_of_about_the_size_asked_for(folder: Path) -> None:
    filled(folder, *[bytes(100)] * 10)
    with reading(folder) as store:

        def piece(after: int, most: int) -> list[int]:
            return [frame.seq for frame in store.load(after, most)]

        assert piece(0, 3 * (100 + FRAME_COST)) == [1, 2, 3]
        assert piece(3, 1) == [4], "one at least, or a reader would never get on"
        assert piece(8, 10**6) == [9, 10]
        assert piece(10, 10**6) == []


def test_reading_a_piece_does_not_keep_the_log_from_being_written_back(folder: Path) -> None:
    filled(folder, *[bytes(100)] * 10)
    owner = open_to_change(folder)
    with reading(folder) as store:
        store.load(0, 1)
        owner.begin()
        owner.append(11, [b"more"], 1.0)
        owner.commit()
        owner.write_back()
        assert owner.log_size() == 0
    owner.close()


def test_writing_back_does_not_wait_for_a_reader(folder: Path) -> None:
    filled(folder, b"a")
    said: list[str] = []

    def connect(uri: str) -> sqlite3.Connection:
        db = spool_file.connect(uri)
        db.set_trace_callback(said.append)
        return db

    owner = open_to_change(folder, connect)
    with contextlib.closing(sqlite3.connect(folder / DATABASE, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM frames").fetchall()
        owner.begin()
        owner.append(2, [b"b"], 1.0)
        owner.commit()
        said.clear()
        owner.write_back()
        assert owner.log_size() > 0
    assert said == [
        "PRAGMA busy_timeout = 0",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "PRAGMA busy_timeout = 5000",
    ]
    owner.close()


def test_what_is_removed_is_gone_and_what_is_around_it_stays(folder: Path) -> None:
    filled(folder, b"a", b"bb", b"ccc", b"dddd")
    with changing(folder) as store:
        assert store.remove(2, 3) == 2
        assert store.remove(2, 3) == 0
    with reading(folder) as reader:
        assert [frame.frame for frame in reader.load(0, 1000)] == [b"a", b"dddd"]
        assert reader.totals == Totals(2, 5 + 2 * FRAME_COST, 0, 0, 100.0)


def test_totals_follow_every_change(folder: Path) -> None:
    with changing(folder) as store:
        store.append(1, [b"a", b"bb", b"ccc"], 7.0)
        store.append(4, [b"dddd"], 8.0)
        store.set_aside(2, "poison", 9.0)
        store.set_aside(2, "twice is once", 9.5)
        store.remove(1, 3)
        assert store.totals == EMPTY, "not before it is committed"
    assert store.totals == Totals(1, 4 + FRAME_COST, 1, 2 + FRAME_COST, 8.0)
    assert examine(folder)[1] == store.totals
    assert store.totals.size == 6 + 2 * FRAME_COST


def test_numbers_are_never_used_again_also_when_all_was_delivered(folder: Path) -> None:
    filled(folder, b"a", b"b")
    with changing(folder) as store:
        store.remove(1, 2)
    with reading(folder) as reader:
        assert reader.last_seq == 2


def test_attempts_are_counted_for_each_frame(folder: Path) -> None:
    filled(folder, b"a", b"b", b"c")
    with changing(folder) as store:
        store.count_attempt(1, 2)
        store.count_attempt(2, 2)
    with reading(folder) as reader:
        assert [frame.attempts for frame in reader.load(0, 1000)] == [1, 2, 0]


def test_what_is_set_aside_is_kept_with_its_reason_and_time(folder: Path) -> None:
    filled(folder, b"a", b"b")
    with changing(folder) as store:
        store.count_attempt(1, 1)
        store.set_aside(1, "the link is lost each time", 200.0)
    with reading(folder) as reader:
        assert [frame.seq for frame in reader.load(0, 1000)] == [2]
        assert reader.load_aside(0, 1000) == [
            AsideFrame(1, b"a", 100.0, 1, "the link is lost each time", 200.0)
        ]


def test_what_is_requeued_goes_to_the_end_in_order_as_if_offered_now(folder: Path) -> None:
    filled(folder, b"a", b"b", b"c", b"d")
    with changing(folder) as store:
        for seq in (3, 1, 4):
            store.set_aside(seq, "why", 150.0)
    with changing(folder) as store:
        assert store.requeue(1, 3, 300.0) == 2
    with reading(folder) as reader:
        assert [(f.seq, f.frame, f.stored, f.attempts) for f in reader.load(0, 1000)] == [
            (2, b"b", 100.0, 0),
            (5, b"a", 300.0, 0),
            (6, b"c", 300.0, 0),
        ]
        assert [frame.seq for frame in reader.load_aside(0, 1000)] == [4]
        assert reader.last_seq == 6


def test_what_is_discarded_is_gone(folder: Path) -> None:
    filled(folder, b"a", b"b")
    with changing(folder) as store:
        store.set_aside(1, "why", 150.0)
        assert store.discard_aside(1, 1) == 1
        assert store.discard_aside(1, 1) == 0
    assert examine(folder)[1] == Totals(1, 1 + FRAME_COST, 0, 0, 100.0)


def test_cursors_are_kept_until_the_peer_is_another_one(folder: Path) -> None:
    with changing(folder) as store:
        store.put_cursor("file:/a", "17")
        store.put_cursor("file:/a", "18")
    with reading(folder) as reader:
        assert reader.cursors == {"file:/a": "18"}
    with changing(folder) as store:
        store.forget_cursors()
        store.describe(Description("feed", "other:1"))
    with reading(folder) as reader:
        assert reader.cursors == {}
        assert reader.description() == Description("feed", "other:1")


# -- transactions


def test_what_is_undone_leaves_nothing_behind(folder: Path) -> None:
    store = open_to_change(folder)
    store.begin()
    store.append(1, [b"a"], 1.0)
    store.rollback()
    store.begin()
    store.commit()
    assert store.totals == EMPTY
    store.close()
    assert examine(folder)[1] == EMPTY


def test_a_transaction_whose_end_failed_is_undone_by_the_next(folder: Path) -> None:
    store = open_to_change(folder)
    store.begin()
    store.append(1, [b"a"], 1.0)
    store.begin()
    store.append(1, [b"b"], 1.0)
    store.commit()
    assert [frame.frame for frame in store.load(0, 1000)] == [b"b"]
    store.close()


def test_undoing_where_nothing_was_begun_is_fine(folder: Path) -> None:
    store = open_to_change(folder)
    store.rollback()
    store.close()


# -- room


def grown(folder: Path) -> ChangingStore:
    """A spool whose file is some 12 MiB long, with everything delivered."""
    store = open_to_change(folder)
    for n in range(3):
        store.begin()
        store.append(n * 1000 + 1, [bytes(4000)] * 1000, 1.0)
        store.commit()
    store.write_back()
    store.begin()
    store.remove(1, 3000)
    store.commit()
    return store


def test_room_is_given_back_in_pieces_until_little_is_left(folder: Path) -> None:
    store = grown(folder)
    store.write_back()
    assert (folder / DATABASE).stat().st_size > 12_000_000
    pieces = 1
    while store.shrink():
        pieces += 1
    assert pieces >= 3000 // VACUUM_PAGES, "a commit that waits would wait for all of it"
    assert (folder / DATABASE).stat().st_size < 1_200_000
    assert store.log_size() == 0
    store.close()


def test_a_file_that_is_mostly_in_use_is_left_alone(folder: Path) -> None:
    store = open_to_change(folder)
    store.begin()
    store.append(1, [bytes(4000)] * 1000, 1.0)
    store.remove(1, 450)
    store.commit()
    assert not store.shrink()
    store.close()


def test_the_log_stays_bounded_over_many_commits(folder: Path) -> None:
    store = open_to_change(folder)
    longest = 0
    for n in range(60):
        store.begin()
        store.append(n * 50 + 1, [bytes(4000)] * 50, 1.0)
        store.remove(1, n * 50)
        store.commit()
        longest = max(longest, store.log_size())
    assert longest < 5_000_000
    store.close()


def test_a_reserve_as_large_as_what_waits_to_be_written_back_is_kept(folder: Path) -> None:
    store = open_to_change(folder)
    store.make_room(1000, store.log_size())
    assert (folder / RESERVE).stat().st_size >= store.log_size() + 2000
    store.close()
    assert (folder / RESERVE).stat().st_size == 0


def test_the_reserve_is_given_up_when_something_failed(folder: Path) -> None:
    store = open_to_change(folder)
    store.make_room(1000, store.log_size())
    store.begin()
    store.rollback()
    assert (folder / RESERVE).stat().st_size == 0
    store.close()


# -- reading while it is in use


def test_one_may_look_while_the_owner_works(folder: Path) -> None:
    owner = open_to_change(folder)
    for n in range(1, 4):
        owner.begin()
        owner.append(n, [b"x"], 1.0)
        owner.commit()
        with reading(folder) as store:
            assert store.totals.waiting == n
    owner.close()


def test_who_only_looks_cannot_change(folder: Path) -> None:
    with pytest.raises(SpoolError, match="readonly"), reading(folder) as store:
        store._db.execute("DELETE FROM meta")
    assert examine(folder)[0] == WHOSE


@pytest.mark.parametrize("look", [examine, lambda folder: reading(folder).__enter__()])
def test_a_foreign_file_is_not_read_either(tmp_path: Path, look: Callable[[Path], object]) -> None:
    (tmp_path / DATABASE).write_bytes(bytes(200))
    with pytest.raises(SpoolError, match="is not a spool"):
        look(tmp_path)
