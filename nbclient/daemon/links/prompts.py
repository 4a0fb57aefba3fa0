"""A line that is not finished, such as a prompt, on a terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall

from nbclient.daemon.links.builder import Link
from nbclient.daemon.links.hearing import QUIET


class Prompts:
    """Shows what has come of an unfinished frame, once nothing more comes.

    It looks four times a second, which costs a read nothing; only for a terminal.

    :param clock: calls back (`IReactorTime`).
    :param link: whose frames they are.
    :param show: shows all that has come of the frame that has begun; b"" where its
        connection has ended, and no more of it comes.
    """

    def __init__(self, clock: Any, link: Link, show: Callable[[bytes], object]) -> None:
        self._clock = clock
        self._link = link
        self._show = show
        self._connection: Any = None
        self._came = 0
        self._timer: IDelayedCall | None = None

    def start(self) -> None:
        """Look until `stop`."""
        self._timer = self._clock.callLater(QUIET, self._look)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self.start()
        connection = self._link.connection
        if connection is not self._connection:
            self._connection, self._came = connection, 0
            self._show(b"")
        elif connection is not None and connection.up:
            came, self._came = self._came, connection.bytesIn
            if came == self._came and connection.unfinished and not connection.awaited:
                self._show(connection.tail)
