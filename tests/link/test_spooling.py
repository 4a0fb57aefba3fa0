"""An outbox on disk: the oldest frames in memory, the rest behind them, none lost or doubled."""

from __future__ import annotations

import shutil
import tempfile
import threading
from pathlib import Path
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase, TestCase

from nbclient.delivery.outbox import FRAME_COST, Outbox
from nbclient.link.spooling import RELOAD, Spooling, open_spool
from nbclient.spool.folder import Lock, SpoolInUse, make_folder
from nbclient.spool.spool import SpoolOfAnotherPeer
from tests.conformance.spools import Disks, FakeSpool

reactor: Any = _reactor
HUNDRED = 100 - FRAME_COST


def frame(number: int) -> bytes:
    """Frames that cost 100 bytes each."""
    return b"%0*d" % (HUNDRED, number)


def frames(first: int, last: int) -> list[bytes]:
    return [frame(number) for number in range(first, last + 1)]


class SpoolingTests(SynchronousTestCase):
    """Ten frames fit into memory."""

    wall = 1_000_000.0

    def spooling(self, spool: Any, now: float = 50.0) -> Spooling:
        self.spool = spool
        self.outbox = Outbox(1000)
        self.changes = 0
        self.clock = Clock()
        self.told: list[Exception | None] = []
        self.of = Spooling(spool, self.outbox, self.changed, lambda: now, lambda: self.wall)
        self.of.begin(self.clock)
        return self.of

    def changed(self) -> None:
        self.changes += 1

    def append(self, batch: list[bytes]) -> None:
        self.of.append(batch, None, self.told.append)

    def deliver(self, count: int) -> list[bytes]:
        """Send so many of those in memory, and have them acknowledged."""
        taken = [each for _ in range(count) for each in self.outbox.take(1)]
        self.of.acknowledged(self.outbox.acknowledge(count))
        self.of.refill()
        return taken

    def everything(self) -> list[bytes]:
        """All that comes out, in the order in which it does."""
        found: list[bytes] = []
        while self.outbox or self.of.behind:
            while self.outbox.sendable:
                found += self.deliver(1)
            self.of.refill()
            self.spool.run()
        return found

    # -- in

    def test_what_is_stored_is_in_memory_and_waits_there(self) -> None:
        self.spooling(FakeSpool())
        self.append(frames(1, 2))
        self.assertEqual((len(self.outbox), self.of.pending, self.of.idle), (0, 1, False))
        self.spool.step()
        self.assertEqual(self.told, [None])
        self.assertEqual((len(self.outbox), self.of.pending, self.of.idle), (2, 0, True))
        self.assertEqual(self.changes, 1)

    def test_what_is_not_stored_is_nowhere(self) -> None:
        self.spooling(FakeSpool())
        self.append(frames(1, 2))
        self.spool.failing = 1
        self.spool.step()
        self.assertIn("full", str(self.told[0]))
        self.assertEqual((len(self.outbox), self.of.behind, self.of.pending), (0, 0, 0))

    def test_nothing_stored_is_nothing_in_memory(self) -> None:
        """A cursor that moved without frames."""
        self.spooling(FakeSpool())
        self.append([])
        self.spool.step()
        self.assertEqual((self.told, self.of.idle), ([None], True))

    def test_what_memory_has_no_room_for_stays_behind_and_so_does_all_after_it(self) -> None:
        self.spooling(FakeSpool())
        for batch in (frames(1, 8), frames(9, 11), [frame(12)]):
            self.append(batch)
        self.spool.run()
        self.assertEqual((len(self.outbox), self.of.behind, self.of.behind_size), (8, 4, 400))
        self.assertEqual(self.everything(), frames(1, 12))

    def test_a_batch_larger_than_memory_is_taken_where_memory_is_empty(self) -> None:
        self.spooling(FakeSpool())
        self.append(frames(1, 15))
        self.spool.run()
        self.assertEqual((len(self.outbox), self.of.behind), (15, 0))

    # -- read back

    def test_frames_are_read_once_half_of_memory_is_free(self) -> None:
        self.spooling(FakeSpool())
        for first in range(1, 31, 10):
            self.append(frames(first, first + 9))
        self.spool.run()
        self.deliver(4)
        self.assertNotIn("load", self.spool.asked)
        self.deliver(1)
        self.assertIn("load", self.spool.asked)
        self.spool.run()
        self.assertEqual((len(self.outbox), self.of.behind), (10, 15))
        self.assertEqual(self.everything(), frames(6, 30))

    def test_what_is_stored_while_others_are_read_is_neither_lost_nor_doubled(self) -> None:
        """Before the reading, after it, and in between."""
        self.spooling(FakeSpool())
        self.append(frames(1, 10))
        self.append(frames(11, 12))
        self.spool.run()
        self.append([frame(13)])
        self.deliver(10)
        self.append([frame(14)])
        self.assertEqual(self.spool.asked, ["append", "drop", "load", "append"])
        self.spool.step()
        self.assertEqual((len(self.outbox), self.of.behind), (3, 0))
        self.append([frame(15)])
        self.spool.run()
        self.assertEqual(self.everything(), frames(11, 15))
        self.assertEqual((self.of.behind, self.of.behind_size), (0, 0))

    def test_two_readings_are_never_under_way_at_once(self) -> None:
        self.spooling(FakeSpool(frames=frames(1, 30)))
        self.of.refill()
        self.assertEqual(self.spool.asked, ["load"])

    def test_what_cannot_be_read_is_asked_for_again_later(self) -> None:
        self.spooling(FakeSpool(frames=frames(1, 3)))
        self.spool.failing = 1
        with capturedLogs() as logged:
            self.spool.step()
        self.assertIn("full", logged[0]["why"])
        self.of.refill()
        self.assertEqual(self.spool.asked, [])
        self.clock.advance(RELOAD)
        self.assertEqual(self.spool.asked, ["load"])
        self.spool.run()
        self.assertEqual(self.everything(), frames(1, 3))

    # -- from before

    def test_a_restart_carries_on_where_it_stopped(self) -> None:
        spool = FakeSpool(frames=frames(1, 25), now=lambda: self.wall, ages=[30.0, 20.0])
        spool.attempted(1, 1)
        spool.attempted(1, 1)
        spool.run()
        self.spooling(spool)
        self.assertEqual((self.outbox.counters.restored, self.of.behind), (25, 25))
        self.assertEqual((self.of.oldest_age, self.of.room), (30.0, self.spool.room))
        self.spool.run()
        self.assertEqual(self.outbox.oldest, 20.0)
        self.assertEqual(self.outbox.stats(50.0).oldest, 30.0)
        self.assertEqual(self.outbox.attempted(1), 3)
        self.assertEqual(self.everything(), frames(1, 25))

    def test_a_time_of_day_that_was_set_back_makes_nothing_younger_than_now(self) -> None:
        self.spooling(FakeSpool(frames=frames(1, 1), now=lambda: self.wall + 3600))
        self.spool.run()
        self.assertEqual(self.outbox.oldest, 50.0)

    # -- out

    def test_what_is_delivered_is_forgotten_and_in_one_go(self) -> None:
        """While the disk is at one, the next are gathered."""
        self.spooling(FakeSpool(frames=frames(1, 10)))
        self.spool.run()
        for _ in range(4):
            self.deliver(1)
        self.assertEqual(self.spool.asked, ["drop"])
        self.spool.step()
        self.assertEqual(self.spool.asked, ["drop"])
        self.spool.run()
        self.assertEqual(sorted(self.spool.rows), [5, 6, 7, 8, 9, 10])

    def test_what_was_delivered_and_is_on_the_disk_still_is_room_to_come(self) -> None:
        self.spooling(FakeSpool(frames=frames(1, 20)))
        self.spool.run()
        self.assertEqual(self.of.freeing, 0)
        self.deliver(3)
        self.assertEqual(self.of.freeing, 300)
        self.spool.run()
        self.assertEqual(self.of.freeing, 0)

    def test_frames_that_are_not_to_be_sent_are_forgotten(self) -> None:
        self.spooling(FakeSpool(frames=frames(1, 10)))
        self.spool.run()
        changes = self.changes
        self.of.forget(self.outbox.drop_oldest(200))
        self.outbox.take(300)
        self.outbox.answered(4)
        self.of.forget([(4, 4)])
        self.of.set_aside(self.outbox.set_aside(5, "why", 0.0, keep=False).seq, "why")
        self.of.attempted(3)
        self.spool.run()
        self.assertEqual(sorted(self.spool.rows), [3, 6, 7, 8, 9, 10])
        self.assertEqual(self.spool.rows[3].attempts, 1)
        self.assertEqual([why for _, why in self.spool.aside.values()], ["why"])
        self.assertEqual(self.changes - changes, 3)
        self.of.forget([])

    # -- the end

    def test_after_the_end_nothing_is_asked_of_a_spool_that_may_be_closed(self) -> None:
        """The word of its last commit still comes."""
        self.spooling(FakeSpool(frames=frames(1, 30)))
        self.spool.run()
        self.deliver(3)
        self.outbox.take(300)
        self.of.acknowledged(self.outbox.acknowledge(3))
        self.of.stop()
        self.spool.close()
        self.spool.run()
        self.of.refill()
        self.assertEqual(self.spool.totals.waiting, 24)

    def test_at_the_end_what_was_delivered_is_noted_and_no_timer_left(self) -> None:
        self.spooling(FakeSpool(frames=frames(1, 3)))
        self.spool.failing = 1
        with capturedLogs():
            self.spool.step()
        self.of.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_what_cannot_be_read_after_the_end_is_not_asked_for_again(self) -> None:
        self.spooling(FakeSpool(frames=frames(1, 3)))
        self.of.stop()
        self.spool.failing = 1
        with capturedLogs():
            self.spool.step()
        self.assertEqual((self.clock.getDelayedCalls(), self.spool.asked), ([], []))

    def test_another_beginning_goes_on(self) -> None:
        self.spooling(FakeSpool(frames=frames(1, 3)))
        self.of.stop()
        self.of.begin(self.clock)
        self.of.refill()
        self.spool.run()
        self.assertEqual(self.everything(), frames(1, 3))


