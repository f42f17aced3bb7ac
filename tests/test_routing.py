"""Which route a path takes, and whose token goes with it."""

from typing import Any

import pytest

from proxy.paths import SegmentPrefixes
from proxy.routing import Route, Router

AUTH = Route(b"/auth/rest", "auth", None, "/auth/rest")
SIGN = Route(b"/sign", "sign", frozenset((b"GET", b"POST")), "/sign")
DRAFTS = Route(b"/sign/drafts/", "drafts", None, "/sign/drafts/")
EVERYTHING = Route(b"/", "default", None, "/")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (b"/sign", SIGN),
        (b"/sign/", SIGN),
        (b"/sign/documents", SIGN),
        (b"/sign//x", SIGN),
        (b"/sign/drafts", DRAFTS),
        (b"/sign/drafts/", DRAFTS),
        (b"/sign/drafts/7/files", DRAFTS),
        (b"/sign/draftsmen", SIGN),
        (b"/auth/rest", AUTH),
        (b"/auth/rest/sessions/1", AUTH),
        (b"/auth", None),
        (b"/auth/", None),
        (b"/auth/restful", None),
        (b"/auth//rest", None),
        (b"/signature", None),
        (b"/sig", None),
        (b"/SIGN", None),
        (b"/%73ign", None),
        (b"//sign", None),
        (b"/sign;v=1", None),
        (b"/", None),
    ],
)
def test_longest_prefix_on_segment_boundaries_wins(path: bytes, expected: Route | None) -> None:
    """A prefix covers itself and what is below it, read as received; the longest one decides."""
    assert Router([AUTH, SIGN, DRAFTS]).match(path) is expected


def test_root_route_takes_what_no_other_does() -> None:
    """A route `/` beside others gets every path that is under none of them."""
    router = Router([SIGN, EVERYTHING])
    assert router.match(b"/sign/x") is SIGN
    assert router.match(b"/signature") is EVERYTHING
    assert router.match(b"/") is EVERYTHING


def test_single_root_route_takes_everything_and_restricts_nothing() -> None:
    """One route `/` matches any path; only other routes make paths decide anything."""
    router = Router([EVERYTHING])
    assert router.match(b"/whatever%2Fthere/is") is EVERYTHING
    assert not router.restricts_paths
    assert Router([SIGN]).restricts_paths
    assert Router([SIGN, EVERYTHING]).restricts_paths


def test_no_routes_match_nothing() -> None:
    """Without routes no path has one."""
    assert Router([]).match(b"/") is None


@pytest.mark.parametrize("paths", [[b"/a", b"/a"], [b"/a", b"/a/"], [b"a"], [b""]])
def test_repeated_or_relative_prefix_is_refused(paths: list[bytes]) -> None:
    """A prefix stands once and begins with a slash."""
    with pytest.raises(ValueError, match="repeated or without"):
        SegmentPrefixes((path, path) for path in paths)


def test_look_up_does_not_grow_with_routes_or_with_the_path() -> None:
    """Among many routes, a very long path is looked up no deeper than the routes are."""

    class CountingPath(bytes):
        """Counts how often it is taken apart."""

        pieces = 0

        def split(self, *args: Any) -> list[bytes]:
            parts = super().split(*args)
            self.pieces = len(parts)
            return parts

    router = Router([Route(b"/p%d/rest" % number, str(number)) for number in range(500)])
    path = CountingPath(b"/p499/rest" + b"/x" * 10_000)
    route = router.match(path)
    assert route is not None
    assert route.client == "499"
    assert path.pieces == 4
