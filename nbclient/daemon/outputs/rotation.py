"""Files whose name changes: by the clock, or because they have grown."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import cast

from nbclient.daemon.outputs.queued import make_folders
from nbclient.daemon.outputs.writers import CHUNK, FileWriter

KEEP = 5
"""How many full files are kept beside the one being written, if nothing is said."""

_FIELD = re.compile("%[-_0^#]*[0-9]*:*[EO]?[A-Za-z%]")


class RotatingWriter(FileWriter):
    """Appends to the file that the time and the size call for; a frame is never split over two.

    :param pattern: the path, with strftime's fields if it holds a ``%`` (local
        time; ``%%`` for a percent sign); folders that such a path names are made.
    :param terminator: as `FileWriter`.
    :param rotate: a file that would grow beyond this many bytes is renamed to
        PATH.1, that one to PATH.2, …; a longer frame has a file to itself.
        None: never.
    :param keep: how many renamed files are kept.
    :param now: the time of day, seconds since the epoch.
    :param write: as `os.write`.
    """

    def __init__(
        self,
        pattern: str,
        terminator: bytes,
        rotate: int | None,
        keep: int,
        now: Callable[[], float],
        write: Callable[[int, bytes | memoryview], int] = os.write,
    ) -> None:
        super().__init__(pattern, terminator, write)
        self._pattern = pattern
        self._rotate = rotate
        self._keep = keep
        self._now = now

    def open(self) -> None:
        """See `FileWriter.open`; for the name of now."""
        self._path = self._name()
        if "%" in self._pattern:
            make_folders(os.path.dirname(self._path) or ".")
        super().open()

    def _name(self) -> str:
        if "%" not in self._pattern:
            return self._pattern
        moment = datetime.fromtimestamp(self._now())
        # Field by field, for the rest may be bytes that are no text.
        return _FIELD.sub(lambda field: moment.strftime(field[0]), self._pattern)

    def _room(self, size: int) -> int:
        super()._room(size)
        if self._name() != self._path:
            self.reopen()
        if self._rotate is None:
            return CHUNK
        held = self._size()
        if held and held + size > self._rotate:
            self._shift()
            self.reopen()
            held = self._size()
        return max(0, self._rotate - held)

    def _size(self) -> int:
        return os.fstat(cast(int, self._file)).st_size + len(self._mend)

    def _shift(self) -> None:
        """PATH becomes PATH.1, and so on; the last one is overwritten."""
        for number in range(self._keep, 1, -1):
            with suppress(FileNotFoundError):
                os.replace(f"{self._path}.{number - 1}", f"{self._path}.{number}")
        os.replace(self._path, f"{self._path}.1")
