"""ASTM E1381; what all framings have in common is tested elsewhere."""

from __future__ import annotations

import pytest

from nbclient.errors import BadFrame, FrameError, FrameTooLong
from nbclient.framing import astm
from tests.conformance.framing import cut, decode, single

ACK, NAK, ENQ, EOT, ETB, ETX = b"\x06", b"\x15", b"\x05", b"\x04", b"\x17", b"\x03"


def frame(number: int, text: bytes, end: bytes = ETX) -> bytes:
    body = b"%d%b%b" % (number, text, end)
    return b"\x02%b%02X\r\n" % (body, sum(body) & 0xFF)


def received(
    *chunks: bytes, on_bad_frame: str = "skip", limit: int = 1000
) -> tuple[list[bytes], bytes, int]:
    """The texts, what was answered, and how much was skipped."""
    said: list[bytes] = []
    decoder = astm(limit, on_bad_frame).decoder()
    decoder.answer = said.append
    texts = [text for chunk in chunks for text in decoder.feed(chunk)]
    assert decoder.fault is None
    return texts, b"".join(said), decoder.skipped


def test_texts_are_joined_and_each_frame_is_acknowledged() -> None:
    stream = ENQ + frame(1, b"H|\\^&\r", ETB) + frame(2, b"P|1\r") + frame(3, b"L|1|N\r") + EOT
    for chunks in ([stream], single(stream), *(cut(stream, [n]) for n in range(len(stream)))):
        assert received(*chunks) == ([b"H|\\^&\rP|1\r", b"L|1|N\r"], ACK * 4, 0)


def test_a_bad_frame_is_refused_and_taken_when_it_comes_again() -> None:
    good = frame(2, b"P|1\r")
    bad = good.replace(b"P", b"Q")
    stream = ENQ + frame(1, b"H|\r", ETB) + bad + good + EOT
    assert received(stream) == ([b"H|\rP|1\r"], ACK * 2 + NAK + ACK, 1)
    _, decoder = decode(astm(), [stream])
    assert isinstance(decoder.fault, BadFrame)
    assert "expected the checksum" in str(decoder.fault)


def test_a_frame_sent_again_as_it_was_counts_once() -> None:
    """The instrument missed our answer."""
    one = frame(1, b"H|\r", ETB)
    stream = ENQ + one + one + frame(2, b"L|\r") * 2 + EOT
    assert received(stream) == ([b"H|\rL|\r"], ACK * 5, 0)
    assert received((ENQ + frame(1, b"same") + EOT) * 2)[0] == [b"same"] * 2


def test_a_text_of_which_something_is_missing_does_not_come_out() -> None:
    bad = frame(2, b"P|1\r", ETB).replace(b"P", b"Q")
    stream = ENQ + frame(1, b"H|\r", ETB) + bad + frame(3, b"O|1\r", ETB) + frame(4, b"L|\r")
    texts, said, skipped = received(stream + frame(5, b"next") + EOT)
    assert texts == [b"next"]
    assert said == ACK * 2 + NAK * 2 + ACK * 2
    assert skipped == 2


def test_the_first_frame_of_a_transmission_may_be_the_one_that_is_missing() -> None:
    bad = frame(1, b"H|\r", ETB).replace(b"H", b"Q")
    texts, _, skipped = received(ENQ + bad + frame(2, b"L|\r") + frame(3, b"next"))
    assert texts == [b"next"]
    assert skipped == 2
    # Without ENQ nobody knows what its number should have been.
    assert received(bad + frame(2, b"L|\r"))[0] == [b"L|\r"]


@pytest.mark.parametrize("end", [ENQ, EOT])
def test_a_text_that_is_not_finished_is_none(end: bytes) -> None:
    stream = ENQ + frame(1, b"H|\r", ETB) + end + frame(1, b"L|\r")
    texts, _, skipped = received(stream)
    assert (texts, skipped) == ([b"L|\r"], 1)
    _, decoder = decode(astm(), [stream])
    assert "expected the rest of a text" in str(decoder.fault)
    assert decoder.eof() == frame(1, b"H|\r", ETB) + end + frame(1, b"L|\r")


def test_frames_that_number_themselves_otherwise_are_taken() -> None:
    assert received(frame(0, b"a") + frame(5, b"b") + frame(7, b"c", ETB) + frame(0, b"d"))[0] == [
        b"a",
        b"b",
        b"cd",
    ]


def test_a_text_over_the_limit_is_passed_over_to_its_end() -> None:
    stream = (
        ENQ + frame(1, b"x" * 4, ETB) + frame(2, b"y" * 3, ETB) + frame(3, b"z") + frame(4, b"ok")
    )
    for chunks in ([stream], single(stream)):
        texts, _, skipped = received(*chunks, limit=6)
        assert (texts, skipped) == ([b"ok"], 1)
        _, decoder = decode(astm(6), chunks)
        assert isinstance(decoder.fault, FrameTooLong)
    stream = frame(1, b"x" * 99) + frame(2, b"ok")
    for chunks in ([stream], single(stream)):
        assert received(*chunks, limit=6)[::2] == ([b"ok"], 1)


def test_frames_without_text_do_not_fill_the_memory() -> None:
    many = b"".join(frame(n % 8, b"", ETB) for n in range(1, 99))
    decoder = astm(6, "skip").decoder()
    decoder.feed(ENQ + many)
    assert decoder.skipped == 1
    assert decoder.eof() == b""
    assert decoder.feed(frame(3, b"end") + frame(4, b"ok")) == [b"ok"]


def test_line_ends_within_a_text_do_not_fill_the_memory_either() -> None:
    decoder = astm(6, "skip").decoder()
    decoder.feed(ENQ + frame(1, b"a", ETB) + b"\r\n" * 999)
    assert len(decoder.eof()) <= astm(6).most_held


def test_astm_only_receives() -> None:
    assert not astm().sends
    assert astm().encode([]) == []
    with pytest.raises(FrameError, match="astm cannot send"):
        astm().encode([b"H|"])
    assert str(astm()) == "astm"
