"""Whatever a peer sends, an output for which nothing else was said goes on, and nothing is lost."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from nbclient import framing
from nbclient.daemon.cli.options import SHELL
from nbclient.daemon.links.plan import make_plan
from nbclient.daemon.outputs.base import ShapedOutput
from nbclient.daemon.outputs.formats import AnyLines, Timed, by_default, for_output, framed, is_raw
from nbclient.errors import FrameError
from nbclient.framing import Decoder, Framing
from nbclient.testing import FakeReactor
from tests.conformance.daemon import KeptLog, around, shell
from tests.conformance.framing import Sample
from tests.framing.test_conformance import GARBAGE, SAMPLES

SENDING = {name: sample for name, sample in SAMPLES.items() if sample.framing.sends}


class Kept(ShapedOutput):
    """An output that keeps what it would write."""

    written = b""

    def write(self, frames: Sequence[bytes]) -> Deferred[None] | None:
        self.written += b"".join(self.images(frames))
        return None


def kept(link: Framing) -> Kept:
    return Kept("/x", by_default(link), KeptLog())


def as_a_line(frame: bytes) -> bytes:
    """What a reader of lines has of it."""
    if b"\n" not in frame:
        return frame
    return frame.replace(b"\n", b"\\n").replace(b"\r", b"\\r")


@pytest.mark.parametrize("sample", SENDING.values(), ids=SENDING)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(garbage=st.lists(GARBAGE, max_size=3), data=st.data())
def test_it_has_an_image_for_every_frame_that_a_peer_can_send(
    sample: Sample, garbage: list[bytes], data: st.DataObject
) -> None:
    link = sample.framing
    frames = data.draw(st.lists(sample.bodies, max_size=3))
    received: list[bytes] = []
    for stream in [*garbage, sample.stream(frames), sample.stream(frames).join(garbage)]:
        received += link.decoder().feed(stream)
    output = kept(link)
    output.write(received)
    assert output.lost == 0
    if is_raw(link):
        assert output.written == b"".join(received)
    elif link.line_like:
        assert framing.lines().decoder().feed(output.written) == [*map(as_a_line, received)]
    else:
        assert link.decoder().feed(output.written) == received


@pytest.mark.parametrize("spec", ["lines", "crlf"])
@given(stream=st.lists(st.sampled_from(b"\r\na"), max_size=12).map(bytes))
def test_a_frame_of_lines_is_one_line_whatever_is_in_it(spec: str, stream: bytes) -> None:
    link = framing.named(spec)
    frames = link.decoder().feed(stream)
    output = kept(link)
    output.write(frames)
    assert framing.lines().decoder().feed(output.written) == [*map(as_a_line, frames)]


def test_it_is_told_once_and_again_when_it_is_ten_times_as_often() -> None:
    log = KeptLog()
    output = Kept("/x", by_default(framing.crlf()), log)
    output.write([b"a", b"two\nlines", b"b\r"])
    assert output.written == b"a\ntwo\\nlines\nb\r\r\n"
    for _ in range(8):
        output.write([b"x\ny"])
    assert len(log.lines) == 1
    output.write([b"\r\n"] * 2)
    assert output.written.endswith(b"\n\\r\\n\n\\r\\n\n")
    first, second = log.lines
    assert first.startswith("output /x: a frame is escaped, its framing cannot carry it (")
    assert first.endswith(r": b'two\nlines'")
    assert second.startswith("output /x: 10 frames were escaped, its framing cannot carry them,")


def test_on_a_terminal_a_line_is_one_too() -> None:
    def written(link: Framing, frame: bytes) -> bytes:
        made = for_output(None, link, name="l", now=lambda: 0.0, encoding="utf-8")
        return b"".join(made.images([frame]))

    assert written(framing.crlf(), b"a\nb\r") == b"a\\nb\\r\n"
    assert written(framing.json(), b"[1,\n2]") == b"[1,\n2]\n"  # as it is set out


def test_with_times_too() -> None:
    output = Kept("/x", Timed(by_default(framing.crlf()), lambda: 0.0), KeptLog())
    output.write([b"x\ny"])
    assert output.written.endswith(b" x\\ny\n")
    strict = Kept("/x", Timed(framed(framing.lines()), lambda: 0.0), KeptLog())
    strict.write([b"x\ny"])
    assert (strict.written, strict.lost) == (b"", 1)


def test_a_framing_that_was_asked_for_leaves_out_what_it_cannot_carry_and_goes_on() -> None:
    log = KeptLog()
    output = Kept("/x", framed(framing.lines()), log)
    output.write([b"a", b"b\nc", b"d"])
    output.write([b"e\nf"])
    assert (output.written, output.lost) == (b"a\nd\n", 2)
    (line,) = log.lines
    assert line.startswith("output /x: a frame is left out, its framing cannot carry it (")
    assert line.endswith(r": b'b\nc'")


class Picky(Framing):
    """A user's own, which cannot send what it receives, and says so in its own way."""

    max_frame = 100

    def decoder(self) -> Decoder:
        return framing.lines().decoder()

    def encode(self, frames: Sequence[bytes]) -> list[bytes]:
        return [b"%d;" % int(frame) for frame in frames]


def test_a_framing_of_ones_own_that_raises_anything_does_not_end_it() -> None:
    output = kept(Picky())
    output.write([b"1", b"x", b"2"])
    assert (output.written, output.lost) == (b"1;2;", 1)


def test_a_program_beside_the_link_has_the_same_unless_something_was_said() -> None:
    def shape(*words: str) -> object:
        settings = shell("h", "1", "--framing", "crlf", "--input", "exec:true", *words)
        return make_plan(FakeReactor(), settings, SHELL, around(stdout=1)).coprocess_shape

    assert isinstance(shape(), AnyLines)
    with pytest.raises(FrameError):
        shape("--input-framing", "lines").images([b"a\nb"])  # type: ignore[attr-defined]
