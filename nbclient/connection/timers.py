"""Timers of many links on one clock: a heap of their own behind one delayed call.

A delayed call of Twisted's takes half a kilobyte and is sorted in Python. Ten
thousand links have as many timers at any time, and most of them are cancelled
before they are due.

**A late timer is judged after a read.** A reactor calls what is due before it reads its
sockets. After a standstill of this process (SIGSTOP, a paused container, a callback that
blocked, a jump of the clock) timeouts are due although the peer's data lies in this host's
kernel. So a timer that is late by more than `LATE` is put off by one turn of the reactor,
in which the sockets are read, and is called then, if that did not cancel it.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Any, TypeAlias
from weakref import WeakValueDictionary

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

Timer: TypeAlias = list[Any]
"""When, which, what to call, and with what; the latter two are None once it is over. Of one
that is late, by how much. A list, because the interpreter compares lists by itself."""

EARLY = 1e-6
"""What is due in so many seconds is due: sums of floats are not exact."""

LATE = 0.1
"""A timer called so many seconds after it was due shows that this process stood still."""

GRACE = 10
"""A standstill gives at most so many times its own length once more."""

DEAD = 64
"""So many cancelled timers, and a quarter of the others' number, may stay in the heap."""


class Timers:
    """Calls what is due on one clock, in order; see `timers_of`.

    :param clock: an `IReactorTime`.
    :ivar late: how long after it was due the timer now being called was first seen,
        seconds; 0 where that was in time. It had its turn of the reactor.
    """

    log = Logger(namespace="nbclient")

    __slots__ = (
        "__weakref__",
        "_at",
        "_call",
        "_clock",
        "_heap",
        "_live",
        "_number",
        "_stood",
        "_woke",
        "late",
    )

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self._heap: list[Timer] = []
        self._live = 0
        self._number = 0
        self._call: IDelayedCall | None = None
        self._at = 0.0  # when that one is due
        self.late = 0.0
        self._woke = self._stood = 0.0  # the last standstill: its end, and how long it was at least

    def grace(self, limit: float) -> float:
        """What is left of the time that a standstill gives once more, seconds; 0 or less: nothing.

        What was said before it, or is said only behind it, needs time to be answered, and
        that was not the peer's. The time is `limit`, but after a short standstill no more
        than `GRACE` times what that took: a busy process must still find a dead peer in time.
        """
        since = max(0.0, float(self._clock.seconds()) - self._woke)
        return min(limit, GRACE * self._stood) - since

    def after(self, delay: float, call: Callable[[Any], object], argument: Any) -> Timer:
        """Have ``call(argument)`` called in so many seconds.

        What it raises is logged.
        """
        if self._call is not None and not self._call.active():
            self._forget()
        at = self._clock.seconds() + delay
        timer = [at, self._number, call, argument]
        self._number += 1
        self._live += 1
        heappush(self._heap, timer)
        if self._call is None or at < self._at:
            try:
                self._arm()
            except BaseException:  # the caller is told: it must not be called all the same
                self.cancel(timer)
                raise
        return timer

    def cancel(self, timer: Timer) -> None:
        """Have it not called; nothing where it is over."""
        if timer[2] is None:
            return
        timer[2] = timer[3] = None
        self._live -= 1
        heap = self._heap
        if not self._live:
            self._forget()
        elif heap and heap[-1] is timer:  # set and cancelled at once, as many are
            heap.pop()
        elif len(heap) > self._live + self._live // 4 + DEAD:
            self._heap = [each for each in heap if each[2] is not None]
            heapify(self._heap)

    def _forget(self) -> None:
        """Nothing is to be called: all are cancelled, or all of the clock's calls, by others.

        The latter is how tests are cleaned up (Twisted's trial does it).
        """
        for timer in self._heap:
            timer[2] = timer[3] = None
        self._heap.clear()
        self._live = 0
        call, self._call = self._call, None
        if call is not None and call.active():
            call.cancel()

    def _arm(self) -> None:
        """Wake up when the first timer is due, if there is one."""
        heap = self._heap
        while heap and heap[0][2] is None:
            heappop(heap)
        if not heap:
            return
        self._at = heap[0][0]
        delay = max(0.0, self._at - self._clock.seconds())
        if self._call is None:
            self._call = self._clock.callLater(delay, self._due)
        else:
            self._call.reset(delay)

    def _due(self) -> None:
        self._call = None
        now = self._clock.seconds()
        heap = self._heap
        ready = []
        while heap and heap[0][0] <= now + EARLY:
            ready.append(heappop(heap))
        for timer in ready:
            call, argument, *late = timer[2:]
            if call is None:  # cancelled, maybe by one before it
                continue
            if not late and now - timer[0] > LATE:
                timer.append(now - timer[0])  # a fifth: it had its turn
                if self._woke != now:  # the first of them is the latest
                    self._woke, self._stood = now, now - timer[0]
                heappush(self._heap, timer)
                continue
            timer[2] = timer[3] = None
            self._live -= 1
            self.late = sum(late)
            try:
                call(argument)
            except BaseException:  # the reactor does so, too: those behind it are others'
                self.log.failure("a timer failed")
        self.late = 0.0
        if not self._live:
            self._forget()
        elif self._call is None:
            self._armAgain()

    def _armAgain(self) -> None:
        """Nobody else sets what wakes all of them: a clock that fails once is asked again."""
        try:
            self._arm()
        except BaseException:
            self.log.failure("the clock failed to set a timer")
            self._arm()


_shared: WeakValueDictionary[int, Timers] = WeakValueDictionary()


def timers_of(clock: Any) -> Timers:
    """The timers that all links on this clock share.

    They keep the clock, so that its identity is not another's while they live.
    """
    found = _shared.get(id(clock))
    if found is None:
        found = _shared[id(clock)] = Timers(clock)
    return found
