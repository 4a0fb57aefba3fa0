"""Reading frames to send: bounded, in order, and honest about what is not sent."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from nbclient import framing
from nbclient.daemon.inputs.cursors import Cursor
from nbclient.daemon.inputs.intake import Input, Intake, Taker, open_file, read_chunk
from nbclient.errors import LinkStopped, LocalError
from nbclient.framing.base import Decoder, Framing
from tests.conformance.daemon import HandRunner, KeptLog
from tests.conformance.transports import Pipe


class InputCase(SynchronousTestCase):
    """A thread moved by hand, a link that says when."""

    def setUp(self) -> None:
        self.chunks: list[bytes | OSError] = []
        self.sent: list[bytes] = []
        self.answer: Deferred[None] | None = None
        self.runner = HandRunner()
        self.log = KeptLog()

    def read(self) -> bytes:
        chunk = self.chunks.pop(0) if self.chunks else b""
        if isinstance(chunk, OSError):
            raise chunk
        return chunk

    def send(self, frames: Sequence[bytes], cursor: object = None) -> Deferred[None]:
        self.sent += frames
        return succeed(None) if self.answer is None else self.answer


class Boom(Framing):
    """A framing of a user's own that gives the decoder it has, or raises."""

    def __init__(self, decoder: Decoder | None = None) -> None:
        self.max_frame, self.line_like = 10, True
        self._decoder = decoder

    def decoder(self) -> Decoder:
        if self._decoder is None:
            raise ZeroDivisionError("no decoder")
        return self._decoder

    def encode(self, frames: Sequence[bytes]) -> list[bytes]:
        return [frame + b"\n" for frame in frames]


class Place(Cursor):
    """Notes how far the whole frames reach."""

    name = "file:x"

    def __init__(self) -> None:
        self.at = 0
        self.held = 0

    def mark(self, data: bytes, held: int) -> str:
        self.at += self.held + len(data) - held
        self.held = held
        return str(self.at)


class CursorTests(InputCase):
    """An input whose place is stored with its frames."""

    def setUp(self) -> None:
        super().setUp()
        self.noted: list[tuple[list[bytes], object]] = []
        self.resumed: list[object] = []

    def send(self, frames: Sequence[bytes], cursor: object = None) -> Deferred[None]:
        self.noted.append((list(frames), cursor))
        return succeed(None)

    async def resume(self, runner: object) -> None:
        self.resumed.append((runner, len(self.chunks)))

    def input(self) -> Input:
        lines = framing.lines(max_frame=10)
        intake = Intake("x", lines, lines.check, self.send, self.log)
        made = Input(intake, self.read, self.runner, cursor=Place(), resume=self.resume)
        made.start()
        return made

    def test_the_place_behind_the_last_whole_frame_goes_with_the_frames(self) -> None:
        self.chunks = [b"a\nbb", b"b\nc\n", b"no end"]
        self.input()
        self.runner.steps()
        self.assertEqual(
            self.noted,
            [
                ([], ("file:x", "0")),
                ([b"a"], ("file:x", "2")),
                ([b"bbb", b"c"], ("file:x", "8")),
                ([b"no end"], ("file:x", "14")),
            ],
        )

    def test_what_is_behind_the_place_at_the_stop_is_read_again_and_so_no_loss(self) -> None:
        self.chunks = [b"a\n"]
        source = self.input()
        source.stop()
        self.runner.steps()
        self.assertEqual((self.noted, source.refused), ([([], ("file:x", "0"))], 0))

    def test_where_it_begins_is_noted_before_there_is_a_frame(self) -> None:
        """Else a run that read nothing would be none, and the next one begin at the end."""
        self.input()
        self.assertEqual(self.noted, [([], ("file:x", "0"))])

    def test_a_link_that_takes_no_place_takes_no_frames(self) -> None:
        self.send = lambda *_: fail(LinkStopped("stopped"))  # type: ignore[method-assign]
        self.successResultOf(self.input().ended)

    def test_it_goes_on_where_it_stopped_once_and_before_the_first_read(self) -> None:
        self.chunks = [b"a\n", b"b\n"]
        self.input()
        self.assertEqual(self.resumed, [(self.runner, 2)])
        self.runner.steps()
        self.assertEqual(len(self.resumed), 1)

    def test_within_a_frame_that_is_passed_over_the_place_is_before_it(self) -> None:
        """Its rest would become a frame of the next run."""
        self.chunks = [b"a\n" + b"x" * 20, b"xx\nb\n"]
        lines = framing.lines(max_frame=10, on_bad_frame="skip")
        intake = Intake("x", lines, lines.check, self.send, self.log)
        Input(intake, self.read, self.runner, cursor=Place()).start()
        self.runner.steps()
        self.assertEqual(self.noted, [([b"a"], ("file:x", "2")), ([b"b"], ("file:x", "27"))])
        self.assertEqual(intake.refused, 1, "counted once")

    def test_where_that_cannot_be_read_it_ends(self) -> None:
        async def fails(_: object) -> None:
            raise OSError(5, "Input/output error")

        self.resume = fails  # type: ignore[method-assign]
        source = self.input()
        self.successResultOf(source.ended)
        self.assertIn("cannot be read", self.log.lines[0])
        self.assertTrue(source.failed)

    def test_what_fails_there_is_told_and_is_no_end(self) -> None:
        """A crafted cursor once had the file pass for read, and the job for done."""

        async def fails(_: object) -> None:
            raise OverflowError("a fault of ours")

        self.resume = fails  # type: ignore[method-assign]
        source = self.input()
        self.successResultOf(source.ended)
        self.assertEqual((source.failed, source.exhausted), (True, False))
        self.assertEqual(self.log.lines, ["input x has failed"])


