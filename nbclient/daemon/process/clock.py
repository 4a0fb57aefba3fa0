"""The reactor's clock: timers that a clock set back or forward does not stop.

Twisted's timers run on the time of day (twisted #2424): set the clock back an
hour, and nothing happens for an hour.
"""

from __future__ import annotations

import time
from typing import Any


def use_monotonic_clock(reactor: Any) -> bool:
    """Put the reactor on the monotonic clock, unless it is on one or it is too late.

    A timer that was set on the old clock would never fire on the new one.

    :return: whether the reactor is on the monotonic clock now.
    """
    if abs(reactor.seconds() - time.monotonic()) < 1.0:
        return True
    if reactor.getDelayedCalls():
        return False
    reactor.seconds = time.monotonic
    return True
