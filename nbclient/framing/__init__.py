"""Bytes to frames and back: synchronous, without Twisted, clock or socket.

A framing is made by one of the functions here, or from a SPEC text by
`named`. What it promises stands in `nbclient.framing.base`.
"""

from nbclient.framing.astm import astm
from nbclient.framing.base import MAX_FRAME, Decoder, Framing
from nbclient.framing.between import between, mllp, stx_etx
from nbclient.framing.cobs import cobs
from nbclient.framing.counts import digits, varint
from nbclient.framing.delimited import crlf, delimiter, lines
from nbclient.framing.dle import dle
from nbclient.framing.headers import headers, stomp
from nbclient.framing.jsontext import json
from nbclient.framing.nmea import nmea
from nbclient.framing.pair import pair
from nbclient.framing.plain import fixed, raw
from nbclient.framing.prefixed import length, netstring, octet_counted
from nbclient.framing.slip import slip
from nbclient.framing.spec import named
from nbclient.framing.telnet import telnet

__all__ = [
    "MAX_FRAME",
    "Decoder",
    "Framing",
    "astm",
    "between",
    "cobs",
    "crlf",
    "delimiter",
    "digits",
    "dle",
    "fixed",
    "headers",
    "json",
    "length",
    "lines",
    "mllp",
    "named",
    "netstring",
    "nmea",
    "octet_counted",
    "pair",
    "raw",
    "slip",
    "stomp",
    "stx_etx",
    "telnet",
    "varint",
]
