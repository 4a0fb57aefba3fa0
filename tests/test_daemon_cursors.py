"""Where an input file stopped being read, and whether it is found again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from nbclient.daemon.cursors import HEAD, BatchCursor, TailPlace


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "batch"


@pytest.fixture
def opened(path: Path) -> Iterator[int]:
    """The file, holding ten lines."""
    path.write_bytes(b"".join(b"line %d\n" % n for n in range(10)))
    descriptor = os.open(path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def read_to(cursor: BatchCursor, descriptor: int, size: int, held: int = 0) -> str:
    """The cursor after so many bytes were read, some of them no whole frame."""
    return cursor.mark(os.read(descriptor, size), held)


def reopened(path: Path, stored: str | None) -> bytes:
    """What a new run reads, with this cursor."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        passed = BatchCursor(str(path)).resume(descriptor, stored)
        rest = os.read(descriptor, 10_000)
        assert passed + len(rest) == path.stat().st_size
        return rest
    finally:
        os.close(descriptor)


def test_the_same_file_is_read_on_behind_the_last_whole_frame(path: Path, opened: int) -> None:
    cursor = BatchCursor(str(path))
    read_to(cursor, opened, 10, held=3)
    stored = read_to(cursor, opened, 7, held=3)  # two lines, and three bytes of the third
    assert reopened(path, stored).startswith(b"line 2\n")


def test_all_of_it_is_passed_over_once_all_was_taken(path: Path, opened: int) -> None:
    stored = read_to(BatchCursor(str(path)), opened, 10_000)
    assert reopened(path, stored) == b""
    with path.open("ab") as file:
        file.write(b"more\n")
    assert reopened(path, stored) == b"more\n"


def test_a_resumed_file_is_noted_from_where_it_went_on(path: Path, opened: int) -> None:
    stored = read_to(BatchCursor(str(path)), opened, 14)
    again = BatchCursor(str(path))
    assert again.resume(opened, stored) == 14
    stored = read_to(again, opened, 7)
    assert reopened(path, stored).startswith(b"line 3\n")


@pytest.mark.parametrize("change", [b"LINE 0\nline 1\nand another\n", b"short"])
def test_another_file_under_the_name_is_read_from_its_start(
    path: Path, opened: int, change: bytes
) -> None:
    stored = read_to(BatchCursor(str(path)), opened, 14)
    path.write_bytes(change)
    assert reopened(path, stored) == change


@pytest.mark.parametrize(
    "stored", [None, "", "nonsense", "[]", "{}", '{"offset": "1"}', '{"offset": 7}']
)
def test_without_a_cursor_that_makes_sense_it_is_read_from_its_start(
    path: Path, opened: int, stored: str | None
) -> None:
    assert reopened(path, stored).startswith(b"line 0\n")


def test_a_cursor_is_named_after_the_file_wherever_it_is_read_from(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    assert BatchCursor("batch").name == BatchCursor(str(path)).name == f"file:{path}"
    (path.parent / "other").symlink_to(path)
    assert BatchCursor("other").name == f"file:{path}", "by whichever name, it is sent once"


# -- a file that grows


def place_in(path: Path, offset: int) -> TailPlace:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return TailPlace.of(descriptor, offset)
    finally:
        os.close(descriptor)


def found(place: TailPlace, path: Path) -> bool:
    descriptor = place.find(str(path))
    if descriptor is None:
        return False
    os.close(descriptor)
    return True


def test_a_place_survives_being_stored(path: Path) -> None:
    path.write_bytes(bytes(2 * HEAD))
    place = place_in(path, 300)
    assert place.head_size == HEAD
    assert TailPlace.parse(place.text) == place


@pytest.mark.parametrize("stored", [None, "nonsense", "{}", '{"head": "x", "inode": "1"}'])
def test_what_makes_no_sense_is_no_place(stored: str | None) -> None:
    assert TailPlace.parse(stored) is None


def test_a_file_that_has_grown_is_found(path: Path) -> None:
    path.write_bytes(b"one\n")
    place = place_in(path, 4)
    with path.open("ab") as file:
        file.write(b"two\n")
    assert found(place, path)


def test_a_renamed_file_is_found_in_its_folder(path: Path) -> None:
    path.write_bytes(b"one\n")
    place = place_in(path, 4)
    path.rename(path.with_suffix(".1"))
    path.write_bytes(b"one\n")
    assert found(place, path)


def test_a_file_cut_short_or_rewritten_is_another(path: Path) -> None:
    path.write_bytes(b"one\ntwo\n")
    place = place_in(path, 8)
    path.write_bytes(b"one\n")
    assert not found(place, path)
    path.write_bytes(b"ONE\nTWO\nTHREE\n")
    assert not found(place, path)


def test_a_file_that_is_gone_is_not_found_nor_one_whose_folder_is(path: Path) -> None:
    path.write_bytes(b"one\n")
    place = place_in(path, 4)
    path.unlink()
    assert not found(place, path)
    assert not found(place, path / "further" / "down")


def test_a_file_that_cannot_be_opened_or_read_is_not_found(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_bytes(b"one\n")
    place = place_in(path, 4)

    def fails(*_: object) -> int:
        raise PermissionError(13, "no")

    with monkeypatch.context() as patched:
        patched.setattr("nbclient.daemon.cursors.os.open", fails)
        assert not found(place, path)
    with monkeypatch.context() as patched:
        patched.setattr("nbclient.daemon.cursors.os.pread", fails)
        assert not found(place, path)


def test_a_place_is_told_from_another_file_by_its_inode(path: Path) -> None:
    path.write_bytes(b"one\n")
    place = place_in(path, 4)
    other = path.with_suffix(".2")
    other.write_bytes(b"one\n")
    descriptor = os.open(other, os.O_RDONLY)
    assert not place.is_in(descriptor)
    os.close(descriptor)
