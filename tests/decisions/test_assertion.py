"""Private keys of clients: which can be used, and what they sign (T12)."""

import json
import subprocess
import sys
from pathlib import Path
from threading import Thread
from types import FrameType
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import PrivateFormat

from proxy.files import UnusableFileError
from proxy.oauth import rsa_primes
from proxy.oauth.assertion import AssertionKey, read_key
from proxy.oauth.rsa_primes import primes_of
from tests.support.client_keys import Key, ec_key, jwk, pem, public, rsa_key

TOKEN_URL = "https://api.signicat.com/auth/open/connect/token"
NOW = 1_800_000_000.7


def made_by_openssl(*command: str) -> str:
    """Return what a command of OpenSSL prints."""
    return subprocess.run(["openssl", *command], capture_output=True, check=True, text=True).stdout


def read(folder: Path, content: str | bytes, key_id: str | None = "k1") -> AssertionKey:
    """Return the key in a file with this content."""
    path = folder / "key"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_key(path, "client_key_file", key_id=key_id, key_id_setting="client_key_id")


def why_not(folder: Path, content: str | bytes, key_id: str | None = "k1") -> tuple[str, str]:
    """Return the setting that is to blame for a key that cannot be used, and the reason."""
    with pytest.raises(UnusableFileError) as caught:
        read(folder, content, key_id)
    assert caught.value.__cause__ is None
    return caught.value.file, caught.value.reason


def shortened(key: Key) -> dict[str, Any]:
    """Return an RSA key with no more than it must have."""
    return {name: jwk(key)[name] for name in ("kty", "n", "e", "d")}


ALGORITHMS: dict[str, tuple[Any, Key, str]] = {
    "RSA": (lambda: pem(rsa_key()), rsa_key(), "RS256"),
    "RSA as OpenSSL wrote it once": (
        lambda: pem(rsa_key(), PrivateFormat.TraditionalOpenSSL),
        rsa_key(),
        "RS256",
    ),
    "P-256": (lambda: pem(ec_key()), ec_key(), "ES256"),
    "P-256 as OpenSSL wrote it once": (
        lambda: pem(ec_key(), PrivateFormat.TraditionalOpenSSL),
        ec_key(),
        "ES256",
    ),
    "a JWK": (lambda: json.dumps(jwk(rsa_key())), rsa_key(), "RS256"),
    "a JWK for RS256": (lambda: json.dumps(jwk(rsa_key(), alg="RS256")), rsa_key(), "RS256"),
    "a JWK for PS256": (lambda: json.dumps(jwk(rsa_key(), alg="PS256")), rsa_key(), "PS256"),
    "a JWK without primes": (lambda: json.dumps(shortened(rsa_key())), rsa_key(), "RS256"),
    "a JWK of P-256": (lambda: json.dumps(jwk(ec_key()), indent=2), ec_key(), "ES256"),
    "a JWK for ES256": (lambda: json.dumps(jwk(ec_key(), alg="ES256")), ec_key(), "ES256"),
    "spaces around it": (lambda: f"\ufeff\n {pem(ec_key())}\r\n\n", ec_key(), "ES256"),
}


@pytest.mark.parametrize(("content", "key", "algorithm"), ALGORITHMS.values(), ids=ALGORITHMS)
def test_the_key_decides_on_the_algorithm(
    tmp_path: Path, content: Any, key: Key, algorithm: str
) -> None:
    """T12: RSA signs with RS256, or PS256 where its JWK says so; P-256 with ES256."""
    found = read(tmp_path, content())
    signed = found.assertion("sandbox-a", TOKEN_URL, NOW)
    assert jwt.get_unverified_header(signed) == {"alg": algorithm, "kid": "k1", "typ": "JWT"}
    options: Any = {"verify_exp": False, "verify_iat": False}
    claims = jwt.decode(
        signed, public(key), algorithms=[algorithm], audience=TOKEN_URL, options=options
    )
    assert claims.pop("jti")
    assert claims == {
        "iss": "sandbox-a",
        "sub": "sandbox-a",
        "aud": TOKEN_URL,
        "iat": 1_800_000_000,
        "exp": 1_800_000_060,
    }
    assert found.summary == f"{algorithm}, kid k1"


