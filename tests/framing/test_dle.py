"""DLE stuffing; what all framings have in common is tested elsewhere."""

from __future__ import annotations

import pytest

from nbclient.errors import BadFrame, FrameError, FrameTooLong, SpecError
from nbclient.framing import dle
from tests.conformance.framing import cut, decode, single


def test_a_dle_inside_a_frame_is_sent_twice() -> None:
    assert dle().encode([b"a\x10b"]) == [b"\x10\x02a\x10\x10b\x10\x03"]
    stream = b"\x10\x02\x93\x10\x10\x03\x10\x03" * 2
    for chunks in ([stream], single(stream), *(cut(stream, [n]) for n in range(16))):
        assert decode(dle(), chunks)[0] == [b"\x93\x10\x03"] * 2


@pytest.mark.parametrize(
    ("torn", "found"), [(b"torn", b"\x10\x02"), (b"torn\x10\x41", b"\x10\x41"), (b"", b"\x10\x02")]
)
def test_a_dle_before_another_byte_shows_that_a_frame_was_torn(torn: bytes, found: bytes) -> None:
    good = dle().encode([b"good"])[0]
    _, decoder = decode(dle(), [b"\x10\x02" + torn + good])
    assert isinstance(decoder.fault, BadFrame)
    assert decoder.fault.found == found
    assert decoder.eof() == b"\x10\x02" + torn + good
    stream = (b"\x10\x02" + torn + good) * 2
    for chunks in ([stream], single(stream), *(cut(stream, [n]) for n in range(len(stream)))):
        got, decoder = decode(dle(on_bad_frame="skip"), chunks)
        assert got == [b"good"] * 2
        assert decoder.skipped == 2


def test_the_rest_of_a_frame_over_the_limit_holds_no_beginning() -> None:
    """DLE DLE STX inside it is a DLE and a byte 0x02."""
    stream = b"\x10\x02toolong\x10\x10\x02cut\x10\x03" + dle().encode([b"good"])[0]
    for chunks in ([stream], single(stream), *(cut(stream, [n]) for n in range(len(stream)))):
        got, decoder = decode(dle(4, "skip"), chunks)
        assert got == [b"good"]
        assert decoder.skipped == 1


def test_the_limit_is_one_of_bytes_without_the_doubling() -> None:
    (image,) = dle().encode([b"\x10" * 4])
    assert decode(dle(4), single(image))[0] == [b"\x10" * 4]
    for chunks in ([image], single(image)):
        _, decoder = decode(dle(3), chunks)
        assert isinstance(decoder.fault, FrameTooLong)
        assert decoder.fault.size == 4
        assert image.startswith(decoder.eof())


def test_dle_is_a_value_and_refuses_nonsense() -> None:
    assert str(dle()) == "dle"
    assert dle() == dle() != dle(5)
    with pytest.raises(SpecError, match="max_frame"):
        dle(0)
    with pytest.raises(SpecError, match="on_bad_frame"):
        dle(on_bad_frame="drop")
    with pytest.raises(FrameError, match="over the limit of 3"):
        dle(3).encode([b"abcd"])
