"""What --spool refuses, tried line by line: one line on stderr, status 2, the files as they were.

The lines are those of "What is refused" in docs/spool.md.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from nbclient.spool.folder import DATABASE, LOCK, folder_name
from nbclient.spool.spool import Spool

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "spool.md"
PEER = "127.0.0.1:9"

# Starts the command line once for all tests, without the time that takes: for each
# line of JSON (arguments; whether the folder counts as one on a network) a process.
NURSERY = """
import json, os, sys
from pathlib import Path
from nbclient.link import spooling
from nbclient.daemon.cli import shell
from nbclient.spool import folder as spool_place

spooling.open_spool.__kwdefaults__["wait"] = 0.2
for line in sys.stdin:
    words, network = json.loads(line)
    reading, writing = os.pipe()
    if not (pid := os.fork()):
        os.dup2(writing, 2)
        os.close(reading)
        os.close(writing)
        if network:
            kind = spool_place.file_system(Path(words[-1]))
            spool_place.NETWORK = frozenset({kind})
        os._exit(shell.main(words))
    os.close(writing)
    with open(reading) as said:
        errors = said.read()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    print(json.dumps([status, errors]), flush=True)
"""

Run = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def nursery() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", NURSERY],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()
        process.wait(20)


@pytest.fixture
def run(nursery: subprocess.Popen[str], tmp_path: Path) -> Run:
    """Run the command line with a spool in `tmp_path`: exit status, and standard error."""

    def run(peer: str = PEER, network: bool = False, time: str = "5") -> tuple[int, str]:
        host, port = peer.split(":")
        here = ("--input", "none", "--max-time", time, "--spool", str(tmp_path / "kept"))
        assert nursery.stdin is not None
        assert nursery.stdout is not None
        nursery.stdin.write(json.dumps([["-q", host, port, *here], network]) + "\n")
        nursery.stdin.flush()
        status, errors = json.loads(nursery.stdout.readline())
        return status, errors

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A spool's folder, with three frames in it."""
    with closing(opened(tmp_path / "kept")) as spool:
        spool.append([b"a", b"b", b"c"], lambda _: None)
    return tmp_path / "kept" / folder_name("link")


def opened(directory: Path) -> Spool:
    return Spool.open(directory, "link", PEER, 2**20, deliver=lambda call: call(), wait=0)


def everything(directory: Path) -> dict[str, Any]:
    """All that can be said of what is in a folder, but for its lock."""
    found: dict[str, Any] = {}
    for path in sorted(directory.rglob("*")):
        status = path.lstat()
        what = (status.st_mode, status.st_uid, status.st_ino, status.st_nlink)
        content = path.read_bytes() if path.is_file() else None
        if path.name != LOCK:
            found[str(path)] = (what, content, path.is_symlink() and path.readlink())
    return found


