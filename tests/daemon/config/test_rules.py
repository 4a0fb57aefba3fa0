"""Options that make no sense together are refused, and both are named."""

from __future__ import annotations

import pytest

from nbclient.daemon.cli.options import SHELL, TWISTD, Settings, table
from nbclient.daemon.config.rules import CONFLICTS, LONGEST_SOCKET, NEEDS, check
from nbclient.errors import SpecError
from tests.conformance.daemon import daemon, shell

TO = ("--host", "h", "--port", "1")


def refused(capsys: pytest.CaptureFixture[str], *words: str, front: str = SHELL) -> str:
    """The one line on stderr that these words lead to."""
    with pytest.raises(SystemExit) as caught:
        (shell if front == SHELL else daemon)(*words)
    assert caught.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("nbclient: ")
    assert err.count("\n") == 1
    return err.removeprefix("nbclient: ").rstrip("\n")


def test_the_tables_name_options_that_exist() -> None:
    names = {option.name for option in table()}
    for name, others, _ in (*CONFLICTS, *NEEDS):
        assert {name, *others} <= names


@pytest.mark.parametrize(
    ("name", "other", "why"),
    [(name, other, why) for name, others, why in CONFLICTS for other in others],
)
def test_each_conflict_names_both_options_and_why(name: str, other: str, why: str) -> None:
    settings = Settings(given=frozenset({name, other}))
    with pytest.raises(SpecError, match=f"--{name}.*--{other}|--{other}.*--{name}"):
        check(settings, SHELL)
    assert why


@pytest.mark.parametrize(("name", "needed"), [(name, needed) for name, needed, _ in NEEDS])
def test_each_need_names_what_is_missing(name: str, needed: tuple[str, ...]) -> None:
    with pytest.raises(SpecError, match=f"--{name}: needs .*--{needed[0]}"):
        check(Settings(given=frozenset({name, "tls"} - set(needed))), TWISTD)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "where to? --host with --port, --peer, --unix, --endpoint, or --demo is needed"),
        (("h",), "--host: needs --port"),
        (("--port", "1"), "--port: needs --host"),
        (("--unix", "/s", "--tls"), "--unix and --tls: --tls-name is needed"),
        ((*TO, "--retry-initial", "61"), "--retry-initial: 61 is more than --retry-maximum (60)"),
        ((*TO, "--retry-least", "61"), "--retry-least: 61 is more than --retry-maximum (60)"),
        (
            (*TO, "--output-framing", "hex", "--output", "-"),
            "--output-framing: stands before its --output",
        ),
        (
            (*TO, "--output-framing", "hex", "--output-framing", "raw"),
            "--output-framing: is given twice for one --output",
        ),
        ((*TO, "--input", "none", "--drain"), "--drain and --input none: there is no input"),
        ((*TO, "--input", "none", "--once", "--wait", "1"), "--wait and --input none"),
        ((*TO, "--input", "none", "--input-framing", "raw"), "--input-framing and --input none"),
        ((*TO, "--output", "./a", "--output", "file:./a"), "--output: file:./a is given twice"),
        (
            (*TO, "--input", "listen:./s,mode=600", "--output", "listen:./s,mode=666"),
            "--output and --input: listen:./s cannot have two modes, 666 and 600",
        ),
        (
            (*TO, "--output", "listen:[::1]:9", "--output", "listen:[0::1]:9"),
            "--output: listen:[::1]:9 is given twice",
        ),
        (
            (*TO, "-6", "--bind", "127.0.0.1"),
            "--bind and --ipv6: 127.0.0.1 is an IPv4 address",
        ),
        ((*TO, "-4", "--bind", "[::1]:9"), "--bind and --ipv4: ::1 is an IPv6 address"),
        ((*TO, "--output", "none", "--output", "-"), "--output: none stands alone"),
        (
            (*TO, "--output", "log", "--output-framing", "hex"),
            "--output-framing: --output log has no framing",
        ),
        (
            (*TO, "--input", "./a", "--output", "./a"),
            "--output and --input: file:./a cannot be both",
        ),
        ((*TO, "--input", "tail:./a", "--drain"), "--drain and --input tail: it never ends"),
        (
            (*TO, "--input", "listen:./s", "--once", "--wait", "1"),
            "--wait and --input listen: it never ends",
        ),
        (
            (*TO, "--input", "tail:./a", "--output", "./a,rotate=1M"),
            "--output and --input: file:./a cannot be both",
        ),
        (
            (*TO, "--input", "fifo:./a", "--output", "fifo:./a"),
            "--output and --input: fifo:./a cannot be both",
        ),
        (
            (*TO, "--output", "listen:0.0.0.0:9000"),
            "--output: listen:0.0.0.0:9000: other machines could connect",
        ),
        (
            (*TO, "--output", "udp:h:1", "--output", "udp:h:1"),
            "--output: udp:h:1 is given twice",
        ),
        ((*TO, "--opening-timeout", "3"), "--opening-timeout: needs --opening or --opening-file"),
        ((*TO, "--reply-match", "x"), "--reply-match: needs --delivery reply"),
        (
            (*TO, "--delivery", "tcp", "--reply-window", "2"),
            "--reply-window: needs --delivery reply",
        ),
        (
            (*TO, "--delivery", "reply", "--on-reject", "retry"),
            "--on-reject: needs --reply-reject",
        ),
        (
            (*TO, "--delivery", "reply", "--reply-reject", "x", "--on-reject", "set-aside"),
            "--on-reject set-aside: needs --spool",
        ),
        (
            (*TO, "--delivery", "written", "--spool", "d", "--max-attempts", "3"),
            "--max-attempts and --delivery written: nothing is ever sent again",
        ),
        ((*TO, "--spool-adopt"), "--spool-adopt: needs --spool"),
        (("--unix", "/s", "--delivery", "tcp"), "--delivery tcp: a UNIX socket is no TCP"),
        (
            ("--endpoint", "unix:/s", "--delivery", "tcp"),
            "--delivery tcp: a UNIX socket is no TCP",
        ),
        (
            (*TO, "--delivery", "reply", "--settle-after", "1"),
            "--settle-after and --delivery reply: an answer says more",
        ),
        ((*TO, "--once", "--drain"), "--once and --drain: --once never reconnects, --drain does"),
        (("--unix", "s" * 200), "--unix: a UNIX socket's path has at most 10"),
        ((*TO, "--input", "listen:./" + "é" * 99), "--input: a UNIX socket's path has at most 10"),
        ((*TO, "--output", "log", "--output", "listen:./" + "s" * 200), "--output: a UNIX socket"),
    ],
)
def test_in_a_terminal(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], says: str
) -> None:
    assert refused(capsys, *words).startswith(says)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((*TO, "--input", "-"), "--input: a daemon has no standard input"),
        ((*TO, "--output", "-"), "--output: a daemon has no standard output"),
        ((*TO, "--drain"), "--drain: needs --input"),
        ((*TO, "--input-framing", "raw"), "--input-framing: needs --input"),
        (("h", "1"), "'h': use --host and --port"),
        ((*TO, "--check"), "--check: is not for twistd nbclient"),
    ],
)
def test_in_a_daemon(capsys: pytest.CaptureFixture[str], words: tuple[str, ...], says: str) -> None:
    assert refused(capsys, *words, front=TWISTD).startswith(says)


