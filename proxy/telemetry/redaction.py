"""The redaction filter: no secret gets into the log, even where somebody forgets that (L, G7).

Secrets never get as far as a logger; the filter is for the day when one does.
It knows the secrets and tokens in use and the look of credentials, and works
on every value before it is rendered, tracebacks included: on a finished line
an escaped secret would look different, and a replacement could break the line.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final
from urllib.parse import quote, quote_plus

from structlog.typing import EventDict, Processor

__all__ = ["Redactor", "redaction_filter", "without_queries"]

_REDACTED: Final = "[redacted]"
_CREDENTIALS: Final = re.compile(
    r"(?i)(\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{6,}"
    r"|(client_secret=|(?:client_secret|access_token)[\"']\s*:\s*[\"'])[^&\s\"'\\]+"
)
_QUERY: Final = re.compile(r"\?[^\s\"'>)\]]+")
_RUN: Final = re.compile(r"[A-Za-z0-9+/=_.~%-]{60}")
"""What keys and assertions are full of; a line of a PEM file has 64, a `traceparent` 55."""
_SHORTEST_SECRET: Final = 6  # shorter ones are no secrets, but parts of ordinary words


def _spellings(secrets: Iterable[str]) -> tuple[str, ...]:
    """Return how text may spell the secrets; longest first, since one may begin another."""
    forms = {
        form
        for secret in secrets
        if len(secret) >= _SHORTEST_SECRET
        for form in (
            secret,
            json.dumps(secret)[1:-1],
            repr(secret)[1:-1],
            quote(secret, safe=""),
            quote_plus(secret),
        )
    }
    return tuple(sorted(forms, key=len, reverse=True))


def _without(forms: Iterable[str], text: str) -> str:
    for form in forms:
        if form in text:
            text = text.replace(form, _REDACTED)
    return text


class Redactor:
    """Replaces secrets in text; its sources are asked each time, as secrets change."""

    def __init__(self) -> None:
        self._sources: list[Callable[[], Iterable[str]]] = []
        self._secrets: tuple[str, ...] = ()
        self._forms: tuple[str, ...] = ()
        self._without_run: tuple[str, ...] = ()  # those of them that a line without one may hold

    def watch(self, source: Callable[[], Iterable[str]]) -> None:
        """Redact from now on what `source` names as well."""
        self._sources.append(source)

    def __call__(self, text: str) -> str:
        """Return `text` without any secret in use and without credentials of the usual look."""
        # The known ones first: a pattern may end in the middle of one.
        text = _without(self._forms_in_use(), text)
        return _CREDENTIALS.sub(lambda match: (match[1] or match[2]) + _REDACTED, text)

    def json_line(self, line: str) -> str:
        """Return a JSON object without any secret in use in its values.

        The names of its members stay: a secret may be an ordinary word. This is
        cheap enough for every request, since hardly any line holds a secret.
        """
        forms = possible = self._forms_in_use()
        # A key has a hundred of them: to search for each would cost as much as the request.
        if len(self._without_run) < len(forms) and _RUN.search(line) is None:
            possible = self._without_run
        for form in possible:
            if form in line:
                redact = partial(_without, forms)
                members = json.loads(line).items()
                return json.dumps({name: _cleaned(value, redact) for name, value in members})
        return line

    def _forms_in_use(self) -> tuple[str, ...]:
        secrets = tuple(secret for source in self._sources for secret in source())
        if secrets != self._secrets:
            self._secrets, self._forms = secrets, _spellings(secrets)
            self._without_run = tuple(form for form in self._forms if _RUN.search(form) is None)
        return self._forms


def without_queries(text: str) -> str:
    """Return `text` with the queries of its URLs left out: they carry national ids."""
    return _QUERY.sub("?[query]", text)


def _cleaned(value: object, redact: Callable[[str], str]) -> object:
    """Return a plain value to render, without secrets however deep they are."""
    if isinstance(value, str):
        return redact(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {redact(str(key)): _cleaned(item, redact) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_cleaned(item, redact) for item in value]
    return redact(repr(value))


def redaction_filter(redact: Redactor) -> Processor:
    """Return what cleans each event of structlog before it is rendered."""

    def clean(_: object, __: str, event: EventDict) -> EventDict:
        """Redact every value, no name; texts of exceptions may hold URLs: no query stays."""
        cleaned = {key: _cleaned(value, redact) for key, value in event.items()}
        if isinstance(trace := cleaned.get("exception"), str):
            cleaned["exception"] = without_queries(trace)
        return cleaned

    return clean
