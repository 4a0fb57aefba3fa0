"""The client's part of a TLS handshake, byte for byte against OpenSSL, in memory.

The same against servers on sockets is in tests/wire/test_endpoints_wire.py.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import attrs
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from OpenSSL import SSL
from twisted.internet.defer import succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import LogLevel, capturedLogs
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from nbclient.connection.wording import explain
from nbclient.endpoints.handshake import Creator, pin_of
from nbclient.endpoints.tls_count import CountingConnection
from nbclient.endpoints.tls_endpoint import (
    CertificateRefused,
    HandshakeFailed,
    StreamBroken,
    TLSSettings,
    context_factory,
    tls,
)
from nbclient.errors import LocalError, SpecError
from tests.certs import (
    GOOD_NAMES,
    Certs,
    Key,
    authority,
    leaf,
    make_certs,
    new_key,
    write_cert,
    write_key,
)


@pytest.fixture(scope="module")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Certs:
    return make_certs(tmp_path_factory.mktemp("certs"))


def certificate(path: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(Path(path).read_bytes())


def issuer(certs: Certs) -> tuple[x509.Certificate, Key]:
    key = load_pem_private_key(Path(certs.ca_key).read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return certificate(certs.ca), key


@attrs.define
class FakeTLSProtocol:
    """Keeps the reason it was given instead of closing a connection."""

    reasons: list[Failure] = attrs.field(factory=list)

    def failVerification(self, reason: Failure) -> None:
        self.reasons.append(reason)


@attrs.define
class Shaken:
    """How a handshake ended."""

    client: SSL.Connection
    server: SSL.Connection
    done: bool
    reason: BaseException | None

    @property
    def refused(self) -> CertificateRefused:
        assert not self.done
        assert isinstance(self.reason, CertificateRefused)
        return self.reason


def server(cert: str, key: str, versions: tuple[int, int] | None = None) -> SSL.Connection:
    context = SSL.Context(SSL.TLS_METHOD)
    context.use_certificate_chain_file(cert)
    context.use_privatekey_file(key)
    if versions is not None:
        context.set_cipher_list(b"ALL:@SECLEVEL=0")  # else OpenSSL itself refuses TLS 1.1
        context.set_min_proto_version(versions[0])
        context.set_max_proto_version(versions[1])
    connection = SSL.Connection(context, None)
    connection.set_accept_state()
    return connection


def shake(settings: TLSSettings, peer: SSL.Connection, host: str = "localhost") -> Shaken:
    """A handshake between a connection of ours and `peer`, without a socket."""
    protocol: Any = FakeTLSProtocol()
    client = context_factory(host, settings).clientConnectionForTLS(protocol)
    client.set_connect_state()
    done = {client: False, peer: False}
    for _ in range(10):
        for side, other in ((client, peer), (peer, client)):
            try:
                side.do_handshake()
                done[side] = True
            except SSL.WantReadError:
                pass
            except SSL.Error:
                break
            move(side, other)
    reasons = [failure.value for failure in protocol.reasons]
    return Shaken(client, peer, all(done.values()), reasons[0] if reasons else None)


def move(source: SSL.Connection, target: SSL.Connection) -> None:
    with contextlib.suppress(SSL.WantReadError):  # nothing to move
        target.bio_write(source.bio_read(65536))


def served(tmp_path: Path, chain: list[x509.Certificate], key: Key) -> SSL.Connection:
    return server(write_cert(tmp_path / "s.pem", *chain), write_key(tmp_path / "s.key", key))


@pytest.mark.parametrize("host", GOOD_NAMES)
def test_a_good_certificate_is_accepted_for_each_name_in_it(certs: Certs, host: str) -> None:
    assert shake(TLSSettings(ca=certs.ca), server(certs.good, certs.good_key), host).done


def test_a_name_is_sent_as_sni_and_an_address_is_not(certs: Certs) -> None:
    """RFC 6066 section 3."""
    for host, sni in (("localhost", b"localhost"), ("127.0.0.1", None), ("::1", None)):
        shaken = shake(TLSSettings(ca=certs.ca), server(certs.good, certs.good_key), host)
        assert shaken.server.get_servername() == sni


def test_a_dot_at_the_end_and_a_zone_are_not_part_of_the_name(certs: Certs) -> None:
    for host in ("localhost.", "::1%lo"):
        assert shake(TLSSettings(ca=certs.ca), server(certs.good, certs.good_key), host).done


def test_a_name_in_other_letters_is_checked_as_idna(certs: Certs, tmp_path: Path) -> None:
    key = new_key()
    chain = [leaf("idna", ("xn--strae-oqa.example",), key, issuer(certs))]
    shaken = shake(TLSSettings(ca=certs.ca), served(tmp_path, chain, key), "straße.example")
    assert shaken.done
    assert shaken.server.get_servername() == b"xn--strae-oqa.example"


def test_the_name_of_the_settings_replaces_the_host(certs: Certs) -> None:
    peer = server(certs.wrong_name, certs.wrong_name_key)
    shaken = shake(TLSSettings(ca=certs.ca, name="other.example"), peer)
    assert shaken.done
    assert shaken.server.get_servername() == b"other.example"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_wrong_name_is_refused_and_the_right_ones_are_told(certs: Certs, host: str) -> None:
    peer = server(certs.wrong_name, certs.wrong_name_key)
    refused = shake(TLSSettings(ca=certs.ca), peer, host).refused
    assert refused.why == "wrong-name"
    assert str(refused).endswith(f"wrong name: it is for other.example, 192.0.2.1, not for {host}")


def test_the_common_name_of_a_certificate_counts_for_nothing(certs: Certs, tmp_path: Path) -> None:
    """RFC 9525 section 2."""
    key = new_key()
    for names, told in (((), "no host at all"), (("mailto",), "mailto")):
        chain = [leaf("localhost", names, key, issuer(certs))]
        refused = shake(TLSSettings(ca=certs.ca), served(tmp_path, chain, key)).refused
        assert f"it is for {told}, not for localhost" in str(refused)


def test_an_alternative_name_that_is_no_host_is_not_told(certs: Certs, tmp_path: Path) -> None:
    key = new_key()
    san = x509.UnrecognizedExtension(
        x509.SubjectAlternativeName.oid,
        x509.SubjectAlternativeName([x509.RFC822Name("a@b.example")]).public_bytes(),
    )
    chain = [leaf("mail", (), key, issuer(certs), extension=san)]
    refused = shake(TLSSettings(ca=certs.ca), served(tmp_path, chain, key)).refused
    assert "it is for no host at all" in str(refused)


def test_many_names_in_a_certificate_are_told_in_short(certs: Certs, tmp_path: Path) -> None:
    key = new_key()
    names = tuple(f"h{n}.example" for n in range(1000))
    chain = [leaf("many", names, key, issuer(certs))]
    refused = shake(TLSSettings(ca=certs.ca), served(tmp_path, chain, key)).refused
    assert "h4.example and 995 more, not for localhost" in str(refused)


def test_a_name_in_a_certificate_cannot_reach_the_terminal(certs: Certs, tmp_path: Path) -> None:
    key = new_key()
    san = x509.UnrecognizedExtension(
        x509.SubjectAlternativeName.oid, b"\x30\x08\x82\x06\x1b]0;x\x07"
    )
    chain = [leaf("escape", (), key, issuer(certs), extension=san)]
    refused = shake(TLSSettings(ca=certs.ca), served(tmp_path, chain, key)).refused
    assert "\x1b" not in str(refused)
    assert "\n" not in str(refused)


def test_a_certificate_that_cannot_be_read_is_refused_and_nothing_raised(
    certs: Certs, tmp_path: Path
) -> None:
    """Here an address of three bytes, which only our own parser minds."""
    key = new_key()
    san = x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, b"\x30\x05\x87\x03abc")
    chain = [leaf("garbage", (), key, issuer(certs), extension=san)]
    shaken = shake(TLSSettings(ca=certs.ca), served(tmp_path, chain, key))
    assert shaken.refused.why == "invalid"


def test_a_self_signed_certificate_is_refused(certs: Certs) -> None:
    peer = server(certs.self_signed, certs.self_signed_key)
    refused = shake(TLSSettings(ca=certs.ca), peer).refused
    assert refused.why == "self-signed"
    assert refused.pin == pin_of(certificate(certs.self_signed))


def test_a_self_signed_certificate_may_be_trusted_as_its_own_authority(certs: Certs) -> None:
    peer = server(certs.self_signed, certs.self_signed_key)
    assert shake(TLSSettings(ca=certs.self_signed), peer).done


def test_an_authority_not_in_the_file_is_refused(certs: Certs) -> None:
    peer = server(certs.good, certs.good_key)
    refused = shake(TLSSettings(ca=certs.other_ca), peer).refused
    assert refused.why == "unknown-ca"
    assert "(CN=nbclient test CA)" in str(refused)


def test_without_a_file_only_the_platform_is_trusted(
    certs: Certs, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = server(certs.good, certs.good_key)
    assert shake(TLSSettings(), peer).refused.why == "unknown-ca"
    monkeypatch.setenv("SSL_CERT_FILE", certs.ca)  # OpenSSL's own way to say what it is
    assert shake(TLSSettings(), server(certs.good, certs.good_key)).done


def test_an_authority_sent_along_is_not_trusted_for_that(certs: Certs, tmp_path: Path) -> None:
    key, theirs = new_key(), new_key()
    root = authority("theirs", theirs)
    chain = [leaf("good", GOOD_NAMES, key, (root, theirs)), root]
    refused = shake(TLSSettings(ca=certs.ca), served(tmp_path, chain, key)).refused
    assert refused.why == "unknown-ca"


def test_an_expired_certificate_is_refused(certs: Certs) -> None:
    peer = server(certs.expired, certs.expired_key)
    refused = shake(TLSSettings(ca=certs.ca), peer).refused
    assert refused.why == "expired"
    ended = certificate(certs.expired).not_valid_after_utc
    assert str(refused).endswith(f"it expired on {ended:%Y-%m-%d}")


def test_a_certificate_from_the_future_is_refused(certs: Certs, tmp_path: Path) -> None:
    key = new_key()
    chain = [leaf("early", GOOD_NAMES, key, issuer(certs), begins=2)]
    refused = shake(TLSSettings(ca=certs.ca), served(tmp_path, chain, key)).refused
    assert refused.why == "not-yet-valid"
    assert "it is not valid before" in str(refused)


def test_an_expired_authority_is_told_apart_from_the_server(tmp_path: Path) -> None:
    key, ca_key = new_key(), new_key()
    root = authority("old", ca_key, days=-1)
    trusted = write_cert(tmp_path / "ca.pem", root)
    chain = [leaf("good", GOOD_NAMES, key, (root, ca_key))]
    refused = shake(TLSSettings(ca=trusted), served(tmp_path, chain, key)).refused
    assert refused.why == "expired"
    assert "its authority's certificate expired on" in str(refused)


def test_a_certificate_of_a_client_is_no_server(certs: Certs, tmp_path: Path) -> None:
    key = new_key()
    chain = [leaf("client", GOOD_NAMES, key, issuer(certs), server=False)]
    refused = shake(TLSSettings(ca=certs.ca), served(tmp_path, chain, key)).refused
    assert refused.why == "invalid"
    assert "it is not meant for a server" in str(refused)


def test_any_other_fault_of_openssl_is_refused_with_its_number(
    certs: Certs, tmp_path: Path
) -> None:
    key = new_key()
    odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    chain = [leaf("odd", GOOD_NAMES, key, issuer(certs), extension=odd, critical=True)]
    refused = shake(TLSSettings(ca=certs.ca), served(tmp_path, chain, key)).refused
    assert "it has OpenSSL fault 34" in str(refused)


def test_tls_1_1_is_refused_and_1_2_and_1_3_are_spoken(certs: Certs) -> None:
    settings = TLSSettings(ca=certs.ca)
    for versions, fine in (
        ((SSL.TLS1_VERSION, SSL.TLS1_1_VERSION), False),
        ((SSL.TLS1_2_VERSION, SSL.TLS1_2_VERSION), True),
        ((SSL.TLS1_3_VERSION, SSL.TLS1_3_VERSION), True),
    ):
        shaken = shake(settings, server(certs.good, certs.good_key, versions))
        assert shaken.done is fine


@pytest.mark.parametrize("insecure", [False, True])
def test_older_versions_are_forbidden_whatever_this_openssl_would_do(
    monkeypatch: pytest.MonkeyPatch, insecure: bool
) -> None:
    """Many builds of OpenSSL speak no TLS 1.1 anyhow, and hide a missing setting."""
    forbidden: list[int] = []
    set_options = SSL.Context.set_options

    def spy(context: SSL.Context, options: int) -> Any:
        forbidden.append(options)
        return set_options(context, options)

    monkeypatch.setattr(SSL.Context, "set_options", spy)
    protocol: Any = FakeTLSProtocol()
    context_factory("h", TLSSettings(insecure=insecure)).clientConnectionForTLS(protocol)
    for version in (SSL.OP_NO_TLSv1, SSL.OP_NO_TLSv1_1):
        assert any(options & version for options in forbidden)


def pins(path: str) -> list[str]:
    """The two pins that match a certificate."""
    shown = certificate(path)
    key = shown.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return [pin_of(shown), f"sha256:{hashlib.sha256(key).hexdigest()}"]


WRONG_PIN = "sha256:" + "ab" * 32


@pytest.mark.parametrize("which", [0, 1])
def test_a_pin_of_certificate_or_key_is_enough_without_verification(
    certs: Certs, which: int
) -> None:
    peer = server(certs.self_signed, certs.self_signed_key)
    settings = TLSSettings(insecure=True, pins=(WRONG_PIN, pins(certs.self_signed)[which]))
    with capturedLogs() as logged:
        assert shake(settings, peer, "any.example").done
    assert logged == []


@pytest.mark.parametrize("insecure", [False, True])
def test_a_pin_that_does_not_match_is_refused_and_the_right_ones_told(
    certs: Certs, insecure: bool
) -> None:
    settings = TLSSettings(ca=None if insecure else certs.ca, insecure=insecure, pins=(WRONG_PIN,))
    refused = shake(settings, server(certs.good, certs.good_key)).refused
    assert refused.why == "pin"
    for pin in pins(certs.good):
        assert pin in str(refused)


def test_a_pin_does_not_stand_in_for_verification(certs: Certs) -> None:
    peer = server(certs.self_signed, certs.self_signed_key)
    settings = TLSSettings(ca=certs.ca, pins=tuple(pins(certs.self_signed)))
    assert shake(settings, peer).refused.why == "self-signed"


def test_a_pinned_certificate_sent_along_by_another_server_is_no_match(
    certs: Certs, tmp_path: Path
) -> None:
    """Anybody can send the certificate of an authority behind their own."""
    key = new_key()
    chain = [leaf("theirs", GOOD_NAMES, key, None), certificate(certs.good)]
    settings = TLSSettings(insecure=True, pins=tuple(pins(certs.good)))
    assert shake(settings, served(tmp_path, chain, key)).refused.why == "pin"


def test_insecure_without_pins_warns_once_for_a_link_not_at_each_attempt() -> None:
    """While a server accepts and closes there are thousands of them a day."""
    creator = context_factory("any.example", TLSSettings(insecure=True))
    with capturedLogs() as logged:
        for _ in range(3):
            protocol: Any = FakeTLSProtocol()
            creator.clientConnectionForTLS(protocol)
    assert [event["log_level"] for event in logged] == [LogLevel.warn]


def test_nor_does_an_endpoint_which_has_a_creator_for_each_attempt() -> None:
    outer = SimpleNamespace(wrappedProtocol=None)

    @implementer(IStreamClientEndpoint)
    class Inner:
        def connect(self, wrapping: Any) -> Any:  # type: ignore[override]
            if hasattr(wrapping, "_creatorCallable"):
                wrapping._creatorCallable(FakeTLSProtocol())
            else:  # Twisted 24.11
                wrapping._connectionCreator.clientConnectionForTLS(FakeTLSProtocol())
            return succeed(outer)

    endpoint = tls(
        implementer(IStreamClientEndpoint)(Inner)(),
        "any.example",
        TLSSettings(insecure=True),
        clock=Clock(),
    )
    with capturedLogs() as logged:
        for _ in range(30):
            endpoint.connect(Factory())
    assert [event["log_level"] for event in logged] == [LogLevel.warn]


def test_insecure_without_pins_accepts_all_and_warns(certs: Certs) -> None:
    settings = TLSSettings(insecure=True)
    for cert, key in (
        (certs.self_signed, certs.self_signed_key),
        (certs.expired, certs.expired_key),
    ):
        with capturedLogs() as logged:
            assert shake(settings, server(cert, key), "any.example").done
        assert [event["log_level"] for event in logged] == [LogLevel.warn]
        assert "any.example is not verified" in logged[0]["log_format"].format(**logged[0])


def test_the_certificate_of_the_client_and_its_chain_are_shown(
    certs: Certs, tmp_path: Path
) -> None:
    together = write_cert(tmp_path / "chain.pem", certificate(certs.client), certificate(certs.ca))
    # From a server that needs no authority: OpenSSL would add one it trusts by itself.
    peer = server(certs.self_signed, certs.self_signed_key)
    peer.set_verify(SSL.VERIFY_PEER, lambda *_: True)
    settings = TLSSettings(ca=certs.self_signed, cert=together, key=certs.client_key)
    shaken = shake(settings, peer)
    assert shaken.done
    shown = shaken.server.get_peer_certificate()
    behind = shaken.server.get_peer_cert_chain()
    assert shown is not None
    assert behind is not None
    assert shown.to_cryptography() == certificate(certs.client)
    assert [each.to_cryptography() for each in behind] == [certificate(certs.ca)]


def test_the_files_are_read_for_each_connection(certs: Certs, tmp_path: Path) -> None:
    """A renewed certificate needs no restart."""
    trusted = tmp_path / "trusted.pem"
    creator = context_factory("localhost", TLSSettings(ca=str(trusted)))
    for ca, fine in ((certs.other_ca, False), (certs.ca, True), (certs.other_ca, False)):
        os.link(ca, tmp_path / "new.pem")
        (tmp_path / "new.pem").replace(trusted)
        protocol: Any = FakeTLSProtocol()
        client = creator.clientConnectionForTLS(protocol)
        client.set_connect_state()
        peer = server(certs.good, certs.good_key)
        for side, other in ((client, peer), (peer, client)):
            with pytest.raises(SSL.WantReadError):
                side.do_handshake()
            move(side, other)
        if fine:
            client.do_handshake()
        else:
            with pytest.raises(SSL.Error):
                client.do_handshake()


class App(Protocol):
    """Keeps the reason of its loss."""

    reason: BaseException | None = None

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008
        self.reason = reason.value


def connected(creator: Any) -> tuple[App, Any, StringTransport]:
    """An application's protocol with TLS on a transport in memory."""
    app = App()

    class OneFactory(Factory):
        noisy = False

        def buildProtocol(self, addr: object) -> App:
            return app

    outer = TLSMemoryBIOFactory(creator, True, OneFactory(), Clock()).buildProtocol(None)
    transport = StringTransport()
    outer.makeConnection(transport)
    return app, outer, transport


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x03"])
def test_a_connection_closed_during_the_handshake_says_so(certs: Certs, sent: bytes) -> None:
    """To Twisted it is a lost connection like any other."""
    app, outer, _ = connected(context_factory("localhost", TLSSettings(ca=certs.ca)))
    if sent:
        outer.dataReceived(sent)
    outer.connectionLost(Failure(ConnectionDone()))
    assert isinstance(app.reason, HandshakeFailed)
    said = "the connection was closed during the TLS handshake: the peer may not speak TLS"
    assert str(app.reason) == said


