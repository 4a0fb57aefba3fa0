"""Input files and restarts, at random from a seed: no line is lost, and none is made up.

What happens to a log, to a batch and to the program that reads them is drawn: lines are
appended, files are renamed, cut short, deleted and made anew, the program is killed before or
after its frames are stored. The only lines that may be missing are those that were in a file
when that was cut short or deleted, and not read by then.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred

from nbclient import framing
from nbclient.daemon.inputs.cursors import BatchCursor
from nbclient.daemon.inputs.intake import Intake, Stream
from nbclient.daemon.inputs.tail import Tail, TailCursor
from nbclient.errors import LinkStopped
from tests.conformance.daemon import KeptLog

LINES = framing.lines(max_frame=100, on_bad_frame="skip")
SEEDS = 20
STEPS = 60
KEPT = 6
TITLE = b"column," * 50 + b"\n"  # of each file, as of a CSV file; too long for a frame


class Idle(Exception):
    """There is nothing to read."""


class Killed(Exception):
    """The program is gone, and what it had not stored."""


class Store:
    """A spool: frames and the cursor behind them, both or neither.

    :ivar kill: the program dies before the next frames are stored.
    """

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.cursor: str | None = None
        self.kill = False

    async def send(self, frames: Sequence[bytes], cursor: tuple[str, str] | None) -> None:
        if self.kill:
            self.kill = False
            raise LinkStopped("killed")
        assert cursor is not None
        self.frames += frames
        self.cursor = cursor[1]

    def intake(self) -> Intake:
        return Intake("x", LINES, LINES.check, self.send, KeptLog())


def now(step: Deferred[bool]) -> bool:
    """The result, which is there."""
    results: list[bool] = []
    step.addCallback(results.append)
    return results[0]


class TailRun:
    """A run that follows the log, from where the last one stopped."""

    def __init__(self, path: Path, store: Store) -> None:
        self.log = KeptLog()
        self.store = store
        self.tail = Tail(str(path), True, b"\n", self.log, self.wait)
        self.cursor = TailCursor(str(path), self.tail)
        self.intake = store.intake()
        self.tail.begin()
        self.cursor.resume(store.cursor, self.log)
        self.stream = self.fresh()
        assert now(Deferred.fromCoroutine(self.stream.begin()))

    def wait(self, _: float) -> None:
        raise Idle

    def fresh(self) -> Stream:
        return self.intake.stream(self.cursor)

    def look(self) -> None:
        """Read what there is.

        :raises Killed: on the way.
        """
        try:
            while True:
                data = self.tail.read()
                if data:
                    if not now(Deferred.fromCoroutine(self.stream.feed(data))):
                        raise Killed
                else:
                    Deferred.fromCoroutine(self.stream.end())
                    self.stream = self.fresh()
        except Idle:
            pass

    @property
    def warned(self) -> bool:
        return any("anew" in line for line in self.log.lines)

    def close(self) -> None:
        self.tail.stop()
        assert self.tail.read() == b""


class Log:
    """The writer's side."""

    def __init__(self, folder: Path, dice: random.Random) -> None:
        self.path = folder / "log"
        self.dice = dice
        self.count = 0
        self.written: dict[bytes, Path] = {}
        self.forgiven: set[bytes] = set()
        self.followed = True  # the program runs
        self.copied = False  # some lines stand in two files

    def line(self) -> bytes:
        self.count += 1
        length = 150 if self.dice.random() < 0.05 else 8
        return (b"%d " % self.count).ljust(length, b".")

    def append(self, path: Path | None = None) -> None:
        path = path or self.path
        if not path.exists() or not path.stat().st_size:
            path.write_bytes(TITLE)
        lines = [self.line() for _ in range(self.dice.randint(1, 5))]
        with path.open("ab") as file:
            for line in lines:
                file.write(line + b"\n")
        for line in lines:
            if len(line) <= LINES.max_frame:
                self.written[line] = path

    def lose(self, path: Path, store: Store) -> None:
        """What is in this file is about to go."""
        self.forgiven |= set(path.read_bytes().split(b"\n")) - set(store.frames)

    def rotate(self, store: Store, keep: bool = False) -> None:
        """Each file gets a higher number, and the log one, unless it is to keep its name."""
        for number in range(KEPT, 0, -1):
            older = Path(f"{self.path}.{number}")
            if older.exists() and number == KEPT:
                self.lose(older, store)
                older.unlink()
            elif older.exists():
                older.rename(f"{self.path}.{number + 1}")
        if self.path.exists() and not keep:
            self.path.rename(f"{self.path}.1")


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_log_that_is_followed(seed: int, tmp_path: Path) -> None:
    dice = random.Random(seed)
    log, store = Log(tmp_path, dice), Store()
    run, warned = TailRun(log.path, store), False
    if dice.random() < 0.5:  # what comes while nothing runs is new, too
        run.close()
        log.append()
        run = TailRun(log.path, store)
    else:
        log.append()
        run.look()

    def start() -> None:
        nonlocal run, warned
        warned = warned or run.warned
        run = TailRun(log.path, store)
        warned = warned or run.warned

    def look() -> None:
        store.kill = dice.random() < 0.1
        try:
            run.look()
        except Killed:
            run.close()
            start()
        store.kill = False

    def restart() -> None:
        nonlocal run
        run.close()
        log.followed = False
        for _ in range(dice.randint(0, 4)):
            dice.choice(outside)()
        log.followed = True
        start()

    def rename() -> None:
        log.rotate(store)
        log.append()

    def rename_late() -> None:
        log.rotate(store)
        log.path.touch()
        if dice.random() < 0.5:
            look()
        if Path(f"{log.path}.1").exists():
            log.append(Path(f"{log.path}.1"))
        log.append()

    def copy_truncate() -> None:
        if log.path.exists():
            if log.followed:  # else the copy is read at the start
                log.lose(log.path, store)
            log.rotate(store, keep=True)
            log.copied = True
            shutil.copy(log.path, f"{log.path}.1")
            os.truncate(log.path, 0)
        log.append()

    def make_anew() -> None:
        if log.path.exists():
            log.lose(log.path, store)
            log.path.unlink()
        log.append()

    def append_slowly() -> None:
        """A line that is too long, in two parts."""
        log.append()
        line = b"x" * 150
        with log.path.open("ab", buffering=0) as file:
            file.write(line)
            dice.choice([look, restart_at_once])()
            file.write(b"and more\n")

    def restart_at_once() -> None:
        look()
        run.close()
        start()

    def forget_oldest() -> None:
        for number in range(KEPT, 0, -1):
            older = Path(f"{log.path}.{number}")
            if older.exists():
                log.lose(older, store)
                older.unlink()
                return

    outside = [log.append, log.append, rename]
    if dice.random() < 0.6:
        outside += [copy_truncate, make_anew, forget_oldest]
    for _ in range(STEPS):
        dice.choice([*outside, look, look, look, restart, rename_late, append_slowly])()
    log.append()
    for _ in range(60):
        run.look()
    made_up = [f for f in store.frames if f not in log.written]
    assert made_up == []
    missing = set(log.written) - set(store.frames) - log.forgiven
    assert missing == set()
    warned = warned or run.warned
    assert log.copied or warned or len(set(store.frames)) == len(store.frames), (
        "twice, and not a word"
    )
    run.close()


