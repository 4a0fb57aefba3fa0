"""Real processes, and a peer that repeats what it was told: no secret gets out, in any way."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest

from tests.wire.test_commandline import PYTHON, ROOT, SOON, TWISTD, Server

SECRET = b"hunter2-and-more"


def repeat(connection: socket.socket) -> None:
    """Say the password in an error, in a frame that is too long, and go."""
    said = connection.recv(1000)
    connection.sendall(b"530 no: " + said)
    connection.sendall(b"x" * 30 + SECRET * 9 + b"\n530 not " + SECRET[:-2] + b"\n")
    connection.close()


@pytest.mark.parametrize("front", ["python", "twistd"])
def test_what_a_peer_repeats_is_masked_in_the_log_in_hexdumps_and_in_bad_frames(
    front: str, tmp_path: Path
) -> None:
    server = Server(repeat)
    words = {
        "python": [*PYTHON, "127.0.0.1", server.port, "--input", "none"],
        "twistd": [
            *(*TWISTD, "-n", "--pidfile=", "nbclient"),
            *("--host", "127.0.0.1", "--port", server.port),
        ],
    }[front]
    words += ["-vv", "-x", "--opening", "PASS ${env:PW}", "--expect", "welcome"]
    words += ["--max-frame", "100", "--on-bad-frame", "skip", "--bad-frames", str(tmp_path / "bad")]
    words += ["--output", "log", "--retries", "0"]
    try:
        done = subprocess.run(
            words,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PW": SECRET.decode()},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SOON,
        )
    finally:
        server.stop()
    said = done.stdout + done.stderr
    assert done.returncode == 3, said
    assert b"the opening waited in vain" in said
    assert b"|PASS ***********|" in said  # as a hexdump shows it
    assert b"530 no: PASS ***" in said  # as the log does
    [kept] = (tmp_path / "bad").iterdir()
    for each in (said, kept.read_bytes()):
        assert SECRET[:8] not in each
        assert SECRET[-8:] not in each
    assert SECRET[:4].hex(" ").encode() not in said
