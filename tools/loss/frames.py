"""The frames: numbered lines of a hundred bytes, and the pace at which they are made."""

from __future__ import annotations

import time
from collections.abc import Iterator

DIGITS = 8
LENGTH = 100
"""Bytes of a line, its newline included."""

_PADDING = b" " + b"x" * (LENGTH - DIGITS - 2)


def frame(number: int) -> bytes:
    """Frame `number` (from 0) without its newline."""
    return b"%08d" % number + _PADDING


def number_of(line: bytes) -> int | None:
    """Which frame a line is; None: it is none of ours, or not a whole one."""
    digits = line[:DIGITS]
    if len(line) == LENGTH - 1 and line.endswith(_PADDING) and digits.isdigit():
        return int(digits)
    return None


TICK = 0.01
"""Seconds between two batches of a source."""


def batches(count: int, rate: float) -> Iterator[tuple[float, range]]:
    """The source: `count` numbers, `rate` a second.

    :return: of each batch the seconds to wait before it, and its numbers. Who was
        held up catches up at once, as a source that exists already (a file, a
        queue) does.
    """
    start = time.monotonic()
    made = 0
    while made < count:
        passed = time.monotonic() - start
        due = min(count, int((passed + TICK) * rate))
        if due > made:
            yield max(0.0, made / rate - passed), range(made, due)
            made = due
        else:
            yield TICK, range(0)
