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

from nbclient import Backoff, FrameProtocol, ReconnectingFactory, State, framing
from nbclient.endpoints import explain_tls, from_string
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
from nbclient.daemon.clocks import use_monotonic_clock
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
class OldTLS:
    """A server with a good certificate that speaks no TLS newer than 1.1."""

    def __init__(self, cert: str, key: str) -> None:
        self._context = SSL.Context(SSL.TLS_METHOD)
        self._context.use_certificate_chain_file(cert)
        self._context.use_privatekey_file(key)
        self._context.set_cipher_list(b"ALL:@SECLEVEL=0")  # else it refuses TLS 1.1 itself
        self._context.set_max_proto_version(SSL.TLS1_1_VERSION)

    def getContext(self) -> SSL.Context:
        return self._context


class Lines(FrameProtocol):
    framing = framing.lines()

    def frameReceived(self, frame: bytes) -> None:
        pass


class OldTLSTests(TestCase):
    timeout = 20

    async def test_tls_1_1_is_refused_where_an_endpoint_string_asks_for_tls_too(self) -> None:
        """Our own ways of asking are in test_endpoints_wire.py."""
        folder = tempfile.mkdtemp(prefix="nbclient-")
        self.addCleanup(shutil.rmtree, folder)
        certs = make_certs(folder)
        server: Factory[Protocol] = Factory.forProtocol(Protocol)
        server.noisy = False
        context = OldTLS(certs.good, certs.good_key)
        port = reactor.listenSSL(0, server, context, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        roots = Path(folder, "roots")
        roots.mkdir()
        shutil.copy(certs.ca, roots)

        link: Any = ReconnectingFactory.forProtocol(Lines, backoff=Backoff(initial=60))
        self.addCleanup(link.stop)
        text = f"tls:127.0.0.1:{port.getHost().port}:trustRoots={roots}"
        link.start(from_string(reactor, text))
        await until(lambda: link.state is State.WAITING)
        self.assertIn("no TLS 1.2 or newer", explain_tls(link.lastReason) or "")
        self.assertEqual(link.stats().connects, 0)
