"""Writing images (frames as bytes) to a file or descriptor, never a torn one.

A writer blocks, so it runs in a `worker.Worker`. It keeps what it could not
write: after a short write or an error the next `push` goes on exactly there.
"""

from __future__ import annotations

import errno
import os
import select
import stat
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from itertools import accumulate, islice
from typing import cast

CHUNK = 256 * 1024
"""Most bytes of one write, but for a single larger image."""

RETRY = (1.0, 5.0)
"""Seconds between two tries at a full disk, growing from the first to the most."""


class Writer(ABC):
    """Images waiting to be written.

    :param write: as `os.write`.
    :ivar retry: the first and the longest wait after an error, seconds.
    """

    retry = RETRY

    def __init__(self, write: Callable[[int, bytes | memoryview], int] = os.write) -> None:
        self._system_write = write
        self._images: deque[bytes] = deque()
        # The images being written, joined, and where each of them ends.
        self._blob = b""
        self._ends: deque[int] = deque()
        self._done = 0  # bytes of the blob written
        self._whole = 0  # the last of the ends that was reached

    @property
    def left(self) -> int:
        """Images not wholly written."""
        return len(self._images) + len(self._ends)

    def put(self, images: Sequence[bytes]) -> None:
        """Take images over; nothing is written yet."""
        self._images.extend(images)

    def push(self) -> None:
        """Write everything.

        :raises OSError: the rest is kept for the next call.
        """
        while self.left:
            if not self._ends:
                self._load()
            if self._done < len(self._blob):
                self._done += self._write(memoryview(self._blob)[self._done :])
            if self._done == len(self._blob):
                self._ends.clear()
                self._whole = self._done
            while self._ends and self._ends[0] <= self._done:
                self._whole = self._ends.popleft()

    def _load(self) -> None:
        """Join as many of the first images as may be written at once; at least one."""
        images = self._images
        most = min(CHUNK, self._room(len(images[0])))
        taken = list(islice(images, most + 1))  # more only fit in if they have no bytes
        ends = list(accumulate(map(len, taken)))
        count = max(1, bisect_right(ends, most))
        if count == len(images):
            images.clear()
        else:
            del taken[count:], ends[count:]
            for _ in taken:
                images.popleft()
        self._ends = deque(ends)
        self._blob = taken[0] if count == 1 else b"".join(taken)
        self._done = self._whole = 0

    def _room(self, size: int) -> int:
        """Called between two images, the next of `size` bytes: most bytes that may follow.

        :raises OSError: `push` tries again.
        """
        return CHUNK

    @abstractmethod
    def _write(self, data: memoryview) -> int:
        """Write some of `data`: how much."""

    @abstractmethod
    def reopen(self) -> None:
        """Open anew what can be opened, between two images.

        :raises OSError: `push` tries again.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go; an image that was begun is taken back where that is possible."""


class DescriptorWriter(Writer):
    """Writes to a descriptor that somebody else opened; its flags are left as they are."""

    def __init__(
        self, descriptor: int, write: Callable[[int, bytes | memoryview], int] = os.write
    ) -> None:
        super().__init__(write)
        self._descriptor = descriptor

    def _write(self, data: memoryview) -> int:
        while True:
            try:
                return self._system_write(self._descriptor, data[:CHUNK])
            except BlockingIOError:  # another process made it non-blocking
                waiting = select.poll()
                waiting.register(self._descriptor, select.POLLOUT)
                waiting.poll(1000)

    def reopen(self) -> None:
        """There is nothing to open."""

    def close(self) -> None:
        """It is not ours to close."""


class FileWriter(Writer):
    """Appends to a file, which is made when it does not exist.

    :param path: where.
    :param terminator: what every image ends with; a file that ends otherwise
        was torn by a crash and is mended with it. b"": nothing is known.
    """

    def __init__(
        self,
        path: str,
        terminator: bytes = b"",
        write: Callable[[int, bytes | memoryview], int] = os.write,
    ) -> None:
        super().__init__(write)
        self._path = path
        self._terminator = terminator
        self._mend = b""
        self._file: int | None = None

    def open(self) -> None:
        """Open the file.

        :raises OSError: it cannot be opened, or is no file to append to.
        """
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        # Non-blocking only for the opening itself: a FIFO would hang here.
        try:
            descriptor = os.open(self._path, flags | os.O_NONBLOCK, 0o666)
        except OSError as error:
            if error.errno == errno.ENXIO:  # what a FIFO without a reader, or a socket, says
                raise OSError(errno.EINVAL, "Not a regular file", self._path) from None
            raise
        try:
            mode = os.fstat(descriptor).st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISCHR(mode)):
                raise OSError(errno.EINVAL, "Not a regular file", self._path)
            os.set_blocking(descriptor, True)
            self._mend = self._missing(descriptor)
        except OSError:
            os.close(descriptor)
            raise
        self._file = descriptor

    def _missing(self, descriptor: int) -> bytes:
        """What has to be appended first, so that the next image begins a frame."""
        size = len(self._terminator)
        length = os.fstat(descriptor).st_size
        if not size or not length:
            return b""
        try:
            reader = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except PermissionError:  # may be written, not read: nothing to be known
            return b""
        try:
            end = os.pread(reader, size, max(0, length - size))
        finally:
            os.close(reader)
        return b"" if end == self._terminator else self._terminator

    def push(self) -> None:
        """See `Writer.push`; opens the file if it is not open."""
        if self._file is None:
            self.open()
        super().push()

    def _room(self, size: int) -> int:
        """See `Writer._room`; a file that was deleted is made anew."""
        if not os.fstat(cast(int, self._file)).st_nlink:
            self.reopen()
        return super()._room(size)

    def _write(self, data: memoryview) -> int:
        descriptor = cast(int, self._file)
        while self._mend:
            self._mend = self._mend[self._system_write(descriptor, self._mend) :]
        return self._system_write(descriptor, data[:CHUNK])

    def reopen(self) -> None:
        """Close the file and open what now has its name; what was begun goes there whole."""
        self._release()
        self.open()

    def close(self) -> None:
        """See `Writer.close`."""
        self._release()

    def _release(self) -> None:
        descriptor, self._file = self._file, None
        if descriptor is None:
            return
        try:
            self._take_back(descriptor)
        finally:
            self._done = self._whole
            os.close(descriptor)

    def _take_back(self, descriptor: int) -> None:
        """Cut off an image that was begun, unless somebody appended behind it."""
        begun = self._done - self._whole if self._ends else 0
        if begun and stat.S_ISREG(os.fstat(descriptor).st_mode):
            end = os.lseek(descriptor, 0, os.SEEK_CUR)
            if end == os.fstat(descriptor).st_size:
                os.ftruncate(descriptor, end - begun)
