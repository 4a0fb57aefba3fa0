"""A framing from its SPEC text, as it stands on a command line or in a file."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from nbclient.core.arguments import check_text
from nbclient.errors import SpecError
from nbclient.framing.astm import astm
from nbclient.framing.base import MAX_FRAME, Framing
from nbclient.framing.between import between, mllp, stx_etx
from nbclient.framing.cobs import cobs
from nbclient.framing.counts import MOST_DIGITS, digits, varint
from nbclient.framing.delimited import crlf, delimiter, lines
from nbclient.framing.dle import dle
from nbclient.framing.headers import headers, stomp
from nbclient.framing.jsontext import json
from nbclient.framing.nmea import nmea
from nbclient.framing.plain import fixed, raw
from nbclient.framing.prefixed import length, netstring, octet_counted
from nbclient.framing.slip import slip
from nbclient.framing.telnet import telnet

KNOWN = (
    "lines, crlf, delimiter:BYTES, between:START,END[,trailer=N][,checksum=C][,over=WHAT]"
    "[,or-end=BYTES][,keep-end][,start-inside], stx-etx[,OPTIONS OF between], mllp, slip, "
    "dle, cobs, telnet, stomp, headers, astm, "
    "nmea[,checksum=optional], json, netstring, length:N[,le][,inclusive][,offset=K]"
    "[,adjust=A][,keep-header][,checksum=C][,over=WHAT][,mark=BYTES][,bits=B], "
    "varint[,offset=K][,keep-header], digits:N, octet-counted[,tolerant], "
    "fixed:N[,checksum=C], raw, package.module:name"
)
"""What a SPEC may say, for messages and help."""

SKIPPING = (
    "lines, crlf, delimiter, between, stx-etx, mllp, slip, dle, cobs, telnet, astm, nmea "
    "and length with a mark"
)
"""The framings that find the next boundary by themselves."""

_ESCAPE = re.compile(rb"\\(x[0-9A-Fa-f]{2}|.?)", re.DOTALL)
_ESCAPED = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"0": b"\0", b"\\": b"\\"}
_KIND = re.compile("([^:,]*)([:,]?)(.*)", re.DOTALL)
_LONGEST_NUMBER = 18
_OWN = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


def named(spec: str, max_frame: int = MAX_FRAME, on_bad_frame: str = "close") -> Framing:
    """The framing that `spec` names.

    :param spec: one of `KNOWN`; ``package.module:name`` is an instance of
        `Framing`, or a callable that returns one when called without arguments.
    :param max_frame: the longest frame accepted, bytes. ``raw`` has nothing to
        bound; a framing of one's own brings its own limit.
    :param on_bad_frame: ``close`` or ``skip``, the latter only where a framing
        finds its boundaries by itself (`SKIPPING`). A framing of one's own has
        to have said the same of itself.
    :raises SpecError: in one line, if the text is not understood or what it
        asks for cannot be had.
    """
    check_text("spec", spec)
    kind, mark, rest = _KIND.fullmatch(spec).groups()  # type: ignore[union-attr]
    if kind in _KINDS:
        if on_bad_frame != "close" and kind not in _SKIPPING:
            raise _cannot_skip(spec, on_bad_frame)
        return _KINDS[kind](_rest(spec, kind, mark, rest), max_frame, on_bad_frame)
    if _OWN.fullmatch(spec):
        return _own(spec, max_frame, on_bad_frame)
    raise SpecError(f"unknown framing {spec!r}; there are {KNOWN}")


def _cannot_skip(spec: str, on_bad_frame: str) -> SpecError:
    return SpecError(
        f"framing {spec!r} cannot {on_bad_frame} a bad frame: "
        f"only {SKIPPING} find the next boundary by themselves"
    )


def _rest(spec: str, kind: str, mark: str, rest: str) -> str:
    """What follows the kind, which must be there exactly where it is wanted."""
    if kind in _ARGUED and (mark != ":" or not rest):
        raise SpecError(f"framing {spec!r} lacks what follows the colon; there are {KNOWN}")
    if kind not in _ARGUED and mark == ":":
        raise SpecError(f"framing {kind!r} takes nothing behind a colon: {spec!r}")
    if mark and kind not in _ARGUED and kind not in _OPTIONED:
        raise SpecError(f"framing {kind!r} takes no options: {spec!r}")
    return mark + rest if kind in _OPTIONED else rest


def _bytes(text: str, what: str = "delimiter") -> bytes:
    """The bytes that a text with escapes stands for; other characters count as UTF-8."""

    def one(match: re.Match[bytes]) -> bytes:
        code = match[1]
        if len(code) == 3:
            return bytes.fromhex(code[1:].decode("ascii"))
        if code not in _ESCAPED:
            raise SpecError(
                rf"unknown escape {match[0].decode('utf-8', 'replace')!r} in {what} {text!r}; "
                r"there are \xHH \n \r \t \0 \\"
            )
        return _ESCAPED[code]

    return _ESCAPE.sub(one, text.encode("utf-8", "surrogateescape"))


def _options(kind: str, given: list[str], known: Mapping[str, str]) -> dict[str, str]:
    """What each option says, "" for one that is a word alone.

    :param known: the options there are, and what stands for the value of each.
    """
    found: dict[str, str] = {}
    for option in given:
        name, equals, value = option.partition("=")
        if name not in known or bool(known[name]) != bool(equals):
            there = ", ".join(f"{each}={value}" if value else each for each, value in known.items())
            raise SpecError(f"unknown option {option!r} of {kind}; there are {there}")
        if name in found:
            raise SpecError(f"option {name!r} of {kind} is given twice")
        found[name] = value
    return found


def _length(text: str, max_frame: int, bad: str) -> Framing:
    size, *given = text.split(",")
    options = _options("length", given, _LENGTH_OPTIONS)
    if bad != "close" and "mark" not in options:
        raise _cannot_skip(f"length:{text}", bad)
    return length(
        _number(size, "size of length", "1, 2, 3, 4 or 8"),
        little_endian="le" in options,
        inclusive="inclusive" in options,
        offset=_number(options.get("offset", "0"), "offset of length", f"0 to {max_frame}"),
        adjust=_number(options.get("adjust", "0"), "adjust of length", "of 18 digits at most"),
        keep_header="keep-header" in options,
        max_frame=max_frame,
        mark=_bytes(options.get("mark", ""), "mark"),
        bits=_number(options.get("bits", "0"), "bits of length", "1 to 64"),
        on_bad_frame=bad,
        **_summed(options, "length"),
    )


def _varint(text: str, max_frame: int, _: str) -> Framing:
    options = _options("varint", text.split(",")[1:], {"offset": "K", "keep-header": ""})
    offset = _number(options.get("offset", "0"), "offset of varint", f"0 to {max_frame}")
    return varint(max_frame, offset, "keep-header" in options)


def _between(text: str, max_frame: int, bad: str) -> Framing:
    start, *given = text.split(",")
    if not given:
        raise SpecError(f"framing 'between:{text}' lacks its end: between:START,END")
    end, *given = given
    return between(
        _bytes(start, "start"), _bytes(end, "end"), **_marked("between", given, max_frame, bad)
    )


def _stx_etx(text: str, max_frame: int, bad: str) -> Framing:
    return stx_etx(**_marked("stx-etx", text.split(",")[1:], max_frame, bad))


def _marked(kind: str, given: list[str], max_frame: int, bad: str) -> dict[str, Any]:
    """The arguments of a framing between two marks."""
    ends = [option for option in given if option.startswith("or-end=")]
    options = _options(kind, [each for each in given if each not in ends], _BETWEEN_OPTIONS)
    return {
        "trailer": _number(options.get("trailer", "0"), f"trailer of {kind}", f"0 to {max_frame}"),
        "max_frame": max_frame,
        "on_bad_frame": bad,
        "or_ends": [_bytes(end.partition("=")[2], "or-end") for end in ends],
        "keep_end": "keep-end" in options,
        "start_inside": "start-inside" in options,
        **_summed(options, kind),
    }


def _nmea(text: str, max_frame: int, bad: str) -> Framing:
    options = _options("nmea", text.split(",")[1:], {"checksum": "optional"})
    if options.get("checksum", "optional") != "optional":
        raise SpecError(f"the checksum of nmea is its own, or optional; not {text!r}")
    return nmea(max_frame, bad, optional="checksum" in options)


def _octet_counted(text: str, max_frame: int, _: str) -> Framing:
    options = _options("octet-counted", text.split(",")[1:], {"tolerant": ""})
    return octet_counted(max_frame, "tolerant" in options)


def _fixed(text: str, max_frame: int, _: str) -> Framing:
    size, *given = text.split(",")
    options = _options("fixed", given, {"checksum": "C"})
    bytes_each = _number(size, "size of fixed", f"1 to {max_frame}")
    return fixed(bytes_each, max_frame, **_summed(options, "fixed"))


def _summed(options: Mapping[str, str], kind: str) -> dict[str, str]:
    """The arguments that are about a checksum."""
    found = {name: options[name] for name in ("checksum", "over") if name in options}
    for name, value in found.items():
        if not value:
            raise SpecError(f"the {name} of {kind} is empty")
    return found


def _number(text: str, what: str, allowed: str) -> int:
    """A whole number; the framing itself refuses one that is out of its range.

    :param allowed: that range, for a number too long to be read.
    """
    if not re.fullmatch("[+-]?[0-9]+", text):
        raise SpecError(f"the {what} must be a whole number, not {text!r}")
    if len(text) > _LONGEST_NUMBER:
        raise SpecError(f"the {what} is {allowed}, not {text[:_LONGEST_NUMBER]}…")
    return int(text)


def _own(spec: str, max_frame: int, on_bad_frame: str) -> Framing:
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
    if on_bad_frame not in ("close", getattr(found, "on_bad_frame", "close")):
        raise SpecError(
            f"framing {spec!r} has its own way with a bad frame; "
            f"it cannot be told to {on_bad_frame} (its on_bad_frame does not say so)"
        )
    return found


_LENGTH_OPTIONS = {
    "le": "",
    "inclusive": "",
    "offset": "K",
    "adjust": "A",
    "keep-header": "",
    "checksum": "C",
    "over": "WHAT",
    "mark": "BYTES",
    "bits": "B",
}
_BETWEEN_OPTIONS = {
    "trailer": "N",
    "checksum": "C",
    "over": "WHAT",
    "or-end": "BYTES",
    "keep-end": "",
    "start-inside": "",
}

_KINDS: Mapping[str, Callable[[str, int, str], Framing]] = {
    "lines": lambda _, limit, bad: lines(limit, bad),
    "crlf": lambda _, limit, bad: crlf(limit, bad),
    "delimiter": lambda text, limit, bad: delimiter(_bytes(text), limit, bad),
    "between": _between,
    "stx-etx": _stx_etx,
    "mllp": lambda _, limit, bad: mllp(limit, bad),
    "slip": lambda _, limit, bad: slip(limit, bad),
    "telnet": lambda _, limit, bad: telnet(limit, bad),
    "stomp": lambda _, limit, __: stomp(limit),
    "headers": lambda _, limit, __: headers(limit),
    "astm": lambda _, limit, bad: astm(limit, bad),
    "dle": lambda _, limit, bad: dle(limit, bad),
    "cobs": lambda _, limit, bad: cobs(limit, bad),
    "nmea": _nmea,
    "json": lambda _, limit, __: json(limit),
    "netstring": lambda _, limit, __: netstring(limit),
    "length": _length,
    "varint": _varint,
    "digits": lambda text, limit, _: digits(
        _number(text, "count of digits", f"1 to {MOST_DIGITS}"), limit
    ),
    "octet-counted": _octet_counted,
    "fixed": _fixed,
    "raw": lambda _, __, ___: raw(),
}
_ARGUED = ("delimiter", "between", "length", "digits", "fixed")  # KIND:WHAT
_OPTIONED = ("stx-etx", "nmea", "varint", "octet-counted")  # KIND[,OPTION]
_SKIPPING = (
    *("lines", "crlf", "delimiter", "between", "stx-etx", "mllp", "slip", "dle", "cobs", "telnet"),
    *("astm", "nmea", "length"),
)
