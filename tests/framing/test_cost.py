"""What decoding costs is linear in the bytes, however they are cut: shown by counting."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from nbclient import framing
from nbclient.framing import Decoder, Framing
from tests.conformance.counting import check_linear, cost
from tests.conformance.framing import cut, single

Workload = Callable[[Framing, int], list[bytes]]


def frames_of(recipe: Framing, body: bytes, size: int) -> bytes:
    """About `size` bytes of frames with this body."""
    image = b"".join(recipe.encode([body]))
    return image * (size // len(image))


def body_of(recipe: Framing, size: int) -> bytes:
    """A body of `size` bytes or a few more, where the framing leaves the choice."""
    if recipe == framing.nmea():
        return b"$" + b"x" * size
    if recipe == framing.stomp():
        return b"A\n\n" + b"x" * size
    if recipe == framing.json():
        return b'["' + b"x" * size + b'"]'
    return b"x" * (7 if recipe == SEVEN else size)


def one_frame_byte_by_byte(recipe: Framing, size: int) -> list[bytes]:
    """The worst that a network can do to a long frame."""
    return single(frames_of(recipe, body_of(recipe, size // 2), size))


def one_frame_in_segments(recipe: Framing, size: int) -> list[bytes]:
    """A frame far larger than what one read brings."""
    stream = frames_of(recipe, body_of(recipe, size * 9 // 10), size)
    return cut(stream, range(0, len(stream), 100))


def tiny_frames_in_segments(recipe: Framing, size: int) -> list[bytes]:
    """Many frames in every read, and one that is cut at its end."""
    stream = frames_of(recipe, body_of(recipe, 1), size)
    return cut(stream, range(0, len(stream), 1001))


def tiny_frames_at_once(recipe: Framing, size: int) -> list[bytes]:
    """All in a single read."""
    return [frames_of(recipe, body_of(recipe, 1), size)]


SEVEN = framing.fixed(7)
RECIPES = [
    framing.lines(),
    framing.lines(on_bad_frame="skip"),
    framing.crlf(),
    framing.delimiter(b"xxxy"),  # its beginning is everywhere in these frames
    framing.netstring(),
    framing.octet_counted(),
    framing.length(4),
    framing.length(3, little_endian=True),
    SEVEN,
    framing.length(4, checksum="crc16-modbus", over="frame"),
    framing.length(4, offset=1, mark=b"x", checksum="crc16-ccitt", on_bad_frame="skip"),
    framing.varint(),
    framing.digits(5),
    framing.stx_etx(on_bad_frame="skip"),
    framing.between(b"x", b"xxy", 0, "xor", "frame"),  # the end's beginning is everywhere
    framing.mllp(),
    framing.slip(),
    framing.dle(on_bad_frame="skip"),
    framing.cobs(),
    framing.telnet(),
    framing.stomp(),
    framing.octet_counted(tolerant=True),
    framing.nmea(),
    framing.json(),
]
WORKLOADS: list[tuple[Workload, int]] = [
    (one_frame_byte_by_byte, 1_000),
    (one_frame_in_segments, 8_000),
    (tiny_frames_in_segments, 4_000),
    (tiny_frames_at_once, 4_000),
]
workloads = pytest.mark.parametrize(
    ("workload", "size"), WORKLOADS, ids=[each.__name__ for each, _ in WORKLOADS]
)


@workloads
@pytest.mark.parametrize("recipe", RECIPES, ids=repr)
def test_every_framing_is_linear(recipe: Framing, workload: Workload, size: int) -> None:
    check_linear(recipe, lambda size: workload(recipe, size), size)


def test_a_line_of_carriage_returns_is_linear() -> None:
    """Each of them may be the one before the end of the line."""
    check_linear(framing.lines(), lambda size: single(b"\r" * size + b"\n"), 1_000)
    check_linear(framing.crlf(), lambda size: single(b"\r" * size + b"\r\n"), 1_000)
    check_linear(framing.lines(), lambda size: [b"\r" * size + b"\n"], 8_000)


def test_what_is_skipped_is_linear() -> None:
    recipe = framing.lines(100, "skip")
    check_linear(recipe, lambda size: cut(b"x" * size + b"\n", range(0, size, 50)), 20_000)
    check_linear(recipe, lambda size: [(b"x" * 200 + b"\ny\n") * (size // 203)], 20_000)
    recipe = framing.between(b"<<", b"xxxy", max_frame=100, on_bad_frame="skip")
    check_linear(recipe, lambda size: cut(b"<<" + b"x" * size, range(0, size, 50)), 5_000)
    check_linear(recipe, lambda size: single(b"<<" + b"x" * size), 1_000, most=40)
    check_linear(recipe, lambda size: [(b"<<" + b"x" * 200 + b"y") * (size // 203)], 5_000)


def test_noise_is_linear() -> None:
    """Half a start is everywhere in it."""
    recipe = framing.between(b"xxxy", b"z", on_bad_frame="skip")
    check_linear(recipe, lambda size: cut(b"x" * size, range(0, size, 50)), 5_000)
    check_linear(recipe, lambda size: single(b"x" * size), 1_000, most=40)
    check_linear(recipe, lambda size: [b"nxxxyz" * (size // 6)], 5_000)


def test_wrong_checksums_are_linear() -> None:
    """Each is the end of a frame, whatever else may look like its beginning."""
    recipe = framing.stx_etx("xor", on_bad_frame="skip")
    check_linear(recipe, lambda size: [b"\x02" * size + b"\x03?"], 5_000)
    check_linear(recipe, lambda size: [b"\x02x\x03?" * (size // 4)], 5_000)
    recipe = framing.nmea(on_bad_frame="skip")
    check_linear(recipe, lambda size: [b"$" * size + b"\n"], 5_000)
    check_linear(recipe, lambda size: [b"$a$b\n" * (size // 5)], 5_000)


def test_what_only_receives_is_linear() -> None:
    recipe = framing.headers()
    header = b"Content-Length: 1000\r\n\r\n" + bytes(1000)
    check_linear(recipe, lambda size: single(header * (size // 1000)), 1_000)
    check_linear(recipe, lambda size: [header * (size // 1000)], 5_000)
    check_linear(recipe, lambda size: [b"A\n\n" * (size // 3)], 5_000)
    check_linear(recipe, lambda size: single(b"A" * size + b"\n\n"), 1_000)
    recipe = framing.astm(on_bad_frame="skip")
    body = b"1" + b"x" * 240 + b"\x03"
    image = b"\x05\x02%b%02X\r\n\x04" % (body, sum(body) & 0xFF)
    check_linear(recipe, lambda size: single(image * (size // 245)), 1_000, most=40)
    check_linear(recipe, lambda size: [image * (size // 245)], 5_000, most=40)
    check_linear(recipe, lambda size: single(b"\x021" + b"x" * size), 1_000)
    check_linear(recipe, lambda size: [b"\x02\x17" * (size // 2)], 5_000, most=200)
    recipe = framing.telnet()
    check_linear(recipe, lambda size: [b"\xff\xff\r\0" * (size // 4) + b"\n"], 5_000)
    check_linear(recipe, lambda size: [b"\xff\xfb\1" * (size // 3)], 5_000)
    check_linear(recipe, lambda size: single(b"\xff\xfa" + b"x" * size), 1_000)


def test_false_frames_are_linear() -> None:
    """Each mark stands before a length that reaches far, and each such frame is looked at."""
    recipe = framing.length(
        2,
        offset=1,
        adjust=3,
        max_frame=100,
        mark=b"\xd3",
        bits=10,
        checksum="crc24q",
        over="frame",
        on_bad_frame="skip",
    )
    for flood in (b"\xd3\0\x40", b"\xd3\0\x61", b"\xd3\3\xff", b"\xd3", b"noise\xd3\0\0"):
        many = lambda size, flood=flood: flood * (size // len(flood))  # noqa: E731
        check_linear(recipe, lambda size, many=many: [many(size)], 5_000, most=50)
        check_linear(recipe, lambda size, many=many: single(many(size)), 1_000, most=60)


def test_escapes_are_linear() -> None:
    recipe = framing.slip()
    check_linear(recipe, lambda size: single(recipe.encode([b"\xc0" * (size // 2)])[0]), 1_000)
    check_linear(recipe, lambda size: recipe.encode([b"\xdb" * (size // 2)]), 5_000)
    recipe = framing.dle(on_bad_frame="skip")
    check_linear(recipe, lambda size: single(recipe.encode([b"\x10" * (size // 2)])[0]), 1_000)
    check_linear(recipe, lambda size: recipe.encode([b"\x10" * (size // 2)]), 5_000)
    check_linear(recipe, lambda size: [b"\x10\x02" * (size // 2)], 5_000)
    check_linear(recipe, lambda size: [b"\x10a" * (size // 2)], 5_000)
    recipe = framing.cobs()
    check_linear(recipe, lambda size: single(recipe.encode([bytes(size)])[0]), 1_000)
    check_linear(recipe, lambda size: [b"\1\1\0" * (size // 3)], 5_000)
    recipe = framing.json()
    check_linear(recipe, lambda size: single(b'"' + b"\\n" * (size // 2) + b'"'), 1_000)
    check_linear(recipe, lambda size: [b"[" + b'"\\n",' * (size // 5) + b"0]"], 5_000)
    check_linear(
        recipe, lambda size: cut(b'["",' * 2 + b"[]," * (size // 3), range(0, size, 60)), 5_000
    )


# -- the test of the test: decoders as they are found in the wild ---------------------


class Line(Framing):
    """Lines that end in LF, decoded by a class that is given."""

    max_frame = 1 << 30

    def __init__(self, decoder: type[Decoder]) -> None:
        self._decoder = decoder

    def decoder(self) -> Decoder:
        return self._decoder()

    def encode(self, frames: Sequence[bytes]) -> list[bytes]:
        return [frame + b"\n" for frame in frames]


class Rejoining(Decoder):
    """``(rest + data).split``: fine for short lines, quadratic for a long one."""

    def __init__(self) -> None:
        self.rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        *frames, self.rest = (self.rest + data).split(b"\n")
        return frames

    def eof(self) -> bytes:
        return self.rest

    def unread(self, data: bytes, frames: Sequence[bytes]) -> bytes:
        raise NotImplementedError


class Rescanning(Rejoining):
    """Collects in a bytearray, but searches it from the start each time."""

    def __init__(self) -> None:
        self.rest = bytearray()  # type: ignore[assignment]

    def feed(self, data: bytes) -> list[bytes]:
        self.rest += data
        end = self.rest.find(b"\n")
        if end < 0:
            return []
        frame = bytes(self.rest[:end])
        del self.rest[: end + 1]  # type: ignore[attr-defined]
        return [frame]


class Copying(Rescanning):
    """Searches only what is new, but makes bytes of it all."""

    def feed(self, data: bytes) -> list[bytes]:
        self.rest += data
        whole = bytes(self.rest)
        if not data.endswith(b"\n"):
            return []
        del self.rest[:]  # type: ignore[attr-defined]
        return [whole[:-1]]


class Shifting(Rejoining):
    """Copies the rest of the chunk for every line, as the stock LineReceiver does."""

    def feed(self, data: bytes) -> list[bytes]:
        frames = []
        rest = self.rest + data
        while b"\n" in rest:
            frame, _, rest = rest.partition(b"\n")
            frames.append(frame)
        self.rest = rest
        return frames


class Joining(Rejoining):
    """Keeps the pieces in a list, but joins and searches them at every chunk."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def feed(self, data: bytes) -> list[bytes]:
        self.pieces.append(data)
        *frames, rest = b"".join(self.pieces).split(b"\n")
        self.pieces = [rest]
        return frames


