"""Delivery level `tcp` on real sockets: delivered is what the peer's kernel has."""

from __future__ import annotations

import shutil
import socket
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet import ssl
from twisted.internet.endpoints import TCP4ClientEndpoint, wrapClientTLS
from twisted.trial.unittest import TestCase

from nbclient import ReconnectingFactory, State, endpoints
from nbclient.connection.wording import explain
from nbclient.delivery.replies import Reply
from nbclient.errors import DeliveryUnavailable, LinkStopped, ReplyTimeout
from nbclient.kernel.ack_tracker import Acknowledging
from tests.conformance.answering import AnsweringServer, numbered
from tests.conformance.dialers import (
    QUICK,
    Recorder,
    Server,
    TCPServing,
    TLSServing,
    certs,
    reactor,
    turn,
    until,
)


class Delivery:
    """What holds in plain and under TLS."""

    timeout = 20

    def numbered(self, count: int) -> list[bytes]:
        return [b"%06d" % number + b"x" * 93 for number in range(count)]

    def received(self) -> list[bytes]:
        """Whole lines, over all connections, in the order of the connections."""
        lines: list[bytes] = []
        for connection in self.server.connections:
            lines += bytes(connection.received).split(b"\n")[:-1]
        return lines

    async def test_a_frame_is_delivered_when_the_peers_kernel_has_it(self) -> None:
        self.serve()
        link = await self.ready()
        self.assertEqual(link.stats().delivery, "tcp")
        await link.send(self.numbered(10))
        self.assertEqual(link.stats().outbox.waiting, 10)
        await link.whenDrained()
        stats = link.stats().outbox
        self.assertEqual((stats.acknowledged, stats.waiting), (10, 0))
        self.assertTrue(stats.conserved())

    async def test_what_was_not_acknowledged_is_sent_again_and_nothing_twice(self) -> None:
        """A peer that stops reading and dies: lost is what its kernel had, exactly."""
        server = self.serve()
        link = await self.ready()
        frames = self.numbered(60_000)
        first = server.last
        await link.send(frames[:1000])
        await until(lambda: len(first.received) == 100_000)
        first.transport.pauseProducing()
        for start in range(1000, len(frames), 1000):
            await link.send(frames[start : start + 1000])
        await until(lambda: link.connection is not None and not link.connection.writable)
        acknowledged = -1
        while acknowledged != link.stats().outbox.acknowledged:  # until the windows are full
            acknowledged = link.stats().outbox.acknowledged
            for _ in range(20):
                await turn()
        settled: list[int] = []
        link.observe(
            lambda old, new, _: (
                settled.append(link.stats().outbox.acknowledged) if old is State.SETTLING else None
            )
        )
        first.transport.abortConnection()
        await until(lambda: link.stats().losses == 1)
        await link.whenDrained()
        await until(lambda: self.received()[-1:] == frames[-1:])
        received = self.received()
        stats = link.stats().outbox
        self.assertEqual(sorted(set(received)), received)  # in order, none twice
        unread = settled[0] - len(bytes(first.received).split(b"\n")[:-1])
        self.assertEqual(len(frames) - len(received), unread)
        self.assertGreater(stats.resent, 0)
        self.assertEqual(stats.acknowledged, len(frames))
        self.assertTrue(stats.conserved())

    async def test_stopping_waits_for_what_is_on_its_way(self) -> None:
        server = self.serve()
        link = await self.ready()
        await link.send(self.numbered(600))
        await link.stop()
        stats = link.stats().outbox
        self.assertEqual((stats.acknowledged, stats.abandoned), (600, 0))
        await until(lambda: len(server.last.received) == 60_000)

    async def test_stopping_with_a_peer_that_does_not_read_abandons_what_it_has_not(self) -> None:
        server = self.serve()
        link = await self.ready(closeTimeout=0.1)
        server.last.transport.pauseProducing()
        for _ in range(30):
            await link.send([b"x" * 999_999])
        drained = link.whenDrained()
        await link.stop()
        await self.assertFailure(drained, LinkStopped)
        stats = link.stats().outbox
        self.assertGreater(stats.abandoned, 0)
        self.assertTrue(stats.conserved())

    async def test_stopping_does_not_wait_for_the_kernels_last_word_for_ever(self) -> None:
        """All is in our kernel, and the peer's takes no more: the deadline ends it."""
        server = self.serve()
        link = await self.ready(closeTimeout=0.3)
        server.last.transport.pauseProducing()
        await link.send(self.numbered(60_000))
        for _ in range(200):  # until the windows are full
            await turn()
        settling: list[bool] = []
        link.observe(lambda old, new, _: settling.append(new is State.SETTLING))
        await link.stop()
        self.assertIn(True, settling)
        stats = link.stats().outbox
        self.assertGreater(stats.abandoned, 0)
        self.assertTrue(stats.conserved())

    async def test_an_answer_settles_what_was_sent_before_it(self) -> None:
        server = self.serve()
        link = await self.ready(settleAfter=60)
        await link.send(self.numbered(1))
        drained = link.whenDrained()
        await until(lambda: link.stats().outbox.unsettled == 1)
        server.last.transport.write(b"OK\n")
        await drained

    async def test_counted_only_if_asked_for(self) -> None:
        self.serve()
        link = await self.ready(delivery="written")
        self.assertEqual(link.stats().delivery, "written")
        await link.send(self.numbered(1))
        self.assertEqual(link.stats().outbox.acknowledged, 1)


