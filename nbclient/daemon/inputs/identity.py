"""Which file it is, whatever its name and its contents are.

An inode's number is used again once its file is gone, at once on ext4. When the file was
created is not: the two together name one file. Python tells the second only from 3.15 on,
so the C library is asked (``statx(2)``, Linux 4.11).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from struct import unpack_from
from typing import Any

from attrs import frozen

_AT_EMPTY_PATH = 0x1000
_STATX_BTIME = 0x800
_SIZE = 256  # of struct statx
_BTIME = 80  # where in it the time of creation is: 64 bits of seconds, 32 of nanoseconds


@frozen
class Identity:
    """Tells one file from every other.

    :ivar device: the file system it is on, and `inode`: its number there.
    :ivar born: when it was created, nanoseconds since the epoch; None where the file
        system or the C library does not tell.
    """

    device: int
    inode: int
    born: int | None = None

    @classmethod
    def of(cls, descriptor: int) -> Identity:
        """That of an open file.

        :raises OSError: the descriptor is none.
        """
        status = os.fstat(descriptor)
        return cls(status.st_dev, status.st_ino, born(descriptor))

    def is_of(self, descriptor: int) -> bool:
        """True if this open file is the same one. A file system may have another number
        after a restart of the machine: it counts where nothing else tells.

        :raises OSError: the descriptor is none.
        """
        other = Identity.of(descriptor)
        if self.born is not None and other.born is not None:
            return (self.inode, self.born) == (other.inode, other.born)
        return (self.device, self.inode) == (other.device, other.inode)


def born(descriptor: int) -> int | None:
    """When the open file was created, nanoseconds since the epoch; None: not known."""
    found = _statx()(descriptor)
    (mask,) = unpack_from("=I", found)
    seconds, nanoseconds = unpack_from("=qI", found, _BTIME)
    return seconds * 10**9 + nanoseconds if mask & _STATX_BTIME and seconds else None


@cache
def _statx() -> Callable[[int], bytes]:
    """The C library's function, from a descriptor to what it filled in; zeros if nothing."""
    import ctypes

    call: Any = getattr(ctypes.CDLL(None), "statx", None)

    def ask(descriptor: int) -> bytes:
        found = ctypes.create_string_buffer(_SIZE)
        if call is None or call(descriptor, b"", _AT_EMPTY_PATH, _STATX_BTIME, found):
            return bytes(_SIZE)
        return found.raw

    return ask
