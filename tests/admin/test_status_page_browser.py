"""The status page in a real browser: live, readable, usable by keyboard, never lying (A)."""

import contextlib
from collections.abc import AsyncIterator

import pytest

from tests.support.browser import Browser, PageServer
from tests.support.devtools import Tab, driven_tab
from tests.support.messages import reply, request
from tests.support.ports import refusing_port
from tests.support.running_proxy import RunningProxy, proxied
from tests.support.token_server import TokenServer

pytestmark = pytest.mark.e2e

TEXT = "document.getElementById('content').innerText"
# Every element with text of its own, with the contrast to what is painted behind it (WCAG 2).
CONTRASTS = """
(() => {
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => {
    const [r, g, b] = parts(colour).slice(0, 3).map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      const [, , , alpha = 1] = parts(colour);
      if (alpha === 1) return colour;
    }
    return getComputedStyle(document.body).backgroundColor;
  };
  const found = [];
  for (const element of document.body.querySelectorAll("*")) {
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!own || !element.checkVisibility() || element.matches("script, noscript")) continue;
    const one = light(getComputedStyle(element).color);
    const two = light(behind(element));
    const ratio = (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
    found.push([element.textContent.slice(0, 40), ratio]);
  }
  return found;
})()
"""
LOOKS = [(1280, 800, "light"), (1280, 800, "dark"), (360, 740, "light"), (360, 740, "dark")]


@contextlib.asynccontextmanager
async def shown(
    tokens: TokenServer, browser: Browser, *, scripts: bool = True
) -> AsyncIterator[tuple[RunningProxy, Tab]]:
    """Open the page of a proxy that has refused one request; the browser may not complain."""
    async with driven_tab(browser) as tab, proxied(tokens, reply()) as (proxy, _):
        await tab.call("Emulation.setScriptExecutionDisabled", value=not scripts)
        await proxy.ask(request("GET /", host="evil.test"))
        await tab.open(f"http://127.0.0.1:{proxy.admin_port}/")
        yield proxy, tab
        await tab.open("about:blank#done")
        assert tab.complaints == []


