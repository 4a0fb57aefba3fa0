"""What can be asked for: one table, from which everything else is made.

A field of `Settings` is an option: its metadata gives the parser, the help,
the default and the front ends that know it. `commandline` makes Twisted's
`usage.Options`, ``--help`` and the reference page from it; a field's name,
with ``_``, is the option's name, with ``-``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from attrs import field, fields, frozen

from nbclient.daemon.config import iospec, values
from nbclient.daemon.config.iospec import Place
from nbclient.daemon.config.proxy import Proxy
from nbclient.daemon.config.proxy import parse as parse_proxy
from nbclient.framing.spec import KNOWN, SKIPPING

SHELL = "nbclient"
TWISTD = "twistd nbclient"
BOTH = frozenset({SHELL, TWISTD})

GROUPS = {
    "where": "Where to connect",
    "frames": "How frames are told apart",
    "data": "What is sent and where it goes",
    "opening": "What is said first",
    "talking": "What the link says by itself",
    "staying": "Staying connected",
    "delivery": "When a frame counts as delivered",
    "ending": "When to end",
    "running": "Running",
}

_META = "nbclient.option"


@frozen
class Option:
    """One option, as parsers, help and reference need it.

    :ivar name: as typed, without the leading ``--``.
    :ivar metavar: what stands for the value in help; None for a flag.
    :ivar parse: text -> value; raises SpecError.
    :ivar short: a one-letter spelling, or "".
    :ivar default: the default in words, "" where there is none.
    :ivar unit: the value's unit in words, "" where there is none.
    :ivar repeat: may be given more than once; the order is kept.
    :ivar fronts: the front ends that know it.
    """

    name: str
    group: str
    help: str
    metavar: str | None
    parse: Callable[[str], object]
    short: str
    default: str
    unit: str
    repeat: bool
    fronts: frozenset[str]

    @property
    def field(self) -> str:
        """The name of the field of `Settings`."""
        return self.name.replace("-", "_")


@frozen
class Given:
    """One use of a repeatable option: its place on the command line and its value."""

    place: int
    value: Any


def _option(
    group: str,
    help: str,
    metavar: str | None = None,
    parse: Callable[[str], object] = values.text,
    *,
    default: object = None,
    says: str | None = None,
    unit: str = "",
    short: str = "",
    repeat: bool = False,
    fronts: frozenset[str] = BOTH,
) -> Any:
    """A field of `Settings`; `says` is the default in words where its text is not good enough."""
    if metavar is None and not repeat:
        default = False
    words = f"{default:g}" if isinstance(default, float) else str(default or "")
    meta = {
        "group": group,
        "help": help,
        "metavar": metavar,
        "parse": parse,
        "short": short,
        "default": words if says is None else says,
        "unit": unit,
        "repeat": repeat,
        "fronts": fronts,
    }
    return field(default=() if repeat else default, metadata={_META: meta})


_SHELL_ONLY = frozenset({SHELL})


@frozen(kw_only=True)
class Settings:
    """The options as given, checked one by one; `checks.check` looks at them together."""

    host: str | None = _option("where", "the peer's name or address", "H", values.host)
    port: int | None = _option("where", "the peer's TCP port", "P", values.port)
    unix: str | None = _option(
        "where", "a UNIX socket, in place of --host and --port", "PATH", values.path
    )
    endpoint: str | None = _option(
        "where",
        "a Twisted client endpoint such as tcp:HOST:PORT, in place of --host and --port (ssl: is"
        " refused, it does not verify; use tls:)",
        "STRING",
    )
    peer: tuple[Given, ...] = _option(
        "where",
        "another peer, tried in the order given (after --host) when the one before fails",
        "H:P",
        iospec.peer,
        repeat=True,
    )
    failback: float | None = _option(
        "where",
        "after this long on another peer than the first, go back to the first if it answers",
        "S",
        values.seconds,
        says="stay",
        unit="seconds",
    )
    ipv4: bool = _option("where", "IPv4 only", short="4")
    ipv6: bool = _option("where", "IPv6 only", short="6")
    bind: tuple[str, int] | None = _option(
        "where",
        "the local address to connect from; while this machine does not have it, attempts fail, say"
        " so, and go on",
        "ADDR[:PORT]",
        values.local_address,
    )
    proxy: Proxy | None = _option(  # noqa: RUF009 (a field, not a default)
        "where",
        "reach the peer through this proxy: socks5://H:P, http://H:P (CONNECT), or https://H:P (the"
        " same, the way to the proxy under TLS, verified); it looks the peer's name up; --bind, -4"
        " and -6 are for the way to it, and --delivery auto is written",
        "URL",
        parse_proxy,
    )
    proxy_auth: str | None = _option(
        "where",
        "the login for the proxy: user:password on the first line of this file, which nobody else"
        " may read; it is read at each connect",
        "FILE",
        values.path,
    )
    proxy_tls_ca: str | None = _option(
        "where",
        "trust only the authorities in this PEM file when it comes to an https:// proxy",
        "FILE",
        values.path,
        says="the system's authorities",
    )
    tls: bool = _option("where", "TLS, verified, 1.2 or newer")
    tls_ca: str | None = _option(
        "where",
        "trust only the authorities in this PEM file",
        "FILE",
        values.path,
        says="the system's authorities",
    )
    tls_cert: str | None = _option(
        "where", "our certificate, PEM, for peers that ask for one", "FILE", values.path
    )
    tls_key: str | None = _option("where", "our private key, PEM", "FILE", values.path)
    tls_name: str | None = _option(
        "where", "the name the peer's certificate must have", "NAME", says="the host's name"
    )
    tls_pin: tuple[Given, ...] = _option(
        "where",
        "the peer's certificate or public key must have this SHA-256; one of several is enough",
        "sha256:HEX",
        repeat=True,
    )
    tls_insecure: bool = _option("where", "do not verify the peer's certificate (says so loudly)")
    connect_timeout: float = _option(
        "where",
        "an attempt may take this long: name, connection and TLS handshake together",
        "S",
        values.seconds,
        default=10.0,
        unit="seconds",
    )

    framing: str | None = _option(
        "frames", f"how the peer separates frames: {KNOWN}", "SPEC", says="lines"
    )
    framing_out: str | None = _option(
        "frames",
        "how the peer wants frames separated, where that is not as it separates its own",
        "SPEC",
        says="as --framing",
    )
    max_frame: int = _option(
        "frames",
        "the longest frame accepted, a security limit; 64KiB, 2M and the like are understood",
        "BYTES",
        values.size,
        default=1024 * 1024,
        unit="bytes",
    )
    on_bad_frame: str = _option(
        "frames",
        "after a bad frame close the connection and redial, or skip what was bad and go on; skip"
        f" is for {SKIPPING}",
        "close|skip",
        values.choice("close", "skip"),
        default="close",
    )
    frame_timeout: float | None = _option(
        "frames",
        "redial when a frame that has begun is not finished within this",
        "S",
        values.seconds,
        says="off",
        unit="seconds",
    )
    bad_frames: str | None = _option(
        "frames",
        "keep the last 20 bad frames as files in this directory, which is made",
        "DIR",
        values.path,
    )
    raw: bool = _option("frames", "every framing is raw: byte for byte, as nc does")

    input: Place | None = _option(  # noqa: RUF009 (a field, not a default)
        "data",
        "where the frames to send come from: - (standard input), file:PATH, tail:PATH[,from=start]"
        " (as it grows), fifo:PATH, listen:ADDR:PORT or listen:PATH (local programs connect),"
        " exec:CMD (a program; it reads what arrives), none",
        "SPEC",
        iospec.source,
        says="- for python -m, none for twistd",
    )
    input_framing: str | None = _option(
        "data", "how the input separates frames", "SPEC", says="lines"
    )
    output: tuple[Given, ...] = _option(
        "data",
        "where received frames go: - (standard output), file:PATH[,rotate=SIZE][,keep=N] (appended;"
        " %Y%m%d and the like in PATH), fifo:PATH, listen:ADDR:PORT or listen:PATH (local programs"
        " connect), udp:HOST:PORT (a datagram a frame), log, none",
        "SPEC",
        iospec.target,
        says="- for python -m, log for twistd",
        repeat=True,
    )
    output_framing: tuple[Given, ...] = _option(
        "data",
        "the framing of the --output before it (without any, of the one by default): a framing as"
        " above, hex, base64, record (a JSON object a frame), or record-base64 (the same for"
        " bytes)",
        "SPEC",
        says="the peer's own; lines where that is line-like; readable on a terminal",
        repeat=True,
    )

    opening: tuple[Given, ...] = _option(
        "opening",
        "send this as one frame; knows \\n \\r \\t \\0 \\\\ \\xHH, ${file:PATH} and ${env:NAME}",
        "TEXT",
        repeat=True,
    )
    opening_file: tuple[Given, ...] = _option(
        "opening",
        "send this file: each line one frame, nothing replaced; with --framing raw as it is",
        "FILE",
        values.path,
        repeat=True,
    )
    expect: tuple[Given, ...] = _option(
        "opening",
        "wait for a frame in which this is found (raw: until it is found in what has come since the"
        " last match); --opening, --opening-file, --expect and --expect-prompt are one script, run"
        " in the order given at each connection",
        "REGEX",
        values.regex,
        repeat=True,
    )
    expect_prompt: tuple[Given, ...] = _option(
        "opening",
        "as --expect, and also looks at a frame that is not finished, such as a prompt without a"
        " line's end, once nothing more has come for 0.25 seconds",
        "REGEX",
        values.regex,
        repeat=True,
    )
    opening_framing: str | None = _option(
        "opening",
        "the framing of the opening in both directions, where what follows has another; its frames"
        " are for --expect alone and reach no output",
        "SPEC",
        says="as --framing",
    )
    opening_timeout: float = _option(
        "opening",
        "the whole script may take this long; then the attempt has failed",
        "S",
        values.seconds,
        default=10.0,
        unit="seconds",
    )

    answer: tuple[Given, ...] = _option(
        "talking",
        "when a frame matches, send this back; \\1 stands for the first group; the first one"
        " that matches answers",
        "/REGEX/TEMPLATE/",
        values.answer,
        repeat=True,
    )
    heartbeat: str | None = _option(
        "talking", "a frame to send when nothing else was sent", "TEXT", values.anything
    )
    heartbeat_every: float | None = _option(
        "talking",
        "send it after this long without anything sent",
        "S",
        values.seconds,
        unit="seconds",
    )
    poll: str | None = _option(
        "talking", "a frame to send on a schedule, as long as it is answered", "TEXT", values.text
    )
    poll_every: float | None = _option(
        "talking",
        "from one poll to the next; unanswered, the next waits for 5 seconds or this long,"
        " whichever is longer",
        "S",
        values.seconds,
        unit="seconds",
    )
    send_gap: float | None = _option(
        "talking",
        "at least this long between two frames of the input",
        "S",
        values.seconds_or_zero,
        says="none",
        unit="seconds",
    )

    retry_initial: float = _option(
        "staying",
        "the first wait before dialling again is at most this; waits are random",
        "S",
        values.seconds,
        default=0.5,
        unit="seconds",
    )
    retry_maximum: float = _option(
        "staying", "every wait is at most this", "S", values.seconds, default=60.0, unit="seconds"
    )
    retry_factor: float = _option(
        "staying", "how much longer the next wait may be", "F", values.factor, default=2.0
    )
    retry_least: float = _option(
        "staying",
        "every wait is at least this: for peers that shut out who comes back too soon",
        "S",
        values.seconds_or_zero,
        default=0.0,
        unit="seconds",
    )
    retries: int | None = _option(
        "staying",
        "after a failed attempt or a loss, try this often in a row, then give up",
        "N",
        values.count,
        says="never give up",
    )
    stable_after: float = _option(
        "staying",
        "waits are short again after a connection that was ready for this long, or made progress",
        "S",
        values.seconds_or_zero,
        default=10.0,
        unit="seconds",
    )
    silence_timeout: float | None = _option(
        "staying",
        "redial when nothing arrived for this long",
        "S",
        values.seconds,
        says="off",
        unit="seconds",
    )
    dead_after: float | None = _option(
        "staying",
        "redial when the peer's host answers nothing for this long, not even its kernel; a peer"
        " that is only slow is kept; TCP only; off for never",
        "S",
        values.dead_after,
        default=60.0,
        unit="seconds",
    )
    close_timeout: float = _option(
        "staying",
        "how long an orderly end may take before it is cut short",
        "S",
        values.seconds,
        default=10.0,
        unit="seconds",
    )

    delivery: str = _option(
        "delivery",
        "written: handed to the transport; tcp: the peer's kernel has it, else it is sent again;"
        " reply: the peer's application answered it; auto: tcp where it can be had, else written",
        "auto|written|tcp|reply",
        values.choice("auto", "written", "tcp", "reply"),
        default="auto",
    )
    settle_after: float | None = _option(
        "delivery",
        "a frame that the peer's kernel acknowledged counts as delivered once the connection has"
        " lived this long since, or the peer has sent a frame: one that takes the bytes and closes"
        " has proven nothing, and they are sent again; 0 for at once",
        "S",
        values.seconds_or_zero,
        says="1 second with --drain, --spool or --reject-line, else 0",
    )
    reject_line: Any = _option(  # noqa: RUF009 (a field, not a default)
        "delivery",
        "a frame of the peer in which this is found turns the connection away (a full server's"
        " greeting): the attempt has failed, the frame goes to the log and not to the output",
        "REGEX",
        values.regex,
        says="none does",
    )
    reply_match: Any = _option(  # noqa: RUF009 (a field, not a default)
        "delivery",
        "a frame in which this is found is an answer",
        "REGEX",
        values.regex,
        says="every frame is one",
    )
    reply_reject: Any = _option(  # noqa: RUF009 (a field, not a default)
        "delivery",
        "an answer in which this is found says that the frame was not taken",
        "REGEX",
        values.regex,
        says="none does",
    )
    reply_key: Any = _option(  # noqa: RUF009 (a field, not a default)
        "delivery",
        "what a frame and its answer have in common: the first group, found in both",
        "REGEX",
        values.regex,
        says="answers come in the order of the frames",
    )
    reply_window: int = _option(
        "delivery",
        "so many frames may wait for their answers; 1: one after the other",
        "N",
        values.positive,
        default=1,
    )
    reply_timeout: float = _option(
        "delivery",
        "redial when a frame is not answered for this long, and send it again",
        "S",
        values.seconds,
        default=30.0,
        unit="seconds",
    )
    on_reject: str = _option(
        "delivery",
        "a frame that the peer rejects: stop ends with status 3, retry sends it again on another"
        " connection, after the back-off, set-aside keeps it in the spool and goes on",
        "stop|retry|set-aside",
        values.choice("stop", "retry", "set-aside"),
        default="stop",
    )
    max_attempts: int | None = _option(
        "delivery",
        "set a frame aside in the spool after it was sent so often in vain: the connection was"
        " lost before the peer acknowledged anything, or it rejected the frame",
        "N",
        values.positive,
        says="never",
    )
    spool: str | None = _option(
        "delivery",
        "keep frames that are not delivered in this folder: a restart goes on with them; an input"
        " file is then not sent twice",
        "DIR",
        values.path,
        says="in memory",
    )
    spool_bytes: int = _option(
        "delivery",
        "how much the spool holds, 64 bytes a frame included",
        "SIZE",
        values.big_size,
        default=1024**3,
        says="1GiB",
    )
    spool_adopt: bool = _option(
        "delivery", "send what the spool holds for another peer to this one"
    )
    outbox_bytes: int = _option(
        "delivery",
        "how much waits in memory, 64 bytes a frame included",
        "SIZE",
        values.size,
        default=64 * 1024**2,
        says="64MiB",
    )
    when_full: str = _option(
        "delivery",
        "when there is no more room: wait reads no more input, refuse drops what comes,"
        " drop-oldest what has waited longest; what is dropped is counted",
        "wait|refuse|drop-oldest",
        values.choice("wait", "refuse", "drop-oldest"),
        default="wait",
    )
    when_down: str = _option(
        "delivery",
        "while there is no connection: queue frames, or refuse drops and counts them",
        "queue|refuse",
        values.choice("queue", "refuse"),
        default="queue",
    )
    max_age: float | None = _option(
        "delivery",
        "a frame that has waited longer is not sent, and counted",
        "S",
        values.seconds,
        says="off",
        unit="seconds",
    )

    once: bool = _option(
        "ending",
        "one connection: send the input, close our side (under TLS: nothing is closed), take what"
        " comes until the peer closes too; see --wait",
    )
    wait: float = _option(
        "ending",
        "with --once: when all is sent, end if for this long the peer neither sends nor closes",
        "S",
        values.seconds_or_zero,
        default=10.0,
        unit="seconds",
    )
    drain: bool = _option(
        "ending", "reconnect as usual; end when the input has ended and all of it is delivered"
    )
    max_time: float | None = _option(
        "ending",
        "end after this long, with status 4",
        "S",
        values.seconds,
        says="off",
        unit="seconds",
    )

    verbose: tuple[Given, ...] = _option(
        "running", "say more; -vv adds the tracebacks", short="v", repeat=True
    )
    quiet: bool = _option("running", "only warnings and errors", short="q")
    hexdump: bool = _option(
        "running",
        "every byte sent and received into the log, secrets masked",
        short="x",
    )
    timestamps: bool = _option(
        "running",
        "the local time before each frame on standard output (a framing of text, or a terminal)"
        " and each line of the log",
        fronts=_SHELL_ONLY,
    )
    check: bool = _option(
        "running",
        "only try: connect, run the opening, say what was found, leave; status 0 if it works, 3 if"
        " not",
        fronts=_SHELL_ONLY,
    )
    protocol: str | None = _option(
        "running",
        "your own subclass of FrameProtocol, in place of the outputs",
        "package.module:Class",
    )
    name: str | None = _option(
        "running",
        "what the log calls the link; the name of its folder in --spool",
        "NAME",
        values.name,
        says="the peer's address; in --spool: link",
    )
    demo: bool = _option(
        "running", "talk to a server in this process that sends lines and has outages"
    )

    given: frozenset[str] = frozenset()
    """The names of the options that were given, as typed but without ``--``."""

    @property
    def verbosity(self) -> int:
        """-1 for -q, 0, 1 for -v, 2 for -vv."""
        return -1 if self.quiet else len(self.verbose)

    @property
    def script(self) -> list[tuple[str, Any]]:
        """The opening in the order given: (the option's name, value)."""
        steps = [
            (given.place, name, given.value)
            for name, uses in (
                ("opening", self.opening),
                ("opening-file", self.opening_file),
                ("expect", self.expect),
                ("expect-prompt", self.expect_prompt),
            )
            for given in uses
        ]
        return [(name, value) for _, name, value in sorted(steps, key=lambda step: step[0])]

    @property
    def targets(self) -> list[tuple[Place, str | None]]:
        """Each --output with its own --output-framing, None where none is given."""
        uses = [(use.place, "output", use.value) for use in self.output]
        uses += [(use.place, "framing", use.value) for use in self.output_framing]
        if not self.output:
            return []
        found: list[tuple[Place, str | None]] = []
        for _, kind, value in sorted(uses, key=lambda use: use[0]):
            if kind == "output":
                found.append((value, None))
            else:
                found[-1] = (found[-1][0], value)
        return found


def table(front: str | None = None) -> Iterator[Option]:
    """Every option in the order of help; only those that `front` knows, if given."""
    for attribute in fields(Settings):
        meta = attribute.metadata.get(_META)
        if meta is not None and (front is None or front in meta["fronts"]):
            yield Option(name=attribute.name.replace("_", "-"), **meta)


def misplaced(settings: Settings) -> str | None:
    """The fault in how --output-framing stands among the outputs, in words.

    Without any --output one belongs to the output that there is by default.
    """
    places = sorted(
        [(given.place, "output") for given in settings.output]
        + [(given.place, "output-framing") for given in settings.output_framing]
    )
    previous = "output-framing" if settings.output else "output"
    for index, (_, name) in enumerate(places):
        if name == "output-framing" and previous == name:
            return "stands before its --output" if index == 0 else "is given twice for one --output"
        previous = name
    return None
