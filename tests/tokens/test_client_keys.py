"""A client that proves itself by a key: each call, rotation, clocks, what is told (T7, T12, C4)."""

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.client_keys import AssertionServer, Key, ec_key, jwk, pem, rsa_key
from tests.support.messages import reply, request
from tests.support.running_proxy import RunningProxy, proxied
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("no_leaks")

CLIENT = "dev-tester-1"
SOON = 6  # files are looked at every 5 s


def put(path: Path, key: Key, kid: str) -> None:
    """Write a key as a JWK, as people do: under another name first."""
    fresh = path.with_name("fresh")
    fresh.write_text(json.dumps(jwk(key, kid=kid)))
    fresh.replace(path)


def settings_of(path: Path, **more: Any) -> dict[str, Any]:
    """Return the settings of a client with a key."""
    # An empty secret counts as none.
    return {"client_auth": "private_key_jwt", "client_key_file": path, "client_secret": "", **more}


def assert_nothing_told(proxy: RunningProxy, tokens: AssertionServer, path: Path) -> None:
    """See that no log has a proof or a piece of the key."""
    text = str(proxy.logs)
    assert not any(assertion in text for assertion in tokens.assertions)
    assert not any(part in text for part in re.findall(r"[\w+/-]{40,}", path.read_text()))


@pytest.mark.parametrize("key", [rsa_key(), ec_key()], ids=["RS256", "ES256"])
async def test_each_call_has_a_proof_of_its_own(tmp_path: Path, key: Key) -> None:
    """T12: all that the server may ask for is right, and no proof is used a second time."""
    path = tmp_path / "key"
    path.write_text(pem(key))
    async with (
        AssertionServer(CLIENT, {"k1": key}) as tokens,
        proxied(tokens, reply(), **settings_of(path, client_key_id="k1")) as (proxy, _),
    ):
        assert (await proxy.ask(request("GET /"))).status == 200
        for number in range(2, 12):
            proxy.control.reload()
            await proxy.metric_becomes(number, "token_requests_total", outcome="ok")
        assert_nothing_told(proxy, tokens, path)
        shown = (await proxy.admin("GET /metrics")).body + (await proxy.admin("GET /status")).body
    assert len({claims["jti"] for claims in tokens.seen}) == len(tokens.seen) == 11
    assert not any(assertion.encode() in shown for assertion in tokens.assertions)


async def test_a_changed_key_is_used_within_seconds(tmp_path: Path) -> None:
    """T7: as a secret is: by content, in the background, while the token of before serves."""
    path = tmp_path / "key"
    put(path, rsa_key(), "old")
    async with (
        AssertionServer(CLIENT, {"old": rsa_key(), "new": ec_key()}) as tokens,
        proxied(tokens, reply(), **settings_of(path)) as (proxy, _),
    ):
        assert (await proxy.ask(request("GET /"))).status == 200
        put(path, ec_key(), "new")
        await eventually(lambda: len(tokens.seen) == 2, "the new key", SOON)
        assert (await proxy.ask(request("GET /"))).status == 200
        assert await proxy.metric("secret_fallbacks_total", client="default") == 0
    assert [(each["kid"], each["alg"]) for each in tokens.seen] == [
        ("old", "RS256"),
        ("new", "ES256"),
    ]


async def test_a_new_key_that_is_refused_leaves_the_old_one_working(tmp_path: Path) -> None:
    """T7: a key that the server does not know yet disturbs nobody, and is said and counted."""
    path = tmp_path / "key"
    put(path, rsa_key(), "old")
    async with (
        AssertionServer(CLIENT, {"old": rsa_key()}) as tokens,
        proxied(tokens, reply(), **settings_of(path)) as (proxy, _),
    ):
        assert (await proxy.ask(request("GET /"))).status == 200
        put(path, rsa_key("other"), "new")
        await proxy.metric_becomes(1, "secret_fallbacks_total", client="default")
        await proxy.metric_becomes(2, "token_requests_total", outcome="ok")
        assert await proxy.metric("secret_fallback_active", client="default") == 1
        (warning,) = [log for log in proxy.logs if log["event"] == "new_secret_refused"]
        assert warning["outcome"] == "invalid_client"
        assert "SIGNICAT_PROXY_CLIENT_KEY_FILE" in warning["hint"]
        tokens.known["new"] = rsa_key("other")
        proxy.control.reload()
        await proxy.metric_becomes(0, "secret_fallback_active", client="default")
        assert_nothing_told(proxy, tokens, path)
    assert tokens.faults == ["", "unknown kid", "", ""]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "no private key in this file, neither PEM nor a JWK"),
        (pem(rsa_key())[:400], "the private key is damaged, or of a kind that is not known"),
        (None, "cannot be read (No such file or directory)"),
    ],
)
async def test_a_key_that_is_none_changes_nothing(
    tmp_path: Path, content: str | None, reason: str
) -> None:
    """C4: what is half written, empty or gone keeps the key of before, with warning and metric."""
    path = tmp_path / "key"
    put(path, rsa_key(), "old")
    async with (
        AssertionServer(CLIENT, {"old": rsa_key()}) as tokens,
        proxied(tokens, reply(), **settings_of(path)) as (proxy, _),
    ):
        assert (await proxy.ask(request("GET /"))).status == 200
        path.unlink() if content is None else path.write_text(content)
        labels = {"file": "client_key_file"}
        await proxy.metric_becomes(1, "file_reload_failures_total", **labels)
        (warning,) = [log for log in proxy.logs if log["event"] == "file_not_reloaded"]
        assert warning["setting"] == "SIGNICAT_PROXY_CLIENT_KEY_FILE"
        assert warning["reason"] == reason
        proxy.control.reload()
        await proxy.metric_becomes(2, "token_requests_total", outcome="ok")
        assert await proxy.metric("secret_fallback_active", client="default") == 0
    assert tokens.faults == ["", ""]


