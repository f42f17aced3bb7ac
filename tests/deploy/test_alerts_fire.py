"""The alerts in earnest: a real Prometheus sees real proxies fail before the mock, and recover."""

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.deploy.expressions import RULES
from tests.deploy.scene import Fault, Scene, scene
from tests.deploy.watch import Watch, shortened, watching
from tests.support.running_proxy import CLIENT_SECRET
from tests.support.source_tree import read

FACTOR = 60


Story = Callable[[Scene, Watch], Awaitable[None]]


@dataclass(frozen=True)
class Plot:
    """What happens to one proxy, with which settings, under how many steady callers."""

    story: Story
    callers: int = 1
    settings: Mapping[str, Any] = field(default_factory=dict)


def test_only_durations_are_shortened() -> None:
    """The rules that fire here are the file's: but for the times they are equal."""
    rules = read(RULES)
    times = re.compile(r"(?<=for: )\d\w+|(?<=[\[:])\d\w+(?=[\]:])")
    short = shortened(rules, FACTOR)
    assert times.sub("", short) == times.sub("", rules)
    assert times.findall(rules)[:2] == ["5m", "5m"]
    assert times.findall(short)[:2] == ["5000ms", "5000ms"]
    assert "[3d:5m]" in rules
    assert f"[{3 * 86400 * 1000 // FACTOR}ms:5000ms]" in short
    assert all(time.endswith("ms") for time in times.findall(short))


async def no_token(running: Scene, watch: Watch) -> None:
    """Fail at the token endpoint: renewal fails, the token ends, callers get 503."""
    await running.renew_for(10)
    await running.break_it({"kind": "status", "status": 503, "target": "token"})
    await watch.becomes(running.admin, "SignicatProxyNotReady")
    await running.break_it()
    await running.renew_for(600)
    await watch.becomes(running.admin)


async def bad_rotation(running: Scene, watch: Watch) -> None:
    """Rotate to a secret that does not work: the last one serves. Mend it; stop the proxy."""
    running.secret.write_text("no longer right", "utf-8")
    await watch.becomes(running.admin, "SignicatProxySecretFallback")
    running.secret.write_text(CLIENT_SECRET, "utf-8")
    await watch.becomes(running.admin)
    running.process.interrupt()
    assert await running.process.ended() == 0
    await watch.becomes(running.admin, "SignicatProxyDown")


def fault(kind: Fault, *alerts: str) -> Story:
    """Return the story of one fault of the API, of which these alerts are told and no others."""

    async def story(running: Scene, watch: Watch) -> None:
        await running.break_it(kind)
        await watch.becomes(running.admin, *alerts)
        await running.break_it()
        await watch.becomes(running.admin)

    return story


PLOTS = {
    "no token": Plot(no_token, settings={"token_wait_seconds": 0.1}),
    "bad rotation": Plot(bad_rotation),
    "401 storm": Plot(
        fault({"kind": "unauthorized", "target": "api"}, "SignicatProxyUnauthorizedStorm")
    ),
    "upstream errors": Plot(fault({"kind": "reset", "target": "api"}, "SignicatProxyErrors")),
    "Signicat's 5xx": Plot(
        fault(
            {"kind": "status", "status": 500, "target": "api"}, "SignicatProxyUpstreamServerErrors"
        )
    ),
    "too many requests": Plot(
        fault(
            {"kind": "latency", "milliseconds": 2000, "target": "api"},
            "SignicatProxyOverloaded",
        ),
        callers=8,
        settings={"max_upstream_connections": 2, "connect_timeout_seconds": 0.3},
    ),
}


async def test_alerts_fire_and_resolve(tmp_path: Path) -> None:
    """Of each fault one alert is told, whatever else fires, and ends with it; all at one time."""
    async with contextlib.AsyncExitStack() as stack:
        scenes = {
            name: await stack.enter_async_context(
                scene(tmp_path / name, *(["/mock/echo"] * plot.callers), **plot.settings)
            )
            for name, plot in PLOTS.items()
        }
        targets = [running.admin for running in scenes.values()]
        watch = await stack.enter_async_context(watching(targets, tmp_path, factor=FACTOR))
        async with asyncio.TaskGroup() as stories:
            for name, plot in PLOTS.items():
                stories.create_task(_told(name, plot, scenes[name], watch))


async def _told(name: str, plot: Plot, running: Scene, watch: Watch) -> None:
    try:
        await plot.story(running, watch)
    except AssertionError as error:
        error.add_note(f"in the story: {name}")
        raise
