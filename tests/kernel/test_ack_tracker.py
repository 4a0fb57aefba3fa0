"""Level `tcp` on one connection; on real ones in tests/wire/test_delivery_wire.py."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from nbclient.errors import DeliveryNotNow, DeliveryUnavailable
from nbclient.kernel import ack_tracker
from nbclient.kernel.ack_tracker import Acknowledging
from nbclient.kernel.tcpinfo import Support


def test_a_kernel_that_does_not_tell_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ack_tracker, "supported", lambda: Support("this is no Linux"))
    with pytest.raises(DeliveryUnavailable, match="level tcp is not to be had: this is no Linux"):
        Acknowledging(None, False)


def test_what_is_short_may_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """And says nothing of what is no TCP anyway."""
    monkeypatch.setattr(ack_tracker, "supported", lambda: Support("too many files", True))
    with pytest.raises(DeliveryUnavailable, match="not TCP"):
        Acknowledging(object(), False)

    class Bottom:
        def getHandle(self) -> socket.socket:
            return sock

    with socket.socket() as sock, pytest.raises(DeliveryNotNow, match="too many files"):
        Acknowledging(Bottom(), False)


def test_a_transport_without_a_socket_is_no_tcp() -> None:
    with pytest.raises(DeliveryUnavailable, match="not TCP"):
        Acknowledging(object(), False)


class Stranger:
    """A layer of somebody else, which may compress, or put a header in front."""

    wrappedProtocol = None

    def __init__(self, transport: Any) -> None:
        self.transport = transport


class Known(Stranger):
    __module__ = "twisted.protocols.policies"


def test_a_layer_that_may_write_something_else_is_not_trusted() -> None:
    """Its bytes would pass for frames, delivered before they are."""
    for transport in (Stranger(object()), Known(Stranger(Known(object())))):
        with pytest.raises(DeliveryUnavailable, match="Stranger is in between, and may change"):
            Acknowledging(transport, False)


def test_a_layer_that_is_known_to_be_harmless_is_looked_through() -> None:
    with pytest.raises(DeliveryUnavailable, match="not TCP"):
        Acknowledging(Known(Known(object())), False)


def test_tls_that_cannot_be_reached_is_none_of_ours() -> None:
    with pytest.raises(DeliveryUnavailable, match="TLS was not made by nbclient"):
        Acknowledging(Stranger(object()), True)


def test_tls_started_later_is_noticed_and_nothing_counts_any_more() -> None:
    """The kernel counts what was encrypted, which is more: frames would count too early."""

    class Started:
        TLS = False

        def getHandle(self) -> socket.socket:
            return sock

    with socket.create_server(("127.0.0.1", 0)) as door:
        with socket.create_connection(door.getsockname()) as sock:
            transport = Started()
            acks = Acknowledging(transport, False)
            acks.ledger.wrote_frames(1, 5, lambda: [5])
            sock.sendall(b"hello")
            transport.TLS = True
            assert acks.overtaken
            assert acks.newly() == 0


def test_a_connection_that_is_gone_already_cannot_be_asked() -> None:
    class Lost:
        def getHandle(self) -> socket.socket:
            with socket.socket() as sock:
                return sock

    with pytest.raises(DeliveryUnavailable, match="the kernel cannot be asked"):
        Acknowledging(Lost(), False)
