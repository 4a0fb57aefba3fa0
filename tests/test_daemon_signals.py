"""Signals."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest
from twisted.internet.task import Clock

from nbclient.daemon.signals import Signals


class Turn(Clock):
    """Calls from threads are made at the next turn."""

    def callFromThread(self, call: Any) -> None:
        self.callLater(0, call)


@pytest.fixture(autouse=True)
def _as_before() -> Any:
    numbers = (signal.SIGUSR1, signal.SIGUSR2)
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
