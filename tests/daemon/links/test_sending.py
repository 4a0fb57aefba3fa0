"""From the inputs to the link: nothing lost between the two, and nothing offered twice."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from nbclient.daemon.links.sending import CALM, PATIENCE, PAUSED, PIECES, Sending
from nbclient.delivery.outbox import FRAME_COST, Outbox
from nbclient.errors import LinkDown, LinkStopped, OutboxFull
from nbclient.link.tally import EVERY
from nbclient.spool.folder import SpoolError
from tests.conformance.daemon import KeptLog


class Link:
    """Takes frames as the test says."""

    name = "link"

    def __init__(self) -> None:
        self.outbox = Outbox(3 * (FRAME_COST + 1))
        self.taken: list[tuple[list[bytes], Any]] = []
        self.answers: list[Deferred[None]] = []

    def send(self, frames: Sequence[bytes], cursor: Any = None) -> Deferred[None]:
        self.taken.append((list(frames), cursor))
        return self.answers.pop(0) if self.answers else succeed(None)


class SendingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.link: Any = Link()
        self.clock = Clock()
        self.log = KeptLog()
        self.sending = Sending(self.link, self.clock, self.log)

    def send(self, *frames: bytes, cursor: Any = None) -> Deferred[None]:
        return Deferred.fromCoroutine(self.sending.send(list(frames), cursor))

    def test_what_comes_before_the_link_can_take_it_waits(self) -> None:
        early = self.send(b"a")
        self.assertEqual(self.link.taken, [])
        self.sending.begin()
        self.successResultOf(early)
        self.assertEqual(self.link.taken, [([b"a"], None)])

    def test_a_batch_goes_in_pieces_that_fit_and_the_cursor_with_the_last(self) -> None:
        self.sending.begin()
        self.successResultOf(self.send(*b"a b c d".split(), cursor=("n", "v")))
        self.assertEqual(self.link.taken, [([b"a", b"b", b"c"], None), ([b"d"], ("n", "v"))])

    def test_a_frame_that_fits_nowhere_goes_alone_for_the_link_to_say_so(self) -> None:
        self.sending.begin()
        self.successResultOf(self.send(b"a", bytes(1000), b"b"))
        self.assertEqual([frames for frames, _ in self.link.taken], [[b"a"], [bytes(1000)], [b"b"]])

    def test_a_cursor_alone_is_sent_too(self) -> None:
        self.sending.begin()
        self.successResultOf(self.send(cursor=("n", "v")))
        self.assertEqual(self.link.taken, [([], ("n", "v"))])

    def test_what_the_link_refuses_does_not_end_the_input_and_is_told_by_number(self) -> None:
        self.sending.begin()
        self.link.answers = [
            fail(OutboxFull(1, 2)),
            fail(LinkDown("not connected")),
            succeed(None),
            fail(OutboxFull(1, 2)),
        ]
        for _ in range(4):
            self.successResultOf(self.send(b"a"))
        self.clock.advance(EVERY)
        full = "link: frames are refused: 2 bytes do not fit: the bound is 1 bytes"
        self.assertEqual(
            self.log.lines,
            [f"{full} (1 of them)", f"{full} (2 of them in the last 60 s)"],
        )

    def test_an_input_that_waits_for_room_is_told_of_at_the_first_and_then_by_number(self) -> None:
        self.sending.begin()
        self.link.outbox.accept([b"x"] * 3)
        for _ in range(4):
            room: Deferred[None] = Deferred()
            self.link.answers = [room]
            sent = self.send(b"a")
            self.clock.advance(PAUSED - 0.1)
            before = len(self.log.lines)
            self.clock.advance(0.1)
            self.assertEqual(len(self.log.lines) - before, len(self.log.lines) == 1 and not before)
            room.callback(None)
            self.successResultOf(sent)
        self.clock.advance(EVERY)
        said = "link: the outbox is full, and no input is read until there is room"
        self.assertEqual(
            self.log.lines,
            [
                f"{said} (pauses of more than 1 s: 1)",
                f"{said} (pauses of more than 1 s: 3 in the last 60 s)",
            ],
        )
        self.clock.advance(EVERY)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_full_outbox_that_moves_and_a_disk_that_takes_its_time_are_in_order(self) -> None:
        self.sending.begin()
        for full, seconds in ((True, PAUSED / 2), (False, 2 * PAUSED)):
            if full:
                self.link.outbox.accept([b"x"] * 3)
            else:
                self.link.outbox.abandon()
            room: Deferred[None] = Deferred()
            self.link.answers = [room]
            sent = self.send(b"a")
            self.clock.advance(seconds)
            room.callback(None)
            self.successResultOf(sent)
        self.assertEqual(self.log.lines, [])

    def test_a_full_spool_is_called_one(self) -> None:
        self.sending.begin()
        totals = SimpleNamespace(set_aside=0, waiting=1, set_aside_bytes=0)
        self.sending.spool = SimpleNamespace(room=10, limit=10_000, totals=totals)  # type: ignore[assignment]
        self.link.answers = [Deferred()]
        sent = self.send(b"a", cursor=("n", "v"))
        self.clock.advance(PAUSED)
        self.assertIn("the spool is full", self.log.lines[0])
        self.sending.stop()
        self.assertNoResult(sent)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_cursor_alone_that_is_refused_is_no_frame(self) -> None:
        self.sending.begin()
        self.link.answers = [fail(LinkDown("not connected"))]
        self.successResultOf(self.send(cursor=("n", "v")))
        self.assertEqual(self.log.lines, [])

    def test_what_the_disk_did_not_take_is_offered_again_until_it_does(self) -> None:
        self.sending.begin()
        self.link.answers = [fail(SpoolError("disk full")), fail(SpoolError("disk full"))]
        sent = self.send(b"a", b"b", cursor=("n", "v"))
        self.clock.advance(PATIENCE)
        self.assertNoResult(sent)
        self.clock.advance(PATIENCE)
        self.successResultOf(sent)
        self.assertEqual(self.link.taken, [([b"a", b"b"], ("n", "v"))] * 3)
        self.assertEqual(self.sending.again, 4)  # the link counted them as refused each time
        self.assertEqual(self.log.lines, ["link: disk full; trying again"])
        self.clock.advance(CALM)
        self.assertEqual(self.log.lines[1:], ["link: frames are stored again"])

    def test_a_disk_that_stays_full_is_told_of_once_though_it_takes_a_little_now_and_then(
        self,
    ) -> None:
        self.sending.begin()
        for _ in range(30):
            self.link.answers = [fail(SpoolError("disk full"))]
            sent = self.send(b"a")
            self.clock.advance(PATIENCE)
            self.successResultOf(sent)
            self.successResultOf(self.send(b"b"))
        self.clock.advance(CALM / 2)
        self.successResultOf(self.send(b"c"))
        self.assertEqual(self.log.lines, ["link: disk full; trying again"])
        self.clock.advance(CALM / 2)
        self.assertEqual(self.log.lines[1:], ["link: frames are stored again"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_the_end_does_not_wait_until_it_can_be_said_that_the_disk_takes_frames(self) -> None:
        self.sending.begin()
        self.link.answers = [fail(SpoolError("disk full"))]
        sent = self.send(b"a")
        self.clock.advance(PATIENCE)
        self.successResultOf(sent)
        self.sending.stop()
        self.successResultOf(self.send(b"b"))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_several_who_wait_for_the_disk_all_give_up_at_the_end(self) -> None:
        self.sending.begin()
        self.link.answers = [fail(SpoolError("disk full")), fail(SpoolError("disk full"))]
        sent = [self.send(b"a"), self.send(b"b")]
        self.sending.stop()
        for each in sent:
            self.failureResultOf(each, SpoolError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_who_waits_for_the_disk_gives_up_at_the_end(self) -> None:
        self.sending.begin()
        self.link.answers = [fail(SpoolError("disk full"))]
        sent = self.send(b"a")
        self.sending.stop()
        self.failureResultOf(sent, SpoolError)
        self.assertEqual(self.sending.again, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_what_fails_after_the_end_is_not_offered_again(self) -> None:
        self.sending.begin()
        self.sending.stop()
        self.link.answers = [fail(SpoolError("closed"))]
        self.failureResultOf(self.send(b"a"), SpoolError)

    def test_batches_are_small_parts_of_a_spool_and_fit_into_what_is_left_of_it(self) -> None:
        """A spool stores a batch whole: a large one might never find room, or be refused."""
        self.sending.begin()
        cost = FRAME_COST + 1
        self.link.outbox = Outbox(100 * cost)
        spool: Any = SimpleNamespace(
            limit=PIECES * 2 * cost, room=2 * cost, totals=SimpleNamespace(set_aside=0, waiting=1)
        )
        self.sending.spool = spool
        self.successResultOf(self.send(*b"a b c".split()))
        self.assertEqual(self.link.taken, [([b"a", b"b"], None), ([b"c"], None)])
        spool.room = cost
        self.successResultOf(self.send(b"d", b"e"))
        self.assertEqual([frames for frames, _ in self.link.taken[2:]], [[b"d"], [b"e"]])
        spool.room = 0
        self.successResultOf(self.send(b"f", b"g"))
        self.assertEqual(self.link.taken[-1], ([b"f", b"g"], None))
        self.assertEqual(self.log.lines, [])

    def test_a_batch_with_a_cursor_is_stored_with_it_or_not_at_all(self) -> None:
        """Of one that was stored in part the next run would read all, and send that part twice."""
        self.sending.begin()
        cost = FRAME_COST + 1
        totals = SimpleNamespace(set_aside=0, set_aside_bytes=0, waiting=1)
        spool: Any = SimpleNamespace(limit=3 * cost, room=cost, totals=totals)
        self.sending.spool = spool
        self.successResultOf(self.send(*b"a b c".split(), cursor=("n", "v")))
        self.assertEqual(self.link.taken, [([b"a", b"b", b"c"], ("n", "v"))])
        # But what is set aside stays, and a batch that waited for its room would wait for ever.
        totals.set_aside_bytes = cost
        self.successResultOf(self.send(*b"d e f".split(), cursor=("n", "w")))
        self.assertEqual(self.link.taken[1:], [([b"d", b"e"], None), ([b"f"], ("n", "w"))])

    def test_what_was_read_and_never_offered_is_counted_too(self) -> None:
        self.sending.begin()
        self.link.answers = [succeed(None), fail(LinkStopped("stopped"))]
        self.failureResultOf(self.send(*map(bytes, [1] * 10)), LinkStopped)
        self.assertEqual(len(self.link.taken), 2)
        self.assertEqual(self.sending.late, 7)  # of these the link counts three
        counters = self.link.outbox.counters
        self.assertEqual((counters.offered, counters.refused), (4, 4))

    def test_a_spool_full_of_frames_set_aside_is_told_once(self) -> None:
        self.sending.begin()
        totals = SimpleNamespace(set_aside=2, waiting=0)
        spool: Any = SimpleNamespace(limit=1000, room=10, totals=totals)
        self.sending.spool = spool
        for _ in range(2):
            self.successResultOf(self.send(b"a"))
        (line,) = self.log.lines
        self.assertIn("full of frames set aside (2)", line)

    def test_what_the_end_refused_is_counted(self) -> None:
        self.sending.begin()
        self.link.answers = [fail(LinkStopped("stopped")), fail(SpoolError("closed"))]
        self.failureResultOf(self.send(b"a", b"b"), LinkStopped)
        self.sending.stop()
        self.failureResultOf(self.send(b"c"), SpoolError)
        self.assertEqual(self.sending.late, 3)

    def test_who_came_early_is_told_by_the_link_that_it_has_ended(self) -> None:
        self.link.answers = [fail(LinkStopped("stopped"))]
        early = self.send(b"a")
        self.sending.stop()
        self.failureResultOf(early, LinkStopped)
