"""Twisted by those who have measured it: a whole chunk is cut at once.

python twisted_expert.py ROLE HOST PORT
"""

import struct
import sys

from twisted.internet import protocol, reactor

HEADER = struct.Struct("!I")


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


def main(role, host, port, *_):
    made = {"lines-in": Lines, "crlf-in": CrlfLines, "length-in": Length}[role]
    factory = protocol.ClientFactory.forProtocol(made)
    factory.noisy = False
    reactor.connectTCP(host, int(port), factory)
    reactor.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
