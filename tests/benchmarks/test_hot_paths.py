"""A slow-down fails here on any machine: what is counted are calls and instructions.

The counts are those of `benchmarks/guard.json`. Where a change is worth what it
costs, ``python -m benchmarks.guard --record`` writes the new ones.
"""

from __future__ import annotations

import gc
import inspect
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks import guard
from nbclient import FrameProtocol, framing
from nbclient.connection import receiver
from nbclient.connection.receiver import FrameReceiver
from nbclient.framing import prefixed

LINES = "lines in, callback per frame"
LENGTH = "length in, sizes mixed"


@pytest.mark.parametrize("path", guard.PATHS)
def test_a_hot_path_does_no_more_than_was_recorded(path: str) -> None:
    assert not guard.too_much(path, guard.PATHS[path]())


def test_every_recorded_path_is_still_walked() -> None:
    assert guard.recorded().keys() == guard.PATHS.keys()


def test_a_frame_of_a_batch_costs_no_call_of_ours() -> None:
    """Between the decoder and the user's callback nothing is done for each frame."""
    few = guard.frames_in(guard.Counter, framing.lines(), 1)
    assert few.calls < 50
    assert few.instructions < guard.FRAMES


def test_the_count_is_the_same_again() -> None:
    run = guard.PATHS[LINES]
    run()
    assert run() == run()


def test_whoever_traces_goes_on_afterwards() -> None:
    before = sys.gettrace()
    with guard.counting():
        assert sys.gettrace() is not before
    assert sys.gettrace() is before


def test_what_each_frame_touches_keeps_its_attributes_inline() -> None:
    """Asking an object for its `__dict__` makes each of its attributes slower for good.

    Five times slower on Python 3.11, for the application's own, too.
    """
    reactor, factory = guard.linked(guard.Asker, framing.lines())
    for _ in range(3):
        connection: Any = factory.connection
        connection.dataReceived(guard.BODY + b"\nx\n")
        factory.send([guard.BODY])
        reactor.turn(2)
    decoder = connection._decoder
    for each in (connection, decoder):
        assert not [held for held in gc.get_referents(each) if type(held) is dict], each


@pytest.fixture
def changed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Replace a text in a method, as an edit of its file would."""

    def change(owner: type, name: str, old: str, new: str) -> None:
        source = textwrap.dedent(inspect.getsource(getattr(owner, name)))
        assert source.count(old) == 1
        module = sys.modules[owner.__module__]
        code = compile(source.replace(old, new), str(module.__file__), "exec")
        made: dict[str, Any] = {}
        exec(code, vars(module), made)
        monkeypatch.setattr(owner, name, made[name])

    return change  # type: ignore[return-value]


def test_a_call_for_each_frame_is_found(changed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An innocent-looking helper between the loop and the callback."""
    helper = "def _seen(self, frame): return self.frameReceived(frame)"
    made: dict[str, Any] = {}
    exec(compile(helper, str(receiver.__file__), "exec"), made)
    monkeypatch.setattr(FrameProtocol, "_seen", made["_seen"], raising=False)
    changed(FrameReceiver, "_each", "map(self.frameReceived,", "map(self._seen,")
    found = guard.too_much(LINES, guard.PATHS[LINES]())
    assert "calls for 1000 frames" in found


def test_work_without_a_call_is_found_too(changed: Any) -> None:
    """Counting frames one by one in the decoder's loop."""
    append = "append(data[start:stop])"
    changed(prefixed.PlainLengthDecoder, "_scan", append, f"{append}; self.skipped += 0")
    found = guard.too_much(LENGTH, guard.PATHS[LENGTH]())
    if guard.version() in guard.recorded()[LENGTH]["instructions"]:
        assert "instructions" in found


def test_a_loop_over_the_frames_is_found(changed: Any) -> None:
    """The same callbacks, from an ordinary loop."""
    changed(
        FrameReceiver,
        "_each",
        "filter(None, map(self.frameReceived, iterator))",
        "(each for each in map(self.frameReceived, iterator) if each)",
    )
    assert guard.too_much(LINES, guard.PATHS[LINES]())
