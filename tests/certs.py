"""Certificates for tests: a CA, and what a server or a client may show.

`make_certs(folder)` writes them as PEM files; every attribute of the result is
the path of one, as text. The names a good certificate carries are `localhost`,
`127.0.0.1` and `::1`. Elliptic keys, so that all of it takes milliseconds.
"""

from __future__ import annotations

import ipaddress
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Key = ec.EllipticCurvePrivateKey

GOOD_NAMES = ("localhost", "127.0.0.1", "::1")
WRONG_NAMES = ("other.example", "192.0.2.1")
PASSPHRASE = b"open sesame"


@attrs.frozen
class Certs:
    """Paths of PEM files. Keys have mode 0600.

    :ivar ca: the authority that signed everything but `self_signed`.
    :ivar ca_key: its key, to sign more.
    :ivar good: valid for `GOOD_NAMES`.
    :ivar wrong_name: valid, but for `WRONG_NAMES`.
    :ivar self_signed: good names, signed by itself.
    :ivar expired: good names, ended yesterday.
    :ivar nameless: signed, with no subjectAltName at all.
    :ivar client: for a client, with `client_key`.
    :ivar other_ca: an authority that signed nothing here.
    :ivar encrypted_key: `client_key` under `PASSPHRASE`.
    """

    ca: str
    ca_key: str
    good: str
    good_key: str
    wrong_name: str
    wrong_name_key: str
    self_signed: str
    self_signed_key: str
    expired: str
    expired_key: str
    nameless: str
    nameless_key: str
    client: str
    client_key: str
    other_ca: str
    encrypted_key: str


def make_certs(folder: str | os.PathLike[str]) -> Certs:
    """Write a set of certificates and keys into `folder`, which must exist."""
    into = Path(folder)
    ca_key, other_key, client_key = new_key(), new_key(), new_key()
    ca = authority("nbclient test CA", ca_key)
    issuer = (ca, ca_key)
    paths = {
        "ca": write_cert(into / "ca.pem", ca),
        "ca_key": write_key(into / "ca.key", ca_key),
        "other_ca": write_cert(into / "other_ca.pem", authority("another CA", other_key)),
        "client_key": write_key(into / "client.key", client_key),
        "encrypted_key": write_key(into / "encrypted.key", client_key, PASSPHRASE),
        "client": write_cert(
            into / "client.pem", leaf("a client", (), client_key, issuer, server=False)
        ),
    }
    for stem, names, days in (
        ("good", GOOD_NAMES, 365),
        ("wrong_name", WRONG_NAMES, 365),
        ("expired", GOOD_NAMES, -1),
        ("nameless", (), 365),
        ("self_signed", GOOD_NAMES, 365),
    ):
        key = new_key()
        signer = None if stem == "self_signed" else issuer
        paths[stem] = write_cert(
            into / f"{stem}.pem", leaf(stem.replace("_", " "), names, key, signer, days=days)
        )
        paths[f"{stem}_key"] = write_key(into / f"{stem}.key", key)
    return Certs(**paths)


def authority(name: str, key: Key, *, days: int = 3650) -> x509.Certificate:
    """A self-signed certificate of an authority, for so many days from now."""
    return (
        _builder(name, name, key, -10, days)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def leaf(
    name: str,
    names: tuple[str, ...],
    key: Key,
    issuer: tuple[x509.Certificate, Key] | None,
    *,
    days: int = 365,
    begins: int = -10,
    server: bool = True,
    extension: x509.UnrecognizedExtension | None = None,
    critical: bool = False,
) -> x509.Certificate:
    """A certificate of a server or a client; without `issuer` it signs itself.

    :param days: days from now to its end.
    :param begins: days from now to its beginning.
    :param extension: an odd one to put in, `critical` or not.
    """
    common = name if issuer is None else _common_name(issuer[0])
    builder = _builder(name, common, key, begins, days)
    if extension is not None:
        builder = builder.add_extension(extension, critical=critical)
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([_general_name(each) for each in names]), critical=False
        )
    usage = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
    return builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False).sign(
        key if issuer is None else issuer[1], hashes.SHA256()
    )


def _builder(
    subject: str, issuer: str, key: Key, begins: int, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=begins))
        .not_valid_after(now + timedelta(days=days))
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _common_name(certificate: x509.Certificate) -> str:
    return str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def _general_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def new_key() -> Key:
    """A fresh private key."""
    return ec.generate_private_key(ec.SECP256R1())


def write_cert(path: Path, *certificates: x509.Certificate) -> str:
    """Write a chain; return its path."""
    path.write_bytes(
        b"".join(each.public_bytes(serialization.Encoding.PEM) for each in certificates)
    )
    return str(path)


def write_key(path: Path, key: Key, passphrase: bytes | None = None) -> str:
    """Write a key with mode 0600; return its path."""
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption()
            if passphrase is None
            else serialization.BestAvailableEncryption(passphrase),
        )
    )
    return str(path)
