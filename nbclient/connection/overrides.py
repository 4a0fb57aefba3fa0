"""What the methods that applications override may return, and which may be `async`.

What a hook returns is never dropped: a Deferred or coroutine is run to its end, and its
failure is that of the hook. Where the result is needed at once, an ``async def`` is
refused when the class is made: it would be called, never run, and what it gives (a
coroutine, which is true) be taken for an answer.
"""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Collection,
    Coroutine,
    Generator,
    Iterator,
)
from inspect import getattr_static
from typing import Any, TypeAlias

from twisted.internet.defer import Deferred

from nbclient.core.arguments import is_async
from nbclient.errors import LocalError

Result: TypeAlias = Awaitable[Any] | None
"""What a callback may return: a Deferred or coroutine, which is awaited, or None."""

OURS = ("nbclient", "twisted")
"""Whose methods a subclass overrides."""


def deferred(result: Any) -> Deferred[Any] | None:
    """What a callback returned, as a Deferred; None stays None.

    :raises TypeError: it returned something else.
    """
    if result is None or isinstance(result, Deferred):
        return result
    if isinstance(result, Coroutine):
        return Deferred.fromCoroutine(result)
    hint = "; a generator needs inlineCallbacks" if isinstance(result, Generator) else ""
    raise TypeError(f"a callback may return None, a Deferred or a coroutine, not {result!r}{hint}")


def awaited(result: Any) -> Deferred[Any] | None:
    """As `deferred`, where a result of another kind has always been let pass, as None.

    :raises TypeError: it has to be run by something else, and would not be.
    """
    plain = not isinstance(result, Awaitable | Generator | AsyncGenerator)
    return None if plain else deferred(result)


def at_once(name: str, result: Any) -> None:
    """Refuse what a hook returned that would have to be awaited; a coroutine is closed.

    :raises LocalError: it is such a thing.
    """
    if isinstance(result, Awaitable):
        if isinstance(result, Coroutine):
            result.close()
        raise LocalError(f"{name} cannot be async: its result is needed at once")


def refuse_async(cls: type, allowed: Collection[str]) -> None:
    """Refuse a class that overrides a method by an ``async def`` which nothing would await.

    :param allowed: the names of those that are awaited.
    :raises LocalError: there is one.
    """
    for name in _overridable(cls):
        if name not in allowed and is_async(plain(getattr_static(cls, name))):
            raise LocalError(f"{cls.__name__}.{name} cannot be async: its result is needed at once")


def _overridable(cls: type) -> Iterator[str]:
    """The names that are ours or Twisted's, and of them those that a subclass has anew."""
    theirs = [base for base in cls.__mro__ if base.__module__.partition(".")[0] not in OURS]
    ours = {name for base in cls.__mro__ if base not in theirs for name in vars(base)}
    for base in theirs:
        yield from (name for name in vars(base) if name in ours and not name.startswith("__"))


def plain(found: Any) -> Any:
    """The function of a class, static or partial method."""
    while not callable(found) or isinstance(found, classmethod | staticmethod):
        inner = getattr(found, "func", None) or getattr(found, "__func__", None)
        if inner is None:
            break
        found = inner
    return found
