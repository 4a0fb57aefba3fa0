"""What the recipes talk to: devices and servers that a test plays by hand, strictly."""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

from tests.real.children import PATIENCE
from tests.recipes.printed import Cook

HOST = "127.0.0.1"


class Wire:
    """One connection, read as far as is wanted."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE)
        self._socket = connection
        self._rest = bytearray()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def exactly(self, size: int) -> bytes:
        """The next `size` bytes.

        :raises EOFError: the other side ended before.
        """
        while len(self._rest) < size:
            self._receive()
        return self._take(size, 0)

    def until(self, end: bytes) -> bytes:
        """What comes before `end`, which is taken too."""
        while end not in self._rest:
            self._receive()
        return self._take(self._rest.index(end), len(end))

    def _take(self, size: int, more: int) -> bytes:
        """The first bytes; `more` behind them go as well."""
        taken = bytes(self._rest[:size])
        del self._rest[: size + more]
        return taken

    def _receive(self) -> None:
        data = self._socket.recv(65536)
        if not data:
            raise EOFError(bytes(self._rest[-200:]))
        self._rest += data

    def hears(self, patience: float) -> bool:
        """Whether something comes within so many seconds."""
        return bool(self._rest or select.select([self._socket], [], [], patience)[0])

    def rest(self) -> bytes:
        """Everything up to the end of the other side."""
        try:
            while True:
                self._receive()
        except EOFError:
            return self._take(len(self._rest), 0)

    def finish(self) -> None:
        """Close our side, and read on."""
        self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._socket.close()

    def reset(self) -> None:
        """Be gone without a goodbye."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()


class Peer:
    """A place on loopback that refuses until it listens.

    :param room: bytes that the kernel may take for it beforehand; default: its own.
    """

    def __init__(self, stack: ExitStack, room: int | None = None) -> None:
        self._stack = stack
        self._listener = stack.enter_context(socket.socket())
        if room is not None:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        self._listener.bind((HOST, 0))
        self._listener.settimeout(PATIENCE)
        self.port: int = self._listener.getsockname()[1]

    def listen(self) -> None:
        self._listener.listen()

    def accept(self) -> Wire:
        """The next connection."""
        return self._stack.enter_context(closing(Wire(self._listener.accept()[0])))


class Bench:
    """What one test needs of the world around a recipe; closed by `stack`.

    :ivar folder: the recipe's current folder.
    """

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self._stack = stack
        self.folder = folder

    def peer(self) -> Peer:
        """One that listens."""
        peer = self.absent_peer()
        peer.listen()
        return peer

    def absent_peer(self, room: int | None = None) -> Peer:
        """One that does not listen yet."""
        return Peer(self._stack, room)

    def cook(self, name: str, **values: object) -> Cook:
        """Start a recipe."""
        return self._stack.enter_context(Cook(name, self.folder, **values))

    def program(self, address: str) -> Wire:
        """A local one that connects to HOST:PORT, or to the socket of that path."""
        host, _, port = address.rpartition(":")
        if host:
            connection = socket.create_connection((host, int(port)), PATIENCE)
        else:
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(address)
        return self._stack.enter_context(closing(Wire(connection)))

    def files(self, pattern: str) -> bytes:
        """What stands in all files of such names, in order (a test may run at midnight)."""
        return b"".join(path.read_bytes() for path in sorted(self.folder.glob(pattern)))


def eventually(true: Callable[[], bool], what: str) -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.01)
