"""Real servers as children of a test: on loopback, in a folder of their own, killed and restarted.

Each keeps its port over a restart: a socket that is bound and does not listen
holds it meanwhile, so that a connection attempt is refused, and neither another
program nor the attempt's own end can come to sit on it.
"""

from __future__ import annotations

import functools
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from unittest import SkipTest

from tests.certs import Certs
from tests.real.children import PATIENCE, Output, leash

HERE = Path(__file__).resolve().parent
HOST = "127.0.0.1"
SYSTEM_PYTHON = "/usr/bin/python3"
"""The one that Debian's packages of Python modules are for."""


def installed(program: str) -> str:
    """Its path.

    :raises SkipTest: it is not installed.
    """
    path = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if path is None:
        raise SkipTest(f"{program} is not installed")
    return path


def succeeds(*command: str) -> bool:
    """Whether a command that needs nothing and takes no time does."""
    tried = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False
    )
    return tried.returncode == 0


@functools.cache
def python_with(module: str, package: str) -> str:
    """A Python that has the module: this one, or the system's.

    :param package: where to get it, for the reason of a skip.
    :raises SkipTest: none has it.
    """
    for python in filter(os.path.exists, (sys.executable, SYSTEM_PYTHON)):
        if succeeds(python, "-c", f"import {module}"):
            return python
    raise SkipTest(f"no Python has the module {module} ({package})")


class Server:
    """A program that listens on `port` between `start` and `kill`.

    :param folder: its own, which exists.
    :raises SkipTest: the program is not installed.
    """

    program: str

    def __init__(self, folder: Path) -> None:
        self.command = self.find()
        self.folder = folder
        self._reserved = socket.socket()
        self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reserved.bind((HOST, 0))
        self.port: int = self._reserved.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    def find(self) -> Sequence[str]:
        """The command, without its arguments.

        :raises SkipTest: there is none.
        """
        return [installed(self.program)]

    def arguments(self) -> Sequence[str]:
        """Of the command line."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it, and wait until it listens."""
        with open(self.folder / f"{self.program}.log", "ab") as log:
            self._process = subprocess.Popen(
                [*leash(), *self.command, *self.arguments()],
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
        os.waitpid(self._process.pid, os.WUNTRACED)  # until its last thread stands still

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
    """redis-server; what was set outlives a kill.

    While it loads that, it is connected to and answers some commands, others not.
    """

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

    def _listens(self) -> bool:
        try:
            with socket.create_connection((HOST, self.port), PATIENCE) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(100).startswith(b"+PONG")
        except ConnectionError:
            return False


class Ngircd(Server):
    """ngircd, an IRC server that asks nobody who its clients are.

    :ivar ping_first: a client is not welcomed before it has answered a PING.
    :ivar password: which every client has to give.
    """

    program = "ngircd"
    ping_first = False
    password = ""

    def arguments(self) -> Sequence[str]:
        config = self.folder / "ngircd.conf"
        config.write_text(
            "[Global]\nName = irc.example.net\nInfo = test\n"
            f"Listen = {HOST}\nPorts = {self.port}\n"
            f"Password = {self.password}\n"
            f"ServerUID = {os.getuid()}\nServerGID = {os.getgid()}\n"
            "[Limits]\nMaxConnectionsIP = 0\nMaxPenaltyTime = 0\n"
            "[Options]\nDNS = no\nIdent = no\nPAM = no\nSyslogFacility = local1\n"
            f"RequireAuthPing = {'yes' if self.ping_first else 'no'}\n"
        )
        return ["--nodaemon", "--config", str(config)]


class Rsyslogd(Server):
    """rsyslogd, which takes octet-counted messages and keeps each as a line of `kept`."""

    program = "rsyslogd"

    @property
    def kept(self) -> Path:
        """The messages, as they came."""
        return self.folder / "messages"

    def arguments(self) -> Sequence[str]:
        config = self.folder / "rsyslog.conf"
        config.write_text(
            'module(load="imtcp")\n'
            'template(name="asItCame" type="string" string="%rawmsg%\\n")\n'
            'ruleset(name="keep") {\n'
            f'  action(type="omfile" file="{self.kept}" template="asItCame")\n'
            "}\n"
            f'input(type="imtcp" address="{HOST}" port="{self.port}" ruleset="keep")\n'
        )
        return ["-n", "-f", str(config), "-i", str(self.folder / "rsyslogd.pid")]


class Gpsd(Server):
    """gpsd with a receiver that plays track.nmea over and over, 25 epochs a second.

    The receiver is of gpsfake's own parts (`gps.fake`): the program itself comes
    with a desktop, and would start and end gpsd as it likes. It stays while gpsd
    is killed and restarted, as a receiver does.

    gpsd leaves shared memory behind when it is killed, and tells whoever reads
    the system's that it knows the time: so it gets memory of its own.
    """

    program = "gpsd"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        receiver = [python_with("gps.fake", "python3-gps"), str(HERE / "receiver.py")]
        self._receiver = subprocess.Popen(
            [*leash(), *receiver, str(HERE / "track.nmea"), "0.02"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._receiver.stdout is not None
        self._said = Output(self._receiver.stdout)
        self.device = self._said.expect(r"^(/dev/\S+)$")[1]

    def find(self) -> Sequence[str]:
        return [*apart(), installed(self.program)]

    def arguments(self) -> Sequence[str]:
        # Speed and parity are told, since finding them out takes a second.
        told = ("-s", "4800", "-f", "8N1")
        return ["-N", "-n", "-p", "-b", *told, "-S", str(self.port), self.device]

    def close(self) -> None:
        super().close()
        self._receiver.kill()
        self._receiver.wait(PATIENCE)
        self._said.end()


@functools.cache
def apart() -> Sequence[str]:
    """What gives a program System V shared memory of its own, and takes root's rights from it.

    :raises SkipTest: it is not to be had here.
    """
    if os.geteuid() == 0:
        nobody = ("--reuid", "65534", "--regid", "65534", "--clear-groups")
        command = [installed("unshare"), "--ipc", installed("setpriv"), *nobody, *leash()[1:]]
    else:
        command = [installed("unshare"), "--user", "--ipc"]
    if not succeeds(*command, "true"):
        raise SkipTest("gpsd is to have shared memory of its own, and cannot")
    return command


class MLLPServer(Server):
    """The server of the module `hl7`; the identifiers of what it accepted are lines of `kept`."""

    program = "serve_mllp.py"

    @property
    def kept(self) -> Path:
        """A line for each message: its control identifier."""
        return self.folder / "accepted"

    def find(self) -> Sequence[str]:
        return [python_with("hl7.mllp", "python3-hl7"), str(HERE / self.program)]

    def arguments(self) -> Sequence[str]:
        return [HOST, str(self.port), str(self.kept)]


class ModbusServer(Server):
    """The server of the module `pyModbusTCP`, whose first two registers are 17 and 4711."""

    program = "serve_modbus.py"

    def find(self) -> Sequence[str]:
        return [python_with("pyModbusTCP.server", "pyModbusTCP"), str(HERE / self.program)]

    def arguments(self) -> Sequence[str]:
        return [HOST, str(self.port)]


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
