"""Watch several servers at once, in one thread, until Ctrl-C.

    python examples/watcher.py HOST PORT [HOST PORT ...]

What it teaches: a link outlives its connections. An error is printed, its
socket closed, and the link tries again by itself, later and later; the others
are not disturbed. A `LinkService` starts and stops a link, a `MultiService`
any number of them, in good order and in bounded time. `observe` tells of each
change of a link's state.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from nbclient import FrameProtocol, LinkService, ReconnectingFactory, State, framing
from nbclient.endpoints import parse_port, tcp
from nbclient.errors import SpecError
from nbclient.reasons import explain
from nbclient.terminal import escape

USAGE = "usage: watcher.py HOST PORT [HOST PORT ...]"


def say(text: str) -> None:
    """Print a line; without a reader (``| head`` has left), end without a word."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os._exit(0)


class Watched(FrameProtocol):
    framing = framing.raw()

    def connectionReady(self) -> None:
        self.sendFrame(b"Hello, Server!")

    def frameReceived(self, frame: bytes) -> None:
        say(f"{self.factory.name} Received: {escape(frame)}")


def report(name: str, old: State, new: State, reason: Failure | None) -> None:
    """An observer of a link: why it has no connection now."""
    if new is not State.WAITING or reason is None:
        return
    if reason.check(ConnectionDone):
        say(f"{name} Connection closed by the server.")
    else:
        say(f"{name} Error: {explain(reason)}")


def watch(reactor: Any, host: str, port: int) -> LinkService:
    """One server's link, not started yet."""
    link = ReconnectingFactory.forProtocol(Watched, name=f"{host}:{port}")
    link.observe(partial(report, link.name))
    return LinkService(tcp(reactor, host, port), link)


def main(arguments: list[str]) -> int:
    from twisted.internet import reactor

    application = MultiService()
    try:
        if not arguments:
            raise SpecError("no server is named")
        for host, port in zip(arguments[::2], arguments[1::2], strict=True):
            watch(reactor, host, parse_port(port)).setServiceParent(application)
    except ValueError:  # a SpecError is one; so is an odd number of arguments
        say(USAGE)
        return 1
    application.startService()
    running: Any = reactor
    running.addSystemEventTrigger("before", "shutdown", application.stopService)
    running.run()  # until Ctrl-C
    say("Client stopped.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
