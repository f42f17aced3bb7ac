"""PEM texts that are in memory: as files, which OpenSSL alone reads, and what is secret in them."""

import contextlib
import os
import re
from collections.abc import Iterator
from threading import Thread
from typing import Final

__all__ = ["as_file", "secret_lines"]

_LINE: Final = re.compile(r"[A-Za-z0-9+/=]{16,}")


def secret_lines(key: str) -> tuple[str, ...]:
    """Return the lines of a key that must never be logged; of a text that is no PEM, its runs."""
    return tuple(_LINE.findall(key))


@contextlib.contextmanager
def as_file(pem: bytes) -> Iterator[str]:
    """Give the path of a text that is on no disk; it can be read once, while the block runs.

    Raises `OSError` without files left to open, `RuntimeError` without threads left to start.
    """
    reader, writer = os.pipe()
    # From a thread: a pipe may hold less than the text.
    filling = Thread(target=_fill, args=(writer, pem), daemon=True)
    try:
        filling.start()
    except RuntimeError:  # without threads left
        os.close(reader)
        os.close(writer)
        raise
    try:
        yield f"/dev/fd/{reader}"
    finally:
        os.close(reader)
        filling.join()


def _fill(writer: int, pem: bytes) -> None:
    with contextlib.suppress(BrokenPipeError), open(writer, "wb") as pipe:
        pipe.write(pem)
