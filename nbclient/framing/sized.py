"""The decoder for frames whose size is known before they are complete.

The frame begun is carried until it has the bytes it needs; nothing is
allocated for bytes that have not come.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from nbclient.framing.base import Decoder


class SizedDecoder(Decoder):
    """Completes the frame that was begun, then scans the rest of the chunk in place."""

    def __init__(self) -> None:
        self._carry = bytearray()  # of the frame begun, its header included
        self._need = 0  # the carry's length at which it is worth another look
        self._begins = 0  # and, where the frame then ends, where it begins in it

    @abstractmethod
    def _scan(self, data: bytes, at: int, frames: list[bytes]) -> int:
        """Append the frames in ``data[at:]`` and return where the first unfinished one begins.

        Where that one needs more bytes than there are, `_need` says how many
        it has to have; where it is faulty, `fault` is set.
        """

    @abstractmethod
    def _wire_size(self, frames: Sequence[bytes]) -> int:
        """The length of the wire images of these frames, the last ones returned."""

    def feed(self, data: bytes) -> list[bytes]:
        frames: list[bytes] = []
        if self.fault is not None:
            return frames
        at = self._resume(data, frames) if self._carry else 0
        if not self._carry:
            at = self._scan(data, at, frames)
        if at < len(data):
            self._carry += data[at:]
        if self.fault is not None:
            self.show_rejected(self.fault, self._carry)
        return frames

    def eof(self) -> bytes:
        return bytes(self._carry)

    def unread(self, data: bytes, frames: Sequence[bytes]) -> bytes:
        # The images of the frames nobody took stand right before the carry, in
        # this chunk too, as a frame before them ended inside it.
        end = len(data) - len(self._carry)
        return data[end - self._wire_size(frames) : end] + self._carry

    @property
    def begun(self) -> bool:
        return bool(self._carry)

    def _resume(self, data: bytes, frames: list[bytes]) -> int:
        """Give the carry what it needs; return how much of `data` that was.

        The carry is empty afterwards, unless `data` ended first or is faulty.
        """
        at = 0
        carry = self._carry
        while carry and self.fault is None:
            take = data[at : at + self._need - len(carry)]
            carry += take
            at += len(take)
            if len(carry) < self._need:
                break
            if self._begins:
                self._finish(frames)
                continue
            whole = bytes(carry)
            carry.clear()  # before the frame is cut out: two copies at a time are enough
            used = self._scan(whole, 0, frames)
            carry += whole[used:]
        return at

    def _finish(self, frames: list[bytes]) -> None:
        """The carry is the whole frame that its header, already looked at, announced.

        One copy, where another scan would make two: most of the time that a frame of many
        megabytes takes goes into memory that is touched for the first time.
        """
        begins, self._begins = self._begins, 0
        with memoryview(self._carry) as whole:
            frames.append(bytes(whole[begins:]))
        self._carry.clear()
