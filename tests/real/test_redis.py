"""redis-server: inline commands, answers that end in CRLF."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nbclient import State, framing
from nbclient.core.automation import Heartbeat
from nbclient.endpoints import tcp
from tests.real.children import QUICKLY, Child, python
from tests.real.links import Inbox, Link, RealServerTestCase, reactor
from tests.real.servers import HOST, Redis


class Named(Inbox):
    """Names its connection before it is ready."""

    framing = framing.crlf()

    async def opening(self) -> None:
        self.sendFrame(b"CLIENT SETNAME nbclient")
        assert await self.nextFrame() == b"+OK"


class Subscriber(Inbox):
    """Subscribes before it is ready: redis forgets its subscribers when they are gone."""

    framing = framing.crlf()

    async def opening(self) -> None:
        self.sendFrame(b"SUBSCRIBE news")
        for expected in (b"*3", b"$9", b"subscribe", b"$4", b"news", b":1"):
            assert await self.nextFrame() == expected


class RedisTests(RealServerTestCase):
    """The library."""

    def setUp(self) -> None:
        self.server = Redis(self.folder())
        self.addCleanup(self.server.close)
        self.server.start()

    async def test_a_killed_server_costs_nothing_but_time(self) -> None:
        """Kill and restart: the same link, the opening again, and what was asked meanwhile."""
        link = self.link(tcp(reactor, HOST, self.server.port), Named)
        await link.ready()
        self.assertEqual(await link.ask(b"PING"), b"+PONG")
        self.assertEqual(await link.ask(b"SET greeting hello"), b"+OK")

        down = link.reaches(State.WAITING)
        self.server.kill()
        await down
        await link.send([b"GET greeting", b"CLIENT GETNAME"])
        self.assertEqual(link.stats().outbox.waiting, 2)
        self.server.start()

        answers = [await link.frame() for _ in range(4)]
        self.assertEqual(answers, [b"$5", b"hello", b"$8", b"nbclient"])
        await self.check_carried_on(link)

    async def test_as_often_as_it_is_killed(self) -> None:
        """The back-off of one outage is forgotten at the next."""
        link = self.link(tcp(reactor, HOST, self.server.port), Named)
        await link.ready()
        for round in range(1, 4):
            lost = link.reaches(State.WAITING)
            self.server.restart()
            await lost
            await link.ready()
            self.assertEqual(await link.ask(b"ECHO %d" % round), b"$1")
            self.assertEqual(await link.frame(), b"%d" % round)
            await self.check_carried_on(link, losses=round)

    async def test_a_server_that_is_not_there_yet(self) -> None:
        """Refused at first: the link waits for the server, not the user."""
        self.server.kill()
        link = self.link(tcp(reactor, HOST, self.server.port), Named)
        await link.reaches(State.WAITING)
        await link.send([b"PING"])
        self.server.start()
        self.assertEqual(await link.frame(), b"+PONG")
        self.assertEqual(link.stats().losses, 0)

    async def test_many_commands_at_once_are_answered_in_order(self) -> None:
        """A batch of frames out, a batch of frames in."""
        link = self.link(tcp(reactor, HOST, self.server.port), Named)
        await link.send([b"ECHO %05d" % number for number in range(5000)])
        for number in range(5000):
            self.assertEqual(await link.frame(), b"$5")
            self.assertEqual(await link.frame(), b"%05d" % number)

    async def test_what_is_published_arrives_and_each_kill_is_followed_by_a_subscription(
        self,
    ) -> None:
        """Every message once and in order, from a second link, which redials as well."""
        subscriber = self.link(tcp(reactor, HOST, self.server.port), Subscriber)
        publisher = self.link(tcp(reactor, HOST, self.server.port), framing=framing.crlf())
        for round in range(3):
            await subscriber.ready()
            for number in range(20):
                self.assertEqual(
                    await publisher.ask(b"PUBLISH news %d-%d" % (round, number)), b":1"
                )
            for number in range(20):
                self.assertEqual(await self.published(subscriber), b"%d-%d" % (round, number))
            down = [link.reaches(State.WAITING) for link in (subscriber, publisher)]
            self.server.restart()
            for each in down:
                await each
        await subscriber.ready()
        await self.check_carried_on(subscriber, losses=3)

    async def test_a_frozen_server_is_noticed_by_heartbeats_without_an_answer(self) -> None:
        """On a channel where nothing is published, only the answers to PING show that it lives."""
        link = self.link(
            tcp(reactor, HOST, self.server.port),
            Subscriber,
            heartbeat=Heartbeat(b"PING", 0.05),
            silenceTimeout=1.0,
            openingTimeout=1.0,
        )
        for _ in range(24):
            self.assertEqual(await self.frames(link, 5), [b"*2", b"$4", b"pong", b"$0", b""])
        self.assertEqual(link.stats().losses, 0)
        self.server.freeze()
        await link.reaches(State.WAITING, lambda why: "nothing for 1 s" in str(why and why.value))
        self.server.thaw()
        await link.ready()

    async def published(self, link: Link) -> bytes:
        """The next message on the channel."""
        frames = await self.frames(link, 7)
        self.assertEqual(frames[:5], [b"*3", b"$7", b"message", b"$4", b"news"])
        return frames[6]

    async def frames(self, link: Link, count: int) -> list[bytes]:
        """The next `count` frames."""
        return [await link.frame() for _ in range(count)]


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    with Redis(tmp_path) as server:
        server.start()
        yield server


def nbclient(server: Redis, *options: str) -> list[str]:
    return python("-m", "nbclient", HOST, str(server.port), "--framing", "crlf", *options)


def staying(server: Redis, *options: str) -> list[str]:
    return nbclient(server, *QUICKLY, *options)


def test_the_command_line_carries_on_after_a_kill(redis: Redis, tmp_path: Path) -> None:
    """The opening is not done before redis has loaded its data: until then it answers no PING."""
    (tmp_path / "opening").write_text("CLIENT SETNAME nbclient\nPING\n")
    opened = r"^\+OK\r?\n\+PONG\r?\n"
    command = staying(
        redis,
        *("--opening-file", "opening", "--expect", r"^\+PONG$", "--opening-timeout", "1"),
    )
    with Child(command, cwd=tmp_path) as child:
        child.out.expect(opened)
        child.type("PING\nSET greeting hello\n")
        child.out.expect(r"^\+PONG\r?\n\+OK\r?\n")
        redis.kill()
        child.err.expect("the peer closed the connection|the connection was lost")
        child.err.expect("connection refused")
        child.type("GET greeting\nCLIENT GETNAME\n")
        redis.start()
        child.out.expect(rf"{opened}\$5\r?\nhello\r?\n\$8\r?\nnbclient\r?\n")
        assert "Traceback" not in child.err.text


def test_drain_ends_when_everything_was_sent_although_the_server_was_away(
    redis: Redis, tmp_path: Path
) -> None:
    """Input that has ended before there is a server is neither lost nor waited for twice."""
    redis.kill()
    with Child(staying(redis, "--drain"), cwd=tmp_path) as child:
        child.type("SET late yes\n")
        child.hang_up()
        child.err.expect("connection refused")
        redis.start()
        assert child.wait() == 0
    with Child(staying(redis), cwd=tmp_path) as child:
        child.type("GET late\n")
        child.out.expect(r"^\$3\r?\nyes\r?\n")


def test_check_says_whether_it_works(redis: Redis, tmp_path: Path) -> None:
    with Child(nbclient(redis, "--check", "--opening", "PING", "--expect", "PONG")) as child:
        assert child.wait() == 0
        assert f"{HOST}:{redis.port}" in child.out.end() + child.err.end()
    redis.kill()
    with Child(nbclient(redis, "--check")) as child:
        assert child.wait() == 3
        assert "connection refused" in child.err.end()


def test_a_wrong_answer_to_the_opening_is_a_failed_attempt(redis: Redis) -> None:
    """`expect` waits for its own answer, and not for ever."""
    with Child(
        nbclient(
            redis,
            *("--opening", "NOSUCHCOMMAND", "--expect", r"^\+OK$"),
            *("--opening-timeout", "0.5", "--retries", "0"),
        )
    ) as child:
        assert child.wait() == 3
        assert "the opening was not done within 0.5 s" in child.err.end()
        assert child.out.end().startswith("-ERR unknown command")


def test_the_command_line_subscribes_again_after_a_kill(redis: Redis, tmp_path: Path) -> None:
    command = staying(
        redis,
        *("--input", "none", "--opening", "SUBSCRIBE news", "--expect", "^:1$"),
        *("--heartbeat", "PING", "--heartbeat-every", "5"),
    )
    with Child(command, cwd=tmp_path) as child, Child(staying(redis), cwd=tmp_path) as publisher:
        for message in ("before", "after"):
            child.out.expect(r"^subscribe\r?\n\$4\r?\nnews\r?\n:1\r?\n")
            publisher.type(f"PUBLISH news {message}\n")
            child.out.expect(rf"^message\r?\n\$4\r?\nnews\r?\n\$\d+\r?\n{message}\r?\n")
            redis.restart()
        assert "Traceback" not in child.err.text
