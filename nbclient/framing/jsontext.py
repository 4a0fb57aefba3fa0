"""JSON values one after another, with or without space between them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from attrs import frozen

from nbclient.errors import BadFrame, FrameError, FrameTooLong, PeerError
from nbclient.framing.base import MAX_FRAME, Decoder, Framing, check_limit
from nbclient.framing.delimited import check_size

MOST_NESTED = 512
"""How deep arrays and objects may be nested; Python's own reader stops at about twice that."""

_QUOTE = ord('"')
_CLOSERS = {ord("{"): ord("}"), ord("["): ord("]")}

BOM = b"\xef\xbb\xbf"
"""The byte order mark of UTF-8, which some senders put before a text."""

# What may stand between two texts: white space, RS (RFC 7464) and NUL.
_VALUE = re.compile(rb"[^ \t\r\n\x1e\0]")
_PLAIN_BEGINS = b"-0123456789tfn"
_PLAIN = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null")
# What ends a number or a literal.
_PLAIN_END = re.compile(rb'[ \t\r\n\x1e\0\xef"{}\[\],:]')
# The rest of a string, and what may be passed over on the way to a bracket:
# repeated a bounded number of times, as each takes memory while it is matched.
_IN_STRING = re.compile(rb'[^"\\]*(?:\\.[^"\\]*){0,64}', re.DOTALL)
_IN_NEST = re.compile(rb'[^"{}\[\]]*(?:"[^"\\]*(?:\\.[^"\\]*){0,16}"[^"{}\[\]]*){0,64}', re.DOTALL)


def json(max_frame: int = MAX_FRAME) -> Framing:
    """JSON values (RFC 8259) one after another; white space between them is optional.

    A frame is the text of an object, array, string, number or literal as it was
    received. Only what tells where it ends is looked at (strings, nesting to
    512 levels, the form of numbers and literals): what is between the brackets
    may still not be JSON. A number or a literal ends with what follows it. RS (0x1E,
    of JSON text sequences, RFC 7464), NUL and the byte order mark of UTF-8 are
    passed over between two values.

    A frame to be sent is one value, without white space around it; LF follows.

    :param max_frame: the longest value accepted, bytes.
    :raises SpecError: if it is less than 1.
    """
    return Json(max_frame)


@frozen(slots=False)
class Json(Framing):
    """The recipe behind `json`."""

    max_frame: int = MAX_FRAME

    def __attrs_post_init__(self) -> None:
        check_limit(self.max_frame)

    def __str__(self) -> str:
        return "json"

    def decoder(self) -> Decoder:
        return JsonDecoder(self.max_frame)

    def check(self, frames: Sequence[bytes]) -> None:
        for frame in frames:
            check_size(frame, self.max_frame)
            if JsonDecoder(self.max_frame).feed(frame + b"\n") != [frame]:
                raise FrameError(f"a frame of {len(frame)} bytes is not one JSON value")

    def encode(self, frames: Sequence[bytes]) -> list[bytes]:
        self.check(frames)
        return [frame + b"\n" for frame in frames]


