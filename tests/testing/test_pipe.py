"""The fakes keep what they promise: tests built on them are worth no more than they."""

from __future__ import annotations

import re
import unittest
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.error import (
    ConnectingCancelledError,
    ConnectionAborted,
    ConnectionDone,
    ConnectionLost,
    ConnectionRefusedError,
    NotConnectingError,
    UserError,
)
from twisted.internet.interfaces import (
    IConsumer,
    IHalfCloseableProtocol,
    IHandshakeListener,
    IPushProducer,
    IReactorTime,
    ISSLTransport,
    IStreamClientEndpoint,
    ITransport,
)
from twisted.internet.protocol import ClientFactory, Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from nbclient.testing import (
    HIGH_WATER,
    READ_SIZE,
    FakeConnector,
    FakeEndpoint,
    FakeReactor,
    Peer,
    ScriptedPeer,
    every_split,
    pipe,
)


class Plain(Protocol):
    """Takes down what the transport tells it."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    @property
    def data(self) -> bytes:
        """Everything received."""
        return b"".join(each for each in self.seen if isinstance(each, bytes))

    def connectionMade(self) -> None:
        self.seen.append("made")

    def dataReceived(self, data: bytes) -> None:
        self.seen.append(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.seen.append(reason.type)


@implementer(IHalfCloseableProtocol)
class Half(Plain):
    """Knows that a connection has two directions."""

    def readConnectionLost(self) -> None:
        self.seen.append("read lost")

    def writeConnectionLost(self) -> None:
        self.seen.append("write lost")


@implementer(IHandshakeListener)
class Secure(Plain):
    """Is told of the handshake."""

    def handshakeCompleted(self) -> None:
        self.seen.append("handshake")


@implementer(IPushProducer)
class Producer:
    """Takes down what the consumer tells it."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def pauseProducing(self) -> None:
        self.told.append("pause")

    def resumeProducing(self) -> None:
        self.told.append("resume")

    def stopProducing(self) -> None:
        self.told.append("stop")


class Recorder(ClientFactory):
    """A factory that takes down what its connector tells it."""

    noisy = False

    def __init__(self, protocol: type[Protocol] = Plain, redials: int = 0) -> None:
        self.protocol = protocol
        self.redials = redials
        self.seen: list[Any] = []
        self.built: list[Any] = []

    def startFactory(self) -> None:
        self.seen.append("start")

    def stopFactory(self) -> None:
        self.seen.append("stop")

    def startedConnecting(self, connector: Any) -> None:
        self.seen.append("connecting")

    def buildProtocol(self, addr: Any) -> Any:
        self.built.append(super().buildProtocol(addr))
        return self.built[-1]

    def clientConnectionFailed(self, connector: Any, reason: Failure) -> None:
        self.seen.append(("failed", reason.type))
        self.again(connector)

    def clientConnectionLost(self, connector: Any, reason: Failure) -> None:
        self.seen.append(("lost", reason.type))
        self.again(connector)

    def again(self, connector: Any) -> None:
        if self.redials:
            self.redials -= 1
            connector.connect()


class FakeCase(SynchronousTestCase):
    """A fake reactor, and a connection over it where one is asked for."""

    def setUp(self) -> None:
        self.reactor = FakeReactor()

    def dial(self, factory: Any) -> FakeConnector:
        return self.reactor.connectTCP("feed.example", 5000, factory)

    def connect(self, protocol: type[Protocol] = Plain, **how: Any) -> tuple[Any, Any, Peer]:
        """The protocol, its transport, and the server's end."""
        factory = Recorder(protocol)
        self.dial(factory)
        peer = self.reactor.attempts[-1].accept(**how)
        return factory.built[0], factory.built[0].transport, peer


