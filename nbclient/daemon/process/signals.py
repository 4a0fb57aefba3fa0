"""Signals, handled in the reactor's turn."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import FrameType
from typing import Any

Handler = Callable[[], object]

ENDING = frozenset({signal.SIGINT, signal.SIGTERM})
"""Signals that end the program: a second one may mean something else than the first."""

ECHO = 0.1
"""Within so many seconds the same ending signal is the same one: whoever signals a process
and its group (timeout(1) does) sends it twice."""


BY_SIGNAL = 128
"""What a shell adds to the number of the signal that ended a program."""


def die_by(number: int) -> None:
    """End this process by a signal, as if it had not been handled.

    Returns where the kernel does not let it: to the first process of a container
    a signal that nothing handles does nothing.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):  # closed from the start, or by now
            stream.flush()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


class Signals:
    """Handlers for some signals, and the way back to those before.

    :param reactor: runs the handlers (`IReactorFromThreads`).
    :param handlers: for each signal, what to call.
    :param now: seconds on a monotonic scale.
    """

    def __init__(
        self,
        reactor: Any,
        handlers: Mapping[int, Handler],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reactor = reactor
        self._handlers = handlers
        self._now = now
        self._last: dict[int, float] = {}  # when each ending signal came
        self._before: dict[int, Any] = {}

    def install(self) -> None:
        """Take the signals over, but those that were ignored from the start (nohup)."""
        for number in self._handlers:
            before = signal.getsignal(number)
            if before is not signal.SIG_IGN:
                self._before[number] = before
                signal.signal(number, self._received)

    def restore(self) -> None:
        """Put back what was there."""
        before, self._before = self._before, {}
        for number, handler in before.items():
            signal.signal(number, handler)

    def before(self, number: int) -> Callable[[int, FrameType | None], object] | None:
        """The handler that `install` displaced, if it was a function."""
        handler = self._before.get(number)
        return handler if callable(handler) else None

    def _received(self, number: int, frame: FrameType | None) -> None:
        if number in ENDING:
            now = self._now()
            if now - self._last.get(number, -ECHO) < ECHO:
                return
            self._last[number] = now
        self._reactor.callFromThread(self._handlers[number])
