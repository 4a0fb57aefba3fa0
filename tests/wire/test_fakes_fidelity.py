"""The fake pipe and a real socket tell a protocol the same story.

Each scenario is written once, and played over `nbclient.testing` and over TCP
on the loopback interface: the protocol has to see the same callbacks.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import ClientFactory, Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from nbclient.testing import HIGH_WATER, FakeReactor

reactor: Any = _reactor

LARGE = bytes(range(256)) * 8192
"""More than the buffers of both ends hold: 2 MiB."""

BUFFER = 32 * 1024
"""What the kernel is asked to buffer at each end, bytes."""


class Seen:
    """What happened, in order, and who waits for how much of it."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self._waiting: list[tuple[Callable[[], bool], Deferred[None]]] = []

    def add(self, event: Any) -> None:
        """Take it down; data in several pieces is one piece, as TCP has no other."""
        last = self.events[-1] if self.events else None
        if isinstance(event, bytes) and isinstance(last, bytes):
            self.events[-1] = last + event
        else:
            self.events.append(event)
        self.look()

    def look(self) -> None:
        """Release whoever has seen enough."""
        for each in list(self._waiting):
            if each[0]():
                self._waiting.remove(each)
                each[1].callback(None)

    def until(self, enough: Callable[[], bool]) -> Deferred[None]:
        """Fires when `enough` holds, at once or after some event."""
        deferred: Deferred[None] = Deferred()
        self._waiting.append((enough, deferred))
        self.look()
        return deferred


