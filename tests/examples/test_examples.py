"""The programs of examples/, each as a process against a server on loopback."""

from __future__ import annotations

import os
import pty
import re
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.real.children import PATIENCE, ROOT, Child, example

HELLO = b"Hello, Server!"


class Peer:
    """A listening socket that a test serves by hand."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.listener.settimeout(PATIENCE)
        self.port = str(self.listener.getsockname()[1])

    def accept(self) -> socket.socket:
        connection, _ = self.listener.accept()
        connection.settimeout(PATIENCE)
        return self._stack.enter_context(connection)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def peer(stack: ExitStack) -> Peer:
    return Peer(stack)


@pytest.fixture
def closed_port(stack: ExitStack) -> str:
    """A port that refuses: bound, so that nobody else gets it, but not listening."""
    reserved = stack.enter_context(socket.socket())
    reserved.bind(("127.0.0.1", 0))
    return str(reserved.getsockname()[1])


def receive(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size and (chunk := connection.recv(size - len(data))):
        data += chunk
    return data


def reset(connection: socket.socket) -> None:
    """Close with RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


# hello.py


def test_hello_sends_prints_what_comes_and_ends_with_the_server(
    stack: ExitStack, peer: Peer
) -> None:
    child = stack.enter_context(Child(example("hello.py", "127.0.0.1", peer.port)))
    connection = peer.accept()
    assert receive(connection, len(HELLO)) == HELLO
    child.out.expect(r"^Message sent to the server\.$")
    connection.sendall(b"Hello, Client!")
    child.out.expect(r"^Received: Hello, Client!$")
    connection.close()
    child.out.expect(r"^Connection closed by the server\.$")
    assert child.wait() == 0
    assert child.err.end() == ""


def test_hello_hears_the_answer_of_a_server_that_closes_at_once(
    stack: ExitStack, peer: Peer
) -> None:
    """An answer and the end of it in one: nothing of it is lost."""
    child = stack.enter_context(Child(example("hello.py", "127.0.0.1", peer.port)))
    connection = peer.accept()
    receive(connection, len(HELLO))
    connection.sendall(b"bye")
    connection.close()
    assert child.wait() == 0
    assert child.out.end().splitlines() == [
        "Message sent to the server.",
        "Received: bye",
        "Connection closed by the server.",
    ]


def test_hello_shows_control_characters_and_does_not_send_them_to_the_terminal(
    stack: ExitStack, peer: Peer
) -> None:
    child = stack.enter_context(Child(example("hello.py", "127.0.0.1", peer.port)))
    connection = peer.accept()
    connection.sendall(b"\x1b]0;gotcha\x07\xff")
    child.out.expect(r"Received: \\e\]0;gotcha\\a\\xff$")


def test_hello_says_what_went_wrong_when_nobody_listens(stack: ExitStack, closed_port: str) -> None:
    child = stack.enter_context(Child(example("hello.py", "127.0.0.1", closed_port)))
    assert child.wait() == 1
    assert child.out.end() == "Error: connection refused\n"
    assert child.err.end() == ""


def test_hello_says_what_went_wrong_when_the_connection_is_reset(
    stack: ExitStack, peer: Peer
) -> None:
    child = stack.enter_context(Child(example("hello.py", "127.0.0.1", peer.port)))
    connection = peer.accept()
    receive(connection, len(HELLO))
    reset(connection)
    assert child.wait() == 1
    assert re.search(r"^Error: the connection was lost", child.out.end(), re.MULTILINE)


@pytest.mark.parametrize("name", ["hello.py", "receive.py"])
def test_ctrl_c_is_no_error(stack: ExitStack, peer: Peer, name: str) -> None:
    child = stack.enter_context(Child(example(name, "127.0.0.1", peer.port)))
    connection = peer.accept()
    connection.sendall(b"x")
    child.out.expect("^Received: x$")
    child.interrupt()
    assert child.wait() == 0
    assert "Error" not in child.out.end()
    assert child.out.text.endswith("Client stopped.\n") is (name == "hello.py")
    assert child.err.end() == ""
    while connection.recv(100):  # closed in good order, not reset
        pass


@pytest.mark.parametrize("name", ["hello.py", "receive.py"])
def test_ctrl_c_while_connecting_is_no_error_either(
    stack: ExitStack, peer: Peer, name: str
) -> None:
    """Nobody accepts: the queue of the listening socket is full, and SYNs are dropped."""
    peer.listener.listen(0)
    for _ in range(3):
        waiting = stack.enter_context(socket.socket())
        waiting.setblocking(False)
        waiting.connect_ex(peer.listener.getsockname())
    before = connecting(peer.port)
    child = stack.enter_context(Child(example(name, "127.0.0.1", peer.port)))
    end = time.monotonic() + PATIENCE
    while connecting(peer.port) == before and time.monotonic() < end:
        time.sleep(0.01)
    child.interrupt()
    assert child.wait() == 0
    assert child.err.end() == ""
    assert "Error" not in child.out.end()


