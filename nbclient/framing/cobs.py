"""COBS: frames that end in a zero byte and hold none (Cheshire and Baker, 1999)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from attrs import frozen

from nbclient.errors import BadFrame, FrameTooLong
from nbclient.framing.base import MAX_FRAME, Decoder, Framing
from nbclient.framing.delimited import check_limits, check_size
from nbclient.framing.marked import MarkedDecoder

ZERO = b"\0"
_BEGINNING = re.compile(rb"[^\0]")

LONGEST_BLOCK = 254
"""Bytes between two codes."""


def cobs(max_frame: int = MAX_FRAME, on_bad_frame: str = "close") -> Framing:
    """Packets in consistent overhead byte stuffing, a zero byte behind each.

    What stands between two zero bytes is a packet; a second one after the first is nothing.
    Source: http://www.stuartcheshire.org/papers/COBSforToN.pdf

    :param max_frame: the longest packet accepted, bytes as handed over. On the wire
        it takes one byte more for each 254.
    :param on_bad_frame: ``close`` poisons the stream at a packet that ends inside a
        block; ``skip`` passes over that, and over one that is too long, up to its end.
    :raises SpecError: if an argument is out of range.
    """
    return Cobs(max_frame, on_bad_frame)


@frozen(slots=False)
class Cobs(Framing):
    """The recipe behind `cobs`."""

    max_frame: int = MAX_FRAME
    on_bad_frame: str = "close"

    def __attrs_post_init__(self) -> None:
        check_limits(self.max_frame, self.on_bad_frame)

    def __str__(self) -> str:
        return "cobs"

    @property
    def most_held(self) -> int:
        return super().most_held + self.max_frame // LONGEST_BLOCK

    def decoder(self) -> Decoder:
        return CobsDecoder(self.max_frame, self.on_bad_frame == "skip")

    def check(self, frames: Sequence[bytes]) -> None:
        for frame in frames:
            check_size(frame, self.max_frame)

    def encode(self, frames: Sequence[bytes]) -> list[bytes]:
        self.check(frames)
        return [stuffed(frame) + ZERO for frame in frames]


class CobsDecoder(MarkedDecoder):
    """Anything but zero begins a packet."""

    quiet = ZERO

    def __init__(self, limit: int, skip: bool) -> None:
        most = limit + limit // LONGEST_BLOCK + 1
        super().__init__(mark=0, end=ZERO, behind=0, most=most, limit=limit, skip=skip)

    def _seek(self, data: bytes | bytearray, at: int, stop: int) -> int:
        match = _BEGINNING.search(data, at, stop)
        return match.start() if match else -1

    def _open(self, data: bytes, begin: int, stop: int) -> bytes:
        frame = unstuffed(data[begin:stop])
        if len(frame) > self._limit:
            raise FrameTooLong(self._limit, len(frame))
        return frame


def stuffed(frame: bytes) -> bytes:
    """The frame without its zero bytes: a code before each block says how far the next is."""
    parts = []
    pieces = frame.split(ZERO)
    for number, piece in enumerate(pieces, 1):
        at, size = 0, len(piece)
        while size - at > LONGEST_BLOCK or (size - at == LONGEST_BLOCK and number < len(pieces)):
            parts.append(b"\xff" + piece[at : at + LONGEST_BLOCK])
            at += LONGEST_BLOCK
        parts.append(bytes([size - at + 1]) + piece[at:])
    return b"".join(parts)


def unstuffed(image: bytes) -> bytes:
    """The frame that an image without a zero byte stands for.

    :raises BadFrame: if it ends inside a block.
    """
    parts = []
    at, size = 0, len(image)
    while at < size:
        code = image[at]
        stop = at + code
        if stop > size:
            raise BadFrame(f"expected a block of {code - 1} bytes", image[at:])
        parts.append(image[at + 1 : stop])
        if code <= LONGEST_BLOCK and stop < size:
            parts.append(ZERO)
        at = stop
    return b"".join(parts)
