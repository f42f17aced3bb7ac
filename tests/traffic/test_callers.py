"""Callers that prove who they are, over real sockets (I1, I2, I4)."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus, urlsplit

import pytest

from proxy.http1.placeholder_response import PLACEHOLDER_TOKEN
from tests.support.callers import (
    BILLING_KEY,
    CALLERS,
    OTHER_SHOP_KEY,
    SHOP_KEY,
    STRANGE_KEY,
    basic,
    bearer,
    config_with,
    key_file,
)
from tests.support.messages import Message, assert_problem, reply, request
from tests.support.peers import ByteServer, Channel
from tests.support.running_proxy import RunningProxy, proxied
from tests.support.token_server import TokenServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("no_leaks")

KEYS = (SHOP_KEY, OTHER_SHOP_KEY, BILLING_KEY, STRANGE_KEY)
OK = reply()
PROXY = "Proxy-Authorization"
PLACEHOLDER = "Authorization: Bearer the-placeholder-of-an-sdk"


@asynccontextmanager
async def with_callers(
    tokens: TokenServer,
    folder: Path,
    answer: Callable[[Message], Awaitable[bytes | None]] | bytes = OK,
    **overrides: object,
) -> AsyncIterator[tuple[RunningProxy, ByteServer]]:
    """Run a proxy that knows `shop` and `billing`; no key may ever be told or go up."""
    config = config_with(folder)
    async with proxied(tokens, answer, config_file=config, **overrides) as (proxy, upstream):
        yield proxy, upstream
        pages = [await proxy.admin(f"GET {target}") for target in ("/metrics", "/status", "/")]
        told = [str(proxy.logs), *(page.body.decode() for page in pages)]
        told += [bytes(caller.received).decode("latin-1") for caller in proxy.callers]
        told += [upstream.received.decode("latin-1")]
        assert [key for key in SEARCHED for text in told if key in text] == []


def told(proxy: RunningProxy) -> list[tuple[str | None, str]]:
    """Return caller and peer of each request that was logged."""
    events = [log for log in proxy.logs if log["event"] == "request"]
    return [(event.get("caller"), event["peer"]) for event in events]


@dataclass(frozen=True)
class Case:
    """Header lines, and who is taken to have sent them; None for nobody."""

    id: str
    lines: tuple[str, ...]
    caller: str | None


def encoded(text: str) -> str:
    """Return each character as application/x-www-form-urlencoded may write it."""
    return "".join(f"%{byte:02x}" for byte in text.encode())


SPELLINGS = [spelling for key in KEYS for spelling in (key, quote_plus(key), encoded(key))]
SEARCHED = (
    *SPELLINGS,
    *(basic(name, key)[-40:] for name in ("shop", "billing") for key in SPELLINGS),
)

CASES = [
    Case("bearer", (bearer(SHOP_KEY),), "shop"),
    Case("bearer in any case, with spaces", (f"authorization: bEARER   {SHOP_KEY}",), "shop"),
    Case("basic", (basic("shop", SHOP_KEY),), "shop"),
    Case("basic, as OAuth libraries encode it", (basic("%73hop", encoded(SHOP_KEY)),), "shop"),
    Case("basic, encoded by a form's rules", (basic("shop", quote_plus(SHOP_KEY)),), "shop"),
    Case("proxy-authorization", (bearer(SHOP_KEY, PROXY),), "shop"),
    Case("proxy-authorization, basic", (basic("shop", SHOP_KEY, PROXY),), "shop"),
    Case("digest in the settings", (bearer(BILLING_KEY),), "billing"),
    Case("key and a placeholder", (PLACEHOLDER, bearer(SHOP_KEY, PROXY)), "shop"),
    Case("the same caller in both", (bearer(SHOP_KEY), basic("shop", SHOP_KEY, PROXY)), "shop"),
    Case("nothing", (), None),
    Case("a placeholder", (PLACEHOLDER,), None),
    Case("a key of nobody", (bearer(STRANGE_KEY),), None),
    Case("part of a key", (bearer(SHOP_KEY[:-1]),), None),
    Case("more than a key", (bearer(f"{SHOP_KEY}="),), None),
    Case("a key in another case", (bearer(SHOP_KEY.upper()),), None),
    Case("the digest of a key", (bearer("0" * 64),), None),
    Case("the name of another", (basic("billing", SHOP_KEY),), None),
    Case("no name", (basic("", SHOP_KEY),), None),
    Case("the name of another, encoded", (basic("b%69lling", encoded(SHOP_KEY)),), None),
    Case("encoded, with much behind it", (basic("shop", encoded(SHOP_KEY) + "%41" * 999),), None),
    Case("encoded twice", (basic("shop", encoded(encoded(SHOP_KEY))),), None),
    Case("bearer, encoded", (bearer(encoded(SHOP_KEY)),), None),
    Case("a name in another case", (basic("Shop", SHOP_KEY),), None),
    Case("a key with a colon", (basic("shop", f"{SHOP_KEY}:"),), None),
    Case("basic that is no base64", ("Authorization: Basic %%%%",), None),
    Case("basic that is half a base64", ("Authorization: Basic c2hvcD",), None),
    Case("no scheme", (f"Authorization: {SHOP_KEY}",), None),
    Case("another scheme", (f"Authorization: Token {SHOP_KEY}",), None),
    Case("two callers", (bearer(SHOP_KEY), bearer(BILLING_KEY, PROXY)), None),
    Case("a key twice", (bearer(SHOP_KEY), bearer(SHOP_KEY)), None),
    Case("two keys in one", (f"{bearer(SHOP_KEY)}, Bearer {SHOP_KEY}",), None),
    Case("a key and an empty line", (bearer(SHOP_KEY), "Authorization:"), None),
    Case("two callers in one header", (bearer(SHOP_KEY), bearer(BILLING_KEY)), None),
    Case("another header", (f"X-Api-Key: {SHOP_KEY[:20]}",), None),
    Case("a header in disguise", (bearer(SHOP_KEY, "Proxy_Authorization"),), None),
    Case("a named header", (bearer(SHOP_KEY), "Connection: authorization"), "shop"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
async def test_who_sent_it(tokens: TokenServer, tmp_path: Path, case: Case) -> None:
    """A key proves its caller, once; no key, no request: 401, and nothing goes up (I1, I2)."""
    async with with_callers(tokens, tmp_path) as (proxy, upstream):
        answer = await proxy.ask(request("GET /sign/x?y", *case.lines))
        if case.caller is None:
            members = assert_problem(answer, 401, "caller_unknown")
            assert "[callers]" in members["detail"] or "two different callers" in members["detail"]
            challenge = answer.head.value("WWW-Authenticate")
            assert challenge == 'Bearer realm="signicat-proxy"'
            assert upstream.requests == []
            assert await proxy.metric("rejected_total", reason="caller_unknown") == 1
        else:
            assert answer.status == 200
            (sent,) = upstream.requests
            assert sent.head.values("Proxy-Authorization") == []
            assert len(sent.head.values("Authorization")) == 1
        name = case.caller or "none"
        await proxy.metric_becomes(1, "requests_total", caller=name)
        expected = [(case.caller, "127.0.0.1")]
        await eventually(lambda: told(proxy) == expected, "the request to be logged")


async def test_without_callers_everybody_may_call(tokens: TokenServer) -> None:
    """What applications send as credentials is dropped, as before."""
    async with proxied(tokens, reply()) as (proxy, upstream):
        assert (await proxy.ask(request("GET /", bearer(STRANGE_KEY)))).status == 200
        assert STRANGE_KEY.encode() not in upstream.received
        assert await proxy.metric("requests_total", caller="none", code="200") == 1
        await eventually(lambda: told(proxy) == [(None, "127.0.0.1")], "the request to be logged")


@pytest.mark.parametrize(
    ("lines", "status", "code"),
    [
        (("Host: evil.test", bearer(SHOP_KEY)), 421, "host_not_allowed"),
        (("Host: evil.test",), 421, "host_not_allowed"),
        (("Host: localhost", "Origin: https://evil.test"), 403, "origin_not_allowed"),
        (("Host: localhost", bearer(SHOP_KEY), "Origin: null"), 403, "origin_not_allowed"),
    ],
)
async def test_the_guard_comes_first(
    tokens: TokenServer, tmp_path: Path, lines: tuple[str, ...], status: int, code: str
) -> None:
    """A key opens no other door: Host and Origin are looked at before it (G2, G3)."""
    async with with_callers(tokens, tmp_path) as (proxy, upstream):
        answer = await proxy.ask(request("GET /", *lines, host=None))
        assert_problem(answer, status, code)
        assert upstream.requests == []


@pytest.mark.parametrize(
    ("start", "known", "code"),
    [
        ("GET /a/../b", 400, "ambiguous_path"),
        ("POST /auth/open/connect/token", 403, "path_not_allowed"),
        ("TRACE /", 405, "method_not_allowed"),
    ],
)
async def test_strangers_learn_nothing_of_paths(
    tokens: TokenServer, tmp_path: Path, start: str, known: int, code: str
) -> None:
    """Path, method and route are looked at for known callers only; the guard still holds."""
    async with with_callers(tokens, tmp_path) as (proxy, _):
        answer = await proxy.ask(request(start, bearer(SHOP_KEY)))
        assert_problem(answer, known, code)
        answer = await proxy.ask(request(start))
        expected = (405, code) if start.startswith("TRACE") else (401, "caller_unknown")
        assert_problem(answer, *expected)


async def test_a_caller_may_use_its_clients_only(tokens: TokenServer, tmp_path: Path) -> None:
    """A route of another client: 403, by name; on the same connection its own go on (I1)."""
    async with with_callers(tokens, tmp_path) as (proxy, upstream):
        caller = await proxy.connect()
        for target in ("/sign/1", "/other", "/sign/2", "/other"):
            answer = await caller.ask(request(f"GET {target}", bearer(BILLING_KEY)))
            if target == "/other":
                members = assert_problem(answer, 403, "caller_not_allowed")
                assert "[callers.billing]" in members["detail"]
            else:
                assert answer.status == 200
        assert [message.target for message in upstream.requests] == ["/sign/1", "/sign/2"]
        assert await proxy.metric("rejected_total", reason="caller_not_allowed") == 2
        refused = await proxy.metric("requests_total", code="403", client="none", caller="billing")
        assert refused == 2
        assert (await caller.ask(request("GET /other", bearer(SHOP_KEY)))).status == 200


async def test_one_caller_cannot_take_all(tokens: TokenServer, tmp_path: Path) -> None:
    """Beyond max_in_flight: 503 with Retry-After, for that caller alone, until one ends (I1)."""
    go_on = asyncio.Event()

    async def slow(message: Message) -> bytes:
        if message.target == "/sign/slow":
            await go_on.wait()
        return reply()

    async with with_callers(tokens, tmp_path, slow) as (proxy, upstream):
        running = [await proxy.connect() for _ in range(2)]
        for caller in running:
            await caller.send(request("GET /sign/slow", bearer(BILLING_KEY)))
        await eventually(lambda: len(upstream.requests) == 2, "both to run")
        assert await proxy.metric("known_caller_requests_in_flight", caller="billing") == 2
        assert await proxy.metric("known_caller_requests_limit", caller="billing") == 2
        third = await proxy.connect()
        answer = await third.ask(request("GET /sign/x", bearer(BILLING_KEY)))
        assert "max_in_flight" in assert_problem(answer, 503, "overloaded")["detail"]
        assert answer.head.value("Retry-After") == "1"
        assert (await third.ask(request("GET /sign/x", bearer(SHOP_KEY)))).status == 200
        running[0].reset()  # whoever leaves makes room too
        await proxy.metric_becomes(1, "known_caller_requests_in_flight", caller="billing")
        assert (await third.ask(request("GET /sign/x", bearer(BILLING_KEY)))).status == 200
        go_on.set()
        assert (await running[1].read_answer()).status == 200
        await proxy.metric_becomes(0, "known_caller_requests_in_flight", caller="billing")


async def test_a_token_call_needs_a_known_caller(tokens: TokenServer, tmp_path: Path) -> None:
    """Also where a caller has clients of its own: a placeholder is of none (P1)."""
    start = f"POST {urlsplit(tokens.token_url).path}"
    async with with_callers(tokens, tmp_path, placeholder_token="true") as (proxy, upstream):
        assert_problem(await proxy.ask(request(start)), 401, "caller_unknown")
        answer = await proxy.ask(request(start, basic("dev-auth-1", "secret")))
        assert_problem(answer, 401, "caller_unknown")
        answer = await proxy.ask(request(start, bearer(PLACEHOLDER_TOKEN)))
        assert_problem(answer, 401, "caller_unknown")
        for lines in ((basic("billing", BILLING_KEY),), (bearer(SHOP_KEY, PROXY), PLACEHOLDER)):
            assert (await proxy.ask(request(start, *lines))).status == 200
        assert await proxy.metric("placeholder_tokens_total") == 2
        assert await proxy.metric("known_caller_requests_in_flight") == 0
        assert upstream.requests == []


async def test_a_placeholder_proves_nobody(tokens: TokenServer, tmp_path: Path) -> None:
    """Not even the caller that was given it, unless its key stands in the other header (P1)."""
    start = f"POST {urlsplit(tokens.token_url).path}"
    async with with_callers(tokens, tmp_path, placeholder_token="true") as (proxy, upstream):
        caller = await proxy.connect()
        given = json.loads((await caller.ask(request(start, basic("shop", SHOP_KEY)))).body)
        line = bearer(given["access_token"])
        assert_problem(await caller.ask(request("GET /", line)), 401, "caller_unknown")
        assert upstream.requests == []
        with_key = request("GET /", line, basic("shop", SHOP_KEY, PROXY))
        assert (await caller.ask(with_key)).status == 200
        assert_problem(await caller.ask(request("GET /", line)), 401, "caller_unknown")
        assert given["access_token"] not in upstream.received.decode("latin-1")


async def test_no_caller_has_passed_for_the_next(tokens: TokenServer, tmp_path: Path) -> None:
    """On one connection each header block is looked at for itself; the same one is known (I2)."""
    async with with_callers(tokens, tmp_path) as (proxy, _):
        caller = await proxy.connect()
        strange = SHOP_KEY.replace("A", "B")
        for _ in range(3):
            for _ in range(2):
                assert (await caller.ask(request("GET /", bearer(SHOP_KEY)))).status == 200
            answer = await caller.ask(request("GET /", bearer(strange)))
            assert_problem(answer, 401, "caller_unknown")
            assert_problem(await caller.ask(request("GET /")), 401, "caller_unknown")
        other = await proxy.connect()
        assert_problem(await other.ask(request("GET /")), 401, "caller_unknown")


async def test_who_was_here_before_is_not_blamed(tokens: TokenServer, tmp_path: Path) -> None:
    """What is refused before the caller is looked at, or is no request, has none (I4)."""
    async with with_callers(tokens, tmp_path) as (proxy, _):
        caller = await proxy.connect()
        assert (await caller.ask(request("GET /", bearer(SHOP_KEY)))).status == 200
        foreign = request("GET /", bearer(SHOP_KEY), host="evil.test")
        assert (await caller.ask(foreign)).status == 421
        assert (await caller.ask(request("GET /a/../b", bearer(SHOP_KEY)))).status == 400
        assert (await caller.ask(b"GET / HTTP/1.1\r\n\x00\r\n\r\n")).status == 400
        expected = [("shop", "127.0.0.1"), (None, "127.0.0.1"), ("shop", "127.0.0.1")]
        expected.append((None, "127.0.0.1"))
        await eventually(lambda: told(proxy) == expected, "all to be logged")


async def test_a_refused_body_ends_its_connection(tokens: TokenServer, tmp_path: Path) -> None:
    """What an unknown caller sends behind its head is never read as a request (G5)."""
    inner = request("GET /inner", bearer(SHOP_KEY))
    async with with_callers(tokens, tmp_path) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(request("POST /", f"Content-Length: {len(inner)}", body=inner))
        assert_problem(await caller.read_answer(), 401, "caller_unknown")
        assert await caller.read_to_end() == b""
        assert upstream.requests == []


@asynccontextmanager
async def at_a_unix_socket(
    tokens: TokenServer, folder: Path, uid: int
) -> AsyncIterator[tuple[RunningProxy, ByteServer, Channel]]:
    """Yield a proxy that knows the user `uid` alone, its upstream, and who came by its socket."""
    path, config = folder / "proxy.sock", folder / "callers.toml"
    config.write_text(f'[callers.batch]\nunix_user = ["{uid}"]\n')
    places = f"127.0.0.1:0,unix:{path}"
    async with proxied(tokens, reply(), config_file=config, listen=places) as (proxy, upstream):
        yield proxy, upstream, await Channel.connect_unix(str(path))


async def test_the_uid_behind_a_unix_socket(tokens: TokenServer, tmp_path: Path) -> None:
    """Who is at the other end needs no key; the log has the uid as its peer (I1, I4)."""
    async with at_a_unix_socket(tokens, tmp_path, os.getuid()) as (proxy, _, caller):
        assert (await caller.ask(request("GET /", PLACEHOLDER))).status == 200
        caller.close()
        assert_problem(await proxy.ask(request("GET /")), 401, "caller_unknown")
        expected = [("batch", f"uid:{os.getuid()}"), (None, "127.0.0.1")]
        await eventually(lambda: told(proxy) == expected, "both to be logged")


async def test_another_uid_is_nobody(tokens: TokenServer, tmp_path: Path) -> None:
    """A Unix socket alone proves nothing: the uid must be one of a caller's (I1)."""
    async with at_a_unix_socket(tokens, tmp_path, os.getuid() + 1) as (_, upstream, caller):
        assert_problem(await caller.ask(request("GET /")), 401, "caller_unknown")
        caller.close()
        assert upstream.requests == []


