"""Frames between two marks; what all framings have in common is tested elsewhere."""

from __future__ import annotations

import pytest

from nbclient.errors import BadFrame, FrameError, FrameTooLong, SpecError
from nbclient.framing import Framing, between, mllp, stx_etx
from tests.conformance.framing import decode, single


@pytest.mark.parametrize(
    ("recipe", "frame", "image"),
    [
        (between(b"<", b">"), b"abc", b"<abc>"),
        (stx_etx(), b"", b"\x02\x03"),
        (mllp(), b"MSH|^~\\&\rPID\r", b"\x0bMSH|^~\\&\rPID\r\x1c\r"),
        (between(b"<", b">", trailer=2), b"abcXY", b"<abc>XY"),
        (stx_etx("xor-hex"), b"12", b"\x0212\x0303"),
        # Pavone: STX, data, ETX, two digits, EOT
        (stx_etx("xor-hex", trailer=3), b"12\x04", b"\x0212\x0303\x04"),
        (stx_etx("xor"), b"12", b"\x0212\x03\x03"),
        (stx_etx("xor", "end"), b"12", b"\x0212\x03\x00"),
        (stx_etx("xor", "frame"), b"12", b"\x0212\x03\x02"),
    ],
    ids=lambda value: str(value) if isinstance(value, Framing) else None,
)
def test_the_image_is_marks_payload_checksum_and_trailer(
    recipe: Framing, frame: bytes, image: bytes
) -> None:
    assert recipe.encode([frame]) == [image]
    assert decode(recipe, [image])[0] == [frame]


def test_noise_before_a_frame_is_skipped_and_counted_once_a_stretch() -> None:
    recipe = stx_etx(on_bad_frame="skip")
    stream = b"\r\nok\r\n\x02one\x03\r\n\x02two\x03\x02three\x03\x03\x03"
    for chunks in ([stream], single(stream), [stream[:3], stream[3:]]):
        got, decoder = decode(recipe, chunks)
        assert got == [b"one", b"two", b"three"]
        assert decoder.skipped == 3
        assert decoder.fault is None
        assert not decoder.begun


def test_noise_is_a_fault_where_nothing_is_skipped() -> None:
    got, decoder = decode(stx_etx(), [b"\x02one\x03\r\n\x02two\x03"])
    assert got == [b"one"]
    assert str(decoder.fault) == (
        r"expected a frame that begins with b'\x02', but the peer sent b'\r\n'"
    )
    assert decoder.eof() == b"\r\n\x02two\x03"


def test_half_a_start_is_no_noise_until_it_turns_out_to_be() -> None:
    decoder = between(b"<<", b">", on_bad_frame="skip").decoder()
    assert decoder.feed(b"x<") == []
    assert (decoder.skipped, decoder.eof(), decoder.begun) == (1, b"<", True)
    assert decoder.feed(b"a<") == []
    assert (decoder.skipped, decoder.eof()) == (1, b"<")
    assert decoder.feed(b"<one>") == [b"one"]
    assert decoder.skipped == 1


def test_a_frame_with_a_wrong_checksum_is_skipped_and_the_next_is_taken() -> None:
    recipe = stx_etx("xor", on_bad_frame="skip")
    stream = b"\x02one\x03?" + b"\x02two\x03" + bytes([ord("t") ^ ord("w") ^ ord("o")])
    for chunks in ([stream], single(stream), [stream[:5], stream[5:]]):
        got, decoder = decode(recipe, chunks)
        assert got == [b"two"]
        assert decoder.skipped == 1


def test_an_over_long_frame_is_skipped_up_to_its_end_with_its_checksum() -> None:
    """A start inside it is no reason to take its rest for a frame."""
    recipe = stx_etx("xor-hex", max_frame=3, on_bad_frame="skip")
    stream = b"\x02much\x02too long\x0399" + recipe.encode([b"ok"])[0]
    for chunks in ([stream], single(stream), [stream[:4], stream[4:]], [stream[:16], stream[16:]]):
        got, decoder = decode(recipe, chunks)
        assert got == [b"ok"]
        assert decoder.skipped == 1


def test_a_frame_being_skipped_is_begun_though_nothing_of_it_is_kept() -> None:
    decoder = between(b"<", b"--", max_frame=3, on_bad_frame="skip").decoder()
    decoder.feed(b"<too long-")
    assert (decoder.begun, decoder.eof()) == (True, b"-")
    decoder.feed(b"x")
    assert (decoder.begun, decoder.eof()) == (True, b"")
    assert decoder.feed(b"--<a--") == [b"a"]
    assert not decoder.begun


