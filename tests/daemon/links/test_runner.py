"""A job, from its start to its exit status."""

from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from twisted.internet.defer import Deferred, fail
from twisted.trial.unittest import SynchronousTestCase

from nbclient import ReconnectingFactory
from nbclient.core.states import State
from nbclient.daemon.cli.options import SHELL, TWISTD, Settings
from nbclient.daemon.inputs.cursors import BatchCursor
from nbclient.daemon.links import progress
from nbclient.daemon.links import runner as run
from nbclient.daemon.links import spool as spools
from nbclient.daemon.links.builder import SETTLE_AFTER, settle_after
from nbclient.daemon.links.hearing import QUIET
from nbclient.daemon.links.plan import make_plan
from nbclient.daemon.links.progress import Screen
from nbclient.daemon.links.runner import AT_ONCE, GRACE, LULL, Job, Outcome
from nbclient.daemon.links.sending import PATIENCE
from nbclient.daemon.outputs.base import Outputs
from nbclient.errors import LocalError
from nbclient.link.tally import EVERY
from nbclient.spool.folder import SpoolError
from nbclient.spool.spool import Spool
from nbclient.testing import FakeEndpoint, FakeReactor, Peer
from tests.conformance.daemon import HandRunner, KeptLog, around, daemon, shell


class JobCase(SynchronousTestCase):
    """A job on a clock, a pipe in memory, and threads moved by hand."""

    def setUp(self) -> None:
        self.reactor = FakeReactor()
        self.endpoint = FakeEndpoint(self.reactor)
        self.log = KeptLog()
        self.shown: list[str] = []
        self.screen: Screen | None = None
        self.runners: dict[str, HandRunner] = {}
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.stdin, self.typed = os.pipe()
        self.seen, self.stdout = os.pipe()
        self.open = {self.stdin, self.typed, self.seen, self.stdout}
        self.addCleanup(lambda: self.close(*self.open))

    def close(self, *descriptors: int) -> None:
        """Each only once: its number may be somebody else's by then."""
        for descriptor in self.open.intersection(descriptors):
            self.open.remove(descriptor)
            os.close(descriptor)

    def runner(self, name: str) -> HandRunner:
        made = self.runners[name] = HandRunner()
        return made

    encoding: str | None = None  # of the terminal that standard output is

    def job(self, *words: str, front: str = SHELL) -> Job:
        settings: Settings = (shell if front == SHELL else daemon)(*words)
        process = around(
            self.runner, self.stdin, self.stdout, self.encoding, self.shown, self.screen
        )
        plan = make_plan(self.reactor, settings, front, process)
        if not settings.demo:
            plan = evolve(plan, endpoint=self.endpoint)
        return Job(self.reactor, settings, plan, self.log, process)

    def start(self, *words: str, front: str = SHELL) -> Job:
        job = self.job(*(words if front == TWISTD else ("h", "1", *words)), front=front)
        self.over: Deferred[Outcome] = job.start()
        return job

    def connect(self) -> Peer:
        peer = self.endpoint.attempts[-1].accept()
        self.reactor.turn()
        return peer

    def type(self, data: bytes) -> None:
        """Bytes on standard input, read and offered."""
        os.write(self.typed, data)
        self.runners["input stdin"].step()
        self.reactor.turn()

    def finish_input(self) -> None:
        self.close(self.typed)
        self.runners["input stdin"].step()
        self.reactor.turn()

    def turn(self) -> None:
        """Let everything happen that needs no time: turns, and the outputs' threads."""
        for _ in range(5):
            self.reactor.turn()
            for name, runner in self.runners.items():
                if name.startswith("output"):
                    runner.steps()

    def printed(self) -> bytes:
        self.turn()
        os.set_blocking(self.seen, False)
        try:
            return os.read(self.seen, 100_000)
        except BlockingIOError:
            return b""

    def outcome(self) -> Outcome:
        self.turn()
        outcome = self.successResultOf(self.over)
        self.assertEqual(self.reactor.pending(), [])
        return outcome

    def status(self) -> int:
        return self.outcome().status


class AttemptTests(JobCase):
    """What is said of each attempt is for -v; the link says what is worth a line."""

    def test_only_the_first_attempt_is_worth_a_line(self) -> None:
        self.start("--opening", "hello")
        for _ in range(3):
            self.connect().close()
            self.reactor.turn()
            self.reactor.advance(60)
        levels = {
            words: [
                event["log_level"].name
                for event, line in zip(self.log.events, self.log.lines, strict=True)
                if line == f"h:1: {words}"
            ]
            for words in ("connecting", "connected")
        }
        self.assertEqual(levels["connecting"], ["info", "debug", "debug", "debug"])
        self.assertEqual(levels["connected"], ["info", "debug", "debug"])


