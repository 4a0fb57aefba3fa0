"""TLS settings, the files behind them, and the words for what went wrong."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionLost, ConnectionRefusedError
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from nbclient.endpoints.tls_endpoint import (
    CertificateRefused,
    HandshakeFailed,
    TLSSettings,
    context_factory,
    explain_tls,
    load,
    parse_pin,
    stream_fault,
    tls,
    too_open,
)
from nbclient.errors import LocalError, SpecError
from tests.certs import Certs, make_certs

DIGITS = "0123456789abcdef" * 4


@pytest.fixture(scope="module")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Certs:
    return make_certs(tmp_path_factory.mktemp("certs"))


def complaint(settings: TLSSettings, kind: type[LocalError] = LocalError) -> str:
    """What `check` says, which is always one line."""
    with pytest.raises(kind) as caught:
        settings.check()
    text = str(caught.value)
    assert "\n" not in text
    return text


def write(path: Path, data: bytes, mode: int = 0o600) -> str:
    path.write_bytes(data)
    path.chmod(mode)
    return str(path)


def read(path: str) -> bytes:
    return Path(path).read_bytes()


def test_settings_without_files_are_in_order() -> None:
    TLSSettings().check()
    TLSSettings(name="h.example", pins=(f"sha256:{DIGITS}",), insecure=True).check()


def test_a_full_set_of_files_is_in_order(certs: Certs) -> None:
    TLSSettings(ca=certs.ca, cert=certs.client, key=certs.client_key).check()


def test_certificate_key_and_chain_may_share_a_file(certs: Certs, tmp_path: Path) -> None:
    together = read(certs.client_key) + read(certs.client) + read(certs.ca)
    material = load(TLSSettings(cert=write(tmp_path / "all.pem", together)))
    assert len(material.chain) == 2
    assert material.key.public_key() == material.chain[0].public_key()


def test_a_bundle_of_authorities_is_read_whole(certs: Certs, tmp_path: Path) -> None:
    bundle = b"# a comment\n" + read(certs.ca) + b"\nand text between\n" + read(certs.other_ca)
    material = load(TLSSettings(ca=write(tmp_path / "bundle.pem", bundle)))
    assert material.ca is not None
    assert len(material.ca) == 2


def test_a_missing_file_is_named_with_its_setting() -> None:
    nowhere = "/nonexistent/ca.pem"
    assert complaint(TLSSettings(ca=nowhere)) == f"tls-ca: {nowhere}: No such file or directory"
    assert complaint(TLSSettings(cert=nowhere)).startswith(f"tls-cert: {nowhere}: No such")


def test_a_missing_key_is_named(certs: Certs) -> None:
    text = complaint(TLSSettings(cert=certs.client, key="/nonexistent/key.pem"))
    assert text == "tls-key: /nonexistent/key.pem: No such file or directory"


def test_a_folder_or_a_fifo_is_no_file(tmp_path: Path) -> None:
    """Reading a FIFO at each connect would stall the reactor."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path in (tmp_path, fifo):
        assert complaint(TLSSettings(ca=str(path))) == f"tls-ca: {path}: is not a regular file"


def test_a_path_that_no_system_call_takes_is_one_line_too() -> None:
    # Python 3.13 says "null character".
    assert "null " in complaint(TLSSettings(ca="a\0b"))


def test_a_file_that_is_not_pem_is_refused(certs: Certs, tmp_path: Path) -> None:
    text = write(tmp_path / "text.pem", b"hello")
    assert complaint(TLSSettings(ca=text)).endswith("text.pem: holds no certificate in PEM form")
    assert "tls-cert" in complaint(TLSSettings(cert=text))
    assert complaint(TLSSettings(cert=certs.client, key=text)).endswith(
        "text.pem: holds no private key in PEM form"
    )


@pytest.mark.parametrize("end", [b"-----END CERTIFICATE-----\n", b""])
def test_a_damaged_certificate_is_refused(tmp_path: Path, end: bytes) -> None:
    bad = write(tmp_path / "bad.pem", b"-----BEGIN CERTIFICATE-----\nAAAA\n" + end)
    assert complaint(TLSSettings(ca=bad)) == f"tls-ca: {bad}: a certificate in it is damaged"
    assert complaint(TLSSettings(cert=bad)) == f"tls-cert: {bad}: a certificate in it is damaged"


def test_a_damaged_key_is_refused(certs: Certs, tmp_path: Path) -> None:
    bad = write(
        tmp_path / "bad.key",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    )
    text = complaint(TLSSettings(cert=certs.client, key=bad))
    assert text == f"tls-key: {bad}: the private key in it cannot be read"


