"""``python -m nbclient`` is `nbclient.daemon.shell.main` and nothing else."""

from __future__ import annotations

import runpy
import signal
import sys

import pytest

from nbclient.daemon import shell


def test_its_status_is_the_processs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "main", lambda: 3)
    kept = signal.getsignal(signal.SIGINT)
    with pytest.raises(SystemExit) as caught:
        runpy.run_module("nbclient", run_name="__main__")
    signal.signal(signal.SIGINT, kept)
    assert caught.value.code == 3


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
    monkeypatch.setattr(shell, "main", lambda: found.append(signal.getsignal(signal.SIGINT)))
    kept = signal.signal(signal.SIGINT, before)  # type: ignore[arg-type]
    try:
        with pytest.raises(SystemExit):
            runpy.run_module("nbclient", run_name="__main__")
    finally:
        signal.signal(signal.SIGINT, kept)
    assert found == [after]


def test_importing_it_runs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["nbclient", "--bogus"])
    assert "main" in runpy.run_module("nbclient.__main__", run_name="nbclient.__main__")
