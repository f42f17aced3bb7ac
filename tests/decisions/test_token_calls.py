"""Which requests are an application's token calls, and what they get (P1, G4)."""

import base64
import json
from urllib.parse import urlsplit

import jwt
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from proxy.errors import ErrorKind, ProxyError
from proxy.guard.admission import Admission
from proxy.guard.known_callers import KnownCallers
from proxy.guard.policy import Policy
from proxy.guard.routing import NO_CLIENT, Route, Router
from proxy.guard.token_calls import TOKEN_CALL, token_call_paths
from proxy.http1.headers import MessageHeaders
from proxy.http1.placeholder_response import PLACEHOLDER_TOKEN
from proxy.http1.request import KnownHead, Request
from proxy.settings import values
from tests.decisions.test_policy import TOKEN_PATHS

TOKEN_URL = "https://api.signicat.com/auth/open/connect/token"
TOKEN_PATH = b"/auth/open/connect/token"
GW = "https://gw.test/base"


def gate(
    *token_urls: str, upstream: str = "https://api.signicat.com", is_on: bool = True
) -> Admission:
    """Return the guard for these endpoints; only `/sign` and GET are allowed, and have a route."""
    policy = Policy(
        upstream_url=upstream,
        token_urls=token_urls,
        allowed_hosts=("localhost",),
        allowed_paths=("/sign",),
        allowed_methods=("GET",),
        routes_restrict_paths=True,
    )
    paths = token_call_paths(token_urls, upstream) if is_on else frozenset()
    return Admission(policy, Router([Route(b"/sign", "sign")]), KnownCallers(), paths)


def admitted(guard: Admission, target: bytes, method: bytes = b"POST") -> Route | ErrorKind:
    """Return what becomes of a request."""
    headers = MessageHeaders([], {b"host": b"localhost"}, 0, frozenset())
    request = Request(
        method, target, b"HTTP/1.1", headers, b"localhost", KnownHead(), names_target=False
    )
    try:
        return guard.admit(request, guard.callers.peer(None))
    except ProxyError as error:
        return error.kind


@pytest.mark.parametrize(
    ("token_url", "upstream", "paths"),
    [
        (TOKEN_URL, "https://api.signicat.com", {TOKEN_PATH}),
        (TOKEN_URL, "https://api.signicat.com/", {TOKEN_PATH}),
        ("https://idp.test/oauth/token", "https://api.signicat.com", {b"/oauth/token"}),
        ("https://idp.test", "https://api.signicat.com", {b"/"}),
        ("https://idp.test/Token/", "https://api.signicat.com", {b"/Token/"}),
        (f"{GW}/connect/token", GW, {b"/base/connect/token", b"/connect/token"}),
        (f"{GW}/connect/token", f"{GW}/", {b"/base/connect/token", b"/connect/token"}),
        ("https://gw.test:443/base/t", GW, {b"/base/t", b"/t"}),
        ("https://GW.test/base/t", GW, {b"/base/t", b"/t"}),
        ("https://gw.test./base/t", GW, {b"/base/t", b"/t"}),
        ("https://[::1]/base/t", "https://[0:0:0:0:0:0:0:1]/base", {b"/base/t", b"/t"}),
        (GW, GW, {b"/base", b"/"}),
        ("https://gw.test/baseline/t", GW, {b"/baseline/t"}),
        ("https://gw.test/other/t", GW, {b"/other/t"}),
        ("https://gw.test:444/base/t", GW, {b"/base/t"}),
        ("http://gw.test/base/t", GW, {b"/base/t"}),
        ("https://idp.test/base/t", GW, {b"/base/t"}),
    ],
)
def test_the_paths_of_a_token_endpoint(token_url: str, upstream: str, paths: set[bytes]) -> None:
    """It is the setting's path; below UPSTREAM_URL also what follows that."""
    assert token_call_paths([token_url], upstream) == paths


