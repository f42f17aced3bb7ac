"""Where a client's secret comes from: a value, or a file that may change at any time (T6, T7)."""

from pathlib import Path
from typing import Final

from proxy.files import UnreadableFileError, read_file

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
            content = read_file("client_secret_file", self._path, max_bytes=_MAX_BYTES)
            secret = as_seen(content.decode("utf-8"))
        except UnreadableFileError as error:
            raise SecretUnreadableError(error.cause) from None
        except UnicodeDecodeError:
            raise SecretUnreadableError("not UTF-8 text") from None
        if not secret:
            raise SecretUnreadableError("empty")
        return secret
