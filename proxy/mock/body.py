"""Reads bodies and query parameters: declared as pydantic models, refused as Signicat refuses.

    class Callbacks(Body):
        success: Url

    class NewSession(Body):
        flow: Flow
        callback_urls: Callbacks | None = None    # "callbackUrls"; null means not given
        session_lifetime: int = 600               # may be left out; null is refused

Members have Signicat's names (`camelCase` of the field's). A member with `| None` may be
null, which means not given; one without may not. An enumeration is a `Literal` with
`ANY_CASE` beside it; a day is a `date`, a time a `Moment`. Types are strict: `"12"` is no
integer. Members that no model declares are accepted and dropped; who reads gets their names,
also where the rest is refused: a required member with a typing error in it is such a case.
"""

import json
import math
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Annotated, Any, Final, Generic, TypeAlias, TypeVar, get_args
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    TypeAdapter,
    ValidationError,
)
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema, core_schema, from_json

from proxy.mock.errors import ApiError, InvalidParam

__all__ = ["ANY_CASE", "Body", "Moment", "Read", "Reader", "RefusedError", "Url"]

T = TypeVar("T")
Place: TypeAlias = tuple[int | str, ...]

_MOST_NAMED: Final = 50
_WHOLE_BODY: Final = "body"


class Body(BaseModel):
    """A JSON object, or the parameters of a query."""

    model_config = ConfigDict(
        strict=True, extra="allow", alias_generator=to_camel, hide_input_in_errors=True
    )

    def given(self) -> dict[str, Any]:
        """Return what was given as JSON members, without those that were null or left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def _folded(text: str) -> str:
    return "".join(letter for letter in text.casefold() if letter.isalnum())


class _AnyCase:
    """Beside a `Literal` of texts: accepts any case, and gives them as declared.

    Hyphens and the like do not count either: the official SDK writes its own
    names in capitals, `RSAOAEP` for `RSA-OAEP`.
    """

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        declared = {_folded(value): value for value in get_args(source)}

        def as_declared(value: object) -> object:
            return declared.get(_folded(value), value) if isinstance(value, str) else value

        return core_schema.no_info_before_validator_function(as_declared, handler(source))


ANY_CASE: Final = _AnyCase()
"""`Annotated[Literal["redirect", "headless"], ANY_CASE]` also takes `REDIRECT`."""


def _checked_url(text: str) -> str:
    """Return the URL as it is; raise `ValueError` unless a browser could be sent there."""
    parts = urlsplit(text)
    if not parts.scheme or not (parts.netloc or parts.path):
        raise ValueError("must be an absolute URL")
    if parts.scheme.lower() in {"http", "https"} and not parts.hostname:
        raise ValueError("must name a host")
    if any(letter <= " " or letter == "\x7f" for letter in text):
        raise ValueError("must not have blanks or control characters")
    _ = parts.port  # raises where it is beyond 65535
    return text


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except OverflowError:
        raise ValueError("must be between the years 1 and 9999") from None


Url = Annotated[str, AfterValidator(_checked_url)]
"""An absolute URL, kept letter for letter."""
Moment = Annotated[datetime, AfterValidator(_in_utc)]
"""A date with a time (RFC 3339), in UTC; without a zone it is taken for UTC."""


@dataclass(frozen=True, slots=True)
class Read(Generic[T]):
    """What was read, and the members that no model knows, as `callbackUrls.succes`."""

    value: T
    unknown: tuple[str, ...]


class RefusedError(ApiError):
    """400 with the members that are wrong; `unknown` are those that no model knows."""

    def __init__(self, invalid: tuple[InvalidParam, ...], unknown: tuple[str, ...]) -> None:
        super().__init__(400, f"{invalid[0].name}: {invalid[0].reason}", invalid=invalid)
        self.unknown = unknown


class Reader(Generic[T]):
    """Reads one kind of body or query; raises `RefusedError` where it cannot."""

    def __init__(self, kind: type[T]) -> None:
        self._adapter = TypeAdapter(kind)

    def json(self, data: bytes) -> Read[T]:
        """Read a JSON body; none at all is null, which few kinds accept."""
        data = data or b"null"
        try:
            value = self._adapter.validate_json(data)
        except ValidationError as error:
            raise RefusedError(_wrong(error), self._unknown_in(_parsed(data))) from None
        unknown = tuple(_taken_unknown(value))
        if not _is_finite(data):
            wrong = InvalidParam(_WHOLE_BODY, "a number is out of range")
            raise RefusedError((wrong,), unknown)
        return Read(value, unknown)

    def query(self, parameters: Mapping[str, str]) -> Read[T]:
        """Read the parameters of a query: their names in any case, empty ones left out."""
        given = {
            self._spelled.get(name.lower(), name): text for name, text in parameters.items() if text
        }
        try:
            value = self._adapter.validate_strings(given)
        except ValidationError as error:
            raise RefusedError(_wrong(error), self._unknown_in(given)) from None
        return Read(value, tuple(_taken_unknown(value)))

    def _unknown_in(self, given: object) -> tuple[str, ...]:
        return tuple(_unknown_beside(self._schema, given))

    @cached_property
    def _spelled(self) -> dict[str, str]:
        return {name.lower(): name for name in self._schema.get("properties", {})}

    @cached_property
    def _schema(self) -> dict[str, Any]:
        return self.schema()

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of what is read."""
        return self._adapter.json_schema(by_alias=True)


