"""Answers on the clock: each finds its frame, and one that is late ends the connection."""

from __future__ import annotations

import re
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from nbclient.delivery.replies import Reply, Says
from nbclient.errors import FrameError
from nbclient.link.reply_tracker import Replying

KEY = re.compile(rb"(\d+)")


class ReplyingTests(SynchronousTestCase):
    def replying(self, **rules: Any) -> Replying:
        self.clock = Clock()
        self.told: list[tuple[int, Says, bytes]] = []
        self.late = 0
        return Replying(
            Reply(**{"timeout": 5.0, **rules}),
            lambda *answer: self.told.append(answer),
            self.tooLate,
            self.clock,
            self.clock.seconds,
        )

    def tooLate(self) -> None:
        self.late += 1

    def test_an_answer_goes_to_the_frame_that_waits_longest(self) -> None:
        replying = self.replying(window=2)
        replying.sending(4, b"a")
        replying.sending(9, b"b")
        replying.heard(b"one")
        replying.heard(b"two")
        self.assertEqual(self.told, [(4, Says.TAKEN, b"one"), (9, Says.TAKEN, b"two")])

    def test_by_key_it_goes_to_the_frame_of_that_key(self) -> None:
        replying = self.replying(window=2, key=KEY)
        replying.sending(4, b"a 17")
        replying.sending(9, b"b 18")
        replying.heard(b"18 done")
        replying.heard(b"99 what?")
        self.assertEqual(self.told, [(9, Says.TAKEN, b"18 done")])

    def test_what_answers_nothing_is_none_of_its_business(self) -> None:
        replying = self.replying(match=re.compile(rb"^ok"))
        replying.heard(b"ok")  # nobody asked
        replying.sending(1, b"a")
        replying.heard(b"by the way")
        self.assertEqual(self.told, [])

    def test_what_ends_in_bytes_that_came_before_is_no_answer(self) -> None:
        for key in (None, KEY):
            replying = self.replying(key=key)
            replying.sending(1, b"a 17", 100)
            replying.heard(b"17", 100)
            self.assertEqual(self.told, [])
            replying.heard(b"17", 101)
            self.assertEqual(self.told, [(1, Says.TAKEN, b"17")])

    def test_a_window_of_one_is_stop_and_wait(self) -> None:
        replying = self.replying()
        self.assertTrue(replying.takes(b"a"))
        replying.sending(1, b"a")
        self.assertFalse(replying.takes(b"b"))
        replying.heard(b"ok")
        self.assertTrue(replying.takes(b"b"))

    def test_it_knows_how_many_answers_are_owed(self) -> None:
        replying = self.replying(window=2)
        replying.sending(1, b"a")
        replying.sending(2, b"b")
        self.assertEqual(replying.waiting, 2)
        replying.heard(b"ok")
        self.assertEqual(replying.waiting, 1)

    def test_a_key_in_use_waits_for_its_answer(self) -> None:
        replying = self.replying(window=3, key=KEY)
        replying.sending(1, b"a 17")
        self.assertFalse(replying.takes(b"b 17"))
        self.assertTrue(replying.takes(b"b 18"))

    def test_a_frame_stored_under_other_rules_may_have_no_key(self) -> None:
        replying = self.replying(key=KEY)
        self.assertTrue(replying.takes(b"none"))
        self.assertRaises(FrameError, replying.check, b"none")
        replying.check(b"17")

    def test_an_answer_that_is_late_is_told_of_once(self) -> None:
        replying = self.replying()
        replying.sending(1, b"a")
        self.clock.advance(4.9)
        self.assertEqual(self.late, 0)
        self.clock.advance(0.1)
        self.assertEqual(self.late, 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_each_answer_in_time_gives_the_next_frame_its_own_time(self) -> None:
        replying = self.replying(window=2)
        replying.sending(1, b"a")
        self.clock.advance(3)
        replying.sending(2, b"b")
        replying.heard(b"ok")
        self.clock.advance(4.9)
        self.assertEqual(self.late, 0)
        self.clock.advance(0.1)
        self.assertEqual(self.late, 1)

    def test_with_nothing_outstanding_nothing_is_late(self) -> None:
        replying = self.replying()
        replying.sending(1, b"a")
        replying.heard(b"ok")
        self.clock.advance(100)
        self.assertEqual((self.late, self.clock.getDelayedCalls()), (0, []))

    def test_a_timer_whose_sum_falls_short_does_not_look_for_ever(self) -> None:
        """0.1 + 5.0 - 0.1 is less than 5.0."""
        for start in range(1, 200):
            replying = self.replying(timeout=0.7)
            self.clock.advance(start / 7)
            replying.sending(1, b"a")
            self.clock.advance(0.7)
            self.assertEqual(self.late, 1)

    def test_while_this_side_does_not_read_no_answer_is_late(self) -> None:
        """It may have come already."""
        replying = self.replying()
        replying.sending(1, b"a")
        self.clock.advance(3)
        replying.hold(True)
        self.clock.advance(100)
        self.assertEqual((self.late, self.clock.getDelayedCalls()), (0, []))
        replying.hold(False)
        self.clock.advance(1.9)
        self.assertEqual(self.late, 0)
        self.clock.advance(0.1)
        self.assertEqual(self.late, 1)

    def test_what_is_sent_meanwhile_has_its_time_from_when_reading_goes_on(self) -> None:
        replying = self.replying()
        replying.hold(True)
        self.clock.advance(50)
        replying.sending(1, b"a")
        self.clock.advance(50)
        replying.hold(False)
        self.clock.advance(4.9)
        self.assertEqual(self.late, 0)
        self.clock.advance(0.1)
        self.assertEqual(self.late, 1)

    def test_reading_that_was_not_held_goes_on(self) -> None:
        replying = self.replying()
        replying.hold(False)
        replying.sending(1, b"a")
        self.clock.advance(5)
        self.assertEqual(self.late, 1)

    def test_after_the_end_answers_count_and_none_is_late(self) -> None:
        replying = self.replying()
        replying.sending(1, b"a")
        replying.hold(True)
        replying.stop()
        replying.hold(False)
        self.clock.advance(100)
        self.assertEqual(self.late, 0)
        replying.heard(b"ok")
        self.assertEqual(self.told, [(1, Says.TAKEN, b"ok")])
        replying.stop()

    def test_for_ever_sets_no_timer(self) -> None:
        replying = self.replying(timeout=None)
        replying.sending(1, b"a")
        self.assertEqual(self.clock.getDelayedCalls(), [])
