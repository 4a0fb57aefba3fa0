"""The errors: who can mend what, one line each, figures as attributes."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from importlib import import_module
from pkgutil import walk_packages
from typing import Any

import pytest

import nbclient
from nbclient import errors
from nbclient.errors import (
    ArgumentError,
    BadFrame,
    CallbackFailed,
    ConnectionClosed,
    ConnectTimeout,
    DeadPath,
    DeliveryNotNow,
    DeliveryUnavailable,
    FrameError,
    FrameRejected,
    FrameTimeout,
    FrameTooLong,
    GaveUp,
    LinkDown,
    LinkError,
    LinkStopped,
    LocalError,
    NBClientError,
    OpeningFailed,
    OutboxFull,
    PatternTimeout,
    PeerError,
    Rejected,
    ReplyTimeout,
    RequestsFull,
    RequestTimeout,
    SilenceTimeout,
    SpecError,
    TurnedAway,
    Unsupported,
)

WHO_CAN_MEND_IT: dict[type[NBClientError], set[type[NBClientError]]] = {
    LocalError: {
        ArgumentError,
        SpecError,
        Unsupported,
        FrameError,
        OutboxFull,
        RequestsFull,
        DeliveryNotNow,
        DeliveryUnavailable,
    },
    PeerError: {
        FrameTooLong,
        BadFrame,
        FrameTimeout,
        SilenceTimeout,
        RequestTimeout,
        ReplyTimeout,
        PatternTimeout,
        FrameRejected,
        OpeningFailed,
        TurnedAway,
    },
    LinkError: {
        ConnectTimeout,
        CallbackFailed,
        ConnectionClosed,
        DeadPath,
        LinkDown,
        LinkStopped,
        GaveUp,
        Rejected,
    },
}

ONE_OF_EACH = [
    (FrameTooLong(100, 250), "the frame has reached 250 bytes, more than the limit of 100"),
    (FrameTooLong(100, 250, True), "the frame declares 250 bytes, more than the limit of 100"),
    (BadFrame("a digit", b"x\n"), "a digit, but the peer sent b'x\\n'"),
    (FrameTimeout(2.5), "the frame begun was not finished within 2.5 s"),
    (SilenceTimeout(60.0), "the peer sent nothing for 60 s"),
    (ConnectTimeout(10.0), "not connected within 10 s (name, connect and TLS together)"),
    (GaveUp(1, "connection refused"), "gave up after 1 attempt: connection refused"),
    (GaveUp(3, "connection refused"), "gave up after 3 attempts: connection refused"),
    (DeadPath(60.0), "the path is dead: the peer's host answered nothing for 60 s"),
    (DeliveryUnavailable("no Linux"), "delivery level tcp is not to be had: no Linux"),
    (OutboxFull(64, 100), "100 bytes do not fit: the bound is 64 bytes"),
    (RequestTimeout(30.0), "the peer did not answer a request within 30 s"),
    (ReplyTimeout(30.0), "the peer did not answer a frame within 30 s"),
    (
        ReplyTimeout(30.0, b"\x0bMSA|AA|1\r\n" + b"x" * 40),
        "the peer did not answer a frame within 30 s: what it sent last is a frame without its"
        f" end, \\x0bMSA|AA|1\\r\\n{'x' * 29}",
    ),
    (
        PatternTimeout(0.1, b"(a+)+$"),
        "the pattern b'(a+)+$' took more than 0.1 s on a frame of the peer",
    ),
    (
        PatternTimeout(0.25, b"(a+)+$", True),
        "patterns took more than 0.25 s of a second on frames of the peer, the last of them was"
        " b'(a+)+$'",
    ),
    (FrameRejected(b"x" * 100), f"the peer rejected a frame: b'{'x' * 80}'"),
    (Rejected(FrameRejected(b"NAK")), "the peer rejected a frame: b'NAK'"),
    (ArgumentError("backoff", 5, "a Backoff"), "backoff takes a Backoff, not 5"),
    (
        TurnedAway(b"-ERR max\n\x1b" + b"x" * 80),
        f"the peer turned us away: -ERR max\\n\\e{'x' * 70}",
    ),
    (RequestsFull(64), "requests that wait to be sent are bounded at 64 bytes"),
]


def test_every_error_says_whose_it_is_by_exactly_one_base() -> None:
    defined = {
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, NBClientError)
    }
    listed = {kind for kinds in WHO_CAN_MEND_IT.values() for kind in kinds}
    assert defined == {NBClientError, *WHO_CAN_MEND_IT, *listed}
    for base, kinds in WHO_CAN_MEND_IT.items():
        for kind in kinds:
            assert [each for each in WHO_CAN_MEND_IT if issubclass(kind, each)] == [base]


def test_all_of_them_can_be_caught_at_once_but_no_stranger_with_them() -> None:
    assert all(issubclass(base, NBClientError) for base in WHO_CAN_MEND_IT)
    assert NBClientError.__bases__ == (Exception,)


@pytest.mark.parametrize("kind", [ArgumentError, SpecError, FrameError])
def test_what_is_wrong_with_a_value_is_a_value_error_too(kind: type[Exception]) -> None:
    assert issubclass(kind, ValueError)


@pytest.mark.parametrize(("error", "words"), ONE_OF_EACH, ids=lambda value: str(value)[:40])
def test_the_message_is_one_line_that_names_what_was_wrong(
    error: NBClientError, words: str
) -> None:
    assert str(error) == words


def test_the_figures_are_attributes_so_that_nobody_parses_the_text() -> None:
    long = FrameTooLong(100, 250)
    assert (long.limit, long.size) == (100, 250)
    full = OutboxFull(64, 100)
    assert (full.limit, full.size) == (64, 100)
    assert FrameTimeout(2.5).seconds == 2.5
    assert SilenceTimeout(60).seconds == 60
    assert ConnectTimeout(10).seconds == 10
    assert GaveUp(3, "why").attempts == 3


def test_a_bad_frame_shows_what_came_instead_but_no_more_than_fits_a_line() -> None:
    bad = BadFrame("a digit", b"\x1b[2J" * 1000)
    assert bad.what == "a digit"
    assert bad.found == b"\x1b[2J" * 10
    # The bytes of a peer never reach a terminal as they are.
    assert "\x1b" not in str(bad)
    assert len(str(bad)) < 120


# -- copied and pickled -----------------------------------------------------------------

# What the constructors take that do not take a text.
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "ArgumentError": ("backoff", 5, "a Backoff"),
    "FrameTooLong": (100, 250),
    "BadFrame": ("a digit", b"x\n"),
    "FrameTimeout": (2.5,),
    "SilenceTimeout": (60.0,),
    "RequestTimeout": (30.0, b"tail"),
    "DeadPath": (60.0,),
    "FrameRejected": (b"NAK",),
    "ReplyTimeout": (30.0,),
    "PatternTimeout": (0.1, b"(a+)+$"),
    "ConnectTimeout": (10.0,),
    "GaveUp": (3, "connection refused"),
    "Rejected": (FrameRejected(b"NAK"),),
    "DeliveryNotNow": ("no descriptor",),
    "DeliveryUnavailable": ("no Linux",),
    "OutboxFull": (64, 100),
    "RequestsFull": (64,),
    "TurnedAway": (b"-ERR max number of clients reached",),
    "ProxySilent": (10.0, "socks5://127.0.0.1:1080"),
    "CertificateRefused": ("expired", "it is too old", "sha256:00"),
    "SpoolOfAnotherPeer": ("/var/spool/feed", 3, "a:1", "b:1"),
    "_HandshakeCut": (),
}


def every_kind() -> Iterator[type[NBClientError]]:
    """The errors of all modules, those of the library's inner workings included."""
    for found in walk_packages(nbclient.__path__, "nbclient."):
        if not found.name.endswith("__main__"):
            for kind in vars(import_module(found.name)).values():
                if (
                    isinstance(kind, type)
                    and issubclass(kind, NBClientError)
                    and kind.__module__ == found.name
                ):
                    yield kind


