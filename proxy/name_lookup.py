"""Looking a host's name up, though a question to a name server may get lost (F8).

The system asks a name server again only after five seconds, unless told otherwise, and that is
all the time that a connection has. So a look-up that hesitates gets a second one beside it.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence

import aiohappyeyeballs

__all__ = ["Resolver", "look_up", "system_resolver"]

Resolver = Callable[[str, int], Awaitable[Sequence[aiohappyeyeballs.AddrInfoType]]]


async def system_resolver(host: str, port: int) -> Sequence[aiohappyeyeballs.AddrInfoType]:
    """Ask the system; the thread that waits for it cannot be stopped."""
    return await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)


async def look_up(
    resolver: Resolver, host: str, port: int, *, patience_seconds: float
) -> Sequence[aiohappyeyeballs.AddrInfoType]:
    """Return what `resolver` says first, asked once more when it has not answered in time.

    Raises `OSError` or `UnicodeError`, as it does; leaves no question open, however it ends.
    """
    async with asyncio.TaskGroup() as questions:
        asked = {questions.create_task(_ask(resolver, host, port), name="look-up")}
        done, _ = await asyncio.wait(asked, timeout=patience_seconds)
        if not done:
            asked.add(questions.create_task(_ask(resolver, host, port), name="look-up"))
            done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        for question in asked:
            question.cancel()
    outcome = done.pop().result()
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


async def _ask(
    resolver: Resolver, host: str, port: int
) -> Sequence[aiohappyeyeballs.AddrInfoType] | OSError | UnicodeError:
    """Return a failure as a value: a group of tasks would wrap what is raised."""
    try:
        return await resolver(host, port)
    except (OSError, UnicodeError) as error:
        return error
