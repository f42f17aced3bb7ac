"""MOCK of Signicat's authorization server: token endpoint and discovery (RFC 6749)."""

import base64
from typing import Final
from urllib.parse import parse_qsl, unquote_plus

from aiohttp import web

from proxy.mock.assertion import asserted
from proxy.mock.keys import MOCK, base_url
from proxy.mock.replies import json_reply, oauth_error
from proxy.mock.state import MockClient, MockSignicat

__all__ = ["routes"]

_SCOPE: Final = "signicat-api"
_TOKEN: Final = "/connect/token"  # noqa: S105 (a path)
_DISCOVERY: Final = "/.well-known/openid-configuration"
_KEYS: Final = f"{_DISCOVERY}/jwks"


def _basic(request: web.Request) -> tuple[str, str] | None:
    """Return id and secret from `Authorization: Basic`, form-decoded (RFC 6749 §2.3.1)."""
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        pair = base64.b64decode(encoded, validate=True).decode("utf-8")
    except ValueError:  # not base64, or not UTF-8
        return "", ""
    client_id, _, secret = pair.partition(":")
    return unquote_plus(client_id), unquote_plus(secret)


def _authenticated(
    mock: MockSignicat, request: web.Request, form: dict[str, str]
) -> MockClient | None:
    """Return the client whose credentials came one way, and only one (RFC 6749 §2.3)."""
    basic = _basic(request)
    if "client_assertion" in form:
        return asserted(mock, form, _urls(request)) if basic is None else None
    if basic is not None and "client_secret" in form:
        return None
    client_id, secret = basic or (form.get("client_id", ""), form.get("client_secret", ""))
    client = mock.client(client_id)
    return client if client is not None and secret in client.secrets else None


def _urls(request: web.Request) -> tuple[str, str]:
    """Return the URLs of the token endpoint: that of discovery, and the one that was asked."""
    return _issuer(request) + _TOKEN, f"{request.scheme}://{request.host}{request.path}"


def _issuer(request: web.Request) -> str:
    return f"{base_url(request)}/auth/open"


def _whole(seconds: float) -> float:
    """Return a whole number as one: JSON readers tell 600 from 600.0."""
    return int(seconds) if seconds == int(seconds) else seconds


async def _token(request: web.Request) -> web.Response:
    """Grant a token, or refuse as IdentityServer does: 400, even for a wrong secret."""
    mock = request.app[MOCK]
    try:
        form = dict(parse_qsl((await request.read()).decode("ascii"), keep_blank_values=True))
    except ValueError:
        form = {}
    reply = _grant_or_refuse(mock, request, form)
    outcome = "ok" if isinstance(reply, str) else reply[0]
    mock.token_requests[outcome] += 1
    if isinstance(reply, str):
        return json_reply(
            {
                "access_token": reply,
                "expires_in": _whole(mock.lifetime_seconds),
                "token_type": "Bearer",
                "scope": form.get("scope", _SCOPE),
            }
        )
    return oauth_error(*reply)


def _grant_or_refuse(
    mock: MockSignicat, request: web.Request, form: dict[str, str]
) -> str | tuple[str, str]:
    """Return a token, or error code and description."""
    if request.content_type != "application/x-www-form-urlencoded" or "grant_type" not in form:
        return "invalid_request", "MOCK: a form with grant_type is expected"
    client = _authenticated(mock, request, form)
    if client is None:
        return "invalid_client", "MOCK: unknown client, wrong secret, or wrong assertion"
    if form["grant_type"] != "client_credentials":
        return "unsupported_grant_type", "MOCK: only client_credentials"
    scope = form.get("scope", _SCOPE)
    if scope != _SCOPE:
        return "invalid_scope", f"MOCK: only {_SCOPE}"
    return mock.grant(client, scope, _issuer(request))


async def _discovery(request: web.Request) -> web.Response:
    """Return the discovery document (OpenID Connect Discovery 1.0)."""
    issuer = _issuer(request)
    return json_reply(
        {
            "issuer": issuer,
            "jwks_uri": issuer + _KEYS,
            "token_endpoint": issuer + _TOKEN,
            "grant_types_supported": ["client_credentials"],
            "token_endpoint_auth_methods_supported": [
                "client_secret_basic",
                "client_secret_post",
                "private_key_jwt",
            ],
            "scopes_supported": ["openid", "profile"],
        }
    )


async def _keys(request: web.Request) -> web.Response:
    """Return the keys that verify the tokens (RFC 7517); none where tokens are not signed."""
    return json_reply({"keys": list(request.app[MOCK].signer.keys)})


def routes() -> list[web.RouteDef]:
    """Return the routes of the authorization server."""
    return [
        web.post(f"/auth/open{_TOKEN}", _token),
        web.get(f"/auth/open{_DISCOVERY}", _discovery),
        web.get(f"/auth/open{_KEYS}", _keys),
    ]