OVERLONG = [
    ("lines", "skip", [b"", b"\r\n", b"zz\r\r\n"]),
    ("crlf", "skip", [b"", b"\r", b"\n"]),
    ("delimiter:aba", "skip", [b"", b"ab", b"a"]),
    ("between:<<,>>", "skip", [b"noise", b"<", b"<<"]),
    ("between:<,>>,trailer=2", "skip", [b"", b"noise"]),
    ("stx-etx,checksum=xor-hex", "skip", [b"", b"\x02bad\x0300"]),
    ("mllp", "skip", [b"\r\n", b"\x0bhalf"]),
    ("slip", "skip", [b"\xc0", b"\xdb"]),
    ("nmea", "skip", [b"", b"$half", b"noise\r\n"]),
    ("length:2", "close", [b""]),
    ("netstring", "close", [b""]),
    ("octet-counted", "close", [b""]),
    ("varint", "close", [b""]),
    ("digits:4", "close", [b""]),
    ("json", "close", [b" \n"]),
    ("fixed:5", "close", [b""]),
]


def wire(spec: str, between: bytes) -> bytes:
    """A stream with frames over the limit of 12 bytes, for one that takes 60."""
    larger = framing.named(spec, max_frame=60)
    frames = {
        "json": [b"12", b'{"a": 1}', b"true", b'["' + b"x" * 30 + b'"]', b"7"],
        "fixed:5": [b"12345", b"67890"],
    }.get(spec, [b"$one", b"$two", b"$" + b"y" * 40, b"$" + b"z" * 20, b"$three", b"$four"])
    images = larger.encode(frames)
    return between.join([*images, *images])


class Run:
    """A run over a stream, from this byte on; what is read is one piece after another.

    :ivar frames: those that were offered; `place`: the byte of the stream behind them.
    """

    def __init__(self, own: Framing, start: int) -> None:
        self.frames: list[bytes] = []
        self.place = self._start = start
        intake = Intake("x", own, lambda frames: None, self._send, KeptLog())
        self._stream = intake.stream(Behind())

    async def _send(self, frames: Sequence[bytes], cursor: tuple[str, str] | None) -> None:
        assert cursor is not None
        self.frames += frames
        self.place = self._start + int(cursor[1])

    def read(self, piece: bytes) -> Run:
        assert Deferred.fromCoroutine(self._stream.feed(piece)).called
        return self

    def end(self) -> list[bytes]:
        """All that it gave."""
        Deferred.fromCoroutine(self._stream.end())
        return self.frames


class Behind(Cursor):
    """Says how far the frames reach, and keeps nothing."""

    name = "file:x"

    def __init__(self) -> None:
        self.seen = 0

    def mark(self, data: bytes, held: int) -> str:
        self.seen += len(data)
        return str(self.seen - held)


