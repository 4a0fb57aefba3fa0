"""A loop that asks for frames gets them, whatever it waits for in between, and nobody else does."""

from __future__ import annotations

import gc
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase

from nbclient import Backoff, FrameProtocol, ReconnectingFactory, RequestProtocol, State, framing
from nbclient.connection.protocol import ANSWER_LIMIT
from nbclient.connection.pulling import Frames
from nbclient.errors import ConnectionClosed, LocalError
from nbclient.testing import HIGH_WATER, FakeEndpoint, FakeReactor, Peer, every_split


class Recorder(FrameProtocol):
    """Writes down what is handed to it."""

    framing = framing.lines()

    def __init__(self) -> None:
        self.handed: list[bytes] = []
        self.lost = False

    def frameReceived(self, frame: bytes) -> Any:
        self.handed.append(frame)

    def tailReceived(self, tail: bytes) -> None:
        self.handed.append(b"tail: " + tail)

    def connectionLost(self, reason: Any = None) -> None:
        self.lost = True


class Loop:
    """Pulls frames, and waits for something else behind each until it may go on."""

    def __init__(self, frames: Frames, busy: bool = True) -> None:
        self.taken: list[bytes] = []
        self.busy: Deferred[None] | None = None
        self.ended = False
        self._frames = frames
        self._waits = busy
        self.done = Deferred.fromCoroutine(self._run())

    async def _run(self) -> None:
        async for frame in self._frames:
            self.taken.append(frame)
            if self._waits:
                self.busy = Deferred()
                await self.busy
        self.ended = True

    def go_on(self) -> None:
        busy, self.busy = self.busy, None
        assert busy is not None
        busy.callback(None)


class PullingTestCase(SynchronousTestCase):
    def connect(self, protocol: Any) -> Peer:
        self.reactor = FakeReactor()
        protocol.clock = self.reactor
        endpoint = FakeEndpoint(self.reactor)
        factory: Factory[Any] = Factory.forProtocol(lambda: protocol)
        factory.noisy = False
        endpoint.connect(factory)
        return endpoint.attempts[0].accept()

    def feed(self, peer: Peer, data: bytes) -> None:
        peer.send(data)
        self.reactor.turn()


