"""MOCK of the Signicat APIs: for development and tests, never for production (K).

An application of its own: it imports nothing of the proxy, so that the two
cannot share a mistake. It checks what Signicat checks (tokens, permissions,
HTTP rules), answers in the same shapes, and fails on demand.
"""

from proxy.mock.app import create_app
from proxy.mock.command import add_arguments, run
from proxy.mock.faults import Fault, FaultError, Faults
from proxy.mock.server import RunningMock, serve_mock
from proxy.mock.state import MockClient, MockSignicat

__all__ = [
    "Fault",
    "FaultError",
    "Faults",
    "MockClient",
    "MockSignicat",
    "RunningMock",
    "add_arguments",
    "create_app",
    "run",
    "serve_mock",
]
