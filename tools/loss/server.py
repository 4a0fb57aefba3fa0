"""The server: works on frames at a rate, writes each down, and dies as it is told.

    python -m tools.loss.server PORT RECORD [--rate N] [--cert FILE --key FILE]
        [--answer] [--deaths KIND:AFTER,...] [--linger FRAMES]

One process is one life. A frame counts as worked on when its number is in the record, a
file that outlives the process. The record says, a line each::

    C PORT      a connection came, from this port
    @ PORT      what follows is about this connection
    17          frame 17 was worked on
    B ...       a line that is no whole frame of ours
    E BYTES     the connection ended (the peer's end, or an error), inside a frame
                if there are bytes
    T R W       the server dies, and its kernel had received R bytes on this connection
                and offered to take W more
    X KIND      it dies so, on all its connections

With ``--answer`` every frame is answered (`ok NUMBER`) once it is in the record.
"""

from __future__ import annotations

import argparse
import os
import selectors
import signal
import socket
import ssl
import struct
import sys
import time
from contextlib import suppress

from tools.loss.frames import number_of

HOST = "127.0.0.1"
BITE = 65536
"""Bytes read at a time."""

SLICE = 100
"""Frames worked on between two looks at the clock, at most."""

HANDSHAKE = 5.0
"""Seconds that a peer may keep the server waiting."""


class Connection:
    """One of them.

    :ivar rest: bytes of a frame that is not whole yet.
    """

    def __init__(self, sock: socket.socket, port: int) -> None:
        self.sock = sock
        self.port = port
        self.rest = b""

    def read(self) -> list[bytes] | None:
        """The lines that have come; None: it has ended."""
        self.sock.setblocking(False)  # half a record of TLS is nothing to read yet
        try:
            data = self.sock.recv(BITE)
        except (BlockingIOError, ssl.SSLWantReadError):
            return []
        except OSError:  # a reset, or TLS cut off
            return None
        if not data:
            return None
        lines = (self.rest + data).split(b"\n")
        self.rest = lines.pop()
        return lines

    def answer(self, numbers: list[int | None]) -> None:
        """Say that these were worked on."""
        self.sock.settimeout(HANDSHAKE)
        with suppress(OSError):  # reading it will say so, too
            self.sock.sendall(b"".join(b"ok %d\n" % each for each in numbers if each is not None))

    def end(self, kind: str) -> None:
        """The server's end of it."""
        if kind == "reset":
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif isinstance(self.sock, ssl.SSLSocket):
            say_goodbye(self.sock)
        self.sock.close()


