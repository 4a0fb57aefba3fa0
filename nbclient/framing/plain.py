"""Frames without anything around them: ``fixed:N`` and ``raw``."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from nbclient.errors import FrameError, SpecError
from nbclient.framing.base import MAX_FRAME, Decoder, Framing
from nbclient.framing.sized import SizedDecoder


def fixed(size: int, max_frame: int = MAX_FRAME) -> Framing:
    """Frames of `size` bytes each.

    :raises SpecError: if that is less than 1 or more than `max_frame`.
    """
    return Fixed(size, max_frame)


def raw() -> Framing:
    """No framing: a frame is a chunk as it arrived, cut where the network cut it.

    What is sent comes back as one stream only, so an empty frame, of which
    nothing would come back, is refused. No limit applies: nothing is held.
    """
    return Raw()


@frozen(slots=False)
class Fixed(Framing):
    """The recipe behind `fixed`."""

    size: int
    max_frame: int = MAX_FRAME

    def __attrs_post_init__(self) -> None:
        if not 1 <= self.size <= self.max_frame:
            raise SpecError(
                f"a fixed frame has 1 to {self.max_frame} bytes (max_frame), not {self.size}"
            )

    def __str__(self) -> str:
        return f"fixed:{self.size}"

    def decoder(self) -> Decoder:
        return FixedDecoder(self.size)

    def check(self, frames: Sequence[bytes]) -> None:
        for size in map(len, frames):
            if size != self.size:
                raise FrameError(f"a frame of {self} has {self.size} bytes, not {size}")

    def encode(self, frames: Sequence[bytes]) -> list[bytes]:
        self.check(frames)
        return list(frames)


class FixedDecoder(SizedDecoder):
    """Slices of one size."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._need = size

    def _scan(self, data: bytes, at: int, frames: list[bytes]) -> int:
        size = self._need
        end = len(data) - (len(data) - at) % size
        frames += [data[start : start + size] for start in range(at, end, size)]
        return end

    def _wire_size(self, frame: bytes) -> int:
        return len(frame)


@frozen(slots=False)
class Raw(Framing):
    """The recipe behind `raw`."""

    max_frame = MAX_FRAME

    def __str__(self) -> str:
        return "raw"

    def decoder(self) -> Decoder:
        return RawDecoder()

    def check(self, frames: Sequence[bytes]) -> None:
        if not all(frames):
            raise FrameError("an empty frame cannot be sent raw: nothing would arrive")

    def encode(self, frames: Sequence[bytes]) -> list[bytes]:
        self.check(frames)
        return list(frames)


class RawDecoder(Decoder):
    """Hands chunks through; it holds nothing, so nothing is ever left over."""

    def feed(self, data: bytes) -> list[bytes]:
        return [data] if data else []

    def eof(self) -> bytes:
        return b""

    def unread(self, data: bytes, frames: Sequence[bytes]) -> bytes:
        return b"".join(frames)
