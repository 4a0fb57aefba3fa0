"""Every way of installing gives a ``twistd`` that lists nbclient, and goes without a trace."""

from __future__ import annotations

import re
import tarfile
import zipfile
from pathlib import Path

import pytest

import nbclient

from .conftest import ROOT, Environment

PLUGIN = "twisted/plugins/nbclient_plugin.py"


def modules(tree: Path, folder: str) -> set[str]:
    return {str(path.relative_to(tree)) for path in (tree / folder).rglob("*.py")}


def sources(tree: Path) -> set[str]:
    """Give the files of the package and the plugin, as the wheel should hold them."""
    return modules(tree, "nbclient") | {"nbclient/py.typed", PLUGIN}


def lists_nbclient(environment: Environment) -> bool:
    help_text = environment.twistd("--help").stdout
    return any(line.split()[:1] == ["nbclient"] for line in help_text.splitlines())


def files_of_twisted(environment: Environment) -> set[Path]:
    """List Twisted's files, without what Python and Twisted write as they run."""
    every = (path for path in (environment.site / "twisted").rglob("*") if path.is_file())
    return {path for path in every if path.suffix != ".pyc" and path.name != "dropin.cache"}


def test_the_wheel_holds_the_package_the_plugin_and_nothing_else(wheel: Path, tree: Path) -> None:
    """No tests, no ``twisted/__init__.py`` that would cover Twisted's own."""
    names = {name for name in zipfile.ZipFile(wheel).namelist() if not name.endswith("/")}
    information = {name for name in names if name.split("/")[0].endswith(".dist-info")}
    assert names - information == sources(tree)
    (licence,) = (name for name in information if name.endswith("LICENSE"))
    assert licence.split("/")[0] == f"twisted_nbclient-{nbclient.__version__}.dist-info"


def test_the_sdist_holds_what_a_packager_needs_to_run_the_tests(sdist: Path, tree: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    documents = {"CHANGELOG.md", "LICENSE", "README.md", "setup.cfg"}
    assert sources(tree) | modules(tree, "tests") | documents <= names


@pytest.mark.parametrize("way", ["wheel", "sdist", "folder", "editable"])
def test_every_way_of_installing_gives_a_twistd_that_lists_nbclient(
    way: str, environment: Environment, tree: Path, request: pytest.FixtureRequest
) -> None:
    """The default editable install would hide the plugin without a word."""
    if way in ("wheel", "sdist"):
        environment.install(request.getfixturevalue(way))
    elif way == "folder":
        environment.install(tree)
    else:
        environment.install("-e", tree)
    assert lists_nbclient(environment)
    said = environment.python_says(
        "import nbclient, twisted.plugin; from importlib.metadata import version\n"
        "print(nbclient.__version__, version('twisted-nbclient'), nbclient.__file__)"
    )
    home = tree if way == "editable" else environment.site
    assert said == f"{nbclient.__version__} {nbclient.__version__} {home}/nbclient/__init__.py"
    assert "--port" in environment.twistd("nbclient", "--help", "all").stdout
    assert environment.command("--version") == environment.command_by_module("--version")
    if way == "wheel":
        goes_without_a_trace(environment)


def starts_as_somebody_else(environment: Environment) -> str:
    """The log of a start that may not write beside the plugins."""
    program = """if True:
        import os, sys
        WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT

        def refuse(event, arguments):
            if event == "open" and "plugins" in str(arguments[0]) and arguments[2] & WRITES:
                raise PermissionError(13, "Permission denied", str(arguments[0]))

        sys.addaudithook(refuse)
        from twisted.scripts.twistd import run
        sys.argv[0] = "twistd"
        run()
    """
    words = ("-n", "--pidfile=", "nbclient", "--unix", "/nonexistent/x", "--retries", "0")
    return environment.run_python(program, *words, status=3).stdout


def test_who_may_not_write_there_is_not_told_of_twisteds_cache_each_time(
    environment: Environment, wheel: Path
) -> None:
    """docs/deploy.md says how to install for such a user; its last line is the one."""
    environment.install(wheel)
    assert "Unable to write to plugin cache" in starts_as_somebody_else(environment)
    page = (ROOT / "docs" / "deploy.md").read_text("utf-8")
    installing = re.search(r"<!-- install -->\n```sh\n(.*?)```", page, re.S)
    assert installing
    *_, last = installing[1].splitlines()
    program, *words = last.split()
    assert program == "/opt/feed/bin/twistd"
    environment.twistd(*words)
    for _ in range(2):
        assert "plugin cache" not in starts_as_somebody_else(environment)


def goes_without_a_trace(environment: Environment) -> None:
    """Uninstalling takes our files only, though both share ``twisted/plugins``."""
    plugin = environment.site / PLUGIN
    before = files_of_twisted(environment)
    assert plugin in before
    environment.pip("uninstall", "-y", "twisted-nbclient")
    assert files_of_twisted(environment) == before - {plugin}
    assert not (environment.site / "nbclient").exists()
    assert not lists_nbclient(environment)
    assert environment.python_says("import twisted.internet.reactor, twisted; print('ok')") == "ok"
