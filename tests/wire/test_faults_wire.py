"""A process whose framing fails once while a connection is made: it connects again, and ends."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

FLAKY = """
from attrs import frozen
from nbclient.framing import Decoder, Framing

made = 0

class Whole(Decoder):
    def feed(self, data): return [data]
    def eof(self): return b""
    def unread(self, data, frames): return b"".join(frames)

@frozen
class Flaky(Framing):
    max_frame = 1000

    def decoder(self):
        global made
        made += 1
        if made == 2:
            raise OSError("the table is being replaced")
        return Whole()

    def encode(self, frames): return list(frames)

framing = Flaky()
"""
PATIENCE = 30.0
CONNECTIONS = 5


def test_a_decoder_that_raises_once_costs_one_attempt_and_a_signal_ends_it(tmp_path: Path) -> None:
    (tmp_path / "flaky.py").write_text(FLAKY)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(PATIENCE)
        words = ["127.0.0.1", str(server.getsockname()[1]), "--framing", "flaky:framing"]
        words += ["--input", "none", "--output", "none", "--retry-initial", "0.01"]
        child = subprocess.Popen(
            [sys.executable, "-m", "nbclient", *words],
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        try:
            for _ in range(CONNECTIONS):  # one that fails among them
                server.accept()[0].close()
            connection, _ = server.accept()
            with connection:
                child.send_signal(signal.SIGTERM)
                _, said = child.communicate(timeout=PATIENCE)
        finally:
            child.kill()
            child.wait()
    assert child.returncode == -signal.SIGTERM
    assert said.count(b"the table is being replaced") >= 1
