"""What the peer says in an opening, looked at step by step.

A pattern is looked for in each frame. Where there are no frames (`raw`), it is
looked for in all that came since the last match, so that it does not matter how
the network cut it. A prompt ends no line: a step that asks for it also looks at
what has come of a frame that is not finished, once nothing more comes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Protocol, cast

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from nbclient.connection.timers import Timer, timers_of
from nbclient.daemon.outputs.formats import is_raw
from nbclient.errors import PatternTimeout
from nbclient.framing.base import Framing
from nbclient.framing.pair import incoming

KEPT = 16 * 1024
"""Most bytes in which a match may begin, before those that came last: a security limit, for
they are looked through again with each chunk."""

QUIET = 0.25
"""Seconds without a byte after which an unfinished frame may be a prompt. Shorter than what
people wait for, and longer than the gaps between the pieces of one line."""

Found = Deferred[re.Match[bytes]]


class Speaker(Protocol):
    """What an opening needs of a connection, a `FrameProtocol` of a link.

    :ivar tail: what has come of a frame that is not finished.
    :ivar awaited: something received is still on its way.
    """

    framing: Framing
    factory: Any
    log: Any
    bytesIn: int

    @property
    def tail(self) -> bytes: ...

    @property
    def awaited(self) -> bool: ...

    def catchUp(self) -> None: ...

    def sendFrames(self, frames: Sequence[bytes], /) -> None:
        """Send frames on this connection."""
        ...

    def expect(self, pattern: re.Pattern[bytes], /) -> Found:
        """The first match in a frame to come."""
        ...

    def nextFrame(self) -> Deferred[bytes]:
        """The next frame, which then goes nowhere else."""
        ...


class Hearing:
    """What a peer says in one opening.

    :param speaker: the connection.
    :param apart: the frames of the opening are none of the data: they are taken.

    :ivar last: what was looked at last: a frame, or all since the last match.
    :ivar rest: where there are no frames: received behind the last match, bounded.
    :ivar passed: of the frame that has begun: what is at, or before, the last match.
    """

    def __init__(self, speaker: Speaker, apart: bool = False) -> None:
        self.last: bytes | None = None
        self.rest = b""
        self.passed = b""
        self._speaker = speaker
        self._apart = apart
        self._stream = is_raw(incoming(speaker.framing))

    def wait_for(self, pattern: re.Pattern[bytes], prompt: bool) -> Found:
        """The next match of a pattern.

        :param prompt: also in a frame that is not finished, once nothing more comes.
        :raises PatternTimeout: the pattern takes too long.
        """
        match = self._search(pattern, self.rest) if self.rest else None
        if match is not None:
            return succeed(match)
        looking = _Looking(pattern, self)
        if self._apart:
            found = Deferred.fromCoroutine(self._take(looking))
        else:
            found = self._speaker.expect(cast("re.Pattern[bytes]", looking))
        return _Prompt(self._speaker, found, pattern, self).found if prompt else found

    async def _take(self, looking: _Looking) -> re.Match[bytes]:
        while True:
            match = looking.search(await self._speaker.nextFrame())
            if match is not None:
                return match

    def look_at(self, pattern: re.Pattern[bytes], frame: bytes) -> re.Match[bytes] | None:
        """Look for a pattern in what a frame adds."""
        if self._stream:
            self.last = self.rest + frame
            return self._search(pattern, self.last)
        self.last = frame
        passed, self.passed = self.passed, b""
        return pattern.search(frame[len(passed) :] if frame.startswith(passed) else frame)

    def _search(self, pattern: re.Pattern[bytes], data: bytes) -> re.Match[bytes] | None:
        match = pattern.search(data)
        self.rest = data[-KEPT:] if match is None else data[match.end() :]
        return match

    def look_at_tail(self, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
        """Look for a pattern in what has come of a frame that is not finished."""
        tail = self._speaker.tail
        start = len(self.passed) if tail.startswith(self.passed) else 0
        start = max(start, len(tail) - KEPT)
        match = pattern.search(tail[start:])
        if match is not None:
            self.passed = tail[: start + match.end()]
        return match


class _Looking:
    """A pattern for `FrameProtocol.expect`."""

    def __init__(self, pattern: re.Pattern[bytes], hearing: Hearing) -> None:
        self._pattern = pattern
        self._hearing = hearing

    def search(self, frame: bytes) -> re.Match[bytes] | None:
        return self._hearing.look_at(self._pattern, frame)


class _Prompt:
    """The first match in a frame, or in one that is not finished while nothing more comes.

    :param in_frames: the former.

    :ivar found: either.
    """

    def __init__(
        self, speaker: Speaker, in_frames: Found, pattern: re.Pattern[bytes], hearing: Hearing
    ) -> None:
        self.found: Found = Deferred(lambda _: in_frames.cancel())
        self._speaker = speaker
        self._in_frames = in_frames
        self._pattern = pattern
        self._hearing = hearing
        self._timers = timers_of(speaker.factory.clock)
        self._timer: Timer | None = None
        self._looked_at = -1  # how much had come at the last look
        self._over = False
        self._wait()
        in_frames.addBoth(self._end)

    def _wait(self) -> None:
        self._came = self._speaker.bytesIn
        self._timer = self._timers.after(QUIET, self._look, None)

    def _look(self, _: object) -> None:
        self._timer = None
        self._speaker.catchUp()  # more may lie in this host's kernel
        if self._over:
            return
        came = self._speaker.bytesIn
        if came == self._came and came != self._looked_at and not self._speaker.awaited:
            self._looked_at = came
            try:
                match = self._hearing.look_at_tail(self._pattern)
            except PatternTimeout:
                self._end(Failure())
                return
            if match is not None:
                self._end(match)
                return
        self._wait()

    def _end(self, result: Any) -> None:
        """The first result counts; also one that says that nothing more comes."""
        if self._over:
            return
        self._over = True
        if self._timer is not None:
            self._timers.cancel(self._timer)
        if not self._in_frames.called:
            self._in_frames.cancel()
        self.found.callback(result)
