"""The outbox: order, whole frames, a bound, and not a frame unaccounted for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import attrs
import pytest
from attrs.exceptions import FrozenInstanceError
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from nbclient import ReconnectingFactory, framing
from nbclient.delivery.outbox import FRAME_COST, GRAIN, Aside, Outbox, OutboxStats, Ranges
from nbclient.errors import OutboxFull

ROOMY = 1_000_000
ABC = [b"a", b"b", b"c"]


def filled(*frames: bytes, limit: int = ROOMY) -> Outbox:
    """An outbox that was offered `frames` and has room for all of them."""
    outbox = Outbox(limit)
    outbox.counters.offered += len(frames)
    assert outbox.accept(frames) == len(frames)
    return outbox


# -- in and out


def test_frames_leave_in_the_order_they_came() -> None:
    outbox = filled(*ABC)
    assert outbox.accept([b"d"]) == 1
    assert outbox.take(ROOMY) == [b"a", b"b", b"c", b"d"]


def test_a_frame_in_flight_still_counts_until_it_is_acknowledged() -> None:
    outbox = filled(*ABC)
    before = outbox.size
    outbox.take(ROOMY)
    assert (len(outbox), outbox.size, outbox.sendable) == (3, before, False)
    outbox.acknowledge(3)
    assert (len(outbox), outbox.size, bool(outbox)) == (0, 0, False)


def test_nothing_offered_is_nothing_taken() -> None:
    outbox = Outbox(ROOMY)
    assert outbox.accept([]) == 0
    assert outbox.take(ROOMY) == []
    assert outbox.stats().conserved()


def test_a_batch_in_flight_is_about_as_large_as_asked() -> None:
    outbox = filled(*[bytes(100)] * 10)
    assert len(outbox.take(3 * (100 + FRAME_COST))) == 3
    # One frame over is better than one under: a batch always makes progress.
    assert len(outbox.take(2 * (100 + FRAME_COST) + 1)) == 3
    assert outbox.sendable


def test_a_frame_larger_than_what_was_asked_for_is_taken_all_the_same() -> None:
    assert filled(bytes(5000), b"b").take(1) == [bytes(5000)]


# -- the bound


def test_each_frame_is_charged_beyond_its_content_so_that_empty_ones_are_bounded_too() -> None:
    outbox = Outbox(10 * FRAME_COST)
    assert outbox.accept([b""] * 1000) == 10
    assert outbox.size == 10 * FRAME_COST


def test_as_many_as_there_is_room_for_are_taken_from_the_first() -> None:
    outbox = Outbox(2 * (10 + FRAME_COST))
    assert outbox.accept([b"first.....", b"second....", b"third....."]) == 2
    assert outbox.accept([b"fourth...."]) == 0
    assert outbox.take(ROOMY) == [b"first.....", b"second...."]


def test_a_small_frame_never_overtakes_a_large_one_for_which_there_is_no_room() -> None:
    outbox = filled(bytes(50), limit=300)
    assert outbox.accept([bytes(200), b"small"]) == 0


def test_a_batch_that_fits_to_the_byte_is_taken_whole() -> None:
    assert Outbox(Outbox.cost(ABC)).accept(ABC) == 3
    assert Outbox(Outbox.cost(ABC) - 1).accept(ABC) == 2


def test_a_frame_larger_than_the_whole_outbox_is_taken_where_it_is_alone() -> None:
    outbox = Outbox(100)
    assert outbox.accept([bytes(1000), b"b"]) == 1
    assert outbox.accept([b"b"]) == 0
    outbox.take(ROOMY)
    assert outbox.accept([b"b"]) == 0  # in flight, it still takes all the room
    outbox.acknowledge(1)
    assert outbox.accept([b"b"]) == 1


# -- what becomes of a frame


def test_what_was_in_flight_is_sent_again_whole_and_before_what_is_newer() -> None:
    outbox = filled(*ABC)
    assert outbox.take(2 * FRAME_COST) == [b"a", b"b"]
    outbox.acknowledge(1)
    assert outbox.rewind() == 1
    assert outbox.take(ROOMY) == [b"b", b"c"]
    assert outbox.stats().resent == 1


def test_with_nothing_in_flight_a_lost_connection_sends_nothing_again() -> None:
    outbox = filled(*ABC)
    assert outbox.rewind() == 0
    assert outbox.take(ROOMY) == ABC
    assert outbox.stats().resent == 0


def test_a_frame_set_aside_is_neither_delivered_nor_in_the_way() -> None:
    outbox = filled(*ABC)
    outbox.take(ROOMY)
    outbox.acknowledge(1)
    assert outbox.set_aside(3, "why", 7.0) == Aside(3, b"c", "why", 7.0)
    outbox.rewind()
    assert outbox.take(ROOMY) == [b"b"]
    stats = outbox.stats()
    assert (stats.acknowledged, stats.set_aside, stats.waiting) == (1, 1, 1)
    assert stats.conserved()


def test_what_is_abandoned_is_counted_in_flight_or_not() -> None:
    outbox = filled(*ABC)
    outbox.take(1)
    assert outbox.abandon() == 3
    assert (len(outbox), outbox.size, outbox.sendable) == (0, 0, False)
    assert outbox.stats().abandoned == 3
    assert outbox.stats().conserved()


def test_more_than_is_in_flight_cannot_be_acknowledged() -> None:
    with pytest.raises(IndexError):
        filled(*ABC).acknowledge(1)


# -- numbers, ages, attempts


def test_numbers_ascend_in_the_order_of_sending_and_are_never_used_again() -> None:
    outbox = filled(*ABC)
    assert (outbox.first, outbox.last) == (1, 3)
    outbox.take(ROOMY)
    assert outbox.acknowledge(2) == 2
    outbox.accept([b"d"])
    assert [outbox.seq_of(0), outbox.seq_of(1), outbox.last] == [3, 4, 4]
    outbox.abandon()
    outbox.accept([b"e"])
    assert outbox.first == 5


def test_frames_from_the_disk_keep_the_numbers_they_have_there() -> None:
    outbox = filled(b"a")
    outbox.add([b"x", b"y"], 7, since=1.0)
    assert [outbox.seq_of(index) for index in range(3)] == [1, 7, 8]
    outbox.take(ROOMY)
    assert outbox.acknowledge(2) == 7


def test_an_answer_may_come_out_of_turn() -> None:
    outbox = filled(*ABC)
    outbox.take(ROOMY)
    outbox.answered(2)
    outbox.rewind()
    assert outbox.take(ROOMY) == [b"a", b"c"]
    assert [outbox.seq_of(0), outbox.seq_of(1)] == [1, 3]
    assert outbox.acknowledge(2) == 3


def test_the_age_is_that_of_the_oldest_frame_in_flight_or_not() -> None:
    outbox = Outbox(ROOMY)
    assert outbox.oldest is None
    outbox.accept([b"a"], 10.0)
    outbox.accept([b"b"], 20.0)
    outbox.take(1)
    assert (outbox.oldest, outbox.next_since) == (10.0, 20.0)
    assert outbox.stats(25.0).oldest == 15.0


def test_frames_of_the_same_moment_share_a_note_of_when() -> None:
    """One a millisecond, for hours: the notes must not cost more than the frames."""
    outbox = Outbox(ROOMY)
    for number in range(100):
        outbox.accept([b"x"], number * GRAIN / 10)
    assert len(outbox._spans) <= 10


def test_too_old_are_those_that_wait_never_those_in_flight() -> None:
    outbox = Outbox(ROOMY)
    for number, frame in enumerate([b"a", b"b", b"c", b"d"]):
        outbox.accept([frame], float(number))
    outbox.take(1)
    assert outbox.expire(2.0) == [(2, 3)]
    outbox.rewind()
    assert outbox.take(ROOMY) == [b"a", b"d"]
    assert outbox.counters.expired == 2


def test_the_oldest_make_room_and_no_more_of_them_than_needed() -> None:
    outbox = filled(bytes(36), bytes(36), bytes(36))
    assert outbox.drop_oldest(100) == [(1, 1)]
    assert outbox.drop_oldest(0) == []
    outbox.take(1)
    assert outbox.drop_oldest(1000) == [(3, 3)], "in flight is not in the way"
    assert (outbox.counters.dropped, len(outbox)) == (2, 1)


def test_neighbours_that_go_are_named_together_whenever_they_came() -> None:
    """Each is a request to the disk: an hour's frames must not be a million of them."""
    outbox = Outbox(ROOMY)
    for number in range(5):
        outbox.accept([b"x"], 100.0 * number)
    outbox.add([b"y", b"z"], 9, 500.0)
    assert outbox.expire(1000.0) == [(1, 5), (9, 10)]


