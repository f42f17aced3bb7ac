"""Private keys that prove a client: read, and used to sign (RFC 7523, T12).

Needs the extra `jwt`; `oauth.key_file` imports this only where a client has a key.
What a library says of a key is never passed on: it may quote it.
"""

import base64
import hashlib
import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from jwt.algorithms import ECAlgorithm
from jwt.utils import base64url_decode

from proxy.files import UnusableFileError, read_file
from proxy.net.pem import secret_lines
from proxy.oauth.credential import ASSERTION_SECONDS, MAX_KEY_ID, is_key_id
from proxy.oauth.rsa_primes import primes_of
from proxy.oauth.secret import as_seen

__all__ = ["AssertionKey", "read_key"]

Algorithm = Literal["RS256", "PS256", "ES256"]
_ID_BYTES: Final = 16
_MAX_BYTES: Final = 64 * 1024
_MIN_BITS: Final = 2048  # RFC 7518 §3.3
_MAX_BITS: Final = 4096  # a longer one would hold up requests while it signs
_PRIVATE_MEMBERS: Final = ("d", "p", "q", "dp", "dq", "qi")
_PSS: Final = bytes.fromhex("06092a864886f70d01010a")  # id-RSASSA-PSS (RFC 8017), as DER has it
_ALGORITHMS: Final = "RS256, PS256 or ES256"
_DAMAGED: Final = "the private key is damaged, or of a kind that is not known"

_Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


class _UnusableKeyError(Exception):
    """A key cannot be used; the text says why, and holds nothing of it."""


@dataclass(frozen=True, slots=True)
class AssertionKey:
    """A private key that signs; nothing of it shows in a `repr`.

    `key_id` is the header `kid`, None for none.
    """

    digest: bytes = field(repr=False)
    key_id: str | None
    algorithm: Algorithm
    _key: _Key = field(repr=False, compare=False)
    _private: tuple[str, ...] = field(repr=False, compare=False)

    def assertion(self, client_id: str, audience: str, now: float) -> str:
        """Return a new proof: who asks, where, once, and for a minute from `now`, Unix time.

        It has no `nbf`, and so is valid at a server whose clock is a little behind.
        """
        issued = int(now)
        claims = {
            "iss": client_id,
            "sub": client_id,
            "aud": audience,
            "jti": secrets.token_hex(_ID_BYTES),
            "iat": issued,
            "exp": issued + ASSERTION_SECONDS,
        }
        headers = None if self.key_id is None else {"kid": self.key_id}
        return jwt.encode(claims, self._key, algorithm=self.algorithm, headers=headers)

    @property
    def summary(self) -> str:
        """Algorithm and id."""
        return f"{self.algorithm}, {'no kid' if self.key_id is None else f'kid {self.key_id}'}"

    def secrets(self) -> Iterator[str]:
        """Yield what must never be logged: the pieces of the key."""
        yield from self._private


def read_key(path: Path, setting: str, *, key_id: str | None, key_id_setting: str) -> AssertionKey:
    """Return the key in a file: PEM, or one JWK (RFC 7517).

    `key_id` is that of the settings, None where these have none; the settings are as in
    `UnusableFileError.file`, which is raised for what cannot be used. Whether the numbers of a
    key are primes is not asked, which takes seconds; that what it signs can be verified is seen.
    """
    content = read_file(setting, path, max_bytes=_MAX_BYTES)
    try:
        text = as_seen(content.decode("utf-8")).strip()
        is_jwk = text.startswith("{")
        key, algorithm, own_id, private = _from_jwk(text) if is_jwk else _from_pem(text)
        _check(key, algorithm)
    except UnicodeDecodeError:
        raise UnusableFileError(setting, "not UTF-8 text") from None
    except _UnusableKeyError as error:
        raise UnusableFileError(setting, str(error)) from None
    if own_id is not None and key_id not in (None, own_id):
        raise UnusableFileError(key_id_setting, "is not the kid of the JWK in the key file")
    if key_id is None and not is_jwk:  # a JWK says all of itself; PEM has no place for it
        reason = "is required with a key in PEM form; or give the key as a JWK"
        raise UnusableFileError(key_id_setting, reason)
    digest = hashlib.sha256(text.encode()).digest()
    return AssertionKey(digest, own_id or key_id, algorithm, key, private)


_Found = tuple[_Key, Algorithm, str | None, tuple[str, ...]]


def _from_pem(text: str) -> _Found:
    if "PRIVATE KEY-----" not in text:
        if "PUBLIC KEY-----" in text:
            raise _UnusableKeyError("a public key; the private one is needed")
        if "-----BEGIN CERTIFICATE-----" in text:
            raise _UnusableKeyError("a certificate; its private key is needed")
        raise _UnusableKeyError("no private key in this file, neither PEM nor a JWK")
    if text.count("-----BEGIN ") - text.count("-----BEGIN EC PARAMETERS") > 1:
        raise _UnusableKeyError("more than the private key in this file")
    if "ENCRYPTED PRIVATE KEY" in text or "4,ENCRYPTED" in text:
        raise _UnusableKeyError("the key is encrypted; give it without a passphrase")
    try:
        key = load_pem_private_key(
            text.encode(), password=None, unsafe_skip_rsa_key_validation=True
        )
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _UnusableKeyError(_DAMAGED) from None
    if not isinstance(key, _Key):
        raise _UnusableKeyError("neither an RSA key nor one of the curve P-256")
    private = secret_lines(text)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key, "ES256", None, private
    return key, "PS256" if _is_for_pss(text) else "RS256", None, private


