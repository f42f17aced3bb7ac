"""What is kept of refusals and failures: bounded, and never a flood of one alone (A)."""

import asyncio
import json

from proxy.telemetry.recent_errors import KEPT, RecentError, RecentErrors
from tests.support.messages import Message, reply, request
from tests.support.running_proxy import proxied
from tests.support.token_server import TokenServer
from tests.support.waiting import eventually


def test_the_same_again_only_counts() -> None:
    """A repetition moves to the front, keeps its first time, and tells of the last request."""
    times = iter([1.0, 2.0, 3.0])
    recent = RecentErrors(lambda: next(times))
    for code, request_id in (("no_route", "a"), ("bad_request", "b"), ("no_route", "c")):
        recent.add("refused", code, status=400, request_id=request_id)
    assert recent.newest_first() == [
        RecentError(
            "refused", "no_route", status=400, request_id="c", first=1.0, last=3.0, times=2
        ),
        RecentError("refused", "bad_request", status=400, request_id="b", first=2.0, last=2.0),
    ]


def test_the_oldest_is_forgotten() -> None:
    """Memory does not grow, whatever goes wrong; a flood of one code pushes nothing out."""
    recent = RecentErrors(lambda: 0.0)
    for number in range(KEPT + 5):
        recent.add("failed", f"code{number}")
    for _ in range(1000):
        recent.add("refused", "flood")
    codes = [error.code for error in recent.newest_first()]
    assert codes == ["flood", *(f"code{number}" for number in reversed(range(6, KEPT + 5)))]
    assert recent.newest_first()[0].times == 1000


def test_another_detail_is_another_error() -> None:
    """Two causes with the same code are told apart (G10)."""
    recent = RecentErrors(lambda: 0.0)
    for detail in ("TLS came", "no Host", "TLS came"):
        recent.add("refused", "bad_request", status=400, detail=detail)
    told = [(error.detail, error.times) for error in recent.newest_first()]
    assert told == [("TLS came", 2), ("no Host", 1)]


ANSWERS = ("200 OK", "404 Not Found", "403 Forbidden", "401 Unauthorized", "503 Private")


async def test_what_went_wrong_is_told_without_path_or_query(tokens: TokenServer) -> None:
    """`/status` lists refusals, and the upstream's 401 and 5xx; of the target only the route."""
    answers = {status[:3]: reply(status) for status in ANSWERS}
    answers["bad"] = b"HTTP/3 private\r\n\r\n"

    async def answer(message: Message) -> bytes:
        return answers[message.target.partition("?")[0].rpartition("/")[2]]

    async with proxied(tokens, answer) as (proxy, _):
        await proxy.ask(request("GET /private?private", host="evil.test"))
        for name in answers:
            start = f"POST /private/{name}?private"
            await proxy.ask(request(start, "X-Request-ID: order-1", body=b"private"))
        body = json.loads((await proxy.admin("GET /status")).body)
    assert "private" not in json.dumps(body["recent"]).lower()
    known = {"kind": "failed", "client": "default", "route": "/", "method": "POST", "times": 1}
    known["caller"] = None
    told = [
        {key: value for key, value in entry.items() if key not in {"first", "last"}}
        for entry in body["recent"]
    ]
    broken, failed, unauthorized, refused = told  # the newest first
    del broken["detail"]
    assert broken == {
        **known,
        "code": "upstream_invalid_response",
        "status": 502,
        "request_id": "order-1",
    }
    for entry, status in ((failed, 503), (unauthorized, 401)):
        expected = {**known, "code": "upstream_response", "status": status, "request_id": "order-1"}
        assert entry == {**expected, "detail": None}
    assert refused.pop("request_id")
    assert "SIGNICAT_PROXY_ALLOWED_HOSTS" in str(refused.pop("detail"))
    assert refused == {
        "kind": "refused",
        "code": "host_not_allowed",
        "client": None,
        "caller": None,
        "route": None,
        "method": "GET",
        "status": 421,
        "times": 1,
    }


async def test_a_caller_who_leaves_is_told(tokens: TokenServer) -> None:
    """An answer that nobody waited for is no failure of ours, and has no status."""

    async def never(_: Message) -> None:
        await asyncio.Event().wait()

    async with proxied(tokens, never) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(request("GET /"))
        await eventually(lambda: bool(upstream.requests), "the request")
        caller.reset()
        await proxy.metric_becomes(1, "requests_total", code="0")
        (entry,) = json.loads((await proxy.admin("GET /status")).body)["recent"]
    assert (entry["kind"], entry["code"], entry["status"]) == ("left", "client_left", None)


async def test_failed_token_requests_are_told(tokens: TokenServer) -> None:
    """The cause stands there under the client's name."""
    tokens.failure = reply("400 Bad Request", body=b'{"error": "invalid_client"}')
    async with proxied(tokens) as (proxy, _):
        await proxy.metric_becomes(1, "token_requests_total", outcome="invalid_client")
        (entry,) = json.loads((await proxy.admin("GET /status")).body)["recent"]
    assert (entry["kind"], entry["code"], entry["client"]) == ("token", "invalid_client", "default")
    assert (entry["method"], entry["route"], entry["status"]) == (None, None, None)
