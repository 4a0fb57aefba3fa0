"""Bytes to frames and back: synchronous, without Twisted, clock or socket.

A framing is made by one of the functions here, or from a SPEC text by
`named`. What it promises stands in `nbclient.framing.base`.
"""

from nbclient.framing.base import MAX_FRAME, Decoder, Framing
from nbclient.framing.delimited import crlf, delimiter, lines
from nbclient.framing.plain import fixed, raw
from nbclient.framing.prefixed import length, netstring, octet_counted
from nbclient.framing.spec import named

__all__ = [
    "MAX_FRAME",
    "Decoder",
    "Framing",
    "crlf",
    "delimiter",
    "fixed",
    "length",
    "lines",
    "named",
    "netstring",
    "octet_counted",
    "raw",
]
