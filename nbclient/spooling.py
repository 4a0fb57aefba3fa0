"""A door: a spool for a Twisted program, from `nbclient.link.spooling`."""

from nbclient.link.spooling import (
    RELOAD,
    SPOOL_BYTES,
    Cursor,
    Spooling,
    open_spool,
)

__all__ = [
    "RELOAD",
    "SPOOL_BYTES",
    "Cursor",
    "Spooling",
    "open_spool",
]
