"""A subclass written for `ReconnectingClientFactory` works, or is refused with what to do."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partialmethod
from typing import Any

import pytest
from twisted.application.internet import ClientService
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.protocol import Protocol, ReconnectingClientFactory
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from nbclient import Backoff, FrameProtocol, ReconnectingFactory, State, framing
from nbclient.errors import ArgumentError, CallbackFailed, LocalError, NBClientError, Unsupported
from nbclient.link.options import NAMES
from nbclient.talking import Answer
from nbclient.testing import FakeEndpoint, FakeReactor, Peer


class Lines(FrameProtocol):
    framing = framing.lines()

    def frameReceived(self, frame: bytes) -> None:
        self.factory.frames.append(frame)  # type: ignore[union-attr]


class SubclassCase(SynchronousTestCase):
    """A link of a class under test, dialled by a connector."""

    def dial(self, kind: Any, **options: Any) -> Any:
        self.reactor = FakeReactor()
        options.setdefault("backoff", Backoff(initial=1))
        link = kind.forProtocol(Lines, clock=self.reactor, random=lambda: 1.0, **options)
        link.frames = []
        self.connector = self.reactor.connectTCP("feed.example", 5000, link)
        return link

    def accept(self) -> Peer:
        peer = self.reactor.attempts[-1].accept()
        self.reactor.turn()
        return peer

    def assertRedials(self, link: Any) -> None:
        """Attempts that fail, a connection, frames, its loss, and the next one."""
        for attempts in (1, 2):
            self.assertEqual(len(self.reactor.attempts), attempts)
            self.assertIs(link.state, State.CONNECTING)
            self.reactor.attempts[-1].refuse()
            self.assertIs(link.state, State.WAITING)
            self.assertIs(link.lastReason.type, ConnectionRefusedError)
            self.reactor.advance(2)
        peer = self.accept()
        self.assertIs(link.state, State.READY)
        peer.send(b"frame\n")
        self.reactor.turn()
        self.assertEqual(link.frames, [b"frame"])
        peer.close()
        self.reactor.turn()
        self.assertIs(link.state, State.WAITING)
        self.reactor.advance(8)
        self.accept()
        self.assertIs(link.state, State.READY)
        self.assertEqual(link.stats().dials, 4)
        link.stop()
        self.reactor.turn()
        self.assertIs(link.state, State.STOPPED)
        self.assertEqual(self.reactor.pending(), [])


class UpCallTests(SubclassCase):
    def test_all_of_them_left_out(self) -> None:
        class Mute(ReconnectingFactory):
            def startedConnecting(self, connector: Any) -> None:
                seen.append("started")

            def clientConnectionFailed(self, connector: Any, reason: Any) -> None:
                seen.append("failed")

            def clientConnectionLost(self, connector: Any, reason: Any) -> None:
                seen.append("lost")

            def buildProtocol(self, addr: Any) -> Any:
                seen.append("built")
                return Lines()

        seen: list[str] = []
        self.assertRedials(self.dial(Mute))
        self.assertEqual(
            seen,
            [
                *("started", "failed", "started", "failed"),
                *("started", "built", "lost", "started", "built", "lost"),
            ],
        )

    def test_all_of_them_made_through_a_class_in_between(self) -> None:
        class Polite(ReconnectingFactory):
            def startedConnecting(self, connector: Any) -> None:
                super().startedConnecting(connector)

            def clientConnectionFailed(self, connector: Any, reason: Any) -> None:
                super().clientConnectionFailed(connector, reason)

            def clientConnectionLost(self, connector: Any, reason: Any) -> None:
                super().clientConnectionLost(connector, reason)

            def buildProtocol(self, addr: Any) -> Any:
                return super().buildProtocol(addr)

        class Politer(Polite):
            def startedConnecting(self, connector: Any) -> None:
                super().startedConnecting(connector)

            def clientConnectionFailed(self, connector: Any, reason: Any) -> None:
                super().clientConnectionFailed(connector, reason)

            def buildProtocol(self, addr: Any) -> Any:
                return super().buildProtocol(addr)

        self.assertRedials(self.dial(Politer))

    def test_all_of_them_left_out_by_a_mixin(self) -> None:
        class Mute:
            def __init__(self, **options: Any) -> None:
                super().__init__(**options)

            def startedConnecting(self, connector: Any) -> None: ...

            def clientConnectionFailed(self, connector: Any, reason: Any) -> None: ...

            def buildProtocol(self, addr: Any) -> Any:
                return Lines()

        self.assertRedials(self.dial(type("Mixed", (Mute, ReconnectingFactory), {})))

    def test_all_of_them_left_out_by_methods_of_another_kind(self) -> None:
        overrides = {
            "startedConnecting": staticmethod(lambda connector: None),
            "clientConnectionFailed": partialmethod(lambda link, more, connector, reason: None, 5),
            "buildProtocol": classmethod(lambda kind, addr: Lines()),
        }
        self.assertRedials(self.dial(type("Odd", (ReconnectingFactory,), overrides)))

    def test_one_that_is_no_method_at_all(self) -> None:
        class Building:
            def __call__(self, addr: Any) -> Any:
                return Lines()

        self.assertRedials(
            self.dial(type("Odd", (ReconnectingFactory,), {"buildProtocol": Building()}))
        )

    def test_all_of_them_set_on_the_link(self) -> None:
        class Setting(ReconnectingFactory):
            def __init__(self, **options: Any) -> None:
                super().__init__(**options)
                self.startedConnecting = lambda connector: None
                self.clientConnectionFailed = lambda connector, reason: None
                self.buildProtocol = lambda addr: Lines()

        self.assertRedials(self.dial(Setting))

    def test_one_set_on_the_link_calls_that_of_the_class_and_goes_away(self) -> None:
        class Counting(ReconnectingFactory):
            def buildProtocol(self, addr: Any) -> Any:
                built.append(addr)
                return super().buildProtocol(addr)

        built: list[Any] = []
        link = self.dial(Counting)
        before = link.buildProtocol
        link.buildProtocol = lambda addr: before(addr)
        self.assertRedials(link)
        self.assertEqual(len(built), 2)
        del link.buildProtocol
        self.assertEqual(link.buildProtocol, before)

    def test_one_set_on_the_link_that_cannot_be_called_is_refused(self) -> None:
        async def build(addr: Any) -> Any:
            """Not here."""

        link: Any = ReconnectingFactory()
        for value in (build, None):
            with self.assertRaisesRegex(LocalError, r"^ReconnectingFactory\.buildProtocol takes"):
                link.buildProtocol = value

    def test_all_of_them_set_on_the_class_when_it_is_there(self) -> None:
        class Patched(ReconnectingFactory): ...

        kind: Any = Patched
        kind.startedConnecting = lambda self, connector: None
        kind.clientConnectionFailed = lambda self, connector, reason: None
        kind.buildProtocol = lambda self, addr: Lines()
        self.assertRedials(self.dial(kind))

    def test_one_that_raises_is_logged_and_stops_nothing(self) -> None:
        class Raising(ReconnectingFactory):
            def startedConnecting(self, connector: Any) -> None:
                super().startedConnecting(connector)
                raise ZeroDivisionError

            def clientConnectionFailed(self, connector: Any, reason: Any) -> None:
                raise ZeroDivisionError

        self.assertRedials(self.dial(Raising))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 4 + 2)

    def test_one_that_raises_at_the_first_attempt_raises_to_whoever_dialled(self) -> None:
        class Raising(ReconnectingFactory):
            def startedConnecting(self, connector: Any) -> None:
                raise ZeroDivisionError

        self.assertRaises(ZeroDivisionError, self.dial, Raising)
        self.assertFalse(self.reactor.attempts[0].pending)

    def test_a_second_connector_is_refused_all_the_same(self) -> None:
        class Polite(ReconnectingFactory):
            def startedConnecting(self, connector: Any) -> None:
                super().startedConnecting(connector)

        link = self.dial(Polite)
        self.assertRaises(LocalError, self.reactor.connectTCP, "other.example", 5000, link)
        self.assertFalse(self.reactor.attempts[1].pending)
        self.reactor.attempts[0].accept()
        self.assertIs(link.state, State.READY)

    def test_one_that_stops_the_link_is_obeyed(self) -> None:
        class Stopping(ReconnectingFactory):
            def startedConnecting(self, connector: Any) -> None:
                super().startedConnecting(connector)
                self.stop()

        link = self.dial(Stopping)
        self.reactor.turn()
        self.assertIs(link.state, State.STOPPED)
        self.assertEqual(len(self.reactor.attempts), 1)

    def test_one_that_dials_by_hand_is_no_storm_and_says_so_once(self) -> None:
        """As the reconnecting factories of Twisted's documentation do; also after a stop."""

        class Hasty(ReconnectingFactory):
            def startedConnecting(self, connector: Any) -> None:
                super().startedConnecting(connector)

            def clientConnectionFailed(self, connector: Any, reason: Any) -> None:
                connector.connect()

            def clientConnectionLost(self, connector: Any, reason: Any) -> None:
                connector.connect()

        with capturedLogs() as logs:
            link = self.dial(Hasty)
            self.reactor.attempts[-1].refuse()
            for _ in range(3):
                self.assertIs(link.state, State.WAITING)
                self.assertFalse(self.reactor.attempts[-1].pending)
                self.reactor.advance(8)
                peer = self.accept()
                self.assertIs(link.state, State.READY)
                peer.close()
                self.reactor.turn()
            self.assertEqual(link.stats().dials, 4)
            self.reactor.advance(8)
            self.accept()
            link.stop()
            self.reactor.turn()
            self.reactor.advance(60)
        self.assertIs(link.state, State.STOPPED)
        self.assertFalse(self.reactor.attempts[-1].pending)
        self.assertEqual((link.stats().dials, self.reactor.pending()), (5, []))
        said = [formatEvent(log) for log in logs if log["log_level"].name == "warn"]
        self.assertEqual([line for line in said if line and "is ignored here" in line], said[:1])

    def test_one_that_raises_at_a_loss_is_logged(self) -> None:
        class Raising(ReconnectingFactory):
            def clientConnectionLost(self, connector: Any, reason: Any) -> None:
                raise ZeroDivisionError

        self.assertRedials(self.dial(Raising))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

    def test_a_failure_is_counted_once_though_an_override_dials_and_makes_the_up_call(self) -> None:
        class Hasty(ReconnectingFactory):
            def clientConnectionFailed(self, connector: Any, reason: Any) -> None:
                connector.connect()
                super().clientConnectionFailed(connector, reason)

        link = self.dial(Hasty)
        self.reactor.attempts[0].refuse()
        self.assertIs(link.state, State.WAITING)
        self.assertEqual(link.stats().attempts, 1)

    def test_what_an_override_builds_beside_the_up_call_is_what_counts(self) -> None:
        class Other(ReconnectingFactory):
            def buildProtocol(self, addr: Any) -> Any:
                super().buildProtocol(addr)
                built.append(Lines())
                return built[-1]

        built: list[Lines] = []
        link = self.dial(Other)
        self.accept()
        self.assertIs(link.connection, built[0])
        self.assertIs(link.state, State.READY)

    def test_a_wrapper_around_what_the_up_call_built_may_be_returned(self) -> None:
        class Wrapper(Protocol):
            def __init__(self, inner: Any) -> None:
                self.inner = inner

            def connectionMade(self) -> None:
                self.inner.makeConnection(self.transport)

        class Wrapping(ReconnectingFactory):
            def buildProtocol(self, addr: Any) -> Any:
                return Wrapper(super().buildProtocol(addr))

        link = self.dial(Wrapping)
        self.accept()
        self.assertIs(link.state, State.READY)

    def test_what_is_no_connection_is_a_failed_attempt_in_words(self) -> None:
        for built in (None, Protocol()):

            class Wrong(ReconnectingFactory):
                def buildProtocol(self, addr: Any) -> Any:
                    return built  # noqa: B023 (called in this turn)

            link = self.dial(Wrong)
            self.accept()
            self.assertIs(link.state, State.WAITING)
            self.assertIs(link.lastReason.type, CallbackFailed)
            why = str(link.lastReason.value)
            self.assertIn("is no FrameProtocol: this factory builds no other", why)

    def test_an_up_call_that_fails_is_logged_once(self) -> None:
        class Polite(ReconnectingFactory):
            def buildProtocol(self, addr: Any) -> Any:
                return super().buildProtocol(addr)

        link = self.dial(Polite)
        link.protocol = Protocol
        with capturedLogs() as logged:
            self.accept()
        self.assertIs(link.state, State.WAITING)
        said = [str(event.get("why")) for event in logged]
        self.assertEqual(len([why for why in said if "is no FrameProtocol" in why]), 1)

    def test_endpoints_do_not_call_them_and_that_is_said(self) -> None:
        class Listening(ReconnectingFactory):
            def clientConnectionLost(self, connector: Any, reason: Any) -> None:
                raise AssertionError

        reactor = FakeReactor()
        with capturedLogs() as logged:
            link: Any = Listening.forProtocol(Lines, clock=reactor)
            link.start(FakeEndpoint(reactor))
        self.assertIn(
            "fake:1: endpoints do not call clientConnectionLost, which Listening overrides;"
            " use observe()",
            [formatEvent(event) for event in logged],
        )

    def test_a_constructor_that_leaves_it_out_is_refused(self) -> None:
        class Mute(ReconnectingFactory):
            def __init__(self) -> None:
                self.seen = 0

        class Late(ReconnectingFactory):
            def __init__(self) -> None:
                self.connectTimeout = 5
                super().__init__()

        class Own(ReconnectingFactory):
            def __init__(self, seen: int) -> None:
                super().__init__(connectTimeout=5)
                self.seen = seen

        class Broken(ReconnectingFactory):
            def __init__(self) -> None:
                super().__init__()
                self.nothing.there = 5  # type: ignore[attr-defined]

        for wrong in (Mute, Late):
            error = self.assertRaises(LocalError, wrong)
            self.assertIn("__init__ has to call super().__init__() first", str(error))
        self.assertEqual((Own(3).seen, Own(3).connectTimeout), (3, 5))
        self.assertRaises(AttributeError, Broken)


