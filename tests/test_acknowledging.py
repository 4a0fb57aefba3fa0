"""Level `tcp` on one connection; on real ones in tests/wire/test_delivery_wire.py."""

from __future__ import annotations

import pytest

from nbclient import acknowledging
from nbclient.acknowledging import Acknowledging
from nbclient.errors import DeliveryUnavailable
from nbclient.tcpinfo import Support


def test_a_kernel_that_does_not_tell_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acknowledging, "supported", lambda: Support("this is no Linux"))
    with pytest.raises(DeliveryUnavailable, match="level tcp is not to be had: this is no Linux"):
        Acknowledging(None, False)


def test_a_transport_without_a_socket_is_no_tcp() -> None:
    with pytest.raises(DeliveryUnavailable, match="not TCP"):
        Acknowledging(object(), False)