class OwningTests(PullingTestCase):
    def test_between_two_frames_the_others_wait_and_are_nobody_elses(self) -> None:
        protocol = Recorder()
        peer = self.connect(protocol)
        loop = Loop(protocol.frames())
        self.feed(peer, b"one\ntwo\nth")
        self.feed(peer, b"ree\nfour\n")
        self.assertEqual((loop.taken, protocol.handed), ([b"one"], []))
        for taken in (b"two", b"three", b"four"):
            loop.go_on()
            self.reactor.turn()
            self.assertEqual(loop.taken[-1], taken)
        loop.go_on()
        self.feed(peer, b"five\n")
        self.assertEqual(loop.taken, [b"one", b"two", b"three", b"four", b"five"])
        self.assertEqual(protocol.handed, [])

    def test_every_split_gives_the_same_frames(self) -> None:
        for chunks in every_split(b"one\ntwo\n\nthree\n"):
            for busy in (False, True):
                protocol = Recorder()
                peer = self.connect(protocol)
                loop = Loop(protocol.frames(), busy)
                for chunk in chunks:
                    self.feed(peer, chunk)
                    while loop.busy is not None:
                        loop.go_on()
                self.reactor.turn()
                while loop.busy is not None:
                    loop.go_on()
                self.assertEqual(loop.taken, [b"one", b"two", b"", b"three"])

    def test_meanwhile_nothing_is_read(self) -> None:
        """What waits is one read at most: a peer cannot fill our memory."""
        protocol = Recorder()
        peer = self.connect(protocol)
        loop = Loop(protocol.frames())
        self.feed(peer, b"one\n")
        self.assertTrue(protocol.readingHeld)
        self.feed(peer, b"two\n" * 100_000)
        self.assertEqual(len(peer.transport.kernel.queue), 400_000)
        loop.go_on()
        self.reactor.turn()
        self.assertEqual(loop.taken, [b"one", b"two"])
        self.assertGreater(len(peer.transport.kernel.queue), 300_000)

    def test_nothing_is_read_before_the_first_is_asked_for(self) -> None:
        protocol = Recorder()
        peer = self.connect(protocol)
        frames = protocol.frames()
        self.feed(peer, b"one\n")
        self.assertEqual(len(peer.transport.kernel.queue), 4)
        first = frames.next()
        self.reactor.turn()
        self.assertEqual(self.successResultOf(first), b"one")

    def test_automatic_answers_are_sent_in_their_turn(self) -> None:
        protocol = Recorder()
        protocol.answerBy(lambda frame: b"yes " + frame)
        peer = self.connect(protocol)
        loop = Loop(protocol.frames())
        self.feed(peer, b"one\ntwo\n")
        self.assertEqual(peer.received, b"")  # two waits, and behind it the answer to one
        loop.go_on()
        self.reactor.turn()
        self.assertEqual(peer.received, b"yes one\n")

    def test_answers_to_a_peer_that_does_not_read_stop_the_loop(self) -> None:
        """They would fill our memory: each is an answer, though sent after a wait."""
        protocol = Recorder()
        peer = self.connect(protocol)
        peer.stall()
        loop = Loop(protocol.frames())
        self.feed(peer, b"?\n" * 1000)
        for _ in range(40):
            protocol.sendFrame(b"x" * HIGH_WATER)
            if loop.busy is None:
                break
            loop.go_on()
        self.assertLess(len(peer.transport.unsent), ANSWER_LIMIT + 4 * HIGH_WATER)
        peer.unstall()
        self.reactor.turn()
        self.assertIsNotNone(loop.busy)

    def test_nobody_else_may_ask(self) -> None:
        protocol = Recorder()
        peer = self.connect(protocol)
        frames = protocol.frames()
        self.assertRaises(LocalError, protocol.frames)
        self.failureResultOf(protocol.nextFrame(), LocalError)
        frames.close()
        frames.close()
        self.failureResultOf(frames.next(), ConnectionClosed)
        asked = protocol.nextFrame()
        self.feed(peer, b"one\n")
        self.assertEqual(self.successResultOf(asked), b"one")
        protocol.frames().close()

    def test_one_that_is_asked_for_may_be_cancelled(self) -> None:
        protocol = Recorder()
        peer = self.connect(protocol)
        frames = protocol.frames()
        asked = frames.next()
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        again = frames.next()
        self.feed(peer, b"one\n")
        self.assertEqual(self.successResultOf(again), b"one")

    def test_the_framing_may_change_in_between(self) -> None:
        protocol = Recorder()
        peer = self.connect(protocol)
        loop = Loop(protocol.frames())
        self.feed(peer, b"one\n\x03two\x05three")
        protocol.setFraming(framing.length(1))
        loop.go_on()
        loop.go_on()
        self.assertEqual(loop.taken, [b"one", b"two", b"three"])

    def test_a_class_that_takes_frames_in_no_way_is_told_of_this_one(self) -> None:
        class Deaf(FrameProtocol):
            framing = framing.lines()

        protocol = Deaf()
        self.feed(self.connect(protocol), b"one\n")
        [failure] = self.flushLoggedErrors(NotImplementedError)
        self.assertIn("by frames()", str(failure.value))


