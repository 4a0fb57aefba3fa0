"""TLS for the client side: verified unless asked otherwise, in so many words.

What every connection made here keeps to:

- TLS 1.2 or newer;
- the server's certificate comes from an authority that is trusted (the
  platform's, or those of a file) and carries the name that was asked for
  (RFC 9525; an IP address must be in it as one);
- the files are read again at each connect, so that a renewed certificate needs
  no restart;
- whatever is refused is refused during the handshake, before a byte of ours
  has left, and the reason is one line.

Importing this needs no pyOpenSSL; connecting does (the extra ``tls``).
"""

from __future__ import annotations

import os
import re
import stat
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

import attrs
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.python.failure import Failure
from zope.interface import implementer

from nbclient.core import arguments
from nbclient.endpoints.resolver import ascii_name
from nbclient.errors import LinkError, LocalError, SpecError

if TYPE_CHECKING:
    from cryptography import x509
    from OpenSSL.crypto import X509
    from twisted.internet.interfaces import IOpenSSLClientConnectionCreator

_MISSING = "TLS needs pyOpenSSL: pip install 'twisted-nbclient[tls]'"
_PIN = re.compile(r"sha256:([0-9a-f]{64})", re.IGNORECASE)
_CERTIFICATE = re.compile(
    rb"-----BEGIN CERTIFICATE-----.*?(?:-----END CERTIFICATE-----|\Z)", re.DOTALL
)
_DAMAGED = "a certificate in it is damaged"
_ENCRYPTED = (
    "is encrypted, and nobody is here to type its passphrase: store it decrypted, mode 0600"
)


class CertificateRefused(LinkError):
    """The server's certificate does not prove that it is the server meant.

    :ivar why: in one word: ``self-signed``, ``unknown-ca``, ``expired``,
        ``not-yet-valid``, ``wrong-name``, ``pin`` or ``invalid``.
    :ivar pin: ``sha256:…`` of the certificate refused.
    """

    def __init__(self, why: str, text: str, pin: str) -> None:
        super().__init__(f"the server's certificate was refused: {text}")
        self.why = why
        self.pin = pin


class HandshakeFailed(LinkError):
    """The connection ended before TLS was up."""


class StreamBroken(LinkError):
    """What arrived once TLS was up was not what TLS allows: garbage, or changed on the way."""


def _as_tuple(pins: Any) -> Any:
    return (pins,) if isinstance(pins, str) else arguments.as_tuple(pins)


@attrs.frozen(kw_only=True)
class TLSSettings:
    """What to trust, and what to show.

    :ivar ca: PEM file of the authorities to trust; None: the platform's.
    :ivar cert: PEM file of our own certificate, its chain behind it.
    :ivar key: PEM file of its private key; None: it is in `cert`.
    :ivar name: the name to ask for and to find in the certificate; None: the host.
    :ivar pins: ``sha256:HEX`` (colons in HEX allowed) of the certificate or of
        its public key (SubjectPublicKeyInfo), both in DER. One of them must
        match the server's own certificate, beside all else. More than one
        allows for a change of certificate.
    :ivar insecure: check neither authority nor name; the pins, where there are
        any, are then all that is checked, and without any nothing is.
    """

    ca: str | None = attrs.field(default=None, validator=arguments.path())
    cert: str | None = attrs.field(default=None, validator=arguments.path())
    key: str | None = attrs.field(default=None, validator=arguments.path())
    name: str | None = attrs.field(default=None, validator=arguments.text(optional=True))
    pins: tuple[str, ...] = attrs.field(
        default=(), converter=_as_tuple, validator=arguments.all_of(str, "a list of texts")
    )
    insecure: bool = attrs.field(default=False, validator=arguments.flag())

    def check(self) -> None:
        """Read all files and find what is wrong with them, or with the texts.

        :raises SpecError: a pin or the name is malformed, or two settings
            contradict each other.
        :raises LocalError: a file is missing, unreadable, not what it should
            be, or a key that others can read; or TLS is not installed.
        """
        load(self)


@attrs.frozen
class Material:
    """What the settings amount to at this moment.

    :ivar ca: None: trust what the platform trusts.
    :ivar key: a private key of `cryptography`, of any kind.
    """

    ca: tuple[X509, ...] | None
    chain: tuple[x509.Certificate, ...]
    key: Any
    pins: frozenset[bytes]


def tls(
    endpoint: IStreamClientEndpoint,
    host: str,
    settings: TLSSettings | None = None,
    *,
    clock: Any = None,
) -> IStreamClientEndpoint:
    """An endpoint that speaks TLS over what `endpoint` connects.

    As everywhere in Twisted, `connect` is done when the connection is up, and
    the handshake follows; a protocol hears of it as an `IHandshakeListener`,
    and of its failure in `connectionLost`. What is wrong on our side (a file)
    fails `connect` before anything is dialled.

    :param host: the name to find in the certificate, unless `settings.name`.
    :param clock: `IReactorTime` for the transport; default the global reactor.
    """
    arguments.check_endpoint("endpoint", endpoint)
    arguments.check_text("host", host)
    fits = settings is None or isinstance(settings, TLSSettings)
    arguments.check("settings", settings, fits, "TLSSettings(...), or None")
    return _TLSEndpoint(endpoint, host, settings or TLSSettings(), clock)


