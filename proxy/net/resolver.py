"""Asking the system for the addresses of a name, in a way that holds nobody up (F13, C2)."""

import asyncio
import contextlib
import errno
import socket
import threading
from collections.abc import Callable, Sequence

import aiohappyeyeballs

__all__ = ["Address", "Resolver", "numeric_addresses", "system_resolver", "with_port"]

Address = aiohappyeyeballs.AddrInfoType
"""An address as `getaddrinfo` returns it; its port is 0 until `with_port`."""

Resolver = Callable[[str], "asyncio.Future[Sequence[Address]]"]
"""Begins one question for a name; the result, an `OSError` or a `UnicodeError` comes by itself."""


def numeric_addresses(host: str) -> Sequence[Address] | None:
    """Return what a numeric address means, asking nobody; None for a name."""
    try:
        return socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        return None


def with_port(address: Address, port: int) -> Address:
    """Return the address with that port."""
    family, kind, protocol, name, (host, _, *scope) = address
    return (family, kind, protocol, name, (host, port, *scope))


def system_resolver(host: str) -> "asyncio.Future[Sequence[Address]]":
    """Ask the system, in a thread of its own.

    Such a thread cannot be stopped. It keeps no other name waiting, which the few threads of an
    event loop would, and no process from ending. How many there are is for the caller to bound.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Sequence[Address]] = loop.create_future()

    def ask() -> None:
        outcome = _ask(host)
        with contextlib.suppress(RuntimeError):  # the loop has been closed meanwhile
            loop.call_soon_threadsafe(_settle, answer, outcome)

    try:
        threading.Thread(target=ask, name="name lookup", daemon=True).start()
    except RuntimeError:
        answer.set_exception(OSError(errno.EAGAIN, "no thread can be started for a lookup"))
    return answer


def _ask(host: str) -> Sequence[Address] | Exception:
    try:
        return socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        return error
    except Exception as error:  # noqa: BLE001 (whatever it is, somebody waits for a response)
        return OSError(errno.EIO, f"lookup failed: {type(error).__name__}")


def _settle(
    answer: "asyncio.Future[Sequence[Address]]", outcome: Sequence[Address] | Exception
) -> None:
    if answer.done():
        return
    if isinstance(outcome, Exception):
        answer.set_exception(outcome)
    else:
        answer.set_result(outcome)
