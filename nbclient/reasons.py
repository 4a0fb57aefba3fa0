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
        return _oneLine(str(value))
    if isinstance(value, error.DNSLookupError):
        return _oneLine(f"the name cannot be resolved: {_detail(value)}")
    for kind, words in _PLAIN:
        if type(value) is kind:
            return words
    if isinstance(value, error.ConnectError):
        return _oneLine(_connectError(value))
    return _oneLine(explain_tls(failure) or f"{type(value).__name__}: {value}")


def _connectError(value: error.ConnectError) -> str:
    number = getattr(value, "osError", None)
    if isinstance(number, int) and number in errno.errorcode:
        return os.strerror(number).lower()
    return str(value)


def _detail(value: BaseException) -> str:
    return str(value.args[0]) if value.args else str(value)


def _oneLine(text: str) -> str:
    return " ".join(text.split())
