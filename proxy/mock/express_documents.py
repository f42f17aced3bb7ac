"""MOCK of Express Sign: documents, created, looked at, changed, canceled and listed."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from pydantic import Field, PlainValidator

from proxy.mock.body import Body
from proxy.mock.endpoint import Call, Endpoint, Result, endpoint
from proxy.mock.errors import ApiError, invalid_param
from proxy.mock.express_body import Advanced, DocumentChange, NewDocument
from proxy.mock.express_life import DOCUMENTS, ExpressDocument, changed
from proxy.mock.express_view import document_as_json, status_as_json, summary_as_json

__all__ = ["ENDPOINTS", "open_document"]

_MOST_DAYS: Final = 45
_MOST_LISTED: Final = 100


def _moment(text: str) -> datetime:
    """Read a date with a time, as `2026-01-15T08:00:00+01:00`; without a zone it is in UTC.

    The official SDK does not escape the plus, which then arrives as a space.
    """
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
    except ValueError:
        raise ValueError("must be a date of ISO 8601") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


QueryMoment = Annotated[datetime, PlainValidator(_moment, json_schema_input_type=str)]


class Search(Body):
    """Which summaries are wanted; all that is given must fit."""

    external_id: str | None = None
    signer_id: str | None = None
    external_signer_id: str | None = None
    from_date: QueryMoment | None = None
    to_date: QueryMoment | None = None
    last_updated: QueryMoment | None = None
    signed_date: QueryMoment | None = None
    name_of_signer: str | None = None
    title: str | None = None
    status: str | None = None
    tags: str | None = None
    offset: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    limit: Annotated[int, Field(ge=0, le=1_000_000)] = 20


class Cancelling(Body):
    """Why a document is canceled."""

    reason: str | None = None


def _create(call: Call, wanted: NewDocument) -> Result:
    _check_deadline(call, wanted.advanced)
    document = ExpressDocument(str(uuid.uuid4()), wanted, call.now, call.now)
    for signer in wanted.signers or ():
        document.add_signer(signer, call.now)
    call.mock.shelf(DOCUMENTS)[document.id] = document
    return document_as_json(call, document)


def _check_deadline(call: Call, advanced: Advanced | None) -> None:
    life = advanced.time_to_live if advanced else None
    if life and life.deadline and life.deadline > call.now + timedelta(days=_MOST_DAYS):
        reason = f"must be at most {_MOST_DAYS} days ahead"
        raise invalid_param("advanced.timeToLive.deadline", reason)


def open_document(call: Call) -> ExpressDocument:
    """Return the document of the path, as long as it can be changed: nobody has signed or ended it.

    It raises `ApiError` 404 where there is none, 400 where it is too late.
    """
    document = call.find(DOCUMENTS)
    if document.signatures or document.has_ended(call.now):
        raise ApiError(400, f"the document can no longer be changed: {document.status(call.now)}")
    return document


def _get(call: Call) -> Result:
    document = call.find(DOCUMENTS)
    seen = document_as_json(call, document)
    document.looked_at(call.now)
    return seen


def _status(call: Call) -> Result:
    document = call.find(DOCUMENTS)
    seen = status_as_json(call, document)
    document.looked_at(call.now)
    return seen


def _summary(call: Call) -> Result:
    return summary_as_json(call, call.find(DOCUMENTS))


def _change(call: Call, change: DocumentChange) -> Result:
    document = open_document(call)
    _check_deadline(call, change.advanced)
    document.wanted = changed(document.wanted, change)
    document.updated = call.now
    return document_as_json(call, document)


def _cancel(call: Call) -> None:
    """Cancel a document that has not ended; what is sent with it is not looked at."""
    document = call.find(DOCUMENTS)
    if document.has_ended(call.now):
        raise ApiError(400, f"the document has ended: {document.status(call.now)}")
    document.is_canceled = True
    document.updated = call.now


def _list(call: Call, search: Search) -> Result:
    """Return a page of summaries, newest first; a limit of 0 means none was given."""
    newest_first = reversed(call.mock.shelf(DOCUMENTS).values())
    hits = [one for one in newest_first if _fits(search, one, call.now)]
    first, limit = search.offset, min(search.limit or _MOST_LISTED, _MOST_LISTED)
    pages = {"first": 0, "previous": max(first - limit, 0), "next": first + limit}
    links: dict[str, str] = {
        name: _page_link(call, offset, limit)
        for name, offset in pages.items()
        if offset < max(len(hits), 1) and (name != "previous" or first > 0)
    }
    shown = [summary_as_json(call, document) for document in hits[first : first + limit]]
    return {"offset": first, "limit": limit, "size": len(hits), "links": links, "data": shown}


def _page_link(call: Call, offset: int, limit: int) -> str:
    others = {name: text for name, text in call.query.items() if name not in {"offset", "limit"}}
    query = urlencode(others | {"offset": str(offset), "limit": str(limit)}, errors="replace")
    return f"{call.base_url}/express/sign/documents/summary?{query}"


def _fits(search: Search, document: ExpressDocument, now: datetime) -> bool:
    """Say whether a document is one of those that are searched for."""
    signers = document.signers.values()
    signatures = document.signatures
    tags = set((document.wanted.advanced and document.wanted.advanced.tags) or ())
    name = (search.name_of_signer or "").lower()
    signed = [one.signed for one in signatures if one.signed]
    wanted: list[tuple[Any, bool]] = [
        (search.external_id, document.wanted.external_id == search.external_id),
        (search.signer_id, search.signer_id in document.signers),
        (
            search.external_signer_id,
            search.external_signer_id in {one.wanted.external_signer_id for one in signers},
        ),
        (search.from_date, not search.from_date or document.created >= search.from_date),
        (search.to_date, not search.to_date or document.created <= search.to_date),
        (search.last_updated, not search.last_updated or document.updated >= search.last_updated),
        (search.signed_date, any(one >= (search.signed_date or one) for one in signed)),
        (name, any(name in one.signature["fullName"].lower() for one in signers)),
        (search.title, (search.title or "").lower() in (document.wanted.title or "").lower()),
        (search.status, document.status(now) == (search.status or "").lower()),
        (search.tags, set((search.tags or "").split(",")) <= tags),
    ]
    return all(fits for asked, fits in wanted if asked)


ENDPOINTS: Final[tuple[Endpoint, ...]] = (
    endpoint("POST", "/documents", _create, takes=NewDocument, creates=True),
    endpoint("GET", "/documents/summary", _list, takes=Search),
    endpoint("GET", "/documents/{id}", _get),
    endpoint("PATCH", "/documents/{id}", _change, takes=DocumentChange),
    endpoint("POST", "/documents/{id}/cancel", _cancel, status=204),
    endpoint("GET", "/documents/{id}/status", _status),
    endpoint("GET", "/documents/{id}/summary", _summary),
)