async def test_a_key_that_is_out_passes_no_longer(tokens: TokenServer, tmp_path: Path) -> None:
    """With the new key alone in the file, the old one ends at once, on open connections too."""
    async with with_callers(tokens, tmp_path) as (proxy, _):
        old, new = request("GET /", bearer(SHOP_KEY)), request("GET /", bearer(OTHER_SHOP_KEY))
        caller = await proxy.connect()
        assert (await caller.ask(old)).status == 200
        assert (await caller.ask(new)).status == 401
        for keys, passed in (
            ((SHOP_KEY, OTHER_SHOP_KEY), (200, 200)),
            ((OTHER_SHOP_KEY,), (401, 200)),
        ):
            assert (await caller.ask(old)).status == 200  # what is remembered of it ends now
            key_file(tmp_path, *keys)
            await reloaded(proxy, "file_reloaded")
            assert ((await caller.ask(old)).status, (await caller.ask(new)).status) == passed


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ((), "holds no key"),
        ((STRANGE_KEY[:31],), "holds a key of 31 characters"),
        ((SHOP_KEY, OTHER_SHOP_KEY, STRANGE_KEY), "holds 3 keys"),
        ((BILLING_KEY,), "holds a key of the caller 'billing' too"),
        (None, "cannot be read (No such file or directory)"),
    ],
)
async def test_an_unusable_key_file_changes_nothing(
    tokens: TokenServer, tmp_path: Path, content: tuple[str, ...] | None, reason: str
) -> None:
    """The keys before it stay, with one warning and a metric, until the file is good (I2, C4)."""
    async with with_callers(tokens, tmp_path) as (proxy, _):
        caller = await proxy.connect()
        labels = {"file": "callers.shop.key_file"}
        assert await proxy.metric("file_reload_failures_total", **labels) == 0
        if content is None:
            (tmp_path / "shop-key").unlink()
        else:
            key_file(tmp_path, *content)
        warning = await reloaded(proxy, "file_not_reloaded")
        assert warning["setting"] == "callers.shop.key_file"
        assert warning["reason"].startswith(reason)
        assert await proxy.metric("file_reload_failures_total", **labels) == 1
        assert (await caller.ask(request("GET /", bearer(SHOP_KEY)))).status == 200
        key_file(tmp_path, OTHER_SHOP_KEY)
        await reloaded(proxy, "file_reloaded")
        assert (await caller.ask(request("GET /", bearer(SHOP_KEY)))).status == 401
        assert (await caller.ask(request("GET /", bearer(OTHER_SHOP_KEY)))).status == 200


