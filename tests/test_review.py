"""Faults that an independent reading of the core found: each stays mended."""

from __future__ import annotations

import re
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.trial.unittest import SynchronousTestCase

from nbclient import Backoff, FrameProtocol, LinkService, ReconnectingFactory, State, framing
from nbclient.connection.protocol import ANSWER_LIMIT
from nbclient.core.states import Action, Event, Machine
from nbclient.errors import LinkStopped, LocalError, OutboxFull
from nbclient.testing import HIGH_WATER, FakeEndpoint, FakeReactor, Peer


class Lines(FrameProtocol):
    framing = framing.lines()

    def frameReceived(self, frame: bytes) -> Any:
        self.factory.frames.append(frame)  # type: ignore[union-attr]


class ReviewTestCase(SynchronousTestCase):
    protocol: Any = Lines

    def link(self, **options: Any) -> Any:
        self.reactor = FakeReactor()
        self.endpoint = FakeEndpoint(self.reactor)
        options.setdefault("backoff", Backoff(initial=1, stable_after=30))
        options.setdefault("random", lambda: 1.0)
        link: Any = ReconnectingFactory.forProtocol(self.protocol, clock=self.reactor, **options)
        link.frames = []
        link.start(self.endpoint)
        return link

    def ready(self, **options: Any) -> tuple[Any, Peer]:
        link = self.link(**options)
        return link, self.endpoint.attempts[-1].accept()


class BackPressureTests(ReviewTestCase):
    def test_sending_inside_a_callback_stops_at_the_bound_of_the_outbox(self) -> None:
        """What is corked is not sent: to call it written bounds nothing."""
        outcomes: list[Deferred[None]] = []

        class Flooding(Lines):
            def frameReceived(self, frame: bytes) -> None:
                outcomes.extend(self.factory.send([b"x" * 10_000]) for _ in range(100))  # type: ignore[union-attr]

        self.protocol = Flooding
        link, peer = self.ready(outboxBytes=200_000)
        peer.stall()
        peer.send(b"go\n")
        self.reactor.turn()
        accepted = [each for each in outcomes if each.called and each.result is None]
        self.assertLess(len(accepted), 40)
        self.assertLess(len(peer.transport.unsent), 3 * HIGH_WATER)
        for each in outcomes:
            each.addErrback(lambda reason: reason.trap(OutboxFull))
        self.assertTrue(link.stats().outbox.conserved())

    def test_frames_sent_in_the_opening_leave_when_it_is_done(self) -> None:
        class Login(Lines):
            async def opening(self) -> None:  # type: ignore[override]
                await self.nextFrame()

        self.protocol = Login
        link, peer = self.ready()
        link.send([b"waited"])
        peer.send(b"ok\n")
        self.reactor.turn()
        self.assertEqual(peer.received, b"waited\n")

    def test_answers_of_coroutines_count_against_the_limit_too(self) -> None:
        class Slow(Lines):
            async def frameReceived(self, frame: bytes) -> None:  # type: ignore[override]
                later: Deferred[None] = Deferred()
                self.factory._clock.callLater(0, later.callback, None)  # type: ignore[union-attr]
                await later
                self.sendFrame(b"z" * HIGH_WATER)

        self.protocol = Slow
        _, peer = self.ready()
        peer.stall()
        peer.send(b"?\n" * 500)
        self.reactor.turn(3000)
        self.assertLess(len(peer.transport.unsent), ANSWER_LIMIT + 3 * HIGH_WATER)

    def test_a_half_close_gives_reading_back(self) -> None:
        """No producer is told any more that the transport has room."""

        class Answering(Lines):
            def frameReceived(self, frame: bytes) -> None:
                super().frameReceived(frame)
                if frame == b"?":
                    self.sendFrame(b"x" * ANSWER_LIMIT)

        self.protocol = Answering
        link, peer = self.ready()
        peer.stall()
        for _ in range(3):
            peer.send(b"?\n")
            self.reactor.turn()
        self.assertTrue(link.connection.readingHeld)
        link.connection.finishWriting()
        self.assertFalse(link.connection.readingHeld)

    def test_many_who_wait_for_room_and_send_again_need_no_stack(self) -> None:
        link = self.link(outboxBytes=20_000)
        left = [400]

        def again(_: object) -> None:
            if left[0]:
                left[0] -= 1
                link.send([b"x" * 10]).addCallbacks(again, lambda _: None)

        for _ in range(800):
            link.send([b"y" * 10]).addCallbacks(again, lambda _: None)
        peer = self.endpoint.attempts[-1].accept()
        self.reactor.turn(50)
        self.assertEqual(left, [0])
        self.assertTrue(link.stats().outbox.conserved())
        self.assertEqual(self.flushLoggedErrors(), [])
        self.assertEqual(link.stats().outbox.waiting, 0)
        self.assertGreater(len(peer.received), 400 * 11)

    def test_frames_that_cannot_leave_any_more_are_not_called_written(self) -> None:
        """Sent from a callback while the lost socket is read to its end: for the next one."""

        class Reporting(Lines):
            def frameReceived(self, frame: bytes) -> None:
                self.factory.send([b"got " + frame])  # type: ignore[union-attr]

        self.protocol = Reporting
        link, peer = self.ready()
        peer.transport.reading = False
        peer.send(b"one\n")
        peer.reset()
        link.connection.sendFrame(b"x")
        self.reactor.turn()
        self.assertEqual(link.stats().outbox.waiting, 1)
        self.reactor.advance(1)
        second = self.endpoint.attempts[-1].accept()
        self.reactor.turn()
        self.assertEqual(second.received, b"got one\n")


