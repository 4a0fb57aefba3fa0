"""Several peers: whose turn it is, and when a link goes back to the first."""

from __future__ import annotations

import re
from typing import Any

import pytest
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred, fail
from twisted.internet.protocol import ClientFactory
from twisted.logger import Logger
from twisted.trial.unittest import SynchronousTestCase, TestCase

from nbclient import Backoff, FrameProtocol, LinkService, ReconnectingFactory, State, framing
from nbclient.endpoints.failover import LONGEST_WAIT, PROBE_TIMEOUT, alternatives
from nbclient.errors import LocalError, OpeningFailed, SpecError
from nbclient.testing import Attempt, FakeEndpoint, FakeReactor, Peer

NAMES = ("a:1", "b:1", "c:1")
FAILBACK = 300.0
STABLE = 10.0


class Lines(FrameProtocol):
    framing = framing.lines()

    def frameReceived(self, frame: bytes) -> None:
        pass


class Refusing(FrameProtocol):
    """Its opening never succeeds: a login that is refused."""

    framing = framing.lines()

    def opening(self) -> Any:
        return fail(OpeningFailed("login refused"))


class LinkCase(SynchronousTestCase):
    """A link over three fake peers, whose jitter is always the longest."""

    failback: float | None = None
    protocol: type[FrameProtocol] = Lines

    def setUp(self) -> None:
        self.clock = FakeReactor()
        self.events: list[Any] = []
        self.fakes = [FakeEndpoint(self.clock) for _ in NAMES]
        self.peers = alternatives(self.fakes, self.failback, self.clock, NAMES)  # type: ignore[arg-type]
        self.link = ReconnectingFactory.forProtocol(
            self.protocol,
            clock=self.clock,
            backoff=Backoff(initial=0.5, maximum=60, stable_after=STABLE),
            random=lambda: 1.0,
        )
        self.link.log = Logger(namespace="nbclient", observer=self.events.append)
        self.link.start(self.peers, self.clock)
        self.addCleanup(self.finish)

    def finish(self) -> None:
        self.link.stop()
        self.clock.turn()
        self.clock.advance(30)
        self.clock.turn()
        self.assertEqual(self.clock.pending(), [])

    def pending(self) -> tuple[int, Attempt]:
        """The one attempt under way, and at which peer."""
        found = [
            (number, fake.attempts[-1])
            for number, fake in enumerate(self.fakes)
            if fake.attempts and fake.attempts[-1].pending
        ]
        self.assertEqual(len(found), 1)
        return found[0]

    def refuse(self) -> int:
        """The peer that was dialled refuses; the wait passes."""
        number, attempt = self.pending()
        attempt.refuse()
        self.clock.advance(60)
        return number

    def accept(self) -> tuple[int, Peer]:
        number, attempt = self.pending()
        peer = attempt.accept()
        self.clock.turn()
        return number, peer

    def lose(self, peer: Peer, after: float) -> None:
        """The connection ends `after` some seconds; the wait passes."""
        self.clock.advance(after)
        peer.reset()
        self.clock.turn()
        self.clock.advance(60)

    def dials(self) -> int:
        return sum(len(fake.attempts) for fake in self.fakes)

    def said(self) -> list[str]:
        return [str(e["log_format"]).format(**e) for e in self.events]


