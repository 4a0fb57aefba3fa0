"""nbclient, by its public interface: a `FrameProtocol` under a `ReconnectingFactory`.

python ours.py ROLE HOST PORT COUNT [CONNECTIONS]
"""

import sys

from twisted.internet import defer, reactor

from nbclient import FrameProtocol, ReconnectingFactory, framing

FRAMINGS = {
    "lines": framing.lines(),
    "crlf": framing.crlf(),
    "length": framing.length(4),
    "netstring": framing.netstring(),
    "octet": framing.octet_counted(),
}
LINE = b"x" * 99  # 100 with its LF
BATCH = [LINE] * 100
REQUEST = b"q" * 63


class Counter(FrameProtocol):
    """Counts frames, one at a time."""

    frames = 0

    def frameReceived(self, frame):
        self.frames += 1

    def connectionLost(self, reason):
        print(self.frames)
        self.factory.stop()


class BatchCounter(Counter):
    """Counts the frames of each read at once."""

    def framesReceived(self, frames):
        self.frames += len(frames)


class Sender(FrameProtocol):
    """Sends as long as the transport takes more: one call a frame."""

    framing = framing.lines()
    left = 0

    def connectionReady(self):
        self.more()

    def resumeProducing(self):
        super().resumeProducing()
        self.more()

    def more(self):
        while self.left and self.writable:
            self.sendFrame(LINE)
            self.left -= 1
        if not self.left:
            self.factory.stop()


class BatchSender(Sender):
    """The same, one call for a hundred frames."""

    def more(self):
        while self.left > 0 and self.writable:
            self.sendFrames(BATCH)
            self.left -= len(BATCH)
        if self.left <= 0:
            self.factory.stop()


class Asker(FrameProtocol):
    """The next request when the reply is in."""

    framing = framing.lines()
    left = 0

    def frameReceived(self, frame):
        self.left -= 1
        if self.left:
            self.sendFrame(REQUEST)
        else:
            self.factory.stop()


async def counting(host, port, shape, protocol):
    factory = ReconnectingFactory.forProtocol(protocol, framing=FRAMINGS[shape])
    reactor.connectTCP(host, port, factory)
    await factory.whenStopped()


async def sending(host, port, protocol, count):
    protocol.left = count
    factory = ReconnectingFactory.forProtocol(protocol)
    reactor.connectTCP(host, port, factory)
    await factory.whenStopped()
    print(count)


async def offering(host, port, count, batch, **options):
    """Through the outbox: waits for room, and at the end until all is delivered."""
    factory = ReconnectingFactory.forProtocol(FrameProtocol, framing=FRAMINGS["lines"], **options)
    reactor.connectTCP(host, port, factory)
    await factory.whenReady()
    for _ in range(0, count, len(batch)):
        await factory.send(batch)
    await factory.whenDrained()
    await factory.stop()
    print(count)


async def asking(host, port, count, connections):
    Asker.left = count // connections
    links = [ReconnectingFactory.forProtocol(Asker) for _ in range(connections)]
    for link in links:
        reactor.connectTCP(host, port, link)
    ready = [await link.whenReady() for link in links]
    for connection in ready:
        connection.sendFrame(REQUEST)
    for link in links:
        await link.whenStopped()
    print(Asker.left * connections)


def main(role, host, port, count="0", connections="1"):
    port, count, connections = int(port), int(count), int(connections)
    shape, _, way = role.partition("-")
    if way in ("in", "in-batch"):
        run = counting(host, port, shape, BatchCounter if way == "in-batch" else Counter)
    elif role == "out":
        run = sending(host, port, Sender, count)
    elif role == "out-batch":
        run = sending(host, port, BatchSender, count)
    elif shape == "link":  # link-written-one, link-tcp-batch, ...
        delivery, _, size = way.partition("-")
        batch = [LINE] if size == "one" else BATCH
        run = offering(host, port, count, batch, delivery=delivery)
    else:
        run = asking(host, port, count, connections)
    done = defer.ensureDeferred(run)
    done.addErrback(lambda reason: reason.printTraceback())
    done.addBoth(lambda _: reactor.callWhenRunning(reactor.stop))
    reactor.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
