"""The status page on the side of the callers: who may call, and the certificates they meet."""

from collections.abc import Iterator
from typing import Final
from xml.etree.ElementTree import Element

from proxy.admin.html import element, fact, left, moment, section
from proxy.admin.report import StatusReport
from proxy.guard.identity import CallerStatus
from proxy.net.tls import ENDS_SOON_DAYS

__all__ = ["incoming"]

_DAY: Final = 86_400


def incoming(report: StatusReport) -> Iterator[Element]:
    """Yield a section each for callers and certificates; nothing of what there is none."""
    if report.callers:
        yield _cards("Callers", [_caller_card(caller) for caller in report.callers])
    if report.certificates:
        ends = report.certificates.items()
        yield _cards("Certificates", [_certificate(file, end, report.wall) for file, end in ends])


def _cards(heading: str, cards: list[Element]) -> Element:
    return section(heading, element("div", *cards, class_="cards"))


def _caller_card(caller: CallerStatus) -> Element:
    limit = "" if caller.max_in_flight is None else f" of {caller.max_in_flight}"
    facts = element(
        "dl",
        fact("Running now", f"{caller.in_flight}{limit}"),
        fact("Proof", caller.proof),
    )
    return element("article", element("h3", caller.name), facts, class_="card")


def _certificate(file: str, end: float, now: float) -> Element:
    facts = element(
        "dl",
        fact("Valid until", moment(end, now)),
        fact("Ends in", left(end - now, "it has ended")),
    )
    notes = []
    if end - now <= ENDS_SOON_DAYS * _DAY:
        class_ = "note warn" if end > now else "note bad"
        notes = [element("p", "Replace the file; no restart is needed.", class_=class_)]
    return element("article", element("h3", file), facts, *notes, class_="card")
