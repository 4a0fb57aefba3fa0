"""Secrets that were read for a job, and ``***`` in their place in all that is logged or kept.

A peer may repeat what it is sent: in an error line, say, or because it echoes. What goes
to outputs is data and stays as it is; lines of the log, hexdumps, bad frames that are kept,
reasons and messages go through the job's `Masker`.

What is not found: a secret of less than `SHORTEST` bytes, one that the peer has changed
(encoded, in capitals) or sends in two pieces, with a frame's end or a read's between them.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from typing import Any, AnyStr

from twisted.logger import ILogObserver, LogEvent, formatEvent
from twisted.python.failure import Failure
from zope.interface import implementer

from nbclient.core.terminal import escape, visible

SHORTEST = 4
"""The shortest secret that is masked, bytes: shorter ones are in every other word."""

MOST = 10_000
"""So many are remembered: files are read anew at each connection, and may change."""

STARS = "***"


@implementer(ILogObserver)
class Masker:
    """Knows what was read from files and the environment, and masks it.

    Of a secret that was cut off, as texts are, a beginning that is half of it or more is
    masked, too; and of one that is still arriving what there is, from 3 bytes on. As an
    observer in front of others it masks the events that they get.
    """

    def __init__(self) -> None:
        self._secrets: dict[bytes, None] = {}  # in the order in which they were read
        self._bytes: tuple[bytes, ...] = ()
        self._texts: tuple[str, ...] = ()

    def add(self, value: bytes) -> None:
        """A value of ``${file:}`` or ``${env:}``: it and each of its words is a secret."""
        self._learn((value, *value.split()))

    def add_line(self, line: bytes) -> None:
        """A line of an opening file: so is all of it but a command, the first of its words."""
        words = line.split()
        self._learn((line, *(words[1:] or words)))

    def add_login(self, username: str, password: str) -> None:
        """A login at a proxy: the password, and what HTTP makes of both (RFC 7617)."""
        pair = f"{username}:{password}".encode()
        self._learn((password.encode(), base64.b64encode(pair)))

    def mask(self, data: bytes) -> bytes:
        """Bytes with a ``*`` for each byte of a secret; one may have begun at their end."""
        data = _masked(data, self._bytes, lambda size: b"*" * size)
        begun = max((_begun(data, secret) for secret in self._bytes), default=0)
        return data[: len(data) - begun] + b"*" * begun

    def text(self, text: str) -> str:
        """A text with `STARS` for each secret, in whatever form a log shows bytes."""
        return _masked(text, self._texts, lambda size: STARS)

    def __call__(self, event: LogEvent) -> None:
        if not self._secrets:
            return
        text = formatEvent(event)
        masked = self.text(text)
        if masked != text:
            event.pop("log_flattened", None)
            event["log_format"], event["masked"] = "{masked}", masked
        if "log_failure" in event:
            event["log_failure"] = _MaskedFailure(event["log_failure"], self)

    def _learn(self, values: Iterable[bytes]) -> None:
        new = {each: None for each in values if len(each) >= SHORTEST} - self._secrets.keys()
        if not new:
            return
        self._secrets |= dict.fromkeys(new)
        for oldest in list(self._secrets)[: max(0, len(self._secrets) - MOST)]:
            del self._secrets[oldest]
        # The longest first: one may be a part of another.
        self._bytes = tuple(sorted(self._secrets, key=len, reverse=True))
        texts = {form for each in self._secrets for form in _forms(each)}
        self._texts = tuple(sorted(texts, key=len, reverse=True))


class _MaskedFailure(Failure):
    """A failure whose traceback can be shown."""

    def __init__(self, failure: Failure, masker: Masker) -> None:
        self.__dict__.update(failure.__dict__)
        self._masker = masker

    def getTraceback(self, *args: Any, **kwargs: Any) -> str:
        """As Twisted's."""
        return self._masker.text(super().getTraceback(*args, **kwargs))


def _forms(secret: bytes) -> set[str]:
    """How a log shows these bytes: as text, or as Python writes bytes, once or twice."""
    text = secret.decode("utf-8", "backslashreplace")
    forms = {text, visible(text), escape(secret), ascii(text)[1:-1], secret.decode("latin-1")}
    # Which quotes are escaped is decided by what stands around it.
    quoted = repr(b'"' + secret)[3:-1]
    for form in (quoted, quoted.replace("\\'", "'")):
        again = form.replace("\\", "\\\\")
        forms |= {form, again, again.replace("'", "\\'")}
    return {form for form in forms if len(form) >= SHORTEST}


def _masked(data: AnyStr, secrets: Sequence[AnyStr], stars: Any) -> AnyStr:
    """First what is whole: the beginning of one may be that of another."""
    for share in (1, 2):
        for secret in secrets:
            data = _without(data, secret, max(SHORTEST, (len(secret) + share - 1) // share), stars)
    return data


def _without(data: AnyStr, secret: AnyStr, least: int, stars: Any) -> AnyStr:
    """Without the places where `least` of a secret stands, or more of it."""
    at = data.find(secret[:least])
    if at < 0:
        return data
    pieces: list[Any] = []
    end = 0
    while at >= 0:
        pieces.append(data[end:at])
        end = at + _common(data, at, secret, least)
        pieces.append(stars(end - at))
        at = data.find(secret[:least], end)
    return data[:0].join([*pieces, data[end:]])


def _begun(data: bytes, secret: bytes) -> int:
    """How much of a secret stands at the end: fewer than 3 bytes are chance."""
    least, most = 3, min(len(secret), len(data))
    return next((n for n in range(most, least - 1, -1) if data.endswith(secret[:n])), 0)


def _common(data: AnyStr, at: int, secret: AnyStr, known: int) -> int:
    """How much of the beginning of a secret stands there, if so much is known to."""
    most = min(len(secret), len(data) - at)
    while known < most and data[at + known] == secret[known]:
        known += 1
    return known
