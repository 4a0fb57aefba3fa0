"""Measure nbclient beside what people would pick instead, in one run.

    python -m benchmarks [--quick] [--only NAME]... [--peers KEY]... [--runs N]

Builds the traffic server and the peers, runs every workload, and writes table.md,
results.json and speed.svg; with --publish also into docs/ and the README.
Loopback only. What fails is named in the table, and the rest goes on. Needs gcc; the
other toolchains (node, javac, g++ with Boost, nc, ncat, socat, uvloop, matplotlib) are
left out where they are missing. It takes about twelve minutes, with --quick two.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import asdict, evolve

from benchmarks import claims, idling, picture, tables, tools, workloads
from benchmarks.claims import Verdict, judge
from benchmarks.measuring import Rounds, Sample, Workload, interleaved
from benchmarks.worst import CASES, worst

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PAGE = ROOT / "docs" / "performance.md"
README = ROOT / "README.md"
BEGIN = "<!-- Written by `python -m benchmarks --publish`. -->"
END = "<!-- Up to here. -->"  # in the README, where more follows

LINKS = 10_000
TITLES = {
    "idle": ("idle links", "connects/s"),
    "restart": ("links whose server restarts", "connects/s"),
    "worst": ("worst cases", "x"),
}


class Suite:
    """One run of everything that was asked for."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options = options
        self.tools = tools.Tools(folder)
        self.results: dict[str, list[Sample]] = {}
        self.titles = dict(TITLES)
        self.labels: dict[str, str] = {}
        self._folder = folder
        self._startup: dict[object, float] = {}

    def run(self) -> None:
        """Build, then measure."""
        tools.raise_limits()
        self.say("building")
        self.tools.build(self.options.python_only)
        self.tools.missing |= workloads.unfinished_parts()
        for name, why in self.tools.missing.items():
            self.say(f"left out: {name}: {why}")
        for work in workloads.all_of_them():
            self._stream(work)
        sitters = idling.sitters(self.tools.python)
        redialers = idling.redialers(self.tools.python)
        if self.options.quick:
            sitters = [each for each in sitters if each.key in ("ours", "asyncio")]
            redialers = redialers[:1]
        if self.options.peers:
            sitters = [each for each in sitters if each.key in self.options.peers]
            redialers = [each for each in redialers if each.key in self.options.peers]
        for name, them in (("idle", sitters), ("restart", redialers)):
            self.labels |= {f"{name}/{each.key}": each.label for each in them}
        self._part("idle", lambda: self._idle(sitters))
        self._part("restart", lambda: self._restart(redialers))
        self._part("worst", lambda: worst(self.tools, 3 if self.options.quick else 5, self.say))
        for case, title in CASES.items():
            for sample in self.results.get("worst", ()):
                kind = sample.peer.removeprefix(f"{case}-")
                if kind != sample.peer:
                    self.labels[f"worst/{sample.peer}"] = f"{title}, `{kind}`"

    def _stream(self, work: Workload) -> None:
        self.titles[work.key] = (work.title, work.unit)
        self.labels |= {f"{work.key}/{peer.key}": peer.label for peer in work.peers}
        options = self.options
        if options.peers:
            work = evolve(work, peers=[each for each in work.peers if each.key in options.peers])
        named = claims.named(work.key)
        if options.quick:
            if work.key.endswith(("-16", "-1000")):
                return
            if named:
                work = evolve(work, peers=[each for each in work.peers if each.key in named])
        runs = 1 if options.quick and not named else options.runs
        rounds = Rounds(runs, options.scale, named or None, startup=self._startup)
        self._part(
            work.key,
            lambda: interleaved(self.tools, work, rounds, self._folder / "files", self.say),
        )

    def _idle(self, them: Sequence[idling.Sitter]) -> list[Sample]:
        links = max(int(LINKS * min(self.options.scale, 1)), 50)
        seconds = 2 if self.options.quick else 5
        samples = idling.in_turn(
            self.tools,
            them,
            1 if self.options.quick else min(self.options.runs, 2),
            "idle",
            lambda each: idling.idle(self.tools, each, links, seconds),
            self.say,
        )
        took: dict[str, int] = {}
        for each in them:
            if (
                each.traced
                and not self.options.quick
                and not set(each.needs) & set(self.tools.missing)
            ):
                try:
                    took[each.key] = idling.traced(self.tools, each, links)
                except (idling.Failed, OSError, ValueError) as error:
                    self.say(f"tracemalloc {each.key}: {error}")
        for sample in samples:
            sample.more["traced"] = took.get(sample.peer)
        return samples

    def _restart(self, them: Sequence[idling.Sitter]) -> list[Sample]:
        links = max(int(LINKS * min(self.options.scale, 1)), 50)
        maximum = 4.0 if self.options.quick else 16.0
        return idling.in_turn(
            self.tools,
            them,
            1,
            "restart",
            lambda each: idling.restart(self.tools, each, links, maximum),
            self.say,
        )

    def _part(self, key: str, measure: Callable[[], list[Sample]]) -> None:
        """Run one workload; what fails is told, and the others are measured all the same."""
        if self.options.only and not any(key.startswith(each) for each in self.options.only):
            return
        try:
            samples = measure()
        except Exception as error:
            self.tools.missing[f"workload {key}"] = repr(error)
            self.say(f"{key} failed: {error!r}")
        else:
            self.results[key] = samples

    def say(self, text: str) -> None:
        """Tell how far it is."""
        if not self.options.silent:
            print(text, file=sys.stderr, flush=True)