class JsonDecoder(Decoder):
    """Looks at each byte once; where it is inside a value is kept from chunk to chunk."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._after: list[int] = []  # bytes of the latest chunk behind each of its frames
        self._held = b""  # the beginning of a byte order mark
        self._carry = bytearray()  # of the value begun
        self._closers = bytearray()  # what ends the arrays and objects begun, innermost last
        self._plain = False  # in a number or a literal
        self._quoted = False  # in a string
        self._escaped = False  # the first byte of the next chunk is escaped
        self._wrong: BadFrame | None = None

    def feed(self, data: bytes) -> list[bytes]:
        frames: list[bytes] = []
        if self.fault is not None:
            return frames
        self._after = []
        if self._held:
            data = self._held + data
            self._held = b""
        begin = at = 0
        if not self._carry:
            begin, at = self._start(data, 0)
        while begin < len(data) and self.fault is None:
            stop = self._advance(data, at)
            part = data[begin : stop if stop >= 0 else len(data)]
            if len(self._carry) + len(part) > self._limit:
                self._fail(FrameTooLong(self._limit, len(self._carry) + len(part)), data[begin:])
            elif self._wrong is not None:
                self._fail(self._wrong, data[begin:])
            elif stop < 0:
                self._carry += part
                break
            else:
                self._finish(data, begin, stop, frames)
                begin, at = self._start(data, stop)
        return frames

    def eof(self) -> bytes:
        return bytes(self._carry) + self._held

    def unread(self, data: bytes, frames: Sequence[bytes]) -> bytes:
        taken = len(self._after) - len(frames)
        return data[len(data) - self._after[taken - 1] :] if taken else self.eof()

    @property
    def begun(self) -> bool:
        return bool(self._carry or self._held)

    def _fail(self, error: PeerError, data: bytes) -> None:
        self.fault = error
        self._carry += data
        self.show_rejected(error, self._carry)

    def _start(self, data: bytes, at: int) -> tuple[int, int]:
        """Where the next value begins, and where to look on; the end of the data for none."""
        match = _VALUE.search(data, at)
        begin = match.start() if match is not None else len(data)
        if match is not None and data[begin] == BOM[0]:
            begin = self._behind_marks(data, begin)
        if begin == len(data) or self.fault is not None:
            return len(data), len(data)
        first = data[begin]
        if first in _CLOSERS:
            self._closers.append(_CLOSERS[first])
        elif first == _QUOTE:
            self._quoted = True
        elif first in _PLAIN_BEGINS:
            self._plain = True
            return begin, begin
        else:
            self._wrong = BadFrame("expected a JSON value", data[begin : begin + BadFrame.SHOWN])
        return begin, begin + 1

    def _behind_marks(self, data: bytes, at: int) -> int:
        """Where the next value begins, behind byte order marks, or the end of the data."""
        while True:
            match = _VALUE.search(data, at)
            if match is None:
                return len(data)
            begin = match.start()
            mark = data[begin : begin + len(BOM)]
            if mark == BOM:
                at = begin + len(BOM)
            elif BOM.startswith(mark):  # that is all there is of it, for now
                self._held = mark
                return len(data)
            else:
                return begin

    def _finish(self, data: bytes, begin: int, stop: int, frames: list[bytes]) -> None:
        """Append the value that ends at `stop`."""
        frame = data[begin:stop]
        if self._carry:
            self._carry += frame
            frame = bytes(self._carry)
            self._carry = bytearray()
        if self._plain and not _PLAIN.fullmatch(frame):
            self._fail(BadFrame("expected a JSON number or literal", frame), frame + data[stop:])
            return
        self._plain = False
        frames.append(frame)
        self._after.append(len(data) - stop)

    def _advance(self, data: bytes, at: int) -> int:
        """Where the value ends; negative if that is not in `data`.

        Where it is `_wrong`, what is returned is the end of what is wrong.
        """
        if self._wrong is not None:
            return at
        if self._plain:
            match = _PLAIN_END.search(data, at)
            return match.start() if match else -1
        while True:
            if self._quoted:
                at = self._to_quote(data, at)
                if at < 0 or not self._closers:
                    return at
            at = _IN_NEST.match(data, at).end()  # type: ignore[union-attr]
            if at == len(data):
                return -1
            self._nest(data, at)
            at += 1
            if self._wrong is not None or not (self._closers or self._quoted):
                return at

    def _nest(self, data: bytes, at: int) -> None:
        """Take the bracket or quote there."""
        byte = data[at]
        if byte == _QUOTE:
            self._quoted = True
        elif byte in _CLOSERS:
            self._closers.append(_CLOSERS[byte])
            if len(self._closers) > MOST_NESTED:
                self._wrong = BadFrame(
                    f"expected JSON nested to at most {MOST_NESTED} levels",
                    data[at : at + BadFrame.SHOWN],
                )
        elif byte != self._closers.pop():
            self._wrong = BadFrame(
                "expected the other bracket of JSON", data[at : at + BadFrame.SHOWN]
            )

    def _to_quote(self, data: bytes, at: int) -> int:
        """Behind the end of the string; negative if that is not in `data`."""
        size = len(data)
        at += self._escaped
        self._escaped = False
        while at < size:
            at = _IN_STRING.match(data, at).end()  # type: ignore[union-attr]
            if data[at : at + 1] == b'"':
                self._quoted = False
                return at + 1
            if at == size - 1:  # a backslash, and what it escapes is still to come
                self._escaped = True
                break
        return -1