class PausingTests(ReviewTestCase):
    def test_a_callback_may_await_the_next_frame(self) -> None:
        class Pairs(Lines):
            async def frameReceived(self, frame: bytes) -> None:  # type: ignore[override]
                self.factory.frames.append((frame, await self.nextFrame()))  # type: ignore[union-attr]

        for chunks in ([b"a\nb\nc\nd\n"], [b"a\n", b"b\n", b"c\n", b"d\n"], [b"a\nb", b"\nc\nd\n"]):
            self.protocol = Pairs
            link, peer = self.ready()
            for chunk in chunks:
                peer.send(chunk)
                self.reactor.turn()
            self.assertEqual(link.frames, [(b"a", b"b"), (b"c", b"d")])
            self.assertFalse(link.connection.readingHeld)

    def test_a_callback_that_asks_after_a_wait_gets_the_next_frame_too(self) -> None:
        gate: Deferred[None] = Deferred()

        class Later(Lines):
            async def frameReceived(self, frame: bytes) -> None:  # type: ignore[override]
                await gate
                self.factory.frames.append((frame, await self.nextFrame()))  # type: ignore[union-attr]

        self.protocol = Later
        link, peer = self.ready()
        peer.send(b"a\nb\n")
        self.reactor.turn()
        gate.callback(None)
        self.assertEqual(link.frames, [(b"a", b"b")])

    def test_whoever_looks_may_close_and_then_the_frame_is_dropped(self) -> None:
        class Batches(Lines):
            def framesReceived(self, frames: list[bytes]) -> None:
                self.factory.frames.extend(frames)  # type: ignore[union-attr]

        for protocol in (Lines, Batches):
            self.protocol = protocol
            link, peer = self.ready()
            connection = link.connection
            found = connection.expect(re.compile(b"two"))
            found.addCallback(lambda _, c=connection: c.loseConnection())
            peer.send(b"one\ntwo\nthree\n")
            self.reactor.turn()
            self.assertEqual(link.frames, [b"one"])

    def test_whoever_looks_may_pause_and_then_the_frame_waits_and_comes_once(self) -> None:
        class Looking(Lines):
            def frameReceived(self, frame: bytes) -> None:
                super().frameReceived(frame)
                if frame == b"zero":
                    self.look()

            def look(self) -> None:
                found = self.expect(re.compile(b"two"))
                found.addCallback(lambda _: tokens.append(self.pauseReading()))

        for first in (b"", b"zero\n"):
            tokens: list[Any] = []
            self.protocol = Looking
            link, peer = self.ready()
            if not first:
                link.connection.look()
            peer.send(first + b"one\ntwo\nthree\n")
            self.reactor.turn()
            expected = [*first.split(), b"one"]
            self.assertEqual(link.frames, expected)
            again = link.connection.expect(re.compile(b"t"))
            tokens[0].resume()
            self.assertEqual(link.frames, [*expected, b"two", b"three"])
            self.assertEqual(self.successResultOf(again).string, b"three")

    def test_a_callback_may_unpack_its_frame_into_frames(self) -> None:
        class Unpacking(Lines):
            def frameReceived(self, frame: bytes) -> None:
                if b"," in frame:
                    self.framesReceived(frame.split(b","))
                else:
                    super().frameReceived(frame)
                    if frame == b"stop":
                        self.loseConnection()

        self.protocol = Unpacking
        link, peer = self.ready()
        peer.send(b"a,b\nc\nd,stop,e\nf\n")
        self.reactor.turn()
        self.assertEqual(link.frames, [b"a", b"b", b"c", b"d", b"stop"])

    def test_an_old_connections_token_does_not_hold_the_new_ones_watch(self) -> None:
        link, peer = self.ready(silenceTimeout=5, backoff=Backoff(initial=0.1, stable_after=0))
        old = link.connection
        peer.reset()
        self.reactor.turn()
        self.reactor.advance(0.1)
        self.endpoint.attempts[-1].accept()
        old.pauseReading()
        self.reactor.advance(5)
        self.reactor.turn()
        self.assertEqual(link.stats().losses, 2)

    def test_a_pause_from_before_the_opening_holds_the_watch(self) -> None:
        tokens: list[Any] = []

        class Paused(Lines):
            def connectionMade(self) -> None:
                tokens.append(self.pauseReading())

        self.protocol = Paused
        link, _ = self.ready(silenceTimeout=5)
        self.reactor.advance(60)
        self.assertIs(link.state, State.READY)
        tokens[0].resume()
        self.reactor.advance(5)
        self.reactor.turn()
        self.assertEqual(link.stats().losses, 1)

    def test_a_pause_before_the_handshake_does_not_stop_the_handshake(self) -> None:
        tokens: list[Any] = []

        class Paused(Lines):
            def connectionMade(self) -> None:
                tokens.append(self.pauseReading())

        self.protocol = Paused
        link = self.link()
        peer = self.endpoint.attempts[-1].accept(secure=True)
        self.assertTrue(peer.transport.reading)
        peer.finishHandshake()
        self.assertFalse(peer.transport.reading)
        tokens[0].resume()
        self.assertTrue(peer.transport.reading)
        self.assertIs(link.state, State.READY)

    def test_our_close_under_tls_reads_on_for_the_peers(self) -> None:
        link = self.link()
        peer = self.endpoint.attempts[-1].accept(secure=True)
        peer.finishHandshake()
        peer.stall()
        link.connection.sendFrame(b"x")
        link.connection.pauseReading()
        resumed: list[int] = []
        peer.transport.resumeProducing = lambda: resumed.append(1)  # type: ignore[method-assign]
        link.connection.loseConnection()
        self.assertEqual(resumed, [1])

    def test_a_watch_that_is_held_is_not_looked_at_every_moment(self) -> None:
        link, _ = self.ready(silenceTimeout=5)
        self.reactor.advance(4.999)
        link.connection.pauseReading()
        looks = [0]
        real = link._watch

        def counted() -> None:
            looks[0] += 1
            real()

        link._watch = counted
        for _ in range(1000):
            self.reactor.advance(0.01)
        self.assertLess(looks[0], 5)

    def test_an_instant_left_is_no_time_left(self) -> None:
        """Sums of floats: a remaining 4e-16 s must not be waited for again and again."""
        link, peer = self.ready(silenceTimeout=3)
        self.reactor.advance(1.02)
        peer.send(b"x\n")
        self.reactor.turn()
        self.reactor.advance(3)
        self.reactor.turn()
        self.assertEqual(link.stats().losses, 1)


