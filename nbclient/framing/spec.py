"""A framing from its SPEC text, as it stands on a command line or in a file."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module

from nbclient.errors import SpecError
from nbclient.framing.base import MAX_FRAME, Framing
from nbclient.framing.delimited import crlf, delimiter, lines
from nbclient.framing.plain import fixed, raw
from nbclient.framing.prefixed import length, netstring, octet_counted

KNOWN = (
    "lines, crlf, delimiter:BYTES, netstring, "
    "length:N[,le][,inclusive][,offset=K][,adjust=A][,keep-header], "
    "octet-counted, fixed:N, raw, package.module:name"
)
"""What a SPEC may say, for messages and help."""

_ESCAPE = re.compile(rb"\\(x[0-9A-Fa-f]{2}|.?)", re.DOTALL)
_ESCAPED = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"0": b"\0", b"\\": b"\\"}
_OWN = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


def named(spec: str, max_frame: int = MAX_FRAME, on_bad_frame: str = "close") -> Framing:
    """The framing that `spec` names.

    :param spec: one of `KNOWN`; ``package.module:name`` is an instance of
        `Framing`, or a callable that returns one when called without arguments.
    :param max_frame: the longest frame accepted, bytes. ``raw`` has nothing to
        bound; a framing of one's own brings its own limit.
    :param on_bad_frame: ``close`` or ``skip``, the latter only where a framing
        finds its boundaries by itself (``lines``, ``crlf``, ``delimiter``).
    :raises SpecError: in one line, if the text is not understood or what it
        asks for cannot be had.
    """
    kind = spec.partition(":")[0]
    if kind in _DELIMITED:
        return _DELIMITED[kind](_rest(spec, kind == "delimiter"), max_frame, on_bad_frame)
    if on_bad_frame != "close":
        raise SpecError(
            f"framing {spec!r} cannot {on_bad_frame} a bad frame: "
            "only lines, crlf and delimiter find the next boundary by themselves"
        )
    if kind in _OTHERS:
        return _OTHERS[kind](_rest(spec, kind in ("length", "fixed")), max_frame)
    if _OWN.fullmatch(spec):
        return _own(spec, max_frame)
    raise SpecError(f"unknown framing {spec!r}; there are {KNOWN}")


def _rest(spec: str, wanted: bool) -> str:
    """The text behind the colon, which must be there exactly where it is wanted."""
    kind, colon, rest = spec.partition(":")
    if wanted and not rest:
        raise SpecError(f"framing {spec!r} lacks what follows the colon; there are {KNOWN}")
    if colon and not wanted:
        raise SpecError(f"framing {kind!r} takes nothing behind a colon: {spec!r}")
    return rest


def _bytes(text: str) -> bytes:
    """The bytes that a text with escapes stands for; other characters count as UTF-8."""

    def one(match: re.Match[bytes]) -> bytes:
        code = match[1]
        if len(code) == 3:
            return bytes.fromhex(code[1:].decode("ascii"))
        if code not in _ESCAPED:
            raise SpecError(
                rf"unknown escape {match[0].decode('utf-8', 'replace')!r} in delimiter {text!r}; "
                r"there are \xHH \n \r \t \0 \\"
            )
        return _ESCAPED[code]

    return _ESCAPE.sub(one, text.encode("utf-8", "surrogateescape"))


def _length(text: str, max_frame: int) -> Framing:
    size, *options = text.split(",")
    flags = {"le": "little_endian", "inclusive": "inclusive", "keep-header": "keep_header"}
    arguments: dict[str, int] = {}
    for option in options:
        name, equals, value = option.partition("=")
        if option in flags:
            key, number = flags[option], 1
        elif name in ("offset", "adjust") and equals:
            key, number = name, _number(value, f"{name} of length")
        else:
            raise SpecError(
                f"unknown option {option!r} of length; "
                "there are le, inclusive, offset=K, adjust=A, keep-header"
            )
        if key in arguments:
            raise SpecError(f"option {name!r} of length is given twice")
        arguments[key] = number
    return length(
        _number(size, "size of length"),
        little_endian=bool(arguments.get("little_endian")),
        inclusive=bool(arguments.get("inclusive")),
        offset=arguments.get("offset", 0),
        adjust=arguments.get("adjust", 0),
        keep_header=bool(arguments.get("keep_header")),
        max_frame=max_frame,
    )


def _number(text: str, what: str) -> int:
    if not re.fullmatch("[+-]?[0-9]{1,9}", text):
        raise SpecError(f"the {what} must be a whole number, not {text!r}")
    return int(text)


def _own(spec: str, max_frame: int) -> Framing:
    path, _, name = spec.partition(":")
    try:
        found: object = import_module(path)
        for part in name.split("."):
            found = getattr(found, part)
        if callable(found) and not isinstance(found, Framing):
            found = found()
    except Exception as error:
        why = f"{type(error).__name__}: {error}".splitlines()[0]
        raise SpecError(f"cannot load framing {spec!r} ({why}); there are {KNOWN}") from error
    if not isinstance(found, Framing):
        raise SpecError(f"{spec!r} gives a {type(found).__name__}, not a Framing")
    # A security limit is never taken and then ignored.
    if max_frame not in (MAX_FRAME, found.max_frame):
        raise SpecError(
            f"framing {spec!r} has its own limit of {found.max_frame} bytes; "
            f"max_frame={max_frame} cannot be applied to it"
        )
    return found


_DELIMITED: dict[str, Callable[[str, int, str], Framing]] = {
    "lines": lambda _, limit, bad: lines(limit, bad),
    "crlf": lambda _, limit, bad: crlf(limit, bad),
    "delimiter": lambda text, limit, bad: delimiter(_bytes(text), limit, bad),
}

_OTHERS: dict[str, Callable[[str, int], Framing]] = {
    "length": _length,
    "netstring": lambda _, limit: netstring(limit),
    "octet-counted": lambda _, limit: octet_counted(limit),
    "fixed": lambda text, limit: fixed(_number(text, "size of fixed"), limit),
    "raw": lambda _, limit: raw(),
}
