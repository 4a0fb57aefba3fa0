"""The contract every framing keeps; `tests/conformance/framing.py` checks it.

A `Framing` is an immutable recipe, shared by all connections. Its `decoder()`
is the state of one connection, its `encode()` needs none. Both are
synchronous and know neither clock nor socket.

For every frame that `encode` accepts, decoding its image gives the frame back,
however the bytes are cut on their way. Only ``raw``, which has no boundaries
on the wire, promises less: there the frames are the chunks as they arrive, and
what comes back is the concatenation.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

from attrs import fields

from nbclient.core.arguments import check, is_whole
from nbclient.errors import ArgumentError, FrameError, PeerError, SpecError

MAX_FRAME = 1024 * 1024
"""Default bound of one frame, bytes: a security limit, see `Framing.max_frame`."""
SHOWN_REJECTED = 64 * 1024
"""Most bytes that `Decoder.rejected` is shown of one offender."""


AROUND = 1024
"""Bytes that a decoder may hold beyond a frame: header, mark, checksum, half a delimiter."""


class Decoder(ABC):
    """The bytes of one connection on their way to frames.

    :ivar fault: set once the peer's bytes broke the framing; from then on
        `feed` returns nothing (the stream is poisoned).
    :ivar skipped: faulty frames passed over, where the framing was asked to
        resynchronise instead of setting `fault`. Noise between frames counts
        as one for each stretch of it.
    :ivar rejected: called at each fault and for each frame skipped, with the
        offending bytes as received, at most the first `SHOWN_REJECTED`, and
        with what is wrong with them. Of a frame over the limit and of noise
        these are the bytes that showed it: more may follow unseen. Must not raise.
    :ivar answer: called with bytes that have to be sent to the peer at once, as they
        are, where the framing itself answers (`Framing.answers`). Must not raise.
    """

    fault: PeerError | None = None
    skipped: int = 0
    rejected: Callable[[bytes, PeerError], object] | None = None
    answer: Callable[[bytes], object] | None = None

    @abstractmethod
    def feed(self, data: bytes) -> list[bytes]:
        """Every frame completed by `data`, in order.

        Never raises on the peer's bytes: frames before a fault are returned
        and `fault` is set. The time taken is linear in the bytes fed, however
        they are cut.
        """

    @abstractmethod
    def eof(self) -> bytes:
        """The bytes received that belong to no returned frame (the tail).

        After a fault: the bytes from the faulty frame on, as far as they had
        arrived with the chunk that showed the fault. Bytes that were skipped
        on request are gone. Changes nothing; may be called at any time.
        """

    @abstractmethod
    def unread(self, data: bytes, frames: Sequence[bytes]) -> bytes:
        """The bytes behind the last frame that was taken.

        For the moment when the rest of the stream turns out to belong to
        another framing; so it also gives back what was a fault, or was
        skipped, under this one.

        :param data: the chunk most recently fed.
        :param frames: the frames at the end of that feed's result which nobody
            took; at least one before them was taken, unless it had none at all.
        :return: the bytes as received, from behind the last frame taken to the
            end, the tail included. The decoder is spent afterwards.
        """

    def last(self) -> list[bytes]:
        """At the end of the connection: frames that were held back for what might follow.

        It is as if what `eof` gave were fed once more: `eof` is now what is behind the
        frames, and `unread` takes that chunk. By default there are none.
        """
        return []

    @property
    def begun(self) -> bool:
        """Whether a frame has begun and is not finished: what a frame timeout watches."""
        return bool(self.eof())

    def pass_over(self, error: PeerError, data: bytes | bytearray) -> None:
        """For decoders that skip: count the bytes skipped, and show them to `rejected`."""
        self.skipped += 1
        self.show_rejected(error, data)

    def say(self, data: bytes) -> None:
        """For decoders that answer: send these bytes, if there is somewhere to send them."""
        if self.answer is not None:
            self.answer(data)

    def show_rejected(self, error: PeerError, data: bytes | bytearray) -> None:
        """For decoders: show the offending bytes to `rejected`, if anybody wants them."""
        if self.rejected is not None:
            self.rejected(bytes(data[:SHOWN_REJECTED]), error)


_KINDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "int": (is_whole, "a whole number"),
    "bytes": (lambda value: isinstance(value, bytes), "bytes, b'...'"),
    "str": (lambda value: isinstance(value, str), "a text"),
    "bool": (lambda value: isinstance(value, bool), "True or False"),
}
"""Of fields of these types, what their arguments have to be."""

_ANYTHING: tuple[Callable[[Any], bool], str] = (lambda _: True, "anything")


class Framing(ABC):
    """How frames are told apart in a byte stream.

    Compares and hashes by value; ``str()`` gives the SPEC text where there is one.

    :ivar max_frame: the longest frame accepted from the peer, bytes. A
        security limit: no decoder holds more than `most_held`, and none allocates
        on the strength of a declared length. `encode` refuses longer frames
        too, since a peer of the same limit would.
    """

    def __attrs_pre_init__(self, *given: Any, **named: Any) -> None:
        """Refuse an argument of another type than its field says, before anything is made of it.

        :raises ArgumentError: as said, with the argument's name.
        """
        own = {each.alias: each for each in fields(cast(Any, type(self))) if each.init}
        for name, value in {**dict(zip(own, given, strict=False)), **named}.items():
            kind = own[name].type  # a text, or the class
            fits, takes = _KINDS.get(str(getattr(kind, "__name__", kind)), _ANYTHING)
            check(f"{type(self).__name__}: {name}", value, fits(value), takes)

    max_frame: int
    line_like: bool = False
    """Whether a frame is a line of text, so that a file of lines can carry it."""
    answers: bool = False
    """Whether the framing itself answers the peer, as telnet does: `Decoder.answer`."""

    @property
    def most_held(self) -> int:
        """The most bytes of the peer that a decoder holds between two chunks, whatever comes.

        The frame begun, as received, and what surrounds it. After a fault: as much
        more as the chunk that showed it was long. Where the image of a frame may
        be longer than the frame, as with escapes, this says so.
        """
        return self.max_frame + AROUND

    @property
    def sends(self) -> bool:
        """Whether there are frames that `encode` accepts: some framings can only receive."""
        return True

    @abstractmethod
    def decoder(self) -> Decoder:
        """A fresh decoder for one connection."""

    @abstractmethod
    def encode(self, frames: Sequence[bytes]) -> list[bytes]:
        """The wire image of each frame.

        :raises FrameError: for a frame outside the framing's domain; nothing
            is returned then, so that nothing is written.
        """

    def joined(self, frames: Sequence[bytes]) -> bytes:
        """The images of all frames in one piece.

        :raises FrameError: as `encode`.
        """
        return b"".join(self.encode(frames))

    def image(self, frame: bytes) -> bytes:
        """The image of one frame.

        :raises FrameError: as `encode`.
        """
        return self.encode((frame,))[0]

    def check(self, frames: Sequence[bytes]) -> None:
        """Raise what `encode` would raise, without the images.

        :raises FrameError: as `encode`.
        """
        self.encode(frames)


def not_carried(frames: Iterable[object], error: BaseException) -> Exception:
    """What to raise where `Framing.encode` raised something else than `FrameError`.

    A fault of a framing, or of its caller: either way nothing was written.

    :return: `TypeError` where something in `frames` is no bytes, else `FrameError`.
    """
    for frame in frames:
        if not isinstance(frame, bytes):
            return no_frame(frame)
    try:
        said = str(error)
    except Exception:  # one's own kind of error, with a fault of its own
        said = ""
    why = ": ".join(filter(None, (type(error).__name__, said)))
    return FrameError(f"the framing failed to encode a frame: {why}")


def no_frame(frame: object) -> TypeError:
    """What to raise where something else than bytes was to be sent."""
    return TypeError(f"a frame is bytes, not {type(frame).__name__}")


def check_frames(framing: Framing, frames: Sequence[bytes]) -> None:
    """Whether `framing` can carry all of `frames`, whatever it raises where it cannot.

    :raises FrameError: it cannot.
    :raises TypeError: something of them is no bytes, where the framing minds.
    """
    try:
        framing.check(frames)
    except FrameError:
        raise
    except Exception as error:
        raise not_carried(frames, error) from error


def check_framing(name: str, value: object) -> None:
    """Refuse what is no framing; say what to write where it is nearly one.

    :raises ArgumentError: as said.
    """
    if isinstance(value, Framing):
        return
    takes = "a Framing such as framing.lines()"
    if isinstance(value, str):
        takes += "; of a text framing.named(...) makes one"
    elif callable(value):
        takes += ", which what it got makes when it is called: put () behind it"
    raise ArgumentError(name, value, takes)


def check_limit(max_frame: int) -> None:
    """Refuse a limit that no frame could meet.

    :raises SpecError: if `max_frame` is less than one byte.
    """
    if max_frame < 1:
        raise SpecError(f"max_frame must be at least 1 byte, not {max_frame}")
