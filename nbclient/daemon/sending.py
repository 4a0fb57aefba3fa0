"""From the inputs to the link: in pieces that fit, and patiently where the disk is full."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from nbclient.delivery.outbox import Outbox
from nbclient.delivery.spool_place import SpoolError
from nbclient.errors import LinkDown, OutboxFull
from nbclient.factory import ReconnectingFactory
from nbclient.spooling import Cursor

PATIENCE = 1.0
"""Seconds until what the disk did not take is offered again."""

CALM = 10.0
"""Seconds for which the disk has taken all until that is said: a full one takes a little
now and then."""


class Sending:
    """Hands frames to the link, from `begin` on.

    :param clock: an `IReactorTime`.

    :ivar again: frames that were refused, and offered again.
    :ivar stopped: nothing is to be offered any more.
    """

    def __init__(self, link: ReconnectingFactory, clock: Any, log: Logger) -> None:
        self.again = 0
        self.stopped = False
        self._link = link
        self._clock = clock
        self._log = log
        self._refusing = False
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
        pieces = list(_pieces(frames, self._link.outbox.limit))
        for piece in pieces[:-1]:
            await self._offer(piece, None)
        await self._offer(pieces[-1], cursor)

    def stop(self) -> None:
        """Offer nothing more, not even what the disk did not take."""
        self.stopped = True
        self.begin()  # whoever waited for it is told by the link
        self._not_calm()
        pauses, self._pauses = self._pauses, []
        for pause in pauses:
            pause.callback(None)

    async def _offer(self, frames: Sequence[bytes], cursor: Cursor | None) -> None:
        while True:
            try:
                await self._link.send(frames, cursor)
            except (OutboxFull, LinkDown) as error:
                self._refused(error)
                return
            except SpoolError as error:
                if self.stopped:
                    raise
                await self._wait(error)
                if self.stopped:
                    raise
                self.again += len(frames)
            else:
                self._refusing = False
                self._disk_takes()
                return

    def _refused(self, error: Exception) -> None:
        """The link counts them; once for each time that it begins, it is told."""
        if not self._refusing:
            self._refusing = True
            self._log.error("{link}: frames are refused: {why}", link=self._link.name, why=error)

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


def _pieces(frames: Sequence[bytes], limit: int) -> Iterator[Sequence[bytes]]:
    """The frames in order, in pieces that an outbox of this limit takes; at least one piece."""
    start = size = 0
    for index, frame in enumerate(frames):
        cost = Outbox.cost((frame,))
        if size + cost > limit and index > start:
            yield frames[start:index]
            start, size = index, 0
        size += cost
    yield frames[start:]
