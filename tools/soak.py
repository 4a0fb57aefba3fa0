"""The soak: many links against servers that do everything wrong, for as long as one likes.

    python tools/soak.py --seconds 60 [--links 20] [--seed 1]

Two servers run as child processes on loopback. They greet, send numbered
lines, check the order of what they are sent, and at random reset connections
(RST), close and half-close them, tear them off inside a line, stall (neither
read nor write), refuse (do not listen), and accept only to close; this process
kills them (SIGKILL) and starts them again. Every fourth link speaks TLS, every
second has a silence timeout. It begins and ends with a calm, and fails unless

* every link came back every time, the longest outage was below `LONGEST_OUTAGE`,
  and all are ready within `RECOVERY` after the last fault;
* the frames of each connection arrived in order, both ways, none missing;
* every frame offered is accounted for (`OutboxStats.conserved`), at each sample, and
  in the end every one of them was sent once, whatever the outages;
* memory, descriptors and timers are flat: leaving out the first fifth of the
  samples, the median of the last quarter is at most that of the first quarter
  plus the tolerance of `allowed`;
* the calm at the end has as many descriptors, timers and connection objects as
  the one at the beginning, not one more;
* `stop` of all links fires within `STOPPING`, and leaves no timer.

It ends by itself, with status 0 or 1. Linux only (``/proc``). It needs the
extra ``tls``.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import os
import random
import signal
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.error import ProcessDone, ReactorNotRunning
from twisted.internet.protocol import Factory, ProcessProtocol
from twisted.internet.stdio import StandardIO
from twisted.internet.task import LoopingCall, deferLater, react
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from certs import make_certs  # noqa: E402

from nbclient import Backoff, FrameProtocol, ReconnectingFactory, State, framing  # noqa: E402
from nbclient.connection.wording import explain  # noqa: E402
from nbclient.endpoints import TLSSettings, tcp, tls  # noqa: E402

HOST = "127.0.0.1"
SERVERS = 2
TICK = 0.05
"""Seconds between two batches, either way."""

LONGEST_OUTAGE = 20.0
RECOVERY = 10.0
STOPPING = 5.0
"""Seconds; see above. Generous, because a busy machine is slow; typical are 3, 1 and 0.1."""

WARM_UP = 0.2
"""The part of the samples that is left out."""

BACKOFF = Backoff(initial=0.05, maximum=0.5, stable_after=0.2)

# -- the server, in a process of its own ------------------------------------------

FAULT_EVERY = 1.5
"""Mean seconds from a connection's beginning to its fault."""

LONGEST_STALL = 1.5
LONGEST_ABSENCE = 0.8


