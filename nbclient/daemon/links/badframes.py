"""The last offenders of a peer, as files: what ``--bad-frames DIR`` keeps.

`BadFrames` is called as a decoder's ``rejected``, in the reactor's thread: what
it writes there is bounded, in size by what the decoder shows (64 KiB) and in
number: at most `KEPT` files in `PAUSE` seconds.
"""

from __future__ import annotations

import errno
import os
import re
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.interfaces import IDelayedCall

from nbclient.daemon.outputs.queued import make_folders
from nbclient.errors import BadFrame, PeerError

KEPT = 20
"""How many files there are at most."""

PAUSE = 1.0
"""Seconds from one writing to the next: of a flood, only the last `KEPT` of each are written."""

_OURS = re.compile(r"([0-9]{4,12})-[a-z0-9-]*\.bin")
_LONGEST_REASON = 40


class BadFrames:
    """Keeps the last offenders in a directory, oldest removed first.

    A file is called ``NNNN-reason.bin``, numbered on from those that were
    there, and only its owner may read it. Other files are let alone.

    The first is written at once, what follows within `PAUSE` seconds together.
    Never raises: what could not be written is counted, and told once.

    :param directory: made if it is not there.
    :param complain: told of the first failure, one line.
    :param clock: calls back for those that wait (`IReactorTime`).
    :ivar written: files written.
    :ivar failed: offenders that could not be written.
    :ivar withheld: offenders not written because `KEPT` later ones came at once.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        complain: Callable[[str], object],
        clock: Any,
    ) -> None:
        self.written = self.failed = self.withheld = 0
        self._directory = Path(directory)
        self._complain = complain
        self._clock = clock
        self._waiting: deque[tuple[bytes, PeerError]] = deque()
        self._timer: IDelayedCall | None = None
        self._next = 0.0  # when files may be written again
        self._files: deque[str] | None = None  # ours, oldest first; None: to be looked up
        self._number = 0  # of the latest

    def prepare(self) -> None:
        """See that files can be made in the directory.

        :raises OSError: they cannot.
        """
        if self._directory.exists() and not self._directory.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        self._files = self._look()
        if not os.access(self._directory, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    def __call__(self, data: bytes, error: PeerError) -> None:
        """Keep `data`, which `error` is about."""
        self._waiting.append((data, error))
        if len(self._waiting) > KEPT:
            self._waiting.popleft()
            self.withheld += 1
        if self._timer is not None:
            return
        now = self._clock.seconds()
        if now >= self._next:
            self._write()
        else:
            self._timer = self._clock.callLater(self._next - now, self._write)

    def close(self) -> None:
        """Write what waits, now."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
            self._write()

    def _write(self) -> None:
        self._timer = None
        self._next = self._clock.seconds() + PAUSE
        waiting, self._waiting = self._waiting, deque()
        for data, error in waiting:
            try:
                self._keep(data, reason(error))
            except OSError as problem:
                self._fail(problem)
            else:
                self.written += 1

    def _keep(self, data: bytes, why: str) -> None:
        files = self._files
        if files is None:
            files = self._look()
        while len(files) >= KEPT:
            (self._directory / files[0]).unlink(missing_ok=True)
            files.popleft()
        self._number += 1
        name = f"{self._number:04d}-{why}.bin"
        path = self._directory / name
        # Neither a link nor a file of somebody else's is written through.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        files.append(name)
        with open(descriptor, "wb", buffering=0) as file:
            rest = memoryview(data)
            while rest:
                rest = rest[file.write(rest) :]
        self._files = files

    def _look(self) -> deque[str]:
        """What is there from before, oldest first."""
        make_folders(str(self._directory), 0o700)
        found = sorted(
            (int(match[1]), match[0])
            for match in map(_OURS.fullmatch, os.listdir(self._directory))
            if match
        )
        self._number = max([self._number, *(number for number, _ in found)])
        return deque(name for _, name in found)

    def _fail(self, problem: OSError) -> None:
        self._files = None  # whatever is there now
        self.failed += 1
        if self.failed == 1:
            why = problem.strerror or type(problem).__name__
            self._complain(f"cannot keep bad frames in {self._directory}: {why}")


def reason(error: PeerError) -> str:
    """What is wrong, as a part of a file's name."""
    text = error.what if isinstance(error, BadFrame) else type(error).__name__
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+|[0-9]+", text)
    return "-".join(words).lower()[:_LONGEST_REASON].rstrip("-")
