"""The command line as people run it: real processes, real sockets, on loopback."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import pty
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.certs import make_certs

ROOT = Path(__file__).parent.parent.parent
SOON = 15.0
"""Seconds after which something that should happen at once has not happened."""

PYTHON = [sys.executable, "-m", "nbclient"]
TWISTD = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()"]


class Server:
    """Serves one connection after another, each with the next of `talks`; the last one stays."""

    def __init__(self, *talks: Callable[[socket.socket], object]) -> None:
        self._talks = list(talks)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = str(self._listening.getsockname()[1])
        self.open: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.open.append(connection)
            talk = self._talks.pop(0) if len(self._talks) > 1 else self._talks[0]
            threading.Thread(target=self._talk, args=(talk, connection), daemon=True).start()

    def _talk(self, talk: Callable[[socket.socket], object], connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            talk(connection)

    def stop(self) -> None:
        # A thread may be in accept(), which a close alone does not end.
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for connection in self.open:
            connection.close()


def echo(connection: socket.socket) -> None:
    """Send back what comes; close when the other side has half-closed."""
    while data := connection.recv(65536):
        connection.sendall(data)
    connection.close()


def say(*lines: bytes) -> Callable[[socket.socket], None]:
    """Send lines and stay."""

    def talk(connection: socket.socket) -> None:
        connection.sendall(b"".join(line + b"\n" for line in lines))

    return talk


def say_and_close(*lines: bytes) -> Callable[[socket.socket], None]:
    """Send lines and go."""

    def talk(connection: socket.socket) -> None:
        say(*lines)(connection)
        connection.close()

    return talk


def flood(connection: socket.socket) -> None:
    """Send for ever."""
    while True:
        connection.sendall(b"x" * 1000 + b"\n")


class Program:
    """A running client; its streams are read as needed, and never waited for in vain."""

    def __init__(self, words: list[str], **more: Any) -> None:
        settings: dict[str, Any] = {
            "stdin": subprocess.PIPE,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "cwd": ROOT,
            "env": {**os.environ, "PYTHONPATH": str(ROOT)},
        }
        self.process = subprocess.Popen(words, **{**settings, **more})
        self.out = b""
        self.err = b""

    def wait_for(self, wanted: bytes, stream: str = "stdout") -> bytes:
        """Read until `wanted` was seen: all that was read."""
        name = "out" if stream == "stdout" else "err"
        pipe = getattr(self.process, stream)
        end = time.monotonic() + SOON
        os.set_blocking(pipe.fileno(), False)
        while wanted not in getattr(self, name):
            assert time.monotonic() < end, (wanted, self.out, self.err, self.process.poll())
            data = pipe.read()
            if data:
                setattr(self, name, getattr(self, name) + data)
            else:
                time.sleep(0.01)
        seen: bytes = getattr(self, name)
        return seen

    def type(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def kill(self, number: int) -> None:
        self.process.send_signal(number)

    def end(self, timeout: float = SOON) -> int:
        """Wait for the end: the status; of a signal that it died of, minus its number."""
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None and not pipe.closed:
                os.set_blocking(pipe.fileno(), True)
        out, err = self.process.communicate(timeout=timeout)
        self.out += out or b""
        self.err += err or b""
        assert b"Traceback" not in self.err + self.out
        return self.process.returncode


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(*talks: Callable[[socket.socket], object]) -> Server:
        servers.append(Server(*talks))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def run() -> Iterator[Callable[..., Program]]:
    programs: list[Program] = []

    def start(*words: str, **more: Any) -> Program:
        programs.append(Program([*PYTHON, *words], **more))
        return programs[-1]

    yield start
    stop(programs)


@pytest.fixture
def twistd(tmp_path: Path) -> Iterator[Callable[..., Program]]:
    programs: list[Program] = []

    def start(*words: str) -> Program:
        programs.append(Program([*TWISTD, *words], cwd=tmp_path))
        return programs[-1]

    yield start
    stop(programs)


def stop(programs: list[Program]) -> None:
    for program in programs:
        if program.process.poll() is None:
            program.process.kill()
            program.process.wait()
        for pipe in (program.process.stdin, program.process.stdout, program.process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


@pytest.fixture(scope="module", autouse=True)
def demo() -> Iterator[Program]:
    """Running while the other tests run, for its outage takes a while."""
    program = Program([*PYTHON, "--demo"])
    yield program
    stop([program])


Serve = Callable[..., Server]
Run = Callable[..., Program]


def test_once_sends_its_input_and_prints_the_answer(serve: Serve, run: Run) -> None:
    program = run("127.0.0.1", serve(echo).port, "--once")
    program.type(b"hello\nlast")
    assert program.end() == 0
    assert program.out == b"hello\nlast\n"
    assert program.err.count(b"\n") == 4


def test_a_file_goes_through_unharmed_in_both_directions(
    serve: Serve, run: Run, tmp_path: Path
) -> None:
    """Eight megabytes: far more than any buffer on the way."""
    data = os.urandom(8 * 1024 * 1024)
    source = tmp_path / "data"
    source.write_bytes(data)
    with source.open("rb") as stdin, (tmp_path / "back").open("wb") as stdout:
        program = run("127.0.0.1", serve(echo).port, "--once", "--raw", stdin=stdin, stdout=stdout)
        assert program.end(timeout=30) == 0
    back = (tmp_path / "back").read_bytes()
    assert hashlib.sha256(back).digest() == hashlib.sha256(data).digest()


def test_a_path_that_is_not_utf_8_can_be_read_into_a_spool(
    serve: Serve, run: Run, tmp_path: Path
) -> None:
    source = os.fsencode(tmp_path) + b"/b\xe4tch"
    with open(source, "wb") as file:
        file.write(b"one\ntwo\n")
    words = ("--input", b"file:" + source, "--spool", str(tmp_path / "spool"), "--drain")
    program = run("127.0.0.1", serve(echo).port, *words)
    assert program.end() == 0
    assert program.out == b"one\ntwo\n"
    again = run("127.0.0.1", serve(echo).port, *words, "--spool-adopt")
    assert again.end() == 0
    assert again.out == b""
    assert b"nothing is new" in again.err


def test_so_can_that_of_a_socket(run: Run, tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/s\xe4k"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.settimeout(SOON)
        listening.bind(name)
        listening.listen()
        program = run("--unix", name, "--spool", str(tmp_path / "spool"), "--drain")
        program.type(b"one\n")
        assert program.process.stdin is not None
        program.process.stdin.close()
        program.process.stdin = None
        with listening.accept()[0] as connection:
            assert connection.recv(100) == b"one\n"
        assert program.end() == 0


def test_no_line_of_a_peer_ends_an_output(serve: Serve, run: Run, tmp_path: Path) -> None:
    """An IRC line may hold a line feed by itself: every output goes on behind it."""
    lines = [b"two with a\nline feed\r", *(b"%d\r" % number for number in range(40))]
    kept, fifo, door = tmp_path / "kept", tmp_path / "fifo", tmp_path / "door"
    begin = threading.Event()

    def talk(connection: socket.socket) -> None:
        begin.wait(SOON)
        say_and_close(*lines)(connection)

    os.mkfifo(fifo)
    with contextlib.ExitStack() as stack:
        datagrams = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        datagrams.bind(("127.0.0.1", 0))
        datagrams.settimeout(SOON)
        pipe = stack.enter_context(open(os.open(fifo, os.O_RDWR), "rb"))
        outputs = [
            "-",
            f"file:{kept}",
            f"fifo:{fifo}",
            f"listen:{door}",
            f"udp:127.0.0.1:{datagrams.getsockname()[1]}",
            "log",
        ]
        program = run(
            *("127.0.0.1", serve(talk).port, "--framing", "crlf", "--once", "-v"),
            *("--input", f"exec:sh -c 'cat > {tmp_path}/seen'"),
            *(word for output in outputs for word in ("--output", output)),
        )
        while not door.exists():
            time.sleep(0.01)
        reader = stack.enter_context(socket.socket(socket.AF_UNIX))
        reader.settimeout(SOON)
        reader.connect(str(door))
        program.wait_for(b": 1 connected", "stderr")
        begin.set()
        wanted = b"".join(
            [b"two with a\\nline feed\n", *(b"%d\n" % number for number in range(40))]
        )
        assert program.end() == 0
        assert program.out == kept.read_bytes() == (tmp_path / "seen").read_bytes() == wanted
        assert pipe.read(len(wanted)) == wanted
        assert b"".join(iter(lambda: reader.recv(65536), b"")) == wanted
        assert datagrams.recv(100) == b"two with a\nline feed"
        assert [datagrams.recv(100) for _ in range(40)][-1] == b"39"
    assert program.err.count(b"a frame is escaped, its framing cannot carry it") == 5
    assert rb"received b'two with a\nline feed'" in program.err


def test_it_comes_back_when_the_server_does(serve: Serve, run: Run) -> None:
    server = serve(say_and_close(b"one"), say_and_close(b"two"), say(b"three"))
    program = run("127.0.0.1", server.port, "--retry-initial", "0.05", "--input", "none")
    program.wait_for(b"three\n")
    program.kill(signal.SIGTERM)
    assert program.end() == -signal.SIGTERM
    assert program.out == b"one\ntwo\nthree\n"
    lost = (
        rb"127\.0\.0\.1:\d+: the peer closed the connection; next attempt (?:at once|in 0\.\d s)"
        rb" \(was up for 0\.\d s; frames: 1 received, 0 sent\)\n"
    )
    assert len(re.findall(lost, program.err)) == 1  # the second is of the same outage: -v


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_as_one_that_nothing_handles(serve: Serve, run: Run, number: int) -> None:
    """Else systemd takes a service that was stopped for one that failed."""
    program = run("127.0.0.1", serve(say(b"hello")).port)
    program.wait_for(b"hello\n")
    program.kill(number)
    assert program.end() == -number


def test_ctrl_d_says_that_the_link_stays(serve: Serve, run: Run) -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "wb", buffering=0) as typed, os.fdopen(theirs, "rb") as stdin:
        program = run("127.0.0.1", serve(echo).port, stdin=stdin)
        typed.write(b"hello\n")
        program.wait_for(b"hello\n")
        typed.write(b"\x04")
        program.wait_for(b"end of input; the link stays up, Ctrl-C ends it\n", "stderr")
        program.kill(signal.SIGINT)
        assert program.end() == -signal.SIGINT


def test_the_end_of_stdin_leaves_the_link_up(serve: Serve, run: Run) -> None:
    server = serve(lambda connection: (connection.recv(100), say(b"still here")(connection)))
    program = run("127.0.0.1", server.port)
    program.type(b"a\n")
    assert program.process.stdin is not None
    program.process.stdin.close()
    program.process.stdin = None
    program.wait_for(b"still here\n")
    program.kill(signal.SIGINT)
    assert program.end() == -signal.SIGINT


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["127.0.0.1", "70000"], b"--port: 70000 is out of range (1 to 65535)"),
        (["h", "1", "--input", "/nonexistent/x"], b"--input: /nonexistent/x: no such file"),
        (["h", "1", "--tls", "--tls-ca", "/nonexistent"], b"--tls-ca: /nonexistent: "),
    ],
)
def test_a_wrong_usage_is_one_line_and_status_two(run: Run, words: list[str], says: bytes) -> None:
    program = run(*words)
    assert program.end() == 2
    assert program.err.startswith(b"nbclient: " + says)
    assert program.err.count(b"\n") == 1
    assert program.out == b""


def test_a_refused_link_gives_up_with_status_three(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
    program = run("127.0.0.1", port, "--retries", "1", "--retry-initial", "0.01")
    assert program.end() == 3
    assert b"gave up after 2 attempts: connection refused" in program.err


def test_a_name_that_does_not_exist_is_a_reason(run: Run) -> None:
    program = run("no-such-host.invalid", "1", "--once")
    assert program.end(timeout=30) == 3
    assert b"no-such-host.invalid" in program.err
    assert b"gave up after 1 attempt" in program.err


def test_the_second_signal_ends_at_once_what_the_first_could_not(serve: Serve, run: Run) -> None:
    """Nobody reads stdout, so the first signal waits for --close-timeout."""
    program = run("127.0.0.1", serve(flood).port, "--close-timeout", "3600", "-v")
    program.wait_for(b"READY", "stderr")
    time.sleep(0.5)  # until the pipe is full, and the output's queue
    program.kill(signal.SIGTERM)
    program.wait_for(b"not stored yet; another signal ends it at once\n", "stderr")
    with pytest.raises(subprocess.TimeoutExpired):
        program.process.wait(0.5)
    program.kill(signal.SIGTERM)
    assert program.process.wait(SOON) == 1
    program.wait_for(b"not stored", "stderr")


def test_a_stalled_output_is_given_up_in_time(serve: Serve, run: Run) -> None:
    program = run("127.0.0.1", serve(flood).port, "--close-timeout", "0.2", "-v")
    program.wait_for(b"READY", "stderr")
    time.sleep(0.3)
    program.kill(signal.SIGINT)
    assert program.process.wait(SOON) == 1


def test_a_reader_that_leaves_ends_it_quietly(serve: Serve, run: Run) -> None:
    program = run("127.0.0.1", serve(flood).port, "-q")
    program.wait_for(b"xxx\n")
    assert program.process.stdout is not None
    program.process.stdout.close()
    assert program.process.wait(SOON) == 0
    assert program.process.stderr is not None
    assert program.process.stderr.read() == b""


def test_stdin_may_be_closed_or_nothing(serve: Serve, run: Run) -> None:
    port = serve(echo).port
    program = run("127.0.0.1", port, "--once", "-q", stdin=subprocess.DEVNULL)
    assert program.end() == 0
    closed = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", *PYTHON, "127.0.0.1", port],
        cwd=ROOT,
        capture_output=True,
        timeout=SOON,
        check=False,
    )
    assert closed.returncode == 2
    assert closed.stderr.startswith(b"nbclient: --input: there is no standard input")


def test_files_are_reopened_between_two_frames(serve: Serve, run: Run, tmp_path: Path) -> None:
    more = threading.Event()

    def talk(connection: socket.socket) -> None:
        connection.sendall(b"one\n")
        more.wait(SOON)
        connection.sendall(b"two\n")

    target = tmp_path / "out"
    target.write_bytes(b"torn by a crash")
    program = run("127.0.0.1", serve(talk).port, "--output", str(target))
    until(lambda: target.read_bytes() == b"torn by a crash\none\n")
    target.rename(tmp_path / "out.1")
    program.kill(signal.SIGUSR1)
    program.wait_for(b"reopening", "stderr")
    more.set()
    until(lambda: target.exists() and target.read_bytes() == b"two\n")
    program.kill(signal.SIGTERM)
    assert program.end() == -signal.SIGTERM


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + SOON
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_full_disk_is_status_one_and_says_how_many(serve: Serve, run: Run) -> None:
    program = run("127.0.0.1", serve(say(b"a", b"b")).port, "--output", "/dev/full")
    program.wait_for(b"paused by /dev/full (disk full)", "stderr")
    program.kill(signal.SIGTERM)
    assert program.end() == 1
    assert program.err.endswith(b"nbclient: 2 frames not stored\n")


def test_a_terminal_gets_no_control_bytes_and_keeps_its_flags(serve: Serve, run: Run) -> None:
    """Killed so hard that nothing can be put back: there must be nothing to put back."""
    nasty = bytes(range(256)).replace(b"\n", b"").replace(b"\r", b"") + "‮\u200b".encode()
    server = serve(say(nasty, b"the end"))
    controller, terminal = pty.openpty()
    before = fcntl.fcntl(terminal, fcntl.F_GETFL)
    program = run("127.0.0.1", server.port, stdin=terminal, stdout=terminal, stderr=terminal)
    seen = b""
    os.set_blocking(controller, False)
    end = time.monotonic() + SOON
    while b"the end" not in seen:
        assert time.monotonic() < end, seen
        with contextlib.suppress(BlockingIOError):
            seen += os.read(controller, 65536)
        time.sleep(0.01)
    assert fcntl.fcntl(terminal, fcntl.F_GETFL) == before
    program.process.kill()
    program.process.wait()
    assert fcntl.fcntl(terminal, fcntl.F_GETFL) == before
    os.close(controller)
    os.close(terminal)
    assert [byte for byte in seen if byte < 0x20 and byte not in b"\r\n\t"] == []
    assert seen.isascii() or seen.decode("utf-8").isprintable()
    assert b"\\e" in seen
    assert b"\\u202e\\u200b" in seen


def test_a_prompt_in_pieces_is_answered_and_shown(serve: Serve, run: Run, tmp_path: Path) -> None:
    """It ends no line, and comes a byte at a time."""
    said: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        for byte in b"login: ":
            connection.sendall(bytes([byte]))
            time.sleep(0.01)
        said.append(connection.recv(100))
        connection.sendall(b"OK\r\n")

    (tmp_path / "secret").write_text("hunter2\n")
    opening = ("--opening", f"${{file:{tmp_path / 'secret'}}}", "--expect", "OK")
    words = {
        "raw": ("--raw", "--expect", "login: "),
        "lines": ("--expect-prompt", "login: $"),
        "apart": ("--framing", "length:2", "--opening-framing", "lines", "--expect-prompt", "n: $"),
    }
    for name, script in words.items():
        program = run("127.0.0.1", serve(talk).port, "--input", "none", *script, *opening)
        program.wait_for(b": ready\n", "stderr")
        program.kill(signal.SIGTERM)
        program.end()
        assert said.pop() == (b"hunter2" if name == "raw" else b"hunter2\n")
        assert program.out == {"raw": b"login: OK\r\n", "lines": b"login: OK\n"}.get(name, b"")
    controller, terminal = pty.openpty()
    with os.fdopen(controller, "rb", buffering=0) as screen, os.fdopen(terminal, "wb") as stdout:
        program = run("127.0.0.1", serve(talk).port, "--input", "none", "-q", stdout=stdout)
        seen = b""
        while b"login: ..." not in seen:
            seen += screen.read(100) or b""
        assert seen.count(b"login") == 1


def test_the_opening_script_logs_in_and_no_secret_is_logged(
    serve: Serve, run: Run, tmp_path: Path
) -> None:
    heard: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        lines = connection.makefile("rb")
        heard.append(lines.readline())
        connection.sendall(b"hello\nwelcome 001\n")
        heard.extend([lines.readline(), lines.readline()])
        connection.sendall(b"in\n")

    (tmp_path / "secret").write_text("hunter2\n")
    (tmp_path / "rest").write_text("NICK a\nJOIN b\n")
    program = run(
        *("127.0.0.1", serve(talk).port, "-vv", "--opening", f"PASS ${{file:{tmp_path}/secret}}"),
        *("--expect", " 001", "--opening-file", f"{tmp_path}/rest"),
    )
    program.wait_for(b"in\n")
    program.kill(signal.SIGTERM)
    assert program.end() == -signal.SIGTERM
    assert heard == [b"PASS hunter2\n", b"NICK a\n", b"JOIN b\n"]
    assert b"hunter2" not in program.err
    assert program.out == b"hello\nwelcome 001\nin\n"


def test_a_login_that_fails_is_a_failed_attempt(serve: Serve, run: Run) -> None:
    program = run("127.0.0.1", serve(say(b"no")).port, "--once", "--expect", "yes",
                  "--opening-timeout", "0.5")  # fmt: skip
    assert program.end() == 3
    assert b"the opening was not done within 0.5 s" in program.err
    waited = b": the opening waited in vain for /yes/, the last frame was: b'no'\n"
    assert waited in program.err


def test_the_time_is_over_with_status_four(serve: Serve, run: Run) -> None:
    program = run("127.0.0.1", serve(say()).port, "--max-time", "0.2")
    assert program.end() == 4
    assert program.err.endswith(b"nbclient: --max-time: 0.2 s are over\n")


def secure(folder: Any, certificate: Any, key: Any) -> Callable[[socket.socket], None]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def talk(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as wrapped:
            wrapped.sendall(b"hello\n")
            wrapped.recv(1)

    return talk


def test_a_check_reports_how_a_link_is_secured(serve: Serve, run: Run, tmp_path: Path) -> None:
    certs = make_certs(tmp_path)
    port = serve(secure(tmp_path, certs.good, certs.good_key)).port
    words = ("127.0.0.1", port, "--tls", "--tls-ca", str(certs.ca), "--tls-name", "localhost")
    program = run(*words, "--check", "--expect", "hello")
    assert program.end() == 0
    assert b"connected: 127.0.0.1:" in program.out
    assert b"security: TLSv1.3, TLS_AES" in program.out
    assert b"valid until 20" in program.out
    assert b"ready: after " in program.out


def test_a_certificate_that_proves_nothing_is_refused(
    serve: Serve, run: Run, tmp_path: Path
) -> None:
    certs = make_certs(tmp_path)
    port = serve(secure(tmp_path, certs.self_signed, certs.self_signed_key)).port
    program = run("127.0.0.1", port, "--tls", "--tls-name", "localhost", "--check")
    assert program.end() == 3
    assert b"certificate" in program.err
    assert program.out == b""


OWN = """
from nbclient import FrameProtocol, framing

