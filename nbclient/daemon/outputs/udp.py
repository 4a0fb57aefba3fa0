"""Frames as datagrams: each has arrived or not, and nobody will say."""

from __future__ import annotations

import errno
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from nbclient.daemon.outputs.base import ShapedOutput
from nbclient.daemon.outputs.formats import Format
from nbclient.daemon.outputs.queued import os_reason
from nbclient.delivery.outbox import FRAME_COST
from nbclient.endpoints.resolver import Address

REFRESH = 60.0
"""Seconds after which a name is looked up again, while frames come."""

HELD = 64 * 1024
"""Bytes held while the name is looked up for the first time, `FRAME_COST` a frame included."""

RETRY = 5.0
"""Seconds after which a name that was not found is looked up again."""


class DatagramOutput(ShapedOutput):
    """A datagram for each frame.

    A name is looked up at the start and again while frames come, never waited
    for. What cannot be sent (a frame longer than a datagram, a name that is not
    found, a full socket) is counted in `lost`, and told once.

    :param name: what logs call it.
    :param host: the receiver's name or address.
    :param port: its port.
    :param shape: frames -> datagrams.
    :param lookup: the addresses of a host and port.
    :param clock: tells the time (`IReactorTime`).
    :param log: told when frames begin to be lost, and when they pass again.
    :param make_socket: stands in for `socket.socket`.
    """

    def __init__(
        self,
        name: str,
        host: str,
        port: int,
        shape: Format,
        lookup: Callable[[str, int], Deferred[list[Address]]],
        clock: Any,
        log: Logger,
        make_socket: Callable[[int, int], Any] = socket.socket,
    ) -> None:
        super().__init__(name, shape, log)
        self._where = (host, port)
        self._lookup = lookup
        self._clock = clock
        self._make_socket = make_socket
        self._address: Address | None = None
        self._socket: Any = None
        self._looking: Deferred[Any] | None = None
        self._next_look = 0.0
        self._early: deque[bytes] = deque()
        self._early_bytes = 0
        self._losing = 0  # since the last that could be sent
        self._closed = False

    def start(self) -> None:
        """Look the name up; what comes in the meantime is held, up to `HELD` bytes.

        An address needs no looking up: nothing is held, and nothing lost for it.
        """
        host, port = self._where
        if isIPAddress(host) or isIPv6Address(host):
            kind = IPv6Address if ":" in host else IPv4Address
            self._found([kind("UDP", host, port)])
            return
        self._next_look = self._clock.seconds() + RETRY
        looking = self._looking = self._lookup(host, port)
        looking.addCallbacks(self._found, self._not_found)

    def _found(self, addresses: list[Address]) -> None:
        self._looking = None
        self._next_look = self._clock.seconds() + REFRESH
        address = addresses[0]
        if address == self._address:
            return
        self._release()
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        self._socket = self._make_socket(family, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._address = address
        early, self._early = self._early, deque()
        for image in early:
            self._send(image)

    def _not_found(self, failure: Failure) -> None:
        self._looking = None
        count, self._early, self._early_bytes = len(self._early), deque(), 0
        if failure.check(CancelledError):
            self.lost += count
        else:
            self._loses(count, failure.getErrorMessage())

    def write(self, frames: Sequence[bytes]) -> Deferred[None] | None:
        """See `Output.write`; never has to be waited for."""
        images = self.images(frames)
        if self._closed:
            self.lost += len(images)
            return None
        if self._looking is None and self._clock.seconds() >= self._next_look:
            self.start()
        for image in images:
            self._send(image)
        return None

    def _send(self, image: bytes) -> None:
        if self._address is None:
            self._hold(image)
            return
        try:
            self._socket.sendto(image, (self._address.host, self._address.port))
        except OSError as error:
            if error.errno == errno.EMSGSIZE:
                self._loses(1, f"a frame of {len(image)} bytes is too long for a datagram")
            else:
                self._loses(1, os_reason(error))
        else:
            self._passes()

    def _hold(self, image: bytes) -> None:
        """No address is known yet."""
        if self._looking is None:
            self._loses(1, "the address is not known")
            return
        self._early.append(image)
        self._early_bytes += len(image) + FRAME_COST
        while self._early_bytes > HELD:
            self._early_bytes -= len(self._early.popleft()) + FRAME_COST
            self._loses(1, "the address is not known yet")

    def _loses(self, count: int, why: str) -> None:
        self.lost += count
        if not self._losing:
            self._log.warn("output {name} loses frames ({why})", name=self.name, why=why)
        self._losing += max(count, 1)

    def _passes(self) -> None:
        if self._losing:
            self._losing = 0
            self._log.info(
                "output {name} goes on, {lost} lost in all", name=self.name, lost=self.lost
            )

    def _release(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def close(self) -> Deferred[None]:
        """See `Output.close`."""
        self.abandon()
        return succeed(None)

    def abandon(self) -> None:
        """See `Output.abandon`."""
        self._closed = True
        looking, self._looking = self._looking, None
        if looking is not None:
            looking.cancel()
        self._release()
