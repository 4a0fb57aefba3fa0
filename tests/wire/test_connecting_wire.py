"""Attempts on real sockets: to itself, from a port that was just used, against firewalls."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from twisted.internet import reactor as _reactor
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import TestCase

from nbclient import Backoff, FrameProtocol, ReconnectingFactory, State, framing
from nbclient.connection.connecting import ConnectedToItself
from nbclient.endpoints import tcp
from nbclient.endpoints.failover import alternatives
from nbclient.endpoints.resolver import Resolver
from tests.conformance.dialers import until
from tests.real.children import Child, python

reactor: Any = _reactor

HOST = "127.0.0.1"
Dial = Callable[[Any, int, int], Any]
"""Has a link dial a port of loopback from a port."""


class Lines(FrameProtocol):
    framing = framing.lines()

    def frameReceived(self, frame: bytes) -> None:
        pass


def classic(link: Any, to: int, by: int) -> None:
    reactor.connectTCP(HOST, to, link, bindAddress=(HOST, by))


def literal(link: Any, to: int, by: int) -> None:
    link.start(tcp(reactor, HOST, to, bind=(HOST, by)))


def named(link: Any, to: int, by: int) -> None:
    """Two addresses, of which the first leads nowhere."""

    def found(*_: object) -> Any:
        return [(socket.AF_INET, 1, 6, "", (host, 0)) for host in ("127.0.0.9", HOST)]

    link.start(tcp(reactor, "h.example", to, bind=(HOST, by), resolver=Resolver(getaddrinfo=found)))


def twisteds(link: Any, to: int, by: int) -> None:
    link.start(TCP4ClientEndpoint(reactor, HOST, to, bindAddress=(HOST, by)))


def happy(link: Any, to: int, by: int) -> None:
    link.start(HostnameEndpoint(reactor, HOST, to, bindAddress=(HOST, by)))


def first_of_two(link: Any, to: int, by: int) -> None:
    link.start(alternatives([tcp(reactor, HOST, to, bind=(HOST, by)), tcp(reactor, HOST, 9)]))


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        number: int = sock.getsockname()[1]
        return number


class ItselfTests(TestCase):
    """A socket bound to the port that it dials is connected to itself: nobody listens there."""

    timeout = 20

    async def to_itself(self, dial: Dial) -> None:
        port = free_port()
        link = ReconnectingFactory.forProtocol(Lines, backoff=Backoff(initial=0.05, maximum=0.1))
        reasons: set[Any] = set()

        def changed(old: State, new: State, reason: Any) -> None:
            self.assertIsNot(new, State.READY)
            if reason is not None:
                reasons.add(reason.type)

        link.observe(changed)
        dial(link, port, port)
        await until(lambda: ConnectedToItself in reasons and link.stats().dials > 3)
        self.assertEqual(link.stats().connects, 0)
        await link.stop()
        with socket.socket() as server:
            server.bind((HOST, port))  # the port is free: nothing of ours holds it

    async def test_by_a_connector(self) -> None:
        await self.to_itself(classic)

    async def test_by_our_endpoint(self) -> None:
        await self.to_itself(literal)

    async def test_by_our_endpoint_and_a_name(self) -> None:
        await self.to_itself(named)

    async def test_by_twisteds_endpoint(self) -> None:
        await self.to_itself(twisteds)

    async def test_by_twisteds_endpoint_and_a_name(self) -> None:
        await self.to_itself(happy)

    async def test_by_our_endpoint_for_any_protocol(self) -> None:
        """What looks whether the preferred peer is back, say."""
        port = free_port()
        endpoint = tcp(reactor, HOST, port, bind=(HOST, port))
        with self.assertRaises(ConnectedToItself):
            await connectProtocol(endpoint, Protocol())

    async def test_by_one_of_several_peers(self) -> None:
        await self.to_itself(first_of_two)


class SamePortTests(TestCase):
    """Our own close leaves the pair of ports in TIME_WAIT, for a minute."""

    timeout = 20

    async def again(self, dial: Dial, runs: int = 1) -> None:
        server: Factory[Protocol] = Factory.forProtocol(Protocol)
        server.noisy = False
        port = reactor.listenTCP(0, server, interface=HOST)
        by = free_port()
        for _ in range(runs):
            quick = Backoff(initial=0.05, maximum=0.1)
            link = ReconnectingFactory.forProtocol(Lines, backoff=quick)
            dial(link, port.getHost().port, by)
            for _ in range(3):
                connection = await link.whenReady()
                self.assertEqual(connection.transport.getHost().port, by)
                link.reconnectNow()  # fails as long as the peer has not closed as well
            await link.stop()
        await port.stopListening()

    async def test_by_a_connector(self) -> None:
        await self.again(classic)

    async def test_by_our_endpoint(self) -> None:
        """In another run of the program, too."""
        await self.again(literal, 2)


# What nft(8) can answer with, and what it comes to (icmp_err_convert of Linux).
ICMP = {
    "net-unreachable": "no route to the network, or a firewall rejects the connection",
    "host-unreachable": "no route to the host, or a firewall rejects the connection",
    "prot-unreachable": r"a firewall rejects the connection \(protocol unreachable\)",
    "port-unreachable": "connection refused",
    "net-prohibited": "no route to the network, or a firewall rejects the connection",
    "host-prohibited": "no route to the host, or a firewall rejects the connection",
    "admin-prohibited": "no route to the host, or a firewall rejects the connection",
}


ICMPV6 = {
    "no-route": "no route to the network, or a firewall rejects the connection",
    "addr-unreachable": "no route to the host, or a firewall rejects the connection",
    "admin-prohibited": "permission denied, here or by a firewall",
    "port-unreachable": "connection refused",
}
KINDS = [(HOST, "icmp", kind, said) for kind, said in ICMP.items()]
KINDS += [("::1", "icmpv6", kind, said) for kind, said in ICMPV6.items()]


@pytest.fixture(scope="module")
def space() -> Iterator[str]:
    """A network namespace whose firewall rejects port N in the N-th way."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("network namespaces need Linux, and root")
    if shutil.which("ip") is None or shutil.which("nft") is None:
        pytest.skip("needs ip and nft (Debian: iproute2, nftables)")
    name = f"reject-{os.getpid()}"
    rules = "".join(
        f"add rule inet f i tcp dport {1000 + place} reject with {family} type {kind}\n"
        for place, (_, family, kind, _) in enumerate(KINDS)
    )
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False)
    if made.returncode:
        pytest.skip(f"no network namespace is to be had: {made.stderr.decode().strip()}")
    within = ["ip", "netns", "exec", name]
    try:
        subprocess.run([*within, "ip", "link", "set", "lo", "up"], check=True)
        subprocess.run(
            [*within, "nft", "-f", "-"],
            input="add table inet f\n"
            "add chain inet f i { type filter hook input priority 0; }\n" + rules,
            text=True,
            check=True,
        )
        yield name
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


