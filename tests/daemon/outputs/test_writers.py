"""Writing images: what a short write or a full disk leaves, comes first."""

from __future__ import annotations

import errno
import fcntl
import os
import pty
from collections.abc import Callable
from pathlib import Path

import pytest

from nbclient.daemon.outputs import writers
from nbclient.daemon.outputs.writers import DescriptorWriter, FileWriter

Write = Callable[[int, "bytes | memoryview"], int]


def disk(*rooms: int | OSError) -> Write:
    """`os.write` that takes so many bytes, or raises, one entry a call; then everything."""
    left = list(rooms)

    def write(descriptor: int, data: bytes | memoryview) -> int:
        room = left.pop(0) if left else len(data)
        if isinstance(room, OSError):
            raise room
        return os.write(descriptor, data[:room])

    return write


FULL = OSError(errno.ENOSPC, "No space left on device")


def test_a_file_is_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"old\n")
    writer = FileWriter(str(path), b"\n")
    writer.put([b"a\n", b"b\n"])
    assert writer.left == 2
    writer.push()
    assert writer.left == 0
    writer.close()
    writer.close()
    assert path.read_bytes() == b"old\na\nb\n"


def test_after_a_short_write_the_rest_of_the_frame_goes_first(tmp_path: Path) -> None:
    path = tmp_path / "out"
    writer = FileWriter(str(path), b"\n", disk(3, FULL))
    writer.put([b"abc\n", b"def\n"])
    with pytest.raises(OSError, match="No space"):
        writer.push()
    assert path.read_bytes() == b"abc"
    assert writer.left == 2
    writer.put([b"ghi\n"])
    writer.push()
    assert path.read_bytes() == b"abc\ndef\nghi\n"


def test_writes_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writers, "CHUNK", 4)
    sizes: list[int] = []

    def write(descriptor: int, data: bytes | memoryview) -> int:
        sizes.append(len(data))
        return len(data)

    writer = FileWriter(str(tmp_path / "out"), b"", write)
    writer.put([b"ab", b"cd", b"", b"ef", b"0123456789"])
    writer.push()
    assert sizes == [4, 2, 4, 4, 2]
    assert writer.left == 0


@pytest.mark.parametrize("room", [1, 2, 3, 5, 8])
def test_each_write_holds_as_many_whole_images_as_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    monkeypatch.setattr(writers, "CHUNK", room)
    written: list[bytes] = []

    def write(descriptor: int, data: bytes | memoryview) -> int:
        written.append(bytes(data))
        return len(data)

    images = [b"x" * (number * 7 % 5) for number in range(40)]
    expected, fits = [], b""
    for image in images:
        if fits and len(fits + image) > room:
            expected.append(fits)
            fits = b""
        fits += image
    writer = FileWriter(str(tmp_path / "out"), b"", write)
    for start in range(0, len(images), 10):
        writer.put(images[start : start + 10])
    writer.push()
    pieces = [
        fits[at : at + room] for fits in [*expected, fits] for at in range(0, len(fits), room)
    ]
    assert b"".join(written) == b"".join(images)
    assert len(written) <= len(pieces)
    assert max(map(len, written)) <= room


def test_empty_images_are_written_too(tmp_path: Path) -> None:
    writer = FileWriter(str(tmp_path / "out"))
    writer.put([b"", b""])
    writer.push()
    assert writer.left == 0


@pytest.mark.parametrize(("end", "mended"), [(b"torn", b"torn\n"), (b"x\n", b"x\n"), (b"", b"")])
def test_a_file_that_ends_inside_a_line_is_mended(
    tmp_path: Path, end: bytes, mended: bytes
) -> None:
    path = tmp_path / "out"
    path.write_bytes(end)
    writer = FileWriter(str(path), b"\n", disk(0, 1))
    writer.put([b"new\n"])
    writer.push()
    assert path.read_bytes() == mended + b"new\n"


def test_a_short_file_is_mended_with_a_long_terminator(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"\n")
    writer = FileWriter(str(path), b"\r\n")
    writer.put([b"new\r\n"])
    writer.push()
    assert path.read_bytes() == b"\n\r\nnew\r\n"


def test_a_file_that_may_not_be_read_is_not_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"torn")
    opened = os.open

    def no_reading(name: str, flags: int, mode: int = 0o777) -> int:
        if not flags & os.O_WRONLY:
            raise PermissionError
        return opened(name, flags, mode)

    monkeypatch.setattr(os, "open", no_reading)
    writer = FileWriter(str(path), b"\n")
    writer.put([b"new\n"])
    writer.push()
    assert path.read_bytes() == b"tornnew\n"


