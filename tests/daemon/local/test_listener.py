"""Local programs: any number, each by itself."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import socket
import tempfile
from collections.abc import Sequence
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from nbclient import framing
from nbclient.daemon.config.iospec import Address
from nbclient.daemon.inputs.intake import Intake
from nbclient.daemon.local import listener
from nbclient.daemon.local.listener import (
    FAREWELL,
    HALVES,
    MODE,
    SELDOM,
    SPARE,
    Door,
    Guest,
    ListenInput,
    ListenOutput,
    scarce,
)
from nbclient.daemon.outputs.formats import framed
from nbclient.errors import LocalError
from tests.conformance.daemon import KeptLog
from tests.conformance.transports import Pipe


class Port:
    """What listens."""

    def __init__(self, stopped: Deferred[None] | None) -> None:
        self.stopped = 0
        self._answer = stopped

    def getHost(self) -> Any:
        return Address(host="127.0.0.1", port=4321)

    def stopListening(self) -> Deferred[None] | None:
        self.stopped += 1
        return self._answer


class Reactor(Clock):
    """Listens on nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Any] = []
        self.error: Exception | None = None
        self.port = Port(succeed(None))

    def _listen(self, *asked: Any) -> Port:
        self.asked.append(asked)
        if self.error is not None:
            raise self.error
        return self.port

    def listenTCP(self, port: int, factory: Any, interface: str) -> Port:
        return self._listen(interface, port)

    def listenUNIX(self, path: str, factory: Any, mode: int, wantPID: bool) -> Port:
        return self._listen(path, mode, wantPID)


TCP = Address(host="127.0.0.1", port=9000)


def touch(path: str) -> None:
    open(path, "x").close()


class DoorCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = Reactor()
        self.log = KeptLog()

    def folder(self) -> str:
        """A place for a socket, whose path must be short."""
        made = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, made)
        return made

    def door(self, where: Address = TCP) -> Door:
        made = Door(self.reactor, where, MODE, self.log)
        made.open()
        return made

    def guest(self, door: Door, room: int = 10**9) -> tuple[Guest, Pipe]:
        pipe = Pipe(room)
        guest = door.buildProtocol(None)
        assert guest is not None
        guest.makeConnection(pipe)  # type: ignore[arg-type]
        return guest, pipe


class LockTests(DoorCase):
    """Beside a socket's path: Twisted's lock, or whatever is in its place."""

    def setUp(self) -> None:
        super().setUp()
        self.path = f"{self.folder()}/s"
        self.lock = f"{self.path}.lock"
        self.where = Address(path=self.path)

    def assertRefused(self, why: str) -> None:
        with pytest.raises(LocalError, match=f"^cannot listen at {self.path}: .*{why}$"):
            self.door(self.where)
        self.assertEqual(self.reactor.asked, [])
        self.assertTrue(os.path.lexists(self.lock))

    def test_one_that_leads_to_no_process_is_refused_in_a_line(self) -> None:
        for odd in ("hello", " ", "0", "-1", "4_194_303", "9" * 30, "s.lock", "\u0663", "a\nb"):
            os.symlink(odd, self.lock)
            self.assertRefused("should lead to a process's number, not to .*")
            os.unlink(self.lock)

    def test_what_is_no_link_is_refused(self) -> None:
        touch(self.lock)
        self.assertRefused("should be a symbolic link, and something else is there")

    def test_one_that_cannot_be_looked_at_is_refused(self) -> None:
        self.path = f"{self.path}/x"
        touch(os.path.dirname(self.path))
        with pytest.raises(LocalError, match=r"not a directory$"):
            listener.check_lock(self.path)

    def test_one_of_a_program_that_had_our_number_is_dropped(self) -> None:
        """In a container each start has the same."""
        os.symlink(str(os.getpid()), self.lock)
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(self.path)
        self.door(self.where)
        self.assertEqual(len(self.reactor.asked), 1)
        self.assertFalse(os.path.lexists(self.lock) or os.path.lexists(self.path))
        os.symlink(str(os.getpid()), self.lock)  # without a socket
        self.door(self.where)
        self.assertFalse(os.path.lexists(self.lock))

    def test_of_one_that_is_in_use_nothing_is_touched(self) -> None:
        os.symlink(str(os.getpid()), self.lock)
        with socket.socket(socket.AF_UNIX) as used:
            used.bind(self.path)
            used.listen()
            self.door(self.where)
        self.assertTrue(os.path.lexists(self.lock) and os.path.lexists(self.path))

    def test_one_that_is_anothers_by_the_end_is_no_fault(self) -> None:
        for error in (OSError(), ValueError("not owned"), OverflowError()):
            self.reactor.port = Port(fail(error))
            door = self.door(self.where)
            self.successResultOf(door.close())


