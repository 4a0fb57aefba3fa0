"""The job as a service of twistd."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import twisted.internet
from attrs import evolve
from twisted.application.service import Application, MultiService
from twisted.trial.unittest import SynchronousTestCase

from nbclient.daemon.cli import twistd
from nbclient.daemon.cli.options import TWISTD
from nbclient.daemon.cli.twistd import JobService, TwistdOptions, exit_with, leave, make_service
from nbclient.daemon.links.plan import make_plan
from nbclient.errors import LocalError
from nbclient.testing import FakeEndpoint, FakeReactor
from tests.conformance.daemon import KeptLog, around, daemon

TO = ("--host", "192.0.2.1", "--port", "1")


class DaemonReactor(FakeReactor):
    """Runs, stops, and hears of other threads."""

    def __init__(self) -> None:
        super().__init__()
        self.running = False
        self.stops = 0
        self.waiting: list[Callable[[], object]] = []

    def callWhenRunning(self, call: Callable[[], object]) -> None:
        if self.running:
            call()
        else:
            self.waiting.append(call)

    def callFromThread(self, call: Callable[..., object], *arguments: object) -> None:
        self.callLater(0, call, *arguments)

    def run(self) -> None:
        self.running = True
        for call in self.waiting:
            call()

    def stop(self) -> None:
        self.stops += 1


class ServiceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = DaemonReactor()
        self.endpoint = FakeEndpoint(self.reactor)
        self.log = KeptLog()
        self.statuses: list[int] = []
        self.patch(twistd, "exit_with", self.statuses.append)
        numbers = (signal.SIGHUP, signal.SIGUSR1, signal.SIGTERM, signal.SIGINT)
        for number in numbers:
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        # As twistd with a log file, and Twisted once it runs.
        self.rotated: list[int] = []
        self.ended: list[int] = []
        signal.signal(signal.SIGUSR1, lambda number, frame: self.rotated.append(number))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, frame: self.ended.append(number))
        signal.signal(signal.SIGHUP, signal.SIG_DFL)

    def service(self, *words: str) -> JobService:
        settings = daemon(*TO, *words)
        plan = make_plan(self.reactor, settings, TWISTD, around())
        return JobService(self.reactor, settings, evolve(plan, endpoint=self.endpoint), self.log)

    def kill(self, number: int) -> None:
        os.kill(os.getpid(), number)
        self.reactor.turn()

    def running(self, *words: str) -> JobService:
        service = self.service(*words)
        service.startService()
        self.reactor.run()
        return service

    def test_it_runs_a_job_from_start_to_stop(self) -> None:
        service = self.running()
        peer = self.endpoint.attempts[-1].accept()
        self.reactor.turn()
        peer.send(b"a\n")
        self.reactor.turn()
        self.assertTrue(any("received b'a'" in line for line in self.log.lines))
        stopped = service.stopService()
        self.assertNoResult(stopped)
        self.reactor.turn()
        self.successResultOf(stopped)
        self.assertEqual((self.reactor.stops, self.statuses), (0, []))
        self.assertEqual(signal.getsignal(signal.SIGHUP), signal.SIG_DFL)

    def test_giving_up_ends_the_process_with_its_status(self) -> None:
        service = self.running("--retries", "0")
        self.endpoint.attempts[-1].refuse()
        self.reactor.turn()
        self.assertEqual((self.reactor.stops, self.statuses), (1, [3]))
        self.assertEqual(self.log.lines[-1], "finished, exit status 3")
        self.successResultOf(service.stopService())

    def test_a_file_that_cannot_be_opened_ends_it_with_status_two(self) -> None:
        service = self.service("--output", "/nonexistent/x")
        service.startService()
        self.assertIn("--output: /nonexistent/x: no such file or directory", self.log.lines)
        self.assertEqual(self.statuses, [2])
        self.assertEqual(self.reactor.stops, 0)
        self.reactor.run()
        self.assertEqual(self.reactor.stops, 1)
        self.successResultOf(service.stopService())

    def test_a_plan_may_be_made_at_the_start(self) -> None:
        service = JobService(self.reactor, daemon(*TO), None, self.log)
        service.startService()
        (attempt,) = self.reactor.attempts
        self.assertEqual(attempt.address.host, "192.0.2.1")
        service.stopService()
        self.reactor.turn()

    def test_what_was_not_delivered_is_logged_at_the_end(self) -> None:
        service = self.running()
        job: Any = service._job
        job.link.send([b"a", b"b"])
        service.stopService()
        self.reactor.turn()
        self.assertEqual(self.log.lines[-1], "2 frames not delivered")
        self.assertEqual((self.reactor.stops, self.statuses), (0, []))

    def test_hup_and_usr1_reopen_the_files_and_usr1_rotates_twistds_log_too(self) -> None:
        service = self.running()
        self.kill(signal.SIGHUP)
        self.assertEqual(self.log.lines.count("reopening the output files"), 1)
        self.kill(signal.SIGUSR1)
        self.assertEqual(self.log.lines.count("reopening the output files"), 2)
        self.assertEqual(self.rotated, [signal.SIGUSR1])
        service.stopService()
        self.reactor.turn()
        self.kill(signal.SIGUSR1)
        self.assertEqual(self.rotated, [signal.SIGUSR1] * 2)
        self.assertEqual(self.log.lines.count("reopening the output files"), 2)

    def own_log(self, path: Path) -> tuple[JobService, Path]:
        """A service that runs and logs to a file, which was renamed to this."""
        service = self.service()
        service._log_path = str(path)
        service.setServiceParent(Application("nbclient"))
        assert service._own_log is not None
        self.addCleanup(service._own_log.close)
        service._own_log.write("one\n")
        service.startService()
        self.reactor.run()
        return service, path.rename(f"{path}.1")

    def folder(self) -> Path:
        made = tempfile.TemporaryDirectory()
        self.addCleanup(made.cleanup)
        return Path(made.name)

    def opens_anew(self, number: int) -> None:
        path = self.folder() / "log"
        service, old = self.own_log(path)
        self.kill(number)
        assert service._own_log is not None
        service._own_log.write("two\n")
        self.assertEqual((old.read_text(), path.read_text()), ("one\n", "two\n"))
        self.assertFalse(Path(f"{path}.2").exists())
        self.assertIn("reopening the output files", self.log.lines)
        service.stopService()
        self.reactor.turn()

    def test_hup_opens_twistds_log_anew_where_it_was_renamed(self) -> None:
        self.opens_anew(signal.SIGHUP)

    def test_so_does_usr1_and_does_not_rename_the_new_one(self) -> None:
        self.opens_anew(signal.SIGUSR1)

    def test_where_that_fails_it_says_so_and_keeps_the_old_one(self) -> None:
        path = self.folder() / "log"
        service, _ = self.own_log(path)
        path.mkdir()
        self.kill(signal.SIGHUP)
        says = "the log cannot be opened anew, the old one is kept: is a directory"
        self.assertIn(says, self.log.lines)
        service.stopService()
        self.reactor.turn()

    def test_a_log_that_cannot_be_opened_is_one_line_and_status_two(self) -> None:
        service = self.service()
        service._log_path = "/nonexistent/log"
        with pytest.raises(SystemExit) as caught:
            service.setServiceParent(Application("nbclient"))
        self.assertEqual(caught.value.code, 2)

    def test_a_parent_that_is_no_application_logs_for_itself(self) -> None:
        service = self.service()
        service._log_path = "/nonexistent/log"
        service.setServiceParent(MultiService())
        self.assertIsNone(service._own_log)

    def test_usr1_does_not_kill_where_twistd_has_no_log_file(self) -> None:
        signal.signal(signal.SIGUSR1, signal.SIG_DFL)
        service = self.running()
        self.kill(signal.SIGUSR1)
        self.assertEqual(self.log.lines.count("reopening the output files"), 1)
        service.stopService()
        self.reactor.turn()

    def test_the_first_signal_is_twisteds_and_the_second_ends_at_once(self) -> None:
        service = self.running()
        peer = self.endpoint.attempts[-1].accept()
        self.reactor.turn()
        peer.stall()
        job: Any = service._job
        job.link.send([b"x" * 100])
        self.kill(signal.SIGTERM)
        self.assertEqual(self.ended, [signal.SIGTERM])
        stopped = service.stopService()
        self.reactor.turn()
        self.assertNoResult(stopped)
        self.kill(signal.SIGINT)
        self.successResultOf(stopped)
        self.assertEqual(self.ended, [signal.SIGTERM])
        self.reactor.turn()
        self.assertTrue(peer.aborted)

    def test_a_signal_before_anything_runs_does_no_harm(self) -> None:
        service = self.service()
        service._reopen()
        service._end(signal.SIGTERM)
        service._end(signal.SIGTERM)
        self.assertEqual(self.log.lines, [])


class MakeServiceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = DaemonReactor()
        from twisted.internet import reactor  # noqa: F401 (so that it can be replaced)

        self.patch(twisted.internet, "reactor", self.reactor)

    def options(self, *words: str, **parent: Any) -> TwistdOptions:
        options = TwistdOptions()
        options.parseOptions([*TO, *words])
        options.parent = parent or None
        return options

    def test_it_opens_nothing(self) -> None:
        made = tempfile.TemporaryDirectory()
        self.addCleanup(made.cleanup)
        folder = Path(made.name)
        service = make_service(self.options("--output", f"{folder}/x"))
        self.assertIsInstance(service, JobService)
        self.assertEqual(self.reactor.attempts, [])
        self.assertEqual(list(folder.iterdir()), [])

    def test_what_is_bound_to_fail_is_told_while_somebody_reads_it(self) -> None:
        for option in ("--input", "--output", "--spool"):
            with pytest.raises(SystemExit) as caught:
                make_service(self.options(option, "/nonexistent/x"))
            self.assertEqual(caught.value.code, 2)
        with pytest.raises(SystemExit) as caught:
            make_service(self.options("--bad-frames", "/dev/null/x"))
        self.assertEqual(caught.value.code, 2)

    def test_in_the_background_it_hands_what_fails_back_to_twistd(self) -> None:
        statuses: list[int] = []
        self.patch(twistd, "exit_with", statuses.append)
        for nodaemon in (0, 1):
            words = ("--output", "/nonexistent/x")
            service = make_service(self.options(*words, rundir="/srv", nodaemon=nodaemon))
            if nodaemon:
                service.startService()
            else:
                with pytest.raises(LocalError, match=r"^--output: /nonexistent/x: no such file"):
                    service.startService()
        self.assertEqual(statuses, [2, 2])

    def test_it_puts_the_reactor_on_the_monotonic_clock_if_it_can(self) -> None:
        warned: list[str] = []
        self.patch(twistd, "use_monotonic_clock", lambda reactor: bool(warned.append("asked")))
        make_service(self.options())
        self.assertEqual(warned, ["asked"])
        self.patch(twistd, "use_monotonic_clock", lambda reactor: True)
        make_service(self.options())

    def test_what_is_wrong_is_one_line_and_status_two(self) -> None:
        with pytest.raises(SystemExit) as caught:
            make_service(self.options("--framing", "bogus"))
        self.assertEqual(caught.value.code, 2)

    def test_where_paths_will_move_the_plan_is_made_later(self) -> None:
        words = ("--opening-file", "./not-here-yet")
        for parent in ({"rundir": "/srv"}, {"chroot": "/srv"}):
            make_service(self.options(*words, **parent))
        with pytest.raises(SystemExit):
            make_service(self.options(*words, rundir=".", chroot=None))


def test_the_status_is_kept_for_the_very_end(monkeypatch: pytest.MonkeyPatch) -> None:
    registered: list[Any] = []
    monkeypatch.setattr("atexit.register", lambda *call: registered.append(call))
    exit_with(0)
    exit_with(3)
    assert registered == [(leave, 3)]
    left: list[int] = []
    monkeypatch.setattr(os, "_exit", left.append)
    leave(3)
    assert left == [3]
