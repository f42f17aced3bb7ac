"""The mock's own endpoints, under `/__mock__`: faults, clients, tokens, a look inside, a reset."""

import json
from typing import Annotated, Final

from pydantic import Field

from proxy.mock.body import Body
from proxy.mock.endpoint import Call, Endpoint, Result, endpoint
from proxy.mock.errors import ApiError, invalid_param, not_found
from proxy.mock.faults import Fault, FaultError
from proxy.mock.page import page
from proxy.mock.products import PERMISSIONS
from proxy.mock.state import MockClient

__all__ = ["ENDPOINTS"]


class Lifetime(Body):
    """The lifetime of tokens that are granted from now on."""

    seconds: Annotated[float, Field(ge=0, le=3600)]


class Secrets(Body):
    """The secrets of a client: all of them are valid."""

    secrets: list[Annotated[str, Field(min_length=1)]]


class Permissions(Body):
    """What a client may call; null: all that is not withheld."""

    permissions: list[str] | None


def _page(_: Call) -> Result:
    return page(
        "for development only",
        "See /__mock__/stats, /__mock__/requests, /__mock__/faults, /__mock__/clients.",
    )


def _get_faults(call: Call) -> Result:
    return {"faults": call.mock.faults.as_json()}


def _put_faults(call: Call) -> Result:
    """Replace the faults: one object, a list of them, or `{"faults": [...]}`."""
    try:
        body = json.loads(call.data)
        wanted = body.get("faults", [body]) if isinstance(body, dict) else body
        if not isinstance(wanted, list):
            raise FaultError("'faults' must be a list of faults")
        faults = [Fault.from_json(item) for item in wanted]
    except (ValueError, RecursionError) as error:
        raise ApiError(400, str(error)) from None
    call.mock.faults.put(faults)
    return _get_faults(call)


def _delete_faults(call: Call) -> Result:
    call.mock.faults.put([])
    return None


def _put_lifetime(call: Call, wanted: Lifetime) -> Result:
    call.mock.lifetime_seconds = wanted.seconds
    return {"seconds": wanted.seconds}


def _client(call: Call) -> MockClient:
    client = call.mock.client(call.path["id"])
    if client is None:
        raise not_found("client")
    return client


def _shown(client: MockClient) -> dict[str, object]:
    permissions = None if client.permissions is None else sorted(client.permissions)
    return {
        "client_id": client.client_id,
        "secrets": len(client.secrets),
        "permissions": permissions,
    }


def _get_clients(call: Call) -> Result:
    return {"clients": [_shown(client) for client in call.mock.clients]}


def _put_secrets(call: Call, wanted: Secrets) -> Result:
    client = _client(call)
    client.secrets = wanted.secrets
    return _shown(client)


def _put_permissions(call: Call, wanted: Permissions) -> Result:
    client = _client(call)
    if wanted.permissions is None:
        client.permissions = None
        return _shown(client)
    unknown = sorted(set(wanted.permissions) - PERMISSIONS)
    if unknown:
        known = ", ".join(sorted(PERMISSIONS))
        raise invalid_param("permissions", f"'{unknown[0]}' is none of: {known}")
    client.permissions = frozenset(wanted.permissions)
    return _shown(client)


def _revoke(call: Call) -> Result:
    return {"revoked": call.mock.revoke_all()}


def _reset(call: Call) -> Result:
    call.mock.reset()
    return None


def _requests(call: Call) -> Result:
    return {"requests": list(call.mock.requests)}


def _stats(call: Call) -> Result:
    return {
        "token_requests": dict(call.mock.token_requests),
        "statuses": {str(status): amount for status, amount in call.mock.statuses.items()},
    }


ENDPOINTS: Final[tuple[Endpoint, ...]] = (
    endpoint("GET", "/", _page),
    endpoint("GET", "/__mock__/faults", _get_faults),
    endpoint("PUT", "/__mock__/faults", _put_faults),
    endpoint("DELETE", "/__mock__/faults", _delete_faults, status=204),
    endpoint("PUT", "/__mock__/lifetime", _put_lifetime, takes=Lifetime),
    endpoint("GET", "/__mock__/clients", _get_clients),
    endpoint("PUT", "/__mock__/clients/{id}/secrets", _put_secrets, takes=Secrets),
    endpoint("PUT", "/__mock__/clients/{id}/permissions", _put_permissions, takes=Permissions),
    endpoint("POST", "/__mock__/revoke", _revoke),
    endpoint("POST", "/__mock__/reset", _reset, status=204),
    endpoint("GET", "/__mock__/requests", _requests),
    endpoint("GET", "/__mock__/stats", _stats),
)
