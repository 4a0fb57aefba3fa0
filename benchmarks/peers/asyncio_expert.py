"""asyncio by those who have measured it: a `Protocol`, a whole chunk cut at once.

python asyncio_expert.py LOOP ROLE HOST PORT COUNT [CONNECTIONS]
"""

import asyncio
import struct
import sys

LINE = b"x" * 99 + b"\n"
REQUEST = b"q" * 63 + b"\n"

HEADER = struct.Struct("!I")


class Base(asyncio.Protocol):
    frames = 0
    rest = b""

    def __init__(self, left=0):
        self.left = left
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport

    def frame_received(self, frame):
        self.frames += 1

    def connection_lost(self, error):
        self.done.set_result(None)


class Lines(Base):
    delimiter = b"\n"

    def data_received(self, data):
        *lines, self.rest = (self.rest + data).split(self.delimiter)
        for line in lines:
            self.frame_received(line)


class CrlfLines(Lines):
    delimiter = b"\r\n"


class Length(Base):
    def data_received(self, data):
        unpack = HEADER.unpack_from
        data = self.rest + data
        at, end = 0, len(data)
        while at + 4 <= end:
            stop = at + 4 + unpack(data, at)[0]
            if stop > end:
                break
            self.frame_received(data[at + 4 : stop])
            at = stop
        self.rest = data[at:]


class Asker(Base):
    def data_received(self, data):
        self.left -= 1
        if self.left:
            self.transport.write(REQUEST)
        else:
            self.transport.close()


ROLES = {"lines-in": Lines, "crlf-in": CrlfLines, "length-in": Length, "ask": Asker}


async def main(role, host, port, count="0", connections="1"):
    each = int(count) // int(connections)
    connect = asyncio.get_running_loop().create_connection
    made = [
        (await connect(lambda: ROLES[role](each), host, int(port)))[1]
        for _ in range(int(connections))
    ]
    if role == "ask":
        for protocol in made:
            protocol.transport.write(REQUEST)
    for protocol in made:
        await protocol.done
    print(each * int(connections) if role == "ask" else made[0].frames)


if __name__ == "__main__":
    if sys.argv[1] == "uvloop":
        import uvloop

        uvloop.run(main(*sys.argv[2:]))
    else:
        asyncio.run(main(*sys.argv[2:]))
