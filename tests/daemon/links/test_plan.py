"""What can be refused, is, before anything is opened."""

from __future__ import annotations

import os
import sys
from typing import Any

import pytest

from nbclient import framing
from nbclient.connection.protocol import FrameProtocol
from nbclient.daemon.cli.options import SHELL, TWISTD, Settings
from nbclient.daemon.config.iospec import Place
from nbclient.daemon.links.builder import DaemonProtocol
from nbclient.daemon.links.opening import Text
from nbclient.daemon.links.plan import Plan, Surroundings, make_plan, show, surroundings
from nbclient.daemon.links.spool import LINK, SpoolPlan
from nbclient.daemon.local.thread import Worker
from nbclient.daemon.outputs.formats import AnyLines, Readable, Timed
from nbclient.errors import LocalError
from nbclient.testing import FakeReactor
from tests.conformance.daemon import around, daemon, shell


class Own(FrameProtocol):
    """A user's class."""

    framing = framing.crlf()


class Derived(DaemonProtocol):
    """A user's class that keeps script and outputs."""


OWN = ("--protocol", f"{__name__}:Own")
DERIVED = ("--protocol", f"{__name__}:Derived")


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])


def plan(settings: Settings, front: str = SHELL, process: Surroundings | None = None) -> Plan:
    return make_plan(FakeReactor(), settings, front, process or around(stdin=0, stdout=1))


def kinds(made: Plan) -> list[Any]:
    return [made.source.kind, *(place.kind for place, _ in made.targets)]


def test_a_terminal_has_the_standard_streams_and_a_daemon_the_log() -> None:
    assert kinds(plan(shell("h", "1"))) == ["-", "-"]
    assert kinds(plan(daemon("--host", "h", "--port", "1"), TWISTD)) == ["none", "log"]


def test_a_check_takes_and_gives_nothing() -> None:
    assert kinds(plan(shell("h", "1", "--check"))) == ["none", "none"]


def test_what_was_asked_for_is_taken() -> None:
    made = plan(
        shell("h", "1", "--input", "./in", "--output", "log", "--output", "./out", "--opening", "a")
    )
    assert made.source == Place("file", "./in")
    assert [place for place, _ in made.targets] == [Place("log"), Place("file", "./out")]
    assert made.script == (Text.parse("a"),)
    assert (made.protocol, made.framing) == (DaemonProtocol, framing.lines())
    assert made.source_framing == framing.lines()
    assert made.endpoint is not None


def test_the_demos_port_is_not_known_yet() -> None:
    assert plan(shell("--demo")).endpoint is None


def test_ones_own_class_has_no_outputs_unless_it_derives_from_ours() -> None:
    assert kinds(plan(shell("h", "1", *OWN))) == ["-", "none"]
    assert kinds(plan(shell("h", "1", *DERIVED))) == ["-", "-"]
    plan(shell("h", "1", *DERIVED, "--opening", "a", "--output", "log"))


@pytest.mark.parametrize("words", [("--output", "-"), ("--opening", "a"), ("--expect", "a")])
def test_what_ones_own_class_would_not_use_is_refused(words: tuple[str, str]) -> None:
    with pytest.raises(LocalError, match=rf"^{words[0]} and --protocol: Own would not use it"):
        plan(shell("h", "1", *OWN, *words))


def test_a_stream_that_is_not_there_is_refused() -> None:
    with pytest.raises(LocalError, match=r"^--input: there is no standard input"):
        plan(shell("h", "1"), process=around(stdout=1))
    with pytest.raises(LocalError, match=r"^--output: there is no standard output"):
        plan(shell("h", "1"), process=around(stdin=0))
    plan(shell("h", "1", "--input", "none", "--output", "none"), process=around())


