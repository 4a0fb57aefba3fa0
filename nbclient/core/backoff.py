"""How long to wait before the next attempt.

Exponential growth with full jitter: each delay is drawn from the whole of
``[0, cap]``, so that many clients cut off together do not come back together
(Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import field, frozen

from nbclient.core.arguments import check, number, whole


@frozen
class Backoff:
    """An immutable policy; the count of failures is its owner's.

    :ivar initial: upper bound of the delay after the first failure, seconds.
    :ivar maximum: upper bound of every delay, seconds.
    :ivar factor: growth of the bound from one failure to the next.
    :ivar retries: attempts made after the first failed, in a row; None: for ever.
    :ivar stable_after: how long a link must have been ready before its
        failures are forgotten, seconds. Neither a TCP connection nor a first
        frame is proof: a full server greets with an error and closes. A shorter
        connection counts as well where it made progress (see `ReconnectingFactory`).
    :ivar least: lower bound of every delay, seconds, at most `maximum`: for peers
        that shut out clients that come back too soon. Jitter is added to it.
    :raises ArgumentError: for a figure that makes no sense.
    """

    initial: float = field(default=0.5, validator=number(above=0))
    maximum: float = field(default=60.0, validator=number(above=0))
    factor: float = field(default=2.0, validator=number(least=1, unit=""))
    retries: int | None = field(default=None, validator=whole(0, optional=True))
    stable_after: float = field(default=10.0, validator=number(least=0))
    least: float = field(default=0.0, validator=number(least=0))

    def __attrs_post_init__(self) -> None:
        takes = f"at most 'maximum' ({self.maximum:g} s)"
        check("least", self.least, self.least <= self.maximum, takes)

    def cap(self, failures: int) -> float:
        """The longest wait after `failures` failures in a row (at least 1), seconds."""
        try:
            return min(self.maximum, self.initial * self.factor ** (failures - 1))
        except OverflowError:
            return self.maximum

    def delay(self, failures: int, random: Callable[[], float]) -> float:
        """The wait before the next attempt, seconds: uniform in ``[least, cap(failures)]``.

        Where the cap is not above `least` by `initial`, up to so much above it.

        :param random: returns a float in ``[0, 1)``.
        """
        if self.least:
            most = min(self.maximum, max(self.cap(failures), self.least + self.initial))
            return self.least + (most - self.least) * random()
        return self.cap(failures) * random()

    def exhausted(self, failures: int) -> bool:
        """Whether `failures` failures in a row are one more than may be."""
        return self.retries is not None and failures > self.retries
