"""STOMP, and headers with a body; what all framings have in common is tested elsewhere."""

from __future__ import annotations

import pytest

from nbclient.errors import BadFrame, FrameError
from nbclient.framing import Framing, headers, stomp
from tests.conformance.framing import cut, decode, single

CONNECTED = b"CONNECTED\nversion:1.2\nheart-beat:1000,1000\n\n"
MESSAGE = b"MESSAGE\nmessage-id:1\ndestination:/q\n\nhello"
BINARY = b"MESSAGE\r\nmessage-id:2\r\ncontent-length:5\r\n\r\nab\0cd"
LSP = b'Content-Length: 14\r\nContent-Type: x\r\n\r\n{"jsonrpc":2}\n'


def test_bodies_are_whole_and_heart_beats_are_nothing() -> None:
    stream = CONNECTED + b"\0\n\n\n" + MESSAGE + b"\0\n\r\n" + BINARY + b"\0" + MESSAGE + b"\0"
    for chunks in ([stream], single(stream), *(cut(stream, [n]) for n in range(len(stream)))):
        got, decoder = decode(stomp(), chunks)
        assert got == [CONNECTED, MESSAGE, BINARY, MESSAGE]
        assert (decoder.fault, decoder.begun) == (None, False)
    assert stomp().encode([BINARY]) == [BINARY + b"\0"]


def test_the_first_of_two_lengths_counts() -> None:
    frame = b"A\ncontent-length:3\ncontent-length:9\n\nabc"
    assert decode(stomp(), [frame + b"\0"])[0] == [frame]


def test_a_command_is_no_header() -> None:
    assert decode(stomp(), [b"content-length:9\n\na\0"])[0] == [b"content-length:9\n\na"]


def test_more_line_ends_than_a_read_holds_are_nothing() -> None:
    got, decoder = decode(stomp(), [b"\n" * 70_000, b"\r\n" * 70_000 + MESSAGE + b"\0"])
    assert got == [MESSAGE]
    assert decoder.fault is None


def test_messages_of_the_language_server_protocol() -> None:
    for chunks in ([LSP * 2], single(LSP * 2), *(cut(LSP * 2, [n]) for n in range(99))):
        assert decode(headers(), chunks)[0] == [LSP, LSP]
    assert headers().encode([LSP]) == [LSP]


def test_without_a_length_there_is_no_body() -> None:
    """As SIP's keep-alives and the event socket's replies have it."""
    got, _ = decode(headers(), [b"Reply-Text: +OK\n\nReply-Text: -ERR\n\n"])
    assert got == [b"Reply-Text: +OK\n\n", b"Reply-Text: -ERR\n\n"]


def test_in_sip_the_length_may_have_its_compact_name() -> None:
    """RFC 3261, 7.3.3; elsewhere a header of that name is another one."""
    for first in (b"MESSAGE sip:a SIP/2.0\r\n", b"SIP/2.0 200 OK\r\n"):
        message = first + b"v: SIP/2.0/TCP h\r\nL : 5\r\n\r\nv=0\r\n"
        for chunks in ([message * 2], single(message * 2)):
            assert decode(headers(), chunks)[0] == [message, message]
    assert decode(headers(), [b"l: 5\n\nA: SIP/2.0 b\nl: 5\n\n"])[0] == [
        b"l: 5\n\n",
        b"A: SIP/2.0 b\nl: 5\n\n",
    ]
    frame = b"SIP/2.0\nl:9\n\nbody"
    assert decode(stomp(), [frame + b"\0"])[0] == [frame]


@pytest.mark.parametrize(
    ("recipe", "stream", "said"),
    [
        (stomp(), b"A\ncontent-length:1\n\nabc", "expected NUL behind the body"),
        (stomp(), b"A\n\0", "expected an empty line behind the headers"),
        (headers(), b"Content-Length: 1e3\n\n", "expected a number as content-length"),
        (headers(), b"Content-Length: " + b"9" * 19 + b"\n\n", "expected a number as content-l"),
    ],
)
def test_what_is_no_frame_is_a_fault(recipe: Framing, stream: bytes, said: str) -> None:
    for chunks in ([stream], single(stream)):
        _, decoder = decode(recipe, chunks)
        assert isinstance(decoder.fault, BadFrame)
        assert said in str(decoder.fault)


@pytest.mark.parametrize(
    ("recipe", "frame", "said"),
    [
        (stomp(), b"SEND\n\na\0b", "a body without NUL, or as its content-length says"),
        (headers(), b"A: b\n\nbody", "a frame of headers is headers, an empty line and a body of"),
        (stomp(3), b"A\n\nb", "over the limit of 3"),
    ],
)
def test_a_frame_that_would_not_come_back_is_refused(
    recipe: Framing, frame: bytes, said: str
) -> None:
    for ask in (recipe.encode, recipe.check):
        with pytest.raises(FrameError, match=said):
            ask([frame])


def test_they_show_their_names() -> None:
    assert [str(stomp()), str(headers())] == ["stomp", "headers"]
    assert stomp() == stomp() != headers()
