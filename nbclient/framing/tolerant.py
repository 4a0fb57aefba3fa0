"""``octet-counted,tolerant``: what senders of syslog over TCP really send.

Messages behind their count, as RFC 6587 wants it, with or without a line feed
between; and lines without a count, as older senders have it. Which of the two a
message is, its first byte shows: rsyslog's imtcp decides in the same way.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from nbclient.errors import BadFrame, FrameTooLong, PeerError
from nbclient.framing.base import Decoder

CR, LF = b"\r", b"\n"

_DIGITS = re.compile(rb"[0-9]+")


class TolerantDecoder(Decoder):
    """A count and as many bytes where a digit is first, else a line."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        # One digit more than may be is what tells a number too large from one unfinished.
        self._longest = len(str(limit)) + 1
        self._carry = bytearray()  # of the message begun, its count included
        self._need = 0  # how long the carry is with the whole message, once that is known
        self._begins = 0  # where in it the message begins
        self._after: list[int] = []  # bytes of the latest chunk behind each of its frames

    def feed(self, data: bytes) -> list[bytes]:
        frames: list[bytes] = []
        if self.fault is not None:
            return frames
        self._after = []
        at = 0
        while at < len(data):
            at = self._next(data, at, frames)
        return frames

    def eof(self) -> bytes:
        return bytes(self._carry)

    def unread(self, data: bytes, frames: Sequence[bytes]) -> bytes:
        taken = len(self._after) - len(frames)
        return data[len(data) - self._after[taken - 1] :] if taken else self.eof()

    @property
    def begun(self) -> bool:
        return bool(self._carry)

    def _next(self, data: bytes, at: int, frames: list[bytes]) -> int:
        """Go on with the message begun, or begin one; return where to go on."""
        carry = self._carry
        if not carry and data.startswith(LF, at):
            return at + 1
        if not self._need and (carry[:1] or data[at : at + 1]).isdigit():
            return self._count(data, at)
        size = len(data)
        if self._need:
            stop = behind = min(size, at + self._need - len(carry))
            whole = stop - at == self._need - len(carry)
        else:
            stop = data.find(LF, at)
            whole = stop >= 0
            stop, behind = (stop, stop + 1) if whole else (size, size)
            if len(carry) + stop - at > self._limit:
                return self._fail(FrameTooLong(self._limit, len(carry) + stop - at), data, at)
        if whole and not self._need and (carry + data[at : min(stop, at + 2)]) == CR:
            carry.clear()  # CR LF behind a message, or an empty line
            return behind
        if whole and not carry:
            frames.append(data[at:stop])
        else:
            carry += data[at:stop]
            if not whole:
                return size
            with memoryview(carry) as message:
                frames.append(bytes(message[self._begins :]))
            carry.clear()
        self._need = self._begins = 0
        self._after.append(size - behind)
        return behind

    def _count(self, data: bytes, at: int) -> int:
        """Take digits and the space behind them; return where the message begins."""
        carry = self._carry
        part = data[at : at + self._longest + 1 - len(carry)]
        header = bytes(carry + part)
        digits = _DIGITS.match(header)[0]  # type: ignore[index]
        if digits.startswith(b"0"):
            wrong: PeerError = BadFrame("expected a count without zeros before it", header)
        elif int(digits) > self._limit:
            wrong = FrameTooLong(self._limit, int(digits), declared=True)
        elif len(header) == len(digits):
            carry += part
            return len(data)
        elif header[len(digits) : len(digits) + 1] != b" ":
            wrong = BadFrame("expected a count and a space", header)
        else:
            self._begins = len(digits) + 1
            self._need = self._begins + int(digits)
            taken = self._begins - len(carry)
            carry += part[:taken]
            return at + taken
        return self._fail(wrong, data, at)

    def _fail(self, error: PeerError, data: bytes, at: int) -> int:
        self.fault = error
        self._carry += data[at:]
        self.show_rejected(error, self._carry)
        return len(data)
