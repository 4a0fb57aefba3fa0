"""The link: it dials, opens, drops, waits, redials and stops, whatever happens when."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any, cast
from unittest.mock import patch

from twisted.internet.defer import CancelledError, Deferred, inlineCallbacks
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import (
    ConnectionAborted,
    ConnectionDone,
    ConnectionLost,
    ConnectionRefusedError,
)
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from nbclient import Backoff, FrameProtocol, ReconnectingFactory, RequestProtocol, State, framing
from nbclient.connection.interface import ALONE
from nbclient.connection.receiver import TURN
from nbclient.connection.wording import explain
from nbclient.core.automation import Answer, Heartbeat, Poll
from nbclient.core.states import Event
from nbclient.delivery.ledger import Ledger
from nbclient.delivery.replies import Reply
from nbclient.errors import (
    CallbackFailed,
    ConnectionClosed,
    ConnectTimeout,
    DeadPath,
    DeliveryNotNow,
    DeliveryUnavailable,
    FrameError,
    FrameRejected,
    FrameTimeout,
    FrameTooLong,
    GaveUp,
    LinkDown,
    LinkStopped,
    LocalError,
    OpeningFailed,
    OutboxFull,
    Rejected,
    ReplyTimeout,
    SilenceTimeout,
    TurnedAway,
)
from nbclient.kernel.dead_path import PathWatch
from nbclient.link import factory
from nbclient.link.factory import ABORT_GRACE
from nbclient.testing import HIGH_WATER, Attempt, FakeEndpoint, FakeReactor, Peer
from tests.conformance.spools import FakeSpool

SOON = 0.001


class Lines(FrameProtocol):
    """Remembers its frames on the factory, over all connections."""

    framing = framing.lines()

    def frameReceived(self, frame: bytes) -> Any:
        self.factory.frames.append(frame)  # type: ignore[union-attr]

    def connectionLost(self, reason: Any = None) -> None:
        self.factory.frames.append("lost")  # type: ignore[union-attr]


class Stuck:
    """A dialer that cannot be stopped."""

    def cancel(self) -> None:
        pass


class LinkTestCase(SynchronousTestCase):
    """A link over a fake endpoint, with the jitter at its maximum."""

    protocol: Any = Lines

    def link(self, start: bool = True, **options: Any) -> Any:
        self.reactor = FakeReactor()
        self.endpoint = FakeEndpoint(self.reactor)
        options.setdefault("backoff", Backoff(initial=1, maximum=8, factor=2, stable_after=30))
        options.setdefault("random", lambda: 1.0)
        link: Any = ReconnectingFactory.forProtocol(self.protocol, clock=self.reactor, **options)
        link.frames = []
        self.states: list[State] = []
        link.observe(lambda old, new, reason: self.states.append(new))
        if start:
            link.start(self.endpoint)
        return link

    @property
    def attempt(self) -> Attempt:
        return self.endpoint.attempts[-1]

    def ready(self, **options: Any) -> tuple[Any, Peer]:
        link = self.link(**options)
        peer = self.attempt.accept()
        self.assertIs(link.state, State.READY)
        return link, peer

    def assertQuiet(self) -> None:
        self.reactor.turn()
        self.assertEqual(self.reactor.pending(), [])


class Willing:
    """A kernel that acknowledges whatever is written."""

    overtaken = False

    def __init__(self, transport: Any, secure: bool) -> None:
        self.ledger = Ledger()
        self.probe = self

    def newly(self) -> int:
        return self.ledger.acknowledged(self.ledger.written)

    def seal(self) -> None:
        pass

    def settling(self, now: float, limit: float, again: bool) -> Any:
        return self

    def poll(self, now: float) -> None:
        return None


class DiallingTests(LinkTestCase):
    def test_an_attempt_that_fails_is_followed_by_another_ever_later(self) -> None:
        link = self.link()
        for wait in (1, 2, 4, 8, 8, 8):
            self.attempt.refuse()
            self.assertIs(link.state, State.WAITING)
            before = len(self.endpoint.attempts)
            self.reactor.advance(wait - SOON)
            self.assertEqual(len(self.endpoint.attempts), before)
            self.reactor.advance(SOON)
            self.assertEqual(len(self.endpoint.attempts), before + 1)
        self.assertIs(link.lastReason.type, ConnectionRefusedError)
        self.assertEqual(link.stats().attempts, 6)
        self.assertEqual(link.stats().dials, 7)

    def test_the_jitter_spreads_every_wait_over_all_of_it(self) -> None:
        draws = iter([0.25, 0.0])
        self.link(random=lambda: next(draws))
        self.attempt.refuse()
        self.reactor.advance(0.25)
        self.attempt.refuse()
        self.reactor.advance(0)
        self.assertEqual(len(self.endpoint.attempts), 3)

    def test_a_connect_that_takes_too_long_is_given_up(self) -> None:
        link = self.link(connectTimeout=5)
        self.reactor.advance(5)
        self.assertFalse(self.attempt.pending)
        self.assertIs(link.state, State.WAITING)
        self.assertIs(link.lastReason.type, ConnectTimeout)

    def test_a_dial_that_cannot_be_cancelled_is_forsaken(self) -> None:
        """A hung resolver, say: the link goes on without it."""
        link = self.link(connectTimeout=5)
        dialer, link._dialer = link._dialer, Stuck()
        self.reactor.advance(5)
        self.assertIs(link.state, State.DROPPING)
        self.reactor.advance(ABORT_GRACE)
        self.assertIs(link.state, State.WAITING)
        link._dialer = dialer
        stale = self.attempt
        self.reactor.advance(1)
        self.assertEqual(len(self.endpoint.attempts), 2)
        stale.refuse()  # too late to matter
        self.assertIs(link.state, State.CONNECTING)

    def test_an_endpoint_that_raises_is_a_failed_attempt(self) -> None:
        link = self.link(start=False)
        self.endpoint.connect = lambda factory: 1 / 0  # type: ignore[method-assign,assignment,return-value]
        link.start(self.endpoint)
        self.assertIs(link.state, State.WAITING)
        self.assertIs(link.lastReason.type, ZeroDivisionError)

    def test_a_handshake_that_never_ends_is_dropped_at_the_connect_deadline(self) -> None:
        link = self.link(connectTimeout=5)
        self.reactor.advance(3)
        peer = self.attempt.accept(secure=True)
        self.assertIs(link.state, State.CONNECTING)
        self.reactor.advance(2)
        self.reactor.turn()
        self.assertTrue(peer.aborted)
        self.assertIs(link.state, State.WAITING)
        self.assertIs(link.lastReason.type, ConnectTimeout)
        said = "connected, but no TLS answer within 5 s: the peer may not speak TLS"
        self.assertEqual(str(link.lastReason.value), said)
        self.assertEqual(link.stats().connects, 0)

    def test_one_that_was_begun_by_the_peer_is_not_called_missing(self) -> None:
        self.patch(Lines, "answered", True)
        link = self.link(connectTimeout=5)
        self.attempt.accept(secure=True)
        self.reactor.advance(5)
        said = "connected, but the TLS handshake was not done within 5 s"
        self.assertEqual(str(link.lastReason.value), said)

    def test_a_handshake_that_fails_grows_the_delay_and_is_never_ready(self) -> None:
        link = self.link()
        never = link.whenReady()
        for wait in (1, 2, 4):
            peer = self.attempt.accept(secure=True)
            peer.reset()
            self.reactor.turn()
            self.assertIs(link.state, State.WAITING)
            self.reactor.advance(wait)
        self.assertNoResult(never)
        self.assertNotIn(State.READY, self.states)

    def test_accept_then_close_grows_the_delay(self) -> None:
        link = self.link()
        for wait in (1, 2, 4, 8):
            self.attempt.accept().close()
            self.reactor.turn()
            self.assertIs(link.state, State.WAITING)
            self.reactor.advance(wait - SOON)
            self.assertIs(link.state, State.WAITING)
            self.reactor.advance(SOON)
        self.assertEqual(link.stats().attempts, 4)

    def test_a_greeting_before_the_close_is_no_proof_either(self) -> None:
        link = self.link()
        for wait in (1, 2, 4):
            peer = self.attempt.accept()
            peer.send(b"too many connections\n")
            peer.close()
            self.reactor.turn()
            self.reactor.advance(wait)
        self.assertEqual(link.stats().attempts, 3)
        self.assertEqual(link.frames.count(b"too many connections"), 3)

    def test_nor_is_a_kernel_that_acknowledges_what_its_program_turns_away(self) -> None:
        """A balancer whose backend is down takes the bytes and closes, as a full server does."""
        self.patch(factory, "Acknowledging", Willing)
        link = self.link(delivery="tcp")
        for wait in (1, 2, 4):
            peer = self.attempt.accept()
            link.send([b"x"])
            self.reactor.advance(0.01)
            self.assertEqual(link.stats().outbox.acknowledged, link.stats().readies)
            peer.send(b"-ERR max number of clients reached\n")
            peer.close()
            self.reactor.turn()
            self.reactor.advance(wait)
        self.assertEqual(link.stats().attempts, 3)

    def test_frames_answered_are_a_success_however_short_the_connection(self) -> None:
        link = self.link(delivery="reply")
        for _ in range(5):
            peer = self.attempt.accept()
            link.send([b"x"])
            self.reactor.turn()
            peer.send(b"ok\n")
            peer.close()
            self.reactor.turn()
            self.assertEqual(link.stats().attempts, 1)
            self.assertTrue(link.progressed)
            self.reactor.advance(1)
        self.assertEqual(link.stats().outbox.acknowledged, 5)
        self.attempt.refuse()
        self.assertFalse(link.progressed)
        self.assertEqual(link.stats().attempts, 2)

    def test_so_is_an_answer_that_was_found_after_the_loss(self) -> None:
        link = self.link(delivery="reply")
        for _ in range(3):
            peer = self.attempt.accept()
            link.send([b"x"])
            self.reactor.turn()
            token = link.connection.pauseReading()
            peer.send(b"ok\n")
            link.connection.transport.connectionLost(Failure(ConnectionLost()))
            token.resume()
            self.reactor.turn()
            self.assertEqual(link.stats().attempts, 1)
            self.reactor.advance(1)

    def test_so_are_frames_that_are_settled(self) -> None:
        self.patch(factory, "Acknowledging", Willing)
        link = self.link(delivery="tcp", settleAfter=1.0)
        for _ in range(3):
            peer = self.attempt.accept()
            link.send([b"x"])
            self.reactor.pump([0.1] * 20)
            peer.close()
            self.reactor.turn()
            self.assertEqual(link.stats().attempts, 1)
            self.reactor.advance(1)

    def test_so_is_more_than_a_greeting_and_a_word_of_refusal(self) -> None:
        for frames, attempts in ((2, 4), (3, 1)):
            link = self.link()
            for wait in (1, 2, 4, 8)[:4]:
                peer = self.attempt.accept()
                peer.send(b"frame\n" * frames)
                peer.close()
                self.reactor.turn()
                self.reactor.advance(wait)
            self.assertEqual(link.stats().attempts, attempts)

    def test_what_the_opening_read_is_no_progress(self) -> None:
        class Login(Lines):
            async def opening(self) -> None:  # type: ignore[override]
                for _ in range(5):
                    await self.nextFrame()

        self.protocol = Login
        link = self.link()
        for wait in (1, 2, 4):
            peer = self.attempt.accept()
            peer.send(b"motd\n" * 5 + b"full\n")
            peer.close()
            self.reactor.turn()
            self.reactor.advance(wait)
        self.assertEqual(link.stats().attempts, 3)

    def test_a_peer_that_ended_at_once_was_not_stable_whenever_that_is_noticed(self) -> None:
        """Its end was behind what the application was at, or this side went on sending."""

        class Slow(Lines):
            def frameReceived(self, frame: bytes) -> Any:
                super().frameReceived(frame)
                return self.factory.done  # type: ignore[union-attr]

        self.protocol = Slow
        link = self.link()
        for wait in (1, 2, 4):
            link.done = Deferred()
            peer = self.attempt.accept()
            peer.send(b"one\n")
            peer.close()
            self.reactor.turn()
            self.reactor.advance(60)
            link.done.callback(None)
            self.reactor.turn()
            self.assertIs(link.state, State.WAITING)
            self.reactor.advance(wait)
        self.assertEqual(link.stats().attempts, 3)

    def test_while_it_is_read_it_counts_as_ready(self) -> None:
        link = self.link()
        self.attempt.refuse()
        self.reactor.advance(1)
        peer = self.attempt.accept()
        for _ in range(2):
            self.reactor.advance(15)
            token = link.connection.pauseReading()
            self.reactor.advance(60)
            token.resume()
        peer.reset()
        self.reactor.turn()
        self.assertEqual(link.stats().attempts, 1)

    def test_settling_without_a_connection_is_ended_by_its_deadline_too(self) -> None:
        """As after a fault while a dial that never reported its end was taken for lost."""
        link = self.link()
        link._machine.state = State.SETTLING
        link._machine.handle(Event.DEADLINE)
        self.assertIs(link.state, State.SETTLING)
        link._machine.handle(Event.SETTLED)
        self.assertIs(link.state, State.WAITING)
        link.stop()

    def test_a_link_that_was_stable_starts_over(self) -> None:
        link = self.link()
        self.attempt.refuse()
        self.reactor.advance(1)
        peer = self.attempt.accept()
        self.reactor.advance(30)
        peer.reset()
        self.reactor.turn()
        self.assertEqual(link.stats().attempts, 1)
        self.reactor.advance(1)
        self.assertEqual(len(self.endpoint.attempts), 3)

    def test_the_wait_begins_at_the_loss_not_when_the_last_frame_is_done(self) -> None:
        """And the redial still comes after the last frame."""
        done: Deferred[None] = Deferred()

        class Slow(Lines):
            def frameReceived(self, frame: bytes) -> Any:
                super().frameReceived(frame)
                return done

        self.protocol = Slow
        link, peer = self.ready()
        peer.send(b"one\n")
        self.reactor.turn()
        link.connection.sendFrame(b"x")
        peer.reset()
        self.reactor.turn()
        self.assertIs(link.state, State.SETTLING)
        self.reactor.advance(5)
        self.assertIs(link.state, State.SETTLING)
        done.callback(None)
        self.assertIs(link.state, State.WAITING)
        self.reactor.advance(0)
        self.assertEqual(len(self.endpoint.attempts), 2)

    def test_giving_up(self) -> None:
        link = self.link(backoff=Backoff(initial=1, retries=2))
        ready, drained, ended = link.whenReady(), None, link.whenStopped()
        link.send([b"never"])
        drained = link.whenDrained()
        for wait in (1, 2, None):
            self.attempt.refuse()
            if wait:
                self.reactor.advance(wait)
        self.assertIs(link.state, State.STOPPED)
        self.assertIn("connection refused", str(self.successResultOf(ended)))
        self.assertEqual(self.failureResultOf(ready, GaveUp).value.attempts, 3)
        self.failureResultOf(drained, GaveUp)
        self.failureResultOf(link.whenReady(), GaveUp)
        self.failureResultOf(link.whenDrained(), GaveUp)
        self.assertIsInstance(self.successResultOf(link.whenStopped()), GaveUp)
        self.failureResultOf(link.send([b"x"]), LinkStopped)
        self.assertEqual(link.stats().outbox.abandoned, 1)
        self.assertQuiet()

    def test_no_retry_at_all(self) -> None:
        link = self.link(backoff=Backoff(retries=0))
        self.attempt.refuse()
        self.assertIs(link.state, State.STOPPED)
        self.assertIn("after 1 attempt:", str(self.successResultOf(link.whenStopped())))

    def test_a_factory_that_runs_already_is_not_started_again(self) -> None:
        link = self.link()
        self.assertRaises(LocalError, link.start, self.endpoint)


class ConnectorTests(LinkTestCase):
    """The classic way, ``reactor.connectTCP(host, port, factory)``."""

    def connect(self, **options: Any) -> Any:
        link = self.link(start=False, **options)
        self.connector = self.reactor.connectTCP("192.0.2.1", 7, link)
        return link

    @property
    def attempt(self) -> Attempt:
        return self.reactor.attempts[-1]

    def test_it_redials_by_the_connector(self) -> None:
        link = self.connect()
        self.assertEqual(link.name, "192.0.2.1:7")
        self.attempt.refuse()
        self.reactor.advance(1)
        peer = self.attempt.accept()
        self.assertIs(link.state, State.READY)
        peer.reset()
        self.reactor.turn()
        self.assertIs(link.state, State.WAITING)
        self.reactor.advance(2)
        self.attempt.accept()
        self.assertIs(link.state, State.READY)
        self.assertEqual(link.stats().losses, 1)

    def test_the_factory_owns_everything_without_an_injected_clock(self) -> None:
        reactor = FakeReactor()
        link: Any = ReconnectingFactory.forProtocol(Lines, random=lambda: 1.0)
        reactor.connectTCP("192.0.2.1", 7, link)
        reactor.attempts[-1].refuse()
        self.assertEqual(len(reactor.pending()), 1)
        self.assertIs(self.successResultOf(link.stop()), None)
        self.assertEqual(reactor.pending(), [])

    def test_a_double_loss_is_counted_once(self) -> None:
        """Both the connection's hook and the connector tell; one of them counts."""
        link = self.connect()
        peer = self.attempt.accept()
        peer.reset()
        self.reactor.turn()
        self.assertEqual((link.stats().losses, link.stats().attempts), (1, 1))

    def test_a_second_connector_is_refused(self) -> None:
        link = self.connect()
        error = self.assertRaises(LocalError, self.reactor.connectTCP, "192.0.2.2", 7, link)
        self.assertIn("192.0.2.1:7 is running already", str(error))
        self.assertEqual(link.state, State.CONNECTING)
        self.reactor.attempts[0].accept()
        self.assertIs(link.state, State.READY)

    def test_a_connect_timeout_stops_the_connector(self) -> None:
        link = self.connect(connectTimeout=5)
        self.reactor.advance(5)
        self.assertEqual(self.connector.state, "disconnected")
        self.assertIs(link.lastReason.type, ConnectTimeout)

    def test_stop_and_start_again_by_the_connector(self) -> None:
        link = self.connect()
        self.attempt.accept()
        stopped = link.stop()
        self.reactor.turn()
        self.successResultOf(stopped)
        self.connector.connect()
        self.attempt.refuse()
        self.assertIs(link.state, State.WAITING)
        self.reactor.advance(1)
        self.attempt.accept()
        self.assertIs(link.state, State.READY)

    def test_an_attempt_beside_the_connection_is_refused(self) -> None:
        link = self.connect()
        self.attempt.accept()
        self.connector.state = "disconnected"
        self.connector.connect()
        self.assertFalse(self.attempt.pending)
        self.assertIs(link.state, State.READY)
        self.assertEqual(link.stats().attempts, 0)

    def test_somebody_else_redials_while_the_link_waits(self) -> None:
        link = self.connect()
        self.attempt.refuse()
        self.connector.connect()
        self.assertIs(link.state, State.CONNECTING)
        self.attempt.accept()
        self.reactor.advance(5)
        self.assertIs(link.state, State.READY)

    def test_stop_while_the_connector_is_neither_here_nor_there(self) -> None:
        link = self.connect()
        self.connector.state = "disconnected"
        stopped = link.stop()
        self.reactor.advance(ABORT_GRACE)
        self.successResultOf(stopped)

    def test_a_unix_socket_is_named_by_its_path(self) -> None:
        link = self.link(start=False)
        self.reactor.connectUNIX("/run/x.sock", link)
        self.assertEqual(link.name, "/run/x.sock")

    def test_names_of_other_addresses(self) -> None:
        from twisted.internet.address import IPv6Address

        from nbclient.link.factory import _describeAddress, _describeEndpoint

        self.assertEqual(_describeAddress(IPv6Address("TCP", "::1", 9)), "[::1]:9")
        self.assertEqual(_describeAddress("somewhere"), "somewhere")
        self.assertEqual(_describeEndpoint("somewhere"), "'somewhere'")
        for host, name in (("h", "h:1"), ("::1", "[::1]:1")):
            kind = TCP6ClientEndpoint if ":" in host else TCP4ClientEndpoint
            self.assertEqual(_describeEndpoint(kind(None, host, 1)), name)
        self.assertEqual(_describeEndpoint(object()), "object")


