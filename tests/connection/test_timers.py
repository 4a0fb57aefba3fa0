"""Many timers behind one delayed call: in order, once, none lost, and none kept that is over."""

from __future__ import annotations

import gc
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from nbclient.connection.timers import DEAD, LATE, Timers, timers_of


class TimersTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.timers = Timers(self.clock)
        self.called: list[Any] = []

    def after(self, delay: float, argument: Any) -> Any:
        return self.timers.after(delay, self.called.append, argument)

    def test_they_are_called_when_due_in_order_and_once(self) -> None:
        for delay in (3, 1, 2):
            self.after(delay, delay)
        for second in (1, 2, 3):
            self.clock.advance(0.9)
            self.assertEqual(len(self.called), second - 1)
            self.clock.advance(0.1)
            self.assertEqual(self.called, list(range(1, second + 1)))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_what_is_due_at_the_same_time_comes_in_the_order_it_was_asked_for(self) -> None:
        for number in range(5):
            self.after(1, number)
        self.clock.advance(1)
        self.assertEqual(self.called, [0, 1, 2, 3, 4])

    def test_there_is_one_delayed_call_and_it_is_the_first_timers(self) -> None:
        for delay in (5, 7, 2, 9):
            self.after(delay, delay)
        (call,) = self.clock.getDelayedCalls()
        self.assertEqual(call.getTime(), 2)

    def test_one_that_was_cancelled_is_not_called_and_cancelling_again_does_nothing(self) -> None:
        first, _, third = (self.after(delay, delay) for delay in (1, 2, 3))
        for _ in range(2):
            self.timers.cancel(first)
            self.timers.cancel(third)
        self.clock.advance(5)
        self.assertEqual(self.called, [2])
        self.timers.cancel(first)

    def test_where_none_is_left_nothing_is_pending(self) -> None:
        """A clock that is still asked for something keeps the program up, and tests dirty."""
        timers = [self.after(delay, delay) for delay in (1, 2)]
        for timer in timers:
            self.timers.cancel(timer)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_one_may_cancel_another_that_is_due_as_well(self) -> None:
        later: list[Any] = []
        self.timers.after(1, lambda _: self.timers.cancel(later[0]), None)
        later.append(self.after(1, "cancelled"))
        self.clock.advance(1)
        self.assertEqual(self.called, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_one_may_set_another_which_is_called_later_even_if_due_at_once(self) -> None:
        """Else one that sets itself again without delay would never let go."""
        self.timers.after(1, lambda _: self.after(0, "again"), None)
        self.after(1, "first")
        self.clock.advance(1)
        self.assertEqual(self.called[0], "first")
        self.clock.advance(0)
        self.assertEqual(self.called, ["first", "again"])

    def test_nothing_is_pending_once_the_last_one_due_was_called(self) -> None:
        """Also where one due with it set another for later and took it back."""

        def change_your_mind(_: object) -> None:
            self.timers.cancel(self.after(60, "taken back"))

        self.timers.after(1, change_your_mind, None)
        self.after(1, "last")
        self.clock.advance(1)
        self.assertEqual(self.called, ["last"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_the_clock_may_move_on_within_a_callback(self) -> None:
        """As where an application turns the reactor itself: what is due still comes, once."""

        def turn(_: object) -> None:
            self.after(0, "set within")
            self.clock.advance(0)

        self.timers.after(1, turn, None)
        self.after(1, "behind it")
        self.clock.advance(1)
        self.assertEqual(self.called, ["set within", "behind it"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_sum_of_floats_is_no_reason_to_come_late(self) -> None:
        """At 2.2 there are 12.7 seconds left of 14.9; but 2.2 + 12.7 is a little less."""
        self.after(2.2, "first")
        self.after(14.9, "due")
        self.clock.advance(2.2)
        self.clock.advance(14.9 - 2.2)
        self.assertLess(self.clock.seconds(), 14.9)
        self.assertEqual(self.called, ["first", "due"])

    def test_one_that_fails_is_logged_and_the_others_come(self) -> None:
        self.timers.after(1, lambda _: 1 / 0, None)
        self.after(1, "behind it")
        self.after(2, "later")
        self.clock.advance(1)
        self.clock.advance(1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.called, ["behind it", "later"])

    def test_where_others_cancelled_all_calls_of_the_clock_the_next_is_called_alone(self) -> None:
        """So tests are cleaned up. Waiting for a call that never comes, no link would move."""
        forgotten = self.after(1, "forgotten")
        (call,) = self.clock.getDelayedCalls()
        call.cancel()
        self.after(2, "next")
        self.timers.cancel(forgotten)
        self.clock.advance(3)
        self.assertEqual(self.called, ["next"])
        last = self.after(1, "last")
        (call,) = self.clock.getDelayedCalls()
        call.cancel()
        self.timers.cancel(last)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_those_cancelled_do_not_pile_up(self) -> None:
        """A link that is set going and stopped all day must not fill the memory."""
        self.after(1000, "stays")
        first = self.after(10, "wakes for nothing")
        for delay in range(10 * DEAD):
            timer = self.after(20 + delay, delay)
            self.after(2000 + delay, delay)  # so that the other is not the last of the heap
            self.timers.cancel(timer)
        self.timers.cancel(first)
        kept = self.timers._heap
        self.assertLess(len(kept), 10 * DEAD * 1.25 + DEAD + 2)
        self.clock.advance(15)
        self.clock.advance(985)
        self.assertEqual(self.called, ["stays"])

    def test_one_cancelled_at_once_leaves_nothing(self) -> None:
        self.after(1000, "stays")
        for _ in range(10):
            self.timers.cancel(self.after(2000, "goes"))
        self.assertEqual(len(self.timers._heap), 1)


class SharingTests(SynchronousTestCase):
    def test_links_on_one_clock_share_their_timers(self) -> None:
        clock, other = Clock(), Clock()
        shared = timers_of(clock)
        self.assertIs(timers_of(clock), shared)
        self.assertIsNot(timers_of(other), shared)

    def test_they_last_as_long_as_somebody_has_them(self) -> None:
        """Another clock may be where an old one was."""
        clock = Clock()
        number = timers_of(clock)._number = 7
        gc.collect()
        self.assertEqual(timers_of(clock)._number, 0)
        self.assertEqual(number, 7)


class LateTests(SynchronousTestCase):
    """A timer that is late shows a standstill: what came meanwhile is read before it is called."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.timers = Timers(self.clock)
        self.called: list[Any] = []

    def stand(self, seconds: float) -> None:
        """The time passes, and nothing is called."""
        self.clock.rightNow += seconds

    def test_it_is_called_a_turn_later(self) -> None:
        self.timers.after(1, self.called.append, "timeout")
        self.stand(5)
        self.clock.callLater(0, self.called.append, "read")
        self.clock.advance(0)
        self.assertEqual(self.called, ["read", "timeout"])

    def test_not_where_what_was_read_has_cancelled_it(self) -> None:
        timer = self.timers.after(1, self.called.append, "timeout")
        self.stand(5)
        self.clock.callLater(0, self.timers.cancel, timer)
        self.clock.advance(0)
        self.assertEqual(self.called, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_it_gets_one_turn_even_where_that_takes_long(self) -> None:
        """Else a process that is always late would call none."""
        self.timers.after(1, self.called.append, "timeout")
        self.stand(5)
        self.clock.callLater(0, self.stand, 5)
        self.clock.advance(0)
        self.assertEqual(self.called, ["timeout"])

    def test_a_little_late_is_in_time(self) -> None:
        self.timers.after(1, self.called.append, "timeout")
        self.stand(1 + LATE / 2)
        self.clock.callLater(0, self.called.append, "read")
        self.clock.advance(0)
        self.assertEqual(self.called, ["timeout", "read"])

    def test_those_in_time_do_not_wait_for_it(self) -> None:
        self.timers.after(1, self.called.append, "late")
        self.timers.after(5, self.called.append, "in time")
        self.stand(5)
        self.clock.advance(0)
        self.assertEqual(self.called, ["in time", "late"])

    def test_it_can_say_how_late_it_was(self) -> None:
        lates: list[float] = []
        for delay in (1, 3, 5):
            self.timers.after(delay, lambda _: lates.append(self.timers.late), None)
        self.stand(5)
        self.clock.advance(0)
        self.assertEqual(lates, [0, 4, 2])
        self.assertEqual(self.timers.late, 0)
