"""Waiting for events of asyncio, and no longer than is promised."""

import asyncio

__all__ = ["first_of"]


async def first_of(seconds: float, *events: asyncio.Event) -> None:
    """Wait until one of them is set, or for so long."""
    async with asyncio.TaskGroup() as waits:
        tasks = [waits.create_task(event.wait()) for event in events]
        await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
