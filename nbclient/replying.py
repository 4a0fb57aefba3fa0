"""Delivery level ``reply`` on one connection: which frames the peer has answered.

The rules are in `nbclient.delivery.replies` and `nbclient.delivery.outstanding`;
this puts them on the clock.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall

from nbclient.delivery.outstanding import Outstanding
from nbclient.delivery.replies import Reply, Says

Answered = Callable[[int, Says, bytes], object]
"""Told a frame's number, what the answer says, and the answer."""


class Replying:
    """Matches the peer's frames with the frames of the outbox that wait for an answer.

    :param answered: told of each answer.
    :param late: told when an answer did not come in time; the connection is to be dropped.
    :param clock: for the timer.
    :param now: seconds on a monotonic scale.
    """

    def __init__(
        self,
        reply: Reply,
        answered: Answered,
        late: Callable[[], object],
        clock: Any,
        now: Callable[[], float],
    ) -> None:
        key = None if reply.key is None else reply.key_of
        self._reply = reply
        self._outstanding: Outstanding[int] = Outstanding(reply.window, reply.timeout, key)
        self._answered = answered
        self._late = late
        self._clock = clock
        self._now = now
        self._timer: IDelayedCall | None = None

    def takes(self, frame: bytes) -> bool:
        """Whether `frame` may be sent now."""
        outstanding = self._outstanding
        if outstanding.room <= 0:
            return False
        return self._reply.key is None or outstanding.usable(self._reply.key_of(frame))

    def sending(self, seq: int, frame: bytes) -> None:
        """The frame of this number is about to be written."""
        self._outstanding.sent(seq, self._now(), self._reply.key_of(frame))
        self._watch()

    def heard(self, frame: bytes) -> None:
        """A frame arrived from the peer."""
        says = self._reply.says(frame)
        request = None if says is Says.NOTHING else self._outstanding.matched(frame)
        if request is not None:
            self._answered(request.item, says, frame)

    def stop(self) -> None:
        """Nobody is to be told of late answers any more."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _watch(self) -> None:
        left = self._outstanding.remaining(self._now())
        if left is not None and self._timer is None:
            self._timer = self._clock.callLater(max(0.0, left), self._look)

    def _look(self) -> None:
        self._timer = None
        if self._outstanding.expired(self._now()):
            self._late()
        else:
            self._watch()
