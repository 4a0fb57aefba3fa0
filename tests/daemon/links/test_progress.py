"""The bar of a transfer: delivered bytes, on a terminal, and never across a line of the log."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import sys
import termios
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import define
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.logger import Logger

from nbclient.daemon.links import progress
from nbclient.daemon.links.progress import (
    COLUMNS,
    LONGEST_NAME,
    TICK,
    Ledger,
    Progress,
    Screen,
    bytes_left,
    columns,
    find_meter,
    make_progress,
    short,
)
from nbclient.daemon.process.logs import StderrLines
from nbclient.delivery.outbox import Outbox


class Terminal:
    """What a terminal shows of the bytes written to it: LF, CR and "clear to the end"."""

    def __init__(self) -> None:
        self.lines = [""]
        self.column = 0

    def write(self, data: bytes) -> None:
        text = data.decode()
        while text:
            if text.startswith("\x1b[K"):
                self.lines[-1] = self.lines[-1][: self.column]
                text = text[3:]
                continue
            character, text = text[0], text[1:]
            if character == "\n":
                self.lines.append("")
                self.column = 0
            elif character == "\r":
                self.column = 0
            else:
                line = self.lines[-1]
                self.lines[-1] = line[: self.column] + character + line[self.column + 1 :]
                self.column += 1


@define
class Transfer:
    """A bar on a terminal of 60 columns, and what is delivered so far."""

    clock: Clock
    terminal: Terminal
    screen: Screen
    bar: Progress
    frames: int = 0

    @property
    def foot(self) -> str:
        return self.terminal.lines[-1]

    def pass_time(self, seconds: float) -> None:
        self.clock.pump([TICK] * round(seconds / TICK))


def transfer(total: int) -> Transfer:
    clock, terminal = Clock(), Terminal()
    screen = Screen(terminal.write)
    meter = find_meter()
    assert meter is not None
    made: list[Transfer] = []
    bar = Progress(total, lambda: made[0].frames, screen, clock, "feed.txt", meter, lambda: 60)
    made.append(Transfer(clock, terminal, screen, bar))
    bar.start()
    return made[0]


def test_what_is_read_does_not_move_the_bar_only_what_is_delivered_does() -> None:
    t = transfer(1000)
    t.bar.taken(10, 1000)
    t.pass_time(5)
    assert t.foot.startswith("feed.txt:   0%|")
    t.frames = 5
    t.pass_time(TICK)
    assert t.foot.startswith("feed.txt:  50%|")
    t.frames = 10
    t.pass_time(TICK)
    assert t.foot.startswith("feed.txt: 100%|")
    t.bar.close()


def test_the_rate_is_that_of_late_and_stands_at_nothing_when_nothing_moves() -> None:
    t = transfer(100_000)
    t.bar.taken(100, 100_000)
    for t.frames in range(1, 41):  # four frames a second of 1000 bytes
        t.pass_time(TICK)
    assert "00:10<00:15, 4.00kB/s]" in t.foot
    t.pass_time(TICK)
    assert t.foot.endswith("3.60kB/s]")
    t.pass_time(60)
    assert "01:10" in t.foot
    assert t.foot.endswith("<?, ?B/s]")
    t.bar.close()


def test_it_fits_the_terminal_and_leaves_the_last_column_alone() -> None:
    t = transfer(1000)
    t.bar.taken(1, 1000)
    for t.frames in (0, 1):
        t.pass_time(TICK)
        assert len(t.foot) == 59
    t.bar.close()


def test_a_file_that_has_grown_is_no_reason_to_fail() -> None:
    t = transfer(1000)
    t.bar.taken(1, 2000)
    t.frames = 1
    t.pass_time(TICK)
    assert t.foot.startswith("feed.txt: 2.00kB [")
    t.bar.close()


def test_lines_of_the_log_stand_whole_above_the_bar() -> None:
    t = transfer(1000)
    log = Logger(namespace="nbclient", observer=StderrLines(0, write=t.screen.write))
    t.bar.taken(2, 1000)
    log.info("connecting")
    t.frames = 1
    t.pass_time(TICK)
    log.info("the connection was lost")
    log.info("ready")
    t.frames = 2
    t.pass_time(TICK)
    t.bar.close()
    log.info("stopped")
    *lines, bar, last, rest = t.terminal.lines
    assert lines == [
        f"nbclient: {what}" for what in ("connecting", "the connection was lost", "ready")
    ]
    assert bar.startswith("feed.txt: 100%|")
    assert (last, rest) == ("nbclient: stopped", "")


def test_without_a_bar_lines_pass_as_they_are() -> None:
    written: list[bytes] = []
    screen = Screen(written.append)
    screen.write(b"one\n")
    screen.leave()
    assert written == [b"one\n"]


def test_closing_draws_the_end_and_leaves_no_timer_behind() -> None:
    t = transfer(1000)
    t.bar.taken(1, 1000)
    t.frames = 1
    t.bar.close()
    assert t.terminal.lines[0].startswith("feed.txt: 100%|")
    assert t.clock.getDelayedCalls() == []
    shown = list(t.terminal.lines)
    t.bar.close()
    assert t.terminal.lines == shown


def test_nothing_runs_in_a_thread() -> None:
    before = threading.active_count()
    t = transfer(1000)
    t.pass_time(30)
    t.bar.close()
    assert threading.active_count() == before


def test_a_plain_locale_gets_a_plain_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    for encoding, plain in (("UTF-8", False), ("ISO-8859-1", True)):
        monkeypatch.setattr(progress.locale, "getencoding", lambda encoding=encoding: encoding)
        t = transfer(1000)
        t.bar.taken(2, 1000)
        t.frames = 1
        t.bar.close()
        assert t.terminal.lines[0].isascii() == plain


# Which bytes are delivered.


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 99))), st.data())
def test_bytes_grow_with_frames_and_are_exact_at_the_end_of_each_batch(
    batches: list[tuple[int, int]], data: Any
) -> None:
    ledger = Ledger()
    ends = {0: 0}
    frames = size = 0
    for count, length in batches:
        ledger.taken(count, length)
        frames += count
        size += length
        if count:
            ends[frames] = size
    last = 0
    for seen in sorted(data.draw(st.lists(st.integers(0, frames))) + list(ends)):
        done = ledger.delivered(seen)
        assert last <= done <= size
        assert done == ends.get(seen, done)
        last = done


def test_the_bytes_of_a_frame_over_many_reads_count_when_it_is_delivered() -> None:
    ledger = Ledger()
    ledger.taken(0, 100)
    ledger.taken(0, 100)
    assert ledger.delivered(0) == 0
    ledger.taken(1, 50)
    assert ledger.delivered(1) == 250
    assert ledger.delivered(1) == 250


# Where there is a bar at all.


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A descriptor that is a terminal of 100 columns."""
    monkeypatch.setenv("TERM", "xterm")
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 25, 100, 0, 0))
    yield theirs
    os.close(ours)
    os.close(theirs)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    """A file of 1000 bytes, of which 100 are read."""
    path = tmp_path / "input"
    path.write_bytes(bytes(1000))
    descriptor = os.open(path, os.O_RDONLY)
    os.read(descriptor, 100)
    yield descriptor
    os.close(descriptor)


