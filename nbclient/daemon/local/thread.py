"""Blocking reads and writes in a thread of their own.

The kernel has no non-blocking reads or writes for regular files, and making a
terminal non-blocking changes it for every other process that has it, for ever
if this one is killed. A thread of our own touches no flag, and a reader or
writer that hangs (a stalled pipe, a dead network file system) holds up nobody:
the thread is a daemon, and nothing waits for its end.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

T = TypeVar("T")


class Runner(Protocol):
    """Runs calls one after another, away from the reactor."""

    def run(self, call: Callable[[], T]) -> Deferred[T]:
        """The Deferred of the call's result; fires in the reactor's thread."""
        ...

    def stop(self) -> None:
        """No further call; the one that runs is left alone."""
        ...


class Worker:
    """A `Runner` with one daemon thread, begun by the first call.

    :param reactor: told the results (`IReactorFromThreads`).
    :param name: the thread's, for who looks.
    """

    def __init__(self, reactor: Any, name: str) -> None:
        self._reactor = reactor
        self._name = name
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def run(self, call: Callable[[], T]) -> Deferred[T]:
        """See `Runner.run`."""
        done: Deferred[T] = Deferred()

        def work() -> None:
            result: T | Failure
            try:
                result = call()
            except Exception:
                result = Failure()
            self._reactor.callFromThread(done.callback, result)

        self._calls.put(work)
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name=self._name, daemon=True)
            self._thread.start()
        return done

    def stop(self) -> None:
        """See `Runner.stop`."""
        self._calls.put(None)

    def _serve(self) -> None:
        while (call := self._calls.get()) is not None:
            call()
