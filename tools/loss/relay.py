"""A relay that ends TCP: what it read is acknowledged, whatever becomes of it.

    python -m tools.loss.relay PORT LOG

Asks PORT for each connection it takes, and prints its own port first. LOG says of
each connection which port it came from and which port it went on from, 0 where
the server was not there.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from contextlib import suppress

HOST = "127.0.0.1"
BITE = 65536


def carry(source: socket.socket, drain: socket.socket) -> None:
    """One direction, to its end; a half-close goes on, an error ends both."""
    try:
        while data := source.recv(BITE):
            drain.sendall(data)
        drain.shutdown(socket.SHUT_WR)
    except OSError:
        for each in (source, drain):
            with suppress(OSError):  # it is gone already
                each.shutdown(socket.SHUT_RDWR)


def relay(connection: socket.socket, came_from: int, port: int, log: int) -> None:
    """One connection."""
    with connection:
        try:
            onward = socket.create_connection((HOST, port))
        except OSError:
            os.write(log, b"%d 0\n" % came_from)
            return
        with onward:
            os.write(log, b"%d %d\n" % (came_from, onward.getsockname()[1]))
            back = threading.Thread(target=carry, args=(onward, connection), daemon=True)
            back.start()
            carry(connection, onward)
            back.join()


def main() -> None:
    port, path = int(sys.argv[1]), sys.argv[2]
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with socket.create_server((HOST, 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            connection, peer = listener.accept()
            threading.Thread(
                target=relay, args=(connection, peer[1], port, log), daemon=True
            ).start()


if __name__ == "__main__":
    main()
