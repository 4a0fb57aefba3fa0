"""The life of a link as one total table: state x event -> state, actions.

::

    IDLE -> CONNECTING -> OPENING -> READY
               |   ^         |         |
               |   |         v         v
               |   |       DROPPING <--+      (this connection ends, the link goes on)
               |   |         |
               |   |         v
               |   |       SETTLING           (transport gone, frames still being delivered)
               |   |         |
               +-> WAITING <-+

    any state --STOP--> (CLOSING ->) STOPPED

CONNECTING covers name resolution, the TCP connection *and* the TLS handshake,
under one deadline: a transport alone is no proof of anything. OPENING is the
application's own opening (login, greeting). DROPPING and CLOSING both flush
and close, and abort at a deadline; they differ in what comes after.

Events that arrive during a transition are queued, never handled re-entrantly:
an action may post whatever it likes.

An action that raises ends the attempt, never the link: the others of its row are
done all the same, and FAULT is posted behind them. Where the actions of FAULT raise as
well, `WORSE` says what is posted then, down to what needs no timer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import Enum, auto


class _Named(Enum):
    """Members are told apart by what they are: Enum's own hash is a slow one, of the name."""

    __hash__ = object.__hash__


class State(_Named):
    """Where a link is."""

    IDLE = auto()
    CONNECTING = auto()
    OPENING = auto()
    READY = auto()
    DROPPING = auto()
    CLOSING = auto()
    SETTLING = auto()
    WAITING = auto()
    STOPPED = auto()


class Event(_Named):
    """What happens to a link."""

    START = auto()  # somebody wants the link up: dial
    DIALLED = auto()  # somebody has dialled already (reactor.connectTCP does)
    DIAL_FAILED = auto()  # no connection came of it
    CONNECTED = auto()  # transport up, TLS handshake done
    OPENED = auto()  # the application's opening is done
    CLOSE = auto()  # end this connection in good order
    ABORT = auto()  # end this connection at once
    RECONNECT = auto()  # a new connection, without waiting
    LOST = auto()  # the transport is gone
    SETTLED = auto()  # the last frame of that connection was delivered
    RETRY_DUE = auto()  # the back-off has passed
    GIVE_UP = auto()  # the back-off allows no further attempt
    DEADLINE = auto()  # the state's time is up
    OVERDUE = auto()  # an aborted connection does not report its end
    STOP = auto()  # no more connections
    FAULT = auto()  # an action has raised, or a timer of the link


class Action(_Named):
    """What the owner of the machine is told to do, in the order given."""

    DIAL = auto()
    CANCEL_DIAL = auto()  # or abort, where a transport exists already
    OPEN = auto()
    ANNOUNCE = auto()  # ready: attach the pump, fire the waiters
    RETIRE = auto()  # no longer ready: detach the pump
    CLOSE = auto()  # flush, then close
    ABORT = auto()
    FORSAKE = auto()  # take the connection for lost although it did not say so
    COUNT = auto()  # one more attempt failed, or one connection ended: draw the delay
    SETTLE = auto()
    DISCARD = auto()  # what is still undelivered stays so
    ARM_CONNECT = auto()
    ARM_OPENING = auto()
    ARM_CLOSE = auto()
    ARM_OVERDUE = auto()
    ARM_RETRY = auto()
    ARM_LONGEST = auto()  # the next attempt after the longest wait, unless one is due already
    HURRY = auto()  # the next attempt is due at once
    DISARM = auto()  # the one timer of the state, if set
    FINISH = auto()  # tell everybody who waits


Row = tuple[State, tuple[Action, ...]]

S, E, A = State, Event, Action


def _ignore(state: State) -> Row:
    return state, ()


