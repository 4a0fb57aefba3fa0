"""Receive until the server closes: the shortest loop there is.

    python examples/receive.py HOST PORT

What it teaches: what arrives can be asked for instead of being handed over.
`nextFrame` gives the next frame, and fails with `ConnectionClosed` after the
last one; why the connection ended is the link's `lastReason`. The factory serves
Twisted's classic ``reactor.connectTCP`` too.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.task import react

from nbclient import Backoff, FrameProtocol, ReconnectingFactory, framing
from nbclient.endpoints import parse_port
from nbclient.errors import ConnectionClosed, GaveUp, LinkStopped, SpecError
from nbclient.reasons import explain
from nbclient.terminal import escape

USAGE = "usage: receive.py HOST PORT"


def say(text: str) -> None:
    """Print a line; without a reader (``| head`` has left), end without a word."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os._exit(0)


async def main(reactor: Any, host: str, port: str) -> None:
    link = ReconnectingFactory.forProtocol(
        FrameProtocol, framing=framing.raw(), backoff=Backoff(retries=0)
    )
    try:
        reactor.connectTCP(host, parse_port(port), link)
        reactor.addSystemEventTrigger("before", "shutdown", link.stop)
        connection = await link.whenReady()
        while True:
            say(f"Received: {escape(await connection.nextFrame())}")
    except ConnectionClosed:
        await link.stop()
        if link.lastReason is not None and not link.lastReason.check(ConnectionDone):
            say(f"Error: {explain(link.lastReason)}")
            raise SystemExit(1) from None
    except LinkStopped:
        pass  # Ctrl-C before anything came
    except (GaveUp, SpecError) as error:
        say(f"Error: {error}")
        raise SystemExit(1) from None


if __name__ == "__main__":
    if len(sys.argv) != 3:
        say(USAGE)
        sys.exit(1)
    react(main, sys.argv[1:])
