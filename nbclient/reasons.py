"""A door: why something ended, from `nbclient.connection.wording`."""

from nbclient.connection.wording import (
    explain,
)

__all__ = [
    "explain",
]
