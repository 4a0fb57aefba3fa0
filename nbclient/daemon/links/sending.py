"""From the inputs to the link: in pieces that fit, and patiently where the disk is full."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from nbclient.delivery.outbox import Outbox, fitting
from nbclient.errors import LinkDown, LinkStopped, NBClientError, OutboxFull
from nbclient.link.factory import ReconnectingFactory
from nbclient.link.spooling import Cursor
from nbclient.link.tally import Tallies
from nbclient.spool.folder import SpoolError

if TYPE_CHECKING:  # not every Python has SQLite, and most jobs need none
    from nbclient.spool.spool import Spool

PATIENCE = 1.0
"""Seconds until what the disk did not take is offered again."""

PIECES = 16
"""A batch without a cursor is at most such a part of the spool."""

PAUSED = 1.0
"""Seconds that an input waits for room until that is said: a full outbox is in order while it
moves."""

HELD_UP = (
    "{link}: the {where} is full, and no input is read until there is room"
    " (pauses of more than {seconds:g} s: {number}{within})"
)
REFUSED = "{link}: frames are refused: {why} ({number} of them{within})"

CALM = 10.0
"""Seconds for which the disk has taken all until that is said: a full one takes a little
now and then."""


class Sending:
    """Hands frames to the link, from `begin` on.

    :param clock: an `IReactorTime`.

    :ivar again: frames that were refused, and offered again.
    :ivar late: frames that were refused because it was the end.
    :ivar stopped: nothing is to be offered any more.
    :ivar spool: the link's, if it has one.
    """

    def __init__(self, link: ReconnectingFactory, clock: Any, log: Logger) -> None:
        self.again = 0
        self.late = 0
        self.stopped = False
        self.spool: Spool | None = None
        self._told_of_aside = False
        self._link = link
        self._clock = clock
        self._log = log
        self._tallies = Tallies(log.warn, lambda: link.name)
        self._full = False
        self._calm: IDelayedCall | None = None  # set while nothing fails any more
        self._pauses: list[Deferred[None]] = []
        self._early: list[Deferred[None]] | None = []  # those who came before `begin`

    def begin(self) -> None:
        """The link can take frames: whoever waits may go on."""
        early, self._early = self._early or [], None
        for waiting in early:
            waiting.callback(None)

    async def send(self, frames: Sequence[bytes], cursor: Cursor | None = None) -> None:
        """Returns when the link has taken, or refused, all of them.

        :param cursor: stored with the last.
        :raises NBClientError: nothing more can be sent.
        """
        if self._early is not None:
            begun: Deferred[None] = Deferred()
            self._early.append(begun)
            await begun
        while True:
            count = _fitting(frames, self._most(cursor))
            piece, frames = frames[:count], frames[count:]
            self._see_to_room(piece)
            try:
                await self._offer(piece, None if frames else cursor)
            except NBClientError:
                self._leave_out(len(frames))
                raise
            if not frames:
                return

    def _leave_out(self, count: int) -> None:
        """Frames that were read, and will not be offered: nobody else knows of them."""
        self.late += count
        counters = self._link.outbox.counters
        counters.offered += count
        counters.refused += count

    def _most(self, cursor: Cursor | None) -> int:
        """How large a batch may be, bytes: one that is stored whole has to find room soon.

        One with a cursor is not divided where that can be: were its beginning stored, and
        the process killed then, the next run would read it once more.
        """
        limit, spool = self._link.outbox.limit, self.spool
        if spool is None:
            return limit
        if cursor is not None:
            return max(spool.limit - spool.totals.set_aside_bytes, 1)
        most = min(limit, spool.limit // PIECES)
        return min(most, spool.room) or most

    def _see_to_room(self, frames: Sequence[bytes]) -> None:
        """Only the operator can free what is set aside: where there is nothing else, say so."""
        spool = self.spool
        if spool is None or self._told_of_aside or Outbox.cost(frames) <= spool.room:
            return
        if spool.totals.set_aside and not spool.totals.waiting:
            self._told_of_aside = True
            self._log.warn(
                "{link}: the spool is full of frames set aside ({n}): requeue or discard some"
                " with python -m nbclient.spool, once this has stopped",
                link=self._link.name,
                n=spool.totals.set_aside,
            )

    def stop(self) -> None:
        """Offer nothing more, not even what the disk did not take."""
        self.stopped = True
        self.begin()  # whoever waited for it is told by the link
        self._tallies.stop()
        self._not_calm()
        pauses, self._pauses = self._pauses, []
        for pause in pauses:
            pause.callback(None)

    async def _offer(self, frames: Sequence[bytes], cursor: Cursor | None) -> None:
        while True:
            try:
                await self._taken(frames, self._link.send(frames, cursor))
            except (OutboxFull, LinkDown) as error:
                if frames:  # else it was a cursor alone
                    self._tallies.count(REFUSED, len(frames), self._clock, why=str(error))
                return
            except LinkStopped:
                self.late += len(frames)
                raise
            except SpoolError as error:
                if not self.stopped:
                    await self._wait(error)
                if self.stopped:
                    self.late += len(frames)
                    raise
                self.again += len(frames)
            else:
                self._disk_takes()
                return

    async def _taken(self, frames: Sequence[bytes], accepted: Deferred[None]) -> None:
        """Wait until they are; say so where that takes long for want of room."""
        if not accepted.called:
            waits = self._clock.callLater(PAUSED, self._paused, frames)
            try:
                await accepted
            finally:
                if waits.active():
                    waits.cancel()
        await accepted

    def _paused(self, frames: Sequence[bytes]) -> None:
        size, spool = Outbox.cost(frames), self.spool
        where, room = "outbox", self._link.outbox.limit - self._link.outbox.size
        if spool is not None:
            where, room = "spool", spool.room
        if size > room:  # else it is the disk that takes its time
            self._tallies.count(HELD_UP, 1, self._clock, where=where, seconds=PAUSED)

    async def _wait(self, error: SpoolError) -> None:
        self._not_calm()
        if not self._full:
            self._full = True
            self._log.error("{link}: {why}; trying again", link=self._link.name, why=str(error))
        pause: Deferred[None] = Deferred()
        self._pauses.append(pause)
        timer = self._clock.callLater(PATIENCE, self._go_on, pause)
        await pause
        if timer.active():
            timer.cancel()

    def _go_on(self, pause: Deferred[None]) -> None:
        self._pauses.remove(pause)
        pause.callback(None)

    def _disk_takes(self) -> None:
        if self._full and self._calm is None and not self.stopped:
            self._calm = self._clock.callLater(CALM, self._calmed)

    def _calmed(self) -> None:
        self._calm, self._full = None, False
        self._log.info("{link}: frames are stored again", link=self._link.name)

    def _not_calm(self) -> None:
        timer, self._calm = self._calm, None
        if timer is not None:
            timer.cancel()


def _fitting(frames: Sequence[bytes], limit: int) -> int:
    """How many of the frames, from the first, make a batch of this size; at least one."""
    if Outbox.cost(frames) <= limit:
        return len(frames)
    return max(1, fitting(frames, limit))