class BuildingTests(LinkTestCase):
    def test_a_constructor_that_raises_is_a_failed_attempt(self) -> None:
        def broken() -> Any:
            raise ZeroDivisionError("no")

        self.protocol = broken
        link = self.link()
        self.attempt.accept()
        self.reactor.turn()
        self.assertIs(link.state, State.WAITING)
        self.assertIs(link.lastReason.type, CallbackFailed)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_another_kind_of_protocol_is_refused_in_words(self) -> None:
        self.protocol = lambda: Protocol()
        link = self.link()
        self.attempt.accept()
        self.reactor.turn()
        self.assertIn("Protocol is no FrameProtocol", str(link.lastReason.value))

    def test_a_connection_nobody_wants_is_aborted(self) -> None:
        link, first = self.ready()
        again = FakeEndpoint(self.reactor)
        again.connect(link)
        peer = again.attempts[0].accept()
        self.reactor.turn()
        self.assertTrue(peer.aborted)
        self.assertTrue(first.connected)
        self.assertIs(link.state, State.READY)

    def test_the_factorys_framing_and_wiretap_go_to_the_connection(self) -> None:
        tapped: list[Any] = []
        link, peer = self.ready(
            framing=framing.netstring(), wiretap=lambda way, data: tapped.append((way, data))
        )
        peer.send(b"3:abc,")
        link.send([b"x"])
        self.reactor.turn()
        self.assertEqual(link.frames, [b"abc"])
        self.assertEqual(tapped, [("out", b"1:x,"), ("in", b"3:abc,")])

    def test_made_without_a_clock_it_asks_for_the_global_reactor(self) -> None:
        from twisted.internet import reactor

        link: Any = ReconnectingFactory.forProtocol(Lines)
        endpoint = FakeEndpoint(Clock())
        link.start(endpoint)
        self.assertIs(link._clock, reactor)
        self.successResultOf(link.stop())


class ReadyTests(LinkTestCase):
    def test_when_ready_now_and_later(self) -> None:
        link = self.link()
        early, cancelled = link.whenReady(), link.whenReady()
        cancelled.cancel()
        self.failureResultOf(cancelled, CancelledError)
        self.attempt.accept()
        self.assertIs(self.successResultOf(early), link.connection)
        self.assertIs(self.successResultOf(link.whenReady()), link.connection)

    def test_the_opening_has_its_deadline(self) -> None:
        class Login(Lines):
            async def opening(self) -> None:  # type: ignore[override]
                await self.nextFrame()

        self.protocol = Login
        link = self.link(openingTimeout=4)
        peer = self.attempt.accept()
        self.assertIs(link.state, State.OPENING)
        self.reactor.advance(4)
        self.reactor.turn()
        self.assertTrue(peer.aborted)
        self.assertIs(link.lastReason.type, OpeningFailed)
        self.assertIn("within 4 s", str(link.lastReason.value))

    def test_a_failed_opening_aborts_and_grows_the_delay(self) -> None:
        class Login(Lines):
            async def opening(self) -> None:  # type: ignore[override]
                raise OpeningFailed("refused")

        self.protocol = Login
        link = self.link()
        for wait in (1, 2, 4):
            peer = self.attempt.accept()
            self.reactor.turn()
            self.assertTrue(peer.aborted)
            self.reactor.advance(wait)
        self.assertEqual(link.stats().attempts, 3)
        self.assertEqual(link.stats().readies, 0)

    def test_lost_while_opening(self) -> None:
        class Login(Lines):
            async def opening(self) -> None:  # type: ignore[override]
                await self.nextFrame()

        self.protocol = Login
        link = self.link()
        self.attempt.accept().reset()
        self.reactor.turn()
        self.assertIs(link.state, State.WAITING)
        self.assertIs(link.lastReason.type, ConnectionLost)

    def test_the_opening_is_repeated_on_every_connection(self) -> None:
        class Login(Lines):
            async def opening(self) -> None:  # type: ignore[override]
                self.sendFrame(b"hello")

        self.protocol = Login
        self.link()
        for _ in range(3):
            peer = self.attempt.accept()
            self.reactor.turn()
            self.assertEqual(peer.received, b"hello\n")
            peer.reset()
            self.reactor.turn()
            self.reactor.advance(8)

    def test_a_fault_of_the_peer_drops_and_backs_off(self) -> None:
        link, peer = self.ready(framing=framing.lines(max_frame=4))
        peer.send(b"ok\ntoo long\n")
        self.reactor.turn()
        self.assertEqual(link.frames, [b"ok", "lost"])
        self.assertIs(link.lastReason.type, FrameTooLong)
        self.assertIs(link.state, State.WAITING)

    def test_a_callback_that_raises_drops_and_backs_off(self) -> None:
        class Broken(Lines):
            def frameReceived(self, frame: bytes) -> None:
                raise ZeroDivisionError

        self.protocol = Broken
        link, peer = self.ready()
        peer.send(b"x\n")
        self.reactor.turn()
        self.assertIs(link.lastReason.type, CallbackFailed)
        self.assertIs(link.state, State.WAITING)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_a_callback_of_an_old_connection_that_fails_late_harms_nobody(self) -> None:
        late: Deferred[None] = Deferred()

        class Slow(Lines):
            def frameReceived(self, frame: bytes) -> Any:
                return late

        self.protocol = Slow
        link, peer = self.ready()
        peer.send(b"x\n")
        self.reactor.turn()
        link.reconnectNow()
        self.reactor.turn()
        self.attempt.accept()
        late.errback(ZeroDivisionError())
        self.reactor.turn()
        self.assertIs(link.state, State.READY)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_a_connection_given_up_for_another_was_not_closed_by_the_peer(self) -> None:
        link, _ = self.ready()
        link.reconnectNow()
        self.reactor.turn()
        self.assertEqual(explain(link.lastReason), "this side closed it, to connect anew")
        self.attempt.accept()
        link.stop()
        link.reconnectNow()  # too late: it stops
        self.reactor.turn()
        self.assertTrue(cast(Failure, link.lastReason).check(ConnectionDone))

    def test_what_an_old_connections_peer_does_late_is_nobodys_reason(self) -> None:
        link, peer = self.ready()
        old = link.connection
        peer.reset()
        self.reactor.turn()
        self.reactor.advance(1)
        self.attempt.accept()
        old.readConnectionLost()
        self.assertIs(link.state, State.READY)
        self.assertIs(link.lastReason.type, ConnectionLost)

    def test_an_observer_that_raises_stops_nothing(self) -> None:
        link = self.link(start=False)
        forget = link.observe(lambda old, new, reason: 1 / 0)
        link.start(self.endpoint)
        forget()
        self.attempt.accept()
        self.assertIs(link.state, State.READY)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_the_peers_half_close_loses_nothing_and_ends(self) -> None:
        link, peer = self.ready()
        peer.stall()
        link.send([b"x" * 1000])
        peer.send(b"last words\n")
        peer.close()
        self.reactor.turn()
        self.assertIs(link.state, State.DROPPING)
        peer.unstall()
        self.reactor.turn()
        self.assertEqual(len(peer.received), 1001)
        self.assertEqual(link.frames, [b"last words", "lost"])
        self.assertIs(link.lastReason.type, ConnectionDone)

    def test_a_half_closed_peer_that_reads_no_more_still_ends(self) -> None:
        link, peer = self.ready(closeTimeout=3)
        peer.stall()
        link.send([b"x" * 1000])
        peer.close()
        self.reactor.turn()
        self.reactor.advance(3)
        self.reactor.turn()
        self.assertTrue(peer.aborted)
        self.assertIs(link.state, State.WAITING)

    def test_a_deadline_cuts_the_sending_short_not_the_receiving(self) -> None:
        tokens: list[Any] = []

        class Pausing(Lines):
            def frameReceived(self, frame: bytes) -> Any:
                super().frameReceived(frame)
                if frame == b"one":
                    tokens.append(self.pauseReading())

        self.protocol = Pausing
        link, peer = self.ready(closeTimeout=3)
        peer.send(b"one\ntwo\n")
        self.reactor.turn()
        link.connection.readConnectionLost()
        self.reactor.advance(3)
        self.reactor.turn()
        self.assertIs(link.state, State.SETTLING)
        tokens[0].resume()
        self.assertEqual(link.frames, [b"one", b"two", "lost"])
        self.assertIs(link.state, State.WAITING)


class ReconnectNowTests(LinkTestCase):
    def test_while_waiting_it_shortens_the_wait(self) -> None:
        link = self.link()
        self.attempt.refuse()
        link.reconnectNow()
        self.assertEqual(len(self.endpoint.attempts), 1)  # never from inside the call
        self.reactor.advance(0)
        self.assertEqual(len(self.endpoint.attempts), 2)

    def test_while_ready_it_drops_and_redials_at_once(self) -> None:
        link, peer = self.ready()
        link.reconnectNow()
        self.reactor.turn()
        self.assertFalse(peer.connected)
        self.assertEqual(len(self.endpoint.attempts), 2)

    def test_while_opening_dropping_and_settling(self) -> None:
        class Login(Lines):
            async def opening(self) -> None:  # type: ignore[override]
                await self.nextFrame()

        self.protocol = Login
        link = self.link()
        self.attempt.accept()
        link.reconnectNow()
        link.reconnectNow()
        self.reactor.turn()
        self.assertEqual(len(self.endpoint.attempts), 2)

    def test_before_the_start_and_after_the_end_it_does_nothing(self) -> None:
        link = self.link(start=False)
        link.reconnectNow()
        self.assertIs(link.state, State.IDLE)
        link.stop()
        link.reconnectNow()
        self.assertIs(link.state, State.STOPPED)


