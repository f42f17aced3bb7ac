"""The collector, as the SDK's exporter calls it: what it responds is bounded, and read (O5)."""

from typing import Any, Final

import requests
from google.protobuf.message import DecodeError  # type: ignore[import-untyped] # it has no types
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

__all__ = ["CollectorSession"]

_MAX_BODY: Final = 64 * 1024  # bytes; a response says next to nothing
_REDIRECTS: Final = range(300, 400)
_SUCCESSES: Final = range(200, 300)


class _RedirectedError(requests.RequestException):
    """Spans went to an address that only names another one."""


class CollectorSession(requests.Session):
    """Remembers what came of the last call, of which the SDK tells only whether it failed.

    `last` is that in words of ours: no text of the other side is kept, only a status or a class.
    `rejected` is how many spans of a batch the collector did not take, though it took the rest.
    """

    def __init__(self) -> None:
        super().__init__()
        self.last = "nothing sent"
        self.rejected = 0

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        """Make a call as ever, but read no more of a body than is of use.

        A redirect, which the SDK does not follow and yet takes for a success, is an error.
        """
        self.rejected = 0
        try:
            response = super().request(*args, **{**kwargs, "stream": True})
        except Exception as error:
            if kwargs.get("timeout") != 0:  # the SDK calls once more where no time is left
                self.last = type(error).__name__
            raise
        self.last = f"status {response.status_code}"
        with response:
            body = _beginning(response)
        if response.status_code in _REDIRECTS:
            raise _RedirectedError(self.last)
        if response.status_code in _SUCCESSES:
            self.rejected = _rejected(body)
            if self.rejected:
                self.last = "partial success"
        return response

    def close(self) -> None:
        """Close every connection now; pools close theirs only once nothing refers to them."""
        for adapter in self.adapters.values():
            if isinstance(adapter, HTTPAdapter):
                for manager in (adapter.poolmanager, *adapter.proxy_manager.values()):
                    _close_all(manager.pools)
        super().close()


def _close_all(pools: Any) -> None:
    for key in pools.keys():  # noqa: SIM118 - it is no dict
        pool = pools.get(key)
        if pool is not None:
            pool.close()


def _beginning(response: requests.Response) -> bytes:
    """Return what is read of a body; whatever becomes of the rest, the status stands."""
    try:
        body: bytes = response.raw.read(_MAX_BODY, decode_content=True)
    except (HTTPError, OSError):
        return b""
    return body


def _rejected(body: bytes) -> int:
    """Return how many spans a response says were rejected; one that nobody can read says none."""
    try:
        rejected: int = ExportTraceServiceResponse.FromString(body).partial_success.rejected_spans
    except DecodeError:
        return 0
    return max(0, rejected)
