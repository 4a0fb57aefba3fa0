"""What the kernel says of a connection, read from structs made here.

On real connections: tests/wire/test_tcpinfo_wire.py.
"""

from __future__ import annotations

import errno
import re
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest

from nbclient.kernel import tcpinfo
from nbclient.kernel.tcpinfo import CLOSE, ESTABLISHED, Probe, Settling, Support, TcpInfo

OFFSETS = {
    # uapi/linux/tcp.h, counted by hand.
    "state": (0, "B"),
    "retransmits": (2, "B"),
    "probes": (3, "B"),
    "backoff": (4, "B"),
    "rto": (8, "I"),
    "unacked": (24, "I"),
    "last_data_sent": (44, "I"),
    "last_data_recv": (52, "I"),
    "last_ack_recv": (56, "I"),
    "rtt": (68, "I"),
    "rttvar": (72, "I"),
    "total_retrans": (100, "I"),
    "bytes_acked": (120, "Q"),
    "bytes_received": (128, "Q"),
    "notsent": (144, "I"),
    "bytes_sent": (200, "Q"),
    "bytes_retrans": (208, "Q"),
    "snd_wnd": (228, "I"),
}


def made(size: int = 280, **values: int) -> bytes:
    """A struct as a kernel writes it."""
    data = bytearray(280)
    for name, value in values.items():
        offset, code = OFFSETS[name]
        struct.pack_into("=" + code, data, offset, value)
    return bytes(data[:size])


