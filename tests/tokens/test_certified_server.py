"""A client that proves itself without a secret, before the certified `oidc-provider` (T12)."""

import base64
import hashlib
import json
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from jwt.algorithms import ECAlgorithm

from tests.support.bearer_upstream import BearerUpstream
from tests.support.client_certificates import ClientFiles, write_self_signed
from tests.support.client_keys import Key, ec_key, jwk, pem, rsa_key
from tests.support.messages import request
from tests.support.oidc_server import oidc_server
from tests.support.running_proxy import running_proxy
from tests.support.waiting import within

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("no_leaks")]

CLIENT = "dev-proved-1"
LONG = 600  # a renewal that is due would be one more than those that are ordered
ALGORITHMS: dict[str, Key] = {"RS256": rsa_key(), "PS256": rsa_key("pss"), "ES256": ec_key()}


def public_members(name: str) -> dict[str, object]:
    """Return the public half of a key, as the server knows it."""
    members = jwk(ALGORITHMS[name], kid=name, alg=name, use="sig")
    private = {"d", "p", "q", "dp", "dq", "qi"}
    return {key: value for key, value in members.items() if key not in private}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_private_key_jwt(tmp_path: Path, algorithm: str) -> None:
    """T12: it verifies signature and claims, and refuses an assertion that it has seen before."""
    known = {
        "client_id": CLIENT,
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": {"keys": [public_members(name) for name in ALGORITHMS]},
    }
    path = tmp_path / "key"
    key = ALGORITHMS[algorithm]
    is_jwk = algorithm == "PS256"
    path.write_text(json.dumps(jwk(key, kid=algorithm, alg=algorithm)) if is_jwk else pem(key))
    upstream = BearerUpstream()
    async with (
        upstream.run() as url,
        oidc_server("s3cret-of-others", known, lifetime_seconds=LONG) as token_url,
        running_proxy(
            upstream=url,
            token_url=token_url,
            client_id=CLIENT,
            client_secret="",
            client_auth="private_key_jwt",
            client_key_file=path,
            client_key_id=algorithm,
        ) as proxy,
    ):
        for number in range(1, 4):
            await within(proxy.metric_becomes(number, "token_requests_total", outcome="ok"), "it")
            assert (await proxy.ask(request("GET /echo"))).status == 200
            proxy.control.reload()
        assert await proxy.metric("token_requests_total") >= 3
    assert (upstream.refused, upstream.clients) == (0, {CLIENT})


async def test_a_key_that_the_server_does_not_know(tmp_path: Path) -> None:
    """T12: the right client and `kid`, signed by another key: no token, whatever the proxy says."""
    known = {
        "client_id": CLIENT,
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": {"keys": [public_members("RS256")]},
    }
    path = tmp_path / "key"
    path.write_text(pem(rsa_key("other")))
    async with (
        oidc_server("s3cret-of-others", known) as token_url,
        running_proxy(
            upstream="https://up.test",
            token_url=token_url,
            client_id=CLIENT,
            client_secret="",
            client_auth="private_key_jwt",
            client_key_file=path,
            client_key_id="RS256",
        ) as proxy,
    ):
        await proxy.metric_becomes(1, "token_requests_total", outcome="invalid_client")
        assert await proxy.metric("token_requests_total", outcome="ok") == 0


def as_server(ca: trustme.CA, clients: trustme.CA) -> dict[str, str]:
    """Return what the server needs for TLS."""
    pair = ca.issue_cert("127.0.0.1")
    return {
        "cert": pair.cert_chain_pems[0].bytes().decode(),
        "key": pair.private_key_pem.bytes().decode(),
        "ca": clients.cert_pem.bytes().decode(),
    }


def known_by(method: str, files: ClientFiles) -> dict[str, object]:
    """Return what the server knows of the client: its name, or its very certificate."""
    known: dict[str, object] = {"client_id": CLIENT, "token_endpoint_auth_method": method}
    if method == "tls_client_auth":
        return known | {"tls_client_auth_san_dns": "client.test"}
    certificate = x509.load_pem_x509_certificate(files.cert.read_bytes())
    shown = certificate.public_bytes(Encoding.DER)
    public_key = certificate.public_key()
    assert isinstance(public_key, ec.EllipticCurvePublicKey)
    members = json.loads(ECAlgorithm.to_jwk(public_key))
    thumbprint = base64.urlsafe_b64encode(hashlib.sha256(shown).digest()).decode().rstrip("=")
    facts = {"x5c": [base64.b64encode(shown).decode()], "x5t#S256": thumbprint, "kid": "c1"}
    return known | {"jwks": {"keys": [members | facts]}}


@pytest.mark.parametrize("method", ["tls_client_auth", "self_signed_tls_client_auth"])
@pytest.mark.parametrize("is_known", [True, False])
async def test_tls_client_auth(tmp_path: Path, method: str, *, is_known: bool) -> None:
    """T12: it takes the certificate of its authority, or that very one, and no other."""
    ca, files = trustme.CA(), ClientFiles(tmp_path)
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    if method == "self_signed_tls_client_auth":
        write_self_signed(files.cert, files.key)
    known = known_by(method, files)
    if not is_known:
        write_self_signed(files.cert, files.key)
    upstream = BearerUpstream()
    async with (
        upstream.run() as url,
        oidc_server("s3cret-of-others", known, tls=as_server(ca, files.ca)) as token_url,
        running_proxy(
            upstream=url,
            token_url=token_url,
            client_id=CLIENT,
            ca_file=tmp_path / "ca.pem",
            **files.settings,
        ) as proxy,
    ):
        if not is_known:
            await proxy.metric_becomes(1, "token_requests_total", outcome="invalid_client")
            assert await proxy.metric("token_requests_total", outcome="ok") == 0
            return
        assert (await proxy.ask(request("GET /echo"))).status == 200
    assert (upstream.refused, upstream.clients) == (0, {CLIENT})