class Server:
    """One life.

    :param deaths: kinds, and after how many frames each; the second counts
        only where the first is a half-close, which one may survive.
    :param linger: how many frames more are worked on before that second one,
        so that a peer which takes notice has come to its end.
    """

    def __init__(
        self,
        listener: socket.socket,
        record: str,
        rate: float,
        deaths: list[tuple[str, int]],
        context: ssl.SSLContext | None = None,
        answer: bool = False,
        linger: int = 0,
    ) -> None:
        self.record = os.open(record, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.rate = rate
        self.deaths = deaths
        self.context = context
        self.answers = answer
        self.linger = linger
        self.worked = 0
        self.due = time.monotonic()
        self.listener: socket.socket | None = listener
        self.ready = selectors.DefaultSelector()
        self.ready.register(listener, selectors.EVENT_READ)
        self.connections: list[Connection] = []
        self.noted: Connection | None = None

    def note(self, text: str, about: Connection | None = None) -> None:
        if about is not None and about is not self.noted:
            text = f"@ {about.port}\n{text}"
            self.noted = about
        os.write(self.record, text.encode() + b"\n")

    def run(self) -> None:
        """Until it dies, or has drained what it half-closed."""
        while self.listener or self.connections:
            for key, _ in self.ready.select():
                if key.data is None:
                    self.accept()
                else:
                    self.serve(key.data)

    def accept(self) -> None:
        if self.listener is None:
            return
        sock, peer = self.listener.accept()
        connection = self.noted = Connection(sock, peer[1])
        self.note(f"C {peer[1]}")
        if self.context is not None:
            sock.settimeout(HANDSHAKE)
            try:
                connection.sock = self.context.wrap_socket(sock, server_side=True)
            except OSError:
                self.note("E 0", connection)
                return
        self.connections.append(connection)
        self.ready.register(connection.sock, selectors.EVENT_READ, connection)

    def serve(self, connection: Connection) -> None:
        """Work on what has come."""
        lines = connection.read()
        if lines is None:
            self.note(f"E {len(connection.rest)}", connection)
            self.ready.unregister(connection.sock)
            self.connections.remove(connection)
            connection.sock.close()
            return
        while lines:
            most = min(SLICE, self.life_left)
            self.work(connection, lines[:most])
            del lines[:most]

    @property
    def life_left(self) -> int:
        return self.deaths[0][1] - self.worked if self.deaths else SLICE

    def work(self, connection: Connection, lines: list[bytes]) -> None:
        numbers = [number_of(line) for line in lines]
        self.pace(len(lines))
        text = [
            f"B {line!r}" if number is None else str(number)
            for line, number in zip(lines, numbers, strict=True)
        ]
        self.note("\n".join(text), connection)
        self.worked += len(lines)
        if self.deaths and self.worked == self.deaths[0][1]:
            self.die()
        elif self.answers and self.listener is not None:
            connection.answer(numbers)

    def pace(self, frames: int) -> None:
        """Sleep as long as so many frames take."""
        if not self.rate:
            return
        now = time.monotonic()
        self.due = max(self.due, now - 0.05) + frames / self.rate
        time.sleep(max(0.0, self.due - now))

    def die(self) -> None:
        """Nobody listens any more, and every connection ends."""
        kind, _ = self.deaths.pop(0)
        if kind != "half-close":
            for each in self.connections:
                self.note("T {} {}".format(*received(each.sock)), each)
        self.note(f"X {kind}")
        if kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.listener is not None:
            self.ready.unregister(self.listener)
            self.listener.close()
            self.listener = None
        if kind != "half-close":
            for each in self.connections:
                each.end(kind)
            sys.exit()
        self.worked = -self.linger
        for each in self.connections:
            each.sock.shutdown(socket.SHUT_WR)


_TCP_INFO = struct.Struct("=128xQ96xI")
"""Of Linux' ``struct tcp_info``: bytes_received, rcv_wnd."""


def received(connection: socket.socket) -> tuple[int, int]:
    """What this side's kernel received in all, and how much more it would take now, bytes."""
    known = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
    if len(known) < _TCP_INFO.size:  # Linux before 6.2: no more than the whole buffer
        return 0, connection.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    total, window = _TCP_INFO.unpack(known)
    return total, window


def say_goodbye(connection: ssl.SSLSocket) -> None:
    """TLS' close_notify, without waiting for the peer's."""
    connection.setblocking(False)
    with suppress(OSError):  # it has not said goodbye yet, of course
        connection.unwrap()


def listen(port: int) -> socket.socket:
    """The port is held by the harness, which does not listen, so this may."""
    return socket.create_server((HOST, port), backlog=16)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("record")
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--deaths", default="")
    parser.add_argument("--linger", type=int, default=0)
    parser.add_argument("--cert")
    parser.add_argument("--key")
    parser.add_argument("--answer", action="store_true")
    given = parser.parse_args()
    context = None
    if given.cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(given.cert, given.key)
    deaths = [
        (kind, int(after))
        for kind, _, after in (each.partition(":") for each in given.deaths.split(",") if each)
    ]
    listener = listen(given.port)
    Server(listener, given.record, given.rate, deaths, context, given.answer, given.linger).run()


if __name__ == "__main__":
    main()
