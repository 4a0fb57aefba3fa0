"""Secrets stay out of the log, whatever a peer repeats and in whatever form it is shown."""

from __future__ import annotations

import base64
import tempfile
from pathlib import Path
from typing import Any

import pytest
from twisted.logger import LogEvent, Logger, LogPublisher, eventAsText, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from nbclient import framing
from nbclient.core.terminal import escape, printable
from nbclient.daemon.links import masking
from nbclient.daemon.links.builder import DaemonProtocol, hexdumper, make_endpoint, make_link
from nbclient.daemon.links.masking import Masker
from nbclient.daemon.links.opening import parse_script
from nbclient.daemon.process.logs import StderrLines
from nbclient.delivery.replies import Says
from nbclient.errors import BadFrame, FrameRejected
from nbclient.testing import FakeReactor
from tests.conformance.daemon import KeptLog, shell

SECRETS = [
    b"hunter2",
    b'it\'s "a" pass\\word',
    b"\xff\x00\x1b[2Jkey",
    "pässwörd".encode(),
    b"a b c d",
]


def knowing(*secrets: bytes) -> Masker:
    masker = Masker()
    for secret in secrets:
        masker.add(secret)
    return masker


# -- bytes and texts ------------------------------------------------------------------------


@pytest.mark.parametrize("secret", SECRETS)
def test_bytes_keep_their_length(secret: bytes) -> None:
    masker = knowing(secret)
    frame = b"<" + secret + b"|" + secret + secret + b">"
    stars = b"*" * len(secret)
    assert masker.mask(frame) == b"<" + stars + b"|" + stars + stars + b">"


@pytest.mark.parametrize("secret", SECRETS)
def test_a_text_has_none_in_any_form_of_a_log(secret: bytes) -> None:
    masker = knowing(secret)
    frame = b"530 bad login " + secret + b"!"
    shapes = [
        frame.decode("utf-8", "backslashreplace"),
        frame.decode("latin-1"),
        escape(frame),
        ascii(frame.decode("utf-8", "backslashreplace")),
        repr(frame),
        printable(frame, 100),
        str(BadFrame("a digit", frame)),
        str(FrameRejected(frame)),
        repr(FrameRejected(frame)),
    ]
    for shape in shapes:
        masked = masker.text(shape)
        assert "***" in masked, shape
        assert "bad login ***!" in masked, masked


def test_a_secret_that_was_cut_off_leaves_less_than_half_of_itself() -> None:
    masker = knowing(b"correct-horse-battery")
    assert masker.text("it said: b'correct-horse-b'…") == "it said: b'***'…"
    assert masker.text("a correct answer") == "a correct answer"
    assert masker.mask(b"correct-horse") == b"*" * 13


def test_one_that_is_still_arriving_is_masked_as_far_as_it_has() -> None:
    masker = knowing(b"hunter2")
    assert masker.mask(b"Password: hunt") == b"Password: ****"
    assert masker.mask(b"Password: hu") == b"Password: hu"
    assert masker.mask(b"hunting") == b"****ing"


def test_each_word_of_a_value_is_a_secret_too() -> None:
    masker = knowing(b"joe hunter2\n")
    assert masker.text("no hunter2 here, joe") == "no *** here, joe"


def test_what_is_too_short_is_let_be() -> None:
    masker = knowing(b"abc", b"")
    assert masker.text("abc") == "abc"
    assert masker.mask(b"abc") == b"abc"


def test_of_a_line_the_first_word_is_a_command_where_others_follow() -> None:
    masker = Masker()
    masker.add_line(b"PASS hunter2")
    masker.add_line(b"letmein99")
    assert masker.text("PASS: not hunter2, not letmein99") == "PASS: not ***, not ***"


def test_of_a_login_the_password_and_what_http_makes_of_it() -> None:
    masker = Masker()
    masker.add_login("joe", "s:cret")
    basic = base64.b64encode(b"joe:s:cret").decode()
    assert masker.text(f"joe s:cret Basic {basic}") == "joe *** Basic ***"


def test_one_that_is_a_part_of_another_does_not_spoil_it() -> None:
    assert knowing(b"hunter", b"hunter2-and-more").text("x hunter2-and-more x") == "x *** x"


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masking, "MOST", 3)
    masker = knowing(b"first", b"second", b"third", b"fourth")
    assert masker.text("first second third fourth") == "first *** *** ***"


# -- the log --------------------------------------------------------------------------------