async def test_the_page_is_readable(tokens: TokenServer, browser: Browser) -> None:
    """No text is cut off or faint (4.5 to 1), on a desk and on a phone, by day and by night."""
    async with shown(tokens, browser) as (_, tab):
        await tab.evaluate("document.querySelector('details').open = true")
        grounds = set()
        for width, height, scheme in LOOKS:
            await tab.look(width, height, scheme)
            await tab.shows(f"matchMedia('(prefers-color-scheme: {scheme})').matches")
            assert await tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
            contrasts = await tab.evaluate(CONTRASTS)
            assert len(contrasts) > 40
            assert [text for text, ratio in contrasts if ratio < 4.5] == []
            assert (await tab.screenshot()).startswith(b"\x89PNG")
            grounds.add(await tab.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert len(grounds) == 2


async def test_the_page_is_live(tokens: TokenServer, browser: Browser) -> None:
    """Countdowns run, new facts appear without a reload, and nothing the reader did is undone."""
    async with shown(tokens, browser) as (proxy, tab):
        left = "document.querySelector('[data-left]').textContent"
        first = await tab.evaluate(left)
        await tab.shows(f"{left} !== '{first}'")
        await tab.evaluate("window.isSame = true; document.querySelector('summary').focus()")
        await tab.press("Enter", 13, "\r")
        await tab.shows("document.querySelector('details').open")
        for _ in range(3):
            await proxy.ask(request("GET /"))
        await proxy.ask(request("GET /../", host="localhost"))
        await tab.shows(f"{TEXT}.includes('5 requests in') && {TEXT}.includes('ambiguous_path')")
        await tab.shows("document.getElementById('live').textContent === 'Live'")
        assert await tab.evaluate("window.isSame && document.querySelector('details').open")
        assert await tab.evaluate("document.activeElement.tagName") == "SUMMARY"


async def test_a_stop_of_the_proxy_shows(tokens: TokenServer, browser: Browser) -> None:
    """An open page says since when there was no answer, and goes on when the proxy is back."""
    async with driven_tab(browser) as tab, contextlib.AsyncExitStack() as stack:
        address = f"127.0.0.1:{stack.enter_context(refusing_port())}"
        async with proxied(tokens, admin_listen=address):
            await tab.open(f"http://{address}/")
            await tab.shows("document.getElementById('live').textContent === 'Live'")
            height = await tab.evaluate("document.querySelector('header').offsetHeight")
        await tab.shows(
            "/^No response since \\d\\d:\\d\\d:\\d\\d UTC$/.test("
            "document.getElementById('live').textContent)"
        )
        assert await tab.evaluate("document.title") == "No response · signicat-proxy"
        assert await tab.evaluate("document.getElementById('state').textContent") == "No response"
        assert await tab.evaluate("document.querySelector('header').offsetHeight") == height
        async with proxied(tokens, admin_listen=address):
            await tab.shows("document.getElementById('live').textContent === 'Live'")
            await tab.shows("document.title === 'Ready · signicat-proxy'")


async def test_the_page_needs_no_script(tokens: TokenServer, browser: Browser) -> None:
    """Without scripts all values are there, and the button works by keyboard."""
    async with shown(tokens, browser, scripts=False) as (proxy, tab):
        text = await tab.evaluate(TEXT)
        for words in ("As of", "UTC. Reload", "Token expires in", "host_not_allowed"):
            assert words in text
        await tab.evaluate("document.querySelector('button').focus()")
        await tab.press("Enter", 13, "\r")
        await proxy.metric_becomes(2, "token_requests_total", outcome="ok")
        await tab.shows(f"{TEXT}.includes('As of') && location.pathname === '/'")


async def test_the_button_renews_the_tokens(tokens: TokenServer, browser: Browser) -> None:
    """With scripts the page stays where it is and says what it did."""
    async with shown(tokens, browser) as (proxy, tab):
        await tab.evaluate("window.isSame = true; document.querySelector('button').click()")
        await tab.shows("document.getElementById('renewed').textContent === 'Renewal has begun'")
        await proxy.metric_becomes(2, "token_requests_total", outcome="ok")
        assert await tab.evaluate("window.isSame")


async def test_nothing_put_into_the_page_runs(tokens: TokenServer, browser: Browser) -> None:
    """The policy stops scripts, styles, images and frames that are not the page's own."""
    async with driven_tab(browser) as tab, proxied(tokens) as (proxy, _):
        await tab.open(f"http://127.0.0.1:{proxy.admin_port}/")
        await tab.evaluate(
            "for (const name of ['script', 'style']) {"
            "  const made = document.createElement(name);"
            "  try { made.append('body { color: red } window.isBroken = true'); } catch {}"
            "  document.body.append(made);"
            "}"
            "try { document.body.setAttribute('onclick', 'window.isBroken = true'); } catch {}"
            "document.body.click();"
        )
        assert not await tab.evaluate("window.isBroken")
        assert await tab.evaluate("getComputedStyle(document.body).color !== 'rgb(255, 0, 0)'")
        assert any("Content Security Policy" in one for one in tab.complaints)


async def test_a_foreign_page_cannot_press_the_button(
    tokens: TokenServer, browser: Browser
) -> None:
    """A form on another port of the same host is refused, and the page shows in no frame."""
    async with (
        driven_tab(browser) as tab,
        proxied(tokens) as (proxy, _),
        PageServer() as pages,
    ):
        admin = f"http://127.0.0.1:{proxy.admin_port}/"
        pages.page = (
            f'<iframe src="{admin}"></iframe><form method="post" action="{admin}-/refresh">'
            "<button>Win a prize</button></form><script>onload = () => document.forms[0].submit();"
            "</script>"
        )
        await tab.open(f"http://127.0.0.1:{pages.port}/")
        await tab.shows("document.body.textContent.includes('origin_not_allowed')")
        assert await proxy.metric("rejected_total", reason="origin_not_allowed") >= 1
        assert len(tokens.issued) == 1
