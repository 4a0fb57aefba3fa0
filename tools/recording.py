"""Record the demo as an SVG that plays in a browser: `docs/demo.svg`, shown in the README.

    python tools/recording.py [--seconds S] [--output FILE]

The demo is run in a terminal of its own (a pty), something is typed into it, and each line
is noted with the time at which it appeared. The picture scrolls through these lines at the
same pace; pauses longer than `LONGEST_PAUSE` are cut short. It is one file without scripts,
fonts or links, and whoever asks for less motion sees the last lines standing still.

Exit status: 0, or 1 where the demo did not come back from its outage in that time.
"""

from __future__ import annotations

import argparse
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from html import escape
from pathlib import Path

from attrs import frozen

ROOT = Path(__file__).resolve().parents[1]
TYPED = b"hello\n"
TYPED_AFTER = 3.5
"""What is typed into the demo, and when, seconds from its start."""

LONGEST_PAUSE = 1.2
LAST_PAUSE = 4.0
"""Seconds: at most so long between two lines, and so long at the last one."""

COLUMNS, ROWS = 100, 18
CHARACTER, LINE = 8.4, 19  # pixels
MARGIN, BAR = 14, 30

STYLE = """
svg { background: #16181d; border-radius: 8px }
text { font: 14px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; white-space: pre }
.frame { fill: #e6e6e6 } .log { fill: #7d8899 } .lost { fill: #e5a445 } .ready { fill: #6cc07a }
"""


@frozen
class Line:
    """A line of the terminal.

    :ivar at: when it appeared, seconds from the start.
    """

    at: float
    text: str


def record(command: Sequence[str], seconds: float) -> list[Line]:
    """Run a command in a terminal for so long, or until it ends, and note its lines."""
    master, slave = pty.openpty()
    child = subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=slave, cwd=ROOT, start_new_session=True
    )
    os.close(slave)
    began = time.monotonic()
    lines: list[Line] = []
    typed, rest = False, b""
    try:
        while (now := time.monotonic() - began) < seconds:
            if not typed and now >= TYPED_AFTER:
                typed = True
                os.write(master, TYPED)
            if not select.select([master], [], [], 0.05)[0]:
                continue
            try:
                data = os.read(master, 65536)
            except OSError:  # Linux says EIO once the program has ended
                break
            *whole, rest = (rest + data).split(b"\n")
            lines += [Line(now, each.decode("utf-8", "replace").rstrip("\r")) for each in whole]
    finally:
        child.send_signal(signal.SIGINT)
        child.wait(20)
        os.close(master)
    return lines


def paced(lines: Sequence[Line]) -> list[Line]:
    """The same lines, without long pauses and from 0 on."""
    found: list[Line] = []
    at = before = 0.0
    for line in lines:
        at += min(line.at - before, LONGEST_PAUSE)
        before = line.at
        found.append(Line(at, line.text))
    return found


def folded(lines: Sequence[Line]) -> list[Line]:
    """The same lines, none longer than the terminal is wide."""
    return [
        Line(line.at, line.text[start : start + COLUMNS])
        for line in lines
        for start in range(0, max(1, len(line.text)), COLUMNS)
    ]


def svg(lines: Sequence[Line]) -> str:
    """The picture: all lines one below the other, moved up behind a window as they appear."""
    lines = folded(paced(lines))
    width, height = round(COLUMNS * CHARACTER + 2 * MARGIN), BAR + ROWS * LINE + MARGIN
    total = lines[-1].at + LAST_PAUSE
    steps = "\n".join(
        f"{100 * line.at / total:.2f}% {{ transform: translateY({(ROWS - shown) * LINE}px) }}"
        for shown, line in enumerate(lines, 1)
    )
    last = (ROWS - len(lines)) * LINE
    texts = "\n".join(
        f'<text class="{_kind(line.text)}" x="{MARGIN}" y="{(row + 1) * LINE - 5}">'
        f"{escape(line.text)}</text>"
        for row, line in enumerate(lines)
    )
    dots = "".join(
        f'<circle cx="{MARGIN + 5 + 18 * n}" cy="15" r="5" fill="#3a3f4b"/>' for n in range(3)
    )
    box = f'viewBox="0 0 {width} {height}" width="{width}"'
    return f"""<svg xmlns="http://www.w3.org/2000/svg" {box}>
<title>nbclient --demo: frames, a lost connection, growing pauses, the reconnect</title>
<style>{STYLE}
#lines {{ transform: translateY({last}px) }}
@media (prefers-reduced-motion: no-preference) {{
#lines {{ animation: play {total:.2f}s step-end infinite }} }}
@keyframes play {{
0% {{ transform: translateY({ROWS * LINE}px) }}
{steps}
}}</style>
{dots}
<svg x="0" y="{BAR}" width="{width}" height="{ROWS * LINE}"><g id="lines">
{texts}
</g></svg>
</svg>
"""


def _kind(text: str) -> str:
    if not text.startswith("nbclient: "):
        return "frame"
    if text.endswith(": ready") or " ready after " in text or "back" in text:
        return "ready"
    return "lost" if "closed" in text or "refused" in text or "lost" in text else "log"


def came_back(lines: Sequence[Line]) -> bool:
    """True if the demo feed greeted a second connection."""
    return sum("welcome to the demo feed" in line.text for line in lines) >= 2


def main(words: Sequence[str] | None = None) -> int:
    """Record, write, and say whether the demo came back."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=24.0, help="how long to record")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "demo.svg")
    options = parser.parse_args(words)
    lines = record((sys.executable, "-m", "nbclient", "--demo"), options.seconds)
    options.output.write_text(svg(lines), encoding="utf-8")
    print(f"{options.output.name}: {len(lines)} lines")
    return 0 if came_back(lines) else 1


if __name__ == "__main__":
    sys.exit(main())
