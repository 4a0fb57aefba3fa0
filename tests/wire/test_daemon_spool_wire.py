"""Jobs that outlive themselves, as people run them: processes, sockets and a spool on disk."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SOON = 20.0
"""Seconds after which something that should happen at once has not happened."""

PYTHON = (sys.executable, "-m", "nbclient")
TWISTD = (sys.executable, "-c", "from twisted.scripts.twistd import run; run()")


class Sink:
    """Takes lines; each connection ends as its talk says.

    :ivar lines: all that came, in order.
    """

    def __init__(self, *limits: int | None) -> None:
        self.lines: list[bytes] = []
        self._limits = list(limits)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = str(self._listening.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                with contextlib.suppress(OSError), connection:
                    self._take(connection, self._limits.pop(0) if self._limits else None)

    def _take(self, connection: socket.socket, limit: int | None) -> None:
        """Lines, until so many have come: then a reset, with the rest unread."""
        with connection.makefile("rb") as lines:
            for count, line in enumerate(lines, 1):
                self.lines.append(line.rstrip(b"\n"))
                if count == limit:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                    return

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


def run(*words: str, cwd: Path) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        words, cwd=cwd, env=environment, capture_output=True, timeout=SOON, check=False
    )


def eventually(true: Callable[[], bool]) -> None:
    end = time.monotonic() + SOON
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture
def batch(tmp_path: Path) -> list[bytes]:
    """The lines of a file ``batch`` in `tmp_path`."""
    lines = [b"line %d" % number for number in range(20_000)]
    (tmp_path / "batch").write_bytes(b"".join(line + b"\n" for line in lines))
    return lines


def test_a_batch_is_sent_once_however_often_it_is_run(tmp_path: Path, batch: list[bytes]) -> None:
    """Interrupted, it says where the rest waits; run again, it sends that; run again, nothing."""
    words = ("--drain", "--input", "file:./batch", "--spool", "kept", "--name", "nightly")
    gone = socket.create_server(("127.0.0.1", 0))
    port = str(gone.getsockname()[1])
    gone.close()
    first = run(*PYTHON, "127.0.0.1", port, *words, "--max-time", "1", cwd=tmp_path)
    assert first.returncode == 4
    assert b"20000 frames wait in the spool kept" in first.stderr
    listed = run(*PYTHON[:-1], "nbclient.spool", "list", "kept", cwd=tmp_path)
    assert b"nightly" in listed.stdout
    assert b"20000" in listed.stdout

    sink = Sink()
    adopted = (*PYTHON, "127.0.0.1", sink.port, *words)
    refused = run(*adopted, cwd=tmp_path)
    assert refused.returncode == 2
    assert refused.stderr.count(b"\n") == 1
    assert b"--spool: " in refused.stderr
    assert f"holds 20000 frames for 127.0.0.1:{port}".encode() in refused.stderr

    second = run(*adopted, "--spool-adopt", cwd=tmp_path)
    assert second.returncode == 0, second.stderr
    eventually(lambda: len(sink.lines) == len(batch))
    assert sink.lines == batch
    third = run(*adopted, cwd=tmp_path)
    assert third.returncode == 0
    assert b"were taken before" in third.stderr
    assert len(sink.lines) == len(batch)
    sink.stop()


def test_a_batch_like_that_of_yesterday_is_sent(tmp_path: Path, batch: list[bytes]) -> None:
    """Whatever becomes of the old one: moved away, deleted, written over."""
    sink = Sink()
    file = tmp_path / "batch"
    words = (
        *PYTHON,
        "127.0.0.1",
        sink.port,
        "--drain",
        "--input",
        "file:./batch",
        "--spool",
        "kept",
    )

    def night(*more: bytes) -> bytes:
        before = len(sink.lines)
        done = run(*words, "-q", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        expected = [*batch, *more]
        eventually(lambda: len(sink.lines) >= before + len(expected))
        assert sink.lines[before:] == expected
        return done.stderr

    contents = file.read_bytes()
    assert night() == b""
    file.rename(tmp_path / "sent")
    file.write_bytes(contents)
    assert night() == b""
    file.unlink()
    file.write_bytes(contents + b"more\n")
    assert night(b"more") == b""
    file.write_bytes(contents)
    file.write_bytes(contents + b"more\n")
    assert b"all of it is sent, perhaps once more" in night(b"more")
    sink.stop()


def dying(*words: str, cwd: Path) -> list[int]:
    """The numbers of the lines of a batch that got to a server which dies twice."""
    sink = Sink(3000, 3000)
    job = ("--drain", "--input", "file:./batch", "--spool", "kept", "--retry-initial", "0.05")
    done = run(*PYTHON, "127.0.0.1", sink.port, "--delivery", "tcp", *job, *words, cwd=cwd)
    assert done.returncode == 0, done.stderr
    eventually(lambda: bool(sink.lines) and sink.lines[-1] == b"line 19999")
    sink.stop()
    return [int(line.split()[1]) for line in sink.lines]


@pytest.mark.usefixtures("batch")
def test_a_batch_to_a_server_that_dies_ends_with_all_of_it_there(tmp_path: Path) -> None:
    """What it had acknowledged a moment before is sent again, the rest in order before it."""
    numbers = dying(cwd=tmp_path)
    seen: dict[int, None] = dict.fromkeys(numbers)
    assert list(seen) == list(range(20_000)), "each for the first time in order, none lost"


@pytest.mark.usefixtures("batch")
def test_where_acknowledged_is_delivered_nothing_comes_twice_from_a_reset(tmp_path: Path) -> None:
    """What a dead server had acknowledged and not read is lost, and only that."""
    numbers = dying("--settle-after", "0", cwd=tmp_path)
    assert numbers[:3000] == list(range(3000))
    rises = sum(b < a for a, b in pairwise(numbers))
    assert rises == 0, "level tcp knows what was acknowledged"


def test_a_daemon_opens_its_spool_after_it_went_into_the_background(
    tmp_path: Path, batch: list[bytes]
) -> None:
    sink = Sink()
    words = ("--host", "127.0.0.1", "--port", sink.port, "--input", "file:./batch")
    daemon = ("--pidfile", "pid", "--logfile", "log", "nbclient", *words)
    began = run(*TWISTD, *daemon, "--output", "none", "--spool", "kept", cwd=tmp_path)
    assert began.returncode == 0, began.stderr
    try:
        eventually(lambda: len(sink.lines) == len(batch))
        assert sink.lines == batch
    finally:
        pid = int((tmp_path / "pid").read_text())
        os.kill(pid, signal.SIGTERM)
    eventually(lambda: not (tmp_path / "pid").exists())
    sink.stop()
