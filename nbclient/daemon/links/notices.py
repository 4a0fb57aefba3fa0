"""What is told unasked: the level of delivery in force, and that nobody would miss the peer."""

from __future__ import annotations

from nbclient.daemon.cli.options import Settings
from nbclient.daemon.links.builder import DaemonProtocol, settle_after
from nbclient.daemon.links.plan import Plan

_DELIVERED = {
    "written": "a frame counts as delivered when it was handed to the system",
    "tcp": "a frame counts as delivered when the peer's kernel has acknowledged it",
    "reply": "a frame counts as delivered when the peer has answered it",
}


def delivery(level: str, settings: Settings) -> str:
    """The level in force, and what it means.

    :param level: as in `LinkStats.delivery`.
    """
    after = settle_after(settings)
    settled = f"; settled {after:g} s later, or when the peer has sent a frame" if after else ""
    if settings.proxy is not None and level == "written":
        said = "handed to the system; what is acknowledged, the proxy acknowledges"
        return f"{level} ({said}{settled})"
    return f"{level} ({_DELIVERED[level]}{settled})"


def unwatched(settings: Settings, plan: Plan) -> str:
    """Why nobody would notice that the peer is dead, in words; "" where somebody would.

    Whoever sends is told by TCP, in the end, that nothing arrives. A link that only
    receives waits for ever, unless it is told how long silence may last, or the peer's
    kernel is asked. A class of one's own may send what it likes and is not judged.
    """
    sends = (
        plan.source.kind != "none" or settings.heartbeat is not None or settings.poll is not None
    )
    endpoint = settings.endpoint or ""
    local = settings.demo or settings.unix is not None or endpoint.lower().startswith("unix:")
    if sends or local or settings.check or plan.protocol is not DaemonProtocol:
        return ""
    if settings.silence_timeout is not None:
        return ""
    if settings.proxy is not None:
        return (
            "a dead peer would not be noticed, --dead-after ends at the proxy;"
            " see --silence-timeout"
        )
    if settings.dead_after is None:
        return "a dead peer would not be noticed; see --silence-timeout and --dead-after"
    return ""
