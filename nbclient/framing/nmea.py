"""Sentences of NMEA 0183 and AIS: ``$GPGLL,…*1D`` and ``!AIVDM,…*5C``."""

from __future__ import annotations

import re
from collections.abc import Sequence

from attrs import frozen

from nbclient.errors import BadFrame, FrameError, FrameTooLong, PeerError
from nbclient.framing.base import MAX_FRAME, Decoder, Framing
from nbclient.framing.checksums import checksum_named
from nbclient.framing.delimited import check_limits, check_size
from nbclient.framing.marked import MarkedDecoder

_BEGINNING = re.compile(rb"[$!\\]")
# A TAG block of NMEA 4.0 (with a checksum of its own), then the sentence.
_FRAME = rb"((?:\\[^\\\r\n]*\\)?[$!])([^*\r\n]*)"
_SENDABLE = re.compile(_FRAME)
_LINE = re.compile(_FRAME + rb"(?:\*(.{2}))?\r?", re.DOTALL)
_AROUND = len(b"*HH\r")


def nmea(
    max_frame: int = MAX_FRAME, on_bad_frame: str = "close", optional: bool = False
) -> Framing:
    """Sentences that begin with ``$`` or ``!`` and end with ``*``, a checksum and CR LF.

    A frame is the sentence from ``$`` or ``!`` up to before the ``*``. The
    checksum (exclusive or of what is between the two) is verified and taken
    off, and put on. A TAG block (``\\s:…*HH\\``) before the sentence stays part
    of the frame, and is not looked into. LF alone ends a sentence too; empty
    lines are nothing.

    :param max_frame: the longest frame accepted, bytes. NMEA's own limit of 82
        is not kept by all devices.
    :param on_bad_frame: ``close`` poisons the stream at anything but a good
        sentence; ``skip`` passes over noise and bad sentences. Where one was
        cut short by another, the other is found.
    :param optional: a sentence without a checksum is accepted; one that has it
        is verified all the same. It is always sent.
    :raises SpecError: if an argument is out of range.
    """
    return Nmea(max_frame, on_bad_frame, optional)


@frozen(slots=False)
class Nmea(Framing):
    """The recipe behind `nmea`."""

    max_frame: int = MAX_FRAME
    on_bad_frame: str = "close"
    optional: bool = False

    def __attrs_post_init__(self) -> None:
        check_limits(self.max_frame, self.on_bad_frame)

    def __str__(self) -> str:
        return "nmea,checksum=optional" if self.optional else "nmea"

    def decoder(self) -> Decoder:
        return NmeaDecoder(self)

    def check(self, frames: Sequence[bytes]) -> None:
        for frame in frames:
            self._body(frame)

    def encode(self, frames: Sequence[bytes]) -> list[bytes]:
        image = _SUM.image
        return [b"%b*%b\r\n" % (frame, image(self._body(frame))) for frame in frames]

    def _body(self, frame: bytes) -> bytes:
        """What the checksum of a frame to be sent covers."""
        check_size(frame, self.max_frame)
        match = _SENDABLE.fullmatch(frame)
        if match is None:
            raise FrameError("a sentence begins with $ or ! and holds neither *, CR nor LF")
        return match[2]


_SUM = checksum_named("nmea")


class NmeaDecoder(MarkedDecoder):
    """Takes a line from its ``$``, ``!`` or TAG block on."""

    noise = "expected a sentence that begins with $ or !"

    def __init__(self, framing: Nmea) -> None:
        limit = framing.max_frame
        # Its first byte is the mark; the checksum and CR are none of the frame's.
        most = limit - 1 + _AROUND
        skip = framing.on_bad_frame == "skip"
        super().__init__(mark=1, end=b"\n", behind=0, most=most, limit=limit, skip=skip)
        self._optional = framing.optional

    def _seek(self, data: bytes, at: int) -> int:
        match = _BEGINNING.search(data, at)
        return match.start() if match else -1

    def _is_noise(self, data: bytes) -> bool:
        return bool(data.strip(b"\r\n"))

    def _open(self, data: bytes, begin: int, stop: int) -> bytes:
        line = data[begin:stop]
        try:
            return self._sentence(line)
        except PeerError as error:
            # The line may be one that broke off, and a good one behind it.
            again = max(line.rfind(b"$"), line.rfind(b"!"))
            if not self._skip or again <= 0:
                raise
            frame = self._sentence(line[again:])
            self.pass_over(error, line[:again])
            return frame

    def _sentence(self, line: bytes) -> bytes:
        match = _LINE.fullmatch(line)
        if match is None:
            raise BadFrame("expected a sentence, $…*HH or !…*HH", line)
        head, body, found = match.groups()
        if found is not None or not self._optional:
            fault = _SUM.fault(body, found or b"")
            if fault is not None:
                raise fault
        frame: bytes = head + body
        if len(frame) > self._limit:
            raise FrameTooLong(self._limit, len(frame))
        return frame
