"""When a quiet connection counts as dead: rules over timestamps, no clock.

All times are seconds on one monotonic scale that the caller chooses.
"""

from __future__ import annotations

from typing import Protocol

from attrs import define, field, frozen
from attrs.validators import ge

SHORTEST = 2.0
"""The least limit of a dead-path rule, seconds: keepalive counts in whole
seconds, and Linux may leave a probe within half a second of the last unanswered
(``net.ipv4.tcp_invalid_ratelimit``)."""

INSTANT = 0.001
"""Less than this is no time left, seconds: clocks and sums of floats are not exact."""


@define
class Watch:
    """A limit on how long nothing may happen, which can stand still.

    :ivar limit: seconds allowed since the last sign.
    :ivar since: when the last sign was seen.
    """

    limit: float
    since: float
    _held: float | None = None

    def seen(self, now: float) -> None:
        """A sign of life arrived at `now`."""
        self.since = now
        if self._held is not None:
            self._held = now

    def hold(self, now: float) -> None:
        """Stop counting: while we do not read, silence says nothing about the peer."""
        if self._held is None:
            self._held = now

    def release(self, now: float) -> None:
        """Count on from where `hold` stopped."""
        if self._held is not None:
            self.since += now - self._held
            self._held = None

    def remaining(self, now: float) -> float:
        """Seconds left before the limit; zero or less when it has passed."""
        reference = now if self._held is None else self._held
        return self.limit - (reference - self.since)

    def expired(self, now: float) -> bool:
        """Whether the limit has passed."""
        return self.remaining(now) <= 0


class PathInfo(Protocol):
    """What the kernel knows of a path (`nbclient.kernel.tcpinfo.TcpInfo`)."""

    @property
    def retransmits(self) -> int:
        """Timeouts since data was last acknowledged."""

    @property
    def probes(self) -> int:
        """Window or keepalive probes since the last answer."""

    @property
    def last_ack_recv(self) -> int:
        """Milliseconds since the last acknowledgement of any kind."""


def dead(info: PathInfo, outstanding: bool, limit: float) -> bool:
    """Whether one look says that the path is dead.

    The peer owes an answer (data is outstanding, and was sent again or asked
    after) and has acknowledged nothing for longer than `limit`. A peer that
    does not read, but lives, answers the probes of its closed window.

    One look can mislead; `DeadPath` knows how.

    :param outstanding: there is data the peer has not acknowledged.
    :param limit: seconds.
    """
    return outstanding and _asked(info) and info.last_ack_recv > limit * 1000


def _asked(info: PathInfo) -> bool:
    """Whether the kernel asked again, and was not answered yet."""
    return info.retransmits > 0 or info.probes > 0


@define
class DeadPath:
    """Tells a dead path from a slow peer, by a look at regular intervals.

    Two things that a single look gets wrong are kept in mind between looks:

    * After a long silence that was in order, the last acknowledgement is old
      when the first new data is sent: one lost packet, and `dead` holds. So
      the time counts from when data was outstanding, too.
    * While a window is closed, the kernel's probes are up to two minutes apart,
      and the last acknowledgement is as old when the next one leaves: until it
      is answered, `dead` holds. So a probe gets a quarter of the limit.

    With a look every `interval` a path is found dead between nine tenths of
    the limit and the limit after the peer stopped answering; later only where
    the kernel itself takes longer to ask (see `probe_gap`), or its first
    timeout is longer than two thirds of the limit.

    :ivar limit: seconds, at least `SHORTEST`.
    :raises ValueError: the limit is shorter.
    """

    limit: float = field(validator=ge(SHORTEST))
    _outstanding: float | None = None
    _unanswered: float | None = None

    @property
    def interval(self) -> float:
        """Seconds from one look to the next, while data is outstanding."""
        return self.limit / 20

    def look(self, now: float, info: PathInfo, outstanding: bool) -> bool:
        """Whether the path is dead.

        :param outstanding: there is data the peer has not acknowledged.
        """
        self._outstanding = _since(self._outstanding, now, outstanding)
        self._unanswered = _since(self._unanswered, now, outstanding and _asked(info))
        if self._outstanding is None or self._unanswered is None:
            return False
        # The end of the wait falls between two looks, and so did its beginning.
        patience = self.limit - 2 * self.interval
        return (
            dead(info, outstanding, patience)
            and now - self._outstanding >= patience
            and now - self._unanswered >= self.limit / 4
        )


def _since(before: float | None, now: float, holds: bool) -> float | None:
    """When something began that `holds` now; None where it does not."""
    if not holds:
        return None
    return now if before is None else before


@frozen
class KeepAlive:
    """How an idle connection is to be probed.

    :ivar idle: seconds of silence before the first probe.
    :ivar interval: seconds from one probe to the next.
    :ivar count: unanswered probes after which the connection is dropped.
    """

    idle: int
    interval: int
    count: int


def keepalive_for(limit: float) -> KeepAlive:
    """Keepalive that ends an idle connection within `limit` seconds of silence.

    Half of the time passes in silence, and a tenth is left to the kernel's
    timers, which are late by up to that.

    :raises ValueError: the limit is shorter than `SHORTEST`.
    """
    if not limit >= SHORTEST:
        raise ValueError(f"a dead path cannot be told in less than {SHORTEST:g} s: {limit:g}")
    # The largest that Linux takes (tcp.h, MAX_TCP_KEEPIDLE); it is nine hours.
    limit = min(limit, 32767.0)
    idle = int(limit / 2)
    rest = limit * 0.9 - idle
    interval = max(1, int(rest / 3))
    return KeepAlive(idle, interval, max(1, min(3, int(rest / interval))))


def probe_gap(limit: float) -> float:
    """How far apart the kernel's own probes and repeats may be, seconds.

    Left alone they move two minutes apart, and nobody can notice in less that
    they are not answered any more.
    """
    return min(120.0, max(1.0, limit / 4))
