"""SLIP; what all framings have in common is tested elsewhere."""

from __future__ import annotations

import pytest

from nbclient.errors import BadFrame, FrameError, SpecError
from nbclient.framing import slip
from tests.conformance.framing import decode, single


def test_end_and_escape_are_escaped_as_the_rfc_says() -> None:
    frame = b"a\xc0b\xdbc\xdcd\xdd"
    image = b"\xc0a\xdb\xdcb\xdb\xddc\xdcd\xdd\xc0"
    assert slip().encode([frame]) == [image]
    assert decode(slip(), single(image))[0] == [frame]


def test_any_number_of_ends_separates_packets_and_none_is_a_packet() -> None:
    got, decoder = decode(slip(), [b"\xc0\xc0\xc0one\xc0two\xc0\xc0", b"\xc0"])
    assert got == [b"one", b"two"]
    assert not decoder.begun
    assert decoder.eof() == b""


def test_the_limit_is_one_of_bytes_without_escapes() -> None:
    frame = b"\xc0\xdb" * 4
    assert decode(slip(8), single(slip().encode([frame])[0]))[0] == [frame]
    assert decode(slip(8), slip().encode([frame]))[0] == [frame]
    _, decoder = decode(slip(8), slip().encode([frame + b"x"]))
    assert str(decoder.fault) == "the frame has reached 9 bytes, more than the limit of 8"


@pytest.mark.parametrize("on_bad_frame", ["close", "skip"])
def test_escapes_that_escape_nothing_are_over_the_limit_too(on_bad_frame: str) -> None:
    """Each counted as half a byte of nothing, and a peer that sent no more was held for ever."""
    recipe = slip(8, on_bad_frame)
    decoder = recipe.decoder()
    decoder.feed(b"\xc0" + b"\xdb" * 16)
    assert (decoder.fault, decoder.skipped, len(decoder.eof())) == (None, 0, 16)
    decoder.feed(b"\xdb")
    if on_bad_frame == "close":
        assert str(decoder.fault) == "the frame has reached 9 bytes, more than the limit of 8"
        return
    assert (decoder.skipped, decoder.eof(), decoder.begun) == (1, b"", True)
    assert decoder.feed(b"\xdb" * 100 + b"\xc0ok\xc0") == [b"ok"]
    assert decoder.skipped == 1


@pytest.mark.parametrize("wrong", [b"\xdbx", b"\xdb", b"\xdb\xdb\xdc"])
def test_an_escape_that_the_rfc_does_not_define_is_a_fault(wrong: bytes) -> None:
    _, decoder = decode(slip(), [b"ab" + wrong + b"\xc0"])
    assert isinstance(decoder.fault, BadFrame)
    assert decoder.fault.found == wrong[:2]
    got, decoder = decode(slip(on_bad_frame="skip"), [b"ab" + wrong + b"\xc0ok\xc0"])
    assert got == [b"ok"]
    assert decoder.skipped == 1


def test_an_empty_packet_is_refused_for_nothing_of_it_would_arrive() -> None:
    for ask in (slip().encode, slip().check):
        with pytest.raises(FrameError, match="nothing would arrive"):
            ask([b"a", b""])


def test_slip_is_a_value_and_refuses_nonsense() -> None:
    assert str(slip()) == "slip"
    assert slip() == slip() != slip(5)
    with pytest.raises(SpecError, match="max_frame"):
        slip(0)
    with pytest.raises(SpecError, match="on_bad_frame"):
        slip(on_bad_frame="drop")
