"""Simulate a link's whole life under faults, on a clock of its own, from a seed.

    python tools/simulate.py [--seeds N] [--first SEED] [--jobs N] [--trace]

Each seed is one life: a link (outbox, spool, ledger, states, back-off, factory,
all of them the real ones; the spool's thread is stepped by hand) to a server
over the fake transport of `nbclient.testing`. The seed decides the level of
delivery, every option that matters to it, and what happens when: frames offered
and withdrawn; the server stalls, reads, answers, rejects, resets, closes, dies
with frames unread; the disk fills up, fails to commit, fails to read; the
application holds back reading; the link is stopped and started, and the process
dies and comes back on the same spool. Then the faults stop.

What has to hold, else the seed and what happened are printed:

- conservation, after every step;
- frames arrive whole; on each connection in order and none twice; over all
  connections each for the first time in order;
- nothing older than `maxAge` is sent;
- an input's cursor is never stored before frames that were read before it;
- once the faults have stopped, everything is delivered, and everybody told;
- then every frame accepted was processed by the server, or given up by a rule
  that allows it, or is among those that the level says may be lost: at `reply`
  none; at `tcp` what the server's kernel had acknowledged and its application
  had not read when it died; at `written` what was on a connection that ended so.

Exit status: 0 all held, 1 one did not.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import re
import sys
import tempfile
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, cast
from unittest import mock

from attrs import define, field, frozen

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import sqlite3  # noqa: E402

from twisted.internet.defer import Deferred  # noqa: E402
from twisted.logger import LogLevel, globalLogPublisher  # noqa: E402
from twisted.python.failure import Failure  # noqa: E402

from nbclient import Backoff, FrameProtocol, ReconnectingFactory, State, framing  # noqa: E402
from nbclient.delivery.ledger import Ledger  # noqa: E402
from nbclient.delivery.outbox import FRAME_COST, GRAIN, Aside, Outbox, OutboxStats  # noqa: E402
from nbclient.delivery.replies import Reply  # noqa: E402
from nbclient.link import factory as factory_module  # noqa: E402
from nbclient.spool.spool import Spool, SpoolFailed  # noqa: E402
from nbclient.testing import FakeEndpoint, FakeReactor, Peer  # noqa: E402

STEPS = 300
"""Things that happen in one life while there are faults."""

PATIENCE = 900.0
"""Seconds of the simulated clock within which everything must be delivered afterwards."""

EPOCH = 1_000_000_000.0
SHOWN = 80
"""Events printed of a life that failed."""

FAST = "/dev/shm"
"""Where the spools are, if it is there: a disk would only make it slow."""


class Broken(AssertionError):
    """Something that has to hold did not."""


# -- frames ----------------------------------------------------------------------------


def content(number: int, size: int) -> bytes:
    """The frame of this number; its size is in it, so that a part can be told from the whole."""
    return b"%d:%d:" % (number, size) + bytes([97 + number % 26]) * size


def number_of(frame: bytes) -> int:
    """The number of a frame.

    :raises Broken: it is not whole.
    """
    number, size = frame.split(b":")[:2]
    if frame != content(int(number), int(size)):
        raise Broken(f"a frame in part: {frame[:60]!r}")
    return int(number)


# -- what the seed decides ----------------------------------------------------------------


@frozen
class Plan:
    """The options of one life."""

    level: str
    spooled: bool
    when_full: str
    max_age: float | None
    max_attempts: int | None
    on_reject: str
    window: int
    keyed: bool
    matched: bool
    timeout: float | None
    gap: float
    outbox_bytes: int
    spool_bytes: int
    faulty: float  # of the frames, how many the server rejects or dies of
    settle_after: float = 0.0

    @classmethod
    def draw(cls, rng: random.Random) -> Plan:
        level = rng.choice(["written", "tcp", "tcp", "reply", "reply"])
        on_reject = rng.choice(["stop", "retry", "set-aside"])
        return cls(
            level=level,
            spooled=rng.random() < 0.6,
            when_full=rng.choice(["wait", "wait", "refuse", "drop-oldest"]),
            max_age=rng.choice([None, None, 4.0, 30.0]),
            max_attempts=rng.choice([None, 1, 2, 4]),
            on_reject=on_reject,
            window=rng.choice([1, 1, 2, 5]),
            keyed=rng.random() < 0.5,
            matched=rng.random() < 0.7,
            timeout=rng.choice([3.0, 3.0, 10.0]),
            gap=rng.choice([0.0, 0.0, 0.0, 0.1]),
            outbox_bytes=rng.choice([800, 2000, 8000]),
            spool_bytes=rng.choice([2000, 6000, 60_000]),
            faulty=rng.choice([0.0, 0.0, 0.03]),
            settle_after=0.0 if level == "reply" else rng.choice([0.0, 0.0, 1.0]),
        )

    def reply(self) -> Reply | None:
        if self.level != "reply":
            return None
        return Reply(
            match=re.compile(rb"^ok ") if self.matched else None,
            reject=re.compile(rb"^no "),
            key=re.compile(rb"(\d+):") if self.keyed else None,
            window=self.window,
            timeout=self.timeout,
        )


# -- the server ---------------------------------------------------------------------------


class Served:
    """The server's side of one connection.

    :ivar acked: bytes that its kernel has acknowledged.
    :ivar unread: frames whole in its kernel that its application has not read, and
        where on the wire each ends.
    :ivar dead: the server, or the connection, is gone: it reads no more.
    """

    def __init__(self, world: World, peer: Peer) -> None:
        self.world = world
        self.peer = peer
        self.acked = 0
        self.handed: set[int] = set()
        self.unread: deque[tuple[int, int]] = deque()
        self.unanswered: list[int] = []
        self.dead = False
        self._parsed = 0
        self._newest = 0
        peer.onReceived = lambda _: self._took()

    def _took(self) -> None:
        received = self.peer.received
        while (end := received.find(b"\n", self._parsed)) >= 0:
            number = number_of(received[self._parsed : end])
            self._parsed = end + 1
            if number <= self._newest:
                raise Broken(f"frame {number} came after {self._newest} on one connection")
            self._newest = number
            self.world.arrived(number)
            self.unread.append((number, end + 1))

    def acknowledge(self, most: int | None = None) -> None:
        """The kernel acknowledges so many bytes more of what it has."""
        if not self.dead:
            left = len(self.peer.received) - self.acked
            self.acked += left if most is None else min(left, most)

    def read(self, most: int) -> None:
        """The application reads frames, and processes them."""
        for _ in range(most):
            if self.dead or not self.unread:
                return
            number, _ = self.unread.popleft()
            self.acknowledge()  # what is read was acknowledged long ago
            if self.world.kills(number):
                self.world.say(f"the server dies of frame {number}")
                self.unread.appendleft((number, 0))
                self.die()
                return
            if self.world.plan.level == "reply":
                self.unanswered.append(number)
            else:
                self.world.processed.add(number)

    def answer(self, most: int, rng: random.Random) -> None:
        """Answer frames that were read; by key in any order."""
        plan = self.world.plan
        for _ in range(most):
            if self.dead or not self.unanswered or not self.peer.connected:
                return
            index = rng.randrange(len(self.unanswered)) if plan.keyed else 0
            number = self.unanswered.pop(index)
            if self.world.rejects(number):
                self.peer.send(b"no %d:\n" % number)
                continue
            self.world.processed.add(number)
            self.peer.send(b"ok %d:\n" % number)

    def die(self) -> None:
        """Reset; what was not read is lost."""
        if not self.dead:
            self.dead = True
            acked = {number for number, end in self.unread if end <= self.acked}
            if self.world.plan.level == "tcp":
                self.world.may_be_lost |= acked
            elif self.world.plan.level == "written":
                self.world.may_be_lost |= self.handed
            self.unread.clear()
            self.peer.reset()

    def ended(self) -> None:
        """The client's side is gone: what it had not sent is lost, as `written` allows."""
        if self.world.plan.level == "written":
            whole = self.peer.received.split(b"\n")[:-1]
            self.world.may_be_lost |= self.handed - set(map(number_of, whole))


