"""What an argument may be: checks that name the argument, what it got, and what it takes.

Each function gives a validator of `attrs`. What is wrong is found when the object is
made, not hours later when a timer is set to a text: `ArgumentError` is one line.
A bool is no number here, and neither is NaN or an infinity.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable
from inspect import isasyncgenfunction, iscoroutinefunction
from os import PathLike
from typing import Any, TypeAlias, cast

from nbclient.errors import ArgumentError

CLOCK = "an IReactorTime (callLater and seconds), such as a reactor"
"""What a clock is, in words."""

ENDPOINT = "an IStreamClientEndpoint, which nbclient.endpoints makes"
"""What an endpoint is, in words."""

Validator: TypeAlias = Callable[[Any, Any, Any], None]
"""Takes the object that is made, the attribute (its `name`), and the value."""


def check(name: str, value: object, fits: bool, takes: str) -> None:
    """Refuse a value that does not fit.

    :param name: of the argument.
    :param takes: what it takes, in words that read on after "takes".
    :raises ArgumentError: it does not fit.
    """
    if not fits:
        raise ArgumentError(name, value, takes)


def is_number(value: object) -> bool:
    """Whether `value` is an int or a finite float."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_whole(value: object) -> bool:
    """Whether `value` is an int."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_async(value: object) -> bool:
    """Whether what a call of `value` gives has to be awaited, as far as that shows."""
    call = cast(Any, type(value)).__call__  # of an object that can be called
    return any(iscoroutinefunction(each) or isasyncgenfunction(each) for each in (value, call))


def is_called(value: object) -> bool:
    """Whether `value` can be called, and gives its result at once."""
    return callable(value) and not is_async(value)


def is_pattern(value: object) -> bool:
    """Whether `value` is a compiled pattern of bytes, of `re` or of a kind that looks like it."""
    return callable(getattr(value, "search", None)) and isinstance(
        getattr(value, "pattern", b""), bytes
    )


def is_clock(value: object) -> bool:
    """Whether `value` has what is needed of an `IReactorTime`."""
    has = (callable(getattr(value, name, None)) for name in ("callLater", "seconds"))
    return not isinstance(value, type) and all(has)


def check_endpoint(name: str, value: object) -> None:
    """Refuse what cannot be dialled; say what to write where it is nearly an endpoint.

    :raises ArgumentError: as said.
    """
    fits = callable(getattr(value, "connect", None)) and not isinstance(value, type)
    text = isinstance(value, str)
    check(name, value, fits, ENDPOINT + ("; of a text from_string(reactor, ...) does" * text))


def check_timeout(name: str, value: object) -> None:
    """Refuse what is no number of seconds above 0.

    :raises ArgumentError: as said.
    """
    fits = is_number(value) and cast(float, value) > 0
    check(name, value, fits, "a number of seconds above 0")


def check_whole(name: str, value: object) -> None:
    """Refuse what is no whole number.

    :raises ArgumentError: as said.
    """
    check(name, value, is_whole(value), "a whole number")


def check_text(name: str, value: object) -> None:
    """Refuse what is no text.

    :raises ArgumentError: as said.
    """
    check(name, value, isinstance(value, str), "a text, '...'")


def number(
    above: float | None = None,
    least: float | None = None,
    *,
    unit: str = " of seconds",
    optional: bool = False,
) -> Validator:
    """A number that is more than `above`, or at least `least`."""
    bound = f" above {above:g}" if above is not None else f", at least {least:g}"
    takes = f"a number{unit}{bound}{_or_none(optional)}"

    def fits(value: Any) -> bool:
        return is_number(value) and (value > above if above is not None else value >= least)

    return _validator(fits, takes, optional)


def whole(least: int, most: int | None = None, *, optional: bool = False) -> Validator:
    """A whole number from `least`, to `most` where one is given."""
    takes = f"a whole number from {least}{'' if most is None else f' to {most}'}"

    def fits(value: Any) -> bool:
        return is_whole(value) and value >= least and (most is None or value <= most)

    return _validator(fits, f"{takes}{_or_none(optional)}", optional)


def one_of(words: Collection[str]) -> Validator:
    """One of some words."""
    takes = f"one of {', '.join(words)}"
    return _validator(lambda value: isinstance(value, str) and value in words, takes)


def instance(kind: Any, takes: str, *, optional: bool = False) -> Validator:
    """An object of a class."""
    return _validator(lambda value: isinstance(value, kind), takes + _or_none(optional), optional)


def called(takes: str, *, optional: bool = False) -> Validator:
    """Something to call that gives its result at once."""
    return _validator(is_called, takes + _or_none(optional), optional)


def text(*, optional: bool = False) -> Validator:
    """A text."""
    takes = f"a text, '...'{_or_none(optional)}"
    return _validator(lambda value: isinstance(value, str), takes, optional)


def path() -> Validator:
    """The path of a file, or None."""
    return instance(str | PathLike, "the path of a file", optional=True)


def flag() -> Validator:
    """True or False: a text such as "no" would be true."""
    return instance(bool, "True or False")


def frame() -> Validator:
    """The bytes of a frame."""
    return _validator(lambda value: isinstance(value, bytes), "the bytes of a frame, b'...'")


def pattern(*, optional: bool = False) -> Validator:
    """A compiled pattern of bytes."""
    takes = f"a compiled pattern of bytes, re.compile(b'...'){_or_none(optional)}"
    return _validator(is_pattern, takes, optional)


def all_of(kind: type, takes: str) -> Validator:
    """A tuple of objects of a class (see `as_tuple`)."""

    def fits(value: Any) -> bool:
        return isinstance(value, tuple) and all(isinstance(each, kind) for each in value)

    return _validator(fits, takes)


def as_tuple(value: Any) -> Any:
    """A converter: a list, or what else gives objects one by one, as a tuple.

    What does not, or a text, stays as it is, for the validator to name.
    """
    plain = isinstance(value, str | bytes) or not isinstance(value, Iterable)
    return value if plain else tuple(value)


def _validator(fits: Callable[[Any], bool], takes: str, optional: bool = False) -> Validator:
    def validate(owner: Any, attribute: Any, value: Any) -> None:
        if not ((optional and value is None) or fits(value)):
            # Some objects stand for the arguments of another call: they have no name there.
            prefix = getattr(owner, "ARGUMENTS_OF", f"{type(owner).__name__}: ")
            raise ArgumentError(f"{prefix}{attribute.name}", value, takes)

    return validate


def _or_none(optional: bool) -> str:
    return ", or None" if optional else ""
