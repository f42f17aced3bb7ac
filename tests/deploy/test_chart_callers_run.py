"""The settings that the chart writes for callers and TLS, run by the proxy itself."""

import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
import trustme

from proxy.mock import MockClient, serve_mock
from proxy.mock.command import new_mock
from tests.deploy.chart import GATEWAY_VALUES, merged, only, render
from tests.support.proxy_process import proxy_process
from tests.support.running_proxy import CLIENT_SECRET

KEY: Final = "a-key-that-is-long-enough-for-the-proxy"
CALLER: Final = "billing.example.com"
SERVICE: Final = "demo-signicat-proxy.prod"
TLS: Final = {"secretName": "gateway-tls"}
KEYED: Final = {"shop": {"keySecretName": "shop-key", "clients": ["sign"]}}
SHOWN: Final = {"billing": {"certificate": [CALLER], "clients": ["sign"]}}


def put(folder: Path, files: dict[str, bytes]) -> None:
    """Write what the pod mounts."""
    for name, content in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


@contextlib.asynccontextmanager
async def gateway(
    folder: Path, values: dict[str, Any], authority: trustme.CA
) -> AsyncIterator[int]:
    """Run a proxy with the file that the chart makes of values; yield its traffic port."""
    server = authority.issue_cert(SERVICE)
    put(
        folder,
        {
            "run/secrets/auth/client-secret": CLIENT_SECRET.encode(),
            "run/secrets/sign/client-secret": CLIENT_SECRET.encode(),
            "etc/signicat-proxy-callers/shop/key": KEY.encode(),
            "etc/signicat-proxy-tls/tls.crt": server.cert_chain_pems[0].bytes(),
            "etc/signicat-proxy-tls/tls.key": server.private_key_pem.bytes(),
            "etc/signicat-proxy-client-ca/ca.crt": authority.cert_pem.bytes(),
        },
    )
    manifests = render(merged(GATEWAY_VALUES, values))
    text = only(manifests, "ConfigMap")["data"]["config.toml"]
    for root in ("/run/secrets/", "/etc/signicat-proxy-"):
        text = text.replace(f'"{root}', f'"{folder}{root}')
    put(folder, {"config.toml": text.encode()})
    clients = [client["clientId"] for client in GATEWAY_VALUES["clients"].values()]
    mock = new_mock([MockClient(client, [CLIENT_SECRET]) for client in clients])
    async with serve_mock(mock, "127.0.0.1", 0) as upstream:
        given = {
            "CONFIG_FILE": str(folder / "config.toml"),
            "LISTEN": "127.0.0.1:0",
            "ADMIN_LISTEN": "127.0.0.1:0",
            "UPSTREAM_URL": upstream.url,
            "TOKEN_URL": f"{upstream.url}/auth/open/connect/token",
        }
        environ = {f"SIGNICAT_PROXY_{name}": value for name, value in given.items()}
        async with proxy_process(environ, "run", directory=folder) as process:
            port, _ = await process.ports()
            yield port


async def status(url: str, key: str = "", context: ssl.SSLContext | None = None) -> tuple[int, str]:
    """Return the status of a call, and the code where the proxy itself refuses it."""
    headers = {"Host": SERVICE} | ({"Authorization": f"Bearer {key}"} if key else {})
    tls: dict[str, Any] = {"ssl": context, "server_hostname": SERVICE} if context else {}
    async with (
        aiohttp.ClientSession() as session,
        session.get(url, headers=headers, **tls) as response,
    ):
        body = await response.json()
    is_ours = "Proxy-Status" in response.headers
    return response.status, body["code"] if is_ours else ""


async def test_a_key_of_a_secret_opens_the_routes_of_its_clients(tmp_path: Path) -> None:
    """With it 200; without it 401; at another client's route 403: over plain HTTP and TLS."""
    authority = trustme.CA()
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    for name, tls, context in (("plain", {}, None), ("tls", TLS, trusting)):
        values = {"callers": KEYED, "tls": tls}
        async with gateway(tmp_path / name, values, authority) as port:
            base = f"{'https' if context else 'http'}://127.0.0.1:{port}"
            sign, auth = f"{base}/sign/signing-sessions", f"{base}/auth/rest/sessions"
            assert await status(sign, KEY, context) == (200, "")
            assert await status(sign, "", context) == (401, "caller_unknown")
            assert await status(auth, KEY, context) == (403, "caller_not_allowed")


async def test_a_certificate_says_who_a_caller_is(tmp_path: Path) -> None:
    """The name in values gets 200, another name of the authority 401, none no connection."""
    authority = trustme.CA()
    values = {"callers": SHOWN, "tls": {**TLS, "clientCA": {"enabled": True}}}
    contexts = []
    for names in ((CALLER,), ("other.example.com",), ()):
        context = ssl.create_default_context()
        authority.configure_trust(context)
        if names:
            authority.issue_cert(*names).configure_cert(context)
        contexts.append(context)
    known, other, none = contexts
    async with gateway(tmp_path / "gateway", values, authority) as port:
        url = f"https://127.0.0.1:{port}"
        assert await status(f"{url}/sign/signing-sessions", "", known) == (200, "")
        refused = await status(f"{url}/auth/rest/sessions", "", known)
        assert refused == (403, "caller_not_allowed")
        assert await status(f"{url}/sign/signing-sessions", "", other) == (401, "caller_unknown")
        with pytest.raises(aiohttp.ClientError):
            await status(f"{url}/sign/signing-sessions", "", none)
