"""Which assertions must never be logged: those that are valid, and the one under way (G7, T12)."""

from proxy.oauth.sent_assertions import SentAssertions


def test_an_assertion_is_kept_for_as_long_as_it_is_valid() -> None:
    """Then it is worth nothing, but for the last: its request may take longer than it is valid."""
    now = [1_800_000_000.0]
    sent = SentAssertions(lambda: now[0])
    for number in range(3):
        sent.add(f"assertion-{number}")
        now[0] += 20
    assert list(sent) == ["assertion-1", "assertion-2"]
    now[0] += 600
    assert list(sent) == ["assertion-2"]
    sent.add("assertion-3")
    assert list(sent) == ["assertion-3"]


def test_what_an_operator_orders_without_end_is_bounded() -> None:
    """A minute's worth, one a second."""
    sent = SentAssertions(lambda: 0.0)
    for number in range(200):
        sent.add(f"assertion-{number}")
    assert list(sent) == [f"assertion-{number}" for number in range(140, 200)]
