"""openssl s_server: TLS, good and bad; it sends each line back reversed."""

from __future__ import annotations

import functools
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.protocol import Factory, Protocol

from nbclient import State, framing
from nbclient.connection.wording import explain
from nbclient.endpoints import TLSSettings, tcp, tls
from tests.certs import Certs, make_certs
from tests.real.children import QUICKLY, Child, python
from tests.real.links import Inbox, Link, RealServerTestCase, reactor
from tests.real.servers import HOST, Redis, TLSServer

OLD_TLS = ("-tls1_1", "-cipher", "ALL@SECLEVEL=0")
PLAIN = "the server does not answer in TLS"


class Talker(Inbox):
    """Its opening proves that the server reads and answers."""

    framing = framing.lines()

    async def opening(self) -> None:
        self.sendFrame(b"stressed")
        assert await self.nextFrame() == b"desserts"


class Greeter(Protocol):
    """Says something in plain text at once, as an SMTP server does."""

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(b"220 mail.example.net ESMTP\r\n")


@functools.cache
def certs() -> Certs:
    """One set for all tests: nobody changes it."""
    folder = tempfile.TemporaryDirectory(prefix="nbclient-test-")
    made = make_certs(folder.name)
    _folders.append(folder)
    return made


_folders: list[tempfile.TemporaryDirectory[str]] = []


def teardown_module() -> None:
    while _folders:
        _folders.pop().cleanup()
    certs.cache_clear()


class OpenSSLTests(RealServerTestCase):
    """The library."""

    def setUp(self) -> None:
        self.server = TLSServer(self.folder(), certs())
        self.addCleanup(self.server.close)

    def secure(self, **options: Any) -> Link:
        """A link to the server that trusts the test's CA."""
        endpoint = tls(
            tcp(reactor, HOST, self.server.port), HOST, TLSSettings(ca=certs().ca), clock=reactor
        )
        return self.link(endpoint, Talker, **options)

    async def test_a_killed_server_costs_nothing_but_time(self) -> None:
        """Handshake, opening and frames again, and what was sent meanwhile."""
        self.server.start()
        link = self.secure()
        await link.ready()
        self.assertEqual(await link.ask(b"live"), b"evil")
        for round in range(1, 3):
            down = link.reaches(State.WAITING)
            self.server.kill()
            await down
            await link.send([b"parts"])
            self.server.start()
            self.assertEqual(await link.frame(), b"strap")
            await self.check_carried_on(link, losses=round)

    async def test_the_certificate_of_another_name_is_refused(self) -> None:
        await self.check_refused_then_mended("wrong_name", (), "for another|not for|name")

    async def test_a_self_signed_certificate_is_refused(self) -> None:
        await self.check_refused_then_mended("self_signed", (), "self-signed|self signed")

    async def test_an_expired_certificate_is_refused(self) -> None:
        await self.check_refused_then_mended("expired", (), "expired")

    async def test_tls_1_1_is_refused(self) -> None:
        await self.check_refused_then_mended("good", OLD_TLS, "offers no TLS 1.2 or newer")

    async def check_refused_then_mended(
        self, certificate: str, options: Sequence[str], words: str
    ) -> None:
        """Refused again and again, saying why; and ready once the server is put in order."""
        self.server.certificate, self.server.options = certificate, options
        self.server.start()
        link = self.secure()
        for _ in range(3):
            await link.reaches(State.WAITING)
            self.assertRegex(explain(link.lastReason), words)
        self.assertEqual((link.stats().connects, link.stats().bytes_out), (0, 0))
        self.server.kill()
        self.server.certificate, self.server.options = "good", ()
        self.server.start()
        await link.ready()
        self.assertEqual(await link.ask(b"live"), b"evil")
        self.assertEqual((link.stats().connects, link.stats().readies), (1, 1))

    async def test_plain_text_on_the_port(self) -> None:
        """Said in words, and forgotten once TLS is spoken there."""
        port = reactor.listenTCP(self.server.port, Factory.forProtocol(Greeter), interface=HOST)
        link = self.secure()
        for _ in range(3):
            await link.reaches(State.WAITING)
            self.assertIn(PLAIN, explain(link.lastReason))
        await port.stopListening()
        self.server.start()
        await link.ready()
        self.assertEqual(await link.ask(b"live"), b"evil")

    async def test_redis_on_the_port(self) -> None:
        """It takes a handshake for the beginning of a command: an error, or no answer."""
        redis = Redis(self.folder())
        self.addCleanup(redis.close)
        redis.start()
        endpoint = tls(tcp(reactor, HOST, redis.port), HOST, TLSSettings(), clock=reactor)
        link = self.link(endpoint, Talker, connectTimeout=0.5)
        for _ in range(2):
            await link.reaches(State.WAITING)
            self.assertRegex(explain(link.lastReason), f"{PLAIN}|not connected within 0.5 s|peer")
        self.assertEqual(link.stats().connects, 0)

    async def test_silence_in_the_handshake(self) -> None:
        """Accepted and never answered: the deadline covers it, and the next attempt comes."""
        self.server.start()
        self.server.freeze()
        link = self.secure(connectTimeout=0.3)
        for _ in range(2):
            await link.reaches(State.WAITING)
            self.assertIn("connected, but no TLS answer within 0.3 s", explain(link.lastReason))
        self.assertEqual(link.stats().connects, 0)
        self.server.thaw()
        await link.ready()
        self.assertEqual(await link.ask(b"live"), b"evil")

    async def test_silence_after_the_handshake(self) -> None:
        """A server that freezes while connected is noticed by its silence."""
        self.server.start()
        link = self.secure(silenceTimeout=1.0, connectTimeout=1.0)
        await link.ready()
        self.server.freeze()
        await link.reaches(State.WAITING, lambda why: "nothing for 1 s" in str(why and why.value))
        self.server.restart()
        await link.ready()
        self.assertEqual(await link.ask(b"live"), b"evil")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TLSServer]:
    with TLSServer(tmp_path, certs()) as server:
        yield server


