"""The opening script: escapes, secrets, and the order of things."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from nbclient import framing
from nbclient.core.states import State
from nbclient.daemon.links import opening
from nbclient.daemon.links.masking import Masker
from nbclient.daemon.links.opening import Expect, File, Text, parse_script, read_file, run_script
from nbclient.errors import ConnectionClosed, LocalError, SpecError
from nbclient.framing.base import Framing
from tests.conformance.daemon import KeptLog

LINES = framing.lines()


@pytest.mark.parametrize(
    ("text", "frame"),
    [
        ("PASS x", b"PASS x"),
        (r"a\n\r\t\0\\\x1b\xFFz", b"a\n\r\t\0\\\x1b\xffz"),
        ("é", "é".encode()),
        ("costs $5 {x}", b"costs $5 {x}"),
        (r"\${env:X}", b"${env:X}"),
        (r"\x24{env:X}", b"${env:X}"),
        ("", b""),
    ],
)
def test_a_text_has_escapes(text: str, frame: bytes) -> None:
    assert Text.parse(text).render(Masker()) == frame


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (r"a\q", r"'\\q' is no escape"),
        ("a\\", r"'\\' is no escape"),
        (r"\x1", r"'\\x' is no escape"),
        ("${file:/x", "'.{file:/x' lacks its }"),
        ("${PATH}", "{PATH}: only .{file:PATH} and .{env:NAME} are known"),
        ("${file:}", "only"),
        ("${env:}", "only"),
    ],
)
def test_a_text_that_is_not_understood_is_refused(text: str, why: str) -> None:
    with pytest.raises(SpecError, match=why):
        Text.parse(text)


def test_secrets_come_from_files_and_the_environment_at_each_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"p\\n${env:X}\r\n")
    monkeypatch.setenv("WHO", "\udcff\\n")
    text = Text.parse(f"${{env:WHO}} ${{file:{secret}}}!")
    assert text.render(Masker()) == b"\xff\\n p\\n${env:X}!"
    secret.write_bytes(b"new")
    assert text.render(Masker()) == b"\xff\\n new!"
    secret.unlink()
    with pytest.raises(LocalError, match="secret: no such file"):
        text.render(Masker())
    monkeypatch.delenv("WHO")
    with pytest.raises(LocalError, match="the environment has no WHO"):
        text.render(Masker())


def test_a_text_is_not_in_its_repr() -> None:
    assert "hunter2" not in repr(Text.parse("hunter2"))


@pytest.mark.parametrize(
    ("data", "link", "frames"),
    [
        (b"NICK a\r\nUSER ${x}\\n\n\nlast", LINES, [b"NICK a", b"USER ${x}\\n", b"", b"last"]),
        (b"a\nb\n", LINES, [b"a", b"b"]),
        (b"", LINES, []),
        (b"a\r\nb", framing.raw(), [b"a\r\nb"]),
        (b"", framing.raw(), []),
    ],
)
def test_each_line_of_a_file_is_a_frame_as_it_is(
    tmp_path: Path, data: bytes, link: Framing, frames: list[bytes]
) -> None:
    path = tmp_path / "opening"
    path.write_bytes(data)
    assert File(str(path)).frames(link, Masker()) == frames


def test_a_huge_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "MOST", 3)
    path = tmp_path / "opening"
    path.write_bytes(b"abc")
    assert read_file(str(path)) == b"abc"
    path.write_bytes(b"abcd")
    with pytest.raises(LocalError, match="is longer than 3 bytes"):
        read_file(str(path))


def test_what_can_be_read_only_once_is_no_file(tmp_path: Path) -> None:
    """A shell's <(command), or a FIFO, on which the reactor would wait for a writer."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    with pytest.raises(LocalError, match="fifo: not a regular file, and it is read at each conn"):
        read_file(str(path))


def test_a_script_is_tried_before_anything_begins(tmp_path: Path) -> None:
    path = tmp_path / "opening"
    path.write_bytes(b"x\n")
    pattern = re.compile(b"x")
    steps = parse_script([("opening", "a"), ("expect", pattern), ("opening-file", str(path))])
    assert steps == (Text.parse("a"), Expect(pattern), File(str(path)))
    for name, value in [
        ("opening", "${file:/nonexistent/x}"),
        ("opening", r"\q"),
        ("opening-file", str(tmp_path)),
    ]:
        with pytest.raises(SpecError, match=f"^--{name}: "):
            parse_script([(name, value)])


def test_what_the_peers_framing_cannot_carry_is_refused_before_anything_begins(
    tmp_path: Path,
) -> None:
    path = tmp_path / "opening"
    path.write_bytes(b"x\n" + b"y" * 99)
    short = framing.lines(max_frame=50)
    for step in (("opening", r"a\nb"), ("opening-file", str(path))):
        with pytest.raises(SpecError, match=f"^--{step[0]}: a frame of "):
            parse_script([step], short)
        assert len(parse_script([step], framing.raw())) == 1


