"""Another framing of one's own: the messages of FIX, and of what is like it.

    python -m nbclient --framing fix:framing venue 9876

in the folder of this file. A message is ``8=FIX.4.4|9=LENGTH|35=...|10=SUM|``
with a byte 1 where the bars are. A frame here is what lies between: from
``35=`` to the last field before ``10=``, without the byte 1 behind it. Begin,
length and checksum (the sum of all bytes before ``10=``, modulo 256) are put
on, and verified and taken off.

It makes no FIX engine. That numbers every message (34), dates it (52), sends
it again when asked, and remembers all this over restarts.

The format: https://www.fixtrading.org/standards/tagvalue-online/
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from attrs import frozen

from nbclient.errors import BadFrame, FrameError, FrameTooLong
from nbclient.framing import Decoder, Framing

SOH = b"\x01"
_HEADER = re.compile(rb"8=FIX[^\x01]{0,12}\x019=([0-9]{1,7})\x01")
_HEADER_BEGUN = re.compile(rb"8=FIX[^\x01]{0,12}(?:\x01(?:9(?:=[0-9]{0,7})?)?)?")
_TRAILER_SIZE = len(b"10=123\x01")


def _sum(data: bytes | bytearray) -> bytes:
    return b"%03d" % (sum(data) % 256)


@frozen
class Fix(Framing):
    """Messages of FIX; `version` is what those we send begin with."""

    version: str = "FIX.4.4"
    max_frame = 65536

    def decoder(self) -> Decoder:
        return FixDecoder(self.max_frame)

    def encode(self, frames: Sequence[bytes]) -> list[bytes]:
        for frame in frames:
            if not frame.startswith(b"35=") or len(frame) > self.max_frame:
                raise FrameError("a message begins with its type, 35=, and is not endless")
        return [self._image(frame + SOH) for frame in frames]

    def _image(self, body: bytes) -> bytes:
        message = b"8=%b\x019=%d\x01%b" % (self.version.encode("ascii"), len(body), body)
        return b"%b10=%b\x01" % (message, _sum(message))


class FixDecoder(Decoder):
    """Collects bytes until the message that its header announces is there."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = bytearray()  # begins with a message
        self._lead = 0  # of the buffer: what was there before the latest chunk
        self._ends: list[int] = []  # where in it the messages of the latest chunk end

    def feed(self, data: bytes) -> list[bytes]:
        frames: list[bytes] = []
        if self.fault is not None:
            return frames
        self._lead, self._ends = len(self._buffer), []
        self._buffer += data
        at = 0
        while (found := self._message(at)) is not None:
            frame, at = found
            frames.append(frame)
            self._ends.append(at)
        del self._buffer[:at]
        if self.fault is not None:
            self.show_rejected(self.fault, self._buffer)
        return frames

    def eof(self) -> bytes:
        return bytes(self._buffer)

    def unread(self, data: bytes, frames: Sequence[bytes]) -> bytes:
        taken = len(self._ends) - len(frames)
        return data[self._ends[taken - 1] - self._lead :] if taken else self.eof()

    def _message(self, at: int) -> tuple[bytes, int] | None:
        """The frame of the message there, and its end; None if it is not whole, or bad."""
        header = _HEADER.match(self._buffer, at)
        if header is None:
            if not _may_begin(bytes(self._buffer[at : at + 32])):
                found = bytes(self._buffer[at : at + 64])
                self.fault = BadFrame("expected 8=FIX... and 9=LENGTH", found)
            return None
        body, size = header.end(), int(header[1])
        if size == 0:
            self.fault = BadFrame("expected a message that is not empty", header[0])
            return None
        if size - 1 > self._limit:  # the byte 1 at its end is not of the frame
            self.fault = FrameTooLong(self._limit, size - 1)
            return None
        trailer = body + size
        end = trailer + _TRAILER_SIZE
        if len(self._buffer) < end:
            return None
        found = bytes(self._buffer[trailer - 1 : end])
        expected = b"\x0110=" + _sum(self._buffer[at:trailer]) + SOH
        if found != expected:
            self.fault = BadFrame(f"expected {expected!r} at the end of the message", found)
            return None
        return bytes(self._buffer[body : trailer - 1]), end


def _may_begin(data: bytes) -> bool:
    """Whether this may become a message."""
    return b"8=FIX".startswith(data) or _HEADER_BEGUN.fullmatch(data) is not None


framing = Fix()
