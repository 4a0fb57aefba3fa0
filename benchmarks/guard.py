"""How much the hot paths do for a thousand frames, counted, not timed.

    python -m benchmarks.guard [--record]

Counts, inside the files of nbclient only, calls of Python functions and instructions
of the byte code. Both are the same at every run and on every machine; the instructions
differ from one minor version of Python to the next, so that `guard.json` has them for
each. `tests/benchmarks/test_hot_paths.py` compares; `--record` writes what this Python counts.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from attrs import define, field

import nbclient
from nbclient import FrameProtocol, ReconnectingFactory, framing
from nbclient.testing import FakeReactor

FILE = Path(__file__).resolve().parent / "guard.json"
INSIDE = str(Path(nbclient.__file__).parent)
FAKES = str(Path(INSIDE, "testing"))

FRAMES = 1000
CHUNKS = 10
BODY = b"x" * 60
MIXED = (BODY[:50], BODY)
"""No two sizes in a row are the same: no rows to be cut at once."""

SLACK = 1.02
"""How many times the instructions recorded are still the same: patch releases differ."""

SPARE = 3 * CHUNKS
"""How many calls more than recorded are still the same: three for each read."""

# Before Python 3.12 these are functions, afterwards part of the one around them.
INLINED = {"<listcomp>", "<dictcomp>", "<setcomp>"}


@define
class Count:
    """What was counted between the beginning and the end of a `counting`."""

    calls: int = 0
    instructions: int = 0
    by_function: dict[str, list[int]] = field(factory=dict, eq=False, repr=False)


@contextmanager
def counting(inside: str = INSIDE) -> Iterator[Count]:
    """Count what runs in files below a folder; whoever traced before goes on afterwards."""
    count = Count()
    ours: dict[str, bool] = {}

    def instruction(frame: FrameType, event: str, _: Any) -> Any:
        if event == "opcode":
            count.instructions += 1
            count.by_function[frame.f_code.co_qualname][1] += 1
        return instruction

    def called(frame: FrameType, event: str, _: Any) -> Any:
        file = frame.f_code.co_filename
        if file not in ours:
            ours[file] = file.startswith(inside) and not file.startswith(FAKES)
        if not ours[file]:
            return None
        count.calls += frame.f_code.co_name not in INLINED
        count.by_function.setdefault(frame.f_code.co_qualname, [0, 0])[0] += 1
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        return instruction

    before = sys.gettrace()
    sys.settrace(called)
    try:
        yield count
    finally:
        sys.settrace(before)


class Counter(FrameProtocol):
    """The application: it is not counted."""

    frames = 0

    def frameReceived(self, frame: bytes) -> None:
        self.frames += 1


class BatchCounter(Counter):
    """The application that takes whole batches."""

    def framesReceived(self, frames: list[bytes]) -> None:
        self.frames += len(frames)


class Asker(Counter):
    """The application that asks again for each answer."""

    def frameReceived(self, frame: bytes) -> None:
        self.frames += 1
        self.sendFrame(BODY)


def linked(made: type[Counter], recipe: framing.Framing) -> tuple[FakeReactor, ReconnectingFactory]:
    """A link that is ready, with the watches on that see every read."""
    reactor = FakeReactor()
    factory = ReconnectingFactory.forProtocol(
        made, framing=recipe, delivery="written", silenceTimeout=60, clock=reactor
    )
    reactor.connectTCP("peer.example", 1, factory)
    reactor.attempts[-1].accept()
    return reactor, factory


def connected(made: type[Counter], recipe: framing.Framing) -> Counter:
    """The connection of such a link."""
    connection: Counter = linked(made, recipe)[1].connection
    return connection


def frames_in(
    made: type[Counter],
    recipe: framing.Framing,
    chunks: int = CHUNKS,
    bodies: tuple[bytes, ...] = (BODY,),
) -> Count:
    """A thousand frames in so many chunks; of ten, none ends with a frame."""
    connection = connected(made, recipe)
    data = b"".join(recipe.encode(bodies * (FRAMES // len(bodies))))
    step = -(-len(data) // chunks) + (chunks == CHUNKS)
    pieces = [data[at : at + step] for at in range(0, len(data), step)]
    with counting() as count:
        for piece in pieces:
            connection.dataReceived(piece)
    assert connection.frames == FRAMES
    return count


def frames_out() -> Count:
    """A thousand calls of sendFrame."""
    connection = connected(Counter, framing.lines())
    with counting() as count:
        for _ in range(FRAMES):
            connection.sendFrame(BODY)
    return count


def through_the_outbox(size: int) -> Count:
    """A thousand frames by factory.send, so many at a time, level `written`."""
    reactor, factory = linked(Counter, framing.lines())
    batch = [BODY] * size
    with counting() as count:
        for _ in range(FRAMES // size):
            factory.send(batch)
            reactor.turn(2)
    assert factory.connection.framesOut == factory.outbox.counters.acknowledged == FRAMES
    return count


def request_and_reply() -> Count:
    """A thousand answers, each in a chunk of its own, each followed by a request."""
    return frames_in(Asker, framing.lines(), FRAMES)


PATHS: dict[str, Callable[[], Count]] = {
    "lines in, callback per frame": lambda: frames_in(Counter, framing.lines()),
    "lines in, batch callback": lambda: frames_in(BatchCounter, framing.lines()),
    "crlf in, callback per frame": lambda: frames_in(Counter, framing.crlf()),
    "length in, callback per frame": lambda: frames_in(Counter, framing.length(4)),
    "length in, sizes mixed": lambda: frames_in(Counter, framing.length(4), bodies=MIXED),
    "netstring in, callback per frame": lambda: frames_in(Counter, framing.netstring()),
    "netstring in, sizes mixed": lambda: frames_in(Counter, framing.netstring(), bodies=MIXED),
    "octet-counted in, callback per frame": lambda: frames_in(Counter, framing.octet_counted()),
    "length in, a frame a read": lambda: frames_in(Counter, framing.length(4), FRAMES),
    "netstring in, a frame a read": lambda: frames_in(Counter, framing.netstring(), FRAMES),
    "fixed in, callback per frame": lambda: frames_in(Counter, framing.fixed(len(BODY))),
    "lines out, sendFrame each": frames_out,
    "lines out, factory.send each": lambda: through_the_outbox(1),
    "lines out, factory.send of 100": lambda: through_the_outbox(100),
    "request and reply": request_and_reply,
}


def version() -> str:
    """The minor version of this Python."""
    return "{}.{}".format(*sys.version_info)


def recorded() -> dict[str, dict[str, Any]]:
    """Per path: calls, and instructions per minor version."""
    return dict(json.loads(FILE.read_text())) if FILE.exists() else {}


def too_much(path: str, count: Count) -> str:
    """What is more than was recorded; nothing where all is well."""
    allowed = recorded()[path]
    if count.calls > allowed["calls"] + SPARE:
        return f"{path}: {count.calls} calls for {FRAMES} frames, {allowed['calls']} recorded"
    instructions = allowed["instructions"].get(version())
    if instructions is not None and count.instructions > SLACK * instructions:
        return f"{path}: {count.instructions} instructions, {instructions} recorded"
    return ""


def main(words: list[str]) -> int:
    """Count, and compare or record."""
    kept = recorded()
    status = 0
    for path, run in PATHS.items():
        run()  # what is made at the first use only
        count = run()
        print(f"{path:40}{count.calls:8}{count.instructions:10}")
        if words == ["--record"]:
            entry = kept.setdefault(path, {"calls": 0, "instructions": {}})
            entry["calls"] = count.calls
            entry["instructions"][version()] = count.instructions
        elif path not in kept or too_much(path, count):
            print(too_much(path, count) if path in kept else "not recorded")
            status = 1
    if words == ["--record"]:
        FILE.write_text(json.dumps(kept, indent=1) + "\n")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
