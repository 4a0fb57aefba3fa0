"""``python -m nbclient``, without the process around it."""

from __future__ import annotations

import signal
from typing import Any

import pytest
import twisted.internet
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from nbclient.daemon.cli import shell
from nbclient.daemon.links.runner import Outcome
from nbclient.errors import LocalError
from tests.daemon.cli.test_twistd import DaemonReactor


class FakeJob:
    """Says what it was told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def interrupt(self, number: int) -> None:
        self.told.append(signal.Signals(number).name)

    def reopen(self) -> None:
        self.told.append("reopen")


class RunTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
        for number in self.numbers:
            self.addCleanup(signal.signal, number, signal.getsignal(number))
            signal.signal(number, signal.SIG_DFL)
        self.reactor = DaemonReactor()
        self.job = FakeJob()
        self.over: Deferred[Outcome] = Deferred()

    def run_job(self, hangup_ends: bool, end: bool = True) -> Outcome:
        def running() -> None:
            DaemonReactor.run(self.reactor)
            for number in self.numbers:
                signal.raise_signal(number)
                self.reactor.turn()
            if end:
                self.over.callback(Outcome(7))

        self.reactor.run = running  # type: ignore[method-assign]
        job: Any = self.job
        return shell.run_job(self.reactor, job, self.over, hangup_ends)

    def test_signals_reach_the_job_while_the_reactor_runs(self) -> None:
        self.assertEqual(self.run_job(hangup_ends=False), Outcome(7))
        self.assertEqual(self.job.told, ["SIGINT", "SIGTERM", "reopen", "reopen"])
        self.assertEqual(self.reactor.stops, 1)
        self.assertIs(signal.getsignal(signal.SIGINT), signal.SIG_DFL)

    def test_a_terminal_that_is_gone_ends_the_job(self) -> None:
        self.run_job(hangup_ends=True)
        self.assertEqual(self.job.told, ["SIGINT", "SIGTERM", "SIGHUP", "reopen"])

    def test_a_reactor_that_somebody_else_stopped_is_an_end_too(self) -> None:
        self.assertEqual(self.run_job(hangup_ends=False, end=False), Outcome(0))


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What `run` touches, kept from the process of the tests."""
    seen: dict[str, Any] = {"observers": []}
    monkeypatch.setattr(twisted.internet, "reactor", DaemonReactor(), raising=False)
    monkeypatch.setattr(shell, "import_from_here", lambda: seen.setdefault("here", True))

    def begin(observers: list[Any], **more: Any) -> None:
        seen["observers"] += observers

    monkeypatch.setattr(shell.globalLogBeginner, "beginLoggingTo", begin)

    def run_job(reactor: Any, job: Any, over: Any, hangup_ends: bool) -> Outcome:
        seen["job"] = job
        job.abandon()
        return seen.get("outcome", Outcome(0))

    monkeypatch.setattr(shell, "run_job", run_job)
    return seen


WORDS = ["192.0.2.1", "1", "--input", "none", "--output", "none"]


def test_a_job_is_made_and_run(world: dict[str, Any]) -> None:
    assert shell.main(WORDS) == 0
    assert world["here"] is True
    assert world["job"].link.name == "192.0.2.1:1"
    assert len(world["observers"]) == 1


def test_a_current_folder_that_is_gone_is_no_obstacle(
    world: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone() -> None:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(shell, "import_from_here", gone)
    assert shell.main(WORDS) == 0


def test_why_it_ended_is_said_on_stderr(
    world: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    world["outcome"] = Outcome(1, "2 frames not delivered")
    assert shell.main([*WORDS, "--timestamps"]) == 1
    assert capfd.readouterr().err == "nbclient: 2 frames not delivered\n"


def test_what_is_wrong_is_one_line_and_status_two(
    world: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit) as caught:
        shell.main([*WORDS, "--framing", "bogus"])
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("nbclient: --framing: ")

    def start(self: object) -> None:
        raise LocalError("--output: no")

    monkeypatch.setattr(shell.Job, "start", start)
    with pytest.raises(SystemExit) as caught:
        shell.main(WORDS)
    assert capsys.readouterr().err == "nbclient: --output: no\n"


def test_ctrl_c_before_the_reactor_runs_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(settings: object) -> Outcome:
        raise KeyboardInterrupt

    monkeypatch.setattr(shell, "run", interrupted)
    assert shell.main(WORDS) == 130
