"""The bytes of ordinary exchanges: an application's HTTP client on one side, Signicat's API."""

__all__ = ["BODY", "CHUNKED", "LARGE", "POSTED", "REQUEST", "RESPONSE", "RESPONSES"]

BODY = b"x" * 1024
REQUEST = (
    b"%b /auth/rest/sessions/5b0e6a52 HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n"
    b"User-Agent: python-requests/2.34.2\r\nAccept: */*\r\nAccept-Encoding: gzip, deflate\r\n"
    b"Connection: keep-alive\r\n%b\r\n"
)
"""Method, and further header lines."""
POSTED = b"Content-Type: application/json\r\nContent-Length: 1024\r\n"
RESPONSE = (
    b"HTTP/1.1 200 OK\r\nDate: Tue, 24 Nov 2026 10:00:%02d GMT\r\n"
    b"Content-Type: application/json; charset=UTF-8\r\nContent-Length: 1024\r\n"
    b"Connection: keep-alive\r\nx-trace-id: %032x\r\n"
    b"Cache-Control: no-store, no-cache, max-age=0\r\nX-Content-Type-Options: nosniff\r\n\r\n"
)
RESPONSES = [RESPONSE % (number % 60, number * 7919) + BODY for number in range(64)]
"""No two are alike, as with a trace id in each."""

_KIND = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
_PIECE = b"x" * 256 * 1024
_CHUNK = b"800\r\n%b\r\n" % (b"x" * 2048)
LARGE = (_KIND + b"Content-Length: %d\r\n\r\n" % (4 * len(_PIECE)), *[_PIECE] * 4)
"""A response of 1 MiB, as it is read from a socket."""
CHUNKED = (
    _KIND + b"Transfer-Encoding: chunked\r\n\r\n" + _CHUNK * 16,
    _CHUNK * 16 + b"0\r\n\r\n",
)
"""A response of 64 KiB in chunks of 2 KiB."""
