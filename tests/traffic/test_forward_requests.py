"""What of a request reaches the upstream, and in which form (F1 to F4)."""

import re

import pytest

from tests.support.messages import Message, assert_problem, reply, request
from tests.support.running_proxy import proxied
from tests.support.token_server import TokenServer, bearer

pytestmark = pytest.mark.usefixtures("no_leaks")

OURS = {"host", "via", "authorization", "user-agent"}


async def forwarded(tokens: TokenServer, message: bytes, **settings: object) -> Message:
    """Return what the upstream receives of `message`."""
    async with proxied(tokens, reply(), **settings) as (proxy, upstream):
        answer = await proxy.ask(message)
        assert answer.status == 200
        (received,) = upstream.requests
    return received


OUR_ID = re.compile(rb"[0-9a-f]{32}-[0-9]+")


def foreign_headers(message: Message) -> list[tuple[str, str]]:
    """Return the headers that the proxy did not write itself."""
    return [
        (name.decode(), value.decode("latin-1"))
        for name, value in message.head.headers
        if name.lower().decode() not in OURS and not OUR_ID.fullmatch(value)
    ]


METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "M-SEARCH"]
METHODS += ["get", "!#$%&'*+-.^_`|~09Az"]


@pytest.mark.parametrize("method", METHODS)
async def test_every_method_but_two_is_forwarded(tokens: TokenServer, method: str) -> None:
    """Any token is a method and goes out as it came (F1)."""
    received = await forwarded(tokens, request(f"{method} /x"))
    assert received.head.start == f"{method} /x HTTP/1.1".encode()


@pytest.mark.parametrize("start", ["CONNECT example.com:443", "TRACE /x", "CONNECT /x"])
async def test_connect_and_trace_are_refused(tokens: TokenServer, start: str) -> None:
    """CONNECT and TRACE get 405 with Allow, and the upstream hears nothing (F1)."""
    async with proxied(tokens, reply()) as (proxy, upstream):
        answer = await proxy.ask(request(start))
        assert answer.status == 405
        allowed = (answer.head.value("Allow") or "").split(", ")
        assert sorted(allowed) == ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"]
        assert not upstream.connections


@pytest.mark.parametrize("start", ["CONNECT example.com:443", "TRACE /x"])
async def test_a_refused_tunnel_is_told_which_methods_pass(tokens: TokenServer, start: str) -> None:
    """`Allow` lists what ALLOWED_METHODS permits, and no more (F1, RFC 9110 §15.5.6)."""
    async with proxied(tokens, reply(), allowed_methods="POST,GET") as (proxy, _):
        answer = await proxy.ask(request(start))
        assert (answer.status, answer.head.value("Allow")) == (405, "GET, POST")


TARGETS = [
    "/",
    "//",
    "//evil.example/path",
    "/a//b",
    "/a%2Fb%2fc",
    "/%7euser/%7Euser/~user",
    "/a;b=c;d",
    "/a?",
    "/?",
    "/a?b?c=d&e=%20+;'(*)!",
    '/a[1]{2}|^`"<>\\',
    "/a?b[]=1&c={x}|y",
    "/a:80/@b",
    "/" + "x" * 8000,
    "/%ff%fe",
]


@pytest.mark.parametrize("target", TARGETS)
async def test_target_goes_out_byte_for_byte(tokens: TokenServer, target: str) -> None:
    """Path and query are not normalised in any way (F2)."""
    received = await forwarded(tokens, request(f"GET {target}"))
    assert received.target == target


@pytest.mark.parametrize("base", ["/base", "/base/"])
@pytest.mark.parametrize("target", ["/", "/a%2Fb?c", "//evil.example/x"])
async def test_upstream_path_is_put_before_the_callers(
    tokens: TokenServer, base: str, target: str
) -> None:
    """UPSTREAM_URL may have a path."""
    async with proxied(tokens, reply()) as (_, upstream):
        received = await _forwarded_to(tokens, upstream.url + base, target)
        assert upstream.requests[0].target == "/base" + target
        assert received == 200


