"""Where to connect: a host and port, a UNIX socket, TLS around either.

Each function returns a Twisted `IStreamClientEndpoint`; nothing here decides
when or how often to connect. The names load on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbclient.endpoints.tcp_endpoint import AT_ONCE as AT_ONCE
    from nbclient.endpoints.tcp_endpoint import CONNECT_TIMEOUT as CONNECT_TIMEOUT
    from nbclient.endpoints.tcp_endpoint import LONGEST_SOCKET as LONGEST_SOCKET
    from nbclient.endpoints.tcp_endpoint import BindFailed as BindFailed
    from nbclient.endpoints.tcp_endpoint import from_string as from_string
    from nbclient.endpoints.tcp_endpoint import parse_host_port as parse_host_port
    from nbclient.endpoints.tcp_endpoint import parse_port as parse_port
    from nbclient.endpoints.tcp_endpoint import tcp as tcp
    from nbclient.endpoints.tcp_endpoint import unix as unix
    from nbclient.endpoints.tls_endpoint import CertificateRefused as CertificateRefused
    from nbclient.endpoints.tls_endpoint import TLSSettings as TLSSettings
    from nbclient.endpoints.tls_endpoint import context_factory as context_factory
    from nbclient.endpoints.tls_endpoint import explain_tls as explain_tls
    from nbclient.endpoints.tls_endpoint import tls as tls

_HOMES = {
    "AT_ONCE": "nbclient.endpoints.tcp_endpoint",
    "BindFailed": "nbclient.endpoints.tcp_endpoint",
    "CONNECT_TIMEOUT": "nbclient.endpoints.tcp_endpoint",
    "CertificateRefused": "nbclient.endpoints.tls_endpoint",
    "LONGEST_SOCKET": "nbclient.endpoints.tcp_endpoint",
    "TLSSettings": "nbclient.endpoints.tls_endpoint",
    "context_factory": "nbclient.endpoints.tls_endpoint",
    "explain_tls": "nbclient.endpoints.tls_endpoint",
    "from_string": "nbclient.endpoints.tcp_endpoint",
    "parse_host_port": "nbclient.endpoints.tcp_endpoint",
    "parse_port": "nbclient.endpoints.tcp_endpoint",
    "tcp": "nbclient.endpoints.tcp_endpoint",
    "tls": "nbclient.endpoints.tls_endpoint",
    "unix": "nbclient.endpoints.tcp_endpoint",
}

__all__ = [*_HOMES]


def __getattr__(name: str) -> object:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