class Peer(LineOnlyReceiver):
    """The server's side of a connection."""

    delimiter = b"\n"
    factory: Server

    def __init__(self) -> None:
        self.sent = 0
        self.last: int | None = None
        self.talking = LoopingCall(self.talk)
        self.fault: Any = None

    def connectionMade(self) -> None:
        server = self.factory
        if server.slamming:
            self.transport.loseConnection()
            return
        server.peers.add(self)
        self.transport.write(b"welcome\n")
        self.talking.start(TICK)
        if server.storming:
            self.expect_fault()

    def expect_fault(self) -> None:
        self.fault = self.factory.reactor.callLater(
            self.factory.random.expovariate(1 / FAULT_EVERY), self.do_fault
        )

    def do_fault(self) -> None:
        self.fault = None
        secure = hasattr(self.transport, "getPeerCertificate")
        kinds = ["reset", "close", "tear", "stall", *([] if secure else ["half-close"])]
        kind = self.factory.random.choice(kinds)
        self.factory.say(f"fault {kind}")
        getattr(self, f"fault_{kind.replace('-', '_')}")()

    def fault_reset(self) -> None:
        self.transport.abortConnection()  # which sets SO_LINGER to 0

    def fault_close(self) -> None:
        self.transport.loseConnection()

    def fault_tear(self) -> None:
        self.talking.stop()
        self.transport.write(b"12345 and the line is not")
        self.factory.reactor.callLater(0.02, self.transport.abortConnection)

    def fault_half_close(self) -> None:
        self.talking.stop()
        self.transport.loseWriteConnection()

    def fault_stall(self) -> None:
        self.talking.stop()
        self.transport.pauseProducing()
        self.fault = self.factory.reactor.callLater(
            self.factory.random.uniform(0, LONGEST_STALL), self.resume
        )

    def resume(self) -> None:
        self.fault = None
        self.talking.start(TICK)
        self.transport.resumeProducing()
        if self.factory.storming:
            self.expect_fault()

    def calm(self) -> None:
        """No fault from now on."""
        fault, self.fault = self.fault, None
        if fault is not None:
            fault.cancel()
            if not self.talking.running:
                self.resume()

    def talk(self) -> None:
        count = self.factory.random.randrange(20)
        padding = b"." * self.factory.random.randrange(100)
        numbers = range(self.sent, self.sent + count)
        self.sent += count
        self.transport.write(b"".join(b"%d %s\n" % (number, padding) for number in numbers))

    def lineReceived(self, line: bytes) -> None:
        if line.startswith(b"login "):
            return
        number = int(line.partition(b" ")[0])
        if self.last is not None and number != self.last + 1:
            self.factory.say(f"violation the server got {number} after {self.last}")
        self.last = number

    def connectionLost(self, reason: Failure | None = None) -> None:
        self.factory.peers.discard(self)
        if self.talking.running:
            self.talking.stop()
        if self.fault is not None:
            self.fault.cancel()


class Server(Factory):
    """Two listening ports, plain and TLS, which are not always there."""

    protocol = Peer
    noisy = False

    def __init__(self, reactor: Any, seed: str, ports: Sequence[int], context: Any) -> None:
        self.reactor = reactor
        self.random = random.Random(seed)
        self.numbers = ports
        self.context = context
        self.listening: list[Any] = []
        self.peers: set[Peer] = set()
        self.storming = False
        self.slamming = False
        self.absence: Any = None

    def listen(self) -> None:
        plain, secure = self.numbers
        self.listening = [
            self.reactor.listenTCP(plain, self, interface=HOST),
            self.reactor.listenSSL(secure, self, self.context, interface=HOST),
        ]
        for port in self.listening:  # small buffers: a stall is felt at once
            port.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)

    def storm(self) -> None:
        self.storming = True
        for peer in self.peers:
            peer.expect_fault()
        self.expect_absence()

    def expect_absence(self) -> None:
        self.absence = self.reactor.callLater(self.random.uniform(2, 5), self.leave)

    def leave(self) -> None:
        kind = self.random.choice(["refuse", "slam"])
        self.say(f"fault {kind}")
        if kind == "slam":
            self.slamming = True
        else:
            for port in self.listening:
                port.stopListening()
            self.listening = []
        self.absence = self.reactor.callLater(self.random.uniform(0.1, LONGEST_ABSENCE), self.back)

    def back(self) -> None:
        self.slamming = False
        if not self.listening:
            self.listen()
        if self.storming:
            self.expect_absence()

    def calm(self) -> None:
        self.storming = False
        if self.absence is not None:
            self.absence.cancel()
            self.absence = None
            self.back()
        for peer in tuple(self.peers):
            peer.calm()
        self.say("calm")

    def say(self, text: str) -> None:
        self.control.transport.write(text.encode() + b"\n")

    def serve(self) -> None:
        """Until standard input ends, as it does when the other process ends."""
        self.control = Control(self)
        StandardIO(self.control)
        self.listen()
        self.say("listening")
        self.reactor.run()


class Control(LineOnlyReceiver):
    """What the other process says: storm or calm."""

    delimiter = b"\n"

    def __init__(self, server: Server) -> None:
        self.server = server

    def lineReceived(self, line: bytes) -> None:
        {b"storm": self.server.storm, b"calm": self.server.calm}[line]()

    def connectionLost(self, reason: Failure | None = None) -> None:
        with suppress(ReactorNotRunning):  # a signal was quicker
            self.server.reactor.stop()


