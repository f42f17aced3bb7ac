"""What crosses and what stays: the header rules of F4 and F5 as plain functions on bytes.

Header lines cross exactly as they were received. The functions here decide which of them, read
the framing of the body, and gather the few facts that the guard and the log need.
"""

import re
from collections.abc import Callable
from typing import Final

from proxy.http1.grammar import TOKEN
from proxy.http1.message_faults import (
    BOTH_LENGTHS,
    CHUNKS_IN_HTTP_10,
    CONTENT_LENGTH,
    HEADER_NAME,
    NOT_CHUNKED,
    SPACE_BEFORE_COLON,
)
from proxy.http1.parser import MalformedMessageError, RawHeaders

__all__ = [
    "CHUNKED",
    "UNTIL_CLOSE",
    "MessageHeaders",
    "read_request_headers",
    "read_response_headers",
]

CHUNKED: Final = -1
"""A body's length: framed by chunks."""
UNTIL_CLOSE: Final = -2
"""A body's length: it ends with the connection."""

_MAX_LENGTH_DIGITS: Final = 18
_NEED_LENGTH: Final = frozenset((b"POST", b"PUT", b"PATCH"))

# RFC 9110 §7.6.1, with the obsolete ones that are still met.
_HOP_BY_HOP: Final = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)
# Credentials, what we respond to ourselves, and what callers claim about where a request is from.
_REQUEST_DROPPED: Final = _HOP_BY_HOP | {
    b"authorization",
    b"expect",
    b"forwarded",
    b"host",
    b"x-real-ip",
}
# They speak of Signicat's own host, could echo what only Signicat may see, or are set anew (O1).
_RESPONSE_DROPPED: Final = _HOP_BY_HOP | {
    b"alt-svc",
    b"authorization",
    b"strict-transport-security",
    b"x-request-id",
}
_REQUEST_FACTS: Final = frozenset(
    (
        b"content-length",
        b"origin",
        b"proxy-authorization",
        b"sec-fetch-site",
        b"traceparent",
        b"tracestate",
        b"user-agent",
        b"via",
        b"x-request-id",
    )
)
_RESPONSE_FACTS: Final = frozenset(
    (b"content-length", b"content-location", b"location", b"x-trace-id")
)
_REQUEST_PREFIXES: Final = (b"x-forwarded-", b"proxy-")
_COLON: Final = ord(":")
_PLAIN_NAME: Final = re.compile(rb"[a-z0-9-]+")
_ODD_SIGN: Final = re.compile(rb"[^a-z0-9]")
_MAX_KNOWN: Final = 1024
_MAX_KNOWN_NAME: Final = 64


class _Kind:
    """What is done with a header of some name: does it cross, is its value a fact."""

    __slots__ = ("crosses", "is_fact", "key")

    def __init__(self, key: bytes, *, crosses: bool, is_fact: bool) -> None:
        self.key = key
        self.crosses = crosses
        self.is_fact = is_fact


def _request_kind(name: bytes) -> _Kind:
    key = name.lower()
    if key in _REQUEST_DROPPED:
        return _Kind(key, crosses=False, is_fact=True)
    is_plain = _PLAIN_NAME.fullmatch(key) is not None
    stays = key.startswith(_REQUEST_PREFIXES) or (not is_plain and _is_claim_in_disguise(key))
    return _Kind(key, crosses=not stays, is_fact=key in _REQUEST_FACTS)


def _response_kind(name: bytes) -> _Kind:
    if TOKEN.fullmatch(name) is None:
        raise MalformedMessageError(HEADER_NAME)
    key = name.lower()
    if key in _RESPONSE_DROPPED:
        return _Kind(key, crosses=False, is_fact=True)
    return _Kind(key, crosses=not key.startswith(b"proxy-"), is_fact=key in _RESPONSE_FACTS)


class _Kinds(dict[bytes, _Kind | None]):
    """Remembers the kinds of names met so far: not many, none long, so that peers cannot fill it.

    None stands for most: the header crosses, and that is all. Whoever sends a
    thousand names of their own makes it begin anew, no more.
    """

    def __init__(self, decide: Callable[[bytes], _Kind]) -> None:
        super().__init__()
        self._decide = decide

    def __missing__(self, name: bytes) -> _Kind | None:
        decided = self._decide(name)
        kind = None if decided.crosses and not decided.is_fact else decided
        if len(self) >= _MAX_KNOWN:
            self.clear()
        if len(name) <= _MAX_KNOWN_NAME:
            self[name] = kind
        return kind


# Names come from peers, verdicts from the tables above: a cache, not a state.
_REQUEST_KINDS: Final = _Kinds(_request_kind)
_RESPONSE_KINDS: Final = _Kinds(_response_kind)


class MessageHeaders:
    """What the headers of one message say.

    `lines` are those that cross, as received. `length` is the body's length in bytes, `CHUNKED` or
    `UNTIL_CLOSE`. `facts` holds the values of the special headers by lower-case name, repeated ones
    joined by a comma (RFC 9110 §5.3). `options` are the lower-case tokens of `Connection`.
    """

    __slots__ = ("facts", "length", "lines", "options")

    def __init__(
        self,
        lines: list[bytes],
        facts: dict[bytes, bytes],
        length: int,
        options: frozenset[bytes],
    ) -> None:
        self.lines = lines
        self.facts = facts
        self.length = length
        self.options = options

    def keep_alive(self, *, is_http_10: bool) -> bool:
        """Say whether another message may follow on the connection (RFC 9112 §9.3)."""
        options = self.options
        return b"keep-alive" in options if is_http_10 else b"close" not in options