def test_only_a_terminal_gets_the_readable_form() -> None:
    process = around(stdin=0, stdout=1, encoding="utf-8")
    made = plan(shell("h", "1", "--output", "-", "--output", "./a"), process=process)
    assert [type(shape) for _, shape in made.targets] == [Readable, AnyLines]


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        (("--input", "./a"), framing.lines()),
        (("--input", "tail:./a"), framing.lines(on_bad_frame="skip")),
        (("--input", "fifo:./a", "--input-framing", "fixed:3"), framing.fixed(3)),
        (("--input", "listen:./a", "--raw"), framing.raw()),
        (("--input", "exec:bot"), framing.lines()),
        (("--input", "exec:bot", "--framing", "crlf"), framing.lines()),
        (("--input", "exec:bot", "--framing", "length:2"), framing.length(2)),
        (("--input", "exec:bot", "--input-framing", "netstring"), framing.netstring()),
        (("--input", "exec:bot", "--raw"), framing.raw()),
    ],
)
def test_how_an_input_is_cut_depends_on_what_it_is(words: tuple[str, ...], chosen: Any) -> None:
    assert plan(shell("h", "1", *words)).source_framing == chosen


def test_a_program_reads_what_it_writes() -> None:
    made = plan(shell("h", "1", "--input", "exec:bot", "--input-framing", "crlf"))
    assert made.coprocess_shape.images([b"a"]) == [b"a\r\n"]


def test_a_datagram_is_a_frame_alone_unless_told_otherwise() -> None:
    words = ("--output", "udp:h:1", "--output", "udp:h:2", "--output-framing", "hex")
    shapes = [shape for _, shape in plan(shell("h", "1", *words)).targets]
    assert [shape.images([b"a"]) for shape in shapes] == [[b"a"], [b"61\n"]]


def test_times_are_for_standard_output() -> None:
    made = plan(shell("h", "1", "--timestamps", "--output", "-", "--output", "./a"))
    assert [type(shape) for _, shape in made.targets] == [Timed, AnyLines]


def test_the_surroundings_are_those_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal:
        encoding = "latin-1"

    monkeypatch.setattr(os, "isatty", lambda descriptor: descriptor == 1)
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(sys, "stdout", Terminal())
    found = surroundings(FakeReactor())
    assert (found.stdin, found.stdout, found.encoding) == (0, 1, "latin-1")
    assert isinstance(found.runner("x"), Worker)
    monkeypatch.setattr(os, "isatty", lambda descriptor: False)
    assert surroundings(FakeReactor()).encoding is None
    monkeypatch.setattr(sys, "stdin", None)
    monkeypatch.setattr(sys, "stdout", None)
    found = surroundings(FakeReactor())
    assert (found.stdin, found.stdout, found.encoding) == (None, None, None)


def test_what_is_shown_goes_to_standard_output_if_anybody_reads_it(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    show("ready: é")
    assert capfd.readouterr().out == "ready: é\n"

    def closed(descriptor: int, data: bytes) -> int:
        raise BrokenPipeError

    monkeypatch.setattr(os, "write", closed)
    show("lost")
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.delattr(os, "write")
    show("lost")


def test_a_spool_is_of_the_link_and_for_the_peer() -> None:
    words = ("h", "1", "--spool", "d", "--spool-bytes", "1MiB")
    assert plan(shell("h", "1")).spool is None
    assert plan(shell(*words)).spool == SpoolPlan("d", LINK, "h:1", 1024**2, False)
    named = plan(shell(*words, "--name", "feed", "--spool-adopt")).spool
    assert named == SpoolPlan("d", "feed", "h:1", 1024**2, True)


def test_an_opening_that_the_framing_cannot_carry_is_refused() -> None:
    with pytest.raises(LocalError, match=r"^--opening: "):
        plan(shell("h", "1", "--opening", "a\\nb"))


def test_a_framing_without_an_output_is_for_the_one_by_default() -> None:
    ((place, shape),) = plan(shell("h", "1", "--output-framing", "hex")).targets
    assert place == Place("-")
    assert shape.images([b"\x01"]) == [b"01\n"]


DEAF = ("--framing", "length:2,offset=2")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "--input: the framing length:2,offset=2 can only receive; say --input none"),
        (("--input", "tail:./a"), "--input: the framing length:2,offset=2 can only receive; say"),
        (("--input", "none", "--poll", "a", "--poll-every", "1"), "--poll: the framing length:2,"),
        (("--input", "none", "--heartbeat", "a", "--heartbeat-every", "1"), "--heartbeat: the fra"),
        (("--input", "none", "--answer", "/a/b/"), "--answer: the framing length:2,offset=2 can o"),
        (("--input", "none", "--opening", "a"), "--opening: length:2,offset=2 cannot send"),
        (("--input", "none", "--output", "./a"), "--output: the framing length:2,offset=2 can onl"),
    ],
)
def test_what_a_framing_can_never_send_is_refused_at_the_start(
    words: tuple[str, ...], says: str
) -> None:
    with pytest.raises(LocalError) as caught:
        plan(
            shell("h", "1", *DEAF, "--output-framing", "hex", *words)
            if "--output" not in words
            else shell("h", "1", *DEAF, *words)
        )
    assert str(caught.value).startswith(says)


