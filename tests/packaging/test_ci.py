"""What CI relies on: nothing skips there, and it runs the README's own command."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from .conftest import ROOT, run

SKIPPING = {
    "by a call": "import pytest\ndef test_it(): pytest.skip('no server here')\n",
    "by a mark": "import pytest\n@pytest.mark.skip(reason='no server here')\ndef test_it(): ...\n",
    "by a fixture": (
        "import pytest\n@pytest.fixture\ndef server(): pytest.skip('no server here')\n"
        "def test_it(server): ...\n"
    ),
    "as a module": "import pytest\npytest.skip('no server here', allow_module_level=True)\n",
    "as trial does": (
        "from twisted.trial.unittest import TestCase\n"
        "class TestIt(TestCase):\n"
        "    skip = 'no server here'\n"
        "    def test_it(self): ...\n"
    ),
}


def run_pytest(folder: Path, program: str, ci: str) -> CompletedProcess[str]:
    """Run one test module under a copy of our conftest, with ``CI`` set to this."""
    shutil.copy(ROOT / "tests" / "conftest.py", folder)
    (folder / "pytest.ini").write_text("[pytest]\nxfail_strict = true\n")
    (folder / "test_it.py").write_text(program)
    return run((sys.executable, "-m", "pytest", "-q"), folder, CI=ci)


@pytest.mark.parametrize("how", SKIPPING)
def test_a_skip_is_a_failure_in_ci_and_says_what_was_missing(how: str, tmp_path: Path) -> None:
    done = run_pytest(tmp_path, SKIPPING[how], ci="true")
    assert done.returncode != 0
    assert "nothing may skip in CI" in done.stdout
    assert "no server here" in done.stdout


def test_elsewhere_a_skip_is_a_skip(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, SKIPPING["by a call"], ci="")
    assert "1 skipped" in done.stdout, done.stdout


def test_an_expected_failure_is_no_skip(tmp_path: Path) -> None:
    program = "import pytest\n@pytest.mark.xfail\ndef test_it(): assert False\n"
    done = run_pytest(tmp_path, program, ci="true")
    assert "1 xfailed" in done.stdout, done.stdout


@pytest.mark.parametrize(
    ("name", "end"), [("demo", "-m nbclient --demo"), ("test", "-m pytest")], ids=["demo", "test"]
)
def test_each_of_the_readmes_two_commands_is_one_line_that_ci_can_take_out(
    name: str, end: str
) -> None:
    pattern = rf"^<!-- command: {name} -->\n```sh\n(.+)\n```$"
    (command,) = re.findall(pattern, (ROOT / "README.md").read_text(), re.MULTILINE)
    assert command.startswith("python3 -m venv .venv && .venv/bin/pip install ")
    assert command.endswith(f" && .venv/bin/python {end}")
