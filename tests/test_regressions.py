"""Lines of docs/regressions.md that no other file tests."""

from __future__ import annotations

import gc
import re
import weakref
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionLost
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from nbclient import FrameProtocol, ReconnectingFactory, State, framing
from nbclient.connection.protocol import ANSWER_LIMIT
from nbclient.errors import LinkStopped
from nbclient.testing import READ_SIZE, FakeEndpoint, FakeReactor


class Lines(FrameProtocol):
    framing = framing.lines()

    def frameReceived(self, frame: bytes) -> None:
        pass


class CancelledWaiterTests(SynchronousTestCase):
    """A waiter that was cancelled is forgotten at once, not when the wait ends.

    A caller that asks with a time limit, again and again, while a link is down
    for a week would otherwise fill the memory.
    """

    def setUp(self) -> None:
        reactor = FakeReactor()
        self.endpoint = FakeEndpoint(reactor)
        link: Any = ReconnectingFactory.forProtocol(Lines, clock=reactor, outboxBytes=1000)
        link.start(self.endpoint)
        self.link = link

    def assertForgotten(self, ask: Callable[[], Deferred[Any]]) -> None:
        waiter = ask()
        self.assertNoResult(waiter)
        waiter.addErrback(lambda _: None)
        waiter.cancel()
        left = weakref.ref(waiter)
        del waiter
        gc.collect()
        self.assertIsNone(left())

    def test_of_the_link_being_ready(self) -> None:
        self.assertForgotten(self.link.whenReady)

    def test_of_the_links_end(self) -> None:
        self.assertForgotten(self.link.whenStopped)

    def test_of_the_end_of_the_outbox(self) -> None:
        self.link.send([b"x"])
        self.assertForgotten(self.link.whenDrained)

    def test_of_room_in_the_outbox(self) -> None:
        self.link.send([b"x" * 900])
        self.assertForgotten(lambda: self.link.send([b"y" * 500]))

    def test_of_a_stop(self) -> None:
        self.endpoint.attempts[0].accept().stall()
        self.link.connection.sendFrame(b"x")
        self.assertForgotten(self.link.stop)

    def test_of_the_next_frame(self) -> None:
        self.endpoint.attempts[0].accept()
        self.assertForgotten(self.link.connection.nextFrame)

    def test_of_a_frame_expected(self) -> None:
        self.endpoint.attempts[0].accept()
        self.assertForgotten(lambda: self.link.connection.expect(re.compile(b"x")))


class FullTransportTests(SynchronousTestCase):
    """A transport says that it is full at every write, and only once that it no longer is."""

    def test_many_answers_in_one_callback_are_one_reason_to_pause(self) -> None:
        """Else reading would go on only after as many times of being empty."""

        class Answering(Lines):
            framing = framing.lines(max_frame=ANSWER_LIMIT)

            def frameReceived(self, frame: bytes) -> None:
                taken.append(frame)
                for _ in range(4):
                    self.sendFrame(b"x" * ANSWER_LIMIT)

        taken: list[bytes] = []
        reactor = FakeReactor()
        endpoint = FakeEndpoint(reactor)
        link: Any = ReconnectingFactory.forProtocol(Answering, clock=reactor)
        link.start(endpoint)
        peer = endpoint.attempts[0].accept()
        peer.stall()
        for question in (b"first", b"second", b"third"):
            peer.send(question + b"\n")
            reactor.turn()
        self.assertEqual(taken, [b"first", b"second"])
        peer.unstall()
        reactor.turn()
        self.assertEqual(taken, [b"first", b"second", b"third"])


class LossTests(SynchronousTestCase):
    def test_a_loss_told_again_while_frames_are_worked_on_is_still_one(self) -> None:
        """By a transport that was aborted and reset at once, say; the first reason stays."""
        done: Deferred[None] = Deferred()
        reasons: list[Any] = []

        class Slow(Lines):
            def frameReceived(self, frame: bytes) -> Any:
                return done

            def connectionLost(self, reason: Any = None) -> None:
                reasons.append(reason.type)

        reactor = FakeReactor()
        endpoint = FakeEndpoint(reactor)
        link: Any = ReconnectingFactory.forProtocol(Slow, clock=reactor)
        link.start(endpoint)
        peer = endpoint.attempts[0].accept()
        connection = link.connection
        peer.send(b"x\n")
        reactor.turn()
        for reason in (ConnectionLost(), ConnectionAborted()):
            connection.connectionLost(Failure(reason))
        done.callback(None)
        self.assertEqual(reasons, [ConnectionLost])
        self.assertEqual(link.stats().losses, 1)


class ReadyCallbackTests(SynchronousTestCase):
    def test_one_who_stops_the_link_does_not_pull_it_from_under_the_next(self) -> None:
        """Whoever is told that the link is ready finds it ready; else he is told of the stop."""
        reactor = FakeReactor()
        endpoint = FakeEndpoint(reactor)
        link: Any = ReconnectingFactory.forProtocol(Lines, clock=reactor)
        link.start(endpoint)
        link.send([b"waited"])
        found: list[State] = []
        link.whenReady().addCallback(lambda _: link.stop())
        second = link.whenReady().addCallback(lambda _: found.append(link.state))
        peer = endpoint.attempts[0].accept()
        reactor.turn()
        self.assertEqual(found, [])
        self.failureResultOf(second, LinkStopped)
        self.assertEqual(peer.received, b"waited\n")
        self.assertIs(link.state, State.STOPPED)


class TokenTests(SynchronousTestCase):
    def test_a_token_given_back_twice_counts_once(self) -> None:
        """The second time must not stand for somebody else's token."""
        reactor = FakeReactor()
        endpoint = FakeEndpoint(reactor)
        link: Any = ReconnectingFactory.forProtocol(Lines, clock=reactor)
        link.start(endpoint)
        endpoint.attempts[0].accept()
        first, second = link.connection.pauseReading(), link.connection.pauseReading()
        first.resume()
        first.resume()
        self.assertTrue(link.connection.readingHeld)
        second.resume()
        self.assertFalse(link.connection.readingHeld)


class BrokenCallbackTests(SynchronousTestCase):
    def test_what_is_drained_after_a_callback_raised_does_not_reach_it(self) -> None:
        """The link aborts; what the kernel still holds must not raise once more."""

        class Broken(Lines):
            def frameReceived(self, frame: bytes) -> None:
                raise ZeroDivisionError

        reactor = FakeReactor()
        endpoint = FakeEndpoint(reactor)
        link: Any = ReconnectingFactory.forProtocol(Broken, clock=reactor)
        link.start(endpoint)
        endpoint.attempts[0].accept().send(b"x" * (READ_SIZE - 1) + b"\nmore\n")
        reactor.turn()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertIs(link.state, State.WAITING)
