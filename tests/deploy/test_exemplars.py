"""From a bucket of a histogram to the trace: a real Prometheus keeps what the proxy tells (O5)."""

import asyncio
import itertools
from pathlib import Path
from typing import Any

from tests.deploy.scene import scene
from tests.deploy.watch import Watch, watching
from tests.support.otlp_receiver import OtlpReceiver
from tests.support.waiting import eventually, within

DURATIONS = ("request_duration", "upstream_duration", "token_request_duration")


async def first_exemplars(watch: Watch, name: str) -> list[dict[str, Any]]:
    """Wait until Prometheus has exemplars of a histogram; return them."""
    for pause in itertools.repeat(0.2):
        found = await watch.exemplars(f"signicat_proxy_{name}_seconds_bucket")
        if found:
            return found
        await asyncio.sleep(pause)
    raise AssertionError


async def traces_of(collector: OtlpReceiver, found: list[dict[str, Any]]) -> None:
    """Wait until the collector has the trace of each exemplar."""
    asked = {exemplar["labels"]["trace_id"] for exemplar in found}
    await eventually(lambda: asked <= {span.trace for span in collector.spans}, "the traces")


async def test_prometheus_leads_from_a_duration_to_its_trace(tmp_path: Path) -> None:
    """Each exemplar has the id of a trace that the collector has, and a value of its bucket."""
    async with (
        OtlpReceiver() as collector,
        scene(tmp_path / "proxy", "/mock/echo", collector=collector.url) as running,
        watching([running.admin], tmp_path) as watch,
    ):
        for name in DURATIONS:
            found = await within(first_exemplars(watch, name), f"exemplars of {name}", 30)
            for exemplar in found:
                assert set(exemplar["labels"]) == {"trace_id"}
                assert float(exemplar["value"]) <= float(exemplar["series"]["le"])
            await traces_of(collector, found)
        # The format changes no series: the rules of the file still find theirs.
        query = "sum by (route) (signicat_proxy_requests_total)"
        value = await watch.value(query)
        assert value is not None
        assert value > 0
