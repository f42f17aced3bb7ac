"""Stand-ins for the Dockerfile's base images, made without a registry and kept for next time.

A minimal Debian with a Python of this machine where the official image has its own, else with
Debian's Python.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

__all__ = ["COMPILER", "base_archive", "one_at_a_time"]

COMPILER: Final = "gcc,libc6-dev"
"""What the stand-in for BUILDER has besides."""

_RECIPE: Final = 3  # count on when the way of making it changes
_SUITE: Final = "bookworm"
# What the official slim image has besides the minimum, and the libraries of its Python.
_PACKAGES: Final = (
    "ca-certificates,netbase,tzdata,libbz2-1.0,libexpat1,libffi8,liblzma5,libncursesw6,"
    "libreadline8,libsqlite3-0,libssl3,libuuid1,zlib1g"
)
_DEBIAN_PYTHON: Final = "python3,python3-venv,libpython3-dev"
_NOT_COPIED: Final = ("__pycache__", "test", "tests", "idle_test", "_tkinter*", "libpython*.a")
_ABOUT: Final = (
    "import sys, sysconfig;"
    "print(sys.base_prefix, *sys.version_info[:3], sysconfig.get_config_var('Py_GIL_DISABLED'))"
)
_WORKS: Final = "import bz2, ctypes, lzma, sqlite3, ssl, sys, venv, zlib"


def _candidates() -> Iterator[str]:
    for name in ("python3.13", "python3.12", "python3.14", "python3.11"):
        if found := shutil.which(name):
            yield found
        root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
        yield from map(str, sorted(root.glob(f"versions/*/bin/{name}")))
    yield sys.executable


def _copied_python() -> tuple[Path, str] | None:
    """Return prefix and version of a Python that stands in a folder of its own, 3.13 first."""
    for executable in _candidates():
        done = subprocess.run(
            [executable, "-c", _ABOUT], capture_output=True, text=True, check=False
        )
        prefix, *version, no_gil = done.stdout.split() or ["/usr", "0", "0", "0", "None"]
        is_usable = tuple(map(int, version)) >= (3, 11) and no_gil in {"0", "None"}
        if is_usable and prefix != "/usr":
            return Path(prefix), ".".join(version)
    return None


def _copy_python(prefix: Path, rootfs: Path) -> None:
    """Copy a Python as the official images have it: without tests, bytecode and packages."""
    local = rootfs / "usr" / "local"
    ignored = shutil.ignore_patterns(*_NOT_COPIED)
    for part in ("bin", "include", "lib"):
        shutil.copytree(
            prefix / part, local / part, symlinks=True, ignore=ignored, dirs_exist_ok=True
        )
    (packages,) = local.glob("lib/python3.*/site-packages")
    for path in packages.iterdir():
        if not path.name.startswith("pip"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    python = f"#!/usr/local/bin/{packages.parent.name}"
    for path in (local / "bin").glob("pip*"):
        path.write_text(python + "\n" + path.read_text("utf-8").partition("\n")[2], "utf-8")


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"


def _make_rootfs(rootfs: Path, packages: str) -> None:
    _run("mmdebstrap", "--quiet", "--variant=minbase", f"--include={packages}", _SUITE, str(rootfs))


def _make(rootfs: Path, prefix: Path | None, packages: str) -> None:
    """Make the stand-in's tree; a Python that does not run in it is replaced by Debian's."""
    if prefix is not None:
        _make_rootfs(rootfs, packages)
        _copy_python(prefix, rootfs)
        _run("chroot", str(rootfs), "ldconfig")
        check = ["chroot", str(rootfs), "/usr/local/bin/python", "-c", _WORKS]
        if subprocess.run(check, check=False, capture_output=True).returncode == 0:
            return
        shutil.rmtree(rootfs)
    _make_rootfs(rootfs, f"{packages},{_DEBIAN_PYTHON}")
    (rootfs / "usr" / "local" / "bin" / "python").symlink_to("/usr/bin/python3")


def _cache_folder() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(cache) / "signicat-proxy"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextlib.contextmanager
def one_at_a_time(what: str) -> Iterator[None]:
    """Wait until no other run on this machine, of whichever checkout, does this."""
    with (_cache_folder() / f"{what}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def base_archive(more: str = "") -> Path:
    """Return the root file system of a stand-in, with `more` packages of Debian, as a tar file.

    It is made once, and kept in the user's cache.
    """
    prefix, version = _copied_python() or (None, "debian")
    packages = ",".join(filter(None, (_PACKAGES, more)))
    recipe = f"{_RECIPE} {_SUITE} {packages} {_DEBIAN_PYTHON} {prefix} {version}"
    key = hashlib.sha256(recipe.encode()).hexdigest()[:12]
    archive = _cache_folder() / f"base-image-{key}.tar"
    with one_at_a_time("base-image"):
        if not archive.exists():
            _archive(prefix, packages, archive)
    return archive


def _archive(prefix: Path | None, packages: str, archive: Path) -> None:
    with tempfile.TemporaryDirectory(dir=archive.parent) as scratch:
        rootfs, made = Path(scratch) / "rootfs", Path(scratch) / "made.tar"
        _make(rootfs, prefix, packages)
        _run("tar", "-C", str(rootfs), "-cf", str(made), ".")
        made.rename(archive)
