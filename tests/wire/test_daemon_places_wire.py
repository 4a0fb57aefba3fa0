"""Inputs and outputs as people use them: real files, fifos, sockets and programs."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SOON = 15.0
"""Seconds after which something that should happen at once has not happened."""


def until(true: Callable[[], object], what: Callable[[], object] = lambda: "") -> None:
    """Wait for something that is about to happen."""
    end = time.monotonic() + SOON
    while not true():
        assert time.monotonic() < end, what()
        time.sleep(0.01)


class Feed:
    """A server with one connection at a time."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.settimeout(SOON)
        self.port = str(self._listening.getsockname()[1])
        self.received = b""
        self.connection: socket.socket | None = None

    def accept(self) -> None:
        if self.connection is not None:
            self.connection.close()
        self.connection, _ = self._listening.accept()
        threading.Thread(target=self._read, args=(self.connection,), daemon=True).start()

    def _read(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := connection.recv(65536):
                self.received += data

    def send(self, data: bytes) -> None:
        assert self.connection is not None
        self.connection.sendall(data)

    def got(self, data: bytes) -> None:
        """Wait until `data` has arrived."""
        until(lambda: data in self.received, lambda: (data, self.received))

    def hang_up(self) -> None:
        assert self.connection is not None
        self.connection.shutdown(socket.SHUT_RDWR)
        self.connection.close()

    def stop(self) -> None:
        self._listening.close()
        if self.connection is not None:
            self.connection.close()


class Client:
    """``python -m nbclient`` with its log in memory: files may be limited."""

    def __init__(self, folder: Path, port: str, *words: str) -> None:
        self._said = b""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "nbclient", "127.0.0.1", port, *words],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        pipe = self.process.stderr
        assert pipe is not None
        with pipe:
            while data := os.read(pipe.fileno(), 65536):
                self._said += data

    @property
    def log(self) -> str:
        return self._said.decode()

    def wait(self) -> int:
        """Wait for the end: the status; of a signal that it died of, minus its number."""
        status = self.process.wait(SOON)
        self._listener.join(SOON)
        assert "Traceback" not in self.log, self.log
        return status

    def says(self, pattern: str) -> re.Match[str]:
        """Wait for this in the log."""
        until(lambda: re.search(pattern, self.log), lambda: (pattern, self.log))
        found = re.search(pattern, self.log)
        assert found is not None
        return found

    def end(self) -> int:
        """SIGTERM, and the status."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait()


@pytest.fixture
def feed() -> Iterator[Feed]:
    made = Feed()
    yield made
    made.stop()


@pytest.fixture
def run(tmp_path: Path, feed: Feed) -> Iterator[Callable[..., Client]]:
    made: list[Client] = []

    def start(*words: str) -> Client:
        made.append(Client(tmp_path, feed.port, *words))
        feed.accept()
        return made[-1]

    yield start
    for client in made:
        if client.process.poll() is None:
            client.process.kill()
        client.wait()


def receive(connection: socket.socket, end: bytes) -> bytes:
    """Read until `end` was seen."""
    connection.settimeout(SOON)
    data = b""
    while not data.endswith(end):
        more = connection.recv(1 << 20)
        assert more, data
        data += more
    return data


def content(path: Path) -> bytes:
    """What is in the file, if it is there: it may just be renamed."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def test_local_programs_read_and_write_at_one_place_whatever_the_link_does(
    tmp_path: Path, feed: Feed, run: Callable[..., Client]
) -> None:
    client = run(
        *("--input", "listen:127.0.0.1:0", "--output", "listen:127.0.0.1:0"),
        *("--output", "listen:./s,mode=660,queue=64K", "--retry-initial", "0.1"),
    )
    port = int(client.says(r"listening at 127\.0\.0\.1:(\d+)")[1])
    one = socket.create_connection(("127.0.0.1", port))
    two = socket.create_connection(("127.0.0.1", port))
    slow = socket.socket(socket.AF_UNIX)
    slow.connect(str(tmp_path / "s"))
    assert (tmp_path / "s").stat().st_mode & 0o777 == 0o660
    # Each answers once it is known to be there.
    one.sendall(b"from o")
    two.sendall(b"from two\n")
    feed.got(b"from two\n")
    two.shutdown(socket.SHUT_WR)  # has said all, and still listens
    one.sendall(b"ne\n")
    feed.got(b"from one\n")
    assert feed.received == b"from two\nfrom one\n"
    # A flood: who reads has all of it, who does not misses the oldest and holds up nobody.
    lines = [b"%06d" % number + b"x" * 1000 + b"\n" for number in range(5000)]
    readers = [threading.Thread(target=lambda: got.append(receive(one, b"end\n")))]
    got: list[bytes] = []
    readers[0].start()
    for line in lines:
        feed.send(line)
    feed.send(b"end\n")
    readers[0].join(SOON)
    assert got == [b"".join(lines) + b"end\n"]
    client.says("a reader is too slow")
    # The link is lost and comes back: the readers have not noticed.
    feed.hang_up()
    feed.accept()
    client.says("ready again")
    time.sleep(0.1)
    feed.send(b"again\n")
    assert receive(one, b"again\n") == b"again\n"
    receive(two, b"again\n")
    # What the slow one was given is whole lines, and in order.
    late = receive(slow, b"again\n").splitlines()
    numbers = [int(line[:6]) for line in late if line[:6].isdigit()]
    assert numbers == sorted(numbers)
    assert {len(line) for line in late[: len(numbers)]} == {1006}
    assert len(late) < 5000
    assert client.end() == -signal.SIGTERM
    assert not (tmp_path / "s").exists()
    for connection in (one, two, slow):
        connection.close()


