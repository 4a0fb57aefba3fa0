"""One cell: a sender under one condition, from the first frame to the last word."""

from __future__ import annotations

import json
import os
import socket
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from attrs import asdict, define, field, frozen

from tools.loss.children import Child, python
from tools.loss.judge import Claims, foretell, judge, judge_by_record, pair, read_claims
from tools.loss.records import Outcome, Record, outcome, read_record
from tools.loss.schedule import KINDS, TLS_KINDS, Death
from tools.loss.senders import Job, Sender

HOST = "127.0.0.1"
RATE = 20_000.0
"""Frames a second: what a slow reader works on at most, and what a fast one is sent."""

LINGER = 50_000
"""Frames that a half-closed server reads on before it dies in another way: more than the
buffers on the way hold, so that a peer which has noticed comes to its end."""

LOOK = 0.02
"""Seconds between two looks at the processes."""

QUIET = 1.0
"""Seconds without a word from the server, after which all is over."""

ENDED_QUIET = 0.3
"""The same where the last connection has ended."""

ENDLESS_QUIET = (4.0, 2.5)
"""The same before a program that does not end by itself is told to, for it may only be
waiting. It is then started again, to send what it has kept, and told to end once more."""


@frozen
class Condition:
    """How the server is, and how it is reached.

    :ivar slow: it works on half as many frames as are sent, so that the buffers are
        full; otherwise on many more.
    """

    name: str
    title: str
    secure: bool = False
    relayed: bool = False
    slow: bool = True

    @property
    def kinds(self) -> Sequence[str]:
        """How it can die."""
        return TLS_KINDS if self.secure else KINDS

    @property
    def lives(self) -> tuple[float, float]:
        """The parts of all frames that a life of the server lasts, at least and at most.

        Short where much is lost, so that all deaths come; elsewhere so long that the
        sender has caught up before the next.
        """
        return (0.04, 0.1) if self.slow else (0.12, 0.2)

    @property
    def source(self) -> float:
        """Frames a second that a sender is given."""
        return 2 * RATE if self.slow else RATE


CONDITIONS = (
    Condition("slow", "slow reader"),
    Condition("fast", "fast reader", slow=False),
    Condition("tls", "TLS, slow", secure=True),
    Condition("tls-fast", "TLS, fast", secure=True, slow=False),
    Condition("relay", "relay, slow", relayed=True),
    Condition("relay-tls", "TLS through the relay, slow", secure=True, relayed=True),
)


@frozen
class Paths:
    """Certificates of the server, and the authority that vouches for it."""

    ca: str
    cert: str
    key: str


@define
class Result:
    """What came of a cell.

    :ivar deaths: how often the server died, of how many times it was to.
    :ivar faults: oracles that failed, or why there is no result.
    :ivar counters: what nbclient counted, at its end.
    :ivar unread: of each connection of nbclient, frames called delivered less frames
        worked on.
    """

    sender: str
    condition: str
    outcome: Outcome | None = None
    deaths: int = 0
    seconds: float = 0.0
    faults: list[str] = field(factory=list)
    counters: Mapping[str, Any] | None = None
    unread: list[int] | None = None


