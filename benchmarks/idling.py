"""Many connections with nothing to do, and the same when their server restarts."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from attrs import frozen

from benchmarks.measuring import Failed, Process, Sample, Server
from benchmarks.tools import PEERS, Tools

ADDRESSES = 8
"""As `peers/waiting.py` has it."""

LIMIT = 60.0
"""Most seconds that connecting may take."""

TRACED = 2000
"""Links where tracemalloc counts, which is slow."""

AWAY = 2.0
"""How long the server stays away, in longest waits: until the links are out of step. They
lost it together, and after 1.5 that still shows (`notes.md`, restart)."""

PAGE = os.sysconf("SC_PAGE_SIZE")
TICK = os.sysconf("SC_CLK_TCK")


@frozen
class Sitter:
    """A peer that can hold many connections."""

    key: str
    label: str
    command: Sequence[str]
    needs: tuple[str, ...] = ()
    traced: bool = True


def sitters(python: str) -> list[Sitter]:
    """Who takes part when nothing happens."""

    def file(name: str, *before: str) -> list[str]:
        return [python, str(PEERS / name), *before, "idle"]

    return [
        Sitter("ours", "nbclient, everything on", file("ours_idle.py")),
        Sitter("twisted", "Twisted, bare Protocol", file("twisted_idle.py")),
        Sitter("asyncio", "asyncio streams", file("streams_idle.py", "asyncio")),
        Sitter("uvloop", "uvloop streams", file("streams_idle.py", "uvloop"), ("uvloop",)),
        Sitter("node", "Node net", ["node", str(PEERS / "node_idle.js"), "idle"], ("node",), False),
    ]


def redialers(python: str) -> list[Sitter]:
    """Who comes back by itself."""
    ours, theirs = str(PEERS / "ours_idle.py"), str(PEERS / "twisted_idle.py")
    return [
        Sitter("ours", "nbclient, everything on", [python, ours, "restart"]),
        Sitter(
            "twisted", "Twisted ReconnectingClientFactory", [python, theirs, "restart"], (), False
        ),
    ]


class Waiting:
    """A peer that connects and then waits."""

    def __init__(self, sitter: Sitter, port: int, links: int, maximum: float) -> None:
        command = [*sitter.command, "127.0.0.1", str(port), str(links), f"{maximum:g}"]
        self._process = Process(command, subprocess.PIPE, subprocess.PIPE)
        self._late = threading.Timer(LIMIT, self._process.child.kill)
        self._late.start()
        self._pid = self._process.child.pid
        self._said("start")

    def connect(self) -> tuple[int, int]:
        """Have it connect.

        :return: how many links it made, and what tracemalloc saw of one of them, bytes.
        :raises Failed: it did not.
        """
        assert self._process.child.stdin is not None
        self._process.child.stdin.write(b"\n")
        self._process.child.stdin.flush()
        links, took = self._said("connected").split()[1:3]
        self._late.cancel()
        return int(links), int(took)

    def rss(self) -> int:
        """What is resident, bytes."""
        return int(Path(f"/proc/{self._pid}/statm").read_text().split()[1]) * PAGE

    def cpu(self) -> float:
        """CPU seconds so far."""
        fields = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def stop(self) -> None:
        """End it."""
        self._late.cancel()
        self._process.stop()

    def _said(self, word: str) -> str:
        assert self._process.child.stdout is not None
        line = self._process.child.stdout.readline().decode()
        if not line.startswith(word):
            raise Failed(f"said {line!r}, not {word!r}: {self._process.errors()}")
        return line


def hold(tools: Tools, port: int = 0) -> Server:
    """A server that keeps what connects to it."""
    return Server(tools, ["hold", f"addresses={ADDRESSES}", f"port={port}"], keep=True)


def idle(tools: Tools, sitter: Sitter, links: int, seconds: float) -> Sample:
    """Connect `links`, and let them do nothing for so long.

    :raises Failed: it did not work.
    """
    server = hold(tools)
    waiting = None
    try:
        waiting = Waiting(sitter, server.port, links, 60)
        before, used = waiting.rss(), waiting.cpu()
        began = time.monotonic()
        made, _ = waiting.connect()
        took, connecting = time.monotonic() - began, waiting.cpu() - used
        time.sleep(1)
        used = waiting.cpu()
        time.sleep(seconds)
        return Sample(
            sitter.key,
            0,
            rate=made / took,
            seconds=took,
            user=connecting,
            more={
                "links": made,
                "rss": (waiting.rss() - before) / made,
                "idle": (waiting.cpu() - used) / seconds,
            },
        )
    finally:
        if waiting is not None:
            waiting.stop()
        server.stop()


def traced(tools: Tools, sitter: Sitter, links: int) -> int:
    """What tracemalloc sees of one link, bytes.

    :raises Failed: it did not work.
    """
    server = hold(tools)
    waiting = None
    os.environ["BENCH_TRACEMALLOC"] = "1"
    try:
        waiting = Waiting(sitter, server.port, min(links, TRACED), 60)
        return waiting.connect()[1]
    finally:
        del os.environ["BENCH_TRACEMALLOC"]
        if waiting is not None:
            waiting.stop()
        server.stop()


def restart(tools: Tools, sitter: Sitter, links: int, maximum: float) -> Sample:
    """Connect `links`; kill the server, long enough for nearly every back-off to be at its maximum.

    :raises Failed: it did not work.
    """
    server = hold(tools)
    waiting = None
    try:
        port = server.port
        waiting = Waiting(sitter, port, links, maximum)
        made, _ = waiting.connect()
        used = waiting.cpu()
        server.child.send_signal(signal.SIGKILL)
        server.stop()
        time.sleep(AWAY * maximum)
        down = waiting.cpu() - used
        server = hold(tools, port)
        time.sleep(maximum + 3)
        coming = waiting.cpu() - used - down
        result = server.result()
    finally:
        if waiting is not None:
            waiting.stop()
        server.stop()
    tenths = result["tenths"]
    peak = max(sum(tenths[at : at + 10]) for at in range(len(tenths)))
    seconds = result["last"]
    return Sample(
        sitter.key,
        0,
        rate=result["most"] / seconds if seconds else 0.0,
        seconds=seconds,
        user=coming,
        more={
            "links": made,
            "back": result["most"],
            "maximum": maximum,
            "peak": peak,
            "down": down / (AWAY * maximum),
            "tenths": tenths,
        },
    )


def in_turn(
    tools: Tools,
    them: Sequence[Sitter],
    runs: int,
    name: str,
    measure: Callable[[Sitter], Sample],
    say: Callable[[str], None],
) -> list[Sample]:
    """Measure each of them, round after round."""
    samples = []
    for run in range(runs):
        for sitter in them:
            if set(sitter.needs) & set(tools.missing):
                continue
            try:
                sample = measure(sitter)
            except (Failed, OSError, ValueError) as error:
                sample = Sample(sitter.key, run, error=str(error) or repr(error))
            sample.run = run
            samples.append(sample)
            say(f"{name} {run + 1} {sitter.key}: {sample.error or f'{sample.rate:,.0f}/s'}")
    return samples
