"""The parts of the status page: elements, and numbers and codes as people read them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final
from xml.etree.ElementTree import Element

from proxy.errors import ERROR_KINDS
from proxy.oauth.response import HINTS, FailureOutcome
from proxy.telemetry.request_log import OTHER_MEANINGS

__all__ = [
    "duration",
    "element",
    "fact",
    "latency",
    "left",
    "meaning",
    "moment",
    "rate",
    "requests",
    "section",
    "share",
]

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_TEN: Final = 10.0
_NOTHING: Final = "—"
_BY_ITSELF: Final = "The token endpoint is asked again by itself."
_MEANINGS: Final[dict[str, str]] = {
    **{kind.code: kind.meaning for kind in ERROR_KINDS},
    **OTHER_MEANINGS,
}

Content = str | Element


def element(name: str, *content: Content, **attributes: str) -> Element:
    """Return an element; a final `_` in an attribute's name is dropped, others become `-`."""
    made = Element(name, {key.rstrip("_").replace("_", "-"): v for key, v in attributes.items()})
    for part in content:
        if isinstance(part, Element):
            made.append(part)
        elif len(made):
            made[-1].tail = (made[-1].tail or "") + part
        else:
            made.text = (made.text or "") + part
    return made


def fact(name: str, value: Content) -> Element:
    """Return a name and its value, for a `dl`."""
    return element("div", element("dt", name), element("dd", value))


def section(heading: str, *content: Element, beside: Sequence[Element] = ()) -> Element:
    """Return a section of the page; `beside` stands on the line of its heading."""
    head = element("div", element("h2", heading), *beside, class_="bar")
    return element("section", head, *content)


def duration(seconds: float) -> str:
    """Return a span of time as people read it; `status.js` writes it the same way."""
    whole = max(0, int(seconds))
    if whole >= _DAY:
        return f"{whole // _DAY} d {whole // _HOUR % 24:02} h"
    if whole >= _HOUR:
        return f"{whole // _HOUR} h {whole // _MINUTE % 60:02} min"
    if whole >= _MINUTE:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02} s"
    return f"{whole} s"


def requests(amount: int) -> str:
    """Return how many requests, in words."""
    return "1 request" if amount == 1 else f"{amount} requests"


def left(seconds: float | None, over: str, none: str = _NOTHING) -> Content:
    """Return a span of time that the script counts down, to the word `over`."""
    if seconds is None:
        return none
    text = duration(seconds) if seconds > 0 else over
    return element("span", text, data_left=f"{seconds:.1f}", data_over=over)


def moment(wall: float, now: float) -> Element:
    """Return an instant: the time of day in UTC, with the date where it is not today's."""
    then, today = datetime.fromtimestamp(wall, UTC), datetime.fromtimestamp(now, UTC).date()
    text = f"{then:%H:%M:%S}" if then.date() == today else f"{then:%Y-%m-%d %H:%M:%S}"
    return element("time", text, datetime=f"{then:%Y-%m-%dT%H:%M:%SZ}")


def rate(per_second: float) -> str:
    """Return a number of requests per second."""
    if per_second >= _TEN:
        return f"{per_second:.0f}"
    return f"{per_second:.1f}" if per_second >= 1 or not per_second else f"{per_second:.2f}"


def share(value: float | None) -> str:
    """Return a share in per cent; what is not nothing is not shown as nothing."""
    if value is None:
        return _NOTHING
    return "< 0.1 %" if 0 < value < 0.001 else f"{value * 100:.1f} %"  # noqa: PLR2004 - 0.1 %


def latency(seconds: float | None) -> str:
    """Return a duration of requests; an estimate, so two digits do."""
    if seconds is None:
        return _NOTHING
    if seconds >= 1:
        return f"{seconds:.1f} s"
    milliseconds = seconds * 1000
    return f"{milliseconds:.0f} ms" if milliseconds >= _TEN else f"{milliseconds:.1f} ms"


def meaning(code: str, hints: Mapping[FailureOutcome, str] = HINTS) -> str:
    """Return what a code means and what can be done about it, as a sentence.

    `hints` are those for the client whose token request has that outcome.
    """
    if code in _MEANINGS:
        return _MEANINGS[code]
    hint = next((text for outcome, text in hints.items() if outcome == code), None)
    return f"{hint[0].upper()}{hint[1:]}." if hint else _BY_ITSELF