FOREIGN = {
    "initialDelay": "Backoff(initial=SECONDS)",
    "maxDelay": "Backoff(maximum=SECONDS)",
    "factor": "Backoff(factor=F)",
    "jitter": "there is nothing to set",
    "maxRetries": "Backoff(retries=N)",
    "delay": "reconnectNow()",
    "retries": "stats().attempts",
    "continueTrying": "call stop()",
    "resetDelay": "leave it out",
    "stopTrying": "call stop()",
    "retry": "leave it out",
}


def refusals(name: str) -> dict[str, Callable[[], Any]]:
    """Each way of using a name."""
    link = ReconnectingFactory(clock=FakeReactor())
    make: Any = ReconnectingFactory.forProtocol
    return {
        "of a class": lambda: type("Old", (ReconnectingFactory,), {name: 5}),
        "of a mixin": lambda: type("Old", (type("Mixin", (), {name: 5}), ReconnectingFactory), {}),
        "set": lambda: setattr(link, name, 5),
        "read or called": lambda: getattr(link, name)(),
        "given": lambda: make(Lines, **{name: 5}),
    }


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("way", refusals("retry"))
def test_a_name_of_the_other_factory_is_refused_with_what_is_here_instead(
    name: str, way: str
) -> None:
    with pytest.raises(Unsupported) as caught:
        refusals(name)[way]()
    assert f".{name}: " in str(caught.value)
    assert FOREIGN[name] in str(caught.value)