class Connectors(FakeCase):
    def test_dialling_records_an_attempt_and_tells_the_factory(self) -> None:
        factory = Recorder()
        connector = self.dial(factory)
        self.assertEqual(factory.seen, ["start", "connecting"])
        self.assertEqual(connector.state, "connecting")
        self.assertIs(connector.reactor, self.reactor)
        self.assertEqual(len(self.reactor.attempts), 1)
        self.assertEqual(connector.getDestination(), IPv4Address("TCP", "feed.example", 5000))

    def test_unix_sockets_are_dialled_alike(self) -> None:
        connector = self.reactor.connectUNIX("/run/feed.sock", Recorder())
        self.assertEqual(connector.getDestination(), UNIXAddress("/run/feed.sock"))
        self.assertEqual(len(self.reactor.attempts), 1)

    def test_what_connect_ssl_dials_speaks_tls_once_accepted(self) -> None:
        factory = Recorder()
        connector = self.reactor.connectSSL("feed.example", 5000, factory, object())
        self.assertEqual(connector.getDestination(), IPv4Address("TCP", "feed.example", 5000))
        peer = self.reactor.attempts[0].accept()
        self.assertTrue(ISSLTransport.providedBy(factory.built[0].transport))
        peer.finishHandshake()
        peer.send(b"x")
        self.reactor.turn()
        self.assertEqual(factory.built[0].data, b"x")

    def test_an_accepted_attempt_builds_a_protocol_for_the_address_dialled(self) -> None:
        factory = Recorder()
        connector = self.dial(factory)
        peer = self.reactor.attempts[0].accept()
        self.assertEqual(connector.state, "connected")
        self.assertTrue(peer.connected)
        [protocol] = factory.built
        self.assertEqual(protocol.seen, ["made"])
        self.assertEqual(protocol.transport.getPeer(), connector.getDestination())
        self.assertIsInstance(protocol.transport.getHost(), IPv4Address)

    def test_a_refused_attempt_fails_as_refused_or_as_the_test_says(self) -> None:
        for given_reason, kind in ((None, ConnectionRefusedError), (ValueError(), ValueError)):
            factory = Recorder()
            connector = self.dial(factory)
            self.reactor.attempts[-1].refuse(given_reason)
            self.assertEqual(factory.seen[2:], [("failed", kind), "stop"])
            self.assertEqual(connector.state, "disconnected")

    def test_it_dials_only_where_the_last_attempt_or_connection_is_over(self) -> None:
        connector = self.dial(Recorder())
        self.assertRaises(RuntimeError, connector.connect)
        peer = self.reactor.attempts[0].accept()
        self.assertRaises(RuntimeError, connector.connect)
        peer.close()
        self.reactor.turn()
        connector.connect()
        self.assertEqual(len(self.reactor.attempts), 2)

    def test_a_withdrawn_attempt_fails_as_the_users_own_doing(self) -> None:
        factory = Recorder()
        connector = self.dial(factory)
        connector.stopConnecting()
        self.assertEqual(factory.seen[2:], [("failed", UserError), "stop"])
        self.assertFalse(self.reactor.attempts[0].pending)

    def test_only_an_attempt_can_be_withdrawn(self) -> None:
        connector = self.dial(Recorder())
        peer = self.reactor.attempts[0].accept()
        self.assertRaises(NotConnectingError, connector.stopConnecting)
        peer.close()
        self.reactor.turn()
        self.assertRaises(NotConnectingError, connector.stopConnecting)

    def test_disconnecting_withdraws_an_attempt_and_does_nothing_without_one(self) -> None:
        connector = self.dial(Recorder())
        connector.disconnect()
        self.assertFalse(self.reactor.attempts[0].pending)
        connector.disconnect()
        self.assertEqual(connector.state, "disconnected")

    def test_disconnecting_closes_a_connection(self) -> None:
        factory = Recorder()
        connector = self.dial(factory)
        peer = self.reactor.attempts[0].accept()
        connector.disconnect()
        self.reactor.turn()
        self.assertEqual(factory.built[0].seen[-1], ConnectionDone)
        self.assertTrue(peer.finished)
        self.assertEqual(connector.state, "disconnected")

    def test_a_factory_that_dials_again_in_its_callback_is_not_stopped_in_between(self) -> None:
        factory = Recorder(redials=2)
        self.dial(factory)
        self.reactor.attempts[0].refuse()
        peer = self.reactor.attempts[1].accept()
        peer.close()
        self.reactor.turn()
        self.reactor.attempts[2].refuse()
        self.assertEqual(
            factory.seen,
            [
                "start",
                "connecting",
                ("failed", ConnectionRefusedError),
                "connecting",
                ("lost", ConnectionDone),
                "connecting",
                ("failed", ConnectionRefusedError),
                "stop",
            ],
        )
        self.assertEqual(factory.numPorts, 0)

    def test_the_factory_is_told_of_the_loss_after_the_protocol(self) -> None:
        order: list[str] = []

        class Tells(Plain):
            def connectionLost(self, reason: Failure = connectionDone) -> None:
                order.append("protocol")

        factory = Recorder(Tells)
        self.patch(factory, "clientConnectionLost", lambda *_: order.append("factory"))
        self.dial(factory)
        self.reactor.attempts[0].accept().close()
        self.reactor.turn()
        self.assertEqual(order, ["protocol", "factory"])

    def test_the_factory_is_told_the_same_reason_as_the_protocol(self) -> None:
        factory = Recorder()
        self.dial(factory)
        peer = self.reactor.attempts[0].accept()
        peer.reset()
        self.reactor.turn()
        self.assertEqual(factory.built[0].seen[-1], ConnectionLost)
        self.assertIn(("lost", ConnectionLost), factory.seen)