def twins(error: NBClientError) -> list[NBClientError]:
    """Each way of making a second one."""
    pickled = [
        pickle.loads(pickle.dumps(error, protocol))  # noqa: S301 (our own)
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    ]
    return [copy.copy(error), copy.deepcopy(error), *pickled]


@pytest.mark.parametrize("kind", list(every_kind()), ids=lambda kind: kind.__qualname__)
def test_a_copy_says_and_holds_the_same(kind: type[NBClientError]) -> None:
    make: Callable[..., NBClientError] = kind
    error = make(*ARGUMENTS.get(kind.__name__, ("so it is", 5)))
    for twin in twins(error):
        assert type(twin) is kind
        assert twin is not error
        assert (str(twin), twin.args) == (str(error), error.args)
        assert {name: str(value) for name, value in vars(twin).items()} == {
            name: str(value) for name, value in vars(error).items()
        }


def test_a_copy_keeps_what_a_user_added_and_a_users_own_kind() -> None:
    error = Own(7)
    error.add_note("seen at night")
    for twin in twins(error):
        assert isinstance(twin, Own)
        assert (str(twin), twin.number, twin.__notes__) == ("number 7", 7, ["seen at night"])


class Own(LinkError):
    """A user's own, whose constructor takes something else than the text."""

    def __init__(self, number: int) -> None:
        super().__init__(f"number {number}")
        self.number = number
