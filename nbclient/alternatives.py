"""A door: several peers for one link, from `nbclient.endpoints.failover`."""

from nbclient.endpoints.failover import (
    LONGEST_WAIT,
    PROBE_TIMEOUT,
    Alternatives,
    alternatives,
)

__all__ = [
    "LONGEST_WAIT",
    "PROBE_TIMEOUT",
    "Alternatives",
    "alternatives",
]
