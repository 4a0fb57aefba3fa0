"""Requests and their answers: whose each answer is, and what becomes of the others."""

from __future__ import annotations

import re
import socket
from collections.abc import Hashable
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.protocol import Factory
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase, TestCase

from nbclient import Backoff, ReconnectingFactory, RequestProtocol, State, framing
from nbclient.connection import requests as requests_module
from nbclient.connection.receiver import PauseToken
from nbclient.connection.requests import REQUEST_COST
from nbclient.errors import (
    ArgumentError,
    CallbackFailed,
    ConnectionClosed,
    FrameError,
    LocalError,
    RequestsFull,
    RequestTimeout,
)
from nbclient.testing import HIGH_WATER, FakeEndpoint, FakeReactor, Peer, every_split
from tests.real.children import PATIENCE, Child, example

PAGE = (Path(__file__).parents[2] / "docs" / "requests.md").read_text()


class Asking(RequestProtocol):
    """Answers in turn; writes down what answers nothing."""

    framing = framing.lines()
    requestWindow = 3
    requestTimeout = 10.0

    def __init__(self) -> None:
        self.events: list[Any] = []

    @property
    def frames(self) -> list[bytes]:
        return [event for event in self.events if isinstance(event, bytes)]

    def frameReceived(self, frame: bytes) -> Any:
        self.events.append(frame)

    def connectionLost(self, reason: Any = None) -> None:
        self.events.append(("lost", reason.type))


class Keyed(Asking):
    """Answers by key: what is before a colon."""

    def answerKey(self, frame: bytes) -> Hashable | None:
        key, colon, _ = frame.partition(b":")
        return key if colon else None


class Relay(Asking):
    """Asks about each frame the peer pushes, and holds back the next one meanwhile."""

    async def frameReceived(self, frame: bytes) -> None:  # type: ignore[override]
        self.events.append((frame, await self.request(b"about " + frame)))


class RelayByKey(Relay, Keyed):
    async def frameReceived(self, frame: bytes) -> None:  # type: ignore[override]
        self.events.append((frame, await self.request(b"%s:?" % frame)))


class RequestsTestCase(SynchronousTestCase):
    """Gives each test a protocol, its transport and the other end."""

    def connect(self, protocol: Any, secure: bool = False) -> Peer:
        self.reactor = FakeReactor()
        protocol.clock = self.reactor
        endpoint = FakeEndpoint(self.reactor)
        factory: Factory[Any] = Factory.forProtocol(lambda: protocol)
        factory.noisy = False
        endpoint.connect(factory)
        return endpoint.attempts[0].accept(secure=secure)

    def feed(self, peer: Peer, data: bytes) -> None:
        peer.send(data)
        self.reactor.turn()

    def asked(self, peer: Peer) -> list[bytes]:
        """The requests that the peer has."""
        self.reactor.turn()
        return peer.received.splitlines()

    def timers(self) -> list[str]:
        """Those of requests: a connection without a link has no others."""
        return [call for call in self.reactor.pending() if "Timers" in call]

    def results(self, *answers: Deferred[bytes]) -> list[bytes]:
        return [self.successResultOf(answer) for answer in answers]


class InTurnTests(RequestsTestCase):
    """The n-th answer is the n-th request's."""

    def test_each_answer_goes_to_its_own_request_however_the_bytes_are_cut(self) -> None:
        for chunks in every_split(b"1\r\n2\n\nnews\n"):
            protocol = Asking()
            peer = self.connect(protocol)
            answers = [protocol.request(b"q%d" % n) for n in range(3)]
            self.assertEqual(self.asked(peer), [b"q0", b"q1", b"q2"])
            for chunk in chunks:
                self.feed(peer, chunk)
            self.assertEqual(self.results(*answers), [b"1", b"2", b""])
            self.assertEqual(protocol.frames, [b"news"])
            self.assertEqual(protocol.framesIn, 4)

    def test_while_nothing_is_asked_frames_come_as_they_always_do(self) -> None:
        class Batches(Asking):
            def framesReceived(self, frames: list[bytes]) -> Any:
                self.events.append(frames)

        protocol = Batches()
        peer = self.connect(protocol)
        self.feed(peer, b"a\nb\n")
        answer = protocol.request(b"q")
        self.feed(peer, b"1\nc\nd\n")
        self.assertEqual(self.results(answer), [b"1"])
        self.assertEqual(protocol.events, [[b"a", b"b"], [b"c", b"d"]])

    def test_what_had_arrived_when_a_request_left_is_not_its_answer(self) -> None:
        """Two pushed frames in one read; the callback of the first one asks."""

        class Curious(Asking):
            def frameReceived(self, frame: bytes) -> Any:
                self.events.append(frame)
                if frame == b"push":
                    self.answer = self.request(b"q")

        protocol = Curious()
        peer = self.connect(protocol)
        self.feed(peer, b"push\nmore\nmuch more\n")
        self.assertEqual(protocol.frames, [b"push", b"more", b"much more"])
        self.feed(peer, b"1\n")
        self.assertEqual(self.results(protocol.answer), [b"1"])

    def test_nor_is_what_waited_for_a_pause_to_end(self) -> None:
        protocol = Asking()
        peer = self.connect(protocol)
        token = protocol.pauseReading()
        protocol.dataReceived(b"early\n")
        answer = protocol.request(b"q")
        protocol.dataReceived(b"1\nlate\n")
        token.resume()
        self.assertEqual(protocol.frames, [b"early", b"late"])
        self.assertEqual(self.results(answer), [b"1"])
        self.assertEqual(self.asked(peer), [b"q"])

    def test_an_answers_callback_may_ask_again_and_what_is_behind_is_pushed(self) -> None:
        protocol = Asking()
        peer = self.connect(protocol)
        again: list[Deferred[bytes]] = []
        protocol.request(b"q1").addCallback(lambda _: again.append(protocol.request(b"q2")))
        self.feed(peer, b"1\npush\n")
        self.assertEqual(protocol.frames, [b"push"])
        self.feed(peer, b"2\n")
        self.assertEqual(self.results(*again), [b"2"])

    def test_the_requests_of_one_turn_leave_in_one_piece(self) -> None:
        writes: list[bytes] = []
        protocol = Asking()
        peer = self.connect(protocol)
        protocol.request(b"q").addCallback(lambda _: [protocol.request(b"r") for _ in range(3)])
        self.reactor.turn()
        real = peer.transport.write
        peer.transport.write = lambda data: (writes.append(data), real(data))[1]  # type: ignore[method-assign]
        self.feed(peer, b"1\n")
        self.assertEqual(writes, [b"r\nr\nr\n"])


