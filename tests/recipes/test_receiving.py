"""The recipes of docs/recipes.md in which a device or server has the word."""

from __future__ import annotations

import signal
from functools import reduce

from tests.recipes.peers import HOST, Bench, Wire, eventually

PASSED_OVER = 1
"""The exit status where something was left out, if only noise."""
ENDED = 128 + signal.SIGTERM
TAG = b"\\s:station*33\\"


def sentence(text: bytes) -> bytes:
    """A sentence of NMEA 0183 with its checksum."""
    return b"!%s*%02X\r\n" % (text, reduce(int.__xor__, text))


def ship(number: int) -> bytes:
    return sentence(b"AIVDM,1,1,,A,13aEOK?P00PD2wVMdLDRhgvL28%02d,0" % number)


def admitted(feed: Wire, greeting: bytes, *programs: Wire) -> None:
    """Say it until all of them have heard it: they hear what arrives once they are let in."""
    for program in programs:
        while not program.hears(0.02):
            feed.send(greeting)


def test_ais_reaches_three_programs_and_a_file_whole_and_in_order(bench: Bench) -> None:
    """The receiver is noisy, restarts in the middle, and one of the programs reads nothing."""
    peer = bench.peer()
    cook = bench.cook("ais", HOST=HOST, PORT=peer.port, LISTEN=f"{HOST}:0")
    address = cook.err.expect(r"listening at (\S+:\d+)")[1]
    receiver = peer.accept()
    programs = [bench.program(address) for _ in range(3)]
    admitted(receiver, ship(0), *programs)
    before = [ship(number) for number in range(1, 51)]
    receiver.send(b"\0\xffnoise\r\n" + b"".join(before[:25]) + b"!AIVDM,wrong*00\r\n")
    receiver.send(b"".join(before[25:]) + ship(98)[:20])
    good = b"".join(before)
    eventually(lambda: bench.files("ais-*.nmea").endswith(good), "the file")
    receiver.reset()  # inside a sentence: that one is gone
    after = [TAG + ship(number) for number in range(51, 99)]
    good += b"".join(after) + ship(99)
    peer.accept().send(b"".join(after) + ship(99))
    for program in programs[:2]:
        heard = program.until(ship(99)) + ship(99)
        assert heard.replace(ship(0), b"") == good
    assert cook.stop() == PASSED_OVER
    assert programs[2].rest().replace(ship(0), b"") == good
    assert bench.files("ais-*.nmea").replace(ship(0), b"") == good