@attrs.define(eq=False)
class FakeSocket:
    """A connection of which the kernel says what the test wants."""

    acked: int = 1
    waiting: int = 0
    state: int = ESTABLISHED
    options: list[tuple[int, int, int]] = attrs.field(factory=list)
    refuses: int | None = None
    closed: bool = False
    copies: int = 1
    before_looking: Callable[[], None] = lambda: None

    def dup(self) -> FakeSocket:
        if not self.copies:
            raise OSError(errno.EMFILE, "Too many open files")
        self.copies -= 1
        return self

    def getsockopt(self, level: int, option: int, size: int) -> bytes:
        if self.closed:
            raise OSError(errno.EBADF, "closed")
        assert (level, option) == (socket.IPPROTO_TCP, 11)
        self.before_looking()
        return made(bytes_acked=self.acked, state=self.state)[:size]

    def setsockopt(self, level: int, option: int, value: int) -> None:
        if option == self.refuses:
            raise OSError(errno.ENOPROTOOPT, "unknown")
        self.options.append((level, option, value))

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def sock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The kernel's queue is the fake's."""
    monkeypatch.setattr(tcpinfo, "outq", lambda sock: sock.waiting)
    return FakeSocket()


# -- the struct


def test_each_field_is_where_linux_puts_it() -> None:
    for place, name in enumerate(OFFSETS):
        info = tcpinfo.parse(made(**{name: 7 + place}))
        assert getattr(info, name) == 7 + place
        others = attrs.asdict(info)
        del others[name]
        assert not any(others.values())
    assert list(OFFSETS) == [field.name for field in attrs.fields(TcpInfo)]


def test_counters_of_bytes_are_64_bits_wide() -> None:
    assert tcpinfo.parse(made(bytes_acked=2**40)).bytes_acked == 2**40


@pytest.mark.parametrize(
    ("size", "known", "unknown"),
    [
        (104, "total_retrans", "bytes_acked"),
        (136, "bytes_received", "notsent"),
        (192, "notsent", "bytes_sent"),
        (224, "bytes_retrans", "snd_wnd"),
        (231, "bytes_retrans", "snd_wnd"),
    ],
)
def test_what_an_older_kernel_does_not_know_is_none(size: int, known: str, unknown: str) -> None:
    info = tcpinfo.parse(made(size))
    assert getattr(info, known) == 0
    assert getattr(info, unknown) is None


def test_what_a_newer_kernel_knows_besides_is_passed_over() -> None:
    assert tcpinfo.parse(made(state=ESTABLISHED) + bytes(100)) == tcpinfo.parse(
        made(state=ESTABLISHED)
    )


@pytest.fixture
def unconnected() -> Iterator[socket.socket]:
    with socket.socket() as sock:
        yield sock


needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="TCP_INFO is Linux' own")


@needs_linux
def test_a_socket_may_be_given_by_its_number_and_stays_open(unconnected: socket.socket) -> None:
    by_number = tcpinfo.read(unconnected.fileno())
    assert by_number.state == tcpinfo.read(unconnected).state == CLOSE


@needs_linux
def test_a_queue_that_never_was_is_empty(unconnected: socket.socket) -> None:
    assert tcpinfo.outq(unconnected) == tcpinfo.outq(unconnected.fileno()) == 0


@needs_linux
def test_what_is_no_tcp_socket_is_refused_and_nothing_stays_open() -> None:
    one, other = socket.socketpair()
    with one, other:
        for ask in (tcpinfo.read, Probe):
            with pytest.raises(OSError, match="not supported"):
                ask(one)


# -- the probe


def test_what_was_acknowledged_counts_from_when_the_probe_was_made(sock: Any) -> None:
    """The SYN, and whatever was said to a proxy before, is none of the payload."""
    sock.acked, sock.waiting = 41, 10
    probe = Probe(sock)
    sock.acked, sock.waiting = 45, 106
    assert probe.acked_payload(100) == 0
    sock.acked, sock.waiting = 81, 70
    assert probe.acked_payload(100) == 30


def test_an_acknowledgement_between_two_looks_is_not_counted_twice_or_lost(sock: Any) -> None:
    sock.waiting = 100
    arrivals = iter([0, 60, 40])

    def acknowledge() -> None:
        count = next(arrivals, 0)
        sock.acked += count
        sock.waiting -= count

    sock.before_looking = acknowledge
    probe = Probe(sock)
    assert (sock.acked, sock.waiting) == (101, 0)
    sock.acked += 5
    assert probe.acked_payload(5) == 5


def test_our_fin_does_not_pass_for_a_byte_the_kernel_never_got(sock: Any) -> None:
    """Of 1,000 bytes written 999 reached the kernel; the last was still with us."""
    probe = Probe(sock)
    sock.acked, sock.waiting = 501, 499
    probe.seal()
    sock.acked, sock.waiting = 1001, 0  # the FIN included
    assert probe.acked_payload(1000) == 999


def test_only_the_first_seal_counts(sock: Any) -> None:
    """At a second, the FIN is in the queue."""
    probe = Probe(sock)
    sock.acked, sock.waiting = 501, 499
    probe.seal()
    sock.waiting += 1
    probe.seal()
    sock.acked, sock.waiting = 1001, 0
    assert probe.acked_payload(1000) == 999


def test_all_is_settled_when_nothing_waits(sock: Any) -> None:
    probe = Probe(sock)
    sock.waiting = 1
    assert not probe.settled()
    assert probe.outstanding()
    sock.waiting = 0
    assert probe.settled()
    assert not probe.outstanding()


def test_all_is_settled_when_the_connection_is_over_though_something_waits(sock: Any) -> None:
    probe = Probe(sock)
    sock.waiting, sock.state = 500, CLOSE
    assert probe.settled()


def test_the_fin_need_not_be_acknowledged(sock: Any) -> None:
    probe = Probe(sock)
    sock.acked, sock.waiting = 501, 500
    probe.seal()
    sock.acked, sock.waiting = 901, 101
    assert not probe.settled()
    sock.acked, sock.waiting = 1001, 1
    assert probe.settled()


def test_before_it_is_sealed_a_probe_needs_no_descriptor_and_closes_none(sock: Any) -> None:
    probe = Probe(sock)
    sock.acked = 501
    probe.close()
    assert not sock.closed
    assert sock.copies == 1
    sock.acked = 601
    assert probe.acked_payload(1000) == 500


def test_of_a_socket_that_was_closed_unasked_nothing_is_known(sock: Any) -> None:
    probe = Probe(sock)
    sock.acked, sock.closed = 501, True
    probe.close()
    assert probe.acked_payload(1000) == 0


def test_without_a_descriptor_to_be_had_what_is_known_at_the_end_has_to_do(sock: Any) -> None:
    probe = Probe(sock)
    sock.acked, sock.waiting, sock.copies = 501, 499, 0
    probe.seal()
    sock.closed = True
    assert probe.acked_payload(1000) == 500
    assert probe.settled()
    probe.close()


def test_what_was_acknowledged_is_still_known_after_the_close(sock: Any) -> None:
    probe = Probe(sock)
    sock.acked, sock.waiting = 501, 500
    probe.seal()
    probe.close()
    assert sock.closed
    assert probe.acked_payload(1000) == 500
    assert probe.settled()
    with pytest.raises(OSError, match="closed"):
        probe.info()


def test_a_second_close_and_a_late_seal_do_nothing(sock: Any) -> None:
    probe = Probe(sock)
    sock.acked = 501
    probe.close()
    probe.close()
    probe.seal()
    assert probe.acked_payload(1000) == 500


def test_a_look_through_the_probe_shows_the_connection(sock: Any) -> None:
    assert Probe(sock).info() == tcpinfo.parse(made(bytes_acked=1, state=ESTABLISHED))


# -- settling


def test_it_looks_again_after_a_while_and_less_and_less_often(sock: Any) -> None:
    sock.waiting = 500
    settling = Settling(Probe(sock), now=100, limit=3)
    delays = [settling.poll(100) for _ in range(8)]
    assert delays == [0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.05, 0.05]


def test_it_ends_and_lets_go_when_all_is_settled(sock: Any) -> None:
    probe = Probe(sock)
    sock.waiting = 500
    probe.seal()
    settling = Settling(probe, now=100, limit=3)
    assert settling.poll(100) is not None
    sock.acked, sock.waiting = 501, 0
    assert settling.poll(100.001) is None
    assert sock.closed
    assert probe.acked_payload(500) == 500


def test_it_ends_and_lets_go_at_the_limit(sock: Any) -> None:
    probe = Probe(sock)
    sock.waiting = 500
    probe.seal()
    settling = Settling(probe, now=100, limit=3)
    assert settling.poll(102.9995) == pytest.approx(0.0005)
    sock.acked, sock.waiting = 301, 200
    assert settling.poll(103) is None
    assert sock.closed
    assert probe.acked_payload(500) == 300


def test_what_is_sent_again_is_discarded_only_where_it_did_not_arrive(sock: Any) -> None:
    for waiting, discarded in ((500, 1), (0, 0)):
        sock.options.clear()
        sock.copies, sock.closed, sock.waiting = 1, False, 0
        probe = Probe(sock)
        sock.waiting = 500
        probe.discard()  # of a connection that is still its owner's
        assert sock.options == []
        probe.seal()
        sock.waiting = waiting
        assert Settling(probe, now=100, limit=0, again=True).poll(100) is None
        assert [option[1] for option in sock.options] == [socket.SO_LINGER] * discarded


def test_after_an_abort_it_does_not_wait(sock: Any) -> None:
    """The reset that was asked for is sent when the last descriptor is closed."""
    sock.waiting = 500
    probe = Probe(sock)
    probe.seal()
    assert Settling(probe, now=100, limit=0).poll(100) is None
    assert sock.closed


# -- keepalive


def tcp(name: str) -> tuple[int, int]:
    return socket.IPPROTO_TCP, getattr(socket, name)


def on(monkeypatch: pytest.MonkeyPatch, platform: str) -> None:
    monkeypatch.setattr(sys, "platform", platform)


def test_the_kernel_is_told_when_to_ask(sock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, "linux")
    tcpinfo.keepalive(sock, 60)
    assert sock.options == [
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (*tcp("TCP_KEEPIDLE"), 30),
        (*tcp("TCP_KEEPINTVL"), 8),
        (*tcp("TCP_KEEPCNT"), 3),
        (socket.IPPROTO_TCP, 44, 15_000),
    ]


def test_a_kernel_that_cannot_ask_more_often_is_left_alone(
    sock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    on(monkeypatch, "linux")
    sock.refuses = 44
    tcpinfo.keepalive(sock, 60)
    assert len(sock.options) == 4


def test_a_kernel_that_knows_no_keepalive_is_an_error(sock: Any) -> None:
    sock.refuses = socket.TCP_KEEPINTVL
    with pytest.raises(OSError, match="unknown"):
        tcpinfo.keepalive(sock, 60)


def test_elsewhere_keepalive_has_another_name_and_is_all_there_is(
    sock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    on(monkeypatch, "darwin")
    monkeypatch.delattr(socket, "TCP_KEEPIDLE")
    monkeypatch.setattr(socket, "TCP_KEEPALIVE", 16, raising=False)
    tcpinfo.keepalive(sock, 60)
    assert sock.options[1] == (socket.IPPROTO_TCP, 16, 30)
    assert len(sock.options) == 4


# -- the self-test


@pytest.fixture
def trial(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Any], None]]:
    """Replaces the self-test's connection; what was found before is forgotten, and after."""

    def replace(found: Any) -> None:
        def trial() -> str:
            if isinstance(found, Exception):
                raise found
            return str(found)

        monkeypatch.setattr(tcpinfo, "_trial", trial)

    on(monkeypatch, "linux")
    tcpinfo.forget_support()
    yield replace
    tcpinfo.forget_support()


