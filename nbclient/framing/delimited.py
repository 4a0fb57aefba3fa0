"""Frames that end with a delimiter: ``lines``, ``crlf`` and ``delimiter:``.

One decoder serves all of them. It cuts a whole chunk with one call of
``split``; what is left at the end goes to a carry that no later chunk searches
again. The bytes at the very end which may be the beginning of a delimiter are
held apart from the carry and put before the next chunk, so that a delimiter
split over two chunks needs no special case, and the carry is exactly what is
known to be frame.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import field, frozen

from nbclient.errors import FrameError, FrameTooLong, SpecError
from nbclient.framing.base import MAX_FRAME, Decoder, Framing, check_limit

ON_BAD_FRAME = ("close", "skip")
LONGEST_DELIMITER = 256

# Numbers, for to look for a byte is several times as quick as for bytes that are one.
CR, LF = b"\r\n"

QUICK_FROM = 512
"""Bytes of a chunk from which on `CrlfDecoder` gains by its quick way."""


def lines(max_frame: int = MAX_FRAME, on_bad_frame: str = "close") -> Framing:
    """Lines that end in LF; one CR before the LF is dropped, as telnet and nc users expect.

    A frame to be sent may neither hold LF nor end in CR.

    :param max_frame: the longest line accepted, bytes, without its end.
    :param on_bad_frame: ``close`` poisons the stream at a line over the limit,
        ``skip`` passes that line over.
    :raises SpecError: if an argument is out of range.
    """
    return Lines(max_frame, on_bad_frame)


def crlf(max_frame: int = MAX_FRAME, on_bad_frame: str = "close") -> Framing:
    """Lines that end in CR LF, the network virtual terminal's line end (RFC 854).

    A CR or LF alone is part of the line. Arguments and errors as `lines`.
    """
    return Delimited(b"\r\n", max_frame, on_bad_frame)


def delimiter(delimiter: bytes, max_frame: int = MAX_FRAME, on_bad_frame: str = "close") -> Framing:
    """Frames that end in `delimiter`, one byte or several.

    A frame to be sent may not hold the delimiter, nor end so that the
    delimiter would be found early. Arguments and errors as `lines`.

    :raises SpecError: also if the delimiter is empty or over 256 bytes.
    """
    return Delimited(delimiter, max_frame, on_bad_frame)


@frozen(slots=False)
class Delimited(Framing):
    """The recipe behind `crlf` and `delimiter`."""

    delimiter: bytes
    max_frame: int = MAX_FRAME
    on_bad_frame: str = "close"
    line_like: bool = field(init=False, repr=False, eq=False)

    @line_like.default
    def _is_line_like(self) -> bool:
        return self.delimiter == b"\r\n"

    def __attrs_post_init__(self) -> None:
        # The end of every chunk is compared with every beginning of the delimiter.
        if not 1 <= len(self.delimiter) <= LONGEST_DELIMITER:
            raise SpecError(
                f"a delimiter has 1 to {LONGEST_DELIMITER} bytes, not {len(self.delimiter)}"
            )
        check_limits(self.max_frame, self.on_bad_frame)

    def __str__(self) -> str:
        if self.delimiter == b"\r\n":
            return "crlf"
        return "delimiter:" + escaped(self.delimiter)

    def decoder(self) -> Decoder:
        skip = self.on_bad_frame == "skip"
        if self.delimiter == b"\r\n":
            return CrlfDecoder(self.max_frame, skip)
        return DelimitedDecoder(self.delimiter, self.max_frame, skip)

    def check(self, frames: Sequence[bytes]) -> None:
        # A frame without the delimiter's first byte cannot be cut early, and
        # none is longer than all together: one search clears a whole batch.
        together = b"".join(frames)
        limit = self.max_frame
        over = len(together) > limit and max(map(len, frames)) > limit
        if over or self.delimiter[0] in together:
            for frame in frames:
                check_size(frame, limit)
                check_cut(frame, self.delimiter)

    def encode(self, frames: Sequence[bytes]) -> list[bytes]:
        self.check(frames)
        end = self.delimiter
        return [frame + end for frame in frames]

    def joined(self, frames: Sequence[bytes]) -> bytes:
        self.check(frames)
        return self.delimiter.join([*frames, b""])

    def image(self, frame: bytes) -> bytes:
        end = self.delimiter
        if end[0] in frame or len(frame) > self.max_frame:
            self.check((frame,))
        return frame + end


@frozen(slots=False)
class Lines(Framing):
    """The recipe behind `lines`."""

    max_frame: int = MAX_FRAME
    on_bad_frame: str = "close"
    line_like = True

    def __attrs_post_init__(self) -> None:
        check_limits(self.max_frame, self.on_bad_frame)

    def __str__(self) -> str:
        return "lines"

    def decoder(self) -> Decoder:
        return LinesDecoder(self.max_frame, self.on_bad_frame == "skip")

    def check(self, frames: Sequence[bytes]) -> None:
        together = b"".join(frames)
        limit = self.max_frame
        over = len(together) > limit and max(map(len, frames)) > limit
        if over or LF in together or CR in together:
            for frame in frames:
                check_size(frame, limit)
                check_cut(frame, b"\n")
                if frame.endswith(b"\r"):
                    raise FrameError("a frame of lines cannot end in CR: it would be dropped")

    def encode(self, frames: Sequence[bytes]) -> list[bytes]:
        self.check(frames)
        return [frame + b"\n" for frame in frames]

    def joined(self, frames: Sequence[bytes]) -> bytes:
        self.check(frames)
        return b"\n".join([*frames, b""])

    def image(self, frame: bytes) -> bytes:
        if LF in frame or CR in frame or len(frame) > self.max_frame:
            self.check((frame,))
        return frame + b"\n"


class DelimitedDecoder(Decoder):
    """Cuts at a delimiter; the first one found from the left ends a frame."""

    def __init__(self, delimiter: bytes, limit: int, skip: bool) -> None:
        self._delimiter = delimiter
        self._limit = limit
        self._skip = skip
        # What may be the beginning of a delimiter at the end of a chunk, longest first.
        self._beginnings = tuple(delimiter[:n] for n in range(len(delimiter) - 1, 0, -1))
        self._carry = bytearray()  # of the frame begun: certainly not of its delimiter
        self._held = b""  # behind the carry: one of the beginnings
        self._lead = b""  # what was held when the latest chunk came
        self._passing = False  # inside an over-long frame that is being skipped
        self._sound: int | None = None  # pieces of the latest chunk before the fault
        self.fault = None  # quicker to read where it is the decoder's own

    def feed(self, data: bytes) -> list[bytes]:
        if self.fault is not None:
            return []
        lead = self._lead = self._held
        chunk = lead + data if lead else data
        frames = self._cut(chunk)
        rest = frames.pop()
        # A frame over the limit was carried in part, or the chunk is larger than
        # the limit: otherwise there is nothing to look for.
        if frames and (self._carry or self._passing or len(chunk) > self._limit):
            frames = self._finish(frames, chunk)
        if (rest or lead) and self.fault is None:
            self._keep(rest)
        return frames

    def eof(self) -> bytes:
        # While passing, what is held may be the beginning of an end: it is passed over, too.
        return b"" if self._passing else bytes(self._carry) + self._held

    def unread(self, data: bytes, frames: Sequence[bytes]) -> bytes:
        pieces = (self._lead + data).split(self._delimiter)
        at = len(pieces) - 1 if self._sound is None else self._sound
        untaken = len(frames)
        # Backwards over the frames nobody took and over what was skipped, to
        # the end of the last frame taken.
        while at and (untaken or self._size(pieces[at - 1]) > self._limit):
            at -= 1
            untaken -= self._size(pieces[at]) <= self._limit
        return self._delimiter.join(pieces[at:]) if at else self.eof()

    @property
    def begun(self) -> bool:
        return bool(self._carry or self._held or self._passing)

    def _cut(self, chunk: bytes) -> list[bytes]:
        """The pieces between delimiters, the last one as received."""
        return chunk.split(self._delimiter)

    def _size(self, piece: bytes) -> int:
        """The length of the frame that `piece`, as received, stands for."""
        return len(piece)

    def _finish(self, frames: list[bytes], chunk: bytes) -> list[bytes]:
        """Put what was carried before the first frame and see to the limit."""
        carry = self._carry
        if self._passing:
            self._passing = False
            del frames[0]
        elif carry:
            frames[0] = b"".join((carry, frames[0]))
        over = carry and len(frames[0]) > self._limit
        if over or (len(chunk) > self._limit and max(map(len, frames), default=0) > self._limit):
            return self._sift(frames, chunk)
        if carry:
            self._carry = bytearray()
        return frames

    def _sift(self, frames: list[bytes], chunk: bytes) -> list[bytes]:
        """Skip the over-long frames, or stop at the first."""
        carry = self._carry
        self._carry = bytearray()
        if self._skip:
            for frame in frames:
                if len(frame) > self._limit:
                    self.pass_over(FrameTooLong(self._limit, len(frame)), frame)
            return [frame for frame in frames if len(frame) <= self._limit]
        at = next(n for n, frame in enumerate(frames) if len(frame) > self._limit)
        self.fault = FrameTooLong(self._limit, len(frames[at]))
        self._sound = at
        self._held = b""
        if at == 0:
            self._carry = carry
        self._carry += self._delimiter.join(chunk.split(self._delimiter)[at:])
        self.show_rejected(self.fault, self._carry)
        return frames[:at]

    def _keep(self, rest: bytes) -> None:
        """Carry the unterminated rest, as far as the limit allows."""
        held = b""
        if rest.endswith(self._beginnings):
            held = next(start for start in self._beginnings if rest.endswith(start))
            rest = rest[: -len(held)]
        self._held = held
        if self._passing:
            return
        self._carry += rest
        if len(self._carry) > self._limit:
            self._overrun()

    def _overrun(self) -> None:
        error = FrameTooLong(self._limit, len(self._carry))
        if not self._skip:
            self.fault = error
            self.show_rejected(error, self.eof())
            return
        self.pass_over(error, self._carry)
        self._passing = True
        self._carry = bytearray()


class CrlfDecoder(DelimitedDecoder):
    """Cuts at CR LF, the quick way as long as nothing else looks like a line's end."""

    _quick = True

    def __init__(self, limit: int, skip: bool) -> None:
        super().__init__(b"\r\n", limit, skip)

    def _cut(self, chunk: bytes) -> list[bytes]:
        if len(chunk) < QUICK_FROM or not self._quick:
            return chunk.split(b"\r\n")
        end = chunk.rfind(b"\r\n") + 2
        if end == 1:  # there is none
            return [chunk]
        frames = chunk[:end].splitlines()
        if not ended_by_crlf(frames, end):
            self._quick = False  # such a peer will do it again
            return chunk.split(b"\r\n")
        frames.append(chunk[end:])
        return frames


