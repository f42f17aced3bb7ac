"""A resolver that answers names as the test prescribes."""

import asyncio
import socket
from collections.abc import Sequence

from proxy.net.resolver import Address

__all__ = ["ScriptedResolver", "address"]


def address(host: str = "127.0.0.1") -> Address:
    """Return what the system returns for an IPv4 address."""
    return (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, 0))


class ScriptedResolver:
    """Gives the answers in turn, then loopback; None hangs until `answer`.

    `asked` holds the names asked for, `hanging` the questions without an answer.
    """

    def __init__(self, *answers: Exception | Sequence[Address] | None) -> None:
        self.asked: list[str] = []
        self.hanging: list[asyncio.Future[Sequence[Address]]] = []
        self._answers = list(answers)

    def then(self, *answers: Exception | Sequence[Address] | None) -> None:
        """Prescribe what comes next."""
        self._answers += answers

    def __call__(self, host: str) -> "asyncio.Future[Sequence[Address]]":
        """Take one question."""
        self.asked.append(host)
        question: asyncio.Future[Sequence[Address]]
        question = asyncio.get_running_loop().create_future()
        self.hanging.append(question)
        answer = self._answers.pop(0) if self._answers else [address()]
        if answer is not None:
            self.answer(-1, answer)
        return question

    def answer(self, number: int, answer: Exception | Sequence[Address]) -> None:
        """Answer the question of that number among those that hang."""
        question = self.hanging.pop(number)
        if isinstance(answer, Exception):
            question.set_exception(answer)
        else:
            question.set_result(answer)
