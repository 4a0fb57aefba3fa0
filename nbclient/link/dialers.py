"""How a link dials: one small interface over Twisted's two ways.

`ConnectorDialer` repeats what `reactor.connectTCP`, `connectSSL` or
`connectUNIX` began; `EndpointDialer` asks an endpoint. Both report a failed
attempt to the link's ``dialFailed``, once.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any
from typing import Protocol as Interface

from attrs import define
from twisted.internet.defer import Deferred, fail
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from nbclient.connection.connecting import binds_again, refine
from nbclient.connection.overrides import deferred


class Dialer(Interface):
    """Begins attempts to connect, one after the other."""

    def dial(self) -> None:
        """Begin an attempt; its end is reported elsewhere."""

    def cancel(self) -> None:
        """Give up the attempt under way, if there is one."""


@define
class ConnectorDialer:
    """The classic way: the connector reports to the factory by itself."""

    connector: Any
    link: Any
    _bind: tuple[str, int] | None = None
    dialling: bool = False
    """Whether the link asks for the attempt that begins, and not the application."""

    def began(self) -> None:
        """An attempt has begun: refine it."""
        bind = getattr(self.connector, "bindAddress", None)
        if binds_again(getattr(self.connector, "reactor", None), bind):
            self._bind, self.connector.bindAddress = bind, None
        refine(self.connector, self._bind)

    def dial(self) -> None:
        timeout = getattr(self.connector, "timeout", None)
        if timeout is not None and timeout >= self.link.connectTimeout:
            self.connector.timeout = None  # the link's own deadline is sooner: one timer less
        self.dialling = True
        try:
            self.connector.connect()
        except BaseException:  # no descriptor left, say: an attempt that failed
            self.link.dialFailed(Failure())
            self._reset()
        finally:
            self.dialling = False

    def _reset(self) -> None:
        """A connector whose factory raised takes itself for connecting, and would for ever."""
        with suppress(Exception):  # there may be nothing to stop
            self.cancel()
        self.connector.state = "disconnected"

    def cancel(self) -> None:
        if self.connector.state == "connecting":
            self.connector.stopConnecting()


@define
class EndpointDialer:
    """A client endpoint, asked anew for each attempt."""

    endpoint: Any
    link: Any
    _attempt: Deferred[Any] | None = None

    def dial(self) -> None:
        try:
            attempt = self._connect()
        except BaseException:
            attempt = fail(Failure())
        self._attempt = attempt
        attempt.addCallbacks(
            self._connected, self._failed, callbackArgs=(attempt,), errbackArgs=(attempt,)
        )

    def _connect(self) -> Deferred[Any]:
        """An attempt of the endpoint's, which may be somebody's own and ``async``."""
        attempt = deferred(self.endpoint.connect(self.link))
        if attempt is None:
            raise TypeError(f"connect of {self.endpoint!r} returned None, not a Deferred")
        return attempt

    def cancel(self) -> None:
        if self._attempt is not None:
            self._attempt.cancel()

    def _connected(self, _: object, attempt: Deferred[Any]) -> None:
        if self._attempt is attempt:
            self._attempt = None  # buildProtocol has seen to the rest

    def _failed(self, reason: Failure, attempt: Deferred[Any]) -> None:
        # An attempt forsaken long ago may still end; only the present one counts.
        if self._attempt is attempt:
            self._attempt = None
            self.link.dialFailed(reason)


class Refusal(Protocol):
    """What is built when no connection is wanted any more.

    A ``buildProtocol`` that returns None leaves TLS dialers hanging; a protocol
    that aborts at once is clean everywhere.

    :param gone: called when the refused connection has ended.
    """

    def __init__(self, gone: Callable[[], None] = lambda: None) -> None:
        self._gone = gone

    def makeConnection(self, transport: Any) -> None:
        transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._gone()