@pytest.mark.parametrize(
    ("command", "algorithm"),
    [
        (("genpkey", "-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"), "PS256"),
        (("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"), "RS256"),
        (("ecparam", "-name", "prime256v1", "-genkey"), "ES256"),
    ],
)
def test_keys_of_openssl(tmp_path: Path, command: tuple[str, ...], algorithm: str) -> None:
    """T12: an RSA key that was made for PSS alone signs with PS256."""
    found = read(tmp_path, made_by_openssl(*command))
    assert found.algorithm == algorithm
    assert jwt.get_unverified_header(found.assertion("a", TOKEN_URL, NOW))["alg"] == algorithm


# The id of the settings, the kid of the JWK: what is sent, or which setting is to blame.
KEY_IDS = [
    (None, "own", "own"),
    ("k1", "k1", "k1"),
    ("k1", None, "k1"),
    (None, None, None),
    ("k1", "own", UnusableFileError),
]


@pytest.mark.parametrize(("given", "own", "sent"), KEY_IDS)
def test_the_kid_of_a_jwk(tmp_path: Path, given: str | None, own: str | None, sent: Any) -> None:
    """T12: a JWK says all of itself, so one without a kid is known without one."""
    content = json.dumps(jwk(ec_key(), kid=own))
    if sent is UnusableFileError:
        reason = "is not the kid of the JWK in the key file"
        assert why_not(tmp_path, content, given) == ("client_key_id", reason)
        return
    signed = read(tmp_path, content, given).assertion("a", TOKEN_URL, NOW)
    assert jwt.get_unverified_header(signed).get("kid") == sent


def test_pem_has_no_place_for_a_kid(tmp_path: Path) -> None:
    """T12: where the server has several keys, as in a rotation, it must be told which."""
    setting, reason = why_not(tmp_path, pem(ec_key()), None)
    assert (setting, reason[:33]) == ("client_key_id", "is required with a key in PEM for")


def test_no_two_proofs_are_the_same(tmp_path: Path) -> None:
    """T12: a server may refuse an id that it has seen; each has 128 random bits of its own."""
    key = read(tmp_path, pem(ec_key()))
    options: Any = {"verify_signature": False}
    ids = {
        jwt.decode(key.assertion("a", TOKEN_URL, NOW), options=options)["jti"] for _ in range(2000)
    }
    assert len(ids) == 2000
    assert {len(each) for each in ids} == {32}


def changed(key: Key, name: str) -> str:
    """Return a JWK with one member of another key of this kind."""
    other = rsa_key("other") if isinstance(key, rsa.RSAPrivateKey) else ec_key("other")
    return json.dumps(jwk(key) | {name: jwk(other)[name]})


