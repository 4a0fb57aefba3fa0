"""A non-blocking TCP client that stays connected.

The public names load on first use (PEP 562), so that importing the pure part,
``nbclient.framing`` for one, loads neither Twisted nor anything else of ours.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0.dev0"

if TYPE_CHECKING:
    from nbclient import endpoints as endpoints
    from nbclient import framing as framing
    from nbclient.connection.protocol import FrameProtocol as FrameProtocol
    from nbclient.connection.requests import RequestProtocol as RequestProtocol
    from nbclient.core.backoff import Backoff as Backoff
    from nbclient.core.states import State as State
    from nbclient.link.factory import ReconnectingFactory as ReconnectingFactory
    from nbclient.link.service import LinkService as LinkService

_HOMES = {
    "Backoff": "nbclient.core.backoff",
    "FrameProtocol": "nbclient.connection.protocol",
    "LinkService": "nbclient.link.service",
    "ReconnectingFactory": "nbclient.link.factory",
    "RequestProtocol": "nbclient.connection.requests",
    "State": "nbclient.core.states",
}

_MODULES = ("endpoints", "framing")

__all__ = [*_HOMES, "__version__", *_MODULES]


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return import_module(f"nbclient.{name}")
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