class Attempts(FakeCase):
    def test_an_attempt_is_decided_once(self) -> None:
        for first in ("accept", "refuse"):
            self.dial(Recorder())
            attempt = self.reactor.attempts[-1]
            self.assertTrue(attempt.pending)
            getattr(attempt, first)()
            self.assertFalse(attempt.pending)
            self.assertRaises(ValueError, attempt.accept)
            self.assertRaises(ValueError, attempt.refuse)
            self.assertRaises(ValueError, attempt.withdraw, UserError())

    def test_what_the_client_withdrew_cannot_be_accepted_any_more(self) -> None:
        self.dial(Recorder()).stopConnecting()
        self.assertRaises(ValueError, self.reactor.attempts[0].accept)


class Endpoints(FakeCase):
    def setUp(self) -> None:
        super().setUp()
        self.endpoint = FakeEndpoint(self.reactor)
        self.factory = Factory.forProtocol(Plain)
        self.factory.noisy = False

    def connecting(self) -> Deferred[Any]:
        return self.endpoint.connect(self.factory)

    def test_it_is_an_endpoint(self) -> None:
        verifyObject(IStreamClientEndpoint, self.endpoint)

    def test_connecting_is_done_with_the_protocol_when_the_test_accepts(self) -> None:
        connected = self.connecting()
        self.assertNoResult(connected)
        peer = self.endpoint.attempts[0].accept()
        protocol = self.successResultOf(connected)
        self.assertEqual(protocol.seen, ["made"])
        peer.send(b"hello")
        self.reactor.turn()
        self.assertEqual(protocol.data, b"hello")

    def test_a_refused_attempt_fails_the_deferred(self) -> None:
        connected = self.connecting()
        self.endpoint.attempts[0].refuse()
        self.failureResultOf(connected, ConnectionRefusedError)

    def test_cancelling_withdraws_the_attempt(self) -> None:
        connected = self.connecting()
        connected.cancel()
        self.failureResultOf(connected, ConnectingCancelledError)
        self.assertFalse(self.endpoint.attempts[0].pending)

    def test_each_connect_is_an_attempt_of_its_own(self) -> None:
        self.connecting()
        self.endpoint.attempts[0].accept()
        self.connecting()
        self.assertEqual([each.pending for each in self.endpoint.attempts], [False, True])

    def test_the_factory_is_started_while_an_attempt_or_a_connection_lives(self) -> None:
        self.connecting()
        self.assertEqual(self.factory.numPorts, 1)
        self.endpoint.attempts[0].accept()
        self.assertEqual(self.factory.numPorts, 1)

    def test_the_factory_is_stopped_after_a_refusal(self) -> None:
        connected = self.connecting()
        self.endpoint.attempts[0].refuse()
        self.failureResultOf(connected)
        self.assertEqual(self.factory.numPorts, 0)

    def test_the_factory_is_stopped_after_a_loss(self) -> None:
        self.connecting()
        self.endpoint.attempts[0].accept().close()
        self.reactor.turn()
        self.assertEqual(self.factory.numPorts, 0)