def test_every_name_of_the_other_factory_works_or_is_refused() -> None:
    public = {name for name in vars(ReconnectingClientFactory) if not name.startswith("_")}
    # Twisted sets `connector` and `clock` for itself; `clock` is the constructor's here.
    ours = {"clientConnectionFailed", "clientConnectionLost", "clock", "connector"}
    assert public - ours == {*FOREIGN}


def test_such_a_name_is_not_there_for_whoever_asks() -> None:
    assert not hasattr(ReconnectingFactory(), "resetDelay")
    assert "stable_after" in ReconnectingFactory.resetDelay.instead  # as a help page shows it


def test_noisy_is_twisteds_own_and_works() -> None:
    class Noisy(ReconnectingFactory):
        noisy = True

    reactor = FakeReactor()
    link: Any = Noisy.forProtocol(Lines, clock=reactor)
    with capturedLogs() as logged:
        reactor.connectTCP("feed.example", 5000, link)
    assert any("Starting factory" in formatEvent(event) for event in logged)


def test_a_class_cannot_be_both() -> None:
    for bases in (
        (ReconnectingFactory, ReconnectingClientFactory),
        (ReconnectingClientFactory, ReconnectingFactory),
    ):
        with pytest.raises(LocalError, match="derive from it alone"):
            type("Both", bases, {})


