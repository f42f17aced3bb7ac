"""Callers that a certificate proves, over real TLS (I1)."""

import ssl
from pathlib import Path

import pytest
import trustme

from tests.support.callers import SHOP_KEY, STRANGE_KEY, bearer, key_file
from tests.support.messages import assert_problem, reply, request
from tests.support.running_proxy import RunningProxy, proxied
from tests.support.tls_callers import (
    UNREADABLE_NAMES,
    ServerFiles,
    caller_context,
    extended_caller_context,
    named_caller_context,
    tls_caller,
)
from tests.support.token_server import TokenServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("no_leaks")

SPIFFE = "spiffe://example.com/ns/billing/sa/default"
HOST = "localhost:8443"
CONFIG = """
[callers.billing]
certificate = ["{uri}", "app.example.com"]

[callers.web]
certificate = ["web.example.com"]

[callers.shop]
key_file = "{key}"
"""


def config_in(folder: Path) -> Path:
    """Write three callers: two by certificate, one by key."""
    path = folder / "callers.toml"
    path.write_text(CONFIG.format(uri=SPIFFE, key=key_file(folder, SHOP_KEY)))
    return path


async def first(proxy: RunningProxy, context: ssl.SSLContext, *lines: str) -> tuple[int, int]:
    """Send the same request twice on one connection; return both statuses."""
    caller = await tls_caller(proxy, context)
    message = request("GET /", *lines, host=HOST)
    return ((await caller.ask(message)).status, (await caller.ask(message)).status)


@pytest.mark.parametrize(
    ("dns", "uri", "lines", "name"),
    [
        ("other.example.com", SPIFFE, (), "billing"),
        ("APP.example.com", "spiffe://example.com/other", (), "billing"),
        ("web.example.com", "spiffe://example.com/other", (), "web"),
        ("web.example.com", "spiffe://example.com/other", (bearer(STRANGE_KEY),), "web"),
        ("web.example.com", "spiffe://example.com/other", (bearer(SHOP_KEY),), "shop"),
        ("other.example.com", "spiffe://example.com/other", (bearer(SHOP_KEY),), "shop"),
        ("other.example.com", "spiffe://example.com/other", (), None),
        ("a.web.example.com", SPIFFE + "/x", (), None),
        ("*.example.com", SPIFFE.upper(), (), None),
        ("web.example.com", SPIFFE, (), None),
    ],
)
async def test_a_name_in_a_certificate_proves_a_caller(
    tokens: TokenServer,
    tmp_path: Path,
    dns: str,
    uri: str,
    lines: tuple[str, ...],
    name: str | None,
) -> None:
    """URI and DNS names, whole; a key wins; the names of two callers prove neither (I1, I4)."""
    clients = trustme.CA()
    files = ServerFiles(tmp_path, clients)
    context = named_caller_context(files.ca, clients, tmp_path, dns=dns, uri=uri)
    config = config_in(tmp_path)
    async with proxied(tokens, reply(), config_file=config, **files.settings) as (proxy, upstream):
        status = 401 if name is None else 200
        assert await first(proxy, context, *lines) == (status, status)
        assert len(upstream.requests) == (0 if name is None else 2)
        assert SHOP_KEY.encode() not in upstream.received

        def told() -> list[tuple[str | None, str]]:
            events = [log for log in proxy.logs if log["event"] == "request"]
            return [(event.get("caller"), event["peer"]) for event in events]

        await eventually(lambda: told() == [(name, "127.0.0.1")] * 2, "both to be logged")


async def test_a_certificate_without_such_a_name(tokens: TokenServer, tmp_path: Path) -> None:
    """Of the right authority is not enough: that opens the connection, and no more (I1)."""
    clients = trustme.CA()
    files = ServerFiles(tmp_path, clients)
    context = caller_context(files.ca, clients.issue_cert("stranger.example.com"))
    config = config_in(tmp_path)
    async with proxied(tokens, reply(), config_file=config, **files.settings) as (proxy, _):
        caller = await tls_caller(proxy, context)
        answer = await caller.ask(request("GET /", host=HOST))
        assert_problem(answer, 401, "caller_unknown")


async def test_a_certificate_whose_names_cannot_be_read(
    tokens: TokenServer, tmp_path: Path
) -> None:
    """It proves nobody, and disturbs nothing (I1)."""
    clients = trustme.CA()
    files = ServerFiles(tmp_path, clients)
    context = extended_caller_context(files.ca, clients, tmp_path, UNREADABLE_NAMES)
    config = config_in(tmp_path)
    async with proxied(tokens, reply(), config_file=config, **files.settings) as (proxy, _):
        assert await first(proxy, context) == (401, 401)
        assert await first(proxy, context, bearer(SHOP_KEY)) == (200, 200)
