"""Subclasses of a link, those written for Twisted's `ReconnectingClientFactory` among them.

What such a class says either works here or is refused with a line that says what to do:

* an override that leaves out its up-call, its own, a mixin's, or one set on a link: it is
  completed (`complete`, `Overridable`);
* a name that is set, or called, to steer the redialling: refused, with what is there
  instead (`Foreign`);
* a name that the constructor sets: refused, since the class's value would be hidden.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import wraps
from inspect import getattr_static
from types import MethodType
from typing import Any, TypeVar, cast

from twisted.internet.error import NotConnectingError
from twisted.internet.protocol import ReconnectingClientFactory
from twisted.python.failure import Failure

from nbclient.connection.overrides import plain, refuse_async
from nbclient.core.arguments import check, is_called
from nbclient.errors import LocalError, Unsupported

DIALLER_CALLS = ("startedConnecting", "clientConnectionFailed", "clientConnectionLost")
"""What connectors call, and endpoints do not."""

Method = TypeVar("Method", bound=Callable[..., Any])


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


_FOREIGN = tuple(name for name, value in vars(Refusing).items() if isinstance(value, Foreign))


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
    for name in _FOREIGN:
        if getattr_static(cls, name) is not vars(Refusing)[name]:
            raise vars(Refusing)[name].refuse(cls)
    for name in set_by_constructor:
        if getattr_static(cls, name) is not getattr_static(base, name):
            raise LocalError(
                f"{cls.__name__}.{name}: only the constructor sets it; give it {name}="
            )
    refuse_async(cls, ())
    for name, completed in _COMPLETED.items():
        found = getattr_static(cls, name)  # a mixin's, too
        if not _is_complete(found, name, base):
            whole = completed(found, base)
            setattr(cls, name, whole if name == "__init__" else Overridable(name, whole, base))


def changed(cls: type, base: type, set_by_constructor: Iterable[str]) -> bool:
    """Whether something was set on `cls` after `complete` saw it: a dataclass's ``__init__``, say.

    Of each new link this is asked: it has to be quick.
    """
    return any(
        getattr(cls, name) is not getattr(base, name) for name in (*_FOREIGN, *set_by_constructor)
    ) or not all(_is_complete(getattr_static(cls, name), name, base) for name in _COMPLETED)


def _is_complete(found: Any, name: str, base: type) -> bool:
    if name == "__init__":  # a decorator may have copied the mark
        return found is vars(base)[name] or getattr(found, "whole", None) is found
    return isinstance(found, Overridable)


def unheard(link: Any, base: type) -> list[str]:
    """What is overridden, in the class or on the link, and not called by endpoints."""
    return [name for name in DIALLER_CALLS if not is_stock(link, name, base)]


def is_stock(link: Any, name: str, base: type) -> bool:
    """Whether nothing overrides a method of the link."""
    return name not in vars(link) and getattr_static(type(link), name) is vars(base)[name]


class Overridable:
    """A method of a link that applications override, in a class or on a link.

    What is set on a link is completed as an override in a class is.
    """

    def __init__(self, name: str, function: Callable[..., Any], base: Any = None) -> None:
        self._name = name
        self._function = function
        self._base = base
        self.__doc__ = function.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._base = owner

    def __get__(self, link: Any, owner: type) -> Any:
        if link is None:
            return self._function
        # An up-call goes to the class's, although one is set on the link.
        if self._name in vars(link) and getattr_static(owner, self._name) is self:
            return vars(link)[self._name]
        return MethodType(self._function, link)

    def __set__(self, link: Any, value: Any) -> None:
        check(
            f"{type(link).__name__}.{self._name}", value, is_called(value), "a function, not async"
        )
        whole = _COMPLETED[self._name](staticmethod(value), self._base)
        vars(link)[self._name] = MethodType(whole, link)

    def __delete__(self, link: Any) -> None:
        vars(link).pop(self._name)


def overridable(method: Method) -> Method:
    """A decorator, of the base's own."""
    return cast(Method, Overridable(method.__name__, method))


def _bound(override: Any, link: Any) -> Any:
    """A function, a class method or any other kind of method, to be called for a link."""
    bind = getattr(type(override), "__get__", None)
    return override if bind is None else bind(override, link, type(link))


def _initialised(override: Any, base: Any) -> Callable[..., None]:
    @wraps(plain(override))
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            _bound(override, self)(*args, **kwargs)
        except AttributeError as error:
            if hasattr(self, "_machine"):
                raise
            raise _uninitialised(self, base) from error
        if not hasattr(self, "_machine"):
            raise _uninitialised(self, base)

    cast(Any, __init__).whole = __init__
    return __init__


def _uninitialised(link: Any, base: Any) -> LocalError:
    return LocalError(
        f"{type(link).__name__}.__init__ has to call super().__init__() first, with the arguments"
        f" of {base.__name__}"
    )


def _started(override: Any, base: Any) -> Callable[..., None]:
    @wraps(plain(override))
    def startedConnecting(self: Any, connector: Any) -> None:
        dials = self._dials
        try:
            _bound(override, self)(connector)
        except BaseException:
            if not self._dialledBy(connector):  # the first time: for whoever dialled
                with suppress(NotConnectingError):  # it was refused
                    connector.stopConnecting()
                raise
            self._overrideFailed("startedConnecting", Failure())
        if self._dials == dials:
            base.startedConnecting(self, connector)

    return startedConnecting


def _failed(override: Any, base: Any) -> Callable[..., None]:
    """First the link's own part: an override may raise."""

    @wraps(plain(override))
    def clientConnectionFailed(self: Any, connector: Any, reason: Failure) -> None:
        if not self._refusing:
            base.clientConnectionFailed(self, connector, reason)
            _tell(self, "clientConnectionFailed", override, connector, reason)

    return clientConnectionFailed


def _lost(override: Any, base: Any) -> Callable[..., None]:
    @wraps(plain(override))
    def clientConnectionLost(self: Any, connector: Any, reason: Failure) -> None:
        _tell(self, "clientConnectionLost", override, connector, reason)

    return clientConnectionLost


def _tell(link: Any, name: str, override: Any, connector: Any, reason: Failure) -> None:
    """Call an override that is told of an end: it cannot dial, the link does."""
    before = link._reported
    link._reported = reason
    try:
        _bound(override, link)(connector, reason)
    except BaseException:
        link._overrideFailed(name, Failure())
    finally:
        link._reported = before


def _built(override: Callable[..., Any], base: Any) -> Callable[..., Any]:
    @wraps(override)
    def buildProtocol(self: Any, addr: Any) -> Any:
        return self._build(_bound(override, self), addr)

    return buildProtocol


_COMPLETED: dict[str, Callable[[Any, Any], Any]] = {
    "__init__": _initialised,
    "startedConnecting": _started,
    "clientConnectionFailed": _failed,
    "clientConnectionLost": _lost,
    "buildProtocol": _built,
}