@pytest.mark.parametrize("name", ["name", "clock", *NAMES])
def test_a_class_attribute_that_the_constructor_would_hide_is_refused(name: str) -> None:
    with pytest.raises(LocalError, match=rf"^Hidden\.{name}: only the constructor .* {name}=$"):
        type("Hidden", (ReconnectingFactory,), {name: 5})


@pytest.mark.parametrize("name", ["maxDelay", "connectTimeout", "name"])
def test_so_is_one_that_is_set_when_the_class_is_there(name: str) -> None:
    class Hidden(ReconnectingFactory): ...

    setattr(Hidden, name, 5)
    with pytest.raises(LocalError, match=rf"^Hidden\.{name}: "):
        Hidden()


@pytest.mark.parametrize("name", ["clock", "maxAge", "outboxBytes", "random"])
def test_so_is_setting_what_would_change_nothing(name: str) -> None:
    with pytest.raises(LocalError, match=f"^{name}: only the constructor sets it"):
        setattr(ReconnectingFactory(), name, 5)


def test_an_async_override_is_refused() -> None:
    async def build(self: Any, addr: Any) -> Any:
        """Not here."""

    for method in (build, classmethod(build), staticmethod(build), partialmethod(build)):
        with pytest.raises(LocalError, match=r"^Later\.buildProtocol cannot be async"):
            type("Later", (ReconnectingFactory,), {"buildProtocol": method})