@pytest.mark.parametrize(
    "words",
    [
        ("--demo",),
        ("--demo", "--retry-maximum", "5", "--output", "./a"),
        ("--unix", "/s"),
        ("--unix", "s" * LONGEST_SOCKET, "--output", "listen:./" + "s" * (LONGEST_SOCKET - 2)),
        ("--unix", "/s", "--tls", "--tls-name", "n"),
        ("--endpoint", "tcp:h:1", "--connect-timeout", "3"),
        (*TO, "--raw", "--once", "--wait", "0"),
        (*TO, "--input-framing", "raw"),
        (*TO, "--drain"),
        (*TO, "--tls", "--tls-cert", "c", "--tls-key", "k", "--tls-pin", "p", "--tls-insecure"),
        (*TO, "--output", "-", "--output-framing", "hex", "--output", "log", "--input", "./a"),
        (*TO, "--protocol", "a:B", "--opening-timeout", "1"),
        (*TO, "--input", "none", "--once"),
        (*TO, "--input", "listen:./s", "--output", "listen:./s", "--output", "./s.log"),
        (*TO, "--input", "listen:./s,mode=666", "--output", "listen:./s"),
        (*TO, "--input", "listen:./s,mode=666", "--output", "listen:./t,mode=600"),
        (*TO, "-6", "--bind", "::1"),
        (*TO, "-4", "--bind", "127.0.0.1"),
        (*TO, "--input", "exec:./bot", "--drain"),
        (*TO, "--input", "tail:./a", "--once", "--output", "./b"),
        (*TO, "--spool", "d", "--spool-bytes", "1TiB", "--spool-adopt", "--max-attempts", "3"),
        (
            *(*TO, "--delivery", "reply", "--reply-match", "^ACK", "--reply-reject", "^NAK"),
            *("--on-reject", "set-aside", "--spool", "d", "--reply-window", "10"),
        ),
        (*TO, "--delivery", "reply", "--reply-reject", "x", "--on-reject", "retry"),
        (*TO, "--when-full", "drop-oldest", "--when-down", "refuse", "--max-age", "5"),
    ],
)
def test_what_makes_sense_is_taken(words: tuple[str, ...]) -> None:
    shell(*words)


def test_a_daemon_takes_files() -> None:
    daemon(*TO, "--input", "./a", "--drain", "--output", "./b", "--output", "log")
    daemon(*TO, "--output", "none")
