"""What --input and --output take, and what they say to everything else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nbclient.daemon.config.iospec import (
    Address,
    Place,
    address,
    command,
    host_port,
    mode,
    source,
    target,
)
from nbclient.errors import SpecError


def refused(parse: Callable[[str], object], value: str) -> str:
    with pytest.raises(SpecError) as caught:
        parse(value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_sources_and_targets_have_kinds() -> None:
    assert source("-") == Place("-")
    assert target("log") == Place("log")
    assert source("file:x") == Place("file", "x")
    assert target("./x") == Place("file", "./x")
    assert target("/tmp/a:b") == Place("file", "/tmp/a:b")
    assert source("tail:/var/log/x") == Place("tail", "/var/log/x")
    assert source("exec:a 'b,c=d'") == Place("exec", "a 'b,c=d'")
    assert target("udp:h:1") == Place("udp", "h:1")
    assert str(Place("file", "x")) == "file:x"
    assert str(Place("log")) == "log"


def test_an_unknown_kind_is_refused_with_those_there_are() -> None:
    text = refused(source, "udp:h:1")
    assert text == (
        "'udp:' does not exist: the inputs are"
        " -, file:PATH, tail:PATH, fifo:PATH, listen:ADDR, exec:CMD, none"
    )
    assert "the outputs are -, file:PATH, fifo:PATH, listen:ADDR, udp:H:P, log, none" in refused(
        target, "tail:x"
    )
    assert "'log:' does not exist" in refused(target, "log:x")


def test_a_bare_word_is_no_path() -> None:
    assert "'output.txt' is not known" in refused(target, "output.txt")
    assert "'log' is not known" in refused(source, "log")


def test_a_path_is_not_empty_and_holds_no_nul() -> None:
    assert refused(target, "file:") == "file: needs a path"
    assert refused(source, "fifo:") == "fifo: needs a path"
    assert "NUL" in refused(target, "./a\0b")


def test_options_stand_behind_commas() -> None:
    place = target("file:./x,rotate=10M,keep=3,full=drop")
    assert place.path == "./x"
    assert place.option("rotate") == 10 * 1024**2
    assert (place.option("keep"), place.option("full"), place.option("else", 1)) == (3, "drop", 1)
    assert target("./x,rotate=64KiB") == Place("file", "./x", (("rotate", 65536),))
    assert source("tail:x,from=start").option("from") == "start"
    assert target("listen:./s,mode=660,queue=4K").option("mode") == 0o660


def test_a_comma_alone_makes_no_option() -> None:
    assert target("file:./a,b").path == "./a,b"
    assert target("./a,b/c=d").path == "./a,b/c=d"
    assert source("./a,b=c").path == "./a,b=c"  # as an input, file: has no options


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("./x,rotat=10M", "file: has no option rotat=, only full, keep, rotate"),
        ("./x,rotate=1M,rotate=2M", "rotate is given twice"),
        ("./x,rotate", "rotate= needs a value"),
        ("./x,rotate=lots", "rotate='lots' is not a number of bytes"),
        ("./x,keep=3", "keep= needs rotate="),
        ("./x,rotate=1M,keep=99999999999", "keep=99999999999 is out of range (1 to 1000)"),
        ("./x,rotate=1M,keep=-1", "keep='-1' is not a whole number (1 to 1000)"),
        ("./x,rotate=1M,keep=0", "keep=0 is out of range (1 to 1000)"),
        ("fifo:x,full=maybe", "full='maybe' is not one of wait, drop"),
        ("listen:127.0.0.1:1,public=yes", "public takes no value"),
        ("listen:127.0.0.1:1,public", "public: listen:127.0.0.1:1 cannot be reached"),
        ("listen:127.0.0.1:1,mode=600", "mode= is for UNIX sockets"),
        ("listen:./s,mode=9", "mode='9' is not a mode (such as 660)"),
        ("listen:0.0.0.0:1", "listen:0.0.0.0:1: other machines could connect; if that is meant,"),
        ("listen:[::]:1", "listen:[::]:1: other machines could connect"),
        ("listen:h:1", "'h' is not an IP address"),
        ("listen:9000", "'9000' is not HOST:PORT"),
        ("listen:127.0.0.1:70000", "70000 is out of range"),
        ("udp:h", "'h' is not HOST:PORT"),
        ("udp:h:0", "0 is out of range"),
    ],
)
def test_what_makes_no_sense_is_refused(value: str, says: str) -> None:
    assert refused(target, value).startswith(says)


def test_a_public_address_may_be_asked_for_twice() -> None:
    assert target("listen:0.0.0.0:1,public").option("public") is True


def test_addresses() -> None:
    assert address("localhost:0") == Address(host="127.0.0.1", port=0)
    assert address("[::1]:9") == Address(host="::1", port=9)
    assert address("./s") == Address(path="./s")
    assert not address("127.9.9.9:1").public
    assert not address("./s").public
    assert address("10.0.0.1:1").public
    assert host_port("[a:b]:1") == ("a:b", "1")


def test_one_address_is_one_place_however_it_is_written() -> None:
    """An input and an output at it share it; else it would be in use, by ourselves."""
    assert source("listen:localhost:9").same(target("listen:127.0.0.1:9,queue=4K"))
    assert source("listen:[0::1]:9").same(target("listen:[::1]:09"))
    assert str(target("listen:[0::1]:9")) == "listen:[::1]:9"
    assert target("listen:localhost:9,queue=4K").option("queue") == 4096
    assert source("listen:./s").path == "./s"


def test_a_command_is_words_without_a_shell() -> None:
    assert command("a 'b c' $d") == ["a", "b c", "$d"]
    assert "no closing quotation" in refused(command, "a 'b")
    assert "is no command" in refused(source, "exec: ")
    assert "is no command" in refused(command, "a\0b")


def test_a_mode_is_octal() -> None:
    assert (mode("0600"), mode("770")) == (0o600, 0o770)


def test_one_place_may_have_two_sets_of_options() -> None:
    assert target("./x,rotate=1M").same(target("./x"))
    assert not target("./x").same(target("./y"))
    assert not target("./x").same(None)
