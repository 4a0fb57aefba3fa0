"""Stand-ins for a link's spool: one in memory, and the real one on a disk that fails when told to.

Neither has a thread: a test calls `step`, and the callbacks come at once.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from attrs import evolve

from nbclient.delivery.outbox import FRAME_COST, Outbox
from nbclient.errors import FrameError, OutboxFull
from nbclient.spool.database import SpooledFrame, Totals
from nbclient.spool.folder import SpoolError
from nbclient.spool.spool import Spool, SpoolFailed

MIB = 1024 * 1024
LONGEST = 100_000
"""The longest frame that `FakeSpool` stores, bytes."""


class FakeSpool:
    """What a link sees of a `Spool`; each `step` is one commit.

    :param limit: bytes.
    :param frames: what it holds from before, as (frame, age in seconds) or frames.
    :param now: the time of day.

    :ivar failing: so many of the next steps fail what they were to add, or to read.
    :ivar rows: the frames that wait, by number.
    :ivar aside: those set aside, and why.
    """

    def __init__(
        self,
        limit: int = MIB,
        frames: Sequence[bytes] = (),
        now: Callable[[], float] = lambda: 0.0,
        ages: Sequence[float] = (),
    ) -> None:
        self.limit = limit
        self.failing = 0
        self.rows: dict[int, SpooledFrame] = {}
        self.aside: dict[int, tuple[SpooledFrame, str]] = {}
        self.cursors: dict[str, str] = {}
        self.closed = False
        self._now = now
        self._last = 0
        self._undecided = 0
        self._queue: deque[tuple[str, tuple[Any, ...], Any]] = deque()
        for number, frame in enumerate(frames):
            self._last += 1
            age = ages[number] if number < len(ages) else 0.0
            self.rows[self._last] = SpooledFrame(self._last, frame, now() - age, 0)
        self.totals = self._count()

    @property
    def room(self) -> int:
        return max(0, self.limit - self.totals.size - self._undecided)

    @property
    def oldest_age(self) -> float | None:
        oldest = self.totals.oldest
        return None if oldest is None else self._now() - oldest

    def claim(self, user: object) -> None:
        pass

    def reclaim(self, user: object) -> None:
        pass

    def release(self) -> None:
        pass

    def append(self, frames: Sequence[bytes], done: Any, cursor: Any = None) -> int:
        size = Outbox.cost(frames)
        if any(len(frame) > LONGEST for frame in frames):
            raise FrameError("too long")
        if frames and size > self.room:
            raise OutboxFull(self.limit, size)
        first = self._last + 1
        self._ask("append", (first, tuple(frames), cursor, self._now()), done)
        self._last += len(frames)
        self._undecided += size
        return first

    def acknowledge(self, upto: int, done: Any = None) -> None:
        self._ask("drop", (1, upto), done)

    def drop(self, first: int, last: int, done: Any = None) -> None:
        self._ask("drop", (first, last), done)

    def set_aside(self, seq: int, reason: str, done: Any = None) -> None:
        self._ask("set_aside", (seq, reason), done)

    def attempted(self, first: int, last: int, done: Any = None) -> None:
        self._ask("attempted", (first, last), done)

    def load(self, after: int, most: int, done: Any) -> None:
        self._ask("load", (after, most), done)

    def close(self) -> None:
        """No more is taken; what was asked is done, and told, at the next `step`."""
        self.closed = True

    def _ask(self, what: str, given: tuple[Any, ...], done: Any) -> None:
        if self.closed:
            raise SpoolError("is closed")
        self._queue.append((what, given, done))

    # -- what the test calls

    @property
    def asked(self) -> list[str]:
        """What is still to be done."""
        return [what for what, _, _ in self._queue]

    def step(self) -> None:
        """Do what was asked, up to the first reading."""
        fails, self.failing = self.failing > 0, max(0, self.failing - 1)
        calls: list[Callable[[], object]] = []
        taken = len(self._queue)
        for _ in range(taken):
            what, given, done = self._queue.popleft()
            calls.append(self._do(what, given, done, fails))
            if what == "load":
                break
        self.totals = self._count()
        for call in calls:
            call()

    def run(self) -> None:
        """Step until nothing is asked any more."""
        while self._queue:
            self.step()

    def _do(self, what: str, given: Any, done: Any, fails: bool) -> Callable[[], object]:
        error = SpoolFailed("the disk is full") if fails else None
        if what == "load":
            after, most = given
            found = () if fails else self._piece(after, most)
            return lambda: done(error, found)
        if what == "append":
            first, frames, cursor, stored = given
            self._undecided -= Outbox.cost(frames)
            if error is None:
                for seq, frame in enumerate(frames, first):
                    self.rows[seq] = SpooledFrame(seq, frame, stored, 0)
                if cursor is not None:
                    self.cursors[cursor[0]] = cursor[1]
            return lambda: done(error)
        getattr(self, f"_{what}")(*given)
        return lambda: done and done(None)

    def _drop(self, first: int, last: int) -> None:
        self.rows = {seq: row for seq, row in self.rows.items() if not first <= seq <= last}

    def _attempted(self, first: int, last: int) -> None:
        for seq in [seq for seq in self.rows if first <= seq <= last]:
            self.rows[seq] = evolve(self.rows[seq], attempts=self.rows[seq].attempts + 1)

    def _set_aside(self, seq: int, reason: str) -> None:
        self.aside[seq] = (self.rows.pop(seq), reason)

    def _piece(self, after: int, most: int) -> list[SpooledFrame]:
        piece = []
        for seq in sorted(seq for seq in self.rows if seq > after):
            piece.append(self.rows[seq])
            most -= len(piece[-1].frame) + FRAME_COST
            if most <= 0:
                break
        return piece

    def _count(self) -> Totals:
        aside = [row.frame for row, _ in self.aside.values()]
        rows = [self.rows[seq] for seq in sorted(self.rows)]
        frames = [row.frame for row in rows]
        oldest = rows[0].stored if rows else None
        return Totals(len(rows), Outbox.cost(frames), len(aside), Outbox.cost(aside), oldest)


# -- the real one


class Disk(sqlite3.Connection):
    """A connection that fails as a disk does, when told to.

    :ivar failing: the beginnings of the statements that fail, and how often still.
    """

    failing: dict[str, int]
    words = "database or disk is full"

    def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
        for start, left in self.failing.items():
            if left and sql.startswith(start):
                self.failing[start] = left - 1
                raise sqlite3.OperationalError(self.words)
        return super().execute(sql, *arguments)


class Disks:
    """Opens real spools in a folder, without their threads.

    :ivar failing: see `Disk`, for every one that is opened.
    """

    def __init__(self, folder: str | Path, now: Callable[[], float]) -> None:
        self.folder = folder
        self.failing: dict[str, int] = {}
        self._now = now

    def open(self, limit: int = MIB, peer: str = "peer:1") -> Spool:
        """The spool of the one link."""
        return Spool.open(
            self.folder,
            "feed",
            peer,
            limit,
            deliver=lambda call: call(),
            wait=0.0,
            now=self._now,
            connect=self._connect,
        )

    def _connect(self, uri: str) -> sqlite3.Connection:
        db = sqlite3.connect(
            uri, uri=True, isolation_level=None, check_same_thread=False, factory=Disk
        )
        db.failing = self.failing
        return db
