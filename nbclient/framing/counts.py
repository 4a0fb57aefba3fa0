"""Frames behind a count of another kind: ``varint`` and ``digits:``."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from nbclient.errors import BadFrame, FrameError, FrameTooLong, SpecError
from nbclient.framing.base import AROUND, MAX_FRAME, Decoder, Framing, check_limit
from nbclient.framing.delimited import check_size
from nbclient.framing.prefixed import check_sizes
from nbclient.framing.sized import SizedDecoder

LONGEST_VARINT = 10
"""Bytes that a number of 64 bits takes at most."""

MOST_DIGITS = 18
"""More digits would only be zeros: no memory has room for what they say."""


def varint(max_frame: int = MAX_FRAME, offset: int = 0, keep_header: bool = False) -> Framing:
    """Frames behind their length in base 128, as Protocol Buffers delimit messages.

    Seven bits a byte, the lowest first, the top bit set in all bytes but the
    last. A length written in more bytes than it needs is accepted, as Protocol
    Buffers do, up to 10 bytes.

    :param max_frame: the longest frame accepted, bytes as handed over.
    :param offset: bytes before the length that are not looked at, as the first byte of
        an MQTT packet. They and the length are the header.
    :param keep_header: the header is part of the frame, received and sent; a frame
        to be sent must announce its own size rightly. Without it a header with an
        offset can be received but not sent.
    :raises SpecError: if `max_frame` is less than 1, or `offset` not 0 to `max_frame`.
    """
    return Varint(max_frame, offset, keep_header)


def digits(count: int, max_frame: int = MAX_FRAME) -> Framing:
    """Frames behind their length in `count` decimal digits of ASCII: ``0003abc``.

    :param max_frame: the longest frame accepted, bytes.
    :raises SpecError: if it is less than 1, or `count` not 1 to 18.
    """
    return Digits(count, max_frame)


@frozen(slots=False)
class Varint(Framing):
    """The recipe behind `varint`."""

    max_frame: int = MAX_FRAME
    offset: int = 0
    keep_header: bool = False

    def __attrs_post_init__(self) -> None:
        check_limit(self.max_frame)
        if not 0 <= self.offset <= self.max_frame:
            raise SpecError(
                f"the offset of a varint is 0 to {self.max_frame} bytes (max_frame),"
                f" not {self.offset}"
            )

    def __str__(self) -> str:
        offset = f",offset={self.offset}" if self.offset else ""
        return "varint" + offset + (",keep-header" if self.keep_header else "")

    @property
    def sends(self) -> bool:
        return self.keep_header or not self.offset

    @property
    def most_held(self) -> int:
        return self.max_frame + self.offset + AROUND

    def decoder(self) -> Decoder:
        return VarintDecoder(self.max_frame, self.offset, self.keep_header)

    def check(self, frames: Sequence[bytes]) -> None:
        if not self.sends:
            raise FrameError(f"{self} cannot send: the bytes before the length are not known")
        if not self.keep_header:
            check_sizes(frames, 0, self.max_frame)
            return
        for frame in frames:
            check_size(frame, self.max_frame)
            if self.decoder().feed(frame) != [frame]:
                raise FrameError(f"a frame of {len(frame)} bytes has another size in its header")

    def encode(self, frames: Sequence[bytes]) -> list[bytes]:
        self.check(frames)
        if self.keep_header:
            return list(frames)
        return [_varint(len(frame)) + frame for frame in frames]


def _varint(number: int) -> bytes:
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups.append(number)
    return bytes(groups)


class VarintDecoder(SizedDecoder):
    """Remembers what the frames of a chunk took: their lengths may be written in several ways."""

    def __init__(self, limit: int, offset: int, keep_header: bool) -> None:
        super().__init__()
        self._limit = limit
        self._offset = offset
        self._keep_header = keep_header
        self._images: list[int] = []  # their sizes, of the frames of the latest chunk

    def feed(self, data: bytes) -> list[bytes]:
        self._images = []
        return super().feed(data)

    def _scan(self, data: bytes, at: int, frames: list[bytes]) -> int:
        limit, offset, keep_header = self._limit, self._offset, self._keep_header
        end = len(data)
        while at < end:
            field = at + offset
            if field >= end:
                self._need = offset + 1
                break
            size, start = data[field], field + 1
            if size > 0x7F:
                size, start = self._long(data, field)
                if not start:
                    break
            stop = start + size
            begin = at if keep_header else start
            if stop - begin > limit:
                self.fault = FrameTooLong(limit, stop - begin, declared=True)
                break
            if stop > end:
                self._need = stop - at
                break
            frames.append(data[begin:stop])
            self._images.append(stop - at)
            at = stop
        return at

    def _long(self, data: bytes, at: int) -> tuple[int, int]:
        """A length of several bytes and where the frame begins; zeros for none, or a fault."""
        field = data[at : at + LONGEST_VARINT]
        size = 0
        for number, byte in enumerate(field):
            size |= (byte & 0x7F) << 7 * number
            if byte < 0x80:
                return size, at + number + 1
        if len(field) == LONGEST_VARINT:
            self.fault = BadFrame(f"expected a length of at most {LONGEST_VARINT} bytes", field)
        else:
            self._need = self._offset + len(field) + 1
        return 0, 0

    def _wire_size(self, frames: Sequence[bytes]) -> int:
        return sum(self._images[len(self._images) - len(frames) :])


@frozen(slots=False)
class Digits(Framing):
    """The recipe behind `digits`."""

    count: int
    max_frame: int = MAX_FRAME

    def __attrs_post_init__(self) -> None:
        check_limit(self.max_frame)
        if not 1 <= self.count <= MOST_DIGITS:
            raise SpecError(f"a length has 1 to {MOST_DIGITS} digits, not {self.count}")

    def __str__(self) -> str:
        return f"digits:{self.count}"

    def decoder(self) -> Decoder:
        return PaddedDecoder(self.count, self.max_frame)

    def check(self, frames: Sequence[bytes]) -> None:
        check_sizes(frames, 0, min(self.max_frame, 10**self.count - 1))

    def encode(self, frames: Sequence[bytes]) -> list[bytes]:
        self.check(frames)
        return [b"%0*d%b" % (self.count, len(frame), frame) for frame in frames]


class PaddedDecoder(SizedDecoder):
    """Digits, always as many, then the frame."""

    def __init__(self, count: int, limit: int) -> None:
        super().__init__()
        self._count = count
        self._limit = limit

    def _scan(self, data: bytes, at: int, frames: list[bytes]) -> int:
        count, limit = self._count, self._limit
        end = len(data)
        while at + count <= end:
            start = at + count
            field = data[at:start]
            if not field.isdigit():
                self.fault = BadFrame(f"expected a length of {count} digits", field)
                return at
            size = int(field)
            if size > limit:
                self.fault = FrameTooLong(limit, size, declared=True)
                return at
            if start + size > end:
                self._need = count + size
                return at
            frames.append(data[start : start + size])
            at = start + size
        self._need = count
        return at

    def _wire_size(self, frames: Sequence[bytes]) -> int:
        return sum(map(len, frames)) + self._count * len(frames)
