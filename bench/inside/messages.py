"""The bytes of ordinary exchanges: an application's HTTP client on one side, Signicat's API."""

__all__ = ["BODY", "POSTED", "REQUEST", "RESPONSE", "RESPONSES"]

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
