"""What a web page may do with the mock that runs beside the developer's browser (K, G2, G3)."""

import pytest

from tests.mock.bench import Api, Bench
from tests.support.peers import Channel

FOREIGN = {
    "another origin": {"Origin": "https://evil.example"},
    "no origin": {"Origin": "null"},
    "another port": {"Origin": "http://127.0.0.1:1"},
    "another site": {"Sec-Fetch-Site": "cross-site"},
    "a neighbour": {"Sec-Fetch-Site": "same-site"},
}
TARGETS = [
    ("POST", "/__mock__/reset"),
    ("POST", "/__mock__/revoke"),
    ("GET", "/__mock__/requests"),
    ("PUT", "/__mock__/clients/x/secrets"),
    ("POST", "/auth/open/connect/token"),
    ("POST", "/auth/rest/sessions"),
    ("GET", "/sign/signing-sessions"),
    ("POST", "/mock-login/x/success"),
]


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN.keys())
@pytest.mark.parametrize(("method", "path"), TARGETS)
async def test_a_foreign_page_is_refused(
    bench: Bench, method: str, path: str, headers: dict[str, str]
) -> None:
    """It changes nothing, and is told why."""
    status, _, body = await bench.ask(method, path, headers=headers)
    assert (status, body["code"]) == (403, "origin_not_allowed")


async def test_whoever_is_sent_to_a_page_may_see_it(api: Api) -> None:
    """An application redirects a browser there, from its own site; the page's buttons work."""
    callbacks = dict.fromkeys(("success", "abort", "error"), "https://shop.example/back")
    wanted = {"flow": "redirect", "callbackUrls": callbacks}
    _, session = await api.call("POST", "/auth/rest/sessions", json=wanted)
    path = "/mock-login/" + session["id"]
    visit = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert (await api.ask("GET", path, headers=visit))[0] == 200
    own = {"Origin": api.running.url, "Sec-Fetch-Site": "same-origin"}
    status, headers, _ = await api.ask("POST", f"{path}/success", headers=own)
    assert status in {302, 303}
    assert headers["Location"].startswith("https://shop.example/back")


async def test_a_page_behind_a_public_url_is_its_own(bench: Bench) -> None:
    """TLS may end in front of the mock: then its pages have that origin."""
    bench.mock.public_url = "https://mock.shop.example/"
    own = {"Origin": "https://mock.shop.example"}
    assert (await bench.ask("POST", "/__mock__/revoke", headers=own))[0] == 200


HOSTS = {
    "127.0.0.1:9090": True,
    "[::1]:9090": True,
    "localhost": True,
    "a.localhost:1": True,
    "signicat-mock:9090": True,
    "mock.shop.example": True,
    "evil.example:9090": False,
    "evil.example.:9090": False,
    "": False,
    "[": False,
}


@pytest.mark.parametrize(("host", "is_known"), HOSTS.items())
async def test_a_rebound_name_reaches_no_control(
    bench: Bench, host: str, *, is_known: bool
) -> None:
    """A page whose own name leads here reads no requests and sets no faults (G2)."""
    bench.mock.public_url = "https://mock.shop.example"
    caller = await Channel.connect("127.0.0.1", bench.running.port)
    await caller.send(f"GET /__mock__/requests HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    status = (await caller.read_answer()).status
    caller.close()
    assert (status == 200) is is_known


async def test_credentials_are_told_as_fingerprints(bench: Bench) -> None:
    """Whichever header they stand in."""
    names = ("Authorization", "Cookie", "Proxy-Authorization", "X-Api-Key")
    await bench.ask("GET", "/dem/info", headers=dict.fromkeys(names, "MARK-of-the-test"))
    _, _, body = await bench.ask("GET", "/__mock__/requests")
    (noted,) = body["requests"]
    assert "MARK" not in str(noted)
    told = {name for name, value in noted["headers"] if value.startswith("sha256:")}
    assert {name.lower() for name in told} == {name.lower() for name in names}
