"""Kubernetes' service links: told from typing errors by name and value, warned of once."""

import json
from pathlib import Path

import pytest

from proxy.settings.errors import ConfigurationError
from proxy.settings.loader import load
from proxy.settings.names import PREFIX
from proxy.settings.risks import risks_of
from proxy.settings.service_links import service_links
from tests.support.proxy_process import command
from tests.support.running_proxy import environment

# What a kubelet sets for a Service `signicat-proxy` with two ports, one of them named.
OF_A_SERVICE = {
    "SERVICE_HOST": "10.96.3.7",
    "SERVICE_PORT": "8080",
    "SERVICE_PORT_HTTP": "8080",
    "SERVICE_PORT_ADMIN_2": "8081",
    "PORT": "tcp://10.96.3.7:8080",
    "PORT_8080_TCP": "tcp://10.96.3.7:8080",
    "PORT_8080_TCP_PROTO": "tcp",
    "PORT_8080_TCP_PORT": "8080",
    "PORT_8080_TCP_ADDR": "10.96.3.7",
    "PORT_8081_UDP": "udp://10.96.3.7:8081",
    "PORT_8081_UDP_PROTO": "udp",
}
OF_IPV6 = {
    "SERVICE_HOST": "fd00:10:96::a",
    "PORT": "tcp://[fd00:10:96::a]:8080",
    "PORT_8080_TCP_ADDR": "fd00:10:96::a",
}
NO_LINKS = {
    "SERVICE_HOST": "api.signicat.com",
    "SERVICE_HOSTS": "10.96.3.7",
    "SERVICE_PORT": "http",
    "SERVICE_PORT_": "80",
    "PORT": "8080",
    "PORT_8080_TCP": "tcp://10.96.3.7:8081",
    "PORT_8081_TCP": "udp://10.96.3.7:8081",
    "PORT_8082_TCP": "tcp://10.96.3.700:8082",
    "PORT_8083_TCP_PORT": "8084",
    "PORT_8083_TCP_PROTO": "udp",
    "PORT_8084_TCP_PROTO": "TCP",
    "PORT_8085_TCP_ADDR": "",
    "PORT_8086_TCP_NAME": "/a/b",
    "PORT_8087_ICMP": "icmp://10.96.3.7:8087",
    "GATEWAY_PORT": "http://10.96.3.7:80",
    "gateway_SERVICE_HOST": "10.96.3.7",
    "_SERVICE_HOST": "10.96.3.7",
    "READ_TIMEOUT": "5",
    "SERVICE_PORT_HTTP": "99999",
}


def prefixed(variables: dict[str, str], service: str = "") -> dict[str, str]:
    """Return variables as a Service makes them that is called `signicat-proxy` and more."""
    return {f"{PREFIX}{service}{name}": value for name, value in variables.items()}


@pytest.mark.parametrize("variables", [OF_A_SERVICE, OF_IPV6])
@pytest.mark.parametrize("service", ["", "GATEWAY_", "MY_2ND_GATEWAY_"])
def test_service_links_are_known(variables: dict[str, str], service: str) -> None:
    """Whatever the Service is called behind the beginning that it shares with the settings."""
    links = prefixed(variables, service)
    assert service_links(links) == tuple(sorted(links))


@pytest.mark.parametrize(("name", "value"), NO_LINKS.items())
def test_nothing_else_passes_as_one(tmp_path: Path, name: str, value: str) -> None:
    """Where name or value are of another form, it is a typing error as before."""
    variables = {PREFIX + name: value}
    assert service_links(variables) == ()
    environ = environment(upstream="https://a.test", token_url="https://a.test/t") | variables
    with pytest.raises(ConfigurationError) as caught:
        load(environ=environ, directory=tmp_path)
    (error,) = caught.value.errors
    assert error.setting == PREFIX + name
    assert error.message.startswith("is no setting")


def test_they_are_no_settings_of_a_file(tmp_path: Path) -> None:
    """Kubernetes writes no `.env`: there they are typing errors."""
    (tmp_path / ".env").write_text(f"{PREFIX}SERVICE_HOST=10.96.3.7\n")
    environ = environment(upstream="https://a.test", token_url="https://a.test/t")
    with pytest.raises(ConfigurationError, match="SERVICE_HOST: is no setting"):
        load(environ=environ, directory=tmp_path)


def test_one_warning_names_the_remedy(tmp_path: Path) -> None:
    """However many there are; other variables of Kubernetes are none of our business."""
    links = prefixed(OF_A_SERVICE) | prefixed(OF_IPV6, "GATEWAY_")
    others = {"SIGNICAT_SERVICE_HOST": "10.96.3.7", "KUBERNETES_PORT": "tcp://10.96.0.1:443"}
    environ = environment(upstream="https://a.test", token_url="https://a.test/t")
    loaded = load(environ=environ | links | others, directory=tmp_path)
    (risk,) = risks_of(loaded.settings)
    assert risk.event == "service_links_ignored"
    assert "enableServiceLinks: false" in risk.hint
    assert risk.setting in links
    assert not [name for name in loaded.origins if "service" in name]


async def test_check_says_it_too(tmp_path: Path) -> None:
    """A warning of `check` with its own fix, and the check goes on."""
    environ = environment(upstream="http://127.0.0.1:9", token_url="http://127.0.0.1:9/t")
    environ |= prefixed(OF_A_SERVICE)
    code, out, _ = await command("check", "--json", directory=tmp_path, environ=environ)
    (result, *_) = [found for found in json.loads(out) if found["state"] == "warning"]
    assert (code, result["id"]) == (1, "settings")
    assert "enableServiceLinks: false" in result["fix"]
