"""SLIP: frames that end with a byte which is escaped inside them (RFC 1055)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from attrs import frozen

from nbclient.errors import BadFrame, FrameError
from nbclient.framing.base import AROUND, MAX_FRAME, Decoder, Framing
from nbclient.framing.delimited import check_limits, check_size
from nbclient.framing.marked import MarkedDecoder

END, ESC = b"\xc0", b"\xdb"
ESCAPED_END, ESCAPED_ESC = b"\xdb\xdc", b"\xdb\xdd"

_BEGINNING = re.compile(rb"[^\xc0]")
_WRONG = re.compile(rb"\xdb(?![\xdc\xdd])")


def slip(max_frame: int = MAX_FRAME, on_bad_frame: str = "close") -> Framing:
    """Packets as on a serial line (RFC 1055): END behind each, END and ESC escaped inside.

    An END is sent before each packet too, as the RFC advises; between two
    packets any number of them is taken. There are no empty packets. An escape
    that the RFC does not define is a fault, where its sample code lets it pass.

    :param max_frame: the longest packet accepted, bytes without its escapes; on the
        wire it may be twice as long, and no more than that is ever held.
    :param on_bad_frame: ``close`` poisons the stream at a fault, ``skip``
        passes over the packet, up to its END.
    :raises SpecError: if an argument is out of range.
    """
    return Slip(max_frame, on_bad_frame)


@frozen(slots=False)
class Slip(Framing):
    """The recipe behind `slip`."""

    max_frame: int = MAX_FRAME
    on_bad_frame: str = "close"

    def __attrs_post_init__(self) -> None:
        check_limits(self.max_frame, self.on_bad_frame)

    def __str__(self) -> str:
        return "slip"

    @property
    def most_held(self) -> int:
        return 2 * self.max_frame + AROUND

    def decoder(self) -> Decoder:
        return SlipDecoder(self.max_frame, self.on_bad_frame == "skip")

    def check(self, frames: Sequence[bytes]) -> None:
        for frame in frames:
            if not frame:
                raise FrameError("an empty frame cannot be sent by slip: nothing would arrive")
            check_size(frame, self.max_frame)

    def encode(self, frames: Sequence[bytes]) -> list[bytes]:
        self.check(frames)
        return [
            END + frame.replace(ESC, ESCAPED_ESC).replace(END, ESCAPED_END) + END
            for frame in frames
        ]


class SlipDecoder(MarkedDecoder):
    """Anything but END begins a packet."""

    quiet = END

    def __init__(self, limit: int, skip: bool) -> None:
        # What is held is measured, not what it may stand for: a byte takes at most two.
        super().__init__(mark=0, end=END, behind=0, most=limit, limit=limit, skip=skip, doubled=2)

    def _seek(self, data: bytes | bytearray, at: int, stop: int) -> int:
        match = _BEGINNING.search(data, at, stop)
        return match.start() if match else -1

    def _measure(self, data: bytes | bytearray, at: int, stop: int) -> int:
        # Each escape stands for one byte of two.
        return stop - at - data.count(ESC, at, stop)

    def _open(self, data: bytes, begin: int, stop: int) -> bytes:
        frame = data[begin:stop]
        if ESC not in frame:
            return frame
        wrong = _WRONG.search(frame)
        if wrong is not None:
            at = wrong.start()
            raise BadFrame("expected an escape of SLIP, DB DC or DB DD", frame[at : at + 2])
        return frame.replace(ESCAPED_END, END).replace(ESCAPED_ESC, ESC)
