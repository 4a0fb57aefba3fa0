"""The kernel's counters on real connections over loopback: exact, to the byte."""

from __future__ import annotations

import fcntl
import socket
import struct
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Callable, Iterator
from shutil import rmtree
from typing import Any

import attrs
import pytest
from OpenSSL import SSL
from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IOpenSSLContextFactory
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from nbclient import endpoints
from nbclient.endpoints import tls_endpoint
from nbclient.endpoints.tls_count import CountingConnection
from nbclient.kernel import tcpinfo
from nbclient.kernel.tcpinfo import CLOSE, ESTABLISHED, Probe, Settling
from tests.certs import Certs, make_certs

reactor: Any = _reactor

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="TCP_INFO is Linux' own")


@attrs.define
class Connection:
    """Both ends, as plain sockets, and a probe on ours."""

    ours: socket.socket
    peer: socket.socket
    probe: Probe

    def acked(self) -> int:
        shown = self.probe.info().bytes_acked
        assert shown is not None
        return shown

    def fill(self) -> int:
        """Write until the kernel takes no more; how much it took."""
        self.ours.setblocking(False)
        total = 0
        while True:
            try:
                total += self.ours.send(bytes(65536))
            except BlockingIOError:
                return total

    def drain(self) -> int:
        """Read at the peer to the end of the connection."""
        total = 0
        while data := self.peer.recv(65536):
            total += len(data)
        return total

    def reset(self) -> None:
        """The peer is gone at once."""
        self.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.peer.close()


@pytest.fixture
def connection() -> Iterator[Connection]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        # Small, so that a peer that does not read is soon full.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        with socket.create_connection(listening.getsockname()) as ours:
            probe = Probe(ours)
            peer = listening.accept()[0]
            peer.settimeout(10)
            with peer:
                yield Connection(ours, peer, probe)
            probe.close()


def until(true: Callable[[], bool], what: str) -> None:
    """Wait for what the kernel does in its own time."""
    limit = time.monotonic() + 10
    while not true():
        assert time.monotonic() < limit, f"never: {what}"
        time.sleep(0.001)


def test_it_is_known_how_lately_something_left(connection: Connection) -> None:
    ours = connection.ours
    ours.sendall(b"x")
    assert tcpinfo.sent_within(ours, 60)
    time.sleep(0.1)
    assert not tcpinfo.sent_within(ours, 0.05)
    closed = socket.socket()
    closed.close()
    assert not tcpinfo.sent_within(closed, 60)


def test_it_is_known_whether_anything_came(connection: Connection) -> None:
    assert not tcpinfo.received(connection.ours)
    connection.peer.sendall(b"x")
    until(lambda: tcpinfo.received(connection.ours), "received")
    closed = socket.socket()
    closed.close()
    assert not tcpinfo.received(closed)


def test_the_self_test_passes_here() -> None:
    tcpinfo.forget_support()
    assert tcpinfo.supported().reason == ""


def test_the_self_test_finds_a_counter_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcpinfo, "_look", lambda sock: (1, 0))
    monkeypatch.setattr(tcpinfo, "PATIENCE", 0.05)
    tcpinfo.forget_support()
    try:
        assert "it shows 1 and 0 waiting where it should show 1235" in tcpinfo.supported().reason
    finally:
        tcpinfo.forget_support()


def test_idle_the_side_that_connected_shows_its_syn(connection: Connection) -> None:
    assert connection.acked() == 1
    assert connection.probe.acked_payload(0) == 0
    assert connection.probe.info().state == ESTABLISHED


def test_the_side_that_accepted_counts_from_its_own_beginning(connection: Connection) -> None:
    probe = Probe(connection.peer)
    try:
        connection.peer.sendall(bytes(1000))
        until(lambda: not probe.outstanding(), "acknowledged")
        assert probe.acked_payload(1000) == 1000
    finally:
        probe.close()


def test_each_byte_written_counts_once(connection: Connection) -> None:
    connection.ours.sendall(bytes(1000))
    until(lambda: connection.acked() == 1001, "acknowledged")
    assert connection.probe.acked_payload(1000) == 1000
    info = connection.probe.info()
    assert (info.bytes_sent, info.notsent, info.unacked) == (1000, 0, 0)


def test_a_probe_made_late_counts_from_there(connection: Connection) -> None:
    connection.ours.sendall(bytes(700))
    late = Probe(connection.ours)
    try:
        connection.ours.sendall(bytes(300))
        until(lambda: connection.acked() == 1001, "acknowledged")
        assert late.acked_payload(300) == 300
    finally:
        late.close()


