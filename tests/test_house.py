"""The three rings of docs/house.md: every module has its place, and imports point inward."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "nbclient"
PAGE = (ROOT / "docs" / "house.md").read_text()

MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in PACKAGE.rglob("*.py")
}


def chapter(number: int) -> str:
    """The text of one ring."""
    return PAGE.partition(f"## {number}. ")[2].partition("\n## ")[0]


def names(text: str) -> set[str]:
    """The modules that a text names, packages for all that is in them."""
    found = {name.strip("/") for name in re.findall(r"`([a-z_./]+)`", text)} - {"nbclient"}
    return {
        module
        for module in MODULES
        for name in found
        if module == f"nbclient.{name}" or module.startswith(f"nbclient.{name}.")
    }


RINGS = [names(chapter(number)) for number in (1, 2, 3)]
FREE = {"nbclient", "nbclient.delivery"}  # names and nothing else


def imports(module: str) -> set[str]:
    """The modules that it imports anywhere, those for the type checker left out."""
    tree = ast.parse(MODULES[module].read_text())
    checked = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and "TYPE_CHECKING" in ast.unparse(branch.test)
        for statement in branch.body
        for node in ast.walk(statement)
    }
    found = set()
    for node in ast.walk(tree):
        if id(node) in checked:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def test_every_module_has_one_place_in_the_house() -> None:
    placed = [module for ring in RINGS for module in ring]
    assert sorted(placed) == sorted(set(placed)), "named in two rings"
    assert set(MODULES) - FREE - {"nbclient.__main__"} == set(placed) - {"nbclient.__main__"}


@pytest.mark.parametrize("module", sorted(RINGS[0]))
def test_the_inner_ring_knows_no_twisted_and_nobody_outside(module: str) -> None:
    known = imports(module)
    assert not {name for name in known if name.split(".")[0] in ("twisted", "zope")}
    assert not known & (RINGS[1] | RINGS[2])


@pytest.mark.parametrize("module", sorted(RINGS[1]))
def test_the_middle_ring_does_not_know_the_program(module: str) -> None:
    assert not imports(module) & RINGS[2]
