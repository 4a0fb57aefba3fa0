"""A program beside the link: what arrives is its standard input, its standard output is sent."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessExitedAlready
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from nbclient import framing
from nbclient.core.backoff import Backoff
from nbclient.daemon.inputs.intake import Intake, Source, Taker
from nbclient.daemon.local.queue import Feed
from nbclient.daemon.outputs.base import LogOutput, ShapedOutput
from nbclient.daemon.outputs.formats import Format
from nbclient.daemon.outputs.queued import os_reason

QUEUE = 1024 * 1024
"""Bytes held for the program before the link must wait."""

BACKOFF = Backoff(initial=0.5, maximum=60.0, stable_after=10.0)
"""Between an end of the program and its next start."""

PATIENCE = 1.0
"""Seconds that a program is given to end by itself, and again after SIGTERM."""

LAST_WORDS = 1.0
"""Seconds in which what a program wrote before its end is read, where somebody that it left
behind holds its pipes."""

STUCK = 10.0
"""Seconds after which the link waits no more for a program that reads nothing."""

LASTING = 1.0
"""Seconds for which a program must have run before it counts as one that reads again."""

COMPLAINT = 4096
"""Longest line of the program's standard error; a longer one is logged in pieces."""


class Child(ProcessProtocol):
    """One run of the program.

    :param owner: whose program it is.
    """

    transport: Any
    _taker: Taker

    def __init__(self, owner: Coprocess) -> None:
        self._owner = owner
        self._last_words: IDelayedCall | None = None
        self._complaints = framing.lines(max_frame=COMPLAINT).decoder()

    def connectionMade(self) -> None:
        """It runs."""
        stdin, stdout = self.transport.pipes[0], self.transport.pipes[1]
        self._taker = Taker(self._owner.intake, stdout, self._kill)
        self._owner.feed.attach(stdin)

    def _kill(self) -> None:
        """What it writes cannot be told apart any more."""
        if not self._owner.intake.stopped:
            self._owner.signal("KILL")

    def outReceived(self, data: bytes) -> None:
        """Frames to send."""
        self._taker.take(data)

    def errReceived(self, data: bytes) -> None:
        """What it has to say."""
        lines = self._complaints.feed(data)
        if self._complaints.fault is not None:
            lines = [*lines, self._complaints.eof()]
            self._complaints = framing.lines(max_frame=COMPLAINT).decoder()
        self._owner.complain(lines)

    def inConnectionLost(self) -> None:
        """It reads no more."""
        self._owner.feed.detach()

    def processExited(self, reason: Failure) -> None:
        """It has ended; those that it left behind are not waited for."""
        self._last_words = self._owner.later(LAST_WORDS, self._hear_no_more)

    def _hear_no_more(self) -> None:
        self._last_words = None
        self.transport.loseConnection()

    def processEnded(self, reason: Failure) -> None:
        """It has ended, and all it wrote was read."""
        last_words, self._last_words = self._last_words, None
        if last_words is not None:
            last_words.cancel()
        tail = self._complaints.eof()
        self._owner.complain([tail] if tail else [])
        self._owner.feed.detach()
        self._taker.finish()
        self._owner.child_ended(reason)


