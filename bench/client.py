"""A plain HTTP client for what a load generator does not measure."""

import http.client
import itertools
import ssl
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from bench.failures import Refused
from bench.processes import Process

__all__ = [
    "SIZES",
    "Endpoint",
    "download",
    "fetch",
    "fetch_once",
    "idle_connections",
    "upload",
    "wait_until_served",
]

SIZES = {"1k": 1024, "64k": 64 * 1024, "200m": 200 * 1024 * 1024}
"""The bodies that the upstream has, by name, in bytes."""

CHUNK = 1024 * 1024
START_SECONDS = 30.0
POLL_SECONDS = 0.001


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where requests go: a port of 127.0.0.1; TLS if a CA file is named.

    The token is for an upstream without a proxy before it; proxies get none.
    """

    port: int
    ca_file: Path | None = None
    token: str | None = None

    @property
    def url(self) -> str:
        """The origin, without a slash at the end."""
        return f"{'https' if self.ca_file else 'http'}://127.0.0.1:{self.port}"

    @property
    def headers(self) -> dict[str, str]:
        """The headers that each request carries."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}


def connect(endpoint: Endpoint, *, timeout_seconds: float = 30.0) -> http.client.HTTPConnection:
    """Return a connection that opens with its first request."""
    if endpoint.ca_file is None:
        return http.client.HTTPConnection("127.0.0.1", endpoint.port, timeout=timeout_seconds)
    context = ssl.create_default_context(cafile=str(endpoint.ca_file))
    return http.client.HTTPSConnection(
        "127.0.0.1", endpoint.port, timeout=timeout_seconds, context=context
    )


def fetch(connection: http.client.HTTPConnection, endpoint: Endpoint, target: str = "/1k") -> int:
    """Send a GET, read the whole response, and return its size; Refused unless it is a 200."""
    buffer = bytearray(CHUNK)
    try:
        connection.request("GET", target, headers=endpoint.headers)
        response = connection.getresponse()
        size = 0
        while count := response.readinto(buffer):
            size += count
    except (OSError, http.client.HTTPException) as error:
        raise Refused(f"GET failed: {named(error)}") from None
    if response.status != HTTPStatus.OK:
        raise Refused(f"GET got status {response.status}")
    return size


def fetch_once(endpoint: Endpoint, target: str) -> None:
    """Send a GET on a connection of its own; Refused unless it gets a 200."""
    connection = connect(endpoint)
    try:
        fetch(connection, endpoint, target)
    finally:
        connection.close()


def named(error: Exception) -> str:
    """Return what the error says; its kind if it says nothing."""
    return str(error) or type(error).__name__


def download(endpoint: Endpoint) -> float:
    """Read 200 MiB on a new connection and return the seconds it took."""
    connection = connect(endpoint)
    started = time.perf_counter()
    try:
        size = fetch(connection, endpoint, "/200m")
    finally:
        connection.close()
    if size != SIZES["200m"]:
        raise Refused(f"the download ended after {size} bytes")
    return time.perf_counter() - started


def upload(endpoint: Endpoint) -> float:
    """Send 200 MiB on a new connection, wait for the 200, and return the seconds it took."""
    connection = connect(endpoint)
    chunks: Iterable[bytes] = itertools.repeat(bytes(CHUNK), SIZES["200m"] // CHUNK)
    headers = {**endpoint.headers, "Content-Length": str(SIZES["200m"])}
    started = time.perf_counter()
    try:
        connection.request("POST", "/post", body=chunks, headers=headers)
        response = connection.getresponse()
        response.read()
    except (OSError, http.client.HTTPException) as error:
        raise Refused(f"the upload failed: {named(error)}") from None
    finally:
        connection.close()
    if response.status != HTTPStatus.OK:
        raise Refused(f"the upload got status {response.status}")
    return time.perf_counter() - started


@contextmanager
def idle_connections(endpoint: Endpoint, count: int) -> Iterator[None]:
    """Keep connections open for the block that have made one GET each before."""
    with ExitStack() as stack:
        for _ in range(count):
            connection = connect(endpoint)
            stack.callback(connection.close)
            fetch(connection, endpoint)
        yield


def wait_until_served(endpoint: Endpoint, process: Process) -> None:
    """Ask in short intervals until a GET gets a 200; Refused if that never happens."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        connection = connect(endpoint, timeout_seconds=START_SECONDS)
        try:
            fetch(connection, endpoint)
        except Refused as refusal:
            if not process.is_alive():
                raise Refused(f"ended at its start: {process.last_words()}") from None
            if time.monotonic() > deadline:
                raise Refused(f"does not work: {refusal}") from None
            time.sleep(POLL_SECONDS)
        else:
            return
        finally:
            connection.close()
