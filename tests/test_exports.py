"""The public names of the package, pinned, and loaded no sooner than used."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import nbclient

ROOT = Path(__file__).resolve().parent.parent

HOMES = {
    "Backoff": "nbclient.core.backoff",
    "FrameProtocol": "nbclient.connection.protocol",
    "LinkService": "nbclient.link.service",
    "ReconnectingFactory": "nbclient.link.factory",
    "RequestProtocol": "nbclient.connection.requests",
    "State": "nbclient.core.states",
}


def fresh(code: str) -> list[str]:
    """The words that `code` prints in an interpreter that has loaded nothing yet."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=30
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_the_public_names_are_these_and_no_others() -> None:
    assert sorted(nbclient.__all__) == sorted([*HOMES, "__version__", "endpoints", "framing"])


@pytest.mark.parametrize("name", sorted(HOMES))
def test_a_public_name_is_the_very_object_of_its_home(name: str) -> None:
    assert getattr(nbclient, name) is getattr(import_module(HOMES[name]), name)


def test_framing_is_there_without_an_import_of_its_own() -> None:
    assert fresh("import nbclient; print(nbclient.framing.__name__)") == ["nbclient.framing"]


def test_a_star_import_binds_every_public_name() -> None:
    bound = fresh("from nbclient import *; print(*globals())")
    assert set(nbclient.__all__) <= set(bound)


def test_the_version_is_one_that_pip_understands() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+|(a|b|rc)\d+)?", nbclient.__version__)


def test_dir_lists_what_is_not_loaded_yet_for_completion_at_the_prompt() -> None:
    assert set(nbclient.__all__) <= set(fresh("import nbclient; print(*dir(nbclient))"))
    assert dir(nbclient) == sorted(set(dir(nbclient)))


def test_an_unknown_name_is_an_attribute_error_that_names_it() -> None:
    with pytest.raises(AttributeError, match=r"module 'nbclient' has no attribute 'Link'"):
        nbclient.Link  # noqa: B018


def test_an_unknown_name_cannot_be_imported() -> None:
    with pytest.raises(ImportError, match="Link"):
        exec("from nbclient import Link", {})


def test_importing_the_package_loads_neither_twisted_nor_anything_else_of_ours() -> None:
    loaded = fresh("import nbclient, sys; print(*sys.modules)")
    ours = [name for name in loaded if name.split(".")[0] in ("nbclient", "twisted", "attr")]
    assert ours == ["nbclient"]


def test_no_public_name_installs_a_reactor() -> None:
    code = "import sys; from nbclient import *; print('twisted.internet.reactor' in sys.modules)"
    assert fresh(code) == ["False"]
