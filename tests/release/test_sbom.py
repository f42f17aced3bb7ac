"""The SBOM lists what is locked for the proxy, and nothing else of the environment."""

from typing import Any, Final

import pytest

from release.errors import ReleaseError
from release.sbom import locked_only, locked_versions

LOCK: Final = """\
aiohttp==3.14.5 \\
    --hash=sha256:0133
    # via signicat-proxy (pyproject.toml)
opentelemetry-exporter-http-transport[requests]==0.66b2 ; sys_platform == 'linux' \\
    --hash=sha256:0133
typing-extensions==4.16.0 \\
    --hash=sha256:0133
"""
LOCKED: Final = {
    "aiohttp": "3.14.5",
    "opentelemetry-exporter-http-transport": "0.66b2",
    "typing-extensions": "4.16.0",
}


def part(name: str, version: str) -> dict[str, str]:
    """Return a component as cyclonedx-py writes it."""
    return {"bom-ref": f"{name}=={version}", "name": name, "version": version}


def environment(*, typing: str = "4.16.0") -> dict[str, Any]:
    """Return the list of an environment in which there is a tool of the tests, too."""
    return {
        "bomFormat": "CycloneDX",
        "metadata": {"component": {"bom-ref": "root-component", "name": "signicat-proxy"}},
        "components": [
            part("aiohttp", "3.14.5"),
            part("pytest", "9.2.0"),
            part("typing_extensions", typing),
            part("opentelemetry-exporter-http-transport", "0.66b2"),
        ],
        "dependencies": [
            {"ref": "root-component", "dependsOn": ["aiohttp==3.14.5"]},
            {"ref": "aiohttp==3.14.5", "dependsOn": ["typing_extensions==4.16.0", "pytest==9.2.0"]},
            {"ref": "pytest==9.2.0", "dependsOn": ["aiohttp==3.14.5"]},
            {"ref": "typing_extensions==4.16.0"},
        ],
    }


def test_a_lock_file_names_versions() -> None:
    """Extras, markers, hashes and comments are no part of them."""
    assert locked_versions(LOCK) == LOCKED


def test_what_is_not_locked_is_left_out() -> None:
    """Also where others depend on it; spellings of a name are one name."""
    sbom = locked_only(environment(), LOCKED, "1.2.3")
    assert {entry["name"] for entry in sbom["components"]} == {
        "aiohttp",
        "opentelemetry-exporter-http-transport",
        "typing_extensions",
    }
    assert sbom["dependencies"] == [
        {"ref": "root-component", "dependsOn": ["aiohttp==3.14.5"]},
        {"ref": "aiohttp==3.14.5", "dependsOn": ["typing_extensions==4.16.0"]},
        {"ref": "typing_extensions==4.16.0", "dependsOn": []},
    ]


def test_it_is_of_one_version_of_ours() -> None:
    """As package indexes name it."""
    ours = locked_only(environment(), LOCKED, "1.2.3")["metadata"]["component"]
    assert (ours["version"], ours["purl"]) == ("1.2.3", "pkg:pypi/signicat-proxy@1.2.3")


def test_an_environment_that_is_not_the_locked_one_has_none() -> None:
    """Another version, or one that is missing, is named once."""
    with pytest.raises(ReleaseError, match=r"^not installed as locked: typing-extensions; run"):
        locked_only(environment(typing="4.15.0"), LOCKED, "1.2.3")
    with pytest.raises(ReleaseError, match=r"^not installed as locked: uvloop; run"):
        locked_only(environment(), {**LOCKED, "uvloop": "0.23.0"}, "1.2.3")
