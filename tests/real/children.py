"""Processes that a test starts: read with a time limit, and ended with the test."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 20.0
"""Seconds after which something that should have happened has not; a busy machine is slow."""

QUICKLY = ("--retry-initial", "0.05", "--retry-maximum", "0.2", "--stable-after", "0.1")
"""Options of the command line for outages of a test's length."""


class Output:
    """What a process writes, read by a thread, looked through in order."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._changed = threading.Condition()
        self._text = ""
        self._seen = 0
        self._ended = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with self._stream:
            while data := os.read(self._stream.fileno(), 65536):
                with self._changed:
                    self._text += data.decode("utf-8", "backslashreplace")
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def text(self) -> str:
        """Everything so far."""
        with self._changed:
            return self._text

    def expect(self, pattern: str, timeout: float = PATIENCE) -> re.Match[str]:
        """Wait for a match behind the previous one.

        :raises AssertionError: none came in time, or the process has ended.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._find(pattern), timeout)
            found = self._find(pattern)
            assert found, f"{pattern!r} is not in {self._text[self._seen :]!r}"
            self._seen = found.end()
            return found

    def _find(self, pattern: str) -> re.Match[str] | None:
        return re.compile(pattern, re.MULTILINE).search(self._text, self._seen)

    def end(self, timeout: float = PATIENCE) -> str:
        """Everything, once the process has closed it."""
        self._thread.join(timeout)
        assert not self._thread.is_alive(), "the output is still open"
        return self._text


class Child:
    """A process with its outputs; leaving the `with` ends it.

    :param stdin: a descriptor that is to be its standard input; default a pipe.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        cwd: str | os.PathLike[str] | None = None,
        stdin: int = subprocess.PIPE,
    ) -> None:
        self.process = subprocess.Popen(
            [*leash(), *arguments],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            # Neither Ctrl-C nor anything else meant for pytest reaches it.
            start_new_session=True,
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.out = Output(self.process.stdout)
        self.err = Output(self.process.stderr)

    def type(self, text: str) -> None:
        """Write to its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def hang_up(self) -> None:
        """End its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    def interrupt(self) -> None:
        """What Ctrl-C sends."""
        self.process.send_signal(signal.SIGINT)

    def wait(self, timeout: float = PATIENCE) -> int:
        """Its exit status, as a shell tells it: of a signal, 128 and its number."""
        status = self.process.wait(timeout)
        return status if status >= 0 else 128 - status

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self.process.kill()
        self.process.wait(PATIENCE)

    def close(self) -> None:
        """End it, if it has not ended."""
        self.kill()
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.out.end()
        self.err.end()

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def wait_until(happened: Callable[[], object], timeout: float = PATIENCE) -> None:
    """Look again and again.

    :raises AssertionError: it has not happened in time.
    """
    deadline = time.monotonic() + timeout
    while not happened():
        assert time.monotonic() < deadline, "it has not happened"
        time.sleep(0.02)


def python(*arguments: str) -> list[str]:
    """The command that runs this Python."""
    return [sys.executable, *arguments]


def example(name: str, *arguments: str) -> list[str]:
    """The command that runs one of examples/."""
    return python(str(ROOT / "examples" / name), *arguments)


def leash() -> list[str]:
    """What makes a process die with the test that started it, where there is such a thing."""
    setpriv = shutil.which("setpriv")
    return [] if setpriv is None else [setpriv, "--pdeathsig", "KILL"]
