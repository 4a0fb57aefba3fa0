"""Signals."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import pytest
from twisted.internet.task import Clock

from nbclient.daemon.process.signals import Handler, Signals, die_by


class Turn(Clock):
    """Calls from threads are made at the next turn."""

    def callFromThread(self, call: Any) -> None:
        self.callLater(0, call)


@pytest.fixture(autouse=True)
def _as_before() -> Any:
    numbers = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM, signal.SIGINT)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_signal_is_handled_in_the_reactors_turn_and_given_back() -> None:
    reactor = Turn()
    seen: list[str] = []
    earlier: list[int] = []
    signal.signal(signal.SIGUSR1, lambda number, frame: earlier.append(number))
    signals = Signals(reactor, {signal.SIGUSR1: lambda: seen.append("usr1")})
    signals.install()
    os.kill(os.getpid(), signal.SIGUSR1)
    assert seen == []
    reactor.advance(0)
    assert seen == ["usr1"]
    before = signals.before(signal.SIGUSR1)
    assert before is not None
    before(signal.SIGUSR1, None)
    assert earlier == [signal.SIGUSR1]
    signals.restore()
    os.kill(os.getpid(), signal.SIGUSR1)
    assert earlier == [signal.SIGUSR1] * 2
    assert signals.before(signal.SIGUSR1) is None


def test_what_was_ignored_from_the_start_stays_so() -> None:
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    signals = Signals(Turn(), {signal.SIGUSR2: lambda: None})
    signals.install()
    assert signal.getsignal(signal.SIGUSR2) is signal.SIG_IGN
    signals.restore()


def test_a_default_action_is_nothing_to_call() -> None:
    signal.signal(signal.SIGUSR2, signal.SIG_DFL)
    signals = Signals(Turn(), {signal.SIGUSR2: lambda: None})
    signals.install()
    assert signals.before(signal.SIGUSR2) is None
    signals.restore()
    assert signal.getsignal(signal.SIGUSR2) is signal.SIG_DFL


def test_an_ending_signal_that_comes_twice_at_once_is_one() -> None:
    """timeout(1) signals the process and its group: that is no second signal."""
    reactor, clock = Turn(), Clock()
    seen: list[str] = []
    handlers: dict[int, Handler] = {
        signal.SIGTERM: lambda: seen.append("term"),
        signal.SIGINT: lambda: seen.append("int"),
        signal.SIGUSR1: lambda: seen.append("usr1"),
    }
    signals = Signals(reactor, handlers, clock.seconds)
    signals.install()

    def receive(*numbers: signal.Signals) -> list[str]:
        seen.clear()
        for number in numbers:
            os.kill(os.getpid(), number)
        reactor.advance(0)
        return list(seen)

    assert receive(signal.SIGTERM, signal.SIGTERM) == ["term"]
    clock.advance(0.0625)
    assert receive(signal.SIGTERM) == []
    assert receive(signal.SIGINT) == ["int"]  # another one, and so a second
    clock.advance(0.0625)
    assert receive(signal.SIGTERM) == ["term"]
    assert receive(signal.SIGUSR1, signal.SIGUSR1) == ["usr1", "usr1"]  # each is a file renamed
    signals.restore()


def test_to_die_by_a_signal_is_not_to_handle_it(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[int, int, object]] = []

    def kill(process: int, number: int) -> None:
        sent.append((process, number, signal.getsignal(number)))

    monkeypatch.setattr(os, "kill", kill)
    monkeypatch.setattr(sys, "stdout", None)  # closed from the start
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    die_by(signal.SIGTERM)
    assert sent == [(os.getpid(), signal.SIGTERM, signal.SIG_DFL)]
