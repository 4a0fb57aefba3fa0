"""Which acknowledged frames a connection has settled: by living on, or by what the peer says."""

from __future__ import annotations

import pytest

from nbclient.delivery.unsettled import GRAINS, Unsettled, looks_like_refusal

SILENT = (0, 0)  # frames and bytes of the peer


def acknowledged(count: int, now: float = 0.0, after: float = 1.0) -> Unsettled:
    frames = Unsettled(after)
    frames.wrote(count, *SILENT)
    frames.acknowledge(count, now)
    return frames


def test_a_frame_is_settled_once_its_connection_has_outlived_the_acknowledgement() -> None:
    frames = acknowledged(3)
    assert frames.settle(0.9, *SILENT) == 0
    assert frames.acknowledged == 3
    assert frames.due() == 1.0
    assert frames.settle(1.0, *SILENT) == 3
    assert frames.acknowledged == 0


def test_what_was_acknowledged_later_is_settled_later() -> None:
    frames = Unsettled(1.0)
    frames.wrote(5, *SILENT)
    frames.acknowledge(2, 0.0)
    frames.acknowledge(3, 0.5)
    assert frames.settle(1.0, *SILENT) == 2
    assert frames.settle(1.4, *SILENT) == 0
    assert frames.settle(1.5, *SILENT) == 3


def test_acknowledgements_in_a_row_are_one_note_and_none_is_settled_early() -> None:
    """However many come in a second, what is kept of them is bounded."""
    frames = Unsettled(1.0)
    step = 1 / GRAINS / 4
    frames.wrote(100, *SILENT)
    for number in range(100):
        frames.acknowledge(1, number * step)
    assert len(frames._acks) <= 100 / 4 + 1
    assert frames.settle(1.0, *SILENT) == 0  # the first of a group waits for its last
    assert frames.settle(1.0 + 3 * step, *SILENT) == 4


def test_what_the_peer_says_afterwards_settles_what_was_written_before() -> None:
    frames = Unsettled(1.0)
    frames.wrote(2, *SILENT)
    frames.wrote(3, 1, 10)
    frames.acknowledge(5, 0.0)
    assert frames.settle(0.0, 2, 10) == 2
    assert frames.settle(0.0, 2, 10) == 0
    assert frames.settle(0.0, 5, 20) == 3


def test_each_frame_of_the_peer_settles_one() -> None:
    """One that answers the first of many and closes has taken no more, as far as is known."""
    frames = acknowledged(5)
    assert frames.settle(0.0, 1, 10) == 1
    assert frames.settle(0.0, 1, 20) == 0
    assert frames.settle(0.0, 3, 30) == 2
    assert frames.settle(1.0, 3, 30) == 2


def test_a_greeting_that_came_before_proves_nothing() -> None:
    frames = Unsettled(1.0)
    frames.wrote(1, 1, 10)
    frames.acknowledge(1, 0.0)
    assert frames.settle(0.0, 1, 10) == 0


def test_nor_does_a_frame_whose_bytes_came_before_or_one_that_is_not_whole() -> None:
    frames = Unsettled(1.0)
    frames.wrote(1, 1, 10)
    frames.acknowledge(1, 0.0)
    assert frames.settle(0.0, 2, 10) == 0  # had arrived, and was decoded later
    assert frames.settle(0.0, 1, 15) == 0


def test_nothing_is_settled_that_is_not_acknowledged() -> None:
    frames = Unsettled(1.0)
    frames.wrote(5, *SILENT)
    assert frames.settle(9.0, 5, 10) == 0
    frames.acknowledge(2, 9.0)
    assert frames.settle(9.0, 5, 10) == 2


def test_writes_between_which_nothing_was_heard_are_one_note() -> None:
    frames = Unsettled(1.0)
    for _ in range(100):
        frames.wrote(1, *SILENT)
    assert len(frames._written) == 1


def test_on_a_proven_connection_nothing_need_be_held() -> None:
    frames = acknowledged(1)
    assert frames.settle(0.5, *SILENT, crowded=True) == 0
    frames.wrote(2, *SILENT)
    frames.acknowledge(2, 1.0)
    assert frames.settle(1.0, *SILENT, crowded=True) == 3


def test_what_the_peer_said_proves_the_connection_too() -> None:
    frames = acknowledged(1)
    assert frames.settle(0.1, 1, 10) == 1
    frames.wrote(2, 1, 10)
    frames.acknowledge(2, 0.2)
    assert frames.settle(0.2, 1, 10, crowded=True) == 0  # whether it goes on is not known
    assert frames.settle(0.2, 1, 10, ours=True) == 2


def test_what_is_counted_anew_has_proven_nothing() -> None:
    frames = acknowledged(1)
    frames.restart(0.9)
    assert frames.settle(1.8, *SILENT) == 0
    assert not frames.proven(1.8)
    assert frames.settle(1.9, *SILENT) == 1
    frames.restart(2.0)
    assert not frames.proven(9.0)


def test_once_the_peer_has_refused_nothing_is_settled_any_more() -> None:
    frames = acknowledged(1)
    frames.refused = True
    assert frames.settle(9.0, 1, 10, ours=True) == 0
    assert not frames.proven(9.0)


@pytest.mark.parametrize(
    "line",
    [
        b"-ERR max number of clients reached",
        b"ERR too many users",
        b"421 4.3.2 Service not available, closing channel",
        b"554 no SMTP service here",
        b"ERROR :Closing Link: (Too many connections from your host)",
        b"Host '10.0.0.1' is blocked; connection refused",
        b"Sorry, the server is BUSY, try again later",
        b"\x1b[1mACCESS DENIED",
        b"HTTP/1.0 503 Service Unavailable",
        b"HTTP/1.1 400 Bad Request",
        b"-NOAUTH Authentication required.",
        b"-LOADING Redis is loading the dataset in memory",
        b"-MISCONF Redis is configured to save RDB snapshots",
        b"-READONLY You can't write against a read only replica.",
        b"NAK",
        b"\x15",
        b"Server overloaded",
        b"no more connections",
        b"Down for maintenance",
        b"Login failed for user 'sa'",
        b"capacity exceeded",
        b"Timeout",
        b"go away",
        b"Goodbye",
        b"",
        b"\r",
    ],
)
def test_words_of_refusal(line: bytes) -> None:
    assert looks_like_refusal(line)


@pytest.mark.parametrize(
    "line",
    [
        b"OK",
        b"+PONG",
        b"HTTP/1.1 200 OK",
        b"220 ready",
        b"MSA|AA|1",
        b"$GPGGA,4",
        b"x" * 300 + b" error",
    ],
)
def test_words_of_none(line: bytes) -> None:
    assert not looks_like_refusal(line)
