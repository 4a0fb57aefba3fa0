"""Counts what goes into TLS and what comes out of it. Needs pyOpenSSL.

TCP acknowledges ciphertext; to know which plaintext that was, each connection
of ours counts both as they pass, by public methods only.
"""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL

from nbclient.delivery.ledger import CipherMap


class CountingConnection(SSL.Connection):
    """A connection over memory buffers that knows its totals.

    :ivar plain_total: bytes of plaintext it took by `send`.
    :ivar cipher_total: bytes of ciphertext it gave by `bio_read`, the handshake
        included.
    :ivar cipher_map: how the two belong together; None until `count`.
    """

    plain_total = 0
    cipher_total = 0
    cipher_map: CipherMap | None = None

    def count(self) -> CipherMap:
        """Keep marks from now on, and have them from `cipher_map`.

        Somebody has to ask `CipherMap.plain` now and then, or it gets coarse.
        """
        if self.cipher_map is None:
            self.cipher_map = CipherMap()
        return self.cipher_map

    def send(self, buf: Any, flags: int = 0) -> int:
        sent = super().send(buf, flags)
        self.plain_total += sent
        return sent

    write = send

    def bio_read(self, bufsiz: int) -> bytes:
        try:
            data = super().bio_read(bufsiz)
        except SSL.WantReadError:
            self._drained()
            raise
        self.cipher_total += len(data)
        if len(data) < bufsiz:
            self._drained()
        return data

    def _drained(self) -> None:
        """Nothing is left inside: all plaintext taken is in the ciphertext given."""
        if self.cipher_map is not None:
            self.cipher_map.mark(self.cipher_total, self.plain_total)
