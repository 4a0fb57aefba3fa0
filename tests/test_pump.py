"""The pump: from the outbox to whichever connection is ready, back-pressure all the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import LogLevel, capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from nbclient.delivery.outbox import FRAME_COST
from nbclient.errors import FrameError, LinkStopped, OutboxFull
from nbclient.pump import PUMP_BYTES, Pump

ROOM = 10
"""Room for so many of the frames below."""


def frame(number: int) -> bytes:
    """Frames that cost 100 bytes each, so that bounds can be told in frames."""
    return b"%0*d" % (100 - FRAME_COST, number)


def frames(first: int, last: int) -> list[bytes]:
    return [frame(number) for number in range(first, last + 1)]


class Connection:
    """Takes frames while it has room.

    :ivar room: how many frames more it takes before it is full; None: any number.
    :ivar refuses: frames its framing cannot carry.
    """

    def __init__(self, room: int | None = None, refuses: Sequence[bytes] = ()) -> None:
        self.room = room
        self.refuses = refuses
        self.written: list[bytes] = []
        self.writes = 0
        self.onWrite: Callable[[], object] = lambda: None

    @property
    def writable(self) -> bool:
        return self.room is None or self.room > 0

    def writeFrames(self, frames: Sequence[bytes], outbox: bool = True) -> None:
        if any(each in self.refuses for each in frames):
            raise FrameError("not in this framing")
        self.written += frames
        self.writes += 1
        if self.room is not None:
            self.room -= len(frames)
        self.onWrite()


class PumpTestCase(SynchronousTestCase):
    """A pump whose outbox has room for ten frames; ten more may wait."""

    def setUp(self) -> None:
        self.pump = Pump(ROOM * 100)

    def offer(self, offered: list[bytes]) -> Deferred[None]:
        self.pump.outbox.counters.offered += len(offered)
        return self.pump.offer(offered)

    def attached(self, **options: Any) -> Connection:
        connection = Connection(**options)
        self.pump.attach(connection)
        return connection

    def full(self) -> None:
        """Fill the outbox; nothing more fits."""
        self.successResultOf(self.offer(frames(1, ROOM)))

    def tearDown(self) -> None:
        stats = self.pump.outbox.stats()
        self.assertTrue(stats.conserved(), stats)


class SendingTests(PumpTestCase):
    def test_what_waited_leaves_in_order_when_a_connection_is_ready(self) -> None:
        self.successResultOf(self.offer(frames(1, 2)))
        self.successResultOf(self.offer(frames(3, 3)))
        self.assertEqual(self.attached().written, frames(1, 3))

    def test_with_a_connection_ready_a_frame_leaves_at_once(self) -> None:
        connection = self.attached()
        self.successResultOf(self.offer([b"now"]))
        self.assertEqual(connection.written, [b"now"])

    def test_without_one_nothing_leaves(self) -> None:
        connection = self.attached()
        self.pump.detach()
        self.successResultOf(self.offer([b"later"]))
        self.pump.run()
        self.assertEqual(connection.written, [])

    def test_a_full_connection_gets_no_more_until_it_has_room(self) -> None:
        connection = self.attached(room=0)
        self.offer([b"one"])
        self.assertEqual(connection.written, [])
        connection.room = 1
        self.pump.run()
        self.assertEqual(connection.written, [b"one"])

    def test_a_connection_is_handed_no_more_at_a_time_than_it_can_push_back(self) -> None:
        """All of a large outbox at once would be all of it in the transport's memory."""
        self.pump = Pump(10 * PUMP_BYTES)
        size = PUMP_BYTES // 4
        self.successResultOf(self.offer([bytes(size)] * 20))
        connection = Connection(room=1)
        self.pump.attach(connection)
        self.assertEqual(connection.writes, 1)
        self.assertLessEqual(len(connection.written), 5)

    def test_a_connection_that_is_lost_in_the_middle_gets_no_more(self) -> None:
        self.pump = Pump(10 * PUMP_BYTES)
        self.offer([bytes(PUMP_BYTES)] * 3)
        connection = Connection()
        connection.onWrite = self.pump.detach
        self.pump.attach(connection)
        self.assertEqual(len(connection.written), 1)

    def test_handed_over_is_delivered_at_level_written_and_never_sent_again(self) -> None:
        self.attached()
        self.offer([b"one"])
        self.pump.detach()
        self.pump.rewind()
        self.assertEqual(self.attached().written, [])
        self.assertEqual(self.pump.outbox.counters.acknowledged, 1)

    def test_what_was_in_flight_at_a_loss_is_sent_again_first_and_in_order(self) -> None:
        self.offer([b"one", b"two", b"three"])
        self.pump.outbox.take(FRAME_COST + 4)  # as under a stricter level of delivery
        self.pump.rewind()
        self.assertEqual(self.pump.outbox.counters.resent, 0)  # not yet: only when it leaves
        self.assertEqual(self.attached().written, [b"one", b"two", b"three"])
        counters = self.pump.outbox.counters
        self.assertEqual((counters.sent, counters.resent), (5, 2))

    def test_a_frame_that_this_connection_cannot_carry_is_set_aside_alone(self) -> None:
        """Checked when accepted; but a protocol may change its framing afterwards."""
        self.offer([b"one", b"odd", b"two"])
        with capturedLogs() as logged:
            connection = self.attached(refuses=[b"odd"])
        self.assertEqual(connection.written, [b"one", b"two"])
        counters = self.pump.outbox.counters
        self.assertEqual((counters.acknowledged, counters.set_aside), (2, 1))
        errors = [event for event in logged if event["log_level"] is LogLevel.error]
        self.assertEqual([event["why"] for event in errors], ["not in this framing"])