def test_where_the_counter_is_right_it_can_be_had(trial: Callable[[Any], None]) -> None:
    trial("")
    assert tcpinfo.supported()
    assert tcpinfo.supported() == Support("")


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ("the counter is wrong", "the counter is wrong"),
        (OSError(errno.EADDRNOTAVAIL, "no loopback"), "could not be asked .* no loopback"),
        (TimeoutError("timed out"), "could not be asked .* timed out"),
        (struct.error("too short"), "could not be asked .* too short"),
    ],
)
def test_where_it_cannot_be_had_the_reason_is_one_line(
    trial: Callable[[Any], None], found: object, reason: str
) -> None:
    trial(found)
    support = tcpinfo.supported()
    assert not support
    assert re.search(reason, support.reason)


def test_other_systems_are_not_even_asked(
    trial: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    trial(AssertionError("asked"))
    on(monkeypatch, "darwin")
    assert tcpinfo.supported().reason.endswith("this is darwin")


def test_it_is_tried_once(trial: Callable[[Any], None]) -> None:
    trial("")
    assert tcpinfo.supported()
    trial("never asked")
    assert tcpinfo.supported()


@pytest.mark.parametrize(
    ("number", "passing"),
    [
        (errno.EMFILE, True),
        (errno.ENFILE, True),
        (errno.ENOMEM, True),
        (errno.ENOBUFS, True),
        (errno.EADDRNOTAVAIL, False),  # loopback may come up
        (errno.ENETUNREACH, False),
    ],
)
def test_what_passes_is_not_kept(trial: Callable[[Any], None], number: int, passing: bool) -> None:
    trial(OSError(number, "not now"))
    support = tcpinfo.supported()
    assert (bool(support), support.passing) == (False, passing)
    trial("")
    assert tcpinfo.supported()


@pytest.mark.parametrize(
    "found", [OSError(errno.ENOPROTOOPT, "unknown"), TimeoutError("late"), "the counter is wrong"]
)
def test_what_is_so_for_good_is_kept(trial: Callable[[Any], None], found: object) -> None:
    trial(found)
    assert not tcpinfo.supported()
    trial("")
    assert not tcpinfo.supported()


class Transport:
    """With a socket."""

    def __init__(self, handle: object) -> None:
        self.handle = handle

    def getHandle(self) -> object:
        return self.handle


def test_what_is_written_need_not_wait_for_more() -> None:
    with socket.socket() as sock:
        tcpinfo.no_delay(Transport(sock))
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_socket_that_is_gone_or_no_tcp_is_left_alone() -> None:
    sock = socket.socket()
    sock.close()
    tcpinfo.no_delay(Transport(sock))
    tcpinfo.no_delay(Transport(None))
