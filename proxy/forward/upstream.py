"""One connection to the upstream: reads its responses and trusts none of them (F7, F9)."""

import math
import re
from typing import Final, Protocol

from proxy.forward.interfaces import ResponseReceiver
from proxy.forward.turns import Turns
from proxy.http1.body import RequestBody
from proxy.http1.chunks import CHUNKED_PIECE, ChunkedDecoder
from proxy.http1.framing import CHUNKED, UNTIL_CLOSE
from proxy.http1.grammar import HEAD_END
from proxy.http1.message_faults import INTERIM_RESPONSES, RESPONSE_HEAD_TOO_LARGE, response_fault
from proxy.http1.parser import MalformedMessageError, cannot_become_a_response
from proxy.http1.response import ResponseHead, ResponseReader
from proxy.net.last_words import LastWords
from proxy.net.stream import FULL, NO_TURN, PEER_IS_SLOW, Connection, read_rest

__all__ = ["MAX_RESPONSE_HEAD", "ConnectionOwner", "UpstreamConnection"]

MAX_RESPONSE_HEAD: Final = 64 * 1024
"""Bytes of one response's head; an endless one is refused (F9)."""
_MAX_INTERIM: Final = 16
_SWITCHING_PROTOCOLS: Final = 101
_CONTINUE: Final = 100
_FIRST_FINAL: Final = 200
_TIMEOUT: Final = re.compile(rb"(?:^|[ \t,])timeout[ \t]*=[ \t]*\"?([0-9]{1,9})", re.IGNORECASE)
_MARGIN_SECONDS: Final = 1.0
_MAX_LEFT: Final = 64 * 1024  # bytes of a body that any peer's system takes, read or not


def _promised_idle_seconds(keep_alive: bytes | None) -> float:
    """Return how long the upstream lets a connection be idle, less a margin (RFC 9112 §9.3)."""
    if keep_alive is None:
        return math.inf
    # Of several, the shortest.
    found = _TIMEOUT.findall(keep_alive)
    return min(map(int, found), default=math.inf) - _MARGIN_SECONDS


class ConnectionOwner(Protocol):
    """The pool, as its connections see it."""

    reader: ResponseReader
    turns: Turns

    def release(self, connection: "UpstreamConnection") -> None:
        """Take back a connection that may be used again."""

    def closed(self, connection: "UpstreamConnection") -> None:
        """Forget a connection that is gone."""


