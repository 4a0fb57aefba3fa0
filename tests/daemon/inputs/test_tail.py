"""Following a file by its name."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from nbclient.daemon.inputs.cursors import TailPlace
from nbclient.daemon.inputs.tail import INTERVAL, LINGER, PATIENCE, Tail, TailCursor
from tests.conformance.daemon import KeptLog


class Followed:
    """A tail whose waits do something, one after another; then they stop it."""

    def __init__(
        self,
        path: Path,
        from_start: bool = False,
        terminator: bytes = b"\n",
        now: int = 10**9,
    ) -> None:
        self.log = KeptLog()
        self.waits: list[Callable[[], object]] = []
        self.tail = Tail(str(path), from_start, terminator, self.log, self.wait, lambda: now)
        self.tail.begin()

    def wait(self, seconds: float) -> None:
        assert seconds == INTERVAL
        if self.waits:
            self.waits.pop(0)()
        else:
            self.tail.stop()

    def read(self, *waits: Callable[[], object]) -> list[bytes]:
        """What is read while these things happen; ends with the b"" of the stop."""
        self.waits = list(waits)
        chunks = []
        while not self.tail._stopped:
            chunks.append(self.tail.read())
        assert chunks.pop() == b""
        return chunks


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log"


def test_what_is_appended_is_read_and_what_was_there_is_not(path: Path) -> None:
    path.write_bytes(b"old\n")
    followed = Followed(path)
    got = followed.read(
        lambda: append(path, b"new\n"), lambda: None, lambda: append(path, b"newer\n")
    )
    assert got == [b"new\n", b"newer\n"]
    assert followed.log.lines == []


def test_a_line_that_is_being_written_at_the_start_is_read_whole(path: Path) -> None:
    path.write_bytes(b"old\nbeg")
    assert Followed(path).read(lambda: append(path, b"un\n")) == [b"beg", b"un\n"]


def test_a_file_without_lines_is_followed_from_its_end(path: Path) -> None:
    path.write_bytes(b"old")
    assert Followed(path).read(lambda: append(path, b"x")) == [b"x"]
    assert Followed(path, terminator=b"").read(lambda: append(path, b"y\n")) == [b"y\n"]


def test_the_start_may_be_asked_for(path: Path) -> None:
    path.write_bytes(b"old\n")
    assert Followed(path, from_start=True).read() == [b"old\n"]


def test_a_rename_is_followed_when_the_old_file_is_read_to_its_end(path: Path) -> None:
    path.write_bytes(b"")
    followed = Followed(path)

    def rotate() -> None:
        append(path, b"last\n")
        path.rename(path.with_suffix(".1"))
        path.write_bytes(b"first\n")

    assert followed.read(rotate) == [b"last\n", b"", b"first\n"]


def test_what_was_written_between_the_last_look_and_the_rename_is_read(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_bytes(b"")
    followed = Followed(path)
    real, done = os.stat, []

    def rotate_first(name: Any, **how: Any) -> os.stat_result:
        if not done:
            done.append(name)
            append(path, b"late\n")
            path.rename(path.with_suffix(".1"))
            path.write_bytes(b"new\n")
        return real(name, **how)

    with monkeypatch.context() as patched:
        patched.setattr("nbclient.daemon.inputs.tail.os.stat", rotate_first)
        got = followed.read(lambda: None, lambda: None)
    assert got == [b"late\n", b"", b"new\n"]


def test_a_file_that_was_cut_short_is_read_from_its_start(path: Path) -> None:
    path.write_bytes(b"a long line\n")
    followed = Followed(path)
    assert followed.read(lambda: path.write_bytes(b"short\n")) == [b"", b"short\n"]


def test_one_cut_short_that_has_grown_again_is_read_from_its_start(path: Path) -> None:
    """Between two looks: by its size alone it would pass for one that grew."""
    path.write_bytes(b"a long line\n")
    followed = Followed(path)
    assert followed.read(lambda: path.write_bytes(b"short\nand more\n")) == [
        b"",
        b"short\nand more\n",
    ]
    assert followed.log.lines == [
        f"input {path}: it was written anew between two looks, beginning at its start"
    ]


def test_one_that_was_cut_short_and_is_as_long_again_is_noticed_too(path: Path) -> None:
    path.write_bytes(b"one\n")
    assert Followed(path).read(lambda: path.write_bytes(b"two\n")) == [b"", b"two\n"]


def test_what_a_long_read_ends_with_is_known_again(path: Path) -> None:
    path.write_bytes(b"")
    followed = Followed(path)
    lines = b"".join(b"%d\n" % number for number in range(1000))
    got = followed.read(lambda: append(path, lines), lambda: append(path, b"x\n"))
    assert got == [lines, b"x\n"]


def test_a_file_that_lost_its_name_is_read_on_while_the_new_one_is_empty(path: Path) -> None:
    """Until the program has opened the new one, it writes to the old one."""
    path.write_bytes(b"")
    followed = Followed(path)

    def rotate_empty() -> None:
        append(path, b"one\n")
        path.rename(path.with_suffix(".1"))
        path.write_bytes(b"")

    got = followed.read(
        rotate_empty,
        lambda: append(path.with_suffix(".1"), b"late\n"),
        lambda: append(path, b"two\n"),
    )
    assert got == [b"one\n", b"late\n", b"", b"two\n"]


def test_not_for_ever(path: Path) -> None:
    path.write_bytes(b"one\n")
    followed = Followed(path)
    path.rename(path.with_suffix(".1"))
    path.write_bytes(b"")
    waited: list[int] = []
    followed.waits = [lambda: waited.append(1)] * LINGER
    assert followed.tail.read() == b""
    assert len(waited) == LINGER - 1
    assert followed.read() == [], "the new one is followed now, and empty"


def test_a_file_may_be_missing_for_a_while(path: Path) -> None:
    followed = Followed(path)
    got = followed.read(lambda: None, lambda: path.write_bytes(b"a\n"))
    assert got == [b"a\n"]
    missing, there = followed.log.lines
    assert missing == f"input {path}: no such file, waiting for it"
    assert there == f"input {path} is there"


def test_a_file_that_vanishes_is_read_as_long_as_it_is_written_to(path: Path) -> None:
    path.write_bytes(b"")
    followed = Followed(path)
    with path.open("ab", buffering=0) as writer:
        got = followed.read(
            path.unlink, lambda: writer.write(b"x\n"), lambda: path.write_bytes(b"y\n")
        )
    assert got == [b"x\n", b"", b"y\n"]
    assert followed.log.lines == [
        f"input {path}: no such file or directory, waiting for it",
        f"input {path} is there",
    ]


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="not a regular file"):
        Followed(tmp_path)


def test_a_tail_that_was_stopped_before_there_was_a_file_ends(path: Path) -> None:
    assert Followed(path).read() == []


# -- what cannot be read


class Broken:
    """Reading fails as long as there are errors."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *errors: int) -> None:
        self.errors = list(errors)
        self.read = os.pread
        monkeypatch.setattr("nbclient.daemon.inputs.tail.os.pread", self.pread)

    def pread(self, *arguments: int) -> bytes:
        if self.errors:
            raise OSError(self.errors.pop(0), None)
        return self.read(*arguments)


