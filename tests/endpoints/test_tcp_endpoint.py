"""Where to connect: what each function dials, and what it refuses to."""

from __future__ import annotations

import errno
import subprocess
import sys
from socket import AF_INET, AF_INET6
from typing import Any, cast
from unittest.mock import patch

import pytest
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, UNIXClientEndpoint, connectProtocol
from twisted.internet.error import (
    ConnectBindError,
    ConnectError,
    ConnectingCancelledError,
    ConnectionRefusedError,
    DNSLookupError,
    TimeoutError,
)
from twisted.internet.interfaces import (
    IHostnameResolver,
    IHostResolution,
    IReactorPluggableNameResolver,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from nbclient import endpoints
from nbclient.endpoints import (
    BindFailed,
    from_string,
    parse_host_port,
    parse_port,
    resolver,
    tcp,
    tcp_endpoint,
    tls,
    unix,
)
from nbclient.endpoints.resolver import Resolver
from nbclient.errors import SpecError
from nbclient.testing import FakeReactor

V4 = IPv4Address("TCP", "192.0.2.1", 80)
V4_TOO = IPv4Address("TCP", "192.0.2.2", 80)
V6 = IPv6Address("TCP", "2001:db8::1", 80)


class FakeResolver:
    """Each lookup is a Deferred that the test fires."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int, int]] = []
        self.looked: Deferred[list[Any]] = Deferred()

    def lookup(self, reactor: object, host: str, port: int, family: int) -> Deferred[list[Any]]:
        self.asked.append((host, port, int(family)))
        self.looked = Deferred()
        return self.looked


class TCPTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.resolver = FakeResolver()

    def connect(self, host: str = "h.example", **options: Any) -> Deferred[Any]:
        endpoint = tcp(self.reactor, host, 80, resolver=cast(Resolver, self.resolver), **options)
        connecting: Deferred[Any] = connectProtocol(endpoint, Protocol())
        return connecting

    def dialled(self) -> list[tuple[str, int]]:
        return [client[:2] for client in self.reactor.tcpClients]

    def fail_dial(self, n: int, error: Exception) -> None:
        """The n-th dial fails."""
        factory: Any = self.reactor.tcpClients[n][2]
        factory.clientConnectionFailed(None, Failure(error))

    def test_is_an_endpoint(self) -> None:
        verifyObject(IStreamClientEndpoint, tcp(self.reactor, "h", 80))

    def test_a_literal_is_dialled_without_the_resolver(self) -> None:
        self.connect("192.0.2.7", timeout=3, bind=("192.0.2.9", 7))
        self.connect("2001:db8::7")
        self.assertEqual(self.dialled(), [("192.0.2.7", 80), ("2001:db8::7", 80)])
        self.assertEqual(self.reactor.tcpClients[0][3:], (3, ("192.0.2.9", 7)))
        self.assertEqual(self.resolver.asked, [])

    def test_an_address_to_connect_from_that_is_not_to_be_had_is_named(self) -> None:
        """The system's words, "cannot assign requested address", do not say which."""
        absent = "it is not an address of this machine"
        for bind, number, said in (
            (("192.0.2.9", 0), errno.EADDRNOTAVAIL, f"bind 192.0.2.9: {absent}"),
            (("192.0.2.9", 7), errno.EACCES, "bind 192.0.2.9:7: permission denied"),
        ):
            connecting = self.connect("192.0.2.7", bind=bind)
            self.fail_dial(-1, ConnectBindError(number, "so"))
            failure = self.failureResultOf(connecting, BindFailed)
            self.assertEqual(str(failure.value), said)
        connecting = self.connect("192.0.2.7", bind=("192.0.2.9", 7))
        self.fail_dial(-1, ConnectError(errno.EADDRNOTAVAIL, "so"))
        self.assertIn(
            "bind 192.0.2.9:7: there is a connection from there to this peer: our last",
            str(self.failureResultOf(connecting, BindFailed).value),
        )
        connecting = self.connect("2001:db8::7", bind=("2001:db8::9", 7))
        self.fail_dial(-1, ConnectBindError(errno.EADDRNOTAVAIL, "so"))
        failure = self.failureResultOf(connecting, BindFailed)
        self.assertEqual(str(failure.value), f"bind [2001:db8::9]:7: {absent}")

    def test_other_failures_are_no_fault_of_the_address_to_connect_from(self) -> None:
        connecting = self.connect("192.0.2.7", bind=("192.0.2.9", 0))
        self.fail_dial(0, ConnectionRefusedError())
        self.failureResultOf(connecting, ConnectionRefusedError)

    def test_an_address_to_connect_from_is_named_for_names_too(self) -> None:
        for found in ([V4], [V4, V4_TOO]):
            connecting = self.connect(bind=("192.0.2.9", 0))
            self.resolver.looked.callback(found)
            for _ in found:
                self.fail_dial(-1, ConnectBindError(errno.EADDRNOTAVAIL, "so"))
                self.reactor.advance(0.3)
            self.failureResultOf(connecting, BindFailed)

    def test_a_name_is_looked_up_anew_at_each_attempt(self) -> None:
        endpoint = tcp(self.reactor, "h.example", 80, resolver=cast(Resolver, self.resolver))
        for _ in range(2):
            connectProtocol(endpoint, Protocol())
            self.resolver.looked.callback([V4])
        self.assertEqual(self.resolver.asked, [("h.example", 80, 0)] * 2)
        self.assertEqual(self.dialled(), [("192.0.2.1", 80)] * 2)

    def test_the_family_asked_for_reaches_the_resolver(self) -> None:
        self.connect(family="4")
        self.connect(family="6")
        self.connect(bind=("::1", 0))
        self.connect(bind=("", 7))
        self.assertEqual(
            [asked[2] for asked in self.resolver.asked], [AF_INET, AF_INET6, AF_INET6, 0]
        )

    def test_a_single_address_refused_fails_without_waiting(self) -> None:
        """HostnameEndpoint would add 0.3 s to every attempt."""
        connecting = self.connect()
        self.resolver.looked.callback([V4])
        self.fail_dial(0, ConnectionRefusedError())
        self.failureResultOf(connecting, ConnectionRefusedError)

    def test_several_addresses_are_tried_one_after_the_other(self) -> None:
        connecting = self.connect()
        self.resolver.looked.callback([V6, V4])
        self.assertEqual(self.dialled(), [("2001:db8::1", 80)])
        self.reactor.advance(0.3)
        self.assertEqual(self.dialled(), [("2001:db8::1", 80), ("192.0.2.1", 80)])
        factory: Any = self.reactor.tcpClients[1][2]
        protocol = factory.buildProtocol(V4)
        protocol.makeConnection(object())
        self.successResultOf(connecting)

    def test_all_of_several_addresses_refused_is_one_failure(self) -> None:
        connecting = self.connect()
        self.resolver.looked.callback([V4, V4_TOO])
        self.fail_dial(0, ConnectionRefusedError())
        self.reactor.advance(0.3)
        self.fail_dial(1, ConnectionRefusedError())
        self.reactor.advance(0.3)
        self.failureResultOf(connecting, ConnectionRefusedError)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_of_many_addresses_each_attempt_tries_the_next(self) -> None:
        """And after a connection it begins at the first again."""
        endpoint = tcp(self.reactor, "h.example", 80, resolver=cast(Resolver, self.resolver))
        many = [IPv4Address("TCP", f"192.0.2.{n}", 80) for n in range(25)]

        def attempt() -> tuple[Deferred[Any], list[int]]:
            before = len(self.reactor.tcpClients)
            connecting: Deferred[Any] = connectProtocol(endpoint, Protocol())
            self.resolver.looked.callback(many)
            self.reactor.pump([0.3] * 12)
            hosts = [host for host, _ in self.dialled()[before:]]
            return connecting, [int(host.rpartition(".")[2]) for host in hosts]

        for tried in (range(10), range(10, 20), range(20, 25), range(10)):
            connecting, hosts = attempt()
            self.assertEqual(hosts, list(tried))
            connecting.cancel()
            self.failureResultOf(connecting, ConnectingCancelledError)
        connecting, hosts = attempt()
        self.assertEqual(hosts, list(range(10, 20)))
        factory: Any = self.reactor.tcpClients[-1][2]
        factory.buildProtocol(V4).makeConnection(object())
        self.successResultOf(connecting)
        self.assertEqual(attempt()[1], list(range(10)))

    def test_a_name_that_is_no_idna_may_have_several_addresses(self) -> None:
        self.connect("redis_1")
        self.resolver.looked.callback([V4, V4_TOO])
        self.assertEqual(self.dialled(), [("192.0.2.1", 80)])

    def test_the_time_a_lookup_took_is_taken_from_the_connection(self) -> None:
        self.connect(timeout=10)
        self.reactor.advance(4)
        self.resolver.looked.callback([V4])
        self.assertEqual(self.reactor.tcpClients[0][3], 6)

    def test_a_lookup_that_hangs_ends_at_the_deadline_and_names_the_host(self) -> None:
        connecting = self.connect(timeout=10)
        self.reactor.advance(10)
        failure = self.failureResultOf(connecting, DNSLookupError)
        self.assertIn("'h.example': no answer within 10 s", str(failure.value))

    def test_after_a_standstill_a_lookup_has_a_turn_to_say_what_it_found(self) -> None:
        connecting = self.connect(timeout=10)
        self.reactor.rightNow += 60
        self.reactor.callLater(0, self.resolver.looked.errback, DNSLookupError("found nothing"))
        self.reactor.advance(0)
        self.assertIn("found nothing", str(self.failureResultOf(connecting, DNSLookupError)))

    def test_a_lookup_that_fails_fails_the_attempt(self) -> None:
        connecting = self.connect()
        self.resolver.looked.errback(DNSLookupError("why"))
        self.failureResultOf(connecting, DNSLookupError)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_cancelling_while_looking_up_settles_at_once(self) -> None:
        connecting = self.connect()
        connecting.cancel()
        self.failureResultOf(connecting, ConnectingCancelledError)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_cancelling_while_connecting_stops_the_connection(self) -> None:
        for found in ([V4], [V4, V6]):
            connecting = self.connect()
            self.resolver.looked.callback(found)
            connecting.cancel()
            self.failureResultOf(connecting, ConnectingCancelledError)
            self.assertTrue(self.reactor.connectors[-1].stoppedConnecting)

    def test_a_connection_that_times_out_says_so(self) -> None:
        connecting = self.connect()
        self.resolver.looked.callback([V4])
        self.fail_dial(0, TimeoutError())
        self.failureResultOf(connecting, TimeoutError)

    def test_its_repr_is_fit_for_a_log(self) -> None:
        self.assertEqual(repr(tcp(self.reactor, "h.example", 80)), "<tcp h.example:80>")
        self.assertEqual(repr(tcp(self.reactor, "::1", 80)), "<tcp [::1]:80>")

    def test_without_a_resolver_of_its_own_it_uses_the_shared_one(self) -> None:
        self.patch(resolver, "_shared", self.resolver)
        connectProtocol(tcp(self.reactor, "h.example", 80), Protocol())
        self.assertEqual(len(self.resolver.asked), 1)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"port": 0}, "port 0 is out of range (1 to 65535)"),
        ({"port": 65536}, "port 65536 is out of range"),
        ({"host": ""}, "the host is empty"),
        ({"family": "5"}, "family '5' is neither '4' nor '6'"),
        ({"bind": ("eth0", 0)}, "bind 'eth0' is not an IP address"),
        ({"bind": ("224.0.0.1", 0)}, "bind 224.0.0.1 is a multicast address, and no machine's"),
        ({"bind": ("ff02::1%lo", 0)}, "bind ff02::1%lo is a multicast address"),
        ({"bind": ("::1", -1)}, "port -1 is out of range (0 to 65535)"),
        ({"host": "::1", "family": "4"}, "IPv4 and IPv6 do not meet: family 4, host ::1"),
        ({"family": "6", "bind": ("127.0.0.1", 0)}, "family 6, bind 127.0.0.1"),
        ({"host": "127.0.0.1", "bind": ("::1", 0)}, "host 127.0.0.1, bind ::1"),
    ],
)
def test_tcp_refuses_what_can_never_connect(options: dict[str, Any], complaint: str) -> None:
    arguments: dict[str, Any] = {"host": "h", "port": 80} | options
    with pytest.raises(SpecError) as caught:
        tcp(object(), **arguments)
    assert complaint in str(caught.value)


