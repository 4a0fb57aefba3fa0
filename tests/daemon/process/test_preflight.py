"""What is bound to fail is found before a daemon goes where nobody sees it, and nothing is made."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from nbclient.daemon.config import iospec
from nbclient.daemon.config.iospec import Place
from nbclient.daemon.process import preflight
from nbclient.daemon.process.preflight import look_at
from nbclient.errors import LocalError

NONE = Place("none")


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder with a file, a fifo and a socket in it."""
    (tmp_path / "file").write_bytes(b"kept")
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
    return tmp_path


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("none", "none"),
        ("-", "-"),
        ("none", "log"),
        ("file:@/file", "file:@/file"),
        ("file:/dev/null", "file:/dev/null"),
        ("tail:@/file", "file:@/new"),
        ("tail:@/new", "file:@/new/%Y/x"),
        ("fifo:@/fifo", "fifo:@/fifo"),
        ("fifo:@/new", "fifo:@/new"),
        ("listen:@/new", "listen:127.0.0.1:0"),
        ("none", "listen:@/socket"),
        ("exec:sh -c true", "udp:127.0.0.1:9"),
    ],
)
def test_what_can_be_opened_is_let_pass_and_nothing_is_made(
    here: Path, source: str, target: str
) -> None:
    before = sorted(here.iterdir())
    look_at(
        iospec.source(source.replace("@", str(here))),
        [NONE, iospec.target(target.replace("@", str(here)))],
    )
    assert sorted(here.iterdir()) == before
    assert (here / "file").read_bytes() == b"kept"


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("file:@/no", "@/no: no such file or directory"),
        ("file:@", "@: is a directory"),
        ("file:@/fifo", "@/fifo: not a regular file"),
        ("tail:@", "@: is a directory"),
        ("fifo:@/file", "@/file: not a fifo"),
        ("fifo:@/no/fifo", "@/no/fifo: no such file or directory"),
        ("listen:@/no/socket", "@/no/socket: no such file or directory"),
        ("exec:no-such-program -x", "exec: no-such-program: command not found"),
        ("exec:./no -x", "exec: ./no: no such file or directory"),
        ("exec:./file -x", "exec: ./file: permission denied"),
        ("exec:./", "exec: ./: is a directory"),
    ],
)
def test_an_input_that_cannot_be_opened_is_named(
    here: Path, monkeypatch: pytest.MonkeyPatch, source: str, says: str
) -> None:
    monkeypatch.chdir(here)
    with pytest.raises(LocalError) as caught:
        look_at(iospec.source(source.replace("@", str(here))), [])
    assert str(caught.value) == f"--input: {says.replace('@', str(here))}"


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("file:@/no/out", "@/no/out: no such file or directory"),
        ("file:@/file/out", "@/file/out: not a directory"),
        ("file:@", "@: is a directory"),
        ("file:@/fifo", "@/fifo: not a regular file"),
        ("fifo:@/file", "@/file: not a fifo"),
        ("fifo:@/file/fifo", "@/file/fifo: not a directory"),
        ("listen:@/file/socket", "@/file/socket: not a directory"),
        (
            "listen:@/fifo",
            "cannot listen at @/fifo: something is there that is no socket, it is left alone",
        ),
    ],
)
def test_an_output_that_cannot_be_opened_is_named(here: Path, target: str, says: str) -> None:
    with pytest.raises(LocalError) as caught:
        look_at(NONE, [NONE, iospec.target(target.replace("@", str(here)))])
    assert str(caught.value) == f"--output: {says.replace('@', str(here))}"


def test_a_spool_needs_a_folder_or_room_for_one(here: Path) -> None:
    for path in (here, here / "new", f"{here}/new/"):
        look_at(NONE, [], str(path))
    assert not (here / "new").exists()
    for path, says in [
        (here / "file", f"{here}/file: not a directory"),
        (here / "no" / "new", f"{here}/no/new: no such file or directory"),
    ]:
        with pytest.raises(LocalError, match=f"^--spool: {says}$"):
            look_at(NONE, [], str(path))


def test_a_folder_for_bad_frames_is_there_or_can_be_made(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(here)
    for path in (str(here), f"{here}/new/deep/", "new", "./new"):
        look_at(NONE, [], bad_frames=path)
    assert not (here / "new").exists()
    for path in (f"{here}/file", f"{here}/file/bad"):
        with pytest.raises(LocalError, match=f"^--bad-frames: {path}: not a directory$"):
            look_at(NONE, [], bad_frames=path)


def test_a_folder_that_may_not_be_written_to_is_named(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight.os, "access", lambda path, mode: path != str(here))
    with pytest.raises(LocalError, match=f"^--output: {here}/new: permission denied$"):
        look_at(NONE, [Place("file", f"{here}/new")])
