"""One connection on its own: frames in, frames out, and every way to end."""

from __future__ import annotations

import array
import contextlib
import re
import struct
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any, cast

from twisted.internet.abstract import FileDescriptor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol, IHandshakeListener
from twisted.internet.protocol import Factory
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from nbclient import FrameProtocol, framing
from nbclient.connection import protocol as protocol_module
from nbclient.connection.interface import LinkObserver
from nbclient.connection.protocol import ANSWER_LIMIT, DRAIN_LIMIT
from nbclient.connection.receiver import PauseToken
from nbclient.delivery.ledger import Ledger
from nbclient.errors import (
    CallbackFailed,
    ConnectionClosed,
    FrameError,
    FrameTooLong,
    OpeningFailed,
)
from nbclient.testing import HIGH_WATER, FakeEndpoint, FakeReactor, Peer, every_split

NO_FRAMING = "FrameProtocol has no framing: set the class attribute"


class Recorder(FrameProtocol):
    """Writes down what happens to it, in order."""

    framing = framing.lines()

    def __init__(self) -> None:
        self.events: list[Any] = []

    @property
    def frames(self) -> list[bytes]:
        return [event for event in self.events if isinstance(event, bytes)]

    def frameReceived(self, frame: bytes) -> Any:
        self.events.append(frame)

    def tailReceived(self, tail: bytes) -> None:
        self.events.append(("tail", tail))

    def connectionReady(self) -> None:
        self.events.append("ready")

    def connectionLost(self, reason: Any = None) -> None:
        self.events.append(("lost", reason.type))


class Raw(framing.Framing):
    """Bytes as they are; a base for framings with a fault."""

    max_frame = 1000

    def decoder(self) -> framing.Decoder:
        return framing.named("raw").decoder()

    def encode(self, frames: Sequence[bytes]) -> list[bytes]:
        return list(frames)