def test_what_was_dropped_before_it_was_sent_again_is_not_counted_as_sent_again() -> None:
    outbox = filled(*ABC)
    outbox.take(ROOMY)
    outbox.rewind()
    outbox.drop_oldest(1)
    outbox.accept([b"d"])
    assert outbox.take(ROOMY) == [b"b", b"c", b"d"]
    assert (outbox.counters.sent, outbox.counters.resent) == (6, 2)


def test_what_could_not_be_sent_was_not_sent() -> None:
    outbox = filled(*ABC)
    outbox.take(ROOMY)
    outbox.rewind()
    outbox.take(ROOMY)
    outbox.give_back(3)
    assert (outbox.counters.sent, outbox.counters.resent) == (3, 0)
    outbox.take(ROOMY)
    assert (outbox.counters.sent, outbox.counters.resent) == (6, 3)


def test_attempts_are_counted_by_frame_and_forgotten_with_it() -> None:
    outbox = filled(*ABC, b"d")
    assert [outbox.attempted(1), outbox.attempted(1), outbox.attempted(2, 5)] == [1, 2, 5]
    for seq in (3, 4):
        outbox.attempted(seq)
    outbox.take(2 * FRAME_COST)
    outbox.acknowledge(1)
    outbox.answered(2)
    outbox.drop_oldest(1)
    assert outbox._attempts == {4: 1}
    outbox.abandon()
    assert outbox._attempts == {}


