"""COBS; what all framings have in common is tested elsewhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbclient.errors import BadFrame, FrameError, FrameTooLong, SpecError
from nbclient.framing import cobs
from nbclient.framing.cobs import stuffed
from tests.conformance.framing import decode, single

UP = bytes(range(1, 256))


@pytest.mark.parametrize(
    ("frame", "image"),
    [
        (b"", b"\x01"),
        (b"\0", b"\x01\x01"),
        (b"\0\0", b"\x01\x01\x01"),
        (b"\x11\x22\0\x33", b"\x03\x11\x22\x02\x33"),
        (b"\x11\0\0\0", b"\x02\x11\x01\x01\x01"),
        (UP[:-1], b"\xff" + UP[:-1]),
        (b"\0" + UP[:-1], b"\x01\xff" + UP[:-1]),
        (UP, b"\xff" + UP[:-1] + b"\x02\xff"),
        (UP[:-1] + b"\0", b"\xff" + UP[:-1] + b"\x01\x01"),
        (UP[1:] + b"\0", b"\xff" + UP[1:] + b"\x01\x01"),
        (UP[2:] + b"\0\x01", b"\xfe" + UP[2:] + b"\x02\x01"),
    ],
)
def test_images_are_those_of_the_paper(frame: bytes, image: bytes) -> None:
    assert stuffed(frame) == image
    assert decode(cobs(), [image + b"\0"])[0] == [frame]
    assert decode(cobs(), single(image + b"\0"))[0] == [frame]


@given(st.lists(st.sampled_from([b"\0", b"x" * 253, b"y", b"z" * 254])).map(b"".join))
def test_blocks_of_every_length_come_back(frame: bytes) -> None:
    image = stuffed(frame)
    assert b"\0" not in image
    assert len(image) <= len(frame) + len(frame) // 254 + 1
    assert decode(cobs(), [image + b"\0"])[0] == [frame]


def test_zeros_between_two_packets_are_nothing() -> None:
    got, decoder = decode(cobs(), [b"\0\0\x02a\0\0\0\x02b\0"])
    assert got == [b"a", b"b"]
    assert not decoder.begun


def test_a_packet_that_ends_inside_a_block_is_bad() -> None:
    _, decoder = decode(cobs(), [b"\x02a\0\x05ab\0"])
    assert isinstance(decoder.fault, BadFrame)
    assert str(decoder.fault) == r"expected a block of 4 bytes, but the peer sent b'\x05ab'"
    got, decoder = decode(cobs(on_bad_frame="skip"), [b"torn\0\x02a\0"])
    assert got == [b"a"]
    assert decoder.skipped == 1


def test_what_needs_no_more_bytes_on_the_wire_may_be_over_the_limit_all_the_same() -> None:
    frame = b"x" * 253 + b"\0" + b"y" * 254
    (image,) = cobs().encode([frame])
    assert decode(cobs(len(frame)), [image])[0] == [frame]
    for chunks in ([image], single(image)):
        _, decoder = decode(cobs(len(frame) - 1), chunks)
        assert isinstance(decoder.fault, FrameTooLong)
        assert decoder.fault.size == len(frame)


def test_cobs_is_a_value_and_refuses_nonsense() -> None:
    assert str(cobs()) == "cobs"
    assert cobs() == cobs() != cobs(5)
    with pytest.raises(SpecError, match="max_frame"):
        cobs(0)
    with pytest.raises(FrameError, match="over the limit of 3"):
        cobs(3).encode([b"abcd"])
