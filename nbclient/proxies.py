"""A door: SOCKS5 and HTTP CONNECT, from `nbclient.endpoints.proxy`."""

from nbclient.endpoints.proxy import (
    SHOWN,
    Credentials,
    Login,
    ProxyFailed,
    read_credentials,
    via_http_connect,
    via_socks5,
)

__all__ = [
    "SHOWN",
    "Credentials",
    "Login",
    "ProxyFailed",
    "read_credentials",
    "via_http_connect",
    "via_socks5",
]
