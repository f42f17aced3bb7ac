"""In the place of systemd: a datagram socket to which a service tells its state."""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

from tests.support.waiting import eventually

__all__ = ["ServiceManagerStandIn", "service_manager"]

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

    async def hears(self, name: str, amount: int = 1) -> Told:
        """Wait until a field has come `amount` times; return the datagram that had it then."""
        await eventually(lambda: len(self.values(name)) >= amount, f"{name}, {amount} times")
        return [message for message in self.told if name in message][amount - 1]

    async def hears_status(self, text: str) -> None:
        """Wait until the last line of status is `text`."""
        await eventually(lambda: self.values("STATUS")[-1:] == [text], f"the status {text}")

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
