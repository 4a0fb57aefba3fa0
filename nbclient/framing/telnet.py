"""``telnet``: lines with telnet's commands among them, answered and taken out (RFC 854)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum

from attrs import frozen

from nbclient.errors import FrameError, FrameTooLong
from nbclient.framing.base import MAX_FRAME, Decoder, Framing
from nbclient.framing.delimited import check_limits, check_size

IAC, SE, SB, WILL, WONT, DO, DONT = 255, 240, 250, 251, 252, 253, 254
CR, LF, NUL = b"\r\n\0"

AGREED = {3}
"""The options that are taken up: suppress go ahead (RFC 858), which changes nothing here."""

TIMING_MARK = 6
"""The option that is no state: each DO wants an answer (RFC 860)."""

_SPECIAL = re.compile(rb"[\xff\r\n]")
_ENDS = {WONT: WILL, DONT: DO}
_REFUSALS = {WILL: (DO, DONT), DO: (WILL, WONT)}


def telnet(max_frame: int = MAX_FRAME, on_bad_frame: str = "close") -> Framing:
    """Lines of the network virtual terminal, which end in CR LF or LF (RFC 854).

    Commands (IAC …) are no part of a line: where the peer offers or asks for an option, it
    is refused, but for "suppress go ahead". Each is answered once, and again after the peer
    took it back (RFC 1143); TIMING-MARK each time (RFC 860). Subnegotiations are passed
    over; one longer than a line may be is a line over the limit. IAC IAC is one byte 0xFF,
    CR NUL a CR that ends no line. What is sent is written in the same way.

    :param max_frame: the longest line accepted, bytes without its end.
    :param on_bad_frame: ``close`` poisons the stream at a line over the limit,
        ``skip`` passes that line over.
    :raises SpecError: if an argument is out of range.
    """
    return Telnet(max_frame, on_bad_frame)


@frozen(slots=False)
class Telnet(Framing):
    """The recipe behind `telnet`."""

    max_frame: int = MAX_FRAME
    on_bad_frame: str = "close"
    line_like = True
    answers = True

    def __attrs_post_init__(self) -> None:
        check_limits(self.max_frame, self.on_bad_frame)

    def __str__(self) -> str:
        return "telnet"

    @property
    def most_held(self) -> int:
        # After a fault the line begun is kept as it was received.
        return 2 * self.max_frame + super().most_held

    def decoder(self) -> Decoder:
        return TelnetDecoder(self.max_frame, self.on_bad_frame == "skip")

    def check(self, frames: Sequence[bytes]) -> None:
        for frame in frames:
            check_size(frame, self.max_frame)
            if LF in frame:
                raise FrameError("a line of telnet cannot hold LF: it would end there")

    def encode(self, frames: Sequence[bytes]) -> list[bytes]:
        self.check(frames)
        return [_written(frame) + b"\r\n" for frame in frames]


def _written(line: bytes) -> bytes:
    return line.replace(b"\xff", b"\xff\xff").replace(b"\r", b"\r\0")


class _In(Enum):
    """What the next byte belongs to; the value is what came before it, as received."""

    LINE = b""
    CR = b"\r"
    COMMAND = b"\xff"
    WILL = b"\xff\xfb"
    WONT = b"\xff\xfc"
    DO = b"\xff\xfd"
    DONT = b"\xff\xfe"
    SUB = b"\xff\xfa"
    SUB_COMMAND = b"\xff\xfa\xff"


_ASKING = {state.value[1]: state for state in (_In.WILL, _In.WONT, _In.DO, _In.DONT)}


class TelnetDecoder(Decoder):
    """Goes from special byte to special byte; the line begun is held as it is handed over."""

    def __init__(self, limit: int, skip: bool) -> None:
        self._limit = limit
        self._skip = skip
        self._state = _In.LINE
        self._line = bytearray()  # the line begun; after a fault, as it was received
        self._passing = False  # over the rest of a line that is too long
        self._answered: set[tuple[int, int]] = set()  # what was asked, and of which option
        self._sub = 0  # bytes of the subnegotiation begun
        self._after: list[int] = []  # bytes of the latest chunk behind each of its frames

    def feed(self, data: bytes) -> list[bytes]:
        frames: list[bytes] = []
        if self.fault is not None:
            return frames
        self._after = []
        at = 0
        while at < len(data):
            if self._state is _In.LINE:
                at = self._in_line(data, at, frames)
            elif self._state is _In.SUB:
                at = self._in_sub(data, at)
            else:
                at = self._special(data, at, frames)
        return frames

    def eof(self) -> bytes:
        line = bytes(self._line)
        return line if self.fault is not None else _written(line) + self._state.value

    def unread(self, data: bytes, frames: Sequence[bytes]) -> bytes:
        taken = len(self._after) - len(frames)
        return data[len(data) - self._after[taken - 1] :] if taken else self.eof()

    @property
    def begun(self) -> bool:
        return bool(self._line) or self._passing or self._state is not _In.LINE

    def _in_line(self, data: bytes, at: int, frames: list[bytes]) -> int:
        match = _SPECIAL.search(data, at)
        stop = match.start() if match else len(data)
        if not self._put(data[at:stop], data, stop):
            return len(data)
        if match is None:
            return stop
        if data[stop] == LF:
            self._end(len(data) - stop - 1, frames)
        else:
            self._state = _In.CR if data[stop] == CR else _In.COMMAND
        return stop + 1

    def _in_sub(self, data: bytes, at: int) -> int:
        found = data.find(b"\xff", at)
        stop = len(data) if found < 0 else found + 1
        self._sub += stop - at
        if self._sub > self._limit:
            return self._endless(data, at, stop)
        if found >= 0:
            self._state = _In.SUB_COMMAND
        return stop

    def _endless(self, data: bytes, at: int, stop: int) -> int:
        """A subnegotiation over the limit: it counts as a line over the limit."""
        error = FrameTooLong(self._limit, self._limit + 1)
        if not self._skip:
            return self._fail(error, _In.SUB.value + data[at:], len(data))
        stop -= self._sub - self._limit  # the same place however the bytes were cut
        if not self._passing:
            self.pass_over(error, self._line + _In.SUB.value + data[at:stop])
        self._state = _In.LINE
        self._passing = True
        self._line = bytearray()
        return stop

    def _special(self, data: bytes, at: int, frames: list[bytes]) -> int:
        """See to the byte behind a CR, an IAC or one of its commands."""
        byte, state = data[at], self._state
        self._state = _In.LINE
        if state is _In.CR:
            if byte == LF:
                self._end(len(data) - at - 1, frames)
            else:
                behind = at + (byte == NUL)
                return behind if self._put(b"\r", data, behind) else len(data)
        elif state is _In.COMMAND:
            if byte == IAC:
                return at + 1 if self._put(b"\xff", data, at + 1) else len(data)
            self._sub = 0
            self._state = _In.SUB if byte == SB else _ASKING.get(byte, _In.LINE)
        elif state is _In.SUB_COMMAND:
            self._state = _In.LINE if byte == SE else _In.SUB
        else:
            self._negotiate(state.value[1], byte)
        return at + 1

    def _negotiate(self, asked: int, option: int) -> None:
        if asked in _ENDS:
            begun = (_ENDS[asked], option)
            if begun not in self._answered:
                return
            self._answered.remove(begun)  # it may be asked again
            if option not in AGREED:
                return
            asked = begun[0]
        elif (asked, option) in self._answered:
            return
        elif (asked, option) != (DO, TIMING_MARK):
            # Once in each state: an answer to an answer would never end.
            self._answered.add((asked, option))
            if option in AGREED:
                self.say(bytes([IAC, _REFUSALS[asked][0], option]))
                return
        self.say(bytes([IAC, _REFUSALS[asked][1], option]))

    def _put(self, part: bytes, data: bytes, stop: int) -> bool:
        """Add to the line; return whether decoding goes on, at `stop`."""
        if self._passing:
            return True
        self._line += part
        if len(self._line) <= self._limit:
            return True
        error = FrameTooLong(self._limit, len(self._line))
        if self._skip:
            self.pass_over(error, self._line)
            self._passing = True
            self._line = bytearray()
            return True
        self._fail(error, data[stop:], stop)
        return False

    def _fail(self, error: FrameTooLong, rest: bytes, stop: int) -> int:
        """Poison the stream; hold the line begun and `rest` as received. Returns `stop`."""
        self.fault = error
        for byte, written in ((b"\xff", b"\xff\xff"), (b"\r", b"\r\0")):
            self._line = self._line.replace(byte, written)
        self._line += rest
        self.show_rejected(error, self._line)
        return stop

    def _end(self, after: int, frames: list[bytes]) -> None:
        """The line is complete."""
        line, self._line = bytes(self._line), bytearray()
        if self._passing:
            self._passing = False
            return
        frames.append(line)
        self._after.append(after)
