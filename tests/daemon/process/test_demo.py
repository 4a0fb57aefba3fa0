"""The demo's server, without sockets."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.trial.unittest import SynchronousTestCase

from nbclient.daemon.process.demo import DOWN, TICK, UP, DemoConnection, DemoFeed
from nbclient.testing import FakeReactor


class Listening(FakeReactor):
    """Listens in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.ports: list[int] = []
        self.open = 0

    def listenTCP(self, port: int, factory: Any, interface: str) -> Any:
        assert interface == "127.0.0.1"
        self.ports.append(port)
        self.open += 1
        return SimpleNamespace(
            getHost=lambda: IPv4Address("TCP", interface, port or 4321),
            stopListening=self._closed,
        )

    def _closed(self) -> None:
        self.open -= 1


class DemoTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = Listening()
        self.feed = DemoFeed(self.reactor)
        self.port = self.feed.start()

    def connect(self) -> tuple[DemoConnection, Any]:
        connection = self.feed.buildProtocol(None)  # type: ignore[arg-type]
        assert isinstance(connection, DemoConnection)
        transport = StringTransportWithDisconnection()
        transport.protocol = connection
        connection.makeConnection(transport)
        return connection, transport

    def test_it_greets_ticks_and_answers(self) -> None:
        self.assertEqual(self.port, 4321)
        connection, transport = self.connect()
        self.assertEqual(transport.value(), b"welcome to the demo feed\n")
        transport.clear()
        self.reactor.advance(TICK)
        self.assertEqual(transport.value(), b"tick 2\n")
        transport.clear()
        connection.dataReceived(b"hello\nhalf")
        self.assertEqual(transport.value(), b"you said hello\n")
        self.feed.stop()
        self.assertEqual(self.feed.connections, [])
        self.assertEqual(self.reactor.pending(), [])

    def test_it_has_outages_and_comes_back_to_its_port(self) -> None:
        _, transport = self.connect()
        self.reactor.advance(UP)
        self.assertFalse(transport.connected)
        self.assertEqual((self.reactor.open, self.feed.connections), (0, []))
        self.reactor.advance(DOWN)
        self.assertEqual(self.reactor.ports, [0, 4321])
        self.assertEqual(self.reactor.open, 1)
        self.feed.stop()
        self.assertEqual(self.reactor.open, 0)

    def test_it_can_be_stopped_during_an_outage(self) -> None:
        self.reactor.advance(UP)
        self.feed.stop()
        self.feed.stop()
        self.assertEqual(self.reactor.pending(), [])
        self.assertEqual(self.reactor.open, 0)

    def test_a_minute_shows_a_loss_and_a_reconnect(self) -> None:
        self.assertLess(2 * UP + DOWN, 60)
        self.feed.stop()