def connecting(port: str) -> int:
    """How many sockets have sent a SYN to the port and heard nothing."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    return sum(row[2].endswith(f":{int(port):04X}") and row[3] == "02" for row in rows)


@pytest.mark.parametrize("name", ["hello.py", "receive.py", "watcher.py"])
def test_a_reader_that_has_left_is_no_error(stack: ExitStack, peer: Peer, name: str) -> None:
    """As with ``| head -1``."""
    process = stack.enter_context(
        subprocess.Popen(
            example(name, "127.0.0.1", peer.port),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    )
    stack.callback(process.kill)
    assert process.stdout is not None
    assert process.stderr is not None
    connection = peer.accept()
    connection.sendall(b"one")
    assert process.stdout.readline()
    process.stdout.close()
    with suppress(OSError):  # until it has noticed
        while process.poll() is None:
            connection.sendall(b"more")
            time.sleep(0.01)
    assert process.wait(PATIENCE) == 0
    assert process.stderr.read() == b""


# receive.py


def test_receive_prints_until_the_end(stack: ExitStack, peer: Peer) -> None:
    child = stack.enter_context(Child(example("receive.py", "127.0.0.1", peer.port)))
    connection = peer.accept()
    for text in ("one", "two"):
        connection.sendall(text.encode())
        child.out.expect(f"^Received: {text}$")
    connection.sendall(b"three")
    connection.close()
    assert child.wait() == 0
    assert child.out.end().splitlines() == ["Received: one", "Received: two", "Received: three"]
    assert child.err.end() == ""


def test_receive_says_what_went_wrong(stack: ExitStack, closed_port: str) -> None:
    child = stack.enter_context(Child(example("receive.py", "127.0.0.1", closed_port)))
    assert child.wait() == 1
    assert child.out.end() == "Error: gave up after 1 attempt: connection refused\n"


def test_receive_says_what_ended_the_connection_if_it_was_no_end(
    stack: ExitStack, peer: Peer
) -> None:
    child = stack.enter_context(Child(example("receive.py", "127.0.0.1", peer.port)))
    connection = peer.accept()
    connection.sendall(b"one")
    child.out.expect("^Received: one$")
    reset(connection)
    assert child.wait() == 1
    assert child.out.end().splitlines()[1:] == [
        "Error: the connection was lost (reset, or a write failed)"
    ]
    assert child.err.end() == ""


# watcher.py


def test_watcher_watches_several_at_once_until_ctrl_c(stack: ExitStack, peer: Peer) -> None:
    other = Peer(stack)
    child = stack.enter_context(
        Child(example("watcher.py", "127.0.0.1", peer.port, "127.0.0.1", other.port))
    )
    first, second = peer.accept(), other.accept()
    for connection, port, text in ((second, other.port, "b"), (first, peer.port, "a")):
        assert receive(connection, len(HELLO)) == HELLO
        connection.sendall(text.encode())
        child.out.expect(f"^127.0.0.1:{port} Received: {text}$")
    child.interrupt()
    assert child.wait() == 0
    assert child.out.end().splitlines()[-1] == "Client stopped."
    assert child.err.end() == ""
    assert first.recv(1) == second.recv(1) == b""  # closed, not just forgotten


def test_watcher_prints_an_error_closes_and_comes_back(stack: ExitStack, peer: Peer) -> None:
    child = stack.enter_context(Child(example("watcher.py", "127.0.0.1", peer.port)))
    connection = peer.accept()
    receive(connection, len(HELLO))
    reset(connection)
    child.out.expect(rf"^127.0.0.1:{peer.port} Error: the connection was lost")
    connection = peer.accept()
    assert receive(connection, len(HELLO)) == HELLO
    connection.close()
    child.out.expect(rf"^127.0.0.1:{peer.port} Connection closed by the server\.$")
    child.interrupt()
    assert child.wait() == 0


def test_an_unreachable_server_does_not_disturb_the_others(
    stack: ExitStack, peer: Peer, closed_port: str
) -> None:
    child = stack.enter_context(
        Child(example("watcher.py", "127.0.0.1", closed_port, "127.0.0.1", peer.port))
    )
    connection = peer.accept()
    child.out.expect(f"^127.0.0.1:{closed_port} Error: connection refused$")
    connection.sendall(b"still here")
    child.out.expect(f"^127.0.0.1:{peer.port} Received: still here$")


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("watcher.py", []),
        ("watcher.py", ["localhost", "seventy"]),
        ("watcher.py", ["localhost", "1", "localhost"]),
        ("hello.py", ["localhost"]),
        ("receive.py", []),
        ("switchboard.py", ["localhost:seventy"]),
    ],
)
def test_wrong_arguments_print_the_usage_and_exit_1(name: str, arguments: list[str]) -> None:
    with Child(example(name, *arguments)) as child:
        assert child.wait() == 1
        assert re.search(f"^usage: {name} ", child.out.end(), re.MULTILINE)
        assert child.err.end() == ""


@pytest.mark.parametrize("name", ["hello.py", "receive.py"])
def test_a_port_out_of_range_is_an_error_in_one_line(name: str) -> None:
    with Child(example(name, "localhost", "70000")) as child:
        assert child.wait() == 1
        assert child.out.end() == "Error: port 70000 is out of range (1 to 65535)\n"
        assert child.err.end() == ""


# switchboard.py


def test_switchboard_sends_what_is_typed_to_all_or_to_one(stack: ExitStack, peer: Peer) -> None:
    other = Peer(stack)
    child = stack.enter_context(
        Child(example("switchboard.py", f"127.0.0.1:{peer.port}", f"127.0.0.1:{other.port}"))
    )
    first, second = peer.accept(), other.accept()
    child.type("to all\n2: to the second\n3: to nobody\n")
    assert receive(first, 7) == b"to all\n"
    assert receive(second, 21) == b"to all\nto the second\n"
    child.out.expect("^there is no 3$")
    second.sendall(b"an answer\n")
    child.out.expect(r"^\[2\] an answer$")
    # What the peer has not acknowledged yet still waits, for a moment.
    child.type("?\n")
    child.out.expect(r"^\[1\] .* READY for \d+ s, 0 lines in, 1 out, [01] waiting$")
    child.out.expect(r"^\[2\] .* READY for \d+ s, 1 line in, 2 out, [0-2] waiting$")
    child.hang_up()
    assert child.wait() == 0
    assert child.err.end() == ""
    assert first.recv(1) == second.recv(1) == b""


def test_switchboard_answers_while_a_server_does_not_read(stack: ExitStack, peer: Peer) -> None:
    """One stalled server must not hold up the keyboard, nor the other connection."""
    peer.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    other = Peer(stack)
    child = stack.enter_context(
        Child(example("switchboard.py", f"127.0.0.1:{peer.port}", f"127.0.0.1:{other.port}"))
    )
    stalled, lively = peer.accept(), other.accept()
    child.type(("1: " + "x" * 10000 + "\n") * 1000)
    child.type("2: are you there\n")
    assert receive(lively, 14) == b"are you there\n"
    child.type("?\n")
    child.out.expect(r"^\[1\] .* READY for \d+ s, .* [1-9]\d* waiting$")
    reset(stalled)


def test_what_is_typed_while_a_link_is_down_is_sent_when_it_is_up(
    stack: ExitStack, peer: Peer
) -> None:
    child = stack.enter_context(Child(example("switchboard.py", f"127.0.0.1:{peer.port}")))
    reset(peer.accept())
    child.out.expect(r"^\[1\] .*; trying again$")
    peer_address = peer.listener.getsockname()
    child.type("kept\n")
    connection = peer.accept()
    assert receive(connection, 5) == b"kept\n"
    assert peer_address == connection.getsockname()


def test_switchboard_says_how_much_was_not_delivered(stack: ExitStack, closed_port: str) -> None:
    child = stack.enter_context(Child(example("switchboard.py", f"127.0.0.1:{closed_port}")))
    child.out.expect(r"^\[1\] .*: connection refused; trying again$")
    child.type("one\ntwo\n")
    child.hang_up()
    child.out.expect(r"^\[1\] not delivered: 2 lines$")
    assert child.wait() == 0


def test_a_line_that_the_framing_cannot_carry_is_refused(stack: ExitStack, peer: Peer) -> None:
    child = stack.enter_context(Child(example("switchboard.py", f"127.0.0.1:{peer.port}")))
    peer.accept()
    child.type("carriage return\r\n")
    child.out.expect(r"^\[1\] not sent: ")


def test_switchboard_ends_with_ctrl_c_and_leaves_the_terminal_as_it_was(
    stack: ExitStack, peer: Peer
) -> None:
    """A shell cannot use a terminal that was left non-blocking."""
    keyboard, terminal = pty.openpty()
    stack.callback(os.close, keyboard)
    stack.callback(os.close, terminal)
    child = stack.enter_context(
        Child(example("switchboard.py", f"127.0.0.1:{peer.port}"), stdin=terminal)
    )
    connection = peer.accept()
    os.write(keyboard, b"typed\n")
    assert receive(connection, 6) == b"typed\n"
    connection.sendall(b"\x1b[2Jcleared?\n")
    child.out.expect(r"^\[1\] \\e\[2Jcleared\?$")
    assert not os.get_blocking(terminal)
    child.interrupt()
    assert child.wait() == 0
    assert child.err.end() == ""
    assert os.get_blocking(terminal)


def test_every_example_is_tested_here_and_says_how_it_is_run() -> None:
    names = sorted(path.name for path in (ROOT / "examples").glob("*.py"))
    for name in (
        "beast.py",
        "fix.py",
        "rfc5424.py",
    ):  # framings, no programs: tests/test_framing_*.py
        names.remove(name)
    assert names == ["ask.py", "hello.py", "receive.py", "switchboard.py", "watcher.py"]
    for name in names:
        text = Path(ROOT / "examples" / name).read_text(encoding="utf-8")
        assert f"python examples/{name} " in text
