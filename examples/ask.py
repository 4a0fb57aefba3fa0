"""Ask a Redis server: each command is a request, and the next line is its answer.

    python examples/ask.py HOST PORT COMMAND [COMMAND ...]

for example ``python examples/ask.py localhost 6379 PING 'INCR visits' 'TTL visits'``.

What it teaches: `RequestProtocol.request` gives a Deferred of the answer. All
commands leave at once, and are answered in turn. A server that closes, or does
not answer within five seconds, is an error that says so. (Answers of several
lines, such as those to GET, would need a framing of their own.)
"""

from __future__ import annotations

import os
import sys
from typing import Any

from twisted.internet.defer import Deferred, FirstError, gatherResults
from twisted.internet.endpoints import connectProtocol
from twisted.internet.task import react
from twisted.python.failure import Failure

from nbclient import RequestProtocol, framing
from nbclient.endpoints import parse_port, tcp
from nbclient.reasons import explain
from nbclient.terminal import escape

USAGE = "usage: ask.py HOST PORT COMMAND [COMMAND ...]"


class Redis(RequestProtocol):
    framing = framing.crlf()
    requestWindow = 100  # so many commands on their way at once
    requestTimeout = 5.0


async def ask(server: Redis, command: str) -> None:
    answer = await server.request(os.fsencode(command))
    print(f"{command}: {escape(answer)}", flush=True)  # a terminal would act on control characters


async def main(reactor: Any, host: str, port: str, *commands: str) -> None:
    try:
        server = await connectProtocol(tcp(reactor, host, parse_port(port)), Redis())
        asked = [Deferred.fromCoroutine(ask(server, command)) for command in commands]
        await gatherResults(asked, consumeErrors=True)
    except Exception as error:
        reason = error.subFailure if isinstance(error, FirstError) else Failure()
        print(f"Error: {explain(reason)}")
        raise SystemExit(1) from None
    server.loseConnection()


if __name__ == "__main__":
    if len(sys.argv) < 4:
        print(USAGE)
        sys.exit(1)
    react(main, sys.argv[1:])