def _table() -> dict[tuple[State, Event], Row]:
    """Every pair; what is not named is ignored, and a test lists which those are."""
    dial = (S.CONNECTING, (A.DIAL, A.ARM_CONNECT))
    adopt = (S.CONNECTING, (A.ARM_CONNECT,))
    lost = (S.SETTLING, (A.DISARM, A.COUNT, A.SETTLE))
    failed = (S.WAITING, (A.DISARM, A.COUNT, A.ARM_RETRY))
    close = (A.CLOSE, A.ARM_CLOSE)
    abort = (A.ABORT, A.ARM_OVERDUE)

    rows: dict[tuple[State, Event], Row] = {
        (S.IDLE, E.START): dial,
        (S.IDLE, E.DIALLED): adopt,
        (S.IDLE, E.STOP): (S.STOPPED, (A.FINISH,)),
        #
        (S.CONNECTING, E.DIAL_FAILED): failed,
        (S.CONNECTING, E.CONNECTED): (S.OPENING, (A.ARM_OPENING, A.OPEN)),
        (S.CONNECTING, E.LOST): lost,
        (S.CONNECTING, E.CLOSE): (S.DROPPING, close),
        (S.CONNECTING, E.ABORT): (S.DROPPING, abort),
        (S.CONNECTING, E.DEADLINE): (S.DROPPING, (A.ARM_OVERDUE, A.CANCEL_DIAL)),
        (S.CONNECTING, E.STOP): (S.CLOSING, (A.ARM_OVERDUE, A.CANCEL_DIAL)),
        (S.CONNECTING, E.FAULT): (S.DROPPING, (A.ARM_OVERDUE, A.CANCEL_DIAL)),
        #
        (S.OPENING, E.OPENED): (S.READY, (A.DISARM, A.ANNOUNCE)),
        (S.OPENING, E.LOST): lost,
        (S.OPENING, E.CLOSE): (S.DROPPING, close),
        (S.OPENING, E.RECONNECT): (S.DROPPING, (A.HURRY, *close)),
        (S.OPENING, E.ABORT): (S.DROPPING, abort),
        (S.OPENING, E.DEADLINE): (S.DROPPING, abort),
        (S.OPENING, E.STOP): (S.CLOSING, close),
        (S.OPENING, E.FAULT): (S.DROPPING, abort),
        #
        (S.READY, E.LOST): (S.SETTLING, (A.RETIRE, A.COUNT, A.SETTLE)),
        (S.READY, E.CLOSE): (S.DROPPING, (A.RETIRE, *close)),
        (S.READY, E.RECONNECT): (S.DROPPING, (A.RETIRE, A.HURRY, *close)),
        (S.READY, E.ABORT): (S.DROPPING, (A.RETIRE, *abort)),
        (S.READY, E.STOP): (S.CLOSING, (A.RETIRE, *close)),
        (S.READY, E.FAULT): (S.DROPPING, (A.RETIRE, *abort)),
        #
        (S.DROPPING, E.DIAL_FAILED): failed,
        (S.DROPPING, E.LOST): lost,
        (S.DROPPING, E.ABORT): (S.DROPPING, abort),
        (S.DROPPING, E.DEADLINE): (S.DROPPING, abort),
        (S.DROPPING, E.OVERDUE): (S.SETTLING, (A.COUNT, A.FORSAKE, A.SETTLE)),
        (S.DROPPING, E.RECONNECT): (S.DROPPING, (A.HURRY,)),
        (S.DROPPING, E.STOP): (S.CLOSING, ()),  # the running deadline stays
        (S.DROPPING, E.FAULT): (S.DROPPING, abort),
        #
        (S.CLOSING, E.DIAL_FAILED): (S.STOPPED, (A.DISARM, A.FINISH)),
        (S.CLOSING, E.LOST): (S.SETTLING, (A.SETTLE,)),  # its deadline stays
        (S.CLOSING, E.ABORT): (S.CLOSING, abort),
        (S.CLOSING, E.DEADLINE): (S.CLOSING, abort),
        (S.CLOSING, E.OVERDUE): (S.STOPPED, (A.FORSAKE, A.FINISH)),
        (S.CLOSING, E.FAULT): (S.CLOSING, abort),
        #
        (S.SETTLING, E.SETTLED): (S.WAITING, (A.DISARM, A.ARM_RETRY)),
        (S.SETTLING, E.RECONNECT): (S.SETTLING, (A.HURRY,)),
        (S.SETTLING, E.STOP): (S.SETTLING, (A.ARM_CLOSE,)),
        (S.SETTLING, E.DEADLINE): (S.SETTLING, (A.DISCARD,)),
        (S.SETTLING, E.OVERDUE): (S.SETTLING, (A.DISCARD,)),
        (S.SETTLING, E.FAULT): (S.SETTLING, (A.ARM_CLOSE,)),
        #
        (S.WAITING, E.RETRY_DUE): dial,
        (S.WAITING, E.DIALLED): (S.CONNECTING, (A.DISARM, A.ARM_CONNECT)),
        (S.WAITING, E.RECONNECT): (S.WAITING, (A.HURRY, A.ARM_RETRY)),
        (S.WAITING, E.GIVE_UP): (S.STOPPED, (A.DISARM, A.FINISH)),
        (S.WAITING, E.STOP): (S.STOPPED, (A.DISARM, A.FINISH)),
        (S.WAITING, E.FAULT): (S.WAITING, (A.ARM_LONGEST,)),
        #
        (S.STOPPED, E.START): dial,
        (S.STOPPED, E.DIALLED): adopt,
        (S.STOPPED, E.FAULT): (S.STOPPED, (A.FINISH,)),
    }
    return {(s, e): rows.get((s, e), _ignore(s)) for s in State for e in Event}


