"""The worst cases: whether twice the bytes take twice the time."""

from __future__ import annotations

import json
from collections.abc import Callable

from benchmarks.measuring import LIMIT, Failed, Process, Sample
from benchmarks.tools import PEERS, Tools

CASES = {
    "segments": "one frame in segments of 1,448 bytes",
    "empty": "empty frames",
    "single": "one byte at a time",
}
KINDS = {
    "segments": ("lines", "crlf", "length", "netstring", "line-receiver", "int32-receiver"),
    "empty": ("lines", "crlf", "length", "netstring"),
    "single": ("lines", "crlf", "length", "netstring"),
}


def worst(tools: Tools, rounds: int, say: Callable[[str], None]) -> list[Sample]:
    """Each case for each kind; `Sample.rate` is the time per byte or frame of the
    largest over that of the smallest: 1 is linear."""
    samples = []
    for case, kinds in KINDS.items():
        for kind in kinds:
            try:
                sample = one(tools, kind, case, rounds)
            except (Failed, OSError, ValueError) as error:
                sample = Sample(f"{case}-{kind}", 0, error=str(error))
            samples.append(sample)
            say(f"worst {sample.peer}: {sample.error or f'{sample.rate:.2f} x'}")
    return samples


def one(tools: Tools, kind: str, case: str, rounds: int) -> Sample:
    """One case.

    :raises Failed: it did not work.
    """
    process = Process([tools.python, str(PEERS / "worst.py"), kind, case, str(rounds)])
    try:
        took = {int(size): seconds for size, seconds in json.loads(process.wait(LIMIT)).items()}
    finally:
        process.stop()
    least, most = min(took), max(took)
    ratio = (took[most] / most) / (took[least] / least)
    return Sample(
        f"{case}-{kind}",
        0,
        rate=ratio,
        seconds=took[most],
        user=process.user,
        system=process.system,
        more={"took": {str(size): seconds for size, seconds in took.items()}},
    )
