"""A receiver that closes its sending side at once gets all of it, on one connection."""

from __future__ import annotations

import hashlib
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.trial.unittest import TestCase

from tests.conformance.dialers import TCPServing, reactor, until
from tests.wire.test_commandline import PYTHON, SOON

BATCH = b"".join(b"%07d" % number + b"x" * 92 + b"\n" for number in range(200_000))  # 20 MB


class Receiver:
    """``nc -l > file </dev/null``: one connection, on which it sends nothing."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = str(self._listening.getsockname()[1])
        self.size = 0
        self.digest = hashlib.sha256()
        self._thread = threading.Thread(target=self._receive, daemon=True)
        self._thread.start()

    def _receive(self) -> None:
        connection, _ = self._listening.accept()
        self._listening.close()
        connection.shutdown(socket.SHUT_WR)
        while data := connection.recv(65536):
            self.size += len(data)
            self.digest.update(data)
        connection.close()

    def stop(self) -> None:
        """Wait until it has seen the end."""
        self._thread.join(SOON)
        assert not self._thread.is_alive()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.stop()


@pytest.mark.parametrize("end", ["--once", "--drain"])
@pytest.mark.parametrize("place", ["-", "file"])
def test_a_batch_gets_through_whole(
    receiver: Receiver, end: str, place: str, tmp_path: Path
) -> None:
    file = tmp_path / "batch"
    file.write_bytes(BATCH)
    source = ("--input", f"file:{file}") if place == "file" else ()
    with file.open("rb") as standard:
        done = subprocess.run(
            [*PYTHON, "127.0.0.1", receiver.port, end, *source, "--max-time", "15"],
            stdin=standard,
            capture_output=True,
            timeout=2 * SOON,
            check=False,
        )
    receiver.stop()
    assert done.returncode == 0, done.stderr
    assert receiver.size == len(BATCH)
    assert receiver.digest.digest() == hashlib.sha256(BATCH).digest()


class LinkTests(TCPServing, TestCase):
    """The same for a link of the library."""

    timeout = 20

    def dial(self, link: Any, port: Any) -> None:
        reactor.connectTCP("127.0.0.1", self.number, link)

    async def test_a_link_sends_all_that_waits_before_it_dials_anew(self) -> None:
        server = self.serve()
        server.answersLate = True
        server.greet = lambda connection: connection.transport.loseWriteConnection()
        link = self.link()
        frames = BATCH.split(b"\n")[:-1]
        for start in range(0, len(frames), 10_000):
            await link.send(frames[start : start + 10_000])
        self.dial(link, self.port)
        await link.whenDrained()
        self.assertEqual(link.stats().outbox.resent, 0)
        await until(lambda: sum(len(each.received) for each in server.connections) == len(BATCH))
        self.assertEqual(len(server.connections[0].received), len(BATCH))
