"""How an output writes frames."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nbclient import framing
from nbclient.daemon.outputs.formats import Format, clock_time, for_output, is_raw
from nbclient.errors import FrameError, SpecError
from nbclient.framing.base import Framing


def make(spec: str | None, link: Framing | None = None, **more: object) -> Format:
    link = framing.lines() if link is None else link
    return for_output(spec, link, name="feed:1", now=lambda: 1e9, **more)  # type: ignore[arg-type]


def test_hex_and_base64_are_lines() -> None:
    assert make("hex").images([b"\x00\xff", b""]) == [b"00ff\n", b"\n"]
    assert make("base64").images([b"\x00\xff"]) == [b"AP8=\n"]


def test_a_record_says_when_from_where_and_what() -> None:
    text, binary = (json.loads(image) for image in make("record").images([b"\xc3\xa9\n", b"\xff"]))
    assert text == {"time": "2001-09-09T01:46:40.000000Z", "link": "feed:1", "data": "é\n"}
    assert binary["base64"] == "/w=="


def test_a_record_has_one_key_for_text_and_one_for_bytes_and_never_both() -> None:
    frames = [b"", b"a", b"\x00", b"\xff", b"\xed\xa0\x80"]
    for frame, image in zip(frames, make("record").images(frames), strict=True):
        ours = set(json.loads(image)) - {"time", "link"}
        assert ours == ({"data"} if frame[:1] < b"\x80" else {"base64"})


def test_records_of_bytes_have_the_same_keys_whatever_the_bytes_are() -> None:
    """A binary frame that happens to be text would change the key otherwise."""
    text, binary = (json.loads(each) for each in make("record-base64").images([b"a", b"\xff"]))
    assert list(text) == list(binary) == ["time", "link", "base64"]
    assert (text["base64"], binary["base64"]) == ("YQ==", "/w==")


def test_a_framing_that_can_only_receive_is_refused_for_what_is_written() -> None:
    """It would stop at its first frame."""
    deaf = framing.length(2, offset=2)
    with pytest.raises(SpecError, match=r"^--output-framing: length:2,offset=2 can only receive$"):
        make("length:2,offset=2")
    said = r"^--output: the framing length:2,offset=2 can only receive; say .* hex, base64, record"
    with pytest.raises(SpecError, match=said):
        make(None, deaf)
    assert make("hex", deaf).images([b"a"]) == [b"61\n"]
    assert make(None, deaf, encoding="ascii").images([b"a"]) == [b"a\n"]


def test_a_record_is_one_line_whatever_is_in_it() -> None:
    (image,) = make("record").images([b"a\n\x1b\xe2\x80\xa8b"])
    assert image.count(b"\n") == 1
    assert image.isascii()


def test_line_like_links_give_lines() -> None:
    shape = make(None, framing.crlf())
    assert shape.images([b"a", b""]) == [b"a\n", b"\n"]
    assert (shape.text, shape.terminator) == (True, b"\n")


def test_other_links_give_their_own_framing() -> None:
    shape = make(None, framing.length(2))
    assert shape.images([b"ab"]) == [b"\0\2ab"]
    assert (shape.text, shape.terminator) == (False, b"")


def test_a_framing_can_be_chosen() -> None:
    shape = make("crlf")
    assert shape.images([b"a"]) == [b"a\r\n"]
    assert shape.terminator == b"\r\n"


def test_a_frame_that_cannot_be_carried_is_refused() -> None:
    with pytest.raises(FrameError):
        make("lines", framing.length(2)).images([b"a\nb"])


def test_a_raw_link_gives_the_bytes_as_they_came() -> None:
    shape = make(None, framing.raw())
    assert shape.images([b"a", b"b\n"]) == [b"a", b"b\n"]
    assert (shape.text, shape.terminator) == (False, b"")
    assert make("raw").images([b"a", b""]) == [b"a", b""]


def test_a_terminal_gets_a_readable_line_a_frame() -> None:
    shape = make(None, framing.length(4), encoding="ascii")
    assert shape.images(["é\x1b".encode()]) == [b"\\xe9\\e\n"]


def test_a_terminal_gets_a_raw_stream_without_lines_of_ours() -> None:
    shape = make(None, framing.raw(), encoding="utf-8")
    assert shape.images([b"login: ", b"\xc3", b"\xa9\x07"]) == [b"login: ", b"", "é\\a".encode()]
    assert (shape.text, shape.terminator) == (False, b"")


def test_a_framing_that_was_asked_for_holds_on_a_terminal_too() -> None:
    assert make("hex", encoding="utf-8").images([b"a"]) == [b"61\n"]


def test_times_stand_before_lines() -> None:
    shape = make("hex", timestamps=True)
    assert shape.images([b"a"]) == [clock_time(1e9).encode() + b" 61\n"]
    assert shape.terminator == b"\n"
    assert len(clock_time(1e9)) == len("2026-11-22 14:03:05.123")


def test_times_are_refused_where_they_would_break_the_framing() -> None:
    with pytest.raises(SpecError, match="--timestamps: the output is not lines"):
        make(None, framing.raw(), timestamps=True)


def test_an_unknown_framing_names_the_option_and_what_there_is() -> None:
    with pytest.raises(
        SpecError, match=r"^--output-framing: .*; also hex, base64, record, record-base64$"
    ):
        make("bogus")


def test_raw_is_told_from_the_others() -> None:
    assert is_raw(framing.raw())
    assert not is_raw(framing.lines())


def shown(shape: Format, *steps: bytes | list[bytes]) -> bytes:
    """What a terminal has of unfinished frames (bytes) and frames (lists)."""
    return b"".join(
        shape.unfinished(step) if isinstance(step, bytes) else b"".join(shape.images(step))
        for step in steps
    )


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        ((b"word: ", [b"word: ok", b"b"]), "word: ...ok\nb\n"),
        ((b"word: ", b"word: ", [b"word: "]), "word: ...\n"),
        ((b"pass", b"password: ", [b"password: ok"]), "pass...word: ...ok\n"),
        ((b"word: \r", [b"word: "]), "word: ...\n"),
        ((b"word: ", b"", [b"word: "]), "word: ...\nword: \n"),  # another connection's
        ((b"word: ", [b"other"]), "word: ...\nother\n"),
        ((b"one", b"two"), "one...\ntwo..."),
        ((b"", b"", [b"a"]), "a\n"),
        ((b"word: ", [], [b"word: a"]), "word: ...a\n"),
        ((b"\xc3", b"\xc3\xa9\x1b", ["é\x1b[".encode()]), "é\\e...[\n"),
        ((b"\xc3", [b"\xc3"]), "\\xc3\n"),
    ],
)
def test_a_line_that_is_not_finished_is_shown_once(steps: Any, text: str) -> None:
    shape = make(None, encoding="utf-8")
    assert shape.shows_unfinished
    assert shown(shape, *steps) == text.encode()


def test_a_time_stands_before_it_once() -> None:
    shape = make(None, encoding="utf-8", timestamps=True)
    time = clock_time(1e9).encode()
    assert shape.shows_unfinished
    assert shown(shape, b"a", b"ab", [], [b"abc", b"d"]) == b"%s a...b...c\n%s d\n" % (time, time)
    assert shown(shape, b"a", b"a", b"", [b"b"]) == b"%s a...\n%s b\n" % (time, time)


def test_nothing_else_has_a_form_for_it() -> None:
    for shape in (make("hex"), make(None), make(None, framing.raw(), encoding="utf-8")):
        assert not shape.shows_unfinished
        assert shape.unfinished(b"a") == b""
