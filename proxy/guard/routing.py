"""Which route a request takes, and so whose token it gets."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from proxy.errors import AMBIGUOUS_PATH, ProxyError
from proxy.guard.paths import SegmentPrefixes, UnreadablePathError, lenient_path

__all__ = ["NO_CLIENT", "UNROUTED", "Route", "Router"]

NO_CLIENT: Final = "none"
"""The client, in log and metrics, of requests that go out as none."""
UNROUTED: Final = "none"
"""The route, in metrics, of requests that reached none; paths of routes begin with a slash."""


@dataclass(frozen=True, slots=True)
class Route:
    """Requests under `path` go out with the token of `client`.

    `methods` are the only ones let through, `None` means all; `label` names
    the route in logs, metrics and spans.
    """

    path: bytes
    client: str
    methods: frozenset[bytes] | None = None
    label: str = "/"


class Router:
    """Finds the route of a path: the longest prefix on segment boundaries wins."""

    __slots__ = ("_catch_all", "_lenient", "_prefixes")

    def __init__(self, routes: Iterable[Route]) -> None:
        listed = tuple(routes)
        self._prefixes = SegmentPrefixes((route.path, route) for route in listed)
        # Of routes that a lenient reader cannot tell apart the first one counts here.
        lenient = {lenient_path(route.path): route for route in reversed(listed)}
        self._lenient = SegmentPrefixes(lenient.items())
        is_single = len(listed) == 1 and not listed[0].path.strip(b"/")
        self._catch_all = listed[0] if is_single else None

    @property
    def restricts_paths(self) -> bool:
        """Does the path decide anything; then encoded slashes are refused (G4)."""
        return self._catch_all is None

    def match(self, path: bytes) -> Route | None:
        """Return the route of `path` (as received, without the query), `None` for none.

        Raises `ProxyError` for a path that would take another route where the
        upstream joins slashes, decodes letters or knows no case: it would get
        there with the wrong client's token, or by a method that is not allowed.
        """
        if self._catch_all is not None:
            return self._catch_all
        route = self._prefixes.longest(path)
        if route is not None and not self._is_for(route, path):
            raise ProxyError(
                AMBIGUOUS_PATH,
                "Read with slashes joined, letters decoded and in lower case, this path is under "
                "another of the [[routes]]; write it as that route does.",
            )
        return route

    def _is_for(self, route: Route, path: bytes) -> bool:
        try:
            reading = lenient_path(path)
        except UnreadablePathError:
            return False
        return reading == path or self._lenient.longest(reading) is route