class Connection:
    framing: Framing = LINES
    bytesIn = 0
    awaited = False
    tail = b""

    def __init__(self) -> None:
        self.factory: Any = SimpleNamespace(
            name="h:1", state=State.OPENING, masker=Masker(), isNews=lambda kind: True
        )
        self.log = KeptLog()
        self.sent: list[bytes] = []
        self.expected: list[tuple[re.Pattern[bytes], Deferred[re.Match[bytes]]]] = []

    def sendFrames(self, frames: Sequence[bytes], /) -> None:
        self.sent += frames

    def nextFrame(self) -> Deferred[bytes]:
        raise NotImplementedError

    def expect(self, pattern: re.Pattern[bytes], /) -> Deferred[re.Match[bytes]]:
        seen: Deferred[re.Match[bytes]] = Deferred()
        self.expected.append((pattern, seen))
        return seen


class ScriptTests(SynchronousTestCase):
    def test_what_is_said_waits_for_what_is_expected(self) -> None:
        connection = Connection()
        steps = parse_script([("opening", "a"), ("expect", re.compile(b"ok")), ("opening", "b")])
        done = Deferred.fromCoroutine(run_script(steps, connection))
        self.assertEqual(connection.sent, [b"a"])
        self.assertNoResult(done)
        pattern, seen = connection.expected.pop()
        match = pattern.search(b"ok")
        assert match is not None
        seen.callback(match)
        self.assertEqual(connection.sent, [b"a", b"b"])
        self.successResultOf(done)
        self.assertEqual(connection.log.lines, [])

    def wait_in_vain(
        self, steps: list[tuple[str, Any]], *frames: bytes, state: State = State.SETTLING
    ) -> list[str]:
        """The log, after frames that are not what was expected and the connection's end."""
        connection = Connection()
        done = Deferred.fromCoroutine(run_script(parse_script(steps), connection))
        pattern, seen = connection.expected.pop()
        for frame in frames:
            self.assertIsNone(pattern.search(frame))
        connection.factory.state = state
        seen.errback(ConnectionClosed("the connection ended"))
        self.failureResultOf(done, ConnectionClosed)
        return connection.log.lines

    def test_what_was_waited_for_in_vain_is_told_with_what_came_last(self) -> None:
        vain = "h:1: the opening waited in vain for /^ok$/, "
        steps = [("opening", "a"), ("expect", re.compile(b"^ok$"))]
        self.assertEqual(self.wait_in_vain(steps), [f"{vain}and no frame came"])
        self.assertEqual(
            self.wait_in_vain(steps, b"hello", b"no\x1b[2J\xff"),
            [rf"{vain}the last frame was: b'no\x1b[2J\xff'"],
        )
        (line,) = self.wait_in_vain(steps, b"x" * 1000)
        self.assertLess(len(line), 200)

    def test_of_a_stream_all_since_the_last_match_is_looked_at(self) -> None:
        """The network may have cut it anywhere, in the middle of a secret, too."""
        self.patch(Connection, "framing", framing.raw())
        os.environ["OPENING_SECRET"] = "hunter2"
        self.addCleanup(os.environ.pop, "OPENING_SECRET")
        steps = [("opening", "${env:OPENING_SECRET}"), ("expect", re.compile(b"ok"))]
        (line,) = self.wait_in_vain(steps, b"no", b"pe")
        self.assertIn("the last frame was: b'nope'", line)
        for echo in ((b"hunt", b"er2"), (b"no: h", b"unt"), (b"a hunter", b"2 b")):
            (line,) = self.wait_in_vain(steps, *echo)
            self.assertIn("****", line)
            self.assertNotIn("hunt", line)

    def test_neither_pattern_nor_frame_breaks_or_floods_the_log(self) -> None:
        (line,) = self.wait_in_vain([("expect", re.compile(b"\n\xff" + b"y" * 500))])
        self.assertIn(r"for /\n\\xffyyy", line)
        self.assertLess(len(line), 200)

    def test_our_own_end_is_nothing_to_complain_about(self) -> None:
        steps = [("expect", re.compile(b"ok"))]
        self.assertEqual(self.wait_in_vain(steps, b"no", state=State.CLOSING), [])

    def test_an_echo_of_a_secret_is_not_logged(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        secret = Path(folder.name) / "secret"
        secret.write_bytes(b"hunter2 of\n")
        expect = ("expect", re.compile(b"ok"))
        for step in (("opening", f"PASS ${{file:{secret}}}"), ("opening-file", str(secret))):
            for echo in (b"PASS hunter2 of", b"bad password hunter2!"):
                (line,) = self.wait_in_vain([step, expect], echo)
                self.assertIn("the last frame was: b'", line)
                self.assertNotIn("hunter2", line)
                self.assertIn("*******", line)
            (line,) = self.wait_in_vain([step, expect], b"the end of it")
            self.assertIn("the last frame was: b'the end of it'", line)
