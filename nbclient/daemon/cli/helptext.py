"""What ``--help`` and ``--version`` print.

``--help`` shows the options that most people need, by what they want to do;
``--help all`` shows every option, ``--help NAME`` one option or one group.
"""

from __future__ import annotations

import platform
import textwrap
from collections.abc import Iterator
from difflib import get_close_matches
from importlib import metadata
from importlib.util import find_spec

from nbclient import __version__
from nbclient.daemon.cli.options import GROUPS, SHELL, TWISTD, Option, table
from nbclient.daemon.config.values import shown
from nbclient.errors import SpecError
from nbclient.kernel.tcpinfo import supported
from twisted import __version__ as twisted_version

STATUSES = (
    (0, "finished, and everything was delivered or stored"),
    (1, "something was not delivered: how many is on stderr"),
    (2, "wrong usage or configuration"),
    (3, "gave up, or was refused: why is on stderr"),
    (4, "--max-time was over"),
)
INTERRUPTED = "128+n: ended by signal n, and everything was delivered or stored (130 for Ctrl-C)"

EXAMPLES = {
    SHELL: (
        (f"{SHELL} feed.example 5000", "see what comes, type what goes"),
        (f"printf 'PING\\r\\n' | {SHELL} --once db.example 6379", "ask once"),
        (f"{SHELL} --demo", "a tour that needs no server"),
    ),
    TWISTD: (
        (
            "twistd -n --pidfile= nbclient --host feed.example --port 5000"
            " --output file:/var/log/feed.log",
            "append a feed to a file for months",
        ),
    ),
}

SUMMARY = (
    "A TCP client that stays connected. It splits what arrives into frames (lines, unless"
    " told otherwise), sends what it is given, and reconnects by itself."
)

COMMON = {
    "Connect": (
        ("tls", "use TLS; the certificate is verified"),
        ("tls-ca", "trust this authority instead of the system's"),
        ("peer", "another peer, tried when the one before it fails"),
        ("check", "connect, log in, report and leave"),
    ),
    "Tell frames apart": (
        ("framing", "lines, crlf, length:4, netstring, stx-etx, mllp, json, …"),
        ("raw", "no framing: byte for byte, as nc does"),
    ),
    "Say where data comes from and goes to": (
        ("input", "-, file:PATH, tail:PATH, fifo:PATH, listen:…, exec:CMD, none"),
        ("output", "-, file:PATH, fifo:PATH, listen:…, udp:H:P, log, none"),
        ("output-framing", "raw, hex, base64, record (JSON), …"),
    ),
    "Log in": (
        ("opening", "send this first on each connection; ${file:PATH} for secrets"),
        ("expect", "wait for a frame that matches, before anything else is sent"),
    ),
    "Notice that a link is dead": (
        ("silence-timeout", "reconnect when nothing arrived for so long"),
        ("heartbeat", "send this when nothing else was sent; see --heartbeat-every"),
    ),
    "Lose nothing": (
        ("delivery", "what counts as delivered: written, tcp or reply"),
        ("spool", "keep what is not delivered on disk, over restarts"),
    ),
    "End": (
        ("once", "one connection: send the input, take the answer, end"),
        ("drain", "end when the input has ended and all of it is delivered"),
        ("retries", "give up after so many failures in a row"),
    ),
    "Watch it": (
        ("verbose", "log more; -vv adds tracebacks"),
        ("hexdump", "log every byte sent and received, secrets included"),
    ),
}
"""The options that most people need, by task: name, and what it does in one short line."""


def synopsis(front: str) -> str:
    """The first line of help."""
    if front == SHELL:
        return f"Usage: {SHELL} [options] HOST PORT"
    return "Usage: twistd [options] nbclient [options]"


def spelling(option: Option) -> str:
    """The option as typed: ``-x, --hexdump`` or ``--port P``."""
    short = f"-{option.short}, " if option.short else ""
    value = f" {option.metavar}" if option.metavar else ""
    return f"{short}--{option.name}{value}"


def remarks(option: Option) -> str:
    """The default, the unit, and whether it can be repeated, in words; may be empty."""
    words = ["repeatable"] if option.repeat else []
    counted = option.unit and option.default[:1].isdigit()
    if option.unit and not counted:
        words.append(f"in {option.unit}")
    if option.default:
        words.append(f"default: {option.default}" + (f" {option.unit}" if counted else ""))
    return ", ".join(words)