class Plain(Protocol):
    """The client: takes down its callbacks, and does nothing by itself."""

    def __init__(self) -> None:
        self.seen = Seen()

    def dataReceived(self, data: bytes) -> None:
        self.seen.add(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.seen.add(type(reason.value).__name__)

    # Of a producer.

    def pauseProducing(self) -> None:
        self.seen.add("pause")

    def resumeProducing(self) -> None:
        self.seen.add("resume")

    def stopProducing(self) -> None:
        self.seen.add("stop")


@implementer(IHalfCloseableProtocol)
class Half(Plain):
    """The same, knowing of two directions."""

    def readConnectionLost(self) -> None:
        self.seen.add("read lost")

    def writeConnectionLost(self) -> None:
        self.seen.add("write lost")


@implementer(IHalfCloseableProtocol)
class Server(Protocol):
    """The other end of a real connection, with the verbs of `Peer`."""

    def __init__(self) -> None:
        self.seen = Seen()
        self.received = b""
        self.finished = False
        self.gone = False

    def connectionMade(self) -> None:
        shrink(self.transport, socket.SO_RCVBUF)

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        self.seen.look()

    def readConnectionLost(self) -> None:
        self.finished = True
        self.seen.look()

    def writeConnectionLost(self) -> None:
        self.seen.look()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.finished = self.gone = True
        self.seen.look()

    def send(self, data: bytes) -> None:
        self.of_transport.write(data)

    def close(self) -> None:
        self.of_transport.loseWriteConnection()

    def reset(self) -> None:
        self.of_transport.abortConnection()

    def stall(self) -> None:
        self.of_transport.pauseProducing()

    def unstall(self) -> None:
        self.of_transport.resumeProducing()

    @property
    def of_transport(self) -> Any:
        """The transport; Twisted's types know only its least interface."""
        return self.transport


def shrink(transport: Any, which: int) -> None:
    """Have the kernel hold little, so that a stall is felt soon."""
    transport.getHandle().setsockopt(socket.SOL_SOCKET, which, BUFFER)


class FakeStage:
    """A connection over the fake pipe."""

    def __init__(self, protocol: type[Plain]) -> None:
        self.clock = FakeReactor()
        factory = ClientFactory.forProtocol(protocol)
        factory.noisy = False
        self.clock.connectTCP("192.0.2.1", 5000, factory)
        built: list[Any] = []
        build = factory.buildProtocol
        factory.buildProtocol = lambda addr: built.append(build(addr)) or built[0]  # type: ignore
        self.peer: Any = self.clock.attempts[0].accept()
        self.client = built[0]

    async def until(self, enough: Callable[[], bool]) -> None:
        """Let things happen until `enough` holds."""
        self.clock.turn(200)
        assert enough(), (self.client.seen.events, self.peer.received[:40])

    async def gone(self) -> None:
        """Until this end knows that the peer has reset the connection."""

    async def end(self) -> None:
        """Clear the stage."""
        self.client.transport.abortConnection()
        self.clock.turn()


class WireStage:
    """A connection over the loopback interface."""

    def __init__(self, port: Any, client: Any, peer: Server) -> None:
        self.port = port
        self.client = client
        self.peer = peer

    @classmethod
    async def open(cls, protocol: type[Plain]) -> WireStage:
        accepted: Deferred[Any] = Deferred()
        connected: Deferred[Any] = Deferred()

        class Announced(protocol):  # type: ignore[misc, valid-type]
            def connectionMade(self) -> None:
                shrink(self.transport, socket.SO_SNDBUF)
                connected.callback(self)

        class Accepted(Server):
            def connectionMade(self) -> None:
                super().connectionMade()
                accepted.callback(self)

        port = reactor.listenTCP(0, factory(Factory, Accepted), interface="127.0.0.1")
        reactor.connectTCP("127.0.0.1", port.getHost().port, factory(ClientFactory, Announced))
        return cls(port, await connected, await accepted)

    async def until(self, enough: Callable[[], bool]) -> None:
        """Let things happen until `enough` holds, whichever end sees it."""
        first: Deferred[None] = Deferred()

        def once(_: object) -> None:
            if not first.called:
                first.callback(None)

        self.client.seen.until(enough).addCallback(once)
        self.peer.seen.until(enough).addCallback(once)
        await first

    async def gone(self) -> None:
        """Until the peer's reset has left it; on loopback it is here by then."""
        await self.peer.seen.until(lambda: self.peer.gone)

    async def end(self) -> None:
        """Clear the stage."""
        self.client.transport.abortConnection()
        self.peer.reset()
        await self.peer.seen.until(lambda: self.peer.gone)
        await self.client.seen.until(lambda: lost(self.client))
        await self.port.stopListening()


def factory(kind: Any, protocol: type[Protocol]) -> Any:
    made = kind.forProtocol(protocol)
    made.noisy = False
    return made


def lost(client: Any) -> bool:
    """Whether the client has heard the last of its connection."""
    return any(str(event).startswith("Connection") for event in client.seen.events)


Stage = Any
Scenario = Callable[[Stage], Coroutine[Any, Any, None]]


# -- the scenarios; `client` and `peer` are the two ends


async def peer_closes(stage: Stage) -> None:
    stage.peer.send(b"hello")
    stage.peer.close()
    await stage.until(lambda: stage.client.seen.events[1:] != [])
    stage.client.transport.write(b"and good bye")
    stage.client.transport.loseConnection()
    await stage.until(lambda: lost(stage.client) and stage.peer.finished)
    assert stage.peer.received == b"and good bye"


async def peer_closes_on_a_plain_protocol(stage: Stage) -> None:
    stage.peer.send(b"hello")
    stage.peer.close()
    await stage.until(lambda: lost(stage.client))


async def peer_closes_while_we_are_paused(stage: Stage) -> None:
    stage.client.transport.pauseProducing()
    stage.peer.send(b"kept")
    stage.peer.close()
    stage.client.transport.write(b"ping")
    await stage.until(lambda: stage.peer.received == b"ping")
    stage.client.seen.add("still paused")
    stage.client.transport.resumeProducing()
    await stage.until(lambda: "read lost" in stage.client.seen.events)


async def we_half_close(stage: Stage) -> None:
    stage.client.transport.write(b"that is all")
    stage.client.transport.loseWriteConnection()
    await stage.until(lambda: stage.peer.finished and stage.client.seen.events != [])
    stage.peer.send(b"thank you")
    stage.peer.close()
    await stage.until(lambda: "read lost" in stage.client.seen.events)
    stage.client.transport.loseConnection()
    await stage.until(lambda: lost(stage.client))
    assert stage.peer.received == b"that is all"


async def we_write_behind_a_half_close(stage: Stage) -> None:
    stage.client.transport.write(b"one ")
    stage.client.transport.loseWriteConnection()
    stage.client.transport.write(b"two")
    await stage.until(lambda: stage.peer.finished)
    stage.client.seen.add(("the peer received", stage.peer.received))


async def we_half_close_with_a_paused_producer(stage: Stage) -> None:
    stage.client.transport.registerProducer(stage.client, True)
    stage.peer.stall()
    stage.client.transport.write(LARGE)
    stage.client.transport.loseWriteConnection()
    stage.peer.unstall()
    await stage.until(lambda: "resume" in stage.client.seen.events)
    await stage.until(lambda: len(stage.peer.received) == len(LARGE))
    stage.client.seen.add(("finished", stage.peer.finished))
    stage.client.transport.unregisterProducer()


async def we_abort(stage: Stage) -> None:
    stage.peer.stall()
    stage.client.transport.write(LARGE)
    stage.peer.send(b"never read")
    stage.client.transport.abortConnection()
    stage.client.seen.add("not yet")
    await stage.until(lambda: lost(stage.client))


async def we_close_with_data_pending(stage: Stage) -> None:
    stage.peer.stall()
    stage.client.transport.write(LARGE)
    stage.client.transport.loseConnection()
    stage.peer.unstall()
    await stage.until(lambda: stage.peer.finished and lost(stage.client))
    assert stage.peer.received == LARGE


async def we_close_while_the_peer_sends(stage: Stage) -> None:
    # Small and with a stalled peer in the fake, so that the close waits for its turn.
    stage.peer.stall()
    stage.client.transport.write(LARGE)
    stage.client.transport.loseConnection()
    stage.peer.send(b"too late")
    await turns(stage, 5)
    stage.client.seen.add("so far")
    stage.peer.unstall()
    await stage.until(lambda: lost(stage.client))


async def we_write_behind_a_close(stage: Stage) -> None:
    stage.client.transport.write(b"one ")
    stage.client.transport.loseConnection()
    stage.client.transport.write(b"two")
    await stage.until(lambda: lost(stage.client) and stage.peer.finished)
    stage.client.seen.add(("the peer received", stage.peer.received))


async def peer_resets(stage: Stage) -> None:
    stage.peer.reset()
    await stage.until(lambda: lost(stage.client))


async def peer_resets_behind_data(stage: Stage) -> None:
    stage.peer.send(b"before the reset")
    await stage.until(lambda: stage.client.seen.events != [])
    stage.peer.reset()
    await stage.until(lambda: lost(stage.client))


async def we_write_into_a_reset_with_data_unread(stage: Stage) -> None:
    stage.client.transport.pauseProducing()
    stage.peer.send(b"never seen")
    await turns(stage, 5)
    stage.peer.reset()
    await stage.gone()
    stage.client.transport.write(b"x")
    await stage.until(lambda: lost(stage.client))


async def the_peer_stalls_a_producer(stage: Stage) -> None:
    stage.client.transport.registerProducer(stage.client, True)
    stage.peer.stall()
    stage.client.transport.write(LARGE)
    await turns(stage, 5)
    stage.client.seen.add("so far")
    stage.peer.unstall()
    await stage.until(lambda: "resume" in stage.client.seen.events)
    stage.client.transport.abortConnection()
    await stage.until(lambda: lost(stage.client))


async def we_write_as_much_as_is_no_reason_to_pause(stage: Stage) -> None:
    stage.client.transport.registerProducer(stage.client, True)
    stage.client.transport.write(bytes(HIGH_WATER))
    stage.client.seen.add("at the mark")
    stage.client.transport.write(b"x")
    stage.client.seen.add("over it")
    await stage.until(lambda: "resume" in stage.client.seen.events)


async def turns(stage: Stage, count: int) -> None:
    """A few turns of either reactor: what can happen without us, happens."""
    if isinstance(stage, FakeStage):
        stage.clock.turn(count)
        return
    for _ in range(count):
        turned: Deferred[None] = Deferred()
        reactor.callLater(0, turned.callback, None)
        await turned


class Fidelity(TestCase):
    """Each scenario over both; what it was to show is written out beside it."""

    timeout = 10
    maxDiff = 400

    async def play(self, scenario: Scenario, protocol: type[Plain], expected: list[Any]) -> None:
        wire = await WireStage.open(protocol)
        stories = []
        for stage in (wire, FakeStage(protocol)):
            try:
                await scenario(stage)
                stories.append(list(stage.client.seen.events))
            finally:
                await stage.end()
        self.assertEqual(stories[0], expected, "over the wire")
        self.assertEqual(stories[1], expected, "over the fake pipe")


PLAYED: dict[Scenario, tuple[type[Plain], list[Any]]] = {
    peer_closes: (Half, [b"hello", "read lost", "ConnectionDone"]),
    peer_closes_on_a_plain_protocol: (Plain, [b"hello", "ConnectionDone"]),
    peer_closes_while_we_are_paused: (Half, ["still paused", b"kept", "read lost"]),
    we_half_close: (Half, ["write lost", b"thank you", "read lost", "ConnectionDone"]),
    we_write_behind_a_half_close: (
        Half,
        ["write lost", ("the peer received", b"one two")],
    ),
    we_half_close_with_a_paused_producer: (Half, ["pause", "resume", ("finished", False)]),
    we_abort: (Half, ["not yet", "ConnectionAborted"]),
    we_close_with_data_pending: (Half, ["ConnectionDone"]),
    we_close_while_the_peer_sends: (Half, ["so far", "ConnectionDone"]),
    we_write_behind_a_close: (Half, ["ConnectionDone", ("the peer received", b"one two")]),
    peer_resets: (Half, ["ConnectionLost"]),
    peer_resets_behind_data: (Half, [b"before the reset", "ConnectionLost"]),
    we_write_into_a_reset_with_data_unread: (Half, ["ConnectionLost"]),
    the_peer_stalls_a_producer: (
        Half,
        ["pause", "so far", "resume", "stop", "ConnectionAborted"],
    ),
    we_write_as_much_as_is_no_reason_to_pause: (
        Half,
        ["at the mark", "pause", "over it", "resume"],
    ),
}


def _test(scenario: Scenario) -> Callable[[Fidelity], Deferred[None]]:
    protocol, expected = PLAYED[scenario]

    def test(self: Fidelity) -> Deferred[None]:
        return Deferred.fromCoroutine(self.play(scenario, protocol, expected))

    return test


for _scenario in PLAYED:
    setattr(Fidelity, f"test_{_scenario.__name__}", _test(_scenario))
