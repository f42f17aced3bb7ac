"""Private keys of clients, and a token endpoint that verifies what they sign (RFC 7523)."""

import json
import time
from collections.abc import Mapping
from functools import cache
from typing import Any, Final
from urllib.parse import parse_qsl

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from tests.support.messages import Message, reply
from tests.support.token_server import TokenServer

__all__ = ["ASSERTION_TYPE", "AssertionServer", "Key", "ec_key", "jwk", "pem", "public", "rsa_key"]

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@cache
def rsa_key(name: str = "", bits: int = 2048) -> rsa.RSAPrivateKey:
    """Return the RSA key with this name, which is made once."""
    del name
    return rsa.generate_private_key(65537, bits)


@cache
def ec_key(name: str = "") -> ec.EllipticCurvePrivateKey:
    """Return the key of the curve P-256 with this name, which is made once."""
    del name
    return ec.generate_private_key(ec.SECP256R1())


def pem(key: Key, form: PrivateFormat = PrivateFormat.PKCS8) -> str:
    """Return a key as PEM."""
    return key.private_bytes(Encoding.PEM, form, NoEncryption()).decode()


def public(key: Key) -> str:
    """Return the public half as PEM."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def jwk(key: Key, **members: object) -> dict[str, Any]:
    """Return a key as a JWK; None takes a member out."""
    algorithm: Any = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
    found: dict[str, Any] = algorithm.to_jwk(key, as_dict=True)
    found.pop("key_ops", None)
    return {name: value for name, value in (found | members).items() if value is not None}


class AssertionServer(TokenServer):
    """Grants a token to whoever proves to have one of `known`, keys by their ids.

    Every claim is checked as RFC 7523 §3 says, by a clock that is `ahead_seconds` ahead of this
    machine's, and whose time stands in `Date`. `seen` holds the claims and `kid` of each proof.
    """

    def __init__(self, client_id: str, known: Mapping[str | None, Key]) -> None:
        super().__init__()
        self.client_id = client_id
        self.known = dict(known)
        self.ahead_seconds = 0.0
        self.algorithms = ("RS256", "PS256", "ES256")
        self.seen: list[dict[str, Any]] = []
        self.assertions: list[str] = []
        self.faults: list[str] = []

    async def _grant(self, message: Message) -> bytes:
        fault = self._fault_in(message)
        self.faults.append(fault)
        if not fault:
            return await super()._grant(message)
        now = time.time() + self.ahead_seconds
        date = time.strftime("Date: %a, %d %b %Y %H:%M:%S GMT", time.gmtime(now))
        body = json.dumps({"error": "invalid_client", "error_description": fault}).encode()
        return reply("400 Bad Request", date, body=body)

    def _fault_in(self, message: Message) -> str:
        assert message.head.values("Authorization") == []
        form = dict(parse_qsl(message.body.decode(), strict_parsing=True))
        assertion = form.pop("client_assertion")
        self.assertions.append(assertion)
        assert form == {
            "grant_type": "client_credentials",
            "scope": "signicat-api",
            "client_assertion_type": ASSERTION_TYPE,
        }
        header = jwt.get_unverified_header(assertion)
        key = self.known.get(header.get("kid"))
        if key is None:
            return "unknown kid"
        options: Any = {"verify_exp": False, "verify_iat": False}
        try:
            claims = jwt.decode(
                assertion,
                public(key),
                algorithms=list(self.algorithms),
                audience=self.token_url,
                issuer=self.client_id,
                options=options,
            )
        except jwt.PyJWTError as error:
            return str(error)
        return self._fault_of(claims, header)

    def _fault_of(self, claims: dict[str, Any], header: Mapping[str, Any]) -> str:
        now = time.time() + self.ahead_seconds
        assert set(claims) == {"iss", "sub", "aud", "jti", "iat", "exp"}
        assert claims["sub"] == self.client_id
        assert claims["exp"] - claims["iat"] == 60
        assert len(claims["jti"]) >= 22
        is_reused = claims["jti"] in {each["jti"] for each in self.seen}
        self.seen.append({**claims, **header})
        if is_reused:
            return "jti was used before"
        if claims["exp"] <= now:
            return "expired"
        return "issued in the future" if claims["iat"] > now + 1 else ""
