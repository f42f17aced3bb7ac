"""Which secret is tried, which one takes over, and which must never be logged (T6, T7, G7)."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.oauth.response import Failure
from proxy.oauth.rotation import SecretRotation
from proxy.oauth.secret import SecretSource

REFUSED = Failure("invalid_client", is_permanent=True)
DOWN = Failure("connect_failed")

MISSING = None
"""Stands for a file that is not there."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Provide a place for the secret file."""
    return tmp_path / "secret"


@pytest.fixture
def rotation(path: Path) -> SecretRotation:
    """Provide the secrets of a client whose secret stands in `path`."""
    return SecretRotation(SecretSource(path=path))


def put(path: Path, content: str | None) -> None:
    """Make the file hold `content`, or be gone."""
    if content is MISSING:
        path.unlink(missing_ok=True)
    else:
        path.write_text(content)


@pytest.fixture
def previous(tmp_path: Path) -> Path:
    """Provide a place for the previous secret's file."""
    return tmp_path / "previous"


@pytest.fixture
def with_previous(path: Path, previous: Path) -> SecretRotation:
    """Provide the secrets of a client that has a previous one too."""
    return SecretRotation(SecretSource(path=path), SecretSource(path=previous))


def attempt(rotation: SecretRotation, accepted: str, failure: Failure) -> tuple[str, ...]:
    """Make one attempt as the refresher does; return the secrets it was made with."""
    secret = rotation.read()
    tried = () if isinstance(secret, Failure) else (str(secret),)
    if secret in accepted.split():
        rotation.worked(str(secret))
        return tried
    fallback = rotation.fallback(secret if isinstance(secret, Failure) else failure)
    if fallback is None:
        return tried
    if fallback in accepted.split():
        rotation.worked(fallback)
    return (*tried, str(fallback))


# What the file holds, the secrets that are accepted: those it is asked with, and whether the
# last token came by another secret than the configured one.
STORIES = {
    "nothing changes": [("a", "a", ("a",), False), ("a", "a", ("a",), False)],
    "a rotation": [("a", "a b", ("a",), False), ("b", "a b", ("b",), False)],
    "the first secret is wrong": [("x", "a", ("x",), False), ("a", "a", ("a",), False)],
    "the new secret is wrong": [
        ("a", "a", ("a",), False),
        ("x", "a", ("x", "a"), True),
        ("x", "a", ("x", "a"), True),  # at every attempt: it may become valid later
        ("x", "a x", ("x",), False),
    ],
    "the new secret is wrong and taken back": [
        ("a", "a", ("a",), False),
        ("x", "a", ("x", "a"), True),
        ("a", "a", ("a",), False),
    ],
    "the old secret is revoked as well": [
        ("a", "a", ("a",), False),
        ("x", "", ("x", "a"), False),
        ("b", "b", ("b",), False),
        ("x", "b", ("x", "b"), True),
    ],
    "the only secret is revoked": [("a", "a", ("a",), False), ("a", "", ("a",), False)],
    "the file is missing at first": [(MISSING, "a", (), False), ("a", "a", ("a",), False)],
    "the file goes and comes back": [
        ("a", "a", ("a",), False),
        (MISSING, "a", ("a",), True),
        ("a", "a", ("a",), False),
    ],
    "the file is emptied": [("a", "a", ("a",), False), ("", "a", ("a",), True)],
    "the file goes after a wrong secret": [
        ("a", "a", ("a",), False),
        ("x", "a", ("x", "a"), True),
        (MISSING, "a", ("a",), True),
    ],
}


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
def test_the_last_good_secret_takes_over(
    rotation: SecretRotation, path: Path, story: list[tuple[str | None, str, tuple[str, ...], bool]]
) -> None:
    """T7: the configured secret is tried first, and the last good one once after a refusal."""
    for content, accepted, asked, is_on_fallback in story:
        put(path, content)
        assert attempt(rotation, accepted, REFUSED) == asked
        assert rotation.is_on_fallback is is_on_fallback


