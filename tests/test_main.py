"""``python -m nbclient`` is `nbclient.daemon.cli.shell.main`, and what has to be seen to around
it."""

from __future__ import annotations

import runpy
import signal
import sys
from collections.abc import Callable, Iterator

import pytest

from nbclient.daemon import spooltool
from nbclient.daemon.cli import shell
from nbclient.daemon.process import signals


def loaded_main() -> Callable[[], int]:
    """The function, without the module among those that were imported: ``-m`` warns of that."""
    main: Callable[[], int] = runpy.run_module("nbclient.__main__", run_name="loaded")["main"]
    return main


def test_its_status_is_the_processs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "main", lambda: 3)
    with pytest.raises(SystemExit) as caught:
        runpy.run_module("nbclient", run_name="__main__")
    assert caught.value.code == 3


def test_a_signal_that_ended_it_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers: list[int] = []
    monkeypatch.setattr(signals, "die_by", numbers.append)
    monkeypatch.setattr(shell, "main", lambda: 128 + signal.SIGTERM)
    assert loaded_main()() == 143  # where the kernel let it live
    assert numbers == [signal.SIGTERM]


def test_it_refuses_to_share_its_folder(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {"nbclient": ["nbclient", "twisted-nbclient"]}
    monkeypatch.setattr("importlib.metadata.packages_distributions", lambda: found)
    monkeypatch.setitem(sys.modules, "nbclient.daemon.cli.shell", None)  # must not be looked for
    for start in (loaded_main(), spooltool.main):
        with pytest.raises(SystemExit) as caught:
            start()
        assert caught.value.code == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert err.startswith("nbclient: nbclient and twisted-nbclient are installed in one")


@pytest.fixture(autouse=True)
def _interrupts() -> Iterator[None]:
    kept = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, kept)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (signal.default_int_handler, signal.SIG_DFL),
        (signal.SIG_IGN, signal.SIG_IGN),  # in the background of a shell: it stays so
    ],
)
def test_an_interrupt_while_loading_is_no_traceback(
    before: object, after: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[object] = []
    monkeypatch.setattr(shell, "main", lambda: found.append(signal.getsignal(signal.SIGINT)) or 0)
    signal.signal(signal.SIGINT, before)  # type: ignore[arg-type]
    with pytest.raises(SystemExit):
        runpy.run_module("nbclient", run_name="__main__")
    assert found == [after]


def test_importing_it_runs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["nbclient", "--bogus"])
    assert "main" in runpy.run_module("nbclient.__main__", run_name="nbclient.__main__")
