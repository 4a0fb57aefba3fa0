"""What the contract itself provides, and the public names."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from nbclient import framing
from nbclient.errors import FrameError
from nbclient.framing import Decoder, Framing


class Keeping(Decoder):
    """Never finds a frame."""

    def __init__(self) -> None:
        self.kept = b""

    def feed(self, data: bytes) -> list[bytes]:
        self.kept += data
        return []

    def eof(self) -> bytes:
        return self.kept

    def unread(self, data: bytes, frames: Sequence[bytes]) -> bytes:
        return self.kept


class Refusing(Framing):
    max_frame = 1

    def decoder(self) -> Decoder:
        return Keeping()

    def encode(self, frames: Sequence[bytes]) -> list[bytes]:
        raise FrameError("never")


def test_a_frame_has_begun_where_a_tail_is_left() -> None:
    """The default, for framings that know nothing cheaper."""
    decoder = Refusing().decoder()
    assert not decoder.begun
    decoder.feed(b"x")
    assert decoder.begun


def test_check_raises_what_encode_raises() -> None:
    """The default, for framings that know nothing cheaper."""
    with pytest.raises(FrameError, match="never"):
        Refusing().check([b"x"])


def test_a_framing_is_no_line_unless_it_says_so() -> None:
    assert not Refusing().line_like


def test_a_framing_sends_unless_it_says_otherwise() -> None:
    """One of a user's own that knows nothing of the question counts as sending."""
    assert Refusing().sends


def test_a_fresh_decoder_has_nothing_to_complain_of() -> None:
    decoder = Refusing().decoder()
    assert decoder.fault is None
    assert decoder.skipped == 0


def test_the_public_names_are_these() -> None:
    assert framing.__all__ == [
        "MAX_FRAME",
        "Decoder",
        "Framing",
        "astm",
        "between",
        "cobs",
        "crlf",
        "delimiter",
        "digits",
        "dle",
        "fixed",
        "headers",
        "json",
        "length",
        "lines",
        "mllp",
        "named",
        "netstring",
        "nmea",
        "octet_counted",
        "pair",
        "raw",
        "slip",
        "stomp",
        "stx_etx",
        "telnet",
        "varint",
    ]
    assert framing.MAX_FRAME == 1024 * 1024
