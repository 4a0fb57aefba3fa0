"""The two ways of dialling, each by itself: one attempt at a time, its failure told once.

What they give a link on real sockets is in tests/wire/test_dialers.py.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import (
    ConnectingCancelledError,
    ConnectionRefusedError,
    UserError,
)
from twisted.internet.protocol import ClientFactory, Protocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from nbclient.link.dialers import ConnectorDialer, EndpointDialer, Refusal
from nbclient.testing import Attempt, FakeEndpoint, FakeReactor


class Link(ClientFactory):
    """What a dialer sees of a link: it remembers the failures it was told."""

    noisy = False
    protocol = Protocol
    connectTimeout = 10.0

    def __init__(self) -> None:
        self.failures: list[Any] = []

    def dialFailed(self, reason: Failure) -> None:
        self.failures.append(reason.type)

    def clientConnectionFailed(self, connector: Any, reason: Failure) -> None:
        self.dialFailed(reason)


class ConnectorDialerTests(SynchronousTestCase):
    """The connector reports to the factory by itself; the dialer only asks it."""

    def setUp(self) -> None:
        self.reactor = FakeReactor()
        self.link = Link()
        self.connector = self.reactor.connectTCP("192.0.2.1", 7, self.link)
        self.dialer = ConnectorDialer(self.connector, self.link)

    @property
    def attempt(self) -> Attempt:
        return self.reactor.attempts[-1]

    def test_it_repeats_what_the_reactor_began(self) -> None:
        first = self.attempt
        first.refuse()
        self.dialer.dial()
        self.assertEqual(len(self.reactor.attempts), 2)
        self.assertEqual(self.attempt.address, first.address)
        self.assertEqual(self.link.failures, [ConnectionRefusedError])

    def test_an_attempt_under_way_is_withdrawn(self) -> None:
        self.dialer.cancel()
        self.assertFalse(self.attempt.pending)
        self.assertEqual(self.link.failures, [UserError])

    def test_with_nothing_under_way_there_is_nothing_to_withdraw(self) -> None:
        """Twisted's connector would raise: it is connected, or was refused."""
        self.attempt.refuse()
        self.dialer.cancel()
        self.dialer.dial()
        self.attempt.accept()
        self.dialer.cancel()
        self.assertEqual(self.link.failures, [ConnectionRefusedError])

    def test_the_links_deadline_saves_the_connector_its_own(self) -> None:
        """It covers more, and a timer more for each attempt of each link has its price."""
        for timeout, left in ((30.0, None), (10.0, None), (5.0, 5.0), (None, None)):
            self.attempt.refuse()
            self.connector.timeout = timeout
            self.dialer.dial()
            self.assertEqual(self.connector.timeout, left)


class EndpointDialerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.endpoint: Any = FakeEndpoint(FakeReactor())
        self.link = Link()
        self.dialer = EndpointDialer(self.endpoint, self.link)

    @property
    def attempt(self) -> Attempt:
        attempt: Attempt = self.endpoint.attempts[-1]
        return attempt

    def test_the_endpoint_is_asked_anew_for_each_attempt(self) -> None:
        """So that a name is looked up again, and a file read again."""
        for count in range(1, 4):
            self.dialer.dial()
            self.assertEqual(len(self.endpoint.attempts), count)
            self.attempt.refuse()
            self.assertEqual(self.link.failures, [ConnectionRefusedError] * count)

    def test_a_connection_is_not_reported_because_the_factory_built_it(self) -> None:
        self.dialer.dial()
        self.attempt.accept()
        self.assertEqual(self.link.failures, [])

    def test_an_attempt_under_way_is_cancelled_and_reported(self) -> None:
        self.dialer.dial()
        self.dialer.cancel()
        self.assertFalse(self.attempt.pending)
        self.assertEqual(self.link.failures, [ConnectingCancelledError])

    def test_without_an_attempt_there_is_nothing_to_cancel(self) -> None:
        self.dialer.cancel()
        self.dialer.dial()
        self.attempt.refuse()
        self.dialer.cancel()
        self.dialer.dial()
        self.attempt.accept()
        self.dialer.cancel()
        self.assertEqual(self.link.failures, [ConnectionRefusedError])

    def test_an_endpoint_that_raises_is_an_attempt_that_failed(self) -> None:
        def broken(factory: Any) -> Any:
            raise ZeroDivisionError

        self.endpoint.connect = broken
        self.dialer.dial()
        self.assertEqual(self.link.failures, [ZeroDivisionError])

    def test_an_attempt_forsaken_long_ago_is_not_reported(self) -> None:
        """One that cannot be cancelled ends whenever it likes; only the present one counts."""
        attempts: list[Deferred[Any]] = [Deferred(), Deferred()]
        waiting = iter(attempts)
        self.endpoint.connect = lambda factory: next(waiting)
        self.dialer.dial()
        self.dialer.dial()
        attempts[0].errback(ZeroDivisionError())
        self.assertEqual(self.link.failures, [])
        attempts[1].errback(ConnectionRefusedError())
        self.assertEqual(self.link.failures, [ConnectionRefusedError])

    def test_an_attempt_forsaken_long_ago_that_succeeds_leaves_the_present_one_alone(self) -> None:
        """It can still be cancelled."""
        cancelled: list[Deferred[Any]] = []
        attempts: list[Deferred[Any]] = [Deferred(), Deferred(cancelled.append)]
        waiting = iter(attempts)
        self.endpoint.connect = lambda factory: next(waiting)
        self.dialer.dial()
        self.dialer.dial()
        attempts[0].callback(None)
        self.dialer.cancel()
        self.assertEqual(cancelled, [attempts[1]])


class RefusalTests(SynchronousTestCase):
    """What is built where no connection is wanted: it ends by itself, on every dialer."""

    def dial(self, refusal: Refusal, secure: bool = False) -> Any:
        reactor = FakeReactor()
        endpoint = FakeEndpoint(reactor)
        link: Any = Link()
        link.buildProtocol = lambda address: refusal
        endpoint.connect(link)
        peer = endpoint.attempts[-1].accept(secure=secure)
        reactor.turn()
        return peer

    def test_it_aborts_in_plain_and_under_tls(self) -> None:
        for secure in (False, True):
            peer = self.dial(Refusal(), secure)
            self.assertTrue(peer.aborted)
            self.assertEqual(peer.received, b"")

    def test_whoever_asked_is_told_once_it_has_ended(self) -> None:
        told: list[str] = []
        refusal = Refusal(lambda: told.append("gone"))
        self.assertEqual(told, [])
        self.dial(refusal)
        self.assertEqual(told, ["gone"])
