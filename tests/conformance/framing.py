"""What every framing has to keep, as plain functions without a test framework.

Each ``check_…`` takes a `Sample`, which says what a framing carries, and raises
AssertionError where the contract of `nbclient.framing.base` is broken. What
a decoder costs is in `tests.conformance.counting`.
"""

from __future__ import annotations

import tracemalloc
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, combinations, pairwise

import attrs
from hypothesis import strategies as st

from nbclient.errors import BadFrame, FrameError, FrameTooLong, PeerError
from nbclient.framing import Decoder, Framing

Cuts = Sequence[int]
Images = Callable[[Sequence[bytes]], list[bytes]]


@attrs.frozen
class Sample:
    """A framing and what the checks need to know of its wire form.

    :ivar framing: the framing under test.
    :ivar frames: a few short frames it carries, awkward ones among them.
    :ivar bodies: draws more of them.
    :ivar refused: frames that `encode` must refuse.
    :ivar faults: what is a fault where a frame should begin, and its class.
    :ivar wire: the images of frames, where `encode` does not say (a framing
        that only receives, or one that receives more forms than it sends).
    :ivar junk: bytes the decoder passes over before each frame (``skip``).
    :ivar ahead: bytes of every image that stand before what begins the frame.
    :ivar after: bytes of every image that stand behind what completes the frame.
    :ivar unread_after: whether `unread` gives these back, where they came with the frame.
    :ivar sized: makes a frame of that many bytes; for the test of the limit.
    """

    framing: Framing
    frames: list[bytes]
    bodies: st.SearchStrategy[bytes]
    refused: Sequence[bytes] = ()
    faults: Sequence[tuple[bytes, type[PeerError]]] = ()
    wire: Images | None = None
    junk: bytes = b""
    ahead: bytes = b""
    after: bytes = b""
    unread_after: bool = True
    sized: Callable[[int], bytes] | None = lambda size: b"x" * size

    def images(self, frames: Sequence[bytes]) -> list[bytes]:
        """What a peer sends for each frame, what is to be skipped before it included."""
        images = (self.wire or self.framing.encode)(frames)
        return [self.junk + image for image in images]

    def stream(self, frames: Sequence[bytes]) -> bytes:
        return b"".join(self.images(frames))