@pytest.mark.parametrize(
    ("naive", "workload", "size"),
    [
        (Rejoining, one_frame_byte_by_byte, 2_000),
        (Rejoining, one_frame_in_segments, 20_000),
        (Rescanning, one_frame_in_segments, 20_000),
        (Copying, one_frame_in_segments, 20_000),
        (Joining, one_frame_in_segments, 20_000),
        (Shifting, tiny_frames_at_once, 8_000),
    ],
)
def test_the_count_finds_a_decoder_that_is_not_linear(
    naive: type[Decoder], workload: Workload, size: int
) -> None:
    recipe = Line(naive)
    with pytest.raises(AssertionError, match="not linear"):
        check_linear(recipe, lambda size: workload(recipe, size), size)


def test_the_count_lets_a_linear_decoder_pass() -> None:
    """The same naive decoder, where it is given nothing to be naive about."""
    recipe = Line(Rejoining)
    check_linear(recipe, lambda size: tiny_frames_at_once(recipe, size), 8_000)


def test_counting_leaves_no_trace() -> None:
    """The names replaced in the decoder's modules are the built-in ones again."""
    before = set(vars(framing.delimited))
    assert cost(framing.lines(), [b"one\ntwo"]) >= 7
    assert set(vars(framing.delimited)) == before
