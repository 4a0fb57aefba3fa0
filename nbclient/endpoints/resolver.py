"""Names to addresses, in threads that nothing ever waits for.

Twisted resolves names in the reactor's thread pool, which is joined when the
reactor stops: one hung name server keeps a process from ending, and a dozen
hung names keep every other name waiting. Here each lookup runs in a daemon
thread of its own, up to a bound, and cancelling a lookup settles it at once
while the thread is left to find out by itself.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.error import DNSLookupError
from twisted.python.failure import Failure

Address: TypeAlias = IPv4Address | IPv6Address
Found: TypeAlias = list[tuple[Any, ...]]
"""What `socket.getaddrinfo` returns."""

MAX_THREADS = 64
"""Lookups that run at the same time; more wait for one of these to end."""

MAX_PER_NAME = 2
"""Lookups of one name that run at the same time.

A redial while an earlier lookup still hangs gets a fresh one, because the
network may be back; one that comes while two hang shares the younger, so that
one dead name redialled for hours holds two threads and no more.
"""

MAX_ADDRESSES = 256
"""Addresses used of one answer; a hostile answer could hold thousands."""


class Resolver:
    """Looks names up by `socket.getaddrinfo`, as the host is configured.

    :param getaddrinfo: stands in for `socket.getaddrinfo`.
    :param spawn: runs a callable in a daemon thread.
    :param threads: bound of the threads in use at one time.
    """

    def __init__(
        self,
        *,
        getaddrinfo: Callable[..., Found] = socket.getaddrinfo,
        spawn: Callable[[Callable[[], None]], None] | None = None,
        threads: int = MAX_THREADS,
    ) -> None:
        self._getaddrinfo = getaddrinfo
        self._spawn = _daemon_thread if spawn is None else spawn
        self._threads = threads
        self._busy = 0
        self._lock = threading.Lock()
        self._running: dict[tuple[str, int], list[_Lookup]] = {}
        self._backlog: deque[_Lookup] = deque()

    def lookup(
        self, reactor: Any, host: str, port: int, family: int = socket.AF_UNSPEC
    ) -> Deferred[list[Address]]:
        """The addresses of `host`, at most `MAX_ADDRESSES`, never none.

        The families take turns, beginning with that of the first answer
        (RFC 8305 section 4). Cancelling the Deferred settles it at once.

        :param reactor: gets the result, by `callFromThread`.
        :param port: the port of the addresses returned.
        :param family: `AF_INET` or `AF_INET6` restricts the answer.
        :raises DNSLookupError: as a failure, in one line that names the host.
        """
        waiter = _Waiter(reactor, host, port, family)
        with self._lock:
            lookup, fresh = self._join(waiter)
        waiter.deferred = Deferred(lambda _: self._leave(lookup, waiter))
        if fresh:
            self._start(lookup)
        return waiter.deferred

    def _join(self, waiter: _Waiter) -> tuple[_Lookup, bool]:
        """The lookup that will answer the waiter, and whether it has yet to start."""
        key = (waiter.host, waiter.family)
        siblings = self._running.setdefault(key, [])
        fresh = len(siblings) < MAX_PER_NAME
        if fresh:
            siblings.append(_Lookup(key))
        siblings[-1].waiters.append(waiter)
        return siblings[-1], fresh

    def _leave(self, lookup: _Lookup, waiter: _Waiter) -> None:
        with self._lock:
            # Both may be gone already: the answer is on its way, and too late.
            with contextlib.suppress(ValueError):
                lookup.waiters.remove(waiter)
            if not lookup.waiters and lookup in self._backlog:
                self._backlog.remove(lookup)
                self._forget(lookup)

    def _forget(self, lookup: _Lookup) -> None:
        siblings = self._running[lookup.key]
        siblings.remove(lookup)
        if not siblings:
            del self._running[lookup.key]

    def _start(self, lookup: _Lookup) -> None:
        with self._lock:
            if self._busy >= self._threads:
                self._backlog.append(lookup)
                return
            self._busy += 1
        try:
            self._spawn(lambda: self._work(lookup))
        except RuntimeError as error:  # the system allows no further thread
            self._settle(lookup, error)
            with self._lock:
                self._busy -= 1

    def _work(self, first: _Lookup) -> None:
        """Run in a thread: this lookup, then whatever had to wait."""
        lookup: _Lookup | None = first
        while lookup is not None:
            self._settle(lookup, self._ask(lookup))
            with self._lock:
                lookup = self._backlog.popleft() if self._backlog else None
                if lookup is None:
                    self._busy -= 1

    def _ask(self, lookup: _Lookup) -> Found | Exception:
        host, family = lookup.key
        try:
            return self._getaddrinfo(ascii_name(host), None, family, socket.SOCK_STREAM)
        except Exception as error:  # whatever it was, somebody waits for it
            return error

    def _settle(self, lookup: _Lookup, found: Found | Exception) -> None:
        with self._lock:
            self._forget(lookup)
            waiters, lookup.waiters = lookup.waiters, []
        for waiter in waiters:
            waiter.reactor.callFromThread(waiter.settle, found)


class _Lookup:
    """One call of getaddrinfo, and who waits for it."""

    def __init__(self, key: tuple[str, int]) -> None:
        self.key = key
        self.waiters: list[_Waiter] = []


class _Waiter:
    """One caller of `Resolver.lookup`."""

    deferred: Deferred[list[Address]]

    def __init__(self, reactor: Any, host: str, port: int, family: int) -> None:
        self.reactor = reactor
        self.host = host
        self.port = port
        self.family = family

    def settle(self, found: Found | Exception) -> None:
        """Run in the reactor's thread."""
        if self.deferred.called:
            return  # cancelled while the answer was on its way
        if isinstance(found, Exception):
            self.deferred.errback(Failure(DNSLookupError(self._complaint(found))))
            return
        addresses = usable(found, self.port)
        if addresses:
            self.deferred.callback(addresses)
        else:
            self.deferred.errback(Failure(DNSLookupError(f"{self.host!r} has no usable address")))

    def _complaint(self, error: Exception) -> str:
        why = error.strerror if isinstance(error, OSError) else None
        return f"{self.host!r}: {why or str(error) or type(error).__name__}"


