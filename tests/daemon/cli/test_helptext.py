"""``--help`` and ``--version``: what most people need first, everything on request."""

from __future__ import annotations

import pytest

from nbclient import __version__
from nbclient.daemon.cli import helptext
from nbclient.daemon.cli.helptext import COMMON, STATUSES, help_text, remarks, short_help, spelling
from nbclient.daemon.cli.options import GROUPS, SHELL, TWISTD, table
from nbclient.daemon.cli.parser import ShellOptions, TwistdOptions
from nbclient.kernel.tcpinfo import Support
from tests.daemon.config.test_rules import refused

FRONTS = [(ShellOptions, SHELL), (TwistdOptions, TWISTD)]


def shown(
    capsys: pytest.CaptureFixture[str], *words: str, options: type[ShellOptions] = ShellOptions
) -> str:
    """What is printed on standard output before an exit with status 0."""
    with pytest.raises(SystemExit) as caught:
        options().parseOptions(words)
    assert caught.value.code == 0
    return capsys.readouterr().out.rstrip("\n")


@pytest.mark.parametrize(("options", "front"), FRONTS)
def test_help_shows_twenty_options_by_task_and_says_how_to_see_all(
    options: type[ShellOptions], front: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = shown(capsys, "--help", options=options)
    assert shown(capsys, "-h", options=options) == text
    assert text == short_help(front).rstrip("\n")
    named = [name for names in COMMON.values() for name, _ in names]
    assert len(named) == len(set(named)) == 20
    known = {option.name for option in table(front)}
    for name in named:
        assert (f"--{name} " in text) == (name in known)
    assert f"-h, --help all         all {len(known)} options" in text
    assert max(map(len, text.splitlines())) <= 100
    assert len(text.splitlines()) <= 60


@pytest.mark.parametrize(("options", "front"), FRONTS)
def test_help_all_lists_every_option_of_the_front_end(
    options: type[ShellOptions], front: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = shown(capsys, "--help", "all", options=options)
    assert shown(capsys, "all", "-h", options=options) == text
    assert text == help_text(front).rstrip("\n")
    for option in table(front):
        assert f"\n  {spelling(option)}\n" in text
    for status, meaning in STATUSES:
        assert f"{status}  {meaning}" in text
    assert max(map(len, text.splitlines())) <= 100


def test_help_leaves_out_what_is_for_the_other_front_end() -> None:
    assert "--check" in help_text(SHELL)
    assert "--check" in short_help(SHELL)
    assert "--check" not in help_text(TWISTD)
    assert "--check" not in short_help(TWISTD)


def test_help_for_one_option(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, "--help", "max-frame")
    assert text.startswith("  --max-frame BYTES\n")
    assert "1048576 bytes" in text


def test_help_for_one_group(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, "--help", "staying")
    assert text.startswith(f"{GROUPS['staying']}:\n  --retry-initial S\n")
    assert "--spool" not in text


@pytest.mark.parametrize(
    ("topic", "hint"), [("spol", "; did you mean --help spool?"), ("\x1bqqqq", "")]
)
def test_help_for_what_is_not_there_names_the_nearest(
    topic: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(capsys, "--help", topic)
    printed = topic.replace("\x1b", "\\x1b")
    assert said == f"--help: {printed} is neither an option nor a group of them{hint}"


def test_help_says_defaults_with_their_unit() -> None:
    said = {option.name: remarks(option) for option in table()}
    assert said["connect-timeout"] == "default: 10 seconds"
    assert said["silence-timeout"] == "in seconds, default: off"
    assert said["poll-every"] == "in seconds"
    assert said["retry-factor"] == "default: 2"
    assert said["peer"] == "repeatable"
    assert said["tls"] == ""


def test_the_version_names_what_matters(capsys: pytest.CaptureFixture[str]) -> None:
    versions, tls, delivery = shown(capsys, "--version").splitlines()
    assert versions.startswith(f"nbclient {__version__} (Twisted ")
    assert tls.startswith(("TLS: 1.2 and 1.3 (OpenSSL ", "TLS: none; pip install "))
    assert delivery.startswith(("delivery: tcp (", "delivery: written ("))


def test_the_version_says_what_this_machine_lacks(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(helptext, "find_spec", lambda name: None)
    monkeypatch.setattr(helptext, "supported", lambda: Support("no such counter"))
    _, tls, delivery = shown(capsys, "--version").splitlines()
    assert tls == "TLS: none; pip install 'twisted-nbclient[tls]'"
    assert delivery == "delivery: written (no such counter)"
