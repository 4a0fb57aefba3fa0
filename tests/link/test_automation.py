"""Answers, heartbeats, polls and gaps on a link, on an injected clock."""

from __future__ import annotations

import re
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from nbclient import Backoff, FrameProtocol, ReconnectingFactory, State, framing
from nbclient.connection.wording import explain
from nbclient.core.automation import Answer, Heartbeat, Poll
from nbclient.errors import PatternTimeout
from nbclient.testing import HIGH_WATER, FakeEndpoint, FakeReactor, Peer

PING = Answer(re.compile(rb"^PING (.*)"), rb"PONG \1")


class Lines(FrameProtocol):
    framing = framing.lines()

    def frameReceived(self, frame: bytes) -> Any:
        self.factory.frames.append(frame)  # type: ignore[union-attr]
        return self.factory.result  # type: ignore[union-attr]


class Log:
    """Calls `say` with whatever is logged."""

    def __init__(self, say: Any) -> None:
        self.error = self.warn = self.info = say


class TalkTestCase(SynchronousTestCase):
    protocol: Any = Lines

    def link(self, **options: Any) -> Any:
        self.reactor = FakeReactor()
        self.endpoint = FakeEndpoint(self.reactor)
        link: Any = ReconnectingFactory.forProtocol(
            self.protocol, clock=self.reactor, backoff=Backoff(initial=1), **options
        )
        link.frames, link.result = [], None
        link.start(self.endpoint)
        return link

    def ready(self, **options: Any) -> tuple[Any, Peer]:
        link = self.link(**options)
        return link, self.endpoint.attempts[-1].accept()

    def feed(self, peer: Peer, data: bytes) -> None:
        peer.send(data)
        self.reactor.turn()


class AnswerTests(TalkTestCase):
    def test_the_application_gets_the_frame_and_the_peer_the_answer(self) -> None:
        link, peer = self.ready(answers=[PING])
        self.feed(peer, b"one\nPING a\nPING b\ntwo\n")
        self.assertEqual(link.frames, [b"one", b"PING a", b"PING b", b"two"])
        self.assertEqual(peer.received, b"PONG a\nPONG b\n")

    def test_the_answer_comes_after_the_application_took_the_frame(self) -> None:
        link, peer = self.ready(answers=[PING])
        link.result = Deferred()
        self.feed(peer, b"PING a\n")
        self.assertEqual(peer.received, b"")
        link.result.callback(None)
        self.reactor.turn()
        self.assertEqual(peer.received, b"PONG a\n")

    def test_the_same_for_a_batch_callback(self) -> None:
        class Batches(Lines):
            def framesReceived(self, frames: list[bytes]) -> Any:
                self.factory.frames.extend(frames)  # type: ignore[union-attr]
                return self.factory.result  # type: ignore[union-attr]

        self.protocol = Batches
        link, peer = self.ready(answers=[PING])
        link.result = Deferred()
        self.feed(peer, b"PING a\nmore\n")
        self.assertEqual((link.frames, peer.received), ([b"PING a"], b""))
        link.result.callback(None)
        self.reactor.turn()
        self.assertEqual((link.frames, peer.received), ([b"PING a", b"more"], b"PONG a\n"))

    def test_in_the_opening_too_also_for_a_frame_that_was_waited_for(self) -> None:
        class Login(Lines):
            async def opening(self) -> None:  # type: ignore[override]
                self.factory.frames.append((await self.nextFrame(), await self.nextFrame()))  # type: ignore[union-attr]

        self.protocol = Login
        link, peer = self.ready(answers=[PING])
        self.feed(peer, b"PING 1\nwelcome\n")
        self.assertEqual(link.frames, [(b"PING 1", b"welcome")])
        self.assertEqual(peer.received, b"PONG 1\n")
        self.assertIs(link.state, State.READY)

    def test_after_our_close_there_is_no_answer(self) -> None:
        class Closing(Lines):
            def frameReceived(self, frame: bytes) -> None:
                self.loseConnection()

        self.protocol = Closing
        _, peer = self.ready(answers=[PING])
        self.feed(peer, b"PING a\n")
        self.assertEqual(peer.received, b"")

    def test_an_answer_that_cannot_be_framed_is_one_line_in_the_log(self) -> None:
        link, peer = self.ready(answers=[Answer(re.compile(b"x"), b"two\nlines")])
        said: list[str] = []
        link.connection.log = Log(lambda text, **_: said.append(text))
        self.feed(peer, b"x\ny\nx\nx\n")
        self.assertEqual(link.frames, [b"x", b"y", b"x", b"x"])
        self.assertEqual(said, ["{link}: no answer: {why}"])  # the peer must not fill the log

    def test_a_pattern_that_takes_too_long_ends_the_connection_and_names_the_peer(self) -> None:
        class Slow:
            def search(self, data: bytes) -> None:
                raise PatternTimeout(0.1, b"(a+)+$")

        slow: Any = Slow()
        link, peer = self.ready(answers=[Answer(slow, b"x")])
        self.feed(peer, b"aaaaaaaa!\nb\n")
        self.assertEqual(link.frames, [])
        self.assertIs(link.state, State.WAITING)
        self.assertIn("(a+)+$", explain(link.lastReason))

    def test_the_rest_of_an_interrupted_loop_is_answered_too(self) -> None:
        tokens: list[Any] = []

        class Pausing(Lines):
            def frameReceived(self, frame: bytes) -> None:
                super().frameReceived(frame)
                tokens.append(self.pauseReading())

        self.protocol = Pausing
        link, peer = self.ready(answers=[PING])
        self.feed(peer, b"PING a\nPING b\n")
        self.assertEqual(link.frames, [b"PING a"])
        for _ in range(2):
            tokens.pop().resume()
            self.reactor.turn()
        self.assertEqual(peer.received, b"PONG a\nPONG b\n")


