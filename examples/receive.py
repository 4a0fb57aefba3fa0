"""Receive until the server closes: the shortest loop there is.

    python examples/receive.py HOST PORT

What it teaches: what arrives can be asked for instead of being handed over.
`nextFrame` gives the next frame, and fails with `ConnectionClosed` after the
last one. The factory serves Twisted's classic ``reactor.connectTCP`` too.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

from twisted.internet.task import react

from nbclient import Backoff, FrameProtocol, ReconnectingFactory, framing
from nbclient.endpoints import parse_port
from nbclient.errors import ConnectionClosed, GaveUp, SpecError
from nbclient.terminal import escape

USAGE = "usage: receive.py HOST PORT"

say = partial(print, flush=True)


async def main(reactor: Any, host: str, port: str) -> None:
    link = ReconnectingFactory.forProtocol(
        FrameProtocol, framing=framing.raw(), backoff=Backoff(retries=0)
    )
    try:
        reactor.connectTCP(host, parse_port(port), link)
        connection = await link.whenReady()
        while True:
            say(f"Received: {escape(await connection.nextFrame())}")
    except ConnectionClosed:
        await link.stop()
    except (GaveUp, SpecError) as error:
        say(f"Error: {error}")
        raise SystemExit(1) from None


if __name__ == "__main__":
    if len(sys.argv) != 3:
        say(USAGE)
        sys.exit(1)
    react(main, sys.argv[1:])
