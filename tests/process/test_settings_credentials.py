"""What proves a client: given once, for the method in use, and usable; else exit 2 (T12)."""

import datetime as dt
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from proxy.extras import with_extra
from proxy.settings.errors import ConfigurationError
from proxy.settings.loader import Loaded, load
from proxy.settings.names import PREFIX
from proxy.settings.report import settings_report, settings_table
from tests.support.client_certificates import ClientFiles, write_self_signed
from tests.support.client_keys import ec_key, jwk, pem, public, rsa_key
from tests.support.source_tree import ROOT

SECRET = "s3cret-of-the-test"
MTLS = {
    "CLIENT_ID": "sandbox-a",
    "CLIENT_AUTH": "tls_client_auth",
    "CLIENT_CERT_FILE": "{}/client.crt",
    "CLIENT_KEY_FILE": "{}/client.key",
}
JWT = {"CLIENT_ID": "sandbox-a", "CLIENT_AUTH": "private_key_jwt"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Provide a folder with keys of every kind."""
    contents = {
        "rsa.pem": pem(rsa_key()),
        "ec.pem": pem(ec_key()),
        "jwk": json.dumps(jwk(ec_key(), kid="own")),
        "jwk-of-nobody": json.dumps(jwk(ec_key())),
        "public.pem": public(rsa_key()),
        "p384.pem": pem(ec.generate_private_key(ec.SECP384R1())),
        "small.pem": pem(rsa_key(bits=1024)),
        "secret": SECRET,
    }
    for name, content in contents.items():
        (tmp_path / name).write_text(content)
    ClientFiles(tmp_path)
    (tmp_path / "other").mkdir()
    ClientFiles(tmp_path / "other")
    (tmp_path / "old").mkdir()
    ClientFiles(tmp_path / "old").rotate(not_after=dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
    pair = tmp_path / "server.crt", tmp_path / "server.key"
    write_self_signed(*pair, usage=ExtendedKeyUsageOID.SERVER_AUTH)
    write_self_signed(tmp_path / "self.crt", tmp_path / "self.key")
    write_self_signed(tmp_path / "endless.crt", tmp_path / "endless.key", end=b"20x50101000000Z")
    return tmp_path


def loaded(folder: Path, config: str = "", **changes: str) -> Loaded:
    """Load settings; `{}` stands for the folder of the keys."""
    (folder / "proxy.toml").write_text(config.replace("{}", str(folder)))
    environ = {PREFIX + name: value.replace("{}", str(folder)) for name, value in changes.items()}
    return load(config_file=folder / "proxy.toml", environ=environ, directory=folder)


def errors(folder: Path, config: str = "", **changes: str) -> list[str]:
    """Return the errors of settings; none tells anything of a secret or a key."""
    with pytest.raises(ConfigurationError) as caught:
        loaded(folder, config, **changes)
    lines = [
        str(error).replace(PREFIX, "").replace(str(folder), "{}") for error in caught.value.errors
    ]
    assert SECRET not in repr(lines)
    assert not any(line in repr(lines) for line in pem(rsa_key()).splitlines()[1:-1])
    return lines


USELESS = "is of no use with CLIENT_AUTH={}; leave it out, or change that"
NO_KID = "CLIENT_KEY_ID: is required with a key in PEM form; or give the key as a JWK"
ERRORS: dict[str, tuple[dict[str, str], list[str]]] = {
    "no key": (JWT, ["CLIENT_KEY_FILE: is required with CLIENT_AUTH=private_key_jwt"]),
    "a secret in place of a key": (
        {**JWT, "CLIENT_SECRET": SECRET},
        [
            "CLIENT_KEY_FILE: is required with CLIENT_AUTH=private_key_jwt",
            f"CLIENT_SECRET: {USELESS.format('private_key_jwt')}",
        ],
    ),
    "both a secret and a key": (
        {**JWT, "CLIENT_KEY_FILE": "{}/jwk", "CLIENT_SECRET_FILE": "{}/secret"},
        [f"CLIENT_SECRET_FILE: {USELESS.format('private_key_jwt')}"],
    ),
    "a previous secret beside a key": (
        {**JWT, "CLIENT_KEY_FILE": "{}/jwk", "PREVIOUS_SECRET_FILE": "{}/secret"},
        [f"PREVIOUS_SECRET_FILE: {USELESS.format('private_key_jwt')}"],
    ),
    "a key for a client with a secret": (
        {
            "CLIENT_ID": "a",
            "CLIENT_SECRET": SECRET,
            "CLIENT_KEY_FILE": "{}/jwk",
            "CLIENT_KEY_ID": "own",
        },
        [
            f"CLIENT_KEY_FILE: {USELESS.format('client_secret_basic')}",
            f"CLIENT_KEY_ID: {USELESS.format('client_secret_basic')}",
        ],
    ),
    "no file": (
        {**JWT, "CLIENT_KEY_FILE": "{}/x"},
        ["CLIENT_KEY_FILE: cannot be read (No such file or directory)"],
    ),
    "no kid": ({**JWT, "CLIENT_KEY_FILE": "{}/rsa.pem"}, [NO_KID]),
    "another kid": (
        {**JWT, "CLIENT_KEY_FILE": "{}/jwk", "CLIENT_KEY_ID": "k1"},
        ["CLIENT_KEY_ID: is not the kid of the JWK in the key file"],
    ),
    "a kid with a line end": (
        {**JWT, "CLIENT_KEY_FILE": "{}/rsa.pem", "CLIENT_KEY_ID": "a\nb"},
        ["CLIENT_KEY_ID: must be up to 256 printable characters"],
    ),
    "a public key": (
        {**JWT, "CLIENT_KEY_FILE": "{}/public.pem"},
        ["CLIENT_KEY_FILE: a public key; the private one is needed"],
    ),
    "another curve": (
        {**JWT, "CLIENT_KEY_FILE": "{}/p384.pem"},
        ["CLIENT_KEY_FILE: its curve is not P-256"],
    ),
    "a small key": (
        {**JWT, "CLIENT_KEY_FILE": "{}/small.pem"},
        ["CLIENT_KEY_FILE: an RSA key of 1024 bits; 2048 to 4096 are possible"],
    ),
    "a method that there is not": (
        {"CLIENT_ID": "a", "CLIENT_AUTH": "client_secret_jwt", "CLIENT_KEY_FILE": "{}/jwk"},
        [
            (
                "CLIENT_AUTH: must be client_secret_basic, client_secret_post, private_key_jwt or "
                "tls_client_auth"
            ),
        ],
    ),
    "no certificate and no key": (
        {"CLIENT_ID": "a", "CLIENT_AUTH": "tls_client_auth"},
        [
            "CLIENT_CERT_FILE: is required with CLIENT_AUTH=tls_client_auth",
            "CLIENT_KEY_FILE: is required with CLIENT_AUTH=tls_client_auth",
        ],
    ),
    "a certificate for a client that signs": (
        {**MTLS, "CLIENT_AUTH": "private_key_jwt", "CLIENT_KEY_FILE": "{}/jwk"},
        [f"CLIENT_CERT_FILE: {USELESS.format('private_key_jwt')}"],
    ),
    "an id for a certificate": (
        {**MTLS, "CLIENT_KEY_ID": "k1"},
        [f"CLIENT_KEY_ID: {USELESS.format('tls_client_auth')}"],
    ),
    "a secret and a certificate": (
        {**MTLS, "CLIENT_SECRET": SECRET},
        [f"CLIENT_SECRET: {USELESS.format('tls_client_auth')}"],
    ),
    "the key of another certificate": (
        {**MTLS, "CLIENT_KEY_FILE": "{}/other/client.key"},
        ["CLIENT_KEY_FILE: the key does not belong to the certificate in CLIENT_CERT_FILE"],
    ),
    "a JWK for a certificate": (
        {**MTLS, "CLIENT_KEY_FILE": "{}/jwk"},
        ["CLIENT_KEY_FILE: no private key in PEM form in this file"],
    ),
    "no files": (
        {**MTLS, "CLIENT_CERT_FILE": "{}/x", "CLIENT_KEY_FILE": "{}/y"},
        [
            "CLIENT_CERT_FILE: cannot be read (No such file or directory)",
            "CLIENT_KEY_FILE: cannot be read (No such file or directory)",
        ],
    ),
    "an expired certificate": (
        {**MTLS, "CLIENT_CERT_FILE": "{}/old/client.crt", "CLIENT_KEY_FILE": "{}/old/client.key"},
        ["CLIENT_CERT_FILE: the certificate has expired (Jan  1 00:00:00 2020 GMT)"],
    ),
    "a certificate that ends at no time": (
        {
            **MTLS,
            "CLIENT_CERT_FILE": "{}/endless.crt",
            "CLIENT_KEY_FILE": "{}/endless.key",
        },
        ["CLIENT_CERT_FILE: the time at which a certificate ends cannot be read"],
    ),
    "a certificate for servers": (
        {**MTLS, "CLIENT_CERT_FILE": "{}/server.crt", "CLIENT_KEY_FILE": "{}/server.key"},
        [
            (
                "CLIENT_CERT_FILE: the token endpoint would refuse the certificate (unsuitable "
                "certificate purpose)"
            )
        ],
    ),
    "no TLS": (
        {**MTLS, "TOKEN_URL": "http://127.0.0.1:9/t"},
        ["TOKEN_URL: must be https:// with CLIENT_AUTH=tls_client_auth: the proof is part of TLS"],
    ),
    "everything at once": (
        {**JWT, "CLIENT_ID": "", "CLIENT_KEY_FILE": "{}/small.pem", "CLIENT_SECRET": SECRET},
        [
            "CLIENT_ID: is required",
            f"CLIENT_SECRET: {USELESS.format('private_key_jwt')}",
            "CLIENT_KEY_FILE: an RSA key of 1024 bits; 2048 to 4096 are possible",
        ],
    ),
}


@pytest.mark.parametrize(("changes", "lines"), ERRORS.values(), ids=ERRORS.keys())
def test_each_error_names_its_setting(
    folder: Path, changes: dict[str, str], lines: list[str]
) -> None:
    """T12: what is missing, what is of no use and what cannot be used, all at once."""
    assert errors(folder, **changes) == lines


ROUTES = """
[[routes]]
path = "/a"
client = "a"
[[routes]]
path = "/b"
client = "b"
"""


def test_a_table_proves_its_client(folder: Path) -> None:
    """T12: one with a key of its own takes no secret, key or id from outside the tables."""
    config = """
    client_id = "x"
    client_secret_file = "{}/secret"
    [clients.a]
    client_auth = "private_key_jwt"
    client_key_file = "{}/jwk"
    [clients.b]
    """
    a, b = loaded(folder, config + ROUTES).settings.clients
    assert (a.client_secret_file, a.client_key_file) == (None, folder / "jwk")
    assert (b.client_secret_file, b.client_key_file) == (folder / "secret", None)


def test_tables_share_a_key_with_ids_of_their_own(folder: Path) -> None:
    """T12: what a table leaves out comes from outside; its own key brings its own id."""
    config = """
    client_id = "x"
    client_auth = "private_key_jwt"
    client_key_file = "{}/rsa.pem"
    client_key_id = "k1"
    [clients.a]
    client_key_id = "k2"
    [clients.b]
    client_key_file = "{}/jwk"
    """
    a, b = loaded(folder, config + ROUTES).settings.clients
    assert (a.client_key_file, a.client_key_id) == (folder / "rsa.pem", "k2")
    assert (b.client_key_file, b.client_key_id) == (folder / "jwk", None)


def test_an_error_in_a_table_names_it(folder: Path) -> None:
    """T12: a key of its own without an id, and what others share is not blamed."""
    config = """
    client_id = "x"
    client_key_id = "k1"
    client_secret_file = "{}/secret"
    [clients.a]
    client_auth = "private_key_jwt"
    client_key_file = "{}/rsa.pem"
    [clients.b]
    client_auth = "private_key_jwt"
    """
    assert errors(folder, config + ROUTES) == [
        "clients.a.client_key_id: is required with a key in PEM form; or give the key as a JWK",
        "clients.b.client_key_file: is required with clients.b.client_auth=private_key_jwt",
    ]


def test_the_reports_tell_the_file_and_no_key(folder: Path) -> None:
    """G7: `config` says where the key is and its id."""
    found = loaded(folder, **JWT, CLIENT_KEY_FILE="{}/rsa.pem", CLIENT_KEY_ID="k1")
    text = settings_table(found)
    assert f"sandbox-a, key: {folder}/rsa.pem, key id: k1" in text
    report = json.dumps(settings_report(found))
    for line in pem(rsa_key()).splitlines():
        assert line not in text + report


def test_a_certificate_that_nobody_signed_is_good(folder: Path) -> None:
    """T12: for self_signed_tls_client_auth the server knows the certificate itself."""
    files = {"CLIENT_CERT_FILE": "{}/self.crt", "CLIENT_KEY_FILE": "{}/self.key"}
    found = loaded(folder, **{**MTLS, **files})
    text = f"sandbox-a, certificate: {folder}/self.crt, key: {folder}/self.key"
    assert text in settings_table(found)


def test_the_certificate_of_a_table_names_it(folder: Path) -> None:
    """T12: its own pair, none of outside."""
    config = """
    client_id = "x"
    client_auth = "tls_client_auth"
    client_cert_file = "{}/client.crt"
    client_key_file = "{}/client.key"
    [clients.a]
    [clients.b]
    client_cert_file = "{}/other/client.crt"
    """
    assert errors(folder, config + ROUTES) == [
        "clients.b.client_key_file: is required with CLIENT_AUTH=tls_client_auth",
    ]
    config += 'client_key_file = "{}/client.key"\n'
    assert errors(folder, config + ROUTES) == [
        (
            "clients.b.client_key_file: the key does not belong to the certificate in "
            "clients.b.client_cert_file"
        ),
    ]


def command(folder: Path, *arguments: str, code: str = "", **environ: str) -> tuple[int, str]:
    """Run the proxy's command, or a program, with settings; return exit code and output."""
    run = ["-c", code] if code else ["-m", "proxy", *arguments]
    path = os.pathsep.join((str(folder / "libraries"), str(ROOT)))
    done = subprocess.run(
        [sys.executable, *run],
        cwd=folder,
        env={"PATH": os.defpath, "PYTHONPATH": path, **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("library", ["jwt", "cryptography"])
def test_without_the_libraries_a_key_is_an_error(folder: Path, library: str) -> None:
    """C1, T12: exit 2 says what to install; a client with a secret never needs it."""
    package = folder / "libraries" / library
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(f"raise ModuleNotFoundError({library!r})")
    environ = {PREFIX + name: value for name, value in JWT.items()}
    environ[f"{PREFIX}CLIENT_KEY_FILE"] = str(folder / "jwk")
    for started in ("run", "config", "check"):
        code, output = command(folder, started, **environ)
        assert code == 2
        assert f"{PREFIX}CLIENT_AUTH" in output
        assert f"needs PyJWT and cryptography: install {with_extra('jwt')}" in output
        assert "Traceback" not in output
    with_secret = {f"{PREFIX}CLIENT_ID": "a", f"{PREFIX}CLIENT_SECRET": SECRET}
    assert command(folder, "config", **with_secret)[0] == 0


@pytest.mark.parametrize("started", ["run", "config", "check"])
def test_what_nobody_foresaw_is_an_error_of_the_file(folder: Path, started: str) -> None:
    """C1: as if a library failed over a key; its text, which may quote the key, is not told."""
    package = folder / "libraries" / "jwt"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(f"raise RuntimeError({SECRET!r})")
    environ = {PREFIX + name: value for name, value in JWT.items()}
    environ[f"{PREFIX}CLIENT_KEY_FILE"] = str(folder / "jwk")
    code, output = command(folder, started, **environ)
    assert code == 2
    assert f"{PREFIX}CLIENT_KEY_FILE" in output
    assert "cannot be used (RuntimeError)" in output
    assert "Traceback" not in output
    assert SECRET not in output


@pytest.mark.parametrize("auth", ["client_secret_basic", "private_key_jwt"])
def test_the_libraries_are_imported_where_a_client_has_a_key(folder: Path, auth: str) -> None:
    """T12: they cost time and memory, which a client with a secret does not pay."""
    code = """
import os, sys
from pathlib import Path
import proxy.server.lifecycle
from proxy.settings.loader import load
load(environ=os.environ, directory=Path("/nonexistent"))
print(sorted({"jwt", "cryptography"} & set(sys.modules)))
"""
    environ = {f"{PREFIX}CLIENT_ID": "a", f"{PREFIX}CLIENT_AUTH": auth}
    if auth == "private_key_jwt":
        environ[f"{PREFIX}CLIENT_KEY_FILE"] = str(folder / "jwk")
        expected = "['cryptography', 'jwt']"
    else:
        environ[f"{PREFIX}CLIENT_SECRET"] = SECRET
        expected = "[]"
    assert command(folder, code=code, **environ) == (0, f"{expected}\n")
