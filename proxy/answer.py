"""One answer on its way down to the caller, in framing of our own (F5 to F7)."""

from proxy.books import Entry
from proxy.headers import MessageHeaders
from proxy.heads import UpstreamNames, response_head
from proxy.request import Request
from proxy.roles import Caller
from proxy.upload import LAST_CHUNK, chunk

__all__ = ["Answer"]


class Answer:
    """Relays one answer; `keep_alive` says whether the caller's connection outlives it.

    `may_stay`: nothing but the answer itself stands against that.
    """

    __slots__ = ("_caller", "_entry", "_headers", "_is_chunked", "keep_alive")

    def __init__(
        self, caller: Caller, entry: Entry, headers: MessageHeaders, *, may_stay: bool
    ) -> None:
        self._caller = caller
        self._entry = entry
        self._headers = headers
        self._is_chunked = headers.length < 0 and not entry.request.is_http_10
        self.keep_alive = may_stay and (headers.length >= 0 or self._is_chunked)

    def head(self, lines: list[bytes], request: Request, names: UpstreamNames) -> bytes:
        """Return the head for the caller; `lines` begins with the upstream's status line."""
        return response_head(lines, self._headers, request, names, close=not self.keep_alive)

    def relay(self, head: bytes, data: bytes) -> None:
        """Pass body bytes on, with the head before the first of them."""
        if data:
            self._entry.bytes_out += len(data)
            if self._is_chunked:
                data = chunk(data)
            self._caller.write(head + data if head else data)
        elif head:
            self._caller.write(head)

    def end(self) -> None:
        """Mark the end, where it is marked."""
        if self._is_chunked:
            self._caller.write(LAST_CHUNK)
