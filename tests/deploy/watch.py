"""Runs a real Prometheus with the real rules, and an Alertmanager that it tells."""

import asyncio
import contextlib
import itertools
import json
import re
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import aiohttp

from bench.processes import free_port
from tests.deploy.expressions import RULES
from tests.support.oidc_server import required_program
from tests.support.source_tree import read
from tests.support.waiting import within

__all__ = ["ALERTMANAGER", "Watch", "active", "alertmanager", "amtool", "shortened", "watching"]

_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION: Final = re.compile(
    r"(?<=for: )(\d+)([smhd])$|(?<=[\[:])(\d+)([smhd])(?=\]|:\d+[smhd]\])", re.MULTILINE
)
_INHIBITIONS: Final = "helm/signicat-proxy/files/alertmanager-inhibit.yaml"
ALERTMANAGER: Final = f"""\
route: {{receiver: nobody, group_wait: 0s}}
receivers: [{{name: nobody}}]
{read(_INHIBITIONS)}
"""
"""A configuration of Alertmanager that tells nobody, with the project's inhibitions."""
_PROMETHEUS: Final = """\
global: {{scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms}}
rule_files: [alerts.yaml]
alerting: {{alertmanagers: [{{static_configs: [{{targets: ["127.0.0.1:{alertmanager}"]}}]}}]}}
scrape_configs: {jobs}
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


async def amtool(url: str, *arguments: str) -> str:
    """Return what `amtool` says about the Alertmanager at `url`."""
    process = await asyncio.create_subprocess_exec(
        required_program("amtool"),
        *("alert", *arguments, "--output", "json", "--alertmanager.url", url),
        stdout=PIPE,
        stderr=DEVNULL,
    )
    output, _ = await within(process.communicate(), "amtool")
    assert process.returncode == 0
    return output.decode()


async def active(url: str, *matchers: str) -> list[dict[str, str]]:
    """Return the labels of the alerts that Alertmanager tells: those that nothing inhibits."""
    found = json.loads(await amtool(url, "query", *matchers))
    return [alert["labels"] for alert in found]


class Watch:
    """What Alertmanager tells; and Prometheus's address."""

    def __init__(self, prometheus: int, alertmanager: str) -> None:
        self.url = f"http://127.0.0.1:{prometheus}"
        self._alertmanager = alertmanager

    async def alerts(self, target: int) -> set[str]:
        """Return the names of the alerts that are told about the admin port `target`.

        Slow ones are about days; the end of such a window no test can wait for.
        """
        found = await active(self._alertmanager, f"job=proxy-{target}", "alertname!~.+Slow")
        return {labels["alertname"] for labels in found}

    async def value(self, query: str) -> float | None:
        """Return the one value of a query now; None while it has none."""
        url = f"{self.url}/api/v1/query"
        async with (
            aiohttp.ClientSession() as session,
            session.get(url, params={"query": query}) as answer,
        ):
            found = (await answer.json())["data"]["result"]
        assert len(found) <= 1, query
        return float(found[0]["value"][1]) if found else None

    async def exemplars(self, query: str) -> list[dict[str, Any]]:
        """Return the exemplars of the last minutes, each with the labels of its series."""
        now = time.time()
        asked = {"query": query, "start": f"{now - 600}", "end": f"{now + 60}"}
        url = f"{self.url}/api/v1/query_exemplars"
        async with aiohttp.ClientSession() as session, session.get(url, params=asked) as answer:
            found = (await answer.json())["data"]
        return [
            {**exemplar, "series": series["seriesLabels"]}
            for series in found
            for exemplar in series["exemplars"]
        ]

    async def becomes(self, target: int, *names: str, seconds: float = 40.0) -> None:
        """Wait until these alerts of `target`, and no others, are told."""
        told: set[str] = set()

        async def poll() -> None:
            nonlocal told
            for pause in itertools.repeat(0.2):
                told = await self.alerts(target)
                if told == set(names):
                    return
                await asyncio.sleep(pause)

        try:
            await within(poll(), f"the alerts {sorted(names)}", seconds)
        except AssertionError as error:
            error.add_note(f"told were {sorted(told)}")
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
async def alertmanager(folder: Path) -> AsyncIterator[str]:
    """Run an Alertmanager with the project's inhibitions; yield its address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    (folder / "alertmanager.yml").write_text(ALERTMANAGER, "utf-8")
    async with _running(
        "prometheus-alertmanager",
        f"--config.file={folder}/alertmanager.yml",
        f"--storage.path={folder}/alertmanager",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
        "--log.level=warn",
    ) as process:
        await within(_until_ready(url, process), "Alertmanager", 20)
        yield url


@contextlib.asynccontextmanager
async def watching(
    targets: Sequence[int],
    folder: Path,
    *,
    factor: int = 1,
    labels: Mapping[str, str] | None = None,
) -> AsyncIterator[Watch]:
    """Scrape the admin ports `targets`, each a job, with the rules `shortened` by `factor`.

    `labels` are those that the discovery of pods would add.
    """
    async with alertmanager(folder) as told:
        port = free_port()
        jobs = [
            {
                "job_name": f"proxy-{target}",
                "static_configs": [{"targets": [f"127.0.0.1:{target}"], "labels": labels or {}}],
            }
            for target in targets
        ]
        config = _PROMETHEUS.format(jobs=json.dumps(jobs), alertmanager=told.rpartition(":")[2])
        (folder / "prometheus.yml").write_text(config, "utf-8")
        (folder / "alerts.yaml").write_text(shortened(read(RULES), factor), "utf-8")
        watch = Watch(port, told)
        async with _running(
            "prometheus",
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/prometheus",
            f"--web.listen-address=127.0.0.1:{port}",
            "--enable-feature=exemplar-storage",
            "--log.level=warn",
        ) as process:
            await within(_until_ready(watch.url, process), "Prometheus", 20)
            yield watch
