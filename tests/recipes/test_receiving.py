"""The recipes of docs/recipes.md in which a device or server has the word."""

from __future__ import annotations

import json
import re
import signal
import struct
import time
from functools import reduce

from tests.recipes.peers import HOST, Bench, Peer, Wire, eventually

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


def beast(kind: bytes, body: bytes) -> bytes:
    """A message as a Beast sends it."""
    return b"\x1a" + kind + body.replace(b"\x1a", b"\x1a\x1a")


def plane(number: int) -> bytes:
    """A long message whose time is full of 0x1A."""
    return beast(
        b"3", b"\x1a" * 5 + bytes([number, 0x80]) + b"\x8d4840d6202cc371c32ce0"[:13] + b"\x1a"
    )


def test_beast_relays_every_message_though_both_sides_restart(bench: Bench) -> None:
    """What is damaged or a receiver's own business stays out; nothing else does."""
    peer, aggregator = bench.peer(), bench.peer()
    bench.cook("beast", HOST=HOST, PORT=peer.port, TO_HOST=HOST, TO_PORT=aggregator.port)
    receiver, site = peer.accept(), aggregator.accept()

    def relays(*numbers: int) -> bool:
        good = b"".join(plane(number) for number in numbers)
        return site.exactly(len(good)) == good

    receiver.send(plane(1)[5:] + plane(2) + beast(b"4", bytes(21)) + plane(3))
    assert relays(2, 3)
    receiver.send(plane(4)[:9])
    receiver.reset()
    receiver = peer.accept()
    receiver.send(plane(5) + plane(6))
    assert relays(5, 6)
    site.reset()
    receiver.send(b"".join(map(plane, range(7, 40))))
    site = aggregator.accept()
    assert relays(*range(7, 40))


def watched(peer: Peer) -> Wire:
    """A connection on which gpsd was asked for JSON, and said so."""
    gpsd = peer.accept()
    gpsd.send(b'{"class":"VERSION","release":"3.22","proto_major":3,"proto_minor":14}\r\n')
    # A request ends with a semicolon; gpsd takes the line's end with it.
    assert gpsd.until(b"\n").rstrip(b"\r") == b'?WATCH={"enable":true,"json":true};'
    gpsd.send(b'{"class":"DEVICES","devices":[{"path":"/dev/ttyS0"}]}\r\n')
    gpsd.send(b'{"class":"WATCH","enable":true,"json":true,"nmea":false}\r\n')
    return gpsd


def test_gpsd_reports_into_a_file_and_is_asked_again_after_a_restart(bench: Bench) -> None:
    peer = bench.peer()
    cook = bench.cook("gpsd", HOST=HOST, PORT=peer.port)

    def positions() -> list[float]:
        told = map(json.loads, bench.files("gps-*.json").splitlines())
        return [report["lat"] for report in told if report["class"] == "TPV"]

    gpsd = watched(peer)
    gpsd.send(b'{"class":"TPV","mode":3,"lat":46.5}\r\n{"class":"TPV","mode":3,"lat":46.6}\r\n')
    eventually(lambda: positions() == [46.5, 46.6], "the first positions")
    gpsd.close()
    watched(peer).send(b'{"class":"TPV","mode":3,"lat":46.7}\r\n')
    eventually(lambda: positions() == [46.5, 46.6, 46.7], "the position after the restart")
    assert cook.stop() == ENDED
    assert bench.files("gps-*.json").count(b'"WATCH"') == 2


def polled(meter: Wire, *registers: int) -> None:
    """Answer one request to read them, which has to be right to the byte."""
    transaction, protocol, size, unit, function, first, count = struct.unpack(
        ">HHHBBHH", meter.exactly(12)
    )
    assert (protocol, size, unit, function, first, count) == (0, 6, 1, 3, 0, len(registers))
    answer = struct.pack(f">BB{count}H", function, 2 * count, *registers)
    meter.send(struct.pack(">HHHB", transaction, 0, 1 + len(answer), unit) + answer)


def test_modbus_is_polled_each_second_and_after_a_power_cut_too(bench: Bench) -> None:
    peer = bench.peer()
    silent = asked = time.monotonic()
    cook = bench.cook("modbus", HOST=HOST, PORT=peer.port)
    meter = peer.accept()
    polled(meter, 231, 500)
    while not meter.hears(0.01):
        silent, asked = asked, time.monotonic()
    polled(meter, 231, 500)
    polled(meter, 232, 501)
    # From when there was no second poll yet, however busy the machine, to the third.
    assert time.monotonic() - silent > 0.9
    meter.reset()
    polled(peer.accept(), 233, 65535)
    eventually(lambda: bench.files("modbus.log").count(b"\n") == 4, "four answers")
    assert cook.stop() == ENDED
    lines = bench.files("modbus.log").decode().splitlines()
    times, answers = zip(*(line.rsplit(" ", 1) for line in lines), strict=True)
    assert all(re.match(r"\d{4}-\d\d-\d\d.\d\d:\d\d:\d\d", when) for when in times)
    values = ["030400e701f4", "030400e701f4", "030400e801f5", "030400e9ffff"]
    assert [answer[-12:] for answer in answers] == values


def weight(text: bytes) -> bytes:
    """As the scale sends it."""
    return b"\x02%s\x03%02X" % (text, reduce(int.__xor__, text + b"\x03"))


def test_scale_gives_every_good_weight_and_keeps_the_bad_ones(bench: Bench) -> None:
    """The serial line garbles one weight, and the serial server cuts where it likes."""
    peer = bench.peer()
    cook = bench.cook("scale", HOST=HOST, PORT=peer.port)

    def weights() -> list[str]:
        lines = bench.files("weights-*.jsonl").splitlines()
        return [json.loads(line)["data"] for line in lines]

    scale = peer.accept()
    scale.send(b"7 kg\x0312" + weight(b"ST,  12.50 kg")[:4])
    scale.send(weight(b"ST,  12.50 kg")[4:] + weight(b"US,  12.75 kg").replace(b"7", b"9"))
    scale.send(weight(b"ST,  12.80 kg"))
    eventually(lambda: weights() == ["ST,  12.50 kg", "ST,  12.80 kg"], "two weights")
    scale.send(weight(b"ST,  13.00 kg")[:7])
    scale.reset()
    peer.accept().send(weight(b"ST,  13.10 kg"))
    eventually(lambda: weights()[2:] == ["ST,  13.10 kg"], "a weight after the restart")
    assert cook.stop() == PASSED_OVER
    assert b"US,  12.95 kg" in bench.files("bad/*")
