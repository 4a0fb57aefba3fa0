"""Frames between two marks; what all framings have in common is tested elsewhere."""

from __future__ import annotations

import pytest

from nbclient.errors import BadFrame, FrameError, FrameTooLong, SpecError
from nbclient.framing import Framing, between, mllp, stx_etx
from nbclient.framing.marked import TRIES
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
    recipe = between(b"<", b"--", max_frame=3, on_bad_frame="skip", start_inside=True)
    decoder = recipe.decoder()
    decoder.feed(b"<too long-")
    assert (decoder.begun, decoder.eof()) == (True, b"-")
    decoder.feed(b"x")
    assert (decoder.begun, decoder.eof()) == (True, b"")
    assert decoder.feed(b"--<a--") == [b"a"]
    assert not decoder.begun


def test_nothing_is_kept_of_what_follows_a_frame_being_skipped() -> None:
    recipe = stx_etx(trailer=3, max_frame=6, on_bad_frame="skip", start_inside=True)
    decoder = recipe.decoder()
    decoder.feed(b"\x02too long\x03CR")
    assert (decoder.begun, decoder.eof()) == (True, b"")
    decoder.feed(b"C")
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
        (mllp(), b"abc\x0b", "it would begin anew at byte 3, where b'\\\\x0b' is found"),
        (
            stx_etx(or_ends=[b"\x17"]),
            b"a\x17b",
            "it would end at byte 1, where b'\\\\x17' is found",
        ),
        (stx_etx(or_ends=[b"\x17"], keep_end=True), b"ab", "a frame ends in b'\\\\x03' or another"),
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
        (stx_etx(or_ends=[b"\x17", b","]), r"stx-etx,or-end=\x17,or-end=\x2c"),
        (between(b"<", b">", keep_end=True), "between:<,>,keep-end"),
        (between(b"<", b">", start_inside=True), "between:<,>,start-inside"),
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
        (lambda: stx_etx(or_ends=[b"\r\n"]), "each has as many bytes as the others"),
        (lambda: stx_etx(or_ends=[b"\x03"]), "the ends of a frame differ"),
        (lambda: stx_etx(or_ends=[b""]), "the end has 1 to 256 bytes, not 0"),
        (lambda: stx_etx(or_ends=[b"%c" % n for n in range(20, 40)]), "at most 16 ends, not 21"),
        (lambda: stx_etx(or_ends=[b"\x02"]), "start and end are the same"),
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


# -- frames that are torn --------------------------------------------------------------


def everywhere(recipe: Framing, stream: bytes) -> list[tuple[list[bytes], int]]:
    """The frames and what was skipped, for the whole, for each byte, for every cut in two."""
    cuts = [[stream], single(stream), *([stream[:n], stream[n:]] for n in range(len(stream)))]
    found = []
    for chunks in cuts:
        got, decoder = decode(recipe, chunks)
        assert decoder.fault is None
        found.append((got, decoder.skipped))
    return found


def test_a_frame_begins_anew_at_a_start_inside_it() -> None:
    recipe = between(b"<", b">", on_bad_frame="skip")
    for got, skipped in everywhere(recipe, b"<one><to<two><<<three>x>"):
        assert got == [b"one", b"two", b"three"]
        assert skipped == 4  # one torn, two that only began, and noise
    _, decoder = decode(between(b"<", b">"), [b"<one><to<two>"])
    assert str(decoder.fault) == (
        "expected the end of a frame before the next one begins, but the peer sent b'<two>'"
    )
    assert decoder.eof() == b"<to<two>"


def test_a_start_inside_may_be_said_to_be_payload() -> None:
    recipe = between(b"<", b">", start_inside=True)
    assert everywhere(recipe, b"<a<b>") == [([b"a<b"], 0)] * 7


def test_with_a_checksum_that_decides_what_a_start_inside_is() -> None:
    recipe = between(b"<", b">", checksum="xor-hex", on_bad_frame="skip")
    (whole,) = recipe.encode([b"a<b"])
    assert decode(between(b"<", b">", checksum="xor-hex"), [whole])[0] == [b"a<b"]
    for got, skipped in everywhere(recipe, whole + b"<tor" + whole + whole):
        assert got == [b"a<b"] * 3
        assert skipped == 1


@pytest.mark.parametrize("torn", [b"<torn", b"<torn>", b"<torn>4", b"<to>99rn"])
def test_a_good_frame_is_found_wherever_the_one_before_it_was_torn(torn: bytes) -> None:
    recipe = between(b"<", b">", trailer=4, checksum="xor-hex", on_bad_frame="skip")
    stream = torn + recipe.encode([b"good\r\n"])[0]
    for got, skipped in everywhere(recipe, stream * 2):
        assert got == [b"good\r\n"] * 2
        assert skipped == 2


def test_only_so_many_beginnings_inside_a_bad_frame_are_tried() -> None:
    recipe = between(b"<", b">", checksum="crc16-modbus-hex", on_bad_frame="skip")
    for many, found in ((TRIES - 1, [b"<" * (TRIES - 1)]), (TRIES, [])):
        got, decoder = decode(recipe, [b"<torn" + recipe.encode([b"<" * many])[0]])
        assert got == found
        assert decoder.skipped == 1