class Watchful(LinkObserver):
    """A link that does nothing by itself and remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def connectionUp(self, connection: Any) -> None:
        self.told.append("up")

    def connectionOpened(self, connection: Any) -> None:
        self.told.append("opened")

    def connectionClosing(self, connection: Any) -> None:
        self.told.append("closing")

    def peerClosed(self, connection: Any) -> None:
        self.told.append("peer closed")

    def connectionFailed(self, connection: Any, reason: Failure) -> None:
        self.told.append(reason.value)

    def transportLost(self, connection: Any, reason: Failure) -> None:
        self.told.append("gone")

    def connectionSettled(self, connection: Any) -> None:
        self.told.append("settled")

    def readingHeld(self, connection: Any, held: bool) -> None:
        self.told.append("held" if held else "released")


class ConnectionTestCase(SynchronousTestCase):
    """Gives each test a protocol, its transport and the other end."""

    def connect(self, protocol: Any, secure: bool = False) -> Peer:
        self.reactor = FakeReactor()
        endpoint = FakeEndpoint(self.reactor)
        factory: Factory[Any] = Factory.forProtocol(lambda: protocol)
        factory.noisy = False
        endpoint.connect(factory)
        return endpoint.attempts[0].accept(secure=secure)

    def feed(self, peer: Peer, data: bytes) -> None:
        peer.send(data)
        self.reactor.turn()

    def flushed(self, kind: type[Exception], count: int = 1) -> None:
        self.assertEqual(len(self.flushLoggedErrors(kind)), count)


class ReceivingTests(ConnectionTestCase):
    """What arrives reaches the application once, whole, in order."""

    def test_every_split_gives_the_same_frames(self) -> None:
        for chunks in every_split(b"one\r\ntwo\n\nthree\n"):
            protocol = Recorder()
            peer = self.connect(protocol)
            for chunk in chunks:
                self.feed(peer, chunk)
            self.assertEqual(protocol.frames, [b"one", b"two", b"", b"three"])

    def test_counts_what_passes(self) -> None:
        protocol = Recorder()
        peer = self.connect(protocol)
        self.feed(peer, b"one\ntwo\nth")
        protocol.sendFrames([b"a", b"b"])
        self.assertEqual((protocol.framesIn, protocol.bytesIn), (2, 10))
        self.assertEqual((protocol.framesOut, protocol.bytesOut), (2, 4))
        self.assertTrue(protocol.unfinished)
        self.assertEqual(protocol.skipped, 0)

    def test_traffic_sets_no_attribute_that_the_beginning_did_not(self) -> None:
        """It would leave the common layout of attributes, and take 0.8 KB on each link."""
        protocol = Echo()
        peer = self.connect(protocol)
        before = set(vars(protocol))
        self.feed(peer, b"one\ntwo\nth")
        protocol.sendFrames([b"a", b"b"])
        self.feed(peer, b"ree\n")
        self.assertEqual(peer.received, b"one\ntwo\na\nb\nthree\n")
        self.assertEqual(set(vars(protocol)), before)

    def test_a_batch_callback_gets_all_that_one_read_completed(self) -> None:
        class Batches(Recorder):
            def framesReceived(self, frames: list[bytes]) -> Any:
                self.events.append(frames)

        protocol = Batches()
        peer = self.connect(protocol)
        self.feed(peer, b"one\ntwo\nth")
        self.feed(peer, b"ree\n")
        self.assertEqual(protocol.events, ["ready", [b"one", b"two"], [b"three"]])

    def test_one_that_never_began_receives_nothing_and_can_be_asked(self) -> None:
        protocol = Recorder()
        self.assertEqual((protocol.skipped, protocol.unfinished), (0, False))
        self.assertEqual(protocol._decoder.feed(b"x\n"), [])
        self.assertEqual(protocol._decoder.unread(b"x\n", []), b"")

    def test_a_protocol_without_framing_is_told_so(self) -> None:
        with capturedLogs() as logs:
            peer = self.connect(FrameProtocol())
        self.assertEqual([log["why"] for log in logs], [NO_FRAMING])
        self.reactor.turn()
        self.assertFalse(peer.connected)

    def test_a_protocol_without_a_callback_is_told_so_once(self) -> None:
        class Deaf(FrameProtocol):
            framing = framing.lines()

        peer = self.connect(Deaf())
        self.feed(peer, b"one\ntwo\n")
        self.assertTrue(peer.aborted)
        self.flushed(NotImplementedError)

    def test_the_unterminated_tail_is_logged_by_default(self) -> None:
        class Plain(FrameProtocol):
            framing = framing.lines()

            def frameReceived(self, frame: bytes) -> None:
                pass

        peer = self.connect(Plain())
        peer.send(b"one\ntwo")
        peer.close()
        self.reactor.turn()
        self.assertFalse(peer.connected)

    def test_the_wiretap_sees_the_bytes_as_they_pass(self) -> None:
        seen: list[tuple[str, bytes]] = []
        protocol = Recorder()
        protocol.wiretap = lambda direction, data: seen.append((direction, data))
        peer = self.connect(protocol)
        self.feed(peer, b"in\r\n")
        protocol.sendFrame(b"out")
        self.assertEqual(seen, [("in", b"in\r\n"), ("out", b"out\n")])

    def test_whoever_watches_hears_of_progress_only(self) -> None:
        """True for a chunk that ends a frame or begins one, False in the midst of one."""
        heard: list[bool] = []
        protocol = Recorder()
        peer = self.connect(protocol)
        protocol.watch(heard.append)
        for chunk in (b"on", b"e", b"\n", b"two\nthr", b"e", b"e\n"):
            self.feed(peer, chunk)
        self.assertEqual(heard, [True, False, True, True, False, True])

    def test_what_is_no_result_is_none_however_many_frames_a_read_brings(self) -> None:
        """A callback that returns what some call of its own gave, a count of 0, say.

        Else whether the connection lives would hang on where the network cuts.
        """
        for data in (b"one\n", b"one\ntwo\n"):
            for nothing in (False, 0, b""):
                protocol = Recorder()
                protocol.frameReceived = lambda _, nothing=nothing: nothing  # type: ignore[method-assign, assignment, misc]
                peer = self.connect(protocol)
                self.feed(peer, data)
                self.assertTrue(peer.connected)
                self.assertFalse(protocol.readingHeld)


class PausingTests(ConnectionTestCase):
    """Pausing in a callback neither loses nor repeats a frame."""

    def test_a_deferred_holds_back_the_next_frame(self) -> None:
        waiting: list[Deferred[None]] = []

        class Slow(Recorder):
            def frameReceived(self, frame: bytes) -> Any:
                self.events.append(frame)
                waiting.append(Deferred())
                return waiting[-1]

        protocol = Slow()
        peer = self.connect(protocol)
        self.feed(peer, b"one\ntwo\n")
        self.feed(peer, b"three\n")
        self.assertEqual(protocol.frames, [b"one"])
        self.assertTrue(protocol.readingHeld)
        self.assertFalse(peer.transport.reading)
        waiting[0].callback(None)
        self.assertEqual(protocol.frames, [b"one", b"two"])
        self.assertFalse(peer.transport.reading)
        waiting[1].callback(None)
        self.reactor.turn()
        self.assertEqual(protocol.frames, [b"one", b"two", b"three"])
        waiting[2].callback(None)
        self.assertTrue(peer.transport.reading)
        self.assertFalse(protocol.readingHeld)

    def test_a_coroutine_that_is_done_at_once_pauses_nothing(self) -> None:
        class Async(Recorder):
            async def frameReceived(self, frame: bytes) -> None:  # type: ignore[override]
                self.events.append(frame)

        protocol = Async()
        link = Watchful()
        protocol.join(link)
        peer = self.connect(protocol)
        self.feed(peer, b"one\ntwo\n")
        self.assertEqual(protocol.frames, [b"one", b"two"])
        self.assertNotIn("held", link.told)

    def test_a_batch_callback_may_pause_too(self) -> None:
        done: Deferred[None] = Deferred()

        class Batches(Recorder):
            def framesReceived(self, frames: list[bytes]) -> Any:
                self.events.append(frames)
                return done

        protocol = Batches()
        peer = self.connect(protocol)
        self.feed(peer, b"one\n")
        self.feed(peer, b"two\n")
        self.assertEqual(protocol.events, ["ready", [b"one"]])
        done.callback(None)
        self.reactor.turn()
        self.assertEqual(protocol.events, ["ready", [b"one"], [b"two"]])

    def test_pause_and_resume_at_every_frame_neither_loses_nor_repeats(self) -> None:
        class Blinking(Recorder):
            def frameReceived(self, frame: bytes) -> Any:
                self.events.append(frame)
                self.pauseReading().resume()

        protocol = Blinking()
        self.feed(self.connect(protocol), b"a\nb\nc\nd\n")
        self.assertEqual(protocol.frames, [b"a", b"b", b"c", b"d"])

    def test_pause_inside_a_callback_stops_right_there(self) -> None:
        tokens: list[PauseToken] = []

        class Pausing(Recorder):
            def frameReceived(self, frame: bytes) -> Any:
                self.events.append(frame)
                if frame == b"b":
                    tokens.append(self.pauseReading())

        protocol = Pausing()
        self.feed(self.connect(protocol), b"a\nb\nc\nd\n")
        self.assertEqual(protocol.frames, [b"a", b"b"])
        tokens[0].resume()
        tokens[0].resume()  # a token counts once
        self.assertEqual(protocol.frames, [b"a", b"b", b"c", b"d"])

    def test_reading_goes_on_when_all_tokens_are_back(self) -> None:
        protocol = Recorder()
        peer = self.connect(protocol)
        first, second = protocol.pauseReading(), protocol.pauseReading()
        self.feed(peer, b"one\n")
        first.resume()
        self.reactor.turn()
        self.assertEqual(protocol.frames, [])
        second.resume()
        self.reactor.turn()
        self.assertEqual(protocol.frames, [b"one"])

    def test_a_paused_transport_may_still_deliver_a_chunk(self) -> None:
        """TLS and some reactors do; it waits its turn."""
        protocol = Recorder()
        self.connect(protocol)
        token = protocol.pauseReading()
        protocol.dataReceived(b"one\n")
        protocol.dataReceived(b"two\n")
        self.assertEqual(protocol.frames, [])
        token.resume()
        self.assertEqual(protocol.frames, [b"one", b"two"])

    def test_a_chunk_that_arrives_inside_a_callback_waits_its_turn(self) -> None:
        class Reentrant(Recorder):
            def frameReceived(self, frame: bytes) -> Any:
                self.events.append(frame)
                if frame == b"one":
                    self.dataReceived(b"three\n")
                    self.events.append("after")

        protocol = Reentrant()
        self.feed(self.connect(protocol), b"one\ntwo\n")
        self.assertEqual(protocol.events, ["ready", b"one", "after", b"two", b"three"])

    def test_an_override_may_hand_on_piecemeal(self) -> None:
        """Two up-calls for one batch, the first interrupted: order holds."""
        tokens: list[PauseToken] = []

        class Piecemeal(Recorder):
            def framesReceived(self, frames: list[bytes]) -> Any:
                super().framesReceived(frames[:2])
                super().framesReceived(frames[2:])

            def frameReceived(self, frame: bytes) -> Any:
                self.events.append(frame)
                if frame == b"a":
                    tokens.append(self.pauseReading())

        protocol = Piecemeal()
        self.feed(self.connect(protocol), b"a\nb\nc\nd\n")
        self.assertEqual(protocol.frames, [b"a"])
        tokens[0].resume()
        self.assertEqual(protocol.frames, [b"a", b"b", b"c", b"d"])

    def test_an_override_that_closes_hands_on_nothing_more(self) -> None:
        class Closing(Recorder):
            def framesReceived(self, frames: list[bytes]) -> Any:
                self.loseConnection()
                super().framesReceived(frames)

        protocol = Closing()
        self.feed(self.connect(protocol), b"a\nb\n")
        self.assertEqual(protocol.frames, [])

    def test_many_pauses_in_one_chunk_cost_no_more_than_the_frames(self) -> None:
        """A flood of empty frames, each pausing: the iterator moves in O(1)."""
        moved: list[int] = []

        class Pausing(Recorder):
            def frameReceived(self, frame: bytes) -> Any:
                moved.append(len(self._running))
                self.pauseReading().resume()

        class Counting(list[bytes]):
            copied = 0

            def __getitem__(self, index: Any) -> Any:  # a slice copies
                if isinstance(index, slice):
                    Counting.copied += len(self)
                return super().__getitem__(index)

        protocol = Pausing()
        self.connect(protocol)
        protocol._batch = Counting([b""] * 1000)
        protocol._run()
        self.assertEqual(len(moved), 1000)
        self.assertEqual(Counting.copied, 0)

    def test_held_tells_the_link(self) -> None:
        protocol = Recorder()
        link = Watchful()
        protocol.join(link)
        self.connect(protocol)
        token = protocol.pauseReading()
        self.assertEqual(link.told, ["up", "held"])
        token.resume()
        self.assertEqual(link.told, ["up", "held", "released"])


class WaitingForFramesTests(ConnectionTestCase):
    """`nextFrame` takes, `expect` looks."""

    def test_next_frame_takes_one_and_leaves_the_rest(self) -> None:
        protocol = Recorder()
        peer = self.connect(protocol)
        taken, next_one = protocol.nextFrame(), protocol.nextFrame()
        self.feed(peer, b"one\ntwo\nthree\n")
        self.assertEqual(self.successResultOf(taken), b"one")
        self.assertEqual(self.successResultOf(next_one), b"two")
        self.assertEqual(protocol.frames, [b"three"])

    def test_next_frame_asked_for_in_a_callback_takes_the_very_next(self) -> None:
        taken: list[bytes] = []

        class Asking(Recorder):
            def frameReceived(self, frame: bytes) -> Any:
                self.events.append(frame)
                if frame == b"a":
                    self.nextFrame().addCallback(taken.append)

        protocol = Asking()
        self.feed(self.connect(protocol), b"a\nb\nc\n")
        self.assertEqual(taken, [b"b"])
        self.assertEqual(protocol.frames, [b"a", b"c"])

    def test_a_callback_that_no_longer_waits_for_a_frame_holds_back_the_transport(self) -> None:
        """It goes on with something else; what arrives meanwhile must not fill the memory."""
        working: Deferred[None] = Deferred()
        waited: list[Deferred[bytes]] = []

        class Impatient(Recorder):
            async def frameReceived(self, frame: bytes) -> None:
                self.events.append(frame)
                waited.append(self.nextFrame())
                try:
                    await waited[-1]
                except CancelledError:
                    await working

        protocol = Impatient()
        peer = self.connect(protocol)
        self.feed(peer, b"one\n")
        self.assertTrue(peer.transport.reading)
        waited[0].cancel()
        self.assertFalse(peer.transport.reading)
        self.feed(peer, b"two\n")
        self.assertEqual(protocol.frames, [b"one"])
        working.callback(None)
        self.reactor.turn(2)
        self.assertEqual(protocol.frames, [b"one", b"two"])
        self.assertTrue(peer.transport.reading)

    def test_one_that_no_longer_waits_during_a_read_holds_it_back_at_its_end(self) -> None:
        working: Deferred[None] = Deferred()

        class Changing(Recorder):
            async def frameReceived(self, frame: bytes) -> None:
                taken = self.nextFrame()
                taken.addErrback(lambda reason: reason.trap(CancelledError))
                taken.cancel()
                await working

        peer = self.connect(Changing())
        self.feed(peer, b"one\n")
        self.assertFalse(peer.transport.reading)
        working.callback(None)
        self.assertTrue(peer.transport.reading)

    def test_expect_looks_and_leaves_every_frame(self) -> None:
        protocol = Recorder()
        peer = self.connect(protocol)
        seen = protocol.expect(re.compile(rb"w(.)l"))
        self.feed(peer, b"one\nwelcome\nwell\n")
        self.assertEqual(self.successResultOf(seen).group(1), b"e")
        self.assertEqual(protocol.frames, [b"one", b"welcome", b"well"])

    def test_expect_refuses_what_is_no_compiled_pattern_of_bytes_at_the_call(self) -> None:
        """Else it would fail at the next frame, far from who wrote it."""
        protocol = Recorder()
        self.connect(protocol)
        for wrong in (b"ok", "ok", None, re.compile("ok")):
            with self.assertRaisesRegex(TypeError, "takes a compiled pattern of bytes, not"):
                protocol.expect(wrong)  # type: ignore[arg-type]

    def test_expect_asked_for_in_a_callback_looks_from_the_next_frame_on(self) -> None:
        seen: list[bytes] = []

        class Looking(Recorder):
            def frameReceived(self, frame: bytes) -> Any:
                self.events.append(frame)
                if frame == b"a1":
                    found = self.expect(re.compile(rb"a(\d)"))
                    found.addCallback(lambda match: seen.append(match.group(1)))

        protocol = Looking()
        self.feed(self.connect(protocol), b"a1\nb\na2\na3\n")
        self.assertEqual(seen, [b"2"])
        self.assertEqual(protocol.frames, [b"a1", b"b", b"a2", b"a3"])

    def test_a_cancelled_waiter_is_forgotten(self) -> None:
        protocol = Recorder()
        peer = self.connect(protocol)
        taken, seen = protocol.nextFrame(), protocol.expect(re.compile(b"x"))
        taken.cancel()
        seen.cancel()
        self.failureResultOf(taken, CancelledError)
        self.failureResultOf(seen, CancelledError)
        self.feed(peer, b"x\n")
        self.assertEqual(protocol.frames, [b"x"])

    def test_waiters_fail_when_the_connection_ends(self) -> None:
        protocol = Recorder()
        peer = self.connect(protocol)
        taken, seen = protocol.nextFrame(), protocol.expect(re.compile(b"x"))
        neighbour = protocol.nextFrame()
        taken.addErrback(lambda reason: (neighbour.cancel(), reason)[1])
        neighbour.addErrback(lambda _: None)
        peer.reset()
        self.reactor.turn()
        self.failureResultOf(taken, ConnectionClosed)
        self.failureResultOf(seen, ConnectionClosed)
        self.failureResultOf(protocol.nextFrame(), ConnectionClosed)
        self.failureResultOf(protocol.expect(re.compile(b"x")), ConnectionClosed)

    def test_a_callback_that_waits_for_a_frame_when_the_peer_ends_waits_in_vain(self) -> None:
        """Otherwise the end would wait for the callback, and the callback for the end."""

        class Pairing(Recorder):
            async def frameReceived(self, frame: bytes) -> None:  # type: ignore[override]
                self.events.append((frame, await self.nextFrame()))

        for end in ("close", "reset"):
            protocol = Pairing()
            peer = self.connect(protocol)
            self.feed(peer, b"a\nb\nc\n")
            getattr(peer, end)()
            self.reactor.turn()
            self.assertEqual(protocol.events[1], (b"a", b"b"))
            self.assertEqual(protocol.events[2][0], "lost")
            self.assertTrue(protocol.settled)
            self.assertEqual(self.flushLoggedErrors(), [])

    def test_frames_behind_a_callback_that_waited_in_vain_are_still_delivered(self) -> None:
        waiting: list[Deferred[None]] = []

        class Waiting(Recorder):
            def frameReceived(self, frame: bytes) -> Any:
                self.events.append(frame)
                waiting.append(Deferred())
                return waiting[-1]

        protocol = Waiting()
        peer = self.connect(protocol)
        self.feed(peer, b"a\nb\nc\n")
        peer.reset()
        protocol.sendFrame(b"x")
        self.reactor.turn()
        waiting[0].errback(ConnectionClosed("over"))
        waiting[1].callback(None)
        self.assertEqual(protocol.frames, [b"a", b"b", b"c"])
        waiting[2].callback(None)
        self.assertEqual(protocol.events[-1], ("lost", ConnectionLost))

    def test_on_a_connection_that_lives_the_same_failure_is_a_fault(self) -> None:
        class Failing(Recorder):
            async def frameReceived(self, frame: bytes) -> None:  # type: ignore[override]
                raise ConnectionClosed("of another connection")

        peer = self.connect(Failing())
        self.feed(peer, b"a\nb\n")
        self.assertTrue(peer.aborted)
        self.flushed(ConnectionClosed)

    def test_the_next_frame_comes_through_however_many_callbacks_are_waited_for(self) -> None:
        first: Deferred[None] = Deferred()

        class Twice(Recorder):
            def framesReceived(self, frames: list[bytes]) -> Any:
                super().framesReceived(frames)
                return first

            async def frameReceived(self, frame: bytes) -> None:  # type: ignore[override]
                self.events.append((frame, await self.nextFrame()))

        protocol = Twice()
        peer = self.connect(protocol)
        self.feed(peer, b"a\nb\n")
        self.assertEqual(protocol.events, ["ready", (b"a", b"b")])
        self.assertTrue(protocol.readingHeld)
        first.callback(None)
        self.assertFalse(protocol.readingHeld)

    def test_a_frame_held_back_by_whoever_looked_at_it_is_of_a_batch_still(self) -> None:
        class Batches(Recorder):
            def framesReceived(self, frames: list[bytes]) -> Any:
                self.events.extend(frames)

        protocol = Batches()
        peer = self.connect(protocol)
        tokens: list[PauseToken] = []
        protocol.expect(re.compile(b"b")).addCallback(
            lambda _: tokens.append(protocol.pauseReading())
        )
        self.feed(peer, b"a\nb\nc\n")
        self.assertEqual(protocol.frames, [b"a"])
        tokens[0].resume()
        self.assertEqual(protocol.frames, [b"a", b"b", b"c"])

    def test_a_frame_held_back_by_one_who_was_asked_for_in_a_callback_comes_once(self) -> None:
        tokens: list[PauseToken] = []

        class Looking(Recorder):
            def frameReceived(self, frame: bytes) -> Any:
                self.events.append(frame)
                if frame == b"a":
                    found = self.expect(re.compile(b"b"))
                    found.addCallback(lambda _: tokens.append(self.pauseReading()))

        protocol = Looking()
        self.feed(self.connect(protocol), b"a\nb\nc\n")
        self.assertEqual(protocol.frames, [b"a"])
        tokens[0].resume()
        self.assertEqual(protocol.frames, [b"a", b"b", b"c"])

    def test_whoever_looks_may_change_the_framing_behind_the_frame_and_pause(self) -> None:
        protocol = Recorder()
        peer = self.connect(protocol)
        tokens: list[PauseToken] = []

        def upgrade(_: object) -> None:
            protocol.setFraming(framing.netstring())
            tokens.append(protocol.pauseReading())

        protocol.expect(re.compile(b"go")).addCallback(upgrade)
        self.feed(peer, b"a\ngo\n1:b,1:c,")
        self.assertEqual(protocol.frames, [b"a"])
        tokens[0].resume()
        self.assertEqual(protocol.frames, [b"a", b"go", b"b", b"c"])


class FramingChangeTests(ConnectionTestCase):
    """`setFraming` hands over exactly what is behind the last frame taken."""

    def test_what_else_belongs_to_it_or_does_not_can_be_said(self) -> None:
        """Of a stream cut anywhere, only who read it knows where the other framing begins."""

        class Raw(Recorder):
            framing = framing.raw()

        protocol: Recorder = Raw()
        peer = self.connect(protocol)
        self.feed(peer, b"OK")
        protocol.setFraming(framing.netstring(), ahead=b"1:a,1")
        self.feed(peer, b":b,")
        self.assertEqual(protocol.frames, [b"OK", b"a", b"b"])
        protocol = Recorder()
        peer = self.connect(protocol)
        self.feed(peer, b"prompt> 1:a,")
        protocol.setFraming(framing.netstring(), skip=8)
        self.assertEqual((protocol.frames, protocol.tail), ([b"a"], b""))

    def test_inside_a_callback(self) -> None:
        class Switching(Recorder):
            def frameReceived(self, frame: bytes) -> Any:
                self.events.append(frame)
                if frame == b"binary":
                    self.setFraming(framing.netstring())

        for chunks in every_split(b"binary\r\n3:a\nb,5:hello,"):
            protocol = Switching()
            peer = self.connect(protocol)
            for chunk in chunks:
                self.feed(peer, chunk)
            self.assertEqual(protocol.frames, [b"binary", b"a\nb", b"hello"])
            self.assertEqual(protocol.framesIn, 3)

    def test_between_chunks(self) -> None:
        protocol = Recorder()
        peer = self.connect(protocol)
        self.feed(peer, b"line\n3:a")
        protocol.setFraming(framing.netstring())
        self.feed(peer, b"bc,")
        self.assertEqual(protocol.frames, [b"line", b"abc"])
        protocol.sendFrame(b"xyz")
        self.reactor.turn()
        self.assertEqual(peer.received, b"3:xyz,")

    def test_between_chunks_with_nothing_left(self) -> None:
        protocol = Recorder()
        peer = self.connect(protocol)
        self.feed(peer, b"line\n")
        protocol.setFraming(framing.netstring())
        self.feed(peer, b"3:abc,")
        self.assertEqual(protocol.frames, [b"line", b"abc"])

    def test_in_the_opening_after_a_frame_was_taken(self) -> None:
        class Upgrading(Recorder):
            async def opening(self) -> None:  # type: ignore[override]
                self.events.append(await self.nextFrame())
                self.setFraming(framing.netstring())

        protocol = Upgrading()
        self.feed(self.connect(protocol), b"hello\n3:abc,2:d\n,")
        self.assertEqual(protocol.events, [b"hello", "ready", b"abc", b"d\n"])

    def test_a_fault_of_the_old_framing_behind_the_change_is_none(self) -> None:
        """The old decoder choked on bytes that were never its own."""

        class Switching(Recorder):
            framing = framing.lines(max_frame=10)

            def frameReceived(self, frame: bytes) -> Any:
                self.events.append(frame)
                if frame == b"go":
                    self.setFraming(framing.raw())

        protocol = Switching()
        peer = self.connect(protocol)
        self.feed(peer, b"go\n" + b"x" * 100)
        self.assertEqual(b"".join(protocol.frames), b"go" + b"x" * 100)
        self.assertTrue(peer.connected)

    def test_skipped_frames_are_counted_over_a_change(self) -> None:
        protocol = Recorder()
        protocol.framing = framing.lines(max_frame=3, on_bad_frame="skip")
        peer = self.connect(protocol)
        self.feed(peer, b"toolong\nok\n")
        protocol.setFraming(framing.lines(max_frame=3, on_bad_frame="skip"))
        self.feed(peer, b"toolong\nyes\n")
        self.assertEqual(protocol.skipped, 2)
        self.assertEqual(protocol.frames, [b"ok", b"yes"])


class SendingTests(ConnectionTestCase):
    """The one way out."""

    def test_an_unsendable_frame_is_refused_before_a_byte_is_written(self) -> None:
        protocol = Recorder()
        peer = self.connect(protocol)
        self.assertRaises(FrameError, protocol.sendFrames, [b"fine", b"not\nfine"])
        self.reactor.turn()
        self.assertEqual(peer.received, b"")

    def test_what_is_written_while_one_read_is_handled_leaves_in_one_piece(self) -> None:
        writes: list[bytes] = []

        class Echo(Recorder):
            def frameReceived(self, frame: bytes) -> Any:
                self.sendFrame(frame)

        protocol = Echo()
        peer = self.connect(protocol)
        real = peer.transport.write
        peer.transport.write = lambda data: (writes.append(data), real(data))[1]  # type: ignore[method-assign]
        self.feed(peer, b"one\ntwo\n")
        self.assertEqual(writes, [b"one\ntwo\n"])
        self.assertEqual(peer.received, b"one\ntwo\n")
        self.feed(peer, b"three\n")
        self.assertEqual(writes[1:], [b"three\n"])

    def test_nothing_written_as_reading_stops_overtakes_what_a_read_has_written(self) -> None:
        class Telling(LinkObserver):
            def readingHeld(self, connection: Any, held: bool) -> None:
                if held:
                    connection.sendFrame(b"held")

        class Pausing(Recorder):
            def frameReceived(self, frame: bytes) -> Any:
                self.sendFrame(b"answer")
                self.pauseReading()

        protocol = Pausing()
        peer = self.connect(protocol)
        protocol.join(Telling())
        self.feed(peer, b"question\n")
        self.reactor.turn()
        self.assertEqual(peer.received, b"answer\nheld\n")

    def test_during_a_read_nothing_is_writable_and_behind_it_the_link_hears_if_it_asked(
        self,
    ) -> None:
        class Asking(LinkObserver):
            told = 0

            def connectionWritable(self, connection: Any) -> None:
                self.told += 1

        class Wanting(Recorder):
            def frameReceived(self, frame: bytes) -> Any:
                self.events.append(self.writable)
                self.wanted = frame == b"wanted"

        protocol, link = Wanting(), Asking()
        peer = self.connect(protocol)
        protocol.join(link)
        for frame, told in ((b"wanted", 1), (b"not", 1), (b"wanted", 2)):
            self.feed(peer, frame + b"\n")
            self.assertEqual((link.told, protocol.writable), (told, True))
        self.assertEqual(protocol.events[1:], [False] * 3)
        protocol.wanted = True
        protocol.loseConnection()
        self.assertFalse(protocol.writable)
        self.assertEqual(link.told, 2)

    def test_nothing_can_be_sent_once_we_have_closed(self) -> None:
        protocol = Recorder()
        self.connect(protocol)
        protocol.loseConnection()
        self.assertRaises(ConnectionClosed, protocol.sendFrame, b"late")
        self.assertFalse(protocol.writable)

    def test_what_cannot_be_sent_any_more_is_said_and_costs_no_frame_behind_it(self) -> None:
        """What arrived before the loss is the application's, though it may not be answered."""

        class Echo(Recorder):
            def frameReceived(self, frame: bytes) -> Any:
                self.events.append(frame)
                try:
                    self.sendFrame(frame)
                except ConnectionClosed as error:
                    self.events.append(str(error))
                    raise

            def tailReceived(self, tail: bytes) -> None:
                super().tailReceived(tail)
                self.sendFrame(tail)

            def connectionLost(self, reason: Any = None) -> None:
                super().connectionLost(reason)
                self.sendFrame(b"good bye")

        lost = "the connection is lost: nothing more can be sent"
        each = [b"one", lost, b"two", lost, b"three", lost]
        # Received before the loss and held back; and read from the socket afterwards.
        for pause in (True, False):
            protocol = Echo()
            peer = self.connect(protocol)
            token = protocol.pauseReading() if pause else None
            peer.send(b"one\ntwo\nthree\nrest")
            if pause:
                self.reactor.turn()
            peer.resets = True
            protocol.sendFrame(b"into the void")
            self.reactor.turn()
            if token is not None:
                token.resume()
            self.assertEqual(
                protocol.events[1:],
                [*each, ("tail", b"rest"), ("lost", ConnectionLost)],
            )
            self.assertRaises(ConnectionClosed, protocol.sendFrame, b"late")
            self.assertRaises(ConnectionClosed, protocol.sendFrames, [b"late"])
            self.assertEqual(protocol.framesOut, 1)

    def test_nor_does_it_where_one_frame_is_handed_over_at_a_time(self) -> None:
        class Echo(Recorder):
            def frameReceived(self, frame: bytes) -> Any:
                self.events.append(frame)
                self.sendFrame(frame)

        protocol = Echo()
        peer = self.connect(protocol)
        seen = protocol.expect(re.compile(b"three"))
        peer.send(b"one\ntwo\nthree\n")
        peer.resets = True
        protocol.sendFrame(b"into the void")
        self.reactor.turn()
        self.assertEqual(protocol.frames, [b"one", b"two", b"three"])
        self.assertIsNotNone(self.successResultOf(seen))

    def test_nor_after_the_goodbye_of_tls_which_takes_nothing_more(self) -> None:
        class Slow(Recorder):
            async def frameReceived(self, frame: bytes) -> None:
                self.events.append(frame)
                await turns.pop(0)
                self.sendFrame(frame)

        turns: list[Deferred[None]] = [Deferred(), Deferred()]
        first, second = turns
        protocol = Slow()
        peer = self.connect(protocol, secure=True)
        peer.finishHandshake()
        self.feed(peer, b"one\ntwo\n")
        peer.transport.loseConnection()  # as TLS does it
        self.assertFalse(protocol.writable)
        self.assertRaises(ConnectionClosed, protocol.sendFrame, b"late")
        first.callback(None)
        second.callback(None)
        self.reactor.turn()
        self.assertEqual(protocol.frames, [b"one", b"two"])
        self.assertEqual(protocol.framesOut, 0)

    def test_another_fault_behind_it_is_a_fault(self) -> None:
        class Echo(Recorder):
            def frameReceived(self, frame: bytes) -> Any:
                self.events.append(frame)
                if frame == b"two":
                    raise ZeroDivisionError
                self.sendFrame(frame)

        protocol = Echo()
        peer = self.connect(protocol)
        peer.send(b"one\ntwo\nthree\n")
        peer.resets = True
        protocol.sendFrame(b"into the void")
        self.reactor.turn()
        self.assertEqual(protocol.frames, [b"one", b"two"])
        self.flushed(ZeroDivisionError)

    def test_while_the_connection_is_up_it_is_a_fault_as_any_other(self) -> None:
        class Relay(Recorder):
            def frameReceived(self, frame: bytes) -> Any:
                self.events.append(frame)
                other.sendFrame(frame)

        other = Recorder()
        self.connect(other)
        other.loseConnection()
        protocol = Relay()
        self.feed(self.connect(protocol), b"one\ntwo\n")
        self.assertEqual(protocol.frames, [b"one"])
        self.flushed(ConnectionClosed)

    def test_automatic_answers_to_what_arrived_before_the_loss_are_dropped_quietly(self) -> None:
        protocol = Recorder()
        peer = self.connect(protocol)
        protocol.answerBy(lambda frame: b"yes")
        peer.send(b"one\ntwo\n")
        peer.resets = True
        protocol.sendFrame(b"into the void")
        with capturedLogs() as logs:
            self.reactor.turn()
        self.assertEqual(protocol.frames, [b"one", b"two"])
        self.assertEqual(logs, [])

    def test_what_is_no_frame_is_refused_before_anything_is_counted(self) -> None:
        """A ledger that ran ahead of the wire would acknowledge nothing any more."""
        bad: tuple[Any, ...] = ("text", bytearray(b"abcd"), memoryview(b"abcd"), None, 4)
        ways: tuple[Callable[[Any, Any], None], ...] = (
            lambda protocol, frame: protocol.sendFrame(frame),
            lambda protocol, frame: protocol.sendFrames([frame]),
            lambda protocol, frame: protocol.sendFrames([b"abcd", frame]),
            lambda protocol, frame: protocol.writeFrames([frame], True),
            lambda protocol, frame: protocol.sendFrames(frame),
        )
        for spec in ("raw", "fixed:4", "lines", "length:2", "netstring", "mllp", "slip", "json"):
            for busy in (False, True):
                protocol = Recorder()
                protocol.framing = framing.named(spec)
                protocol.ledger = Ledger()
                peer = self.connect(protocol)
                for way, frame in product(ways, bad):
                    protocol._busy = busy  # as within a callback
                    with contextlib.suppress(TypeError, FrameError):
                        way(protocol, frame)
                    protocol._busy = False
                    protocol._uncork()
                    self.reactor.turn()
                    sent = len(peer.received)
                    self.assertEqual((protocol.ledger.written, protocol.bytesOut), (sent, sent))
                self.assertTrue(peer.connected)

    def test_a_frame_of_another_type_is_named(self) -> None:
        protocol = Recorder()
        protocol.framing = framing.named("raw")
        self.connect(protocol)
        for frame in ("text", bytearray(b"x")):
            error = self.assertRaises(TypeError, protocol.sendFrame, cast(Any, frame))
            self.assertEqual(str(error), f"a frame is bytes, not {type(frame).__name__}")

    def test_nothing_but_bytes_is_a_frame_whatever_the_framing(self) -> None:
        """An array counts its items where bytes are counted: the stream would be corrupt."""
        words = array.array("I", [1, 2, 3])
        for spec in ("raw", "fixed:3", "lines", "length:4", "varint", "mllp", "slip", "json"):
            protocol = Recorder()
            protocol.framing = framing.named(spec)
            peer = self.connect(protocol)
            for frame in (words, memoryview(words), memoryview(b"abc"), bytearray(b"abc"), None):
                with self.assertRaisesRegex(TypeError, "a frame is bytes, not "):
                    protocol.sendFrame(cast(Any, frame))
                with self.assertRaisesRegex(TypeError, "a frame is bytes, not "):
                    protocol.sendFrames([b"abc", cast(Any, frame)])
            self.reactor.turn()
            self.assertEqual((peer.received, protocol.framesOut), (b"", 0))

    def test_before_the_connection_nothing_is_sent_and_there_is_nothing_to_close(self) -> None:
        protocol = Recorder()
        for send in (protocol.sendFrame, lambda frame: protocol.sendFrames([frame])):
            with self.assertRaisesRegex(ConnectionClosed, "there is no connection yet"):
                send(b"early")
        protocol.finishWriting()
        protocol.loseConnection()
        protocol.abortConnection()
        self.assertEqual((protocol.framesOut, protocol.bytesOut), (0, 0))
        peer = self.connect(protocol)
        protocol.sendFrame(b"out")
        peer.send(b"in\n")
        self.reactor.turn()
        self.assertEqual((peer.received, protocol.frames), (b"out\n", [b"in"]))

    def test_a_kind_of_bytes_is_bytes(self) -> None:
        class Line(bytes):
            pass

        protocol = Recorder()
        protocol.framing = framing.named("raw")
        peer = self.connect(protocol)
        protocol.sendFrame(Line(b"one"))
        protocol.sendFrames([Line(b"two")])
        self.reactor.turn()
        self.assertEqual(peer.received, b"onetwo")

    def test_whatever_encode_raises_the_frame_is_what_cannot_be_carried(self) -> None:
        class Short(Raw):
            def encode(self, frames: Sequence[bytes]) -> list[bytes]:
                return [struct.pack(">B", len(frame)) + frame for frame in frames]

        class Broken(Raw):
            def encode(self, frames: Sequence[bytes]) -> list[bytes]:
                return [bytearray(frame) for frame in frames]  # type: ignore[misc]

        for kind, why in (
            (Short, "the framing failed to encode a frame: error: "),
            (Broken, "the framing makes bytearray of a frame, not bytes"),
        ):
            protocol = Recorder()
            protocol.framing = kind()
            protocol.ledger = Ledger()
            self.connect(protocol)
            for send in (protocol.sendFrame, lambda frame, to=protocol: to.sendFrames([frame])):
                error = self.assertRaises(FrameError, send, b"x" * 300)
                self.assertIn(why, str(error))
            self.assertEqual((protocol.ledger.written, protocol.framesOut), (0, 0))

    def test_a_full_transport_is_not_writable_until_it_is_empty(self) -> None:
        protocol = Recorder()
        peer = self.connect(protocol)
        peer.stall()
        self.assertTrue(protocol.writable)
        protocol.writeFrames([b"x" * (HIGH_WATER + 1)])
        protocol.writeFrames([b"y"])  # pauses again: idempotent
        self.assertFalse(protocol.writable)
        peer.unstall()
        self.reactor.turn()
        self.assertTrue(protocol.writable)

    def test_answers_to_a_peer_that_does_not_read_stop_the_questions(self) -> None:
        """Otherwise its questions would fill our memory with answers."""

        class Answering(Recorder):
            def frameReceived(self, frame: bytes) -> Any:
                self.events.append(frame)
                self.sendFrame(b"x" * HIGH_WATER)

        protocol = Answering()
        peer = self.connect(protocol)
        peer.stall()
        for _ in range(100):
            self.feed(peer, b"question\n")
        self.assertLess(len(peer.transport.unsent), ANSWER_LIMIT + 3 * HIGH_WATER)
        self.assertFalse(peer.transport.reading)
        peer.unstall()
        self.reactor.turn(300)
        self.assertEqual(len(protocol.frames), 100)

    def test_what_the_framing_itself_answers_is_sent_as_it_is(self) -> None:
        """Beside the frames, and counted where acknowledged bytes are."""

        class Telnet(Recorder):
            framing = framing.telnet()

        protocol = Telnet()
        peer = self.connect(protocol)
        protocol.ledger = Ledger()
        self.feed(peer, b"\xff\xfb\x01login:\r\n")
        self.assertEqual(peer.received, b"\xff\xfe\x01")
        self.assertEqual(protocol.frames, [b"login:"])
        self.assertEqual(
            (protocol.ledger.written, protocol.bytesOut, protocol.framesOut), (3, 3, 0)
        )
        protocol.finishWriting()
        self.feed(peer, b"\xff\xfb\x02more\r\n")
        self.assertEqual(peer.received, b"\xff\xfe\x01")
        self.assertEqual(protocol.frames, [b"login:", b"more"])

    def test_a_framing_that_answers_a_peer_that_does_not_read_takes_no_more(self) -> None:
        class Instrument(Recorder):
            framing = framing.astm()

        limit = 64 * 1024  # each byte is an answer: a mebibyte of them would take a minute
        self.patch(protocol_module, "ANSWER_LIMIT", limit)
        protocol = Instrument()
        peer = self.connect(protocol)
        peer.stall()
        protocol.transport.write(b"x" * 2 * HIGH_WATER)
        for _ in range(100):
            self.feed(peer, b"\x05\x04" * (limit // 20))
        self.assertLess(len(peer.transport.unsent), 2 * limit + 3 * HIGH_WATER)
        self.assertFalse(peer.transport.reading)
        peer.unstall()
        self.reactor.turn(300)
        self.assertEqual(peer.received.count(b"\x06"), 100 * (limit // 20))

    def test_a_loss_while_answers_wait_still_delivers_everything(self) -> None:
        class Answering(Recorder):
            def frameReceived(self, frame: bytes) -> Any:
                self.events.append(frame)
                if frame != b"last":
                    self.sendFrame(b"x" * ANSWER_LIMIT)

        protocol = Answering()
        peer = self.connect(protocol)
        peer.stall()
        protocol.framing = framing.lines(max_frame=ANSWER_LIMIT)
        for question in (b"first\n", b"second\n", b"third\n"):
            self.feed(peer, question)
        self.assertTrue(protocol.readingHeld)
        peer.send(b"last\n")
        peer.reset()
        self.reactor.turn()
        self.assertEqual(protocol.frames, [b"first", b"second", b"third", b"last"])
        self.assertEqual(protocol.events[-1], ("lost", ConnectionLost))

    def test_our_own_bulk_does_not_stop_reading(self) -> None:
        """To stop would be a deadlock with a peer that echoes."""
        protocol = Recorder()
        peer = self.connect(protocol)
        peer.stall()
        for _ in range(3):
            protocol.sendFrame(b"x" * ANSWER_LIMIT)
        self.feed(peer, b"echo\n")
        self.assertEqual(protocol.frames, [b"echo"])


class Socketlike:
    """A transport as Twisted's on a socket, as far as sending at once goes.

    :ivar takes: what the kernel says to each write: how many bytes it takes, or an exception.
    """

    TLS = False
    dataBuffer = b""
    protocol = None

    def __init__(self, *takes: Any) -> None:
        self._tempDataBuffer: list[bytes] = []
        self.takes = list(takes)
        self.sent: list[bytes] = []

    def writeSomeData(self, data: bytes) -> Any:
        taken = self.takes.pop(0) if self.takes else len(data)
        if isinstance(taken, int) and taken:
            self.sent.append(data[:taken])
        return taken

    def write(self, data: bytes) -> None:
        self._tempDataBuffer.append(data)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        pass

    def unregisterProducer(self) -> None:
        pass

    def loseConnection(self) -> None:
        self.sent.append(b"close")

    abortConnection = loseConnection

    def getHandle(self) -> Any:
        return self

    def recv(self, size: int) -> bytes:
        raise BlockingIOError

    def connectionLost(self, reason: Failure) -> None:
        pass


class Echo(Recorder):
    def frameReceived(self, frame: bytes) -> Any:
        self.sendFrame(frame)


class SendingAtOnceTests(SynchronousTestCase):
    """What a read is answered with goes to the kernel at once, where that changes nothing."""

    def connect(self, transport: Any, protocol: Any = None) -> Any:
        protocol = protocol or Echo()
        protocol.makeConnection(transport)
        transport.protocol = protocol
        return protocol

    def test_in_one_piece_and_past_the_reactors_next_turn(self) -> None:
        transport = Socketlike()
        self.connect(transport).dataReceived(b"one\ntwo\n")
        self.assertEqual((transport.sent, transport._tempDataBuffer), ([b"one\ntwo\n"], []))

    def test_what_the_kernel_does_not_take_waits_in_the_transport(self) -> None:
        transport = Socketlike(5)
        self.connect(transport).dataReceived(b"one\ntwo\n")
        self.assertEqual((transport.sent, transport._tempDataBuffer), ([b"one\nt"], [b"wo\n"]))

    def test_nothing_overtakes_what_waits_already(self) -> None:
        for attribute, waiting in (("_tempDataBuffer", [b"zero"]), ("dataBuffer", b"zero")):
            transport = Socketlike()
            protocol = self.connect(transport)
            setattr(transport, attribute, waiting)
            protocol.dataReceived(b"one\n")
            self.assertEqual(transport.sent, [])
            self.assertEqual(transport._tempDataBuffer[-1], b"one\n")

    def test_a_failure_is_left_to_the_reactor_which_reports_the_loss(self) -> None:
        transport = Socketlike(ConnectionLost())
        protocol = self.connect(transport)
        protocol.dataReceived(b"one\n")
        self.assertEqual(transport._tempDataBuffer, [b"one\n"])
        self.assertFalse(protocol.settled)

    def test_not_under_tls_not_through_a_wrapper_and_not_on_one_of_another_kind(self) -> None:
        tls, other = Socketlike(), Socketlike()
        tls.TLS = True
        del other._tempDataBuffer
        wrapped = Socketlike()

        class Wrapper:
            wrappedProtocol = None
            transport = wrapped
            written: list[bytes] = []

            def __getattr__(self, name: str) -> Any:
                return getattr(wrapped, name)

            def write(self, data: bytes) -> None:
                self.written.append(data)

        written: list[bytes] = []
        other.write = written.append  # type: ignore[method-assign]
        for transport in (tls, other, Wrapper()):
            self.connect(transport).dataReceived(b"one\n")
        self.assertEqual(tls.sent + other.sent + wrapped.sent, [])
        self.assertEqual((tls._tempDataBuffer, written), ([b"one\n"], [b"one\n"]))
        self.assertEqual(Wrapper.written, [b"one\n"])

    def test_not_on_a_transport_that_is_going(self) -> None:
        transport = Socketlike()
        protocol = self.connect(transport)
        left = [b"one\n"]
        transport.recv = lambda size: left.pop() if left else b""  # type: ignore[method-assign]
        transport.connectionLost(Failure(ConnectionLost()))
        self.assertEqual((transport.sent, transport._tempDataBuffer), ([], []))
        protocol.connectionLost(Failure(ConnectionLost()))

    def test_a_close_comes_behind_it(self) -> None:
        class Closing(Echo):
            def frameReceived(self, frame: bytes) -> Any:
                super().frameReceived(frame)
                self.loseConnection()

        transport = Socketlike()
        self.connect(transport, Closing()).dataReceived(b"one\n")
        self.assertEqual(transport.sent, [b"one\n", b"close"])

    def test_what_is_written_outside_of_a_read_waits_for_more(self) -> None:
        """A system call for each frame would halve the speed of bulk."""
        transport = Socketlike()
        protocol = self.connect(transport)
        protocol.sendFrame(b"one")
        self.assertEqual((transport.sent, transport._tempDataBuffer), ([], [b"one\n"]))


class Waiting(FileDescriptor):
    """Twisted's own buffers, as far as they go without a socket."""

    TLS = False
    protocol = None
    connected = 1

    def __init__(self) -> None:
        super().__init__(reactor=FakeReactor())
        self.asked = 0
        self.writes: list[bytes] = []
        self.reactor.addWriter = lambda _: None
        self.reactor.removeWriter = lambda _: None

    def getHandle(self) -> Any:
        return self

    def abortConnection(self) -> None:
        """Only hooked."""

    def write(self, data: bytes) -> None:
        self.asked += 1
        super().write(data)

    def writeSomeData(self, data: bytes) -> int:
        self.writes.append(bytes(data))
        return len(data)


class JoiningTests(SynchronousTestCase):
    """A frame sent outside of a read joins what waits in the transport for the next turn."""

    def connect(self, **attributes: Any) -> tuple[Recorder, Waiting]:
        transport = Waiting()
        vars(transport).update(attributes)
        protocol = Recorder()
        protocol.makeConnection(transport)
        return protocol, transport

    def test_the_transport_is_as_its_own_write_would_have_left_it(self) -> None:
        protocol, transport = self.connect()
        other = Waiting()
        for number in range(20):
            frame = b"%d" % number * number
            protocol.sendFrame(frame)
            other.write(frame + b"\n")
            self.assertEqual(transport._tempDataBuffer, other._tempDataBuffer)
            self.assertEqual(transport._tempDataLen, other._tempDataLen)
            if number == 9:
                transport.doWrite()
                other.doWrite()
        self.assertEqual(transport.asked, 2)  # the first of each turn
        transport.doWrite()
        other.doWrite()
        self.assertEqual(transport.writes, other.writes)
        self.assertEqual(protocol.framesOut, 20)
        self.assertEqual(protocol.bytesOut, sum(map(len, transport.writes)))

    def test_a_transport_that_is_full_says_so_as_ever(self) -> None:
        protocol, transport = self.connect()
        sent = 0
        while protocol.writable:
            protocol.sendFrame(b"x" * 999)
            sent += 1
        self.assertEqual(sent, transport.bufferSize // 1000 + 1)
        protocol.sendFrame(b"x" * 999)  # one may go on, as before
        self.assertEqual(transport._tempDataLen, 1000 * (sent + 1))
        transport.doWrite()
        self.assertTrue(protocol.writable)
        self.assertEqual(len(transport.writes[0]), 1000 * (sent + 1))

    def test_what_the_kernel_has_left_over_counts_too(self) -> None:
        protocol, transport = self.connect()
        protocol.sendFrame(b"a")
        transport.dataBuffer = b"x" * transport.bufferSize
        protocol.sendFrame(b"b")
        self.assertFalse(protocol.writable)

    def test_only_where_the_bytes_go_as_they_are(self) -> None:
        protocol, transport = self.connect(TLS=True)
        protocol.sendFrame(b"a")
        protocol.sendFrame(b"b")
        self.assertEqual(transport.asked, 2)

    def test_what_is_no_bytes_is_left_to_the_transport(self) -> None:
        protocol, transport = self.connect()
        protocol.sendFrame(b"a")
        with self.assertRaises(TypeError):
            protocol.sendFrame(bytearray(b"b"))
        self.assertEqual(transport._tempDataBuffer, [b"a\n"])

    def test_who_keeps_account_is_told_of_each(self) -> None:
        protocol, transport = self.connect()
        protocol.ledger = Ledger()
        seen: list[bytes] = []
        protocol.sendFrame(b"one")
        protocol.sendFrame(b"two")
        self.assertEqual((protocol.ledger.written, transport.asked), (8, 1))
        protocol.wiretap = lambda _, data: seen.append(data)
        protocol.sendFrame(b"three")
        protocol.wiretap = None
        protocol.wrote = lambda: seen.append(b"wrote")
        protocol.sendFrame(b"four")
        self.assertEqual(seen, [b"three\n", b"wrote"])
        self.assertEqual((protocol.ledger.written, transport.asked), (19, 1))

    def test_so_it_is_of_each_that_a_read_is_answered_with(self) -> None:
        seen: list[bytes] = []

        class Answering(Echo):
            ledger = Ledger()

            def wiretap(self, direction: str, data: bytes) -> None:
                seen.append(direction.encode() + b" " + data)

        protocol, transport = Answering(), Waiting()
        protocol.makeConnection(transport)
        protocol.wrote = lambda: seen.append(b"wrote")
        protocol.dataReceived(b"a\nbc\n")
        wrote = [b"in a\nbc\n", b"out a\n", b"wrote", b"out bc\n", b"wrote"]
        self.assertEqual((seen, transport.writes), (wrote, [b"a\nbc\n"]))
        self.assertEqual((protocol.framesOut, protocol.bytesOut), (2, 5))
        self.assertEqual(protocol.ledger.written, 5)

    def test_an_unsendable_frame_leaves_everything_as_it_was(self) -> None:
        protocol, transport = self.connect()
        protocol.sendFrame(b"one")
        for wrong in (b"a\nb", b"a\r", b"x" * (protocol.framing.max_frame + 1)):
            with self.assertRaises(FrameError):
                protocol.sendFrame(wrong)
        self.assertEqual((transport._tempDataLen, protocol.framesOut), (4, 1))


class HalfCloseTests(ConnectionTestCase):
    """Each side may finish alone; nothing is lost by it."""

    def test_the_peers_end_does_not_drop_what_we_had_queued(self) -> None:
        protocol = Recorder()
        peer = self.connect(protocol)
        peer.window = 10
        protocol.sendFrame(b"x" * 1000)
        peer.close()
        self.reactor.turn()
        self.assertTrue(peer.connected)
        peer.unstall()
        self.reactor.turn()
        self.assertEqual(len(peer.received), 1001)
        self.assertEqual(protocol.events, ["ready", ("lost", ConnectionDone)])

    def test_the_peers_end_waits_for_the_application(self) -> None:
        """Frames still being worked on may be answered: the peer may still read."""
        done: Deferred[None] = Deferred()

        class Slow(Recorder):
            def frameReceived(self, frame: bytes) -> Any:
                self.events.append(frame)
                return done.addCallback(lambda _: self.sendFrame(b"answer"))

        protocol = Slow()
        peer = self.connect(protocol)
        peer.send(b"question\n")
        self.reactor.turn()
        peer.transport.reading = True  # the end arrived before the pause
        peer.close()
        self.reactor.turn()
        self.assertTrue(peer.connected)
        done.callback(None)
        self.reactor.turn()
        self.assertEqual(peer.received, b"answer\n")
        self.assertFalse(peer.connected)

    def test_our_half_close_sends_everything_first_and_goes_on_reading(self) -> None:
        protocol = Recorder()
        peer = self.connect(protocol)
        peer.stall()
        protocol.writeFrames([b"x" * (HIGH_WATER + 1)])
        protocol.finishWriting()
        protocol.finishWriting()
        self.assertRaises(ConnectionClosed, protocol.sendFrame, b"late")
        self.reactor.turn()
        self.assertFalse(peer.finished)
        peer.unstall()
        self.reactor.turn()
        self.assertTrue(peer.finished)
        self.feed(peer, b"answer\n")
        self.assertEqual(protocol.frames, [b"answer"])
        peer.close()
        self.reactor.turn()
        self.assertEqual(protocol.events[-1], ("lost", ConnectionDone))

    def test_under_tls_there_is_no_half_close(self) -> None:
        protocol = Recorder()
        peer = self.connect(protocol, secure=True)
        peer.finishHandshake()
        protocol.finishWriting()
        protocol.sendFrame(b"still")
        self.reactor.turn()
        self.assertEqual(peer.received, b"still\n")


class EndingTests(ConnectionTestCase):
    """Everything that reached this host comes before the loss; after our close, nothing."""

    def test_no_frame_after_our_close(self) -> None:
        class Closing(Recorder):
            def frameReceived(self, frame: bytes) -> Any:
                self.events.append(frame)
                self.loseConnection()

        protocol = Closing()
        peer = self.connect(protocol)
        peer.send(b"one\ntwo\n")
        self.reactor.turn()
        protocol.dataReceived(b"three\n")
        self.assertEqual(protocol.events, ["ready", b"one", ("lost", ConnectionDone)])

    def test_frames_held_back_inside_a_false_one_come_before_the_end(self) -> None:
        """And what is behind one of them goes to the next framing, if there is one."""
        recipe = framing.named(
            r"length:2,offset=1,mark=\xd3,bits=10,adjust=3,checksum=crc24q,over=frame", 1023, "skip"
        )
        stream = b"\xd3\3\xff" + b"".join(recipe.encode([b"one", b"two"]))

        class Changing(Recorder):
            def frameReceived(self, frame: bytes) -> Any:
                self.events.append(frame)
                if frame == b"two" and self.changes:
                    self.setFraming(framing.lines())

        for changes in (False, True):
            protocol = Changing()
            protocol.changes = changes  # type: ignore[attr-defined]
            protocol.framing = recipe
            peer = self.connect(protocol)
            peer.send(stream + b"x\n")
            self.reactor.turn()
            self.assertEqual(protocol.frames, [])
            peer.close()
            self.reactor.turn()
            self.assertEqual(protocol.frames, [b"one", b"two", *[b"x"] * changes])
            self.assertEqual(protocol.framesIn, 2 + changes)

    def test_no_frame_after_a_close_of_the_transport_itself(self) -> None:
        """Applications close ``self.transport``: that is our close, too."""
        for method in ("loseConnection", "abortConnection"):

            class Closing(Recorder):
                def frameReceived(self, frame: bytes, method: str = method) -> Any:
                    self.events.append(frame)
                    getattr(self.transport, method)()

            protocol = Closing()
            self.feed(self.connect(protocol), b"one\ntwo\nthree")
            self.assertEqual(protocol.frames, [b"one"])
            self.assertEqual(protocol.events[-1][0], "lost")

    def test_the_answer_written_before_our_close_is_sent(self) -> None:
        class Closing(Recorder):
            def frameReceived(self, frame: bytes) -> Any:
                self.sendFrame(b"bye")
                self.loseConnection()

        peer = self.connect(Closing())
        self.feed(peer, b"one\ntwo\n")
        self.assertEqual(peer.received, b"bye\n")

    def test_a_full_transport_closes_when_it_has_sent_everything(self) -> None:
        """With its producer registered and paused, Twisted would wait for ever."""
        protocol = Recorder()
        peer = self.connect(protocol)
        peer.stall()
        protocol.sendFrame(b"x" * (HIGH_WATER + 1))
        protocol.loseConnection()
        self.reactor.turn()
        self.assertTrue(peer.connected)
        peer.unstall()
        self.reactor.turn()
        self.assertFalse(peer.connected)
        self.assertEqual(len(peer.received), HIGH_WATER + 2)

    def test_a_failed_write_does_not_discard_what_was_received(self) -> None:
        protocol = Recorder()
        peer = self.connect(protocol)
        peer.transport.reading = False  # busy with something else
        peer.send(b"one\n" * 100_000)
        peer.send(b"tail")
        peer.reset()
        protocol.sendFrame(b"into the void")
        self.reactor.turn()
        self.assertEqual(len(protocol.frames), 100_000)
        self.assertEqual(protocol.events[-2:], [("tail", b"tail"), ("lost", ConnectionLost)])

    def test_the_same_under_tls(self) -> None:
        protocol = Recorder()
        peer = self.connect(protocol, secure=True)
        peer.finishHandshake()
        peer.transport.reading = False
        peer.send(b"one\ntwo\n")
        peer.reset()
        protocol.sendFrame(b"into the void")
        self.reactor.turn()
        self.assertEqual(protocol.events[1:], [b"one", b"two", ("lost", ConnectionLost)])

    def test_draining_ends_with_the_peers_end(self) -> None:
        protocol = Recorder()
        peer = self.connect(protocol)
        peer.transport.reading = False
        peer.send(b"one\n")
        peer.close()
        peer.reset()
        protocol.sendFrame(b"into the void")
        self.reactor.turn()
        self.assertEqual(protocol.events[1:], [b"one", ("lost", ConnectionLost)])

    def test_draining_is_bounded(self) -> None:
        class Endless:
            served = 0

            def recv(self, size: int) -> bytes:
                self.served += size
                return b"x\n" * (size // 2)

        class Ignoring(FrameProtocol):
            framing = framing.lines()

            def framesReceived(self, frames: list[bytes]) -> None:
                pass

        protocol = Ignoring()
        peer = self.connect(protocol)
        endless = Endless()
        peer.transport.getHandle = lambda: endless  # type: ignore[method-assign,assignment,return-value]
        peer.reset()
        self.reactor.turn()
        self.assertEqual(endless.served, DRAIN_LIMIT)
        self.assertFalse(peer.connected)

    def test_a_broken_callback_is_not_called_again_while_draining(self) -> None:
        class Broken(Recorder):
            def frameReceived(self, frame: bytes) -> Any:
                self.events.append(frame)
                raise ZeroDivisionError

        protocol = Broken()
        peer = self.connect(protocol)
        self.feed(peer, b"one\n")
        peer.send(b"two\n")
        self.reactor.turn()
        self.assertEqual(protocol.frames, [b"one"])
        self.flushed(ZeroDivisionError)

    def test_the_loss_waits_for_frames_still_held_back(self) -> None:
        protocol = Recorder()
        peer = self.connect(protocol)
        token = protocol.pauseReading()
        peer.send(b"one\ntwo\n")
        peer.reset()
        protocol.sendFrame(b"into the void")
        self.reactor.turn()
        self.assertEqual(protocol.events, ["ready"])
        self.assertFalse(protocol.settled)
        token.resume()
        self.assertEqual(protocol.events[1:], [b"one", b"two", ("lost", ConnectionLost)])
        self.assertTrue(protocol.settled)

    def test_the_loss_waits_for_the_callback_at_work(self) -> None:
        done: Deferred[None] = Deferred()

        class Slow(Recorder):
            def frameReceived(self, frame: bytes) -> Any:
                self.events.append(frame)
                return done

        protocol = Slow()
        peer = self.connect(protocol)
        self.feed(peer, b"one\n")
        protocol.sendFrame(b"x")
        peer.reset()
        self.reactor.turn()
        self.assertEqual(protocol.events, ["ready", b"one"])
        done.callback(None)
        self.assertEqual(protocol.events[-1], ("lost", ConnectionLost))

    def test_discard_ends_the_waiting(self) -> None:
        protocol = Recorder()
        peer = self.connect(protocol)
        protocol.pauseReading()
        peer.send(b"one\n")
        peer.reset()
        protocol.sendFrame(b"x")
        self.reactor.turn()
        protocol.discard()
        self.assertEqual(protocol.events, ["ready", ("lost", ConnectionLost)])

    def test_forsake_is_the_loss_where_none_is_reported(self) -> None:
        protocol = Recorder()
        peer = self.connect(protocol)
        protocol.forsake()
        self.assertEqual(protocol.events, ["ready", ("lost", ConnectionAborted)])
        peer.reset()
        self.reactor.turn()
        self.assertEqual(len(protocol.events), 2)

    def test_a_loss_is_told_once(self) -> None:
        protocol = Recorder()
        peer = self.connect(protocol)
        protocol.abortConnection()
        protocol.abortConnection()
        peer.reset()
        self.reactor.turn()
        protocol.abortConnection()
        protocol.loseConnection()
        protocol._connectionGone(Failure(ConnectionLost()))
        self.assertEqual(protocol.events, ["ready", ("lost", ConnectionAborted)])

    def test_an_abort_that_comes_after_the_loss_finds_nothing(self) -> None:
        """Twisted has our hook in a timer when the loss comes first."""
        protocol = Recorder()
        peer = self.connect(protocol)
        hook = peer.transport.connectionLost
        peer.reset()
        self.reactor.turn()
        hook(Failure(ConnectionAborted()))
        self.assertEqual(protocol.events, ["ready", ("lost", ConnectionLost)])

    def test_the_transport_gets_its_methods_back(self) -> None:
        """No reference from a dead transport to the protocol remains."""
        peer = self.connect(Recorder())
        peer.reset()
        self.reactor.turn()
        for name in ("connectionLost", "loseConnection", "abortConnection"):
            self.assertNotIn(name, vars(peer.transport))

    def test_it_works_on_a_transport_without_a_handle(self) -> None:
        from twisted.internet.testing import StringTransport

        protocol = Recorder()
        transport = StringTransport()
        protocol.makeConnection(transport)
        protocol.dataReceived(b"one\n")
        protocol.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(protocol.events, ["ready", b"one", ("lost", ConnectionDone)])

    def test_after_the_peers_end_a_resume_asks_for_no_more(self) -> None:
        protocol = Recorder()
        peer = self.connect(protocol)
        peer.stall()
        protocol.sendFrame(b"x")
        peer.close()
        self.reactor.turn()
        asked: list[str] = []
        peer.transport.pauseProducing = lambda: asked.append("pause")  # type: ignore[method-assign]
        peer.transport.resumeProducing = lambda: asked.append("resume")  # type: ignore[method-assign]
        protocol.pauseReading().resume()
        self.assertEqual(asked, [])

    def test_the_link_hears_of_our_close_and_of_both_ends_of_the_loss(self) -> None:
        protocol = Recorder()
        link = Watchful()
        protocol.join(link)
        self.connect(protocol)
        protocol.abortConnection()
        self.reactor.turn()
        self.assertEqual(link.told, ["up", "closing", "gone", "settled"])


class FaultTests(ConnectionTestCase):
    """The peer's mistakes, and ours."""

    def test_an_over_long_frame_ends_the_connection_after_the_frames_before_it(self) -> None:
        protocol = Recorder()
        protocol.framing = framing.lines(max_frame=5)
        link = Watchful()
        protocol.join(link)
        peer = self.connect(protocol)
        self.feed(peer, b"one\n" + b"x" * 6 + b"\nthree\n")
        self.assertEqual(protocol.frames, [b"one"])
        fault = link.told[-1]
        self.assertIsInstance(fault, FrameTooLong)
        self.assertEqual((fault.limit, fault.size), (5, 6))

    def test_without_a_link_a_fault_aborts_and_leaves_no_tail(self) -> None:
        protocol = Recorder()
        protocol.framing = framing.lines(max_frame=5)
        peer = self.connect(protocol)
        self.feed(peer, b"one\n" + b"x" * 6)
        self.assertTrue(peer.aborted)
        self.assertEqual(protocol.events, ["ready", b"one", ("lost", ConnectionAborted)])

    def test_a_fault_found_while_draining_is_no_tail_either(self) -> None:
        protocol = Recorder()
        protocol.framing = framing.lines(max_frame=5)
        link = Watchful()
        protocol.join(link)
        peer = self.connect(protocol)
        peer.transport.reading = False
        peer.send(b"one\n" + b"x" * 6)
        peer.reset()
        protocol.sendFrame(b"x")
        self.reactor.turn()
        self.assertEqual(protocol.events, [b"one", ("lost", ConnectionLost)])

    def test_a_callback_that_raises_is_logged_once_and_aborts(self) -> None:
        class Broken(Recorder):
            def frameReceived(self, frame: bytes) -> Any:
                raise ZeroDivisionError("oops")

        protocol = Broken()
        link = Watchful()
        protocol.join(link)
        self.feed(self.connect(protocol), b"one\ntwo\n")
        self.assertIsInstance(link.told[-1], CallbackFailed)
        self.assertIn("oops", str(link.told[-1]))
        self.flushed(ZeroDivisionError)

    def test_one_that_raises_once_reading_goes_on_is_the_same(self) -> None:
        class Pausing(Recorder):
            def frameReceived(self, frame: bytes) -> Any:
                super().frameReceived(frame)
                if frame == b"two":
                    raise ZeroDivisionError("oops")
                self.token = self.pauseReading()

        protocol = Pausing()
        link = Watchful()
        protocol.join(link)
        self.feed(self.connect(protocol), b"one\ntwo\nthree\n")
        self.assertEqual(protocol.frames, [b"one"])
        protocol.token.resume()
        self.assertEqual(protocol.frames, [b"one", b"two"])
        self.assertEqual([type(each) for each in link.told].count(CallbackFailed), 1)
        self.flushed(ZeroDivisionError)

    def test_a_deferred_that_fails_is_the_same_at_once_or_later(self) -> None:
        for later in (False, True):
            result: Deferred[None] = Deferred()

            class Failing(Recorder):
                def frameReceived(self, frame: bytes, result: Any = result) -> Any:
                    return result

            link = Watchful()
            protocol = Failing()
            protocol.join(link)
            peer = self.connect(protocol)
            if not later:
                result.errback(ZeroDivisionError())
            self.feed(peer, b"one\n")
            if later:
                result.errback(ZeroDivisionError())
            self.assertIsInstance(link.told[-2 if later else -1], CallbackFailed)
            self.flushed(ZeroDivisionError)

    def test_a_callback_that_returns_nonsense_is_told_so(self) -> None:
        class Odd(Recorder):
            def frameReceived(self, frame: bytes) -> Any:
                return 42

        peer = self.connect(Odd())
        self.feed(peer, b"one\n")
        self.assertTrue(peer.aborted)
        self.flushed(TypeError)

    def test_every_other_callback_is_guarded_too(self) -> None:
        def broken(self: Any, *args: Any) -> None:
            raise ZeroDivisionError

        for name in ("connectionMade", "connectionReady", "tailReceived", "connectionLost"):
            cls = type("Broken", (Recorder,), {name: broken})
            protocol = cls()
            peer = self.connect(protocol)
            self.reactor.turn()
            peer.send(b"tail")
            peer.close()
            self.reactor.turn()
            self.assertFalse(peer.connected, name)
            self.assertTrue(protocol.settled, name)
            self.flushed(ZeroDivisionError)


class OpeningTests(ConnectionTestCase):
    """Ready is when the application says so."""

    def test_without_an_opening_it_is_ready_at_once(self) -> None:
        protocol = Recorder()
        self.connect(protocol)
        self.assertEqual(protocol.events, ["ready"])

    def test_under_tls_only_after_the_handshake(self) -> None:
        protocol = Recorder()
        peer = self.connect(protocol, secure=True)
        self.assertEqual(protocol.events, [])
        peer.finishHandshake()
        peer.finishHandshake()  # a renegotiation
        self.assertEqual(protocol.events, ["ready"])

    def test_a_closed_connection_never_comes_up(self) -> None:
        protocol = Recorder()
        peer = self.connect(protocol, secure=True)
        protocol.loseConnection()
        peer.finishHandshake()
        self.assertEqual(protocol.events, [])

    def test_a_conversation(self) -> None:
        class Login(Recorder):
            async def opening(self) -> None:  # type: ignore[override]
                self.sendFrame(b"user")
                if await self.nextFrame() != b"ok":
                    raise OpeningFailed("refused")
                self.sendFrame(b"subscribe")

        protocol = Login()
        peer = self.connect(protocol)
        self.reactor.turn()
        self.assertEqual(peer.received, b"user\n")
        self.feed(peer, b"ok\nnews\n")
        self.assertEqual(peer.received, b"user\nsubscribe\n")
        self.assertEqual(protocol.events, ["ready", b"news"])

        refused = Login()
        peer = self.connect(refused)
        self.feed(peer, b"no\nnews\n")
        self.assertTrue(peer.aborted)
        self.assertEqual(refused.events, [("lost", ConnectionAborted)])
        self.assertEqual(self.flushLoggedErrors(), [])  # the peer's no is no fault of ours

    def test_an_opening_that_raises_is_logged_and_fails_the_attempt(self) -> None:
        class Broken(Recorder):
            def opening(self) -> None:
                raise ZeroDivisionError

        protocol = Broken()
        link = Watchful()
        protocol.join(link)
        self.connect(protocol)
        protocol.open()
        self.assertIsInstance(link.told[-1], OpeningFailed)
        self.flushed(ZeroDivisionError)

    def test_an_opening_under_way_is_cancelled_by_the_loss(self) -> None:
        result: Deferred[None] = Deferred()

        class Slow(Recorder):
            def opening(self) -> Any:
                return result

        peer = self.connect(Slow())
        peer.reset()
        self.reactor.turn()
        self.assertTrue(result.called)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_an_opening_that_waits_for_a_frame_fails_with_the_loss(self) -> None:
        ended: list[BaseException] = []

        class Waiting(Recorder):
            async def opening(self) -> None:  # type: ignore[override]
                try:
                    await self.nextFrame()
                except ConnectionClosed as error:
                    ended.append(error)
                    raise

        protocol = Waiting()
        peer = self.connect(protocol)
        peer.reset()
        self.reactor.turn()
        self.assertEqual(len(ended), 1)
        self.assertEqual(protocol.events, [("lost", ConnectionLost)])

    def test_an_opening_done_after_our_close_makes_nothing_ready(self) -> None:
        result: Deferred[None] = Deferred()

        class Slow(Recorder):
            def opening(self) -> Any:
                return result

        protocol = Slow()
        self.connect(protocol)
        protocol.loseConnection()
        result.callback(None)
        self.assertEqual(protocol.events, [])

    def test_frames_nobody_waits_for_reach_the_application_in_the_opening_too(self) -> None:
        result: Deferred[None] = Deferred()

        class Slow(Recorder):
            def opening(self) -> Any:
                return result

        protocol = Slow()
        peer = self.connect(protocol)
        self.feed(peer, b"early\n")
        self.assertEqual(protocol.events, [b"early"])
        result.callback(None)
        self.assertEqual(protocol.events, [b"early", "ready"])


class InterfaceTests(SynchronousTestCase):
    def test_only_half_close_is_declared(self) -> None:
        """Behind an endpoint a second interface would cost the first."""
        self.assertTrue(IHalfCloseableProtocol.implementedBy(Recorder))
        self.assertFalse(IHandshakeListener.implementedBy(Recorder))