class Kernel:
    """Stands for `nbclient.kernel.ack_tracker.Acknowledging`, and asks the simulated server."""

    world: World  # the one that lives now
    overtaken = False  # nothing here writes past the ledger

    def __init__(self, transport: Any, secure: bool) -> None:
        self.ledger = Ledger()
        self.probe = self
        self._served = next(s for s in self.world.served if s.peer is transport.peer)
        self._final: int | None = None

    def newly(self) -> int:
        acked = self._served.acked if self._final is None else self._final
        return self.ledger.acknowledged(acked)

    def seal(self) -> None:
        pass

    def close(self) -> None:
        if self._final is None:
            self._final = self._served.acked

    def settling(self, now: float, limit: float, again: bool) -> Any:
        return _Settling(self, self._served, now + limit)


@define
class _Settling:
    kernel: Kernel
    served: Served
    until: float

    def poll(self, now: float) -> float | None:
        served = self.served
        if now >= self.until or served.dead or served.acked == len(served.peer.received):
            self.kernel.close()
            return None
        return 0.05


# -- the disk -----------------------------------------------------------------------------


class Disk(sqlite3.Connection):
    """A database whose statements fail while the world says so."""

    failing: dict[str, int]

    def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
        for start, left in self.failing.items():
            if left and sql.startswith(start):
                self.failing[start] = left - 1
                raise sqlite3.OperationalError("database or disk is full")
        return super().execute(sql, *arguments)


