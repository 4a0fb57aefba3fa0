"""The dead-path rule on one connection: the kernel's figures, a look now and then.

Idle, the kernel's own keepalive asks; busy, `nbclient.core.liveness.DeadPath`
decides. A live peer that merely does not read is never taken for dead, which
TCP_USER_TIMEOUT alone would do (docs/delivery.md).
"""

from __future__ import annotations

import socket
from typing import Any

from nbclient.core.liveness import DeadPath
from nbclient.kernel.tcpinfo import CLOSE, keepalive, outq, read, supported, tcp_socket

UNSEEN = 0.25
"""So much of the limit from one look to the next shows a standstill; a twentieth is due."""


class PathWatch:
    """Watches one TCP connection; the timer is its owner's.

    :param raw: the transport with the socket.
    :param limit: seconds, at least `nbclient.core.liveness.SHORTEST`.
    """

    __slots__ = ("_looked", "_path", "_sock", "limit")

    def __init__(self, raw: Any, limit: float) -> None:
        self.limit = limit
        self._path: DeadPath | None = None  # made at the first look: most links are quiet
        self._looked = 0.0
        self._sock: socket.socket | None = None
        handle = tcp_socket(raw)
        if handle is None:
            return
        keepalive(handle, limit)
        support = supported()
        if support or support.passing:  # what is short now has nothing to do with this kernel
            self._sock = handle

    @property
    def interval(self) -> float | None:
        """Seconds from one `look` to the next while data is outstanding.

        None where the kernel cannot be asked, and keepalive has to do.
        """
        return None if self._sock is None else DeadPath(self.limit).interval

    def look(self, now: float) -> bool | None:
        """Whether the path is dead; None where nothing is outstanding, and no look is due."""
        if self._sock is None:
            return None
        if self._path is None or now - self._looked > self.limit * UNSEEN:
            # After a standstill of this process, or of all the machine, nothing is known of
            # the time between two looks: it counts from now.
            self._path = DeadPath(self.limit)
        self._looked = now
        outstanding = outq(self._sock) > 0
        dead = self._path.look(now, read(self._sock), outstanding)
        return dead if outstanding else None

    def died(self) -> bool:
        """Whether the kernel itself ended the connection for want of answers."""
        if self._sock is None:
            return False
        info = read(self._sock)
        asked = info.probes > 0 or info.retransmits > 0
        # A peer that reads nothing is probed, too, and answers, until it resets.
        silent = info.last_ack_recv >= 1000 * self.limit / 2
        return info.state == CLOSE and asked and silent

    def close(self) -> None:
        """Let the connection go."""
        self._sock = None