class RealSpoolTests(SpoolingTests):
    """The same disk side as in earnest: what holds for the stand-in holds for it."""

    def setUp(self) -> None:
        folder = tempfile.mkdtemp(prefix="nbclient-")
        self.addCleanup(shutil.rmtree, folder)
        self.disks = Disks(folder, lambda: self.wall)

    def spooling(self, spool: Any, now: float = 50.0) -> Spooling:
        """The stand-in's frames and figures on a real one."""
        real = self.disks.open(limit=spool.limit)
        self.addCleanup(real.close)
        wall = self.wall
        for row in spool.rows.values():
            self.wall = row.stored
            real.append([row.frame], lambda _: None)
            for _ in range(row.attempts):
                real.attempted(row.seq, row.seq)
        self.wall = wall
        real.step()
        spooling = super().spooling(_Stepped(real, self.disks), now)
        self.addCleanup(spooling.stop)  # before the spool is closed
        return spooling

    def test_nothing_is_read_past_what_failed_until_its_own_reader_was_told(self) -> None:
        """Another's word of the same failed commit comes first, and makes room for who waited."""
        spool = self.disks.open()
        self.addCleanup(spool.close)
        told: list[tuple[str, bool]] = []

        def note(name: str) -> Any:
            return lambda error: told.append((name, error is None))

        def first(error: Exception | None) -> None:
            note("first")(error)
            spool.append([b"c"], note("behind"), ("file", "3"))

        def again(error: Exception | None) -> None:
            note("second")(error)
            spool.append([b"b"], note("again"), ("file", "2"))

        spool.append([b"a"], first)
        spool.append([b"b"], again, ("file", "2"))
        self.disks.failing["COMMIT"] = 1
        spool.step()
        spool.step()
        outcome = [("first", False), ("second", False), ("behind", False), ("again", True)]
        self.assertEqual(told, outcome)
        self.assertEqual(spool.cursors, {"file": "2"})


