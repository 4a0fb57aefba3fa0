"""Import paths that documents and examples name: they go on working, and load no more than
needed."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

DOORS = {
    "nbclient.alternatives": "nbclient.endpoints.failover",
    "nbclient.delivery.spool": "nbclient.spool.spool",
    "nbclient.proxies": "nbclient.endpoints.proxy",
    "nbclient.reasons": "nbclient.connection.wording",
    "nbclient.spooling": "nbclient.link.spooling",
    "nbclient.talking": "nbclient.core.automation",
    "nbclient.terminal": "nbclient.core.terminal",
    "nbclient.testing": "nbclient.testing.pipe",
}
"""Each with the module that holds what it names."""

LAZY = ("nbclient.endpoints", "nbclient.spool")
"""Packages that load their public names on first use."""


@pytest.mark.parametrize("door", DOORS)
def test_a_name_is_the_very_object_of_its_home(door: str) -> None:
    here, home = import_module(door), import_module(DOORS[door])
    assert here.__all__
    assert [name for name in here.__all__ if getattr(here, name) is not getattr(home, name)] == []


@pytest.mark.parametrize("package", LAZY)
def test_each_public_name_of_a_lazy_package_is_there(package: str) -> None:
    module = import_module(package)
    assert [name for name in module.__all__ if getattr(module, name, None) is None] == []
    assert set(module.__all__) <= set(dir(module))


@pytest.mark.parametrize("package", LAZY)
def test_an_unknown_name_of_a_lazy_package_is_an_attribute_error(package: str) -> None:
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'bogus'"):
        import_module(package).bogus  # noqa: B018


@pytest.mark.parametrize("package", LAZY)
def test_a_lazy_package_loads_nothing_before_a_name_is_used(package: str) -> None:
    code = f"import sys, {package}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    ours = [name for name in done.stdout.split() if name.partition(".")[0] in ("nbclient", "attr")]
    assert ours == ["nbclient", package]


def test_a_function_of_the_endpoints_is_not_taken_for_a_module() -> None:
    """No file of the package may have the name of one of its functions.

    Importing such a file would put the module in the function's place.
    """
    package = import_module("nbclient.endpoints")
    files = {path.stem for path in Path(str(package.__file__)).parent.glob("*.py")}
    assert not files & set(package.__all__)
