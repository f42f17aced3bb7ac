"""Several clients behind one proxy: each path gets the token of its own client."""

from pathlib import Path
from urllib.parse import parse_qs

import pytest

from tests.messages import Message, assert_problem, reply, request
from tests.running_proxy import proxied
from tests.token_server import TokenServer, number_of

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
