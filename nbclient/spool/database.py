"""What stands in a spool's database, read and changed.

Synchronous, and for one thread at a time. What is changed, is changed between
`ChangingStore.begin` and `ChangingStore.commit`; a transaction that fails
leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

from attrs import evolve, frozen

from nbclient.delivery.outbox import FRAME_COST
from nbclient.spool.folder import Reserve, SpoolError

SPARE_PAGES = 256
"""Free pages of 4 KiB that are kept for what comes next."""

VACUUM_PAGES = 256
"""Pages given back at a time, so that no commit waits long behind it."""

ROWS = 50
"""Frames added by one statement: AUTOINCREMENT's book-keeping is done once for each."""

_INSERT = "INSERT INTO frames VALUES (?, ?, ?, 0)"
# The first number, the time, the frames: what is bound is what a row costs.
_INSERT_ROWS = "INSERT INTO frames VALUES " + ", ".join(
    f"(?1 + {row}, ?{row + 3}, ?2, 0)" for row in range(ROWS)
)

_TYPES = (int, bytes, float, int, str, float)
"""Of what `AsideFrame` has: SQLite gives others where a row's head is damaged."""

LATEST = 1e15
"""No time is later, seconds since the epoch: what a damaged row says may be no time at all."""

BUSY = 5.0
"""Seconds to wait for a stranger's write lock (somebody's ``sqlite3 spool.db``)."""


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


def describe(db: sqlite3.Connection, described: Description) -> None:
    """Write down whose spool it is."""
    db.executemany(
        "INSERT OR REPLACE INTO meta VALUES (?, ?)",
        [("link", described.link), ("peer", described.peer)],
    )


def log_file(path: Path) -> Path:
    """Where SQLite keeps the log of this database."""
    return Path(f"{path}-wal")


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file this is; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def file_size(path: Path) -> int:
    """The size of a file, bytes; 0 where there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


class Store:
    """An open database.

    :ivar totals: what it holds, as of the last commit.
    :ivar cursors: where each input stopped reading, by its name, when it was opened.
    :ivar last_seq: the highest number ever given to a frame, likewise; 0 before the first.
    """

    def __init__(self, path: Path, db: sqlite3.Connection) -> None:
        self.path = path
        self._db = db
        self.totals = self._count()
        self.cursors: dict[str, str] = dict(db.execute("SELECT name, value FROM cursors"))
        # No row before the first frame.
        self.last_seq = self._number(
            "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'frames'"
        )

    def description(self) -> Description:
        """The link's name and its peer.

        :raises SpoolError: it does not name them.
        """
        meta = dict(self._db.execute("SELECT key, value FROM meta"))
        if not {"link", "peer"} <= meta.keys():
            raise SpoolError(f"{self.path}: is not a spool of nbclient (names no link and peer)")
        link, peer = meta["link"], meta["peer"]
        if not (isinstance(link, str) and isinstance(peer, str)):
            raise self._damaged("its description")
        return Description(link, peer)

    def _damaged(self, what: str) -> SpoolError:
        return SpoolError(f"{self.path}: is damaged: {what} is not what it should be")

    def load(self, after: int, most: int) -> list[SpooledFrame]:
        """The frames that wait behind number `after`, in order.

        :param most: about how many bytes of them, `FRAME_COST` a frame
            included; one frame at least.
        :raises SpoolError: one of them is damaged.
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
                if tuple(map(type, row)) != _TYPES[: len(row)] or not _are_times(row[2::3]):
                    raise SpoolError(f"{self.path}: frame {row[0]} is damaged")
                piece.append(row)
                most -= len(row[1]) + FRAME_COST
                if most <= 0:
                    break
        return piece

    def _count(self) -> Totals:
        return Totals(*self._measure("frames"), *self._measure("set_aside"), self._oldest())

    def _measure(self, table: str, first: int = 0, last: int = 2**63 - 1) -> tuple[int, int]:
        # length() of a blob is in its row's head: the frames themselves are not read.
        sql = f"SELECT count(*), total(length(frame)) FROM {table} WHERE seq BETWEEN ? AND ?"
        count, size = self._db.execute(sql, (first, last)).fetchone()
        return count, int(size) + FRAME_COST * count

    def _oldest(self) -> float | None:
        row = self._db.execute("SELECT stored FROM frames ORDER BY seq LIMIT 1").fetchone()
        if row is None:
            return None
        if not _are_times(row):
            raise self._damaged("the time of the first frame")
        return cast(float, row[0])

    def _number(self, sql: str) -> int:
        (number,) = self._db.execute(sql).fetchone()
        if type(number) is not int:
            raise self._damaged("a number")
        return number


