"""Where the steps of a hot path are: instructions per frame, by function.

    python -m benchmarks.steps [PATH]...

The paths are those of `benchmarks.guard`. Counts, so they are the same on any machine; what
a reason in `notes.md` quotes as evidence comes from here.
"""

from __future__ import annotations

import sys

from benchmarks import guard


def lines(path: str, least: int) -> list[str]:
    """The functions with at least so many instructions for a thousand frames."""
    guard.PATHS[path]()
    count = guard.PATHS[path]()
    found = sorted(count.by_function.items(), key=lambda each: -each[1][1])
    head = f"{path}: {count.calls / guard.FRAMES:.2f} calls, "
    head += f"{count.instructions / guard.FRAMES:.0f} instructions a frame"
    rows = [
        f"  {name:48}{calls / guard.FRAMES:7.2f}{instructions / guard.FRAMES:8.1f}"
        for name, (calls, instructions) in found
        if instructions >= least
    ]
    return [head, *rows]


def main(words: list[str]) -> None:
    """Print them."""
    for path in words or guard.PATHS:
        print("\n".join(lines(path, guard.FRAMES)))


if __name__ == "__main__":
    main(sys.argv[1:])
