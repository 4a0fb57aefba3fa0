"""Subclasses of a link, those written for Twisted's `ReconnectingClientFactory` among them.

What such a class says either works here or is refused with a line that says what to do:

* an override that leaves out its up-call: it is completed (`complete`);
* a name that is set, or called, to steer the redialling: refused, with what is there
  instead (`Foreign`);
* a name that the constructor sets: refused, since the class's value would be hidden.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial, wraps
from inspect import getattr_static
from typing import Any

from twisted.internet.error import NotConnectingError
from twisted.internet.protocol import ReconnectingClientFactory
from twisted.python.failure import Failure

from nbclient.connection.overrides import refuse_async
from nbclient.errors import LocalError, Unsupported

DIALLER_CALLS = ("startedConnecting", "clientConnectionFailed", "clientConnectionLost")
"""What connectors call, and endpoints do not."""


class Foreign:
    """A name of `ReconnectingClientFactory` that a link does without.

    :param instead: what there is in its place.
    """

    __slots__ = ("_name", "instead")

    def __init__(self, instead: str) -> None:
        self.instead = instead

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def refuse(self, owner: type) -> Unsupported:
        """The error, for a class that has the name or for a link."""
        return Unsupported(f"{owner.__name__}.{self._name}: {self.instead}")

    def __get__(self, link: object, owner: type) -> Foreign:
        if link is None:
            return self
        raise self.refuse(owner)

    def __set__(self, link: object, value: object) -> None:
        raise self.refuse(type(link))


class Refusing:
    """Refuses the names of `ReconnectingClientFactory`; a base of the link."""

    __slots__ = ()

    initialDelay = Foreign("the first wait is Backoff(initial=SECONDS), for backoff=")
    maxDelay = Foreign("the longest wait is Backoff(maximum=SECONDS), for backoff=")
    factor = Foreign("how waits grow is Backoff(factor=F), for backoff=")
    jitter = Foreign("waits are drawn from all of [0, cap], see Backoff: there is nothing to set")
    maxRetries = Foreign("it gives up after Backoff(retries=N), for backoff=")
    delay = Foreign("the next wait follows from Backoff; reconnectNow() waits no longer")
    retries = Foreign("the failed attempts in a row are stats().attempts")
    continueTrying = Foreign("to try no more, call stop()")
    resetDelay = Foreign(
        "leave it out: waits are short again once a connection was ready for"
        " Backoff(stable_after=SECONDS)"
    )
    stopTrying = Foreign("call stop(), which returns a Deferred")
    retry = Foreign("leave it out: a link redials by itself; reconnectNow() does so at once")


def complete(cls: Any, base: Any, set_by_constructor: Iterable[str]) -> None:
    """Make a new subclass of the link whole, or refuse it.

    :param base: the link's class.
    :param set_by_constructor: names that a class attribute would only hide.
    :raises LocalError: as said at the head of this module.
    """
    if issubclass(cls, ReconnectingClientFactory):
        raise LocalError(
            f"{cls.__name__}: a {base.__name__} redials by itself; derive from it alone, not from"
            " ReconnectingClientFactory"
        )
    for name, foreign in vars(Refusing).items():
        if isinstance(foreign, Foreign) and getattr_static(cls, name) is not foreign:
            raise foreign.refuse(cls)
    for name in set_by_constructor:
        if getattr_static(cls, name) is not getattr_static(base, name):
            raise LocalError(
                f"{cls.__name__}.{name}: only the constructor sets it; give it {name}="
            )
    refuse_async(cls, ())
    for name, completed in _COMPLETED.items():
        if name in vars(cls):
            setattr(cls, name, completed(vars(cls)[name], base))
    cls._unheard = tuple(
        name for name in DIALLER_CALLS if getattr_static(cls, name) is not vars(base)[name]
    )


def _initialised(override: Callable[..., None], base: Any) -> Callable[..., None]:
    @wraps(override)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            override(self, *args, **kwargs)
        except AttributeError as error:
            if hasattr(self, "_machine"):
                raise
            raise _uninitialised(self, base) from error
        if not hasattr(self, "_machine"):
            raise _uninitialised(self, base)

    return __init__


def _uninitialised(link: Any, base: Any) -> LocalError:
    return LocalError(
        f"{type(link).__name__}.__init__ has to call super().__init__() first, with the arguments"
        f" of {base.__name__}"
    )


def _started(override: Callable[..., Any], base: Any) -> Callable[..., None]:
    @wraps(override)
    def startedConnecting(self: Any, connector: Any) -> None:
        dials = self._dials
        try:
            override(self, connector)
        except Exception:
            if not self._dialledBy(connector):  # the first time: for whoever dialled
                with suppress(NotConnectingError):  # it was refused
                    connector.stopConnecting()
                raise
            self._overrideFailed("startedConnecting", Failure())
        if self._dials == dials:
            base.startedConnecting(self, connector)

    return startedConnecting


def _failed(override: Callable[..., Any], base: Any) -> Callable[..., None]:
    """First the link's own part: an override may dial by hand."""

    @wraps(override)
    def clientConnectionFailed(self: Any, connector: Any, reason: Failure) -> None:
        before = self._reported
        base.clientConnectionFailed(self, connector, reason)
        self._reported = reason
        try:
            override(self, connector, reason)
        except Exception:
            self._overrideFailed("clientConnectionFailed", Failure())
        finally:
            self._reported = before

    return clientConnectionFailed


def _built(override: Callable[..., Any], base: Any) -> Callable[..., Any]:
    @wraps(override)
    def buildProtocol(self: Any, addr: Any) -> Any:
        return self._build(partial(override, self), addr)

    return buildProtocol


_COMPLETED: dict[str, Callable[[Any, Any], Any]] = {
    "__init__": _initialised,
    "startedConnecting": _started,
    "clientConnectionFailed": _failed,
    "buildProtocol": _built,
}
