"""Hooks may be async: what they return is run to its end, or the class is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from functools import partialmethod
from typing import Any

import pytest
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.error import ConnectionRefusedError
from twisted.trial.unittest import SynchronousTestCase

from nbclient import FrameProtocol, ReconnectingFactory, RequestProtocol, State, framing
from nbclient.connection.overrides import at_once
from nbclient.connection.receiver import AWAITED
from nbclient.delivery.outstanding import Outstanding
from nbclient.errors import ArgumentError, CallbackFailed, LocalError
from nbclient.testing import FakeEndpoint, FakeReactor, Peer

SIDE_HOOKS = ("connectionMade", "connectionReady", "tailReceived", "connectionLost")
"""Those that hold up neither frames nor the link."""


class Lines(FrameProtocol):
    framing = framing.lines()

    def frameReceived(self, frame: bytes) -> Any:
        self.factory.frames.append(frame)  # type: ignore[union-attr]


class Asking(RequestProtocol):
    framing = framing.lines()

    def frameReceived(self, frame: bytes) -> Any:
        self.factory.frames.append(frame)  # type: ignore[union-attr]


class HookCase(SynchronousTestCase):
    """A link over a fake endpoint."""

    def ready(self, protocol: Any) -> tuple[Any, Peer]:
        self.reactor = FakeReactor()
        self.endpoint = FakeEndpoint(self.reactor)
        link: Any = ReconnectingFactory.forProtocol(protocol, clock=self.reactor)
        link.frames = []
        link.start(self.endpoint)
        peer = self.endpoint.attempts[0].accept()
        self.reactor.turn()
        return link, peer

    def live(self, protocol: Any) -> Any:
        """A whole life: frames, the beginning of one, and the end."""
        link, peer = self.ready(protocol)
        peer.send(b"frame\ntail")
        self.reactor.turn()
        peer.close()
        self.reactor.turn()
        return link


class AwaitedTests(HookCase):
    def test_each_hook_is_run_to_its_end(self) -> None:
        for name in sorted(AWAITED):
            done: list[str] = []
            turns: list[Deferred[None]] = []
            _, peer = self.ready(type("Async", (Lines,), {name: slow(turns, done)}))
            peer.send(b"frame\ntail")
            if name in ("tailReceived", "connectionLost"):
                peer.close()
            self.reactor.turn()
            self.assertEqual(done, [], name)
            turns[0].callback(None)
            self.assertEqual(done, ["done"], name)

    def test_what_one_is_at_when_its_connection_has_ended_is_cancelled(self) -> None:
        for name in ("connectionMade", "connectionReady", "opening"):
            done: list[str] = []
            self.live(type("Async", (Lines,), {name: slow([], done)}))
            self.assertEqual(done, ["cancelled"], name)
            self.assertEqual(self.flushLoggedErrors(), [])

    def test_a_failure_is_logged_once_and_aborts_the_connection(self) -> None:
        for name in sorted(AWAITED - {"opening", "tailReceived", "connectionLost"}):
            link, peer = self.ready(type("Async", (Lines,), {name: failing}))
            peer.send(b"frame\n")
            self.reactor.turn()
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1, name)
            self.assertTrue(peer.aborted, name)
            self.assertIs(link.lastReason.type, CallbackFailed, name)
            self.assertIs(link.state, State.WAITING, name)

    def test_one_at_the_end_is_logged_and_the_link_goes_on(self) -> None:
        for name in ("tailReceived", "connectionLost"):
            link = self.live(type("Async", (Lines,), {name: failing}))
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1, name)
            self.assertIs(link.state, State.WAITING, name)

    def test_so_are_those_of_inline_callbacks(self) -> None:
        done: list[str] = []

        class Inline(Lines):
            @inlineCallbacks
            def connectionReady(self) -> Iterator[Any]:
                yield None
                done.append("done")

        self.live(Inline)
        self.assertEqual(done, ["done"])

    def test_frames_do_not_wait_for_a_hook_that_never_ends(self) -> None:
        turns: list[Deferred[None]] = []
        link, peer = self.ready(type("Async", (Lines,), {"connectionReady": slow(turns, [])}))
        peer.send(b"frame\n")
        self.reactor.turn()
        self.assertEqual(link.frames, [b"frame"])
        self.assertFalse(link.connection.readingHeld)

    def test_one_may_ask_and_be_answered(self) -> None:
        answers: list[bytes] = []

        class Asks(Asking):
            async def connectionReady(self) -> None:
                answers.append(await self.request(b"?"))

        link, peer = self.ready(Asks)
        peer.send(b"!\nframe\n")
        self.reactor.turn()
        self.assertEqual((answers, link.frames), ([b"!"], [b"frame"]))
        self.assertIsNone(link.connection._hooks)

    def test_one_that_waits_for_what_the_end_takes_away_is_no_fault(self) -> None:
        class Asks(Asking):
            async def connectionReady(self) -> None:
                await self.request(b"?")

        link, peer = self.ready(Asks)
        peer.close()
        self.reactor.turn()
        self.assertIs(link.state, State.WAITING)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_each_connection_ends_its_own(self) -> None:
        """A loop in `connectionReady` would otherwise be one more with every connection."""
        turns: list[Deferred[None]] = []
        done: list[str] = []
        link, peer = self.ready(type("Loop", (Lines,), {"connectionReady": slow(turns, done)}))
        peer.reset()
        link.connection.sendFrame(b"x")
        self.reactor.turn()
        self.assertEqual(done, ["cancelled"])
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_what_nothing_would_run_is_a_fault(self) -> None:
        def generates(self: Any, *_: object) -> Iterator[None]:
            yield None

        async def generates_later(self: Any, *_: object) -> AsyncIterator[None]:
            yield None

        for name in SIDE_HOOKS:
            for hook in (generates, generates_later):
                self.live(type("Generates", (Lines,), {name: hook}))
                [failure] = self.flushLoggedErrors(TypeError)
                self.assertIn("a callback may return None, a Deferred or", str(failure.value))

    def test_what_is_no_promise_is_let_pass(self) -> None:
        for name in SIDE_HOOKS:
            link = self.live(type("Says", (Lines,), {name: lambda self, *_: 5}))
            self.assertIs(link.state, State.WAITING)


class ObserverTests(HookCase):
    def test_an_observer_may_be_async(self) -> None:
        seen: list[State] = []

        async def observer(old: State, new: State, reason: Any) -> None:
            seen.append(new)

        link, _ = self.ready(Lines)
        link.observe(observer)
        link.stop()
        self.reactor.turn()
        self.assertEqual(seen[0], State.CLOSING)
        self.assertEqual(seen[-1], State.STOPPED)

    def test_its_failure_is_logged(self) -> None:
        link, _ = self.ready(Lines)
        link.observe(failing)
        link.stop()
        self.assertTrue(self.flushLoggedErrors(ZeroDivisionError))


class EndpointTests(HookCase):
    def test_an_endpoints_connect_may_be_async(self) -> None:
        reactor = FakeReactor()
        inner = FakeEndpoint(reactor)

        class Endpoint:
            async def connect(self, factory: Any) -> Any:
                return await inner.connect(factory)

        link: Any = ReconnectingFactory.forProtocol(Lines, clock=reactor)
        link.start(Endpoint())
        inner.attempts[0].accept()
        self.assertIs(link.state, State.READY)

    def test_its_failure_is_a_failed_attempt(self) -> None:
        class Endpoint:
            async def connect(self, factory: Any) -> Any:
                raise ConnectionRefusedError

        class Silent:
            def connect(self, factory: Any) -> Any:
                return None

        for endpoint, kind in ((Endpoint(), ConnectionRefusedError), (Silent(), TypeError)):
            link: Any = ReconnectingFactory.forProtocol(Lines, clock=FakeReactor())
            link.start(endpoint)
            self.assertIs(link.state, State.WAITING)
            self.assertIs(link.lastReason.type, kind)


def slow(turns: list[Deferred[None]], done: list[str]) -> Callable[..., Any]:
    """A hook that is done once the test says so."""

    async def hook(self: Any, *_: object) -> None:
        turn: Deferred[None] = Deferred()
        turns.append(turn)
        try:
            await turn
        except BaseException:
            done.append("cancelled")
            raise
        done.append("done")

    return hook


async def failing(*_: object) -> None:
    """A hook that fails."""
    raise ZeroDivisionError


async def hook(*_: object) -> None:
    """A hook that there may not be."""


@pytest.mark.parametrize("name", ["dataReceived", "sendFrame", "wiretap", "makeConnection"])
def test_a_class_whose_async_method_nothing_would_await_is_refused(name: str) -> None:
    with pytest.raises(LocalError, match=f"^Wrong.{name} cannot be async"):
        type("Wrong", (FrameProtocol,), {name: hook})


@pytest.mark.parametrize("name", ["answerKey", "requestKey"])
def test_so_is_one_whose_keys_would_be_coroutines(name: str) -> None:
    for wrong in (hook, staticmethod(hook), partialmethod(hook, 5)):
        with pytest.raises(LocalError, match=f"^Wrong.{name} cannot be async"):
            type("Wrong", (RequestProtocol,), {name: wrong})


class CoroutineTests(HookCase):
    """What looks plain, and returns a coroutine: it is closed, and what it was for fails."""

    def test_one_for_the_wiretap(self) -> None:
        class Tapped(Lines):
            def wiretap(self, direction: str, data: bytes) -> Any:  # type: ignore[override]
                return hook()

        link, peer = self.ready(Tapped)
        peer.send(b"frame\n")
        self.reactor.turn()
        self.assertIs(link.state, State.READY)
        (failure,) = self.flushLoggedErrors(LocalError)
        self.assertIn("wiretap cannot be async", str(failure.value))

    def test_one_for_what_was_rejected(self) -> None:
        class Watching(Lines):
            framing = framing.lines(max_frame=3)

            def rejected(self, data: bytes, error: Any) -> Any:
                return hook()

        link, peer = self.ready(Watching)
        peer.send(b"too long\n")
        self.reactor.turn()
        self.assertIsNot(link.state, State.READY)
        self.flushLoggedErrors(LocalError)

    def test_one_for_a_requests_key(self) -> None:
        class Keyed(RequestProtocol):
            framing = framing.lines()

            def answerKey(self, frame: bytes) -> Any:
                return hook() if frame == b"answer" else frame[:1]

            def requestKey(self, frame: bytes) -> Any:
                return hook() if frame == b"question" else frame[:1]

        link, peer = self.ready(Keyed)
        failure = self.failureResultOf(link.connection.request(b"question"), LocalError)
        self.assertIn("requestKey cannot be async", str(failure.value))
        asked = link.connection.request(b"ask")
        peer.send(b"answer\n")
        self.reactor.turn()
        self.failureResultOf(asked)
        (failure, *_) = self.flushLoggedErrors(LocalError)
        self.assertIn("answerKey cannot be async", str(failure.value))


def test_an_awaitable_of_another_kind_is_refused_too() -> None:
    with pytest.raises(LocalError, match="cannot be async"):
        at_once("hook", Deferred())


def test_answers_are_looked_for_by_plain_keys_only() -> None:
    outstanding: Outstanding[int] = Outstanding(1, 5.0, lambda frame: hook())
    outstanding.sent(1, 0.0, b"key")
    with pytest.raises(LocalError, match="answerKey cannot be async"):
        outstanding.first([b"frame"], 0)


@pytest.mark.parametrize("wrong", ["lines", framing.lines, None])
def test_a_framing_that_is_none_cannot_be_changed_to(wrong: Any) -> None:
    with pytest.raises(ArgumentError, match=r"^framing takes a Framing"):
        Lines().setFraming(wrong)


def test_so_is_one_that_has_it_from_a_mixin() -> None:
    mixin = type("Mixin", (), {"answerKey": hook})
    with pytest.raises(LocalError, match=r"^Wrong\.answerKey"):
        type("Wrong", (mixin, RequestProtocol), {})


def test_what_is_a_classes_own_is_its_own_business() -> None:
    assert type("Right", (FrameProtocol,), {"fetch": hook, "__aenter__": hook})


@pytest.mark.parametrize("wrong", [framing.lines, "lines", b"\n", framing.Framing, 5])
def test_a_class_whose_framing_is_none_is_refused(wrong: Any) -> None:
    with pytest.raises(ArgumentError, match=r"^Wrong\.framing takes a Framing such as"):
        type("Wrong", (FrameProtocol,), {"framing": wrong})


def test_a_framing_may_be_made_for_each_connection() -> None:
    made = property(lambda self: framing.lines())
    assert type("Right", (FrameProtocol,), {"framing": made})
    assert type("Right", (FrameProtocol,), {"framing": None})
