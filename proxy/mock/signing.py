"""Signs the mock's tokens, where the extra `jwt` is installed; else says that nobody does."""

import importlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from proxy.mock.encoding import as_jwt_part

__all__ = ["Signer", "Unsigned", "new_signer"]

_SIGNATURE_BYTES: Final = 256  # as long as an RS256 signature; it verifies nothing


class Signer(Protocol):
    """Makes tokens (JWT, RFC 7519), and publishes the keys that verify them (RFC 7517)."""

    def sign(self, claims: Mapping[str, object]) -> str:
        """Return a token with these claims."""
        ...

    @property
    def keys(self) -> Sequence[Mapping[str, object]]:
        """Return the public keys, as members of a JWKS."""
        ...


class Unsigned:
    """Makes tokens that look signed; no key verifies them."""

    keys: Sequence[Mapping[str, object]] = ()

    def sign(self, claims: Mapping[str, object]) -> str:
        """Return a token whose signature is random."""
        header = {"alg": "RS256", "typ": "at+jwt", "kid": "sandbox-signing-key-" + "0" * 32}
        signature = as_jwt_part(secrets.token_bytes(_SIGNATURE_BYTES))
        return ".".join((as_jwt_part(header), as_jwt_part(claims), signature))


def new_signer(log: Callable[[str], None]) -> Signer:
    """Return a signer with a key of its own, or one that signs nothing and a line that says so."""
    try:
        # By name, since it imports what may not be there.
        module: Any = importlib.import_module("proxy.mock.rsa_signing")
    except ImportError:
        log("tokens have no real signature: to verify them, install PyJWT and cryptography")
        return Unsigned()
    signer: Signer = module.RsaSigner()
    return signer
