"""The link: one per peer, outliving its connections.

`ReconnectingFactory` owns the state machine (`nbclient.core.states`), the back-off,
the outbox, the pump and the counters. The same object serves Twisted's two
ways of dialling::

    reactor.connectTCP(host, port, factory)        # connectSSL, connectUNIX
    LinkService(endpoint, factory).startService()  # any client endpoint

Both end in the same machine: an attempt is counted by `clientConnectionFailed`
or by the endpoint's errback, a loss by the hook that every connection carries
(`FrameProtocol`), never by `clientConnectionLost`, which endpoints do not call.
"""

from __future__ import annotations

import math
import random as _random
import time
from collections.abc import Callable, Sequence
from functools import wraps
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal, Self, cast
from weakref import ref

from attrs import evolve, frozen
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IAddress, IConnector, IReactorTime
from twisted.internet.protocol import ClientFactory, connectionDone
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure
from twisted.python.reflect import safe_str

from nbclient.connection.connecting import heard_in_clear
from nbclient.connection.interface import LinkObserver, global_reactor
from nbclient.connection.overrides import awaited
from nbclient.connection.protocol import FrameProtocol, framing_of
from nbclient.connection.timers import Timer, Timers, timers_of
from nbclient.connection.wording import explain
from nbclient.core.arguments import CLOCK, check, check_endpoint, is_called, is_clock
from nbclient.core.automation import LOOK, Answer, Heartbeat, Poll, first_answer
from nbclient.core.backoff import Backoff
from nbclient.core.liveness import INSTANT, SHORTEST, Watch
from nbclient.core.outage import Outage, duration
from nbclient.core.states import Action, Event, Machine, State
from nbclient.delivery.outbox import Outbox, OutboxStats
from nbclient.delivery.replies import Reply, Says
from nbclient.errors import (
    CallbackFailed,
    ConnectionClosed,
    ConnectTimeout,
    DeadPath,
    DeliveryNotNow,
    DeliveryUnavailable,
    FrameRejected,
    FrameTimeout,
    GaveUp,
    LinkDown,
    LinkError,
    LinkStopped,
    LocalError,
    NBClientError,
    OpeningFailed,
    Rejected,
    ReplyTimeout,
    SilenceTimeout,
    TurnedAway,
)
from nbclient.framing import Framing
from nbclient.framing.base import not_carried
from nbclient.kernel.ack_tracker import Acknowledging
from nbclient.kernel.dead_path import PathWatch
from nbclient.kernel.tcpinfo import Settling
from nbclient.link.automation import Talker
from nbclient.link.dialers import ConnectorDialer, Dialer, EndpointDialer, Refusal
from nbclient.link.options import NAMES, OUTBOX_BYTES, LinkOptions, shared
from nbclient.link.pump import Pump, Rules
from nbclient.link.reply_tracker import Replying
from nbclient.link.spooling import Cursor
from nbclient.link.subclassing import Refusing, changed, complete, is_stock, overridable, unheard
from nbclient.link.tally import Tallies

_CONSTRUCTOR_SETS = ("name", "clock", *NAMES)

NOBODY: list[Any] = []
"""Waits for a link; shared and never changed: for most links nobody does."""

NOTHING_SENT = Outbox(OUTBOX_BYTES).stats(0.0)
"""Of a link that was never given a frame."""

ACK_FIRST = 0.01
ACK_LONGEST = 0.1
"""Seconds between two looks for acknowledgements while frames are in flight."""

DIAL_REFUSED = (
    "{link}: connector.connect() is ignored here: leave it out, a link redials by itself;"
    " reconnectNow() does so at once"
)
NOT_STARTED = (
    "a link dials by itself: LinkService(endpoint, link) or link.start(endpoint) starts it, not"
    " endpoint.connect(link), and not ClientService"
)

PROTOCOL = "a subclass of FrameProtocol, or what makes one, as forProtocol(Mine) sets it"

SPOOL = "a Spool, which nbclient.spooling.open_spool makes of a path, or None"

SENDING_LOOK = 0.05
"""Seconds between two looks whether a peer that has closed its side has everything."""

GREETING = 2
"""So many frames are no progress: a greeting, and why the peer says goodbye again."""

UNSETTLED = (
    "{link}: sent again: {number} frames{within}, acknowledged by the peer's system less than"
    " {after:g} s before the connection ended, which does not prove that the peer took them"
    " (where it always ends so: settle-after 0)"
)
LOST = {
    "dropped": "{link}: the outbox is full: {number} frames dropped to make room{within}",
    "expired": "{link}: {number} frames were too old, and are not sent{within}",
}

ABORT_GRACE = 1.0
"""How long an aborted connection may take to report its end, seconds."""

if TYPE_CHECKING:
    from nbclient.spool.spool import Spool  # not every Python has SQLite

    _ClientFactory = ClientFactory[FrameProtocol]
else:  # generic at run time only since Twisted 25
    _ClientFactory = ClientFactory

Observer = Callable[[State, State, "Failure | None"], object]


@frozen
class LinkStats:
    """A snapshot of one link.

    :ivar state: where the link is, and `since` how many seconds.
    :ivar reading_held: whether this side holds back reading now.
    :ivar attempts: failed attempts and short-lived connections in a row.
    :ivar dials: attempts made; `connects`: of them connected, TLS handshake
        included; `readies`: of these, ready; `losses`: of these, ended, other
        than by `stop`.
    :ivar delivery: the level of delivery in force.
    :ivar skipped: faulty frames passed over.
    """

    name: str
    state: State
    since: float
    reading_held: bool
    attempts: int
    dials: int
    connects: int
    readies: int
    losses: int
    frames_in: int
    bytes_in: int
    frames_out: int
    bytes_out: int
    skipped: int
    delivery: str
    outbox: OutboxStats


def _option(name: str, fixed: bool = False) -> Any:
    """An attribute of a link that stands in its `LinkOptions`.

    It may be set, and is checked; unless it is `fixed`, since setting it would change nothing.
    """

    def change(link: ReconnectingFactory, value: Any) -> None:
        link.options = shared(evolve(link.options, **{name: value}))

    def refuse(link: ReconnectingFactory, value: object) -> None:
        raise _setByConstructor(name)

    return property(attrgetter(f"options.{name}"), refuse if fixed else change)


def _setByConstructor(name: str) -> LocalError:
    return LocalError(f"{name}: only the constructor sets it; give it {name}=")


def _checkProtocol(protocol: object) -> None:
    check("protocol", protocol, is_called(protocol), PROTOCOL)


def _onTheClock(method: Callable[..., None]) -> Callable[..., None]:
    """For what a timer calls: what it raises ends the attempt, not the link."""

    @wraps(method)
    def called(link: ReconnectingFactory, *args: Any) -> None:
        try:
            method(link, *args)
        except BaseException as error:
            link._machine.fault(error)

    return called


