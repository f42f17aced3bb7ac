"""Regular expressions in queries: they find what Python's find, in bounded work (K)."""

import re
from collections.abc import Callable

import pytest

from proxy.mock.dem_pattern import MOST_LETTERS, PatternError, new_pattern
from tests.mock.bench import Api

TEXTS = (
    "",
    "a",
    "b",
    "ab",
    "aab",
    "ba\n",
    "a\nb",
    "k.i",
    "kari",
    "a1 _",
    "]^-",
    "{}",
    "abcabc",
    "é",
)
PATTERNS = (
    *("", "a", "^k.*i$", ".", "a|b", "^(a|b)*$", "^(?:ab|c)+$", "a??b", "a*?b$", "^a{2}b", "b{1,}"),
    *("^a{,2}b", "(abc){2,3}", r"k\.i", r"\d\s\w", r"\D", r"[^a-z]", "[]^-]", r"[\]]", "{}", "a{x"),
    *("^$", "b$", "()", "(|a)b", "(a*)*b", "é", r"\n", "}", "(a?){3}b", "-"),
)
HOSTILE = (
    "(a+)+$",
    "(a|a)*$",
    "(a|aa)+$",
    "(.*)*$",
    "a?" * 60 + "a" * 60,
    "(" + "|" * 190 + "){450}b",
    ".*" * 50 + "$",
)
REFUSED = (
    *(
        "(",
        ")",
        "a)",
        "*",
        "a**",
        "^*a",
        "a${2}",
        "a*+",
        "(?=a)",
        "(?i)a",
        "(?P<x>a)",
        r"(a)\1",
        r"\b",
        "[",
        "[b-a]",
    ),
    *("a{3,2}", "\\", "a" * 201, "a{501}", "(a{30}){30}", "(" * 200, "((){99}){99}"),
    *("((a{0}){99}){99}", "a{" + "9" * 100 + "}", "(" * 25 + ")" + "{99})" * 24 + "{99}"),
)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_it_finds_what_the_library_finds(pattern: str) -> None:
    """The plain subset has the meaning that it has everywhere."""
    wanted = new_pattern(pattern)
    expected = [bool(re.search(pattern, text)) for text in TEXTS]
    assert [wanted.is_in(text) for text in TEXTS] == expected


@pytest.mark.parametrize("pattern", HOSTILE)
def test_hostile_patterns_take_bounded_work(pattern: str) -> None:
    """At most each state once for each letter: no text makes it go back."""
    wanted = new_pattern(pattern)
    looks = 0

    def counted(inner: Callable[[str, int], bool]) -> Callable[[str, int], bool]:
        def step(text: str, place: int) -> bool:
            nonlocal looks
            looks += 1
            return inner(text, place)

        return step

    for state in wanted.states:
        state.step = counted(state.step)
    wanted.is_in("a" * 40 + "!")
    assert looks <= len(wanted.states) * 42
    wanted.is_in("a" * 10 * MOST_LETTERS + "!")
    assert looks <= len(wanted.states) * (42 + MOST_LETTERS + 1)


@pytest.mark.parametrize("pattern", REFUSED)
def test_what_is_not_plain_is_refused(pattern: str) -> None:
    """What has no sense, what only an engine that goes back can do, and what is too long."""
    with pytest.raises(PatternError):
        new_pattern(pattern)


async def test_a_hostile_query_ends(api: Api) -> None:
    """The mock that is asked is there afterwards."""
    members = {"type": "LOG_IN", "metadata": {"h": "a" * 40 + "!"}, "coreData": {}, "ttl": 2}
    assert (await api.call("POST", "/dem/records", json=members))[0] == 201
    for pattern, amount in (("(a+)+$", 0), ("(a+)+!$", 1)):
        wanted = {"and": [{"field": "metadata.h", "operator": "regex", "value": pattern}]}
        status, found = await api.call("POST", "/dem/records/query", json=wanted)
        assert (status, found["page"]["totalElements"]) == (200, amount)
