"""The last refusals and failures, for whoever looks at the status page (A).

A bounded list in memory. Of a request it holds what the access log holds, and
less: neither path nor query nor host, since these can name persons.
"""

from collections.abc import Callable
from typing import Final, Literal, NamedTuple

__all__ = ["KEPT", "RecentError", "RecentErrorKind", "RecentErrors"]

RecentErrorKind = Literal["refused", "failed", "left", "token", "admin"]
KEPT: Final = 20
"""How many different ones are kept."""


class RecentError(NamedTuple):
    """Something that went wrong `times` times since `first`; `last` is the last time, Unix seconds.

    `code` is the outcome of a request, or of a token request (`kind` `token`),
    or `upstream_response`. `client` is None where no route was known, `status`
    where there was no response. `detail` is that of a response of the proxy
    itself, `caller` the name of a known caller. All but `request_id` come from
    closed sets, and `request_id` is of the last time.
    """

    kind: RecentErrorKind
    code: str
    client: str | None = None
    route: str | None = None
    method: str | None = None
    status: int | None = None
    detail: str | None = None
    caller: str | None = None
    request_id: str | None = None
    first: float = 0.0
    last: float = 0.0
    times: int = 1


class RecentErrors:
    """Owns the list. The same again only counts, so that a flood of one hides no other."""

    __slots__ = ("_kept", "_wall")

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._kept: dict[tuple[object, ...], RecentError] = {}  # the newest last

    def add(
        self,
        kind: RecentErrorKind,
        code: str,
        client: str | None = None,
        route: str | None = None,
        method: str | None = None,
        status: int | None = None,
        request_id: str | None = None,
        detail: str | None = None,
        caller: str | None = None,
    ) -> None:
        """Keep one more, now; where that is too many the oldest is forgotten."""
        key = (kind, code, client, route, method, status, detail, caller)
        now = self._wall()
        before = self._kept.pop(key, None)
        first, times = (now, 1) if before is None else (before.first, before.times + 1)
        self._kept[key] = RecentError(*key, request_id, first, now, times)
        if len(self._kept) > KEPT:
            del self._kept[next(iter(self._kept))]

    def newest_first(self) -> list[RecentError]:
        """Return what is kept."""
        return list(reversed(self._kept.values()))
