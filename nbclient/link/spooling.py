"""An outbox whose frames are on disk: stored first, then sent, then forgotten.

`Spooling` stands between the link and its `Spool`: it keeps the oldest frames
in memory, ready to be sent, and the rest on disk.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from nbclient.delivery.outbox import Outbox, Ranges

if TYPE_CHECKING:  # not every Python has SQLite, and most links need none
    from nbclient.spool.database import SpooledFrame
    from nbclient.spool.spool import Spool

SPOOL_BYTES = 1024 * 1024 * 1024
"""Default bound of a spool, bytes."""

RELOAD = 1.0
"""Seconds until frames that could not be read are asked for again."""

Cursor = tuple[str, str]
"""Name and value of an input's cursor."""


def open_spool(
    reactor: Any,
    directory: str | Path,
    link: str,
    peer: str,
    limit: int = SPOOL_BYTES,
    *,
    adopt: bool = False,
    wait: float = 10.0,
) -> Deferred[Spool]:
    """Open a link's spool in a thread, and start it: for ``ReconnectingFactory(spool=...)``.

    Who opens it closes it, after the link has stopped. To be called after a fork.

    :param reactor: where its callbacks are called.
    :param link: the link's name: one link, one folder in `directory`.
    :param peer: where the frames go, as text.
    :param limit: the bound, bytes.
    :param adopt: what it holds for another peer goes to this one.
    :param wait: how long another owner is waited for, seconds.
    :return: the spool; fails with `SpoolError`. Cancelling gives up waiting.
    """
    from nbclient.spool.spool import Spool

    given_up = threading.Event()

    def opened() -> Spool:
        return Spool.open(
            directory,
            link,
            peer,
            limit,
            deliver=reactor.callFromThread,
            adopt=adopt,
            wait=wait,
            pause=given_up.wait,
        )

    def start(spool: Spool) -> Spool:
        spool.start()
        if given_up.is_set():  # nobody wants it any more
            spool.close()
        return spool

    opening: Deferred[Spool] = deferToThreadPool(reactor, reactor.getThreadPool(), opened)
    outcome: Deferred[Spool] = Deferred(lambda _: given_up.set())
    opening.addCallback(start)
    opening.addCallbacks(
        lambda spool: None if given_up.is_set() else outcome.callback(spool),
        lambda why: None if given_up.is_set() else outcome.errback(why),
    )
    return outcome


