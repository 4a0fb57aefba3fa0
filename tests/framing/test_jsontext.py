"""JSON values one after another; what all framings have in common is tested elsewhere."""

from __future__ import annotations

import json as reader

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbclient.errors import BadFrame, FrameError, FrameTooLong, SpecError
from nbclient.framing import json
from nbclient.framing.jsontext import MOST_NESTED
from tests.conformance.framing import cut, decode, single

ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=12,
)


@settings(max_examples=60)
@given(
    st.lists(st.tuples(ANY, st.sampled_from([None, 1]), st.booleans()), max_size=5),
    st.lists(st.integers(1, 400), max_size=9),
)
def test_whatever_python_writes_comes_back_value_by_value(
    values: list[tuple[object, int | None, bool]], cuts: list[int]
) -> None:
    frames = [
        reader.dumps(value, indent=indent, ensure_ascii=ascii).encode()
        for value, indent, ascii in values
    ]
    stream = b"\n".join(frames) + b"\n"
    assert decode(json(), cut(stream, cuts))[0] == frames


def test_no_space_is_needed_where_the_end_shows_by_itself() -> None:
    stream = b'{"a":1}[2]"x"3"y"true[null]-4.5e+6{}'
    expected = [b'{"a":1}', b"[2]", b'"x"', b"3", b'"y"', b"true", b"[null]", b"-4.5e+6", b"{}"]
    for chunks in ([stream], single(stream)):
        assert decode(json(), chunks)[0] == expected


def test_brackets_and_escapes_in_strings_are_text() -> None:
    stream = rb'["}]\"{", "\\", "\\\"", {"\\]": "[[["}]' + b"\n"
    for chunks in ([stream], single(stream)):
        assert decode(json(), chunks)[0] == [stream[:-1]]


def test_a_number_has_ended_when_something_follows_it() -> None:
    decoder = json().decoder()
    assert decoder.feed(b"12") == []
    assert decoder.begun
    assert decoder.feed(b"3") == []
    assert decoder.feed(b" ") == [b"123"]
    assert not decoder.begun


def test_many_escapes_and_many_strings_are_passed_over_in_steps() -> None:
    """More than the patterns repeat at once."""
    long = b'["' + b"\\n" * 300 + b'"' + b',"]"' * 300 + b"]"
    for chunks in ([long], single(long), cut(long, range(0, len(long), 7))):
        assert decode(json(), chunks)[0] == [long]


def test_nesting_is_bounded() -> None:
    deep = b"[" * MOST_NESTED + b"]" * MOST_NESTED
    assert decode(json(), [deep])[0] == [deep]
    for chunks in ([b"[" + deep], single(b"[" + deep)):
        _, decoder = decode(json(), chunks)
        assert isinstance(decoder.fault, BadFrame)
        assert decoder.fault.what == f"expected JSON nested to at most {MOST_NESTED} levels"


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        (b"x", "expected a JSON value"),
        (b"]", "expected a JSON value"),
        (b",1", "expected a JSON value"),
        (b"\x01{}", "expected a JSON value"),
        (b"{]", "expected the other bracket of JSON"),
        (b'[{"a":[}', "expected the other bracket of JSON"),
        (b"nul ", "expected a JSON number or literal"),
        (b"1.\n", "expected a JSON number or literal"),
        (b"truefalse[", "expected a JSON number or literal"),
        (b"007 ", "expected a JSON number or literal"),
    ],
)
def test_what_is_not_json_is_a_fault(wrong: bytes, what: str) -> None:
    for chunks in ([b"[] " + wrong], single(b"[] " + wrong)):
        got, decoder = decode(json(), chunks)
        assert got == [b"[]"]
        assert isinstance(decoder.fault, BadFrame)
        assert decoder.fault.what == what
        assert decoder.eof()
        assert wrong.startswith(decoder.eof())


def test_a_value_over_the_limit_is_noticed_before_its_end() -> None:
    for chunks in ([b'{"a": "'], single(b'{"a": "')):
        _, decoder = decode(json(6), chunks)
        assert isinstance(decoder.fault, FrameTooLong)
        assert (decoder.fault.limit, decoder.fault.size) == (6, 7)


def test_a_fault_says_the_length_of_a_value_that_came_whole() -> None:
    _, decoder = decode(json(6), [b"[1,2,3,4]"])
    assert isinstance(decoder.fault, FrameTooLong)
    assert decoder.fault.size == 9


def test_space_between_two_values_is_unread_with_what_follows() -> None:
    decoder = json().decoder()
    chunk = b'{"upgrade":true}\n\0binary'
    assert decoder.feed(chunk) == [b'{"upgrade":true}']
    assert decoder.unread(chunk, []) == b"\n\0binary"


@pytest.mark.parametrize("frame", [b"", b" ", b" {}", b"{} ", b"1 2", b"[", b"nope", b'"a'])
def test_only_one_whole_value_can_be_sent(frame: bytes) -> None:
    for ask in (json().encode, json().check):
        with pytest.raises(FrameError, match="is not one JSON value"):
            ask([b"{}", frame])


def test_json_is_a_value_and_refuses_nonsense() -> None:
    assert str(json()) == "json"
    assert json() == json() != json(5)
    with pytest.raises(SpecError, match="max_frame"):
        json(0)
    with pytest.raises(FrameError, match="over the limit of 3"):
        json(3).encode([b"[1,2]"])


def test_what_senders_put_between_two_texts_is_passed_over() -> None:
    """A byte order mark; RS before each text (RFC 7464); NUL behind each."""
    stream = b"\xef\xbb\xbf[1]\n\x1e[2]\n\x1e3\x1e4\0true\xef\xbb\xbf{}\0\0\xef\xbb\xbf\xef\xbb\xbf"
    for chunks in ([stream], single(stream), *([stream[:n], stream[n:]] for n in range(30))):
        got, decoder = decode(json(), chunks)
        assert got == [b"[1]", b"[2]", b"3", b"4", b"true", b"{}"]
        assert (decoder.fault, decoder.eof(), decoder.begun) == (None, b"", False)


def test_half_a_byte_order_mark_is_held_until_it_is_whole() -> None:
    decoder = json().decoder()
    assert decoder.feed(b"[]\xef\xbb") == [b"[]"]
    assert (decoder.eof(), decoder.begun) == (b"\xef\xbb", True)
    assert decoder.feed(b"\xbf[1]") == [b"[1]"]
    assert decoder.unread(b"\xbf[1]", []) == b""
    decoder.feed(b"\xef")
    decoder.feed(b"\xbf[1]")
    assert isinstance(decoder.fault, BadFrame)
    assert decoder.eof() == b"\xef\xbf[1]"