@pytest.mark.parametrize("place", range(len(KINDS)), ids=[f"{each[2]}-{each[1]}" for each in KINDS])
def test_a_firewalls_rejection_is_named(space: str, place: int) -> None:
    host, _, _, said = KINDS[place]
    run = python("-m", "nbclient", host, str(1000 + place), "--input", "none", "--retries", "0")
    within = ["ip", "netns", "exec", space, *run]
    done = subprocess.run(within, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 3
    assert "Failure" not in done.stderr
    assert "Traceback" not in done.stderr
    assert re.search(said, done.stderr), done.stderr


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"", "connected, but no TLS answer within 0.5 s: the peer may not speak TLS"),
        (b"\x16\x03\x03", "connected, but the TLS handshake was not done within 0.5 s"),
        (b"OK\r\n", r"only b'OK\\r\\n': the peer may not speak TLS"),
        (b"220 ready when you are\r\n", "the server does not answer in TLS"),
    ],
    ids=["silent", "half a handshake", "a word", "a greeting"],
)
def test_tls_to_a_plain_port_says_so(sent: bytes, said: str) -> None:
    with socket.create_server((HOST, 0)) as server:
        where = (HOST, str(server.getsockname()[1]), "--tls", "--tls-insecure")
        run = python("-m", "nbclient", *where, "--connect-timeout", "0.5", "--retries", "0")
        with Child([*run, "--input", "none"]) as child, server.accept()[0] as peer:
            peer.sendall(sent)
            child.err.expect(said)
            assert child.wait() == 3


def test_a_peer_that_takes_one_message_a_connection_is_not_made_to_wait() -> None:
    """Were each of them a failure, the waits would add up to a minute and more."""
    count = 12
    with socket.create_server((HOST, 0)) as server:
        server.settimeout(10)
        where = (HOST, str(server.getsockname()[1]), "--delivery", "reply", "--drain")
        waits = ("--retry-initial", "0.1", "--max-time", "30")
        with Child(python("-m", "nbclient", *where, *waits, "--output", "none")) as child:
            child.type("".join(f"m{number}\n" for number in range(count)))
            child.hang_up()
            for number in range(count):
                with server.accept()[0] as peer:
                    peer.settimeout(10)
                    assert peer.recv(100) == b"m%d\n" % number
                    peer.sendall(b"OK\n")
            assert child.wait(40) == 0


# Descriptors run out before the first connection, and are there again a moment later.
SHORT = """
import os, resource, sys
from twisted.internet import reactor
from nbclient import Backoff, FrameProtocol, ReconnectingFactory, endpoints, framing

class Lines(FrameProtocol):
    framing = framing.lines()
    def frameReceived(self, frame): pass

link = ReconnectingFactory.forProtocol(Lines, backoff=Backoff(initial=0.05, maximum=0.1))
link.observe(lambda old, new, reason: reason and free())
link.whenReady().addCallback(lambda _: end())
hoard = []

def begin():
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    while True:
        try:
            hoard.append(os.dup(0))
        except OSError:
            break
    os.close(hoard.pop())  # room for our socket, and for nothing besides
    link.start(endpoints.tcp(reactor, "127.0.0.1", int(sys.argv[1])))

def free():
    while hoard:
        os.close(hoard.pop())

def end():
    print(link.stats().delivery, link.stats().dials > 1, link.lastReason.value)
    link.stop().addCallback(lambda _: reactor.stop())

reactor.callWhenRunning(begin)
reactor.run()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="level tcp is Linux' own")
def test_descriptors_that_were_short_once_do_not_cost_the_level() -> None:
    with socket.create_server((HOST, 0)) as server:
        run = python("-c", SHORT, str(server.getsockname()[1]))
        done = subprocess.run(run, capture_output=True, text=True, timeout=30, check=False)
    assert done.stdout.startswith("tcp True"), done.stderr
    assert "Too many open files" in done.stdout
