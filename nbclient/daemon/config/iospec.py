"""Where frames come from and go to: what --input and --output take.

A SPEC is a kind, then what the kind needs, then its options: ``file:PATH,rotate=10M,keep=5``.
Every function raises `SpecError` with a message that reads on after the option's name.
"""

from __future__ import annotations

import ipaddress
import re
import shlex
from collections.abc import Callable, Collection, Mapping
from typing import Any

from attrs import evolve, frozen

from nbclient.daemon.config import values
from nbclient.daemon.config.values import shown
from nbclient.errors import SpecError

SOURCES = ("-", "file:PATH", "tail:PATH", "fifo:PATH", "listen:ADDR", "exec:CMD", "none")
TARGETS = ("-", "file:PATH", "fifo:PATH", "listen:ADDR", "udp:H:P", "log", "none")

ENDLESS = ("tail", "fifo", "listen")
"""Inputs that never end by themselves."""


@frozen
class Place:
    """Where frames come from or go to.

    :ivar kind: ``-``, ``file``, ``log``, ``none``, …
    :ivar path: what the kind needs: a path, an address, a command; "" if nothing.
    :ivar options: what else was asked for, by name.
    """

    kind: str
    path: str = ""
    options: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        return f"{self.kind}:{self.path}" if self.path else self.kind

    def option(self, name: str, default: Any = None) -> Any:
        """The value of an option, `default` where it is not given."""
        return dict(self.options).get(name, default)

    def same(self, other: Place | None) -> bool:
        """Whether both are one place, whatever their options."""
        return other is not None and (self.kind, self.path) == (other.kind, other.path)


@frozen
class Address:
    """Where to listen: a UNIX socket's path, or an IP address and a port (0: any)."""

    path: str = ""
    host: str = ""
    port: int = 0

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.path or f"{host}:{self.port}"

    @property
    def public(self) -> bool:
        """Whether other machines could reach it."""
        return bool(self.host) and not ipaddress.ip_address(self.host).is_loopback


def address(text: str) -> Address:
    """Where to listen: ``127.0.0.1:9000``, ``[::1]:9000``, or a path that holds a slash.

    :raises SpecError: anything else.
    """
    if "/" in text:
        return Address(path=values.path(text))
    host, port = host_port(text)
    host = {"localhost": "127.0.0.1"}.get(host, host)
    try:
        host = str(ipaddress.ip_address(host))
    except ValueError:
        raise SpecError(f"{shown(host)!r} is not an IP address to listen at") from None
    return Address(host=host, port=0 if port == "0" else values.port(port))


def host_port(text: str) -> tuple[str, str]:
    """``HOST:PORT`` or ``[HOST]:PORT``, taken apart.

    :raises SpecError: anything else.
    """
    found = re.fullmatch(r"\[([^\[\]]+)\]:(.+)|([^:]+):([^:]+)", text)
    if found is None:
        raise SpecError(f"{shown(text)!r} is not HOST:PORT ([HOST]:PORT for IPv6)")
    return found[1] or found[3], found[2] or found[4]


def peer(text: str) -> tuple[str, int]:
    """Where to connect: a name or an address, and a port.

    :raises SpecError: anything else.
    """
    host, port = host_port(text)
    return values.host(host), values.port(port)


