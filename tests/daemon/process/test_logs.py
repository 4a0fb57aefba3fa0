"""What the log shows, and what it never does."""

from __future__ import annotations

import errno
import os
import select
from select import PIPE_BUF

import pytest
from twisted.logger import LogEvent, Logger, LogLevel
from twisted.python.failure import Failure

from nbclient.daemon.outputs.formats import clock_time
from nbclient.daemon.process.logs import MOST, PATIENCE, Stderr, StderrLines, make_logger, one_line


def failure() -> Failure:
    try:
        raise RuntimeError("broken\nin two lines")
    except RuntimeError:
        return Failure()


def through(verbosity: int) -> tuple[Logger, list[LogEvent]]:
    events: list[LogEvent] = []
    return make_logger(verbosity, events.append), events


def levels(verbosity: int) -> list[str]:
    log, events = through(verbosity)
    log.debug("d")
    log.info("i")
    log.warn("w")
    log.error("e")
    return [event["log_level"].name for event in events]


def test_more_or_less_is_said_as_asked() -> None:
    assert levels(-1) == ["warn", "error"]
    assert levels(0) == ["info", "warn", "error"]
    assert levels(1) == ["debug", "info", "warn", "error"]


def test_a_traceback_is_for_those_who_ask() -> None:
    log, events = through(0)
    log.failure("the callback of {link} failed", failure(), link="feed")
    (event,) = events
    assert "log_failure" not in event
    lines: list[bytes] = []
    StderrLines(0, write=lines.append)(event)
    assert lines == [
        b"nbclient: the callback of feed failed: RuntimeError: broken in two lines"
        b" (-vv shows where)\n"
    ]
    log, events = through(2)
    log.failure("failed", failure())
    assert "log_failure" in events[0]


def shown(verbosity: int, event: LogEvent, **more: object) -> bytes:
    lines: list[bytes] = []
    StderrLines(verbosity, write=lines.append, **more)(event)  # type: ignore[arg-type]
    return b"".join(lines)


def event(
    level: LogLevel | None = LogLevel.info, space: str = "nbclient", **more: object
) -> LogEvent:
    made: LogEvent = {"log_format": "{text}", "text": "hello", "log_namespace": space, **more}
    if level is not None:
        made["log_level"] = level
    return made


def test_a_line_says_whose_it_is_and_perhaps_when() -> None:
    assert shown(0, event()) == b"nbclient: hello\n"
    assert shown(0, event(), now=lambda: 1e9) == f"{clock_time(1e9)} nbclient: hello\n".encode()


def test_twisted_small_talk_is_left_out() -> None:
    assert shown(0, event(space="twisted.internet")) == b""
    assert shown(0, event(None, space="-")) == b""
    assert shown(1, event(space="twisted.internet")) == b""
    assert shown(0, event(LogLevel.error, "twisted.internet")) == b"nbclient: hello\n"
    assert shown(2, event(space="twisted.internet")) == b"nbclient: hello\n"
    assert shown(-1, event()) == b""
    assert shown(0, event(LogLevel.debug)) == b""


def test_twisteds_own_failures_are_one_line_unless_asked_for() -> None:
    broken = event(LogLevel.critical, "twisted", log_failure=failure())
    assert shown(0, broken).count(b"\n") == 1
    assert b"Traceback" not in shown(0, broken)
    assert b"Traceback" in shown(2, broken)


def test_a_line_is_one_line_without_control_characters() -> None:
    assert one_line("a\r\nb\x1b[2J\u202e") == "a b\\e[2J\\u202e"
    assert len(one_line("x" * 2 * MOST)) == MOST


class Pipe:
    """Standard error as `os` and `select` show it.

    :ivar room: whether there is any, look by look; afterwards there is.
    :ivar answers: of each write: how much of it is taken, or a fault; afterwards all.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.room: list[bool] = []
        self.waits: list[int] = []
        self.answers: list[int | OSError] = []
        self.written = b""
        monkeypatch.setattr(os, "write", self.write)
        monkeypatch.setattr("select.poll", lambda: self)

    def register(self, descriptor: int, events: int) -> None:
        assert (descriptor, events) == (2, select.POLLOUT)

    def poll(self, milliseconds: int) -> list[int]:
        self.waits.append(milliseconds)
        return [2] if not self.room or self.room.pop(0) else []

    def write(self, descriptor: int, data: bytes) -> int:
        assert descriptor == 2
        assert len(data) <= PIPE_BUF  # so much never waits where there is room
        answer = self.answers.pop(0) if self.answers else len(data)
        if isinstance(answer, OSError):
            raise answer
        self.written += data[:answer]
        return answer


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Pipe:
    return Pipe(monkeypatch)


def test_stderr_is_written_whole_and_its_loss_ends_nothing(pipe: Pipe) -> None:
    stderr = Stderr()
    pipe.answers = [3]
    stderr.write(b"hello")
    stderr.write(b"x" * 10_000)
    assert pipe.written == b"hello" + b"x" * 10_000
    pipe.answers = [OSError(errno.EPIPE, "Broken pipe")]
    stderr.write(b"lost")
    stderr.write(b"!")
    assert pipe.written.endswith(b"x!")


def test_a_pipe_that_nobody_reads_is_waited_for_once_and_the_lines_lost_are_counted(
    pipe: Pipe,
) -> None:
    stderr = Stderr()
    pipe.room = [False] * 5
    for _ in range(3):
        stderr.write(b"a\n")
    assert (pipe.written, pipe.waits[0], set(pipe.waits[1:])) == (b"", PATIENCE, {0})
    pipe.room = []
    stderr.write(b"b\n")
    assert pipe.written == b"\nnbclient: 3 lines of the log were lost\nb\n"
    stderr.write(b"c\n")
    assert pipe.waits[-1] == PATIENCE


def test_where_others_write_too_a_line_may_be_lost(pipe: Pipe) -> None:
    stderr = Stderr()
    pipe.answers = [BlockingIOError()]
    stderr.write(b"a\n")
    stderr.write(b"b\n")
    assert pipe.written == b"\nnbclient: 1 lines of the log were lost\nb\n"


def test_lines_go_to_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    StderrLines(0)(event())
    assert capfd.readouterr().err == "nbclient: hello\n"
