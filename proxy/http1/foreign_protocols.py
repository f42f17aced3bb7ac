"""Which other protocol the first bytes on the traffic port belong to (G10).

The likeliest first mistakes of whoever sets the proxy up: the wrong scheme in
a URL, a load balancer that says more than HTTP.
"""

from typing import Final

__all__ = [
    "HTTP_2",
    "HTTP_2_REPLY",
    "NOT_TLS",
    "PROXY_PROTOCOL",
    "SOCKS",
    "TLS",
    "foreign_protocol",
]

TLS: Final = "the bytes are TLS, not plain HTTP"
HTTP_2: Final = "the bytes are HTTP/2 with prior knowledge"
HTTP_2_REPLY: Final = "the bytes are HTTP/2"
SOCKS: Final = "the bytes are SOCKS, not HTTP"
NOT_TLS: Final = "the bytes are not TLS"
PROXY_PROTOCOL: Final = "the bytes begin with a header of the PROXY protocol"

_SOCKS_4: Final = 4
_SOCKS_5: Final = 5
_SOCKS_COMMANDS: Final = (1, 2)  # CONNECT and BIND
_TLS_RECORDS: Final = (0x15, 0x16)  # an alert, a handshake
_TLS_MAJOR: Final = 3
_PREFACE: Final = b"PRI * HTTP/2.0"
_PROXY_1: Final = (b"PROXY TCP4 ", b"PROXY TCP6 ", b"PROXY UNKNOWN")
# The signature of version 2 without its first line ends, of which a reader of heads skips some.
_PROXY_2: Final = b"\x00\r\nQUIT\n"


def _is_tls(data: bytes) -> bool:
    return data[0] in _TLS_RECORDS and (len(data) == 1 or data[1] == _TLS_MAJOR)


def _is_socks(data: bytes) -> bool:
    if data[0] == _SOCKS_4:
        return len(data) == 1 or data[1] in _SOCKS_COMMANDS
    if data[0] != _SOCKS_5:
        return False
    # RFC 1928 §3: the number of methods, and as many bytes.
    return len(data) == 1 or (data[1] > 0 and len(data) <= 2 + data[1])


def _is_http_2_preface(data: bytes) -> bool:
    return data.startswith(_PREFACE)


def _is_http_2_settings(data: bytes) -> bool:
    """Say whether it is the frame with which a server begins (RFC 9113 §3.4, §4.1)."""
    return data.startswith(b"\x00\x00") and data[3:9] == b"\x04\x00\x00\x00\x00\x00"


def _is_proxy_protocol(data: bytes) -> bool:
    return data.startswith(_PROXY_1) or data.lstrip(b"\r\n").startswith(_PROXY_2)


_PROTOCOLS: Final = (
    (TLS, _is_tls),
    (HTTP_2, _is_http_2_preface),
    (HTTP_2_REPLY, _is_http_2_settings),
    (SOCKS, _is_socks),
    (PROXY_PROTOCOL, _is_proxy_protocol),
)


def foreign_protocol(data: bytes) -> str | None:
    """Return which other protocol begins like `data`, None where it is none that is known."""
    if not data:
        return None
    return next((name for name, is_it in _PROTOCOLS if is_it(data)), None)
