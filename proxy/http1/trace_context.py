"""W3C Trace Context as callers send it: strictly read, from bytes, and no setting (O4).

`traceparent` says which trace a request belongs to, and which span of the caller is above it;
`tracestate` is what tracing systems add to that. Whoever cannot read the first drops the second.
"""

import re
from typing import Final

__all__ = ["TraceParent", "is_valid_tracestate", "read_traceparent"]

SAMPLED: Final = 0x01
_KNOWN_FLAGS: Final = 0x03  # sampled; and, since level 2, that the trace's id is random
_BEGIN: Final = b"00-"
_MAX_BYTES: Final = 2048  # four times what must be passed on (Trace Context §3.3.1.5)
# Each digit becomes a 0, a dash stays, and whatever else becomes what is in no shape.
_SHAPE_OF: Final = bytes(
    ord("0") if byte in b"0123456789abcdef" else byte if byte in b"-" else ord("?")
    for byte in range(256)
)
_SHAPE: Final = b"00-%b-%b-00" % (b"0" * 32, b"0" * 16)
# Later versions may be longer, behind a dash; what is known of them stands where it always did.
_LATER: Final = re.compile(
    rb"(?!00|ff)[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?", re.DOTALL
)
_LAST_DECIMAL: Final = ord("9")
_BEFORE_A: Final = ord("a") - 10
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
    if value is None or not _is_well_formed(value):
        return None
    trace_id, span_id = value[3:35], value[36:52]
    if trace_id == _NO_TRACE or span_id == _NO_SPAN:
        return None
    digit = value[54]  # all flags that are known stand in the last one
    flags = digit & _KNOWN_FLAGS if digit <= _LAST_DECIMAL else digit - _BEFORE_A & _KNOWN_FLAGS
    return TraceParent(trace_id, span_id, flags)


def _is_well_formed(value: bytes) -> bool:
    """Say whether digits and dashes stand where they must; applications send one in each request.

    So the version of today is read without a pattern.
    """
    if not value.startswith(_BEGIN):
        return _LATER.fullmatch(value) is not None
    return value.translate(_SHAPE_OF) == _SHAPE


def is_valid_tracestate(value: bytes) -> bool:
    """Say whether all readers of a `tracestate` would read it alike; any other is dropped whole.

    `value` is that of all its lines, joined by commas. A member may be empty, a key stands once.
    One of more than 2 KiB is dropped too: spans that wait for the collector hold it (G11).
    """
    if len(value) > _MAX_BYTES or value.count(b",") >= _MAX_PIECES:
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