class GivingBackTests(PullingTestCase):
    def test_what_was_not_taken_goes_where_frames_go(self) -> None:
        protocol = Recorder()
        peer = self.connect(protocol)
        with protocol.frames() as frames:
            first = frames.next()
            self.feed(peer, b"one\ntwo\nthree\n")
            self.assertEqual(self.successResultOf(first), b"one")
            self.assertEqual(protocol.handed, [])
        self.assertEqual(protocol.handed, [b"two", b"three"])
        self.feed(peer, b"four\n")
        self.assertEqual(protocol.handed, [b"two", b"three", b"four"])
        self.assertFalse(protocol.readingHeld)

    def test_a_loop_that_is_left_gives_them_back(self) -> None:
        protocol = Recorder()
        peer = self.connect(protocol)

        async def until_two() -> None:
            async for frame in protocol.frames():
                if frame == b"two":
                    break

        done = Deferred.fromCoroutine(until_two())
        self.feed(peer, b"one\ntwo\nthree\n")
        self.successResultOf(done)
        self.assertEqual(protocol.handed, [b"three"])

    def test_so_does_one_that_is_forgotten_and_the_connection_is_free(self) -> None:
        protocol = Recorder()
        peer = self.connect(protocol)
        frames = protocol.frames()
        del frames
        gc.collect()
        self.feed(peer, b"one\n")
        self.assertEqual(protocol.handed, [b"one"])

    def test_in_the_opening_the_frames_behind_it_reach_the_application(self) -> None:
        class Login(Recorder):
            async def opening(self) -> None:  # type: ignore[override]
                with self.frames() as frames:
                    self.seen = [await frames.next()]
                    await password
                    self.seen.append(await frames.next())

        password: Deferred[None] = Deferred()
        protocol = Login()
        peer = self.connect(protocol)
        self.feed(peer, b"banner\nlogin:\nfirst\nsecond\n")
        self.assertEqual(protocol.handed, [])
        password.callback(None)
        self.assertEqual(protocol.seen, [b"banner", b"login:"])
        self.assertEqual(protocol.handed, [b"first", b"second"])

    def test_within_a_callback_it_takes_what_is_behind_its_frame(self) -> None:
        class Header(Recorder):
            async def frameReceived(self, frame: bytes) -> None:
                with self.frames() as frames:
                    self.handed.append(frame + b"+" + await frames.next())
                    await other
                    self.handed.append(await frames.next())

        other: Deferred[None] = Deferred()
        protocol = Header()
        peer = self.connect(protocol)
        self.feed(peer, b"a\nb\nc\n")
        self.assertEqual(protocol.handed, [b"a+b"])
        other.callback(None)
        self.assertEqual(protocol.handed, [b"a+b", b"c"])


class EndingTests(PullingTestCase):
    def test_the_loop_ends_behind_the_last_frame(self) -> None:
        for how in ("close", "reset"):
            protocol = Recorder()
            peer = self.connect(protocol)
            loop = Loop(protocol.frames(), busy=False)
            peer.send(b"one\ntwo\ntail")
            getattr(peer, how)()
            self.reactor.turn()
            self.assertEqual(loop.taken, [b"one", b"two"])
            self.assertTrue(loop.ended)
            self.assertEqual(protocol.handed, [b"tail: tail"])
            self.assertTrue(protocol.lost)

    def test_our_close_ends_it_at_once(self) -> None:
        for how in ("loseConnection", "abortConnection"):
            protocol = Recorder()
            peer = self.connect(protocol)
            loop = Loop(protocol.frames())
            self.feed(peer, b"one\ntwo\n")
            getattr(protocol, how)()
            self.reactor.turn()
            loop.go_on()
            self.assertEqual(loop.taken, [b"one"])
            self.assertTrue(loop.ended)
            self.assertTrue(protocol.lost)

    def test_one_begun_afterwards_ends_at_once(self) -> None:
        protocol = Recorder()
        self.connect(protocol)
        protocol.abortConnection()
        self.reactor.turn()
        loop = Loop(protocol.frames())
        self.assertTrue(loop.ended)

    def link(self, protocol: Any) -> tuple[Any, Peer]:
        self.reactor = FakeReactor()
        link: Any = ReconnectingFactory.forProtocol(
            protocol,
            clock=self.reactor,
            backoff=Backoff(initial=1),
            random=lambda: 1.0,
            closeTimeout=3,
        )
        self.reactor.connectTCP("h", 1, link)  # type: ignore[call-arg]
        return link, self.reactor.attempts[-1].accept()

    def test_a_link_connects_anew_when_the_last_frame_was_taken(self) -> None:
        for how in ("close", "reset"):
            link, peer = self.link(Recorder)
            connection = link.connection
            loop = Loop(connection.frames())
            self.reactor.turn()
            peer.send(b"one\ntwo\nthree\n")
            self.reactor.turn()
            getattr(peer, how)()
            if how == "reset":
                connection.sendFrame(b"x")
            self.reactor.turn()
            for _ in range(3):
                self.assertEqual(len(self.reactor.attempts), 1)
                self.reactor.advance(5)
                self.reactor.turn()
                loop.go_on()
                self.reactor.turn()
            self.assertEqual(loop.taken, [b"one", b"two", b"three"])
            self.assertTrue(loop.ended)
            self.assertEqual(connection.handed, [])
            self.reactor.advance(1)
            self.assertEqual(len(self.reactor.attempts), 2)

    def test_a_stop_does_not_wait_for_it_for_ever(self) -> None:
        link, peer = self.link(Recorder)
        loop = Loop(link.connection.frames())
        self.reactor.turn()
        peer.send(b"one\ntwo\n")
        self.reactor.turn()
        stopped = link.stop()
        for _ in range(5):
            self.reactor.turn()
            self.reactor.advance(1)
        self.successResultOf(stopped)
        self.assertIs(link.state, State.STOPPED)
        loop.go_on()
        self.assertTrue(loop.ended)