def test_our_fin_counts_for_the_kernel_and_not_for_us(connection: Connection) -> None:
    connection.ours.sendall(bytes(1000))
    connection.ours.shutdown(socket.SHUT_WR)
    assert connection.drain() == 1000
    until(lambda: connection.acked() == 1002, "the FIN is acknowledged")
    assert connection.probe.acked_payload(1000) == 1000


def test_a_sealed_probe_knows_what_the_kernel_never_got(connection: Connection) -> None:
    """Of 1,000 bytes the last stayed in user space; the FIN is acknowledged in its place."""
    connection.ours.sendall(bytes(999))
    connection.probe.seal()
    connection.ours.shutdown(socket.SHUT_WR)
    assert connection.drain() == 999
    until(lambda: connection.acked() == 1001, "the FIN is acknowledged")
    assert connection.probe.acked_payload(1000) == 999


def test_what_the_peer_acknowledged_is_what_its_kernel_holds(connection: Connection) -> None:
    """200,000 bytes read, and as many unread as its buffer took."""
    accepted = connection.fill()
    read = 0
    while read < 200_000:
        read += len(connection.peer.recv(min(65536, 200_000 - read)))
        accepted += connection.fill()
    stopped = [0, -1]

    def stands_still() -> bool:
        stopped.append(connection.acked())
        time.sleep(0.05)
        return stopped[-1] == stopped[-2] == connection.acked()

    until(stands_still, "the peer's window is closed")
    acked = connection.probe.acked_payload(accepted)
    assert acked == 200_000 + unread(connection.peer)
    assert acked < accepted
    assert acked + tcpinfo.outq(connection.ours) == accepted


def unread(sock: socket.socket) -> int:
    return int.from_bytes(fcntl.ioctl(sock, termios.FIONREAD, b"\0\0\0\0"), sys.byteorder)


def test_a_short_read_and_30000_left_unread_are_all_acknowledged(connection: Connection) -> None:
    connection.ours.sendall(bytes(10_000))
    assert len(connection.peer.recv(10_000, socket.MSG_WAITALL)) == 10_000
    connection.ours.sendall(bytes(30_000))
    until(lambda: connection.probe.acked_payload(40_000) == 40_000, "acknowledged")
    assert unread(connection.peer) == 30_000


def test_after_a_reset_the_counter_can_still_be_read(connection: Connection) -> None:
    """Exact as before: what the peer's kernel held, and not what was on the way."""
    accepted = connection.fill()
    until(lambda: unread(connection.peer) > 0, "something arrived")
    connection.reset()
    until(lambda: connection.probe.info().state == CLOSE, "the reset arrived")
    acked = connection.probe.acked_payload(accepted)
    assert 0 < acked < accepted
    assert connection.probe.settled()
    with pytest.raises(ConnectionResetError):
        connection.ours.recv(1)
    assert connection.probe.acked_payload(accepted) == acked
    assert acked + tcpinfo.outq(connection.ours) == accepted
    connection.probe.seal()
    connection.ours.close()
    assert connection.probe.acked_payload(accepted) == acked


def settled(probe: Probe, limit: float) -> float:
    """Run a `Settling` to its end; how long it took, seconds."""
    began = time.monotonic()
    settling = Settling(probe, began, limit)
    while (delay := settling.poll(time.monotonic())) is not None:
        time.sleep(delay)
    return time.monotonic() - began


def test_after_the_peers_fin_what_the_kernel_holds_still_arrives(connection: Connection) -> None:
    """To take stock at once would send again what the peer does receive."""
    accepted = connection.fill()
    connection.peer.shutdown(socket.SHUT_WR)
    connection.ours.setblocking(True)
    assert connection.ours.recv(1) == b""
    # What Twisted does at a loss.
    connection.probe.seal()
    connection.ours.shutdown(socket.SHUT_RDWR)
    connection.ours.close()
    at_once = connection.probe.acked_payload(accepted)
    assert at_once < accepted
    received: list[int] = []
    peer = threading.Thread(target=lambda: received.append(connection.drain()))
    peer.start()
    assert settled(connection.probe, limit=10) < 10
    peer.join()
    assert received == [accepted]
    assert connection.probe.acked_payload(accepted) == accepted


def test_settling_ends_at_its_limit_where_the_peer_never_reads(connection: Connection) -> None:
    accepted = connection.fill()
    connection.probe.seal()
    connection.ours.shutdown(socket.SHUT_RDWR)
    connection.ours.close()
    settled(connection.probe, limit=0.1)
    acked = connection.probe.acked_payload(accepted)
    assert 0 < acked < accepted


