"""Several clients behind one proxy: each path gets the token of its own client."""

import json
import re
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from tests.support.messages import Message, assert_problem, reply, request
from tests.support.peers import ByteServer
from tests.support.running_proxy import RunningProxy, proxied
from tests.support.token_server import TokenServer, number_of

pytestmark = pytest.mark.usefixtures("no_leaks")

CONFIG = """
client_auth = "client_secret_post"

[clients.auth]
client_id = "dev-auth-1"

[clients.sign]
client_id = "dev-sign-1"

[[routes]]
path = "/auth/rest"
client = "auth"

[[routes]]
path = "/sign"
client = "sign"
methods = ["GET", "POST"]

[[routes]]
path = "/sign/documents"
client = "auth"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Provide a file with two clients and three routes."""
    path = tmp_path / "config.toml"
    path.write_text(CONFIG)
    return path


def clients_of(tokens: TokenServer) -> list[str]:
    """Return which client each token was granted to, in order."""
    return [parse_qs(asked.body.decode())["client_id"][0] for asked in tokens.requests]


@pytest.mark.parametrize(
    ("target", "client"),
    [
        ("/auth/rest", "dev-auth-1"),
        ("/auth/rest/sessions?x=/sign", "dev-auth-1"),
        ("/sign/signing-sessions", "dev-sign-1"),
        ("/sign/documents", "dev-auth-1"),
        ("/sign/documents/7", "dev-auth-1"),
        ("/sign/documentsx", "dev-sign-1"),
    ],
)
async def test_the_longest_prefix_chooses_the_client(
    tokens: TokenServer, config: Path, target: str, client: str
) -> None:
    """On segment boundaries; the other client's token is never sent."""
    async with proxied(tokens, reply(), config_file=config) as (proxy, upstream):
        assert (await proxy.ask(request(f"GET {target}"))).status == 200
        (received,) = upstream.requests
        assert clients_of(tokens)[number_of(received) - 1] == client


async def test_a_route_may_name_its_methods(tokens: TokenServer, config: Path) -> None:
    """Others get 405 with the route's own `Allow`."""
    async with proxied(tokens, reply(), config_file=config) as (proxy, upstream):
        answer = await proxy.ask(request("DELETE /sign/signing-sessions/7"))
        assert_problem(answer, 405, "method_not_allowed")
        assert answer.head.value("Allow") == "GET, POST"
        assert (await proxy.ask(request("DELETE /sign/documents/7"))).status == 200
        assert len(upstream.requests) == 1


@pytest.mark.parametrize(
    ("target", "status", "code"),
    [
        ("/", 404, "no_route"),
        ("/auth", 404, "no_route"),
        ("/auth/restless", 404, "no_route"),
        ("//sign", 404, "no_route"),
        ("/sign/../auth/rest", 400, "ambiguous_path"),
        ("/sign//documents", 400, "ambiguous_path"),
        ("/sign/%64ocuments/7", 400, "ambiguous_path"),
        ("/sign/Documents", 400, "ambiguous_path"),
        ("/sign%2Fdocuments", 400, "ambiguous_path"),
        ("/sign%5cdocuments", 400, "ambiguous_path"),
    ],
)
async def test_other_paths_get_no_token(
    tokens: TokenServer, config: Path, target: str, status: int, code: str
) -> None:
    """Neither those under no route nor those that two readers could route differently (G4)."""
    async with proxied(tokens, reply(), config_file=config) as (proxy, upstream):
        assert_problem(await proxy.ask(request(f"GET {target}")), status, code)
        assert upstream.received == b""


async def test_a_refused_token_of_one_client_leaves_the_other_alone(
    tokens: TokenServer, config: Path
) -> None:
    """Tokens, renewals and metrics are each client's own (T1)."""

    async def answer(message: Message) -> bytes:
        is_refused = clients_of(tokens)[number_of(message) - 1] == "dev-sign-1"
        return reply("401 Unauthorized") if is_refused else reply()

    async with proxied(tokens, answer, config_file=config) as (proxy, _):
        assert (await proxy.ask(request("GET /auth/rest"))).status == 200
        assert (await proxy.ask(request("GET /sign"))).status == 401
        assert (await proxy.ask(request("GET /auth/rest"))).status == 200
        assert clients_of(tokens).count("dev-auth-1") == 1
        assert clients_of(tokens).count("dev-sign-1") == 2
        assert await proxy.metric("requests_total", client="auth", code="200") == 2
        assert await proxy.metric("requests_total", client="sign", code="401") == 1


