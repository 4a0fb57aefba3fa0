"""The processes of a cell; none outlives the harness."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 10.0
"""Seconds in which a process has to end when it is told to."""


@cache
def leash() -> list[str]:
    """What makes a process die with the harness, where there is such a thing."""
    setpriv = shutil.which("setpriv")
    return [] if setpriv is None else [setpriv, "--pdeathsig", "KILL"]


def python(module: str, *arguments: object) -> list[str]:
    """The command that runs one of this package's modules."""
    return [sys.executable, "-m", f"tools.loss.{module}", *map(str, arguments)]


class Child:
    """A process whose outputs go to files; leaving the `with` ends it.

    :param folder: for ``NAME.out`` and ``NAME.err``.
    """

    def __init__(self, name: str, command: Sequence[str], folder: Path) -> None:
        self.name = name
        self.out = folder / f"{name}.out"
        self.err = folder / f"{name}.err"
        with self.out.open("ab") as out, self.err.open("ab") as err:
            self.process = subprocess.Popen(
                [*leash(), *command],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    @property
    def ended(self) -> bool:
        return self.process.poll() is not None

    def terminate(self) -> bool:
        """Ask it to end.

        :return: whether it did in time.
        """
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            return False
        return True

    def said(self) -> str:
        """The last it had to say of what went wrong."""
        lines = self.err.read_text(errors="backslashreplace").strip().splitlines()
        return lines[-1] if lines else "nothing"

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.process.kill()
        self.process.wait()
