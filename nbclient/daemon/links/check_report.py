"""What --check says about a connection that is ready."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import ISSLTransport

from nbclient.core.terminal import visible


def report(connection: Any, seconds: float, to: str = "") -> list[str]:
    """Lines for a person: where it is connected, how it is secured, how long it took.

    :param connection: a `FrameProtocol` that is ready.
    :param seconds: from the start to now.
    :param to: whom TLS reaches, where that is not the peer.
    """
    transport = connection.transport
    lines = [f"connected: {_address(transport.getPeer())}"]
    if ISSLTransport.providedBy(transport):
        lines += _security(transport, f" to {to}" if to else "")
    # A certificate's subject, or a socket's name, may hold anything.
    return [*map(_on_one_line, lines), f"ready: after {seconds:.3f} s"]


def _on_one_line(text: str) -> str:
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")


def _address(peer: Any) -> str:
    if hasattr(peer, "port"):
        host = f"[{peer.host}]" if ":" in peer.host else peer.host
        return f"{host}:{peer.port}"
    name = getattr(peer, "name", None)
    return name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else "UNIX socket"


def _security(transport: Any, to: str) -> list[str]:
    handle = transport.getHandle()
    certificate = transport.getPeerCertificate().to_cryptography()
    expires = certificate.not_valid_after_utc
    return [
        f"security{to}: {handle.get_protocol_version_name()}, {handle.get_cipher_name()}",
        f"certificate: {certificate.subject.rfc4514_string() or 'no subject'},"
        f" valid until {expires:%Y-%m-%d %H:%M:%S} UTC",
    ]
