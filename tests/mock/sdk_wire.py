"""Requests as the official .NET SDK writes them, byte for byte (signicat-net 1.15.0).

Headers in its order, an empty piece of the query where it has one, the account
at the end; a body is sent as it is given.
"""

import json
from typing import Any, Final

from tests.mock.bench import Api
from tests.mock.sdk_reading import Check, misread
from tests.support.messages import Message
from tests.support.peers import Channel

__all__ = ["ACCOUNT", "JSON_TYPE", "ORGANIZATION", "sdk_asks", "sdk_reads"]

ACCOUNT: Final = "a-spge-0a1b2c3d4e5f6a7b8c9d"
ORGANIZATION: Final = "o-s-0a1b2c3d4e5f6a7b8c9d"
JSON_TYPE: Final = "application/json; charset=utf-8"


async def sdk_asks(
    api: Api,
    method: str,
    target: str,
    *,
    body: bytes | None = None,
    media_type: str = JSON_TYPE,
    organization: str = "",
    is_signed_in: bool = True,
) -> Message:
    """Send one request of the SDK; return what came back.

    `target` ends where the SDK adds its own parameters.
    """
    host = api.running.url.removeprefix("http://")
    own = []
    lines = [f"Host: {host}", "Signicat-SDK: dotnet 1.15.0"]
    lines.append("User-Agent: Signicat-SDK dotnet 1.15.0")
    if organization:
        lines.append(f"Signicat-OrganizationId: {organization}")
    if is_signed_in:
        lines.append(f"Authorization: {api.headers['Authorization']}")
        own.append(f"signicat-accountId={ACCOUNT}")
        own += [f"signicat-organizationId={organization}"] if organization else []
    if body is not None:
        lines += [f"Content-Type: {media_type}", f"Content-Length: {len(body)}"]
    whole = target + ("&" if "?" in target else "?") * bool(own) + "&".join(own)
    head = "\r\n".join([f"{method} {whole} HTTP/1.1", *lines, "", ""])
    name, _, port = host.partition(":")
    channel = await Channel.connect(name, int(port))
    try:
        return await channel.ask(head.encode("ascii") + (body or b""))
    finally:
        channel.close()


async def sdk_reads(
    api: Api, check: Check, method: str, target: str, body: str | None = None
) -> Any:
    """Send one request that succeeds, and has no member unknown; return what the SDK can read."""
    message = await sdk_asks(api, method, target, body=None if body is None else body.encode())
    assert 200 <= message.status < 300, message.body
    assert message.head.value("X-Mock-Unknown") is None
    content = json.loads(message.body)
    assert not misread(content, check)
    return content
