"""What the mock says while it runs: one line at a time, and every line says MOCK."""

import sys

__all__ = ["say"]


def say(line: str) -> None:
    """Write one line to the standard error output."""
    sys.stderr.write(f"MOCK: {line}\n")
