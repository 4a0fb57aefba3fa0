"""The bytes a decoder touches, counted: linear cost shown without a clock.

The chunks fed are `CountedBytes`, which add to a tally what each search, cut,
slice and joining touches, and whose parts count likewise. While the tally is
taken, ``bytes`` and ``bytearray`` in the decoder's own modules are replaced by
counting types, and each call of a method of plain bytes is charged with their
length (`sys.setprofile`). What stays unseen: a ``b"".join`` whose result nobody
looks into, memory views, regular expressions, and the growing of a bytearray
(amortised by the interpreter).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

from nbclient.framing import Decoder, Framing


class _Tally:
    touched = 0


tally = _Tally()


class CountedBytes(bytes):
    """Bytes that add to the tally what is done with them."""

    def __new__(cls, *args: Any) -> CountedBytes:
        made = super().__new__(cls, *args)
        tally.touched += len(made)
        return made

    def __getitem__(self, key: Any) -> Any:
        part = super().__getitem__(key)
        return CountedBytes(part) if isinstance(part, bytes) else part

    def __add__(self, other: Any) -> Any:
        return CountedBytes(bytes.__add__(self, other))

    def __radd__(self, other: Any) -> Any:
        return CountedBytes(other.__add__(bytes(self)))

    def __contains__(self, wanted: Any) -> bool:
        tally.touched += len(self)
        return super().__contains__(wanted)


class CountedArray(bytearray):
    """The same for what a decoder collects bytes in."""

    def __iadd__(self, other: Any) -> Any:  # type: ignore[misc]
        tally.touched += len(other)
        return super().__iadd__(other)

    def __getitem__(self, key: Any) -> Any:
        part = super().__getitem__(key)
        if isinstance(part, bytearray):
            tally.touched += len(part)
        return part


def _searching(plain: Callable[..., int]) -> Callable[..., int]:
    """A search that stops at what it finds."""

    def search(self: Any, wanted: Any, start: int = 0, end: int = sys.maxsize) -> int:
        found = plain(self, wanted, start, end)
        stop = found + 1 if found >= 0 else min(end, len(self))
        tally.touched += max(1, stop - start)
        return found

    return search


def _ranged(plain: Callable[..., int]) -> Callable[..., int]:
    """A method that looks at all between two places."""

    def look(self: Any, wanted: Any, start: int = 0, end: int = sys.maxsize) -> int:
        tally.touched += max(1, min(end, len(self)) - start)
        return plain(self, wanted, start, end)

    return look


def _whole(plain: Callable[..., Any]) -> Callable[..., Any]:
    """A method that looks at all of it; its parts count too."""

    def method(self: Any, *args: Any) -> Any:
        tally.touched += len(self)
        result = plain(self, *args)
        if isinstance(result, (list, tuple)) and isinstance(self, bytes):
            return type(result)(map(CountedBytes, result))
        return result

    return method


for _counted, _plain in ((CountedBytes, bytes), (CountedArray, bytearray)):
    for _name in ("find", "index"):
        setattr(_counted, _name, _searching(getattr(_plain, _name)))
    for _name in ("rfind", "count"):
        setattr(_counted, _name, _ranged(getattr(_plain, _name)))
    for _name in ("split", "rsplit", "splitlines", "partition", "replace"):
        setattr(_counted, _name, _whole(getattr(_plain, _name)))


def _called(frame: FrameType, event: str, called: Any) -> None:
    owner = getattr(called, "__self__", None) if event == "c_call" else None
    if owner is not None and type(owner) in (bytes, bytearray):
        tally.touched += len(owner)


@contextmanager
def _watching(decoder: type[Decoder]) -> Iterator[None]:
    # The last two of the order of bases are ABC and object.
    modules = {sys.modules[each.__module__] for each in decoder.__mro__[:-2]}
    previous = sys.getprofile()
    for module in modules:
        vars(module).update(bytes=CountedBytes, bytearray=CountedArray)
    sys.setprofile(_called)
    try:
        yield
    finally:
        sys.setprofile(previous)
        for module in modules:
            del vars(module)["bytes"], vars(module)["bytearray"]


def cost(framing: Framing, chunks: Sequence[bytes]) -> int:
    """The bytes touched in decoding `chunks`."""
    counted = [CountedBytes(chunk) for chunk in chunks]
    tally.touched = 0
    with _watching(type(framing.decoder())):
        decoder = framing.decoder()
        for chunk in counted:
            decoder.feed(chunk)
    assert decoder.fault is None
    return tally.touched


def check_linear(
    framing: Framing, chunks: Callable[[int], list[bytes]], size: int, most: float = 16
) -> None:
    """Four times the bytes cost four times the work, at most so many touches a byte.

    :param chunks: makes a workload of that many bytes, or nearly.
    :param most: touches a byte; many where the framing looks again at a bounded rest.
    """
    costs = []
    for times in (1, 2, 4):
        work = chunks(size * times)
        costs.append(cost(framing, work) / sum(map(len, work)))
    assert costs[2] <= 1.2 * costs[0], f"{framing}: {costs} touches a byte: not linear"
    assert costs[2] <= most, f"{framing}: {costs} touches a byte: too many"
