"""docs/recipes.md as programs: each recipe is run from the page, not a letter changed.

On the page ``<!-- recipe: NAME -->`` stands before a command. The variables it
uses are set in the block below ``<!-- setup: NAME -->``: what a reader changes to
fit, and so does a test, by the environment. ``<!-- file: NAME FILE -->`` stands
before the contents of a file, ``<!-- needs: NAME PATH -->`` names one of ours
that the reader copies into the current folder.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import sys
from pathlib import Path

from attrs import field, frozen

from tests.real.children import PATIENCE, ROOT, Child, leash

PAGE = ROOT / "docs" / "recipes.md"
_MARKED = re.compile(
    r"^<!-- (?P<kind>setup|recipe|file): (?P<name>[a-z0-9]+)(?: (?P<file>\S+))? -->\n"
    r"```\w+\n(?P<text>.*?)^```$",
    re.M | re.S,
)
# What SIGTERM ends is the program; the shell waits for it, as an operator's does.
_SHELL = "trap : TERM; . ./recipe.sh"
_NEEDS = re.compile(r"^<!-- needs: (?P<name>[a-z0-9]+) (?P<path>\S+) -->$", re.M)


@frozen
class Recipe:
    """One of the page.

    :ivar variables: what its setup sets, as printed.
    :ivar command: for ``sh``.
    :ivar files: by name, their contents.
    :ivar needs: files of this repository.
    """

    variables: dict[str, str]
    command: str
    files: dict[str, str] = field(factory=dict)
    needs: list[Path] = field(factory=list)

    def used(self) -> set[str]:
        """The variables that the command and the files expect to be set."""
        text = "\n".join([self.command, *self.files.values()])
        return set(re.findall(r"\$(?:\{(?:env:)?)?([A-Z][A-Z0-9_]*)\b", text))


def recipes(page: str | None = None) -> dict[str, Recipe]:
    """All of them by name, in the order of the page."""
    page = PAGE.read_text("utf-8") if page is None else page
    parts: dict[str, dict[str, str]] = {}
    files: dict[str, dict[str, str]] = {}
    for found in _MARKED.finditer(page):
        if found["kind"] == "file":
            files.setdefault(found["name"], {})[found["file"]] = found["text"]
        else:
            parts.setdefault(found["name"], {})[found["kind"]] = found["text"]
    needs: dict[str, list[Path]] = {}
    for found in _NEEDS.finditer(page):
        needs.setdefault(found["name"], []).append(ROOT / found["path"])
    return {
        name: Recipe(
            _exports(blocks["setup"]),
            blocks["recipe"],
            files.get(name, {}),
            needs.get(name, []),
        )
        for name, blocks in parts.items()
    }


def _exports(setup: str) -> dict[str, str]:
    """What ``export NAME=VALUE ...`` sets."""
    first, *words = shlex.split(setup)
    assert first == "export", setup
    return dict(word.split("=", 1) for word in words)


class Cook(Child):
    """A recipe that runs, with the pipelines and coprocesses that the shell made of it.

    :param folder: its current folder, which gets what the recipe needs.
    :param values: for exactly the variables that the setup sets.
    """

    def __init__(self, name: str, folder: Path, **values: object) -> None:
        recipe = recipes()[name]
        assert set(values) == set(recipe.variables)
        for needed in recipe.needs:
            shutil.copy(needed, folder)
        for file, text in recipe.files.items():
            (folder / file).write_text(text, "utf-8")
        (folder / "recipe.sh").write_text(recipe.command, "utf-8")
        environment = {"PATH": f"{_programs(folder)}:{os.environ['PATH']}", **values}
        assignments = [f"{variable}={value}" for variable, value in environment.items()]
        super().__init__(["env", *assignments, "sh", "-c", _SHELL], cwd=folder)

    def kill(self) -> None:
        """All of it, at once."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(PATIENCE)

    def stop(self) -> int:
        """By SIGTERM to all of it, as systemd does; the exit status, as the shell says it."""
        os.killpg(self.process.pid, signal.SIGTERM)
        return self.wait()

    def close(self) -> None:
        """End it, and let pytest show what it said if the test fails."""
        super().close()
        print(self.err.text, end="")

    def __enter__(self) -> Cook:
        return self


def _programs(folder: Path) -> Path:
    """A folder in which ``python`` and ``twistd`` are ours, and end with the shell."""
    programs = folder / ".programs"
    programs.mkdir(exist_ok=True)
    for name, command in {"python": "", "twistd": " -m twisted"}.items():
        script = programs / name
        words = shlex.join([*leash(), sys.executable])
        script.write_text(f'#!/bin/sh\nexec {words}{command} "$@"\n')
        script.chmod(0o755)
    return programs