# What the file holds, what the previous one's holds, the secrets that are accepted: as above.
STARTS = {
    "outside a rotation": [("b", "a", "a b", ("b",), False), ("b", "a", "b", ("b",), False)],
    "the new secret is wrong": [
        ("x", "a", "a", ("x", "a"), True),
        ("x", "a", "a", ("x", "a"), True),
        ("b", "a", "a b", ("b",), False),
    ],
    "the new secret is not valid yet": [
        ("b", "a", "a", ("b", "a"), True),
        ("b", "a", "a b", ("b",), False),
        ("b", "a", "b", ("b",), False),
    ],
    "the previous one is needed no more": [
        ("b", "a", "b", ("b",), False),
        ("x", "a", "a b", ("x", "b"), True),  # what worked here is better than what did elsewhere
        ("x", "a", "a", ("x", "b"), True),
    ],
    "the file of the previous one goes once it has worked": [
        ("x", "a", "a", ("x", "a"), True),
        ("x", MISSING, "a", ("x", "a"), True),
    ],
    "the previous one is wrong too": [
        ("x", "y", "a", ("x", "y"), False),
        ("x", "a", "a", ("x", "a"), True),
    ],
    "both files hold the same": [("a", "a", "", ("a",), False), ("a", "a\n", "a", ("a",), False)],
    "the previous one is missing": [
        ("x", MISSING, "a", ("x",), False),
        ("x", "a", "a", ("x", "a"), True),
    ],
    "the configured one is missing": [
        (MISSING, "a", "a", ("a",), True),
        ("b", "a", "a b", ("b",), False),
    ],
    "both are missing": [(MISSING, MISSING, "a", (), False), ("a", MISSING, "a", ("a",), False)],
    "both are wrong, and then revoked": [
        ("x", "a", "a", ("x", "a"), True),
        ("x", "a", "", ("x", "a"), True),
    ],
}


@pytest.mark.parametrize("story", STARTS.values(), ids=STARTS.keys())
def test_the_previous_secret_serves_a_start_in_the_middle_of_a_rotation(
    with_previous: SecretRotation,
    path: Path,
    previous: Path,
    story: list[tuple[str | None, str | None, str, tuple[str, ...], bool]],
) -> None:
    """T7: it is asked with where the configured one is refused and none has worked before."""
    for content, before, accepted, asked, is_on_fallback in story:
        put(path, content)
        put(previous, before)
        assert attempt(with_previous, accepted, REFUSED) == asked
        assert with_previous.is_on_fallback is is_on_fallback


def test_the_previous_secret_stands_behind_one_of_the_settings_too(previous: Path) -> None:
    """T7: a value changes by a restart, which is when the previous one is needed."""
    rotation = SecretRotation(SecretSource(value="b"), SecretSource(path=previous))
    put(previous, "a")
    assert rotation.may_change
    assert attempt(rotation, "a", REFUSED) == ("b", "a")
    assert (rotation.is_on_fallback, rotation.may_change, rotation.has_new()) == (
        True,
        False,
        False,
    )


@pytest.mark.parametrize("failure", [DOWN, Failure("invalid_scope", is_permanent=True)])
def test_what_says_nothing_of_the_secret_calls_for_no_other(
    with_previous: SecretRotation, path: Path, previous: Path, failure: Failure
) -> None:
    """T7: no second call for an outage, or for a scope that this client may not have."""
    put(path, "b")
    put(previous, "a")
    assert attempt(with_previous, "", failure) == ("b",)
    assert not with_previous.has_new()  # no call before its time either (T5)


def test_why_the_previous_secret_cannot_be_used_is_told(
    with_previous: SecretRotation, path: Path, previous: Path
) -> None:
    """T7: only where it was needed, and only until it was not."""
    put(path, "b")
    assert attempt(with_previous, "b", REFUSED) == ("b",)
    assert with_previous.previous_error is None
    fresh = SecretRotation(SecretSource(path=path), SecretSource(path=previous))
    attempt(fresh, "", REFUSED)
    assert fresh.previous_error == "No such file or directory"
    put(previous, "a")
    attempt(fresh, "a", REFUSED)
    assert fresh.previous_error is None


# What the two files held at the last attempt, what they hold now: is that worth one at once?
NEW_BESIDE = [
    (("x", "y"), ("x", "y"), False),
    (("x", "y"), ("x", "a"), True),
    (("x", "y"), ("b", "y"), True),
    (("x", MISSING), ("x", MISSING), False),
    (("x", MISSING), ("x", "a"), True),
    (("x", "y"), ("x", MISSING), False),
    ((MISSING, MISSING), (MISSING, "a"), True),
    (("a", "y"), ("a", "z"), False),  # one has worked: the previous one is needed no more
    (("x", "a"), ("x", "z"), False),  # itself has worked
    (("x", "x"), ("x", "x"), False),
    (("x", "x"), ("x", "a"), True),
]


@pytest.mark.parametrize(("before", "now", "is_new"), NEW_BESIDE)
def test_a_new_previous_secret_is_tried_at_once(
    with_previous: SecretRotation,
    path: Path,
    previous: Path,
    before: tuple[str | None, str | None],
    now: tuple[str | None, str | None],
    *,
    is_new: bool,
) -> None:
    """T6, T7: whoever finds the old secret again need not wait for the back-off."""
    for file, content in zip((path, previous), before, strict=True):
        put(file, content)
    attempt(with_previous, "a b", REFUSED)
    for file, content in zip((path, previous), now, strict=True):
        put(file, content)
    assert with_previous.has_new() is is_new


CONTENTS = st.sampled_from(["a", "b", "x", MISSING])


