"""The pump: from the outbox to whichever connection is ready, back-pressure all the way."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from nbclient.delivery.outbox import FRAME_COST
from nbclient.delivery.replies import Reply, Says
from nbclient.errors import FrameError, LinkStopped, OutboxFull
from nbclient.link.holding import LISTENED
from nbclient.link.pump import PUMP_BYTES, Pump, Rules
from nbclient.link.reply_tracker import Replying
from tests.conformance.spools import FakeSpool

KEY = re.compile(rb"(\d+)")
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
        self.wanted = False
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

    def test_a_connection_that_is_not_writable_is_told_that_it_is_wanted(self) -> None:
        """Else it would have to ask behind each read."""
        connection = self.attached(room=0)
        self.assertFalse(connection.wanted)
        self.offer([b"one"])
        self.assertTrue(connection.wanted)

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
    def test_whoever_is_told_may_offer_more_and_that_is_sent(self) -> None:
        self.offer([b"one"])
        self.pump.drained().addCallback(lambda _: self.offer([b"two"]) and None)
        later: list[int] = []
        self.pump.drained().addCallback(lambda _: later.append(self.pump.outbox.counters.sent))
        self.assertEqual(self.attached().written, [b"one", b"two"])
        self.assertEqual(later, [2])

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


class AnsweringConnection(Connection):
    """A connection whose peer answers each frame; see `Pump.attach`."""

    def __init__(self, pump: Pump, clock: Clock, **rules: Any) -> None:
        super().__init__(refuses=rules.pop("refuses", ()))
        self.framing = self
        self.late = 0
        self.stopped: list[bytes] = []
        self.pump = pump
        self.bytesIn = 0
        self.replying = Replying(Reply(**rules), self.answered, self.tooLate, clock, clock.seconds)

    def check(self, frames: Sequence[bytes]) -> None:
        if any(each in self.refuses for each in frames):
            raise FrameError("not in this framing")

    def answered(self, seq: int, says: Says, answer: bytes) -> None:
        if says is Says.TAKEN:
            self.pump.answered(seq)
        elif not self.pump.rejected(seq, answer):
            self.stopped.append(answer)

    def tooLate(self) -> None:
        self.late += 1

    def hear(self, *answers: bytes) -> None:
        for answer in answers:
            self.replying.heard(answer)


class RulesTestCase(SynchronousTestCase):
    """A pump with rules, on a clock of its own; what was sent is counted until acknowledged."""

    clock: Clock
    pump: Pump
    spool: Any = None

    def make(
        self, limit: int = ROOM * 100, gap: float = 0.0, spool: Any = None, **rules: Any
    ) -> Pump:
        self.clock = Clock()
        self.spool = spool
        self.pump = Pump(
            limit,
            gap,
            Rules(**rules),
            spool,
            self.clock.seconds,
            lambda: 1000 + self.clock.seconds(),
        )
        self.pump.begin(self.clock)
        return self.pump

    def offer(self, offered: list[bytes]) -> Deferred[None]:
        self.pump.outbox.counters.offered += len(offered)
        return self.pump.offer(offered)

    def tracked(self, **options: Any) -> Connection:
        """A connection on which frames stay in flight until they are acknowledged."""
        connection = Connection(**options)
        self.pump.attach(connection, lambda: None)
        return connection

    def answering(self, **rules: Any) -> AnsweringConnection:
        connection = AnsweringConnection(self.pump, self.clock, **rules)
        self.pump.attach(connection, replying=connection.replying)
        return connection

    def lose(self, blameless: bool = False) -> None:
        self.pump.detach()
        self.pump.rewind(blameless)

    @property
    def counters(self) -> Any:
        return self.pump.outbox.counters

    def tearDown(self) -> None:
        stats = self.pump.stats()
        self.assertTrue(stats.conserved(), stats)


class TalkativeConnection(Connection):
    """One whose peer says something now and then."""

    def __init__(self) -> None:
        super().__init__()
        self.framesIn = self.bytesIn = 0
        self.lookers: list[Deferred[Any]] = []

    def expect(self, pattern: re.Pattern[bytes]) -> Deferred[Any]:
        self.lookers.append(Deferred(self.lookers.remove))
        return self.lookers[-1]

    def says(self, line: bytes) -> None:
        self.framesIn += 1
        self.bytesIn += len(line)
        lookers, self.lookers = self.lookers, []
        for looker in lookers:
            looker.callback(re.match(b"", line))


class SettlingTests(RulesTestCase):
    """Acknowledged frames stay until their connection has settled them."""

    def setUp(self) -> None:
        self.make(settle_after=1.0)

    def connect(self, tracked: bool = True) -> TalkativeConnection:
        connection = TalkativeConnection()
        self.pump.attach(connection, (lambda: None) if tracked else None)
        return connection

    def assertWaiting(self, waiting: int, unsettled: int) -> None:
        stats = self.pump.stats()
        self.assertEqual((stats.waiting, stats.unsettled), (waiting, unsettled))

    def test_an_acknowledged_frame_leaves_when_the_connection_has_lived_on(self) -> None:
        self.connect()
        self.offer(frames(1, 3))
        self.pump.acknowledged(2)
        self.assertWaiting(3, 2)
        drained = self.pump.drained()
        self.clock.pump([0.1] * 5)
        self.pump.acknowledged(1)
        self.clock.pump([0.1] * 5)
        self.assertWaiting(1, 1)
        self.assertNoResult(drained)
        self.clock.pump([0.1] * 5)
        self.assertWaiting(0, 0)
        self.successResultOf(drained)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_one_that_was_handed_over_does_so_too_at_level_written(self) -> None:
        connection = self.connect(tracked=False)
        self.offer(frames(1, 3))
        self.assertEqual(connection.written, frames(1, 3))
        self.assertWaiting(3, 3)
        self.clock.pump([0.1] * 10)
        self.assertWaiting(0, 0)

    def test_a_connection_that_ends_at_once_has_settled_nothing_and_all_is_sent_again(self) -> None:
        self.connect()
        self.offer(frames(1, 3))
        self.pump.acknowledged(3)
        self.clock.advance(0.9)
        self.pump.detach()
        self.clock.pump([0.1] * 50)  # the kernel's last word takes its time, which proves nothing
        self.assertEqual(self.pump.rewind(), 3)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.counters.acknowledged, 0)
        self.assertEqual(self.connect().written, frames(1, 3))

    def test_a_standstill_of_this_process_is_no_sign_of_life(self) -> None:
        """What the peer did meanwhile, its end say, is read only afterwards."""
        self.connect()
        self.offer(frames(1, 3))
        self.pump.acknowledged(3)
        self.clock.advance(5)
        self.assertWaiting(3, 3)
        self.pump.detach()
        self.assertEqual(self.pump.rewind(), 3)

    def test_nor_is_a_short_one_or_what_passed_since_the_last_look(self) -> None:
        for stood in (0.15, 0.3, 0.45):
            self.make(settle_after=1.0)
            self.connect()
            self.offer(frames(1, 3))
            self.pump.acknowledged(3)
            self.clock.pump([0.1] * 9)
            self.clock.rightNow += stood  # its end is read before any timer is called
            self.pump.detach()
            self.assertEqual(self.pump.rewind(), 3)

    def test_what_was_acknowledged_after_the_end_is_not_settled_by_time(self) -> None:
        self.connect()
        self.offer(frames(1, 2))
        self.pump.acknowledged(1)
        self.clock.advance(0.5)
        self.pump.detach()
        self.clock.pump([0.1] * 50)
        self.pump.acknowledged(1)
        self.assertEqual(self.pump.rewind(), 2)

    def test_an_answer_settles_what_was_sent_before_it_also_at_the_last_moment(self) -> None:
        connection = self.connect()
        self.offer(frames(1, 1))
        connection.says(b"OK")
        self.offer(frames(2, 2))
        self.pump.detach()
        self.pump.acknowledged(2)
        self.assertEqual(self.pump.rewind(), 1)
        self.assertEqual(self.connect().written, frames(2, 2))

    def test_a_refusal_is_no_answer_whatever_the_server_calls_it(self) -> None:
        connection = self.connect()
        self.offer(frames(1, 1))
        connection.says(b"-ERR max number of clients reached")
        self.pump.acknowledged(1)
        self.assertEqual(connection.lookers, [])
        connection.says(b"please call later")  # a refusal may have more than one line
        self.clock.advance(0.1)
        self.assertWaiting(1, 1)
        self.clock.pump([0.1] * 9)
        self.assertWaiting(0, 0)  # only time proves on this connection

    def test_also_behind_a_greeting_that_crossed_with_the_first_frame(self) -> None:
        """The first frames are looked at, each singly, which costs time."""
        connection = self.connect()
        self.offer(frames(1, 3))
        connection.says(b"220 hello")
        connection.says(b"421 too many connections")
        connection.says(b"421 closing")
        self.pump.acknowledged(3)
        self.pump.detach()
        self.assertEqual(self.pump.rewind(), 3)

    def test_it_is_not_looked_at_for_ever_what_the_peer_says(self) -> None:
        connection = self.connect()
        self.offer(frames(1, 1))
        for _ in range(LISTENED):
            self.assertEqual(len(connection.lookers), 1)
            connection.says(b"OK")
        self.assertEqual(connection.lookers, [])
        connection.says(b"error 7 in sector 3")
        self.pump.acknowledged(1)
        self.assertWaiting(0, 0)

    def test_a_peer_that_closes_its_side_behind_a_refusal_throws_away_what_it_reads(self) -> None:
        for early in (True, False):
            self.make(settle_after=1.0)
            connection = self.connect()
            self.offer(frames(1, 3))
            if early:
                connection.says(b"ERR max number of clients reached")
            self.pump.halfClosed()
            self.assertEqual(self.pump.owes, not early)
            self.pump.acknowledged(2)
            if not early:  # what had arrived is decoded late
                connection.says(b"ERR max number of clients reached")
            self.assertFalse(self.pump.owes)
            self.clock.pump([0.1] * 20)
            self.assertWaiting(3, 2)
            self.pump.detach()
            self.assertEqual(self.pump.rewind(), 2)

    def test_what_it_takes_behind_its_end_waits_for_its_time_all_the_same(self) -> None:
        self.connect()
        self.offer(frames(1, 3))
        self.pump.acknowledged(1)
        self.clock.pump([0.1] * 9)
        self.pump.halfClosed()
        self.pump.acknowledged(2)
        self.assertTrue(self.pump.owes)
        self.clock.pump([0.1] * 9)
        self.assertWaiting(3, 3)
        self.clock.pump([0.1] * 2)
        self.assertWaiting(0, 0)
        self.assertFalse(self.pump.owes)

    def test_nobody_looks_at_what_the_peer_says_before_something_is_sent(self) -> None:
        connection = self.connect()
        self.assertEqual(connection.lookers, [])
        self.offer(frames(1, 1))
        self.offer(frames(2, 2))
        self.assertEqual(len(connection.lookers), 1)
        self.pump.detach()
        self.pump.rewind()
        self.assertEqual(connection.lookers, [])

    def test_a_connection_on_which_nothing_was_sent_leaves_nothing(self) -> None:
        self.connect()
        self.pump.detach()
        self.assertEqual(self.pump.rewind(), 0)

    def test_what_the_peer_refused_is_sent_again_however_long_it_lived(self) -> None:
        self.connect()
        self.offer(frames(1, 1))
        self.pump.acknowledged(1)
        self.pump.refused()
        self.clock.pump([0.1] * 20)
        self.assertWaiting(1, 1)
        self.pump.detach()
        self.assertEqual(self.pump.rewind(blameless=True), 1)
        self.assertEqual(self.pump.outbox._attempts, {})

    def test_our_own_end_is_no_sign_that_a_proven_peer_took_nothing(self) -> None:
        self.connect()
        self.offer(frames(1, 1))
        self.pump.acknowledged(1)
        self.clock.pump([0.1] * 10)
        self.offer(frames(2, 2))
        self.pump.detach()
        self.pump.acknowledged(1)
        self.assertEqual(self.pump.rewind(ours=True), 0)
        self.assertEqual(self.counters.acknowledged, 2)

    def test_but_it_proves_nothing_of_one_that_is_not(self) -> None:
        self.connect()
        self.offer(frames(1, 1))
        self.pump.acknowledged(1)
        self.pump.detach()
        self.assertEqual(self.pump.rewind(ours=True), 1)

    def test_on_a_proven_connection_a_full_outbox_holds_nothing_back(self) -> None:
        """Holding back must not bound how fast frames leave."""
        self.connect()
        self.offer(frames(1, 1))
        self.pump.acknowledged(1)
        self.offer(frames(2, ROOM))
        self.pump.acknowledged(3)
        self.assertWaiting(ROOM, 4)
        self.clock.pump([0.1] * 10)
        self.offer(frames(11, 14))
        waits = self.offer(frames(15, 15))
        self.assertNoResult(waits)
        self.pump.acknowledged(6)
        self.successResultOf(waits)

    def test_a_link_that_stops_in_the_middle_leaves_no_timer(self) -> None:
        self.connect()
        self.offer(frames(1, 1))
        self.pump.acknowledged(1)
        self.pump.end(Failure(LinkStopped("over")))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.counters.abandoned, 1)


class BooksTests(SynchronousTestCase):
    """The law of conservation, each time that somebody looks."""

    def test_a_frame_that_is_not_accounted_for_is_an_error_told_once_and_not_raised(self) -> None:
        """Whoever shows counts must not die of it; any test does."""
        pump = Pump(ROOM * 100)
        pump.stats()
        self.assertEqual(self.flushLoggedErrors(), [])
        pump.outbox.counters.acknowledged += 1
        pump.stats()
        pump.stats()
        (error,) = self.flushLoggedErrors(AssertionError)
        self.assertIn("acknowledged=1", str(error.value))

    def test_what_is_on_the_disk_alone_is_accounted_for(self) -> None:
        pump = Pump(ROOM * 100, spool=FakeSpool(frames=[frame(1)]))  # type: ignore[arg-type]
        self.assertEqual(pump.stats().waiting, 1)
        pump.outbox.counters.restored += 1
        pump.stats()
        self.assertEqual(len(self.flushLoggedErrors(AssertionError)), 1)


class AnswerTests(RulesTestCase):
    def test_stop_and_wait_sends_the_next_when_the_last_is_answered(self) -> None:
        self.make()
        connection = self.answering()
        self.offer([b"a", b"b", b"c"])
        self.assertEqual(connection.written, [b"a"])
        connection.hear(b"ok")
        self.assertEqual(connection.written, [b"a", b"b"])
        connection.hear(b"ok", b"ok")
        self.assertEqual((self.counters.acknowledged, len(self.pump.outbox)), (3, 0))

    def test_an_answer_that_comes_while_its_frame_is_written_counts(self) -> None:
        """A peer in the same process, say."""
        self.make()
        connection = AnsweringConnection(self.pump, self.clock)
        connection.onWrite = lambda: connection.hear(b"ok")
        self.pump.attach(connection, replying=connection.replying)
        self.offer([b"a", b"b"])
        self.assertEqual((connection.written, self.counters.acknowledged), ([b"a", b"b"], 2))

    def test_answers_by_key_in_any_order_and_the_rest_is_sent_again_in_order(self) -> None:
        self.make()
        connection = self.answering(window=3, key=KEY)
        self.offer([b"1", b"2", b"3", b"4"])
        connection.hear(b"2 ok", b"9 ok", b"2 ok")
        self.assertEqual(connection.written, [b"1", b"2", b"3", b"4"])
        self.lose()
        again = self.answering(window=3, key=KEY)
        self.assertEqual(again.written, [b"1", b"3", b"4"])
        self.assertEqual((self.counters.sent, self.counters.resent), (7, 3))

    def test_a_key_that_waits_for_its_answer_is_not_used_again(self) -> None:
        self.make()
        connection = self.answering(window=3, key=KEY)
        self.offer([b"1", b"1", b"2"])
        self.assertEqual(connection.written, [b"1"])
        connection.hear(b"1 ok")
        self.assertEqual(connection.written, [b"1", b"1", b"2"])

    def test_a_frame_that_this_connection_cannot_carry_is_set_aside_and_asked_of_nobody(
        self,
    ) -> None:
        self.make()
        with capturedLogs():
            connection = self.answering(refuses=[b"odd"])
            self.offer([b"odd"])
            self.assertEqual(connection.writes, 0)
            self.offer([b"odd", b"a"])
        self.assertEqual(connection.written, [b"a"])
        connection.hear(b"ok")
        self.assertEqual((self.counters.acknowledged, self.counters.set_aside), (1, 2))
        self.assertEqual((self.counters.sent, len(self.pump.outbox.aside)), (1, 2))

    def test_a_stored_frame_without_the_key_that_is_now_asked_for_is_set_aside(self) -> None:
        """Another --reply-key at the last start: nobody could tell its answer."""
        self.make(spool=FakeSpool(frames=[b"none", b"7"]))
        self.spool.run()
        with capturedLogs() as logged:
            connection = self.answering(key=KEY)
        self.assertEqual(connection.written, [b"7"])
        self.assertIn("holds no key", logged[0]["why"])
        self.spool.run()
        self.assertEqual(list(self.spool.aside), [1])


class RejectingTests(RulesTestCase):
    NO = re.compile(b"^no")

    def rejected(self, **rules: Any) -> AnsweringConnection:
        self.make(**rules)
        connection = self.answering(reject=self.NO)
        self.offer([b"a", b"b"])
        with capturedLogs():
            connection.hear(b"no\x07thanks")
        return connection

    def test_the_link_has_to_stop_and_the_frame_waits(self) -> None:
        connection = self.rejected()
        self.assertEqual((connection.stopped, connection.written), ([b"no\x07thanks"], [b"a"]))
        self.lose()
        self.assertEqual(len(self.pump.outbox), 2)

    def test_set_aside_it_is_not_in_the_way_of_the_next(self) -> None:
        connection = self.rejected(on_reject="set-aside")
        self.assertEqual((connection.stopped, connection.written), ([], [b"a", b"b"]))
        (aside,) = self.pump.outbox.aside
        self.assertEqual((aside.seq, aside.frame, aside.when), (1, b"a", 1000.0))
        self.assertEqual(aside.why, "the peer rejected it: b'no\\x07thanks'")

    def test_retried_it_is_sent_again_on_the_next_connection(self) -> None:
        connection = self.rejected(on_reject="retry")
        self.assertEqual(connection.stopped, [b"no\x07thanks"])
        self.lose()
        self.assertEqual(self.answering(reject=self.NO).written, [b"a"])

    def test_retried_it_is_set_aside_after_so_many_times(self) -> None:
        connection = self.rejected(on_reject="retry", max_attempts=2)
        self.assertEqual(connection.stopped, [b"no\x07thanks"])
        self.lose()  # the peer lives: this loss is not held against the frame
        again = self.answering(reject=self.NO)
        with capturedLogs():
            again.hear(b"no")
        self.assertEqual((again.stopped, again.written), ([], [b"a", b"b"]))
        self.assertEqual(self.counters.set_aside, 1)

    def test_room_that_it_left_is_given_to_who_waits(self) -> None:
        """On the disk what is set aside still takes room, in memory too; here it is the frame's
        place in the window that the next one gets."""
        self.make(on_reject="set-aside", spool=FakeSpool())
        connection = self.answering(reject=self.NO)
        self.offer([b"a", b"b"])
        self.spool.run()
        with capturedLogs():
            connection.hear(b"no")
        self.spool.run()
        self.assertEqual(connection.written, [b"a", b"b"])
        self.assertEqual(list(self.spool.aside), [1])


class PoisonTests(RulesTestCase):
    """The link is lost each time a frame was sent, and nothing acknowledged: it may be why."""

    def warnings(self, losses: int, **kinds: Any) -> list[int]:
        told = []
        for loss in range(1, losses + 1):
            self.tracked()
            with capturedLogs() as logged:
                self.lose(**kinds)
            if any(event["log_level"] is LogLevel.warn for event in logged):
                told.append(loss)
        return told

    def test_at_the_third_loss_there_is_a_warning_and_the_frame_is_kept(self) -> None:
        self.make()
        self.offer([b"a", b"b"])
        self.assertEqual(self.warnings(5), [3])
        self.assertEqual((self.counters.set_aside, len(self.pump.outbox)), (0, 2))

    def test_after_so_many_it_is_set_aside_alone_with_the_reason(self) -> None:
        self.make(max_attempts=2)
        self.offer([b"a", b"b"])
        self.warnings(2)
        (aside,) = self.pump.outbox.aside
        self.assertEqual(aside.why, "the link was lost each of the 2 times it was sent")
        self.assertEqual(self.tracked().written, [b"b"])

    def test_a_connection_that_this_side_ended_proves_nothing(self) -> None:
        self.make(max_attempts=1)
        self.offer([b"a"])
        self.assertEqual(self.warnings(5, blameless=True), [])
        self.assertEqual(self.counters.set_aside, 0)

    def test_nor_does_one_on_which_something_was_acknowledged(self) -> None:
        self.make(max_attempts=1)
        self.offer([b"a", b"b"])
        self.tracked()
        self.pump.acknowledged(1)
        self.lose()
        self.assertEqual(self.counters.set_aside, 0)
        self.tracked()  # but each connection has to prove it anew
        with capturedLogs():
            self.lose()
        self.assertEqual(self.counters.set_aside, 1)

    def test_nor_does_one_on_which_an_answer_came_out_of_turn(self) -> None:
        self.make(max_attempts=1)
        self.offer([b"1", b"2"])
        self.answering(window=2, key=KEY).hear(b"2 ok")
        self.lose()
        self.assertEqual((self.counters.set_aside, self.counters.acknowledged), (0, 1))

    def test_with_nothing_in_flight_no_frame_is_the_reason(self) -> None:
        self.make(max_attempts=1)
        self.offer([b"a"])
        self.tracked(room=0)
        self.lose()
        self.assertEqual(self.counters.set_aside, 0)

    def test_attempts_outlive_the_process(self) -> None:
        self.make(max_attempts=3, spool=FakeSpool())
        self.offer([b"a"])
        self.spool.run()
        self.warnings(2)
        self.spool.run()
        self.make(max_attempts=3, spool=self.spool)
        self.spool.run()
        self.warnings(1)
        self.spool.run()
        self.assertEqual((list(self.spool.aside), self.pump.outbox.aside), ([1], []))

    def test_the_last_frame_that_goes_is_the_end_of_the_outbox_connected_or_not(self) -> None:
        self.make(max_attempts=1)
        self.offer([b"a"])
        drained = self.pump.drained()
        self.warnings(1)
        self.successResultOf(drained)


class AgeTests(RulesTestCase):
    def test_while_the_link_is_down_frames_that_are_too_old_are_forgotten(self) -> None:
        self.make(max_age=10)
        self.offer([b"a"])
        self.clock.advance(4)
        self.offer([b"b"])
        self.clock.advance(6)
        self.assertEqual((self.counters.expired, len(self.pump.outbox)), (1, 1))
        drained = self.pump.drained()
        self.clock.advance(4)
        self.assertEqual(self.counters.expired, 2)
        self.successResultOf(drained)
        self.assertEqual(self.tracked().written, [])

    def test_while_connected_those_that_the_peer_does_not_take(self) -> None:
        self.make(max_age=10)
        connection = self.tracked(room=1)
        self.offer([b"a"])
        self.offer([b"b"])
        self.clock.advance(10)
        connection.room = None
        self.pump.run()
        self.assertEqual((connection.written, self.counters.expired), ([b"a"], 1))

    def test_what_is_in_flight_is_not_called_back_but_not_sent_again_either(self) -> None:
        self.make(max_age=10)
        self.tracked()
        self.offer([b"a"])
        self.clock.advance(20)
        self.assertEqual(self.counters.expired, 0)
        self.lose()
        self.assertEqual((self.counters.expired, self.tracked().written), (1, []))

    def test_what_was_in_flight_is_older_than_what_waited_behind_it(self) -> None:
        """The look that was set for the younger one would come too late."""
        self.make(max_age=10)
        self.tracked(room=2)
        self.offer([b"a"])
        self.clock.advance(1)
        self.offer([b"b"])
        self.clock.advance(4)
        self.offer([b"c"])
        self.clock.advance(5)  # the look for the first: it is in flight; the next is for the third
        self.lose()
        self.assertEqual(self.counters.expired, 1)
        self.clock.advance(1)
        self.assertEqual(self.counters.expired, 2)
        self.assertEqual(self.tracked().written, [b"c"])

    def test_a_look_that_comes_late_lets_nothing_too_old_leave(self) -> None:
        """The process was stopped for a while, and a connection is first to be served."""
        self.make(max_age=10)
        self.offer([b"a"])
        self.clock.rightNow += 60  # and no timer has run yet
        self.assertEqual(self.tracked().written, [])

    def test_room_that_they_leave_is_given_to_who_waits(self) -> None:
        self.make(max_age=10)
        self.successResultOf(self.offer(frames(1, 10)))
        waits = self.offer([frame(11)])
        self.clock.advance(10)
        self.successResultOf(waits)
        self.assertEqual(self.tracked().written, [frame(11)])

    def test_after_a_restart_the_time_of_day_tells_how_old_they_are(self) -> None:
        old = FakeSpool(frames=[b"a", b"b", b"c"], now=lambda: 1000.0, ages=[11.0, 4.0])
        self.make(max_age=10, spool=old)
        self.spool.run()
        self.assertEqual((self.counters.expired, len(self.pump.outbox)), (1, 2))
        self.clock.advance(6)
        self.spool.run()
        self.assertEqual((self.counters.expired, list(self.spool.rows)), (2, [3]))

    def test_the_look_ends_with_the_link_and_begins_with_the_next(self) -> None:
        self.make(max_age=10, spool=FakeSpool())
        self.offer([b"a"])
        self.spool.run()
        self.pump.end(Failure(LinkStopped("stopped")))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.clock.advance(20)
        self.assertEqual(self.counters.expired, 0)
        self.pump.begin(self.clock)
        self.clock.advance(0)
        self.assertEqual(self.counters.expired, 1)

    def test_frames_that_wait_for_the_link_to_begin_have_no_look(self) -> None:
        pump = Pump(1000, rules=Rules(max_age=5), now=Clock().seconds)
        pump.outbox.counters.offered += 1
        self.pump = pump
        self.successResultOf(pump.offer([b"a"]))
        pump.rewind()
        self.assertEqual(len(pump.outbox), 1)


class SpoolTests(RulesTestCase):
    def test_stored_is_sent_and_delivered_is_forgotten(self) -> None:
        self.make(spool=FakeSpool())
        connection = self.tracked()
        accepted = self.offer([b"a", b"b"])
        self.assertEqual(connection.written, [])
        self.spool.run()
        self.successResultOf(accepted)
        self.assertEqual(connection.written, [b"a", b"b"])
        self.pump.acknowledged(2)
        self.spool.run()
        self.assertEqual(self.spool.rows, {})

    def test_what_is_behind_memory_is_read_as_it_empties(self) -> None:
        self.make(spool=FakeSpool())
        for first in (1, 11, 21):
            self.offer(frames(first, first + 9))
        self.spool.run()
        stats = self.pump.stats()
        self.assertEqual((stats.waiting, stats.waiting_bytes, stats.oldest), (30, 3000, 0.0))
        connection = Connection()
        self.pump.attach(connection)
        self.spool.run()
        self.assertEqual(connection.written, frames(1, 30))

    def test_the_oldest_is_on_the_disk_until_it_is_read(self) -> None:
        self.make(spool=FakeSpool(frames=[b"a"], now=lambda: 1000.0, ages=[7.0]))
        self.assertEqual((self.pump.stats().waiting, self.pump.stats().oldest), (1, 7.0))

    def test_it_is_drained_when_nothing_is_on_its_way_to_the_disk_or_behind(self) -> None:
        self.make(spool=FakeSpool())
        connection = Connection()
        self.pump.attach(connection)
        self.offer([b"a"])
        drained = self.pump.drained()
        self.assertNoResult(drained)
        self.spool.run()
        self.successResultOf(drained)

    def test_who_withdraws_may_be_the_last_that_the_end_of_the_outbox_waited_for(self) -> None:
        """The spool is full of what was set aside."""
        self.make(spool=FakeSpool(limit=200), on_reject="set-aside")
        connection = self.answering(reject=RejectingTests.NO)
        self.offer([frame(1)])
        self.spool.run()
        with capturedLogs():
            connection.hear(b"no")
        self.spool.run()
        waits, drained = self.offer(frames(2, 3)), self.pump.drained()
        self.assertNoResult(drained)
        waits.cancel()
        self.failureResultOf(waits, CancelledError)
        self.successResultOf(drained)

    def test_frames_given_up_are_forgotten_by_the_disk_too(self) -> None:
        self.make(spool=FakeSpool(limit=300), when_full="drop-oldest")
        self.offer(frames(1, 3))
        self.spool.run()
        accepted = self.offer([frame(4)])
        self.spool.run()
        self.successResultOf(accepted)
        self.assertEqual((list(self.spool.rows), self.counters.dropped), ([2, 3, 4], 1))

    def test_what_waits_when_the_link_ends_waits_for_the_next(self) -> None:
        self.make(spool=FakeSpool())
        self.tracked()
        self.offer([b"a", b"b"])
        self.spool.run()
        self.pump.end(Failure(LinkStopped("stopped")))
        self.assertEqual((self.counters.abandoned, self.pump.stats().waiting), (0, 2))
        self.pump.begin(self.clock)
        self.assertEqual(self.tracked().written, [b"a", b"b"])
        self.assertEqual(self.counters.resent, 2)

    def test_once_it_has_ended_the_spool_may_be_closed(self) -> None:
        """The word of its last commit still comes, and finds nobody who asks for more."""
        self.make(spool=FakeSpool(), max_age=60)
        self.offer([frame(1)])
        self.spool.run()
        self.tracked(room=0)
        self.pump.acknowledged(0)
        self.offer(frames(2, 11))  # more than memory has room for: to be read back
        self.pump.end(Failure(LinkStopped("stopped")))
        self.clock.advance(100)
        self.spool.close()
        self.spool.run()
        self.assertEqual((self.pump.stats().waiting, self.counters.expired), (11, 0))


class GapTests(RulesTestCase):
    def test_frames_leave_one_by_one_with_a_gap_between_them(self) -> None:
        self.make(gap=2.0)
        connection = self.tracked()
        self.offer([b"a", b"b", b"c"])
        self.assertEqual(connection.written, [b"a"])
        self.clock.advance(2)
        self.assertEqual(connection.written, [b"a", b"b"])
        self.lose(blameless=True)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_answers_keep_the_gap_as_well(self) -> None:
        self.make(gap=2.0)
        connection = self.answering()
        self.offer([b"a", b"b"])
        connection.hear(b"ok")
        self.assertEqual(connection.written, [b"a"])
        self.clock.advance(2)
        self.assertEqual(connection.written, [b"a", b"b"])


class RuleTests(SynchronousTestCase):
    def test_a_rule_that_does_not_exist_is_refused(self) -> None:
        for wrong in (
            {"when_full": "explode"},
            {"on_reject": "shrug"},
            {"max_age": 0.0},
            {"max_attempts": 0},
        ):
            self.assertRaises(ValueError, Rules, **wrong)
