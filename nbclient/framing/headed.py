"""The decoder for frames whose header begins with a mark and holds their length.

RTCM 3 and UBX are of this kind: binary messages, often with text between them.
A mark may also stand inside a frame, and the length behind a false one says
nothing. So where bad frames are skipped and a frame turns out to be none, the
next is looked for one byte behind its mark: no good frame inside is lost. What lies
between two good frames counts as one that was skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from nbclient.errors import BadFrame, FrameTooLong, PeerError
from nbclient.framing.base import SHOWN_REJECTED, Decoder
from nbclient.framing.marked import beginning_of

if TYPE_CHECKING:
    from nbclient.framing.prefixed import Length

EARNED = 8
"""Bytes of false frames that are looked at for each byte that is passed over, in the long
run: a peer could send marks only, each before a length that reaches far."""

BANK = 64
"""How many false frames of the greatest size can be looked at in one burst. In ordinary mixed
traffic less than a byte is looked at for each byte received, but not evenly."""

MOST_BANKED = 1024 * 1024
"""Bytes: what such a burst costs at most, where two frames are not more than that."""


class HeadedDecoder(Decoder):
    """Looks for the mark, then for as many bytes as the header says."""

    def __init__(self, framing: Length) -> None:
        self._framing = framing
        self._mark = framing.mark
        self._layout = framing._layout
        self._value: Callable[[bytes, int], tuple[int, ...]] = framing._unpack
        self._skip = framing.on_bad_frame == "skip"
        self._carry = bytearray()  # the frame begun, or what may be the beginning of a mark
        self._need = 0  # the carry's length at which it is worth another look
        self._before = b""  # of earlier chunks: what follows a frame that was found there
        self._after: list[int] = []  # bytes of the stream behind each frame of the chunk
        self._noisy = False  # in a stretch without a good frame that was counted
        largest = framing.max_frame + self._layout.header
        self._most = max(2 * largest, min(BANK * largest, MOST_BANKED))
        self._credit = self._most

    def feed(self, data: bytes) -> list[bytes]:
        frames: list[bytes] = []
        if self.fault is not None:
            return frames
        self._after = []
        self._before = b""
        carry = self._carry
        lead = len(carry)
        if lead:
            carry += data
            if len(carry) < self._need:
                return frames
            data = bytes(carry)
            self._carry = carry = bytearray()
        at = self._scan(data, frames)
        if self._after and self._after[0] > len(data) - lead:
            self._before = data[:lead]
        with memoryview(data) as whole:
            carry += whole[at:]
        if self.fault is not None:
            self.show_rejected(self.fault, carry)
        return frames

    def eof(self) -> bytes:
        return bytes(self._carry)

    def unread(self, data: bytes, frames: Sequence[bytes]) -> bytes:
        taken = len(self._after) - len(frames)
        if not taken:
            return self.eof()
        whole = self._before + data
        return whole[len(whole) - self._after[taken - 1] :]

    def last(self) -> list[bytes]:
        """The good frames inside a false one that the end of the connection cut short.

        Only a checksum tells them from what an unfinished good frame holds.
        """
        frames: list[bytes] = []
        if self.fault is not None or not (self._skip and self._framing.checksum):
            return frames
        data = bytes(self._carry)
        self._before, self._after = b"", []
        at, tail = 1, 0
        while at < len(data):
            found = len(frames)
            self._noisy = True  # what is no frame here is the tail
            begin = self._scan(data, frames, at)
            if len(frames) > found:
                self.pass_over(BadFrame("expected a whole frame", data[tail:at]), data[tail:at])
                tail = begin
            at = begin + 1
        self._carry = bytearray(data[tail:])
        return frames

    @property
    def begun(self) -> bool:
        return bool(self._carry)

    def _scan(self, data: bytes, frames: list[bytes], at: int = 0) -> int:
        """Append the frames in ``data[at:]``; return where one unfinished or faulty begins."""
        header, starts, behind, lowest, highest, _ = self._layout
        offset = self._framing.offset
        size = len(data)
        while at < size:
            begin = self._begin(data, at)
            if self.fault is not None or size - begin < header:
                whole = data.startswith(self._mark, begin)
                self._need = header if whole else size - begin + 1
                return begin
            field = begin + offset
            (value,) = self._value(data, field)
            stop = field + value + behind
            wrong: PeerError | None
            if not lowest <= value <= highest:
                stop = begin + header
                wrong = self._unacceptable(value, data[begin:stop])
            elif stop > size:
                self._need = stop - begin
                return begin
            else:
                wrong = self._framing._fault(data, begin, stop)
            if wrong is None:
                frames.append(data[field + starts : stop - self._framing._summed])
                self._after.append(size - stop)
                self._noisy = False
                at = self._passed(begin, stop)
            elif self._skip:
                at = self._bad(wrong, data, begin, stop)
            else:
                self.fault = wrong
                return begin
        return size

    def _unacceptable(self, value: int, header: bytes) -> PeerError:
        layout = self._layout
        if value < layout.lowest:
            return BadFrame(f"expected a length of at least {layout.lowest}", header)
        return FrameTooLong(self._framing.max_frame, value + layout.grown, declared=True)

    def _begin(self, data: bytes, at: int) -> int:
        """Where the next mark is, or may begin, in ``data[at:]``; what is before it is noise."""
        begin = data.find(self._mark, at)
        if begin < 0:
            rest = data[max(at, len(data) - len(self._mark)) :]
            begin = len(data) - len(beginning_of(self._mark, rest))
        if begin == at:
            return at
        error = BadFrame(f"expected a frame that begins with {self._mark!r}", data[at:begin])
        if not self._skip:
            self.fault = error
            return at
        self._complain(error, data, at, begin)
        return self._passed(at, begin)

    def _bad(self, wrong: PeerError, data: bytes, begin: int, stop: int) -> int:
        """What looked like a frame is none; return where to go on."""
        self._complain(wrong, data, begin, stop)
        self._credit -= stop - begin
        # Where false frames are as many as this, the length is taken at its word.
        return self._passed(begin, begin + 1 if self._credit > 0 else stop)

    def _complain(self, wrong: PeerError, data: bytes, at: int, stop: int) -> None:
        """Count what is passed over, once between two good frames."""
        if not self._noisy:
            self._noisy = True
            self.pass_over(wrong, data[at : min(stop, at + SHOWN_REJECTED)])

    def _passed(self, at: int, stop: int) -> int:
        """Go on at `stop`: each byte passed earns some to be looked at again."""
        self._credit = min(self._most, self._credit + EARNED * (stop - at))
        return stop
