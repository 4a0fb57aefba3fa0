"""The thread of an input or output."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from nbclient.daemon.local.thread import Worker


class Turns:
    """The reactor's half: what threads tell it, in order."""

    def __init__(self) -> None:
        self._told = threading.Semaphore(0)
        self._calls: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []

    def callFromThread(self, call: Callable[..., Any], *arguments: Any) -> None:
        self._calls.append((call, arguments))
        self._told.release()

    def turn(self) -> None:
        assert self._told.acquire(timeout=10)
        call, arguments = self._calls.pop(0)
        call(*arguments)


class WorkerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = Turns()
        self.worker = Worker(self.reactor, "test worker")

    def test_calls_are_made_in_one_daemon_thread_and_told_to_the_reactor(self) -> None:
        one = self.worker.run(threading.current_thread)
        two = self.worker.run(threading.current_thread)
        self.assertNoResult(one)
        self.reactor.turn()
        self.reactor.turn()
        thread = self.successResultOf(one)
        self.assertIs(self.successResultOf(two), thread)
        self.assertEqual((thread.name, thread.daemon), ("test worker", True))
        self.worker.stop()
        thread.join(10)
        self.assertFalse(thread.is_alive())

    def test_an_exception_is_the_failure_of_its_call_alone(self) -> None:
        def broken() -> None:
            raise OSError("no")

        failed = self.worker.run(broken)
        fine = self.worker.run(lambda: 1)
        self.reactor.turn()
        self.reactor.turn()
        self.failureResultOf(failed, OSError)
        self.assertEqual(self.successResultOf(fine), 1)
        self.worker.stop()

    def test_no_thread_is_begun_before_it_is_needed(self) -> None:
        before = threading.active_count()
        Worker(self.reactor, "idle").stop()
        self.assertEqual(threading.active_count(), before)