class OrderTests(LinkCase):
    def test_after_a_failed_attempt_comes_the_next_and_after_the_last_the_first(self) -> None:
        self.assertEqual([self.refuse() for _ in range(5)], [0, 1, 2, 0, 1])

    def test_with_all_peers_down_no_more_is_dialled_than_with_one(self) -> None:
        """The back-off spans the list: its sixth wait is the sixth wait of one peer."""
        started = self.clock.seconds()
        times = []
        for _ in range(6):
            times.append(self.clock.seconds() - started)
            self.pending()[1].refuse()
            due = min(call.getTime() for call in self.clock.getDelayedCalls())
            self.clock.advance(due - self.clock.seconds())
        self.assertEqual(times, [0, 0.5, 1.5, 3.5, 7.5, 15.5])

    def test_a_dead_first_peer_costs_one_attempt_and_a_short_wait(self) -> None:
        self.pending()[1].refuse()
        self.clock.advance(0.5)
        self.assertEqual(self.accept()[0], 1)
        self.assertIs(self.link.state, State.READY)

    def test_after_a_good_connection_the_first_is_tried_first(self) -> None:
        self.refuse()
        number, peer = self.accept()
        self.assertEqual(number, 1)
        self.lose(peer, after=STABLE)
        self.assertEqual(self.pending()[0], 0)

    def test_a_peer_that_accepts_and_then_closes_does_not_starve_the_others(self) -> None:
        number, peer = self.accept()
        self.assertEqual(number, 0)
        self.lose(peer, after=STABLE - 0.1)
        self.assertEqual(self.pending()[0], 1)

    def short(self, number: int) -> None:
        """A connection to this peer that got something done, and ends at once."""
        tried, peer = self.accept()
        self.assertEqual(tried, number)
        peer.send(b"frame\n" * 3)
        self.lose(peer, after=0.1)

    def test_nor_does_one_whose_end_was_noticed_late(self) -> None:
        """This side was not reading: it may have closed at once."""
        _, peer = self.accept()
        token = self.link.connection.pauseReading()
        peer.close()
        self.clock.advance(10 * STABLE)
        token.resume()
        self.clock.turn()
        self.clock.advance(60)
        self.assertEqual(self.pending()[0], 1)

    def test_a_peer_that_gets_something_done_in_short_connections_is_kept(self) -> None:
        self.refuse()
        for _ in range(3):
            self.short(1)
        number, peer = self.accept()
        self.assertEqual(number, 1)
        self.lose(peer, after=0.1)
        self.assertEqual(self.pending()[0], 2)

    def test_logs_tell_which_peer_is_meant(self) -> None:
        """The link has no name of its own, so it is called by its peer."""
        self.assertEqual((self.link.name, self.peers.name), ("a:1", "a:1"))
        self.refuse()
        self.assertEqual((self.link.name, self.peers.name), ("b:1", "b:1"))
        self.assertIn("b:1: the turn of b:1, 2 of 3", self.said())

    def test_of_peers_that_are_all_away_each_turn_is_told_once(self) -> None:
        for _ in range(9):
            self.refuse()
        told = [e["log_level"].name for e in self.events if "the turn of" in e["log_format"]]
        self.assertEqual(told, ["info"] * 3 + ["debug"] * 6)

    def test_a_name_that_was_given_stays(self) -> None:
        self.link.name = "feed"
        self.refuse()
        self.assertEqual((self.link.name, self.peers.name), ("feed", "b:1"))
        self.assertIn("feed: the turn of b:1, 2 of 3", self.said())

    def test_a_link_started_again_begins_with_the_first(self) -> None:
        self.refuse()
        self.link.stop()
        self.clock.turn()
        self.link.start(self.peers, self.clock)
        self.assertEqual(self.pending()[0], 0)

    def test_without_failback_a_good_connection_is_never_given_up(self) -> None:
        self.refuse()
        self.accept()
        self.clock.advance(100_000)
        self.assertEqual((self.dials(), self.link.state), (2, State.READY))


class RefusedLoginTests(LinkCase):
    protocol = Refusing

    def test_a_peer_that_refuses_the_opening_has_failed(self) -> None:
        for expected in (0, 1, 2, 0):
            number, _ = self.accept()
            self.assertEqual(number, expected)
            self.clock.turn()
            self.clock.advance(60)


