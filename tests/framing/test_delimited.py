"""Frames that end with a delimiter; what all framings have in common is tested elsewhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbclient.errors import FrameError, FrameTooLong, SpecError
from nbclient.framing import Framing, crlf, delimiter, lines
from nbclient.framing.delimited import QUICK_FROM
from tests.conformance.framing import decode, single


def frames(recipe: Framing, *chunks: bytes) -> list[bytes]:
    return decode(recipe, chunks)[0]


def test_lines_end_in_lf_and_one_cr_before_it_is_dropped() -> None:
    stream = b"unix\nnetwork\r\nmac\rodd\r\r\n\n\r\n"
    expected = [b"unix", b"network", b"mac\rodd\r", b"", b""]
    assert frames(lines(), stream) == expected
    assert frames(lines(), *single(stream)) == expected


def test_only_lf_and_cr_end_a_line_of_bytes() -> None:
    """A vertical tab, a form feed or a separator would end one in other tools."""
    stream = b"a\x0bb\x0cc\x1cd\x85e\xe2\x80\xa8f"
    assert frames(lines(), stream + b"\n") == [stream]
    assert frames(lines(), stream + b"\r\n") == [stream]


def test_crlf_takes_cr_and_lf_alone_as_part_of_the_line() -> None:
    assert frames(crlf(), b"a\nb\rc\r\nd\r\r\n") == [b"a\nb\rc", b"d\r"]


# Bytes at which other splitters of lines cut, and those that end lines here.
PIECES = st.lists(st.sampled_from([b"\r\n", b"\r\n", b"\r", b"\n", b"a", b"\x0b", b"\x85"]))


@given(PIECES, st.integers(0, 60))
def test_a_quick_cut_is_the_cut_that_split_would_make(pieces: list[bytes], size: int) -> None:
    """`splitlines` is quicker and cuts at more: what it makes is only taken where it agrees."""
    filler = b"x" * QUICK_FROM + b"\r\n"  # the quick way is for larger chunks
    data = filler + b"".join(pieces)
    rest = data[len(data) - size :] if size else b""
    expected = (data + rest).split(b"\r\n")
    expected.pop()
    assert frames(crlf(), data, rest) == expected
    by_lf = (data + rest).split(b"\n")
    by_lf.pop()
    assert frames(lines(), data, rest) == [each.removesuffix(b"\r") for each in by_lf]


@pytest.mark.parametrize("recipe", [crlf(600), lines(600)], ids=str)
def test_the_limit_holds_for_lines_cut_the_quick_way(recipe: Framing) -> None:
    stream = b"x" * 600 + b"\r\n" + b"y" * 601 + b"\r\nz\r\n"
    got, decoder = decode(recipe, [stream])
    assert got == [b"x" * 600]
    assert isinstance(decoder.fault, FrameTooLong)
    assert decoder.eof() == b"y" * 601 + b"\r\nz\r\n"


def test_crlf_goes_the_slow_way_once_a_peer_has_sent_other_line_ends() -> None:
    """Else each of its chunks would be cut twice."""
    decoder = crlf().decoder()
    line = b"x" * QUICK_FROM
    assert decoder.feed(line + b"\na\r\n") == [line + b"\na"]
    assert not decoder._quick  # type: ignore[attr-defined]
    assert decoder.feed(line + b"\r\n" + line) == [line]
    assert decoder.feed(b"\r\n") == [line]


def test_a_large_chunk_without_a_line_end_is_carried() -> None:
    line = b"x" * QUICK_FROM
    assert frames(crlf(), line, line, b"\r", b"\n") == [line + line]


def test_the_first_delimiter_from_the_left_ends_a_frame() -> None:
    assert frames(delimiter(b"aa"), b"baaab") == [b"b"]
    assert decode(delimiter(b"aa"), [b"baaab"])[1].eof() == b"ab"
    assert frames(delimiter(b"aa"), *single(b"baaab")) == [b"b"]


def test_a_line_is_text_and_what_ends_in_another_delimiter_is_not() -> None:
    assert lines().line_like
    assert crlf().line_like
    assert delimiter(b"\r\n").line_like
    assert not delimiter(b"\0").line_like


@pytest.mark.parametrize("recipe", [lines(5), crlf(5), delimiter(b"--", 5)], ids=str)
def test_an_endless_line_is_noticed_before_its_end(recipe: Framing) -> None:
    decoder = recipe.decoder()
    decoder.feed(b"12345")
    assert decoder.fault is None
    decoder.feed(b"6")
    assert isinstance(decoder.fault, FrameTooLong)
    assert (decoder.fault.limit, decoder.fault.size) == (5, 6)
    assert str(decoder.fault) == "the frame has reached 6 bytes, more than the limit of 5"
    assert decoder.eof() == b"123456"


def test_what_may_be_the_end_of_a_line_does_not_count_to_its_length() -> None:
    """LineOnlyReceiver refuses a line of the limit whose CR LF is split over two reads."""
    assert frames(lines(5), b"12345\r", b"\n") == [b"12345"]
    assert frames(crlf(5), b"12345\r", b"\n") == [b"12345"]
    assert frames(delimiter(b"abc", 5), b"12345ab", b"c") == [b"12345"]


@pytest.mark.parametrize("recipe", [lines(5), crlf(5), delimiter(b"\r\r", 5)], ids=str)
def test_what_turned_out_not_to_be_the_end_does_count(recipe: Framing) -> None:
    decoder = recipe.decoder()
    decoder.feed(b"12345\r")
    assert decoder.fault is None
    decoder.feed(b"x")
    assert isinstance(decoder.fault, FrameTooLong)
    assert decoder.eof() == b"12345\rx"


def test_a_long_line_in_the_middle_of_a_chunk_keeps_what_was_before_it() -> None:
    got, decoder = decode(lines(5), [b"be", b"gun\nok\r\ntoo long\nnever\n"])
    assert got == [b"begun", b"ok"]
    assert isinstance(decoder.fault, FrameTooLong)
    assert decoder.fault.size == 8
    assert decoder.eof() == b"too long\nnever\n"


def test_a_long_line_that_was_carried_is_given_back_as_received() -> None:
    got, decoder = decode(lines(5), [b"carr", b"ied\r\nnever\n"])
    assert got == []
    assert decoder.fault is not None
    assert decoder.eof() == b"carried\r\nnever\n"


def test_skipping_drops_the_long_line_up_to_its_end_and_counts_it() -> None:
    recipe = lines(5, "skip")
    stream = b"one\nmuch too long\r\ntwo\nagain too long\nagain and again\n\nthree"
    for chunks in ([stream], single(stream), [stream[:9], stream[9:]], [stream[:30], stream[30:]]):
        got, decoder = decode(recipe, chunks)
        assert got == [b"one", b"two", b""]
        assert decoder.fault is None
        assert decoder.skipped == 3
        assert decoder.eof() == b"three"


def test_a_line_being_skipped_is_begun_though_nothing_of_it_is_kept() -> None:
    """A frame timeout must still see it, and nobody may take its rest for a tail."""
    decoder = lines(5, "skip").decoder()
    decoder.feed(b"much too long")
    assert decoder.skipped == 1
    assert decoder.begun
    assert decoder.eof() == b""
    decoder.feed(b" and longer")
    assert decoder.skipped == 1
    assert decoder.feed(b"\nok\n") == [b"ok"]
    assert not decoder.begun


def test_unread_gives_back_what_was_skipped() -> None:
    """Under the next framing it may be no fault at all."""
    decoder = lines(5, "skip").decoder()
    chunk = b"one\nmuch too long\ntwo\nagain too long\n"
    assert decoder.feed(chunk) == [b"one", b"two"]
    assert decoder.unread(chunk, [b"two"]) == b"much too long\ntwo\nagain too long\n"
    decoder = lines(5, "skip").decoder()
    decoder.feed(chunk)
    assert decoder.unread(chunk, []) == b"again too long\n"


def test_unread_of_a_chunk_without_a_frame_is_the_tail() -> None:
    """Also where that is over the limit, and began in the chunk before."""
    decoder = lines(5).decoder()
    assert decoder.feed(b"12") == decoder.feed(b"345678") == []
    assert decoder.unread(b"345678", []) == b"12345678"


def test_unread_knows_a_line_of_the_limit_from_a_skipped_one() -> None:
    decoder = lines(5, "skip").decoder()
    chunk = b"12345\r\ntwo\n"
    assert decoder.feed(chunk) == [b"12345", b"two"]
    assert decoder.unread(chunk, [b"two"]) == b"two\n"


@pytest.mark.parametrize("recipe", [lines(), crlf(), delimiter(b"\r\r")], ids=str)
def test_half_a_line_end_is_a_frame_begun(recipe: Framing) -> None:
    decoder = recipe.decoder()
    assert decoder.feed(b"\r") == []
    assert decoder.begun
    assert decoder.eof() == b"\r"


def test_a_million_empty_lines_are_a_million_frames() -> None:
    assert len(frames(lines(), b"\n" * 1_000_000)) == 1_000_000
    assert len(frames(lines(), b"\r\n" * 1_000_000)) == 1_000_000


def test_unread_keeps_carriage_returns() -> None:
    decoder = lines().decoder()
    decoder.feed(b"hel")
    chunk = b"lo\r\nSTARTTLS\r\n\x16\x03\r"
    assert decoder.feed(chunk) == [b"hello", b"STARTTLS"]
    assert decoder.unread(chunk, [b"STARTTLS"]) == b"STARTTLS\r\n\x16\x03\r"


@pytest.mark.parametrize(
    ("recipe", "frame", "at"),
    [
        (lines(), b"a\nb", "byte 1"),
        (lines(), b"a\r", "CR"),
        (crlf(), b"abc\r\n", "byte 3"),
        (delimiter(b"aba"), b"xab", "byte 1"),
        (lines(5), b"123456", "limit of 5"),
        (crlf(5), b"123456", "limit of 5"),
    ],
)
def test_a_refusal_says_where_and_why_but_not_what(recipe: Framing, frame: bytes, at: str) -> None:
    """A frame may hold a password: its bytes do not belong in a message."""
    with pytest.raises(FrameError) as caught:
        recipe.encode([b"good", frame])
    assert at in str(caught.value)
    assert repr(frame)[2:-1] not in str(caught.value)


def test_a_batch_larger_than_the_limit_is_no_frame_over_the_limit() -> None:
    assert lines(5).encode([b"12345"] * 3) == [b"12345\n"] * 3
    assert crlf(5).encode([b"12345"] * 3) == [b"12345\r\n"] * 3


def test_bytes_of_the_delimiter_are_no_delimiter() -> None:
    assert crlf().encode([b"a\rb", b"\n"]) == [b"a\rb\r\n", b"\n\r\n"]
    assert lines().encode([b"a\rb"]) == [b"a\rb\n"]


@pytest.mark.parametrize(
    ("recipe", "text"),
    [
        (lines(), "lines"),
        (crlf(), "crlf"),
        (delimiter(b"\r\n"), "crlf"),
        (delimiter(b"\0"), r"delimiter:\x00"),
        (delimiter(b"\r\t\n\\"), r"delimiter:\r\t\n\\"),
        (delimiter(b" ;\xff"), r"delimiter:\x20;\xff"),
    ],
)
def test_a_framing_shows_its_spec(recipe: Framing, text: str) -> None:
    assert str(recipe) == text


def test_framings_compare_by_what_they_do() -> None:
    assert lines() == lines()
    assert lines() != lines(5)
    assert lines() != lines(on_bad_frame="skip")
    assert crlf() == delimiter(b"\r\n") != delimiter(b"\n")
    assert len({lines(), lines(), crlf(), delimiter(b"\r\n")}) == 2
    assert repr(crlf(5)) == r"Delimited(delimiter=b'\r\n', max_frame=5, on_bad_frame='close')"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: lines(0), "max_frame must be at least 1 byte, not 0"),
        (lambda: crlf(-1), "max_frame must be at least 1 byte, not -1"),
        (lambda: lines(on_bad_frame="drop"), "must be close or skip, not 'drop'"),
        (lambda: crlf(on_bad_frame=""), "must be close or skip, not ''"),
        (lambda: delimiter(b""), "a delimiter has 1 to 256 bytes, not 0"),
        (lambda: delimiter(b"x" * 257), "a delimiter has 1 to 256 bytes, not 257"),
    ],
)
def test_what_makes_no_sense_is_refused_at_once(make: object, said: str) -> None:
    assert callable(make)
    with pytest.raises(SpecError, match=said):
        make()
