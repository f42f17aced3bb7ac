"""An upstream over TLS that answers and ends at once: answer, close_notify and FIN in one go.

Event loops wait for the peer's close_notify before they close; servers such as nginx do not.
"""

import contextlib
import socket
import ssl
import threading
from types import TracebackType
from typing import Self

__all__ = ["AbruptServer"]


class AbruptServer:
    """Gives `answer` to the first request on each connection and hangs up, in threads."""

    def __init__(self, context: ssl.SSLContext, answer: bytes) -> None:
        self._context = context
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for sock in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        for thread in self._threads:
            thread.join()

    def _start(self, run: object, *arguments: object) -> None:
        assert callable(run)
        thread = threading.Thread(target=run, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                self._open.append(sock)
                self._start(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            secured = _Secured(self._context, sock)
            while b"\r\n\r\n" not in secured.read():
                pass
            secured.write_and_end(self._answer)
            while sock.recv(1 << 16):  # so that the end is no reset
                pass


class _Secured:
    """TLS over a socket whose end can be sent without waiting for the peer's."""

    def __init__(self, context: ssl.SSLContext, sock: socket.socket) -> None:
        self._socket = sock
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._exchange()
            else:
                break
        sock.sendall(self._outgoing.read())

    def _exchange(self) -> None:
        self._socket.sendall(self._outgoing.read())
        data = self._socket.recv(1 << 16)
        if not data:
            raise ConnectionResetError
        self._incoming.write(data)

    def read(self) -> bytes:
        """Return what comes next."""
        while True:
            try:
                return self._tls.read(1 << 16)
            except ssl.SSLWantReadError:
                self._exchange()

    def write_and_end(self, data: bytes) -> None:
        """Send all of it, then close_notify and FIN."""
        for start in range(0, len(data), 1 << 14):
            self._tls.write(data[start : start + (1 << 14)])
            self._socket.sendall(self._outgoing.read())
        with contextlib.suppress(ssl.SSLError):
            self._tls.unwrap()
        self._socket.sendall(self._outgoing.read())
        self._socket.shutdown(socket.SHUT_WR)