class LinesDecoder(DelimitedDecoder):
    """Cuts at LF and drops one CR before it."""

    def __init__(self, limit: int, skip: bool) -> None:
        super().__init__(b"\n", limit, skip)
        # Held like the beginning of a delimiter, for it may turn out to be dropped.
        self._beginnings = (b"\r",)

    def _cut(self, chunk: bytes) -> list[bytes]:
        if CR not in chunk:
            return chunk.split(b"\n")
        end = chunk.rfind(b"\n") + 1
        whole = chunk[:end]
        frames = whole.splitlines()
        # splitlines also cuts at a CR alone: then there are more pieces than LFs.
        if not ended_by_crlf(frames, end) and len(frames) != whole.count(b"\n"):
            pieces = whole.split(b"\n")
            pieces.pop()
            frames = [piece[:-1] if piece.endswith(b"\r") else piece for piece in pieces]
        frames.append(chunk[end:])
        return frames

    def _size(self, piece: bytes) -> int:
        return len(piece) - piece.endswith(b"\r")


def ended_by_crlf(lines: list[bytes], size: int) -> bool:
    """Whether CR LF ended each of these lines, and nothing else did.

    ``splitlines`` of bytes cuts at LF, CR and CR LF, in less time than ``split`` takes
    for two bytes. What is missing of the bytes tells which: two a line, or fewer.

    :param lines: all that ``splitlines`` made of `size` bytes with a line end last.
    """
    return len(b"".join(lines)) + 2 * len(lines) == size


