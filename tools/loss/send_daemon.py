"""Frames sent by a syslog daemon that reads them from a file as it grows.

    python -m tools.loss.send_daemon FILE COUNT --rate N -- COMMAND...

Writes the file, unless it is there, while COMMAND runs, waits for it, and ends with its
status; told to end (SIGTERM), it tells COMMAND.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time

from tools.loss.children import leash
from tools.loss.frames import batches, frame


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("count", type=int)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("command", nargs="+")
    given = parser.parse_args()
    with open(given.file, "ab", buffering=0) as file:
        daemon = subprocess.Popen([*leash(), *given.command])
        signal.signal(signal.SIGTERM, lambda *_: daemon.terminate())
        written = file.tell()
        for wait, numbers in batches(0 if written else given.count, given.rate):
            time.sleep(wait)
            file.write(b"".join(frame(number) + b"\n" for number in numbers))
            if daemon.poll() is not None:
                break
    sys.exit(daemon.wait())


if __name__ == "__main__":
    main()