def test_unix_dials_the_path() -> None:
    reactor = MemoryReactorClock()
    endpoint = unix(reactor, "/run/x.sock", timeout=3)
    assert isinstance(endpoint, UNIXClientEndpoint)
    connectProtocol(endpoint, Protocol())
    assert (reactor.unixClients[0][0], reactor.unixClients[0][2]) == ("/run/x.sock", 3)


def test_unix_refuses_no_path() -> None:
    with pytest.raises(SpecError, match="is empty"):
        unix(object(), "")


class AnswerTests(SynchronousTestCase):
    """The stand-ins that HostnameEndpoint is given keep their interfaces."""

    def test_the_reactor_offers_the_answer_and_is_otherwise_itself(self) -> None:
        reactor = MemoryReactorClock()
        stand_in = tcp_endpoint._ReactorWithAnswer(reactor, [V4])
        verifyObject(IReactorPluggableNameResolver, stand_in)
        verifyObject(IHostnameResolver, stand_in.nameResolver)
        verifyObject(IHostResolution, stand_in.nameResolver)
        self.assertEqual(stand_in.seconds(), reactor.seconds())
        with self.assertRaises(NotImplementedError):
            stand_in.installNameResolver(stand_in.nameResolver)

    def test_an_answer_given_needs_no_cancelling(self) -> None:
        tcp_endpoint._Answer([V4]).cancel()


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("h:80", ("h", 80)),
        ("h", ("h", None)),
        ("redis_1:6379", ("redis_1", 6379)),
        ("127.0.0.1:1", ("127.0.0.1", 1)),
        ("[::1]:80", ("::1", 80)),
        ("[::1]", ("::1", None)),
        ("::1", ("::1", None)),
        ("[fe80::1%eth0]:65535", ("fe80::1%eth0", 65535)),
    ],
)
def test_host_and_port_are_read(text: str, parsed: tuple[str, int | None]) -> None:
    assert parse_host_port(text) == parsed


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "'' names no host"),
        (":80", "':80' names no host"),
        ("h:", "port '' is not a number"),
        ("h:x", "port 'x' is not a number"),
        ("h:0", "port 0 is out of range (1 to 65535)"),
        ("h:65536", "port 65536 is out of range"),
        ("h:" + "9" * 5000, "is out of range"),
        ("h:+1", "port '+1' is not a number"),
        ("h:٣", "is not a number"),
        ("[h]:80", "'h' in brackets is no IPv6 address"),
        ("[::1", "not HOST:PORT (an IPv6 address goes in brackets)"),
        ("a:b:80", "not HOST:PORT"),
        ("http://h:80", "not HOST:PORT"),
        ("a b:80", "not HOST:PORT"),
    ],
)
def test_what_is_no_host_and_port_is_refused_in_one_line(text: str, complaint: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_host_port(text)
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_port_zero_counts_where_it_means_any() -> None:
    assert parse_port("0", lowest=0) == 0
    with pytest.raises(SpecError):
        parse_port("0")


@pytest.mark.parametrize(
    "text",
    [
        "tcp:h:80",
        "tcp:host=h:port=80",
        "tcp:host=h:80",
        r"tcp:\:\:1:80",
        "unix:/run/x.sock",
        "tls:h.example:443",
    ],
)
def test_a_string_makes_an_endpoint(text: str) -> None:
    # The older Twisted wants a reactor with a name resolver when it makes one.
    reactor = tcp_endpoint._ReactorWithAnswer(MemoryReactorClock(), [V4])
    verifyObject(IStreamClientEndpoint, from_string(reactor, text))


def test_a_string_is_read_as_twisted_reads_it() -> None:
    assert isinstance(from_string(MemoryReactorClock(), "tcp:192.0.2.1:80"), TCP4ClientEndpoint)


def test_the_name_in_a_string_has_all_its_addresses() -> None:
    """Twisted's own endpoint dials one of them, at each attempt the first."""
    asked: list[tuple[Any, ...]] = []

    class Names:
        def lookup(self, reactor: Any, *what: Any) -> Deferred[Any]:
            asked.append(what)
            return Deferred()

    with patch("nbclient.endpoints.resolver.shared", Names):
        from_string(MemoryReactorClock(), "tcp:h:80:timeout=3").connect(Factory())
    assert asked == [("h", 80, AF_INET)]


@pytest.mark.parametrize(
    "text", ["ssl:h:443", "SSL:h:443", r"s\sl:h:443", "host=h:ssl:443", "ssl:h:443:hostname=h"]
)
def test_unverified_tls_is_refused_however_it_is_written(text: str) -> None:
    with pytest.raises(SpecError, match=r"is refused; use tls:HOST:PORT"):
        from_string(MemoryReactorClock(), text)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "does not begin with its kind (tcp:, tls:, unix:)"),
        ("host=h", "does not begin with its kind"),
        ("nosuch:h", "Unknown endpoint type: 'nosuch'"),
        ("tcp:h", "names no port"),
        ("tcp:host=h", "names no port"),
        ("tcp:h:99999", "port 99999 is out of range"),
        ("tls:h:port=x", "port 'x' is not a number"),
        ("tcp:h:80:bogus=1", "got an unexpected keyword argument 'bogus'"),
        ("tls:h:443:certificate=/nonexistent", "No such file or directory"),
        ("unix", "'path'"),
    ],
)
def test_a_string_not_understood_is_one_line_with_the_string(text: str, complaint: str) -> None:
    with pytest.raises(SpecError) as caught:
        from_string(MemoryReactorClock(), text)
    assert repr(text) in str(caught.value)
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


