"""Ports of loopback that keep their promise: one refuses everybody, one is free later too.

A port that was free a moment ago may be another test's by now: the kernel gives it to the next
who asks for any, in whichever process.
"""

import contextlib
import errno
import random
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

__all__ = ["port_for_later", "refusing_port"]

_GIVEN: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST: Final = 10_000  # below, programs have their usual ones
_LOOPBACKS: Final = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))


@contextlib.contextmanager
def refusing_port() -> Iterator[int]:
    """Hold a port of 127.0.0.1 that is bound and not listened on: the system gives it to nobody.

    Who knows its number can listen there, and it refuses again after that.
    """
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


def port_for_later() -> int:
    """Return a port that is free on both loopbacks, and that the kernel gives to nobody.

    Where its range leaves none below, it is one of those that it gives.
    """
    first, last = map(int, _GIVEN.read_text("ascii").split())
    ports = range(_LOWEST, first) if first > 2 * _LOWEST else range(_LOWEST, last)
    return next(port for port in random.sample(ports, 100) if not _is_taken(port))


def _is_taken(port: int) -> bool:
    for family, host in _LOOPBACKS:
        try:
            with socket.socket(family) as sock:
                sock.bind((host, port))
        except OSError as error:  # a machine without IPv6 has nobody there
            if error.errno == errno.EADDRINUSE:
                return True
    return False
