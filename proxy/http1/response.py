"""One response head, read in one pass by a grammar of our own (F4, F9; RFC 9112 §4 to §6).

The grammar is strict: a line is a token, a colon, and a value of visible characters, blanks and
bytes outside ASCII. Whatever it lets through, aiohttp's C parser reads in the same way, to the
last byte (`tests/decisions/test_response.py` holds them against each other).

Most lines of an API's responses are the same bytes each time, so what they say is remembered by
line: not many, none long, and only of headers whose values are few. Those that differ from
response to response, or may hold secrets, are read anew each time.
"""

from typing import Final, TypeVar

from proxy.http1.framing import (
    HOP_BY_HOP,
    NO_OPTIONS,
    UNTIL_CLOSE,
    connection_options,
    declared_length,
    stays_open,
    without_length,
    without_named,
)
from proxy.http1.grammar import CRLF, HEAD_END, STATUS_LINE_PATTERN, TOKEN
from proxy.http1.message_faults import INTERIM_BODY, LENGTH_TWICE, response_fault
from proxy.http1.parser import MalformedMessageError

__all__ = ["ResponseHead", "ResponseReader"]

T = TypeVar("T")

# What the value of a header is a fact about.
_NOTHING: Final = 0
_LENGTH: Final = 1
_CODING: Final = 2
_OPTIONS: Final = 3
_KEEP_ALIVE: Final = 4
_LOCATION: Final = 5
_TRACE_ID: Final = 6
_FACTS: Final = {
    b"content-length": _LENGTH,
    b"transfer-encoding": _CODING,
    b"connection": _OPTIONS,
    b"keep-alive": _KEEP_ALIVE,
    b"location": _LOCATION,
    b"content-location": _LOCATION,
    b"x-trace-id": _TRACE_ID,
}
# They speak of Signicat's own host, could echo what only Signicat may see, or are set anew (O1).
_DROPPED: Final = HOP_BY_HOP | {
    b"alt-svc",
    b"authorization",
    b"strict-transport-security",
    b"x-request-id",
}
# It promises bytes behind the head that no length declares (an early draft of WebSocket).
_REFUSED: Final = b"sec-websocket-key1"
# Set once by whoever runs the server, or, as the date, the same for a second; none holds a secret.
_STEADY: Final = frozenset(
    (
        b"accept-ranges access-control-allow-credentials access-control-allow-headers "
        b"access-control-allow-methods access-control-allow-origin access-control-expose-headers "
        b"access-control-max-age alt-svc cache-control connection content-encoding "
        b"content-language content-type date keep-alive pragma referrer-policy server "
        b"strict-transport-security transfer-encoding vary via x-content-type-options "
        b"x-frame-options x-powered-by x-xss-protection"
    ).split()
)
_MAX_KNOWN: Final = 256
_MAX_KNOWN_BYTES: Final = 128  # of one line, or of one name
_CONTROLS: Final = bytes(sorted({*range(0x20), 0x7F} - {0x09}))
_CONTROLS_TO_BLANKS: Final = bytes.maketrans(_CONTROLS, b" " * len(_CONTROLS))
_BARE_START: Final = len(b"HTTP/1.1 200")


class _Start:
    """What a status line says, and how callers get it."""

    __slots__ = ("is_http_10", "line", "status")

    def __init__(self, line: bytes, status: int, *, is_http_10: bool) -> None:
        self.line = line
        self.status = status
        self.is_http_10 = is_http_10


class _Field:
    """What a header line says: does it cross, and what is its value a fact about."""

    __slots__ = ("crosses", "fact", "value")

    def __init__(self, value: bytes, fact: int, *, crosses: bool) -> None:
        self.value = value
        self.fact = fact
        self.crosses = crosses


_CROSSES: Final = _Field(b"", _NOTHING, crosses=True)
_STAYS: Final = _Field(b"", _NOTHING, crosses=False)


class _Name:
    """What the name of a header says of all its lines."""

    __slots__ = ("crosses", "fact", "is_steady")

    def __init__(self, name: bytes) -> None:
        key = name.lower()
        self.fact = _FACTS.get(key, _NOTHING)
        self.crosses = key not in _DROPPED and not key.startswith(b"proxy-")
        self.is_steady = key in _STEADY

    def field(self, value: bytes) -> _Field:
        """Return what a line with that value says."""
        if self.fact != _NOTHING:
            return _Field(value.strip(b" \t"), self.fact, crosses=self.crosses)
        return _CROSSES if self.crosses else _STAYS


def _malformed(head: bytes) -> MalformedMessageError:
    return MalformedMessageError(response_fault(head + HEAD_END))


def _remember(known: dict[bytes, T], line: bytes, what: T) -> None:
    """Keep what is not too long; whoever sends ever new ones makes it begin anew, no more."""
    if len(line) <= _MAX_KNOWN_BYTES:
        if len(known) >= _MAX_KNOWN:
            known.clear()
        known[line] = what


