"""What can go wrong, sorted by who can mend it.

`LocalError`: the caller's mistake, raised before anything reached the wire.
`PeerError`: what the peer sent, or failed to send, breaks what was agreed.
`LinkError`: the link itself: a connection that was lost, a deadline, a stop.

Every message is one line that names what was wrong; the attributes carry the
figures, so that nobody has to parse the text.
"""

from __future__ import annotations

from typing import Any

from nbclient.core.terminal import escape


class NBClientError(Exception):
    """Base of every error this package raises.

    One can be copied and pickled, whatever its constructor takes: another process, or
    a log that keeps it, has the same text, arguments and attributes.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        # Python's own calls the constructor with the text, which is none of its figures.
        return _remade, (type(self), self.args), self.__dict__ or None


def _remade(kind: type[NBClientError], args: tuple[Any, ...]) -> NBClientError:
    """An error with these `args`, made without its constructor."""
    return kind.__new__(kind, *args)


class LocalError(NBClientError):
    """The caller asked for something that cannot be done."""


class PeerError(NBClientError):
    """The peer broke the framing or the conversation."""


class LinkError(NBClientError):
    """The connection, or the link as a whole, could not go on."""


class SpecError(LocalError, ValueError):
    """What was asked for (of a framing, an input, an output, an endpoint) is not understood."""


class ArgumentError(SpecError):
    """An argument of the wrong type, or out of its range: nothing was begun.

    :ivar argument: its name.
    """

    SHOWN = 80

    def __init__(self, argument: str, got: object, takes: str) -> None:
        shown = " ".join(repr(got).split())  # a repr may have lines
        shown = shown if len(shown) <= self.SHOWN else f"{shown[: self.SHOWN - 1]}…"
        super().__init__(f"{argument} takes {takes}, not {shown}")
        self.argument = argument


class Unsupported(LocalError, AttributeError):
    """A name that is another package's, and not here; the text says what is here instead."""


class FrameError(LocalError, ValueError):
    """A frame outside the domain of the framing that should carry it.

    Raised by ``Framing.encode`` before a byte is written.
    """


class FrameTooLong(PeerError):
    """The peer's frame is longer than the limit.

    :ivar limit: the largest frame accepted, bytes.
    :ivar size: the declared length, or the bytes seen so far where none is declared.
    """

    def __init__(self, limit: int, size: int, declared: bool = False) -> None:
        how = "declares" if declared else "has reached"
        super().__init__(f"the frame {how} {size} bytes, more than the limit of {limit}")
        self.limit = limit
        self.size = size


class BadFrame(PeerError):
    """The peer's bytes are not a frame of this framing.

    :ivar what: what was expected, in a few words.
    :ivar found: the offending bytes, at most the first 40.
    """

    SHOWN = 40

    def __init__(self, what: str, found: bytes) -> None:
        self.what = what
        self.found = bytes(found[: self.SHOWN])
        super().__init__(f"{what}, but the peer sent {self.found!r}")


def _begun(unfinished: bytes) -> str:
    if not unfinished:
        return ""
    shown = escape(unfinished).replace("\n", "\\n")
    return f": what it sent last is a frame without its end, {shown}"


class FrameTimeout(PeerError):
    """A frame was begun and not finished in time.

    :ivar seconds: the limit that passed.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the frame begun was not finished within {seconds:g} s")
        self.seconds = seconds


class SilenceTimeout(PeerError):
    """Nothing arrived for too long.

    :ivar seconds: the limit that passed.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the peer sent nothing for {seconds:g} s")
        self.seconds = seconds


class RequestTimeout(PeerError):
    """A request was not answered in time.

    :ivar seconds: the limit that passed.
    :ivar unfinished: what had come of a frame by then, at most the first 40 bytes: where the
        peer ends its answers in another way than the framing, this is the answer.
    """

    def __init__(self, seconds: float, unfinished: bytes = b"") -> None:
        self.seconds = seconds
        self.unfinished = bytes(unfinished[: BadFrame.SHOWN])
        super().__init__(
            f"the peer did not answer a request within {seconds:g} s" + _begun(self.unfinished)
        )


