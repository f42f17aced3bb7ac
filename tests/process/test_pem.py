"""PEM texts in memory, given as files: whatever their size, and whoever stops reading."""

import threading
from pathlib import Path

import pytest

from proxy.net.pem import as_file

MIB = 1 << 20


@pytest.mark.parametrize("size", [0, 1, MIB])
def test_a_text_is_read_as_a_file(size: int) -> None:
    """Also one that is larger than what a pipe holds."""
    with as_file(b"x" * size) as path:
        assert Path(path).read_bytes() == b"x" * size


def test_a_text_need_not_be_read() -> None:
    """Nothing waits for a reader that has left: OpenSSL stops at what it cannot use."""
    with as_file(b"x" * MIB) as path, Path(path).open("rb") as opened:
        assert opened.read(1) == b"x"
    with as_file(b"x" * MIB) as path:
        pass
    assert not Path(path).exists()


def test_nothing_stays_open_without_a_thread() -> None:
    """A process that may start no more threads does not lose its descriptors too."""
    before = set(Path("/proc/self/fd").iterdir())
    usual = threading.stack_size(1 << 46)  # more than any machine has
    try:
        with pytest.raises(RuntimeError), as_file(b"x"):
            pass
    finally:
        threading.stack_size(usual)
    assert set(Path("/proc/self/fd").iterdir()) == before
