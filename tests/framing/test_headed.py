"""A length behind a mark; what all framings have in common is tested elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from nbclient.errors import BadFrame, FrameError, FrameTooLong, SpecError
from nbclient.framing import Framing, length, varint
from nbclient.framing.headed import EARNED
from tests.conformance.framing import cut, decode, single

GGA = b"$GNGGA,120000.00,,,,,0,00,99.99,,,,,,*7B\r\n"
MARK = b"\xd3"


def rtcm(on_bad_frame: str = "skip", **more: int) -> Framing:
    return length(
        2,
        offset=1,
        adjust=3,
        max_frame=more.get("max_frame", 1023),
        mark=MARK,
        bits=10,
        checksum="crc24q",
        over="frame",
        on_bad_frame=on_bad_frame,
    )


def everywhere(
    recipe: Framing, stream: bytes, cuts_at: Sequence[int] | None = None
) -> list[tuple[list[bytes], int]]:
    """The frames and what was skipped: of the whole, of each byte, of every cut in two."""
    places = range(len(stream)) if cuts_at is None else cuts_at
    cuts = [[stream], single(stream), *(cut(stream, [n]) for n in places)]
    found = []
    for chunks in cuts:
        got, decoder = decode(recipe, chunks)
        assert decoder.fault is None
        found.append((got, decoder.skipped))
    return found


def test_text_before_rtcm_is_passed_over_and_counted() -> None:
    """A receiver that sends both on one port."""
    frames = [b"\x3e\xd0%c" % n + bytes(range(16)) for n in range(11)]
    stream = GGA + b"".join(rtcm().encode(frames))
    for got, skipped in everywhere(rtcm(), stream):
        assert got == frames
        assert skipped == 1
    _, decoder = decode(rtcm("close"), [stream])
    assert isinstance(decoder.fault, BadFrame)
    assert decoder.fault.what == r"expected a frame that begins with b'\xd3'"


def test_a_message_of_rtcm_as_the_standard_shows_it() -> None:
    """Message 1005 of RTCM 10403's annex: what its checksum is, and that it is sent alike."""
    image = bytes.fromhex("d300133ed7d30202980edeef34b4bd62ac0941986f33360b98")
    assert decode(rtcm("close"), [image])[0] == [image[3:-3]]
    assert rtcm().encode([image[3:-3]]) == [image]


def test_a_message_of_ubx_and_its_checksum() -> None:
    """A poll of MON-VER; the checksum begins behind the two bytes of the mark."""
    ubx = length(
        2,
        little_endian=True,
        offset=4,
        adjust=2,
        keep_header=True,
        checksum="fletcher8",
        over="behind-mark",
        mark=b"\xb5\x62",
    )
    image = bytes.fromhex("b5620a0400000e34")
    assert decode(ubx, [image])[0] == [image[:-2]]
    assert ubx.encode([image[:-2]]) == [image]
    with pytest.raises(FrameError, match=r"begins with b'\\xb5b'"):
        ubx.encode([b"\xb5\x63\x0a\x04\0\0"])


def test_a_good_frame_inside_a_false_one_is_found() -> None:
    """A mark in the noise before it, and a length that reaches over it."""
    frames = [b"one", b"two\xd3", b"three"]
    images = rtcm().encode(frames)
    for false in (b"\xd3\0\x40", b"\xd3\0\x0a", b"\xd3\3\xff", b"\xd3", b"\xd3\xd3\0"):
        stream = images[0] + false + b"".join(images[1:]) * 60
        for got, skipped in everywhere(rtcm(), stream, range(7)):
            assert got == frames[:1] + frames[1:] * 60
            assert skipped == 1


def test_what_was_found_late_can_be_read_again() -> None:
    """A frame that came whole in an earlier chunk, inside a false one that only now ended."""
    one, two = rtcm().encode([b"one", b"two"])
    false = b"\xd3\0" + bytes([len(one) + len(two) + 1])
    decoder = rtcm().decoder()
    assert decoder.feed(false + one + two[:4]) == []
    assert decoder.begun
    assert decoder.feed(two[4:] + b"12") == []
    assert decoder.feed(b"34mo") == [b"one", b"two"]
    assert decoder.unread(b"34mo", [b"two"]) == two + b"1234mo"
    assert decoder.eof() == b""
    assert decoder.feed(one) == [b"one"]
    assert decoder.unread(one, []) == b""


def test_where_false_frames_are_many_their_length_is_taken_at_its_word() -> None:
    """Or each byte would cost as much as a frame may be long."""
    limit = 40
    recipe = rtcm(max_frame=limit)
    (good,) = recipe.encode([b"good"])
    lost = []
    for more in range(30):  # where the flood ends, the word of the last one may be false
        flood = b"\xd3\0\x20" * (500 + more)
        got, decoder = decode(recipe, [flood + good * (EARNED * limit)])
        lost.append(EARNED * limit - len(got))
        assert decoder.skipped >= 1
    assert 1 <= max(lost) <= limit
    assert decode(recipe, single(flood + good * (EARNED * limit)))[0] == got