def make(descriptor: int, stderr: int, **options: Any) -> tuple[Progress | None, Outbox, Terminal]:
    outbox, screen = Outbox(10_000), Terminal()
    outbox.accept([b"older"])
    bar = make_progress(
        descriptor, outbox.stats, Screen(screen.write), Clock(), "in", stderr, **options
    )
    return bar, outbox, screen


def test_a_file_and_a_terminal_give_a_bar_of_what_the_outbox_acknowledges(
    file: int, terminal: int
) -> None:
    """What was in the outbox before, from a spool perhaps, comes first and is not the file's."""
    bar, outbox, screen = make(file, terminal)
    assert bar is not None
    bar.start()
    bar.taken(2, 900)
    outbox.accept([b"one", b"two"])
    for count, shown in ((0, "  0%"), (1, "  0%"), (1, " 50%"), (1, "100%")):
        outbox.take(1)
        outbox.acknowledge(count)
        bar._draw()
        assert shown in screen.lines[-1]
    assert len(screen.lines[-1]) == 99
    bar.close()


def test_there_is_no_bar_without_a_terminal_or_without_a_file(
    file: int, terminal: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert make(file, file)[0] is None
    assert make(terminal, terminal)[0] is None
    monkeypatch.setenv("TERM", "dumb")
    assert make(file, terminal)[0] is None
    monkeypatch.delenv("TERM")
    assert make(file, terminal)[0] is None


def test_there_is_no_bar_among_frames_on_the_same_terminal(file: int, terminal: int) -> None:
    assert make(file, terminal, stdout=terminal)[0] is None
    assert make(file, terminal, stdout=file)[0] is not None


def test_there_is_no_bar_without_tqdm(
    file: int, terminal: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tqdm.std", None)
    assert make(file, terminal)[0] is None


def test_a_file_that_was_cut_below_where_we_read_has_nothing_left(file: int) -> None:
    assert bytes_left(file) == 900
    os.lseek(file, 2000, os.SEEK_SET)
    assert bytes_left(file) == 0


def test_a_terminal_that_has_gone_or_does_not_tell_has_the_usual_width(terminal: int) -> None:
    assert columns(terminal) == 100
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 0, 0, 0, 0))
    assert columns(terminal) == COLUMNS
    with open(os.devnull) as nothing:
        assert columns(nothing.fileno()) == COLUMNS


def test_a_name_stays_on_its_line_and_cannot_command_the_terminal() -> None:
    assert short("feed.txt") == "feed.txt"
    assert short("a\tb\nc\x1b[2J") == "a b c\\e[2J"
    long = short("/var/spool/" + "x" * 50 + "/end.log")
    assert (len(long), long[0]) == (LONGEST_NAME, "…")
    assert long.endswith("/end.log")


def test_what_a_run_before_delivered_counts_from_the_start() -> None:
    ledger = Ledger()
    ledger.passed(100)
    assert ledger.delivered(0) == 100
    ledger.taken(2, 10)
    assert ledger.delivered(1) == 105
    assert ledger.delivered(2) == 110
