"""One job: a link with its input and outputs, from the start to the exit status."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from attrs import frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from nbclient import endpoints
from nbclient.connection.timers import Timer, timers_of
from nbclient.connection.wording import explain
from nbclient.core.states import State
from nbclient.daemon.cli.options import Settings
from nbclient.daemon.config.values import shown
from nbclient.daemon.inputs.intake import Source
from nbclient.daemon.links import notices
from nbclient.daemon.links.builder import Link, make_link
from nbclient.daemon.links.check_report import report
from nbclient.daemon.links.ends import Ends
from nbclient.daemon.links.plan import Plan, Surroundings
from nbclient.daemon.links.progress import Progress
from nbclient.daemon.links.prompts import Prompts
from nbclient.daemon.links.sending import Sending
from nbclient.daemon.links.spool import JobSpool
from nbclient.daemon.outputs.base import Outputs
from nbclient.daemon.outputs.queued import os_reason
from nbclient.daemon.process.demo import INTRODUCTION, DemoFeed
from nbclient.daemon.process.signals import BY_SIGNAL
from nbclient.errors import GaveUp, LinkError, LocalError, NBClientError

FINISHED, UNDELIVERED, USAGE, GAVE_UP, OUT_OF_TIME = range(5)

GRACE = 1.0
"""Seconds beyond --close-timeout: an aborted connection may take so long to say so."""

AT_ONCE = 0.25
"""Seconds after a signal until it is said what its end waits for; most ends are over by then."""

LULL = 1.0
"""How long a program that writes our input may pause until a peer that has closed its side,
and may have closed both, is left, seconds."""

LOOKS = 4
"""How often during --wait it is looked whether the peer still sends."""


@frozen
class Outcome:
    """How a job ended.

    :ivar status: the exit status.
    :ivar message: a line for stderr, "" where there is nothing to say.
    """

    status: int
    message: str = ""


class Job:
    """A link, its input, its outputs, and how it ends.

    :param reactor: runs it.
    :param settings: what was asked for.
    :param plan: what became of it, from `make_plan`.
    :param log: where to log.
    :param around: what the process has.
    """

    def __init__(
        self, reactor: Any, settings: Settings, plan: Plan, log: Logger, around: Surroundings
    ) -> None:
        self._reactor = reactor
        self._settings = settings
        self._plan = plan
        self._log = log
        self._around = around
        self.link: Link = make_link(
            settings, plan.protocol, plan.framing, log, reactor, plan.masker
        )
        self.link.script = plan.script
        self.link.opening_framing = plan.opening_framing
        self._outputs = Outputs(())
        self._input: Source | None = None
        self._sending = Sending(self.link, reactor, log)
        self._spool = JobSpool(reactor, plan.spool, log)
        self._demo: DemoFeed | None = None
        self._progress: Progress | None = None
        self._prompts = Prompts(reactor, self.link, self._show_unfinished)
        self._timers: list[Timer] = []
        self._began = 0.0
        self._over: Deferred[Outcome] = Deferred()
        self._verdict: Outcome | None = None
        self._unacknowledged = False  # nobody knows what arrived of what was sent last
        self._unwanted = False  # nobody reads standard output any more
        self._signal = 0
        self._finishing = False
        self._told = ""  # of delivery, last
        self._first = True  # no attempt has failed, and no connection was lost

    # -- the start -------------------------------------------------------------------

    def start(self) -> Deferred[Outcome]:
        """Open the files and begin.

        :return: fires with the outcome; never fails.
        :raises LocalError: a file cannot be opened; nothing was begun.
        """
        self._prepare_bad_frames()
        ends = Ends(
            self._reactor,
            self._plan,
            self._around,
            self.link,
            self._log,
            not (self._settings.once or self._settings.drain),
            self._nobody_reads,
            self._sending,
            self._spool,
        )
        source, outputs = ends.open()
        self._progress = ends.progress
        self._outputs = Outputs(outputs)
        link = self.link
        link.outputs = self._outputs
        link.observe(self._changed)
        link.whenStopped().addCallback(self._link_stopped)
        if self._settings.max_time is not None:
            self._later(self._settings.max_time, self._time_over)
        if self._settings.check:
            self._when(link.whenReady(), self._report)
        if source is not None:
            self._input = source
            link.feeding = self._feeding()
            source.ended.addCallback(self._input_ended)
            source.start()
        if self._spool.wanted:
            opening: Deferred[Any] = self._spool.open()
            opening.addCallbacks(self._spool_opened, self._no_spool).addErrback(self._failed)
        else:
            self._begin()
        return self._over

    def _prepare_bad_frames(self) -> None:
        """A folder that cannot be used is not found out when the first bad frame is lost."""
        if self.link.bad_frames is None:
            return
        try:
            self.link.bad_frames.prepare()
        except OSError as error:
            where = shown(str(self._settings.bad_frames))
            raise LocalError(f"--bad-frames: {where}: {os_reason(error)}") from None

    def _spool_opened(self, spool: Any) -> None:
        if self.link.state is State.IDLE:
            self.link.useSpool(spool)
            self._sending.spool = spool
            self._begin()

    def _no_spool(self, failure: Failure) -> None:
        if failure.check(CancelledError):  # the end came first
            return
        failure.trap(NBClientError)
        self._verdict = Outcome(USAGE, f"--spool: {failure.value}")
        self.link.stop()

    def _begin(self) -> None:
        """Let the input's frames in, and dial."""
        self._sending.begin()
        if self._progress is not None:
            self._progress.start()
        if any(shape.shows_unfinished for _, shape in self._plan.targets):
            self._prompts.start()
        missing = notices.unwatched(self._settings, self._plan)
        if missing:
            self._log.warn("{link}: {why}", link=self.link.name, why=missing)
        self._began = self._reactor.seconds()
        # Last: an attempt may fail, and with it the job end, before this returns.
        self.link.start(self._endpoint(), self._reactor)

    def _endpoint(self) -> Any:
        if not self._settings.demo:
            return self._plan.endpoint
        self._demo = DemoFeed(self._reactor)
        port = self._demo.start()
        self._log.info(INTRODUCTION)
        return endpoints.tcp(self._reactor, "127.0.0.1", port)

    # -- on the way ------------------------------------------------------------------

    def reopen(self) -> None:
        """Open the output files anew."""
        self._log.info("reopening the output files")
        self._outputs.reopen()

    def _changed(self, old: State, new: State, reason: Failure | None) -> None:
        said = self._log.info if self._first else self._log.debug
        if new is State.CONNECTING:
            said("{link}: connecting", link=self.link.name)
        elif new is State.OPENING and self._plan.script:
            said("{link}: connected", link=self.link.name)
        elif new is State.WAITING:
            self._first = False
        elif new is State.READY:
            self._tell_delivery()

    def _tell_delivery(self) -> None:
        """The level in force, at the first connection, and when another one has another."""
        told = self._delivery()
        if told != self._told:
            self._told = told
            self._log.info("{link}: delivery: {told}", link=self.link.name, told=told)

    def _show_unfinished(self, tail: bytes) -> None:
        self._outputs.show_unfinished(tail)

    def _delivery(self) -> str:
        return notices.delivery(self.link.stats().delivery, self._settings)

    def _when(self, event: Deferred[Any], then: Callable[[Any], object]) -> None:
        """Call `then` at an event of the link; where the link ends first, its end says why."""
        event.addCallback(then).addErrback(self._failed)

    def _failed(self, failure: Failure) -> None:
        """A fault of ours, which nobody would see: the job ends for it."""
        if not failure.check(LinkError):
            self._log.failure("{link}: a fault of nbclient", failure, link=self.link.name)
            self._end(Outcome(GAVE_UP))
            self._hasten()

    def _later(self, delay: float, call: Callable[..., object], *arguments: object) -> None:
        timer = timers_of(self._reactor).after(delay, lambda given: call(*given), arguments)
        self._timers.append(timer)

    # -- what leads to the end ---------------------------------------------------------

    def _feeding(self) -> float:
        """How long the input may have nothing to send to a peer that has closed its side."""
        if not (self._settings.once or self._settings.drain):
            return 0.0
        kind, stdin = self._plan.source.kind, self._around.stdin
        if kind == "-" and stdin is not None and os.isatty(stdin):
            return 0.0
        return self._settings.close_timeout if kind == "file" else LULL

    def _input_ended(self, _: None) -> None:
        link = self.link
        link.feeding = 0.0
        if self._settings.once:
            ready = link.whenReady().addCallback(lambda _: link.whenDrained())
            self._when(ready, self._half_close)
        elif self._settings.drain:
            self._when(link.whenDrained(), self._drained)
        else:
            stdin = self._around.stdin
            typed = self._plan.source.kind == "-" and stdin is not None and os.isatty(stdin)
            log = self._log.info if typed else self._log.debug
            log("{link}: end of input; the link stays up, Ctrl-C ends it", link=link.name)

    def _drained(self, _: None = None) -> None:
        """--drain: all is delivered; the outputs get what has come of the peer until now."""
        connection = self.link.connection
        if connection is None or not connection.afterRead(self._drained, whole=True):
            self._end(Outcome(FINISHED))

    def _half_close(self, _: None) -> None:
        """--once: all is sent; the peer may have something to say yet."""
        self.link.connection.finishWriting()
        self._wait(self.link.stats().bytes_in, LOOKS)

    def _wait(self, received: int, left: int) -> None:
        """End when nothing came for --wait seconds."""
        stats = self.link.stats()
        if stats.bytes_in != received or stats.reading_held:
            left = LOOKS
        if left:
            self._later(self._settings.wait / LOOKS, self._wait, stats.bytes_in, left - 1)
        else:
            self._end(Outcome(FINISHED))

    def _report(self, connection: Any) -> None:
        """--check: the link is ready."""
        proxy = self._settings.proxy
        whose = "the proxy" if proxy is not None and proxy.kind == "https" else ""
        where, *lines = report(connection, self._reactor.seconds() - self._began, whose)
        if proxy is not None:
            lines.insert(0, f"through: {proxy}, which has connected us to the peer")
        lines.append(f"delivery: {self._delivery()}")
        for line in (where, *lines):
            self._around.show(line)
        self._end(Outcome(FINISHED))

    def _time_over(self) -> None:
        self._verdict = Outcome(OUT_OF_TIME, f"--max-time: {self._settings.max_time:g} s are over")
        self._end(self._verdict)
        self._hasten()

    def _nobody_reads(self) -> None:
        """Standard output is closed: whoever wanted the frames has left."""
        self._unwanted = True
        self._end(Outcome(FINISHED))
        self._hasten()

    def interrupt(self, number: int) -> None:
        """A signal: the first ends in good order, the second at once."""
        if self._signal:
            self.abandon()
            return
        self._signal = number
        if self._verdict is None or self._verdict.status == FINISHED:
            self._verdict = Outcome(BY_SIGNAL + number)
        self.stop()

    def _tell_what_waits(self) -> None:
        """An end that takes its time says what for."""
        link = self.link
        unsent = link.outbox.in_flight if self._spool.wanted else link.stats().outbox.waiting
        if link.state is not State.CLOSING:
            unsent = 0  # no connection is waited for
        self._log.warn(
            "{link}: ends within {most:g} s, {what}; another signal ends it at once",
            link=link.name,
            most=self._settings.close_timeout + GRACE - AT_ONCE,
            what=" and ".join(_what_waits(unsent, self._outputs.waiting)),
        )

    def stop(self) -> Deferred[None]:
        """End in good order, within --close-timeout and `GRACE`.

        :return: fires when everything is closed.
        """
        stopped: Deferred[None] = Deferred()

        def over(outcome: Outcome) -> Outcome:
            stopped.callback(None)
            return outcome

        self._over.addCallback(over)
        if not self._over.called:
            self._end(Outcome(FINISHED))
            self._hasten()
        if not self._over.called:
            self._later(AT_ONCE, self._tell_what_waits)
        return stopped

    def abandon(self) -> None:
        """End now; what is not delivered is counted."""
        if self.link.connection is not None:
            self.link.connection.abortConnection()
        self._finish()

    def _hasten(self) -> None:
        """Whatever is still open when --close-timeout has passed is cut short."""
        if not self._over.called:
            self._later(self._settings.close_timeout + GRACE, self.abandon)

    def _end(self, outcome: Outcome) -> None:
        """Tell the link to stop, in good order."""
        if self._verdict is None:
            self._verdict = outcome
        if self.link.state is State.READY:
            self._unacknowledged = self.link.stats().delivery == "written"
        if self._input is not None:
            self._input.stop()
        self._sending.stop()
        self.link.stop()

    # -- the end -----------------------------------------------------------------------

    def _link_stopped(self, gave_up: GaveUp | None) -> None:
        if self._verdict is None:
            self._verdict = self._judge(gave_up)
        if self._input is not None:
            self._input.stop()
        self._sending.stop()
        closing: Deferred[Any] = self._outputs.close()
        closing.addCallback(lambda _: self._spool.close()).addErrback(self._failed)
        closing.addCallback(lambda _: self._finish())

    def _judge(self, gave_up: GaveUp | None) -> Outcome:
        """The link stopped by itself."""
        link, reason = self.link, self.link.lastReason
        if link.once and link.was_ready and reason is not None:
            if reason.check(ConnectionDone):
                return Outcome(FINISHED)
            return Outcome(GAVE_UP, f"{link.name}: {explain(reason)}")
        # That it gave up, and why, is in the log.
        return Outcome(FINISHED if gave_up is None else GAVE_UP)

    def _finish(self) -> None:
        if self._over.called or self._finishing:
            return
        self._finishing = True  # what is abandoned below may call back
        timers, self._timers = self._timers, []
        for timer in timers:
            timers_of(self._reactor).cancel(timer)
        self._outputs.abandon()
        if self.link.bad_frames is not None:
            self.link.bad_frames.close()
        self._prompts.stop()
        if self._progress is not None:
            self._progress.close()
        if self._demo is not None:
            self._demo.stop()
        self._over.callback(self._settled(self._verdict or Outcome(FINISHED)))

    def _settled(self, verdict: Outcome) -> Outcome:
        """The outcome, now that it is known what was delivered."""
        undelivered = [] if self._unwanted else self._undelivered()
        said = [verdict.message] if verdict.message else []
        status = verdict.status
        if undelivered and status not in (USAGE, GAVE_UP, OUT_OF_TIME):
            status = UNDELIVERED
        return Outcome(status, "; ".join([*said, *undelivered, *self._kept()]))

    @property
    def _unread(self) -> bool:
        """Whether there is an input that was not read to an end."""
        return not (self._input is None or self._input.exhausted)

    @property
    def _failed_input(self) -> bool:
        """True if there is an input of which not all was read, for it failed."""
        return self._input is not None and self._input.failed

    def _cut_short(self) -> bool:
        """Whether the input has failed, or has an end that was waited for and not reached."""
        if not self._unread:
            return False
        if self._failed_input:
            return True
        kind, stdin = self._plan.source.kind, self._around.stdin
        ends = self._settings.once or self._settings.drain
        piped = kind == "-" and ends and stdin is not None and not os.isatty(stdin)
        return piped or (kind == "file" and not self._spool.wanted)

    def _kept(self) -> list[str]:
        """What was not delivered and is not lost, in words."""
        if not self._spool.wanted:
            return []
        words = []
        waiting = self.link.stats().outbox.waiting
        if waiting:
            words.append(
                f"{_frames(waiting)} {_waits(waiting)} in the spool {self._spool.directory}"
            )
        if self._plan.source.kind == "file" and self._unread and not self._failed_input:
            words.append("the input was not read to its end, where the next run goes on")
        return words

    def _undelivered(self) -> list[str]:
        """What did not get to where it should, in words."""
        outbox = self.link.stats().outbox
        words = []
        lacking = outbox.refused - self._sending.again + outbox.abandoned + outbox.undecided
        if self._spool.wanted and self._plan.source.kind in ("file", "tail"):
            lacking -= self._sending.late  # behind the cursor: the next run reads them again
        lacking += 0 if self._spool.wanted else outbox.waiting + outbox.set_aside
        lacking += 0 if self._input is None else self._input.refused
        if lacking:
            words.append(f"{_frames(lacking)} not delivered")
        if self._cut_short():
            words.append("the input was not read to its end")
        for count, what in (
            (outbox.expired, "too old, and not sent"),
            (outbox.dropped, "dropped to make room"),
            (outbox.set_aside if self._spool.wanted else 0, "set aside in the spool"),
        ):
            if count:
                words.append(f"{_frames(count)} {what}")
        skipped = self.link.stats().skipped
        if skipped:
            words.append(f"{skipped} of the peer's frames were bad and passed over")
        if self._outputs.lost:
            words.append(f"{_frames(self._outputs.lost)} not stored")
        if self.link.once and self.link.tails:
            words.append("the last frame received was cut off")
        reason = self.link.lastReason
        if self._unacknowledged and reason is not None and reason.check(ConnectionAborted):
            words.append("the connection was cut short, what was sent last may not have arrived")
        return words


def _frames(number: int) -> str:
    return f"{number} frame{'' if number == 1 else 's'}"


def _what_waits(unsent: int, unwritten: int) -> list[str]:
    words = [f"{_frames(unsent)} not delivered yet"] if unsent else []
    words += [f"{_frames(unwritten)} not stored yet"] if unwritten else []
    return words or ["not all is closed yet"]


def _waits(number: int) -> str:
    return "waits" if number == 1 else "wait"