def command(text: str) -> list[str]:
    """A command's words, as a shell would see them; there is no shell.

    :raises SpecError: no command, or a quote that is not closed.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise SpecError(f"{shown(text)!r} is no command: {error}".lower()) from None
    if not words or "\0" in text:
        raise SpecError(f"{shown(text)!r} is no command")
    return words


def mode(value: str) -> int:
    """The permissions of a socket in octal: ``660``.

    :raises SpecError: anything else.
    """
    if not re.fullmatch(r"0?[0-7]{3}", value, re.ASCII):
        raise SpecError(f"{shown(value)!r} is not a mode (such as 660)")
    return int(value, 8)


def _generations(value: str) -> int:
    if not re.fullmatch(r"[0-9]+", value, re.ASCII):
        raise SpecError(f"{shown(value)!r} is not a whole number (1 to 1000)")
    if len(value) > 4 or not 1 <= int(value) <= 1000:
        raise SpecError(f"{shown(value)} is out of range (1 to 1000)")
    return int(value)


Parse = Callable[[str], object]
_LISTEN: Mapping[str, Parse | None] = {"mode": mode, "public": None}
_FULL = {"full": values.choice("wait", "drop")}
_SOURCE_OPTIONS: Mapping[str, Mapping[str, Parse | None]] = {
    "tail": {"from": values.choice("start", "end")},
    "listen": _LISTEN,
}
_TARGET_OPTIONS: Mapping[str, Mapping[str, Parse | None]] = {
    "file": {"rotate": values.size, "keep": _generations, **_FULL},
    "fifo": _FULL,
    "listen": {**_LISTEN, "queue": values.size},
}
"""For each kind its options and their parsers; None for one without a value."""


def source(value: str) -> Place:
    """What --input takes.

    :raises SpecError: not understood.
    """
    return _place(value, SOURCES, "inputs", _SOURCE_OPTIONS)


def target(value: str) -> Place:
    """What --output takes.

    :raises SpecError: not understood.
    """
    return _place(value, TARGETS, "outputs", _TARGET_OPTIONS)


def _place(
    value: str,
    specs: Collection[str],
    noun: str,
    options: Mapping[str, Mapping[str, Parse | None]],
) -> Place:
    exist = f"the {noun} are {', '.join(specs)}"
    if value in specs:
        return Place(value)
    kind, colon, rest = value.partition(":")
    if not colon or "/" in kind:
        if "/" not in value:
            raise SpecError(
                f"{shown(value)!r} is not known: {exist}"
                " (a file's path without file: holds a slash)"
            )
        kind, rest = "file", value
    if kind not in {spec.partition(":")[0] for spec in specs if ":" in spec}:
        raise SpecError(f"{shown(kind + colon)!r} does not exist: {exist}")
    text, found = _split(rest, kind, options.get(kind, {}))
    place = Place(kind, text, found)
    _CHECKS[kind](place)
    return evolve(place, path=str(address(text))) if kind == "listen" else place


def _split(
    text: str, kind: str, known: Mapping[str, Parse | None]
) -> tuple[str, tuple[tuple[str, Any], ...]]:
    """The options at the end of a SPEC taken off."""
    found: dict[str, Any] = {}
    while known:
        rest, comma, last = text.rpartition(",")
        name, equals, value = last.partition("=")
        if not comma or not re.fullmatch("[a-z]+", name) or not (equals or name in known):
            break
        if name not in known:
            raise SpecError(f"{kind}: has no option {name}=, only {', '.join(sorted(known))}")
        if name in found:
            raise SpecError(f"{name} is given twice")
        found[name] = _parsed(name, value if equals else None, known[name])
        text = rest
    return text, tuple(sorted(found.items()))


def _parsed(name: str, value: str | None, parse: Parse | None) -> object:
    if parse is None and value is None:
        return True
    if parse is None or value is None:
        raise SpecError(f"{name} takes no value" if parse is None else f"{name}= needs a value")
    try:
        return parse(value)
    except SpecError as error:
        raise SpecError(f"{name}={error}") from None


def _check_path(place: Place) -> None:
    if not place.path:
        raise SpecError(f"{place.kind}: needs a path")
    values.path(place.path)
    if place.option("keep") and not place.option("rotate"):
        raise SpecError("keep= needs rotate=")


def _check_listen(place: Place) -> None:
    where = address(place.path)
    if where.public and not place.option("public"):
        raise SpecError(
            f"{place}: other machines could connect; if that is meant, say {place},public"
        )
    if place.option("public") and not where.public:
        raise SpecError(f"public: {place} cannot be reached from other machines")
    if place.option("mode") is not None and not where.path:
        raise SpecError("mode= is for UNIX sockets")


def _check_udp(place: Place) -> None:
    values.port(host_port(place.path)[1])


def _check_command(place: Place) -> None:
    command(place.path)


_CHECKS: Mapping[str, Callable[[Place], None]] = {
    "file": _check_path,
    "tail": _check_path,
    "fifo": _check_path,
    "listen": _check_listen,
    "udp": _check_udp,
    "exec": _check_command,
}
