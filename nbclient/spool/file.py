"""The file of one spool: SQLite in WAL mode, every commit synced; made, examined, opened."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import struct
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path

from nbclient.spool.database import (
    BUSY,
    LATEST,
    ChangingStore,
    Description,
    Store,
    Totals,
    describe,
    file_size,
    log_file,
)
from nbclient.spool.folder import DATABASE, Reserve, SpoolError, check_own, reason, sync_folder

APPLICATION_ID = 0x6E62_5350
"""Marks the file as ours (``PRAGMA application_id``): "nbSP"."""

FORMAT = 1
"""Version of the format (``PRAGMA user_version``)."""

LONGEST = 999_000_000
"""The longest frame that SQLite stores, bytes (its own limit of 10^9, less a row's rest)."""

LOG_KEPT = 4 * 1024 * 1024
"""What the log (``-wal``) shrinks to once it is written back, bytes."""

INDEX = 32 * 1024
"""The least that the index of the log (``-shm``) takes, bytes."""

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

_MISTYPED = f"""
    SELECT 'a frame' FROM frames WHERE typeof(frame) <> 'blob' OR typeof(stored) <> 'real'
        OR typeof(attempts) <> 'integer' OR abs(stored) > {LATEST}
    UNION ALL
    SELECT 'a frame set aside' FROM set_aside WHERE typeof(frame) <> 'blob'
        OR typeof(stored) <> 'real' OR typeof(attempts) <> 'integer' OR typeof(reason) <> 'text'
        OR typeof(moved) <> 'real' OR max(abs(stored), abs(moved)) > {LATEST}
    UNION ALL
    SELECT 'a cursor' FROM cursors WHERE typeof(name) <> 'text' OR typeof(value) <> 'text'
    UNION ALL
    SELECT 'its description' FROM meta WHERE typeof(key) <> 'text' OR typeof(value) <> 'text'
    LIMIT 1
"""
# A column of SQLite takes values of any type, and so does one whose row's head is damaged.

_HEADER = struct.Struct(">16s44xI4xI28x")  # sqlite.org/fileformat.html, 1.3

Connect = Callable[[str], sqlite3.Connection]
"""Opens a database, named by URI."""


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
    describe(db, described)
    db.execute("COMMIT")
    # Last: so the file itself, and not only its log, says from the first moment whose it is.
    _use_wal(db)


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
    how = "mode=ro" if file_size(log_file(path)) else "mode=ro&immutable=1"
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
    for beside in _beside(path):
        _check_plain(beside)
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise SpoolError(f"{path}: is not a plain file")
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


def _beside(path: Path) -> list[Path]:
    """What there is of the files that SQLite opens unasked beside a database."""
    files = (log_file(path), Path(f"{path}-shm"), Path(f"{path}-journal"))
    return [file for file in files if os.path.lexists(file)]


def _check_plain(path: Path) -> None:
    """SQLite waits for whoever writes into a FIFO in its place, and for ever."""
    try:
        plain = stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:  # its owner has just closed the spool
        return
    except OSError as error:
        raise SpoolError(f"{path}: {reason(error)}") from None
    if not plain:
        raise SpoolError(f"{path}: is not a plain file")


def _open_at_once(path: str, flags: int) -> int:
    """Not to wait for whoever writes into a FIFO in its place."""
    return os.open(path, flags | os.O_NONBLOCK)


def _check_tables(path: Path, db: sqlite3.Connection) -> None:
    sql = "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite~_%' ESCAPE '~'"
    if dict(db.execute(sql)) != _TABLES:
        raise SpoolError(f"{path}: is not a spool of nbclient (other tables)")


def _check_sound(path: Path, db: sqlite3.Connection) -> None:
    (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise SpoolError(f"{path}: is damaged: {found.splitlines()[-1]}")
    mistyped = db.execute(_MISTYPED).fetchone()
    if mistyped is not None:
        raise SpoolError(f"{path}: is damaged: {mistyped[0]} is not what it should be")


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
        full = " (the disk is full)" if _is_full(path.parent) else ""
        raise SpoolError(f"{path}: cannot be read: {error}{full}") from None


def _is_full(folder: Path) -> bool:
    """Whether the disk has not even room for the index of a log; SQLite says "disk I/O error"."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < INDEX


def open_to_change(folder: Path, connect: Connect = connect) -> ChangingStore:
    """The spool in `folder`; the caller holds the lock, and has examined it.

    :raises SpoolError: it cannot be opened.
    """
    path = folder / DATABASE
    with _named(path), contextlib.ExitStack() as undo:
        reserve = Reserve(folder)
        undo.callback(reserve.close)
        db = connect(_uri(path, "mode=rw"))
        undo.callback(db.close)
        _prepare(db)
        store = ChangingStore(path, db, reserve)
        undo.pop_all()
        return store


def check_files(folder: Path) -> bool:
    """Refuse files that are not ours alone; the caller holds the lock.

    :return: whether there is a spool yet.
    :raises SpoolError: they are not, or a part is missing.
    """
    path = folder / DATABASE
    files = [*([path] if os.path.lexists(path) else []), *_beside(path)]
    for file in files:
        check_own(file, stat.S_ISREG, "a plain file")
    if files and path not in files:
        # A new database would be filled from the log of the old one.
        raise SpoolError(f"{path}: is missing, though {files[0].name} is there")
    return bool(files)


def _prepare(db: sqlite3.Connection) -> None:
    _use_wal(db)
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA wal_autocheckpoint = 1000")  # pages: 4 MiB
    db.execute(f"PRAGMA journal_size_limit = {LOG_KEPT}")
    # Some builds overwrite with zeros what is deleted: every frame written twice.
    db.execute("PRAGMA secure_delete = OFF")
