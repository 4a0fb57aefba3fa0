"""``python -m nbclient``: a job in a terminal or a script."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.logger import globalLogBeginner

from nbclient.daemon.cli.options import SHELL, Settings
from nbclient.daemon.cli.parser import ShellOptions, refuse
from nbclient.daemon.links.builder import import_from_here
from nbclient.daemon.links.masking import Masker
from nbclient.daemon.links.plan import make_plan, surroundings
from nbclient.daemon.links.progress import Screen
from nbclient.daemon.links.runner import FINISHED, Job, Outcome
from nbclient.daemon.process.clock import use_monotonic_clock
from nbclient.daemon.process.logs import StderrLines, make_logger, one_line, write_stderr
from nbclient.daemon.process.signals import BY_SIGNAL, Signals
from nbclient.errors import LocalError

INTERRUPTED = BY_SIGNAL + signal.SIGINT


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, run, and say how it went.

    :param arguments: without the program's name; None: those of this process.
    :return: the exit status; more than `BY_SIGNAL` is that and the signal that ended it.
    :raises SystemExit: status 2, after one line on stderr; 0 after --help.
    """
    try:
        options = ShellOptions()
        options.parseOptions(arguments)
        outcome = run(options.settings)
    except KeyboardInterrupt:  # before the reactor ran
        return INTERRUPTED
    if outcome.message:
        message = one_line(outcome.message.replace("\n", "\\n"))
        write_stderr(f"nbclient: {message}\n".encode("utf-8", "backslashreplace"))
    return outcome.status


def run(settings: Settings) -> Outcome:
    """Run one job on the global reactor, which cannot run again afterwards.

    :raises SystemExit: status 2, after one line on stderr.
    """
    from twisted.internet import reactor

    with suppress(OSError):  # the current folder may be gone: then nothing is in it
        import_from_here()
    use_monotonic_clock(reactor)
    screen = Screen()
    masker = Masker()
    now = time.time if settings.timestamps else None
    globalLogBeginner.beginLoggingTo(
        [StderrLines(settings.verbosity, now, screen.write, masker.text)],
        discardBuffer=True,
        redirectStandardIO=False,
    )
    log = make_logger(settings.verbosity)
    around = surroundings(reactor, screen, masker)
    try:
        plan = make_plan(reactor, settings, SHELL, around)
        job = Job(reactor, settings, plan, log, around)
        over = job.start()
    except LocalError as error:
        refuse(masker.text(str(error)))
    outcome = run_job(reactor, job, over, hangup_ends=any(map(os.isatty, (0, 1, 2))))
    return evolve(outcome, message=masker.text(outcome.message))


def run_job(reactor: Any, job: Job, over: Deferred[Outcome], hangup_ends: bool) -> Outcome:
    """Run the reactor until the job is over.

    :param hangup_ends: SIGHUP means that the terminal is gone, and ends the
        job; else it reopens the output files.
    """
    outcomes: list[Outcome] = []

    def finished(outcome: Outcome) -> None:
        outcomes.append(outcome)
        reactor.callWhenRunning(reactor.stop)

    signals = Signals(
        reactor,
        {
            signal.SIGINT: lambda: job.interrupt(signal.SIGINT),
            signal.SIGTERM: lambda: job.interrupt(signal.SIGTERM),
            signal.SIGHUP: (lambda: job.interrupt(signal.SIGHUP)) if hangup_ends else job.reopen,
            signal.SIGUSR1: job.reopen,
        },
    )
    # Twisted takes the signals when the reactor runs: after that.
    reactor.callWhenRunning(signals.install)
    over.addCallback(finished)
    reactor.run()
    signals.restore()
    return outcomes[0] if outcomes else Outcome(FINISHED)  # somebody else stopped the reactor