class StoppingTests(LinkTestCase):
    """Stop in any state: the Deferred always fires, and no timer is left."""

    def stopped(self, link: Any) -> Deferred[None]:
        done: Deferred[None] = link.stop()
        self.reactor.turn()
        return done

    def assertStopped(self, link: Any, done: Deferred[None]) -> None:
        self.assertIsNone(self.successResultOf(done))
        self.assertIs(link.state, State.STOPPED)
        self.assertIsNone(self.successResultOf(link.whenStopped()))
        self.assertIsNone(self.successResultOf(link.stop()))
        self.failureResultOf(link.whenReady(), LinkStopped)
        self.assertQuiet()

    def test_before_the_start(self) -> None:
        link = self.link(start=False)
        self.assertStopped(link, self.stopped(link))

    def test_while_dialling(self) -> None:
        link = self.link()
        waiter = link.whenReady()
        self.assertStopped(link, self.stopped(link))
        self.failureResultOf(waiter, LinkStopped)
        self.assertFalse(self.attempt.pending)

    def test_while_a_dial_cannot_be_cancelled(self) -> None:
        link = self.link()
        link._dialer = Stuck()
        done = self.stopped(link)
        self.assertNoResult(done)
        self.reactor.advance(ABORT_GRACE)
        self.assertStopped(link, done)
        peer = self.attempt.accept()  # it comes after all, and is not wanted
        self.reactor.turn()
        self.assertTrue(peer.aborted)

    def test_during_the_handshake(self) -> None:
        link = self.link()
        peer = self.attempt.accept(secure=True)
        self.assertStopped(link, self.stopped(link))
        self.assertTrue(peer.aborted)

    def test_while_opening(self) -> None:
        class Login(Lines):
            async def opening(self) -> None:  # type: ignore[override]
                await self.nextFrame()

        self.protocol = Login
        link = self.link()
        self.attempt.accept()
        self.assertStopped(link, self.stopped(link))

    def test_while_ready_what_was_written_is_sent_first(self) -> None:
        link, peer = self.ready()
        link.send([b"last"])
        self.assertStopped(link, self.stopped(link))
        self.assertEqual(peer.received, b"last\n")
        self.assertTrue(peer.finished)

    def test_a_stalled_peer_is_aborted_at_the_deadline(self) -> None:
        link, peer = self.ready(closeTimeout=3)
        peer.stall()
        link.send([b"x" * HIGH_WATER * 2])
        done = self.stopped(link)
        self.reactor.advance(3 - SOON)
        self.assertNoResult(done)
        self.reactor.advance(SOON)
        self.reactor.turn()
        self.assertTrue(peer.aborted)
        self.assertStopped(link, done)

    def test_a_transport_that_never_reports_its_end_cannot_hold_up_the_stop(self) -> None:
        link, peer = self.ready(closeTimeout=3)
        peer.stall()
        link.send([b"x"])
        peer.transport.abortConnection = lambda: None  # type: ignore[method-assign]
        link.connection._transport = lambda plain=False: peer.transport
        done = self.stopped(link)
        self.reactor.advance(3)
        self.assertNoResult(done)
        self.reactor.advance(ABORT_GRACE)
        self.assertStopped(link, done)
        self.assertEqual(link.frames, ["lost"])

    def test_a_transport_that_never_reports_its_end_cannot_hold_up_the_link(self) -> None:
        link, peer = self.ready(closeTimeout=3)
        peer.stall()
        link.send([b"x"])
        peer.transport.abortConnection = lambda: None  # type: ignore[method-assign]
        link.connection._transport = lambda plain=False: peer.transport
        link.reconnectNow()
        self.reactor.advance(3)
        self.reactor.advance(ABORT_GRACE)
        self.reactor.turn()
        self.assertEqual(len(self.endpoint.attempts), 2)

    def test_while_dropping(self) -> None:
        link, peer = self.ready()
        peer.stall()
        link.send([b"x"])
        link.reconnectNow()
        done = self.stopped(link)
        self.assertIs(link.state, State.CLOSING)
        peer.unstall()
        self.reactor.turn()
        self.assertStopped(link, done)

    def test_while_settling(self) -> None:
        class Stuck(Lines):
            def frameReceived(self, frame: bytes) -> Any:
                return Deferred()

        self.protocol = Stuck
        link, peer = self.ready(closeTimeout=3)
        peer.send(b"x\n")
        self.reactor.turn()
        link.connection.sendFrame(b"y")
        peer.reset()
        self.reactor.turn()
        self.assertIs(link.state, State.SETTLING)
        done = self.stopped(link)
        self.reactor.advance(3)
        self.assertStopped(link, done)

    def test_within_its_promise_even_when_everything_is_stuck(self) -> None:
        """The application keeps a frame, the peer reads nothing, then we stop."""

        class Stuck(Lines):
            def frameReceived(self, frame: bytes) -> Any:
                return Deferred()

        self.protocol = Stuck
        link, peer = self.ready(closeTimeout=3)
        peer.stall()
        link.send([b"x" * HIGH_WATER * 2])
        peer.send(b"x\n")
        self.reactor.turn()
        link.connection.readConnectionLost()
        self.assertIs(link.state, State.DROPPING)
        done = self.stopped(link)
        self.reactor.advance(3)
        self.reactor.turn()
        self.reactor.advance(ABORT_GRACE)
        self.assertStopped(link, done)

    def test_while_waiting(self) -> None:
        link = self.link()
        self.attempt.refuse()
        self.assertStopped(link, self.stopped(link))

    def test_inside_a_ready_callback(self) -> None:
        link = self.link()
        done: list[Deferred[None]] = []
        link.whenReady().addCallback(lambda _: done.append(link.stop()))
        self.attempt.accept()
        self.reactor.turn()
        self.assertStopped(link, done[0])

    def test_inside_a_frame_callback(self) -> None:
        done: list[Deferred[None]] = []

        class Stopping(Lines):
            def frameReceived(self, frame: bytes) -> Any:
                super().frameReceived(frame)
                done.append(self.factory.stop())  # type: ignore[union-attr]

        self.protocol = Stopping
        link, peer = self.ready()
        peer.send(b"one\ntwo\n")
        self.reactor.turn()
        self.assertStopped(link, done[0])
        self.assertEqual(link.frames, [b"one", "lost"])

    def test_inside_an_observer(self) -> None:
        link = self.link(start=False)
        link.observe(lambda old, new, reason: new is State.CONNECTING and link.stop())
        link.start(self.endpoint)
        self.reactor.turn()
        self.assertIs(link.state, State.STOPPED)
        self.assertQuiet()

    def test_stop_wins_over_giving_up(self) -> None:
        link = self.link(backoff=Backoff(retries=0))
        link.observe(lambda old, new, reason: new is State.SETTLING and link.stop())
        self.attempt.accept().reset()
        self.reactor.turn()
        self.assertIsNone(self.successResultOf(link.whenStopped()))

    def test_a_cancelled_stop_still_stops(self) -> None:
        link, _ = self.ready()
        done = link.stop()
        done.cancel()
        self.failureResultOf(done, CancelledError)
        self.reactor.turn()
        self.assertIs(link.state, State.STOPPED)

    def test_when_stopped_may_be_cancelled(self) -> None:
        link = self.link()
        ended = link.whenStopped()
        ended.cancel()
        self.failureResultOf(ended, CancelledError)
        self.stopped(link)

    def test_start_again(self) -> None:
        link, _ = self.ready()
        self.stopped(link)
        link.start(self.endpoint)
        self.attempt.accept()
        self.assertIs(link.state, State.READY)
        link.send([b"again"])
        self.assertStopped(link, self.stopped(link))
        self.assertEqual(link.stats().outbox.acknowledged, 1)


class SendingTests(LinkTestCase):
    def test_frames_wait_while_the_link_is_down_and_go_out_in_order(self) -> None:
        link = self.link()
        self.successResultOf(link.send([b"one"]))
        self.successResultOf(link.send([b"two", b"three"]))
        drained = link.whenDrained()
        self.assertNoResult(drained)
        peer = self.attempt.accept()
        self.reactor.turn()
        self.assertEqual(peer.received, b"one\ntwo\nthree\n")
        self.successResultOf(drained)
        self.successResultOf(link.whenDrained())

    def test_frames_wait_until_the_opening_is_done(self) -> None:
        class Login(Lines):
            async def opening(self) -> None:  # type: ignore[override]
                self.sendFrame(b"login")
                await self.nextFrame()

        self.protocol = Login
        link = self.link()
        link.send([b"data"])
        peer = self.attempt.accept()
        self.reactor.turn()
        self.assertEqual(peer.received, b"login\n")
        peer.send(b"ok\n")
        self.reactor.turn()
        self.assertEqual(peer.received, b"login\ndata\n")

    def test_a_full_transport_stops_the_pump_and_then_the_sender(self) -> None:
        link, peer = self.ready(outboxBytes=200_000)
        peer.stall()
        accepted = [link.send([b"x" * 50_000]) for _ in range(8)]
        self.assertLess(len(peer.transport.unsent), 3 * HIGH_WATER)
        self.assertNoResult(accepted[-1])
        peer.unstall()
        self.reactor.turn(20)
        for each in accepted:
            self.successResultOf(each)
        self.assertEqual(len(peer.received), 8 * 50_001)
        self.assertTrue(link.stats().outbox.conserved())

    def test_too_much_is_refused_not_dropped(self) -> None:
        link = self.link(outboxBytes=1000)
        self.successResultOf(link.send([b"x" * 900]))
        waiting = link.send([b"y" * 500])
        self.assertNoResult(waiting)
        error = self.failureResultOf(link.send([b"z" * 500]), OutboxFull).value
        self.assertEqual(error.limit, 1000)
        self.assertTrue(link.stats().outbox.refused, 1)
        peer = self.attempt.accept()
        self.reactor.turn()
        self.successResultOf(waiting)
        self.assertEqual(peer.received, b"x" * 900 + b"\n" + b"y" * 500 + b"\n")

    def test_a_large_batch_is_accepted_piece_by_piece(self) -> None:
        link = self.link(outboxBytes=100_000)
        batch = [b"%05d" % n + b"x" * 995 for n in range(200)]
        accepted = link.send(batch[:90])
        self.successResultOf(accepted)
        accepted = link.send(batch[90:180])
        self.assertNoResult(accepted)
        stats = link.stats().outbox
        self.assertEqual((stats.accepted, stats.undecided), (93, 87))
        self.assertTrue(stats.conserved())
        peer = self.attempt.accept()
        self.reactor.turn(20)
        self.successResultOf(accepted)
        self.assertEqual(peer.received, b"".join(frame + b"\n" for frame in batch[:180]))

    def test_an_unsendable_frame_is_refused_with_all_its_batch(self) -> None:
        link, peer = self.ready()
        self.failureResultOf(link.send([b"fine", b"not\nfine"]), FrameError)
        self.reactor.turn()
        self.assertEqual(peer.received, b"")
        stats = link.stats().outbox
        self.assertEqual((stats.offered, stats.refused), (2, 2))

    def test_a_link_without_framing_cannot_send(self) -> None:
        self.protocol = lambda: None
        link = self.link()
        self.failureResultOf(link.send([b"x"]), LocalError)

    def test_a_frame_that_a_changed_framing_cannot_carry_is_set_aside(self) -> None:
        class Changing(Lines):
            def opening(self) -> None:
                self.setFraming(framing.fixed(3))

        self.protocol = Changing
        link = self.link()
        link.send([b"abc", b"too long", b"def"])
        peer = self.attempt.accept()
        self.reactor.turn()
        self.assertEqual(peer.received, b"abcdef")
        stats = link.stats().outbox
        self.assertEqual((stats.acknowledged, stats.set_aside), (2, 1))
        self.assertTrue(stats.conserved())

    def test_a_waiting_send_may_be_withdrawn(self) -> None:
        link = self.link(outboxBytes=1000)
        link.send([b"x" * 900])
        waiting = link.send([b"y" * 500])
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.assertNoResult(link.send([b"z" * 500]))
        peer = self.attempt.accept()
        self.reactor.turn()
        self.assertNotIn(b"y", peer.received)
        self.assertTrue(link.stats().outbox.conserved())

    def test_stop_fails_whoever_waits_for_room(self) -> None:
        link = self.link(outboxBytes=1000)
        link.send([b"x" * 900])
        waiting, drained = link.send([b"y" * 500]), link.whenDrained()
        link.stop()
        self.failureResultOf(waiting, LinkStopped)
        self.failureResultOf(drained, LinkStopped)
        stats = link.stats().outbox
        self.assertEqual((stats.abandoned, stats.refused, stats.waiting), (1, 1, 0))
        self.assertTrue(stats.conserved())

    def test_a_sender_may_withdraw_when_its_neighbour_is_told_of_the_stop(self) -> None:
        link = self.link(outboxBytes=1000)
        link.send([b"x" * 900])
        first, second = link.send([b"y" * 300]), link.send([b"z" * 300])
        first.addErrback(lambda _: second.cancel())
        link.stop()
        self.failureResultOf(second, CancelledError)

    def test_nothing_is_accepted_while_stopping(self) -> None:
        link, peer = self.ready()
        peer.stall()
        link.send([b"x"])
        link.stop()
        self.failureResultOf(link.send([b"y"]), LinkStopped)

    def test_cancelling_the_wait_for_the_end_of_the_outbox(self) -> None:
        link = self.link()
        link.send([b"x"])
        drained = link.whenDrained()
        drained.cancel()
        self.failureResultOf(drained, CancelledError)
        self.attempt.accept()


