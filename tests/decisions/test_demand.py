"""Who wakes the refresher before an attempt is due, and which attempt is for whom (T2, T4, T6)."""

import asyncio
from collections.abc import Callable

import pytest

from proxy.oauth.demand import Demand
from tests.support.fake_clock import settle
from tests.support.waiting import within

# What happens, and who asks for a token after it: a request, an operator.
STORIES = {
    "nobody asks": [("begins", False, False), ("ended", False, False)],
    "a request is served by the next attempt": [
        ("want", True, False),
        ("begins", True, False),
        ("ended", False, False),
    ],
    "a request amid an attempt is served by it": [
        ("begins", False, False),
        ("want", True, False),
        ("want", True, False),
        ("ended", False, False),
    ],
    "an order is carried out by the next attempt": [
        ("order", False, True),
        ("begins", False, False),
        ("ended", False, False),
    ],
    "an order amid an attempt is for another": [
        ("begins", False, False),
        ("order", False, True),
        ("ended", False, True),
        ("begins", False, False),
    ],
    "both": [("want", True, False), ("order", True, True), ("begins", True, False)],
}


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
async def test_an_attempt_is_for_those_who_asked(story: list[tuple[str, bool, bool]]) -> None:
    """T4, T6: requests share the attempt that is under way; SIGHUP wants what is read after it."""
    demand = Demand()
    assert (demand.is_wanted, demand.is_ordered) == (False, False)
    steps = {
        "want": demand.want,
        "order": demand.order,
        "begins": demand.begin_attempt,
        "ended": demand.end_attempt,
    }
    for step, is_wanted, is_ordered in story:
        steps[step]()
        assert (demand.is_wanted, demand.is_ordered) == (is_wanted, is_ordered)


async def test_the_wait_ends_with_its_time() -> None:
    """T9: the clocks are looked at even where nobody asks for anything."""
    await within(Demand().wait(0.001), "the end of the time")


@pytest.mark.parametrize("ask", [Demand.want, Demand.order])
async def test_whoever_asks_ends_the_wait(ask: Callable[[Demand], None]) -> None:
    """T2, T6: at once, and only this wait: what was known before it does not end it."""
    demand = Demand()
    ask(demand)
    demand.begin_attempt()
    demand.end_attempt()
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(demand.wait(3600))
        await settle()
        assert not waiting.done()
        ask(demand)
        await within(waiting, "the end of the wait")


async def test_a_wish_wakes_once() -> None:
    """T5: whom a back-off keeps from an attempt wakes nobody again, however many requests come."""
    demand = Demand()
    demand.want()
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(demand.wait(3600))
        await settle()
        demand.want()
        await settle()
        assert not waiting.done()
        demand.order()
        await within(waiting, "the end of the wait")
