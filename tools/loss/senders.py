"""Who sends: nbclient at its levels, and what people use instead."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from attrs import frozen

from tools.loss import daemons
from tools.loss.children import python

WINDOW = ("--window", "128")
"""Frames that may wait for their answers; the same as RELP's default."""


@frozen
class Job:
    """What is to be sent where.

    :ivar rate: frames a second that the source makes.
    :ivar folder: for whatever the sender keeps.
    :ivar ca: a file, where TLS is to be spoken.
    """

    host: str
    port: int
    count: int
    rate: float
    folder: Path
    ca: str | None

    def arguments(self) -> list[str]:
        """As our own programs take them."""
        secure = ["--tls-ca", self.ca] if self.ca else []
        return [self.host, str(self.port), str(self.count), "--rate", str(self.rate), *secure]


@frozen
class Sender:
    """One way of sending.

    :ivar name: on the command line; `title`: in the table.
    :ivar command: the program for a job, its files written.
    :ivar level: nbclient's level of delivery; None: somebody else's program, whose
        figures are taken as they come.
    :ivar mute: it tells no counters that could be compared.
    :ivar answers: the server is to answer each frame.
    :ivar endless: it does not end by itself.
    :ivar program: what has to be installed.
    :ivar version: prints its version, in the first line.
    """

    name: str
    title: str
    command: Callable[[Job], list[str]]
    level: str | None = None
    mute: bool = False
    answers: bool = False
    endless: bool = False
    program: str | None = None
    version: tuple[str, ...] = ()

    @property
    def missing(self) -> bool:
        return self.program is not None and shutil.which(self.program) is None


def _nbclient(level: str, *more: str, spool: bool = False) -> Callable[[Job], list[str]]:
    def command(job: Job) -> list[str]:
        kept = ["--spool", str(job.folder / "spool")] if spool else []
        return python("send_nbclient", *job.arguments(), "--delivery", level, *more, *kept)

    return command


def _batch(job: Job) -> list[str]:
    return python("send_batch", *job.arguments(), "--folder", job.folder, *WINDOW)


def _ours(module: str) -> Callable[[Job], list[str]]:
    return lambda job: python(module, *job.arguments())


def _daemon(
    configure: Callable[[str, int, Path, str | None], str], *command: str
) -> Callable[[Job], list[str]]:
    """A syslog daemon that reads the frames from a file as it grows."""

    def prepare(job: Job) -> list[str]:
        frames = job.folder / "frames"
        frames.touch()
        text = configure(job.host, job.port, job.folder, job.ca)
        (job.folder / "config").write_text(text)
        program = [part.replace("FOLDER", str(job.folder)) for part in command]
        return python("send_daemon", frames, job.count, "--rate", job.rate, "--", *program)

    return prepare


SENDERS = (
    Sender("asyncio", "asyncio, `write` and `drain`", _ours("send_asyncio")),
    Sender("twisted", "Twisted, `write` and a queue while disconnected", _ours("send_twisted")),
    Sender(
        "rsyslog",
        "rsyslog, `omfwd` with a disk-assisted queue",
        _daemon(daemons.rsyslog, "rsyslogd", "-n", "-f", "FOLDER/config", "-i", "FOLDER/pid"),
        endless=True,
        program="rsyslogd",
        version=("rsyslogd", "-v"),
    ),
    Sender(
        "syslog-ng",
        "syslog-ng, `network()` with `disk-buffer(reliable(yes))`",
        _daemon(
            daemons.syslog_ng,
            *("syslog-ng", "-F", "--no-caps", "-f", "FOLDER/config", "-p", "FOLDER/pid"),
            *("-c", "FOLDER/control", "-R", "FOLDER/persist"),
        ),
        endless=True,
        program="syslog-ng",
        version=("syslog-ng", "-V"),
    ),
    Sender("written", "nbclient, `written`", _nbclient("written"), "written"),
    Sender("tcp", "nbclient, `tcp`", _nbclient("tcp"), "tcp"),
    Sender("tcp-spool", "nbclient, `tcp`, with a spool", _nbclient("tcp", spool=True), "tcp"),
    Sender("reply", "nbclient, `reply`", _nbclient("reply", *WINDOW), "reply", answers=True),
    Sender(
        "reply-spool",
        "nbclient, `reply`, with a spool",
        _nbclient("reply", *WINDOW, spool=True),
        "reply",
        answers=True,
    ),
    Sender(
        "batch",
        "nbclient's command line, `reply`, with a spool, itself killed three times",
        _batch,
        "reply",
        answers=True,
        mute=True,
    ),
)


def version(sender: Sender) -> str:
    """What its program calls itself, one line."""
    said = subprocess.run(sender.version, capture_output=True, text=True, check=False, timeout=10)
    first = (said.stdout or said.stderr).splitlines()[0]
    return " ".join(first.partition("compiled")[0].split())
