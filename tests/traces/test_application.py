"""The application of docs/monitor.md starts the trace, and the proxy goes on with it (O3, O4)."""

from pathlib import Path

from tests.support.code_blocks import code_blocks
from tests.support.otlp_receiver import OtlpReceiver
from tests.support.page_stage import stage
from tests.support.waiting import eventually


async def test_one_trace_from_the_application_to_signicat(tmp_path: Path) -> None:
    """Its span, that of the proxy below it, and below that the attempt: as the page draws them."""
    (program,) = [b for b in code_blocks("docs/monitor.md") if b.language == "python"]
    async with OtlpReceiver() as collector, stage(tmp_path, collector=collector.url) as here:
        await here.program(program)
        await eventually(lambda: len(collector.spans) >= 4, "the spans of both")
        (root,) = [span for span in collector.spans if span.name == "sign the order"]
        below = [span for span in collector.spans if span.trace == root.trace and span != root]
        (server,) = [span for span in below if span.kind == "server"]
        (attempt,) = [span for span in below if span.kind == "client"]
        assert (root.parent, server.parent, attempt.parent) == ("", root.span, server.span)
        assert server.name == "GET /"
        assert server.service == "signicat-proxy"
