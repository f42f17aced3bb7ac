"""What test suites need: permissions, faults where they are wanted, a reset (K)."""

import random
from typing import Any

import pytest

from proxy.mock import Fault, FaultError, Faults, MockClient, MockSignicat
from tests.mock.bench import CLIENT, POST, TOKEN_PATH, Api, Bench
from tests.mock.odd_values import ODD_BODIES, ODD_TEXTS

PERMISSIONS_PATH = "/__mock__/clients/dev-a%20b-1/permissions"
SESSIONS = "/auth/rest/sessions"


async def test_permissions_can_be_changed_while_it_runs(api: Api) -> None:
    """They count at once, for tokens that are there too; null gives everything back."""
    wanted = {"permissions": ["Signature API"]}
    status, _, client = await api.ask("PUT", PERMISSIONS_PATH, json=wanted)
    assert (status, client) == (200, {"client_id": CLIENT, "secrets": 1} | wanted)
    assert (await api.call("GET", "/sign/signing-sessions"))[0] == 200
    status, error = await api.call("GET", f"{SESSIONS}/x")
    assert (status, error["detail"]) == (403, "MOCK: the client lacks 'Authentication REST API'")
    assert (await api.ask("GET", "/__mock__/clients"))[2] == {"clients": [client]}
    await api.ask("PUT", PERMISSIONS_PATH, json={"permissions": []})
    assert (await api.call("GET", "/sign/signing-sessions"))[0] == 403
    assert (await api.call("GET", "/mock/bytes?size=1"))[0] == 200
    await api.ask("PUT", PERMISSIONS_PATH, json={"permissions": None})
    assert (await api.call("GET", f"{SESSIONS}/x"))[0] == 404


@pytest.mark.parametrize("permission", ["Data Verification for organisations", None])
async def test_head_needs_what_get_needs(api: Api, permission: str | None) -> None:
    """The permission of a single endpoint holds for both."""
    api.mock.clients[0].permissions = frozenset({permission} if permission else ())
    path = "/info/lookup/countries/NO/organizations/999000111"
    statuses = [(await api.exchange(method, path))[0] for method in ("GET", "HEAD")]
    assert statuses == ([200, 200] if permission else [403, 403])


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (PERMISSIONS_PATH, {"permissions": ["Signature"]}, 400),
        (PERMISSIONS_PATH, {"permissions": "Signature API"}, 400),
        (PERMISSIONS_PATH, {}, 400),
        ("/__mock__/clients/x/permissions", {"permissions": []}, 404),
    ],
)
async def test_permissions_that_nobody_has_are_refused(
    bench: Bench, path: str, body: dict[str, Any], status: int
) -> None:
    """A name that no product asks for would be a test that proves nothing."""
    got, _, error = await bench.ask("PUT", path, json=body)
    assert got == status
    assert "Signature API" in error["detail"] or body != {"permissions": ["Signature"]}


FITS = [
    ({}, True),
    ({"path": "/sign"}, True),
    ({"path": "/sign/"}, True),
    ({"path": "/sign/documents/1"}, True),
    ({"path": "/sig"}, False),
    ({"path": "/sign/documents/12"}, False),
    ({"path": "/sign/*"}, True),
    ({"path": "/*/documents/?"}, True),
    ({"path": "/sign/[ab]*"}, False),
    ({"method": "GET"}, True),
    ({"method": "POST"}, False),
    ({"target": "token"}, False),
    ({"target": "api", "path": "/sign", "method": "GET"}, True),
]


@pytest.mark.parametrize(("where", "is_hit"), FITS)
def test_a_fault_hits_where_it_was_wanted(
    where: dict[str, Any],
    is_hit: bool,  # noqa: FBT001 (a table)
) -> None:
    """A prefix on segment boundaries or a pattern, a method, a target: all must fit."""
    fault = Fault.from_json({"kind": "html", **where})
    assert fault.fits("api", "GET", "/sign/documents/1") is is_hit