class Reading(FakeCase):
    def test_what_the_peer_sends_arrives_on_the_next_turn_and_not_before(self) -> None:
        protocol, transport, peer = self.connect()
        peer.send(b"one")
        peer.send(b"two")
        self.assertEqual(protocol.data, b"")
        self.reactor.advance(0)
        self.assertEqual(protocol.seen, ["made", b"onetwo"])
        verifyObject(ITransport, transport)
        verifyObject(IConsumer, transport)
        verifyObject(IPushProducer, transport)

    def test_a_read_is_no_larger_than_a_transport_of_twisted_reads(self) -> None:
        protocol, _, peer = self.connect()
        peer.send(bytes(2 * READ_SIZE + 1))
        self.reactor.turn()
        self.assertEqual([len(each) for each in protocol.seen[1:]], [READ_SIZE, READ_SIZE, 1])

    def test_nothing_is_read_while_paused_and_nothing_lost_by_it(self) -> None:
        protocol, transport, peer = self.connect()
        transport.pauseProducing()
        peer.send(b"kept")
        peer.close()
        self.reactor.turn()
        self.assertEqual(protocol.seen, ["made"])
        transport.resumeProducing()
        self.reactor.turn()
        self.assertEqual(protocol.seen, ["made", b"kept", ConnectionDone])

    def test_a_pause_inside_a_read_holds_from_the_next_read_on(self) -> None:
        protocol, transport, peer = self.connect()
        protocol.dataReceived = lambda data: (
            protocol.seen.append(len(data)),
            transport.pauseProducing(),
        )
        peer.send(bytes(READ_SIZE + 1))
        self.reactor.turn()
        self.assertEqual(protocol.seen, ["made", READ_SIZE])

    def test_once_closing_nothing_more_is_read(self) -> None:
        # Twisted's loseConnection stops reading, whatever there is still to write.
        protocol, transport, peer = self.connect()
        peer.stall()
        transport.write(b"still to be sent")
        transport.loseConnection()
        peer.send(b"too late")
        self.reactor.turn()
        transport.resumeProducing()
        self.reactor.turn()
        self.assertEqual(protocol.seen, ["made"])

    def test_the_kernel_gives_what_was_not_read_then_the_end(self) -> None:
        _, transport, peer = self.connect()
        kernel = transport.getHandle()
        self.assertRaises(BlockingIOError, kernel.recv, 10)
        transport.pauseProducing()
        peer.send(b"abcdef")
        peer.close()
        self.assertEqual(kernel.recv(4), b"abcd")
        self.assertEqual(kernel.recv(4), b"ef")
        self.assertEqual(kernel.recv(4), b"")


class Writing(FakeCase):
    def test_what_is_written_leaves_on_the_next_turn(self) -> None:
        _, transport, peer = self.connect()
        transport.write(b"one ")
        transport.writeSequence([b"two ", b"three"])
        self.assertEqual(peer.received, b"")
        self.reactor.advance(0)
        self.assertEqual(peer.received, b"one two three")

    def test_only_bytes_can_be_written(self) -> None:
        _, transport, _ = self.connect()
        self.assertRaises(TypeError, transport.write, "text")
        self.assertRaises(TypeError, transport.write, bytearray(b"bytes"))

    def test_a_peer_with_a_window_takes_so_much_and_no_more(self) -> None:
        _, transport, peer = self.connect()
        peer.window = 3
        transport.write(b"abcdef")
        self.reactor.turn()
        self.assertEqual((peer.received, peer.window), (b"abc", 0))
        peer.unstall()
        self.reactor.turn()
        self.assertEqual(peer.received, b"abcdef")

    def test_a_producer_is_paused_beyond_the_high_water_mark_and_not_at_it(self) -> None:
        _, transport, peer = self.connect()
        producer = Producer()
        transport.registerProducer(producer, True)
        peer.stall()
        transport.write(bytes(HIGH_WATER))
        self.assertEqual(producer.told, [])
        transport.write(b"x")
        self.assertEqual(producer.told, ["pause"])

    def test_a_producer_is_resumed_when_all_is_sent_and_not_before(self) -> None:
        _, transport, peer = self.connect()
        producer = Producer()
        transport.registerProducer(producer, True)
        peer.window = HIGH_WATER
        transport.write(bytes(HIGH_WATER + 1))
        self.reactor.turn()
        self.assertEqual(producer.told, ["pause"])
        peer.unstall()
        self.reactor.turn()
        self.assertEqual(producer.told, ["pause", "resume"])

    def test_a_producer_never_paused_is_never_resumed(self) -> None:
        _, transport, _ = self.connect()
        producer = Producer()
        transport.registerProducer(producer, True)
        transport.write(b"little")
        self.reactor.turn()
        self.assertEqual(producer.told, [])

    def test_there_is_one_producer_at_a_time(self) -> None:
        _, transport, _ = self.connect()
        transport.registerProducer(Producer(), True)
        self.assertRaises(RuntimeError, transport.registerProducer, Producer(), True)
        transport.unregisterProducer()
        transport.registerProducer(Producer(), True)

    def test_a_producer_is_stopped_when_the_connection_ends(self) -> None:
        _, transport, _ = self.connect()
        producer, late = Producer(), Producer()
        transport.registerProducer(producer, True)
        transport.abortConnection()
        self.reactor.turn()
        self.assertEqual(producer.told, ["stop"])
        transport.registerProducer(late, True)
        self.assertEqual(late.told, ["stop"])