KINDS = "neither an RSA key nor one of the curve P-256"
DAMAGED = "the private key is damaged, or of a kind that is not known"
BAD: dict[str, tuple[Any, str]] = {
    "nothing": (lambda: "", "no private key in this file, neither PEM nor a JWK"),
    "a secret": (lambda: "s3cret", "no private key in this file, neither PEM nor a JWK"),
    "bytes": (lambda: b"\xff\xfe\x00", "not UTF-8 text"),
    "a public key": (lambda: public(rsa_key()), "a public key; the private one is needed"),
    "a public JWK": (
        lambda: json.dumps({"kty": "RSA", "n": jwk(rsa_key())["n"], "e": "AQAB"}),
        "a public key; the private one is needed",
    ),
    "a certificate": (
        lambda: "-----BEGIN CERTIFICATE-----\n",
        "a certificate; its private key is needed",
    ),
    "an encrypted key": (
        lambda: made_by_openssl(
            *("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-aes256", "-pass", "pass:x"),
        ),
        "the key is encrypted; give it without a passphrase",
    ),
    "an old encrypted key": (
        lambda: made_by_openssl("genrsa", "-traditional", "-aes256", "-passout", "pass:x", "2048"),
        "the key is encrypted; give it without a passphrase",
    ),
    "two keys": (
        lambda: pem(rsa_key()) + pem(ec_key()),
        "more than the private key in this file",
    ),
    "half a key": (lambda: pem(rsa_key())[:500] + "\n-----END PRIVATE KEY-----", DAMAGED),
    "no end": (lambda: pem(ec_key())[:100], DAMAGED),
    "a small key": (
        lambda: pem(rsa_key(bits=1024)),
        "an RSA key of 1024 bits; 2048 to 4096 are possible",
    ),
    "a small JWK": (
        lambda: json.dumps(jwk(rsa_key(bits=1024))),
        "an RSA key of 1024 bits; 2048 to 4096 are possible",
    ),
    "another curve": (
        lambda: pem(ec.generate_private_key(ec.SECP384R1())),
        "its curve is not P-256",
    ),
    "another curve as a JWK": (
        lambda: json.dumps(jwk(ec.generate_private_key(ec.SECP521R1()))),
        "its curve is not P-256",
    ),
    "Ed25519": (lambda: made_by_openssl("genpkey", "-algorithm", "ed25519"), KINDS),
    "Ed25519 as a JWK": (lambda: '{"kty":"OKP","crv":"Ed25519","d":"s3cret"}', KINDS),
    "a shared key": (lambda: '{"kty":"oct","k":"s3cret"}', KINDS),
    "a set of keys": (lambda: json.dumps({"keys": [jwk(ec_key())]}), "a set of keys; give one key"),
    "no JSON": (lambda: '{"kty":"RSA","d":"s3cret', "no JSON, though it begins like a JWK"),
    "a kid that is none": (
        lambda: json.dumps(jwk(ec_key(), kid=7)),
        "the kid of the JWK is no text of up to 256 printable characters",
    ),
    "a d of another key": (lambda: changed(rsa_key(), "d"), DAMAGED),
    "an n of another key": (lambda: changed(rsa_key(), "n"), DAMAGED),
    "an x of another key": (lambda: changed(ec_key(), "x"), DAMAGED),
    "no e": (lambda: json.dumps(jwk(rsa_key(), e=None)), DAMAGED),
    "numbers that are none": (lambda: '{"kty":"RSA","n":1,"e":"AQAB","d":[]}', DAMAGED),
    "primes that are none": (
        lambda: json.dumps(jwk(rsa_key(), p="AA", q="AA")),
        DAMAGED,
    ),
    "an alg for encryption": (
        lambda: json.dumps(jwk(rsa_key(), alg="RSA-OAEP")),
        "the alg of the JWK is none for this key; RS256, PS256 or ES256 is possible",
    ),
    "an alg of another kind": (
        lambda: json.dumps(jwk(rsa_key(), alg="ES256")),
        "the alg of the JWK is none for this key; RS256, PS256 or ES256 is possible",
    ),
    "too much": (lambda: " " * 70_000, "cannot be read (over 64 KiB)"),
}


@pytest.mark.parametrize(("content", "reason"), BAD.values(), ids=BAD.keys())
def test_a_key_that_cannot_be_used(tmp_path: Path, content: Any, reason: str) -> None:
    """T12, G7: the reason is told, and nothing of the key."""
    assert why_not(tmp_path, content()) == ("client_key_file", reason)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """T12: the system's reason is told."""
    with pytest.raises(UnusableFileError, match="cannot be read \\(No such file or directory\\)"):
        read_key(tmp_path / "x", "client_key_file", key_id="a", key_id_setting="client_key_id")


def test_a_key_is_what_its_file_holds(tmp_path: Path) -> None:
    """T7: the same content is no new key, and another id is another key."""
    one = read(tmp_path, pem(ec_key()))
    assert one == read(tmp_path, f"{pem(ec_key())}\n")
    assert one != read(tmp_path, pem(ec_key()), "k2")
    assert one != read(tmp_path, pem(ec_key("other")))


def test_nothing_of_a_key_shows(tmp_path: Path) -> None:
    """G7: not in a `repr`; its pieces are named for the redaction filter."""
    for content in (
        pem(rsa_key()),
        pem(ec_key()),
        json.dumps(jwk(rsa_key())),
        json.dumps(jwk(ec_key())),
    ):
        key = read(tmp_path, content)
        secrets = list(key.secrets())
        assert secrets
        assert not any(secret in repr(key) for secret in secrets)
        rest = content
        for secret in secrets:
            rest = rest.replace(secret, "")
        assert not any(
            line in rest
            for line in content.split('"')
            if len(line) > 64 and line != jwk(rsa_key())["n"]
        )


