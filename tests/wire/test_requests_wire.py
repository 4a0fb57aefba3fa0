"""Requests and answers over TCP: many connections, many requests on their way on each."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from twisted.internet.defer import Deferred, gatherResults, inlineCallbacks
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Factory
from twisted.trial.unittest import TestCase

from nbclient import Backoff, FrameProtocol, ReconnectingFactory, RequestProtocol, framing
from nbclient.endpoints import tcp
from nbclient.errors import ConnectionClosed
from tests.conformance.dialers import reactor, until

LINKS = 100
REQUESTS = 30


class Server(FrameProtocol):
    """Answers each line with the line itself, those of one read in whichever order it likes."""

    framing = framing.lines()
    shuffled = False
    pushes = False

    def framesReceived(self, frames: list[bytes]) -> None:
        answers = sorted(frames, key=hash) if self.shuffled else frames
        if self.pushes:
            answers = [line for answer in answers for line in (b"push", answer)]
        self.sendFrames(answers)


class Shuffled(Server):
    shuffled = True
    pushes = True


class Client(RequestProtocol):
    framing = framing.lines()
    requestWindow = 10

    def __init__(self) -> None:
        self.pushed = 0

    def frameReceived(self, frame: bytes) -> Any:
        self.pushed += 1


class ByKey(Client):
    def answerKey(self, frame: bytes) -> Hashable | None:
        return None if frame == b"push" else frame


class Leaving(FrameProtocol):
    """Answers one line on each connection, and closes at the second."""

    framing = framing.lines()
    answered = 0

    def frameReceived(self, frame: bytes) -> None:
        self.answered += 1
        if self.answered == 1:
            self.sendFrame(frame)
        else:
            self.loseConnection()


class RetryTests(TestCase):
    @inlineCallbacks
    def test_who_asks_again_once_the_link_is_ready_gets_every_answer_and_the_reactor_turns(
        self,
    ) -> Any:
        """A loop that was handed the dying connection again would spin for ever."""

        async def get(what: bytes) -> bytes:
            nonlocal rounds
            while True:
                connection = await link.whenReady()
                rounds += 1
                assert rounds < 100, "asks for ever"
                try:
                    answer: bytes = await connection.request(what)
                except ConnectionClosed:
                    continue  # once more, on the next connection
                return answer

        rounds = 0
        factory: Factory[Any] = Factory.forProtocol(Leaving)
        factory.noisy = False
        port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        link: Any = ReconnectingFactory.forProtocol(Client, backoff=Backoff(initial=0.01))
        link.start(tcp(reactor, "127.0.0.1", port.getHost().port))
        asked = [Deferred.fromCoroutine(get(b"%d" % number)) for number in range(5)]
        answers = yield gatherResults(asked)
        self.assertEqual(answers, [b"%d" % number for number in range(5)])
        yield link.stop()
        yield port.stopListening()


class Asking(ByKey):
    """Asks about what is pushed, until it has asked often enough."""

    asked = 0

    async def frameReceived(self, frame: bytes) -> None:  # type: ignore[override]
        self.pushed += 1
        if self.asked < REQUESTS:
            self.asked += 1
            question = b"about %d" % self.asked
            assert await self.request(question) == question


class PipeliningTests(TestCase):
    timeout = 20

    def listen(self, protocol: type[Server]) -> TCP4ClientEndpoint:
        factory: Any = Factory.forProtocol(protocol)
        factory.noisy = False
        port = reactor.listenTCP(0, factory, interface="127.0.0.1", backlog=LINKS)
        self.addCleanup(port.stopListening)
        return TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port)

    async def connect(self, server: type[Server], client: Any, links: int = LINKS) -> list[Any]:
        endpoint = self.listen(server)
        dials = [connectProtocol(endpoint, client()) for _ in range(links)]
        return await gatherResults(dials)  # type: ignore[no-any-return]

    async def close(self, clients: list[Any]) -> None:
        for client in clients:
            client.loseConnection()
        await until(lambda: all(client.settled for client in clients))

    def ask(self, clients: list[Any]) -> tuple[list[bytes], Deferred[list[bytes]]]:
        questions = [b"%d of %d" % (n, k) for k in range(len(clients)) for n in range(REQUESTS)]
        asked = [
            client.request(questions[k * REQUESTS + n])
            for k, client in enumerate(clients)
            for n in range(REQUESTS)
        ]
        return questions, gatherResults(asked)

    async def test_in_turn_on_a_hundred_connections(self) -> None:
        clients = await self.connect(Server, Client)
        questions, answers = self.ask(clients)
        self.assertEqual(await answers, questions)
        self.assertEqual(sum(client.pushed for client in clients), 0)
        await self.close(clients)

    async def test_by_key_in_any_order_with_other_frames_between(self) -> None:
        clients = await self.connect(Shuffled, ByKey)
        questions, answers = self.ask(clients)
        self.assertEqual(await answers, questions)
        self.assertEqual(sum(client.pushed for client in clients), len(questions))
        await self.close(clients)

    async def test_in_callbacks_that_hold_back_what_is_pushed(self) -> None:
        clients = await self.connect(Shuffled, Asking, links=20)
        for client in clients:
            client.request(b"begin")
        await until(lambda: all(client.pushed == REQUESTS + 1 for client in clients))
        await self.close(clients)

    async def test_a_server_that_goes_leaves_nobody_waiting(self) -> None:
        class Leaving(Server):
            def framesReceived(self, frames: list[bytes]) -> None:
                self.sendFrame(frames[0])
                self.loseConnection()

        (client,) = await self.connect(Leaving, Client, links=1)
        answers = [client.request(b"%d" % n) for n in range(30)]
        self.assertEqual(await answers[0], b"0")
        for answer in answers[1:]:
            with self.assertRaises(ConnectionClosed):
                await answer
        await until(lambda: client.settled)
