"""Each kind of input and output is opened as the plan says, or refused in one line."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import CannotListenError
from twisted.trial.unittest import SynchronousTestCase

from nbclient.daemon.cli.options import SHELL
from nbclient.daemon.inputs.cursors import BatchCursor, TailPlace
from nbclient.daemon.inputs.exec import Coprocess
from nbclient.daemon.inputs.intake import Input, Source
from nbclient.daemon.links.builder import Link, make_link
from nbclient.daemon.links.ends import Ends
from nbclient.daemon.links.plan import make_plan
from nbclient.daemon.links.sending import Sending
from nbclient.daemon.links.spool import JobSpool
from nbclient.daemon.local.listener import ListenInput, ListenOutput
from nbclient.daemon.outputs.base import LogOutput, NoOutput, Output
from nbclient.daemon.outputs.queued import StreamOutput
from nbclient.daemon.outputs.udp import DatagramOutput
from nbclient.endpoints import resolver
from nbclient.errors import LocalError
from nbclient.testing import FakeReactor
from tests.conformance.daemon import HandRunner, KeptLog, around, shell


class Port:
    """What listens."""

    def __init__(self, asked: list[Any]) -> None:
        self._asked = asked

    def stopListening(self) -> Deferred[None]:
        self._asked.append("stopped")
        return succeed(None)


class Reactor(FakeReactor):
    """Listens, except at a port that is taken, and runs no program."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Any] = []

    def listenTCP(self, port: int, factory: Any, interface: str) -> Port:
        if port == 13:
            raise CannotListenError(interface, port, PermissionError(13, "Permission denied"))
        self.asked.append(port)
        return Port(self.asked)

    def listenUNIX(self, path: str, factory: Any, mode: int, wantPID: bool) -> Port:
        self.asked.append((path, mode))
        return Port(self.asked)


class EndsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = Reactor()
        self.log = KeptLog()
        self.runners: dict[str, HandRunner] = {}
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def runner(self, name: str) -> HandRunner:
        made = self.runners[name] = HandRunner()
        return made

    def open(self, *words: str, restarts: bool = True) -> tuple[Source | None, list[Output]]:
        settings = shell("h", "1", *(word.replace("@", str(self.folder)) for word in words))
        process = around(self.runner, 0, 1)
        plan = make_plan(self.reactor, settings, SHELL, process)
        link: Link = make_link(settings, plan.protocol, plan.framing, self.log, self.reactor)
        self.sent: list[bytes] = []

        def send(frames: Any, cursor: object = None) -> Deferred[None]:
            self.sent += frames
            return succeed(None)

        link.send = send  # type: ignore[method-assign]
        sending = Sending(link, self.reactor, self.log)
        sending.begin()
        spool = self.spool = JobSpool(self.reactor, plan.spool, self.log)
        ends = Ends(
            self.reactor, plan, process, link, self.log, restarts, lambda: None, sending, spool
        )
        return ends.open()

    def open_spool(self, cursor: tuple[str, str] | None = None) -> None:
        """The spool is there, with this cursor from the last run."""
        held: Any = SimpleNamespace(
            volatile=False, totals=SimpleNamespace(waiting=0), cursors=dict([cursor or ("", "")])
        )
        self.spool._opened(held)

    def test_a_file_is_read_on_where_the_last_run_stopped(self) -> None:
        batch = self.folder / "in"
        batch.write_bytes(b"old\n")
        with batch.open("rb") as file:
            cursor = BatchCursor(str(batch))
            cursor.look(file.fileno())
            stored = cursor.mark(file.read(), 0)
        with batch.open("ab") as file:
            file.write(b"new\n")
        source, _ = self.open("--input", "@/in", "--output", "none", "--spool", "@/spool")
        assert source is not None
        source.start()
        runner = self.runners[f"input {batch}"]
        self.assertEqual(runner.calls, [])  # nothing is read before the spool is open
        self.open_spool((cursor.name, stored))
        runner.steps()
        self.assertEqual(self.sent, [b"new"])
        self.assertIn("the first 4 bytes were taken before", self.log.lines[0])

    def test_a_file_that_was_not_read_before_is_read_from_its_start(self) -> None:
        (self.folder / "in").write_bytes(b"a\n")
        source, _ = self.open("--input", "@/in", "--output", "none", "--spool", "@/spool")
        assert source is not None
        source.start()
        self.open_spool()
        self.runners[f"input {self.folder}/in"].steps()
        self.assertEqual((self.sent, self.log.lines), ([b"a"], []))

    def test_a_growing_file_is_followed_from_where_the_last_run_stopped(self) -> None:
        path = self.folder / "in"
        path.write_bytes(b"old\nmissed\n")
        with path.open("rb") as file:
            stored = TailPlace.of(file.fileno(), 4, 4, b"old\n").text
        source, _ = self.open("--input", "tail:@/in", "--output", "none", "--spool", "@/spool")
        assert source is not None
        source.start()
        self.open_spool((f"tail:{path}", stored))
        runner = self.runners[f"input {path}"]
        runner.step()
        runner.step()
        self.assertEqual(self.sent, [b"missed"])
        source.stop()
        runner.steps()

    def test_a_frame_whose_answer_could_not_be_told_is_left_out(self) -> None:
        (self.folder / "in").write_bytes(b"id=1 a\nno key\nid=2 b\n")
        source, _ = self.open(
            *("--input", "@/in", "--output", "none"),
            *("--delivery", "reply", "--reply-key", "id=([0-9]+)"),
        )
        assert source is not None
        source.start()
        self.runners[f"input {self.folder}/in"].steps()
        self.assertEqual(self.sent, [b"id=1 a", b"id=2 b"])
        self.assertEqual(source.refused, 1)

    def test_the_plain_ones(self) -> None:
        (self.folder / "in").write_bytes(b"a\n")
        source, outputs = self.open(
            "--input", "@/in", "--output", "-", "--output", "log", "--output", "@/out"
        )
        assert source is not None
        self.assertEqual([type(o) for o in outputs], [StreamOutput, LogOutput, StreamOutput])
        self.assertEqual([o.name for o in outputs], ["stdout", "log", f"{self.folder}/out"])
        source.start()
        self.runners[f"input {self.folder}/in"].steps()
        self.assertEqual(self.sent, [b"a"])
        self.assertTrue((self.folder / "out").exists())
        source, outputs = self.open("--input", "none", "--output", "none")
        self.assertEqual((source, [type(o) for o in outputs]), (None, [NoOutput]))
        source, _ = self.open("--output", "none")
        self.assertIsInstance(source, Input)

    def test_a_growing_file_is_followed(self) -> None:
        (self.folder / "in").write_bytes(b"a\nb")
        for words, sent in [((), []), ((",from=start",), [b"a"])]:
            source, _ = self.open("--input", "tail:@/in" + "".join(words), "--output", "none")
            assert source is not None
            source.start()
            runner = self.runners[f"input {self.folder}/in"]
            runner.step()
            self.assertEqual(self.sent, sent)
            source.stop()
            runner.step()
            self.successResultOf(source.ended)

    def test_where_frames_are_no_lines_the_end_is_the_end(self) -> None:
        (self.folder / "in").write_bytes(b"a\nb")
        source, _ = self.open(
            "--input", "tail:@/in", "--input-framing", "length:2", "--output", "none"
        )
        assert source is not None
        source.start()
        with (self.folder / "in").open("ab") as file:
            file.write(b"\0\1c")
        self.runners[f"input {self.folder}/in"].step()
        self.assertEqual(self.sent, [b"c"])

    def test_fifos_are_made(self) -> None:
        source, outputs = self.open("--input", "fifo:@/a", "--output", "fifo:@/b")
        assert source is not None
        source.start()
        with (self.folder / "a").open("wb") as writer:
            writer.write(b"x\n")
        self.runners[f"input {self.folder}/a"].step()
        self.assertEqual(self.sent, [b"x"])
        reader = os.open(self.folder / "b", os.O_RDONLY | os.O_NONBLOCK)
        outputs[0].write([b"y"])
        self.runners[f"output fifo:{self.folder}/b"].step()
        self.assertEqual(os.read(reader, 10), b"y\n")
        os.close(reader)

    def test_a_door_may_have_readers_and_writers(self) -> None:
        source, outputs = self.open(
            "--input", "listen:@/s", "--output", "listen:@/s,mode=660,queue=1K"
        )
        assert isinstance(source, ListenInput)
        assert isinstance(outputs[0], ListenOutput)
        self.assertEqual(self.reactor.asked, [(f"{self.folder}/s", 0o660)])
        source.stop()
        self.assertNotIn("stopped", self.reactor.asked)
        outputs[0].abandon()
        self.assertIn("stopped", self.reactor.asked)

    def test_a_door_of_writers_alone_is_closed_with_the_input(self) -> None:
        source, _ = self.open("--input", "listen:127.0.0.1:9000", "--output", "none")
        assert source is not None
        source.stop()
        self.assertEqual(self.reactor.asked, [9000, "stopped"])

    def test_datagrams_are_frames_alone(self) -> None:
        class Known:
            def lookup(self, reactor: Any, host: str, port: int) -> Deferred[Any]:
                asked.append((host, port))
                return Deferred()

        asked: list[Any] = []
        self.patch(resolver, "_shared", Known())
        _, (output,) = self.open("--input", "none", "--output", "udp:h.example:9")
        assert isinstance(output, DatagramOutput)
        self.assertEqual((asked, output.images([b"a"])), ([("h.example", 9)], [b"a"]))
        output.abandon()

    def test_a_program_is_an_output_too(self) -> None:
        source, outputs = self.open("--input", "exec:sh -c true", "--output", "log")
        self.assertIsInstance(source, Coprocess)
        self.assertIs(outputs[1], source)
        assert isinstance(source, Coprocess)
        self.assertEqual(source.name, "exec:sh")
        self.assertEqual(source.images([b"a"]), [b"a\n"])
        source, _ = self.open("--input", "exec:sh -c true", restarts=False)
        assert isinstance(source, Coprocess)
        self.assertIsNone(source._backoff)

    def test_what_cannot_be_opened_is_one_line_with_the_options_name(self) -> None:
        (self.folder / "file").write_bytes(b"")
        for words, says in [
            (("--input", "exec:no-such-program -x"), "--input: exec: no-such-program: command not"),
            (("--input", "fifo:@/file"), f"--input: {self.folder}/file: not a fifo"),
            (("--input", "tail:@"), f"--input: {self.folder}: not a regular file"),
            (("--input", "@/none"), f"--input: {self.folder}/none: no such file or directory"),
            (("--output", "fifo:@/file"), f"--output: {self.folder}/file: not a fifo"),
            (("--output", "@"), f"--output: {self.folder}: is a directory"),
        ]:
            with pytest.raises(LocalError, match=f"^{says}"):
                self.open(*words)

    def test_where_one_door_cannot_be_opened_none_stays_open(self) -> None:
        words = ("--input", "listen:127.0.0.1:12", "--output", "listen:127.0.0.1:13")
        said = r"^--output: cannot .* 127.0.0.1:13: permission denied"
        with pytest.raises(LocalError, match=said):
            self.open(*words)
        self.assertEqual(self.reactor.asked, [12, "stopped"])
        with pytest.raises(LocalError, match=r"^--input: cannot listen at 127.0.0.1:13: perm"):
            self.open("--input", "listen:127.0.0.1:13")
