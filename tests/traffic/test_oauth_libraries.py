"""Applications that fetch tokens themselves, with nothing changed but two URLs (P1)."""

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from authlib.integrations.requests_client import OAuth2Session as AuthlibSession
from oauthlib.oauth2 import BackendApplicationClient, TokenExpiredError
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session

from proxy.http1.placeholder_response import PLACEHOLDER_TOKEN
from proxy.mock import MockClient, MockSignicat, serve_mock
from proxy.mock.command import new_mock
from tests.support.bearer_upstream import BearerUpstream
from tests.support.code_blocks import code_blocks
from tests.support.messages import Message
from tests.support.oidc_server import OIDC_CLIENTS, oidc_server
from tests.support.running_proxy import CLIENT_SECRET, RunningProxy, running_proxy

pytestmark = pytest.mark.usefixtures("no_leaks")

PATH: Final = "/auth/open/connect/token"
CLIENT: Final = "dev-tester-1"
# What the application believes its credentials to be; the mock knows none of them.
APPLICATION: Final = ("app-1", "secret-of-the-application")
GO: Final = Path("/usr/share/gocode")  # where Debian puts it
HAS_MODULE: Final = (GO / "src/golang.org/x/oauth2").is_dir()
Session = Callable[[str], Any]


@dataclass(frozen=True)
class Scene:
    """A proxy that gives placeholders before a mock that takes real tokens alone."""

    proxy: RunningProxy
    mock: MockSignicat

    @property
    def base(self) -> str:
        """The one thing that changes in an application, twice."""
        return f"http://localhost:{self.proxy.port}"

    async def placeholders(self) -> float:
        """Return how many placeholders were given."""
        return await self.proxy.metric("placeholder_tokens_total")


