"""Whoever wants to see the offending bytes is shown them, and no more than a bound."""

from __future__ import annotations

import pytest

from nbclient import framing
from nbclient.errors import PeerError
from nbclient.framing import Framing
from nbclient.framing.base import SHOWN_REJECTED

SKIP = "skip"
TOO_LONG, BAD = "FrameTooLong", "BadFrame"


def rejected(recipe: Framing, *chunks: bytes) -> list[tuple[bytes, str]]:
    """What is shown, with the class of what is wrong."""
    shown: list[tuple[bytes, str]] = []

    def show(data: bytes, error: PeerError) -> None:
        assert type(data) is bytes
        shown.append((data, type(error).__name__))

    decoder = recipe.decoder()
    decoder.rejected = show
    for chunk in chunks:
        decoder.feed(chunk)
    assert len(shown) == decoder.skipped + (decoder.fault is not None)
    return shown


@pytest.mark.parametrize(
    ("recipe", "chunks", "shown"),
    [
        (framing.lines(3), [b"ok\nlong\nx\n"], [(b"long\nx\n", TOO_LONG)]),
        (framing.lines(3), [b"long", b"er"], [(b"long", TOO_LONG)]),
        (framing.crlf(3), [b"lo", b"nge\r"], [(b"longe\r", TOO_LONG)]),
        (
            framing.lines(3, SKIP),
            [b"long\nok\nagain\n"],
            [(b"long", TOO_LONG), (b"again", TOO_LONG)],
        ),
        (framing.lines(3, SKIP), [b"lo", b"nger", b"still\n"], [(b"longer", TOO_LONG)]),
        (framing.netstring(), [b"1:a,x", b"y"], [(b"x", BAD)]),
        (framing.length(1, max_frame=5), [b"\x01a\x09"], [(b"\x09", TOO_LONG)]),
        (framing.fixed(2, checksum="xor"), [b"aaab"], [(b"ab", BAD)]),
        (framing.varint(5), [b"\x09more"], [(b"\x09more", TOO_LONG)]),
        (framing.stx_etx(), [b"x\x02"], [(b"x\x02", BAD)]),
        (framing.stx_etx("xor"), [b"\x02a", b"\x03b", b"c"], [(b"\x02a\x03b", BAD)]),
        (framing.stx_etx("xor"), [b"\x02a\x03bc"], [(b"\x02a\x03bc", BAD)]),
        (framing.stx_etx(max_frame=2), [b"\x02a", b"bc\x03d"], [(b"\x02abc\x03d", TOO_LONG)]),
        (
            framing.stx_etx("xor", on_bad_frame=SKIP),
            [b"no", b"ise\x02a\x03b\x02"],
            [(b"no", BAD), (b"\x02a\x03b", BAD)],
        ),
        (
            framing.stx_etx("xor", on_bad_frame=SKIP),
            [b"\x02a", b"\x03b\x02"],
            [(b"\x02a\x03b", BAD)],
        ),
        (
            framing.stx_etx(max_frame=2, on_bad_frame=SKIP),
            [b"\x02ab", b"c", b"d\x03"],
            [(b"\x02abc", TOO_LONG)],
        ),
        (framing.slip(on_bad_frame=SKIP), [b"a\xdbb\xc0"], [(b"a\xdbb\xc0", BAD)]),
        (framing.nmea(on_bad_frame=SKIP), [b"$GP$A*41\n$x\n"], [(b"$GP", BAD), (b"$x\n", BAD)]),
        (framing.json(), [b"[1]tru", b"x []"], [(b"trux []", BAD)]),
    ],
)
def test_the_offending_bytes_are_shown_with_what_is_wrong(
    recipe: Framing, chunks: list[bytes], shown: list[tuple[bytes, str]]
) -> None:
    assert rejected(recipe, *chunks) == shown


def test_no_more_than_a_bound_is_shown() -> None:
    ((data, _),) = rejected(framing.lines(), b"x" * (framing.MAX_FRAME + 1))
    assert data == b"x" * SHOWN_REJECTED


def test_nobody_has_to_look() -> None:
    decoder = framing.stx_etx(on_bad_frame=SKIP).decoder()
    assert decoder.feed(b"noise\x02a\x03") == [b"a"]
    assert decoder.skipped == 1
