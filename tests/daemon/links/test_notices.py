"""What is told unasked, and when it is not."""

from __future__ import annotations

import sys

import pytest

from nbclient.daemon.cli.options import SHELL
from nbclient.daemon.links import notices
from nbclient.daemon.links.builder import DaemonProtocol
from nbclient.daemon.links.notices import delivery, unwatched
from nbclient.daemon.links.plan import make_plan
from nbclient.link.options import LEVELS
from nbclient.testing import FakeReactor
from tests.conformance.daemon import around, shell


class Own(DaemonProtocol):
    """A user's class, which may send what it likes."""


NONE = ("--input", "none")
OFF = (*NONE, "--dead-after", "off")
PROXY = ("--proxy", "http://gate:3128")


def told(monkeypatch: pytest.MonkeyPatch, *words: str) -> str:
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])
    settings = shell(*words)
    plan = make_plan(FakeReactor(), settings, SHELL, around(stdin=0, stdout=1))
    return unwatched(settings, plan)


def test_a_link_that_only_receives_needs_somebody_to_notice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = "a dead peer would not be noticed; see --silence-timeout and --dead-after"
    assert told(monkeypatch, "h", "1", *OFF) == said
    assert told(monkeypatch, "--endpoint", "tcp:h:1", *OFF) == said


def test_the_way_to_the_proxy_is_not_the_way_to_the_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    said = "a dead peer would not be noticed, --dead-after ends at the proxy; see --silence-timeout"
    assert told(monkeypatch, "h", "1", *NONE, *PROXY) == said
    assert told(monkeypatch, "h", "1", *OFF, *PROXY) == said
    assert told(monkeypatch, "h", "1", *OFF, *PROXY, "--silence-timeout", "60") == ""


@pytest.mark.parametrize(
    "words",
    [
        ("h", "1", *NONE),
        ("h", "1", *OFF, "--silence-timeout", "60"),
        ("h", "1", *OFF, "--heartbeat", "x", "--heartbeat-every", "9"),
        ("h", "1", *OFF, "--poll", "x", "--poll-every", "9"),
        ("h", "1", "--dead-after", "off", "--input", "-"),
        ("h", "1", "--dead-after", "off", "--check"),
        ("h", "1", *OFF, "--protocol", f"{__name__}:Own"),
        ("--unix", "/s", *OFF),
        ("--endpoint", "unix:/s", *OFF),
        ("--demo", *OFF),
    ],
)
def test_nothing_is_told_where_somebody_notices(
    monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    """The watch is on, what is sent is missed, the peer is this host, or nobody can know."""
    assert told(monkeypatch, *words) == ""


def test_the_level_is_told_with_what_it_means() -> None:
    plain, proxied = shell("h", "1"), shell("h", "1", *PROXY)
    assert delivery("written", plain).startswith("written (a frame counts as delivered when it was")
    assert delivery("tcp", plain).startswith("tcp (a frame counts as delivered when the peer's")
    assert "the proxy acknowledges" in delivery("written", proxied)
    for settings in (plain, proxied):  # an answer comes from behind the proxy
        assert delivery("reply", settings).startswith("reply (a frame counts as delivered when")


def test_every_level_has_its_words() -> None:
    assert {*LEVELS} - {"auto"} == {*notices._DELIVERED}
