"""Frames without anything around them: ``fixed:N`` and ``raw``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from attrs import frozen

from nbclient.errors import FrameError, SpecError
from nbclient.framing.base import MAX_FRAME, Decoder, Framing
from nbclient.framing.checksums import Checksum, checksum_named
from nbclient.framing.rows import SHORT, cut_row
from nbclient.framing.sized import SizedDecoder


def fixed(size: int, max_frame: int = MAX_FRAME, checksum: str = "") -> Framing:
    """Frames of `size` bytes each.

    :param checksum: the last of these bytes are this checksum of those before
        them (`nbclient.framing.checksums`): verified and taken off, and put on.
    :raises SpecError: if nothing is left for the frame, or more than `max_frame`.
    """
    return Fixed(size, max_frame, checksum)


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
    checksum: str = ""

    def __attrs_post_init__(self) -> None:
        if not 1 <= self._own <= self.max_frame:
            raise SpecError(
                f"a fixed frame has 1 to {self.max_frame} bytes (max_frame), not {self._own}"
            )

    def __str__(self) -> str:
        return f"fixed:{self.size}" + (f",checksum={self.checksum}" if self.checksum else "")

    def decoder(self) -> Decoder:
        return FixedDecoder(self.size) if self._sum is None else SummedDecoder(self.size, self._sum)

    def check(self, frames: Sequence[bytes]) -> None:
        for size in map(len, frames):
            if size != self._own:
                raise FrameError(f"a frame of {self} has {self._own} bytes, not {size}")

    def encode(self, frames: Sequence[bytes]) -> list[bytes]:
        self.check(frames)
        if self._sum is None:
            return list(frames)
        image = self._sum.image
        return [frame + image(frame) for frame in frames]

    @cached_property
    def _sum(self) -> Checksum | None:
        return checksum_named(self.checksum) if self.checksum else None

    @cached_property
    def _own(self) -> int:
        """The bytes of a frame without its checksum."""
        return self.size - (self._sum.size if self._sum else 0)


class FixedDecoder(SizedDecoder):
    """Slices of one size."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._need = size

    def _scan(self, data: bytes, at: int, frames: list[bytes]) -> int:
        size = self._need
        if len(data) - at >= SHORT:
            at = cut_row(data, at, 0, size, 0, frames)
        end = len(data) - (len(data) - at) % size
        frames += [data[start : start + size] for start in range(at, end, size)]
        return end

    def _wire_size(self, frames: Sequence[bytes]) -> int:
        return self._need * len(frames)


class SummedDecoder(FixedDecoder):
    """Slices of one size that end with their checksum."""

    def __init__(self, size: int, checksum: Checksum) -> None:
        super().__init__(size)
        self._sum = checksum

    def _scan(self, data: bytes, at: int, frames: list[bytes]) -> int:
        whole: list[bytes] = []
        end = super()._scan(data, at, whole)
        split = self._need - self._sum.size
        for image in whole:
            frame = image[:split]
            self.fault = self._sum.fault(frame, image[split:])
            if self.fault is not None:
                return at
            frames.append(frame)
            at += self._need
        return end


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
