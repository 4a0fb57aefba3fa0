"""What makes no sense is refused at once, in one line that names the argument."""

from __future__ import annotations

import math
import re
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import pytest
from attrs import frozen
from twisted.internet.protocol import ClientFactory, Protocol

from nbclient import Backoff, FrameProtocol, LinkService, ReconnectingFactory, endpoints, framing
from nbclient.core.arguments import is_async
from nbclient.core.automation import Answer, Heartbeat, Poll
from nbclient.delivery.replies import Reply
from nbclient.endpoints import proxy
from nbclient.endpoints.failover import alternatives
from nbclient.errors import ArgumentError, LocalError
from nbclient.framing.base import Decoder, Framing
from nbclient.testing import FakeEndpoint, FakeReactor

PATTERN = re.compile(b"x")
REACTOR = FakeReactor()
ENDPOINT = FakeEndpoint(REACTOR)


class Lines(FrameProtocol):
    framing = framing.lines()


async def later(*_: object) -> float:
    """A hook where there may be none."""
    return 0.5


async def one_by_one() -> AsyncIterator[float]:
    """Another."""
    yield 0.5


class Later:
    """An object that can be called, and has to be awaited."""

    async def __call__(self) -> float:
        return 0.5


# Each argument of the link, with what it does not take.
NONSENSE: list[tuple[str, list[Any]]] = [
    ("backoff", [5, 0.5, "1", Backoff]),
    ("framing", ["lines", b"\n", framing.lines, Framing, 5]),
    ("connectTimeout", [None, "10", 0, -1, math.nan, math.inf, True]),
    ("openingTimeout", [None, "10", 0, -1, math.nan]),
    ("closeTimeout", [None, "10", 0, -1, math.nan]),
    ("silenceTimeout", ["30", -1, 0, math.nan, True, math.inf]),
    ("frameTimeout", ["30", -1, 0, math.nan]),
    ("deadAfter", ["60", -1, 1.9, math.nan]),
    ("answers", [Answer(PATTERN, b"y"), [b"y"], "y", 5, [("x", "y")]]),
    ("heartbeat", [b"ping", 30, (b"ping", 30)]),
    ("poll", [b"state?", 30]),
    ("sendGap", [None, -0.1, "1", math.nan]),
    ("outboxBytes", [None, 0, -1, 1.5, "64MiB", True]),
    ("delivery", [None, "sent", 5, ["tcp"]]),
    ("reply", ["ok", PATTERN, True]),
    ("onReject", [None, "shrug"]),
    ("maxAttempts", [0, -1, 1.5, "3"]),
    ("maxAge", [0, -1, "60", math.nan]),
    ("whenFull", [None, "explode"]),
    ("whenDown", [None, "explode"]),
    ("wiretap", ["file", 5, later]),
    ("wall", [None, 5, later]),
    ("random", [None, 0.5, later, Later()]),
    ("name", [5, b"feed"]),
    ("clock", [5, FakeReactor, "reactor"]),
]


@pytest.mark.parametrize(("name", "wrong"), NONSENSE, ids=lambda value: str(value)[:30])
@pytest.mark.filterwarnings("error")
def test_the_link_refuses_what_makes_no_sense_by_name(name: str, wrong: list[Any]) -> None:
    make: Callable[..., Any] = ReconnectingFactory
    for value in wrong:
        for build in (make, partial(make.forProtocol, Lines)):  # type: ignore[attr-defined]
            with pytest.raises(ArgumentError) as caught:
                build(**{name: value})
            assert re.fullmatch(rf"{name} takes .*, not .*", str(caught.value))
            assert caught.value.argument == name


def test_the_line_says_what_to_write_where_it_is_nearly_right() -> None:
    with pytest.raises(ArgumentError, match=r"framing\.named\(\.\.\.\) makes one, not 'lines'"):
        ReconnectingFactory(framing="lines")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match=r"put \(\) behind it, not <function lines at"):
        ReconnectingFactory(framing=framing.lines)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match=r"Heartbeat\(frame, every\), or None, not b'ping'"):
        ReconnectingFactory(heartbeat=b"ping")  # type: ignore[arg-type]


def test_a_link_takes_no_argument_that_it_does_not_know() -> None:
    make: Callable[..., Any] = ReconnectingFactory.forProtocol
    with pytest.raises(TypeError, match="silence_timeout"):
        make(Lines, silence_timeout=5)


@pytest.mark.parametrize("wrong", [Protocol, Lines(), later, None, "Lines"])
def test_a_link_makes_connections_of_one_kind(wrong: Any) -> None:
    with pytest.raises(ArgumentError, match=r"^protocol takes a subclass of FrameProtocol, or"):
        ReconnectingFactory.forProtocol(wrong)


def test_what_is_set_on_a_link_is_checked_as_what_it_is_made_with() -> None:
    link = ReconnectingFactory(silenceTimeout=5.0)
    with pytest.raises(ArgumentError, match="silenceTimeout"):
        link.silenceTimeout = "30"  # type: ignore[assignment]
    assert link.silenceTimeout == 5.0
    link.silenceTimeout = 30.0
    assert link.options.silenceTimeout == 30.0


