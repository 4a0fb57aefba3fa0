"""Who may enter the outbox, who waits for room, who is turned away; in memory and on disk."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from nbclient.delivery.outbox import FRAME_COST, Outbox
from nbclient.errors import FrameError, LinkStopped, LocalError, OutboxFull
from nbclient.link.admission import Admission, SpoolAdmission
from nbclient.link.spooling import Spooling
from nbclient.spool.folder import SpoolError
from nbclient.spool.spool import SpoolFailed
from tests.conformance.spools import LONGEST, FakeSpool

ROOM = 10
"""Room for so many of the frames below."""


def frame(number: int) -> bytes:
    """Frames that cost 100 bytes each, so that bounds can be told in frames."""
    return b"%0*d" % (100 - FRAME_COST, number)


def frames(first: int, last: int) -> list[bytes]:
    return [frame(number) for number in range(first, last + 1)]


class AdmissionTestCase(SynchronousTestCase):
    """An outbox with room for ten frames; what is counted must come out even."""

    admission: Admission

    def make(self, whenFull: str = "wait") -> None:
        self.outbox = Outbox(ROOM * 100)
        self.withdrawals = 0
        self.admission = self.admitting(whenFull)

    def admitting(self, whenFull: str) -> Admission:
        return Admission(self.outbox, whenFull, lambda: 0.0, self.withdrawn)

    def withdrawn(self) -> None:
        self.withdrawals += 1

    def offer(self, offered: list[bytes], cursor: Any = None) -> Deferred[None]:
        self.outbox.counters.offered += len(offered)
        return self.admission.offer(offered, cursor)

    def sent(self, count: int) -> list[bytes]:
        """So many frames are in flight now."""
        return [taken for _ in range(count) for taken in self.outbox.take(1)]

    def acknowledge(self, count: int) -> None:
        self.outbox.acknowledge(count)
        self.admission.admit()

    def waiting(self) -> list[bytes]:
        return list(self.outbox._waiting)

    def tearDown(self) -> None:
        stats = self.outbox.stats()
        self.assertTrue(stats.conserved(), stats)


class WaitingTests(AdmissionTestCase):
    def setUp(self) -> None:
        self.make()

    def test_with_room_a_batch_enters_at_once(self) -> None:
        self.successResultOf(self.offer(frames(1, 10)))
        self.assertFalse(self.admission)
        self.assertEqual(self.waiting(), frames(1, 10))

    def test_what_does_not_fit_waits_and_enters_as_room_comes_free(self) -> None:
        waits = self.offer(frames(1, 12))
        self.assertTrue(self.admission)
        self.assertEqual(self.admission.size, 200)
        self.sent(2)
        self.acknowledge(1)
        self.assertNoResult(waits)
        self.assertEqual(self.admission.size, 100)
        self.acknowledge(1)
        self.successResultOf(waits)
        self.assertEqual(self.waiting(), frames(3, 12))

    def test_nobody_overtakes_one_who_waits(self) -> None:
        self.successResultOf(self.offer(frames(1, 9)))
        large = self.offer([bytes(500)])
        small = self.offer([frame(10)])
        self.assertNoResult(small)
        self.sent(9)
        self.acknowledge(9)
        for each in (large, small):
            self.successResultOf(each)
        self.assertEqual(self.waiting(), [bytes(500), frame(10)])

    def test_nothing_is_nothing_to_wait_for(self) -> None:
        self.offer(frames(1, 11))
        self.successResultOf(self.offer([]))

    def test_the_room_to_wait_in_is_bounded_too(self) -> None:
        waits = self.offer(frames(1, 20))
        self.failureResultOf(self.offer([b""]), OutboxFull)
        self.assertNoResult(waits)
        self.assertEqual(self.outbox.counters.refused, 1)

    def test_one_who_withdraws_lets_those_behind_move_up(self) -> None:
        self.successResultOf(self.offer(frames(1, 9)))
        large = self.offer([bytes(500)])
        small = self.offer([frame(10)])
        large.cancel()
        self.failureResultOf(large, CancelledError)
        self.successResultOf(small)
        self.assertEqual((self.withdrawals, self.admission.size), (1, 0))

    def test_one_who_offers_more_when_told_waits_behind_those_who_wait(self) -> None:
        again: list[Deferred[None]] = []
        first = self.offer(frames(1, 11))
        second = self.offer([frame(12)])
        first.addCallback(lambda _: again.append(self.offer([frame(13)])))
        self.sent(3)
        self.acknowledge(3)
        for each in (first, second, *again):
            self.successResultOf(each)
        self.assertEqual(self.waiting(), frames(4, 13))

    def test_at_the_end_everybody_is_turned_away_even_if_one_withdraws_another(self) -> None:
        first, second = self.offer(frames(1, 11)), self.offer([frame(12)])
        first.addErrback(lambda _: second.cancel())
        self.admission.end(Failure(LinkStopped("stopped")))
        self.failureResultOf(second, CancelledError)
        self.assertEqual((self.outbox.counters.refused, self.admission.size), (2, 0))

    def test_a_refusal_from_elsewhere_is_counted(self) -> None:
        self.outbox.counters.offered += 2
        refused = self.admission.refuse(frames(1, 2), Failure(FrameError("no")))
        self.failureResultOf(refused, FrameError)


class RefusingTests(AdmissionTestCase):
    def setUp(self) -> None:
        self.make("refuse")

    def test_what_does_not_fit_is_refused_whole(self) -> None:
        """All or nothing: who offers it again must not send half of it twice."""
        self.successResultOf(self.offer(frames(1, 9)))
        error = self.failureResultOf(self.offer(frames(10, 11)), OutboxFull).value
        self.assertEqual((error.limit, error.size), (1000, 200))
        self.successResultOf(self.offer([frame(10)]))
        self.assertEqual(self.outbox.counters.refused, 2)
        self.assertFalse(self.admission)


class DroppingTests(AdmissionTestCase):
    def setUp(self) -> None:
        self.make("drop-oldest")

    def test_the_oldest_make_room_and_no_more_of_them_than_needed(self) -> None:
        self.successResultOf(self.offer(frames(1, 9)))
        self.successResultOf(self.offer(frames(10, 12)))
        self.assertEqual(self.waiting(), frames(3, 12))
        self.assertEqual(self.outbox.counters.dropped, 2)

    def test_what_is_in_flight_is_not_dropped_and_is_waited_for(self) -> None:
        self.successResultOf(self.offer(frames(1, 10)))
        self.sent(10)
        waits = self.offer([frame(11)])
        self.assertNoResult(waits)
        self.acknowledge(1)
        self.successResultOf(waits)
        self.assertEqual(self.outbox.counters.dropped, 0)

    def test_of_what_is_back_from_a_lost_connection_the_oldest_make_room(self) -> None:
        self.successResultOf(self.offer(frames(1, 10)))
        self.sent(10)
        first, second = self.offer([frame(11)]), self.offer([frame(12)])
        self.outbox.rewind()
        self.admission.admit()
        for each in (first, second):
            self.successResultOf(each)
        self.assertEqual(self.waiting(), frames(3, 12))

    def test_a_batch_larger_than_all_the_room_leaves_its_newest_frames(self) -> None:
        """And nobody waits: with the link down, nothing else would make room."""
        self.successResultOf(self.offer(frames(1, 15)))
        self.successResultOf(self.offer([frame(16)]))
        self.assertEqual(self.waiting(), frames(7, 16))

    def test_what_is_more_than_may_wait_is_refused_all_the_same(self) -> None:
        self.failureResultOf(self.offer(frames(1, 21)), OutboxFull)
        self.assertEqual(self.outbox.counters.dropped, 0)


class SpoolTestCase(AdmissionTestCase):
    """The outbox has room for ten frames, its spool for twenty."""

    def admitting(self, whenFull: str) -> Admission:
        self.spool: Any = FakeSpool(limit=2000)
        self.spooling = Spooling(self.spool, self.outbox, self.changed, lambda: 0.0)
        return SpoolAdmission(self.outbox, whenFull, lambda: 0.0, self.withdrawn, self.spooling)

    def changed(self) -> None:
        self.admission.admit()

    def stored(self, *batches: list[bytes]) -> None:
        for batch in batches:
            accepted = self.offer(batch)
            self.spool.run()
            self.successResultOf(accepted)

    def acknowledge(self, count: int) -> None:
        self.spooling.acknowledged(self.outbox.acknowledge(count))
        self.admission.admit()

    def tearDown(self) -> None:
        stats = self.outbox.stats()
        shown = stats.waiting + self.spooling.behind
        settled = stats.acknowledged + stats.dropped + stats.set_aside
        self.assertEqual(stats.offered, stats.accepted + stats.refused + stats.undecided)
        self.assertEqual(stats.accepted, settled + shown)


class SpoolWaitingTests(SpoolTestCase):
    def setUp(self) -> None:
        self.make()

    def test_accepted_means_stored(self) -> None:
        accepted = self.offer(frames(1, 2), ("file", "200"))
        self.assertNoResult(accepted)
        self.assertEqual(self.waiting(), [])
        self.assertEqual(self.outbox.counters.undecided, 2)
        self.spool.step()
        self.successResultOf(accepted)
        self.assertEqual(self.waiting(), frames(1, 2))
        self.assertEqual(self.spool.cursors, {"file": "200"})

    def test_what_the_disk_does_not_take_is_refused_exactly(self) -> None:
        lost = self.offer(frames(1, 2))
        self.spool.failing = 1
        self.spool.step()
        kept = self.offer([frame(3)])
        self.spool.step()
        self.failureResultOf(lost, SpoolFailed)
        self.successResultOf(kept)
        self.assertEqual(self.waiting(), [frame(3)])
        self.assertEqual((self.outbox.counters.refused, self.outbox.counters.accepted), (2, 1))

    def test_a_cursor_alone_is_stored_in_its_turn(self) -> None:
        moved = self.offer([], ("file", "7"))
        self.assertNoResult(moved)
        self.spool.step()
        self.successResultOf(moved)
        self.assertEqual(self.spool.cursors, {"file": "7"})

    def test_who_waits_behind_a_failed_batch_of_the_same_cursor_fails_with_it(self) -> None:
        """Else the cursor would move past what is not stored, and a restart read on behind it."""
        self.spool.limit = 300
        failed = self.offer(frames(1, 2), ("file", "2"))
        behind = self.offer(frames(3, 4), ("file", "4"))
        other = self.offer([frame(5)], ("other", "1"))
        self.offer([frame(6)])
        self.spool.failing = 1
        again: list[Deferred[None]] = []
        failed.addErrback(lambda _: again.append(self.offer(frames(1, 2), ("file", "2"))))
        self.spool.step()
        self.failureResultOf(behind, SpoolFailed)
        self.spool.run()
        self.successResultOf(other)
        self.assertEqual((self.spool.cursors, self.admission.size), ({"other": "1"}, 200))
        self.sent(2)
        self.acknowledge(2)
        self.spool.run()
        self.successResultOf(again[0])
        self.assertEqual(self.spool.cursors, {"other": "1", "file": "2"})

    def test_with_the_disk_full_a_batch_waits_whole(self) -> None:
        self.stored(frames(1, 10), frames(11, 19))
        waits, behind = self.offer(frames(20, 21)), self.offer([frame(22)])
        self.assertEqual(self.spool.asked, [])
        self.sent(1)
        self.acknowledge(1)
        self.spool.step()
        self.assertEqual(self.spool.asked, ["append"])
        self.spool.run()
        self.successResultOf(waits)
        self.assertNoResult(behind)
        behind.cancel()
        self.failureResultOf(behind, CancelledError)

    def test_what_is_longer_than_the_whole_spool_is_refused(self) -> None:
        self.failureResultOf(self.offer(frames(1, 21)), OutboxFull)

    def test_what_waits_for_the_disk_to_have_room_is_bounded_as_memory_is(self) -> None:
        self.stored(frames(1, 10), frames(11, 20))
        waits = [self.offer(frames(21, 28)), self.offer(frames(29, 30))]
        self.failureResultOf(self.offer([frame(31)]), OutboxFull)
        self.admission.end(Failure(LinkStopped("stopped")))
        for each in waits:
            self.failureResultOf(each, LinkStopped)

    def test_the_first_to_wait_may_be_larger_than_memory(self) -> None:
        self.stored(frames(1, 10))
        waits = self.offer(frames(11, 30 - 8))
        self.assertNoResult(waits)
        self.sent(10)
        self.acknowledge(10)
        self.spool.run()
        self.successResultOf(waits)

    def test_what_is_on_its_way_to_the_disk_cannot_be_withdrawn(self) -> None:
        """It is stored, and counted so; only who asked hears no more of it."""
        accepted = self.offer([frame(1)])
        accepted.cancel()
        self.failureResultOf(accepted, CancelledError)
        self.spool.step()
        self.assertEqual(self.waiting(), [frame(1)])
        self.assertEqual(self.outbox.counters.accepted, 1)

    def test_neither_is_its_cursor(self) -> None:
        accepted = self.offer([frame(1)], ("file", "1"))
        behind = self.offer([frame(2)], ("file", "2"))
        accepted.cancel()
        self.failureResultOf(accepted, CancelledError)
        self.spool.step()
        self.successResultOf(behind)
        self.assertEqual((self.waiting(), self.spool.cursors), (frames(1, 2), {"file": "2"}))

    def test_cancelled_too_late_and_not_stored_its_cursor_stays_where_it_was(
        self,
    ) -> None:
        self.spool.limit = 100
        accepted = self.offer([frame(1)], ("file", "1"))
        behind = self.offer([frame(2)], ("file", "2"))
        accepted.cancel()
        self.failureResultOf(accepted, CancelledError)
        self.spool.failing = 1
        self.spool.step()
        self.failureResultOf(behind, SpoolFailed)
        self.assertEqual((self.waiting(), self.spool.cursors), ([], {}))

    def test_one_that_waits_and_is_withdrawn_takes_along_who_read_on_behind_it(self) -> None:
        """Else the cursor would move past what was not accepted, and the next run pass it over."""
        self.stored(frames(1, 10), frames(11, 18))
        before = self.offer(frames(19, 21), ("file", "3"))
        withdrawn = self.offer([frame(22)], ("file", "4"))
        behind = self.offer([frame(23)], ("file", "5"))
        other = self.offer([frame(24)], ("other", "1"))
        withdrawn.cancel()
        self.failureResultOf(withdrawn, CancelledError)
        self.assertIn("withdrawn", str(self.failureResultOf(behind, LocalError).value))
        self.sent(1)
        self.acknowledge(1)
        self.spool.run()
        self.successResultOf(before)
        self.assertNoResult(other)
        self.sent(1)
        self.acknowledge(1)
        self.spool.run()
        self.successResultOf(other)
        self.assertEqual(self.spool.cursors, {"file": "3", "other": "1"})

    def test_a_frame_that_a_spool_cannot_store_is_refused(self) -> None:
        self.spool.limit = 10 * LONGEST
        self.failureResultOf(self.offer([bytes(LONGEST + 1)]), FrameError)

    def test_a_spool_that_is_closed_takes_nothing(self) -> None:
        self.spool.close()
        self.failureResultOf(self.offer([frame(1)]), SpoolError)


class SpoolDroppingTests(SpoolTestCase):
    def setUp(self) -> None:
        self.make("drop-oldest")

    def test_the_oldest_make_room_on_the_disk_and_no_more_of_them_than_needed(self) -> None:
        self.stored(frames(1, 10), frames(11, 20))
        first, second = self.offer(frames(21, 22)), self.offer([frame(23)])
        self.assertNoResult(first)
        self.spool.run()
        for each in (first, second):
            self.successResultOf(each)
        self.assertEqual(self.outbox.counters.dropped, 3)
        self.assertEqual(min(self.spool.rows), 4)

    def test_nothing_is_dropped_for_room_that_is_coming_free_anyhow(self) -> None:
        """Delivered, and on the disk until the next commit."""
        self.stored(frames(1, 10), frames(11, 20))
        self.sent(3)
        self.acknowledge(3)
        waits = self.offer(frames(21, 23))
        self.spool.run()
        self.successResultOf(waits)
        self.assertEqual(self.outbox.counters.dropped, 0)

    def test_with_all_in_memory_in_flight_room_is_waited_for(self) -> None:
        self.stored(frames(1, 10), frames(11, 20))
        self.sent(10)
        waits = self.offer([frame(21)])
        self.spool.run()
        self.assertNoResult(waits)
        self.outbox.rewind()
        self.admission.admit()
        self.spool.run()
        self.successResultOf(waits)


class SpoolRefusingTests(SpoolTestCase):
    def test_a_full_disk_refuses(self) -> None:
        self.make("refuse")
        self.stored(frames(1, 10), frames(11, 20))
        self.failureResultOf(self.offer([frame(21)]), OutboxFull)
