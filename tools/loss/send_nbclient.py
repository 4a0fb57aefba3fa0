"""Frames sent by nbclient.

    python -m tools.loss.send_nbclient HOST PORT COUNT --rate N --delivery LEVEL
        [--window N] [--spool DIR]

Prints a line of JSON at each connection (its local port), after each loss, and
at the end: what the link counted.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater, react

from nbclient import Backoff, FrameProtocol, ReconnectingFactory, State, framing
from nbclient.delivery.replies import Reply
from nbclient.endpoints import TLSSettings, tcp, tls
from nbclient.link.spooling import open_spool
from tools.loss.frames import batches, frame

BACKOFF = Backoff(initial=0.05, maximum=0.2, stable_after=0.1)


class Numbered(FrameProtocol):
    """Sends; what comes back is the link's affair."""

    framing = framing.lines()

    def framesReceived(self, frames: Sequence[bytes]) -> None:
        """Answers, which the link has looked at."""


def say(event: str, **figures: Any) -> None:
    print(json.dumps({"event": event, **figures}), flush=True)


def report(link: Any, old: State, new: State) -> None:
    if new is State.READY:
        port = link.connection.transport.getHost().port
        say("connection", port=port, delivery=link.stats().delivery)
    elif old is State.SETTLING and new is not State.STOPPED:
        outbox = link.stats().outbox
        say("loss", acknowledged=outbox.acknowledged, resent=outbox.resent)


async def make_link(reactor: Any, given: argparse.Namespace) -> tuple[Any, Any]:
    more: dict[str, Any] = {}
    if given.delivery == "reply":
        more["reply"] = Reply(match=re.compile(rb"^ok "), window=given.window)
    if given.spool:
        more["spool"] = await open_spool(reactor, given.spool, "loss", "server")
    link: Any = ReconnectingFactory.forProtocol(
        Numbered, backoff=BACKOFF, delivery=given.delivery, **more
    )
    link.observe(lambda old, new, why: report(link, old, new))
    return link, more.get("spool")


async def send_all(reactor: Any, given: argparse.Namespace) -> None:
    link, spool = await make_link(reactor, given)
    endpoint = tcp(reactor, given.host, given.port)
    if given.tls_ca:
        endpoint = tls(endpoint, given.host, TLSSettings(ca=given.tls_ca))
    link.start(endpoint, reactor)
    for wait, numbers in batches(given.count, given.rate):
        await deferLater(reactor, wait)
        await link.send([frame(number) for number in numbers])
    await link.whenDrained()
    await link.stop()
    outbox = link.stats().outbox
    if spool is not None:
        spool.close()
    say("end", conserved=outbox.conserved(), **attrs.asdict(outbox))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("count", type=int)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--delivery", required=True)
    parser.add_argument("--tls-ca")
    parser.add_argument("--window", type=int, default=1)
    parser.add_argument("--spool")
    given = parser.parse_args()
    react(lambda reactor: Deferred.fromCoroutine(send_all(reactor, given)))


if __name__ == "__main__":
    main()