class WatchTests(LinkTestCase):
    def test_silence_drops_the_connection(self) -> None:
        link, peer = self.ready(silenceTimeout=5)
        self.reactor.advance(4)
        peer.send(b"x\n")
        self.reactor.turn()
        self.reactor.advance(4)
        self.assertIs(link.state, State.READY)
        self.reactor.advance(1)
        self.reactor.turn()
        self.assertIs(link.lastReason.type, SilenceTimeout)
        self.assertIs(link.state, State.WAITING)

    def test_silence_stands_still_while_we_do_not_read(self) -> None:
        link, _ = self.ready(silenceTimeout=5)
        self.reactor.advance(3)
        token = link.connection.pauseReading()
        self.reactor.advance(60)
        self.assertIs(link.state, State.READY)
        token.resume()
        self.reactor.advance(1)
        self.assertIs(link.state, State.READY)
        self.reactor.advance(1)
        self.reactor.turn()
        self.assertIs(link.lastReason.type, SilenceTimeout)

    def test_silence_counts_from_the_start_of_the_opening(self) -> None:
        class Login(Lines):
            async def opening(self) -> None:  # type: ignore[override]
                await self.nextFrame()

        self.protocol = Login
        link = self.link(silenceTimeout=5, openingTimeout=60)
        self.attempt.accept()
        self.reactor.advance(5)
        self.reactor.turn()
        self.assertIs(link.lastReason.type, SilenceTimeout)

    def test_a_frame_begun_must_be_finished(self) -> None:
        link, peer = self.ready(frameTimeout=5)
        self.reactor.advance(60)
        self.assertIs(link.state, State.READY)
        for _ in range(4):  # a drip does not help
            peer.send(b"x")
            self.reactor.turn()
            self.reactor.advance(1.5)
        self.reactor.turn()
        self.assertIs(link.lastReason.type, FrameTimeout)

    def test_a_frame_finished_in_time_starts_the_next_limit(self) -> None:
        link, peer = self.ready(frameTimeout=5, silenceTimeout=50)
        for _ in range(4):
            peer.send(b"x")
            self.reactor.turn()
            self.reactor.advance(4)
            peer.send(b"\ny")
            self.reactor.turn()
            self.reactor.advance(4)
            peer.send(b"\n")
            self.reactor.turn()
        self.assertIs(link.state, State.READY)

    def test_the_watch_ends_with_the_connection(self) -> None:
        link, peer = self.ready(silenceTimeout=5, frameTimeout=5)
        token = link.connection.pauseReading()
        peer.reset()
        link.connection.sendFrame(b"x")
        self.reactor.turn()
        token.resume()
        link.stop()
        self.assertQuiet()


class StandstillTests(LinkTestCase):
    """This process stood still: no deadline passes whose data lies in this host's kernel."""

    MUCH = b"".join(b"%d\n" % n for n in range(50_000))  # several reads of 64 KiB

    def stand(self, seconds: float, peer: Peer, data: bytes = b"") -> None:
        """The time passes, data arrives, and nothing is called or read."""
        self.reactor.rightNow += seconds
        if data:
            peer.send(data)

    def test_silence_is_judged_by_what_had_arrived(self) -> None:
        link, peer = self.ready(silenceTimeout=5)
        self.stand(20, peer, self.MUCH)
        self.reactor.turn()
        self.assertIs(link.state, State.READY)
        self.assertEqual(len(link.frames), 50_000)
        self.reactor.advance(4)
        self.assertIs(link.state, State.READY)
        self.reactor.advance(1)
        self.reactor.turn()
        self.assertIs(link.lastReason.type, SilenceTimeout)

    def test_under_tls_as_well(self) -> None:
        link = self.link(delivery="reply", reply=Reply(re.compile(rb"^ok"), timeout=5))
        peer = self.attempt.accept(secure=True)
        peer.finishHandshake()
        link.send([b"a"])
        self.reactor.turn()
        self.stand(20, peer, self.MUCH + b"ok\n")
        self.reactor.turn()
        self.assertEqual(link.stats().outbox.acknowledged, 1)
        self.assertIs(link.state, State.READY)

    def test_a_peer_that_was_silent_is_dropped(self) -> None:
        link, peer = self.ready(silenceTimeout=5)
        self.stand(20, peer)
        self.reactor.turn()
        self.assertIs(link.lastReason.type, SilenceTimeout)

    def steps(self, seconds: float) -> None:
        """The time passes, and this process runs all the time."""
        for _ in range(round(seconds * 20)):
            self.reactor.advance(0.05)

    def test_a_peer_that_is_asked_has_the_time_to_answer(self) -> None:
        """It speaks only then; a standstill may end before the deadline, too."""
        for seconds in (4.9, 20):
            link, peer = self.ready(silenceTimeout=5, heartbeat=Heartbeat(b"?", 1))
            self.stand(seconds, peer)
            self.reactor.turn()
            self.steps(4.5)
            self.assertIs(link.state, State.READY)
            self.steps(1)
            self.assertIs(link.lastReason.type, SilenceTimeout)

    def test_a_short_standstill_gives_a_short_time_only(self) -> None:
        """A busy process stands still all the time, and must still find a dead peer."""
        link, peer = self.ready(silenceTimeout=50, heartbeat=Heartbeat(b"?", 1))
        self.steps(48.95)
        self.stand(0.8, peer)
        self.reactor.turn()
        self.steps(1)
        self.assertIs(link.state, State.READY)
        self.steps(8)
        self.assertIs(link.lastReason.type, SilenceTimeout)

    def test_it_is_not_charged_to_an_opening(self) -> None:
        """The next word was ours: the peer waits, and cannot have answered it."""

        class Login(Lines):
            async def opening(self) -> None:  # type: ignore[override]
                await self.nextFrame()

        self.protocol = Login
        self.patch(Lines, "spokeWithin", lambda _, seconds: False)
        link = self.link(openingTimeout=5)
        peer = self.attempt.accept()
        self.stand(5.2, peer)  # late by little: all of its time once more
        self.reactor.turn()
        self.assertIs(link.state, State.OPENING)
        self.reactor.advance(4.9)
        self.assertIs(link.state, State.OPENING)
        self.reactor.advance(0.2)
        self.reactor.turn()
        self.assertIs(link.lastReason.type, OpeningFailed)

    def test_a_frame_whose_end_is_many_reads_away_was_finished(self) -> None:
        link, peer = self.ready(frameTimeout=5)
        peer.send(b"x")
        self.reactor.turn()
        self.stand(20, peer, b"x" * 500_000 + b"\n")
        self.reactor.turn()
        self.assertIs(link.state, State.READY)
        self.assertEqual(list(map(len, link.frames)), [500_001])

    def test_an_answer_behind_much_else_is_in_time(self) -> None:
        reply = Reply(re.compile(rb"^ok"), timeout=5)
        link, peer = self.ready(delivery="reply", reply=reply)
        link.send([b"a"])
        self.reactor.turn()
        self.stand(20, peer, self.MUCH + b"ok\n")
        self.reactor.turn()
        self.assertIs(link.state, State.READY)
        self.assertEqual(link.stats().outbox.acknowledged, 1)

    def test_so_is_one_that_is_not_a_reads_work_away_on_a_quiet_clock(self) -> None:
        """The timer is in time; what it judges by lies behind what one turn reads."""
        reply = Reply(re.compile(rb"^ok"), timeout=5)
        link, peer = self.ready(delivery="reply", reply=reply)
        link.send([b"a"])
        self.reactor.turn()
        self.stand(5, peer, self.MUCH + b"ok\n")
        self.reactor.turn()
        self.assertEqual(link.stats().outbox.acknowledged, 1)

    def test_an_opening_goes_on_with_what_had_arrived(self) -> None:
        class Login(Lines):
            async def opening(self) -> None:  # type: ignore[override]
                while await self.nextFrame() != b"welcome":
                    pass

        self.protocol = Login
        link = self.link(openingTimeout=5)
        peer = self.attempt.accept()
        self.stand(20, peer, self.MUCH + b"welcome\n")
        self.reactor.turn()
        self.assertIs(link.state, State.READY)

    def test_the_peers_end_is_its_end_and_no_timeout(self) -> None:
        link, peer = self.ready(silenceTimeout=5)
        self.stand(20, peer, self.MUCH)
        peer.close()
        self.reactor.turn()
        self.assertEqual(len(link.frames), 50_000 + 1)  # and the loss
        self.assertIs(link.lastReason.type, ConnectionDone)

    def test_nothing_is_read_that_the_application_holds_back(self) -> None:
        class Full(Lines):
            def frameReceived(self, frame: bytes) -> Any:
                super().frameReceived(frame)
                self.token = self.pauseReading()

        self.protocol = Full
        link, peer = self.ready(silenceTimeout=5)
        self.stand(20, peer, self.MUCH)
        self.reactor.turn()
        self.assertIs(link.state, State.READY)
        self.assertEqual(len(link.frames), 1)
        self.assertTrue(peer.transport.kernel.queue)

    def test_what_could_not_be_answered_yet_gets_its_time_once_more(self) -> None:
        """A poll, a request, a login that left only behind the standstill."""
        said = [True, True, False]
        self.patch(Lines, "spokeWithin", lambda _, seconds: said[0])

        class Login(Lines):
            async def opening(self) -> None:  # type: ignore[override]
                await self.nextFrame()

        for options, protocol, reason in (
            ({"silenceTimeout": 5}, Lines, SilenceTimeout),
            ({"delivery": "reply", "reply": Reply(timeout=5)}, Lines, ReplyTimeout),
            ({"openingTimeout": 5}, Login, OpeningFailed),
        ):
            self.protocol = protocol
            link = self.link(**options)
            peer = self.attempt.accept()
            link.send([b"a"])
            self.reactor.turn()
            self.stand(20, peer)
            self.reactor.turn()
            self.assertIsNone(link.lastReason)
            self.reactor.advance(4)
            self.assertIsNone(link.lastReason)
            self.stand(20, peer)  # always late: once is enough
            self.reactor.turn()
            self.assertIs(link.lastReason.type, reason)

    def test_a_connection_closed_by_what_had_arrived_is_not_judged(self) -> None:
        class Closing(Lines):
            def frameReceived(self, frame: bytes) -> Any:
                self.factory.stop()  # type: ignore[union-attr]

        self.protocol = Closing
        for options in ({"silenceTimeout": 5}, {"delivery": "reply", "reply": Reply(timeout=5)}):
            link, peer = self.ready(**options)
            link.send([b"a"])
            self.reactor.turn()
            self.reactor.rightNow += 5
            peer.transport.kernel.queue += b"bye\n"  # noticed by nobody yet
            self.reactor.turn()
            self.assertIs(link.state, State.STOPPED)
            self.assertIs(link.lastReason.type, ConnectionDone)

    def test_nor_is_one_that_what_had_arrived_has_ended(self) -> None:
        class Over(Lines):
            def frameReceived(self, frame: bytes) -> Any:
                self.forsake()

        self.protocol = Over
        link, peer = self.ready(silenceTimeout=5)
        self.reactor.rightNow += 5
        peer.transport.kernel.queue += b"bye\n"  # noticed by nobody yet
        self.reactor.turn()
        self.assertIs(link.state, State.WAITING)
        self.assertIs(link.lastReason.type, ConnectionAborted)

    def test_a_stop_that_waits_for_answers_takes_those_that_had_arrived(self) -> None:
        link, peer = self.ready(delivery="reply", closeTimeout=4)
        link.send([b"a"])
        self.reactor.turn()
        link.stop()
        self.stand(20, peer, b"ok\n")
        self.reactor.turn()
        self.assertEqual(link.stats().outbox.acknowledged, 1)

    def test_an_abort_by_a_deadline_delivers_what_had_arrived(self) -> None:
        """The opening's; of the dead path, see below."""

        class Login(Lines):
            async def opening(self) -> None:  # type: ignore[override]
                await Deferred()

        self.protocol = Login
        link = self.link(openingTimeout=5)
        peer = self.attempt.accept()
        self.reactor.advance(5 - SOON)
        self.reactor.rightNow += SOON
        peer.transport.kernel.queue += b"one\ntwo\n"  # noticed by nobody yet
        self.reactor.turn()
        self.assertIs(link.lastReason.type, OpeningFailed)
        self.assertEqual(link.frames, [b"one", b"two", "lost"])

    def test_a_dead_path_does_so_too(self) -> None:
        link, peer = self.ready()
        link._path = dead = PathWatch(None, 20)
        self.patch(PathWatch, "look", lambda *_: True)
        peer.transport.kernel.queue += b"one\ntwo\n"
        link._lookAtPath(None)
        self.reactor.turn()
        self.assertIs(link.lastReason.type, DeadPath)
        self.assertEqual(link.frames, [b"one", b"two", "lost"])
        self.assertEqual(dead.limit, 20)

    def test_frames_that_wait_for_the_application_outlive_a_timeout(self) -> None:
        class Slow(Lines):
            def frameReceived(self, frame: bytes) -> Any:
                super().frameReceived(frame)
                return done if len(link.frames) == 1 else None

        self.protocol = Slow
        done: Deferred[None] = Deferred()
        link, peer = self.ready(delivery="reply", reply=Reply(re.compile(b"ok"), timeout=5))
        peer.send(b"one\ntwo\n")
        self.reactor.turn()
        link._unanswered()
        self.assertIs(link.state, State.DROPPING)
        done.callback(None)
        self.reactor.turn()
        self.assertIs(link.lastReason.type, ReplyTimeout)
        self.assertEqual(link.frames, [b"one", b"two", "lost"])


class Silent:
    """A kernel that never acknowledges anything."""

    overtaken = False

    def __init__(self, transport: Any, secure: bool) -> None:
        self.ledger = Ledger()
        self.probe = self
        self.closed = False

    def close(self) -> None:
        self.closed = True

    def seal(self) -> None:
        pass

    def newly(self) -> int:
        return 0

    def settling(self, now: float, limit: float, again: bool) -> Any:
        self.poll = lambda now: 0.05
        return self


class Taking(Silent):
    """A kernel that acknowledges what the fake peer has taken."""

    def __init__(self, transport: Any, secure: bool) -> None:
        super().__init__(transport, secure)
        self.peer = transport.peer

    def newly(self) -> int:
        return self.ledger.acknowledged(len(self.peer.received))

    def settling(self, now: float, limit: float, again: bool) -> Any:
        self.poll = lambda now: None  # type: ignore[assignment,return-value]
        return self


class Answering:
    """A kernel that answers until it is dead."""

    interval = 0.1

    def __init__(self, dead: list[bool], made: list[float], raw: Any, limit: float) -> None:
        self._dead = dead
        self.limit = limit
        made.append(limit)

    def look(self, now: float) -> bool:
        return bool(self._dead)

    def died(self) -> bool:
        return bool(self._dead)

    def close(self) -> None:
        pass


