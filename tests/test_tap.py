"""The tap: loads late, and refuses a folder shared with Jupyter's nbclient."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType

import pytest
from twisted.application.service import IServiceMaker, Service
from twisted.plugin import getPlugins
from twisted.python import usage

from nbclient import tap


def installed(monkeypatch: pytest.MonkeyPatch, *holders: str) -> None:
    """Let the installed distributions that hold an ``nbclient`` be these."""
    found = {"nbclient": list(holders)} if holders else {}
    monkeypatch.setattr("importlib.metadata.packages_distributions", lambda: found)


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Stand in for the daemon, so that only the tap is under test."""
    module = ModuleType("nbclient.daemon.cli.twistd")
    module.TwistdOptions = usage.Options  # type: ignore[attr-defined]
    module.make_service = lambda options: (Service(), options)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "nbclient.daemon.cli.twistd", module)
    return module


@pytest.mark.parametrize(
    "holders",
    [(), ("twisted-nbclient",), ("Twisted_NBClient", "twisted.nbclient")],
    ids=["checkout", "installed", "spelled otherwise"],
)
def test_options_are_those_of_the_daemon_where_the_import_name_is_ours_alone(
    monkeypatch: pytest.MonkeyPatch, daemon: ModuleType, holders: tuple[str, ...]
) -> None:
    installed(monkeypatch, *holders)
    assert type(tap.Options()) is daemon.TwistdOptions


def test_the_service_is_made_by_the_daemon_from_the_parsed_options(daemon: ModuleType) -> None:
    options = usage.Options()
    service, given = tap.makeService(options)  # type: ignore[misc]
    assert isinstance(service, Service)
    assert given is options


def test_another_distribution_in_our_folder_is_refused_in_one_line_with_status_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Nothing stands in for the daemon: it must not even be looked for.
    monkeypatch.setitem(sys.modules, "nbclient.daemon.cli.twistd", None)
    installed(monkeypatch, "twisted-nbclient", "nbclient", "another", "nbclient")
    with pytest.raises(SystemExit) as left:
        tap.Options()
    assert left.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("nbclient: another and nbclient and twisted-nbclient are installed in")
    assert "an environment of its own" in err
    assert err.count("\n") == 1


def test_what_is_left_of_a_shared_folder_is_refused_in_one_line_with_status_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Uninstalling the other one takes our ``__init__.py`` along."""
    monkeypatch.setitem(sys.modules, "nbclient.daemon.cli.twistd", None)
    monkeypatch.setitem(sys.modules, "nbclient", ModuleType("nbclient"))
    installed(monkeypatch, "twisted-nbclient")
    with pytest.raises(SystemExit) as left:
        tap.Options()
    assert left.value.code == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("nbclient: twisted-nbclient is damaged: its nbclient/__init__.py is")


def test_the_tap_loads_nothing_of_ours_nor_of_twisted_until_it_is_called() -> None:
    """It has to load where Jupyter's ``__init__`` is the one on disk."""
    program = (
        "import sys, nbclient.tap\n"
        "print(*sorted(m for m in sys.modules if m.split('.')[0] in ('nbclient', 'twisted')))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30
    )
    assert run.stdout.split() == ["nbclient", "nbclient.tap"]


def test_twistd_finds_exactly_one_plugin_of_ours_under_the_name_it_always_had() -> None:
    """Renaming it would leave stale entries in the caches of installed Twisteds."""
    ours = [maker for maker in getPlugins(IServiceMaker) if maker.module == "nbclient.tap"]
    assert [(maker.name, maker.tapname) for maker in ours] == [("nbclient", "nbclient")]
    assert ours[0].description
