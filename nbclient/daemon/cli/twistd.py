"""``twistd nbclient``: a job as a service of Twisted's daemon."""

from __future__ import annotations

import atexit
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from twisted.application.service import IService, Service
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger, globalLogPublisher
from twisted.python.components import Componentized

from nbclient.daemon.cli.options import TWISTD, Settings
from nbclient.daemon.cli.parser import TwistdOptions as TwistdOptions
from nbclient.daemon.cli.parser import refuse
from nbclient.daemon.config.values import shown
from nbclient.daemon.links.masking import Masker
from nbclient.daemon.links.plan import Plan, make_plan, surroundings
from nbclient.daemon.links.runner import USAGE, Job, Outcome
from nbclient.daemon.outputs.queued import os_reason
from nbclient.daemon.process.clock import use_monotonic_clock
from nbclient.daemon.process.logs import make_logger
from nbclient.daemon.process.ownlog import OwnLog, log_to, path_of
from nbclient.daemon.process.preflight import look_at
from nbclient.daemon.process.signals import Signals
from nbclient.errors import LocalError


def make_service(options: TwistdOptions) -> IService:
    """The service that these options describe.

    What can be known to fail is said here, where somebody still reads stderr:
    twistd goes into the background next.

    :raises SystemExit: status 2, after one line on stderr.
    """
    from twisted.internet import reactor

    settings = options.settings
    masker = Masker()
    log = make_logger(settings.verbosity)
    if not use_monotonic_clock(reactor):
        log.warn("timers are set already, the reactor stays on the time of day")
    try:
        plan = None if _moves(options) else _plan(reactor, settings, masker)
        if plan is not None:
            targets = [place for place, _ in plan.targets]
            look_at(plan.source, targets, settings.spool, settings.bad_frames)
    except LocalError as error:
        refuse(masker.text(str(error)))
    # In front of twistd's own, which come once the service is made.
    globalLogPublisher.addObserver(masker)
    parent: Any = options.parent or {}
    unseen = not parent.get("nodaemon", True)
    return JobService(reactor, settings, plan, log, unseen, path_of(parent), masker)


def _moves(options: TwistdOptions) -> bool:
    """Whether relative paths will mean something else when the service starts."""
    parent: Any = options.parent or {}
    return bool(parent.get("chroot")) or parent.get("rundir", ".") != "."


def _plan(reactor: Any, settings: Settings, masker: Masker) -> Plan:
    return make_plan(reactor, settings, TWISTD, surroundings(reactor, masker=masker))


class JobService(Service):
    """Runs one job; when it ends by itself, so does the process, with its status.

    :param plan: None where it can only be made once the service starts.
    :param unseen: it starts in the background, where the exit status and stderr
        are no longer the caller's; what a service raises at its start, twistd
        hands back.
    :param log_path: the file that twistd logs to, if it does.
    :param masker: knows what is not to be logged; takes it out of the log until the end.
    """

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        plan: Plan | None,
        log: Logger,
        unseen: bool = False,
        log_path: str | None = None,
        masker: Masker | None = None,
    ) -> None:
        self._masker = masker or Masker()
        self._unseen = unseen
        self._log_path = log_path
        self._own_log: OwnLog | None = None
        self._reactor = reactor
        self._settings = settings
        self._plan = plan
        self._log = log
        self._job: Job | None = None
        self._stopping = False
        self._signalled = False
        self._signals = Signals(
            reactor,
            {
                signal.SIGHUP: self._reopen,
                signal.SIGUSR1: self._rotate,
                signal.SIGTERM: lambda: self._end(signal.SIGTERM),
                signal.SIGINT: lambda: self._end(signal.SIGINT),
            },
        )

    def setServiceParent(self, parent: Any) -> None:
        """Where twistd is to log is known to its application before it begins to."""
        super().setServiceParent(parent)
        if self._log_path is not None and isinstance(parent, Componentized):
            try:
                self._own_log = log_to(self._log_path, parent, self._reactor)
            except OSError as error:
                refuse(f"--logfile: {shown(self._log_path)}: {os_reason(error)}")

    def startService(self) -> None:
        """Open everything and begin; nothing was opened before.

        :raises LocalError: that failed, in the background.
        """
        super().startService()
        try:
            plan = self._plan or _plan(self._reactor, self._settings, self._masker)
            job = Job(self._reactor, self._settings, plan, self._log, surroundings(self._reactor))
            over = job.start()
        except LocalError as error:
            self._finished(Outcome(USAGE, str(error)))
            if self._unseen:
                raise
            return
        self._job = job
        over.addCallback(self._finished)
        # Twisted takes the signals when the reactor runs: after that.
        self._reactor.callWhenRunning(self._signals.install)

    def stopService(self) -> Deferred[None]:
        """End in good order.

        :return: fires within --close-timeout and a second.
        """
        super().stopService()
        self._stopping = True
        stopped = succeed(None) if self._job is None else self._job.stop()
        return stopped.addBoth(self._restore_signals)

    def _restore_signals(self, _: object) -> None:
        self._signals.restore()
        globalLogPublisher.removeObserver(self._masker)

    def _finished(self, outcome: Outcome) -> None:
        """The job is over: by itself, or because the service stops."""
        if outcome.message:
            self._log.error("{why}", why=outcome.message)
        if self._stopping:
            return
        self._log.info("finished, exit status {status}", status=outcome.status)
        exit_with(outcome.status)
        self._reactor.callWhenRunning(self._reactor.stop)

    def _reopen(self) -> None:
        """SIGHUP: files that were renamed are let go of."""
        if self._own_log is not None:
            self._moved_on(self._own_log.follow)
        self._reopen_outputs()

    def _rotate(self) -> None:
        """SIGUSR1, with which twistd rotates its own log."""
        rotate = self._signals.before(signal.SIGUSR1)
        if self._own_log is not None:
            self._moved_on(self._own_log.rotate)
        elif rotate is not None:
            rotate(signal.SIGUSR1, None)
        self._reopen_outputs()

    def _moved_on(self, move: Callable[[], object]) -> None:
        try:
            move()
        except OSError as error:
            why = os_reason(error)
            self._log.error("the log cannot be opened anew, the old one is kept: {why}", why=why)

    def _reopen_outputs(self) -> None:
        if self._job is not None:
            self._job.reopen()

    def _end(self, number: int) -> None:
        """The first signal ends as twistd does; the next one at once."""
        end = self._signals.before(number)
        if self._signalled and self._job is not None:
            self._job.abandon()
        elif end is not None:
            end(number, None)
        self._signalled = True


def exit_with(status: int) -> None:
    """Have the process exit with `status`, after twistd has removed its pidfile.

    Twisted has no way to say it (twisted #11335), and swallows SystemExit.
    """
    if status:
        atexit.register(leave, status)


def leave(status: int) -> None:
    """End this process now, at the end of everything else."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
