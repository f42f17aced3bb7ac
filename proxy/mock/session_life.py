"""The life of a session: which status follows which, and what moves it.

    CREATED ──► WAITING_FOR_USER ──► SUCCESS | ABORT | ERROR
       │               │
       └───────────────┴──► CANCELLED (by the application), EXPIRED (after its lifetime)

A redirect or embedded session is moved by the end user's browser, a headless one by the
clock. An `externalReference` of `mock-success`, `mock-abort`, `mock-error`, `mock-expired` or
`mock-cancelled` says what becomes of it, and ends any session after the first look at it.
What has ended stays so.
"""

from dataclasses import dataclass
from typing import Any, Final

from proxy.mock.session_body import NewSession
from proxy.mock.session_subject import PROVIDERS
from proxy.mock.state import Shelf

__all__ = ["HEADLESS_END_SECONDS", "HEADLESS_WAIT_SECONDS", "OUTCOMES", "SESSIONS", "Session"]

OUTCOMES: Final = {"success": "SUCCESS", "abort": "ABORT", "error": "ERROR"}
"""What an end user can make of a session; a magic reference can do so too."""
HEADLESS_WAIT_SECONDS: Final = 1
HEADLESS_END_SECONDS: Final = 3
"""When the end user of a headless session is asked, and has answered."""

_ENDINGS: Final = {**OUTCOMES, "expired": "EXPIRED", "cancelled": "CANCELLED"}
_MAGIC: Final = {f"mock-{word}": status for word, status in _ENDINGS.items()}
_ENDED: Final = frozenset(_ENDINGS.values())


@dataclass(slots=True)
class Session:
    """One session; its methods are the only ones that change it.

    `created` is an instant of the mock's monotonic clock. `fixed` are the
    members of its JSON that never change.
    """

    wanted: NewSession
    created: float
    fixed: dict[str, Any]
    status: str = "CREATED"
    provider: str = ""

    @property
    def has_ended(self) -> bool:
        """Say whether nothing can change it any more."""
        return self.status in _ENDED

    @property
    def providers(self) -> tuple[str, ...]:
        """Return the providers that the end user may choose from; never none."""
        return tuple(self.wanted.allowed_providers or PROVIDERS)

    def let_pass(self, now: float) -> None:
        """Make of it what has become of it by now, on the clock that `created` is of."""
        if self.has_ended:
            return
        age = now - self.created
        is_headless = self.wanted.flow == "headless"
        if is_headless and age >= HEADLESS_END_SECONDS:
            self.end(_MAGIC.get(self.wanted.external_reference or "", "SUCCESS"))
        elif age >= self.wanted.lifetime_seconds:
            self.end("EXPIRED")
        elif is_headless and age >= HEADLESS_WAIT_SECONDS:
            self.wait_for_user()

    def looked_at(self) -> None:
        """End it if its reference is magic: the application has seen it once."""
        outcome = _MAGIC.get(self.wanted.external_reference or "")
        if outcome is not None:
            self.end(outcome)

    def wait_for_user(self) -> None:
        """Note that the end user is at it."""
        if self.status == "CREATED":
            self.status = "WAITING_FOR_USER"

    def end(self, status: str, provider: str = "") -> None:
        """End it with that status, unless it has ended; `provider` is the end user's choice."""
        if self.has_ended:
            return
        self.status = status
        if status == "SUCCESS":
            self.provider = provider or self.providers[0]


SESSIONS: Final[Shelf[Session]] = Shelf("session")
