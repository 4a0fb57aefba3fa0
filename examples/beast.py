"""A framing of one's own: the Beast format of ADS-B receivers (port 30005).

    python -m nbclient --framing beast:framing receiver 30005

in the folder of this file. A message is 0x1A, its type, six bytes of time, one
of signal level, and data whose length follows from the type; wherever 0x1A
stands behind the type it is sent twice. A frame here is the message without
its first 0x1A and without the doubling: type, time, signal, data.

Some receivers also send messages about themselves (types 4 and 5), on whose
length the maker's page and the readers in use disagree. For these take
``beast:skipping`` with ``--on-bad-frame skip``: it passes over, and counts,
whatever is not a message of types 1 to 3.

The format: https://wiki.jetvision.de/wiki/Mode-S_Beast:Data_Output_Formats
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from attrs import frozen

from nbclient.errors import BadFrame, FrameError
from nbclient.framing import Decoder, Framing

MARK = b"\x1a"
DOUBLED = MARK + MARK
# Type, time and signal, and the data: Mode A/C, Mode S short and long.
SIZES = {b"1": 10, b"2": 15, b"3": 22}
LONGEST = max(SIZES.values())

_WHOLE = {
    kind: re.compile(rb"\x1a" + kind + rb"(?:[^\x1a]|\x1a\x1a){%d}" % (size - 1))
    for kind, size in SIZES.items()
}
# The same cut short anywhere.
_BEGUN = {
    kind: re.compile(rb"\x1a" + kind + rb"(?:[^\x1a]|\x1a\x1a){0,%d}\x1a?" % (size - 2))
    for kind, size in SIZES.items()
}


@frozen
class Beast(Framing):
    """Messages of a Beast; ``skip`` goes on at the next that begins."""

    on_bad_frame: str = "close"
    max_frame = LONGEST

    def decoder(self) -> Decoder:
        return BeastDecoder(self.on_bad_frame == "skip")

    def encode(self, frames: Sequence[bytes]) -> list[bytes]:
        for frame in frames:
            if len(frame) != SIZES.get(frame[:1]):
                raise FrameError("a message of a Beast has the length of its type, 1 to 3")
        return [MARK + frame.replace(MARK, DOUBLED) for frame in frames]


class BeastDecoder(Decoder):
    """Looks again at what is left of a chunk, which is never more than one message."""

    def __init__(self, skip: bool) -> None:
        self._skip = skip
        self._rest = b""
        self._lead = 0  # of the latest chunk with the rest before it: the rest
        self._ends: list[int] = []  # where in that each of its frames ends
        self._noisy = False

    def feed(self, data: bytes) -> list[bytes]:
        frames: list[bytes] = []
        if self.fault is not None:
            return frames
        self._lead, self._ends = len(self._rest), []
        data = self._rest + data
        at = 0
        while at < len(data):
            kind = data[at + 1 : at + 2]
            pattern = _WHOLE.get(kind) if data.startswith(MARK, at) else None
            whole = pattern.match(data, at) if pattern is not None else None
            if whole is not None:
                at = whole.end()
                frames.append(whole[0][1:].replace(DOUBLED, MARK))
                self._ends.append(at)
                self._noisy = False
            elif _is_beginning(data, at):
                break
            elif self._skip:
                at = self._pass_noise(data, at)
            else:
                self.fault = BadFrame("expected a message of a Beast", data[at:])
                self.show_rejected(self.fault, data[at:])
                break
        self._rest = data[at:]
        return frames

    def eof(self) -> bytes:
        return self._rest

    def unread(self, data: bytes, frames: Sequence[bytes]) -> bytes:
        taken = len(self._ends) - len(frames)
        return data[self._ends[taken - 1] - self._lead :] if taken else self._rest

    def _pass_noise(self, data: bytes, at: int) -> int:
        """Where a message may begin behind `at`; one stretch of noise counts once."""
        stop = at + (2 if data.startswith(DOUBLED, at) else 1)
        while stop < len(data):
            stop = data.find(MARK, stop)
            if stop < 0:
                stop = len(data)
            elif data.startswith(DOUBLED, stop):
                stop += 2
            else:
                break
        if not self._noisy:
            self._noisy = True
            self.pass_over(BadFrame("expected a message of a Beast", data[at:stop]), data[at:stop])
        return min(stop, len(data))


def _is_beginning(data: bytes, at: int) -> bool:
    """Whether what is left may become a message."""
    if not data.startswith(MARK, at):
        return False
    kind = data[at + 1 : at + 2]
    if not kind:
        return True
    pattern = _BEGUN.get(kind)
    return pattern is not None and pattern.fullmatch(data, at) is not None


framing = Beast()
skipping = Beast("skip")
