"""What is bound to fail, found before anything is opened.

twistd goes into the background, and changes its user, before it opens a file.
By then nobody sees what goes wrong. Here nothing is made, read or changed.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable, Mapping

from nbclient.daemon.config.iospec import Place, address
from nbclient.daemon.inputs import intake
from nbclient.daemon.links.ends import program, why
from nbclient.daemon.local.listener import check_path
from nbclient.errors import LocalError


def look_at(
    source: Place,
    targets: Iterable[Place],
    spool: str | None = None,
    bad_frames: str | None = None,
) -> None:
    """See whether an input, outputs and folders could be opened, as far as that can be known.

    :param spool: the folder of the spool, if there is one.
    :param bad_frames: the folder for bad frames, if there is one.
    :raises LocalError: one of them cannot; one line that begins with the option's name.
    """
    _look("input", source, _SOURCES)
    for target in targets:
        _look("output", target, _TARGETS)
    if spool is not None:
        _look("spool", Place("spool", spool), {"spool": _spool})
    if bad_frames is not None:
        _look("bad-frames", Place("bad-frames", bad_frames), {"bad-frames": _bad_frames})


def _look(option: str, place: Place, looks: Mapping[str, Callable[[Place], object]]) -> None:
    try:
        if place.kind in looks:
            looks[place.kind](place)
    except (OSError, LocalError) as error:
        raise LocalError(f"--{option}: {why(place, error)}") from None


def _to_read(place: Place) -> None:
    os.close(intake.open_file(place.path))


def _to_follow(place: Place) -> None:
    """It need not be there yet."""
    if os.path.lexists(place.path):
        _to_read(place)


def _to_append(place: Place) -> None:
    if "%" in place.path:  # its name changes, and its folders are made
        return
    mode = _mode(place.path)
    if mode is None:
        _room_for(place.path)
    elif stat.S_ISREG(mode) or stat.S_ISDIR(mode):  # the latter says so when it is opened
        os.close(os.open(place.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC))
    elif not stat.S_ISCHR(mode):
        raise OSError(errno.EINVAL, "Not a regular file")


def _fifo(place: Place) -> None:
    mode = _mode(place.path)
    if mode is None:
        _room_for(place.path)
    elif not stat.S_ISFIFO(mode):
        raise OSError(errno.EINVAL, "Not a fifo")


def _door(place: Place) -> None:
    path = address(place.path).path
    if path:
        check_path(path)
        _room_for(path)


def _spool(place: Place) -> None:
    path = os.path.normpath(place.path)  # no slash at its end
    if _mode(path) is None:
        _room_for(path)
    else:
        _to_write_in(path)


def _bad_frames(place: Place) -> None:
    """It is made, and so are the folders it is in."""
    path = os.path.normpath(place.path)
    while path and not os.path.lexists(path):
        path = os.path.dirname(path)
    _to_write_in(path or ".")


def _mode(path: str) -> int | None:
    """What is there; None if nothing is."""
    try:
        return os.stat(path).st_mode
    except FileNotFoundError:
        return None


def _room_for(path: str) -> None:
    """Whether its folder is there, and something can be made in it."""
    _to_write_in(os.path.dirname(path) or ".")


def _to_write_in(folder: str) -> None:
    if not stat.S_ISDIR(os.stat(folder).st_mode):
        raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))


_SOURCES: Mapping[str, Callable[[Place], object]] = {
    "file": _to_read,
    "tail": _to_follow,
    "fifo": _fifo,
    "listen": _door,
    "exec": program,
}
_TARGETS: Mapping[str, Callable[[Place], object]] = {
    "file": _to_append,
    "fifo": _fifo,
    "listen": _door,
}
