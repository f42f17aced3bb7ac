"""values.schema.json refuses every wrong value, the templates what is wrong together."""

import copy
import json
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import helm_python as helm
import pytest

from tests.deploy.chart import (
    CHART,
    DEFAULTS,
    GATEWAY_VALUES,
    SCHEMA,
    SIDECAR_VALUES,
    merged,
    render,
    render_application,
)
from tests.deploy.chart_cases import FULL

WRONG_TYPES: Final[dict[str, list[Any]]] = {
    "string": [7, True, ["text"], {"a": "b"}],
    "integer": ["7", 1.5, True, [7]],
    "number": ["7", True],
    "boolean": ["true", 1],
    "array": ["a,b", {"0": "a"}],
    "object": ["text", ["a"]],
}


class Violation(NamedTuple):
    """A value that breaks one rule, and where it stands."""

    where: tuple[str | int, ...]
    rule: str
    value: Any

    def __str__(self) -> str:
        """Name the test."""
        path = ".".join(
            ascii(name)[1:-1][:20] if isinstance(name, str) else "0" for name in self.where
        )
        return f"{path}-{self.rule}-{json.dumps(self.value)[:20]}"


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """Follow a `$ref`."""
    name = schema.get("$ref", "").removeprefix("#/definitions/")
    return SCHEMA["definitions"][name] if name else schema