class HalfClosedTests(LinkTestCase):
    """A peer that has closed its sending side goes on reading, and gets the rest."""

    SIZE = 10 * HIGH_WATER

    def halfClosed(self, level: type = Taking, **options: Any) -> tuple[Any, Peer]:
        """The peer reads nothing yet, and much waits for it."""
        self.patch(factory, "Acknowledging", level)
        link, peer = self.ready(closeTimeout=3, **options)
        peer.stall()
        for number in range(10):
            link.send([b"%d" % number * HIGH_WATER])
        self.reactor.turn()
        peer.close()
        self.reactor.turn()
        self.assertIs(link.state, State.DROPPING)
        return link, peer

    def look(self, seconds: float = 0.1) -> None:
        for _ in range(round(seconds / 0.05)):
            self.reactor.advance(0.05)
            self.reactor.turn(5)

    def test_it_gets_all_that_waits_and_then_we_close(self) -> None:
        link, peer = self.halfClosed()
        self.assertTrue(peer.connected)
        peer.unstall()
        self.look(1)
        self.assertEqual(len(peer.received), self.SIZE + 10)
        self.assertFalse(peer.connected)
        stats = link.stats().outbox
        self.assertEqual((stats.acknowledged, stats.resent), (10, 0))
        self.assertEqual(link.frames, ["lost"])
        self.assertIs(link.lastReason.type, ConnectionDone)
        self.assertEqual(len(self.endpoint.attempts), 1)

    def test_it_is_ready_for_nobody_meanwhile(self) -> None:
        """No answer could come."""
        self.patch(factory, "Acknowledging", Taking)
        link, peer = self.ready()
        early = link.connection.nextFrame()
        peer.stall()
        link.send([b"x" * HIGH_WATER, b"y"])
        peer.close()
        self.reactor.turn()
        self.assertTrue(peer.connected)
        self.assertNoResult(link.whenReady())
        self.failureResultOf(early, ConnectionClosed)
        self.failureResultOf(link.connection.nextFrame(), ConnectionClosed)
        self.failureResultOf(link.connection.expect(re.compile(b"x")), ConnectionClosed)

    def test_frames_that_come_meanwhile_leave_on_it_too(self) -> None:
        link, peer = self.halfClosed()
        self.successResultOf(link.send([b"late"]))
        peer.unstall()
        self.look(1)
        self.assertTrue(peer.received.endswith(b"late\n"))

    def test_a_slow_one_has_all_the_time_while_it_takes_anything(self) -> None:
        link, peer = self.halfClosed()
        for _ in range(30):
            peer.window = self.SIZE // 20
            peer.transport.arrived()
            self.look(2)
        self.assertEqual(len(peer.received), self.SIZE + 10)
        self.assertEqual(link.stats().outbox.acknowledged, 10)

    def test_one_that_takes_no_more_is_left_and_the_rest_goes_to_the_next(self) -> None:
        link, peer = self.halfClosed()
        self.look(2.5)
        self.assertTrue(peer.connected)
        self.look(1)
        self.assertTrue(peer.aborted)
        self.look(1)
        again = self.attempt.accept()
        self.look(1)
        self.assertEqual(len(again.received), self.SIZE + 10)
        self.assertTrue(link.stats().outbox.conserved())

    def test_one_whose_kernel_answers_is_not_reset_for_being_slow(self) -> None:
        """A reset would destroy what lies unread in its buffers. A dead path ends it."""
        for after in (None, 7.0):
            dead: list[bool] = []
            made: list[float] = []
            self.patch(factory, "PathWatch", partial(Answering, dead, made))
            link, peer = self.halfClosed(deadAfter=after)
            self.assertEqual(made, [after or 3])
            self.look(20)
            self.assertTrue(peer.connected)
            self.assertEqual(link.stats().outbox.waiting, 10)
            dead.append(True)
            self.look(0.2)
            self.assertTrue(peer.aborted)
            self.assertIs(link.lastReason.type, ConnectionDone)
            link.stop()
            self.look(0.2)

    def test_the_end_of_the_link_ends_it(self) -> None:
        link, peer = self.halfClosed()
        stopped = link.stop()
        peer.unstall()
        self.reactor.turn(5)
        self.successResultOf(stopped)
        self.assertGreater(link.stats().outbox.abandoned, 0)
        self.assertQuiet()

    def test_also_where_one_who_waits_for_a_frame_ends_the_link(self) -> None:
        self.patch(factory, "Acknowledging", Taking)
        link, peer = self.ready()
        peer.stall()
        link.connection.nextFrame().addErrback(lambda _: link.stop() and None)
        link.send([b"x" * HIGH_WATER, b"y"])
        peer.close()
        peer.unstall()
        self.reactor.turn(5)
        self.assertIs(link.state, State.STOPPED)
        self.assertQuiet()

    def test_so_does_a_wish_for_a_new_connection(self) -> None:
        link, peer = self.halfClosed()
        link.reconnectNow()
        peer.unstall()
        self.reactor.turn(5)
        self.reactor.advance(0)
        self.assertEqual(len(self.endpoint.attempts), 2)

    def test_a_loss_in_the_middle_leaves_no_timer_and_the_rest_is_sent_again(self) -> None:
        link, peer = self.halfClosed()
        peer.reset()
        self.reactor.turn(5)
        self.assertIs(link.state, State.WAITING)
        self.assertFalse(link.connection)
        self.assertEqual(link.stats().outbox.waiting, 10)
        link.stop()
        self.assertQuiet()

    def test_with_nothing_to_send_it_is_the_end_unless_more_is_about_to_come(self) -> None:
        self.patch(factory, "Acknowledging", Taking)
        for feeding, state in ((0.0, State.WAITING), (0.5, State.DROPPING)):
            link, peer = self.ready()
            link.feeding = feeding
            peer.close()
            self.reactor.turn()
            self.assertIs(link.state, state)
        self.look(0.3)
        self.assertTrue(peer.connected)
        link.send([b"more"])
        self.look(0.4)
        self.assertEqual(peer.received, b"more\n")
        self.assertTrue(peer.connected)
        self.look(0.4)
        self.assertFalse(peer.connected)

    def test_at_written_it_stays_the_end_for_nobody_would_know_what_is_lost(self) -> None:
        def none(transport: Any, secure: bool) -> Any:
            raise DeliveryUnavailable("not here")

        self.patch(factory, "Acknowledging", none)
        link, peer = self.ready()
        peer.stall()
        for number in range(10):
            link.send([b"%d" % number * HIGH_WATER])
        self.reactor.turn()
        peer.close()
        peer.unstall()
        self.reactor.turn(9)
        self.assertFalse(peer.connected)
        self.assertGreater(link.stats().outbox.waiting, 0)

    def test_what_it_takes_behind_its_end_shows_that_it_goes_on_reading(self) -> None:
        link, peer = self.halfClosed(settleAfter=1.0)
        peer.unstall()
        self.look(0.9)
        self.assertTrue(peer.connected)
        self.look(0.5)
        self.assertFalse(peer.connected)
        stats = link.stats().outbox
        self.assertEqual((stats.acknowledged, stats.waiting), (10, 0))

    def test_also_where_the_first_frame_comes_behind_it(self) -> None:
        self.patch(factory, "Acknowledging", Taking)
        link, peer = self.ready(settleAfter=1.0)
        link.feeding = 0.5
        peer.close()
        self.reactor.turn()
        link.send([b"one"])
        self.look(1.5)
        self.assertEqual(peer.received, b"one\n")
        self.assertEqual(link.stats().outbox.acknowledged, 1)

    def test_what_it_had_taken_before_its_end_may_have_been_taken_by_nobody(self) -> None:
        """A balancer whose backend is down closes both its sides, and that looks the same."""
        self.patch(factory, "Acknowledging", Taking)
        link, peer = self.ready(settleAfter=1.0)
        link.send([b"one"])
        self.reactor.turn()
        self.assertEqual(peer.received, b"one\n")
        peer.close()
        self.look(3)
        self.assertIs(link.state, State.CONNECTING)
        self.assertEqual(link.stats().outbox.acknowledged, 0)

    def test_our_own_reset_settles_nothing_that_may_be_unread(self) -> None:
        for stalled in (False, True):
            self.patch(factory, "Acknowledging", Taking)
            link, peer = self.ready(settleAfter=1.0, closeTimeout=3)
            link.send([b"one"])
            self.look(1.5)
            self.assertEqual(link.stats().outbox.acknowledged, 1)
            link.send([b"two"])
            self.look(0.1)
            if stalled:
                peer.stall()
                link.send([b"x" * HIGH_WATER])
                self.look(0.05)
            link.stop()
            self.look(5)
            self.assertEqual(link.stats().outbox.acknowledged, 1 if stalled else 2)

    def test_a_refusal_as_long_as_a_page_is_no_progress(self) -> None:
        """Else the server that is full would be dialled again at once, for ever."""
        self.patch(factory, "Acknowledging", Taking)
        link, peer = self.ready(settleAfter=1.0)
        link.send([b"one"])
        self.reactor.turn()
        peer.send(b"HTTP/1.1 503 Service Unavailable\nServer: x\nConnection: close\n\nBusy\n")
        peer.close()
        self.look(0.1)
        self.assertFalse(link.progressed)
        self.assertEqual(link.stats().outbox.acknowledged, 0)


class OutageTests(LinkTestCase):
    """A link that is down is worth a line now and then, not two for each attempt."""

    def setUp(self) -> None:
        self.logged = self.enterContext(capturedLogs())

    def said(self, *levels: str) -> list[str]:
        """The lines of these levels since the last time."""
        wanted = levels or ("info", "warn", "error")
        lines = [formatEvent(event) for event in self.logged if event["log_level"].name in wanted]
        self.logged.clear()
        return [line.removeprefix("feed: ") for line in lines]

    def feed(self, **options: Any) -> Peer:
        self.fed, peer = self.ready(name="feed", **options)
        self.assertEqual(self.said(), ["ready"])
        return peer

    def away(self, seconds: float) -> None:
        """Refuse every attempt for so long."""
        end = self.reactor.seconds() + seconds
        while self.reactor.seconds() < end:
            if self.attempt.pending:
                self.attempt.refuse()
            self.reactor.advance(min(1.0, end - self.reactor.seconds()))

    def test_a_peer_that_is_away_for_a_day_costs_few_lines(self) -> None:
        peer = self.feed(backoff=Backoff(), random=lambda: 0.5)
        self.reactor.advance(100)
        peer.send(b"one\ntwo\n")
        self.reactor.turn()
        peer.close()
        self.reactor.turn()
        self.away(86_400)
        self.assertGreater(len(self.endpoint.attempts), 2000)
        while not self.attempt.pending:
            self.reactor.advance(1)
        self.attempt.accept()
        levels = [event["log_level"].name for event in self.logged]
        self.assertEqual(levels.count("warn"), 27)
        first, second, *rest = self.said()
        self.assertLessEqual(2 + len(rest), 30)
        self.assertEqual(
            first,
            "the peer closed the connection; next attempt in 0.2 s"
            " (was up for 2 min; frames: 2 received, 0 sent)",
        )
        self.assertRegex(second, r"^connection refused; next attempt in \d")
        self.assertRegex(rest[0], r"^not up for 1 min, \d+ attempts: connection refused$")
        self.assertRegex(rest[1], r"^not up for 10 min, \d+ attempts: connection refused$")
        self.assertRegex(rest[2], r"^not up for 1 h, ")
        self.assertRegex(rest[3], r"^not up for 2 h, ")
        self.assertRegex(rest[-1], r"^ready again after 24 h( 1 min)?, \d+ attempts$")

    def attempts(self, protocol: Any, act: Callable[[Peer], object], **options: Any) -> list[str]:
        """The warnings and errors of 30 attempts that end alike."""
        self.protocol = protocol
        link = self.link(name="feed", **options)
        for _ in range(30):
            peer = self.attempt.accept()
            self.reactor.turn()
            act(peer)
            self.reactor.turn()
            if link.state is State.READY:
                peer.close()
                self.reactor.turn()
            while not self.attempt.pending:
                self.reactor.advance(1)
        link.stop()
        self.reactor.turn()
        lines = self.said("warn", "error", "critical")
        self.flushLoggedErrors(ValueError)
        return [line for line in lines if not line.startswith("not up for")]

    def test_what_each_attempt_causes_is_told_at_the_first(self) -> None:
        class Failing(Lines):
            def frameReceived(self, frame: bytes) -> Any:
                raise ValueError

        class Useless(Lines):
            framing = None  # type: ignore[assignment]

        class Asking(RequestProtocol):
            framing = framing.lines()

            def connectionLost(self, reason: Any = None) -> None: ...

        answer = Answer(re.compile(b"a"), b"x\ny")
        poll = Poll(b"?", 1, 1)
        for protocol, act, said, options in (
            (Lines, lambda peer: peer.send(b"a"), "ended inside a frame", {}),
            (Lines, lambda peer: peer.send(b"a\n"), "no answer: ", {"answers": [answer]}),
            (Failing, lambda peer: peer.send(b"a\n"), "callback failed", {}),
            (Asking, lambda peer: peer.send(b"a\n"), "answers no request", {}),
            (Lines, lambda peer: self.reactor.advance(3), "poll was not answered", {"poll": poll}),
        ):
            lines = self.attempts(protocol, act, **options)
            self.assertIn(said, lines[0])
            few = [line for line in lines if said in line]
            self.assertLessEqual(len(few), 3, lines)  # before it was an outage; the first of it
            self.assertLessEqual(len(lines), 6, lines)

    def test_a_connection_that_has_lasted_is_no_part_of_an_outage_before(self) -> None:
        class Ending(Lines):
            async def opening(self) -> None:  # type: ignore[override]
                if await self.nextFrame() == b"bad":
                    raise ValueError

        self.protocol = Ending
        link = self.link(name="feed")
        peer = self.attempt.accept()
        peer.send(b"bad\n")
        self.reactor.turn()
        self.assertEqual(len(self.said("critical")), 1)
        while not self.attempt.pending:
            self.reactor.advance(1)
        self.attempt.accept().send(b"good\n")
        self.reactor.turn()
        self.assertFalse(link.isNews("failed opening"))
        self.reactor.advance(100)
        self.assertTrue(link.isNews("failed opening"))
        self.flushLoggedErrors(ValueError)

    def test_each_attempt_is_in_the_log_at_debug(self) -> None:
        self.feed().close()
        self.reactor.turn()
        self.away(50)
        self.assertGreater(len([x for x in self.said("debug") if "next attempt" in x]), 4)

    def test_a_short_one_ends_with_a_line_of_the_usual_level(self) -> None:
        self.feed().close()
        self.reactor.turn()
        self.reactor.advance(1)
        self.attempt.accept()
        lines = self.said("info")
        self.assertEqual(lines[-1], "ready again after 1.0 s, 1 attempt")
        self.assertEqual(len(lines), 2)

    def test_another_kind_of_reason_is_worth_a_line_once(self) -> None:
        self.feed().close()
        self.reactor.turn()
        self.said()
        for _ in range(3):
            self.reactor.advance(8)
            self.attempt.refuse()
            self.reactor.advance(8)
            self.reactor.advance(10)  # nobody answers
        lines = self.said("info")
        self.assertEqual(len(lines), 2)
        self.assertIn("connection refused", lines[0])
        self.assertIn("not connected within 10 s", lines[1])

    def test_a_link_that_never_was_up_is_told_of_too(self) -> None:
        self.link(name="feed")
        self.away(61)
        lines = self.said()
        self.assertIn("connection refused; next attempt", lines[0])
        self.assertIn("not up for 1 min", lines[1])
        self.assertEqual(len(lines), 2)

    def test_one_that_hangs_while_it_connects_too(self) -> None:
        self.link(name="feed", connectTimeout=1000)
        self.reactor.advance(61)
        self.assertEqual(self.said(), ["not up for 1 min, 0 attempts: not connected"])

    def test_up_for_a_moment_is_not_the_end_of_it(self) -> None:
        """A balancer without a backend: it accepts, and closes."""
        self.feed().close()
        for _ in range(100):
            self.reactor.turn()
            self.reactor.advance(8)
            self.attempt.accept().close()
        self.reactor.turn()
        lines = self.said()
        self.assertEqual(
            [line.partition(",")[0] for line in lines[2:]],
            ["not up for 1 min", "not up for 10 min"],
        )
        self.assertIn("next attempt in 1.0 s", lines[0])
        self.assertIn("ready again after", lines[1])
        self.reactor.advance(8)
        self.attempt.accept()
        self.reactor.advance(29)
        self.assertEqual(self.said(), [])
        self.reactor.advance(1)
        (line,) = self.said("warn")
        self.assertIn("ready again after 14 min, 101 attempts", line)

    def test_the_end_of_the_link_ends_it(self) -> None:
        for up in (False, True):
            peer = self.feed()
            peer.close()
            self.reactor.turn()
            self.reactor.advance(1)
            self.attempt.accept().close()
            self.reactor.turn()
            self.reactor.advance(2)
            if up:
                self.attempt.accept()
            self.fed.stop()
            self.assertQuiet()
            self.said()