class PlainDeliveryTests(Delivery, TCPServing, TestCase):
    def dial(self, link: Any, port: Any) -> None:
        reactor.connectTCP("127.0.0.1", self.number, link)

    async def test_the_peers_end_is_not_the_end_of_its_acknowledgements(self) -> None:
        """It finishes writing, and goes on reading: nothing is sent again."""
        server = self.serve()
        server.answersLate = True
        link = await self.ready()
        first = server.last
        first.transport.pauseProducing()
        frames = self.numbered(80_000)
        await link.send(frames)
        for _ in range(200):  # until the windows are full
            await turn()
        self.assertFalse(link.connection.writable)
        first.transport.loseWriteConnection()
        for _ in range(100):  # its end is here, and it takes nothing yet
            await turn()
        self.assertIs(link.state, State.DROPPING)
        first.transport.resumeProducing()
        await link.whenDrained()
        await until(lambda: link.stats().losses == 1)
        self.assertEqual(link.stats().outbox.resent, 0)
        await until(lambda: self.received()[-1:] == frames[-1:])
        self.assertEqual(self.received(), frames)

    async def test_a_peer_that_takes_it_and_closes_at_once_has_proven_nothing(self) -> None:
        """A balancer whose backend is down."""
        server = self.serve()
        server.greet = lambda connection: (
            reactor.callLater(0.02, connection.transport.loseConnection)
            if len(server.connections) < 3
            else None
        )
        link = self.link(settleAfter=0.3)
        frames = self.numbered(20)
        await link.send(frames)
        self.dial(link, self.port)
        await link.whenDrained()
        self.assertEqual(len(server.connections), 3)
        self.assertEqual(self.received()[-20:], frames)
        stats = link.stats().outbox
        self.assertEqual((stats.acknowledged, stats.waiting), (20, 0))
        self.assertGreaterEqual(stats.resent, 20)

    async def test_what_both_lanes_write_keeps_the_offsets_right(self) -> None:
        self.serve()
        link = await self.ready()
        for number in range(50):
            link.connection.sendFrame(b"direct" * number)
            await link.send([b"kept" * number])
        await link.whenDrained()
        self.assertEqual(link.stats().outbox.acknowledged, 50)

    async def test_without_a_descriptor_to_spare_what_is_known_at_the_loss_has_to_do(self) -> None:
        self.serve()
        link = self.link()

        def none_left(sock: Any) -> Any:
            raise OSError("too many open files")

        self.patch(socket.socket, "dup", none_left)
        self.dial(link, self.port)
        await link.whenReady()
        self.server.last.transport.abortConnection()
        await until(lambda: link.stats().losses == 1)
        await link.send([b"one"])
        await link.whenDrained()
        self.assertEqual(link.stats().delivery, "tcp")


class StartTLSTests(TCPServing, TestCase):
    """TLS that an opening starts cannot be counted."""

    def dial(self, link: Any, port: Any) -> None:
        self.patch(Acknowledging, "overtaken", True)
        reactor.connectTCP("127.0.0.1", self.number, link)

    async def test_auto_is_written_then(self) -> None:
        self.serve()
        link = await self.ready()
        self.assertEqual(link.stats().delivery, "written")
        await link.send([b"one"])
        await link.whenDrained()
        await until(lambda: self.server.last.received == b"one\n")

    async def test_tcp_by_name_is_not_to_be_had(self) -> None:
        self.serve()
        link = self.link(delivery="tcp")
        self.dial(link, self.port)
        await link.send([b"one"])
        await until(lambda: link.stats().losses >= 2)
        self.assertIn("TLS was started", explain(link.lastReason))
        self.assertEqual(link.stats().outbox.waiting, 1)


