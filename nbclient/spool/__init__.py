"""Frames on disk: stored first, then sent, then forgotten. No Twisted.

`Spool` loads on first use. ``python -m nbclient.spool`` is the tool for spools.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbclient.spool.spool import Spool as Spool

_HOMES = {
    "Spool": "nbclient.spool.spool",
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