def context_factory(
    host: str, settings: TLSSettings | None = None
) -> IOpenSSLClientConnectionCreator:
    """What ``reactor.connectSSL(host, port, factory, contextFactory)`` takes.

    Good for any number of connections; the files are read for each. What is
    wrong with them by then ends that connection, with the LocalError as reason.

    :raises LocalError: TLS is not installed.
    """
    creator: IOpenSSLClientConnectionCreator = _handshake().Creator(host, settings or TLSSettings())
    return creator


@implementer(IStreamClientEndpoint)
class _TLSEndpoint:
    """See `tls`."""

    def __init__(
        self, inner: IStreamClientEndpoint, host: str, settings: TLSSettings, clock: Any
    ) -> None:
        self._inner = inner
        self._host = host
        self._settings = settings
        self._clock = clock
        self._warned: set[str] = set()  # each attempt has a creator of its own

    def __repr__(self) -> str:
        return f"<tls {self._host} over {self._inner!r}>"

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        try:
            wrapping = self._wrap(protocolFactory)
        except LocalError:
            return fail()
        connecting: Deferred[Any] = self._inner.connect(wrapping)
        return connecting.addCallback(lambda outer: outer.wrappedProtocol)

    def _wrap(self, factory: IProtocolFactory) -> IProtocolFactory:
        material = load(self._settings)
        creator = _handshake().Creator(self._host, self._settings, material, self._warned)
        from twisted.protocols.tls import TLSMemoryBIOFactory

        return TLSMemoryBIOFactory(creator, True, factory, self._clock)


def _handshake() -> Any:
    """The module that needs pyOpenSSL."""
    try:
        return import_module("nbclient.endpoints.handshake")
    except ImportError as error:
        raise LocalError(f"{_MISSING} ({error})") from error


# Reading the files.


def load(settings: TLSSettings) -> Material:
    """Everything in the files of `settings`; see `TLSSettings.check`."""
    _handshake()
    _check_combination(settings)
    ca = None if settings.ca is None else _authorities("tls-ca", settings.ca)
    chain, key = _identity(settings)
    return Material(ca, chain, key, frozenset(map(parse_pin, settings.pins)))


def parse_pin(text: str) -> bytes:
    """The digest a pin stands for.

    :raises SpecError: it is not ``sha256:`` and 64 hexadecimal digits.
    """
    algorithm, _, digits = text.partition(":")
    found = _PIN.fullmatch(f"{algorithm}:{digits.replace(':', '')}")
    if found is None:
        raise SpecError(f"tls-pin {text!r} is not sha256: and 64 hexadecimal digits")
    return bytes.fromhex(found[1])


def _check_combination(settings: TLSSettings) -> None:
    if settings.key is not None and settings.cert is None:
        raise SpecError("tls-key needs tls-cert, the certificate it belongs to")
    if settings.insecure and settings.ca is not None:
        raise SpecError("tls-ca and tls-insecure contradict each other")
    if settings.name is not None:
        certificate_name("tls-name", settings.name)


def certificate_name(field: str, host: str) -> str:
    """The name as certificates have it: ASCII, no zone, no dot at the end.

    :raises SpecError: it is not a host name.
    """
    try:
        name = ascii_name(host.partition("%")[0].rstrip("."))
    except UnicodeError as error:
        raise SpecError(f"{field} {host!r} is not a host name: {error}") from error
    if not re.fullmatch(r"[\w.:-]+", name):
        raise SpecError(f"{field} {host!r} is not a host name")
    return name


def _identity(settings: TLSSettings) -> tuple[tuple[x509.Certificate, ...], Any]:
    if settings.cert is None:
        return (), None
    chain = _certificates("tls-cert", settings.cert)
    if settings.key is None:
        field, path, other = "tls-cert", settings.cert, "; tls-key names the file that does"
    else:
        field, path, other = "tls-key", settings.key, ""
    key = _private_key(field, path, other)
    if chain[0].public_key() != key.public_key():
        raise LocalError(
            f"{field}: {path}: this key does not belong to the certificate in {settings.cert}"
        )
    return chain, key


def _authorities(field: str, path: str) -> tuple[X509, ...]:
    # Parsed by OpenSSL, which is to use them: bundles hold old certificates
    # that break a rule or two, and cryptography is about to refuse those.
    from OpenSSL import crypto

    try:
        return tuple(
            crypto.load_certificate(crypto.FILETYPE_PEM, pem) for pem in _pem_blocks(field, path)
        )
    except crypto.Error as error:
        raise LocalError(f"{field}: {path}: {_DAMAGED}") from error


def _certificates(field: str, path: str) -> tuple[x509.Certificate, ...]:
    from cryptography import x509

    try:
        return tuple(x509.load_pem_x509_certificate(pem) for pem in _pem_blocks(field, path))
    except ValueError as error:
        raise LocalError(f"{field}: {path}: {_DAMAGED}") from error