@pytest.mark.parametrize("kind", [[], {}, 1, None, "oct"])
def test_a_jwk_of_no_kind_is_refused(tmp_path: Path, kind: object) -> None:
    """Whatever stands there, it is an error of the file, and ends no process (C4)."""
    file, reason = why_not(tmp_path, json.dumps({**jwk(rsa_key()), "kty": kind}), None)
    assert (file, reason) == (
        "client_key_file",
        "neither an RSA key nor one of the curve P-256",
    )


def test_a_jwk_is_measured_before_its_primes_are_sought(tmp_path: Path) -> None:
    """A number of 64,000 bits would hold up every request for minutes (C4, G11)."""
    huge = jwk(rsa_key())
    huge["n"] = huge["d"] = "_" * 10_600 + "_w"
    members = {name: huge[name] for name in ("kty", "n", "e", "d")}
    assert "bits; 2048 to 4096 are possible" in why_not(tmp_path, json.dumps(members), None)[1]
    wrong = {**jwk(rsa_key()), "d": jwk(rsa_key())["n"]}
    members = {name: wrong[name] for name in ("kty", "n", "e", "d")}
    assert "damaged" in why_not(tmp_path, json.dumps(members), None)[1]


@pytest.mark.parametrize("key_id", ["a\n\x1b[31mb", "", "x" * 257, 7, "\ud800"])
def test_the_kid_of_a_jwk_is_one_that_people_can_read(tmp_path: Path, key_id: object) -> None:
    """It stands in what `check` prints (T12)."""
    reason = why_not(tmp_path, json.dumps({**jwk(ec_key()), "kid": key_id}), None)[1]
    assert reason == "the kid of the JWK is no text of up to 256 printable characters"


def test_a_jwk_for_encryption_signs_nothing(tmp_path: Path) -> None:
    """RFC 7517 §4.2."""
    reason = why_not(tmp_path, json.dumps({**jwk(ec_key()), "use": "enc"}), None)[1]
    assert "use of the JWK is not sig" in reason


@pytest.mark.parametrize("key_ops", [["verify"], [], "sign", None, [["sign"]]])
def test_a_jwk_whose_operations_lack_sign_signs_nothing(tmp_path: Path, key_ops: object) -> None:
    """RFC 7517 §4.3."""
    reason = why_not(tmp_path, json.dumps({**jwk(ec_key()), "key_ops": key_ops}), None)[1]
    assert reason == "the key_ops of the JWK lack sign; give a key that is for signing"
    both = {**jwk(ec_key()), "key_ops": ["verify", "sign"]}
    assert read(tmp_path, json.dumps(both), None).algorithm == "ES256"


def test_a_jwk_of_more_than_two_primes_is_refused(tmp_path: Path) -> None:
    """RFC 7518 §6.3.2.7: what does not support them must not use the key."""
    oth = [{"r": "AQAB", "d": "AQAB", "t": "AQAB"}]
    reason = why_not(tmp_path, json.dumps({**jwk(rsa_key()), "oth": oth}), None)[1]
    assert reason == "an RSA key of more than two primes (oth); give one of two"


def test_primes_are_sought_in_short_steps(tmp_path: Path) -> None:
    """C4: while a thread reads a key without them, requests get their turn between two steps."""
    key, lines = rsa_key(), 0
    path = tmp_path / "key"
    path.write_text(json.dumps(shortened(key)))

    def count(frame: FrameType, event: str, _: object) -> Any:
        nonlocal lines
        lines += event == "line" and frame.f_code.co_filename == rsa_primes.__file__
        return count

    def load() -> None:
        sys.settrace(count)
        read_key(path, "client_key_file", key_id=None, key_id_setting="client_key_id")

    thread = Thread(target=load)
    thread.start()
    thread.join()
    assert lines > key.key_size


def test_primes_are_found() -> None:
    """Those that the key has, at whichever base they show; numbers of no key have none."""
    numbers = rsa_key().private_numbers()
    n, e = numbers.public_numbers.n, numbers.public_numbers.e
    assert set(primes_of(n, e, numbers.d)) == {numbers.p, numbers.q}
    assert primes_of(11 * 7, 7, 43) == (11, 7)
    assert primes_of(23 * 3, 3, 15) == (23, 3)
    for d in (0, 1, numbers.d - 1, numbers.d - 2):
        with pytest.raises(ValueError, match=r"^$"):
            primes_of(n, e, d)
    with pytest.raises(ValueError, match=r"^$"):
        primes_of(101, 3, 67)  # a single prime
