"""What --check says."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import ISSLTransport
from zope.interface import directlyProvides

from nbclient.daemon.links.check_report import report


def connection(peer: Any, **more: Any) -> Any:
    transport = SimpleNamespace(getPeer=lambda: peer, **more)
    return SimpleNamespace(transport=transport)


def test_it_says_where_and_how_long() -> None:
    assert report(connection(IPv4Address("TCP", "192.0.2.1", 5000)), 0.25) == [
        "connected: 192.0.2.1:5000",
        "ready: after 0.250 s",
    ]
    assert report(connection(IPv6Address("TCP", "::1", 5)), 0)[0] == "connected: [::1]:5"
    assert report(connection(UNIXAddress("/run/s")), 0)[0] == "connected: /run/s"
    assert report(connection(UNIXAddress(None)), 0)[0] == "connected: UNIX socket"


def test_it_says_how_it_is_secured_and_until_when() -> None:
    handle = SimpleNamespace(
        get_protocol_version_name=lambda: "TLSv1.3",
        get_cipher_name=lambda: "TLS_AES_256_GCM_SHA384",
    )
    inner = SimpleNamespace(
        subject=SimpleNamespace(rfc4514_string=lambda: "CN=feed.example"),
        not_valid_after_utc=datetime(2027, 1, 2, 3, 4, 5, tzinfo=UTC),
    )
    certificate = SimpleNamespace(to_cryptography=lambda: inner)
    made = connection(
        IPv4Address("TCP", "192.0.2.1", 5000),
        getHandle=lambda: handle,
        getPeerCertificate=lambda: certificate,
    )
    directlyProvides(made.transport, ISSLTransport)
    assert report(made, 1)[1:3] == [
        "security: TLSv1.3, TLS_AES_256_GCM_SHA384",
        "certificate: CN=feed.example, valid until 2027-01-02 03:04:05 UTC",
    ]
    # Else somebody would take the way to a proxy for the way to the peer.
    assert report(made, 1, "the proxy")[1].startswith("security to the proxy: TLSv1.3")
    inner.subject = SimpleNamespace(rfc4514_string=lambda: "")
    assert "no subject" in report(made, 1)[2]


def test_a_certificate_or_a_name_cannot_write_lines_of_its_own() -> None:
    (line, _) = report(connection(UNIXAddress("/s\x1b[2J\nready: after 0 s\t")), 1)
    assert line == "connected: /s\\e[2J\\nready: after 0 s\\t"
