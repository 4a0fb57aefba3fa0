"""The service: it starts the link with its application and stops it in every phase."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from twisted.application.service import IService, MultiService
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from nbclient import Backoff, FrameProtocol, LinkService, ReconnectingFactory, State, framing
from nbclient.errors import LinkStopped
from nbclient.testing import FakeEndpoint, FakeReactor, Peer


class Plain(FrameProtocol):
    """Takes whatever comes."""

    framing = framing.lines()

    def frameReceived(self, frame: bytes) -> None:
        pass


class Slow(Plain):
    """Is never done with its first frame, nor with its opening where it has one."""

    login = False

    def opening(self) -> Deferred[None] | None:
        return Deferred() if self.login else None

    def frameReceived(self, frame: bytes) -> Deferred[None]:  # type: ignore[override]
        return Deferred()


class Login(Slow):
    """Its opening waits for something that does not come."""

    login = True


class ServiceCase(SynchronousTestCase):
    """A clock that dials nothing, an endpoint under the test's control, and a service."""

    def setUp(self) -> None:
        self.clock = FakeReactor()
        self.endpoint = FakeEndpoint(self.clock)

    def service(self, protocol: type[FrameProtocol] = Plain, **how: Any) -> LinkService:
        factory: Any = ReconnectingFactory.forProtocol(
            protocol, backoff=Backoff(initial=1), clock=self.clock
        )
        return LinkService(self.endpoint, factory, clock=self.clock, **how)

    def started(self, protocol: type[FrameProtocol] = Plain) -> LinkService:
        service = self.service(protocol)
        service.startService()
        return service

    def accept(self) -> Peer:
        peer = self.endpoint.attempts[-1].accept()
        self.clock.turn()
        return peer

    def assertStops(self, service: LinkService, within: float = 0.0) -> None:
        """`stopService` fires in time and leaves nothing behind."""
        stopped = service.stopService()
        self.clock.turn()
        if within:
            self.assertNoResult(stopped)
            # In small steps: a timer may set another one.
            for _ in range(int(within) + 1):
                self.clock.advance(1)
            self.clock.turn()
        self.assertIsNone(self.successResultOf(stopped))
        self.assertIs(service.factory.state, State.STOPPED)
        self.assertFalse(service.running)
        self.assertEqual(self.clock.pending(), [])


class Starting(ServiceCase):
    def test_it_is_a_service_and_the_handle_to_its_link(self) -> None:
        service = self.service()
        verifyObject(IService, service)
        self.assertIsInstance(service.factory, ReconnectingFactory)

    def test_nothing_is_dialled_before_the_application_starts(self) -> None:
        application = MultiService()
        service = self.service()
        service.setServiceParent(application)
        self.clock.advance(100)
        self.assertEqual(self.endpoint.attempts, [])
        application.startService()
        self.assertTrue(service.running)
        self.assertEqual(len(self.endpoint.attempts), 1)

    def test_without_a_spread_it_dials_at_once(self) -> None:
        service = self.started()
        self.assertIs(service.factory.state, State.CONNECTING)

    def test_the_link_comes_up_and_stays_up(self) -> None:
        service = self.started()
        peer = self.accept()
        self.assertIs(service.factory.state, State.READY)
        peer.close()
        self.clock.turn()
        self.clock.advance(1)
        self.assertEqual(len(self.endpoint.attempts), 2)

    def test_a_second_start_dials_no_second_time(self) -> None:
        service = self.started()
        service.startService()
        self.assertEqual(len(self.endpoint.attempts), 1)
        self.accept()
        service.startService()
        self.assertEqual(len(self.endpoint.attempts), 1)
        self.assertIs(service.factory.state, State.READY)

    def test_without_a_clock_it_takes_the_global_reactor_and_no_sooner_than_it_starts(
        self,
    ) -> None:
        # Importing the reactor installs one, which is the application's choice to make.
        module: Any = ModuleType("twisted.internet")
        module.reactor = self.clock
        factory: Any = ReconnectingFactory.forProtocol(Plain)
        service = LinkService(self.endpoint, factory, spread=8, random=lambda: 0.25)
        before, sys.modules["twisted.internet"] = sys.modules["twisted.internet"], module
        try:
            service.startService()
        finally:
            sys.modules["twisted.internet"] = before
        self.clock.advance(2)
        self.assertEqual(len(self.endpoint.attempts), 1)
        self.assertEqual(len(self.clock.pending()), 1)  # the deadline of the attempt
        self.endpoint.attempts[0].refuse()
        self.successResultOf(service.stopService())