class HeartbeatTests(TalkTestCase):
    def test_it_is_sent_when_nothing_else_was(self) -> None:
        link, peer = self.ready(heartbeat=Heartbeat(b"", 10))
        self.reactor.advance(9)
        link.send([b"data"])
        self.reactor.advance(9)
        self.reactor.turn()
        self.assertEqual(peer.received, b"data\n")
        self.reactor.advance(1)
        self.reactor.turn()
        self.assertEqual(peer.received, b"data\n\n")
        self.reactor.advance(10)
        self.reactor.turn()
        self.assertEqual(peer.received, b"data\n\n\n")

    def test_it_ends_with_the_connection_and_begins_with_the_next(self) -> None:
        link, peer = self.ready(heartbeat=Heartbeat(b"h", 10))
        peer.reset()
        self.reactor.turn()
        self.reactor.advance(60)
        second = self.endpoint.attempts[-1].accept()
        self.reactor.advance(10)
        self.reactor.turn()
        self.assertEqual(second.received, b"h\n")
        link.stop()
        self.reactor.turn()
        self.assertEqual(self.reactor.pending(), [])

    def test_one_that_cannot_be_framed_is_said_and_costs_no_link(self) -> None:
        link, _ = self.ready(heartbeat=Heartbeat(b"two\nlines", 10))
        said: list[Any] = []
        link._talker.log = Log(lambda text, **words: said.append(words["why"]))
        self.reactor.advance(10)
        self.assertEqual(len(said), 1)
        self.assertIs(link.state, State.READY)

    def test_behind_a_full_transport_they_do_not_pile_up(self) -> None:
        """They would be old when they leave, and a peer that never reads would fill the memory."""
        _, peer = self.ready(heartbeat=Heartbeat(b"x" * 100_000, every=1))
        peer.stall()
        self.reactor.advance(1)
        for _ in range(50):
            self.reactor.advance(1)
        peer.unstall()
        self.reactor.turn(20)
        self.assertLess(len(peer.received), 400_000)


