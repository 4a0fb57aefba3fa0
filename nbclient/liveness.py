"""When a quiet connection counts as dead: rules over timestamps, no clock.

All times are seconds on one monotonic scale that the caller chooses.
"""

from __future__ import annotations

from attrs import define


@define
class Watch:
    """A limit on how long nothing may happen, which can stand still.

    :ivar limit: seconds allowed since the last sign.
    :ivar since: when the last sign was seen.
    """

    limit: float
    since: float
    _held: float | None = None

    def seen(self, now: float) -> None:
        """A sign of life arrived at `now`."""
        self.since = now
        if self._held is not None:
            self._held = now

    def hold(self, now: float) -> None:
        """Stop counting: while we do not read, silence says nothing about the peer."""
        if self._held is None:
            self._held = now

    def release(self, now: float) -> None:
        """Count on from where `hold` stopped."""
        if self._held is not None:
            self.since += now - self._held
            self._held = None

    def remaining(self, now: float) -> float:
        """Seconds left before the limit; zero or less when it has passed."""
        reference = now if self._held is None else self._held
        return self.limit - (reference - self.since)

    def expired(self, now: float) -> bool:
        """Whether the limit has passed."""
        return self.remaining(now) <= 0