# -- the client's side -----------------------------------------------------------------------


class Lines(FrameProtocol):
    framing = framing.lines()

    def frameReceived(self, frame: bytes) -> None:
        pass


class Watched(Outbox):
    """Tells the world which frames leave, and which are given up by which rule."""

    def __init__(self, world: World, limit: int) -> None:
        super().__init__(limit)
        self.world = world

    def _gone(self, rule: Callable[[], Any], into: set[int]) -> Any:
        before = {*self._waiting, *self._flight}
        result = rule()
        into.update(map(number_of, before - {*self._waiting, *self._flight}))
        return result

    def expire(self, before: float) -> Any:
        return self._gone(partial(super().expire, before), self.world.given.expired)

    def drop_oldest(self, size: int) -> Any:
        return self._gone(partial(super().drop_oldest, size), self.world.given.dropped)

    def abandon(self) -> Any:
        return self._gone(super().abandon, self.world.given.abandoned)

    def take(self, most: int) -> list[bytes]:
        frames = super().take(most)
        for frame in frames:
            self.world.leaves(number_of(frame))
        return frames

    def set_aside(self, seq: int, why: str, when: float, keep: bool = True) -> Aside:
        aside = super().set_aside(seq, why, when, keep)
        number = number_of(aside.frame)
        self.world.given.aside.add(number)
        self.world.say(f"frame {number} is set aside: {why}")
        return aside


@define(eq=False)
class Sending:
    """A batch that was offered.

    :ivar deferred: None once it was accepted or refused.
    :ivar noted: with a cursor of the input it came from.
    :ivar doomed: one before it, of the same cursor, was not stored.
    """

    numbers: list[int]
    noted: bool = False
    doomed: bool = False
    deferred: Deferred[None] | None = None


@define
class Given:
    """Frames given up, by the rule that did it."""

    expired: set[int] = field(factory=set)
    dropped: set[int] = field(factory=set)
    abandoned: set[int] = field(factory=set)
    aside: set[int] = field(factory=set)