@pytest.fixture(autouse=True)
def _plain_http(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the one variable without which oauthlib speaks no `http://`."""
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")


@contextlib.asynccontextmanager
async def scene() -> AsyncIterator[Scene]:
    """Run both."""
    mock = new_mock([MockClient(CLIENT, [CLIENT_SECRET])])
    async with (
        serve_mock(mock, "127.0.0.1", 0) as running,
        running_proxy(
            upstream=running.url,
            token_url=running.url + PATH,
            client_id=CLIENT,
            placeholder_token="true",
        ) as proxy,
    ):
        yield Scene(proxy, mock)


def oauthlib_session(base: str) -> OAuth2Session:
    """Return a session of requests-oauthlib that has fetched its token, credentials in the form."""
    name, secret = APPLICATION
    session = OAuth2Session(client=BackendApplicationClient(name, scope="signicat-api"))
    session.trust_env = False
    session.fetch_token(base + PATH, client_secret=secret, include_client_id=True)
    return session


def oauthlib_basic_session(base: str) -> OAuth2Session:
    """Return the same with credentials as Basic, and scopes of the application's own."""
    session = OAuth2Session(client=BackendApplicationClient(APPLICATION[0], scope=["a", "b"]))
    session.trust_env = False
    session.fetch_token(base + PATH, auth=HTTPBasicAuth(*APPLICATION))
    return session


def authlib_session(base: str, method: str = "client_secret_basic") -> AuthlibSession:
    """Return a session of Authlib that has fetched its token."""
    session = AuthlibSession(
        *APPLICATION,
        scope="signicat-api",
        token_endpoint=base + PATH,
        token_endpoint_auth_method=method,
        grant_type="client_credentials",
    )
    session.trust_env = False
    session.fetch_token()
    return session


def authlib_post_session(base: str) -> AuthlibSession:
    """Return the same with credentials in the form."""
    return authlib_session(base, "client_secret_post")


SESSIONS: Final = (oauthlib_session, oauthlib_basic_session, authlib_session, authlib_post_session)


@pytest.mark.parametrize("new_session", SESSIONS)
async def test_a_library_works_with_two_urls_changed(new_session: Session) -> None:
    """It gets a token, reads what it needs of it, and its calls go out with the real one."""
    async with scene() as here:

        def application() -> tuple[dict[str, Any], list[int]]:
            with new_session(here.base) as session:
                url = f"{here.base}/sign/documents"
                sent = [session.get(f"{here.base}/sign/signing-sessions")]
                sent += [session.post(url, data=b"x", headers={"Content-Type": "text/plain"})]
                return dict(session.token), [response.status_code for response in sent]

        token, statuses = await asyncio.to_thread(application)
        assert statuses == [200, 200]
        assert token["access_token"] == PLACEHOLDER_TOKEN
        assert (token["token_type"], token["expires_in"]) == ("Bearer", 600)
        assert token["expires_at"] > 0  # the library's own sum
        assert await here.placeholders() == 1
        assert APPLICATION[1] not in json.dumps(here.proxy.logs)


async def test_authlib_fetches_again_when_its_token_is_over() -> None:
    """Ten minutes later it asks for the next one by itself, before its call."""
    async with scene() as here:

        def application() -> list[int]:
            with authlib_session(here.base) as session:
                session.token = {**session.token, "expires_at": 1}
                responses = [session.get(f"{here.base}/sign/signing-sessions") for _ in range(2)]
                return [response.status_code for response in responses]

        assert await asyncio.to_thread(application) == [200, 200]
        assert await here.placeholders() == 2


async def test_oauthlib_says_when_its_token_is_over() -> None:
    """There its application has to ask again, as it has to without the proxy."""
    async with scene() as here:

        def application() -> int:
            with oauthlib_session(here.base) as session:
                url = f"{here.base}/sign/signing-sessions"
                session.token = {**session.token, "expires_at": 1}
                with pytest.raises(TokenExpiredError):
                    session.get(url)
                session.fetch_token(here.base + PATH, client_secret=APPLICATION[1])
                return int(session.get(url).status_code)

        assert await asyncio.to_thread(application) == 200
        assert await here.placeholders() == 2


@pytest.mark.parametrize("new_session", [oauthlib_session, authlib_session])
async def test_a_revoked_token_is_the_proxys_matter(new_session: Session) -> None:
    """The upstream's 401 is replayed with a new token; the application hears of none (T10)."""
    async with scene() as here:

        def application() -> list[int]:
            with new_session(here.base) as session:
                url = f"{here.base}/sign/signing-sessions"
                first = session.get(url).status_code
                here.mock.revoke_all()
                return [first, session.get(url).status_code]

        assert await asyncio.to_thread(application) == [200, 200]
        assert await here.placeholders() == 1
        assert await here.proxy.metric("replays_total", outcome="ok") == 1


@pytest.mark.e2e
@pytest.mark.parametrize("method", list(OIDC_CLIENTS))
@pytest.mark.parametrize("new_session", [oauthlib_session, authlib_session])
async def test_with_a_certified_oauth_server(new_session: Session, method: str) -> None:
    """The proxy's own tokens come from there, and the upstream sees no other."""
    upstream = BearerUpstream()
    async with contextlib.AsyncExitStack() as stack:
        url = await stack.enter_async_context(upstream.run())
        token_url = await stack.enter_async_context(oidc_server(CLIENT_SECRET))
        proxy = await stack.enter_async_context(
            running_proxy(
                upstream=url,
                token_url=token_url,
                client_id=OIDC_CLIENTS[method],
                client_auth=method,
                placeholder_token="true",
            )
        )

        def application() -> Any:
            with new_session(f"http://localhost:{proxy.port}") as session:
                return session.post(f"http://localhost:{proxy.port}/echo", data=b"abc").json()

        seen = await asyncio.to_thread(application)
    assert (seen["method"], seen["size"]) == ("POST", 3)
    assert upstream.clients == {OIDC_CLIENTS[method]}
    assert upstream.refused == 0
    assert f"Bearer {PLACEHOLDER_TOKEN}" not in upstream.tokens


# --- applications that are not run here: their bytes ---

GO_FORM: Final = b"grant_type=client_credentials&scope=signicat-api"
# signicat-net 1.15.0: AuthManager, HttpRequestor.
SDK_FORM: Final = GO_FORM + b"&client_id=any&client_secret=any"
SDK_TOKEN_CALL: Final = (
    b"POST %b HTTP/1.1\r\nHost: localhost:%d\r\nSignicat-SDK: dotnet 1.15.0\r\n"
    b"User-Agent: Signicat-SDK dotnet 1.15.0\r\n"
    b"Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\n"
    b"Content-Length: %d\r\n\r\n%b"
)
SDK_CALL: Final = (
    b"GET /auth/rest/sessions/1 HTTP/1.1\r\nHost: localhost:%d\r\nSignicat-SDK: dotnet 1.15.0\r\n"
    b"User-Agent: Signicat-SDK dotnet 1.15.0\r\nAuthorization: Bearer %b\r\n\r\n"
)
# golang.org/x/oauth2 0.3.0 on Go 1.19; Basic first, without a secret of ours.
GO_TOKEN_CALL: Final = (
    b"POST %b HTTP/1.1\r\nHost: localhost:%d\r\nUser-Agent: Go-http-client/1.1\r\n"
    b"Content-Length: %d\r\nAuthorization: Basic YW55OmFueQ==\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\nAccept-Encoding: gzip\r\n\r\n%b"
)


def token_in(answer: Message) -> bytes:
    """Return the token that an answer grants."""
    assert answer.status == 200
    token: str = json.loads(answer.body)["access_token"]
    return token.encode()


async def test_the_bytes_of_signicats_sdk() -> None:
    """Its token call and its next call, on one connection, as .NET writes them."""
    async with scene() as here:
        caller = await here.proxy.connect()
        port, size = here.proxy.port, len(SDK_FORM)
        call = SDK_TOKEN_CALL % (PATH.encode(), port, size, SDK_FORM)
        token = token_in(await caller.ask(call))
        answer = await caller.ask(SDK_CALL % (port, token))
        assert answer.status == 404  # the mock has let it in, and has no such session
        assert answer.head.value("Proxy-Status") is None


async def test_the_bytes_of_gos_clientcredentials() -> None:
    """Its token call with Basic credentials, which are nobody's here."""
    async with scene() as here:
        call = GO_TOKEN_CALL % (PATH.encode(), here.proxy.port, len(GO_FORM), GO_FORM)
        assert token_in(await here.proxy.ask(call)) == PLACEHOLDER_TOKEN.encode()


async def test_gos_clientcredentials_as_the_page_shows_it(tmp_path: Path) -> None:
    """The program of the documentation, where Go and Debian's package of the module are."""
    async with scene() as here:
        go = shutil.which("go")
        if go is None or not HAS_MODULE:
            pytest.skip("not installed: go, golang-golang-x-oauth2-dev")
        (block,) = [
            block
            for block in code_blocks("docs/legacy-applications.md")
            if block.words == ("no-run", "module")
        ]
        file = tmp_path / "main.go"
        file.write_text(block.text.replace(":8080", f":{here.proxy.port}"))
        environ = {"GO111MODULE": "off", "GOPATH": str(GO), "GOCACHE": str(tmp_path / "cache")}

        def application() -> str:
            return subprocess.run(
                [go, "run", str(file)],
                env={"PATH": os.environ["PATH"], **environ},
                capture_output=True,
                text=True,
                check=True,
            ).stdout

        assert await asyncio.to_thread(application) == "200\n"
        assert await here.placeholders() == 1