def usable(found: Iterable[tuple[Any, ...]], port: int) -> list[Address]:
    """The addresses in a getaddrinfo answer: each once, the families in turn."""
    ours: dict[int, list[Address]] = {}
    for family, _type, _protocol, _name, sockaddr in found:
        address: Address
        if family == socket.AF_INET:
            address = IPv4Address("TCP", sockaddr[0], port)
        elif family == socket.AF_INET6:
            address = IPv6Address("TCP", sockaddr[0], port, *sockaddr[2:])
        else:
            continue
        queue = ours.setdefault(family, [])
        if len(queue) < MAX_ADDRESSES and address not in queue:
            queue.append(address)
    return _in_turn(list(ours.values()))[:MAX_ADDRESSES]


def _in_turn(queues: list[list[Address]]) -> list[Address]:
    longest = max(map(len, queues), default=0)
    return [queue[n] for n in range(longest) for queue in queues if n < len(queue)]


def ascii_name(host: str) -> str:
    """The host name as it goes over the wire: IDNA 2008 where it is not ASCII.

    A name that is ASCII is left alone: `_` is no letter of IDNA, and yet names
    of containers and services have it.

    :raises UnicodeError: the name cannot be encoded.
    """
    if host.isascii():
        return host
    import idna

    return idna.encode(host, uts46=True).decode("ascii")


def _daemon_thread(work: Callable[[], None]) -> None:
    threading.Thread(target=work, name="nbclient-resolver", daemon=True).start()


_shared: Resolver | None = None


def shared() -> Resolver:
    """The resolver of this process, made when first asked for."""
    global _shared
    if _shared is None:
        _shared = Resolver()
    return _shared