@given(
    steps=st.lists(
        st.tuples(CONTENTS, CONTENTS, st.sets(st.sampled_from("abx")), st.booleans()), max_size=8
    )
)
def test_no_story_asks_too_often_or_forgets_what_works(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[str | None, str | None, set[str], bool]],
) -> None:
    """T7: at most two secrets, the configured one first; then the last good one, if there is."""
    folder = tmp_path_factory.mktemp("secrets")
    path, previous = folder / "secret", folder / "previous"
    rotation = SecretRotation(SecretSource(path=path), SecretSource(path=previous))
    good: str | None = None
    for content, before, accepted, is_down in steps:
        put(path, content)
        put(previous, before)
        asked = attempt(rotation, " ".join(accepted), DOWN if is_down else REFUSED)
        reserve = before if good is None else good
        expected = [content] if content is not MISSING else []
        is_refused = content is MISSING or not (content in accepted or is_down)
        if is_refused and reserve is not None and reserve != content:
            expected.append(reserve)
        assert list(asked) == expected
        got = next((secret for secret in asked if secret in accepted), None)
        good = good if got is None else got
        assert got is None or rotation.is_on_fallback is (got != content)
        assert set(rotation.in_use()) >= {*asked, *({good} if good else ())}
        # Nothing has changed, so nothing is worth an attempt before its time (T5).
        assert not rotation.has_new()


def test_a_failure_that_may_pass_has_no_fallback(rotation: SecretRotation, path: Path) -> None:
    """T7: where the network failed nobody has refused the secret, and no other is tried."""
    put(path, "a")
    assert attempt(rotation, "a", DOWN) == ("a",)
    put(path, "b")
    assert attempt(rotation, "a", DOWN) == ("b",)
    assert not rotation.is_on_fallback


@pytest.mark.parametrize("has_worked", [False, True])
def test_an_unreadable_secret_counts_as_refused_once_one_has_worked(
    rotation: SecretRotation, path: Path, *, has_worked: bool
) -> None:
    """T6, T7: before that it is a failure that may pass, and is looked at again within seconds."""
    if has_worked:
        put(path, "a")
        attempt(rotation, "a", REFUSED)
    put(path, MISSING)
    failure = Failure("secret_unreadable", has_worked, "No such file or directory")
    assert rotation.read() == failure
    assert rotation.fallback(failure) == ("a" if has_worked else None)


# What the file held at the last attempts, what it holds now: is that worth an attempt at once?
NEW = [
    (["a"], "a", False),
    (["a"], "b", True),
    (["a"], "a\n", False),
    (["a"], MISSING, False),
    (["a"], "", False),
    (["a", "x"], "x", False),  # the same refused one again
    (["a", "x"], "a", True),
    (["a", MISSING], "a", True),  # the proxy is on its fallback until this one is tried
    (["a", MISSING], MISSING, False),
    (["a", MISSING, "a"], "a", False),
    (["a", MISSING], "b", True),
    ([MISSING], MISSING, False),
    ([MISSING], "a", True),
]


@pytest.mark.parametrize(("before", "content", "is_new"), NEW)
def test_only_another_secret_is_new(
    rotation: SecretRotation,
    path: Path,
    before: list[str | None],
    content: str | None,
    *,
    is_new: bool,
) -> None:
    """T6, T7: the content decides; a file that cannot be read right now is no new secret."""
    for earlier in before:
        put(path, earlier)
        attempt(rotation, "a b", REFUSED)
    put(path, content)
    assert rotation.may_change
    assert rotation.has_new() is is_new


def test_a_secret_of_the_settings_is_never_new() -> None:
    """T7: a value cannot change while the process runs, and has no other one to fall back on."""
    rotation = SecretRotation(SecretSource(value="a"))
    assert (rotation.may_change, rotation.has_new()) == (False, False)
    for accepted in ("a", ""):
        assert attempt(rotation, accepted, REFUSED) == ("a",)
        assert not rotation.is_on_fallback


def test_every_secret_is_guarded_as_long_as_it_may_be_sent(
    rotation: SecretRotation, path: Path
) -> None:
    """G7: from the moment it is read, so while the request runs, until another one has worked."""
    assert list(rotation.in_use()) == []
    for content, answer, in_use in (
        ("s3cr3t-1", None, {"s3cr3t-1"}),
        ("s3cr3t-1", "worked", {"s3cr3t-1"}),
        ("s3cr3t-x", None, {"s3cr3t-1", "s3cr3t-x"}),
        (MISSING, None, {"s3cr3t-1", "s3cr3t-x"}),
        ("s3cr3t-2", None, {"s3cr3t-1", "s3cr3t-2"}),
        ("s3cr3t-2", "worked", {"s3cr3t-2"}),
    ):
        put(path, content)
        secret = rotation.read()
        if answer is not None:
            rotation.worked(str(secret))
        assert set(rotation.in_use()) == in_use
    assert "s3cr3t" not in repr(rotation)
