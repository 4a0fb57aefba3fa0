"""Where received frames go.

An output takes frames in order and never blocks: it returns None while it has
room, else a Deferred that fires when it has room again, which pauses the
reading of the link. `nbclient.daemon.streams` has those that write somewhere.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import takewhile
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from nbclient.daemon.formats import Format
from nbclient.errors import FrameError
from nbclient.terminal import printable

LOG_FRAMES = 10
LOG_BYTES = 200
"""Frames a second and bytes a frame that the `log` output shows."""


class Output(ABC):
    """One place for received frames.

    :ivar name: what logs call it.
    :ivar lost: frames that were given to it and did not arrive.
    """

    name = "none"
    lost = 0

    @abstractmethod
    def write(self, frames: Sequence[bytes]) -> Deferred[None] | None:
        """Take frames; the Deferred, if any, fires when there is room again."""

    def reopen(self) -> None:  # noqa: B027 (most have nothing to open)
        """Open files anew, between two frames."""

    def close(self) -> Deferred[None]:
        """Write what was taken, then let go; never fails."""
        return succeed(None)

    def abandon(self) -> None:  # noqa: B027 (most hold nothing)
        """Let go at once; what was not written is counted. A `close` need not fire any more."""


class NoOutput(Output):
    """Forgets everything."""

    def write(self, frames: Sequence[bytes]) -> Deferred[None] | None:
        """See `Output.write`."""
        return None


class ShapedOutput(Output):
    """An output that writes frames in a format, and stops at one that it cannot carry.

    :param name: what logs call it.
    :param shape: frames -> images.
    :param log: told once, when it stops.
    """

    def __init__(self, name: str, shape: Format, log: Logger) -> None:
        self.name = name
        self._shape = shape
        self._log = log
        self._refusing = False  # takes no more frames

    def images(self, frames: Sequence[bytes]) -> list[bytes]:
        """The frames' images up to the first that cannot be carried, which stops the output."""
        if self._refusing:
            self.lost += len(frames)
            return []
        try:
            return self._shape.images(frames)
        except FrameError as error:
            good = list(takewhile(self._can_carry, frames))
            self._refuse(frames[len(good)], error)
            self.lost += len(frames) - len(good)
            return self._shape.images(good)

    def _can_carry(self, frame: bytes) -> bool:
        try:
            self._shape.images([frame])
        except FrameError:
            return False
        return True

    def _refuse(self, frame: bytes, error: FrameError) -> None:
        self._log.error(
            "output {name} stops: its framing cannot carry a frame ({error}): {frame}",
            name=self.name,
            error=error,
            frame=printable(frame, LOG_BYTES),
        )
        self._refusing = True


class LogOutput(Output):
    """A few frames a second into the log, the rest counted.

    :param clock: tells the time and calls back (`IReactorTime`).
    :param log: where to.
    :param link: the link's name, or whoever it is that speaks.
    :param verb: what it does to frames.
    """

    name = "log"

    def __init__(self, clock: Any, log: Logger, link: str, verb: str = "received") -> None:
        self._clock = clock
        self._log = log
        self._link = link
        self._verb = verb
        self._shown = 0
        self._hidden = 0
        self._second: IDelayedCall | None = None

    def write(self, frames: Sequence[bytes]) -> Deferred[None] | None:
        """See `Output.write`."""
        if self._second is None:
            self._second = self._clock.callLater(1.0, self._next_second)
        room = LOG_FRAMES - self._shown
        for frame in frames[:room]:
            self._log.info(
                "{link}: {verb} {frame}",
                link=self._link,
                verb=self._verb,
                frame=printable(frame, LOG_BYTES),
            )
        self._shown += len(frames[:room])
        self._hidden += len(frames[room:])
        return None

    def _next_second(self) -> None:
        self._second = None
        self._tell_hidden()
        self._shown = 0

    def _tell_hidden(self) -> None:
        hidden, self._hidden = self._hidden, 0
        if hidden:
            noun = "frame" if self._verb == "received" else "line"
            self._log.info(
                "{link}: {verb} {hidden} more {noun}",
                link=self._link,
                verb=self._verb,
                hidden=hidden,
                noun=noun if hidden == 1 else f"{noun}s",
            )

    def close(self) -> Deferred[None]:
        """See `Output.close`."""
        self.abandon()
        return succeed(None)

    def abandon(self) -> None:
        """See `Output.abandon`."""
        if self._second is not None:
            self._second.cancel()
            self._second = None
        self._tell_hidden()


class Outputs(Output):
    """Several outputs as one: each has every frame, and the slowest sets the pace."""

    name = "outputs"

    def __init__(self, outputs: Sequence[Output]) -> None:
        self.outputs = tuple(outputs)

    @property
    def lost(self) -> int:  # type: ignore[override]
        """Frames that some output did not get to its place."""
        return sum(output.lost for output in self.outputs)

    def write(self, frames: Sequence[bytes]) -> Deferred[None] | None:
        """See `Output.write`."""
        full = [room for output in self.outputs if (room := output.write(frames)) is not None]
        if len(full) < 2:
            return full[0] if full else None
        return DeferredList(full).addCallback(lambda _: None)

    def reopen(self) -> None:
        """See `Output.reopen`."""
        for output in self.outputs:
            output.reopen()

    def close(self) -> Deferred[None]:
        """See `Output.close`."""
        closing = DeferredList([output.close() for output in self.outputs])
        return closing.addCallback(lambda _: None)

    def abandon(self) -> None:
        """See `Output.abandon`."""
        for output in self.outputs:
            output.abandon()