class World:
    """One life.

    :param folder: for the spool.
    """

    def __init__(self, seed: int, folder: str, steps: int = STEPS) -> None:
        self.rng = rng = random.Random(seed)
        self.plan = Plan.draw(rng)
        self.steps = steps
        self.folder = folder
        self.reactor = FakeReactor()
        self.events: list[str] = []
        self.served: list[Served] = []
        self.failing: dict[str, int] = {}
        self.calls: deque[Callable[[], None]] = deque()  # of the spool, on their way to the reactor
        self.generation = 0
        self.sendings: list[Sending] = []
        self.accepted: dict[int, float] = {}
        self.uncertain: set[int] = set()  # offered when the process died: stored, or not
        self.offered = 0
        self.newest = 0
        self.first_time: set[int] = set()
        self.processed: set[int] = set()
        self.may_be_lost: set[int] = set()
        self.given = Given()
        self.disks: list[sqlite3.Connection] = []
        self.deadly: dict[int, int] = {}  # frame -> how often the server still dies of it
        self.unwanted: dict[int, int] = {}
        self.tokens: list[Any] = []
        self.errors: list[str] = []
        self.calm = False
        self.drained: Deferred[None] | None = None
        self.spool: Spool | None = None
        self.link: Any = None

    # -- what is written down

    def say(self, what: str) -> None:
        self.events.append(f"{self.reactor.seconds():8.2f}  {what}")

    def arrived(self, number: int) -> None:
        """A frame is whole in the server's kernel."""
        if number in self.first_time:
            return
        # What was given up, or lost, is on the disk still when the process dies just then.
        gone = number in self.given.expired | self.given.dropped | self.may_be_lost
        if number < self.newest and not gone:
            raise Broken(f"frame {number} arrived for the first time after {self.newest}")
        self.newest = max(self.newest, number)
        self.first_time.add(number)

    def kills(self, number: int) -> bool:
        return self._once_more(self.deadly, number)

    def rejects(self, number: int) -> bool:
        return self._once_more(self.unwanted, number)

    @staticmethod
    def _once_more(times: dict[int, int], number: int) -> bool:
        left = times.get(number, 0)
        times[number] = left - 1
        return left > 0

    # -- the link

    def wall(self) -> float:
        return EPOCH + self.reactor.seconds()

    def open(self) -> None:
        """Another link, in a process of its own where there is a spool."""
        plan = self.plan
        self.generation += 1
        self.calls.clear()
        self.spool = self._open_spool() if plan.spooled else None
        self.endpoint = FakeEndpoint(self.reactor)
        self.link = self._make_link()
        self.link.start(self.endpoint)
        self.say("a link begins")

    def _make_link(self) -> ReconnectingFactory:
        plan = self.plan
        return ReconnectingFactory.forProtocol(
            Lines,
            clock=self.reactor,
            wall=self.wall,
            backoff=Backoff(initial=0.5, maximum=2.0, stable_after=5.0),
            random=self.rng.random,
            delivery=plan.level,
            reply=plan.reply(),
            onReject=plan.on_reject,
            maxAttempts=plan.max_attempts,
            maxAge=plan.max_age,
            settleAfter=plan.settle_after,
            whenFull=plan.when_full,
            sendGap=plan.gap,
            outboxBytes=plan.outbox_bytes,
            closeTimeout=2.0,
            spool=self.spool,
            wiretap=self._tapped,
        )

    def _open_spool(self) -> Spool:
        return Spool.open(
            self.folder,
            "link",
            "server:1",
            self.plan.spool_bytes,
            deliver=partial(self._deliver, self.generation),
            wait=0.0,
            now=self.wall,
            connect=self._connect,
        )

    def _connect(self, uri: str) -> sqlite3.Connection:
        db = sqlite3.connect(uri, uri=True, isolation_level=None, factory=Disk)
        self.disks.append(db)
        db.failing = self.failing
        return db

    def _deliver(self, generation: int, call: Callable[[], None]) -> None:
        if generation == self.generation:
            self.calls.append(call)

    def _tapped(self, way: str, data: bytes) -> None:
        if way == "out":
            self.served[-1].handed |= set(map(number_of, data.split(b"\n")[:-1]))

    def leaves(self, number: int) -> None:
        """A frame is handed to a connection: it must not be too old."""
        age = self.reactor.seconds() - self.accepted.get(number, self.reactor.seconds())
        if self.plan.max_age is not None and age > self.plan.max_age + GRAIN:
            raise Broken(f"frame {number} was sent at the age of {age:.3f} s")

    # -- what the application does

    def offer(self) -> None:
        rng = self.rng
        most = min(self.plan.outbox_bytes, self.plan.spool_bytes) // 3
        frames, numbers, size = [], [], 0
        for _ in range(rng.randrange(1, 9)):
            frame = content(self.offered + 1, rng.choice([0, 10, 60, 200]))
            size += len(frame) + FRAME_COST
            if frames and size > most:
                break
            self.offered += 1
            frames.append(frame)
            numbers.append(self.offered)
            if rng.random() < self.plan.faulty:
                self._make_faulty(self.offered)
        sending = Sending(numbers, noted=self.spool is not None and rng.random() < 0.5)
        self.say(f"offered {numbers[0]}-{numbers[-1]}")
        sending.deferred = self.link.send(
            frames, ("input", str(numbers[-1])) if sending.noted else None
        )
        self.sendings.append(sending)
        sending.deferred.addCallbacks(
            partial(self._accepted, sending), partial(self._refused, sending)
        )

    def _make_faulty(self, number: int) -> None:
        """The server dies of this frame, or does not want it, for a while or for ever."""
        plan = self.plan
        last = plan.max_attempts or self.rng.randrange(1, 4)
        if plan.level == "reply" and self.rng.random() < 0.5:
            self.unwanted[number] = 1 if plan.on_reject == "stop" else last
        else:
            self.deadly[number] = last

    def _accepted(self, sending: Sending, _: object) -> None:
        sending.deferred = None
        self.say(f"accepted {sending.numbers[0]}-{sending.numbers[-1]}")
        if sending.doomed:
            self.errors.append(f"the input was noted past what is not stored: {sending}")
        for number in sending.numbers:
            self.accepted[number] = self.reactor.seconds()

    def _refused(self, sending: Sending, why: Failure) -> None:
        sending.deferred = None
        self.say(f"refused {sending.numbers[0]}-{sending.numbers[-1]}: {why.type.__name__}")
        if sending.noted and not sending.doomed and why.check(SpoolFailed):
            for each in self.sendings[self.sendings.index(sending) + 1 :]:
                each.doomed = each.noted and each.deferred is not None
        # A batch that waits is let in as room comes free: of this one, some may be in.
        self.uncertain.update(sending.numbers)

    def withdraw(self) -> None:
        # One with a cursor may be on its way to the disk: whether it failed there, nobody is told.
        waiting = [each for each in self.sendings if each.deferred is not None and not each.noted]
        if waiting:
            self.say("a batch is withdrawn")
            cast(Any, self.rng.choice(waiting).deferred).cancel()

    def hold(self) -> None:
        if self.link.connection is not None and len(self.tokens) < 2:
            self.say("reading is held back")
            self.tokens.append(self.link.connection.pauseReading())

    def release(self) -> None:
        if self.tokens:
            self.say("reading goes on")
            self.tokens.pop().resume()

    def reconnect(self) -> None:
        self.say("reconnectNow")
        self.link.reconnectNow()

    # -- the end of a link, and the next one

    def stop(self) -> None:
        """In good order; what is on the spool waits for the next."""
        self.say("stop")
        stopped = self.link.stop()
        ended: list[object] = []
        stopped.addCallback(ended.append)
        for _ in range(40):
            if ended:
                break
            self.advance(0.1)
        if not ended:
            raise Broken(f"stopping has not ended: {self.link.state}")
        self.end()

    def end(self) -> None:
        """The link has stopped; the next begins, the same object or another."""
        self.check()
        if self.spool is None and self.rng.random() < 0.5:
            self.link.start(self.endpoint)
            self.say("the same link begins again")
            return
        if self.spool is not None:
            self.spool.close()
            self._settle_spool()
        self.check()
        self._nobody_waits()
        self.open()

    def _settle_spool(self) -> None:
        while self.calls:
            self.calls.popleft()()

    def _nobody_waits(self) -> None:
        for sending in self.sendings:
            if sending.deferred is not None:
                raise Broken(f"nobody has told the sender of {sending.numbers}")

    def crash(self) -> None:
        """The process dies: what is committed stays, and nobody is told any more."""
        if self.spool is None:
            return
        self.say("the process dies")
        self.drained = None
        link, spool = self.link, self.spool
        if self.rng.random() < 0.3:
            spool.step()  # stored, and the word of it is lost
        self.generation += 1
        for call in tuple(self.reactor.getDelayedCalls()):
            call.cancel()
        for served in self.served:
            transport = served.peer.transport
            if transport.connected:  # its kernel sends on, or resets
                transport.connected = False
                if self.rng.random() < 0.5 and not served.dead:
                    served.peer.take(bytes(transport.unsent))
                served.ended()
        self.tokens.clear()
        for sending in self.sendings:
            if sending.deferred is not None:
                self.uncertain.update(sending.numbers)
        self.sendings.clear()
        spool._queue.clear()
        spool._again.clear()
        spool.close()
        link._machine.state = State.STOPPED  # nothing of it moves any more
        self.open()

    # -- what the server and the network do

    def decide(self) -> None:
        """An attempt to connect: taken, refused, or left for later."""
        pending = [each for each in self.endpoint.attempts if each.pending]
        if not pending:
            return
        if not self.calm and self.rng.random() < 0.2:
            self.say("refused by the server")
            pending[-1].refuse()
            return
        self.say("connected")
        attempt = pending[-1]
        succeed, attempt._succeeded = attempt._succeeded, lambda protocol: None

        # The kernel must find its server before the protocol has its transport.
        with mock.patch("nbclient.testing.pipe.Peer", self._peer):
            peer = attempt.accept()
        served = self._served(peer)
        peer.whenLost(lambda _: served.ended())
        succeed(None)

    def _peer(self, transport: Any) -> Peer:
        peer = Peer(transport)
        self.served.append(Served(self, peer))
        return peer

    def _served(self, peer: Peer) -> Served:
        return next(served for served in self.served if served.peer is peer)

    @property
    def last(self) -> Served | None:
        return self.served[-1] if self.served else None

    def serve(self) -> None:
        """Acknowledge, read and answer, some of it or all."""
        for served in self.served:
            if self.rng.random() < 0.8:
                served.acknowledge(self.rng.choice([None, None, 1, 50, 300]))
            if self.rng.random() < 0.7:
                served.read(self.rng.choice([1, 3, 50]))
            if self.rng.random() < 0.7:
                served.answer(self.rng.choice([1, 3, 50]), self.rng)

    def chat(self) -> None:
        """A frame of the server that answers nothing."""
        last = self.last
        if last is not None and not last.dead and self.plan.matched:
            last.peer.send(b"by the way\n")

    def stall(self) -> None:
        last = self.last
        if last is not None:
            last.peer.window = self.rng.choice([0, 1, 7, 150, 1000])
            self.say(f"the server takes {last.peer.window} bytes more")

    def unstall(self) -> None:
        if self.last is not None:
            self.last.peer.unstall()

    def die(self) -> None:
        last = self.last
        if last is not None and not last.dead:
            self.say("the server dies")
            if self.rng.random() < 0.5:
                last.acknowledge()
            last.die()

    def fin(self) -> None:
        last = self.last
        if last is not None and not last.dead:
            self.say("the server closes")
            if self.rng.random() < 0.3:  # with its last words
                last.read(50)
                last.answer(50, self.rng)
            last.peer.close()

    # -- what the disk does

    def step_spool(self) -> None:
        if self.spool is not None:
            self.spool.step()

    def tell(self) -> None:
        """Some of the spool's callbacks reach the reactor."""
        for _ in range(self.rng.choice([1, 2, 100])):
            if self.calls:
                self.calls.popleft()()

    def fail_disk(self) -> None:
        if self.spool is not None:
            statement = self.rng.choice(["COMMIT", "INSERT", "DELETE", "SELECT seq", "BEGIN"])
            self.failing[statement] = self.rng.choice([1, 1, 3, 10])
            self.say(f"the disk fails at {statement}")

    # -- time

    def wait(self) -> None:
        self.advance(self.rng.choice([0.0, 0.01, 0.1, 0.5, 1.0, self.rng.random() * 6]))

    def sleep(self) -> None:
        """As if the process had not run for a while: everything due is due at once."""
        self.say("asleep")
        self.reactor.advance(self.rng.random() * 6)

    def advance(self, seconds: float) -> None:
        until = self.reactor.seconds() + seconds
        while (due := self._next_due()) is not None and due <= until:
            self._move_on(due)
        self._move_on(until)
        self.reactor.turn(3)
        if self.spool is not None:
            self.spool.step()
            self.tell()

    def _move_on(self, time: float) -> None:
        self.reactor.rightNow = max(self.reactor.rightNow, time)  # to the bit, as no sum would
        self.reactor.advance(0)

    def _next_due(self) -> float | None:
        return min((call.getTime() for call in self.reactor.getDelayedCalls()), default=None)

    # -- a life

    def live(self) -> None:
        """Raises `Broken`, or whatever the link raises."""
        Kernel.world = self
        self.open()
        todo = [
            (self.offer, 12),
            (self.decide, 10),
            (self.serve, 16),
            (self.wait, 14),
            (self.sleep, 1),
            (self.step_spool, 8),
            (self.tell, 8),
            (self.withdraw, 1),
            (self.hold, 1),
            (self.release, 2),
            (self.chat, 1),
            (self.stall, 3),
            (self.unstall, 4),
            (self.die, 3),
            (self.fin, 2),
            (self.fail_disk, 2),
            (self.reconnect, 0.7),
            (self.stop, 0.7),
            (self.crash, 1),
        ]
        deeds, weights = [deed for deed, _ in todo], [weight for _, weight in todo]
        for deed in self.rng.choices(deeds, weights, k=self.steps):
            deed()
            self.reactor.turn(self.rng.choice([0, 1, 3]))
            self.check()
            if self.link.state is State.STOPPED:  # a frame was rejected
                self.say("the link has stopped")
                self.end()
        self.say("no more faults")
        self.recover()

    def check(self) -> None:
        stats = self.link.stats().outbox
        if not stats.conserved():
            raise Broken(f"frames are not accounted for: {stats}")
        self._check_drained(stats)
        self._check_dropping(stats)
        if self.errors:
            raise Broken(f"an error was logged: {self.errors[0]}")

    def _check_drained(self, stats: OutboxStats) -> None:
        """Whoever waits for the end of the outbox is told at once, connected or not."""
        if self.drained is None:
            self.drained = self.link.whenDrained()
            self.drained.addBoth(self._forget_drained)
        elif not (stats.waiting or stats.undecided):
            raise Broken(f"drained, and nobody is told: {stats}")

    def _forget_drained(self, _: object) -> None:
        self.drained = None

    def _check_dropping(self, stats: OutboxStats) -> None:
        """Where older frames make room, nobody waits while there are any that can."""
        busy = self.spool is not None and (self.calls or self.spool._queue or self.spool._again)
        could = self.plan.when_full == "drop-oldest" and self.link.outbox.sendable and not busy
        if could and stats.undecided:
            raise Broken(f"frames wait for room that there could be: {stats}")

    def recover(self) -> None:
        """No more faults: everything is delivered, and everybody told."""
        self.calm = True
        self.failing.clear()
        while self.tokens:
            self.release()
        until = self.reactor.seconds() + PATIENCE
        drained: list[object] = []
        waiting: Deferred[None] | None = None
        while not (drained and self._told):
            if self.reactor.seconds() > until:
                raise Broken(f"not everything is delivered: {self.link.stats()}")
            if self.link.state is State.STOPPED:
                self.end()
                waiting = None
            if waiting is None:
                waiting = self.link.whenDrained()
                waiting.addCallbacks(drained.append, lambda _: None)
            self._serve_well()
            self.advance(0.25)
            self.check()
        self._last_word()

    @property
    def _told(self) -> bool:
        return all(sending.deferred is None for sending in self.sendings)

    def _serve_well(self) -> None:
        self.decide()
        for served in self.served:
            served.acknowledge()
            if not served.dead:
                served.peer.unstall()
            served.read(10**6)
            served.answer(10**6, self.rng)

    def _last_word(self) -> None:
        for _ in range(3):
            self._serve_well()
            self.advance(0.25)
        stats = self.link.stats().outbox
        if stats.waiting or stats.undecided:
            raise Broken(f"drained, they said: {stats}")
        aside = {number_of(each.frame) for each in self.link.outbox.aside}
        if self.spool is not None:
            aside = self._set_aside_on_disk()
            self.stop_for_good()
        else:
            aside |= self.given.aside  # kept by a link that is no more
        given = self.given
        explained = self.processed | given.expired | given.dropped | given.abandoned | aside
        missing = set(self.accepted) - explained - self.may_be_lost
        if missing:
            raise Broken(f"accepted, and gone: {sorted(missing)}")
        allowed = self.plan.max_attempts is not None or self.plan.on_reject == "set-aside"
        if given.aside and not allowed:
            raise Broken(f"set aside, though nothing says so: {given.aside}")
        self._nobody_waits()

    def _set_aside_on_disk(self) -> set[int]:
        assert self.spool is not None
        found = self.spool._store.load_aside(0, 10**9)
        return {number_of(each.frame) for each in found}

    def stop_for_good(self) -> None:
        """Nothing of what was delivered is on the disk any more."""
        assert self.spool is not None
        self.link.stop()
        self.reactor.advance(5.0)
        self.spool.close()
        self._settle_spool()
        if self.spool.totals.waiting:
            raise Broken(f"delivered, and still on the disk: {self.spool.totals}")


