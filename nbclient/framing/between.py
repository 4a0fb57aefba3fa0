"""Frames between two marks: ``between:``, ``stx-etx`` and ``mllp``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property

from attrs import field, frozen

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
from nbclient.framing.marked import TRIES, MarkedDecoder, beginning_of

OVER = ("payload", "end", "frame")
"""What a checksum may cover: without the marks, with the end, with both."""

MOST_ENDS = 16


def _all(ends: Sequence[bytes]) -> tuple[bytes, ...]:
    return tuple(ends)


_STX_ETX = (b"\x02", b"\x03")
_VT, _FS = b"\x0b", b"\x1c"


def between(
    start: bytes,
    end: bytes,
    trailer: int = 0,
    checksum: str = "",
    over: str = "payload",
    max_frame: int = MAX_FRAME,
    on_bad_frame: str = "close",
    or_ends: Sequence[bytes] = (),
    keep_end: bool = False,
    start_inside: bool = False,
) -> Framing:
    """Frames that stand between `start` and `end`, each one byte or several.

    The first `end` behind a `start` ends the frame. Another `start` before it
    shows that the frame was torn: it begins anew there. With a checksum, that
    decides: a good frame may hold `start`, and behind the beginning of a bad one
    a good one is looked for. A frame to be sent may not hold `end` (nor, without
    a checksum, `start`), nor end so that it would be found early.

    :param trailer: bytes behind `end` that belong to the frame. The checksum,
        if there is one, comes first among them; the others are handed over at
        the end of the frame, and a frame to be sent brings them there.
    :param checksum: behind `end` stands this checksum
        (`nbclient.framing.checksums`): verified and taken off, and put on.
    :param over: what it covers: ``payload``, the bytes between the marks;
        ``end``, `end` too; ``frame``, both marks too.
    :param max_frame: the longest frame accepted, bytes as handed over.
    :param on_bad_frame: ``close`` poisons the stream at anything but a frame;
        ``skip`` passes over noise, a torn frame, one whose checksum is wrong, and
        one over the limit (up to the next `start`).
    :param or_ends: other bytes that end a frame as `end` does, as many of them;
        frames are sent with `end`, unless they bring theirs (`keep_end`).
    :param keep_end: what ended the frame is part of it, behind the payload.
    :param start_inside: without a checksum too, `start` inside a frame is part of
        it. A frame over the limit is then passed over up to its end.
    :raises SpecError: if an argument is out of range.
    """
    return Between(
        start,
        end,
        trailer,
        checksum,
        over,
        max_frame,
        on_bad_frame,
        or_ends,
        keep_end,
        start_inside,
    )


def stx_etx(
    checksum: str = "",
    over: str = "payload",
    trailer: int = 0,
    max_frame: int = MAX_FRAME,
    on_bad_frame: str = "close",
    or_ends: Sequence[bytes] = (),
    keep_end: bool = False,
    start_inside: bool = False,
) -> Framing:
    """Frames between STX (0x02) and ETX (0x03). Arguments and errors as `between`."""
    return Between(
        *_STX_ETX,
        trailer,
        checksum,
        over,
        max_frame,
        on_bad_frame,
        or_ends,
        keep_end,
        start_inside,
    )


def mllp(max_frame: int = MAX_FRAME, on_bad_frame: str = "close") -> Framing:
    """HL7's minimal lower layer protocol: VT (0x0B), the message, FS CR (0x1C 0x0D).

    Sent is just that. Received, FS alone ends a message, as HL7 allows neither FS
    nor VT in one; CR, LF, FS, NUL, space and tab between two messages are passed over: none
    of them is a message. So FS CR, FS CR LF, FS LF, FS FS CR, FS NUL and FS alone are all
    taken, and no message waits for what may follow FS.

    :param max_frame: the longest message accepted, bytes.
    :param on_bad_frame: as with `between`.
    :raises SpecError: if an argument is out of range.
    """
    return Mllp(max_frame=max_frame, on_bad_frame=on_bad_frame)


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
    or_ends: tuple[bytes, ...] = field(default=(), converter=_all)
    keep_end: bool = False
    start_inside: bool = False

    quiet = b""
    """Bytes that are no noise between two frames."""

    def __attrs_post_init__(self) -> None:
        check_limits(self.max_frame, self.on_bad_frame)
        for name, mark in (("start", self.start), *(("end", end) for end in self.ends)):
            if not 1 <= len(mark) <= LONGEST_DELIMITER:
                raise SpecError(f"the {name} has 1 to {LONGEST_DELIMITER} bytes, not {len(mark)}")
        if self.start in self.ends:
            raise SpecError("start and end are the same: that is what delimiter and slip are for")
        if len(set(map(len, self.ends))) > 1 or len(set(self.ends)) < len(self.ends):
            raise SpecError("the ends of a frame differ, and each has as many bytes as the others")
        if len(self.ends) > MOST_ENDS:
            raise SpecError(f"a frame has at most {MOST_ENDS} ends, not {len(self.ends)}")
        check_over(self.checksum, self.over, OVER)
        summed = self._sum.size if self._sum else 0
        if self.trailer < 0 or 0 < self.trailer < summed:
            raise SpecError(
                f"a trailer of {self.trailer} bytes has no room for {self.checksum or 'anything'}"
            )
        if self._around > self.max_frame:
            raise SpecError(f"the trailer alone is over the limit of {self.max_frame} bytes")

    def __str__(self) -> str:
        options = [
            f",trailer={self.trailer}" if self.trailer else "",
            f",checksum={self.checksum}" if self.checksum else "",
            f",over={self.over}" if self.over != "payload" else "",
            *(f",or-end={escaped(end, comma=True)}" for end in self.or_ends),
            ",keep-end" if self.keep_end else "",
            ",start-inside" if self.start_inside else "",
        ]
        marks = f"between:{escaped(self.start, comma=True)},{escaped(self.end, comma=True)}"
        return ("stx-etx" if (self.start, self.end) == _STX_ETX else marks) + "".join(options)

    @property
    def ends(self) -> tuple[bytes, ...]:
        """What ends a frame received; the first is sent."""
        return (self.end, *self.or_ends)

    @cached_property
    def restarts(self) -> bool:
        """Whether a frame begins anew at a start inside it."""
        # Where one mark is part of the other, how a chunk was cut would decide.
        mixed = any(self.start in end or end in self.start for end in self.ends)
        return not (self.checksum or self.start_inside or mixed)

    def decoder(self) -> Decoder:
        return BetweenDecoder(self)

    def check(self, frames: Sequence[bytes]) -> None:
        for frame in frames:
            check_size(frame, self.max_frame)
            if len(frame) < self._around:
                raise FrameError(
                    f"a frame of {len(frame)} bytes has no trailer of {self._kept} bytes"
                    if not self.keep_end
                    else f"a frame of {len(frame)} bytes does not hold its end and trailer"
                )
            payload, end, _ = self._parts(frame)
            if end not in self.ends:
                raise FrameError(f"a frame ends in {self.end!r} or another of its ends: {end!r}")
            check_cut(payload, end)
            self._check_marks(payload, end)

    def _check_marks(self, payload: bytes, end: bytes) -> None:
        """Refuse a payload in which, once its end follows, another mark would be found."""
        image = payload + end
        marks = dict.fromkeys(self.or_ends, "end") | {self.end: "end"}
        if self.restarts:
            marks[self.start] = "begin anew"
        for mark, what in marks.items():
            at = image.find(mark)
            if 0 <= at < len(payload):
                raise FrameError(
                    f"a frame of {len(payload)} bytes cannot be sent: "
                    f"it would {what} at byte {at}, where {mark!r} is found"
                )

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
    def _around(self) -> int:
        """How many bytes of a frame are not payload."""
        return self._kept + (len(self.end) if self.keep_end else 0)

    @cached_property
    def _covered(self) -> tuple[int, int]:
        """How much before and behind the payload the checksum covers, bytes."""
        before = len(self.start) if self.over == "frame" else 0
        return before, len(self.end) if self.over != "payload" else 0

    def _parts(self, frame: bytes) -> tuple[bytes, bytes, bytes]:
        """Payload, end and the trailer that is kept."""
        behind = len(frame) - self._kept
        split = len(frame) - self._around
        return frame[:split], frame[split:behind] if self.keep_end else self.end, frame[behind:]

    def _image(self, payload: bytes, end: bytes, trailer: bytes) -> bytes:
        image = self.start + payload + end
        if self._sum is None:
            return image + trailer
        before, behind = self._covered
        start = len(self.start)
        covered = image[start - before : start + len(payload) + behind]
        return image + self._sum.image(covered) + trailer


@frozen(slots=False)
class Mllp(Between):
    """The recipe behind `mllp`: FS ends a message, CR follows what is sent."""

    start: bytes = field(default=_VT, init=False)
    end: bytes = field(default=_FS, init=False)

    quiet = b"\r\n\x1c\0 \t"

    def __str__(self) -> str:
        return "mllp"

    def decoder(self) -> Decoder:
        return MllpDecoder(self)

    def _image(self, payload: bytes, end: bytes, trailer: bytes) -> bytes:
        return self.start + payload + end + b"\r"


class BetweenDecoder(MarkedDecoder):
    """Looks for the start, then for the end."""

    def __init__(self, framing: Between) -> None:
        self._start = framing.start
        self._sum = framing._sum
        self._before, self._covered = framing._covered
        self._kept = framing._kept
        self._ends_kept = len(framing.end) if framing.keep_end else 0
        self._others_end = framing.or_ends
        if framing.or_ends:
            self._find_any = re.compile(b"|".join(map(re.escape, framing.ends))).search
        super().__init__(
            mark=len(framing.start),
            end=framing.end,
            behind=self._kept + (self._sum.size if self._sum else 0),
            most=framing.max_frame - framing._around,
            limit=framing.max_frame,
            skip=framing.on_bad_frame == "skip",
            anew=self._sum is not None,
            restarts=framing.restarts,
        )
        self.noise = f"expected a frame that begins with {self._start!r}"
        if framing.quiet:
            self.quiet = framing.quiet

    def _seek(self, data: bytes | bytearray, at: int, stop: int) -> int:
        return data.find(self._start, at, stop)

    def _beginning(self, data: bytes | bytearray, at: int) -> bytes:
        return beginning_of(self._start, bytes(data[max(at, len(data) - self._mark) :]))

    def _find(self, data: bytes | bytearray, at: int) -> int:
        if not self._others_end:
            return data.find(self._end, at)
        found = self._find_any(data, at)
        return found.start() if found else -1

    def _ending(self, data: bytes) -> bytes:
        ends = (self._end, *self._others_end)
        return max((beginning_of(end, data) for end in ends), key=len)

    def _others(self, data: bytes, begin: int, stop: int) -> list[int]:
        places: list[int] = []
        while len(places) < TRIES:
            # Its last byte lies before the end; the next one begins before this one.
            stop = data.rfind(self._start, begin + 1, stop)
            if stop < 0:
                break
            places.append(stop)
            stop += self._mark - 1
        return places

    def _open(self, data: bytes, begin: int, stop: int) -> bytes:
        inside = begin + self._mark
        behind = stop + len(self._end)
        if self._sum is not None:
            covered = data[inside - self._before : stop + self._covered]
            found = data[behind : behind + self._sum.size]
            fault = self._sum.fault(covered, found)
            if fault is not None:
                raise fault
            behind += len(found)
        frame = data[inside : stop + self._ends_kept]
        return frame + data[behind : behind + self._kept] if self._kept else frame


class MllpDecoder(BetweenDecoder):
    """The CR behind FS belongs to the message, although the message does not wait for it."""

    def unread(self, data: bytes, frames: Sequence[bytes]) -> bytes:
        rest = super().unread(data, frames)
        return rest.removeprefix(b"\r") if len(self._after) > len(frames) else rest