def cut(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    """`data` in pieces; the cuts may be in any order, doubled and beyond the end."""
    places = sorted({min(place, len(data)) for place in cuts} | {0, len(data)})
    return [data[start:end] for start, end in pairwise(places)]


def single(data: bytes) -> list[bytes]:
    """`data` one byte at a time."""
    return cut(data, range(len(data)))


def decode(framing: Framing, chunks: Iterable[bytes]) -> tuple[list[bytes], Decoder]:
    """The frames in `chunks`, and the decoder afterwards."""
    decoder = framing.decoder()
    frames = [frame for chunk in chunks for frame in decoder.feed(chunk)]
    assert all(type(frame) is bytes for frame in frames), "a frame is bytes, nothing else"
    return frames, decoder


# -- the way back ------------------------------------------------------------------


def check_chunks(sample: Sample, frames: Sequence[bytes], chunks: Iterable[bytes]) -> None:
    """These chunks of the frames' stream give the frames, and leave nothing over."""
    got, decoder = decode(sample.framing, chunks)
    assert got == list(frames), (sample.framing, got, frames)
    assert decoder.fault is None
    assert decoder.eof() == b""
    assert not decoder.begun
    assert decoder.skipped == (len(frames) if sample.junk else 0)


def check_whole(sample: Sample) -> None:
    """All in one chunk, and a frame a chunk."""
    check_chunks(sample, sample.frames, [sample.stream(sample.frames)])
    check_chunks(sample, sample.frames, sample.images(sample.frames))
    check_chunks(sample, [], [])
    check_chunks(sample, sample.frames, [b"", sample.stream(sample.frames), b""])


def check_byte_by_byte(sample: Sample) -> None:
    """One byte a chunk: the worst a network can do."""
    check_chunks(sample, sample.frames, single(sample.stream(sample.frames)))


def check_every_split(sample: Sample) -> None:
    """A small stream at every one and every two places at once.

    Of a longer one, where the pairs are too many, every other place or so.
    """
    for frames in (sample.frames[:2], sample.frames[-2:]):
        stream = sample.stream(frames)
        places = range(1, len(stream))
        pairs = combinations(places[:: 1 + len(stream) // 60], 2)
        for cuts in [*combinations(places, 1), *pairs]:
            check_chunks(sample, frames, cut(stream, cuts))


def check_trailing(sample: Sample, frames: Sequence[bytes], cuts: Cuts) -> None:
    """The beginning of one frame more is the tail, and begun, and no frame."""
    last = sample.frames[0]
    image = sample.stream([last])[len(sample.junk) :]
    unfinished = image.removeprefix(sample.ahead).removesuffix(sample.after)[:-1]
    stream = sample.stream(frames) + sample.ahead
    for size in range(1, len(unfinished) + 1):
        tail = unfinished[:size]
        got, decoder = decode(sample.framing, cut(stream + tail, cuts))
        assert got == list(frames)
        assert decoder.fault is None
        assert decoder.begun
        assert decoder.eof() == tail, (decoder.eof(), tail)
        assert decoder.eof() == tail, "asking changes nothing"
        assert decoder.last() == []
        assert decoder.eof() == tail, "nor does the end, where no frame is held back"


def check_unread(sample: Sample, frames: Sequence[bytes], cuts: Cuts, more: bytes = b"") -> None:
    """Behind whichever frame is the last taken, the bytes come back as received.

    :param more: what follows the frames: any bytes, for they may belong to the
        next framing.
    """
    images = sample.images(frames)
    behind = len(sample.after) if sample.unread_after else 0
    ends = [end - behind for end in accumulate(map(len, images), initial=0)]
    chunks = cut(b"".join(images) + more, cuts)
    fed = given = 0
    for number, chunk in enumerate(chunks):
        fed += len(chunk)
        count = len(decode(sample.framing, chunks[: number + 1])[0]) - given
        for taken in range(1, min(count, len(frames) - given) + 1):
            # A fresh decoder each time: unread is the last thing asked of one.
            _, decoder = decode(sample.framing, chunks[:number])
            got = decoder.feed(chunk)
            expected = (b"".join(images) + more)[ends[given + taken] : fed]
            unread = decoder.unread(chunk, got[taken:])
            assert unread == expected, (sample.framing, chunk, got[taken:], unread, expected)
        if not count and not sample.junk:
            _, decoder = decode(sample.framing, chunks[: number + 1])
            assert decoder.fault is not None or decoder.unread(chunk, []) == decoder.eof()
        given += count


# -- the peer at fault ---------------------------------------------------------------


def check_fault(
    sample: Sample, bad: bytes, kind: type[PeerError], cuts: Cuts, more: bytes = b""
) -> None:
    """Frames before a fault are returned; then nothing is, however much comes."""
    stream = sample.stream(sample.frames)
    wrong = bad + more
    for chunks in ([stream + wrong], single(stream + wrong), cut(stream + wrong, cuts)):
        got, decoder = decode(sample.framing, chunks)
        assert got == sample.frames, (sample.framing, got)
        check_poisoned(sample, decoder, kind)
        # As much of it as had come when it showed.
        assert decoder.eof()
        assert wrong.removeprefix(sample.ahead).startswith(decoder.eof()), (decoder.eof(), wrong)
    check_unread(sample, sample.frames, cuts, wrong)


def check_poisoned(sample: Sample, decoder: Decoder, kind: type[PeerError]) -> None:
    """A decoder with a fault says what is wrong and stays as it is."""
    fault, tail = decoder.fault, decoder.eof()
    assert type(fault) is kind, (sample.framing, fault)
    if isinstance(fault, FrameTooLong):
        assert fault.limit == sample.framing.max_frame
        assert fault.size > fault.limit
        assert str(fault.limit) in str(fault)
        assert str(fault.size) in str(fault)
    if isinstance(fault, BadFrame):
        assert fault.what
        assert len(fault.found) <= BadFrame.SHOWN
    assert decoder.feed(sample.stream(sample.frames)) == []
    assert decoder.fault is fault
    assert decoder.eof() == tail


def check_garbage(sample: Sample, data: bytes, cuts: Cuts) -> None:
    """Whatever bytes come: no exception, and the same frames however they are cut."""
    whole, first = decode(sample.framing, [data])
    for chunks in (cut(data, cuts), single(data)):
        got, decoder = decode(sample.framing, chunks)
        assert got == whole, (sample.framing, chunks, got, whole)
        assert type(decoder.fault) is type(first.fault)
        assert decoder.skipped == first.skipped
        if decoder.fault is None:
            assert decoder.eof() == first.eof()
            assert decoder.begun == first.begun
    assert all(len(frame) <= sample.framing.max_frame for frame in whole)


def check_limit(sample: Sample, over: Framing | None = None) -> None:
    """A frame of exactly the limit passes at every split, one byte more never does.

    :param over: a framing of a larger limit, to make the frame that is too long.
    """
    assert sample.sized is not None
    limit = sample.framing.max_frame
    exact = sample.sized(limit)
    assert len(exact) == limit
    stream = sample.stream([exact])
    for place in range(len(stream)):
        check_chunks(sample, [exact], cut(stream, [place]))
    check_chunks(sample, [exact, exact], single(stream + stream))
    if over is None:
        return
    long = sample.sized(limit + 1)
    check_refusals(sample, [long])
    image = attrs.evolve(sample, framing=over).stream([long])
    for place in range(len(image)):
        check_fault(sample, image, FrameTooLong, [place], more=stream)


# -- the way out -----------------------------------------------------------------------


def check_encode(sample: Sample, frames: Sequence[bytes]) -> None:
    """Sending changes no frame, repeats itself, and makes one image a frame."""
    before = [bytes(bytearray(frame)) for frame in frames]
    images = sample.framing.encode(frames)
    assert list(frames) == before
    assert images == sample.framing.encode(tuple(frames))
    assert [sample.framing.encode([frame]) for frame in frames] == [[image] for image in images]
    assert sample.framing.joined(frames) == b"".join(images)
    assert [sample.framing.image(frame) for frame in frames] == images
    sample.framing.check(frames)
    assert sample.framing.encode([]) == []
    assert sample.framing.joined([]) == b""
    sample.framing.check([])


def check_refusals(sample: Sample, refused: Sequence[bytes]) -> None:
    """A frame that would not come back is refused wherever it stands, before anything is made."""
    good = [] if sample.wire else sample.frames
    for bad in refused:
        for frames in ([bad], [*good, bad], [bad, *good]):
            for ask in (sample.framing.encode, sample.framing.joined, sample.framing.check):
                said = _refusal(ask, frames)
                assert said is not None, f"{sample.framing} took {bad[:60]!r} in {ask.__name__}"
                assert "\n" not in said
        assert _refusal(sample.framing.image, bad) == _refusal(sample.framing.encode, [bad])


def _refusal(ask: Callable[..., object], given: Sequence[bytes] | bytes) -> str | None:
    try:
        ask(given)
    except FrameError as error:
        return str(error)
    return None


def check_recipe(sample: Sample) -> None:
    """A framing is a value: hashable, the same when equal, shared by all connections."""
    framing = sample.framing
    assert framing == framing
    assert hash(framing) == hash(framing)
    assert framing != object()
    assert "\n" not in repr(framing)
    assert framing.decoder() is not framing.decoder()
    one, other = framing.decoder(), framing.decoder()
    one.feed(sample.stream(sample.frames[:1])[:-1])
    assert other.feed(sample.stream(sample.frames)) == sample.frames


# -- what it holds ----------------------------------------------------------------------


def holds(decoder: object) -> int:
    """The bytes a decoder keeps, in whatever attributes and containers, decoders inside included.

    Figures kept for each frame of the latest chunk count as one byte each.
    """
    if isinstance(decoder, (bytes, bytearray)):
        return len(decoder)
    if isinstance(decoder, int):
        return 1
    if isinstance(decoder, (list, tuple, set, frozenset, deque)):
        return sum(map(holds, decoder))
    if isinstance(decoder, dict):
        return sum(map(holds, decoder.values()))
    if isinstance(decoder, Decoder):
        slots = [getattr(each, "__slots__", ()) for each in type(decoder).__mro__]
        named = [getattr(decoder, name, None) for each in slots for name in each]
        return holds({**vars(decoder), "": named})
    return 0


def check_held(framing: Framing, beginning: bytes, pattern: bytes, chunk: int = 256) -> None:
    """However much comes of a pattern, a decoder holds no more than its framing says.

    What is held is measured, not what it may stand for: bytes that are escapes,
    padding or half a mark are held too.

    :param beginning: what comes before the pattern.
    """
    decoder = framing.decoder()
    small = 64 + chunk  # its own settings and counters; figures of the latest chunk
    decoder.feed(beginning)
    flood = pattern * (chunk // len(pattern))
    for _ in range(2 + 2 * framing.most_held // chunk):
        decoder.feed(flood)
        most = framing.most_held + small + (chunk if decoder.fault else 0)
        assert holds(decoder) <= most, (framing, beginning, pattern, holds(decoder))
        if decoder.fault is not None:
            break


def held(framing: Framing, chunks: Iterable[bytes]) -> tuple[int, int]:
    """The memory a fresh decoder takes while it is fed: at its peak, and at the end, bytes."""
    tracemalloc.start()
    try:
        decoder = framing.decoder()
        tracemalloc.reset_peak()
        start, _ = tracemalloc.get_traced_memory()
        for chunk in chunks:
            decoder.feed(chunk)
        end, peak = tracemalloc.get_traced_memory()
        return peak - start, end - start
    finally:
        tracemalloc.stop()


def check_memory(framing: Framing, beginning: bytes, slack: int = 20_000) -> None:
    """A frame that never ends costs the limit and a chunk or two, no more.

    :param beginning: the beginning of a frame that is, or claims to be, endless.
    """
    chunk = b"x" * 1000

    def flood() -> Iterator[bytes]:
        yield beginning
        for _ in range(framing.max_frame * 4 // len(chunk)):
            yield chunk

    peak, _ = held(framing, flood())
    # Growing in place means that for a moment the old and the new are there.
    assert peak <= 2.5 * framing.max_frame + 2 * len(chunk) + slack, (framing, peak)


def check_declared(framing: Framing, beginning: bytes, slack: int = 20_000) -> None:
    """A declared length allocates nothing, whether it is acceptable or not."""
    peak, _ = held(framing, single(beginning))
    assert peak <= slack, (framing, peak)
