"""How an output writes the frames it is given.

A format turns frames into bytes: one image a frame, in order. It is made for
one output and may keep state (half a character, the name of the link).
"""

from __future__ import annotations

import base64
import codecs
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from nbclient import framing
from nbclient.core.terminal import StreamEscaper, escape
from nbclient.errors import FrameError, SpecError
from nbclient.framing.base import Framing
from nbclient.framing.pair import incoming

MARK = "..."
"""What stands behind a line that is not finished; ASCII, which every terminal has."""

NAMES = ("hex", "base64", "record", "record-base64")


class Format(ABC):
    """Frames -> bytes for one output.

    :ivar text: each image is a line of text, so that a time can stand before it.
    :ivar terminator: what every image ends with, b"" where there is no such
        thing; a file is mended with it.
    """

    text: bool = True
    terminator: bytes = b"\n"
    shows_unfinished: bool = False
    """Whether it has a form for a frame that is not finished."""

    @abstractmethod
    def images(self, frames: Sequence[bytes]) -> list[bytes]:
        """The image of each frame.

        :raises FrameError: for a frame that this format cannot carry.
        """

    def instead(self, frame: bytes) -> bytes | None:
        """The image of a frame that `images` refuses, in other words; None: it has none."""
        return None

    def unfinished(self, tail: bytes) -> bytes:
        """What is to be written of a frame that is not finished, behind what was before.

        :param tail: all that has come of it; b"": no more of it comes.
        """
        return b""


class Hex(Format):
    """Each frame as hexadecimal digits on a line of its own."""

    def images(self, frames: Sequence[bytes]) -> list[bytes]:
        return [frame.hex().encode("ascii") + b"\n" for frame in frames]


class Base64(Format):
    """Each frame in base64 (RFC 4648) on a line of its own."""

    def images(self, frames: Sequence[bytes]) -> list[bytes]:
        return [base64.b64encode(frame) + b"\n" for frame in frames]


class Record(Format):
    """Each frame as a JSON object on a line of its own.

    Keys: ``time`` (UTC, RFC 3339), ``link``, and exactly one of ``data``, if
    the frame is UTF-8, and ``base64`` (RFC 4648), if it is not.

    :param link: what the object says the link's name is.
    :param now: the time of day, seconds since the epoch.
    :param binary: always ``base64``.
    """

    def __init__(self, link: str, now: Callable[[], float], binary: bool = False) -> None:
        self._link = link
        self._now = now
        self._data = _base64 if binary else _data

    def images(self, frames: Sequence[bytes]) -> list[bytes]:
        moment = datetime.fromtimestamp(self._now(), UTC).isoformat(timespec="microseconds")
        time = moment.replace("+00:00", "Z")
        return [
            json.dumps({"time": time, "link": self._link, **self._data(frame)}).encode("ascii")
            + b"\n"
            for frame in frames
        ]


def _data(frame: bytes) -> dict[str, str]:
    try:
        return {"data": frame.decode("utf-8")}
    except UnicodeDecodeError:
        return _base64(frame)


def _base64(frame: bytes) -> dict[str, str]:
    return {"base64": base64.b64encode(frame).decode("ascii")}


class Framed(Format):
    """Each frame as a framing would send it."""

    def __init__(self, framing: Framing) -> None:
        self._framing = framing
        self.text = framing.line_like
        self.terminator = framing.encode([b""])[0] if framing.line_like else b""

    def images(self, frames: Sequence[bytes]) -> list[bytes]:
        return self._framing.encode(frames)


class AnyLines(Framed):
    """Each frame as a line, whatever is in it: the default for framings of lines.

    A frame that ends in CR has CR LF behind it, of which who reads lines drops the
    CR, and keeps its own. One that holds LF is written with ``\\n`` in its place
    (and ``\\r`` for CR): split there it would be several lines, and a peer could
    write into a file what it did not send.
    """

    def images(self, frames: Sequence[bytes]) -> list[bytes]:
        try:
            return super().images(frames)
        except FrameError:
            return [self._image(frame) for frame in frames]

    def _image(self, frame: bytes) -> bytes:
        if frame.endswith(b"\r") and b"\n" not in frame:
            return frame + b"\r\n"
        return super().images([frame])[0]

    def instead(self, frame: bytes) -> bytes | None:
        return frame.replace(b"\r", b"\\r").replace(b"\n", b"\\n") + self.terminator


class Chunks(Format):
    """The bytes as they came."""

    text = False
    terminator = b""

    def images(self, frames: Sequence[bytes]) -> list[bytes]:
        return list(frames)


class Readable(Format):
    """For a terminal: escaped, a frame a line.

    What is there of a line that is not finished has `MARK` behind it, and the rest
    of the line behind that.

    :param encoding: what the terminal takes.
    :param lines: the frames are lines, and a LF inside one is escaped, too: a peer
        cannot show lines that it did not send.
    """

    shows_unfinished = True

    def __init__(self, encoding: str, lines: bool = False) -> None:
        self._encoding = encoding
        self._lines = lines
        self._begun = b""  # what was shown of the frame that is not finished

    def images(self, frames: Sequence[bytes]) -> list[bytes]:
        images = [self._encoded(self._text(frame) + "\n") for frame in frames]
        if self._begun and frames:
            images[0] = self._encoded(self._behind(frames[0]) + "\n")
            self._begun = b""
        return images

    def unfinished(self, tail: bytes) -> bytes:
        tail = _whole_characters(tail.removesuffix(b"\r"))  # which may be of the line's end
        if tail == self._begun:
            return b""
        text = self._behind(tail) + MARK if tail else "\n"
        self._begun = tail
        return self._encoded(text)

    def _behind(self, frame: bytes) -> str:
        """What is to be shown of a frame behind what was shown of one."""
        begun = self._begun
        if frame.startswith(begun):
            return self._text(frame[len(begun) :])
        return "\n" + self._text(frame)

    def _text(self, frame: bytes) -> str:
        text = escape(frame)
        return text.replace("\n", "\\n") if self._lines else text

    def _encoded(self, text: str) -> bytes:
        return text.encode(self._encoding, "backslashreplace")


