"""TLS on a connection that was accepted: between its TCP transport and the protocol above (I3).

Why not `loop.start_tls`, which would do the same from the outside: it sends no alert when a
handshake fails, so that a caller without the right certificate sees a connection that closes and
never why; it cannot end its own direction and read on, which a refusal needs (RFC 9112 §9.6);
its shutdown timer cuts slow readers that do take bytes; it holds bytes that `taken` cannot see
(G12); and it keeps up to 256 KiB for each connection that once brought as much (G11). What is
written here goes to the TCP transport at once, so back-pressure is that of TCP.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol, cast

from proxy.net.stream import StreamProtocol

__all__ = ["SecuredProtocol", "TlsStream"]

_HANDSHAKE: Final = 0x16  # the type of the record that a caller begins with (RFC 8446 §5.1)
_READ_BYTES: Final = 64 * 1024  # what is brought at once; one record has up to 16 KiB
_MOST_RECORDS: Final = 64  # in one turn of the loop: they may hold a byte each (G11)

_NEW: Final = 0
_SHAKING: Final = 1
_OPEN: Final = 2
_PLAIN: Final = 3
_ENDED: Final = 4


class SecuredProtocol(StreamProtocol, Protocol):
    """What a `TlsStream` calls: as a loop does, and as the handshake goes on."""

    def on_hello(self) -> None:
        """Learn that a handshake begins: call `shake_hands` when there is time for it."""

    def on_secured(self) -> None:
        """Learn that TLS stands; what comes from now on is what the caller has sent by it."""

    def on_handshake_failed(self, error: ssl.SSLError) -> None:
        """Learn that it does not come to stand; the caller has been sent the alert."""

    def on_plain(self, data: bytes) -> None:
        """Get the first bytes of a caller that speaks no TLS; what is written goes out plain."""


class TlsStream:
    """A protocol of the TCP transport below, and a transport to the protocol above.

    Nothing is kept for TLS before a caller has sent its first bytes. `context` returns the one
    in force: a connection keeps that with which its handshake began.
    """

    __slots__ = (
        "_context",
        "_incoming",
        "_is_read_paused",
        "_loop",
        "_outgoing",
        "_protocol",
        "_ssl",
        "_state",
        "_tcp",
    )

    _tcp: asyncio.Transport
    _ssl: ssl.SSLObject

    def __init__(
        self,
        context: Callable[[], ssl.SSLContext],
        protocol: SecuredProtocol,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._context = context
        self._protocol = protocol
        self._loop = loop
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._state = _NEW
        self._is_read_paused = False

    # --- what the loop calls ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the protocol count the connection from its first moment on (G6)."""
        self._tcp = cast("asyncio.Transport", transport)
        self._protocol.connection_made(cast("asyncio.BaseTransport", self))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the protocol."""
        self._state = _ENDED
        self._protocol.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what the caller sends, whatever the connection is at."""
        state = self._state
        if state == _OPEN:
            self._incoming.write(data)
            self._deliver()
        elif state == _SHAKING:
            self._incoming.write(data)
            self._go_on_shaking()
        elif state == _NEW:
            self._begin(data)
        else:
            self._protocol.data_received(data)

    def eof_received(self) -> bool | None:
        """Tell the protocol, once it has got what came before: who ends here has left (F7)."""
        if self._state == _OPEN:
            self._deliver()
        return self._protocol.eof_received()

    def pause_writing(self) -> None:
        """Tell the protocol that the caller takes no more for now."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Tell the protocol that it does again."""
        self._protocol.resume_writing()

    # --- the handshake ---

    def _begin(self, data: bytes) -> None:
        if data[0] != _HANDSHAKE:
            self._state = _PLAIN
            self._protocol.on_plain(data)
            return
        self._incoming.write(data)
        self._tcp.pause_reading()
        self._protocol.on_hello()

    def shake_hands(self) -> None:
        """Begin the handshake with what has come, by the context in force."""
        if self._state != _NEW or self._tcp.is_closing():
            return
        self._state = _SHAKING
        self._ssl = self._context().wrap_bio(self._incoming, self._outgoing, server_side=True)
        if not self._is_read_paused:
            self._tcp.resume_reading()
        self._go_on_shaking()

    def _go_on_shaking(self) -> None:
        try:
            self._ssl.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
        except ssl.SSLError as error:
            self._flush()
            self._state = _ENDED
            self._protocol.on_handshake_failed(error)
        else:
            self._state = _OPEN
            self._flush()
            self._protocol.on_secured()
            self._deliver()

    # --- from the caller ---

    def _has_pending(self) -> bool:
        return self._incoming.pending > 0 or self._ssl.pending() > 0

    def _deliver(self) -> None:
        """Bring what has come, in pieces, and no more than a turn of the loop should hold."""
        pieces: list[bytes] = []
        size = records = 0
        while self._state == _OPEN and not self._is_read_paused and self._has_pending():
            if records == _MOST_RECORDS:
                self._later()
                break
            try:
                data = self._ssl.read(_READ_BYTES)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLError:  # changed on the way, or no record of this connection
                self._flush()
                self._tcp.abort()
                return
            if not data:
                self._bring(pieces)
                self._peer_closed()
                return
            records += 1
            size += len(data)
            pieces.append(data)
            if size >= _READ_BYTES:
                self._bring(pieces)
                size = 0
        self._bring(pieces)
        self._flush()

    def _bring(self, pieces: list[bytes]) -> None:
        if pieces:
            data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            pieces.clear()
            self._protocol.data_received(data)

    def _later(self) -> None:
        if not self._tcp.is_closing():
            self._tcp.pause_reading()
            self._loop.call_soon(self._deliver_more)

    def _deliver_more(self) -> None:
        if self._state == _OPEN and not self._is_read_paused and not self._tcp.is_closing():
            self._tcp.resume_reading()
            self._deliver()

    def _peer_closed(self) -> None:
        """Take the caller's close_notify for its end, as the end of its TCP."""
        if not self._tcp.is_closing():
            self._protocol.eof_received()
            self.close()

    # --- what the protocol calls ---

    def _encrypt(self, data: bytes) -> None:
        size = len(data)
        sent = self._ssl.write(data)  # one record
        if sent < size:
            view = memoryview(data)
            while sent < size:
                sent += self._ssl.write(view[sent:])

    def _flush(self) -> None:
        if self._outgoing.pending and not self._tcp.is_closing():
            self._tcp.write(self._outgoing.read())

    def write(self, data: bytes) -> None:
        """Send bytes; before TLS stands, and after the end, there is nobody to send them to."""
        if self._state == _OPEN:
            self._encrypt(data)
            self._flush()
        elif self._state == _PLAIN:
            self._tcp.write(data)

    def writelines(self, pieces: Iterable[bytes]) -> None:
        """Send pieces one behind the other."""
        if self._state == _OPEN:
            for piece in pieces:
                self._encrypt(piece)
            self._flush()
        elif self._state == _PLAIN:
            self._tcp.writelines(pieces)

    def write_eof(self) -> None:
        """End this direction, by TLS and by TCP; what still comes is brought as it is."""
        self._say_goodbye()
        self._tcp.write_eof()

    def close(self) -> None:
        """End both directions once all is written; nobody waits for the caller's close_notify."""
        self._say_goodbye()
        self._tcp.close()

    def _say_goodbye(self) -> None:
        if self._state == _OPEN:
            with contextlib.suppress(ssl.SSLError):
                self._ssl.unwrap()
            self._flush()
        self._state = _ENDED

    def abort(self) -> None:
        """End at once."""
        self._tcp.abort()

    def is_closing(self) -> bool:
        """Say whether nothing can be sent any more."""
        return self._tcp.is_closing()

    def pause_reading(self) -> None:
        """Bring nothing more for now."""
        self._is_read_paused = True
        self._tcp.pause_reading()

    def resume_reading(self) -> None:
        """Bring more, beginning with what has come already."""
        self._is_read_paused = False
        self._tcp.resume_reading()
        if self._state == _OPEN and self._has_pending():
            self._loop.call_soon(self._deliver_more)

    def get_write_buffer_size(self) -> int:
        """Return how many bytes, as they go over the wire, are still to be sent."""
        return self._tcp.get_write_buffer_size()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return a fact on the TCP transport, or `ssl_object` once TLS stands."""
        if name == "ssl_object":
            return self._ssl if self._state == _OPEN else default
        return self._tcp.get_extra_info(name, default)
