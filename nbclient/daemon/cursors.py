"""Where an input file stopped being read: stored with its frames, found again at the next start.

A cursor is text: a JSON object. It names the file by what is in it, for names are
used again, and so are inodes.
"""

from __future__ import annotations

import hashlib
import json
import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from attrs import frozen

PIECE = 1024 * 1024
"""How much of a file is read at a time to find out whether it is known, bytes."""

HEAD = 256
"""By so many bytes at its start a file that grows is told from another with its inode."""


class Cursor(ABC):
    """The place up to which a file's frames were offered.

    :ivar name: of the input, in the spool.
    """

    name: str

    @abstractmethod
    def mark(self, data: bytes, held: int) -> str:
        """The place, as text, once the frames in what was read are accepted.

        :param data: what was read last.
        :param held: how many of the last bytes read belong to a frame that is not whole.
        """


class BatchCursor(Cursor):
    """In a file that is read from its start to its end, once.

    The place is known again by a digest (SHA-256) of all that is before it:
    a new file under the old name is read from its start, one that has grown
    from where the last one ended.

    :param path: the file's.
    """

    def __init__(self, path: str) -> None:
        self.name = f"file:{os.path.realpath(path)}"  # by whichever name, it is sent once
        self._offset = 0
        self._digest = hashlib.sha256()
        self._held = b""

    def resume(self, descriptor: int, stored: str | None) -> int:
        """Go on where `stored` says, if this is the file that it was noted for. Blocks.

        :param descriptor: the file; afterwards it stands where to read on.
        :return: how many bytes are passed over.
        :raises OSError: it cannot be read.
        """
        offset, known = _batch_place(stored)
        digest = hashlib.sha256()
        left = offset
        while left and (data := os.pread(descriptor, min(left, PIECE), offset - left)):
            digest.update(data)
            left -= len(data)
        if left or digest.hexdigest() != known:
            return 0
        os.lseek(descriptor, offset, os.SEEK_SET)
        self._offset, self._digest = offset, digest
        return offset

    def mark(self, data: bytes, held: int) -> str:
        """See `Cursor.mark`."""
        data = self._held + data
        taken = len(data) - held
        self._digest.update(memoryview(data)[:taken])
        self._offset += taken
        self._held = data[taken:]
        return json.dumps({"offset": self._offset, "sha256": self._digest.hexdigest()})


def _batch_place(stored: str | None) -> tuple[int, str]:
    """Offset and digest; of nothing where there is nothing that makes sense."""
    place = _read(stored)
    offset, digest = place.get("offset"), place.get("sha256")
    if isinstance(offset, int) and offset > 0 and isinstance(digest, str):
        return offset, digest
    return 0, ""


@frozen
class TailPlace:
    """A place in a file that grows.

    :ivar device: of the file, and `inode`.
    :ivar head: digest (SHA-256) of its first `head_size` bytes.
    :ivar offset: bytes before the place.
    """

    device: int
    inode: int
    head_size: int
    head: str
    offset: int

    @classmethod
    def of(cls, descriptor: int, offset: int) -> TailPlace:
        """The place `offset` bytes into this file.

        :raises OSError: it cannot be read.
        """
        status = os.fstat(descriptor)
        size = min(HEAD, offset)
        head = hashlib.sha256(os.pread(descriptor, size, 0)).hexdigest()
        return cls(status.st_dev, status.st_ino, size, head, offset)

    @classmethod
    def parse(cls, stored: str | None) -> TailPlace | None:
        """Of what `text` gave; None: nothing that makes sense."""
        place = _read(stored)
        numbers = [place.get(name) for name in ("device", "inode", "head_size", "offset")]
        head = place.get("head")
        if isinstance(head, str) and all(isinstance(number, int) for number in numbers):
            return cls(place["device"], place["inode"], place["head_size"], head, place["offset"])
        return None

    @property
    def text(self) -> str:
        """To be stored."""
        return json.dumps(
            {
                "device": self.device,
                "inode": self.inode,
                "head_size": self.head_size,
                "head": self.head,
                "offset": self.offset,
            }
        )

    def is_in(self, descriptor: int) -> bool:
        """Whether it is in this file.

        :raises OSError: it cannot be read.
        """
        status = os.fstat(descriptor)
        if (status.st_dev, status.st_ino) != (self.device, self.inode):
            return False
        if status.st_size < self.offset:
            return False
        return hashlib.sha256(os.pread(descriptor, self.head_size, 0)).hexdigest() == self.head

    def find(self, path: str) -> int | None:
        """The file that it is in: under its name, or renamed in the same folder.

        :return: a descriptor to read from; None: it is gone.
        """
        folder = Path(path).absolute().parent
        try:
            names = [Path(path), *sorted(folder.iterdir())]
        except OSError:
            return None
        for name in names:
            descriptor = self._opened(name)
            if descriptor is not None:
                return descriptor
        return None

    def _opened(self, name: Path) -> int | None:
        try:
            status = name.stat()
            if (status.st_dev, status.st_ino) != (self.device, self.inode):
                return None
            descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:  # it has just gone, or is not to be read: it is not found
            return None
        try:
            found = self.is_in(descriptor)
        except OSError:
            found = False
        if not found:
            os.close(descriptor)
        return descriptor if found else None


def _read(stored: str | None) -> dict[str, Any]:
    """The object that is stored; an empty one where there is none."""
    try:
        place = json.loads(stored or "{}")
    except ValueError:
        return {}
    return place if isinstance(place, dict) else {}
