"""Whatever raises, wherever: an attempt has failed, the next one comes, and a stop is one."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import pytest
from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError
from twisted.logger import Logger, capturedLogs
from twisted.python.failure import Failure

from nbclient import Backoff, FrameProtocol, ReconnectingFactory, State, framing
from nbclient.core.automation import Answer, Heartbeat, Poll
from nbclient.core.states import Action
from nbclient.delivery.replies import Reply
from nbclient.errors import CallbackFailed, FrameError, LinkStopped, LocalError
from nbclient.framing import Decoder, Framing
from nbclient.link import factory as factory_module
from nbclient.link.pump import Pump
from nbclient.testing import FakeEndpoint, FakeReactor, Peer


class Fault(BaseException):
    """What is raised; not even its text is to be had.

    No `Exception`, as `SystemExit` and asyncio's ``CancelledError``: a reactor only logs it.
    """

    def __str__(self) -> str:
        raise ZeroDivisionError

    __repr__ = __str__


@define
class Once:
    """Raises at one of its calls."""

    at: int
    calls: int = 0
    raised: bool = False

    def __call__(self) -> None:
        self.calls += 1
        if self.calls == self.at:
            self.raised = True
            raise Fault


@frozen
class Faulty(Framing):
    """Lines, of which some part raises once."""

    max_frame: int = 100
    faults: dict[str, Once] = field(factory=dict, eq=False)

    def strike(self, part: str) -> None:
        if part in self.faults:
            self.faults[part]()

    def decoder(self) -> Decoder:
        self.strike("decoder")
        return FaultyDecoder(self, framing.lines(max_frame=100).decoder())

    def encode(self, frames: Sequence[bytes]) -> list[bytes]:
        self.strike("encode")
        return framing.lines().encode(frames)


@define
class FaultyDecoder(Decoder):
    of: Faulty
    lines: Decoder

    def feed(self, data: bytes) -> list[bytes]:
        self.of.strike("feed")
        return self.lines.feed(data)

    def eof(self) -> bytes:
        self.of.strike("eof")
        return self.lines.eof()

    def unread(self, data: bytes, frames: Sequence[bytes]) -> bytes:
        return self.lines.unread(data, frames)


class Clock(FakeReactor):
    """Whose timers cannot be set once."""

    once = Once(0)

    def callLater(self, when: float, what: Any, *args: Any, **kwargs: Any) -> Any:
        if when:  # what is to be done in the next turn is the fakes' own
            self.once()
        return super().callLater(when, what, *args, **kwargs)


class Endpoint(FakeEndpoint):
    once = Once(0)
    way = "raises"

    def connect(self, protocolFactory: Any) -> Any:
        try:
            self.once()
        except Fault:
            if self.way == "raises":
                raise
            return None if self.way == "none" else Deferred(self.broken)
        return super().connect(protocolFactory)

    def broken(self, _: object) -> None:
        raise Fault


@frozen
class Delays(Backoff):
    once: Once = field(factory=lambda: Once(0), eq=False)
    part: str = ""
    gives: Any = None

    def strike(self, part: str) -> None:
        if part == self.part:
            self.once()

    def delay(self, failures: int, random: Callable[[], float]) -> float:
        try:
            self.strike("delay")
        except Fault:
            if self.gives is None:
                raise
            return cast(float, self.gives)
        return super().delay(failures, random)

    def exhausted(self, failures: int) -> bool:
        self.strike("exhausted")
        return super().exhausted(failures)


class Life:
    """A link that connects again and again, whatever becomes of it."""

    def __init__(self, **options: Any) -> None:
        self.once = options.pop("once", Once(0))
        self.clock = Clock()
        self.endpoint = Endpoint(self.clock)
        options.setdefault("backoff", Backoff(initial=1, maximum=4))
        options.setdefault("random", lambda: 1.0)
        options.setdefault("delivery", "written")
        protocol = options.pop("protocol", self.protocol())
        kind = options.pop("kind", None)
        link: Any = (kind or ReconnectingFactory).forProtocol(
            protocol,
            clock=self.clock,
            connectTimeout=3,
            openingTimeout=3,
            closeTimeout=2,
            silenceTimeout=20,
            **options,
        )
        self.link = link
        self.frames: list[bytes] = []
        if kind is None:
            link.start(self.endpoint)
        else:
            self.endpoint = cast(Any, self.clock)  # whose attempts are those of a connector
            self.clock.connectTCP("h", 1, link)  # type: ignore[call-arg]

    def protocol(self) -> Any:
        life = self

        class Recording(FrameProtocol):
            framing = Faulty()

            def frameReceived(self, frame: bytes) -> Any:
                life.frames.append(frame)

        return Recording

    @property
    def pending(self) -> bool:
        return bool(self.endpoint.attempts) and self.endpoint.attempts[-1].pending

    def accept(self) -> Peer | None:
        for _ in range(30):
            if self.pending:
                with contextlib.suppress(Fault):  # a reactor would log it
                    peer = self.endpoint.attempts[-1].accept()
                    self.turn()
                    return peer
                return None
            self.clock.advance(0.5)
            self.turn()
        return None

    def turn(self) -> None:
        with contextlib.suppress(Fault):
            self.clock.turn()

    def connect(self) -> None:
        """A connection with traffic both ways, that ends within a frame."""
        peer = self.accept() or self.accept()
        assert peer is not None, self.link.state
        self.link.send([b"out"])
        peer.send(b"in\nask\nbeg")
        self.turn()
        self.clock.advance(1)
        peer.reset()
        self.turn()

    def proves(self) -> None:
        """It connects within a minute, and is ready; and a stop in its time is a stop."""
        for _ in range(60):
            if self.link.state is State.READY:
                break
            if self.pending:
                self.endpoint.attempts[-1].accept()
            self.clock.turn()
            self.clock.advance(1)
        assert self.link.state is State.READY
        assert self.link.stats().outbox.conserved()
        stopped: list[object] = []
        self.link.stop().addCallback(stopped.append)
        for _ in range(4):
            self.clock.turn()
            self.clock.advance(1)
        assert stopped == [None]
        assert self.link.state is State.STOPPED


# -- what it is given


def _raising_in(method: str) -> Callable[[Life], Any]:
    """A class of connections one of whose callbacks raises once."""

    def made(life: Life) -> Any:
        base = life.protocol()

        def callback(self: Any, *args: Any) -> Any:
            life.once()
            return getattr(base, method)(self, *args)

        return type("Raising", (base,), {method: callback})

    return made


def _property(life: Life) -> Any:
    class Property(FrameProtocol):
        @property
        def framing(self) -> Framing:  # type: ignore[override]
            life.once()
            return Faulty()

        def frameReceived(self, frame: bytes) -> None:
            pass

    return Property


def _framing(part: str) -> Callable[[Life], dict[str, Any]]:
    return lambda life: {"framing": Faulty(faults={part: life.once})}


class Pattern:
    pattern = b""

    def __init__(self, once: Once) -> None:
        self.once = once

    def search(self, frame: bytes) -> None:
        self.once()


def _struck(life: Life, result: Any) -> Any:
    life.once()
    return result


SOURCES: dict[str, Callable[[Life], dict[str, Any]]] = {
    **{f"framing-{part}": _framing(part) for part in ("decoder", "feed", "eof", "encode")},
    **{
        f"protocol-{method}": lambda life, method=method: {  # type: ignore[misc]
            "protocol": _raising_in(method)(life)
        }
        for method in (
            "__init__",
            "makeConnection",
            "connectionMade",
            "opening",
            "connectionReady",
            "frameReceived",
            "framesReceived",
            "tailReceived",
            "connectionLost",
        )
    },
    "protocol-framing": lambda life: {"protocol": _property(life)},
    "random": lambda life: {"random": lambda: _struck(life, 1.0)},
    "backoff-delay": lambda life: {"backoff": Delays(1, 4, once=life.once, part="delay")},
    "backoff-exhausted": lambda life: {"backoff": Delays(1, 4, once=life.once, part="exhausted")},
    "backoff-infinite": lambda life: {
        "backoff": Delays(1, 4, once=life.once, part="delay", gives=float("inf"))
    },
    "backoff-no-number": lambda life: {
        "backoff": Delays(1, 4, once=life.once, part="delay", gives=float("nan"))
    },
    "wiretap": lambda life: {"wiretap": lambda direction, data: life.once()},
    "answers": lambda life: {"answers": [Answer(Pattern(life.once), b"yes")]},  # type: ignore[arg-type]
    "reply": lambda life: {
        "delivery": "reply",
        "reply": Reply(match=Pattern(life.once), timeout=2),  # type: ignore[arg-type]
    },
}


class Starting(Life):
    """A `Life` in which something that it is given raises at one of its calls."""

    def __init__(self, source: str, at: int) -> None:
        self.once = Once(at)
        super().__init__(once=self.once, **SOURCES[source](self))


@pytest.mark.parametrize("at", [1, 2, 3])
@pytest.mark.parametrize("source", SOURCES)
def test_what_it_is_given_raises_once(source: str, at: int) -> None:
    life = Starting(source, at)
    for _ in range(6):
        life.connect()
    assert life.once.raised
    life.proves()


def _talking(kind: str) -> dict[str, Any]:
    beat = Heartbeat(b"beat", 0.25)
    return {"heartbeat": beat} if kind == "heartbeat" else {"poll": Poll(b"poll", 0.25)}


@pytest.mark.parametrize("at", [1, 2, 5])
@pytest.mark.parametrize("kind", ["heartbeat", "poll"])
def test_what_it_says_by_itself_raises_once(
    kind: str, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = Once(at)
    say = factory_module.Talker._say

    def saying(talker: Any, frame: bytes) -> None:
        once()
        say(talker, frame)

    monkeypatch.setattr(factory_module.Talker, "_say", saying)
    life = Life(**_talking(kind))
    peer = life.accept()
    assert peer is not None
    for _ in range(5):  # else it would say nothing any more, and nobody would notice
        peer.send(b"answer\n")
        life.clock.turn()
        life.clock.advance(0.25)
        life.clock.turn()
    assert once.raised
    assert not peer.connected
    life.connect()
    life.proves()


@pytest.mark.parametrize("at", range(1, 12))
def test_the_clock_raises_once(at: int) -> None:
    life = Life()
    life.clock.once = Once(at)
    for _ in range(20):
        if life.clock.once.raised:
            break
        life.connect()
    assert life.clock.once.raised
    life.proves()


@pytest.mark.parametrize("connected", [True, False])
def test_the_pump_raises_once_and_who_sends_is_not_at_fault(
    connected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    once, run = Once(1), Pump._run

    def running(pump: Pump) -> None:
        once()
        run(pump)

    life = Life()
    peer = life.accept() if connected else None
    monkeypatch.setattr(Pump, "_run", running)
    accepted: list[object] = []
    life.link.send([b"kept"]).addCallback(accepted.append)
    assert accepted == [None]
    assert once.raised
    life.clock.turn()
    if peer is not None:
        assert not peer.connected
    peer = life.accept()
    assert peer is not None
    assert peer.received == b"kept\n"
    life.proves()


def test_after_our_half_close_nothing_is_said_and_that_is_no_fault() -> None:
    life = Life(heartbeat=Heartbeat(b"beat", 1))
    peer = life.accept()
    assert peer is not None
    life.link.connection.finishWriting()
    life.link.connection.writable = True  # as it is for a moment
    with capturedLogs() as logs:
        life.clock.advance(1)
        life.clock.turn()
    assert [log for log in logs if "log_failure" in log] == []
    assert peer.connected
    assert life.link.state is State.READY


@pytest.mark.parametrize("way", ["raises", "none", "cannot be cancelled"])
def test_the_endpoint_raises_once(way: str) -> None:
    life = Life()
    life.endpoint.way = way
    life.connect()
    life.endpoint.once = Once(1)
    life.connect()
    assert life.endpoint.once.raised
    life.proves()


@pytest.mark.parametrize("hook", ["startFactory", "startedConnecting", "stopFactory"])
@pytest.mark.parametrize("at", [2, 3])
def test_the_factory_raises_once_where_a_connector_dials(hook: str, at: int) -> None:
    once = Once(at)

    class Raising(ReconnectingFactory):
        pass

    def raising(link: Any, *args: Any) -> None:
        once()
        getattr(super(Raising, link), hook)(*args)

    setattr(Raising, hook, raising)
    life = Life(kind=Raising)
    for _ in range(4):
        life.connect()
    assert once.raised
    life.proves()


@pytest.mark.parametrize("what", ["PathWatch", "Acknowledging", "Replying", "Talker", "Watch"])
def test_what_watches_a_connection_cannot_be_made_once(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {
        "PathWatch": {"deadAfter": 60},
        "Acknowledging": {"delivery": "auto"},
        "Replying": {"delivery": "reply"},
        "Talker": {"heartbeat": Heartbeat(b"beat", 1)},
        "Watch": {},
    }[what]
    once, made = Once(2), getattr(factory_module, what)

    def making(*args: Any) -> Any:
        once()
        return made(*args)

    monkeypatch.setattr(factory_module, what, making)
    life = Life(**options)
    for _ in range(3):
        life.connect()
    assert once.raised
    life.proves()


TIMED = ("_timeUp", "_watch", "_lookForAcks", "_awaitLastAcks", "_lookAtPath", "_closeUnanswered")


@pytest.mark.parametrize("method", TIMED)
def test_what_a_timer_calls_ends_the_attempt_where_it_raises(method: str) -> None:
    life = Life()
    peer = life.accept()
    assert peer is not None

    @factory_module._onTheClock
    def broken(link: Any) -> None:
        raise Fault

    assert hasattr(getattr(ReconnectingFactory, method), "__wrapped__")
    broken(life.link)
    life.clock.turn()
    assert not peer.connected
    assert life.link.lastReason.type is CallbackFailed
    life.proves()


# -- the actions themselves


def _accept_and_reset(life: Life) -> None:
    life.connect()


def _refuse(life: Life) -> None:
    for _ in range(20):
        if life.pending:
            life.endpoint.attempts[-1].refuse(ConnectionRefusedError())
            return
        life.clock.advance(0.5)


def _never_answered(life: Life) -> None:
    for _ in range(20):
        if life.pending:
            break
        life.clock.advance(0.5)
    life.clock.advance(3)
    life.clock.turn()


def _close(life: Life) -> None:
    if life.accept() is not None and life.link.connection is not None:
        life.link.connection.loseConnection()
        life.clock.turn()


def _stalled_close(life: Life) -> None:
    peer = life.accept()
    if peer is not None and life.link.connection is not None:
        peer.stall()
        life.link.connection.sendFrame(b"x")
        life.link.reconnectNow()
        life.clock.advance(2)
        life.clock.turn()


def _fin(life: Life) -> None:
    peer = life.accept()
    if peer is not None:
        peer.close()
        life.clock.turn()


def _never_reported(life: Life) -> None:
    peer = life.accept()
    if peer is not None:
        for name in ("loseConnection", "abortConnection"):
            setattr(peer.transport, name, lambda: None)
        life.link.reconnectNow()
        for _ in range(4):
            life.clock.advance(1)
            life.clock.turn()


STEPS = (
    _accept_and_reset,
    _refuse,
    _never_answered,
    _close,
    _stalled_close,
    _fin,
    _never_reported,
)


def _lives() -> Iterator[Any]:
    for action in Action:
        for at in (1, 2, 4):
            for instead in (True, False):
                how = "instead" if instead else "behind"
                yield pytest.param(action, at, instead, id=f"{action.name}-{at}-{how}")


@pytest.mark.parametrize(("action", "at", "instead"), list(_lives()))
def test_an_action_raises_once_in_a_life_of_many_ends(
    action: Action, at: int, instead: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    once, real = Once(at), factory_module._ACTIONS[action]

    def performed(link: Any) -> None:
        if not instead:
            real(link)
        once()
        if instead:
            real(link)

    monkeypatch.setitem(factory_module._ACTIONS, action, performed)
    life = Life()
    for _ in range(2):
        for step in STEPS:
            step(life)
    life.proves()


@pytest.mark.parametrize("action", Action, ids=lambda action: action.name)
def test_or_at_the_stop(action: Action, monkeypatch: pytest.MonkeyPatch) -> None:
    """In whichever state the link is."""
    for steps in range(len(STEPS) + 1):
        for settle in (False, True):
            once, real = Once(0), factory_module._ACTIONS[action]

            def performed(link: Any, once: Once = once, real: Any = real) -> None:
                once()
                real(link)

            with monkeypatch.context() as patch:
                patch.setitem(factory_module._ACTIONS, action, performed)
                life = Life()
                for step in STEPS[:steps]:
                    step(life)
                if settle:
                    life.accept()
                once.at = once.calls + 1
                stopped: list[object] = []
                life.link.stop().addCallback(stopped.append)
                for _ in range(8):
                    life.clock.turn()
                    life.clock.advance(1)
                assert stopped == [None]


# -- one line, once


def test_it_is_said_once_and_is_the_reason() -> None:
    life = Starting("framing-decoder", 2)
    with capturedLogs() as logs:
        life.connect()
        life.accept()
        life.clock.turn()
    said = [log for log in logs if "log_failure" in log]
    assert [log["what"] for log in said] == ["framing"]
    assert "could not begin" in str(life.link.lastReason.value)
    assert isinstance(life.link.log, Logger)


def test_what_is_no_framing_and_known_only_at_the_connection_is_said_in_one_line() -> None:
    class Late(FrameProtocol):
        def __init__(self) -> None:
            self.framing = framing.lines  # type: ignore[assignment]

    life = Life(protocol=Late)
    with capturedLogs() as logs:
        life.endpoint.attempts[-1].accept()
        life.clock.turn()
    assert [log["why"] for log in logs if "why" in log] == [str(life.link.lastReason.value)]
    assert "Late.framing takes" in str(life.link.lastReason.value)
    assert [log for log in logs if "log_failure" in log] == []


def test_send_fails_in_words_whatever_encode_raises() -> None:
    life = Life(framing=Faulty(faults={"encode": Once(1)}))
    failed: list[Failure] = []
    life.link.send([b"one"]).addErrback(failed.append)
    assert failed[0].type is FrameError
    assert str(failed[0].value) == "the framing failed to encode a frame: Fault"
    for nonsense in (5, None, (each for each in ("text",))):
        life.link.send(nonsense).addErrback(failed.append)
    assert [type(each.value) for each in failed[1:]] == [LocalError] * 3
    assert life.link.stats().outbox.conserved()
    assert life.link.stats().outbox.refused == 1


def test_an_accepted_frame_that_cannot_be_carried_any_more_is_set_aside_and_said() -> None:
    """By a framing of one's own that the opening has chosen, whose fault is no FrameError."""

    class Short(Faulty):
        def encode(self, frames: Sequence[bytes]) -> list[bytes]:
            return [struct.pack(">B", len(frame)) + frame for frame in frames]

    class Choosing(FrameProtocol):
        framing = framing.lines()

        def opening(self) -> None:
            self.setFraming(Short())

        def frameReceived(self, frame: bytes) -> None:
            pass

    for level in ("written", "reply"):
        life = Life(protocol=Choosing, delivery=level)
        for frame in (b"short", b"y" * 300, b"after"):
            life.link.send([frame])
        with capturedLogs() as logs:
            peer = life.accept()
            assert peer is not None
            peer.send(b"ok\n")
            life.clock.turn()
        assert peer.received == b"\x05short\x05after"
        said = [str(log.get("why")) for log in logs if "set aside" in log["log_format"]]
        (line,) = said
        assert line.startswith("the framing failed to encode a frame: error: ")
        assert line.endswith(" format requires 0 <= number <= 255")
        assert life.link.stats().outbox.conserved()
        assert life.link.stats().outbox.set_aside == 1


