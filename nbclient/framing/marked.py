"""The decoder for frames that show where they begin and where they end.

What lies between two frames is noise; a frame that is faulty can be passed
over, for the next one shows its beginning by itself.

A frame that lies in one chunk is cut out of it in place. One that does not is
carried until its end has come, and of what was carried only the last bytes,
which may be the beginning of an end, are looked at again.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from nbclient.errors import BadFrame, FrameTooLong, PeerError
from nbclient.framing.base import Decoder


class MarkedDecoder(Decoder):
    """Finds beginnings and ends; its subclasses say what they look like.

    An image is what stands on the wire for a frame: its mark, the payload, the
    end, and perhaps some bytes behind.

    :param mark: the size of what an image begins with, bytes.
    :param end: what ends the payload; the first one found does.
    :param behind: how many bytes of the image follow the end.
    :param most: the longest payload, bytes.
    :param limit: the longest frame, bytes.
    """

    noise = "expected the beginning of a frame"
    """What is wrong with bytes between two frames."""

    def __init__(
        self, mark: int, end: bytes, behind: int, most: int, limit: int, skip: bool
    ) -> None:
        self._mark = mark
        self._end = end
        self._behind = behind
        self._most = most
        self._limit = limit
        self._skip = skip
        self._ends: list[int] = []  # where in the latest chunk each of its frames ends
        self._held = b""  # what may be the beginning of a mark, between two frames
        self._lead = 0  # how much was held when the latest chunk came
        self._noisy = False  # in a stretch of noise that was counted
        self._leave()

    # -- what subclasses say ---------------------------------------------------

    @abstractmethod
    def _seek(self, data: bytes, at: int) -> int:
        """Where the next image begins in ``data[at:]``; negative if none does."""

    @abstractmethod
    def _open(self, data: bytes, begin: int, stop: int) -> bytes:
        """The frame of a whole image that begins at `begin` and has its end at `stop`.

        :raises PeerError: if it is faulty.
        """

    def _beginning(self, data: bytes, at: int) -> bytes:
        """What at the end of ``data[at:]`` may be the beginning of a mark."""
        return b""

    def _is_noise(self, data: bytes) -> bool:
        """Whether these bytes, found between two frames, are worth a complaint."""
        return True

    def _measure(self, data: bytes, at: int, stop: int) -> int:
        """What ``data[at:stop]`` adds to the size of a payload."""
        return stop - at

    # -- the contract ------------------------------------------------------------

    def feed(self, data: bytes) -> list[bytes]:
        frames: list[bytes] = []
        if self.fault is not None:
            return frames
        self._ends = []
        self._lead = len(self._held)
        if self._held:
            data = self._held + data
            self._held = b""
        at = 0
        while at < len(data):
            at = (self._resume if self._inside else self._scan)(data, at, frames)
        return frames

    def eof(self) -> bytes:
        return bytes(self._carry) + self._held

    def unread(self, data: bytes, frames: Sequence[bytes]) -> bytes:
        taken = len(self._ends) - len(frames)
        return data[self._ends[taken - 1] - self._lead :] if taken else self.eof()

    @property
    def begun(self) -> bool:
        return self._inside or bool(self._held)

    # -- whole frames, in place ----------------------------------------------------

    def _scan(self, data: bytes, at: int, frames: list[bytes]) -> int:
        """Cut out what is whole; return where `_resume` has to go on, or the end."""
        seek, find, frame_of = self._seek, data.find, self._open
        end, mark, most = self._end, self._mark, self._most
        closing = len(end) + self._behind
        size = len(data)
        while at < size:
            begin = seek(data, at)
            if begin != at:
                begin = self._pass_noise(data, at, begin)
                if begin == size:
                    break
            self._noisy = False
            inside = begin + mark
            stop = find(end, inside)
            if not 0 <= stop - inside <= most or stop + closing > size:
                self._inside = True
                self._carry += data[begin:inside]
                return inside
            at = stop + closing
            try:
                frame = frame_of(data, begin, stop)
            except PeerError as error:
                if not self._skip:
                    self._fail(error, data[begin:])
                    break
                self.pass_over(error, data[begin:at])
            else:
                frames.append(frame)
                self._ends.append(at)
        return size

    def _pass_noise(self, data: bytes, at: int, begin: int) -> int:
        """See to what stands before the image at `begin`; return that place, or the end."""
        size = len(data)
        if begin < 0:
            self._held = self._beginning(data, at)
            begin = size - len(self._held)
        stray = data[at:begin]
        if stray and not self._noisy and self._is_noise(stray):
            error = BadFrame(self.noise, stray)
            if not self._skip:
                self._held = b""
                self._fail(error, data[at:])
                return size
            self._noisy = True
            self.pass_over(error, stray)
        return size if self._held else begin

    def _fail(self, error: PeerError, data: bytes) -> None:
        self.fault = error
        self._carry += data
        self.show_rejected(error, data)

    # -- a frame that is carried ---------------------------------------------------

    def _leave(self) -> None:
        """Be between two frames."""
        self._inside = False
        self._passing = False  # over the rest of a frame that is too long
        self._carry = bytearray()  # the image begun; while passing, what may be half an end
        self._from = self._mark  # where its payload begins
        self._size = 0  # of the payload so far
        self._left = -1  # bytes outstanding behind the end; negative until that was seen

    def _resume(self, data: bytes, at: int, frames: list[bytes]) -> int:
        """Go on with the frame begun; return where it ends, or the end of the data."""
        if self._left < 0:
            at = self._to_end(data, at)
        if self._left < 0 or self.fault is not None:
            return len(data)
        rest = data[at : at + self._left]
        self._left -= len(rest)
        at += len(rest)
        if not self._passing:
            self._carry += rest
        if not self._left:
            self._complete(data, at, frames)
        return at if self.fault is None else len(data)

    def _to_end(self, data: bytes, at: int) -> int:
        """Carry the payload up to and with its end; return where that was found."""
        found = self._find_end(data, at)
        stop = len(data) if found < 0 else found
        self._size += self._measure(data, at, stop if found < 0 else stop - len(self._end))
        self._carry += data[at:stop]
        if found >= 0:
            self._left = self._behind
        if self._passing or self._size > self._most:
            # Not all of what is carried is known to be payload.
            half = self._half_end() if found < 0 else 0
            if not self._passing and self._size - half > self._most:
                self._overrun(data, stop, self._size - half)
            if self._passing:
                del self._carry[: len(self._carry) - half]
        return stop

    def _find_end(self, data: bytes, at: int) -> int:
        """Where the end ends in `data`, though it may have begun in the carry; or negative."""
        end = self._end
        before = len(end) - 1
        carried = self._carry[max(self._from, len(self._carry) - before) :]
        if carried:
            found = (carried + data[at : at + before]).find(end)
            if found >= 0:
                return at + found + len(end) - len(carried)
        found = data.find(end, at)
        return found + len(end) if found >= 0 else -1

    def _half_end(self) -> int:
        """How many of the last bytes carried may be the beginning of the end."""
        before = len(self._end) - 1
        recent = bytes(self._carry[max(self._from, len(self._carry) - before) :])
        return len(beginning_of(self._end, recent))

    def _overrun(self, data: bytes, stop: int, size: int) -> None:
        error = FrameTooLong(self._limit, size + self._limit - self._most)
        if self._skip:
            self.pass_over(error, self._carry)
            self._passing = True
            self._from = 0
        else:
            self.fault = error
            self._carry += data[stop:]
            self.show_rejected(error, self._carry)

    def _complete(self, data: bytes, at: int, frames: list[bytes]) -> None:
        image = bytes(self._carry)
        passing = self._passing
        self._leave()  # before the frame is cut out: two copies at a time are enough
        if passing:
            return
        try:
            frame = self._open(image, 0, len(image) - len(self._end) - self._behind)
        except PeerError as error:
            if self._skip:
                self.pass_over(error, image)
            else:
                self._fail(error, image + data[at:])
        else:
            frames.append(frame)
            self._ends.append(at)


def beginning_of(mark: bytes, data: bytes) -> bytes:
    """The longest end of `data` that is a beginning of `mark`, but not all of it."""
    most = min(len(mark) - 1, len(data))
    return next((mark[:n] for n in range(most, 0, -1) if data.endswith(mark[:n])), b"")