async def test_requests_are_counted_by_route(tokens: TokenServer, config: Path) -> None:
    """By the path of the route, never by that of the request; refused ones are of none (M)."""
    async with proxied(tokens, reply(), config_file=config) as (proxy, _):
        for target in ("/auth/rest", "/sign", "/sign/a", "/sign/documents/7", "/other", "/sign/.."):
            await proxy.ask(request(f"GET {target}"))
        assert [
            await proxy.metric("requests_total", client=client, route=route, code=code)
            for client, route, code in (
                ("auth", "/auth/rest", "200"),
                ("sign", "/sign", "200"),
                ("auth", "/sign/documents", "200"),
                ("none", "none", "404"),
                ("none", "none", "400"),
            )
        ] == [1, 2, 1, 1, 1]
        assert await proxy.metric("request_duration_seconds_count", route="/sign") == 2
        assert await proxy.metric("upstream_duration_seconds_count", client="auth") == 2
        told = (await proxy.admin("GET /metrics")).body
    assert set(re.findall(rb'route="([^"]*)"', told)) == {
        *(b"/auth/rest", b"/sign", b"/sign/documents", b"none")
    }


def two_clients(tmp_path: Path, sign: str) -> Path:
    """Return a file whose second client has settings of its own."""
    path = tmp_path / "config.toml"
    path.write_text(CONFIG.replace('client_id = "dev-sign-1"', f'client_id = "dev-sign-1"\n{sign}'))
    return path


async def assert_only_sign_fails(proxy: RunningProxy) -> None:
    """See that one client's requests work while the other's get their 503, and probes say which."""
    caller = await proxy.connect()
    failing = [await proxy.connect() for _ in range(5)]
    for other in failing:
        await other.send(request("GET /sign"))
    for _ in range(100):
        assert (await caller.ask(request("GET /auth/rest"), seconds=1)).status == 200
    for other in failing:
        assert_problem(await other.read_answer(), 503, "token_unavailable")
    ready = await proxy.admin("GET /readyz")
    clients = json.loads(ready.body)["clients"]
    assert (ready.status, clients["auth"]["state"]) == (503, "ready")
    assert clients["sign"]["state"] == "not_ready"
    assert await proxy.metric("requests_total", client="auth", code="200") == 100
    assert await proxy.metric("token_consecutive_failures", client="auth") == 0


async def test_a_wrong_secret_of_one_client_disturbs_no_other(
    tokens: TokenServer, tmp_path: Path
) -> None:
    """Its requests get 503, the other's are answered (T1)."""
    tokens.refused_secret = b"client_secret=wrong"
    tokens.failure_of_refused = reply("400 Bad Request", body=b'{"error":"invalid_client"}')
    config = two_clients(tmp_path, 'client_secret = "wrong"')
    async with proxied(tokens, reply(), config_file=config, token_wait_seconds=0.5) as (proxy, _):
        await assert_only_sign_fails(proxy)


async def test_a_vanished_secret_file_of_one_client_disturbs_nobody(
    tokens: TokenServer, tmp_path: Path
) -> None:
    """Its last good secret serves on (T7), and the other client never notices."""
    secret = tmp_path / "secret"
    secret.write_text("of-sign")
    config = two_clients(tmp_path, f'client_secret_file = "{secret}"')
    async with proxied(tokens, reply(), config_file=config) as (proxy, _):
        await proxy.metric_becomes(2, "token_requests_total", outcome="ok")
        secret.unlink()
        assert (await proxy.admin("POST /-/refresh")).status == 202
        await proxy.metric_becomes(2, "token_requests_total", outcome="ok", client="auth")
        await proxy.metric_becomes(2, "token_requests_total", outcome="ok", client="sign")
        for target in ("/auth/rest", "/sign"):
            assert (await proxy.ask(request(f"GET {target}"))).status == 200


async def test_a_hanging_endpoint_of_one_client_disturbs_no_other(
    tokens: TokenServer, tmp_path: Path
) -> None:
    """Its token requests wait for their deadline alone (T11)."""
    async with ByteServer() as hanging:
        config = two_clients(tmp_path, f'token_url = "{hanging.url}/connect/token"')
        async with proxied(tokens, reply(), config_file=config, token_wait_seconds=0.5) as (
            proxy,
            _,
        ):
            await assert_only_sign_fails(proxy)
