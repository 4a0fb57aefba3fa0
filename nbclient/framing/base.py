"""The contract every framing keeps; `tests/conformance/framing.py` checks it.

A `Framing` is an immutable recipe, shared by all connections. Its `decoder()`
is the state of one connection, its `encode()` needs none. Both are
synchronous and know neither clock nor socket.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from nbclient.errors import PeerError

MAX_FRAME = 1024 * 1024
"""Default bound of one frame, bytes: a security limit, see `Framing.max_frame`."""


class Decoder(ABC):
    """The bytes of one connection on their way to frames.

    :ivar fault: set once the peer's bytes broke the framing; from then on
        `feed` returns nothing (the stream is poisoned).
    :ivar skipped: faulty frames passed over, where the framing was asked to
        resynchronise instead of setting `fault`.
    """

    fault: PeerError | None = None
    skipped: int = 0

    @abstractmethod
    def feed(self, data: bytes) -> list[bytes]:
        """Every frame completed by `data`, in order.

        Never raises on the peer's bytes: frames before a fault are returned
        and `fault` is set. The time taken is linear in the bytes fed, however
        they are cut.
        """

    @abstractmethod
    def eof(self) -> bytes:
        """The bytes received that belong to no returned frame (the tail)."""

    @abstractmethod
    def unread(self, data: bytes, frames: Sequence[bytes]) -> bytes:
        """The bytes behind the last frame that was taken.

        :param data: the chunk most recently fed.
        :param frames: the frames at the end of that feed's result which nobody
            took; at least one frame before them was taken.
        :return: the bytes as received, from the first of `frames` to the end,
            the tail included. The decoder is spent afterwards.
        """


class Framing(ABC):
    """How frames are told apart in a byte stream.

    :ivar max_frame: the longest frame accepted from the peer, bytes. A
        security limit: no decoder holds more than this plus one chunk, and
        none allocates on the strength of a declared length.
    """

    max_frame: int
    line_like: bool = False
    """Whether a frame is a line of text, so that a file of lines can carry it."""

    @abstractmethod
    def decoder(self) -> Decoder:
        """A fresh decoder for one connection."""

    @abstractmethod
    def encode(self, frames: Sequence[bytes]) -> list[bytes]:
        """The wire image of each frame.

        :raises FrameError: for a frame outside the framing's domain; nothing
            is returned then, so that nothing is written.
        """

    def check(self, frames: Sequence[bytes]) -> None:
        """Raise what `encode` would raise, without the images.

        :raises FrameError: as `encode`.
        """
        self.encode(frames)
