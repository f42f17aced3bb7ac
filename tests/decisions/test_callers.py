"""The set of open connections: counted, swept and drained (G6, C2, F7)."""

from proxy.forward.callers import Callers
from proxy.forward.patience import Patience, Periods

PERIODS = Periods(head_seconds=10, idle_seconds=75, connect_seconds=5, read_seconds=60)


class Connection:
    """A connection that notes what it is told."""

    def __init__(
        self, callers: Callers, *, is_running: bool = False, is_paused: bool = False
    ) -> None:
        self.patience = Patience(PERIODS, lambda: 0.0)
        self.patience.expect_idle()
        self.is_running = is_running
        self.is_reading_paused = is_paused
        self.told: list[str] = []
        self._callers = callers

    def deadline_passed(self) -> None:
        """End what lasted too long."""
        self.told.append("late")
        self._callers.remove(self)

    def look_for(self) -> None:
        """See whether the caller has left."""
        self.told.append("look")

    def drain(self) -> None:
        """End as soon as nothing is running."""
        self.told.append("drain")

    def abandon(self) -> None:
        """End with a word to the caller."""
        self.told.append("abandon")
        self._callers.remove(self)

    def abort(self) -> None:
        """End at once."""
        self.told.append("abort")
        self._callers.remove(self)


def test_one_too_many_is_told_so() -> None:
    """It is counted all the same, until it is gone (G6)."""
    callers = Callers(2)
    connections = [Connection(callers) for _ in range(3)]
    assert [callers.add(each) for each in connections] == [True, True, False]
    assert len(callers) == 3
    callers.remove(connections[0])
    callers.remove(connections[0])
    assert len(callers) == 2


def test_all_are_gone_before_the_first_and_after_the_last() -> None:
    """So a drain without callers is over at once (C2)."""
    callers = Callers(2)
    assert callers.all_gone.is_set()
    connection = Connection(callers)
    callers.add(connection)
    assert not callers.all_gone.is_set()
    callers.remove(connection)
    assert callers.all_gone.is_set()


def test_running_requests_are_counted() -> None:
    """One for each connection that has one."""
    callers = Callers(3)
    for is_running in (True, False, True):
        callers.add(Connection(callers, is_running=is_running))
    assert callers.in_flight() == 2


def test_a_sweep_ends_what_is_late_and_looks_for_who_is_not_read() -> None:
    """A connection that ends in the middle of a sweep disturbs it in nothing (F7)."""
    callers = Callers(4)
    late, paused, idle = (
        Connection(callers),
        Connection(callers, is_paused=True),
        Connection(callers),
    )
    for each in (late, paused, idle):
        callers.add(each)
    late.patience.hasten()
    callers.sweep(1.0)
    assert (late.told, paused.told, idle.told) == (["late"], ["look"], [])
    assert len(callers) == 2


def test_a_drain_reaches_who_comes_late() -> None:
    """A connection accepted in the turn in which the drain began does not outlast it (C2)."""
    callers = Callers(2)
    early, late = Connection(callers), Connection(callers)
    callers.add(early)
    callers.begin_drain()
    assert early.told == []  # within SHUTDOWN_DELAY_SECONDS everybody is served
    callers.end_idle()
    callers.add(late)
    assert (early.told, late.told) == (["drain"], ["drain"])
    callers.abandon()
    assert (early.told[-1], late.told[-1]) == ("abandon", "abandon")
    assert callers.all_gone.is_set()
