"""What a link says by itself: answers, heartbeats, polls. Rules over frames and times, no clock.

All times are seconds on one monotonic scale that the caller chooses. Nothing
here enters an outbox, and nothing is sent again on a new connection.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from attrs import define, field, frozen

from nbclient.core import arguments
from nbclient.errors import ArgumentError

LOOK = 4096
"""How much of a frame a pattern gets to see, bytes, so that a long frame cannot
keep it busy. (A pattern that backtracks for ever does so on a short one, too.)"""


LEAST_PATIENCE = 5.0
"""How long a poll waits for its answer where nothing else is said, seconds."""


@frozen
class Answer:
    """What to send whenever a frame matches.

    :ivar pattern: searched in the first `LOOK` bytes of a frame.
    :ivar template: the frame to send; ``\\1`` and ``\\g<name>`` stand for what
        the pattern's groups matched, as in `re.Match.expand`.
    """

    pattern: re.Pattern[bytes] = field(validator=arguments.pattern())
    template: bytes = field(validator=arguments.frame())

    def __attrs_post_init__(self) -> None:
        if isinstance(self.pattern, re.Pattern):  # others find out when they are used
            try:
                self.pattern.sub(self.template, b"")
            except (re.error, IndexError) as error:
                takes = f"a template of the groups of its pattern ({error})"
                raise ArgumentError("Answer: template", self.template, takes) from None

    def to(self, frame: bytes) -> bytes | None:
        """The answer to `frame`, or None where it is none of ours."""
        match = self.pattern.search(frame[:LOOK])
        return None if match is None else match.expand(self.template)


def first_answer(answers: Sequence[Answer], frame: bytes) -> bytes | None:
    """What the first of `answers` that matches has to say to `frame`."""
    for answer in answers:
        said = answer.to(frame)
        if said is not None:
            return said
    return None


@frozen
class Heartbeat:
    """A frame to send when nothing was sent for a while.

    :ivar frame: what to send.
    :ivar every: after so many seconds without anything sent.
    """

    frame: bytes = field(validator=arguments.frame())
    every: float = field(validator=arguments.number(above=0))

    def due(self, last_sent: float) -> float:
        """When to send, if nothing else is sent before."""
        return last_sent + self.every


@frozen
class Poll:
    """A frame to send on a fixed schedule, as long as it is answered.

    :ivar frame: what to send.
    :ivar every: seconds from one to the next, answered or not.
    :ivar timeout: how long the next one waits for an answer to the last, seconds.
    """

    frame: bytes = field(validator=arguments.frame())
    every: float = field(validator=arguments.number(above=0))
    timeout: float = field(default=LEAST_PATIENCE, validator=arguments.number(above=0))


@define
class Polling:
    """A `Poll` on one connection: when to ask next.

    A tick that passes while an answer is still awaited is skipped, never made
    up for: a slow device is not asked in bursts.

    :ivar asked: polls sent.
    :ivar unanswered: polls given up.
    :ivar left_out: ticks without a poll, because those before had not left yet.
    """

    poll: Poll
    start: float
    asked: int = 0
    unanswered: int = 0
    left_out: int = 0
    _waiting_since: float | None = None

    def due(self, now: float) -> float:
        """The next tick after `now`."""
        ticks = max(0, math.floor((now - self.start) / self.poll.every) + 1)
        return self.start + ticks * self.poll.every

    def tick(self, now: float) -> bool:
        """At a tick: whether to ask now; the caller does so."""
        if self._waiting_since is not None:
            if now - self._waiting_since < self.poll.timeout:
                return False
            self.unanswered += 1
        self.asked += 1
        self._waiting_since = now
        return True

    def heard(self) -> None:
        """A frame arrived: the answer."""
        self._waiting_since = None
