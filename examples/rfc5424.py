"""Another framing of one's own: lines on the way to a syslog collector.

    python -m nbclient collector 601 --framing rfc5424:framing --input tail:./app.log --output none

in the folder of this file. A frame here is a line; on the wire it is a syslog message
(RFC 5424) with its length in front (octet counting, RFC 6587):

    <134>1 - HOST app - - - LINE

134 is facility local0 with severity info. The first ``-`` leaves the time to the collector,
the others (process, kind of message, data) say nothing. Write other values into `framing`
below. The header is put on when a line is sent: what waits in a spool is the line alone.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from attrs import frozen

from nbclient.errors import BadFrame, FrameError, FrameTooLong, PeerError
from nbclient.framing import Decoder, Framing, octet_counted


@frozen
class Syslog(Framing):
    """Lines as messages.

    :ivar priority: eight times the facility, and the severity.
    :ivar host: which machine says it, printable ASCII without a space.
    :ivar app: which of its programs.
    """

    priority: int = 134
    host: str = os.uname().nodename
    app: str = "app"
    max_frame = 1024 * 1024

    @property
    def header(self) -> bytes:
        """What stands before the line in its message."""
        return f"<{self.priority}>1 - {self.host} {self.app} - - - ".encode("ascii")

    @property
    def counted(self) -> Framing:
        """How messages are told apart."""
        return octet_counted(self.max_frame + len(self.header))

    def decoder(self) -> Decoder:
        return SyslogDecoder(self.header, self.counted.decoder())

    def check(self, frames: Sequence[bytes]) -> None:
        for frame in frames:
            if len(frame) > self.max_frame:
                raise FrameError(f"a line of {len(frame)} bytes is over {self.max_frame}")

    def encode(self, frames: Sequence[bytes]) -> list[bytes]:
        self.check(frames)
        header = self.header
        return self.counted.encode([header + frame for frame in frames])


class SyslogDecoder(Decoder):
    """Takes the header off again; no collector sends such messages, but a test may."""

    def __init__(self, header: bytes, counted: Decoder) -> None:
        self._header = header
        self._counted = counted
        self._bad = b""

    def feed(self, data: bytes) -> list[bytes]:
        if self.fault is not None:
            return []
        messages = self._counted.feed(data)
        good = len(messages)
        for number, message in enumerate(messages):
            if not message.startswith(self._header):
                good = number
                break
        if good < len(messages):
            self._bad = _images(messages[good:]) + self._counted.eof()
            self._fail(BadFrame(f"expected {self._header!r}", messages[good]))
        elif self._counted.fault is not None:
            self._bad = self._counted.eof()
            self._fail(self._of_a_line(self._counted.fault))
        return [message[len(self._header) :] for message in messages[:good]]

    def _of_a_line(self, fault: PeerError) -> PeerError:
        """The header is none of what is too long."""
        if not isinstance(fault, FrameTooLong):
            return fault
        header = len(self._header)
        return FrameTooLong(fault.limit - header, fault.size - header, declared=True)

    def _fail(self, fault: PeerError) -> None:
        self.fault = fault
        self.show_rejected(fault, self._bad)

    def eof(self) -> bytes:
        return self._counted.eof() if self.fault is None else self._bad

    def unread(self, data: bytes, frames: Sequence[bytes]) -> bytes:
        messages = [self._header + frame for frame in frames]
        if self.fault is None:
            return self._counted.unread(data, messages)
        return _images(messages) + self._bad


def _images(messages: Sequence[bytes]) -> bytes:
    return b"".join(b"%d %b" % (len(message), message) for message in messages)


framing = Syslog()