SMALL: list[tuple[str, Callable[[], Any]]] = [
    ("Backoff: initial", lambda: Backoff(initial="1")),  # type: ignore[arg-type]
    ("Backoff: factor", lambda: Backoff(factor=True)),
    ("Backoff: retries", lambda: Backoff(retries=True)),
    ("Answer: pattern", lambda: Answer("x", b"y")),  # type: ignore[arg-type]
    ("Answer: pattern", lambda: Answer(re.compile("x"), b"y")),  # type: ignore[arg-type]
    ("Answer: template", lambda: Answer(PATTERN, "y")),  # type: ignore[arg-type]
    ("Heartbeat: frame", lambda: Heartbeat("ping", 30)),  # type: ignore[arg-type]
    ("Heartbeat: every", lambda: Heartbeat(b"ping", "30")),  # type: ignore[arg-type]
    ("Heartbeat: every", lambda: Heartbeat(b"ping", math.nan)),
    ("Poll: frame", lambda: Poll(None, 30)),  # type: ignore[arg-type]
    ("Poll: timeout", lambda: Poll(b"?", 30, None)),  # type: ignore[arg-type]
    ("Reply: match", lambda: Reply(match="ok")),  # type: ignore[arg-type]
    ("Reply: window", lambda: Reply(window=1.5)),  # type: ignore[arg-type]
    ("Reply: timeout", lambda: Reply(timeout="30")),  # type: ignore[arg-type]
]

FRAMINGS: list[tuple[str, Callable[..., Any]]] = [
    ("Lines: max_frame", lambda: framing.lines("5")),  # type: ignore[arg-type]
    ("Lines: max_frame", lambda: framing.lines(max_frame=True)),
    ("Lines: max_frame", lambda: framing.lines(max_frame=1.5)),  # type: ignore[arg-type]
    ("Lines: on_bad_frame", lambda: framing.lines(on_bad_frame=None)),  # type: ignore[arg-type]
    ("Delimited: delimiter", lambda: framing.delimiter("\n")),  # type: ignore[arg-type]
    ("Length: size", lambda: framing.length("4")),  # type: ignore[arg-type]
    ("Length: offset", lambda: framing.length(2, offset="1")),  # type: ignore[arg-type]
    ("Varint: max_frame", lambda: framing.varint(None)),  # type: ignore[arg-type]
    ("Digits: count", lambda: framing.digits(4.0)),  # type: ignore[arg-type]
    ("Fixed: size", lambda: framing.fixed("4")),  # type: ignore[arg-type]
    ("Fixed: checksum", lambda: framing.fixed(4, checksum=5)),  # type: ignore[arg-type]
    ("Between: start", lambda: framing.between("a", b"b")),  # type: ignore[arg-type]
    ("Slip: max_frame", lambda: framing.slip("x")),  # type: ignore[arg-type]
    ("Json: max_frame", lambda: framing.json(b"x")),  # type: ignore[arg-type]
    ("spec", lambda: framing.named(5)),  # type: ignore[arg-type]
    ("spec", lambda: framing.named(b"lines")),  # type: ignore[arg-type]
]

PLACES: list[tuple[str, Callable[..., Any]]] = [
    ("host", lambda: endpoints.tcp(REACTOR, b"feed", 5)),  # type: ignore[arg-type]
    ("port", lambda: endpoints.tcp(REACTOR, "feed", "5")),  # type: ignore[arg-type]
    ("port", lambda: endpoints.tcp(REACTOR, "feed", True)),
    ("timeout", lambda: endpoints.tcp(REACTOR, "feed", 5, timeout=None)),  # type: ignore[arg-type]
    ("timeout", lambda: endpoints.tcp(REACTOR, "feed", 5, timeout=math.nan)),
    ("bind", lambda: endpoints.tcp(REACTOR, "feed", 5, bind="::1")),  # type: ignore[arg-type]
    ("bind", lambda: endpoints.tcp(REACTOR, "feed", 5, bind=(5, 0))),  # type: ignore[arg-type]
    ("reactor", lambda: endpoints.tcp("feed", "feed", 5)),
    ("path", lambda: endpoints.unix(REACTOR, 5)),  # type: ignore[arg-type]
    ("timeout", lambda: endpoints.unix(REACTOR, "/run/x", timeout="5")),  # type: ignore[arg-type]
    ("reactor", lambda: endpoints.unix(None, "/run/x")),
    ("text", lambda: endpoints.from_string(REACTOR, 5)),  # type: ignore[arg-type]
    ("endpoint", lambda: endpoints.tls("tcp:h:1", "h")),  # type: ignore[arg-type]
    ("host", lambda: endpoints.tls(ENDPOINT, None)),  # type: ignore[arg-type]
    ("settings", lambda: endpoints.tls(ENDPOINT, "h", "ca.pem")),  # type: ignore[arg-type]
    ("TLSSettings: ca", lambda: endpoints.TLSSettings(ca=5)),  # type: ignore[arg-type]
    ("TLSSettings: pins", lambda: endpoints.TLSSettings(pins=5)),
    ("TLSSettings: insecure", lambda: endpoints.TLSSettings(insecure="no")),  # type: ignore[arg-type]
    ("endpoints", lambda: alternatives("tcp:h:1")),  # type: ignore[arg-type]
    ("endpoints", lambda: alternatives([ENDPOINT, "tcp:h:1"])),  # type: ignore[list-item]
    ("failback", lambda: alternatives([ENDPOINT], failback="5")),  # type: ignore[arg-type]
    ("clock", lambda: alternatives([ENDPOINT], clock=5)),  # type: ignore[arg-type]
    ("proxy", lambda: proxy.via_socks5("tcp:h:1", "h", 5)),  # type: ignore[arg-type]
    ("host", lambda: proxy.via_http_connect(ENDPOINT, 5, 5)),  # type: ignore[arg-type]
    ("port", lambda: proxy.via_socks5(ENDPOINT, "h", "5")),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("name", "make"), [*SMALL, *FRAMINGS, *PLACES])
