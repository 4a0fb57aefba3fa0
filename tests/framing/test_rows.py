"""Frames of one size are cut at once, and exactly as they would be one by one."""

from __future__ import annotations

import pytest

from nbclient import framing
from nbclient.framing import Framing, rows
from nbclient.framing.rows import ROW, cut_row

FRAME = b"abc"
IMAGE = b"<>" + FRAME + b";"


def cut(data: bytes, at: int = 0) -> tuple[int, list[bytes]]:
    frames: list[bytes] = []
    return cut_row(data, at, 2, 3, 1, frames), frames


@pytest.mark.parametrize("number", [ROW, ROW + 1, 3 * ROW, 4 * ROW - 1])
@pytest.mark.parametrize("before", [b"", b"something else"])
@pytest.mark.parametrize("behind", [b"", IMAGE[:1], IMAGE[:-1], b"else"])
def test_whole_rows_are_cut_and_the_rest_is_left(number: int, before: bytes, behind: bytes) -> None:
    data = before + IMAGE * number + behind
    whole = number // ROW * ROW
    assert cut(data, len(before)) == (len(before) + whole * len(IMAGE), [FRAME] * whole)


def test_too_few_are_left_alone() -> None:
    assert cut(IMAGE * (ROW - 1) + IMAGE[:-1]) == (0, [])


@pytest.mark.parametrize("odd", [1, 2, ROW // 2, ROW - 1])
@pytest.mark.parametrize("place", [0, 1, 5])
def test_a_header_or_trailer_that_differs_ends_the_rows_before_it(odd: int, place: int) -> None:
    """What another header announces, and whether another trailer is right, the caller knows."""
    image = bytearray(IMAGE)
    image[place] ^= 1
    data = IMAGE * (ROW + odd) + bytes(image) + IMAGE * (3 * ROW)
    assert cut(data) == (ROW * len(IMAGE), [FRAME] * ROW)


def test_a_row_of_another_header_or_trailer_is_not_cut_like_the_one_before_it() -> None:
    """All the same among themselves, but nobody has understood what they announce."""
    for other in (b"<<abc;", b"<>abc:"):
        assert cut(IMAGE * ROW + other * ROW) == (ROW * len(IMAGE), [FRAME] * ROW)


def test_a_run_of_one_byte_behind_a_row_is_not_taken_for_more_of_it() -> None:
    """Empty frames are all zeros: so is, at any stride, what would be the next headers."""
    recipe = framing.length(4)
    sent = [b"x" * 12] * ROW + [b""] * (5 * ROW)
    assert recipe.decoder().feed(b"".join(recipe.encode(sent))) == sent


def test_a_row_without_its_trailers_is_refused_behind_one_that_has_them() -> None:
    decoder = framing.netstring().decoder()
    assert decoder.feed(b"3:abc," * 3 * ROW + b"3:abcX" * ROW) == [FRAME] * 3 * ROW
    assert "behind the frame" in str(decoder.fault)


def test_frames_may_differ_and_be_empty() -> None:
    frames = [bytes([number]) * 3 for number in range(2 * ROW)]
    assert cut(b"".join(b"<>%b;" % frame for frame in frames)) == (len(IMAGE) * 2 * ROW, frames)
    found: list[bytes] = []
    assert cut_row(b"ab" * ROW, 0, 2, 0, 0, found) == 2 * ROW
    assert found == [b""] * ROW


def test_without_a_header_there_is_nothing_to_compare() -> None:
    found: list[bytes] = []
    assert cut_row(b"abc" * ROW + b"ab", 0, 0, 3, 0, found) == 3 * ROW
    assert found == [b"abc"] * ROW


RECIPES = [
    framing.length(4),
    framing.length(3, little_endian=True),
    framing.netstring(),
    framing.octet_counted(),
]


@pytest.mark.parametrize("recipe", RECIPES, ids=str)
@pytest.mark.parametrize("lone", [0, 1, ROW, ROW + 1])
@pytest.mark.parametrize("step", [1 << 20, 997, 64])
def test_rows_among_other_frames_are_cut_as_the_others(
    recipe: Framing, lone: int, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows behind rows of another size, and single frames in between, in reads of any size."""
    monkeypatch.setattr("nbclient.framing.prefixed.AGAIN", 20)
    sent = []
    for size in (7, 300, 9, 10, 99, 100):
        sent += [b"%d" % (number % 10) * size for number in range(3 * ROW - 1)]
        sent += [b"x" * (5 + number % 3) for number in range(lone)]
    data = b"".join(recipe.encode(sent))
    decoder = recipe.decoder()
    got = [
        frame for at in range(0, len(data), step) for frame in decoder.feed(data[at : at + step])
    ]
    assert got == sent
    assert not decoder.begun


@pytest.mark.parametrize("bad", range(ROW + 2))
def test_a_fault_inside_a_row_is_found_where_it_is(bad: int) -> None:
    good = b"2:ab," * bad
    decoder = framing.netstring().decoder()
    assert decoder.feed(good + b"2:ab;" + b"2:ab," * (2 * ROW)) == [b"ab"] * bad
    assert "behind the frame" in str(decoder.fault)


def test_fixed_frames_are_cut_by_rows_in_a_long_read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = framing.fixed(5).decoder()
    long = [b"%05d" % number for number in range(rows.SHORT)]
    assert decoder.feed(b"".join(long)) == long
    monkeypatch.delattr("nbclient.framing.plain.cut_row")
    assert decoder.feed(b"".join(long[:100])) == long[:100]


def test_a_row_over_the_limit_is_refused_at_its_first_frame() -> None:
    for recipe in (framing.length(4, max_frame=2), framing.netstring(max_frame=2)):
        data = b"".join(type(recipe).encode(recipe, [b"ab"] * 3))
        over = b"\0\0\0\3abc" if "length" in str(recipe) else b"3:abc,"
        decoder = recipe.decoder()
        assert decoder.feed(data + over * (2 * ROW)) == [b"ab"] * 3
        assert "more than the limit" in str(decoder.fault)


def test_a_look_in_vain_costs_no_more_than_the_frames_before_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two sizes that only look like rows: one look for every so many bytes."""
    looks = []

    def counted(data: bytes, at: int, *rest: object) -> int:
        looks.append(at)
        return cut_row(data, at, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr("nbclient.framing.prefixed.cut_row", counted)
    recipe = framing.length(4)
    data = b"".join(recipe.encode([b"x" * 6, b"x" * 6, b"x" * 7] * 2000))
    assert len(recipe.decoder().feed(data)) == 6000
    assert len(looks) <= len(data) // rows.AGAIN + 1


@pytest.mark.parametrize("recipe", RECIPES, ids=str)
def test_in_a_short_read_no_row_is_looked_for(
    recipe: Framing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer in a read of its own is the rule, and a look would be a third of its cost."""
    monkeypatch.delattr("nbclient.framing.prefixed.cut_row")
    for body in (b"x" * 60, b"x" * (rows.SHORT - 10), b"x"):
        (image,) = recipe.encode([body])
        decoder = recipe.decoder()
        assert decoder.feed(image) == decoder.feed(image[:1]) + decoder.feed(image[1:]) == [body]
