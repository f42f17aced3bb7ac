"""The refresh task over time: renewal, back-off, clocks, rotation of the secret, what it tells."""

import itertools
from hashlib import sha256
from pathlib import Path

import pytest

from proxy.oauth.cache import TokenUnavailableError
from proxy.oauth.response import Failure
from tests.support.fake_clock import RefresherRig, settle

DOWN = Failure("connect_failed", detail="Connection refused")
REFUSED = Failure("invalid_client", is_permanent=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Provide a secret file."""
    path = tmp_path / "secret"
    path.write_text("s3cr3t-1\n")
    return path


def gaps(rig: RefresherRig) -> list[float]:
    """Return the seconds between the calls of the endpoint."""
    times = [time for _, time in rig.endpoint.asked]
    return [round(after - before, 6) for before, after in itertools.pairwise(times)]


def swap(path: Path, secret: str) -> None:
    """Change a secret as Kubernetes does: a symlink is replaced."""
    target = path.with_name(secret)
    target.write_text(secret)
    link = path.with_name("link")
    link.symlink_to(target)
    link.replace(path)


# --- renewal ---


@pytest.mark.parametrize("lifetime", [10, 60, 300, 600, 3600, 86400])
@pytest.mark.parametrize("draw", [0.0, 0.5, 0.999])
async def test_a_token_is_renewed_at_its_soft_point(lifetime: float, draw: float) -> None:
    """T2: renewal comes at 0.60 to 0.70 L without any traffic, again and again."""
    rig = RefresherRig(lifetime=lifetime)
    rig.draw = draw
    async with rig.running():
        soft = (0.6 + 0.1 * draw) * lifetime
        await rig.fake.advance(3 * soft + 0.01)
        assert gaps(rig) == pytest.approx([soft] * 3, abs=0.001)
        assert rig.value() == "s3cr3t-token-4"


@pytest.mark.parametrize("lifetime", [1, 5])
async def test_traffic_renews_a_short_lived_token(lifetime: float) -> None:
    """T2: a request past the soft point gets the current token and causes the renewal."""
    rig = RefresherRig(lifetime=lifetime)
    async with rig.running():
        for seconds, expected, calls in ((0.64, 1, 1), (0.02, 1, 2), (0.0, 2, 2)):
            await rig.fake.advance(seconds * lifetime)
            assert [rig.value(), rig.value()] == [f"s3cr3t-token-{expected}"] * 2
            await settle()
            assert rig.calls == calls


@pytest.mark.parametrize("lifetime", [1, 5])
async def test_an_idle_client_of_short_lived_tokens_asks_nothing(lifetime: float) -> None:
    """T2: without traffic nothing spins; the next request is served by one call, in state ready."""
    rig = RefresherRig(lifetime=lifetime)
    async with rig.running():
        await rig.fake.advance(3600)
        status = rig.refresher.snapshot()
        assert (rig.calls, status.state, status.next_attempt_seconds) == (1, "ready", None)
        assert (await rig.cache.wait()).value == "s3cr3t-token-2"
        assert rig.calls == 2


async def test_a_token_serves_until_its_hard_stop_while_renewal_fails() -> None:
    """T3, T5: an outage shows only at the hard stop; then come 503s, and then recovery."""
    rig = RefresherRig(wait_seconds=0)
    async with rig.running():
        rig.endpoint.failure = DOWN
        await rig.fake.advance(569)
        assert (rig.value(), rig.refresher.snapshot().state) == ("s3cr3t-token-1", "degraded")
        await rig.fake.advance(2)
        assert (rig.value(), rig.refresher.snapshot().state) == (None, "not_ready")
        with pytest.raises(TokenUnavailableError, match="connect_failed"):
            await rig.cache.wait()
        rig.endpoint.failure = None
        await rig.fake.advance(15)
        assert (rig.value(), rig.refresher.snapshot().state) == ("s3cr3t-token-2", "ready")
        assert rig.refresher.snapshot().consecutive_failures == 0


# --- back-off ---


@pytest.mark.parametrize(
    ("failure", "draw", "expected"),
    [
        (DOWN, 0.0, [0.25] * 8),
        (DOWN, 1.0, [1, 2, 4, 8, 15, 15, 15, 15]),
        (Failure("http_429", retry_after_seconds=7.0), 1.0, [14, 14, 14, 14, 15, 15, 15, 15]),
        (Failure("http_5xx", retry_after_seconds=9e9), 0.0, [300] * 8),
        (REFUSED, 0.0, [60, 120, 240, 300, 300, 300, 300, 300]),
        (REFUSED, 1.0, [48, 96, 192, 240, 240, 240, 240, 240]),
    ],
)
async def test_failures_back_off(failure: Failure, draw: float, expected: list[float]) -> None:
    """T5, T6: attempts go on for ever, at the pace that the kind of failure asks for."""
    rig = RefresherRig()
    rig.draw, rig.endpoint.failure = draw, failure
    async with rig.running():
        await rig.fake.advance(sum(expected) + 0.01)
        assert gaps(rig)[:8] == pytest.approx(expected)
        status = rig.refresher.snapshot()
        assert (status.state, status.last_error) == ("not_ready", failure.outcome)
        assert status.attempted
        assert status.consecutive_failures == rig.counted[failure.outcome] == rig.calls
    assert max(rig.fake.slept) <= 15


async def test_a_usable_token_leaves_more_time() -> None:
    """T5: while the token still works, back-off grows to 30 s."""
    rig = RefresherRig(lifetime=3600)
    rig.draw = 1.0
    async with rig.running():
        rig.endpoint.failure = DOWN
        await rig.fake.advance(2520 + 121)
        assert gaps(rig) == [2520, 1, 2, 4, 8, 16, 30, 30, 30]


@pytest.mark.parametrize("lifetime", [600, 620, 640, 650, 3600])
async def test_a_token_that_ends_during_back_off_shortens_it(lifetime: float) -> None:
    """T5: without a usable token the next attempt is at most 15 s away."""
    rig = RefresherRig(lifetime=lifetime)
    rig.draw = 0.999
    async with rig.running():
        rig.endpoint.failure = DOWN
        hard_stop = rig.fake.monotonic + lifetime - 30
        await rig.fake.advance(lifetime)
        assert rig.value() is None
        assert min(at for _, at in rig.endpoint.asked if at >= hard_stop) <= hard_stop + 15


async def test_another_kind_of_failure_ends_the_row_of_permanent_ones() -> None:
    """T6: only refusals in a row double the wait."""
    rig = RefresherRig()
    rig.draw, rig.endpoint.failure = 0.0, REFUSED
    async with rig.running():
        for seconds, failure in ((59, DOWN), (1, REFUSED), (60.25, REFUSED)):
            await rig.fake.advance(seconds)
            rig.endpoint.failure = failure
        assert gaps(rig) == [60, 0.25, 60]


@pytest.mark.parametrize("failure", [DOWN, REFUSED])
async def test_renew_is_heeded_at_once(failure: Failure) -> None:
    """T6: SIGHUP and the admin port end any back-off, and renew a token that is still good."""
    rig = RefresherRig()
    rig.endpoint.failure = failure
    async with rig.running():
        rig.endpoint.failure = None
        for number in (1, 2):
            rig.refresher.renew()
            await settle()
            assert rig.value() == f"s3cr3t-token-{number}"
    assert gaps(rig) == [0, 0]


# --- clocks ---


@pytest.mark.parametrize("lifetime", [60, 600])
@pytest.mark.parametrize("jump", [{"wall": 3601.0}, {"monotonic": 3601.0}])
@pytest.mark.parametrize("back", [0.0, -7200.0])
async def test_a_jump_of_one_clock_is_noticed(
    lifetime: float, jump: dict[str, float], back: float
) -> None:
    """T9: past expiry by either clock the token is dead at once, and replaced within 15 s."""
    rig = RefresherRig(lifetime=lifetime)
    async with rig.running():
        await rig.fake.advance(20)
        rig.fake.jump(**{"wall": back, "monotonic": back} | jump)
        assert rig.value() is None
        await rig.fake.advance(15)
        assert rig.value() == "s3cr3t-token-2"


# --- the secret ---


async def test_a_swapped_secret_is_used_within_five_seconds(path: Path) -> None:
    """T7: a changed file is noticed by its content and tried while the old token serves."""
    rig = RefresherRig(secret_file=path)
    async with rig.running():
        await rig.fake.advance(17)
        swap(path, "s3cr3t-2")
        rig.endpoint.gate.clear()
        await rig.fake.advance(5)
        assert [secret for secret, _ in rig.endpoint.asked] == ["s3cr3t-1", "s3cr3t-2"]
        assert rig.value() == "s3cr3t-token-1"
        rig.endpoint.gate.set()
        await settle()
        assert (rig.value(), rig.calls) == ("s3cr3t-token-2", 2)
        assert set(rig.refresher.secrets_in_use()) == {
            "s3cr3t-token-1",  # may still be on its way
            "s3cr3t-token-2",
            "s3cr3t-2",
        }


async def test_an_unreadable_secret_is_replaced_by_the_last_good_one(path: Path) -> None:
    """T7: a file that is gone for a while ends no service: what worked last is used."""
    rig = RefresherRig(secret_file=path)
    async with rig.running():
        path.unlink()  # noqa: ASYNC240 (a file of the test, in memory)
        await rig.fake.advance(480)
        assert [secret for secret, _ in rig.endpoint.asked] == ["s3cr3t-1", "s3cr3t-1"]
        assert (rig.value(), rig.refresher.snapshot().state) == ("s3cr3t-token-2", "ready")
        assert rig.refresher.snapshot().is_on_last_secret
        swap(path, "s3cr3t-1")
        await rig.fake.advance(480)
        assert not rig.refresher.snapshot().is_on_last_secret


async def test_a_refused_new_secret_leaves_the_old_one_in_use(path: Path) -> None:
    """T7: the last secret that worked is tried once, with warning and metric; a token is kept."""
    rig = RefresherRig(secret_file=path)
    rig.endpoint.refused = {"s3cr3t-2"}
    async with rig.running():
        swap(path, "s3cr3t-2")
        await rig.fake.advance(60)
        assert [secret for secret, _ in rig.endpoint.asked] == ["s3cr3t-1", "s3cr3t-2", "s3cr3t-1"]
        assert (rig.value(), rig.refresher.snapshot().state) == ("s3cr3t-token-2", "ready")
        assert set(rig.refresher.secrets_in_use()) >= {"s3cr3t-1", "s3cr3t-2"}
        assert rig.counted == {"ok": 2, "invalid_client": 1, "fallback of main": 1}
        assert rig.refresher.snapshot().is_on_last_secret
        (warning,) = rig.recorded.named("new_secret_refused")
        assert (warning["level"], warning["outcome"]) == ("warning", "invalid_client")
    assert "s3cr3t" not in rig.shown()


async def test_a_start_in_the_middle_of_a_rotation_serves(path: Path, tmp_path: Path) -> None:
    """T7: the previous secret brings the first token, with warning and metric, until the new does.

    Whether the new one works by now is asked at each renewal, and nobody has to touch a file.
    """
    previous = tmp_path / "previous"
    swap(previous, "s3cr3t-0")
    rig = RefresherRig(secret_file=path, previous_file=previous)
    rig.endpoint.refused = {"s3cr3t-1"}
    async with rig.running():
        assert [secret for secret, _ in rig.endpoint.asked] == ["s3cr3t-1", "s3cr3t-0"]
        assert (rig.value(), rig.refresher.snapshot().state) == ("s3cr3t-token-1", "ready")
        assert rig.refresher.snapshot().is_on_last_secret
        assert set(rig.refresher.secrets_in_use()) >= {"s3cr3t-0", "s3cr3t-1"}
        assert rig.counted == {"ok": 1, "invalid_client": 1, "fallback of main": 1}
        (warning,) = rig.recorded.named("new_secret_refused")
        assert (warning["level"], warning["outcome"]) == ("warning", "invalid_client")
        assert "SIGNICAT_PROXY_PREVIOUS_SECRET_FILE is tried" in warning["hint"]
        rig.endpoint.refused = set()
        await rig.fake.advance(391)
        assert [secret for secret, _ in rig.endpoint.asked[2:]] == ["s3cr3t-1"]
        assert not rig.refresher.snapshot().is_on_last_secret
    assert "s3cr3t" not in rig.shown()


async def test_a_previous_secret_that_cannot_be_read_is_told(path: Path, tmp_path: Path) -> None:
    """T6, T7: a missing reserve is a warning, and one that appears is used within 5 s."""
    previous = tmp_path / "previous"
    rig = RefresherRig(secret_file=path, previous_file=previous)
    rig.endpoint.refused = {"s3cr3t-1"}
    async with rig.running():
        assert (rig.calls, rig.refresher.snapshot().last_error) == (1, "invalid_client")
        (warning,) = rig.recorded.named("previous_secret_unusable")
        assert (warning["level"], warning["reason"]) == ("warning", "No such file or directory")
        await rig.fake.advance(20)
        assert rig.calls == 1
        swap(previous, "s3cr3t-0")
        await rig.fake.advance(5)
        assert (rig.value(), rig.calls) == ("s3cr3t-token-1", 3)


@pytest.mark.parametrize("failure", [DOWN, Failure("invalid_scope", is_permanent=True)])
async def test_the_previous_secret_causes_no_call_of_its_own(
    path: Path, tmp_path: Path, failure: Failure
) -> None:
    """T5, T6: where no secret was refused the back-off is as without it."""
    swap(tmp_path / "previous", "s3cr3t-0")
    rigs = [
        RefresherRig(secret_file=path, previous_file=previous)
        for previous in (None, tmp_path / "previous")
    ]
    for rig in rigs:
        rig.draw, rig.endpoint.failure = 1.0, failure
        async with rig.running():
            await rig.fake.advance(600)
    assert gaps(rigs[0]) == gaps(rigs[1]) != []


async def test_both_secrets_refused_is_a_permanent_failure(path: Path) -> None:
    """T6, T7: where the old secret fails as well the token serves on, in state degraded."""
    rig = RefresherRig(secret_file=path)
    async with rig.running():
        rig.endpoint.refused = {"s3cr3t-1", "s3cr3t-2"}
        swap(path, "s3cr3t-2")
        await rig.fake.advance(50)
        assert (rig.calls, rig.refresher.snapshot().state) == (3, "degraded")
        swap(path, "s3cr3t-3")
        await rig.fake.advance(5)
        assert (rig.value(), rig.refresher.snapshot().state) == ("s3cr3t-token-2", "ready")


async def test_an_unreadable_secret_is_tried_again(tmp_path: Path) -> None:
    """T6, T7: without a readable file nothing is asked; a file that appears is used within 5 s."""
    rig = RefresherRig(secret_file=tmp_path / "secret")
    async with rig.running():
        await rig.fake.advance(33)
        assert (rig.calls, rig.refresher.snapshot().last_error) == (0, "secret_unreadable")
        assert list(rig.refresher.secrets_in_use()) == []
        swap(tmp_path / "secret", "s3cr3t-1")
        await rig.fake.advance(5)
        assert (rig.value(), rig.calls) == ("s3cr3t-token-1", 1)


# --- what it tells ---


async def test_the_snapshot_tells_the_state() -> None:
    """A: before the first attempt, with a token, and after it, the numbers are the true ones."""
    rig = RefresherRig()
    before = rig.refresher.snapshot()
    assert (before.state, before.attempted, before.seconds_to_expiry) == ("not_ready", False, None)
    start = rig.fake.wall
    async with rig.running():
        await rig.fake.advance(100)
        status = rig.refresher.snapshot()
        assert (status.state, status.attempted, status.last_error) == ("ready", True, None)
        assert (status.seconds_to_expiry, status.next_attempt_seconds) == (500, 290)
        assert (status.token_expires_wall, status.last_success_wall) == (start + 600, start)
        assert status.fingerprint == sha256(b"s3cr3t-token-1").hexdigest()[:8]
        rig.fake.jump(wall=500)
        status = rig.refresher.snapshot()
        assert (status.seconds_to_expiry, status.next_attempt_seconds) == (None, 0)


@pytest.mark.parametrize(
    ("granted", "warnings"),
    [(None, 0), ("signicat-api", 0), ("a signicat-api b", 0), ("", 1), ("signicat", 1)],
)
async def test_a_missing_scope_is_warned_about_once(granted: str | None, warnings: int) -> None:
    """T8: a grant without the wanted scope is used all the same, with one warning for all."""
    rig = RefresherRig()
    rig.endpoint.granted_scope = granted
    async with rig.running():
        await rig.fake.advance(2000)
        assert rig.value() == "s3cr3t-token-6"
    assert len(rig.recorded.named("scope_not_granted")) == warnings


@pytest.mark.parametrize(
    ("failure", "facts"),
    [
        (None, {"level": "info", "outcome": "ok", "expires_in": 600}),
        (DOWN, {"level": "warning", "outcome": "connect_failed", "detail": "Connection refused"}),
        (REFUSED, {"level": "error", "outcome": "invalid_client", "trace_id": "trace-1"}),
    ],
)
async def test_no_secret_shows(failure: Failure | None, facts: dict[str, object]) -> None:
    """G7, L: every attempt is one event, which names cause and trace but no token or secret."""
    rig = RefresherRig()
    rig.endpoint.failure = failure
    async with rig.running():
        (event,) = rig.recorded.named("token_request")
        assert event.items() >= facts.items()
        assert "s3cr3t" not in rig.shown()
