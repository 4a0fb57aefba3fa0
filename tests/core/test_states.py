"""The life of a link: every state x event, written down a second time.

`EXPECTED` below was derived from the design's text, not from the module: the
two have to agree. ``docs/states.md`` is made from the module's table by
``python -m tests.core.test_states`` and has to be up to date.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbclient.core.states import TABLE, Action, Event, Machine, State

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "states.md"

# state, event, next state, actions; a lone dash: ignored.
EXPECTED = """
IDLE        START        CONNECTING  DIAL ARM_CONNECT
IDLE        DIALLED      CONNECTING  ARM_CONNECT
IDLE        DIAL_FAILED  -
IDLE        CONNECTED    -
IDLE        OPENED       -
IDLE        CLOSE        -
IDLE        ABORT        -
IDLE        RECONNECT    -
IDLE        LOST         -
IDLE        SETTLED      -
IDLE        RETRY_DUE    -
IDLE        GIVE_UP      -
IDLE        DEADLINE     -
IDLE        OVERDUE      -
IDLE        STOP         STOPPED     FINISH
IDLE        FAULT        -

CONNECTING  START        -
CONNECTING  DIALLED      -
CONNECTING  DIAL_FAILED  WAITING     DISARM COUNT ARM_RETRY
CONNECTING  CONNECTED    OPENING     ARM_OPENING OPEN
CONNECTING  OPENED       -
CONNECTING  CLOSE        DROPPING    CLOSE ARM_CLOSE
CONNECTING  ABORT        DROPPING    ABORT ARM_OVERDUE
CONNECTING  RECONNECT    -
CONNECTING  LOST         SETTLING    DISARM COUNT SETTLE
CONNECTING  SETTLED      -
CONNECTING  RETRY_DUE    -
CONNECTING  GIVE_UP      -
CONNECTING  DEADLINE     DROPPING    ARM_OVERDUE CANCEL_DIAL
CONNECTING  OVERDUE      -
CONNECTING  STOP         CLOSING     ARM_OVERDUE CANCEL_DIAL
CONNECTING  FAULT        DROPPING    ARM_OVERDUE CANCEL_DIAL

OPENING     START        -
OPENING     DIALLED      -
OPENING     DIAL_FAILED  -
OPENING     CONNECTED    -
OPENING     OPENED       READY       DISARM ANNOUNCE
OPENING     CLOSE        DROPPING    CLOSE ARM_CLOSE
OPENING     ABORT        DROPPING    ABORT ARM_OVERDUE
OPENING     RECONNECT    DROPPING    HURRY CLOSE ARM_CLOSE
OPENING     LOST         SETTLING    DISARM COUNT SETTLE
OPENING     SETTLED      -
OPENING     RETRY_DUE    -
OPENING     GIVE_UP      -
OPENING     DEADLINE     DROPPING    ABORT ARM_OVERDUE
OPENING     OVERDUE      -
OPENING     STOP         CLOSING     CLOSE ARM_CLOSE
OPENING     FAULT        DROPPING    ABORT ARM_OVERDUE

READY       START        -
READY       DIALLED      -
READY       DIAL_FAILED  -
READY       CONNECTED    -
READY       OPENED       -
READY       CLOSE        DROPPING    RETIRE CLOSE ARM_CLOSE
READY       ABORT        DROPPING    RETIRE ABORT ARM_OVERDUE
READY       RECONNECT    DROPPING    RETIRE HURRY CLOSE ARM_CLOSE
READY       LOST         SETTLING    RETIRE COUNT SETTLE
READY       SETTLED      -
READY       RETRY_DUE    -
READY       GIVE_UP      -
READY       DEADLINE     -
READY       OVERDUE      -
READY       STOP         CLOSING     RETIRE CLOSE ARM_CLOSE
READY       FAULT        DROPPING    RETIRE ABORT ARM_OVERDUE

DROPPING    START        -
DROPPING    DIALLED      -
DROPPING    DIAL_FAILED  WAITING     DISARM COUNT ARM_RETRY
DROPPING    CONNECTED    -
DROPPING    OPENED       -
DROPPING    CLOSE        -
DROPPING    ABORT        DROPPING    ABORT ARM_OVERDUE
DROPPING    RECONNECT    DROPPING    HURRY
DROPPING    LOST         SETTLING    DISARM COUNT SETTLE
DROPPING    SETTLED      -
DROPPING    RETRY_DUE    -
DROPPING    GIVE_UP      -
DROPPING    DEADLINE     DROPPING    ABORT ARM_OVERDUE
DROPPING    OVERDUE      SETTLING    COUNT FORSAKE SETTLE
DROPPING    STOP         CLOSING
DROPPING    FAULT        DROPPING    ABORT ARM_OVERDUE