def test_a_constructor_that_leaves_out_its_up_call_is_found_wherever_it_comes_from() -> None:
    class Silent:
        def __init__(self) -> None: ...

    class Mixed(Silent, ReconnectingFactory): ...

    @dataclass
    class Data(ReconnectingFactory):
        host: str = "feed.example"

    for kind in (Mixed, Data):
        with pytest.raises(LocalError, match=r"__init__ has to call super\(\)\.__init__\(\) first"):
            kind()


def test_a_link_without_a_protocol_is_refused_when_it_is_started() -> None:
    reactor = FakeReactor()
    with pytest.raises(ArgumentError, match=r"^protocol takes .* forProtocol\(Mine\) .* not None"):
        ReconnectingFactory(clock=reactor).start(FakeEndpoint(reactor))
    with pytest.raises(ArgumentError, match=r"^protocol takes "):
        reactor.connectTCP("feed.example", 5000, ReconnectingFactory(clock=reactor))
    assert reactor.pending() == []


def test_an_up_call_without_a_protocol_says_what_is_missing() -> None:
    class Building(ReconnectingFactory):
        def buildProtocol(self, addr: Any) -> Any:
            return super().buildProtocol(addr)

    reactor = FakeReactor()
    link = Building(clock=reactor)
    reactor.connectTCP("feed.example", 5000, link)
    with capturedLogs() as logged:
        reactor.attempts[-1].accept()
    assert any("protocol takes a subclass" in formatEvent(event) for event in logged)


class EndpointTests(SynchronousTestCase):
    """A link that is handed to what dials for others."""

    def setUp(self) -> None:
        self.reactor = FakeReactor()
        self.endpoint = FakeEndpoint(self.reactor)
        self.link: Any = ReconnectingFactory.forProtocol(Lines, clock=self.reactor)

    def test_an_endpoint_that_connects_it_is_told_what_to_do(self) -> None:
        self.endpoint.connect(self.link).addErrback(lambda _: None)
        with capturedLogs() as logged:
            self.assertRaises(LocalError, self.endpoint.attempts[0].accept)
        [line] = [formatEvent(event) for event in logged]
        self.assertIn("LinkService(endpoint, link) or link.start(endpoint) starts it", line)
        self.assertIn("not endpoint.connect(link), and not ClientService", line)

    def test_so_is_a_client_service(self) -> None:
        class Failing:
            """As Twisted's endpoints do it: what building raises fails the attempt."""

            def connect(self, factory: Any) -> Deferred[Any]:
                connecting: Deferred[Any] = Deferred()
                try:
                    factory.buildProtocol(None)
                except Exception:
                    connecting.errback(Failure())
                return connecting

        service = ClientService(Failing(), self.link, clock=self.reactor)
        with capturedLogs() as logged:
            service.startService()
        self.assertTrue(any("and not ClientService" in formatEvent(event) for event in logged))
        waiting = service.whenConnected(failAfterFailures=1)
        self.reactor.advance(60)
        self.assertIsInstance(self.failureResultOf(waiting).value, NBClientError)
        service.stopService()

    def test_a_second_dialler_beside_a_link_that_is_up_is_said_once(self) -> None:
        self.link.start(self.endpoint, self.reactor)
        self.endpoint.attempts[-1].accept()
        self.reactor.turn()
        with capturedLogs() as logged:
            for _ in range(3):
                self.link.buildProtocol(None)
        (line,) = [formatEvent(each) for each in logged if each["log_level"].name == "warn"]
        self.assertIn("something else dials for it", line)
        self.assertIn("not ClientService", line)
        self.link.stop()
        self.reactor.turn()


def test_what_is_no_spool_and_no_observer_is_refused() -> None:
    link: Any = ReconnectingFactory()
    for call in (lambda: link.useSpool(5), lambda: ReconnectingFactory(spool="dir")):  # type: ignore[arg-type]
        with pytest.raises(ArgumentError, match=r"^spool takes a Spool, which .*open_spool"):
            call()
    with pytest.raises(ArgumentError, match=r"^observer takes "):
        link.observe(None)


def test_a_template_that_names_no_group_of_its_pattern_is_refused() -> None:
    for template in (rb"\3", rb"\g<name>"):
        with pytest.raises(ArgumentError, match=r"^Answer: template takes a template of"):
            Answer(re.compile(b"x"), template)
    assert Answer(Searching(), rb"\3").template == rb"\3"  # of another kind of pattern


class Searching:
    """Looks like a compiled pattern."""

    def search(self, frame: bytes) -> None: ...
