"""The client secret: a value, or a file that is read again whenever it is needed."""

import os
import traceback
from pathlib import Path

import pytest

from proxy.oauth.secret import SecretSource, SecretUnreadableError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Provide a place for the secret file."""
    return tmp_path / "secret"


def test_a_value_is_the_secret_and_stays_it() -> None:
    """T7, T13: a secret given as a value is taken as it is seen, and nobody looks again."""
    source = SecretSource(value="\ufeff s3 cret \r\n")
    assert source.read() == " s3 cret "
    assert not source.may_change
    assert "s3cret" not in repr(source)


def test_no_value_and_no_file_is_the_empty_secret() -> None:
    """T7: a source that was given nothing has an empty secret."""
    assert SecretSource().read() == ""


@pytest.mark.parametrize(
    ("content", "secret"),
    [
        (b"s3cret", "s3cret"),
        (b"s3cret\n", "s3cret"),
        (b"s3cret\r\n", "s3cret"),
        (b"s3cret\n\n\r\n", "s3cret"),
        (b" s3 cret \t\n", " s3 cret \t"),
        (b"two\nlines\n", "two\nlines"),
        ("p+q/r=%s:tå".encode(), "p+q/r=%s:tå"),
        (b"\xef\xbb\xbfs3cret\r\n", "s3cret"),
        ("\ufeff\ufeffs3cret".encode(), "\ufeffs3cret"),
        ("s3\ufeffcret\ufeff\n".encode(), "s3\ufeffcret\ufeff"),
        (b"x" * 65536, "x" * 65536),
    ],
)
def test_a_file_holds_the_secret(path: Path, content: bytes, secret: str) -> None:
    """T7, T13: it is the content without a byte order mark before it and line ends behind it."""
    path.write_bytes(content)
    source = SecretSource(path=path)
    assert source.read() == secret
    assert source.may_change


def test_a_file_is_read_every_time(path: Path) -> None:
    """T7: what counts is the content at the moment of use, even of the same length and time."""
    path.write_text("first!")
    source = SecretSource(path=path)
    assert source.read() == "first!"
    path.write_text("second")
    assert source.read() == "second"


def test_a_swapped_symlink_is_followed(tmp_path: Path) -> None:
    """T7: a secret that Kubernetes changes by swapping a symlink of a folder is the new one."""
    for name, secret in (("old", "s3cret-1"), ("new", "s3cret-2")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "secret").write_text(secret)
    data, swap = tmp_path / "..data", tmp_path / "swap"
    data.symlink_to("old")
    (tmp_path / "secret").symlink_to("..data/secret")
    source = SecretSource(path=tmp_path / "secret")
    assert source.read() == "s3cret-1"
    swap.symlink_to("new")
    swap.replace(data)
    assert source.read() == "s3cret-2"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file or directory"),
        (b"", "empty"),
        (b"\n\r\n", "empty"),
        (b"\xef\xbb\xbf\n", "empty"),
        ("s3cret".encode("utf-16"), "not UTF-8 text"),
        (b"s3cret\xff", "not UTF-8 text"),
    ],
)
def test_a_file_without_a_secret_is_unreadable(
    path: Path, content: bytes | None, reason: str
) -> None:
    """T7, G7: a missing, empty or undecodable file is named as such, without its content."""
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SecretUnreadableError) as caught:
        SecretSource(path=path).read()
    assert str(caught.value) == reason
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


def test_a_folder_is_unreadable(tmp_path: Path) -> None:
    """T7: a path that names no file is an unreadable secret, not a crash."""
    with pytest.raises(SecretUnreadableError, match="Is a directory"):
        SecretSource(path=tmp_path).read()


@pytest.mark.parametrize("has_writer", [False, True])
def test_a_pipe_is_refused_without_waiting_for_it(path: Path, *, has_writer: bool) -> None:
    """T7: a pipe gives its content once and would stop the process; it is named instead."""
    os.mkfifo(path)
    # Opened for reading too, so that the test does not wait for a reader itself.
    writer = os.open(path, os.O_RDWR) if has_writer else None
    try:
        with pytest.raises(SecretUnreadableError, match=r"^not a regular file$"):
            SecretSource(path=path).read()
    finally:
        if writer is not None:
            os.close(writer)


def test_a_device_is_refused() -> None:
    """T7: an endless device is no secret file."""
    with pytest.raises(SecretUnreadableError, match=r"^not a regular file$"):
        SecretSource(path=Path("/dev/zero")).read()


def test_a_file_too_large_is_refused(path: Path) -> None:
    """T7: a secret is never cut short silently."""
    path.write_bytes(b"x" * 65537)
    with pytest.raises(SecretUnreadableError, match=r"^over 64 KiB$"):
        SecretSource(path=path).read()


def test_a_circle_of_symlinks_is_unreadable(path: Path) -> None:
    """T7: a loop of symlinks, which the system refuses, is an unreadable secret."""
    path.symlink_to(path)
    with pytest.raises(SecretUnreadableError, match="symbolic links"):
        SecretSource(path=path).read()
