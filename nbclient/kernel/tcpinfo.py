"""What the kernel knows of a TCP connection: Linux' ``TCP_INFO`` and ``SIOCOUTQ``.

Everything here is a system call or two, without Twisted. Where the platform has
none of it, `supported` says so, and nothing else should be called (but
`keepalive`, which works everywhere).

The layout is that of ``struct tcp_info`` in Linux' ``include/uapi/linux/tcp.h``,
which only ever grows; what an older kernel does not know is None here.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
import sys
import time
from functools import cache
from typing import Any, cast

from attrs import frozen

from nbclient.core.liveness import keepalive_for, probe_gap
from nbclient.delivery.ledger import payload

ESTABLISHED = 1
CLOSE = 7
"""Values of `TcpInfo.state` (Linux' ``net/tcp_states.h``)."""

_TCP_INFO = 11
_TCP_RTO_MAX_MS = 44  # Linux 6.15
_LONGEST = 512  # more than the struct has ever had
_RESET = struct.pack("ii", 1, 0)  # of SO_LINGER: a close sends a reset and drops what waits
_BYTES_ACKED = struct.Struct("=120xQ")


@frozen
class TcpInfo:
    """A look at one connection. Counters of bytes begin with the connection.

    :ivar state: `ESTABLISHED`, `CLOSE`, or another of Linux' states.
    :ivar retransmits: timeouts since data was last acknowledged.
    :ivar probes: window or keepalive probes since the last answer.
    :ivar backoff: how often the timeout was doubled.
    :ivar rto: the timeout until data is sent again, microseconds.
    :ivar unacked: segments sent and not acknowledged.
    :ivar last_data_sent: milliseconds since data was sent.
    :ivar last_data_recv: milliseconds since data was received.
    :ivar last_ack_recv: milliseconds since the last acknowledgement of any kind.
    :ivar rtt: the smoothed round-trip time, microseconds.
    :ivar rttvar: its variation, microseconds.
    :ivar total_retrans: segments sent again, ever.
    :ivar bytes_acked: acknowledged by the peer, its SYN's and our FIN's byte
        included (Linux 4.1).
    :ivar bytes_received: received and acknowledged (Linux 4.1).
    :ivar notsent: bytes accepted and not sent yet (Linux 4.6).
    :ivar bytes_sent: bytes of payload sent, repeats included (Linux 4.19).
    :ivar bytes_retrans: bytes of payload sent again (Linux 4.19).
    :ivar snd_wnd: the peer's window, bytes (Linux 5.4).
    """

    state: int
    retransmits: int
    probes: int
    backoff: int
    rto: int
    unacked: int
    last_data_sent: int
    last_data_recv: int
    last_ack_recv: int
    rtt: int
    rttvar: int
    total_retrans: int
    bytes_acked: int | None = None
    bytes_received: int | None = None
    notsent: int | None = None
    bytes_sent: int | None = None
    bytes_retrans: int | None = None
    snd_wnd: int | None = None


# In the order of the class: where, and how wide.
_LAYOUT = tuple(
    (offset, struct.Struct("=" + code))
    for offset, code in (
        (0, "B"),
        (2, "B"),
        (3, "B"),
        (4, "B"),
        (8, "I"),
        (24, "I"),
        (44, "I"),
        (52, "I"),
        (56, "I"),
        (68, "I"),
        (72, "I"),
        (100, "I"),
        (120, "Q"),
        (128, "Q"),
        (144, "I"),
        (200, "Q"),
        (208, "Q"),
        (228, "I"),
    )
)


def parse(data: bytes) -> TcpInfo:
    """The struct as a kernel wrote it, of whatever length it knows."""
    values: list[Any] = [
        field.unpack_from(data, offset)[0]
        for offset, field in _LAYOUT
        if offset + field.size <= len(data)
    ]
    return TcpInfo(*values)


def read(sock: socket.socket | int) -> TcpInfo:
    """Look at a TCP socket, given as such or as its descriptor.

    :raises OSError: it is no TCP socket, or is closed.
    """
    return parse(_struct(sock))


def outq(sock: socket.socket | int) -> int:
    """Bytes that the kernel has accepted and the peer has not acknowledged.

    Our FIN, once sent, counts as one.

    :raises OSError: it is no socket, or is closed.
    """
    # Not at the top: Windows has neither.
    import fcntl
    import termios

    answer = fcntl.ioctl(sock, termios.TIOCOUTQ, b"\0\0\0\0")
    return int.from_bytes(answer, sys.byteorder)


def sent_within(sock: socket.socket, seconds: float) -> bool:
    """Whether the kernel sent data so lately; False where the socket is closed."""
    try:
        return read(sock).last_data_sent <= seconds * 1000
    except OSError:
        return False


def received(sock: socket.socket) -> bool:
    """Whether any data has arrived on the connection; False where the socket is closed."""
    try:
        return bool(read(sock).bytes_received)
    except OSError:
        return False


def _struct(sock: socket.socket | int) -> bytes:
    if isinstance(sock, int):
        # The family is of no account here; naming one saves looking it up.
        borrowed = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, sock)
        try:
            return _struct(borrowed)
        finally:
            borrowed.detach()
    return sock.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _LONGEST)


