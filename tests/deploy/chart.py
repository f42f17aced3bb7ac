"""The Helm chart as the tests see it: rendered manifests, and the table of its values."""

import copy
import functools
import json
import re
import shutil
import tempfile
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import helm_python as helm
import yaml

from proxy.settings.model import Settings
from tests.support.source_tree import ROOT

__all__ = [
    "CHART",
    "DEFAULTS",
    "EXAMPLE",
    "GATEWAY_VALUES",
    "SCHEMA",
    "SIDECAR_VALUES",
    "application_chart",
    "described_values",
    "documents",
    "merged",
    "notes",
    "only",
    "render",
    "render_application",
    "written_readme",
    "written_schema",
]

Manifest = dict[str, Any]

CHART: Final = ROOT / "helm" / "signicat-proxy"
_APPLICATION: Final = CHART / "examples" / "application"
_KEY: Final = re.compile(r"^( *)([A-Za-z][A-Za-z0-9]*):")
_HEADING: Final = "# == "
_LINK: Final = re.compile(r"\[([^]]*)]\([^)]*\)")


def _assert_keys_differ(node: Any) -> None:
    """See that no table has a key twice: Kubernetes' tools refuse it, PyYAML takes the last one."""
    if isinstance(node, yaml.MappingNode):
        keys = [key.value for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"a key stands twice{node.start_mark}"
        for _, value in node.value:
            _assert_keys_differ(value)
    elif isinstance(node, yaml.SequenceNode):
        for entry in node.value:
            _assert_keys_differ(entry)


def documents(text: str) -> list[Manifest]:
    """Return the documents of a YAML stream, without empty ones."""
    for node in yaml.compose_all(text, yaml.SafeLoader):
        _assert_keys_differ(node)
    return [document for document in yaml.safe_load_all(text) if document]


def _values(path: Path) -> Manifest:
    (values,) = documents(path.read_text(encoding="utf-8"))
    return values


DEFAULTS: Final = _values(CHART / "values.yaml")
"""The chart's own values."""

SCHEMA: Final[Manifest] = json.loads((CHART / "values.schema.json").read_text("utf-8"))
"""The schema of its values."""

GATEWAY_VALUES: Final = _values(CHART / "examples" / "gateway-values.yaml")
"""Values that make a gateway for two clients."""

SIDECAR_VALUES: Final = _values(_APPLICATION / "values.yaml")["signicat-proxy"]
"""Values that make the sidecar of the example."""

EXAMPLE: Final = CHART / "examples" / "sidecar.yaml"
"""The same sidecar by hand, for Deployments that no chart makes."""


def merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Return `first` with `second` over it, tables merged as Helm merges them."""
    result = dict(first)
    for key, value in second.items():
        old = result.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        result[key] = merged(old, value) if both else value  # type: ignore[arg-type]
    return result


def application_chart(folder: Path) -> Path:
    """Make in `folder` the example application's chart with this chart as its part."""
    target = folder / "shop"
    shutil.copytree(_APPLICATION, target)
    shutil.copytree(
        CHART, target / "charts" / CHART.name, ignore=shutil.ignore_patterns("examples")
    )
    return target


def render(
    values: Mapping[str, Any], *, name: str = "demo", namespace: str = "prod"
) -> list[Manifest]:
    """Return the manifests that Helm makes of the chart, in the order of files and documents.

    Raises `helm_python.HelmError` for values that the chart refuses.
    """
    return _rendered(CHART, values, name, namespace)


def render_application(
    values: Mapping[str, Any],
    *,
    namespace: str = "prod",
    template: str = "",
    own: Mapping[str, Any] | None = None,
) -> list[Manifest]:
    """Return the manifests of the example application's chart; `values` are for this chart.

    `template` stands in place of the application's Deployment; `own` are its own values.
    """
    with tempfile.TemporaryDirectory() as folder:
        chart = application_chart(Path(folder))
        if template:
            (chart / "templates" / "deployment.yaml").write_text(template, encoding="utf-8")
        return _rendered(chart, {**(own or {}), CHART.name: values}, "demo", namespace)


def _rendered(path: Path, values: Mapping[str, Any], name: str, namespace: str) -> list[Manifest]:
    with helm.Chart.load(path) as chart:
        files = chart.render(dict(values), name=name, namespace=namespace)
    return [
        document
        for file, text in sorted(files.items())
        if file.endswith(".yaml")
        for document in documents(text)
    ]


def only(manifests: Sequence[Manifest], kind: str) -> Manifest:
    """Return the one manifest of a kind."""
    (found,) = [manifest for manifest in manifests if manifest["kind"] == kind]
    return found


def notes(values: Mapping[str, Any]) -> str:
    """Return what Helm tells the user after an install."""
    with helm.Config(namespace="prod", storage_driver="memory") as config:
        release = config.install(CHART, "demo", dict(values), dry_run="client")
    text = release["notes"]
    assert isinstance(text, str)
    return text


def _commented(lines: Sequence[str]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the path of each key with the text of the `# --` comment above it.

    A heading, a `# ==` comment, comes with an empty path.
    """
    path: list[str] = []
    text = ""
    for line in lines:
        stripped = line.strip()
        if line.startswith(_HEADING):
            yield (), line.removeprefix(_HEADING)
        elif stripped.startswith("# --"):
            text = stripped.removeprefix("# --").strip()
        elif match := _KEY.match(line):
            path[len(match[1]) // 2 :] = [match[2]]
            if text:
                yield tuple(path), text
            text = ""


def _comments() -> list[tuple[tuple[str, ...], str]]:
    return list(_commented((CHART / "values.yaml").read_text(encoding="utf-8").splitlines()))


def described_values() -> dict[tuple[str, ...], str]:
    """Return what the comments in values.yaml say, by the path of the value."""
    return {path: text for path, text in _comments() if path}


def _value_tables() -> str:
    """Return a table for each heading; a value has a row where nothing in it has one."""
    described = described_values()
    parents = {path[:length] for path in described for length in range(1, len(path))}
    parts: list[str] = []
    for path, text in _comments():
        if not path:
            parts.append(f"\n### {text}\n\n| value | default | meaning |\n|---|---|---|")
        elif path not in parents:
            value = functools.reduce(lambda table, key: table[key], path, DEFAULTS)
            parts.append(f"| `{'.'.join(path)}` | `{json.dumps(value)}` | {text} |")
    return "\n".join(parts).strip()


def _setting_list() -> str:
    names = SCHEMA["definitions"]["settings"]["properties"]
    return textwrap.fill(", ".join(f"`{name}`" for name in names) + ".", 98, break_on_hyphens=False)


def _with_descriptions(
    schema: Manifest, values: Mapping[str, Any], path: tuple[str, ...]
) -> Manifest:
    """Return the schema of a table with what values.yaml says of each value in it.

    Helm takes away a default for which null is given, so what may be null is not required.
    """
    described = described_values()
    properties = {}
    for name, inner in schema["properties"].items():
        here = (*path, name)
        rest = {key: rule for key, rule in inner.items() if key != "description"}
        if "properties" in rest:
            rest = _with_descriptions(rest, values.get(name, {}), here)
        text = _LINK.sub(r"\1", described.get(here, inner.get("description", "")))
        properties[name] = {"description": text, **rest}
    required = sorted(
        name for name in values if name in properties and not _takes_null(properties[name])
    )
    rest = {key: rule for key, rule in schema.items() if key != "required"}
    return {**rest, "properties": properties, "required": required}


def _takes_null(schema: Manifest) -> bool:
    name = schema.get("$ref", "").removeprefix("#/definitions/")
    return "null" in (SCHEMA["definitions"][name] if name else schema).get("type", ())


def written_schema() -> Manifest:
    """Return the schema with its generated parts as they should be.

    Those are the descriptions of what values.yaml and the proxy describe, and what is required.
    """
    schema = copy.deepcopy(_with_descriptions(SCHEMA, DEFAULTS, ()))
    schema["definitions"]["settings"]["properties"] = {
        name: {**rules, "description": Settings.model_fields[name].description}
        for name, rules in schema["definitions"]["settings"]["properties"].items()
    }
    return schema


def written_readme() -> str:
    """Return README.md with its generated parts as they should be."""
    text = (CHART / "README.md").read_text(encoding="utf-8")
    for part, content in (("settings", _setting_list()), ("values", _value_tables())):
        begin = f"<!-- {part}: begin (written by `make chart-readme`) -->"
        end = f"<!-- {part}: end -->"
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = f"{before}{begin}\n\n{content}\n\n{end}{after}"
    return text


if __name__ == "__main__":
    (CHART / "README.md").write_text(written_readme(), encoding="utf-8")
    (CHART / "values.schema.json").write_text(
        json.dumps(written_schema(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