class ByKeyTests(RequestsTestCase):
    """Answers in any order, with other frames between them."""

    def test_each_answer_goes_to_the_request_of_its_key(self) -> None:
        for chunks in every_split(b"b:2\nnews\nx:9\na:1\nmore\n"):
            protocol = Keyed()
            peer = self.connect(protocol)
            a, b = protocol.request(b"a:?"), protocol.request(b"b:?")
            for chunk in chunks:
                self.feed(peer, chunk)
            self.assertEqual(self.results(a, b), [b"a:1", b"b:2"])
            self.assertEqual(protocol.frames, [b"news", b"x:9", b"more"])

    def test_pushed_frames_and_answers_keep_their_order(self) -> None:
        protocol = Keyed()
        peer = self.connect(protocol)
        for name in (b"a", b"b"):
            protocol.request(name + b":?").addCallback(lambda f: protocol.events.append([f]))
        self.feed(peer, b"1\n2\na:\n3\nb:\n4\n5\n")
        events = [b"1", b"2", [b"a:"], b"3", [b"b:"], b"4", b"5"]
        self.assertEqual(protocol.events, events)

    def test_a_batch_callback_gets_what_lies_between_answers(self) -> None:
        class Batches(Keyed):
            def framesReceived(self, frames: list[bytes]) -> Any:
                self.events.append(frames)
                return self.pause

            pause: Any = None

        protocol = Batches()
        peer = self.connect(protocol)
        a, b = protocol.request(b"a:?"), protocol.request(b"b:?")
        self.feed(peer, b"1\n2\na:\n3\n")
        self.assertEqual(protocol.events, [[b"1", b"2"], [b"3"]])
        protocol.pause = Deferred()
        self.feed(peer, b"4\nb:\n5\n")
        self.assertEqual(self.results(a, b), [b"a:", b"b:"])
        self.assertEqual(protocol.events[2:], [[b"4"]])
        protocol.pause.callback(None)
        self.assertEqual(protocol.events[2:], [[b"4"], [b"5"]])

    def test_a_request_without_a_key_or_with_one_that_is_owed_is_refused(self) -> None:
        protocol = Keyed()
        peer = self.connect(protocol)
        first = protocol.request(b"a:?")
        self.failureResultOf(protocol.request(b"a:??"), LocalError)
        self.failureResultOf(protocol.request(b"none"), LocalError)
        self.assertEqual(self.asked(peer), [b"a:?"])
        self.feed(peer, b"a:1\n")
        self.assertEqual(self.results(first), [b"a:1"])

    def test_requests_may_carry_the_key_in_another_place(self) -> None:
        class Asymmetric(Keyed):
            def requestKey(self, frame: bytes) -> Hashable | None:
                return frame.rpartition(b" ")[2]

        protocol = Asymmetric()
        peer = self.connect(protocol)
        answer = protocol.request(b"get a")
        self.feed(peer, b"a:1\n")
        self.assertEqual(self.results(answer), [b"a:1"])

    def test_a_key_function_that_raises_is_a_fault_of_the_application(self) -> None:
        class Broken(Asking):
            def answerKey(self, frame: bytes) -> Hashable | None:
                return frame[100]

            def requestKey(self, frame: bytes) -> Hashable | None:
                return frame[0]

        protocol = Broken()
        peer = self.connect(protocol)
        self.failureResultOf(protocol.request(b""), IndexError)
        answer = protocol.request(b"q")
        self.feed(peer, b"1\n")
        self.failureResultOf(answer, ConnectionClosed)
        self.assertTrue(peer.aborted)
        self.assertEqual(len(self.flushLoggedErrors(IndexError)), 1)

    def test_in_turn_no_frame_has_a_key(self) -> None:
        self.assertIsNone(Asking().requestKey(b"a:1"))


class WindowTests(RequestsTestCase):
    """Not more than so many at once; the others wait, in order, bounded."""

    def test_requests_beyond_the_window_wait_for_answers(self) -> None:
        protocol = Asking()
        peer = self.connect(protocol)
        answers = [protocol.request(b"q%d" % n) for n in range(7)]
        self.assertEqual(self.asked(peer), [b"q0", b"q1", b"q2"])
        self.feed(peer, b"0\n1\n")
        self.assertEqual(self.asked(peer), [b"q0", b"q1", b"q2", b"q3", b"q4"])
        self.feed(peer, b"2\n3\n4\n")
        self.feed(peer, b"5\n6\n")
        self.assertEqual(self.results(*answers), [b"%d" % n for n in range(7)])

    def test_nobody_overtakes_a_request_that_waits(self) -> None:
        protocol = Asking()
        peer = self.connect(protocol)
        protocol.request(b"0").addCallback(lambda _: protocol.request(b"last"))
        for n in range(1, 5):
            protocol.request(b"%d" % n)
        self.feed(peer, b"a\n")
        self.feed(peer, b"a\na\na\na\n")
        self.assertEqual(self.asked(peer), [b"0", b"1", b"2", b"3", b"4", b"last"])

    def test_what_waits_is_bounded_and_what_is_beyond_is_refused(self) -> None:
        class Small(Asking):
            requestWindow = 1
            requestBytes = 2 * (REQUEST_COST + 2)

        protocol = Small()
        peer = self.connect(protocol)
        for _ in range(2):
            answers = [protocol.request(b"q%d" % n) for n in range(3)]
            refused = self.failureResultOf(protocol.request(b"q3"), RequestsFull)
            self.assertEqual(refused.value.limit, Small.requestBytes)
            for _ in range(3):
                self.feed(peer, b"a\n")
            self.assertEqual(self.results(*answers), [b"a"] * 3)

    def test_an_unsendable_request_is_refused_at_once_whether_it_would_wait_or_not(self) -> None:
        protocol = Asking()
        peer = self.connect(protocol)
        self.failureResultOf(protocol.request(b"not\nfine"), FrameError)
        answers = [protocol.request(b"q%d" % n) for n in range(3)]
        self.failureResultOf(protocol.request(b"not\nfine"), FrameError)
        self.feed(peer, b"0\n1\n2\n")
        self.assertEqual(self.results(*answers), [b"0", b"1", b"2"])

    def test_a_framing_changed_meanwhile_may_refuse_one_that_waits_and_the_next_goes_on(
        self,
    ) -> None:
        protocol = Asking()
        protocol.framing = framing.netstring()
        peer = self.connect(protocol)
        answers = [protocol.request(b"q\n%d" % n) for n in range(3)]
        refused, fine = protocol.request(b"not\nfine"), protocol.request(b"fine")
        protocol.setFraming(framing.lines())
        self.feed(peer, b"0\n1\n2\n")
        self.feed(peer, b"3\n")
        self.assertEqual(self.results(*answers, fine), [b"0", b"1", b"2", b"3"])
        self.failureResultOf(refused, FrameError)

    def test_settings_that_make_no_sense_are_told(self) -> None:
        for name, values in {
            "requestWindow": (0, -1, "8", None, 1.5, True),
            "requestTimeout": (0, -1, "5", True, float("nan"), float("inf")),
            "requestBytes": (0, None, "1"),
            "clock": ("x", 5),
        }.items():
            for value in values:
                with self.assertRaisesRegex(ArgumentError, rf"^Odd\.{name} takes "):
                    type("Odd", (Asking,), {name: value})

    def test_settings_of_one_connection_that_make_no_sense_are_told(self) -> None:
        class Odd(Asking):
            requestWindow = property(lambda self: 0)  # type: ignore[assignment]

        protocol = Odd()
        self.connect(protocol)
        failure = self.failureResultOf(protocol.request(b"q"), ArgumentError)
        self.assertIn("Odd.requestWindow takes a whole number from 1", str(failure.value))

    def test_requests_to_a_peer_that_does_not_read_do_not_stop_reading(self) -> None:
        """It may wait for us to read its answers."""

        class Bulky(Relay):
            framing = framing.lines(max_frame=4 * HIGH_WATER)
            requestWindow = 100

            async def frameReceived(self, frame: bytes) -> None:  # type: ignore[override]
                bulk = b"x" * 4 * HIGH_WATER
                await gatherResults([self.request(bulk) for _ in range(10)])
                self.events.append(frame)

        protocol = Bulky()
        peer = self.connect(protocol)
        peer.stall()
        self.feed(peer, b"go\n")
        self.assertFalse(protocol.readingHeld)
        self.feed(peer, b"a\n" * 10)
        self.assertEqual(protocol.frames, [b"go"])


