"""Which route a request takes, and so whose token it gets."""

from collections.abc import Iterable
from dataclasses import dataclass

from proxy.paths import SegmentPrefixes

__all__ = ["Route", "Router"]


@dataclass(frozen=True, slots=True)
class Route:
    """Requests under `path` go out with the token of `client`.

    `methods` are the only ones let through, `None` means all; `label` names
    the route in logs.
    """

    path: bytes
    client: str
    methods: frozenset[bytes] | None = None
    label: str = "/"


class Router:
    """Finds the route of a path: the longest prefix on segment boundaries wins."""

    __slots__ = ("_catch_all", "_prefixes")

    def __init__(self, routes: Iterable[Route]) -> None:
        listed = tuple(routes)
        self._prefixes = SegmentPrefixes((route.path, route) for route in listed)
        is_single = len(listed) == 1 and not listed[0].path.strip(b"/")
        self._catch_all = listed[0] if is_single else None

    @property
    def restricts_paths(self) -> bool:
        """Does the path decide anything; then encoded slashes are refused (G4)."""
        return self._catch_all is None

    def match(self, path: bytes) -> Route | None:
        """Return the route of `path` (as received, without the query), `None` for none."""
        return self._catch_all or self._prefixes.longest(path)