class ObserverTests(SynchronousTestCase):
    """In front of others it changes what they get."""

    def setUp(self) -> None:
        self.events: list[LogEvent] = []
        self.masker = knowing(b"hunter2")
        publisher = LogPublisher(self.masker, self.events.append)
        self.log = Logger(namespace="nbclient", observer=publisher)

    def test_a_line(self) -> None:
        self.log.info("the peer said {answer!r}", answer=b"hunter2?")
        self.log.info("nothing {special}", special="here")
        self.assertEqual(
            [formatEvent(event) for event in self.events],
            ["the peer said b'***?'", "nothing here"],
        )

    def test_a_traceback(self) -> None:
        try:
            raise ValueError("not hunter2")
        except ValueError:
            self.log.failure("failed", Failure())
        text = eventAsText(self.events[0])
        self.assertIn("ValueError: not ***", text)
        self.assertNotIn("hunter2", text)

    def test_without_secrets_nothing_is_touched(self) -> None:
        event: LogEvent = {"log_format": "{x}", "x": 1}
        Masker()(event)
        self.assertEqual(event, {"log_format": "{x}", "x": 1})

    def test_standard_error(self) -> None:
        written: list[bytes] = []
        log = Logger(
            namespace="nbclient", observer=StderrLines(2, None, written.append, self.masker.text)
        )
        try:
            raise ValueError("not hunter2")
        except ValueError:
            log.failure("hunter2 failed", Failure())
        said = b"".join(written)
        self.assertIn(b"nbclient: *** failed\n", said)
        self.assertIn(b"ValueError: not ***\n", said)
        self.assertNotIn(b"hunter2", said)


# -- what learns, and what masks -----------------------------------------------------------------


class JobTests(SynchronousTestCase):
    """The ways in, and the four ways out."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.masker = Masker()

    def file(self, name: str, content: str) -> str:
        path = self.folder / name
        path.write_text(content)
        path.chmod(0o600)
        return str(path)

    def link(self, *words: str) -> Any:
        self.log = KeptLog()
        settings = shell("h", "1", *words)
        return make_link(
            settings, DaemonProtocol, framing.lines(), self.log, FakeReactor(), self.masker
        )

    def assertKnown(self, *words: str) -> None:
        for word in words:
            self.assertEqual(self.masker.text(word), "***", word)

    def test_what_is_said_in_an_opening_is_known_before_anything_begins(self) -> None:
        secret = self.file("secret", "hunter2\n")
        lines = self.file("lines", "NICK robot\nPASS letmein\n")
        parse_script(
            [("opening", f"PASS ${{file:{secret}}}"), ("opening-file", lines)], None, self.masker
        )
        self.assertKnown("hunter2", "letmein", "robot", "PASS letmein")
        self.assertEqual(self.masker.text("PASS NICK"), "PASS NICK")

    def test_so_are_heartbeats_polls_and_the_login_for_a_proxy(self) -> None:
        for name in ("beat", "poll"):
            self.file(name, f"{name}-secret")
        self.link(
            *("--heartbeat", f"${{file:{self.folder}/beat}}", "--heartbeat-every", "9"),
            *("--poll", f"${{file:{self.folder}/poll}}", "--poll-every", "9"),
        )
        login = self.file("login", "joe:proxy-secret\n")
        settings = shell("h", "1", "--proxy", "http://p:1", "--proxy-auth", login)
        make_endpoint(FakeReactor(), settings, self.masker)
        self.assertKnown("beat-secret", "poll-secret", "proxy-secret")

    def test_a_hexdump_has_a_star_for_each_byte(self) -> None:
        self.masker.add(b"hunter2")
        log = KeptLog()
        tap = hexdumper(log, "h:1", self.masker)
        tap("out", b"PASS hunter2\n")
        tap("in", b"x")
        self.assertIn("|PASS *******.|", log.lines[0])
        self.assertNotIn("68 75 6e", log.lines[0])

    def test_bad_frames_are_kept_masked(self) -> None:
        self.masker.add(b"hunter2")
        link = self.link("--bad-frames", str(self.folder / "bad"))
        link.rejected(b"what is hunter2", BadFrame("a digit", b"what is hunter2"))
        link.bad_frames.close()
        [kept] = (self.folder / "bad").iterdir()
        self.assertEqual(kept.read_bytes(), b"what is *******")

    def test_so_is_the_answer_that_is_kept_with_a_rejected_frame(self) -> None:
        self.masker.add(b"hunter2")
        link = self.link("--delivery", "reply", "--reply-reject", "NAK")
        heard: list[bytes] = []
        self.patch(type(link._pump), "rejected", lambda _, seq, answer: not heard.append(answer))
        link._answered(1, Says.REJECTED, b"NAK hunter2")
        self.assertEqual(heard, [b"NAK *******"])