class Closing(FakeCase):
    def test_the_peers_close_ends_the_connection_of_a_plain_protocol(self) -> None:
        protocol, transport, peer = self.connect()
        peer.send(b"bye")
        peer.close()
        self.reactor.turn()
        self.assertEqual(protocol.seen, ["made", b"bye", ConnectionDone])
        self.assertFalse(transport.connected)
        self.assertFalse(peer.connected)

    def test_the_peers_close_leaves_the_other_direction_to_who_knows_of_two(self) -> None:
        protocol, transport, peer = self.connect(Half)
        peer.close()
        self.reactor.turn()
        self.assertEqual(protocol.seen, ["made", "read lost"])
        transport.write(b"but I have more to say")
        self.reactor.turn()  # which tells of the end no second time
        transport.loseConnection()
        self.reactor.turn()
        self.assertEqual(peer.received, b"but I have more to say")
        self.assertEqual(protocol.seen, ["made", "read lost", ConnectionDone])

    def test_a_half_close_comes_after_what_was_written_and_leaves_reading(self) -> None:
        protocol, transport, peer = self.connect(Half)
        transport.write(b"that is all")
        transport.loseWriteConnection()
        self.reactor.turn()
        transport.write(b"too late")
        self.reactor.turn()
        self.assertEqual(peer.received, b"that is all")
        self.assertTrue(peer.finished)
        self.assertTrue(peer.connected)
        peer.send(b"thank you")
        peer.close()
        self.reactor.turn()
        self.assertEqual(protocol.seen, ["made", "write lost", b"thank you", "read lost"])

    def test_a_half_close_is_no_news_to_a_protocol_that_does_not_ask(self) -> None:
        protocol, transport, peer = self.connect()
        transport.loseWriteConnection()
        self.reactor.turn()
        self.assertTrue(peer.finished)
        self.assertEqual(protocol.seen, ["made"])

    def test_a_half_close_with_a_paused_producer_never_comes(self) -> None:
        # As under Twisted; whoever forgets to unregister has to notice in a test.
        _, transport, peer = self.connect(Half)
        transport.registerProducer(Producer(), True)
        transport.write(bytes(HIGH_WATER + 1))
        transport.loseWriteConnection()
        self.reactor.turn()
        self.assertFalse(peer.finished)
        transport.unregisterProducer()
        self.reactor.turn()
        self.assertTrue(peer.finished)

    def test_a_close_waits_until_everything_is_sent(self) -> None:
        protocol, transport, peer = self.connect()
        peer.stall()
        transport.write(b"last words")
        transport.stopProducing()  # another name for loseConnection
        self.reactor.turn()
        self.assertEqual(protocol.seen, ["made"])
        peer.unstall()
        self.reactor.turn()
        self.assertEqual(peer.received, b"last words")
        self.assertEqual(protocol.seen, ["made", ConnectionDone])
        self.assertTrue(peer.finished)
        self.assertFalse(peer.aborted)

    def test_an_abort_sends_nothing_more_and_comes_on_the_next_turn(self) -> None:
        protocol, transport, peer = self.connect()
        transport.write(b"never sent")
        peer.send(b"never read")
        transport.abortConnection()
        transport.abortConnection()
        self.assertEqual(protocol.seen, ["made"])
        self.reactor.turn()
        self.assertEqual(protocol.seen, ["made", ConnectionAborted])
        self.assertEqual(peer.received, b"")
        self.assertTrue(peer.aborted)

    def test_a_reset_is_noticed_after_what_arrived_was_read(self) -> None:
        protocol, _, peer = self.connect()
        peer.send(b"before the reset")
        peer.reset()
        self.reactor.turn()
        self.assertEqual(protocol.seen, ["made", b"before the reset", ConnectionLost])

    def test_a_write_into_a_reset_forgets_what_had_arrived(self) -> None:
        # The fault of Twisted's transports that FrameProtocol is there to mend.
        protocol, transport, peer = self.connect()
        peer.send(b"never seen")
        peer.reset()
        transport.write(b"x")
        self.reactor.turn()
        self.assertEqual(protocol.seen, ["made", ConnectionLost])

    def test_after_the_end_nothing_happens_any_more(self) -> None:
        protocol, transport, peer = self.connect(Half)
        transport.abortConnection()
        self.reactor.turn()
        before = list(protocol.seen)
        transport.write(b"x")
        transport.loseConnection()
        transport.loseWriteConnection()
        transport.abortConnection()
        transport.resumeProducing()
        transport.connectionLost(Failure(ConnectionDone()))
        peer.send(b"x")
        peer.close()
        self.reactor.turn()
        self.assertEqual(protocol.seen, before)
        self.assertEqual(self.reactor.pending(), [])

    def test_the_peer_hears_of_the_end_after_the_protocol(self) -> None:
        protocol, transport, peer = self.connect()
        heard: list[list[Any]] = []
        peer.whenLost(lambda *_: heard.append(list(protocol.seen)))
        transport.loseConnection()
        self.reactor.turn()
        self.assertEqual(heard, [["made", ConnectionDone]])