class ChangingStore(Store):
    """A database of which this process is the owner.

    :param reserve: room for when the disk is full.
    """

    def __init__(self, path: Path, db: sqlite3.Connection, reserve: Reserve) -> None:
        super().__init__(path, db)
        self._identity = _identity(path)
        self._reserve = reserve
        self._draft = self.totals

    def close(self) -> None:
        """Write the log back, if that can be done, and close the file.

        :raises OSError, sqlite3.Error: it cannot be closed in order.
        """
        try:
            self._reserve.close()
        finally:
            self._db.close()

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
        """Undo it, and make room, as far as that can be done now; the rest is `begin`'s."""
        with contextlib.suppress(sqlite3.Error, OSError):
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            self._reserve.release()
            # Emptied, the log also cannot bring back a commit whose sync failed.
            self.write_back()
            self._vacuum(VACUUM_PAGES)
            self.write_back()

    def append(self, first: int, frames: Sequence[bytes], now: float) -> None:
        """Add frames, numbered from `first` on."""
        whole = len(frames) - len(frames) % ROWS
        for start in range(0, whole, ROWS):
            rows = (first + start, now, *frames[start : start + ROWS])
            self._db.execute(_INSERT_ROWS, rows)
        rest = enumerate(frames[whole:], first + whole)
        self._db.executemany(_INSERT, [(seq, frame, now) for seq, frame in rest])
        self._add(waiting=len(frames), waiting_bytes=_cost(map(len, frames)))

    def put_cursor(self, name: str, value: str) -> None:
        """Note where an input stopped reading."""
        self._db.execute("INSERT OR REPLACE INTO cursors VALUES (?, ?)", (name, value))

    def remove(self, first: int, last: int) -> int:
        """Forget the frames that wait with these numbers, both ends included.

        :return: how many.
        """
        count, size = self._measure("frames", first, last)
        if count:
            self._db.execute("DELETE FROM frames WHERE seq BETWEEN ? AND ?", (first, last))
            self._add(waiting=-count, waiting_bytes=-size)
        return count

    def remove_some(self, first: int, last: int, most: int) -> int:
        """Forget the first frames that wait with these numbers, so many at most.

        :return: how many.
        """
        nth = self._number(
            f"SELECT coalesce(max(seq), 0) FROM (SELECT seq FROM frames"
            f" WHERE seq BETWEEN {first:d} AND {last:d} ORDER BY seq LIMIT {most:d})"
        )
        return self.remove(first, nth)

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
        describe(self._db, described)

    def forget_cursors(self) -> None:
        """Let every input begin at its beginning."""
        self._db.execute("DELETE FROM cursors")
        self.cursors.clear()

    # -- room

    def check_place(self) -> None:
        """Be sure that what is added next will be found again.

        :raises SpoolError: somebody removed, renamed or replaced the file.
        """
        if _identity(self.path) != self._identity:
            raise SpoolError(f"{self.path}: not stored: the file was moved or removed while in use")

    def make_room(self, size: int, log: int) -> None:
        """Be sure that what is added next can be written back even when the disk is full.

        :param size: how much is added, bytes.
        :param log: how long the log is, bytes.
        :raises OSError: the disk has no room for it.
        """
        self._reserve.ensure(log + 2 * size)  # pages may be half empty

    def log_size(self) -> int:
        """The size of the log, bytes."""
        return file_size(log_file(self.path))

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
        self._vacuum(min(surplus, VACUUM_PAGES))
        if surplus > VACUUM_PAGES:
            return True
        self.write_back()  # only now does the file itself get shorter
        return False

    def _vacuum(self, pages: int) -> None:
        # Not execute(), which frees a single page.
        self._db.executescript(f"PRAGMA incremental_vacuum({pages})")

    def _add(self, **more: int) -> None:
        self._draft = evolve(
            self._draft, **{name: getattr(self._draft, name) + n for name, n in more.items()}
        )


def _are_times(values: Iterable[object]) -> bool:
    return all(type(value) is float and abs(value) <= LATEST for value in values)


def _cost(sizes: Iterable[int]) -> int:
    return sum(size + FRAME_COST for size in sizes)