class DeadPath(LinkError):
    """The peer's host answers nothing any more, not even its kernel.

    :ivar seconds: the limit that passed.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the path is dead: the peer's host answered nothing for {seconds:g} s")
        self.seconds = seconds


class FrameRejected(PeerError):
    """The peer's application answered that it does not take a frame.

    :ivar answer: what it said, at most the first 80 bytes.
    """

    SHOWN = 80

    def __init__(self, answer: bytes) -> None:
        self.answer = bytes(answer[: self.SHOWN])
        super().__init__(f"the peer rejected a frame: {self.answer!r}")


class TurnedAway(PeerError):
    """The peer said that it takes nothing on this connection.

    :ivar line: what it said, at most the first 80 bytes.
    """

    SHOWN = 80

    def __init__(self, line: bytes) -> None:
        self.line = bytes(line[: self.SHOWN])
        shown = escape(self.line).replace("\n", "\\n")
        super().__init__(f"the peer turned us away: {shown}")


class ReplyTimeout(PeerError):
    """The peer's application did not answer a frame in time.

    :ivar seconds: the limit that passed.
    :ivar unfinished: what had come of a frame by then, at most the first 40 bytes: where the
        peer ends its answers in another way than the framing, this is the answer.
    """

    def __init__(self, seconds: float, unfinished: bytes = b"") -> None:
        self.seconds = seconds
        self.unfinished = bytes(unfinished[: BadFrame.SHOWN])
        super().__init__(
            f"the peer did not answer a frame within {seconds:g} s" + _begun(self.unfinished)
        )


class PatternTimeout(PeerError):
    """Patterns took too long on what the peer sent: they will not be given more of it.

    :ivar seconds: the limit that passed.
    :ivar pattern: the text of the one at work, at most the first 80 bytes.
    :ivar each_second: the limit is one of the matches of a second, not of one match.
    """

    SHOWN = 80

    def __init__(self, seconds: float, pattern: bytes, each_second: bool = False) -> None:
        self.seconds = seconds
        self.pattern = bytes(pattern[: self.SHOWN])
        self.each_second = each_second
        super().__init__(
            f"patterns took more than {seconds:g} s of a second on frames of the peer, the last of"
            f" them was {self.pattern!r}"
            if each_second
            else f"the pattern {self.pattern!r} took more than {seconds:g} s on a frame of the peer"
        )


class OpeningFailed(PeerError):
    """The opening (login, greeting) did not come to its end."""


class ConnectTimeout(LinkError):
    """DNS, connect and TLS handshake together took too long.

    :param words: what it had come to, where that is known.
    :ivar seconds: the limit that passed.
    """

    def __init__(self, seconds: float, words: str = "") -> None:
        whole = f"not connected within {seconds:g} s (name, connect and TLS together)"
        super().__init__(words or whole)
        self.seconds = seconds


class CallbackFailed(LinkError):
    """The application's own callback raised; the connection was aborted."""


class ConnectionClosed(LinkError):
    """Somebody waited for something on a connection that has ended."""


class LinkStopped(LinkError):
    """The link was stopped; nobody need wait for it."""


class GaveUp(LinkError):
    """The back-off's number of retries is used up.

    :ivar attempts: how many attempts in a row failed.
    """

    def __init__(self, attempts: int, reason: str) -> None:
        noun = "attempt" if attempts == 1 else "attempts"
        super().__init__(f"gave up after {attempts} {noun}: {reason}")
        self.attempts = attempts


class Rejected(GaveUp):
    """The link was ended because the peer rejected a frame.

    :ivar answer: what the peer said, at most the first 80 bytes.
    """

    def __init__(self, cause: FrameRejected) -> None:
        LinkError.__init__(self, str(cause))
        self.attempts = 0
        self.answer = cause.answer


class LinkDown(LinkError):
    """There is no connection now, and frames are not to be kept for the next one."""


class DeliveryUnavailable(LocalError):
    """The level of delivery asked for is not to be had on this connection."""

    def __init__(self, why: str) -> None:
        super().__init__(f"delivery level tcp is not to be had: {why}")
        self.why = why


class DeliveryNotNow(DeliveryUnavailable):
    """The level of delivery could not be tried for want of a resource: it may be had later."""


class OutboxFull(LocalError):
    """More was offered than the outbox and its waiting room hold.

    :ivar limit: the bound, bytes.
    """

    def __init__(self, limit: int, size: int) -> None:
        super().__init__(f"{size} bytes do not fit: the bound is {limit} bytes")
        self.limit = limit
        self.size = size


class RequestsFull(LocalError):
    """More requests wait to be sent than may.

    :ivar limit: the bound, bytes.
    """

    def __init__(self, limit: int) -> None:
        super().__init__(f"requests that wait to be sent are bounded at {limit} bytes")
        self.limit = limit
