"""A stand-in for the API of a cluster, enough for what templates look up in it."""

import contextlib
import json
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from tests.deploy.chart import Manifest

__all__ = ["cluster"]

_GROUPS: Final = {
    "apps/v1": {"deployments": "Deployment"},
    "autoscaling/v2": {"horizontalpodautoscalers": "HorizontalPodAutoscaler"},
}
_CONFIG: Final = """\
apiVersion: v1
kind: Config
current-context: test
clusters: [{{name: test, cluster: {{server: "http://127.0.0.1:{port}"}}}}]
contexts: [{{name: test, context: {{cluster: test, user: test}}}}]
users: [{{name: test, user: {{}}}}]
"""


def _discovery(path: str, version: str) -> dict[str, Any] | None:
    """Return what the API says of itself: its version, groups, and the resources of each."""
    if path == "/version":
        major, minor, _ = version.split(".")
        return {"major": major, "minor": minor, "gitVersion": f"v{version}"}
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/api/v1":
        return {"kind": "APIResourceList", "groupVersion": "v1", "resources": []}
    if path == "/apis":
        groups = [
            {
                "name": group.partition("/")[0],
                "versions": [{"groupVersion": group, "version": group.partition("/")[2]}],
            }
            for group in _GROUPS
        ]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
    if path.removeprefix("/apis/") in _GROUPS:
        group = path.removeprefix("/apis/")
        resources = [
            {"name": name, "kind": kind, "namespaced": True, "verbs": ["get", "list"]}
            for name, kind in _GROUPS[group].items()
        ]
        return {"kind": "APIResourceList", "groupVersion": group, "resources": resources}
    return None


def _object(path: str, objects: Sequence[Manifest]) -> Manifest | None:
    """Return the object of a path such as `/apis/apps/v1/namespaces/NAMESPACE/deployments/NAME`."""
    for found in objects:
        (plural,) = [p for p, kind in _GROUPS[found["apiVersion"]].items() if kind == found["kind"]]
        about = found["metadata"]
        place = f"/namespaces/{about['namespace']}/{plural}/{about['name']}"
        if path == f"/apis/{found['apiVersion']}{place}":
            return found
    return None


@contextlib.contextmanager
def cluster(*objects: Manifest, version: str = "1.36.0") -> Iterator[str]:
    """Have a cluster with these objects; return a kubeconfig for it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            found = _discovery(path, version) or _object(path, objects)
            body = json.dumps(found or {"kind": "Status", "code": 404, "reason": "NotFound"})
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name there)
            """Write nothing to the test's output."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield _CONFIG.format(port=server.server_port)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