class Securing(FakeCase):
    def test_the_transport_is_there_before_the_handshake_is_done(self) -> None:
        protocol, transport, peer = self.connect(Secure, secure=True)
        self.assertTrue(ISSLTransport.providedBy(transport))
        self.assertEqual(protocol.seen, ["made"])
        peer.finishHandshake()
        self.assertEqual(protocol.seen, ["made", "handshake"])

    def test_a_protocol_that_does_not_ask_is_not_told_of_the_handshake(self) -> None:
        protocol, transport, peer = self.connect(secure=True)
        peer.finishHandshake()
        self.assertTrue(transport.handshaken)
        self.assertEqual(protocol.seen, ["made"])

    def test_only_a_secure_connection_has_a_handshake(self) -> None:
        _, _, peer = self.connect()
        self.assertRaises(ValueError, peer.finishHandshake)

    def test_bytes_go_through_in_both_directions(self) -> None:
        protocol, transport, peer = self.connect(secure=True)
        transport.write(b"ping")
        peer.send(b"pong")
        self.reactor.turn()
        self.assertEqual((peer.received, protocol.data), (b"ping", b"pong"))

    def test_there_is_no_half_close_in_either_direction(self) -> None:
        protocol, transport, peer = self.connect(Half, secure=True)
        self.assertFalse(hasattr(transport, "loseWriteConnection"))
        peer.close()
        self.reactor.turn()
        self.assertEqual(protocol.seen, ["made", ConnectionDone])


