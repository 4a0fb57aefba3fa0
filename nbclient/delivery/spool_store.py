"""The database of one spool: SQLite in WAL mode, every commit synced.

Synchronous, and for one thread at a time. What is changed, is changed between
`Store.begin` and `Store.commit`; a transaction that fails leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import struct
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from nbclient.delivery.outbox import FRAME_COST
from nbclient.delivery.spool_place import DATABASE, SpoolError, check_own, reason, sync_folder

APPLICATION_ID = 0x6E62_5350
"""Marks the file as ours (``PRAGMA application_id``): "nbSP"."""

FORMAT = 1
"""Version of the format (``PRAGMA user_version``)."""

LONGEST = 999_000_000
"""The longest frame that SQLite stores, bytes (its own limit of 10^9, less a row's rest)."""

LOG_KEPT = 16 * 1024 * 1024
"""What the log (``-wal``) shrinks to once it is written back, bytes."""

SPARE_PAGES = 256
"""Free pages of 4 KiB that are kept for what comes next."""

VACUUM_PAGES = 256
"""Pages given back at a time, so that no commit waits long behind it."""

BUSY = 5.0
"""Seconds to wait for a stranger's write lock (somebody's ``sqlite3 spool.db``)."""

_TABLES = {
    "meta": "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    # AUTOINCREMENT: a number is never used again, also after everything was delivered.
    "frames": "CREATE TABLE frames (seq INTEGER PRIMARY KEY AUTOINCREMENT, frame BLOB NOT NULL,"
    " stored REAL NOT NULL, attempts INTEGER NOT NULL)",
    "set_aside": "CREATE TABLE set_aside (seq INTEGER PRIMARY KEY, frame BLOB NOT NULL,"
    " stored REAL NOT NULL, attempts INTEGER NOT NULL, reason TEXT NOT NULL,"
    " moved REAL NOT NULL)",
    "cursors": "CREATE TABLE cursors (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
}

_HEADER = struct.Struct(">16s44xI4xI28x")  # sqlite.org/fileformat.html, 1.3

Connect = Callable[[str], sqlite3.Connection]
"""Opens a database, named by URI."""


@frozen
class SpooledFrame:
    """A frame that waits.

    :ivar seq: its number: ascending in the order of sending, never used again.
    :ivar stored: when it was accepted, seconds since the epoch.
    :ivar attempts: how often it was sent on a connection that was lost.
    """

    seq: int
    frame: bytes
    stored: float
    attempts: int


@frozen
class AsideFrame(SpooledFrame):
    """A frame that was set aside.

    :ivar reason: why.
    :ivar moved: when, seconds since the epoch.
    """

    reason: str
    moved: float


@frozen
class Totals:
    """What a spool holds; bytes include `FRAME_COST` a frame.

    :ivar oldest: when the first frame that waits was accepted, seconds since
        the epoch; None where none waits.
    """

    waiting: int
    waiting_bytes: int
    set_aside: int
    set_aside_bytes: int
    oldest: float | None

    @property
    def size(self) -> int:
        """All that is charged against the spool's limit, bytes."""
        return self.waiting_bytes + self.set_aside_bytes


@frozen
class Description:
    """What a spool says about itself: the link's name and its peer."""

    link: str
    peer: str


def connect(uri: str) -> sqlite3.Connection:
    """A connection without transactions of its own making, usable from any one thread."""
    return sqlite3.connect(
        uri, uri=True, isolation_level=None, check_same_thread=False, timeout=BUSY
    )


def _uri(path: Path, query: str) -> str:
    return f"file:{urllib.parse.quote(os.fsencode(path))}?{query}"


# -- making one --------------------------------------------------------------------------


def create(folder: Path, described: Description) -> None:
    """Make an empty spool in `folder`, whole or not at all; the caller holds the lock.

    :raises SpoolError: it cannot be made.
    """
    path = folder / DATABASE
    draft = folder / f"{DATABASE}.new"
    try:
        for left in folder.glob(f"{DATABASE}.new*"):  # by a crash in here
            left.unlink()
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        with contextlib.closing(connect(_uri(draft, "mode=rw"))) as db:
            _fill(db, described)
        draft.rename(path)
        sync_folder(folder)
    except OSError as error:
        raise SpoolError(f"{path}: cannot be made: {reason(error)}") from None
    except sqlite3.Error as error:
        raise SpoolError(f"{path}: cannot be made: {error}") from None


def _fill(db: sqlite3.Connection, described: Description) -> None:
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA auto_vacuum = INCREMENTAL")  # only an empty file takes it
    db.execute("BEGIN")
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute(f"PRAGMA user_version = {FORMAT}")
    for statement in _TABLES.values():
        db.execute(statement)
    _describe(db, described)
    db.execute("COMMIT")
    # Last: so the file itself, and not only its log, says from the first moment whose it is.
    _use_wal(db)


def _describe(db: sqlite3.Connection, described: Description) -> None:
    db.executemany(
        "INSERT OR REPLACE INTO meta VALUES (?, ?)",
        [("link", described.link), ("peer", described.peer)],
    )


def _use_wal(db: sqlite3.Connection) -> None:
    (mode,) = db.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise sqlite3.OperationalError(f"the file system does not take WAL mode, only {mode}")


# -- looking at one ----------------------------------------------------------------------


def examine(folder: Path) -> tuple[Description, Totals]:
    """What the spool in `folder` says of itself, once all of it was found to be sound.

    Changes nothing. The caller holds the lock, and does not have it open:
    closing a file lets go of all the locks that the process has on it.

    :raises SpoolError: it is not a spool, of another format, or damaged.
    """
    path = folder / DATABASE
    _check_header(path)
    # Without a log it can be read as if on a read-only disk: no files appear beside it.
    how = "mode=ro" if _size(_log(path)) else "mode=ro&immutable=1"
    with _opened(path, how) as db:
        _check_tables(path, db)
        _check_sound(path, db)
        store = Store(path, db)
        return store.description(), store.totals


@contextlib.contextmanager
def reading(folder: Path) -> Iterator[Store]:
    """A spool for reading only, while its owner runs or not.

    :raises SpoolError: it is not a spool, of another format, or cannot be read.
    """
    path = folder / DATABASE
    _check_header(path)
    with _opened(path, "mode=ro") as db:
        _check_tables(path, db)
        yield Store(path, db)


def _check_header(path: Path) -> None:
    try:
        with path.open("rb") as file:
            head = file.read(_HEADER.size)
    except OSError as error:
        raise SpoolError(f"{path}: {reason(error)}") from None
    if len(head) < _HEADER.size:
        raise SpoolError(f"{path}: is not a spool of nbclient (too short)")
    magic, version, application = _HEADER.unpack(head)
    if magic != b"SQLite format 3\0":
        raise SpoolError(f"{path}: is not a spool of nbclient (not a database of SQLite 3)")
    if application != APPLICATION_ID:
        raise SpoolError(f"{path}: is not a spool of nbclient (another program's database)")
    if version != FORMAT:
        raise SpoolError(f"{path}: has format {version}; this nbclient reads format {FORMAT}")


def _check_tables(path: Path, db: sqlite3.Connection) -> None:
    sql = "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite~_%' ESCAPE '~'"
    if dict(db.execute(sql)) != _TABLES:
        raise SpoolError(f"{path}: is not a spool of nbclient (other tables)")


def _check_sound(path: Path, db: sqlite3.Connection) -> None:
    (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise SpoolError(f"{path}: is damaged: {found.splitlines()[-1]}")


@contextlib.contextmanager
def _opened(path: Path, how: str) -> Iterator[sqlite3.Connection]:
    with _named(path), contextlib.closing(connect(_uri(path, how))) as db:
        yield db


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """Say of which file SQLite complains."""
    try:
        yield
    except sqlite3.Error as error:
        raise SpoolError(f"{path}: cannot be read: {error}") from None


def _log(path: Path) -> Path:
    return Path(f"{path}-wal")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def open_to_change(folder: Path, connect: Connect = connect) -> Store:
    """The spool in `folder`; the caller holds the lock, and has examined it.

    :raises SpoolError: it cannot be opened.
    """
    path = folder / DATABASE
    with _named(path):
        db = connect(_uri(path, "mode=rw"))
        try:
            _prepare(db)
            return Store(path, db)
        except BaseException:
            db.close()
            raise


def check_files(folder: Path) -> bool:
    """Refuse files that are not ours alone; the caller holds the lock.

    :return: whether there is a spool yet.
    :raises SpoolError: they are not, or a part is missing.
    """
    path = folder / DATABASE
    files = [file for file in (path, _log(path), Path(f"{path}-shm")) if os.path.lexists(file)]
    for file in files:
        check_own(file, stat.S_ISREG, "a plain file")
    if files and path not in files:
        # A new database would be filled from the log of the old one.
        raise SpoolError(f"{path}: is missing, though {files[0].name} is there")
    return bool(files)


def _prepare(db: sqlite3.Connection) -> None:
    _use_wal(db)
    db.execute("PRAGMA synchronous = FULL")
    db.execute(f"PRAGMA journal_size_limit = {LOG_KEPT}")
    # Some builds overwrite with zeros what is deleted: every frame written twice.
    db.execute("PRAGMA secure_delete = OFF")


# -- using one ---------------------------------------------------------------------------


class Store:
    """An open database.

    :ivar totals: what it holds, as of the last commit.
    :ivar cursors: where each input stopped reading, by its name, when it was opened.
    :ivar last_seq: the highest number ever given to a frame, likewise; 0 before the first.
    """

    def __init__(self, path: Path, db: sqlite3.Connection) -> None:
        self.path = path
        self._db = db
        self.totals = self._draft = self._count()
        self.cursors: dict[str, str] = dict(db.execute("SELECT name, value FROM cursors"))
        # No row before the first frame.
        self.last_seq = self._number(
            "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'frames'"
        )

    def close(self) -> None:
        """Close the file; in mode rw its log is written back first, if that can be done."""
        self._db.close()

    # -- what it holds

    def description(self) -> Description:
        """The link's name and its peer.

        :raises SpoolError: it does not name them.
        """
        meta = dict(self._db.execute("SELECT key, value FROM meta"))
        if not {"link", "peer"} <= meta.keys():
            raise SpoolError(f"{self.path}: is not a spool of nbclient (names no link and peer)")
        return Description(meta["link"], meta["peer"])

    def load(self, after: int, most: int) -> list[SpooledFrame]:
        """The frames that wait behind number `after`, in order.

        :param most: about how many bytes of them, `FRAME_COST` a frame
            included; one frame at least.
        """
        sql = "SELECT seq, frame, stored, attempts FROM frames WHERE seq > ? ORDER BY seq"
        return [SpooledFrame(*row) for row in self._piece(sql, after, most)]

    def load_aside(self, after: int, most: int) -> list[AsideFrame]:
        """As `load`, of the frames that were set aside."""
        sql = (
            "SELECT seq, frame, stored, attempts, reason, moved FROM set_aside"
            " WHERE seq > ? ORDER BY seq"
        )
        return [AsideFrame(*row) for row in self._piece(sql, after, most)]

    def _piece(self, sql: str, after: int, most: int) -> list[tuple[Any, ...]]:
        piece = []
        # Closed even when not read to its end: a reader that stays keeps the log growing.
        with contextlib.closing(self._db.execute(sql, (after,))) as rows:
            for row in rows:
                piece.append(row)
                most -= len(row[1]) + FRAME_COST
                if most <= 0:
                    break
        return piece

    # -- transactions

    def begin(self) -> None:
        """Begin a transaction.

        :raises sqlite3.Error: it cannot be begun.
        """
        if self._db.in_transaction:  # one whose end failed
            self._db.execute("ROLLBACK")
        self._draft = self.totals
        self._db.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """End it: everything in it is on the disk when this returns.

        :raises sqlite3.Error: nothing of it is stored.
        """
        oldest = self._oldest()  # before the end: a fault after it would hide that it was stored
        self._db.execute("COMMIT")
        self.totals = evolve(self._draft, oldest=oldest)

    def rollback(self) -> None:
        """Undo it, as far as that can be done now; the rest is `begin`'s."""
        with contextlib.suppress(sqlite3.Error):
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            # A commit whose sync failed must not come back from the log, and
            # on a full disk the log's room helps.
            self.write_back()

    def append(self, first: int, frames: Sequence[bytes], now: float) -> None:
        """Add frames, numbered from `first` on."""
        self._db.executemany(
            "INSERT INTO frames VALUES (?, ?, ?, 0)",
            ((seq, frame, now) for seq, frame in enumerate(frames, first)),
        )
        self._add(waiting=len(frames), waiting_bytes=_cost(map(len, frames)))

    def put_cursor(self, name: str, value: str) -> None:
        """Note where an input stopped reading."""
        self._db.execute("INSERT OR REPLACE INTO cursors VALUES (?, ?)", (name, value))

    def remove(self, first: int, last: int) -> None:
        """Forget the frames that wait with these numbers, both ends included."""
        count, size = self._measure("frames", first, last)
        if count:
            self._db.execute("DELETE FROM frames WHERE seq BETWEEN ? AND ?", (first, last))
            self._add(waiting=-count, waiting_bytes=-size)

    def count_attempt(self, first: int, last: int) -> None:
        """Note that the frames with these numbers were sent and lost once more."""
        self._db.execute(
            "UPDATE frames SET attempts = attempts + 1 WHERE seq BETWEEN ? AND ?", (first, last)
        )

    def set_aside(self, seq: int, why: str, now: float) -> None:
        """Move a frame that waits to those set aside; no such frame: nothing."""
        count, size = self._measure("frames", seq, seq)
        self._db.execute(
            "INSERT INTO set_aside SELECT seq, frame, stored, attempts, ?, ?"
            " FROM frames WHERE seq = ?",
            (why, now, seq),
        )
        self._db.execute("DELETE FROM frames WHERE seq = ?", (seq,))
        self._add(waiting=-count, waiting_bytes=-size, set_aside=count, set_aside_bytes=size)

    def requeue(self, first: int, last: int, now: float) -> int:
        """Move frames from those set aside to the end of those that wait, as if offered now.

        :return: how many.
        """
        count, size = self._measure("set_aside", first, last)
        self._db.execute(
            "INSERT INTO frames (frame, stored, attempts) SELECT frame, ?, 0"
            " FROM set_aside WHERE seq BETWEEN ? AND ? ORDER BY seq",
            (now, first, last),
        )
        self._db.execute("DELETE FROM set_aside WHERE seq BETWEEN ? AND ?", (first, last))
        self._add(waiting=count, waiting_bytes=size, set_aside=-count, set_aside_bytes=-size)
        return count

    def discard_aside(self, first: int, last: int) -> int:
        """Delete frames that were set aside.

        :return: how many.
        """
        count, size = self._measure("set_aside", first, last)
        self._db.execute("DELETE FROM set_aside WHERE seq BETWEEN ? AND ?", (first, last))
        self._add(set_aside=-count, set_aside_bytes=-size)
        return count

    def describe(self, described: Description) -> None:
        """Note another peer."""
        _describe(self._db, described)

    def forget_cursors(self) -> None:
        """Let every input begin at its beginning."""
        self._db.execute("DELETE FROM cursors")

    # -- room

    def log_size(self) -> int:
        """The size of the log, bytes."""
        return _size(_log(self.path))

    def write_back(self) -> None:
        """Write the log back and empty it, unless somebody is reading just now.

        :raises sqlite3.Error: the disk.
        """
        self._db.execute("PRAGMA busy_timeout = 0")  # a reader must not hold up the commits
        try:
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            self._db.execute(f"PRAGMA busy_timeout = {BUSY * 1000:.0f}")

    def shrink(self) -> bool:
        """Give back a piece of the file where most of it is free.

        :return: whether there is more to be given back.
        :raises sqlite3.Error: the disk.
        """
        free = self._number("PRAGMA freelist_count")
        used = self._number("PRAGMA page_count") - free
        surplus = free - SPARE_PAGES - used
        if surplus <= 0:
            return False
        # Not execute(), which frees a single page.
        self._db.executescript(f"PRAGMA incremental_vacuum({min(surplus, VACUUM_PAGES)})")
        if surplus > VACUUM_PAGES:
            return True
        self.write_back()  # only now does the file itself get shorter
        return False

    # -- figures

    def _count(self) -> Totals:
        return Totals(*self._measure("frames"), *self._measure("set_aside"), self._oldest())

    def _measure(self, table: str, first: int = 0, last: int = 2**63 - 1) -> tuple[int, int]:
        # length() of a blob is in its row's head: the frames themselves are not read.
        sql = f"SELECT count(*), total(length(frame)) FROM {table} WHERE seq BETWEEN ? AND ?"
        count, size = self._db.execute(sql, (first, last)).fetchone()
        return count, int(size) + FRAME_COST * count

    def _oldest(self) -> float | None:
        row = self._db.execute("SELECT stored FROM frames ORDER BY seq LIMIT 1").fetchone()
        return None if row is None else float(row[0])

    def _number(self, sql: str) -> int:
        (number,) = self._db.execute(sql).fetchone()
        return int(number)

    def _add(self, **more: int) -> None:
        self._draft = evolve(
            self._draft, **{name: getattr(self._draft, name) + n for name, n in more.items()}
        )


def _cost(sizes: Iterable[int]) -> int:
    return sum(size + FRAME_COST for size in sizes)
