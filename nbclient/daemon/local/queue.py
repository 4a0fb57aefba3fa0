"""Images for one reader on a transport, through a bounded queue."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

BATCH = 64 * 1024
"""What a transport is given at a time, bytes: Twisted's own high-water mark."""


@implementer(IPushProducer)
class Feed:
    """A queue of images, written whole and in order as a transport takes them.

    :param limit: most bytes in the queue; as much as `BATCH` and an image more
        is in the transport.
    :param progress: called when the transport takes some of it.

    :ivar held: bytes in the queue.
    :ivar dropped: images that were dropped, in all.
    """

    def __init__(self, limit: int, progress: Callable[[], object] | None = None) -> None:
        self.limit = limit
        self._progress = progress
        self.held = 0
        self.dropped = 0
        self._queue: deque[bytes] = deque()
        self._transport: Any = None
        self._paused = False
        self._then: Callable[[], object] | None = None

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def full(self) -> bool:
        """Whether more is held than should be."""
        return self.held > self.limit

    def put(self, images: Sequence[bytes]) -> None:
        """Take images, and write what the transport has room for."""
        self._queue.extend(images)
        self.held += sum(map(len, images))
        self._write()

    def drop_oldest(self) -> int:
        """Drop what is over the limit, the oldest first: how many images that was."""
        count = 0
        while self.held > self.limit:
            self.held -= len(self._queue.popleft())
            count += 1
        self.dropped += count
        return count

    def clear(self) -> None:
        """Forget what is held: nobody wants it."""
        self._queue.clear()
        self.held = 0

    def attach(self, transport: Any) -> None:
        """Write to this transport from now on, what is in the queue first."""
        self._transport = transport
        self._paused = False
        transport.registerProducer(self, True)
        self._write()

    def detach(self) -> None:
        """The transport is gone; images wait for another."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.unregisterProducer()

    def finish(self, then: Callable[[], object]) -> None:
        """Write what is held, then call `then`, which lets the transport go; take no more."""
        self._then = then
        self._write()

    def _write(self) -> None:
        held = len(self._queue)
        while self._queue and self._transport is not None and not self._paused:
            self._transport.write(b"".join(self._batch()))
        if len(self._queue) < held and self._progress is not None:
            self._progress()
        if not self._queue and self._then is not None:
            then, self._then = self._then, None
            self.detach()  # a transport with a producer does not close
            then()

    def _batch(self) -> list[bytes]:
        batch: list[bytes] = []
        size = 0
        while self._queue and size < BATCH:
            batch.append(self._queue.popleft())
            size += len(batch[-1])
        self.held -= size
        return batch

    def pauseProducing(self) -> None:
        """The transport is full."""
        self._paused = True

    def resumeProducing(self) -> None:
        """The transport has room."""
        self._paused = False
        self._write()

    def stopProducing(self) -> None:
        """The transport is lost."""
        self._transport = None
