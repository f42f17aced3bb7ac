"""What a check brings: one result is one line."""

from dataclasses import dataclass
from typing import Final, Literal, get_args

__all__ = ["CHECKS", "CheckId", "Result", "State"]

State = Literal["ok", "warning", "failed", "skipped"]

CheckId = Literal[
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
    "certificate",
    "traces",
    "port",
]
CHECKS: Final[tuple[CheckId, ...]] = get_args(CheckId)
"""Every check, in the order in which they run; docs/troubleshoot.md explains each."""


@dataclass(frozen=True, slots=True)
class Result:
    """How one check of one target ended; `detail` says what was seen, `fix` what to do.

    A `failed` one is what keeps the proxy from working; after a `warning` it works.
    `skipped` does not apply, or could not be tried because another check failed.
    """

    check: CheckId
    state: State
    target: str
    detail: str
    fix: str | None = None
    seconds: float = 0.0
