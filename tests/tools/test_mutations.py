"""The list of mutations cannot rot, nor the document that rests on it; and the script can fail."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.conformance.scripts import script_as_module

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "regressions.md"


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    """tools/mutations.py as a module."""
    with script_as_module("mutations") as module:
        yield module


# -- the list


def test_every_mutation_can_still_be_made(script: ModuleType) -> None:
    """Its old text stands there exactly once, and what is left is Python."""
    faults = []
    for mutation in script.MUTATIONS:
        file = ROOT / mutation.file
        try:
            script.mutated(file.read_text() if file.exists() else "", mutation)
        except script.CannotTry as error:
            faults.append(f"{mutation.name}: {error}")
    assert faults == []


def test_a_name_stands_for_one_mutation_that_somebody_would_notice(script: ModuleType) -> None:
    names = [mutation.name for mutation in script.MUTATIONS]
    assert len(set(names)) == len(names)
    assert [each.name for each in script.MUTATIONS if not each.tests] == []


def test_every_test_named_is_there(script: ModuleType) -> None:
    """Otherwise pytest would say so, but only once somebody runs the script."""
    defined = {path: definitions(path) for path in (ROOT / "tests").rglob("*.py")}
    inherited = {
        name.rpartition("::")[2]
        for path, names in defined.items()
        if path.parent.name == "conformance"
        for name in names
    }
    missing = []
    for test in {test for mutation in script.MUTATIONS for test in mutation.tests}:
        file, _, name = test.partition("::")
        name = name.partition("[")[0]
        here = defined.get(ROOT / file, set())
        klass, _, method = name.rpartition("::")
        if name not in here and not (klass in here and method in inherited):
            missing.append(test)
    assert missing == []


def definitions(path: Path) -> set[str]:
    """What a test file defines: ``function``, ``Class`` and ``Class::method``."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
                    found.add(f"{node.name}::{inner.name}")
    return found


# -- the document


def rows() -> list[tuple[set[str], list[str]]]:
    """Of each line of its tables: the tests, and the mutations they fail under."""
    found = []
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if len(cells) == 4 and "::" in cells[2]:
            tests, mutations = (re.findall(r"`([^`]+)`", cell) for cell in cells[2:])
            found.append(({f"tests/{test}" for test in tests}, mutations))
    return found


def test_each_line_names_tests_that_were_seen_to_fail(script: ModuleType) -> None:
    known = {mutation.name: set(mutation.tests) for mutation in script.MUTATIONS}
    assert len(rows()) > 20
    for tests, mutations in rows():
        assert mutations
        assert tests <= set().union(*(known[name] for name in mutations))
        for name in mutations:
            assert tests & known[name], name


def test_each_mutation_stands_for_a_line(script: ModuleType) -> None:
    told = {name for _, mutations in rows() for name in mutations}
    assert told == {mutation.name for mutation in script.MUTATIONS}


# -- the script


@pytest.fixture
def tried(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The script over one mutation, with what pytest says made up; it keeps what it was given."""
    mutation = script.Mutation(
        "version", "nbclient/__init__.py", "__version__ = ", "__version__ = 'broken' + ", ("t::a",)
    )
    said = {"sound": (0, ""), "broken": (1, "FAILED t::a - AssertionError\n")}

    def run_tests(tree: Path, tests: Any, limit: float) -> tuple[int | None, str]:
        text = (tree / "nbclient" / "__init__.py").read_text()
        return said["broken" if "'broken' + " in text else "sound"]

    monkeypatch.setattr(script, "MUTATIONS", (mutation,))
    monkeypatch.setattr(script, "run_tests", run_tests)
    return said


def test_a_mutation_that_is_noticed_is_killed(
    script: ModuleType, tried: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert script.main([]) == 0
    assert capsys.readouterr().out.startswith("KILLED    version")
    assert "broken" not in (ROOT / "nbclient" / "__init__.py").read_text()


def test_one_that_is_not_survives_with_the_tests_that_passed(
    script: ModuleType, tried: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    for printed in ("", "FAILED t::b - AssertionError\n"):
        tried["broken"] = (1 if printed else 0, printed)
        assert script.main(["--only", "version"]) == 1
        out = capsys.readouterr().out
        assert out.startswith("SURVIVED  version")
        assert "          t::a\n" in out


@pytest.mark.parametrize("status", [None, 2, 4, 5])
def test_what_is_neither_passed_nor_failed_is_no_kill(
    script: ModuleType, tried: Any, status: int | None, capsys: pytest.CaptureFixture[str]
) -> None:
    tried["broken"] = (status, "FAILED t::a - AssertionError\n")
    assert script.main([]) == 2
    assert capsys.readouterr().out.startswith("BROKEN    version")


def test_tests_that_fail_with_nothing_broken_show_nothing(script: ModuleType, tried: Any) -> None:
    tried["sound"] = (1, "FAILED t::a - AssertionError\n")
    assert script.main([]) == 2


def test_each_test_named_must_fail_itself(script: ModuleType) -> None:
    printed = "FAILED t.py::A::test_it[x y] - no\nERROR t.py::B::test_other - no\nFAILED t.py::c2\n"
    tests = ["t.py::A::test_it", "t.py::A", "t.py::B::test", "t.py::c", "t.py::c2"]
    assert script.still_passing(tests, printed) == ["t.py::B::test", "t.py::c"]


def test_a_mutation_must_fit_its_file(script: ModuleType) -> None:
    def make(text: str, old: str, new: str) -> None:
        script.mutated(text, script.Mutation("m", "m.py", old, new, ("t",)))

    make("a = 1\n", "1", "2")
    for text, old, new in (("a = 1\n", "2", "3"), ("a = 1 + 1\n", "1", "2"), ("a = 1\n", "1", "")):
        with pytest.raises(script.CannotTry):
            make(text, old, new)


def test_a_name_that_is_none_is_refused_and_the_list_can_be_seen(
    script: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        script.main(["--only", "bogus"])
    assert script.main(["--list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(script.MUTATIONS)