CLOSING     START        -
CLOSING     DIALLED      -
CLOSING     DIAL_FAILED  STOPPED     DISARM FINISH
CLOSING     CONNECTED    -
CLOSING     OPENED       -
CLOSING     CLOSE        -
CLOSING     ABORT        CLOSING     ABORT ARM_OVERDUE
CLOSING     RECONNECT    -
CLOSING     LOST         SETTLING    SETTLE
CLOSING     SETTLED      -
CLOSING     RETRY_DUE    -
CLOSING     GIVE_UP      -
CLOSING     DEADLINE     CLOSING     ABORT ARM_OVERDUE
CLOSING     OVERDUE      STOPPED     FORSAKE FINISH
CLOSING     STOP         -
CLOSING     FAULT        CLOSING     ABORT ARM_OVERDUE

SETTLING    START        -
SETTLING    DIALLED      -
SETTLING    DIAL_FAILED  -
SETTLING    CONNECTED    -
SETTLING    OPENED       -
SETTLING    CLOSE        -
SETTLING    ABORT        -
SETTLING    RECONNECT    SETTLING    HURRY
SETTLING    LOST         -
SETTLING    SETTLED      WAITING     DISARM ARM_RETRY
SETTLING    RETRY_DUE    -
SETTLING    GIVE_UP      -
SETTLING    DEADLINE     SETTLING    DISCARD
SETTLING    OVERDUE      SETTLING    DISCARD
SETTLING    STOP         SETTLING    ARM_CLOSE
SETTLING    FAULT        SETTLING    ARM_CLOSE

WAITING     START        -
WAITING     DIALLED      CONNECTING  DISARM ARM_CONNECT
WAITING     DIAL_FAILED  -
WAITING     CONNECTED    -
WAITING     OPENED       -
WAITING     CLOSE        -
WAITING     ABORT        -
WAITING     RECONNECT    WAITING     HURRY ARM_RETRY
WAITING     LOST         -
WAITING     SETTLED      -
WAITING     RETRY_DUE    CONNECTING  DIAL ARM_CONNECT
WAITING     GIVE_UP      STOPPED     DISARM FINISH
WAITING     DEADLINE     -
WAITING     OVERDUE      -
WAITING     STOP         STOPPED     DISARM FINISH
WAITING     FAULT        WAITING     ARM_LONGEST

