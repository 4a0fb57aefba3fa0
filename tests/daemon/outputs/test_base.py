"""Outputs one by one and together."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from nbclient.daemon.outputs.base import LOG_BYTES, LOG_FRAMES, LogOutput, NoOutput, Output, Outputs
from tests.conformance.daemon import KeptLog


class SlowOutput(Output):
    """Has no room until the test says so."""

    def __init__(self, lost: int = 0) -> None:
        self.lost = lost
        self.frames: list[bytes] = []
        self.room: Deferred[None] | None = Deferred()
        self.closed: Deferred[None] = Deferred()
        self.said: list[str] = []

    def write(self, frames: Sequence[bytes]) -> Deferred[None] | None:
        self.frames += frames
        return self.room

    def reopen(self) -> None:
        self.said.append("reopen")

    def close(self) -> Deferred[None]:
        return self.closed

    def abandon(self) -> None:
        self.said.append("abandon")


class NoOutputTests(SynchronousTestCase):
    def test_it_forgets_and_is_always_ready_to_end(self) -> None:
        output = NoOutput()
        self.assertIsNone(output.write([b"a"]))
        output.reopen()
        output.abandon()
        self.successResultOf(output.close())
        self.assertEqual(output.lost, 0)


class LogOutputTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.log = KeptLog()
        self.output = LogOutput(self.clock, self.log, "feed:1")

    def test_a_frame_is_quoted_and_capped(self) -> None:
        self.output.write([b"\x1b]0;x\x07{secret}", b"x" * 300])
        first, second = self.log.lines
        self.assertEqual(first, r"feed:1: received b'\x1b]0;x\x07{secret}'")
        self.assertLess(len(second), LOG_BYTES + 50)
        self.output.abandon()

    def test_ten_a_second_are_shown_and_the_rest_counted(self) -> None:
        self.output.write([b"a"] * 7)
        self.output.write([b"a"] * 7)
        self.output.write([b"a"])
        self.assertEqual(len(self.log.lines), LOG_FRAMES)
        self.clock.advance(1)
        self.assertEqual(self.log.lines[LOG_FRAMES:], ["feed:1: received 5 more frames"])
        self.output.write([b"b"])
        self.assertEqual(self.log.lines[-1], "feed:1: received b'b'")
        self.clock.advance(1)
        self.assertEqual(len(self.log.lines), LOG_FRAMES + 2)

    def test_the_count_is_told_at_the_end_and_no_timer_is_left(self) -> None:
        self.output.write([b"a"] * 12)
        self.successResultOf(self.output.close())
        self.assertEqual(self.log.lines[-1], "feed:1: received 2 more frames")
        self.output.write([b"a"] * (LOG_FRAMES - len(self.log.lines[:LOG_FRAMES]) + 1))
        self.output.abandon()
        self.assertEqual(self.log.lines[-1], "feed:1: received 1 more frame")
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.output.abandon()


class OutputsTests(SynchronousTestCase):
    def test_each_has_every_frame_and_the_slowest_sets_the_pace(self) -> None:
        one, two, quick = SlowOutput(), SlowOutput(), NoOutput()
        room = Outputs([one, quick, two]).write([b"a"])
        assert room is not None
        assert one.room is not None
        assert two.room is not None
        self.assertEqual((one.frames, two.frames), ([b"a"], [b"a"]))
        one.room.callback(None)
        self.assertNoResult(room)
        two.room.callback(None)
        self.assertIsNone(self.successResultOf(room))

    def test_one_slow_output_is_waited_for_directly(self) -> None:
        slow = SlowOutput()
        self.assertIs(Outputs([slow, NoOutput()]).write([b"a"]), slow.room)

    def test_nobody_waits_where_all_have_room(self) -> None:
        self.assertIsNone(Outputs([NoOutput(), NoOutput()]).write([b"a"]))
        self.assertIsNone(Outputs([]).write([b"a"]))

    def test_everything_else_goes_to_all(self) -> None:
        one, two = SlowOutput(lost=1), SlowOutput(lost=2)
        outputs = Outputs([one, two])
        outputs.reopen()
        closed = outputs.close()
        one.closed.callback(None)
        self.assertNoResult(closed)
        two.closed.callback(None)
        self.assertIsNone(self.successResultOf(closed))
        outputs.abandon()
        self.assertEqual(one.said, ["reopen", "abandon"])
        self.assertEqual(two.said, ["reopen", "abandon"])
        self.assertEqual(outputs.lost, 3)
