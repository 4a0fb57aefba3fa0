"""nbclient: many links that have nothing to do, with everything on.

python ours_idle.py ROLE HOST PORT LINKS MAXIMUM

ROLE: idle, or restart, with back-off up to MAXIMUM seconds. What is said and
when: see `waiting.py`.
"""

import os
import sys

import waiting
from twisted.internet import defer, reactor, threads

from nbclient import Backoff, FrameProtocol, ReconnectingFactory, framing


class Idle(FrameProtocol):
    framing = framing.lines()

    def frameReceived(self, frame):
        pass


def link(backoff):
    return ReconnectingFactory.forProtocol(
        Idle, backoff=backoff, silenceTimeout=3600, frameTimeout=3600, deadAfter=60
    )


async def connect(port, count, maximum):
    backoff = Backoff(initial=0.5, maximum=maximum)
    links = []
    before = waiting.descriptors()
    while len(links) < count:
        wave = min(waiting.WAVE, count - len(links)) if links else 1
        made = [link(backoff) for _ in range(wave)]
        for number, one in enumerate(made, len(links)):
            reactor.connectTCP(waiting.address(number), port, one)
        for one in made:
            await one.whenReady()
        links += made
        if len(links) == 1:
            count = min(count, waiting.most(waiting.descriptors() - before))
    return links


async def main(role, host, port, count, maximum):
    await threads.deferToThread(waiting.begin)
    links = await connect(int(port), int(count), float(maximum))
    waiting.connected(len(links))
    await threads.deferToThread(sys.stdin.read)
    os._exit(0)


if __name__ == "__main__":
    run = main(*sys.argv[1:])
    reactor.callWhenRunning(
        lambda: defer.ensureDeferred(run).addErrback(
            lambda reason: (reason.printTraceback(), os._exit(1))
        )
    )
    reactor.run()
