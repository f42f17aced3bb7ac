"""A caller's connection on a port with TLS: counted, swept and drained from its accept on (I3)."""

import ssl
from typing import Final, cast

from proxy.forward.caller import CallerConnection
from proxy.forward.context import Context
from proxy.forward.patience import HEAD
from proxy.http1 import failures
from proxy.net.tls import is_resumed_too_late
from proxy.net.tls_faults import EXPIRED, handshake_fault
from proxy.net.tls_stream import TlsStream

__all__ = ["TlsCallerConnection"]

_LEFT: Final = (
    "the caller closed the connection in the middle of the handshake; it may not trust the "
    "certificate in SIGNICAT_PROXY_TLS_CERT_FILE"
)


class TlsCallerConnection(CallerConnection):
    """A handshake, then requests; HEAD_TIMEOUT_SECONDS bound the handshake from the accept on."""

    __slots__ = ("_has_begun", "_is_secured")

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._has_begun = False
        self._is_secured = False

    @property
    def scheme(self) -> bytes:
        """What the caller's URLs begin with."""
        return b"https"

    def _expect_beginning(self) -> None:
        """Wait for the handshake."""
        self.patience.expect(HEAD)

    def on_handshake(self) -> None:
        """Shake hands, when there is time: that takes as long as many requests (G11)."""
        self._has_begun = True
        stream, turns = cast("TlsStream", self.transport), self._context.turns
        if turns.has_time():
            stream.shake_hands()
        else:
            turns.later(stream.shake_hands, again=False)

    def on_secured(self) -> None:
        """Learn what the caller's certificate says; wait for the first request."""
        self._is_secured = True
        self._identify()
        if is_resumed_too_late(self.transport, self._context.wall()):
            self._context.request_log.handshake_failed(EXPIRED, self._peer)
            self._linger()
            return
        self.patience.expect_idle()
        if self._context.callers.ends_idle:  # it was accepted before the drain (C2)
            self.drain()

    def _bytes_below(self) -> int:
        return cast("TlsStream", self.transport).held

    def on_handshake_failed(self, error: ssl.SSLError) -> None:
        """Record why; the caller is given time to read the alert."""
        self._context.request_log.handshake_failed(handshake_fault(error), self._peer)
        self._linger()

    def connection_lost(self, exc: Exception | None) -> None:
        """Record a caller that goes in the middle of the handshake, once it has begun."""
        if self._has_begun and not self._is_secured and not self._is_lingering:
            self._context.request_log.handshake_failed(_LEFT, self._peer)
        super().connection_lost(exc)

    def on_plain(self, data: bytes) -> None:
        """Tell a caller that speaks no TLS what is wrong (G10)."""
        self._is_secured = True  # nothing will be: from here on it is as any refused connection
        self._refuse(failures.no_tls(data), is_head=data.startswith(b"HEAD "))

    def eof_received(self) -> bool:
        """Let `connection_lost` record who goes in the middle of the handshake."""
        if not self._is_secured and not self._is_lingering:
            self.transport.close()
            return False
        return super().eof_received()

    def deadline_passed(self) -> None:
        """End a handshake that takes too long; one that never began is no more than idle."""
        if self._is_secured or self._is_lingering:
            super().deadline_passed()
            return
        if self._has_begun and not self._context.callers.is_draining:
            seconds = self._context.limits.head_timeout_seconds
            self._context.request_log.handshake_failed(
                f"the handshake was not complete within {seconds:g} seconds", self._peer
            )
        self._is_lingering = True
        self.abort()
