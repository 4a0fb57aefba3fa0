"""Requests that wait for their answers: which answer is whose, and which are overdue.

Serves whoever sends something and needs the peer's application to answer: the
caller keeps what stands for a request (a Deferred, a place in the outbox) as
`Request.item`, and gets it back with the answer, the timeout or the loss.

How an answer finds its request:

* in turn (no `key`): the n-th answer belongs to the n-th request, as in Redis,
  SMTP or, with a window of one, HL7's MLLP. After a timeout nobody can say
  whether the next answer is late or the next request's, so none is believed any
  more: `broken` is set, and **the connection has to be dropped**;
* by key (an identifier that the answer repeats, as in Modbus TCP): after a
  timeout the connection can stay. A late answer finds no request; its key is
  not used again until it has come, or for `OWED` timeouts, or for the
  `RETIRED` keys that time out after it (`usable`).

What had arrived when a request left is no answer to it. A caller that numbers
what arrives (`Request.mark`, and `arrival` of `matched`) is held to that, where
frames wait a while between their arrival and their match.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from types import CoroutineType
from typing import Any, Generic, NamedTuple, TypeVar, cast

from nbclient.errors import LocalError

T = TypeVar("T")

RETIRED = 10_000
"""Keys of overdue requests remembered, at most: a bound on memory."""

OWED = 10
"""For so many timeouts an answer is owed that did not come: a peer that sometimes answers
nothing would otherwise use up every key that there is."""


class Request(NamedTuple, Generic[T]):
    """A request that was sent.

    :ivar item: what the caller gave.
    :ivar key: what its answer will carry; in turn: None.
    :ivar sent: when, seconds on the caller's monotonic scale.
    :ivar mark: the number of the last arrival before it.
    """

    item: T
    key: Hashable
    sent: float
    mark: int = 0


def _no_key(made: CoroutineType[Any, Any, Any]) -> LocalError:
    made.close()
    return LocalError("answerKey cannot be async: its result is needed at once")


class Outstanding(Generic[T]):
    """The requests in flight on one connection, oldest first.

    All times are seconds on one monotonic scale that the caller chooses.

    :param window: how many may be in flight; 1 is stop-and-wait.
    :param timeout: seconds from a request to its answer; None: for ever.
    :param key: takes an answer's key out of a frame, or None where the frame
        answers nothing; without it answers come in turn.
    :ivar retired: the keys of requests that timed out, whose answers are owed, and until when.
    :raises ValueError: for a figure that makes no sense.
    """

    def __init__(
        self,
        window: int,
        timeout: float | None,
        key: Callable[[bytes], Hashable | None] | None = None,
    ) -> None:
        if window < 1:
            raise ValueError(f"'window' must be at least 1: {window}")
        if timeout is not None and not timeout > 0:
            raise ValueError(f"'timeout' must be more than 0 seconds: {timeout}")
        self.window = window
        self.timeout = timeout
        self.broken = False
        self._key = key
        # By key; in turn by a number of our own. One timeout for all, so the
        # oldest is always the first to be overdue.
        self._flight: OrderedDict[Hashable, Request[T]] = OrderedDict()
        self.retired: OrderedDict[Hashable, float] = OrderedDict()
        self._number = 0

    def __len__(self) -> int:
        return len(self._flight)

    @property
    def room(self) -> int:
        """How many more may be sent now; none on a connection that has to be dropped."""
        return 0 if self.broken else self.window - len(self._flight)

    def usable(self, key: Hashable) -> bool:
        """Whether a request may carry `key`: nothing of that key is owed."""
        return key not in self._flight and key not in self.retired

    def sent(self, item: T, now: float, key: Hashable | None = None, mark: int = 0) -> None:
        """A request leaves now. To be called before it is written: its answer may be quick.

        :param key: what its answer will carry; needed by key, meaningless in turn.
        :param mark: the number of the last arrival, never less than before.
        :raises LocalError: there is no `room`, or the key is not `usable`.
        """
        if self.room <= 0:
            raise LocalError(f"there is no room: {len(self)} of {self.window} requests wait")
        while self.retired and next(iter(self.retired.values())) <= now:
            self.retired.popitem(last=False)
        place: Hashable
        if self._key is None:
            self._number += 1
            place = self._number
        elif key is None or not self.usable(key):
            raise LocalError(f"the key {key!r} cannot be used: an answer to it is still owed")
        else:
            place = key
        self._flight[place] = Request(item, key, now, mark)

    def unsent(self) -> None:
        """The last request of `sent` did not leave after all."""
        self._flight.popitem()

    def matched(self, frame: bytes, arrival: int | None = None) -> Request[T] | None:
        """The request that `frame` answers, which is then no longer in flight; or None.

        Where the one it answers has timed out, its key is free again.

        :param arrival: the number of the arrival that completed the frame: it
            answers nothing that left afterwards. None: it answers whatever it can.
        """
        if self._key is None:
            if not self._takes(arrival):
                return None
            return self._flight.popitem(last=False)[1]
        key = self._key(frame)
        if key is None:
            return None
        request = self._flight.get(key)
        if request is None:
            if isinstance(key, CoroutineType):
                raise _no_key(key)
            self.retired.pop(key, None)
        elif arrival is None or request.mark < arrival:
            return self._flight.pop(key)
        return None

    def late(self, frame: bytes) -> None:
        """Something else has taken `frame`: where it was a late answer, its key is free again."""
        if self._key is not None and self.retired:
            self.retired.pop(self._key(frame), None)

    def first(self, frames: Sequence[bytes], start: int, arrival: int | None = None) -> int:
        """The place of the first answer in `frames` from `start` on, or their number.

        One that is late counts: its key is free once `matched` has seen it. Changes
        nothing.
        """
        if self._key is None:
            return start if self._takes(arrival) else len(frames)
        for place in range(start, len(frames)):
            key = self._key(frames[place])
            request = None if key is None else self._flight.get(key)
            if request is None:
                if isinstance(key, CoroutineType):
                    raise _no_key(key)
                if key in self.retired:
                    return place
            elif arrival is None or request.mark < arrival:
                return place
        return len(frames)

    def _takes(self, arrival: int | None) -> bool:
        """In turn: whether the next frame is an answer."""
        if self.broken or not self._flight:
            return False
        return arrival is None or next(iter(self._flight.values())).mark < arrival

    def remaining(self, now: float) -> float | None:
        """Seconds until the first request is overdue; None: none will be."""
        if self.timeout is None or self.broken or not self._flight:
            return None
        return self.timeout - (now - next(iter(self._flight.values())).sent)

    def expired(self, now: float) -> list[Request[T]]:
        """The requests overdue at `now`, oldest first; they are no longer in flight.

        In turn this sets `broken`, and what remains in flight waits for `lost`.
        """
        overdue = []
        while (left := self.remaining(now)) is not None and left <= 0:
            place, request = self._flight.popitem(last=False)
            overdue.append(request)
            if self._key is not None:
                self._retire(place, now)
        # Afterwards: `remaining` knows no deadline on a broken connection.
        self.broken = self.broken or (self._key is None and bool(overdue))
        return overdue

    def lost(self) -> list[Request[T]]:
        """The connection is gone: everything in flight, oldest first.

        The same object can serve the next connection, which owes nothing.
        """
        requests = list(self._flight.values())
        self._flight.clear()
        self.retired.clear()
        self.broken = False
        return requests

    def _retire(self, key: Hashable, now: float) -> None:
        self.retired[key] = now + OWED * cast(float, self.timeout)
        if len(self.retired) > RETIRED:
            self.retired.popitem(last=False)