def _bytes_acked(sock: socket.socket) -> int:
    """Only that counter: what is asked for at every write."""
    acked: int = _BYTES_ACKED.unpack_from(_struct(sock))[0]
    return acked


def _accepted(sock: socket.socket) -> int:
    """All that the kernel ever took, on the scale of `TcpInfo.bytes_acked`."""
    after = _bytes_acked(sock)
    while True:
        # An acknowledgement between the two looks would be in both or in neither.
        before, waiting = after, outq(sock)
        after = _bytes_acked(sock)
        if after == before:
            return after + waiting


class Probe:
    """Sees what became of the bytes of one connection, even after its end.

    From `seal` on it holds a duplicate of the descriptor, because Twisted closes
    its own before anybody hears of the loss. So a `close` is owed: until then the
    kernel keeps the connection, and what Twisted's ``abortConnection`` asked
    for (a reset) waits for it, too. Before, it needs no descriptor of its own.

    :param sock: a connected TCP socket, on which nothing was written that
        still waits in user space. Payload counts from here.
    :raises OSError: it is no TCP socket.
    """

    __slots__ = ("_accepted", "_base", "_final", "_own", "_sock")

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._own = False
        self._accepted: int | None = None
        self._final: int | None = None
        self._base = _accepted(sock)

    def acked_payload(self, handed_over: int) -> int:
        """How many bytes written since this probe was made the peer's kernel has.

        After `close`, what it was then.

        :param handed_over: how many were written.
        """
        acked = _bytes_acked(self._sock) if self._final is None else self._final
        if self._accepted is not None:
            handed_over = min(handed_over, self._accepted)
        return payload(acked, handed_over, self._base)

    def info(self) -> TcpInfo:
        """A look at the connection.

        :raises OSError: after `close`.
        """
        return read(self._sock)

    def outstanding(self) -> bool:
        """Whether the kernel holds anything that the peer has not acknowledged.

        :raises OSError: after `close`.
        """
        return outq(self._sock) > 0

    def seal(self) -> None:
        """Nothing more will be written: the transport is about to be closed.

        To be called before our FIN is sent, which counts as a byte: where some of
        what was written never reached the kernel, it would pass for the next byte
        of that. A half-close sends it early, but only behind all that was written.
        Only the first call counts.
        """
        if self._accepted is None and self._final is None:
            self._accepted = _accepted(self._sock) - self._base
            try:
                self._sock, self._own = self._sock.dup(), True
            except OSError:  # no descriptor left: what is known now has to do
                self._final = _bytes_acked(self._sock)

    def settled(self) -> bool:
        """Whether no more will be acknowledged: all is, or the connection is over."""
        if self._final is not None or outq(self._sock) == 0:
            return True
        if read(self._sock).state == CLOSE:
            return True
        accepted = self._accepted
        return accepted is not None and self.acked_payload(accepted) == accepted

    def discard(self) -> None:
        """Have the kernel deliver no more of what it holds, once this lets go: it resets instead.

        Only once this has a descriptor of its own, after `seal`.
        """
        if self._own and self._final is None:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)

    def close(self) -> None:
        """Let the connection go. A second call does nothing."""
        if self._final is None:
            self._final = self._base  # where its owner closed it unasked, nothing is known
            with contextlib.suppress(OSError):
                self._final = _bytes_acked(self._sock)
        if self._own:
            self._sock.close()


class Settling:
    """Waits, after a loss, until the kernel has had its last word.

    After the peer's FIN the kernel goes on delivering what it holds; to send
    that again at once would send twice what the peer does receive.

    The timer is the caller's: `poll` says when to call it next.

    :param now: seconds on the caller's monotonic scale.
    :param limit: seconds to wait at most; 0 where the connection was aborted.
    :param again: what is not acknowledged by then will be sent again on another
        connection: this one is not to deliver it later, behind what is newer.
    """

    FIRST = 0.001
    LONGEST = 0.05

    def __init__(self, probe: Probe, now: float, limit: float, again: bool = False) -> None:
        self._probe = probe
        self._again = again
        self._until = now + limit
        self._delay = self.FIRST

    def poll(self, now: float) -> float | None:
        """Look, and close the probe where there is no more to see.

        :return: seconds until the next call; None: done, and
            `Probe.acked_payload` is final.
        """
        left = self._until - now
        settled = self._probe.settled()
        if settled or left <= 0:
            if self._again and not settled:
                self._probe.discard()
            self._probe.close()
            return None
        delay = min(self._delay, left)
        self._delay = min(2 * self._delay, self.LONGEST)
        return delay