def test_what_will_be_sent_again_does_not_arrive_late_all_the_same(connection: Connection) -> None:
    """It would come behind what is newer, on the connection that was given up."""
    accepted = connection.fill()
    connection.probe.seal()
    connection.ours.shutdown(socket.SHUT_RDWR)
    connection.ours.close()
    settling = Settling(connection.probe, time.monotonic(), 0.1, again=True)
    while (delay := settling.poll(time.monotonic())) is not None:
        time.sleep(delay)
    acked = connection.probe.acked_payload(accepted)
    received: list[bytes] = []

    def read_on() -> None:
        while data := connection.peer.recv(65536):
            received.append(data)

    with pytest.raises(ConnectionResetError):  # no end: something is missing
        read_on()
    assert sum(map(len, received)) <= acked < accepted


def test_a_reset_that_was_asked_for_is_sent_when_the_probe_lets_go(connection: Connection) -> None:
    """Twisted's abort closes its own descriptor, and that alone sends nothing."""
    linger = struct.pack("ii", 1, 0)
    connection.ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    connection.probe.seal()
    connection.ours.close()
    connection.peer.settimeout(0.05)
    with pytest.raises(TimeoutError):
        connection.peer.recv(1)
    settled(connection.probe, limit=0)
    connection.peer.settimeout(10)
    with pytest.raises(ConnectionResetError):
        connection.peer.recv(1)


# -- under TLS, with all that Twisted does in between


class Sink(Protocol):
    """The server: reads and says nothing."""


@implementer(IOpenSSLContextFactory)
class OneVersion:
    """A server's context that speaks one version of TLS only."""

    def __init__(self, certs: Certs, version: int) -> None:
        self._context = SSL.Context(SSL.TLS_METHOD)
        self._context.use_certificate_chain_file(certs.good)
        self._context.use_privatekey_file(certs.good_key)
        self._context.set_min_proto_version(version)
        self._context.set_max_proto_version(version)

    def getContext(self) -> SSL.Context:
        return self._context


class Counted(Protocol):
    """The client: hooks the counters in before the handshake, as a link does."""

    def __init__(self) -> None:
        self.lost: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        transport: Any = self.transport
        handle = transport.getHandle()
        assert isinstance(handle, CountingConnection)
        self.handle = handle
        self.cipher = handle.count()
        self.probe = Probe(transport.transport.getHandle())

    def connectionLost(self, reason: object = None) -> None:
        self.lost.callback(None)


class TLSTests(TestCase):
    async def mapped(self, version: int) -> None:
        certs = make_certs(self.mktemp_folder())
        server = Factory.forProtocol(Sink)
        server.noisy = False
        port = reactor.listenSSL(0, server, OneVersion(certs, version), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        inner = endpoints.tcp(reactor, "127.0.0.1", port.getHost().port)
        endpoint = tls_endpoint.tls(inner, "127.0.0.1", tls_endpoint.TLSSettings(ca=certs.ca))
        factory = Factory.forProtocol(Counted)
        factory.noisy = False
        client: Any = await endpoint.connect(factory)
        written = 0
        for size in (1, 100, 70_000, 16_384, 5, 300_000):
            client.transport.write(bytes(size))
            written += size
            await self.drained(client)
            acked = client.probe.acked_payload(client.handle.cipher_total)
            self.assertEqual(client.handle.plain_total, written)
            self.assertGreater(client.handle.cipher_total, written)
            self.assertEqual(acked, client.handle.cipher_total)
            self.assertEqual(client.cipher.plain(acked - 1), written - last_record(size))
            self.assertEqual(client.cipher.plain(acked), written)
            self.assertEqual(len(client.cipher), 0)
        client.transport.loseConnection()
        await client.lost
        client.probe.close()

    def mktemp_folder(self) -> str:
        folder = tempfile.mkdtemp(prefix="nbclient-certs-")
        self.addCleanup(rmtree, folder)
        return folder

    async def drained(self, client: Any) -> None:
        """All that was written has left, and was acknowledged."""
        turns = 0
        idle = 0
        while idle < 3:  # Twisted holds back small writes until the next turn
            await deferLater(reactor, 0.01)
            before = client.handle.plain_total
            idle = idle + 1 if not client.probe.outstanding() and before else 0
            turns += 1
            self.assertLess(turns, 1000)

    async def test_the_map_is_exact_under_tls_1_2(self) -> None:
        await self.mapped(SSL.TLS1_2_VERSION)

    async def test_the_map_is_exact_under_tls_1_3(self) -> None:
        await self.mapped(SSL.TLS1_3_VERSION)


def last_record(size: int) -> int:
    """The plaintext in the last record of a write: TLS cuts at 16 KiB."""
    return size % 16_384 or 16_384