class Scripts(FakeCase):
    def run_script(self, *steps: tuple[Any, ...]) -> tuple[Any, Any, ScriptedPeer]:
        protocol, transport, peer = self.connect()
        script = ScriptedPeer(peer, list(steps))
        return protocol, transport, script

    def test_it_greets_waits_answers_and_closes(self) -> None:
        protocol, transport, script = self.run_script(
            ("send", b"name? "), ("receive", b"joe\n"), ("send", b"hello joe\n"), ("close",)
        )
        self.reactor.turn()
        self.assertEqual(protocol.data, b"name? ")
        self.assertFalse(script.done)
        transport.write(b"joe\n")
        self.reactor.turn()
        self.assertTrue(script.done)
        self.assertEqual(protocol.seen[-2:], [b"hello joe\n", ConnectionDone])

    def test_what_it_waits_for_may_come_in_pieces_and_together_with_what_follows(self) -> None:
        _, transport, script = self.run_script(("receive", b"abc"), ("receive", b"def"))
        for piece in (b"a", b"bcd"):
            transport.write(piece)
            self.reactor.turn()
            self.assertFalse(script.done)
        transport.write(b"ef")
        self.reactor.turn()
        self.assertTrue(script.done)

    def test_anything_else_fails_the_test_that_sent_it(self) -> None:
        _, transport, _ = self.run_script(("receive", b"abc"))
        transport.write(b"abx")
        error = self.assertRaises(AssertionError, self.reactor.turn)
        self.assertIn("b'abc'", str(error))
        self.assertIn("b'abx'", str(error))

    def test_it_resets(self) -> None:
        protocol, _, script = self.run_script(("reset",))
        self.reactor.turn()
        self.assertTrue(script.done)
        self.assertEqual(protocol.seen[-1], ConnectionLost)

    def test_what_was_sent_before_the_script_began_counts(self) -> None:
        _, transport, peer = self.connect()
        transport.write(b"early")
        self.reactor.turn()
        self.assertTrue(ScriptedPeer(peer, [("receive", b"early")]).done)


class Clocks(FakeCase):
    def test_the_reactor_is_a_clock(self) -> None:
        verifyObject(IReactorTime, self.reactor)

    def test_a_turn_lets_what_is_due_happen_and_no_time_pass(self) -> None:
        calls: list[str] = []
        self.reactor.callLater(0, lambda: self.reactor.callLater(0, calls.append, "second"))
        self.reactor.callLater(0.1, calls.append, "later")
        self.reactor.turn()
        self.assertEqual(calls, ["second"])
        self.assertEqual(self.reactor.seconds(), 0)

    def test_what_is_still_to_come_can_be_seen(self) -> None:
        self.assertEqual(self.reactor.pending(), [])
        call = self.reactor.callLater(3, print)
        self.assertEqual(len(self.reactor.pending()), 1)
        call.cancel()
        self.assertEqual(self.reactor.pending(), [])


# -- every_split


@given(st.binary(max_size=30))
def test_every_split_of_some_bytes_is_still_those_bytes(data: bytes) -> None:
    splits = list(every_split(data))
    assert all(b"".join(pieces) == data for pieces in splits)
    assert [data] in splits
    assert [data[i : i + 1] for i in range(len(data))] in splits


@pytest.mark.parametrize(
    ("data", "splits"),
    [
        (b"", [[b""], []]),
        (b"a", [[b"a"], [b"a"]]),
        (b"abc", [[b"abc"], [b"a", b"b", b"c"], [b"a", b"bc"], [b"ab", b"c"]]),
    ],
)
def test_the_splits_are_whole_byte_by_byte_and_in_two_at_every_place(
    data: bytes, splits: list[list[bytes]]
) -> None:
    assert list(every_split(data)) == splits


def test_the_page_shows_tests_that_pass() -> None:
    page = (Path(__file__).parents[2] / "docs" / "testing.md").read_text()
    code = page.partition("<!-- code: testing -->\n```python\n")[2].partition("```")[0]
    names: dict[str, Any] = {}
    exec(compile(code, "docs/testing.md", "exec"), names)
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(names["TickerTests"])
    result = unittest.TestResult()
    suite.run(result)
    assert (result.testsRun, result.errors, result.failures) == (2, [], [])


def test_the_page_offers_nothing_that_is_not_there() -> None:
    page = (Path(__file__).parents[2] / "docs" / "testing.md").read_text()
    rows = re.findall(r"^\| `(\w+)[^|]*` \| (.*) \|$", page, re.MULTILINE)
    reactor = FakeReactor()
    reactor.connectTCP("feed.example", 5000, Recorder())
    # Of what has its attributes only once it is made.
    made: dict[str, Any] = {"FakeReactor": reactor, "Attempt": reactor.attempts[0]}
    made["Peer"] = reactor.attempts[0].accept()
    assert {"FakeReactor", "Attempt", "Peer"} <= {name for name, _ in rows}
    for name, offered in rows:
        thing = made.get(name, getattr(pipe, name))
        for attribute in re.findall(r"`([a-z]\w*)(?:\([^`]*\))?`", offered):
            assert hasattr(thing, attribute), (name, attribute)
