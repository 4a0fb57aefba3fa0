"""One measurement: a traffic server, a peer beside it, and what both of them used.

The seconds are the server's: from its accept (or the first byte that came) until
the peer has everything, so that no peer measures itself. CPU seconds are those of
the whole process of the peer, from the kernel; what it uses for a tiny count of the
same work is its start-up, measured by itself and taken off where a table says so.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import Factory, asdict, define, field, frozen

from benchmarks.tools import HERE, Tools

LIMIT = 60.0
"""Most seconds that one measurement may take."""


class Failed(Exception):
    """A peer did not do its work; the argument says how."""


@frozen
class Peer:
    """Something that does the work.

    :ivar command: of tools, port and count gives the command; ``@OUT`` and ``@IN``
        stand for the files of the workload.
    :ivar needs: keys of `Tools.missing` that must not be missing.
    :ivar counts: it prints how many frames it has handled.
    :ivar slow: gets a part of the count, one in so many: its rate is what counts.
    :ivar stdin: the key of a file of the workload; `stdout` as well.
    """

    key: str
    label: str
    command: Callable[[Tools, int, int], Sequence[str]]
    needs: tuple[str, ...] = ()
    counts: bool = True
    slow: int = 1
    stdin: str | None = None
    stdout: str | None = None


@define
class Sample:
    """What one measurement gave."""

    peer: str
    run: int
    rate: float = 0.0
    seconds: float = 0.0
    wall: float = 0.0
    user: float = 0.0
    system: float = 0.0
    server_cpu: float = 0.0
    startup: float | None = None
    more: dict[str, Any] = field(factory=dict)
    error: str | None = None

    @property
    def cpu(self) -> float:
        """CPU seconds, start-up apart where it is known."""
        return max(self.user + self.system - (self.startup or 0.0), 1e-4)


@frozen
class Workload:
    """The same work for several peers.

    :ivar server: of the count gives the arguments of the traffic server.
    :ivar count: units of work at scale 1; `least`: what stands for nothing to do.
    :ivar runs: how often, at most, each peer is measured.
    :ivar startup: within workloads of the same name here a program starts the same way.
    :ivar fresh_startup: measured each time: the work itself takes no longer.
    """

    key: str
    title: str
    unit: str
    count: int
    server: Callable[[int], Sequence[str]]
    peers: Sequence[Peer]
    least: int = 100
    runs: int = 5
    startup: str = ""
    fresh_startup: bool = False
    bytes_each: int = 0
    prepare: Callable[[Path, int], Mapping[str, Path]] = Factory(lambda: lambda folder, count: {})


class Process:
    """A child whose use of the CPU is known when it has ended."""

    def __init__(
        self, command: Sequence[str], stdin: Any = subprocess.DEVNULL, stdout: Any = None
    ) -> None:
        self._errors: Any = tempfile.TemporaryFile()  # noqa: SIM115
        self._out: Any = None if stdout is not None else tempfile.TemporaryFile()  # noqa: SIM115
        self._began = time.monotonic()
        try:
            self.child = subprocess.Popen(
                list(command),
                stdin=stdin,
                stdout=stdout or self._out,
                stderr=self._errors,
                env={**os.environ, "PYTHONPATH": str(HERE.parent)},
            )
        except OSError:
            self._close()
            raise
        self.wall = self.user = self.system = 0.0

    def wait(self, limit: float) -> str:
        """Wait for its end.

        :return: what it wrote.
        :raises Failed: it took longer than `limit` seconds, or failed.
        """
        late = threading.Timer(limit, self.child.kill)
        late.start()
        try:
            _, status, used = os.wait4(self.child.pid, 0)
        finally:
            late.cancel()
        self.wall = time.monotonic() - self._began
        self.user, self.system = used.ru_utime, used.ru_stime
        self.child.returncode = os.waitstatus_to_exitcode(status)
        if self.wall >= limit:
            raise Failed(f"not done after {limit:g} s")
        if self.child.returncode:
            raise Failed(f"status {self.child.returncode}: {self.errors()}")
        return _text(self._out)

    def errors(self) -> str:
        """The end of what it complained of, in one line."""
        return " / ".join(_text(self._errors).strip().splitlines()[-3:])[-300:]

    def stop(self) -> None:
        """End it, where it still runs."""
        if self.child.returncode is None:
            self.child.kill()
            self.child.wait()
        for stream in (self.child.stdin, self.child.stdout):
            if stream is not None:
                stream.close()
        self._close()

    def _close(self) -> None:
        self._errors.close()
        if self._out is not None:
            self._out.close()


class Server:
    """The traffic server, for one measurement."""

    def __init__(self, tools: Tools, arguments: Sequence[str], keep: bool = False) -> None:
        stdin = subprocess.PIPE if keep else subprocess.DEVNULL
        command = [tools.traffic, *arguments]
        self.child = subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, text=True)
        assert self.child.stdout is not None
        line = self.child.stdout.readline()
        if not line.strip():
            self.stop()
            raise Failed(f"the traffic server did not start: {arguments}")
        self.port = int(line)

    def result(self, limit: float = 10.0) -> dict[str, Any]:
        """What it measured, once it has ended; ends one that holds connections.

        :raises Failed: it does not end, or failed.
        """
        try:
            said, _ = self.child.communicate("", limit)
            return dict(json.loads(said))
        except (subprocess.TimeoutExpired, ValueError) as error:
            raise Failed(f"the traffic server gave no result: {error!r}") from None

    def stop(self) -> None:
        """End it at once."""
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()
        for stream in (self.child.stdin, self.child.stdout):
            if stream is not None:
                stream.close()


def once(tools: Tools, work: Workload, peer: Peer, count: int, files: Mapping[str, Path]) -> Sample:
    """Measure one peer once.

    :raises Failed: it did not do its work.
    """
    if "OUT" in files:
        files["OUT"].unlink(missing_ok=True)  # ours appends
    server = Server(tools, work.server(count))
    process: Process | None = None
    with _opened(files, peer.stdin, "rb") as stdin, _opened(files, peer.stdout, "wb") as stdout:
        try:
            command = [_placed(each, files) for each in peer.command(tools, server.port, count)]
            process = Process(command, stdin or subprocess.DEVNULL, stdout)
            said = process.wait(LIMIT)
            result = server.result()
            complaint = process.errors()
        finally:
            server.stop()
            if process is not None:
                process.stop()
    if peer.counts and said.split()[-1:] != [str(count)]:
        raise Failed(f"counted {said.strip()[-80:]!r}, not {count}: {complaint}")
    if work.bytes_each:
        _check_bytes(work, files, result, count)
    return Sample(
        peer.key,
        0,
        rate=count / result["seconds"] if result["seconds"] else 0.0,
        seconds=result["seconds"],
        wall=process.wall,
        user=process.user,
        system=process.system,
        server_cpu=result["cpu"],
    )


@define
class Rounds:
    """How often the peers of a workload are measured.

    :ivar runs: at most so often.
    :ivar named: the peers that a promise names; the others are measured `fewer` times.
    :ivar startup: CPU seconds of the start of a program, once they are known.
    """

    runs: int
    scale: float = 1.0
    named: frozenset[str] | None = None
    fewer: int = 2
    startup: dict[object, float] = field(factory=dict)

    def takes_part(self, peer: Peer, run: int) -> bool:
        """Whether this peer is measured in this round."""
        return self.named is None or peer.key in self.named or run < self.fewer


def interleaved(
    tools: Tools, work: Workload, rounds: Rounds, folder: Path, say: Callable[[str], None]
) -> list[Sample]:
    """Measure all peers of a workload, round after round, each round in another order."""
    peers = [peer for peer in work.peers if not set(peer.needs) & set(tools.missing)]
    samples: list[Sample] = []
    failures: dict[str, int] = {}
    count = max(int(work.count * rounds.scale) // work.least, 1) * work.least
    files = work.prepare(folder, count)
    nothing = work.prepare(folder / "nothing", work.least)
    for run in range(min(rounds.runs, work.runs)):
        turn = run % len(peers) if peers else 0
        for peer in [*peers[turn:], *peers[:turn]]:
            if failures.get(peer.key, 0) > 1 or not rounds.takes_part(peer, run):
                continue
            part = max(count // peer.slow // work.least, 1) * work.least
            try:
                startup = _startup(tools, work, peer, rounds.startup, nothing)
                sample = once(tools, work, peer, part, files)
                sample.startup = startup
            except (Failed, OSError) as error:
                failures[peer.key] = failures.get(peer.key, 0) + 1
                sample = Sample(peer.key, run, error=str(error))
            sample.run = run
            samples.append(sample)
            say(f"{work.key} {run + 1} {peer.key}: {sample.error or f'{sample.rate:,.0f}/s'}")
    for path in (*files.values(), *nothing.values()):
        path.unlink(missing_ok=True)
    return samples


def _startup(
    tools: Tools,
    work: Workload,
    peer: Peer,
    known: dict[object, float],
    nothing: Mapping[str, Path],
) -> float:
    """CPU seconds of a peer that has next to nothing to do."""
    program = [word for word in peer.command(tools, 0, 0) if tools.is_program(word)]
    key = (work.startup, *program)
    if key not in known or work.fresh_startup:
        idle = once(tools, work, peer, work.least, nothing)
        known[key] = idle.user + idle.system
    return known[key]


def median(samples: Iterable[Sample], peer: str, value: Callable[[Sample], float]) -> float | None:
    """The median over the runs of one peer; None where there is none."""
    found = [value(each) for each in samples if each.peer == peer and each.error is None]
    return statistics.median(found) if found else None


def ratio(
    samples: Iterable[Sample], ours: str, theirs: str, value: Callable[[Sample], float]
) -> float | None:
    """The median of what each run gave for ours over theirs: both fell in the same minute."""
    samples = list(samples)
    found = []
    for one in samples:
        for other in samples:
            same = one.run == other.run and one.error is None and other.error is None
            if same and one.peer == ours and other.peer == theirs and value(other):
                found.append(value(one) / value(other))
    return statistics.median(found) if found else None


def as_json(sample: Sample) -> dict[str, Any]:
    """For the file of results."""
    return asdict(sample)


def _check_bytes(
    work: Workload, files: Mapping[str, Path], result: Mapping[str, Any], count: int
) -> None:
    got = files["OUT"].stat().st_size if "OUT" in files else result["bytes"]
    if got != count * work.bytes_each:
        raise Failed(f"{got} bytes arrived, not {count * work.bytes_each}")


def _placed(word: str, files: Mapping[str, Path]) -> str:
    for key, path in files.items():
        word = word.replace(f"@{key}", str(path))
    return word


class _opened:
    """A file of `files` by its key, or nothing."""

    def __init__(self, files: Mapping[str, Path], key: str | None, mode: str) -> None:
        self._file: Any = open(files[key], mode) if key is not None else None  # noqa: SIM115

    def __enter__(self) -> Any:
        return self._file

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()


def _text(stream: Any) -> str:
    if stream is None or stream.closed:
        return ""
    stream.seek(0)
    return str(stream.read().decode(errors="backslashreplace"))
