"""The command: see the package's own words, or ``--help``."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version as installed
from pathlib import Path

from tests.certs import make_certs
from tools.loss import table
from tools.loss.cells import CONDITIONS, Cell, Condition, Paths, Result, as_data
from tools.loss.schedule import KINDS, Death, deaths
from tools.loss.senders import SENDERS, Sender, version

JOBS = min(2, os.cpu_count() or 1)
"""Cells at a time: most of them wait most of the time."""

QUICK_JOBS = 2 * JOBS
QUICK_COUNT = 5_000
QUICK_CONDITIONS = ("slow", "tls", "relay")
QUICK_DEATHS = 2


def chosen(names: str, known: Sequence[str], what: str) -> list[str]:
    wanted = [name for name in names.split(",") if name]
    for name in wanted:
        if name not in known:
            raise SystemExit(f"tools.loss: no {what} is called {name}: {', '.join(known)}")
    return wanted


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.loss")
    parser.add_argument("--quick", action="store_true", help="few frames, deaths and conditions")
    parser.add_argument("--count", type=int, help="frames a cell (100000; --quick: 5000)")
    parser.add_argument("--seed", type=int, default=1, help="of the deaths (1)")
    parser.add_argument("--deaths", type=int, help="a cell (4; --quick: 2)")
    parser.add_argument("--kinds", default="", help="only these: " + ",".join(KINDS))
    names = ",".join(sender.name for sender in SENDERS)
    parser.add_argument("--senders", default="", help="only these: " + names)
    names = ",".join(condition.name for condition in CONDITIONS)
    parser.add_argument("--conditions", default="", help="only these: " + names)
    parser.add_argument("--jobs", type=int, help=f"cells at a time ({JOBS}; --quick: {QUICK_JOBS})")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the figures go, too")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="where every record is kept")
    given = parser.parse_args(arguments)
    given.count = given.count or (QUICK_COUNT if given.quick else 100_000)
    if not 100 <= given.count <= 1_000_000:
        parser.error("--count is 100 to 1000000")
    if given.deaths is None:
        given.deaths = QUICK_DEATHS if given.quick else 4
    if not 0 <= given.deaths <= 5:
        parser.error("--deaths is 0 to 5")
    if given.jobs is None:
        given.jobs = QUICK_JOBS if given.quick else JOBS
    if not 1 <= given.jobs <= 16:
        parser.error("--jobs is 1 to 16")
    return given


def choose(given: argparse.Namespace) -> tuple[list[Sender], list[Condition]]:
    senders = chosen(given.senders, [each.name for each in SENDERS], "sender")
    conditions = chosen(given.conditions, [each.name for each in CONDITIONS], "condition")
    if not conditions and given.quick:
        conditions = list(QUICK_CONDITIONS)
    return (
        [each for each in SENDERS if not senders or each.name in senders],
        [each for each in CONDITIONS if not conditions or each.name in conditions],
    )


def schedule(given: argparse.Namespace, conditions: Sequence[Condition]) -> dict[str, list[Death]]:
    only = chosen(given.kinds, KINDS, "death")
    plan = {}
    for condition in conditions:
        kinds = [kind for kind in condition.kinds if not only or kind in only]
        number = given.deaths if kinds else 0
        plan[condition.name] = deaths(
            given.seed, condition.name, given.count, kinds, number, condition.lives
        )
    return plan


def run(given: argparse.Namespace, certs: Paths) -> int:
    senders, conditions = choose(given)
    plan = schedule(given, conditions)
    missing = [sender for sender in senders if sender.missing]
    senders = [sender for sender in senders if not sender.missing]
    began = time.monotonic()
    results = play(given, senders, conditions, plan, certs)
    print(f"\n{heading(given, senders, time.monotonic() - began)}\n")
    print(table.losses(senders, conditions, results, plan), "\n")
    print(table.counters(list(results.values())), "\n")
    print(table.schedules(conditions, plan), "\n")
    for sender in missing:
        print(f"Left out: {sender.name} is not installed ({sender.program}).")
    if given.json:
        save(given, senders, results, plan)
    faults = [
        f"{result.sender}, {result.condition}: {fault}"
        for result in results.values()
        for fault in result.faults
    ]
    for fault in faults:
        print(f"FAILED {fault}")
    print("failed" if faults else "passed")
    return 1 if faults else 0


def play(
    given: argparse.Namespace,
    senders: Sequence[Sender],
    conditions: Sequence[Condition],
    plan: Mapping[str, Sequence[Death]],
    certs: Paths,
) -> dict[tuple[str, str], Result]:
    """All the cells, `given.jobs` at a time."""
    limit = 40 + given.count / 1_500
    stopping = threading.Event()
    cells = [
        Cell(
            sender, condition, given.count, plan[condition.name], certs, limit, given.keep, stopping
        )
        for condition in conditions
        for sender in senders
    ]

    def run_one(cell: Cell) -> Result:
        result = cell.run()
        tell(result, len(cell.deaths))
        return result

    with ThreadPoolExecutor(given.jobs) as pool:
        try:
            results = list(pool.map(run_one, cells))
        finally:
            stopping.set()
    return {(result.sender, result.condition): result for result in results}


def tell(result: Result, planned: int) -> None:
    """Progress, for whoever watches."""
    text = table.figures(result, planned)
    print(
        f"{result.sender}, {result.condition}: {text} ({result.seconds:g} s)\n",
        end="",
        file=sys.stderr,
    )


def versions(senders: Sequence[Sender]) -> list[str]:
    """Of everything that is compared here."""
    return [
        f"Linux {platform.release()}",
        f"Python {platform.python_version()}",
        f"Twisted {installed('Twisted')}",
        *(version(sender) for sender in senders if sender.version),
    ]


def heading(given: argparse.Namespace, senders: Sequence[Sender], seconds: float) -> str:
    return (
        f"{given.count:,} frames of 100 bytes a cell, seed {given.seed}, {os.cpu_count()} CPUs, "
        f"{seconds:.0f} s; {'; '.join(versions(senders))}"
    )


def save(
    given: argparse.Namespace,
    senders: Sequence[Sender],
    results: dict[tuple[str, str], Result],
    plan: dict[str, list[Death]],
) -> None:
    data = {
        "count": given.count,
        "seed": given.seed,
        "versions": versions(senders),
        "deaths": {name: [str(each) for each in drawn] for name, drawn in plan.items()},
        "cells": [as_data(result) for result in results.values()],
    }
    given.json.write_text(json.dumps(data, indent=1) + "\n")


def main() -> int:
    given = parse(sys.argv[1:])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("tools.loss: told to end"))
    with tempfile.TemporaryDirectory(prefix="nbclient-loss-") as folder:
        made = make_certs(folder)
        return run(given, Paths(made.ca, made.good, made.good_key))


if __name__ == "__main__":
    sys.exit(main())
