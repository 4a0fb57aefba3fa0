"""Dead paths and slow peers, in network namespaces of this test's own.

One namespace is ours; behind one wire is a peer whose namespace drops what
arrives, from some moment on; behind another is a peer that is alive, and does
not read for ten times the limit. All connections are watched at once, so the
whole takes as long as the longest: some twenty seconds.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import attrs
import pytest

from nbclient.core.liveness import DeadPath
from nbclient.kernel import tcpinfo
from nbclient.kernel.tcpinfo import CLOSE, ESTABLISHED, Probe

T = TypeVar("T")

LIMIT = 2.0
"""Seconds; the shortest there is."""

SLOW = 10 * LIMIT
"""How long the live peer does not read, seconds."""

CLONE_NEWNET = 0x40000000  # sched.h


def why_not() -> str:
    """Why the namespaces cannot be had; empty where they can."""
    if sys.platform != "linux":
        return "network namespaces are Linux' own"
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "network namespaces need ip (Debian: iproute2)"
    if not tcpinfo.supported():
        return tcpinfo.supported().reason
    return ""


def ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, timeout=10, check=False)
    if done.returncode:
        raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")


def inside(space: str, make: Callable[[], T]) -> T:
    """Call in a thread that enters the namespace; the socket it makes stays there."""
    made: list[T] = []

    def enter() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        with open(f"/run/netns/{space}") as file:
            if libc.setns(file.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
        made.append(make())

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join(10)
    return made[0]


@attrs.frozen
class Wire:
    """Our namespace, the peer's, and the peer's address."""

    ours: str
    peer: str
    address: str

    def listen(self) -> socket.socket:
        def make() -> socket.socket:
            sock = socket.socket()
            # Small, so that a peer that does not read is soon full.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            sock.bind((self.address, 0))
            sock.listen()
            return sock

        return inside(self.peer, make)

    def connect(self, port: int) -> socket.socket:
        return inside(self.ours, lambda: socket.create_connection((self.address, port), timeout=5))

    def drop(self) -> None:
        """From now on the peer's kernel drops what arrives, without a word."""
        # Above the table of its own addresses, which comes first otherwise.
        ip("-n", self.peer, "rule", "add", "pref", "10", "lookup", "local")
        ip("-n", self.peer, "rule", "del", "pref", "0")
        ip("-n", self.peer, "rule", "add", "pref", "5", "iif", "wire", "blackhole")


@contextlib.contextmanager
def wires(*nets: str) -> Iterator[list[Wire]]:
    """A wire for each net, from one namespace of ours; gone afterwards, whatever happens."""
    stem = f"nbclient-{os.getpid()}-{time.monotonic_ns()}"
    with contextlib.ExitStack() as stack:

        def space(name: str) -> str:
            ip("netns", "add", f"{stem}-{name}")
            stack.callback(ip, "netns", "del", f"{stem}-{name}")
            return f"{stem}-{name}"

        ours, made = space("ours"), []
        for number, net in enumerate(nets):
            peer, end = space(f"peer{number}"), f"wire{number}"
            ip("link", "add", end, "netns", ours, "type", "veth", "peer", "wire", "netns", peer)
            for owner, name, host in ((ours, end, 1), (peer, "wire", 2)):
                ip("-n", owner, "addr", "add", f"{net}.{host}/24", "dev", name)
                ip("-n", owner, "link", "set", name, "up")
            made.append(Wire(ours, peer, f"{net}.2"))
        yield made


@attrs.define(eq=False)
class Watched:
    """A connection of ours, and what became of it.

    :ivar found: seconds until the rule took it for dead.
    :ivar closed: seconds until the kernel closed it.
    :ivar accepted: bytes that the kernel took from us.
    :ivar oldest_ack: the longest that the peer acknowledged nothing, seconds.
    :ivar quiet_before: how long that was when the path died, with data outstanding.
    """

    ours: socket.socket
    peer: socket.socket
    probe: Probe
    path: DeadPath = attrs.field(factory=lambda: DeadPath(LIMIT))
    found: float | None = None
    closed: float | None = None
    accepted: int = 0
    oldest_ack: float = 0.0
    quiet_before: float = 0.0
    _next: float = 0.0

    def fill(self) -> None:
        """Write until the kernel takes no more."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self.accepted += self.ours.send(bytes(65536))

    def look(self, now: float, began: float) -> None:
        """As a link does it: at the rule's interval."""
        if now < self._next:
            return
        self._next = now + self.path.interval
        info = self.probe.info()
        self.oldest_ack = max(self.oldest_ack, info.last_ack_recv / 1000)
        if info.state == CLOSE:
            self.closed = self.closed or now - began
        elif self.path.look(now, info, self.probe.outstanding()):
            self.found = self.found or now - began

    def read_all(self) -> int:
        """What the peer still receives, once it reads."""
        self.peer.settimeout(5)
        total = 0
        while total < self.accepted:
            total += len(self.peer.recv(65536))
        return total


@attrs.define
class Outcome:
    """What the tests below look at.

    :ivar late: by how much this machine was late, at worst, seconds.
    """

    idle: Watched
    unasked: Watched
    written_later: Watched
    streaming: Watched
    zero_then_dead: Watched
    slow: Watched
    slow_older_kernel: Watched
    slow_user_timeout: Watched
    quiet: Watched
    late: float = 0.0

    def all(self) -> list[Watched]:
        return [value for value in attrs.astuple(self, recurse=False) if isinstance(value, Watched)]


DEAD = ("idle", "unasked", "written_later", "streaming", "zero_then_dead")
LIVE = ("slow", "slow_older_kernel", "slow_user_timeout", "quiet")