_NO_OPTIONS: Final[frozenset[bytes]] = frozenset()
_KEEP_ALIVE: Final = frozenset((b"keep-alive",))
_FRAMING_OPTIONS: Final = frozenset((b"close", b"keep-alive", b"content-length"))


def _is_claim_in_disguise(key: bytes) -> bool:
    """Say whether `key`, with `-` for `_` and other signs, is a header that stays here (F4).

    Applications that map headers to variables cannot tell them apart: most read
    `_` and `-` as one, some every sign that is no letter and no digit (ids: O1).
    """
    plain = _ODD_SIGN.sub(b"-", key)
    return (
        plain in _REQUEST_DROPPED
        or plain in (b"content-length", b"x-request-id")
        or plain.startswith(_REQUEST_PREFIXES)
    )


def _connection_options(value: bytes) -> frozenset[bytes]:
    if value == b"keep-alive":
        return _KEEP_ALIVE
    return frozenset(token.strip(b" \t") for token in value.lower().split(b","))


def _without_named(lines: list[bytes], options: frozenset[bytes]) -> list[bytes]:
    """Leave out the lines that `Connection` names; the framing is not its to remove."""
    if options <= _FRAMING_OPTIONS:
        return lines
    named = options - _FRAMING_OPTIONS
    return [line for line in lines if line.partition(b":")[0].lower() not in named]


def _declared_length(facts: dict[bytes, bytes], *, is_http_10: bool) -> int | None:
    """Return the length that the framing headers declare, None without any.

    Raises `MalformedMessageError` where two readers could disagree (G5, F9).
    """
    coding = facts.get(b"transfer-encoding")
    length = facts.get(b"content-length")
    if coding is not None:
        if length is not None:
            raise MalformedMessageError(BOTH_LENGTHS)
        if is_http_10:
            raise MalformedMessageError(CHUNKS_IN_HTTP_10)
        if coding.lower() != b"chunked":
            raise MalformedMessageError(NOT_CHUNKED)
        return CHUNKED
    if length is None:
        return None
    if not length.isdigit() or len(length) > _MAX_LENGTH_DIGITS:
        raise MalformedMessageError(CONTENT_LENGTH)
    return int(length)


def _sorted_lines(
    lines: list[bytes], headers: RawHeaders, kinds: _Kinds
) -> tuple[list[bytes], dict[bytes, bytes]]:
    """Return the lines that cross, and the facts; `lines` has one more at its beginning.

    The parser is lenient where it reads responses: it takes spaces before the colon away.
    """
    kept: list[bytes] = []
    facts: dict[bytes, bytes] = {}
    for line, (name, value) in zip(lines[1:], headers, strict=True):
        if line[len(name)] != _COLON:
            raise MalformedMessageError(SPACE_BEFORE_COLON)
        kind = kinds[name]
        if kind is None:
            kept.append(line)
            continue
        if kind.is_fact:
            known = facts.get(kind.key)
            facts[kind.key] = value if known is None else known + b", " + value
        if kind.crosses:
            kept.append(line)
    return kept, facts


def _without_length(lines: list[bytes]) -> list[bytes]:
    return [line for line in lines if not line.lower().startswith(b"content-length:")]


def read_request_headers(
    method: bytes, lines: list[bytes], headers: RawHeaders, *, is_http_10: bool
) -> MessageHeaders:
    """Sort the header lines of a request (F4) and read its framing (F5).

    `lines` begins with the request line, `headers` holds one pair for each
    further line. A body length of 0 keeps its `Content-Length` line only for
    POST, PUT and PATCH, which get one even if the caller sent none.
    Raises `MalformedMessageError`.
    """
    kept, facts = _sorted_lines(lines, headers, _REQUEST_KINDS)
    length = _declared_length(facts, is_http_10=is_http_10)
    if length is None and method in _NEED_LENGTH:
        kept.append(b"Content-Length: 0")
    elif length == 0 and method not in _NEED_LENGTH:
        kept = _without_length(kept)
    options = _NO_OPTIONS
    if b"connection" in facts:
        options = _connection_options(facts[b"connection"])
        kept = _without_named(kept, options)
    return MessageHeaders(kept, facts, length or 0, options)


def _has_no_body(method: bytes, status: int) -> bool:
    return method == b"HEAD" or status in (204, 304) or status < 200  # noqa: PLR2004 (RFC 9112 §6.3)


def read_response_headers(
    method: bytes, status: int, lines: list[bytes], headers: RawHeaders, *, is_http_10: bool
) -> MessageHeaders:
    """Sort the header lines of a response to `method` (F4) and read its framing (RFC 9112 §6.3).

    Raises `MalformedMessageError` for framing with two readings (F9).
    """
    kept, facts = _sorted_lines(lines, headers, _RESPONSE_KINDS)
    length = _declared_length(facts, is_http_10=is_http_10)
    if length is None:
        length = UNTIL_CLOSE
    if _has_no_body(method, status):
        length = 0
        if status == 204 or status < 200:  # noqa: PLR2004 (RFC 9110 §8.6: no length either)
            kept = _without_length(kept)
    options = _NO_OPTIONS
    if b"connection" in facts:
        options = _connection_options(facts[b"connection"])
        kept = _without_named(kept, options)
    return MessageHeaders(kept, facts, length, options)
