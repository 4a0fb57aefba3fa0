"""What --proxy takes, and what it does not go together with."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from attrs import frozen

from nbclient.daemon.config import iospec, values
from nbclient.daemon.config.values import shown
from nbclient.errors import ConnectTimeout, SpecError

if TYPE_CHECKING:
    from nbclient.daemon.cli.options import Settings

KINDS = {"socks5": "socks5", "socks5h": "socks5", "http": "http", "https": "https"}
"""What a proxy's URL may begin with, and what is spoken then."""

FORMS = "socks5://HOST:PORT, http://HOST:PORT or https://HOST:PORT"


@frozen
class Proxy:
    """A proxy to go through.

    :ivar kind: ``socks5``, ``http``, or ``https``: as http, under TLS.
    """

    kind: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.kind}://{host}:{self.port}"


class ProxySilent(ConnectTimeout):
    """The proxy did not connect us in time: it is silent, or waits for the peer."""

    def __init__(self, seconds: float, proxy: Proxy) -> None:
        super().__init__(seconds)
        self.args = (
            f"the proxy {proxy} has not connected us within {seconds:g} s"
            " (it does not answer, or the peer does not)",
        )


def parse(value: str) -> Proxy:
    """``socks5://HOST:PORT`` and so on, see `FORMS`; ``socks5h`` is the same as ``socks5``.

    :raises SpecError: anything else. A login is not repeated: it may be a real one.
    """
    scheme, separator, rest = values.text(value).partition("://")
    if "@" in value:
        raise SpecError(
            "no login belongs here, every user of this machine can see it; put user:password into"
            " a file, and name that with --proxy-auth"
        )
    if not separator:
        raise SpecError(f"{shown(value)!r} is not {FORMS}")
    kind = KINDS.get(scheme.lower())
    if kind is None:
        raise SpecError(f"{shown(scheme + separator)!r} is not spoken, only {FORMS}")
    rest = rest.removesuffix("/")
    if not re.search(r":[^:\]]+$", rest):
        raise SpecError(f"{shown(value)!r} names no port ({FORMS})")
    return Proxy(kind, *iospec.peer(rest))


def check(settings: Settings) -> None:
    """Refuse what a proxy makes impossible.

    :raises SpecError: one line that names both options.
    """
    if settings.proxy is not None and settings.delivery == "tcp":
        raise SpecError(
            "--delivery tcp and --proxy: TCP ends at the proxy, which acknowledges what the peer"
            " may never get; say written, or nothing"
        )
    if settings.proxy is not None and settings.proxy.kind == "https" and settings.tls:
        raise SpecError("--tls and --proxy https://: TLS inside of TLS is not spoken; say http://")
    if settings.proxy_tls_ca is not None and not str(settings.proxy).startswith("https:"):
        raise SpecError("--proxy-tls-ca: needs --proxy https://HOST:PORT")