def write(suite: Suite, about: Mapping[str, Any], folder: Path) -> list[Verdict]:
    """The three files."""
    folder.mkdir(parents=True, exist_ok=True)
    verdicts = judge(suite.results, suite.labels)
    verdicts = [each for each in verdicts if each.measured is not None or not suite.options.only]
    results = {key: [asdict(each) for each in found] for key, found in suite.results.items()}
    report = {"about": about, "promises": [asdict(each) for each in verdicts], "results": results}
    (folder / "results.json").write_text(json.dumps(report, indent=1) + "\n")
    text = tables.document(verdicts, suite.results, suite.titles, suite.labels, about)
    (folder / "table.md").write_text(text)
    if not suite.options.no_picture:
        try:
            picture.draw(verdicts, folder / "speed.svg")
        except ImportError as error:
            suite.say(f"no picture: {error}")
    if suite.options.publish:
        kept = PAGE.read_text().partition(BEGIN)[0]
        PAGE.write_text(f"{kept}{BEGIN}\n\n{text}")
        before, rest = README.read_text().split(BEGIN)
        behind = rest.partition(END)[2]
        README.write_text(f"{before}{BEGIN}\n\n{tables.short(verdicts)}\n\n{END}{behind}")
        if (folder / "speed.svg").exists():
            (PAGE.parent / "speed.svg").write_bytes((folder / "speed.svg").read_bytes())
    return verdicts


def arguments(words: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--only", action="append", help="workloads whose names begin so")
    parser.add_argument("--peers", action="append", help="only these keys, as in results.json")
    parser.add_argument("--list", action="store_true", help="name the workloads and end")
    parser.add_argument("--runs", type=int, default=5, help="most runs of a peer")
    parser.add_argument("--scale", type=float, default=1.0, help="how much of the work")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="two runs at a fifth of the work, only whom a promise names",
    )
    parser.add_argument("--python-only", action="store_true", help="no Node, Java, Boost")
    parser.add_argument("--output", type=Path, default=HERE / "results", help="folder")
    parser.add_argument("--folder", type=Path, help="for the files of 300 MB")
    parser.add_argument("--publish", action="store_true", help="also into docs/ and README")
    parser.add_argument("--no-picture", action="store_true", help="only the table")
    parser.add_argument("--silent", action="store_true", help="do not tell how far it is")
    options = parser.parse_args(words)
    if options.quick:
        options.runs, options.scale = min(options.runs, 2), min(options.scale, 0.2)
    return options


def main(words: Sequence[str] | None = None) -> int:
    """Run the suite. Gives 0, or 1 where something promised does not hold."""
    options = arguments(words)
    if options.list:
        names = [work.key for work in workloads.all_of_them()]
        print("\n".join([*names, *TITLES]))
        return 0
    began = time.monotonic()
    machine = tools.machine()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        suite = Suite(options, Path(folder))
        try:
            suite.run()
        except tools.CannotBuild as error:
            print(error, file=sys.stderr)
            return 2
    about = {
        "when": time.strftime("%Y-%m-%d", time.gmtime()),
        "scale": options.scale,
        "took": time.monotonic() - began,
        "machine": machine,
        "versions": suite.tools.versions,
        "missing": suite.tools.missing,
    }
    verdicts = write(suite, about, options.output)
    print("\n\n".join([tables.promises(verdicts), *tables.caution(about)]))
    return int(any(each.holds is False for each in verdicts))


if __name__ == "__main__":
    sys.exit(main())
