"""Why something ended, in one line that a person can act on."""

from __future__ import annotations

import errno
import os
from typing import cast

from twisted.internet import error
from twisted.python.failure import Failure
from twisted.python.reflect import safe_str

from nbclient.endpoints.tls_endpoint import explain_tls
from nbclient.errors import NBClientError

_PLAIN: tuple[tuple[type[BaseException], str], ...] = (
    (error.ConnectionDone, "the peer closed the connection"),
    (error.ConnectionAborted, "the connection was aborted"),
    (error.ConnectionRefusedError, "connection refused"),
    (error.TCPTimedOutError, "the connection attempt timed out"),
    (error.TimeoutError, "the connection attempt timed out"),
    (error.ConnectionLost, "the connection was lost (reset, or a write failed)"),
)

# What the kernel makes of the ICMP messages by which a firewall rejects an attempt
# (ip(7), icmp_err_convert in Linux' net/ipv4/icmp.c), and of a want of routes or ports.
_REJECTED = "or a firewall rejects the connection"
_NUMBERS = {
    errno.ENETUNREACH: f"no route to the network, {_REJECTED}",
    errno.EHOSTUNREACH: f"no route to the host, {_REJECTED}",
    errno.ENOPROTOOPT: "a firewall rejects the connection (protocol unreachable)",
    errno.EACCES: "permission denied, here or by a firewall",
    errno.EINVAL: (
        "no way leads to this address: its route is a blackhole,"
        " or it is link-local and lacks its scope (fe80::1%eth0)"
    ),
    errno.EADDRNOTAVAIL: "no local address or port is free for it",
}


def explain(failure: Failure) -> str:
    """One line for a log: no traceback, no class names where words will do."""
    value = failure.value
    if isinstance(value, NBClientError):
        return _oneLine(_said(value) or _about(value))
    if isinstance(value, error.DNSLookupError):
        return _oneLine(f"the name cannot be resolved: {_detail(value)}")
    for kind, known in _PLAIN:
        if type(value) is kind:
            return known
    if isinstance(value, error.ConnectError):
        return _oneLine(_connectError(value))
    words = explain_tls(failure)
    if words is None:
        words = ": ".join(filter(None, (type(value).__name__, _said(cast(BaseException, value)))))
    return _oneLine(words)


def _said(value: BaseException) -> str:
    """Its own text; a failure within, as Twisted wraps them, is told as one of its own."""
    within = _within(value)
    # One's own kind of error may not be able to say what it is.
    return explain(within[0]) if within else safe_str(value)


def _within(value: BaseException) -> list[Failure]:
    return [each for each in value.args if isinstance(each, Failure)]


def _about(value: NBClientError) -> str:
    """What the kind of error says of itself, where it was raised without words."""
    return (type(value).__doc__ or type(value).__name__).partition("\n")[0]


def _connectError(value: error.ConnectError) -> str:
    number = getattr(value, "osError", None)
    if isinstance(number, int) and number in errno.errorcode:
        known = None if isinstance(value, error.ConnectBindError) else _NUMBERS.get(number)
        return known or os.strerror(number).lower()
    if isinstance(value, error.NoRouteError):
        return _NUMBERS[errno.ENETUNREACH]
    if _within(value):
        # Twisted wraps what its reactor says of any socket that is ready and not to be read.
        return "the connection attempt failed, and the system's reason is lost"
    return str(value)


def _detail(value: BaseException) -> str:
    return str(value.args[0]) if value.args and not _within(value) else _said(value)


def _oneLine(text: str) -> str:
    """On one line, and nothing a terminal would obey: the peer has a hand in some texts."""
    line = " ".join(text.split())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
