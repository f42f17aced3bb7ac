"""values.schema.json refuses every wrong value, and describes every right one."""

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
    merged,
    render,
    written_schema,
)
from tests.deploy.chart_cases import FULL

WRONG_TYPES: Final[dict[str, list[Any]]] = {
    "string": [7, True, ["text"], {"a": "b"}],
    "integer": ["7", 1.5, True, [7]],
    "number": ["7", True],
    "boolean": ["true", 1],
    "array": ["a,b", {"0": "a"}],
    "object": ["text", ["a"]],
    "null": [],
}
KINDS: Final[dict[str, type | tuple[type, ...]]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
    "object": dict,
    "null": type(None),
}


class Violation(NamedTuple):
    """A value that breaks one rule, and where it stands."""

    where: tuple[str | int, ...]
    rule: str
    value: Any

    def __str__(self) -> str:
        """Name the test."""
        path = ".".join(
            ascii(name)[1:-1][:20] if isinstance(name, str) else str(name) for name in self.where
        )
        return f"{path}-{self.rule}-{json.dumps(self.value)[:20]}"


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """Follow a `$ref`."""
    name = schema.get("$ref", "").removeprefix("#/definitions/")
    return SCHEMA["definitions"][name] if name else schema


def types_of(schema: dict[str, Any]) -> list[str]:
    """Return the types that a schema allows."""
    found = schema["type"]
    return found if isinstance(found, list) else [found]


def has_type(value: Any, name: str) -> bool:
    """Say whether a value has a type of JSON Schema."""
    kinds = KINDS[name]
    if isinstance(value, bool) and name != "boolean":
        return False
    return isinstance(value, kinds)


def scalar_violations(schema: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield what breaks each rule that one value has."""
    types = types_of(schema)
    wrong = [value for name in types for value in WRONG_TYPES[name]]
    yield from (
        ("type", value) for value in wrong if not any(has_type(value, name) for name in types)
    )
    if "enum" in schema:
        yield "enum", "nonsense" if "string" in types else max(schema["enum"]) + 1
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
    if isinstance(value, list):
        if schema.get("uniqueItems"):
            twice = [value[0], *value][: max(2, len(value))]  # no longer than `maxItems` allows
            yield Violation(where, "uniqueItems", twice)
        if schema.get("minItems"):
            yield Violation(where, "minItems", [])
        kinds = [type(entry) for entry in value]
        for index in {kinds.index(kind) for kind in kinds}:  # one of each type
            yield from violations(schema["items"], value[index], (*where, index))
    if isinstance(value, dict):
        yield from object_violations(schema, value, where)


def object_violations(
    schema: dict[str, Any], value: Any, where: tuple[str | int, ...]
) -> Iterator[Any]:
    """Yield what breaks each rule of a table: known names, patterns, what must be there."""
    properties = schema.get("properties", {})
    for name in schema.get("required", ()):
        yield Violation((*where, name), "required", None)
    for name, inner in properties.items():
        yield from violations(inner, value[name], (*where, name))
    if schema.get("additionalProperties") is False:
        yield Violation((*where, "unknownKey"), "additionalProperties", "x")
    elif "additionalProperties" in schema:
        name = next(name for name in value if name not in properties)
        for rule, bad in scalar_violations(resolved(schema["propertyNames"])):
            if rule != "type":
                yield Violation((*where, bad), f"propertyNames {rule}", value[name])
        yield from violations(schema["additionalProperties"], value[name], (*where, name))


VIOLATIONS: Final = tuple(violations(SCHEMA, FULL, ()))


def changed(violation: Violation) -> dict[str, Any]:
    """Return the full values with one of them wrong.

    Helm takes a default away where it finds null; clients and what stands in a list have none.
    """
    values: dict[str, Any] = json.loads(json.dumps(FULL))  # with nothing twice, unlike deepcopy
    inner: Any = values
    for name in violation.where[:-1]:
        inner = inner[name]
    inner[violation.where[-1]] = violation.value
    no_default = violation.where[0] == "clients" or any(
        isinstance(name, int) for name in violation.where
    )
    if violation.rule == "required" and no_default and inner is not values:
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


def tables(schema: dict[str, Any], where: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each schema that is in use, with where it is used."""
    schema = {**resolved(schema), **schema}
    yield where, schema
    for name, inner in schema.get("properties", {}).items():
        yield from tables(inner, f"{where}/{name}")
    for part in ("additionalProperties", "propertyNames", "items"):
        if isinstance(schema.get(part), dict):
            yield from tables(schema[part], f"{where}/{part}")


IN_USE: Final = dict(tables(SCHEMA))
LISTS: Final = [
    where
    for where, schema in IN_USE.items()
    if schema.get("$ref") == "#/definitions/kubernetesList"
]


def test_every_value_has_a_rule_and_every_table_is_closed() -> None:
    """No table of ours lets anything pass but `global`, which other charts share.

    What Kubernetes reads is its own to check: it knows its fields, and newer ones than we do.
    """
    opened = {
        where
        for where, schema in IN_USE.items()
        if "object" in types_of(schema)
        and "additionalProperties" not in schema
        and schema.get("$ref") != "#/definitions/kubernetesObject"
    }
    assert opened == {"/global", "/extraObjects/items", *(f"{where}/items" for where in LISTS)}
    referred = {schema.get("$ref", "").removeprefix("#/definitions/") for schema in IN_USE.values()}
    assert referred - {""} == set(SCHEMA["definitions"])


def test_every_key_is_described_in_the_schema() -> None:
    """An editor shows for each key what it means."""
    silent = [
        where
        for where, schema in IN_USE.items()
        for name, inner in schema.get("properties", {}).items()
        if not inner.get("description", "").strip()
    ]
    assert silent == []
    assert all(rule["description"] for rule in SCHEMA["patternProperties"].values())


def test_the_schema_says_what_values_yaml_says() -> None:
    """Descriptions and what is required are those that `make chart-readme` writes."""
    assert written_schema() == SCHEMA


def test_every_default_has_a_place_in_the_schema() -> None:
    """values.yaml and the schema name the same values, however deep."""

    def differences(schema: dict[str, Any], values: dict[str, Any], where: str) -> set[str]:
        names = set(schema["properties"])
        found = {f"{where}/{name}" for name in names ^ set(values)}
        for name in names & set(values):
            inner = schema["properties"][name]
            if "properties" in inner:
                found |= differences(inner, values[name], f"{where}/{name}")
        return found

    assert differences(SCHEMA, DEFAULTS, "") == set()


@pytest.mark.parametrize("key", ["x-note", "x-"])
def test_anchors_have_a_place(key: str) -> None:
    """Whatever stands at the top under a name with `x-` is the user's."""
    for value in (None, "text", 7, ["a"], {"b": {"c": 1}}):
        assert render(merged(GATEWAY_VALUES, {key: value})) == render(GATEWAY_VALUES)
    with pytest.raises(helm.HelmError, match="x-note"):
        render(merged(GATEWAY_VALUES, {"gateway": {"x-note": 7}}))
