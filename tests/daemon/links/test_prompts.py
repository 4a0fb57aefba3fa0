"""A line that is not finished, on a terminal."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from nbclient.daemon.links.hearing import QUIET
from nbclient.daemon.links.prompts import Prompts


class Connection:
    up = True
    unfinished = True
    awaited = False
    bytesIn = 0
    tail = b""

    def come(self, data: bytes) -> None:
        self.tail += data
        self.bytesIn += len(data)


class Link:
    connection: Connection | None = None


class PromptsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.link = Link()
        self.shown: list[bytes] = []
        self.prompts = Prompts(self.clock, self.link, self.shown.append)  # type: ignore[arg-type]
        self.prompts.start()

    def pass_(self, looks: int = 1) -> list[bytes]:
        """What is shown in this many looks."""
        self.shown.clear()
        for _ in range(looks):
            self.clock.advance(QUIET)
        return list(self.shown)

    def test_it_is_shown_once_nothing_more_comes(self) -> None:
        self.assertEqual(self.pass_(3), [])
        peer = self.link.connection = Connection()
        self.assertEqual(self.pass_(), [b""])  # of the connection before
        peer.come(b"Pass")
        self.assertEqual(self.pass_(), [])
        peer.come(b"word: ")
        self.assertEqual(self.pass_(), [])
        self.assertEqual(self.pass_(), [b"Password: "])

    def test_what_is_no_prompt_is_not(self) -> None:
        for name, value in (("up", False), ("unfinished", False), ("awaited", True)):
            peer = self.link.connection = Connection()
            self.pass_()
            setattr(peer, name, value)
            peer.come(b"a")
            self.assertEqual(self.pass_(3), [])

    def test_the_end_of_its_connection_ends_it(self) -> None:
        self.link.connection = Connection()
        self.pass_()
        self.link.connection = None
        self.assertEqual(self.pass_(2), [b""])

    def test_stopped_it_looks_no_more(self) -> None:
        self.prompts.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.prompts.stop()
