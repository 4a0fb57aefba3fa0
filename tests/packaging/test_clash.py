"""Jupyter's package has our import name: what one sees where both are installed."""

from __future__ import annotations

import zipfile
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from .conftest import ROOT, Environment, run

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


def each_way_in(environment: Environment) -> list[CompletedProcess[str]]:
    """Run all that can be started, as a user does."""
    bin = environment.where / "bin"
    twistd = "import sys; from twisted.scripts.twistd import run; sys.argv[0] = 'twistd'; run()"
    python = (environment.python, "-P")
    return [
        run((bin / "nbclient", "localhost", "9"), environment.where),
        run((*python, "-m", "nbclient", "localhost", "9"), environment.where),
        run((*python, "-m", "nbclient.spool", "list", "spool"), environment.where),
        run((*python, "-c", twistd, "nbclient", "--host", "h", "--port", "9"), environment.where),
    ]


@pytest.mark.parametrize("last", ["ours", "jupyter"])
def test_one_folder_shared_with_jupyter_is_refused_whichever_came_last(
    last: str, environment: Environment, wheel: Path, jupyter: Path
) -> None:
    for package in (jupyter, wheel) if last == "ours" else (wheel, jupyter):
        environment.install(package)
    assert (environment.python_says("import nbclient; print(nbclient.__version__)") == JUPYTER) == (
        last == "jupyter"
    )
    for done in each_way_in(environment):
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("nbclient: nbclient and twisted-nbclient are installed in")
        assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("last", ["ours", "jupyter"])
def test_what_is_left_when_jupyters_was_removed_is_refused(
    last: str, environment: Environment, wheel: Path, jupyter: Path
) -> None:
    for package in (jupyter, wheel) if last == "ours" else (wheel, jupyter):
        environment.install(package)
    environment.pip("uninstall", "-y", "nbclient")
    for done in each_way_in(environment):
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("nbclient: twisted-nbclient is damaged: its nbclient/__init")
        assert done.stderr.count("\n") == 1


def test_beside_an_editable_install_the_readme_names_the_error_one_sees(
    environment: Environment, tree: Path, jupyter: Path
) -> None:
    """Jupyter's package hides ours completely there, so nothing of ours can say it."""
    environment.install("-e", tree)
    environment.install(jupyter)
    ends = [done.stderr.splitlines()[-1] for done in each_way_in(environment)]
    said = [end.removeprefix(f"{environment.python}: ") for end in ends]
    assert said == [
        "ModuleNotFoundError: No module named 'nbclient.__main__'",
        "No module named nbclient.__main__;"
        " 'nbclient' is a package and cannot be directly executed",
        "No module named nbclient.spool",
        "AttributeError: module 'nbclient' has no attribute 'tap'",
    ]
    deploy = " ".join((ROOT / "docs" / "deploy.md").read_text().split())
    assert all(f"`{words}`" in deploy for words in said)
    assert all(f"`{words}`" in (ROOT / "README.md").read_text() for words in (said[0], said[3]))


def test_no_document_tells_people_to_install_jupyters_package() -> None:
    documents = [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]
    for path in documents:
        text = path.read_text()
        assert "pip install nbclient" not in text, path
        assert "pip install 'nbclient" not in text, path
