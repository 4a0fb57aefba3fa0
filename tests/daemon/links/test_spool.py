"""A job's spool: opened when the job begins, closed when its link has stopped."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from nbclient import FrameProtocol, ReconnectingFactory, State, framing
from nbclient.daemon.links import spool as spools
from nbclient.daemon.links.spool import JobSpool, SpoolPlan
from nbclient.errors import LocalError
from nbclient.spool.folder import SpoolError
from nbclient.spool.spool import Spool
from nbclient.testing import FakeEndpoint, FakeReactor
from tests.conformance.daemon import KeptLog


class JobSpoolTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.log = KeptLog()
        self.asked: list[tuple[Any, ...]] = []
        self.opening: Deferred[Spool] = Deferred()
        self.patch(spools, "open_spool", self.open)
        self.kept = JobSpool(None, SpoolPlan("dir", "link", "peer:1", 10_000, False), self.log)

    def open(self, *what: Any, adopt: bool) -> Deferred[Spool]:
        self.asked.append((*what, adopt))
        return self.opening

    def spool(self) -> Spool:
        return Spool.open(
            self.folder, "link", "peer:1", 10_000, deliver=lambda call: call(), pause=lambda _: True
        )

    def test_it_is_opened_as_planned(self) -> None:
        opened = self.kept.open()
        self.assertNoResult(self.kept.opened())
        waiting = self.kept.opened()
        spool = self.spool()
        self.opening.callback(spool)
        self.assertIs(self.successResultOf(opened), spool)
        self.successResultOf(waiting)
        self.successResultOf(self.kept.opened())
        self.assertEqual(self.asked, [(None, "dir", "link", "peer:1", 10_000, False)])
        self.successResultOf(self.kept.close())

    def test_a_cursor_is_known_once_it_is_open(self) -> None:
        spool = self.spool()
        spool.cursor("file:x", "17")
        spool.step()
        self.assertIsNone(self.kept.cursor("file:x"))
        self.kept.open()
        self.opening.callback(spool)
        self.assertEqual(self.kept.cursor("file:x"), "17")
        self.assertIsNone(self.kept.cursor("file:y"))
        self.successResultOf(self.kept.close())

    def test_what_waits_from_before_is_told(self) -> None:
        for frames in ([b"a"], [b"b", b"c"]):
            spool = self.spool()
            spool.append(frames, lambda _: None)
            spool.close()
            again = self.spool()
            self.opening = Deferred()
            kept = JobSpool(None, SpoolPlan("dir", "link", "peer:1", 10_000, False), self.log)
            kept.open()
            self.opening.callback(again)
            self.successResultOf(kept.close())
        told = [line for line in self.log.lines if "spool" in line and "tmpfs" not in line]
        self.assertEqual(
            told,
            [
                "1 frame waits in the spool from before",
                "3 frames wait in the spool from before",
            ],
        )

    def test_one_in_memory_is_warned_of(self) -> None:
        self.patch(Spool, "volatile", property(lambda _: True))
        self.kept.open()
        self.opening.callback(self.spool())
        self.assertIn("tmpfs", self.log.lines[0])
        self.successResultOf(self.kept.close())

    def test_where_none_is_wanted_nothing_is_closed(self) -> None:
        none = JobSpool(None, None, self.log)
        self.assertFalse(none.wanted)
        self.assertEqual(none.directory, "")
        self.successResultOf(none.close())

    def test_the_end_gives_up_the_opening(self) -> None:
        opened = self.kept.open()
        self.successResultOf(self.kept.close())
        self.failureResultOf(opened, CancelledError)

    def test_what_could_not_be_noted_is_told_at_the_end(self) -> None:
        class Failing:
            volatile = False

            class totals:
                waiting = 0

            def close(self, done: Any) -> None:
                done(SpoolError("dir: not everything delivered could be noted as such"))

        self.kept.open()
        spool: Any = Failing()
        self.opening.callback(spool)
        self.successResultOf(self.kept.close())
        self.assertIn("could be noted", self.log.lines[-1])


class UseSpoolTests(SynchronousTestCase):
    """A spool that could not be opened before the link was made."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.reactor = FakeReactor()
        self.link = ReconnectingFactory.forProtocol(
            FrameProtocol, framing=framing.lines(), clock=self.reactor
        )
        self.spool = Spool.open(folder.name, "link", "peer", 10_000, deliver=lambda call: call())
        self.addCleanup(self.spool.close)

    def test_frames_are_accepted_when_they_are_stored(self) -> None:
        self.link.useSpool(self.spool)
        sent = self.link.send([b"a"])
        self.assertNoResult(sent)
        self.spool.step()
        self.successResultOf(sent)
        self.assertEqual(self.spool.totals.waiting, 1)
        self.assertTrue(self.link.stats().outbox.conserved())

    def test_it_comes_before_the_first_frame_and_before_the_start(self) -> None:
        self.link.useSpool(self.spool)
        self.assertRaises(LocalError, self.link.useSpool, self.spool)
        other = ReconnectingFactory.forProtocol(
            FrameProtocol, framing=framing.lines(), clock=self.reactor
        )
        other.send([b"a"])
        self.assertRaises(LocalError, other.useSpool, self.spool)
        third = ReconnectingFactory.forProtocol(
            FrameProtocol, framing=framing.lines(), clock=self.reactor
        )
        third.start(FakeEndpoint(self.reactor))
        self.assertRaises(LocalError, third.useSpool, self.spool)
        third.stop()

    def other(self) -> ReconnectingFactory:
        return ReconnectingFactory.forProtocol(
            FrameProtocol, framing=framing.lines(), clock=self.reactor
        )

    def test_a_link_whose_spool_is_closed_does_not_start(self) -> None:
        """Else each send would fail, and nobody know why."""
        self.link.useSpool(self.spool)
        self.spool.close()
        endpoint = FakeEndpoint(self.reactor)
        error = self.assertRaises(LocalError, self.link.start, endpoint)
        self.assertIn("is closed", str(error))
        self.assertIs(self.link.state, State.IDLE)
        self.assertEqual(endpoint.attempts, [])
        error = self.assertRaises(LocalError, self.other().useSpool, self.spool)
        self.assertIn("is closed", str(error))

    def test_a_connector_does_not_start_it_either(self) -> None:
        self.link.useSpool(self.spool)
        self.spool.close()
        connect = self.reactor.connectTCP
        error = self.assertRaises(LocalError, connect, "localhost", 1, self.link)
        self.assertIn("is closed", str(error))
        self.assertIs(self.link.state, State.IDLE)

    def test_a_second_link_on_one_spool_is_refused(self) -> None:
        """Both would send what it holds."""
        self.link.useSpool(self.spool)
        error = self.assertRaises(LocalError, self.other().useSpool, self.spool)
        self.assertIn("another link has it", str(error))
        self.link.start(FakeEndpoint(self.reactor))
        self.assertRaises(LocalError, self.other().useSpool, self.spool)
        self.link.stop()

    def test_the_next_link_may_have_it_and_then_the_last_one_no_more(self) -> None:
        """What that has in memory is no longer what the spool holds."""
        self.link.useSpool(self.spool)
        self.link.start(FakeEndpoint(self.reactor))
        self.link.stop()
        self.link.start(FakeEndpoint(self.reactor))
        self.link.stop()
        other = self.other()
        other.useSpool(self.spool)
        error = self.assertRaises(LocalError, self.link.start, FakeEndpoint(self.reactor))
        self.assertIn("another link has had it since", str(error))
        other.start(FakeEndpoint(self.reactor))
        other.stop()
        self.assertRaises(LocalError, self.link.start, FakeEndpoint(self.reactor))