class TellingTests(JobCase):
    """What is in the log unasked."""

    def told(self, words: str) -> list[str]:
        return [line for line in self.log.lines if words in line]

    def test_the_level_of_delivery_is_told_at_the_first_connection(self) -> None:
        job = self.start("--retry-initial", "1")
        self.connect().close()
        self.assertEqual(len(self.told("h:1: delivery: written (a frame")), 1)
        self.turn()
        self.reactor.advance(1)
        self.connect()
        self.assertEqual(job.link.stats().readies, 2)
        self.assertEqual(len(self.told("(a frame counts")), 1)
        job.stop()
        self.reactor.advance(30)
        self.status()

    def test_another_level_is_told_again(self) -> None:
        """The peer may be another one by then, reached in another way."""
        job = self.start("--retry-initial", "1")
        levels = iter(["tcp", "written"])
        stats = job.link.stats
        self.patch(job.link, "stats", lambda: evolve(stats(), delivery=next(levels)))
        self.connect().close()
        self.turn()
        self.reactor.advance(1)
        self.connect()
        self.assertEqual(len(self.told("delivery: tcp (a frame")), 1)
        self.assertEqual(len(self.told("delivery: written (a frame")), 1)
        self.patch(job.link, "stats", stats)
        job.stop()
        self.reactor.advance(30)
        self.status()

    def test_a_link_that_only_receives_and_that_nobody_watches_is_warned_once(self) -> None:
        job = self.start("--input", "none", "--dead-after", "off", "--retry-initial", "1")
        self.assertEqual(len(self.told("h:1: a dead peer would not be noticed")), 1)
        self.connect().close()
        self.turn()
        self.reactor.advance(1)
        self.connect()
        self.assertEqual(len(self.told("a dead peer")), 1)
        job.stop()
        self.reactor.advance(30)
        self.status()


class ProgressTests(JobCase):
    """A file on its way, and somebody who watches."""

    def start_file(self, text: bytes, terminal: bool = True) -> list[bytes]:
        """--input of a file with this text; what is drawn."""
        drawn: list[bytes] = []
        self.screen = Screen(drawn.append)
        path = self.folder / "input"
        path.write_bytes(text)
        self.patch(progress, "_is_terminal", lambda descriptor: terminal)
        self.patch(progress, "columns", lambda descriptor: 60)
        self.start("--input", f"file:{path}", "--once", "--output", "none")
        return drawn

    def read_all(self) -> None:
        (name,) = (name for name in self.runners if name.startswith("input"))
        for _ in range(3):
            self.runners[name].steps()
            self.reactor.turn()

    def test_the_bar_shows_what_is_delivered_not_what_is_read(self) -> None:
        drawn = self.start_file(b"one\ntwo\nthree")
        self.read_all()
        self.reactor.advance(1)
        self.assertIn(b"  0%", drawn[-1])
        peer = self.connect()
        self.reactor.advance(1)
        self.assertIn(b"100%", drawn[-1])
        peer.close()
        self.assertEqual(self.status(), 0)
        self.assertIn(b"100%", drawn[-2])

    def test_without_a_terminal_nothing_is_drawn(self) -> None:
        drawn = self.start_file(b"one\n", terminal=False)
        self.read_all()
        self.assertEqual(drawn, [])


class BadFrameTests(JobCase):
    def test_bad_frames_are_counted_in_the_log_once_a_minute(self) -> None:
        self.start("--max-frame", "5", "--on-bad-frame", "skip")
        peer = self.connect()
        for _ in range(20):
            peer.send(b"much too long\n")
            self.turn()
        self.reactor.advance(EVERY)
        told = [line for line in self.log.lines if "bad frames are passed over" in line]
        self.assertEqual(len(told), 2)
        self.assertTrue(told[0].endswith("(1 of them)"), told)
        self.assertTrue(told[1].endswith("(19 of them in the last 60 s)"), told)

    def test_frames_passed_over_are_told_and_the_status_says_so(self) -> None:
        self.start("--once", "--max-frame", "5", "--on-bad-frame", "skip")
        peer = self.connect()
        peer.send(b"ok\nmuch too long\nand again\nafter\n")
        peer.close()
        self.assertEqual(self.printed(), b"ok\nafter\n")
        self.reactor.advance(LULL)
        outcome = self.outcome()
        self.assertEqual(outcome.status, 1)
        self.assertIn("2 of the peer's frames were bad and passed over", outcome.message)
        told = [line for line in self.log.lines if "bad frames are passed over" in line]
        self.assertEqual(len(told), 1)
        self.assertIn("more than the limit of 5", told[0])