class CancellingTests(RequestsTestCase):
    def test_one_that_waits_is_withdrawn_and_makes_room(self) -> None:
        protocol = Asking()
        peer = self.connect(protocol)
        answers = [protocol.request(b"q%d" % n) for n in range(5)]
        answers[3].cancel()
        self.failureResultOf(answers[3], CancelledError)
        self.feed(peer, b"0\n1\n2\n")
        self.assertEqual(self.asked(peer), [b"q0", b"q1", b"q2", b"q4"])
        self.assertEqual(protocol._queueBytes, 0)

    def test_the_answer_to_one_that_has_left_is_taken_and_thrown_away(self) -> None:
        """It must not pass for the next one's."""
        protocol = Asking()
        peer = self.connect(protocol)
        first, second = protocol.request(b"q1"), protocol.request(b"q2")
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.feed(peer, b"1\n2\nnews\n")
        self.assertEqual(self.results(second), [b"2"])
        self.assertEqual(protocol.frames, [b"news"])

    def test_one_that_was_cancelled_may_be_overdue_or_lost_all_the_same(self) -> None:
        for protocol in (Keyed(), Asking()):
            peer = self.connect(protocol)
            answer = protocol.request(b"a:?")
            answer.cancel()
            self.failureResultOf(answer, CancelledError)
            if isinstance(protocol, Keyed):
                self.reactor.advance(10)
            else:
                peer.reset()
                self.reactor.turn()