async def _forwarded_to(tokens: TokenServer, url: str, target: str) -> int:
    async with proxied(tokens, upstream=url) as (proxy, _):
        return (await proxy.ask(request(f"GET {target}"))).status


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("http://localhost/x?y=%2F", "/x?y=%2F"),
        ("http://localhost:8080/x", "/x"),
        ("http://localhost:/x", "/x"),
        ("http://LOCALHOST/x", "/x"),
        ("HTTP://localhost//x//", "//x//"),
        ("http://127.0.0.1:1", "/"),
        ("http://localhost?x=1", "/?x=1"),
        ("http://[::1]:80/x", "/x"),
    ],
)
async def test_absolute_form_goes_out_in_origin_form(
    tokens: TokenServer, target: str, expected: str
) -> None:
    """The authority of the target may be an allowed host; `Host` beside it is ignored (F3)."""
    received = await forwarded(tokens, request(f"GET {target}", host="elsewhere.example"))
    assert received.target == expected
    assert (received.head.value("Host") or "").startswith("127.0.0.1:")


async def test_absolute_form_may_name_the_upstream_itself(tokens: TokenServer) -> None:
    """So `http_proxy=` works; any other authority gets 421 and reaches nobody (F3)."""
    async with proxied(tokens, reply(), allowed_hosts="proxy.test") as (proxy, upstream):
        own = f"127.0.0.1:{upstream.port}"
        assert (await proxy.ask(request(f"GET http://{own}/x", host=own))).status == 200
        assert upstream.requests[0].target == "/x"
        for other in ("127.0.0.1:1", "127.0.0.1", f"localhost:{upstream.port}", "evil.example"):
            answer = await proxy.ask(request(f"GET http://{other}/x", host="proxy.test"))
            assert answer.status == 421, other
        assert len(upstream.requests) == 1


@pytest.mark.parametrize(
    "target",
    [
        "*",
        "x",
        "ftp://localhost/",
        "http:///x",
        "localhost:80",
        "http://evil.example@localhost/",
        "http://localhost@evil.example/",
    ],
)
async def test_other_forms_of_target_are_refused(tokens: TokenServer, target: str) -> None:
    """Only origin form and absolute form are known, this one without a user (F3)."""
    async with proxied(tokens, reply(), allowed_hosts="*") as (proxy, upstream):
        assert_problem(await proxy.ask(request(f"OPTIONS {target}")), 400, "bad_request")
        assert not upstream.connections


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "br, gzip", "x-other", ""])
async def test_bodies_keep_their_coding(tokens: TokenServer, coding: str) -> None:
    """`Content-Encoding` is between the caller and Signicat, whatever it is (F1)."""
    message = request(
        "POST /", f"Content-Encoding: {coding}", "Content-Length: 4", body=b"\xff\x00ab"
    )
    received = await forwarded(tokens, message)
    assert received.head.value("Content-Encoding") == coding
    assert received.body == b"\xff\x00ab"


