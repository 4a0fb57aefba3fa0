"""Sentences of NMEA 0183; what all framings have in common is tested elsewhere."""

from __future__ import annotations

import pytest

from nbclient.errors import BadFrame, FrameError, FrameTooLong, SpecError
from nbclient.framing import nmea
from tests.conformance.framing import decode, single

GPS = b"$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47\r\n"
AIS = b"!AIVDM,1,1,,B,177KQJ5000G?tO`K>RA1wUbN0TKH,0*5C\r\n"


def test_well_known_sentences_lose_their_checksum_and_get_it_back() -> None:
    frames = [image.partition(b"*")[0] for image in (GPS, AIS)]
    for chunks in ([GPS + AIS], single(GPS + AIS)):
        assert decode(nmea(), chunks)[0] == frames
    assert nmea().encode(frames) == [GPS, AIS]


def test_lf_alone_small_digits_and_empty_lines_are_taken() -> None:
    small = AIS.replace(b"*5C\r\n", b"*5c\n")
    got, decoder = decode(nmea(), [b"\r\n", small, b"\n\r\n", small])
    assert got == [AIS[:-5]] * 2
    assert decoder.skipped == 0
    assert decoder.eof() == b""


def test_a_tag_block_stays_with_its_sentence() -> None:
    """It holds the time and the source, which nothing else does."""
    tagged = b"\\s:rORBCOMM,c:1426032000*5E\\" + AIS
    assert decode(nmea(), [tagged])[0] == [tagged.partition(b",0*")[0] + b",0"]
    assert nmea().encode([tagged.rpartition(b"*")[0]]) == [tagged]


def test_a_sentence_without_checksum_is_a_matter_of_choice() -> None:
    _, decoder = decode(nmea(), [b"$GPGLL,1\r\n"])
    assert isinstance(decoder.fault, BadFrame)
    assert decoder.fault.found == b""
    assert decode(nmea(optional=True), [b"$GPGLL,1\r\n" + GPS])[0] == [b"$GPGLL,1", GPS[:-5]]
    _, decoder = decode(nmea(optional=True), [b"$GPGLL,1*00\r\n"])
    assert "expected the checksum" in str(decoder.fault)
    assert nmea(optional=True).encode([GPS[:-5]]) == [GPS]


def test_noise_and_bad_sentences_are_skipped_on_request() -> None:
    stream = (
        b"# a receiver\r\n\r\n" + GPS + b"$GPGLL,1*00\r\n" + AIS + b"noise\r\n$broken*\r\n" + GPS
    )
    for chunks in ([stream], single(stream)):
        got, decoder = decode(nmea(on_bad_frame="skip"), chunks)
        assert got == [GPS[:-5], AIS[:-5], GPS[:-5]]
        assert decoder.skipped == 4


def test_a_sentence_that_broke_off_does_not_take_the_next_with_it() -> None:
    """A serial line loses bytes, the end of a line among them."""
    got, decoder = decode(
        nmea(on_bad_frame="skip"), [b"$GPGLL,49" + GPS + b"$GPG!AIV*00\r\n" + AIS]
    )
    assert got == [GPS[:-5], AIS[:-5]]
    assert decoder.skipped == 2


def test_a_good_sentence_inside_noise_over_the_limit_is_found() -> None:
    """A serial line at another speed: no line feed for a long time, then all is well."""
    recipe = nmea(90, on_bad_frame="skip")
    for noise in (b"$" + b"\xff" * 200, b"$!" * 100, b"\\" * 91, b"$" + b"x" * 90):
        stream = GPS + noise + GPS + noise + b"\n" + AIS
        for chunks in ([stream], single(stream), [stream[:150], stream[150:]]):
            got, decoder = decode(recipe, chunks)
            assert got == [GPS[:-5], GPS[:-5], AIS[:-5]]
            assert decoder.skipped == 2


def test_of_two_sentences_in_one_line_the_last_good_one_is_taken() -> None:
    recipe = nmea(on_bad_frame="skip")
    tagged = b"\\s:a*00\\" + AIS
    assert decode(recipe, [b"$GPGLL,4!" + tagged])[0] == [tagged[:-5]]
    assert decode(recipe, [b"$GP!x" + GPS])[0] == [GPS[:-5]]


def test_some_modems_end_a_sentence_in_cr_cr_lf() -> None:
    stream = GPS.replace(b"\r\n", b"\r\r\n") * 2
    for chunks in ([stream], single(stream)):
        got, decoder = decode(nmea(len(GPS) - 5), chunks)
        assert got == [GPS[:-5]] * 2
        assert decoder.skipped == 0
        assert decoder.fault is None


def test_text_behind_the_checksum_is_kept_and_so_is_the_checksum() -> None:
    """As receivers of the US Coast Guard have it: their name, the time."""
    frame = AIS[:-2] + b",b003669999,1700000000"
    for chunks in ([frame + b"\r\n" + AIS], single(frame + b"\r\n" + AIS)):
        assert decode(nmea(), chunks)[0] == [frame, AIS[:-5]]
    assert nmea().encode([frame]) == [frame + b"\r\n"]
    with pytest.raises(FrameError, match="the checksum of the sentence is wrong: expected the"):
        nmea().encode([frame.replace(b"*5C", b"*5D")])


def test_other_text_behind_the_checksum_is_none_of_the_sentence() -> None:
    _, decoder = decode(nmea(), [GPS[:-2] + b" text\r\n"])
    assert isinstance(decoder.fault, BadFrame)


def test_the_limit_is_that_of_the_sentence_without_checksum() -> None:
    assert decode(nmea(len(GPS) - 5), [GPS])[0] == [GPS[:-5]]
    for chunks in ([GPS], single(GPS)):
        _, decoder = decode(nmea(len(GPS) - 6), chunks)
        assert isinstance(decoder.fault, FrameTooLong)
        assert decoder.fault.limit == len(GPS) - 6


def test_without_a_checksum_there_is_no_room_for_more_sentence() -> None:
    _, decoder = decode(nmea(5, optional=True), [b"$GPGLL\n"])
    assert isinstance(decoder.fault, FrameTooLong)
    assert decoder.fault.size == 6


@pytest.mark.parametrize("frame", [b"", b"GPGLL", b"$a*b", b"$a\n", b"!a\r", b"\\s:x$GP"])
def test_what_is_no_sentence_is_refused(frame: bytes) -> None:
    for ask in (nmea().encode, nmea().check):
        with pytest.raises(FrameError, match=r"a sentence begins with \$ or !"):
            ask([b"$good", frame])


def test_nmea_is_a_value_and_refuses_nonsense() -> None:
    assert [str(nmea()), str(nmea(optional=True))] == ["nmea", "nmea,checksum=optional"]
    assert nmea() == nmea() != nmea(optional=True)
    with pytest.raises(SpecError, match="max_frame"):
        nmea(0)
    with pytest.raises(SpecError, match="on_bad_frame"):
        nmea(on_bad_frame="drop")
    with pytest.raises(FrameError, match="over the limit of 3"):
        nmea(3).encode([b"$abc"])
