"""Where an input file stopped being read, and whether it is found again."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nbclient.daemon.inputs import identity
from nbclient.daemon.inputs.cursors import (
    HEAD,
    NEAR,
    BatchCursor,
    DamagedCursor,
    Resumed,
    TailPlace,
)
from nbclient.daemon.inputs.identity import Identity
from nbclient.daemon.inputs.tail import TailCursor

TEN = b"".join(b"line %d\n" % number for number in range(10))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "batch"


@pytest.fixture
def opened(path: Path) -> Iterator[int]:
    """The file, holding ten lines."""
    path.write_bytes(TEN)
    os.utime(path, (100, 100))
    descriptor = os.open(path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def read_to(cursor: BatchCursor, descriptor: int, size: int, held: int = 0) -> str:
    """The cursor after so many bytes were read, some of them no whole frame."""
    data = os.read(descriptor, size)
    cursor.look(descriptor)
    return cursor.mark(data, held)


def resumed(path: Path, stored: str | None) -> Resumed:
    """What a new run makes of this cursor; it reads on behind what it passes over."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        found = BatchCursor(str(path)).resume(descriptor, stored)
        assert os.lseek(descriptor, 0, os.SEEK_CUR) == found.passed
        return found
    finally:
        os.close(descriptor)


def another(path: Path, data: bytes) -> None:
    """Another file gets the name; the one that had it keeps its inode."""
    path.rename(f"{path}.old")
    path.write_bytes(data)
    os.utime(path, (100, 100))


def written(path: Path, data: bytes) -> None:
    """The file gets other contents, and keeps its inode."""
    with path.open("r+b") as file:
        file.truncate()
        file.write(data)
    os.utime(path, (200, 200))


# -- a file that is read once


def test_the_same_file_is_read_on_behind_the_last_whole_frame(path: Path, opened: int) -> None:
    cursor = BatchCursor(str(path))
    read_to(cursor, opened, 10, held=3)
    stored = read_to(cursor, opened, 7, held=3)  # two lines, and three bytes of the third
    found = resumed(path, stored)
    assert found == Resumed(14, "the first 14 bytes were taken before, going on behind them")


def test_all_of_it_is_passed_over_while_it_does_not_change(path: Path, opened: int) -> None:
    stored = read_to(BatchCursor(str(path)), opened, 10_000)
    assert resumed(path, stored) == Resumed(
        70, "all of its 70 bytes were taken before, nothing is new"
    )


def test_what_was_appended_to_it_is_read(path: Path, opened: int) -> None:
    stored = read_to(BatchCursor(str(path)), opened, 10_000)
    with path.open("ab") as file:
        file.write(b"more\n")
    assert resumed(path, stored).passed == 70


def test_a_resumed_file_is_noted_from_where_it_went_on(path: Path, opened: int) -> None:
    """Also where the run before had read further than it had taken."""
    stored = read_to(BatchCursor(str(path)), opened, 20, held=6)
    again = BatchCursor(str(path))
    assert again.resume(opened, stored).passed == 14
    stored = read_to(again, opened, 7)
    assert resumed(path, stored).passed == 21


def test_a_new_file_like_the_one_that_was_sent_is_sent(path: Path, opened: int) -> None:
    """The batch of each night may be the same: a list of what is out of order, say."""
    stored = read_to(BatchCursor(str(path)), opened, 10_000)
    another(path, TEN)
    assert resumed(path, stored) == Resumed()


def test_nor_is_of_one_that_begins_like_it_only_the_rest(path: Path, opened: int) -> None:
    stored = read_to(BatchCursor(str(path)), opened, 10_000)
    another(path, TEN + b"and more\n")
    assert resumed(path, stored) == Resumed()