def test_an_encrypted_key_is_refused_with_the_way_out(certs: Certs) -> None:
    """Nobody is there to type a passphrase at the next reconnect."""
    text = complaint(TLSSettings(cert=certs.client, key=certs.encrypted_key))
    assert text.startswith(f"tls-key: {certs.encrypted_key}: is encrypted")
    assert "store it decrypted" in text


def test_a_key_of_another_certificate_is_refused(certs: Certs) -> None:
    text = complaint(TLSSettings(cert=certs.client, key=certs.good_key))
    assert text.startswith(f"tls-key: {certs.good_key}: this key does not belong")
    assert text.endswith(certs.client)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602])
def test_a_key_that_others_can_read_or_write_is_refused(
    certs: Certs, tmp_path: Path, mode: int
) -> None:
    key = write(tmp_path / "open.key", read(certs.client_key), mode)
    os.chown(key, os.geteuid(), -1)
    text = complaint(TLSSettings(cert=certs.client, key=key))
    assert text == f"tls-key: {key}: others can read this key (mode {mode:04o}); chmod 600 it"


def test_a_certificate_may_be_readable_by_all(certs: Certs, tmp_path: Path) -> None:
    cert = write(tmp_path / "client.pem", read(certs.client), 0o644)
    TLSSettings(cert=cert, key=certs.client_key).check()


def test_a_certificate_without_a_key_beside_it_is_not_blamed_for_its_mode(
    certs: Certs, tmp_path: Path
) -> None:
    cert = write(tmp_path / "client.pem", read(certs.client), 0o644)
    assert complaint(TLSSettings(cert=cert)) == (
        f"tls-cert: {cert}: holds no private key in PEM form; tls-key names the file that does"
    )


def test_a_key_that_shares_the_certificates_file_is_blamed_by_that_name(
    certs: Certs, tmp_path: Path
) -> None:
    both = write(tmp_path / "both.pem", read(certs.client) + read(certs.good_key))
    assert complaint(TLSSettings(cert=both)).startswith(f"tls-cert: {both}: this key does not")
    Path(both).chmod(0o644)
    assert complaint(TLSSettings(cert=both)).startswith(f"tls-cert: {both}: others can read")


@pytest.mark.parametrize(
    ("mode", "owner", "user", "refused"),
    [
        (0o100600, 1000, 1000, False),
        (0o100400, 1000, 1000, False),
        (0o100440, 1000, 1000, True),
        (0o100440, 0, 1000, False),  # systemd's LoadCredential, Debian's ssl-cert
        (0o100444, 0, 1000, True),
        (0o100460, 0, 1000, True),
        (0o100440, 0, 0, True),
    ],
)
def test_a_key_for_our_group_is_in_order_only_from_root(
    mode: int, owner: int, user: int, refused: bool
) -> None:
    assert too_open(mode, owner, user) is refused


def test_settings_that_contradict_each_other_are_refused(certs: Certs) -> None:
    assert "tls-cert" in complaint(TLSSettings(key=certs.client_key), SpecError)
    both = TLSSettings(ca=certs.ca, insecure=True)
    assert complaint(both, SpecError) == "tls-ca and tls-insecure contradict each other"


@pytest.mark.parametrize("name", ["", ".", "a b", "http://h", "[::1]", "☃" * 70])
def test_a_name_that_is_no_host_is_refused(name: str) -> None:
    assert repr(name) in complaint(TLSSettings(name=name), SpecError)


def test_a_pin_is_read_with_colons_and_in_either_case() -> None:
    wanted = bytes.fromhex(DIGITS)
    colons = ":".join(DIGITS[n : n + 2] for n in range(0, 64, 2)).upper()
    assert parse_pin(f"sha256:{DIGITS}") == parse_pin(f"SHA256:{colons}") == wanted


@pytest.mark.parametrize(
    "pin", ["", "sha256:", "sha256:abc", f"sha1:{DIGITS}", DIGITS, f"sha256:{DIGITS}0"]
)
def test_a_pin_that_is_none_is_refused(pin: str) -> None:
    assert repr(pin) in complaint(TLSSettings(pins=(pin,)), SpecError)


def test_a_single_pin_as_text_is_one_pin_and_not_its_letters() -> None:
    pin: Any = f"sha256:{DIGITS}"
    assert TLSSettings(pins=pin).pins == (pin,)
    assert TLSSettings(pins=[pin]).pins == (pin,)


