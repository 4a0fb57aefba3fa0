"""The dead-path rule on one connection; on dying paths in tests/wire/test_dead_link.py."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest
from attrs import evolve

from nbclient.kernel import dead_path
from nbclient.kernel.dead_path import PathWatch
from nbclient.kernel.tcpinfo import CLOSE, Support, read


class Raw:
    """A transport around a socket."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    def getHandle(self) -> socket.socket:
        return self.sock


@pytest.fixture
def pair() -> Iterator[tuple[Raw, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as door:
        ours = socket.create_connection(door.getsockname())
        theirs, _ = door.accept()
        yield Raw(ours), theirs
        ours.close()
        theirs.close()


def test_keepalive_is_set_and_a_quiet_connection_needs_no_look(
    pair: tuple[Raw, socket.socket],
) -> None:
    raw, _ = pair
    path = PathWatch(raw, 10)
    assert raw.sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert path.interval == 0.5
    assert path.look(1.0) is None
    assert not path.died()
    path.close()
    path.close()
    assert path.look(2.0) is None
    assert not path.died()


def test_data_outstanding_is_looked_after(pair: tuple[Raw, socket.socket]) -> None:
    raw, _ = pair
    path = PathWatch(raw, 10)
    raw.sock.setblocking(False)
    with suppress(BlockingIOError):
        while raw.sock.send(b"x" * 65536):
            pass
    for now in (1.0, 1.5):  # what the first look saw is kept for the next
        assert path.look(now) is False
    path.close()


def test_what_is_no_tcp_is_left_alone() -> None:
    assert PathWatch(None, 10).interval is None
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert PathWatch(Raw(ours), 10).interval is None


def test_where_the_kernel_cannot_be_asked_keepalive_has_to_do(
    pair: tuple[Raw, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_path, "supported", lambda: Support("no"))
    raw, _ = pair
    assert PathWatch(raw, 10).interval is None
    assert raw.sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1


def test_what_was_only_short_then_does_not_leave_it_to_keepalive(
    pair: tuple[Raw, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_path, "supported", lambda: Support("no descriptor", True))
    raw, _ = pair
    assert PathWatch(raw, 10).interval is not None


@pytest.mark.parametrize(("silent", "dead"), [(9000, True), (900, False)])
def test_a_reset_by_a_peer_that_was_probed_and_answered_is_no_dead_path(
    silent: int, dead: bool, pair: tuple[Raw, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    raw, _ = pair
    path = PathWatch(raw, 10)
    info = evolve(read(raw.sock), state=CLOSE, probes=1, last_ack_recv=silent)
    monkeypatch.setattr(dead_path, "read", lambda _: info)
    assert path.died() is dead


def test_looks_that_are_far_apart_count_from_anew(
    pair: tuple[Raw, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of the machine stood still: the last acknowledgement is old, and so is the question."""
    raw, _ = pair
    asked = evolve(read(raw.sock), probes=1, last_ack_recv=1000)
    silent = evolve(asked, last_ack_recv=500_000)
    looks = iter([asked, silent, silent])
    monkeypatch.setattr(dead_path, "read", lambda _: next(looks))
    monkeypatch.setattr(dead_path, "outq", lambda _: 1)
    path = PathWatch(raw, 10)
    assert [path.look(now) for now in (0, 500, 501)] == [False, False, False]