class DeliveryTests(LinkTestCase):
    def test_a_dead_path_cannot_be_told_in_less_than_the_kernel_needs(self) -> None:
        error = self.assertRaises(LocalError, ReconnectingFactory, deadAfter=1)
        self.assertIn("deadAfter takes a number of seconds, at least 2, or None, not 1", str(error))

    def test_what_is_written_is_looked_after_until_it_is_answered(self) -> None:
        looks = iter([False, None, False, True])

        class Path:
            interval = 1.0
            limit = 20.0

            def __init__(self, raw: Any, limit: float) -> None:
                pass

            def look(self, now: float) -> bool | None:
                return next(looks)

            def died(self) -> bool:
                return False

            def close(self) -> None:
                pass

        self.patch(factory, "PathWatch", Path)
        link, _ = self.ready(deadAfter=20)
        link.send([b"x"])
        link.send([b"y"])
        self.reactor.advance(1)
        self.reactor.advance(1)
        self.assertEqual(self.reactor.pending(), [])  # answered: no more looks
        link.send([b"z"])
        self.reactor.advance(1)
        self.reactor.advance(1)
        self.reactor.turn()
        self.assertIs(link.lastReason.type, DeadPath)

    def test_the_end_of_an_old_connections_transport_is_nobodys_reason(self) -> None:
        link, _ = self.ready()
        link.transportClosing(object())
        self.assertIsNone(link.lastReason)

    def test_without_a_kernel_to_ask_there_is_nothing_to_watch(self) -> None:
        link, peer = self.ready(deadAfter=10)
        link.send([b"x"])
        peer.stall()
        self.reactor.advance(100)
        self.assertIs(link.state, State.READY)

    def test_a_level_that_does_not_exist_is_refused(self) -> None:
        error = self.assertRaises(LocalError, ReconnectingFactory, delivery="surely")
        self.assertIn("one of auto, written, tcp, reply, not 'surely'", str(error))

    def test_whoever_is_told_of_the_last_deliveries_is_told_their_level_too(self) -> None:
        class Late(Silent):
            over = False

            def newly(self) -> int:
                return self.ledger.unacknowledged_frames if self.over else 0

            def settling(self, now: float, limit: float, again: bool) -> Any:
                self.over = True
                self.poll = lambda now: None
                return self

        self.patch(factory, "Acknowledging", Late)
        link, peer = self.ready(delivery="tcp")
        link.send([b"a"])
        levels: list[str] = []
        link.whenDrained().addCallback(lambda _: levels.append(link.stats().delivery))
        self.reactor.turn()
        peer.reset()
        self.reactor.turn()
        self.assertEqual(levels, ["tcp"])

    def test_a_last_word_that_never_comes_holds_up_neither_link_nor_stop(self) -> None:
        """The kernel holds what the peer does not take, and we stop meanwhile."""
        self.patch(factory, "Acknowledging", Silent)
        link, peer = self.ready(closeTimeout=3)
        acks = link._acks
        link.send([b"x"])
        self.assertEqual(link.stats().delivery, "tcp")
        peer.reset()
        self.reactor.turn()
        self.reactor.advance(1)
        self.assertIs(link.state, State.SETTLING)
        done = link.stop()
        self.reactor.advance(2.9)
        self.assertNoResult(done)
        self.reactor.advance(0.1)
        self.successResultOf(done)
        self.assertTrue(acks.closed)
        self.assertEqual(link.stats().outbox.abandoned, 1)
        self.assertEqual(self.reactor.pending(), [])

    def test_a_transport_that_never_reports_its_end_costs_no_descriptor(self) -> None:
        self.patch(factory, "Acknowledging", Silent)
        link, peer = self.ready(closeTimeout=3)
        acks = link._acks
        peer.stall()
        link.send([b"x"])
        peer.transport.abortConnection = lambda: None  # type: ignore[method-assign]
        link.connection._transport = lambda plain=False: peer.transport
        done = link.stop()
        self.reactor.advance(3)
        self.reactor.advance(ABORT_GRACE)
        self.successResultOf(done)
        self.assertTrue(acks.closed)
        self.assertQuiet()

    def test_before_a_connection_frames_are_checked_against_the_links_framing(self) -> None:
        link = self.link(framing=framing.netstring())
        self.successResultOf(link.send([b"two\nlines"]))

    def test_what_is_only_short_now_is_waited_for_and_nothing_less_is_taken(self) -> None:
        """Else one moment without a descriptor would cost the level for months."""
        for level in ("auto", "tcp"):
            short = [DeliveryNotNow("too many open files")]

            def acknowledging(transport: Any, secure: bool, short: Any = short) -> Any:
                if short:
                    raise short.pop()
                return Silent(transport, secure)

            self.patch(factory, "Acknowledging", acknowledging)
            link, _ = self.link(delivery=level), self.attempt.accept()
            self.reactor.turn()
            self.assertIs(link.state, State.WAITING)
            self.assertIn("too many open files", explain(link.lastReason))
            self.reactor.advance(1)
            self.attempt.accept()
            self.assertEqual(link.stats().delivery, "tcp")

    def test_asked_for_and_not_to_be_had_is_a_failed_attempt_never_less(self) -> None:
        link = self.link(delivery="tcp")
        never = link.whenReady()
        peer = self.attempt.accept()
        self.reactor.turn()
        self.assertTrue(peer.aborted)
        self.assertIs(link.lastReason.type, DeliveryUnavailable)
        self.assertIs(link.state, State.WAITING)
        self.assertNoResult(never)


class SettlingTests(LinkTestCase):
    """A connection that takes what it is given and ends at once has proven nothing."""

    def test_what_such_a_connection_took_is_sent_again_and_that_is_said_once(self) -> None:
        link, peer = self.ready(settleAfter=1.0)
        with capturedLogs() as logged:
            link.send([b"one", b"two"])
            for wait in (1, 2, 4):
                self.reactor.turn()
                self.assertEqual(peer.received, b"one\ntwo\n")
                self.assertEqual(link.stats().outbox.unsettled, 2)
                peer.close()
                self.reactor.turn()
                self.reactor.advance(wait)
                peer = self.attempt.accept()
        told = [formatEvent(event) for event in logged if event["log_level"].name == "warn"]
        (about,) = [line for line in told if "sent again: 2 frames, ack" in line]
        self.assertIn("less than 1 s before the connection ended", about)
        drained = link.whenDrained()
        self.assertNoResult(drained)
        self.reactor.pump([0.1] * 10)
        self.successResultOf(drained)
        self.assertTrue(link.stats().outbox.conserved())
        with capturedLogs() as logged:
            self.reactor.advance(60)
        (line,) = [formatEvent(event) for event in logged if event["log_level"].name == "warn"]
        self.assertIn("sent again: 4 frames in the last 60 s, ack", line)
        link.stop()
        self.assertQuiet()

    def test_a_link_that_stops_says_nothing_of_it(self) -> None:
        link, _ = self.ready(settleAfter=1.0)
        link.send([b"one"])
        with capturedLogs() as logged:
            link.stop()
            self.reactor.turn()
        self.assertFalse(any("sent again" in formatEvent(event) for event in logged))
        self.assertEqual(link.stats().outbox.abandoned, 1)
        self.assertQuiet()

    def test_an_answer_is_proof(self) -> None:
        link, peer = self.ready(settleAfter=1.0)
        link.send([b"one"])
        peer.send(b"OK\n")
        peer.close()
        self.reactor.turn()
        self.assertEqual(link.stats().outbox.acknowledged, 1)
        self.assertEqual(link.frames[0], b"OK")

    def test_at_reply_it_is_refused(self) -> None:
        with self.assertRaisesRegex(LocalError, "settleAfter is of no use at delivery 'reply'"):
            ReconnectingFactory.forProtocol(Lines, delivery="reply", settleAfter=1.0)

    REJECT = re.compile(rb"^-ERR")

    def test_a_line_that_turns_us_away_fails_the_attempt_and_reaches_nobody(self) -> None:
        link, peer = self.ready(settleAfter=1.0, rejectLine=self.REJECT, maxAttempts=1)
        link.send([b"one"])
        peer.send(b"hello\n-ERR max number of clients reached\nmore\n")
        self.reactor.turn()
        self.assertEqual(link.frames, [b"hello", "lost"])
        self.assertIs(link.state, State.WAITING)
        self.assertIs(link.lastReason.type, TurnedAway)
        self.assertEqual(link.lastReason.value.line, b"-ERR max number of clients reached")
        self.reactor.advance(1)
        again = self.attempt.accept()
        self.reactor.turn()
        self.assertEqual(again.received, b"one\n")  # nor was a frame to blame

    def test_also_when_the_connection_was_lost_behind_it_meanwhile(self) -> None:
        working: Deferred[None] = Deferred()

        class Working(Lines):
            def frameReceived(self, frame: bytes) -> Any:
                super().frameReceived(frame)
                return working

        self.protocol = Working
        link, peer = self.ready(rejectLine=self.REJECT)
        peer.send(b"hello\n-ERR full\nmore\n")
        self.reactor.turn()
        link.connection.socketTransport.connectionLost(Failure(ConnectionLost()))
        self.assertIs(link.state, State.SETTLING)
        working.callback(None)
        self.reactor.turn()
        self.assertEqual(link.frames, [b"hello", "lost"])
        self.assertIs(link.lastReason.type, TurnedAway)

    def test_an_opening_that_waits_for_a_frame_does_not_get_it(self) -> None:
        class Asking(Lines):
            async def opening(self) -> None:
                self.factory.frames.append(await self.nextFrame())  # type: ignore[union-attr]

        self.protocol = Asking
        link = self.link(rejectLine=self.REJECT)
        peer = self.attempt.accept()
        peer.send(b"-ERR full\n")
        self.reactor.turn()
        self.assertEqual(link.frames, ["lost"])
        self.assertIs(link.lastReason.type, TurnedAway)
        self.assertIs(link.state, State.WAITING)

    def test_nor_is_a_frame_to_blame_that_waits_for_its_answer(self) -> None:
        link, peer = self.ready(delivery="reply", rejectLine=self.REJECT, maxAttempts=1)
        link.send([b"one"])
        peer.send(b"-ERR full\n")
        self.reactor.turn()
        stats = link.stats().outbox
        self.assertEqual((stats.waiting, stats.set_aside, stats.acknowledged), (1, 0, 0))


