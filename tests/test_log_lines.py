"""No line of a log holds a traceback, or a Python object as Python shows it."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.internet import error
from twisted.python.failure import Failure

from nbclient import errors
from nbclient.connection.wording import explain

PACKAGE = Path(__file__).parent.parent / "nbclient"
LEVELS = ("debug", "info", "warn", "error", "critical", "failure")

# Bytes of the peer, shown as such: b'...' is what says where they begin and end.
BYTES = {("protocol.py", "shown")}

FAULTS = {"error", "exception", "failure", "fault", "reason", "value"}
"""What exceptions and failures are called here: `str` or `explain` comes between them and a log."""


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Every call of a logger."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                owner = ast.unparse(node.func.value).split(".")[-1]
                if node.func.attr in LEVELS and owner in ("log", "_log"):
                    yield path.name, node


CALLS = list(calls())


def test_they_are_found() -> None:
    assert len(CALLS) > 60


@pytest.mark.parametrize(
    ("file", "call"), CALLS, ids=[f"{file}:{call.lineno}" for file, call in CALLS]
)
def test_its_fields_are_words_and_not_objects(file: str, call: ast.Call) -> None:
    template = call.args[0]
    if isinstance(template, ast.Constant):
        for field in str(template.value).split("{")[1:]:
            name, _, conversion = field.partition("}")[0].partition("!")
            assert not conversion or (file, name) in BYTES
    for keyword in call.keywords:
        given = keyword.value
        last = given.attr if isinstance(given, ast.Attribute) else getattr(given, "id", "")
        assert last not in FAULTS, f"{keyword.arg}={ast.unparse(given)}: no object, but words"


def kinds() -> list[type[BaseException]]:
    """All that Twisted and this package raise, and some of Python's."""
    found = [*vars(error).values(), *vars(errors).values(), ValueError, OSError, KeyError]
    return [each for each in found if inspect.isclass(each) and issubclass(each, BaseException)]


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_a_failure_within_a_failure_is_told_in_words(kind: type[BaseException]) -> None:
    try:
        raise error.ConnectionDone
    except error.ConnectionDone:
        within = Failure()
    value = kind.__new__(kind)
    value.args = (within,)
    if hasattr(kind, "osError") or issubclass(kind, error.ConnectError):
        value.osError = None  # type: ignore[attr-defined]
    line = explain(Failure(value))
    assert line
    for sign in ("Failure instance", "Traceback", "<twisted", " at 0x"):
        assert sign not in line
