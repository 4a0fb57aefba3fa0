"""nbclient's `RequestProtocol`: a Deferred for each answer, awaited in a loop.

python ours_request.py ROLE HOST PORT COUNT CONNECTIONS
"""

import sys

from twisted.internet import defer, reactor

from nbclient import ReconnectingFactory, RequestProtocol, framing

REQUEST = b"q" * 63


class Asker(RequestProtocol):
    framing = framing.lines()


async def asking(connection, count):
    for _ in range(count):
        await connection.request(REQUEST)


async def main(role, host, port, count, connections):
    links = [ReconnectingFactory.forProtocol(Asker) for _ in range(int(connections))]
    for link in links:
        reactor.connectTCP(host, int(port), link)
    ready = [await link.whenReady() for link in links]
    each = int(count) // len(links)
    done = [defer.ensureDeferred(asking(connection, each)) for connection in ready]
    for one in done:
        await one
    for link in links:
        await link.stop()
    print(each * len(links))


if __name__ == "__main__":
    done = defer.ensureDeferred(main(*sys.argv[1:]))
    done.addErrback(lambda reason: reason.printTraceback())
    done.addBoth(lambda _: reactor.callWhenRunning(reactor.stop))
    reactor.run()
