"""What Twisted's TCP clients leave out on the way to a connection.

`refine` gives the transport of an attempt under way what it lacks:

* **The reason of a failure.** Where a firewall's ICMP message ends an attempt, the reactor
  reports a connection closed cleanly; the kernel's reason is still to be had (``SO_ERROR``).
* **A look at both ends.** A port of the range that the system takes local ports from, with
  nothing listening, can be connected to itself (TCP's simultaneous open). It would look
  ready, and keep the server from its port.
* **A deadline that is judged after a read** (`nbclient.connection.timers`): after a standstill of
  this process the connection may stand already.
* **A local port that can be had again.** After our own close the last connection stands in
  TIME_WAIT for a minute; ``SO_REUSEADDR``, set on both, lets the next one have its port.
"""

from __future__ import annotations

import errno
import os
import socket
from functools import cache
from typing import Any

from twisted.internet import error
from twisted.internet.posixbase import PosixReactorBase
from twisted.internet.tcp import BaseClient
from twisted.python.failure import Failure

from nbclient.connection.timers import timers_of

HEADER = b"\x16\x03"
"""How a TLS server's first record begins: a handshake, of version 3 (RFC 8446 section 5.1)."""


class ConnectedToItself(error.ConnectionRefusedError):
    """Both ends of the connection are one: nothing listens at that port."""

    def __str__(self) -> str:
        return "connected to itself: nothing listens there"


def refine(connector: Any, bind: tuple[str, int] | None = None) -> None:
    """Give an attempt that has just begun what its transport lacks.

    Nothing where the transport is none of Twisted's POSIX clients.

    :param connector: what ``reactor.connectTCP`` returned, or gave to ``startedConnecting``.
    :param bind: local address and port to connect from, where that was left to this.
    """
    transport = getattr(connector, "transport", None)
    if not isinstance(transport, BaseClient):
        return
    # A class of the transport's own instead of hooks on it: those would be reference cycles.
    kind: type = type(transport)
    transport.__class__ = _refined(kind)
    if connector.timeoutID is not None:
        connector.cancelTimeout()
        connector.timeoutID = _Deadline(connector.reactor, connector.timeout, transport)
    if bind is not None and hasattr(transport, "socket"):
        _bind(transport, bind)


def binds_again(reactor: Any, bind: tuple[str, int] | None) -> bool:
    """Whether `refine` is to bind: to a port, and the reactor's transports have sockets."""
    return bind is not None and bind[1] != 0 and isinstance(reactor, PosixReactorBase)


def is_itself(transport: Any) -> bool:
    """Whether both ends of a transport's TCP connection are one."""
    sock: Any = getattr(transport, "socket", None)
    if getattr(sock, "family", None) not in (socket.AF_INET, socket.AF_INET6):
        return False
    try:
        return bool(sock.getsockname() == sock.getpeername())
    except OSError:  # lost already
        return False


def heard_in_clear(transport: Any) -> bytes:
    """The first bytes that came in place of a TLS handshake, where they cannot begin one.

    A record's header has five bytes: of fewer, OpenSSL says nothing.

    :return: b"" where there are none, or nothing keeps them.
    """
    while hasattr(transport, "wrappedProtocol"):
        began: bytes = getattr(getattr(transport, "_tlsConnection", None), "heard", b"")
        if began and not HEADER.startswith(began[:2]):
            return began
        transport = transport.transport
    return b""


def _bind(transport: Any, bind: tuple[str, int]) -> None:
    sock = transport.socket
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if sock.getsockname()[1]:  # bound already, by the reactor
        return
    try:
        sock.bind(bind)
    except OSError as fault:
        number = errno.EINVAL if fault.errno is None else fault.errno
        transport.failIfNotConnected(error.ConnectBindError(number, os.strerror(number)))


class _Deadline:
    """Stands where the connector keeps its delayed call."""

    __slots__ = ("_timer", "_timers")

    def __init__(self, clock: Any, seconds: float, transport: Any) -> None:
        self._timers = timers_of(clock)
        self._timer = self._timers.after(seconds, _too_late, transport)

    def cancel(self) -> None:
        self._timers.cancel(self._timer)


def _too_late(transport: Any) -> None:
    transport.failIfNotConnected(error.TimeoutError())


class _Refined:
    """Goes before a class of Twisted's clients."""

    connected: bool
    socket: socket.socket
    failIfNotConnected: Any
    _closeSocket: Any

    def connectionLost(self, reason: Failure) -> None:
        if self.connected:
            super().connectionLost(reason)  # type: ignore[misc]
        else:
            self.failIfNotConnected(_why(self.socket, reason))

    def _connectDone(self) -> None:
        if is_itself(self):
            self._closeSocket(False)  # with a reset: the port is free at once
            self.failIfNotConnected(ConnectedToItself())
        else:
            super()._connectDone()  # type: ignore[misc]


def _why(sock: socket.socket, reason: Failure) -> Exception:
    number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if number:
        found: Exception = error.getConnectError((number, os.strerror(number)))
        return found
    return error.ConnectError(string=reason.getErrorMessage())


@cache
def _refined(kind: type) -> type:
    return kind if issubclass(kind, _Refined) else type(kind.__name__, (_Refined, kind), {})
