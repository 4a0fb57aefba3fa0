"""Plaintext against ciphertext, between two ends of OpenSSL in memory."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from OpenSSL import SSL

from nbclient.endpoints.tls_count import CountingConnection
from nbclient.endpoints.tls_endpoint import TLSSettings, context_factory
from tests.certs import Certs, make_certs


@pytest.fixture(scope="module")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Certs:
    return make_certs(tmp_path_factory.mktemp("certs"))


VERSIONS = pytest.mark.parametrize("version", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION])


class Pair:
    """A connection of ours and the server's end of it, both up."""

    def __init__(self, certs: Certs, version: int) -> None:
        context = SSL.Context(SSL.TLS_METHOD)
        context.use_certificate_chain_file(certs.good)
        context.use_privatekey_file(certs.good_key)
        context.set_min_proto_version(version)
        context.set_max_proto_version(version)
        self.server = SSL.Connection(context, None)
        self.server.set_accept_state()
        protocol: Any = None
        factory = context_factory("localhost", TLSSettings(ca=certs.ca))
        client = factory.clientConnectionForTLS(protocol)
        assert isinstance(client, CountingConnection)
        self.client = client
        self.client.set_connect_state()
        self.wire = b""
        for _ in range(4):
            for side in (self.client, self.server):
                with contextlib.suppress(SSL.WantReadError):
                    side.do_handshake()
                self.forward()
                self.back()

    def forward(self) -> None:
        with contextlib.suppress(SSL.WantReadError):
            data = self.client.bio_read(2**15)
            self.wire += data
            self.server.bio_write(data)

    def back(self) -> None:
        with contextlib.suppress(SSL.WantReadError):
            self.client.bio_write(self.server.bio_read(2**15))


@VERSIONS
def test_all_ciphertext_is_counted_the_handshake_included(certs: Certs, version: int) -> None:
    pair = Pair(certs, version)
    assert pair.client.cipher_total == len(pair.wire) > 0
    assert pair.client.plain_total == 0


@VERSIONS
def test_a_record_that_is_cut_anywhere_holds_nothing_and_a_whole_one_holds_its_plaintext(
    certs: Certs, version: int
) -> None:
    pair = Pair(certs, version)
    cipher = pair.client.count()
    before = pair.client.cipher_total
    pair.client.send(b"x" * 1000)
    pair.forward()
    after = pair.client.cipher_total
    assert after > before + 1000
    assert [cipher.plain(acked) for acked in (before, after - 1, after)] == [0, 0, 1000]


@VERSIONS
def test_the_server_can_read_exactly_what_the_map_says_it_has(certs: Certs, version: int) -> None:
    pair = Pair(certs, version)
    cipher = pair.client.count()
    start = len(pair.wire)
    for size in (1, 100, 16384, 5000):
        pair.client.send(b"x" * size)
        pair.wire += pair.client.bio_read(2**15)
    read = 0
    for acked in [*range(start + 97, len(pair.wire), 97), len(pair.wire)]:
        pair.server.bio_write(pair.wire[start:acked])
        start = acked
        with contextlib.suppress(SSL.WantReadError):
            while True:
                read += len(pair.server.recv(2**15))
        assert cipher.plain(acked) == read
    assert read == 21_485


def test_what_is_still_inside_is_not_taken_for_gone(certs: Certs) -> None:
    """More than one read's worth of ciphertext: only the last read ends at a mark."""
    pair = Pair(certs, SSL.TLS1_3_VERSION)
    cipher = pair.client.count()
    pair.client.send(b"x" * 1000)
    pair.client.bio_read(400)
    assert len(cipher) == 0
    pair.client.bio_read(4000)
    assert cipher.plain(pair.client.cipher_total) == 1000


def test_a_read_that_takes_exactly_all_is_noticed_by_the_next(certs: Certs) -> None:
    pair = Pair(certs, SSL.TLS1_3_VERSION)
    cipher = pair.client.count()
    pair.client.send(b"x" * 1000)
    probe = Pair(certs, SSL.TLS1_3_VERSION)
    probe.client.send(b"x" * 1000)
    size = len(probe.client.bio_read(2**15))
    assert len(pair.client.bio_read(size)) == size
    assert len(cipher) == 0
    with pytest.raises(SSL.WantReadError):
        pair.client.bio_read(size)
    assert cipher.plain(pair.client.cipher_total) == 1000


def test_nothing_is_kept_until_somebody_wants_it(certs: Certs) -> None:
    """At level `written` nobody ever asks."""
    pair = Pair(certs, SSL.TLS1_3_VERSION)
    pair.client.send(b"x" * 1000)
    pair.forward()
    assert pair.client.cipher_map is None
    cipher = pair.client.count()
    assert len(cipher) == 0
    assert pair.client.count() is cipher
    pair.client.write(b"y" * 500)
    pair.forward()
    assert cipher.plain(pair.client.cipher_total) == 1500
