"""A power cut, as near to one as a machine that goes on can come: see tools/power_cuts.py."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
TOOL = ROOT / "tools" / "power_cuts.py"

HELD, LOST, CANNOT = range(3)

CUTS = int(os.environ.get("SPOOL_POWER_CUTS", "9"))
"""How often; a multiple of three hits each kind of spool equally often."""


def cut(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the tool; skip where it cannot be tried."""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, TOOL, *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60 + 2 * CUTS,
        check=False,
    )
    if done.returncode == CANNOT:
        pytest.skip(done.stderr.strip())
    return done


def test_what_was_called_stored_outlives_a_power_cut(tmp_path: Path) -> None:
    done = cut(tmp_path, "--cuts", str(CUTS), "--seed", "4")
    assert done.returncode == HELD, done.stdout + done.stderr
    accepted = re.search(r"(\d+) frames accepted; something was wrong after 0$", done.stdout)
    assert accepted is not None, done.stdout
    assert int(accepted[1]) > 20 * CUTS, "it has to have been at work when the power went"


def test_commits_that_are_not_synced_are_missed_after_it(tmp_path: Path) -> None:
    """Else the test above would show nothing."""
    done = cut(tmp_path, "--cuts", "2", "--seed", "4", "--synchronous", "NORMAL")
    assert done.returncode == LOST, done.stdout + done.stderr
    assert "called stored, and not there" in done.stdout


def test_a_job_goes_on_after_it_and_nothing_is_lost(tmp_path: Path) -> None:
    done = cut(tmp_path, "--job", "--seed", "4")
    assert done.returncode == HELD, done.stdout + done.stderr
    assert re.search(r"[1-9]\d* waited on the disk, 0 were lost", done.stdout)
