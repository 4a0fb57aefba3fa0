"""Where a spool lives: a folder for each link, closed to others, with one owner at a time.

Nothing here touches a file that it did not find in order: whatever is refused
is left as it was.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nbclient.errors import LocalError

DATABASE = "spool.db"
LOCK = "lock"
RESERVE = "reserve"

MOUNTS = Path("/proc/self/mountinfo")
"""Linux's table of mounts, proc(5); elsewhere nothing is known of file systems."""

NETWORK = frozenset(
    [
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "gfs2",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "orangefs",
        "smb3",
        "smbfs",
        "vboxsf",
        "fuse.ceph-fuse",
        "fuse.davfs2",
        "fuse.gcsfuse",
        "fuse.glusterfs",
        "fuse.goofys",
        "fuse.juicefs",
        "fuse.mount.davfs",
        "fuse.nfs",
        "fuse.rclone",
        "fuse.s3fs",
        "fuse.smbnetfs",
        "fuse.sshfs",
        "fuse.vmhgfs-fuse",
    ]
)
"""File systems that are, or may be, shared between machines: neither locks nor memory maps hold."""

VOLATILE = frozenset({"tmpfs", "ramfs"})
"""File systems that a restart of the machine empties."""

_STEP = 1024 * 1024
"""A reserve's size is a multiple of this, bytes."""

_LOOK = 0.1
"""Seconds between two looks at a lock that somebody else has."""


class SpoolError(LocalError):
    """The spool cannot be used; the message is one line that begins with its path."""


class SpoolInUse(SpoolError):
    """Somebody else has the spool.

    :ivar pid: of which process, None where that is not known.
    """

    def __init__(self, folder: Path, pid: int | None) -> None:
        who = "another process" if pid is None else f"process {pid}"
        super().__init__(f"{folder}: in use by {who}")
        self.pid = pid


