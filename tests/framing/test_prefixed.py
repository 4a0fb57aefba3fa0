"""Frames that announce their length; what all framings have in common is tested elsewhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbclient.errors import BadFrame, FrameError, FrameTooLong, SpecError
from nbclient.framing import Framing, length, netstring, octet_counted
from nbclient.framing.prefixed import Length, LengthDecoder
from tests.conformance.framing import decode, single


@pytest.mark.parametrize(
    ("recipe", "image"),
    [
        (length(1), b"\3abc"),
        (length(2), b"\0\3abc"),
        (length(3), b"\0\0\3abc"),
        (length(4), b"\0\0\0\3abc"),
        (length(8), b"\0\0\0\0\0\0\0\3abc"),
        (length(2, little_endian=True), b"\3\0abc"),
        (length(3, little_endian=True), b"\3\0\0abc"),
        (length(4, little_endian=True), b"\3\0\0\0abc"),
        (length(4, inclusive=True), b"\0\0\0\7abc"),
        (length(2, adjust=1), b"\0\2abc"),
        (length(2, adjust=-2), b"\0\5abc"),
        (length(2, inclusive=True, adjust=1), b"\0\4abc"),
        (netstring(), b"3:abc,"),
        (octet_counted(), b"3 abc"),
    ],
    ids=str,
)
def test_the_image_of_a_frame_is_what_the_specification_says(recipe: Framing, image: bytes) -> None:
    assert recipe.encode([b"abc"]) == [image]
    assert decode(recipe, [image])[0] == [b"abc"]


def test_numbers_of_one_to_seven_digits() -> None:
    for recipe in (netstring(), octet_counted()):
        for size in (1, 9, 10, 999, 1000, 12345, 1024 * 1024):
            (image,) = recipe.encode([bytes(size)])
            assert decode(recipe, [image, image])[0] == [bytes(size)] * 2


@pytest.mark.parametrize(
    ("recipe", "frame"),
    [
        # Modbus TCP: transaction, protocol, length, unit, function, data
        (length(2, offset=4, keep_header=True), b"\0\1\0\0\0\6\x11\3\0\x6b\0\3"),
        # TPKT (RFC 1006): version, reserved, length of it all
        (length(2, offset=2, inclusive=True, keep_header=True), b"\3\0\0\7\1\2\3"),
        (length(3, little_endian=True, keep_header=True), b"\2\0\0ab"),
        (length(4, adjust=-4, keep_header=True), b"\0\0\0\6ab"),
    ],
    ids=str,
)
def test_a_header_that_is_kept_goes_both_ways(recipe: Framing, frame: bytes) -> None:
    assert recipe.encode([frame]) == [frame]
    assert decode(recipe, single(frame * 2))[0] == [frame, frame]


def test_a_length_says_whether_it_can_send_at_all() -> None:
    """Whoever is to send can be told so before a frame is there."""
    assert length(2).sends
    assert length(2, offset=4, keep_header=True).sends
    assert not length(2, offset=4).sends


def test_bytes_before_the_length_can_be_received_but_not_made_up() -> None:
    recipe = length(2, offset=4)
    assert decode(recipe, [b"\0\1\0\0\0\3abc"])[0] == [b"abc"]
    for ask in (recipe.encode, recipe.check):
        with pytest.raises(FrameError, match="length:2,offset=4 cannot send: the bytes before"):
            ask([b"abc"])


@pytest.mark.parametrize(
    ("recipe", "frame", "said"),
    [
        (length(1), bytes(256), "a frame of length:1 has 0 to 255 bytes, not 256"),
        (length(1, inclusive=True), bytes(255), "has 0 to 254 bytes, not 255"),
        (length(1, adjust=10), bytes(9), "has 10 to 265 bytes, not 9"),
        (length(4, max_frame=8), bytes(9), "has 0 to 8 bytes, not 9"),
        (length(2, keep_header=True), b"\0", "a frame of 1 bytes has no header of 2 bytes"),
        (length(2, keep_header=True), b"\0\2a", "a frame of 3 bytes has 2 in its header, not 1"),
        (length(2, keep_header=True, max_frame=3), b"\0\2ab", "4 bytes is over the limit of 3"),
        (netstring(8), bytes(9), "a frame has 0 to 8 bytes, not 9"),
        (octet_counted(8), b"", "a frame has 1 to 8 bytes, not 0"),
    ],
)
def test_a_frame_that_its_length_cannot_say_is_refused(
    recipe: Framing, frame: bytes, said: str
) -> None:
    for ask in (recipe.encode, recipe.check):
        with pytest.raises(FrameError, match=said):
            ask([frame])


@pytest.mark.parametrize(
    ("recipe", "header", "size"),
    [
        (length(4, max_frame=8), b"\x7f\xff\xff\xff", 2**31 - 1),
        (length(4, inclusive=True, max_frame=8), b"\0\0\0\x0d", 9),
        (length(2, keep_header=True, max_frame=8), b"\0\7", 9),
        (length(8), b"\xff" * 8, 2**64 - 1),
        (netstring(8), b"9:", 9),
        (netstring(8), b"80", 80),
        (octet_counted(12), b"13 ", 13),
        (octet_counted(12), b"100", 100),
    ],
)
def test_a_length_over_the_limit_is_noticed_with_its_header(
    recipe: Framing, header: bytes, size: int
) -> None:
    for chunks in ([header], single(header)):
        _, decoder = decode(recipe, chunks)
        assert isinstance(decoder.fault, FrameTooLong)
        assert decoder.fault.size == size
        assert str(decoder.fault).startswith(f"the frame declares {size} bytes")
        assert decoder.eof() == header


@pytest.mark.parametrize(
    ("recipe", "wrong", "what"),
    [
        (length(4, inclusive=True), b"\0\0\0\3", "expected a length of at least 4"),
        (length(2, adjust=-3), b"\0\2", "expected a length of at least 3"),
        (
            length(2, offset=2, inclusive=True, keep_header=True),
            b"\3\0\0\3",
            "expected a length of at least 4",
        ),
        (netstring(), b"-1:", "expected a length and b':'"),
        (netstring(), b"00:", "expected a length and b':'"),
        (netstring(), b"1:ab", "expected b',' behind the frame"),
        (netstring(), b"1 a,", "expected a length and b':'"),
        (octet_counted(), b"0 ", "expected a length and b' '"),
        (octet_counted(), b"<13>Oct 11", "expected a length and b' '"),
        (octet_counted(), b"1x a", "expected a length and b' '"),
    ],
)
def test_a_length_that_cannot_be_is_a_fault(recipe: Framing, wrong: bytes, what: str) -> None:
    _, decoder = decode(recipe, [wrong])
    assert isinstance(decoder.fault, BadFrame)
    assert decoder.fault.what == what
    assert decoder.fault.found in wrong


def test_a_fault_shows_no_more_than_the_beginning_of_what_was_found() -> None:
    _, decoder = decode(netstring(), [b"1:a" + b"x" * 1000])
    assert isinstance(decoder.fault, BadFrame)
    assert decoder.fault.found == b"x" * 40


def test_the_limit_holds_in_chunks_of_less_than_it_and_of_more() -> None:
    """The two are cut by loops of their own."""
    recipe = length(1, max_frame=20)
    bodies = [b"", b"a" * 9, b"b" * 4, b"c" * 20]
    stream = b"".join(recipe.encode(bodies))
    for size in range(1, len(stream) + 1):
        chunks = [stream[at : at + size] for at in range(0, len(stream), size)]
        got, decoder = decode(recipe, [*chunks, b"\x15ddd"])
        assert got == bodies
        assert isinstance(decoder.fault, FrameTooLong)
        assert decoder.fault.size == 21
        assert decoder.eof() == b"\x15ddd"


@given(st.lists(st.binary(max_size=9), max_size=20), st.integers(1, 60), st.integers(9, 90))
def test_a_plain_length_is_cut_like_one_with_a_bound_on_each(
    bodies: list[bytes], size: int, limit: int
) -> None:
    recipe = Length(2, max_frame=limit)
    stream = b"".join(recipe.encode(bodies)) + b"\0\5half"
    plain, careful = recipe.decoder(), LengthDecoder(recipe)
    for at in range(0, len(stream), size):
        chunk = stream[at : at + size]
        assert plain.feed(chunk) == careful.feed(chunk)
        assert plain.eof() == careful.eof()
    assert plain.fault is careful.fault is None


def test_unread_keeps_a_fault_that_was_never_ones_own() -> None:
    """A peer may change its framing behind a frame; then the old one sees nonsense."""
    decoder = netstring().decoder()
    chunk = b"5:hello,4:json,{}\n"
    assert decoder.feed(chunk) == [b"hello", b"json"]
    assert decoder.fault is not None
    assert decoder.unread(chunk, []) == b"{}\n"
    assert decoder.unread(chunk, [b"json"]) == b"4:json,{}\n"


@pytest.mark.parametrize(
    ("recipe", "text"),
    [
        (length(4), "length:4"),
        (
            length(2, True, True, 2, -1, True),
            "length:2,le,inclusive,offset=2,adjust=-1,keep-header",
        ),
        (netstring(), "netstring"),
        (octet_counted(), "octet-counted"),
    ],
)
def test_a_framing_shows_its_spec(recipe: Framing, text: str) -> None:
    assert str(recipe) == text


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: length(5), "a length has 1, 2, 3, 4 or 8 bytes, not 5"),
        (lambda: length(4, offset=-1), "the offset of a length is 0 to 1048576 bytes"),
        (lambda: length(4, offset=21, max_frame=20), "is 0 to 20 bytes .*, not 21"),
        (lambda: length(4, max_frame=0), "max_frame must be at least 1 byte, not 0"),
        (
            lambda: length(2, adjust=10, max_frame=9),
            "no frame of length:2,adjust=10 can be within the limit of 9 bytes",
        ),
        (lambda: length(4, keep_header=True, max_frame=3), "within the limit of 3 bytes"),
        (lambda: length(1, adjust=-256), "no frame of length:1,adjust=-256"),
        (lambda: netstring(0), "max_frame must be at least 1 byte, not 0"),
        (lambda: octet_counted(0), "max_frame must be at least 1 byte, not 0"),
    ],
)
def test_what_makes_no_sense_is_refused_at_once(make: object, said: str) -> None:
    assert callable(make)
    with pytest.raises(SpecError, match=said):
        make()