@pytest.fixture(scope="module")
def outcome() -> Iterator[Outcome]:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with contextlib.ExitStack() as stack:
        try:
            dying, living = stack.enter_context(wires("192.0.2", "198.51.100"))
        except OSError as error:
            pytest.skip(f"network namespaces cannot be made: {error}")

        def connections(wire: Wire, names: tuple[str, ...]) -> dict[str, Watched]:
            listening = stack.enter_context(wire.listen())
            made = {}
            for name in names:
                ours = stack.enter_context(wire.connect(listening.getsockname()[1]))
                ours.setblocking(False)
                peer = stack.enter_context(listening.accept()[0])
                probe = Probe(ours)
                stack.callback(probe.close)
                made[name] = Watched(ours, peer, probe)
            return made

        outcome = Outcome(**connections(dying, DEAD), **connections(living, LIVE))
        experiment(outcome, dying)
        yield outcome


def experiment(outcome: Outcome, dying: Wire) -> None:
    """Everything at once; afterwards the outcome says what was found when."""
    ignorant = (outcome.unasked, outcome.slow_older_kernel, outcome.slow_user_timeout)
    for watched in outcome.all():
        if watched not in ignorant:
            tcpinfo.keepalive(watched.ours, LIMIT)
    outcome.slow_user_timeout.ours.setsockopt(
        socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(LIMIT * 1000)
    )
    full = (
        outcome.zero_then_dead,
        outcome.slow,
        outcome.slow_older_kernel,
        outcome.slow_user_timeout,
    )
    for _ in range(20):  # what was sent is acknowledged, and makes room
        for watched in (*full, outcome.streaming):
            watched.fill()
        time.sleep(0.02)
    watch(outcome, 0.5)  # the windows are closed, and the kernel has asked
    for watched in outcome.all():
        if watched.probe.outstanding():
            watched.quiet_before = watched.probe.info().last_ack_recv / 1000
    dying.drop()
    outcome.written_later.accepted = outcome.written_later.ours.send(bytes(500))
    for watched in outcome.all():
        watched.found = watched.closed = None
    watch(outcome, SLOW)


def watch(outcome: Outcome, seconds: float) -> None:
    began = now = time.monotonic()
    while now < began + seconds:
        for watched in outcome.all():
            watched.look(now, began)
        read_some(outcome.streaming)
        time.sleep(0.01)
        before, now = now, time.monotonic()
        outcome.late = max(outcome.late, now - before - 0.01)


def read_some(streaming: Watched) -> None:
    """A stream in full flow: as much is written as the peer reads."""
    with contextlib.suppress(BlockingIOError):
        streaming.peer.setblocking(False)
        streaming.peer.recv(65536)
    if streaming.found is None:  # a link would have dropped it
        streaming.fill()


@pytest.mark.parametrize("name", ["written_later", "streaming", "zero_then_dead"])
def test_a_dead_path_is_noticed_within_the_limit(outcome: Outcome, name: str) -> None:
    """Whether data was sent afterwards, was on the way, or waited for a window."""
    watched: Watched = getattr(outcome, name)
    assert watched.found is not None
    assert watched.found <= LIMIT + outcome.late
    assert watched.found + watched.quiet_before >= 0.9 * LIMIT


def test_an_idle_dead_path_is_noticed_by_keepalive_within_the_limit(outcome: Outcome) -> None:
    assert outcome.idle.closed is not None
    # The kernel's timers are late by up to an eighth.
    assert outcome.idle.closed <= LIMIT * 1.125 + outcome.idle.path.interval + outcome.late
    with pytest.raises(TimeoutError):
        outcome.idle.ours.recv(1)


def test_without_keepalive_an_idle_dead_path_is_never_noticed(outcome: Outcome) -> None:
    """Or the test above would show nothing."""
    assert outcome.unasked.probe.info().state == ESTABLISHED
    assert outcome.unasked.found is None


@pytest.mark.parametrize("name", ["slow", "slow_older_kernel"])
def test_a_live_peer_that_does_not_read_for_ten_limits_is_not_dropped(
    outcome: Outcome, name: str
) -> None:
    """Also where the kernel's probes move apart, as before Linux 6.15."""
    watched: Watched = getattr(outcome, name)
    info = watched.probe.info()
    assert (watched.found, watched.closed, info.state) == (None, None, ESTABLISHED)
    assert watched.probe.outstanding()
    assert watched.read_all() == watched.accepted


def test_the_probes_of_a_closed_window_stay_close_together(outcome: Outcome) -> None:
    """As they must, for a path that dies meanwhile to be noticed; needs Linux 6.15."""
    if outcome.slow_older_kernel.oldest_ack < LIMIT:
        pytest.fail("the kernel's own probes did not move apart: nothing is shown")
    known = inquire(outcome.slow.ours)
    assert not known or outcome.slow.oldest_ack < 0.9 * LIMIT


def inquire(sock: socket.socket) -> bool:
    """Whether this kernel can be told how far apart its probes may be."""
    try:
        return sock.getsockopt(socket.IPPROTO_TCP, 44) > 0
    except OSError:
        return False


def test_tcp_user_timeout_drops_that_same_live_peer(outcome: Outcome) -> None:
    """Which is why it is not used; and that peer is what it is meant to be."""
    assert outcome.slow_user_timeout.closed is not None


def test_a_live_idle_peer_is_not_dropped(outcome: Outcome) -> None:
    watched = outcome.quiet
    assert watched.probe.info().state == ESTABLISHED
    assert (watched.found, watched.closed) == (None, None)
    assert watched.oldest_ack < LIMIT
