"""TLS on a connection that was accepted: between its TCP transport and the protocol above (I3).

Why not `loop.start_tls`, which would do the same from the outside: it sends no alert when a
handshake fails, so that a caller without the right certificate sees a connection that closes and
never why; it cannot end its own direction and read on, which a refusal needs (RFC 9112 §9.6);
its shutdown timer cuts slow readers that do take bytes; it holds bytes that `taken` cannot see
(G12); and it keeps up to 256 KiB for each connection that once brought as much (G11). What is
written here goes to the TCP transport at once, so back-pressure is that of TCP; what comes is
given to OpenSSL record by record (`tls_records`).
"""

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Iterable
from typing import Any, Final, cast

from proxy.net.stream import NOBODY, SecuredProtocol
from proxy.net.tls_records import MOST_WITHOUT_DATA, Records

__all__ = ["TlsStream"]

_HANDSHAKE: Final = 0x16  # the type of the record that a caller begins with (RFC 8446 §5.1)
_READ_BYTES: Final = 64 * 1024  # what is brought at once; one record has up to 16 KiB
_RECORD_BYTES: Final = 16 * 1024  # the most that one holds (RFC 8446 §5.1)
_MOST_RECORDS: Final = 64  # in one turn of the loop: they may hold a byte each, or none (G11)

_NEW: Final = 0
_SHAKING: Final = 1
_OPEN: Final = 2
_PLAIN: Final = 3
_ENDED: Final = 4


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
        "_records",
        "_ssl",
        "_state",
        "_tcp",
        "_without_data",
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
        self._records = Records()
        self._without_data = 0
        self._state = _NEW
        self._is_read_paused = False

    # --- what the loop calls ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the protocol count the connection from its first moment on (G6)."""
        self._tcp = cast("asyncio.Transport", transport)
        self._protocol.connection_made(cast("asyncio.BaseTransport", self))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the protocol, and let go of it: in a cycle, what it holds would stay for long."""
        self._end()
        protocol, self._protocol = self._protocol, NOBODY
        protocol.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what the caller sends, whatever the connection is at."""
        state = self._state
        if state == _OPEN:
            self._records.add(data)
            self._deliver()
        elif state == _SHAKING or (state == _NEW and data[0] == _HANDSHAKE):
            self._records.add(data)
            self._tcp.pause_reading()
            self._protocol.on_handshake()
        elif state == _NEW:
            self._state = _PLAIN
            self._protocol.on_plain(data)
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

    def shake_hands(self) -> None:
        """Begin the handshake, by the context in force, or go on with it, by what has come."""
        if self._state not in (_NEW, _SHAKING) or self._tcp.is_closing():
            return
        if self._state == _NEW:
            self._state = _SHAKING
            self._ssl = self._context().wrap_bio(self._incoming, self._outgoing, server_side=True)
        if not self._is_read_paused:
            self._tcp.resume_reading()
        for _ in range(_MOST_RECORDS):
            record = self._records.take()
            if not record:
                return
            self._incoming.write(record)
            if self._is_shaken():
                return
        self._tcp.pause_reading()
        self._protocol.on_handshake()

    def _is_shaken(self) -> bool:
        """Take one record; say whether the handshake is over, well or not."""
        try:
            self._ssl.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return False
        except ssl.SSLError as error:
            self._flush()
            self._end()
            self._protocol.on_handshake_failed(error)
            return True
        self._state = _OPEN
        self._flush()
        self._protocol.on_secured()
        self._deliver()
        return True

    # --- from the caller ---

    def _deliver(self) -> None:
        """Bring what has come, in pieces, and no more than a turn of the loop should hold."""
        pieces: list[bytes] = []
        size = 0
        for _ in range(_MOST_RECORDS):
            record = b"" if self._is_read_paused or self._state != _OPEN else self._records.take()
            if not record:
                break
            self._incoming.write(record)
            try:
                data = self._ssl.read(_READ_BYTES)
            except ssl.SSLWantReadError:
                self._without_data += 1
                if self._without_data > MOST_WITHOUT_DATA:
                    self._tcp.abort()
                    return
                continue
            except ssl.SSLError:  # changed on the way, or no record of this connection
                self._flush()
                self._tcp.abort()
                return
            if not data:
                self._bring(pieces)
                self._peer_closed()
                return
            size += len(data)
            pieces.append(data)
            if size >= _READ_BYTES:
                self._bring(pieces)
                size = 0
        else:
            if not self._tcp.is_closing():
                self._tcp.pause_reading()
                self._loop.call_soon(self._deliver_more)
        self._bring(pieces)
        self._flush()

    def _bring(self, pieces: list[bytes]) -> None:
        if pieces:
            data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            pieces.clear()
            self._protocol.data_received(data)

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

    def _encrypt(self, data: bytes, records: list[bytes]) -> None:
        """Add the records that hold `data`, each taken at once, so that no buffer grows."""
        view = memoryview(data)
        for start in range(0, len(data), _RECORD_BYTES):
            self._ssl.write(view[start : start + _RECORD_BYTES])
            records.append(self._outgoing.read())

    def _flush(self) -> None:
        if self._outgoing.pending and not self._tcp.is_closing():
            self._tcp.write(self._outgoing.read())

    def write(self, data: bytes) -> None:
        """Send bytes; before TLS stands, and after the end, there is nobody to send them to."""
        self.writelines((data,))

    def writelines(self, pieces: Iterable[bytes]) -> None:
        """Send pieces one behind the other."""
        if self._state == _OPEN:
            records: list[bytes] = []
            for piece in pieces:
                self._encrypt(piece, records)
            if not self._tcp.is_closing():
                self._tcp.write(records[0] if len(records) == 1 else b"".join(records))
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
        self._end()

    def _end(self) -> None:
        """Bring what comes from now on as it is; nobody reads it."""
        self._state = _ENDED
        self._records.clear()

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
        if self._state == _OPEN and self._records.size:
            self._loop.call_soon(self._deliver_more)

    @property
    def held(self) -> int:
        """How many bytes have come that are not brought yet (G11)."""
        return self._records.size

    def get_write_buffer_size(self) -> int:
        """Return how many bytes, as they go over the wire, are still to be sent."""
        return self._tcp.get_write_buffer_size()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return a fact on the TCP transport, or `ssl_object` once TLS stands."""
        if name == "ssl_object":
            return self._ssl if self._state == _OPEN else default
        return self._tcp.get_extra_info(name, default)