def serve(seed: str, plain: str, secure: str, certificate: str, key: str) -> None:
    """The main function of a server's process."""
    from twisted.internet import reactor
    from twisted.internet.ssl import DefaultOpenSSLContextFactory

    context = DefaultOpenSSLContextFactory(key, certificate)
    Server(reactor, seed, (int(plain), int(secure)), context).serve()


# -- the servers, seen from here -----------------------------------------------------


class Child(ProcessProtocol):
    """A server's process, started again after each kill."""

    def __init__(self, soak: Soak, index: int) -> None:
        self.soak = soak
        self.index = index
        self.reserved = [reserve_port() for _ in range(2)]
        self.ports = [each.getsockname()[1] for each in self.reserved]
        self.life = 0
        self.buffer = b""
        self.up: Deferred[None] = Deferred()
        self.calmed: Deferred[None] = Deferred()
        self.gone: Deferred[None] = Deferred()

    def start(self) -> None:
        self.life += 1
        seed = f"{self.soak.seed}-{self.index}-{self.life}"
        words = ["--serve", seed, *map(str, self.ports), *self.soak.certificate]
        self.soak.reactor.spawnProcess(
            self,
            sys.executable,
            [sys.executable, __file__, *words],
            env=None,
            childFDs={0: "w", 1: "r", 2: 2},
        )

    def outReceived(self, data: bytes) -> None:
        *lines, self.buffer = (self.buffer + data).split(b"\n")
        for line in lines:
            kind, _, rest = line.decode().partition(" ")
            if kind == "listening":
                self.up.callback(None)
            elif kind == "calm":
                self.calmed.callback(None)
            elif kind == "fault":
                self.soak.faults[rest] += 1
            else:
                self.soak.violate(rest)

    def tell(self, word: str) -> None:
        self.transport.write(word.encode() + b"\n")

    async def kill(self) -> None:
        """SIGKILL, a while, and a new life."""
        self.soak.faults["kill"] += 1
        self.gone, self.up, self.buffer = Deferred(), Deferred(), b""
        self.transport.signalProcess("KILL")
        await self.gone
        await self.soak.sleep(self.soak.random.uniform(0, LONGEST_ABSENCE))
        self.start()
        await self.up

    async def storm(self, until: float) -> None:
        """Faults, and a kill now and then, until a moment; then none."""
        self.tell("storm")
        while True:
            pause = self.soak.random.uniform(4, 9)
            if time.monotonic() + pause > until:
                break
            await self.soak.sleep(pause)
            await self.kill()
            self.tell("storm")
        await self.soak.sleep(max(0.0, until - time.monotonic()))
        self.calmed = Deferred()
        self.tell("calm")
        await self.calmed

    def end(self) -> Deferred[None]:
        """The end of its standard input ends it."""
        self.gone = Deferred()
        self.transport.closeStdin()
        return self.gone

    def processEnded(self, reason: Failure) -> None:
        if reason.value.signal != signal.SIGKILL and not reason.check(ProcessDone):
            self.soak.violate(f"a server has ended by itself: {reason.value}")
        self.gone.callback(None)


def reserve_port() -> socket.socket:
    """A socket that is bound and does not listen.

    Between two lives of a server its port refuses, and is nobody's: neither
    another program's, nor that of the very attempt to connect to it.
    """
    reserved = socket.socket()
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reserved.bind((HOST, 0))
    return reserved


# -- the links ---------------------------------------------------------------------------