def test_a_fifo_without_a_reader_harms_nobody(
    tmp_path: Path, feed: Feed, run: Callable[..., Client]
) -> None:
    client = run("--input", "fifo:./in", "--output", "fifo:./out", "--output", "./log")
    until((tmp_path / "out").exists)
    feed.send(b"early\n")
    until(lambda: content(tmp_path / "log") == b"early\n", lambda: client.log)
    client.says(r"waiting for \./out \(no reader\)")
    for expected in (b"early\n", b"late\n"):  # the second reader after the exit of the first
        with (tmp_path / "out").open("rb", buffering=0) as reader:
            assert reader.read(100) == expected
            # Only now does the next line arrive, while nobody reads.
        feed.send(b"late\n")
    for line in (b"one\n", b"two"):
        with (tmp_path / "in").open("wb") as writer:
            writer.write(line)
        feed.got(line + b"\n" * (line == b"two"))
    assert feed.received == b"one\ntwo\n"
    # Far more than the queue: dropped and counted, while the file has everything.
    for _ in range(40):
        feed.send(b"x" * 99_999 + b"\n")
    until(lambda: len(content(tmp_path / "log")) == 40 * 100_000 + 16, lambda: client.log)
    assert client.end() == 1
    assert re.search(r"\d+ frames? not stored", client.log)
    assert client.log.count("is full, dropping") == 1


def test_a_growing_file_is_followed_through_rename_and_truncation(
    tmp_path: Path, feed: Feed, run: Callable[..., Client]
) -> None:
    log = tmp_path / "app.log"
    log.write_bytes(b"old\n")
    client = run("--input", "tail:./app.log", "--output", "none")
    client.says("connecting")

    def append(data: bytes) -> None:
        with log.open("ab") as file:
            file.write(data)

    append(b"a")
    append(b"\nb\n")
    feed.got(b"a\nb\n")
    append(b"last\n")
    log.rename(tmp_path / "app.log.1")
    append(b"first\n")
    feed.got(b"last\nfirst\n")
    log.write_bytes(b"cut\n")
    feed.got(b"cut\n")
    assert feed.received == b"a\nb\nlast\nfirst\ncut\n"
    assert client.end() == -signal.SIGTERM


BOT = """
import os, sys
print("hello from", os.environ.get("WHO"), file=sys.stderr, flush=True)
for line in sys.stdin:
    if line == "die\\n":
        os.abort()
    print("got", line, end="", flush=True)
open("ended", "w").close()
"""


def test_a_program_answers_is_started_again_and_ends_with_the_job(
    tmp_path: Path, feed: Feed, run: Callable[..., Client]
) -> None:
    (tmp_path / "bot.py").write_text(BOT)
    client = run("--input", f"exec:{sys.executable} 'bot.py'", "--output", "./log")
    feed.send(b"one\n")
    feed.got(b"got one\n")
    client.says("says b'hello from None'")
    feed.send(b"die\n")
    client.says(r"has ended \(signal 6\), it is started again")
    feed.send(b"two\n")
    feed.got(b"got two\n")
    assert (tmp_path / "log").read_bytes() == b"one\ndie\ntwo\n"
    assert client.end() == -signal.SIGTERM
    assert (tmp_path / "ended").exists()


def test_a_program_that_dies_at_once_harms_nobody(
    tmp_path: Path, feed: Feed, run: Callable[..., Client]
) -> None:
    client = run("--input", "exec:false", "--output", "./log")
    for _ in range(20):
        feed.send(b"x" * 99_999 + b"\n")
    until(lambda: len(content(tmp_path / "log")) == 2_000_000, lambda: client.log)
    assert client.end() == 1
    assert client.log.count("does not read") == 1
    assert client.log.count("started again") == 1


def test_the_end_of_a_program_may_be_the_end_of_the_job(
    feed: Feed, run: Callable[..., Client]
) -> None:
    client = run("--input", "exec:echo one word", "--output", "none", "--drain")
    assert client.wait() == 0, client.log
    feed.got(b"one word\n")


def test_a_program_that_ignores_every_hint_is_killed(
    tmp_path: Path, feed: Feed, run: Callable[..., Client]
) -> None:
    (tmp_path / "stay.sh").write_text("trap '' TERM\necho $$\nwhile :; do sleep 0.1; done\n")
    client = run("--input", "exec:sh stay.sh", "--output", "none")
    until(lambda: feed.received.endswith(b"\n"))
    assert client.end() == -signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        os.kill(int(feed.received), 0)