def help_for(front: str, topic: str | None) -> str:
    """The text for ``--help`` and ``--help TOPIC``.

    :param front: the front end, `SHELL` or `TWISTD`.
    :param topic: ``all``, the name of an option (without ``--``) or of a group, or None.
    :raises SpecError: there is no such topic.
    """
    if topic is None:
        return short_help(front)
    if topic == "all":
        return help_text(front)
    if topic in GROUPS:
        return "\n".join(_group_lines(front, topic))
    by_name = {option.name: option for option in table(front)}
    option = by_name.get(topic.removeprefix("--"))
    if option is not None:
        return "\n".join(_help_lines(option))
    near = get_close_matches(topic, [*GROUPS, *by_name], 1)
    hint = f"; did you mean --help {near[0]}?" if near else ""
    raise SpecError(f"--help: {shown(topic)} is neither an option nor a group of them{hint}")


def short_help(front: str, width: int = 80) -> str:
    """The options that most people need, by task, and how to see the others."""
    options = {option.name: option for option in table(front)}
    lines = [synopsis(front), "", *textwrap.wrap(SUMMARY, width), ""]
    for task, names in COMMON.items():
        lines += [f"{task}:"]
        for name, brief in names:
            if name in options:
                lines += [_brief_line(options[name], brief)]
        lines += [""]
    lines += [
        "More:",
        f"  -h, --help all         all {len(options)} options",
        "  --help NAME            one of them, such as --help spool, or one group:",
        *textwrap.wrap(
            ", ".join(GROUPS), width, initial_indent=" " * 25, subsequent_indent=" " * 25
        ),
        "  --version              versions, and what TLS and delivery this machine has",
        "",
        *_example_lines(front),
    ]
    return "\n".join(lines)


def _brief_line(option: Option, brief: str) -> str:
    metavar = option.metavar or ""
    # A list of choices is too wide here; `--help NAME` has it.
    short = f"-{option.short}, " if option.short else ""
    typed = f"{short}--{option.name} {'LEVEL' if '|' in metavar else metavar}".rstrip()
    return f"  {typed:<22} {brief}"


def help_text(front: str, width: int = 80) -> str:
    """Every option of the front end, by group."""
    lines = [synopsis(front), ""]
    for group in GROUPS:
        lines += [*_group_lines(front, group, width), ""]
    lines += ["  --version", "  -h, --help [all|GROUP|NAME]", "", "Exit status:"]
    lines += [f"  {status}  {meaning}" for status, meaning in STATUSES]
    lines += [f"  {INTERRUPTED}", "", *_example_lines(front)]
    return "\n".join(lines)


def _example_lines(front: str) -> Iterator[str]:
    yield "Examples:"
    for command, purpose in EXAMPLES[front]:
        yield f"  # {purpose}"
        yield f"  {command}"


def _group_lines(front: str, group: str, width: int = 80) -> list[str]:
    lines = [f"{GROUPS[group]}:"]
    for option in table(front):
        if option.group == group:
            lines += _help_lines(option, width)
    return lines


def _help_lines(option: Option, width: int = 80) -> list[str]:
    said = remarks(option)
    words = f"{option.help} ({said})" if said else option.help
    pieces = " ".join(piece for word in words.split(" ") for piece in _pieces(word, width - 10))
    text = textwrap.wrap(pieces, width - 10, break_long_words=False, break_on_hyphens=False)
    return [f"  {spelling(option)}", *(f"          {line}" for line in text)]


def _pieces(word: str, width: int) -> list[str]:
    """A word in pieces that fit a line, cut before what may be left out: ``[,OPTION]``."""
    pieces = []
    while len(word) > width and (at := word.rfind("[,", 1, width)) > 0:
        pieces.append(word[:at])
        word = word[at:]
    return [*pieces, word]


def version_text() -> str:
    """The versions, and the level of TLS and of delivery that this machine has."""
    python = platform.python_version()
    return "\n".join(
        (
            f"nbclient {__version__} (Twisted {twisted_version}, Python {python})",
            f"TLS: {_tls_level()}",
            f"delivery: {_delivery_level()}",
        )
    )


def _tls_level() -> str:
    if find_spec("OpenSSL") is None or find_spec("service_identity") is None:
        return "none; pip install 'twisted-nbclient[tls]'"
    from cryptography.hazmat.backends.openssl import backend

    library = backend.openssl_version_text()
    return f"1.2 and 1.3 ({library}, pyOpenSSL {metadata.version('pyOpenSSL')})"


def _delivery_level() -> str:
    support = supported()
    if support:
        return "tcp (this kernel says what the peer acknowledged)"
    return f"written ({support.reason})"
