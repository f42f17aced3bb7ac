"""Bytes that are no UTF-8 but that lenient readers take for ASCII lead nowhere else (G4)."""

import pytest

from tests.support.messages import assert_problem, reply, request
from tests.support.running_proxy import proxied
from tests.support.token_server import TokenServer

pytestmark = pytest.mark.usefixtures("no_leaks")


def overlong(text: str, size: int) -> str:
    """Spell each ASCII character with more bytes than it needs (RFC 3629 §10), encoded."""
    start = {2: b"\xc0", 3: b"\xe0\x80", 4: b"\xf0\x80\x80"}[size]
    return "".join(
        "".join(f"%{byte:02x}" for byte in (*start[:-1], start[-1] | code >> 6, 0x80 | code & 0x3F))
        for code in text.encode("ascii")
    )


@pytest.mark.parametrize("size", [2, 3, 4])
@pytest.mark.parametrize("dots", [".", ".."])
async def test_dots_of_too_many_bytes_are_dots(tokens: TokenServer, dots: str, size: int) -> None:
    """A dot segment is refused in every overlong form (G4)."""
    async with proxied(tokens, reply()) as (proxy, upstream):
        answer = await proxy.ask(request(f"GET /a/{overlong(dots, size)}/b"))
        assert_problem(answer, 400, "ambiguous_path")
        assert upstream.connections == []


@pytest.mark.parametrize("size", [2, 3, 4])
async def test_letters_of_too_many_bytes_are_letters(tokens: TokenServer, size: int) -> None:
    """The token endpoint is out of reach by every overlong form (G4)."""
    async with proxied(tokens, reply()) as (proxy, upstream):
        answer = await proxy.ask(request(f"POST /auth/open/connect/{overlong('token', size)}"))
        assert_problem(answer, 403, "path_not_allowed")
        assert upstream.connections == []
