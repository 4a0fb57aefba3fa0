"""From the inputs to the link: in pieces that fit, and patiently where the disk is full."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from nbclient.delivery.outbox import Outbox
from nbclient.delivery.spool_place import SpoolError
from nbclient.errors import LinkDown, OutboxFull
from nbclient.factory import ReconnectingFactory
from nbclient.spooling import Cursor

PATIENCE = 1.0
"""Seconds until what the disk did not take is offered again."""


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
        self._pause: Deferred[None] | None = None
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
        pause, self._pause = self._pause, None
        if pause is not None:
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
        if not self._full:
            self._full = True
            self._log.error("{link}: {why}; trying again", link=self._link.name, why=str(error))
        self._pause = Deferred()
        timer = self._clock.callLater(PATIENCE, self._pause.callback, None)
        await self._pause
        self._pause = None
        if timer.active():
            timer.cancel()

    def _disk_takes(self) -> None:
        if self._full:
            self._full = False
            self._log.info("{link}: frames are stored again", link=self._link.name)


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
