"""Frames that announce their length: ``length:``, ``netstring``, ``octet-counted``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from struct import Struct
from typing import Literal, NamedTuple

from attrs import frozen

from nbclient.errors import BadFrame, FrameError, FrameTooLong, SpecError
from nbclient.framing.base import AROUND, MAX_FRAME, Decoder, Framing, check_limit
from nbclient.framing.checksums import Checksum, check_over, checksum_named
from nbclient.framing.delimited import check_limits, check_size, escaped
from nbclient.framing.headed import HeadedDecoder
from nbclient.framing.rows import AGAIN, SHORT, cut_row
from nbclient.framing.sized import SizedDecoder
from nbclient.framing.tolerant import TolerantDecoder

# Most lengths met: looking one up is cheaper than checking and converting it.
_NUMBERS = {b"%d" % number: number for number in range(1000)}
_POSITIVE = {text: number for text, number in _NUMBERS.items() if number}

SIZES = (1, 2, 3, 4, 8)
"""Bytes that a binary length field may have."""

LONGEST_MARK = 256
"""The end of every chunk is compared with every beginning of a mark."""


def length(
    size: int,
    little_endian: bool = False,
    inclusive: bool = False,
    offset: int = 0,
    adjust: int = 0,
    keep_header: bool = False,
    max_frame: int = MAX_FRAME,
    checksum: str = "",
    over: str = "payload",
    mark: bytes = b"",
    bits: int = 0,
    on_bad_frame: str = "close",
) -> Framing:
    """Frames behind a binary length, unsigned, `size` bytes wide (1, 2, 3, 4 or 8).

    The header is `offset` bytes that are not looked at, then the length field.
    The bytes behind the field are as many as its value plus `adjust`.

    :param little_endian: least significant byte first; default is network order.
    :param inclusive: the value counts from the first byte of the header on.
    :param keep_header: the header is part of the frame, received and sent; a
        frame to be sent must then announce its own size rightly. Without it a
        header with an offset can be received but not sent: what the bytes before
        the field should be is not known, unless all of them are the `mark`.
    :param max_frame: the longest frame accepted, bytes as handed over.
    :param checksum: the last of the bytes behind the field are this checksum
        (`nbclient.framing.checksums`): verified and taken off, and put on. The
        value counts it too; where it does not, `adjust` by the checksum's size.
    :param over: what the checksum covers: ``payload``, the frame as handed
        over; ``frame``, the header too; ``behind-mark``, all of that but the mark.
    :param mark: what each header begins with, at most `offset` bytes.
    :param bits: only so many of the field's lowest bits are the length. The others
        are not looked at, and sent as zeros. 0: all of them.
    :param on_bad_frame: ``skip``, with a `mark` only: what is no good frame is passed over,
        and the next looked for one byte behind the mark of a bad one.
    :raises SpecError: if an argument is out of range, or no frame could meet them all.
    """
    return Length(
        size,
        little_endian,
        inclusive,
        offset,
        adjust,
        keep_header,
        max_frame,
        checksum,
        over,
        mark,
        bits,
        on_bad_frame,
    )


def netstring(max_frame: int = MAX_FRAME) -> Framing:
    """``3:abc,`` as specified by D. J. Bernstein (https://cr.yp.to/proto/netstrings.txt).

    :param max_frame: the longest string accepted, bytes.
    :raises SpecError: if it is less than 1.
    """
    return Netstring(max_frame)


def octet_counted(max_frame: int = MAX_FRAME, tolerant: bool = False) -> Framing:
    """``3 abc``, as syslog over TCP sends messages (RFC 6587, 3.4.1).

    There is no empty message: the count begins with a digit other than zero.

    :param max_frame: the longest message accepted, bytes.
    :param tolerant: take what senders really send, as rsyslog's imtcp does: a line feed
        behind a message is passed over, and what does not begin with a digit is a
        message up to the next line feed (RFC 6587, 3.4.2). What is sent stays the same.
    :raises SpecError: if `max_frame` is less than 1.
    """
    return OctetCounted(max_frame, tolerant)


class _Layout(NamedTuple):
    """A length framing in the figures its loops need, bytes; the field is the origin."""

    header: int  # offset and field
    starts: int  # from the field's first byte to the frame's
    behind: int  # value + behind: from the field's first byte to the frame's end
    lowest: int  # bounds of the value
    highest: int
    grown: int  # frame size - value


@frozen(slots=False)
class Length(Framing):
    """The recipe behind `length`."""

    size: int
    little_endian: bool = False
    inclusive: bool = False
    offset: int = 0
    adjust: int = 0
    keep_header: bool = False
    max_frame: int = MAX_FRAME
    checksum: str = ""
    over: str = "payload"
    mark: bytes = b""
    bits: int = 0
    on_bad_frame: str = "close"

    def __attrs_post_init__(self) -> None:
        check_limits(self.max_frame, self.on_bad_frame)
        if self.size not in SIZES:
            raise SpecError(f"a length has 1, 2, 3, 4 or 8 bytes, not {self.size}")
        if not 0 <= self.bits <= 8 * self.size:
            raise SpecError(f"a length of {self.size} bytes has no {self.bits} bits")
        if not 0 <= self.offset <= self.max_frame:  # what is before a frame is held too
            raise SpecError(
                f"the offset of a length is 0 to {self.max_frame} bytes (max_frame),"
                f" not {self.offset}"
            )
        if len(self.mark) > min(self.offset, LONGEST_MARK):
            raise SpecError(
                f"the mark has {len(self.mark)} bytes: there are {self.offset} before the length"
                f" (offset), and a mark has at most {LONGEST_MARK}"
            )
        if self.on_bad_frame == "skip" and not self.mark:
            raise SpecError("a length without a mark cannot skip: nothing shows the next frame")
        check_over(self.checksum, self.over, ("payload", "frame", "behind-mark"))
        layout = self._layout
        if layout.lowest > layout.highest:
            raise SpecError(f"no frame of {self} can be within the limit of {self.max_frame} bytes")

    @property
    def sends(self) -> bool:
        return self.keep_header or self.offset == len(self.mark)

    @property
    def most_held(self) -> int:
        # A frame inside a false one is given out late, and what follows it kept until then.
        again = 2 if self.on_bad_frame == "skip" else 1
        return again * (self.max_frame + self.offset + AROUND)

    def __str__(self) -> str:
        options = [
            ",le" if self.little_endian else "",
            ",inclusive" if self.inclusive else "",
            f",offset={self.offset}" if self.offset else "",
            f",mark={escaped(self.mark, comma=True)}" if self.mark else "",
            f",bits={self.bits}" if self.bits else "",
            f",adjust={self.adjust}" if self.adjust else "",
            ",keep-header" if self.keep_header else "",
            f",checksum={self.checksum}" if self.checksum else "",
            f",over={self.over}" if self.over != "payload" else "",
        ]
        return f"length:{self.size}" + "".join(options)

    def decoder(self) -> Decoder:
        if self.mark:
            return HeadedDecoder(self)
        if self._sum is not None:
            return SummedLengthDecoder(self, self._sum)
        plain = not (self.offset or self.keep_header or self.adjust or self.inclusive or self.bits)
        return PlainLengthDecoder(self) if plain else LengthDecoder(self)

    def check(self, frames: Sequence[bytes]) -> None:
        if self.keep_header:
            self._check_headers(frames)
        else:
            self._check_sizes(list(map(len, frames)))

    def encode(self, frames: Sequence[bytes]) -> list[bytes]:
        if self._sum is not None:
            return self._encode_summed(frames, self._sum)
        if self.keep_header:
            self._check_headers(frames)
            return list(frames)
        self._check_sizes(list(map(len, frames)))
        pack = self._pack
        grown = self._layout.grown
        if self.mark:
            return [self.mark + pack(len(frame) - grown) + frame for frame in frames]
        if grown:
            return [pack(len(frame) - grown) + frame for frame in frames]
        return [pack(len(frame)) + frame for frame in frames]

    def image(self, frame: bytes) -> bytes:
        if self.keep_header or self.mark or self._sum is not None:
            return self.encode((frame,))[0]
        size = len(frame)
        least, most = self._sizes
        if not self.sends or not least <= size <= most:
            self._check_sizes((size,))
        return self._pack(size - self._layout.grown) + frame

    def _encode_summed(self, frames: Sequence[bytes], checksum: Checksum) -> list[bytes]:
        self.check(frames)
        heads = [b""] * len(frames)
        if not self.keep_header:
            grown = self._layout.grown
            heads = [self.mark + self._pack(len(frame) - grown) for frame in frames]
        return [
            head + frame + checksum.image(self._covered(head, frame))
            for head, frame in zip(heads, frames, strict=True)
        ]

    def _covered(self, head: bytes, frame: bytes) -> bytes:
        """What the checksum is of.

        :param head: the header, where it is not part of the frame.
        """
        if self.over == "payload":
            return frame
        return (head + frame)[len(self.mark) if self.over == "behind-mark" else 0 :]

    def _fault(self, data: bytes, begin: int, stop: int) -> BadFrame | None:
        """What is wrong with the checksum of the whole frame in ``data[begin:stop]``."""
        if self._sum is None:
            return None
        split = stop - self._sum.size
        starts = begin + self.offset + self._layout.starts
        covered = self._covered(data[begin:starts], data[starts:split])
        return self._sum.fault(covered, data[split:stop])

    @cached_property
    def _summed(self) -> int:
        """How long the checksum is, bytes."""
        return self._sum.size if self._sum else 0

    @cached_property
    def _sum(self) -> Checksum | None:
        return checksum_named(self.checksum) if self.checksum else None

    @cached_property
    def _layout(self) -> _Layout:
        header = self.offset + self.size
        # What the bytes behind the field are more than the value.
        following = self.adjust - (header if self.inclusive else 0)
        extra = self._summed
        grown = following + (header if self.keep_header else 0) - extra
        return _Layout(
            header=header,
            starts=-self.offset if self.keep_header else self.size,
            behind=self.size + following,
            lowest=max(0, extra - following),
            highest=min(2 ** (self.bits or 8 * self.size) - 1, self.max_frame - grown),
            grown=grown,
        )

    @cached_property
    def _sizes(self) -> tuple[int, int]:
        """The smallest and the largest frame."""
        layout = self._layout
        return layout.lowest + layout.grown, layout.highest + layout.grown

    @cached_property
    def _pack(self) -> Callable[[int], bytes]:
        packer = self._struct()
        if packer is not None:
            return packer.pack
        order = self._order()
        return lambda value: value.to_bytes(self.size, order)

    @cached_property
    def _unpack(self) -> Callable[[bytes, int], tuple[int, ...]]:
        """From data and offset to a tuple of one, as `struct` has it."""
        unpacker = self._struct()
        order = self._order()
        if self.bits:
            mask = 2**self.bits - 1
            return lambda data, at: (int.from_bytes(data[at : at + self.size], order) & mask,)
        if unpacker is not None:
            return unpacker.unpack_from
        return lambda data, at: (int.from_bytes(data[at : at + self.size], order),)

    def _struct(self) -> Struct | None:
        letter = {1: "B", 2: "H", 4: "I", 8: "Q"}.get(self.size)
        return Struct(("<" if self.little_endian else ">") + letter) if letter else None

    def _order(self) -> Literal["little", "big"]:
        return "little" if self.little_endian else "big"

    def _check_sizes(self, sizes: Sequence[int]) -> None:
        if not self.sends:
            raise FrameError(f"{self} cannot send: the bytes before the length are not known")
        least, most = self._sizes
        if sizes and (min(sizes) < least or max(sizes) > most):
            wrong = next(size for size in sizes if not least <= size <= most)
            raise FrameError(f"a frame of {self} has {least} to {most} bytes, not {wrong}")

    def _check_headers(self, frames: Sequence[bytes]) -> None:
        layout = self._layout
        unpack = self._unpack
        for frame in frames:
            size = len(frame)
            if size < layout.header:
                raise FrameError(f"a frame of {size} bytes has no header of {layout.header} bytes")
            check_size(frame, self.max_frame)
            if not frame.startswith(self.mark):
                raise FrameError(f"a frame of {self} begins with {self.mark!r}")
            (value,) = unpack(frame, self.offset)
            if value + layout.grown != size:
                raise FrameError(
                    f"a frame of {size} bytes has {value} in its header, not {size - layout.grown}"
                )


class LengthDecoder(SizedDecoder):
    """One loop over the chunk; a slice per frame is all that is copied."""

    def __init__(self, framing: Length) -> None:
        super().__init__()
        self._framing = framing
        self._layout = framing._layout
        self._unpack = framing._unpack
        self._image = 0 if framing.keep_header else self._layout.header

    def _scan(self, data: bytes, at: int, frames: list[bytes]) -> int:
        header, starts, behind, lowest, highest, _ = self._layout
        offset = self._framing.offset
        unpack = self._unpack
        append = frames.append
        end = len(data)
        last = end - self._framing.size
        at += offset  # from here on, where the field is
        while at <= last:
            (value,) = unpack(data, at)
            if not lowest <= value <= highest:
                self._refuse(value, data[at - offset : at - offset + header])
                break
            stop = at + value + behind
            if stop > end:
                self._need = stop - at + offset
                break
            append(data[at + starts : stop])
            at = stop + offset
        else:
            self._need = header
        return at - offset

    def _wire_size(self, frames: Sequence[bytes]) -> int:
        return sum(map(len, frames)) + self._image * len(frames)

    def _refuse(self, value: int, header: bytes) -> None:
        size = value + self._layout.grown
        if value < self._layout.lowest:
            self.fault = BadFrame(f"expected a length of at least {self._layout.lowest}", header)
        else:
            self.fault = FrameTooLong(self._framing.max_frame, size, declared=True)


class PlainLengthDecoder(LengthDecoder):
    """The value is the frame's size, and nothing else is in the header."""

    def _scan(self, data: bytes, at: int, frames: list[bytes]) -> int:
        end = len(data)
        if not SHORT <= end - at <= self._framing.max_frame:
            return LengthDecoder._scan(self, data, at, frames)
        # A frame that is there cannot be over the limit: only one that is not is looked at.
        header = self._image
        unpack = self._unpack
        append = frames.append
        last = end - header
        while at <= last:
            at = cut_row(data, at, header, unpack(data, at)[0], 0, frames)
            pause = min(last, at + AGAIN)
            while at <= pause:
                start = at + header
                stop = start + unpack(data, at)[0]
                if stop > end:
                    self._need, self._begins = stop - at, header
                    if stop - start > self._framing.max_frame:
                        self._refuse(stop - start, data[at:start])
                    return at
                append(data[start:stop])
                at = stop
        self._need = header
        return at


class SummedLengthDecoder(LengthDecoder):
    """The frames cut out by its base class, each with its checksum at its end."""

    def __init__(self, framing: Length, checksum: Checksum) -> None:
        super().__init__(framing)
        self._sum = checksum
        self._before = self._image if framing.over != "payload" else 0  # there is no mark
        self._image += checksum.size

    def _scan(self, data: bytes, at: int, frames: list[bytes]) -> int:
        whole: list[bytes] = []
        end = super()._scan(data, at, whole)
        header = self._image - self._sum.size
        for image in whole:
            starts = at + header
            split = starts + len(image) - self._sum.size
            stop = starts + len(image)
            wrong = self._sum.fault(data[starts - self._before : split], data[split:stop])
            if wrong is not None:
                self.fault = wrong
                return at
            frames.append(data[starts:split])
            at = stop
        return end


@frozen(slots=False)
class Netstring(Framing):
    """The recipe behind `netstring`."""

    max_frame: int = MAX_FRAME

    def __attrs_post_init__(self) -> None:
        check_limit(self.max_frame)

    def __str__(self) -> str:
        return "netstring"

    def decoder(self) -> Decoder:
        return DigitsDecoder(self.max_frame, rb"0|[1-9][0-9]{0,%d}", _NUMBERS, b":", b",")

    def check(self, frames: Sequence[bytes]) -> None:
        check_sizes(frames, 0, self.max_frame)

    def encode(self, frames: Sequence[bytes]) -> list[bytes]:
        self.check(frames)
        return [b"%d:%b," % (len(frame), frame) for frame in frames]


@frozen(slots=False)
class OctetCounted(Framing):
    """The recipe behind `octet_counted`."""

    max_frame: int = MAX_FRAME
    tolerant: bool = False

    def __attrs_post_init__(self) -> None:
        check_limit(self.max_frame)

    def __str__(self) -> str:
        return "octet-counted,tolerant" if self.tolerant else "octet-counted"

    def decoder(self) -> Decoder:
        if self.tolerant:
            return TolerantDecoder(self.max_frame)
        return DigitsDecoder(self.max_frame, rb"[1-9][0-9]{0,%d}", _POSITIVE, b" ", b"")

    def check(self, frames: Sequence[bytes]) -> None:
        check_sizes(frames, 1, self.max_frame)

    def encode(self, frames: Sequence[bytes]) -> list[bytes]:
        self.check(frames)
        return [b"%d %b" % (len(frame), frame) for frame in frames]


class DigitsDecoder(SizedDecoder):
    """A decimal length, a separator, the frame, perhaps a trailer of one byte.

    The number has no more digits than the limit, so that a header is short too.
    """

    def __init__(
        self,
        limit: int,
        number: bytes,
        small: Mapping[bytes, int],
        separator: bytes,
        trailer: bytes,
    ) -> None:
        super().__init__()
        # One digit more than may be is what tells a number too large from one unfinished.
        digits = len(str(limit))
        self._longest = digits + 1
        self._begins_number = re.compile(number % digits).fullmatch
        self._small = small.get
        self._limit = limit
        self._separator = separator
        self._trailer = trailer

    def _scan(self, data: bytes, at: int, frames: list[bytes]) -> int:
        limit, separator, longest = self._limit, self._separator, self._longest
        find, small = data.find, self._small
        trailer = len(self._trailer)
        comma = self._trailer[0] if trailer else 0
        end = len(data)
        look = at if end - at >= SHORT else end  # from here on, whether a row begins
        while at < end:
            start = find(separator, at, at + longest) + 1
            size = small(data[at : start - 1]) if start else None
            if size is None:
                size = self._read_size(data[at : at + longest])
                if size is None:
                    break
            stop = start + size
            if size > limit:
                self.fault = FrameTooLong(limit, size, declared=True)
                break
            if stop + trailer > end:
                self._need, self._begins = stop + trailer - at, start - at
                break
            if trailer and data[stop] != comma:
                found = data[stop : stop + BadFrame.SHOWN]
                self.fault = BadFrame(f"expected {self._trailer!r} behind the frame", found)
                break
            if at >= look:
                behind = cut_row(data, at, start - at, size, trailer, frames)
                look = behind + AGAIN
                if behind > at:
                    at = behind
                    continue
            frames.append(data[start:stop])
            at = stop + trailer
        return at

    def _finish(self, frames: list[bytes]) -> None:
        carry, trailer = self._carry, self._trailer
        if not carry.endswith(trailer):
            self._begins = 0  # another scan says what is wrong
            return
        del carry[len(carry) - len(trailer) :]
        super()._finish(frames)

    def _read_size(self, header: bytes) -> int | None:
        """The size announced by any other number; None for one unfinished or faulty."""
        number, separator, _ = header.partition(self._separator)
        if not self._begins_number(number):
            self.fault = BadFrame(f"expected a length and {self._separator!r}", header)
        elif len(number) == self._longest:
            self.fault = FrameTooLong(self._limit, int(number), declared=True)
        elif separator:
            return int(number)
        else:
            self._need = len(header) + 1
        return None

    def _wire_size(self, frames: Sequence[bytes]) -> int:
        sizes = list(map(len, frames))
        return sum(sizes) + sum(len(str(size)) + 1 + len(self._trailer) for size in sizes)


def check_sizes(frames: Sequence[bytes], least: int, most: int) -> None:
    """Refuse a frame whose size is not between the two, bytes.

    :raises FrameError: as said.
    """
    for size in map(len, frames):
        if not least <= size <= most:
            raise FrameError(f"a frame has {least} to {most} bytes, not {size}")