class ResponseHead:
    """What the head of one response says.

    `start` is its status line as callers get it. `lines` are the headers that cross, as received.
    `length` is that of the body in bytes, `CHUNKED` or `UNTIL_CLOSE`. `options` are the
    lower-case tokens of `Connection`. `keep_alive` and `trace_id` are the values of `Keep-Alive`
    and `x-trace-id`, repeated ones joined by a comma (RFC 9110 §5.3), None where there is none.
    `has_location`: there is a `Location` or `Content-Location`.
    """

    __slots__ = (
        "_coding",
        "_connection",
        "_declared",
        "_may_surprise",
        "has_location",
        "is_http_10",
        "keep_alive",
        "length",
        "lines",
        "options",
        "start",
        "status",
        "trace_id",
    )

    def __init__(self, start: _Start) -> None:
        self.start = start.line
        self.status = start.status
        self.is_http_10 = start.is_http_10
        self.lines: list[bytes] = []
        self.length = UNTIL_CLOSE
        self.options = NO_OPTIONS
        self.keep_alive: bytes | None = None
        self.trace_id: bytes | None = None
        self.has_location = False
        self._declared: bytes | None = None
        self._may_surprise = False
        self._coding: bytes | None = None
        self._connection: bytes | None = None

    @property
    def stays_open(self) -> bool:
        """Say whether another response may follow on the connection (RFC 9112 §9.3).

        None does behind one that declares a body where there can be none: if the body is sent,
        it must not pass for the next response (F9).
        """
        return not self._may_surprise and stays_open(self.options, is_http_10=self.is_http_10)

    def note(self, field: _Field) -> None:
        """Take a fact; raise `MalformedMessageError` for a second length (F9)."""
        fact, value = field.fact, field.value
        if fact == _TRACE_ID:
            self.trace_id = _joined(self.trace_id, value)
        elif fact == _LENGTH:
            if self._declared is not None:
                raise MalformedMessageError(LENGTH_TWICE)
            self._declared = value
        elif fact == _OPTIONS:
            self._connection = _joined(self._connection, value)
        elif fact == _CODING:
            self._coding = _joined(self._coding, value)
        elif fact == _KEEP_ALIVE:
            self.keep_alive = _joined(self.keep_alive, value)
        else:
            self.has_location = True

    def complete(self, method: bytes) -> None:
        """Say where the body ends (RFC 9112 §6.3), and leave out what is for one hop (F4).

        Raises `MalformedMessageError` for framing with two readings (F9): among it is that of an
        interim response with a body, behind which the final one would be looked for.
        """
        status = self.status
        length = declared_length(self._declared, self._coding, is_http_10=self.is_http_10)
        if length is not None:
            self.length = length
        if method == b"HEAD" or status in (204, 304) or status < 200:  # noqa: PLR2004 (RFC 9112 §6.3)
            self.length = 0
            if status == 204 or status < 200:  # noqa: PLR2004 (RFC 9110 §8.6: no length either)
                self.lines = without_length(self.lines)
                self._may_surprise = bool(length)
                if length and status < 200:  # noqa: PLR2004 (as above)
                    raise MalformedMessageError(INTERIM_BODY)
        if self._connection is not None:
            self.options = connection_options(self._connection)
            self.lines = without_named(self.lines, self.options)


def _joined(known: bytes | None, value: bytes) -> bytes:
    return value if known is None else known + b", " + value


class ResponseReader:
    """Reads the response heads of one upstream, whoever they are for.

    What it remembers of lines is a cache: it changes no reading, and is bounded.
    """

    __slots__ = ("_fields", "_names", "_starts")

    def __init__(self) -> None:
        self._starts: dict[bytes, _Start] = {}
        self._fields: dict[bytes, _Field] = {}
        self._names: dict[bytes, _Name] = {}

    def read(self, method: bytes, head: bytes) -> ResponseHead:
        """Read one whole head, without the empty line at its end, that responds to `method`.

        Raises `MalformedMessageError` for what has not exactly one reading (F9).
        """
        lines = head.split(CRLF)
        begin = lines.pop(0)
        start = self._starts.get(begin)
        if start is None:
            start = self._read_start(begin, head)
        read = ResponseHead(start)
        crossing, fields = read.lines, self._fields
        for line in lines:
            field = fields.get(line)
            if field is None:
                field = self._read_line(line, head)
            if field.crosses:
                crossing.append(line)
            if field.fact != _NOTHING:
                read.note(field)
        read.complete(method)
        return read

    def _read_start(self, line: bytes, head: bytes) -> _Start:
        """Read a status line (RFC 9112 §4); callers get it complete, and in our version."""
        match = STATUS_LINE_PATTERN.fullmatch(line)
        if match is None or line.translate(_CONTROLS_TO_BLANKS) != line:
            raise _malformed(head)
        own = b"HTTP/1.1" + line[8:] + (b" " if len(line) == _BARE_START else b"")
        start = _Start(own, int(match[2]), is_http_10=match[1] == b"0")
        _remember(self._starts, line, start)
        return start

    def _read_line(self, line: bytes, head: bytes) -> _Field:
        """Read a header line that is not remembered (RFC 9112 §5)."""
        raw, colon, value = line.partition(b":")
        name = self._names.get(raw)
        if name is None:
            name = self._read_name(raw, head)
        if not colon or value.translate(_CONTROLS_TO_BLANKS) != value:
            raise _malformed(head)
        field = name.field(value)
        # `name` and `filename` are parameters that tell what a document is called.
        if name.is_steady and b"name" not in value.lower():
            _remember(self._fields, line, field)
        return field

    def _read_name(self, raw: bytes, head: bytes) -> _Name:
        if TOKEN.fullmatch(raw) is None or raw.lower() == _REFUSED:
            raise _malformed(head)
        name = _Name(raw)
        _remember(self._names, raw, name)
        return name
