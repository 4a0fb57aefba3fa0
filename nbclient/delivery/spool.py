"""A door: frames on disk without Twisted, from `nbclient.spool.spool`."""

from nbclient.spool.spool import (
    Spool,
)

__all__ = [
    "Spool",
]
