"""How far a file has got, as a bar at the foot of a terminal.

It counts bytes of the file whose frames were *delivered*, at the level in force
(``written``, ``tcp``, ``reply``), not bytes read: a file is read into the outbox
in a moment, and with the link down nothing moves. Nothing is shown where
standard error is no terminal, the input no regular file, or tqdm (the extra
``progress``) not installed.

tqdm lays the bar out and no more. Its own object would draw it by the time of
day, which may stand still or jump, and in a thread beside the reactor's.
"""

from __future__ import annotations

import locale
import os
import stat
from collections import deque
from collections.abc import Callable
from importlib import import_module
from typing import Any, Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

from nbclient.core.terminal import visible
from nbclient.daemon.process.logs import write_stderr

TICK = 0.25
"""How often the bar is drawn, seconds."""

SMOOTHING = 0.1
"""The weight of the last tick in the rate that is shown."""

LONGEST_NAME = 30
"""Most characters of the input's name beside the bar."""

ERASE = b"\r\x1b[K"
"""Back to the start of the line, and clear it."""

COLUMNS = 80
"""The width of a terminal that does not tell."""

Meter = Callable[..., str]


class Counts(Protocol):
    """What is asked of an outbox's statistics."""

    @property
    def acknowledged(self) -> int:
        """Frames delivered."""

    @property
    def waiting(self) -> int:
        """Frames accepted and not delivered."""


class Screen:
    """A terminal whose last line is drawn anew, below whatever else is written.

    :param write: takes bytes and writes all of them.
    """

    def __init__(self, write: Callable[[bytes], object] = write_stderr) -> None:
        self._write = write
        self._foot = b""

    def write(self, lines: bytes) -> None:
        """Whole lines, a log's; they come above the foot."""
        self._write(ERASE + lines + self._foot if self._foot else lines)

    def show(self, text: str) -> None:
        """Draw the last line; the cursor stays on it."""
        self._foot = text.encode("utf-8", "backslashreplace")
        self._write(ERASE + self._foot)

    def leave(self) -> None:
        """The last line stays as it is, and what comes is written below it."""
        if self._foot:
            self._foot = b""
            self._write(b"\n")


class Ledger:
    """Which bytes of the input the delivered frames were.

    Within a batch (what one read gave) every frame counts the same.
    """

    def __init__(self) -> None:
        self._batches: deque[tuple[int, int]] = deque()
        self._frames = 0  # in the batches that are delivered, and
        self._bytes = 0  # the bytes of these
        self._begun = 0  # bytes of a frame that is not whole yet

    def taken(self, frames: int, size: int) -> None:
        """So many frames went to the link, and took so many bytes of the input."""
        if frames:
            self._batches.append((frames, self._begun + size))
            self._begun = 0
        else:
            self._begun += size

    def passed(self, size: int) -> None:
        """So many bytes were delivered before the first frame was taken."""
        self._bytes += size

    def delivered(self, frames: int) -> int:
        """How many bytes the first `frames` frames were. Must not decrease."""
        while self._batches and frames - self._frames >= self._batches[0][0]:
            whole, size = self._batches.popleft()
            self._frames += whole
            self._bytes += size
        if not self._batches:
            return self._bytes
        batch, size = self._batches[0]
        return self._bytes + (frames - self._frames) * size // batch


class Progress:
    """Draws the bar until it is closed.

    :param total: the bytes that are to be delivered.
    :param delivered: how many frames of the input are delivered, in order.
    :param screen: where to draw.
    :param clock: an `IReactorTime`.
    :param name: what stands before the bar.
    :param meter: lays the bar out, as tqdm's ``format_meter``.
    :param columns: the width of the terminal.
    """

    def __init__(
        self,
        total: int,
        delivered: Callable[[], int],
        screen: Screen,
        clock: IReactorTime,
        name: str,
        meter: Meter,
        columns: Callable[[], int],
    ) -> None:
        self._total = total
        self._delivered = delivered
        self._screen = screen
        self._clock = clock
        self._name = name
        self._meter = meter
        self._columns = columns
        self._ledger = Ledger()
        self._began = self._last = clock.seconds()
        self._bytes = 0
        self._rate = 0.0
        self._loop = LoopingCall(self._draw)
        self._loop.clock = clock

    def start(self) -> None:
        """Draw it, and go on."""
        self._loop.start(TICK)

    def taken(self, frames: int, size: int) -> None:
        """So many frames went to the link, and took so many bytes of the input."""
        self._ledger.taken(frames, size)

    def passed(self, size: int) -> None:
        """So many bytes of the input were delivered by a run before."""
        self._ledger.passed(size)
        self._bytes += size

    def close(self) -> None:
        """Draw it for the last time; it stays where it is."""
        if self._loop.running:
            self._loop.stop()
            self._draw()
            self._screen.leave()

    def _draw(self) -> None:
        now = self._clock.seconds()
        done = self._ledger.delivered(self._delivered())
        if now > self._last:
            rate = (done - self._bytes) / (now - self._last)
            self._rate += (rate - self._rate) * (SMOOTHING if self._bytes else 1)
            self._last, self._bytes = now, done
        self._screen.show(
            self._meter(
                done,
                self._total,
                now - self._began,
                # In the last column some terminals have begun the next line.
                ncols=self._columns() - 1,
                prefix=self._name,
                ascii=not _speaks_utf8(),
                unit="B",
                unit_scale=True,
                # Below one tqdm turns it round, to seconds a byte.
                rate=self._rate if self._rate >= 1 else 0.0,
            )
        )


def make_progress(
    descriptor: int,
    counts: Callable[[], Counts],
    screen: Screen,
    clock: IReactorTime,
    name: str,
    stderr: int = 2,
    stdout: int | None = None,
) -> Progress | None:
    """The bar of an input, or None where it would have no sense or no place.

    :param descriptor: the input.
    :param counts: the statistics of the outbox; what it holds now is not counted.
    :param name: the input's name.
    :param stderr: where `screen` writes.
    :param stdout: where frames are written too, if they are; on a terminal they
        would be torn by the bar.
    """
    total = bytes_left(descriptor)
    if total is None or not _is_terminal(stderr) or (stdout is not None and os.isatty(stdout)):
        return None
    meter = find_meter()
    if meter is None:
        return None
    before = counts()
    ahead = before.acknowledged + before.waiting
    return Progress(
        total,
        lambda: max(0, counts().acknowledged - ahead),
        screen,
        clock,
        short(name),
        meter,
        lambda: columns(stderr),
    )


def bytes_left(descriptor: int) -> int | None:
    """What a regular file holds from here on; None for anything else."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        return None
    return max(0, status.st_size - os.lseek(descriptor, 0, os.SEEK_CUR))


def find_meter() -> Meter | None:
    """tqdm's layout of a bar; None where tqdm is not installed."""
    try:
        tqdm: Any = import_module("tqdm.std")
    except ImportError:
        return None
    meter: Meter = tqdm.tqdm.format_meter
    return meter


def columns(descriptor: int) -> int:
    """How wide the terminal is now."""
    try:
        return os.get_terminal_size(descriptor).columns or COLUMNS
    except OSError:  # it has gone
        return COLUMNS


def short(name: str) -> str:
    """A name on one line, its end where it is too long."""
    line = " ".join(visible(name).split())
    return line if len(line) <= LONGEST_NAME else "…" + line[1 - LONGEST_NAME :]


def _is_terminal(descriptor: int) -> bool:
    return os.isatty(descriptor) and os.environ.get("TERM", "dumb") != "dumb"


def _speaks_utf8() -> bool:
    return locale.getencoding().lower().replace("-", "") == "utf8"
