"""The addon that makes mitmproxy an authenticating proxy: the token as a fixed header."""

import os

from mitmproxy.http import HTTPFlow

__all__ = ["request"]


def request(flow: HTTPFlow) -> None:
    """Set the header; called by mitmproxy for every request."""
    flow.request.headers["Authorization"] = f"Bearer {os.environ['TOKEN']}"