class DoorTests(DoorCase):
    """Who comes and goes."""

    def test_it_listens_where_it_should(self) -> None:
        self.door()
        self.door(Address(path="./s"))
        self.assertEqual(self.reactor.asked, [("127.0.0.1", 9000), ("./s", 0o600, True)])
        self.assertEqual(self.log.lines, ["listening at 127.0.0.1:9000", "listening at ./s"])

    def test_the_port_that_the_system_chose_is_told(self) -> None:
        door = Door(self.reactor, Address(host="127.0.0.1"), MODE, self.log)
        self.assertEqual(str(door), "127.0.0.1:0")
        door.open()
        self.assertEqual(str(door), "127.0.0.1:4321")
        self.assertEqual(str(self.door(Address(host="::1", port=9))), "[::1]:9")

    def test_an_address_that_is_taken_is_one_line(self) -> None:
        taken = OSError(errno.EADDRINUSE, "Address already in use")
        for error, why in [
            (CannotListenError("127.0.0.1", 9000, taken), "address already in use"),
            (CannotListenError(None, "./s", "Cannot acquire lock"), "it is in use"),
            (PermissionError(errno.EACCES, "Permission denied"), "permission denied"),
        ]:
            self.reactor.error = error
            with pytest.raises(LocalError, match=f"^cannot listen at 127.0.0.1:9000: {why}$"):
                self.door()

    def test_what_is_no_socket_is_told_and_left_alone(self) -> None:
        """The system says that the address is in use, whatever is there."""
        path = os.path.join(self.folder(), "it")
        for make in (os.mkdir, lambda path: os.symlink("nowhere", path), touch):
            make(path)
            with pytest.raises(LocalError, match="something is there that is no socket, it is le"):
                self.door(Address(path=path))
            self.assertTrue(os.path.lexists(path))
            os.rmdir(path) if os.path.isdir(path) else os.unlink(path)
        self.assertEqual(self.reactor.asked, [])

    def test_a_socket_that_is_there_may_be_of_a_program_that_died(self) -> None:
        folder = self.folder()
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(f"{folder}/s")
        self.door(Address(path=f"{folder}/s"))
        self.assertEqual(self.log.lines, [f"listening at {folder}/s"])

    def test_a_lock_of_ours_beside_an_address_in_use_does_not_stay(self) -> None:
        """At the next start it would look like a crash, and another's socket be removed."""
        path = os.path.join(self.folder(), "s")
        taken = CannotListenError(None, path, OSError(errno.EADDRINUSE, "in use"))
        held = CannotListenError(None, path, "Cannot acquire lock")
        for owner, error, stays in (
            (os.getpid(), taken, False),
            (os.getpid(), held, True),
            (1, taken, True),
        ):

            def listen(*_: Any, owner: int = owner, error: Exception = error, **__: Any) -> None:
                os.symlink(str(owner), f"{path}.lock")
                raise error

            self.patch(self.reactor, "listenUNIX", listen)
            with pytest.raises(LocalError):
                self.door(Address(path=path))
            self.assertIs(os.path.lexists(f"{path}.lock"), stays)
            if stays:
                os.unlink(f"{path}.lock")

    def test_a_reader_that_sends_no_more_stays(self) -> None:
        """`ncat` and `nc -N` with nothing to read say so at once, and want to hear."""
        door = self.door()
        output = ListenOutput("listen:x", door, framed(framing.lines()), 100, self.log)
        guest, pipe = self.guest(door)
        guest.readConnectionLost()
        output.write([b"one"])
        self.assertEqual((pipe.data, pipe.said), (b"one\n", []))
        guest.connectionLost()
        self.assertEqual(door.guests, set())

    def test_a_writer_that_sends_no_more_has_left(self) -> None:
        door = self.door()
        guest, pipe = self.guest(door)
        guest.readConnectionLost()
        self.assertEqual(pipe.said, ["lose"])
        guest.writeConnectionLost()

    def test_those_that_send_no_more_may_have_left_and_are_few(self) -> None:
        """Where nothing is written to it, one that has closed looks the same."""
        door = self.door()
        ListenOutput("listen:x", door, framed(framing.lines()), 100, self.log)
        made = [self.guest(door) for _ in range(HALVES + 2)]
        made[0][0].readConnectionLost()
        made[0][0].connectionLost()
        for guest, _ in made[1:]:
            guest.readConnectionLost()
        self.assertEqual([pipe.said for _, pipe in made[1:3]], [["abort"], []])

    def test_where_descriptors_are_scarce_they_make_room(self) -> None:
        door = self.door()
        ListenOutput("listen:x", door, framed(framing.lines()), 100, self.log)
        (first, one), (_, two) = self.guest(door), self.guest(door)
        first.readConnectionLost()
        self.patch(listener, "scarce", lambda: True)
        self.guest(door)
        self.assertEqual((one.said, two.said, door.turned_away), (["abort"], [], 0))
        self.assertIsNone(door.buildProtocol(None))
        self.assertEqual(door.turned_away, 1)

    def test_the_last_descriptors_are_the_jobs_own(self) -> None:
        """Else neither the link nor a file could be opened; and nobody would know why."""
        door = self.door()
        self.guest(door)
        self.patch(listener, "scarce", lambda: True)
        self.patch(resource, "getrlimit", lambda which: (100, 4096))
        self.assertIsNone(door.buildProtocol(None))
        self.assertIsNone(door.buildProtocol(None))
        self.assertEqual(len(door.guests), 1)
        self.assertEqual(
            [line for line in self.log.lines if "descriptors" in line],
            [
                "127.0.0.1:9000: nearly all of the 100 descriptors that this process may open are"
                " in use (see ulimit -n); programs that connect are turned away, 1 so far"
            ],
        )
        self.reactor.advance(SELDOM)
        self.assertIsNone(door.buildProtocol(None))
        self.assertIn("turned away, 3 so far", self.log.lines[-1])
        door.dismiss()
        self.assertIn("127.0.0.1:9000: programs turned away in all: 3", self.log.lines)

    def test_some_descriptors_are_kept_of_many_and_of_few(self) -> None:
        free = os.open(os.devnull, os.O_RDONLY)
        os.close(free)  # the next to be opened has this number
        for limit, expected in (
            (free, True),
            (free + 4 * SPARE, False),
            (free * 4 + 4, False),
            (resource.RLIM_INFINITY, False),
        ):
            self.patch(resource, "getrlimit", lambda which, limit=limit: (limit, limit))
            self.assertIs(scarce(), expected, limit)

    def test_where_nothing_can_be_opened_nobody_can_come(self) -> None:
        def full(*_: object) -> int:
            raise OSError(errno.EMFILE, "Too many open files")

        self.patch(os, "open", full)
        self.assertTrue(scarce())

    def test_the_end_waits_until_the_port_is_gone(self) -> None:
        """A process that ended before would leave a UNIX socket and its lock behind."""
        stopped: Deferred[None] = Deferred()
        self.reactor.port = Port(stopped)
        closed = self.door().close()
        self.assertNoResult(closed)
        stopped.callback(None)
        self.successResultOf(closed)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_a_port_that_cannot_be_closed_does_not_hold_it_up(self) -> None:
        """That its path is gone is no fault; what else it is, is told."""
        for fault, told in ((FileNotFoundError(2, "gone"), 0), (ZeroDivisionError("ours"), 1)):
            before = len(self.log.lines)
            self.reactor.port = Port(fail(fault))
            self.successResultOf(self.door().close())
            lines = self.log.lines[before:]
            self.assertEqual(sum("closing failed" in line for line in lines), told)

    def test_a_port_that_does_not_go_is_not_waited_for_long(self) -> None:
        self.reactor.port = Port(Deferred())
        closed = self.door().close()
        self.reactor.advance(FAREWELL)
        self.successResultOf(closed)

    def test_nobody_has_to_be_waited_for_where_nobody_is(self) -> None:
        door = self.door()
        self.successResultOf(door.close())
        self.successResultOf(door.close())
        self.assertEqual(self.reactor.port.stopped, 1)

    def test_a_socket_whose_path_was_removed_is_no_trouble_at_the_end(self) -> None:
        self.reactor.port = Port(fail(FileNotFoundError()))
        self.door().dismiss()
        self.reactor.port = Port(None)
        self.door().dismiss()

    def test_guests_have_time_to_leave_and_no_more(self) -> None:
        door = self.door()
        guest, pipe = self.guest(door)
        other, _ = self.guest(door)
        first, second = door.close(), door.close()
        self.assertEqual(pipe.said, ["lose"])
        guest.connectionLost()
        self.assertNoResult(first)
        other.connectionLost()
        self.successResultOf(first)
        self.successResultOf(second)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_a_guest_that_stays_is_cut_off(self) -> None:
        door = self.door()
        _, pipe = self.guest(door)
        closed = door.close()
        self.reactor.advance(FAREWELL)
        self.successResultOf(closed)
        self.assertEqual(pipe.said[-1], "abort")