class TLSDeliveryTests(Delivery, TLSServing, TestCase):
    def dial(self, link: Any, port: Any) -> None:
        inner = endpoints.tcp(reactor, "127.0.0.1", self.number)
        link.start(endpoints.tls(inner, "127.0.0.1", self.trust()))

    async def test_tls_that_others_made_cannot_be_counted(self) -> None:
        self.serve()
        authority = ssl.Certificate.loadPEM(Path(certs().ca).read_bytes())
        creator = ssl.optionsForClientTLS("localhost", trustRoot=authority)
        inner = TCP4ClientEndpoint(reactor, "127.0.0.1", self.number)
        for level in ("auto", "tcp"):
            link = self.link(delivery=level)
            link.start(wrapClientTLS(creator, inner))
            if level == "auto":
                await link.whenReady()
                self.assertEqual(link.stats().delivery, "written")
            else:
                await until(lambda link=link: link.stats().attempts >= 2)
                self.assertIs(link.lastReason.type, DeliveryUnavailable)
                self.assertIn("not made by nbclient.endpoints", str(link.lastReason.value))
                self.assertEqual(link.stats().readies, 0)


class ReplyDeliveryTests(TCPServing, TestCase):
    """Level `reply`: delivered is what the peer's application answered."""

    timeout = 20

    def dial(self, link: Any, port: Any) -> None:
        reactor.connectTCP("127.0.0.1", self.number, link)

    async def test_servers_that_die_lose_nothing(self) -> None:
        """Each dies with frames read and not answered, and others unread in its kernel."""
        server = AnsweringServer(deaths=0.01)
        self.port = self.listen(server)
        self.addCleanup(self.port.stopListening)
        frames = numbered(1, 2000)
        link = self.link(delivery="reply", reply=Reply(window=50, timeout=5.0))
        self.dial(link, self.port)
        for start in range(0, len(frames), 100):
            await link.send(frames[start : start + 100])
        await link.whenDrained()
        stats = link.stats().outbox
        self.assertEqual(sorted(set(server.processed)), frames)
        first = list(dict.fromkeys(server.processed))
        self.assertEqual(first, frames)
        self.assertGreater(link.stats().losses, 3)
        self.assertLessEqual(len(server.processed) - len(frames), stats.resent)
        self.assertEqual((stats.acknowledged, stats.waiting), (2000, 0))
        self.assertTrue(stats.conserved())
        await link.stop()

    async def test_the_end_after_the_last_answer_comes_behind_the_whole_read(self) -> None:
        server = self.serve()
        link = await self.ready(delivery="reply", reply=Reply())
        await link.send([b"a"])
        ended = link.whenDrained().addCallback(lambda _: link.stop())
        await until(lambda: server.last.received)
        server.last.transport.write(b"ok\nbehind it\n")
        await ended
        self.assertEqual([e for e in link.events if isinstance(e, bytes)], [b"ok", b"behind it"])

    async def test_a_server_that_says_nothing_is_left_and_the_frame_sent_again(self) -> None:
        server = self.serve()
        link = await self.ready(delivery="reply", reply=Reply(timeout=0.1))
        await link.send([b"a"])
        await until(lambda: len(server.connections) > 1 and server.last.received)
        self.assertIs(link.lastReason.type, ReplyTimeout)
        server.last.transport.write(b"ok\n")
        await link.whenDrained()
        self.assertTrue(all(c.received in (b"a\n", b"") for c in server.connections))


class UNIXDeliveryTests(TestCase):
    async def test_a_unix_socket_acknowledges_nothing(self) -> None:
        folder = tempfile.mkdtemp(prefix="nbclient-")
        self.addCleanup(shutil.rmtree, folder)
        port = reactor.listenUNIX(f"{folder}/s", Server())
        self.addCleanup(port.stopListening)
        link: Any = ReconnectingFactory.forProtocol(Recorder, backoff=QUICK, delivery="tcp")
        link.events, link.opening = [], lambda: None
        self.addCleanup(link.stop)
        reactor.connectUNIX(f"{folder}/s", link)
        await until(lambda: link.stats().attempts >= 2)
        self.assertIn("not TCP", str(link.lastReason.value))
