"""From the outbox to whichever connection is ready, as long as both are willing.

Back-pressure runs the whole way: a full transport stops the pump, the outbox
fills, and the Deferred of `Pump.offer` stays unfired until there is room.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from attrs import evolve, field, frozen
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from nbclient.core import arguments
from nbclient.core.liveness import INSTANT
from nbclient.core.terminal import printable
from nbclient.delivery.outbox import FRAME_COST, Outbox, OutboxStats
from nbclient.errors import FrameError
from nbclient.framing.base import check_frames
from nbclient.link.admission import WHEN_FULL, Admission, SpoolAdmission
from nbclient.link.holding import Holding
from nbclient.link.reply_tracker import Replying
from nbclient.link.spooling import Cursor, Spooling

if TYPE_CHECKING:  # not every Python has SQLite, and most links need none
    from nbclient.spool.spool import Spool

PUMP_BYTES = 64 * 1024
"""What is handed to a connection at a time: Twisted's own high-water mark."""

POISON = 3
"""So many times in vain, and a frame is suspected of being the reason."""

SHOWN = 80
"""Most bytes of an answer that are repeated."""

ON_REJECT = ("stop", "retry", "set-aside")
"""What becomes of a frame that the peer rejects."""


@frozen
class Rules:
    """When frames are given up, and what is done for want of room.

    :ivar when_full: ``wait``: `send` stays unfired until there is room;
        ``refuse``: it fails; ``drop-oldest``: frames not in flight are dropped.
    :ivar max_age: frames older than this are not sent any more, seconds; None: none is too old.
    :ivar max_attempts: a frame is set aside after so many times in vain: the
        connection was lost before the peer acknowledged anything, or it
        rejected the frame. None: it is tried for ever.
    :ivar on_reject: ``stop`` ends the link; ``retry`` drops the connection and
        sends the frame again after the back-off; ``set-aside`` sends it no more.
    :ivar settle_after: a frame that was acknowledged (at level `written`: handed over)
        is delivered once its connection has lived so long since, seconds, or the peer
        has sent a frame; see `nbclient.delivery.unsettled`. 0: at once.
    """

    when_full: str = field(default="wait", validator=arguments.one_of(WHEN_FULL))
    max_age: float | None = field(default=None, validator=arguments.number(above=0, optional=True))
    max_attempts: int | None = field(default=None, validator=arguments.whole(1, optional=True))
    on_reject: str = field(default="stop", validator=arguments.one_of(ON_REJECT))
    settle_after: float = field(default=0.0, validator=arguments.number(least=0))

    @property
    def lossy(self) -> bool:
        """Whether frames may be given up."""
        return self.max_age is not None or self.when_full == "drop-oldest"


RULES = Rules()