class TimeoutTests(RequestsTestCase):
    """Seconds from leaving to the answer."""

    def test_in_turn_a_timeout_drops_the_connection(self) -> None:
        """The next answer may be the late one, and would be taken for another's."""
        protocol = Asking()
        peer = self.connect(protocol)
        answers = []
        for _ in range(3):
            answers.append(protocol.request(b"q"))
            self.reactor.advance(3)
        answers.append(protocol.request(b"waits"))
        self.assertTrue(peer.connected)
        peer.send(b"half")
        self.reactor.advance(1)
        late = self.failureResultOf(answers[0], RequestTimeout).value
        self.assertEqual((late.seconds, late.unfinished), (10, b"half"))
        for answer in answers[1:]:
            self.failureResultOf(answer, ConnectionClosed)
        self.assertTrue(peer.aborted or not peer.connected)
        self.reactor.turn()
        self.assertEqual(protocol.events, [("lost", ConnectionAborted)])
        self.assertEqual(self.timers(), [])

    def test_by_key_only_the_request_fails_and_its_room_is_free(self) -> None:
        class Narrow(Keyed):
            requestWindow = 1

        protocol = Narrow()
        peer = self.connect(protocol)
        late, waiting = protocol.request(b"a:?"), protocol.request(b"b:?")
        self.reactor.advance(9)
        self.assertNoResult(late)
        self.reactor.advance(1)
        self.failureResultOf(late, RequestTimeout)
        self.assertEqual(self.asked(peer), [b"a:?", b"b:?"])
        self.feed(peer, b"a:late\nb:2\n")
        self.assertEqual(self.results(waiting), [b"b:2"])
        self.assertEqual(protocol.frames, [b"a:late"])

    def test_at_a_peer_that_does_not_read_timeouts_make_no_room_for_more(self) -> None:
        protocol = Keyed()
        peer = self.connect(protocol)
        peer.stall()
        answers = []
        for number in range(100):
            answers.append(protocol.request(b"%d:" % number + b"?" * 10_000))
            self.reactor.advance(protocol.requestTimeout)
        self.assertLess(len(peer.transport.unsent), HIGH_WATER + 10_010)
        waiting = [place for place, each in enumerate(answers) if not each.called]
        self.assertGreater(len(waiting), 80)
        for each in answers:
            each.addErrback(lambda _: None)
        peer.unstall()
        self.reactor.turn()
        self.assertTrue(b"\n%d:?" % waiting[0] in peer.received)  # those have their turn

    def test_a_fault_among_what_arrived_before_the_loss_ends_the_waiting(self) -> None:
        class Short(Relay):
            framing = framing.lines(max_frame=10)

            async def frameReceived(self, frame: bytes) -> None:  # type: ignore[override]
                self.events.append(frame)
                await self.request(b"about")

        protocol = Short()
        peer = self.connect(protocol)
        self.feed(peer, b"push\n")
        peer.send(b"x" * 100)
        peer.resets = True
        protocol.sendFrame(b"void")
        self.reactor.turn()
        self.assertEqual(protocol.events, [b"push", ("lost", ConnectionLost)])

    def test_by_key_a_late_answer_frees_its_key_with_nothing_else_on_its_way(self) -> None:
        for prepare in (
            lambda _: None,
            lambda protocol: protocol.expect(re.compile(b"never")),  # one frame at a time
        ):
            protocol = Keyed()
            peer = self.connect(protocol)
            late = protocol.request(b"a:?")
            self.reactor.advance(10)
            self.failureResultOf(late, RequestTimeout)
            prepare(protocol)
            self.feed(peer, b"news\na:late\nmore\n")
            self.assertEqual(protocol.frames, [b"news", b"a:late", b"more"])
            again = protocol.request(b"a:?")
            self.feed(peer, b"a:1\n")
            self.assertEqual(self.results(again), [b"a:1"])

    def test_so_it_does_behind_a_callback_that_asks(self) -> None:
        protocol = RelayByKey()
        peer = self.connect(protocol)
        late = protocol.request(b"a:?")
        self.reactor.advance(10)
        self.failureResultOf(late, RequestTimeout)
        self.feed(peer, b"b\n")  # whose callback asks about it, by the key b
        self.feed(peer, b"a:late\nb:1\n")
        self.assertEqual(self.asked(peer)[-1], b"a:late:?")  # which has the key a

    def test_the_class_of_the_page_outlives_a_late_answer_and_any_that_nobody_asked(self) -> None:
        names: dict[str, Any] = {}
        exec(re.search(r"<!-- code: by key -->\n```python\n(.*?)```", PAGE, re.S)[1], names)  # type: ignore[index]
        protocol = names["Modbus"]()
        peer = self.connect(protocol)
        frame = b"\0\1\0\0\0\2\1\3"
        late = protocol.request(frame)
        self.reactor.advance(30)
        self.failureResultOf(late, RequestTimeout)
        with capturedLogs() as logs:
            self.feed(peer, 3 * frame)
        self.assertEqual(len([log for log in logs if "is dropped" in log["log_format"]]), 1)
        again = protocol.request(frame)
        self.feed(peer, frame)
        self.assertEqual(self.results(again), [frame])
        self.assertTrue(peer.connected)

    def test_a_loop_that_waits_for_frames_leaves_answers_to_their_requests(self) -> None:
        for kind, sent, left in (
            (Keyed, b"event\n1:yes\nmore\n", [b"event", b"more"]),
            (Asking, b"1:yes\nmore\n", [b"more"]),
        ):
            protocol = kind()
            peer = self.connect(protocol)
            loop = RequestProtocol.frames(protocol)
            waiting = [loop.next(), loop.next()]
            seen = protocol.expect(re.compile(b"yes"))
            answer = protocol.request(b"1:")
            self.feed(peer, sent)
            self.assertEqual(self.results(answer), [b"1:yes"])
            self.assertEqual(self.successResultOf(seen)[0], b"yes")
            self.assertEqual(self.results(*waiting[: len(left)]), left)
            for each in waiting[len(left) :]:
                each.addErrback(lambda _: None)
            loop.close()
            self.assertEqual(protocol.events, [])

    def test_a_late_answer_frees_its_key_whatever_takes_it(self) -> None:
        for pulled in (True, False):
            protocol = Keyed()
            peer = self.connect(protocol)
            late = protocol.request(b"1:")
            self.reactor.advance(10)
            self.failureResultOf(late, RequestTimeout)
            loop = RequestProtocol.frames(protocol) if pulled else None
            taken = protocol.nextFrame() if loop is None else loop.next()
            self.feed(peer, b"1:late\n")
            self.assertEqual(self.results(taken), [b"1:late"])
            again = protocol.request(b"1:")
            self.feed(peer, b"1:yes\n")
            self.assertEqual(self.results(again), [b"1:yes"])

    def test_a_deadline_that_adds_nothing_to_the_clock_has_come(self) -> None:
        """The timer would be set again for the same moment, and time stand still."""
        protocol = Keyed()
        protocol.requestTimeout = 2  # type: ignore[misc]
        self.connect(protocol)
        self.reactor.advance(0.3)
        late = protocol.request(b"1:")  # due at 2.3, and 2 - (2.3 - 0.3) is more than 0
        self.reactor.advance(2)
        self.failureResultOf(late, RequestTimeout)
        self.assertEqual(self.timers(), [])

    def test_what_is_no_frame_is_refused_also_where_it_would_have_to_wait(self) -> None:
        protocol = Asking()
        self.connect(protocol)
        asked = [protocol.request(b"q") for _ in range(3)]
        for frame in ("text", bytearray(b"x")):
            self.failureResultOf(protocol.request(frame), TypeError)  # type: ignore[arg-type]
        self.assertEqual(len(protocol._queue or ()), 0)
        protocol.abortConnection()
        for each in asked:
            self.failureResultOf(each, ConnectionClosed)

    def test_an_answer_in_time_sets_the_clock_for_the_next_request(self) -> None:
        protocol = Asking()
        peer = self.connect(protocol)
        first = protocol.request(b"q1")
        self.reactor.advance(6)
        second = protocol.request(b"q2")
        self.feed(peer, b"1\n")
        self.reactor.advance(9)
        self.assertEqual(self.results(first), [b"1"])
        self.assertNoResult(second)
        self.reactor.advance(1)
        self.failureResultOf(second, RequestTimeout)

    def test_when_all_is_answered_the_timer_runs_out_quietly(self) -> None:
        protocol = Asking()
        peer = self.connect(protocol)
        protocol.request(b"q")
        self.feed(peer, b"1\n")
        self.assertEqual(len(self.timers()), 1)
        self.reactor.advance(10)
        self.assertEqual(self.timers(), [])
        self.assertTrue(peer.connected)

    def test_after_a_standstill_an_answer_that_had_arrived_is_in_time(self) -> None:
        """However much of what is no answer lies before it."""
        protocol = Keyed()
        peer = self.connect(protocol)
        answer = protocol.request(b"a:?")
        self.reactor.turn()
        self.reactor.rightNow += 60
        peer.send(b"news\n" * 50_000 + b"a:1\n")
        self.reactor.turn()
        self.assertEqual(self.results(answer), [b"a:1"])
        self.assertEqual(len(protocol.frames), 50_000)
        self.assertEqual(self.timers(), [])

    def test_a_request_that_left_behind_a_standstill_gets_its_time_once_more(self) -> None:
        self.patch(Asking, "spokeWithin", lambda _, seconds: True)
        protocol = Asking()
        self.connect(protocol)
        answer = protocol.request(b"q")
        self.reactor.rightNow += 60
        self.reactor.turn()
        self.reactor.advance(9)
        self.assertNoResult(answer)
        self.reactor.rightNow += 60
        self.reactor.turn()
        self.failureResultOf(answer, RequestTimeout)

    def test_frames_that_wait_for_the_application_outlive_a_timeout(self) -> None:
        class Slow(Asking):
            def frameReceived(self, frame: bytes) -> Any:
                super().frameReceived(frame)
                return done if len(self.frames) == 1 else None

        done: Deferred[None] = Deferred()
        protocol = Slow()
        peer = self.connect(protocol)
        self.feed(peer, b"one\n")
        peer.send(b"two\n")
        token = protocol.pauseReading()  # else it would pass for the answer
        self.reactor.turn()
        answers = [protocol.request(b"q")]
        self.reactor.advance(1)
        answers.append(protocol.request(b"q"))
        self.reactor.advance(9)
        self.failureResultOf(answers[0], RequestTimeout)
        self.failureResultOf(answers[1], ConnectionClosed)
        done.callback(None)
        token.resume()
        self.reactor.turn()
        self.assertEqual(protocol.events, [b"one", b"two", ("lost", ConnectionAborted)])

    def test_without_a_limit_there_is_no_timer(self) -> None:
        class Patient(Asking):
            requestTimeout: ClassVar[float | None] = None

        protocol = Patient()
        self.connect(protocol)
        protocol.request(b"q")
        self.assertEqual(self.timers(), [])

    def test_whoever_is_told_of_a_timeout_may_close(self) -> None:
        protocol = Asking()
        self.connect(protocol)
        protocol.request(b"q").addErrback(lambda _: protocol.loseConnection())
        self.reactor.advance(10)
        self.reactor.turn()
        self.assertEqual(protocol.events, [("lost", ConnectionAborted)])

    def test_by_key_too(self) -> None:
        protocol = Keyed()
        peer = self.connect(protocol)
        protocol.request(b"a:?").addErrback(lambda _: protocol.loseConnection())
        self.reactor.advance(10)
        self.reactor.turn()
        self.assertFalse(peer.aborted)
        self.assertEqual(protocol.events, [("lost", ConnectionDone)])

    def test_after_the_end_a_timeout_does_not_drop_what_is_still_to_be_delivered(self) -> None:
        protocol = Asking()
        peer = self.connect(protocol)
        answers = [protocol.request(b"q"), protocol.request(b"q")]
        token = protocol.pauseReading()
        protocol.dataReceived(b"1\nnews\n")
        peer.reset()
        self.reactor.turn()
        self.reactor.advance(10)
        self.failureResultOf(answers[0], RequestTimeout)
        self.failureResultOf(answers[1], RequestTimeout)
        token.resume()
        self.assertEqual(protocol.events, [b"1", b"news", ("lost", ConnectionLost)])

    def test_a_callback_that_waits_goes_on_after_the_timeout(self) -> None:
        class Tolerant(RelayByKey):
            async def frameReceived(self, frame: bytes) -> None:  # type: ignore[override]
                try:
                    await super().frameReceived(frame)
                except RequestTimeout:
                    self.events.append((frame, None))

        protocol = Tolerant()
        peer = self.connect(protocol)
        self.feed(peer, b"a\nb\n")
        self.reactor.advance(10)
        self.assertEqual(protocol.events, [(b"a", None)])
        self.feed(peer, b"b:1\n")
        self.assertEqual(protocol.events, [(b"a", None), (b"b", b"b:1")])