def changed(pragma: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        with closing(sqlite3.connect(folder / DATABASE)) as db:
            db.execute(pragma)

    return change


def replaced_by_a_link(folder: Path) -> None:
    folder.rename(folder.parent / "elsewhere")
    folder.symlink_to("elsewhere")


def file_replaced_by_a_link(folder: Path) -> None:
    (folder / DATABASE).rename(folder.parent / "elsewhere")
    (folder / DATABASE).symlink_to(folder.parent / "elsewhere")


def damaged(folder: Path) -> None:
    """In its middle, as by a bad sector."""
    with (folder / DATABASE).open("r+b") as file:
        file.seek(4096 + 100)
        file.write(b"\xa5" * 8000)


def of_another_program(folder: Path) -> None:
    (folder / DATABASE).unlink()
    with closing(sqlite3.connect(folder / DATABASE)) as db:
        db.execute("CREATE TABLE bookmarks (url TEXT)")
    (folder / DATABASE).chmod(0o600)


def of_somebody_else(folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    os.chown(folder / DATABASE, 65534, 65534)


def folder_of_somebody_else(folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    os.chown(folder, 65534, 65534)


CASES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a file of another user": (of_somebody_else, "spool.db: belongs to user 65534, not to user"),
    "a folder of another user": (folder_of_somebody_else, ": belongs to user 65534, not to user"),
    "a symbolic link to the folder": (replaced_by_a_link, ": is not a folder"),
    "a symbolic link to the file": (file_replaced_by_a_link, "spool.db: is not a plain file"),
    "a hard link": (
        lambda folder: (folder.parent / "second").hardlink_to(folder / DATABASE),
        "spool.db: has a second name (hard link)",
    ),
    "a mode of the file": (
        lambda folder: (folder / DATABASE).chmod(0o640),
        "spool.db: is open to others (mode 0640); chmod go= it",
    ),
    "a mode of the folder": (
        lambda folder: folder.chmod(0o750),
        ": is open to others (mode 0750); chmod go= it",
    ),
    "a mode of the folder around it": (
        lambda folder: folder.parent.chmod(0o777),
        "kept: others may write to it (mode 0777); chmod go-w it",
    ),
    "a text": (
        lambda folder: (folder / DATABASE).write_text("to do: nothing\n" * 20),
        "spool.db: is not a spool of nbclient (not a database of SQLite 3)",
    ),
    "a database of another program": (
        of_another_program,
        "spool.db: is not a spool of nbclient (another program's database)",
    ),
    "a later format": (
        changed("PRAGMA user_version = 2"),
        "spool.db: has format 2; this nbclient reads format 1",
    ),
    "another table": (
        changed("CREATE TABLE more (x)"),
        "spool.db: is not a spool of nbclient (other tables)",
    ),
    "damaged": (damaged, "spool.db: is damaged: "),
    "a log without its database": (
        lambda folder: (folder / DATABASE).rename(folder / f"{DATABASE}-wal"),
        "spool.db: is missing, though spool.db-wal is there",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_refused_in_one_line_and_left_as_it_was(
    tmp_path: Path, folder: Path, run: Run, case: str
) -> None:
    spoil, words = CASES[case]
    spoil(folder)
    before = everything(tmp_path)
    status, errors = run()
    assert (status, errors.count("\n")) == (2, 1), errors
    assert errors.startswith(f"nbclient: --spool: {tmp_path}/kept")
    assert words in errors
    assert everything(tmp_path) == before


def test_a_network_file_system_is_refused_before_anything_is_made(tmp_path: Path, run: Run) -> None:
    status, errors = run(network=True)
    assert (status, errors.count("\n")) == (2, 1), errors
    assert "kept: is on a network file system (" in errors
    assert list(tmp_path.iterdir()) == []


def test_frames_for_another_peer_are_counted_and_kept(
    tmp_path: Path, folder: Path, run: Run
) -> None:
    before = everything(tmp_path)
    status, errors = run(peer="127.0.0.1:10")
    assert (status, errors.count("\n")) == (2, 1), errors
    assert f"{folder}: holds 3 frames for {PEER}, not for 127.0.0.1:10; --spool-adopt" in errors
    assert everything(tmp_path) == before


def test_a_second_process_is_told_who_has_it(tmp_path: Path, folder: Path, run: Run) -> None:
    with closing(opened(tmp_path / "kept")):
        status, errors = run()
        assert (status, errors.count("\n")) == (2, 1), errors
        assert f"{folder}: in use by process {os.getpid()}" in errors
    status, errors = run(time="1")
    assert status == 4, "once it is free, it is used"
    assert "3 frames wait in the spool" in errors


def test_the_page_names_what_is_tried_here() -> None:
    """A line more in its table wants a test more here."""
    table = PAGE.read_text().split("## What is refused")[1].split("## ")[0]
    lines = [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("| ")]
    assert lines[1:] == [
        "a second process",
        "frames for another peer",
        "a folder or file of another user, a symbolic link, a hard link",
        "a mode that lets others in",
        "a network file system (NFS, SMB, 9p, sshfs …)",
        "a file of another program, of a later format, or damaged",
    ]
