"""Files by date and by size: no frame is split, none is lost."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest

from nbclient.daemon.outputs.rotation import RotatingWriter

DAY = 86400.0


class Rotating:
    """A writer whose time is set by hand."""

    def __init__(self, path: Path, rotate: int | None = None, keep: int = 5) -> None:
        self.now = time.mktime((2026, 11, 22, 12, 0, 0, 0, 0, -1))
        self.writer = RotatingWriter(str(path), b"\n", rotate, keep, lambda: self.now)

    def write(self, *images: bytes) -> None:
        self.writer.put(images)
        self.writer.push()


def test_a_name_follows_the_time(tmp_path: Path) -> None:
    one = Rotating(tmp_path / "%Y" / "%m%d-100%%.log")
    one.write(b"a\n", b"b\n")
    one.now += DAY
    one.write(b"c\n")
    one.writer.close()
    assert (tmp_path / "2026" / "1122-100%.log").read_bytes() == b"a\nb\n"
    assert (tmp_path / "2026" / "1123-100%.log").read_bytes() == b"c\n"


def test_a_name_by_date_may_be_in_this_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    one = Rotating(Path("%d"))
    one.write(b"a\n")
    one.writer.close()
    assert (tmp_path / "22").read_bytes() == b"a\n"


def test_a_full_file_is_renamed_and_so_many_are_kept(tmp_path: Path) -> None:
    one = Rotating(tmp_path / "log", rotate=8, keep=2)
    one.write(*(b"%03d\n" % number for number in range(9)))
    one.writer.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "log.1", "log.2"]
    assert (tmp_path / "log").read_bytes() == b"008\n"
    assert (tmp_path / "log.1").read_bytes() == b"006\n007\n"
    assert (tmp_path / "log.2").read_bytes() == b"004\n005\n"


def test_a_frame_that_does_not_fit_goes_whole_into_the_next_file(tmp_path: Path) -> None:
    one = Rotating(tmp_path / "log", rotate=10)
    one.write(b"12345\n", b"67890\n", b"x" * 30 + b"\n", b"end\n")
    one.writer.close()
    contents = [(tmp_path / f"log{end}").read_bytes() for end in (".3", ".2", ".1", "")]
    assert contents == [b"12345\n", b"67890\n", b"x" * 30 + b"\n", b"end\n"]


def test_what_is_there_counts_and_a_torn_line_is_mended_first(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"torn")
    one = Rotating(tmp_path / "log", rotate=9)
    one.write(b"abc\n", b"def\n")
    one.writer.close()
    assert (tmp_path / "log.1").read_bytes() == b"torn\nabc\n"
    assert (tmp_path / "log").read_bytes() == b"def\n"


def test_the_mending_counts_too(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"torn")
    one = Rotating(tmp_path / "log", rotate=8)
    one.write(b"abc\n")
    one.writer.close()
    assert (tmp_path / "log.1").read_bytes() == b"torn"
    assert (tmp_path / "log").read_bytes() == b"abc\n"


def test_no_frame_is_torn_by_a_full_disk_at_the_rotation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Rotating(tmp_path / "log", rotate=4)
    replace, broken = os.replace, [True]

    def failing(source: str, target: str) -> None:
        if broken:
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", failing)
    one.write(b"abc\n")
    with pytest.raises(OSError, match="No space"):
        one.write(b"def\n")
    assert one.writer.left == 1
    broken.clear()
    one.write(b"ghi\n")
    one.writer.close()
    assert (tmp_path / "log.2").read_bytes() == b"abc\n"
    assert (tmp_path / "log.1").read_bytes() == b"def\n"
    assert (tmp_path / "log").read_bytes() == b"ghi\n"
