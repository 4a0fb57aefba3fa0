"""A process that stood still (SIGSTOP, a blocking callback): healthy links outlive it whole."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
import time
from typing import Any

import pytest
from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from nbclient import Backoff, ReconnectingFactory, RequestProtocol, framing
from nbclient.endpoints import tcp
from tests.real.children import Child, python, wait_until

reactor: Any = _reactor

SILENCE = 0.5
"""Seconds; the standstill is several times as long."""


def stopped(pid: int) -> bool:
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0] == "T"


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux' own")
@pytest.mark.parametrize(
    "options",
    [
        ("--silence-timeout", str(SILENCE)),
        ("--frame-timeout", str(SILENCE), "--max-frame", "2000000"),
    ],
    ids=["silence", "frame"],
)
def test_what_reached_this_host_meanwhile_comes_out_and_the_link_stays(
    options: tuple[str, ...],
) -> None:
    size = 300_000  # more than one read
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        run = python("-m", "nbclient", "127.0.0.1", str(port), "--input", "none", *options)
        with Child(run) as child, server.accept()[0] as peer:
            peer.settimeout(10)
            peer.sendall(b"first\nbegun ")
            child.out.expect("^first$")
            pid = child.process.pid
            os.kill(pid, signal.SIGSTOP)
            wait_until(lambda: stopped(pid))
            peer.sendall(b"x" * size + b"\nsecond\n")
            time.sleep(4 * SILENCE)
            os.kill(pid, signal.SIGCONT)
            found = child.out.expect(r"^begun (x+)\nsecond$")
            assert len(found[1]) == size
            peer.sendall(b"third\n")
            child.out.expect("^third$")
            server.settimeout(0)
            with pytest.raises(BlockingIOError):
                server.accept()
            child.kill()  # before the peer is closed, which would be logged as a loss
            assert not re.search("lost|nothing arrived|not finished", child.err.end())


class Echo(Protocol):
    def dataReceived(self, data: bytes) -> None:
        self.transport.write(data)  # type: ignore[union-attr]


class Asking(RequestProtocol):
    framing = framing.lines()
    requestTimeout = SILENCE  # type: ignore[misc]

    def frameReceived(self, frame: bytes) -> None:
        pass


class BlockingTests(TestCase):
    timeout = 20

    async def test_a_request_before_a_callback_that_blocks_is_answered_behind_it(self) -> None:
        """It had not even left when its time was over."""
        server: Factory[Protocol] = Factory.forProtocol(Echo)
        server.noisy = False
        port = reactor.listenTCP(0, server, interface="127.0.0.1")
        link = ReconnectingFactory.forProtocol(
            Asking, backoff=Backoff(initial=0.05, maximum=0.1), silenceTimeout=SILENCE
        )
        link.start(tcp(reactor, "127.0.0.1", port.getHost().port))
        connection = await link.whenReady()
        asked: Deferred[bytes] = connection.request(b"how")
        time.sleep(3 * SILENCE)
        self.assertEqual(await asked, b"how")
        await deferLater(reactor, 0.0)
        self.assertIs(link.connection, connection)
        await link.stop()
        await port.stopListening()
