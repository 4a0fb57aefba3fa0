"""Twisted by those who have measured it: a whole chunk is cut at once, an answer sent at once.

To send, a hundred frames are joined for one write.

python twisted_expert.py ROLE HOST PORT [COUNT CONNECTIONS]
"""

import struct
import sys

import twisted_stock
from twisted.internet import protocol, reactor

HEADER = struct.Struct("!I")
BATCH = [b"x" * 99 + b"\n"] * 100
REQUEST = b"q" * 63 + b"\n"


class Lines(protocol.Protocol):
    frames = 0
    rest = b""
    delimiter = b"\n"

    def dataReceived(self, data):
        *lines, self.rest = (self.rest + data).split(self.delimiter)
        for line in lines:
            self.frameReceived(line)

    def frameReceived(self, frame):
        self.frames += 1

    def connectionLost(self, reason):
        print(self.frames)
        reactor.stop()


class CrlfLines(Lines):
    delimiter = b"\r\n"


class Length(Lines):
    def dataReceived(self, data):
        unpack = HEADER.unpack_from
        data = self.rest + data
        at, end = 0, len(data)
        while at + 4 <= end:
            stop = at + 4 + unpack(data, at)[0]
            if stop > end:
                break
            self.frameReceived(data[at + 4 : stop])
            at = stop
        self.rest = data[at:]


class Sender(twisted_stock.Sender):
    """Joins what it sends."""

    def resumeProducing(self):
        self.full = False
        while self.left > 0 and not self.full:
            self.transport.write(b"".join(BATCH))
            self.left -= len(BATCH)
        if self.left <= 0:
            self.transport.unregisterProducer()
            self.transport.loseConnection()


class Asker(Lines):
    """`writeSomeData` sends now; `write` would wait for the reactor's next turn."""

    left = 0
    others = []

    def connectionMade(self):
        self.transport.setTcpNoDelay(True)
        self.others.append(self)
        if len(self.others) == self.connections:
            for other in self.others:
                other.transport.write(REQUEST)

    def frameReceived(self, frame):
        self.left -= 1
        transport = self.transport
        if not self.left:
            transport.loseConnection()
        elif transport._tempDataBuffer or transport.dataBuffer:
            transport.write(REQUEST)
        else:
            sent = transport.writeSomeData(REQUEST)
            if sent != len(REQUEST):
                transport.write(REQUEST[sent:])

    def connectionLost(self, reason):
        self.others.remove(self)
        if not self.others:
            reactor.stop()


ROLES = {
    "lines-in": Lines,
    "crlf-in": CrlfLines,
    "length-in": Length,
    "out-batch": Sender,
    "ask": Asker,
}


def main(role, host, port, count="0", connections="1"):
    made = ROLES[role]
    each = int(count) // int(connections)
    made.left = each
    made.connections = int(connections)
    factory = protocol.ClientFactory.forProtocol(made)
    factory.noisy = False
    for _ in range(made.connections):
        reactor.connectTCP(host, int(port), factory)
    reactor.run()
    if made in (Asker, Sender):
        print(each * made.connections)


if __name__ == "__main__":
    main(*sys.argv[1:])