async def test_headers_keep_order_case_and_repetition(tokens: TokenServer) -> None:
    """Headers cross as they came, values that are not UTF-8 included (F4)."""
    lines = [
        ("x-FIRST", "1"),
        ("Accept", "*/*"),
        ("X-Again", "a"),
        ("Cookie", "a=1"),
        ("X-Latin", "caf\xe9 \xff\x80"),
        ("X-Again", "b, c"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("X-Request-ID", "order-17"),
        ("Cookie", "b=2"),
        ("X-Empty", ""),
        ("X-Inner", 'a  b\t"c"'),
        ("X_Under", "score"),
        ("aCCept-encoding", "gzip, br"),
    ]
    sent = request("GET /", *(f"{name}: {value}" for name, value in lines))
    assert foreign_headers(await forwarded(tokens, sent)) == lines


@pytest.mark.parametrize(
    "line",
    [
        "Connection: keep-alive",
        "Connection: x-gone\r\nX-Gone: 1",
        "Connection: y , X-GONE,,b\r\nx-gone: 1",
        "Connection: y\r\nConnection: x-gone\r\nX-gone: 1\r\nX-GONE: 2",
        "Keep-Alive: timeout=5",
        "Proxy-Connection: keep-alive",
        "Proxy-Authorization: Basic eDp5",
        "Proxy-Authenticate: Basic",
        "Proxy-Anything: x",
        "Proxy_Authorization: Basic eDp5",
        "TE: trailers",
        "Trailer: X-T",
        "Upgrade: websocket\r\nConnection: upgrade",
        "Upgrade: h2c",
        "Expect: 100-continue",
        "Forwarded: for=1.2.3.4",
        "X-Forwarded-For: 1.2.3.4",
        "x-forwarded-host: evil.example",
        "X-Forwarded-Anything: x",
        "X-Real-IP: 1.2.3.4",
        "X_Forwarded_For: 1.2.3.4",
        "X-Forwarded_For: 1.2.3.4",
        "x_real-ip: 1.2.3.4",
        "X_Request_ID: order-17",
    ],
)
async def test_headers_that_stay_here(tokens: TokenServer, line: str) -> None:
    """Hop-by-hop headers and claims about the caller's origin never reach the upstream (F4)."""
    received = await forwarded(tokens, request("GET /", "X-Before: 1", *line.split("\r\n"), "A: 2"))
    assert foreign_headers(received) == [("X-Before", "1"), ("A", "2")]


@pytest.mark.parametrize(
    "line",
    [
        "Authorization: Bearer of-the-caller",
        "authorization: Basic eDp5\r\nAUTHORIZATION: Digest x",
        "Authorization_: x\r\nAuthorization: Bearer of-the-caller",
    ],
)
async def test_authorization_is_ours_alone(tokens: TokenServer, line: str) -> None:
    """Whatever the caller sends, the upstream gets one token: ours (F4)."""
    received = await forwarded(tokens, request("GET /", *line.split("\r\n")))
    assert received.head.values("Authorization") == [bearer(1)]


NAMED = ["authorization", "host", "via", "user-agent", "content-length", "close, Authorization"]


@pytest.mark.parametrize("named", NAMED)
async def test_connection_cannot_remove_what_we_add(tokens: TokenServer, named: str) -> None:
    """`Connection` names headers of the caller, never ours (F4)."""
    sent = request("POST /", f"Connection: {named}", "Content-Length: 2", body=b"hi")
    received = await forwarded(tokens, sent)
    assert received.head.value("Authorization") == bearer(1)
    assert (received.head.value("Host") or "").startswith("127.0.0.1:")
    assert (received.head.values("Via") or [""])[-1] == "1.1 signicat-proxy"
    assert (received.head.value("User-Agent") or "").startswith("signicat-proxy/")
    assert received.body == b"hi"


async def test_host_is_the_upstreams(tokens: TokenServer) -> None:
    """The caller's `Host` is replaced, and ours stands first (RFC 9110 §7.2)."""
    async with proxied(tokens, reply()) as (proxy, upstream):
        await proxy.ask(request("GET /", host="localhost:1234"))
        (received,) = upstream.requests
        assert received.head.values("Host") == [f"127.0.0.1:{upstream.port}"]
        assert received.head.names[0] == "Host"


@pytest.mark.parametrize(("version", "ours"), [("1.1", "1.1"), ("1.0", "1.0")])
async def test_via_is_appended(tokens: TokenServer, version: str, ours: str) -> None:
    """`Via` names the version received from the caller, behind what others wrote."""
    received = await forwarded(tokens, request(f"GET / HTTP/{version}", "Via: 1.0 fred"))
    vias = ", ".join(received.head.values("Via"))
    assert vias == f"1.0 fred, {ours} signicat-proxy"


async def test_user_agent_of_the_caller_is_kept(tokens: TokenServer) -> None:
    """Ours is only for those who have none (F4)."""
    received = await forwarded(tokens, request("GET /", "user-agent: app/7"))
    assert received.head.values("User-Agent") == ["app/7"]
    received = await forwarded(tokens, request("GET /"))
    assert (received.head.value("User-Agent") or "").startswith("signicat-proxy/")