class Spreading(ServiceCase):
    def test_the_first_attempt_comes_after_a_random_part_of_the_spread(self) -> None:
        self.service(spread=20, random=lambda: 0.25).startService()
        self.clock.advance(4.9)
        self.assertEqual(self.endpoint.attempts, [])
        self.clock.advance(0.1)
        self.assertEqual(len(self.endpoint.attempts), 1)

    def test_many_links_started_together_do_not_dial_together(self) -> None:
        for _ in range(200):
            self.service(spread=10).startService()
        counts = []
        for _ in range(10):
            before = len(self.endpoint.attempts)
            self.clock.advance(1)
            counts.append(len(self.endpoint.attempts) - before)
        self.assertEqual(sum(counts), 200)
        self.assertLess(max(counts), 100)

    def test_a_stop_before_the_first_attempt_cancels_it(self) -> None:
        service = self.service(spread=20, random=lambda: 0.25)
        service.startService()
        self.assertIsNone(self.successResultOf(service.stopService()))
        self.assertEqual(self.clock.pending(), [])
        self.clock.advance(100)
        self.assertEqual(self.endpoint.attempts, [])

    def test_a_stop_before_the_first_attempt_tells_everybody_who_waits(self) -> None:
        # A stop in any state: every waiter fails with a typed error, none is left waiting.
        service = self.service(spread=20)
        service.startService()
        ready, ended = service.factory.whenReady(), service.factory.whenStopped()
        self.successResultOf(service.stopService())
        self.failureResultOf(ready, LinkStopped)
        self.assertIsNone(self.successResultOf(ended))

    def test_a_second_start_during_the_spread_leaves_no_attempt_behind_a_stop(self) -> None:
        service = self.service(spread=20)
        service.startService()
        service.startService()
        self.assertEqual(len(self.clock.pending()), 1)
        self.successResultOf(service.stopService())
        self.clock.advance(100)
        self.assertEqual(self.endpoint.attempts, [])

    def test_a_restart_is_spread_again(self) -> None:
        service = self.service(spread=20, random=lambda: 0.5)
        service.startService()
        self.successResultOf(service.stopService())
        service.startService()
        self.clock.advance(9)
        self.assertEqual(self.endpoint.attempts, [])
        self.clock.advance(1)
        self.assertEqual(len(self.endpoint.attempts), 1)

    def test_a_link_that_somebody_started_meanwhile_is_not_started_twice(self) -> None:
        service = self.service(spread=20)
        service.startService()
        service.factory.start(self.endpoint)
        self.clock.advance(20)
        self.assertEqual(len(self.endpoint.attempts), 1)