class EndingTests(RequestsTestCase):
    """Nobody is left waiting."""

    def test_the_loss_fails_every_request_those_that_wait_included(self) -> None:
        protocol = Asking()
        peer = self.connect(protocol)
        answers = [protocol.request(b"q%d" % n) for n in range(5)]
        peer.reset()
        self.reactor.turn()
        for answer in answers:
            self.failureResultOf(answer, ConnectionClosed)
        self.assertEqual(protocol.events, [("lost", ConnectionLost)])
        self.assertEqual(self.timers(), [])
        self.failureResultOf(protocol.request(b"late"), ConnectionClosed)

    def test_answers_that_reached_this_host_come_before_the_loss(self) -> None:
        protocol = Asking()
        peer = self.connect(protocol)
        answered, unanswered = protocol.request(b"q1"), protocol.request(b"q2")
        self.reactor.turn()
        peer.transport.reading = False
        peer.send(b"1\n")
        peer.reset()
        protocol.sendFrame(b"x")
        self.reactor.turn()
        self.assertEqual(self.results(answered), [b"1"])
        self.failureResultOf(unanswered, ConnectionClosed)

    def test_our_close_fails_them_at_once(self) -> None:
        for close in ("loseConnection", "abortConnection"):
            protocol = Asking()
            self.connect(protocol)
            answers = [protocol.request(b"q%d" % n) for n in range(5)]
            second = answers[1].addErrback(lambda _: None)
            answers[0].addErrback(lambda reason, second=second: (second.cancel(), reason)[1])
            getattr(protocol, close)()
            for answer in (answers[0], *answers[2:]):
                self.failureResultOf(answer, ConnectionClosed)
            self.failureResultOf(protocol.request(b"late"), ConnectionClosed)
            self.reactor.turn()

    def test_the_peers_end_fails_them_when_what_it_sent_was_delivered(self) -> None:
        protocol = Asking()
        peer = self.connect(protocol)
        answered, unanswered = protocol.request(b"q1"), protocol.request(b"q2")
        token = protocol.pauseReading()
        protocol.dataReceived(b"1\n")
        protocol.readConnectionLost()
        self.assertNoResult(unanswered)
        self.failureResultOf(protocol.request(b"late"), ConnectionClosed)
        token.resume()
        self.assertEqual(self.results(answered), [b"1"])
        self.failureResultOf(unanswered, ConnectionClosed)
        self.reactor.turn()
        self.assertFalse(peer.connected)

    def test_a_callback_that_waits_for_an_answer_does_not_hold_up_the_end(self) -> None:
        for end in ("close", "reset"):
            protocol = Relay()
            peer = self.connect(protocol)
            self.feed(peer, b"a\n")
            getattr(peer, end)()
            self.reactor.turn()
            self.assertEqual(protocol.events[-1][0], "lost")
            self.assertTrue(protocol.settled)
            self.assertEqual(self.flushLoggedErrors(), [])

    def test_frames_held_back_behind_it_are_still_delivered(self) -> None:
        """They reached this host; whether they can be answered is another matter."""

        class Trying(Relay):
            async def frameReceived(self, frame: bytes) -> None:  # type: ignore[override]
                self.events.append(frame)
                await self.request(frame)

        protocol = Trying()
        peer = self.connect(protocol)
        self.feed(peer, b"a\nb\n")
        peer.send(b"1\nc\n")
        peer.reset()
        self.reactor.turn()
        self.assertEqual(protocol.frames, [b"a", b"b", b"c"])
        self.assertEqual(protocol.events[-1], ("lost", ConnectionLost))
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_before_the_connection_there_is_nobody_to_ask(self) -> None:
        self.failureResultOf(Asking().request(b"q"), ConnectionClosed)

    def test_nor_after_our_half_close(self) -> None:
        protocol = Asking()
        peer = self.connect(protocol)
        answers = [protocol.request(b"q%d" % n) for n in range(4)]
        protocol.finishWriting()
        self.failureResultOf(protocol.request(b"late"), ConnectionClosed)
        self.feed(peer, b"0\n1\n2\n")
        self.assertEqual(self.results(*answers[:3]), [b"0", b"1", b"2"])
        self.failureResultOf(answers[3], ConnectionClosed)


