"""A framing from its SPEC text."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from nbclient import framing
from nbclient.errors import LocalError, SpecError
from nbclient.framing import Framing, named


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("lines", framing.lines()),
        ("crlf", framing.crlf()),
        (r"delimiter:\x00", framing.delimiter(b"\0")),
        (r"delimiter:\0", framing.delimiter(b"\0")),
        (r"delimiter:\r\n\t\\\xfF", framing.delimiter(b"\r\n\t\\\xff")),
        ("delimiter:;", framing.delimiter(b";")),
        ("delimiter::", framing.delimiter(b":")),
        ("delimiter: ", framing.delimiter(b" ")),
        ("delimiter:€", framing.delimiter("€".encode())),
        ("netstring", framing.netstring()),
        ("octet-counted", framing.octet_counted()),
        ("fixed:188", framing.fixed(188)),
        ("raw", framing.raw()),
        ("length:1", framing.length(1)),
        ("length:4,le", framing.length(4, little_endian=True)),
        ("length:4,inclusive", framing.length(4, inclusive=True)),
        ("length:2,adjust=-3", framing.length(2, adjust=-3)),
        ("length:2,adjust=+3", framing.length(2, adjust=3)),
        ("length:2,offset=4,keep-header", framing.length(2, offset=4, keep_header=True)),
        (
            "length:2,offset=2,inclusive,keep-header",
            framing.length(2, offset=2, inclusive=True, keep_header=True),
        ),
        ("length:8,keep-header,adjust=1,le", framing.length(8, True, False, 0, 1, True)),
        (
            "length:2,checksum=crc16-ccitt,over=frame",
            framing.length(2, checksum="crc16-ccitt", over="frame"),
        ),
        ("fixed:9,checksum=crc16-modbus", framing.fixed(9, checksum="crc16-modbus")),
        ("varint", framing.varint()),
        ("digits:4", framing.digits(4)),
        ("between:<,>", framing.between(b"<", b">")),
        (r"between:\x2c,\n\x2c\\", framing.between(b",", b"\n,\\")),
        (
            r"between:\x02,\r,checksum=sum7,over=frame",
            framing.between(b"\x02", b"\r", checksum="sum7", over="frame"),
        ),
        (
            r"between:\x02,\x03,trailer=3,checksum=xor-hex",
            framing.stx_etx("xor-hex", trailer=3),
        ),
        ("stx-etx", framing.stx_etx()),
        ("stx-etx,trailer=1", framing.stx_etx(trailer=1)),
        ("stx-etx,checksum=xor,over=end", framing.stx_etx("xor", "end")),
        ("mllp", framing.mllp()),
        (r"between:\x0b,\x1c\r", framing.between(b"\x0b", b"\x1c\r")),
        (
            r"stx-etx,or-end=\x17,keep-end,or-end=\x19",
            framing.stx_etx(or_ends=(b"\x17", b"\x19"), keep_end=True),
        ),
        (
            r"length:2,offset=1,adjust=3,checksum=crc24q,over=frame,mark=\xd3,bits=10",
            framing.length(
                2, offset=1, adjust=3, checksum="crc24q", over="frame", mark=b"\xd3", bits=10
            ),
        ),
        ("varint,offset=1,keep-header", framing.varint(offset=1, keep_header=True)),
        ("octet-counted,tolerant", framing.octet_counted(tolerant=True)),
        ("dle", framing.dle()),
        ("telnet", framing.telnet()),
        ("stomp", framing.stomp()),
        ("headers", framing.headers()),
        ("astm", framing.astm()),
        ("cobs", framing.cobs()),
        ("varint,offset=2", framing.varint(offset=2)),
        ("between:<,>,start-inside", framing.between(b"<", b">", start_inside=True)),
        ("slip", framing.slip()),
        ("nmea", framing.nmea()),
        ("nmea,checksum=optional", framing.nmea(optional=True)),
        ("json", framing.json()),
    ],
)
def test_a_spec_names_a_framing_whose_text_names_it_again(spec: str, expected: Framing) -> None:
    assert named(spec) == expected
    assert named(str(expected)) == expected


def test_any_delimiter_survives_its_own_text() -> None:
    for value in range(256):
        recipe = framing.delimiter(bytes([value]))
        assert named(str(recipe)) == recipe
        assert str(recipe).isascii()
        assert str(recipe).isprintable()


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("", "unknown framing ''; there are lines, crlf, delimiter:BYTES, "),
        ("line", "unknown framing 'line'; there are lines"),
        ("LINES", "unknown framing 'LINES'"),
        (" lines", "unknown framing ' lines'"),
        ("lengt:4", "unknown framing 'lengt:4'"),
        ("lines:5", "framing 'lines' takes nothing behind a colon: 'lines:5'"),
        ("raw:", "framing 'raw' takes nothing behind a colon: 'raw:'"),
        ("delimiter", "framing 'delimiter' lacks what follows the colon"),
        ("delimiter:", "framing 'delimiter:' lacks what follows the colon"),
        ("length", "framing 'length' lacks what follows the colon"),
        ("fixed:", "framing 'fixed:' lacks what follows the colon"),
        (r"delimiter:\q", r"unknown escape '\\q' in delimiter"),
        ("delimiter:a\\", r"unknown escape '\\' in delimiter"),
        (r"delimiter:\x1", r"unknown escape '\\x' in delimiter"),
        ("delimiter:\\é", "unknown escape"),
        ("delimiter:" + "x" * 257, "a delimiter has 1 to 256 bytes, not 257"),
        ("length:four", "the size of length must be a whole number, not 'four'"),
        ("length:", "framing 'length:' lacks what follows the colon"),
        ("length:5", "a length has 1, 2, 3, 4 or 8 bytes, not 5"),
        ("length:4,be", "unknown option 'be' of length; there are le, inclusive, offset=K"),
        ("length:4,", "unknown option '' of length"),
        ("length:4,le=1", "unknown option 'le=1' of length"),
        ("length:4,offset", "unknown option 'offset' of length"),
        ("length:4,offset=", "the offset of length must be a whole number, not ''"),
        ("length:4,offset=-1", "the offset of a length is 0 to 1048576 bytes (max_frame), not -1"),
        ("length:4,adjust=1.5", "the adjust of length must be a whole number, not '1.5'"),
        ("length:4,adjust=" + "9" * 5000, "the adjust of length is of 18 digits at most, not 9999"),
        ("length:4,adjust=99999999999", "no frame of length:4,adjust=99999999999 can be within"),
        ("length:4,offset=99999999999", "offset of a length is 0 to 1048576 bytes (max_frame), n"),
        ("length:4,offset=" + "9" * 19, "the offset of length is 0 to 1048576, not 99999999999999"),
        ("length:99999999999", "a length has 1, 2, 3, 4 or 8 bytes, not 99999999999"),
        ("length:" + "9" * 19, "the size of length is 1, 2, 3, 4 or 8, not 999999999999999999…"),
        ("length:4,le,le", "option 'le' of length is given twice"),
        ("length:4,offset=1,offset=2", "option 'offset' of length is given twice"),
        ("length:4,checksum=", "the checksum of length is empty"),
        ("length:4,checksum=md5", "unknown checksum 'md5'; there are xor, sum8, "),
        ("length:4,over=frame", "over=frame says what a checksum covers, but none is asked for"),
        (
            "length:4,checksum=xor,over=end",
            "over must be payload or frame or behind-mark, not 'end'",
        ),
        ("fixed:4,over=frame", "unknown option 'over=frame' of fixed; there are checksum=C"),
        ("varint:4", "framing 'varint' takes nothing behind a colon: 'varint:4'"),
        ("varint,le", "unknown option 'le' of varint; there are offset=K, keep-header"),
        ("lines,", "framing 'lines' takes no options: 'lines,'"),
        ("digits,4", "framing 'digits,4' lacks what follows the colon"),
        ("digits:four", "the count of digits must be a whole number, not 'four'"),
        ("digits:" + "9" * 19, "the count of digits is 1 to 18, not 999999999999999999…"),
        ("digits:99999999999", "a length has 1 to 18 digits, not 99999999999"),
        ("digits:19", "a length has 1 to 18 digits, not 19"),
        ("between:<", "framing 'between:<' lacks its end: between:START,END"),
        ("between:<,", "the end has 1 to 256 bytes, not 0"),
        ("between:,>", "the start has 1 to 256 bytes, not 0"),
        (r"between:<,\q", r"unknown escape '\\q' in end"),
        (r"between:\q,>", r"unknown escape '\\q' in start"),
        ("between:<,>,crc", "unknown option 'crc' of between; there are trailer=N, checksum=C"),
        ("between:<,>,trailer=x", "the trailer of between must be a whole number, not 'x'"),
        ("between:<,>,checksum=xor,over=all", "over must be payload or end or frame, not 'all'"),
        ("between:<,>,over=", "the over of between is empty"),
        ("stx-etx:xor", "framing 'stx-etx' takes nothing behind a colon: 'stx-etx:xor'"),
        ("stx-etx,xor", "unknown option 'xor' of stx-etx; there are trailer=N, checksum=C"),
        ("stx-etx,trailer=99999999999", "the trailer alone is over the limit of 1048576 bytes"),
        ("stx-etx,trailer=" + "9" * 19, "the trailer of stx-etx is 0 to 1048576, not 9999"),
        ("between:<,>,trailer=" + "9" * 19, "the trailer of between is 0 to 1048576, not 9999"),
        ("stx-etx,trailer=-", "the trailer of stx-etx must be a whole number, not '-'"),
        ("nmea,optional", "unknown option 'optional' of nmea; there are checksum=optional"),
        ("nmea,checksum=xor", "the checksum of nmea is its own, or optional; not ',checksum=xor'"),
        ("fixed:x", "the size of fixed must be a whole number, not 'x'"),
        ("fixed:99999999999", "a fixed frame has 1 to 1048576 bytes (max_frame), not 99999999999"),
        ("fixed:" + "9" * 19, "the size of fixed is 1 to 1048576, not 999999999999999999…"),
        ("fixed:0", "a fixed frame has 1 to 1048576 bytes"),
        ("fixed:1048577", "a fixed frame has 1 to 1048576 bytes"),
    ],
)
def test_a_spec_that_is_not_understood_is_one_line_that_names_it(spec: str, said: str) -> None:
    with pytest.raises(SpecError) as caught:
        named(spec)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, LocalError)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    "spec",
    [
        *("lines", "crlf", "delimiter:;", "netstring", "octet-counted", "length:4", "fixed:4"),
        *("raw", "varint", "digits:4", "between:<,>", "stx-etx", "mllp", "slip", "nmea", "json"),
        *("dle", "cobs", "octet-counted,tolerant", "telnet", "stomp", "headers", "astm"),
    ],
)
def test_the_limit_goes_to_every_framing_that_has_one(spec: str) -> None:
    expected = framing.MAX_FRAME if spec == "raw" else 100
    assert named(spec, max_frame=100).max_frame == expected


@pytest.mark.parametrize(
    "spec",
    [
        *("lines", "crlf", "delimiter:;", "between:<,>", "stx-etx", "mllp", "slip", "nmea"),
        *(r"length:1,offset=1,mark=\xd3", "dle", "cobs", "telnet"),
    ],
)
def test_framings_that_find_boundaries_can_skip(spec: str) -> None:
    recipe = named(spec, 3, "skip")
    decoder = recipe.decoder()
    (long,) = named(spec).encode([b"$ong"])
    (good,) = recipe.encode([b"$ok"])
    assert decoder.feed(long + good) == [b"$ok"]
    assert decoder.skipped == 1


@pytest.mark.parametrize(
    "spec",
    ["netstring", "octet-counted", "length:4", "fixed:4", "raw", "varint", "digits:4", "json"],
)
def test_other_framings_cannot_skip_and_say_so(spec: str) -> None:
    with pytest.raises(SpecError, match="only lines, crlf, delimiter, between, stx-etx, mllp, sl"):
        named(spec, on_bad_frame="skip")


# -- one's own ------------------------------------------------------------------------


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """An importable module ``own.framings``."""
    package, made = ModuleType("own"), ModuleType("own.framings")
    package.__path__ = []
    monkeypatch.setitem(sys.modules, "own", package)
    monkeypatch.setitem(sys.modules, "own.framings", made)
    return made


def test_an_instance_by_its_dotted_path(module: ModuleType) -> None:
    module.tight = framing.lines(10)  # type: ignore[attr-defined]
    assert named("own.framings:tight") is module.tight


def test_a_function_or_a_class_is_called_for_one(module: ModuleType) -> None:
    module.make = lambda: framing.lines(10)  # type: ignore[attr-defined]
    module.Raw = type(framing.raw())  # type: ignore[attr-defined]
    module.inner = module  # type: ignore[attr-defined]
    assert named("own.framings:make") == framing.lines(10)
    assert named("own.framings:Raw") == framing.raw()
    assert named("own.framings:inner.make") == framing.lines(10)
    assert named("nbclient.framing:lines") == framing.lines()


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("own.framings:none", "cannot load framing 'own.framings:none' (AttributeError: "),
        ("own.nothing:here", "(ModuleNotFoundError: No module named 'own.nothing')"),
        ("nosuchmodule:here", "(ModuleNotFoundError: No module named 'nosuchmodule')"),
        ("own.framings:broken", "(ZeroDivisionError: one); there are lines"),
        ("own.framings:text", "'own.framings:text' gives a str, not a Framing"),
        ("own.framings:wrong", "'own.framings:wrong' gives a int, not a Framing"),
    ],
)
def test_a_path_that_leads_nowhere_says_where_it_ended(
    module: ModuleType, spec: str, said: str
) -> None:
    def broken() -> Framing:
        raise ZeroDivisionError("one\ntwo")

    module.broken = broken  # type: ignore[attr-defined]
    module.text = "text"  # type: ignore[attr-defined]
    module.wrong = lambda: 3  # type: ignore[attr-defined]
    with pytest.raises(SpecError) as caught:
        named(spec)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_limit_is_never_taken_and_then_ignored(module: ModuleType) -> None:
    """A framing of one's own has its limit; another one asked for is refused."""
    module.tight = framing.lines(10)  # type: ignore[attr-defined]
    assert named("own.framings:tight", max_frame=10) is module.tight
    with pytest.raises(SpecError, match="has its own limit of 10 bytes; max_frame=20 cannot be"):
        named("own.framings:tight", max_frame=20)


def test_a_framing_of_ones_own_skips_if_it_says_so(module: ModuleType) -> None:
    module.strict = framing.lines(10)  # type: ignore[attr-defined]
    module.lenient = framing.lines(10, "skip")  # type: ignore[attr-defined]
    module.silent = framing.netstring(10)  # type: ignore[attr-defined]
    assert named("own.framings:lenient", on_bad_frame="skip") is module.lenient
    for name in ("strict", "silent"):
        with pytest.raises(SpecError, match="has its own way with a bad frame; it cannot be told"):
            named(f"own.framings:{name}", on_bad_frame="skip")
