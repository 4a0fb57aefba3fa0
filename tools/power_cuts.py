"""Cut the power under a spool, many times, and look for what is missing.

    python tools/power_cuts.py [--cuts N] [--seed N] [--synchronous NORMAL|OFF] [--job]

A disk of its own (ext4 in a file, loop-mounted) is shut down as by a power cut
(`EXT4_IOC_SHUTDOWN` with `NOLOGFLUSH`): what no fsync had asked for is gone. A
child process works on a spool there meanwhile and says what it was told: frames
stored, delivered, set aside. Then the disk is mounted anew, and

- every frame that was called stored is there whole, unless it was given up as delivered;
- there is no gap below an input's cursor, and the cursor stands at the last frame;
- what was noted as delivered has not come back, what was set aside is set aside;
- the database is sound, and the spool opens and goes on.

A third of the cuts hit a spool that lives on over all of them, a third one that
has just accepted its first frames, and a third one that is being made.

With --synchronous the spool's commits are not synced as they should be, and frames
are lost: that shows that a loss is noticed.

With --job it is the command line that works there, once: a batch is under way to
a server, the power is cut, the same command is run again. It has to end with status
0, the server with every line, in order, none twice but in one stretch at the restart.

What this does not show: a disk that loses its own cache, or reorders what it was
told to write. The loop device has none; SQLite asks for a flush, and ext4 passes it on.

Needs root, Linux, mkfs.ext4, unshare(1) and a free loop device. All of it happens in a
mount namespace of its own: whatever becomes of this process, nothing stays mounted.

Exit status: 0 nothing was lost, 1 something was, 2 it could not be tried.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import queue
import random
import re
import select
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from attrs import define, field

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from nbclient.spool import file as spool_file  # noqa: E402
from nbclient.spool.folder import DATABASE, Lock, folder_name  # noqa: E402
from nbclient.spool.spool import Spool  # noqa: E402

HELD, LOST, CANNOT = range(3)

SHUTDOWN = 0x8004587D
"""EXT4_IOC_SHUTDOWN: _IOR('X', 125, __u32), fs/ext4/ext4.h."""
NO_LOG_FLUSH = 2
DISK = 64 * 1024 * 1024
INSIDE = "NBCLIENT_POWER_CUTS_INSIDE"
PEER = "peer:1"
SOON = 30.0
"""Seconds after which something that should happen soon has not happened."""


class CannotTry(Exception):
    """Not on this machine; the argument says why."""


# -- a disk whose power can be cut ------------------------------------------------------


class Disk:
    """An ext4 file system in a file.

    :ivar point: where it is mounted.
    """

    def __init__(self, folder: Path) -> None:
        self._image = folder / "image"
        self.point = folder / "disk"
        self.point.mkdir()
        with self._image.open("wb") as image:
            image.truncate(DISK)
        _command("mkfs.ext4", "-q", "-F", self._image)

    def mount(self) -> None:
        _command("mount", "-o", "loop", self._image, self.point)

    def unmount(self) -> None:
        _command("umount", self.point)

    def cut(self) -> None:
        """From now on it fails, and what was not synced is gone."""
        descriptor = os.open(self.point, os.O_RDONLY | os.O_DIRECTORY)
        try:
            if os.fstat(descriptor).st_dev == self._image.stat().st_dev:
                raise AssertionError("not mounted: this would cut the machine's own disk")
            fcntl.ioctl(descriptor, SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        except OSError as error:
            raise CannotTry(f"the shutdown ioctl is refused: {error}") from None
        finally:
            os.close(descriptor)


def _command(*words: str | Path) -> None:
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        said = done.stderr.strip().partition("\n")[0]
        raise CannotTry(f"{words[0]}: {said or f'status {done.returncode}'}")


def enter() -> None:
    """Run again in a mount namespace of our own.

    :raises CannotTry: that cannot be had.
    """
    if sys.platform != "linux":
        raise CannotTry("needs Linux")
    if os.geteuid() != 0:
        raise CannotTry("needs root, to mount a disk")
    for name in ("mkfs.ext4", "unshare", "mount", "umount"):
        if shutil.which(name) is None:
            raise CannotTry(f"needs {name}")
    _command("unshare", "-m", "true")
    again = ("unshare", "-m", "--propagation", "private", sys.executable, __file__, *sys.argv[1:])
    os.execvpe("unshare", again, {**os.environ, INSIDE: "1"})


# -- the child that writes --------------------------------------------------------------


def connection_that(synchronous: str) -> Callable[[str], sqlite3.Connection]:
    """Opens a database whose commits are synced in this way, or as the spool asks for ("")."""

    class Connection(sqlite3.Connection):
        def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
            if synchronous and sql.startswith("PRAGMA synchronous"):
                sql = f"PRAGMA synchronous = {synchronous}"
            return super().execute(sql, *arguments)

    return lambda uri: sqlite3.connect(
        uri, uri=True, isolation_level=None, check_same_thread=False, factory=Connection
    )


def content(seq: int) -> bytes:
    return b"%d " % seq * (seq % 100 + 1)


class Writer:
    """Works on a spool, and says on a pipe what it was told, a write a line."""

    def __init__(self, directory: Path, link: str, seed: int, synchronous: str, pipe: int) -> None:
        self._pipe = pipe
        self._random = random.Random(seed)
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._spool = Spool.open(
            directory,
            link,
            PEER,
            2**30,
            deliver=self._calls.put,
            wait=0.0,
            connect=connection_that(synchronous),
        )
        self._under_way = 0

    def run(self) -> None:
        """Until somebody kills it."""
        self._spool.start()
        while True:
            while self._under_way < 3:
                self._append()
            self._calls.get()()

    def _append(self) -> None:
        first, count = self._spool.last_seq + 1, self._random.randrange(1, 40)
        frames = [content(first + n) for n in range(count)]
        last = first + count - 1
        self._under_way += 1
        self._spool.append(frames, partial(self._stored, first, last), ("input", str(last)))

    def _stored(self, first: int, last: int, error: Exception | None) -> None:
        self._under_way -= 1
        if error is not None:  # the power is off; nothing was promised
            return
        self._say("stored", first, last)
        chance = self._random.random()
        if chance < 0.2:
            upto = first - self._random.randrange(200)
            self._say("given-up", upto)
            self._spool.acknowledge(upto, self._told("forgotten", upto))
        elif chance < 0.3:
            self._spool.set_aside(last, "why", self._told("aside", last))

    def _told(self, *words: object) -> Callable[[Exception | None], None]:
        return lambda error: None if error else self._say(*words)

    def _say(self, *words: object) -> None:
        os.write(self._pipe, (" ".join(map(str, words)) + "\n").encode())


class Child:
    """The process of a `Writer`. Forked, for Python takes its time to start."""

    def __init__(self, writer: Callable[[int], Writer]) -> None:
        self._reading, writing = os.pipe()
        self._text = b""
        self._pid = os.fork()
        if not self._pid:
            os.close(self._reading)
            with contextlib.suppress(BaseException):  # the cut may find it anywhere
                writer(writing).run()
            os._exit(1)
        os.close(writing)

    def hear(self, seconds: float, word: bytes = b"") -> None:
        """Listen for so long, or until this word was said."""
        end = time.monotonic() + seconds
        while not word or word not in self._text:
            left = max(0.0, end - time.monotonic())
            if not select.select([self._reading], [], [], left)[0]:
                return
            heard = os.read(self._reading, 65536)
            if not heard:
                return
            self._text += heard

    def kill(self) -> Iterator[list[str]]:
        """End it; what counts of all that it said, split into words.

        What it calls stored after we last listened does not count, for then the
        power was going off: an fdatasync that runs just then may succeed although
        nothing is written (seen with plain writes too: it is so in ext4's shutdown,
        and there is no such moment in a power cut).
        """
        counts = len(self._text)
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        self.hear(SOON)  # up to the end of the pipe
        os.close(self._reading)
        lines = [*self._text[:counts].splitlines()]
        lines += [x for x in self._text[counts:].splitlines() if x.startswith(b"given-up")]
        return (line.decode().split() for line in lines)


# -- what has to be there ---------------------------------------------------------------


@define
class Account:
    """What was said of one spool, over all of its lives.

    :ivar stored: frames that were called stored.
    :ivar given_up: up to here they may be forgotten, ...
    :ivar forgotten: ... and up to here they must be.
    """

    link: str
    stored: set[int] = field(factory=set)
    aside: set[int] = field(factory=set)
    given_up: int = 0
    forgotten: int = 0

    def hear(self, word: str, *numbers: str) -> None:
        first = int(numbers[0])
        if word == "stored":
            self.stored.update(range(first, int(numbers[1]) + 1))
        elif word == "given-up":
            self.given_up = max(self.given_up, first)
        elif word == "forgotten":
            self.forgotten = max(self.forgotten, first)
        else:
            self.aside.add(first)

    def check(self, directory: Path) -> list[str]:
        """What is wrong with what is on the disk, a line each."""
        folder = directory / folder_name(self.link)
        if not (folder / DATABASE).exists():
            return [f"the spool is gone, with {len(self.stored)} frames"] if self.stored else []
        lock = Lock.take(folder, 0)
        spool_file.examine(folder)
        lock.release()
        with spool_file.reading(folder) as store:
            waiting = store.load(0, 2**62)
            aside = store.load_aside(0, 2**62)
            cursor, last = int(store.cursors.get("input", 0)), store.last_seq
        sound = _integrity(folder / DATABASE)
        there = {frame.seq for frame in (*waiting, *aside)}
        kept = {seq for seq in self.stored if seq > self.given_up}
        faults = {
            "called stored, and not there": kept - there,
            "gaps below the cursor": set(range(self.given_up + 1, cursor + 1)) - there,
            "frames in part": {f.seq for f in (*waiting, *aside) if f.frame != content(f.seq)},
            "delivered, and there again": {f.seq for f in waiting if f.seq <= self.forgotten},
            "set aside, and not there": self.aside - {frame.seq for frame in aside},
            "numbers that will be used again": {seq for seq in self.stored if seq > last},
        }
        words = [f"{len(seqs)} {what}" for what, seqs in faults.items() if seqs]
        if cursor != last:
            words.append(f"the cursor stands at {cursor}, the last frame is {last}")
        if sound != "ok":
            words.append(f"damaged: {sound}")
        self.stored &= there  # each loss is told once
        self.aside &= there
        self.forgotten = min(self.forgotten, last)
        self.given_up = min(self.given_up, last)
        return words


def _integrity(path: Path) -> str:
    with contextlib.closing(sqlite3.connect(path)) as db:
        (found,) = db.execute("PRAGMA integrity_check(1)").fetchone()
    return str(found)


def opens(directory: Path, link: str) -> list[str]:
    """Whether the spool opens and takes a frame, after all that; what is wrong otherwise."""
    told: list[Exception | None] = []
    try:
        spool = Spool.open(directory, link, PEER, 2**30, deliver=lambda call: call(), wait=0.0)
        spool.append([b"alive"], told.append)
        spool.close()
    except Exception as error:
        return [f"does not open: {error}"]
    return [] if told == [None] else [f"does not go on: {told}"]


# -- cutting ----------------------------------------------------------------------------


def cut_many(disk: Disk, cuts: int, seed: int, synchronous: str) -> int:
    """Cut the power so often; say what was lost.

    :return: in how many of them something was.
    """
    rng = random.Random(seed)
    accounts: dict[str, Account] = {}
    accepted = bad = 0
    for number in range(cuts):
        kind = ("old", "new", "being made")[number % 3]
        link = "feed" if kind == "old" else f"new {number}"
        account = accounts.setdefault(link, Account(link))
        before = len(account.stored)
        disk.mount()
        child = Child(partial(Writer, disk.point, link, rng.randrange(2**32), synchronous))
        if kind != "being made":
            child.hear(SOON, b"stored")
        child.hear(rng.random() * (0.1 if kind == "old" else 0.02))
        child.hear(0.0)
        disk.cut()
        for words in child.kill():
            account.hear(*words)
        accepted += len(account.stored) - before
        disk.unmount()
        disk.mount()
        wrong = account.check(disk.point)
        if kind != "old":
            wrong += opens(disk.point, link)
        disk.unmount()
        bad += bool(wrong)
        for fault in wrong:
            print(f"cut {number} of seed {seed}, spool {kind}: {fault}")
    disk.mount()
    for fault in opens(disk.point, "feed"):
        bad += 1
        print(f"the spool, at the end: {fault}")
    disk.unmount()
    print(f"{cuts} power cuts, {accepted} frames accepted; something was wrong after {bad}")
    return bad


# -- a job on the command line ----------------------------------------------------------

LINES = 6000


class Server:
    """Takes lines, no more than it may.

    :ivar lines: what came, in order.
    """

    def __init__(self) -> None:
        self.lines: list[int] = []
        self.may = threading.Event()
        self._stop_at = LINES
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        self.port = self._listening.getsockname()[1]

    def start(self, stop_at: int) -> None:
        """Serve; read no more once so many lines have come, until `may` is set."""
        self._stop_at = stop_at
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listening.accept()
            with connection, connection.makefile("rb") as lines, contextlib.suppress(OSError):
                for line in lines:
                    self.lines.append(int(line.split()[0]))
                    if len(self.lines) == self._stop_at:
                        self.may.wait()

    def has(self, count: int) -> bool:
        """Wait until so many lines have come."""
        end = time.monotonic() + SOON
        while len(self.lines) < count and time.monotonic() < end:
            time.sleep(0.005)
        return len(self.lines) >= count


def cut_job(disk: Disk, folder: Path, seed: int) -> int:
    """Cut the power under a job of the command line, and run it again.

    :return: how much is wrong.
    """
    batch = folder / "batch"
    batch.write_bytes(b"".join(b"%d %s\n" % (n, b"x" * 300) for n in range(LINES)))
    server, rng = Server(), random.Random(seed)
    server.start(stop_at=rng.randrange(300, 3000))
    delivery = ("--drain", "--delivery", "tcp", "--retry-initial", "0.05")
    kept = ("--input", f"file:{batch}", "--spool", str(disk.point / "kept"))
    words = (sys.executable, "-m", "nbclient", "127.0.0.1", str(server.port), *delivery, *kept)
    disk.mount()
    with (folder / "errors").open("wb") as errors:
        job = subprocess.Popen(words, cwd=ROOT, stderr=errors)
    reached = server.has(server._stop_at)
    time.sleep(rng.random() * 0.1)
    job.send_signal(signal.SIGSTOP)  # see Child.kill
    os.waitpid(job.pid, os.WUNTRACED)
    disk.cut()
    job.kill()
    job.wait()
    server.may.set()
    disk.unmount()
    disk.mount()
    again = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=SOON)
    disk.unmount()
    return _judge_job(server, reached, again, (folder / "errors").read_text())


def _judge_job(
    server: Server, reached: bool, again: subprocess.CompletedProcess[str], before: str
) -> int:
    server.has(LINES)
    missing = set(range(LINES)) - set(server.lines)
    twice = len(server.lines) - len(set(server.lines))
    waited = re.search(r"(\d+) frames? waits? in the spool from before", again.stderr)
    waiting = int(waited[1]) if waited else 0
    falls = sum(later <= earlier for earlier, later in pairwise(server.lines))
    faults = {
        f"it did not get so far: {before}": not reached,
        f"the second run ended with {again.returncode}: {again.stderr}": again.returncode,
        f"{len(missing)} lines did not arrive": missing,
        "the second run found nothing in the spool": not waiting,
        f"{twice} lines came again, but only {waiting} had waited": twice > waiting,
        f"it was out of order {falls} times": falls > 1,
    }
    wrong = [fault for fault, true in faults.items() if true]
    for fault in wrong:
        print(f"the job: {fault}")
    print(
        f"a job of {LINES} lines, its power cut: {waiting} waited on the disk,"
        f" {len(missing)} were lost, {twice} sent again"
    )
    return len(wrong)


# -- the command ------------------------------------------------------------------------


def run(asked: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory(prefix="nbclient-power-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        disk = Disk(folder)
        try:
            if asked.job:
                wrong = cut_job(disk, folder, asked.seed)
            else:
                wrong = cut_many(disk, asked.cuts, asked.seed, asked.synchronous)
        finally:
            # Else the folder cannot be removed.
            if os.path.ismount(disk.point):
                subprocess.run(["umount", "--lazy", disk.point], check=False)
    return LOST if wrong else HELD


def main() -> int:
    parser = argparse.ArgumentParser(description="Cut the power under a spool.")
    parser.add_argument("--cuts", type=int, default=50, metavar="N")
    parser.add_argument("--seed", type=int, default=int(time.time()), metavar="N")
    parser.add_argument("--synchronous", choices=("NORMAL", "OFF"), default="")
    parser.add_argument("--job", action="store_true")
    asked = parser.parse_args()
    try:
        if INSIDE not in os.environ:
            enter()
        return run(asked)
    except CannotTry as error:
        print(f"cannot be tried: {error}", file=sys.stderr)
        return CANNOT


if __name__ == "__main__":
    sys.exit(main())
