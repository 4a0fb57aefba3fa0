"""nbclient: frames through the outbox with a spool, each batch stored before it is accepted.

python ours_spool.py ROLE HOST PORT COUNT
"""

import os
import sys
import tempfile

from twisted.internet import defer, reactor

from nbclient import FrameProtocol, ReconnectingFactory, framing
from nbclient.link.spooling import open_spool

BATCH = [b"x" * 99] * 100
ON_THEIR_WAY = 32
"""Batches offered and not yet stored: an input does not wait for each commit."""


async def main(role, host, port, count):
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_FOLDER")) as folder:
        spool = await open_spool(reactor, folder, "bench", f"{host}:{port}", 2**30)
        factory = ReconnectingFactory.forProtocol(
            FrameProtocol, framing=framing.lines(), spool=spool
        )
        reactor.connectTCP(host, int(port), factory)
        await factory.whenReady()
        room = defer.DeferredSemaphore(ON_THEIR_WAY)
        for _ in range(0, int(count), len(BATCH)):
            await room.acquire()
            factory.send(BATCH).addBoth(lambda _: room.release())
        await factory.whenDrained()
        await factory.stop()
        spool.close()
    print(count)


if __name__ == "__main__":
    done = defer.ensureDeferred(main(*sys.argv[1:]))
    done.addErrback(lambda reason: reason.printTraceback())
    done.addBoth(lambda _: reactor.callWhenRunning(reactor.stop))
    reactor.run()
