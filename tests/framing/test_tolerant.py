"""Octet-counted messages as senders really send them; see also the conformance suite."""

from __future__ import annotations

import pytest

from nbclient.errors import BadFrame, FrameTooLong
from nbclient.framing import octet_counted
from tests.conformance.framing import cut, decode, single

TOLERANT = octet_counted(tolerant=True)


def test_counted_or_not_with_a_line_feed_or_not() -> None:
    """As rsyslog's imtcp takes them."""
    stream = b"5 <1>a\n4 <2>b4 <3>c\n\n<4>no count\n6 <5>d\n5\n<6>\r\n"
    for chunks in ([stream], single(stream), *(cut(stream, [n]) for n in range(len(stream)))):
        got, decoder = decode(TOLERANT, chunks)
        assert got == [b"<1>a\n", b"<2>b", b"<3>c", b"<4>no count", b"<5>d\n5", b"<6>\r"]
        assert (decoder.fault, decoder.begun, decoder.skipped) == (None, False, 0)


def test_cr_lf_behind_a_message_is_no_message() -> None:
    stream = b"5 <1>a\n\r\n4 <2>b\r\n\r\n<3>line\r\n\r\n4 <4>c\r\nx\n"
    for chunks in ([stream], single(stream), *(cut(stream, [n]) for n in range(len(stream)))):
        got, decoder = decode(TOLERANT, chunks)
        assert got == [b"<1>a\n", b"<2>b", b"<3>line\r", b"<4>c", b"x"]
        assert (decoder.fault, decoder.begun, decoder.skipped) == (None, False, 0)
    assert decode(TOLERANT, [b"\rx\n1 \r\n"])[0] == [b"\rx", b"\r"]


def test_strictly_a_line_feed_behind_a_message_is_a_fault() -> None:
    _, decoder = decode(octet_counted(), [b"4 <1>a\n4 <2>b"])
    assert isinstance(decoder.fault, BadFrame)


@pytest.mark.parametrize("wrong", [b"12: x", b"0 ", b"03 abc", b"2026-11-28 line\n"])
def test_what_begins_with_a_digit_is_a_count(wrong: bytes) -> None:
    for chunks in ([b"<1>a\n" + wrong], single(b"<1>a\n" + wrong)):
        got, decoder = decode(TOLERANT, chunks)
        assert got == [b"<1>a"]
        assert isinstance(decoder.fault, BadFrame)


@pytest.mark.parametrize("wrong", [b"6 abcdef", b"99999", b"<12345\n"])
def test_both_kinds_have_the_limit(wrong: bytes) -> None:
    for chunks in ([wrong], single(wrong)):
        _, decoder = decode(octet_counted(5, tolerant=True), chunks)
        assert isinstance(decoder.fault, FrameTooLong)
        assert decoder.fault.limit == 5
    assert decode(octet_counted(5, tolerant=True), [b"<1234\n5 abcde"])[0] == [b"<1234", b"abcde"]


def test_what_is_sent_is_counted() -> None:
    assert TOLERANT.encode([b"<1>a"]) == [b"4 <1>a"]
    assert str(TOLERANT) == "octet-counted,tolerant"
    assert octet_counted() != TOLERANT