def test_each_client_has_its_endpoint() -> None:
    """Several clients with several token URLs: each path is one; Signicat's own is none of them."""
    guard = gate("https://a.test/a/token", "https://b.test/b/token")
    assert admitted(guard, b"/a/token") is TOKEN_CALL
    assert admitted(guard, b"/b/token?x=%2e%2e/") is TOKEN_CALL
    for path in (b"/a", b"/b/token/", TOKEN_PATH):
        assert isinstance(admitted(guard, path), ErrorKind)


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"PUT", b"OPTIONS", b"post", b"POST2"])
def test_only_a_post_is_a_token_call(method: bytes) -> None:
    """Any other method gets what it gets without the setting."""
    without = admitted(gate(TOKEN_URL, is_on=False), TOKEN_PATH, method)
    assert isinstance(without, ErrorKind)
    assert without.code == "path_not_allowed"
    assert admitted(gate(TOKEN_URL), TOKEN_PATH, method) is without


@pytest.mark.parametrize("path", TOKEN_PATHS)
def test_only_the_exact_path_is_a_token_call(path: bytes) -> None:
    """Every other spelling, and what is below it, is refused as without the setting (G4)."""
    if path == TOKEN_PATH:
        assert admitted(gate(TOKEN_URL), path) is TOKEN_CALL
        return
    without = admitted(gate(TOKEN_URL, is_on=False), path)
    assert isinstance(without, ErrorKind)
    assert admitted(gate(TOKEN_URL), path) is without


SEGMENT = st.text("aZ0-_~;%.", min_size=1, max_size=5).filter(lambda text: text.strip("."))
PATH = st.lists(SEGMENT, max_size=3).map(lambda names: "".join(f"/{name}" for name in names))


def accepted(url: str) -> bool:
    """Say whether the settings take a URL."""
    try:
        return values.url(url) == url
    except ValueError:
        return False


@given(base=PATH, path=PATH, below=st.booleans())
def test_a_token_call_is_nothing_that_is_forwarded(base: str, path: str, *, below: bool) -> None:
    """What gets a placeholder would have been refused, whatever the URLs are (G4)."""
    upstream = f"https://gw.test{base}"
    token_url = f"{upstream if below else 'https://idp.test'}{path}"
    assume(accepted(upstream) and accepted(token_url))
    paths = token_call_paths([token_url], upstream)
    assert (urlsplit(token_url).path or "/").encode() in paths
    policy = Policy(upstream_url=upstream, token_urls=[token_url], allowed_hosts=())
    for each in paths:
        with pytest.raises(ProxyError):
            policy.check_path(each)


def test_token_calls_are_nobodys() -> None:
    """They go out as no client, and so have the token of none."""
    assert TOKEN_CALL.client == NO_CLIENT


def test_the_token_says_what_it_is() -> None:
    """It is three parts of base64url; header and claims are JSON for whoever reads them."""
    header, claims, signature = (
        base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
        for part in PLACEHOLDER_TOKEN.split(".")
    )
    assert "placeholder" in json.loads(header)["kid"]
    assert json.loads(claims) == {
        "iss": "signicat-proxy",
        "sub": "placeholder",
        "note": "worth nothing; signicat-proxy adds the access token",
        "exp": 4_102_444_800,
    }
    assert signature == b"placeholder, not a signature"


def account_id_as_the_sdk_reads_it(token: str) -> object:
    """Read a token as Signicat's .NET SDK does: `Split('.')[1]`, padded, ASCII, a dictionary."""
    part = token.split(".")[1].replace("-", "+").replace("_", "/")
    part += {2: "==", 3: "="}.get(len(part) % 4, "")
    claims = json.loads(base64.b64decode(part, validate=True).decode("ascii"))
    assert isinstance(claims, dict)
    return claims.get("account_id")


def test_readers_can_read_it_and_none_can_verify_it() -> None:
    """The SDK finds no account to put into queries; libraries read it, and refuse to trust it."""
    assert account_id_as_the_sdk_reads_it(PLACEHOLDER_TOKEN) is None
    assert jwt.get_unverified_header(PLACEHOLDER_TOKEN)["alg"] == "RS256"
    # Its end is in the future for readers that look at it.
    claims = jwt.decode(PLACEHOLDER_TOKEN, options={"verify_signature": False, "verify_exp": True})
    assert claims["sub"] == "placeholder"
    with pytest.raises(jwt.InvalidTokenError):
        jwt.decode(PLACEHOLDER_TOKEN, "secret", algorithms=["HS256", "none"])
