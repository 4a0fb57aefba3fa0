"""From the table to parsers, help, and the reference page."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from twisted.python import usage

from nbclient.daemon.cli.options import table
from nbclient.daemon.cli.parser import ShellOptions, reference, tell
from tests.conformance.daemon import daemon, shell
from tests.daemon.config.test_rules import refused

ROOT = Path(__file__).parents[3]
REFERENCE = ROOT / "docs" / "command-line.md"


def test_values_arrive_parsed_and_what_was_given_is_known() -> None:
    settings = daemon("--host", "h", "--port=5000", "-4", "--tls", "--tls-pin", "a", "--tls-pin=b")
    assert (settings.host, settings.port, settings.ipv4) == ("h", 5000, True)
    assert [given.value for given in settings.tls_pin] == ["a", "b"]
    assert settings.given == {"host", "port", "ipv4", "tls", "tls-pin"}
    assert settings.ipv6 is False


def test_options_and_arguments_may_be_mixed() -> None:
    settings = shell("-x", "feed", "--silence-timeout", "5", "5000", "--once")
    assert (settings.host, settings.port) == ("feed", 5000)
    assert (settings.hexdump, settings.silence_timeout, settings.once) == (True, 5.0, True)


def test_a_host_may_begin_with_a_dash_behind_two() -> None:
    assert shell("--", "-h", "1").host == "-h"


def test_the_words_of_the_process_are_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["nbclient", "h", "1"])
    options = ShellOptions()
    options.parseOptions()
    assert options.settings.host == "h"


def test_a_long_name_may_be_cut_short() -> None:
    assert shell("h", "1", "--hex").hexdump is True


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("h", "70000"), "--port: 70000 is out of range (1 to 65535)"),
        (("h", "1", "--hots", "x"), "--hots: there is no such option; did you mean --host?"),
        (("h", "1", "--spol", "x"), "--spol: there is no such option; did you mean --spool?"),
        (("h", "1", "-z"), "-z: there is no such option; --help lists them"),
        (("h", "1", "--\x1bx"), "--\\x1bx: there is no such option; --help lists them"),
        (("h", "1", "--re", "1"), "--re: could be more than one option"),
        (("h", "--port"), "--port: needs a value"),
        (("h", "1", "--once=5"), "--once: takes no value"),
        (("h", "1", "2"), "'2': only HOST and PORT are taken"),
        (("h", "1", "--host", "g"), "--host and HOST: say it once"),
        (("h", "1", "--framing", "raw", "--framing", "crlf"), "--framing: is given twice"),
        (("h", "1", "--framing", ""), "--framing: must not be empty"),
    ],
)
def test_a_wrong_usage_is_one_line_and_status_two(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], says: str
) -> None:
    assert refused(capsys, *words) == says


def test_an_option_may_be_repeated_with_the_same_value() -> None:
    assert shell("h", "1", "--once", "--once").once is True


def test_what_twisted_itself_refuses_is_one_line_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: object, *arguments: str) -> None:
        raise usage.UsageError("no")

    monkeypatch.setattr(ShellOptions, "parseArgs", refuse)
    assert refused(capsys, "h") == "no"


def test_the_reference_page_is_up_to_date() -> None:
    """If this fails: python -m nbclient.daemon.cli.parser > docs/command-line.md"""
    assert REFERENCE.read_text(encoding="utf-8") == reference()


def test_the_reference_page_lists_every_option() -> None:
    page = reference()
    for option in table():
        assert f"--{option.name}" in page


def test_the_page_is_written_by_running_the_module(capsys: pytest.CaptureFixture[str]) -> None:
    sys.modules.pop("nbclient.daemon.cli.parser", None)
    runpy.run_module("nbclient.daemon.cli.parser", run_name="__main__")
    assert capsys.readouterr().out == reference()


@pytest.mark.parametrize(
    ("sink", "status", "said"),
    [("| true", 0, ""), (">/dev/full", 2, "nbclient: standard output: No space left on device\n")],
)
@pytest.mark.parametrize("word", ["--help", "--version"])
def test_help_into_a_closed_pipe_or_a_full_disk_is_no_traceback(
    word: str, sink: str, status: int, said: str
) -> None:
    command = f"set -o pipefail; (sleep 0.2; exec {sys.executable} -m nbclient {word}) {sink}"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=30, cwd=ROOT
    )
    assert (done.returncode, done.stderr) == (status, said)


@pytest.mark.parametrize(("error", "status"), [(BrokenPipeError(), 0), (OSError(28, "full"), 2)])
def test_what_could_not_be_printed_is_not_tried_again_at_exit(
    error: OSError, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(text: str, flush: bool = False, file: object = None) -> None:
        if file is None:
            raise error

    replaced: list[int] = []
    out = sys.stdout.fileno()
    with monkeypatch.context() as patched:
        patched.setattr("builtins.print", broken)
        patched.setattr(os, "dup2", lambda old, new: (os.close(old), replaced.append(new)))
        with pytest.raises(SystemExit) as left:
            tell("help")
    assert left.value.code == status
    assert replaced == [out]
