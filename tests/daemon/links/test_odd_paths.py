"""What is at a path is not ours to choose: whatever it is, a user has one line and no traceback."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import evolve

from nbclient.daemon.cli.options import SHELL, TWISTD
from nbclient.daemon.cli.parser import refuse
from nbclient.daemon.links.plan import make_plan
from nbclient.daemon.links.runner import Job
from nbclient.daemon.process.preflight import look_at
from nbclient.errors import LocalError
from nbclient.spool.spool import Spool
from nbclient.testing import FakeEndpoint, FakeReactor
from tests.conformance.daemon import HandRunner, KeptLog, around, daemon, shell

TO = ("127.0.0.1", "9")
TO_DAEMON = ("--host", "127.0.0.1", "--port", "9")


def _closed(path: Path) -> Path:
    path.mkdir(0)
    return path / "x"


def _file(path: Path, data: bytes = b"x\n") -> Path:
    path.write_bytes(data)
    return path


def _link(path: Path, to: str) -> Path:
    path.symlink_to(to)
    return path


def _fifo(path: Path) -> Path:
    os.mkfifo(path, 0o600)
    return path


def _socket(path: Path) -> Path:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    return path


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


ODD: dict[str, Callable[[Path], Path | str]] = {
    "folder": _folder,
    "root": lambda path: "/",
    "below a file": lambda path: _file(path) / "x",
    "empty": lambda path: _file(path, b""),
    "garbage": lambda path: _file(path, bytes(range(256)) * 5),
    "dangling": lambda path: _link(path, "no/such/file"),
    "loop": lambda path: _link(path, path.name),
    "name too long": lambda path: path / ("n" * 300),
    "path too long": lambda path: "/" + "a/" * 3000 + "x",
    "deep": lambda path: f"{path}/" + "a/" * 1500 + "x",
    "missing": lambda path: path / "no" / "such",
    "in a closed folder": _closed,
    "null": lambda path: "/dev/null",
    "full": lambda path: "/dev/full",
    "fifo": _fifo,
    "socket": _socket,
    "no text": lambda path: f"{path}\udcff",
    "two lines": lambda path: f"{path}\nx/y",
    "NUL": lambda path: f"{path}\0",
}

OPTIONS: dict[str, Callable[[str], tuple[str, ...]]] = {
    "tls-ca": lambda path: ("--tls", "--tls-ca", path),
    "tls-cert": lambda path: ("--tls", "--tls-cert", path),
    "tls-key": lambda path: ("--tls", "--tls-cert", path, "--tls-key", path),
    "proxy-auth": lambda path: ("--proxy", "http://127.0.0.1:9", "--proxy-auth", path),
    "proxy-tls-ca": lambda path: ("--proxy", "https://127.0.0.1:9", "--proxy-tls-ca", path),
    "bad-frames": lambda path: ("--bad-frames", path),
    "file in": lambda path: ("--input", f"file:{path}"),
    "tail": lambda path: ("--input", f"tail:{path},from=start"),
    "fifo in": lambda path: ("--input", f"fifo:{path}"),
    "exec": lambda path: ("--input", f"exec:'{path}'"),
    "file out": lambda path: ("--output", f"file:{path}"),
    "rotated": lambda path: ("--output", f"file:{path},rotate=1M"),
    "named by time": lambda path: ("--output", f"file:{path}%Y/x"),
    "fifo out": lambda path: ("--output", f"fifo:{path}"),
    "opening-file": lambda path: ("--opening-file", path),
    "opening": lambda path: ("--opening", f"${{file:{path}}}"),
}

every_odd_path = pytest.mark.parametrize("odd", ODD)
every_option = pytest.mark.parametrize("option", OPTIONS)


class Reactor(FakeReactor):
    """Runs no program."""

    def callWhenRunning(self, call: Callable[[], object]) -> None:
        """Never."""


def outcome_of(use: Callable[[], object]) -> str:
    """What a use of a path is refused with, "" where it is not; anything else is raised."""
    try:
        use()
    except LocalError as error:
        # Not the text itself: a failed test would have to print what is no text.
        return ascii(str(error))[1:-1]
    except SystemExit as left:
        return f"status {left.code}"
    return ""


@every_odd_path
@every_option
def test_an_option_takes_it_or_refuses_it_in_one_line(
    option: str, odd: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = OPTIONS[option](str(ODD[odd](tmp_path / "it")))
    reactor, log = Reactor(), KeptLog()
    runners: dict[str, HandRunner] = {}

    def runner(name: str) -> HandRunner:
        return runners.setdefault(name, HandRunner())

    def begin() -> None:
        try:
            settings = shell(*TO, *words)
            process = around(runner, stdin=0, stdout=1)
            plan = make_plan(reactor, settings, SHELL, process)
            job = Job(reactor, settings, evolve(plan, endpoint=FakeEndpoint(reactor)), log, process)
            job.start()
            reactor.advance(0)
            job._outputs.close()
            for name, each in runners.items():
                if name.startswith("output"):  # an input may wait for what never comes
                    each.steps()
            job.abandon()
        except LocalError as error:
            refuse(str(error))

    status = outcome_of(begin)
    out, err = capsys.readouterr()
    assert out == ""
    assert status in ("", "status 2")
    assert err.count("\n") == (1 if status else 0), ascii(err)
    assert not status or err.startswith(("nbclient: --", f"nbclient: --{option}: "))
    assert not [line for line in log.lines if "Traceback" in line]


@every_odd_path
@every_option
def test_so_does_the_daemon_before_it_goes_into_the_background(
    option: str, odd: str, tmp_path: Path
) -> None:
    words = OPTIONS[option](str(ODD[odd](tmp_path / "it")))

    def look() -> None:
        settings = daemon(*TO_DAEMON, *words)
        plan = make_plan(FakeReactor(), settings, TWISTD, around())
        look_at(plan.source, [place for place, _ in plan.targets], None, settings.bad_frames)

    refused = outcome_of(look)
    assert not refused or refused.startswith(("--", "status 2"))


@every_odd_path
def test_a_spool_takes_it_or_refuses_it(odd: str, tmp_path: Path) -> None:
    directory = Path(ODD[odd](tmp_path / "it"))
    if odd in ("root", "NUL"):  # not to be tried; refused as it is read
        return

    def make() -> None:
        Spool.open(directory, "l", "h:1", 10**6, deliver=lambda call: call(), wait=0).close()

    refused = outcome_of(make)
    assert not refused or refused.startswith(ascii(str(directory))[1:-1])
