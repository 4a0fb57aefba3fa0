"""How fast frames go through the spool, against a raw loop of write and fdatasync.

Both move the same batches of 100 frames in the same run, round after round in
turn, so that whatever else the machine does falls on both. The spool's frames
are counted from `append` until their acknowledgement is stored, the raw loop's
only until they are written. Prints frames a second, and the ratio of the medians.

    python benchmarks/spool.py [--folder DIR] [--window BATCHES]
"""

from __future__ import annotations

import argparse
import os
import queue
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from nbclient.delivery.spool import Spool

BATCH = [bytes(200)] * 100


def raw(folder: Path, batches: int) -> float:
    """Write and sync each batch; gives frames a second."""
    image = b"".join(BATCH)
    descriptor = os.open(folder / "raw", os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
    began = time.perf_counter()
    for _ in range(batches):
        os.write(descriptor, image)
        os.fdatasync(descriptor)
    rate = batches * len(BATCH) / (time.perf_counter() - began)
    os.close(descriptor)
    return rate


class Loop:
    """Stands for the reactor: makes the calls that the spool's thread hands over."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self.deliver = self._calls.put

    def until(self, done: Callable[[], bool]) -> None:
        """Make calls until `done`."""
        while not done():
            self._calls.get()()


def spooled(spool: Spool, loop: Loop, batches: int, window: int) -> float:
    """Append and acknowledge each batch, `window` of them on their way; gives frames a second."""
    left, under_way, finished = batches, 0, 0

    def fill() -> None:
        nonlocal left, under_way
        while left and under_way < window:
            left -= 1
            under_way += 1
            last = spool.last_seq + len(BATCH)
            spool.append(BATCH, partial(stored, last))

    def stored(upto: int, error: Exception | None) -> None:
        assert error is None, error
        spool.acknowledge(upto, acknowledged)

    def acknowledged(error: Exception | None) -> None:
        nonlocal under_way, finished
        assert error is None, error
        under_way -= 1
        finished += 1
        fill()

    began = time.perf_counter()
    fill()
    loop.until(lambda: finished == batches)
    return batches * len(BATCH) / (time.perf_counter() - began)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", default=None, help="on the disk to be measured")
    parser.add_argument("--window", type=int, default=32, help="batches on their way")
    parser.add_argument("--batches", type=int, default=2000, help="batches in a round")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    loop = Loop()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        spool = Spool.open(folder, "speed", "nobody:1", 2**30, deliver=loop.deliver)
        spool.start()
        rates: dict[str, list[float]] = {}
        for _ in range(options.rounds):
            rates.setdefault("raw loop", []).append(raw(folder, options.batches))
            for window in (1, options.window):
                rate = spooled(spool, loop, options.batches, window)
                rates.setdefault(f"spool, {window} on the way", []).append(rate)
        spool.close()
        spool.join()
    floor = statistics.median(rates["raw loop"])
    for what, measured in rates.items():
        middle = statistics.median(measured)
        print(f"{what:24}{middle:12,.0f} frames/s {middle / floor:8.2f} of the raw loop")


if __name__ == "__main__":
    main()
