"""The pods of the chart, really run: podman plays what Helm has rendered, the mock beside it.

podman 4.3 knows no native sidecars, and leaves Secrets encoded. What is changed for it stands in
`for_podman`; everything else is as in a cluster: users, rights, limits, mounts, loopback.
"""

import contextlib
import copy
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.deploy.chart import (
    GATEWAY_VALUES,
    SIDECAR_VALUES,
    Manifest,
    merged,
    only,
    render,
    render_application,
)
from tests.deploy.containers import IMAGE, Engine, until

SECRETS: Final = {
    "signicat-auth": "s3cret-of-auth",
    "signicat-sign": "s3cret-of-sign",
    "signicat-shop": "s3cret-of-shop",
}
MOCK_PORT: Final = 9090
MOCK_URL: Final = f"http://127.0.0.1:{MOCK_PORT}"
VALUES: Final = {
    "image": {
        "repository": IMAGE.partition(":")[0],
        "tag": IMAGE.partition(":")[2],
        "pullPolicy": "Never",
    },
    "settings": {"token_url": f"{MOCK_URL}/auth/open/connect/token", "upstream_url": MOCK_URL},
    "gateway": {"shutdownDelaySeconds": 1},
    "networkPolicy": {"egressPorts": [MOCK_PORT]},
}
ASK: Final = """
import json, sys, urllib.error, urllib.request
url, host = sys.argv[1:]
try:
    answer = urllib.request.urlopen(urllib.request.Request(url, headers={"Host": host}))
except urllib.error.HTTPError as error:
    answer = error
print(json.dumps([answer.status, answer.read().decode()]))
"""
NEW_SECRET: Final = "s3cret-that-is-new"
ROTATE: Final = """
import json, sys, urllib.request
url, secret = sys.argv[1:]
body = json.dumps({"secrets": [secret]}).encode()
request = urllib.request.Request(url, body, {"Content-Type": "application/json"}, method="PUT")
print(urllib.request.urlopen(request).status)
"""
ABOUT: Final = """
import json, os, pathlib
def refusal(path):
    try:
        open(path, "w")
    except OSError as error:
        return error.strerror
    return "none"
status = dict(line.split(":", 1) for line in open("/proc/1/status").read().splitlines())
memory = [pathlib.Path("/sys/fs/cgroup/memory.max"),
          pathlib.Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")]
print(json.dumps({
    "uid": status["Uid"].split(), "capabilities": status["CapEff"].strip(),
    "no new rights": status["NoNewPrivs"].strip(), "seccomp": status["Seccomp"].strip(),
    "memory": [path.read_text().strip() for path in memory if path.exists()],
    "write to root": refusal("/app/x"),
    "command line": open("/proc/1/cmdline").read().split("\\0"),
    "environment": list(os.environ.values()),
}))
"""


def mount_secret(folder: Path, source: dict[str, Any], group: int, text: str) -> None:
    """Write a Secret's volume as the kubelet does: a folder of this version, and links into it."""
    version = folder / f"..{len(list(folder.iterdir()))}"
    version.mkdir()
    (item,) = source["items"]
    file = version / item["path"]
    file.write_text(text, "utf-8")
    file.chmod(source["defaultMode"])
    os.chown(file, 0, group)
    (folder / "..data_tmp").symlink_to(version.name)
    (folder / "..data_tmp").replace(folder / "..data")
    if not (folder / item["path"]).is_symlink():
        (folder / item["path"]).symlink_to(f"..data/{item['path']}")


def for_podman(pod: dict[str, Any], secrets: Path) -> dict[str, Any]:
    """Return a pod as podman can play it, with the mock in the application's place.

    The sidecar is an ordinary container, since podman would wait for an init container to end;
    probes and ports go, since podman would publish the ports on every address of the machine.
    Secrets are folders of the host, filled as the kubelet fills them.
    """
    pod = copy.deepcopy(pod)
    (proxy,) = pod.pop("initContainers", pod["containers"])
    for name in ("restartPolicy", "startupProbe", "livenessProbe", "readinessProbe", "ports"):
        proxy.pop(name, None)
    group = pod.get("securityContext", {}).get("fsGroup", 0)
    for volume in pod["volumes"]:
        if "secret" in volume:
            source = volume.pop("secret")
            folder = secrets / source["secretName"]
            folder.mkdir()
            mount_secret(folder, source, group, SECRETS[source["secretName"]] + "\n")
            volume["hostPath"] = {"path": str(folder), "type": "Directory"}
    arguments = [
        f"--client=sandbox-{name.removeprefix('signicat-')}:{secret}"
        for name, secret in SECRETS.items()
    ]
    mock = {
        "name": "mock",
        "image": IMAGE,
        "args": ["mock", f"--listen=127.0.0.1:{MOCK_PORT}", *arguments],
        "securityContext": proxy["securityContext"],
    }
    names = ("containers", "volumes", "securityContext", "terminationGracePeriodSeconds")
    return {**{name: pod[name] for name in names if name in pod}, "containers": [proxy, mock]}