class RobustnessTests(ReviewTestCase):
    def test_a_wiretap_that_raises_is_not_asked_again_and_costs_nothing(self) -> None:
        def broken(way: str, data: bytes) -> None:
            raise ZeroDivisionError

        link, peer = self.ready(wiretap=broken)
        peer.send(b"one\ntwo\n")
        self.reactor.turn()
        link.send([b"x"])
        self.reactor.turn()
        self.assertEqual((link.frames, peer.received), ([b"one", b"two"], b"x\n"))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_the_transport_is_let_go_even_if_reading_it_to_its_end_fails(self) -> None:
        link, peer = self.ready()

        class Broken:
            def recv(self, size: int) -> bytes:
                raise ZeroDivisionError

        peer.transport.getHandle = Broken  # type: ignore[method-assign,assignment]
        peer.reset()
        self.assertRaises(ZeroDivisionError, self.reactor.turn)
        self.assertFalse(peer.connected)
        self.assertIs(link.state, State.WAITING)

    def test_a_protocol_without_a_framing_is_a_failed_attempt(self) -> None:
        class Bare(FrameProtocol):
            pass

        self.protocol = Bare
        link, _ = self.ready()
        self.reactor.turn()
        self.assertIs(link.state, State.WAITING)
        self.assertIn("Bare has no framing", str(link.lastReason.value))
        self.assertIsNone(self.successResultOf(link.stop()))

    def test_a_connection_without_a_transport_can_be_aborted(self) -> None:
        Lines().abandonTransport()

    def test_what_is_no_list_of_frames_is_refused_in_words(self) -> None:
        link = self.link()
        for wrong in (b"hello", "text", ["text"], [b"fine", 5]):
            self.failureResultOf(link.send(wrong), LocalError)
        self.assertTrue(link.stats().outbox.conserved())
        self.assertEqual(link.stats().outbox.offered, 0)

    def test_what_the_caller_changes_later_is_not_what_is_sent(self) -> None:
        link = self.link()
        frame = bytearray(b"before")
        batch = [frame, memoryview(b"view")]
        link.send(batch)
        frame[:] = b"after!"
        batch.clear()
        peer = self.endpoint.attempts[-1].accept()
        self.reactor.turn()
        self.assertEqual(peer.received, b"before\nview\n")

    def test_nothing_at_all_is_accepted_even_by_a_full_outbox(self) -> None:
        link = self.link(outboxBytes=100)
        link.send([b"x" * 86])
        self.successResultOf(link.send([]))

    def test_whoever_withdraws_lets_a_smaller_one_in(self) -> None:
        link = self.link(outboxBytes=1000)
        link.send([b"x" * 800])
        large, small = link.send([b"y" * 500]), link.send([b"z" * 10])
        large.addErrback(lambda _: None)
        self.assertNoResult(small)
        large.cancel()
        self.successResultOf(small)

    def test_an_opening_out_of_time_takes_no_late_frame(self) -> None:
        taken: list[bytes] = []

        class Login(Lines):
            async def opening(self) -> None:  # type: ignore[override]
                taken.append(await self.nextFrame())

        self.protocol = Login
        link, peer = self.ready(openingTimeout=4)

        def late(old: State, new: State, reason: Any) -> None:
            if new is State.DROPPING:  # judged, and the transport is not gone yet
                peer.send(b"late\n")

        link.observe(late)
        self.reactor.advance(4)
        self.reactor.turn()
        self.assertEqual(taken, [])
        self.assertEqual(link.frames, [b"late"])
        self.assertFalse(peer.connected)

    def test_it_takes_one_that_had_arrived_in_time(self) -> None:
        taken: list[bytes] = []

        class Login(Lines):
            async def opening(self) -> None:  # type: ignore[override]
                taken.append(await self.nextFrame())

        self.protocol = Login
        link, peer = self.ready(openingTimeout=4)
        peer.transport.reading = False  # the reactor has not come to it
        peer.send(b"in time\n")
        self.reactor.advance(4)
        self.assertEqual(taken, [b"in time"])
        self.assertIs(link.state, State.READY)

    def test_frames_are_checked_against_the_framing_in_force(self) -> None:
        class Changing(Lines):
            def opening(self) -> None:
                self.setFraming(framing.netstring())

        self.protocol = Changing
        link, peer = self.ready()
        self.successResultOf(link.send([b"two\nlines"]))
        self.reactor.turn()
        self.assertEqual(peer.received, b"9:two\nlines,")

    def test_a_ready_link_that_fails_at_once_is_handed_to_nobody(self) -> None:
        class Broken(Lines):
            def connectionReady(self) -> None:
                raise ZeroDivisionError

        self.protocol = Broken
        link = self.link()
        ready = link.whenReady()
        self.endpoint.attempts[-1].accept()
        self.assertNoResult(ready)
        link.stop()
        self.reactor.turn()
        self.failureResultOf(ready, LinkStopped)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_a_connector_that_cannot_dial_is_a_failed_attempt(self) -> None:
        reactor = FakeReactor()
        link: Any = ReconnectingFactory.forProtocol(
            Lines, clock=reactor, backoff=Backoff(initial=1), random=lambda: 1.0
        )
        connector = reactor.connectTCP("192.0.2.1", 7, link)
        reactor.attempts[-1].refuse()
        real = connector.connect
        connector.connect = lambda: 1 / 0  # type: ignore[method-assign,assignment,return-value]
        reactor.advance(1)
        self.assertEqual((link.state, link.stats().attempts), (State.WAITING, 2))
        connector.connect = real  # type: ignore[method-assign]
        reactor.advance(2)
        reactor.attempts[-1].accept()
        self.assertIs(link.state, State.READY)

    def test_a_refusal_from_long_ago_ends_nothing(self) -> None:
        made: list[int] = []

        def flaky() -> Any:
            made.append(1)
            if len(made) == 1:
                raise ZeroDivisionError
            return Lines()

        self.protocol = flaky
        link, first = self.ready()
        gone = link._refusalGone(1)
        self.reactor.turn()
        self.assertFalse(first.connected)
        self.reactor.advance(1)
        self.endpoint.attempts[-1].accept()
        gone()
        self.assertIs(link.state, State.READY)
        self.flushLoggedErrors(ZeroDivisionError)

    def test_a_forsaken_transport_that_ends_after_all_finds_no_hook(self) -> None:
        link, peer = self.ready()
        connection = link.connection
        hook = peer.transport.connectionLost
        connection.forsake()
        from twisted.python.failure import Failure

        hook(Failure(ConnectionLost()))
        self.assertTrue(peer.connected)  # the hook was all it called

    def test_the_wait_for_the_application_is_said(self) -> None:
        class Stuck(Lines):
            def frameReceived(self, frame: bytes) -> Any:
                return Deferred()

        self.protocol = Stuck
        link, peer = self.ready()
        said: list[str] = []
        link.log = type("Log", (), {"info": lambda self, text, **_: said.append(text)})()
        link.log.debug = link.log.info
        peer.send(b"x\n")
        self.reactor.turn()
        link.connection.sendFrame(b"y")
        peer.reset()
        self.reactor.turn()
        self.assertIn("{link}: lost; the application still works on what arrived", said)


