"""A TLS peer that says goodbye while we have more to send than it takes."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from typing import Any

from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from nbclient import ReconnectingFactory, State, endpoints
from nbclient.endpoints import tls_endpoint
from tests.conformance.dialers import QUICK, Recorder, certs, reactor, until

PATIENCE = 4.0


def goodbye(listener: socket.socket, full: threading.Event) -> None:
    """Accept, wait until the client's buffers are full, send a close_notify, read to the end.

    :raises TimeoutError: the client did not end its side.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certs().good, certs().good_key)
    secure = context.wrap_socket(listener.accept()[0], server_side=True)
    full.wait(PATIENCE)
    secure.setblocking(False)
    with contextlib.suppress(OSError):  # the client has not said goodbye yet
        secure.unwrap()
    with contextlib.closing(socket.socket(fileno=secure.detach())) as raw:
        raw.settimeout(PATIENCE)
        while raw.recv(65536):
            pass


class GoodbyeTests(TestCase):
    timeout = 20

    async def test_a_full_transport_ends_when_tls_does(self) -> None:
        """Twisted waits for a registered producer, which can send nothing any more."""
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        full = threading.Event()
        ended = deferToThread(goodbye, listener, full)
        link: Any = ReconnectingFactory.forProtocol(Recorder, backoff=QUICK, delivery="written")
        link.events, link.opening = [], lambda: None
        self.addCleanup(link.stop)
        inner = endpoints.tcp(reactor, "127.0.0.1", listener.getsockname()[1])
        link.start(endpoints.tls(inner, "127.0.0.1", tls_endpoint.TLSSettings(ca=certs().ca)))
        await link.whenReady()
        await link.send([b"x" * 99_999] * 300)
        await until(lambda: not link.connection.writable)
        full.set()
        await ended
        await until(lambda: link.stats().losses == 1)
        self.assertIsNot(link.state, State.READY)
        self.assertLess(link.stats().outbox.acknowledged, 300)  # they are not sent into the void
