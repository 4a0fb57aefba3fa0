"""Twisted's own receivers, and `transport.write`, as its documentation shows them.

python twisted_stock.py ROLE HOST PORT COUNT [CONNECTIONS]
"""

import sys

from twisted.internet import interfaces, protocol, reactor
from twisted.protocols import basic
from zope.interface import implementer

LINE = b"x" * 99 + b"\n"
REQUEST = b"q" * 63 + b"\n"


class Counting:
    frames = 0

    def frameReceived(self, frame):
        self.frames += 1

    lineReceived = stringReceived = frameReceived

    def connectionLost(self, reason):
        print(self.frames)
        reactor.stop()


class Lines(Counting, basic.LineReceiver):
    delimiter = b"\n"


class CrlfLines(Counting, basic.LineReceiver):
    pass


class Length(Counting, basic.Int32StringReceiver):
    MAX_LENGTH = 1024 * 1024


class Netstring(Counting, basic.NetstringReceiver):
    pass


@implementer(interfaces.IPushProducer)
class Sender(protocol.Protocol):
    """Sends as long as the transport takes more."""

    left = 0
    full = False

    def connectionMade(self):
        self.transport.registerProducer(self, True)
        self.resumeProducing()

    def pauseProducing(self):
        self.full = True

    def resumeProducing(self):
        self.full = False
        while self.left and not self.full:
            self.transport.write(LINE)
            self.left -= 1
        if not self.left:
            self.transport.unregisterProducer()
            self.transport.loseConnection()

    def stopProducing(self):
        pass

    def connectionLost(self, reason):
        reactor.stop()


class Asker(protocol.Protocol):
    """The next request when the reply is in; nothing is cut."""

    left = 0
    waiting = set()
    open = 0

    def connectionMade(self):
        self.waiting.add(self)
        Asker.open += 1
        if len(self.waiting) == self.connections:
            for each in self.waiting:
                each.transport.write(REQUEST)

    def dataReceived(self, data):
        self.left -= 1
        if self.left:
            self.transport.write(REQUEST)
        else:
            self.transport.loseConnection()

    def connectionLost(self, reason):
        Asker.open -= 1
        if not Asker.open:
            reactor.stop()


class LineAsker(Asker, basic.LineReceiver):
    """The same with `LineReceiver`."""

    delimiter = b"\n"
    dataReceived = basic.LineReceiver.dataReceived

    def lineReceived(self, line):
        Asker.dataReceived(self, line)


ROLES = {
    "lines-in": Lines,
    "crlf-in": CrlfLines,
    "length-in": Length,
    "netstring-in": Netstring,
    "out": Sender,
    "ask": Asker,
    "ask-lines": LineAsker,
}


def main(role, host, port, count="0", connections="1"):
    made = ROLES[role]
    made.left = int(count) // int(connections)
    made.connections = int(connections)
    factory = protocol.ClientFactory.forProtocol(made)
    factory.noisy = False
    for _ in range(int(connections)):
        reactor.connectTCP(host, int(port), factory)
    reactor.run()
    if not issubclass(made, Counting):
        print(made.left * int(connections))


if __name__ == "__main__":
    main(*sys.argv[1:])
