"""A peer that sends without end, in a thread of its own, as fast as it is let."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

__all__ = ["Flooder"]


class Flooder:
    """Sends pieces on one connection while it is entered, and reads what comes back.

    `listener` is where it waits for its peer, who must ask before it is answered; without,
    it connects to `port`. `sent` counts bytes.
    """

    def __init__(
        self, pieces: Iterator[bytes], *, port: int = 0, listener: socket.socket | None = None
    ) -> None:
        self.sent = 0
        self._pieces = pieces
        self._port = port
        self._listener = listener
        self._socket: socket.socket | None = None
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        if self._listener is None:
            self._socket = sock = socket.create_connection(("127.0.0.1", self._port))
            self._start(lambda: self._send(sock))
            self._start(lambda: self._read(sock))
        else:
            self._start(self._answer)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for sock in (self._listener, self._socket):
            if sock is not None:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
                sock.close()
        for thread in self._threads:
            thread.join()

    def _start(self, run: Callable[[], None]) -> None:
        thread = threading.Thread(target=run)
        thread.start()
        self._threads.append(thread)

    def _answer(self) -> None:
        assert self._listener is not None
        with contextlib.suppress(OSError):
            self._socket, _ = self._listener.accept()
            self._socket.recv(1 << 16)
            self._send(self._socket)

    def _send(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            for piece in self._pieces:
                sock.sendall(piece)
                self.sent += len(piece)

    def _read(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while sock.recv(1 << 18):
                pass
