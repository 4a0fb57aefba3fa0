"""asyncio's streams, on its own loop or uvloop's: connections that have nothing to do.

python streams_idle.py LOOP ROLE HOST PORT LINKS MAXIMUM
"""

import asyncio
import os
import sys

import waiting


async def main(role, host, port, count, maximum):
    await asyncio.to_thread(waiting.begin)
    pairs = []
    while len(pairs) < int(count):
        numbers = range(len(pairs), min(len(pairs) + waiting.WAVE, int(count)))
        pairs += await asyncio.gather(
            *(asyncio.open_connection(waiting.address(n), int(port)) for n in numbers)
        )
    waiting.connected(len(pairs))
    await asyncio.to_thread(sys.stdin.read)
    os._exit(0)


if __name__ == "__main__":
    if sys.argv[1] == "uvloop":
        import uvloop

        uvloop.run(main(*sys.argv[2:]))
    else:
        asyncio.run(main(*sys.argv[2:]))
