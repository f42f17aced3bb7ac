"""What the caller gets of a response: head, body in framing of our own, end (F4 to F7)."""

from typing import Final

from proxy.forward.context import Context
from proxy.forward.interfaces import Caller
from proxy.http1.body import CHUNK_END, LAST_CHUNK, LAST_OF_CHUNKS, chunk_size
from proxy.http1.response import ResponseHead
from proxy.http1.serializer import interim_head, is_rechunked, response_head
from proxy.telemetry.request_log import RequestRecord

__all__ = ["ResponseRelay"]

_RESET_CONTENT: Final = 205


class ResponseRelay:
    """The lower half of an exchange; it writes to the caller and knows no upstream.

    `record` is what the log will say of the exchange; `request` and `body` are the record's.
    """

    __slots__ = (
        "_context",
        "_head",
        "_is_chunked",
        "_keep_alive",
        "body",
        "caller",
        "record",
        "request",
    )

    _head: bytes  # from when it is known until it is sent, as the caller gets it
    _is_chunked: bool  # until the last chunk has been sent
    _keep_alive: bool

    def __init__(self, context: Context, caller: Caller, record: RequestRecord) -> None:
        self._context = context
        self.caller = caller
        self.record = record
        self.request = record.request
        self.body = record.body

    def _may_stay(self) -> bool:
        """Say whether the caller's connection may outlive the exchange."""
        is_draining = self._context.callers.is_draining
        return self.request.keep_alive and self.body.is_ended and not is_draining

    def on_interim_response(self, head: ResponseHead) -> None:
        """Pass a 1xx on to callers that can know it."""
        if not self.request.is_http_10:
            self.caller.write(interim_head(head))

    def _begin_response(self, head: ResponseHead) -> None:
        """Make the head; it goes out with the first bytes of the body."""
        request = self.request
        self.record.status = head.status
        self.record.trace_id = head.trace_id
        self._is_chunked = is_rechunked(head, request)
        is_framed = head.length >= 0 or self._is_chunked
        # Some callers read no body of a 205, and would take it for the next response.
        if head.status == _RESET_CONTENT and head.length != 0:
            is_framed = False
        self._keep_alive = keep = is_framed and self._may_stay()
        self._head = response_head(
            head,
            request,
            self._context.names,
            self.caller.scheme,
            id_line=self.record.id_line,
            is_chunked=self._is_chunked,
            close=not keep,
        )

    def on_body(self, data: bytes) -> None:
        """Pass body bytes on, in framing of our own and behind the head."""
        head, self._head = self._head, b""
        if not data or not self._is_chunked:
            self.record.bytes_out += len(data)
            self.caller.write_behind(head, data)
        else:
            self._write_chunk(head, data, CHUNK_END)

    def on_last_chunk(self, data: bytes) -> None:
        """Pass on what is left of a chunked body, and its end with it."""
        if not data or not self._is_chunked:
            self.on_body(data)
            return
        head, self._head = self._head, b""
        self._is_chunked = False
        self._write_chunk(head, data, LAST_OF_CHUNKS)

    def _write_chunk(self, head: bytes, data: bytes, tail: bytes) -> None:
        self.record.bytes_out += len(data)
        self.caller.write_between(head + chunk_size(data), data, tail)

    def _end_response(self) -> None:
        """Write what ends a complete response, if that has not gone out with its last bytes."""
        if self._is_chunked:
            self.caller.write(LAST_CHUNK)
