"""What pip and npm fetch for the bench: each into a folder of its own, once."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.failures import BenchError

__all__ = ["ROOT", "WORK", "environment", "kept", "node_modules", "output_of"]

ROOT = Path(__file__).parent.parent
WORK = ROOT / "bench" / "work"
"""Where everything is put that the bench makes; not in git."""


def output_of(*command: str | Path, environ: Mapping[str, str] | None = None) -> str:
    """Run a command and return what it printed; BenchError with its last line if it fails.

    `environ` is what it gets beside our own environment.
    """
    env = {**os.environ, **(environ or {})}
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True, env=env).stdout
    except OSError as error:
        raise BenchError(f"cannot start {command[0]}: {error.strerror}") from None
    except subprocess.CalledProcessError as error:
        words = (error.stderr.strip() or error.stdout.strip() or "no output").splitlines()[-1]
        raise BenchError(f"{Path(command[0]).name} failed: {words}") from None


def environment(python: Path, requirements: Path, folder: Path) -> Path:
    """Return the interpreter of an environment with these requirements, made if it is missing.

    Debian's interpreter has no pip to give away, so the bench's own one installs.
    """
    program = folder / "bin" / "python"
    wanted = f"{python.resolve()}\n{requirements.read_text(encoding='utf-8')}"
    with kept(folder, wanted, f"installing {requirements.name}") as missing:
        if missing is not None:
            output_of(python, "-m", "venv", "--without-pip", folder)
            pip = (sys.executable, "-m", "pip", "--python", program, "--disable-pip-version-check")
            output_of(*pip, "install", "--quiet", "-r", requirements)
    return program


def node_modules(manifest: Path, folder: Path) -> Path:
    """Return a folder in which the packages of the manifest can be imported."""
    wanted = manifest.read_text(encoding="utf-8")
    with kept(folder, wanted, f"installing {manifest.name}") as missing:
        if missing is not None:
            folder.mkdir(parents=True)
            shutil.copy(manifest, folder / "package.json")
            quiet = ("--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error")
            output_of("npm", "install", "--prefix", folder, *quiet)
    return folder


@contextmanager
def kept(folder: Path, wanted: str, text: str) -> Iterator[Path | None]:
    """Give out the folder where it has to be made, None where it holds what is wanted.

    It is made anew: what was left by an interrupted attempt is worth nothing.
    """
    stamp = folder / ".stamp"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        yield None
        return
    shutil.rmtree(folder, ignore_errors=True)
    print(text, file=sys.stderr, flush=True)
    yield folder
    stamp.write_text(wanted, encoding="utf-8")