class Batch:
    """A file that is written over, replaced and appended to, and what of it has been sent.

    :ivar due: lines of the file as it is that were not stored since it became so.
    """

    def __init__(self, path: Path, dice: random.Random) -> None:
        self.path = path
        self.dice = dice
        self.lines: list[bytes] = []
        self.due: list[bytes] = []
        self.said: list[str] = []
        self.store = Store()

    def image(self) -> bytes:
        return b"".join(line + b"\n" for line in self.lines)

    def another(self) -> list[bytes]:
        """The lines of a new batch: others, the same, or with the same beginning."""
        count = self.dice.randint(1, 6)
        kept = self.lines[: self.dice.choice([0, count, len(self.lines)])]
        new = self.dice.choice([0, count])
        return kept + [b"%d" % self.dice.randrange(1000) for _ in range(new)]

    def replace(self) -> None:
        """By another file, while the old one keeps its inode or gives it up."""
        self.lines = self.due = self.another()
        if self.dice.random() < 0.5 or not self.path.exists():
            self.path.unlink(missing_ok=True)
            self.path.write_bytes(self.image())
        else:
            new = self.path.with_suffix(".new")
            new.write_bytes(self.image())
            new.rename(self.path)

    def write_over(self) -> None:
        """In place; what is longer begins otherwise, else it would pass for one that grew."""
        size = len(self.image())
        self.lines = self.another()
        if len(self.image()) > size:
            self.lines = [b"%d is new" % self.dice.randrange(10**9), *self.lines]
        self.due = self.lines
        self.path.write_bytes(self.image())
        # The clock of a file system may be coarse, and a day is long.
        stamp = os.stat(self.path).st_mtime_ns + self.dice.randrange(1, 10**9)
        os.utime(self.path, ns=(stamp, stamp))

    def append(self) -> None:
        more = [b"%d" % self.dice.randrange(1000) for _ in range(3)]
        self.lines = self.lines + more
        self.due = self.due + more
        with self.path.open("ab") as file:
            file.write(b"".join(line + b"\n" for line in more))

    def run(self, killed: bool) -> None:
        """Send it, as far as it goes."""
        self.store.frames = []
        cursor = BatchCursor(str(self.path))
        descriptor = os.open(self.path, os.O_RDONLY)
        found = cursor.resume(descriptor, self.store.cursor)
        self.said.append(found.says)
        stream = self.store.intake().stream(cursor)
        assert now(Deferred.fromCoroutine(stream.begin()))
        try:
            while data := os.read(descriptor, self.dice.randint(1, 20)):
                cursor.look(descriptor)
                self.store.kill = killed and self.dice.random() < 0.3
                if not now(Deferred.fromCoroutine(stream.feed(data))):
                    break
        finally:
            self.store.kill = False
            os.close(descriptor)
        # Frames are sent in order, so what is due goes from the front, or all is sent anew.
        sent = self.store.frames
        if sent[: len(self.lines)] == self.lines[: len(sent)] and not found.passed:
            self.due = self.lines[len(sent) :]
        else:
            assert sent == self.due[: len(sent)], (sent, self.due)
            self.due = self.due[len(sent) :]


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_batch_that_is_sent_again_and_again(seed: int, tmp_path: Path) -> None:
    dice = random.Random(seed)
    batch = Batch(tmp_path / "batch", dice)
    batch.replace()
    for _ in range(STEPS):
        dice.choice([batch.replace, batch.write_over, batch.append, lambda: None])()
        batch.run(killed=dice.random() < 0.5)
        if dice.random() < 0.5:
            batch.run(killed=False)
            assert batch.due == [], "a run to the end has sent all that was in the file"
            batch.run(killed=False)
            assert batch.store.frames == [], "what has not changed is not sent twice"