class ReplyTests(LinkTestCase):
    """Level `reply`: delivered is what the peer's application answered."""

    def tearDown(self) -> None:
        stats = self.made.stats().outbox
        self.assertTrue(stats.conserved(), stats)

    def link(self, start: bool = True, **options: Any) -> Any:
        self.made = super().link(start, **{"delivery": "reply", **options})
        return self.made

    def again(self) -> Peer:
        """The link has lost its connection, and has another."""
        self.reactor.turn()
        self.reactor.advance(8)
        return self.attempt.accept()

    def test_a_frame_is_delivered_when_it_is_answered(self) -> None:
        link, peer = self.ready()
        link.send([b"a", b"b"])
        self.reactor.turn()
        self.assertEqual(peer.received, b"a\n")
        self.assertEqual((link.stats().delivery, link.stats().outbox.waiting), ("reply", 2))
        peer.send(b"ok\n")
        self.reactor.turn()
        peer.send(b"ok\n")
        self.reactor.turn()
        self.assertEqual(peer.received, b"a\nb\n")
        self.assertEqual(link.stats().outbox.acknowledged, 2)
        self.assertEqual(link.frames, [b"ok", b"ok"])  # the application sees them, too

    def test_the_end_after_the_last_answer_comes_behind_the_whole_read(self) -> None:
        """The application's close in that read would have kept from it what the read brought."""
        link, peer = self.ready()
        link.send([b"a"])
        self.reactor.turn()
        link.whenDrained().addCallback(lambda _: link.stop())
        peer.send(b"ok\nmore\n")
        self.reactor.turn()
        self.assertEqual(link.frames[:2], [b"ok", b"more"])
        self.assertTrue(peer.finished)

    def test_so_it_does_where_it_is_asked_for_within_that_read(self) -> None:
        class Ending(Lines):
            def frameReceived(self, frame: bytes) -> None:
                super().frameReceived(frame)
                if frame == b"ok":
                    link.whenDrained().addCallback(lambda _: link.stop())

        self.protocol = Ending
        link, peer = self.ready()
        link.send([b"a"])
        self.reactor.turn()
        peer.send(b"ok\nmore\n")
        self.reactor.turn()
        self.assertEqual(link.frames[:2], [b"ok", b"more"])

    def test_and_where_the_read_takes_more_than_one_turn(self) -> None:
        class Slow(Lines):
            def frameReceived(slow, frame: bytes) -> None:
                super().frameReceived(frame)
                self.reactor.rightNow += 2 * TURN

        self.protocol = Slow
        link, peer = self.ready()
        link.send([b"a"])
        self.reactor.turn()
        link.whenDrained().addCallback(lambda _: link.stop())
        peer.send(b"ok\nmore\nstill more\n")
        self.reactor.pump([0.01] * 5)
        self.assertEqual(link.frames[:3], [b"ok", b"more", b"still more"])

        reply = Reply(match=re.compile(b"^ok"), reject=re.compile(b"^no"))
        link, peer = self.ready(reply=reply)
        link.send([b"a", b"b"])
        self.reactor.turn()
        peer.send(b"no\nmore\nstill more\n")
        self.reactor.pump([0.01] * 5)
        self.assertEqual(link.frames[:3], [b"no", b"more", b"still more"])
        self.assertEqual(peer.received, b"a\n")

    def test_all_is_delivered_where_the_application_stops_in_that_read(self) -> None:
        link, peer = self.ready()
        link.send([b"a"])
        self.reactor.turn()
        drained = link.whenDrained()
        link.connection.frameReceived = lambda frame: link.stop() and None
        peer.send(b"ok\n")
        self.reactor.turn()
        self.successResultOf(drained)

    def test_the_answer_that_rejects_a_frame_reaches_the_application(self) -> None:
        for on_reject in ("stop", "retry"):
            reply = Reply(match=re.compile(b"^ok"), reject=re.compile(b"^no"))
            link, peer = self.ready(reply=reply, onReject=on_reject)
            link.send([b"a", b"b"])
            self.reactor.turn()
            peer.send(b"no\nmore\n")
            self.reactor.turn()
            self.assertEqual(link.frames[:2], [b"no", b"more"])
            self.assertEqual(peer.received, b"a\n")  # and nothing more was sent
            self.assertTrue(peer.finished)

    def test_what_was_not_answered_is_sent_again_first(self) -> None:
        link, peer = self.ready(reply=Reply(window=2))
        link.send([b"a", b"b", b"c"])
        self.reactor.turn()
        peer.send(b"ok\n")
        self.reactor.turn()
        peer.reset()
        other = self.again()
        self.reactor.turn()
        self.assertEqual(other.received, b"b\nc\n")
        self.assertEqual(link.stats().outbox.resent, 2)

    def test_an_answer_among_the_last_bytes_before_a_loss_counts(self) -> None:
        link, peer = self.ready()
        link.send([b"a", b"b"])
        self.reactor.turn()
        peer.send(b"ok\n")
        peer.reset()
        other = self.again()
        self.reactor.turn()
        self.assertEqual(other.received, b"b\n")

    def test_so_does_one_that_the_application_was_not_reading_yet(self) -> None:
        link, peer = self.ready()
        link.send([b"a", b"b"])
        self.reactor.turn()
        token = link.connection.pauseReading()
        peer.send(b"ok\n")
        peer.reset()
        link.connection.transport.connectionLost(Failure(ConnectionLost()))  # a write failed
        self.reactor.turn()
        self.assertIs(link.state, State.SETTLING)
        self.assertEqual(link.stats().outbox.acknowledged, 0)
        token.resume()
        other = self.again()
        self.reactor.turn()
        self.assertEqual(other.received, b"b\n")

    def test_what_had_arrived_before_a_frame_was_sent_is_no_answer_to_it(self) -> None:
        """It waited for the application: in the same read as the last frame, or behind it."""

        class Slow(Lines):
            def frameReceived(self, frame: bytes) -> Any:
                super().frameReceived(frame)
                return slow.pop() if slow else None

        self.protocol = Slow
        for key in (None, re.compile(rb"\d+")):
            done: Deferred[None] = Deferred()
            slow = [done]
            link, peer = self.ready(reply=Reply(key=key))
            peer.send(b"1, by the way\n1, by the way\n")
            self.reactor.turn()
            link.connection.dataReceived(b"1, TLS had")  # of a record already read
            link.connection.dataReceived(b" more\n1,")
            link.send([b"frame 1"])
            self.reactor.turn()
            done.callback(None)
            self.reactor.turn()
            self.assertEqual(peer.received, b"frame 1\n")
            self.assertEqual(len(link.frames), 3)
            self.assertEqual(link.stats().outbox.waiting, 1)
            peer.send(b" ok\n")  # it was finished afterwards: nobody can say more
            self.reactor.turn()
            self.assertEqual(link.stats().outbox.acknowledged, 1)

    def test_one_that_is_late_ends_the_connection(self) -> None:
        link, _ = self.ready(reply=Reply(timeout=5))
        link.send([b"a"])
        self.reactor.turn()
        self.reactor.advance(5)
        self.reactor.turn()
        self.assertIs(link.lastReason.type, ReplyTimeout)
        self.assertIn("within 5 s", str(link.lastReason.value))
        other = self.again()
        self.reactor.turn()
        self.assertEqual(other.received, b"a\n")

    def test_one_that_the_framing_sees_no_end_of_is_shown(self) -> None:
        """There was an answer: what is wrong is the framing, or the peer's way to end it."""
        link, peer = self.ready(reply=Reply(timeout=5))
        link.send([b"a"])
        self.reactor.turn()
        peer.send(b"ok\r")
        self.reactor.advance(5)
        self.reactor.turn()
        said = str(link.lastReason.value)
        self.assertIn("what it sent last is a frame without its end, ok", said)

    def test_an_answer_of_hl7_counts_however_it_ends(self) -> None:
        """And no message is sent a second time."""

        class Hl7(Lines):
            framing = framing.mllp()

        self.protocol = Hl7
        link, peer = self.ready(reply=Reply(re.compile(b"AA"), timeout=5))
        for number, end in enumerate((b"\x1c", b"\x1c\r", b"\x1c\r\n", b"\x1c\n"), 1):
            link.send([b"MSH|"])
            self.reactor.turn()
            peer.send(b"\x0bMSA|AA" + end)
            self.reactor.turn()
            self.assertEqual(link.stats().outbox.acknowledged, number)
        self.assertEqual(peer.received, b"\x0bMSH|\x1c\r" * 4)
        self.reactor.advance(60)
        self.assertIs(link.state, State.READY)

    def test_while_this_side_does_not_read_none_is_late(self) -> None:
        """It may have come: to drop the connection now would have the frame sent twice."""
        link, peer = self.ready(reply=Reply(timeout=5))
        token = link.connection.pauseReading()
        link.send([b"a"])
        self.reactor.turn()
        peer.send(b"ok\n")
        self.reactor.advance(60)
        self.assertIs(link.state, State.READY)
        token.resume()
        self.reactor.turn()
        self.assertEqual(link.stats().outbox.acknowledged, 1)

    def test_reading_held_back_since_the_opening_counts_as_well(self) -> None:
        class Slow(Lines):
            def opening(self) -> None:
                self.factory.token = self.pauseReading()  # type: ignore[union-attr]

        self.protocol = Slow
        link, _ = self.ready(reply=Reply(timeout=5))
        link.send([b"a"])
        self.reactor.advance(60)
        self.assertIs(link.state, State.READY)
        link.token.resume()
        self.reactor.advance(5)
        self.reactor.turn()
        self.assertIs(link.lastReason.type, ReplyTimeout)

    def test_none_is_late_after_the_end(self) -> None:
        link, _ = self.ready(reply=Reply(timeout=5))
        link.send([b"a"])
        token = link.connection.pauseReading()
        link.stop()
        token.resume()
        self.reactor.advance(10)
        self.assertIs(link.state, State.STOPPED)
        self.assertQuiet()

    def test_a_stop_waits_for_those_on_their_way_and_sends_no_more(self) -> None:
        """Else the next run would send again what was delivered."""
        link, peer = self.ready(reply=Reply(window=2), spool=FakeSpool())
        link.send([b"a", b"b", b"c"])
        link._pump._spooling.spool.run()
        self.reactor.turn()
        stopped = link.stop()
        self.reactor.advance(1)
        peer.send(b"ok\n")
        self.reactor.advance(1)
        self.assertNoResult(stopped)
        peer.send(b"ok\n")
        self.reactor.turn()
        self.successResultOf(stopped)
        self.assertEqual((peer.received, peer.finished), (b"a\nb\n", True))
        self.assertEqual(link.frames, [b"ok", b"ok", "lost"])
        stats = link.stats().outbox
        self.assertEqual((stats.acknowledged, stats.waiting), (2, 1))
        self.assertQuiet()

    def test_it_waits_for_half_of_the_time_that_it_has(self) -> None:
        link, peer = self.ready(closeTimeout=4)
        link.send([b"a"])
        self.reactor.turn()
        stopped = link.stop()
        self.reactor.advance(2 - SOON)
        self.assertNoResult(stopped)
        self.assertFalse(peer.finished)
        self.reactor.advance(SOON)
        self.reactor.turn()
        self.successResultOf(stopped)
        self.assertEqual(link.stats().outbox.abandoned, 1)
        self.assertQuiet()

    def test_it_does_not_wait_on_a_connection_that_is_lost(self) -> None:
        for end in ("reset", "close"):
            link, peer = self.ready()
            link.send([b"a"])
            self.reactor.turn()
            stopped = link.stop()
            getattr(peer, end)()
            self.reactor.turn()
            self.successResultOf(stopped)
            self.assertQuiet()

    def test_nor_for_answers_of_which_the_peers_end_is_held_up(self) -> None:
        """The application reads no more; what came before the peer's end is still its own."""
        link, _ = self.ready(closeTimeout=4)
        link.send([b"a"])
        self.reactor.turn()
        token = link.connection.pauseReading()
        stopped = link.stop()
        link.connection.dataReceived(b"o")
        link.connection.dataReceived(b"k\n")
        link.connection.readConnectionLost()
        self.reactor.advance(2)
        self.assertNoResult(stopped)
        token.resume()
        self.reactor.turn()
        self.successResultOf(stopped)
        self.assertEqual(link.stats().outbox.acknowledged, 1)

    def test_one_rejected_stops_the_link_and_the_others_have_their_answers_yet(self) -> None:
        link, peer = self.ready(reply=Reply(reject=re.compile(b"^no"), window=3))
        ended = link.whenStopped()
        link.send([b"a", b"b", b"c"])
        self.reactor.turn()
        peer.send(b"no 1\n")
        self.reactor.turn()
        self.assertNoResult(ended)
        peer.send(b"ok\nno 2\n")
        self.reactor.turn()
        self.assertEqual(self.successResultOf(ended).answer, b"no 1")
        self.assertEqual(link.stats().outbox.acknowledged, 1)

    def test_frames_that_answer_nothing_change_nothing(self) -> None:
        link, peer = self.ready(reply=Reply(match=re.compile(b"^ok")))
        link.send([b"a"])
        self.reactor.turn()
        peer.send(b"by the way\n")
        self.reactor.turn()
        self.assertEqual(link.stats().outbox.waiting, 1)

    def test_automatic_answers_are_sent_all_the_same(self) -> None:
        _, peer = self.ready(answers=[Answer(re.compile(b"^ping"), b"pong")])
        peer.send(b"ping\n")
        self.reactor.turn()
        self.assertEqual(peer.received, b"pong\n")

    def test_by_key_answers_may_come_in_any_order(self) -> None:
        link, peer = self.ready(reply=Reply(key=re.compile(rb"\d+"), window=2))
        link.send([b"1", b"2"])
        self.reactor.turn()
        peer.send(b"2 ok\n")
        self.reactor.turn()
        peer.reset()
        other = self.again()
        self.reactor.turn()
        self.assertEqual(other.received, b"1\n")

    def test_a_frame_whose_answer_could_not_be_told_is_refused(self) -> None:
        link, _ = self.ready(reply=Reply(key=re.compile(rb"\d+")))
        self.failureResultOf(link.send([b"1", b"none"]), FrameError)
        self.assertEqual(link.stats().outbox.refused, 2)

    def test_a_frame_lost_with_its_connection_each_time_is_set_aside(self) -> None:
        link, peer = self.ready(maxAttempts=2)
        link.send([b"poison", b"b"])
        for _ in range(2):
            self.reactor.turn()
            peer.reset()
            peer = self.again()
        self.reactor.turn()
        self.assertEqual(peer.received, b"b\n")
        self.assertEqual([aside.frame for aside in link.outbox.aside], [b"poison"])

    def test_a_reconnection_that_we_asked_for_is_not_held_against_it(self) -> None:
        link, peer = self.ready(maxAttempts=1)
        link.send([b"a"])
        self.reactor.turn()
        link.reconnectNow()
        peer = self.again()
        self.reactor.turn()
        self.assertEqual(peer.received, b"a\n")

    def test_rejected_the_link_stops_and_says_why(self) -> None:
        link, peer = self.ready(reply=Reply(reject=re.compile(b"^no")))
        ended = link.whenStopped()
        link.send([b"a"])
        self.reactor.turn()
        peer.send(b"no way\n")
        self.reactor.turn()
        verdict = self.successResultOf(ended)
        self.assertIsInstance(verdict, Rejected)
        self.assertEqual((verdict.answer, verdict.attempts), (b"no way", 0))
        self.assertIn("rejected a frame: b'no way'", str(verdict))
        self.assertEqual(link.stats().outbox.abandoned, 1)

    def test_rejected_behind_the_read_the_link_stops_at_once(self) -> None:
        link, _ = self.ready(reply=Reply(reject=re.compile(b"^no")))
        link._rejected(FrameRejected(b"no"))
        self.reactor.turn()
        self.assertIs(link.state, State.STOPPED)

    def test_rejected_it_may_be_sent_again_after_the_wait(self) -> None:
        link, peer = self.ready(reply=Reply(reject=re.compile(b"^no")), onReject="retry")
        link.send([b"a"])
        self.reactor.turn()
        peer.send(b"no\n")
        self.reactor.turn()
        self.assertIs(link.state, State.WAITING)
        self.assertIs(link.lastReason.type, FrameRejected)
        other = self.again()
        self.reactor.turn()
        self.assertEqual(other.received, b"a\n")

    def test_rejected_it_may_be_set_aside_and_the_link_goes_on(self) -> None:
        link, peer = self.ready(reply=Reply(reject=re.compile(b"^no")), onReject="set-aside")
        link.send([b"a", b"b"])
        self.reactor.turn()
        peer.send(b"no\n")
        self.reactor.turn()
        self.assertEqual(peer.received, b"a\nb\n")
        self.assertEqual(link.stats().outbox.set_aside, 1)

    def test_rules_for_another_level_are_refused(self) -> None:
        error = self.assertRaises(LocalError, ReconnectingFactory, reply=Reply())
        self.assertIn("no use at delivery 'auto'", str(error))
        self.made = self.link(start=False)


