"""The state machine of an exchange, as a table: what may follow what, and nothing else.

```text
          COLLECT                  SENT                HEAD
 WAITING ─────────► COLLECTING    WAITING ──► SENDING ──► RELAYING ──► DONE
    ▲ ◄───────────────  │            ▲           │                ENDED
    │     COLLECTED     │            └───────────┘
    └───────────────────┘            REFUSED, STALE
```

FAILED and LEFT end any phase; REPLIED ends WAITING, where the response is our own.
`tests/traffic/test_phases.py` walks every row over real sockets.
"""

from collections.abc import Mapping
from typing import Final

__all__ = [
    "COLLECT",
    "COLLECTED",
    "COLLECTING",
    "DONE",
    "ENDED",
    "FAILED",
    "HEAD",
    "LEFT",
    "REFUSED",
    "RELAYING",
    "REPLIED",
    "SENDING",
    "SENT",
    "STALE",
    "TRANSITIONS",
    "WAITING",
    "ImpossibleTransitionError",
    "next_phase",
]

WAITING: Final = 0
"""A token and a connection are needed; what is at hand is taken without a wait."""
COLLECTING: Final = 1
"""The body is to be had whole before anything is sent (F12)."""
SENDING: Final = 2
"""The request goes out or has gone; there is no response yet."""
RELAYING: Final = 3
"""The response has begun: from here on an end that is not the right one is a cut (F7)."""
DONE: Final = 4
"""Counted, logged, and nothing more can happen."""

COLLECT: Final = 0
"""The body is short enough to be kept whole, and comes first."""
COLLECTED: Final = 1
"""The caller has sent the whole body."""
SENT: Final = 2
"""Token and connection are there, and the head is written."""
REFUSED: Final = 3
"""The upstream says 401, and the request is sent once more (T10)."""
STALE: Final = 4
"""A pooled connection was closed before a byte of a response, and another is tried (F8)."""
HEAD: Final = 5
"""The head of the response that the caller gets."""
ENDED: Final = 6
"""The response is complete."""
REPLIED: Final = 7
"""The caller has a response of our own that is no error (P1)."""
FAILED: Final = 8
"""It ends with a reply of our own, or with a cut where the response has begun (F7)."""
LEFT: Final = 9
"""The caller is gone (F7)."""

TRANSITIONS: Final[Mapping[tuple[int, int], int]] = {
    (WAITING, COLLECT): COLLECTING,
    (COLLECTING, COLLECTED): WAITING,
    (WAITING, SENT): SENDING,
    (SENDING, REFUSED): WAITING,
    (SENDING, STALE): WAITING,
    (SENDING, HEAD): RELAYING,
    (RELAYING, ENDED): DONE,
    (WAITING, REPLIED): DONE,
    (WAITING, FAILED): DONE,
    (COLLECTING, FAILED): DONE,
    (SENDING, FAILED): DONE,
    (RELAYING, FAILED): DONE,
    (WAITING, LEFT): DONE,
    (COLLECTING, LEFT): DONE,
    (SENDING, LEFT): DONE,
    (RELAYING, LEFT): DONE,
}

_EVENTS: Final = LEFT + 1
# One list of small numbers: every request looks a few of them up.
_NEXT: Final = [
    TRANSITIONS.get((phase, event), -1) for phase in range(DONE + 1) for event in range(_EVENTS)
]


class ImpossibleTransitionError(Exception):
    """An exchange was told what cannot happen in its phase: a mistake in this package."""


def next_phase(phase: int, event: int) -> int:
    """Return the phase that `event` leads to; raise `ImpossibleTransitionError` if to none."""
    after = _NEXT[phase * _EVENTS + event]
    if after < 0:
        raise ImpossibleTransitionError(f"phase {phase}, event {event}")
    return after
