"""Runs the certified `oidc-provider` under node as a token endpoint."""

import asyncio
import contextlib
import json
import os
import shutil
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Final

import pytest

from tests.support.waiting import START_SECONDS, within

__all__ = ["LIFETIME_SECONDS", "OIDC_CLIENTS", "oidc_server", "required_program"]

_FOLDER: Final = Path(__file__).parent.parent / "oidc"
_TOKEN_PATH: Final = "/auth/open/connect/token"
LIFETIME_SECONDS: Final = 3
OIDC_CLIENTS: Final = {
    "client_secret_basic": "dev-basic-1",
    "client_secret_post": "dev-post-1",
}


def _missing(reason: str) -> None:
    """Skip the test; in continuous integration nothing may be missing."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def required_program(name: str) -> str:
    """Return where a program is."""
    path = shutil.which(name)
    if path is None:
        _missing(f"{name} is not installed")
    assert path
    return path


async def _port(process: Process) -> int:
    assert process.stdout
    async for line in process.stdout:
        if line.startswith(b'{"port":'):
            return int(json.loads(line)["port"])
    raise AssertionError("the OAuth server ended before it listened")


@contextlib.asynccontextmanager
async def oidc_server(
    secret: str,
    *more: Mapping[str, object],
    tls: Mapping[str, str] | None = None,
    lifetime_seconds: int = LIFETIME_SECONDS,
) -> AsyncIterator[str]:
    """Run the server for both clients of `OIDC_CLIENTS`; yield the URL of its token endpoint.

    `more` are clients beside them, by OpenID Connect's names of their metadata. With `tls` (PEM:
    `cert`, `key`, and `ca` for clients) it speaks TLS and asks for certificates. Its tokens live
    for `lifetime_seconds`.
    """
    node = required_program("node")
    if not (_FOLDER / "node_modules" / "oidc-provider").is_dir():
        _missing("tests/oidc/node_modules is missing: `make test` installs it with npm")
    clients = [
        {
            "client_id": client_id,
            "client_secret": secret,
            "token_endpoint_auth_method": method,
        }
        for method, client_id in OIDC_CLIENTS.items()
    ]
    options = {
        "clients": [*clients, *more],
        "lifetimeSeconds": lifetime_seconds,
        "tls": tls,
        "tokenPath": _TOKEN_PATH,
    }
    process = await asyncio.create_subprocess_exec(
        node,
        "server.mjs",
        cwd=_FOLDER,
        env={"PATH": os.environ["PATH"], "OIDC_TEST": json.dumps(options)},
        stdout=PIPE,
        stderr=DEVNULL,
    )
    try:
        port = await within(_port(process), "the OAuth server", START_SECONDS)
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port}{_TOKEN_PATH}"
    finally:
        process.kill()
        await process.communicate()
