"""No span holds what is secret or a person's, whatever becomes of the request (O3, G7)."""

import base64
import signal
from pathlib import Path
from typing import Final
from urllib.parse import quote

import pytest

from tests.support.callers import SHOP_KEY, STRANGE_KEY, bearer, config_with
from tests.support.connect_proxy import ConnectProxy
from tests.support.messages import Message, reply, request
from tests.support.otlp_receiver import OtlpReceiver
from tests.support.peers import ByteServer, Channel
from tests.support.proxy_process import proxy_process
from tests.support.running_proxy import CLIENT_SECRET, environment
from tests.support.token_server import TokenServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("no_leaks")

TRACE: Final = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
PRIVATE_LINES: Final = (
    bearer(SHOP_KEY),
    "Cookie: session=private-cookie",
    "User-Agent: private-agent",
    "Referer: https://shop.example/private-referer?id=private-referer-query",
    "X-Customer: private-header",
    "Baggage: customer=private-baggage",
)
TARGET: Final = "/sign/private-path/31019000000?ssn=private-query"
BODY: Final = b'{"ssn": "private-body"}'
LENGTH: Final = f"Content-Length: {len(BODY)}"
FORM: Final = b"client_id=app&client_secret=private-form"
ANSWER: Final = reply(
    "200 OK",
    "Location: /private-location",
    "Set-Cookie: private-set-cookie",
    "X-Answer: private-answer-header",
    body=b"private-answer",
)
EGRESS: Final = "egress-user:private-egress"
TOKEN_ERROR: Final = reply("400 Bad Request", body=b'{"error": "private-token-error"}')
EXCHANGES: Final[dict[bytes, int]] = {
    request(f"GET {TARGET}", TRACE, *PRIVATE_LINES): 200,
    request(f"POST {TARGET}", TRACE, LENGTH, *PRIVATE_LINES, body=BODY): 200,
    request(f"GET {TARGET} HTTP/1.0", *PRIVATE_LINES): 200,
    request(f"PRIVATEMETHOD {TARGET}", *PRIVATE_LINES): 200,
    request(f"GET http://localhost{TARGET}", *PRIVATE_LINES, host="localhost"): 200,
    request(f"GET {TARGET}&replay", *PRIVATE_LINES): 200,
    request(f"GET {TARGET}&error", *PRIVATE_LINES): 500,
    request(f"GET {TARGET}&nonsense", *PRIVATE_LINES): 502,
    request(f"GET {TARGET}", *PRIVATE_LINES, host="private-host.example"): 421,
    request("GET /sign/private-dots/../b?private-query", *PRIVATE_LINES): 400,
    request(f"GET {TARGET}", bearer(STRANGE_KEY)): 401,
    request(f"GET {TARGET}", "Origin: https://private-origin.example", *PRIVATE_LINES): 403,
    request(f"TRACE {TARGET}", *PRIVATE_LINES): 405,
    request(f"GET {TARGET}", "Upgrade: websocket", "X-Big: " + "private-big" * 4_000): 431,
    b"private-garbage\r\n\r\n": 400,
    request("POST /connect/token", f"Content-Length: {len(FORM)}", *PRIVATE_LINES, body=FORM): 200,
}
"""What is sent, and the status that comes back."""
VALUES: Final = (
    *(f"private-{name}" for name in ("cookie", "agent", "referer", "referer-query", "header")),
    *(f"private-{name}" for name in ("baggage", "path", "query", "body", "form", "location")),
    *(f"private-{name}" for name in ("set-cookie", "answer", "answer-header", "token-error")),
    *(f"private-{name}" for name in ("host", "dots", "origin", "big", "garbage", "collector")),
    "PRIVATEMETHOD",
    "31019000000",
    SHOP_KEY,
    STRANGE_KEY,
    CLIENT_SECRET,
    EGRESS,
    "-of-the-test",
    "Bearer",
)


