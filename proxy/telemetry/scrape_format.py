"""In which of the two text formats a scrape is told: negotiated by `Accept` (RFC 9110, 12.5.1).

prometheus_client would choose too, but regardless of the weights, and in a version and a
spelling of names that whoever asks can choose: all formats here have the same names.
"""

from typing import Final

from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST as OPENMETRICS

__all__ = ["OPENMETRICS", "PLAIN", "preferred_format"]

PLAIN: Final = "text/plain; version=0.0.4; charset=utf-8"
"""Prometheus's own text format, without exemplars; for who does not say."""
_MEDIA_TYPE, _, _ = OPENMETRICS.partition(";")
_VERSION: Final = "1.0.0"


def _weight(text: str) -> float:
    """Return a weight from 0 to 1; one that is none counts as 0."""
    try:
        weight = float(text)
    except ValueError:
        return 0.0
    return weight if 0 <= weight <= 1 else 0.0


def preferred_format(accept: str) -> str:
    """Return the content type, `OPENMETRICS` or `PLAIN`, that an `Accept` asks for.

    OpenMetrics must be named, in this version or in none: a range such as `*/*` is no wish for it.
    """
    openmetrics = plain = 0.0
    for media_range in accept.split(","):
        name, *pairs = (part.strip().lower() for part in media_range.split(";"))
        facts = dict(pair.partition("=")[::2] for pair in pairs)
        weight = _weight(facts.get("q", "1"))
        if name == _MEDIA_TYPE and facts.get("version", _VERSION).strip('"') == _VERSION:
            openmetrics = max(openmetrics, weight)
        elif name == "text/plain":
            plain = max(plain, weight)
    return OPENMETRICS if openmetrics and openmetrics >= plain else PLAIN
