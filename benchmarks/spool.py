"""How fast frames go through a link with a spool, against a raw loop of write and fdatasync.

Both move the same batches of 100 frames in the same run, round after round in
turn, so that whatever else the machine does falls on both. A frame of the link is
counted from `send` until the peer, a process on this machine, has acknowledged it and the
spool has noted that; one of the raw loop until it is written. Whoever sends has several
batches on their way: with one he waits for each commit. Prints frames a second, and the
ratio of the medians.

    python -m benchmarks.spool [--folder DIR] [--windows BATCHES ...]
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, DeferredSemaphore

from nbclient import FrameProtocol, ReconnectingFactory, framing
from nbclient.link.spooling import open_spool

BATCH = [b"x" * 200] * 100


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


@contextmanager
def sink() -> Iterator[int]:
    """A peer that reads all and says nothing, in a process of its own; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        child = os.fork()
        if not child:
            while True:
                connection, _ = server.accept()
                while connection.recv(1 << 20):
                    pass
                connection.close()
        try:
            yield server.getsockname()[1]
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


async def linked(link: Any, batches: int, window: int) -> float:
    """Send each batch, `window` of them on their way to the disk; gives frames a second."""
    began = time.perf_counter()
    room = DeferredSemaphore(window)
    for _ in range(batches):
        await room.acquire()
        link.send(BATCH).addBoth(lambda _: room.release())
    await link.whenDrained()
    return batches * len(BATCH) / (time.perf_counter() - began)


async def noted(spool: Any) -> None:
    """Wait until the spool has noted what was delivered."""
    done: Deferred[None] = Deferred()
    spool.acknowledge(spool.last_seq, lambda _: done.callback(None))
    await done


async def measure(reactor: Any, port: int, options: argparse.Namespace) -> dict[str, list[float]]:
    """Round after round, each way in turn."""
    rates: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        spool = await open_spool(reactor, folder, "speed", f"127.0.0.1:{port}")
        link = ReconnectingFactory.forProtocol(
            FrameProtocol, framing=framing.lines(), delivery=options.delivery, spool=spool
        )
        reactor.connectTCP("127.0.0.1", port, link)
        await link.whenReady()
        for _ in range(options.rounds):
            rates.setdefault("raw loop", []).append(raw(folder, options.batches))
            for window in options.windows:
                rate = await linked(link, options.batches, window)
                rates.setdefault(f"link, {window} on their way", []).append(rate)
                await noted(spool)
        await link.stop()
        closed: Deferred[None] = Deferred()
        spool.close(lambda _: closed.callback(None))
        await closed
    return rates


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", default=None, help="on the disk to be measured")
    parser.add_argument("--windows", type=int, nargs="+", default=[1, 4, 32], metavar="BATCHES")
    parser.add_argument("--batches", type=int, default=500, help="batches in a round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--delivery", default="tcp")
    options = parser.parse_args()
    from twisted.internet import reactor

    def tell(rates: dict[str, list[float]]) -> None:
        floor = statistics.median(rates["raw loop"])
        for what, measured in rates.items():
            middle = statistics.median(measured)
            print(f"{what:24}{middle:12,.0f} frames/s {middle / floor:8.2f} of the raw loop")

    with sink() as port:
        measured = Deferred.fromCoroutine(measure(reactor, port, options))
        measured.addCallback(tell).addErrback(lambda failure: failure.printTraceback())
        measured.addBoth(lambda _: reactor.callWhenRunning(reactor.stop))  # type: ignore[attr-defined]
        reactor.run()  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