def test_what_is_set_aside_still_takes_its_room_unless_it_is_kept_elsewhere() -> None:
    outbox = filled(*ABC)
    outbox.take(ROOMY)
    outbox.set_aside(1, "why", 0.0, keep=False)
    assert outbox.size == Outbox.cost([b"b", b"c"])
    outbox.set_aside(2, "why", 0.0)
    assert outbox.size == Outbox.cost([b"b", b"c"])
    assert outbox.stats().waiting_bytes == Outbox.cost([b"c"])
    outbox.abandon()
    assert (outbox.size, [aside.seq for aside in outbox.aside]) == (Outbox.cost([b"b"]), [2])


# -- the law of conservation


def snapshot(**counts: int) -> OutboxStats:
    """A snapshot with zeros for what is not named."""
    zeros = {field.name: 0 for field in attrs.fields(OutboxStats)}
    return OutboxStats(**zeros | counts)  # type: ignore[arg-type]


PLACES = ["acknowledged", "waiting", "expired", "dropped", "set_aside", "abandoned"]


def test_the_law_holds_when_each_frame_is_in_one_place() -> None:
    assert snapshot(
        offered=13,
        accepted=7,
        refused=2,
        undecided=4,
        restored=5,
        **dict.fromkeys(PLACES, 2),
        sent=9,
    ).conserved()


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("origin", [{"offered": 1, "accepted": 1}, {"restored": 1}])
def test_the_law_notices_a_frame_too_many_in_any_place(place: str, origin: dict[str, int]) -> None:
    assert snapshot(**origin, **{place: 1}).conserved()
    assert not snapshot(**origin, **{place: 2}).conserved()
    assert not snapshot(**origin).conserved()


@pytest.mark.parametrize("answer", ["refused", "undecided"])
def test_the_law_notices_a_frame_that_got_no_answer_or_two(answer: str) -> None:
    assert snapshot(offered=1, **{answer: 1}).conserved()
    assert not snapshot(offered=1).conserved()
    assert not snapshot(offered=1, **{answer: 2}).conserved()


def test_a_snapshot_stays_what_it_was() -> None:
    outbox = filled(*ABC)
    stats = outbox.stats()
    outbox.abandon()
    assert stats.waiting == 3
    assert stats.waiting_bytes == Outbox.cost(ABC)
    with pytest.raises(FrozenInstanceError):
        stats.waiting = 0  # type: ignore[misc]


FRAMES = st.lists(st.binary(max_size=120), max_size=8)


@attrs.define
class Frame:
    """What the model knows of a frame."""

    seq: int
    content: bytes
    since: float
    sent: int = 0
    attempts: int = 0


