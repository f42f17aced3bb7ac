"""TLS from callers: settings that cannot be used, all told at once (I3, C1)."""

import datetime as dt
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from proxy.settings.errors import ConfigurationError
from proxy.settings.loader import load
from tests.support.client_certificates import REPLACED_END, with_end, write_self_signed
from tests.support.tls_callers import UNREADABLE_NAMES, ServerFiles, write_pair

PREFIX = "SIGNICAT_PROXY_"
YESTERDAY = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)


def errors(directory: Path, **settings: object) -> list[str]:
    """Return what is wrong with these settings, each line without the prefix."""
    environ = {f"{PREFIX}{name.upper()}": str(value) for name, value in settings.items()}
    environ |= {f"{PREFIX}CLIENT_ID": "a", f"{PREFIX}CLIENT_SECRET": "s3cr3t-of-the-test"}
    try:
        load(environ=environ, directory=directory)
    except ConfigurationError as error:
        return [str(each).removeprefix(PREFIX) for each in error.errors]
    return []


@pytest.fixture
def files(tmp_path: Path) -> ServerFiles:
    """Provide certificate, key and authority that can be used."""
    return ServerFiles(tmp_path, trustme.CA())


def test_good_files_are_good(tmp_path: Path, files: ServerFiles) -> None:
    """With and without an authority of the callers."""
    assert errors(tmp_path, **files.settings) == []
    assert errors(tmp_path, tls_cert_file=files.cert, tls_key_file=files.key) == []


def test_one_needs_the_other(tmp_path: Path, files: ServerFiles) -> None:
    """A certificate its key, a key its certificate, an authority both."""
    assert errors(tmp_path, tls_cert_file=files.cert) == [
        f"TLS_KEY_FILE: is required with {PREFIX}TLS_CERT_FILE"
    ]
    assert errors(tmp_path, tls_key_file=files.key) == [
        f"TLS_CERT_FILE: is required with {PREFIX}TLS_KEY_FILE"
    ]
    assert errors(tmp_path, tls_client_ca_file=files.client_ca) == [
        f"TLS_CERT_FILE: is required with {PREFIX}TLS_CLIENT_CA_FILE"
    ]


def spoil(files: ServerFiles, fault: str) -> None:
    """Make one of the files unusable."""
    if fault == "expired":
        files.rotate(not_after=YESTERDAY)
    elif fault == "another key":
        files.key.write_bytes(files.ca.issue_cert("x.test").private_key_pem.bytes())
    elif fault == "half a certificate":
        files.cert.write_bytes(files.cert.read_bytes()[:400])
    elif fault == "half a key":
        files.key.write_bytes(files.key.read_bytes()[:100])
    elif fault == "swapped":
        cert, key = files.cert.read_bytes(), files.key.read_bytes()
        files.cert.write_bytes(key)
        files.key.write_bytes(cert)
    elif fault == "encrypted":
        files.key.write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n")
    elif fault == "no authority":
        write_pair(files.ca.issue_cert("x.test"), files.client_ca, files.key.with_suffix(".other"))
        leaf = files.client_ca.read_text().partition("-----END CERTIFICATE-----\n")
        files.client_ca.write_text(leaf[0] + leaf[1])
    elif fault == "text":
        files.client_ca.write_text("soon")
    else:
        files.cert.unlink()
        files.key.unlink()
        files.client_ca.unlink()


FAULTS = {
    "another key": ["TLS_KEY_FILE: the key does not belong to the certificate in TLS_CERT_FILE"],
    "half a certificate": ["TLS_CERT_FILE: the certificate is damaged"],
    "half a key": ["TLS_KEY_FILE: the private key is damaged, or of a kind that TLS does not know"],
    "swapped": [
        "TLS_CERT_FILE: no certificate in PEM form in this file",
        "TLS_KEY_FILE: no private key in PEM form in this file",
    ],
    "encrypted": ["TLS_KEY_FILE: the key is encrypted; give it without a passphrase"],
    "no authority": ["TLS_CLIENT_CA_FILE: no certificate in this file is one of an authority"],
    "text": ["TLS_CLIENT_CA_FILE: no certificates in PEM form in this file"],
    "all missing": [
        f"TLS_{name}_FILE: cannot be read (No such file or directory)"
        for name in ("CERT", "KEY", "CLIENT_CA")
    ],
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_cannot_be_used_is_one_line_each(
    fault: str, tmp_path: Path, files: ServerFiles
) -> None:
    """The line names the setting, and never what a file holds."""
    spoil(files, fault)
    assert errors(tmp_path, **files.settings) == FAULTS[fault]


def test_a_certificate_that_has_expired_is_an_error(tmp_path: Path, files: ServerFiles) -> None:
    """No caller would take it."""
    spoil(files, "expired")
    (line,) = errors(tmp_path, **files.settings)
    assert line.startswith("TLS_CERT_FILE: the certificate has expired (")


def test_a_certificate_of_tomorrow_is_none(tmp_path: Path, files: ServerFiles) -> None:
    """A clock that is late must not keep the proxy from starting."""
    tomorrow = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
    pair = files.ca.issue_cert("localhost", not_before=tomorrow)
    write_pair(pair, files.cert, files.key)
    assert errors(tmp_path, **files.settings) == []


def test_a_certificate_that_ends_at_no_time(tmp_path: Path, files: ServerFiles) -> None:
    """C1: OpenSSL takes it, and tells no date: an error of the file, and no traceback."""
    usage, end = ExtendedKeyUsageOID.SERVER_AUTH, b"20x50101000000Z"
    write_self_signed(files.cert, files.key, usage=usage, end=end)
    files.client_ca.write_bytes(authority(REPLACED_END, end=end))
    reason = "the time at which a certificate ends cannot be read"
    assert errors(tmp_path, **files.settings) == [
        f"TLS_CERT_FILE: {reason}",
        f"TLS_CLIENT_CA_FILE: {reason}",
    ]


def authority(not_after: dt.datetime, *extensions: x509.ExtensionType, end: bytes = b"") -> bytes:
    """Return the certificate of an authority; see `with_end`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "old")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(YESTERDAY - dt.timedelta(days=9)).not_valid_after(not_after)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return with_end(builder.sign(key, hashes.SHA256()), end)


def test_an_authority_that_has_expired_is_an_error(tmp_path: Path, files: ServerFiles) -> None:
    """Then no caller could get in; one good authority is enough."""
    old = authority(YESTERDAY)
    files.client_ca.write_bytes(old)
    assert errors(tmp_path, **files.settings) == [
        "TLS_CLIENT_CA_FILE: every authority in this file has expired"
    ]
    files.client_ca.write_bytes(old + trustme.CA().cert_pem.bytes())
    assert errors(tmp_path, **files.settings) == []


def test_an_authority_whose_names_cannot_be_read(tmp_path: Path, files: ServerFiles) -> None:
    """It is an error as any other; while the process runs, such a file changes nothing (C4)."""
    tomorrow = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
    files.client_ca.write_bytes(authority(tomorrow, UNREADABLE_NAMES))
    assert errors(tmp_path, **files.settings) == [
        "TLS_CLIENT_CA_FILE: the names of an authority in this file cannot be read"
    ]


def test_tls_errors_stand_beside_all_others(tmp_path: Path, files: ServerFiles) -> None:
    """Everything is told at once (C1)."""
    spoil(files, "encrypted")
    found = errors(tmp_path, **files.settings, environment="moon", ca_file="/nonexistent")
    assert [line.partition(":")[0] for line in found] == ["ENVIRONMENT", "CA_FILE", "TLS_KEY_FILE"]
