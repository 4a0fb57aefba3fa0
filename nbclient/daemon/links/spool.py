"""The spool of a job: opened when the job begins, closed when its link has stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import frozen
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from nbclient.daemon.inputs.cursors import storable
from nbclient.link.spooling import open_spool

if TYPE_CHECKING:  # not every Python has SQLite, and most jobs need none
    from nbclient.spool.spool import Spool

LINK = "link"
"""What a link is called in its spool where --name does not say."""


@frozen
class SpoolPlan:
    """Where frames are kept.

    :ivar directory: --spool.
    :ivar link: the link's name: its folder in `directory`.
    :ivar peer: whom the frames are for.
    :ivar limit: --spool-bytes.
    :ivar adopt: --spool-adopt.
    """

    directory: str
    link: str
    peer: str
    limit: int
    adopt: bool


class JobSpool:
    """One job's spool.

    :param reactor: runs it.
    :param plan: None: there is none, and all of this does nothing.

    :ivar spool: None until it is open.
    """

    def __init__(self, reactor: Any, plan: SpoolPlan | None, log: Logger) -> None:
        self._reactor = reactor
        self._plan = plan
        self._log = log
        self._opening: Deferred[Spool] | None = None
        self._waiters: list[Deferred[None]] = []
        self.spool: Spool | None = None

    @property
    def wanted(self) -> bool:
        """Whether there is to be one."""
        return self._plan is not None

    @property
    def directory(self) -> str:
        """Where frames wait when the job is over; "" if nowhere."""
        return "" if self._plan is None else self._plan.directory

    def open(self) -> Deferred[Spool]:
        """Open it.

        :return: fails with `SpoolError`, a line for the user.
        """
        plan = self._plan
        assert plan is not None
        self._opening = open_spool(
            self._reactor,
            plan.directory,
            storable(plan.link),
            storable(plan.peer),
            plan.limit,
            adopt=plan.adopt,
        )
        return self._opening.addCallback(self._opened)

    def _opened(self, spool: Spool) -> Spool:
        self.spool = spool
        if spool.volatile:
            self._log.warn(
                "{folder}: is in memory (tmpfs): a restart of the machine loses the spool",
                folder=str(spool.folder),
            )
        waiting = spool.totals.waiting
        if waiting:
            noun = "frame waits" if waiting == 1 else "frames wait"
            self._log.info("{n} {noun} in the spool from before", n=waiting, noun=noun)
        while self._waiters:
            self._waiters.pop(0).callback(None)
        return spool

    def opened(self) -> Deferred[None]:
        """Fires when it is open, or never."""
        if self.spool is not None:
            return succeed(None)
        waiter: Deferred[None] = Deferred()
        self._waiters.append(waiter)
        return waiter

    def cursor(self, name: str) -> str | None:
        """Where the input of this name stopped being read; None: that is not known."""
        return None if self.spool is None else self.spool.cursors.get(name)

    def close(self) -> Deferred[None]:
        """Give up opening it; close it, if it is open.

        :return: fires, and never fails, when all is stored that was to be.
        """
        if self._opening is not None:
            self._opening.cancel()
        spool, self.spool = self.spool, None
        if spool is None:
            return succeed(None)
        closed: Deferred[None] = Deferred()

        def done(error: Exception | None) -> None:
            if error is not None:
                self._log.error("{why}", why=str(error))
            closed.callback(None)

        spool.close(done)
        return closed