class ListenOutputTests(DoorCase):
    """Every reader has every frame, unless it is too slow."""

    def output(self, limit: int = 100) -> tuple[Door, ListenOutput]:
        door = self.door()
        return door, ListenOutput("listen:x", door, framed(framing.lines()), limit, self.log)

    def test_every_reader_has_what_comes_from_then_on(self) -> None:
        door, output = self.output()
        output.write([b"early"])
        _, one = self.guest(door)
        output.write([b"a"])
        _, two = self.guest(door)
        output.write([b"b"])
        self.assertEqual((one.data, two.data), (b"a\nb\n", b"b\n"))

    def test_a_slow_reader_misses_the_oldest_and_the_others_nothing(self) -> None:
        door, output = self.output(limit=4)
        guest, slow = self.guest(door, room=1)
        _, quick = self.guest(door)
        for frame in (b"a", b"b", b"c", b"d", b"e"):
            self.assertIsNone(output.write([frame]))
        slow.take()
        self.assertEqual(quick.data, b"a\nb\nc\nd\ne\n")
        self.assertEqual(slow.data, b"a\nd\ne\n")
        self.assertEqual((output.dropped, output.lost), (2, 0))
        told = [line for line in self.log.lines if "too slow" in line]
        self.assertEqual(
            told, ["output listen:x: a reader is too slow, its oldest frames are dropped"]
        )
        guest.connectionLost()
        left = "127.0.0.1:9000: a reader that was too slow has left, it missed 2 frames"
        self.assertIn(left, self.log.lines)

    def test_what_slow_readers_missed_that_are_there_to_the_end_is_told(self) -> None:
        """What was held for them and what was dropped before: in one line, however many."""
        door, output = self.output(limit=4)
        slow, _ = self.guest(door, room=1)
        self.guest(door, room=1)
        self.guest(door)
        for frame in (b"a", b"b", b"c", b"d", b"e"):
            output.write([frame])
        closed = output.close()
        self.reactor.advance(FAREWELL)
        self.successResultOf(closed)
        slow.connectionLost()
        self.assertEqual(
            [line for line in self.log.lines if "missed" in line],
            [
                "127.0.0.1:9000: readers that were too slow are cut off at the end, they missed 8"
                " frames"
            ],
        )

    def test_what_a_reader_says_is_not_heard(self) -> None:
        door, output = self.output()
        guest, pipe = self.guest(door)
        guest.dataReceived(b"hello")
        self.assertEqual(pipe.said, [])
        guest.connectionLost()
        output.write([b"a"])
        self.assertEqual(pipe.data, b"")

    def test_at_the_end_each_has_what_is_held_for_it(self) -> None:
        door, output = self.output()
        guest, pipe = self.guest(door, room=1)
        output.write([b"a"])
        output.write([b"b"])
        closed = output.close()
        output.close()
        self.assertEqual(pipe.said, [])
        output.write([b"late"])
        pipe.take()
        self.assertEqual((pipe.data, pipe.said), (b"a\nb\n", ["lose"]))
        guest.connectionLost()
        self.successResultOf(closed)
        output.abandon()

    def test_an_abandoned_door_cuts_off(self) -> None:
        door, output = self.output()
        _, pipe = self.guest(door)
        output.abandon()
        self.assertEqual(pipe.said, ["lose", "abort"])


