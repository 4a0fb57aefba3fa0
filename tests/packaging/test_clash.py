"""Jupyter's package has our import name: what one sees where both are installed."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from .conftest import ROOT, Environment

JUPYTER = "0.11.0"


@pytest.fixture(scope="session")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a small wheel with the names of Jupyter's."""
    information = f"nbclient-{JUPYTER}.dist-info"
    files = {
        "nbclient/__init__.py": f"__version__ = {JUPYTER!r}\n",
        "nbclient/client.py": "class NotebookClient: ...\n",
        f"{information}/METADATA": f"Metadata-Version: 2.1\nName: nbclient\nVersion: {JUPYTER}\n",
        f"{information}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{information}/RECORD"] = "".join(f"{name},,\n" for name in files)
    path = tmp_path_factory.mktemp("jupyter") / f"nbclient-{JUPYTER}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


@pytest.mark.parametrize("last", ["ours", "jupyter"])
def test_one_folder_shared_with_jupyter_is_refused_whichever_came_last(
    last: str, environment: Environment, wheel: Path, jupyter: Path
) -> None:
    for package in (jupyter, wheel) if last == "ours" else (wheel, jupyter):
        environment.install(package)
    assert (environment.python_says("import nbclient; print(nbclient.__version__)") == JUPYTER) == (
        last == "jupyter"
    )
    by_module = "import runpy; runpy.run_module('{}', run_name='__main__', alter_sys=True)"
    for done in (
        environment.twistd("nbclient", "--host", "localhost", "--port", "9", status=2),
        environment.run_python(by_module.format("nbclient"), "localhost", "9", status=2),
        environment.run_python(by_module.format("nbclient.spool"), "list", "spool", status=2),
    ):
        assert done.stdout == ""
        assert done.stderr.startswith("nbclient: nbclient and twisted-nbclient are installed in")
        assert done.stderr.count("\n") == 1


def test_beside_an_editable_install_the_readme_names_the_error_one_sees(
    environment: Environment, tree: Path, jupyter: Path
) -> None:
    """Jupyter's package hides ours completely there, so nothing of ours can say it."""
    environment.install("-e", tree)
    environment.install(jupyter)
    done = environment.twistd("nbclient", "--host", "localhost", "--port", "9", status=1)
    last = done.stderr.splitlines()[-1]
    assert last == "AttributeError: module 'nbclient' has no attribute 'tap'"
    assert last in (ROOT / "README.md").read_text()


def test_no_document_tells_people_to_install_jupyters_package() -> None:
    documents = [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]
    for path in documents:
        text = path.read_text()
        assert "pip install nbclient" not in text, path
        assert "pip install 'nbclient" not in text, path