class Pump:
    """Owns the outbox and everybody who waits for it.

    :param limit: bound of the outbox in memory, bytes; as much again may wait for room.
    :param gap: seconds at least between two frames; 0: as fast as they go.
    :param spool: keeps the frames on disk.
    :param now: seconds on a monotonic scale.
    :param wall: the time of day, seconds since the epoch.
    :param lost: told that frames were ``dropped`` or have ``expired``, and how many.
    :param afterRead: has its argument called once the read that is being handled was
        handed to the application; False where none is.

    :raises SpoolError: the spool is closed, or another link has it.
    """

    log = Logger(namespace="nbclient")

    __slots__ = (
        "_admission",
        "_afterRead",
        "_ageTimer",
        "_busy",
        "_clock",
        "_connection",
        "_drains",
        "_gap",
        "_gapTimer",
        "_holding",
        "_lossy",
        "_lost",
        "_now",
        "_progress",
        "_replying",
        "_rules",
        "_spooling",
        "_told",
        "_tracked",
        "_unbalanced",
        "outbox",
        "wall",
    )

    def __init__(
        self,
        limit: int,
        gap: float = 0.0,
        rules: Rules = RULES,
        spool: Spool | None = None,
        now: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        lost: Callable[[str, int], object] = lambda how, number: None,
        afterRead: Callable[[Callable[[], object]], bool] = lambda call: False,
    ) -> None:
        self._lost = lost
        self._afterRead = afterRead
        self._lossy = rules.lossy
        self._told = (0, 0)  # of frames dropped and expired
        self.outbox = Outbox(limit)
        self._rules = rules
        self._now = now
        self.wall = wall
        self._connection: Any = None
        self._tracked: Callable[[], None] | None = None
        self._replying: Replying | None = None
        self._progress = False  # something was delivered on this connection
        self._holding: Holding | None = None
        self._busy = False
        self._unbalanced = False  # the books were found wrong
        self._gap = gap
        self._clock: Any = None
        self._gapTimer: IDelayedCall | None = None
        self._ageTimer: IDelayedCall | None = None
        self._drains: list[Deferred[None]] = []
        self._spooling: Spooling | None = None
        if spool is None:
            self._admission = Admission(self.outbox, rules.when_full, now, self.run)
        else:
            self._spooling = Spooling(spool, self.outbox, self._lookAgain, now, wall)
            self._admission = SpoolAdmission(
                self.outbox, rules.when_full, now, self.run, self._spooling
            )

    # -- the link ------------------------------------------------------------------------

    def begin(self, clock: Any) -> None:
        """The link runs.

        :param clock: an `IReactorTime`.
        :raises SpoolError: its spool is closed, or another link's by now.
        """
        if self._spooling is not None:
            self._spooling.begin(clock)
        self._clock = clock
        self._watchAge()

    def end(self, reason: Failure) -> None:
        """The link has stopped: nothing that waits will be sent."""
        drained = self.idle  # it was to be told after the read that ended the link
        self.detach()
        self._stopHolding(True)
        self._stopWatchingAge()
        self._clock = None
        if self._spooling is None:
            self.outbox.abandon()
        else:  # what waits is on the disk; another start goes on with it
            self.outbox.rewind()
            self._spooling.stop()
        self._busy = True  # one who is told may withdraw another: that is not the end of all
        self._admission.end(reason)
        while self._drains:
            self._drains.pop(0).callback(None if drained else reason)
        self._busy = False

    def stats(self) -> OutboxStats:
        """A snapshot of what waits, on the disk included, and of what became of the rest.

        Where a frame is not accounted for, that is logged once, as an AssertionError.
        It is not raised: the books are wrong then, and the link may be none the worse.
        """
        stats = self.outbox.stats(self._now())
        if self._holding is not None:
            stats = evolve(stats, unsettled=self._holding.held)
        disk = self._spooling
        if disk is not None and disk.behind:
            stats = evolve(
                stats,
                waiting=stats.waiting + disk.behind,
                waiting_bytes=stats.waiting_bytes + disk.behind_size,
                oldest=disk.oldest_age if stats.oldest is None else stats.oldest,
            )
        if not (self._unbalanced or stats.conserved()):
            self._unbalanced = True
            why = Failure(AssertionError(f"offered, accepted and the rest do not add up: {stats}"))
            self.log.failure("frames are not accounted for, a fault of nbclient", why)
        return stats

    # -- the connection ------------------------------------------------------------------

    def attach(
        self,
        connection: Any,
        tracked: Callable[[], None] | None = None,
        replying: Replying | None = None,
    ) -> None:
        """This connection is ready: send.

        Where there is a gap to be kept, or frames are to be settled, after `begin`.

        :param tracked: called after each write, where frames stay in flight
            until `acknowledged` is called.
        :param replying: waits for the answers, where frames stay in flight
            until `answered` is called. With neither, written is delivered.
        """
        self._connection = connection
        self._tracked = tracked
        self._replying = replying
        self._progress = False
        after = self._rules.settle_after
        if after and replying is None:
            self._holding = Holding(
                after, connection, self._clock, self._now, self._settled, self._crowded
            )
        self.run()

    def detach(self) -> None:
        """No connection is ready."""
        self._connection = None
        if self._holding is not None:
            self._holding.over()
        timer, self._gapTimer = self._gapTimer, None
        if timer is not None:
            timer.cancel()

    def acknowledged(self, frames: int) -> None:
        """The oldest `frames` in flight that were not are acknowledged."""
        if frames and self._holding is not None:
            frames = self._holding.acknowledged(frames)
        if frames:
            self._settled(frames)

    def _settled(self, frames: int) -> None:
        """The oldest `frames` in flight are delivered."""
        self._delivered(frames)
        self._admission.admit()
        self.run()

    def answered(self, seq: int) -> None:
        """The frame of this number is delivered."""
        if seq == self.outbox.first:
            self.acknowledged(1)
            return
        self._progress = True
        self.outbox.answered(seq)
        self._forget([(seq, seq)])
        self._admission.admit()
        self.run()

    def rejected(self, seq: int, answer: bytes) -> bool:
        """The peer did not take the frame of this number.

        :return: whether the link can go on with the next.
        """
        self._progress = True  # the peer lives: should the link be lost now, no frame is why
        why = f"the peer rejected it: {printable(answer, SHOWN)}"
        if self._rules.on_reject == "set-aside" or (
            self._rules.on_reject == "retry" and self._inVain(seq)
        ):
            self._setAside(seq, why)
            self._admission.admit()
            self.run()
            return True
        return False

    @property
    def owes(self) -> bool:
        """Whether a peer that reads on has not acknowledged, or not settled, all that there is."""
        holding = self._holding
        if holding is not None and holding.turnedAway:
            return False
        held = 0 if holding is None else holding.held
        return not self.idle and (
            len(self.outbox) > held
            or (holding is not None and holding.settling)
            or bool(self._admission)
            or not (self._spooling is None or self._spooling.idle)
        )

    def halfClosed(self) -> None:
        """The peer has closed its side, and may have closed both."""
        if self._holding is not None:
            self._holding.halfClosed()

    def refused(self) -> None:
        """The peer has said that it takes nothing on this connection."""
        if self._holding is not None:
            self._holding.refused()

    def rewind(self, ours: bool = False, blameless: bool = False) -> int:
        """The connection is gone: what was in flight waits again.

        :param ours: it was ended by this side; no frame can be the reason.
        :param blameless: nor can it where the peer ended it.
        :return: how many frames that the peer's kernel had acknowledged are sent again.
        """
        unsettled = self._stopHolding(ours)
        blameless = blameless or ours
        outbox = self.outbox
        if outbox.in_flight and not (self._progress or blameless):
            self._suspect(outbox.first)
        self._replying = None
        outbox.rewind()
        self._stopWatchingAge()  # what was in flight is older than what it was set for
        self._lookAgain()
        return unsettled

    def _stopHolding(self, ours: bool) -> int:
        """The connection is over; how many frames it had acknowledged and not settled."""
        holding, self._holding = self._holding, None
        if holding is None:
            return 0
        settled = holding.stop(ours)
        if settled:
            self._delivered(settled)
        return holding.held

    def _crowded(self) -> bool:
        """Whether the outbox is too full to hold what need not be held."""
        return 2 * self.outbox.size > self.outbox.limit

    def _suspect(self, seq: int) -> None:
        """The connection was lost with this frame the first of those not acknowledged."""
        if self._inVain(seq):
            times = self._rules.max_attempts
            self._setAside(seq, f"the link was lost each of the {times} times it was sent")

    def _inVain(self, seq: int) -> bool:
        """Once more; whether that was the last time it is tried."""
        times = self.outbox.attempted(seq)
        if self._spooling is not None:
            self._spooling.attempted(seq)
        if times == POISON:
            self.log.warn(
                "frame {seq} was sent {times} times in vain; it may be the reason",
                seq=seq,
                times=times,
            )
        most = self._rules.max_attempts
        return most is not None and times >= most

    # -- in ------------------------------------------------------------------------------

    def offer(self, frames: Sequence[bytes], cursor: Cursor | None = None) -> Deferred[None]:
        """Accept `frames`, now or as room comes free.

        :param cursor: of the input they come from; stored with them.
        :return: fires when all of them are in the outbox, and on the disk where
            there is a spool; fails with `OutboxFull`, and accepts none of them,
            where there is no room, and what would have to wait for room is more
            than the outbox holds, or waiting is not wanted; fails with
            `SpoolError` where the disk does not take them. Cancelling withdraws
            what was not accepted yet.
        """
        accepted = self._admission.offer(frames, cursor)
        self.run()
        self._watchAge()
        return accepted

    def refuse(self, frames: Sequence[bytes], reason: Failure) -> Deferred[None]:
        """Count `frames` as refused."""
        return self._admission.refuse(frames, reason)

    def drained(self) -> Deferred[None]:
        """Fires when nothing is left to deliver; may be cancelled."""
        if self.idle and not self._afterRead(self.run):
            return succeed(None)
        drained: Deferred[None] = Deferred(self._drains.remove)
        self._drains.append(drained)
        return drained

    # -- out -----------------------------------------------------------------------------

    def run(self) -> None:
        """Send what can be sent."""
        if self._busy:  # whoever was told of room offers more: the outer call goes on
            return
        self._busy = True
        try:
            self._run()
        except BaseException:  # no fault of who offers a frame: it is accepted, and waits
            if self._connection is None:
                self.log.failure("what is to be sent could not be looked at")
            else:
                self._connection.sendingFailed(Failure())
        finally:
            self._busy = False
        if self._lossy:
            self._tellLost()

    def _tellLost(self) -> None:
        """Say what was given up by a rule since the last time."""
        counters = self.outbox.counters
        before, self._told = self._told, (counters.dropped, counters.expired)
        for how, now, then in zip(("dropped", "expired"), self._told, before, strict=True):
            if now > then:
                self._lost(how, now - then)

    def _run(self) -> None:
        outbox = self.outbox
        while True:
            self._expire()  # timers may be late, and nothing too old may leave
            while outbox.sendable and self._ready:
                if self._replying is not None:
                    self._ask(self._replying)
                else:
                    self._write(outbox.take(1 if self._gap else PUMP_BYTES))
                if self._gap:
                    self._gapTimer = self._clock.callLater(self._gap, self._gapOver)
                self._admission.admit()
            if self._spooling is not None:
                self._spooling.refill()
            if not (self._drains and self.idle):
                return
            if self._afterRead(self.run):  # who is told may stop
                return
            self._drains.pop(0).callback(None)  # who may offer more: look again

    @property
    def _ready(self) -> bool:
        connection = self._connection
        if connection is None:
            return False
        if not connection.writable:
            connection.wanted = True  # `run` once it is
            return False
        return self._gapTimer is None and (
            self._replying is None or self._replying.takes(self.outbox.next)
        )

    def _gapOver(self) -> None:
        self._gapTimer = None
        self.run()

    @property
    def idle(self) -> bool:
        """Whether nothing is left to deliver."""
        return not (self.outbox or self._admission) and (
            self._spooling is None or self._spooling.idle
        )

    def _write(self, frames: list[bytes]) -> None:
        try:
            self._connection.writeFrames(frames, True)
        except FrameError:
            # Checked when accepted, but the connection's framing has changed since.
            self.outbox.give_back(len(frames))
            for _ in frames:
                self._writeOne()
        else:
            self._wrote(len(frames))

    def _writeOne(self) -> None:
        try:
            self._connection.writeFrames(self.outbox.take(1), True)
        except FrameError as error:
            self._cannotSend(error)
        else:
            self._wrote(1)

    def _ask(self, replying: Replying) -> None:
        """Write frames that the peer is to answer, as many as may wait for that."""
        outbox = self.outbox
        asked: list[bytes] = []
        room = 1 if self._gap else PUMP_BYTES
        while room > 0 and outbox.sendable and replying.takes(outbox.next):
            (frame,) = outbox.take(1)
            try:
                check_frames(self._connection.framing, (frame,))
                replying.check(frame)
            except FrameError as error:
                self._cannotSend(error)
                continue
            # Now, not once it is written: its answer may be quick.
            seq = outbox.seq_of(outbox.in_flight - 1)
            replying.sending(seq, frame, self._connection.bytesIn)
            asked.append(frame)
            room -= len(frame) + FRAME_COST
        if asked:
            self._connection.writeFrames(asked, True)

    def _wrote(self, frames: int) -> None:
        if self._holding is not None:
            self._holding.wrote(frames)
        if self._tracked is not None:
            self._tracked()
            return
        # Level `written`: handed to the transport is delivered.
        if self._holding is not None:
            frames = self._holding.acknowledged(frames)
        if frames:
            self._delivered(frames)

    def _delivered(self, frames: int) -> None:
        self._progress = True
        upto = self.outbox.acknowledge(frames)
        if self._spooling is not None:
            self._spooling.acknowledged(upto)

    def _cannotSend(self, error: FrameError) -> None:
        """The frame taken last is not in this connection's framing."""
        self.outbox.not_sent(1)
        self._setAside(self.outbox.seq_of(self.outbox.in_flight - 1), str(error))

    # -- frames that are given up ----------------------------------------------------------

    def _setAside(self, seq: int, why: str) -> None:
        aside = self.outbox.set_aside(seq, why, self.wall(), keep=self._spooling is None)
        if self._spooling is not None:
            self._spooling.set_aside(seq, why)
        # Not the frame itself: it may hold what no log should.
        self.log.error(
            "frame {seq} ({size} bytes) was set aside: {why}",
            seq=seq,
            size=len(aside.frame),
            why=why,
        )

    def _forget(self, ranges: list[tuple[int, int]]) -> None:
        if self._spooling is not None:
            self._spooling.forget(ranges)

    def _lookAgain(self) -> None:
        """Something has changed: some may be too old now, some may enter, some may leave."""
        self._expire()
        self._admission.admit()
        self.run()

    def _expire(self) -> None:
        """Frames that wait and are too old are forgotten."""
        if self._rules.max_age is not None and self._clock is not None:
            # A little early: sums of floats are not exact, and it must not be looked for ever.
            limit = self._rules.max_age - INSTANT
            self._forget(self.outbox.expire(self._now() - limit))
            self._watchAge()

    def _watchAge(self) -> None:
        """Look again when the oldest frame that waits is too old."""
        if self._rules.max_age is None or self._clock is None or self._ageTimer is not None:
            return
        since = self.outbox.next_since
        if since is not None:
            left = max(0.0, since + self._rules.max_age - self._now())
            self._ageTimer = self._clock.callLater(left, self._tooOld)

    def _tooOld(self) -> None:
        self._ageTimer = None
        self._lookAgain()

    def _stopWatchingAge(self) -> None:
        timer, self._ageTimer = self._ageTimer, None
        if timer is not None:
            timer.cancel()