class Pod:
    """A pod that runs."""

    def __init__(self, engine: Engine, name: str, secrets: Path) -> None:
        self.engine = engine
        self.name = name
        self.secrets = secrets
        self.proxy = f"{name}-signicat-proxy"

    def python(self, container: str, program: str, *arguments: str) -> Any:
        """Return what a Python program in a container has printed as JSON."""
        command = ("podman", "exec", container, "python", "-c", program, *arguments)
        return json.loads(self.engine.run(*command))

    def get(self, url: str, host: str = "localhost") -> tuple[int, str]:
        """Ask from the application's container; return status and body."""
        status, body = self.python(f"{self.name}-mock", ASK, url, host)
        return status, body

    def wait_until_ready(self) -> None:
        """Ask the way a readiness probe does."""
        command = ("podman", "exec", self.proxy, "signicat-proxy", "health", "--ready", "--wait=60")
        self.engine.run(*command)


@contextlib.contextmanager
def played(engine: Engine, folder: Path, name: str, manifests: list[Manifest]) -> Iterator[Pod]:
    """Play the Deployment's pod with its ConfigMaps and Secrets, in a network of its own."""
    spec = for_podman(only(manifests, "Deployment")["spec"]["template"]["spec"], folder)
    documents = [
        *(manifest for manifest in manifests if manifest["kind"] == "ConfigMap"),
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec},
    ]
    file = folder / "pod.yaml"
    file.write_text(yaml.safe_dump_all(documents), "utf-8")
    try:
        engine.run("podman", "kube", "play", "--network", "none", str(file))
        pod = Pod(engine, name, folder)
        try:
            pod.wait_until_ready()
        except AssertionError as error:
            error.add_note(engine.output(pod.proxy))
            raise
        yield pod
    finally:
        engine.run("podman", "pod", "rm", "--force", "--time", "0", name, check=False)