TABLE = _table()

WORSE = {Event.FAULT: Event.OVERDUE, Event.OVERDUE: Event.SETTLED}
"""What is posted where an action raises: behind any other event, FAULT."""


class Machine:
    """Runs the table for one link; override `perform` and `changed`.

    Whatever the application raises is a fault, `SystemExit` among it: Twisted's reactor
    would only log it and go on, and the link stand still.

    :ivar state: where the link is.
    :ivar stopping: the goal beside the table: whether a STOP came since the
        last start. A link that should stop never waits for another attempt.
    """

    __slots__ = ("_afterwards", "_busy", "_queue", "state", "stopping")

    def __init__(self) -> None:
        self.state = State.IDLE
        self.stopping = False
        # Shared until needed: an empty deque is 600 bytes, and most links are quiet.
        self._queue: deque[Event] | None = None
        self._afterwards: tuple[Callable[[], None], ...] = ()
        self._busy = False

    def perform(self, action: Action) -> None:
        """Do what an event leads to; called with each action, in order."""

    def changed(self, old: State, new: State, event: Event) -> None:
        """The state changed; its actions come next."""

    def faulted(self, error: BaseException) -> None:
        """An action has raised; the attempt ends, and this is why. Must not raise."""

    def handle(self, event: Event) -> None:
        """Take one event, at once or, during a transition, after it. Never raises."""
        if self._busy:
            self._post(event)
            return
        self._busy = True
        upcoming: Event | None = event
        try:
            while upcoming is not None:
                self._step(upcoming)
                upcoming = self._queue.popleft() if self._queue else None
        finally:  # else no event would ever act again
            self._queue = None
            self._busy = False
        while self._afterwards and not self._busy:
            call, *rest = self._afterwards
            self._afterwards = tuple(rest)
            self._call(call)

    def fault(self, error: BaseException) -> None:
        """What the link did outside of a transition has raised: this attempt ends."""
        self.faulted(error)
        if self.state is not State.STOPPED:  # else this was the telling of it
            self.handle(Event.FAULT)

    def afterwards(self, call: Callable[[], None]) -> None:
        """Call `call` when all events are handled, and events act at once again."""
        if self._busy:
            self._afterwards = (*self._afterwards, call)
        else:
            self._call(call)

    def _call(self, call: Callable[[], None]) -> None:
        try:
            call()
        except BaseException as error:
            self.fault(error)

    def _post(self, event: Event) -> None:
        if self._queue is None:
            self._queue = deque()
        self._queue.append(event)

    def _step(self, event: Event) -> None:
        old = self.state
        new, actions = TABLE[old, event]
        if event is Event.STOP:
            if self.stopping:  # a second stop must not postpone the first one's deadline
                return
            self.stopping = True
        elif new is State.CONNECTING:
            self.stopping = False
        if new is State.WAITING and self.stopping:
            new, actions = State.STOPPED, (Action.DISARM, Action.FINISH)
        self.state = new
        fault: BaseException | None = None
        try:
            if new is not old:
                self.changed(old, new, event)
        except BaseException as error:
            fault = error
        for action in actions:
            try:
                self.perform(action)
            except BaseException as error:  # the others of the row are needed: one sets the timer
                fault = fault or error
        if fault is not None:
            self.faulted(fault)
            self._post(self._worse(event))

    def _worse(self, event: Event) -> Event:
        """What ends the attempt where the actions of `event` have raised."""
        if event is Event.FAULT and self.state is State.WAITING:
            return Event.GIVE_UP  # not even a timer can be set
        if self.state is State.STOPPED and event is not Event.FAULT:
            return Event.FAULT  # to tell them once more
        return WORSE.get(event, Event.FAULT)
