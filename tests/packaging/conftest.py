"""Fresh environments to install into, made without an index.

An environment has its own interpreter, and in its own site-packages real files
(hard links) of Twisted, of what Twisted needs, and of setuptools, taken from the
environment that runs the tests. So ours is the only thing that pip installs, and
it lands where it would land anywhere: in Twisted's own folder.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator, Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[2]
SETUPTOOLS = Version("77")

# What of this process's environment would leak into a fresh one.
LEAKS = ("COVERAGE", "PYTHON", "VIRTUAL_ENV", "PIP_USER", "PIP_TARGET", "PIP_PREFIX")


def run(argv: Sequence[str | Path], cwd: Path, **environ: str) -> CompletedProcess[str]:
    """Run a command, bounded, with nothing of this process's environment that matters here."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(LEAKS)}
    return subprocess.run(
        argv,
        cwd=cwd,
        env=kept | environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )


def checked(done: CompletedProcess[str], status: int = 0) -> CompletedProcess[str]:
    assert done.returncode == status, f"{done.args}\n{done.stdout}\n{done.stderr}"
    return done


def needed(name: str, found: dict[str, metadata.Distribution]) -> None:
    """Collect an installed distribution and all that it requires."""
    if name in found:
        return
    found[name] = metadata.distribution(name)
    for text in found[name].requires or ():
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            needed(requirement.name, found)


def files_inside(distribution: metadata.Distribution) -> Iterator[tuple[Path, Path]]:
    """Give where each file of its packages lies, and its path in site-packages."""
    for file in distribution.files or ():
        source = Path(str(file.locate()))
        if ".." not in file.parts and source.is_file():
            yield source, Path(*file.parts)


def link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:  # another file system
        shutil.copy2(source, target)


class Environment:
    """A virtual environment that holds Twisted and no package of ours."""

    def __init__(self, where: Path, distributions: list[metadata.Distribution]) -> None:
        self.where = where
        venv.create(where, symlinks=True, with_pip=False)
        self.python = where / "bin" / "python"
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        self.site = where / "lib" / version / "site-packages"
        for distribution in distributions:
            for source, inside in files_inside(distribution):
                link(source, self.site / inside)

    def run_python(self, program: str, *arguments: str, status: int = 0) -> CompletedProcess[str]:
        """Run a program as a console script would: the current folder is not searched."""
        argv = (self.python, "-P", "-c", program, *arguments)
        return checked(run(argv, self.where, PYTHONWARNINGS="error"), status)

    def pip(self, *arguments: str | Path) -> None:
        """Run the pip of the tests' own environment on this one."""
        pip = (sys.executable, "-m", "pip", "--python", self.python, "-q")
        checked(run((*pip, *arguments), self.where, PIP_DISABLE_PIP_VERSION_CHECK="1"))

    def install(self, *what: str | Path) -> None:
        self.pip("install", "--no-index", "--no-deps", "--no-build-isolation", *what)

    def twistd(self, *arguments: str, status: int = 0) -> CompletedProcess[str]:
        program = (
            "import sys; from twisted.scripts.twistd import run; sys.argv[0] = 'twistd'; run()"
        )
        return self.run_python(program, *arguments, status=status)

    def command(self, *arguments: str) -> str:
        """What the installed ``nbclient`` prints."""
        return checked(run((self.where / "bin" / "nbclient", *arguments), self.where)).stdout

    def command_by_module(self, *arguments: str) -> str:
        """What ``python -m nbclient`` prints."""
        argv = (self.python, "-P", "-m", "nbclient", *arguments)
        return checked(run(argv, self.where)).stdout

    def python_says(self, program: str) -> str:
        return self.run_python(program).stdout.strip()


@pytest.fixture(scope="session")
def tools() -> None:
    """Skip where the packaging tools are not there; the ``test`` extra has them."""
    for module in ("pip", "build", "setuptools"):
        if find_spec(module) is None:
            pytest.skip(f"{module} is not installed in the environment of the tests")
    if Version(metadata.version("setuptools")) < SETUPTOOLS:
        pytest.skip(f"setuptools is older than {SETUPTOOLS}")


@pytest.fixture(scope="session")
def distributions(tools: None) -> list[metadata.Distribution]:
    """Collect what a fresh environment starts with."""
    found: dict[str, metadata.Distribution] = {}
    for name in ("twisted", "regex"):  # what is required and not ours
        needed(name, found)
    needed("setuptools", found)
    return list(found.values())


@pytest.fixture
def environment(tmp_path: Path, distributions: list[metadata.Distribution]) -> Environment:
    return Environment(tmp_path / "environment", distributions)


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the checkout, so that building and installing leave nothing in it."""
    copy = tmp_path_factory.mktemp("checkout") / "nbclient"
    leave = shutil.ignore_patterns(
        ".*", "build", "dist", "*.egg-info", "__pycache__", "dropin.cache", "_trial_temp*"
    )
    return Path(shutil.copytree(ROOT, copy, ignore=leave))


@pytest.fixture(scope="session")
def built(tools: None, tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the sdist and, from it, the wheel; give the folder that holds both."""
    out = tmp_path_factory.mktemp("dist")
    checked(run((sys.executable, "-m", "build", "--no-isolation", "--outdir", out, tree), out))
    return out


@pytest.fixture(scope="session")
def wheel(built: Path) -> Path:
    (path,) = built.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def sdist(built: Path) -> Path:
    (path,) = built.glob("*.tar.gz")
    return path
