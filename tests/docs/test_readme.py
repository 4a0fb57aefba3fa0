"""What the README shows is what there is."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from twisted.application.service import IServiceCollection

from nbclient.daemon.cli.parser import ShellOptions, TwistdOptions

README = (Path(__file__).parents[2] / "README.md").read_text()


def commands(start: str) -> list[list[str]]:
    """The commands of the README that begin with `start`, without their redirections."""
    blocks = "\n".join(re.findall(r"^```sh\n(.*?)^```", README, re.M | re.S))
    found = re.findall(rf"^{re.escape(start)} (.+)$", blocks, re.M)
    return [shlex.split(line.partition(" > ")[0].partition(" #")[0]) for line in found]


@pytest.mark.parametrize("words", commands("nbclient"), ids=" ".join)
def test_each_command_for_a_terminal_is_understood(words: list[str]) -> None:
    ShellOptions().parseOptions(words)


@pytest.mark.parametrize("words", commands("twistd -n --pidfile= nbclient"), ids=" ".join)
def test_each_command_for_twistd_is_understood(words: list[str]) -> None:
    TwistdOptions().parseOptions(words)


def test_there_are_commands_to_be_tested() -> None:
    assert len(commands("nbclient")) == 4
    assert len(commands("twistd -n --pidfile= nbclient")) == 1


def test_the_example_of_the_library_runs_as_it_stands() -> None:
    code = README.partition("<!-- code: library -->\n```python\n")[2].partition("```")[0]
    names: dict[str, Any] = {}
    exec(compile(code, "README.md", "exec"), names)
    (link,) = IServiceCollection(names["application"])
    assert link.factory is names["factory"]
    assert link.factory.stats().outbox.waiting == 1


@pytest.mark.parametrize("target", re.findall(r"\]\((?!http|#)([^)]+)\)", README))
def test_each_link_leads_somewhere(target: str) -> None:
    assert (Path(__file__).parents[2] / target.partition("#")[0]).exists()


def test_it_is_read_in_a_minute() -> None:
    assert len(README.splitlines()) <= 150
