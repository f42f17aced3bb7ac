"""A token endpoint that responds at once: with the one fixed token, or with tokens that end."""

import hashlib
import json
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["SALT", "TOKEN", "TokenEndpoint", "new_token", "token_endpoint"]

# As long as a signed token of Signicat's.
FILLING = "token" * 180
TOKEN = f"bench-{FILLING}"
SALT = "bench"
DAY_SECONDS = 86400


def new_token(until: int) -> str:
    """Return a token that the upstream takes before `until`, in Unix seconds, and not after."""
    digest = hashlib.md5(f"{until} {SALT}".encode(), usedforsecurity=False).digest()
    return f"bench-{until}-{urlsafe_b64encode(digest).decode().rstrip('=')}{FILLING}"


class TokenEndpoint(ThreadingHTTPServer):
    """Grants the fixed token for a day or, given a lifetime, one of its own to each request."""

    daemon_threads = True
    request_queue_size = 256  # a hundred clients ask at once

    def __init__(self, lifetime_seconds: int | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self._lifetime = lifetime_seconds
        self._lock = threading.Lock()  # each request has a thread of its own
        self.granted = 0

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a peer that is stopped leaves a connection in the middle of a response."""

    def grant(self) -> tuple[str, int]:
        """Return a token and how many seconds it works."""
        with self._lock:
            self.granted += 1
        if self._lifetime is None:
            return TOKEN, DAY_SECONDS
        # The part of a second that is cut off is added: no token may end too early.
        return new_token(int(time.time()) + self._lifetime + 1), self._lifetime


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: TokenEndpoint

    def do_POST(self) -> None:
        """Grant a token, whoever asks."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        token, seconds = self.server.grant()
        body = json.dumps({"access_token": token, "token_type": "Bearer", "expires_in": seconds})
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named by the base
        """Say nothing."""


@contextmanager
def token_endpoint(lifetime_seconds: int | None = None) -> Iterator[TokenEndpoint]:
    """Serve tokens from a thread for the block."""
    server = TokenEndpoint(lifetime_seconds)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
