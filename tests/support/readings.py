"""What is read of thousands of made-up messages: `python -m tests.support.readings SEED COUNT`.

One line per message, so that two builds of the proxy can be held against each other. Unlike the
tests over sockets this sees every fact that is read, not only what gets out.
"""

import asyncio
import random
import sys
from collections.abc import Callable, Iterator

from proxy.build import build
from proxy.errors import ProxyError
from proxy.guard.policy import Policy
from proxy.guard.routing import Route, Router
from proxy.http1.headers import MessageHeaders
from proxy.http1.parser import MalformedMessageError, RequestHeadParser
from proxy.http1.receive_buffer import ReceiveBuffer
from proxy.http1.request import Request, RequestReader
from proxy.http1.response import ResponseReader
from proxy.http1.serializer import UpstreamNames, is_rechunked, request_head, response_head

PIECES = [b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\x00", b" ", b"\t", b":", b",", b";", b"\x0b"]
PIECES += [b"0", b"9", b"+", b"-", b"0x", b"\x7f", b"\xff", b"\xc3\xa9", b"?", b"#", b"%2f", b"//"]
PIECES += [b"/../", b"%2e.", b"HTTP/1.0", b"HEAD", b"http://a/", b"chunked", b"close", b"upgrade"]
PIECES += [b"\r\nContent-Length: 5", b"\r\nTransfer-Encoding: chunked", b"\r\nHost: b", b"x" * 70]
PIECES += [b"\r\nConnection: x-a, close", b"\r\nX-A: 1", b"\r\nX_Forwarded_For: 1", b"\r\n folded"]
REQUESTS = [
    b"GET /a?b=c HTTP/1.1\r\nHost: localhost\r\nUser-Agent: x\r\nConnection: keep-alive\r\n\r\n",
    b"POST /sign/documents HTTP/1.1\r\nHost: localhost:8080\r\nContent-Length: 3\r\n\r\nabc",
    b"PUT /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    b"OPTIONS http://localhost/a HTTP/1.0\r\nOrigin: null\r\nTraceparent: 00-1-2-01\r\n\r\n",
]
ANSWERS = [
    b"HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 3\r\nx-trace-id: 1\r\n\r\n",
    b"HTTP/1.0 302 Found\r\nLocation: https://api.signicat.com/base/a\r\nConnection: close\r\n\r\n",
    b"HTTP/1.1 103\r\nLink: a\r\nTransfer-Encoding: chunked\r\nAlt-Svc: b\r\n\r\n",
]
ID_LINE = b"X-Request-ID: id\r\n"
NAMES = UpstreamNames.from_url("https://api.signicat.com/base")


def mutated(messages: list[bytes], chance: random.Random) -> bytes:
    """Return a message with up to three pieces put in, taken out or replaced."""
    raw = chance.choice(messages)
    for _ in range(chance.choice([0, 1, 1, 2, 3])):
        start = chance.randrange(len(raw) + 1)
        end = start + chance.choice([0, 0, 1, 2, 9])
        raw = raw[:start] + chance.choice([b"", *PIECES]) + raw[end:]
    return raw


def told(work: Callable[[], object]) -> str:
    """Return what came of it, refusals with their whole text; another error goes on."""
    try:
        return repr(work())
    except ProxyError as error:
        return f"{error.kind.code}: {error.detail} {error.headers}"
    except MalformedMessageError as error:
        return f"malformed: {error}"


def facts(headers: MessageHeaders) -> object:
    """Return all that was read of the headers."""
    return headers.lines, headers.facts, headers.length, sorted(headers.options)


class Reader:
    """Reads messages as the proxy does; requests on one connection until one is refused."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._requests = RequestHeadParser(loop)
        self._answers = ResponseReader()
        self._reader = RequestReader(self._requests)
        self._router = Router(
            [Route(b"/", "a"), Route(b"/sign", "b", frozenset((b"GET", b"POST")))]
        )
        self._policy = Policy(
            upstream_url="https://api.signicat.com/base",
            token_urls=["https://api.signicat.com/auth/open/connect/token"],
            allowed_hosts=["localhost"],
            routes_restrict_paths=True,
        )
        self._request = self._reader.read(REQUESTS[0])

    def request(self, raw: bytes, cut: int) -> object:
        """Return what is read of a request that comes in two pieces."""
        receive_buffer = ReceiveBuffer()
        receive_buffer.add(raw[:cut])
        head = receive_buffer.take_head()
        receive_buffer.add(raw[cut:])
        head = head or receive_buffer.take_head()
        if head is None:
            return "unfinished"
        try:
            request = self._reader.read(head)
        except ProxyError:
            self._reader = RequestReader(self._requests)
            raise
        self._request = request
        receive_buffer.begin_body(request.headers.length)
        out = request_head(request, NAMES, b"Authorization: Bearer t\r\n")
        seen = request.version, request.authority, request.keep_alive, request.names_target
        verdict = told(lambda: self._admitted(request))
        return seen, out, facts(request.headers), verdict, told(receive_buffer.take_body)

    def _admitted(self, request: Request) -> str:
        self._policy.check_path(request.path)
        route = self._router.match(request.path)
        if route is None:
            return "no route"
        self._policy.check_host(request.authority or b"")
        self._policy.check_method(request.method, route)
        return route.client

    def answer(self, raw: bytes) -> object:
        """Return what is read of an answer to the request before."""
        request = self._request
        read = self._answers.read(request.method, raw.removesuffix(b"\r\n\r\n"))
        is_chunked = is_rechunked(read, request)
        head = response_head(
            read,
            request,
            NAMES,
            id_line=b"X-Request-ID: id\r\n",
            is_chunked=is_chunked,
            close=False,
        )
        seen = read.status, read.is_http_10, read.length, sorted(read.options), read.stays_open
        return seen, read.keep_alive, read.trace_id, head


def readings(seed: int, count: int, loop: asyncio.AbstractEventLoop) -> Iterator[str]:
    """Yield what is read of `count` messages, the same for the same seed."""
    chance = random.Random(seed)
    reader = Reader(loop)
    for _ in range(count):
        raw = mutated(REQUESTS, chance)
        cut = chance.randrange(len(raw) + 1)
        yield f"{raw!r} {told(lambda raw=raw, cut=cut: reader.request(raw, cut))}"  # type: ignore[misc]
        answer = mutated(ANSWERS, chance)
        yield f"{answer!r} {told(lambda answer=answer: reader.answer(answer))}"  # type: ignore[misc]


if __name__ == "__main__":
    print(build())  # noqa: T201 - which build this is
    for line in readings(int(sys.argv[1]), int(sys.argv[2]), asyncio.new_event_loop()):
        print(line)  # noqa: T201 - its result