class Life(RuleBasedStateMachine):
    """An outbox under every order of events, beside a model of plain lists."""

    LIMIT = 600

    def __init__(self) -> None:
        super().__init__()
        self.outbox = Outbox(self.LIMIT)
        self.waiting: deque[Frame] = deque()
        self.flight: deque[Frame] = deque()
        self.aside: list[Frame] = []
        self.settled = 0
        self.accepted = 0
        self.sent = 0
        self.resent = 0
        self.now = 0.0
        self.last = 0

    @rule(seconds=st.sampled_from([0.001, 1.0, 60.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(frames=FRAMES, kind=st.sampled_from([list, tuple]))
    def offer(self, frames: list[bytes], kind: type[Sequence[bytes]]) -> None:
        """As a link does it whose waiting room is full: what is not taken is refused."""
        taken = self.outbox.accept(kind(frames), self.now)  # type: ignore[call-arg]
        self.outbox.counters.offered += len(frames)
        self.outbox.counters.refused += len(frames) - taken
        was_empty = not self.all
        size = self.outbox.size
        self.enter(frames[:taken])
        self.accepted += taken
        if taken < len(frames):
            assert size + Outbox.cost(frames[taken : taken + 1]) > self.LIMIT, "there was room"
            assert taken or not was_empty, "an empty outbox takes at least one"

    def enter(self, frames: list[bytes]) -> None:
        for content in frames:
            self.last += 1
            self.waiting.append(Frame(self.last, content, self.now))

    @rule(frames=FRAMES.filter(bool), gap=st.integers(0, 3))
    def added_from_the_spool(self, frames: list[bytes], gap: int) -> None:
        """Their numbers ascend, with gaps; one that is past the limit comes in all the same."""
        if self.outbox.size + Outbox.cost(frames) > self.LIMIT:
            return
        self.last += gap
        self.outbox.add(frames, self.last + 1, self.now)
        self.outbox.counters.restored += len(frames)
        self.enter(frames)

    @rule(most=st.integers(1, 500))
    def take(self, most: int) -> None:
        taken = self.outbox.take(most)
        frames = [self.waiting.popleft() for _ in taken]
        assert taken == [frame.content for frame in frames]
        for frame in frames:
            self.sent += 1
            self.resent += frame.sent > 0
            frame.sent += 1
        self.flight.extend(frames)
        assert taken or not self.waiting
        assert Outbox.cost(taken[:-1]) < most, "the last frame was one too many"
        assert Outbox.cost(taken) >= most or not self.waiting, "one more would have been due"

    @rule(most=st.integers(1, 500))
    def cannot_be_sent_after_all(self, most: int) -> None:
        """Taken, and given back whole: as if nothing had been."""
        count = len(self.outbox.take(most))
        self.outbox.give_back(count)

    @precondition(lambda self: self.flight)
    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        count = data.draw(st.integers(1, len(self.flight)))
        upto = self.outbox.acknowledge(count)
        assert upto == self.flight[count - 1].seq
        for _ in range(count):
            self.flight.popleft()
        self.settled += count

    @precondition(lambda self: self.flight)
    @rule(data=st.data())
    def answered_out_of_turn(self, data: st.DataObject) -> None:
        index = data.draw(st.integers(0, len(self.flight) - 1))
        self.outbox.answered(self.flight[index].seq)
        del self.flight[index]
        self.settled += 1

    @precondition(lambda self: self.flight)
    @rule(data=st.data(), keep=st.booleans())
    def set_aside(self, data: st.DataObject, keep: bool) -> None:
        index = data.draw(st.integers(0, len(self.flight) - 1))
        frame = self.flight[index]
        aside = self.outbox.set_aside(frame.seq, "why", self.now, keep)
        assert aside == Aside(frame.seq, frame.content, "why", self.now)
        del self.flight[index]
        if keep:
            self.aside.append(frame)
        self.settled += 1

    @rule()
    def lose(self) -> None:
        assert self.outbox.rewind() == len(self.flight)
        self.waiting.extendleft(reversed(self.flight))
        self.flight.clear()

    @precondition(lambda self: self.all)
    @rule(data=st.data())
    def sent_in_vain(self, data: st.DataObject) -> None:
        frame = data.draw(st.sampled_from(self.all))
        frame.attempts += 1
        assert self.outbox.attempted(frame.seq) == frame.attempts

    @rule(age=st.sampled_from([0.0, 1.0, 61.0]))
    def expire(self, age: float) -> None:
        ranges = self.outbox.expire(self.now - age)
        gone = self.forget(lambda frame: frame.since <= self.now - age)
        # Frames accepted within GRAIN share a time, so a few more may go, never fewer.
        count = sum(last - first + 1 for first, last in ranges)
        more = [self.waiting.popleft() for _ in range(count - len(gone))]
        assert all(frame.since <= self.now - age + GRAIN for frame in more)
        assert numbers(ranges) == [frame.seq for frame in [*gone, *more]]
        self.settled += count

    @rule(size=st.integers(-10, 700))
    def drop_oldest(self, size: int) -> None:
        ranges = self.outbox.drop_oldest(size)
        freed = 0
        gone = []
        while freed < size and self.waiting:
            gone.append(self.waiting.popleft())
            freed += len(gone[-1].content) + FRAME_COST
        assert numbers(ranges) == [frame.seq for frame in gone]
        self.settled += len(gone)

    def forget(self, old: Callable[[Frame], bool]) -> list[Frame]:
        gone = []
        while self.waiting and old(self.waiting[0]):
            gone.append(self.waiting.popleft())
        return gone

    @rule()
    def abandon(self) -> None:
        count = len(self.all)
        assert self.outbox.abandon() == count
        self.settled += count
        self.waiting.clear()
        self.flight.clear()

    @property
    def all(self) -> list[Frame]:
        return [*self.flight, *self.waiting]

    @invariant()
    def every_frame_is_accounted_for(self) -> None:
        stats = self.outbox.stats(self.now)
        assert stats.conserved()
        assert stats.accepted == self.accepted
        assert stats.waiting == len(self.all)
        assert (stats.sent, stats.resent) == (self.sent, self.resent)
        settled = stats.acknowledged + stats.set_aside + stats.abandoned
        assert settled + stats.expired + stats.dropped == self.settled

    @invariant()
    def every_frame_keeps_its_number_and_its_age(self) -> None:
        frames = self.all
        assert [self.outbox.seq_of(n) for n in range(len(frames))] == [f.seq for f in frames]
        if frames:
            assert self.outbox.first == frames[0].seq
            self.assertAge(self.outbox.oldest, frames[0])
        else:
            assert self.outbox.oldest is None
        if self.waiting:
            assert self.outbox.next == self.waiting[0].content
            self.assertAge(self.outbox.next_since, self.waiting[0])
        else:
            assert self.outbox.next_since is None

    def assertAge(self, since: float | None, frame: Frame) -> None:
        assert since is not None
        assert frame.since - GRAIN <= since <= frame.since

    @invariant()
    def the_size_is_that_of_the_frames_and_bounded(self) -> None:
        frames = [frame.content for frame in self.all]
        aside = Outbox.cost([frame.content for frame in self.aside])
        assert self.outbox.stats().waiting_bytes == Outbox.cost(frames)
        assert self.outbox.size == Outbox.cost(frames) + aside
        assert self.outbox.size <= self.LIMIT or len(frames) <= 1
        assert self.outbox.sendable == bool(self.waiting)
        assert (len(self.outbox), self.outbox.in_flight) == (len(frames), len(self.flight))

    def teardown(self) -> None:
        """What is left comes out in the order it went in."""
        self.outbox.rewind()
        assert self.outbox.take(ROOMY) == [frame.content for frame in self.all]


def numbers(ranges: Ranges) -> list[int]:
    """Each number in them."""
    return [seq for first, last in ranges for seq in range(first, last + 1)]


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=40, stateful_step_count=40)


class AsTheLinkKeepsIt(SynchronousTestCase):
    """The law is about the link's own counters: it holds in `stats()` at any moment."""

    def link(self, room: int) -> ReconnectingFactory:
        return ReconnectingFactory(framing=framing.lines(), outboxBytes=room, clock=Clock())

    def assertConserved(self, link: ReconnectingFactory, undecided: int = 0) -> None:
        stats = link.stats().outbox
        self.assertTrue(stats.conserved(), stats)
        self.assertEqual(stats.undecided, undecided)

    def test_when_all_was_accepted(self) -> None:
        link = self.link(ROOMY)
        self.successResultOf(link.send(ABC))
        self.assertConserved(link)

    def test_when_a_frame_cannot_be_carried(self) -> None:
        link = self.link(ROOMY)
        self.failureResultOf(link.send([b"two\nlines"]))
        self.assertConserved(link)

    def test_when_the_waiting_room_is_full_too(self) -> None:
        link = self.link(100)
        self.successResultOf(link.send([bytes(30)]))
        self.failureResultOf(link.send([bytes(30)] * 2), OutboxFull)
        self.assertConserved(link)

    def test_when_what_waited_for_room_was_withdrawn(self) -> None:
        link = self.link(100)
        self.successResultOf(link.send([bytes(30)]))
        waiting = link.send([bytes(30)])
        waiting.cancel()
        self.failureResultOf(waiting)
        self.assertConserved(link)

    def test_when_the_link_has_stopped(self) -> None:
        link = self.link(100)
        self.successResultOf(link.send([bytes(30)]))
        waiting = link.send([bytes(30)])
        self.successResultOf(link.stop())
        self.failureResultOf(waiting)
        self.assertConserved(link)

    def test_while_a_batch_waits_for_room(self) -> None:
        link = self.link(100)
        self.successResultOf(link.send([bytes(30)]))
        self.assertNoResult(link.send([bytes(30)]))
        self.assertConserved(link, undecided=1)
