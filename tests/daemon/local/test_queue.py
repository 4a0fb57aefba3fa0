"""A reader's queue: whole images, in order, bounded."""

from __future__ import annotations

from nbclient.daemon.local.queue import BATCH, Feed
from tests.conformance.transports import Pipe


def test_images_wait_for_a_transport_and_go_out_in_order() -> None:
    feed, pipe = Feed(100), Pipe()
    feed.put([b"a", b"b"])
    assert (feed.held, len(feed)) == (2, 2)
    feed.attach(pipe)
    feed.put([b"c"])
    assert pipe.data == b"abc"
    assert (feed.held, len(feed)) == (0, 0)


def test_a_full_transport_is_given_no_more_until_it_has_room() -> None:
    feed, pipe = Feed(100), Pipe(room=3)
    feed.attach(pipe)
    feed.put([b"abc"])
    feed.put([b"d", b"e"])
    assert (pipe.data, feed.held, feed.full) == (b"abc", 2, False)
    pipe.take()
    assert (pipe.data, feed.held) == (b"abcde", 0)


def test_the_oldest_are_dropped_whole_and_none_that_has_begun() -> None:
    feed, pipe = Feed(4), Pipe(room=2)
    feed.attach(pipe)
    feed.put([b"aa"])
    feed.put([b"bb", b"cc", b"dd"])
    assert feed.full
    assert feed.drop_oldest() == 1
    assert (feed.drop_oldest(), feed.dropped) == (0, 1)
    pipe.take()
    pipe.take()
    assert pipe.data == b"aaccdd"


def test_a_transport_is_given_bounded_batches() -> None:
    feed, pipe = Feed(10 * BATCH), Pipe(room=1)
    feed.put([b"x" * 1000] * 200)
    feed.attach(pipe)
    assert BATCH <= len(pipe.data) < BATCH + 1000


def test_what_was_not_written_waits_for_the_next_transport() -> None:
    feed, first, second = Feed(100), Pipe(room=1), Pipe()
    feed.attach(first)
    feed.put([b"a"])
    feed.put([b"b"])
    feed.detach()
    feed.detach()
    assert first.producer is None
    feed.attach(second)
    assert (first.data, second.data) == (b"a", b"b")


def test_a_lost_transport_is_written_to_no_more() -> None:
    feed, pipe = Feed(100), Pipe()
    feed.attach(pipe)
    feed.stopProducing()
    feed.put([b"a"])
    assert (pipe.data, feed.held) == (b"", 1)


def test_the_end_comes_when_all_was_written() -> None:
    feed, pipe = Feed(100), Pipe(room=1)
    feed.attach(pipe)
    feed.put([b"a"])
    feed.put([b"b"])
    feed.finish(pipe.loseConnection)
    assert pipe.said == []
    pipe.take()
    assert (pipe.data, pipe.said) == (b"ab", ["lose"])


def test_progress_is_told_when_something_was_taken() -> None:
    told: list[int] = []
    feed, pipe = Feed(100, lambda: told.append(feed.held)), Pipe(room=1)
    feed.attach(pipe)
    assert told == []
    feed.put([b"a"])
    feed.put([b"b"])
    assert told == [0]
    pipe.take()
    assert told == [0, 0]


def test_what_nobody_wants_is_forgotten() -> None:
    feed, pipe = Feed(100), Pipe()
    feed.put([b"a"])
    feed.clear()
    feed.attach(pipe)
    assert (pipe.data, feed.held, feed.dropped) == (b"", 0, 0)
