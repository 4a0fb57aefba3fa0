"""A link with its spool on a real disk, over real sockets: what the parts promise, together."""

from __future__ import annotations

import shutil
import tempfile
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from nbclient import State, endpoints
from nbclient.delivery.replies import Reply
from nbclient.link.spooling import open_spool
from tests.conformance.answering import AnsweringServer, numbered
from tests.conformance.dialers import Serving, TCPServing, TLSServing, reactor, turn, until


class SpoolServing(Serving):
    """Links whose spool is in one folder, one after the other, as if by restarts."""

    timeout = 30

    def setUp(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="nbclient-")
        self.addCleanup(shutil.rmtree, self.folder)

    async def restarted(self, **options: Any) -> Any:
        """A link on the spool, whoever had it before."""
        self.spool = await open_spool(reactor, self.folder, "feed", "peer:1")
        link = self.link(spool=self.spool, **options)
        self.addCleanup(self.close, link, self.spool)
        self.dial(link, self.port)
        return link

    async def close(self, link: Any, spool: Any) -> None:
        await link.stop()
        closed: Deferred[None] = Deferred()
        spool.close(closed.callback)
        await closed

    def same(self, got: list[bytes], wanted: list[bytes]) -> None:
        """Without a diff of megabytes."""
        assert got == wanted, (len(got), len(wanted), got[:1], got[-1:])

    def assertConserved(self, link: Any) -> Any:
        stats = link.stats().outbox
        assert stats.conserved(), stats
        return stats

    async def acceptAll(self, link: Any, first: int, last: int, batch: int = 100) -> None:
        frames = numbered(first, last)
        for start in range(0, len(frames), batch):
            await link.send(frames[start : start + batch])


class SpoolLink(SpoolServing):
    """What holds in plain and under TLS, at level `tcp`."""

    def received(self) -> list[bytes]:
        """Whole lines, over all connections, in the order of the connections."""
        lines: list[bytes] = []
        for connection in self.server.connections:
            lines += bytes(connection.received).split(b"\n")[:-1]
        return lines

    async def test_what_was_accepted_while_nobody_listened_arrives_after_a_restart(self) -> None:
        self.serve()
        await self.port.stopListening()
        link = await self.restarted()
        await self.acceptAll(link, 1, 1000)
        await self.close(link, self.spool)
        stats = self.assertConserved(link)
        self.assertEqual((stats.waiting, stats.abandoned), (1000, 0))
        self.port = self.listen(self.server, again=self.port)
        link = await self.restarted()
        await link.whenDrained()
        await until(lambda: len(self.received()) >= 1000)
        self.same(self.received(), numbered(1, 1000))
        stats = self.assertConserved(link)
        self.assertEqual((stats.restored, stats.acknowledged), (1000, 1000))

    async def test_a_restart_sends_again_only_what_was_not_acknowledged(self) -> None:
        """The peer does not read, the link is stopped, and the next one carries on."""
        server = self.serve()
        link = await self.restarted(closeTimeout=0.2, outboxBytes=1_000_000)
        await link.whenReady()
        await until(lambda: server.connections)
        server.last.transport.pauseProducing()  # type: ignore[union-attr]
        await self.acceptAll(link, 1, 20_000, batch=5000)
        acknowledged = -1
        while acknowledged != link.stats().outbox.acknowledged:  # until the windows are full
            acknowledged = link.stats().outbox.acknowledged
            for _ in range(20):
                await turn()
        await self.close(link, self.spool)
        left = self.assertConserved(link).waiting
        self.assertGreater(left, 0)
        server.last.transport.resumeProducing()  # type: ignore[union-attr]
        link = await self.restarted()
        await link.whenDrained()
        self.assertEqual(link.stats().outbox.restored, left)
        await until(lambda: self.received()[-1:] == numbered(20_000, 20_000))
        first, again = (bytes(c.received).split(b"\n")[:-1] for c in server.connections)
        self.same(again, numbered(20_000 - left + 1, 20_000))
        # Our kernel went on delivering what it held when we had waited long enough: twice
        # comes what was not acknowledged by then, and nothing else.
        self.same(first, numbered(1, len(first)))
        self.assertGreaterEqual(len(first), 20_000 - left)
        await until(lambda: self.spool.totals.waiting == 0)

    async def test_servers_that_die_lose_what_they_had_not_read_and_no_more(self) -> None:
        server = self.serve()
        link = await self.restarted()
        acknowledged: list[int] = []
        link.observe(
            lambda old, new, _: (
                acknowledged.append(link.stats().outbox.acknowledged)
                if old is State.SETTLING
                else None
            )
        )
        for death in range(1, 5):
            await link.whenReady()
            await self.acceptAll(link, 5000 * death - 4999, 5000 * death, batch=1000)
            await until(lambda death=death: len(server.connections) == death)
            server.last.transport.abortConnection()  # type: ignore[union-attr]
            await until(lambda death=death: link.stats().losses == death)
        await link.whenDrained()
        await until(lambda: self.received()[-1:] == numbered(20_000, 20_000))
        first = 1
        for connection, upto in zip(server.connections, [*acknowledged, 20_000], strict=True):
            got = bytes(connection.received).split(b"\n")[:-1]
            self.same(got, numbered(first, first + len(got) - 1))
            first = upto + 1  # not one more, not one less
        self.assertConserved(link)


class PlainSpoolLinkTests(SpoolLink, TCPServing, TestCase):
    def dial(self, link: Any, port: Any) -> None:
        reactor.connectTCP("127.0.0.1", self.number, link)


class TLSSpoolLinkTests(SpoolLink, TLSServing, TestCase):
    def dial(self, link: Any, port: Any) -> None:
        inner = endpoints.tcp(reactor, "127.0.0.1", self.number)
        link.start(endpoints.tls(inner, "127.0.0.1", self.trust()))


class ReplyTests(SpoolServing, TCPServing, TestCase):
    """Level `reply`: a server that dies, and a link that is restarted, lose nothing together."""

    def dial(self, link: Any, port: Any) -> None:
        reactor.connectTCP("127.0.0.1", self.number, link)

    async def test_nothing_is_lost_and_only_what_was_not_answered_comes_twice(self) -> None:
        server = AnsweringServer(deaths=0.01)
        self.port = self.listen(server)
        self.addCleanup(self.port.stopListening)
        resent = restored = 0
        for life in range(4):
            link = await self.restarted(
                delivery="reply", reply=Reply(window=20, timeout=5.0), outboxBytes=20_000
            )
            await self.acceptAll(link, 500 * life + 1, 500 * life + 500)
            if life == 3:
                await link.whenDrained()
            else:
                await until(lambda life=life: len(server.processed) > 400 * (life + 1))
            await self.close(link, self.spool)
            stats = self.assertConserved(link)
            resent += stats.resent
            restored += stats.waiting
        processed = server.processed
        self.same(sorted(set(processed)), numbered(1, 2000))
        first = list(dict.fromkeys(processed))
        self.same(first, sorted(first))
        self.assertGreater(resent, 0)
        self.assertLessEqual(len(processed) - 2000, resent + restored)
        self.assertEqual(self.spool.totals.waiting, 0)