class Echo:
    """A peer that answers each line with the line itself, cut in two."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.answered = 0
        peer.onReceived = lambda _: self.answer()
        self.answer()

    def answer(self) -> None:
        for line in self.peer.received.splitlines(keepends=True)[self.answered :]:
            self.answered += 1
            self.peer.send(line[:1])
            self.peer.transport.clock.callLater(0, self.peer.send, line[1:])


class InsideCallbacksTests(RequestsTestCase):
    """``await self.request(...)`` in a callback: answers are matched, the rest waits in order."""

    def test_each_callback_has_its_answer_before_the_next_frame_comes(self) -> None:
        for chunks in every_split(b"a\nb\nc\n"):
            protocol = RelayByKey()
            peer = self.connect(protocol)
            for chunk in chunks:
                self.feed(peer, chunk)
            Echo(peer)
            self.reactor.turn(50)
            self.assertEqual(protocol.events, [(n, n + b":?") for n in (b"a", b"b", b"c")])

    def test_in_turn_too_where_all_that_is_pushed_comes_first(self) -> None:
        protocol = Relay()
        peer = self.connect(protocol)
        Echo(peer)
        self.feed(peer, b"a\nb\nc\n")
        self.reactor.turn(50)
        self.assertEqual(protocol.events, [(n, b"about " + n) for n in (b"a", b"b", b"c")])

    def test_pushed_frames_wait_their_turn_while_answers_pass(self) -> None:
        protocol = RelayByKey()
        peer = self.connect(protocol)
        self.feed(peer, b"a\nb\n")
        self.feed(peer, b"c\nd\n")
        self.assertEqual(self.asked(peer), [b"a:?"])
        self.assertTrue(peer.transport.reading)
        for name in (b"a", b"b", b"c", b"d"):
            self.feed(peer, name + b":1\n")
        self.assertEqual(protocol.events, [(n, n + b":1") for n in (b"a", b"b", b"c", b"d")])

    def test_frames_before_and_behind_the_awaited_answer_in_one_read(self) -> None:
        protocol = RelayByKey()
        peer = self.connect(protocol)
        self.feed(peer, b"a\n")
        self.feed(peer, b"b\na:1\nc\n")
        self.feed(peer, b"d\n")
        for name in (b"b", b"c", b"d"):
            self.feed(peer, name + b":1\n")
        self.assertEqual(protocol.events, [(n, n + b":1") for n in (b"a", b"b", b"c", b"d")])

    def test_what_was_held_back_is_handed_over_as_a_batch(self) -> None:
        class Batches(Keyed):
            async def framesReceived(self, frames: list[bytes]) -> None:  # type: ignore[override]
                self.events.append(frames)
                await self.request(b"%d:?" % len(self.events))

        protocol = Batches()
        peer = self.connect(protocol)
        self.feed(peer, b"a\nb\n")
        for chunk in (b"c\n", b"d\ne\n", b"1:\nf\n", b"2:\n", b"3:\n"):
            self.feed(peer, chunk)
        self.assertEqual(protocol.events, [[b"a", b"b"], [b"c", b"d", b"e"], [b"f"]])
        self.assertFalse(protocol._pending)

    def test_held_back_frames_are_no_answers_to_what_was_asked_after_them(self) -> None:
        """Not even one by one, where somebody looks at each."""
        for looks in (False, True):
            protocol = Relay()
            peer = self.connect(protocol)
            if looks:
                protocol.expect(re.compile(b"never"))
            token = protocol.pauseReading()
            protocol.dataReceived(b"a\nb\n")
            protocol.dataReceived(b"c\n")
            token.resume()
            for answer in (b"1\n", b"2\n", b"3\n"):
                self.feed(peer, answer)
            self.assertEqual(protocol.events, [(b"a", b"1"), (b"b", b"2"), (b"c", b"3")])

    def test_requests_of_others_are_answered_while_a_callback_is_slow(self) -> None:
        done: Deferred[None] = Deferred()

        class Slow(Keyed):
            def frameReceived(self, frame: bytes) -> Any:
                self.events.append(frame)
                return done

        protocol = Slow()
        peer = self.connect(protocol)
        self.feed(peer, b"a\nb\n")
        self.assertFalse(peer.transport.reading)
        answer = protocol.request(b"q:?")
        self.assertTrue(peer.transport.reading)
        self.feed(peer, b"c\nq:1\n")
        self.assertEqual(self.results(answer), [b"q:1"])
        self.assertFalse(peer.transport.reading)
        self.assertEqual(protocol.frames, [b"a"])
        done.callback(None)
        self.assertEqual(protocol.frames, [b"a", b"b", b"c"])

    def test_after_a_timeout_by_key_nothing_is_read_for_nobody(self) -> None:
        done: Deferred[None] = Deferred()

        class Slow(Keyed):
            def frameReceived(self, frame: bytes) -> Any:
                return done

        protocol = Slow()
        peer = self.connect(protocol)
        answer = protocol.request(b"q:?")
        self.feed(peer, b"a\n")
        self.assertFalse(protocol.readingHeld)
        self.reactor.advance(10)
        self.failureResultOf(answer, RequestTimeout)
        self.assertTrue(protocol.readingHeld)

    def test_what_is_held_back_is_bounded_and_then_the_timeout_ends_it(self) -> None:
        self.patch(requests_module, "HELD_BYTES", 1000)
        protocol = RelayByKey()
        peer = self.connect(protocol)
        self.feed(peer, b"first\n")
        sent = 0
        while peer.transport.reading and sent < 100:
            self.feed(peer, b"x\n")
            sent += 1
        self.assertEqual(sent, 1 + 1000 // 65)
        self.feed(peer, b"first:1\n")
        self.assertEqual(protocol.events, [])
        self.reactor.advance(10)
        self.reactor.turn()
        self.assertTrue(peer.aborted)  # the callback did not catch it
        self.assertEqual(len(self.flushLoggedErrors(RequestTimeout)), 1)

    def test_at_the_end_the_bound_is_lifted_for_what_is_here_already(self) -> None:
        self.patch(requests_module, "HELD_BYTES", 100)
        protocol = RelayByKey()
        peer = self.connect(protocol)
        for chunk in (b"a\n", b"b\n", b"c\n", b"a:1\n"):
            peer.send(chunk)
            self.reactor.turn()
        self.assertEqual(protocol.events, [])
        peer.reset()
        protocol.sendFrame(b"x")
        self.reactor.turn()
        self.assertEqual(protocol.events, [(b"a", b"a:1"), ("lost", ConnectionLost)])

    def test_a_token_of_the_application_holds_back_answers_too(self) -> None:
        protocol = RelayByKey()
        peer = self.connect(protocol)
        self.feed(peer, b"a\n")
        token = protocol.pauseReading()
        self.assertFalse(peer.transport.reading)
        protocol.dataReceived(b"a:1\n")
        self.assertEqual(protocol.events, [])
        token.resume()
        self.assertEqual(protocol.events, [(b"a", b"a:1")])

    def test_an_answers_callback_may_pause_and_close_there_too(self) -> None:
        tokens: list[PauseToken] = []
        protocol = RelayByKey()
        peer = self.connect(protocol)
        self.feed(peer, b"a\n")
        protocol.request(b"q:?").addCallback(lambda _: tokens.append(protocol.pauseReading()))
        other = protocol.request(b"r:?")
        self.feed(peer, b"q:1\nr:1\n")
        self.assertNoResult(other)
        tokens[0].resume()
        self.assertEqual(self.results(other), [b"r:1"])
        protocol.request(b"s:?").addCallback(lambda _: protocol.loseConnection())
        last = protocol.request(b"t:?")
        self.feed(peer, b"s:1\nb\nt:1\na:1\n")
        self.failureResultOf(last, ConnectionClosed)
        self.reactor.turn()
        self.assertEqual(protocol.events, [("lost", ConnectionDone)])
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_a_fault_behind_the_awaited_answers_place_fails_the_request(self) -> None:
        class Trying(Relay):
            framing = framing.lines(max_frame=10)

            async def frameReceived(self, frame: bytes) -> None:  # type: ignore[override]
                try:
                    await super().frameReceived(frame)
                except ConnectionClosed:
                    self.events.append((frame, None))

        protocol = Trying()
        peer = self.connect(protocol)
        self.feed(peer, b"a\n")
        self.feed(peer, b"x" * 100)
        self.assertEqual(protocol.events, [(b"a", None), ("lost", ConnectionAborted)])

    def test_next_frame_may_be_awaited_beside_requests_and_comes_first(self) -> None:
        class Both(Keyed):
            async def frameReceived(self, frame: bytes) -> None:  # type: ignore[override]
                answer = self.request(frame + b":?")
                follows = await self.nextFrame()
                self.events.append((frame, follows, await answer))

        protocol = Both()
        peer = self.connect(protocol)
        self.feed(peer, b"a\nb\nc\n")
        self.feed(peer, b"a:1\nd\n")
        self.assertEqual(protocol.events, [(b"a", b"b", b"a:1")])
        self.feed(peer, b"c:1\ne\n")
        self.assertEqual(protocol.events[1:], [(b"c", b"d", b"c:1")])

    def test_the_framing_may_change_behind_an_awaited_answer(self) -> None:
        """What was held back before it stays what it is."""

        class Upgrading(Keyed):
            async def frameReceived(self, frame: bytes) -> None:  # type: ignore[override]
                self.events.append(frame)
                if frame == b"go":
                    await self.request(b"up:?")
                    self.setFraming(framing.netstring())

        for rest in every_split(b"push\nup:yes\n1:x,3:y\nz,"):
            protocol = Upgrading()
            peer = self.connect(protocol)
            self.feed(peer, b"go\nmore\n")
            for chunk in rest:
                self.feed(peer, chunk)
            self.assertEqual(protocol.frames, [b"go", b"more", b"push", b"x", b"y\nz"])


class OrderTests(RequestsTestCase):
    """Who sees a frame before whom."""

    def test_automatic_answers_and_expect_see_every_frame_once_answers_included(self) -> None:
        for kind in (Keyed, RelayByKey):
            seen: list[bytes] = []
            protocol = kind()
            peer = self.connect(protocol)
            protocol.answerBy(lambda frame, seen=seen: seen.append(frame))  # type: ignore[misc]
            if kind is Keyed:
                protocol.request(b"a:?")
            found = protocol.expect(re.compile(b"(.):1"))
            for chunk in (b"a\nb\n", b"c\na:1\n", b"b:1\n", b"c:1\n"):
                self.feed(peer, chunk)
            self.assertEqual(self.successResultOf(found).group(1), b"a")
            self.assertEqual(sorted(seen), [b"a", b"a:1", b"b", b"b:1", b"c", b"c:1"])

    def test_what_is_answered_automatically_is_answered_when_the_callback_is_done(self) -> None:
        protocol = RelayByKey()
        peer = self.connect(protocol)
        protocol.answerBy(lambda frame: b"ok " + frame)
        self.feed(peer, b"a\nb\n")
        self.assertEqual(self.asked(peer), [b"a:?"])
        self.feed(peer, b"a:1\n")
        self.assertEqual(self.asked(peer), [b"a:?", b"ok a", b"ok a:1", b"b:?"])

    def test_next_frame_takes_an_answer_that_nobody_else_gets(self) -> None:
        protocol = Asking()
        peer = self.connect(protocol)
        taken, answer = protocol.nextFrame(), protocol.request(b"q")
        self.feed(peer, b"1\n2\n3\n")
        self.assertEqual(self.results(taken, answer), [b"1", b"2"])
        self.assertEqual(protocol.frames, [b"3"])

    def test_whoever_looks_may_pause_and_the_answer_still_finds_its_request(self) -> None:
        tokens: list[PauseToken] = []
        protocol = Asking()
        peer = self.connect(protocol)
        answer = protocol.request(b"q")
        protocol.expect(re.compile(b"1")).addCallback(
            lambda _: tokens.append(protocol.pauseReading())
        )
        self.feed(peer, b"1\n2\n")
        self.assertEqual(self.results(answer), [b"1"])
        self.assertEqual(protocol.frames, [])
        tokens[0].resume()
        self.assertEqual(protocol.frames, [b"2"])

    def test_whoever_looks_may_close_and_then_nobody_is_answered(self) -> None:
        for kind in (Keyed, RelayByKey):
            protocol = kind()
            peer = self.connect(protocol)
            self.feed(peer, b"a\n")
            answer = protocol.request(b"q:?")
            protocol.expect(re.compile(b"q")).addCallback(lambda _, p=protocol: p.abortConnection())
            self.feed(peer, b"q:1\nb\n")
            self.failureResultOf(answer, ConnectionClosed)
            self.assertEqual(protocol.events[-1], ("lost", ConnectionAborted))

    def test_a_held_back_frame_may_be_held_back_again_by_one_who_looks(self) -> None:
        tokens: list[PauseToken] = []
        protocol = RelayByKey()
        peer = self.connect(protocol)
        protocol.expect(re.compile(b"^b$")).addCallback(
            lambda _: tokens.append(protocol.pauseReading())
        )
        self.feed(peer, b"a\n")
        self.feed(peer, b"b\nc\na:1\n")
        self.assertEqual(self.asked(peer), [b"a:?"])
        tokens[0].resume()
        self.feed(peer, b"b:1\n")
        self.feed(peer, b"c:1\n")
        self.assertEqual([event[0] for event in protocol.events], [b"a", b"b", b"c"])
        self.assertEqual(protocol._keptBytes, 0)

    def test_next_frame_takes_what_is_held_back_first(self) -> None:
        protocol = RelayByKey()
        peer = self.connect(protocol)
        self.feed(peer, b"a\n")
        self.feed(peer, b"b\nc\n")
        taken = protocol.nextFrame()
        self.assertEqual(self.results(taken), [b"b"])
        self.feed(peer, b"a:1\n")
        self.feed(peer, b"c:1\n")
        self.assertEqual(protocol.events, [(b"a", b"a:1"), (b"c", b"c:1")])


class LinkTests(SynchronousTestCase):
    """On a link that reconnects."""

    def link(self, protocol: Any) -> Any:
        self.reactor = FakeReactor()

        class Timed(protocol):  # type: ignore[misc]
            clock = self.reactor

        backoff = Backoff(initial=1, maximum=1)
        link = ReconnectingFactory.forProtocol(
            Timed, clock=self.reactor, random=lambda: 1.0, backoff=backoff, delivery="written"
        )
        self.reactor.connectTCP("127.0.0.1", 5000, link)
        return link

    def test_the_opening_may_ask(self) -> None:
        class Login(Asking):
            async def opening(self) -> None:  # type: ignore[override]
                if await self.request(b"AUTH secret") != b"+OK":
                    raise ConnectionClosed("refused")

        link = self.link(Login)
        peer = self.reactor.attempts[0].accept()
        self.reactor.turn()
        self.assertEqual(peer.received, b"AUTH secret\n")
        self.assertIs(link.state, State.OPENING)
        peer.send(b"+OK\n+news\n")
        self.reactor.turn()
        self.assertIs(link.state, State.READY)
        self.assertEqual(link.connection.frames, [b"+news"])
        link.stop()
        self.reactor.turn()

    def test_a_timeout_in_turn_takes_a_new_connection_and_says_why(self) -> None:
        link = self.link(Asking)
        self.reactor.attempts[0].accept()
        answer = link.connection.request(b"q")
        self.reactor.advance(10)
        self.reactor.turn()
        self.failureResultOf(answer, RequestTimeout)
        self.assertIsInstance(link.lastReason.value, RequestTimeout)
        self.assertIs(link.state, State.WAITING)
        self.reactor.advance(1)
        peer = self.reactor.attempts[1].accept()
        again = link.connection.request(b"q")
        self.reactor.turn()
        peer.send(b"1\n")
        self.reactor.turn()
        self.assertEqual(self.successResultOf(again), b"1")
        link.stop()
        self.reactor.turn()

    def test_a_callback_that_waits_does_not_keep_a_lost_link_from_its_next_connection(self) -> None:
        link = self.link(Relay)
        peer = self.reactor.attempts[0].accept()
        peer.send(b"a\nb\n")
        self.reactor.turn()
        peer.reset()
        self.reactor.turn()
        self.assertIs(link.state, State.WAITING)
        link.stop()
        self.reactor.turn()

    def test_a_callback_that_fails_by_itself_is_a_fault_still(self) -> None:
        class Failing(Relay):
            async def frameReceived(self, frame: bytes) -> None:  # type: ignore[override]
                await super().frameReceived(frame)
                raise ZeroDivisionError

        link = self.link(Failing)
        peer = self.reactor.attempts[0].accept()
        for data in (b"a\n", b"1\n"):
            peer.send(data)
            self.reactor.turn()
        self.assertIsInstance(link.lastReason.value, CallbackFailed)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        link.stop()
        self.reactor.turn()


class Everything(Keyed):
    """A pushed frame says what its callback does: nothing, wait for the test, or ask."""

    def __init__(self) -> None:
        super().__init__()
        self.slow: list[Deferred[None]] = []
        self.asked: dict[bytes, Deferred[bytes]] = {}
        self.got: dict[bytes, Any] = {}

    def ask(self, key: bytes) -> Deferred[bytes]:
        asked = self.request(key + b":?")
        asked.addBoth(lambda result: (self.got.update({key: result}), result)[1])
        return asked

    def frameReceived(self, frame: bytes) -> Any:
        self.events.append(frame)
        if frame.startswith(b"slow"):
            self.slow.append(Deferred())
            return self.slow[-1]
        if frame.startswith(b"ask"):
            return self.ask(b"in " + frame)
        return None


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("push"), st.sampled_from([b"plain", b"slow", b"ask"])),
        st.tuples(st.sampled_from(["ask", "answer", "pause", "resume", "release"]), st.just(b"")),
        st.tuples(st.just("arrive"), st.integers(1, 40)),
    ),
    max_size=60,
)


class AnyOrderTests(RequestsTestCase):
    @settings(max_examples=150, deadline=None)
    @given(STEPS, st.sampled_from(["answers", "close", "reset"]))
    def test_whatever_happens_each_frame_comes_once_in_order_and_each_request_is_answered(
        self, steps: list[tuple[str, Any]], end: str
    ) -> None:
        protocol = Everything()
        peer = self.connect(protocol)
        pushed: list[bytes] = []
        wire = b""
        tokens: list[PauseToken] = []
        answered = 0

        def answer() -> None:
            nonlocal wire, answered
            self.reactor.turn()
            for line in peer.received.splitlines()[answered:]:
                answered += 1
                wire += line.replace(b":?", b":!") + b"\n"

        def arrive(size: int) -> None:
            nonlocal wire
            data, wire = wire[:size], wire[size:]
            if data:
                self.feed(peer, data)

        for number, (verb, what) in enumerate(steps):
            if verb == "push":
                pushed.append(b"%s %d" % (what, number))
                wire += pushed[-1] + b"\n"
            elif verb == "ask":
                protocol.ask(b"out %d" % number).addErrback(lambda _: None)
            elif verb == "pause":
                tokens.append(protocol.pauseReading())
            elif verb == "resume" and tokens:
                tokens.pop().resume()
            elif verb == "release" and protocol.slow:
                protocol.slow.pop(0).callback(None)
            elif verb == "arrive":
                arrive(what)
            elif verb == "answer":
                answer()
        arrive(len(wire))
        for _ in range(3 * len(steps) + 3):
            if end == "answers":
                answer()
                arrive(len(wire))
            while tokens:
                tokens.pop().resume()
            while protocol.slow:
                protocol.slow.pop(0).callback(None)
            self.reactor.turn(2)
        if end != "answers":
            getattr(peer, end)()
        for _ in range(len(steps) + 3):
            self.reactor.turn(2)
            while protocol.slow:
                protocol.slow.pop(0).callback(None)
        self.assertEqual(protocol.settled, end != "answers")
        self.assertEqual(protocol.frames, pushed)
        for key, result in protocol.got.items():
            if result != key + b":!":
                self.assertNotEqual(end, "answers", key)
                self.assertTrue(result.check(ConnectionClosed), result)
        self.assertEqual(self.flushLoggedErrors(), [])
        if protocol.settled:
            self.assertIsNone(protocol._outstanding)
        else:
            self.assertFalse(protocol._outstanding)


class ClockTests(TestCase):
    def test_without_a_clock_of_its_own_the_reactor_wakes_it(self) -> None:
        """Trial fails this test if the loss leaves the timer behind."""
        protocol = Asking()
        reactor = FakeReactor()
        endpoint = FakeEndpoint(reactor)
        factory: Factory[Any] = Factory.forProtocol(lambda: protocol)
        factory.noisy = False
        endpoint.connect(factory)
        peer = endpoint.attempts[0].accept()
        answer = protocol.request(b"q")
        self.assertIsNotNone(protocol._requestTimer)
        peer.reset()
        reactor.turn()
        self.failureResultOf(answer, ConnectionClosed)


# What is printed: the document, and the program of examples/.


def printed(name: str) -> dict[str, Any]:
    """Run a block of the document; what it defines."""
    code = PAGE.partition(f"<!-- code: {name} -->\n```python\n")[2].partition("```")[0]
    names: dict[str, Any] = {}
    exec(compile(code, "requests.md", "exec"), names)
    return names


class PageTests(RequestsTestCase):
    def test_the_example_of_the_document(self) -> None:
        """Two pushed messages in one read, the answers to what is asked about them behind."""
        names = printed("requests")
        self.reactor = FakeReactor()
        names["Store"].clock = self.reactor
        link = names["link"]
        self.reactor.connectTCP("127.0.0.1", 6379, link)
        peer = self.reactor.attempts[0].accept()
        self.assertEqual(self.asked(peer), [b"AUTH secret"])
        self.feed(peer, b"+OK\r\n")
        self.assertIs(link.state, State.READY)
        self.feed(peer, b"message\r\n")
        self.assertEqual(self.asked(peer)[1:], [b"INCR seen"])
        self.feed(peer, b":1\r\n")
        self.assertEqual(link.seen, [(b"message", b":1")])
        link.stop()
        self.reactor.turn()

    def test_the_example_by_key(self) -> None:
        protocol = printed("by key")["Modbus"]()
        peer = self.connect(protocol)
        asked = [b"\0%c\0\0\0\2\x11\7" % number for number in (1, 2)]
        answers = [protocol.request(frame) for frame in asked]
        self.reactor.turn()
        self.assertEqual(peer.received, b"".join(asked))
        self.feed(peer, b"\0\2\0\0\0\3\x11\7b\0\1\0\0\0\3\x11\7a")
        self.assertEqual([answer[-1:] for answer in self.results(*answers)], [b"a", b"b"])


@pytest.mark.parametrize("target", re.findall(r"\]\((?!http|#)([^)]+)\)", PAGE))
def test_each_link_of_the_document_leads_somewhere(target: str) -> None:
    assert (Path(__file__).parents[2] / "docs" / target.partition("#")[0]).exists()


def test_the_program_asks_all_at_once_and_prints_each_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)
        port = str(listener.getsockname()[1])
        with Child(example("ask.py", "127.0.0.1", port, "PING", "INCR n")) as child:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(PATIENCE)
                asked = b""
                while len(asked) < len(b"PING\r\nINCR n\r\n"):
                    asked += connection.recv(100)
                assert asked == b"PING\r\nINCR n\r\n"
                connection.sendall(b"+PONG\r\n:\x1b7\r\n")
                assert child.wait() == 0
            assert child.out.end() == "PING: +PONG\nINCR n: :\\e7\n"
            assert child.err.end() == ""


def test_the_program_says_why_there_is_no_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)
        port = str(listener.getsockname()[1])
        with Child(example("ask.py", "127.0.0.1", port, "PING", "INCR n")) as child:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(PATIENCE)
                connection.recv(100)
            assert child.wait() == 1
            assert child.out.end().startswith("Error: ")
            assert child.err.end() == ""
