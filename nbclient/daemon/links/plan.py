"""From settings to everything that can be refused before anything is opened."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from attrs import field, frozen

from nbclient.connection.protocol import FrameProtocol
from nbclient.daemon.cli.options import SHELL, Settings
from nbclient.daemon.config.iospec import ENDLESS, Place
from nbclient.daemon.links.builder import (
    DaemonProtocol,
    describe,
    describe_peer,
    input_framing,
    link_framing,
    load_protocol,
    make_endpoint,
    opening_framing,
)
from nbclient.daemon.links.masking import Masker
from nbclient.daemon.links.opening import SCRIPT, Step, parse_script
from nbclient.daemon.links.progress import Screen
from nbclient.daemon.links.spool import LINK, SpoolPlan
from nbclient.daemon.local.thread import Runner, Worker
from nbclient.daemon.outputs import formats
from nbclient.errors import LocalError, SpecError
from nbclient.framing import named, pair
from nbclient.framing.base import Framing
from nbclient.framing.pair import incoming, outgoing


@frozen
class Surroundings:
    """What a job touches of the process it runs in; tests bring their own.

    :ivar stdin: the descriptor that ``-`` reads, None if there is none.
    :ivar stdout: the descriptor that ``-`` writes, None if there is none.
    :ivar encoding: of the terminal that `stdout` is, None if it is none.
    :ivar now: the time of day, seconds since the epoch.
    :ivar show: prints a line for the user (the report of --check).
    :ivar runner: makes the thread for an input or output of this name.
    :ivar screen: where progress is drawn, None if it is not.
    :ivar masker: knows what must not get into the log of this process.
    """

    stdin: int | None
    stdout: int | None
    encoding: str | None
    now: Callable[[], float]
    show: Callable[[str], object]
    runner: Callable[[str], Runner]
    screen: Screen | None = None
    masker: Masker = field(factory=Masker)


def surroundings(
    reactor: Any, screen: Screen | None = None, masker: Masker | None = None
) -> Surroundings:
    """Those of this process."""
    # A standard stream that was closed before the start is None; its number
    # may be a socket's by now.
    stdin = None if sys.stdin is None else 0
    stdout = None if sys.stdout is None else 1
    terminal = stdout is not None and os.isatty(stdout)
    encoding = sys.stdout.encoding if terminal else None
    return Surroundings(
        stdin,
        stdout,
        encoding,
        time.time,
        show,
        lambda name: Worker(reactor, name),
        screen,
        masker or Masker(),
    )


def show(line: str) -> None:
    """A line on standard output, if anybody reads it."""
    if sys.stdout is not None:
        with suppress(OSError):
            os.write(1, f"{line}\n".encode("utf-8", "backslashreplace"))


@frozen
class Plan:
    """A job, ready to begin.

    :ivar endpoint: None for the demo, whose port is not known yet.
    :ivar masker: knows what was read for it.
    :ivar spool: where frames are kept; None: in memory.
    :ivar targets: where frames go, and in which form.
    :ivar opening_framing: of the opening, None where that is `framing`.
    :ivar coprocess_shape: the form in which ``exec:`` has them.
    """

    protocol: type[FrameProtocol]
    framing: Framing
    endpoint: Any
    source: Place
    source_framing: Framing
    targets: tuple[tuple[Place, formats.Format], ...]
    coprocess_shape: formats.Format
    script: tuple[Step, ...]
    masker: Masker
    opening_framing: Framing | None = None
    spool: SpoolPlan | None = None


def make_plan(reactor: Any, settings: Settings, front: str, around: Surroundings) -> Plan:
    """Work everything out; what it reads, it reads to find faults early.

    :param front: the front end, for the defaults.
    :raises LocalError: one line that names the option and what is wrong.
    """
    protocol = load_protocol(settings.protocol)
    ours = issubclass(protocol, DaemonProtocol)
    if not ours:
        _refuse_unused(settings, protocol)
    framing = link_framing(settings, protocol)
    standard = Place("-" if front == SHELL else "log")
    default = Place("none") if settings.check or not ours else standard
    shape = settings.output_framing[0].value if settings.output_framing else None
    targets = settings.targets or [(default, shape)]
    source = _source(settings, front, around)
    source_framing = _source_framing(settings, source, framing)
    said = "input-framing" in settings.given or settings.raw
    opening = opening_framing(settings)
    _refuse_mute(settings, source, source_framing, framing)
    return Plan(
        protocol=protocol,
        framing=framing,
        endpoint=None if settings.demo else make_endpoint(reactor, settings, around.masker),
        source=source,
        source_framing=source_framing,
        targets=tuple(
            (place, _shape(settings, place, spec, framing, around)) for place, spec in targets
        ),
        coprocess_shape=(formats.framed if said else formats.by_default)(outgoing(source_framing)),
        script=parse_script(settings.script, opening or framing, around.masker),
        masker=around.masker,
        opening_framing=opening,
        spool=_spool(settings),
    )


def _spool(settings: Settings) -> SpoolPlan | None:
    if settings.spool is None:
        return None
    return SpoolPlan(
        settings.spool,
        settings.name or LINK,
        describe_peer(settings),
        settings.spool_bytes,
        settings.spool_adopt,
    )


def _refuse_unused(settings: Settings, protocol: type) -> None:
    for name in ("output", "output-framing", *SCRIPT, "opening-framing"):
        if name in settings.given:
            raise SpecError(
                f"--{name} and --protocol: {protocol.__name__} would not use it, it is no subclass"
                " of nbclient.daemon.links.builder.DaemonProtocol"
            )


def _refuse_mute(settings: Settings, source: Place, local: Framing, link: Framing) -> None:
    """What could never be sent is refused before there is a connection.

    What is said in an opening is looked at byte by byte.

    :param local: the framing of the input.
    """
    if source.kind == "exec" and not formats.sends(local):
        raise SpecError(f"--input exec: {local} can only receive, and the program is to read it")
    if formats.sends(link):
        return
    if source.kind != "none":
        raise SpecError(f"--input: the framing {link} can only receive; say --input none")
    for name in ("answer", "heartbeat", "poll"):
        if name in settings.given:
            raise SpecError(f"--{name}: the framing {link} can only receive")


def _source(settings: Settings, front: str, around: Surroundings) -> Place:
    if settings.input is not None:
        source = settings.input
    else:
        source = Place("-" if front == SHELL and not settings.check else "none")
    if source == Place("-") and around.stdin is None:
        raise LocalError("--input: there is no standard input; use file:PATH or none")
    return source


def _source_framing(settings: Settings, source: Place, link: Framing) -> Framing:
    """How the input separates frames.

    A program speaks one framing in both directions, if nothing is said the
    link's own: it reads what is received as it came, and writes as the link sends.
    Inputs that never end pass over a frame they cannot take.
    """
    said = "input-framing" in settings.given or settings.raw
    if source.kind == "exec" and not said:
        read, written = incoming(link), outgoing(link)
        lines = named("lines", max_frame=link.max_frame)
        return pair(lines if written.line_like else written, lines if read.line_like else read)
    chosen = input_framing(settings)
    if source.kind in ENDLESS and not settings.raw:
        spec = settings.input_framing or "lines"
        with suppress(SpecError):  # not every framing can
            return named(spec, max_frame=settings.max_frame, on_bad_frame="skip")
    return chosen


def _shape(
    settings: Settings,
    place: Place,
    spec: str | None,
    framing: Framing,
    around: Surroundings,
) -> formats.Format:
    if place.kind in ("udp", "log", "none") and spec is None:
        return formats.Chunks()  # a datagram needs no end, the others no form
    standard = place == Place("-")
    if standard and around.stdout is None:
        raise LocalError("--output: there is no standard output; use file:PATH, log or none")
    return formats.for_output(
        spec,
        framing,
        name=describe(settings),
        now=around.now,
        encoding=around.encoding if standard else None,
        timestamps=settings.timestamps and standard,
    )
