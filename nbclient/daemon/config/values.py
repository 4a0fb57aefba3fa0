"""The text of one option's value -> what it means.

Every function raises `SpecError` with a message that reads on after the
option's name: ``--port: 70000 is out of range (1 to 65535)``.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Callable
from typing import cast

from nbclient.core.automation import Answer
from nbclient.core.liveness import SHORTEST
from nbclient.daemon.config.patterns import Pattern
from nbclient.errors import SpecError

SHOWN = 80
"""How much of a value an error message repeats, characters."""

_UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
_HEX = re.compile(rb"\\(?:x([0-9A-Fa-f]{2})|.)", re.DOTALL)
_LONGEST_COUNT = 15  # digits
_LONGEST = 10 * 366 * 86400.0
# Systems take more than letters and digits; an address of the web is none, though.
_LABEL = r"[!-\-0-?A-Z^-~]{1,63}"
_NAME = re.compile(rf"({_LABEL}\.)*{_LABEL}\.?")


def shown(text: str) -> str:
    """`text` as an error message may repeat it: one line, no control characters, capped."""
    clean = ascii(text)[1:-1] if not text.isprintable() else text
    return clean if len(clean) <= SHOWN else clean[: SHOWN - 1] + "…"


def text(value: str) -> str:
    """Any text but the empty one.

    :raises SpecError: when empty.
    """
    if not value:
        raise SpecError("must not be empty")
    return value


def seconds(value: str, least: float = 0.001) -> float:
    """A length of time in seconds, decimals allowed.

    :raises SpecError: not a number, or outside `least` to ten years.
    """
    number = _number(value, "a number of seconds")
    if not least <= number <= _LONGEST:
        raise SpecError(f"{shown(value)} is out of range ({least:g} to {_LONGEST:.0f} seconds)")
    return number


def seconds_or_zero(value: str) -> float:
    """As `seconds`, but 0 is allowed.

    :raises SpecError: as `seconds`.
    """
    return seconds(value, least=0.0)


def dead_after(value: str) -> float | None:
    """A length of time that the dead-path rule can keep, or ``off``.

    :raises SpecError: as `seconds`.
    """
    if value == "off":
        return None
    try:
        return seconds(value, least=SHORTEST)
    except SpecError as error:
        raise SpecError(f"{error}; or off") from None


def factor(value: str) -> float:
    """What each wait is multiplied by.

    :raises SpecError: not a number from 1 to 100.
    """
    number = _number(value, "a number")
    if not 1 <= number <= 100:
        raise SpecError(f"{shown(value)} is out of range (1 to 100)")
    return number


def _number(value: str, noun: str) -> float:
    if not re.fullmatch(r"[0-9]+(\.[0-9]*)?|\.[0-9]+", value, re.ASCII):
        raise SpecError(f"{shown(value)!r} is not {noun}")
    number = float(value)
    return number if math.isfinite(number) else math.inf


def count(value: str) -> int:
    """A whole number, 0 or more.

    :raises SpecError: anything else, or more than a billion.
    """
    if not re.fullmatch(r"[0-9]+", value, re.ASCII):
        raise SpecError(f"{shown(value)!r} is not a whole number (0 or more)")
    if len(value) > 10 or int(value) > 10**9:
        raise SpecError(f"{shown(value)} is out of range (0 to 1000000000)")
    return int(value)


def positive(value: str) -> int:
    """A whole number, 1 or more.

    :raises SpecError: anything else, or more than a billion.
    """
    number = count(value)
    if not number:
        raise SpecError("0 is out of range (1 to 1000000000)")
    return number


def name(value: str) -> str:
    """A name for the log and for people.

    :raises SpecError: empty, longer than 200 characters, or not printable.
    """
    if not value.strip() or len(value) > 200 or not value.isprintable():
        raise SpecError(f"{shown(value)!r} is not a name (1 to 200 printable characters)")
    return value


def size(value: str, most: int = 1024**3) -> int:
    """A number of bytes, with an optional KiB, MiB, GiB or TiB (or K, M, G, T: the same).

    :raises SpecError: anything else, or outside 1 byte to `most`.
    """
    found = re.fullmatch(r"([0-9]+) ?(?:([KMGT])(?:iB)?)?", value, re.ASCII)
    if found is None:
        raise SpecError(f"{shown(value)!r} is not a number of bytes (such as 4096 or 16MiB)")
    number = int(found[1][:_LONGEST_COUNT]) * _UNITS[found[2] or ""]  # cut, it is too much too
    if not 1 <= number <= most:
        raise SpecError(f"{shown(value)} is out of range (1 to {most // 1024**3}GiB)")
    return number


def big_size(value: str) -> int:
    """As `size`, up to 1 TiB: of what is on a disk.

    :raises SpecError: as `size`.
    """
    return size(value, 1024**4)


def port(value: str) -> int:
    """A TCP port.

    :raises SpecError: not a number from 1 to 65535.
    """
    if not re.fullmatch(r"[0-9]+", value, re.ASCII):
        raise SpecError(f"{shown(value)!r} is not a port number")
    if len(value) > 9 or not 1 <= int(value) <= 65535:
        raise SpecError(f"{shown(value)} is out of range (1 to 65535)")
    return int(value)


def host(value: str) -> str:
    """A name or an address to connect to; an IPv6 address may stand in brackets.

    :return: without the brackets.
    :raises SpecError: no name server and no system could make anything of it.
    """
    bracketed = re.fullmatch(r"\[(.*)\]", text(value), re.DOTALL)
    bare = value if bracketed is None else bracketed[1]
    if _is_ipv6(bare):
        return bare
    if bracketed is not None:
        raise SpecError(f"{shown(value)!r}: there is no IPv6 address in the brackets")
    if ":" in value and "/" not in value:
        raise SpecError(f"{shown(value)!r} is no name or address (the port has its own place)")
    from nbclient.endpoints.resolver import ascii_name  # not at the top: some of us need no Twisted

    try:
        name = ascii_name(value)
    except UnicodeError:
        name = ""
    if len(name) > 254 or not _NAME.fullmatch(name):
        raise SpecError(f"{shown(value)!r} is no name or address")
    return value


def _is_ipv6(value: str) -> bool:
    try:
        ipaddress.IPv6Address(value)
    except ValueError:
        return False
    return True


def local_address(value: str) -> tuple[str, int]:
    """``ADDR`` or ``ADDR:PORT`` to connect from; IPv6 with a port as ``[ADDR]:PORT``.

    :return: address and port, port 0 where none is given.
    :raises SpecError: anything else.
    """
    text(value)
    bracketed = re.fullmatch(r"\[([^\]]+)\](?::(.*))?", value, re.DOTALL)
    if bracketed is not None:
        return bracketed[1], 0 if bracketed[2] is None else port(bracketed[2])
    if value.count(":") == 1:
        address, number = value.split(":")
        return text(address), port(number)
    return value, 0


def choice(*allowed: str) -> Callable[[str], str]:
    """A parser that takes one of the words `allowed`."""

    def parse(value: str) -> str:
        if value not in allowed:
            raise SpecError(f"{shown(value)!r} is not one of {', '.join(allowed)}")
        return value

    return parse


def regex(value: str) -> Pattern:
    """A regular expression, matched against a frame's bytes.

    :raises SpecError: not a regular expression.
    """
    try:
        return Pattern(value.encode("utf-8", "surrogateescape"))
    except re.error as error:
        raise SpecError(f"{shown(value)!r} is not a regular expression: {error}") from None


def path(value: str) -> str:
    """The path of a file.

    :raises SpecError: empty, or holds a NUL.
    """
    if "\0" in text(value):
        raise SpecError("a path cannot hold a NUL")
    return value


def answer(value: str) -> Answer:
    """``/REGEX/TEMPLATE/``, between any character that is in neither.

    Both know ``\\xHH``.

    :raises SpecError: not of this form, or no regular expression, or the
        template names a group that is not there.
    """
    parts = value[1:].split(value[:1]) if value else []
    if len(parts) != 3 or parts[2]:
        raise SpecError(f"{shown(value)!r} is not /REGEX/TEMPLATE/ (or between another character)")
    try:
        pattern = Pattern(parts[0].encode("utf-8", "surrogateescape"))
        template = _HEX.sub(_octal, parts[1].encode("utf-8", "surrogateescape"))
        pattern.check(template)
    except (re.error, IndexError) as error:
        raise SpecError(f"{shown(value)!r} cannot be used: {error}") from None
    return Answer(cast("re.Pattern[bytes]", pattern), template)


def _octal(escape: re.Match[bytes]) -> bytes:
    """``\\xHH`` as templates of regular expressions know it; what is escaped itself stays."""
    return escape[0] if escape[1] is None else b"\\%03o" % int(escape[1], 16)


def anything(value: str) -> str:
    """Any text, the empty one included."""
    return value