WITHOUT_TLS = """
import sys
from socket import AF_INET, AF_INET6
for name in ("OpenSSL", "service_identity", "cryptography"):
    sys.modules[name] = None
from nbclient.endpoints import TLSSettings, context_factory, explain_tls, from_string, tcp, tls
from nbclient.errors import LocalError
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure

assert "twisted.internet.reactor" not in sys.modules
endpoint = tls(tcp(MemoryReactorClock(), "127.0.0.1", 1), "h", TLSSettings())
endpoint.connect(None).addErrback(lambda failure: print(failure.value))
for call in (TLSSettings().check, lambda: context_factory("h")):
    try:
        call()
    except LocalError as error:
        print(error)
try:
    from_string(MemoryReactorClock(), "ssl:h:443")
except LocalError as error:
    print(error)
print(explain_tls(Failure(LocalError("x"))))
"""


def test_without_pyopenssl_all_but_connecting_works_and_that_names_the_extra() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT_TLS], capture_output=True, text=True, timeout=30, check=True
    )
    *lines, refusal, last = ended.stdout.splitlines()
    assert len(lines) == 3
    assert "use tls:HOST:PORT" in refusal
    for line in lines:
        assert "pip install 'twisted-nbclient[tls]'" in line
    assert last == "None"


def test_importing_this_loads_neither_our_handshake_nor_a_reactor() -> None:
    script = (
        "import sys, nbclient.endpoints; "
        "print('nbclient.endpoints.handshake' in sys.modules, 'twisted.internet.reactor' in "
        "sys.modules)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True
    )
    assert ended.stdout == "False False\n"


def test_tls_is_offered_here_too() -> None:
    assert endpoints.tls is tls


def test_a_path_longer_than_the_system_takes_is_refused() -> None:
    endpoints.unix(FakeReactor(), "/" + "s" * (endpoints.LONGEST_SOCKET - 1))
    with pytest.raises(SpecError, match="longer than"):
        endpoints.unix(None, "/" + "s" * endpoints.LONGEST_SOCKET)
