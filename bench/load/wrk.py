"""Load with wrk: its script, its command line, and what it printed."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.client import Endpoint
from bench.failures import Refused

__all__ = ["Load", "Request", "parse", "put_under_load", "script"]

MARK = "BENCH "
GRACE_SECONDS = 30

DONE = """\
done = function(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    'BENCH {"requests":%d,"microseconds":%d,"bytes":%d,"p50":%d,"p99":%d,' ..
    '"connect":%d,"read":%d,"write":%d,"timeout":%d,"status":%d}\\n',
    summary.requests, summary.duration, summary.bytes,
    latency:percentile(50), latency:percentile(99),
    errors.connect, errors.read, errors.write, errors.timeout, errors.status))
end
"""
ERRORS = {
    "connect": "connections refused",
    "read": "read errors",
    "write": "write errors",
    "timeout": "timeouts",
    "status": "responses with an error status",
}


# Both are written once; what differs from request to request is put between.
NEW_HEADER = """\
local before, after, number
init = function()
  local text = wrk.format()
  local begin, stop = text:find("NUMBER", 1, true)
  before, after, number = text:sub(1, begin - 1), text:sub(stop + 1), 0
end
request = function()
  number = number + 1
  return string.format("%s%012d%s", before, number, after)
end
"""
TARGETS = """\
local requests, number = {}, 0
init = function()
  for place, target in ipairs(targets) do requests[place] = wrk.format(nil, target) end
end
request = function()
  number = number % #requests + 1
  return requests[number]
end
"""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for, over and over: GET, or POST with a body of this many bytes.

    `headers` counts all of them, `Host` too; with `has_new_header` one has
    another value in each request. The other targets are asked for in turn.
    """

    target: str
    response_bytes: int
    body_bytes: int = 0
    headers: int = 1
    has_new_header: bool = False
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of wrk measured; latencies in microseconds."""

    requests: int
    seconds: float
    p50: float
    p99: float


def script(request: Request, endpoint: Endpoint) -> str:
    """Return the Lua script: the request, and a last line for `parse`."""
    lines = [f'wrk.headers["{name}"] = "{value}"' for name, value in endpoint.headers.items()]
    named = request.headers - 1 - request.has_new_header
    lines += [f'wrk.headers["X-Header-{number}"] = "value"' for number in range(named)]
    if request.has_new_header:
        lines += ['wrk.headers["X-Request-ID"] = "NUMBER"', NEW_HEADER]
    if request.others:
        targets = ", ".join(f'"{target}"' for target in (request.target, *request.others))
        lines += [f"local targets = {{{targets}}}", TARGETS]
    if request.body_bytes:
        lines += ['wrk.method = "POST"', f'wrk.body = string.rep("x", {request.body_bytes})']
    return "\n".join([*lines, DONE])


def parse(output: str, request: Request) -> Load:
    """Return the figures of a run; Refused if a single request failed or a response was short."""
    line = next((line for line in output.splitlines() if line.startswith(MARK)), None)
    if line is None:
        words = output.strip().splitlines()
        raise Refused(f"wrk printed no figures: {words[-1] if words else 'no output'}")
    seen: dict[str, int] = json.loads(line.removeprefix(MARK))
    failures = [f"{seen[name]} {text}" for name, text in ERRORS.items() if seen[name]]
    if failures:
        raise Refused(f"{', '.join(failures)} of {seen['requests']} requests")
    if not seen["requests"]:
        raise Refused("no request got a response")
    if seen["bytes"] < seen["requests"] * request.response_bytes:
        raise Refused("responses were shorter than what was asked for")
    return Load(seen["requests"], seen["microseconds"] / 1e6, seen["p50"], seen["p99"])


def put_under_load(
    endpoint: Endpoint, request: Request, *, connections: int, seconds: int, folder: Path
) -> Load:
    """Run wrk on the caller's core; Refused as `parse` says, or if wrk does not end."""
    path = folder / "load.lua"
    path.write_text(script(request, endpoint), encoding="ascii")
    options = (
        "-t",
        "1",
        "-c",
        str(connections),
        "-d",
        f"{seconds}s",
        "--timeout",
        "10s",
        "-s",
        str(path),
    )
    try:
        done = subprocess.run(
            ("wrk", *options, endpoint.url + request.target),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds + GRACE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Refused("wrk did not end") from None
    return parse(done.stdout, request)
