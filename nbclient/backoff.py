"""How long to wait before the next attempt.

Exponential growth with full jitter: each delay is drawn from the whole of
``[0, cap]``, so that many clients cut off together do not come back together
(Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from attrs import Attribute, field, frozen
from attrs.validators import and_, ge, gt


def _finite(_: object, attribute: Attribute[Any], value: float) -> None:
    if not math.isfinite(value):
        raise ValueError(f"'{attribute.name}' must be a finite number: {value}")


def _count(_: object, attribute: Attribute[Any], value: object) -> None:
    if value is not None and not (isinstance(value, int) and value >= 0):
        raise ValueError(f"'{attribute.name}' must be a whole number from 0, or None: {value!r}")


@frozen
class Backoff:
    """An immutable policy; the count of failures is its owner's.

    :ivar initial: upper bound of the delay after the first failure, seconds.
    :ivar maximum: upper bound of every delay, seconds.
    :ivar factor: growth of the bound from one failure to the next.
    :ivar retries: attempts made after the first failed, in a row; None: for ever.
    :ivar stable_after: how long a link must have been ready before its
        failures are forgotten, seconds. Neither a TCP connection nor a first
        frame is proof: a full server greets with an error and closes.
    :raises ValueError: for a figure that makes no sense.
    """

    initial: float = field(default=0.5, validator=and_(gt(0), _finite))
    maximum: float = field(default=60.0, validator=and_(gt(0), _finite))
    factor: float = field(default=2.0, validator=and_(ge(1), _finite))
    retries: int | None = field(default=None, validator=_count)
    stable_after: float = field(default=10.0, validator=and_(ge(0), _finite))

    def cap(self, failures: int) -> float:
        """The longest wait after `failures` failures in a row (at least 1), seconds."""
        try:
            return min(self.maximum, self.initial * self.factor ** (failures - 1))
        except OverflowError:
            return self.maximum

    def delay(self, failures: int, random: Callable[[], float]) -> float:
        """The wait before the next attempt, seconds: uniform in ``[0, cap(failures)]``.

        :param random: returns a float in ``[0, 1)``.
        """
        return self.cap(failures) * random()

    def exhausted(self, failures: int) -> bool:
        """Whether `failures` failures in a row are one more than may be."""
        return self.retries is not None and failures > self.retries
