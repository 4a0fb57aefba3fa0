"""Frames without anything around them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbclient.errors import FrameError, SpecError
from nbclient.framing import fixed, raw
from tests.conformance.framing import decode


def test_fixed_frames_are_all_of_one_size() -> None:
    got, decoder = decode(fixed(3), [b"ab", b"cdefgh", b"ij"])
    assert got == [b"abc", b"def", b"ghi"]
    assert decoder.eof() == b"j"


def test_a_fixed_frame_of_another_size_is_refused() -> None:
    for ask in (fixed(3).encode, fixed(3).check):
        with pytest.raises(FrameError, match="a frame of fixed:3 has 3 bytes, not 2"):
            ask([b"abc", b"ab"])


@pytest.mark.parametrize("size", [0, -1, 11])
def test_a_fixed_size_lies_within_the_limit(size: int) -> None:
    with pytest.raises(SpecError, match="a fixed frame has 1 to 10 bytes"):
        fixed(size, max_frame=10)


@given(st.lists(st.binary(max_size=9), max_size=9))
def test_raw_hands_on_every_chunk_and_holds_nothing(chunks: list[bytes]) -> None:
    got, decoder = decode(raw(), chunks)
    assert got == [chunk for chunk in chunks if chunk]
    assert decoder.eof() == b""
    assert not decoder.begun
    assert decoder.fault is None


@given(st.lists(st.binary(min_size=1, max_size=9), max_size=9), st.integers(1, 20))
def test_what_is_sent_raw_comes_back_as_one_stream(frames: list[bytes], step: int) -> None:
    stream = b"".join(raw().encode(frames))
    chunks = [stream[at : at + step] for at in range(0, len(stream), step)]
    assert b"".join(decode(raw(), chunks)[0]) == b"".join(frames)


def test_an_empty_raw_frame_is_refused_for_nothing_of_it_would_arrive() -> None:
    for ask in (raw().encode, raw().check):
        with pytest.raises(FrameError, match="an empty frame cannot be sent raw"):
            ask([b"a", b""])


def test_raw_has_no_limit_for_it_holds_nothing() -> None:
    large = bytes(raw().max_frame + 1)
    assert raw().encode([large]) == [large]
    assert raw().decoder().feed(large) == [large]


def test_a_raw_chunk_that_nobody_took_is_unread_as_it_came() -> None:
    decoder = raw().decoder()
    (chunk,) = decoder.feed(b"abc")
    assert decoder.unread(b"abc", []) == b""
    assert decoder.unread(b"abc", [chunk]) == b"abc"


def test_plain_framings_show_their_spec_and_compare_by_it() -> None:
    assert [str(fixed(3)), str(raw())] == ["fixed:3", "raw"]
    assert [repr(fixed(3)), repr(raw())] == [
        "Fixed(size=3, max_frame=1048576, checksum='')",
        "Raw()",
    ]
    assert raw() == raw() != fixed(3)
    assert hash(raw()) == hash(raw())
    assert fixed(3) != fixed(4)
