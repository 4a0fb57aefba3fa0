"""Where received frames go.

An output takes frames in order and never blocks: it returns None while it has
room, else a Deferred that fires when it has room again, which pauses the
reading of the link. `nbclient.daemon.outputs.queued` has those that write somewhere.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from nbclient.core.terminal import printable
from nbclient.daemon.outputs.formats import Format

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

    @property
    def waiting(self) -> int:
        """Frames that were given to it and are not at their place yet."""
        return 0

    @abstractmethod
    def write(self, frames: Sequence[bytes]) -> Deferred[None] | None:
        """Take frames; the Deferred, if any, fires when there is room again."""

    def show_unfinished(self, tail: bytes) -> None:  # noqa: B027 (only a terminal does)
        """Show what has come of a frame that is not finished; b"": no more of it comes."""

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
    """An output that writes frames in a format.

    What a peer sends does not end an output: a frame that the format cannot carry
    is written in other words, where the format has some, and left out where not.
    Of each the first is logged, and then the count whenever it is ten times as
    high: a peer that sends nothing else must not fill the log.

    :param name: what logs call it.
    :param shape: frames -> images.
    :param log: told of the frames that were not written as they came.
    """

    _reworded = 0  # frames written in other words
    _left_out = 0

    def __init__(self, name: str, shape: Format, log: Logger) -> None:
        self.name = name
        self._shape = shape
        self._log = log
        self._refusing = False  # takes no more frames

    def images(self, frames: Sequence[bytes]) -> list[bytes]:
        """The frames' images, without those of frames that cannot be carried."""
        if self._refusing:
            self.lost += len(frames)
            return []
        try:
            return self._shape.images(frames)
        except Exception:  # of a user's own framing, whatever it raises
            images = [self._image(frame) for frame in frames]
            return [image for image in images if image is not None]

    def _image(self, frame: bytes) -> bytes | None:
        try:
            return self._shape.images([frame])[0]
        except Exception as error:
            image = self._shape.instead(frame)
            if image is None:
                self.lost += 1
                self._left_out += 1
                if _is_power_of_ten(self._left_out):
                    self._say(self._log.error, "left out", self._left_out, frame, error)
            else:
                self._reworded += 1
                if _is_power_of_ten(self._reworded):
                    self._say(self._log.warn, "escaped", self._reworded, frame, error)
            return image

    def _say(
        self, log: Callable[..., None], what: str, count: int, frame: bytes, error: Exception
    ) -> None:
        log(
            "output {name}: {frames} {what}, its framing cannot carry {them} ({error}): {shown}",
            name=self.name,
            frames="a frame is" if count == 1 else f"{count} frames were",
            what=what,
            them="it" if count == 1 else "them, the last one",
            error=error,
            shown=printable(frame, LOG_BYTES),
        )


def _is_power_of_ten(count: int) -> bool:
    while count % 10 == 0:
        count //= 10
    return count == 1


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

    @property
    def waiting(self) -> int:
        """See `Output.waiting`."""
        return sum(output.waiting for output in self.outputs)

    def write(self, frames: Sequence[bytes]) -> Deferred[None] | None:
        """See `Output.write`."""
        full = [room for output in self.outputs if (room := output.write(frames)) is not None]
        if len(full) < 2:
            return full[0] if full else None
        return DeferredList(full).addCallback(lambda _: None)

    def show_unfinished(self, tail: bytes) -> None:
        """See `Output.show_unfinished`."""
        for output in self.outputs:
            output.show_unfinished(tail)

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
