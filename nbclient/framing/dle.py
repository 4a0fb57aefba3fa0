"""Frames between DLE STX and DLE ETX, in which each DLE is doubled."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from nbclient.errors import BadFrame, FrameTooLong, PeerError
from nbclient.framing.base import AROUND, MAX_FRAME, Decoder, Framing
from nbclient.framing.delimited import check_limits, check_size

DLE, STX, ETX = b"\x10", b"\x02", b"\x03"
START, END, DOUBLED = DLE + STX, DLE + ETX, DLE + DLE


def dle(max_frame: int = MAX_FRAME, on_bad_frame: str = "close") -> Framing:
    """Frames between DLE STX (0x10 0x02) and DLE ETX (0x10 0x03); a DLE inside is doubled.

    As binary protocols of serial lines have it (ANSI X3.28; the NGT-1 of NMEA 2000
    gateways). DLE STX inside a frame shows that it was torn: it begins anew there.

    :param max_frame: the longest frame accepted, bytes without the doubling.
    :param on_bad_frame: ``close`` poisons the stream at anything but a frame;
        ``skip`` passes over noise, a torn frame, DLE before any other byte, and a frame
        over the limit, up to the next DLE STX.
    :raises SpecError: if an argument is out of range.
    """
    return Dle(max_frame, on_bad_frame)


@frozen(slots=False)
class Dle(Framing):
    """The recipe behind `dle`."""

    max_frame: int = MAX_FRAME
    on_bad_frame: str = "close"

    def __attrs_post_init__(self) -> None:
        check_limits(self.max_frame, self.on_bad_frame)

    def __str__(self) -> str:
        return "dle"

    @property
    def most_held(self) -> int:
        # After a fault the frame begun is kept as it was received.
        return 2 * self.max_frame + AROUND

    def decoder(self) -> Decoder:
        return DleDecoder(self.max_frame, self.on_bad_frame == "skip")

    def check(self, frames: Sequence[bytes]) -> None:
        for frame in frames:
            check_size(frame, self.max_frame)

    def encode(self, frames: Sequence[bytes]) -> list[bytes]:
        self.check(frames)
        return [START + frame.replace(DLE, DOUBLED) + END for frame in frames]


class DleDecoder(Decoder):
    """Holds a frame without its doubling, which can be put back exactly."""

    def __init__(self, limit: int, skip: bool) -> None:
        self._limit = limit
        self._skip = skip
        self._inside = False
        self._noisy = False  # in a stretch of noise that was counted
        self._carry = bytearray()  # of the frame begun, each DLE once; after a fault, as received
        self._half = b""  # a DLE at the end of the chunk: what it means comes next
        self._after: list[int] = []  # bytes of the latest chunk behind each of its frames

    def feed(self, data: bytes) -> list[bytes]:
        frames: list[bytes] = []
        if self.fault is not None:
            return frames
        self._after = []
        if self._half:
            data = self._half + data
            self._half = b""
        at = 0
        while at < len(data):
            at = (self._to_end if self._inside else self._to_start)(data, at, frames)
        return frames

    def eof(self) -> bytes:
        return bytes(self._received()) + self._half

    def unread(self, data: bytes, frames: Sequence[bytes]) -> bytes:
        taken = len(self._after) - len(frames)
        return data[len(data) - self._after[taken - 1] :] if taken else self.eof()

    @property
    def begun(self) -> bool:
        return self._inside or bool(self._half or self._carry)

    def _to_start(self, data: bytes, at: int, frames: list[bytes]) -> int:
        """Pass over what stands before the next frame; return where its payload begins."""
        size = len(data)
        begin = self._seek(data, at)
        if begin == size - 1:
            self._half = DLE
        stray = data[at:begin]
        if stray and not self._noisy:
            error = BadFrame(f"expected a frame that begins with {START!r}", stray)
            if not self._skip:
                self._half = b""
                self._fail(error, data[at:])
                return size
            self._noisy = True
            self.pass_over(error, stray)
        if begin + len(START) > size:
            return size
        self._inside = True
        self._noisy = False
        return begin + len(START)

    def _seek(self, data: bytes, at: int) -> int:
        """Where the next frame begins, or may begin, or the end of the data."""
        # Of the rest of a frame: the second of two DLEs begins nothing.
        while True:
            begin = data.find(DLE, at)
            if begin < 0:
                return len(data)
            if data[begin + 1 : begin + 2] in (b"", STX):
                return begin
            at = begin + 2

    def _to_end(self, data: bytes, at: int, frames: list[bytes]) -> int:
        """Take payload up to the next DLE and see what it means; return where to go on."""
        size = len(data)
        stop = data.find(DLE, at)
        if stop < 0:
            stop = size
        if len(self._carry) + stop - at > self._limit:
            return self._too_long(data, at, stop)
        sign = data[stop : stop + 2]
        if sign == END and not self._carry:
            frames.append(data[at:stop])
        else:
            self._carry += data[at:stop]
            if len(sign) < 2:
                self._half = sign
                return size
            if sign == DOUBLED:
                if len(self._carry) == self._limit:
                    return self._too_long(data, stop, stop)
                self._carry += DLE
                return stop + 2
            if sign != END:
                return self._torn(data, stop)
            frames.append(bytes(self._carry))
        self._leave()
        self._after.append(size - stop - 2)
        return stop + 2

    def _leave(self) -> None:
        self._inside = False
        self._carry = bytearray()

    def _torn(self, data: bytes, at: int) -> int:
        """DLE before another byte: if that is STX, a frame begins anew."""
        error = BadFrame("expected DLE DLE or DLE ETX inside a frame", data[at : at + 2])
        return self._bad(error, data, at)

    def _too_long(self, data: bytes, at: int, stop: int) -> int:
        size = max(len(self._carry) + stop - at, self._limit + 1)
        return self._bad(FrameTooLong(self._limit, size), data, at)

    def _bad(self, error: PeerError, data: bytes, at: int) -> int:
        """The frame begun, of which ``data[at:]`` was not taken yet, is none."""
        self._carry = self._received()
        self._inside = False
        if not self._skip:
            self._fail(error, data[at:])
            return len(data)
        self.pass_over(error, self._carry)
        self._leave()
        self._noisy = True  # the rest of it was counted
        return at

    def _received(self) -> bytearray:
        """What is carried, as it was received."""
        if not self._inside:
            return self._carry
        image = self._carry.replace(DLE, DOUBLED)
        image[:0] = START
        return image

    def _fail(self, error: PeerError, data: bytes) -> None:
        self.fault = error
        self._carry += data
        self.show_rejected(error, self._carry)
