"""Real servers as children of a test: on loopback, in a folder of their own, killed and restarted.

Each keeps its port over a restart: a socket that is bound and does not listen
holds it meanwhile, so that a connection attempt is refused, and neither another
program nor the attempt's own end can come to sit on it.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from unittest import SkipTest

from tests.certs import Certs
from tests.real.children import PATIENCE, leash

HOST = "127.0.0.1"


class Server:
    """A program that listens on `port` between `start` and `kill`.

    :param folder: its own, which exists.
    :raises SkipTest: the program is not installed.
    """

    program: str

    def __init__(self, folder: Path) -> None:
        path = shutil.which(self.program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        if path is None:
            raise SkipTest(f"{self.program} is not installed")
        self.path = path
        self.folder = folder
        self._reserved = socket.socket()
        self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reserved.bind((HOST, 0))
        self.port: int = self._reserved.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    def arguments(self) -> Sequence[str]:
        """Of the command line."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it, and wait until it listens."""
        with open(self.folder / f"{self.program}.log", "ab") as log:
            self._process = subprocess.Popen(
                [*leash(), self.path, *self.arguments()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
            )
        deadline = time.monotonic() + PATIENCE
        while not self._listens():
            assert self._process.poll() is None, f"it has ended: {self.log()}"
            assert time.monotonic() < deadline, f"it does not listen: {self.log()}"
            time.sleep(0.01)

    def kill(self) -> None:
        """SIGKILL; nothing is said to the clients but what the kernel says."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE)
            self._process = None

    def restart(self) -> None:
        """`kill`, then `start` on the same port."""
        self.kill()
        self.start()

    def freeze(self) -> None:
        """Connections are still accepted, by the kernel, and nobody answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """The end of `freeze`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def log(self) -> str:
        """What it has printed."""
        return (self.folder / f"{self.program}.log").read_text(errors="backslashreplace")

    def close(self) -> None:
        """End it for good."""
        self.kill()
        self._reserved.close()

    def _listens(self) -> bool:
        try:
            with socket.create_connection((HOST, self.port), PATIENCE):
                return True
        except ConnectionRefusedError:
            return False

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class Redis(Server):
    """redis-server; what was set outlives a kill."""

    program = "redis-server"

    def arguments(self) -> Sequence[str]:
        options = {
            "bind": HOST,
            "port": str(self.port),
            "dir": str(self.folder),
            "save": "",
            "appendonly": "yes",
            "appendfsync": "always",
        }
        return [word for name, value in options.items() for word in (f"--{name}", value)]


class Ngircd(Server):
    """ngircd, an IRC server that asks nobody who its clients are."""

    program = "ngircd"

    def arguments(self) -> Sequence[str]:
        config = self.folder / "ngircd.conf"
        config.write_text(
            "[Global]\nName = irc.example.net\nInfo = test\n"
            f"Listen = {HOST}\nPorts = {self.port}\n"
            f"ServerUID = {os.getuid()}\nServerGID = {os.getgid()}\n"
            "[Limits]\nMaxConnectionsIP = 0\n"
            "[Options]\nDNS = no\nIdent = no\nPAM = no\nSyslogFacility = local1\n"
        )
        return ["--nodaemon", "--config", str(config)]


class TLSServer(Server):
    """openssl s_server, which sends each line back reversed.

    :ivar certificate: name of an attribute of `Certs`.
    :ivar options: further ones.
    """

    program = "openssl"

    def __init__(self, folder: Path, certs: Certs) -> None:
        super().__init__(folder)
        self.certs = certs
        self.certificate = "good"
        self.options: Sequence[str] = ()

    def arguments(self) -> Sequence[str]:
        certificate = getattr(self.certs, self.certificate)
        key = getattr(self.certs, f"{self.certificate}_key")
        return [
            *("s_server", "-4", "-accept", f"{HOST}:{self.port}", "-rev"),
            *("-cert", certificate, "-key", key, *self.options),
        ]
