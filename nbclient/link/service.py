"""A link as an `IService`: it starts and stops with its application."""

from __future__ import annotations

import random as _random
from collections.abc import Callable
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from nbclient.core.arguments import CLOCK, check, check_endpoint, is_called, is_clock, is_number
from nbclient.core.states import State
from nbclient.link.factory import ReconnectingFactory


class LinkService(Service):
    """Starts the link with the application and stops it in good order.

    :param endpoint: where to connect, any `IStreamClientEndpoint`.
    :param factory: the link; also the handle to everything else.
    :param clock: an `IReactorTime`; the global reactor by default.
    :param spread: the first attempt comes after a random part of so many
        seconds, so that many links do not all start at once.
    :param random: the source of that part, a float in ``[0, 1)``.
    :raises ArgumentError: an argument of another kind; the two first are swapped.
    :raises LocalError: the factory has a service already: one factory is one link.
    """

    def __init__(
        self,
        endpoint: Any,
        factory: ReconnectingFactory,
        clock: IReactorTime | None = None,
        spread: float = 0.0,
        random: Callable[[], float] = _random.random,
    ) -> None:
        _check_factory(factory)
        check_endpoint("endpoint", endpoint)
        check("clock", clock, clock is None or is_clock(clock), CLOCK)
        check("spread", spread, is_number(spread) and spread >= 0, "a number of seconds from 0")
        check("random", random, is_called(random), "a function that gives a float in [0, 1)")
        factory.belongTo(self)
        self.endpoint = endpoint
        self.factory = factory
        self._clock: Any = clock
        self._spread = spread
        self._random = random
        self._first: IDelayedCall | None = None
        self._ending = False

    def startService(self) -> None:
        """Begin to dial; nothing was opened before."""
        super().startService()
        if self._clock is None:
            from twisted.internet import reactor

            self._clock = reactor
        if self._first is not None:
            return
        if self._spread > 0:
            self._first = self._clock.callLater(self._spread * self._random(), self._start)
        else:
            self._start()

    def _start(self) -> None:
        self._first = None
        if self.factory.state in (State.IDLE, State.STOPPED):
            self._ending = False
            self.factory.start(self.endpoint, self._clock)
        elif self._ending:
            # Started again before the last stop was done: begin when it is.
            self._ending = False
            self.factory.whenStopped().addCallback(lambda _: self._startAgain())

    def _startAgain(self) -> None:
        if self.running:
            self._start()

    def stopService(self) -> Deferred[None]:
        """Stop the link.

        :return: fires when it has stopped, whatever state it was in.
        """
        super().stopService()
        first, self._first = self._first, None
        if first is not None:
            first.cancel()
        self._ending = True
        return self.factory.stop()


def _check_factory(factory: object) -> None:
    takes = "a ReconnectingFactory"
    if callable(getattr(factory, "connect", None)):
        takes += ", and the endpoint comes before it"
    elif callable(getattr(factory, "buildProtocol", None)):
        takes += " (Twisted's ClientService is for others)"
    check("factory", factory, isinstance(factory, ReconnectingFactory), takes)