def test_no_beginning_is_looked_for_in_a_long_trailer() -> None:
    """It would cost its length again for each of its bytes."""
    recipe = between(b"<", b">", trailer=66, checksum="xor-hex", on_bad_frame="skip")
    bad = b"<a>00" + b"<>" * 32
    assert everywhere(recipe, bad + recipe.encode([b"x" * 64])[0])[0] == ([b"x" * 64], 1)


def test_a_frame_over_the_limit_is_passed_over_up_to_the_next_start() -> None:
    for recipe in (
        between(b"<<", b">", max_frame=6, on_bad_frame="skip"),
        between(b"<<", b">", checksum="xor", max_frame=6, on_bad_frame="skip"),
    ):
        stream = b"<<" + b"torn" * 9 + b"<x" + recipe.encode([b"good"])[0]
        for got, skipped in everywhere(recipe, stream):
            assert got == [b"good"]
            assert skipped == 1


def test_p1_telegrams_behind_a_torn_one() -> None:
    """A smart meter behind a serial server that loses bytes."""
    recipe = between(
        b"/", b"!", trailer=6, checksum="crc16-arc-hex", over="frame", on_bad_frame="skip"
    )
    telegrams = [b"XMX5METER\r\n\r\n1-0:1.7.0(00.2%d*kW)\r\n\r\n" % n for n in range(3)]
    one, two, three = recipe.encode(telegrams)
    for got, skipped in everywhere(recipe, one + two[:20] + two + three):
        assert got == telegrams
        assert skipped == 1


# -- what ends a message of HL7 --------------------------------------------------------


@pytest.mark.parametrize("behind", [b"\r", b"\r\n", b"\n", b"", b"\r\r\n\n"])
def test_whatever_follows_fs_a_message_of_hl7_has_ended(behind: bytes) -> None:
    stream = (b"\x0bMSA|AA|1\r\x1c" + behind) * 3
    for got, skipped in everywhere(mllp(), stream):
        assert got == [b"MSA|AA|1\r"] * 3
        assert skipped == 0


def test_a_message_of_hl7_does_not_wait_for_what_may_follow_fs() -> None:
    decoder = mllp().decoder()
    assert decoder.feed(b"\x0bMSA|AA|1\r\x1c") == [b"MSA|AA|1\r"]
    assert not decoder.begun
    assert decoder.feed(b"\r\n") == []
    assert (decoder.begun, decoder.eof(), decoder.fault) == (False, b"", None)


def test_other_noise_behind_a_message_of_hl7_is_noise() -> None:
    _, decoder = decode(mllp(), [b"\x0ba\x1c\r\nx\r\n"])
    assert isinstance(decoder.fault, BadFrame)
    assert decoder.eof() == b"x\r\n"


# -- one of several ends ----------------------------------------------------------------


def test_what_ended_a_frame_is_kept_where_that_is_asked_for() -> None:
    recipe = stx_etx("sum8-hex", "end", or_ends=[b"\x17"], keep_end=True)
    stream = b"\x021ab\x170B\x022c\x0398"
    for got, _ in everywhere(recipe, stream):
        assert got == [b"1ab\x17", b"2c\x03"]
    assert recipe.encode([b"1ab\x17", b"2c\x03"]) == [b"\x021ab\x170B", b"\x022c\x0398"]


def test_a_frame_that_should_bring_its_end_and_does_not_is_refused() -> None:
    with pytest.raises(FrameError, match="a frame of 0 bytes does not hold its end and trailer"):
        stx_etx(keep_end=True).encode([b""])


def test_a_frame_is_sent_with_the_first_of_its_ends() -> None:
    recipe = between(b"<", b"]]", or_ends=[b">>"])
    assert recipe.encode([b"a"]) == [b"<a]]"]
    for got, _ in everywhere(recipe, b"<a]]<b>><]>]]"):
        assert got == [b"a", b"b", b"]>"]


def test_what_peers_send_between_two_messages_of_mllp_is_no_fault() -> None:
    ends = (b"\r", b"\r\n", b"\n", b"", b"\x1c\r", b"\0", b" ", b"\r\x1c\r\t")
    stream = b"".join(b"\x0b%d\x1c" % n + end for n, end in enumerate(ends))
    for chunks in ([stream], single(stream)):
        got, decoder = decode(mllp(), chunks)
        assert got == [b"%d" % n for n in range(len(ends))]
        assert (decoder.fault, decoder.begun) == (None, False)
    for fault in (b"MSH|", b"\x0ba\x1c\x1c\rMSH|", b"\1"):
        for chunks in ([fault], single(fault)):
            assert isinstance(decode(mllp(), chunks)[1].fault, BadFrame)


def test_the_cr_behind_a_message_of_mllp_is_not_the_next_framings() -> None:
    decoder = mllp().decoder()
    chunk = b"\x0bone\x1c\r\x0btwo\x1c\r\r\0\3abc"
    assert decoder.feed(chunk) == [b"one", b"two"]
    assert decoder.unread(chunk, [b"two"]) == b"\x0btwo\x1c\r\r\0\3abc"
    assert decoder.unread(chunk, []) == b"\r\0\3abc"
    decoder = mllp().decoder()
    assert decoder.feed(b"\x0bbegun") == []
    assert decoder.unread(b"\x0bbegun", []) == b"\x0bbegun"
