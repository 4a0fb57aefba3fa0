"""Checksums: what the catalogue and the manuals of devices say they are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbclient.errors import SpecError
from nbclient.framing import Framing, between, fixed, length
from nbclient.framing.checksums import CHECKSUMS, checksum_named
from tests.conformance.framing import decode

CHECK = {
    "xor": 0x31,
    "sum8": 0xDD,
    "sum7": 0x23,
    "lrc": 0x23,
    "crc8": 0xF4,  # CRC-8/SMBUS
    "crc8-maxim": 0xA1,  # CRC-8/MAXIM-DOW
    "crc16-modbus": 0x4B37,  # CRC-16/MODBUS
    "crc16-arc": 0xBB3D,  # CRC-16/ARC
    "crc16-ccitt": 0x29B1,  # CRC-16/IBM-3740
    "crc16-xmodem": 0x31C3,  # CRC-16/XMODEM
    "crc16-kermit": 0x2189,  # CRC-16/KERMIT
    "crc16-x25": 0x906E,  # CRC-16/IBM-SDLC
    "crc24q": 0xCDE703,  # CRC-24/LTE-A
    "fletcher8": 0x15DD,
    "crc32": 0xCBF43926,  # CRC-32/ISO-HDLC
    "crc32c": 0xE3069283,  # CRC-32/ISCSI
    "nmea": 0x31,
}
HIGH_FIRST = ("crc16-ccitt", "crc16-xmodem", "crc24q")


def test_every_checksum_has_its_check_value_here() -> None:
    assert set(CHECK) == set(CHECKSUMS)


@pytest.mark.parametrize("name", [name for name in CHECK if name != "nmea"])
def test_the_check_value_is_the_catalogues(name: str) -> None:
    """What the nine bytes give, in the order in which it is sent."""
    plain, digits = checksum_named(name), checksum_named(f"{name}-hex")
    value, size = CHECK[name], plain.size
    order = "big" if name in HIGH_FIRST else "little"
    assert plain.image(b"123456789") == value.to_bytes(size, order)  # type: ignore[arg-type]
    assert checksum_named(f"{name}-be").image(b"123456789") == value.to_bytes(size, "big")
    assert checksum_named(f"{name}-le").image(b"123456789") == value.to_bytes(size, "little")
    assert digits.image(b"123456789") == f"{value:0{2 * size}X}".encode()
    assert digits.size == 2 * size


@given(st.binary(max_size=300))
def test_exclusive_or_folded_in_halves_is_exclusive_or(data: bytes) -> None:
    expected = 0
    for byte in data:
        expected ^= byte
    assert checksum_named("xor").image(data) == bytes([expected])


def test_digits_are_taken_in_either_case_and_sent_in_capitals() -> None:
    checksum = checksum_named("xor-hex")
    assert checksum.image(b"\xab") == b"AB"
    assert checksum.fault(b"\xab", b"Ab") is None
    fault = checksum.fault(b"\xab", b"AC")
    assert fault is not None
    assert str(fault) == "expected the checksum b'AB' (xor-hex), but the peer sent b'AC'"


def test_a_binary_checksum_has_no_case() -> None:
    """0x61 and 0x41 are the letter a in its two forms."""
    assert checksum_named("xor").fault(b"A", b"A") is None
    assert checksum_named("xor").fault(b"A", b"a") is not None


@pytest.mark.parametrize("name", ["md5", "", "xor-", "-hex", "hex", "xor-HEX", "nmea-hex"])
def test_an_unknown_checksum_is_named_with_those_there_are(name: str) -> None:
    with pytest.raises(SpecError, match=r"; there are xor, sum8, .*with -hex, -le or -be"):
        checksum_named(name)


@pytest.mark.parametrize(
    ("recipe", "image", "frame"),
    [
        # Agilent TwisTorr 305-IC, user manual: start and stop of the pump
        (
            between(b"\x02", b"\x03", checksum="xor-hex", over="end"),
            b"\x02\x80000" + b"11\x03" + b"B3",
            b"\x80000" + b"11",
        ),
        # Berg UBN 3080, manual: exclusive or of all from STX to ETX
        (
            between(b"\x02", b"\x03", checksum="xor", over="frame"),
            b"\x02E000\x03\x74",
            b"E000",
        ),
        # Modbus RTU: read one register of unit 17 (Modbus over serial line, 2.5.1)
        (
            fixed(8, checksum="crc16-modbus"),
            b"\x11\x03\x00\x6b\x00\x03\x76\x87",
            b"\x11\x03\x00\x6b\x00\x03",
        ),
    ],
    ids=["agilent", "berg", "modbus"],
)
def test_frames_of_real_devices_are_understood_and_made(
    recipe: Framing, image: bytes, frame: bytes
) -> None:
    assert decode(recipe, [image])[0] == [frame]
    assert recipe.encode([frame]) == [image]


def test_a_toledo_scale_sums_seven_bits_of_everything_before() -> None:
    """The sum with its checksum is then zero in its seven low bits."""
    recipe = between(b"\x02", b"\r", checksum="sum7", over="frame")
    weight = b"*0 " + b"001234000000"
    (image,) = recipe.encode([weight])
    assert image == b"\x02" + weight + b"\r" + image[-1:]
    assert sum(image) % 128 == 0
    assert image[-1] < 128
    assert decode(recipe, [image])[0] == [weight]


def test_a_length_says_how_many_bytes_the_checksum_has_too() -> None:
    crc = checksum_named("crc16-ccitt").image
    assert length(2, checksum="crc16-ccitt").encode([b"abc"]) == [b"\0\5abc" + crc(b"abc")]
    assert length(2, adjust=2, checksum="crc16-ccitt").encode([b"abc"]) == [
        b"\0\3abc" + crc(b"abc")
    ]
    assert length(2, checksum="crc16-ccitt", over="frame").encode([b"abc"]) == [
        b"\0\5abc" + crc(b"\0\5abc")
    ]


def test_a_header_that_is_kept_is_covered_in_any_case() -> None:
    crc = checksum_named("crc16-modbus").image
    for over in ("payload", "frame"):
        recipe = length(1, keep_header=True, checksum="crc16-modbus", over=over)
        (image,) = recipe.encode([b"\x05abc"])
        assert image == b"\x05abc" + crc(b"\x05abc")
        assert decode(recipe, [image])[0] == [b"\x05abc"]


@pytest.mark.parametrize(
    ("recipe", "text"),
    [
        (fixed(8, checksum="crc32"), "fixed:8,checksum=crc32"),
        (length(2, checksum="lrc"), "length:2,checksum=lrc"),
        (length(2, checksum="lrc", over="frame"), "length:2,checksum=lrc,over=frame"),
    ],
)
def test_a_framing_shows_its_checksum(recipe: object, text: str) -> None:
    assert str(recipe) == text


def test_a_fixed_frame_needs_room_beside_its_checksum() -> None:
    with pytest.raises(SpecError, match=r"a fixed frame has 1 to 1048576 bytes .*, not 0"):
        fixed(2, checksum="crc16-modbus")


def test_a_wrong_checksum_hides_what_follows_it() -> None:
    """A later fault in the same chunk is not the one to be told."""
    recipe = length(1, max_frame=9, checksum="xor")
    _, decoder = decode(recipe, [b"\x02a!" + b"\xff"])
    assert "checksum" in str(decoder.fault)
    assert decoder.eof() == b"\x02a!\xff"