def _whole_characters(data: bytes) -> bytes:
    """`data` without the beginning of a UTF-8 character at its end."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    decoder.decode(data)
    return data[: len(data) - len(decoder.getstate()[0])]


class ReadableChunks(Format):
    """For a terminal: escaped, as a stream without frames (a prompt has no line end)."""

    text = False
    terminator = b""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._escaper = StreamEscaper()

    def images(self, frames: Sequence[bytes]) -> list[bytes]:
        feed = self._escaper.feed
        return [feed(frame).encode(self._encoding, "backslashreplace") for frame in frames]


class Timed(Format):
    """Another format with the local time before each line.

    :param now: the time of day, seconds since the epoch.
    """

    def __init__(self, inner: Format, now: Callable[[], float]) -> None:
        self._inner = inner
        self._now = now
        self._begun = False  # the last line is not finished
        self.terminator = inner.terminator
        self.shows_unfinished = inner.shows_unfinished

    def images(self, frames: Sequence[bytes]) -> list[bytes]:
        prefix = self._prefix()
        images = [prefix + image for image in self._inner.images(frames)]
        if self._begun and images:
            self._begun = False
            images[0] = images[0][len(prefix) :]
        return images

    def unfinished(self, tail: bytes) -> bytes:
        image = self._inner.unfinished(tail)
        begun, self._begun = self._begun, bool(tail) if image else self._begun
        return self._prefix() + image if image and not begun else image

    def instead(self, frame: bytes) -> bytes | None:
        image = self._inner.instead(frame)
        return None if image is None else self._prefix() + image

    def _prefix(self) -> bytes:
        return clock_time(self._now()).encode("ascii") + b" "


def clock_time(now: float) -> str:
    """The local time of day and date: ``2026-11-22 14:03:05.123``.

    :param now: seconds since the epoch.
    """
    return datetime.fromtimestamp(now).isoformat(" ", timespec="milliseconds")


def for_output(
    spec: str | None,
    link: Framing,
    *,
    name: str,
    now: Callable[[], float],
    encoding: str | None = None,
    timestamps: bool = False,
) -> Format:
    """The format of one output.

    :param spec: the --output-framing, None where none was given.
    :param link: the link's own framing.
    :param name: the link's name, for records.
    :param now: the time of day, seconds since the epoch.
    :param encoding: the terminal's, None where the output is no terminal.
    :param timestamps: put the time before each line.
    :raises SpecError: `spec` is not understood, or is no text though
        `timestamps` are asked for, or names a framing that can only receive.
    """
    chosen = _chosen(spec, incoming(link), name, now, encoding)
    if not timestamps:
        return chosen
    if not chosen.text:
        raise SpecError("--timestamps: the output is not lines of text; use --output-framing")
    return Timed(chosen, now)


def _chosen(
    spec: str | None, link: Framing, name: str, now: Callable[[], float], encoding: str | None
) -> Format:
    if spec == "hex":
        return Hex()
    if spec == "base64":
        return Base64()
    if spec in ("record", "record-base64"):
        return Record(name, now, binary=spec != "record")
    if spec is not None:
        return framed(_named(spec, link.max_frame))
    if encoding is not None:
        return ReadableChunks(encoding) if is_raw(link) else Readable(encoding, link.line_like)
    if not sends(link):
        raise SpecError(
            f"--output: the framing {link} can only receive; say how to write its frames with"
            f" --output-framing: {', '.join(NAMES)} or another framing"
        )
    return by_default(link)


def by_default(link: Framing) -> Format:
    """How frames of this framing are written where nothing is said.

    A peer may send whatever its framing allows, so it has an image for each.
    """
    if link.line_like:
        return AnyLines(framing.lines(max_frame=link.max_frame))
    return framed(link)


def sends(chosen: Framing) -> bool:
    """Whether it can be written in; a framing that knows nothing of the question can."""
    return getattr(chosen, "sends", True)


def framed(chosen: Framing) -> Format:
    """The format of frames as this framing sends them."""
    return Chunks() if is_raw(chosen) else Framed(chosen)


def _named(spec: str, max_frame: int) -> Framing:
    try:
        chosen = framing.named(spec, max_frame=max_frame)
    except SpecError as error:
        raise SpecError(f"--output-framing: {error}; also {', '.join(NAMES)}") from None
    if not sends(chosen):
        raise SpecError(f"--output-framing: {chosen} can only receive")
    return chosen


def is_raw(chosen: Framing) -> bool:
    """Whether this framing has no frames: every chunk is one."""
    return isinstance(chosen, type(framing.raw()))