def test_so_do_its_parts(name: str, make: Callable[[], Any]) -> None:
    with pytest.raises(ArgumentError, match=f"^{name} takes .*, not ") as caught:
        make()
    assert "\n" not in str(caught.value)


def test_a_framing_of_ones_own_is_checked_by_the_types_of_its_fields() -> None:
    with pytest.raises(ArgumentError, match=r"^Own: marked takes True or False, not 'yes'"):
        Own(5, marked="yes")  # type: ignore[arg-type]
    assert Own("anything at all", marked=True).marked


@frozen
class Own(Framing):
    """What its first field takes is its own business."""

    size: Any
    marked: bool = False

    max_frame = 5

    def decoder(self) -> Decoder:
        raise NotImplementedError

    def encode(self, frames: Any) -> list[bytes]:
        raise NotImplementedError


def test_what_has_to_be_awaited_is_known_in_every_form() -> None:
    assert all(map(is_async, (later, one_by_one, Later(), partial(later, 5))))
    assert not any(map(is_async, (len, Later, lambda: 5, 5)))


def test_what_it_got_is_shown_on_one_line_and_not_at_length() -> None:
    class Long:
        def __repr__(self) -> str:
            return "long\n" * 100

    error = ArgumentError("name", Long(), "a text")
    assert str(error).startswith("name takes a text, not long long ")
    assert len(str(error)) < 110


# -- the service and the start --------------------------------------------------------------


def link() -> Any:
    return ReconnectingFactory.forProtocol(Lines, clock=REACTOR)


SERVICES: list[tuple[str, Callable[[], Any]]] = [
    (
        "^factory takes a ReconnectingFactory, and the endpoint comes before it, not <",
        lambda: LinkService(link(), ENDPOINT),  # type: ignore[arg-type]
    ),
    (
        r"^factory takes a ReconnectingFactory \(Twisted's ClientService is for others\), not <",
        lambda: LinkService(ENDPOINT, ClientFactory()),  # type: ignore[arg-type]
    ),
    (
        "^factory takes a ReconnectingFactory, not <class",
        lambda: LinkService(ENDPOINT, Lines),  # type: ignore[arg-type]
    ),
    (
        r"of a text from_string\(reactor, \.\.\.\) does, not 'tcp:feed:5000'",
        lambda: LinkService("tcp:feed:5000", link()),
    ),
    ("^endpoint takes an IStreamClientEndpoint", lambda: LinkService(FakeEndpoint, link())),
    ("^clock takes", lambda: LinkService(ENDPOINT, link(), 5)),  # type: ignore[arg-type]
    ("^spread takes", lambda: LinkService(ENDPOINT, link(), spread=-1)),
    ("^random takes", lambda: LinkService(ENDPOINT, link(), random=later)),  # type: ignore[arg-type]
    ("^endpoint takes an IStreamClientEndpoint", lambda: link().start("tcp:feed:5000")),
    ("^clock takes", lambda: link().start(ENDPOINT, "reactor")),
]


@pytest.mark.parametrize(("says", "make"), SERVICES)
def test_a_service_refuses_what_it_could_not_start(says: str, make: Callable[[], Any]) -> None:
    with pytest.raises(ArgumentError, match=says):
        make()


def test_a_factory_has_one_service() -> None:
    """The second would start nothing, and stop what the first keeps up."""
    shared = link()
    first = LinkService(ENDPOINT, shared)
    with pytest.raises(LocalError, match="has a LinkService already: one factory is one link"):
        LinkService(ENDPOINT, shared)
    assert first.factory is shared
    del first
    assert LinkService(ENDPOINT, shared).factory is shared  # nobody has the first any more
