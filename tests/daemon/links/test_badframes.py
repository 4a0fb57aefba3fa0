"""The last offenders as files."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from twisted.internet.task import Clock

from nbclient import framing
from nbclient.daemon.links.badframes import KEPT, BadFrames, reason
from nbclient.errors import BadFrame, FrameTooLong, PeerError

TOO_LONG = FrameTooLong(5, 6)


class Ticking(Clock):
    """A clock that goes on by `step` seconds at each look."""

    step = 1.0

    def seconds(self) -> float:
        self.rightNow += self.step
        return self.rightNow


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def clock() -> Ticking:
    return Ticking()


@pytest.fixture
def keeper(tmp_path: Path, said: list[str], clock: Ticking) -> BadFrames:
    return BadFrames(tmp_path / "bad", said.append, clock)


def names(tmp_path: Path) -> list[str]:
    return sorted(os.listdir(tmp_path / "bad"))


def test_an_offender_is_a_file_named_for_what_is_wrong(keeper: BadFrames, tmp_path: Path) -> None:
    keeper(b"\0\xff", TOO_LONG)
    keeper(b"$GP*00", BadFrame("expected the checksum b'5C' (nmea)", b"00"))
    assert names(tmp_path) == [
        "0001-frame-too-long.bin",
        "0002-expected-the-checksum-b-5-c-nmea.bin",
    ]
    assert (tmp_path / "bad" / "0001-frame-too-long.bin").read_bytes() == b"\0\xff"
    assert keeper.written == 2


def test_only_the_owner_may_read_what_may_hold_a_password(
    keeper: BadFrames, tmp_path: Path
) -> None:
    before = os.umask(0)
    try:
        keeper(b"secret", TOO_LONG)
    finally:
        os.umask(before)
    (path,) = (tmp_path / "bad").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_there_are_never_more_than_twenty(keeper: BadFrames, tmp_path: Path) -> None:
    for number in range(KEPT + 5):
        keeper(b"%d" % number, TOO_LONG)
        assert len(names(tmp_path)) <= KEPT
    assert names(tmp_path)[0] == "0006-frame-too-long.bin"
    assert names(tmp_path)[-1] == "0025-frame-too-long.bin"


def test_a_restart_goes_on_where_the_last_run_ended(
    keeper: BadFrames, tmp_path: Path, said: list[str], clock: Ticking
) -> None:
    """Also where the numbers have grown longer, which no alphabet sorts."""
    directory = tmp_path / "bad"
    directory.mkdir()
    for number in range(9990, 10010):
        (directory / f"{number}-x.bin").touch()
    (directory / "notes.txt").touch()
    (directory / "1-x.bin").touch()
    keeper(b"new", TOO_LONG)
    found = names(tmp_path)
    assert "10010-frame-too-long.bin" in found
    assert "9990-x.bin" not in found
    assert "9991-x.bin" in found
    assert {"notes.txt", "1-x.bin"} < set(found)
    assert len(found) == KEPT + 2


def test_a_disk_that_fails_is_counted_and_told_once(
    tmp_path: Path, said: list[str], clock: Ticking
) -> None:
    (tmp_path / "bad").write_text("a file where the directory should be")
    keeper = BadFrames(tmp_path / "bad", said.append, clock)
    for _ in range(3):
        keeper(b"x", TOO_LONG)
    assert (keeper.failed, keeper.written) == (3, 0)
    assert said == [f"cannot keep bad frames in {tmp_path / 'bad'}: File exists"]


def test_a_disk_that_is_full_leaves_no_more_files_than_may_be(
    keeper: BadFrames, tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could not be written whole counts among the twenty."""
    real = os.open

    def full(path: Path, flags: int, mode: int = 0o777) -> int:
        real_descriptor = real(path, flags, mode)
        os.close(real_descriptor)
        return real("/dev/full", os.O_WRONLY)

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", full)
        for _ in range(KEPT + 3):
            keeper(b"x", TOO_LONG)
    assert keeper.failed == KEPT + 3
    assert said == [f"cannot keep bad frames in {tmp_path / 'bad'}: No space left on device"]
    assert len(names(tmp_path)) == KEPT
    keeper(b"again", TOO_LONG)
    assert keeper.written == 1
    assert len(names(tmp_path)) == KEPT


