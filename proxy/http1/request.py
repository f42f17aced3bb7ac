"""One request head, read: what the exchange needs to know of it."""

import re
from collections.abc import Iterable
from typing import Final

from proxy.errors import BAD_REQUEST, ProxyError
from proxy.http1.failures import ambiguous_message, method_not_allowed
from proxy.http1.grammar import CRLF, HTTP_10, METHODS, NEVER_FORWARDED
from proxy.http1.headers import MessageHeaders, read_request_headers
from proxy.http1.parser import MalformedMessageError, RequestHeadParser
from proxy.http1.request_id import given_id_line
from proxy.http1.trace_context import TraceParent, is_valid_tracestate, read_traceparent

__all__ = ["KnownHead", "Request", "RequestReader"]

# RFC 9110 §9.2.2: what may be sent again without the caller asking.
_IDEMPOTENT: Final = frozenset((b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"))
# Targets of the ordinary kind: a path of visible ASCII without '#', and so short that no head
# with it is too large, since nobody counts the bytes of one that is known (G6).
_PLAIN_TARGET: Final = re.compile(rb"/[!-\"$-~]{0,8191}")
_MAX_KNOWN_BLOCK: Final = 2048  # bytes that an idle connection may hold for it,
_MAX_KNOWN_LINES: Final = 100  # and options of Connection: each is an object of its own
_CONNECT: Final = b"CONNECT "
_ABSOLUTE: Final = re.compile(rb"https?://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)
_AUTHORITY: Final = re.compile(
    rb"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*\])(?::([0-9]{0,5}))?"
)
_MAX_PORT: Final = 65_535


class KnownHead:
    """What has been found out about a header block, for every request that repeats it.

    One stands for exactly the bytes of one block on one connection: the guard remembers by it
    whose block it admitted. `upstream_parts` are the serializer's, where the block `is_kept` for
    the next request: what goes out before the token and behind it. `id_line` carries the caller's
    id, None where ours is needed. `parent` and `tracestate` are the caller's trace, once
    `Request.parent` was asked for. What changes with each request is no part of it.
    """

    __slots__ = ("_is_trace_read", "id_line", "is_kept", "parent", "tracestate", "upstream_parts")

    def __init__(self, id_line: bytes | None = None) -> None:
        self.id_line = id_line
        self.parent: TraceParent | None = None
        self.tracestate: bytes | None = None
        self._is_trace_read = False
        self.is_kept = False
        self.upstream_parts: tuple[bytes, bytes] | None = None

    def read_trace(self, headers: MessageHeaders) -> None:
        """Read the caller's trace, once; what `Connection` names is for one hop, and no trace."""
        if self._is_trace_read:
            return
        self._is_trace_read = True
        facts, options = headers.facts, headers.options
        if b"traceparent" not in options:
            self.parent = read_traceparent(facts.get(b"traceparent"))
        state = None if self.parent is None else facts.get(b"tracestate")
        if state is not None and b"tracestate" not in options and is_valid_tracestate(state):
            self.tracestate = state


class Request:
    """A request that has only one reading; whether it is allowed is not yet said.

    `target` is path and query as received (F2), `path` the part before the
    query, `authority` what the caller calls us, and `names_target` whether that
    stood in the request target (absolute form, F3) and not in `Host`. `known` is
    shared by the requests of a connection that have the very same header block.
    """

    __slots__ = (
        "authority",
        "headers",
        "is_http_10",
        "keep_alive",
        "known",
        "method",
        "names_target",
        "path",
        "target",
        "version",
    )

    def __init__(
        self,
        method: bytes,
        target: bytes,
        version: bytes,
        headers: MessageHeaders,
        authority: bytes | None,
        known: KnownHead,
        *,
        names_target: bool,
    ) -> None:
        self.method = method
        self.target = target
        self.path = target.partition(b"?")[0]
        self.version = version
        self.headers = headers
        self.known = known
        self.authority = authority
        self.names_target = names_target
        self.is_http_10 = version == HTTP_10
        self.keep_alive = headers.keep_alive(is_http_10=self.is_http_10)

    def with_target(self, target: bytes) -> "Request":
        """Return the same request for another target, in origin form."""
        return Request(
            self.method,
            target,
            self.version,
            self.headers,
            self.authority,
            self.known,
            names_target=False,
        )

    @property
    def parent(self) -> TraceParent | None:
        """Where this request stands in its caller's trace, None where it begins one (O4)."""
        self.known.read_trace(self.headers)
        return self.known.parent

    @property
    def is_idempotent(self) -> bool:
        """May this request be sent again when no byte of a response came (F8)."""
        return self.method in _IDEMPOTENT

    @property
    def expects_continue(self) -> bool:
        """Does the caller wait for our word before it sends the body (F6)."""
        expect = self.headers.facts.get(b"expect")
        return expect is not None and expect.lower() == b"100-continue" and not self.is_http_10


def _split_absolute(target: bytes) -> tuple[bytes, bytes]:
    """Return authority and origin form of an absolute target (RFC 9112 §3.2.2)."""
    match = _ABSOLUTE.fullmatch(target)
    authority = None if match is None else _AUTHORITY.fullmatch(match[1])
    if match is None or authority is None or int(authority[1] or 0) > _MAX_PORT:
        raise ProxyError(
            BAD_REQUEST, "The request target must be a path that begins with '/' or an http:// URL."
        )
    rest = match[2]
    return match[1], rest if rest.startswith(b"/") else b"/" + rest


class RequestReader:
    """Reads the request heads of one connection; `methods` are those that `Allow` names.

    Callers that keep a connection mostly send the same header block again and
    again. One that equals the block before, byte for byte, under the same
    method and version, is not read anew; only the request line is.
    """

    __slots__ = ("_known", "_known_begin", "_known_end", "_methods", "_parser")

    def __init__(self, parser: RequestHeadParser, methods: Iterable[bytes] = METHODS) -> None:
        self._parser = parser
        self._methods = methods
        self._known: Request | None = None
        self._known_begin = b""  # what stands before the target,
        self._known_end = b""  # and behind it

    def read(self, head: bytes) -> Request:
        """Read one whole head.

        Raises `ProxyError` for bytes that are no request with one reading (G5)
        and for a target that is none of ours (F1, F3); then the caller's
        connection cannot be used any further.
        """
        request = self.read_known(head)
        if request is None:
            try:
                request = self._read_anew(head)
            except MalformedMessageError as error:
                raise ambiguous_message(str(error)) from error
            self._remember(request, head)
        return request

    def read_known(self, head: bytes) -> Request | None:
        """Return the request, if `head` is one whole head that differs in its target alone."""
        known, end = self._known, self._known_end
        if known is None or not head.endswith(end):
            return None
        begin = self._known_begin
        target_begins, target_ends = len(begin), len(head) - len(end)
        if target_begins >= target_ends or not head.startswith(begin):
            return None
        target = head[target_begins:target_ends]
        return known.with_target(target) if _PLAIN_TARGET.fullmatch(target) else None

    def _remember(self, request: Request, head: bytes) -> None:
        end = head.find(CRLF)
        if request.names_target or len(head) - end > _MAX_KNOWN_BLOCK:
            return
        headers = request.headers
        if len(headers.lines) + len(headers.options) > _MAX_KNOWN_LINES:
            return
        # Its target, which may be long and name a person, goes with the request (G11).
        self._known = request.with_target(b"/")
        request.known.is_kept = True
        self._known_begin = request.method + b" "
        self._known_end = b" " + request.version + head[end:]

    def _read_anew(self, head: bytes) -> Request:
        try:
            (method, target, version), lines, raw_headers = self._parser.parse(head)
        except MalformedMessageError:
            if head.startswith(_CONNECT):  # its target is of no form that the parser was told of
                raise self._never_forwarded() from None
            raise
        if method in NEVER_FORWARDED:
            raise self._never_forwarded()
        headers = read_request_headers(method, lines, raw_headers, is_http_10=version == HTTP_10)
        authority: bytes | None
        names_target = not target.startswith(b"/")
        if names_target:
            authority, target = _split_absolute(target)
        else:
            authority = headers.facts.get(b"host")
        if b"#" in target:
            raise ProxyError(BAD_REQUEST, "The request target must not hold a fragment ('#').")
        known = KnownHead(given_id_line(headers))
        return Request(
            method, target, version, headers, authority, known, names_target=names_target
        )

    def _never_forwarded(self) -> ProxyError:
        return method_not_allowed(self._methods, "CONNECT and TRACE are never forwarded.")