class _Stepped:
    """A real spool with what the tests above ask of the stand-in."""

    def __init__(self, spool: Any, disks: Disks) -> None:
        self._spool = spool
        self._disks = disks

    def __getattr__(self, name: str) -> Any:
        return getattr(self._spool, name)

    @property
    def asked(self) -> list[str]:
        kinds = {"_Load": "load"}
        return [
            kinds.get(type(each).__name__) or ("append" if each.adds else "drop")
            for each in self._spool._queue
        ]

    @property
    def rows(self) -> dict[int, Any]:
        return {row.seq: row for row in self._spool._store.load(0, 10**9)}

    @property
    def aside(self) -> dict[int, tuple[Any, str]]:
        return {row.seq: (row, row.reason) for row in self._spool._store.load_aside(0, 10**9)}

    def _fail(self, count: int) -> None:
        self._disks.failing.update({"COMMIT": count, "SELECT seq, frame": count})

    failing = property(None, _fail)

    def run(self) -> None:
        while self._spool._queue:
            self._spool.step()


class OpeningTests(TestCase):
    """In a thread, so that waiting for the last owner holds up nobody."""

    timeout = 10

    def setUp(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="nbclient-")
        self.addCleanup(shutil.rmtree, self.folder)

    def open(self, **options: Any) -> Deferred[Any]:
        return open_spool(reactor, self.folder, "feed", "peer:1", **options)

    async def closed(self, spool: Any) -> None:
        done: Deferred[None] = Deferred()
        spool.close(done.callback)
        await done
        self.assertTrue(spool.join(5))

    async def test_it_is_opened_and_started_and_calls_back_on_the_reactors_thread(self) -> None:
        spool = await self.open()
        stored: Deferred[Any] = Deferred()
        spool.append([b"a"], lambda error: stored.callback((error, threading.current_thread())))
        self.assertEqual(await stored, (None, threading.current_thread()))
        await self.closed(spool)

    async def test_why_it_cannot_be_used_is_told(self) -> None:
        spool = await self.open()
        await self.assertFailure(self.open(wait=0.0), SpoolInUse)
        stored: Deferred[Any] = Deferred()
        spool.append([b"a"], stored.callback)
        await stored
        await self.closed(spool)
        other = open_spool(reactor, self.folder, "feed", "peer:2")
        await self.assertFailure(other, SpoolOfAnotherPeer)
        adopted = await open_spool(reactor, self.folder, "feed", "peer:2", adopt=True)
        await self.closed(adopted)

    async def test_waiting_for_the_last_owner_can_be_given_up(self) -> None:
        lock = Lock.take(make_folder(Path(self.folder), "feed"), 0)
        opening = self.open(wait=60.0)
        opening.cancel()
        await self.assertFailure(opening, CancelledError)
        lock.release()

    async def test_one_that_was_opened_too_late_is_closed_again(self) -> None:
        pool = Pool()
        opening = open_spool(pool, self.folder, "feed", "peer:1")
        opening.cancel()
        await self.assertFailure(opening, CancelledError)
        pool.work()  # the lock was free: nobody had to wait
        spool = await self.open()  # waits until that one is closed
        await self.closed(spool)


class Pool:
    """A reactor whose one thread works when it is told to."""

    def __init__(self) -> None:
        self.work: Any = None

    def getThreadPool(self) -> Pool:
        return self

    def callFromThread(self, call: Any, *arguments: Any) -> None:
        call(*arguments)

    def callInThreadWithCallback(self, done: Any, call: Any, *arguments: Any) -> None:
        self.work = lambda: done(True, call(*arguments))