class UpstreamConnection(Connection):
    """Carries one exchange at a time; `receiver` is who asked, None while it is idle.

    Any byte that nobody asked for closes the connection, so that it can never
    become the response to somebody else. `max_idle_seconds` is how long the upstream
    lets it be idle.
    """

    __slots__ = (
        "_buffer",
        "_decoder",
        "_in_body",
        "_interim",
        "_is_in_turn",
        "_is_lost",
        "_last_words",
        "_may_stay",
        "_owner",
        "_remaining",
        "_saw_end",
        "idle_until",
        "is_reused",
        "max_idle_seconds",
        "receiver",
    )

    def __init__(self, owner: ConnectionOwner) -> None:
        super().__init__()
        self._owner = owner
        self.receiver: ResponseReceiver | None = None
        self.is_reused = False
        self.idle_until = 0.0
        self.max_idle_seconds = math.inf
        self._last_words: LastWords | None = None
        self._is_in_turn = False
        self._is_lost = False
        self._buffer = b""  # of an unfinished head, or of chunks that wait for a turn
        self._in_body = False
        self._interim = 0
        self._remaining = 0
        self._may_stay = False
        self._saw_end = False
        self._decoder: ChunkedDecoder | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        """End a body that ends with the connection; anything else was cut short."""
        self._is_lost = True
        self._read_last_words(exc)
        receiver, self.receiver = self.receiver, None
        self._owner.closed(self)
        if receiver is None:
            return
        if self._in_body and self._remaining == UNTIL_CLOSE and self._saw_end and exc is None:
            receiver.on_response_end()
        else:
            receiver.on_connection_lost(
                self, began=bool(self._in_body or self._buffer or self._interim)
            )

    def read_last_words(self) -> None:
        """See that what arrives before the upstream hangs up on a body is read (F11)."""
        if self.tcp is not None:
            self._last_words = LastWords(self.tcp)

    def _read_last_words(self, exc: Exception | None) -> None:
        """Read what waited for a turn, and what had arrived when a write failed (F11)."""
        if self._decoder is not None and self._buffer and self.receiver is not None:
            self._take_turn()
        if exc is not None and self.receiver is not None:
            for data in read_rest(self.transport):
                self.data_received(data)

    def eof_received(self) -> bool:
        """Note a proper end: below TLS a connection can end without one (RFC 9112 §9.8)."""
        self._saw_end = True
        return False

    def pause_writing(self) -> None:
        """Pass back-pressure on to the caller (F5)."""
        self.is_write_paused = True
        if self.receiver is not None:
            self.receiver.on_upstream_paused()

    def resume_writing(self) -> None:
        """Let the caller go on."""
        self.is_write_paused = False
        if self.receiver is not None:
            self.receiver.on_upstream_resumed()

    def abort(self) -> None:
        """Drop the connection at once; nobody hears of it any more."""
        self.receiver = None
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Read what the upstream sends."""
        receiver = self.receiver
        if receiver is None:
            self.transport.abort()
            return
        try:
            if self._in_body:
                self._read_body(receiver, data)
            else:
                self._read_head(receiver, self._buffer + data if self._buffer else data)
        except MalformedMessageError as error:
            self.abort()
            receiver.on_protocol_error(str(error))
            return
        if self.receiver is receiver:
            receiver.on_progress()

    def _read_head(self, receiver: ResponseReceiver, data: bytes) -> None:
        # What came before was looked at then: a head that dribbles must not cost its square.
        checked = len(self._buffer)
        while not checked or data.find(HEAD_END, max(0, checked - 3)) >= 0:
            block, end, rest = data.partition(HEAD_END)
            if not end or len(block) > MAX_RESPONSE_HEAD:
                break
            head = self._owner.reader.read(receiver.method, block)
            data, checked = rest, 0
            if head.status >= _FIRST_FINAL:
                self._buffer = b""
                self._begin_body(receiver, head, data)
                return
            self._interim += 1
            if head.status == _SWITCHING_PROTOCOLS or self._interim > _MAX_INTERIM:
                raise MalformedMessageError(INTERIM_RESPONSES)
            if head.status != _CONTINUE:
                receiver.on_interim_response(head)
        if len(data) > MAX_RESPONSE_HEAD:
            raise MalformedMessageError(RESPONSE_HEAD_TOO_LARGE)
        if cannot_become_a_response(data, checked):
            raise MalformedMessageError(response_fault(data))
        self._buffer = data

    def _begin_body(self, receiver: ResponseReceiver, head: ResponseHead, data: bytes) -> None:
        self._in_body = True
        self._remaining = length = head.length
        self.max_idle_seconds = idle = _promised_idle_seconds(head.keep_alive)
        self._may_stay = idle > 0 and head.stays_open
        self._decoder = ChunkedDecoder() if length == CHUNKED else None
        if receiver.on_response(head):
            self._read_body(receiver, data)
        elif length == len(data) and self._may_stay and self._is_all_taken(receiver.body):
            self._become_idle()
        else:
            self.abort()

    def _read_body(self, receiver: ResponseReceiver, data: bytes) -> None:
        remaining, decoder = self._remaining, self._decoder
        if remaining >= 0:
            size = len(data)
            if size > remaining:
                self._may_stay = False
                data, size = data[:remaining], remaining
            self._remaining = remaining - size
            receiver.on_body(data)
            if size == remaining:
                self._end(receiver)
        elif decoder is not None:
            self._read_chunks(receiver, decoder, self._buffer + data if self._buffer else data)
        else:
            receiver.on_body(data)

    def _read_chunks(
        self, receiver: ResponseReceiver, decoder: ChunkedDecoder, data: bytes
    ) -> None:
        """Decode piece by piece, as far as this turn of the loop allows (G11), and pass it on."""
        turns = self._owner.turns
        decoded: list[bytes] = []
        start, size = 0, len(data)
        try:
            while True:
                end = min(start + CHUNKED_PIECE, size)
                decoded.append(decoder.feed(data[start:end]))
                start = end
                if start == size or decoder.is_complete:
                    break
                if not self._is_lost and not turns.has_time():
                    break
        except MalformedMessageError:
            receiver.on_body(b"".join(decoded))  # the head may still wait to be sent
            raise
        self._buffer = data[start:]
        body = b"".join(decoded)
        if decoder.is_complete:
            receiver.on_last_chunk(body)
            self._may_stay = self._may_stay and not decoder.rest and start == size
            self._buffer = b""
            self._end(receiver)
            return
        receiver.on_body(body)
        if self._buffer and self.receiver is receiver and not self._reasons & NO_TURN:
            self.pause_reading(NO_TURN)
            turns.later(self._take_turn, again=self._is_in_turn)

    def _take_turn(self) -> None:
        self.resume_reading(NO_TURN)
        if self.receiver is not None and self._decoder is not None:
            self._is_in_turn = True
            self.data_received(b"")
            self._is_in_turn = False

    def _end(self, receiver: ResponseReceiver) -> None:
        if self.receiver is not receiver:  # it left while its last bytes were relayed
            return
        if self._may_stay and self._is_all_taken(receiver.body):
            self._become_idle()
        else:
            self.abort()
        receiver.on_response_end()

    def _is_all_taken(self, body: RequestBody) -> bool:
        """Say whether the request is out; an upstream that left some of it will not read on."""
        if self.is_write_paused or not body.is_ended or body.is_given_up:
            return False
        return body.size <= _MAX_LEFT or self.taken() == self._written

    def _become_idle(self) -> None:
        self.receiver = None
        self._in_body = False
        self._interim = 0
        self._decoder = None
        if self._last_words is not None:
            self._last_words.withdraw()
            self._last_words = None
        self.resume_reading(PEER_IS_SLOW | NO_TURN | FULL)
        self._owner.release(self)
