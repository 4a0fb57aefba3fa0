"""twistd's own log, rotated by Twisted and by others."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.application.service import Application
from twisted.logger import ILogObserver

from nbclient.daemon.process.ownlog import OwnLog, log_to, path_of


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "twistd.log"


@pytest.fixture
def log(path: Path) -> Iterator[OwnLog]:
    log: OwnLog = OwnLog.fromFullPath(str(path))
    log.write("one\n")
    yield log
    log.close()


def moved(path: Path) -> Path:
    """What logrotate does first."""
    return path.rename(f"{path}.1")


@pytest.mark.parametrize("how", ["follow", "rotate"])
@pytest.mark.parametrize("create", [False, True])
def test_a_file_that_was_renamed_is_let_go_of(
    log: OwnLog, path: Path, how: str, create: bool
) -> None:
    old = moved(path)
    if create:
        path.touch(0o640)
    getattr(log, how)()
    log.write("two\n")
    assert (old.read_text(), path.read_text()) == ("one\n", "two\n")
    assert sorted(each.name for each in path.parent.iterdir()) == ["twistd.log", "twistd.log.1"]


def test_from_then_on_it_does_not_rotate_itself_by_its_size(log: OwnLog, path: Path) -> None:
    log.rotateLength = 10
    log.write("as long as it may be\n")
    moved(path)
    log.write("x\n")
    for _ in range(5):
        log.write("as long as it may be\n")
    assert path.read_text() == "x\n" + "as long as it may be\n" * 5


def test_one_that_has_its_name_is_rotated_as_twistd_does(log: OwnLog, path: Path) -> None:
    log.follow()
    log.rotate()
    log.write("two\n")
    assert Path(f"{path}.1").read_text() == "one\n"
    assert path.read_text() == "two\n"


def test_where_no_new_one_can_be_opened_the_old_one_is_kept(log: OwnLog, path: Path) -> None:
    old = moved(path)
    path.mkdir()
    with pytest.raises(IsADirectoryError):
        log.follow()
    log.write("two\n")
    assert old.read_text() == "one\ntwo\n"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, None),
        ({"nodaemon": 1, "logfile": None}, None),
        ({"nodaemon": 1, "logfile": "x"}, "x"),
        ({"nodaemon": 0, "logfile": None}, "twistd.log"),
        ({"nodaemon": 0, "logfile": "-"}, None),
        ({"nodaemon": 0, "logfile": "x", "syslog": 1}, None),
        ({"nodaemon": 0, "logfile": "x", "logger": print}, None),
    ],
)
def test_which_file_it_is_follows_from_twistds_options(
    options: dict[str, Any], expected: str | None
) -> None:
    assert path_of(options) == expected


def test_usr1_rotates_it_also_before_the_job_has_begun(path: Path) -> None:
    asked: list[Any] = []

    class Reactor:
        callFromThread = asked.append

    before = signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    try:
        application = Application("nbclient")
        log = log_to(str(path), application, Reactor)
        assert application.getComponent(ILogObserver) is not None
        os.kill(os.getpid(), signal.SIGUSR1)
        assert asked == [log.rotate]
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        log_to(str(path), application, Reactor).close()
        assert signal.getsignal(signal.SIGUSR1) is signal.SIG_IGN
        log.close()
    finally:
        signal.signal(signal.SIGUSR1, before)
