"""Stand-ins for what the command line touches: a thread, a log, a process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import LogEvent, Logger, formatEvent

from nbclient.daemon.cli.options import Settings
from nbclient.daemon.cli.parser import ShellOptions, TwistdOptions
from nbclient.daemon.links.plan import Surroundings
from nbclient.daemon.links.progress import Screen


class HandRunner:
    """A thread whose calls are made when the test says so.

    :ivar calls: those that wait; `stopped`: whether it was told to stop.
    """

    def __init__(self, at_once: bool = False) -> None:
        self.at_once = at_once
        self.calls: list[tuple[Callable[[], Any], Deferred[Any]]] = []
        self.stopped = False

    def run(self, call: Callable[[], Any]) -> Deferred[Any]:
        if self.at_once:
            return maybeDeferred(call)
        done: Deferred[Any] = Deferred()
        self.calls.append((call, done))
        return done

    def stop(self) -> None:
        self.stopped = True

    def step(self) -> None:
        """Make the oldest call, and tell its result."""
        call, done = self.calls.pop(0)
        maybeDeferred(call).chainDeferred(done)

    def steps(self) -> None:
        """Make calls until none is left."""
        while self.calls:
            self.step()


class KeptLog(Logger):
    """A logger that keeps its events."""

    def __init__(self) -> None:
        self.events: list[LogEvent] = []
        super().__init__(namespace="test", observer=self.events.append)

    @property
    def lines(self) -> list[str]:
        """The events as text."""
        return [formatEvent(event) for event in self.events]


def shell(*words: str) -> Settings:
    """The settings that ``python -m nbclient WORDS`` has."""
    options = ShellOptions()
    options.parseOptions(list(words))
    return options.settings


def daemon(*words: str) -> Settings:
    """The settings that ``twistd nbclient WORDS`` has."""
    options = TwistdOptions()
    options.parseOptions(list(words))
    return options.settings


def around(
    runner: Callable[[str], Any] | None = None,
    stdin: int | None = None,
    stdout: int | None = None,
    encoding: str | None = None,
    shown: list[str] | None = None,
    screen: Screen | None = None,
) -> Surroundings:
    """A process with these descriptors; its time of day is 1000000000."""
    return Surroundings(
        stdin=stdin,
        stdout=stdout,
        encoding=encoding,
        now=lambda: 1e9,
        show=([] if shown is None else shown).append,
        runner=runner or (lambda name: HandRunner()),
        screen=screen,
    )