@implementer(IStreamClientEndpoint)
class FakeEndpoint:
    """Keeps the factories it was to connect."""

    def __init__(self, result: Deferred[Any] | None = None) -> None:
        self.factories: list[Any] = []
        self.result = result

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        self.factories.append(protocolFactory)
        return self.result or succeed(protocolFactory.buildProtocol(None))


class EndpointTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.inner = FakeEndpoint()
        self.factory = Factory.forProtocol(Protocol)

    def test_is_an_endpoint(self) -> None:
        endpoint = tls(self.inner, "h.example")
        verifyObject(IStreamClientEndpoint, endpoint)
        self.assertIn("<tls h.example over <", repr(endpoint))

    def test_wraps_what_the_inner_endpoint_connects(self) -> None:
        clock = Clock()
        connecting = tls(self.inner, "h.example", clock=clock).connect(self.factory)
        self.assertIsInstance(self.successResultOf(connecting), Protocol)
        self.assertIsInstance(self.inner.factories[0], TLSMemoryBIOFactory)
        self.assertIs(self.inner.factories[0].wrappedFactory, self.factory)

    def test_a_bad_file_fails_before_anything_is_dialled(self) -> None:
        settings = TLSSettings(ca="/nonexistent")
        connecting = tls(self.inner, "h.example", settings, clock=Clock()).connect(self.factory)
        self.failureResultOf(connecting, LocalError)
        self.assertEqual(self.inner.factories, [])

    def test_a_failed_connection_fails_as_it_did(self) -> None:
        self.inner.result = fail(ConnectionRefusedError())
        connecting = tls(self.inner, "h.example", clock=Clock()).connect(self.factory)
        self.failureResultOf(connecting, ConnectionRefusedError)

    def test_without_pyopenssl_it_names_the_extra(self) -> None:
        with mock.patch.dict(sys.modules, {"nbclient.endpoints.handshake": None}):
            connecting = tls(self.inner, "h.example").connect(self.factory)
        failure = self.failureResultOf(connecting, LocalError)
        self.assertIn("pip install 'twisted-nbclient[tls]'", str(failure.value))


def test_a_context_factory_is_what_connect_ssl_takes() -> None:
    verifyObject(IOpenSSLClientConnectionCreator, context_factory("h.example"))


def openssl_error(*reasons: str) -> SSL.Error:
    return SSL.Error([("SSL routines", "", reason) for reason in reasons])


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (openssl_error("wrong version number"), "does not answer in TLS (is this a plain text"),
        (openssl_error("unexpected message"), "does not answer in TLS"),
        (openssl_error("http request"), "does not answer in TLS"),
        (openssl_error("tlsv1 alert protocol version"), "no TLS 1.2 or newer"),
        (openssl_error("unsupported protocol"), "no TLS 1.2 or newer"),
        (openssl_error("tlsv13 alert certificate required"), "asks for a certificate of ours"),
        (openssl_error("tlsv1 alert unknown ca"), "refused our certificate: it does not know"),
        (openssl_error("sslv3 alert handshake failure"), "refused the handshake"),
        (openssl_error("tls alert handshake failure"), "refused the handshake"),
        (openssl_error("certificate verify failed"), "could not be verified"),
        (openssl_error("strange", "things"), "TLS failed: strange; things"),
        (SSL.Error([]), "TLS failed: OpenSSL gave no reason"),
        (SSL.Error(), "TLS failed: OpenSSL gave no reason"),
        (SSL.SysCallError(104, "ECONNRESET"), "TLS failed: ECONNRESET"),
        (VerificationError(errors=[]), "is for another name"),
        (CertificateRefused("pin", "bad pin", "sha256:00"), "was refused: bad pin"),
        (HandshakeFailed("closed"), "closed"),
    ],
)
def test_a_failure_of_tls_is_told_in_words(error: Exception, words: str) -> None:
    text = explain_tls(Failure(error))
    assert text is not None
    assert words in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (openssl_error("wrong version number"), "the TLS stream was broken: wrong version number"),
        (openssl_error("tlsv13 alert certificate required"), ""),
        (openssl_error("unexpected eof while reading"), ""),
        (SSL.Error([]), ""),
    ],
)
def test_what_broke_a_stream_is_told_unless_the_peer_has_said_it(
    error: Exception, words: str
) -> None:
    assert stream_fault(error.args) == words


def test_a_failure_of_something_else_is_left_to_others() -> None:
    assert explain_tls(Failure(ConnectionLost())) is None
