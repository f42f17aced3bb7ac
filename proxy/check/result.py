"""What a check brings: one result is one line."""

from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["CHECKS", "Result", "State"]

State = Literal["ok", "warning", "failed", "skipped"]

CHECKS: Final = (
    "settings",
    "dns",
    "tcp",
    "egress_proxy",
    "tls",
    "secret",
    "clock",
    "token",
    "scope",
    "call",
    "port",
)
"""The id of every check, in the order in which they run; docs/troubleshoot.md explains each."""


@dataclass(frozen=True, slots=True)
class Result:
    """How one check of one target ended; `detail` says what was seen, `fix` what to do.

    A `failed` one is what keeps the proxy from working; after a `warning` it works.
    `skipped` does not apply, or could not be tried because another check failed.
    """

    check: str
    state: State
    target: str
    detail: str
    fix: str | None = None
    seconds: float = 0.0
