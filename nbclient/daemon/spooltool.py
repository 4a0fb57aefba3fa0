"""``python -m nbclient.spool``: look into a spool, and mend what was set aside; docs/spool.md."""

from __future__ import annotations

import argparse
import heapq
import os
import re
import sqlite3
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path
from typing import BinaryIO, NoReturn

from attrs import frozen

from nbclient import framing
from nbclient.core.terminal import escape, hexdump, visible
from nbclient.daemon.config import values
from nbclient.delivery.outbox import FRAME_COST
from nbclient.errors import FrameError, LocalError, SpecError
from nbclient.framing.base import MAX_FRAME
from nbclient.spool import file as spool_file
from nbclient.spool.database import AsideFrame, ChangingStore, SpooledFrame, Store
from nbclient.spool.folder import DATABASE, Lock, SpoolError, folder_name, owner, reason
from nbclient.tap import refuse_clash

DONE, FAILED, USAGE = range(3)

SHOWN = 200
"""How much of a frame a list shows, bytes; one asked for by its number is shown whole."""

PIECE = 1024 * 1024
"""What is read from the spool at a time, bytes."""

EVERY = (1, 2**63 - 1)

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))

Range = tuple[int, int]
"""Numbers of frames, both ends included."""


class _Usage(Exception):
    """The command line is not understood."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _Usage(f"{message}; --help tells more")


@frozen
class Output:
    """Standard output.

    :ivar stream: takes the bytes.
    :ivar encoding: what a terminal there takes.
    """

    stream: BinaryIO
    encoding: str = "utf-8"

    def say(self, text: str) -> None:
        """Write a line of visible text."""
        self.stream.write((visible(text) + "\n").encode(self.encoding, "backslashreplace"))


@frozen
class Context:
    """What a command works with.

    :ivar folder: of the link.
    :ivar ranges: the frames asked for, none where none was.
    :ivar asked: the parsed options.
    :ivar out: standard output.
    :ivar now: the time of day, seconds since the epoch.
    """

    folder: Path
    ranges: list[Range]
    asked: argparse.Namespace
    out: Output
    now: float


# -- which spool, which frames -----------------------------------------------------------


def folders(directory: Path) -> list[Path]:
    """The folders of the links in `directory`, or itself where it is one.

    :raises SpoolError: it cannot be read, or holds no spool.
    """
    try:
        if (directory / DATABASE).exists():
            return [directory]
        found = sorted(path.parent for path in directory.glob(f"*/{DATABASE}"))
        next(directory.iterdir(), None)  # glob() says nothing of a folder that is not there
    except OSError as error:
        raise SpoolError(f"{directory}: {reason(error)}") from None
    if not found:
        raise SpoolError(f"{directory}: holds no spool")
    return found


def select(directory: Path, words: Sequence[str]) -> tuple[Path, list[Range]]:
    """The link's folder and the frames that the words behind DIR mean.

    The first word may be the link's name, or its folder's; it may be left out
    where there is only one link.

    :raises SpoolError: there is no such link, or several and none was named.
    """
    found = folders(directory)
    if words:
        for folder in found:
            if folder.name in (words[0], folder_name(words[0])):
                return folder, ranges(words[1:])
        if not re.fullmatch(r"[0-9]+(-[0-9]+)?", words[0]):
            raise SpoolError(f"{directory}: has no link {values.shown(words[0])!r}")
    if len(found) > 1:
        names = ", ".join(folder.name for folder in found)
        raise SpoolError(f"{directory}: holds several links, name one: {names}")
    return found[0], ranges(words)


def ranges(words: Iterable[str]) -> list[Range]:
    """``17`` and ``20-25`` as ascending ranges that do not overlap.

    :raises _Usage: anything else.
    """
    merged: list[Range] = []
    for first, last in sorted(map(_range, words)):
        if merged and first <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged


def _range(word: str) -> Range:
    match = re.fullmatch(r"([0-9]{1,18})(?:-([0-9]{1,18}))?", word, re.ASCII)
    if match is None:
        raise _Usage(f"{values.shown(word)!r} is not a frame's number, such as 17 or 20-25")
    first, last = int(match[1]), int(match[2] or match[1])
    if last < first:
        raise _Usage(f"{word}: ends before it begins")
    return first, last


def _stream(
    load: Callable[[int, int], Sequence[SpooledFrame]], wanted: Range
) -> Iterator[SpooledFrame]:
    after, last = wanted[0] - 1, wanted[1]
    while piece := load(after, PIECE):
        for frame in piece:
            if frame.seq > last:
                return
            yield frame
        after = piece[-1].seq


def chosen(store: Store, asked: argparse.Namespace, wanted: Range) -> Iterator[SpooledFrame]:
    """The frames of this range that the options --waiting and --set-aside leave, in order."""
    streams = []
    if not asked.set_aside:
        streams.append(_stream(store.load, wanted))
    if not asked.waiting:
        streams.append(_stream(store.load_aside, wanted))
    return heapq.merge(*streams, key=attrgetter("seq"))


def _written(wanted: Range) -> str:
    first, last = wanted
    return str(first) if first == last else f"{first}-{last}"


# -- the commands ------------------------------------------------------------------------


def list_links(directory: Path, out: Output, now: float) -> list[SpoolError]:
    """A line for each link; gives what went wrong with the others."""
    failed = []
    heads = ("link", "peer", "waiting", "bytes", "oldest", "set aside", "owner")
    rows: list[Sequence[str]] = [heads]
    for folder in folders(directory):
        try:
            rows.append(_row(folder, now))
        except SpoolError as error:
            failed.append(error)
    rows = [[visible(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        out.say("  ".join(cells).rstrip())
    return failed


def _row(folder: Path, now: float) -> Sequence[str]:
    with spool_file.reading(folder) as store:
        described, totals = store.description(), store.totals
    holder = owner(folder)
    return (
        described.link,
        described.peer,
        str(totals.waiting),
        str(totals.waiting_bytes - FRAME_COST * totals.waiting),
        "-" if totals.oldest is None else age(now - totals.oldest),
        str(totals.set_aside),
        "-" if holder is None else str(holder.pid),
    )


def age(seconds: float) -> str:
    """A length of time in its largest whole unit; a clock that was set back gives 0 s."""
    for size, unit in _UNITS[:-1]:
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{max(0, int(seconds))} s"


def show(context: Context) -> None:
    """A line for each frame, or its bytes."""
    out, asked = context.out, context.asked
    out.say(f"{'number':>10} {'age':>8} {'bytes':>9} {'sent':>5}  frame")
    for frame in _frames(context):
        about = (
            f"{frame.seq:>10} {age(context.now - frame.stored):>8}"
            f" {len(frame.frame):>9} {frame.attempts:>5}"
        )
        out.say(about if asked.hex else f"{about}  {_text(frame.frame, bool(context.ranges))}")
        if isinstance(frame, AsideFrame):
            when = age(context.now - frame.moved)
            out.say(f"{'':10} set aside {when} ago: {_line(frame.reason)}")
        if asked.hex:
            for line in hexdump(frame.frame):
                out.say(f"{'':10} {line}")


def _text(frame: bytes, whole: bool) -> str:
    if whole or len(frame) <= SHOWN:
        return _line(escape(frame))
    return f"{_line(escape(frame[:SHOWN]))}…"


def _line(text: str) -> str:
    return text.replace("\n", "\\n").replace("\t", "\\t")


def export(context: Context) -> None:
    """The frames in a framing, on standard output."""
    asked, out = context.asked, context.out
    if out.stream.isatty():
        raise LocalError("standard output is a terminal; redirect it, or use show")
    for frame in _frames(context):
        try:
            (image,) = asked.framing.encode([frame.frame])
        except FrameError as error:
            raise LocalError(f"frame {frame.seq} does not go into this framing: {error}") from None
        out.stream.write(image)


def _frames(context: Context) -> Iterator[SpooledFrame]:
    """The frames asked for; what is not there is an error once the others are done."""
    missing = []
    with spool_file.reading(context.folder) as store:
        for wanted in context.ranges or [EVERY]:
            found = False
            for frame in chosen(store, context.asked, wanted):
                found = True
                yield frame
            if context.ranges and not found:
                missing.append(wanted)
    if missing:
        raise _none_of(context, missing)


def _none_of(context: Context, missing: Iterable[Range]) -> SpoolError:
    return SpoolError(f"{context.folder}: has no such frame: {', '.join(map(_written, missing))}")


def requeue(context: Context) -> None:
    """Back to the end of those that wait."""
    _change(context, lambda store, wanted: store.requeue(*wanted, context.now), "requeued")


def discard(context: Context) -> None:
    """Gone for good."""
    asked = context.asked

    def delete(store: ChangingStore, wanted: Range) -> int:
        count = 0 if asked.set_aside else store.remove(*wanted)
        return count if asked.waiting else count + store.discard_aside(*wanted)

    _change(context, delete, "discarded")


def _change(context: Context, change: Callable[[ChangingStore, Range], int], done: str) -> None:
    if bool(context.ranges) == context.asked.all:
        raise _Usage("say which frames: their numbers, or --all")
    total, missing = 0, []
    with changing(context.folder) as store:
        for wanted in context.ranges or [EVERY]:
            count = change(store, wanted)
            total += count
            if not count and context.ranges:
                missing.append(wanted)
        if missing:
            raise _none_of(context, missing)
    context.out.say(f"{done}: {total}")


@contextmanager
def changing(folder: Path) -> Iterator[ChangingStore]:
    """A spool that nobody runs, within a transaction: all of the block or nothing.

    :raises SpoolInUse: its owner runs.
    :raises SpoolError: it is not in order, or the disk did not take it.
    """
    lock = Lock.take(folder, wait=0)
    try:
        spool_file.check_files(folder)
        spool_file.examine(folder)
        store = spool_file.open_to_change(folder)
        try:
            store.begin()
            yield store
            store.commit()
            while store.shrink():
                pass
        except sqlite3.Error as error:
            raise SpoolError(f"{store.path}: not changed: {error}") from None
        finally:
            store.close()
    finally:
        lock.release()


# -- the command line --------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m nbclient.spool", description=__doc__, allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, text: str, frames: str = "") -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        command.add_argument("directory", metavar="DIR", type=Path, help="what --spool was given")
        if frames:
            command.add_argument(
                "words",
                metavar="[LINK] [SEQ ...]",
                nargs="*",
                help="the link, where DIR holds several, and frames by number: 17 or 20-25",
            )
        if "w" in frames:
            scope = command.add_mutually_exclusive_group()
            scope.add_argument("--waiting", action="store_true", help="only those that wait")
            scope.add_argument("--set-aside", action="store_true", help="only those set aside")
        if "a" in frames:
            command.add_argument("--all", action="store_true", help="every frame")
        return command

    add("list", "the links, and what waits for each")
    shown = add("show", "the frames, in a readable form", "w")
    shown.add_argument("--hex", action="store_true", help="as hexadecimal dumps")
    exported = add("export", "write the frames to standard output", "w")
    exported.add_argument("--framing", metavar="SPEC", default="lines", help="default: lines")
    exported.add_argument(
        "--max-frame", metavar="BYTES", default=str(MAX_FRAME), help="of that framing"
    )
    add("requeue", "put frames that were set aside at the end of those that wait", "a")
    add("discard", "delete frames for good", "wa")
    return parser


_COMMANDS: dict[str, Callable[[Context], None]] = {
    "show": show,
    "export": export,
    "requeue": requeue,
    "discard": discard,
}


def run(arguments: Sequence[str] | None, out: Output) -> list[SpoolError]:
    """Do what the arguments say.

    :return: what went wrong on the way without stopping it.
    :raises LocalError: what stopped it.
    """
    asked = _parser().parse_args(arguments)
    now = time.time()
    if asked.command == "list":
        return list_links(asked.directory, out, now)
    if asked.command == "export":
        asked.framing = _framing(asked)
    folder, wanted = select(asked.directory, asked.words)
    _COMMANDS[asked.command](Context(folder, wanted, asked, out, now))
    return []


def _framing(asked: argparse.Namespace) -> framing.Framing:
    option = "--max-frame"
    try:
        most = values.size(asked.max_frame)
        option = "--framing"
        return framing.named(asked.framing, max_frame=most)
    except SpecError as error:
        raise _Usage(f"{option}: {error}") from None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tool.

    :param arguments: without the program's name; None: those of this process.
    :return: the exit status: 0 done, 1 not done, or not all, 2 usage.
    """
    refuse_clash()
    out = Output(sys.stdout.buffer, sys.stdout.encoding)
    try:
        failed: Sequence[Exception] = run(arguments, out)
        out.stream.flush()
    except _Usage as error:
        return _complain(USAGE, error)
    except LocalError as error:
        failed = [error]
    except BrokenPipeError:
        # Nobody reads on; the interpreter's own flush at the end has to go somewhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        failed = [LocalError(f"standard output: {reason(error)}")]
    except KeyboardInterrupt:
        return FAILED
    return _complain(FAILED, *failed) if failed else DONE


def _complain(status: int, *errors: Exception) -> int:
    for error in errors:
        text = visible(str(error)).replace("\n", "\\n")
        print(f"spool: {text}", file=sys.stderr)
    return status