def tcp_socket(transport: Any) -> socket.socket | None:
    """The TCP socket of a Twisted transport; None where it has none (UNIX, a fake)."""
    handle: Any = transport.getHandle() if hasattr(transport, "getHandle") else None
    if getattr(handle, "family", None) in (socket.AF_INET, socket.AF_INET6):
        return cast(socket.socket, handle)
    return None


def no_delay(transport: Any) -> None:
    """Have what is written leave at once (RFC 1122, 4.2.3.4), where there is a TCP socket.

    What belongs together is written in one piece here, so that nothing is gained
    by waiting for more; but where both sides wait for each other's answers, one
    that waits for the acknowledgement of the last costs 40 ms each time.
    """
    sock = tcp_socket(transport)
    if sock is not None:
        with contextlib.suppress(OSError):  # lost already
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def keepalive(sock: socket.socket, limit: float) -> None:
    """Have the kernel ask an idle peer whether it is there, and often enough.

    A connection without traffic ends (``ETIMEDOUT``) within `limit` seconds of
    the peer's last sign. On Linux 6.15 and newer, the kernel's other questions
    (data sent again, probes of a closed window) are kept as close together as
    `nbclient.core.liveness.DeadPath` needs them; before, a path that dies while the
    peer's window is closed may take two minutes more to notice.

    :param sock: a TCP socket.
    :param limit: seconds, at least `nbclient.core.liveness.SHORTEST`.
    :raises ValueError: the limit is shorter.
    :raises OSError: it is no TCP socket.
    """
    values = keepalive_for(limit)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    idle = "TCP_KEEPIDLE" if hasattr(socket, "TCP_KEEPIDLE") else "TCP_KEEPALIVE"  # macOS
    for name, value in (
        (idle, values.idle),
        ("TCP_KEEPINTVL", values.interval),
        ("TCP_KEEPCNT", values.count),
    ):
        sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # an older kernel does not know it
            gap = round(probe_gap(limit) * 1000)
            sock.setsockopt(socket.IPPROTO_TCP, _TCP_RTO_MAX_MS, gap)


@frozen
class Support:
    """Whether the kernel can be asked; true or false as such.

    :ivar reason: why not, in one line; empty where it can.
    :ivar passing: only that a resource was short, descriptors say: nothing is known of the
        kernel, and it is tried again when next asked.
    """

    reason: str
    passing: bool = False

    def __bool__(self) -> bool:
        return not self.reason


_SHORT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})
_NOT_NOW = _SHORT | {errno.EADDRNOTAVAIL, errno.EADDRINUSE, errno.ENETUNREACH, errno.ENETDOWN}
"""Errors that say nothing of the kernel: what is short may come back, and loopback come up."""

TRIAL = 1234
"""Bytes sent by the self-test."""

PATIENCE = 1.0
"""Seconds that the self-test may take; it takes milliseconds."""


def supported() -> Support:
    """Whether this kernel counts what a peer acknowledged, and counts right.

    Tried once, on a connection over loopback: emulations of Linux lack the
    counter, or make it up. Only what is so for good is kept. Never raises.
    """
    if sys.platform != "linux":
        return Support(f"only Linux tells what a peer acknowledged; this is {sys.platform}")
    try:
        return _tried()
    except OSError as error:  # not kept: the next one who asks may learn more
        return Support(_not_asked(error), error.errno in _SHORT)


@cache
def _tried() -> Support:
    """What the self-test found.

    :raises OSError: it could not be made now.
    """
    try:
        return Support(_trial())
    except (OSError, struct.error) as error:
        if isinstance(error, OSError) and error.errno in _NOT_NOW:
            raise
        return Support(_not_asked(error))


def forget_support() -> None:
    """Try anew when next asked; for tests."""
    _tried.cache_clear()


def _not_asked(error: Exception) -> str:
    return f"the kernel could not be asked what a peer acknowledged: {error}"


def _trial() -> str:
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        listening.settimeout(PATIENCE)
        ours = stack.enter_context(
            socket.create_connection(listening.getsockname(), timeout=PATIENCE)
        )
        stack.enter_context(listening.accept()[0])
        ours.sendall(bytes(TRIAL))
        wanted = TRIAL + 1  # the SYN
        until = time.monotonic() + PATIENCE
        late = False
        while (shown := _look(ours)) != (wanted, 0):
            if late:  # and looked once more: this process may have stood still
                return (
                    f"this kernel's counter of acknowledged bytes is wrong: it shows {shown[0]} "
                    f"and {shown[1]} waiting where it should show {wanted} and 0"
                )
            time.sleep(0.001)
            late = time.monotonic() > until
    return ""


def _look(sock: socket.socket) -> tuple[int, int]:
    return _bytes_acked(sock), outq(sock)