def scalar_violations(schema: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield what breaks each rule that one value has."""
    yield from (("type", value) for value in WRONG_TYPES[schema["type"]])
    if "enum" in schema:
        yield "enum", "nonsense"
    if "minimum" in schema:
        yield "minimum", schema["minimum"] - 1
    if "exclusiveMinimum" in schema:
        yield "exclusiveMinimum", schema["exclusiveMinimum"]
    if "maximum" in schema:
        yield "maximum", schema["maximum"] + 1
    if "maxLength" in schema:
        yield "maxLength", "a" * (schema["maxLength"] + 1)
    if "pattern" in schema:
        yield from (("pattern", value) for value in ("é", "a\n"))
    yield from (("not", value) for value in schema.get("not", {}).get("enum", ()))


def violations(schema: dict[str, Any], value: Any, where: tuple[str | int, ...]) -> Iterator[Any]:
    """Yield what breaks each rule of a schema and of everything in it; `value` is valid."""
    schema = resolved(schema)
    yield from (Violation(where, rule, bad) for rule, bad in scalar_violations(schema) if where)
    if schema["type"] == "array":
        if schema.get("uniqueItems"):
            yield Violation(where, "uniqueItems", [*value, value[0]])
        if schema.get("minItems"):
            yield Violation(where, "minItems", [])
        yield from violations(schema["items"], value[0], (*where, 0))
    if schema["type"] == "object":
        yield from object_violations(schema, value, where)


def object_violations(
    schema: dict[str, Any], value: Any, where: tuple[str | int, ...]
) -> Iterator[Any]:
    """Yield what breaks each rule of a table: known names, patterns, what must be there."""
    for name in schema.get("required", ()):
        yield Violation((*where, name), "required", None)
    for name, inner in schema.get("properties", {}).items():
        yield from violations(inner, value[name], (*where, name))
    if schema.get("additionalProperties") is False:
        yield Violation((*where, "unknownKey"), "additionalProperties", "x")
    elif "additionalProperties" in schema:
        name = next(iter(value))
        for rule, bad in scalar_violations(resolved(schema["propertyNames"])):
            if rule != "type":
                yield Violation((*where, bad), f"propertyNames {rule}", value[name])
        yield from violations(schema["additionalProperties"], value[name], (*where, name))


VIOLATIONS: Final = tuple(violations(SCHEMA, FULL, ()))


def changed(violation: Violation) -> dict[str, Any]:
    """Return the full values with one of them wrong.

    Helm takes a default away where it finds null; clients and routes have none.
    """
    values = copy.deepcopy(FULL)
    inner: Any = values
    for name in violation.where[:-1]:
        inner = inner[name]
    inner[violation.where[-1]] = violation.value
    if (
        violation.rule == "required"
        and violation.where[0] in {"clients", "routes"}
        and inner is not values
    ):
        del inner[violation.where[-1]]
    return values


def pointer(where: tuple[str | int, ...]) -> str:
    """Return how Helm says where a value stands (RFC 6901)."""
    return f"at '{''.join('/' + str(part).replace('/', '~1') for part in where)}'"


@pytest.fixture(scope="module")
def chart() -> Iterator[Any]:
    """Have the chart loaded by Helm's own engine."""
    with helm.Chart.load(CHART) as loaded:
        yield loaded


def test_the_full_values_are_valid(chart: Any) -> None:
    """What the other tests make one thing wrong in is right itself."""
    chart.validate_schema(FULL)


@pytest.mark.parametrize("violation", VIOLATIONS, ids=str)
def test_a_wrong_value_is_refused(chart: Any, violation: Violation) -> None:
    """Each type, enumeration, bound, pattern, unknown and missing name of the schema counts."""
    with pytest.raises(helm.HelmValuesError) as refusal:
        chart.validate_schema(changed(violation))
    text = str(refusal.value)
    assert text.count("\n- at ") == 1  # one rule is broken, and one is reported
    *parent, name = violation.where
    if violation.rule.startswith("propertyNames"):
        assert "invalid propertyName" in text
    elif violation.rule in {"required", "additionalProperties"}:
        assert pointer(tuple(parent)) in text
        assert f"'{name}'" in text
    else:
        assert pointer(violation.where) in text


def test_every_value_has_a_rule_and_every_table_is_closed() -> None:
    """No part of the schema lets anything pass but `global`, which is Helm's."""
    seen = set()

    def check(schema: dict[str, Any], name: str) -> None:
        seen.add(schema.get("$ref", "").removeprefix("#/definitions/"))
        schema = resolved(schema)
        if schema["type"] == "object" and name != "global":
            assert "additionalProperties" in schema, name
            for key, inner in schema.get("properties", {}).items():
                check(inner, key)
            if isinstance(schema["additionalProperties"], dict):
                check(schema["propertyNames"], name)
                check(schema["additionalProperties"], name)
        if schema["type"] == "array":
            check(schema["items"], name)

    check(SCHEMA, "")
    assert seen - {""} == set(SCHEMA["definitions"])


def test_every_default_has_a_place_in_the_schema() -> None:
    """values.yaml and the schema name the same values; what must not be missing has a default."""
    assert set(DEFAULTS) == set(SCHEMA["required"]) == set(SCHEMA["properties"]) - {"global"}


@pytest.mark.parametrize(
    ("example", "values", "message"),
    [
        ({}, {"image": {"repository": "signicat-proxy"}}, "clients: name at least one"),
        (GATEWAY_VALUES, {"routes": []}, "routes: several clients need routes"),
        (
            GATEWAY_VALUES,
            {"routes": [{"path": "/a", "client": "other"}]},
            'routes: /a names the client "other"',
        ),
        (
            GATEWAY_VALUES,
            {"routes": [{"path": "/a", "client": "auth"}, {"path": "/a/", "client": "sign"}]},
            "routes: /a/ stands twice",
        ),
        (
            GATEWAY_VALUES,
            {"routes": [{"path": "/a", "client": "auth"}]},
            'routes: no route uses the client "sign"',
        ),
        (GATEWAY_VALUES, {"image": {"repository": ""}}, "image.repository: say where"),
        (GATEWAY_VALUES, {"ports": {"admin": 8080}}, "ports: traffic and admin must differ"),
        (
            GATEWAY_VALUES,
            {"egressProxy": {"url": "http://proxy:3128", "secretName": "proxy"}},
            "egressProxy: give url or secretName",
        ),
        (GATEWAY_VALUES, {"autoscaling": {"minReplicas": 7}}, "autoscaling: minReplicas must not"),
        (
            GATEWAY_VALUES,
            {"settings": {"environment": "production"}},
            'settings.environment: is production, but the id of the client "auth" is for sandbox',
        ),
        (
            SIDECAR_VALUES,
            {"clients": {"shop": {"clientId": "prod-a"}}},
            'settings.environment: is sandbox, but the id of the client "shop" is for production',
        ),
        (
            GATEWAY_VALUES,
            {"gateway": {"drainSeconds": 31}},
            "gateway.terminationGracePeriodSeconds: is 45, but",
        ),
        (
            GATEWAY_VALUES,
            {"gateway": {"shutdownDelaySeconds": 16}},
            "gateway.terminationGracePeriodSeconds: is 45, but",
        ),
        (
            SIDECAR_VALUES,
            {"sidecar": {"applicationStopSeconds": 31}},
            "sidecar.terminationGracePeriodSeconds: is 40, but",
        ),
        (
            SIDECAR_VALUES,
            {"sidecar": {"terminationGracePeriodSeconds": 39}},
            "applicationStopSeconds, shutdownDelaySeconds, drainSeconds and 5 make 40",
        ),
        (
            SIDECAR_VALUES,
            {"podMonitor": {"enabled": True}},
            "podMonitor.podLabels: name the labels",
        ),
    ],
)
def test_values_that_do_not_go_together_are_refused(
    example: dict[str, Any], values: dict[str, Any], message: str
) -> None:
    """The refusal names the value; nothing is rendered."""
    with pytest.raises(helm.HelmError, match=message):
        render(merged(example, values))


def test_a_gateway_is_not_included_as_a_sidecar() -> None:
    """The named template says which value to set."""
    with pytest.raises(helm.HelmError, match="mode: set it to sidecar"):
        render_application(merged(SIDECAR_VALUES, {"mode": "gateway"}))