class PollTests(TalkTestCase):
    def test_while_this_side_does_not_read_nobody_is_blamed(self) -> None:
        link, peer = self.ready(poll=Poll(b"?", every=1, timeout=2))
        link.result = Deferred()
        self.feed(peer, b"held\n")
        said: list[str] = []
        link._talker.log = Log(lambda text, **_: said.append(text))
        for _ in range(10):
            self.reactor.advance(1)
        link.stop()
        self.assertEqual(said, [])

    def test_it_is_asked_on_its_schedule_while_it_is_answered(self) -> None:
        _, peer = self.ready(poll=Poll(b"?", 2))
        for _ in range(3):
            self.reactor.turn()
            self.feed(peer, b"42\n")
            self.reactor.advance(2)
        self.reactor.turn()
        self.assertEqual(peer.received, b"?\n" * 4)

    def test_after_a_standstill_an_answer_that_had_arrived_counts(self) -> None:
        link, peer = self.ready(poll=Poll(b"?", every=10, timeout=5))
        self.reactor.turn()
        self.reactor.rightNow += 60
        self.feed(peer, b"here\n")
        self.assertEqual(peer.received, b"?\n?\n")
        self.assertEqual(link._talker._polling.unanswered, 0)

    def test_the_first_poll_without_an_answer_is_told_at_once_and_so_is_the_next_answer(
        self,
    ) -> None:
        """A connection may last for months: its end is too late to hear of it."""
        link, peer = self.ready(poll=Poll(b"?", 1, timeout=1))
        said: list[str] = []
        link._talker.log = Log(lambda text, **words: said.append(text.format(**words)))
        for _ in range(3):
            self.reactor.advance(1)
        silent = [f"{link.name}: a poll was not answered within 1 s"]
        self.assertEqual((peer.received, said), (b"?\n" * 4, silent))
        self.feed(peer, b"!\n")
        self.reactor.advance(1)
        answered = [*silent, f"{link.name}: polls are answered again, 3 of 4 were not"]
        self.assertEqual(said, answered)
        # A device that answers now and then does not fill the log.
        for _ in range(25):
            self.feed(peer, b"!\n")
            for _ in range(2):
                self.reactor.advance(1)
        self.assertEqual(said, answered)
        for _ in range(10):
            self.feed(peer, b"!\n")
            for _ in range(2):
                self.reactor.advance(1)
        self.assertEqual(len(said), 4)

    def test_unanswered_the_next_waits_for_the_timeout_and_the_end_says_so(self) -> None:
        link, peer = self.ready(poll=Poll(b"?", 2, timeout=5))
        said: list[Any] = []
        link._talker.log = Log(lambda text, **words: said.append(words))
        for _ in range(5):
            self.reactor.advance(1)
        self.reactor.turn()
        self.assertEqual(peer.received, b"?\n")
        self.reactor.advance(1)
        self.reactor.turn()
        self.assertEqual(peer.received, b"?\n?\n")
        link.stop()
        self.reactor.turn()
        self.assertEqual((said[-1]["unanswered"], said[-1]["asked"]), (1, 2))

    def test_polls_do_not_pile_up_at_a_peer_that_answers_and_does_not_read(self) -> None:
        link, peer = self.ready(poll=Poll(b"?" * 10_000, 1))
        said: list[str] = []
        link._talker.log = Log(lambda text, **words: said.append(text.format(**words)))
        peer.stall()
        for _ in range(100):
            self.feed(peer, b"!\n")
            self.reactor.advance(1)
        self.assertLess(len(peer.transport.unsent), HIGH_WATER + 10_002)
        self.assertEqual(
            said, [f"{link.name}: the peer does not read, polls are left out until it does"]
        )
        peer.unstall()
        self.reactor.turn()
        before = len(peer.received)
        self.reactor.advance(1)
        self.reactor.turn()
        self.assertEqual(len(peer.received) - before, 10_001)
        link.stop()
        self.assertIn("polls were left out, the peer was not reading", said[-1])
        self.assertEqual(len(said), 2)

    def test_the_first_is_asked_although_a_read_made_the_link_ready(self) -> None:
        class Login(Lines):
            async def opening(self) -> None:  # type: ignore[override]
                await self.nextFrame()

        self.protocol = Login
        _, peer = self.ready(poll=Poll(b"?", 10))
        self.feed(peer, b"welcome\n")
        self.assertEqual(peer.received, b"?\n")

    def test_it_is_not_kept_for_the_next_connection(self) -> None:
        link, peer = self.ready(poll=Poll(b"?", 2))
        self.assertEqual(link.stats().outbox.offered, 0)
        peer.reset()
        self.reactor.turn()
        self.reactor.advance(1)
        second = self.endpoint.attempts[-1].accept()
        self.reactor.turn()
        self.assertEqual(second.received, b"?\n")


class GapTests(TalkTestCase):
    def test_frames_of_the_outbox_keep_their_distance(self) -> None:
        link, peer = self.ready(sendGap=1.0)
        link.send([b"a", b"b", b"c"])
        seen = []
        for _ in range(4):
            self.reactor.turn()
            seen.append(peer.received)
            self.reactor.advance(1)
        self.assertEqual(seen, [b"a\n", b"a\nb\n", b"a\nb\nc\n", b"a\nb\nc\n"])

    def test_a_lost_connection_takes_its_timer_along(self) -> None:
        link, peer = self.ready(sendGap=1.0)
        link.send([b"a", b"b"])
        peer.reset()
        link.stop()
        self.reactor.turn()
        self.assertEqual(self.reactor.pending(), [])
