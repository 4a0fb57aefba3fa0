"""Frames between two marks: ``between:``, ``stx-etx`` and ``mllp``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from attrs import frozen

from nbclient.errors import FrameError, SpecError
from nbclient.framing.base import MAX_FRAME, Decoder, Framing
from nbclient.framing.checksums import Checksum, check_over, checksum_named
from nbclient.framing.delimited import (
    LONGEST_DELIMITER,
    check_cut,
    check_limits,
    check_size,
    escaped,
)
from nbclient.framing.marked import MarkedDecoder, beginning_of

OVER = ("payload", "end", "frame")
"""What a checksum may cover: without the marks, with the end, with both."""

_NAMES = {(b"\x02", b"\x03"): "stx-etx", (b"\x0b", b"\x1c\r"): "mllp"}


def between(
    start: bytes,
    end: bytes,
    trailer: int = 0,
    checksum: str = "",
    over: str = "payload",
    max_frame: int = MAX_FRAME,
    on_bad_frame: str = "close",
) -> Framing:
    """Frames that stand between `start` and `end`, each one byte or several.

    The first `end` behind a `start` ends the frame; another `start` before it
    is part of the frame. A frame to be sent may not hold `end`, nor end so that
    it would be found early.

    :param trailer: bytes behind `end` that belong to the frame. The checksum,
        if there is one, comes first among them; the others are handed over at
        the end of the frame, and a frame to be sent brings them there.
    :param checksum: behind `end` stands this checksum
        (`nbclient.framing.checksums`): verified and taken off, and put on.
    :param over: what it covers: ``payload``, the bytes between the marks;
        ``end``, `end` too; ``frame``, both marks too.
    :param max_frame: the longest frame accepted, bytes as handed over.
    :param on_bad_frame: ``close`` poisons the stream at anything but a frame;
        ``skip`` passes over noise, a frame whose checksum is wrong, and one
        over the limit (up to its end).
    :raises SpecError: if an argument is out of range.
    """
    return Between(start, end, trailer, checksum, over, max_frame, on_bad_frame)


def stx_etx(
    checksum: str = "",
    over: str = "payload",
    trailer: int = 0,
    max_frame: int = MAX_FRAME,
    on_bad_frame: str = "close",
) -> Framing:
    """Frames between STX (0x02) and ETX (0x03). Arguments and errors as `between`."""
    return Between(b"\x02", b"\x03", trailer, checksum, over, max_frame, on_bad_frame)


def mllp(max_frame: int = MAX_FRAME, on_bad_frame: str = "close") -> Framing:
    """HL7's minimal lower layer protocol: VT (0x0B), the message, FS CR (0x1C 0x0D).

    Arguments and errors as `between`.
    """
    return Between(b"\x0b", b"\x1c\r", max_frame=max_frame, on_bad_frame=on_bad_frame)


@frozen(slots=False)
class Between(Framing):
    """The recipe behind `between`, `stx_etx` and `mllp`."""

    start: bytes
    end: bytes
    trailer: int = 0
    checksum: str = ""
    over: str = "payload"
    max_frame: int = MAX_FRAME
    on_bad_frame: str = "close"

    def __attrs_post_init__(self) -> None:
        check_limits(self.max_frame, self.on_bad_frame)
        for name, mark in (("start", self.start), ("end", self.end)):
            if not 1 <= len(mark) <= LONGEST_DELIMITER:
                raise SpecError(f"the {name} has 1 to {LONGEST_DELIMITER} bytes, not {len(mark)}")
        if self.start == self.end:
            raise SpecError("start and end are the same: that is what delimiter and slip are for")
        check_over(self.checksum, self.over, OVER)
        summed = self._sum.size if self._sum else 0
        if self.trailer < 0 or 0 < self.trailer < summed:
            raise SpecError(
                f"a trailer of {self.trailer} bytes has no room for {self.checksum or 'anything'}"
            )
        if self._kept > self.max_frame:
            raise SpecError(f"the trailer alone is over the limit of {self.max_frame} bytes")

    def __str__(self) -> str:
        options = [
            f",trailer={self.trailer}" if self.trailer else "",
            f",checksum={self.checksum}" if self.checksum else "",
            f",over={self.over}" if self.over != "payload" else "",
        ]
        marks = f"between:{escaped(self.start, comma=True)},{escaped(self.end, comma=True)}"
        return _NAMES.get((self.start, self.end), marks) + "".join(options)

    def decoder(self) -> Decoder:
        return BetweenDecoder(self)

    def check(self, frames: Sequence[bytes]) -> None:
        for frame in frames:
            check_size(frame, self.max_frame)
            if len(frame) < self._kept:
                raise FrameError(
                    f"a frame of {len(frame)} bytes has no trailer of {self._kept} bytes"
                )
            check_cut(self._parts(frame)[0], self.end)

    def encode(self, frames: Sequence[bytes]) -> list[bytes]:
        self.check(frames)
        return [self._image(*self._parts(frame)) for frame in frames]

    @cached_property
    def _sum(self) -> Checksum | None:
        return checksum_named(self.checksum) if self.checksum else None

    @cached_property
    def _kept(self) -> int:
        """How many bytes behind the end are part of the frame."""
        return max(0, self.trailer - (self._sum.size if self._sum else 0))

    @cached_property
    def _covered(self) -> tuple[int, int]:
        """How much before and behind the payload the checksum covers, bytes."""
        before = len(self.start) if self.over == "frame" else 0
        return before, len(self.end) if self.over != "payload" else 0

    def _parts(self, frame: bytes) -> tuple[bytes, bytes]:
        split = len(frame) - self._kept
        return frame[:split], frame[split:]

    def _image(self, payload: bytes, trailer: bytes) -> bytes:
        image = self.start + payload + self.end
        if self._sum is None:
            return image + trailer
        before, behind = self._covered
        start = len(self.start)
        covered = image[start - before : start + len(payload) + behind]
        return image + self._sum.image(covered) + trailer


class BetweenDecoder(MarkedDecoder):
    """Looks for the start, then for the end."""

    def __init__(self, framing: Between) -> None:
        self._start = framing.start
        self._sum = framing._sum
        self._before, self._after = framing._covered
        self._kept = framing._kept
        super().__init__(
            mark=len(framing.start),
            end=framing.end,
            behind=self._kept + (self._sum.size if self._sum else 0),
            most=framing.max_frame - self._kept,
            limit=framing.max_frame,
            skip=framing.on_bad_frame == "skip",
        )
        self.noise = f"expected a frame that begins with {self._start!r}"

    def _seek(self, data: bytes, at: int) -> int:
        return data.find(self._start, at)

    def _beginning(self, data: bytes, at: int) -> bytes:
        return beginning_of(self._start, data[max(at, len(data) - self._mark) :])

    def _open(self, data: bytes, begin: int, stop: int) -> bytes:
        inside = begin + self._mark
        behind = stop + len(self._end)
        if self._sum is not None:
            covered = data[inside - self._before : stop + self._after]
            found = data[behind : behind + self._sum.size]
            fault = self._sum.fault(covered, found)
            if fault is not None:
                raise fault
            behind += len(found)
        frame = data[inside:stop]
        return frame + data[behind : behind + self._kept] if self._kept else frame
