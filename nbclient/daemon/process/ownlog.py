"""twistd's own log file, opened anew once another program has renamed it.

Twisted's `LogFile` renames itself, at 1 MB and on SIGUSR1. A file that logrotate(8) has renamed
it would rename once more, or write to for ever.
"""

from __future__ import annotations

import os
import signal
from typing import Any, cast

from twisted.logger import ILogObserver, textFileLogObserver
from twisted.python import threadable
from twisted.python.logfile import LogFile


def path_of(parent: Any) -> str | None:
    """The file that twistd logs to with these options; None: it logs to something else."""
    if parent.get("logger") or parent.get("syslog"):
        return None
    path: str | None = parent.get("logfile")
    if not path and not parent.get("nodaemon", True):
        return "twistd.log"
    return None if not path or path == "-" else path


class OwnLog(LogFile):
    """A log file that two programs may rotate, this one and logrotate."""

    synchronized = ["rotate"]

    def rotate(self) -> None:
        """Rename it, as Twisted does, unless that was done; then write to a new one.

        :raises OSError: the new one cannot be opened; the old one is written to still.
        """
        if self._moved():
            self._begin_anew()
        else:
            super().rotate()

    def follow(self) -> None:
        """Write to a new file if the old one was renamed.

        :raises OSError: as `rotate`.
        """
        if self._moved():
            self.rotate()

    def _moved(self) -> bool:
        here = os.fstat(self._file.fileno())
        try:
            named = os.stat(self.path)
        except FileNotFoundError:
            return True
        return (named.st_dev, named.st_ino) != (here.st_dev, here.st_ino)

    def _begin_anew(self) -> None:
        """Another program sees to its size from now on."""
        before = self._file
        self._openFile()
        before.close()
        self.rotateLength = None


threadable.synchronize(OwnLog)


def log_to(path: str, application: Any, reactor: Any) -> OwnLog:
    """Have twistd log to this file for the application, as it would by itself.

    :raises OSError: it cannot be opened.
    """
    log: OwnLog = OwnLog.fromFullPath(path)
    application.setComponent(ILogObserver, textFileLogObserver(cast(Any, log)))

    def rotate(number: int, frame: object) -> None:
        reactor.callFromThread(log.rotate)

    # As twistd does: an operator may rotate it before the job has begun.
    if signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL:
        signal.signal(signal.SIGUSR1, rotate)
    return log