# -- running them -------------------------------------------------------------------------


@contextlib.contextmanager
def listening(world: World) -> Iterator[None]:
    """Errors that are only logged are errors, too."""

    def heard(event: Any) -> None:
        if event["log_level"] >= LogLevel.critical or "log_failure" in event:
            failure = event.get("log_failure")
            world.errors.append(failure.getTraceback() if failure else str(event))

    globalLogPublisher.addObserver(heard)
    try:
        with (
            mock.patch.object(factory_module, "Acknowledging", Kernel),
            mock.patch("nbclient.link.pump.Outbox", partial(Watched, world)),
        ):
            yield
    finally:
        globalLogPublisher.removeObserver(heard)


def simulate(seed: int, trace: bool = False) -> str | None:
    """Live one life.

    :return: what went wrong; None: nothing.
    """
    place = FAST if os.access(FAST, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="nbclient-simulation-", dir=place) as folder:
        os.chmod(folder, 0o700)
        world = World(seed, folder)
        try:
            with listening(world):
                world.live()
        except Exception as error:
            why = str(error) if isinstance(error, Broken) else traceback.format_exc()
            events = world.events if trace else world.events[-SHOWN:]
            return "\n".join([f"seed {seed}: {why}", str(world.plan), *events, *world.errors[:1]])
        finally:
            for disk in world.disks:  # of a life that was cut short
                disk.close()
    if trace:
        print("\n".join([str(world.plan), *world.events]))
    return None


def run(seeds: Sequence[int], jobs: int) -> Iterator[str]:
    """Live these lives, so many at a time; what went wrong."""
    if jobs == 1:
        yield from filter(None, map(simulate, seeds))
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from filter(None, pool.map(simulate, seeds, chunksize=10))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1000, metavar="N", help="how many lives")
    parser.add_argument("--first", type=int, default=1, metavar="SEED", help="the first of them")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many at a time")
    parser.add_argument("--trace", action="store_true", help="live the first, and print all of it")
    options = parser.parse_args(arguments)
    if options.trace:
        failure = simulate(options.first, trace=True)
        print(failure or "all held")
        return int(failure is not None)
    begun = time.monotonic()
    failed = 0
    for failure in run(range(options.first, options.first + options.seeds), options.jobs):
        failed += 1
        seed = failure.split()[1].rstrip(":")
        print(failure, f"again: python tools/simulate.py --trace --first {seed}\n", sep="\n")
    seconds = time.monotonic() - begun
    print(f"{options.seeds - failed} of {options.seeds} lives held ({seconds:.0f} s)")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
