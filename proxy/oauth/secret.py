"""Where a client's secret comes from: a value, or a file that may change at any time (T6, T7)."""

import os
import stat
from pathlib import Path
from typing import Final

__all__ = ["SecretSource", "SecretUnreadableError", "as_seen"]

_MAX_BYTES: Final = 64 * 1024
_BYTE_ORDER_MARK: Final = "\ufeff"


def as_seen(text: str) -> str:
    """Return a secret as its operator sees it: no byte order mark before it, no line ends (T13)."""
    return text.removeprefix(_BYTE_ORDER_MARK).rstrip("\r\n")


class SecretUnreadableError(Exception):
    """The secret file cannot be read; the text is the system's reason, not its content."""


class SecretSource:
    """Gives the secret as it is now.

    A file is read at every call, synchronously: it is small, and mounted
    secrets live in memory. Comparing contents, not times or names, notices a
    swapped symlink as well.
    """

    __slots__ = ("_path", "_value")

    def __init__(self, *, value: str | None = None, path: Path | None = None) -> None:
        self._value = value
        self._path = path

    @property
    def may_change(self) -> bool:
        """Whether the secret can change while the process runs."""
        return self._path is not None

    def read(self) -> str:
        """Return the secret as its operator sees it (T13); raise `SecretUnreadableError`."""
        if self._path is None:
            return as_seen(self._value or "")
        try:
            secret = as_seen(_content(self._path).decode("utf-8"))
        except OSError as error:
            raise SecretUnreadableError(error.strerror or "unreadable") from None
        except UnicodeDecodeError:
            raise SecretUnreadableError("not UTF-8 text") from None
        if not secret:
            raise SecretUnreadableError("empty")
        return secret


def _without_waiting(path: str, flags: int) -> int:
    """Open a file; one that another process has to fill must not stop the event loop."""
    return os.open(path, flags | os.O_NONBLOCK)


def _content(path: Path) -> bytes:
    """Return what the file holds, refusing what cannot be read again and again."""
    with open(path, "rb", opener=_without_waiting) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise SecretUnreadableError("not a regular file")
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise SecretUnreadableError("over 64 KiB")
    return content
