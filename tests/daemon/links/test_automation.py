"""Answers, heartbeats, polls, peers and bad frames from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nbclient import framing
from nbclient.daemon.config import values
from nbclient.daemon.links import automation
from nbclient.daemon.links.builder import DaemonProtocol, describe, make_endpoint, make_link
from nbclient.daemon.links.masking import Masker
from nbclient.endpoints.failover import Alternatives
from nbclient.errors import FrameTooLong, SpecError
from nbclient.testing import FakeEndpoint, FakeReactor
from tests.conformance.daemon import KeptLog, shell
from tests.daemon.config.test_rules import refused

TO = ("h", "1")


def test_an_answer_is_a_pattern_and_what_to_say() -> None:
    settings = shell(*TO, "--answer", r"/^PING (.*)/PONG \1/", "--answer", r"|a/b|\r|")
    first, second = automation.answers(settings)
    assert first.to(b"PING :x") == b"PONG :x"
    assert second.to(b"a/b") == b"\r"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is not /REGEX/TEMPLATE/"),
        ("/only/", "is not /REGEX/TEMPLATE/"),
        ("/a/b/c", "is not /REGEX/TEMPLATE/"),
        ("/(/b/", "cannot be used: missing )"),
        (r"/a/\1/", "cannot be used: invalid group reference 1"),
        (r"/a/\g<x>/", "cannot be used: unknown group name 'x'"),
    ],
)
def test_an_answer_that_cannot_work_is_refused(text: str, why: str) -> None:
    with pytest.raises(SpecError) as caught:
        values.answer(text)
    assert why in str(caught.value)


def test_heartbeat_and_poll_are_texts_with_escapes() -> None:
    settings = shell(
        *TO, "--heartbeat", "", "--heartbeat-every", "30", "--poll", r"\x01?", "--poll-every", "8"
    )
    heartbeat = automation.heartbeat(settings, framing.lines(), Masker())
    poll = automation.poll(settings, framing.lines(), Masker())
    assert heartbeat is not None
    assert (heartbeat.frame, heartbeat.every) == (b"", 30)
    assert poll is not None
    assert (poll.frame, poll.every, poll.timeout) == (b"\x01?", 8, 8)
    assert automation.heartbeat(shell(*TO), framing.lines(), Masker()) is None
    assert automation.poll(shell(*TO), framing.lines(), Masker()) is None


@pytest.mark.parametrize("option", ["heartbeat", "poll"])
def test_a_text_that_is_no_frame_is_refused(option: str) -> None:
    settings = shell(*TO, f"--{option}", r"two\nlines", f"--{option}-every", "5")
    with pytest.raises(SpecError, match=f"--{option}: a frame of 9 bytes cannot be sent"):
        getattr(automation, option)(settings, framing.lines(), Masker())


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--heartbeat", "x"), "--heartbeat: needs --heartbeat-every"),
        (("--poll-every", "5"), "--poll-every: needs --poll"),
        (("--failback", "5"), "--failback: needs --peer"),
        (("--dead-after", "1"), "--dead-after: 1 is out of range (2 to "),
        (("--delivery", "surely"), "--delivery: 'surely' is "),
        (("--peer", "h"), "--peer: 'h' is not HOST:PORT"),
        (("--check", "--poll", "x", "--poll-every", "5"), "--check and --poll: "),
    ],
)
def test_what_makes_no_sense_is_refused(
    words: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refused(capsys, *TO, *words).startswith(says)


def test_peers_come_after_the_host_in_the_order_given() -> None:
    settings = shell("a", "1", "--peer", "[::1]:2", "--peer", "b:3", "--failback", "60")
    assert describe(settings) == "a:1 or [::1]:2 or b:3"
    endpoint = make_endpoint(FakeReactor(), settings)
    assert isinstance(endpoint, Alternatives)
    assert endpoint.name == "a:1"
    only = shell("--peer", "b:3")
    assert describe(only) == "b:3"
    assert not isinstance(make_endpoint(FakeReactor(), only), Alternatives)


def test_the_figures_reach_the_link(tmp_path: Path) -> None:
    settings = shell(
        *TO,
        *("--delivery", "written", "--dead-after", "off", "--send-gap", "0.5"),
        *("--answer", "/a/b/", "--bad-frames", f"{tmp_path}/bad"),
    )
    reactor, log = FakeReactor(), KeptLog()
    link: Any = make_link(settings, DaemonProtocol, framing.lines(max_frame=8), log, reactor)
    assert (link.delivery, link.deadAfter, len(link.answers)) == ("written", None, 1)
    assert make_link(shell(*TO), DaemonProtocol, framing.lines(), log, reactor).deadAfter == 60
    endpoint = FakeEndpoint(reactor)
    link.start(endpoint)
    peer = endpoint.attempts[-1].accept()
    peer.send(b"a\n")
    reactor.turn()
    assert peer.received == b"b\n"
    peer.send(b"far too long\n")
    reactor.turn()
    (kept,) = Path(tmp_path, "bad").iterdir()
    assert kept.read_bytes().startswith(b"far too long")


def test_a_directory_for_bad_frames_that_cannot_be_made_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    log = KeptLog()
    settings = shell(*TO, "--bad-frames", f"{tmp_path}/file/bad")
    link: Any = make_link(settings, DaemonProtocol, framing.lines(), log, FakeReactor())
    for _ in range(2):
        link.rejected(b"x", FrameTooLong(1, 2))
    assert len([line for line in log.lines if "file/bad" in line]) == 1
