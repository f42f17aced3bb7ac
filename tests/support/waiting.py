"""Waiting with an end: for what must come, saying in vain for what if it does not."""

import asyncio
import contextlib
import itertools
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Final, TypeVar

__all__ = [
    "PATIENCE_SECONDS",
    "START_SECONDS",
    "eventually",
    "patience",
    "stopwatch",
    "task_group",
    "within",
]

T = TypeVar("T")

PATIENCE_SECONDS: Final = 10.0
"""How long a test waits for what must come at once."""
START_SECONDS: Final = 60.0
"""How long it waits for a process that it starts: a busy machine takes its time for that."""
_TICK_SECONDS: Final = 0.02
_LONGEST_SECONDS: Final = 0.1
_PARTS: Final = 10


@contextlib.asynccontextmanager
async def patience(seconds: float) -> AsyncIterator[None]:
    """Raise `TimeoutError` after `seconds`, of which a stop of the process is a tenth at most.

    Where the machine stood still nobody else was late: what was due shows in the next turns.
    """
    loop = asyncio.get_running_loop()
    left = _PARTS
    part: asyncio.TimerHandle

    def part_is_over() -> None:
        nonlocal left, part
        left -= 1
        if left:
            part = loop.call_later(seconds / _PARTS, part_is_over)
        else:
            end.reschedule(loop.time())

    async with asyncio.timeout(None) as end:
        part = loop.call_later(seconds / _PARTS, part_is_over)
        try:
            yield
        finally:
            part.cancel()


async def within(awaitable: Awaitable[T], what: str, seconds: float = PATIENCE_SECONDS) -> T:
    """Return what `awaitable` brings; fail with `what` was waited for after `seconds`."""
    try:
        async with patience(seconds):
            return await awaitable
    except TimeoutError:
        raise AssertionError(f"waited {seconds:g} s in vain for {what}") from None


async def eventually(
    condition: Callable[[], bool], what: str, seconds: float = PATIENCE_SECONDS
) -> None:
    """Wait until `condition` holds; fail with `what` was waited for after `seconds`."""

    async def holds() -> None:
        for pause in itertools.repeat(0.002):
            if condition():
                return
            await asyncio.sleep(pause)

    await within(holds(), what, seconds)


@contextlib.contextmanager
def stopwatch() -> Iterator[Callable[[], float]]:
    """Measure how long something takes; yields what says the seconds so far.

    Where the machine stood still they stand still, but for a tenth of one: a stop is nothing that
    was measured. A thread looks at the clock, so what blocks the event loop counts, but for C code
    that lets no other thread run: measure that by `time.process_time`.
    """
    spent, before, is_over = 0.0, time.monotonic(), threading.Event()

    def run() -> None:
        nonlocal spent, before
        while not is_over.wait(_TICK_SECONDS):
            now = time.monotonic()
            spent += min(now - before, _LONGEST_SECONDS)
            before = now

    thread = threading.Thread(target=run, name="stopwatch")
    thread.start()
    try:
        yield lambda: spent
    finally:
        is_over.set()
        thread.join()


@contextlib.asynccontextmanager
async def task_group() -> AsyncIterator[asyncio.TaskGroup]:
    """Run a TaskGroup that lets the exception of its block through as it is.

    The block must end its tasks itself; theirs come as an ExceptionGroup.
    """
    tasks = asyncio.TaskGroup()
    await tasks.__aenter__()
    try:
        yield tasks
    finally:
        await tasks.__aexit__(None, None, None)
