"""`signicat-proxy token`: one token request, for use with curl."""

import asyncio
import base64
import json
import sys
from datetime import UTC, datetime

from proxy.clock import SYSTEM_CLOCK
from proxy.net.name_cache import NameCache
from proxy.net.tls import client_context
from proxy.oauth.response import Failure, Grant
from proxy.server.credentials import new_rotation
from proxy.server.outgoing import new_token_endpoint
from proxy.settings.loader import ClientSettings, Settings

__all__ = ["print_token"]


def _chosen(settings: Settings, name: str | None) -> ClientSettings | str:
    """Return the client, or what is wrong with the choice."""
    clients = {client.name: client for client in settings.clients}
    if name is None and len(clients) == 1:
        return next(iter(clients.values()))
    if name in clients:
        return clients[str(name)]
    return f"name one of the clients with --client: {', '.join(clients)}"


def _claims(token: str) -> object:
    """Return the claims where the token happens to be a JWT, for people; nothing relies on it."""
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004 (RFC 7519: header, claims, signature)
        return None
    try:
        return json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return None


def _as_json(grant: Grant) -> str:
    expires = SYSTEM_CLOCK.wall() + grant.lifetime_seconds
    facts = {
        "access_token": grant.access_token,
        "token_type": "Bearer",
        "expires_in": grant.lifetime_seconds,
        "expires_at": datetime.fromtimestamp(expires, UTC).isoformat(timespec="seconds"),
        "scope": grant.scope,
        "claims": _claims(grant.access_token),
    }
    return json.dumps(facts, indent=2)


async def _ask(client: ClientSettings, settings: Settings) -> Grant | Failure:
    tls = client_context(settings.ca_file)
    names = NameCache(clock=SYSTEM_CLOCK)
    endpoint = new_token_endpoint(client, settings, tls, SYSTEM_CLOCK, names)
    secrets = new_rotation(client, settings)
    secret = secrets.read()
    try:
        result = secret if isinstance(secret, Failure) else (await endpoint.request(secret)).result
        if isinstance(result, Grant) or (fallback := secrets.fallback(result)) is None:
            return result
        setting = settings.name_of(client, "previous_secret_file")
        sys.stderr.write(f"signicat-proxy: {result.outcome}; trying the secret in {setting}\n")
        return (await endpoint.request(fallback)).result
    finally:
        await endpoint.close()


def print_token(settings: Settings, *, client: str | None, as_json: bool) -> int:
    """Print one token to stdout, or one line to stderr; return the exit code."""
    chosen = _chosen(settings, client)
    if isinstance(chosen, str):
        sys.stderr.write(f"signicat-proxy: {chosen}\n")
        return 2
    result = asyncio.run(_ask(chosen, settings))
    if isinstance(result, Failure):
        detail = f" ({result.detail})" if result.detail else ""
        sys.stderr.write(f"signicat-proxy: no token: {result.outcome}{detail}\n")
        return 1
    sys.stdout.write((_as_json(result) if as_json else result.access_token) + "\n")
    return 0
