"""Runs a real Prometheus with the real rules, and an Alertmanager that it tells."""

import asyncio
import contextlib
import itertools
import json
import re
import socket
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final

import aiohttp

from tests.deploy.expressions import RULES
from tests.support.oidc_server import required_program
from tests.support.source_tree import read
from tests.support.waiting import within

__all__ = ["Watch", "shortened", "watching"]

_SECONDS: Final = {"s": 1, "m": 60, "h": 3600}
_DURATION: Final = re.compile(r"(?<=for: )(\d+)([smh])$|(?<=\[)(\d+)([smh])(?=\])", re.MULTILINE)
_ALERTMANAGER: Final = """\
route: {receiver: nobody, group_wait: 0s}
receivers: [{name: nobody}]
"""
_PROMETHEUS: Final = """\
global: {{scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms}}
rule_files: [alerts.yaml]
alerting: {{alertmanagers: [{{static_configs: [{{targets: ["127.0.0.1:{alertmanager}"]}}]}}]}}
scrape_configs:
  - job_name: signicat-proxy
    static_configs: [{{targets: {targets}}}]
"""


def shortened(rules: str, factor: int) -> str:
    """Divide every `for:` and every range such as `[5m]` by `factor`; change nothing else.

    So a test sees in seconds what takes minutes in production: the expressions,
    thresholds and texts are those of the file.
    """

    def divide(match: re.Match[str]) -> str:
        amount, unit = match[1] or match[3], match[2] or match[4]
        return f"{int(amount) * _SECONDS[unit] * 1000 // factor}ms"

    return _DURATION.sub(divide, rules)


def free_port() -> int:
    """Return a port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Watch:
    """What Alertmanager has been told, as `amtool` shows it; and Prometheus's address."""

    def __init__(self, prometheus: int, alertmanager: int) -> None:
        self.url = f"http://127.0.0.1:{prometheus}"
        self._alertmanager = f"http://127.0.0.1:{alertmanager}"

    async def alerts(self, target: int) -> set[str]:
        """Return the names of the alerts that are active for the admin port `target`."""
        process = await asyncio.create_subprocess_exec(
            required_program("amtool"),
            *("alert", "query", "--output", "json", "--alertmanager.url", self._alertmanager),
            f"instance=127.0.0.1:{target}",
            stdout=PIPE,
            stderr=DEVNULL,
        )
        output, _ = await within(process.communicate(), "amtool")
        assert process.returncode == 0
        return {alert["labels"]["alertname"] for alert in json.loads(output)}

    async def becomes(self, target: int, *names: str, seconds: float = 40.0) -> None:
        """Wait until these alerts of `target`, and no others, are active."""
        active: set[str] = set()

        async def poll() -> None:
            nonlocal active
            for pause in itertools.repeat(0.2):
                active = await self.alerts(target)
                if active == set(names):
                    return
                await asyncio.sleep(pause)

        try:
            await within(poll(), f"the alerts {sorted(names)}", seconds)
        except AssertionError as error:
            error.add_note(f"active were {sorted(active)}")
            raise


@contextlib.asynccontextmanager
async def _running(*command: str) -> AsyncIterator[Process]:
    """Run a program until the block ends; its output goes to the test's own."""
    process = await asyncio.create_subprocess_exec(required_program(command[0]), *command[1:])
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _until_ready(url: str, process: Process) -> None:
    async with aiohttp.ClientSession() as session:
        for pause in itertools.repeat(0.05):
            assert process.returncode is None, f"{url}: ended at once"
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(f"{url}/-/ready") as answer:
                    if answer.ok:
                        return
            await asyncio.sleep(pause)


@contextlib.asynccontextmanager
async def watching(
    targets: Sequence[int], folder: Path, *, factor: int = 1
) -> AsyncIterator[Watch]:
    """Scrape the admin ports `targets`, with the rules `shortened` by `factor`."""
    prometheus, alertmanager = free_port(), free_port()
    addresses = json.dumps([f"127.0.0.1:{target}" for target in targets])
    config = _PROMETHEUS.format(targets=addresses, alertmanager=alertmanager)
    (folder / "prometheus.yml").write_text(config, "utf-8")
    (folder / "alerts.yaml").write_text(shortened(read(RULES), factor), "utf-8")
    (folder / "alertmanager.yml").write_text(_ALERTMANAGER, "utf-8")
    watch = Watch(prometheus, alertmanager)
    async with (
        _running(
            "prometheus-alertmanager",
            f"--config.file={folder}/alertmanager.yml",
            f"--storage.path={folder}/alertmanager",
            f"--web.listen-address=127.0.0.1:{alertmanager}",
            "--cluster.listen-address=",
            "--log.level=warn",
        ) as first,
        _running(
            "prometheus",
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/prometheus",
            f"--web.listen-address=127.0.0.1:{prometheus}",
            "--log.level=warn",
        ) as second,
    ):
        await within(_until_ready(f"http://127.0.0.1:{alertmanager}", first), "Alertmanager", 20)
        await within(_until_ready(watch.url, second), "Prometheus", 20)
        yield watch
