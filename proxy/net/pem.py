"""PEM texts that are in memory, for OpenSSL, which reads files alone."""

import contextlib
import os
from collections.abc import Iterator
from threading import Thread

__all__ = ["as_file"]


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
