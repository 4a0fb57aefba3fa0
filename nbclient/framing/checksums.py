"""Checksums of frames: the option ``checksum=NAME``, and what stands on the wire for it.

The CRCs are those of the catalogue of parametrised CRC algorithms
(https://reveng.sourceforge.io/crc-catalogue/), whose name stands beside ours;
what each gives for the nine bytes ``123456789`` is a test. The others are:

- ``xor``: all bytes joined by exclusive or (BCC, the LRC of ISO 1155);
- ``sum8``: their sum modulo 256;
- ``lrc``: the two's complement of that sum (the LRC of Modbus);
- ``sum7``: the two's complement of their sum, modulo 128 (Toledo's scales);
- ``fletcher8``: their sum, then the sum of the sums after each byte, both modulo
  256 (UBX; RFC 1145, appendix II).

A CRC of more than a byte is sent in the order in which its bits leave the
register: low byte first where it is reflected (all but ``crc16-ccitt``, ``crc16-xmodem`` and
``crc24q``), as Modbus does. The endings ``-le`` and ``-be`` say
otherwise, and ``-hex`` means hexadecimal digits, the highest first: sent in
capitals, taken in either case. ``nmea`` is another name of ``xor-hex``.
"""

from __future__ import annotations

import binascii
import zlib
from collections.abc import Callable, Mapping
from functools import cache
from itertools import accumulate
from typing import Literal, NamedTuple

from attrs import frozen

from nbclient.errors import BadFrame, SpecError

Order = Literal["little", "big"]


class _Crc(NamedTuple):
    """The parameters of the catalogue; `poly` is written reflected where `reflected`."""

    width: int
    poly: int
    init: int
    reflected: bool
    xorout: int = 0

    def value(self, data: bytes) -> int:
        table = _table(self.width, self.poly, self.reflected)
        crc = self.init
        if self.reflected:
            for byte in data:
                crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
        else:
            top, mask = self.width - 8, (1 << self.width) - 1
            for byte in data:
                crc = crc << 8 & mask ^ table[crc >> top ^ byte]
        return crc ^ self.xorout


@cache
def _table(width: int, poly: int, reflected: bool) -> tuple[int, ...]:
    """What the register becomes for each byte, made when first wanted."""
    step = _step_down if reflected else _step_up
    return tuple(step(width, poly, byte) for byte in range(256))


def _step_down(width: int, poly: int, register: int) -> int:
    for _ in range(8):
        register = register >> 1 ^ (poly if register & 1 else 0)
    return register


def _step_up(width: int, poly: int, byte: int) -> int:
    register = byte << width - 8
    for _ in range(8):
        register <<= 1
        if register >> width:
            register ^= poly | 1 << width
    return register


def _xor(data: bytes) -> int:
    """All bytes joined by exclusive or: folded in halves, which stays in C."""
    value, size = int.from_bytes(data, "little"), len(data)
    while size > 1:
        size = (size + 1) // 2
        value = value >> 8 * size ^ value & (1 << 8 * size) - 1
    return value


def _fletcher(data: bytes) -> int:
    return sum(data) & 0xFF | (sum(accumulate(data)) & 0xFF) << 8


class _Algorithm(NamedTuple):
    width: int  # bits
    value: Callable[[bytes], int]
    order: Order = "little"


def _of(crc: _Crc) -> _Algorithm:
    return _Algorithm(crc.width, crc.value)


_ALGORITHMS: Mapping[str, _Algorithm] = {
    "xor": _Algorithm(8, _xor),
    "sum8": _Algorithm(8, lambda data: sum(data) & 0xFF),
    "sum7": _Algorithm(8, lambda data: -sum(data) & 0x7F),
    "lrc": _Algorithm(8, lambda data: -sum(data) & 0xFF),
    # CRC-8/SMBUS
    "crc8": _of(_Crc(8, 0x07, 0, False)),
    # CRC-8/MAXIM-DOW
    "crc8-maxim": _of(_Crc(8, 0x8C, 0, True)),
    # CRC-16/MODBUS
    "crc16-modbus": _of(_Crc(16, 0xA001, 0xFFFF, True)),
    # CRC-16/ARC
    "crc16-arc": _of(_Crc(16, 0xA001, 0, True)),
    # CRC-16/IBM-3740, also called CCITT-FALSE
    "crc16-ccitt": _Algorithm(16, lambda data: binascii.crc_hqx(data, 0xFFFF), "big"),
    # CRC-16/XMODEM
    "crc16-xmodem": _Algorithm(16, lambda data: binascii.crc_hqx(data, 0), "big"),
    # CRC-16/KERMIT
    "crc16-kermit": _of(_Crc(16, 0x8408, 0, True)),
    # CRC-16/IBM-SDLC, also called X-25
    "crc16-x25": _of(_Crc(16, 0x8408, 0xFFFF, True, 0xFFFF)),
    # CRC-24/LTE-A, which is CRC-24Q of RTCM 3
    "crc24q": _Algorithm(24, _Crc(24, 0x864CFB, 0, False).value, "big"),
    "fletcher8": _Algorithm(16, _fletcher),
    # CRC-32/ISO-HDLC, the one of Ethernet, gzip and PNG
    "crc32": _Algorithm(32, zlib.crc32),
    # CRC-32/ISCSI
    "crc32c": _of(_Crc(32, 0x82F63B78, 0xFFFFFFFF, True, 0xFFFFFFFF)),
}
_SYNONYMS = {"nmea": "xor-hex"}

CHECKSUMS = (*_ALGORITHMS, *_SYNONYMS)
"""The names there are; each of the first kind also with ``-hex``, ``-le`` and ``-be``."""


@frozen
class Checksum:
    """A checksum as it stands on the wire.

    :ivar name: as in a SPEC.
    :ivar size: its length, bytes.
    """

    name: str
    size: int
    _algorithm: _Algorithm
    _order: Order
    _hex: bool

    def image(self, covered: bytes) -> bytes:
        """What stands on the wire for these bytes."""
        value = self._algorithm.value(covered)
        if self._hex:
            return b"%0*X" % (self.size, value)
        return value.to_bytes(self.size, self._order)

    def fault(self, covered: bytes, found: bytes) -> BadFrame | None:
        """What is wrong, if `found` is not the checksum of the bytes covered."""
        expected = self.image(covered)
        if expected == found or (self._hex and expected == found.upper()):
            return None
        return BadFrame(f"expected the checksum {expected!r} ({self.name})", found)


def checksum_named(name: str) -> Checksum:
    """The checksum of that name.

    :raises SpecError: if there is none.
    """
    kind, _, form = _SYNONYMS.get(name, name).rpartition("-")
    if form not in ("hex", "le", "be") or kind not in _ALGORITHMS:
        kind, form = name, ""
    if kind not in _ALGORITHMS:
        raise SpecError(
            f"unknown checksum {name!r}; there are {', '.join(CHECKSUMS)}, "
            "and most of them with -hex, -le or -be"
        )
    algorithm = _ALGORITHMS[kind]
    size = algorithm.width // 8
    order: Order = {"le": "little", "be": "big"}.get(form, algorithm.order)  # type: ignore[assignment]
    return Checksum(name, 2 * size if form == "hex" else size, algorithm, order, form == "hex")


def check_over(checksum: str, over: str, choices: tuple[str, ...]) -> None:
    """Refuse what cannot be covered.

    :raises SpecError: if `over` is none of the choices, or covers nothing.
    """
    if over not in choices:
        raise SpecError(f"over must be {' or '.join(choices)}, not {over!r}")
    if over != "payload" and not checksum:
        raise SpecError(f"over={over} says what a checksum covers, but none is asked for")
