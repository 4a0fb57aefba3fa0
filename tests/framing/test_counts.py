"""Lengths in base 128 and in padded digits; the rest is tested elsewhere."""

from __future__ import annotations

import pytest

from nbclient.errors import BadFrame, FrameError, FrameTooLong, SpecError
from nbclient.framing import Framing, digits, varint
from tests.conformance.framing import decode, single


@pytest.mark.parametrize(
    ("size", "header"),
    [
        (0, b"\0"),
        (127, b"\x7f"),
        (128, b"\x80\x01"),
        (300, b"\xac\x02"),
        (16384, b"\x80\x80\x01"),
        (1024 * 1024, b"\x80\x80\x40"),
    ],
)
def test_a_varint_is_that_of_protocol_buffers(size: int, header: bytes) -> None:
    frame = bytes(size)
    assert varint().encode([frame]) == [header + frame]
    assert decode(varint(), [header + frame] * 2)[0] == [frame] * 2


def test_a_length_in_more_bytes_than_it_needs_is_accepted_up_to_ten() -> None:
    stream = b"\x83\x80\0abc" + b"\x83" + b"\x80" * 8 + b"\0def"
    for chunks in ([stream], single(stream)):
        assert decode(varint(), chunks)[0] == [b"abc", b"def"]
    for chunks in ([b"\x80" * 10], single(b"\x80" * 10)):
        _, decoder = decode(varint(), chunks)
        assert isinstance(decoder.fault, BadFrame)
        assert decoder.fault.what == "expected a length of at most 10 bytes"


def test_unread_knows_lengths_written_in_several_ways() -> None:
    decoder = varint().decoder()
    decoder.feed(b"\x83")
    chunk = b"\x80\0abc\x81\0d\x01e\x85\0rest"
    assert decoder.feed(chunk) == [b"abc", b"d", b"e"]
    assert decoder.unread(chunk, [b"d", b"e"]) == b"\x81\0d\x01e\x85\0rest"
    assert decoder.unread(chunk, []) == b"\x85\0rest"


def test_digits_are_padded_with_zeros() -> None:
    assert digits(4).encode([b"0800", b""]) == [b"00040800", b"0000"]
    assert decode(digits(4), single(b"000408000000"))[0] == [b"0800", b""]


@pytest.mark.parametrize("field", [b"   4", b"+004", b"0x04", b"4\0\0\0", b"\xb2\xb2\xb2\xb2"])
def test_only_digits_are_digits(field: bytes) -> None:
    _, decoder = decode(digits(4), [field + b"0800"])
    assert isinstance(decoder.fault, BadFrame)
    assert decoder.fault.what == "expected a length of 4 digits"
    assert decoder.fault.found == field


@pytest.mark.parametrize(
    ("recipe", "header", "size"),
    [
        (varint(8), b"\x09", 9),
        (varint(), b"\xff" * 9 + b"\x01", 2**64 - 1),
        (digits(3, 8), b"009", 9),
        (digits(18), b"9" * 18, 10**18 - 1),
    ],
)
def test_a_length_over_the_limit_is_noticed_with_its_header(
    recipe: Framing, header: bytes, size: int
) -> None:
    for chunks in ([header], single(header)):
        _, decoder = decode(recipe, chunks)
        assert isinstance(decoder.fault, FrameTooLong)
        assert decoder.fault.size == size
        assert decoder.eof() == header


@pytest.mark.parametrize(
    ("recipe", "frame", "said"),
    [
        (varint(8), bytes(9), "a frame has 0 to 8 bytes, not 9"),
        (digits(1), bytes(10), "a frame has 0 to 9 bytes, not 10"),
        (digits(4, 8), bytes(9), "a frame has 0 to 8 bytes, not 9"),
    ],
)
def test_a_frame_that_its_length_cannot_say_is_refused(
    recipe: Framing, frame: bytes, said: str
) -> None:
    for ask in (recipe.encode, recipe.check):
        with pytest.raises(FrameError, match=said):
            ask([frame])


def test_counts_are_values_and_refuse_nonsense() -> None:
    assert [str(varint()), str(digits(4))] == ["varint", "digits:4"]
    assert varint() == varint() != varint(5)
    assert digits(4) != digits(5)
    for make, said in (
        (lambda: varint(0), "max_frame"),
        (lambda: digits(4, 0), "max_frame"),
        (lambda: digits(0), "1 to 18 digits, not 0"),
        (lambda: digits(19), "1 to 18 digits, not 19"),
    ):
        with pytest.raises(SpecError, match=said):
            make()
