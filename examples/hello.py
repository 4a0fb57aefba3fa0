"""Say hello, hear the answer, and end when the server closes.

    python examples/hello.py [HOST PORT]        (localhost 12345 by default)

What it teaches: one connection is a subclass of `FrameProtocol`. Nothing here
waits: `connectionReady` is called when the connection can be written to,
`frameReceived` when something arrived. With ``retries=0`` the link does not
dial again, so that it gives up with its connection, and `lastReason` says why;
stopped by us (Ctrl-C), it has not given up.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.task import react

from nbclient import Backoff, FrameProtocol, ReconnectingFactory, framing
from nbclient.endpoints import parse_port, tcp
from nbclient.errors import SpecError
from nbclient.reasons import explain
from nbclient.terminal import escape

USAGE = "usage: hello.py [HOST PORT]"


def say(text: str) -> None:
    """Print a line; without a reader (``| head`` has left), end without a word."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os._exit(0)


class Hello(FrameProtocol):
    framing = framing.raw()  # no frames: the bytes as they come

    def connectionReady(self) -> None:
        self.sendFrame(b"Hello, Server!")
        say("Message sent to the server.")

    def frameReceived(self, frame: bytes) -> None:
        say(f"Received: {escape(frame)}")  # a terminal would act on control characters


async def main(reactor: Any, host: str = "localhost", port: str = "12345") -> None:
    link = ReconnectingFactory.forProtocol(Hello, backoff=Backoff(retries=0))
    try:
        link.start(tcp(reactor, host, parse_port(port)))
    except SpecError as error:
        say(f"Error: {error}")
        raise SystemExit(1) from None
    reactor.addSystemEventTrigger("before", "shutdown", link.stop)
    gave_up = await link.whenStopped()
    if gave_up is None or link.lastReason is None:
        say("Client stopped.")
        return
    if not link.lastReason.check(ConnectionDone):
        say(f"Error: {explain(link.lastReason)}")
        raise SystemExit(1)
    say("Connection closed by the server.")


if __name__ == "__main__":
    if len(sys.argv) not in (1, 3):
        say(USAGE)
        sys.exit(1)
    react(main, sys.argv[1:])