def shaken(certs: Certs) -> tuple[App, Any, SSL.Connection]:
    """An application's protocol whose handshake is done, and its peer."""
    app, outer, transport = connected(context_factory("localhost", TLSSettings(ca=certs.ca)))
    peer = server(certs.good, certs.good_key)
    for _ in range(4):
        if transport.value():
            peer.bio_write(transport.value())
            transport.clear()
        with contextlib.suppress(SSL.WantReadError):
            peer.do_handshake()
        outer.dataReceived(peer.bio_read(65536))
        if not transport.value():
            break
    return app, outer, peer


@pytest.mark.parametrize(
    "garbage", [b"HTTP/1.1 500 Oops\r\n\r\n", b"\x17\x03\x03\x00\x20" + bytes(32)]
)
def test_garbage_behind_a_good_handshake_is_no_server_without_tls(
    certs: Certs, garbage: bytes
) -> None:
    """OpenSSL has the same words for both, and only one of them is a plain text port."""
    app, outer, _ = shaken(certs)
    outer.dataReceived(garbage)
    outer.connectionLost(Failure(ConnectionDone()))
    assert isinstance(app.reason, StreamBroken)
    # Which words follow is OpenSSL's, and differs from one to the next.
    assert explain(Failure(app.reason)).startswith("the TLS stream was broken: ")