def check_limits(max_frame: int, on_bad_frame: str) -> None:
    """Refuse a limit that no frame could meet, and an unknown policy.

    :raises SpecError: as said.
    """
    check_limit(max_frame)
    if on_bad_frame not in ON_BAD_FRAME:
        raise SpecError(f"on_bad_frame must be close or skip, not {on_bad_frame!r}")


def check_size(frame: bytes, max_frame: int) -> None:
    """Refuse a frame over the limit.

    :raises FrameError: as said.
    """
    if len(frame) > max_frame:
        raise FrameError(f"a frame of {len(frame)} bytes is over the limit of {max_frame}")


def check_cut(frame: bytes, delimiter: bytes) -> None:
    """Refuse a frame in which, once its delimiter follows, that would be found early.

    :raises FrameError: as said.
    """
    at = (frame + delimiter).find(delimiter)
    if at != len(frame):
        raise FrameError(
            f"a frame of {len(frame)} bytes cannot be sent: "
            f"it would end at byte {at}, where the delimiter {delimiter!r} is found"
        )


def escaped(text: bytes, comma: bool = False) -> str:
    """The bytes in the notation of a SPEC.

    :param comma: whether a comma would end them there.
    """
    named = {0x5C: "\\\\", 0x0A: "\\n", 0x0D: "\\r", 0x09: "\\t"}
    plain = set(range(0x21, 0x7F)) - ({0x2C} if comma else set())
    return "".join(
        named.get(byte) or (chr(byte) if byte in plain else f"\\x{byte:02x}") for byte in text
    )