def test_setting_a_framing_that_is_not_to_be_had_changes_nothing() -> None:
    class Changing(FrameProtocol):
        framing = framing.lines()

        def frameReceived(self, frame: bytes) -> None:
            frames.append(frame)
            if frame == b"one":
                with pytest.raises(Fault):
                    self.setFraming(Faulty(faults={"decoder": Once(1)}))

    frames: list[bytes] = []
    life = Life(protocol=Changing)
    peer = life.accept()
    assert peer is not None
    peer.send(b"one\ntwo\nthr")
    life.clock.turn()
    peer.send(b"ee\n")
    life.clock.turn()
    assert frames == [b"one", b"two", b"three"]


def test_a_deferred_that_the_application_fired_itself_is_nobody_elses_business() -> None:
    life = Life()
    first, second = life.link.whenReady(), life.link.whenReady()
    first.callback("mine")
    life.accept()
    ready: list[Any] = []
    second.addCallback(ready.append)
    assert ready == [life.link.connection]
    stops = [life.link.stop(), life.link.stop()]
    stops[0].callback(None)
    life.clock.turn()
    assert stops[1].called


def test_a_level_whose_outbox_cannot_end_tells_of_the_stop_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    life = Life()
    life.link.send([b"x"])
    monkeypatch.setattr(type(life.link._pump), "end", lambda *_: Once(1)())
    told: list[Failure] = []
    life.link.whenReady().addErrback(told.append)
    stopped = life.link.stop()
    life.clock.turn()
    assert stopped.called
    assert told[0].type is LinkStopped