class RequestTests(PullingTestCase):
    def test_one_may_ask_in_between_and_every_other_frame_waits_in_order(self) -> None:
        class Keyed(RequestProtocol):
            framing = framing.lines()
            handed: list[bytes] = []

            def answerKey(self, frame: bytes) -> bytes | None:
                return frame[:1] if frame[:1] in b"ab" else None

            def frameReceived(self, frame: bytes) -> None:
                self.handed.append(frame)

        async def loop() -> None:
            async for frame in protocol.frames():
                taken.append(frame)
                if frame == b"1":
                    taken.append(await protocol.request(b"a?"))

        taken: list[bytes] = []
        protocol = Keyed()
        peer = self.connect(protocol)
        Deferred.fromCoroutine(loop())
        self.feed(peer, b"1\n2\n3\n")
        self.feed(peer, b"4\na!\n5\n")
        self.assertEqual(peer.received, b"a?\n")
        self.assertEqual(taken, [b"1", b"a!", b"2", b"3", b"4", b"5"])
        self.assertEqual(Keyed.handed, [])


class Opening(FrameProtocol):
    """Overrides neither of the two, and waits for something else behind its greeting."""

    framing = framing.lines()

    async def opening(self) -> None:
        assert await self.nextFrame() == b"hello"
        self.factory.waiting = Deferred()  # type: ignore[union-attr]
        await self.factory.waiting  # type: ignore[union-attr]
        if self.factory.again:  # type: ignore[union-attr]
            self.factory.taken.append(await self.nextFrame())  # type: ignore[union-attr]


class OpeningTests(SynchronousTestCase):
    """What comes behind the opening's last frame is the loop's that begins when it is ready."""

    def link(self, again: bool) -> Any:
        self.reactor = FakeReactor()
        link: Any = ReconnectingFactory.forProtocol(
            Opening, clock=self.reactor, backoff=Backoff(initial=1), random=lambda: 1.0
        )
        link.again, link.taken = again, []
        self.endpoint = FakeEndpoint(self.reactor)
        link.start(self.endpoint)
        self.peer = self.endpoint.attempts[-1].accept()
        self.peer.send(b"hello\na\nb\n")
        self.reactor.turn()
        self.assertIs(link.state, State.OPENING)
        return link

    def test_it_waits_for_a_loop(self) -> None:
        for again in (True, False):
            link = self.link(again)
            link.whenReady().addCallback(self.begin)
            link.waiting.callback(None)
            self.peer.send(b"c\n")
            self.reactor.turn()
            self.assertEqual(link.taken + self.loop.taken, [b"a", b"b", b"c"])
            self.assertEqual(link.taken, [b"a"] if again else [])
            self.assertIs(link.state, State.READY)

    def begin(self, connection: Any) -> None:
        self.loop = Loop(connection.frames(), busy=False)

    def test_without_one_it_says_what_to_do(self) -> None:
        link = self.link(False)
        link.waiting.callback(None)
        self.reactor.turn()
        (failure,) = self.flushLoggedErrors(NotImplementedError)
        self.assertIn("as soon as whenReady() has fired", str(failure.value))
        self.assertIs(link.state, State.WAITING)

    def test_it_holds_up_no_end(self) -> None:
        link = self.link(False)
        link.connection.abandonTransport()
        self.reactor.turn()
        self.assertIs(link.state, State.WAITING)
        self.flushLoggedErrors(NotImplementedError)
