"""What is logged, and how it looks on stderr.

The link and its connections log through `make_logger`, which drops what was
not asked for, and turns tracebacks into one line unless -vv was given, in both
front ends. `StderrLines` is the log of ``python -m nbclient``.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from select import PIPE_BUF
from typing import Any

from twisted.logger import (
    ILogObserver,
    LogEvent,
    Logger,
    LogLevel,
    formatEvent,
    globalLogPublisher,
)
from zope.interface import implementer

from nbclient.connection.wording import explain
from nbclient.core.terminal import visible
from nbclient.daemon.outputs.formats import clock_time

NAMESPACE = "nbclient"
MOST = 4000
"""The longest line of the log, characters."""

PATIENCE = 1000
"""How long standard error may be full until lines are lost, milliseconds."""


def least_level(verbosity: int) -> Any:
    """The least level that is shown."""
    if verbosity < 0:
        return LogLevel.warn
    return LogLevel.debug if verbosity else LogLevel.info


@implementer(ILogObserver)
class Threshold:
    """Passes on what was asked for, without tracebacks unless they were.

    :param verbosity: -1 for warnings and errors only, 0, 1 for all, 2 with tracebacks.
    :param to: who is told.
    """

    def __init__(self, verbosity: int, to: Callable[[LogEvent], object]) -> None:
        self._least = least_level(verbosity)
        self._tracebacks = verbosity > 1
        self._to = to

    def __call__(self, event: LogEvent) -> None:
        if event["log_level"] < self._least:
            return
        if "log_failure" in event and not self._tracebacks:
            event = _without_traceback(event)
        self._to(event)


def _without_traceback(event: LogEvent) -> LogEvent:
    plain = {key: value for key, value in event.items() if key != "log_failure"}
    plain["log_format"] = "{said}: {why} (-vv shows where)"
    plain["said"] = formatEvent(event)
    plain["why"] = explain(event["log_failure"])
    plain.pop("log_flattened", None)
    return plain


def make_logger(verbosity: int, to: Callable[[LogEvent], object] = globalLogPublisher) -> Logger:
    """The logger of a job; see `Threshold`."""
    return Logger(namespace=NAMESPACE, observer=Threshold(verbosity, to))


@implementer(ILogObserver)
class StderrLines:
    """One line an event, nothing of Twisted's own small talk.

    :param verbosity: as `Threshold`.
    :param now: the time of day, seconds since the epoch; None: no times.
    :param write: takes the bytes of a line.
    :param mask: takes from a line what is not to be logged.
    """

    def __init__(
        self,
        verbosity: int,
        now: Callable[[], float] | None = None,
        write: Callable[[bytes], object] | None = None,
        mask: Callable[[str], str] = str,
    ) -> None:
        self._mask = mask
        self._verbosity = verbosity
        self._now = now
        self._write = write_stderr if write is None else write

    def __call__(self, event: LogEvent) -> None:
        if not self._wanted(event):
            return
        if "log_failure" in event and self._verbosity < 2:
            event = _without_traceback(event)
        time = "" if self._now is None else f"{clock_time(self._now())} "
        text = one_line(self._mask(formatEvent(event)))
        self._write(f"{time}nbclient: {text}\n".encode("utf-8", "backslashreplace"))
        if "log_failure" in event:
            traceback = self._mask(event["log_failure"].getTraceback())
            self._write(traceback.encode("utf-8", "backslashreplace"))

    def _wanted(self, event: LogEvent) -> bool:
        ours = str(event.get("log_namespace", "")).startswith(NAMESPACE)
        least = least_level(self._verbosity) if ours or self._verbosity > 1 else LogLevel.warn
        return bool(event.get("log_level", LogLevel.info) >= least)


def one_line(text: str) -> str:
    """`text` without line ends and control characters, and not too long."""
    line = visible(" ".join(text.splitlines()))
    return line if len(line) <= MOST else line[: MOST - 1] + "…"


class Stderr:
    """Standard error, which must not hold up anything else.

    A pipe that nobody reads is waited for once, `PATIENCE`; then lines are lost, and
    counted, until it is read again. A flag of the file is nobody's to change: other
    processes have it, too.
    """

    def __init__(self) -> None:
        self._stuck = False
        self._lost = 0

    def write(self, data: bytes) -> None:
        """All of `data`, if there is room for it soon; what cannot be written is lost."""
        try:
            if self._lost and self._has_room():
                note, self._lost = f"\nnbclient: {self._lost} lines of the log were lost\n", 0
                data = note.encode() + data
            while data:
                if not self._has_room():
                    self._lost += 1
                    return
                data = data[os.write(2, data[:PIPE_BUF]) :]
        except BlockingIOError:  # another process made it non-blocking, and was quicker
            self._lost += 1
        except OSError:
            return  # nobody reads the log: no reason to end

    def _has_room(self) -> bool:
        """Whether `PIPE_BUF` bytes can be written without waiting; waits for that once."""
        room = select.poll()
        room.register(2, select.POLLOUT)
        self._stuck = not room.poll(0 if self._stuck else PATIENCE)
        return not self._stuck


write_stderr = Stderr().write
