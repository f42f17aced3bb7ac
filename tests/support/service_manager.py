"""In the place of systemd: a socket to which a service tells its state, sockets to hand over."""

import contextlib
import fcntl
import os
import socket
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.support.proxy_process import ProxyProcess, proxy_process
from tests.support.waiting import PATIENCE_SECONDS, eventually

__all__ = ["ServiceManagerStandIn", "activated", "hand_over", "service_manager"]

Told = dict[str, str]


class ServiceManagerStandIn:
    """Keeps what it is told; `environ` is what a service gets to know of it."""

    def __init__(self, place: str, sock: socket.socket) -> None:
        self.environ = {"NOTIFY_SOCKET": place}
        self._socket = sock
        self._told: list[Told] = []

    @property
    def told(self) -> list[Told]:
        """All datagrams so far, each by its fields."""
        with contextlib.suppress(BlockingIOError):
            while True:
                lines = self._socket.recv(65_536).decode().split("\n")
                self._told.append(dict(line.split("=", 1) for line in lines))
        return self._told

    def values(self, name: str) -> list[str]:
        """Return what a field has been, in order."""
        return [message[name] for message in self.told if name in message]

    async def hears(self, name: str, amount: int = 1, seconds: float = PATIENCE_SECONDS) -> Told:
        """Wait until a field has come `amount` times; return the datagram that had it then."""
        is_heard = f"{name}, {amount} times"
        await eventually(lambda: len(self.values(name)) >= amount, is_heard, seconds)
        return [message for message in self.told if name in message][amount - 1]

    async def hears_status(self, text: str, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until the last line of status is `text`."""
        is_told = f"the status {text}"
        await eventually(lambda: self.values("STATUS")[-1:] == [text], is_told, seconds)

    def fill(self) -> None:
        """Let nothing more be told, until somebody reads."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.settimeout(0)
            with contextlib.suppress(BlockingIOError):
                while True:
                    sender.sendto(b"FILLER=1", self._socket.getsockname())


@contextlib.contextmanager
def service_manager(folder: Path, *, is_abstract: bool = False) -> Iterator[ServiceManagerStandIn]:
    """Listen at a path in `folder`, or at a name in the abstract namespace."""
    place = f"{folder}/notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(f"\0{place}" if is_abstract else place)
        sock.setblocking(False)  # noqa: FBT003
        yield ServiceManagerStandIn(f"@{place}" if is_abstract else place, sock)


_FIRST: Final = 3
_OUT_OF_THE_WAY: Final = 200


@contextlib.contextmanager
def hand_over(
    sockets: Sequence[tuple[str, socket.socket | int]],
) -> Iterator[tuple[dict[str, str], tuple[str, ...], list[int]]]:
    """Provide environment, prefix and descriptors for a process that gets sockets, with names.

    The prefix is a shell that becomes the process: only then is its number known, and are the
    descriptors where systemd puts them.
    """
    given = [each if isinstance(each, int) else each.fileno() for _, each in sockets]
    copies = [fcntl.fcntl(each, fcntl.F_DUPFD, _OUT_OF_THE_WAY) for each in given]
    moves = [f"{_FIRST + place}<&{copy} {copy}<&-" for place, copy in enumerate(copies)]
    script = f'exec {" ".join(moves)}; export LISTEN_PID=$$; exec "$@"'
    names = ":".join(name for name, _ in sockets)
    environ = {"LISTEN_FDS": str(len(sockets)), "LISTEN_FDNAMES": names}
    try:
        yield environ, ("bash", "-c", script, "bash"), copies
    finally:
        for copy in copies:
            os.close(copy)


@contextlib.asynccontextmanager
async def activated(
    environ: Mapping[str, str],
    sockets: Sequence[tuple[str, socket.socket | int]],
    *,
    directory: Path,
) -> AsyncIterator[ProxyProcess]:
    """Run the proxy with these sockets, as systemd does; it goes on holding them."""
    with contextlib.ExitStack() as stack:
        added, prefix, descriptors = stack.enter_context(hand_over(sockets))
        async with proxy_process(
            {**environ, **added},
            "run",
            directory=directory,
            prefix=prefix,
            descriptors=descriptors,
        ) as process:
            stack.close()  # of the copies, only the process has one now
            yield process