def _wrong(error: ValidationError) -> tuple[InvalidParam, ...]:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return tuple(
        InvalidParam(_name(fault["loc"]), fault["msg"].removeprefix("Value error, "))
        for fault in found[:_MOST_NAMED]
    )


def _name(place: Place) -> str:
    """Return a place in a body as text.

    >>> _name(("documents", 0, "documentId"))
    'documents[0].documentId'
    """
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return text.removeprefix(".") or _WHOLE_BODY


def _is_finite(data: bytes) -> bool:
    """Say no for numbers that JSON cannot have (NaN), or no response could give back (1e999)."""

    def finite(text: str) -> float:
        number = float(text)
        if not math.isfinite(number):
            raise ValueError(text)
        return number

    try:
        json.loads(data, parse_float=finite, parse_constant=finite)
    except ValueError:
        return False
    return True


def _parsed(data: bytes) -> object:
    """Return what a body holds; None where it is no JSON, or is nested beyond reason."""
    try:
        return from_json(data)
    except ValueError:
        return None


def _unknown_beside(schema: Mapping[str, Any], value: object) -> Iterator[str]:
    """Yield the names of members that a schema does not declare, those on top first."""
    named = schema.get("$defs", {})
    left: deque[tuple[Place, Mapping[str, Any], object]] = deque([((), schema, value)])
    while left:
        place, declared, item = left.popleft()
        if not declared or not isinstance(item, dict | list):
            continue
        declared = _declared_for(declared, named, "object" if isinstance(item, dict) else "array")
        if isinstance(item, list):
            left.extend(
                ((*place, index), declared.get("items", {}), part)
                for index, part in enumerate(item)
            )
            continue
        members = declared.get("properties")
        for name, part in item.items():
            if members is None:
                free = declared.get("additionalProperties")
                left.append(((*place, name), free if isinstance(free, dict) else {}, part))
            elif name in members:
                left.append(((*place, name), members[name], part))
            else:
                yield _name((*place, name))


def _declared_for(
    schema: Mapping[str, Any], named: Mapping[str, Any], kind: str
) -> Mapping[str, Any]:
    """Return the part of a schema that speaks of objects, or of arrays; nothing if none does."""
    for choice in schema.get("anyOf", (schema,)):
        name = choice.get("$ref", "").rpartition("/")[2]
        declared: Mapping[str, Any] = named[name] if name else choice
        if declared.get("type") == kind:
            return declared
    return {}


def _taken_unknown(value: object, place: Place = ()) -> Iterator[str]:
    """Yield the names of members that no model declares, and take them out of the models."""
    if isinstance(value, BaseModel):
        extra = value.model_extra or {}
        yield from (_name((*place, name)) for name in extra)
        extra.clear()
        for name, field in type(value).model_fields.items():
            yield from _taken_unknown(getattr(value, name), (*place, field.alias or name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _taken_unknown(item, (*place, index))
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _taken_unknown(item, (*place, name))
