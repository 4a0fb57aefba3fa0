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

from nbclient.daemon.inputs.cursors import (
    NEAR,
    Cursor,
    DamagedCursor,
    NothingYet,
    TailPlace,
    storable,
)
from nbclient.daemon.inputs.identity import Identity
from nbclient.daemon.inputs.intake import CHUNK
from nbclient.daemon.outputs.queued import os_reason

INTERVAL = 0.25
"""Seconds between two looks."""

ROTATED = re.compile(r"[._-]\d[\d._:T-]*")
"""What a file's name gets behind it when another takes its place, unless it is compressed."""

LINGER = 40
"""So many looks a file is read on after another has its name, while that is empty: until a
program has opened the new one, it writes to the old one."""

TICK = 10**7
"""The clock that files are dated by may be so much behind, nanoseconds."""

PATIENCE = 4
"""So many looks may fail, one after another, before it is said: files are renamed meanwhile."""

REMEMBERED = 1000
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
    :param now: nanoseconds since the epoch.
    """

    def __init__(
        self,
        path: str,
        from_start: bool,
        terminator: bytes,
        log: Logger,
        wait: Callable[[float], object] = time.sleep,
        now: Callable[[], int] = time.time_ns,
    ) -> None:
        self._path = path
        self._from_start = from_start
        self._terminator = terminator
        self._log = log
        self._wait = wait
        self._now = now
        self._file: int | None = None
        self._position = 0
        self._near = b""  # the last bytes read before it
        self._identity = Identity(0, 0)
        self._again: TailPlace | None = None  # in a file that could not be read
        self._looks = 0  # at the end of a file that has lost its name
        self._missed = False  # it was told that there is no file
        self._stopped = False
        self._ended: TailPlace | None = None  # the end of the file before this one
        # When that was written to last; without one, since when there was none to read.
        # Nanoseconds since the epoch; None: no files are looked for before the one that is there.
        self._written: int | None = None
        self._ends: deque[TailPlace] = deque(maxlen=REMEMBERED)
        self._failed = 0  # looks for the files before this one, one after another
        self._passed: set[str] = set()  # names that it was told are passed over

    def begin(self) -> None:
        """Open the file, if it is there.

        :raises OSError: it is there and cannot be read.
        """
        try:
            self._open(self._path)
        except FileNotFoundError:
            self._written = self._now() - TICK
            self._missing("no such file")
        else:
            if not self._from_start:
                self._go_to(self._last_begun())

    def resume(self, place: TailPlace | None) -> None:
        """Go on at this place, wherever its file is now; None: where `begin` would. Blocks.

        A file that is gone, or was written anew, is told: what was not read of it is lost.
        Those that came after it are read from their start.

        :raises OSError: the file cannot be read.
        """
        if place is None:
            return
        found = place.find(self._path)
        if found is not None:
            self._close()
            self._go_on(found, place.offset)
            return
        self._gone()
        if place.written is None:
            self._go_to(0)
        else:
            self._close()
            self._ended, self._written = place, place.written

    def _gone(self) -> None:
        self._log.warn(
            "input {path}: the file that was read before is gone, or was written anew, and what"
            " was appended to it since; beginning at the start of what came after it",
            path=self._path,
        )

    def _go_on(self, file: int, position: int) -> None:
        self._file, self._identity = file, Identity.of(file)
        self._go_to(position)

    def begin_anew(self) -> None:
        """Begin at the start of the file that is there."""
        self._go_to(0)

    def begin_since(self, since: int) -> None:
        """Begin with what was written since then, nanoseconds since the epoch: there was
        nothing before. Files of the name may have been rotated meanwhile."""
        self._close()
        self._written = since

    def nothing(self) -> NothingYet:
        """What is known where there is no `place`."""
        return NothingYet(self._written)

    def place(self, held: int) -> TailPlace | None:
        """Where reading stands, `held` bytes before the last that was read.

        Not while `read` runs. None: nothing was read yet.
        """
        if self._file is None:
            return self._ended
        return self._here(self._file, held)

    def _here(self, file: int, held: int = 0) -> TailPlace:
        return TailPlace.of(file, self._position - held, self._position, self._near)

    def stop(self) -> None:
        """Have `read` end, from any thread."""
        self._stopped = True

    def read(self) -> bytes:
        """Some bytes; b"" where a file ended and another begins. Waits for more, and for a file
        that cannot be read: on a network file system that may pass."""
        while not self._stopped:
            try:
                if self._again is not None and self._look_again(self._again):
                    return b""
                if self._file is None and self._again is None:
                    self._look()
                if self._file is not None:
                    data = self._more(self._file)
                    if data or self._over(self._file):
                        return data
            except OSError as error:
                self._unreadable(error)
            self._wait(INTERVAL)
        self._close()
        return b""

    def _unreadable(self, error: OSError) -> None:
        """Let go of the file, and look for it anew: its descriptor may be of no use any more."""
        if self._again is None:
            self._log.error(
                "input {path}: cannot be read ({why}), trying again",
                path=self._path,
                why=os_reason(error),
            )
            near = self._near
            self._again = TailPlace.of_read(self._identity, self._position, near)
        self._close()

    def _look_again(self, place: TailPlace) -> bool:
        """Go on in the file that could not be read, if it can be; True: another has its name.

        :raises OSError: neither can be known.
        """
        found = place.find(self._path)
        if found is not None:
            self._go_on(found, place.offset)
            self._again = None
            self._log.info("input {path} is read again", path=self._path)
            return False
        if os.stat(self._path).st_ino == place.identity.inode:
            return False
        self._again = None
        self._gone()
        return True

    def _more(self, file: int) -> bytes:
        """What follows in the file, if it is still the one that was read: one that was cut
        short and has grown again since the last look holds other bytes before the place."""
        near = self._near
        data = os.pread(file, len(near) + CHUNK, self._position - len(near))
        if near and not data.startswith(near):
            return b""
        data = data[len(near) :]
        if data:
            self._looks = 0
            self._position += len(data)
            self._near = data[-NEAR:] if len(data) >= NEAR else (near + data)[-NEAR:]
        return data

    def _go_to(self, position: int) -> None:
        """Read on there."""
        self._position = position
        size = min(NEAR, position)
        file = self._file
        self._near = b"" if file is None else os.pread(file, size, position - size)

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def _open(self, path: str) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(None, "not a regular file")
        self._go_on(descriptor, 0)

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
        if self._written is not None:
            try:
                self._look_before(self._written)
            except OSError as error:  # renamed once more, just now: look again
                self._close()
                self._look_failed(error)
            else:
                self._failed = 0

    def _look_failed(self, error: OSError) -> None:
        self._failed += 1
        if self._failed == PATIENCE:
            self._log.error(
                "input {path}: the files before it cannot be looked for ({why}), trying again",
                path=self._path,
                why=os_reason(error),
            )

    def _look_before(self, since: int) -> None:
        """Whether there are files to be read before the one that has just been opened.

        :param since: nanoseconds since the epoch.
        :raises OSError: they were renamed meanwhile.
        """
        current, self._file = self._file, None
        assert current is not None
        try:
            for path, identity in self._rotated(since):
                if identity != _identity(os.fstat(current)) and self._opens(path, identity):
                    return
            self._file, current = current, None
        finally:
            if current is not None:
                os.close(current)

    def _rotated(self, since: int) -> list[tuple[str, tuple[int, int]]]:
        """The files that had the name, and were written to since then, or
        are known: these may have grown since. Clocks are coarse: "after" is "not before"."""
        path = Path(self._path).absolute()
        known = {(place.identity.device, place.identity.inode) for place in self._ends}
        found = []
        for other in self._listed(path.parent):
            if other.name.startswith(path.name) and ROTATED.fullmatch(other.name[len(path.name) :]):
                here = self._status(other)
                if here is None or not stat.S_ISREG(here.st_mode):
                    continue
                if here.st_mtime_ns >= since or _identity(here) in known:
                    age = _age(other.name[len(path.name) :])
                    found.append((here.st_mtime_ns, age, str(other), _identity(here)))
        return [(name, identity) for _, _, name, identity in sorted(found)]

    def _listed(self, folder: Path) -> list[Path]:
        """What is in it; nothing if it may not be listed: the file itself can be read."""
        try:
            return list(folder.iterdir())
        except PermissionError as error:
            self._pass_over(str(folder), error)
            return []

    def _status(self, path: Path) -> os.stat_result | None:
        """None: it cannot be had, as that of a link to nothing.

        :raises FileNotFoundError: it was renamed just now.
        """
        try:
            return path.stat()
        except OSError as error:
            if isinstance(error, FileNotFoundError):
                path.lstat()
            self._pass_over(str(path), error)
            return None

    def _pass_over(self, name: str, error: OSError) -> None:
        """Say once that this one is not read."""
        if name not in self._passed:
            self._passed.add(name)
            self._log.warn(
                "input {path}: {name} is passed over: {why}",
                path=self._path,
                name=name,
                why=os_reason(error),
            )

    def _opens(self, path: str, identity: tuple[int, int]) -> bool:
        """Open this file, where it was not read before; not if there is no such place, or it
        cannot be read."""
        try:
            self._open(path)
        except PermissionError as error:
            self._pass_over(path, error)
            return False
        file = self._file
        assert file is not None
        if _identity(os.fstat(file)) != identity:
            raise OSError("renamed")
        read = [place.seen for place in self._ends if place.is_in(file)]
        if read and max(read) == os.fstat(file).st_size:
            self._close()
            return False
        self._go_to(max(read, default=0))
        return True

    def _missing(self, why: str) -> None:
        if not self._missed:
            self._missed = True
            self._log.warn("input {path}: {why}, waiting for it", path=self._path, why=why)

    def _over(self, file: int) -> bool:
        """At the end of the file: whether there is another, or it was written anew."""
        here = os.fstat(file)
        if here.st_size < self._position or self._rewritten(file):
            self._go_to(0)
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
        self._looks += 1
        if not named.st_size and self._looks < LINGER:
            return False
        # What was written between the last read and the rename:
        here = os.fstat(file)
        if here.st_size > self._position:
            return False
        self._ended, self._written = self._here(file), here.st_mtime_ns
        self._ends.append(self._ended)
        self._looks = 0
        self._close()
        return True

    def _rewritten(self, file: int) -> bool:
        """Whether what is before the place is no longer what was read."""
        near = self._near
        if os.pread(file, len(near), self._position - len(near)) == near:
            return False
        self._log.warn(
            "input {path}: it was written anew between two looks, beginning at its start",
            path=self._path,
        )
        return True


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _age(suffix: str) -> int:
    """What sorts the files of one tick of the clock: the higher a number, the older; a date is
    as old as it says."""
    number = suffix[1:]
    return -int(number) if number.isdigit() and len(number) < len("20260101") else 0


class TailCursor(Cursor):
    """See `nbclient.daemon.inputs.cursors`.

    The name is the file's, in the real folder: a symbolic link in its place is followed
    as a file is that is rotated.
    """

    def __init__(self, path: str, tail: Tail) -> None:
        folder, name = os.path.split(os.path.abspath(path))
        self.name = storable(f"tail:{os.path.join(os.path.realpath(folder), name)}")
        self._tail = tail

    def resume(self, stored: str | None, log: Logger) -> None:
        """Go on where `stored` says. Blocks.

        :param log: told if it makes no sense.
        :raises OSError: the file cannot be read.
        """
        try:
            nothing = NothingYet.parse(stored)
            place = None if nothing else TailPlace.parse(stored)
        except DamagedCursor as damage:
            log.warn(
                "input {name}: read from its start: its cursor in the spool is damaged ({why})",
                name=self.name,
                why=str(damage),
            )
            self._tail.begin_anew()
        else:
            self._go_on(nothing, place)

    def _go_on(self, nothing: NothingYet | None, place: TailPlace | None) -> None:
        if nothing is None:
            self._tail.resume(place)
        elif nothing.since is None:
            self._tail.begin_anew()
        else:
            self._tail.begin_since(nothing.since)

    def mark(self, data: bytes, held: int) -> str:
        """See `Cursor.mark`."""
        place = self._tail.place(held)
        return self._tail.nothing().text if place is None else place.text