def test_nor_of_one_with_the_same_inode(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a file was deleted, its inode is the next one's."""
    births = [1]
    monkeypatch.setattr(identity, "born", lambda descriptor: births[-1])
    path.write_bytes(TEN)
    with path.open("rb") as file:
        stored = read_to(BatchCursor(str(path)), file.fileno(), 10_000)
    with path.open("ab") as file:
        file.write(b"more\n")
    births.append(2)
    assert resumed(path, stored) == Resumed()


@pytest.mark.parametrize(
    ("size", "change", "says"),
    [
        (70, lambda path: written(path, TEN), "it was sent before, and written to since"),
        (14, lambda path: written(path, TEN), "it was sent before, and written to since"),
        (14, lambda path: written(path, TEN[:20]), "it was sent before, and written to since"),
        (14, lambda path: another(path, TEN), "another file that begins like it was sent in part"),
        (14, lambda path: another(path, TEN + b"x\n"), "another file that begins like it"),
    ],
    ids=["all", "half", "half-shorter", "half-another", "half-longer"],
)
def test_what_cannot_be_told_apart_is_sent_once_more_and_that_is_said(
    path: Path, opened: int, size: int, change: Callable[[Path], object], says: str
) -> None:
    stored = read_to(BatchCursor(str(path)), opened, size)
    change(path)
    found = resumed(path, stored)
    assert (found.passed, found.warns) == (0, True)
    assert found.says.startswith(f"all of it is sent, perhaps once more: {says}")


@pytest.mark.parametrize("change", [b"LINE 0\nline 1\nand another\n" + bytes(70), b"short"])
@pytest.mark.parametrize("replaced", [another, written])
def test_other_contents_under_the_name_are_read_from_their_start(
    path: Path, opened: int, change: bytes, replaced: Callable[[Path, bytes], object]
) -> None:
    stored = read_to(BatchCursor(str(path)), opened, 10_000)
    replaced(path, change)
    assert resumed(path, stored) == Resumed()


@pytest.mark.parametrize("replaced", [another, written])
def test_what_is_not_sent_of_a_file_that_is_gone_is_said(
    path: Path, opened: int, replaced: Callable[[Path, bytes], object]
) -> None:
    stored = read_to(BatchCursor(str(path)), opened, 14)
    replaced(path, b"other\n")
    found = resumed(path, stored)
    assert (found.passed, found.warns) == (0, True)
    assert "of which 14 of 70 bytes were taken before, the rest of that is not sent" in found.says


def test_a_device_has_no_places(path: Path, opened: int) -> None:
    assert resumed(Path("/dev/null"), read_to(BatchCursor(str(path)), opened, 14)) == Resumed()


@pytest.mark.parametrize("stored", [None, ""])
def test_without_a_cursor_it_is_read_from_its_start(
    path: Path, opened: int, stored: str | None
) -> None:
    assert resumed(path, stored) == Resumed()


def spoilt(stored: str, **fields: object) -> str:
    """This cursor, with other fields."""
    return json.dumps({**json.loads(stored), **fields})


DAMAGED: list[tuple[dict[str, Any], str]] = [
    ({"offset": -1}, "its offset is no number from 0"),
    ({"offset": 2**70}, "its offset is no number from 0"),
    ({"offset": "14"}, "its offset is no number"),
    ({"offset": True}, "its offset is no number"),
    ({"offset": 14.0}, "its offset is no number"),
    ({"seen": 13}, "its seen is no number from 14"),
    ({"inode": None}, "its inode is no number"),
    ({"born": "x"}, "its born is no number"),
    ({"written": []}, "its written is no number"),
    ({"version": 3}, "its version is not 2"),
]


@pytest.mark.parametrize(
    ("fields", "why"),
    [*DAMAGED, ({"size": -1}, "its size is no number"), ({"sha256": 7}, "its sha256 is no text")],
)
def test_a_damaged_cursor_is_named_and_the_file_read_from_its_start(
    path: Path, opened: int, fields: dict[str, Any], why: str
) -> None:
    stored = read_to(BatchCursor(str(path)), opened, 14)
    found = resumed(path, spoilt(stored, **fields))
    assert (found.passed, found.warns) == (0, True)
    assert found.says.startswith("read from its start: its cursor in the spool is damaged (")
    assert why in found.says


@pytest.mark.parametrize("stored", ["nonsense", "[]", "{}", "[" * 100_000, '{"offset": NaN}'])
def test_what_is_no_cursor_is_named_too(path: Path, opened: int, stored: str) -> None:
    assert resumed(path, stored).warns


def test_a_cursor_beyond_the_end_is_none_of_this_file(path: Path, opened: int) -> None:
    stored = read_to(BatchCursor(str(path)), opened, 14)
    assert resumed(path, spoilt(stored, offset=10**12, seen=10**12)).passed == 0


def old(stored: str) -> str:
    """What the version before has stored: the place and a digest of what is before it."""
    place = json.loads(stored)
    return json.dumps({"offset": place["offset"], "sha256": place["sha256"]})


def test_a_cursor_of_the_version_before_is_understood(path: Path, opened: int) -> None:
    """It does not say which file it is for: where all was sent, that may be another one."""
    cursor = BatchCursor(str(path))
    half = resumed(path, old(read_to(cursor, opened, 14)))
    assert (half.passed, half.warns) == (14, True)
    whole = old(read_to(cursor, opened, 10_000))
    found = resumed(path, whole)
    assert (found.passed, found.warns) == (0, True)
    assert "a file of the same contents was sent before" in found.says
    written(path, b"other")
    assert resumed(path, whole) == Resumed()


def test_a_cursor_is_named_after_the_file_wherever_it_is_read_from(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    assert BatchCursor("batch").name == BatchCursor(str(path)).name == f"file:{path}"
    (path.parent / "other").symlink_to(path)
    assert BatchCursor("other").name == f"file:{path}", "by whichever name, it is sent once"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (b"/b\xc3\xa4tch", "file:/b\u00e4tch"),
        (b"/b\\xe4tch", "file:/b\\xe4tch"),
        (b"/b\xe4tch", "bytes:file:/b\\xe4tch"),
        (b"/b\\xe4\xe4", "bytes:file:/b\\\\xe4\\xe4"),
    ],
    ids=["utf-8", "a-backslash", "other-bytes", "both"],
)
def test_a_cursors_name_can_be_stored_whatever_bytes_the_path_has(path: bytes, name: str) -> None:
    """Names that are UTF-8 stay as they are, for the cursors that are stored already."""
    tail: Any = None
    assert BatchCursor(os.fsdecode(path)).name == name
    assert TailCursor(os.fsdecode(path), tail).name == name.replace("file:", "tail:")