@pytest.mark.parametrize(
    ("spec", "bad", "between"),
    [(spec, bad, noise) for spec, bad, noises in OVERLONG for noise in noises],
)
def test_a_stop_at_any_byte_changes_none_of_the_frames(spec: str, bad: str, between: bytes) -> None:
    """Also within a frame that is passed over: its rest must not become one."""
    own = framing.named(spec, max_frame=12, on_bad_frame=bad)
    data = wire(spec, between)
    whole = Run(own, 0).read(data).end()
    assert len(whole) >= 2
    bytewise = Run(own, 0)
    for stop in range(len(data) + 1):
        for before in (bytewise.read(data[max(0, stop - 1) : stop]), Run(own, 0).read(data[:stop])):
            behind = Run(own, before.place).read(data[before.place :]).end()
            assert before.frames + behind == whole, stop


class InputTests(InputCase):
    """An input that ends."""

    def input(self, own: Framing | None = None, link: Framing | None = None) -> Input:
        link = framing.lines() if link is None else link
        own = framing.lines(max_frame=10) if own is None else own
        intake = Intake("stdin", own, link.check, self.send, self.log)
        made = Input(intake, self.read, self.runner)
        made.start()
        return made

    def test_frames_are_sent_as_they_are_read_until_the_end(self) -> None:
        self.chunks = [b"a\nb", b"\nc\n"]
        source = self.input()
        self.runner.step()
        self.assertEqual(self.sent, [b"a"])
        self.runner.step()
        self.assertEqual(self.sent, [b"a", b"b", b"c"])
        self.assertNoResult(source.ended)
        self.runner.step()
        self.successResultOf(source.ended)
        self.assertTrue(self.runner.stopped)
        self.assertEqual((source.refused, self.log.lines), (0, []))

    def test_nothing_is_read_while_the_link_has_no_room(self) -> None:
        self.chunks = [b"a\n", b"b\n"]
        self.answer = Deferred()
        self.input()
        self.runner.step()
        self.assertEqual(self.runner.calls, [])
        answer, self.answer = self.answer, None
        answer.callback(None)
        self.runner.step()
        self.assertEqual(self.sent, [b"a", b"b"])

    def test_a_chunk_without_a_whole_frame_is_kept(self) -> None:
        self.chunks = [b"a", b"b\n"]
        self.input()
        self.runner.steps()
        self.assertEqual(self.sent, [b"ab"])

    def test_a_last_line_without_its_end_is_sent(self) -> None:
        self.chunks = [b"a\nb\r"]
        source = self.input()
        self.runner.steps()
        self.assertEqual(self.sent, [b"a", b"b"])
        self.successResultOf(source.ended)

    def test_half_a_frame_of_another_framing_is_reported(self) -> None:
        self.chunks = [b"\0\1a\0\5b"]
        source = self.input(framing.length(2))
        self.runner.steps()
        self.assertEqual(self.sent, [b"a"])
        self.assertEqual(source.refused, 1)
        self.assertEqual(
            self.log.lines, ["input stdin ends inside a frame, 3 bytes of it are not sent"]
        )

    def test_a_frame_that_the_link_cannot_carry_is_left_out(self) -> None:
        self.chunks = [b"\0\1a\0\3b\nc\0\1d", b"\0\1\n"]
        source = self.input(framing.length(2))
        self.runner.steps()
        self.assertEqual(self.sent, [b"a", b"d"])
        self.assertEqual(source.refused, 2)
        (line,) = self.log.lines
        self.assertIn("input stdin has a frame that cannot be sent", line)
        self.assertIn(r"b'b\nc'", line)

    def test_a_frame_over_the_limit_ends_the_input(self) -> None:
        self.chunks = [b"a\n" + b"x" * 20 + b"\nb\n", b"c\n"]
        source = self.input()
        self.runner.steps()
        self.assertEqual(self.sent, [b"a"])
        self.assertEqual(source.refused, 1)
        says = "input stdin has a fault: the frame has reached 20 bytes, more than the limit of 10"
        self.assertEqual(self.log.lines, [says])
        self.successResultOf(source.ended)

    def test_a_fault_ahead_of_any_frame_ends_the_input(self) -> None:
        self.chunks = [b"x" * 20]
        source = self.input()
        self.runner.steps()
        self.assertEqual((self.sent, source.refused), ([], 1))

    def test_what_cannot_be_read_ends_the_input(self) -> None:
        self.chunks = [OSError(errno.EIO, "Input/output error")]
        source = self.input()
        self.runner.steps()
        self.successResultOf(source.ended)
        self.assertEqual(self.log.lines, ["input stdin cannot be read (input/output error)"])

    def test_a_fault_of_ours_ends_it_is_told_and_is_no_end(self) -> None:
        self.chunks = [b"a\n", b"b\n"]
        self.answer = fail(ZeroDivisionError("a fault of ours"))
        source = self.input()
        self.runner.steps()
        self.successResultOf(source.ended)
        self.assertEqual((source.failed, source.exhausted), (True, False))
        self.assertEqual(self.log.lines, ["input stdin has failed"])
        self.assertTrue(self.runner.stopped)

    def test_a_decoder_that_returns_nothing_is_a_fault(self) -> None:
        """None would pass for no frame yet, or for no tail, and the file for sent."""
        for method, sent in (("feed", []), ("eof", [b"a"])):
            self.chunks, self.sent = [b"a\ntail"], []
            decoder = framing.lines(max_frame=10).decoder()
            setattr(decoder, method, lambda *_: None)
            own = Boom(decoder)
            intake = Intake("x", own, framing.lines().check, self.send, self.log)
            source = Input(intake, self.read, self.runner)
            source.start()
            self.runner.steps()
            self.successResultOf(source.ended)
            self.assertEqual((self.sent, source.failed, source.exhausted), (sent, True, False))
            why = self.log.events[-1]["log_failure"].getErrorMessage()
            self.assertEqual(why, f"{type(decoder).__name__}.{method} returned None")

    def test_a_frame_that_a_framing_cannot_take_is_left_out_whatever_it_raises(self) -> None:
        def check(frames: Sequence[bytes]) -> None:
            if b"b" in frames:
                raise KeyError("b")

        self.chunks = [b"a\nb\nc\n"]
        intake = Intake("x", framing.lines(), check, self.send, self.log)
        source = Input(intake, self.read, self.runner)
        source.start()
        self.runner.steps()
        self.assertEqual((self.sent, source.refused, source.failed), ([b"a", b"c"], 1, False))
        self.assertIn("has a frame that cannot be sent (KeyError", self.log.lines[0])

    def test_a_link_that_takes_no_more_ends_the_input(self) -> None:
        self.chunks = [b"a\n", b"b\n"]
        self.answer = fail(LinkStopped("the link is stopped"))
        source = self.input()
        self.runner.steps()
        self.successResultOf(source.ended)
        self.assertEqual(self.sent, [b"a"])
        self.assertEqual(source.refused, 0)  # the link has counted it
        self.assertEqual(self.log.lines, ["input stdin stops: the link is stopped"])

    def test_an_input_that_was_stopped_says_nothing_of_it(self) -> None:
        self.chunks = [b"a\n"]
        self.answer = Deferred()
        source = self.input()
        self.runner.step()
        source.stop()
        self.answer.errback(LinkStopped("stopped"))
        self.successResultOf(source.ended)
        self.assertEqual(self.log.lines, [])

    def test_what_is_read_after_the_stop_is_not_sent_but_counted(self) -> None:
        self.chunks = [b"a\nb\n"]
        source = self.input()
        source.stop()
        self.runner.steps()
        self.assertEqual((self.sent, source.refused), ([], 2))
        self.successResultOf(source.ended)

    def test_an_end_that_is_found_after_the_stop_is_none_of_the_inputs(self) -> None:
        source = self.input()
        source.stop()
        self.runner.steps()
        self.successResultOf(source.ended)
        self.assertFalse(source.exhausted)


