"""The request log, apart from the exchanges: what it writes of one that failed (G10)."""

import io
import json
from collections.abc import Callable

import pytest

from proxy.errors import ProxyError
from proxy.guard.known_callers import KnownCallers
from proxy.guard.routing import Route
from proxy.http1.body import NO_BODY
from proxy.http1.failures import upstream_silent
from proxy.http1.headers import MessageHeaders
from proxy.http1.request import KnownHead, Request
from proxy.http1.request_id import id_line
from proxy.telemetry.access_log import AccessLog
from proxy.telemetry.counters import Counters
from proxy.telemetry.logs import open_logs
from proxy.telemetry.recent_errors import RecentErrors
from proxy.telemetry.request_log import RequestLog, RequestRecord

ROUTE = Route(b"/", "default")
LATE = upstream_silent(60)


def ended(end: Callable[[RequestRecord], None]) -> tuple[dict[str, object], list[str | None]]:
    """Record one exchange that ended so; return its event and the details of recent errors."""
    stream = io.StringIO()
    logs = open_logs(level="info", log_format="json", stream=stream)
    log = AccessLog(
        "all",
        log=logs.access,
        write_line=logs.write_line,
        flush=logs.flush,
        later=lambda _, __: None,
        wall=lambda: 0.0,
    )
    recent = RecentErrors(lambda: 0.0)
    request_log = RequestLog(Counters({"/": "default"}), log, recent, lambda: 0.0)
    headers = MessageHeaders([], {}, 0, frozenset())
    request = Request(
        b"GET", b"/?31019000000", b"HTTP/1.1", headers, b"a", KnownHead(), names_target=False
    )
    peer = KnownCallers().peer("127.0.0.1")
    record = RequestRecord(request, ROUTE, NO_BODY, 0.0, peer, id_line(b"id-1"))
    end(record)
    request_log.record(record)
    logs.flush()
    return json.loads(stream.getvalue()), [error.detail for error in recent.newest_first()]


def test_a_reply_of_our_own_is_told_with_its_detail() -> None:
    """The log line and the list of recent errors say what the caller was told (G10)."""

    def fail(record: RequestRecord) -> None:
        record.status = LATE.kind.status
        record.note_error(LATE)

    event, details = ended(fail)
    assert (event["outcome"], event["detail"]) == (LATE.kind.code, LATE.detail)
    assert details == [LATE.detail]


@pytest.mark.parametrize(("status", "details"), [(200, []), (401, [None]), (503, [None])])
def test_an_answer_of_the_upstreams_has_no_detail(status: int, details: list[None]) -> None:
    """What is relayed whole is no reply of ours."""
    event, told = ended(lambda record: setattr(record, "status", status))
    assert "detail" not in event
    assert told == details


def test_the_detail_is_the_errors() -> None:
    """No other text gets into it."""
    event, _ = ended(lambda record: record.note_error(ProxyError(LATE.kind, "Do this.")))
    assert event["detail"] == "Do this."
