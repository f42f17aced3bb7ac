"""Words of HTTP/1 that more than one module needs: line ends, tokens, methods, status, ports."""

import re
from collections.abc import Mapping
from typing import Final

__all__ = [
    "CRLF",
    "DEFAULT_PORTS",
    "HEAD_END",
    "HTTP_10",
    "METHODS",
    "NEVER_FORWARDED",
    "RESPONSE_START",
    "STATUS_LINE_PATTERN",
    "TOKEN",
    "VERSIONS",
]

CRLF: Final = b"\r\n"
HEAD_END: Final = b"\r\n\r\n"
HTTP_10: Final = b"HTTP/1.0"
VERSIONS: Final = (b"HTTP/1.1", HTTP_10)
METHODS: Final = (b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS")
"""The methods that APIs use (RFC 9110 §9.3, RFC 5789); any other token may be one too."""
NEVER_FORWARDED: Final = frozenset((b"CONNECT", b"TRACE"))
"""A tunnel, and an echo of what only the upstream may see (F1)."""
RESPONSE_START: Final = b"HTTP/1."
STATUS_LINE_PATTERN: Final = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: [^\r\n]*)?")
"""A status line without its end (RFC 9112 §4): the minor version, and the status."""
TOKEN: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A method or the name of a header (RFC 9110 §5.6.2)."""
DEFAULT_PORTS: Final[Mapping[str, int]] = {"http": 80, "https": 443}