class EndlessTests(InputCase):
    """An input of many files or writers: what ends is not the input."""

    def input(self, own: Framing | None = None) -> Input:
        own = framing.lines(max_frame=10, on_bad_frame="skip") if own is None else own
        intake = Intake("stdin", own, framing.lines().check, self.send, self.log)
        made = Input(intake, self.read, self.runner, True, lambda: self.interrupts.append(1))
        made.start()
        return made

    def setUp(self) -> None:
        super().setUp()
        self.interrupts: list[int] = []

    def steps(self, number: int) -> None:
        for _ in range(number):
            self.runner.step()

    def test_each_stretch_begins_with_a_new_frame(self) -> None:
        self.chunks = [b"a\nb", b"", b"c\n", b""]
        source = self.input()
        self.steps(4)
        self.assertEqual(self.sent, [b"a", b"b", b"c"])
        self.assertNoResult(source.ended)
        self.assertEqual((source.refused, self.log.lines), (0, []))

    def test_a_frame_over_the_limit_is_passed_over_and_told_once(self) -> None:
        self.chunks = [b"x" * 20, b"x\na\n" + b"y" * 20 + b"\n", b"b\n"]
        source = self.input()
        self.steps(3)
        self.assertEqual(self.sent, [b"a", b"b"])
        self.assertEqual(source.refused, 2)
        self.assertEqual(
            self.log.lines, ["input stdin has frames over the limit, they are left out"]
        )

    def test_one_passed_over_at_the_very_end_leaves_no_empty_frame(self) -> None:
        self.chunks = [b"a\n" + b"x" * 20 + b"\r", b"", b"b\n"]
        source = self.input()
        self.steps(3)
        self.assertEqual((self.sent, source.refused), ([b"a", b"b"], 1))

    def test_where_none_can_be_passed_over_it_goes_on_with_the_next_stretch(self) -> None:
        self.chunks = [b"\0\1a\0\x63", b"bc", b"", b"\0\1d"]
        source = self.input(framing.length(2, max_frame=10))
        self.steps(4)
        self.assertEqual(self.sent, [b"a", b"d"])
        self.assertEqual(source.refused, 1)
        self.assertEqual(len(self.log.lines), 1)

    def test_the_stop_ends_the_read(self) -> None:
        source = self.input()
        source.stop()
        self.assertEqual(self.interrupts, [1])
        self.runner.step()
        self.successResultOf(source.ended)

    def test_a_link_that_takes_no_more_ends_it_too(self) -> None:
        self.chunks = [b"a\n"]
        self.answer = fail(LinkStopped("stopped"))
        source = self.input()
        self.steps(1)
        self.successResultOf(source.ended)


