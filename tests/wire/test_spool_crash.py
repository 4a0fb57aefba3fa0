"""The spool on a real disk: the process killed at any moment, the disk full, the disk failing."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from nbclient.spool.database import SpooledFrame
from nbclient.spool.file import examine, reading
from nbclient.spool.folder import Lock, folder_name

ROOT = Path(__file__).parent.parent.parent
KILLS = 40

# Accepts frames as fast as it can and says so on descriptor 1, only once they
# are stored, and one write a line, which a kill cannot cut; now and then gives
# some of them up as delivered, and says so before it asks.
CHILD = """
import os, queue, random, sys
from functools import partial
from nbclient.spool.spool import Spool

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

def content(seq):
    return b"%d " % seq * (seq % 300 + 1)

def live(directory, seed):
    calls = queue.SimpleQueue()
    spool = Spool.open(directory, "feed", "peer:1", 2**30, deliver=calls.put, wait=0.2)
    rng = random.Random(seed)
    say("first", spool.last_seq + 1)
    spool.start()
    under_way = 0

    def stored(first, count, error):
        nonlocal under_way
        under_way -= 1
        assert error is None, error
        say("stored", first, count)
        if rng.random() < 0.3:
            upto = first - rng.randrange(200)
            say("delivered", upto)
            spool.acknowledge(upto)

    while True:
        while under_way < 4:
            first, count = spool.last_seq + 1, rng.randrange(1, 60)
            under_way += 1
            spool.append(
                [content(first + n) for n in range(count)], partial(stored, first, count)
            )
        calls.get()()
"""

# Starts children without the time that Python takes to start: for each line
# "seed seconds" one that lives so long.
NURSERY = """
import time

for line in sys.stdin:
    seed, life = line.split()
    pid = os.fork()
    if not pid:
        live(sys.argv[1], int(seed))
    time.sleep(float(life))
    os.kill(pid, 9)
    say("killed", os.WTERMSIG(os.waitpid(pid, 0)[1]))
"""


def content(seq: int) -> bytes:
    return b"%d " % seq * (seq % 300 + 1)


def everything(folder: Path) -> list[SpooledFrame]:
    found: list[SpooledFrame] = []
    with reading(folder) as store:
        while piece := store.load(found[-1].seq if found else 0, 10**6):
            found += piece
    return found


class Account:
    """What the children said, over all their lives."""

    def __init__(self) -> None:
        self.stored: set[int] = set()
        self.delivered = 0

    def hear(self, words: list[str]) -> None:
        word, first, *count = words
        if word == "first":
            assert int(first) > max(self.stored, default=0), "a number was used twice"
        elif word == "stored":
            self.stored.update(range(int(first), int(first) + int(count[0])))
        else:
            assert word == "delivered", "it ended by itself"
            self.delivered = max(self.delivered, int(first))

    def check(self, folder: Path) -> None:
        found = everything(folder)
        seqs = [frame.seq for frame in found]
        assert seqs == sorted(set(seqs))
        missing = {seq for seq in self.stored if seq > self.delivered} - set(seqs)
        assert not missing
        assert all(frame.frame == content(frame.seq) for frame in found), "a frame in part"


def test_every_frame_accepted_before_a_kill_is_there_after_it(tmp_path: Path) -> None:
    rng = random.Random(4)
    account = Account()
    folder = tmp_path / folder_name("feed")
    with subprocess.Popen(
        [sys.executable, "-c", CHILD + NURSERY, tmp_path],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as nursery:
        assert nursery.stdin is not None
        assert nursery.stdout is not None
        for kill in range(KILLS):
            nursery.stdin.write(b"%d %f\n" % (kill, rng.random() * 0.12))
            nursery.stdin.flush()
            for line in iter(nursery.stdout.readline, b"killed %d\n" % signal.SIGKILL):
                assert line, "the nursery ended"
                account.hear(line.decode().split())
            if account.stored:
                account.check(folder)
        nursery.stdin.close()
    assert len(account.stored) > 20 * KILLS, "it has to have been at work when it was killed"
    lock = Lock.take(folder, 0)
    examine(folder)  # sound, after all that
    lock.release()


# -- a disk that is full, and one that fails

FULL = """
import sys
from nbclient.spool.spool import Spool

stored, failed, noted = [], [], []
spool = Spool.open(sys.argv[1], "feed", "peer:1", 2**30, deliver=lambda call: call())

def add(size, count):
    first = spool.append([bytes(size)] * count, lambda error: ended(first, count, error))
    spool.step()

def ended(first, count, error):
    if error is None:
        stored.extend(range(first, first + count))
    else:
        failed.append(str(error))

def first_that_fails(size, count):
    while not failed:
        add(size, count)
"""

DRAINED = (
    FULL
    + """
for size in (100, 3000, 10_000):
    del failed[:]
    while len(failed) < 3:
        add(size, 30)
    assert all("full" in why or "No space" in why for why in failed), failed
    assert spool.totals.waiting == len(stored), (spool.totals, len(stored))
    # What was delivered can be noted, and in the end there is room again.
    for seq in stored[::50] + stored[-1:]:
        spool.acknowledge(seq, noted.append)
        spool.step()
        spool.step()
    assert noted and not any(noted), noted
    assert spool.totals.waiting == 0
    del stored[:], failed[:]
    add(1000, 100)
    assert not failed, failed
    spool.acknowledge(stored.pop())
    del stored[:]
    spool.step()
