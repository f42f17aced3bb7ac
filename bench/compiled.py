"""The proxy compiled for one interpreter, as the image has it."""

import hashlib
import shutil
import sys
import tempfile
from pathlib import Path

from bench.failures import BenchError
from bench.install import ROOT, environment, kept, output_of

__all__ = ["compiled"]

SOURCES = ("LICENSE", "README.md", "proxy", "pyproject.toml", "setup.py")
HEADERS = "import sysconfig; print(sysconfig.get_path('include'))"


def compiled(python: Path, program: Path, work: Path) -> Path:
    """Return a folder to import `proxy` from, compiled if the sources have changed.

    `program` is the interpreter of an environment with the requirements, `python` the one
    that it was made of.
    """
    if not (Path(output_of(python, "-c", HEADERS).strip()) / "Python.h").exists():
        raise BenchError(f"{python} has no headers to compile with: apt-get install python3-dev")
    tools = environment(python, ROOT / "requirements/compile.txt", work / "compiler")
    digest = hashlib.sha256()
    for path in sorted(path for name in SOURCES for path in _files(ROOT / name)):
        digest.update(f"{path.name} {path.stat().st_size}\n".encode() + path.read_bytes())
    with kept(work / "compiled", f"{python.resolve()} {digest.hexdigest()}", "compiling") as folder:
        if folder is not None:
            _compile(folder / "site-packages", program, tools)
    return work / "compiled" / "site-packages"


def _files(path: Path) -> list[Path]:
    return (
        [each for each in path.rglob("*.*") if each.suffix != ".pyc"] if path.is_dir() else [path]
    )


def _compile(folder: Path, program: Path, tools: Path) -> None:
    """Build from a copy: what an earlier build left in the working tree is none of ours."""
    pip = (sys.executable, "-m", "pip", "--python", tools, "--disable-pip-version-check")
    options = ("--quiet", "--no-build-isolation", "--no-deps", "--target", folder)
    with tempfile.TemporaryDirectory() as source:
        for name in SOURCES:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, Path(source) / name)
        output_of(*pip, "install", *options, source, environ={"COMPILE_FOR": str(program)})
