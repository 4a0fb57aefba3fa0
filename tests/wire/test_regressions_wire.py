"""Faults of the stock classes that only real processes and real sockets show.

What is listed in docs/regressions.md and tested nowhere else.
"""

from __future__ import annotations

import shutil
import socket
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from OpenSSL import SSL
from twisted.internet import reactor as _reactor
from twisted.internet.interfaces import IOpenSSLContextFactory
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from nbclient import Backoff, FrameProtocol, ReconnectingFactory, framing
from nbclient.endpoints import TLSSettings, context_factory, explain_tls, from_string, tcp, tls
from tests.certs import make_certs
from tests.conformance.dialers import until
from tests.real.children import Child, python

reactor: Any = _reactor

# A clock that can be set back an hour, for one process: while `flag` exists.
# Waits are as long as they may be, so that a timer is pending when it happens.
CLOCK = """
import os, random, runpy, sys, threading, time
flag = sys.argv.pop(1)
told = time.time
time.time = lambda: told() - 3600 * os.path.exists(flag)
random.random = lambda: 0.99
"""

REACTOR = """
from twisted.internet import reactor
from nbclient.daemon.process.clock import use_monotonic_clock
kind, patience = sys.argv[1:]
if kind == "monotonic":
    assert use_monotonic_clock(reactor)
reactor.callLater(0.1, reactor.stop)
open(flag, "w").close()
watchdog = threading.Timer(float(patience), os._exit, (9,))
watchdog.daemon = True
watchdog.start()
reactor.run(installSignalHandlers=False)
"""

# How each is started, with which words, and where it logs.
PROGRAMS = {
    "python": (
        "runpy.run_module('nbclient', run_name='__main__', alter_sys=True)",
        ("127.0.0.1", "{port}"),
        "err",
    ),
    "twistd": (
        "from twisted.scripts.twistd import run; run()",
        ("-n", "--pidfile=", "nbclient", "--host", "127.0.0.1", "--port", "{port}"),
        "out",
    ),
}


@pytest.mark.parametrize(
    ("kind", "patience", "status"), [("monotonic", "15", 0), ("time of day", "0.5", 9)]
)
def test_a_clock_set_back_an_hour_stops_no_timer_of_a_monotonic_reactor(
    kind: str, patience: str, status: int, tmp_path: Path
) -> None:
    """And does stop one of Twisted's own, or this would show nothing."""
    with Child(python("-c", CLOCK + REACTOR, str(tmp_path / "flag"), kind, patience)) as child:
        assert child.wait() == status, child.err.end()


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_clock_set_back_an_hour_does_not_keep_a_link_waiting(
    program: str, tmp_path: Path
) -> None:
    """It redials when the wait is over, and gives up after as many attempts as ever."""
    flag = tmp_path / "flag"
    start, words, log = PROGRAMS[program]
    retries = ("--retry-initial", "0.4", "--retry-factor", "1", "--retries", "3")
    with socket.socket() as refusing:
        refusing.bind(("127.0.0.1", 0))  # and does not listen
        where = [word.format(port=refusing.getsockname()[1]) for word in words]
        run = python("-c", CLOCK + start, str(flag), *where, *retries)
        with Child(run, cwd=tmp_path) as child:
            getattr(child, log).expect("next attempt in")
            time.sleep(0.15)  # it says so just before it sets the timer
            flag.touch()
            assert child.wait(8) == 3


@implementer(IOpenSSLContextFactory)
class ServerTLS:
    """A server's side of TLS; `newest` is the newest version it speaks."""

    def __init__(self, cert: str, key: str, newest: int = SSL.TLS1_3_VERSION) -> None:
        self._context = SSL.Context(SSL.TLS_METHOD)
        self._context.use_certificate_chain_file(cert)
        self._context.use_privatekey_file(key)
        self._context.set_cipher_list(b"ALL:@SECLEVEL=0")  # else it refuses TLS 1.1 itself
        self._context.set_max_proto_version(newest)

    def getContext(self) -> SSL.Context:
        return self._context


class Lines(FrameProtocol):
    framing = framing.lines()

    def frameReceived(self, frame: bytes) -> None:
        pass


class BadServerTests(TestCase):
    """A server that does not prove who it is, asked for in each way there is, by a link.

    What the reasons are, and that nothing of ours is sent, is in test_endpoints_wire.py.
    """

    timeout = 30

    def setUp(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="nbclient-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.certs = make_certs(self.folder)
        self.roots = Path(self.folder, "roots")
        self.roots.mkdir()
        shutil.copy(self.certs.ca, self.roots)

    def serve(self, context: ServerTLS) -> int:
        server: Factory[Protocol] = Factory.forProtocol(Protocol)
        server.noisy = False
        port = reactor.listenSSL(0, server, context, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return int(port.getHost().port)

    def by_endpoint(self, link: Any, port: int) -> None:
        link.start(tls(tcp(reactor, "127.0.0.1", port), "127.0.0.1", self.settings()))

    def by_connect_ssl(self, link: Any, port: int) -> None:
        context = context_factory("127.0.0.1", self.settings())
        reactor.connectSSL("127.0.0.1", port, link, context)

    def by_string(self, link: Any, port: int) -> None:
        link.start(from_string(reactor, f"tls:127.0.0.1:{port}:trustRoots={self.roots}"))

    def settings(self) -> TLSSettings:
        return TLSSettings(ca=self.certs.ca)

    async def check(self, context: ServerTLS, words: str) -> None:
        """Refused again and again, later and later, and never taken for a connection."""
        port = self.serve(context)
        for way in (self.by_endpoint, self.by_connect_ssl, self.by_string):
            backoff = Backoff(initial=0.001, maximum=60, factor=5)
            link: Any = ReconnectingFactory.forProtocol(
                Lines, backoff=backoff, random=lambda: 0.999
            )
            never = link.whenReady()
            never.addErrback(lambda _: None)
            way(link, port)
            await until(lambda link=link: link.stats().attempts == 3)
            self.assertRegex(explain_tls(link.lastReason) or "", words)
            stats = link.stats()
            self.assertEqual((stats.connects, stats.readies, stats.bytes_out), (0, 0, 0))
            self.assertFalse(never.called)
            await link.stop()

    async def test_a_self_signed_certificate_grows_the_delay_and_is_never_ready(self) -> None:
        context = ServerTLS(self.certs.self_signed, self.certs.self_signed_key)
        await self.check(context, "self-signed|could not be verified")

    async def test_a_wrong_name_grows_the_delay_and_is_never_ready(self) -> None:
        context = ServerTLS(self.certs.wrong_name, self.certs.wrong_name_key)
        await self.check(context, "wrong name|for another name")

    async def test_tls_1_1_grows_the_delay_and_is_never_ready(self) -> None:
        context = ServerTLS(self.certs.good, self.certs.good_key, SSL.TLS1_1_VERSION)
        await self.check(context, "no TLS 1.2 or newer")
