"""The text of one option's value: what is taken, and how it is refused."""

from __future__ import annotations

import pytest

from nbclient.daemon.config import values
from nbclient.errors import SpecError


def refused(parse: object, value: str) -> str:
    with pytest.raises(SpecError) as caught:
        parse(value)  # type: ignore[operator]
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_message_repeats_a_value_on_one_line_and_not_all_of_it() -> None:
    assert values.shown("a\x1b[2Jb") == "a\\x1b[2Jb"
    assert values.shown("é") == "é"
    assert values.shown("x" * 81) == "x" * 79 + "…"
    assert values.shown("x" * 80) == "x" * 80


def test_text_is_any_but_the_empty_one() -> None:
    assert values.text("a") == "a"
    assert refused(values.text, "") == "must not be empty"


@pytest.mark.parametrize(("value", "number"), [("1", 1.0), ("0.5", 0.5), (".25", 0.25), ("3.", 3)])
def test_seconds_may_have_decimals(value: str, number: float) -> None:
    assert values.seconds(value) == number


@pytest.mark.parametrize("value", ["", "x", "-1", "1e3", "inf", "nan", "1 ", "\u0661"])
def test_what_is_no_number_of_seconds_is_refused(value: str) -> None:
    assert "is not a number of seconds" in refused(values.seconds, value)


@pytest.mark.parametrize("value", ["0", "0.0001", "316224001", "9" * 400])
def test_seconds_have_a_range(value: str) -> None:
    assert "out of range (0.001 to 316224000 seconds)" in refused(values.seconds, value)


def test_some_times_may_be_nothing() -> None:
    assert values.seconds_or_zero("0") == 0.0
    assert values.seconds_or_zero("2") == 2.0


def test_a_factor_is_at_least_one() -> None:
    assert values.factor("1.5") == 1.5
    assert refused(values.factor, "0.9") == "0.9 is out of range (1 to 100)"
    assert refused(values.factor, "two") == "'two' is not a number"


def test_a_count_is_a_whole_number() -> None:
    assert values.count("0") == 0
    assert refused(values.count, "1.5") == "'1.5' is not a whole number (0 or more)"
    assert refused(values.count, "-1") == "'-1' is not a whole number (0 or more)"
    assert "out of range" in refused(values.count, "1000000001")
    assert "out of range" in refused(values.count, "9" * 5000)


def test_some_counts_begin_with_one() -> None:
    assert values.positive("1") == 1
    assert refused(values.positive, "0") == "0 is out of range (1 to 1000000000)"


def test_a_name_is_something_to_read() -> None:
    assert values.name("feed one") == "feed one"
    for wrong in ("", " ", "a\nb", "x" * 201):
        assert "is not a name" in refused(values.name, wrong)


def test_a_size_may_have_a_unit() -> None:
    assert values.size("10") == 10
    assert values.size("2KiB") == 2048
    assert values.size("1 MiB") == 1048576
    assert values.size("1GiB") == 1024**3
    assert refused(values.size, "0") == "0 is out of range (1 to 1GiB)"
    assert "out of range" in refused(values.size, "2GiB")
    assert values.big_size("1TiB") == 1024**4
    assert refused(values.big_size, "2T") == "2T is out of range (1 to 1024GiB)"
    assert "not a number of bytes" in refused(values.size, "1MB")
    for long in ("9" * 16, "9" * 5000, "9" * 16 + "K"):
        assert refused(values.size, long).endswith("is out of range (1 to 1GiB)")


def test_a_port_says_its_range() -> None:
    assert values.port("1") == 1
    assert values.port("65535") == 65535
    assert refused(values.port, "70000") == "70000 is out of range (1 to 65535)"
    assert refused(values.port, "0") == "0 is out of range (1 to 65535)"
    assert "out of range" in refused(values.port, "9" * 5000)
    assert refused(values.port, "http") == "'http' is not a port number"


@pytest.mark.parametrize(
    ("value", "host"),
    [
        ("feed.example", "feed.example"),
        ("feed.example.", "feed.example."),
        ("my_service-1", "my_service-1"),
        ("bücher.example", "bücher.example"),
        ("127.1", "127.1"),
        ("a" * 63, "a" * 63),
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("[fe80::1%eth0]", "fe80::1%eth0"),
        ("::ffff:127.0.0.1", "::ffff:127.0.0.1"),
    ],
)
def test_a_host_is_a_name_or_an_address_and_brackets_are_only_around_it(
    value: str, host: str
) -> None:
    assert values.host(value) == host


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("", "must not be empty"),
        ("[feed.example]", "'[feed.example]': there is no IPv6 address in the brackets"),
        ("[127.0.0.1]", "'[127.0.0.1]': there is no IPv6 address in the brackets"),
        ("[]", "'[]': there is no IPv6 address in the brackets"),
        ("feed.example:5000", "'feed.example:5000' is no name or address (the port has its own"),
        ("::1::", "'::1::' is no name or address (the port"),
        ("tcp://feed.example", "'tcp://feed.example' is no name or address"),
        ("me@feed.example", "'me@feed.example' is no name or address"),
        ("a b", "'a b' is no name or address"),
        ("a\n", "is no name or address"),
        ("a\x1b[2J", "is no name or address"),
        ("a..b", "'a..b' is no name or address"),
        (".", "'.' is no name or address"),
        ("a" * 64, "is no name or address"),
        ("a." * 128, "is no name or address"),
        ("\udcff", "is no name or address"),
    ],
)
def test_what_no_name_server_could_know_is_no_host(value: str, why: str) -> None:
    """A daemon would ask for it for ever."""
    assert why in refused(values.host, value)


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("127.0.0.1", ("127.0.0.1", 0)),
        ("127.0.0.1:99", ("127.0.0.1", 99)),
        ("::1", ("::1", 0)),
        ("[::1]", ("::1", 0)),
        ("[::1]:99", ("::1", 99)),
    ],
)
def test_a_local_address_may_have_a_port(value: str, address: tuple[str, int]) -> None:
    assert values.local_address(value) == address


def test_a_wrong_local_address_is_refused() -> None:
    assert "empty" in refused(values.local_address, "")
    assert "empty" in refused(values.local_address, ":99")
    assert "not a port number" in refused(values.local_address, "[::1]:")


def test_a_choice_lists_what_there_is() -> None:
    parse = values.choice("close", "skip")
    assert parse("skip") == "skip"
    assert refused(parse, "stop") == "'stop' is not one of close, skip"


def test_a_regular_expression_sees_bytes() -> None:
    assert values.regex("é.").search("é\n".encode())
    assert "is not a regular expression" in refused(values.regex, "(")


def test_a_path_is_not_empty_and_holds_no_nul() -> None:
    assert "NUL" in refused(values.path, "a\0b")
    assert "empty" in refused(values.path, "")
    assert values.path("a") == "a"


def test_an_answer_may_hold_any_byte() -> None:
    made = values.answer(r"/^1\x01(.)/\x02\1\xff\\x41\g<1>\x5c/")
    assert made.to(b"1\x01a") == b"\x02a\xff\\x41a\\"
    assert "cannot be used" in refused(values.answer, r"/a/\x1/")


def test_a_dead_path_may_be_left_alone() -> None:
    assert values.dead_after("off") is None
    assert refused(values.dead_after, "0").endswith("; or off")
