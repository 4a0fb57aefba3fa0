"""A door: bytes in a form that a terminal can take, from `nbclient.core.terminal`."""

from nbclient.core.terminal import (
    HIDDEN,
    StreamEscaper,
    escape,
    hexdump,
    printable,
    visible,
)

__all__ = [
    "HIDDEN",
    "StreamEscaper",
    "escape",
    "hexdump",
    "printable",
    "visible",
]
