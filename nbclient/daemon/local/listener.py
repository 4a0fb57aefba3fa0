"""A place where local programs connect: to read what arrives, to write what is sent."""

from __future__ import annotations

import errno
import os
import re
import resource
import socket
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IDelayedCall, IHalfCloseableProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from nbclient.daemon.config.iospec import Address
from nbclient.daemon.config.values import shown
from nbclient.daemon.inputs.intake import Intake, Source, Taker
from nbclient.daemon.local.queue import Feed
from nbclient.daemon.outputs.base import ShapedOutput
from nbclient.daemon.outputs.formats import Format
from nbclient.daemon.outputs.queued import os_reason
from nbclient.errors import LocalError

QUEUE = 1024 * 1024
"""Bytes held for each reader, if nothing is said."""

MODE = 0o600
"""Permissions of a UNIX socket, if nothing is said."""

FAREWELL = 1.0
"""Seconds that connections have at the end to take what is held for them."""


SPARE = 64
"""Descriptors that local programs leave to the link, the files and the name server."""

HALVES = 64
"""Readers at most that send no more: where nothing is written, one that has left looks the same."""

_PROCESS = re.compile("[1-9][0-9]{0,8}", re.ASCII)
"""What a lock leads to: the number of a process."""

SELDOM = 60.0
"""Seconds at least between two lines about programs that were turned away."""


@implementer(IHalfCloseableProtocol)
class Guest(Protocol):
    """One local program.

    :param door: where it came in.

    :ivar feed: what is on its way to it, if anything ever is.
    :ivar missed: frames that it was too slow for.
    """

    transport: Any

    def __init__(self, door: Door) -> None:
        self.feed: Feed | None = None
        self.taker: Taker | None = None
        self.missed = 0
        self._door = door
        self._going = False

    def connectionMade(self) -> None:
        """Take part in what there is."""
        self._door.enter(self)

    def dataReceived(self, data: bytes) -> None:
        """Frames to send, if that is wanted; else nobody listens."""
        if self.taker is not None:
            self.taker.take(data)

    def readConnectionLost(self) -> None:
        """It sends no more, as programs do that have nothing to send; a reader stays."""
        if self.feed is None:
            self.transport.loseConnection()
            return
        if self.taker is not None:
            self.taker.finish()
        self._door.half_closed(self)

    def writeConnectionLost(self) -> None:
        """Ours is never closed by itself."""

    def connectionLost(self, reason: object = None) -> None:
        """It has left."""
        if self.taker is not None:
            self.taker.finish()
        self._door.leave(self)

    def give(self, images: Sequence[bytes]) -> int:
        """Images for it: how many older ones were dropped to hold them."""
        if self.feed is None or self._going:
            return 0
        self.feed.put(images)
        return self.feed.drop_oldest()

    def go(self) -> None:
        """Leave when everything held was written."""
        if self._going:
            return
        self._going = True
        if self.feed is None:
            self.transport.loseConnection()
        else:
            self.feed.finish(self.transport.loseConnection)

    def cut_off(self) -> int:
        """Leave at once: how many frames it missed in all."""
        self.transport.abortConnection()
        missed, self.missed = self.missed, 0
        return missed if self.feed is None else missed + len(self.feed)


if TYPE_CHECKING:
    GuestFactory = Factory[Guest]
else:
    GuestFactory = Factory  # only generic in newer Twisted