@pytest.fixture(scope="module")
def sidecar(engine: Engine, image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    """Run the example application's pod."""
    assert image == IMAGE
    values = {**VALUES, "clients": {"shop": {"clientId": "sandbox-shop"}}}
    manifests = render_application(merged(SIDECAR_VALUES, values))
    with played(engine, tmp_path_factory.mktemp("sidecar"), "sidecar", manifests) as pod:
        yield pod


@pytest.fixture(scope="module")
def gateway(engine: Engine, image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    """Run a pod of the gateway, with two clients."""
    assert image == IMAGE
    clients = {name: {"clientId": f"sandbox-{name}"} for name in ("auth", "sign")}
    manifests = render(merged(GATEWAY_VALUES, {**VALUES, "clients": clients}))
    with played(engine, tmp_path_factory.mktemp("gateway"), "gateway", manifests) as pod:
        yield pod


@pytest.mark.parametrize(("name", "memory"), [("sidecar", 128), ("gateway", 256)])
def test_it_runs_with_the_rights_of_the_manifest(
    request: pytest.FixtureRequest, name: str, memory: int
) -> None:
    """Uid 10001, no capability, seccomp, a read-only root, the memory limit; and no secret told."""
    pod = request.getfixturevalue(name)
    about = pod.python(pod.proxy, ABOUT)
    told = " ".join([*about.pop("command line"), *about.pop("environment")])
    assert not [secret for secret in SECRETS.values() if secret in told]
    assert about == {
        "uid": ["10001"] * 4,
        "capabilities": "0" * 16,
        "no new rights": "1",
        "seccomp": "2",
        "memory": [str(memory * 1024 * 1024)],
        "write to root": "Read-only file system",
    }


def test_the_application_calls_over_loopback(sidecar: Pod) -> None:
    """The mock, which answers nobody without a token, answers the application through it."""
    assert sidecar.get(f"{MOCK_URL}/sign/signing-sessions")[0] == 401
    assert sidecar.get("http://localhost:8080/sign/signing-sessions")[0] == 200


def test_the_gateway_answers_to_its_service(gateway: Pod) -> None:
    """The Service's names are allowed in Host; every other is refused."""
    url = "http://127.0.0.1:8080/sign/signing-sessions"
    assert gateway.get(url, "demo-signicat-proxy.prod")[0] == 200
    assert gateway.get(url, "demo-signicat-proxy.prod.svc.cluster.local:80")[0] == 200
    status, body = gateway.get(url, "rebound.example.com")
    assert (status, json.loads(body)["code"]) == (421, "host_not_allowed")


def test_each_client_of_the_gateway_has_its_token(gateway: Pod) -> None:
    """Both Secrets are used, and a path under no route is nobody's."""
    status, body = gateway.get("http://127.0.0.1:8081/readyz", "10.0.0.1:8081")
    assert status == 200
    clients = json.loads(body)["clients"]
    assert {name: client["state"] for name, client in clients.items()} == {
        "auth": "ready",
        "sign": "ready",
    }
    status, body = gateway.get("http://127.0.0.1:8080/information/countries")
    assert (status, json.loads(body)["code"]) == (404, "no_route")


def test_a_rotated_secret_is_used_without_a_restart(sidecar: Pod) -> None:
    """When the kubelet swaps the folder, a token is got with the new secret at once (T7)."""
    pod = only(render_application(SIDECAR_VALUES), "Deployment")["spec"]["template"]["spec"]
    (source,) = [volume["secret"] for volume in pod["volumes"] if "secret" in volume]
    secrets = sidecar.secrets / source["secretName"]
    url = f"{MOCK_URL}/__mock__/clients/sandbox-shop/secrets"
    assert sidecar.python(f"{sidecar.name}-mock", ROTATE, url, NEW_SECRET) < 300
    mount_secret(secrets, source, 0, NEW_SECRET)

    def granted() -> int:
        events = map(json.loads, sidecar.engine.output(sidecar.proxy).splitlines())
        return sum(e["event"] == "token_request" and e["outcome"] == "ok" for e in events)

    until(lambda: granted() == 2, "a token with the new secret", 30)
    assert "new_secret_refused" not in sidecar.engine.output(sidecar.proxy)
    assert sidecar.get("http://localhost:8080/sign/signing-sessions")[0] == 200


@pytest.mark.parametrize("name", ["sidecar", "gateway"])
def test_the_settings_in_force_show_where_they_are_from(
    request: pytest.FixtureRequest, name: str
) -> None:
    """`signicat-proxy config` in the pod, as the page on Kubernetes has it, shows no secret."""
    pod = request.getfixturevalue(name)
    text = pod.engine.run("podman", "exec", pod.proxy, "signicat-proxy", "config")
    assert MOCK_URL in text
    assert not [secret for secret in SECRETS.values() if secret in text]


@pytest.mark.parametrize("name", ["sidecar", "gateway"])
def test_check_finds_nothing_wrong(request: pytest.FixtureRequest, name: str) -> None:
    """`signicat-proxy check` in the running pod, as the notes of the chart have it, is content."""
    pod = request.getfixturevalue(name)
    done = pod.engine.attempt("podman", "exec", pod.proxy, "signicat-proxy", "check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("in use by a signicat-proxy that is running") == 2


@pytest.mark.parametrize(("name", "grace"), [("sidecar", 10), ("gateway", 35)])
def test_it_stops_cleanly_within_its_grace(
    request: pytest.FixtureRequest, name: str, grace: int
) -> None:
    """Told to stop, the proxy ends with 0; the log holds no secret. Last, since it ends the pod."""
    pod = request.getfixturevalue(name)
    pod.engine.run("podman", "stop", "--time", str(grace), pod.proxy)
    assert pod.engine.exit_code(pod.proxy) == 0
    log = pod.engine.output(pod.proxy)
    assert '"event": "stopped"' in log
    assert not [secret for secret in SECRETS.values() if secret in log]
