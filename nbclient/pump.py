"""From the outbox to whichever connection is ready, as long as both are willing.

Back-pressure runs the whole way: a full transport stops the pump, the outbox
fills, and the Deferred of `Pump.offer` stays unfired until there is room.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from attrs import define
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from nbclient.delivery.outbox import Outbox
from nbclient.errors import FrameError, OutboxFull

PUMP_BYTES = 64 * 1024
"""What is handed to a connection at a time: Twisted's own high-water mark."""


@define(eq=False)
class _Sender:
    """A batch that waits for room."""

    frames: Sequence[bytes]
    size: int
    accepted: Deferred[None]


class Pump:
    """Owns the outbox and everybody who waits for it.

    :param limit: bound of the outbox, bytes; as much again may wait for room.
    :param gap: seconds at least between two frames; 0: as fast as they go.
    """

    log = Logger(namespace="nbclient")

    def __init__(self, limit: int, gap: float = 0.0) -> None:
        self.outbox = Outbox(limit)
        self._connection: Any = None
        self._tracked: Callable[[], None] | None = None
        self._busy = False
        self._gap = gap
        self._clock: Any = None
        self._gapTimer: IDelayedCall | None = None
        # Made when first needed: most links never wait.
        self._senders: deque[_Sender] | None = None
        self._sendersSize = 0
        self._drains: list[Deferred[None]] = []

    def attach(
        self, connection: Any, tracked: Callable[[], None] | None = None, clock: Any = None
    ) -> None:
        """This connection is ready: send.


        :param tracked: called after each write, where frames stay in flight
            until `acknowledged` is called; None: written is delivered.
        :param clock: an `IReactorTime`, where there is a gap to be kept.
        """
        self._connection = connection
        self._clock = clock
        self._tracked = tracked
        self.run()

    def acknowledged(self, frames: int) -> None:
        """The oldest `frames` in flight are delivered."""
        if frames:
            self.outbox.acknowledge(frames)
            self._admit()
            self.run()

    def detach(self) -> None:
        """No connection is ready."""
        self._connection = None
        timer, self._gapTimer = self._gapTimer, None
        if timer is not None:
            timer.cancel()

    def offer(self, frames: Sequence[bytes]) -> Deferred[None]:
        """Accept `frames`, now or as room comes free.

        :return: fires when all of them are in the outbox; fails with
            `OutboxFull`, and accepts none of them, where what would have to
            wait for room is more than the outbox holds. Cancelling withdraws
            what was not accepted yet.
        """
        size = self.outbox.cost(frames)
        limit = self.outbox.limit
        room = 0 if self._senders else limit - self.outbox.size
        if size - room > limit - self._sendersSize:
            # All or nothing: who offers a refused batch again must not send half of it twice.
            return self.refuse(frames, Failure(OutboxFull(limit, size)))
        taken = 0 if self._senders else self.outbox.accept(frames)
        accepted = self._waitForRoom(frames[taken:]) if taken < len(frames) else succeed(None)
        self.run()
        return accepted

    def refuse(self, frames: Sequence[bytes], reason: Failure) -> Deferred[None]:
        """Count `frames` as refused."""
        self.outbox.counters.refused += len(frames)
        return fail(reason)

    def drained(self) -> Deferred[None]:
        """Fires when nothing is left to deliver; may be cancelled."""
        if self._idle:
            return succeed(None)
        drained: Deferred[None] = Deferred(self._drains.remove)
        self._drains.append(drained)
        return drained

    def rewind(self) -> None:
        """The connection is gone: what was in flight waits again."""
        self.outbox.rewind()

    def end(self, reason: Failure) -> None:
        """The link has stopped: nothing that waits will be sent."""
        self.detach()
        self.outbox.abandon()
        # One after the other: the callback of one may cancel another.
        while self._senders:
            sender = self._senders.popleft()
            self._withdrawn(sender)
            sender.accepted.errback(reason)
        while self._drains:
            self._drains.pop(0).errback(reason)

    def run(self) -> None:
        """Send what can be sent."""
        if self._busy:  # whoever was told of room offers more: the outer call goes on
            return
        self._busy = True
        try:
            self._run()
        finally:
            self._busy = False

    def _run(self) -> None:
        outbox = self.outbox
        while outbox.sendable and self._ready:
            self._write(outbox.take(1 if self._gap else PUMP_BYTES))
            if self._gap:
                self._gapTimer = self._clock.callLater(self._gap, self._gapOver)
            self._admit()
        while self._drains and self._idle:
            self._drains.pop(0).callback(None)

    @property
    def _ready(self) -> bool:
        connection = self._connection
        return connection is not None and connection.writable and self._gapTimer is None

    def _gapOver(self) -> None:
        self._gapTimer = None
        self.run()

    @property
    def _idle(self) -> bool:
        return not (self.outbox or self._senders)

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
            self.outbox.set_aside()
            self.log.error("a frame was set aside: {why}", why=str(error))
        else:
            self._wrote(1)

    def _wrote(self, frames: int) -> None:
        if self._tracked is None:
            # Level `written`: handed to the transport is delivered.
            self.outbox.acknowledge(frames)
        else:
            self._tracked()

    def _waitForRoom(self, frames: Sequence[bytes]) -> Deferred[None]:
        size = self.outbox.cost(frames)

        def withdraw(_: Deferred[None]) -> None:
            waiting.remove(sender)
            self._withdrawn(sender)
            self._admit()  # one behind it may be smaller

        sender = _Sender(frames, size, Deferred(withdraw))
        waiting = self._senders = deque() if self._senders is None else self._senders
        waiting.append(sender)
        self._sendersSize += size
        self.outbox.counters.undecided += len(frames)
        return sender.accepted

    def _withdrawn(self, sender: _Sender) -> None:
        self._sendersSize -= sender.size
        self.outbox.counters.undecided -= len(sender.frames)
        self.outbox.counters.refused += len(sender.frames)

    def _admit(self) -> None:
        """Room has come free: the batches that wait, in order."""
        while self._senders:
            sender = self._senders[0]
            taken = self.outbox.accept(sender.frames)
            self.outbox.counters.undecided -= taken
            self._sendersSize -= self.outbox.cost(sender.frames[:taken])
            sender.frames = sender.frames[taken:]
            sender.size = self.outbox.cost(sender.frames)
            if sender.frames:
                return
            self._senders.popleft()
            sender.accepted.callback(None)
