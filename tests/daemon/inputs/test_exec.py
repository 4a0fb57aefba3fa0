"""A program beside the link: fed, heard, started again, ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from nbclient import framing
from nbclient.core.backoff import Backoff
from nbclient.daemon.inputs import exec as coprocess
from nbclient.daemon.inputs.exec import (
    BACKOFF,
    COMPLAINT,
    LAST_WORDS,
    LASTING,
    PATIENCE,
    STUCK,
    Coprocess,
    how_it_ended,
)
from nbclient.daemon.inputs.intake import Intake
from nbclient.daemon.outputs.formats import framed
from tests.conformance.daemon import KeptLog
from tests.conformance.transports import Pipe
from tests.daemon.inputs.test_intake import Boom


class Process:
    """A child whose life the test decides."""

    def __init__(self, protocol: Any) -> None:
        self.protocol = protocol
        self.stdin = Pipe()
        self.stdout = Pipe()
        self.pipes = {0: self.stdin, 1: self.stdout}
        self.signals: list[str] = []
        self.gone = False
        protocol.makeConnection(self)

    def closeStdin(self) -> None:
        self.stdin.loseConnection()

    def signalProcess(self, name: str) -> None:
        if self.gone:
            raise ProcessExitedAlready
        self.signals.append(name)

    def loseConnection(self) -> None:
        self.protocol.processEnded(Failure(ProcessDone(0)))

    def exit(self) -> None:
        """It is gone, but somebody else holds its pipes."""
        self.gone = True
        self.protocol.processExited(Failure(ProcessDone(0)))

    def end(self, status: int | None = 0, signal: int | None = None) -> None:
        done = status == 0
        reason = ProcessDone(0) if done else ProcessTerminated(status, signal)
        self.protocol.processExited(Failure(reason))
        self.protocol.processEnded(Failure(reason))


class Reactor(Clock):
    """Starts programs."""

    def __init__(self) -> None:
        super().__init__()
        self.started: list[Process] = []
        self.words: list[Any] = []
        self.error: OSError | None = None

    def callWhenRunning(self, call: Any) -> None:
        call()

    def spawnProcess(self, protocol: Any, path: str, words: list[str], env: Any) -> Process:
        self.words.append((path, words))
        if self.error is not None:
            raise self.error
        self.started.append(Process(protocol))
        return self.started[-1]


class CoprocessTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = Reactor()
        self.log = KeptLog()
        self.sent: list[bytes] = []
        self.answer: Deferred[None] | None = None
        self.found: str | None = "/bin/bot"
        self.own: framing.Framing = framing.lines(max_frame=100)
        self.patch(coprocess.shutil, "which", lambda name: self.found)

    def send(self, frames: Sequence[bytes], cursor: object = None) -> Deferred[None]:
        self.sent += frames
        return succeed(None) if self.answer is None else self.answer

    def start(self, backoff: Backoff | None = BACKOFF) -> Coprocess:
        intake = Intake("exec:bot -x", self.own, framing.lines().check, self.send, self.log)
        words = ["bot", "-x"]
        made = Coprocess(
            "exec:bot -x",
            words,
            framed(framing.lines()),
            intake,
            self.reactor,
            self.log,
            backoff,
            lambda: 1.0,
        )
        made.start()
        return made

    @property
    def child(self) -> Process:
        return self.reactor.started[-1]

    def end(self, output: Coprocess) -> None:
        """Nothing is left."""
        output.abandon()
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    # -- its life

    def test_it_reads_what_arrives_and_what_it_writes_is_sent(self) -> None:
        output = self.start()
        self.assertEqual(self.reactor.words, [("/bin/bot", ["bot", "-x"])])
        self.assertIsNone(output.write([b"a", b"b"]))
        self.child.protocol.outReceived(b"one\ntw")
        self.child.protocol.outReceived(b"o\n")
        self.assertEqual((self.child.stdin.data, self.sent), (b"a\nb\n", [b"one", b"two"]))
        self.assertEqual((output.lost, output.refused, self.log.lines), (0, 0, []))
        self.end(output)

    def test_those_that_it_leaves_behind_are_not_waited_for(self) -> None:
        """They have its pipes, and may live for ever."""
        output = self.start()
        self.child.exit()
        self.child.protocol.outReceived(b"last words\n")
        self.assertEqual((self.sent, len(self.reactor.started)), ([b"last words"], 1))
        self.reactor.advance(LAST_WORDS)
        self.reactor.advance(0.5)
        self.assertEqual(len(self.reactor.started), 2)
        self.end(output)

    def test_it_is_started_again_later_and_later_and_told_of_once(self) -> None:
        output = self.start()
        self.child.protocol.outReceived(b"tail")
        self.child.end(1)
        self.assertEqual(self.sent, [b"tail"])
        output.write([b"kept"])
        for wait in (0.5, 1.0, 2.0):
            self.reactor.advance(wait - 0.01)
            count = len(self.reactor.started)
            self.reactor.advance(0.01)
            self.assertEqual(len(self.reactor.started), count + 1)
            self.child.end(None, 9)
        self.assertEqual(self.reactor.started[1].stdin.data, b"kept\n")
        told = [e for e in self.log.events if e["log_level"].name == "warn"]
        self.assertEqual(len(told), 1)
        self.assertEqual(self.log.lines[0], "exec:bot -x has ended (status 1), it is started again")
        self.assertIn("signal 9", self.log.lines[1])
        self.end(output)

    def test_a_program_that_ran_for_a_while_begins_anew(self) -> None:
        output = self.start()
        self.child.end()
        self.reactor.advance(0.5)
        self.reactor.advance(BACKOFF.stable_after)
        self.child.end()
        self.reactor.advance(0.5)
        self.assertEqual(len(self.reactor.started), 3)
        self.end(output)

    def test_a_program_that_cannot_be_started_is_tried_again(self) -> None:
        self.found = None
        output = self.start()
        self.assertIn("it cannot be found", self.log.lines[0])
        self.found = "/bin/bot"
        self.reactor.error = OSError(11, "Resource temporarily unavailable")
        self.reactor.advance(0.5)
        self.assertIn("it cannot be started: resource temporarily", self.log.lines[1])
        self.reactor.error = None
        self.reactor.advance(1)
        self.assertEqual(len(self.reactor.started), 1)
        self.end(output)

    def test_where_it_is_not_started_again_its_end_is_the_inputs(self) -> None:
        output = self.start(backoff=None)
        self.assertNoResult(output.ended)
        self.child.end(3)
        self.successResultOf(output.ended)
        self.assertEqual(self.log.lines, ["exec:bot -x has ended (status 3)"])
        self.assertFalse(output.failed, "what its status means, it knows alone")
        self.end(output)

    def test_a_crash_is_no_end_of_the_input(self) -> None:
        """What it had to say, nobody knows: not all of it was sent."""
        output = self.start(backoff=None)
        self.child.end(None, 11)
        self.successResultOf(output.ended)
        self.assertTrue(output.failed)
        self.end(output)

    def test_a_framing_that_makes_no_decoder_does_not_hold_up_the_end(self) -> None:
        """Nor is the child left half made: its end once raised, and nothing ever ended."""
        self.own = Boom()
        output = self.start(backoff=None)
        self.child.protocol.outReceived(b"one\n")
        self.assertEqual(self.child.signals, ["KILL"])
        self.child.end(None, 9)
        self.successResultOf(output.ended)
        self.assertTrue(output.failed)
        self.assertEqual(self.log.lines[0], "input exec:bot -x has failed")
        self.end(output)

    def test_nor_is_a_program_that_never_ran(self) -> None:
        self.found = None
        output = self.start(backoff=None)
        self.successResultOf(output.ended)
        self.assertTrue(output.failed)
        self.end(output)

    def test_words_that_no_program_can_be_given_are_told(self) -> None:
        def refuse(*_: object) -> None:
            raise ValueError("embedded null byte")

        self.patch(self.reactor, "spawnProcess", refuse)
        output = self.start()
        self.assertIn("it cannot be started: embedded null byte", self.log.lines[0])
        self.end(output)

    def test_what_arrives_when_it_has_ended_for_good_is_lost_to_nobody(self) -> None:
        output = self.start(backoff=None)
        self.child.stdin.room = 1
        self.full(output)
        self.child.end()
        self.assertIsNone(self.full(output))
        lost = output.lost
        self.successResultOf(output.close())
        self.assertEqual(output.lost, lost)
        self.end(output)

    # -- what it says

    def test_its_standard_error_is_in_the_log(self) -> None:
        output = self.start()
        self.child.protocol.errReceived(b"what\nth")
        self.child.protocol.errReceived(b"at\nlast")
        self.child.end()
        self.assertEqual(
            self.log.lines[:3],
            ["exec:bot -x: says b'what'", "exec:bot -x: says b'that'", "exec:bot -x: says b'last'"],
        )
        self.end(output)

    def test_an_endless_complaint_is_cut_and_a_flood_is_counted(self) -> None:
        output = self.start()
        self.child.protocol.errReceived(b"x" * (COMPLAINT + 1))
        self.child.protocol.errReceived(b"y\n" * 100)
        self.reactor.advance(1)
        self.assertEqual(len(self.log.lines), 11)
        self.assertEqual(self.log.lines[-1], "exec:bot -x: says 91 more lines")
        self.end(output)

    def test_what_it_writes_waits_for_the_link(self) -> None:
        output = self.start()
        answer = self.answer = Deferred()
        self.child.protocol.outReceived(b"a\n")
        self.assertEqual(self.child.stdout.said, ["pause"])
        answer.callback(None)
        self.assertEqual(self.child.stdout.said, ["pause", "resume"])
        self.end(output)

    def test_a_program_without_frames_is_killed_and_started_again(self) -> None:
        output = self.start()
        self.child.protocol.outReceived(b"x" * 200)
        self.assertEqual(self.child.signals, ["KILL"])
        self.child.end(None, 9)
        self.assertEqual((output.refused, output.failed), (1, False))
        self.assertEqual(len(self.reactor.getDelayedCalls()), 1)
        self.end(output)

    # -- what it reads

    def full(self, output: Coprocess) -> Deferred[None] | None:
        """Frames until the queue is full."""
        room = output.write([b"first"])
        for _ in range(11):
            room = output.write([b"x" * 100_000])
        return room

    def test_the_link_waits_for_a_slow_program(self) -> None:
        output = self.start()
        self.child.stdin.room = 1
        room = self.full(output)
        assert room is not None
        self.assertNoResult(room)
        for _ in range(20):
            self.child.stdin.take()
        self.successResultOf(room)
        self.assertEqual(len(self.child.stdin.data), 6 + 11 * 100_001)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual(output.lost, 0)
        self.end(output)

    def test_the_wait_begins_anew_whenever_it_reads(self) -> None:
        output = self.start()
        self.child.stdin.room = 1
        self.full(output)
        room = self.full(output)
        assert room is not None
        self.reactor.advance(STUCK - 1)
        self.child.stdin.take()
        self.reactor.advance(STUCK - 1)
        self.assertNoResult(room)
        self.end(output)
        self.successResultOf(room)

    def test_a_program_that_never_reads_is_not_waited_for_for_ever(self) -> None:
        output = self.start()
        self.child.stdin.room = 1
        room = self.full(output)
        self.assertIs(room is not None and output.write([b"x"]) is not None, True)
        self.reactor.advance(STUCK)
        assert room is not None
        self.successResultOf(room)
        lost = output.lost
        self.assertGreater(lost, 0)
        self.assertIsNone(output.write([b"x" * 100_000]))
        self.assertEqual(output.lost, lost + 1)
        for _ in range(20):
            self.child.stdin.take()
        self.assertEqual(
            self.log.lines,
            [
                "exec:bot -x does not read, its oldest frames are dropped",
                f"exec:bot -x reads again, {lost + 1} lost in all",
            ],
        )
        self.end(output)

    def test_while_it_does_not_run_the_newest_are_kept(self) -> None:
        output = self.start()
        self.child.end()
        self.assertIsNone(self.full(output))
        self.assertGreater(output.lost, 0)
        self.reactor.advance(0.5)
        self.assertNotIn(b"first", self.child.stdin.data)
        self.end(output)

    def test_what_the_pipe_of_a_dying_program_takes_is_not_read_and_told_only_once(self) -> None:
        """Else a program that dies at once would write two lines at each of its starts."""
        output = self.start()
        for _ in range(3):
            self.child.end()
            self.full(output)
            self.reactor.advance(60)
        self.assertEqual(output.feed.held, 0)
        told = [line for line in self.log.lines if "read" in line]
        self.assertEqual(told, ["exec:bot -x does not read, its oldest frames are dropped"])
        self.reactor.advance(LASTING)
        output.write([b"x"])
        self.assertEqual(self.log.lines[-1], f"exec:bot -x reads again, {output.lost} lost in all")
        self.end(output)

    def test_a_program_that_ends_lets_the_link_go_on(self) -> None:
        output = self.start()
        self.child.stdin.room = 1
        room = self.full(output)
        self.child.protocol.inConnectionLost()
        self.child.end()
        assert room is not None
        self.successResultOf(room)
        self.assertGreater(output.lost, 0)
        self.end(output)

    # -- the end

    def test_at_the_end_it_has_what_is_left_and_time_to_finish(self) -> None:
        output = self.start()
        self.child.stdin.room = 1
        output.write([b"a"])
        output.write([b"b"])
        output.stop()
        closed = output.close()
        self.assertIs(output.close(), closed)
        self.child.protocol.outReceived(b"too late\n")
        self.child.stdin.take()
        self.assertEqual((self.child.stdin.data, self.child.stdin.said), (b"a\nb\n", ["lose"]))
        self.assertEqual((self.sent, self.child.signals), ([], []))
        self.assertNoResult(closed)
        self.child.end()
        self.successResultOf(closed)
        self.assertEqual((output.lost, output.write([b"c"]), output.lost), (0, None, 1))
        self.end(output)

    def test_a_program_that_stays_is_ended(self) -> None:
        output = self.start()
        self.child.stdin.room = 1
        output.write([b"a"])
        output.write([b"b"])
        closed = output.close()
        self.reactor.advance(PATIENCE)
        self.assertEqual(self.child.signals, ["TERM"])
        self.reactor.advance(PATIENCE)
        self.assertEqual(self.child.signals, ["TERM", "KILL"])
        self.child.end(None, 9)
        self.successResultOf(closed)
        self.assertEqual(output.lost, 1)
        self.end(output)

    def test_between_two_runs_there_is_nothing_to_wait_for(self) -> None:
        output = self.start()
        self.child.end()
        self.successResultOf(output.close())
        self.end(output)

    def test_a_start_that_comes_too_late_is_none(self) -> None:
        calls: list[Any] = []
        self.reactor.callWhenRunning = calls.append  # type: ignore[method-assign]
        output = self.start()
        output.stop()
        calls[0]()
        self.assertEqual(self.reactor.started, [])
        self.end(output)

    def test_an_abandoned_program_is_killed_and_stays_dead(self) -> None:
        output = self.start()
        output.abandon()
        self.assertEqual(self.child.signals, ["KILL"])
        self.child.end(None, 9)
        self.assertEqual((len(self.reactor.started), self.reactor.getDelayedCalls()), (1, []))

    def test_a_program_that_has_just_ended_needs_no_signal(self) -> None:
        output = self.start()
        self.child.gone = True
        output.abandon()
        self.assertEqual(self.child.signals, [])


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (ProcessDone(0), "status 0"),
        (ProcessTerminated(2), "status 2"),
        (ProcessTerminated(None, 15), "signal 15"),
    ],
)
def test_an_end_in_words(reason: Exception, words: str) -> None:
    assert how_it_ended(Failure(reason)) == words