class Upstream:
    """Answers as the query asks for; the first request with `replay` gets a 401."""

    def __init__(self) -> None:
        self._has_refused = False

    async def answer(self, message: Message) -> bytes | None:
        """Answer one request."""
        wish = message.target.rpartition("&")[2]
        if wish == "replay" and not self._has_refused:
            self._has_refused = True
            return reply("401 Unauthorized", body=b"private-answer")
        answers = {
            "error": reply("500 Oh", "x-trace-id: of-signicat", body=b"private-answer"),
            "nonsense": b"HTTP/1.1 private-answer\r\n\r\n",
            "cut": b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\nConnection: close\r\n\r\nprivate",
        }
        return answers.get(wish, ANSWER)


def spellings(value: str) -> set[bytes]:
    """Return how a value may look where somebody has encoded it."""
    raw = value.encode()
    quoted = quote(value, safe="").encode()
    return {raw, raw.lower(), quoted, base64.b64encode(raw).rstrip(b"="), raw.hex().encode()}


async def send_everything(port: int) -> bytes:
    """Have all exchanges, and let one caller be cut off and one leave; return what was sent."""
    for message, status in EXCHANGES.items():
        caller = await Channel.connect("127.0.0.1", port)
        assert (await caller.ask(message)).status == status, message
        caller.close()
    pipelining, leaving = [await Channel.connect("127.0.0.1", port) for _ in range(2)]
    plain = request(f"GET {TARGET}", *PRIVATE_LINES)
    await pipelining.send(plain * 2 + request(f"GET {TARGET}&cut", *PRIVATE_LINES))
    await pipelining.read_whatever()
    pipelining.close()
    await leaving.send(request(f"POST {TARGET}", "Content-Length: 99999999", *PRIVATE_LINES))
    await leaving.send(BODY)
    leaving.close()
    return b"".join(EXCHANGES)


@pytest.mark.parametrize("compression", ["none", "gzip"])
async def test_nothing_of_a_request_is_exported(
    tokens: TokenServer, tmp_path: Path, compression: str
) -> None:
    """None of the values is in the bytes, as they came and unpacked; each had its chance."""
    async with (
        ByteServer(Upstream().answer) as upstream,
        ConnectProxy(
            hosts={"up.test:80": ("127.0.0.1", upstream.port)}, credentials=EGRESS
        ) as egress,
        OtlpReceiver() as collector,
    ):
        environ = environment(
            upstream="http://up.test",
            token_url=tokens.token_url,
            unsafe_plain_http="true",
            egress_proxy=egress.url,
            no_proxy="127.0.0.1",
            placeholder_token="true",
            config_file=config_with(tmp_path),
        ) | {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_EXPORTER_OTLP_HEADERS": "api-key=private-collector",
            "OTEL_EXPORTER_OTLP_COMPRESSION": compression,
            "OTEL_TRACES_SAMPLER": "always_on",
            "OTEL_BSP_SCHEDULE_DELAY": "50",
        }
        async with proxy_process(environ, "run", directory=tmp_path) as process:
            port, _ = await process.ports()
            sent = await send_everything(port)
            tokens.failure = TOKEN_ERROR
            process.send(signal.SIGHUP)
            await eventually(
                lambda: any(s.is_error and s.name.startswith("POST /c") for s in collector.spans),
                "the span of a token request that failed",
            )
            process.send(signal.SIGTERM)
            assert await process.ended() == 0
        spans = [span for span in collector.spans if span.kind == "server"]
        statuses = {span.attributes.get("http.response.status_code") for span in spans}
        assert statuses >= {200, 400, 401, 403, 421, 500, 502}
        errors = {span.attributes.get("error.type") for span in spans}
        assert errors >= {"client_left", "upstream_closed", "caller_unknown"}
        seen = sent + upstream.received + tokens.received + collector.received + ANSWER
        seen += TOKEN_ERROR + str(environ).encode()
        assert [each for each in VALUES if each.encode() not in seen] == []
        exported = b"".join(collector.bodies)
        assert b"signicat_proxy.request_id" in exported
        found = [each for each in VALUES for text in spellings(each) if text in exported]
        assert found == []