def test_a_file_that_cannot_be_read_for_a_while_is_read_on(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a network file system, say; the input of a service must not end for that."""
    path.write_bytes(b"one\n")
    followed = Followed(path)
    broken = Broken(monkeypatch)

    def fail() -> None:
        append(path, b"two\n")
        broken.errors = [errno.ESTALE, errno.EIO]

    assert followed.read(fail, lambda: None, lambda: None, lambda: append(path, b"three\n")) == [
        b"two\n",
        b"three\n",
    ]
    assert followed.log.lines == [
        f"input {path}: cannot be read (stale file handle), trying again",
        f"input {path} is read again",
    ]


def test_one_that_is_gone_by_then_is_told_and_the_next_one_read(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_bytes(b"one\n")
    followed = Followed(path)
    broken = Broken(monkeypatch)

    def fail() -> None:
        broken.errors = [errno.ESTALE]
        path.rename(path.with_name("elsewhere"))
        path.with_name("elsewhere").write_bytes(b"")
        path.write_bytes(b"two\n")

    assert followed.read(fail, lambda: None) == [b"", b"two\n"]
    assert "trying again" in followed.log.lines[0]
    assert "is gone, or was written anew" in followed.log.lines[1]


def test_one_whose_name_is_missing_meanwhile_is_waited_for(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_bytes(b"one\n")
    followed = Followed(path)
    broken = Broken(monkeypatch)
    away = path.parent.with_name("away")

    def fail() -> None:
        broken.errors = [errno.EIO]
        path.parent.rename(away)

    def back() -> None:
        away.rename(path.parent)
        append(path, b"two\n")

    assert followed.read(fail, lambda: None, back) == [b"two\n"]
    assert len(followed.log.lines) == 2


def test_one_that_stays_unreadable_is_looked_at_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_bytes(b"one\n")
    followed = Followed(path)
    broken = Broken(monkeypatch)

    def fail() -> None:
        broken.errors = [errno.EIO] * 5

    def readable() -> None:
        broken.errors = []
        append(path, b"two\n")

    with monkeypatch.context() as patched:
        patched.setattr("nbclient.daemon.inputs.cursors.os.pread", broken.pread)
        assert followed.read(fail, lambda: None, lambda: None, readable) == [b"two\n"]
    assert len(followed.log.lines) == 2


# -- over a restart


def stored(path: Path, followed: Followed, held: int = 0) -> TailPlace | None:
    """The place after what was read, as a new run gets it."""
    return TailPlace.parse(TailCursor(str(path), followed.tail).mark(b"", held))


def resumed(path: Path, place: TailPlace | None) -> Followed:
    followed = Followed(path)
    followed.tail.resume(place)
    return followed


def test_a_new_run_goes_on_where_the_last_one_stopped(path: Path) -> None:
    path.write_bytes(b"")
    first = Followed(path)
    first.read(lambda: append(path, b"one\ntwo\nthr"))
    first.tail.begin()  # reading has closed it
    first.tail._go_to(11)
    place = stored(path, first, held=3)
    append(path, b"ee\nfour\n")
    assert resumed(path, place).read() == [b"three\nfour\n"]


def test_a_new_run_reads_the_rest_of_a_file_that_was_renamed_meanwhile(path: Path) -> None:
    path.write_bytes(b"one\n")
    place = stored(path, Followed(path))
    append(path, b"two\n")
    path.rename(path.with_suffix(".1"))
    path.write_bytes(b"three\n")
    assert resumed(path, place).read() == [b"two\n", b"", b"three\n"]


def test_without_the_file_that_was_read_the_one_there_is_read_from_its_start(path: Path) -> None:
    path.write_bytes(b"one\n")
    place = stored(path, Followed(path))
    path.unlink()
    path.write_bytes(b"another\n")
    followed = resumed(path, place)
    assert "is gone" in followed.log.lines[0]
    assert followed.read() == [b"another\n"]


def test_what_came_after_a_file_that_is_gone_is_read_from_its_start(path: Path) -> None:
    """Stopped for longer than rotated files are kept: what there is of them is not lost."""
    rotate(path, b"one\n", 100)
    place = stored(path, Followed(path))
    path.unlink()
    path.with_name("log.3").write_bytes(b"before all that\n")
    os.utime(path.with_name("log.3"), (50, 50))
    rotate(path, b"two\n", 200)
    rotate(path, b"three\n", 300)
    followed = resumed(path, place)
    assert "beginning at the start of what came after it" in followed.log.lines[0]
    assert followed.read() == [b"two\n", b"", b"three\n"]


def test_a_new_file_that_begins_as_the_old_one_did_is_read_from_its_start(path: Path) -> None:
    """Though it has the old one's inode: the head of a CSV file is the same each day."""
    head = b"column," * 100 + b"\n"
    path.write_bytes(head + b"monday\n")
    place = stored(path, Followed(path))
    path.write_bytes(head + b"tuesday\n" * 2)
    followed = resumed(path, place)
    assert "was written anew" in followed.log.lines[0]
    assert followed.read() == [head + b"tuesday\n" * 2]


def test_a_place_of_the_version_before_is_gone_on_from(path: Path) -> None:
    path.write_bytes(b"one\n")
    place = stored(path, Followed(path))
    assert place is not None
    before = evolve(place, near=None, near_size=0, written=None)
    append(path, b"two\n")
    assert resumed(path, before).read() == [b"two\n"]
    path.write_bytes(b"x\n")
    followed = resumed(path, before)
    assert "is gone" in followed.log.lines[0]
    assert followed.read() == [b"x\n"]


def test_a_damaged_cursor_is_named_and_all_that_is_there_is_read(path: Path) -> None:
    path.write_bytes(b"old\n")
    followed = Followed(path)
    cursor = TailCursor(str(path), followed.tail)
    cursor.resume('{"offset": -3}', followed.log)
    assert followed.read() == [b"old\n"]
    assert followed.log.lines == [
        f"input tail:{path}: read from its start: its cursor in the spool is damaged"
        f" (its offset is no number from 0 to {2**63 - 1})"
    ]


def test_a_damaged_cursor_of_a_file_that_is_not_there_yet(path: Path) -> None:
    followed = Followed(path)
    TailCursor(str(path), followed.tail).resume("nonsense", followed.log)
    assert followed.read(lambda: path.write_bytes(b"a\n")) == [b"a\n"]


def test_without_a_place_it_begins_as_if_for_the_first_time(path: Path) -> None:
    path.write_bytes(b"old\n")
    assert resumed(path, None).read() == []


def test_between_two_files_the_place_is_the_end_of_the_first(path: Path) -> None:
    """A last line without its end is a frame when its file is over."""
    path.write_bytes(b"one\n")
    followed = Followed(path)
    first = stored(path, followed)
    path.rename(path.with_suffix(".1"))
    path.write_bytes(b"two\n")
    assert followed.tail.read() == b""
    assert stored(path, followed) == first
    assert followed.tail.read() == b"two\n"
    assert stored(path, followed) != first


def test_a_file_that_was_not_there_is_all_new_when_it_comes(path: Path) -> None:
    """Also if it comes while nothing follows it."""
    first = Followed(path)
    cursor = TailCursor(str(path), first.tail).mark(b"", 0)
    path.write_bytes(b"a\n")
    followed = Followed(path)
    TailCursor(str(path), followed.tail).resume(cursor, followed.log)
    assert followed.read() == [b"a\n"]


def resumed_with_nothing(path: Path, cursor: str) -> Followed:
    followed = Followed(path, now=10**12)
    TailCursor(str(path), followed.tail).resume(cursor, followed.log)
    return followed


def nothing(path: Path, now: int) -> str:
    """What a run stores that finds no file."""
    return TailCursor(str(path), Followed(path, now=now).tail).mark(b"", 0)


def test_nor_are_those_lost_that_came_and_were_rotated_before_the_next_run(path: Path) -> None:
    path.with_name("log.7").write_bytes(b"before all that\n")
    os.utime(path.with_name("log.7"), (50, 50))
    cursor = nothing(path, 100 * 10**9)
    rotate(path, b"one\n", 100)
    rotate(path, b"two\n", 200)
    rotate(path, b"three\n", 300)
    followed = resumed_with_nothing(path, cursor)
    assert followed.read() == [b"one\n", b"", b"two\n", b"", b"three\n"]


def test_nor_if_the_file_is_missing_again_at_the_next_run_or_the_one_after_it(path: Path) -> None:
    cursor = nothing(path, 100 * 10**9)
    rotate(path, b"one\n", 200)
    path.rename(f"{path}.1")
    followed = resumed_with_nothing(path, cursor)
    assert TailCursor(str(path), followed.tail).mark(b"", 0) == cursor
    assert followed.read(lambda: path.write_bytes(b"two\n")) == [b"one\n", b"", b"two\n"]


def test_nor_between_two_looks(path: Path) -> None:
    followed = Followed(path, now=100 * 10**9)

    def come_and_go() -> None:
        rotate(path, b"one\n", 100)
        rotate(path, b"two\n", 200)

    assert followed.read(come_and_go) == [b"one\n", b"", b"two\n"]


def test_a_cursor_of_before_that_does_not_say_when(path: Path) -> None:
    path.write_bytes(b"one\n")
    followed = resumed_with_nothing(path, '{"version": 2, "nothing": true}')
    assert followed.read() == [b"one\n"]


# -- more than one file between two looks


def rotate(path: Path, data: bytes, written: int) -> None:
    """Every file moves up by one, and a new one begins."""
    for number in (5, 4, 3, 2, 1):
        older = Path(f"{path}.{number}")
        if older.exists():
            older.rename(f"{path}.{number + 1}")
    if path.exists():
        path.rename(f"{path}.1")
    path.write_bytes(data)
    os.utime(path, (written, written))


def behind(path: Path) -> Followed:
    """One that has read the first file to its end, and has its place from a run before."""
    rotate(path, b"none of ours\n", 50)
    rotate(path, b"one\n", 100)
    return resumed(path, stored(path, Followed(path)))


def test_files_that_came_and_were_renamed_between_two_looks_are_read_in_their_order(
    path: Path,
) -> None:
    followed = behind(path)
    rotate(path, b"two\n", 200)
    rotate(path, b"three\n", 300)
    rotate(path, b"four\n", 400)
    assert followed.read() == [b"", b"two\n", b"", b"three\n", b"", b"four\n"]


def test_files_of_one_tick_of_the_clock_are_all_read(path: Path) -> None:
    """And an empty one among them is no file to begin with again and again."""
    followed = behind(path)
    for data in (b"", b"two\n", b"", b"three\n", b"four\n"):
        rotate(path, data, 100)
    assert [data for data in followed.read() if data] == [b"two\n", b"three\n", b"four\n"]


def test_of_one_tick_too_those_with_a_date(path: Path) -> None:
    followed = behind(path)
    for day in (1, 2):
        path.rename(path.with_name(f"log-2026010{day}"))
        path.write_bytes(b"day %d\n" % day)
        os.utime(path, (100, 100))
    path.rename(path.with_name("log-20260103"))
    path.write_bytes(b"day 3\n")
    assert [data for data in followed.read() if data] == [b"day 1\n", b"day 2\n", b"day 3\n"]


def test_only_what_had_the_name_is_read(path: Path) -> None:
    followed = behind(path)
    for name in ("log.1.gz", "log.bak", "log2", "logs-1", "other.1"):
        path.with_name(name).write_bytes(b"nothing of ours\n")
    path.with_name("log.2026-01-01").mkdir()
    path.rename(path.with_name("log.1"))
    path.with_name("log-20260101").write_bytes(b"two\n")
    path.write_bytes(b"three\n")
    assert followed.read() == [b"", b"two\n", b"", b"three\n"]


def test_a_link_to_the_file_is_not_read_twice(path: Path) -> None:
    followed = behind(path)
    rotate(path, b"two\n", 200)
    path.with_name("log.9").symlink_to(path)
    assert followed.read() == [b"", b"two\n"]


def test_of_a_file_that_was_read_only_what_was_written_to_it_afterwards_is(path: Path) -> None:
    followed = behind(path)
    rotate(path, b"two\n", 200)

    def late() -> None:
        append(Path(f"{path}.1"), b"late\n")
        rotate(path, b"three\n", 300)

    assert followed.read(late) == [b"", b"two\n", b"", b"late\n", b"", b"three\n"]


def test_one_with_its_inode_is_another(path: Path) -> None:
    """Inodes are used again at once: what was read is known by how it begins."""
    followed = behind(path)
    rotate(path, b"two\n", 200)
    rotate(path, b"three\n", 300)
    with Path(f"{path}.1").open("rb") as file:
        there = TailPlace.of(file.fileno(), 1, 1, b"t")
        empty = TailPlace.of(file.fileno(), 0, 0, b"")
    followed.tail._ends += [evolve(there, head="of another"), empty]
    assert followed.read() == [b"", b"two\n", b"", b"three\n"]


def test_a_rename_at_just_that_moment_is_waited_for(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed = behind(path)
    rotate(path, b"two\n", 200)
    rotate(path, b"three\n", 300)
    find, found = followed.tail._rotated, []

    def rotate_then(since: int) -> Any:
        found.append(find(since))
        if len(found) == 1:
            rotate(path, b"four\n", 400)
        return found[-1]

    monkeypatch.setattr(followed.tail, "_rotated", rotate_then)
    got = followed.read(lambda: None)
    assert got == [b"", b"two\n", b"", b"three\n", b"", b"four\n"]


def test_one_that_cannot_be_read_is_passed_over_and_named(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed = behind(path)
    rotate(path, b"two\n", 200)
    rotate(path, b"three\n", 300)
    real = os.open

    def refuse(name: Any, *arguments: int) -> int:
        if str(name) == f"{path}.1":
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(name, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr("nbclient.daemon.inputs.tail.os.open", refuse)
        assert followed.read() == [b"", b"three\n"]
    assert followed.log.lines == [f"input {path}: {path}.1 is passed over: permission denied"]


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("nowhere", "no such file or directory"),
        ("log.9", "too many levels of symbolic links"),
    ],
    ids=["nothing", "itself"],
)
def test_a_link_to_nothing_is_passed_over_and_named_once(path: Path, target: str, why: str) -> None:
    """Else it is taken for a file that was renamed just now, and waited for, for ever."""
    followed = behind(path)
    path.with_name("log.9").symlink_to(target)
    rotate(path, b"two\n", 200)
    rotate(path, b"three\n", 300)
    assert followed.read() == [b"", b"two\n", b"", b"three\n"]
    assert followed.log.lines == [f"input {path}: {path}.9 is passed over: {why}"]


def test_a_file_renamed_between_the_list_and_the_look_at_it_is_not_passed_over(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed = behind(path)
    rotate(path, b"two\n", 200)
    rotate(path, b"three\n", 300)
    real, done = Path.iterdir, []

    def then_rename(self: Path) -> Any:
        names = list(real(self))
        if not done:
            done.append(True)
            path.with_name("log.1").rename(path.with_name("log.8"))
        return iter(names)

    monkeypatch.setattr(Path, "iterdir", then_rename)
    assert followed.read(lambda: None) == [b"", b"two\n", b"", b"three\n"]
    assert followed.log.lines == []


def refuse_listing(
    monkeypatch: pytest.MonkeyPatch, error: int, times: int = 10**6
) -> Callable[[], object]:
    """The folder cannot be listed so often; the call that ends that."""
    real, left = Path.iterdir, [times]

    def iterdir(self: Path) -> Any:
        if left[0]:
            left[0] -= 1
            raise OSError(error, os.strerror(error))
        return real(self)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    return lambda: left.__setitem__(0, 0)


def test_in_a_folder_that_may_not_be_listed_the_file_is_followed_all_the_same(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed = behind(path)
    rotate(path, b"two\n", 200)
    refuse_listing(monkeypatch, errno.EACCES)
    assert followed.read() == [b"", b"two\n"]
    assert followed.log.lines == [f"input {path}: {path.parent} is passed over: permission denied"]


def test_the_place_in_a_file_there_is_found_without_a_list(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_bytes(b"one\n")
    place = stored(path, Followed(path))
    append(path, b"two\n")
    refuse_listing(monkeypatch, errno.EACCES)
    assert resumed(path, place).read() == [b"two\n"]


def test_a_look_that_fails_again_and_again_is_said_once(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed = behind(path)
    rotate(path, b"two\n", 200)
    rotate(path, b"three\n", 300)
    better = refuse_listing(monkeypatch, errno.EIO)
    got = followed.read(*[lambda: None] * (2 * PATIENCE), better)
    assert got == [b"", b"two\n", b"", b"three\n"]
    assert followed.log.lines == [
        f"input {path}: the files before it cannot be looked for (input/output error), trying again"
    ]


def test_the_cursors_name_is_the_files_in_its_real_folder(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    (tmp_path / "link").symlink_to(real)
    (real / "today").symlink_to(real / "0101")
    tail: Any = None
    assert TailCursor(str(tmp_path / "link" / "today"), tail).name == f"tail:{real / 'today'}"
