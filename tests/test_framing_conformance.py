"""Every framing, with each of its options, keeps the contract of `nbclient.framing.base`."""

from __future__ import annotations

from collections.abc import Sequence

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
GARBAGE = st.one_of(
    st.lists(st.sampled_from(b"\r\n\0ab:, 0129\xff"), max_size=60).map(bytes),
    st.binary(max_size=60),
)


def accepted_by(recipe: Framing) -> st.SearchStrategy[bytes]:
    """Frames within the domain of `recipe`."""

    def fits(frame: bytes) -> bool:
        try:
            recipe.check([frame])
        except ValueError:
            return False
        return True

    return BYTES.filter(fits)


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
SAMPLES = {**DELIMITED, **SIZED, **OTHERS, **SKIPPING}
LIMITED = {name: sample for name, sample in SAMPLES.items() if sample.sized is not None}
FAULTS = {
    f"{name}-{number}": (sample, *fault)
    for name, sample in SAMPLES.items()
    for number, fault in enumerate(sample.faults)
}

every_framing = pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
few = settings(max_examples=20, suppress_health_check=[HealthCheck.filter_too_much])


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
}
DECLARED = {
    "netstring": (framing.netstring(), b"1048576:"),
    "netstring-over": (framing.netstring(), b"9" * 2000),
    "octet-counted": (framing.octet_counted(), b"1048576 "),
    "length": (framing.length(4), (1024 * 1024).to_bytes(4, "big")),
    "length-over": (framing.length(4), b"\xff\xff\xff\xff"),
    "length-8-over": (framing.length(8), b"\xff" * 8),
}


@pytest.mark.parametrize(("recipe", "beginning"), ENDLESS.values(), ids=ENDLESS)
def test_a_frame_without_end_costs_no_more_memory_than_the_limit(
    recipe: Framing, beginning: bytes
) -> None:
    suite.check_memory(recipe, beginning)


@pytest.mark.parametrize(("recipe", "beginning"), DECLARED.values(), ids=DECLARED)
def test_a_declared_length_allocates_nothing(recipe: Framing, beginning: bytes) -> None:
    suite.check_declared(recipe, beginning)


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
