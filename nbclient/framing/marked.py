"""The decoder for frames that show where they begin and where they end.

What lies between two frames is noise; a frame that is faulty can be passed
over, for the next one shows its beginning by itself.

A frame that lies in one chunk is cut out of it in place. One that does not is
carried until its end has come, and of what was carried only the last bytes,
which may be the beginning of an end, are searched again.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from nbclient.errors import BadFrame, FrameTooLong, PeerError
from nbclient.framing.base import SHOWN_REJECTED, Decoder

TRIES = 8
"""How many of the last beginnings inside a bad frame are tried: more would cost more
than linear time, for each try looks at all that follows it."""

SHORT_TRAILER = 64
"""Bytes: in a trailer up to this length the beginning of the next frame is looked for, if
the frame it belongs to turned out to be bad."""


class MarkedDecoder(Decoder):
    """Finds beginnings and ends; its subclasses say what they look like.

    An image is what stands on the wire for a frame: its mark, the payload, the
    end, and perhaps some bytes behind.

    :param mark: the size of what an image begins with, bytes.
    :param end: what ends the payload; the first one found does.
    :param behind: how many bytes of the image follow the end.
    :param most: the longest payload, bytes.
    :param limit: the longest frame, bytes.
    :param anew: a frame that is too long is passed over up to the next
        beginning inside it. Without it: up to its end.
    :param restarts: a frame begins anew at each beginning inside it; implies `anew`.
    :param doubled: how many bytes on the wire may stand for one of the payload.
    """

    noise = "expected the beginning of a frame"
    """What is wrong with bytes between two frames."""
    torn = "expected the end of a frame before the next one begins"
    quiet = b""
    """Bytes that are no noise between two frames."""

    def __init__(
        self,
        mark: int,
        end: bytes,
        behind: int,
        most: int,
        limit: int,
        skip: bool,
        anew: bool = False,
        restarts: bool = False,
        doubled: int = 1,
    ) -> None:
        self._mark = mark
        self._end = end
        self._behind = behind
        self._most = most
        self._limit = limit
        self._skip = skip
        self._anew = anew or restarts
        self._restarts = restarts
        self._doubled = doubled
        self._after: list[int] = []  # bytes of the latest chunk behind each of its frames
        self._held = b""  # between two frames: may be the beginning of a mark (or an end)
        self._noisy = False  # in a stretch of noise that was counted
        self._over = False  # behind a frame too long that was counted; no good one since
        self._passing = False  # inside a frame too long, up to its end
        self._drop = 0  # bytes outstanding behind the end of such a frame
        self._leave()

    # -- what subclasses say ---------------------------------------------------

    @abstractmethod
    def _seek(self, data: bytes | bytearray, at: int, stop: int) -> int:
        """Where the next image begins in ``data[at:stop]``; negative if none does."""

    @abstractmethod
    def _open(self, data: bytes, begin: int, stop: int) -> bytes:
        """The frame of a whole image that begins at `begin` and has its end at `stop`.

        :raises PeerError: if it is faulty.
        """

    def _beginning(self, data: bytes | bytearray, at: int) -> bytes:
        """What at the end of ``data[at:]`` may be the beginning of a mark."""
        return b""

    def _find(self, data: bytes | bytearray, at: int) -> int:
        """Where the first end begins in ``data[at:]``; negative if there is none."""
        return data.find(self._end, at)

    def _ending(self, data: bytes) -> bytes:
        """What at the end of `data` may be the beginning of an end."""
        return beginning_of(self._end, data)

    def _others(self, data: bytes, begin: int, stop: int) -> list[int]:
        """Where else a bad image, whose end is at `stop`, may begin; at most `TRIES` places.

        The first that gives a good frame is taken. The last place comes first: behind
        what was torn the next frame begins once, while in noise anything may.
        """
        return []

    def _measure(self, data: bytes | bytearray, at: int, stop: int) -> int:
        """What ``data[at:stop]`` adds to the size of a payload."""
        return stop - at

    # -- the contract ------------------------------------------------------------

    def feed(self, data: bytes) -> list[bytes]:
        frames: list[bytes] = []
        if self.fault is not None:
            return frames
        self._after = []
        if self._carry:
            whole = self._resume(data)
            if whole is None:
                return frames
            data = whole
        elif self._held:
            data = self._held + data
            self._held = b""
        at = self._pass_over_rest(data) if self._passing or self._drop else 0
        while at < len(data):
            at = self._scan(data, at, frames)
        return frames

    def eof(self) -> bytes:
        return bytes(self._carry) + self._held

    def unread(self, data: bytes, frames: Sequence[bytes]) -> bytes:
        taken = len(self._after) - len(frames)
        # Each of the frames ended in this chunk.
        return data[len(data) - self._after[taken - 1] :] if taken else self.eof()

    @property
    def begun(self) -> bool:
        return bool(self._carry or self._held or self._passing or self._drop)

    # -- frames, in place ------------------------------------------------------------

    def _scan(self, data: bytes, at: int, frames: list[bytes]) -> int:
        """Cut out what is whole; return where to go on, or the end of the data."""
        size = len(data)
        seek, find, frame_of = self._seek, self._find, self._open
        mark, most, restarts = self._mark, self._most, self._restarts
        within = len(self._end) - 1  # of an end, where another frame may still begin
        closing = len(self._end) + self._behind
        while at < size:
            begin = seek(data, at, size)
            if begin != at:
                begin = self._pass_noise(data, at, begin)
                if begin == size:
                    return size
            self._noisy = False
            inside = begin + mark
            stop = find(data, inside)
            if not 0 <= stop - inside <= most or (
                restarts and seek(data, inside, stop + within) >= 0
            ):
                at = self._odd(data, begin, stop)
                if at >= 0:
                    return at
            at = stop + closing
            if at > size:
                self._carry += data[begin:]
                self._need = at - begin
                return size
            try:
                frame = frame_of(data, begin, stop)
            except PeerError as error:
                return self._bad(error, data, begin, stop, frames)
            frames.append(frame)
            self._after.append(size - at)
            self._over = False
        return size

    def _pass_noise(self, data: bytes, at: int, begin: int) -> int:
        """See to what stands before the image at `begin`; return that place, or the end."""
        size = len(data)
        if begin < 0:
            self._held = self._beginning(data, at)
            begin = size - len(self._held)
        stray = data[at:begin].lstrip(self.quiet)
        if stray and not (self._noisy or self._over):
            error = BadFrame(self.noise, stray)
            if not self._skip:
                self._held = b""
                self._fail(error, data, begin - len(stray))
                return size
            self._noisy = True
            self.pass_over(error, stray)
        return size if self._held else begin

    def _fail(self, error: PeerError, data: bytes | bytearray, begin: int) -> None:
        """The stream is poisoned from ``data[begin:]`` on."""
        self.fault = error
        if data is self._carry:  # then it begins there: no copy of what may be large
            self._need = 0
        else:
            self._leave()
            with memoryview(data) as whole:
                self._carry += whole[begin:]
        self.show_rejected(error, self._carry)

    # -- what is no good frame -----------------------------------------------------------

    def _bad(
        self, error: PeerError, data: bytes, begin: int, stop: int, frames: list[bytes]
    ) -> int:
        """A whole image is faulty; return where to go on."""
        size = len(data)
        at = stop + len(self._end) + self._behind
        if not self._skip:
            self._fail(error, data, begin)
            return size
        for place in self._others(data, begin, stop):
            try:
                frame = self._open(data, place, stop)
            except PeerError:
                continue
            self._complain(error, data, begin, place)
            frames.append(frame)
            self._after.append(size - at)
            self._over = False
            return at
        self._complain(error, data, begin, at)
        self._over = False
        if not self._behind or self._behind > SHORT_TRAILER:
            return at
        # The frame may have been torn so late that the next begins where its trailer was.
        self._noisy = True
        return max(begin + 1, stop - self._mark + 1)

    def _odd(self, data: bytes, begin: int, stop: int) -> int:
        """The frame at `begin` is unfinished, too long, or another begins inside it.

        :return: where to go on; negative if it is a frame after all.
        """
        size = len(data)
        if self._anew:
            return self._narrowed(data, begin, stop)
        inside = begin + self._mark
        half = b"" if stop >= 0 else self._half(data, inside)
        certain = size - len(half) if stop < 0 else stop
        length = self._measure(data, inside, certain)
        if self._exceeds(length, certain - inside):
            if self._too_long(data, begin, certain, length) and stop < 0:
                self._passing = True
                self._held = half
            elif self.fault is None:
                return self._dropped(stop, size)
            return size
        if stop < 0:
            self._carry += data[begin:]
            self._size, self._sized = length, certain - begin
            return size
        return -1

    def _narrowed(self, data: bytes, begin: int, stop: int) -> int:
        """The same for a decoder that begins anew at a beginning inside."""
        size = len(data)
        inside = begin + self._mark
        certain = size - len(self._half(data, inside)) if stop < 0 else stop
        bound = size if stop < 0 else stop + len(self._end) - 1
        place = self._narrow(data, begin, certain, bound, inside)
        if self.fault is not None:
            return size
        if place < 0:
            self._noisy = True
            lowest = inside if self._restarts else begin + 1
            return max(lowest, (size if stop < 0 else stop) - self._mark + 1)
        if stop < 0:
            self._carry += data[place:]
            return size
        return place if place != begin else -1

    def _narrow(
        self, data: bytes | bytearray, begin: int, certain: int, bound: int, look: int
    ) -> int:
        """Where the last frame begins that neither is too long nor has another inside it.

        :param certain: where that ends which is known to be payload.
        :param bound: where that ends in which another may begin.
        :param look: from where on another may begin; before it was looked at already.
        :return: negative if there is none; `fault` is set where nothing is skipped.
        """
        while True:
            inside = begin + self._mark
            following = self._seek(data, look, bound) if self._restarts else -1
            size = (certain if following < 0 else following) - inside
            if size > self._most:
                if not self._too_long(data, begin, inside + size, size):
                    return -1
                if not self._restarts:
                    following = self._seek(data, begin + 1, bound)
            elif following >= 0:
                error = BadFrame(self.torn, bytes(data[following : following + BadFrame.SHOWN]))
                if not self._skip:
                    self._fail(error, data, begin)
                    return -1
                self._complain(error, data, begin, following)
            else:
                return begin
            if following < 0:
                return -1
            begin, look = following, following + self._mark

    def _exceeds(self, length: int, wire: int) -> bool:
        return length > self._most or wire > self._most * self._doubled

    def _too_long(self, data: bytes | bytearray, begin: int, certain: int, length: int) -> bool:
        """A frame is too long; return whether it is passed over."""
        size = max(length, self._most + 1) + self._limit - self._most
        error = FrameTooLong(self._limit, size)
        if not self._skip:
            self._fail(error, data, begin)
            return False
        self._complain(error, data, begin, certain)
        self._over = self._anew
        return True

    def _complain(self, error: PeerError, data: bytes | bytearray, at: int, stop: int) -> None:
        """Count ``data[at:stop]``, unless it is the rest of what was counted."""
        if not self._over:
            self.pass_over(error, data[at : min(stop, at + SHOWN_REJECTED)])

    # -- a frame that is carried ---------------------------------------------------

    def _leave(self) -> None:
        """Carry nothing."""
        self._carry = bytearray()  # the image begun, as received
        self._need = 0  # how long it is, once its end was seen
        self._size = self._sized = 0  # what was measured of it, and up to where

    def _resume(self, data: bytes) -> bytes | None:
        """What to scan in place; None if the frame begun is still unfinished."""
        carry, mark = self._carry, self._mark
        old = len(carry)
        carry += data
        if self._need:
            if len(carry) < self._need:
                return None
        elif self._find(carry, max(mark, old - len(self._end) + 1)) < 0:
            self._grown(old)
            return None
        self._leave()  # two copies at a time are enough
        return bytes(carry)

    def _grown(self, old: int) -> None:
        """See to the limit, and to another beginning, in what was added to the carry."""
        carry, mark = self._carry, self._mark
        half = self._half(carry, mark)
        certain = len(carry) - len(half)
        if not self._anew:
            self._size += self._measure(carry, self._sized, certain)
            self._sized = certain
            if self._exceeds(self._size, certain - mark) and self._too_long(
                carry, 0, certain, self._size
            ):
                self._leave()
                self._passing = True
                self._held = half
            return
        begin = self._narrow(carry, 0, certain, len(carry), max(mark, old - mark + 1))
        if self.fault is not None:
            return
        if begin < 0:
            lowest = mark if self._restarts else 1
            self._held = self._beginning(carry, max(lowest, len(carry) - mark + 1))
            self._noisy = True
            self._leave()
        elif begin:
            del carry[:begin]

    def _half(self, data: bytes | bytearray, inside: int) -> bytes:
        """The last bytes of a frame that may be the beginning of a mark or an end."""
        before = max(len(self._end), self._mark) - 1
        if before <= 0:
            return b""
        recent = bytes(data[max(inside, len(data) - before) :])
        half = self._ending(recent)
        if self._restarts:
            half = max(half, self._beginning(recent, 0), key=len)
        return half

    # -- passing over ------------------------------------------------------------------

    def _dropped(self, stop: int, size: int) -> int:
        """Pass over an end and what follows it; return where to go on."""
        at = stop + len(self._end) + self._behind
        self._drop = max(0, at - size)
        return min(at, size)

    def _pass_over_rest(self, data: bytes) -> int:
        """Pass over the rest of a frame that is too long; return where to go on."""
        size = len(data)
        if self._drop:
            at = min(self._drop, size)
            self._drop -= at
            return at
        stop = self._find(data, 0)
        if stop < 0:
            self._held = self._ending(data[max(0, size - len(self._end) + 1) :])
            return size
        self._passing = False
        return self._dropped(stop, size)


def beginning_of(mark: bytes, data: bytes) -> bytes:
    """The longest end of `data` that is a beginning of `mark`, but not all of it."""
    most = min(len(mark) - 1, len(data))
    return next((mark[:n] for n in range(most, 0, -1) if data.endswith(mark[:n])), b"")