class Numbered(FrameProtocol):
    """Checks the order of what arrives."""

    framing = framing.lines()
    factory: Link
    expected = 0

    def connectionMade(self) -> None:
        handle = self.transport.getHandle()
        if isinstance(handle, socket.socket):
            handle.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)

    async def opening(self) -> None:
        welcome = await self.nextFrame()
        if welcome != b"welcome":
            self.factory.soak.violate(f"{self.factory.name} was greeted with {welcome!r}")
        self.sendFrame(b"login %s" % self.factory.name.encode())

    def frameReceived(self, frame: bytes) -> None:
        number = int(frame.partition(b" ")[0])
        if number != self.expected:
            self.factory.soak.violate(f"{self.factory.name} got {number}, not {self.expected}")
        self.expected = number + 1

    def tailReceived(self, tail: bytes) -> None:
        self.factory.soak.tails += 1


class Link(ReconnectingFactory):
    """Sends numbered lines, and notes its outages."""

    protocol = Numbered

    def __init__(self, soak: Soak, number: int) -> None:
        super().__init__(
            name=f"link {number}",
            backoff=BACKOFF,
            connectTimeout=1.0,
            openingTimeout=1.0,
            closeTimeout=0.5,
            silenceTimeout=0.6 if number % 2 else None,
            outboxBytes=16 * 1024,
        )
        self.soak = soak
        self.number = number
        self.numbered = 0
        self.waiting = False  # for room in the outbox
        self.down_since = time.monotonic()
        self.observe(self.changed)

    def changed(self, old: State, new: State, reason: Failure | None) -> None:
        if new is State.READY:
            self.soak.outage(time.monotonic() - self.down_since)
        elif old is State.READY:
            self.down_since = time.monotonic()
        if new is State.SETTLING and reason is not None:
            self.soak.reasons[explain(reason)] += 1

    def talk(self) -> None:
        """One batch more, unless the previous one still waits for room."""
        if self.waiting:
            self.soak.held_back += 1
            return
        count = self.soak.random.randrange(20)
        frames = [b"%d %s" % (self.numbered + index, b"." * 500) for index in range(count)]
        self.numbered += count
        self.waiting = True
        self.send(frames).addCallbacks(self.accepted, self.refused)

    def accepted(self, _: object) -> None:
        self.waiting = False

    def refused(self, reason: Failure) -> None:
        self.soak.violate(f"{self.name} was refused: {explain(reason)}")


# -- measuring -----------------------------------------------------------------------------


@frozen
class Sample:
    """What this process holds at a moment.

    :ivar rss: resident memory, KiB, without what is free but still held by
        the allocator: its fragments come and go, a leak stays.
    """

    rss: int
    descriptors: int
    timers: int


@frozen
class Census:
    """What must be the same in every calm."""

    descriptors: int
    timers: int
    connections: int


_malloc_trim: Callable[[int], object] = getattr(ctypes.CDLL(None), "malloc_trim", lambda _: None)


def sample(reactor: Any) -> Sample:
    """Measure, after what is garbage has gone."""
    gc.collect()
    _malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return Sample(
        rss=pages * os.sysconf("SC_PAGE_SIZE") // 1024,
        descriptors=len(os.listdir("/proc/self/fd")),
        timers=len(reactor.getDelayedCalls()),
    )


def census(reactor: Any) -> Census:
    """Count."""
    now = sample(reactor)
    connections = sum(isinstance(each, FrameProtocol) for each in gc.get_objects())
    return Census(now.descriptors, now.timers, connections)


def allowed(name: str, first: float, links: int) -> float:
    """How high the last quarter's median may be.

    Memory: 5 % and 4 MiB more, for what depends on what the links are just at. Descriptors and
    timers: one more for each link, for how many happen to be up; `differences`
    is the exact rule for these.
    """
    if name == "rss":
        return first * 1.05 + 4096
    return first + links