class Coprocess(ShapedOutput, Source):
    """An input and an output in one: a program, started again when it ends.

    Frames for it wait in a queue of `QUEUE` bytes. When that is full the link
    waits for a program that reads; while it does not run, or has read nothing
    for `STUCK` seconds, the oldest are dropped and counted. When it has ended
    and is not started again nobody wants them, so none is lost.

    :param name: what logs call it.
    :param words: the program and its arguments; no shell.
    :param shape: frames -> what it reads.
    :param intake: takes what it writes.
    :param reactor: runs it (`IReactorProcess`).
    :param log: told when it ends, and what it writes to standard error.
    :param backoff: how long to wait before it is started again; None: it is
        not, and its end is the input's.
    :param random: returns a float in ``[0, 1)``.
    """

    def __init__(
        self,
        name: str,
        words: Sequence[str],
        shape: Format,
        intake: Intake,
        reactor: Any,
        log: Logger,
        backoff: Backoff | None = BACKOFF,
        random: Callable[[], float] = random.random,
    ) -> None:
        super().__init__(name, shape, log)
        self.ended = Deferred()
        self.intake = intake
        self.feed = Feed(QUEUE, self._has_read)
        self._complaints = LogOutput(reactor, log, name, "says")
        self._words = list(words)
        self._reactor = reactor
        self._backoff = backoff
        self._random = random
        self._child: Any = None
        self._since = 0.0
        self._failures = 0
        self._stuck = False  # runs and does not read
        self._dropping = False  # and this was told
        self._crashed = False  # that was none that it chose
        self._unwanted = False  # it has ended for good, of its own accord
        self._over = False
        self._watch: IDelayedCall | None = None
        self._waiting: list[Deferred[None]] = []
        self._timer: IDelayedCall | None = None
        self._closing: Deferred[None] | None = None

    @property
    def refused(self) -> int:
        """See `Source.refused`."""
        return self.intake.refused

    @property
    def failed(self) -> bool:
        """See `Source.failed`."""
        return self.intake.broken or self._crashed

    # -- the program's life

    def start(self) -> None:
        """See `Source.start`; once the reactor runs, which is told of a program's end."""
        self._reactor.callWhenRunning(self._run)

    def _run(self) -> None:
        self._timer = None
        if self._closing is not None or self.intake.stopped:
            return
        self._since = self._reactor.seconds()
        path = shutil.which(self._words[0])
        if path is None:
            self._ended("it cannot be found", crashed=True)
            return
        try:
            self._child = self._reactor.spawnProcess(Child(self), path, self._words, os.environ)
        except (OSError, ValueError) as error:
            why = os_reason(error) if isinstance(error, OSError) else str(error)
            self._ended(f"it cannot be started: {why}", crashed=True)

    def child_ended(self, reason: Failure) -> None:
        """The program has ended."""
        self._child = None
        ended: Any = reason.value
        self._ended(how_it_ended(reason), crashed=ended.signal is not None)

    def _ended(self, why: str, crashed: bool) -> None:
        if self.feed.full:
            self._drop()
        self._let_in()
        if self._over or self._closing is not None:
            self._let_go()
        elif self._backoff is None:
            self._log.info("{name} has ended ({why})", name=self.name, why=why)
            self._unwanted, self._crashed = True, crashed
            self.feed.clear()
            self.ended.callback(None)
        else:
            self._start_later(self._backoff, why)

    def _start_later(self, backoff: Backoff, why: str) -> None:
        if self._reactor.seconds() - self._since >= backoff.stable_after:
            self._failures = 0
        self._failures += 1
        tell = self._log.warn if self._failures == 1 else self._log.debug
        tell("{name} has ended ({why}), it is started again", name=self.name, why=why)
        delay = backoff.delay(self._failures, self._random)
        self._timer = self._reactor.callLater(delay, self._run)

    def later(self, delay: float, call: Callable[[], object]) -> IDelayedCall:
        """Call it after so many seconds."""
        timer: IDelayedCall = self._reactor.callLater(delay, call)
        return timer

    def complain(self, lines: list[bytes]) -> None:
        """The program's standard error."""
        if lines and not self._over:
            self._complaints.write(lines)

    def signal(self, name: str) -> None:
        """Send the program a signal, if it runs."""
        if self._child is not None:
            with suppress(ProcessExitedAlready):
                self._child.signalProcess(name)

    # -- the output

    def write(self, frames: Sequence[bytes]) -> Deferred[None] | None:
        """See `Output.write`."""
        if self._unwanted:
            return None
        self.feed.put(self.images(frames))
        if not self.feed.full:
            return None
        if self._stuck or self._child is None:
            self._drop()
            return None
        if self._watch is None:
            self._watch = self._reactor.callLater(STUCK, self._wait_no_more)
        room: Deferred[None] = Deferred()
        self._waiting.append(room)
        return room

    def _wait_no_more(self) -> None:
        """The program runs and does not read."""
        self._watch = None
        self._stuck = True
        self._drop()
        self._let_in()

    def _drop(self) -> None:
        """Make room at the expense of the oldest."""
        if not self._dropping:
            self._log.warn("{name} does not read, its oldest frames are dropped", name=self.name)
        self._dropping = True
        self.lost += self.feed.drop_oldest()

    def _has_read(self) -> None:
        """The program takes something."""
        self._stuck = False
        self._cancel_watch()
        if self.feed.full:
            self._watch = self._reactor.callLater(STUCK, self._wait_no_more)
            return
        # What a program takes that dies at once, its pipe took.
        if self._dropping and self._reactor.seconds() - self._since >= LASTING:
            self._dropping = False
            self._log.info("{name} reads again, {lost} lost in all", name=self.name, lost=self.lost)
        self._let_in()

    def _let_in(self) -> None:
        self._cancel_watch()
        waiting, self._waiting = self._waiting, []
        for room in waiting:
            room.callback(None)

    def _cancel_watch(self) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.cancel()

    # -- the end

    def stop(self) -> None:
        """See `Source.stop`; the program is let read what is left, until `close`."""
        self.intake.stopped = True

    def close(self) -> Deferred[None]:
        """See `Output.close`; a program that does not end by itself is ended."""
        if self._closing is None:
            self._closing = Deferred()
            self._refusing = True
            self._cancel_timer()
            if self._child is None:
                self._let_go()
            else:
                self._timer = self._reactor.callLater(PATIENCE, self._terminate)
                self.feed.finish(self._child.closeStdin)
        return self._closing

    def _terminate(self) -> None:
        self._timer = self._reactor.callLater(PATIENCE, self._kill)
        self.signal("TERM")

    def _kill(self) -> None:
        self._timer = None
        self.signal("KILL")

    def abandon(self) -> None:
        """See `Output.abandon`."""
        self.intake.stopped = True
        if not self._over:
            self.signal("KILL")
            self._let_go()

    def _let_go(self) -> None:
        """Nothing is left to do, but for the child that may have to be reaped."""
        if self._over:
            return
        self._over = self._refusing = True
        self._cancel_timer()
        self._let_in()
        self.lost += len(self.feed)
        self._complaints.abandon()
        if self._closing is not None:
            self._closing.callback(None)

    def _cancel_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()


def how_it_ended(reason: Failure) -> str:
    """An exit status or a signal, in words."""
    ended: Any = reason.value
    if reason.check(ProcessDone):
        return "status 0"
    return f"signal {ended.signal}" if ended.signal is not None else f"status {ended.exitCode}"
