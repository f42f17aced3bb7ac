"""Where a client's secret comes from: a value, or a file that may change at any time (T6, T7)."""

from pathlib import Path

__all__ = ["SecretSource", "SecretUnreadableError"]

_MAX_BYTES = 64 * 1024


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
        """Is it worth looking again."""
        return self._path is not None

    def read(self) -> str:
        """Return the secret without trailing line ends; raise `SecretUnreadableError`."""
        if self._path is None:
            return self._value or ""
        try:
            with self._path.open("rb") as file:
                secret = file.read(_MAX_BYTES).rstrip(b"\r\n").decode("utf-8")
        except OSError as error:
            raise SecretUnreadableError(error.strerror or "unreadable") from None
        except UnicodeDecodeError:
            raise SecretUnreadableError("not UTF-8 text") from None
        if not secret:
            raise SecretUnreadableError("empty")
        return secret