def test_nothing_is_kept_of_what_follows_a_frame_being_skipped() -> None:
    decoder = stx_etx("crc32", max_frame=3, on_bad_frame="skip").decoder()
    decoder.feed(b"\x02too long\x03CR")
    assert (decoder.begun, decoder.eof()) == (True, b"")
    decoder.feed(b"C!")
    assert (decoder.begun, decoder.eof(), decoder.skipped) == (False, b"", 1)


def test_the_trailer_counts_to_the_length_of_a_frame() -> None:
    recipe = between(b"<", b">", trailer=2, max_frame=4)
    assert decode(recipe, [b"<ab>cd"])[0] == [b"abcd"]
    _, decoder = decode(recipe, [b"<abx>cd"])
    assert isinstance(decoder.fault, FrameTooLong)
    assert (decoder.fault.limit, decoder.fault.size) == (4, 5)


def test_unread_gives_back_the_noise_behind_the_frame_taken() -> None:
    """Under the next framing it may be no noise at all."""
    decoder = stx_etx(on_bad_frame="skip").decoder()
    chunk = b"\x02one\x03text\n\x02two\x03more"
    assert decoder.feed(chunk) == [b"one", b"two"]
    assert decoder.unread(chunk, [b"two"]) == b"text\n\x02two\x03more"


def test_unread_knows_a_start_that_was_split_over_two_chunks() -> None:
    decoder = between(b"<<", b">").decoder()
    decoder.feed(b"<")
    chunk = b"<one><<two><"
    assert decoder.feed(chunk) == [b"one", b"two"]
    assert decoder.unread(chunk, [b"two"]) == b"<<two><"


@pytest.mark.parametrize(
    ("recipe", "frame", "said"),
    [
        (stx_etx(), b"a\x03b", "it would end at byte 1"),
        (mllp(), b"abc\x1c\r", "it would end at byte 3"),
        (stx_etx(max_frame=3), b"abcd", "over the limit of 3"),
        (stx_etx(trailer=2), b"a", "a frame of 1 bytes has no trailer of 2 bytes"),
    ],
)
def test_a_frame_that_would_not_come_back_is_refused(
    recipe: Framing, frame: bytes, said: str
) -> None:
    for ask in (recipe.encode, recipe.check):
        with pytest.raises(FrameError, match=said):
            ask([b"good", frame])


@pytest.mark.parametrize(
    ("recipe", "text"),
    [
        (between(b"<", b">"), "between:<,>"),
        (between(b",", b"\r"), r"between:\x2c,\r"),
        (between(b"\x02", b"\x03"), "stx-etx"),
        (stx_etx("xor-hex", "end", 3), "stx-etx,trailer=3,checksum=xor-hex,over=end"),
        (mllp(), "mllp"),
    ],
)
def test_a_framing_shows_its_spec(recipe: Framing, text: str) -> None:
    assert str(recipe) == text


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: between(b"", b">"), "the start has 1 to 256 bytes, not 0"),
        (lambda: between(b"<", b"x" * 257), "the end has 1 to 256 bytes, not 257"),
        (lambda: between(b"~", b"~"), "start and end are the same"),
        (lambda: stx_etx(trailer=-1), "a trailer of -1 bytes has no room for anything"),
        (lambda: stx_etx("crc16-modbus", trailer=1), "1 bytes has no room for crc16-modbus"),
        (lambda: stx_etx(trailer=9, max_frame=8), "the trailer alone is over the limit of 8"),
        (lambda: stx_etx(over="end"), "over=end says what a checksum covers, but none is asked"),
        (lambda: stx_etx("xor", "start"), "over must be payload or end or frame, not 'start'"),
        (lambda: stx_etx("crc"), "unknown checksum 'crc'"),
        (lambda: mllp(0), "max_frame must be at least 1 byte"),
        (lambda: mllp(on_bad_frame="drop"), "must be close or skip"),
    ],
)
def test_what_makes_no_sense_is_refused_at_once(make: object, said: str) -> None:
    assert callable(make)
    with pytest.raises(SpecError, match=said):
        make()


def test_framings_compare_by_what_they_do() -> None:
    assert stx_etx() == between(b"\x02", b"\x03") != stx_etx("xor")
    assert len({mllp(), mllp(), stx_etx()}) == 2


def test_a_wrong_checksum_says_what_it_should_have_been() -> None:
    _, decoder = decode(stx_etx("xor-hex"), [b"\x0212\x03FF"])
    assert isinstance(decoder.fault, BadFrame)
    assert decoder.fault.what == "expected the checksum b'03' (xor-hex)"
    assert decoder.fault.found == b"FF"