class SpoolTests(LinkTestCase):
    """Frames on disk; `tests/link/test_spooling.py` and `tests/link/test_pump.py` have the
    particulars."""

    def test_accepted_means_stored_and_the_cursor_with_it(self) -> None:
        spool = FakeSpool()
        link, peer = self.ready(spool=spool)
        accepted = link.send([b"a"], ("file", "2"))
        self.reactor.turn()
        self.assertNoResult(accepted)
        self.assertEqual(peer.received, b"")
        spool.run()
        self.successResultOf(accepted)
        self.reactor.turn()
        self.assertEqual(peer.received, b"a\n")
        self.assertEqual(spool.cursors, {"file": "2"})
        spool.run()
        self.assertEqual(spool.rows, {})

    def test_what_was_stored_before_goes_first(self) -> None:
        spool = FakeSpool(frames=[b"old"])
        link = self.link(spool=spool)
        link.send([b"new"])
        spool.run()
        peer = self.attempt.accept()
        spool.run()
        self.reactor.turn()
        self.assertEqual(peer.received, b"old\nnew\n")
        stats = link.stats().outbox
        self.assertEqual((stats.restored, stats.accepted, stats.acknowledged), (1, 1, 2))

    def test_stopping_abandons_nothing(self) -> None:
        spool = FakeSpool()
        link = self.link(spool=spool)
        link.send([b"a"])
        spool.run()
        self.successResultOf(link.stop())
        stats = link.stats().outbox
        self.assertEqual((stats.abandoned, stats.waiting), (0, 1))
        self.assertTrue(stats.conserved())

    def test_ages_from_before_are_told_by_the_time_of_day_that_was_given(self) -> None:
        for later in (False, True):
            spool = FakeSpool(frames=[b"old", b"new"], now=lambda: 1000.0, ages=[9.0, 1.0])
            given = {} if later else {"spool": spool}
            link = self.link(start=False, maxAge=5.0, wall=lambda: 1001.0, **given)
            if later:
                link.useSpool(spool)
            link.start(self.endpoint)
            spool.run()
            stats = link.stats().outbox
            self.assertEqual((stats.expired, stats.waiting), (1, 1))
            self.assertEqual(stats.oldest, 2.0)

    def test_a_cursor_needs_a_spool(self) -> None:
        link = self.link()
        self.failureResultOf(link.send([b"a"], ("file", "2")), LocalError)
        self.assertEqual(link.stats().outbox.offered, 0)

    def test_a_spool_may_be_given_later_but_before_the_first_frame(self) -> None:
        link = self.link(start=False)
        link.useSpool(FakeSpool(frames=[b"old"]))
        self.assertEqual(link.stats().outbox.restored, 1)
        error = self.assertRaises(LocalError, link.useSpool, FakeSpool())
        self.assertIn("a spool comes before the first frame", str(error))
        other = self.link(start=False)
        other.send([b"a"])
        self.assertRaises(LocalError, other.useSpool, FakeSpool())
        running = self.link()
        error = self.assertRaises(LocalError, running.useSpool, FakeSpool())
        self.assertIn("running already", str(error))


class LossTellingTests(LinkTestCase):
    """Frames that a rule gives up are warned of, at the first and then by their number."""

    def told(self, call: Any) -> list[str]:
        with capturedLogs() as logged:
            call()
        return [formatEvent(e) for e in logged if e["log_level"].name == "warn"]

    def test_those_dropped_to_make_room(self) -> None:
        link = self.link(name="feed", whenFull="drop-oldest", outboxBytes=1000)

        def send(count: int) -> None:
            for _ in range(count):
                link.send([bytes(400)])

        self.assertEqual(
            self.told(lambda: send(50)),
            ["feed: the outbox is full: 1 frames dropped to make room"],
        )
        self.assertEqual(
            [x for x in self.told(lambda: self.reactor.advance(60)) if "room" in x],
            ["feed: the outbox is full: 47 frames dropped to make room in the last 60 s"],
        )
        self.assertEqual(link.stats().outbox.dropped, 48)
        link.stop()
        self.assertQuiet()

    def test_those_dropped_before_the_link_runs_once_it_does(self) -> None:
        link = self.link(start=False, name="feed", whenFull="drop-oldest", outboxBytes=1000)
        link._clock = None
        for _ in range(5):
            link.send([bytes(400)])
        link.start(self.endpoint, self.reactor)
        (line,) = self.told(lambda: link.send([bytes(400)]))
        self.assertEqual(line, "feed: the outbox is full: 4 frames dropped to make room")

    def test_those_too_old(self) -> None:
        link = self.link(name="feed", maxAge=5)
        link.send([b"a", b"b"])
        (line,) = self.told(lambda: self.reactor.advance(6))
        self.assertEqual(line, "feed: 2 frames were too old, and are not sent")


class KeepingTests(LinkTestCase):
    """What is not kept: too old, too many, link down."""

    def test_while_the_link_is_down_frames_may_be_refused(self) -> None:
        link = self.link(whenDown="refuse")
        self.failureResultOf(link.send([b"a"]), LinkDown)
        peer = self.attempt.accept()
        self.successResultOf(link.send([b"b"]))
        self.reactor.turn()
        self.assertEqual(peer.received, b"b\n")
        self.assertEqual(link.stats().outbox.refused, 1)

    def test_frames_that_are_too_old_are_not_sent(self) -> None:
        link = self.link(maxAge=5)
        link.send([b"old"])
        self.reactor.advance(4)
        link.send([b"new"])
        self.reactor.advance(1)
        peer = self.attempt.accept()
        self.reactor.turn()
        self.assertEqual(peer.received, b"new\n")
        stats = link.stats().outbox
        self.assertEqual((stats.expired, stats.acknowledged), (1, 1))
        self.assertTrue(stats.conserved())

    def test_the_newest_may_be_kept_where_there_is_no_room_for_all(self) -> None:
        link = self.link(whenFull="drop-oldest", outboxBytes=130)
        for frame in (b"a", b"b", b"c"):
            self.successResultOf(link.send([frame]))
        peer = self.attempt.accept()
        self.reactor.turn()
        self.assertEqual(peer.received, b"b\nc\n")
        self.assertEqual(link.stats().outbox.dropped, 1)

    def test_or_refused(self) -> None:
        link = self.link(whenFull="refuse", outboxBytes=130)
        link.send([b"a", b"b"])
        self.failureResultOf(link.send([b"c"]), OutboxFull)

    def test_a_rule_that_does_not_exist_is_refused(self) -> None:
        error = self.assertRaises(LocalError, ReconnectingFactory, whenDown="explode")
        self.assertIn("one of queue, refuse, not 'explode'", str(error))
        self.assertRaises(ValueError, ReconnectingFactory, whenFull="explode")


class QuietTests(LinkTestCase):
    """A link that sends nothing has no outbox, until it does: there may be thousands."""

    def test_it_has_no_outbox_through_connections_and_its_end(self) -> None:
        link, peer = self.ready(delivery="written")
        peer.send(b"a\n")
        peer.reset()
        self.reactor.turn()
        self.reactor.advance(1)
        self.attempt.accept()
        link.connection.resumeProducing()  # the transport has room
        stats = link.stats().outbox
        self.assertTrue(stats.conserved())
        self.assertEqual((stats.offered, stats.waiting, stats.oldest), (0, 0, None))
        link.stop()
        self.reactor.turn()
        self.assertIsNone(link._pumpMade)
        self.assertQuiet()

    def test_nor_where_every_frame_were_to_be_answered(self) -> None:
        link, peer = self.ready(reply=Reply(), delivery="reply")
        peer.reset()
        self.reactor.turn()
        self.assertIs(link.state, State.WAITING)
        self.assertIsNone(link._pumpMade)

    def test_the_first_frame_leaves_at_once_where_the_link_is_ready(self) -> None:
        link, peer = self.ready()
        link.send([b"a"])
        self.reactor.turn()
        self.assertEqual(peer.received, b"a\n")

    def test_and_when_the_link_is_ready_where_it_is_not(self) -> None:
        class Eager(Lines):
            def connectionReady(self) -> None:
                self.factory.send([b"a"])  # type: ignore[union-attr]
                self.sendFrame(b"the first of all")

        self.protocol = Eager
        _, peer = self.ready(maxAge=5)
        self.reactor.turn()
        self.assertEqual(peer.received, b"the first of all\na\n")

    def test_what_is_too_old_is_forgotten_of_an_outbox_made_late_too(self) -> None:
        link = self.link(maxAge=5)
        link.send([b"a"])
        self.reactor.advance(6)
        self.assertEqual(link.stats().outbox.expired, 1)

    def test_one_made_by_asking_before_the_start_or_after_the_end_serves(self) -> None:
        link = self.link(start=False)
        self.assertEqual(link.outbox.counters.offered, 0)
        link.start(self.endpoint)
        link.send([b"a"])
        self.assertEqual(self.attempt.accept().received, b"")
        link.stop()
        self.reactor.turn()
        other = self.link()
        other.stop()
        self.assertFalse(other.outbox)
        self.assertQuiet()


class StatsTests(LinkTestCase):
    def test_counters_span_connections(self) -> None:
        link, peer = self.ready()
        peer.send(b"one\ntwo\n")
        link.send([b"x"])
        self.reactor.turn()
        self.reactor.advance(3)
        stats = link.stats()
        self.assertEqual((stats.frames_in, stats.bytes_in), (2, 8))
        self.assertEqual((stats.frames_out, stats.bytes_out), (1, 2))
        self.assertEqual((stats.state, stats.since), (State.READY, 3))
        self.assertEqual(stats.delivery, "written")
        peer.reset()
        self.reactor.turn()
        self.reactor.advance(1)
        self.attempt.accept().send(b"three\n")
        self.reactor.turn()
        stats = link.stats()
        self.assertEqual((stats.frames_in, stats.bytes_in), (3, 14))
        self.assertEqual((stats.dials, stats.connects, stats.readies, stats.losses), (2, 2, 2, 1))
        self.assertEqual(stats.name, "fake:1")
        self.assertFalse(stats.reading_held)

    def test_the_reason_kept_does_not_keep_the_connection_alive(self) -> None:
        link, peer = self.ready()
        peer.reset()
        self.reactor.turn()
        self.assertEqual(link.lastReason.frames, [])

    def test_a_link_without_a_name_is_called_by_its_class(self) -> None:
        link: Any = ReconnectingFactory.forProtocol(Lines)
        self.assertEqual(link.stats().name, "ReconnectingFactory")


class RealReactorTests(TestCase):
    """On trial's reactor, where a timer left behind fails the test."""

    timeout = 10

    @inlineCallbacks
    def test_stop_leaves_nothing_behind(self) -> Any:
        link: Any = ReconnectingFactory.forProtocol(Lines, silenceTimeout=60)
        link.frames = []
        endpoint = FakeEndpoint(Clock())
        link.start(endpoint)
        endpoint.attempts[0].refuse(ConnectionRefusedError())
        yield link.stop()
        self.assertIs(link.state, State.STOPPED)
        self.assertIsInstance(link.lastReason, Failure)


class ClockTests(LinkTestCase):
    """Whoever sets a timer on `link.clock` need not ask whether there is one."""

    def test_it_is_the_one_that_was_injected(self) -> None:
        self.assertIs(self.link(start=False).clock, self.reactor)

    def test_or_the_one_it_was_started_with(self) -> None:
        reactor = FakeReactor()
        link: Any = ReconnectingFactory.forProtocol(Lines)
        link.start(FakeEndpoint(reactor), reactor)
        self.assertIs(link.clock, reactor)

    def test_or_the_reactor_that_dials(self) -> None:
        reactor = FakeReactor()
        link: Any = ReconnectingFactory.forProtocol(Lines)
        reactor.connectTCP("feed.example", 5000, link)
        self.assertIs(link.clock, reactor)

    def test_or_the_reactor_of_this_process(self) -> None:
        module: Any = ModuleType("twisted.internet")
        module.reactor = FakeReactor()
        with patch.dict(sys.modules, {"twisted.internet": module}):
            self.assertIs(ReconnectingFactory().clock, module.reactor)
            self.assertIs(ALONE.clock, module.reactor)

    def test_ages_are_monotonic_though_timers_are_on_a_reactor_that_may_not_be(self) -> None:
        """A reactor's own clock may be the time of day, which is no measure of ages."""

        class Asking(RequestProtocol):
            framing = framing.lines()

        reactor = FakeReactor()
        link: Any = ReconnectingFactory.forProtocol(Asking)
        reactor.connectTCP("feed.example", 5000, link)
        reactor.attempts[0].accept()
        link.connection.request(b"?").addErrback(lambda _: None)
        self.assertIs(link.connection._now, time.monotonic)
        self.assertTrue(reactor.pending())
        link.connection.abortConnection()
        link.stop()


class TurnTests(LinkTestCase):
    """How long a pattern takes is the peer's choice; one read may hold thousands of frames."""

    class Slow:
        """A pattern that takes most of a tenth of a second for each frame."""

        pattern = b"slow"

        def __init__(self, reactor: Any) -> None:
            self.reactor = reactor

        def search(self, frame: bytes) -> None:
            self.reactor.rightNow += 0.09

    def flood(self, stop: bool = False) -> Any:
        """A hundred slow frames in one read."""
        link, peer = self.ready()
        link.connection.expect(self.Slow(self.reactor)).addErrback(lambda _: None)
        if stop:
            self.reactor.callLater(0.5, link.stop)
        peer.send(b"x\n" * 100)
        self.reactor.turn()
        return link

    def test_a_timer_that_is_due_in_between_is_heard_and_a_stop_obeyed(self) -> None:
        link = self.flood(stop=True)
        self.assertIs(link.state, State.STOPPED)
        self.assertLess(len(link.frames), 20)

    def test_every_frame_comes_once_all_the_same(self) -> None:
        link = self.flood()
        self.assertEqual(len(link.frames), 100)
        self.assertFalse(link.connection.readingHeld)
        self.assertEqual(self.reactor.pending(), [])

    def test_so_it_is_with_frames_that_a_callback_held_back(self) -> None:
        class Asking(RequestProtocol):
            framing = framing.lines()

            def answerKey(self, frame: bytes) -> bytes | None:
                return frame if frame == b"?" else None

            async def frameReceived(self, frame: bytes) -> None:
                if frame == b"first":
                    await self.request(b"?")
                self.factory.frames.append(frame)  # type: ignore[union-attr]

        self.protocol = Asking
        link, peer = self.ready()
        for sent in (b"first\n", b"x\n" * 100):
            peer.send(sent)
            self.reactor.turn()
        self.assertEqual(len(link.connection._kept), 100)
        link.connection.expect(self.Slow(self.reactor)).addErrback(lambda _: None)
        self.reactor.callLater(0.5, link.stop)
        peer.send(b"?\n")
        self.reactor.turn()
        self.assertIs(link.state, State.STOPPED)
        self.assertEqual(link.frames[0], b"first")
        self.assertLess(len(link.frames), 20)


class TellingTests(LinkTestCase):
    def test_an_attempt_that_is_due_now_is_said_to_be(self) -> None:
        with capturedLogs() as logged:
            self.link(random=lambda: 0.0)
            self.attempt.refuse()
        lines = [formatEvent(event) for event in logged]
        self.assertTrue(any(line.endswith("next attempt at once") for line in lines), lines)

    def test_a_change_of_state_is_logged_only_where_that_is_asked_for(self) -> None:
        """Each would cost every link as much as the attempt itself."""
        for verbose, logged in ((False, []), (True, ["the link: IDLE -> CONNECTING"])):
            with capturedLogs() as events:
                link = self.link(start=False, name="the link")
                link.verbose = verbose
                link.start(self.endpoint)
            self.assertEqual([formatEvent(event) for event in events], logged)

    def test_a_reason_keeps_nothing_alive(self) -> None:
        """One that was raised refers to the frames of whoever raised it, and all they know."""
        link = self.link()
        try:
            raise ConnectionRefusedError("raised")
        except ConnectionRefusedError as error:
            raised = error
            self.attempt.refuse(error)
        self.assertIs(link.lastReason.value, raised)
        self.assertIsNone(link.lastReason.tb)
        self.assertIsNone(raised.__traceback__)