class AcceptingTests(PumpTestCase):
    def test_what_does_not_fit_waits_for_room(self) -> None:
        self.full()
        waiting = self.offer([frame(11)])
        self.assertNoResult(waiting)
        self.assertEqual(self.attached().written, frames(1, 11))
        self.successResultOf(waiting)

    def test_a_batch_is_accepted_as_far_as_it_fits_and_fires_when_all_of_it_is(self) -> None:
        self.successResultOf(self.offer(frames(1, 8)))
        waiting = self.offer(frames(9, 12))
        counters = self.pump.outbox.counters
        self.assertEqual((counters.accepted, counters.undecided), (10, 2))
        self.assertNoResult(waiting)
        self.assertEqual(self.attached().written, frames(1, 12))
        self.successResultOf(waiting)

    def test_a_batch_that_waits_is_let_in_piece_by_piece(self) -> None:
        """Room for a part of it, then for the rest; its Deferred fires with the last."""
        self.pump = Pump(10 * PUMP_BYTES)
        large = [bytes(PUMP_BYTES - FRAME_COST)] * 10
        self.successResultOf(self.offer(large))
        waiting = self.offer(large[:3])
        connection = self.attached(room=2)
        counters = self.pump.outbox.counters
        self.assertEqual((counters.accepted, counters.undecided), (12, 1))
        self.assertNoResult(waiting)
        connection.room = None
        self.pump.run()
        self.successResultOf(waiting)
        self.assertEqual(len(connection.written), 13)

    def test_nobody_overtakes_a_batch_that_waits(self) -> None:
        """Also not a small one for which there would be room."""
        self.successResultOf(self.offer(frames(1, 9)))
        large = self.offer([bytes(300)])
        small = self.offer([frame(10)])
        self.assertNoResult(small)
        connection = self.attached()
        self.assertEqual(connection.written[-2:], [bytes(300), frame(10)])
        for each in (large, small):
            self.successResultOf(each)

    def test_more_than_may_wait_is_refused_whole(self) -> None:
        """All or nothing: who offers it again must not send half of it twice."""
        self.successResultOf(self.offer(frames(1, 5)))
        refused = self.failureResultOf(self.offer(frames(6, 21)), OutboxFull).value
        self.assertEqual((refused.limit, refused.size), (1000, 1600))
        counters = self.pump.outbox.counters
        self.assertEqual((counters.accepted, counters.refused), (5, 16))
        self.assertEqual(self.attached().written, frames(1, 5))

    def test_as_much_again_as_the_outbox_holds_may_wait_and_not_a_frame_more(self) -> None:
        self.full()
        waiting = [self.offer(frames(11, 15)), self.offer(frames(16, 20))]
        self.failureResultOf(self.offer([b""]), OutboxFull)
        self.assertEqual(self.attached().written, frames(1, 20))
        for each in waiting:
            self.successResultOf(each)

    def test_room_among_those_who_wait_comes_back_when_they_are_let_in(self) -> None:
        self.full()
        self.offer(frames(11, 20))
        connection = self.attached(room=ROOM)
        self.assertNoResult(self.offer(frames(21, 30)))
        connection.room = None
        self.pump.run()
        self.assertEqual(connection.written, frames(1, 30))

    def test_an_empty_batch_is_accepted_even_when_others_wait(self) -> None:
        self.full()
        self.offer([frame(11)])
        self.successResultOf(self.offer([]))

    def test_whoever_is_told_of_room_may_offer_more_at_once(self) -> None:
        self.full()
        again: list[Deferred[None]] = []
        self.offer([frame(11)]).addCallback(lambda _: again.append(self.offer([frame(12)])))
        self.assertEqual(self.attached().written, frames(1, 12))
        self.successResultOf(again[0])

    def test_a_refusal_is_counted(self) -> None:
        self.pump.outbox.counters.offered += 2
        refused = self.pump.refuse(frames(1, 2), Failure(FrameError("no")))
        self.failureResultOf(refused, FrameError)
        self.assertEqual(self.pump.outbox.counters.refused, 2)