class JobTests(JobCase):
    """What people do with it."""

    # -- the start

    def test_what_arrives_is_printed_and_what_is_typed_is_sent(self) -> None:
        job = self.start()
        peer = self.connect()
        peer.send(b"one\r\ntwo\n")
        self.type(b"hello\n")
        self.assertEqual(self.printed(), b"one\ntwo\n")
        self.assertEqual(peer.received, b"hello\n")
        self.assertIn("h:1: connecting", self.log.lines)
        job.stop()
        self.assertEqual(self.outcome(), Outcome(0))

    def test_a_daemon_logs_what_arrives(self) -> None:
        job = self.start("--host", "h", "--port", "1", front=TWISTD)
        self.connect().send(b"one\n")
        self.turn()
        self.assertIn("h:1: received b'one'", self.log.lines)
        job.stop()
        self.assertEqual(self.status(), 0)

    def test_files_are_read_and_written(self) -> None:
        (self.folder / "in").write_bytes(b"a\nb")
        where = ("--input", f"{self.folder}/in", "--output", f"{self.folder}/out")
        job = self.start(*where)
        peer = self.connect()
        self.runners[f"input {self.folder}/in"].steps()
        peer.send(b"c\n")
        self.turn()
        self.assertEqual(peer.received, b"a\nb\n")
        self.assertEqual((self.folder / "out").read_bytes(), b"c\n")
        (self.folder / "out").rename(self.folder / "out.1")
        job.reopen()
        peer.send(b"d\n")
        self.turn()
        self.assertEqual((self.folder / "out").read_bytes(), b"d\n")
        job.stop()
        self.assertEqual(self.status(), 0)

    def test_a_file_that_cannot_be_opened_is_refused(self) -> None:
        for words, says in [
            (("--input", f"{self.folder}/none"), r"^--input: .*/none: no such file"),
            (("--output", f"{self.folder}"), r"^--output: .*: is a directory"),
        ]:
            with pytest.raises(LocalError, match=says):
                self.job("h", "1", *words).start()
        self.assertEqual(self.endpoint.attempts, [])

    def test_an_attempt_that_fails_at_once_may_end_the_job_at_once(self) -> None:
        job = self.job("h", "1", "--retries", "0", "--max-time", "5")
        self.endpoint.connect = lambda factory: fail(OSError("no"))  # type: ignore[method-assign]
        self.over = job.start()
        self.assertEqual(self.outcome(), Outcome(3))

    def test_the_opening_is_told_apart_from_the_connection(self) -> None:
        job = self.start("--expect", "ok")
        peer = self.connect()
        self.assertEqual(self.log.lines[-2:][0][:15], "h:1: CONNECTING")
        self.assertIn("h:1: connected", self.log.lines)
        self.assertNotIn("h:1: ready", self.log.lines)
        peer.send(b"ok\n")
        self.turn()
        self.assertIn("h:1: ready", self.log.lines)
        job.stop()
        self.turn()

    # -- the input's end

    def test_the_end_of_the_input_leaves_the_link_up(self) -> None:
        job = self.start()
        self.connect()
        self.finish_input()
        self.reactor.advance(1000)
        self.assertEqual(job.link.state, State.READY)
        job.stop()
        self.assertEqual(self.status(), 0)

    def test_once_sends_half_closes_and_takes_what_comes_back(self) -> None:
        self.start("--once")
        self.type(b"PING\n")
        self.finish_input()
        peer = self.connect()
        self.assertEqual(peer.received, b"PING\n")
        self.assertTrue(peer.finished)
        peer.send(b"PONG\n")
        peer.close()
        self.assertEqual(self.printed(), b"PONG\n")
        self.assertEqual(self.outcome(), Outcome(0))

    def test_once_waits_as_long_as_something_comes(self) -> None:
        self.start("--once", "--wait", "4")
        self.finish_input()
        peer = self.connect()
        for _ in range(10):
            self.reactor.advance(1)
            self.reactor.advance(1)
            peer.send(b"more\n")
            self.turn()
        self.assertNoResult(self.over)
        for _ in range(5):
            self.reactor.advance(1)
            self.turn()
        self.assertEqual(self.printed(), b"more\n" * 10)
        self.assertEqual(self.status(), 0)

    def test_once_waits_for_a_slow_output(self) -> None:
        self.start("--once", "--wait", "1")
        self.finish_input()
        peer = self.connect()
        peer.send(b"x" * 1_000_000 + b"\n" + b"y" * 1_000_000 + b"\n")
        self.reactor.turn(100)
        for _ in range(50):
            self.reactor.advance(0.25)
        self.assertNoResult(self.over)
        self.runners["output -"].at_once = True
        output = self.runners["output -"]
        self.addCleanup(output.calls.clear)

    def test_once_with_an_input_that_was_reset_is_status_three(self) -> None:
        self.start("--once")
        self.connect().reset()
        outcome = self.outcome()
        self.assertEqual(outcome.status, 3)
        self.assertIn("h:1: the connection was lost", outcome.message)

    def test_once_refused_is_status_three(self) -> None:
        self.start("--once", "--input", "none")
        self.endpoint.attempts[-1].refuse()
        self.assertEqual(self.outcome(), Outcome(3))
        self.assertIn("h:1: gave up after 1 attempt: connection refused", self.log.lines)

    def test_once_counts_what_the_peer_did_not_wait_for(self) -> None:
        self.start("--once")
        peer = self.connect()
        peer.stall()
        self.type(b"x" * 65_000 + b"\n")
        self.type(b"y" * 65_000 + b"\n")
        self.type(b"z\n")
        peer.close()
        self.reactor.turn(50)
        for _ in range(30):
            self.reactor.advance(1)
        outcome = self.outcome()
        self.assertEqual(
            outcome, Outcome(1, "1 frame not delivered; the input was not read to its end")
        )

    def test_once_knows_whether_a_peer_that_closes_first_had_all_of_the_input(self) -> None:
        for end, status in ((self.finish_input, 0), (lambda: None, 1)):
            self.setUp()
            self.start("--once")
            peer = self.connect()
            self.type(b"a\n")
            end()
            self.reactor.turn()
            peer.close()
            self.reactor.turn()
            self.reactor.advance(LULL)
            self.assertEqual(self.status(), status)

    def test_once_goes_on_with_a_peer_that_has_closed_its_side_until_the_input_ends(self) -> None:
        self.start("--once")
        peer = self.connect()
        peer.close()
        self.reactor.turn()
        self.reactor.advance(LULL / 2)
        self.type(b"a\n")
        self.reactor.advance(LULL / 2)
        self.type(b"b\n")
        self.finish_input()
        self.reactor.advance(0.1)
        self.assertEqual(peer.received, b"a\nb\n")
        self.assertEqual(self.status(), 0)

    def test_how_long_an_input_may_pause_for_such_a_peer(self) -> None:
        (self.folder / "in").write_bytes(b"x")
        for words, seconds in (
            ((), 0.0),
            (("--once",), LULL),
            (("--drain",), LULL),
            (("--once", "--input", f"file:{self.folder / 'in'}", "--close-timeout", "7"), 7.0),
        ):
            self.setUp()
            self.assertEqual(self.start(*words).link.feeding, seconds)

    def test_once_at_a_terminal_may_be_ended_by_the_peer(self) -> None:
        self.patch(run.os, "isatty", lambda descriptor: descriptor == self.stdin)
        self.start("--once")
        self.connect().close()
        self.assertEqual(self.status(), 0)

    def test_our_own_end_is_not_said_to_be_the_peers(self) -> None:
        self.start("--once", "--wait", "1")
        peer = self.connect()
        self.finish_input()
        for _ in range(8):
            self.reactor.advance(0.25)
        peer.close()
        self.assertEqual(self.status(), 0)
        self.assertNotIn("h:1: the peer closed the connection", self.log.lines)

    def test_once_with_half_a_frame_at_the_end_is_status_one(self) -> None:
        self.start("--once")
        peer = self.connect()
        self.finish_input()
        peer.send(b"a\nhal")
        peer.close()
        outcome = self.outcome()
        self.assertEqual(outcome, Outcome(1, "the last frame received was cut off"))

    def test_once_without_an_input_stays_until_the_peer_closes(self) -> None:
        self.start("--once", "--input", "none")
        peer = self.connect()
        self.reactor.advance(1000)
        self.assertNoResult(self.over)
        self.assertFalse(peer.finished)
        peer.close()
        self.assertEqual(self.status(), 0)

    def test_drain_ends_when_everything_has_left(self) -> None:
        self.start("--drain")
        self.type(b"a\n")
        self.finish_input()
        self.endpoint.attempts[-1].refuse()
        self.reactor.advance(1)
        peer = self.connect()
        self.assertEqual(peer.received, b"a\n")
        self.assertNoResult(self.over)  # a peer that closes now has taken nothing
        self.reactor.pump([SETTLE_AFTER / 10] * 10)
        self.assertEqual(self.outcome(), Outcome(0))

    def test_drain_ends_at_once_where_the_peer_has_answered(self) -> None:
        self.start("--drain")
        peer = self.connect()
        self.type(b"a\n")
        self.finish_input()
        peer.send(b"OK\n")
        self.turn()
        self.reactor.advance(0.1)
        self.assertEqual(self.outcome(), Outcome(0))

    def test_drain_ends_once_the_last_answers_are_out(self) -> None:
        self.start("--drain", "--delivery", "reply", "--reply-match", "^OK")
        peer = self.connect()
        self.type(b"a\n")
        self.finish_input()
        peer.send(b"OK a\nbehind it\n")
        self.assertEqual(self.printed(), b"OK a\nbehind it\n")
        self.assertEqual(self.outcome(), Outcome(0))

    def test_what_a_slow_output_holds_up_is_no_less_out(self) -> None:
        job = self.start("--drain", "--delivery", "reply", "--reply-match", "^OK")
        peer = self.connect()
        self.type(b"a\n")
        self.finish_input()
        written: list[bytes] = []
        slow: list[Deferred[None]] = []

        def write(frames: list[bytes]) -> Deferred[None]:
            written.extend(frames)
            slow.append(Deferred())
            return slow[-1]

        self.patch(job.link.outputs, "write", write)
        peer.send(b"first\nOK a\nbehind it\n")
        self.turn()
        for number in range(3):
            self.assertEqual(len(written), number + 1)
            slow[number].callback(None)
            self.turn()
        self.assertEqual(written, [b"first", b"OK a", b"behind it"])
        self.assertEqual(self.outcome(), Outcome(0))

    def test_drain_is_not_done_when_the_peer_takes_it_and_closes(self) -> None:
        """A balancer whose backend is down does."""
        self.start("--drain", "--retries", "1")
        self.type(b"a\nb\n")
        self.finish_input()
        for _ in range(2):
            peer = self.connect()
            self.assertEqual(peer.received, b"a\nb\n")
            peer.close()
            self.reactor.turn()
            self.reactor.advance(1)
        self.assertEqual(self.outcome(), Outcome(3, "2 frames not delivered"))
        self.assertTrue(any("sent again: 2 frames" in line for line in self.log.lines))

    def test_nor_when_it_turns_us_away_and_that_line_is_no_data(self) -> None:
        self.start("--drain", "--retries", "0", "--reject-line", "^-ERR")
        self.type(b"a\n")
        self.finish_input()
        peer = self.connect()
        peer.send(b"-ERR max number of clients reached\n")
        self.turn()
        self.assertEqual(self.printed(), b"")
        self.assertEqual(self.outcome(), Outcome(3, "1 frame not delivered"))
        self.assertTrue(any("turned us away: -ERR max" in line for line in self.log.lines))

    def test_settling_can_be_had_and_left_out(self) -> None:
        for words, after in (
            ((), 0.0),
            (("--once",), 0.0),
            (("--drain",), SETTLE_AFTER),
            (("--spool", "d"), SETTLE_AFTER),
            (("--reject-line", "^no"), SETTLE_AFTER),
            (("--drain", "--delivery", "written"), 0.0),
            (("--drain", "--delivery", "reply"), 0.0),
            (("--drain", "--settle-after", "0"), 0.0),
            (("--settle-after", "3", "--delivery", "written"), 3.0),
        ):
            self.assertEqual(settle_after(shell("h", "1", *words)), after, words)

    def test_drain_gives_up_as_told_and_counts(self) -> None:
        self.start("--drain", "--retries", "0")
        self.type(b"a\nb\n")
        self.finish_input()
        self.endpoint.attempts[-1].refuse()
        self.assertEqual(self.outcome(), Outcome(3, "2 frames not delivered"))

    def test_a_frame_that_was_left_out_is_status_one(self) -> None:
        job = self.start("--framing", "fixed:2")
        peer = self.connect()
        self.type(b"ab\nabc\n")
        self.assertEqual(peer.received, b"ab")
        job.stop()
        self.assertEqual(self.outcome(), Outcome(1, "1 frame not delivered"))

    def test_a_frame_that_an_output_cannot_carry_is_status_one(self) -> None:
        job = self.start("--framing", "fixed:2", "--output", "-", "--output-framing", "lines")
        self.connect().send(b"abc\nde")
        self.assertEqual(self.printed(), b"ab\nde\n")
        job.stop()
        self.assertEqual(self.outcome(), Outcome(1, "1 frame not stored"))

    # -- the other ends

    def test_giving_up_is_status_three(self) -> None:
        self.start("--retries", "1")
        self.endpoint.attempts[-1].refuse()
        self.reactor.advance(1)
        self.endpoint.attempts[-1].refuse()
        self.assertEqual(self.outcome(), Outcome(3))
        self.assertIn("h:1: gave up after 2 attempts: connection refused", self.log.lines)

    def test_the_time_may_be_over(self) -> None:
        self.start("--max-time", "5")
        peer = self.connect()
        self.reactor.advance(5)
        self.assertEqual(self.outcome(), Outcome(4, "--max-time: 5 s are over"))
        self.assertFalse(peer.connected)

    def test_the_time_may_be_over_while_nobody_answers(self) -> None:
        self.start("--max-time", "5", "--drain")
        self.type(b"a\n")
        self.finish_input()
        self.reactor.advance(5)
        self.assertEqual(
            self.outcome(), Outcome(4, "--max-time: 5 s are over; 1 frame not delivered")
        )

    def test_a_reader_that_leaves_ends_it_quietly_whatever_else_there_was(self) -> None:
        self.start("--framing", "fixed:2")
        peer = self.connect()
        self.type(b"cannot be sent\n")
        self.close(self.seen)
        peer.send(b"ab")
        self.assertEqual(self.outcome(), Outcome(0))
        self.assertFalse(peer.connected)

    def test_a_signal_ends_in_good_order(self) -> None:
        job = self.start()
        peer = self.connect()
        peer.send(b"a\n")
        self.reactor.turn()
        job.interrupt(signal.SIGTERM)
        self.turn()
        self.assertEqual(self.printed(), b"a\n")
        self.assertTrue(peer.finished)
        self.assertEqual(self.outcome(), Outcome(143))

    def test_a_signal_counts_what_is_left(self) -> None:
        job = self.start()
        self.type(b"a\n")
        job.interrupt(signal.SIGINT)
        self.assertEqual(self.outcome(), Outcome(1, "1 frame not delivered"))

    def test_a_signal_says_what_its_end_waits_for(self) -> None:
        job = self.start("--close-timeout", "2", "--delivery", "reply")
        self.connect()
        self.patch(Outputs, "waiting", 2)
        self.type(b"x\n")
        self.reactor.turn()
        job.interrupt(signal.SIGTERM)
        self.assertNotIn("not stored", self.log.lines[-1])
        self.reactor.advance(AT_ONCE)
        self.assertEqual(
            self.log.lines[-1],
            "h:1: ends within 2.75 s, 1 frame not delivered yet and 2 frames not stored yet;"
            " another signal ends it at once",
        )
        job.abandon()

    def test_of_a_connection_that_does_not_close_no_more_is_known(self) -> None:
        job = self.start("--close-timeout", "2")
        self.connect().stall()
        self.type(b"x\n")
        job.interrupt(signal.SIGTERM)
        self.turn()
        self.reactor.advance(AT_ONCE)
        self.assertIn("ends within 2.75 s, not all is closed yet;", self.log.lines[-1])
        job.abandon()

    def test_an_end_that_is_over_at_once_says_nothing(self) -> None:
        job = self.start()
        self.connect()
        lines = len(self.log.lines)
        job.interrupt(signal.SIGTERM)
        self.assertEqual(self.status(), 143)
        self.assertFalse([line for line in self.log.lines[lines:] if "another signal" in line])

    def test_a_terminal_shows_a_prompt_that_ends_no_line(self) -> None:
        self.encoding = "utf-8"
        job = self.start()
        peer = self.connect()
        peer.send(b"Password: ")
        for _ in range(4):
            self.reactor.advance(QUIET)
        self.assertEqual(self.printed(), b"Password: ...")
        peer.send(b"\r\nWelcome\r\n")
        self.assertEqual(self.printed(), b"\nWelcome\n")
        job.stop()
        self.assertEqual(self.status(), 0)

    def end_of_input(self) -> str:
        """The level at which it is said that the link stays."""
        self.start()
        self.finish_input()
        said = [event for event in self.log.events if "end of input" in event["log_format"]]
        return str(said[0]["log_level"].name)

    def test_the_end_of_what_is_typed_says_that_the_link_stays(self) -> None:
        self.patch(run.os, "isatty", lambda descriptor: descriptor == self.stdin)
        self.assertEqual(self.end_of_input(), "info")

    def test_the_end_of_a_pipe_is_nothing_to_speak_of(self) -> None:
        self.assertEqual(self.end_of_input(), "debug")

    def test_a_signal_after_the_end_began_does_not_hide_why(self) -> None:
        job = self.start("--retries", "0")
        self.endpoint.attempts[-1].refuse()
        job.interrupt(signal.SIGINT)
        self.assertEqual(self.outcome(), Outcome(3))

    def test_a_peer_that_takes_nothing_is_cut_off_in_time(self) -> None:
        job = self.start("--close-timeout", "2")
        peer = self.connect()
        peer.stall()
        self.type(b"x" * 100 + b"\n")
        job.interrupt(signal.SIGTERM)
        self.reactor.advance(2)
        self.turn()
        outcome = self.outcome()
        self.assertEqual(outcome.status, 1)
        self.assertIn("cut short", outcome.message)

    def test_where_it_is_known_what_arrived_nothing_else_is_said_of_a_cut(self) -> None:
        self.patch(ReconnectingFactory, "_level", "tcp")
        job = self.start("--close-timeout", "2")
        self.connect().stall()
        self.type(b"x" * 100 + b"\n")
        job.interrupt(signal.SIGTERM)
        self.reactor.advance(2)
        self.turn()
        self.assertEqual(self.outcome(), Outcome(143))

    def test_an_output_that_takes_nothing_is_abandoned_in_time(self) -> None:
        job = self.start("--close-timeout", "2")
        self.connect().send(b"a\nb\n")
        self.reactor.turn()
        job.interrupt(signal.SIGTERM)
        self.reactor.turn()
        self.assertNoResult(self.over)
        self.reactor.advance(2 + GRACE)
        self.assertEqual(self.successResultOf(self.over).status, 143)
        self.assertEqual(self.reactor.pending(), [])

    def test_the_second_signal_ends_at_once(self) -> None:
        job = self.start()
        peer = self.connect()
        peer.stall()
        self.type(b"x" * 100 + b"\n")
        job.interrupt(signal.SIGINT)
        self.reactor.turn()
        self.assertNoResult(self.over)
        job.interrupt(signal.SIGINT)
        self.successResultOf(self.over)
        self.turn()
        self.assertTrue(peer.aborted)
        job.abandon()

    def test_the_second_signal_needs_no_connection(self) -> None:
        job = self.start()
        job.interrupt(signal.SIGINT)
        job.interrupt(signal.SIGINT)
        self.assertEqual(self.status(), 130)

    def test_stop_tells_when_all_is_closed_also_twice(self) -> None:
        job = self.start()
        self.connect()
        first = job.stop()
        self.assertNoResult(first)
        self.turn()
        self.successResultOf(first)
        self.successResultOf(job.stop())
        self.assertEqual(self.status(), 0)

    # -- --bad-frames

    def test_a_folder_for_bad_frames_that_cannot_be_used_is_refused_at_the_start(self) -> None:
        """Else that is found out when the first of them is lost."""
        (self.folder / "file").touch()
        with self.assertRaises(LocalError) as caught:
            self.start("--bad-frames", f"{self.folder}/file")
        said = str(caught.exception)
        self.assertEqual(said, f"--bad-frames: {self.folder}/file: not a directory")
        self.assertEqual(self.endpoint.attempts, [])

    def test_the_last_bad_frames_are_kept_also_at_the_end(self) -> None:
        folder = self.folder / "bad"
        words = ("--framing", "nmea", "--on-bad-frame", "skip", "--bad-frames", str(folder))
        job = self.start("--input", "none", *words)
        peer = self.connect()
        peer.send(b"$A*00\r\n$B*00\r\n$C*00\r\n")
        self.turn()
        job.stop()
        self.assertEqual(self.status(), 1)
        self.assertEqual(len(list(folder.iterdir())), 3)

    # -- --check

    def test_a_check_reports_and_leaves(self) -> None:
        self.start("--check", "--expect", "ok")
        peer = self.connect()
        self.assertEqual(self.shown, [])
        self.reactor.advance(0.5)
        peer.send(b"ok\n")
        self.assertEqual(self.status(), 0)
        self.assertEqual(
            self.shown,
            [
                "connected: 192.0.2.1:1",
                "ready: after 0.500 s",
                "delivery: written (a frame counts as delivered when it was handed to the system)",
            ],
        )
        self.assertEqual(len(self.endpoint.attempts), 1)

    def test_a_check_says_through_which_proxy(self) -> None:
        self.start("--check", "--proxy", "http://gate:3128")
        self.connect()
        self.assertEqual(self.status(), 0)
        through = "through: http://gate:3128, which has connected us to the peer"
        self.assertEqual(self.shown[1], through)
        self.assertIn("the proxy acknowledges", self.shown[-1])

    def test_a_fault_in_the_report_ends_the_check_and_is_told(self) -> None:
        """Else the job would stay, ready and silent, until somebody ends it."""

        def broken(*_: object) -> list[str]:
            raise ValueError("no such certificate")

        self.patch(run, "report", broken)
        self.start("--check")
        self.connect()
        self.assertEqual(self.status(), 3)
        self.assertIn("h:1: a fault of nbclient", self.log.lines)
        self.assertEqual(self.shown, [])

    def test_a_fault_at_the_half_close_ends_the_job_and_is_told(self) -> None:
        def broken(_: object, *more: object) -> None:
            raise ValueError("cannot be closed")

        self.patch(Job, "_wait", broken)
        self.start("--once", "--input", "file:/dev/null")
        self.runners["input /dev/null"].step()
        self.connect()
        self.assertEqual(self.status(), 3)
        self.assertIn("h:1: a fault of nbclient", self.log.lines)

    def test_a_check_that_fails_is_status_three(self) -> None:
        self.start("--check", "--expect", "ok")
        self.connect().close()
        self.assertEqual(self.status(), 3)
        self.assertEqual(self.shown, [])
        self.assertEqual(len(self.endpoint.attempts), 1)


