"""The heads that go out, upwards and downwards, as plain functions on bytes (F2, F4, F5)."""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from proxy import __version__
from proxy.http1.framing import CHUNKED
from proxy.http1.grammar import CRLF, DEFAULT_PORTS, HEAD_END
from proxy.http1.request import Request
from proxy.http1.request_id import REQUEST_ID
from proxy.http1.response import ResponseHead

__all__ = [
    "UpstreamNames",
    "interim_head",
    "is_rechunked",
    "request_head",
    "response_head",
]

_VIA_11: Final = b"Via: 1.1 signicat-proxy"
_VIA_10: Final = b"Via: 1.0 signicat-proxy"
_USER_AGENT: Final = f"User-Agent: signicat-proxy/{__version__}".encode()
_CHUNKED_LINE: Final = b"Transfer-Encoding: chunked"
_LOCATION: Final = re.compile(rb"(location|content-location):[ \t]*(.*?)[ \t]*", re.IGNORECASE)
_PATH_ENDS: Final = (b"", b"/", b"?", b"#")
_DROPPED_BY_BROWSERS: Final = b"\t\r\n"  # wherever they stand


@dataclass(frozen=True, slots=True)
class UpstreamNames:
    """What the upstream is called: `base_path` is put before the caller's path.

    With `has_traces` the `traceparent` that goes up is ours, and the caller's stays here.
    """

    host_line: bytes
    base_path: bytes
    origin: re.Pattern[bytes]
    has_traces: bool = False

    @classmethod
    def from_url(cls, url: str, *, has_traces: bool = False) -> "UpstreamNames":
        """Read UPSTREAM_URL, which the settings have checked."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        host = f"[{host}]" if ":" in host else host
        default = DEFAULT_PORTS[parts.scheme]
        port = parts.port or default
        authority = host if port == default else f"{host}:{port}"
        port_pattern = f"(?::{port})?" if port == default else f":{port}"
        return cls(
            host_line=f"Host: {authority}".encode(),
            base_path=parts.path.rstrip("/").encode(),
            origin=re.compile(
                f"{parts.scheme}://{re.escape(host)}{port_pattern}(?=[/?#]|$)".encode(),
                re.IGNORECASE,
            ),
            has_traces=has_traces,
        )


def request_head(
    request: Request,
    names: UpstreamNames,
    authorization_line: bytes,
    id_line: bytes = b"",
    trace_line: bytes = b"",
) -> bytes:
    """Return the whole head for the upstream; the lines, each of which ends with CRLF, are in it.

    `id_line` and `trace_line` differ from request to request; either may be empty.
    """
    known = request.known
    parts = known.upstream_parts
    if parts is None:
        parts = _around_authorization(request, names)
        if known.is_kept:  # else an idle connection would hold a block of any size (G11)
            known.upstream_parts = parts
    before, after = parts
    return b"%b %b%b%b%b%b%b%b" % (
        request.method,
        names.base_path,
        request.target,
        before,
        authorization_line,
        id_line,
        trace_line,
        after,
    )


def _around_authorization(request: Request, names: UpstreamNames) -> tuple[bytes, bytes]:
    """Return what goes out from behind the target to the token, and from there to the end."""
    headers = request.headers
    end = CRLF
    if b"user-agent" not in headers.facts:
        end = _USER_AGENT + HEAD_END
    if headers.length == CHUNKED:
        end = _CHUNKED_LINE + CRLF + end
    lines = headers.lines
    for name in _replaced(request, names):
        lines = _without(lines, name, headers.facts[name])
    via = _VIA_10 if request.is_http_10 else _VIA_11
    return CRLF.join((b" HTTP/1.1", names.host_line, *lines, via, b"")), end


def _without(lines: list[bytes], name: bytes, value: bytes) -> list[bytes]:
    """Return the lines but those of a header; `value` is that of all of them, joined.

    The library that sends a `traceparent` in each request writes it in one way, which is looked
    for first. Were there a second line, the value would be longer than what stands in the first.
    """
    usual = name + b": " + value
    if usual in lines:
        lines = lines.copy()
        lines.remove(usual)
        return lines
    begin = name + b":"
    size = len(begin)
    return [line for line in lines if line[:size].lower() != begin]


def _replaced(request: Request, names: UpstreamNames) -> list[bytes]:
    """Return the names of the caller's lines that stay here, as ours take their place or none."""
    known, facts = request.known, request.headers.facts
    replaced = []
    if known.id_line is None and REQUEST_ID in facts:
        replaced.append(REQUEST_ID)
    if names.has_traces:
        if b"traceparent" in facts:
            replaced.append(b"traceparent")
        if b"tracestate" in facts and (request.parent is None or known.tracestate is None):
            replaced.append(b"tracestate")
    return replaced


def _names_a_host(path: bytes) -> bool:
    """Say whether browsers read `//host` or the like, and so go there (WHATWG URL)."""
    return path.translate(None, _DROPPED_BY_BROWSERS)[1:2] in (b"/", b"\\")


def _rewritten(line: bytes, request: Request, names: UpstreamNames, scheme: bytes) -> bytes:
    """Point a `Location` on the upstream's origin at the address that the caller used (F4)."""
    match = _LOCATION.fullmatch(line)
    if match is None:
        return line
    name, target = match[1], match[2]
    origin = names.origin.match(target)
    rest = target[origin.end() :] if origin else target
    if not origin and (not target.startswith(b"/") or _names_a_host(target)):
        return line
    base = names.base_path
    if base:
        if not rest.startswith(base) or rest[len(base) : len(base) + 1] not in _PATH_ENDS:
            return line
        rest = rest[len(base) :]
    if not rest.startswith(b"/"):
        rest = b"/" + rest
    leads_away = _names_a_host(rest)
    if origin or leads_away:
        if not request.authority:
            return line if leads_away else name + b": " + rest
        rest = scheme + b"://" + request.authority + rest
    return name + b": " + rest


def is_rechunked(head: ResponseHead, request: Request) -> bool:
    """Say whether the caller gets the body in chunks: one of unknown length, if it can read them.

    A response that ends with the upstream's connection is among them: its end could not be
    told from a broken connection otherwise (F7).
    """
    return head.length < 0 and not request.is_http_10


def response_head(
    head: ResponseHead,
    request: Request,
    names: UpstreamNames,
    scheme: bytes = b"http",
    *,
    id_line: bytes,
    is_chunked: bool,
    close: bool,
) -> bytes:
    """Return the head for the caller.

    `scheme` is the one by which the caller came. `id_line` carries the request's id, in place of
    any that the upstream sent. `is_chunked` is what `is_rechunked` says. `close` says that this
    response is the last on the caller's connection.
    """
    lines = head.lines
    if head.has_location:
        lines = [_rewritten(line, request, names, scheme) for line in lines]
    out = [head.start, *lines, _VIA_11]
    if is_chunked:
        out.append(_CHUNKED_LINE)
    if close:
        out.append(b"Connection: close")
    elif request.is_http_10:
        out.append(b"Connection: keep-alive")
    out.append(id_line)  # which ends with CRLF, so that one more ends the head
    out.append(b"")
    return CRLF.join(out)


def interim_head(head: ResponseHead) -> bytes:
    """Return a 1xx head for the caller (RFC 9110 §15.2)."""
    return CRLF.join((head.start, *head.lines, CRLF))
