"""The outputs that write: to a file, or to standard output."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from nbclient.connection.wording import explain
from nbclient.daemon.local.thread import Runner
from nbclient.daemon.outputs.base import ShapedOutput
from nbclient.daemon.outputs.formats import Format
from nbclient.daemon.outputs.writers import Writer

QUEUE = 1024 * 1024
"""Bytes an output holds before the link must wait."""

PATIENCE = 10.0
"""Seconds for which an output may take nothing until that is said."""

_NOBODY_READS = frozenset({errno.EPIPE, errno.ECONNRESET, errno.ESHUTDOWN})


class Full(Enum):
    """What a full queue leads to."""

    WAIT = "the link is not read from until there is room"
    DROP = "the oldest frames are dropped, and counted"
    DROP_IF_BROKEN = "DROP while nothing can be written at all, WAIT while it is only slow"


class StreamOutput(ShapedOutput):
    """Images to a file or descriptor, through a queue and a thread.

    :param name: what logs call it.
    :param writer: does the writing; only ever used in `runner`.
    :param shape: frames -> images.
    :param runner: the thread.
    :param clock: calls back for the next try (`IReactorTime`).
    :param log: told once when the output stops, waits, goes on.
    :param nobody_reads: called once when the reader at the other end is gone;
        None where that is an error like any other.
    :param full: what a full queue leads to.
    """

    def __init__(
        self,
        name: str,
        writer: Writer,
        shape: Format,
        runner: Runner,
        clock: Any,
        log: Logger,
        nobody_reads: Callable[[], None] | None = None,
        full: Full = Full.WAIT,
    ) -> None:
        super().__init__(name, shape, log)
        self._writer = writer
        self._runner = runner
        self._clock = clock
        self._nobody_reads = nobody_reads
        self._full = full
        self._queue: list[bytes] = []
        self._held = 0  # bytes in the queue and in the writer
        self._given = 0  # of these, in the writer
        self._waiting: list[Deferred[None]] = []
        self._busy = False  # the thread has a call
        self._unfinished = False  # the last call failed
        self._reopen = False
        self._retry: IDelayedCall | None = None
        self._tries = 0
        self._dropped = 0  # since it was full
        self._over = False  # writes no more either
        self._closing: Deferred[None] | None = None
        self._patience: IDelayedCall | None = None  # with somebody who waits for room
        self._stuck = False  # it was said that it takes nothing

    @property
    def waiting(self) -> int:
        """See `Output.waiting`."""
        return 0 if self._over else len(self._queue) + self._writer.left

    def write(self, frames: Sequence[bytes]) -> Deferred[None] | None:
        """See `Output.write`."""
        images = self.images(frames)
        self._queue += images
        self._held += sum(map(len, images))
        self._go_on()
        if self._held <= QUEUE or self._refusing:
            return None
        if self._drops:
            self._drop_oldest()
            return None
        room: Deferred[None] = Deferred()
        self._waiting.append(room)
        if self._patience is None and not self._stuck:
            self._patience = self._clock.callLater(PATIENCE, self._say_stuck)
        return room

    def show_unfinished(self, tail: bytes) -> None:
        """See `Output.show_unfinished`."""
        image = b"" if self._refusing else self._shape.unfinished(tail)
        if image:
            self._queue.append(image)
            self._held += len(image)
            self._go_on()

    def _say_stuck(self) -> None:
        """Nothing fails, and nothing goes on: whoever looks for the reason is told."""
        self._patience = None
        if self._tries:  # that, and why, was said
            return
        self._stuck = True
        self._log.warn(
            "paused by {name} (it takes nothing, for {seconds:g} s by now)",
            name=self.name,
            seconds=PATIENCE,
        )

    def _drop_oldest(self) -> None:
        """Make room at the expense of the oldest images that the thread does not have."""
        over = self._held - self._given - QUEUE
        count = 0
        while over > 0:
            size = len(self._queue[count])
            over -= size
            self._held -= size
            count += 1
        if count and not self._dropped:
            self._log.warn("output {name} is full, dropping its oldest frames", name=self.name)
        del self._queue[:count]
        self._dropped += count
        self.lost += count

    @property
    def _drops(self) -> bool:
        broken = self._full is Full.DROP_IF_BROKEN and self._tries > 0
        return broken or self._full is Full.DROP

    def reopen(self) -> None:
        """See `Output.reopen`."""
        self._reopen = True
        self._cancel_retry()
        self._go_on()

    def close(self) -> Deferred[None]:
        """See `Output.close`; a full disk is tried once more, then given up."""
        if self._closing is None:
            self._closing = Deferred()
            self._refusing = True
            self._cancel_retry()
            if self._over:
                self._let_go()
            else:
                self._go_on()
        return self._closing

    def abandon(self) -> None:
        """See `Output.abandon`."""
        if not self._over:
            self._end(lost=True)
            self._runner.stop()

    def _go_on(self) -> None:
        """Give the thread its next call, if it has none and none is due later."""
        if self._busy or self._over or self._retry is not None:
            return
        if self._queue or self._reopen or self._unfinished:
            images, self._queue = self._queue, []
            reopen, self._reopen = self._reopen, False
            self._given = self._held
            self._busy = True
            working = self._runner.run(lambda: self._work(images, reopen))
            working.addCallbacks(self._written, self._failed)
        elif self._closing is not None:
            self._end(lost=False)
            self._let_go()

    def _work(self, images: list[bytes], reopen: bool) -> None:
        """In the thread."""
        self._writer.put(images)
        if reopen:
            self._writer.reopen()
        self._writer.push()

    def _written(self, _: None) -> None:
        self._busy = self._unfinished = False
        self._held -= self._given
        self._given = 0
        if self._tries or (self._dropped and not self._queue):
            self._tells_that_it_goes_on()
        if self._held <= QUEUE:
            self._let_in()
        self._go_on()

    def _tells_that_it_goes_on(self) -> None:
        dropped, self._dropped, self._tries = self._dropped, 0, 0
        without = f", {dropped} frames were dropped" if dropped else ""
        self._log.info("output {name} goes on{without}", name=self.name, without=without)

    def _failed(self, failure: Failure) -> None:
        self._busy = False
        if self._over:
            return
        error = os_error(failure)
        if self._nobody_reads is not None and error.errno in _NOBODY_READS:
            self._reader_gone(self._nobody_reads)
        elif self._closing is not None:
            self._log.error("output {name} ends: {why}", name=self.name, why=os_reason(error))
            self._end(lost=True)
            self._let_go()
        else:
            self._try_later(error)

    def _try_later(self, error: OSError) -> None:
        if not self._tries:
            holds = "paused by" if self._full is Full.WAIT else "waiting for"
            why = os_reason(error)
            self._log.warn(
                "{holds} {name} ({why}), trying again", holds=holds, name=self.name, why=why
            )
        first, most = self._writer.retry
        delay = min(first * 2**self._tries, most)
        self._tries = min(self._tries + 1, 10)
        self._unfinished = True
        if self._drops:
            self._let_in()
        self._retry = self._clock.callLater(delay, self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        self._go_on()

    def _cancel_retry(self) -> None:
        retry, self._retry = self._retry, None
        if retry is not None:
            retry.cancel()

    def _reader_gone(self, told: Callable[[], None]) -> None:
        """Nobody wants the frames, so none is lost."""
        self._end(lost=False)
        if self._closing is not None:
            self._let_go()
        told()

    def _end(self, lost: bool) -> None:
        """Take and write nothing more."""
        self._cancel_retry()
        self._refusing = self._over = True
        if lost:
            self.lost += len(self._queue) + self._writer.left
        self._queue = []
        self._let_in()

    def _let_in(self) -> None:
        patience, self._patience = self._patience, None
        if patience is not None:
            patience.cancel()
        if self._stuck and not self._over:
            self._log.info("output {name} goes on", name=self.name)
        self._stuck = False
        waiting, self._waiting = self._waiting, []
        for room in waiting:
            room.callback(None)

    def _let_go(self) -> None:
        self._runner.run(self._writer.close).addBoth(self._closed)

    def _closed(self, result: Failure | None) -> None:
        self._runner.stop()
        if isinstance(result, Failure):
            why = os_reason(os_error(result))
            self._log.error("output {name}: closing failed: {why}", name=self.name, why=why)
        cast("Deferred[None]", self._closing).callback(None)


def os_error(failure: Failure) -> OSError:
    """What the system said; a fault of ours, in its form: an output must not hang for one."""
    error = failure.value
    return error if isinstance(error, OSError) else OSError(None, explain(failure))


def os_reason(error: OSError) -> str:
    """A system's error in a few words."""
    if error.errno == errno.ENOSPC:
        return "disk full"
    words = error.strerror or (os.strerror(error.errno) if error.errno else str(error))
    return words.lower()


def make_folders(path: str, mode: int = 0o777) -> None:
    """A folder, and those that it lies in, where they are missing.

    :param mode: of the folder itself.
    :raises OSError: one of them cannot be made.
    """
    try:
        os.makedirs(path, mode, exist_ok=True)
    except RecursionError:  # it is one call for each part of the path
        raise OSError(errno.ENAMETOOLONG, "File name too long", path) from None
