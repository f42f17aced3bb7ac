"""What pip and npm fetch for the bench: each into a folder of its own, once."""

import shutil
import subprocess
import sys
from pathlib import Path

from bench.faults import BenchError

__all__ = ["environment", "node_modules", "output_of"]


def output_of(*command: str | Path) -> str:
    """Run a command and return what it printed; BenchError with its last line if it fails."""
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout
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
    if not _is_done(folder, wanted):
        _say(folder, f"installing {requirements.name}")
        output_of(python, "-m", "venv", "--without-pip", folder)
        pip = (sys.executable, "-m", "pip", "--python", program, "--disable-pip-version-check")
        output_of(*pip, "install", "--quiet", "-r", requirements)
        _done(folder, wanted)
    return program


def node_modules(manifest: Path, folder: Path) -> Path:
    """Return a folder in which the packages of the manifest can be imported."""
    wanted = manifest.read_text(encoding="utf-8")
    if not _is_done(folder, wanted):
        _say(folder, f"installing {manifest.name}")
        folder.mkdir(parents=True)
        shutil.copy(manifest, folder / "package.json")
        quiet = ("--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error")
        output_of("npm", "install", "--prefix", folder, *quiet)
        _done(folder, wanted)
    return folder


def _is_done(folder: Path, wanted: str) -> bool:
    stamp = folder / ".stamp"
    return stamp.exists() and stamp.read_text(encoding="utf-8") == wanted


def _done(folder: Path, wanted: str) -> None:
    (folder / ".stamp").write_text(wanted, encoding="utf-8")


def _say(folder: Path, text: str) -> None:
    """Begin anew: what an interrupted installation left is worth nothing."""
    shutil.rmtree(folder, ignore_errors=True)
    print(text, file=sys.stderr, flush=True)
