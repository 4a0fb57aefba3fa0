"""docs/recipes.md is complete, and says what has to be set."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from nbclient.daemon.cli.parser import TwistdOptions
from tests.recipes.printed import PAGE, recipes

ALL = recipes()
PIPED = {name for name, recipe in ALL.items() if re.search(" [|]|>>|&&", recipe.command)}


@pytest.mark.parametrize("name", ALL)
def test_what_a_recipe_uses_is_what_its_setup_sets(name: str) -> None:
    """Neither may a variable be missing nor one be set for nothing."""
    assert ALL[name].used() == set(ALL[name].variables)


def test_every_block_of_the_page_belongs_to_a_recipe_and_each_recipe_is_run() -> None:
    """A block without its mark would be printed and never run."""
    blocks = len(re.findall(r"^```\w+$", PAGE.read_text("utf-8"), re.M))
    assert blocks == sum(2 + len(recipe.files) for recipe in ALL.values())
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert set(re.findall(r'bench\.cook\(\s*"(\w+)"', tests)) == set(ALL)


@pytest.mark.parametrize("name", [name for name in ALL if name not in PIPED])
def test_what_is_no_pipe_runs_under_twistd_too(name: str) -> None:
    """With the options as they are, as the page says."""
    command = ALL[name].command.replace("\\\n", "")
    for variable, value in ALL[name].variables.items():
        command = command.replace(f"${variable}", value)
    *program, host, port = shlex.split(command)[:5]
    assert program == ["python", "-m", "nbclient"]
    options = shlex.split(command)[5:]
    TwistdOptions().parseOptions(["--host", host, "--port", port, *options])


@pytest.mark.parametrize("target", re.findall(r"\]\((?!http|#)([^)]+)\)", PAGE.read_text("utf-8")))
def test_each_link_leads_somewhere(target: str) -> None:
    assert (PAGE.parent / target.partition("#")[0]).exists()