def _pem_blocks(field: str, path: str) -> list[bytes]:
    blocks = _CERTIFICATE.findall(_read(field, path)[0])
    if not blocks:
        raise LocalError(f"{field}: {path}: holds no certificate in PEM form")
    return blocks


def _private_key(field: str, path: str, otherwise: str) -> Any:
    """The key in a file; `otherwise` ends the complaint that there is none."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    data, status = _read(field, path)
    if b"PRIVATE KEY-----" not in data:
        raise LocalError(f"{field}: {path}: holds no private key in PEM form{otherwise}")
    # Only now: a certificate may be read by all.
    if os.name == "posix" and too_open(status.st_mode, status.st_uid, os.geteuid()):
        mode = stat.S_IMODE(status.st_mode)
        raise LocalError(
            f"{field}: {path}: others can read this key (mode {mode:04o}); chmod 600 it"
        )
    try:
        return load_pem_private_key(data, None)
    except TypeError as error:
        raise LocalError(f"{field}: {path}: {_ENCRYPTED}") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise LocalError(f"{field}: {path}: the private key in it cannot be read") from error


def _read(field: str, path: str) -> tuple[bytes, os.stat_result]:
    try:
        # Reading a FIFO would hang, and only work once.
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise LocalError(f"{field}: {path}: is not a regular file")
        with open(path, "rb") as file:
            return file.read(), os.fstat(file.fileno())
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise LocalError(f"{field}: {path}: {_why(error)}") from error


def _why(error: OSError | ValueError) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)


def too_open(mode: int, owner: int, user: int) -> bool:
    """Whether somebody else may read, or change, a private key.

    A key that root gave to a group of ours is in order: there is no other way
    for root to hand out a key, and systemd's credentials come like that.
    """
    given = owner == 0 and user != 0
    return bool(mode & (0o037 if given else 0o077))


# Saying what went wrong.

_NOT_TLS = "the server does not answer in TLS (is this a plain text port?)"
_TOO_OLD = "the server offers no TLS 1.2 or newer"
_WANTS_CERTIFICATE = "the server asks for a certificate of ours (tls-cert)"
_REFUSED_OURS = "the server refused our certificate"

_WORDS = (
    ("wrong version number", _NOT_TLS),
    ("http request", _NOT_TLS),
    ("packet length too long", _NOT_TLS),
    ("record layer failure", _NOT_TLS),
    ("unknown protocol", _NOT_TLS),
    ("unexpected message", _NOT_TLS),
    ("unsupported protocol", _TOO_OLD),
    ("alert protocol version", _TOO_OLD),
    ("alert certificate required", _WANTS_CERTIFICATE),
    ("alert unknown ca", f"{_REFUSED_OURS}: it does not know the authority"),
    ("alert bad certificate", _REFUSED_OURS),
    ("alert unsupported certificate", _REFUSED_OURS),
    ("alert certificate expired", f"{_REFUSED_OURS}: it has expired"),
    ("alert certificate revoked", f"{_REFUSED_OURS}: it was revoked"),
    ("alert certificate unknown", _REFUSED_OURS),
    ("alert access denied", f"{_REFUSED_OURS}: access denied"),
    (
        "alert handshake failure",
        "the server refused the handshake (nothing in common, or it asks for a certificate)",
    ),
    ("alert unrecognized name", "the server does not know the name asked for (tls-name)"),
    ("certificate verify failed", "the server's certificate could not be verified"),
)


def explain_tls(failure: Failure) -> str | None:
    """One line on a failure of TLS, or None for a failure of something else."""
    error = failure.value
    if isinstance(error, CertificateRefused | HandshakeFailed):
        return str(error)
    if _raised_by("service_identity", "VerificationError", error):  # Twisted's own check
        return "the server's certificate is for another name"
    if not _raised_by("OpenSSL.SSL", "Error", error):
        return None
    reasons = _reasons(error.args if error else ())
    for sign, words in _WORDS:
        if any(sign in reason for reason in reasons):
            return words
    return f"TLS failed: {'; '.join(reasons) or 'OpenSSL gave no reason'}"


def stream_fault(args: tuple[Any, ...]) -> str:
    """What broke a connection of which TLS was up, in words.

    :param args: those of pyOpenSSL's error.
    :return: "" where the peer said why it ends (an alert), or only ended.
    """
    reasons = _reasons(args)
    if not reasons or any("alert" in each or "unexpected eof" in each for each in reasons):
        return ""
    return f"the TLS stream was broken: {reasons[0]}"


def _raised_by(module: str, name: str, error: BaseException | None) -> bool:
    """Whether it is of that class; a module not loaded has raised nothing."""
    kind = getattr(sys.modules.get(module), name, None)
    return kind is not None and isinstance(error, kind)


def _reasons(args: tuple[Any, ...]) -> list[str]:
    """The reasons in an error of pyOpenSSL.

    Its argument is a list of (library, function, reason); of a system error
    there are two, the number and the text.
    """
    if args and isinstance(args[0], list):
        return [str(reason) for _library, _function, reason in args[0]]
    return [str(part) for part in args[1:]]