spool.close()
print("ok")
"""
)

AT_ONCE = (
    FULL
    + """
while len(failed) < 3:  # the room of the reserve is used up, too
    add(300, 200)
while len(failed) < 6:
    add(300, 1)
spool.acknowledge(stored[-1], noted.append)
for _ in range(3):
    spool.step()
assert noted == [None] and spool.totals.waiting == 0, (noted, spool.totals)
del failed[:]
add(300, 100)
assert not failed, failed
spool.close()
print("ok")
"""
)

REOPENED = (
    FULL
    + """
first_that_fails(1000, 50)
spool.close()
spool = Spool.open(sys.argv[1], "feed", "peer:1", 2**30, deliver=lambda call: call())
assert spool.totals.waiting == len(stored), (spool.totals, len(stored))
seqs = []
spool.load(0, 2**30, lambda error, frames: seqs.extend(frame.seq for frame in frames))
spool.step()
assert seqs == stored
print("ok")
"""
)

# A write beyond the limit fails with EFBIG, which SQLite takes for a disk that fails.
LIMITED = (
    FULL
    + """
import resource

add(1000, 50)
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
while len(failed) < 3:
    add(1000, 50)
waiting = len(stored)
assert spool.totals.waiting == waiting
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
add(1000, 50)
assert len(failed) == 3 and len(stored) == waiting + 50
spool.close()
spool = Spool.open(sys.argv[1], "feed", "peer:1", 2**30, deliver=lambda call: call())
assert spool.totals.waiting == len(stored)
print("ok")
"""
)


def run(*command: str | Path) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "ok\n"), done.stderr


def on_small_disk(directory: Path, size: str, *command: str | Path) -> tuple[str | Path, ...]:
    """The command in a mount namespace of its own, `directory` a disk of this size."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("needs root, and unshare(1) of util-linux, to mount a small disk")
    mount = 'mount -t tmpfs -o "size=$1,mode=700" spool "$2" && shift 2 && exec "$@"'
    may = subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False)
    if may.returncode:
        pytest.skip(f"cannot make a mount namespace: {may.stderr.decode().strip()}")
    return ("unshare", "-m", "sh", "-c", mount, "sh", size, directory, *command)


def small_disk(directory: Path, program: str, size: str) -> None:
    """Run a program on a disk of this size."""
    run(*on_small_disk(directory, size, sys.executable, "-c", program, directory))


@pytest.mark.parametrize("size", ["4m", "12m"])
def test_on_a_full_disk_nothing_lies_and_delivering_makes_room_again(
    tmp_path: Path, size: str
) -> None:
    small_disk(tmp_path, DRAINED, size)


def test_on_a_full_disk_all_that_waits_can_be_delivered_at_once(tmp_path: Path) -> None:
    """To forget it in one transaction takes more room than there is."""
    small_disk(tmp_path, AT_ONCE, "4m")


def test_what_was_accepted_before_the_disk_was_full_is_there_after_a_restart(
    tmp_path: Path,
) -> None:
    small_disk(tmp_path, REOPENED, "4m")


class Sink:
    """A server that is not there until it is asked for; it takes lines.

    :ivar lines: all that came, in order.
    """

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self._listening = socket.socket()
        self._listening.bind(("127.0.0.1", 0))  # so that nobody else gets the port
        self.port = str(self._listening.getsockname()[1])

    def serve(self) -> None:
        self._listening.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        connection, _ = self._listening.accept()
        with connection, connection.makefile("rb") as lines, self._listening:
            self.lines += lines


def test_a_job_whose_disk_is_full_waits_says_so_once_and_loses_nothing(tmp_path: Path) -> None:
    lines = [b"%d %s\n" % (number, b"x" * 300) for number in range(4500)]
    (tmp_path / "batch").write_bytes(b"".join(lines))
    kept = tmp_path / "kept"
    kept.mkdir()
    sink = Sink()
    words = ("--drain", "--input", f"file:{tmp_path / 'batch'}", "--spool", kept)
    patience = ("--retry-initial", "0.1", "--retry-maximum", "0.1")
    job = (sys.executable, "-m", "nbclient", "127.0.0.1", sink.port, *words, *patience)
    command = on_small_disk(kept, "2m", *job)
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if "trying again" in line:
                sink.serve()
        assert process.wait(60) == 0, said
    assert len([line for line in said if "trying again" in line]) == 1, said
    assert not [line for line in said if "not delivered" in line], said
    deadline = time.monotonic() + 10
    while len(sink.lines) < len(lines) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert sink.lines == lines


def test_when_the_disk_fails_nothing_lies_and_later_frames_may_succeed(tmp_path: Path) -> None:
    run(sys.executable, "-c", LIMITED, tmp_path)


def test_the_second_process_is_told_who_has_it_and_gets_it_once_that_one_is_gone(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-c", CHILD + "live(sys.argv[1], 1)", tmp_path]
    first = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    assert first.stdout is not None
    with first, first.stdout as said:
        said.readline()
        second = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60, check=False)
        first.kill()
        said.read()
    assert f"in use by process {first.pid}" in second.stderr.decode()
    Lock.take(tmp_path / folder_name("feed"), 0).release()
