"""Telnet; what all framings have in common is tested elsewhere."""

from __future__ import annotations

import pytest

from nbclient.errors import FrameError, FrameTooLong, SpecError
from nbclient.framing import telnet
from tests.conformance.framing import cut, decode, single

GREETING = (
    b"\xff\xfb\x03\xff\xfd\x03\xff\xfb\x01\xff\xfe\x01\xff\xfd\x00\xff\xfb\x00"
    b"login ok\r\nT=\xff\xff21\r\x00next\r\n"
)


def answered(*chunks: bytes) -> tuple[list[bytes], bytes]:
    """The lines, and what was answered."""
    said: list[bytes] = []
    decoder = telnet().decoder()
    decoder.answer = said.append
    lines = [line for chunk in chunks for line in decoder.feed(chunk)]
    return lines, b"".join(said)


def test_options_are_refused_but_for_one_and_are_no_part_of_a_line() -> None:
    for chunks in ([GREETING], single(GREETING), *(cut(GREETING, [n]) for n in range(40))):
        lines, said = answered(*chunks)
        assert lines == [b"login ok", b"T=\xff21\rnext"]
        assert said == b"\xff\xfd\x03\xff\xfb\x03\xff\xfe\x01\xff\xfc\x00\xff\xfe\x00"


def test_each_is_answered_once_whatever_a_peer_does() -> None:
    """An answer to each would be a loop with a peer that does the same."""
    asked = b"\xff\xfd\x01\xff\xfb\x01"
    assert answered(asked * 1000)[1] == b"\xff\xfc\x01\xff\xfe\x01"
    assert answered(b"\xff\xfc\x01\xff\xfe\x01" * 9)[1] == b""


def test_without_somewhere_to_answer_commands_are_taken_out_all_the_same() -> None:
    assert decode(telnet(), [GREETING])[0] == [b"login ok", b"T=\xff21\rnext"]


def test_other_commands_and_subnegotiations_are_passed_over() -> None:
    stream = b"a\xff\xf1b\xff\xfa\x18\x01\r\n\xff\xff\xff\xf0c\xff\xf9\r\n"
    for chunks in ([stream], single(stream)):
        lines, said = answered(*chunks)
        assert (lines, said) == ([b"abc"], b"")


def test_a_cr_before_anything_else_is_part_of_the_line() -> None:
    assert answered(b"a\rb\r\r\nc\r\xff\xf1\n")[0] == [b"a\rb\r", b"c\r"]


def test_what_is_sent_is_written_as_the_rfc_says() -> None:
    assert telnet().encode([b"a\xffb\rc"]) == [b"a\xff\xffb\r\0c\r\n"]
    with pytest.raises(FrameError, match="cannot hold LF"):
        telnet().encode([b"a\nb"])
    with pytest.raises(FrameError, match="over the limit of 3"):
        telnet(3).encode([b"abcd"])


def test_the_limit_is_that_of_the_line_without_commands() -> None:
    image = b"ab\xff\xff\xff\xf1\r\0"
    assert decode(telnet(4), [image + b"\r\n"])[0] == [b"ab\xff\r"]
    for chunks in ([image + b"c\r\n"], single(image + b"c\r\n")):
        _, decoder = decode(telnet(4), chunks)
        assert isinstance(decoder.fault, FrameTooLong)
        assert decoder.eof().startswith(b"ab\xff\xff\r\0c")
        got, decoder = decode(telnet(4, "skip"), [*chunks, b"ok\n"])
        assert got == [b"ok"]
        assert decoder.skipped == 1


def test_telnet_is_a_value_and_refuses_nonsense() -> None:
    assert str(telnet()) == "telnet"
    assert telnet().answers
    with pytest.raises(SpecError, match="max_frame"):
        telnet(0)


def test_a_subnegotiation_without_an_end_is_a_line_over_the_limit() -> None:
    """Else the link is deaf for ever, and no limit says so."""
    stream = b"one\nab\xff\xff\r\0\xff\xfa\x18" + b"x" * 9 + b"\xff\xff" + b"y" * 9 + b"\r\nok\r\n"
    for chunks in ([stream], single(stream), *(cut(stream, [n]) for n in range(len(stream)))):
        got, decoder = decode(telnet(20), chunks)
        assert got == [b"one"]
        assert isinstance(decoder.fault, FrameTooLong)
        assert decoder.eof().startswith(b"ab\xff\xff\r\0\xff\xfa")
        got, decoder = decode(telnet(20, "skip"), chunks)
        assert (got, decoder.skipped, decoder.fault) == ([b"one", b"ok"], 1, None)
        got, decoder = decode(telnet(21), chunks)
        assert (got, decoder.begun) == ([b"one"], True)


def test_a_subnegotiation_inside_a_line_passed_over_counts_no_more() -> None:
    stream = b"abcd\xff\xfa" + b"x" * 9 + b"\nok\n"
    for chunks in ([stream], single(stream)):
        got, decoder = decode(telnet(3, "skip"), chunks)
        assert (got, decoder.skipped) == ([b"ok"], 1)


def test_an_option_is_answered_again_after_the_peer_took_it_back() -> None:
    will, wont, do, dont = (bytes([255, verb]) for verb in (251, 252, 253, 254))
    echo, ahead = b"\1", b"\3"
    assert answered((will + echo + wont + echo) * 3)[1] == (dont + echo) * 3
    assert answered((do + echo + dont + echo) * 3)[1] == (wont + echo) * 3
    # What was agreed on is answered when it ends, too.
    assert answered((will + ahead + wont + ahead) * 2)[1] == (do + ahead + dont + ahead) * 2
    assert answered(wont + ahead + dont + ahead)[1] == b""


def test_a_timing_mark_is_answered_each_time() -> None:
    """RFC 860: it is no state of the connection."""
    assert answered(b"\xff\xfd\x06x\r\n" * 3) == ([b"x"] * 3, b"\xff\xfc\x06" * 3)
    assert answered(b"\xff\xfb\x06" * 3)[1] == b"\xff\xfe\x06"
