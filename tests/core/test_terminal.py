"""What reaches a terminal: nothing that it would act on."""

from __future__ import annotations

import sys
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from nbclient.core.terminal import StreamEscaper, escape, hexdump, printable, visible


def test_every_control_and_format_character_of_unicode_is_escaped() -> None:
    hidden = [
        character
        for character in map(chr, range(sys.maxunicode + 1))
        if unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp") and character not in "\n\t"
    ]
    passed = [f"{ord(character):x}" for character in hidden if visible(character) == character]
    assert passed == []
    assert len(hidden) > 200


def test_text_is_left_alone() -> None:
    assert visible("Grüße, 世界 🙂\tx\n") == "Grüße, 世界 🙂\tx\n"


def test_escapes_are_readable() -> None:
    assert escape(b"a\x1b[2J\r\0\a\b\x7f") == "a\\e[2J\\r\\0\\a\\b\\x7f"
    assert escape("‮\u200b\U000e0041\x9b".encode()) == "\\u202e\\u200b\\U000e0041\\x9b"


def test_what_is_not_utf8_is_shown_as_bytes() -> None:
    assert escape(b"\xff\xc3(") == "\\xff\\xc3("


@given(st.binary())
def test_whatever_the_peer_sends_stays_plain(data: bytes) -> None:
    assert all(c in "\n\t" or (0x20 <= ord(c) != 0x7F) for c in escape(data))


def test_a_character_cut_in_two_is_one_in_a_stream() -> None:
    escaper = StreamEscaper()
    assert escaper.feed(b"\xc3") == ""
    assert escaper.feed(b"\xa9\x1b\xe4") == "é\\e"
    assert escaper.end() == "\\xe4"


def test_log_lines_quote_and_cap_what_the_peer_sent() -> None:
    assert printable(b"a\x1b\n", 10) == r"b'a\x1b\n'"
    assert printable(b"x" * 12, 10) == "b'xxxxxxxxxx'… (12 bytes)"


def test_a_hexdump_has_offset_bytes_and_text() -> None:
    lines = hexdump(b"hello, world\r\n\xff\x00!", 16)
    assert lines == [
        "00000010  68 65 6c 6c 6f 2c 20 77  6f 72 6c 64 0d 0a ff 00  |hello, world....|",
        "00000020  21                                                |!|",
    ]
    assert hexdump(b"") == []
