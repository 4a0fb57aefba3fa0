"""The reactor's clock."""

from __future__ import annotations

import time

from twisted.internet.base import ReactorBase
from twisted.trial.unittest import SynchronousTestCase

from nbclient.daemon.process.clock import use_monotonic_clock


class Bare(ReactorBase):
    """A reactor that waits for nothing."""

    def installWaker(self) -> None:
        """It has none."""


class ClockTests(SynchronousTestCase):
    def test_the_time_of_day_is_left_for_the_monotonic_clock(self) -> None:
        reactor = Bare()
        self.assertGreater(abs(reactor.seconds() - time.monotonic()), 1)
        self.assertTrue(use_monotonic_clock(reactor))
        self.assertIs(reactor.seconds, time.monotonic)

    def test_a_reactor_with_timers_is_left_alone(self) -> None:
        reactor = Bare()
        call = reactor.callLater(5, lambda: None)
        self.assertFalse(use_monotonic_clock(reactor))
        self.assertGreater(abs(reactor.seconds() - time.monotonic()), 1)
        call.cancel()

    def test_a_monotonic_reactor_is_left_alone(self) -> None:
        reactor = Bare()
        seconds = lambda: time.monotonic() - 0.5  # noqa: E731
        reactor.seconds = seconds  # type: ignore[method-assign]
        self.assertTrue(use_monotonic_clock(reactor))
        self.assertIs(reactor.seconds, seconds)
