"""A batch job of nbclient's command line, itself killed (SIGKILL) and started again.

    python -m tools.loss.send_batch HOST PORT COUNT --folder DIR [--tls-ca FILE]

Writes all the frames to a file in DIR, lets ``python -m nbclient`` send it at level
``reply`` with a spool, kills that `KILLS` times, each time to start the same command
again, and ends with the status of the last.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import time
from pathlib import Path

from tools.loss.children import leash
from tools.loss.frames import frame

KILLS = 3
LASTS = (0.2, 1.0)
"""Seconds from when it is ready to the kill."""

OPTIONS = (
    *("--drain", "--output", "none", "--delivery", "reply", "--reply-match", "^ok "),
    *("--retry-initial", "0.05", "--retry-maximum", "0.2", "--stable-after", "0.1"),
)


def write_frames(path: Path, count: int) -> None:
    """The file to be sent."""
    path.write_bytes(b"".join(frame(number) + b"\n" for number in range(count)))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("host")
    parser.add_argument("port")
    parser.add_argument("count", type=int)
    parser.add_argument("--rate", type=float, help="of no account: the file is there")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--tls-ca")
    parser.add_argument("--window", required=True)
    given = parser.parse_args()
    write_frames(given.folder / "frames", given.count)
    secure = ["--tls", "--tls-ca", given.tls_ca] if given.tls_ca else []
    command = [
        *(sys.executable, "-m", "nbclient", given.host, given.port, *OPTIONS, *secure),
        *("--spool", str(given.folder / "spool"), "--input", f"file:{given.folder / 'frames'}"),
        *("--reply-window", given.window),
    ]
    chance = random.Random(given.count)
    for _ in range(KILLS):
        if run_and_kill(command, chance.uniform(*LASTS)) == 0:
            return  # it was done already
    sys.exit(subprocess.run([*leash(), *command], check=False).returncode)


def run_and_kill(command: list[str], lasts: float) -> int:
    """Run until it is ready and `lasts` seconds more; its status."""
    with subprocess.Popen([*leash(), *command], stderr=subprocess.PIPE, text=True) as job:
        assert job.stderr is not None
        for line in job.stderr:
            print(line, end="", file=sys.stderr)
            if line.endswith(" ready\n"):
                time.sleep(lasts)
                job.kill()
        return job.wait()


if __name__ == "__main__":
    main()