class TakerTests(InputCase):
    """Bytes from a transport, one chunk at a time."""

    def setUp(self) -> None:
        super().setUp()
        self.pipe = Pipe()
        self.enough: list[int] = []
        self.intake = Intake(
            "x", framing.lines(max_frame=10), framing.lines().check, self.send, self.log
        )
        self.taker = Taker(self.intake, self.pipe, lambda: self.enough.append(1))

    def test_the_transport_waits_for_the_link(self) -> None:
        self.taker.take(b"a\n")
        self.assertEqual((self.sent, self.pipe.said), ([b"a"], []))
        answer = self.answer = Deferred()
        self.taker.take(b"b\n")
        self.taker.take(b"c\n")  # was on its way already
        self.assertEqual((self.sent, self.pipe.said), ([b"a", b"b"], ["pause"]))
        self.answer = None
        answer.callback(None)
        self.assertEqual((self.sent, self.pipe.said), ([b"a", b"b", b"c"], ["pause", "resume"]))

    def test_what_has_arrived_before_the_end_is_taken(self) -> None:
        answer = self.answer = Deferred()
        self.taker.take(b"a\n")
        self.taker.take(b"b\ntail")
        self.taker.finish()
        self.answer = None
        answer.callback(None)
        self.assertEqual(self.sent, [b"a", b"b", b"tail"])
        self.assertEqual(self.pipe.said, ["pause"])

    def test_half_a_frame_at_the_end_is_counted(self) -> None:
        intake = Intake("x", framing.length(2), framing.lines().check, self.send, self.log)
        taker = Taker(intake, self.pipe, lambda: None)
        taker.take(b"\0\5ab")
        taker.finish()
        self.assertEqual(intake.refused, 1)
        taker.finish()
        self.assertEqual(intake.refused, 1)

    def test_after_a_fault_of_ours_nothing_more_is_taken_and_it_is_told(self) -> None:
        self.answer = fail(ZeroDivisionError("a fault of ours"))
        self.taker.take(b"a\n")
        self.taker.take(b"b\n")
        self.taker.finish()
        self.assertEqual((self.sent, self.enough, self.intake.broken), ([b"a"], [1], True))
        self.assertEqual(self.log.lines, ["input x has failed"])

    def test_a_framing_that_makes_no_decoder_is_a_fault_of_the_input_told_once(self) -> None:
        """It once was one of the protocol, whose `connectionMade` raised: nobody knew."""
        intake = Intake("x", Boom(), framing.lines().check, self.send, self.log)
        taker = Taker(intake, self.pipe, lambda: self.enough.append(1))
        self.assertEqual(self.log.lines, [], "making it raises nothing")
        taker.take(b"a\n")
        taker.take(b"b\n")
        taker.finish()
        self.assertEqual((self.enough, intake.broken), ([1], True))
        self.assertEqual(self.log.lines, ["input x has failed"])

    def test_one_at_the_very_end_is_told_too(self) -> None:
        self.answer = fail(ZeroDivisionError("a fault of ours"))
        self.taker.take(b"tail")
        self.taker.finish()
        self.assertEqual((self.enough, self.intake.broken), ([], True))

    def test_after_a_fault_nothing_more_is_taken(self) -> None:
        self.taker.take(b"a\n" + b"x" * 20)
        self.taker.take(b"b\n")
        self.taker.finish()
        self.assertEqual((self.sent, self.enough, self.intake.refused), ([b"a"], [1], 1))

    def test_who_waited_for_its_turn_when_it_was_stopped_is_not_heard_but_counted(self) -> None:
        answer = self.answer = Deferred()
        self.taker.take(b"a\n")
        other = Taker(self.intake, Pipe(), lambda: self.enough.append(2))
        other.take(b"b\n")
        self.intake.stopped = True
        answer.callback(None)
        self.assertEqual((self.sent, sorted(self.enough)), ([b"a"], [1, 2]))
        self.assertEqual(self.intake.refused, 1)

    def test_thousands_may_wait_for_their_turn(self) -> None:
        answer = self.answer = Deferred()
        self.taker.take(b"first\n")
        for number in range(3000):
            Taker(self.intake, Pipe(), lambda: None).take(b"%d\n" % number)
        self.answer = None
        answer.callback(None)
        self.assertEqual(self.sent, [b"first", *(b"%d" % number for number in range(3000))])