class Door(GuestFactory):
    """Where local programs connect; up as long as the job, whatever the link does.

    :param reactor: listens.
    :param where: the address.
    :param mode: permissions of a UNIX socket.
    :param log: told of each guest at level debug.

    :ivar guests: those who are there.
    :ivar arrivals: called with each new guest.
    :ivar turned_away: programs for which there was no descriptor.
    """

    noisy = False

    def __init__(self, reactor: Any, where: Address, mode: int, log: Logger) -> None:
        self.guests: set[Guest] = set()
        self.arrivals: list[Callable[[Guest], None]] = []
        self._reactor = reactor
        self._where = where
        self._mode = mode
        self._log = log
        self._port: Any = None
        self._closing = False  # the port does not listen any more, but is still there
        self._deadline: IDelayedCall | None = None
        self._empty: list[Deferred[None]] = []
        self._halves: dict[Guest, None] = {}  # send no more, the longest first
        self.turned_away = 0
        self._next_told = 0.0  # when a line about these may come again

    def open(self) -> None:
        """Begin to listen.

        :raises LocalError: that is not possible.
        """
        where = self._where
        try:
            if where.path:
                check_path(where.path)
                check_lock(where.path)
                self._port = self._reactor.listenUNIX(
                    where.path, self, mode=self._mode, wantPID=True
                )
            else:
                self._port = self._reactor.listenTCP(where.port, self, interface=where.host)
        except CannotListenError as error:
            cause = error.socketError
            why = "it is in use"
            if isinstance(cause, OSError):
                why = os_reason(cause)
                _drop_lock(where.path)
            raise LocalError(f"cannot listen at {self}: {why}") from None
        except OSError as error:
            raise LocalError(f"cannot listen at {self}: {os_reason(error)}") from None
        self._log.info("listening at {where}", where=str(self))

    def __str__(self) -> str:
        if self._where.path:
            return self._where.path
        port = self._where.port or (self._port and self._port.getHost().port) or 0
        return (
            f"[{self._where.host}]:{port}"
            if ":" in self._where.host
            else f"{self._where.host}:{port}"
        )

    def buildProtocol(self, addr: object) -> Guest | None:
        """A new guest, as long as there are descriptors for more."""
        if scarce() and not self._make_room():
            self._turn_away()
            return None  # then Twisted closes the connection
        return Guest(self)

    def enter(self, guest: Guest) -> None:
        """The guest is there."""
        self.guests.add(guest)
        for arrived in self.arrivals:
            arrived(guest)
        self._log.debug("{where}: {count} connected", where=str(self), count=len(self.guests))

    def half_closed(self, guest: Guest) -> None:
        """The guest sends no more."""
        self._halves[guest] = None
        if len(self._halves) > HALVES:
            self._make_room()

    def _make_room(self) -> bool:
        """Whether there was a guest who has perhaps left, and is cut off."""
        guest = next(iter(self._halves), None)
        if guest is None:
            return False
        del self._halves[guest]
        guest.transport.abortConnection()
        return True

    def _turn_away(self) -> None:
        self.turned_away += 1
        now = self._reactor.seconds()
        if now >= self._next_told:
            self._next_told = now + SELDOM
            self._log.warn(
                "{where}: nearly all of the {limit} descriptors that this process may open are"
                " in use (see ulimit -n); programs that connect are turned away, {count} so far",
                where=str(self),
                limit=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
                count=self.turned_away,
            )

    def leave(self, guest: Guest) -> None:
        """The guest has left."""
        self.guests.discard(guest)
        self._halves.pop(guest, None)
        if guest.missed:
            self._log.info(
                "{where}: a reader that was too slow has left, it missed {count} frames",
                where=str(self),
                count=guest.missed,
            )
        self._log.debug("{where}: {count} connected", where=str(self), count=len(self.guests))
        self._tell_if_empty()

    def dismiss(self) -> None:
        """Listen no more; each guest leaves when it has what is held for it."""
        port, self._port = self._port, None
        if port is not None:
            self._closing = True
            stopped: Deferred[Any] = maybeDeferred(port.stopListening)
            # The socket's path may have been removed, its lock be another's, or none.
            stopped.addErrback(self._not_closed)
            stopped.addCallback(self._closed)
            if self.turned_away:
                self._log.info(
                    "{where}: programs turned away in all: {count}",
                    where=str(self),
                    count=self.turned_away,
                )
        for guest in tuple(self.guests):
            guest.go()

    def _not_closed(self, failure: Failure) -> None:
        if not failure.check(OSError, ValueError, OverflowError):
            self._log.failure("{where}: closing failed", failure, where=str(self))

    def close(self) -> Deferred[None]:
        """As `dismiss`; fires when all is gone, at most after `FAREWELL` seconds."""
        self.dismiss()
        if not (self.guests or self._closing):
            return succeed(None)
        if self._deadline is None:
            self._deadline = self._reactor.callLater(FAREWELL, self._too_late)
        empty: Deferred[None] = Deferred()
        self._empty.append(empty)
        return empty

    def abandon(self) -> None:
        """Listen no more, and cut everybody off."""
        self.dismiss()
        missed = [guest.cut_off() for guest in self.guests]
        if any(missed):
            self._log.info(
                "{where}: readers that were too slow are cut off at the end, they missed {count}"
                " frames",
                where=str(self),
                count=sum(missed),
            )
        self.guests.clear()
        self._closing = False
        self._tell_if_empty()

    def _closed(self, _: object) -> None:
        self._closing = False
        self._tell_if_empty()

    def _too_late(self) -> None:
        self._deadline = None
        self.abandon()

    def _tell_if_empty(self) -> None:
        if self.guests or self._closing:
            return
        deadline, self._deadline = self._deadline, None
        if deadline is not None:
            deadline.cancel()
        empty, self._empty = self._empty, []
        for told in empty:
            told.callback(None)