def _is_for_pss(text: str) -> bool:
    """Say whether a PEM key is one for RSASSA-PSS alone, which stands in its first bytes."""
    body = "".join(line for line in text.splitlines() if "-----" not in line)
    try:
        return _PSS in base64.b64decode(body[:64])
    except ValueError:
        return False


def _from_jwk(text: str) -> _Found:
    members = _members(text)
    kind, algorithm, own_id = members.get("kty"), members.get("alg"), members.get("kid")
    if "keys" in members:
        raise _UnusableKeyError("a set of keys; give one key")
    if own_id is not None and not (isinstance(own_id, str) and is_key_id(own_id)):
        reason = f"the kid of the JWK is no text of up to {MAX_KEY_ID} printable characters"
        raise _UnusableKeyError(reason)
    _check_purpose(members)
    if "oth" in members:  # RFC 7518 §6.3.2.7
        raise _UnusableKeyError("an RSA key of more than two primes (oth); give one of two")
    readers: Mapping[object, Callable[[Mapping[str, Any]], _Key]]
    readers = {"RSA": _rsa_key, "EC": _ec_key}
    if not isinstance(kind, str) or kind not in readers:
        raise _UnusableKeyError("neither an RSA key nor one of the curve P-256")
    if "d" not in members:
        raise _UnusableKeyError("a public key; the private one is needed")
    try:
        key = readers[kind](members)
    except (jwt.InvalidKeyError, ValueError, TypeError, KeyError, AttributeError):
        raise _UnusableKeyError(_DAMAGED) from None
    private = tuple(str(members[name]) for name in _PRIVATE_MEMBERS if name in members)
    possible: tuple[Algorithm, ...] = ("ES256",) if kind == "EC" else ("RS256", "PS256")
    for each in possible:
        if algorithm in (None, each):
            return key, each, own_id, private
    raise _UnusableKeyError(f"the alg of the JWK is none for this key; {_ALGORITHMS} is possible")


def _check_purpose(members: Mapping[str, Any]) -> None:
    """Raise for a key that is for something else than to sign (RFC 7517 §4.2, §4.3)."""
    if members.get("use", "sig") != "sig":
        raise _UnusableKeyError("the use of the JWK is not sig; give a key that is for signing")
    operations = members.get("key_ops", ["sign"])
    if not isinstance(operations, list) or "sign" not in operations:
        raise _UnusableKeyError("the key_ops of the JWK lack sign; give a key that is for signing")


def _check_bits(bits: int) -> None:
    if not _MIN_BITS <= bits <= _MAX_BITS:
        raise _UnusableKeyError(
            f"an RSA key of {bits} bits; {_MIN_BITS} to {_MAX_BITS} are possible"
        )


def _rsa_key(members: Mapping[str, Any]) -> rsa.RSAPrivateKey:
    """Return an RSA key; a JWK may leave out all of it but `n`, `e` and `d` (RFC 7518 §6.3.2)."""
    n, e, d = (_number(members, name) for name in ("n", "e", "d"))
    _check_bits(n.bit_length())  # what follows takes the longer the more, and the loop waits
    if max(e, d) >= n:
        raise _UnusableKeyError(_DAMAGED)
    if "p" in members:
        p, q = _number(members, "p"), _number(members, "q")
    else:
        p, q = primes_of(n, e, d)
    return rsa.RSAPrivateNumbers(
        p=p,
        q=q,
        d=d,
        dmp1=rsa.rsa_crt_dmp1(d, p),
        dmq1=rsa.rsa_crt_dmq1(d, q),
        iqmp=rsa.rsa_crt_iqmp(p, q),
        public_numbers=rsa.RSAPublicNumbers(e, n),
    ).private_key(unsafe_skip_rsa_key_validation=True)


def _number(members: Mapping[str, Any], name: str) -> int:
    return int.from_bytes(base64url_decode(members[name]), "big")


def _ec_key(members: Mapping[str, Any]) -> ec.EllipticCurvePrivateKey:
    key = ECAlgorithm.from_jwk(dict(members))
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError
    return key


def _members(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise _UnusableKeyError("no JSON, though it begins like a JWK") from None
    return found if isinstance(found, dict) else {}


def _check(key: _Key, algorithm: Algorithm) -> None:
    """Raise for a key that no server should accept, that takes too long, or is not whole."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        if not isinstance(key.curve, ec.SECP256R1):
            raise _UnusableKeyError("its curve is not P-256")
    else:
        _check_bits(key.key_size)
    signer = jwt.get_algorithm_by_name(algorithm)
    try:
        is_whole = signer.verify(b"", key.public_key(), signer.sign(b"", key))
    except ValueError:
        is_whole = False
    if not is_whole:
        raise _UnusableKeyError(_DAMAGED)
