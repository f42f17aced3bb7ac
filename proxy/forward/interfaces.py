"""The roles that connections and exchanges play for each other.

Imports run one way, calls go both ways: who is called from below is known
there by its role alone.
"""

from typing import Protocol

from proxy.errors import ProxyError
from proxy.forward.patience import Patience
from proxy.http1.body import RequestBody
from proxy.http1.request import Request
from proxy.http1.response import ResponseHead

__all__ = [
    "Caller",
    "OpenConnection",
    "ResponseReceiver",
    "UpstreamLink",
]


class OpenConnection(Protocol):
    """A caller's connection, as sweep and drain see it."""

    patience: Patience

    @property
    def is_running(self) -> bool:
        """Is a request running on it."""

    @property
    def is_reading_paused(self) -> bool:
        """Is nothing read from it for now."""

    def deadline_passed(self) -> None:
        """End what lasted too long."""

    def look_for(self) -> None:
        """See whether the caller has left while nothing was read from it."""

    def drain(self) -> None:
        """End as soon as nothing is running (C2)."""

    def abandon(self) -> None:
        """Tell whoever waits that it is over, and end (C2)."""

    def abort(self) -> None:
        """End at once."""


class Caller(Protocol):
    """A caller's connection, as the exchange on it sees it.

    `patience` says how long the exchange may wait, and for what. `is_write_paused`: it takes
    no more bytes.
    """

    patience: Patience
    is_write_paused: bool

    @property
    def scheme(self) -> bytes:
        """What the caller's URLs begin with: `http`, or `https` on a port with TLS."""

    def write(self, data: bytes) -> None:
        """Send bytes to the caller."""

    def write_behind(self, head: bytes, data: bytes) -> None:
        """Send `data` behind `head`, which may be empty."""

    def write_between(self, head: bytes, data: bytes, tail: bytes) -> None:
        """Send `data` between `head` and `tail`."""

    def pause_reading(self, reason: int) -> None:
        """Read no more of the request for now."""

    def resume_reading(self, reason: int) -> None:
        """Read on, as far as that reason is concerned."""

    def cut(self) -> None:
        """Drop the connection so that what was sent cannot look complete (F7)."""

    def reply(self, error: ProxyError, request: Request, request_id: str, *, close: bool) -> None:
        """Send a reply of our own."""

    def finished(self, *, keep_alive: bool) -> None:
        """Learn that the exchange is over and its response written."""


class UpstreamLink(Protocol):
    """An upstream connection, as the exchange that uses it sees it."""

    is_reused: bool


class ResponseReceiver(Protocol):
    """Who asked the upstream, and gets the response piece by piece.

    `method` decides whether a response has a body, `body` whether the whole
    request has gone out, so that the connection may be used again.
    """

    method: bytes
    body: RequestBody

    def on_progress(self) -> None:
        """Note that the upstream has said something."""

    def on_interim_response(self, head: ResponseHead) -> None:
        """Get a 1xx response other than 100 and 101."""

    def on_response(self, head: ResponseHead) -> bool:
        """Get the final head; return False if this response is not relayed."""

    def on_body(self, data: bytes) -> None:
        """Get body bytes without their framing; called at least once after `on_response`."""

    def on_last_chunk(self, data: bytes) -> None:
        """Get the last bytes of a chunked body, instead of by `on_body`; there may be none."""

    def on_response_end(self) -> None:
        """Get the end of a complete response."""

    def on_protocol_error(self, reason: str) -> None:
        """Learn that the response is not HTTP with one reading; the connection is closed."""

    def on_connection_lost(self, connection: UpstreamLink, *, began: bool) -> None:
        """Learn that the connection is gone; `began` says that bytes of a response had come."""

    def on_upstream_paused(self) -> None:
        """Stop sending: the upstream does not take more."""

    def on_upstream_resumed(self) -> None:
        """Go on sending."""
