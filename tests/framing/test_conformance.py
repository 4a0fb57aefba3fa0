"""Every framing, with each of its options, keeps the contract of `nbclient.framing.base`."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Sequence
from itertools import product

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nbclient import framing
from nbclient.errors import BadFrame, FrameTooLong, PeerError
from nbclient.framing import Decoder, Framing
from tests.conformance import framing as suite
from tests.conformance.framing import Sample

LIMIT = 40
CUTS = st.lists(st.integers(1, 60), max_size=8)
# Bytes that are easily mistaken: for a part of a delimiter, a header, or a number.
BYTES = st.lists(st.sampled_from(b"\r\n\0ab:, 0129\xff"), max_size=8).map(bytes)
# The same for marks, checksums, escapes and brackets.
MARKED = st.lists(st.sampled_from(b"ab<>\x02\x03\x0b\x1c\r\xc0\xdb\xdc"), max_size=8).map(bytes)
GARBAGE = st.one_of(
    st.lists(st.sampled_from(b"\r\n\0ab:, 0129\xff"), max_size=60).map(bytes),
    st.lists(st.sampled_from(b"ab<>\x02\x03\x0b\x1c\r\n\xc0\xdb\xdc\xdd"), max_size=60).map(bytes),
    st.lists(st.sampled_from(b"$$!*\\\r\n\nGP71"), max_size=60).map(bytes),
    st.lists(st.sampled_from(b"\x10\x10\x02\x03\0\1\x05ab"), max_size=60).map(bytes),
    st.lists(st.sampled_from(b"\xff\xff\xfa\xf0\xfb\xfd\r\n\0ab"), max_size=60).map(bytes),
    st.lists(st.sampled_from(b"\2\3\4\5\x17\r\n12a4A7E"), max_size=60).map(bytes),
    st.lists(st.sampled_from([b"\n", b"\r\n", b"A", b"\0", b"content-length:", b"3"])).map(
        b"".join
    ),
    st.lists(st.sampled_from(b"\xef\xbb\xbf\x1e\0[]1"), max_size=60).map(bytes),
    st.lists(st.sampled_from(b'[]{}"\\ \n,:-1true'), max_size=60).map(bytes),
    st.binary(max_size=60),
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.text('a"\\{]é\n', max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("k", max_size=1), inner),
    max_leaves=4,
)


def accepted_by(
    recipe: Framing, bodies: st.SearchStrategy[bytes] = BYTES
) -> st.SearchStrategy[bytes]:
    """Frames within the domain of `recipe`."""

    def fits(frame: bytes) -> bool:
        try:
            recipe.check([frame])
        except ValueError:
            return False
        return True

    return bodies.filter(fits)


def delimited(recipe: Framing, frames: Sequence[bytes], refused: Sequence[bytes]) -> Sample:
    return Sample(
        recipe,
        list(frames),
        accepted_by(recipe),
        [*refused, b"x" * (LIMIT + 1)],
        [(b"y" * (LIMIT + 5), FrameTooLong)],
    )


def counted(
    recipe: Framing,
    faults: Sequence[tuple[bytes, type[PeerError]]],
    refused: Sequence[bytes] = (b"x" * (LIMIT + 1),),
    frames: Sequence[bytes] = (b"one", b"\r\n", b"3:abc", b"z" * 11),
) -> Sample:
    return Sample(recipe, list(frames), accepted_by(recipe), list(refused), list(faults))


def with_header(recipe: Framing, front: bytes, size: int, own: int) -> Sample:
    """A sample of frames that carry their header; `own` is what the value counts of it."""

    def frame(body: bytes) -> bytes:
        return front + (len(body) + own).to_bytes(size, "big") + body

    header = len(front) + size
    return Sample(
        recipe,
        [frame(b""), frame(b"abc"), frame(b"\0\1")],
        BYTES.map(frame),
        [b"", frame(b"")[:-1], frame(b"abc") + b"d", frame(b"abc")[:-1], frame(bytes(LIMIT))],
        [(front + (200).to_bytes(size, "big"), FrameTooLong)],
        sized=lambda total: frame(bytes(total - header)),
    )


def marked(
    recipe: Framing,
    frames: Sequence[bytes],
    refused: Sequence[bytes],
    faults: Sequence[tuple[bytes, type[PeerError]]],
    sized: Callable[[int], bytes] = lambda size: b"x" * size,
) -> Sample:
    return Sample(
        recipe,
        list(frames),
        accepted_by(recipe, MARKED | BYTES),
        [*refused, b"x" * (LIMIT + 1)],
        [*faults, (b"noise", BadFrame)],
        sized=sized,
    )


def skipping(sample: Sample, junk: bytes) -> Sample:
    """The same, with something to be skipped before each frame."""
    recipe = attrs.evolve(sample.framing, on_bad_frame="skip")  # type: ignore[misc]
    return attrs.evolve(sample, framing=recipe, refused=[], faults=[], junk=junk)


def sentence(body: bytes) -> bytes:
    return b"$" + body.translate(None, b"*\r\n")


def without_checksums(frames: Sequence[bytes]) -> list[bytes]:
    return [frame + (b"\r\n" if n % 2 else b"\n") for n, frame in enumerate(frames)]


def wide(frames: Sequence[bytes]) -> list[bytes]:
    """Lengths in more bytes than they need."""
    return [bytes([len(frame) | 0x80, 0x80, 0]) + frame for frame in frames]


def leading_zeros(frames: Sequence[bytes]) -> list[bytes]:
    return [b"\0" + image for image in framing.cobs().encode(frames)]


def mqtt(body: bytes) -> bytes:
    return bytes([0x30, len(body)]) + body


def trailing_ends(frames: Sequence[bytes]) -> list[bytes]:
    return [image.removeprefix(b"\xc0") for image in framing.slip().encode(frames)]


def text(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def alternate_ends(frames: Sequence[bytes]) -> list[bytes]:
    return [frame + (b"\r\n" if n % 2 else b"\n") for n, frame in enumerate(frames)]


def with_front(frames: Sequence[bytes]) -> list[bytes]:
    return [b"\xff\x00" + len(frame).to_bytes(2, "big") + frame for frame in frames]


DELIMITED = {
    "lines": delimited(
        framing.lines(LIMIT), [b"one", b"", b"\rb\r\rc", b" "], [b"a\nb", b"\n", b"a\r", b"\r"]
    ),
    "crlf": delimited(
        framing.crlf(LIMIT), [b"one", b"", b"\n\r", b"\r", b"a\rb\n"], [b"a\r\nb", b"\r\n"]
    ),
    "delimiter-nul": delimited(
        framing.delimiter(b"\0", LIMIT), [b"one", b"", b"\r\n"], [b"\0", b"a\0b"]
    ),
    "delimiter-aba": delimited(
        framing.delimiter(b"aba", LIMIT),
        [b"one", b"", b"a", b"ba"],
        [b"ab", b"aba", b"xab", b"bab"],
    ),
    "delimiter-aa": delimited(
        framing.delimiter(b"aa", LIMIT), [b"one", b"", b"b", b"bab"], [b"a", b"aa", b"ba"]
    ),
    "delimiter-long": delimited(
        framing.delimiter(b"\r\n\r\n.\r\n", LIMIT), [b"one", b"", b"\r\n", b"\r"], [b"\r\n\r\n."]
    ),
}
SIZED = {
    "netstring": counted(
        framing.netstring(LIMIT),
        [
            (b"41:", FrameTooLong),
            (b"123", FrameTooLong),
            (b"03:abc,", BadFrame),
            (b"3:abc;", BadFrame),
            (b":abc,", BadFrame),
            (b"+3:abc,", BadFrame),
            (b" 3:abc,", BadFrame),
            (b"1_0:", BadFrame),
            (b"x", BadFrame),
        ],
        frames=(b"one", b"", b"3:abc,", b"z" * 11),
    ),
    "octet-counted": counted(
        framing.octet_counted(LIMIT),
        [
            (b"41 ", FrameTooLong),
            (b"999", FrameTooLong),
            (b"0 ", BadFrame),
            (b"03 abc", BadFrame),
            (b"3:", BadFrame),
            (b"<13>", BadFrame),
        ],
        refused=(b"", b"x" * (LIMIT + 1)),
    ),
    "length-1": counted(framing.length(1, max_frame=LIMIT), [(b"\x29", FrameTooLong)]),
    "length-2": counted(
        framing.length(2, max_frame=LIMIT), [(b"\x00\x29", FrameTooLong)], frames=(b"", b"a", b"")
    ),
    "length-3": counted(framing.length(3, max_frame=LIMIT), [(b"\x01\x00\x00", FrameTooLong)]),
    "length-4": counted(framing.length(4, max_frame=LIMIT), [(b"\xff" * 4, FrameTooLong)]),
    "length-8": counted(framing.length(8, max_frame=LIMIT), [(b"\xff" * 8, FrameTooLong)]),
    "length-4-le": counted(
        framing.length(4, little_endian=True, max_frame=LIMIT), [(b"\x29\0\0\0", FrameTooLong)]
    ),
    "length-3-le": counted(
        framing.length(3, little_endian=True, max_frame=LIMIT), [(b"\x29\0\0", FrameTooLong)]
    ),
    "smpp": counted(
        framing.length(4, inclusive=True, max_frame=LIMIT),
        [(b"\0\0\0\x2d", FrameTooLong), (b"\0\0\0\x03", BadFrame), (bytes(4), BadFrame)],
    ),
    "length-adjust-up": counted(
        framing.length(2, adjust=3, max_frame=LIMIT),
        [(b"\0\x26", FrameTooLong)],
        refused=(b"", b"xx", b"x" * (LIMIT + 1)),
        frames=(b"one", b"\r\n.", b"z" * 11),
    ),
    "length-adjust-down": counted(
        framing.length(2, adjust=-3, max_frame=LIMIT),
        [(b"\0\x2c", FrameTooLong), (b"\0\x02", BadFrame)],
    ),
    "modbus": with_header(
        framing.length(2, offset=4, keep_header=True, max_frame=LIMIT), b"\0\1\0\0", 2, 0
    ),
    "tpkt": with_header(
        framing.length(2, offset=2, inclusive=True, keep_header=True, max_frame=LIMIT),
        b"\3\0",
        2,
        4,
    ),
    "length-keep": with_header(framing.length(3, keep_header=True, max_frame=LIMIT), b"", 3, 0),
    "length-offset": Sample(
        framing.length(2, offset=2, max_frame=LIMIT),
        [b"one", b"", b"\0\3"],
        BYTES,
        [b"", b"one"],
        [(b"\0\0\0\x29", FrameTooLong)],
        wire=with_front,
    ),
    "fixed": Sample(
        framing.fixed(3, LIMIT),
        [b"one", b"\r\n\0", b"   "],
        st.binary(min_size=3, max_size=3),
        [b"", b"ab", b"abcd"],
        sized=None,
    ),
    "fixed-1": Sample(
        framing.fixed(1, 1), [b"a", b"\n"], st.binary(min_size=1, max_size=1), [b"", b"ab"]
    ),
}
RTCM = framing.length(
    2, offset=1, adjust=3, max_frame=LIMIT, checksum="crc24q", over="frame", mark=b"\xd3", bits=10
)
UBX = framing.length(
    2,
    little_endian=True,
    offset=4,
    adjust=2,
    keep_header=True,
    max_frame=LIMIT,
    checksum="fletcher8",
    over="behind-mark",
    mark=b"\xb5\x62",
)


def ubx(body: bytes) -> bytes:
    return b"\xb5\x62\x01\x07" + len(body).to_bytes(2, "little") + body


HEADED = {
    "rtcm": counted(
        RTCM,
        [
            (b"\xd3\0\x29", FrameTooLong),
            (b"\xd3\0\0abc", BadFrame),
            (b"noise", BadFrame),
            (b"$GNGGA\r\n", BadFrame),
        ],
        frames=(b"one", b"", b"\xd3\0\1", b"\xd3"),
    ),
    "ubx": Sample(
        UBX,
        [ubx(b""), ubx(b"abc"), ubx(b"\xb5\x62"), ubx(b"\xb5")],
        BYTES.map(ubx),
        [b"", ubx(b"")[:-1], ubx(b"abc") + b"d", ubx(bytes(LIMIT)), b"\xb5\x63" + ubx(b"")[2:]],
        [
            (b"\xb5\x62\1\7\x29\0", FrameTooLong),
            (ubx(b"") + b"\0\0", BadFrame),
            (b"\xb5\xb5", BadFrame),
        ],
        sized=lambda size: ubx(bytes(size - 6)),
    ),
    "length-marked": counted(
        framing.length(1, offset=2, mark=b"aa", inclusive=True, max_frame=LIMIT),
        [(b"aa\x2c", FrameTooLong), (b"aa\1", BadFrame), (b"ab", BadFrame)],
        frames=(b"one", b"", b"aa\1", b"a"),
    ),
    "length-bits": counted(
        framing.length(2, bits=12, max_frame=LIMIT),
        [(b"\0\x29", FrameTooLong), (b"\xf1\0", FrameTooLong)],
    ),
    "length-marked-offset": Sample(
        framing.length(1, offset=2, mark=b"<", max_frame=LIMIT),
        [b"one", b"", b"<\0\1"],
        BYTES,
        [b"", b"one"],
        [(b"<\0\x29", FrameTooLong)],
        wire=lambda frames: [b"<\xff" + bytes([len(frame)]) + frame for frame in frames],
    ),
}
SUMMED = {
    "fixed-summed": Sample(
        framing.fixed(5, LIMIT, "crc16-modbus"),
        [b"one", b"\r\n\0", b"   "],
        st.binary(min_size=3, max_size=3),
        [b"", b"ab", b"abcd", b"abcde"],
        [(b"abcde", BadFrame)],
        sized=None,
    ),
    "length-summed": counted(
        framing.length(2, max_frame=LIMIT, checksum="crc16-ccitt"),
        [(b"\0\2ab", BadFrame), (b"\0\1", BadFrame), (b"\0\x2b", FrameTooLong)],
        frames=(b"one", b"", b"\0\2", b"z" * 11),
    ),
    "length-summed-over-frame": counted(
        framing.length(1, max_frame=LIMIT, adjust=2, checksum="xor-hex", over="frame"),
        [(b"\1a61", BadFrame), (b"\x29", FrameTooLong)],
    ),
    "length-summed-keep": with_header(
        framing.length(2, keep_header=True, max_frame=LIMIT, checksum="crc32"), b"", 2, 4
    ),
}
COUNTS = {
    "varint": counted(
        framing.varint(LIMIT),
        [
            (b"\x29", FrameTooLong),
            (b"\xa9\0", FrameTooLong),
            (b"\xff" * 9 + b"\x01", FrameTooLong),
            (b"\xff" * 10, BadFrame),
        ],
        frames=(b"one", b"", b"\x80\1", b"z" * 11),
    ),
    "varint-wide": Sample(framing.varint(LIMIT), [b"one", b"", b"\x80"], BYTES, wire=wide),
    "mqtt": Sample(
        framing.varint(LIMIT, offset=1, keep_header=True),
        [mqtt(b""), mqtt(b"abc"), mqtt(b"\x80\1")],
        BYTES.map(mqtt),
        [b"", b"\x30", b"\x30\1", mqtt(b"a") + b"b", mqtt(bytes(LIMIT)), mqtt(b"")[:1]],
        [(b"\x30\x29", FrameTooLong), (b"\x30\xff\1", FrameTooLong), (b"\x30" * 2, FrameTooLong)],
        sized=lambda size: mqtt(bytes(size - 2)),
    ),
    "varint-offset": Sample(
        framing.varint(LIMIT, offset=2),
        [b"one", b"", b"\x80"],
        BYTES,
        [b"", b"one"],
        [(b"xx\x29", FrameTooLong), (b"xx" + b"\xff" * 10, BadFrame)],
        wire=lambda frames: [b"xx" + bytes([len(frame)]) + frame for frame in frames],
    ),
    "digits-3": counted(
        framing.digits(3, LIMIT),
        [
            (b"041", FrameTooLong),
            (b"3  abc", BadFrame),
            (b"+01", BadFrame),
            (b"\xb2\xb2\xb2", BadFrame),
        ],
        frames=(b"one", b"", b"003abc", b"z" * 11),
    ),
    "digits-1": Sample(
        framing.digits(1, LIMIT), [b"", b"123456789"], BYTES, [b"x" * 10], sized=None
    ),
}
LONG = b"y" * (LIMIT + 4)
MARKS = {
    "stx-etx": marked(
        framing.stx_etx(max_frame=LIMIT),
        [b"one", b"", b"\xff", b"\r\n"],
        [b"\x03", b"a\x03b", b"\x02", b"a\x02b"],
        [
            (b"\x02" + LONG, FrameTooLong),
            (b"\x03", BadFrame),
            (b"\n", BadFrame),
            (b"\x02torn\x02", BadFrame),
            (b"\x02" + LONG + b"\x02", FrameTooLong),
        ],
    ),
    "stx-etx-inside": marked(
        framing.stx_etx(max_frame=LIMIT, start_inside=True),
        [b"one", b"", b"\x02", b"\r\n"],
        [b"\x03", b"a\x03b"],
        [(b"\x02" + LONG, FrameTooLong), (b"\x03", BadFrame)],
    ),
    "stx-etx-or-etb": marked(
        framing.stx_etx(max_frame=LIMIT, or_ends=(b"\x17", b"\x19"), keep_end=True),
        [b"one\x03", b"\x17", b"\r\n\x19"],
        [b"", b"one", b"a\x17b\x03", b"\x02\x03"],
        [(b"\x02" + LONG, FrameTooLong), (b"\x17", BadFrame), (b"\x02a\x02", BadFrame)],
        sized=lambda size: b"x" * (size - 1) + b"\x19",
    ),
    "between-or": marked(
        framing.between(b"<", b"ab", 2, "xor", max_frame=LIMIT, or_ends=(b"ba",)),
        [b"oneX", b"\x04"],
        [b"", b"abX", b"xbX"],
        [(b"<" + LONG, FrameTooLong), (b"<oneba?X", BadFrame)],
    ),
    "mllp": attrs.evolve(
        marked(
            framing.mllp(LIMIT),
            [b"one", b"", b"\x03", b"\r\n"],
            [b"\x1c", b"\x0b", b"a\x1c\rb"],
            [(b"\x0b" + LONG + b"\x1c\r", FrameTooLong)],
        ),
        after=b"\r",
        unread_after=False,
    ),
    "between-overlapping": marked(
        framing.between(b"aab", b"aba", max_frame=LIMIT),
        [b"one", b"", b"b", b"xacbb"],
        [b"ab", b"aba", b"xab", b"aab", b"a", b"xa", b"xaabb"],
        [
            (b"aaab", BadFrame),
            (b"aac", BadFrame),
            (b"aab" + LONG, FrameTooLong),
            (b"aabaab", BadFrame),
        ],
    ),
    "between-repeating": marked(
        framing.between(b"<<", b">>>", max_frame=LIMIT),
        [b"one", b"", b"<", b">>a"],
        [b">", b">>", b"a>>>b", b"<<"],
        [(b"<x", BadFrame), (b"<<" + LONG + b">", FrameTooLong), (b"<<<<<", BadFrame)],
    ),
    "between-mixed": marked(
        framing.between(b"<", b"<>", max_frame=LIMIT),
        [b"one", b"", b"<", b"<<a"],
        [b"<>", b"a<>b"],
        [(b">x", BadFrame), (b"<" + LONG + b">", FrameTooLong)],
    ),
    "between-trailer": marked(
        framing.between(b"<", b">>", trailer=2, max_frame=LIMIT),
        [b"oneab", b">>", b"a<\r"],
        [b"", b"a", b">ab", b"<\r\n"],
        [(b"<" + LONG, FrameTooLong)],
    ),
    "between-summed": marked(
        framing.stx_etx("xor-hex", "end", max_frame=LIMIT),
        [b"one", b"", b"\x02"],
        [b"\x03"],
        [(b"\x02one\x03ZZ", BadFrame), (b"\x02one\x0368", BadFrame)],
    ),
    "between-summed-over-frame": marked(
        framing.between(b"\x02", b"\r", checksum="sum7", over="frame", max_frame=LIMIT),
        [b"one", b"", b"\x02"],
        [b"\r"],
        [(b"\x02one\r\0", BadFrame)],
    ),
    "between-summed-trailer": marked(
        framing.between(b"ab", b"ba", 5, "crc32", max_frame=LIMIT),
        [b"one\4", b"\4", b"ab\4"],
        [b"", b"bab"],
        [(b"abonebaCRC?\4", BadFrame)],
    ),
}
SLIP = Sample(
    framing.slip(LIMIT),
    [b"one", b"\xc0", b"\xdb\xdc", b"\xdb\xdb\xc0\xdd"],
    accepted_by(framing.slip(LIMIT), MARKED),
    [b"", b"x" * (LIMIT + 1)],
    [(b"\xc0a\xdbb\xc0", BadFrame), (b"\xc0a\xdb\xc0", BadFrame), (b"\xc0" + LONG, FrameTooLong)],
    ahead=b"\xc0",
)
NMEA = Sample(
    framing.nmea(LIMIT),
    [b"$GPGLL,1", b"!AIVDM,1,1", b"$", b"$a!b\\c", b"\\s:a*00\\!AIVDM", b"!A*41,b1,*17"],
    MARKED.map(sentence),
    [
        b"",
        b"GPGLL",
        b"$a*b",
        b"$a*61",
        b"$a*62,b",
        b"$a*61,\n",
        b"$a\r",
        b"$\n",
        b"\\s:a$",
        b"\\s\\GP",
        b"$" + b"x" * LIMIT,
    ],
    [
        (b"noise\r\n", BadFrame),
        (b"$GPGLL*00\r\n", BadFrame),
        (b"$GPGLL\r\n", BadFrame),
        (b"$GPGLL*5\r\n", BadFrame),
        (b"\\$\n", BadFrame),
        (b"$y" + LONG, FrameTooLong),
        (b"$" + b"y" * (LIMIT + 3) + b"\n", BadFrame),
        (b"$GPGLL*50;text\r\n", BadFrame),
    ],
    sized=lambda size: b"$" + b"x" * (size - 1),
)
DLE = Sample(
    framing.dle(LIMIT),
    [b"one", b"", b"\x10", b"\x10\x02\x10\x03", b"\x02\x03"],
    accepted_by(framing.dle(LIMIT), MARKED | st.lists(st.sampled_from(b"\x10\x02\x03")).map(bytes)),
    [b"x" * (LIMIT + 1)],
    [
        (b"noise", BadFrame),
        (b"\x10\x03", BadFrame),
        (b"\x10\x02a\x10b", BadFrame),
        (b"\x10\x02torn\x10\x02", BadFrame),
        (b"\x10\x02" + LONG, FrameTooLong),
        (b"\x10\x02" + b"y" * LIMIT + b"\x10\x10", FrameTooLong),
    ],
)
COBS = Sample(
    framing.cobs(LIMIT),
    [b"one", b"", b"\0", b"\0\0a\0", b"z" * LIMIT],
    accepted_by(framing.cobs(LIMIT)),
    [b"x" * (LIMIT + 1)],
    [(b"\x05ab\0", BadFrame), (b"\xff\0", BadFrame), (b"\x29" + LONG, FrameTooLong)],
)
NEGOTIATION = b"\xff\xfb\x01\xff\xfd\x00\xff\xfa\x18\x01\xff\xff\r\n\xff\xf0\xff\xf1"
TELNET = Sample(
    framing.telnet(LIMIT),
    [b"one", b"", b"\xff", b"\r\xff\r", b"\0\r\0"],
    st.lists(st.sampled_from(b"\r\0a\xff\xfb")).map(bytes).filter(lambda line: len(line) <= LIMIT),
    [b"\n", b"a\nb", b"x" * (LIMIT + 1)],
    [(LONG, FrameTooLong), (b"\xff\xff" * (LIMIT + 1), FrameTooLong)],
)
STOMP = Sample(
    framing.stomp(LIMIT),
    [b"A\n\n", b"A\nb:c\n\nbody", b"A\r\ncontent-length:3\r\n\r\n\0\n\0", b"A\n\n\n"],
    BYTES.map(lambda body: b"A\n\n" + body.replace(b"\0", b"")),
    [
        *(b"", b"A", b"A\n", b"\nA\n\n", b"A\n\n\0", b"A\ncontent-length:1\n\n"),
        *(b"A\ncontent-length:1\n\nab", b"A\n\n" + b"x" * LIMIT),
    ],
    [
        (b"A\nb:c\0", BadFrame),
        (b"A\ncontent-length:x\n\n", BadFrame),
        (b"A\ncontent-length:1\n\nab", BadFrame),
        (b"A\ncontent-length:40\n\n", FrameTooLong),
        (b"A\n\n" + LONG, FrameTooLong),
        (LONG, FrameTooLong),
        (LONG + b"\0", FrameTooLong),
    ],
    sized=lambda size: b"A\n\n" + b"x" * (size - 3),
)
HEADERS = Sample(
    framing.headers(LIMIT),
    [b"A: b\r\n\r\n", b"Content-Length: 3\r\n\r\n\0\n\0", b"content-length :0\n\n", b"A\n\n"],
    BYTES.map(lambda body: b"Content-Length: %d\r\n\r\n%b" % (len(body), body)),
    [b"", b"A\n", b"\nA\n\n", b"A\n\nx", b"Content-Length: 1\n\n", b"Content-Length: 0\n\nx"],
    [
        (b"Content-Length: -1\n\n", BadFrame),
        (b"Content-Length: 40\n\n", FrameTooLong),
        (LONG, FrameTooLong),
        (b"y" * (LIMIT - 1) + b"\n\n", FrameTooLong),
    ],
    sized=lambda size: b"X: " + b"y" * (size - 7) + b"\r\n\r\n",
)


def astm(number: int, text: bytes, end: bytes = b"\x03") -> bytes:
    body = b"%d%b%b" % (number, text, end)
    return b"\x02%b%02X\r\n" % (body, sum(body) & 0xFF)


ASTM = Sample(
    framing.astm(LIMIT),
    [b"H|\\^&\r", b"", b"L|1|N\r", b"\r\n\0"],
    BYTES,
    [b"", b"one"],
    [
        (b"noise", BadFrame),
        (b"\x03", BadFrame),
        (b"\x021abc\x03ZZ", BadFrame),
        (b"\x02xab\x03%02X" % (sum(b"xab\x03") & 0xFF), BadFrame),
        (b"\x021abc\x02", BadFrame),
        (b"\x021" + LONG, FrameTooLong),
        (astm(1, b"ab", b"\x17") + astm(3, b"ab"), BadFrame),
        (astm(1, b"ab", b"\x17") + b"\x04", BadFrame),
    ],
    wire=lambda frames: [b"\x05" + astm(1, frame) + b"\x04" for frame in frames],
    ahead=b"\x05",
    after=b"\r\n\x04",
)
ASTM_JOINED = attrs.evolve(
    ASTM,
    wire=lambda frames: [
        b"\x05" + astm(7, frame[:3], b"\x17") + astm(0, frame[3:]) + b"\x04" for frame in frames
    ],
    faults=[],
)
ANSWERING = {
    "telnet": TELNET,
    "telnet-negotiation": attrs.evolve(
        TELNET,
        wire=lambda frames: [NEGOTIATION + image for image in framing.telnet().encode(frames)],
        ahead=NEGOTIATION,
        faults=[],
    ),
    "telnet-lf": attrs.evolve(
        TELNET,
        wire=lambda frames: [image[:-2] + b"\n" for image in framing.telnet().encode(frames)],
        faults=[],
    ),
    "telnet-long": skipping(TELNET, LONG + b"\xff\xff\r\0\r\n"),
    "stomp": STOMP,
    "stomp-beats": attrs.evolve(
        STOMP,
        wire=lambda frames: [b"\n\r\n" + frame + b"\0\n" for frame in frames],
        ahead=b"\n\r\n",
        after=b"\n",
        faults=[],
    ),
    "headers": HEADERS,
    "astm": ASTM,
    "astm-joined": ASTM_JOINED,
    "astm-noise": skipping(ASTM, b"noise"),
    "astm-wrong": skipping(ASTM, b"\x021abc\x03ZZ"),
    "astm-torn": skipping(ASTM, b"\x021ab\x031"),
    "astm-long": skipping(ASTM, b"\x021" + LONG + b"\x03AB\r\n"),
    "astm-unfinished": skipping(ASTM_JOINED, astm(1, b"ab", b"\x17")),
}
SELF_MARKED = {
    "dle": DLE,
    "dle-noise": skipping(DLE, b"no\x10\x10\x02ise\x10x"),
    "dle-torn": skipping(DLE, b"\x10\x02torn"),
    "dle-wrong": skipping(DLE, b"\x10\x02a\x10b"),
    "dle-long": skipping(DLE, b"\x10\x02" + LONG + b"\x10\x10\x02\x10\x03"),
    "cobs": COBS,
    "cobs-wrong": skipping(COBS, b"\x05ab\0"),
    "cobs-long": skipping(COBS, LONG + b"\0"),
    "cobs-leading": attrs.evolve(
        COBS, wire=leading_zeros, ahead=b"\0", faults=[(b"\0\x03a\0", BadFrame)]
    ),
    "octet-counted-tolerant": Sample(
        framing.octet_counted(LIMIT, tolerant=True),
        [b"one", b"\r\n", b"3 abc", b"z" * 11],
        accepted_by(framing.octet_counted(LIMIT, tolerant=True)),
        [b"", b"x" * (LIMIT + 1)],
        [
            (b"41 ", FrameTooLong),
            (b"999", FrameTooLong),
            (b"0", BadFrame),
            (b"3:", BadFrame),
            (b"12.", BadFrame),
            (LONG, FrameTooLong),
            (LONG + b"\n", FrameTooLong),
        ],
    ),
    "octet-counted-lines": Sample(
        framing.octet_counted(LIMIT, tolerant=True),
        [b"<13>one", b"<1>\r", b"<13>two", b"-"],
        BYTES.map(lambda body: b"<" + body.replace(b"\n", b"")),
        wire=lambda frames: [frame + b"\n" for frame in frames],
    ),
    "octet-counted-lf": Sample(
        framing.octet_counted(LIMIT, tolerant=True),
        [b"<13>one", b"<1>\r", b"<13>two", b"\n"],
        accepted_by(framing.octet_counted(LIMIT)),
        wire=lambda frames: [image + b"\n" for image in framing.octet_counted().encode(frames)],
        after=b"\n",
    ),
    "slip": SLIP,
    "slip-trailing": attrs.evolve(
        SLIP, wire=trailing_ends, ahead=b"", faults=[(b"\xdb\0\xc0", BadFrame)]
    ),
    "nmea": NMEA,
    "nmea-optional": attrs.evolve(
        NMEA,
        framing=framing.nmea(LIMIT, optional=True),
        frames=NMEA.frames[:3],
        bodies=MARKED.map(sentence),
        wire=without_checksums,
        faults=[(b"$GPGLL*00\r\n", BadFrame), (b"$" + b"y" * (LIMIT + 1) + b"\n", FrameTooLong)],
        sized=None,
    ),
}
JSON = Sample(
    framing.json(LIMIT),
    [b'{"a": [1,"}"]}', b"[]", b'"\\"x\\\\"', b"-1.5e3", b"null", b'[{"":"\\\\"}]'],
    VALUES.map(text).filter(lambda value: len(value) <= LIMIT),
    [b"", b" 1", b"1 ", b"1 2", b"[]{}", b"{", b"}", b"tru", b"01", b"{]", b'"', b'"\\"'],
    [
        (b"}", BadFrame),
        (b"x", BadFrame),
        (b"\x01", BadFrame),
        (b"\xef\xbbx", BadFrame),
        (b"\xefx", BadFrame),
        (b"[}", BadFrame),
        (b"[" * LIMIT + b"}", FrameTooLong),
        (b"[" * (LIMIT - 1) + b"}", BadFrame),
        (b"tru ", BadFrame),
        (b"01,", BadFrame),
        (b"-\n", BadFrame),
        (b'"' + LONG, FrameTooLong),
    ],
    after=b"\n",
    sized=lambda size: b'"' + b"x" * (size - 2) + b'"',
)
VALUES_OF_JSON = {
    "json": JSON,
    "json-sequence": attrs.evolve(
        JSON,
        wire=lambda frames: [b"\x1e" + image for image in framing.json().encode(frames)],
        ahead=b"\x1e",
        faults=[],
    ),
    "json-nul": attrs.evolve(
        JSON, wire=lambda frames: [frame + b"\0" for frame in frames], after=b"\0", faults=[]
    ),
    "json-bom": attrs.evolve(
        JSON,
        frames=JSON.frames[:3],
        bodies=VALUES.map(lambda value: text([value])).filter(lambda value: len(value) <= LIMIT),
        wire=lambda frames: [b"\xef\xbb\xbf\xef\xbb\xbf" + frame for frame in frames],
        ahead=b"\xef\xbb\xbf\xef\xbb\xbf",
        after=b"",
        faults=[],
        sized=None,
    ),
    "json-dense": attrs.evolve(
        JSON,
        frames=[b'{"a": [1,"}"]}', b"[]", b'"x"'],
        bodies=VALUES.map(lambda value: text([value])).filter(lambda value: len(value) <= LIMIT),
        wire=list,
        after=b"",
    ),
}
OTHERS = {
    "lines-mixed": Sample(
        framing.lines(LIMIT),
        [b"one", b"", b"a\rb", b"\rc", b""],
        accepted_by(framing.lines()),
        wire=alternate_ends,
        faults=[(b"y" * LIMIT + b"\r\r\n", FrameTooLong)],
    ),
}
SKIPPING = {
    f"{name}-skip": Sample(
        recipe, sample.frames, sample.bodies, junk=b"y" * (LIMIT + 4) + end, sized=sample.sized
    )
    for name, recipe, end in (
        ("lines", framing.lines(LIMIT, "skip"), b"\n"),
        ("crlf", framing.crlf(LIMIT, "skip"), b"\r\n"),
        ("delimiter-aba", framing.delimiter(b"aba", LIMIT, "skip"), b"aba"),
    )
    for sample in [DELIMITED[name]]
}
# Such a checksum is right for the rest of a frame, too, where two starts cancel out.
TORN_SUMMED = attrs.evolve(
    MARKS["between-summed"],
    frames=[b"one", b"xy"],
    bodies=MARKS["between-summed"].bodies.filter(lambda body: b"\x02" not in body),
)
SKIPPING |= {
    "stx-etx-noise": skipping(MARKS["stx-etx"], b"noise\x03"),
    "stx-etx-long": skipping(MARKS["stx-etx"], b"\x02" + LONG + b"\x03"),
    "mllp-long": skipping(MARKS["mllp"], b"\x0b" + LONG + b"\x1c\r"),
    "between-noise": skipping(MARKS["between-overlapping"], b"caa"),
    "between-long": skipping(MARKS["between-overlapping"], b"aab" + LONG + b"aba"),
    "between-torn": skipping(MARKS["between-overlapping"], b"aabxa"),
    "between-torn-late": skipping(
        attrs.evolve(MARKS["between-summed-trailer"], frames=[b"one\4", b"ab\4"]), b"abonebaCR"
    ),
    "between-torn-summed": skipping(TORN_SUMMED, b"\x02tor"),
    "between-torn-summed-long": skipping(TORN_SUMMED, b"\x02" + LONG),
    "between-inside-long": skipping(MARKS["stx-etx-inside"], b"\x02" + LONG + b"\x02\x03"),
    "between-or-long": skipping(MARKS["stx-etx-or-etb"], b"\x02" + LONG + b"\x17"),
    "mllp-torn": skipping(MARKS["mllp"], b"\x0bMSH"),
    "between-long-trailer": skipping(MARKS["between-trailer"], b"<" + LONG + b">>ab"),
    "between-wrong": skipping(MARKS["between-summed"], b"\x02one\x03ZZ"),
    "rtcm-noise": skipping(HEADED["rtcm"], b"$GNGGA\r\n\xd3"),
    "rtcm-wrong": skipping(HEADED["rtcm"], b"\xd3\0\4\xd3" + bytes(6)),
    "rtcm-long": skipping(HEADED["rtcm"], b"\xd3\3\xff"),
    "rtcm-torn": attrs.evolve(
        skipping(HEADED["rtcm"], b"\xd3\0\x05torn"), frames=[b"one", b"xy"], bodies=st.just(b"a")
    ),
    "ubx-torn": skipping(HEADED["ubx"], b"\xb5\x62\1\7\4\0\xb5"),
    "length-marked-noise": skipping(HEADED["length-marked"], b"xab"),
    "slip-wrong": skipping(SLIP, b"a\xdbb\xc0"),
    "slip-long": skipping(SLIP, LONG + b"\xc0"),
    "slip-escapes": skipping(SLIP, b"\xdb" * (2 * LIMIT + 2) + b"\xc0"),
    "nmea-noise": skipping(NMEA, b"\r\n# noise\r\nmore\n"),
    "nmea-wrong": skipping(NMEA, b"$GPGLL*00\r\n"),
    "nmea-broken": skipping(
        attrs.evolve(NMEA, frames=[b"$GPGLL,1", b"!A"], bodies=st.just(b"$a"), sized=None), b"$GPG"
    ),
    "nmea-long": skipping(NMEA, b"$y" + LONG + b"\n"),
    "nmea-long-noise": skipping(NMEA, b"$" + 3 * LONG),
}
SAMPLES = {
    **DELIMITED,
    **SIZED,
    **SUMMED,
    **HEADED,
    **COUNTS,
    **MARKS,
    **SELF_MARKED,
    **ANSWERING,
    **VALUES_OF_JSON,
    **OTHERS,
    **SKIPPING,
}
LIMITED = {name: sample for name, sample in SAMPLES.items() if sample.sized is not None}
FAULTS = {
    f"{name}-{number}": (sample, *fault)
    for name, sample in SAMPLES.items()
    for number, fault in enumerate(sample.faults)
}

every_framing = pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
few = settings(max_examples=12, suppress_health_check=[HealthCheck.filter_too_much])


@every_framing
def test_a_framing_is_a_value(sample: Sample) -> None:
    suite.check_recipe(sample)


@every_framing
def test_what_was_sent_comes_back_whole(sample: Sample) -> None:
    suite.check_whole(sample)


@every_framing
def test_what_was_sent_comes_back_byte_by_byte(sample: Sample) -> None:
    suite.check_byte_by_byte(sample)


@every_framing
def test_what_was_sent_comes_back_under_every_split(sample: Sample) -> None:
    suite.check_every_split(sample)


@every_framing
@few
@given(data=st.data(), cuts=CUTS)
def test_any_frames_come_back_at_any_splits(
    sample: Sample, data: st.DataObject, cuts: list[int]
) -> None:
    frames = data.draw(st.lists(sample.bodies, max_size=6))
    suite.check_chunks(sample, frames, suite.cut(sample.stream(frames), cuts))
    if sample.wire is None:
        suite.check_encode(sample, frames)


@every_framing
@few
@given(data=st.data(), cuts=CUTS)
def test_the_beginning_of_a_frame_is_a_tail_and_not_a_frame(
    sample: Sample, data: st.DataObject, cuts: list[int]
) -> None:
    suite.check_trailing(sample, data.draw(st.lists(sample.bodies, max_size=3)), cuts)


@every_framing
@few
@given(data=st.data(), cuts=CUTS)
def test_what_nobody_took_can_be_read_again(
    sample: Sample, data: st.DataObject, cuts: list[int]
) -> None:
    frames = data.draw(st.lists(sample.bodies, min_size=1, max_size=5))
    suite.check_unread(sample, frames, cuts, data.draw(st.binary(max_size=9)))


@every_framing
def test_unread_is_exact_at_every_position(sample: Sample) -> None:
    stream = sample.stream(sample.frames)
    for place in range(len(stream) + 1):
        suite.check_unread(sample, sample.frames, [place], b"\r")


@every_framing
@few
@given(data=GARBAGE, cuts=CUTS)
def test_no_bytes_of_a_peer_raise(sample: Sample, data: bytes, cuts: list[int]) -> None:
    suite.check_garbage(sample, data, cuts)


@pytest.mark.parametrize(("sample", "bad", "kind"), FAULTS.values(), ids=FAULTS)
@settings(max_examples=10)
@given(cuts=CUTS, more=st.binary(max_size=9))
def test_a_fault_poisons_the_stream_behind_the_good_frames(
    sample: Sample, bad: bytes, kind: type[PeerError], cuts: list[int], more: bytes
) -> None:
    suite.check_fault(sample, bad, kind, cuts, more)


@every_framing
def test_frames_outside_the_domain_are_refused(sample: Sample) -> None:
    suite.check_refusals(sample, sample.refused)


@pytest.mark.parametrize("sample", LIMITED.values(), ids=LIMITED)
def test_a_frame_of_exactly_the_limit_passes_and_one_byte_more_does_not(sample: Sample) -> None:
    resumes = getattr(sample.framing, "on_bad_frame", "close") == "skip"
    fits_none = isinstance(sample.framing, type(framing.fixed(1)))
    larger = attrs.evolve(sample.framing, max_frame=2 * LIMIT)  # type: ignore[misc]
    suite.check_limit(sample, None if resumes or fits_none else larger)


ENDLESS = {
    "lines": (framing.lines(100_000), b""),
    "lines-skip": (framing.lines(100_000, "skip"), b""),
    "crlf": (framing.crlf(100_000), b"\r"),
    "netstring": (framing.netstring(100_000), b"100000:"),
    "octet-counted": (framing.octet_counted(100_000), b"100000 "),
    "length": (framing.length(4, max_frame=100_000), (100_000).to_bytes(4, "big")),
    "length-marked": (
        framing.length(3, offset=1, mark=b"M", max_frame=100_000, on_bad_frame="skip"),
        b"M\1\x86\xa0",
    ),
    "varint": (framing.varint(100_000), b"\xa0\x8d\x06"),
    "varint-offset": (framing.varint(100_000, offset=3), b"xxx\xa0\x8d\x06"),
    "digits": (framing.digits(6, 100_000), b"100000"),
    "stx-etx": (framing.stx_etx(max_frame=100_000), b"\x02"),
    "stx-etx-skip": (framing.stx_etx(max_frame=100_000, on_bad_frame="skip"), b"\x02"),
    "stx-etx-noise": (framing.stx_etx(max_frame=100_000, on_bad_frame="skip"), b""),
    "mllp": (framing.mllp(100_000), b"\x0b"),
    "slip": (framing.slip(100_000), b"\xc0"),
    "stx-etx-summed": (framing.stx_etx("xor", max_frame=100_000, on_bad_frame="skip"), b"\x02"),
    "stx-etx-inside": (
        framing.stx_etx(max_frame=100_000, start_inside=True, on_bad_frame="skip"),
        b"\x02",
    ),
    "dle": (framing.dle(100_000), b"\x10\x02"),
    "cobs": (framing.cobs(100_000), b"\xff"),
    "octet-counted-tolerant": (framing.octet_counted(100_000, tolerant=True), b"100000 "),
    "octet-counted-line": (framing.octet_counted(100_000, tolerant=True), b"<"),
    "telnet": (framing.telnet(100_000), b"\xff\xfa\xff\xf0"),
    "telnet-sub": (framing.telnet(100_000), b"\xff\xfa"),
    "stomp": (framing.stomp(100_000), b"A\n\n"),
    "headers": (framing.headers(100_000), b"A: "),
    "astm": (framing.astm(100_000), b"\x021"),
    "nmea": (framing.nmea(100_000), b"$"),
    "json": (framing.json(100_000), b'["'),
    "json-number": (framing.json(100_000), b"["),
}
DECLARED = {
    "netstring": (framing.netstring(), b"1048576:"),
    "netstring-over": (framing.netstring(), b"9" * 2000),
    "octet-counted": (framing.octet_counted(), b"1048576 "),
    "length": (framing.length(4), (1024 * 1024).to_bytes(4, "big")),
    "length-over": (framing.length(4), b"\xff\xff\xff\xff"),
    "length-8-over": (framing.length(8), b"\xff" * 8),
    "length-marked": (framing.length(4, offset=1, mark=b"x"), b"x\0\x10\0\0"),
    "length-marked-over": (framing.length(4, offset=1, mark=b"x"), b"x\xff\xff\xff\xff"),
    "varint": (framing.varint(), b"\x80\x80\x40"),
    "varint-over": (framing.varint(), b"\xff" * 9 + b"\x01"),
    "digits": (framing.digits(7), b"1048576"),
    "digits-over": (framing.digits(18), b"9" * 18),
}


@pytest.mark.parametrize(("recipe", "beginning"), ENDLESS.values(), ids=ENDLESS)
def test_a_frame_without_end_costs_no_more_memory_than_the_limit(
    recipe: Framing, beginning: bytes
) -> None:
    suite.check_memory(recipe, beginning)


@pytest.mark.parametrize(("recipe", "beginning"), DECLARED.values(), ids=DECLARED)
def test_a_declared_length_allocates_nothing(recipe: Framing, beginning: bytes) -> None:
    suite.check_declared(recipe, beginning)


def framings() -> dict[str, tuple[Framing, bytes, list[int]]]:
    """Each framing there is once, what one of its frames begins with, its special bytes."""
    found = {}
    for name, sample in SAMPLES.items():
        images = sample.images(sample.frames)
        special = b"".join([*images, *(bad for bad, _ in sample.faults)])
        beginning = images[0][: len(images[0]) // 2]
        found[name] = (sample.framing, beginning, sorted(set(special + b"x")))
    return found


FRAMINGS = framings()
every_held = pytest.mark.parametrize("case", FRAMINGS.values(), ids=FRAMINGS)


@every_held
def test_whatever_byte_comes_without_end_no_more_is_held_than_said(
    case: tuple[Framing, bytes, list[int]],
) -> None:
    recipe, beginning, _ = case
    for byte in range(256):
        suite.check_held(recipe, b"", bytes([byte]))
        suite.check_held(recipe, beginning, bytes([byte]))


@every_held
def test_whatever_pair_of_its_bytes_comes_without_end_no_more_is_held_than_said(
    case: tuple[Framing, bytes, list[int]],
) -> None:
    recipe, beginning, special = case
    for pair in product(special, repeat=2):
        suite.check_held(recipe, b"", bytes(pair))
        suite.check_held(recipe, beginning, bytes(pair))


class Greedy(Decoder):
    """Keeps everything: what the memory check is there to find."""

    def __init__(self) -> None:
        self.all = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        self.all += data
        return []

    def eof(self) -> bytes:
        return bytes(self.all)

    def unread(self, data: bytes, frames: Sequence[bytes]) -> bytes:
        raise NotImplementedError


class GreedyFraming(Framing):
    max_frame = 100_000

    def decoder(self) -> Decoder:
        return Greedy()

    def encode(self, frames: Sequence[bytes]) -> list[bytes]:
        raise NotImplementedError


def test_the_memory_check_finds_a_decoder_that_keeps_everything() -> None:
    with pytest.raises(AssertionError):
        suite.check_memory(GreedyFraming(), b"")
    with pytest.raises(AssertionError):
        suite.check_held(GreedyFraming(), b"", b"x")


def test_what_a_decoder_holds_is_found_wherever_it_is() -> None:
    inner, outer = Greedy(), Greedy()
    inner.all += b"four"
    outer.all = {"one": [b"two", (3, inner)], "two": deque([None])}  # type: ignore[assignment]
    assert suite.holds(outer) == 3 + 1 + 4
