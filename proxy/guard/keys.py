"""The keys of callers: what a key file may hold, and the digest that is kept of a key (I2)."""

import hashlib
import re
from pathlib import Path
from typing import Final

from proxy.files import UnusableFileError, read_file

__all__ = ["LEAST_CHARACTERS", "MOST_KEYS", "digest_of", "read_keys"]

LEAST_CHARACTERS: Final = 32
"""A shorter key may be guessed; `openssl rand -base64 32` makes one of 44."""
MOST_KEYS: Final = 2
"""So many keys of one caller are valid at once: the one before a rotation, and the one after."""
_MAX_BYTES: Final = 64 * 1024
_MAKE_ONE: Final = "make one by openssl rand -base64 32"
_KEY: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # what a Bearer line can hold (RFC 6750 §2.1)


def digest_of(key: bytes) -> bytes:
    """Return what is kept of a key, and compared."""
    return hashlib.sha256(key).digest()


def read_keys(file: str, path: Path) -> tuple[str, ...]:
    """Return the keys in a file, one a line; empty lines count for nothing.

    Raises `UnusableFileError`, with `file` in it and a reason that quotes no key.
    """
    try:
        text = read_file(file, path, max_bytes=_MAX_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnusableFileError(file, "is not UTF-8 text") from None
    keys = tuple(line for line in text.replace("\r\n", "\n").split("\n") if line)
    if fault := _fault(keys):
        raise UnusableFileError(file, fault)
    return keys


def _fault(keys: tuple[str, ...]) -> str | None:
    """Return why these cannot be the keys of a caller, None where they can."""
    if not keys:
        return "holds no key"
    if len(keys) > MOST_KEYS:
        return f"holds {len(keys)} keys; at most {MOST_KEYS} are valid at once"
    if len(set(keys)) < len(keys):
        return "holds the same key twice"
    for number, key in enumerate(keys, 1):
        if not _KEY.fullmatch(key):
            return f"holds in line {number} what no Bearer line can hold; {_MAKE_ONE}"
        if len(key) < LEAST_CHARACTERS:
            return (
                f"holds a key of {len(key)} characters, and at least {LEAST_CHARACTERS} are "
                f"needed; {_MAKE_ONE}"
            )
    return None
