"""``python -m nbclient`` is `nbclient.daemon.shell.main` and nothing else."""

from __future__ import annotations

import runpy
import sys

import pytest

from nbclient.daemon import shell


def test_its_status_is_the_processs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "main", lambda: 3)
    with pytest.raises(SystemExit) as caught:
        runpy.run_module("nbclient", run_name="__main__")
    assert caught.value.code == 3


def test_importing_it_runs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["nbclient", "--bogus"])
    assert "main" in runpy.run_module("nbclient.__main__", run_name="nbclient.__main__")