def test_a_directory_that_vanishes_is_made_anew(
    keeper: BadFrames, tmp_path: Path, said: list[str]
) -> None:
    keeper(b"one", TOO_LONG)
    for path in (tmp_path / "bad").iterdir():
        path.unlink()
    (tmp_path / "bad").rmdir()
    keeper(b"lost", TOO_LONG)
    keeper(b"kept", TOO_LONG)
    assert (keeper.failed, keeper.written) == (1, 2)
    assert len(said) == 1
    assert names(tmp_path) == ["0003-frame-too-long.bin"]


def test_a_file_that_somebody_removed_is_no_failure(keeper: BadFrames, tmp_path: Path) -> None:
    for _ in range(KEPT):
        keeper(b"x", TOO_LONG)
    (tmp_path / "bad" / "0001-frame-too-long.bin").unlink()
    keeper(b"x", TOO_LONG)
    assert keeper.failed == 0
    assert len(names(tmp_path)) == KEPT


def test_nothing_is_written_through_a_link(
    keeper: BadFrames, tmp_path: Path, said: list[str]
) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "0001-frame-too-long.bin").symlink_to(tmp_path / "precious")
    keeper._files = keeper._look()
    keeper._number = 0
    keeper(b"x", TOO_LONG)
    assert not (tmp_path / "precious").exists()
    assert keeper.failed == 1


def test_of_a_flood_the_first_is_written_at_once_and_then_the_last(
    keeper: BadFrames, tmp_path: Path, clock: Ticking
) -> None:
    """The last twenty are promised, and no more than that in a second."""
    clock.step = 0
    clock.rightNow = 1.0
    for number in range(KEPT + 31):
        keeper(b"%d" % number, TOO_LONG)
    assert (keeper.written, keeper.withheld) == (1, 30)
    clock.advance(1)
    assert keeper.written == KEPT + 1
    found = [(tmp_path / "bad" / name).read_bytes() for name in names(tmp_path)]
    assert found == [b"%d" % number for number in range(31, KEPT + 31)]
    assert clock.getDelayedCalls() == []


def test_at_the_end_nothing_waits_any_more(
    keeper: BadFrames, tmp_path: Path, clock: Ticking
) -> None:
    clock.step = 0
    clock.rightNow = 1.0
    keeper.close()
    for _ in range(3):
        keeper(b"x", TOO_LONG)
    assert len(names(tmp_path)) == 1
    keeper.close()
    assert len(names(tmp_path)) == 3
    assert clock.getDelayedCalls() == []


def test_a_directory_is_made_ready_at_the_start_or_refused(
    keeper: BadFrames, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper.prepare()
    assert names(tmp_path) == []
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may do anything
    with pytest.raises(PermissionError):
        keeper.prepare()
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        BadFrames(tmp_path / "file", print, Clock()).prepare()


def test_it_is_what_a_decoder_calls(keeper: BadFrames, tmp_path: Path) -> None:
    decoder = framing.stx_etx("xor", on_bad_frame="skip").decoder()
    decoder.rejected = keeper
    decoder.feed(b"noise\x02a\x03?\x02a\x03a")
    assert [name[5:] for name in names(tmp_path)] == [
        "expected-a-frame-that-begins-with-b-x-02.bin",
        "expected-the-checksum-b-a-xor.bin",
    ]


def test_any_reason_is_a_short_and_harmless_name() -> None:
    assert reason(BadFrame("../../etc/passwd\0\n" + "x" * 99, b"")) == "etc-passwd-" + "x" * 29
    assert reason(PeerError()) == "peer-error"
    assert reason(BadFrame("", b"")) == ""