class ListenInputTests(DoorCase):
    """Frames of each writer are whole."""

    def setUp(self) -> None:
        super().setUp()
        self.sent: list[bytes] = []
        self.answer: Deferred[None] | None = None

    def send(self, frames: Sequence[bytes], cursor: object = None) -> Deferred[None]:
        self.sent += frames
        return succeed(None) if self.answer is None else self.answer

    def input(self, alone: bool = True) -> tuple[Door, ListenInput]:
        door = self.door()
        intake = Intake(
            "listen:x", framing.lines(max_frame=10), framing.lines().check, self.send, self.log
        )
        made = ListenInput(door, intake, alone)
        made.start()
        return door, made

    def test_frames_of_each_writer_are_whole(self) -> None:
        door, source = self.input()
        one, _ = self.guest(door)
        two, _ = self.guest(door)
        one.dataReceived(b"on")
        two.dataReceived(b"two\ntail")
        one.dataReceived(b"e\n")
        two.connectionLost()
        self.assertEqual(self.sent, [b"two", b"one", b"tail"])
        self.assertEqual((source.refused, source.failed), (0, False))
        self.assertNoResult(source.ended)

    def test_who_has_said_all_may_still_read(self) -> None:
        """A question, the end of the input, the answer: as `nc -N` does it."""
        door, _ = self.input(alone=False)
        output = ListenOutput("listen:x", door, framed(framing.lines()), 100, self.log)
        guest, pipe = self.guest(door)
        guest.dataReceived(b"one\ntail")
        guest.readConnectionLost()
        self.assertEqual(self.sent, [b"one", b"tail"])
        output.write([b"answer"])
        self.assertEqual(pipe.data, b"answer\n")
        guest.connectionLost()
        self.assertEqual(self.sent, [b"one", b"tail"])

    def test_writers_wait_for_the_link_each_by_itself_and_take_turns(self) -> None:
        door, _ = self.input()
        one, first = self.guest(door)
        two, second = self.guest(door)
        answer = self.answer = Deferred()
        one.dataReceived(b"a\n")
        self.assertEqual(first.said, ["pause"])
        two.dataReceived(b"b\n")
        self.assertEqual((second.said, self.sent), (["pause"], [b"a"]))
        self.answer = None
        answer.callback(None)
        self.assertEqual(self.sent, [b"a", b"b"])
        self.assertEqual((first.said, second.said), (["pause", "resume"], ["pause", "resume"]))

    def test_a_writer_without_frames_is_sent_away_and_the_others_stay(self) -> None:
        door, source = self.input()
        bad, pipe = self.guest(door)
        good, other = self.guest(door)
        bad.dataReceived(b"x" * 50)
        bad.dataReceived(b"more\n")
        bad.connectionLost()
        good.dataReceived(b"a\n")
        self.assertEqual((pipe.said, other.said, self.sent), (["lose"], [], [b"a"]))
        self.assertEqual(source.refused, 1)

    def test_after_the_stop_nobody_is_heard(self) -> None:
        door, source = self.input()
        guest, pipe = self.guest(door)
        source.stop()
        guest.dataReceived(b"a\n")
        self.assertEqual((self.sent, self.reactor.port.stopped), ([], 1))
        self.assertIn("lose", pipe.said)

    def test_a_door_with_readers_stays_open_for_them(self) -> None:
        _, source = self.input(alone=False)
        source.stop()
        self.assertEqual(self.reactor.port.stopped, 0)
