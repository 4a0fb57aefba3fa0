"""Several peers for one link, in order of preference.

::

    peers = alternatives([endpoints.tcp(reactor, "a", 7), endpoints.tcp(reactor, "b", 7)],
                         failback=300, clock=reactor)
    LinkService(peers, factory)

**One attempt of the link is one attempt at one peer**, and after each comes the
link's back-off. So the link dials no faster with ten peers down than with one,
and the connect timeout is each peer's own: in a pass over the whole list, a
first peer that never answers would use it up for all. A dead peer costs little:
the link's first waits are short (at most ``Backoff.initial``), so the next peer
is tried within half a second of a refusal, or of the connect timeout.

**Which peer comes next**: after an attempt that failed the next of the list,
after the last the first; after a connection that was good the first. Good is
what the link calls stable: ready for ``Backoff.stable_after`` seconds. After a shorter
one that got something done (`ReconnectingFactory.progressed`) the same peer is next, and
the first after `failback` seconds of those. A peer that accepts and then closes, fails
in TLS or refuses the login has failed, so it cannot keep the others from their turn.

**Going back**: after `failback` seconds on another peer, the first is tried with
a connection of its own, closed as soon as it stands (TLS handshake included).
Only when that worked does the link give up its good connection; what is in the
outbox waits, as at any loss. Otherwise it is tried again as much later. A first
peer that takes connections and does not keep them would cost an interruption
each time: each return that was not good doubles the wait, up to `LONGEST_WAIT`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

from twisted.internet.defer import Deferred, fail, maybeDeferred
from twisted.internet.interfaces import (
    IDelayedCall,
    IHandshakeListener,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    ISSLTransport,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from nbclient.connection.timers import timers_of
from nbclient.core.arguments import CLOCK, check, check_endpoint, check_timeout, is_clock
from nbclient.core.states import State
from nbclient.errors import LocalError, SpecError
from nbclient.link.factory import ReconnectingFactory

PROBE_TIMEOUT = 10.0
"""How long the first peer may take to answer when it is looked for, seconds."""

LONGEST_WAIT = 3600.0
"""How far failed returns stretch the wait for the next one, seconds (or `failback`, if longer)."""


def alternatives(
    endpoints: Sequence[IStreamClientEndpoint],
    failback: float | None = None,
    clock: IReactorTime | None = None,
    names: Sequence[str] | None = None,
) -> Alternatives:
    """An endpoint for one link: several endpoints in order; see the head of this module.

    :param endpoints: at least one, the preferred one first.
    :param failback: seconds on another peer after which to go back to the first;
        None: never give up a connection for that.
    :param clock: `IReactorTime`; default the global reactor.
    :param names: what logs call them; default what they call themselves.
    :raises SpecError: no endpoint, or not as many names as endpoints.
    :raises ArgumentError: an argument of the wrong type; a `failback` that is not above 0.
    """
    several = isinstance(endpoints, Sequence) and not isinstance(endpoints, str | bytes)
    check("endpoints", endpoints, several, "a list of endpoints")
    if not endpoints:
        raise SpecError("alternatives need at least one endpoint")
    for each in endpoints:
        check_endpoint("endpoints", each)
    if failback is not None:
        check_timeout("failback", failback)
    check("clock", clock, clock is None or is_clock(clock), CLOCK)
    if names is None:
        names = [str(getattr(each, "name", None) or repr(each)) for each in endpoints]
    if len(names) != len(endpoints):
        raise SpecError(f"{len(endpoints)} endpoints, but {len(names)} names")
    return Alternatives(endpoints, failback, clock, names)


@implementer(IStreamClientEndpoint)
class Alternatives:
    """See `alternatives`; belongs to one link, which it comes to know at the first attempt.

    :ivar index: which of the endpoints is meant now, from 0.
    """

    def __init__(
        self,
        endpoints: Sequence[IStreamClientEndpoint],
        failback: float | None,
        clock: IReactorTime | None,
        names: Sequence[str],
    ) -> None:
        self.index = 0
        self._endpoints = tuple(endpoints)
        self._names = tuple(names)
        self._failback = failback
        self._wait = failback or 0.0
        self._clock: Any = clock
        self._now: Callable[[], float] = time.monotonic if clock is None else clock.seconds
        self._link: ReconnectingFactory | None = None
        self._tried = False  # an attempt at `index` was made
        self._going_back = False  # the next attempt is at the first, whatever became of this one
        self._returned = False  # the present one came about that way
        self._came = 0.0  # when this peer became the one that is meant
        self._timer: IDelayedCall | None = None
        self._probe: _Probe | None = None

    @property
    def name(self) -> str:
        """The peer meant now, for logs."""
        return self._names[self.index]

    def __repr__(self) -> str:
        return f"<alternatives {', '.join(self._names)}>"

    def follow(self, link: ReconnectingFactory) -> None:
        """Learn from this link which connections were good.

        Needed only where something wraps the alternatives as a whole, so that
        `connect` is not handed the link itself.

        :raises LocalError: another link has these alternatives.
        """
        if self._link is None:
            self._link = link
            link.observe(partial(self._changed, link))
        elif self._link is not link:
            raise LocalError("these alternatives are another link's: each link needs its own")

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """One attempt at the peer whose turn it is.

        :return: fails with LocalError where no link is known, or another one is.
        """
        try:
            link = self._following(protocolFactory)
        except LocalError:
            return fail()
        self._choose(link)
        return self._endpoints[self.index].connect(protocolFactory)

    def _following(self, factory: IProtocolFactory) -> ReconnectingFactory:
        if isinstance(factory, ReconnectingFactory):
            self.follow(factory)
        if self._link is None:
            raise LocalError("alternatives serve a ReconnectingFactory: call follow(link) first")
        return self._link

    # -- whose turn it is ----------------------------------------------------------

    def _choose(self, link: ReconnectingFactory) -> None:
        before = self.index
        if self._tried:
            self._judge(link)
        self._tried = True
        self._returned, self._going_back = self._going_back, False
        # A link without a name of its own is called by the peer it means.
        if link.name in self._names:
            link.name = self.name
        if self.index != before:
            news = link.isNews(f"the turn of {self.name}")
            (link.log.info if news else link.log.debug)(
                "{link}: the turn of {peer}, {number} of {count}",
                link=link.name,
                peer=self.name,
                number=self.index + 1,
                count=len(self._endpoints),
            )

    def _judge(self, link: ReconnectingFactory) -> None:
        """The last attempt, or the connection it led to, is over."""
        if self._failback is not None and self.index == 0:
            if link.lasted:
                self._wait = self._failback
            elif self._returned:
                self._wait = min(2 * self._wait, max(LONGEST_WAIT, self._failback))
        if link.lasted or self._going_back:
            self.index = 0
        elif link.progressed:
            self._stay()
        else:
            self._came = self._now()
            self.index = (self.index + 1) % len(self._endpoints)

    def _stay(self) -> None:
        """It takes one message a connection, say: no reason to leave it, nor to stay for good."""
        if self._failback is not None and self._now() - self._came >= self._failback:
            self._came = self._now()
            self.index = 0

    def _changed(
        self, link: ReconnectingFactory, old: State, new: State, reason: Failure | None
    ) -> None:
        """What the link tells of itself."""
        if new is State.READY:
            self._arm(link)
        elif old is State.READY:
            self._disarm()
        elif new is State.STOPPED:  # when started again, it begins anew
            self.index = 0
            self._wait = self._failback or 0.0
            self._tried = self._going_back = False

    # -- going back to the first -----------------------------------------------------

    def _arm(self, link: ReconnectingFactory) -> None:
        if self._failback is None or self.index == 0:
            return
        if self._clock is None:
            from twisted.internet import reactor

            self._clock = reactor
        self._timer = self._clock.callLater(self._wait, self._look, link)

    def _disarm(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        probe, self._probe = self._probe, None
        if probe is not None:
            probe.cancel()

    def _look(self, link: ReconnectingFactory) -> None:
        """Does the first peer answer?"""
        self._timer = None
        self._probe = _Probe(self._clock, partial(self._looked, link))
        self._probe.dial(self._endpoints[0])

    def _looked(self, link: ReconnectingFactory, answers: bool) -> None:
        self._probe = None
        first = self._names[0]
        if answers:
            link.log.info("{link}: {peer} answers: going back to it", link=link.name, peer=first)
            self._going_back = True
            link.reconnectNow()
        else:
            link.log.debug("{link}: {peer} does not answer", link=link.name, peer=first)
            self._arm(link)


@implementer(IHandshakeListener)
class _Probe(Protocol):
    """A connection that is closed as soon as it stands.

    :param told: called once: whether the peer answered. Not after `cancel`.
    """

    _attempt: Deferred[Any]

    def __init__(self, clock: IReactorTime, told: Callable[[bool], object]) -> None:
        self._told: Callable[[bool], object] | None = told
        self._timers = timers_of(clock)
        self._timer = self._timers.after(PROBE_TIMEOUT, self._end, False)

    def dial(self, endpoint: IStreamClientEndpoint) -> None:
        """Begin."""
        factory: Any = Factory.forProtocol(cast(Any, lambda: self))
        factory.noisy = False
        self._attempt = maybeDeferred(endpoint.connect, factory)
        self._attempt.addErrback(lambda _: self._end(False))

    def cancel(self) -> None:
        """Nobody wants to know any more."""
        self._told = _nobody
        self._end(False)

    def connectionMade(self) -> None:
        if self._told is None:  # an attempt that could not be cancelled
            self._close()
        elif not ISSLTransport.providedBy(self.transport):
            self._end(True)

    def handshakeCompleted(self) -> None:
        self._end(True)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.transport = None
        self._end(False)

    def _end(self, answers: bool) -> None:
        told, self._told = self._told, None
        if told is None:
            return
        self._timers.cancel(self._timer)
        if self.transport is not None:
            self._close()
        else:
            self._attempt.cancel()
        told(answers)

    def _close(self) -> None:
        transport: Any = self.transport
        if ISSLTransport.providedBy(transport):  # an orderly end would wait for the peer
            transport.abortConnection()
        else:
            transport.loseConnection()


def _nobody(answers: bool) -> None:
    """Whom a cancelled probe tells."""
