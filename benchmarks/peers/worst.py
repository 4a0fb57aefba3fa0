"""The worst that a peer can send, fed to a connection cut exactly so; no socket, no kernel.

python worst.py KIND CASE ROUNDS

KIND: an nbclient framing, or line-receiver, int32-receiver. CASE: segments (one frame of
so many bytes in pieces of 1,448), empty (so many empty frames), single (frames of 100
bytes, so many bytes in all, one at a time). Prints, as JSON, the best seconds for each size.
"""

import json
import sys
import time

from twisted.internet.testing import StringTransport
from twisted.protocols import basic

from nbclient import FrameProtocol, framing

SEGMENT = 1448
READ = 65536
LIMIT = 32 * 1024 * 1024
SIZES = {
    "segments": (1_000_000, 4_000_000, 16_000_000),
    "empty": (100_000, 1_000_000),
    "single": (20_000, 200_000),
}
NAIVE = 4_000_000
"""The stock receivers are not asked for more: it would take minutes."""

FRAMINGS = {
    "lines": framing.lines(max_frame=LIMIT),
    "crlf": framing.crlf(max_frame=LIMIT),
    "length": framing.length(4, max_frame=LIMIT),
    "netstring": framing.netstring(max_frame=LIMIT),
}


class Ours(FrameProtocol):
    frames = 0

    def frameReceived(self, frame):
        self.frames += 1


class StockLines(basic.LineReceiver):
    delimiter = b"\n"
    MAX_LENGTH = LIMIT
    frames = 0

    def lineReceived(self, line):
        self.frames += 1


class StockLength(basic.Int32StringReceiver):
    MAX_LENGTH = LIMIT
    frames = 0

    def stringReceived(self, string):
        self.frames += 1


STOCK = {"line-receiver": (StockLines, "lines"), "int32-receiver": (StockLength, "length")}


def stream(shape, case, size):
    """The bytes, and how many frames they are."""
    encode = FRAMINGS[shape].encode
    if case == "segments":
        return encode([b"x" * size])[0], 1
    if case == "empty":
        return encode([b""])[0] * size, size
    frame = encode([b"x" * (100 - len(encode([b""])[0]))])[0]
    return frame * (size // len(frame)), size // len(frame)


def seconds(kind, case, size):
    made, shape = STOCK.get(kind, (Ours, kind))
    protocol = made()
    if made is Ours:
        protocol.framing = FRAMINGS[shape]
    data, frames = stream(shape, case, size)
    step = {"segments": SEGMENT, "empty": READ, "single": 1}[case]
    pieces = [data[at : at + step] for at in range(0, len(data), step)]
    protocol.makeConnection(StringTransport())
    receive = protocol.dataReceived
    began = time.perf_counter()
    for piece in pieces:
        receive(piece)
    took = time.perf_counter() - began
    if protocol.frames != frames:
        raise SystemExit(f"counted {protocol.frames} frames, not {frames}")
    return took


def main(kind, case, rounds):
    sizes = [size for size in SIZES[case] if kind not in STOCK or size <= NAIVE]
    best = {size: min(seconds(kind, case, size) for _ in range(int(rounds))) for size in sizes}
    print(json.dumps(best))


if __name__ == "__main__":
    main(*sys.argv[1:])
