"""W3C Trace Context as callers send it: strictly read, from bytes, and no setting (O4).

`traceparent` says which trace a request belongs to, and which span of the caller is above it;
`tracestate` is what tracing systems add to that. Whoever cannot read the first drops the second.
"""

import re
from typing import Final

__all__ = ["TraceParent", "is_valid_tracestate", "read_traceparent"]

SAMPLED: Final = 0x01
_KNOWN_FLAGS: Final = 0x03  # sampled; and, since level 2, that the trace's id is random
# Later versions may be longer, behind a dash; what is known of them stands where it always did.
_TRACEPARENT: Final = re.compile(
    rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL
)
_NO_VERSION: Final = b"ff"
_VERSION: Final = b"00"
_NO_TRACE: Final = b"0" * 32
_NO_SPAN: Final = b"0" * 16
_MAX_MEMBERS: Final = 32
_MAX_PIECES: Final = 2 * _MAX_MEMBERS  # with the empty ones
_OPTIONAL_SPACE: Final = b" \t"
_MEMBER: Final = re.compile(
    rb"([a-z0-9][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})"
    rb"=[ -+\--<>-~]{0,255}[!-+\--<>-~]"
)


class TraceParent:
    """Where a request stands in its caller's trace: ids in lower-case hexadecimal digits.

    `flags` are those of them that this version knows.
    """

    __slots__ = ("flags", "span_id", "trace_id")

    def __init__(self, trace_id: bytes, span_id: bytes, flags: int) -> None:
        self.trace_id = trace_id
        self.span_id = span_id
        self.flags = flags

    @property
    def is_sampled(self) -> bool:
        """Does the caller record this request."""
        return self.flags & SAMPLED != 0


def read_traceparent(value: bytes | None) -> TraceParent | None:
    """Return what a `traceparent` says, None where it is missing or malformed.

    A repeated header, which reaches us joined by a comma, is malformed.
    """
    match = None if value is None else _TRACEPARENT.fullmatch(value)
    if match is None:
        return None
    version, trace_id, span_id, flags, rest = match.groups()
    if version == _NO_VERSION or (version == _VERSION and rest is not None):
        return None
    if trace_id == _NO_TRACE or span_id == _NO_SPAN:
        return None
    return TraceParent(trace_id, span_id, int(flags, 16) & _KNOWN_FLAGS)


def is_valid_tracestate(value: bytes) -> bool:
    """Say whether all readers of a `tracestate` would read it alike; any other is dropped whole.

    `value` is that of all its lines, joined by commas. A member may be empty, a key stands once.
    """
    if value.count(b",") >= _MAX_PIECES:
        return False
    members = [member.strip(_OPTIONAL_SPACE) for member in value.split(b",")]
    members = [member for member in members if member]
    if len(members) > _MAX_MEMBERS:
        return False
    keys = set()
    for member in members:
        match = _MEMBER.fullmatch(member)
        if match is None or match[1] in keys:
            return False
        keys.add(match[1])
    return bool(members)
