"""Delivery level `tcp` on one connection: which frames the peer's kernel has.

Ties together the `Ledger` (what was written), the kernel's counter
(`nbclient.kernel.tcpinfo`) and, under TLS, the map from ciphertext to plaintext. What
the level promises, and what not, is in docs/delivery.md.
"""

from __future__ import annotations

from typing import Any

from nbclient.delivery.ledger import CipherMap, Ledger
from nbclient.errors import DeliveryNotNow, DeliveryUnavailable
from nbclient.kernel.tcpinfo import Probe, Settling, supported, tcp_socket

_KNOWN = ("twisted.protocols.policies", "twisted.protocols.tls", "nbclient.")
"""Where layers come from that write what they are given, and nothing else."""


class Acknowledging:
    """Counts what is written on a connection and what of it was acknowledged.

    :param transport: as given to the protocol, before anything is written.
    :param secure: it speaks TLS, at some layer.
    :raises DeliveryUnavailable: the level is not to be had on this connection,
        and why; `DeliveryNotNow`: descriptors or memory are short.
    """

    __slots__ = ("_map", "_raw", "_secure", "ledger", "probe")

    def __init__(self, transport: Any, secure: bool) -> None:
        support = supported()
        if not (support or support.passing):
            raise DeliveryUnavailable(support.reason)
        self.ledger = Ledger()
        self._secure: Any = None
        self._map: CipherMap | None = None
        if secure:  # wrappers hand it through, at least Twisted's do
            self._secure = getattr(transport, "getHandle", lambda: None)()
            if not hasattr(self._secure, "count"):
                raise DeliveryUnavailable("TLS was not made by nbclient.endpoints")
        self._raw = _below(transport)
        handle = tcp_socket(self._raw)
        if handle is None:
            raise DeliveryUnavailable("the connection is not TCP")
        if support.passing:
            raise DeliveryNotNow(support.reason)
        try:
            self.probe = Probe(handle)
        except OSError as error:
            raise DeliveryUnavailable(f"the kernel cannot be asked: {error}") from None
        if secure:
            self._map = self._secure.count()

    @property
    def overtaken(self) -> bool:
        """Whether TLS was started since: what is written is no longer what the kernel counts."""
        return self._map is None and bool(getattr(self._raw, "TLS", False))

    def newly(self) -> int:
        """How many more frames of the outbox are acknowledged to their last byte."""
        if self.overtaken:
            return 0
        if self._map is None:
            return self.ledger.acknowledged(self.probe.acked_payload(self.ledger.written))
        cipher = self.probe.acked_payload(self._secure.cipher_total)
        return self.ledger.acknowledged(self._map.plain(cipher))

    def seal(self) -> None:
        """The transport is about to close its socket."""
        self.probe.seal()

    def settling(self, now: float, limit: float, again: bool) -> Settling:
        """What waits for the kernel's last word after the loss, `limit` seconds at most.

        :param again: what is not acknowledged by then is sent again.

        After the peer's FIN the kernel goes on delivering; after our own abort it does not.
        """
        return Settling(self.probe, now, limit, again)


def _below(transport: Any) -> Any:
    """The transport with the socket, below TLS and any wrapper.

    :raises DeliveryUnavailable: what a layer on the way may write besides, or
        instead, would be counted as frames.
    """
    while hasattr(transport, "wrappedProtocol"):
        kind = type(transport)
        if not kind.__module__.startswith(_KNOWN):
            raise DeliveryUnavailable(f"{kind.__name__} is in between, and may change what is sent")
        transport = transport.transport
    return transport