def test_in_ordinary_mixed_traffic_no_good_frame_is_lost() -> None:
    """A few false marks in a row are dear, but over the long run they are not."""
    images = rtcm().encode([bytes([n]) * 20 for n in range(40)])
    # Binary messages of another kind, with a mark here and there before a great length.
    other = b"\xb5b" + b"\xd3\3\xf0binary" * 8
    stream = (other + b"".join(images)) * 20 + bytes(1100)
    for chunks in ([stream], cut(stream, range(500, len(stream), 500))):
        got, _ = decode(rtcm(), chunks)
        assert got == [bytes([n]) * 20 for n in range(40)] * 20


def test_without_a_checksum_the_next_mark_is_where_the_length_says() -> None:
    recipe = length(1, offset=1, mark=b"<", on_bad_frame="skip")
    for got, skipped in everywhere(recipe, b"xx<\3a<by<\1c<<"[:-2]):
        assert got == [b"a<b", b"c"]
        assert skipped == 2


def test_what_lies_between_two_good_frames_counts_once() -> None:
    good, bad = rtcm().encode([b"good"])[0], b"\xd3\0\4wrongCRC"
    for got, skipped in everywhere(rtcm(), GGA + bad + bad + good + bad + GGA + good):
        assert got == [b"good"] * 2
        assert skipped == 2


def test_a_length_over_the_limit_behind_a_mark() -> None:
    recipe = rtcm("close", max_frame=5)
    _, decoder = decode(recipe, [b"\xd3\xfc\x06"])
    assert isinstance(decoder.fault, FrameTooLong)
    assert (decoder.fault.limit, decoder.fault.size) == (5, 6)
    assert decoder.eof() == b"\xd3\xfc\x06"
    assert decoder.feed(b"more") == []


def test_bits_that_are_no_length_are_not_looked_at() -> None:
    recipe = length(2, bits=10)
    assert decode(recipe, [b"\xfc\3abc"])[0] == [b"abc"]
    assert recipe.encode([b"abc"]) == [b"\0\3abc"]
    with pytest.raises(FrameError, match="0 to 1023 bytes, not 1024"):
        recipe.encode([bytes(1024)])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"mark": b"x"}, "the mark has 1 bytes: there are 0 before the length"),
        ({"mark": bytes(257), "offset": 300}, "a mark has at most 256"),
        ({"bits": 17}, "a length of 2 bytes has no 17 bits"),
        ({"bits": -1}, "a length of 2 bytes has no -1 bits"),
        ({"on_bad_frame": "skip"}, "a length without a mark cannot skip"),
        ({"on_bad_frame": "drop"}, "on_bad_frame must be close or skip"),
    ],
)
def test_a_mark_that_makes_no_sense_is_refused(arguments: dict[str, object], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        length(2, **arguments)  # type: ignore[arg-type]


def test_a_packet_of_mqtt_is_its_first_byte_its_length_and_what_follows() -> None:
    recipe = varint(offset=1, keep_header=True)
    packets = [b"\x20\2\0\0", b"\x30\x82\1\0\1t" + bytes(127), b"\xd0\0"]
    stream = b"".join(packets)
    for chunks in ([stream], single(stream), cut(stream, [4, 5, 6, 7])):
        assert decode(recipe, chunks)[0] == packets
    assert recipe.encode(packets) == packets
    with pytest.raises(FrameError, match="has another size in its header"):
        recipe.encode([b"\x20\3\0\0"])


def test_a_varint_behind_unknown_bytes_only_receives() -> None:
    recipe = varint(offset=2)
    assert not recipe.sends
    assert decode(recipe, [b"xx\3abcxx\0"])[0] == [b"abc", b""]
    with pytest.raises(FrameError, match="varint,offset=2 cannot send"):
        recipe.encode([b"abc"])
    with pytest.raises(SpecError, match="the offset of a varint is 0 to 5 bytes"):
        varint(5, offset=6)


def test_at_the_end_good_frames_inside_a_false_one_come_out() -> None:
    frames = [b"one", b"two", b"three"]
    false = b"\xd3\3\xff"
    for tail in (b"", b"\xd3", b"\xd3\0\7hal"):
        for chunks in ([false + b"".join(rtcm().encode(frames)) + tail],):
            got, decoder = decode(rtcm(), chunks)
            assert got == []
            assert decoder.last() == frames
            assert (decoder.eof(), decoder.skipped) == (tail, 1)
            assert decoder.last() == []
            assert decoder.eof() == tail


def test_at_the_end_an_unfinished_frame_is_the_tail() -> None:
    for tail in (b"", b"\xd3\3\xffabc\xd3", b"\xd3\0\7\xd3\0\0\0"):
        _, decoder = decode(rtcm(), [tail])
        assert (decoder.last(), decoder.eof(), decoder.skipped) == ([], tail, 0)
    _, decoder = decode(rtcm("close"), [b"\xd3\3\xff" + rtcm().encode([b"one"])[0]])
    assert decoder.last() == []
    decoder.feed(b"x" * 1100)
    assert decoder.fault is not None
    assert decoder.last() == []
