"""Who learns of a connection's end, and when: the link before all others, in every way to end."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from nbclient import Backoff, ReconnectingFactory, RequestProtocol, State, framing
from nbclient.connection.interface import ALONE
from nbclient.errors import ConnectionClosed, LinkDown, RequestTimeout
from nbclient.testing import FakeReactor, Peer


class Asking(RequestProtocol):
    framing = framing.lines(max_frame=100)
    requestTimeout = 5
    requestWindow = 2

    def frameReceived(self, frame: bytes) -> None:
        if frame == b"raise":
            raise ZeroDivisionError


class Keyed(Asking):
    """On which what the peer sends is no answer."""

    def answerKey(self, frame: bytes) -> bytes | None:
        return frame[-1:] if frame.startswith((b"q", b"a")) else None


HELD: list[Deferred[None]] = []


def hold(frame: bytes) -> Deferred[None]:
    HELD.append(Deferred())
    return HELD[-1]


def fin(test: Ending, peer: Peer) -> None:
    peer.close()


def fin_while_a_callback_is_waited_for(test: Ending, peer: Peer) -> None:
    connection = test.link.connection
    connection.frameReceived = hold
    peer.send(b"held\nback\n")
    test.reactor.turn()
    peer.close()


def reset(test: Ending, peer: Peer) -> None:
    peer.reset()


def reset_behind_what_arrived(test: Ending, peer: Peer) -> None:
    peer.send(b"news\n")
    peer.resets = True
    test.link.connection.sendFrame(b"into the void")


def goodbye(test: Ending, peer: Peer) -> None:
    peer.transport.loseConnection()  # as TLS does it, at the peer's close_notify


def late_answer(test: Ending, peer: Peer) -> None:
    test.reactor.advance(5)


def callback_raises(test: Ending, peer: Peer) -> None:
    peer.send(b"raise\n")


def bad_frame(test: Ending, peer: Peer) -> None:
    peer.send(b"x" * 200)


def bad_frame_behind_a_callback(test: Ending, peer: Peer) -> None:
    connection = test.link.connection
    connection.frameReceived = hold
    peer.send(b"held\n")
    test.reactor.turn()
    peer.send(b"x" * 200)


def silence(test: Ending, peer: Peer) -> None:
    test.reactor.advance(3)


def frame_unfinished(test: Ending, peer: Peer) -> None:
    peer.send(b"beg")
    test.reactor.turn()
    test.reactor.advance(2)


def our_close(test: Ending, peer: Peer) -> None:
    test.link.connection.loseConnection()


def our_abort(test: Ending, peer: Peer) -> None:
    test.link.connection.abortConnection()


def close_of_the_transport(test: Ending, peer: Peer) -> None:
    test.link.connection.transport.loseConnection()


def our_half_close(test: Ending, peer: Peer) -> None:
    test.link.connection.finishWriting()
    assert not test.link.whenReady().called  # on which nothing can be asked
    peer.close()


def reconnect(test: Ending, peer: Peer) -> None:
    test.link.reconnectNow()


def forsaken(test: Ending, peer: Peer) -> None:
    peer.transport.loseConnection = peer.transport.abortConnection = lambda: None
    test.link.reconnectNow()
    test.reactor.advance(10)
    test.reactor.advance(1)


Way = Callable[["Ending", Peer], None]
WAYS: tuple[Way, ...] = (
    fin,
    fin_while_a_callback_is_waited_for,
    reset,
    reset_behind_what_arrived,
    goodbye,
    late_answer,
    callback_raises,
    bad_frame,
    bad_frame_behind_a_callback,
    silence,
    frame_unfinished,
    our_close,
    our_abort,
    close_of_the_transport,
    our_half_close,
    reconnect,
    forsaken,
)

ON_TLS = (goodbye, our_close, our_abort, reset)
BY_KEY = (
    reset_behind_what_arrived,
    fin_while_a_callback_is_waited_for,
    callback_raises,
    bad_frame_behind_a_callback,
)


class Ending:
    """A link that is ready, and the other end."""

    def __init__(self, secure: bool = False, protocol: Any = Asking, **options: Any) -> None:
        self.secure = secure
        self.reactor = FakeReactor()
        link: Any = ReconnectingFactory.forProtocol(
            protocol,
            clock=self.reactor,
            backoff=Backoff(initial=1, maximum=1),
            random=lambda: 1.0,
            silenceTimeout=options.pop("silenceTimeout", 3),
            frameTimeout=2,
            **options,
        )
        self.link = link
        self.reactor.connectTCP("h", 1, link)  # type: ignore[call-arg]
        self.peer = self.accept()
        assert link.state is State.READY

    def accept(self) -> Peer:
        peer = self.reactor.attempts[-1].accept(secure=self.secure)
        if self.secure:
            peer.finishHandshake()
        self.reactor.turn()
        return peer

    def end(self, how: Way) -> None:
        how(self, self.peer)
        self.reactor.turn()


def variants() -> Any:
    """Each way to end, on plain TCP and TLS, with answers in turn and by key."""
    for how in WAYS:
        protocol = Keyed if how in BY_KEY else Asking
        options = {"silenceTimeout": None} if how is late_answer else {}
        for secure in (False, True) if how in ON_TLS else (False,):
            if secure or how is not goodbye:
                name = how.__name__ + ("-tls" if secure else "")
                yield pytest.param(
                    how, {"secure": secure, "protocol": protocol, **options}, id=name
                )


every_way = pytest.mark.parametrize(("how", "options"), list(variants()))


@every_way
def test_who_waits_for_an_answer_learns_of_the_end_after_the_link(how: Way, options: Any) -> None:
    ending = Ending(**options)
    link, told = ending.link, []

    def tell(_: object) -> None:
        told.append(link.state)
        assert not link.whenReady().called

    for n in range(3):
        link.connection.request(b"q%d" % n).addErrback(tell)
    ending.end(how)
    ending.reactor.advance(1)
    assert len(told) == 3
    assert State.READY not in told


@every_way
def test_so_does_who_waits_for_a_frame(how: Way, options: Any) -> None:
    ending = Ending(**options)
    link, told = ending.link, []
    if how is late_answer:
        link.connection.request(b"q")
    link.connection.expect(re.compile(b"never")).addErrback(lambda _: told.append(link.state))
    ending.end(how)
    for held in HELD:
        held.callback(None)
    HELD.clear()
    ending.reactor.advance(1)
    assert len(told) == 1
    assert State.READY not in told


@every_way
def test_a_retry_loop_asks_again_on_the_next_connection(how: Way, options: Any) -> None:
    ending = Ending(**options)
    rounds = 0

    async def ask(what: bytes) -> bytes:
        nonlocal rounds
        while True:
            connection = await ending.link.whenReady()
            rounds += 1
            if rounds > 100:
                raise AssertionError("asks for ever")
            try:
                answer: bytes = await connection.request(what)
            except (ConnectionClosed, RequestTimeout):
                continue  # again, on the next connection
            return answer

    asked = [Deferred.fromCoroutine(ask(b"q%d" % n)) for n in range(3)]
    ending.end(how)
    for _ in range(8):
        for held in HELD:
            held.callback(None)
        HELD.clear()
        if ending.reactor.attempts[-1].pending:
            ending.peer = ending.accept()
        for line in ending.peer.received.splitlines():
            ending.peer.send(b"a" + line + b"\n")
        ending.peer.received = b""
        ending.reactor.turn()
        ending.reactor.advance(0.5)
    answers: list[bytes] = []
    for each in asked:
        each.addCallback(answers.append)
    assert sorted(answers) == [b"aq0", b"aq1", b"aq2"]
    assert rounds <= 9


@pytest.mark.parametrize("use", ["nextFrame", "expect", "send", "sendFrame"])
@every_way
def test_so_does_any_other(how: Way, options: Any, use: str) -> None:
    """What fails at once because of the end; the wait for the link outlasts it."""
    ending = Ending(**options, whenDown="refuse")
    rounds = 0

    async def again() -> None:
        nonlocal rounds
        while True:
            connection = await ending.link.whenReady()
            rounds += 1
            if rounds > 100:
                raise AssertionError("asks for ever")
            try:
                if use == "nextFrame":
                    await connection.nextFrame()
                elif use == "expect":
                    await connection.expect(re.compile(b"yes"))
                elif use == "send":
                    await ending.link.send([b"x"])
                else:
                    connection.sendFrame(b"x")
            except (ConnectionClosed, LinkDown):
                continue
            return

    faults: list[Any] = []
    ending.link.connection.request(b"q").addErrback(
        lambda _: Deferred.fromCoroutine(again()).addErrback(faults.append)
    )
    ending.end(how)
    ending.reactor.advance(1)
    for held in HELD:
        held.callback(None)
    HELD.clear()
    ending.reactor.turn()
    ending.reactor.advance(1)
    ending.accept()
    assert rounds == 1
    assert faults == []


def test_who_finds_that_what_arrived_last_cannot_be_answered_finds_the_link_down_too() -> None:
    told: list[object] = []

    class Echo(Keyed):
        def frameReceived(self, frame: bytes) -> None:
            try:
                self.sendFrame(frame)
            except ConnectionClosed:
                told.append(ending.link.state)
                told.append(ending.link.whenReady().called)

        def connectionLost(self, reason: object = None) -> None:
            told.append("lost")

    ending = Ending(protocol=Echo)
    ending.end(reset_behind_what_arrived)
    assert told == [State.DROPPING, False, "lost"]


class InsideTests(SynchronousTestCase):
    """The end begins while the link is at work: the event waits, and so do those it concerns."""

    def test_a_close_inside_the_ready_callback_acts_at_once(self) -> None:
        states: list[State] = []

        class Closing(Asking):
            def connectionReady(self) -> None:
                self.request(b"q").addErrback(lambda _: states.append(link.state))
                self.loseConnection()
                states.append(link.state)
                link.whenReady().addErrback(lambda _: None).addCallback(states.append)

        self.reactor = FakeReactor()
        link: Any = ReconnectingFactory.forProtocol(Closing, clock=self.reactor)
        self.reactor.connectTCP("h", 1, link)  # type: ignore[call-arg]
        waiting = link.whenReady()
        self.reactor.attempts[-1].accept()
        self.assertEqual(states, [State.DROPPING, State.DROPPING])
        self.assertNoResult(waiting)

    def test_a_close_inside_an_observer_comes_before_the_ready_callback(self) -> None:
        told: list[object] = []

        class Noting(Asking):
            def connectionReady(self) -> None:
                told.append("ready")

        def close(old: State, new: State, reason: object) -> None:
            if new is State.READY:
                connection = link.connection
                connection.request(b"q").addErrback(lambda _: told.append(link.state))
                connection.loseConnection()
                link.whenReady().addErrback(lambda _: None).addCallback(told.append)

        self.reactor = FakeReactor()
        link: Any = ReconnectingFactory.forProtocol(Noting, clock=self.reactor)
        link.observe(close)
        self.reactor.connectTCP("h", 1, link)  # type: ignore[call-arg]
        self.reactor.attempts[-1].accept()
        self.assertEqual(told, [State.DROPPING])

    def test_without_a_link_they_learn_of_it_all_the_same(self) -> None:
        ending = Ending()
        connection = ending.link.connection
        connection.join(ALONE)
        asked = connection.request(b"q")
        connection.abortConnection()
        self.failureResultOf(asked, ConnectionClosed)
