"""The outputs that write: bounded, patient with a full disk, honest about what is lost."""

from __future__ import annotations

import errno
from collections.abc import Sequence

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from nbclient import framing
from nbclient.daemon.outputs import queued
from nbclient.daemon.outputs.base import NoOutput, Outputs
from nbclient.daemon.outputs.formats import Framed, Readable
from nbclient.daemon.outputs.queued import Full, StreamOutput, os_reason
from nbclient.daemon.outputs.writers import Writer
from tests.conformance.daemon import HandRunner, KeptLog


class Disk(Writer):
    """Keeps what is written; fails on demand."""

    def __init__(self) -> None:
        super().__init__()
        self.data = b""
        self.errors: list[int] = []
        self.reopened: list[bytes] = []
        self.closed = False
        self.close_error: OSError | None = None

    def _write(self, data: memoryview) -> int:
        if self.errors:
            raise OSError(self.errors.pop(0), None)
        self.data += bytes(data)
        return len(data)

    def reopen(self) -> None:
        self.reopened.append(self.data)

    def close(self) -> None:
        self.closed = True
        if self.close_error is not None:
            raise self.close_error


class StreamOutputTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.disk = Disk()
        self.runner = HandRunner()
        self.clock = Clock()
        self.log = KeptLog()
        self.left: list[str] = []

    def output(self, standard: bool = False, full: Full = Full.WAIT) -> StreamOutput:
        gone = (lambda: self.left.append("gone")) if standard else None
        shape = Framed(framing.lines())
        return StreamOutput("/x", self.disk, shape, self.runner, self.clock, self.log, gone, full)

    def test_frames_are_written_in_order_in_the_thread(self) -> None:
        output = self.output()
        self.assertIsNone(output.write([b"a", b"b"]))
        self.assertIsNone(output.write([b"c"]))
        self.assertEqual(self.disk.data, b"")
        self.runner.steps()
        self.assertEqual(self.disk.data, b"a\nb\nc\n")
        self.assertEqual(output.lost, 0)

    def test_a_full_queue_makes_the_link_wait_until_it_is_written(self) -> None:
        output = self.output()
        room = output.write([b"x" * queued.QUEUE])
        assert room is not None
        self.assertNoResult(room)
        self.runner.step()
        self.successResultOf(room)

    def test_one_that_takes_nothing_is_named_once_and_again_when_it_does(self) -> None:
        """Nothing fails, so nothing else would say why the link reads no more."""
        output = self.output()
        for _ in range(2):
            output.write([b"x" * queued.QUEUE])
            self.clock.advance(queued.PATIENCE)
        self.assertEqual(self.log.lines, ["paused by /x (it takes nothing, for 10 s by now)"])
        self.runner.steps()
        self.assertEqual(self.log.lines[1:], ["output /x goes on"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_one_that_fails_has_said_so(self) -> None:
        output = self.output()
        self.disk.errors = [errno.ENOSPC]
        output.write([b"x" * queued.QUEUE])
        self.runner.step()
        self.clock.pump([0.01, queued.PATIENCE])
        self.assertEqual([line for line in self.log.lines if "takes nothing" in line], [])
        output.abandon()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_one_writer_waits_for_what_others_queued_meanwhile(self) -> None:
        output = self.output()
        first = output.write([b"x" * queued.QUEUE])
        second = output.write([b"y" * queued.QUEUE])
        assert first is not None
        assert second is not None
        self.runner.step()
        self.assertNoResult(first)
        self.runner.step()
        self.successResultOf(first)
        self.successResultOf(second)

    def test_one_that_drops_holds_up_nobody_and_lets_go_of_the_oldest(self) -> None:
        output = self.output(full=Full.DROP)
        image = b"x" * (queued.QUEUE // 4)
        output.write([b"given to the thread"])
        for number in range(6):
            self.assertIsNone(output.write([b"%d" % number + image]))
        self.assertEqual(output.lost, 3)
        self.runner.steps()
        self.assertEqual(self.disk.data[:22], b"given to the thread\n3x")
        self.assertEqual(self.disk.data.count(b"\n"), 4)
        self.assertEqual(
            self.log.lines,
            [
                "output /x is full, dropping its oldest frames",
                "output /x goes on, 3 frames were dropped",
            ],
        )

    def test_a_broken_one_that_drops_is_tried_again_all_the_same(self) -> None:
        self.disk.errors = [errno.ENOSPC]
        output = self.output(full=Full.DROP)
        output.write([b"a"])
        self.runner.step()
        self.assertEqual(self.log.lines, ["waiting for /x (disk full), trying again"])
        for _ in range(3):
            self.assertIsNone(output.write([b"x" * queued.QUEUE]))
        self.assertEqual(output.lost, 3)  # each is more than may wait
        output.write([b"b"])
        self.clock.advance(1)
        self.runner.steps()
        self.assertEqual(self.disk.data, b"a\nb\n")
        self.assertEqual(self.log.lines[-1], "output /x goes on, 3 frames were dropped")

    def test_one_may_drop_only_while_it_is_broken(self) -> None:
        output = self.output(full=Full.DROP_IF_BROKEN)
        room = output.write([b"x" * queued.QUEUE])
        assert room is not None
        self.assertNoResult(room)
        self.disk.errors = [errno.ENXIO]
        self.runner.step()
        self.successResultOf(room)
        self.assertIsNone(output.write([b"x" * queued.QUEUE]))
        self.assertEqual(output.lost, 1)
        self.clock.advance(1)
        self.runner.steps()
        self.assertIsNotNone(output.write([b"y" * queued.QUEUE]))
        self.runner.steps()

    def test_a_full_disk_is_tried_again_with_growing_patience(self) -> None:
        self.disk.errors = [errno.ENOSPC] * 4
        output = self.output()
        output.write([b"a"])
        self.runner.step()
        self.assertEqual(self.log.lines, ["paused by /x (disk full), trying again"])
        for delay in (1, 2, 4):
            self.clock.advance(delay - 0.1)
            self.assertEqual(self.runner.calls, [])
            self.clock.advance(0.1)
            self.runner.step()
        self.clock.advance(5)
        self.runner.step()
        self.assertEqual(self.disk.data, b"a\n")
        self.assertEqual(self.log.lines[1:], ["output /x goes on"])
        self.assertEqual(output.lost, 0)

    def test_a_fault_of_ours_is_told_and_tried_again(self) -> None:
        """An output that hangs would hold up the link for ever, and say nothing."""
        output = self.output()
        faults = [OverflowError("year is out of range")]

        def reopen() -> None:
            if faults:
                raise faults.pop()

        self.patch(self.disk, "reopen", reopen)
        output.write([b"a"])
        output.reopen()
        self.runner.steps()
        (line,) = self.log.lines
        self.assertIn("paused by /x (overflowerror: year is out of range), trying again", line)
        self.clock.advance(1)
        self.runner.steps()
        self.assertEqual(self.disk.data, b"a\n")
        self.assertEqual(self.log.lines[1:], ["output /x goes on"])

    def test_nor_does_one_at_the_end_hold_it_up(self) -> None:
        self.patch(self.disk, "close", lambda: 1 / 0)
        closed = self.output().close()
        self.runner.steps()
        self.successResultOf(closed)
        self.assertIn("output /x: closing failed: zerodivisionerror", self.log.lines[0])

    def test_nothing_is_written_between_two_tries(self) -> None:
        self.disk.errors = [errno.EIO]
        output = self.output()
        output.write([b"a"])
        self.runner.step()
        output.write([b"b"])
        self.assertEqual(self.runner.calls, [])
        self.clock.advance(1)
        self.runner.steps()
        self.assertEqual(self.disk.data, b"a\nb\n")

    def test_reopening_comes_between_two_frames(self) -> None:
        output = self.output()
        output.write([b"a"])
        output.reopen()
        output.write([b"b"])
        self.runner.steps()
        self.assertEqual(self.disk.reopened, [b"a\n"])
        self.assertEqual(self.disk.data, b"a\nb\n")

    def test_reopening_tries_a_full_disk_at_once(self) -> None:
        self.disk.errors = [errno.ENOSPC]
        output = self.output()
        output.write([b"a"])
        self.runner.step()
        output.reopen()
        self.runner.steps()
        self.assertEqual(self.disk.data, b"a\n")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_prompt_is_written_where_the_format_has_a_form_for_it(self) -> None:
        plain = self.output()
        Outputs([plain, NoOutput()]).show_unfinished(b"a")
        self.runner.steps()
        self.assertEqual(self.disk.data, b"")
        output = self.output()
        output._shape = Readable("utf-8")
        output.show_unfinished(b"word: ")
        output.write([b"word: ok"])
        self.runner.steps()
        self.assertEqual(self.disk.data, b"word: ...ok\n")
        output.abandon()
        output.show_unfinished(b"a")
        self.assertEqual(output.lost, 0)

    def test_what_is_not_written_yet_is_known(self) -> None:
        self.disk.errors = [errno.ENOSPC]
        output = self.output()
        output.write([b"a"])
        self.runner.step()
        output.write([b"b", b"c"])
        self.assertEqual((output.waiting, Outputs([output, output]).waiting), (3, 6))
        output.abandon()
        self.assertEqual((output.waiting, output.lost), (0, 3))
        self.assertEqual(NoOutput().waiting, 0)

    def test_a_frame_that_cannot_be_carried_is_left_out_and_the_output_goes_on(self) -> None:
        output = self.output()
        self.assertIsNone(output.write([b"a", b"b\nc", b"d"]))
        self.assertIsNone(output.write([b"e"]))
        self.runner.steps()
        self.assertEqual(self.disk.data, b"a\nd\ne\n")
        self.assertEqual(output.lost, 1)
        (line,) = self.log.lines
        self.assertIn("output /x: a frame is left out, its framing cannot carry it", line)
        self.assertIn(r"b'b\nc'", line)

    def test_closing_writes_what_is_queued(self) -> None:
        output = self.output()
        output.write([b"a"])
        closed = output.close()
        self.assertIs(output.close(), closed)
        self.runner.step()
        self.assertNoResult(closed)
        self.runner.step()
        self.successResultOf(closed)
        self.assertTrue(self.disk.closed)
        self.assertTrue(self.runner.stopped)
        self.assertEqual(self.disk.data, b"a\n")

    def test_nothing_is_taken_after_closing(self) -> None:
        output = self.output()
        output.close()
        self.assertIsNone(output.write([b"a"]))
        self.assertEqual(output.lost, 1)

    def test_closing_tries_a_full_disk_once_more_and_counts(self) -> None:
        self.disk.errors = [errno.ENOSPC, errno.ENOSPC]
        output = self.output()
        output.write([b"a"])
        self.runner.step()
        output.write([b"b"])
        closed = output.close()
        self.runner.steps()
        self.successResultOf(closed)
        self.assertEqual(output.lost, 2)
        self.assertEqual(self.log.lines[1], "output /x ends: disk full")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_file_that_cannot_be_closed_is_reported(self) -> None:
        self.disk.close_error = OSError(errno.EIO, "Input/output error")
        closed = self.output().close()
        self.runner.steps()
        self.successResultOf(closed)
        self.assertEqual(self.log.lines, ["output /x: closing failed: input/output error"])

    def test_abandoning_counts_what_is_not_written(self) -> None:
        output = self.output()
        room = output.write([b"x" * queued.QUEUE])
        output.write([b"a"])
        output.abandon()
        output.abandon()
        self.assertEqual(output.lost, 1)  # the first is in the thread, not with the disk yet
        self.assertTrue(self.runner.stopped)
        assert room is not None
        self.successResultOf(room)

    def test_an_abandoned_output_is_not_moved_by_its_thread(self) -> None:
        self.disk.errors = [errno.ENOSPC]
        output = self.output()
        output.write([b"a"])
        output.abandon()
        self.runner.steps()
        self.assertEqual(self.log.lines, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        output.write([b"b"])
        output.reopen()
        self.assertEqual(self.runner.calls, [])

    def test_abandoning_ends_the_tries(self) -> None:
        self.disk.errors = [errno.ENOSPC]
        output = self.output()
        output.write([b"a"])
        self.runner.step()
        output.abandon()
        self.assertEqual(output.lost, 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_when_nobody_reads_nothing_is_lost(self) -> None:
        self.disk.errors = [errno.EPIPE]
        output = self.output(standard=True)
        room = output.write([b"x" * queued.QUEUE])
        self.runner.step()
        self.assertEqual(self.left, ["gone"])
        assert room is not None
        self.successResultOf(room)
        self.assertEqual(output.lost, 0)
        self.assertEqual(self.log.lines, [])

    def test_closing_after_the_reader_left_ends_at_once(self) -> None:
        self.disk.errors = [errno.EPIPE]
        output = self.output(standard=True)
        output.write([b"a"])
        closed = output.close()
        self.runner.steps()
        self.successResultOf(closed)
        self.assertEqual(self.left, ["gone"])

    def test_closing_once_the_reader_has_left_ends_at_once(self) -> None:
        self.disk.errors = [errno.EPIPE]
        output = self.output(standard=True)
        output.write([b"a"])
        self.runner.steps()
        closed = output.close()
        self.runner.steps()
        self.successResultOf(closed)

    def test_a_full_disk_behind_standard_output_is_no_reader_gone(self) -> None:
        self.disk.errors = [errno.ENOSPC]
        output = self.output(standard=True)
        output.write([b"a"])
        self.runner.step()
        self.assertEqual(self.left, [])
        self.clock.advance(1)
        self.runner.steps()
        self.assertEqual(self.disk.data, b"a\n")

    def test_a_broken_pipe_elsewhere_is_an_error_like_any(self) -> None:
        self.disk.errors = [errno.EPIPE]
        output = self.output()
        output.write([b"a"])
        self.runner.step()
        self.assertEqual(self.log.lines, ["paused by /x (broken pipe), trying again"])
        output.abandon()


def test_an_error_of_the_system_is_told_in_words() -> None:
    cases: Sequence[tuple[OSError, str]] = [
        (OSError(errno.ENOSPC, "No space left on device"), "disk full"),
        (OSError(errno.EACCES, "Permission denied"), "permission denied"),
        (OSError(errno.EACCES, None), "permission denied"),
        (OSError("Odd"), "odd"),
    ]
    assert [os_reason(error) for error, _ in cases] == [words for _, words in cases]
