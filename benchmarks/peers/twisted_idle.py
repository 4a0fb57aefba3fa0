"""Twisted: bare connections that have nothing to do, or its ReconnectingClientFactory.

python twisted_idle.py ROLE HOST PORT LINKS MAXIMUM
"""

import os
import sys

import waiting
from twisted.internet import defer, protocol, reactor, threads

made = []


class Idle(protocol.Protocol):
    def connectionMade(self):
        self.factory.ready.callback(self)
        self.factory.ready = defer.Deferred()


class Bare(protocol.ClientFactory):
    protocol = Idle
    noisy = False


class Reconnecting(protocol.ReconnectingClientFactory):
    protocol = Idle
    noisy = False

    def buildProtocol(self, addr):
        self.resetDelay()
        return super().buildProtocol(addr)


async def connect(port, count, maximum, reconnecting):
    shared = Bare()
    while len(made) < count:
        wave = []
        for number in range(len(made), min(len(made) + waiting.WAVE, count)):
            factory = Bare()
            if reconnecting:
                factory = Reconnecting()
                factory.maxDelay = maximum
            factory.ready = defer.Deferred()
            wave.append(factory.ready)
            reactor.connectTCP(waiting.address(number), port, factory)
        for ready in wave:
            made.append(await ready)
            if not reconnecting:
                made[-1].factory = shared


async def main(role, host, port, count, maximum):
    await threads.deferToThread(waiting.begin)
    await connect(int(port), int(count), float(maximum), role == "restart")
    waiting.connected(len(made))
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