def test_each_frame_is_a_datagram_and_one_that_is_too_long_is_counted(
    feed: Feed, run: Callable[..., Client]
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(SOON)
        port = receiver.getsockname()[1]
        client = run("--input", "none", "--output", f"udp:127.0.0.1:{port}")
        feed.send(b"one\n" + b"x" * 70_000 + b"\ntwo\n")
        assert [receiver.recv(100), receiver.recv(100)] == [b"one", b"two"]
    client.says("too long for a datagram")
    assert client.end() == 1
    assert "1 frame not stored" in client.log


def test_files_by_date_and_size_lose_and_split_nothing(
    tmp_path: Path, feed: Feed, run: Callable[..., Client]
) -> None:
    client = run("--input", "none", "--output", "file:./%Y/feed,rotate=10K,keep=100")
    lines = [b"%06d" % number + b"x" * (number % 300) + b"\n" for number in range(2000)]
    feed.send(b"".join(lines))
    folder = tmp_path / time.strftime("%Y")

    def stored() -> list[bytes]:
        files = sorted(folder.glob("feed*"), key=lambda path: -int(path.suffix[1:] or 0))
        return [path.read_bytes() for path in files]

    until(lambda: b"001999" in content(folder / "feed"), lambda: client.log)
    assert client.end() == -signal.SIGTERM
    parts = stored()
    assert b"".join(parts) == b"".join(lines)
    assert len(parts) > 20
    for part in parts:
        assert len(part) <= 10 * 1024
        assert part.endswith(b"\n")


def test_a_full_disk_tears_no_frame_and_a_lost_folder_harms_nobody(
    tmp_path: Path, feed: Feed, run: Callable[..., Client]
) -> None:
    (tmp_path / "gone").mkdir()
    client = run("--input", "none", "--output", "./full", "--output", "./gone/log,full=drop")
    feed.send(b"first\n")
    until(lambda: content(tmp_path / "full") == content(tmp_path / "gone" / "log") == b"first\n")
    # A file may grow to 10 bytes: the next line would be torn.
    limits = resource.prlimit(client.process.pid, resource.RLIMIT_FSIZE, (10, -1))
    (tmp_path / "gone" / "log").unlink()
    (tmp_path / "gone").rmdir()
    feed.send(b"second\n")
    client.says(r"paused by \./full \(file too large\)")
    client.says(r"waiting for \./gone/log \(no such file or directory\)")
    resource.prlimit(client.process.pid, resource.RLIMIT_FSIZE, limits)
    (tmp_path / "gone").mkdir()
    feed.send(b"third\n")
    until(lambda: content(tmp_path / "full") == b"first\nsecond\nthird\n", lambda: client.log)
    until(lambda: content(tmp_path / "gone" / "log") == b"second\nthird\n", lambda: client.log)
    assert client.end() == -signal.SIGTERM


def test_a_flooding_writer_waits_and_others_have_their_turn(
    feed: Feed, run: Callable[..., Client]
) -> None:
    """The flood is stopped at its writer, and the quiet one is heard all the same."""
    client = run("--input", "listen:127.0.0.1:0", "--output", "none")
    port = int(client.says(r"listening at 127\.0\.0\.1:(\d+)")[1])
    flooder = socket.create_connection(("127.0.0.1", port))
    flooder.settimeout(SOON)
    stop = threading.Event()

    def flood() -> None:
        with contextlib.suppress(OSError):
            while not stop.is_set():
                flooder.sendall(b"f" * 999 + b"\n")

    flooding = threading.Thread(target=flood)
    flooding.start()
    quiet = socket.create_connection(("127.0.0.1", port))
    for number in range(5):
        quiet.sendall(b"quiet %d\n" % number)
        feed.got(b"quiet %d\n" % number)
        feed.received = b""
    stop.set()
    flooder.shutdown(socket.SHUT_RDWR)
    flooding.join(SOON)
    assert client.end() in (-signal.SIGTERM, 1)
    flooder.close()
    quiet.close()


def test_an_address_in_use_is_one_line(
    tmp_path: Path, feed: Feed, run: Callable[..., Client]
) -> None:
    client = Client(tmp_path, feed.port, "--output", f"listen:127.0.0.1:{feed.port}")
    assert client.wait() == 2
    assert client.log == (
        f"nbclient: --output: cannot listen at 127.0.0.1:{feed.port}: address already in use\n"
    )
    assert not select.select([feed._listening], [], [], 0)[0]


def test_a_socket_left_by_a_crash_is_no_obstacle(
    tmp_path: Path, feed: Feed, run: Callable[..., Client]
) -> None:
    first = run("--output", "listen:./s")
    first.says("listening at")
    first.process.kill()
    first.wait()
    assert (tmp_path / "s").exists()
    second = run("--output", "listen:./s")
    second.says("listening at")
    assert second.end() == -signal.SIGTERM