class RestartTests(ReviewTestCase):
    def test_a_stop_behind_a_start_behind_a_stop_stops(self) -> None:
        link, _ = self.ready()
        done: list[Any] = []
        link.stop().addCallback(lambda _: (link.start(self.endpoint), done.append(link.stop())))
        self.reactor.turn()
        self.assertIs(link.state, State.STOPPED)
        self.assertIsNone(self.successResultOf(done[0]))
        self.assertEqual(self.reactor.pending(), [])

    def test_the_same_by_the_service(self) -> None:
        link, _ = self.ready()
        service = LinkService(self.endpoint, link, self.reactor)
        service.startService()
        stopped = service.stopService()
        service.startService()
        stopped.addCallback(lambda _: service.stopService())
        self.reactor.turn()
        self.assertIs(link.state, State.STOPPED)
        self.assertFalse(service.running)

    def test_whoever_is_told_of_the_stop_may_start_again_at_once(self) -> None:
        link = self.link()
        link.whenReady().addErrback(lambda _: link.start(self.endpoint))
        link.stop()
        self.assertIs(link.state, State.CONNECTING)
        self.endpoint.attempts[-1].accept()
        self.assertIs(link.state, State.READY)


class MachineTests(SynchronousTestCase):
    def test_an_action_that_raises_costs_no_event_behind_it(self) -> None:
        seen: list[Action] = []

        class Owner(Machine):
            def perform(self, action: Action) -> None:
                seen.append(action)
                if action is Action.DIAL:
                    self.handle(Event.DIAL_FAILED)
                    raise ZeroDivisionError

        machine = Owner()
        machine.handle(Event.START)
        self.assertIs(machine.state, State.WAITING)
        machine.handle(Event.STOP)
        self.assertIs(machine.state, State.STOPPED)
