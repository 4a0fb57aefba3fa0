"""asyncio's streams, on its own loop or on uvloop's.

python streams.py LOOP ROLE HOST PORT COUNT [CONNECTIONS]
"""

import asyncio
import contextlib
import sys

LINE = b"x" * 99 + b"\n"
REQUEST = b"q" * 63 + b"\n"


class Counter:
    frames = 0

    def received(self, frame):
        self.frames += 1


async def lines_in(reader, writer, counter):
    while line := await reader.readline():
        counter.received(line)


async def length_in(reader, writer, counter):
    while True:
        size = int.from_bytes(await reader.readexactly(4), "big")
        counter.received(await reader.readexactly(size))


async def netstring_in(reader, writer, counter):
    while True:
        size = int((await reader.readuntil(b":"))[:-1])
        counter.received((await reader.readexactly(size + 1))[:-1])


async def octet_in(reader, writer, counter):
    while True:
        counter.received(await reader.readexactly(int(await reader.readuntil(b" "))))


async def counting(how, reader, writer):
    counter = Counter()
    with contextlib.suppress(asyncio.IncompleteReadError):
        await how(reader, writer, counter)
    print(counter.frames)
    writer.close()


async def sending(reader, writer, count):
    for _ in range(count):
        writer.write(LINE)
        await writer.drain()
    writer.close()
    await writer.wait_closed()
    print(count)


async def sending_batches(reader, writer, count):
    """By experts: waits for room once in a hundred frames."""
    for _ in range(0, count, 100):
        for _ in range(100):
            writer.write(LINE)
        await writer.drain()
    writer.close()
    await writer.wait_closed()
    print(count)


async def asking(reader, writer, count):
    for _ in range(count):
        writer.write(REQUEST)
        await reader.readline()
    writer.close()


COUNTING = {
    "lines-in": lines_in,
    "crlf-in": lines_in,
    "length-in": length_in,
    "netstring-in": netstring_in,
    "octet-in": octet_in,
}


async def main(role, host, port, count="0", connections="1"):
    count, connections = int(count), int(connections)
    pairs = [await asyncio.open_connection(host, int(port)) for _ in range(connections)]
    if role in COUNTING:
        await counting(COUNTING[role], *pairs[0])
    elif role == "out":
        await sending(*pairs[0], count)
    elif role == "out-batch":
        await sending_batches(*pairs[0], count)
    else:
        each = count // connections
        await asyncio.gather(*(asking(*pair, each) for pair in pairs))
        print(each * connections)


if __name__ == "__main__":
    if sys.argv[1] == "uvloop":
        import uvloop

        uvloop.run(main(*sys.argv[2:]))
    else:
        asyncio.run(main(*sys.argv[2:]))
