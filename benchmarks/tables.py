"""The results as Markdown."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.claims import Results, Verdict
from benchmarks.measuring import Sample, median, ratio

NOTES = Path(__file__).resolve().parent / "notes.md"


def document(
    verdicts: Sequence[Verdict],
    results: Results,
    titles: Mapping[str, tuple[str, str]],
    labels: Mapping[str, str],
    about: Mapping[str, Any],
) -> str:
    """All of it: the promises, the reasons, every workload, the machine."""
    parts = ["## The promises", promises(verdicts), *caution(about), *reasons(verdicts)]
    parts.append("## Everything that was measured")
    for key, samples in results.items():
        title, unit = titles[key]
        parts.append(f"### {title}")
        parts.append(_table(key, unit, samples, labels))
    parts.append("## The machine and the versions")
    parts.append(_about(about))
    return "\n\n".join(parts) + "\n"


def promises(verdicts: Sequence[Verdict]) -> str:
    """One line for each promise."""
    lines = ["| workload | against | measured | at least | aim | |", "|---|---|--:|--:|--:|---|"]
    before = ""
    for each in verdicts:
        title = each.title if each.title != before else ""
        before = each.title
        cells = [title, each.against, *(_figure(each, mark) for mark in _marks(each))]
        lines.append("| " + " | ".join([*cells, _word(each)]) + " |")
    return "\n".join(lines)


def caution(about: Mapping[str, Any]) -> list[str]:
    """What is to be said of a run with less than all of the work."""
    if about["scale"] >= 1:
        return []
    return [
        f"At scale {about['scale']:g} no ratio is to be judged by: the shortest measurements take"
        " milliseconds, and Java and Node are still warming up."
    ]


HEADLINES = ("lines", "length", "ask-100", "file-raw")
"""The rows of promises that the README shows, a line each; the page has all of them."""


def short(verdicts: Sequence[Verdict]) -> str:
    """A line for each of the headlines: for the README. What misses its target is shown first."""
    lines = []
    for row in HEADLINES:
        ours = [each for each in verdicts if each.row == row and each.measured is not None]
        if ours:
            better = " (lower is better)" if ours[0].low else ""
            figures = ", ".join(
                map(_beside, sorted(ours, key=lambda each: each.holds is not False))
            )
            lines.append(f"- **{ours[0].title}**{better}: {figures}")
    return "\n".join(lines)


def _beside(verdict: Verdict) -> str:
    figure = f"{_figure(verdict, verdict.measured)} {verdict.against}"
    if verdict.holds is False:
        return f"{figure} (**below** the {_figure(verdict, verdict.least)} wanted)"
    return figure


def reasons(verdicts: Sequence[Verdict]) -> list[str]:
    """For each row that does not hold: what `notes.md` says of it."""
    said = notes()
    parts = []
    for row in dict.fromkeys(each.row for each in verdicts if each.holds is False):
        reason = said.get(row, "Nobody has looked yet.")
        parts.append(f"**{row}** does not hold. {reason}")
    return parts


def notes() -> dict[str, str]:
    """The chapters of `notes.md`, by the key of their row."""
    chapters = re.split(r"^## +(\S+)\s*$", NOTES.read_text(), flags=re.MULTILINE)[1:]
    return {key: text.strip() for key, text in zip(chapters[::2], chapters[1::2], strict=True)}


def _marks(verdict: Verdict) -> tuple[float | None, float | None, float | None]:
    return verdict.measured, verdict.least, verdict.aim


def _figure(verdict: Verdict, value: float | None) -> str:
    if value is None:
        return ""
    if verdict.unit == "B":
        return f"{value / 1024:.1f} KB"
    return f"{value:.2f} x" if value is verdict.measured else f"{value:g} x"


def _word(verdict: Verdict) -> str:
    if verdict.measured is None:
        return "not measured"
    if verdict.holds is False:
        return "**below**"
    if verdict.reaches(verdict.aim) is False:
        return "holds; below the aim" if verdict.holds else "below the aim"
    return "holds" if verdict.aim is None else "aim reached"


def _table(key: str, unit: str, samples: Sequence[Sample], labels: Mapping[str, str]) -> str:
    drawn = {"idle": _idle_row, "restart": _restart_row, "worst": _worst_row}.get(key, _row)
    head = {
        "idle": ("connects/s", "memory a link", "tracemalloc", "CPU at idle", "links"),
        "restart": (
            "back, of",
            "all back after",
            "mean/s",
            "peak second",
            "CPU s",
            "CPU while down",
        ),
        "worst": ("time per unit, largest over smallest", "seconds for the largest"),
    }.get(
        key, (unit, "the first row is", "wall s", "CPU s", "CPU us each", "server's CPU s", "runs")
    )
    lines = [f"| | {' | '.join(head)} |", "|---|" + "--:|" * len(head)]
    for peer in dict.fromkeys(each.peer for each in samples):
        label = labels.get(f"{key}/{peer}", peer)
        errors = [each.error for each in samples if each.peer == peer and each.error]
        mine = [each for each in samples if each.peer == peer and not each.error]
        if mine:
            lines.append(f"| {label} | {' | '.join(drawn(samples, peer, mine))} |")
        else:
            lines.append(f"| {label} | failed: {_cell(errors[0] or '')} |")
    return "\n".join(lines)


def _row(samples: Sequence[Sample], peer: str, mine: Sequence[Sample]) -> list[str]:
    first = samples[0].peer
    times = None if peer == first else ratio(samples, first, peer, lambda each: each.rate)
    each_cpu = median(mine, peer, lambda one: one.cpu / max(one.rate * one.seconds, 1) * 1e6)
    return [
        f"{median(mine, peer, lambda one: one.rate):,.0f}",
        "" if times is None else f"{times:.2f} x",
        f"{median(mine, peer, lambda one: one.seconds):.2f}",
        f"{median(mine, peer, lambda one: one.cpu):.2f}",
        f"{each_cpu:.2f}",
        f"{median(mine, peer, lambda one: one.server_cpu):.2f}",
        str(len(mine)),
    ]


def _idle_row(_: Sequence[Sample], peer: str, mine: Sequence[Sample]) -> list[str]:
    traced = mine[0].more.get("traced")
    return [
        f"{median(mine, peer, lambda one: one.rate):,.0f}",
        f"{(median(mine, peer, lambda one: one.more['rss']) or 0) / 1024:.1f} KB",
        f"{traced / 1024:.1f} KB" if traced else "",
        f"{100 * (median(mine, peer, lambda one: one.more['idle']) or 0):.1f} %",
        f"{mine[0].more['links']:,}",
    ]


def _restart_row(_: Sequence[Sample], peer: str, mine: Sequence[Sample]) -> list[str]:
    one = mine[0].more
    return [
        f"{one['back']:,} of {one['links']:,}",
        f"{median(mine, peer, lambda one: one.seconds):.1f} s (maximum {one['maximum']:g} s)",
        f"{median(mine, peer, lambda one: one.rate):,.0f}",
        f"{median(mine, peer, lambda one: one.more['peak']):,.0f}",
        f"{median(mine, peer, lambda one: one.user):.2f}",
        f"{100 * (median(mine, peer, lambda one: one.more['down']) or 0):.0f} %",
    ]


def _worst_row(_: Sequence[Sample], peer: str, mine: Sequence[Sample]) -> list[str]:
    return [f"{mine[0].rate:.2f} x", f"{mine[0].seconds:.2f}"]


def _about(about: Mapping[str, Any]) -> str:
    lines = [f"- {key}: {value}" for key, value in about["machine"].items()]
    lines += [f"- {key}: {_cell(value)}" for key, value in about["versions"].items()]
    lines += [f"- left out: {key} ({_cell(value)})" for key, value in about["missing"].items()]
    lines.append(f"- taken {about['when']}, at scale {about['scale']:g}, in {about['took']:.0f} s")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "/").split())
