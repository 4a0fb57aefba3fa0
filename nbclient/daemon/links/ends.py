"""The two ends of a job: its input and its outputs, opened as the plan says."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from attrs import evolve
from twisted.logger import Logger

from nbclient.daemon.config.iospec import Place, address, command, host_port
from nbclient.daemon.config.values import shown
from nbclient.daemon.inputs import intake as inputs
from nbclient.daemon.inputs.cursors import BatchCursor, Cursor
from nbclient.daemon.inputs.exec import BACKOFF, Coprocess
from nbclient.daemon.inputs.intake import Input, Intake, Resume, Source
from nbclient.daemon.inputs.tail import Tail, TailCursor
from nbclient.daemon.links.builder import Link
from nbclient.daemon.links.plan import Plan, Surroundings
from nbclient.daemon.links.progress import Progress, Screen, make_progress
from nbclient.daemon.links.sending import Sending
from nbclient.daemon.links.spool import JobSpool
from nbclient.daemon.local import listener
from nbclient.daemon.local.listener import Door, ListenInput, ListenOutput
from nbclient.daemon.local.thread import Runner
from nbclient.daemon.outputs.base import LogOutput, NoOutput, Output
from nbclient.daemon.outputs.fifo import FifoReader, FifoWriter, make_fifo
from nbclient.daemon.outputs.formats import Format
from nbclient.daemon.outputs.queued import Full, StreamOutput, os_reason
from nbclient.daemon.outputs.rotation import KEEP, RotatingWriter
from nbclient.daemon.outputs.udp import DatagramOutput
from nbclient.daemon.outputs.writers import DescriptorWriter, Writer
from nbclient.delivery.outbox import OutboxStats
from nbclient.endpoints import resolver
from nbclient.errors import LocalError

_FULL = {"wait": Full.WAIT, "drop": Full.DROP, None: Full.DROP_IF_BROKEN}


class Ends:
    """Opens the input and the outputs of one job.

    :param reactor: runs them.
    :param plan: says which.
    :param around: what the process has.
    :param link: takes the input's frames.
    :param log: where they log.
    :param restarts: whether a coprocess is started again when it ends.
    :param nobody_reads: called when the reader of standard output is gone.
    :param sending: takes the input's frames to the link.
    :param spool: knows where inputs stopped being read.

    :ivar progress: the bar of the input, where it has one.
    """

    def __init__(
        self,
        reactor: Any,
        plan: Plan,
        around: Surroundings,
        link: Link,
        log: Logger,
        restarts: bool,
        nobody_reads: Callable[[], None],
        sending: Sending,
        spool: JobSpool,
    ) -> None:
        self._reactor = reactor
        self._plan = plan
        self._around = around
        self._link = link
        self._log = log
        self._restarts = restarts
        self._nobody_reads = nobody_reads
        self._sending = sending
        self._spool = spool
        self._doors: dict[str, Door] = {}
        self.progress: Progress | None = None

    def open(self) -> tuple[Source | None, list[Output]]:
        """The input, if there is one, and the outputs; nothing is read yet.

        :raises LocalError: one of them cannot be opened.
        """
        place = self._plan.source
        try:
            source = self._source(place)
        except (OSError, LocalError) as error:
            raise LocalError(f"--input: {why(place, error)}") from None
        outputs = [self._output(place, shape) for place, shape in self._plan.targets]
        if isinstance(source, Coprocess):
            outputs.append(source)
        self._open_doors()
        return source, outputs

    # -- the input

    def _source(self, place: Place) -> Source | None:
        if place.kind == "none":
            return None
        if place.kind == "listen":
            alone = not any(place.same(target) for target, _ in self._plan.targets)
            return ListenInput(self._door(place), self._intake(str(place)), alone)
        if place.kind == "exec":
            return self._coprocess(place)
        if place.kind == "tail":
            return self._tail(place)
        if place.kind == "fifo":
            fifo = FifoReader(place.path)
            fifo.open()
            return self._endless(place, fifo.read, fifo.stop)
        if place.kind == "-" and self._around.stdin is not None:
            name, descriptor = "stdin", self._around.stdin
        else:
            name, descriptor = place.path, inputs.open_file(place.path)
        runner = self._around.runner(f"input {name}")
        intake = self._intake(name)
        if self._around.screen is not None:
            self.progress = self._progress(name, descriptor, self._around.screen)
            intake.taken = None if self.progress is None else self.progress.taken
        if place.kind != "file" or not self._spool.wanted:
            return Input(intake, lambda: inputs.read_chunk(descriptor), runner)
        cursor = BatchCursor(place.path)

        def read() -> bytes:
            data = inputs.read_chunk(descriptor)
            cursor.look(descriptor)
            return data

        resume = partial(self._resume, cursor, descriptor)
        return Input(intake, read, runner, cursor=cursor, resume=resume)

    async def _resume(self, cursor: BatchCursor, descriptor: int, runner: Runner) -> None:
        """Pass over what was sent before."""
        await self._spool.opened()
        stored = self._spool.cursor(cursor.name)
        found = await runner.run(lambda: cursor.resume(descriptor, stored))
        if found.passed and self.progress is not None:
            self.progress.passed(found.passed)
        if found.says:
            tell = self._log.warn if found.warns else self._log.info
            tell("input {name}: {says}", name=cursor.name, says=found.says)

    def _progress(self, name: str, descriptor: int, screen: Screen) -> Progress | None:
        standard = any(place == Place("-") for place, _ in self._plan.targets)
        out = self._around.stdout if standard else None
        link = self._link

        def counts() -> OutboxStats:
            """Of this run alone: what the spool held from before is none of this input."""
            stats = link.outbox.stats()
            return evolve(stats, acknowledged=max(0, stats.acknowledged - stats.restored))

        return make_progress(descriptor, counts, screen, self._reactor, name, stdout=out)

    def _intake(self, name: str) -> Intake:
        framing = self._plan.source_framing
        return Intake(name, framing, self._check, self._sending.send, self._log)

    def _check(self, frames: Sequence[bytes]) -> None:
        """Raises FrameError for frames that the link cannot carry, or tell the answers to."""
        self._plan.framing.check(frames)
        if self._link.reply is not None:
            self._link.reply.check_all(frames)

    def _endless(
        self,
        place: Place,
        read: Callable[[], bytes],
        interrupt: Callable[[], None],
        cursor: Cursor | None = None,
        resume: Resume | None = None,
    ) -> Input:
        runner = self._around.runner(f"input {place.path}")
        intake = self._intake(place.path)
        return Input(intake, read, runner, True, interrupt, cursor, resume)

    def _tail(self, place: Place) -> Input:
        framing = self._plan.source_framing
        terminator = framing.encode([b""])[0] if framing.line_like else b""
        tail = Tail(place.path, place.option("from") == "start", terminator, self._log)
        tail.begin()
        if not self._spool.wanted:
            return self._endless(place, tail.read, tail.stop)
        cursor = TailCursor(place.path, tail)

        async def resume(runner: Runner) -> None:
            await self._spool.opened()
            stored = self._spool.cursor(cursor.name)
            await runner.run(lambda: cursor.resume(stored, self._log))

        return self._endless(place, tail.read, tail.stop, cursor, resume)

    def _coprocess(self, place: Place) -> Coprocess:
        words = program(place)
        name = f"exec:{shown(words[0])}"  # the arguments are nobody's business
        return Coprocess(
            name,
            words,
            self._plan.coprocess_shape,
            self._intake(name),
            self._reactor,
            self._log,
            BACKOFF if self._restarts else None,
        )

    # -- the outputs

    def _output(self, place: Place, shape: Format) -> Output:
        try:
            return self._opened(place, shape)
        except (OSError, LocalError) as error:
            raise LocalError(f"--output: {why(place, error)}") from None

    def _opened(self, place: Place, shape: Format) -> Output:
        if place.kind == "none":
            return NoOutput()
        if place.kind == "log":
            return LogOutput(self._reactor, self._log, self._link.name)
        if place.kind == "listen":
            limit = place.option("queue", listener.QUEUE)
            return ListenOutput(str(place), self._door(place), shape, limit, self._log)
        if place.kind == "udp":
            return self._datagrams(place, shape)
        if place.kind == "fifo":
            make_fifo(place.path)
            return self._stream(place, FifoWriter(place.path), shape, place.option("full"))
        if place.kind == "-" and self._around.stdout is not None:
            return self._stream(place, DescriptorWriter(self._around.stdout), shape, "wait")
        file = self._file(place, shape)
        file.open()
        return self._stream(place, file, shape, place.option("full", "wait"))

    def _file(self, place: Place, shape: Format) -> RotatingWriter:
        rotate, keep = place.option("rotate"), place.option("keep", KEEP)
        return RotatingWriter(place.path, shape.terminator, rotate, keep, self._around.now)

    def _stream(self, place: Place, writer: Writer, shape: Format, full: str | None) -> Output:
        standard = place.kind == "-"
        return StreamOutput(
            "stdout" if standard else place.path,
            writer,
            shape,
            self._around.runner(f"output {place}"),
            self._reactor,
            self._log,
            self._nobody_reads if standard else None,
            _FULL[full],
        )

    def _datagrams(self, place: Place, shape: Format) -> DatagramOutput:
        host, port = host_port(place.path)
        output = DatagramOutput(
            str(place),
            host,
            int(port),
            shape,
            lambda host, port: resolver.shared().lookup(self._reactor, host, port),
            self._reactor,
            self._log,
        )
        output.start()
        return output

    # -- local programs

    def _door(self, place: Place) -> Door:
        """The same for an input and an output at one address."""
        where = address(place.path)
        if place.path not in self._doors:
            uses = [self._plan.source, *(target for target, _ in self._plan.targets)]
            modes = [use.option("mode") for use in uses if use.same(place)]
            mode = next(filter(None, modes), listener.MODE)
            self._doors[place.path] = Door(self._reactor, where, mode, self._log)
        return self._doors[place.path]

    def _open_doors(self) -> None:
        """Last, when nothing else can fail."""
        source = self._plan.source
        for path, door in self._doors.items():
            try:
                door.open()
            except LocalError as error:
                for other in self._doors.values():
                    other.abandon()
                option = "input" if source.same(Place("listen", path)) else "output"
                raise LocalError(f"--{option}: {error}") from None


def program(place: Place) -> list[str]:
    """The words of a command that can be run.

    :raises LocalError: there is no such program.
    """
    words = command(place.path)
    found = shutil.which(words[0])
    if found is None or not os.path.isfile(found):
        raise LocalError(f"exec: {shown(words[0])}: {_why_not_run(words[0])}")
    return words


def _why_not_run(name: str) -> str:
    if "/" not in name:
        return "command not found"
    try:
        mode = os.stat(name).st_mode
    except OSError as error:
        return os_reason(error)
    return "is a directory" if stat.S_ISDIR(mode) else "permission denied"


def why(place: Place, error: Exception) -> str:
    """What is wrong with a place, in one line."""
    return f"{place.path}: {os_reason(error)}" if isinstance(error, OSError) else str(error)