class Loud(FrameProtocol):
    framing = framing.lines()

    def frameReceived(self, frame):
        print(frame.decode().upper(), flush=True)

class Broken(Loud):
    def frameReceived(self, frame):
        raise RuntimeError("my mistake")
"""


def test_ones_own_protocol_is_found_in_the_current_folder(
    serve: Serve, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(OWN)
    port = serve(say(b"hello")).port
    program = run("127.0.0.1", port, "--protocol", "mine:Loud", cwd=tmp_path)
    program.wait_for(b"HELLO\n")
    program.kill(signal.SIGTERM)
    assert program.end() == -signal.SIGTERM


def test_a_callback_that_raises_is_one_line_unless_asked_for(
    serve: Serve, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(OWN)
    words = ("127.0.0.1", serve(say(b"hello")).port, "--protocol", "mine:Broken", "--once")
    program = run(*words, cwd=tmp_path)
    assert program.end() == 3
    assert b"RuntimeError: my mistake (-vv shows where)\n" in program.err
    program = run(*words, "-vv", cwd=tmp_path)
    _, told = program.process.communicate(timeout=SOON)
    assert b"Traceback" in told


# -- twistd ---------------------------------------------------------------------------


def test_twistd_logs_frames_and_ends_by_its_signal(
    serve: Serve, twistd: Run, tmp_path: Path
) -> None:
    program = twistd("-n", "nbclient", "--host", "127.0.0.1", "--port", serve(say(b"a\x1b")).port)
    program.wait_for(rb"received b'a\x1b'")
    assert (tmp_path / "twistd.pid").exists()
    for number in (signal.SIGHUP, signal.SIGUSR1):
        program.out = b""
        program.kill(number)
        program.wait_for(b"reopening the output files")
    program.kill(signal.SIGTERM)
    assert program.end() == -signal.SIGTERM
    assert not (tmp_path / "twistd.pid").exists()


def test_twistd_gives_up_with_status_three_and_no_pidfile(twistd: Run, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
    program = twistd("-n", "nbclient", "--host", "127.0.0.1", "--port", port, "--retries", "0")
    assert program.end() == 3
    assert b"gave up after 1 attempt: connection refused" in program.out
    assert not (tmp_path / "twistd.pid").exists()


def test_twistd_refuses_a_wrong_usage_in_one_line(twistd: Run, tmp_path: Path) -> None:
    for words, says in [
        (["--host", "h", "--port", "x"], b"nbclient: --port: 'x' is not a port number\n"),
        (["--host", "h", "--port", "1", "--framing", "x"], b"nbclient: --framing: unknown"),
        (["--host", "h", "--port", "1", "--output", "./no/out"], b"nbclient: --output: ./no/out: "),
    ]:
        program = twistd("-n", "nbclient", *words)
        assert program.end() == 2
        assert program.err.startswith(says)
        assert (program.err.count(b"\n"), program.out) == (1, b"")


def test_twistd_in_the_background_says_what_is_wrong_before_it_goes_there(
    twistd: Run, tmp_path: Path
) -> None:
    program = twistd("nbclient", "--host", "h", "--port", "1", "--input", "./no/in")
    assert program.end() == 2
    assert program.err == b"nbclient: --input: ./no/in: no such file or directory\n"
    # What only its start can tell, twistd hands back in its own words.
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = f"listen:127.0.0.1:{taken.getsockname()[1]}"
        program = twistd("nbclient", "--host", "h", "--port", "1", "--output", place)
        assert program.end() == 1
    assert b"--output: cannot listen at 127.0.0.1:" in program.err
    until(lambda: not (tmp_path / "twistd.pid").exists())


def rotates() -> tuple[list[str], str]:
    """The files that docs/deploy.md has logrotate rename, and what it runs then."""
    page = (ROOT / "docs" / "deploy.md").read_text("utf-8")
    found = re.search(r"<!-- logrotate -->\n```\n.*?\n(/.*?) \{\n(.*?)\n\}\n```", page, re.S)
    assert found
    script = re.search(r" postrotate\n(.*?)\n +endscript", found[2], re.S)
    assert script
    return found[1].split(), script[1].strip()


def test_twistds_log_and_the_output_follow_logrotate_as_the_page_says(
    serve: Serve, twistd: Run, tmp_path: Path
) -> None:
    files, script = rotates()
    for path in (*files, "/run/feed.pid"):
        script = script.replace(path, str(tmp_path / Path(path).name))
    log, output = (tmp_path / Path(path).name for path in files)
    more = threading.Event()

    def talk(connection: socket.socket) -> None:
        connection.sendall(b"one\n")
        more.wait(SOON)
        connection.sendall(b"two\n")

    pidfile = tmp_path / "feed.pid"
    began = twistd(
        *("--pidfile", str(pidfile), "--logfile", str(log), "nbclient"),
        *("--host", "127.0.0.1", "--port", serve(talk).port, "--output", str(output)),
    )
    assert began.end() == 0
    try:
        until(lambda: output.exists() and output.read_bytes() == b"one\n")
        for path in (log, output):
            path.rename(f"{path}.1")
        subprocess.run(["sh", "-c", script], check=True, timeout=SOON)
        until(lambda: log.exists() and "reopening the output files" in log.read_text())
        assert "reopening" not in Path(f"{log}.1").read_text()
        more.set()
        until(lambda: output.exists() and output.read_bytes() == b"two\n")
    finally:
        os.kill(int(pidfile.read_text()), signal.SIGTERM)
    until(lambda: not pidfile.exists())
    assert "Server Shut Down" in log.read_text()
    assert not Path(f"{log}.2").exists()


def test_twistd_in_the_background_stores_what_comes(
    serve: Serve, twistd: Run, tmp_path: Path
) -> None:
    """From a file to the peer, and back into a file; then SIGTERM."""
    (tmp_path / "in").write_bytes(b"a\nb\n")
    words = ["--host", "127.0.0.1", "--port", serve(echo).port]
    words += ["--input", "./in", "--output", "./out"]
    program = twistd("nbclient", *words)
    assert program.end() == 0
    pid = int((tmp_path / "twistd.pid").read_text())
    target = tmp_path / "out"
    until(lambda: target.exists() and target.read_bytes() == b"a\nb\n")
    os.kill(pid, signal.SIGTERM)
    until(lambda: not (tmp_path / "twistd.pid").exists())
    assert b"ready" in (tmp_path / "twistd.log").read_bytes()
    assert b"Traceback" not in (tmp_path / "twistd.log").read_bytes()


def test_twistd_has_the_demo_too(twistd: Run) -> None:
    program = twistd("-n", "--pidfile=", "nbclient", "--demo")
    program.wait_for(b"received b'tick")
    program.kill(signal.SIGINT)
    assert program.end() == -signal.SIGINT


def test_the_demo_shows_frames_answers_a_loss_and_the_return(demo: Program) -> None:
    """Last, for by now it has been running for a while."""
    demo.type(b"hello\n")
    demo.wait_for(b"you said hello\n")
    demo.wait_for(b"next attempt in", "stderr")
    end = time.monotonic() + 30
    while demo.err.count(b"demo: ready") < 2 and time.monotonic() < end:
        time.sleep(0.05)
        demo.err += (demo.process.stderr.read() or b"") if demo.process.stderr else b""
    assert demo.err.count(b"demo: ready") >= 2
    assert demo.err.startswith(b"nbclient: demo: a server in this process")
    demo.kill(signal.SIGINT)
    assert demo.end() == -signal.SIGINT
    assert demo.out.count(b"welcome to the demo feed") >= 2


def test_it_answers_and_keeps_its_peers_in_order(
    serve: Callable[..., Server], run: Callable[..., Program]
) -> None:
    """PING is answered; the first peer is gone, so the second is taken."""
    asked: list[bytes] = []

    def ping(connection: socket.socket) -> None:
        connection.sendall(b"PING :irc.example\r\n")
        asked.append(connection.recv(100))

    live = serve(ping)
    dead = serve()
    dead.stop()
    program = run(
        *("--peer", f"127.0.0.1:{dead.port}", "--peer", f"127.0.0.1:{live.port}"),
        *("--framing", "crlf", "--answer", r"/^PING (.*)/PONG \1/", "--retry-initial", "0.05"),
    )
    program.wait_for(b"PING :irc.example")
    program.wait_for(f"the turn of 127.0.0.1:{live.port}, 2 of 2".encode(), "stderr")
    end = time.monotonic() + SOON
    while not asked and time.monotonic() < end:
        time.sleep(0.01)
    program.kill(signal.SIGTERM)
    assert asked == [b"PONG :irc.example\r\n"]
    program.end()
