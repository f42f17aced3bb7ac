"""What of a request's headers crosses and what stays: F4 and F5 as plain functions on bytes.

Header lines cross exactly as they were received. The functions here decide which of them, read
the framing of the body, and gather the few facts that the guard and the log need.
"""

import re
from typing import Final

from proxy.http1.framing import (
    HOP_BY_HOP,
    NO_OPTIONS,
    connection_options,
    declared_length,
    stays_open,
    without_length,
    without_named,
)
from proxy.http1.message_faults import SPACE_BEFORE_COLON
from proxy.http1.parser import MalformedMessageError, RawHeaders

__all__ = ["MessageHeaders", "read_request_headers"]

_NEED_LENGTH: Final = frozenset((b"POST", b"PUT", b"PATCH"))

# Credentials, what we respond to ourselves, and what callers claim about where a request is from.
_REQUEST_DROPPED: Final = HOP_BY_HOP | {
    b"authorization",
    b"expect",
    b"forwarded",
    b"host",
    b"x-real-ip",
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


def _kind(name: bytes) -> _Kind:
    key = name.lower()
    if key in _REQUEST_DROPPED:
        return _Kind(key, crosses=False, is_fact=True)
    is_plain = _PLAIN_NAME.fullmatch(key) is not None
    stays = key.startswith(_REQUEST_PREFIXES) or (not is_plain and _is_claim_in_disguise(key))
    return _Kind(key, crosses=not stays, is_fact=key in _REQUEST_FACTS)


class _Kinds(dict[bytes, _Kind | None]):
    """Remembers the kinds of names met so far: not many, none long, so that peers cannot fill it.

    None stands for most: the header crosses, and that is all. Whoever sends a
    thousand names of their own makes it begin anew, no more.
    """

    def __missing__(self, name: bytes) -> _Kind | None:
        decided = _kind(name)
        kind = None if decided.crosses and not decided.is_fact else decided
        if len(self) >= _MAX_KNOWN:
            self.clear()
        if len(name) <= _MAX_KNOWN_NAME:
            self[name] = kind
        return kind


# Names come from peers, verdicts from the tables above: a cache, not a state.
_KINDS: Final = _Kinds()


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
        return stays_open(self.options, is_http_10=is_http_10)


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


def _sorted_lines(
    lines: list[bytes], headers: RawHeaders
) -> tuple[list[bytes], dict[bytes, bytes]]:
    """Return the lines that cross, and the facts; `lines` has one more at its beginning.

    A space before the colon, which the parser would take for a part of the name, is refused.
    """
    kept: list[bytes] = []
    facts: dict[bytes, bytes] = {}
    for line, (name, value) in zip(lines[1:], headers, strict=True):
        if line[len(name)] != _COLON:
            raise MalformedMessageError(SPACE_BEFORE_COLON)
        kind = _KINDS[name]
        if kind is None:
            kept.append(line)
            continue
        if kind.is_fact:
            known = facts.get(kind.key)
            facts[kind.key] = value if known is None else known + b", " + value
        if kind.crosses:
            kept.append(line)
    return kept, facts


def read_request_headers(
    method: bytes, lines: list[bytes], headers: RawHeaders, *, is_http_10: bool
) -> MessageHeaders:
    """Sort the header lines of a request (F4) and read its framing (F5).

    `lines` begins with the request line, `headers` holds one pair for each
    further line. A body length of 0 keeps its `Content-Length` line only for
    POST, PUT and PATCH, which get one even if the caller sent none.
    Raises `MalformedMessageError`.
    """
    kept, facts = _sorted_lines(lines, headers)
    length = declared_length(
        facts.get(b"content-length"), facts.get(b"transfer-encoding"), is_http_10=is_http_10
    )
    if length is None and method in _NEED_LENGTH:
        kept.append(b"Content-Length: 0")
    elif length == 0 and method not in _NEED_LENGTH:
        kept = without_length(kept)
    options = NO_OPTIONS
    if b"connection" in facts:
        options = connection_options(facts[b"connection"])
        kept = without_named(kept, options)
    return MessageHeaders(kept, facts, length or 0, options)
