"""Which frames the peer's kernel has: wire offsets against what TCP acknowledged.

One `Ledger` belongs to one connection. It is told of every write in order, and
of how many bytes were acknowledged; it answers with frames. Under TLS the
acknowledged bytes are ciphertext, and a `CipherMap` turns them into plaintext.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable
from itertools import accumulate
from typing import Any

from attrs import define


def payload(bytes_acked: int, handed_over: int, base: int = 1) -> int:
    """How many bytes of payload the peer's kernel has acknowledged.

    TCP counts our SYN and our FIN as a byte each, and so does the kernel.

    :param bytes_acked: the kernel's ``tcpi_bytes_acked`` (RFC 4898,
        tcpEStatsAppHCThruOctetsAcked).
    :param handed_over: how many bytes of payload the kernel was given. More
        cannot have been acknowledged: what is beyond is our FIN.
    :param base: what the counter showed before the first byte of payload: 1,
        the SYN, on the side that connected.
    """
    return max(0, min(bytes_acked - base, handed_over))


@define
class _Batch:
    """Frames written at once.

    :ivar start: the wire offset of the first of them.
    :ivar end: the wire offset behind the last.
    :ivar count: how many they are.
    :ivar lengths: gives what each takes on the wire, bytes.
    :ivar done: how many are acknowledged.
    :ivar ends: the wire offset behind each, once it is needed: most batches
        are acknowledged whole, and cost nothing per frame.
    """

    start: int
    end: int
    count: int
    lengths: Callable[[], Iterable[int]]
    done: int = 0
    ends: list[int] | None = None

    def acknowledged(self, total: int) -> int:
        """How many frames end at or before `total`."""
        if total >= self.end:
            return self.count
        if total <= self.start:
            return 0
        if self.ends is None:
            self.ends = list(accumulate(self.lengths(), initial=self.start))
        if self.ends[-1] != self.end:  # not what was written: nobody knows where each ends
            return 0
        # The first offset is where the batch starts, and ends no frame.
        return bisect_right(self.ends, total, lo=1) - 1


_NONE: deque[Any] = deque()  # of the connections with nothing on its way; never changed


class Ledger:
    """What was written on one connection, and how much of it was acknowledged.

    Two lanes share the wire: frames of the outbox, whose acknowledgements
    matter, and everything else (openings, answers, heartbeats), which only
    moves the offsets.

    :ivar written: bytes written on both lanes.
    :ivar acked: the highest total acknowledged, bytes.
    :ivar unacknowledged_frames: frames of the outbox written and not fully
        acknowledged.
    """

    __slots__ = ("_batches", "acked", "unacknowledged_frames", "written")

    def __init__(self) -> None:
        self.written = 0
        self.acked = 0
        self.unacknowledged_frames = 0
        self._batches: deque[_Batch] = _NONE

    @property
    def unacknowledged_bytes(self) -> int:
        """Bytes written on both lanes and not acknowledged."""
        return self.written - self.acked

    def wrote(self, length: int) -> None:
        """`length` bytes were written that are none of the outbox's."""
        self.written += length

    def wrote_frames(self, count: int, size: int, lengths: Callable[[], Iterable[int]]) -> None:
        """Frames of the outbox were written, `count` of them, `size` bytes on the wire.

        :param lengths: gives what each of them takes, at least a byte, in order; asked for
            where an acknowledgement ends between them. Where that is not `size` together, none of
            them counts as acknowledged before the last.
        """
        if self._batches is _NONE:
            self._batches = deque()
        start = self.written
        self.written += size
        self.unacknowledged_frames += count
        self._batches.append(_Batch(start, self.written, count, lengths))

    def acknowledged(self, total: int) -> int:
        """The first `total` bytes written were acknowledged.

        A total lower than one before is old news and changes nothing. Constant
        time for each batch of writes, and the logarithm of its frames for the
        one that is cut.

        :return: how many more frames of the outbox are now acknowledged to
            their last byte.
        :raises ValueError: more than was written. Somebody has miscounted, and
            whatever was made of it would be a lie.
        """
        if total > self.written:
            raise ValueError(f"{total} bytes acknowledged, but only {self.written} written")
        self.acked = total = max(total, self.acked)
        batches = self._batches
        frames = 0
        while batches:
            first = batches[0]
            done = first.acknowledged(total)
            frames += done - first.done
            first.done = done
            if total < first.end:
                break
            batches.popleft()
        if not batches:
            self._batches = _NONE  # an empty deque takes 600 bytes
        self.unacknowledged_frames -= frames
        return frames


class CipherMap:
    """From acknowledged ciphertext to the plaintext the peer can have.

    A TLS record is decrypted whole or not at all, so the answer is always a
    boundary between records; what is cut counts as not acknowledged.

    Marks that nobody asks about are bounded by `MOST`: then every other one
    goes. The answer may lag behind for that, but never runs ahead, and is exact
    again when all is acknowledged.
    """

    MOST = 4096

    __slots__ = ("_marks", "_plain")

    def __init__(self) -> None:
        self._marks: deque[tuple[int, int]] = deque()
        self._plain = 0

    def __len__(self) -> int:
        """How many marks are kept: one a record not yet acknowledged."""
        return len(self._marks)

    def mark(self, cipher_total: int, plain_total: int) -> None:
        """The first `plain_total` bytes are all within the first `cipher_total`.

        To be called in order, neither total ever less than before.
        """
        marks = self._marks
        if marks and marks[-1][0] == cipher_total:
            marks.pop()
        if plain_total > (marks[-1][1] if marks else self._plain):
            marks.append((cipher_total, plain_total))
            if len(marks) >= self.MOST:
                self._marks = deque(list(marks)[1::2])  # an even number: the newest stays

    def plain(self, cipher_acked: int) -> int:
        """How much plaintext the first `cipher_acked` bytes surely hold, bytes.

        Marks that are acknowledged are forgotten; the answer never goes back.
        """
        marks = self._marks
        while marks and marks[0][0] <= cipher_acked:
            self._plain = marks.popleft()[1]
        return self._plain
