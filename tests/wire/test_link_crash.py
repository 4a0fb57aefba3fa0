"""A link with a spool, its process killed at any moment: what was accepted arrives.

`test_spool_crash.py` shows that what was stored is there after a kill. This is the whole
way: accepted by the link's own `send`, delivered at level `tcp`, forgotten by the disk.
"""

from __future__ import annotations

import random
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
KILLS = 20

# For each line "life seconds" a child that lives so long; without seconds, until all is
# delivered. Everything is loaded once, but for the reactor, which each child has to make.
NURSERY = """
import os, random, signal, sys, time
from nbclient import Backoff, ReconnectingFactory, framing
from nbclient.connection.protocol import FrameProtocol
from nbclient.link.spooling import open_spool
import twisted.internet.epollreactor, twisted.internet.threads, twisted.python.threadpool
import nbclient.spool.spool

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

class Lines(FrameProtocol):
    framing = framing.lines()

def live(directory, port, life, for_ever):
    from twisted.internet import reactor
    signal.alarm(30)  # whatever happens, it ends
    rng = random.Random(life)
    number = 0

    def begin(spool):
        link = ReconnectingFactory.forProtocol(
            Lines, spool=spool, backoff=Backoff(initial=0.01), outboxBytes=100_000, delivery="tcp"
        )
        reactor.connectTCP("127.0.0.1", port, link)
        if for_ever:
            link.whenDrained().addCallback(lambda _: os._exit(0))
            return
        for _ in range(4):
            offer(link)

    def offer(link):
        nonlocal number
        first, count = number, rng.randrange(1, 40)
        number += count
        frames = [b"%d-%d:" % (life, n) + b"x" * (n % 300) for n in range(first, first + count)]
        link.send(frames).addCallbacks(accepted, print, (link, first, count))

    def accepted(_, link, first, count):
        say("accepted", first, count)
        offer(link)

    open_spool(reactor, directory, "feed", "peer:1").addCallbacks(begin, lambda why: say(why))
    reactor.run()

for line in sys.stdin:
    life, *seconds = line.split()
    pid = os.fork()
    if not pid:
        live(sys.argv[1], int(sys.argv[2]), int(life), not seconds)
    if seconds:
        time.sleep(float(*seconds))
        os.kill(pid, 9)
    say("ended", os.waitpid(pid, 0)[1])
"""


class Sink:
    """Accepts connections one after the other and reads each to its end."""

    def __init__(self) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.connections: list[bytearray] = []
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        while True:
            peer, _ = self.listening.accept()
            received = bytearray()
            self.connections.append(received)
            with peer:
                peer.settimeout(10)
                try:
                    while data := peer.recv(65536):
                        received += data
                except ConnectionError:  # killed with something unread
                    pass
            if received == b"that is all\n":
                return

    def close(self) -> None:
        with socket.create_connection(("127.0.0.1", self.port)) as last:
            last.sendall(b"that is all\n")
        self.thread.join()
        self.listening.close()
        self.connections.pop()


def frame(life: int, number: int) -> bytes:
    return b"%d-%d:" % (life, number) + b"x" * (number % 300)


def key(line: bytes) -> tuple[int, int]:
    """Which frame a line is; it has to be whole."""
    life, number = map(int, line.partition(b":")[0].split(b"-"))
    assert line == frame(life, number), "a frame in part"
    return life, number


def test_every_frame_accepted_before_a_kill_arrives_in_order(tmp_path: Path) -> None:
    rng = random.Random(7)
    sink = Sink()
    accepted: set[tuple[int, int]] = set()
    with subprocess.Popen(
        [sys.executable, "-c", NURSERY, tmp_path, str(sink.port)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as nursery:
        assert nursery.stdin is not None
        assert nursery.stdout is not None
        for life in range(1, KILLS + 2):
            last = life > KILLS
            seconds = "" if last else f" {0.05 + rng.random() * 0.1:f}"
            nursery.stdin.write(f"{life}{seconds}\n".encode())
            nursery.stdin.flush()
            for line in iter(
                nursery.stdout.readline, b"ended %d\n" % (0 if last else signal.SIGKILL)
            ):
                word, first, count = line.split()
                assert word == b"accepted", line
                accepted.update((life, int(first) + n) for n in range(int(count)))
        nursery.stdin.close()
    sink.close()
    arrived: set[tuple[int, int]] = set()
    newest = (0, 0)
    for received in sink.connections:
        keys = [key(line) for line in bytes(received).split(b"\n")[:-1]]
        assert keys == sorted(set(keys)), "out of order, or twice on one connection"
        fresh = [each for each in keys if each not in arrived]
        assert not fresh or fresh[0] > newest, "for the first time, after newer ones"
        arrived.update(fresh)
        newest = max([newest, *keys])
    assert not accepted - arrived
    assert len(accepted) > 20 * KILLS, "it has to have been at work when it was killed"
