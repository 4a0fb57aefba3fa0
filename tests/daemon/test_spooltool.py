"""``python -m nbclient.spool``: looks without touching, changes only what nobody runs."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nbclient.daemon import spooltool as tool
from nbclient.spool.folder import DATABASE, Lock, folder_name
from nbclient.spool.spool import Spool

ROOT = Path(__file__).parents[2]
HOUR = 3600.0


def ignore(_: Exception | None) -> None:
    """For when the end does not matter."""


def opened(directory: Path, link: str = "feed", age: float = 0.0) -> Spool:
    return Spool.open(
        directory,
        link,
        f"{link}.example:5000",
        10**8,
        deliver=lambda call: call(),
        wait=0,
        now=lambda: time.time() - age,
    )


def filled(directory: Path, *frames: bytes, link: str = "feed", aside: int = 0) -> Path:
    """A spool of two hours ago that holds `frames`, number `aside` of them set aside."""
    spool = opened(directory, link, 2 * HOUR)
    spool.append(frames, ignore)
    if aside:
        spool.attempted(aside, aside)
        spool.set_aside(aside, "lost each time\n\x1b[31m")
    spool.close()
    return spool.folder


class Ran:
    """What a run of the tool gave."""

    def __init__(self, status: int, out: bytes, err: bytes) -> None:
        self.status = status
        self.out = out
        self.err = err.decode()
        self.lines = out.decode().splitlines()


@pytest.fixture
def run(capsysbinary: pytest.CaptureFixture[bytes]) -> Any:
    def run(*words: str | Path) -> Ran:
        status = tool.main([str(word) for word in words])
        out, err = capsysbinary.readouterr()
        assert err.count(b"\n") <= 1 or words[0] == "list", "an error is one line"
        return Ran(status, out, err)

    return run


def script(*words: str | Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "nbclient.spool", *words], cwd=ROOT, capture_output=True, timeout=30
    )


def frames(directory: Path, link: str = "feed") -> list[tuple[int, bytes]]:
    """What waits now."""
    spool = opened(directory, link)
    found: list[tuple[int, bytes]] = []
    spool.load(0, 10**8, lambda _, loaded: found.extend((f.seq, f.frame) for f in loaded))
    spool.close()
    return found


# -- list


def test_list_has_a_line_for_each_link(tmp_path: Path, run: Any) -> None:
    filled(tmp_path, b"a", b"bcd", aside=1)
    filled(tmp_path, link="other")
    ran = run("list", tmp_path)
    assert ran.status == 0
    assert [re.split(r"  +", line) for line in ran.lines] == [
        ["link", "peer", "waiting", "bytes", "oldest", "set aside", "owner"],
        ["feed", "feed.example:5000", "1", "3", "2 h", "1", "-"],
        ["other", "other.example:5000", "0", "0", "-", "0", "-"],
    ]


def test_list_names_the_owner(tmp_path: Path, run: Any) -> None:
    lock = Lock.take(filled(tmp_path), 0)
    assert run("list", tmp_path).lines[1].endswith(f"  {os.getpid()}")
    lock.release()


@pytest.mark.parametrize("value", ["abc", b"\xff", "", float("inf"), -1e300, "nan"], ids=repr)
@pytest.mark.parametrize(
    "where",
    ["frames SET stored", "sqlite_sequence SET seq", "set_aside SET moved", "meta SET value"],
)
def test_a_damaged_value_is_one_line(tmp_path: Path, run: Any, where: str, value: Any) -> None:
    folder = filled(tmp_path, b"a", b"b", aside=1)
    with contextlib.closing(sqlite3.connect(folder / DATABASE)) as db:
        db.execute(f"UPDATE {where} = ?", (value,))
        db.commit()
    commands = [("list",), ("show",), ("export",), ("requeue", "--all"), ("discard", "2")]
    for command, *words in commands:
        ran = run(command, tmp_path, *words)
        assert (ran.status, ran.err.count("\n")) in ((0, 0), (1, 1))
        assert ran.status == 0 or "damaged" in ran.err


@pytest.mark.parametrize("name", ["lock", DATABASE])
def test_a_fifo_in_the_place_of_a_file_is_not_waited_for(
    tmp_path: Path, run: Any, name: str
) -> None:
    folder = filled(tmp_path, b"a")
    (folder / name).unlink()
    os.mkfifo(folder / name, 0o600)
    for command, *words in (("list",), ("show",), ("discard", "1")):
        ran = run(command, tmp_path, *words)
        assert ran.status == (0 if command == "show" and name == "lock" else ran.status)
        assert ran.status == 0 or ran.err.count("\n") == 1


def test_list_shows_the_others_when_one_is_damaged(tmp_path: Path, run: Any) -> None:
    filled(tmp_path, b"a")
    (filled(tmp_path, link="bad") / DATABASE).write_text("no database" * 20)
    ran = run("list", tmp_path)
    assert ran.status == 1
    assert [line.split()[0] for line in ran.lines] == ["link", "feed"]
    assert "is not a spool of nbclient" in ran.err


def test_a_links_name_cannot_act_on_the_terminal(tmp_path: Path, run: Any) -> None:
    filled(tmp_path, link="\x1b]0;evil\x07")
    ran = run("list", tmp_path)
    assert b"\x1b" not in ran.out
    assert r"\e]0;evil\a" in ran.lines[1]


def test_a_folder_that_holds_no_spool_says_so(tmp_path: Path, run: Any) -> None:
    ran = run("list", tmp_path)
    assert (ran.status, ran.err) == (1, f"spool: {tmp_path}: holds no spool\n")


def test_a_folder_that_is_not_there_says_so(tmp_path: Path, run: Any) -> None:
    ran = run("list", tmp_path / "x")
    assert (ran.status, ran.err) == (1, f"spool: {tmp_path / 'x'}: No such file or directory\n")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0 s"), (59.9, "59 s"), (60, "1 min"), (7199, "1 h"), (86400 * 3, "3 d")],
)
def test_ages_are_told_in_whole_units(seconds: float, text: str) -> None:
    assert tool.age(seconds) == text


# -- show


def test_show_has_a_line_for_each_frame_in_order(tmp_path: Path, run: Any) -> None:
    filled(tmp_path, b"one", b"p\0ison", b"t\x1bh\nree\t\xff", aside=2)
    ran = run("show", tmp_path)
    assert ran.status == 0
    assert [line.split(None, 5) for line in ran.lines[1:3]] == [
        ["1", "2", "h", "3", "0", "one"],
        ["2", "2", "h", "6", "1", r"p\0ison"],
    ]
    assert ran.lines[3].strip() == r"set aside 2 h ago: lost each time\n\e[31m"
    assert ran.lines[4].endswith(r"  t\eh\nree\t\xff")


def test_show_may_leave_out_one_kind(tmp_path: Path, run: Any) -> None:
    filled(tmp_path, b"one", b"two", aside=2)
    assert [line.split()[0] for line in run("show", "--waiting", tmp_path).lines[1:]] == ["1"]
    assert [line.split()[0] for line in run("show", "--set-aside", tmp_path).lines[1:2]] == ["2"]


def test_a_list_shows_the_head_of_a_frame_and_its_number_the_whole(
    tmp_path: Path, run: Any
) -> None:
    filled(tmp_path, b"x" * 1000)
    assert run("show", tmp_path).lines[1].endswith("  " + "x" * 200 + "…")
    assert run("show", tmp_path, "1").lines[1].endswith("  " + "x" * 1000)


def test_show_as_a_hexadecimal_dump(tmp_path: Path, run: Any) -> None:
    filled(tmp_path, b"ab", bytes(17))
    ran = run("show", "--hex", tmp_path, "feed", "1")
    assert ran.lines[1].split() == ["1", "2", "h", "2", "0"]
    assert ran.lines[2].split() == ["00000000", "61", "62", "|ab|"]
    assert len(run("show", "--hex", tmp_path).lines) == 1 + 2 + 3


def test_show_reads_in_pieces(tmp_path: Path, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool, "PIECE", 1)
    filled(tmp_path, b"a", b"b", b"c", b"d", aside=3)
    assert run("show", tmp_path).status == 0
    shown = [line.split()[0] for line in run("show", tmp_path, "2-3", "4").lines[1:]]
    assert shown == ["2", "3", "set", "4"]


def test_a_frame_that_is_not_there_is_an_error_after_those_that_are(
    tmp_path: Path, run: Any
) -> None:
    filled(tmp_path, b"a")
    ran = run("show", tmp_path, "1", "7", "9-12")
    assert (ran.status, len(ran.lines)) == (1, 2)
    assert ran.err.endswith(": has no such frame: 7, 9-12\n")


def test_text_that_the_terminal_does_not_take_is_escaped() -> None:
    stream = io.BytesIO()
    tool.Output(stream, "ascii").say("größer")
    assert stream.getvalue() == b"gr\\xf6\\xdfer\n"


# -- which link, which frames


def test_the_link_may_be_named_as_it_is_or_as_its_folder(tmp_path: Path, run: Any) -> None:
    filled(tmp_path, b"a")
    folder = filled(tmp_path, b"b", link="17")
    for words in ((tmp_path, "17"), (tmp_path, folder.name, "1"), (folder,), (folder, "1")):
        assert run("export", *words).out == b"b\n"


def test_a_link_that_is_not_there_is_named(tmp_path: Path, run: Any) -> None:
    filled(tmp_path, b"a")
    ran = run("show", tmp_path, "nofeed")
    assert (ran.status, ran.err) == (1, f"spool: {tmp_path}: has no link 'nofeed'\n")


def test_of_several_links_one_has_to_be_named(tmp_path: Path, run: Any) -> None:
    filled(tmp_path, b"a")
    filled(tmp_path, b"b", link="other")
    ran = run("show", tmp_path, "1")
    assert ran.status == 1
    names = f"{folder_name('feed')}, {folder_name('other')}"
    assert ran.err == f"spool: {tmp_path}: holds several links, name one: {names}\n"


def test_ranges_may_overlap_and_stand_in_any_order(tmp_path: Path, run: Any) -> None:
    filled(tmp_path, *(b"%d" % n for n in range(1, 10)))
    assert run("export", tmp_path, "7", "2-4", "3-5", "7").out == b"2\n3\n4\n5\n7\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["show", "DIR", "feed", "x"], "'x' is not a frame's number"),
        (["show", "DIR", "feed", "-1"], "'-1' is not a frame's number"),
        (["show", "DIR", "5-3"], "5-3: ends before it begins"),
        (["show", "DIR", "1" * 30], "is not a frame's number"),
        (["show"], "the following arguments are required: DIR"),
        ([], "the following arguments are required: COMMAND"),
        (["burn", "DIR"], "invalid choice: 'burn'"),
        (["show", "--he", "DIR"], "unrecognized arguments: --he"),
        (["show", "--waiting", "--set-aside", "DIR"], "not allowed with"),
        (["export", "--framing", "x", "DIR"], "--framing: "),
        (["export", "--max-frame", "x", "DIR"], "--max-frame: 'x' is not a number of bytes"),
        (["discard", "DIR"], "say which frames: their numbers, or --all"),
        (["discard", "--all", "DIR", "1"], "say which frames: their numbers, or --all"),
        (["requeue", "DIR"], "say which frames: their numbers, or --all"),
    ],
)
def test_a_mistake_in_usage_is_one_line_and_status_2(
    tmp_path: Path, run: Any, words: list[str], message: str
) -> None:
    filled(tmp_path, b"a")
    ran = run(*(str(tmp_path) if word == "DIR" else word for word in words))
    assert (ran.status, ran.out) == (2, b"")
    assert message in ran.err
    assert frames(tmp_path) == [(1, b"a")]


# -- export


def test_export_writes_frames_in_a_framing(tmp_path: Path, run: Any) -> None:
    filled(tmp_path, b"one", b"t\nwo", b"three", aside=1)
    assert run("export", "--framing", "netstring", tmp_path).out == b"3:one,4:t\nwo,5:three,"
    assert run("export", "--framing=length:2", "--waiting", tmp_path, "1-9").out == (
        b"\0\4t\nwo\0\5three"
    )
    assert run("export", "--set-aside", tmp_path).out == b"one\n"


def test_a_frame_that_the_framing_cannot_carry_stops_the_export(tmp_path: Path, run: Any) -> None:
    filled(tmp_path, b"one", b"t\nwo", b"three")
    ran = run("export", tmp_path)
    assert (ran.status, ran.out) == (1, b"one\n")
    assert "frame 2 does not go into this framing: " in ran.err


def test_a_longer_frame_needs_a_larger_limit(tmp_path: Path, run: Any) -> None:
    filled(tmp_path, bytes(2**20 + 1))
    assert run("export", "--framing", "netstring", tmp_path).status == 1
    ran = run("export", "--framing", "netstring", "--max-frame", "2MiB", tmp_path)
    assert (ran.status, len(ran.out)) == (0, 2**20 + 10)


def test_export_does_not_write_raw_bytes_to_a_terminal(tmp_path: Path) -> None:
    filled(tmp_path, b"\x1b[31m")
    terminal, its_other_end = os.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "nbclient.spool", "export", tmp_path],
        cwd=ROOT,
        stdout=its_other_end,
        stderr=subprocess.PIPE,
        timeout=30,
    )
    os.close(its_other_end)
    os.close(terminal)
    assert done.returncode == 1
    assert b"standard output is a terminal; redirect it, or use show" in done.stderr


def test_a_reader_that_leaves_ends_it_quietly(tmp_path: Path) -> None:
    filled(tmp_path, *[b"x" * 1000] * 500)
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "nbclient.spool", "export", tmp_path],
        cwd=ROOT,
        stdout=writing,
        stderr=subprocess.PIPE,
        timeout=30,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")


@contextlib.contextmanager
def broken(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> Iterator[None]:
    def fail(*_: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(tool, "run", fail)
        yield


def test_an_output_that_fails_says_why(
    tmp_path: Path, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with broken(monkeypatch, OSError(errno.ENOSPC, "No space left on device")):
        ran = run("export", tmp_path)
    assert (ran.status, ran.err) == (1, "spool: standard output: No space left on device\n")


def test_an_interrupt_is_no_traceback(
    tmp_path: Path, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with broken(monkeypatch, KeyboardInterrupt()):
        ran = run("export", tmp_path)
    assert (ran.status, ran.err) == (1, "")


# -- while the owner runs


def test_one_may_look_while_the_owner_runs_but_change_nothing(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.append([b"one", b"two"], ignore)
    spool.set_aside(1, "why")
    spool.step()
    assert script("export", tmp_path).stdout == b"one\ntwo\n"
    assert str(os.getpid()).encode() in script("list", tmp_path).stdout
    for command in ("requeue", "discard"):
        done = script(command, tmp_path, "--all")
        assert done.returncode == 1
        refused = f"spool: {spool.folder}: in use by process {os.getpid()}\n"
        assert done.stderr.decode() == refused
    spool.append([b"three"], ignore)
    spool.close()
    assert frames(tmp_path) == [(2, b"two"), (3, b"three")]


def test_looking_leaves_the_spool_as_it_is(tmp_path: Path, run: Any) -> None:
    folder = filled(tmp_path, b"a")
    before = (folder / DATABASE).read_bytes()
    for words in (("list", tmp_path), ("show", tmp_path), ("export", tmp_path)):
        assert run(*words).status == 0
    assert (folder / DATABASE).read_bytes() == before


# -- requeue and discard


def test_requeue_puts_frames_at_the_end(tmp_path: Path, run: Any) -> None:
    filled(tmp_path, b"one", b"two", b"three", aside=1)
    ran = run("requeue", tmp_path, "feed", "1")
    assert (ran.status, ran.out) == (0, b"requeued: 1\n")
    assert frames(tmp_path) == [(2, b"two"), (3, b"three"), (4, b"one")]
    assert run("requeue", tmp_path, "--all").out == b"requeued: 0\n"


def test_requeue_of_a_frame_that_was_not_set_aside_changes_nothing(
    tmp_path: Path, run: Any
) -> None:
    filled(tmp_path, b"one", b"two", aside=1)
    ran = run("requeue", tmp_path, "1", "2")
    assert (ran.status, ran.out) == (1, b"")
    assert ran.err.endswith(": has no such frame: 2\n")
    assert frames(tmp_path) == [(2, b"two")]


def test_discard_deletes_by_number(tmp_path: Path, run: Any) -> None:
    filled(tmp_path, b"one", b"two", b"three", aside=1)
    assert run("discard", tmp_path, "1-2").out == b"discarded: 2\n"
    assert frames(tmp_path) == [(3, b"three")]
    assert run("show", "--set-aside", tmp_path).lines[1:] == []


def test_discard_may_be_kept_to_one_kind(tmp_path: Path, run: Any) -> None:
    filled(tmp_path, b"one", b"two", aside=1)
    assert run("discard", "--set-aside", "--all", tmp_path).out == b"discarded: 1\n"
    assert frames(tmp_path) == [(2, b"two")]
    assert run("discard", "--waiting", "--all", tmp_path).out == b"discarded: 1\n"
    assert frames(tmp_path) == []


def test_discarding_much_gives_the_room_back(tmp_path: Path, run: Any) -> None:
    folder = filled(tmp_path, *[bytes(4000)] * 3000)
    assert (folder / DATABASE).stat().st_size > 12_000_000
    assert run("discard", "--all", tmp_path).out == b"discarded: 3000\n"
    assert (folder / DATABASE).stat().st_size < 2_000_000


def test_a_spool_that_is_damaged_is_not_changed(tmp_path: Path, run: Any) -> None:
    folder = filled(tmp_path, bytes(100_000))
    image = bytearray((folder / DATABASE).read_bytes())
    image[-10 * 4096 : -10 * 4096 + 4] = b"\xff\xff\xff\xff"
    (folder / DATABASE).write_bytes(image)
    ran = run("discard", "--all", tmp_path)
    assert ran.status == 1
    assert "is damaged" in ran.err
    assert (folder / DATABASE).read_bytes() == image
    Lock.take(folder, 0).release()


def test_a_change_that_the_disk_does_not_take_is_none(
    tmp_path: Path, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    filled(tmp_path, b"one")
    with monkeypatch.context() as patch:
        patch.setattr(tool.ChangingStore, "commit", full)
        ran = run("discard", "--all", tmp_path)
    assert ran.status == 1
    assert ran.err.endswith(": not changed: database or disk is full\n")
    assert frames(tmp_path) == [(1, b"one")]


def test_it_runs_as_a_module(tmp_path: Path) -> None:
    filled(tmp_path, b"one")
    done = script("export", tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"one\n", b"")
    helped = script("--help")
    assert helped.returncode == 0
    for command in ("list", "show", "export", "requeue", "discard"):
        assert command.encode() in helped.stdout


# -- the page


def test_the_page_knows_every_command_and_option() -> None:
    page = (ROOT / "docs" / "spool.md").read_text()
    for word in ("list", "show", "export", "requeue", "discard"):
        assert f"`{word} DIR" in page
    for option in ("--hex", "--framing", "--max-frame", "--waiting", "--set-aside", "--all"):
        assert option in page
