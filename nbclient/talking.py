"""A door: what a link says by itself, from `nbclient.core.automation`."""

from nbclient.core.automation import (
    Answer,
    Heartbeat,
    Poll,
)

__all__ = [
    "Answer",
    "Heartbeat",
    "Poll",
]
