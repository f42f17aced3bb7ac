"""Clients that prove themselves to the mock by an assertion (K, T12)."""

import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest

from proxy.mock.assertion import ASSERTION_TYPE
from proxy.mock.server import serve_mock
from tests.mock.bench import BASIC, CLIENT, FORM, TOKEN_PATH, Bench
from tests.support.client_keys import ec_key, pem
from tests.support.messages import reply
from tests.support.peers import ByteServer
from tests.support.running_proxy import running_proxy

NOW = 1_800_000_000
HEADER = {"alg": "ES256", "typ": "JWT"}


def part(content: object) -> str:
    """Return one part of a JWT."""
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def claims(bench: Bench, **changes: object) -> dict[str, object]:
    """Return good claims, but for the changes; None leaves one out."""
    url = bench.running.url + TOKEN_PATH
    good = {"iss": CLIENT, "sub": CLIENT, "aud": url, "exp": NOW + 60, "jti": "one"}
    return {name: value for name, value in (good | changes).items() if value is not None}


def form(*parts: object, **more: str) -> dict[str, str]:
    """Return the form of a token request with these parts of an assertion."""
    assertion = ".".join(map(part, parts))
    return FORM | {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion, **more}


async def test_an_assertion_is_good_once(bench: Bench) -> None:
    """Its `jti` is refused while it is valid; after a reset the mock knows of none."""
    sent = form(HEADER, claims(bench), b"signed")
    status, _, body = await bench.ask("POST", TOKEN_PATH, data=sent)
    assert (status, body["expires_in"]) == (200, 600)
    assert (await bench.ask("POST", TOKEN_PATH, data=sent))[0] == 400
    again = form(HEADER, claims(bench, jti="two"), b"signed")
    assert (await bench.ask("POST", TOKEN_PATH, data=again))[0] == 200
    bench.mock.reset()
    assert (await bench.ask("POST", TOKEN_PATH, data=sent))[0] == 200


CHANGES: dict[str, dict[str, Any]] = {
    "another issuer": {"iss": "x"},
    "another subject": {"sub": "x"},
    "an unknown client": {"iss": "x", "sub": "x"},
    "an issuer that is no text": {"iss": 7, "sub": 7},
    "another audience": {"aud": "https://idp.test/token"},
    "no audience": {"aud": None},
    "the past": {"exp": NOW},
    "more than an hour": {"exp": NOW + 3601},
    "a number beyond all": {"exp": 10**400},
    "no number": {"exp": float("nan")},
    "no end": {"exp": None},
    "no id": {"jti": None},
    "an empty id": {"jti": ""},
}


@pytest.mark.parametrize("change", CHANGES)
async def test_claims_are_checked(bench: Bench, change: str) -> None:
    """RFC 7523 §3: each of them."""
    sent = form(HEADER, claims(bench, **CHANGES[change]), b"signed")
    status, _, body = await bench.ask("POST", TOKEN_PATH, data=sent)
    assert (status, body["error"]) == (400, "invalid_client")


async def test_what_is_no_assertion_is_refused(bench: Bench) -> None:
    """No JWT, an unsigned one, another type, or a second way beside it (RFC 6749 §2.3)."""
    good = claims(bench)
    for sent in (
        form(HEADER, good),
        form(HEADER, good, b""),
        form({"alg": "none"}, good, b"signed"),
        form({"alg": "HS256"}, good, b"signed"),
        form([], good, b"signed"),
        form(HEADER, "x", b"signed"),
        form(HEADER, b"{", b"signed"),
        form(HEADER, good, b"signed", client_assertion_type="x"),
        form(HEADER, good, b"signed", client_secret="x"),
        form(HEADER, good, b"signed", client_id="x"),
        form(HEADER, good, b"signed", client_assertion="%"),
    ):
        assert (await bench.ask("POST", TOKEN_PATH, data=sent))[0] == 400, sent
    sent, headers = form(HEADER, good, b"signed"), {"Authorization": BASIC}
    assert (await bench.ask("POST", TOKEN_PATH, data=sent, headers=headers))[0] == 400
    named = form(HEADER, claims(bench, aud=["x", good["aud"]]), b"signed", client_id=CLIENT)
    assert (await bench.ask("POST", TOKEN_PATH, data=named))[0] == 200


async def test_the_proxy_gets_tokens_by_a_key(tmp_path: Path) -> None:
    """T12: as from Signicat, each call with an assertion of its own."""
    path, bench = tmp_path / "key", Bench()
    path.write_text(pem(ec_key()))
    bench.mock.clients[0].client_id = "dev-tester-1"
    bench.mock.wall = time.time
    async with serve_mock(bench.mock, "127.0.0.1", 0) as running, ByteServer(reply()) as upstream:
        settings: dict[str, Any] = {
            "client_auth": "private_key_jwt",
            "client_secret": "",
            "client_key_file": path,
            "client_key_id": "k1",
        }
        token_url = running.url + TOKEN_PATH
        async with running_proxy(upstream=upstream.url, token_url=token_url, **settings) as proxy:
            for number in range(1, 4):
                await proxy.metric_becomes(number, "token_requests_total", outcome="ok")
                proxy.control.reload()
    assert bench.mock.token_requests["invalid_client"] == 0