class FailbackTests(LinkCase):
    failback = FAILBACK

    def on_second(self) -> Peer:
        self.assertEqual(self.refuse(), 0)
        number, peer = self.accept()
        self.assertEqual(number, 1)
        return peer

    def probe(self) -> Attempt:
        """The look at the first peer that is under way."""
        number, attempt = self.pending()
        self.assertEqual(number, 0)
        return attempt

    def answer(self) -> None:
        """The first peer answers the probe, and the link goes back to it."""
        self.probe().accept()
        self.clock.turn()

    def test_short_connections_that_get_something_done_do_not_keep_it_from_the_first(self) -> None:
        self.refuse()
        tried = []
        for _ in range(7):
            number, peer = self.accept()
            tried.append(number)
            peer.send(b"frame\n" * 3)
            self.lose(peer, after=0.1)  # and a minute
        self.assertEqual(tried, [1, 1, 1, 1, 1, 0, 0])

    def test_the_first_is_looked_for_after_so_many_seconds_and_not_before(self) -> None:
        self.on_second()
        before = self.dials()
        self.clock.advance(FAILBACK - 0.1)
        self.assertEqual(self.dials(), before)
        self.clock.advance(0.1)
        self.assertEqual(self.probe().address, self.fakes[0].attempts[-1].address)
        self.assertIs(self.link.state, State.READY)

    def test_a_good_connection_is_not_dropped_for_a_first_peer_that_is_dead(self) -> None:
        peer = self.on_second()
        for _ in range(3):
            self.clock.advance(FAILBACK)
            self.probe().refuse()
            self.clock.turn()
        self.assertEqual((self.link.state, peer.connected), (State.READY, True))
        self.assertEqual(self.link.stats().losses, 0)

    def test_once_the_first_answers_the_link_goes_back_to_it(self) -> None:
        peer = self.on_second()
        self.clock.advance(FAILBACK)
        probed = self.probe().accept()
        self.clock.turn()
        self.assertFalse(probed.connected)
        self.assertFalse(peer.connected)
        number, _ = self.accept()
        self.assertEqual((number, self.link.state), (0, State.READY))
        self.assertIn("b:1: a:1 answers: going back to it", self.said())
        before = self.dials()
        self.clock.advance(10 * FAILBACK)
        self.assertEqual(self.dials(), before)

    def test_it_goes_back_from_a_connection_that_was_not_stable_yet_too(self) -> None:
        """A short --failback is no reason to go on to the third."""
        self.link.backoff = Backoff(stable_after=10 * FAILBACK)
        self.on_second()
        self.clock.advance(FAILBACK)
        self.answer()
        self.assertEqual(self.pending()[0], 0)

    def test_what_waits_to_be_sent_is_sent_to_the_first(self) -> None:
        self.on_second()
        self.clock.advance(FAILBACK)
        self.answer()
        self.link.send([b"kept"])
        number, first = self.accept()
        self.assertEqual((number, first.received), (0, b"kept\n"))

    def test_a_first_peer_that_never_answers_is_left_in_time(self) -> None:
        self.on_second()
        self.clock.advance(FAILBACK)
        probe = self.probe()
        self.clock.advance(PROBE_TIMEOUT)
        self.assertFalse(probe.pending)
        self.clock.advance(FAILBACK)
        self.assertIsNot(self.probe(), probe)
        self.assertIs(self.link.state, State.READY)

    def test_each_return_that_did_not_hold_doubles_the_wait(self) -> None:
        """A first peer that accepts and closes interrupts less and less often."""
        self.on_second()
        wait = FAILBACK
        for _ in range(6):
            before = self.dials()
            self.clock.advance(wait - 0.1)
            self.assertEqual(self.dials(), before)
            self.clock.advance(0.1)
            self.answer()
            number, first = self.accept()
            self.assertEqual(number, 0)
            self.lose(first, after=1)
            self.assertEqual(self.accept()[0], 1)
            wait = min(2 * wait, LONGEST_WAIT)
        self.assertEqual(wait, LONGEST_WAIT)

    def test_a_return_that_held_makes_the_wait_short_again(self) -> None:
        self.on_second()
        for held in (1, STABLE):
            self.clock.advance(2 * FAILBACK)
            self.answer()
            first = self.accept()[1]
            self.lose(first, after=held)
            if held == STABLE:
                self.refuse()
            self.assertEqual(self.accept()[0], 1)
        before = self.dials()
        self.clock.advance(FAILBACK)
        self.assertEqual(self.dials(), before + 1)
        self.probe().refuse()

    def test_a_link_started_again_has_forgotten_returns_that_failed(self) -> None:
        self.on_second()
        self.clock.advance(FAILBACK)
        self.answer()
        self.lose(self.accept()[1], after=1)
        self.link.stop()
        self.clock.turn()
        self.link.start(self.peers, self.clock)
        self.on_second()
        self.clock.advance(FAILBACK)
        self.probe().refuse()

    def test_a_wait_longer_than_the_longest_is_kept(self) -> None:
        self.peers._failback = self.peers._wait = 2 * LONGEST_WAIT
        self.on_second()
        for _ in range(2):
            before = self.dials()
            self.clock.advance(2 * LONGEST_WAIT - 1)
            self.assertEqual(self.dials(), before)
            self.clock.advance(1)
            self.answer()
            self.lose(self.accept()[1], after=1)
            self.accept()

    def test_a_loss_ends_the_look_at_the_first(self) -> None:
        """The link dials by itself now, and must not be told to drop what it gets."""
        peer = self.on_second()
        self.clock.advance(FAILBACK)
        probe = self.probe()
        peer.reset()
        self.clock.turn()
        self.assertFalse(probe.pending)
        self.clock.advance(60)
        self.assertEqual(self.accept()[0], 0)
        self.assertIs(self.link.state, State.READY)

    def test_a_probe_that_cannot_be_cancelled_closes_when_it_stands(self) -> None:
        peer = self.on_second()
        self.fakes[0].connect = self.deaf  # type: ignore[method-assign]
        self.clock.advance(FAILBACK)
        late = self.late
        peer.reset()
        self.clock.turn()
        served = late.accept()
        self.clock.turn()
        self.assertFalse(served.connected)

    def deaf(self, factory: Any) -> Deferred[Any]:
        endpoint = FakeEndpoint(self.clock)
        endpoint.connect(factory)
        self.late = endpoint.attempts[0]
        return Deferred()

    def test_an_endpoint_that_raises_does_not_answer(self) -> None:
        self.on_second()

        def broken(factory: Any) -> Any:
            raise ZeroDivisionError

        self.fakes[0].connect = broken  # type: ignore[method-assign]
        self.clock.advance(FAILBACK)
        self.assertIs(self.link.state, State.READY)
        self.assertIn("b:1: a:1 does not answer", self.said())

    def test_under_tls_the_first_answers_when_its_handshake_is_done(self) -> None:
        """A dead application behind a live port must not win the link back."""
        self.on_second()
        self.clock.advance(FAILBACK)
        probed = self.probe().accept(secure=True)
        self.clock.turn()
        self.assertIs(self.link.state, State.READY)
        probed.finishHandshake()
        self.clock.turn()
        self.assertFalse(probed.connected)
        self.assertEqual(self.accept()[0], 0)

    def test_a_handshake_that_fails_or_never_ends_is_no_answer(self) -> None:
        self.on_second()
        self.clock.advance(FAILBACK)
        probed = self.probe().accept(secure=True)
        # Twisted's TLS has no connection left to abort by then.
        probed.transport.abortConnection = self.fail  # type: ignore[method-assign]
        probed.reset()
        self.clock.turn()
        self.clock.advance(FAILBACK)
        probed = self.probe().accept(secure=True)
        self.clock.advance(PROBE_TIMEOUT)
        self.clock.turn()
        # An orderly end of TLS would wait for the peer's answer.
        self.assertTrue(probed.aborted)
        self.assertIs(self.link.state, State.READY)


