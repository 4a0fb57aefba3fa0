"""The recording of the demo: a picture that holds every line and no more."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tools import recording
from tools.recording import COLUMNS, LAST_PAUSE, LONGEST_PAUSE, Line, came_back, paced, svg

NAMESPACE = "{http://www.w3.org/2000/svg}"
PICTURE = Path(recording.ROOT, "docs", "demo.svg")


def shown(picture: str) -> list[str]:
    """The lines of text of a picture."""
    root = ElementTree.fromstring(picture)
    return [text.text or "" for text in root.iter(f"{NAMESPACE}text")]


def test_long_pauses_are_cut_and_short_ones_kept() -> None:
    lines = [Line(5.0, "a"), Line(5.5, "b"), Line(60.0, "c")]
    assert [line.at for line in paced(lines)] == [LONGEST_PAUSE, LONGEST_PAUSE + 0.5, 2.9]


def test_every_line_is_in_the_picture_escaped_and_folded() -> None:
    text = "x" * COLUMNS + "rest"
    assert shown(svg([Line(0.0, "<b> & 'c'"), Line(1.0, text), Line(2.0, "")])) == [
        "<b> & 'c'",
        "x" * COLUMNS,
        "rest",
        "",
    ]


def test_the_picture_plays_as_long_as_its_lines_and_a_last_pause() -> None:
    assert f"animation: play {1.0 + LAST_PAUSE:.2f}s step-end infinite" in svg([Line(1.0, "a")])


def test_a_terminal_is_recorded_and_typed_into(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "TYPED_AFTER", 0.0)
    lines = recording.record((sys.executable, "-c", "print('said', input())"), 60.0)
    assert [line.text for line in lines] == ["hello", "said hello"]


def test_the_kept_picture_shows_that_the_demo_came_back() -> None:
    lines = shown(PICTURE.read_text("utf-8"))
    assert came_back([Line(0.0, line) for line in lines])
    assert "you said hello" in lines
