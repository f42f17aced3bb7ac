"""Every request has an id: it goes up, comes back, and stands wherever the request does (O1)."""

import re

import pytest

from tests.support.messages import Message, assert_problem, reply, request
from tests.support.running_proxy import proxied
from tests.support.token_server import TokenServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("no_leaks")

OURS = re.compile(r"[0-9a-f]{32}-[0-9]+")
GIVEN = "X-Request-ID: order-17"


def ids_of(*messages: Message) -> list[str]:
    """Return the one id of each."""
    found = [message.head.value("X-Request-ID") for message in messages]
    assert None not in found
    return [each for each in found if each]


@pytest.mark.parametrize(
    "lines",
    [
        (),
        ("X-Request-ID: two words",),
        ("X-Request-ID:",),
        ("X-Request-ID: a", "X-Request-ID: b"),
        ("x-request-id: " + "a" * 129,),
        (GIVEN, "Connection: X-Request-ID"),
        ("X_Request_ID: order-17",),
    ],
)
async def test_each_request_of_a_connection_gets_an_id_of_ours(
    tokens: TokenServer, lines: tuple[str, ...]
) -> None:
    """On kept connections too: what is remembered of their headers does not hold it."""
    async with proxied(tokens, reply()) as (proxy, upstream):
        caller = await proxy.connect()
        answers = [await caller.ask(request(f"GET /{number}", *lines)) for number in range(3)]
        ids = ids_of(*answers)
        assert ids == ids_of(*upstream.requests)
        assert not any("_" in name for each in upstream.requests for name in each.head.names)
        assert len(set(ids)) == 3
        assert all(OURS.fullmatch(each) for each in ids)
        await eventually(lambda: sum(e["event"] == "request" for e in proxy.logs) == 3, "the log")
        logged = [event["request_id"] for event in proxy.logs if event["event"] == "request"]
        assert logged == ids


async def test_a_callers_id_stays(tokens: TokenServer) -> None:
    """The upstream's own header of that name would be a second id: the caller gets its own."""
    async with proxied(tokens, reply("200 OK", "x-request-id: theirs")) as (proxy, upstream):
        caller = await proxy.connect()
        answers = [await caller.ask(request("GET /", GIVEN)) for _ in range(2)]
        assert ids_of(*answers, *upstream.requests) == ["order-17"] * 4


async def test_replies_of_our_own_have_it(tokens: TokenServer) -> None:
    """In the header and in the problem; bytes that are no request get one too."""
    async with proxied(tokens, b"HTTP/1.1 600 X\r\n\r\n") as (proxy, _):
        for sent, status, code, given in (
            (request("GET /", GIVEN), 502, "upstream_invalid_response", True),
            (request("GET /", GIVEN, host="evil.example"), 421, "host_not_allowed", True),
            (request("GET /"), 502, "upstream_invalid_response", False),
            (b"GET /\x00 HTTP/1.1\r\n\r\n", 400, "bad_request", False),
        ):
            answer = await proxy.ask(sent)
            (found,) = ids_of(answer)
            assert assert_problem(answer, status, code)["request_id"] == found
            assert (found == "order-17") if given else OURS.fullmatch(found)
        assert not ids_of(await proxy.admin("GET /nothing"))[0].startswith("order")


async def test_a_replay_has_the_same_id(tokens: TokenServer) -> None:
    """It is the same request."""

    async def answer(message: Message) -> bytes:
        is_first = len(upstream.requests) == 1
        assert message.head.value("X-Request-ID")
        return reply("401 Unauthorized") if is_first else reply()

    async with proxied(tokens, answer) as (proxy, upstream):
        found = await proxy.ask(request("GET /"))
        assert found.status == 200
        first, second = ids_of(*upstream.requests)
        assert first == second == ids_of(found)[0]


async def test_a_placeholder_has_one(tokens: TokenServer) -> None:
    """Its response is one of ours (P1)."""
    async with proxied(tokens, reply(), placeholder_token="true") as (proxy, _):
        path = tokens.token_url.removeprefix(tokens.url)
        call = request(f"POST {path}", GIVEN, "Content-Length: 0")
        assert ids_of(await proxy.ask(call)) == ["order-17"]
