"""Tokens that a JWT library verifies with what the mock publishes; and without the library (K)."""

import asyncio
import base64
import subprocess
import sys
from typing import Any

import jwt
import pytest

from proxy.mock.encoding import as_jwt_part
from proxy.mock.rsa_signing import RsaSigner
from proxy.mock.signing import Unsigned, new_signer
from tests.mock.bench import POST, TOKEN_PATH, Bench
from tests.support.source_tree import ROOT

DISCOVERY = "/auth/open/.well-known/openid-configuration"
WITHOUT = """
import sys
sys.modules["{missing}"] = None  # so that to import it fails, as where it is not installed
from proxy.mock.command import new_mock
mock = new_mock()
token = mock.grant(mock.clients[0], "signicat-api", "x")
print(mock.signer.keys, token.count("."), mock.holder(token) is mock.clients[0])
"""


@pytest.fixture(scope="module")
def signer() -> RsaSigner:
    """Provide one key for all tests: to make one takes a tenth of a second."""
    return RsaSigner()


async def test_a_library_verifies_a_token(bench: Bench, signer: RsaSigner) -> None:
    """By discovery alone: the issuer, the keys, and the key that the token names."""
    bench.mock.signer = signer
    _, _, granted = await bench.ask("POST", TOKEN_PATH, data=POST)
    _, _, discovery = await bench.ask("GET", DISCOVERY)
    path = discovery["jwks_uri"].removeprefix(bench.running.url)
    _, _, keys = await bench.ask("GET", path)
    token = granted["access_token"]
    header = jwt.get_unverified_header(token)
    key = jwt.PyJWKSet.from_dict(keys)[header["kid"]]
    claims: dict[str, Any] = jwt.decode(
        token,
        key,
        algorithms=["RS256"],
        issuer=discovery["issuer"],
        audience="https://api.signicat.com",
        options={"verify_exp": False, "verify_iat": False, "verify_nbf": False},
    )
    assert claims["scope"] == ["signicat-api"]
    assert header == {"alg": "RS256", "typ": "at+jwt", "kid": header["kid"]}
    assert header["kid"].startswith("sandbox-signing-key-")
    assert discovery["issuer"] == f"{bench.running.url}/auth/open"
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(token[:-8] + "AAAAAAAA", key, algorithms=["RS256"])


async def test_discovery_follows_the_public_url(bench: Bench, signer: RsaSigner) -> None:
    """Where URLs begin with another name, the issuer does so too, in token and discovery."""
    bench.mock.signer, bench.mock.public_url = signer, "https://mock.test/"
    _, _, granted = await bench.ask("POST", TOKEN_PATH, data=POST)
    _, _, discovery = await bench.ask("GET", DISCOVERY)
    claims = jwt.decode(granted["access_token"], options={"verify_signature": False})
    assert discovery["issuer"] == claims["iss"] == "https://mock.test/auth/open"
    assert discovery["token_endpoint"] == f"https://mock.test{TOKEN_PATH}"


def test_no_two_mocks_have_the_same_key(signer: RsaSigner) -> None:
    """And none publishes anything private."""
    (key,), (other,) = signer.keys, RsaSigner().keys
    assert key["kid"] != other["kid"]
    assert set(key) == {"kty", "n", "e", "kid", "use", "alg"}


async def test_without_a_key_tokens_look_the_same(bench: Bench) -> None:
    """The key set is empty, and a token has three parts still."""
    assert isinstance(bench.mock.signer, Unsigned)
    assert (await bench.ask("GET", f"{DISCOVERY}/jwks"))[2] == {"keys": []}
    _, _, granted = await bench.ask("POST", TOKEN_PATH, data=POST)
    claims = jwt.decode(granted["access_token"], options={"verify_signature": False})
    assert claims["iss"] == f"{bench.running.url}/auth/open"


@pytest.mark.parametrize("missing", ["jwt", "cryptography"])
async def test_the_extra_may_be_missing(missing: str) -> None:
    """The mock starts all the same, and says in one line how to get signatures."""
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", WITHOUT.format(missing=missing)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "() 2 True\n"
    (line,) = done.stderr.splitlines()
    assert line.startswith("MOCK: tokens have no real signature")
    assert line.endswith(": to verify them, install PyJWT and cryptography")


def test_with_the_extra_nothing_is_said() -> None:
    """It is installed here."""
    lines: list[str] = []
    assert isinstance(new_signer(lines.append), RsaSigner)
    assert lines == []


def test_parts_of_a_token_have_no_padding() -> None:
    """As RFC 7515 asks, for bytes and for objects alike."""
    assert as_jwt_part(b"\xff\xfe") == "__4"
    assert base64.urlsafe_b64decode(as_jwt_part({"a": 1}) + "==") == b'{"a":1}'
