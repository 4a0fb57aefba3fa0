"""Delivery level ``reply`` on one connection: which frames the peer has answered.

The rules are in `nbclient.delivery.replies` and `nbclient.delivery.outstanding`;
this puts them on the clock.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from nbclient.connection.timers import Timer, timers_of
from nbclient.core.liveness import INSTANT
from nbclient.delivery.outstanding import Outstanding
from nbclient.delivery.replies import Reply, Says

Answered = Callable[[int, Says, bytes], object]
"""Told a frame's number, what the answer says, and the answer."""


class Replying:
    """Matches the peer's frames with the frames of the outbox that wait for an answer.

    :param answered: told of each answer.
    :param late: told when an answer did not come in time; the connection is to be dropped.
    :param catchUp: reads what has reached this host, before an answer is called late.
    :param spokeWithin: whether something left this host within so many seconds.
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
        catchUp: Callable[[], object] = lambda: None,
        spokeWithin: Callable[[float], bool] = lambda _: False,
    ) -> None:
        key = None if reply.key is None else reply.key_of
        self._reply = reply
        self._outstanding: Outstanding[int] = Outstanding(reply.window, reply.timeout, key)
        self._answered = answered
        self._late = late
        self._timers = timers_of(clock)
        self._now = now
        self._catchUp = catchUp
        self._spokeWithin = spokeWithin
        self._timer: Timer | None = None
        self._over = False
        self._heldSince: float | None = None
        self._held = 0.0  # seconds for which this side did not read

    @property
    def waiting(self) -> int:
        """How many frames wait for their answers."""
        return len(self._outstanding)

    def takes(self, frame: bytes) -> bool:
        """Whether `frame` may be sent now, or cannot be sent at all (`check`)."""
        outstanding = self._outstanding
        if outstanding.room <= 0:
            return False
        return self._reply.key is None or outstanding.usable(self._reply.key_of(frame))

    def check(self, frame: bytes) -> None:
        """Whether an answer to `frame` could be told: it may have been stored under other rules.

        :raises FrameError: it holds no key.
        """
        self._reply.check(frame)

    def sending(self, seq: int, frame: bytes, received: int = 0) -> None:
        """The frame of this number is about to be written.

        :param received: bytes that the peer has sent until now: no answer to it ends in them.
        """
        self._outstanding.sent(seq, self._time(), self._reply.key_of(frame), received)
        self._watch()

    def heard(self, frame: bytes, upto: int | None = None) -> None:
        """A frame arrived from the peer.

        :param upto: bytes that the peer had sent when it was complete; None: it has just come.
        """
        says = self._reply.says(frame)
        request = None if says is Says.NOTHING else self._outstanding.matched(frame, upto)
        if request is not None:
            self._answered(request.item, says, frame)

    def hold(self, held: bool) -> None:
        """This side stopped reading (True) or reads again (False): no answer is late meanwhile."""
        now = self._now()
        if held:
            self._heldSince = now
            self._stopTimer()
        elif self._heldSince is not None:
            self._held += now - self._heldSince
            self._heldSince = None
            self._watch()

    def stop(self) -> None:
        """Nobody is to be told of late answers any more; of answers, they are."""
        self._over = True
        self._stopTimer()

    def _stopTimer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            self._timers.cancel(timer)

    def _time(self) -> float:
        """Seconds on a scale that stands still while this side does not read."""
        return (self._now() if self._heldSince is None else self._heldSince) - self._held

    def _watch(self) -> None:
        left = self._outstanding.remaining(self._time())
        idle = self._timer is None and self._heldSince is None and not self._over
        if left is not None and idle:
            self._timer = self._timers.after(max(0.0, left), self._look, False)

    def _look(self, again: bool) -> None:
        """An answer should be late, unless it has reached this host by now."""
        self._timer = None
        self._catchUp()
        if self._over or self._timer is not None or self._heldSince is not None:
            return
        left = self._outstanding.remaining(self._time() + INSTANT)
        late = self._timers.late
        if left is None or left > 0:
            self._watch()
        elif late and not again and self._spokeWithin(late):
            # The frame may have left only after this process had stood still.
            timeout = cast(float, self._outstanding.timeout)
            self._timer = self._timers.after(timeout, self._look, True)
        else:
            self._outstanding.expired(self._time() + INSTANT)
            self._late()
