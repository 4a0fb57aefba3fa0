"""The client's part of a TLS handshake. Needs pyOpenSSL; see `tls_endpoint`."""

from __future__ import annotations

import hashlib
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from OpenSSL import SSL
from OpenSSL.crypto import X509
from service_identity import CertificateError, VerificationError
from service_identity.cryptography import (
    verify_certificate_hostname,
    verify_certificate_ip_address,
)
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    TLSVersion,
    platformTrust,
    trustRootFromCertificates,
)
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from nbclient.endpoints.tls_count import CountingConnection
from nbclient.endpoints.tls_endpoint import (
    CertificateRefused,
    HandshakeFailed,
    Material,
    StreamBroken,
    TLSSettings,
    certificate_name,
    load,
    stream_fault,
)
from nbclient.errors import LocalError

_log = Logger()


HELLO_SENT = b"SSLv3/TLS write client hello"
"""OpenSSL's name for the state in which nothing of the server was understood yet."""

RECORD_HEADER = 5
"""Bytes of a TLS record's header (RFC 8446 section 5.1); before them OpenSSL judges nothing."""


@implementer(IOpenSSLClientConnectionCreator)
class Creator:
    """Makes the OpenSSL connection for each TLS connection of ours.

    :param material: what the files held; None: read them for each connection.
    :param warned: the hosts that were warned of; shared by all that are made for one endpoint.
    """

    def __init__(
        self,
        host: str,
        settings: TLSSettings,
        material: Material | None = None,
        warned: set[str] | None = None,
    ) -> None:
        self._host = host
        self._settings = settings
        self._material = material
        self._warned = set() if warned is None else warned

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        try:
            name = certificate_name("host", self._settings.name or self._host)
            material = self._material or load(self._settings)
            context = _context(material, self._settings.insecure)
        except LocalError:
            # Raising would leave Twisted with half a protocol, and a traceback.
            return _StillbornConnection(tlsProtocol, Failure())
        if self._settings.insecure and not (material.pins or self._host in self._warned):
            self._warned.add(self._host)  # not at each attempt
            _log.warn(
                "TLS to {host} is not verified (tls-insecure): "
                "whoever is on the way can read and change it",
                host=self._host,
            )
        connection = _Shaking(context, None)
        if not _is_address(name):  # RFC 6066 section 3 allows no address here
            connection.set_tlsext_host_name(name.encode("ascii"))
        connection.set_verify(
            SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT,
            _Verifier(tlsProtocol, name, material.pins, self._settings.insecure),
        )
        return connection


def _is_address(name: str) -> bool:
    return isIPAddress(name) or isIPv6Address(name)


def _context(material: Material, insecure: bool) -> SSL.Context:
    options: dict[str, Any] = {}
    if not insecure:
        options["trustRoot"] = _trust(material.ca)
    if material.chain:
        own, *others = material.chain
        options.update(privateKey=material.key, certificate=own, extraCertChain=others)
    return CertificateOptions(raiseMinimumTo=TLSVersion.TLSv1_2, **options).getContext()


def _trust(authorities: tuple[X509, ...] | None) -> Any:
    if authorities is None:
        return platformTrust()
    return trustRootFromCertificates([Certificate(each) for each in authorities])


class _Connection(CountingConnection):
    """Knows whether its handshake was done when the transport went away, or garbage came.

    Twisted reports the end of a connection alike before and after the
    handshake; the one is a server that will not talk to us. And OpenSSL has the
    same words for a server that does not speak TLS and for a stream that broke.
    """

    _shaken = False
    _cut_off = False
    _unheard = False

    def do_handshake(self) -> None:
        super().do_handshake()
        self._shaken = True

    def bio_shutdown(self) -> None:
        self._cut_off = not self._shaken
        self._unheard = self.get_state_string() == HELLO_SENT
        super().bio_shutdown()

    def recv(self, bufsiz: int, flags: int | None = None) -> bytes:
        if self._cut_off:
            raise _HandshakeCut(self._unheard)
        try:
            return super().recv(bufsiz, flags)
        except SSL.Error as error:
            if type(error) is SSL.Error and stream_fault(error.args):
                raise _StreamBroken(*error.args) from error
            raise


class _Shaking(_Connection):
    """Until its handshake is done; keeps how the peer began.

    :ivar heard: its first bytes.
    """

    heard = b""

    def bio_write(self, buf: Any) -> int:
        self.heard = (self.heard + bytes(buf[:RECORD_HEADER]))[:RECORD_HEADER]
        return super().bio_write(buf)

    def do_handshake(self) -> None:
        super().do_handshake()
        self.heard = b""
        self.__class__ = _Connection  # type: ignore[assignment]  # a call less for each read


class _HandshakeCut(HandshakeFailed, SSL.Error):
    """A pyOpenSSL error, because that is what Twisted hands on."""

    TEXT = "the connection was closed during the TLS handshake"

    def __init__(self, unheard: bool = False) -> None:
        self.text = self.TEXT + unheard * ": the peer may not speak TLS"
        super().__init__([("TLS", "", self.text)])

    def __str__(self) -> str:
        return self.text


class _StreamBroken(StreamBroken, SSL.Error):
    """A pyOpenSSL error for the same reason."""

    def __str__(self) -> str:
        return stream_fault(self.args)