# -- a file that grows


def place_in(path: Path, offset: int, seen: int | None = None) -> TailPlace:
    seen = offset if seen is None else seen
    descriptor = os.open(path, os.O_RDONLY)
    try:
        near = os.pread(descriptor, NEAR, max(0, seen - NEAR))[:seen]
        return TailPlace.of(descriptor, offset, seen, near)
    finally:
        os.close(descriptor)


def found(place: TailPlace, path: Path) -> bool:
    descriptor = place.find(str(path))
    if descriptor is None:
        return False
    os.close(descriptor)
    return True


def test_a_place_survives_being_stored(path: Path) -> None:
    path.write_bytes(bytes(2 * NEAR))
    place = place_in(path, NEAR + 1, NEAR + 7)
    assert (place.head_size, place.near_size) == (HEAD, NEAR)
    assert TailPlace.parse(place.text) == place
    assert TailPlace.parse(None) is TailPlace.parse("") is None


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        *DAMAGED,
        ({"head": 1}, "its head is no text"),
        ({"head_size": HEAD + 1}, "its head_size is no number from 0 to 14"),
        ({"near_size": 10**9}, "its near_size is no number from 0 to 14"),
        ({"near": None}, "its near is no text"),
    ],
)
def test_what_makes_no_sense_is_no_place(path: Path, fields: dict[str, Any], why: str) -> None:
    path.write_bytes(TEN)
    with pytest.raises(DamagedCursor, match=why):
        TailPlace.parse(spoilt(place_in(path, 14).text, **fields))


def test_a_place_of_the_version_before_is_understood(path: Path) -> None:
    path.write_bytes(TEN)
    names = ("device", "inode", "head_size", "head", "offset")
    fields = json.loads(place_in(path, 14).text)
    place = TailPlace.parse(json.dumps({name: fields[name] for name in names}))
    assert place is not None
    assert (place.offset, place.seen, place.near, place.written) == (14, 14, None, None)
    assert found(place, path)
    written(path, b"LINE 0\nline 1\nline 2\n")
    assert not found(place, path)


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


def test_a_file_that_begins_like_it_is_another(path: Path) -> None:
    """CSV files do, and keep their inode where each day's is written over the last one's."""
    path.write_bytes(bytes(HEAD) + b"monday\n")
    place = place_in(path, HEAD, HEAD + 7)
    written(path, bytes(HEAD) + b"tuesday\n")
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
        patched.setattr("nbclient.daemon.inputs.cursors.os.open", fails)
        assert not found(place, path)
    with monkeypatch.context() as patched:
        patched.setattr("nbclient.daemon.inputs.cursors.os.pread", fails)
        assert not found(place, path)


def test_a_place_is_told_from_another_file_by_its_inode(path: Path) -> None:
    path.write_bytes(b"one\n")
    place = place_in(path, 4)
    other = path.with_suffix(".2")
    other.write_bytes(b"one\n")
    descriptor = os.open(other, os.O_RDONLY)
    assert not place.is_in(descriptor)
    os.close(descriptor)


# -- which file it is


def identity_of(path: Path) -> Identity:
    with path.open("rb") as file:
        return Identity.of(file.fileno())


def test_a_file_made_anew_is_another_though_it_has_the_inode(path: Path) -> None:
    path.write_bytes(b"")
    first = identity_of(path)
    with path.open("rb") as file:
        assert first.is_of(file.fileno())
    for _ in range(100_000):  # a kernel's clock may be as coarse as 10 ms
        path.unlink()
        path.write_bytes(b"")
        with path.open("rb") as file:
            if not first.is_of(file.fileno()):
                return
    assert first.born is None, "where nothing tells when it was created"


@pytest.mark.parametrize(
    ("known", "now", "same"),
    [
        (Identity(1, 2, 3), Identity(1, 2, 3), True),
        (Identity(1, 2, 3), Identity(9, 2, 3), True),  # the machine was started anew
        (Identity(1, 2, 3), Identity(1, 2, 4), False),
        (Identity(1, 2, 3), Identity(1, 8, 3), False),
        (Identity(1, 2, None), Identity(1, 2, 3), True),
        (Identity(1, 2, 3), Identity(1, 2, None), True),
        (Identity(1, 2, None), Identity(9, 2, None), False),
    ],
)
def test_a_file_is_known_by_its_inode_and_birth_else_by_inode_and_device(
    known: Identity, now: Identity, same: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Identity, "of", lambda descriptor: now)
    assert known.is_of(0) is same


def test_where_nothing_tells_when_it_was_created_that_is_not_known(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_bytes(b"")
    assert identity.born(-1) is None
    identity._statx.cache_clear()
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())  # a C library without it
    try:
        assert identity_of(path).born is None
    finally:
        identity._statx.cache_clear()