STOPPED     START        CONNECTING  DIAL ARM_CONNECT
STOPPED     DIALLED      CONNECTING  ARM_CONNECT
STOPPED     DIAL_FAILED  -
STOPPED     CONNECTED    -
STOPPED     OPENED       -
STOPPED     CLOSE        -
STOPPED     ABORT        -
STOPPED     RECONNECT    -
STOPPED     LOST         -
STOPPED     SETTLED      -
STOPPED     RETRY_DUE    -
STOPPED     GIVE_UP      -
STOPPED     DEADLINE     -
STOPPED     OVERDUE      -
STOPPED     STOP         -
STOPPED     FAULT        STOPPED     FINISH
"""

Pair = tuple[State, Event]
Row = tuple[State, tuple[Action, ...]]


def parse(line: str) -> tuple[Pair, Row]:
    """One line of `EXPECTED`."""
    state, event, new, *actions = line.split()
    if new == "-":
        new = state
    return (State[state], Event[event]), (State[new], tuple(Action[name] for name in actions))


ROWS = [parse(line) for line in EXPECTED.splitlines() if line]

PATHS: dict[State, tuple[Event, ...]] = {
    State.IDLE: (),
    State.CONNECTING: (Event.START,),
    State.OPENING: (Event.START, Event.CONNECTED),
    State.READY: (Event.START, Event.CONNECTED, Event.OPENED),
    State.DROPPING: (Event.START, Event.CONNECTED, Event.CLOSE),
    State.CLOSING: (Event.START, Event.STOP),
    State.SETTLING: (Event.START, Event.CONNECTED, Event.LOST),
    State.WAITING: (Event.START, Event.DIAL_FAILED),
    State.STOPPED: (Event.STOP,),
}
"""A shortest way to each state."""

TIMERS = {
    Action.ARM_CONNECT: Event.DEADLINE,
    Action.ARM_OPENING: Event.DEADLINE,
    Action.ARM_CLOSE: Event.DEADLINE,
    Action.ARM_OVERDUE: Event.OVERDUE,
    Action.ARM_RETRY: Event.RETRY_DUE,
    Action.ARM_LONGEST: Event.RETRY_DUE,
}
"""What the one timer of a link posts when it runs out, by what armed it."""


class Told(Machine):
    """Tells functions."""

    def __init__(
        self,
        perform: Callable[[Action], object],
        changed: Callable[[State, State, Event], object] = lambda *_: None,
    ) -> None:
        super().__init__()
        self._told, self._toldOfChange = perform, changed

    def perform(self, action: Action) -> None:
        super().perform(action)
        self._told(action)

    def changed(self, old: State, new: State, event: Event) -> None:
        super().changed(old, new, event)
        self._toldOfChange(old, new, event)


class Owner:
    """Does nothing but take down what the machine tells it."""

    def __init__(self, path: Iterable[Event] = ()) -> None:
        self.actions: list[Action] = []
        self.changes: list[tuple[State, State, Event]] = []
        self.timer: Event | None = None
        self.machine = Told(self.perform, lambda *change: self.changes.append(change))
        self.post(*path)

    def perform(self, action: Action) -> None:
        self.actions.append(action)
        if action in TIMERS:
            self.timer = TIMERS[action]
        elif action is Action.DISARM:
            self.timer = None

    def post(self, *events: Event) -> list[Action]:
        """Hand in events; returns the actions that came of them."""
        before = len(self.actions)
        for event in events:
            if event is self.timer:
                self.timer = None
            self.machine.handle(event)
        return self.actions[before:]

    @property
    def state(self) -> State:
        return self.machine.state


# -- the table


def test_the_expectation_names_every_pair_once() -> None:
    assert [pair for pair, _ in ROWS] == list(product(State, Event))


@pytest.mark.parametrize(
    ("pair", "row"), ROWS, ids=[f"{state.name}-{event.name}" for (state, event), _ in ROWS]
)
def test_each_event_in_each_state_does_what_was_meant(pair: Pair, row: Row) -> None:
    assert TABLE[pair] == row


def test_the_table_has_no_pair_beyond_those() -> None:
    assert set(TABLE) == set(product(State, Event))


@pytest.mark.parametrize("state", State, ids=lambda state: state.name)
def test_every_state_can_be_reached(state: State) -> None:
    assert Owner(PATHS[state]).state is state


def test_every_action_is_asked_for_somewhere() -> None:
    assert {action for _, actions in TABLE.values() for action in actions} == set(Action)


# -- properties of the table that the link lives by


def test_ready_is_announced_and_retired_exactly_at_its_borders() -> None:
    for (old, event), (new, actions) in TABLE.items():
        assert (Action.ANNOUNCE in actions) == (new is State.READY is not old), (old, event)
        assert (Action.RETIRE in actions) == (old is State.READY is not new), (old, event)


def test_everybody_who_waits_is_told_at_each_way_into_stopped() -> None:
    for (old, event), (new, actions) in TABLE.items():
        if event is Event.FAULT and old is State.STOPPED:
            continue  # telling them has raised: once more
        assert (Action.FINISH in actions) == (new is State.STOPPED is not old), (old, event)


def test_a_failure_is_counted_once_on_the_way_out_of_an_attempt() -> None:
    for (old, event), (new, actions) in TABLE.items():
        attempting = old in (State.CONNECTING, State.OPENING, State.READY, State.DROPPING)
        over = new in (State.SETTLING, State.WAITING)
        assert actions.count(Action.COUNT) == int(attempting and over), (old, event)


@pytest.mark.parametrize("state", [State.CONNECTING, State.OPENING, State.DROPPING, State.CLOSING])
def test_no_state_that_waits_for_the_peer_is_entered_without_a_deadline(state: State) -> None:
    for (old, event), (new, actions) in TABLE.items():
        inherits = (old, event) == (State.DROPPING, Event.STOP)
        if new is state is not old and not inherits:
            assert set(actions) & set(TIMERS), (old, event)


@given(st.lists(st.sampled_from(Event), max_size=60))
def test_whatever_happens_the_peer_never_holds_the_link_for_ever(events: list[Event]) -> None:
    owner = Owner()
    for event in events:
        if event in TIMERS.values() and event is not owner.timer:
            continue  # a timer that is not set does not run out
        owner.post(event)
        if owner.state in (State.CONNECTING, State.OPENING, State.DROPPING, State.CLOSING):
            assert owner.timer in (Event.DEADLINE, Event.OVERDUE)
        elif owner.state in (State.IDLE, State.READY, State.STOPPED):
            assert owner.timer is None
        elif owner.state is State.WAITING:
            assert owner.timer is Event.RETRY_DUE
        if owner.machine.stopping:
            assert owner.state in (State.CLOSING, State.SETTLING, State.STOPPED)
            if owner.state is State.SETTLING:
                # Nor does the application: its frames are discarded, or will be.
                settle = len(owner.actions) - owner.actions[::-1].index(Action.SETTLE)
                assert owner.timer is not None or Action.DISCARD in owner.actions[settle:]


# -- stopping

COMINGS = (Event.LOST, Event.DIAL_FAILED, Event.SETTLED, Event.DEADLINE, Event.OVERDUE)


@pytest.mark.parametrize("state", State, ids=lambda state: state.name)
@pytest.mark.parametrize("first", COMINGS, ids=lambda event: event.name)
def test_after_a_stop_whatever_comes_first_the_link_stops_soon(state: State, first: Event) -> None:
    owner = Owner([*PATHS[state], Event.STOP, first])
    # From there on: the timer if one is set, and the application, which settles when told.
    for _ in range(4):
        if owner.state is State.SETTLING and Action.DISCARD in owner.actions:
            owner.post(Event.SETTLED)
        elif owner.timer is not None:
            owner.post(owner.timer)
    assert owner.state is State.STOPPED
    assert owner.actions[-1] is Action.FINISH
    assert owner.timer is None


@pytest.mark.parametrize("state", State, ids=lambda state: state.name)
def test_no_order_of_endings_leads_a_stopping_link_to_another_attempt(state: State) -> None:
    for events in product(COMINGS, repeat=4):
        owner = Owner(PATHS[state])
        actions = owner.post(Event.STOP, *events, Event.RETRY_DUE)
        assert not {Action.DIAL, Action.ARM_RETRY, Action.ARM_CONNECT} & set(actions)
        assert owner.state in (State.CLOSING, State.SETTLING, State.STOPPED)


def test_a_stop_wins_over_waiting() -> None:
    owner = Owner([*PATHS[State.SETTLING], Event.STOP])
    assert owner.post(Event.SETTLED) == [Action.DISARM, Action.FINISH]
    assert owner.changes[-1] == (State.SETTLING, State.STOPPED, Event.SETTLED)


def test_without_a_stop_the_same_events_lead_to_waiting() -> None:
    owner = Owner(PATHS[State.SETTLING])
    assert owner.post(Event.SETTLED) == [Action.DISARM, Action.ARM_RETRY]
    assert owner.state is State.WAITING


@pytest.mark.parametrize("again", [Event.START, Event.DIALLED], ids=["endpoint", "connector"])
def test_a_new_start_forgets_the_old_stop(again: Event) -> None:
    owner = Owner([Event.STOP])
    assert owner.machine.stopping
    owner.post(again)
    assert not owner.machine.stopping
    owner.post(Event.DIAL_FAILED)
    assert owner.state is State.WAITING


@pytest.mark.parametrize("state", State, ids=lambda state: state.name)
def test_a_second_stop_does_not_postpone_the_first(state: State) -> None:
    # Whoever asks again and again would otherwise push the deadline along for ever.
    owner = Owner([*PATHS[state], Event.STOP])
    assert not set(owner.post(Event.STOP)) & set(TIMERS)


# -- the machine


def test_the_owner_hears_of_a_change_before_its_actions_and_sees_the_new_state() -> None:
    heard: list[object] = []
    machine = Told(heard.append, lambda *change: heard.append((*change, machine.state)))
    machine.handle(Event.START)
    assert heard == [
        (State.IDLE, State.CONNECTING, Event.START, State.CONNECTING),
        Action.DIAL,
        Action.ARM_CONNECT,
    ]


def test_an_event_that_changes_no_state_is_no_change() -> None:
    owner = Owner(PATHS[State.DROPPING])
    before = list(owner.changes)
    assert owner.post(Event.DEADLINE) == [Action.ABORT, Action.ARM_OVERDUE]
    assert owner.post(Event.START) == []
    assert owner.changes == before


def test_an_event_posted_by_an_action_waits_until_the_transition_is_over() -> None:
    # An endpoint that fails at once must not have its failure handled inside DIAL.
    done: list[Action] = []
    depth = 0

    def perform(action: Action) -> None:
        nonlocal depth
        depth += 1
        assert depth == 1, "handled re-entrantly"
        done.append(action)
        if action is Action.DIAL:
            machine.handle(Event.DIAL_FAILED)
            assert machine.state is State.CONNECTING
        depth -= 1

    machine = Told(perform)
    machine.handle(Event.START)
    assert done == [
        Action.DIAL,
        Action.ARM_CONNECT,
        Action.DISARM,
        Action.COUNT,
        Action.ARM_RETRY,
    ]
    assert machine.state is State.WAITING


def test_an_event_posted_while_the_owner_is_told_of_a_change_waits_too() -> None:
    changes: list[tuple[State, State]] = []

    def changed(old: State, new: State, event: Event) -> None:
        changes.append((old, new))
        if new is State.CONNECTING:
            machine.handle(Event.STOP)
            assert machine.state is State.CONNECTING

    machine = Told(lambda _: None, changed)
    machine.handle(Event.START)
    assert changes == [
        (State.IDLE, State.CONNECTING),
        (State.CONNECTING, State.CLOSING),
    ]


def test_events_that_wait_are_handled_in_the_order_they_came() -> None:
    def perform(action: Action) -> None:
        if action is Action.DIAL:
            machine.handle(Event.CONNECTED)
            machine.handle(Event.OPENED)
            machine.handle(Event.LOST)
            machine.handle(Event.SETTLED)

    machine = Told(perform)
    machine.handle(Event.START)
    assert machine.state is State.WAITING


def test_an_action_that_raises_ends_the_attempt_and_the_others_are_done_all_the_same() -> None:
    done: list[Action] = []

    def perform(action: Action) -> None:
        done.append(action)
        if action is Action.DIAL:
            machine.handle(Event.CONNECTED)
            raise OSError("no dial tone")

    machine = Told(perform)
    machine.handle(Event.START)
    assert machine.state is State.DROPPING
    assert done[:3] == [Action.DIAL, Action.ARM_CONNECT, Action.ARM_OPENING]
    assert done[-2:] == [Action.ABORT, Action.ARM_OVERDUE]
    machine.handle(Event.STOP)
    assert machine.state is State.CLOSING


class Faulty(Owner):
    """Of whose actions some raise, once each; the owner takes down that it was told."""

    def __init__(self, path: Iterable[Event], *raising: Action) -> None:
        self.raising: list[Action] = []
        self.settles = False
        self.faults: list[str] = []
        super().__init__(path)
        self.machine.faulted = self.faulted  # type: ignore[method-assign]
        self.raising = list(raising)
        self.settles = True

    def perform(self, action: Action) -> None:
        if action in self.raising:
            self.raising.remove(action)
            raise OSError(action.name)
        super().perform(action)
        if self.settles and action in (Action.SETTLE, Action.DISCARD):
            self.machine.handle(Event.SETTLED)  # an application that has nothing left to do

    def faulted(self, error: Exception) -> None:
        self.faults.append(str(error))

    def live_on(self) -> None:
        """Only by the timer, if there is one."""
        for _ in range(8):
            if self.state in (State.CONNECTING, State.STOPPED) or self.timer is None:
                break
            self.post(self.timer)


# State by event: each row that does something, with each of its actions raising.
RAISING = [
    pytest.param(state, event, action, id=f"{state.name}-{event.name}-{action.name}")
    for (state, event), (_, actions) in TABLE.items()
    for action in dict.fromkeys(actions)
    if state not in (State.IDLE, State.STOPPED)
]
MENDING = (Action.ABORT, Action.ARM_OVERDUE, Action.ARM_CLOSE, Action.ARM_LONGEST)


@pytest.mark.parametrize(("state", "event", "action"), RAISING)
def test_whatever_raises_wherever_the_next_attempt_comes(
    state: State, event: Event, action: Action
) -> None:
    owner = Faulty(PATHS[state], action)
    owner.post(event)
    assert owner.faults == [action.name]
    owner.live_on()
    # Where not even that timer can be had, a link can only end.
    ends = owner.machine.stopping or event is Event.GIVE_UP or action is Action.ARM_LONGEST
    assert owner.state is (State.STOPPED if ends else State.CONNECTING)


@pytest.mark.parametrize(("state", "event", "action"), RAISING)
def test_so_it_does_where_what_mends_it_raises_too(
    state: State, event: Event, action: Action
) -> None:
    owner = Faulty(PATHS[state], action, *MENDING)
    owner.post(event)
    assert len(owner.faults) > 0
    owner.live_on()
    assert owner.state in (State.CONNECTING, State.STOPPED)
    if owner.state is State.STOPPED:
        assert owner.actions[-1] is Action.FINISH


@pytest.mark.parametrize("state", State, ids=lambda state: state.name)
def test_a_stop_whose_actions_raise_stops_all_the_same(state: State) -> None:
    _, actions = TABLE[state, Event.STOP]
    for action in actions:
        owner = Faulty(PATHS[state], action)
        owner.post(Event.STOP)
        owner.live_on()
        assert owner.state is State.STOPPED
        assert owner.actions[-1] is Action.FINISH


def test_an_owner_that_raises_at_a_change_is_no_less_a_fault() -> None:
    faults: list[Exception] = []

    def changed(old: State, new: State, event: Event) -> None:
        if new is State.OPENING:
            raise ZeroDivisionError

    machine = Told(lambda _: None, changed)
    machine.faulted = faults.append  # type: ignore[method-assign]
    machine.handle(Event.START)
    machine.handle(Event.CONNECTED)
    assert machine.state is State.DROPPING
    assert [type(each) for each in faults] == [ZeroDivisionError]


def test_what_raises_outside_of_a_transition_ends_the_attempt_too() -> None:
    faults: list[Exception] = []
    called: list[str] = []
    machine = Told(lambda action: action is Action.ANNOUNCE and machine.afterwards(broken))
    machine.faulted = faults.append  # type: ignore[method-assign]

    def broken() -> None:
        machine.afterwards(lambda: called.append("at once"))
        raise ZeroDivisionError

    for event in PATHS[State.READY]:
        machine.handle(event)
    assert machine.state is State.DROPPING
    assert [type(each) for each in faults] == [ZeroDivisionError]
    assert called == ["at once"]


# -- the document

HEAD = """\
# The states of a link

