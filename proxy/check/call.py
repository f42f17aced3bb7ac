"""The one authorised call of a check: a GET of the upstream, made of the proxy's own parts.

It goes to a path that the proxy would let callers ask for with this client's
token: the first route of the client, or the first of ALLOWED_PATHS below it.
"""

import asyncio
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from proxy.check.network import dial_fix, upstream_destination
from proxy.check.response import meaning_of
from proxy.check.result import Result
from proxy.clock import SYSTEM_CLOCK
from proxy.errors import ProxyError
from proxy.forward.interfaces import UpstreamLink
from proxy.forward.turns import Turns
from proxy.forward.upstream import UpstreamConnection
from proxy.http1.body import NO_BODY
from proxy.http1.parser import RequestHeadParser
from proxy.http1.request import RequestReader
from proxy.http1.response import ResponseHead, ResponseReader
from proxy.http1.serializer import UpstreamNames, request_head
from proxy.net.dialer import DialError
from proxy.net.name_cache import NameCache
from proxy.oauth.endpoint import valid_trace_id
from proxy.oauth.token import Token
from proxy.server.guard import new_rules
from proxy.server.outgoing import host_and_port, new_upstream_dialer
from proxy.settings.loader import ClientSettings, Settings

__all__ = ["call_path", "call_upstream"]

_UPSTREAM: Final = "SIGNICAT_PROXY_UPSTREAM_URL"


def call_path(settings: Settings, client: ClientSettings) -> str | None:
    """Return a path that callers may GET with this client's token, None if there is none."""
    policy, router = new_rules(settings)
    own = [route.path for route in settings.routes if route.client == client.name]
    for path in (*own, *settings.allowed_paths):
        route = router.match(path.encode())
        if route is None or route.client != client.name:
            continue
        try:
            policy.check_method(b"GET", route)
            policy.check_path(path.encode())
        except ProxyError:
            continue
        return path
    return None


@dataclass(frozen=True, slots=True)
class _Head:
    status: int
    trace_id: str | None


class _NoResponseError(Exception):
    """What came is no response; the text says why."""


class _Receiver:
    """Takes the head of one response and nothing more; owns the connection as well."""

    method = b"GET"
    body = NO_BODY

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.reader = ResponseReader()
        self.turns = Turns(self.loop, time.monotonic)
        self.future: asyncio.Future[_Head] = self.loop.create_future()

    def on_progress(self) -> None:
        """Do nothing: one deadline is for the whole response."""

    def on_interim_response(self, head: ResponseHead) -> None:
        """Wait on for the final response."""

    def on_response(self, head: ResponseHead) -> bool:
        """Take the response; its body is not read."""
        trace_id = head.trace_id
        text = None if trace_id is None else valid_trace_id(trace_id.decode("latin-1"))
        if not self.future.done():
            self.future.set_result(_Head(head.status, text))
        return False

    def on_body(self, data: bytes) -> None:
        """Do nothing: no body is asked for."""

    def on_last_chunk(self, data: bytes) -> None:
        """Do nothing, see `on_body`."""

    def on_response_end(self) -> None:
        """Do nothing, see `on_response`."""

    def _fail(self, why: str) -> None:
        if not self.future.done():
            self.future.set_exception(_NoResponseError(why))

    def on_protocol_error(self, reason: str) -> None:
        """Give up on a response with more than one reading (F9)."""
        self._fail(f"the response is not HTTP with one reading: {reason}")

    def on_connection_lost(self, connection: UpstreamLink, *, began: bool) -> None:
        """Give up on a connection that is gone."""
        del connection
        self._fail(f"the connection was closed {'within' if began else 'without'} a response")

    def on_upstream_paused(self) -> None:
        """Do nothing: a head is small."""

    on_upstream_resumed = on_upstream_paused

    def release(self, connection: UpstreamConnection) -> None:
        """Close it: there is no other call."""
        connection.abort()

    def closed(self, connection: UpstreamConnection) -> None:
        """Do nothing."""


async def _get(path: str, token: Token, settings: Settings, tls: ssl.SSLContext) -> _Head:
    """Return the head of the response; raise `DialError`, `_NoResponseError`, `TimeoutError`."""
    receiver = _Receiver()
    parser = RequestHeadParser(receiver.loop)
    start = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n"
    request = RequestReader(parser).read(start.encode())
    names = UpstreamNames.from_url(settings.upstream_url)
    head = request_head(request, names, token.header_line)
    afresh = NameCache(clock=SYSTEM_CLOCK)
    dialer = new_upstream_dialer(settings, tls, afresh)
    transport, connection = await dialer.dial(lambda: UpstreamConnection(receiver))
    connection.receiver = receiver
    try:
        transport.write(head)
        async with asyncio.timeout(settings.read_timeout_seconds):
            return await receiver.future
    finally:
        connection.abort()


async def call_upstream(
    path: str,
    token: Token,
    settings: Settings,
    tls: ssl.SSLContext,
    wall: Callable[[], float],
) -> Result:
    """GET `path` with `token`; say what the response means."""
    target = f"GET {UpstreamNames.from_url(settings.upstream_url).base_path.decode()}{path}"
    try:
        head = await _get(path, token, settings, tls)
    except DialError as error:
        fix = dial_fix(error, upstream_destination(settings), wall)
        return Result("call", "failed", target, error.cause, fix)
    except _NoResponseError as error:
        fix = f"Check that {_UPSTREAM} names Signicat; this may be the response of a middlebox."
        return Result("call", "failed", target, str(error), fix)
    except TimeoutError:
        seconds = settings.read_timeout_seconds
        fix = "Check the firewall; SIGNICAT_PROXY_READ_TIMEOUT_SECONDS is the time allowed."
        return Result("call", "failed", target, f"no response within {seconds:g} s", fix)
    meaning = meaning_of(head.status, host_and_port(settings.upstream_url)[0])
    trace = f" (x-trace-id {head.trace_id})" if head.trace_id else ""
    detail = f"{head.status}{trace}: {meaning.detail}"
    return Result("call", meaning.state, target, detail, meaning.fix)
