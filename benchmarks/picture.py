"""The promises as a picture: how many times as fast, on a logarithmic scale."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.claims import Verdict

GOOD, BAD, MARK = "#2f7d5b", "#b5482f", "#1b1b1b"


def times_better(verdict: Verdict) -> float:
    """Over 1 is better, whatever was measured."""
    assert verdict.measured is not None
    return 1 / verdict.measured if verdict.low else verdict.measured


def draw(verdicts: Sequence[Verdict], path: Path) -> None:
    """Write the picture, as SVG.

    :raises ImportError: there is no matplotlib (extra ``bench``).
    """
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams.update({"svg.hashsalt": "nbclient", "font.size": 9})
    from matplotlib import pyplot

    shown = [each for each in verdicts if each.ratio and each.measured and _finite(each)]
    figure, axes = pyplot.subplots(figsize=(9.5, 1.2 + 0.26 * len(shown)))
    places = _places(shown)
    for each, place in zip(shown, places, strict=True):
        _bar(axes, each, place)
    axes.axvline(1, color=MARK, linewidth=0.8)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g} x")
    axes.set_yticks(places, [f"{each.title}  ·  {each.against}" for each in shown])
    axes.invert_yaxis()
    axes.set_xlabel("times better than the peer named; the mark is what is promised at least")
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)
    figure.tight_layout()
    figure.savefig(
        path, bbox_inches="tight", metadata={"Date": None} if path.suffix == ".svg" else None
    )
    pyplot.close(figure)


def _bar(axes: Any, verdict: Verdict, place: float) -> None:
    value = times_better(verdict)
    color = BAD if verdict.holds is False else GOOD
    alpha = 0.45 if verdict.holds is None else 1.0
    axes.barh(place, value - 1, left=1, height=0.7, color=color, alpha=alpha)
    axes.annotate(
        f"{value:.1f}",
        (value, place),
        xytext=(3 if value >= 1 else -3, 0),
        textcoords="offset points",
        va="center",
        ha="left" if value >= 1 else "right",
        fontsize=8,
    )
    if verdict.least:
        mark = 1 / verdict.least if verdict.low else verdict.least
        axes.plot([mark, mark], [place - 0.42, place + 0.42], color=MARK, linewidth=2)


def _finite(verdict: Verdict) -> bool:
    return 0 < times_better(verdict) < float("inf")


def _places(shown: Sequence[Verdict]) -> list[float]:
    """A gap between one row of promises and the next."""
    places: list[float] = []
    at = 0.0
    for before, each in zip([None, *shown], shown, strict=False):
        at += 1.0 if before is None or before.row == each.row else 1.5
        places.append(at)
    return places