@pytest.mark.parametrize(
    ("ahead_seconds", "said"), [(200, "behind the server's"), (-200, "ahead of the server's")]
)
async def test_a_clock_that_is_minutes_off_is_named(
    tmp_path: Path, ahead_seconds: float, said: str
) -> None:
    """T12: the server says `invalid_client` and no more; its `Date` tells the operator why."""
    path = tmp_path / "key"
    put(path, ec_key(), "k1")
    async with AssertionServer(CLIENT, {"k1": ec_key()}) as tokens:
        tokens.ahead_seconds, began = ahead_seconds, time.monotonic()
        async with proxied(tokens, reply(), **settings_of(path)) as (proxy, _):
            await proxy.metric_becomes(1, "token_requests_total", outcome="invalid_client")
            (failed,) = [log for log in proxy.logs if log["event"] == "token_request"]
        took = time.monotonic() - began
    (seconds,) = re.findall(r"\d+", failed["detail"])
    # `Date` has whole seconds, and was read some time after it was written.
    assert abs(int(seconds) - 200) <= 1 + took
    assert failed["detail"] == (
        f"this machine's clock is {seconds} s {said}, and an assertion is valid for a minute"
    )
    assert "SIGNICAT_PROXY_CLIENT_KEY_FILE" in failed["hint"]


async def test_a_clock_that_is_a_little_off_is_no_matter(tmp_path: Path) -> None:
    """T12: half a minute behind the server's is within the life of a proof."""
    path = tmp_path / "key"
    put(path, ec_key(), "k1")
    async with AssertionServer(CLIENT, {"k1": ec_key()}) as tokens:
        tokens.ahead_seconds = 30
        async with proxied(tokens, reply(), **settings_of(path)) as (proxy, _):
            assert (await proxy.ask(request("GET /"))).status == 200


TWO_CLIENTS = """
[clients.auth]
[clients.sign]

[[routes]]
path = "/auth"
client = "auth"

[[routes]]
path = "/sign"
client = "sign"
"""


async def test_clients_that_share_a_key_file_take_a_new_key_together(tmp_path: Path) -> None:
    """T7, T12: the file is looked at once, and each client renews by itself."""
    path = tmp_path / "key"
    put(path, ec_key(), "old")
    config = tmp_path / "config.toml"
    config.write_text(TWO_CLIENTS)
    async with AssertionServer(CLIENT, {"old": ec_key(), "new": ec_key("new")}) as tokens:
        settings = settings_of(path, config_file=config)
        async with proxied(tokens, reply(), **settings) as (proxy, _):
            await eventually(lambda: len(tokens.seen) == 2, "both tokens")
            put(path, ec_key("new"), "new")
            await eventually(lambda: len(tokens.seen) == 4, "the new key", SOON)
            reloaded = [log for log in proxy.logs if log["event"] == "file_reloaded"]
            assert len(reloaded) == 1
    assert [each["kid"] for each in tokens.seen] == ["old", "old", "new", "new"]


async def test_no_assertion_under_way_can_be_logged(tmp_path: Path) -> None:
    """G7: however many clients share a key; the filter knows the assertion of each."""
    path, config, names = tmp_path / "key", tmp_path / "config.toml", "abcdefgh"
    put(path, ec_key(), "k1")
    tables = "".join(f"[clients.{name}]\n" for name in names)
    routes = "".join(f'[[routes]]\npath = "/{name}"\nclient = "{name}"\n' for name in names)
    config.write_text(tables + routes)
    async with AssertionServer(CLIENT, {"k1": ec_key()}) as tokens:
        tokens.gate.clear()
        settings = settings_of(path, config_file=config)
        async with proxied(tokens, reply(), **settings) as (proxy, _):
            await eventually(lambda: len(tokens.assertions) == len(names), "all requests")
            for assertion in tokens.assertions:
                assert proxy.redacted(assertion) == "[redacted]"
            tokens.gate.set()
            await proxy.metric_becomes(len(names), "token_requests_total", outcome="ok")
            for assertion in tokens.assertions:
                assert proxy.redacted(assertion) == "[redacted]"


async def test_hints_name_the_setting_that_the_client_uses(tmp_path: Path) -> None:
    """T6, A: in the log, on its card of the status page, and among the recent failures there."""
    path, config = tmp_path / "key", tmp_path / "config.toml"
    put(path, ec_key(), "k1")
    own = f'[clients.sign]\nclient_key_file = "{path}"'
    config.write_text(TWO_CLIENTS.replace("[clients.sign]", own))
    async with AssertionServer(CLIENT, {}) as tokens:
        settings = settings_of(path, config_file=config)
        async with proxied(tokens, reply(), **settings) as (proxy, _):
            await proxy.metric_becomes(2, "token_requests_total", outcome="invalid_client")
            page = (await proxy.admin("GET /")).body.decode()
            hints = {log["client"]: log["hint"] for log in proxy.logs if "hint" in log}
    for client, setting in {
        "auth": "SIGNICAT_PROXY_CLIENT_KEY_FILE",
        "sign": "clients.sign.client_key_file",
    }.items():
        assert hints[client] == f"check SIGNICAT_PROXY_CLIENT_ID and {setting}"
        assert page.count(f"Check SIGNICAT_PROXY_CLIENT_ID and {setting}.") == 2
    assert "CLIENT_SECRET(_FILE)" not in page