class Cell:
    """The processes of one cell, and the watch over them.

    :param limit: seconds that it may take.
    :param keep: where its records are kept; None: nowhere.
    :param stopping: ends it early, once set.
    """

    def __init__(
        self,
        sender: Sender,
        condition: Condition,
        count: int,
        deaths: Sequence[Death],
        certs: Paths,
        limit: float,
        keep: Path | None,
        stopping: threading.Event,
    ) -> None:
        self.sender = sender
        self.condition = condition
        self.count = count
        self.deaths = deaths
        self.certs = certs
        self.limit = limit
        self.keep = keep
        self.stopping = stopping
        self.lives = 0

    def run(self) -> Result:
        """All of it; ends within about `limit` seconds."""
        result = Result(self.sender.name, self.condition.name)
        began = time.monotonic()
        with ExitStack() as self.stack:
            self.folder = self._folder()
            self.record = self.folder / "record"
            result.faults += self._play(began + self.limit)
            self._weigh(result)
        result.seconds = round(time.monotonic() - began, 1)
        return result

    # -- the play ----------------------------------------------------------------------

    def _play(self, deadline: float) -> list[str]:
        self.port = self._hold_port()
        self.server = self._start_server()
        self._wait_until_listening(deadline)
        port = self._start_relay(deadline) if self.condition.relayed else self.port
        (self.folder / "sender").mkdir()
        ca = self.certs.ca if self.condition.secure else None
        job = Job(HOST, port, self.count, self.condition.source, self.folder / "sender", ca)
        command = self.sender.command(job)
        sender = self._start("sender", command)
        endings = list(ENDLESS_QUIET) if self.sender.endless else []
        revival = told = None
        while time.monotonic() < deadline and not self.stopping.wait(LOOK):
            if self.server.ended:
                revival = revival or time.monotonic() + self._away()
                if time.monotonic() >= revival:
                    self.server, revival = self._start_server(), None
                continue
            if not sender.ended:
                if endings and self._quiet(endings[0]):
                    del endings[0]
                    sender.terminate()
                    if endings:
                        self.record.touch()
                        sender = self._start("sender", command)
                    else:
                        told = 0
                continue
            if told is None:
                told = sender.process.returncode
            if self._quiet(ENDED_QUIET if self._last().startswith("E") else QUIET):
                break
        else:
            return [f"it was not over after {self.limit:g} s"]
        if told:
            return [f"the sender ended with status {told}: {sender.said()}"]
        return []

    def _folder(self) -> Path:
        if self.keep is None:
            made = tempfile.TemporaryDirectory(prefix="nbclient-loss-")
            return Path(self.stack.enter_context(made))
        folder = self.keep / f"{self.sender.name}-{self.condition.name}"
        folder.mkdir(parents=True)  # what was kept before is not mixed with this
        return folder.resolve()

    def _hold_port(self) -> int:
        """A port that nobody else is given while the server is away."""
        held = self.stack.enter_context(socket.socket())
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind((HOST, 0))
        port: int = held.getsockname()[1]
        return port

    def _start(self, name: str, command: Sequence[str]) -> Child:
        return self.stack.enter_context(Child(name, command, self.folder))

    def _start_server(self) -> Child:
        died = len(read_record(self._lines()).deaths)
        if self.lives and died == 0:
            raise RuntimeError(f"the server ended by itself: {self.server.said()}")
        self.lives += 1
        left = ",".join(map(str, self.deaths[died:]))
        options = ["--rate", RATE if self.condition.slow else 0]
        options += ["--deaths", left, "--linger", LINGER]
        if self.condition.secure:
            options += ["--cert", self.certs.cert, "--key", self.certs.key]
        if self.sender.answers:
            options += ["--answer"]
        return self._start("server", python("server", self.port, self.record, *options))

    def _away(self) -> float:
        return self.deaths[len(read_record(self._lines()).deaths) - 1].away

    def _start_relay(self, deadline: float) -> int:
        relay = self._start("relay", python("relay", self.port, self.folder / "onward"))
        while not relay.out.read_bytes().endswith(b"\n"):
            if relay.ended or time.monotonic() > deadline:
                raise RuntimeError(f"there is no relay: {relay.said()}")
            time.sleep(LOOK)
        return int(relay.out.read_text())

    def _wait_until_listening(self, deadline: float) -> None:
        """What it says first is in the record."""
        while not self.record.exists():
            if self.server.ended or time.monotonic() > deadline:
                raise RuntimeError(f"there is no server: {self.server.said()}")
            time.sleep(LOOK)

    def _quiet(self, seconds: float) -> bool:
        return time.time() - self.record.stat().st_mtime > seconds

    def _last(self) -> str:
        """The last line of the record, in a glance."""
        with self.record.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 200))
            return file.read().rstrip(b"\n").rpartition(b"\n")[2].decode()

    def _lines(self) -> list[str]:
        return self.record.read_text().splitlines() if self.record.exists() else []

    # -- the reckoning -----------------------------------------------------------------

    def _weigh(self, result: Result) -> None:
        record = read_record(self._lines())
        result.deaths = len(record.deaths)
        result.outcome = outcome(record, self.count)
        if self.sender.mute:
            result.faults += judge_by_record(result.outcome)
        elif self.sender.level is not None:
            self._weigh_ours(result, record, result.outcome)

    def _weigh_ours(self, result: Result, record: Record, found: Outcome) -> None:
        said = (self.folder / "sender.out").read_text().splitlines()
        claims = read_claims(map(json.loads, said))
        onward = self._onward() if self.condition.relayed else None
        level = str(self.sender.level)
        result.faults += judge(
            level, self.count, record, found, claims, onward, self.condition.secure
        )
        result.counters = claims.end
        result.unread = unread(claims, record, onward)

    def _onward(self) -> dict[int, list[int]]:
        ports: dict[int, list[int]] = defaultdict(list)
        path = self.folder / "onward"
        for line in path.read_text().splitlines() if path.exists() else []:
            came_from, went_from = map(int, line.split())
            ports[came_from].append(went_from)
        return ports


def unread(claims: Claims, record: Record, onward: Mapping[int, Sequence[int]] | None) -> list[int]:
    """Of each connection, frames called delivered less frames worked on."""
    pairs, _ = pair(claims.connections, record.visits, onward)
    worked = [len(visit.numbers) if visit else 0 for visit in pairs]
    return foretell(claims.connections, worked).unread


def as_data(result: Result) -> dict[str, Any]:
    """For JSON."""
    return asdict(result)
