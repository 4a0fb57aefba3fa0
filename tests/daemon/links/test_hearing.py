"""What a peer says in an opening is found however the network cuts it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from nbclient.core.states import State
from nbclient.daemon.cli.options import SHELL
from nbclient.daemon.config.patterns import Pattern
from nbclient.daemon.links.builder import Link, load_protocol, make_link
from nbclient.daemon.links.hearing import KEPT, QUIET
from nbclient.daemon.links.opening import parse_script
from nbclient.daemon.links.plan import make_plan
from nbclient.daemon.outputs.base import Output
from nbclient.errors import PatternTimeout
from nbclient.testing import FakeEndpoint, FakeReactor, Peer
from tests.conformance.daemon import KeptLog, around, shell
from tests.conformance.framing import cut

CUTS = st.lists(st.integers(1, 40), max_size=12)


class Sink(Output):
    """Keeps frames."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []

    def write(self, frames: Sequence[bytes]) -> Deferred[None] | None:
        self.frames += frames
        return None


class Login:
    """A link that logs in as these options say, connected."""

    def __init__(self, *words: str) -> None:
        settings = shell("h", "1", "--retries", "0", *words)
        self.reactor = FakeReactor()
        plan = make_plan(self.reactor, settings, SHELL, around(stdin=0, stdout=1))
        self.log = KeptLog()
        self.link: Link = make_link(
            settings, load_protocol(None), plan.framing, self.log, self.reactor
        )
        self.link.script = plan.script
        self.link.opening_framing = plan.opening_framing
        self.link.outputs = self.sink = Sink()
        endpoint = FakeEndpoint(self.reactor)
        self.link.start(endpoint, self.reactor)
        self.peer: Peer = endpoint.attempts[0].accept()
        self.reactor.turn()

    def hear(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.peer.send(piece)
            self.reactor.turn()

    def quiet(self) -> None:
        """Nothing comes for as long as makes a prompt."""
        for _ in range(3):
            self.reactor.advance(QUIET)

    @property
    def ready(self) -> bool:
        return self.link.state is State.READY


SCRIPT = ("--expect", "login: ", "--opening", r"me\n", "--expect", "word: ", "--opening", r"pw\n")


@given(cuts=CUTS)
def test_without_frames_a_pattern_is_found_however_it_is_cut(cuts: list[int]) -> None:
    stream = b"Welcome\r\nlogin: Password: OK\r\n"
    login = Login("--raw", *SCRIPT, "--expect", "OK")
    login.hear(*cut(stream, cuts))
    assert login.ready
    assert login.peer.received == b"me\npw\n"
    assert b"".join(login.sink.frames) == stream  # none of it is kept from the outputs


@given(cuts=CUTS)
def test_behind_an_opening_of_another_framing_every_frame_is_data(cuts: list[int]) -> None:
    stream = b"login: Password: OK\n\0\1a\0\2OK\0\0"
    login = Login("--framing", "length:2", "--opening-framing", "raw", *SCRIPT, "--expect", "OK\n")
    login.hear(*cut(stream, cuts))
    assert login.ready
    assert login.peer.received == b"me\npw\n"
    assert login.sink.frames == [b"a", b"OK", b""]
    login.link.send([b"x"])
    login.reactor.turn()
    assert login.peer.received == b"me\npw\n\0\1x"


@given(cuts=CUTS)
def test_so_it_is_where_the_opening_has_lines(cuts: list[int]) -> None:
    login = Login(
        *("--framing", "length:2", "--opening-framing", "crlf", "--opening", "GET /"),
        *("--expect", "^200", "--expect", "^$"),
    )
    login.hear(*cut(b"100\r\n200 OK\r\nsize: 2\r\n\r\n\0\2\r\n\0\x04100\n", cuts))
    assert login.ready
    assert login.peer.received == b"GET /\r\n"
    assert login.sink.frames == [b"\r\n", b"100\n"]


class HearingTests(SynchronousTestCase):
    def test_what_is_looked_through_again_is_bounded(self) -> None:
        login = Login("--raw", "--expect", "start.*end")
        login.hear(b"start", *[b"x" * 1000] * (KEPT // 1000 + 2), b"end")
        self.assertFalse(login.ready)
        login.hear(b"start end")
        self.assertTrue(login.ready)

    def test_an_empty_match_waits_for_something(self) -> None:
        login = Login("--raw", "--expect", "x*")
        self.assertFalse(login.ready)
        login.hear(b"a")
        self.assertTrue(login.ready)

    def test_a_frame_is_looked_at_alone(self) -> None:
        login = Login("--expect", "ab")
        login.hear(b"a\nb\n")
        self.assertFalse(login.ready)
        login.hear(b"a", b"b\n")
        self.assertTrue(login.ready)

    def test_an_opening_of_its_own_without_an_answer_is_done_at_once(self) -> None:
        login = Login("--framing", "length:2", "--opening-framing", "lines", "--opening", "hello")
        self.assertTrue(login.ready)
        login.hear(b"\0\1a")
        self.assertEqual((login.peer.received, login.sink.frames), (b"hello\n", [b"a"]))


PROMPTS = ("--expect-prompt", "word: $", "--opening", "pw")


class PromptTests(SynchronousTestCase):
    """A prompt ends no line."""

    def test_it_is_seen_once_nothing_more_comes(self) -> None:
        login = Login(*PROMPTS, "--expect", "OK")
        login.hear(*(b"%c" % byte for byte in b"Password: "))
        self.assertEqual(login.peer.received, b"")  # the line may go on
        login.quiet()
        self.assertEqual(login.peer.received, b"pw\n")
        login.hear(b"\nOK\n")
        self.assertTrue(login.ready)
        self.assertEqual(login.sink.frames, [b"Password: ", b"OK"])

    def test_a_line_that_goes_on_is_none(self) -> None:
        login = Login(*PROMPTS)
        login.reactor.advance(QUIET * 0.8)
        login.hear(b"your old password: ")
        login.reactor.advance(QUIET * 0.4)
        login.hear(b"expires")
        login.quiet()
        self.assertFalse(login.ready)

    def test_a_finished_line_will_do(self) -> None:
        login = Login(*PROMPTS)
        login.hear(b"Password: \n")
        self.assertTrue(login.ready)
        self.assertEqual(login.peer.received, b"pw\n")

    def test_the_next_step_sees_only_what_is_behind_it(self) -> None:
        login = Login(*PROMPTS, *PROMPTS)
        login.hear(b"Password: ")
        login.quiet()
        self.assertEqual(login.peer.received, b"pw\n")
        login.hear(b"\r\n")
        login.quiet()
        self.assertEqual(login.peer.received, b"pw\n")
        login.hear(b"Wrong. Password: ")
        login.quiet()
        self.assertEqual(login.peer.received, b"pw\npw\n")

    def test_and_so_does_another_framing_behind_it(self) -> None:
        login = Login("--framing", "length:2", "--opening-framing", "lines", *PROMPTS)
        login.hear(b"Password: ")
        login.quiet()
        self.assertTrue(login.ready)
        login.hear(b"\0\1a")
        self.assertEqual((login.peer.received, login.sink.frames), (b"pw\n", [b"a"]))

    def test_only_its_last_part_is_looked_at_where_it_is_long(self) -> None:
        login = Login("--expect-prompt", "^a*word: ")
        login.hear(b"b" * KEPT + b"aaword: ")
        login.quiet()
        self.assertFalse(login.ready)
        login = Login("--expect-prompt", "word: ")
        login.hear(b"b" * KEPT + b"word: ")
        login.quiet()
        self.assertTrue(login.ready)

    def test_the_end_of_the_connection_ends_the_wait(self) -> None:
        for words in (PROMPTS, (*PROMPTS, "--opening-framing", "lines")):
            login = Login(*words)
            login.hear(b"login: ")
            login.peer.close()
            login.reactor.turn()
            self.assertIs(login.link.state, State.STOPPED)
            said = "what came last is no whole frame: b'login: '"
            self.assertTrue([line for line in login.log.lines if line.endswith(said)])
            self.assertEqual(login.reactor.pending(), [])

    def test_one_that_is_out_of_time_leaves_no_timer(self) -> None:
        login = Login(*PROMPTS, "--opening-timeout", "1")
        login.hear(b"login: ")
        for _ in range(8):  # at once it would be a standstill, which gets its time once more
            login.reactor.advance(0.125)
            login.reactor.turn()
        self.assertIs(login.link.state, State.STOPPED)
        self.assertTrue([line for line in login.log.lines if "waited in vain for /word" in line])
        self.assertEqual(login.reactor.pending(), [])

    def test_a_pattern_that_takes_too_long_fails_the_attempt(self) -> None:
        def search(pattern: Pattern, data: bytes) -> Any:
            raise PatternTimeout(0.1, pattern.pattern)

        self.patch(Pattern, "search", search)
        login = Login(*PROMPTS)
        login.hear(b"Password: ")
        login.quiet()
        self.assertIs(login.link.state, State.STOPPED)
        self.assertEqual(login.reactor.pending(), [])


def test_a_step_is_of_one_kind_or_the_other() -> None:
    pattern = re.compile(b"x")
    plain, prompt = parse_script([("expect", pattern), ("expect-prompt", pattern)])
    assert (getattr(plain, "prompt", None), getattr(prompt, "prompt", None)) == (False, True)


def test_a_prompt_is_none_as_long_as_more_lies_in_this_hosts_kernel() -> None:
    """After a standstill of this process, say."""
    for rest, ready in ((b"b", False), (b"\n", True)):
        login = Login("--expect-prompt", "a$")
        login.reactor.advance(QUIET)
        login.hear(b"a")
        login.reactor.rightNow += 10 * QUIET
        login.peer.transport.kernel.queue += rest  # the reactor has not come to it
        login.quiet()
        assert login.ready is ready