def quarters(samples: Sequence[Sample], name: str) -> tuple[float, float]:
    """The medians of the first and the last quarter after the warm-up."""
    values = [getattr(each, name) for each in samples[int(len(samples) * WARM_UP) :]]
    size = max(1, len(values) // 4)
    return median(values[:size]), median(values[-size:])


def growth(samples: Sequence[Sample], links: int) -> list[str]:
    """What is not flat, in words."""
    found = []
    for name in ("rss", "descriptors", "timers"):
        first, last = quarters(samples, name)
        if last > allowed(name, first, links):
            found.append(f"{name} grew from {first:g} to {last:g}")
    return found


def differences(before: Census, after: Census) -> list[str]:
    """What is left over in the second calm, in words."""
    return [
        f"{name}: {getattr(before, name)} in the first calm, {getattr(after, name)} in the last"
        for name in ("descriptors", "timers", "connections")
        if getattr(after, name) > getattr(before, name)
    ]


# -- the soak itself -------------------------------------------------------------------------


class Soak:
    """One run.

    :param seconds: how long the storm lasts.
    """

    def __init__(self, reactor: Any, seconds: float, links: int, seed: int, folder: str) -> None:
        self.reactor = reactor
        self.seconds = seconds
        self.seed = seed
        self.random = random.Random(seed)
        certs = make_certs(folder)
        self.certificate = (certs.good, certs.good_key)
        self.trust = TLSSettings(ca=certs.ca)
        self.children = [Child(self, index) for index in range(SERVERS)]
        self.links = [Link(self, number) for number in range(links)]
        self.samples: list[Sample] = []
        self.faults: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.violations: Counter[str] = Counter()
        self.longest_outage = 0.0
        self.tails = 0
        self.held_back = 0

    def violate(self, what: str) -> None:
        self.violations[what] += 1

    def outage(self, seconds: float) -> None:
        self.longest_outage = max(self.longest_outage, seconds)

    def sleep(self, seconds: float) -> Deferred[None]:
        return deferLater(self.reactor, seconds)

    async def run(self) -> list[str]:
        """From calm to calm; what was found, in words."""
        before_links = len(self.reactor.getDelayedCalls())
        for child in self.children:
            child.start()
        await gatherResults([child.up for child in self.children])
        for link in self.links:
            link.start(self.endpoint(link.number), self.reactor)
        first = await self.calm()
        await self.storm()
        last = await self.calm()
        await self.drain()
        stopping = await self.timed(gatherResults([link.stop() for link in self.links]))
        left = len(self.reactor.getDelayedCalls()) - before_links
        await gatherResults([child.end() for child in self.children])
        found = self.judge(first, last, stopping, left)
        print(self.table(first, last, stopping))
        return found

    def endpoint(self, number: int) -> Any:
        """Every fourth with TLS."""
        plain, secure = self.children[number % SERVERS].ports
        if number % 4 < 3:
            return tcp(self.reactor, HOST, plain)
        return tls(tcp(self.reactor, HOST, secure), HOST, self.trust, clock=self.reactor)

    async def calm(self) -> Census | None:
        """Wait until every link has been ready for a while; None if one is not in time."""
        deadline = time.monotonic() + RECOVERY
        steady = 0
        while steady < 10:
            await self.sleep(TICK)
            steady = steady + 1 if all(link.state is State.READY for link in self.links) else 0
            if time.monotonic() > deadline:
                for link in self.links:
                    if link.state is not State.READY:
                        self.violate(f"{link.name} is {link.state.name} {RECOVERY:g} s into a calm")
                return None
        return census(self.reactor)

    async def drain(self) -> None:
        """Wait until everything accepted has left."""
        await gatherResults([self.drained(link) for link in self.links])

    def drained(self, link: Link) -> Deferred[None]:
        drained = link.whenDrained().addTimeout(RECOVERY, self.reactor)
        return drained.addErrback(lambda reason: self.violate(f"{link.name} kept frames back"))

    async def storm(self) -> None:
        """Faults, traffic and samples."""
        until = time.monotonic() + self.seconds
        loops = [LoopingCall(self.talk), LoopingCall(self.look)]
        loops[0].start(TICK)
        loops[1].start(max(0.5, self.seconds / 600))
        storms = [Deferred.fromCoroutine(child.storm(until)) for child in self.children]
        await gatherResults(storms)
        for loop in loops:
            loop.stop()

    def talk(self) -> None:
        for link in self.links:
            link.talk()

    def look(self) -> None:
        self.samples.append(sample(self.reactor))
        for link in self.links:
            if not link.stats().outbox.conserved():
                self.violate(f"{link.name} has lost count of its frames")

    async def timed(self, done: Deferred[Any]) -> float:
        begun = time.monotonic()
        await done
        return time.monotonic() - begun

    def judge(
        self, first: Census | None, last: Census | None, stopping: float, left: int
    ) -> list[str]:
        """Everything that is not as it must be, in words."""
        found = [f"{what} ({count} times)" for what, count in self.violations.items()]
        found += growth(self.samples, len(self.links))
        if first is not None and last is not None:
            found += differences(first, last)
        if left > 0:
            found.append(f"{left} timers are left after stop")
        found += too_long("the longest outage", self.longest_outage, LONGEST_OUTAGE)
        found += too_long("stopping", stopping, STOPPING)
        for link in self.links:
            stats = link.stats()
            outbox = stats.outbox
            if not outbox.conserved() or outbox.acknowledged != link.numbered:
                found.append(f"{link.name} was given {link.numbered} frames to send: {outbox}")
            if stats.readies > stats.connects or stats.connects > stats.dials:
                found.append(f"{link.name} miscounts: {stats}")
            # The last connection ended by `stop`, which is no loss; an attempt
            # that TLS ended is one, and was no connection yet.
            if stats.losses < stats.connects - 1:
                found.append(f"{link.name}: {stats.connects} connections, {stats.losses} losses")
        if not sum(self.faults.values()):
            found.append("there was no fault at all: nothing was tested")
        return found

    def table(self, first: Census | None, last: Census | None, stopping: float) -> str:
        """The figures."""
        stats = [link.stats() for link in self.links]
        sums = {
            name: sum(getattr(each, name) for each in stats)
            for name in ("dials", "connects", "readies", "losses", "frames_in", "frames_out")
        }
        rows = [
            ("soak", f"{self.seconds:g} s, {len(stats)} links, seed {self.seed}"),
            ("faults", counts(self.faults)),
            ("reasons", counts(self.reasons)),
            ("links", ", ".join(f"{name} {value}" for name, value in sums.items())),
            ("cut off", f"{self.tails} frames; {self.held_back} batches held back"),
            ("longest", f"outage {self.longest_outage:.2f} s, stopping {stopping:.2f} s"),
        ]
        for name in ("rss", "descriptors", "timers"):
            begin, end = quarters(self.samples, name)
            most = allowed(name, begin, len(stats))
            rows.append((name, f"{begin:g} -> {end:g} (allowed {most:g})"))
        rows += [("first calm", str(first)), ("last calm", str(last))]
        return "\n".join(f"{name:<12} {value}" for name, value in rows)


def counts(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counter.most_common())


def too_long(what: str, seconds: float, limit: float) -> list[str]:
    return [f"{what} took {seconds:.1f} s (limit {limit:g} s)"] if seconds > limit else []


async def main(reactor: Any, options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="nbclient-soak-") as folder:
        soak = Soak(reactor, options.seconds, options.links, options.seed, folder)
        found = await soak.run()
    for what in found:
        print(f"VIOLATION: {what}")
    print("failed" if found else "passed")
    raise SystemExit(1 if found else 0)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Soak nbclient: faults for a while, then judge.")
    parser.add_argument("--seconds", type=limited(float, 1, 86400), default=60.0, metavar="N")
    parser.add_argument("--links", type=limited(int, 1, 1000), default=20, metavar="K")
    parser.add_argument("--seed", type=int, default=1, metavar="S")
    return parser.parse_args(arguments)


def limited(kind: Callable[[str], Any], least: float, most: float) -> Callable[[str], Any]:
    def number(text: str) -> Any:
        value = kind(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text} is not in {least:g}..{most:g}")
        return value

    return number


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(*sys.argv[2:])
    else:
        chosen = parse(sys.argv[1:])
        signal.alarm(int(chosen.seconds + 60))  # whatever happens, it ends
        react(main, [chosen])
