"""The pod of `helm test`: what it is allowed, and what it finds out."""

import asyncio
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any, Final

import kubernetes_validate
import pytest

from tests.deploy.chart import GATEWAY_VALUES, Manifest, merged, only, render
from tests.deploy.network_policy import Pod, lets_in, selects
from tests.deploy.scene import CLIENT, scene
from tests.support.running_proxy import environment
from tests.support.waiting import within

SERVICE: Final = "demo-signicat-proxy.prod.svc.cluster.local"


def rendered(values: dict[str, Any] | None = None) -> list[Manifest]:
    """Return a gateway with these values; its test pod is valid."""
    found = render(merged(GATEWAY_VALUES, values or {}))
    for version in ("1.29", kubernetes_validate.latest_version()):
        kubernetes_validate.validate(only(found, "Pod"), version, strict=True)
    return found


def containers(pod: Manifest) -> dict[str, dict[str, Any]]:
    """Return its containers by name, in their order."""
    spec = pod["spec"]
    return {c["name"]: c for c in [*spec.get("initContainers", []), *spec["containers"]]}


def added(pod: Manifest) -> dict[str, str]:
    """Return the variables that the second container has and the first has not."""
    check, call = containers(pod).values()
    assert [entry for entry in check["env"] if entry not in call["env"]] == []
    return {entry["name"]: entry["value"] for entry in call["env"] if entry not in check["env"]}


def test_it_is_a_hook_that_no_service_finds() -> None:
    """Helm runs it on `helm test` alone, and it never gets a request or a scrape."""
    manifests = rendered()
    pod = only(manifests, "Pod")
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    assert pod["spec"]["restartPolicy"] == "Never"
    labels = pod["metadata"]["labels"]
    for manifest in manifests:
        selector = manifest["spec"].get("selector") if "spec" in manifest else None
        if manifest["kind"] == "Service":
            assert not selects({"matchLabels": selector}, labels)
        elif selector:
            assert not selects(selector, labels)
    off = {"helmTest": {"enabled": False}}
    assert "Pod" not in {m["kind"] for m in render(merged(GATEWAY_VALUES, off))}


def test_it_is_a_caller_and_runs_as_the_gateway_does() -> None:
    """The policy lets it in for its label alone; it has the gateway's image, rights and secrets."""
    manifests = rendered()
    pod, policy = only(manifests, "Pod"), only(manifests, "NetworkPolicy")
    labels = pod["metadata"]["labels"]
    assert lets_in(policy, Pod("prod", labels), 8080)
    without = {key: value for key, value in labels.items() if key != "signicat-proxy-client"}
    assert not lets_in(policy, Pod("prod", without), 8080)
    gateway = only(manifests, "Deployment")["spec"]["template"]["spec"]
    (proxy,) = gateway["containers"]
    for container in containers(pod).values():
        for key in ("image", "securityContext", "volumeMounts", "terminationMessagePolicy"):
            assert container[key] == proxy[key]
        assert container["args"] == ["check"]
        assert container["resources"]["limits"]["memory"] == "128Mi"
        assert "ports" not in container
        assert not any(key.endswith("Probe") for key in container)
    assert pod["spec"]["securityContext"] == gateway["securityContext"]
    assert pod["spec"]["volumes"] == gateway["volumes"]


def test_it_runs_where_the_gateway_does() -> None:
    """On tainted nodes nothing else is scheduled, and a name of `hostAliases` is no DNS's."""
    values = {
        "dnsConfig": {"options": [{"name": "ndots", "value": "1"}]},
        "hostAliases": [{"ip": "192.0.2.1", "hostnames": ["egress.test"]}],
        "nodeSelector": {"pool": "egress"},
        "tolerations": [{"key": "egress", "operator": "Exists"}],
    }
    manifests = rendered({"gateway": values})
    gateway = only(manifests, "Deployment")["spec"]["template"]["spec"]
    spec = only(manifests, "Pod")["spec"]
    assert {key: spec[key] for key in values} == values == {key: gateway[key] for key in values}


def test_the_second_call_goes_through_the_service() -> None:
    """Only the upstream is another; a CONNECT proxy would not find the Service."""
    pod = only(rendered({"settings": {"no_proxy": ["a.test"]}}), "Pod")
    assert list(containers(pod)) == ["check", "call"]
    assert added(pod) == {
        "SIGNICAT_PROXY_UPSTREAM_URL": f"http://{SERVICE}:80",
        "SIGNICAT_PROXY_UNSAFE_PLAIN_HTTP": "true",
        "SIGNICAT_PROXY_NO_PROXY": f"a.test,{SERVICE}",
    }


@pytest.mark.parametrize(
    ("policy", "names"),
    [
        ({"callerNamespaces": ["shop"]}, ["check"]),
        ({"callerNamespaces": ["shop", "prod"]}, ["check", "call"]),
        ({"callerNamespaces": ["shop"], "enabled": False}, ["check", "call"]),
    ],
)
def test_it_calls_only_where_callers_may_be(policy: dict[str, Any], names: list[str]) -> None:
    """Where the namespace of the release is none of theirs, it would fail whatever is right."""
    assert list(containers(only(rendered({"networkPolicy": policy}), "Pod"))) == names


async def checked(folder: Path, environ: dict[str, str]) -> tuple[int | None, str]:
    """Run `check`, and return its exit code and what it says."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "proxy", "check"), cwd=folder, env=environ, stdout=PIPE
    )
    output, _ = await within(process.communicate(), "the check", 40)
    return process.returncode, output.decode()


async def test_the_check_goes_through_a_proxy(tmp_path: Path) -> None:
    """With the proxy's address in place of Signicat's it succeeds, and fails where that does."""
    variables = added(only(rendered(), "Pod"))
    async with scene(tmp_path / "scene") as running:
        port, _ = await running.process.ports()
        environ = environment(
            upstream="http://unused.test",
            token_url=f"{running.mock_url}/auth/open/connect/token",
            client_id=CLIENT,
            client_secret_file=running.secret,
            listen="127.0.0.1:0",
            admin_listen="127.0.0.1:0",
        )
        through = variables | {"SIGNICAT_PROXY_UPSTREAM_URL": f"http://127.0.0.1:{port}"}
        code, text = await checked(tmp_path, environ | through)
        assert code == 0, text
        running.process.interrupt()
        assert await running.process.ended() == 0
        code, text = await checked(tmp_path, environ | through)
        assert code == 1, text