def test_a_frame_begun_on_a_full_disk_is_taken_back_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "out"
    writer = FileWriter(str(path), b"\n", disk(6, FULL))
    writer.put([b"abc\n", b"def\n"])
    with pytest.raises(OSError, match="No space"):
        writer.push()
    assert path.read_bytes() == b"abc\nde"
    writer.close()
    assert path.read_bytes() == b"abc\n"
    assert writer.left == 1


def test_what_somebody_appended_meanwhile_is_not_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "out"
    writer = FileWriter(str(path), b"\n", disk(2, FULL))
    writer.put([b"abc\n"])
    with pytest.raises(OSError, match="No space"):
        writer.push()
    with path.open("ab") as other:
        other.write(b"other\n")
    writer.close()
    assert path.read_bytes() == b"abother\n"


def test_reopening_begins_the_new_file_with_a_whole_frame(tmp_path: Path) -> None:
    path = tmp_path / "out"
    writer = FileWriter(str(path), b"\n", disk(6, FULL))
    writer.put([b"abc\n", b"def\n"])
    with pytest.raises(OSError, match="No space"):
        writer.push()
    path.rename(tmp_path / "out.1")
    writer.reopen()
    writer.push()
    assert (tmp_path / "out.1").read_bytes() == b"abc\n"
    assert path.read_bytes() == b"def\n"


def test_a_file_that_cannot_be_reopened_is_opened_by_the_next_push(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "out"
    path.parent.mkdir()
    writer = FileWriter(str(path), b"\n")
    writer.open()
    path.unlink()
    path.parent.rmdir()
    with pytest.raises(FileNotFoundError):
        writer.reopen()
    path.parent.mkdir()
    writer.put([b"a\n"])
    writer.push()
    assert path.read_bytes() == b"a\n"


def test_a_file_that_was_deleted_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "out"
    path.parent.mkdir()
    writer = FileWriter(str(path), b"\n")
    writer.put([b"a\n"])
    writer.push()
    path.unlink()
    path.parent.rmdir()
    writer.put([b"b\n"])
    with pytest.raises(FileNotFoundError):
        writer.push()
    assert writer.left == 1
    path.parent.mkdir()
    writer.push()
    assert path.read_bytes() == b"b\n"
    writer.close()


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    for readers in (1, 0):
        with pytest.raises(OSError, match="Not a regular file"):
            FileWriter(str(tmp_path / "pipe")).open()
        if readers:
            os.close(reader)
    with pytest.raises(IsADirectoryError):
        FileWriter(str(tmp_path)).open()


def test_a_device_is_written_to() -> None:
    writer = FileWriter("/dev/full", b"\n", disk(3))
    writer.put([b"abc\n"])
    with pytest.raises(OSError, match="No space"):
        writer.push()
    writer.close()


def test_a_device_that_took_half_a_frame_is_left_alone() -> None:
    def half(descriptor: int, data: bytes | memoryview) -> int:
        if len(data) == 4:
            return 2
        raise FULL

    writer = FileWriter("/dev/null", b"\n", half)
    writer.put([b"abc\n"])
    with pytest.raises(OSError, match="No space"):
        writer.push()
    writer.close()
    assert writer.left == 1


def test_a_descriptor_is_written_to_and_stays_open() -> None:
    reader, target = os.pipe()
    writer = DescriptorWriter(target)
    writer.put([b"a", b"b"])
    writer.push()
    writer.reopen()
    writer.close()
    assert os.read(reader, 10) == b"ab"
    os.close(target)
    os.close(reader)


def test_a_descriptor_that_somebody_made_non_blocking_is_waited_for() -> None:
    reader, target = os.pipe()
    tries = [BlockingIOError(), BlockingIOError()]

    def write(descriptor: int, data: bytes | memoryview) -> int:
        if tries:
            raise tries.pop()
        return os.write(descriptor, data)

    writer = DescriptorWriter(target, write)
    writer.put([b"a"])
    writer.push()
    assert os.read(reader, 10) == b"a"
    os.close(target)
    os.close(reader)


def test_a_terminals_flags_stay_as_they_are() -> None:
    controller, terminal = pty.openpty()
    before = fcntl.fcntl(terminal, fcntl.F_GETFL)
    writer = DescriptorWriter(terminal)
    writer.put([b"a\n"])
    writer.push()
    assert fcntl.fcntl(terminal, fcntl.F_GETFL) == before
    os.close(controller)
    os.close(terminal)