async def test_a_key_moves_to_another_caller(tokens: TokenServer, tmp_path: Path) -> None:
    """It is the other's as soon as the files say so, in whichever order they are looked at (I2)."""
    stock = tmp_path / "stock-key"
    stock.write_text(STRANGE_KEY)
    config = config_with(tmp_path, f'{CALLERS}\n[callers.stock]\nkey_file = "{stock}"\n')
    async with proxied(tokens, OK, config_file=config) as (proxy, _):
        stock.write_text(OTHER_SHOP_KEY)
        key_file(tmp_path, STRANGE_KEY)  # is looked at first, while it is still the other's
        await reloaded(proxy, "file_reloaded", times=2)
        for key, status in ((SHOP_KEY, 401), (STRANGE_KEY, 200), (OTHER_SHOP_KEY, 200)):
            assert (await proxy.ask(request("GET /", bearer(key)))).status == status
        expected = [None, "shop", "stock"]
        await eventually(lambda: [who for who, _ in told(proxy)] == expected, "the three requests")


async def reloaded(proxy: RunningProxy, event: str, *, times: int = 1) -> dict[str, Any]:
    """Send SIGHUP, wait for what is logged of a file, so many times, and return that."""

    def found() -> list[dict[str, Any]]:
        return [log for log in proxy.logs if log["event"] == event]

    before = len(found())
    proxy.control.reload()
    await eventually(lambda: len(found()) >= before + times, f"the event {event}")
    return found()[-1]