async def test_a_fault_for_one_call_of_many(api: Api) -> None:
    """Creating a session fails twice, everything else works."""
    fault = {"kind": "status", "status": 503, "method": "POST", "path": SESSIONS, "times": 2}
    assert (await api.ask("PUT", "/__mock__/faults", json=fault))[0] == 200
    assert (await api.call("GET", f"{SESSIONS}/x"))[0] == 404
    statuses = [(await api.call("POST", SESSIONS, json={"flow": "headless"}))[0] for _ in range(3)]
    assert statuses == [503, 503, 200]


NO_NUMBERS: list[object] = [1.5, "1", True]
NO_KINDS: list[object] = [[], {}, None, 1]
NO_PATHS: list[object] = ["sign", "*", "", 1, []]
NO_METHODS: list[object] = ["get", "", 1]
NO_DELAYS: list[object] = ["a\r\nb", True, [], 1.5]
ODD_FAULTS: list[dict[str, object]] = [
    *({"kind": "html", "times": value} for value in NO_NUMBERS),
    *({"kind": "html", "status": value} for value in NO_NUMBERS),
    *({"kind": kind} for kind in NO_KINDS),
    *({"kind": "html", "path": value} for value in NO_PATHS),
    *({"kind": "html", "method": value} for value in NO_METHODS),
    *({"kind": "html", "retry_after": value} for value in NO_DELAYS),
    *({"kind": "html", text: 1} for text in ODD_TEXTS),
    {"kind": "latency", "milliseconds": float("nan")},
    {"kind": "html", "probability": float("inf")},
]


@pytest.mark.parametrize("fault", ODD_FAULTS, ids=range(len(ODD_FAULTS)))
def test_odd_faults_are_refused(fault: dict[str, Any]) -> None:
    """With the one error that a fault can have."""
    with pytest.raises(FaultError):
        Fault.from_json(fault)


@pytest.mark.parametrize("body", ODD_BODIES, ids=range(len(ODD_BODIES)))
async def test_odd_bodies_are_no_faults(bench: Bench, body: bytes) -> None:
    """Nothing that comes is a mistake of the mock's; an empty list is no fault at all."""
    status, _, _ = await bench.ask("PUT", "/__mock__/faults", data=body)
    assert status == (200 if body == b"[]" else 400)


async def test_a_reset_makes_everything_new(bench: Bench) -> None:
    """Faults, secrets, permissions, lifetime, tokens, things, counts: all as at the start."""
    headers = await bench.token()
    mock = bench.mock
    _, _, session = await bench.ask("POST", SESSIONS, json={"flow": "headless"}, headers=headers)
    await bench.ask("PUT", "/__mock__/lifetime", json={"seconds": 3})
    await bench.ask("PUT", PERMISSIONS_PATH, json={"permissions": []})
    await bench.ask("PUT", "/__mock__/clients/dev-a%20b-1/secrets", json={"secrets": ["new"]})
    await bench.ask("PUT", "/__mock__/faults", json={"kind": "html", "target": "token"})
    assert (await bench.ask("POST", "/__mock__/reset"))[0] == 204
    assert (list(mock.requests), mock.token_requests, mock.ids) == ([], {}, [])
    assert mock.statuses == {204: 1}
    assert (await bench.ask("GET", "/__mock__/faults"))[2] == {"faults": []}
    assert (await bench.ask("GET", "/mock/bytes", headers=headers))[0] == 401
    status, _, granted = await bench.ask("POST", TOKEN_PATH, data=POST)
    assert (status, granted["expires_in"]) == (200, 600)
    fresh = {"Authorization": f"Bearer {granted['access_token']}"}
    assert (await bench.ask("GET", f"{SESSIONS}/{session['id']}", headers=fresh))[0] == 404


def test_faults_and_dice_of_the_start_come_back() -> None:
    """A run after a reset meets what the first one met, in the same order."""
    fault = Fault("html", times=2, probability=0.5)
    mock = MockSignicat(
        clients=[MockClient("a", ["b"])],
        clock=lambda: 0,
        wall=lambda: 0,
        faults=Faults(random.Random(7), (fault,)),
    )

    def run() -> list[bool]:
        return [bool(mock.faults.take("api", "GET", "/")) for _ in range(10)]

    first = run()
    assert sum(first) == 2
    assert mock.faults.as_json() == []
    mock.reset()
    assert run() == first
