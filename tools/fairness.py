"""A quiet link beside a flooding one, on one reactor: how long does an answer take?

    python tools/fairness.py [--seconds 10] [--frame 100] [--each] [--floods 1]

Two servers run as child processes on loopback. One answers lines, the other
sends lines of `--frame` bytes as fast as it is let. This process asks the first
one every 10 ms, for so many seconds alone; as long while another process takes the
flood, which shows what sharing the machine costs; and as long while it takes the flood
itself, counting and forgetting the frames: an output that keeps up. An answer's time
counts from when the question was due, so that a question that was late is no excuse.

It prints the 50th and 99th percentile and the longest, in milliseconds, and what of
the flood arrived. The last row is the processor time that each read of the flood took:
Twisted reads 64 KiB at most before it turns to the next connection, so the quiet link
waits for one such read or two of each flood.

Frames go to the application a read at a time (`framesReceived`); with `--each` one by
one (`frameReceived`). It ends by itself.
"""

from __future__ import annotations

import argparse
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from attrs import frozen
from twisted.internet.defer import gatherResults
from twisted.internet.task import deferLater, react
from twisted.internet.threads import deferToThread

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from nbclient import FrameProtocol, ReconnectingFactory, framing  # noqa: E402
from nbclient.endpoints import tcp  # noqa: E402

HOST = "127.0.0.1"
EVERY = 0.01
"""Seconds between two questions."""

LATEST = 2.0
"""How long the last answers are waited for, seconds."""

BLOCK = 256 * 1024
"""What the flood writes at once, bytes or a little more."""

# -- the servers, each in a process of its own -----------------------------------


def serve(options: argparse.Namespace) -> None:
    """Serve until standard input ends."""
    kind, frame = options.serve, options.frame
    listening = socket.create_server((HOST, 0))
    print(listening.getsockname()[1], flush=True)
    threading.Thread(target=_accept, args=(listening, kind, frame), daemon=True).start()
    sys.stdin.read()


def _accept(listening: socket.socket, kind: str, frame: int) -> None:
    while True:
        connection, _ = listening.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        talk = (_flood, connection, frame) if kind == "flood" else (_echo, connection)
        threading.Thread(target=_quietly, args=talk, daemon=True).start()


def _quietly(talk: Any, connection: socket.socket, *arguments: Any) -> None:
    with suppress(OSError):
        talk(connection, *arguments)


