"""Signs tokens with RS256, so that any JWT library verifies them. Needs the extra `jwt`."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

__all__ = ["RsaSigner"]

_KEY_BITS: Final = 2048
_PUBLIC_EXPONENT: Final = 65537


class RsaSigner:
    """One key, made here and kept in memory; its id is that of Signicat's sandbox in form."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(_PUBLIC_EXPONENT, _KEY_BITS)
        public: dict[str, Any] = RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        digest = hashlib.sha256(public["n"].encode("ascii")).hexdigest()
        self._key_id = f"sandbox-signing-key-{digest[:32]}"
        named = {"kid": self._key_id, "use": "sig", "alg": "RS256"}
        self._public = {"kty": public["kty"], "n": public["n"], "e": public["e"], **named}

    @property
    def keys(self) -> Sequence[Mapping[str, object]]:
        """Return the public key."""
        return [self._public]

    def sign(self, claims: Mapping[str, object]) -> str:
        """Return a token with these claims, its header as Signicat's."""
        headers = {"typ": "at+jwt", "kid": self._key_id}
        return jwt.encode(dict(claims), self._key, algorithm="RS256", headers=headers)
