"""Two framings in one."""

from __future__ import annotations

import pytest

from nbclient import framing
from nbclient.errors import FrameError
from nbclient.framing.pair import incoming, outgoing

BOTH = framing.pair(framing.length(2, max_frame=50), framing.crlf(on_bad_frame="skip"))


def test_it_decodes_by_one_and_encodes_by_the_other() -> None:
    assert BOTH.decoder().feed(b"\0\1a\0\2\r\n\0") == [b"a", b"\r\n"]
    assert BOTH.encode([b"a", b"b"]) == [b"a\r\n", b"b\r\n"]
    assert BOTH.joined([b"a", b"b"]) == b"a\r\nb\r\n"
    assert BOTH.image(b"a") == b"a\r\n"
    BOTH.check([b"a" * 51])
    with pytest.raises(FrameError):
        BOTH.check([b"\r\n"])


def test_what_is_about_received_frames_is_that_of_the_first() -> None:
    assert (BOTH.max_frame, BOTH.line_like) == (50, False)
    assert BOTH.most_held == framing.length(2, max_frame=50).most_held
    assert not BOTH.answers
    assert framing.pair(framing.astm(), framing.raw()).answers
    assert getattr(BOTH, "on_bad_frame", None) == "close"
    other = framing.pair(framing.lines(on_bad_frame="skip"), framing.length(2, offset=1))
    assert (other.line_like, other.sends) == (True, False)
    assert getattr(other, "on_bad_frame", None) == "skip"


def test_it_is_a_value_and_does_not_nest() -> None:
    assert framing.pair(framing.length(2, max_frame=50), framing.crlf(on_bad_frame="skip")) == BOTH
    assert hash(BOTH) != hash(framing.pair(framing.crlf(), framing.length(2)))
    assert str(BOTH) == "length:2, sent as crlf"
    assert framing.pair(framing.crlf(), framing.crlf()) == framing.crlf()
    assert framing.pair(BOTH, framing.raw()) == framing.pair(incoming(BOTH), framing.raw())
    assert framing.pair(framing.raw(), BOTH) == framing.pair(framing.raw(), outgoing(BOTH))
