"""Sentences of NMEA 0183 and AIS: ``$GPGLL,…*1D`` and ``!AIVDM,…*5C``."""

from __future__ import annotations

import re
from collections.abc import Sequence

from attrs import frozen

from nbclient.errors import BadFrame, FrameError, FrameTooLong
from nbclient.framing.base import MAX_FRAME, Decoder, Framing
from nbclient.framing.checksums import checksum_named
from nbclient.framing.delimited import check_limits, check_size
from nbclient.framing.marked import MarkedDecoder

_BEGINNING = re.compile(rb"[$!\\]")
# A TAG block of NMEA 4.0 (with a checksum of its own), then the sentence.
_FRAME = rb"((?:\\[^\\\r\n]+\\)?[$!])([^*\r\n]*)"
# What some receivers put behind the checksum: their name, the time (US Coast Guard).
_BEHIND = rb"(,[^\r\n]*)?"
_SENDABLE = re.compile(_FRAME + rb"(?:\*([0-9A-Fa-f]{2})(,[^\r\n]*))?")
_LINE = re.compile(_FRAME + rb"(?:\*([^\r\n]{2})" + _BEHIND + rb")?\r*")
_AROUND = len(b"*HH\r\r")
_TRIES = 3
"""Beginnings inside a bad line that are tried: a sentence of a device's own may hold one."""


def nmea(
    max_frame: int = MAX_FRAME, on_bad_frame: str = "close", optional: bool = False
) -> Framing:
    """Sentences that begin with ``$`` or ``!`` and end with ``*``, a checksum and CR LF.

    A frame is the sentence from ``$`` or ``!`` up to before the ``*``. The
    checksum (exclusive or of what is between the two) is verified and taken
    off, and put on. A TAG block (``\\s:…*HH\\``) before the sentence stays part
    of the frame, and is not looked into. LF alone ends a sentence too, and CR CR LF
    as some modems have it; empty lines are nothing.

    Where a comma and text follow the checksum, as the US Coast Guard's receivers
    add their name and the time, the frame is all of it, the checksum included:
    ``!AIVDM,…*5C,b003669999,1700000000``. Such a frame is sent as it is.

    :param max_frame: the longest frame accepted, bytes. NMEA's own limit of 82
        is not kept by all devices.
    :param on_bad_frame: ``close`` poisons the stream at anything but a good
        sentence; ``skip`` passes over noise and bad sentences. A good sentence is
        found where it is the last in a bad line, however long that is.
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
            self._closing(frame)

    def encode(self, frames: Sequence[bytes]) -> list[bytes]:
        return [frame + self._closing(frame) for frame in frames]

    def _closing(self, frame: bytes) -> bytes:
        """What follows a frame to be sent."""
        check_size(frame, self.max_frame)
        match = _SENDABLE.fullmatch(frame)
        if match is None:
            raise FrameError("a sentence begins with $ or ! and holds neither *, CR nor LF")
        _, body, found, _ = match.groups()
        if found is None:
            return b"*%b\r\n" % _SUM.image(body)
        fault = _SUM.fault(body, found)
        if fault is not None:
            raise FrameError(f"the checksum of the sentence is wrong: {fault.what}")
        return b"\r\n"


_SUM = checksum_named("nmea")


class NmeaDecoder(MarkedDecoder):
    """Takes a line from its ``$``, ``!`` or TAG block on."""

    noise = "expected a sentence that begins with $ or !"
    quiet = b"\r\n"

    def __init__(self, framing: Nmea) -> None:
        limit = framing.max_frame
        # Its first byte is the mark; the checksum and CR are none of the frame's.
        most = limit - 1 + _AROUND
        skip = framing.on_bad_frame == "skip"
        super().__init__(mark=1, end=b"\n", behind=0, most=most, limit=limit, skip=skip, anew=True)
        self._optional = framing.optional

    def _seek(self, data: bytes | bytearray, at: int, stop: int) -> int:
        match = _BEGINNING.search(data, at, stop)
        return match.start() if match else -1

    def _others(self, data: bytes, begin: int, stop: int) -> list[int]:
        # The line may be one that broke off, and a good one behind it.
        places: list[int] = []
        for _ in range(_TRIES):
            stop = max(data.rfind(b"$", begin + 1, stop), data.rfind(b"!", begin + 1, stop))
            if stop < 0:
                break
            if data[stop - 1 : stop] == b"\\":  # behind a TAG block, which belongs to it
                block = data.rfind(b"\\", begin + 1, stop - 1)
                places += [block] if block >= 0 else []
            places.append(stop)
        return places

    def _open(self, data: bytes, begin: int, stop: int) -> bytes:
        line = data[begin:stop]
        match = _LINE.fullmatch(line)
        if match is None:
            raise BadFrame("expected a sentence, $…*HH or !…*HH", line)
        head, body, found, behind = match.groups()
        if found is not None or not self._optional:
            fault = _SUM.fault(body, found or b"")
            if fault is not None:
                raise fault
        frame: bytes = head + body
        if behind is not None:
            frame += b"*" + found + behind
        if len(frame) > self._limit:
            raise FrameTooLong(self._limit, len(frame))
        return frame
