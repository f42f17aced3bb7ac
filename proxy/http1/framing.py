"""Where a message's body ends (RFC 9112 §6), and what `Connection` says, as plain functions."""

from typing import Final

from proxy.http1.message_faults import (
    BOTH_LENGTHS,
    CHUNKS_IN_HTTP_10,
    CONTENT_LENGTH,
    NOT_CHUNKED,
)
from proxy.http1.parser import MalformedMessageError

__all__ = [
    "CHUNKED",
    "HOP_BY_HOP",
    "NO_OPTIONS",
    "UNTIL_CLOSE",
    "connection_options",
    "declared_length",
    "stays_open",
    "without_length",
    "without_named",
]

CHUNKED: Final = -1
"""A body's length: framed by chunks."""
UNTIL_CLOSE: Final = -2
"""A body's length: it ends with the connection."""
HOP_BY_HOP: Final = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)
"""Headers that are for one connection (RFC 9110 §7.6.1), with the obsolete that are still met."""
NO_OPTIONS: Final[frozenset[bytes]] = frozenset()
"""The options of a message without `Connection`."""

_MAX_LENGTH_DIGITS: Final = 18
_KEEP_ALIVE: Final = frozenset((b"keep-alive",))
_FRAMING_OPTIONS: Final = frozenset((b"close", b"keep-alive", b"content-length"))


def declared_length(length: bytes | None, coding: bytes | None, *, is_http_10: bool) -> int | None:
    """Return the length that `Content-Length` and `Transfer-Encoding` declare, None without any.

    The values of a repeated header are joined by a comma. Raises `MalformedMessageError` where
    two readers could disagree (G5, F9).
    """
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


def connection_options(value: bytes) -> frozenset[bytes]:
    """Return the lower-case tokens of `Connection`."""
    if value == b"keep-alive":
        return _KEEP_ALIVE
    return frozenset(token.strip(b" \t") for token in value.lower().split(b","))


def stays_open(options: frozenset[bytes], *, is_http_10: bool) -> bool:
    """Say whether another message may follow on the connection (RFC 9112 §9.3).

    `close` wins over `keep-alive`.
    """
    return b"close" not in options and (not is_http_10 or b"keep-alive" in options)


def without_named(lines: list[bytes], options: frozenset[bytes]) -> list[bytes]:
    """Leave out the lines that `Connection` names; the framing is not its to remove."""
    if options is _KEEP_ALIVE or options <= _FRAMING_OPTIONS:
        return lines
    named = options - _FRAMING_OPTIONS
    return [line for line in lines if line.partition(b":")[0].lower() not in named]


def without_length(lines: list[bytes]) -> list[bytes]:
    """Leave out `Content-Length`."""
    return [line for line in lines if not line.lower().startswith(b"content-length:")]