def test_a_file_is_opened_for_reading(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"abc")
    descriptor = open_file(str(tmp_path / "in"))
    assert os.get_blocking(descriptor)
    assert (read_chunk(descriptor), read_chunk(descriptor)) == (b"abc", b"")
    os.close(descriptor)
    os.close(open_file("/dev/null"))


def test_what_cannot_be_read_as_a_file_is_refused_in_words(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, why in [
        ("none", "no such file or directory"),
        (".", "is a directory"),
        ("pipe", "not a regular file"),
    ]:
        with pytest.raises(LocalError, match=f"{why}$"):
            open_file(str(tmp_path / name))


def test_a_descriptor_that_somebody_made_non_blocking_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"abc")
    tries = [BlockingIOError()]
    read = os.read

    def reading(descriptor: int, size: int) -> bytes:
        if tries:
            raise tries.pop()
        return read(descriptor, size)

    monkeypatch.setattr(os, "read", reading)
    assert read_chunk(reader) == b"abc"
    os.close(reader)
    os.close(writer)


def test_a_terminal_that_hung_up_is_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A read that was under way ends so; a later one has no bytes."""

    def fails(*_: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    theirs, ours = os.openpty()
    os.close(theirs)
    monkeypatch.setattr(os, "read", fails)
    assert read_chunk(ours) == b""
    os.close(ours)


def test_no_other_read_error_is_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    theirs, ours = os.openpty()
    reader, writer = os.pipe()
    os.close(writer)
    monkeypatch.setattr(os, "read", fails)
    for descriptor in (ours, reader):  # there, and no terminal
        with pytest.raises(OSError, match="Input/output"):
            read_chunk(descriptor)
    for descriptor in (theirs, ours, reader):
        os.close(descriptor)
