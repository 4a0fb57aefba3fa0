"""The one table of options."""

from __future__ import annotations

from attrs import fields

from nbclient.daemon.cli.options import GROUPS, SHELL, TWISTD, Given, Settings, misplaced, table
from nbclient.daemon.config.iospec import Place
from nbclient.daemon.config.patterns import Pattern
from tests.conformance.daemon import shell


def test_every_field_but_given_is_an_option_of_a_known_group() -> None:
    names = [option.field for option in table()]
    assert names == [field.name for field in fields(Settings) if field.name != "given"]
    assert {option.group for option in table()} == set(GROUPS)


def test_options_are_known_to_one_front_end_or_both() -> None:
    both = {option.name for option in table()}
    shell_only = both - {option.name for option in table(TWISTD)}
    assert shell_only == {"check", "timestamps"}
    assert {option.name for option in table(SHELL)} == both


def test_short_names_are_used_once() -> None:
    shorts = [option.short for option in table() if option.short]
    assert sorted(shorts) == sorted(set(shorts)) == ["4", "6", "q", "v", "x"]


def test_defaults_are_said_as_they_are() -> None:
    said = {option.name: option.default for option in table()}
    assert said["connect-timeout"] == "10"
    assert said["max-frame"] == "1048576"
    assert said["retry-initial"] == "0.5"
    assert said["retries"] == "never give up"
    assert said["host"] == said["tls"] == ""


def test_every_default_of_a_number_is_the_setting() -> None:
    settings = Settings()
    for option in table():
        value = getattr(settings, option.field)
        if isinstance(value, int | float) and not isinstance(value, bool):
            assert option.parse(option.default) == value


def test_verbosity_is_one_number() -> None:
    assert shell("h", "1").verbosity == 0
    assert shell("h", "1", "-q").verbosity == -1
    assert shell("h", "1", "-vv").verbosity == 2


def test_the_script_is_in_the_order_given() -> None:
    settings = shell(
        "h", "1", "--expect", "a", "--opening", "b", "--opening-file", "c", "--opening", "d"
    )
    assert settings.script == [
        ("expect", Pattern(b"a")),
        ("opening", "b"),
        ("opening-file", "c"),
        ("opening", "d"),
    ]


def test_a_framing_belongs_to_the_output_before_it() -> None:
    settings = shell(
        "h", "1", "--output", "-", "--output", "./a", "--output-framing", "hex", "--output", "log"
    )
    assert settings.targets == [
        (Place("-"), None),
        (Place("file", "./a"), "hex"),
        (Place("log"), None),
    ]
    assert Settings().targets == []


def test_an_ipv6_address_may_stand_in_brackets() -> None:
    assert shell("[::1]", "5").host == shell("::1", "5").host == "::1"
    assert shell("--peer", "[::1]:5").peer[0].value == ("::1", 5)


def test_a_framing_that_belongs_to_no_output_is_found() -> None:
    def one(outputs: list[int], framings: list[int]) -> str | None:
        return misplaced(
            Settings(
                output=tuple(Given(place, Place("-")) for place in outputs),
                output_framing=tuple(Given(place, "hex") for place in framings),
            )
        )

    assert one([], []) is None
    assert one([1, 3], [2, 4]) is None
    assert one([2], [1]) == "stands before its --output"
    assert one([], [1]) is None  # it is for the output that there is by default
    assert one([], [1, 2]) == "is given twice for one --output"
    assert one([1], [2, 3]) == "is given twice for one --output"
