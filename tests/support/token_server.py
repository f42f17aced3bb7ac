"""A token endpoint that counts: `token-1-of-the-test`, then `token-2-of-the-test`, and so on."""

import asyncio
import json
import socket
import ssl

from tests.support.messages import Message, reply
from tests.support.peers import ByteServer

__all__ = ["TokenServer", "bearer", "number_of"]

_PATH = "/connect/token"
_PREFIX, _SUFFIX = "token-", "-of-the-test"


class TokenServer(ByteServer):
    """Grants one more token to every request.

    `expires_in` is the lifetime granted, in seconds; `delay_seconds` is how long an
    answer takes. `failure` (a whole answer) is sent instead of a token while it
    is set; `failure_of_refused` is sent to whoever sends `refused_secret` in a
    form; `gate` holds answers back while it is cleared. `issued_at` holds
    the loop's time of each grant.
    """

    def __init__(
        self,
        *,
        expires_in: float = 600,
        tls: ssl.SSLContext | None = None,
        listener: socket.socket | None = None,
    ) -> None:
        super().__init__(self._grant, tls=tls, listener=listener)
        self.expires_in = expires_in
        self.failure: bytes | None = None
        self.refused_secret: bytes | None = None
        self.failure_of_refused = b""
        self.gate = asyncio.Event()
        self.gate.set()
        self.delay_seconds = 0.0
        self.issued: list[str] = []
        self.issued_at: list[float] = []

    @property
    def token_url(self) -> str:
        """The URL for TOKEN_URL."""
        return self.url + _PATH

    async def _grant(self, message: Message) -> bytes:
        assert (message.method, message.target) == ("POST", _PATH)
        await self.gate.wait()
        await asyncio.sleep(self.delay_seconds)
        if self.failure is not None:
            return self.failure
        if self.refused_secret is not None and self.refused_secret in message.body:
            return self.failure_of_refused
        token = f"{_PREFIX}{len(self.issued) + 1}{_SUFFIX}"
        self.issued.append(token)
        self.issued_at.append(asyncio.get_running_loop().time())
        granted = {"access_token": token, "expires_in": self.expires_in, "token_type": "Bearer"}
        body = json.dumps(granted).encode()
        return reply("200 OK", "Content-Type: application/json", body=body)


def number_of(message: Message) -> int:
    """Return the number of the token that a request to the upstream carries."""
    scheme, _, token = (message.head.value("Authorization") or "").partition(" ")
    assert scheme == "Bearer", f"no token in {message.head}"
    assert token.startswith(_PREFIX), f"foreign token in {message.head}"
    return int(token.removeprefix(_PREFIX).removesuffix(_SUFFIX))


def bearer(number: int) -> str:
    """Return the `Authorization` that carries the token with that number."""
    return f"Bearer {_PREFIX}{number}{_SUFFIX}"
