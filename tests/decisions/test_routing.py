"""Which route a path takes, and whose token goes with it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import AMBIGUOUS_PATH, ProxyError
from proxy.guard.paths import SegmentPrefixes, lenient_path
from proxy.guard.policy import Policy
from proxy.guard.routing import Route, Router

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


@pytest.mark.parametrize(
    "path",
    [
        *(b"//sign", b"/;/sign", b"/%73ign", b"/SIGN/x", b"/sign./x", b"/sign;v=1", b"/sign%20"),
        *(
            b"/sign//drafts",
            b"/sign/;/drafts",
            b"/sign/%64rafts/7",
            b"/sign/Drafts",
            b"/sign/drafts;",
        ),
        *("/\uff53ign".encode(), b"/%EF%BD%93ign", b"/%2525252525252573ign"),
    ],
)
def test_no_spelling_takes_the_route_of_another(path: bytes) -> None:
    """What the upstream may take for a path of another route gets neither route's token (G4)."""
    router = Router([EVERYTHING, SIGN, DRAFTS])
    with pytest.raises(ProxyError) as caught:
        router.match(path)
    assert caught.value.kind is AMBIGUOUS_PATH


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (b"/sign//x", SIGN),
        (b"/sign/X/%C3%85;v=1", SIGN),
        (b"/sign/drafts//7", DRAFTS),
        (b"//signature", EVERYTHING),
        (b"/%61/B./c", EVERYTHING),
        (b"/sign/drafts.pdf", SIGN),
    ],
)
def test_an_odd_spelling_of_the_same_route_passes(path: bytes, expected: Route) -> None:
    """What leads to the same route however it is read is nobody's business (F2)."""
    assert Router([EVERYTHING, SIGN, DRAFTS]).match(path) is expected


_ATOMS = [b"/", b"//", b";", b"%2e", b".", b"%64", b"D", b"d", b"rafts", b"drafts", b"%20",
          b"%25", b"%ff", b"x", b"7"]  # fmt: skip


@given(st.lists(st.sampled_from(_ATOMS), max_size=10).map(b"".join))
def test_whatever_passes_has_one_route_in_every_reading(tail: bytes) -> None:
    """Policy and router together let no path by that leads elsewhere when read leniently (G4)."""
    policy = Policy(
        upstream_url="https://up.test", token_urls=(), allowed_hosts=(), routes_restrict_paths=True
    )
    router = Router([EVERYTHING, SIGN, DRAFTS])
    path = b"/sign" + tail
    try:
        policy.check_path(path)
        route = router.match(path)
    except ProxyError:
        return
    assert router.match(lenient_path(path)) is route


def test_routes_that_differ_by_case_take_only_their_own_spelling() -> None:
    """Where a lenient reader could not tell them apart, nothing but plain small letters passes."""
    small, large = Route(b"/a", "small"), Route(b"/A", "large")
    router = Router([small, large])
    assert router.match(b"/a/b") is small
    with pytest.raises(ProxyError):
        router.match(b"/A/b")


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
