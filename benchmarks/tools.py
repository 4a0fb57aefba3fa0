"""What the suite needs of the machine: compilers and programs, their versions, limits."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

from attrs import define, field

HERE = Path(__file__).resolve().parent
PEERS = HERE / "peers"
BOOST = re.compile(r'BOOST_LIB_VERSION "([\d_]+)"')


class CannotBuild(Exception):
    """The traffic server cannot be had, and without it there is nothing to measure."""


@define
class Tools:
    """Where the built programs are, and what is not to be had, with the reason.

    :ivar missing: what a peer may need and this machine does not have.
    """

    folder: Path
    python: str = sys.executable
    missing: dict[str, str] = field(factory=dict)
    versions: dict[str, str] = field(factory=dict)

    @property
    def traffic(self) -> str:
        """The traffic server."""
        return str(self.folder / "traffic")

    def is_program(self, word: str) -> bool:
        """Whether a word of a command says what is run, not what it does."""
        known = (self.python, "node", "java", "NioClient", "uvloop", "asyncio")
        return word in known or word.startswith((str(PEERS), str(self.folder)))

    def build(self, only_python: bool = False) -> None:
        """Compile what can be compiled, and look what there is.

        :raises CannotBuild: there is no C compiler, or it failed.
        """
        self.versions["Python"] = platform.python_version()
        for name in ("Twisted", "uvloop", "attrs"):
            self._distribution(name)
        failed = self._compile("gcc", ["-O2", "-o", self.traffic, str(HERE / "traffic.c")])
        if failed:
            raise CannotBuild(failed)
        if only_python:
            self.missing |= dict.fromkeys(("node", "java", "boost"), "not asked for")
        else:
            self._others()
        for name in ("nc", "ncat", "socat"):
            if shutil.which(name) is None:
                self.missing[name] = "not installed"
            else:
                self.versions[name] = _program_version(name)

    def _distribution(self, name: str) -> None:
        try:
            self.versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            self.missing[name.lower()] = "not installed (extra `bench`)"

    def _others(self) -> None:
        self._command("node", ["node", "--version"])
        self._command("java", ["java", "--version"])
        failed = self._compile("javac", ["-d", str(self.folder), str(PEERS / "NioClient.java")])
        if failed:
            self.missing["java"] = failed
        source = str(PEERS / "asio_client.cpp")
        program = str(self.folder / "asio_client")
        failed = self._compile("g++", ["-O2", "-o", program, source, "-lpthread"])
        if failed:
            self.missing["boost"] = failed
        else:
            self.versions["Boost"] = _boost_version()

    def _command(self, name: str, command: list[str]) -> None:
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=30)
            self.versions[name] = done.stdout.splitlines()[0]
        except (OSError, IndexError, subprocess.SubprocessError):
            self.missing[name] = "not installed"

    def _compile(self, compiler: str, arguments: list[str]) -> str:
        """Why it failed; nothing where it did not."""
        if shutil.which(compiler) is None:
            return f"{compiler} is not installed"
        command = [compiler, *arguments]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=180)
        except subprocess.TimeoutExpired:
            return f"{compiler} took too long"
        if compiler == "gcc":
            self._command("gcc", ["gcc", "--version"])
        return "" if done.returncode == 0 else f"{compiler} failed: {done.stderr[:200]}"


def machine() -> dict[str, str]:
    """What the figures were taken on."""
    model = "unknown"
    memory = ""
    try:
        found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
        model = found.group(1) if found else model
        memory = Path("/proc/meminfo").read_text().split("\n", 1)[0].split(":")[1].strip()
    except OSError:
        pass
    return {
        "processor": f"{model}, {os.cpu_count()} in use",
        "memory": memory,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "load before": ", ".join(f"{each:.2f}" for each in os.getloadavg()),
    }


def raise_limits() -> int:
    """As many descriptors as we are allowed; children inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def _boost_version() -> str:
    for folder in ("/usr/include", "/usr/local/include"):
        try:
            found = BOOST.search(Path(folder, "boost/version.hpp").read_text())
        except OSError:
            continue
        if found:
            return found.group(1).replace("_", ".")
    return "unknown"


def _program_version(name: str) -> str:
    flags = {"nc": ["-h"], "ncat": ["--version"], "socat": ["-V"]}[name]
    try:
        done = subprocess.run([name, *flags], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    said = done.stdout + done.stderr
    wanted = [line for line in said.splitlines() if re.search(r"\d", line)]
    return wanted[0].strip()[:60] if wanted else "unknown"
