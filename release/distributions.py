"""The packages for Python: sdist, the wheel for everywhere, and the compiled one for this platform.

Both wheels are built of the sdist, so whoever has that can build them too.
"""

import re
import shlex
import sys
import sysconfig
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from release.archives import repack_tar, repack_wheel
from release.programs import run_tool

__all__ = ["build_compiled_wheel", "build_sdist", "build_wheel", "unpack", "without_folders"]

# In all spellings, and the folder that stands in a word of its own behind some.
_FOLDER_OF_LIBRARIES: Final = re.compile(r"-L|-R|-rpath|-Wl,(--?rpath|-R|/)")


def _only(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def build_sdist(source: Path, work: Path, dist: Path, time: int) -> Path:
    """Build the sdist of the files in `source`; MANIFEST.in says what is in it."""
    options = ("--no-isolation", "--outdir", work / "sdist")
    run_tool("build", "--sdist", *options, source, folder=source, environ=_dated(time))
    made = _only(work / "sdist")
    return repack_tar(made, dist / made.name, time)


def unpack(sdist: Path, folder: Path) -> Path:
    """Unpack the sdist in `folder`; return the folder in there with its files."""
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    return _only(folder)


def build_wheel(source: Path, work: Path, dist: Path, time: int) -> Path:
    """Build the wheel that runs on every platform."""
    made = _built(source, work / "wheel", _dated(time))
    return repack_wheel(made, dist / made.name, time)


def build_compiled_wheel(source: Path, work: Path, dist: Path, time: int, python: Path) -> Path:
    """Build the wheel for this platform, with the request path compiled.

    `python` is that of the environment that holds the locked requirements. On Linux, auditwheel
    sees that nothing but the C library is needed, and names the oldest one that suffices.
    """
    environ = {**_dated(time), **_compiler(source), "COMPILE_FOR": str(python)}
    made = _built(source, work / "compiled", environ)
    if sys.platform == "linux":
        repaired = work / "repaired"
        words = ("repair", "--wheel-dir", repaired, made)
        run_tool("auditwheel", *words, folder=work, environ=_dated(time))
        made = _only(repaired)
    return repack_wheel(made, dist / made.name, time)


def _built(source: Path, folder: Path, environ: dict[str, str]) -> Path:
    options = ("--no-isolation", "--outdir", folder)
    run_tool("build", "--wheel", *options, source, folder=source, environ=environ)
    return _only(folder)


def _dated(time: int) -> dict[str, str]:
    return {"SOURCE_DATE_EPOCH": str(time), "PYTHONHASHSEED": "0", "TZ": "UTC"}


def _compiler(source: Path) -> dict[str, str]:
    """Return what keeps folders of this machine out of the machine code.

    Setuptools takes these in place of what Python was built with, so that stands before ours.
    """
    flags = str(sysconfig.get_config_var("CFLAGS") or "")
    linker = str(sysconfig.get_config_var("LDSHARED") or "")
    folders = {str(source): "source", sys.prefix: "tools", sys.base_prefix: "python"}
    mapped = (shlex.quote(f"-ffile-prefix-map={here}={name}") for here, name in folders.items())
    environ = {
        "CFLAGS": " ".join((flags, *mapped, "-g0")),
        "LDSHARED": " ".join(without_folders(linker)),
    }
    # No symbols of the linker's own, which name folders, and no id that is made of all the rest.
    return environ if sys.platform != "linux" else {**environ, "LDFLAGS": "-Wl,-s,--build-id=none"}


def without_folders(linker: str) -> Iterator[str]:
    """Yield the words of a linker's command, without those that say where to look for libraries."""
    return (word for word in linker.split() if _FOLDER_OF_LIBRARIES.match(word) is None)
