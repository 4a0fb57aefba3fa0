"""Named pipes: readers and writers come and go, whole frames stay whole."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from nbclient.daemon.outputs.fifo import CHUNK, FifoReader, FifoWriter, capacity, make_fifo


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "fifo"


class Reader:
    """A program that reads from a fifo."""

    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def read(self, size: int = 10**6) -> bytes:
        data = b""
        while len(data) < size:
            try:
                more = os.read(self.descriptor, size - len(data))
            except BlockingIOError:
                break
            if not more:
                break
            data += more
        return data

    def leave(self) -> None:
        os.close(self.descriptor)


# -- writing


def test_without_a_reader_frames_wait(path: Path) -> None:
    writer = FifoWriter(str(path))
    writer.push()  # nothing to write needs no reader
    writer.put([b"a\n", b"b\n"])
    with pytest.raises(OSError, match="no reader"):
        writer.push()
    assert writer.left == 2
    reader = Reader(path)
    writer.push()
    assert (writer.left, reader.read()) == (0, b"a\nb\n")
    reader.leave()
    writer.reopen()
    writer.close()
    writer.close()


def test_the_next_reader_begins_with_the_first_frame_that_was_not_read_wholly(path: Path) -> None:
    make_fifo(str(path))
    writer = FifoWriter(str(path))
    first = Reader(path)
    writer.put([b"aaa\n", b"bbb\n"])
    writer.push()
    writer.put([b"ccc\n"])
    writer.push()
    assert first.read(6) == b"aaa\nbb"
    first.leave()
    writer.put([b"ddd\n"])
    with pytest.raises(OSError, match="no reader"):
        writer.push()
    assert writer.left == 3
    second = Reader(path)
    writer.push()
    assert second.read() == b"bbb\nccc\nddd\n"
    second.leave()
    writer.close()


def test_a_frame_half_written_when_the_reader_left_is_written_again_whole(path: Path) -> None:
    make_fifo(str(path))
    first = Reader(path)
    calls: list[int] = []

    def write(descriptor: int, data: bytes | memoryview) -> int:
        calls.append(len(data))
        if len(calls) == 2:
            assert first.read() == b"aaa\nbb"
            first.leave()
        return os.write(descriptor, data[:6])

    writer = FifoWriter(str(path), write)
    writer.put([b"aaa\n", b"bbb\n", b"ccc\n"])
    with pytest.raises(OSError, match="no reader"):
        writer.push()
    assert writer.left == 2
    second = Reader(path)
    writer.push()
    assert second.read() == b"bbb\nccc\n"
    second.leave()
    writer.close()


def test_what_is_remembered_for_the_next_reader_is_bounded(path: Path) -> None:
    make_fifo(str(path))
    writer = FifoWriter(str(path))
    reader = Reader(path)
    for _ in range(20):
        writer.put([b"x" * 1000] * 32)
        writer.push()
        assert len(reader.read()) == 32_000
        held = sum(len(blob) for blob, _ in writer._sent)
        assert held <= capacity(reader.descriptor) + 2 * CHUNK
    reader.leave()
    writer.close()


def test_a_slow_reader_is_waited_for(path: Path) -> None:
    make_fifo(str(path))
    reader = Reader(path)
    got: list[bytes] = []

    def write(descriptor: int, data: bytes | memoryview) -> int:
        try:
            return os.write(descriptor, data)
        except BlockingIOError:
            got.append(reader.read())
            raise

    writer = FifoWriter(str(path), write)
    image = b"x" * 50_000
    writer.put([image] * 5)
    writer.push()
    got.append(reader.read())
    assert b"".join(got) == image * 5
    assert len(got) > 1
    reader.leave()
    writer.close()


def test_what_is_no_fifo_is_refused(tmp_path: Path, path: Path) -> None:
    path.write_bytes(b"a file")
    with pytest.raises(OSError, match="Not a fifo"):
        make_fifo(str(path))
    writer = FifoWriter(str(tmp_path / "none" / "fifo"))
    writer.put([b"a"])
    with pytest.raises(FileNotFoundError):
        writer.push()


def test_a_fifo_that_may_not_be_opened_says_so(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = FifoWriter(str(path))
    writer.put([b"a"])

    def forbidden(*_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", forbidden)
    with pytest.raises(PermissionError):
        writer.push()


def test_a_system_that_does_not_tell_a_pipes_size_has_the_usual_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(fcntl, "F_GETPIPE_SZ", raising=False)
    assert capacity(0) == CHUNK


# -- reading


@pytest.fixture
def reader(path: Path) -> Iterator[FifoReader]:
    made = FifoReader(str(path))
    made.open()
    yield made
    made.stop()
    assert made.read() == b""


def test_the_last_writers_exit_is_seen_and_ends_nothing(path: Path, reader: FifoReader) -> None:
    assert stat.S_ISFIFO(path.stat().st_mode)
    for line in (b"one\n", b"two"):
        with path.open("wb") as writer:
            writer.write(line)
        assert reader.read() == line
        assert reader.read() == b""


def test_one_of_two_writers_may_leave(path: Path, reader: FifoReader) -> None:
    with path.open("wb", buffering=0) as one, path.open("wb", buffering=0) as two:
        one.write(b"1")
        assert reader.read() == b"1"
        one.close()
        two.write(b"2")
        assert reader.read() == b"2"
    assert reader.read() == b""


def test_a_fifo_that_was_replaced_is_found(path: Path, reader: FifoReader) -> None:
    with path.open("wb", buffering=0) as writer:
        path.unlink()
        writer.write(b"old")
    assert reader.read() == b"old"
    assert reader.read() == b""
    with path.open("wb", buffering=0) as writer:
        writer.write(b"new")
    assert reader.read() == b"new"


def test_the_wait_for_a_writer_can_be_ended(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = FifoReader(str(path))
    reader.open()
    monkeypatch.setattr("nbclient.daemon.outputs.fifo.PATIENCE", 1)
    looks: list[int] = []
    read = os.read

    def look(descriptor: int, size: int) -> bytes:
        looks.append(descriptor)
        if len(looks) == 3:
            reader.stop()
        return read(descriptor, size)

    monkeypatch.setattr(os, "read", look)
    assert reader.read() == b""
    assert len(looks) == 3
