"""Small files that operators put in place and replace: keys, certificates, lists of authorities.

Whoever reads one may do so in the event loop: nothing here waits for another process.
"""

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

__all__ = [
    "LARGEST_BYTES",
    "UnreadableFileError",
    "UnusableFileError",
    "all_faults",
    "read_file",
    "short_name",
    "unforeseen_is_unusable",
]

LARGEST_BYTES: Final = 4 * 1024 * 1024
"""Nothing that is read here is larger; all public authorities take a quarter of a MiB."""


class UnusableFileError(Exception):
    """A file cannot be used.

    `file` is the setting that names it, in lower case, as the TOML file has it: `ca_file`,
    `callers.shop.key_file`. `reason` is a plain one, which holds nothing of the content.
    """

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(f"{file}: {reason}")
        self.file = file
        self.reason = reason


def short_name(file: str) -> str:
    """Return what people call a setting, of one as `UnusableFileError.file` has it.

    That is the name of its variable without what all of them begin with. Keys of a table stay as
    they are.
    """
    return file if "." in file else file.upper()


class UnreadableFileError(UnusableFileError):
    """A file cannot be read; `cause` is why, as the system says it where it was the system."""

    def __init__(self, file: str, cause: str) -> None:
        super().__init__(file, f"cannot be read ({cause})")
        self.cause = cause


@contextmanager
def unforeseen_is_unusable(file: str) -> Iterator[None]:
    """Raise `UnusableFileError`, with `file` in it, for whatever else the block raises.

    For blocks that have libraries read a file that anybody may have written. Only the type of what
    they raise is told: its text may quote the file. Libraries in Rust that panic raise what is no
    `Exception`.
    """
    try:
        yield
    except (UnusableFileError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001 (see above)
        raise UnusableFileError(file, f"cannot be used ({type(error).__name__})") from None


def all_faults(file: str, faults: Iterable[UnusableFileError]) -> Iterator[UnusableFileError]:
    """Yield the faults that are found in files, and what looking for them raises, if it does.

    That is one of `file`, as `unforeseen_is_unusable` has it.
    """
    found: list[UnusableFileError] = []
    try:
        with unforeseen_is_unusable(file):
            found.extend(faults)
    except UnusableFileError as error:
        found.append(error)
    yield from found


def _without_waiting(path: str, flags: int) -> int:
    """Open a file; one that another process has to fill must not stop the event loop."""
    return os.open(path, flags | os.O_NONBLOCK)


def read_file(file: str, path: Path, *, max_bytes: int = LARGEST_BYTES) -> bytes:
    """Return what the file holds.

    Raises `UnreadableFileError`, with `file` in it, for what cannot be read, for what cannot be
    read again and again, as a pipe, and for more than `max_bytes`.
    """
    try:
        with open(path, "rb", opener=_without_waiting) as opened:
            if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                raise UnreadableFileError(file, "not a regular file")
            content = opened.read(max_bytes + 1)
    except OSError as error:
        raise UnreadableFileError(file, error.strerror or "unreadable") from None
    except ValueError:  # a NUL in the path, or what has no bytes in the system's encoding
        raise UnreadableFileError(file, "no path of a file") from None
    if len(content) > max_bytes:
        raise UnreadableFileError(file, f"over {max_bytes // 1024} KiB")
    return content
