"""Where a spool lives: nobody else gets in, and there is one owner at a time."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nbclient.spool import folder as spool_place
from nbclient.spool.folder import (
    LOCK,
    RESERVE,
    Lock,
    Reserve,
    SpoolError,
    SpoolInUse,
    file_system,
    folder_name,
    is_volatile,
    make_folder,
    owner,
    refuse_network,
)

MIB = 1024 * 1024


def mode(path: Path) -> int:
    return path.lstat().st_mode & 0o7777


def never(_: float) -> bool:
    raise AssertionError("it waits")


# -- the folder's name


@pytest.mark.parametrize(
    "name", ["feed", "feed.example:5000", "/run/a.sock", "../..", "", "ä ö", "."]
)
def test_any_name_gives_one_plain_folder(name: str) -> None:
    made = folder_name(name)
    assert Path(made).name == made
    assert made.isascii()
    assert not made.startswith((".", "-"))


def test_names_that_look_alike_have_folders_of_their_own() -> None:
    names = ["a:1", "a-1", "a/1", "A:1", "a:1 ", "x" * 200, "x" * 201, "\udcff", ""]
    # Also where the file system takes upper and lower case for the same.
    assert len({folder_name(name).lower() for name in names}) == len(names)


def test_the_name_of_a_folder_never_changes_or_a_restart_would_find_nothing() -> None:
    assert folder_name("feed.example:5000") == "feed.example-5000-4d83d19f60f9"


# -- closed to others


def test_what_is_made_is_for_its_owner_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        folder = make_folder(tmp_path / "spool", "feed")
        Lock.take(folder, 0).release()
        Reserve(folder).close()
    finally:
        os.umask(before)
    assert (mode(tmp_path / "spool"), mode(folder)) == (0o700, 0o700)
    assert (mode(folder / LOCK), mode(folder / RESERVE)) == (0o600, 0o600)


def test_what_is_there_already_is_used_again(tmp_path: Path) -> None:
    assert make_folder(tmp_path, "feed") == make_folder(tmp_path, "feed")


def test_a_folder_in_which_others_could_exchange_ours_is_refused(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    spool.chmod(0o777)
    with pytest.raises(
        SpoolError, match=r"spool: others may write to it \(mode 0777\); chmod go-w"
    ):
        make_folder(spool, "feed")
    assert list(spool.iterdir()) == []


def test_a_sticky_folder_such_as_tmp_will_do(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    spool.chmod(0o1777)
    assert make_folder(spool, "feed").is_dir()


def test_a_folder_that_lets_others_look_in_is_refused(tmp_path: Path) -> None:
    make_folder(tmp_path, "feed").chmod(0o750)
    with pytest.raises(SpoolError, match=r"is open to others \(mode 0750\); chmod go="):
        make_folder(tmp_path, "feed")


def test_a_folder_of_somebody_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    if uid != 0:  # root's own folders may hold anybody's
        with pytest.raises(SpoolError, match=f"belongs to user {uid}, not to user 12345"):
            make_folder(tmp_path, "feed")
    with pytest.raises(SpoolError, match=f"belongs to user {uid}, not to user 12345"):
        spool_place.check_own(tmp_path, lambda _: True, "a folder")


@pytest.mark.parametrize("to", ["elsewhere", "nowhere"])
def test_a_symbolic_link_in_place_of_the_folder_is_not_followed(tmp_path: Path, to: str) -> None:
    (tmp_path / "elsewhere").mkdir(0o700)
    (tmp_path / folder_name("feed")).symlink_to(tmp_path / to)
    with pytest.raises(SpoolError, match="is not a folder"):
        make_folder(tmp_path, "feed")
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "spool").touch()
    with pytest.raises(SpoolError, match="spool: is not a folder"):
        make_folder(tmp_path / "spool", "feed")


def test_a_folder_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    with pytest.raises(SpoolError, match="x: cannot be made: No such file or directory"):
        make_folder(tmp_path / "missing" / "x", "feed")


def test_what_cannot_be_looked_at_says_why(tmp_path: Path) -> None:
    with pytest.raises(SpoolError, match="gone: No such file or directory"):
        spool_place.check_parent(tmp_path / "gone")


def test_a_file_with_a_second_name_is_refused_for_somebody_else_may_have_that(
    tmp_path: Path,
) -> None:
    (tmp_path / LOCK).touch(0o600)
    (tmp_path / "second").hardlink_to(tmp_path / LOCK)
    with pytest.raises(SpoolError, match="has a second name"):
        Lock.take(tmp_path, 0)


def test_an_error_without_words_of_the_system_has_its_own() -> None:
    assert spool_place.reason(OSError("odd")) == "odd"
    assert spool_place.reason(OSError(errno.ENOSPC, "full")) == "full"


# -- the file system

MOUNTS = r"""
21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
22 21 0:20 / /mnt/a\040b rw - nfs4 server:/x rw
23 21 0:21 / /mnt/over rw - nfs server:/x rw
24 21 254:1 / /mnt/over rw master:2 shared:3 - xfs /dev/vdb rw
25 21 0:22 / /dev/shm rw - tmpfs tmpfs rw
26 21 0:23 / /mnt/fuse rw - fuse.sshfs host:/x rw
""".lstrip()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/etc", "ext4"),
        ("/", "ext4"),
        ("/mnt/a b", "nfs4"),
        ("/mnt/a b/not/there", "nfs4"),
        ("/mnt/a bc", "ext4"),
        ("/mnt/over/x", "xfs"),
        ("/mnt/fuse", "fuse.sshfs"),
    ],
)
def test_the_file_system_is_that_of_the_innermost_mount(
    tmp_path: Path, path: str, kind: str
) -> None:
    (tmp_path / "mounts").write_text(MOUNTS)
    assert file_system(Path(path), tmp_path / "mounts") == kind


def test_a_network_file_system_is_refused_for_its_locks_do_not_hold(tmp_path: Path) -> None:
    (tmp_path / "mounts").write_text(MOUNTS)
    refuse_network(Path("/etc"), tmp_path / "mounts")
    with pytest.raises(SpoolError, match=r"/mnt/a b/x: is on a network file system \(nfs4\)"):
        refuse_network(Path("/mnt/a b/x"), tmp_path / "mounts")


def test_it_is_refused_before_anything_is_made_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_place, "NETWORK", frozenset({file_system(tmp_path)}))
    with pytest.raises(SpoolError, match="network"):
        make_folder(tmp_path / "spool", "feed")
    assert list(tmp_path.iterdir()) == []


def test_memory_is_known_to_be_volatile(tmp_path: Path) -> None:
    (tmp_path / "mounts").write_text(MOUNTS)
    assert is_volatile(Path("/dev/shm/x"), tmp_path / "mounts")
    assert not is_volatile(Path("/etc"), tmp_path / "mounts")


def test_where_there_is_no_table_of_mounts_nothing_is_refused(tmp_path: Path) -> None:
    assert file_system(tmp_path, tmp_path / "none") == ""
    refuse_network(tmp_path, tmp_path / "none")


# -- the lock


def test_the_second_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    first = Lock.take(tmp_path, 0)
    with pytest.raises(SpoolInUse, match=f"in use by process {os.getpid()}$") as caught:
        Lock.take(tmp_path, 0, never)
    assert caught.value.pid == os.getpid()
    first.release()
    Lock.take(tmp_path, 0).release()


def test_the_second_gets_it_as_soon_as_the_first_lets_go(tmp_path: Path) -> None:
    first = Lock.take(tmp_path, 0)
    looks: list[float] = []

    def pause(seconds: float) -> bool:
        looks.append(seconds)
        if len(looks) == 3:
            first.release()
        return False

    Lock.take(tmp_path, 10, pause).release()
    assert len(looks) == 3


def test_waiting_takes_as_long_as_asked_and_no_longer(tmp_path: Path) -> None:
    first = Lock.take(tmp_path, 0)
    looks: list[float] = []
    with pytest.raises(SpoolInUse):
        Lock.take(tmp_path, 10, lambda seconds: bool(looks.append(seconds)))
    assert sum(looks) == pytest.approx(10)
    first.release()


def test_waiting_can_be_given_up(tmp_path: Path) -> None:
    first = Lock.take(tmp_path, 0)
    looks: list[float] = []

    def pause(seconds: float) -> bool:
        looks.append(seconds)
        return True

    with pytest.raises(SpoolInUse):
        Lock.take(tmp_path, 10, pause)
    assert len(looks) == 1
    first.release()


def test_it_waits_by_itself_where_nothing_else_is_asked_for(tmp_path: Path) -> None:
    first = Lock.take(tmp_path, 0)
    with pytest.raises(SpoolInUse):
        Lock.take(tmp_path, 0.1)
    first.release()


def test_an_owner_that_was_killed_leaves_no_lock(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path;"
        " from nbclient.spool.folder import Lock;"
        " Lock.take(Path(sys.argv[1]), 0); os.kill(os.getpid(), 9)"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code, tmp_path], cwd=root, timeout=30, check=False)
    assert done.returncode == -9
    assert (tmp_path / LOCK).read_text().strip().isdigit()
    Lock.take(tmp_path, 0, never).release()


def test_an_owner_that_has_not_written_its_pid_yet_is_another_process(tmp_path: Path) -> None:
    with (tmp_path / LOCK).open("w") as file:
        (tmp_path / LOCK).chmod(0o600)
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(SpoolInUse, match="in use by another process") as caught:
            Lock.take(tmp_path, 0)
    assert caught.value.pid is None


def test_a_lock_that_is_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept")
    (tmp_path / LOCK).symlink_to(tmp_path / "precious")
    with pytest.raises(SpoolError, match="lock: is a symbolic link"):
        Lock.take(tmp_path, 0)
    assert (tmp_path / "precious").read_text() == "kept"


def test_a_lock_that_is_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / LOCK).mkdir()
    with pytest.raises(SpoolError, match="lock: Is a directory"):
        Lock.take(tmp_path, 0)


def failing(number: int) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def test_a_file_system_without_locks_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fcntl, "flock", failing(errno.ENOLCK))
    with pytest.raises(SpoolError, match="lock: cannot be locked: No locks available"):
        Lock.take(tmp_path, 0)


def test_a_lock_whose_pid_cannot_be_written_is_let_go_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "pwrite", failing(errno.ENOSPC))
    with pytest.raises(SpoolError, match="lock: No space left on device"):
        Lock.take(tmp_path, 0)
    monkeypatch.undo()
    Lock.take(tmp_path, 0).release()


def test_the_owner_can_be_asked_for_without_becoming_it(tmp_path: Path) -> None:
    assert owner(tmp_path) is None
    lock = Lock.take(tmp_path, 0)
    found = owner(tmp_path)
    assert found is not None
    assert found.pid == os.getpid()
    lock.release()
    assert owner(tmp_path) is None


def test_a_lock_that_cannot_be_looked_at_says_why(tmp_path: Path) -> None:
    (tmp_path / LOCK).symlink_to("anywhere")
    with pytest.raises(SpoolError, match="lock: Too many levels of symbolic links"):
        owner(tmp_path)


# -- the reserve


def test_the_reserve_takes_room_and_gives_it_back(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path)
    reserve.ensure(1)
    found = (tmp_path / RESERVE).stat()
    assert found.st_size == MIB
    assert found.st_blocks * 512 >= MIB, "it must be there, not only promised"
    reserve.ensure(MIB)
    assert (tmp_path / RESERVE).stat().st_size == MIB
    reserve.ensure(MIB + 1)
    assert (tmp_path / RESERVE).stat().st_size == 2 * MIB
    reserve.release()
    assert (tmp_path / RESERVE).stat().st_size == 0
    reserve.ensure(1)
    assert (tmp_path / RESERVE).stat().st_size == MIB
    reserve.close()
    assert (tmp_path / RESERVE).stat().st_size == 0


def test_a_reserve_left_by_a_crash_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / RESERVE).write_bytes(bytes(MIB))
    (tmp_path / RESERVE).chmod(0o600)
    reserve = Reserve(tmp_path)
    monkeypatch.setattr(os, "posix_fallocate", failing(errno.ENOSPC))
    reserve.ensure(MIB)
    with pytest.raises(OSError, match="No space"):
        reserve.ensure(MIB + 1)
    reserve.close()


def test_where_room_cannot_be_reserved_there_is_no_reserve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "posix_fallocate")
    reserve = Reserve(tmp_path)
    reserve.ensure(MIB)
    assert (tmp_path / RESERVE).stat().st_size == 0
    reserve.close()