def test_a_client_whose_certificate_is_missing_learns_it_after_the_handshake(
    certs: Certs,
) -> None:
    """TLS 1.3 says so then: an alert is no garbage."""
    error = SSL.Error([("SSL routines", "", "tlsv13 alert certificate required")])
    with mock.patch.object(CountingConnection, "recv", side_effect=error):
        app, outer, peer = shaken(certs)
        peer.send(b"x")
        outer.dataReceived(peer.bio_read(65536))
    outer.connectionLost(Failure(ConnectionDone()))
    assert "asks for a certificate of ours" in explain(Failure(app.reason))


def test_a_connection_closed_after_the_handshake_is_lost_as_ever(certs: Certs) -> None:
    app, outer, peer = shaken(certs)
    peer.send(b"x")
    outer.dataReceived(peer.bio_read(65536))
    outer.connectionLost(Failure(ConnectionDone()))
    assert app.reason is not None
    assert not isinstance(app.reason, HandshakeFailed)


def test_a_file_gone_bad_ends_the_connection_with_its_error_and_sends_nothing() -> None:
    """connectSSL has no other place to say it; raising would leave half a protocol."""
    app, outer, transport = connected(context_factory("h", TLSSettings(ca="/nonexistent")))
    assert transport.disconnecting or transport.disconnected
    assert transport.value() == b""
    outer.connectionLost(Failure(ConnectionDone()))
    assert type(app.reason) is LocalError
    assert "tls-ca: /nonexistent" in str(app.reason)


def test_a_host_that_is_no_name_ends_the_connection_with_its_error() -> None:
    app, outer, _ = connected(Creator("☃" * 70, TLSSettings()))
    outer.connectionLost(Failure(ConnectionDone()))
    assert isinstance(app.reason, SpecError)
    assert "is not a host name" in str(app.reason)
