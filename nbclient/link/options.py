"""What a link was asked to be: the arguments of its constructor, checked one by one.

`LinkOptions` never changes, so that links which are alike share one, and compares by
value, so that what changed from one configuration to the next is a comparison.
"""

from __future__ import annotations

import random as _random
import time
from collections.abc import Callable
from typing import Any, ClassVar, Literal
from weakref import ref

from attrs import field, fields, frozen

from nbclient.core import arguments as check
from nbclient.core.automation import Answer, Heartbeat, Poll
from nbclient.core.backoff import Backoff
from nbclient.core.liveness import SHORTEST
from nbclient.delivery.replies import Reply
from nbclient.errors import LocalError
from nbclient.framing import Framing
from nbclient.framing.base import check_framing
from nbclient.link.admission import WHEN_FULL
from nbclient.link.pump import ON_REJECT, RULES, Rules

OUTBOX_BYTES = 64 * 1024 * 1024
"""Default bound of the outbox, bytes."""

BACKOFF = Backoff()
"""The default, shared by all links."""

LEVELS = ("auto", "written", "tcp", "reply")
"""Levels of delivery, see docs/delivery.md."""

WHEN_DOWN = ("queue", "refuse")
"""What becomes of frames while the link is not ready."""


def _framing(_: object, attribute: Any, value: object) -> None:
    if value is not None:
        check_framing(attribute.name, value)


def _backoff(given: Any) -> Any:
    return BACKOFF if given is None else given


@frozen(kw_only=True)
class LinkOptions:
    """The arguments of `nbclient.ReconnectingFactory`, which says what they are.

    :ivar rules: those of the outbox, together.
    :raises ArgumentError: one is of the wrong type, or out of its range.
    :raises LocalError: two of them make no sense together.
    """

    ARGUMENTS_OF: ClassVar[str] = ""  # messages name the argument alone

    backoff: Backoff = field(
        default=BACKOFF,
        converter=_backoff,
        validator=check.instance(Backoff, "a Backoff such as Backoff(initial=0.5, maximum=60)"),
    )
    framing: Framing | None = field(default=None, validator=_framing)
    connectTimeout: float = field(default=10.0, validator=check.number(above=0))
    openingTimeout: float = field(default=10.0, validator=check.number(above=0))
    closeTimeout: float = field(default=10.0, validator=check.number(above=0))
    silenceTimeout: float | None = field(
        default=None, validator=check.number(above=0, optional=True)
    )
    frameTimeout: float | None = field(default=None, validator=check.number(above=0, optional=True))
    deadAfter: float | None = field(
        default=None, validator=check.number(least=SHORTEST, optional=True)
    )
    answers: tuple[Answer, ...] = field(
        default=(),
        converter=check.as_tuple,
        validator=check.all_of(Answer, "a list of nbclient.talking.Answer"),
    )
    heartbeat: Heartbeat | None = field(
        default=None,
        validator=check.instance(
            Heartbeat, "a nbclient.talking.Heartbeat(frame, every)", optional=True
        ),
    )
    poll: Poll | None = field(
        default=None,
        validator=check.instance(Poll, "a nbclient.talking.Poll(frame, every)", optional=True),
    )
    sendGap: float = field(default=0.0, validator=check.number(least=0))
    outboxBytes: int = field(default=OUTBOX_BYTES, validator=check.whole(1))
    delivery: str = field(default="auto", validator=check.one_of(LEVELS))
    reply: Reply | None = field(
        default=None,
        validator=check.instance(Reply, "a nbclient.delivery.replies.Reply", optional=True),
    )
    onReject: str = field(default="stop", validator=check.one_of(ON_REJECT))
    maxAttempts: int | None = field(default=None, validator=check.whole(1, optional=True))
    settleAfter: float = field(default=0.0, validator=check.number(least=0))
    rejectLine: Any = field(default=None, validator=check.pattern(optional=True))
    maxAge: float | None = field(default=None, validator=check.number(above=0, optional=True))
    whenFull: str = field(default="wait", validator=check.one_of(WHEN_FULL))
    whenDown: str = field(default="queue", validator=check.one_of(WHEN_DOWN))
    wiretap: Callable[[Literal["in", "out"], bytes], None] | None = field(
        default=None,
        validator=check.called("a function of a direction and bytes, not async", optional=True),
    )
    wall: Callable[[], float] = field(
        default=time.time, validator=check.called("a function that gives the time of day")
    )
    random: Callable[[], float] = field(
        default=_random.random,
        validator=check.called("a function that gives a float in [0, 1)"),
    )
    rules: Rules = field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        if self.reply is not None and self.delivery != "reply":
            raise LocalError(f"reply is of no use at delivery {self.delivery!r}")
        if self.reply is None and self.delivery == "reply":
            object.__setattr__(self, "reply", Reply())
        if self.settleAfter and self.delivery == "reply":
            raise LocalError("settleAfter is of no use at delivery 'reply': an answer says more")
        rules = Rules(self.whenFull, self.maxAge, self.maxAttempts, self.onReject, self.settleAfter)
        object.__setattr__(self, "rules", RULES if rules == RULES else rules)


NAMES = tuple(each.name for each in fields(LinkOptions) if each.init)
"""Of all of them."""


def shared(options: LinkOptions) -> LinkOptions:
    """The options made last where they are the same: links made in a row are often alike."""
    global _last
    last = None if _last is None else _last()
    if last == options:
        return last
    _last = ref(options)
    return options


_last: ref[LinkOptions] | None = None
