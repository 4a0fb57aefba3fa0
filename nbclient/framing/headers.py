"""Frames of headers, an empty line and a body: ``stomp`` and ``headers``."""

from __future__ import annotations

import re
from collections.abc import Sequence

from attrs import frozen

from nbclient.errors import BadFrame, FrameError, FrameTooLong, PeerError
from nbclient.framing.base import MAX_FRAME, Decoder, Framing, check_limit
from nbclient.framing.delimited import check_size

_LINE_ENDS = re.compile(rb"[\r\n]*")
_BLANK = re.compile(rb"\n\r?\n")
_BLANK_OR_NUL = re.compile(rb"\n\r?\n|\0")
_SIP = re.compile(rb"^SIP/| SIP/[0-9.]+\r?$")
_NAMES = (b"content-length",)
_SIP_NAMES = (*_NAMES, b"l")
_NUMBER = re.compile(rb"[0-9]{1,18}")


def stomp(max_frame: int = MAX_FRAME) -> Framing:
    """Frames of STOMP 1.0 to 1.2: command, headers, an empty line, the body, NUL.

    A frame is all of that but the NUL. With a ``content-length`` the body has as many
    bytes and may hold NUL; else the first NUL ends it. Line ends between two frames,
    which are heart-beats, are passed over. A frame to be sent is complete too.
    Source: https://stomp.github.io/stomp-specification-1.2.html

    :param max_frame: the longest frame accepted, bytes.
    :raises SpecError: if it is less than 1.
    """
    return Headers(max_frame, nul=True)


def headers(max_frame: int = MAX_FRAME) -> Framing:
    """Headers, an empty line, and as many bytes as ``Content-Length`` says, or none.

    As the language server protocol, SIP over TCP and FreeSWITCH's event socket have
    it. In a message of SIP ``l`` is the same header (RFC 3261, 7.3.3). A frame is all
    of it. Line ends between two frames are passed over. A frame to be sent is complete too.

    :param max_frame: the longest frame accepted, bytes.
    :raises SpecError: if it is less than 1.
    """
    return Headers(max_frame, nul=False)


@frozen(slots=False)
class Headers(Framing):
    """The recipe behind `stomp` and `headers`."""

    max_frame: int = MAX_FRAME
    nul: bool = False

    def __attrs_post_init__(self) -> None:
        check_limit(self.max_frame)

    def __str__(self) -> str:
        return "stomp" if self.nul else "headers"

    def decoder(self) -> Decoder:
        return HeadersDecoder(self.max_frame, self.nul)

    def check(self, frames: Sequence[bytes]) -> None:
        self.encode(frames)

    def encode(self, frames: Sequence[bytes]) -> list[bytes]:
        return [self._image(frame) for frame in frames]

    def _image(self, frame: bytes) -> bytes:
        check_size(frame, self.max_frame)
        image = frame + b"\0" if self.nul else frame
        if self.decoder().feed(image) != [frame]:
            body = "without NUL, or as its content-length says" if self.nul else "of that length"
            raise FrameError(
                f"a frame of {self} is headers, an empty line and a body {body};"
                f" {len(frame)} bytes are not"
            )
        return image


class HeadersDecoder(Decoder):
    """Carries what has arrived of a frame; what was searched is not searched again."""

    def __init__(self, limit: int, nul: bool) -> None:
        self._limit = limit
        self._nul = nul
        self._blank = _BLANK_OR_NUL if nul else _BLANK
        self._carry = bytearray()
        self._after: list[int] = []  # bytes of the latest chunk behind each of its frames
        self._begin()

    def _begin(self) -> None:
        self._seen = 0  # how much of the carry need not be searched again
        self._head = 0  # where the body begins, once that is known
        self._size = -1  # of the frame, once that is known

    def feed(self, data: bytes) -> list[bytes]:
        frames: list[bytes] = []
        if self.fault is not None:
            return frames
        self._after = []
        carry = self._carry
        carry += data
        while carry:
            if not self._seen:
                del carry[: _LINE_ENDS.match(carry).end()]  # type: ignore[union-attr]
            wrong = self._measure()
            if wrong is not None:
                self.fault = wrong
                self.show_rejected(wrong, carry)
                break
            whole = self._size + self._nul
            if self._size < 0 or len(carry) < whole:
                break
            frames.append(bytes(carry[: self._size]))
            del carry[:whole]
            self._after.append(len(carry))
            self._begin()
        return frames

    def eof(self) -> bytes:
        return bytes(self._carry)

    def unread(self, data: bytes, frames: Sequence[bytes]) -> bytes:
        taken = len(self._after) - len(frames)
        return data[len(data) - self._after[taken - 1] :] if taken else self.eof()

    @property
    def begun(self) -> bool:
        return bool(self._carry)

    def _measure(self) -> PeerError | None:
        """Find out how long the frame is; return what is wrong with it."""
        carry, limit = self._carry, self._limit
        if not self._head:
            blank = self._blank.search(carry, max(0, self._seen - 2))
            if blank is None:
                self._seen = len(carry)
                return FrameTooLong(limit, len(carry)) if len(carry) > limit else None
            if blank[0] == b"\0" and blank.start() <= limit:
                return BadFrame("expected an empty line behind the headers", bytes(carry[:80]))
            self._head = self._seen = blank.end()
            length = self._content_length(bytes(carry[: blank.end()]))
            if isinstance(length, PeerError):
                return length
            if length is not None or not self._nul:
                self._size = self._head + (length or 0)
                if self._size > limit:
                    return FrameTooLong(limit, self._size, declared=length is not None)
        if self._size < 0:
            end = carry.find(b"\0", self._seen)
            self._seen = len(carry) if end < 0 else end
            if self._seen > limit:
                return FrameTooLong(limit, self._seen)
            self._size = end
        elif self._nul and len(carry) > self._size and carry[self._size]:
            found = bytes(carry[self._size : self._size + BadFrame.SHOWN])
            return BadFrame("expected NUL behind the body", found)
        return None

    def _content_length(self, head: bytes) -> int | PeerError | None:
        """What the first header of that name says; None if there is none."""
        lines = head.split(b"\n")
        names = _SIP_NAMES if not self._nul and _SIP.search(lines[0]) else _NAMES
        for line in lines[1 if self._nul else 0 :]:
            name, colon, value = line.partition(b":")
            if colon and name.strip().lower() in names:
                value = value.strip()
                if not _NUMBER.fullmatch(value):
                    return BadFrame("expected a number as content-length", value)
                return int(value)
        return None