class DemoJobTests(JobCase):
    """The demo brings its own server."""

    def test_the_demo_needs_no_address(self) -> None:
        listened: list[Any] = []

        class Port:
            def getHost(self) -> Any:
                return Port

            port = 4321

            def stopListening(self) -> None:
                listened.append("stopped")

        def listen(port: int, factory: Any, interface: str) -> Any:
            listened.append(interface)
            return Port()

        self.reactor.listenTCP = listen  # type: ignore[attr-defined]
        job = self.job("--demo")
        self.over = job.start()
        self.assertEqual(listened, ["127.0.0.1"])
        (attempt,) = self.reactor.attempts
        self.assertEqual(attempt.address.port, 4321)
        self.assertTrue(any("Ctrl-C ends it" in line for line in self.log.lines))
        job.interrupt(signal.SIGINT)
        self.assertEqual(self.status(), 130)
        self.assertEqual(listened, ["127.0.0.1", "stopped"])


class SpoolTests(JobCase):
    """A job whose frames outlive it."""

    def setUp(self) -> None:
        super().setUp()
        self.opening: Deferred[Spool] = Deferred()
        self.patch(spools, "open_spool", lambda *_, **__: self.opening)
        self.patch(Spool, "volatile", property(lambda _: False))

    def spool(self, peer: str = "h:1", limit: int = 10_000) -> Spool:
        return Spool.open(
            self.folder / "spool",
            "link",
            peer,
            limit,
            deliver=lambda call: call(),
            pause=lambda _: True,
        )

    def began(self, *words: str) -> Job:
        """A job whose spool is open."""
        job = self.start("--spool", str(self.folder / "spool"), "--output", "none", *words)
        self.held = self.spool()
        self.opening.callback(self.held)
        return job

    def type(self, data: bytes) -> None:
        super().type(data)
        self.held.step()

    def test_nothing_is_dialled_or_taken_before_the_spool_is_open(self) -> None:
        job = self.start("--spool", "d", "--output", "none")
        os.write(self.typed, b"early\n")
        self.runners["input stdin"].step()
        self.assertEqual((job.link.state, self.endpoint.attempts), (State.IDLE, []))
        self.held = self.spool()
        self.opening.callback(self.held)
        self.held.step()
        self.assertEqual(job.link.stats().outbox.waiting, 1)
        self.assertEqual(len(self.endpoint.attempts), 1)
        job.interrupt(signal.SIGINT)
        self.outcome()

    def test_the_bar_of_a_second_run_begins_where_the_first_one_stopped(self) -> None:
        path = self.folder / "input"
        path.write_bytes(b"one\n")
        with path.open("rb") as file:
            cursor = BatchCursor(str(path))
            cursor.look(file.fileno())
            stored = cursor.mark(file.read(), 0)
        before = self.spool()
        before.append([b"one"], lambda _: None, (f"file:{path}", stored))
        before.close()
        with path.open("ab") as file:
            file.write(b"two\n")
        drawn: list[bytes] = []
        self.screen = Screen(drawn.append)
        self.patch(progress, "_is_terminal", lambda descriptor: True)
        self.patch(progress, "columns", lambda descriptor: 60)
        job = self.began("--input", f"file:{path}", "--delivery", "written", "--drain")
        reader = self.runners[f"input {path}"]
        for _ in range(8):
            reader.steps()
            self.held.step()
            self.reactor.turn()
        self.reactor.advance(0.3)
        self.assertIn(b" 50%", drawn[-1])  # of what was taken before it is known that it is safe
        peer = self.connect()
        for _ in range(8):
            self.held.step()
            self.reactor.turn()
        self.assertEqual(peer.received, b"one\ntwo\n")
        self.assertEqual(self.status(), 0)
        self.assertTrue(any(b"100%" in text for text in drawn))
        self.assertTrue(job.link.stats().outbox.conserved())

    def test_a_damaged_cursor_costs_no_frame(self) -> None:
        """It once ended --drain with status 0 and the file unread."""
        path = self.folder / "input"
        path.write_bytes(b"one\ntwo\n")
        before = self.spool()
        stored = '{"offset": -4, "sha256": ""}'
        before.append([b"zero"], lambda _: None, (f"file:{path}", stored))
        before.close()
        self.began("--input", f"file:{path}", "--delivery", "written", "--drain")
        for _ in range(8):
            self.runners[f"input {path}"].steps()
            self.held.step()
            self.reactor.turn()
        peer = self.connect()
        for _ in range(8):
            self.held.step()
            self.reactor.turn()
        self.assertEqual(peer.received, b"zero\none\ntwo\n")
        self.assertEqual(self.status(), 0)
        self.assertTrue(
            any("its cursor in the spool is damaged" in line for line in self.log.lines)
        )

    def test_a_file_that_fails_is_not_done(self) -> None:
        path = self.folder / "input"
        path.write_bytes(b"one\n")

        def fails(*_: object) -> None:
            raise OverflowError("a fault of ours")

        self.patch(BatchCursor, "resume", fails)
        self.began("--input", f"file:{path}", "--drain")
        self.runners[f"input {path}"].steps()
        self.reactor.turn()
        outcome = self.outcome()
        self.assertEqual(
            (outcome.status, outcome.message), (1, "the input was not read to its end")
        )
        self.assertTrue(any("has failed" in line for line in self.log.lines))

    def test_what_the_end_left_behind_a_files_cursor_is_no_loss(self) -> None:
        path = self.folder / "input"
        path.write_bytes(b"one\n")
        job = self.began("--input", f"file:{path}")
        self.held.close()  # the disk takes nothing any more
        self.runners[f"input {path}"].steps()
        self.reactor.turn()
        job.interrupt(signal.SIGTERM)
        outcome = self.outcome()
        self.assertEqual(outcome.status, 128 + signal.SIGTERM)
        self.assertIn("the input was not read to its end, where the next run", outcome.message)

    def test_what_the_end_left_in_a_pipe_is_gone_whatever_is_stored(self) -> None:
        job = self.began("--drain")
        self.type(b"a\n")
        job.interrupt(signal.SIGTERM)
        outcome = self.outcome()
        self.assertEqual(outcome.status, 1)
        self.assertEqual(
            outcome.message,
            f"the input was not read to its end; 1 frame waits in the spool {self.folder}/spool",
        )

    def test_what_is_stored_is_no_loss_and_where_it_waits_is_told(self) -> None:
        job = self.began()
        self.type(b"a\nb\n")
        job.interrupt(signal.SIGTERM)
        outcome = self.outcome()
        self.assertEqual(outcome.status, 128 + signal.SIGTERM)
        self.assertEqual(outcome.message, f"2 frames wait in the spool {self.folder}/spool")
        again = self.spool()
        self.assertEqual(again.totals.waiting, 2)
        again.close()

    def test_a_run_after_it_sends_what_waits_and_then_has_finished(self) -> None:
        before = self.spool()
        before.append([b"from before"], lambda _: None)
        before.close()
        self.began("--drain", "--delivery", "written")
        self.held.step()
        self.finish_input()
        peer = self.connect()
        self.reactor.turn()
        self.assertEqual(peer.received, b"from before\n")
        self.held.step()
        self.reactor.turn()
        self.assertEqual(self.status(), 0)
        again = self.spool()
        self.assertEqual(again.totals.waiting, 0)
        again.close()

    def test_a_spool_that_cannot_be_had_ends_it_with_status_two(self) -> None:
        self.start("--spool", "d", "--output", "none")
        self.opening.errback(SpoolError("d/link: in use by process 17"))
        self.assertEqual(self.outcome(), Outcome(2, "--spool: d/link: in use by process 17"))
        self.assertEqual(self.endpoint.attempts, [])

    def test_a_fault_of_ours_at_the_spool_ends_the_job_and_is_told(self) -> None:
        """Else it would neither begin nor end."""
        self.start("--spool", "d", "--output", "none")
        self.opening.errback(ZeroDivisionError("a fault of ours"))
        self.assertEqual(self.status(), 3)
        self.assertIn("h:1: a fault of nbclient", self.log.lines)
        self.assertEqual(self.endpoint.attempts, [])

    def test_so_does_one_at_what_follows(self) -> None:
        self.start("--spool", "d", "--output", "none")
        self.opening.callback("no spool")
        self.assertEqual(self.status(), 3)
        self.assertIn("h:1: a fault of nbclient", self.log.lines)

    def test_a_fault_of_ours_at_the_end_does_not_hold_it_up(self) -> None:
        job = self.start("--spool", "d", "--output", "none")

        def broken() -> None:
            raise ZeroDivisionError("a fault of ours")

        self.patch(job._spool, "close", broken)
        job.interrupt(signal.SIGINT)
        self.assertEqual(self.status(), 128 + signal.SIGINT)
        self.assertIn("h:1: a fault of nbclient", self.log.lines)

    def test_the_end_may_come_before_the_spool_is_open(self) -> None:
        job = self.start("--spool", "d", "--output", "none")
        job.interrupt(signal.SIGINT)
        self.assertEqual(self.status(), 128 + signal.SIGINT)
        self.assertEqual(self.endpoint.attempts, [])

    def test_a_spool_that_opens_after_the_end_is_not_used(self) -> None:
        job = self.start("--spool", "d", "--output", "none")
        job.link.stop()
        self.outcome()
        job._spool_opened(None)
        self.assertEqual(self.endpoint.attempts, [])

    def test_frames_set_aside_are_not_delivered(self) -> None:
        job = self.began(
            *("--delivery", "reply", "--reply-reject", "no", "--on-reject", "set-aside"),
            "--drain",
        )
        self.type(b"a\n")
        peer = self.connect()
        self.finish_input()
        peer.send(b"no\n")
        self.reactor.turn()
        self.held.step()
        self.reactor.turn()
        outcome = self.outcome()
        self.assertEqual((outcome.status, outcome.message), (1, "1 frame set aside in the spool"))
        self.assertTrue(job.link.stats().outbox.conserved())

    def test_frames_too_old_or_dropped_for_others_are_not_delivered(self) -> None:
        job = self.start("--output", "none", "--max-age", "5")
        super().type(b"a\nb\n")
        self.reactor.advance(6)
        job.interrupt(signal.SIGINT)
        self.assertEqual(self.outcome(), Outcome(1, "2 frames too old, and not sent"))

    def test_what_the_disk_did_not_take_at_first_is_no_loss(self) -> None:
        job = self.began()
        self.held.close()
        super().type(b"a\n")
        self.assertEqual(job.link.stats().outbox.refused, 1)
        self.reactor.advance(PATIENCE)
        self.assertEqual(job.link.stats().outbox.refused, 2)
        job.interrupt(signal.SIGINT)
        outcome = self.outcome()
        self.assertEqual((outcome.status, outcome.message), (1, "1 frame not delivered"))


class AbandonTests(JobCase):
    def test_what_is_cut_short_may_call_back(self) -> None:
        """An output that is abandoned says that it is closed, in the middle of the end."""
        job = self.start("--input", "none", "--output", "none")
        closing: Deferred[None] = Deferred()
        self.patch(job._outputs, "close", lambda: closing)
        self.patch(job._outputs, "abandon", lambda: closing.callback(None))
        self.endpoint.attempts[-1].refuse()
        job.interrupt(signal.SIGTERM)
        self.reactor.turn()
        self.assertNoResult(self.over)
        job.interrupt(signal.SIGTERM)
        self.assertEqual(self.successResultOf(self.over).status, 128 + signal.SIGTERM)