Made from the table in `nbclient/core/states.py` by `python -m tests.core.test_states`;
a test fails when it is out of date. What each state means stands at the head
of that module.

A timer posts DEADLINE, OVERDUE or RETRY_DUE; there is one per link. A STOP is
remembered until the next start: while it is, STOPPED takes the place of
WAITING wherever a row below leads there, and a second STOP does nothing.
"""


def diagram() -> str:
    """The table as a Mermaid state diagram: an arrow for each pair of states."""
    arrows: dict[tuple[State, State], list[str]] = {}
    for (old, event), (new, _) in TABLE.items():
        if new is not old:
            arrows.setdefault((old, new), []).append(event.name)
    arrows.setdefault((State.SETTLING, State.STOPPED), []).append("SETTLED after a STOP")
    lines = [f"    {a.name} --> {b.name}: {', '.join(events)}" for (a, b), events in arrows.items()]
    return "\n".join(
        ["```mermaid", "stateDiagram-v2", f"    [*] --> {State.IDLE.name}", *lines, "```"]
    )


def section(state: State) -> str:
    """What one state does with each event, as a table."""
    rows, ignored = [], []
    for event in Event:
        new, actions = TABLE[state, event]
        if new is state and not actions:
            ignored.append(event.name)
        else:
            done = ", ".join(action.name for action in actions) or "nothing"
            rows.append(f"| {event.name} | {new.name} | {done} |")
    head = [f"## {state.name}", "", "| event | next state | actions, in order |", "|---|---|---|"]
    return "\n".join([*head, *rows, "", f"Ignored: {', '.join(ignored)}."])


def document() -> str:
    """The whole of ``docs/states.md``."""
    return "\n\n".join([HEAD.rstrip("\n"), diagram(), *map(section, State)]) + "\n"


def test_the_document_is_up_to_date() -> None:
    assert DOCUMENT.read_text("utf-8") == document(), "run: python -m tests.core.test_states"


if __name__ == "__main__":
    DOCUMENT.write_text(document(), "utf-8")
