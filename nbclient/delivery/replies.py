"""Which frames of the peer are answers to ours, and what they say: rules over frames.

For the delivery level ``reply``. Patterns see the first `LOOK` bytes of a frame.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum

from attrs import field, frozen

from nbclient.core import arguments
from nbclient.core.automation import LOOK
from nbclient.errors import FrameError, PatternTimeout


class Says(Enum):
    """What a frame of the peer says to a frame of ours."""

    NOTHING = "nothing"
    TAKEN = "taken"
    REJECTED = "rejected"


_PATTERN = arguments.pattern(optional=True)


@frozen
class Reply:
    """How the peer answers each frame.

    :ivar match: an answer matches this; None: every frame is an answer.
    :ivar reject: an answer that matches this says that the frame was not taken;
        it is an answer, whether it matches `match` or not.
    :ivar key: finds in both a frame and its answer what they have in common: its
        first group, or all of it where it has none. None: answers come in turn.
    :ivar window: how many frames may wait for their answers; 1 is stop-and-wait,
        as HL7's MLLP demands.
    :ivar timeout: how long an answer may take, seconds; then the connection is
        dropped, and what was not answered is sent again. None: for ever.
    """

    match: re.Pattern[bytes] | None = field(
        default=None, validator=arguments.pattern(optional=True)
    )
    reject: re.Pattern[bytes] | None = field(
        default=None, validator=arguments.pattern(optional=True)
    )
    key: re.Pattern[bytes] | None = field(default=None, validator=_PATTERN)
    window: int = field(default=1, validator=arguments.whole(1))
    timeout: float | None = field(default=30.0, validator=arguments.number(above=0, optional=True))

    def says(self, frame: bytes) -> Says:
        """Whether `frame` is an answer, and what it says."""
        start = frame[:LOOK]
        if self.reject is not None and self.reject.search(start):
            return Says.REJECTED
        if self.match is None or self.match.search(start):
            return Says.TAKEN
        return Says.NOTHING

    def key_of(self, frame: bytes) -> bytes | None:
        """What `frame` has in common with its answer; None: nothing, or it is not asked for."""
        found = None if self.key is None else self.key.search(frame[:LOOK])
        return None if found is None else found[1 if found.re.groups else 0]

    def check_all(self, frames: Sequence[bytes]) -> None:
        """Whether the answers to `frames` could be told.

        :raises FrameError: one holds no key.
        """
        if self.key is not None:
            for frame in frames:
                self.check(frame)

    def check(self, frame: bytes) -> None:
        """Whether an answer to `frame` could be told.

        :raises FrameError: it holds no key.
        """
        try:
            key = self.key_of(frame)
        except PatternTimeout as error:
            raise FrameError(str(error)) from None
        if self.key is not None and key is None:
            raise FrameError(f"the frame holds no key for its answer: {frame[:40]!r}")