class Stopping(ServiceCase):
    def test_while_idle(self) -> None:
        self.assertStops(self.service())

    def test_while_connecting_withdraws_the_attempt(self) -> None:
        service = self.started()
        self.assertStops(service)
        self.assertFalse(self.endpoint.attempts[0].pending)

    def test_while_opening(self) -> None:
        service = self.started(Login)
        self.accept()
        self.assertIs(service.factory.state, State.OPENING)
        self.assertStops(service)

    def test_while_ready_closes_the_connection(self) -> None:
        service = self.started()
        peer = self.accept()
        self.assertStops(service)
        self.assertTrue(peer.finished)
        self.assertFalse(peer.aborted)

    def test_while_ready_sends_what_was_handed_over_first(self) -> None:
        service = self.started()
        peer = self.accept()
        service.factory.send([b"last words"])
        self.assertStops(service)
        self.assertEqual(peer.received, b"last words\n")

    def test_while_ready_with_a_peer_that_reads_nothing_aborts_at_the_deadline(self) -> None:
        service = self.started()
        peer = self.accept()
        peer.stall()
        service.factory.send([b"never read"])
        self.clock.turn()
        self.assertStops(service, within=service.factory.closeTimeout + 1)
        self.assertTrue(peer.aborted)

    def test_while_dropping(self) -> None:
        service = self.started()
        peer = self.accept()
        peer.stall()
        service.factory.send([b"never read"])
        service.factory.reconnectNow()
        self.assertIs(service.factory.state, State.DROPPING)
        self.assertStops(service, within=service.factory.closeTimeout + 1)

    def test_while_settling_waits_for_the_last_frame_but_not_for_ever(self) -> None:
        service = self.started(Slow)
        peer = self.accept()
        peer.send(b"a frame that takes its time\n")
        self.clock.turn()
        peer.reset()
        service.factory.send([b"into the reset"])
        self.clock.turn()
        self.assertIs(service.factory.state, State.SETTLING)
        self.assertStops(service, within=service.factory.closeTimeout + 1)

    def test_while_waiting(self) -> None:
        service = self.started()
        self.endpoint.attempts[0].refuse()
        self.assertIs(service.factory.state, State.WAITING)
        self.assertStops(service)

    def test_while_stopped_already(self) -> None:
        service = self.started()
        self.assertStops(service)
        self.assertStops(service)

    def test_while_closing_both_callers_are_told(self) -> None:
        service = self.started()
        self.accept()
        first, second = service.stopService(), service.stopService()
        self.clock.turn()
        self.successResultOf(first)
        self.successResultOf(second)

    def test_an_application_waits_for_its_links(self) -> None:
        application = MultiService()
        service = self.service()
        service.setServiceParent(application)
        application.startService()
        self.accept()
        stopped = application.stopService()
        self.assertNoResult(stopped)
        self.clock.turn()
        self.successResultOf(stopped)


class Restarting(ServiceCase):
    def test_a_service_that_stopped_can_start_again(self) -> None:
        service = self.started()
        self.accept()
        self.assertStops(service)
        service.startService()
        self.assertEqual(len(self.endpoint.attempts), 2)
        self.accept()
        self.assertIs(service.factory.state, State.READY)
        self.assertStops(service)

    def test_a_start_while_the_stop_is_under_way_is_not_forgotten(self) -> None:
        # Else the service says that it runs, and its link is down for good.
        service = self.started()
        self.accept()
        stopped = service.stopService()
        service.startService()
        self.clock.turn()
        self.successResultOf(stopped)
        self.assertTrue(service.running)
        self.assertEqual(len(self.endpoint.attempts), 2)


class RunningTests(ServiceCase):
    def test_a_link_that_runs_already_is_not_started_again(self) -> None:
        """Somebody has started the factory by hand, and then comes the service."""
        service = self.service()
        service.factory.start(self.endpoint, self.clock)
        service.startService()
        self.assertEqual(len(self.endpoint.attempts), 1)
        self.assertIs(service.factory.state, State.CONNECTING)

    def test_a_start_that_is_taken_back_before_the_stop_is_done_starts_nothing(self) -> None:
        service = self.service()
        service.startService()
        peer = self.endpoint.attempts[-1].accept()
        peer.stall()
        service.factory.send([b"x"])
        service.stopService()
        service.startService()
        service.stopService()
        peer.unstall()
        self.clock.turn()
        self.assertIs(service.factory.state, State.STOPPED)
        self.assertEqual(len(self.endpoint.attempts), 1)
