"""What an attempt lacks, on Twisted's own client transports; sockets, and no reactor.

With a reactor, and on every way of dialling: tests/wire/test_connecting_wire.py.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet import error
from twisted.internet.protocol import ClientFactory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.internet.tcp import Connector
from twisted.python.failure import Failure

from nbclient.connection import connecting
from nbclient.connection.connecting import ConnectedToItself, is_itself, refine
from nbclient.testing import FakeReactor


class Reactor(Clock):
    """Watches no socket; the test does what a reactor would."""

    def addReader(self, _: object) -> None:
        pass

    addWriter = removeReader = removeWriter = addReader


class Maker(ClientFactory):
    """Remembers how its attempt ended."""

    noisy = False
    protocol = Protocol

    def __init__(self) -> None:
        self.failures: list[Any] = []
        self.built = 0

    def buildProtocol(self, address: object) -> Any:
        self.built += 1
        return Protocol()

    def clientConnectionFailed(self, connector: object, reason: Failure) -> None:
        self.failures.append(reason.value)


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def connector(port: int, bind: Any = None) -> Any:
    """An attempt that has just begun."""
    made: Any = Connector("127.0.0.1", port, Maker(), 5, bind, Reactor())  # type: ignore[no-untyped-call]
    made.connect()
    return made


def test_a_deadline_after_a_standstill_is_judged_by_what_the_kernel_has_done(
    listening: socket.socket,
) -> None:
    made = connector(listening.getsockname()[1])
    refine(made)
    made.reactor.advance(0)  # connect(2): loopback, it is done at once
    transport = made.transport
    made.reactor.rightNow += 60
    made.reactor.callLater(0, transport.doConnect)  # the reactor finds it writable
    made.reactor.advance(0)
    assert made.factory.failures == []
    assert made.factory.built == 1
    assert made.reactor.getDelayedCalls() == []
    transport.connectionLost(connectionDone)


def test_a_deadline_is_one_all_the_same() -> None:
    made = connector(9)
    refine(made)
    made.transport.doConnect = lambda: None  # nobody answers
    made.reactor.advance(5)
    (failure,) = made.factory.failures
    assert type(failure) is error.TimeoutError


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.EHOSTUNREACH, error.ConnectError),
        (errno.ENETUNREACH, error.NoRouteError),
        (errno.ECONNREFUSED, error.ConnectionRefusedError),
    ],
)
def test_the_kernels_reason_counts_not_the_reactors(
    number: int, kind: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = connector(9)
    refine(made)
    made.transport.socket.close()

    class Rejected:
        def getsockopt(self, level: int, option: int) -> int:
            assert (level, option) == (socket.SOL_SOCKET, socket.SO_ERROR)
            return number

        def shutdown(self, _: int) -> None:
            pass

        def close(self) -> None:
            pass

    made.transport.socket = Rejected()
    made.transport.connectionLost(Failure(error.ConnectionDone()))
    (failure,) = made.factory.failures
    assert type(failure) is kind
    assert failure.osError == number


def test_where_the_kernel_knows_none_it_is_no_failure_within_a_failure() -> None:
    made = connector(9)
    refine(made)
    made.transport.connectionLost(Failure(error.ConnectionDone()))
    (failure,) = made.factory.failures
    assert "Failure instance" not in str(failure)


def test_an_address_that_cannot_be_bound_is_told_as_that() -> None:
    made = connector(9)
    refine(made, ("192.0.2.1", 7))
    (failure,) = made.factory.failures
    assert type(failure) is error.ConnectBindError
    assert failure.osError == errno.EADDRNOTAVAIL


def test_an_attempt_that_has_failed_already_is_left_alone() -> None:
    """The reactor could not bind, and tells it later."""
    made = connector(9)
    transport = made.transport
    transport.failIfNotConnected(error.ConnectBindError())
    made.transport = transport
    refine(made, ("192.0.2.1", 7))
    assert len(made.factory.failures) == 1


def test_so_is_what_has_no_socket() -> None:
    fake = FakeReactor().connectTCP("192.0.2.1", 7, Maker())
    refine(fake)
    assert not is_itself(None)
    assert not is_itself(fake)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        held: Any = type("Held", (), {"socket": ours})
        assert not is_itself(held)


def test_a_socket_that_is_not_connected_any_more_is_not_itself() -> None:
    with socket.socket() as sock:
        held: Any = type("Held", (), {"socket": sock})
        assert not is_itself(held)


def test_it_is_refined_once() -> None:
    made = connector(9)
    refine(made)
    kind = type(made.transport)
    refine(made)
    assert type(made.transport) is kind
    assert connecting._refined(kind) is kind
    made.stopConnecting()


def test_what_is_refused_so_is_a_refusal_in_words_of_its_own() -> None:
    refused = ConnectedToItself()
    assert isinstance(refused, error.ConnectionRefusedError)
    assert str(refused) == "connected to itself: nothing listens there"