class LinkTests(SynchronousTestCase):
    """Alternatives belong to one link."""

    def setUp(self) -> None:
        self.clock = FakeReactor()
        self.fake = FakeEndpoint(self.clock)
        self.peers = alternatives([self.fake], clock=self.clock)  # type: ignore[list-item]

    def test_a_second_link_is_refused(self) -> None:
        first, second = (ReconnectingFactory.forProtocol(Lines, clock=self.clock) for _ in "ab")
        self.peers.connect(first)
        self.peers.follow(first)
        self.failureResultOf(self.peers.connect(second), LocalError)

    def test_a_factory_that_cannot_tell_good_connections_is_refused(self) -> None:
        """Otherwise a peer that accepts and closes would keep the others from their turn."""
        self.failureResultOf(self.peers.connect(ClientFactory()), LocalError)
        self.peers.follow(ReconnectingFactory.forProtocol(Lines, clock=self.clock))
        self.peers.connect(ClientFactory())
        self.assertEqual(len(self.fake.attempts), 1)

    def test_they_are_called_what_they_call_themselves(self) -> None:
        self.assertEqual(self.peers.name, "fake:1")
        self.assertEqual(repr(self.peers), "<alternatives fake:1>")

        class Nameless:
            def connect(self, factory: Any) -> None:
                """Of an endpoint this is all that is needed to be one."""

            def __repr__(self) -> str:
                return "<nameless>"

        nameless: Any = alternatives([Nameless()])  # type: ignore[list-item]
        self.assertEqual(nameless.name, "<nameless>")

    def test_what_makes_no_sense_is_refused(self) -> None:
        fake: Any = self.fake
        for wrong in (
            lambda: alternatives([]),
            lambda: alternatives([fake], failback=0),
            lambda: alternatives([fake], failback=float("nan")),
            lambda: alternatives([fake], names=["a", "b"]),
        ):
            self.assertRaises(SpecError, wrong)


class GlobalReactorTests(TestCase):
    def test_the_global_reactor_is_used_where_no_clock_is_given(self) -> None:
        clock = FakeReactor()
        fakes: Any = [FakeEndpoint(clock), FakeEndpoint(clock)]
        peers = alternatives(fakes, failback=FAILBACK)
        link = ReconnectingFactory.forProtocol(Lines, clock=clock)
        service = LinkService(peers, link, clock)
        before = len(global_reactor.getDelayedCalls())  # type: ignore[attr-defined]
        service.startService()
        fakes[0].attempts[-1].refuse()
        clock.advance(60)
        fakes[1].attempts[-1].accept()
        self.assertIs(link.state, State.READY)
        self.assertEqual(len(global_reactor.getDelayedCalls()), before + 1)  # type: ignore[attr-defined]
        stopped = service.stopService()
        clock.turn()
        self.assertEqual(len(global_reactor.getDelayedCalls()), before)  # type: ignore[attr-defined]
        self.successResultOf(stopped)


def test_the_examples_of_the_manual_run(pytestconfig: pytest.Config) -> None:
    text = (pytestconfig.rootpath / "docs" / "peers.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    made: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, "docs/peers.md", "exec"), made)
    assert made["peers"].name == "primary.example:5000"
    assert made["service"].factory is made["link"]
    assert "<http feed.example:443 via <tcp proxy.example:3128>>" in repr(made["secure"])
