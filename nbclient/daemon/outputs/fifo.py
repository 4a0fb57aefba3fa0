"""Named pipes: neither the start nor the last exit at the other end blocks or ends them."""

from __future__ import annotations

import array
import errno
import fcntl
import os
import select
import stat
import termios
from collections import deque
from collections.abc import Callable
from typing import cast

from nbclient.daemon.outputs.writers import Writer

CHUNK = 64 * 1024
"""Most bytes of one read or write."""

RETRY = (0.2, 0.2)
"""Seconds between two looks for a reader, while frames wait for one."""

PATIENCE = 1000
"""Milliseconds after which a wait begins anew."""


def make_fifo(path: str) -> None:
    """See that there is a fifo of this name.

    :raises OSError: it cannot be made, or is something else.
    """
    try:
        os.mkfifo(path, 0o666)
    except FileExistsError:
        if not stat.S_ISFIFO(os.stat(path).st_mode):
            raise OSError(errno.EINVAL, "Not a fifo", path) from None


class FifoWriter(Writer):
    """Writes to a fifo as long as somebody reads.

    Without a reader `push` fails. What the last reader left unread is written
    again for the next one, whole frames from the first it had not finished.

    :param path: the fifo.
    """

    retry = RETRY

    def __init__(
        self, path: str, write: Callable[[int, bytes | memoryview], int] = os.write
    ) -> None:
        super().__init__(write)
        self._path = path
        self._fifo: int | None = None
        # What may still be in the pipe: blobs, and where their images end.
        self._sent: deque[tuple[bytes, tuple[int, ...]]] = deque()
        self._capacity = 0

    def push(self) -> None:
        """See `Writer.push`.

        :raises OSError: nobody reads.
        """
        if self._fifo is None and self.left:
            self._open()
        super().push()

    def _open(self) -> None:
        make_fifo(self._path)
        try:
            self._fifo = os.open(self._path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno == errno.ENXIO:
                raise OSError(errno.ENXIO, "no reader") from None
            raise
        self._capacity = capacity(self._fifo)

    def _room(self, size: int) -> int:
        return CHUNK

    def _load(self) -> None:
        super()._load()
        self._sent.append((self._blob, tuple(self._ends)))
        behind = sum(len(blob) for blob, _ in self._sent) - len(self._blob)
        while behind - len(self._sent[0][0]) >= self._capacity:
            behind -= len(self._sent.popleft()[0])

    def _write(self, data: memoryview) -> int:
        fifo = cast(int, self._fifo)
        while True:
            try:
                return self._system_write(fifo, data[:CHUNK])
            except BlockingIOError:
                waiting = select.poll()
                waiting.register(fifo, select.POLLOUT)
                waiting.poll(PATIENCE)
            except BrokenPipeError:
                self._begin_again(fifo)
                raise OSError(errno.EPIPE, "no reader") from None

    def _begin_again(self, fifo: int) -> None:
        """The last reader has left: what it had not read wholly waits again, in front."""
        written = sum(len(blob) for blob, _ in self._sent) - len(self._blob) + self._done
        read = written - unread(fifo)
        begin = 0
        images: list[bytes] = []
        for blob, ends in self._sent:
            start = 0
            for end in ends:
                if begin + end > read:
                    images.append(blob[start:end])
                start = end
            begin += len(blob)
        self._images.extendleft(reversed(images))
        self._sent.clear()
        self._blob = b""
        self._ends.clear()
        self._done = self._whole = 0
        self._fifo = None
        os.close(fifo)

    def reopen(self) -> None:
        """Nothing to do: a fifo is no file that grows."""

    def close(self) -> None:
        """See `Writer.close`; what is in the pipe stays there for its reader."""
        if self._fifo is not None:
            os.close(self._fifo)
            self._fifo = None


class FifoReader:
    """Reads from a fifo for ever.

    :param path: the fifo.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._fifo: int | None = None
        # A writer of our own, which keeps the fifo from ending while there is no other.
        self._keeper: int | None = None
        self._stopped = False

    def stop(self) -> None:
        """Have `read` end, from any thread."""
        self._stopped = True

    def open(self) -> None:
        """Make it, if need be, and open it.

        :raises OSError: that is not possible.
        """
        make_fifo(self._path)
        fifo = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self._keeper = os.open(self._path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        # Only now: a writer that is just coming finds one of the two.
        before, self._fifo = self._fifo, fifo
        if before is not None:
            os.close(before)

    def read(self) -> bytes:
        """Some bytes; b"" when the last writer has left. Waits for the next one.

        :raises OSError: it cannot be read.
        """
        while not self._stopped:
            fifo = cast(int, self._fifo)
            try:
                data = os.read(fifo, CHUNK)
            except BlockingIOError:
                waiting = select.poll()
                waiting.register(fifo, select.POLLIN)
                waiting.poll(PATIENCE)
                continue
            if not data:
                self.open()
            else:
                self._release_keeper()
            return data
        self._release_keeper()
        os.close(cast(int, self._fifo))
        return b""

    def _release_keeper(self) -> None:
        """The end of the last writer is to be seen again."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            os.close(keeper)


def unread(descriptor: int) -> int:
    """Bytes in a pipe."""
    count = array.array("i", [0])
    fcntl.ioctl(descriptor, termios.FIONREAD, count)
    return count[0]


def capacity(descriptor: int) -> int:
    """Most bytes a pipe holds."""
    known = getattr(fcntl, "F_GETPIPE_SZ", None)  # Linux
    return CHUNK if known is None else fcntl.fcntl(descriptor, known)
