"""``astm``: messages of laboratory instruments over ASTM E1381 (CLSI LIS1-A), received."""

from __future__ import annotations

import re
from collections.abc import Sequence

from attrs import frozen

from nbclient.errors import BadFrame, FrameError, FrameTooLong, PeerError
from nbclient.framing.base import MAX_FRAME, SHOWN_REJECTED, Decoder, Framing
from nbclient.framing.checksums import checksum_named
from nbclient.framing.delimited import check_limits

STX, ETX, EOT, ENQ, ACK, NAK, ETB = b"\x02", b"\x03", b"\x04", b"\x05", b"\x06", b"\x15", b"\x17"

AROUND_FRAME = len(b"\x02N\x03CC\r\n")
"""Bytes of a frame beyond its text."""

_CONTROL = re.compile(rb"[\x02-\x05\x17]")  # none of them may be text
_SUM = checksum_named("sum8-hex")


def astm(max_frame: int = MAX_FRAME, on_bad_frame: str = "close") -> Framing:
    """What an instrument sends: ENQ, frames (STX, number, text, ETX or ETB, checksum, CR LF), EOT.

    A frame here is the text up to ETX, joined where the instrument divided it in
    several frames (all but the last end in ETB). Checksums are verified; ENQ and each
    good frame are answered with ACK, a bad one with NAK, at once: before the text
    is on its way anywhere else. A frame that is sent again as it was, for the instrument
    missed the answer, is answered and dropped. Only receives.

    :param max_frame: the longest text accepted, bytes.
    :param on_bad_frame: ``close`` poisons the stream at noise, at a wrong checksum, and
        at a text that is not finished; ``skip`` passes them over, and the
        instrument sends the frame again.
    :raises SpecError: if an argument is out of range.
    """
    return Astm(max_frame, on_bad_frame)


@frozen(slots=False)
class Astm(Framing):
    """The recipe behind `astm`."""

    max_frame: int = MAX_FRAME
    on_bad_frame: str = "close"
    answers = True

    def __attrs_post_init__(self) -> None:
        check_limits(self.max_frame, self.on_bad_frame)

    def __str__(self) -> str:
        return "astm"

    @property
    def sends(self) -> bool:
        return False

    @property
    def most_held(self) -> int:
        # The text so far, and all of it as it was received, which is at most twice as much.
        return 4 * self.max_frame + super().most_held

    def decoder(self) -> Decoder:
        return AstmDecoder(self.max_frame, self.on_bad_frame == "skip")

    def encode(self, frames: Sequence[bytes]) -> list[bytes]:
        if frames:
            raise FrameError("astm cannot send: each frame would have to wait for its ACK")
        return []