def test_a_framing_that_only_receives_is_enough_to_receive() -> None:
    words = ("h", "1", *DEAF, "--input", "none")
    for target in ("log", "none", "udp:h:1"):
        plan(shell(*words, "--output", target))
    plan(shell("h", "1", *DEAF, "--check"))
    plan(shell(*words, "--output", "./a", "--output-framing", "record"))


def test_a_program_must_be_able_to_read_what_arrives() -> None:
    with pytest.raises(LocalError, match=r"^--input exec: length:2,offset=2 can only receive, and"):
        plan(shell("h", "1", "--input", "exec:bot", "--input-framing", "length:2,offset=2"))


def test_a_users_framing_that_knows_nothing_of_sending_counts_as_sending(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Bare:
        """Not even a `Framing`."""

        max_frame, line_like = 9, False

    monkeypatch.setattr(Own, "framing", Bare())
    assert plan(shell("h", "1", *OWN)).source == Place("-")


PAIRED = ("--framing", "length:2", "--framing-out", "crlf")


def test_sending_may_differ_from_receiving() -> None:
    """Outputs follow what is received, the opening and all else that is sent the other."""
    length, crlf = framing.length(2), framing.crlf()
    made = plan(shell("h", "1", *PAIRED, "--opening", "GET", "--output", "./a", "--input", "./b"))
    assert made.framing == framing.pair(length, crlf)
    ((_, shape),) = made.targets
    assert shape.images([b"ab"]) == [b"\0\2ab"]
    assert made.source_framing == framing.lines()
    assert plan(shell("h", "1", "--framing", "raw", *PAIRED[2:])).framing.encode([b"a"]) == [
        b"a\r\n"
    ]


def test_a_program_has_both_as_they_are_on_the_wire() -> None:
    made = plan(shell("h", "1", *PAIRED, "--input", "exec:true"))
    assert made.source_framing.decoder().feed(b"a\n") == [b"a"]  # lines, for crlf is line-like
    assert made.coprocess_shape.images([b"ab"]) == [b"\0\2ab"]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--framing-out", "x"), "--framing-out: unknown framing 'x'"),
        (("--framing-out", "length:2,offset=1"), "--framing-out: length:2,offset=1 can only rec"),
        (("--raw", "--framing-out", "lines"), "--raw and --framing-out: with --raw"),
        (("--opening-framing", "lines"), "--opening-framing: needs "),
        (("--opening-framing", "x", "--opening", "a"), "--opening-framing: unknown framing 'x'"),
        (("--opening-framing", "length:2,offset=1", "--expect", "a"), "only receive"),
        (("--raw", "--opening-framing", "lines", "--expect", "a"), "--raw and --opening-framing"),
        ((*OWN, "--opening-framing", "lines", "--expect", "a"), "--protocol: Own would not use it"),
        (("--framing", "length:2", "--opening-framing", "lines", "--opening", r"a\nb"), "sent: it"),
    ],
)
def test_what_makes_no_sense_in_one_direction_or_first_is_refused(
    words: tuple[str, ...], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        plan(shell("h", "1", *words))
    except LocalError as error:
        print(error, file=sys.stderr)
    except SystemExit:
        pass
    assert why in capsys.readouterr().err