def folder_name(link_name: str) -> str:
    """The folder of this link: what of its name is safe in a path, and a hash of all of it."""
    slug = re.sub(r"[^a-z0-9._]+", "-", link_name.lower())[:40].strip("-.")
    digest = hashlib.sha256(link_name.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{slug or 'link'}-{digest}"


def reason(error: OSError) -> str:
    """What went wrong, in the system's words."""
    return error.strerror or str(error)


# -- closed to others --------------------------------------------------------------------


def make_folder(directory: Path, link_name: str) -> Path:
    """The folder of this link in `directory`; each is made (mode 0700) where it is missing.

    :raises SpoolError: one of them cannot be made, is open to others, belongs
        to somebody else, or is on a network file system.
    """
    refuse_network(directory)
    _make(directory)
    check_parent(directory)
    folder = directory / folder_name(link_name)
    _make(folder)
    check_own(folder, stat.S_ISDIR, "a folder")
    return folder


def _make(path: Path) -> None:
    try:
        path.mkdir(0o700)
        sync_folder(path.parent)
    except FileExistsError:
        return
    except OSError as error:
        raise SpoolError(f"{path}: cannot be made: {reason(error)}") from None


def sync_folder(path: Path) -> None:
    """Make what was created or renamed in this folder outlive a power cut.

    :raises OSError: it cannot.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_parent(directory: Path) -> None:
    """Refuse a folder in which somebody else could exchange what is ours.

    :raises SpoolError: it is no folder, or others may write to it.
    """
    found = _look(directory, directory.stat)
    if not stat.S_ISDIR(found.st_mode):
        raise SpoolError(f"{directory}: is not a folder")
    _check_owner(directory, found, 0)
    others = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if others and not found.st_mode & stat.S_ISVTX:
        raise SpoolError(
            f"{directory}: others may write to it"
            f" (mode {stat.S_IMODE(found.st_mode):04o}); chmod go-w it"
        )


def check_own(path: Path, right: Callable[[int], bool], noun: str) -> None:
    """Refuse what is not plainly ours and ours alone.

    :param right: says from the mode whether it is of the right kind.
    :param noun: the right kind.
    :raises SpoolError: another kind (a symbolic link too), another owner, a
        second name, or a mode that lets others in.
    """
    found = _look(path, path.lstat)
    if not right(found.st_mode):
        raise SpoolError(f"{path}: is not {noun}")
    _check_owner(path, found)
    if not stat.S_ISDIR(found.st_mode) and found.st_nlink != 1:
        raise SpoolError(f"{path}: has a second name (hard link)")
    if found.st_mode & 0o077:
        raise SpoolError(
            f"{path}: is open to others (mode {stat.S_IMODE(found.st_mode):04o}); chmod go= it"
        )


def _look(path: Path, look: Callable[[], os.stat_result]) -> os.stat_result:
    try:
        return look()
    except OSError as error:
        raise SpoolError(f"{path}: {reason(error)}") from None


def _check_owner(path: Path, found: os.stat_result, *also: int) -> None:
    if found.st_uid not in (os.geteuid(), *also):
        raise SpoolError(f"{path}: belongs to user {found.st_uid}, not to user {os.geteuid()}")


# -- the file system ---------------------------------------------------------------------


def file_system(path: Path, mounts: Path = MOUNTS) -> str:
    """The type of the file system that `path` is on, "" where that cannot be told."""
    try:
        table = mounts.read_bytes()
    except OSError:
        return ""
    real = os.fsencode(os.path.realpath(path))
    kind, longest = "", -1
    for point, found in _mounts(table):
        # Of two on the same point the later one covers the earlier.
        if len(point) >= longest and _inside(real, point):
            kind, longest = found, len(point)
    return kind


def _mounts(table: bytes) -> Iterator[tuple[bytes, str]]:
    for line in table.splitlines():
        before, _, behind = line.partition(b" - ")
        point = re.sub(rb"\\([0-7]{3})", lambda m: bytes([int(m[1], 8)]), before.split()[4])
        yield point, behind.split()[0].decode("ascii", "replace")


def _inside(path: bytes, point: bytes) -> bool:
    return path == point or path.startswith(point.rstrip(b"/") + b"/")


def refuse_network(path: Path, mounts: Path = MOUNTS) -> None:
    """Refuse a file system on which SQLite's WAL is not safe (sqlite.org/wal.html).

    :raises SpoolError: it may be shared between machines.
    """
    kind = file_system(path, mounts)
    if kind in NETWORK:
        raise SpoolError(f"{path}: is on a network file system ({kind}); a spool needs a local one")


def is_volatile(path: Path, mounts: Path = MOUNTS) -> bool:
    """Whether a restart of the machine empties the file system of `path`."""
    return file_system(path, mounts) in VOLATILE


# -- one owner at a time -----------------------------------------------------------------


def _pause(seconds: float) -> bool:
    time.sleep(seconds)
    return False


class Lock:
    """Held by the one process that may change a spool.

    The kernel lets go of it when the process ends, however that happens. The
    file stays: a lock on a file that somebody removes is no lock.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def take(cls, folder: Path, wait: float, pause: Callable[[float], bool] = _pause) -> Lock:
        """Take the lock of this folder, as soon as its owner lets go of it.

        Blocks for up to `wait` seconds.

        :param pause: sleeps so many seconds; True gives up waiting. The
            ``wait`` of a `threading.Event` will do.
        :raises SpoolInUse: it was not to be had in time.
        :raises SpoolError: the lock file is not ours, or cannot be locked.
        """
        path = folder / LOCK
        descriptor = _open_own(path)
        try:
            looks = max(0, round(wait / _LOOK))
            while not _locked(path, descriptor, fcntl.LOCK_EX):
                if not looks or pause(_LOOK):
                    raise SpoolInUse(folder, _read_pid(descriptor))
                looks -= 1
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
        except BaseException as error:
            os.close(descriptor)
            if isinstance(error, OSError):
                raise SpoolError(f"{path}: {reason(error)}") from None
            raise
        return cls(descriptor)

    def release(self) -> None:
        """Let the next one have it."""
        os.close(self._descriptor)


def _open_own(path: Path) -> int:
    """Open a file to change it, made (mode 0600) where it is missing."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        why = "is a symbolic link" if error.errno == errno.ELOOP else reason(error)
        raise SpoolError(f"{path}: {why}") from None
    try:
        check_own(path, stat.S_ISREG, "a plain file")
    except SpoolError:
        os.close(descriptor)
        raise
    return descriptor


def _locked(path: Path, descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise SpoolError(f"{path}: cannot be locked: {reason(error)}") from None
    return True


def _read_pid(descriptor: int) -> int | None:
    text = os.pread(descriptor, 20, 0).strip()
    return int(text) if text.isdigit() else None


@contextmanager
def _reading(path: Path) -> Iterator[int]:
    # Non-blocking, for what is there may be a FIFO.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def owner(folder: Path) -> SpoolInUse | None:
    """Who has this folder's lock now, as the error that `Lock.take` would raise.

    :raises SpoolError: the lock cannot be looked at.
    """
    path = folder / LOCK
    try:
        with _reading(path) as descriptor:
            # Shared, and for a moment: an owner that starts just now tries again.
            if _locked(path, descriptor, fcntl.LOCK_SH):
                return None
            return SpoolInUse(folder, _read_pid(descriptor))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SpoolError(f"{path}: {reason(error)}") from None


# -- room in reserve ---------------------------------------------------------------------


class Reserve:
    """Room on the disk that is kept to be given up when the disk is full.

    What was committed to SQLite's log needs room in the database too, before
    the log can be emptied. On a disk that is full there is none, and without
    it nothing could be forgotten either: the spool would stay full for ever.

    :raises SpoolError: the file cannot be opened, or is not ours alone.
    """

    def __init__(self, folder: Path) -> None:
        self._descriptor = _open_own(folder / RESERVE)
        self._size = os.fstat(self._descriptor).st_size

    def ensure(self, size: int) -> None:
        """Have at least so many bytes in reserve.

        :raises OSError: the disk has not that much room.
        """
        wanted = -(-size // _STEP) * _STEP
        if wanted > self._size and hasattr(os, "posix_fallocate"):
            os.posix_fallocate(self._descriptor, 0, wanted)
            self._size = wanted

    def release(self) -> None:
        """Give it up.

        :raises OSError: it cannot.
        """
        os.ftruncate(self._descriptor, 0)
        self._size = 0

    def close(self) -> None:
        """Give it up for good.

        :raises OSError: as `release`.
        """
        try:
            self.release()
        finally:
            os.close(self._descriptor)
