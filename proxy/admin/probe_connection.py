"""One connection of `probe`, with an end: one deadline for lookup, connect, write and read.

A timeout of a socket bounds one wait, and a peer that drips bytes ends each of them in time. A
lookup is bounded by nothing but the machine's resolver.
"""

import errno
import http.client
import os
import socket
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from proxy.net.addresses import ListenAddress

if TYPE_CHECKING:
    from queue import SimpleQueue

__all__ = ["Deadline", "Destination"]

_MAX_BYTES: Final = 128 * 1024  # of a whole response; the body of /readyz is a few hundred
_WILDCARDS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (asked on loopback)

_Place = tuple[socket.AddressFamily, str | tuple[Any, ...]]  # as `connect` takes it
_Found = list[_Place] | OSError | UnicodeError


class Deadline:
    """An instant, `seconds` from now, by which all must be over."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Return how many seconds are left; raise `TimeoutError` where none are."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


class _BoundedSocket(socket.socket):
    """Waits for what its peer sends until `deadline`, and takes `_MAX_BYTES` of it at most."""

    def __init__(self, family: socket.AddressFamily, deadline: Deadline) -> None:
        super().__init__(family, socket.SOCK_STREAM)
        self._deadline = deadline
        self._size = 0

    def recv_into(self, *arguments: Any) -> int:
        """Read, as whoever reads the file of this socket does."""
        self.settimeout(self._deadline.left())
        size = super().recv_into(*arguments)
        self._size += size
        if self._size > _MAX_BYTES:
            raise OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
        return size


class Destination:
    """Where to connect to; a lookup of its name that has not ended is not begun again."""

    def __init__(self, address: ListenAddress) -> None:
        self._address = address
        self._lookup: SimpleQueue[_Found] | None = None

    def connect(self, deadline: Deadline) -> http.client.HTTPConnection:
        """Connect to the first of the addresses that is there; raise `OSError`.

        All that is done with the connection ends by `deadline`, with a `TimeoutError`.
        """
        failures: list[OSError] = []
        places = list(self._places(deadline))
        for number, (family, place) in enumerate(places):
            try:
                sock = _BoundedSocket(family, deadline)
            except OSError as error:  # a machine without IPv6: what the others say tells more
                failures.append(error)
                continue
            try:
                # Of a name, one address that is silent leaves time for the others.
                seconds = deadline.left()
                sock.settimeout(seconds / (len(places) - number) if self._is_name else seconds)
                sock.connect(place)
                sock.settimeout(deadline.left())
            except OSError as error:
                sock.close()
                failures.append(error)
                if isinstance(error, TimeoutError) and not self._is_name:
                    raise  # somebody listens, and would be waited for
            else:
                connection = http.client.HTTPConnection("localhost")
                connection.sock = sock
                return connection
        raise failures[0]

    @property
    def _is_name(self) -> bool:
        return self._address.is_name

    def _places(self, deadline: Deadline) -> Iterator[_Place]:
        for each in self._address.each():
            host, port = each.host or "", each.port or 0
            if each.path is not None:
                yield socket.AF_UNIX, each.path
            elif each.is_name:
                yield from self._found(host, port, deadline)
            else:
                family = socket.AF_INET6 if ":" in host else socket.AF_INET
                yield family, (_WILDCARDS.get(host, host), port)

    def _found(self, host: str, port: int, deadline: Deadline) -> list[_Place]:
        """Look a name up, in a thread that does not hold the end of the process."""
        from queue import Empty, SimpleQueue  # noqa: PLC0415 (for names alone, which are rare)
        from threading import Thread  # noqa: PLC0415

        if self._lookup is None:
            self._lookup = SimpleQueue()
            Thread(target=_look_up, args=(host, port, self._lookup), daemon=True).start()
        try:
            found = self._lookup.get(timeout=deadline.left())
        except Empty:
            raise TimeoutError from None
        self._lookup = None
        if isinstance(found, Exception):
            raise found
        return found


def _look_up(host: str, port: int, found: "SimpleQueue[_Found]") -> None:
    try:
        infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        found.put(error)
    else:
        found.put([(family, place) for family, _, _, _, place in infos])
