"""Through a proxy, byte by byte: what is said, what is understood, and what a refusal says.

On real sockets, and under TLS, it is in tests/wire/test_proxies_wire.py.
"""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import (
    ConnectingCancelledError,
    ConnectionRefusedError,
    NoProtocol,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from nbclient import Backoff, FrameProtocol, ReconnectingFactory, State, framing
from nbclient.connection.wording import explain
from nbclient.endpoints import BindFailed
from nbclient.endpoints.proxy import (
    Credentials,
    ProxyFailed,
    read_credentials,
    via_http_connect,
    via_socks5,
)
from nbclient.errors import ConnectTimeout, LocalError, SpecError
from nbclient.testing import FakeEndpoint, FakeReactor, Peer, ScriptedPeer, every_split

LOGIN = Credentials("joe", "s:cret")

# RFC 1928 and 1929, by hand.
HELLO = b"\5\1\0"
HELLO_WITH_LOGIN = b"\5\2\0\2"
LOG_IN = b"\1\3joe\6s:cret"
TO_NAME = b"\5\1\0\3\4feed\x13\x88"
TO_IPV4 = b"\5\1\0\1\xc0\0\2\1\x13\x88"
TO_IPV6 = b"\5\1\0\4" + bytes(15) + b"\1\x13\x88"
GRANTED = b"\5\0\0\1\0\0\0\0\0\0"

CONNECT = b"CONNECT feed:5000 HTTP/1.1\r\nHost: feed:5000\r\n\r\n"
CONNECTED = b"HTTP/1.1 200 Connection established\r\n\r\n"


class Recorder(Protocol):
    def __init__(self) -> None:
        self.received = b""
        self.reason: Failure | None = None

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.reason = reason


class Maker(Factory):
    """Knows what it was asked for."""

    protocol = Recorder  # type: ignore[assignment]
    noisy = False
    address: Any = None
    started = 0

    def doStart(self) -> None:
        self.started += 1

    def doStop(self) -> None:
        self.started -= 1

    def buildProtocol(self, addr: Any) -> Any:
        self.address = addr
        return super().buildProtocol(addr)


class ProxyCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = FakeReactor()
        self.proxy: Any = FakeEndpoint(self.clock)
        self.maker: Any = Maker()

    def dial(self, endpoint: Any, factory: Any = None, secure: bool = False) -> Deferred[Any]:
        """The proxy accepts."""
        done: Deferred[Any] = endpoint.connect(factory or self.maker)
        self.peer: Peer = self.proxy.attempts[-1].accept(secure)
        self.clock.turn()
        return done

    def send(self, data: bytes) -> None:
        self.peer.send(data)
        self.clock.turn()

    def refused(self, endpoint: Any, *answers: bytes) -> str:
        """What the refusal says in one line."""
        done = self.dial(endpoint)
        for answer in answers:
            self.send(answer)
        failure = self.failureResultOf(done, ProxyFailed)
        self.assertFalse(self.peer.connected)
        return explain(failure)


class SOCKS5Tests(ProxyCase):
    def via(self, host: str = "feed", credentials: Credentials | None = None) -> Any:
        return via_socks5(self.proxy, host, 5000, credentials)

    def talk(self, endpoint: Any, *steps: tuple[Any, ...]) -> Any:
        done = self.dial(endpoint)
        script = ScriptedPeer(self.peer, list(steps))
        self.clock.turn()
        self.assertTrue(script.done)
        return self.successResultOf(done)

    def test_the_name_goes_to_the_proxy_which_looks_it_up(self) -> None:
        protocol = self.talk(
            self.via(),
            ("receive", HELLO),
            ("send", b"\5\0"),
            ("receive", TO_NAME),
            ("send", GRANTED),
        )
        self.assertIsInstance(protocol, Recorder)
        self.assertEqual((self.maker.address.hostname, self.maker.address.port), (b"feed", 5000))

    def test_a_name_that_is_not_ascii_goes_as_idna(self) -> None:
        self.talk(
            self.via("bücher.example"),
            ("receive", HELLO),
            ("send", b"\5\0"),
            ("receive", b"\5\1\0\3\x15xn--bcher-kva.example\x13\x88"),
            ("send", GRANTED),
        )

    def test_addresses_go_as_such(self) -> None:
        for host, wire in (("192.0.2.1", TO_IPV4), ("::1", TO_IPV6)):
            self.talk(
                self.via(host),
                ("receive", HELLO),
                ("send", b"\5\0"),
                ("receive", wire),
                ("send", GRANTED),
            )

    def test_a_login_is_given_where_the_proxy_asks_for_it(self) -> None:
        self.talk(
            self.via(credentials=LOGIN),
            ("receive", HELLO_WITH_LOGIN),
            ("send", b"\5\2"),
            ("receive", LOG_IN),
            ("send", b"\1\0"),
            ("receive", TO_NAME),
            ("send", GRANTED),
        )

    def test_a_login_is_not_given_to_a_proxy_that_does_not_ask(self) -> None:
        self.talk(
            self.via(credentials=LOGIN),
            ("receive", HELLO_WITH_LOGIN),
            ("send", b"\5\0"),
            ("receive", TO_NAME),
            ("send", GRANTED),
        )

    def test_however_the_answers_are_cut_nothing_behind_them_is_lost(self) -> None:
        """Also in each form that the proxy's own address may take."""
        for bound in (b"\1abcd", b"\3\7a.proxy", b"\4" + bytes(16)):
            answer = b"\5\0" + b"\5\0\0" + bound + b"\0\0" + b"first data"
            for pieces in every_split(answer):
                done = self.dial(self.via())
                for piece in pieces:
                    self.send(piece)
                self.assertEqual(self.successResultOf(done).received, b"first data")

    def test_a_refusal_says_why(self) -> None:
        for code, why in (
            (1, "general server failure"),
            (2, "connection not allowed by ruleset"),
            (4, "host unreachable"),
            (5, "connection refused"),
            (99, "SOCKS5 error 99"),
        ):
            said = self.refused(self.via(), b"\5\0", bytes((5, code)))
            self.assertEqual(said, f"the proxy cannot connect to feed:5000: {why}")

    def test_what_the_proxy_wants_of_us_is_said(self) -> None:
        for credentials, answers, said in (
            (None, (b"\5\xff",), "the proxy asks for a login"),
            (None, (b"\5\2",), "the proxy asks for a login"),
            (LOGIN, (b"\5\xff",), "the proxy asks for another kind of login"),
            (LOGIN, (b"\5\2", b"\1\1"), "the proxy refused the login"),
        ):
            self.assertEqual(self.refused(self.via(credentials=credentials), *answers), said)

    def test_what_is_no_socks5_is_noticed_at_any_moment(self) -> None:
        for answers in (
            (b"HTTP/1.1 400 Bad Request\r\n\r\n",),
            (b"\5\0", b"\4\0"),
            (b"\5\0", b"\5\0\0\7"),
        ):
            said = self.refused(self.via(), *answers)
            self.assertEqual(said, "the proxy does not answer in SOCKS5")

    def test_what_does_not_fit_the_protocol_is_refused_before_anything_is_dialled(self) -> None:
        long = "x" * 256
        for wrong in (
            lambda: self.via(""),
            lambda: self.via(long),
            lambda: self.via("two words"),
            lambda: self.via("line\nend"),
            lambda: self.via("bücher..example"),
            lambda: via_socks5(self.proxy, "feed", 0),
            lambda: via_socks5(self.proxy, "feed", 65536),
            lambda: self.via(credentials=Credentials(long, "x")),
            lambda: self.via(credentials=Credentials("joe", "")),
        ):
            self.assertRaises(SpecError, wrong)
        self.assertEqual(self.proxy.attempts, [])

    def test_it_tells_where_it_leads(self) -> None:
        self.assertEqual(self.via("::1").name, "[::1]:5000")
        self.assertIn("<socks5 feed:5000 via <nbclient.testing.pipe.FakeEndpoint", repr(self.via()))


class HTTPConnectTests(ProxyCase):
    def via(self, host: str = "feed", credentials: Credentials | None = None) -> Any:
        return via_http_connect(self.proxy, host, 5000, credentials)

    def test_it_asks_for_the_peer_and_gets_the_connection(self) -> None:
        done = self.dial(self.via())
        self.assertEqual(self.peer.received, CONNECT)
        self.assertNoResult(done)
        self.send(CONNECTED)
        self.assertIsInstance(self.successResultOf(done), Recorder)

    def test_an_ipv6_address_stands_in_brackets(self) -> None:
        self.dial(self.via("2001:db8::1"))
        self.assertIn(b"CONNECT [2001:db8::1]:5000 HTTP/1.1\r\n", self.peer.received)

    def test_a_login_goes_along(self) -> None:
        self.dial(self.via(credentials=LOGIN))
        login = base64.b64encode(b"joe:s:cret")
        self.assertIn(b"Proxy-Authorization: Basic " + login + b"\r\n", self.peer.received)

    def test_however_the_answer_is_cut_nothing_behind_it_is_lost(self) -> None:
        """A body cannot belong to it, whatever its header claims (RFC 9110, 9.3.6)."""
        answer = b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nfirst data"
        for pieces in every_split(b"HTTP/1.1 103 Early Hints\r\n\r\n" + answer):
            done = self.dial(self.via())
            for piece in pieces:
                self.send(piece)
            self.assertEqual(self.successResultOf(done).received, b"first data")

    def test_a_refusal_says_why(self) -> None:
        for answer, why in (
            (b"403 Forbidden", "the proxy cannot connect to feed:5000: 403 Forbidden"),
            (b"502 ", "the proxy cannot connect to feed:5000: 502"),
            (b"504 \xe9" + b"x" * 999, "cannot connect to feed:5000: 504 \\xe9" + "x" * 99),
            (b"407 Proxy Authentication Required", "the proxy asks for a login"),
        ):
            said = self.refused(self.via(), b"HTTP/1.1 " + answer + b"\r\n\r\n")
            self.assertIn(why, said)
            self.assertLess(len(said), 200)

    def test_what_is_no_http_is_noticed_and_bounded(self) -> None:
        for answer in (b"\5\xff" + b"x" * 9999 + b"\r\n\r\n", b"SSH-2.0-OpenSSH\r\n\r\n"):
            said = self.refused(self.via(), answer)
            self.assertIn("the proxy does not answer in HTTP: ", said)
            self.assertLess(len(said), 200)

    def test_an_answer_without_end_is_left(self) -> None:
        done = self.dial(self.via())
        for _ in range(10):
            self.send(b"x" * 4096)
        self.failureResultOf(done, ProxyFailed)

    def test_a_user_name_with_a_colon_is_refused(self) -> None:
        """The proxy would take the rest of it for the password."""
        self.assertRaises(SpecError, self.via, credentials=Credentials("a:b", "c"))


class EndpointTests(ProxyCase):
    """What both have in common: the endpoint around the handshake."""

    def setUp(self) -> None:
        super().setUp()
        self.endpoint: Any = via_http_connect(self.proxy, "feed", 5000)

    def test_the_protocol_has_the_transport_for_itself(self) -> None:
        done = self.dial(self.endpoint)
        self.send(CONNECTED)
        protocol = self.successResultOf(done)
        self.assertIs(protocol.transport, self.peer.transport)
        self.assertIs(self.peer.transport.protocol, protocol)
        self.peer.close()
        self.clock.turn()
        self.assertIs(protocol.reason.type, type(connectionDone.value))

    def test_the_factory_hears_of_start_and_stop(self) -> None:
        done = self.dial(self.endpoint)
        self.assertEqual(self.maker.started, 1)
        self.send(b"HTTP/1.1 403 No\r\n\r\n")
        self.failureResultOf(done)
        self.assertEqual(self.maker.started, 0)

    def test_no_protocol_is_built_before_the_peer_is_there(self) -> None:
        self.dial(self.endpoint)
        self.assertIsNone(self.maker.address)

    def test_a_proxy_that_closes_or_resets_is_told_apart_from_the_peer(self) -> None:
        for end, said in (
            (Peer.close, "the proxy closed the connection without an answer"),
            (Peer.reset, "the connection to the proxy was lost: the connection was lost"),
        ):
            done = self.dial(self.endpoint)
            end(self.peer)
            self.clock.turn()
            self.assertIn(said, explain(self.failureResultOf(done, ProxyFailed)))

    def test_a_proxy_that_is_not_there_is_told_apart_from_the_peer(self) -> None:
        done = self.endpoint.connect(self.maker)
        self.proxy.attempts[-1].refuse(ConnectionRefusedError())
        said = explain(self.failureResultOf(done, ProxyFailed))
        self.assertEqual(said, "the proxy cannot be reached: connection refused")

    def test_a_proxy_with_a_name_is_called_by_it(self) -> None:
        for via in (via_socks5, via_http_connect):
            reactor = FakeReactor()
            proxy = FakeEndpoint(reactor)
            done = via(proxy, "feed", 5000, name="gate:1").connect(Maker())
            proxy.attempts[-1].refuse()
            said = explain(self.failureResultOf(done, ProxyFailed))
            self.assertEqual(said, "the proxy gate:1 cannot be reached: connection refused")
            done = via(proxy, "feed", 5000, name="gate:1").connect(Maker())
            done.cancel()
            self.failureResultOf(done, ConnectingCancelledError)

    def test_an_address_of_ours_that_is_not_there_is_no_fault_of_the_proxys(self) -> None:
        proxy = FakeEndpoint(FakeReactor())
        done = via_socks5(proxy, "feed", 5000).connect(Maker())
        proxy.attempts[-1].refuse(BindFailed("bind 192.0.2.9: it is not ours"))
        self.failureResultOf(done, BindFailed)

    def test_a_fault_of_our_own_is_not_blamed_on_the_proxy(self) -> None:
        done = self.endpoint.connect(self.maker)
        self.proxy.attempts[-1].refuse(LocalError("tls-ca: no such file"))
        self.failureResultOf(done, LocalError)

    def test_it_can_be_cancelled_before_and_after_the_proxy_accepted(self) -> None:
        done = self.endpoint.connect(self.maker)
        done.cancel()
        self.failureResultOf(done, ConnectingCancelledError)
        self.assertFalse(self.proxy.attempts[-1].pending)
        done = self.dial(self.endpoint)
        done.cancel()
        self.failureResultOf(done, ConnectingCancelledError)
        self.clock.turn()
        self.assertTrue(self.peer.aborted)

    def test_what_a_proxy_says_after_a_refusal_is_not_looked_at(self) -> None:
        """Under TLS, chunks that were decrypted before the abort still come."""
        done = self.dial(via_socks5(self.proxy, "feed", 5000))
        tunnel = self.peer.transport.protocol
        self.send(b"\5\xff")
        tunnel.dataReceived(GRANTED)
        self.failureResultOf(done, ProxyFailed)
        self.assertIsNone(self.maker.address)

    def test_a_factory_that_builds_nothing_or_raises_ends_the_attempt(self) -> None:
        def broken(address: Any) -> Any:
            raise ZeroDivisionError

        builders: tuple[tuple[Callable[[Any], Any], type[Exception]], ...] = (
            (lambda _: None, NoProtocol),
            (broken, ZeroDivisionError),
        )
        for build, error in builders:
            self.maker.buildProtocol = build
            done = self.dial(self.endpoint)
            self.send(CONNECTED)
            self.failureResultOf(done, error)
            self.assertTrue(self.peer.aborted)

    def test_over_tls_the_protocol_stands_behind_the_tls_layer(self) -> None:
        """The handshake with the proxy was done before anybody else came to listen for it."""
        for protocol, shaken in ((Recorder, False), (Lines, True)):
            self.maker.protocol = protocol
            done = self.dial(self.endpoint, secure=True)
            self.peer.finishHandshake()
            self.send(CONNECTED + b"first data\n")
            built = self.successResultOf(done)
            tls: Any = self.peer.tls
            self.assertIs(built.transport, tls)
            self.assertIs(tls.wrappedProtocol, built)
            if shaken:
                self.assertEqual((built.up, built.frames), (True, [b"first data"]))
            else:
                self.assertEqual(built.received, b"first data\n")


class Lines(FrameProtocol):
    framing = framing.lines()

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[bytes] = []

    def frameReceived(self, frame: bytes) -> None:
        self.frames.append(frame)


class LinkTests(ProxyCase):
    """A link does not know that there is a proxy."""

    def setUp(self) -> None:
        super().setUp()
        self.link: Any = ReconnectingFactory.forProtocol(
            Lines, clock=self.clock, backoff=Backoff(initial=0.5), random=lambda: 1.0
        )
        self.link.start(via_socks5(self.proxy, "feed", 5000), self.clock)
        self.addCleanup(self.stop)

    def stop(self) -> None:
        self.link.stop()
        self.clock.turn()
        self.clock.advance(20)
        self.assertEqual(self.clock.pending(), [])

    def test_it_is_called_by_its_peer_and_has_what_came_with_the_answer(self) -> None:
        self.peer = self.proxy.attempts[-1].accept()
        self.send(b"\5\0" + GRANTED + b"hello\nwor")
        self.send(b"ld\n")
        self.assertEqual((self.link.state, self.link.name), (State.READY, "feed:5000"))
        self.assertEqual(self.link.connection.frames, [b"hello", b"world"])

    def test_a_proxy_that_never_answers_is_left_at_the_connect_deadline(self) -> None:
        self.peer = self.proxy.attempts[-1].accept()
        self.clock.advance(10)
        self.clock.turn()
        self.assertTrue(self.peer.aborted)
        self.assertIs(self.link.state, State.WAITING)
        self.assertIs(self.link.lastReason.type, ConnectTimeout)

    def test_a_refusal_backs_off_like_any_failed_attempt(self) -> None:
        self.peer = self.proxy.attempts[-1].accept()
        self.send(b"\5\0\5\5")
        self.assertIs(self.link.state, State.WAITING)
        self.assertEqual((self.link.stats().attempts, self.link.stats().connects), (1, 0))

    def test_it_stops_while_the_proxy_is_thinking(self) -> None:
        self.peer = self.proxy.attempts[-1].accept()
        stopped = self.link.stop()
        self.clock.turn()
        self.successResultOf(stopped)
        self.assertTrue(self.peer.aborted)


class LoginTests(ProxyCase):
    """A login that is not fixed: asked for at each connect, before the proxy is bothered."""

    def test_it_is_asked_for_anew_at_each_connect(self) -> None:
        logins = [Credentials("joe", "old"), Credentials("joe", "new")]
        endpoint = via_http_connect(self.proxy, "feed", 5000, lambda: logins.pop(0))
        self.assertEqual(len(logins), 2)
        for password in (b"old", b"new"):
            self.dial(endpoint)
            self.assertIn(base64.b64encode(b"joe:" + password), self.peer.received)

    def test_one_that_cannot_be_had_is_a_failed_attempt(self) -> None:
        def gone() -> Credentials:
            raise LocalError("login: no such file")

        done = via_socks5(self.proxy, "feed", 5000, gone).connect(self.maker)
        self.assertEqual(explain(self.failureResultOf(done)), "login: no such file")
        self.assertEqual(self.proxy.attempts, [])

    def test_one_that_does_not_fit_is_a_failed_attempt(self) -> None:
        done = via_socks5(self.proxy, "feed", 5000, lambda: Credentials("joe", "")).connect(
            self.maker
        )
        self.failureResultOf(done, SpecError)
        done = via_http_connect(self.proxy, "feed", 5000, lambda: Credentials("a:b", "")).connect(
            self.maker
        )
        self.failureResultOf(done, SpecError)


class MissingTests(ProxyCase):
    def test_without_the_library_the_extra_is_named(self) -> None:
        for module, via in (("socksio", via_socks5), ("h11", via_http_connect)):
            self.patch(sys, "modules", {**sys.modules, module: None})
            error = self.assertRaises(LocalError, via, self.proxy, "feed", 5000)
            self.assertIn("twisted-nbclient[proxy]", str(error))


def private(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    path.chmod(0o600)
    return str(path)


def test_credentials_are_the_first_line_whose_password_may_hold_colons(tmp_path: Path) -> None:
    assert read_credentials(private(tmp_path / "login", b"joe:s:cret\n")) == LOGIN
    assert read_credentials(private(tmp_path / "open", b"joe:")) == Credentials("joe", "")
    assert read_credentials(private(tmp_path / "more", b"joe:s:cret\r\n# since May\n")) == LOGIN


def test_a_password_does_not_show() -> None:
    assert "cret" not in repr(LOGIN)


@pytest.mark.parametrize("content", [b"", b"joe\n", b":x\n", b"\njoe:x\n"])
def test_what_is_no_login_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(LocalError, match="the first line is not user:password"):
        read_credentials(private(tmp_path / "login", content))


def test_a_password_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = private(tmp_path / "login", b"joe:x")
    os.chmod(path, 0o644)
    with pytest.raises(LocalError, match="chmod 600"):
        read_credentials(path)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path, why in (
        (str(tmp_path / "none"), "No such file"),
        (str(fifo), "not a regular file"),
        (private(tmp_path / "latin", b"jo\xe9:x"), "UnicodeDecodeError"),
        ("nul\0", "ValueError"),
    ):
        with pytest.raises(LocalError, match=why):
            read_credentials(path)


def test_importing_the_module_needs_no_library(pytestconfig: pytest.Config) -> None:
    code = "import sys; sys.modules.update(socksio=None, h11=None); import nbclient.endpoints.proxy"
    subprocess.run([sys.executable, "-c", code], cwd=pytestconfig.rootpath, check=True, timeout=30)