class Spooling:
    """What of a spool is in memory, and what is asked of it.

    :param outbox: holds the oldest frames; its limit bounds what is in memory.
    :param changed: told when frames were stored, or read, or room came free.
    :param now: seconds on the outbox's monotonic scale.
    :param wall: the time of day, seconds since the epoch.

    :ivar behind: frames stored that are not in memory.
    :ivar pending: appends that are not stored yet.
    :ivar clock: an `IReactorTime`, while the link runs.
    :ivar ended: it has run, and stopped: the spool may be closed.

    :raises SpoolError: the spool is closed, or another link has it.
    """

    log = Logger(namespace="nbclient")

    def __init__(
        self,
        spool: Spool,
        outbox: Outbox,
        changed: Callable[[], object],
        now: Callable[[], float],
        wall: Callable[[], float] = time.time,
    ) -> None:
        spool.claim(self)
        self.spool = spool
        self._outbox = outbox
        self._changed = changed
        self._now = now
        self._wall = wall
        self.behind = spool.totals.waiting
        self.behind_size = spool.totals.waiting_bytes
        self.pending = 0
        self._upto = self._noted = 0  # delivered, and of that told to the spool
        self._noting = False
        self._loading = False
        self._retry: IDelayedCall | None = None
        self.clock: Any = None
        self.ended = False
        outbox.counters.restored += self.behind
        self.refill()

    @property
    def room(self) -> int:
        """What may be appended now, bytes."""
        return self.spool.room

    @property
    def freeing(self) -> int:
        """What was delivered or given up, and is on the disk still, bytes."""
        return self.spool.totals.waiting_bytes - self.behind_size - self._outbox.size

    @property
    def idle(self) -> bool:
        """Whether nothing is stored but what is in memory."""
        return not (self.behind or self.pending)

    @property
    def oldest_age(self) -> float | None:
        """Age of the oldest frame that waits, seconds, by the time of day."""
        return self.spool.oldest_age

    def append(
        self,
        frames: Sequence[bytes],
        cursor: Cursor | None,
        done: Callable[[Exception | None], object],
    ) -> None:
        """Store frames; `done` is told, after they were counted in."""
        first = 0

        def told(error: Exception | None) -> None:
            self.pending -= 1
            if error is None and frames:
                self._stored(frames, first)
            done(error)
            self._changed()

        first = self.spool.append(frames, told, cursor)
        self.pending += 1

    def _stored(self, frames: Sequence[bytes], first: int) -> None:
        size = self._outbox.cost(frames)
        fits = self._outbox.size + size <= self._outbox.limit or not self._outbox
        if fits and not (self.behind or self._loading):
            self._outbox.add(frames, first, self._now())
        else:
            self.behind += len(frames)
            self.behind_size += size

    def refill(self) -> None:
        """Have frames read where memory has room for them."""
        room = self._outbox.limit - self._outbox.size
        busy = self._loading or self._retry or self.ended
        if self.behind and not busy and 2 * room >= self._outbox.limit:
            self._loading = True
            self.spool.load(self._outbox.last, room, self._loaded)

    def _loaded(self, error: Exception | None, frames: Sequence[SpooledFrame]) -> None:
        self._loading = False
        if error is not None:
            self.log.error("{why}", why=str(error))
            if self.clock is not None:
                self._retry = self.clock.callLater(RELOAD, self._load_again)
            return
        now, wall = self._now(), self._wall()
        for each in frames:
            self._outbox.add([each.frame], each.seq, now - max(0.0, wall - each.stored))
            if each.attempts:
                self._outbox.attempted(each.seq, each.attempts)
            self.behind_size -= self._outbox.cost([each.frame])
        self.behind -= len(frames)
        self._changed()

    def _load_again(self) -> None:
        self._retry = None
        self.refill()

    def begin(self, clock: Any) -> None:
        """The link runs.

        :raises SpoolError: the spool is closed, or another link has had it since the
            last run: what is in memory is then no longer what it holds.
        """
        self.spool.reclaim(self)
        self.clock = clock
        self.ended = False

    def stop(self) -> None:
        """The link has stopped: nothing more is asked for it, since the spool may be closed."""
        self.ended = True
        self.spool.release()
        if self._upto > self._noted:
            self._note()
        self.clock = None
        timer, self._retry = self._retry, None
        if timer is not None:
            timer.cancel()

    def acknowledged(self, upto: int) -> None:
        """Every frame up to this number is delivered."""
        self._upto = upto
        if not self._noting:
            self._note()

    def _note(self) -> None:
        """Tell the spool; what is delivered meanwhile is told in one go afterwards."""
        self._noting, self._noted = True, self._upto
        self.spool.acknowledge(self._upto, self._removed)

    def forget(self, ranges: Ranges) -> None:
        """Frames that are not to be sent: expired, dropped, or answered out of order."""
        for first, last in ranges:
            self.spool.drop(first, last, self._freed)

    def _freed(self, _: Exception | None) -> None:
        self._changed()

    def _removed(self, _: Exception | None) -> None:
        self._noting = False
        if self._upto > self._noted and self.clock is not None:
            self._note()
        self._changed()

    def attempted(self, seq: int) -> None:
        """This frame was sent in vain."""
        self.spool.attempted(seq, seq)

    def set_aside(self, seq: int, why: str) -> None:
        """This frame is kept and sent no more."""
        self.spool.set_aside(seq, why, self._freed)
