"""What a spool costs at least: a loop that writes each batch, waits for the disk, and sends it.

python raw_spool.py ROLE HOST PORT COUNT
"""

import os
import socket
import sys
import tempfile

BATCH = b"".join([b"x" * 99 + b"\n"] * 100)


def main(role, host, port, count):
    with (
        socket.create_connection((host, int(port))) as link,
        tempfile.TemporaryFile(dir=os.environ.get("BENCH_FOLDER"), buffering=0) as file,
    ):
        for _ in range(0, int(count), 100):
            file.write(BATCH)
            os.fdatasync(file.fileno())
            link.sendall(BATCH)
    print(count)


if __name__ == "__main__":
    main(*sys.argv[1:])