class ReconnectingFactory(_ClientFactory, LinkObserver, Refusing):
    """A link that stays up: builds connections, redials politely, keeps what is to be sent.

    Every argument has a default, so that ``forProtocol(MyProtocol, ...)`` takes
    any of them.

    :param backoff: how long to wait between attempts. A connection that was ready for
        its `stable_after` seconds, or has `progressed`, is a success.
    :param framing: overrides the protocol class's own.
    :param connectTimeout: limit on DNS, connect and TLS handshake together, seconds.
    :param openingTimeout: limit on the application's opening, seconds.
    :param closeTimeout: limit on an orderly close before it is cut short, and on
        the wait for the last acknowledgements after a loss, seconds.
    :param silenceTimeout: drop the connection when nothing arrived for so long,
        seconds; stands still while this side does not read. None: never.
    :param frameTimeout: drop the connection when a frame begun is not finished
        in time, seconds. None: never.
    :param deadAfter: drop the connection when the peer's host has answered
        nothing for so long, seconds, at least `nbclient.core.liveness.SHORTEST`; a
        peer that lives and does not read is not dropped. None: the system's
        own patience, which is hours. TCP only.
    :param answers: sent by themselves, the first that matches, from the opening on.
    :param heartbeat: sent when nothing else was for a while, once ready.
    :param poll: asked on a fixed schedule, once ready.
    :param sendGap: seconds at least between two frames of the outbox.
    :param outboxBytes: bound of the outbox, bytes.
    :param delivery: ``written``: a frame counts as delivered when it was handed
        to the transport; ``tcp``: when the peer's kernel acknowledged it, and
        what was not is sent again, whole, in order, on the next connection;
        ``auto``: ``tcp`` where it can be had, else ``written``; ``reply``: when
        the peer's application answered.
    :param reply: how it answers, for the level ``reply``; by default every
        frame of the peer is an answer, in turn.
    :param onReject: what becomes of a frame that the peer's answer rejects:
        ``stop`` the link, ``retry`` after the back-off, ``set-aside``.
    :param maxAttempts: a frame is set aside when the connection was lost so
        often with it the first of those sent, and none acknowledged. None: never.
    :param settleAfter: at levels ``tcp`` and ``written`` a frame counts as delivered once
        its connection has lived so long after the acknowledgement (after it was handed
        over), seconds, or the peer has sent a frame since it was written; what was not
        when the connection ends is sent again. 0: at once.
    :param rejectLine: a compiled pattern: a frame of the peer in which it is found says that
        it takes nothing on this connection. The attempt has failed (`TurnedAway`); the
        frame reaches nobody, and what is not settled is sent again.
    :param maxAge: frames older than this are dropped, seconds. None: never.
    :param whenFull: what becomes of frames when there is no room: ``wait``
        (`send` stays unfired), ``refuse`` (it fails), ``drop-oldest``.
    :param whenDown: while the link is not ready, ``queue`` frames, or ``refuse`` them.
    :param spool: keeps frames on disk, see `nbclient.link.spooling.open_spool`;
        `send` fires when they are stored. The link does not close it.
    :param name: what logs call the link; by default the peer's address.
    :param wiretap: called with ``"in"`` or ``"out"`` and the bytes as they pass.
    :param clock: an `IReactorTime`; by default the connector's reactor, or the
        global one.
    :param wall: the time of day, seconds since the epoch: for the ages of frames
        that a spool kept from before.
    :param random: the source of jitter, a float in ``[0, 1)``.
    :raises ArgumentError: an argument of the wrong type, or out of its range.
    :raises LocalError: arguments that make no sense together.

    :cvar verbose: log each change of state, too, at level debug. Whether or not anybody
        listens, that is a quarter of the CPU time of a failed attempt.
    :ivar options: the arguments, but `clock`, `name` and `spool`: a `LinkOptions`, shared
        by links that are alike. Those that are attributes of the link, too, may be set
        there, and are checked as the constructor checks them.
    :ivar connection: the protocol of the connection now up, or None.
    :ivar lastReason: why the last attempt or connection ended, or None.
    """

    # As keys of its dictionary these would take twice the room, in each of ten thousand links.
    __slots__ = (
        "_ackTimer",
        "_acks",
        "_attached",
        "_attempts",
        "_begunWith",
        "_bytesIn",
        "_bytesOut",
        "_cause",
        "_clock",
        "_connects",
        "_dialer",
        "_dials",
        "_dueAt",
        "_endWaiters",
        "_framesIn",
        "_framesOut",
        "_hurry",
        "_lasted",
        "_losses",
        "_machine",
        "_now",
        "_observers",
        "_outage",
        "_partial",
        "_path",
        "_pathTimer",
        "_progressed",
        "_pumpMade",
        "_readies",
        "_readySince",
        "_readyWaiters",
        "_replying",
        "_service",
        "_silence",
        "_since",
        "_skipped",
        "_spooled",
        "_stopWaiters",
        "_stoppedAt",
        "_talker",
        "_timer",
        "_timers",
        "_verdict",
        "_watchTimer",
        "connection",
        "lastReason",
        "name",
        "options",
    )

    noisy = False
    verbose = False
    _tallies: Tallies | None = None  # what may happen often
    log = Logger(namespace="nbclient")

    _unaskedSaid = False
    _reported: Failure | None = None  # a failed attempt or a loss that an override is told of
    _refusing = False  # an attempt that is not the link's is being ended
    _dialRefused = False  # that was said

    backoff: Backoff = _option("backoff")
    framing: Framing | None = _option("framing")
    connectTimeout: float = _option("connectTimeout")
    openingTimeout: float = _option("openingTimeout")
    closeTimeout: float = _option("closeTimeout")
    silenceTimeout: float | None = _option("silenceTimeout")
    frameTimeout: float | None = _option("frameTimeout")
    deadAfter: float | None = _option("deadAfter")
    answers: tuple[Answer, ...] = _option("answers")
    heartbeat: Heartbeat | None = _option("heartbeat")
    poll: Poll | None = _option("poll")
    delivery: str = _option("delivery")
    reply: Reply | None = _option("reply")
    whenDown: str = _option("whenDown")
    wiretap: Callable[[Literal["in", "out"], bytes], None] | None = _option("wiretap")
    rejectLine: Any = _option("rejectLine")
    rules: Rules = _option("rules")

    def __init__(
        self,
        *,
        backoff: Backoff | None = None,
        framing: Framing | None = None,
        connectTimeout: float = 10.0,
        openingTimeout: float = 10.0,
        closeTimeout: float = 10.0,
        silenceTimeout: float | None = None,
        frameTimeout: float | None = None,
        deadAfter: float | None = None,
        answers: Sequence[Answer] = (),
        heartbeat: Heartbeat | None = None,
        poll: Poll | None = None,
        sendGap: float = 0.0,
        outboxBytes: int = OUTBOX_BYTES,
        delivery: str = "auto",
        reply: Reply | None = None,
        onReject: str = "stop",
        maxAttempts: int | None = None,
        settleAfter: float = 0.0,
        rejectLine: Any = None,
        maxAge: float | None = None,
        whenFull: str = "wait",
        whenDown: str = "queue",
        spool: Spool | None = None,
        name: str | None = None,
        wiretap: Callable[[Literal["in", "out"], bytes], None] | None = None,
        clock: IReactorTime | None = None,
        wall: Callable[[], float] = time.time,
        random: Callable[[], float] = _random.random,
    ) -> None:
        self.connection: Any = None
        self.lastReason: Failure | None = None
        self.options = shared(
            LinkOptions(
                backoff=backoff,
                framing=framing,
                connectTimeout=connectTimeout,
                openingTimeout=openingTimeout,
                closeTimeout=closeTimeout,
                silenceTimeout=silenceTimeout,
                frameTimeout=frameTimeout,
                deadAfter=deadAfter,
                answers=answers,
                heartbeat=heartbeat,
                poll=poll,
                sendGap=sendGap,
                outboxBytes=outboxBytes,
                delivery=delivery,
                reply=reply,
                onReject=onReject,
                maxAttempts=maxAttempts,
                settleAfter=settleAfter,
                rejectLine=rejectLine,
                maxAge=maxAge,
                whenFull=whenFull,
                whenDown=whenDown,
                wiretap=wiretap,
                wall=wall,
                random=random,
            )
        )
        check("name", name, name is None or isinstance(name, str), "a text, or None")
        check("clock", clock, clock is None or is_clock(clock), CLOCK)
        self.name = name or ""
        self._clock: Any = clock
        # Ages are monotonic whatever the reactor's clock is; tests inject both.
        self._now: Callable[[], float] = time.monotonic if clock is None else clock.seconds
        self._pumpMade = None if spool is None else self._makePump(spool)
        self._spooled = spool is not None
        self._machine = _LinkMachine(self)
        self._since = self._now()
        self._dialer: Dialer | None = None
        self._timers = cast(Timers, None)  # until it begins
        self._timer: Timer | None = None
        self._watchTimer: Timer | None = None
        self._talker: Talker | None = None
        self._path: PathWatch | None = None
        self._pathTimer: Timer | None = None
        self._acks: Acknowledging | None = None
        self._ackTimer: Timer | None = None
        self._replying: Replying | None = None
        self._silence: Watch | None = None
        self._partial: Watch | None = None
        self._attempts = 0
        self._attached = False  # a connection takes what is to be sent
        self._readySince: float | None = None
        self._stoppedAt: float | None = None
        self._begunWith: tuple[int, int] | None = None
        self._progressed = self._lasted = False
        self._dueAt = 0.0
        self._hurry = False
        self._outage: Outage | None = None  # while it is not up, or was not for long
        self._cause: Failure | None = None
        self._dials = self._connects = self._readies = self._losses = 0
        self._framesIn = self._bytesIn = self._framesOut = self._bytesOut = self._skipped = 0
        self._readyWaiters: list[Deferred[FrameProtocol]] = NOBODY
        self._stopWaiters: list[Deferred[None]] = NOBODY
        self._endWaiters: list[Deferred[GaveUp | None]] = NOBODY
        self._observers: tuple[Observer, ...] = ()
        self._verdict: GaveUp | None = None
        self._service: ref[Any] | None = None

    def __init_subclass__(cls, **more: Any) -> None:
        """Complete a subclass that leaves out up-calls, or refuse it: see `subclassing`.

        :raises LocalError: it sets what is set otherwise here.
        """
        super().__init_subclass__(**more)
        complete(cls, ReconnectingFactory, _CONSTRUCTOR_SETS)

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Look at the class again where it was changed since it was made."""
        if changed(cls, ReconnectingFactory, _CONSTRUCTOR_SETS):
            complete(cls, ReconnectingFactory, _CONSTRUCTOR_SETS)
        return super().__new__(cls)

    # -- what applications call ------------------------------------------------

    @classmethod
    def forProtocol(cls, protocol: Any, *args: Any, **kwargs: Any) -> Self:
        """A link whose connections are made by `protocol`, a class or a callable.

        :raises ArgumentError: it is neither, or a class of another kind.
        """
        fits = is_called(protocol)
        if isinstance(protocol, type):
            fits = issubclass(protocol, FrameProtocol)
        check("protocol", protocol, fits, PROTOCOL)
        for foreign in filter(None, map(vars(Refusing).get, kwargs)):
            raise foreign.refuse(cls)
        return cast(Self, super().forProtocol(protocol, *args, **kwargs))

    @property
    def clock(self) -> Any:
        """The `IReactorTime` of this link's timers, never None.

        It is what the constructor or `start` was given, or the reactor that dials; before
        there is one of these it is the reactor of this process.
        """
        return global_reactor() if self._clock is None else self._clock

    @clock.setter
    def clock(self, value: object) -> None:
        raise _setByConstructor("clock")

    @property
    def outbox(self) -> Outbox:
        """What is to be sent, and the counters of what was."""
        return self._pump.outbox

    @property
    def state(self) -> State:
        """Where the link is."""
        return self._machine.state

    def useSpool(self, spool: Spool) -> None:
        """Keep frames in this spool, where it could not be opened before the link was made.

        :raises LocalError: the link runs, or was given frames already; the spool is
            closed, or another link has it.
        """
        if self._running:
            raise self._runningAlready()
        if self._spooled or self.outbox.counters.offered:
            raise LocalError(f"{self._label()}: a spool comes before the first frame")
        self._pumpMade = self._makePump(spool)
        self._spooled = True

    def belongTo(self, service: object) -> None:
        """Have a service, which starts and stops this link; `LinkService` calls this.

        :raises LocalError: another has it, and is still there.
        """
        other = None if self._service is None else self._service()
        if other is not None and other is not service:
            raise LocalError(f"{self._label()} has a LinkService already: one factory is one link")
        self._service = ref(service)

    def start(self, endpoint: Any, clock: IReactorTime | None = None) -> None:
        """Dial an endpoint, and stay connected. `LinkService` calls this.

        :param endpoint: an `IStreamClientEndpoint`; its names are resolved
            anew at each attempt.
        :param clock: for the timers, unless one was given to the constructor.
        :raises ArgumentError: `endpoint` cannot be dialled, `clock` is none.
        :raises LocalError: this link is running already; its spool is closed, or
            another link's by now.
        """
        check_endpoint("endpoint", endpoint)
        check("clock", clock, clock is None or is_clock(clock), CLOCK)
        if self._running:
            raise self._runningAlready()
        if self._clock is None:
            self._clock = global_reactor() if clock is None else clock
        self._begin()
        self.name = self.name or _describeEndpoint(endpoint)
        for name in unheard(self, ReconnectingFactory):
            self.log.warn(
                "{link}: endpoints do not call {name}, which {kind} overrides; use observe()",
                link=self._label(),
                name=name,
                kind=type(self).__name__,
            )
        self._dialer = EndpointDialer(endpoint, self)
        self._machine.handle(Event.START)

    def stop(self) -> Deferred[None]:
        """End the link: what was written is sent, then the connection closed.

        At level ``reply`` the answers to what was sent have half of `closeTimeout` to come.

        :return: always fires, `closeTimeout` and a second later at the latest.
        """
        if self.state is State.STOPPED:
            return succeed(None)
        self._stopWaiters = _own(self._stopWaiters)
        stopped: Deferred[None] = Deferred(self._stopWaiters.remove)
        self._stopWaiters.append(stopped)
        self._machine.handle(Event.STOP)
        return stopped

    def reconnectNow(self) -> None:
        """Take a new connection without waiting; a connection that is up is closed first."""
        if self.connection is not None and not self._machine.stopping:
            self._blame(Failure(ConnectionClosed("this side closed it, to connect anew")))
        self._machine.handle(Event.RECONNECT)

    def whenReady(self) -> Deferred[Any]:
        """The connection, once it is ready: never one that is on its way out.

        :return: fails with `LinkStopped` or `GaveUp`; may be cancelled.
        """
        if self._usable:
            return succeed(self.connection)
        if self.state is State.STOPPED:
            return fail(self._stopReason())
        self._readyWaiters = _own(self._readyWaiters)
        ready: Deferred[FrameProtocol] = Deferred(self._readyWaiters.remove)
        self._readyWaiters.append(ready)
        return ready

    def whenStopped(self) -> Deferred[GaveUp | None]:
        """Fires when the link has stopped: with None, or with why it gave up.

        It never fails: giving up is its result, an exception that nobody raised.
        """
        if self.state is State.STOPPED:
            return succeed(self._verdict)
        self._endWaiters = _own(self._endWaiters)
        ended: Deferred[GaveUp | None] = Deferred(self._endWaiters.remove)
        self._endWaiters.append(ended)
        return ended

    def whenDrained(self) -> Deferred[None]:
        """Fires when everything accepted has been delivered at the level in force.

        :return: fails with `LinkStopped` or `GaveUp` where that does not happen.
        """
        if self.state is State.STOPPED:
            return fail(self._stopReason())
        return self._pump.drained()

    def send(self, frames: Sequence[bytes], cursor: Cursor | None = None) -> Deferred[None]:
        """Accept frames for the peer: kept while the link is down, in order.

        :param cursor: name and value of where their input stands now, stored
            with them: needs a spool.
        :return: fires when all of them are in the outbox, and stored where
            there is a spool, which is the moment to offer more. Fails with
            `FrameError` (a frame that cannot be carried, or not be answered;
            none of them was accepted), `OutboxFull` (more waits for room
            already than the outbox holds, or waiting is not wanted), `SpoolError`
            (the disk did not take them), `LinkDown` or `LinkStopped`. Cancelling
            withdraws what was not accepted yet, and with it what waits behind it with
            the same cursor (`LocalError`); what is on its way to the disk is stored.
        """
        try:
            frames = _asFrames(frames)
            if cursor is not None and not self._spooled:
                raise LocalError("a cursor needs a spool to be stored in")
        except BaseException:
            return fail(Failure())
        pump = self._pumpMade or self._pump
        pump.outbox.counters.offered += len(frames)
        try:
            self._refuseUnsendable(frames)
        except (LocalError, LinkError):
            return pump.refuse(frames, Failure())
        except BaseException as error:
            return pump.refuse(frames, Failure(not_carried(frames, error)))
        return pump.offer(frames, cursor)

    def observe(self, observer: Observer) -> Callable[[], None]:
        """Be told of each change of state: old, new, and why, or None.

        :param observer: may be async or return a Deferred; the link does not wait for it.
        :return: call it to be told no more.
        :raises ArgumentError: it cannot be called.
        """
        check("observer", observer, callable(observer), "a function of two states and a reason")
        self._observers = (*self._observers, observer)

        def forget() -> None:
            self._observers = tuple(each for each in self._observers if each is not observer)

        return forget

    def stats(self) -> LinkStats:
        """A snapshot of state and counters.

        Every frame is accounted for in it (`OutboxStats.conserved`). Were one not, that is
        logged once, as an AssertionError, and nothing raised.
        """
        framesIn, bytesIn, framesOut, bytesOut, skipped = self._traffic()
        return LinkStats(
            name=self._label(),
            state=self.state,
            since=self._now() - self._since,
            reading_held=getattr(self.connection, "readingHeld", False),
            attempts=self._attempts,
            dials=self._dials,
            connects=self._connects,
            readies=self._readies,
            losses=self._losses,
            frames_in=framesIn,
            bytes_in=bytesIn,
            frames_out=framesOut,
            bytes_out=bytesOut,
            skipped=skipped,
            delivery=self._level,
            outbox=NOTHING_SENT if self._pumpMade is None else self._pumpMade.stats(),
        )

    # -- what Twisted calls ------------------------------------------------------

    @overridable
    def startedConnecting(self, connector: IConnector) -> None:
        """The reactor's way of dialling; also called at each of our own redials.

        :raises LocalError: a second connector on one factory; its spool is closed, or
            another link's by now.
        """
        if not self._takesDial(connector):
            return
        cast(ConnectorDialer, self._dialer).began()
        self._machine.handle(Event.DIALLED)  # ignored where the machine dialled itself

    def _takesDial(self, connector: IConnector) -> bool:
        """Whether the attempt that `connector` begins is one of this link."""
        if self._dialledBy(connector):
            if cast(ConnectorDialer, self._dialer).dialling or self.state is State.CONNECTING:
                return True
            if self._reported is not None or self.state not in (State.WAITING, State.STOPPED):
                self._refuseDial(connector)
                return False
        try:
            if not self._dialledBy(connector):
                self._beginBy(connector)
            elif self.state is State.STOPPED:
                self._begin()
        except LocalError:
            cast(Any, connector).stopConnecting()
            raise
        return True

    def _refuseDial(self, connector: Any) -> None:
        """``connector.connect()`` where the link redials, or has stopped: it would be a storm."""
        if connector.state != "connecting":  # refused already: an override has made the up-call
            return
        if not self._dialRefused:
            self._dialRefused = True
            self.log.warn(DIAL_REFUSED, link=self._label())
        self._refusing = True
        try:
            connector.stopConnecting()
        finally:
            self._refusing = False

    def _beginBy(self, connector: IConnector) -> None:
        if self._running:
            raise self._runningAlready()
        if self._clock is None:
            self._clock = cast(Any, connector).reactor
        self._begin()
        self.name = self.name or _describeAddress(connector.getDestination())
        self._dialer = ConnectorDialer(connector, self)

    def _begin(self) -> None:
        if is_stock(self, "buildProtocol", ReconnectingFactory):
            _checkProtocol(self.protocol)
        if self._pumpMade is not None:
            self._pumpMade.begin(self._clock)
        self._timers = timers_of(self._clock)
        self._beginOutage()

    @overridable
    def buildProtocol(self, addr: IAddress | None) -> Any:
        """A connection of this link, or one that aborts where none is wanted.

        An override may call it or not: what it returns becomes the link's connection.

        :raises LocalError: nothing has started this link: `endpoint.connect` was given it.
        """
        return self._build(self._stockProtocol, addr)

    def _stockProtocol(self, addr: IAddress | None) -> Any:
        _checkProtocol(self.protocol)
        return super().buildProtocol(addr)

    def _build(self, make: Callable[[Any], Any], addr: IAddress | None) -> Any:
        if self.state is State.IDLE:
            self.log.error("{link}: {why}", link=self._label(), why=NOT_STARTED)
            raise LocalError(f"{self._label()}: {NOT_STARTED}")
        if self.state is not State.CONNECTING or self.connection is not None:
            self._sayUnasked()
            return Refusal()
        try:
            connection = make(addr)
            if isinstance(connection, Refusal):  # an override called this, which failed
                return connection
            own = isinstance(connection, FrameProtocol)
            if self.connection is None or (own and connection is not self.connection):
                self._adopt(connection)
        except BaseException as error:
            self._cannotBuild(error)
            self._machine.handle(Event.ABORT)
            return Refusal(self._refusalGone(self._dials))
        return connection

    def _sayUnasked(self) -> None:
        """Of an attempt that was given up, or of a dialler that this link does not know.

        The second comes again and again: to a connection that is up it is said, once.
        """
        self.log.debug("{link}: a connection nobody waits for is refused", link=self._label())
        if self.state is State.READY and not self._unaskedSaid:
            self._unaskedSaid = True
            self.log.warn(
                "{link}: another connection is refused, something else dials for it: {why}",
                link=self._label(),
                why=NOT_STARTED,
            )

    def _overrideFailed(self, what: str, reason: Failure) -> None:
        self._logFailure("{link}: the application's {what} failed", reason, what=what)

    def _cannotBuild(self, error: BaseException) -> None:
        why = explain(Failure(error))
        if isinstance(error, NBClientError):  # in words already: whose fault it is, they say
            self._logError("{link}: {why}", why)
        else:
            self._logFailure("{link}: building the protocol failed", Failure(error))
            why = f"building the protocol failed: {why}"
        self._blame(Failure(CallbackFailed(why)))

    def _refusalGone(self, attempt: int) -> Callable[[], None]:
        def gone() -> None:
            if attempt == self._dials:
                self._machine.handle(Event.LOST)

        return gone

    @overridable
    def clientConnectionFailed(self, connector: IConnector, reason: Failure) -> None:
        """The reactor's attempt failed."""
        if self._dialledBy(connector) and not self._refusing and reason is not self._reported:
            self.dialFailed(reason)

    @overridable
    def clientConnectionLost(self, connector: IConnector, reason: Failure) -> None:
        """Nothing to do: the connection's own hook has reported it, on every dialer."""

    def dialFailed(self, reason: Failure) -> None:
        """An attempt came to nothing, whoever dialled."""
        self._blame(reason)
        self._machine.handle(Event.DIAL_FAILED)

    # -- what the connection tells (LinkObserver) ----------------------------------

    def transportMade(self, connection: Any) -> None:
        if connection is self.connection and self.delivery in ("auto", "tcp"):
            try:
                self._acks = Acknowledging(connection.transport, connection.secure)
            except DeliveryUnavailable as error:
                self._withoutAcknowledgements(connection, error)
            else:
                connection.ledger = self._acks.ledger

    def transportClosing(self, connection: Any) -> None:
        if connection is not self.connection:
            return
        if self._path is not None and self._path.died():
            self._blame(Failure(DeadPath(self._path.limit)))
        if self._acks is not None:
            self._acks.seal()

    def connectionUp(self, connection: Any) -> None:
        self._report(connection, Event.CONNECTED)

    def connectionOpened(self, connection: Any) -> None:
        self._report(connection, Event.OPENED)

    def connectionClosing(self, connection: Any) -> None:
        self._report(connection, Event.CLOSE)

    def peerClosed(self, connection: Any) -> None:
        if connection is self.connection:
            self._blame(connectionDone)
            connection.sending = self._hasMoreFor(connection)
        self._endWith(connection)
        if connection.sending:
            self._takenAt = self._now()
            self._watchSlow()
            self._lookAtSending()

    def connectionFailed(self, connection: Any, reason: Failure) -> None:
        self._report(connection, Event.ABORT, reason)

    def connectionUseless(self, connection: Any, reason: Failure) -> None:
        self._report(connection, Event.CLOSE, reason)

    def connectionWritable(self, connection: Any) -> None:
        if self._pumpMade is not None:
            self._pumpMade.run()

    def transportLost(self, connection: Any, reason: Failure) -> None:
        self._report(connection, Event.LOST, reason)

    def connectionSettled(self, connection: Any) -> None:
        if connection is self.connection and self._replying is not None:
            # Only now: among the last that arrived may have been answers.
            self._replying = None
            if self._pumpMade is not None:
                self.afterwards(self._rewind)  # by which it is settled
                return
        if self._acks is None:
            self._report(connection, Event.SETTLED)

    def _report(self, connection: Any, event: Event, reason: Failure | None = None) -> None:
        """Hand on what happened, unless to a connection that is history already."""
        if connection is self.connection:
            if reason is not None:
                self._blame(reason)
            self._machine.handle(event)

    def afterwards(self, call: Callable[[], None]) -> None:
        self._machine.afterwards(call)

    def readingHeld(self, connection: Any, held: bool) -> None:
        if connection is not self.connection:
            return
        for watch in (self._silence, self._partial):
            if watch is not None:
                (watch.hold if held else watch.release)(self._now())
        if self._replying is not None:
            self._replying.hold(held)
        if self._readySince is not None:
            self._countReady(held)
        if not held and self._watchTimer is not None:
            # What remained when reading was held may be due before the next look.
            self._timers.cancel(self._watchTimer)
            self._watchAgain()

    def _countReady(self, held: bool) -> None:
        """How long it was ready counts only while it is read: else its end may be long ago."""
        if held:
            self._stoppedAt = self._now()
        else:  # it was held when the link became ready, or since
            held_for = self._now() - cast(float, self._stoppedAt)
            self._readySince = cast(float, self._readySince) + held_for
            self._stoppedAt = None

    # -- the machine's actions -------------------------------------------------------

    def _stuckAt(self) -> str:
        """What an attempt had come to when its time was up, where that says more."""
        connection = self.connection
        if connection is None or not connection.secure:
            return ""
        began = heard_in_clear(connection.transport)
        if began:
            return (
                f"connected, but no TLS answer within {self.connectTimeout:g} s, only {began!r}:"
                " the peer may not speak TLS"
            )
        if connection.answered:
            return f"connected, but the TLS handshake was not done within {self.connectTimeout:g} s"
        return (
            f"connected, but no TLS answer within {self.connectTimeout:g} s:"
            " the peer may not speak TLS"
        )

    def _changed(self, old: State, new: State, event: Event) -> None:
        self._since = self._now()
        if event is Event.DEADLINE and old is State.CONNECTING:
            self._blame(Failure(ConnectTimeout(self.connectTimeout, self._stuckAt())))
        elif event is Event.DEADLINE and old is State.OPENING:
            self._blame(Failure(OpeningFailed(_openingLate(self.openingTimeout))))
        if new is State.CLOSING:
            self._finishSending()
        if new is State.CONNECTING:
            self._cause = None
            self._verdict = None
            self._dials += 1
        if self.verbose:
            self._logChange(old, new, event)
        for observer in self._observers:
            try:
                running = awaited(observer(old, new, self.lastReason))
            except BaseException:
                self._observerFailed(Failure())
            else:
                if running is not None:
                    running.addErrback(self._observerFailed)

    def _observerFailed(self, reason: Failure) -> None:
        self._logFailure("{link}: an observer failed", reason)

    def _logChange(self, old: State, new: State, event: Event) -> None:
        self.log.debug(
            "{link}: {old} -> {new}", link=self._label(), old=old.name, new=new.name, event=event
        )

    def _dial(self) -> None:
        cast(Dialer, self._dialer).dial()

    def _cancelDial(self) -> None:
        if self.connection is not None:
            self.connection.discard()
            self.connection.abandonTransport()
        else:
            cast(Dialer, self._dialer).cancel()

    def _open(self) -> None:
        self._connects += 1
        self._startWatches()
        self.connection.open()

    def _announce(self) -> None:
        self._readies += 1
        self._readySince = self._since
        self._stoppedAt = self._since if self.connection.readingHeld else None
        delivered = 0 if self._pumpMade is None else self._pumpMade.outbox.counters.acknowledged
        self._begunWith = (self.connection.framesIn, delivered)
        self._tellUp()
        self._machine.afterwards(self._welcome)

    def _welcome(self) -> None:
        """Outside of the transition: what the application does acts at once, an end too."""
        if not self._usable:
            return
        self.connection.announce()
        if self._usable:
            self._work()
            self._tellReady()

    def _work(self) -> None:
        """Do what is done on a connection that is ready."""
        if self.heartbeat is not None or self.poll is not None:
            talker = Talker(
                self.connection,
                self.heartbeat,
                self.poll,
                self._clock,
                self._now,
                self._label(),
                self.isNews,
            )
            if not self._usable:  # it could not say its first word
                talker.stop()
                return
            self._talker = talker
            self.connection.wrote = self._wrote
        if self.reply is not None:
            self._replying = Replying(
                self.reply,
                self._answered,
                self._unanswered,
                self._clock,
                self._now,
                self.connection.catchUp,
                self.connection.spokeWithin,
            )
            self._replying.hold(self.connection.readingHeld)
        if self._overtaken():
            return
        self._attached = True
        if self._pumpMade is not None:
            self._attach(self._pumpMade)

    def _retire(self) -> None:
        if not self.connection.sending:
            self._detach()
        if self._replying is not None:
            self._replying.stop()
        talker, self._talker = self._talker, None
        if talker is not None:
            talker.stop()
        since, self._readySince = self._readySince, None
        until = self._now() if self._stoppedAt is None else self._stoppedAt
        ready = 0.0 if since is None else until - since
        self._lasted = ready >= self.backoff.stable_after
        if self._lasted:
            self._attempts = 0
        self._stopOutageTimer()
        if not self._machine.stopping:
            self._tellDown(ready)

    def _count(self) -> None:
        """Another attempt came to nothing, or a connection ended: the wait begins now."""
        self._losses += self.connection is not None and self.connection.up
        self._attempts += 1
        self._dueAt = self._now() + self._delay()

    @property
    def lasted(self) -> bool:
        """Whether the last connection was ready for ``Backoff.stable_after`` seconds.

        While this side held back reading it may have ended long ago: that does not count.
        """
        return self._lasted

    @property
    def progressed(self) -> bool:
        """Whether the last connection got something done, however short it was.

        Frames of the outbox were delivered at a level that is proof (an answer; settled), or
        more frames came than a greeting and a word of refusal. That the peer's kernel has
        acknowledged something is none: a full server's does so, too.
        """
        if self.connection is None:
            return self._progressed
        if self._begunWith is None:
            return False
        frames, delivered = self._begunWith
        pump = self._pumpMade
        sure = self.reply is not None or self.rules.settle_after > 0
        done = sure and pump is not None and pump.outbox.counters.acknowledged > delivered
        return done or self.connection.framesIn - frames > GREETING

    def _delay(self) -> float:
        """The back-off's, or the longest where that cannot say: a fault must not make a storm."""
        try:
            delay = self.backoff.delay(self._attempts, self.options.random)
            if 0 <= delay < math.inf:
                return delay
            why = f"it says {safe_str(delay)}"
        except BaseException as error:
            why = explain(Failure(error))
        self._logError("{link}: the back-off failed: {why}", why)
        return self.backoff.maximum

    def _close(self) -> None:
        # What was received is still delivered after the peer's FIN (it is `finishing`)
        # or a loss; any other close is ours, and after ours comes no frame.
        ours = self.connection is not None and not self.connection.losing
        if ours and not self.connection.finishing:
            if self._machine.stopping and self._answersOwed:
                # What was sent would be sent twice, where only its answer is on its way.
                limit = self.closeTimeout / 2  # the rest is for the close
                self._ackTimer = self._timers.after(limit, self._closeUnanswered, None)
            else:
                self.connection.loseConnection()

    @property
    def _answersOwed(self) -> bool:
        return self._replying is not None and self._replying.waiting > 0

    @_onTheClock
    def _closeUnanswered(self, _: object) -> None:
        """The link stops, and has waited for answers: these are all, or time is up."""
        self._ackTimer = None
        self.connection.catchUp()
        if not self.connection.finishing:
            self.connection.loseConnection()

    def _abort(self) -> None:
        if self.connection is None:
            return
        # Where a fault was the reason it delivers no more; else what reached this host comes first.
        self.connection.abandonTransport()
        self.connection.endOpening()

    def _forsake(self) -> None:
        connection = self.connection
        if connection is not None:
            connection.forsake()
        else:
            cast(Dialer, self._dialer).cancel()

    def _settle(self) -> None:
        if self.connection is not None and self.connection.sending:
            self._stopSending()
        self._stopWatches()
        self._stopLooking()
        if self.connection is not None and self.connection.awaited:
            self.log.debug(
                "{link}: lost; the application still works on what arrived", link=self._label()
            )
        if self._acks is None:
            if self._replying is None:
                self._rewind()
        else:
            limit = 0.0 if self.connection.aborted else self.closeTimeout
            again = self._spooled or not self._machine.stopping
            self._awaitLastAcks(self._acks.settling(self._now(), limit, again))

    def _discard(self) -> None:
        if self.connection is not None:
            self.connection.discard()
        if self._acks is not None:
            self._acks.probe.close()
            self._lastAcksIn()

    def _armConnect(self) -> None:
        # Only now: who chose the peer of this attempt has asked.
        self._progressed = self._lasted = False
        self._arm(self.connectTimeout, Event.DEADLINE)

    def _armRetry(self) -> None:
        if self._attempts > 1 and self.progressed:
            self._attempts = 1
            self._dueAt = min(self._dueAt, self._now() + self._delay())
        was = self._wasUp()
        self._forget()
        self._disarm()
        if self._hurry:
            self._hurry = False
            self._attempts = 0
            self._dueAt = self._now()
        elif self.backoff.exhausted(self._attempts):
            self._giveUp()
            return
        delay = max(0.0, self._dueAt - self._now())
        kind = "" if self.lastReason is None else cast(type, self.lastReason.type).__qualname__
        (self.log.info if self.isNews(kind) else self.log.debug)(
            "{link}: {reason}; next attempt {when}{was}",
            link=self._label(),
            reason=self._why,
            when="at once" if delay < 0.05 else f"in {delay:.1f} s",
            was=was,
        )
        self._arm(delay, Event.RETRY_DUE)

    @property
    def _why(self) -> str:
        return "not connected" if self.lastReason is None else explain(self.lastReason)

    def _armLongest(self) -> None:
        self._forget()
        if self._timer is None:
            self._arm(self.backoff.maximum, Event.RETRY_DUE)

    def _giveUp(self) -> None:
        cause = "" if self.lastReason is None else explain(self.lastReason)
        self._verdict = GaveUp(self._attempts, cause)
        self.log.error("{link}: {why}", link=self._label(), why=str(self._verdict))
        self._machine.handle(Event.GIVE_UP)

    # -- what is logged of an outage -------------------------------------------------------

    def isNews(self, kind: str) -> bool:
        """Whether something of this kind is worth a line: in an outage only the first is.

        An outage of before a connection that has lasted is over.
        """
        since = self._readySince
        lasts = since is not None and self._now() - since >= self.backoff.stable_after
        return lasts or self._outage is None or self._outage.news(kind)

    def _logFailure(self, text: str, reason: Failure, **details: object) -> None:
        """Each attempt may fail alike, and each change of state."""
        kind = " ".join((text, *map(str, details.values())))
        level = LogLevel.critical if self.isNews(kind) else LogLevel.debug
        self.log.failure(text, reason, level, link=self._label(), **details)

    def _logError(self, text: str, why: str) -> None:
        (self.log.error if self.isNews(text) else self.log.debug)(text, link=self._label(), why=why)

    def _beginOutage(self) -> None:
        self._outage = Outage(self._now())
        self._watchOutage(self._outage)

    def _watchOutage(self, outage: Outage) -> None:
        delay = max(0.0, outage.due - self._now())
        outage.timer = self._timers.after(delay, ReconnectingFactory._tellOutage, self)

    def _tellOutage(self) -> None:
        outage = cast(Outage, self._outage)
        outage.passed()
        self.log.warn(
            "{link}: not up for {lasted}: {reason}",
            link=self._label(),
            lasted=outage.lasted(self._now()),
            reason=self._why,
        )
        self._watchOutage(outage)

    def _tellUp(self) -> None:
        """It is ready; whether that is the end of an outage is seen later."""
        outage = self._outage
        self._stopOutageTimer()
        if outage is None or not (outage.attempts or outage.warned):
            self._outage = None
            self.log.info("{link}: ready", link=self._label())
        elif outage.flapping:
            self.log.debug("{link}: ready", link=self._label())
            stable = self.backoff.stable_after
            outage.timer = self._timers.after(stable, ReconnectingFactory._endOutage, self)
        else:
            self._tellReadyAgain(outage)

    def _tellReadyAgain(self, outage: Outage) -> None:
        (self.log.warn if outage.warned else self.log.info)(
            "{link}: ready again after {lasted}",
            link=self._label(),
            lasted=outage.lasted(self._now()),
        )

    def _endOutage(self) -> None:
        """It was up only briefly before, and is for longer now."""
        self._tellReadyAgain(cast(Outage, self._outage))
        self._outage = None

    def _tellDown(self, ready: float) -> None:
        """It is no longer ready: another outage, or the same where it was not ready for long."""
        if self._outage is not None and ready < self.backoff.stable_after:
            self._outage.flapping = True
            self._watchOutage(self._outage)
        else:
            self._beginOutage()
        cast(Outage, self._outage).up = ready

    def _wasUp(self) -> str:
        """What became of the connection that was ready, in words; one more attempt."""
        outage, connection = cast(Outage, self._outage), self.connection
        up, outage.up = outage.up, None
        if up is not None and outage.flapping and self._attempts <= 1:
            outage.restart(self._now())  # a success: it got something done
        outage.attempts += 1
        if up is None or connection is None:
            return ""
        return (
            f" (was up for {duration(up)}; frames: {connection.framesIn} received,"
            f" {connection.framesOut} sent)"
        )

    def _stopOutageTimer(self) -> None:
        if self._outage is not None and self._outage.timer is not None:
            self._timers.cancel(self._outage.timer)

    def _setHurry(self) -> None:
        self._hurry = True
        self._finishSending()

    # -- the way out ---------------------------------------------------------------------

    @property
    def _pump(self) -> Pump:
        """Made once it is needed: of ten thousand links, most have nothing to send."""
        pump = self._pumpMade
        if pump is None:
            pump = self._pumpMade = self._makePump(None)
            if self._running:
                pump.begin(self._clock)
            if self._attached:
                self._attach(pump)
        return pump

    def _makePump(self, spool: Spool | None) -> Pump:
        check("spool", spool, spool is None or callable(getattr(spool, "claim", None)), SPOOL)
        options = self.options
        return Pump(
            options.outboxBytes,
            options.sendGap,
            options.rules,
            spool,
            self._now,
            options.wall,
            self._framesLost,
            self._afterRead,
        )

    def _afterRead(self, call: Callable[[], object]) -> bool:
        return self.connection is not None and self.connection.afterRead(call)

    def _framesLost(self, how: str, number: int) -> None:
        self.tellOften(LOST[how], number)

    def _attach(self, pump: Pump) -> None:
        tracked = None if self._acks is None else self._expectAcks
        pump.attach(self.connection, tracked, self._replying)
        if self.connection.sending:  # its first frames come when the peer has closed its side
            pump.halfClosed()

    def _detach(self) -> None:
        self._attached = False
        if self._pumpMade is not None:
            self._pumpMade.detach()

    # -- a peer that has closed its side and goes on taking ------------------------------

    feeding = 0.0
    """Seconds for which a peer that has closed its side is kept although there is nothing to
    send, because more is about to come; 0: once it has everything, this side closes."""

    _sendingTimer: Timer | None = None
    _taken: tuple[int, int] = (0, 0)
    _takenAt = 0.0

    def _hasMoreFor(self, connection: Any) -> bool:
        """Whether a peer that has closed its side is to have more on this connection.

        No answer can come on it, so not at level ``reply``.
        """
        if self.state is not State.READY or connection.secure or self.reply is not None:
            return False
        self._takeAcks()
        pump = self._pumpMade
        return self._knowsWhatArrives and (self.feeding > 0 or (pump is not None and pump.owes))

    @property
    def _knowsWhatArrives(self) -> bool:
        """Whether frames that the peer did not take are known, and sent again.

        Had it closed both sides, nothing else would tell.
        """
        return self._acks is not None

    def _takeAcks(self) -> None:
        """What the peer had acknowledged when it closed: all later acknowledgements show
        that it goes on reading, for a socket that was closed answers with a reset. What it
        reads it may throw away: so time has to pass all the same."""
        pump = self._pumpMade
        if pump is not None:
            if self._acks is not None:
                pump.acknowledged(self._acks.newly())
            pump.halfClosed()

    @property
    def _pathIsJudged(self) -> bool:
        return self._path is not None and self._path.interval is not None

    def _watchSlow(self) -> None:
        """A reset would destroy what the peer has not read: only a dead path is worth one."""
        if self._path is None:
            limit = max(self.closeTimeout, SHORTEST)
            self._path = PathWatch(self.connection.socketTransport, limit)
        if self._pathIsJudged:
            self.connection.wrote = self._wrote
            self._watchPath()

    def _lookAtSending(self) -> None:
        """Until the peer has everything, or takes no more; it is not ready any longer."""
        connection, now = self.connection, self._now()
        acked = 0 if connection.ledger is None else connection.ledger.acked
        if (taken := (connection.bytesOut, acked)) != self._taken:
            self._taken, self._takenAt = taken, now
        idle = now - self._takenAt
        owes = self._pumpMade is not None and self._pumpMade.owes
        if owes and idle >= self.closeTimeout - INSTANT and not self._pathIsJudged:
            self._stopSending()
            self._machine.handle(Event.ABORT)
        elif owes or idle < self.feeding - INSTANT:
            look = ReconnectingFactory._lookAtSending
            self._sendingTimer = self._timers.after(SENDING_LOOK, look, self)
        else:
            self._finishSending()

    def _finishSending(self) -> None:
        """Close now that the peer has everything, or that the link is to end."""
        connection = self.connection
        if connection is not None and connection.sending:
            self._stopSending()
            self._arm(self.closeTimeout, Event.DEADLINE)
            connection.finish()

    def _stopSending(self) -> None:
        timer, self._sendingTimer = self._sendingTimer, None
        if timer is not None:
            self._timers.cancel(timer)
        self.connection.sending = False
        self._detach()

    # -- acknowledgements ----------------------------------------------------------------

    @property
    def _level(self) -> str:
        """The level of delivery in force, or asked for while there is no connection."""
        if self.connection is None:
            return self.delivery
        if self.reply is not None:
            return "reply"
        return "written" if self._acks is None else "tcp"

    def _withoutAcknowledgements(self, connection: Any, error: DeliveryUnavailable) -> None:
        if self.delivery == "tcp" or isinstance(error, DeliveryNotNow):
            # Asked for by name: never less without a word. Or it may be had at the next attempt,
            # and this connection would do without it for months.
            connection.discard()
            self.connectionFailed(connection, Failure(error))
        else:
            self.log.debug("{link}: delivery: written ({why})", link=self._label(), why=error.why)

    def _overtaken(self) -> bool:
        """Whether the opening started TLS, and the level asked for is lost with that."""
        acks = self._acks
        if acks is None or not acks.overtaken:
            return False
        acks.probe.close()
        self._acks = self.connection.ledger = None
        why = DeliveryUnavailable("TLS was started in the opening")
        self._withoutAcknowledgements(self.connection, why)
        return self.delivery == "tcp"

    def _expectAcks(self) -> None:
        """Frames are in flight: look for acknowledgements, soon and then less soon."""
        if self._ackTimer is None:
            self._ackTimer = self._timers.after(ACK_FIRST, self._lookForAcks, ACK_FIRST)

    @_onTheClock
    def _lookForAcks(self, delay: float) -> None:
        self._ackTimer = None
        acks = cast(Acknowledging, self._acks)
        frames = acks.newly()
        delay = ACK_FIRST if frames else min(2 * delay, ACK_LONGEST)
        if acks.ledger.unacknowledged_frames:
            self._ackTimer = self._timers.after(delay, self._lookForAcks, delay)
        self._pump.acknowledged(frames)

    def _stopLooking(self) -> None:
        timer, self._ackTimer = self._ackTimer, None
        if timer is not None:
            self._timers.cancel(timer)

    @_onTheClock
    def _awaitLastAcks(self, settling: Settling) -> None:
        """After the loss: until the kernel has had its last word."""
        self._ackTimer = None
        delay = settling.poll(self._now())
        if delay is None:
            self._lastAcksIn()
        else:
            self._ackTimer = self._timers.after(delay, self._awaitLastAcks, settling)

    def _lastAcksIn(self) -> None:
        self._stopLooking()
        try:
            if self._pumpMade is not None:
                self._pumpMade.acknowledged(cast(Acknowledging, self._acks).newly())
        finally:
            self._acks = None  # afterwards: whoever is told of it may ask for the level
            self._rewind()

    def _rewind(self) -> None:
        """What was not acknowledged is sent again; go on when the application is done, too."""
        try:
            if self._pumpMade is not None:
                self._rewindPump(self._pumpMade)
        finally:
            if self.connection is None or self.connection.settled:
                self._machine.handle(Event.SETTLED)

    def _rewindPump(self, pump: Pump) -> None:
        away = self.lastReason is not None and self.lastReason.check(TurnedAway) is not None
        ours = self._endedHere
        # Our own reset destroys what the peer had not read: no sign that it was taken.
        reset = self.connection is not None and self.connection.aborted
        unsettled = pump.rewind(ours and not reset, blameless=away or ours)
        if unsettled and self._begunWith is not None:
            # What it said may be a refusal as long as a page, which is no progress.
            self._begunWith = (self.connection.framesIn, self._begunWith[1])
        if unsettled and not (away or self._machine.stopping):
            self.tellOften(UNSETTLED, unsettled, after=self.rules.settle_after)

    @property
    def _endedHere(self) -> bool:
        """Whether this side wanted the connection to end: no frame can be the reason."""
        return self._machine.stopping or self._hurry

    def tellOften(self, text: str, number: int, **details: object) -> None:
        """Warn of what may happen very often: the first at once, then how many, once a minute.

        :param text: as in `nbclient.link.tally.Tallies.count`.
        """
        if self._tallies is None:
            self._tallies = Tallies(self.log.warn, self._label)
        self._tallies.count(text, number, self._clock, **details)

    # -- answers -------------------------------------------------------------------------

    def _look(self, frame: bytes) -> bytes | None:
        """See a frame before the application does; what to send by ourselves."""
        if self.rejectLine is not None and self.rejectLine.search(frame[:LOOK]) is not None:
            self._turnedAway(TurnedAway(frame))
            return None
        if self._replying is not None:
            self._replying.heard(frame, _receivedBefore(self.connection))
            if self._ackTimer is not None and not self._answersOwed:
                self._stopLooking()  # once the application has this answer
                self._ackTimer = self._timers.after(0.0, self._closeUnanswered, None)
        return first_answer(self.answers, frame)

    def _turnedAway(self, why: TurnedAway) -> None:
        self._cause = None  # should the connection be lost already: this is why
        self._blame(Failure(why))
        if self._pumpMade is not None:
            self._pumpMade.refused()
        self.connection.discard()  # not even this frame reaches the application
        self._machine.handle(Event.CLOSE)

    def _answered(self, seq: int, says: Says, answer: bytes) -> None:
        if says is Says.TAKEN:
            self._pump.answered(seq)
        elif not self._pump.rejected(seq, answer):
            self._rejected(FrameRejected(answer))

    def _rejected(self, why: FrameRejected) -> None:
        if self.rules.on_reject == "retry":
            self._blame(Failure(why))
            self._endAfterRead(self._closeRejected)
            return
        self._blame(Failure(why))
        if self._verdict is None:  # else another was rejected before, and the link stops
            self._verdict = Rejected(why)
        self.log.error("{link}: {why}", link=self._label(), why=str(why))
        self._endAfterRead(self._stopRejected)

    def _endAfterRead(self, end: Callable[[], object]) -> None:
        """End once the application has the frames of this read; nothing is sent meanwhile."""
        if self._afterRead(end):
            self._detach()
        else:
            end()

    def _stopRejected(self) -> None:
        self._machine.handle(Event.STOP)

    def _closeRejected(self) -> None:
        self._machine.handle(Event.CLOSE)

    def _unanswered(self) -> None:
        timeout = cast(float, cast(Reply, self.reply).timeout)
        self._dropLate(ReplyTimeout(timeout, self.connection.tail))

    # -- the end -----------------------------------------------------------------------------

    def _finish(self) -> None:
        self._machine.afterwards(self._tellStopped)  # first: it fires whatever happens here
        self._stopLooking()
        self._stopWatches()
        self._attempts = 0
        self._hurry = False
        self._stopOutageTimer()
        self._outage = None
        self._replying = None
        if self._tallies is not None:
            self._tallies.stop()
        self._detach()
        acks, self._acks = self._acks, None
        if acks is not None:
            acks.probe.close()
        self._forget()

    def _tellReady(self) -> None:
        # Whoever is told may end it; the others then wait for the next one.
        while self._readyWaiters and self._usable:
            _tell(self._readyWaiters.pop(0), self.connection)
        if not self._readyWaiters:
            self._readyWaiters = NOBODY

    def _tellStopped(self) -> None:
        """Outside of the transition, so that whoever is told may start again at once."""
        reason, verdict = self._stopReason(), self._verdict
        ready, self._readyWaiters = self._readyWaiters, NOBODY
        ends, self._endWaiters = self._endWaiters, NOBODY
        stops, self._stopWaiters = self._stopWaiters, NOBODY
        try:
            if self._pumpMade is not None:
                self._pumpMade.end(reason)
        finally:
            _fire(ready, reason)
            _fire(ends, verdict)
            _fire(stops, None)

    # -- timers ------------------------------------------------------------------------

    def _arm(self, delay: float, event: Event) -> None:
        self._disarm()
        self._timer = self._timers.after(delay, self._timeUp, event)

    @_onTheClock
    def _timeUp(self, event: Event) -> None:
        self._timer = None
        connection, state = self.connection, self.state
        if event is Event.DEADLINE and connection is not None and connection.sending:
            return  # `_lookAtSending` says when its time is up
        if event is Event.DEADLINE and connection is not None:
            connection.catchUp()
            if self.state is not state:  # what had reached this host was what it waited for
                return
            more = self._onceMore(self._limit(state), opening=state is State.OPENING)
            if more > 0:
                self._timer = self._timers.after(more, self._timeReallyUp, event)
                return
        self._machine.handle(event)

    def _onceMore(self, limit: float, opening: bool = False, watch: bool = False) -> float:
        """Seconds that a standstill of this process leaves for what is overdue; 0 or less: none.

        What this side said behind it could not be answered yet. Nor is it charged to an
        opening, whose next word was ours, or taken for the silence of a peer that is asked.
        """
        late = self._timers.late
        if late and (opening or self.connection.spokeWithin(late)):
            return limit
        return self._timers.grace(limit) if opening or watch else 0.0

    @_onTheClock
    def _timeReallyUp(self, event: Event) -> None:
        self._timer = None
        self._machine.handle(event)

    def _limit(self, state: State) -> float:
        limits = {State.CONNECTING: self.connectTimeout, State.OPENING: self.openingTimeout}
        return limits.get(state, self.closeTimeout)

    def _disarm(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            self._timers.cancel(timer)

    def _startWatches(self) -> None:
        now = self._since
        if self.silenceTimeout is not None:
            self._silence = Watch(self.silenceTimeout, now)
        if self.frameTimeout is not None:
            self._partial = Watch(self.frameTimeout, now)
        if self.deadAfter is not None:
            self._path = PathWatch(self.connection.socketTransport, self.deadAfter)
            if self._path.interval is not None:
                self.connection.wrote = self._wrote
        if self._silence is not None or self._partial is not None:
            self.connection.watch(self._heard)
            if self.connection.readingHeld:
                self.readingHeld(self.connection, True)
            self._watchAgain()

    def _stopWatches(self) -> None:
        watchTimer, self._watchTimer = self._watchTimer, None
        if watchTimer is not None:
            self._timers.cancel(watchTimer)
        pathTimer, self._pathTimer = self._pathTimer, None
        if pathTimer is not None:
            self._timers.cancel(pathTimer)
        self._silence = self._partial = None
        path, self._path = self._path, None
        if path is not None:
            path.close()

    def _wrote(self) -> None:
        if self._path is not None and self._path.interval is not None:
            self._watchPath()
        if self._talker is not None:
            self._talker.wrote()

    def _watchPath(self) -> None:
        """Something was written: look whether it is answered, until it is."""
        if self._pathTimer is None and self._path is not None:
            interval = cast(float, self._path.interval)
            self._pathTimer = self._timers.after(interval, self._lookAtPath, None)

    @_onTheClock
    def _lookAtPath(self, _: object) -> None:
        self._pathTimer = None
        path = cast(PathWatch, self._path)
        dead = path.look(self._now())
        if dead:
            self._blame(Failure(DeadPath(path.limit)))
            self._machine.handle(Event.ABORT)
        elif dead is not None:
            self._watchPath()

    def _heard(self, finished: bool) -> None:
        """Bytes arrived; `finished`: they ended a frame, or began one."""
        now = self._now()
        if self._silence is not None:
            self._silence.seen(now)
        if self._partial is not None and finished:
            self._partial.seen(now)

    @_onTheClock
    def _watch(self) -> None:
        """Look at the watches, and again when the next of them is due."""
        why = self._overdue()
        limit = 0.0 if why is None else cast(float, cast(Any, why).seconds)
        more = 0.0 if why is None else self._onceMore(limit, watch=self._talker is not None)
        if more > 0:
            last = ReconnectingFactory._watchOnceMore
            self._watchTimer = self._timers.after(more, last, self)
        else:
            self._judge(why)

    @_onTheClock
    def _watchOnceMore(self) -> None:
        self._judge(self._overdue())

    def _judge(self, why: Exception | None) -> None:
        if why is not None:
            self._dropLate(why)
        elif self._silence is not None or self._partial is not None:
            self._watchAgain()

    def _overdue(self) -> Exception | None:
        """What was waited for too long, with all read that has reached this host."""
        self._watchTimer = None
        if self._passed() is not None:
            self.connection.catchUp()
        return self._passed()

    def _passed(self) -> Exception | None:
        now = self._now()
        if self._partial is not None and not self.connection.unfinished:
            self._partial.seen(now)
        if self._silence is not None and self._silence.remaining(now) < INSTANT:
            return SilenceTimeout(self._silence.limit)
        if self._partial is not None and self._partial.remaining(now) < INSTANT:
            return FrameTimeout(self._partial.limit)
        return None

    def _watchAgain(self) -> None:
        # The function itself: a method of each link would be an object for each.
        watch = ReconnectingFactory._watch
        self._watchTimer = self._timers.after(min(self._watchesLeft()), watch, self)

    def _watchesLeft(self) -> list[float]:
        """Seconds until each watch is worth a look; the whole limit while it stands still."""
        now = self._now()
        held = self.connection.readingHeld
        return [
            watch.limit if held else watch.remaining(now)
            for watch in (self._silence, self._partial)
            if watch is not None
        ]

    def _dropLate(self, why: Exception) -> None:
        """A deadline has passed: what reached this host is delivered, then comes the close."""
        self._blame(Failure(why))
        self._endWith(self.connection)

    def _endWith(self, connection: Any) -> None:
        """What it received is delivered, then it closes; the link knows before its waiters."""
        connection.finishing = True
        self._report(connection, Event.CLOSE)
        connection.finish()

    def _refuseUnsendable(self, frames: Sequence[bytes]) -> None:
        if self._machine.stopping or self.state is State.STOPPED:
            raise LinkStopped(f"{self._label()} is stopped: nothing more is accepted")
        framing = self._framing()
        if framing is None:
            raise LocalError(f"{self._label()} has no framing: it cannot send frames")
        if self.whenDown == "refuse" and not self._usable:
            raise LinkDown(f"{self._label()} is not connected: nothing is kept for later")
        framing.check(frames)
        if self.reply is not None:
            self.reply.check_all(frames)

    def _framing(self) -> Framing | None:
        if self.state is State.READY:  # the opening may have changed it
            return cast(Framing, self.connection.framing)
        if self.framing is not None:
            return self.framing
        return getattr(self.protocol, "framing", None)

    # -- small things ----------------------------------------------------------------------

    @property
    def _usable(self) -> bool:
        """Whether there is a connection that is ready and goes on."""
        return self.state is State.READY and not self.connection.ending

    @property
    def _running(self) -> bool:
        return self.state not in (State.IDLE, State.STOPPED)

    def _runningAlready(self) -> LocalError:
        return LocalError(f"{self._label()} is running already: one factory is one link")

    def _dialledBy(self, connector: IConnector) -> bool:
        return isinstance(self._dialer, ConnectorDialer) and self._dialer.connector is connector

    def _adopt(self, connection: Any) -> None:
        if not isinstance(connection, FrameProtocol):
            raise LocalError(
                f"{type(connection).__name__} is no FrameProtocol: this factory builds no other"
            )
        if connection.factory is None:  # made by an override, or by a callable
            connection.factory = self
        if self.framing is not None:
            connection.framing = self.framing
        framing_of(connection)
        if self.wiretap is not None:
            connection.wiretap = self.wiretap
        if self.answers or self.reply is not None or self.rejectLine is not None:
            connection.answerBy(self._look)
        connection.join(self)
        self.connection = connection

    def _forget(self) -> None:
        if self.connection is not None:
            self._progressed, self._begunWith = self.progressed, None
        connection, self.connection = self.connection, None
        if connection is not None:
            self._framesIn += connection.framesIn
            self._bytesIn += connection.bytesIn
            self._framesOut += connection.framesOut
            self._bytesOut += connection.bytesOut
            self._skipped += connection.skipped

    def _traffic(self) -> tuple[int, int, int, int, int]:
        totals = (self._framesIn, self._bytesIn, self._framesOut, self._bytesOut, self._skipped)
        c = self.connection
        if c is None:
            return totals
        now = (c.framesIn, c.bytesIn, c.framesOut, c.bytesOut, c.skipped)
        return cast(
            "tuple[int, int, int, int, int]", tuple(map(sum, zip(totals, now, strict=True)))
        )

    def _blame(self, reason: Failure) -> None:
        """Remember why this attempt or connection ends: the first reason is the cause."""
        if self._cause is None:
            self._cause = self.lastReason = _quiet(reason)

    def _faulted(self, error: BaseException) -> None:
        """Something of ours, or of what we were given, has raised where no callback is run."""
        self._logFailure("{link}: this attempt failed", Failure(error))
        self._blame(Failure(CallbackFailed(f"this side failed: {explain(Failure(error))}")))

    def _stopReason(self) -> Failure:
        if self._verdict is not None:
            return Failure(self._verdict)
        return Failure(LinkStopped(f"{self._label()} was stopped"))

    def _label(self) -> str:
        return self.name or type(self).__name__


for _name in NAMES:
    if not hasattr(ReconnectingFactory, _name):
        setattr(ReconnectingFactory, _name, _option(_name, fixed=True))


class _LinkMachine(Machine):
    """Tells a link what to do."""

    __slots__ = ("_link",)

    def __init__(self, link: ReconnectingFactory) -> None:
        super().__init__()
        self._link = link

    def perform(self, action: Action) -> None:
        _ACTIONS[action](self._link)

    def changed(self, old: State, new: State, event: Event) -> None:
        self._link._changed(old, new, event)

    def faulted(self, error: BaseException) -> None:
        self._link._faulted(error)


_ACTIONS: dict[Action, Callable[[ReconnectingFactory], None]] = {
    Action.DIAL: ReconnectingFactory._dial,
    Action.CANCEL_DIAL: ReconnectingFactory._cancelDial,
    Action.OPEN: ReconnectingFactory._open,
    Action.ANNOUNCE: ReconnectingFactory._announce,
    Action.RETIRE: ReconnectingFactory._retire,
    Action.CLOSE: ReconnectingFactory._close,
    Action.ABORT: ReconnectingFactory._abort,
    Action.FORSAKE: ReconnectingFactory._forsake,
    Action.COUNT: ReconnectingFactory._count,
    Action.SETTLE: ReconnectingFactory._settle,
    Action.DISCARD: ReconnectingFactory._discard,
    Action.ARM_CONNECT: ReconnectingFactory._armConnect,
    Action.ARM_OPENING: lambda link: link._arm(link.openingTimeout, Event.DEADLINE),
    Action.ARM_CLOSE: lambda link: link._arm(link.closeTimeout, Event.DEADLINE),
    Action.ARM_OVERDUE: lambda link: link._arm(ABORT_GRACE, Event.OVERDUE),
    Action.ARM_RETRY: ReconnectingFactory._armRetry,
    Action.ARM_LONGEST: ReconnectingFactory._armLongest,
    Action.HURRY: ReconnectingFactory._setHurry,
    Action.DISARM: ReconnectingFactory._disarm,
    Action.FINISH: ReconnectingFactory._finish,
}


def _asFrames(frames: Sequence[bytes]) -> list[bytes]:
    """A list of our own, of bytes: what the caller changes later is not what we keep.

    :raises LocalError: these are no frames.
    """
    if isinstance(frames, bytes | bytearray | memoryview | str):
        raise LocalError(f"send takes a list of frames, not {type(frames).__name__}")
    try:
        own = list(frames)
    except TypeError:
        raise LocalError(f"send takes a list of frames, not {type(frames).__name__}") from None
    if set(map(type, own)) - {bytes}:
        for frame in own:
            if not isinstance(frame, bytes | bytearray | memoryview):
                raise LocalError(f"a frame is bytes, not {type(frame).__name__}")
        own = [bytes(frame) for frame in own]
    return own


def _receivedBefore(connection: Any) -> int:
    """Bytes received up to the read that is being handed over; others may wait behind it."""
    behind = connection._chunks
    return cast(int, connection.bytesIn - sum(map(len, behind)) if behind else connection.bytesIn)


def _own(waiters: list[Any]) -> list[Any]:
    """A list that may be changed."""
    return [] if waiters is NOBODY else waiters


def _fire(waiters: list[Deferred[Any]], result: object) -> None:
    """One after the other: the callback of one may cancel another, which removes it."""
    while waiters:
        _tell(waiters.pop(0), result)


def _tell(waiter: Deferred[Any], result: object) -> None:
    if not waiter.called:  # by the application: that is none of the others' business
        waiter.callback(result)


def _quiet(reason: Failure) -> Failure:
    """Without the frames of the stack: what is kept must not keep connections alive."""
    value = cast(BaseException, reason.value)
    if reason.getTracebackObject() is None and value.__traceback__ is None:
        return reason  # nobody raised it, as is the rule with Twisted's transports
    own = Failure(value)
    own.cleanFailure()
    return own


def _openingLate(seconds: float) -> str:
    return f"the opening was not done within {seconds:g} s"


def _describeAddress(address: Any) -> str:
    host = getattr(address, "host", None)
    if host is not None:
        return f"[{host}]:{address.port}" if ":" in host else f"{host}:{address.port}"
    name = getattr(address, "name", None)
    if isinstance(name, bytes):
        return name.decode(errors="backslashreplace")
    return str(address)


def _describeEndpoint(endpoint: Any) -> str:
    """An endpoint's own ``name``, where it has one (ours do), else where it leads, or its kind."""
    name = getattr(endpoint, "name", None)
    host, port = getattr(endpoint, "_host", None), getattr(endpoint, "_port", None)
    shown = repr(endpoint)
    if name:
        return str(name)
    if isinstance(host, str) and isinstance(port, int):  # Twisted's TCP endpoints
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return type(endpoint).__name__ if " at 0x" in shown else shown
