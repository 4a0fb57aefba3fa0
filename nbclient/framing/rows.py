"""Frames of one size behind one another, cut out by one call for many.

What sends binary records often sends them all of one size: ticks of a market,
samples of a sensor. A loop over such frames takes ten times as long as
`struct.Struct.unpack_from`, which cuts a row of them at once.
"""

from __future__ import annotations

from struct import unpack_from

ROW = 32
"""Frames cut by one call; fewer in a row are not worth looking for."""

SHORT = 512
"""Bytes: in fewer no row is looked for, so that a frame or a few in a read cost no more."""

AGAIN = 4096
"""Bytes to cut one by one before the next look for a row: what a look in vain
takes is then shared by all the frames in them."""


def cut_row(data: bytes, at: int, header: int, size: int, trailer: int, frames: list[bytes]) -> int:
    """Append the frames from `at` on, as far as headers and trailers are those of the first.

    A header that is the same announces the same size. Fewer than `ROW` are
    left to the caller, and so is what is left of the last row.

    :param header: bytes before each frame, already understood in the first of them.
    :param size: bytes of each frame.
    :param trailer: bytes behind each frame, checked by the caller in the first of them.
    :return: where the first frame begins that was not appended.
    """
    stride = header + size + trailer
    whole = ROW * stride
    end = at + whole
    if end > len(data):  # as with most short reads
        return at
    # The last frame of a row is compared with what the caller has understood, and all
    # of the row with one another: a row may be all the same and yet not like the first.
    head = data[at : at + header]
    tail = data[at + stride - trailer : at + stride]
    same = (*range(header), *range(stride - trailer, stride))
    while (
        end <= len(data)
        and data[end - stride : end - stride + header] == head
        and data[end - trailer : end] == tail
    ):
        for column in same:
            found = data[at + column : end : stride]
            if found.lstrip(found[:1]):
                return at
        frames += unpack_from(f"{header}x{size}s{trailer}x" * ROW, data, at)
        at = end
        end += whole
    return at
