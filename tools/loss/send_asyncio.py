"""Frames sent with asyncio as one would: write, drain, and again after an error.

python -m tools.loss.send_asyncio HOST PORT COUNT --rate N [--tls-ca FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import ssl
from contextlib import suppress

from tools.loss.frames import batches, frame

AGAIN = 0.1
"""Seconds until the next attempt."""


class Sender:
    """Writes frames one by one to whichever connection there is."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext | None) -> None:
        self.where = (host, port)
        self.context = context
        self.writer: asyncio.StreamWriter | None = None

    async def send(self, line: bytes) -> None:
        """Until it was written without an error."""
        while True:
            try:
                if self.writer is None:
                    _, self.writer = await asyncio.open_connection(*self.where, ssl=self.context)
                self.writer.write(line)
                await self.writer.drain()
            except OSError:
                self.writer = None
                await asyncio.sleep(AGAIN)
            else:
                return

    async def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
            with suppress(OSError):
                await self.writer.wait_closed()


async def send_all(given: argparse.Namespace) -> None:
    context = ssl.create_default_context(cafile=given.tls_ca) if given.tls_ca else None
    sender = Sender(given.host, given.port, context)
    for wait, numbers in batches(given.count, given.rate):
        await asyncio.sleep(wait)
        for number in numbers:
            await sender.send(frame(number) + b"\n")
    await sender.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("count", type=int)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--tls-ca")
    asyncio.run(send_all(parser.parse_args()))


if __name__ == "__main__":
    main()
