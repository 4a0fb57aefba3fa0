"""When and how the server dies: drawn from a seed, the same for every sender."""

from __future__ import annotations

import random
from collections.abc import Sequence

from attrs import frozen

KINDS = ("kill", "reset", "close", "half-close")
TLS_KINDS = ("kill", "reset", "close")
"""TLS has no half-close."""

AWAY = (0.2, 0.6)
"""Seconds until the server is back."""


@frozen
class Death:
    """One death.

    :ivar kind: of `KINDS`.
    :ivar after: frames worked on in this life before it.
    :ivar away: seconds until the server listens again.
    """

    kind: str
    after: int
    away: float

    def __str__(self) -> str:
        return f"{self.kind}:{self.after}"


def deaths(
    seed: int,
    condition: str,
    count: int,
    kinds: Sequence[str],
    number: int,
    lives: tuple[float, float],
) -> list[Death]:
    """The deaths of a condition, `number` of them: every kind once before any comes again.

    :param lives: how much of `count` frames a life lasts, at least and at most.
    """
    chance = random.Random(f"{seed} {condition}")
    drawn: list[str] = []
    while len(drawn) < number:
        drawn += chance.sample(list(kinds), len(kinds))
    soonest, latest = (int(part * count) for part in lives)
    return [
        Death(kind, max(1, chance.randint(soonest, latest)), round(chance.uniform(*AWAY), 3))
        for kind in drawn[:number]
    ]
