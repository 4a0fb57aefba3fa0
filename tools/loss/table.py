"""The table, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tools.loss.cells import Condition, Result
from tools.loss.schedule import Death
from tools.loss.senders import Sender


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """The first row is the head; every column but the first is of figures."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    lines.insert(1, "|" + "|".join(["---"] + ["---:"] * (len(rows[0]) - 1)) + "|")
    return "\n".join(lines)


def figures(result: Result | None, planned: int) -> str:
    """lost / twice, and whatever else is worth a word."""
    if result is None:
        return ""
    if result.outcome is None:
        return "no result"
    found = result.outcome
    text = f"{found.lost:,} / {found.duplicated:,}"
    if found.out_of_order:
        text += f", {found.out_of_order:,} out of order"
    if found.broken:
        text += f", {found.broken:,} in part"
    if result.deaths < planned:
        text += f" ({result.deaths} of {planned} deaths)"
    if result.faults:
        text += " FAILED"
    return text


def losses(
    senders: Sequence[Sender],
    conditions: Sequence[Condition],
    results: Mapping[tuple[str, str], Result],
    deaths: Mapping[str, Sequence[Death]],
) -> str:
    """Frames lost and frames that came twice, of every cell."""
    head = ["lost / twice", *(condition.title for condition in conditions)]
    rows = [
        [
            sender.title,
            *(
                figures(results.get((sender.name, each.name)), len(deaths[each.name]))
                for each in conditions
            ),
        ]
        for sender in senders
    ]
    return markdown([head, *rows])


def counters(results: Sequence[Result]) -> str:
    """What nbclient counted, beside what the server saw."""
    head = ["level", "condition", "acknowledged", "resent", "twice", "lost", "not worked on"]
    rows = [
        [
            result.sender,
            result.condition,
            f"{result.counters['acknowledged']:,}",
            f"{result.counters['resent']:,}",
            f"{result.outcome.duplicated:,}",
            f"{result.outcome.lost:,}",
            " ".join(f"{each:,}" for each in result.unread or ()),
        ]
        for result in results
        if result.counters and result.outcome
    ]
    return markdown([head, *rows])


def schedules(conditions: Sequence[Condition], deaths: Mapping[str, Sequence[Death]]) -> str:
    """How the server dies under each condition."""
    rows = [
        [
            condition.title,
            ", ".join(
                f"{each.kind} after {each.after:,}, back after {each.away:g} s"
                for each in deaths[condition.name]
            ),
        ]
        for condition in conditions
    ]
    return markdown([["condition", "deaths"], *rows])
