"""A peer's bytes in a form that a terminal and a human can take.

A terminal acts on control characters: what a peer sends can move the cursor,
set the clipboard, or show text that is not there (CWE-150). So nothing but
printable text, LF and TAB reaches one.
"""

from __future__ import annotations

import codecs

# Two-character escapes that everybody reads; the rest is \xHH, \uHHHH or \UHHHHHHHH.
_SHORT = {"\r": "\\r", "\0": "\\0", "\x1b": "\\e", "\b": "\\b", "\a": "\\a"}

# Control, format (bidirectional and zero-width among them), line and paragraph
# separators: Unicode's Cc, Cf, Zl and Zp but LF and TAB, and the characters
# with no width of their own that are in none of these. Ends included.
HIDDEN = (
    (0x00, 0x08), (0x0B, 0x1F), (0x7F, 0x9F), (0xAD, 0xAD), (0x034F, 0x034F), (0x0600, 0x0605),
    (0x061C, 0x061C), (0x06DD, 0x06DD), (0x070F, 0x070F), (0x0890, 0x0891), (0x08E2, 0x08E2),
    (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x200B, 0x200F), (0x2028, 0x202E),
    (0x2060, 0x206F), (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0),
    (0xFFF9, 0xFFFB), (0x110BD, 0x110BD), (0x110CD, 0x110CD), (0x13430, 0x1343F),
    (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
)  # fmt: skip


def _escape(code: int) -> str:
    short = _SHORT.get(chr(code))
    if short is not None:
        return short
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


_TABLE = {code: _escape(code) for first, last in HIDDEN for code in range(first, last + 1)}


def visible(text: str) -> str:
    """`text` with everything escaped that is not plainly visible, but LF and TAB."""
    return text.translate(_TABLE)


def escape(data: bytes) -> str:
    """The bytes as visible text; what is not UTF-8 becomes ``\\xHH``."""
    return visible(data.decode("utf-8", "backslashreplace"))


class StreamEscaper:
    """`escape` for a stream whose cuts mean nothing: a character may lie across two chunks."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")

    def feed(self, data: bytes) -> str:
        """The visible text of this chunk; an unfinished character waits for the next one."""
        return visible(self._decoder.decode(data))

    def end(self) -> str:
        """What an unfinished character leaves."""
        return visible(self._decoder.decode(b"", final=True))


def printable(data: bytes, most: int) -> str:
    """A peer's bytes for a log line: one line, quoted, at most `most` bytes of them."""
    if len(data) <= most:
        return repr(bytes(data))
    return f"{bytes(data[:most])!r}… ({len(data)} bytes)"


def hexdump(data: bytes, offset: int = 0) -> list[str]:
    """Lines of 16 bytes: offset, hexadecimal, ASCII.

    :param offset: what the first byte is numbered.
    """
    lines = []
    for start in range(0, len(data), 16):
        row = data[start : start + 16]
        digits = f"{row[:8].hex(' ')}  {row[8:].hex(' ')}"
        plain = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in row)
        lines.append(f"{offset + start:08x}  {digits:<48}  |{plain}|")
    return lines