class _StillbornConnection(SSL.Connection):
    """Stands where a connection should, and ends it with the reason given."""

    def __init__(self, protocol: TLSMemoryBIOProtocol, reason: Failure) -> None:
        super().__init__(SSL.Context(SSL.TLS_METHOD), None)
        self._end = lambda: protocol.failVerification(reason)

    def do_handshake(self) -> None:
        self._end()
        raise SSL.WantReadError


class _Verifier:
    """Called by OpenSSL for each certificate of the server's chain."""

    def __init__(
        self,
        protocol: TLSMemoryBIOProtocol,
        name: str,
        pins: frozenset[bytes],
        insecure: bool,
    ) -> None:
        self._protocol = protocol
        self._name = name
        self._pins = pins
        self._insecure = insecure

    def __call__(
        self, connection: SSL.Connection, shown: X509, code: int, depth: int, ok: int
    ) -> bool:
        try:
            certificate = shown.to_cryptography()
            self._judge(certificate, code, depth, bool(ok))
        except CertificateRefused:
            reason = Failure()
        except Exception as error:  # the peer's bytes, and several parsers
            text = f"it cannot be read ({type(error).__name__})"
            reason = Failure(CertificateRefused("invalid", text, ""))
        else:
            return True
        self._protocol.failVerification(reason)
        return False

    def _judge(self, certificate: x509.Certificate, code: int, depth: int, ok: bool) -> None:
        if not self._insecure:
            if not ok:
                why, text = _chain_fault(certificate, code, depth)
                raise CertificateRefused(why, text, pin_of(certificate))
            if depth == 0:
                _check_name(certificate, self._name)
        if depth == 0 and self._pins:
            _check_pins(certificate, self._pins)


def _check_pins(certificate: x509.Certificate, pins: frozenset[bytes]) -> None:
    # Only the server's own certificate counts: without verification, anybody
    # can send along the certificate of an authority.
    if pins.isdisjoint((_digest(certificate), _key_digest(certificate))):
        text = (
            f"it does not match tls-pin; its own is {pin_of(certificate)} (public key: "
            f"sha256:{_key_digest(certificate).hex()})"
        )
        raise CertificateRefused("pin", text, pin_of(certificate))


def _check_name(certificate: x509.Certificate, name: str) -> None:
    check = verify_certificate_ip_address if _is_address(name) else verify_certificate_hostname
    try:
        check(certificate, name)
    except (VerificationError, CertificateError) as error:
        text = f"wrong name: it is for {_names(certificate)}, not for {name}"
        raise CertificateRefused("wrong-name", text, pin_of(certificate)) from error


def _names(certificate: x509.Certificate, most: int = 5) -> str:
    """The names in a certificate, as text safe to show."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return "no host at all"
    kinds = (x509.DNSName, x509.IPAddress)
    names = [_printable(str(each.value)) for each in extension.value if isinstance(each, kinds)]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) or "no host at all") + more


def _printable(text: str, longest: int = 100) -> str:
    """The peer's text without line ends and terminal escapes."""
    return ascii(text[:longest])[1:-1]


def _chain_fault(certificate: x509.Certificate, code: int, depth: int) -> tuple[str, str]:
    """The fault in one word and in a few."""
    whose = "its authority's certificate" if depth else "it"
    if code in _UNKNOWN_AUTHORITY:
        issuer = _printable(certificate.issuer.rfc4514_string())
        return "unknown-ca", f"signed by an unknown authority ({issuer})"
    if code == 9:  # CERT_NOT_YET_VALID
        begins = certificate.not_valid_before_utc
        return "not-yet-valid", f"{whose} is not valid before {begins:%Y-%m-%d}"
    if code == 10:  # CERT_HAS_EXPIRED
        return "expired", f"{whose} expired on {certificate.not_valid_after_utc:%Y-%m-%d}"
    if code == 18:  # DEPTH_ZERO_SELF_SIGNED_CERT
        return "self-signed", "self-signed certificate"
    return "invalid", f"{whose} {_FAULTS.get(code, f'has OpenSSL fault {code}')}"


# The numbers are OpenSSL's X509_V_ERR_* (x509_vfy.h); pyOpenSSL names only some.
# UNABLE_TO_GET_ISSUER_CERT, SELF_SIGNED_CERT_IN_CHAIN,
# UNABLE_TO_GET_ISSUER_CERT_LOCALLY, UNABLE_TO_VERIFY_LEAF_SIGNATURE
_UNKNOWN_AUTHORITY = (2, 19, 20, 21)

_FAULTS = {
    7: "carries a signature that is wrong",  # CERT_SIGNATURE_FAILURE
    22: "has too long a chain",  # CERT_CHAIN_TOO_LONG
    23: "was revoked",  # CERT_REVOKED
    24: "was signed by what is no authority",  # INVALID_CA
    25: "has a longer chain than its authority allows",  # PATH_LENGTH_EXCEEDED
    26: "is not meant for a server",  # INVALID_PURPOSE
    66: "has a key that is too short",  # EE_KEY_TOO_SMALL
    67: "has a key that is too short",  # CA_KEY_TOO_SMALL
    68: "is signed with a hash that is too weak",  # CA_MD_TOO_WEAK
}


def pin_of(certificate: x509.Certificate) -> str:
    """The pin that would match this certificate."""
    return f"sha256:{_digest(certificate).hex()}"


def _digest(certificate: x509.Certificate) -> bytes:
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest()


def _key_digest(certificate: x509.Certificate) -> bytes:
    key = certificate.public_key()
    return hashlib.sha256(
        key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ).digest()