def _flood(connection: socket.socket, frame: int) -> None:
    block = (b"x" * (frame - 1) + b"\n") * (BLOCK // frame + 1)
    while True:
        connection.sendall(block)


def _echo(connection: socket.socket) -> None:
    while data := connection.recv(65536):
        connection.sendall(data)


class Server:
    """One of the children."""

    def __init__(self, kind: str, options: argparse.Namespace, port: int = 0) -> None:
        words = ["--serve", kind, "--frame", options.frame, "--floods", options.floods]
        words += ["--port", port, *(["--each"] if options.each else [])]
        self._process = subprocess.Popen(
            [sys.executable, __file__, *map(str, words)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def stop(self) -> None:
        """End it, and wait until it has."""
        if self._process.poll() is None:
            self._process.communicate()


# -- the links ---------------------------------------------------------------------


class Quiet(FrameProtocol):
    """Notes when each answer came; a question is its number."""

    framing = framing.lines()

    def frameReceived(self, frame: bytes) -> None:
        self.factory.answered(int(frame))  # type: ignore[union-attr]


class FloodLink(ReconnectingFactory):
    """:ivar costs: processor time of each read, seconds."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.costs: list[float] = []


async def take(reactor: Any, options: argparse.Namespace) -> list[Any]:
    """The links that take the flood, once they do."""
    protocol = OneByOne if options.each else Batches
    links: list[Any] = [FloodLink.forProtocol(protocol) for _ in range(options.floods)]
    for link in links:
        link.start(tcp(reactor, HOST, options.port), reactor)
    await gatherResults([link.whenReady() for link in links])
    return links


async def take_elsewhere(reactor: Any, options: argparse.Namespace) -> None:
    """A process of its own for them, until standard input ends."""
    links = await take(reactor, options)
    print(options.port, flush=True)
    await deferToThread(sys.stdin.read)
    await gatherResults([link.stop() for link in links])


class QuietLink(ReconnectingFactory):
    """Asks on a schedule.

    :ivar waits: seconds from when a question was due to its answer.
    """

    def begin(self, reactor: Any, count: int) -> None:
        """Ask `count` questions from now on."""
        self._reactor = reactor
        self._due: list[float] = []
        self._start, self._count = time.perf_counter(), count
        self.waits: list[float] = []
        self._tick()

    def _tick(self) -> None:
        while len(self._due) < self._count:
            due = self._start + len(self._due) * EVERY
            left = due - time.perf_counter()
            if left > 0:
                self._reactor.callLater(left, self._tick)
                return
            self._due.append(due)
            self.connection.sendFrame(b"%d" % (len(self._due) - 1))

    def answered(self, number: int) -> None:
        """The answer to a question."""
        self.waits.append(time.perf_counter() - self._due[number])

    @property
    def done(self) -> bool:
        """All was asked and answered."""
        return len(self.waits) == self._count


class Flood(FrameProtocol):
    """Notes what each read costs."""

    framing = framing.lines()

    def dataReceived(self, data: bytes) -> None:
        before = time.thread_time()
        super().dataReceived(data)
        self.factory.costs.append(time.thread_time() - before)  # type: ignore[union-attr]


class Batches(Flood):
    """Takes the flood a read at a time."""

    def framesReceived(self, frames: list[bytes]) -> None:
        pass


class OneByOne(Flood):
    """Takes the flood frame by frame."""

    def frameReceived(self, frame: bytes) -> None:
        pass


# -- the measurement ----------------------------------------------------------------


@frozen
class Waits:
    """How long answers took, seconds."""

    count: int
    median: float
    p99: float
    longest: float


def summary(waits: Sequence[float]) -> Waits:
    """The figures of a run; a percentile is a value that occurred (nearest rank)."""
    ordered = sorted(waits)

    def rank(part: float) -> float:
        return ordered[max(0, -int(-part * len(ordered) // 1) - 1)]

    return Waits(len(ordered), rank(0.5), rank(0.99), ordered[-1])


async def ask(reactor: Any, link: QuietLink, seconds: float) -> Waits:
    """Questions for so long, and their answers."""
    link.begin(reactor, max(1, round(seconds / EVERY)))
    deadline = time.perf_counter() + seconds + LATEST
    while not link.done and time.perf_counter() < deadline:
        await deferLater(reactor, 0.05, lambda: None)
    if not link.done:
        raise SystemExit(f"{len(link.waits)} answers only, {LATEST:g} s after the last question")
    return summary(link.waits)


async def measure(reactor: Any, options: argparse.Namespace) -> list[str]:
    """The three runs; lines to print."""
    servers = [Server("quiet", options), Server("flood", options)]
    options.port = servers[1].port
    quiet: Any = QuietLink.forProtocol(Quiet, delivery="written")
    try:
        quiet.start(tcp(reactor, HOST, servers[0].port), reactor)
        await quiet.whenReady()
        alone = await ask(reactor, quiet, options.seconds)
        elsewhere = Server("taker", options, options.port)
        servers.insert(0, elsewhere)
        near = await ask(reactor, quiet, options.seconds)
        elsewhere.stop()
        floods = await take(reactor, options)
        before, began = _taken(floods), time.perf_counter()
        beside = await ask(reactor, quiet, options.seconds)
        took = time.perf_counter() - began
        frames, size = (now - then for now, then in zip(_taken(floods), before, strict=True))
        await gatherResults([link.stop() for link in (quiet, *floods)])
    finally:
        for server in servers:
            server.stop()
    flood = f"{size / took / 1e6:.0f} MB/s, {frames / took:,.0f} frames/s"
    return [
        f"{'':20}{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}{'count':>9}  flood",
        _row("alone", alone, "-"),
        _row("flood in another", near, "-"),
        _row("flood beside it", beside, flood),
        _row("a read of it", summary([cost for link in floods for cost in link.costs]), "-"),
    ]


def _taken(links: list[Any]) -> tuple[int, int]:
    stats = [link.stats() for link in links]
    return sum(each.frames_in for each in stats), sum(each.bytes_in for each in stats)


def _row(name: str, waits: Waits, flood: str) -> str:
    figures = (1000 * value for value in (waits.median, waits.p99, waits.longest))
    return f"{name:20}{''.join(f'{value:9.2f}' for value in figures)}{waits.count:9}  {flood}"


def bounded(least: float, most: float, kind: type = float) -> Any:
    """A parser of numbers from `least` to `most`."""

    def parse(text: str) -> Any:
        value = kind(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{value} is not from {least:g} to {most:g}")
        return value

    return parse


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The options."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=bounded(0.05, 60), default=10.0, help="of each run")
    parser.add_argument(
        "--frame", type=bounded(1, 65536, int), default=100, help="bytes of a frame"
    )
    parser.add_argument("--floods", type=bounded(1, 20, int), default=1, help="flooding links")
    parser.add_argument("--each", action="store_true", help="frames one by one")
    kinds = ("quiet", "flood", "taker")
    parser.add_argument("--serve", choices=kinds, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, default=0, help=argparse.SUPPRESS)
    return parser.parse_args(words)


async def main(reactor: Any, options: argparse.Namespace) -> None:
    """Measure and print."""
    print("\n".join(await measure(reactor, options)))


if __name__ == "__main__":
    chosen = parse(sys.argv[1:])
    if chosen.serve == "taker":
        react(take_elsewhere, (chosen,))
    elif chosen.serve:
        serve(chosen)
    else:
        react(main, (chosen,))
