"""A link notices a dead path, idle and busy, and keeps a peer that is only slow.

In network namespaces of this test's own; see test_dead_path.py, where the rule
itself is watched for longer.
"""

from __future__ import annotations

import socket
from typing import Any

import pytest
from twisted.trial.unittest import TestCase

from nbclient import Backoff, ReconnectingFactory, State
from nbclient.errors import DeadPath
from tests.conformance.dialers import Recorder, reactor, until
from tests.wire.test_dead_path import LIMIT, inside, why_not, wires


@pytest.mark.skipif(bool(why_not()), reason=why_not())
class DeadLinkTests(TestCase):
    timeout = 30

    def link(self, wire: Any, listening: socket.socket) -> Any:
        # One attempt: the next would be made in this process's own namespace.
        link: Any = ReconnectingFactory.forProtocol(
            Recorder, backoff=Backoff(initial=60), random=lambda: 1.0, deadAfter=LIMIT
        )
        link.events, link.opening, link.onFrame = [], lambda: None, lambda frame: None
        self.addCleanup(link.stop)
        port = listening.getsockname()[1]
        inside(wire.ours, lambda: reactor.connectTCP(wire.address, port, link))
        return link

    async def test_dead_paths_are_noticed_and_a_slow_peer_is_kept(self) -> None:
        with wires("10.99.1", "10.99.2") as (dying, living):
            doors = [dying.listen(), living.listen()]
            idle, busy = self.link(dying, doors[0]), self.link(dying, doors[0])
            slow = self.link(living, doors[1])
            for link in (idle, busy, slow):
                await link.whenReady()
            peers = [doors[0].accept()[0], doors[0].accept()[0], doors[1].accept()[0]]
            for _ in range(20):
                await slow.send([b"x" * 100_000])  # more than the peer's window
            dying.drop()
            began = reactor.seconds()
            await busy.send([b"is anybody there?"])
            for link in (busy, idle):
                await until(lambda link=link: link.stats().losses, 4 * LIMIT)
                self.assertIs(link.lastReason.type, DeadPath)
                self.assertIn("the path is dead", str(link.lastReason.value))
            self.assertEqual(busy.stats().outbox.waiting, 1)  # kept for the next connection
            await until(lambda: reactor.seconds() - began > 2.5 * LIMIT, 4 * LIMIT)
            self.assertIs(slow.state, State.READY)
            for sock in (*peers, *doors):
                sock.close()
            await slow.stop()