class WithdrawingTests(PumpTestCase):
    def test_what_waits_can_be_withdrawn_and_its_room_comes_back(self) -> None:
        self.full()
        waiting = self.offer(frames(11, 20))
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.assertNoResult(self.offer(frames(21, 30)))
        self.assertEqual(self.attached().written, frames(1, 10) + frames(21, 30))
        self.assertEqual(self.pump.outbox.counters.refused, 10)

    def test_of_a_batch_accepted_in_part_only_the_rest_is_withdrawn(self) -> None:
        self.successResultOf(self.offer(frames(1, 8)))
        waiting = self.offer(frames(9, 12))
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.assertEqual(self.attached().written, frames(1, 10))

    def test_what_was_accepted_cannot_be_withdrawn(self) -> None:
        accepted = self.offer([b"one"])
        accepted.cancel()
        self.successResultOf(accepted)
        self.assertEqual(self.attached().written, [b"one"])


class DrainingTests(PumpTestCase):
    def test_with_nothing_to_deliver_it_is_drained(self) -> None:
        self.successResultOf(self.pump.drained())

    def test_it_is_drained_when_the_last_frame_has_left(self) -> None:
        self.full()
        self.offer([frame(11)])
        drained = self.pump.drained()
        connection = self.attached(room=ROOM)
        self.assertNoResult(drained)
        connection.room = 1
        self.pump.run()
        self.successResultOf(drained)

    def test_a_wait_that_was_cancelled_is_forgotten(self) -> None:
        self.offer([b"one"])
        drained, other = self.pump.drained(), self.pump.drained()
        drained.cancel()
        self.failureResultOf(drained, CancelledError)
        self.assertEqual(self.pump._drains, [other])
        self.attached()
        self.successResultOf(other)

    def test_one_who_is_told_may_cancel_another(self) -> None:
        self.offer([b"one"])
        first, second = self.pump.drained(), self.pump.drained()
        first.addCallback(lambda _: second.cancel())
        self.attached()
        self.failureResultOf(second, CancelledError)

    def test_whoever_offers_more_when_told_keeps_the_others_waiting(self) -> None:
        self.offer([b"one"])
        first, second = self.pump.drained(), self.pump.drained()
        more: list[Deferred[None]] = []
        first.addCallback(lambda _: more.append(self.offer([b"two"])))
        connection = self.attached(room=1)
        self.successResultOf(more[0])
        self.assertNoResult(second)
        connection.room = 1
        self.pump.run()
        self.successResultOf(second)


class EndingTests(PumpTestCase):
    """The link has stopped: everybody is told, every frame counted."""

    def end(self) -> None:
        self.pump.end(Failure(LinkStopped("stopped")))

    def test_everybody_who_waits_is_told(self) -> None:
        self.full()
        waiting, drained = self.offer(frames(11, 12)), self.pump.drained()
        self.end()
        for each in (waiting, drained):
            self.failureResultOf(each, LinkStopped)
        counters = self.pump.outbox.counters
        self.assertEqual((counters.abandoned, counters.refused), (10, 2))

    def test_nothing_is_sent_afterwards(self) -> None:
        connection = self.attached(room=0)
        self.offer([b"one"])
        self.end()
        connection.room = None
        self.pump.run()
        self.assertEqual(connection.written, [])

    def test_one_who_is_told_may_cancel_another(self) -> None:
        self.full()
        first, second = self.offer([frame(11)]), self.offer([frame(12)])
        drained, other = self.pump.drained(), self.pump.drained()
        first.addErrback(lambda _: second.cancel())
        drained.addErrback(lambda _: other.cancel())
        self.end()
        for each in (second, other):
            self.failureResultOf(each, CancelledError)
        self.assertEqual(self.pump.outbox.counters.refused, 2)

    def test_it_can_be_used_again(self) -> None:
        self.full()
        self.offer(frames(11, 20)).addErrback(lambda _: None)
        self.end()
        self.full()
        self.assertNoResult(self.offer(frames(11, 20)))
        self.assertEqual(self.attached().written, frames(1, 20))
