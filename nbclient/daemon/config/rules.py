"""Options that are right one by one and wrong together.

`check` raises on the first fault, with a line that names the options.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import combinations

from twisted.internet.abstract import isIPAddress, isIPv6Address

from nbclient.daemon.cli.options import SHELL, Given, Settings, misplaced
from nbclient.daemon.config import proxy
from nbclient.daemon.config.iospec import ENDLESS, Place, address
from nbclient.daemon.links.opening import SCRIPT
from nbclient.endpoints import LONGEST_SOCKET
from nbclient.errors import SpecError

_PROXY = ("proxy", "proxy-auth", "proxy-tls-ca")
_TCP = ("host", "port", "peer", "failback", "bind", "ipv4", "ipv6", *_PROXY)
_WHERE = (*_TCP, "tls", "unix", "endpoint", "connect-timeout")
_TLS = ("tls-ca", "tls-cert", "tls-key", "tls-name", "tls-pin", "tls-insecure")
_RETRY = (
    *("retry-initial", "retry-maximum", "retry-factor", "retry-least"),
    *("retries", "stable-after"),
)
_DATA = ("input", "input-framing", "output", "output-framing")
_FRAMES = ("framing", "framing-out", "max-frame", "on-bad-frame", "frame-timeout", "bad-frames")
_REPLY = ("reply-match", "reply-reject", "reply-key", "reply-window", "reply-timeout", "on-reject")
_OUT = (
    *("spool", "max-attempts", "outbox-bytes", "when-full", "when-down", "max-age"),
    "settle-after",
)
_TALK = ("answer", "heartbeat", "poll", "send-gap")

CONFLICTS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("host", ("unix", "endpoint"), "say one place to connect to"),
    ("peer", ("unix", "endpoint"), "say one kind of place to connect to"),
    ("port", ("unix", "endpoint"), "say one place to connect to"),
    ("unix", ("endpoint", "ipv4", "ipv6", "bind", "proxy"), "a UNIX socket has none of it"),
    (
        "endpoint",
        ("ipv4", "ipv6", "bind", "proxy", "tls", *_TLS),
        "the endpoint's own text says how to connect",
    ),
    ("ipv4", ("ipv6",), "leave out both for either"),
    ("tls-insecure", ("tls-ca",), "nothing would be verified"),
    (
        "raw",
        (*_FRAMES, "opening-framing", "input-framing", "output-framing"),
        "with --raw every framing is raw and no frame is bad",
    ),
    ("once", ("drain",), "--once never reconnects, --drain does"),
    ("once", _RETRY, "--once never reconnects"),
    (
        "check",
        ("once", "drain", "wait", *_RETRY, *_DATA, "silence-timeout", "demo"),
        "--check only connects, opens and leaves",
    ),
    ("check", (*_TALK, *_REPLY, *_OUT), "--check only connects, opens and leaves"),
    ("quiet", ("verbose",), "say less or more, not both"),
    ("quiet", ("hexdump",), "the hexdump is in the log"),
    ("demo", (*_WHERE, *_TLS, *_FRAMES, "raw", *SCRIPT, "protocol"), "the demo brings its own"),
)
"""An option, the options it cannot stand beside, and why."""

NEEDS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("host", ("port",), ""),
    ("port", ("host",), ""),
    *((name, ("tls",), "") for name in _TLS),
    ("tls-key", ("tls-cert",), ""),
    ("wait", ("once",), ""),
    ("failback", ("peer",), ""),
    ("proxy-auth", ("proxy",), ""),
    ("heartbeat", ("heartbeat-every",), ""),
    ("heartbeat-every", ("heartbeat",), ""),
    ("poll", ("poll-every",), ""),
    ("poll-every", ("poll",), ""),
    ("input-framing", ("input",), ""),
    ("spool-bytes", ("spool",), ""),
    ("spool-adopt", ("spool",), ""),
    ("max-attempts", ("spool",), "that is where frames are set aside"),
    ("opening-framing", SCRIPT, "there is nothing to say or wait for"),
    ("opening-timeout", (*SCRIPT, "protocol"), "there is nothing to wait for"),
)
"""An option, the options of which it needs one, and why."""


def check(settings: Settings, front: str) -> None:
    """Refuse what makes no sense together.

    :param front: the front end, `SHELL` or `TWISTD`.
    :raises SpecError: one line, both options named.
    """
    given = settings.given
    for name, others, why in CONFLICTS:
        for other in others:
            if name in given and other in given:
                raise SpecError(f"--{name} and --{other}: {why}")
    for name, needed, why in NEEDS:
        if front == SHELL and name == "input-framing":
            continue
        if name in given and not given.intersection(needed):
            reason = f" ({why})" if why else ""
            raise SpecError(f"--{name}: needs {_either(needed)}{reason}")
    _check_where(settings)
    _check_family(settings)
    _check_sockets(settings)
    proxy.check(settings)
    _check_data(settings, front)
    _check_delivery(settings)


def _either(names: Iterable[str]) -> str:
    return " or ".join(f"--{name}" for name in names)


def _check_where(settings: Settings) -> None:
    if not settings.given.intersection({"host", "peer", "unix", "endpoint", "demo"}):
        raise SpecError(
            "where to? --host with --port, --peer, --unix, --endpoint, or --demo is needed"
        )
    if settings.unix is not None and settings.tls and settings.tls_name is None:
        raise SpecError("--unix and --tls: --tls-name is needed, a path is no name to verify")
    if settings.retry_initial > settings.retry_maximum:
        raise SpecError(
            f"--retry-initial: {settings.retry_initial:g} is more than"
            f" --retry-maximum ({settings.retry_maximum:g})"
        )
    if settings.retry_least > settings.retry_maximum:
        raise SpecError(
            f"--retry-least: {settings.retry_least:g} is more than"
            f" --retry-maximum ({settings.retry_maximum:g})"
        )


def _check_family(settings: Settings) -> None:
    host = settings.bind[0] if settings.bind is not None else ""
    if settings.ipv6 and isIPAddress(host):
        raise SpecError(f"--bind and --ipv6: {host} is an IPv4 address")
    if settings.ipv4 and isIPv6Address(host):
        raise SpecError(f"--bind and --ipv4: {host} is an IPv6 address")


def _check_sockets(settings: Settings) -> None:
    """The system has no room for a longer path, and Twisted does not see it coming."""
    places = [("output", given.value) for given in settings.output]
    if settings.input is not None:
        places.append(("input", settings.input))
    paths = [(name, address(place.path).path) for name, place in places if place.kind == "listen"]
    for name, path in [("unix", settings.unix or ""), *paths]:
        size = len(os.fsencode(path))
        if size > LONGEST_SOCKET:
            raise SpecError(
                f"--{name}: a UNIX socket's path has at most {LONGEST_SOCKET} bytes, not {size}"
            )


def _check_data(settings: Settings, front: str) -> None:
    fault = misplaced(settings)
    if fault is not None:
        raise SpecError(f"--output-framing: {fault}")
    none = Place("none")
    if settings.input == none:
        for name in ("input-framing", "drain", "wait"):
            if name in settings.given:
                raise SpecError(f"--{name} and --input none: there is no input that could end")
    elif settings.input is not None and settings.input.kind in ENDLESS:
        for name in ("drain", "wait"):
            if name in settings.given:
                raise SpecError(f"--{name} and --input {settings.input.kind}: it never ends")
    elif settings.drain and settings.input is None and front != SHELL:
        raise SpecError("--drain: needs --input")
    if front != SHELL:
        _refuse_standard_streams(settings)
    for first, second in combinations(settings.output, 2):
        if first.value.same(second.value):
            raise SpecError(f"--output: {first.value} is given twice")
    _refuse_none_beside_others(settings.output)
    for place, framing in settings.targets:
        if framing is not None and place.kind in ("log", "none"):
            raise SpecError(f"--output-framing: --output {place} has no framing")
        _refuse_circle(settings.input, place)
        _refuse_two_modes(settings.input, place)


def _check_delivery(settings: Settings) -> None:
    if settings.delivery != "reply":
        for name in _REPLY:
            if name in settings.given:
                raise SpecError(f"--{name}: needs --delivery reply")
    if settings.delivery == "reply" and "settle-after" in settings.given:
        raise SpecError("--settle-after and --delivery reply: an answer says more")
    if "on-reject" in settings.given and settings.reply_reject is None:
        raise SpecError("--on-reject: needs --reply-reject")
    if settings.on_reject == "set-aside" and settings.spool is None:
        raise SpecError("--on-reject set-aside: needs --spool, that is where frames are set aside")
    local = settings.unix is not None or (settings.endpoint or "").lower().startswith("unix:")
    if settings.delivery == "tcp" and local:
        raise SpecError("--delivery tcp: a UNIX socket is no TCP")
    if "max-attempts" in settings.given and settings.delivery == "written":
        raise SpecError("--max-attempts and --delivery written: nothing is ever sent again")


def _refuse_circle(source: Place | None, target: Place) -> None:
    """A file or fifo would be read as fast as it is written."""
    files = ("file", "tail", "fifo")
    if source is None or source.kind not in files or target.kind not in files:
        return
    if source.path == target.path:
        raise SpecError(f"--output and --input: {target} cannot be both")


def _refuse_two_modes(source: Place | None, target: Place) -> None:
    """Who may connect is no matter to guess at."""
    if not target.same(source) or source is None:
        return
    ours, theirs = target.option("mode"), source.option("mode")
    if None not in (ours, theirs) and ours != theirs:
        raise SpecError(
            f"--output and --input: {target} cannot have two modes, {ours:o} and {theirs:o}"
        )


def _refuse_standard_streams(settings: Settings) -> None:
    standard = Place("-")
    if settings.input == standard:
        raise SpecError("--input: a daemon has no standard input; --help lists the others")
    if any(given.value == standard for given in settings.output):
        raise SpecError("--output: a daemon has no standard output; --help lists the others")


def _refuse_none_beside_others(outputs: tuple[Given, ...]) -> None:
    if len(outputs) > 1 and any(given.value == Place("none") for given in outputs):
        raise SpecError("--output: none stands alone")
