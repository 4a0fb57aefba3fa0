"""Why something ended, in one line that a person can act on."""

from __future__ import annotations

import errno
import os

from twisted.internet import error
from twisted.python.failure import Failure

from nbclient.errors import NBClientError
from nbclient.tls import explain_tls

_PLAIN: tuple[tuple[type[BaseException], str], ...] = (
    (error.ConnectionDone, "the peer closed the connection"),
    (error.ConnectionAborted, "the connection was aborted"),
    (error.ConnectionRefusedError, "connection refused"),
    (error.NoRouteError, "no route to the host"),
    (error.TCPTimedOutError, "the connection attempt timed out"),
    (error.TimeoutError, "the connection attempt timed out"),
    (error.ConnectionLost, "the connection was lost (reset, or a write failed)"),
)


def explain(failure: Failure) -> str:
    """One line for a log: no traceback, no class names where words will do."""
    value = failure.value
    if isinstance(value, NBClientError):
        return _oneLine(str(value) or _about(value))
    if isinstance(value, error.DNSLookupError):
        return _oneLine(f"the name cannot be resolved: {_detail(value)}")
    for kind, known in _PLAIN:
        if type(value) is kind:
            return known
    if isinstance(value, error.ConnectError):
        return _oneLine(_connectError(value))
    words = explain_tls(failure)
    if words is None:
        words = f"{type(value).__name__}: {value}" if str(value) else type(value).__name__
    return _oneLine(words)


def _about(value: NBClientError) -> str:
    """What the kind of error says of itself, where it was raised without words."""
    return (type(value).__doc__ or type(value).__name__).partition("\n")[0]


def _connectError(value: error.ConnectError) -> str:
    number = getattr(value, "osError", None)
    if isinstance(number, int) and number in errno.errorcode:
        return os.strerror(number).lower()
    return str(value)


def _detail(value: BaseException) -> str:
    return str(value.args[0]) if value.args else str(value)


def _oneLine(text: str) -> str:
    """On one line, and nothing a terminal would obey: the peer has a hand in some texts."""
    line = " ".join(text.split())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