class AstmDecoder(Decoder):
    """Takes one frame after the other, and joins their texts."""

    def __init__(self, limit: int, skip: bool) -> None:
        self._limit = limit
        self._skip = skip
        self._carry = bytearray()  # what has arrived of the next frame
        self._seen = 1  # how much of it need not be searched again
        self._text = bytearray()  # of the frames that end in ETB
        self._wire = bytearray()  # the same as received
        self._last = b""  # the frame taken last, of this transmission
        self._number: int | None = None  # of that frame; 0 behind ENQ
        self._wary = False  # a frame was bad: the next has to be that one again
        self._passing = False  # over the rest of a text of which something is missing
        self._noisy = False  # in a stretch of noise that was counted
        self._after: list[int] = []  # bytes of the latest chunk behind each of its frames

    def feed(self, data: bytes) -> list[bytes]:
        frames: list[bytes] = []
        if self.fault is not None:
            return frames
        self._after = []
        carry = self._carry
        carry += data
        before = -1
        while self.fault is None and 0 < len(carry) != before:
            before = len(carry)
            self._next(frames)
        return frames

    def eof(self) -> bytes:
        return bytes(self._wire + self._carry)

    def unread(self, data: bytes, frames: Sequence[bytes]) -> bytes:
        taken = len(self._after) - len(frames)
        return data[len(data) - self._after[taken - 1] :] if taken else self.eof()

    @property
    def begun(self) -> bool:
        return bool(self._carry or self._wire)

    def _next(self, frames: list[bytes]) -> None:
        """Take from the carry what comes next, if all of it is there."""
        carry = self._carry
        first = bytes(carry[:1])
        if first == STX:
            self._noisy = False
            self._frame(frames)
        elif first in (ENQ, EOT):
            self._transmission(first)
        elif first in (b"\r", b"\n"):
            if self._wire and len(self._wire) < self._most_wire:
                self._wire += first
            del carry[:1]
        else:
            self._noise()

    def _transmission(self, sign: bytes) -> None:
        """One begins or ends: nothing of a text may be left."""
        if self._wire:
            self._bad(BadFrame("expected the rest of a text", sign), self._wire, len(self._wire))
        if self.fault is not None:
            return
        del self._carry[:1]
        self._forget()
        self._last, self._wary, self._passing = b"", False, False
        self._number = 0 if sign == ENQ else None
        if sign == ENQ:
            self.say(ACK)

    @property
    def _most_wire(self) -> int:
        return 2 * self._limit + AROUND_FRAME

    def _noise(self) -> None:
        """Pass over what begins no frame, up to the next control character."""
        carry = self._carry
        control = _CONTROL.search(carry, 1)
        stop = control.start() if control else len(carry)
        if not self._noisy:
            self._noisy = True
            found = bytes(carry[: BadFrame.SHOWN])
            error = BadFrame("expected ENQ, EOT or a frame that begins with STX", found)
            self._bad(error, carry, stop)
        if self.fault is None:
            if carry.startswith(ETX):
                self._passing = False
            del carry[:stop]

    def _frame(self, frames: list[bytes]) -> None:
        """See to a frame; nothing is taken from the carry until it is complete, or bad."""
        carry = self._carry
        found = _CONTROL.search(carry, self._seen)
        stop = found.start() if found else len(carry)
        text = len(self._text) + max(0, stop - 2)
        if text > self._limit or len(self._wire) + stop > self._most_wire:
            self._lose(FrameTooLong(self._limit, max(text, self._limit + 1)), stop)
            return
        whole = stop + 1 + _SUM.size
        if found is None or (found[0] in (ETX, ETB) and len(carry) < whole):
            self._seen = max(1, stop)
            return
        image = bytes(carry[:whole])
        end = image[stop : stop + 1]
        wrong: PeerError | None
        if end not in (ETX, ETB):
            wrong, whole = BadFrame("expected ETX or ETB", image[stop:]), stop
        else:
            wrong = _SUM.fault(image[1 : stop + 1], image[stop + 1 :])
        if wrong is None and not image[1:2].isdigit():
            wrong = BadFrame("expected the number of a frame", image[1:2])
        if wrong is not None:
            self._wary = True
            self._refuse(wrong, whole)
        elif image == self._last:
            self._pass(whole)
        elif self._missing(int(image[1:2])):
            expected = (self._number or 0) + 1 & 7
            self._lose(BadFrame(f"expected frame {expected} of a text", image), whole)
            self._number, self._wary = int(image[1:2]), False
            self._passing = end == ETB
        else:
            self._take(image, stop, end == ETX, frames)

    def _missing(self, number: int) -> bool:
        """Whether a frame between the last one and this one did not arrive."""
        if self._number is None or not (self._wire or self._wary):
            return False
        return number != self._number + 1 & 7

    def _take(self, image: bytes, stop: int, last: bool, frames: list[bytes]) -> None:
        """A good frame."""
        self._pass(len(image))
        self._last = image
        self._number = int(image[1:2])
        self._wary = False
        if self._passing:
            self._passing = not last
        elif last:
            frames.append(bytes(self._text) + image[2:stop])
            self._after.append(len(self._carry))
            self._forget()
        else:
            self._text += image[2:stop]
            self._wire += image

    def _pass(self, size: int) -> None:
        del self._carry[:size]
        self._seen = 1
        self.say(ACK)

    def _forget(self) -> None:
        self._text = bytearray()
        self._wire = bytearray()

    def _lose(self, error: PeerError, size: int) -> None:
        """The text begun cannot be completed any more: pass over the rest of it."""
        self._refuse(error, size)
        if self.fault is None:
            self._forget()
            self._passing = True
            self._noisy = True  # what follows is of the same frame

    def _refuse(self, error: PeerError, size: int) -> None:
        """A frame, the next `size` bytes, is bad."""
        self._bad(error, self._carry, size)
        if self.fault is None:
            del self._carry[:size]
            self._seen = 1
            self.say(NAK)

    def _bad(self, error: PeerError, data: bytearray, size: int) -> None:
        """The first `size` bytes of `data` are."""
        if self._skip:
            self.pass_over(error, data[: min(size, SHOWN_REJECTED)])
        else:
            self.fault = error
            self.show_rejected(error, self._wire or self._carry)
