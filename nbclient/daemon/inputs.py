"""Where the frames to send come from: a descriptor, read in a thread.

One chunk at a time: the next is read when the link has accepted the frames of
the last one, so a full outbox pauses the reading.
"""

from __future__ import annotations

import os
import select
import stat
from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from nbclient.daemon.streams import os_reason
from nbclient.daemon.worker import Runner
from nbclient.errors import FrameError, LocalError, NBClientError
from nbclient.framing.base import Framing
from nbclient.terminal import printable

CHUNK = 64 * 1024
"""Most bytes of one read."""

SHOWN = 200
"""Most bytes of a frame that the log repeats."""


def open_file(path: str) -> int:
    """A descriptor to read a file from.

    :raises LocalError: it cannot be opened, or is no regular file.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise LocalError(f"{path}: {os_reason(error)}") from None
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode) or stat.S_ISCHR(mode):
        os.set_blocking(descriptor, True)
        return descriptor
    os.close(descriptor)
    raise LocalError(f"{path}: {'is a directory' if stat.S_ISDIR(mode) else 'not a regular file'}")


def read_chunk(descriptor: int) -> bytes:
    """Some bytes, b"" at the end; waits also where another process made it non-blocking.

    :raises OSError: it cannot be read.
    """
    while True:
        try:
            return os.read(descriptor, CHUNK)
        except BlockingIOError:
            waiting = select.poll()
            waiting.register(descriptor, select.POLLIN)
            waiting.poll(1000)


class Input:
    """Reads frames and offers them to the link.

    :param name: what logs call it.
    :param read: a blocking read: some bytes, b"" at the end; used in `runner`.
    :param runner: the thread.
    :param framing: how the input separates frames.
    :param check: raises FrameError for frames that the link cannot carry.
    :param send: takes frames over; the Deferred fires when it has.
    :param log: told of what could not be sent, once for each cause.

    :ivar refused: frames that were read, or begun, and not offered to the link.
    :ivar ended: fires, and never fails, when nothing more will come.
    """

    def __init__(
        self,
        name: str,
        read: Callable[[], bytes],
        runner: Runner,
        framing: Framing,
        check: Callable[[Sequence[bytes]], None],
        send: Callable[[Sequence[bytes]], Deferred[None]],
        log: Logger,
    ) -> None:
        self.refused = 0
        self.ended: Deferred[None] = Deferred()
        self._name = name
        self._read = read
        self._runner = runner
        self._framing = framing
        self._check = check
        self._send = send
        self._log = log
        self._stopped = False

    def start(self) -> None:
        """Begin to read."""
        Deferred.fromCoroutine(self._run()).addBoth(self._end)

    def stop(self) -> None:
        """Read no more. `ended` need not fire: a read may hang for ever."""
        self._stopped = True
        self._runner.stop()

    async def _run(self) -> None:
        decoder = self._framing.decoder()
        while True:
            try:
                data = await self._runner.run(self._read)
            except OSError as error:
                self._complain(f"cannot be read ({os_reason(error)})")
                return
            if self._stopped:
                return
            if not data:
                break
            frames = decoder.feed(data)
            if frames and not await self._offer(frames):
                return
            if decoder.fault is not None:
                self.refused += 1
                self._complain(str(decoder.fault))
                return
        await self._offer_tail(decoder.eof())

    async def _offer(self, frames: list[bytes]) -> bool:
        """Whether the link is still there to take more."""
        frames = self._carried(frames)
        try:
            await self._send(frames)
        except NBClientError as error:  # the link counts what it refuses
            if not self._stopped:
                self._complain(f"stops: {error}")
            return False
        return True

    def _carried(self, frames: list[bytes]) -> list[bytes]:
        """The frames that the link's framing can carry; the others are counted."""
        try:
            self._check(frames)
        except FrameError:
            return [frame for frame in frames if self._can_carry(frame)]
        return frames

    def _can_carry(self, frame: bytes) -> bool:
        try:
            self._check([frame])
        except FrameError as error:
            self.refused += 1
            if self.refused == 1:
                shown = printable(frame, SHOWN)
                self._complain(f"has a frame that cannot be sent ({error}): {shown}")
            return False
        return True

    async def _offer_tail(self, tail: bytes) -> None:
        """A last line may lack its end; a last frame of any other framing may not."""
        if tail and self._framing.line_like:
            await self._offer([tail.removesuffix(b"\r")])
        elif tail:
            self.refused += 1
            self._complain(f"ends inside a frame, {len(tail)} bytes of it are not sent")

    def _complain(self, what: str) -> None:
        self._log.error("input {name} {what}", name=self._name, what=what)

    def _end(self, result: object) -> None:
        self._runner.stop()
        self.ended.callback(None)