class ListenOutput(ShapedOutput):
    """Every frame to every guest; one that reads too slowly misses the oldest.

    :param door: where the readers connect.
    :param shape: frames -> images.
    :param limit: bytes held for each reader.
    :param log: told of each reader once when it begins to miss frames.

    :ivar dropped: frames dropped for slow readers, in all; they are no loss of
        the job, and not in `lost`.
    """

    def __init__(self, name: str, door: Door, shape: Format, limit: int, log: Logger) -> None:
        super().__init__(name, shape, log)
        self.dropped = 0
        self._door = door
        self._limit = limit
        door.arrivals.append(self._arrived)

    def _arrived(self, guest: Guest) -> None:
        guest.feed = Feed(self._limit)
        guest.feed.attach(guest.transport)

    def write(self, frames: Sequence[bytes]) -> Deferred[None] | None:
        """See `Output.write`; never has to be waited for."""
        images = self.images(frames)
        for guest in tuple(self._door.guests):
            dropped = guest.give(images)
            if dropped and not guest.missed:
                self._log.warn(
                    "output {name}: a reader is too slow, its oldest frames are dropped",
                    name=self.name,
                )
            guest.missed += dropped
            self.dropped += dropped
        return None

    def close(self) -> Deferred[None]:
        """See `Output.close`."""
        return self._door.close()

    def abandon(self) -> None:
        """See `Output.abandon`."""
        self._door.abandon()


class ListenInput(Source):
    """What every guest writes, frames of each whole; each waits for the link by itself.

    A guest whose bytes are no frames is sent away.

    :param door: where the writers connect.
    :param intake: takes the frames.
    :param alone: nothing else happens at this door.
    """

    def __init__(self, door: Door, intake: Intake, alone: bool) -> None:
        self.ended = Deferred()
        self._door = door
        self._intake = intake
        self._alone = alone

    @property
    def refused(self) -> int:
        """See `Source.refused`."""
        return self._intake.refused

    @property
    def failed(self) -> bool:
        """See `Source.failed`."""
        return self._intake.broken

    def start(self) -> None:
        """See `Source.start`."""
        self._door.arrivals.append(self._arrived)

    def _arrived(self, guest: Guest) -> None:
        guest.taker = Taker(self._intake, guest.transport, guest.transport.loseConnection)

    def stop(self) -> None:
        """See `Source.stop`."""
        self._intake.stopped = True
        if self._alone:
            self._door.dismiss()


def scarce() -> bool:
    """Whether so few descriptors are left that the job needs them itself."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return False
    try:
        lowest = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)  # that is free
    except OSError:
        return True
    os.close(lowest)
    return lowest >= limit - min(SPARE, limit // 4)


def check_path(path: str) -> None:
    """Refuse to listen where something else is than a socket.

    :raises LocalError: it is; one line that reads on after the option's name.
    """
    if not os.path.lexists(path):
        return
    with suppress(FileNotFoundError):  # a link that leads nowhere
        if stat.S_ISSOCK(os.stat(path).st_mode):
            return
    raise LocalError(
        f"cannot listen at {path}: something is there that is no socket, it is left alone"
    )


def check_lock(path: str) -> None:
    """Refuse a lock beside a socket's path that Twisted cannot read, and drop a stale one.

    Twisted's lock is a symbolic link to the number of the process that listens. One
    with our own number was left by a program that was killed and had it before: in
    a container each start has the same.

    :raises LocalError: the path of the lock is something else.
    """
    lock = f"{path}.lock"
    try:
        leads_to = os.readlink(lock)
    except FileNotFoundError:
        return
    except OSError as error:
        found = "is there" if error.errno == errno.EINVAL else os_reason(error)
        raise LocalError(
            f"cannot listen at {path}: {lock} should be a symbolic link, and something else {found}"
        ) from None
    if not _PROCESS.fullmatch(leads_to):
        raise LocalError(
            f"cannot listen at {path}: {lock} should lead to a process's number, not to"
            f" {shown(leads_to)!r}"
        )
    if int(leads_to) == os.getpid() and not _is_listened_at(path):
        with suppress(OSError):
            os.unlink(lock)
            os.unlink(path)


def _is_listened_at(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as asking:
        asking.setblocking(False)
        return asking.connect_ex(path) not in (errno.ECONNREFUSED, errno.ENOENT)


def _drop_lock(path: str) -> None:
    """Remove the lock beside a socket's path, if it is ours.

    Twisted leaves it where it cannot bind. At the next start it would pass for
    that of a program that died, and the socket that is there, whoever uses it,
    would be removed.
    """
    lock = f"{path}.lock"
    with suppress(OSError):  # it is another's, or none
        if os.readlink(lock) == str(os.getpid()):
            os.unlink(lock)