def nbclient(server: TLSServer, *options: str) -> list[str]:
    return python(
        *("-m", "nbclient", HOST, str(server.port), "--tls", "--tls-ca", certs().ca),
        *("--opening", "stressed", "--expect", "^desserts$", *options),
    )


def test_the_command_line_carries_on_after_a_kill(server: TLSServer, tmp_path: Path) -> None:
    (tmp_path / "opening").write_text("devil\n")
    server.start()
    with Child(nbclient(server, *QUICKLY, "--opening-file", "opening"), cwd=tmp_path) as child:
        child.out.expect("^desserts\nlived\n")
        child.type("live\n")
        child.out.expect("^evil\n")
        server.kill()
        child.err.expect("connection refused")
        child.type("parts\n")
        server.start()
        child.out.expect("^desserts\nlived\nstrap\n")
        assert "Traceback" not in child.err.text


@pytest.mark.parametrize(
    ("certificate", "options", "words"),
    [
        ("self_signed", (), "self-signed|self signed"),
        ("wrong_name", (), "name"),
        ("good", OLD_TLS, "offers no TLS 1.2 or newer"),
    ],
)
def test_the_command_line_says_in_one_line_why_it_was_refused(
    server: TLSServer, certificate: str, options: Sequence[str], words: str
) -> None:
    server.certificate, server.options = certificate, options
    server.start()
    with Child(nbclient(server, "--retries", "0", "--quiet")) as child:
        assert child.wait() == 3
        said = child.err.end().splitlines()
        assert re.search(words, said[-1])
        assert len(said) <= 2, said
        assert child.out.end() == ""


def test_the_command_line_notices_a_handshake_that_is_never_answered(server: TLSServer) -> None:
    server.start()
    server.freeze()
    with Child(nbclient(server, "--retries", "0", "--connect-timeout", "0.3")) as child:
        assert child.wait() == 3
        assert "connected, but no TLS answer within 0.3 s" in child.err.end()


def test_the_command_line_waits_for_a_bad_server_to_be_mended(server: TLSServer) -> None:
    server.certificate = "self_signed"
    server.start()
    with Child(nbclient(server, *QUICKLY)) as child:
        child.err.expect("self-signed|self signed")
        child.type("live\n")
        server.kill()
        server.certificate = "good"
        server.start()
        child.out.expect("^desserts\nevil\n")
