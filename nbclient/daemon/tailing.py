"""A file that grows: followed by its name, through rename and truncation, as ``tail -F`` does."""

from __future__ import annotations

import os
import re
import stat
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from twisted.logger import Logger

from nbclient.daemon.cursors import Cursor, TailPlace
from nbclient.daemon.inputs import CHUNK
from nbclient.daemon.streams import os_reason

INTERVAL = 0.25
"""Seconds between two looks."""

ROTATED = re.compile(r"[._-]\d[\d._:T-]*")
"""What a file's name gets behind it when another takes its place, unless it is compressed."""

REMEMBERED = 100
"""So many files that were read to their end are known again, and not read again."""


class Tail:
    """What is appended to the file that has this name.

    Between a file that ended and the one that has the name now there may have been
    others. Those in the same folder whose names are this one and `ROTATED`, and which were
    written to after the one that ended, are read first, in the order in which they last were.

    :param path: the file; it need not exist yet.
    :param from_start: begin at the start of the file that is there first; else
        at the last of its lines that is not finished. Files that appear later
        are always read from their start.
    :param terminator: what a frame ends with, b"" if nothing: then "at the
        end" is the end.
    :param log: told once when the file is missing, and when it is there again.
    :param wait: sleeps so many seconds, in the thread.
    """

    def __init__(
        self,
        path: str,
        from_start: bool,
        terminator: bytes,
        log: Logger,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        self._path = path
        self._from_start = from_start
        self._terminator = terminator
        self._log = log
        self._wait = wait
        self._file: int | None = None
        self._position = 0
        self._missed = False  # it was told that there is no file
        self._stopped = False
        self._ended: TailPlace | None = None  # the end of the file before this one
        self._written = 0  # when that was written to last, nanoseconds since the epoch
        self._ends: deque[TailPlace] = deque(maxlen=REMEMBERED)

    def begin(self) -> None:
        """Open the file, if it is there.

        :raises OSError: it is there and cannot be read.
        """
        try:
            self._open(self._path)
        except FileNotFoundError:
            self._missing("no such file")
        else:
            if not self._from_start:
                self._position = self._last_begun()

    def resume(self, place: TailPlace | None) -> None:
        """Go on at this place, wherever its file is now; None: where `begin` would. Blocks.

        A file that is gone, or was cut short, is told: what nobody had read of
        it is lost, and the file that has the name now is read from its start.
        """
        if place is None:
            return
        found = place.find(self._path)
        if found is None:
            self._log.warn(
                "input {path}: the file that was read before is gone, and what was appended to it"
                " since; beginning at the start of the one that is there",
                path=self._path,
            )
            self._position = 0
            return
        self._close()
        self._file, self._position = found, place.offset

    def place(self, held: int) -> TailPlace | None:
        """Where reading stands, `held` bytes before the last that was read.

        Not while `read` runs. None: nothing was read yet.
        """
        if self._file is None:
            return self._ended
        return TailPlace.of(self._file, self._position - held)

    def stop(self) -> None:
        """Have `read` end, from any thread."""
        self._stopped = True

    def read(self) -> bytes:
        """Some bytes; b"" where a file ended and another begins. Waits for more.

        :raises OSError: it cannot be read.
        """
        while not self._stopped:
            if self._file is None:
                self._look()
            if self._file is not None:
                data = os.pread(self._file, CHUNK, self._position)
                self._position += len(data)
                if data or self._over(self._file):
                    return data
            self._wait(INTERVAL)
        self._close()
        return b""

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def _open(self, path: str) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(None, "not a regular file")
        self._file = descriptor
        self._position = 0

    def _last_begun(self) -> int:
        """Where the last frame begins that was not finished, at the end of the file."""
        file = self._file
        assert file is not None
        size = os.fstat(file).st_size
        before = max(0, size - CHUNK)
        found = os.pread(file, CHUNK, before).rfind(self._terminator) if self._terminator else -1
        return size if found < 0 else before + found + len(self._terminator)

    def _look(self) -> None:
        """Whether the file is there again."""
        try:
            self._open(self._path)
        except OSError as error:
            self._missing(os_reason(error))
            return
        if self._missed:
            self._missed = False
            self._log.info("input {path} is there", path=self._path)
        if self._ended is not None:
            try:
                self._look_before()
            except OSError:  # renamed once more, just now: look again
                self._close()

    def _look_before(self) -> None:
        """Whether there are files to be read before the one that has just been opened.

        :raises OSError: they were renamed meanwhile.
        """
        current, self._file = self._file, None
        assert current is not None
        try:
            for path, identity in self._rotated():
                if identity != _identity(os.fstat(current)) and self._opens(path, identity):
                    return
            self._file, current = current, None
        finally:
            if current is not None:
                os.close(current)

    def _rotated(self) -> list[tuple[str, tuple[int, int]]]:
        """The files that had the name, and were written to after the one that ended."""
        path = Path(self._path).absolute()
        found = []
        for other in path.parent.iterdir():
            if other.name.startswith(path.name) and ROTATED.fullmatch(other.name[len(path.name) :]):
                here = other.stat()
                if stat.S_ISREG(here.st_mode) and here.st_mtime_ns > self._written:
                    found.append((here.st_mtime_ns, str(other), _identity(here)))
        return [(name, identity) for _, name, identity in sorted(found)]

    def _opens(self, path: str, identity: tuple[int, int]) -> bool:
        """Open this file, unless it was read before or cannot be."""
        try:
            self._open(path)
        except PermissionError as error:
            self._log.warn(
                "input {path}: {name} is passed over: {why}",
                path=self._path,
                name=path,
                why=os_reason(error),
            )
            return False
        file = self._file
        assert file is not None
        if _identity(os.fstat(file)) != identity:
            raise OSError("renamed")
        # What is still written to a file that has ended is not worth all of it again.
        if any(place.offset and place.is_in(file) for place in self._ends):
            self._close()
            return False
        return True

    def _missing(self, why: str) -> None:
        if not self._missed:
            self._missed = True
            self._log.warn("input {path}: {why}, waiting for it", path=self._path, why=why)

    def _over(self, file: int) -> bool:
        """At the end of the file: whether there is another, or it was cut short."""
        here = os.fstat(file)
        if here.st_size < self._position:
            self._position = 0
            return True
        try:
            named = os.stat(self._path)
        except OSError as error:
            # It may come back, or be written to a little longer.
            self._missing(os_reason(error))
            return False
        if _identity(named) == _identity(here):
            self._missed = False
            return False
        # What was written between the last read and the rename:
        here = os.fstat(file)
        if here.st_size > self._position:
            return False
        self._ended, self._written = TailPlace.of(file, self._position), here.st_mtime_ns
        self._ends.append(self._ended)
        self._close()
        return True


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


class TailCursor(Cursor):
    """See `nbclient.daemon.cursors`.

    The name is the file's, in the real folder: a symbolic link in its place is followed
    as a file is that is rotated.
    """

    def __init__(self, path: str, tail: Tail) -> None:
        folder, name = os.path.split(os.path.abspath(path))
        self.name = f"tail:{os.path.join(os.path.realpath(folder), name)}"
        self._tail = tail

    def mark(self, data: bytes, held: int) -> str:
        """See `Cursor.mark`."""
        place = self._tail.place(held)
        return "" if place is None else place.text
